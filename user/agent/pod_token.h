/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Is the token of a Pod Identity request that of the pod that sends it? The kernel has said which pod that is; the
 * token has to say the same. So a token that was stolen from another pod is worth nothing.
 *
 * A verdict is kept by the token's SHA-256, a few for each pod, so that most requests cost no verification. New keys
 * end all verdicts. Any thread may call these functions.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include "agent/answer.h"
#include "upstream/message.h"

struct agent_token_trust;
struct agent_tokens;
struct loop;
struct agent_trusted;
struct pc_err;
struct podcred_peer;

#define AGENT_TOKENS_AUDIENCE	  "pods.eks.amazonaws.com"
#define AGENT_TOKENS_STS_AUDIENCE "sts.amazonaws.com"

/* The API server's clock may be ahead of ours by that much: a token that was made just now is valid. */
#define AGENT_TOKENS_AHEAD_S 60

/* Newer keys are asked for once in that time, whatever kids a pod invents. */
#define AGENT_TOKENS_ASK_MS 30000

/* A verdict of the API server counts for that long at most. */
#define AGENT_TOKENS_REVIEW_MS	60000
#define AGENT_TOKENS_REFUSAL_MS 5000

#define AGENT_TOKENS_CLAIM_SIZE 256

/* For AGENT_VERIFY_REVIEW; as agent/leaves.h has them. */
struct agent_tokens_options {
	struct loop *loop;
	int (*ask)(void *arg, const struct upstream_message *question);
	void *ask_arg;
	void (*wake)(void *arg, uint64_t key); /* as agent_leaves_key() */
	void *wake_arg;
};

/* options NULL: nobody is asked. There are no keys yet: no token is right until agent_tokens_trust(). -ENOMEM. */
int agent_tokens_new(const struct agent_tokens_options *options, struct agent_tokens **ret);
void agent_tokens_free(struct agent_tokens *tokens); /* NULL is fine */

/* agent_server_trust() explains it. */
int agent_tokens_trust(struct agent_tokens *tokens, const struct agent_token_trust *trust,
		       struct agent_trusted *ret, struct pc_err *err);

/* A token that came with a request. */
struct agent_token {
	enum upstream_purpose purpose; /* at STS another audience is as good */
	const char *text; /* and nothing else; NULL: there is none */
	size_t len;
};

/*
 * peer has its name. now: wall
 * clock. *ret is AGENT_NO_REASON when it is the pod's own token, else why not:
 *   AGENT_NO_AUTHORIZATION         there is none
 *   AGENT_TOKEN_MALFORMED
 *   AGENT_TOKEN_KEYS_MISSING       nobody has told us the cluster's keys yet, and not all can wait for them
 *   AGENT_TOKEN_UNKNOWN_KEY        signed with none of them: perhaps there are newer ones
 *   AGENT_TOKEN_BAD_SIGNATURE
 *   AGENT_TOKEN_WRONG_ISSUER       of another cluster
 *   AGENT_TOKEN_WRONG_AUDIENCE     for another service
 *   AGENT_TOKEN_NOT_A_PODS         not bound to a pod, or its claims contradict each other
 *   AGENT_TOKEN_OTHER_POD          another pod's: stolen
 *   AGENT_TOKEN_OTHER_ACCOUNT      names this pod, and another namespace or service account
 *   AGENT_TOKEN_OTHER_NODE
 *   AGENT_TOKEN_NOT_YET_VALID, AGENT_TOKEN_EXPIRED
 *   AGENT_TOKEN_NOT_ACCEPTED       the API server does not
 *   AGENT_TOKEN_NOT_REVIEWED       it was not asked, or does not answer
 * 0; -EINPROGRESS: it is being asked, or nobody has told us the keys yet, and agent_leaves_key() is woken; -ENOMEM or
 * -EIO.
 */
int agent_tokens_check(struct agent_tokens *tokens, const struct agent_token *token,
		       const struct podcred_peer *peer, time_t now, enum agent_reason *ret);

/* Of a token that was verified here; empty: not known, as of one that the API server has judged. */
struct agent_token_claims {
	char audience[AGENT_TOKENS_CLAIM_SIZE], issuer[AGENT_TOKENS_CLAIM_SIZE];
};

/* To be called after agent_tokens_check(). What does not fit is not known. */
void agent_tokens_claims(struct agent_tokens *tokens, const struct agent_token *token,
			 const struct podcred_peer *peer, struct agent_token_claims *ret);

/* Whether somebody came with a key that is not known, and it is time to ask for newer ones. Asking counts. */
bool agent_tokens_want_keys(struct agent_tokens *tokens, int64_t now_ms);

/* ---- in the thread of the loop ---- */

void agent_tokens_connected(struct agent_tokens *tokens, bool connected);
void agent_tokens_told(struct agent_tokens *tokens, const struct upstream_message *m);
void agent_tokens_sweep(struct agent_tokens *tokens);
