// SPDX-License-Identifier: Apache-2.0
#include "agent/pod_token.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <podcred/podcred.h>

#include "agent/agent.h"
#include "agent/leaves.h"
#include "agent/reviews.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/err.h"
#include "crypto/hash.h"
#include "crypto/jwks.h"
#include "crypto/jwt.h"

/* A pod's verdicts are all in one set. It may fill half of it, so that a neighbour there keeps its own. */
#define SETS	512 /* a power of two */
#define WAYS	8
#define PER_POD 4

#define MAX_WAITING 256 /* pods, until somebody says how tokens are verified */

/* Of one token, sent by one pod. Time is judged anew each time. */
struct verdict {
	uint64_t pod; /* cgroup id; 0: free */
	uint64_t generation; /* of the pod's name */
	uint64_t trust; /* which one it was judged by */
	enum upstream_purpose purpose;
	uint64_t used; /* larger: later */
	uint8_t hash[CRYPTO_SHA256_SIZE];
	enum agent_reason reason; /* but for time */
	const char *audience, *issuer; /* those of the trust that it has; NULL: not known */
	time_t from, until; /* of the token */
	uint64_t
		good_ns; /* CLOCK_BOOTTIME: until then somebody else's word counts; 0: it is ours */
};

/* Never changes; counted. */
struct trust {
	atomic_uint owners;
	uint64_t number;
	enum agent_verify verify;
	struct crypto_jwks *keys;
	char *audience, *sts_audience, *node; /* node NULL: any */
	char **issuers; /* up to a NULL; NULL: any */
};

struct agent_tokens {
	struct agent_tokens_options options;
	struct agent_reviews *reviews; /* NULL: nobody is asked */
	pthread_mutex_t lock; /* for all below */
	struct trust *trust; /* NULL: none yet */
	uint64_t trusts, uses;
	bool key_missed;
	int64_t asked_ms; /* for newer keys; 0: never */
	uint64_t waiting[MAX_WAITING]; /* keys to wake when there is a trust */
	size_t n_waiting;
	struct verdict verdicts[SETS][WAYS];
};

/* ---- who is trusted ---- */

static void trust_unref(struct trust *trust)
{
	if (!trust || atomic_fetch_sub(&trust->owners, 1) != 1)
		return;
	crypto_jwks_unref(trust->keys);
	free(trust->audience);
	free(trust->sts_audience);
	free(trust->node);
	for (char **issuer = trust->issuers; issuer && *issuer; issuer++)
		free(*issuer);
	free(trust->issuers);
	free(trust);
}

static void cleanup_trust(struct trust **trust)
{
	trust_unref(*trust);
}

static bool copy_issuers(const struct agent_token_trust *from, struct trust *to)
{
	if (!from->n_issuers)
		return true;
	to->issuers = calloc(from->n_issuers + 1, sizeof(*to->issuers));
	for (size_t i = 0; to->issuers && i < from->n_issuers; i++) {
		to->issuers[i] = strdup(from->issuers[i]);
		if (!to->issuers[i])
			return false;
	}
	return to->issuers;
}

static int copy_trust(const struct agent_token_trust *from, struct trust *to, struct pc_err *err)
{
	to->verify = from->verify;
	if (to->verify == AGENT_VERIFY_OFF)
		return 0;
	to->audience = strdup(from->audience ?: AGENT_TOKENS_AUDIENCE);
	to->sts_audience = strdup(from->sts_audience ?: AGENT_TOKENS_STS_AUDIENCE);
	if (from->node)
		to->node = strdup(from->node);
	if (!to->audience || !to->sts_audience || (from->node && !to->node) ||
	    !copy_issuers(from, to))
		return pc_err_set(err, -ENOMEM, "no memory");
	if (to->verify == AGENT_VERIFY_REVIEW)
		return 0;
	return crypto_jwks_parse(from->jwks, from->jwks_len, &to->keys, err);
}

static void replace(struct agent_tokens *tokens, struct trust *trust)
{
	uint64_t waiting[MAX_WAITING];
	struct trust *old;
	size_t n;

	pthread_mutex_lock(&tokens->lock);
	old = tokens->trust;
	trust->number = ++tokens->trusts;
	tokens->trust = trust;
	tokens->key_missed = false;
	n = tokens->n_waiting;
	memcpy(waiting, tokens->waiting, n * sizeof(waiting[0]));
	tokens->n_waiting = 0;
	pthread_mutex_unlock(&tokens->lock);
	trust_unref(old);
	for (size_t i = 0; i < n; i++)
		tokens->options.wake(tokens->options.wake_arg, waiting[i]);
}

/* -EBUSY: not everybody can wait. The lock is held. */
static int enlist(struct agent_tokens *tokens, uint64_t key)
{
	size_t i = 0;

	while (i < tokens->n_waiting && tokens->waiting[i] != key)
		i++;
	if (i == MAX_WAITING || !tokens->options.wake)
		return -EBUSY;
	tokens->waiting[i] = key;
	tokens->n_waiting += i == tokens->n_waiting;
	return -EINPROGRESS;
}

static void report(const struct crypto_jwks *keys, struct agent_trusted *ret)
{
	*ret = (struct agent_trusted){};
	if (!keys)
		return;
	ret->keys = crypto_jwks_count(keys);
	ret->unusable = crypto_jwks_unusable(keys);
	snprintf(ret->defect, sizeof(ret->defect), "%s", crypto_jwks_defect(keys));
}

int agent_tokens_trust(struct agent_tokens *tokens, const struct agent_token_trust *from,
		       struct agent_trusted *ret, struct pc_err *err)
{
	_cleanup_(cleanup_trust) struct trust *trust = calloc(1, sizeof(*trust));
	int r;

	if (!trust)
		return pc_err_set(err, -ENOMEM, "no memory");
	atomic_init(&trust->owners, 1);
	r = copy_trust(from, trust, err);
	if (r < 0)
		return r;
	if (ret)
		report(trust->keys, ret);
	replace(tokens, TAKE_PTR(trust));
	return 0;
}

/* 0 with *ret, to be given back. There is none yet: -EINPROGRESS, the pod is woken when there is; -EBUSY. */
static int take_trust(struct agent_tokens *tokens, const struct podcred_peer *peer,
		      struct trust **ret)
{
	int r = 0;

	pthread_mutex_lock(&tokens->lock);
	if (tokens->trust) {
		atomic_fetch_add(&tokens->trust->owners, 1);
		*ret = tokens->trust;
	} else {
		r = enlist(tokens, agent_leaves_key(peer));
	}
	pthread_mutex_unlock(&tokens->lock);
	return r;
}

static void on_review(void *arg, const struct agent_review *review,
		      const struct upstream_message *answer);

int agent_tokens_new(const struct agent_tokens_options *options, struct agent_tokens **ret)
{
	struct agent_tokens *tokens = calloc(1, sizeof(*tokens));
	struct agent_reviews_options reviews = {.answered = on_review, .answered_arg = tokens};

	if (!tokens)
		return -ENOMEM;
	if (options) {
		tokens->options = *options;
		reviews.loop = options->loop;
		reviews.ask = options->ask;
		reviews.ask_arg = options->ask_arg;
	}
	if (options && agent_reviews_new(&reviews, &tokens->reviews) < 0) {
		free(tokens);
		return -ENOMEM;
	}
	pthread_mutex_init(&tokens->lock, NULL);
	*ret = tokens;
	return 0;
}

void agent_tokens_free(struct agent_tokens *tokens)
{
	if (!tokens)
		return;
	agent_reviews_free(tokens->reviews);
	trust_unref(tokens->trust);
	pthread_mutex_destroy(&tokens->lock);
	free(tokens);
}

bool agent_tokens_want_keys(struct agent_tokens *tokens, int64_t now_ms)
{
	bool wants;

	pthread_mutex_lock(&tokens->lock);
	wants = tokens->key_missed &&
		(!tokens->asked_ms || now_ms - tokens->asked_ms >= AGENT_TOKENS_ASK_MS);
	if (wants) {
		tokens->key_missed = false;
		tokens->asked_ms = now_ms;
	}
	pthread_mutex_unlock(&tokens->lock);
	return wants;
}

static void miss_key(struct agent_tokens *tokens, const struct trust *trust)
{
	pthread_mutex_lock(&tokens->lock);
	if (tokens->trusts == trust->number)
		tokens->key_missed = true;
	pthread_mutex_unlock(&tokens->lock);
}

/* ---- verdicts that are known ---- */

static struct verdict *set_of(struct agent_tokens *tokens, uint64_t pod)
{
	return tokens->verdicts[(pod * 0x9e3779b97f4a7c15) >> 55 & (SETS - 1)];
}

static bool is_same(const struct verdict *a, const struct verdict *b)
{
	return a->pod == b->pod && a->generation == b->generation && a->trust == b->trust &&
	       a->purpose == b->purpose && !memcmp(a->hash, b->hash, sizeof(a->hash));
}

/* What was not used for longest: of the pod's own, if it has as many as it may have. */
static struct verdict *make_room(struct verdict *set, const struct verdict *wanted)
{
	struct verdict *own = NULL, *any = NULL;
	unsigned n_own = 0;

	for (struct verdict *v = set; v < set + WAYS; v++) {
		bool is_own = v->pod == wanted->pod;

		n_own += is_own;
		if (is_own && (!own || v->used < own->used))
			own = v;
		if (!any || v->used < any->used)
			any = v;
	}
	return n_own >= PER_POD ? own : any;
}

/* That of an older verdict on the same token, which somebody else's word may have been, or a new one. */
static struct verdict *place_of(struct verdict *set, const struct verdict *wanted)
{
	for (struct verdict *v = set; v < set + WAYS; v++)
		if (is_same(v, wanted))
			return v;
	return make_room(set, wanted);
}

/* Whether it was there, in *v then. */
static bool recall(struct agent_tokens *tokens, struct verdict *v)
{
	struct verdict *set = set_of(tokens, v->pod), *found = NULL;

	pthread_mutex_lock(&tokens->lock);
	for (size_t i = 0; i < WAYS && !found; i++)
		if (is_same(&set[i], v))
			found = &set[i];
	if (found && found->good_ns && found->good_ns <= clock_boot_ns())
		found = NULL;
	if (found) {
		found->used = ++tokens->uses;
		*v = *found;
	}
	pthread_mutex_unlock(&tokens->lock);
	return found;
}

static void keep(struct agent_tokens *tokens, struct verdict *v)
{
	pthread_mutex_lock(&tokens->lock);
	v->used = ++tokens->uses;
	*place_of(set_of(tokens, v->pod), v) = *v;
	pthread_mutex_unlock(&tokens->lock);
}

/* ---- a verdict ---- */

static const char *const iss[] = {"iss", NULL}, *const sub[] = {"sub", NULL};
#define KUBERNETES(...)                                                                            \
	{                                                                                          \
		"kubernetes.io", __VA_ARGS__, NULL                                                 \
	}
static const char *const namespace[] = KUBERNETES("namespace");
static const char *const account[] = KUBERNETES("serviceaccount", "name");
static const char *const pod_uid[] = KUBERNETES("pod", "uid");
static const char *const pod_name[] = KUBERNETES("pod", "name");
static const char *const node[] = KUBERNETES("node");
static const char *const node_name[] = KUBERNETES("node", "name");

static bool has(const struct crypto_jwt *jwt, const char *const path[], const char *wanted)
{
	const char *text;

	return crypto_jwt_text(jwt, path, &text) == 0 && !strcmp(text, wanted);
}

/* NULL: by none of them. */
static const char *issuer_of(const struct crypto_jwt *jwt, const struct trust *trust)
{
	for (char *const *issuer = trust->issuers; issuer && *issuer; issuer++)
		if (has(jwt, iss, *issuer))
			return *issuer;
	return NULL;
}

/* The one that counts; NULL: it is for somebody else. */
static const char *audience_of(const struct crypto_jwt *jwt, const struct trust *trust,
			       enum upstream_purpose purpose)
{
	if (purpose == UPSTREAM_FOR_STS && crypto_jwt_is_for(jwt, trust->sts_audience))
		return trust->sts_audience;
	return crypto_jwt_is_for(jwt, trust->audience) ? trust->audience : NULL;
}

/* Tokens of service accounts name their subject twice. */
static bool is_bound(const struct crypto_jwt *jwt, const char **ret_uid)
{
	const char *ns, *sa;
	char subject[600];

	if (crypto_jwt_text(jwt, namespace, &ns) < 0 || crypto_jwt_text(jwt, account, &sa) < 0 ||
	    crypto_jwt_text(jwt, pod_uid, ret_uid) < 0 || !**ret_uid)
		return false;
	if (snprintf(subject, sizeof(subject), "system:serviceaccount:%s:%s", ns, sa) >=
	    (int)sizeof(subject))
		return false;
	return has(jwt, sub, subject);
}

/* Of clusters before 1.29 tokens name no node. */
static bool is_of_node(const struct crypto_jwt *jwt, const char *wanted)
{
	const char *text;

	return !wanted || crypto_jwt_text(jwt, node, &text) == -ENOENT ||
	       has(jwt, node_name, wanted);
}

static enum agent_reason judge(const struct crypto_jwt *jwt, const struct trust *trust,
			       const struct podcred_peer *peer, struct verdict *v)
{
	const char *uid;

	v->issuer = issuer_of(jwt, trust);
	v->audience = audience_of(jwt, trust, v->purpose);
	if (trust->issuers && !v->issuer)
		return AGENT_TOKEN_WRONG_ISSUER;
	if (!v->audience)
		return AGENT_TOKEN_WRONG_AUDIENCE;
	if (!is_bound(jwt, &uid))
		return AGENT_TOKEN_NOT_A_PODS;
	if (strcmp(uid, peer->pod_uid) != 0 || !has(jwt, pod_name, peer->pod_name))
		return AGENT_TOKEN_OTHER_POD;
	if (!has(jwt, namespace, peer->pod_namespace) || !has(jwt, account, peer->service_account))
		return AGENT_TOKEN_OTHER_ACCOUNT;
	return is_of_node(jwt, trust->node) ? AGENT_NO_REASON : AGENT_TOKEN_OTHER_NODE;
}

/* A token without an end is none. */
static bool read_times(const struct crypto_jwt *jwt, struct verdict *v)
{
	int r = crypto_jwt_time(jwt, "nbf", &v->from);

	return (r == 0 || r == -ENOENT) && crypto_jwt_time(jwt, "exp", &v->until) == 0;
}

static int verify(struct agent_tokens *tokens, const struct trust *trust, const char *token,
		  size_t len, const struct podcred_peer *peer, struct verdict *v)
{
	_cleanup_(crypto_jwt_freep) struct crypto_jwt *jwt = NULL;
	int r = crypto_jwt_verify(trust->keys, token, len, &jwt);

	if (r == -EINVAL || (r == 0 && !read_times(jwt, v)))
		v->reason = AGENT_TOKEN_MALFORMED;
	else if (r == -EKEYREJECTED)
		v->reason = AGENT_TOKEN_BAD_SIGNATURE;
	else if (r == -ENOKEY)
		v->reason = AGENT_TOKEN_UNKNOWN_KEY;
	else if (r < 0)
		return r;
	else
		v->reason = judge(jwt, trust, peer, v);
	keep(tokens, v);
	return 0;
}

static enum agent_reason reason_at(const struct verdict *v, time_t now)
{
	if (v->reason)
		return v->reason;
	if (now >= v->until)
		return AGENT_TOKEN_EXPIRED;
	return now + AGENT_TOKENS_AHEAD_S < v->from ? AGENT_TOKEN_NOT_YET_VALID : AGENT_NO_REASON;
}

/* ---- what the API server says ---- */

/* Three parts of base64url: else it need not be asked. */
static bool looks_like_token(const char *token, size_t len)
{
	static const char characters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
					 "0123456789-_.";
	unsigned dots = 0;

	for (size_t i = 0; i < len; i++) {
		bool dot = token[i] == '.';

		if (!token[i] || !strchr(characters, token[i]) ||
		    (dot && (i == 0 || i == len - 1 || token[i - 1] == '.')))
			return false;
		dots += dot;
	}
	return dots == 2 && len <= CRYPTO_JWT_MAX_SIZE;
}

static int review(struct agent_tokens *tokens, const struct trust *trust, const char *token,
		  size_t len, const struct podcred_peer *peer, struct verdict *v)
{
	struct agent_review question = {
		.peer = *peer, .purpose = v->purpose, .trust = trust->number};
	int r;

	v->reason = AGENT_TOKEN_MALFORMED;
	if (!looks_like_token(token, len))
		return 0;
	v->reason = AGENT_TOKEN_NOT_REVIEWED;
	memcpy(question.hash, v->hash, sizeof(question.hash));
	r = tokens->reviews ? agent_reviews_ask(tokens->reviews, &question, token, len) : -EBUSY;
	return r == -EBUSY ? 0 : r;
}

/* The token is genuine; is it the pod's? */
static enum agent_reason judge_verdict(const struct upstream_verdict *m,
				       const struct podcred_peer *peer)
{
	if (!m->pod_uid[0])
		return AGENT_TOKEN_NOT_A_PODS;
	if (strcmp(m->pod_uid, peer->pod_uid) != 0)
		return AGENT_TOKEN_OTHER_POD;
	if (strcmp(m->name_space, peer->pod_namespace) != 0 ||
	    strcmp(m->service_account, peer->service_account) != 0)
		return AGENT_TOKEN_OTHER_ACCOUNT;
	return AGENT_NO_REASON;
}

static enum agent_reason judge_refusal(const struct upstream_refusal *m)
{
	if (m->reason == UPSTREAM_TOKEN_EXPIRED)
		return AGENT_TOKEN_EXPIRED;
	return m->reason == UPSTREAM_TOKEN_INVALID ? AGENT_TOKEN_NOT_ACCEPTED
						   : AGENT_TOKEN_NOT_REVIEWED;
}

static uint64_t good_until(uint64_t ms, uint64_t most)
{
	return clock_boot_ns() + (ms < most ? ms : most) * CLOCK_MS;
}

static void on_review(void *arg, const struct agent_review *question,
		      const struct upstream_message *answer)
{
	struct agent_tokens *tokens = arg;
	const struct podcred_peer *peer = &question->peer;
	struct verdict v = {.pod = peer->pod_cgroup_id,
			    .generation = peer->generation,
			    .trust = question->trust,
			    .purpose = question->purpose,
			    .until = INT64_MAX};

	memcpy(v.hash, question->hash, sizeof(v.hash));
	if (answer->type == UPSTREAM_VERDICT) {
		v.reason = judge_verdict(&answer->verdict, peer);
		v.good_ns = good_until(answer->verdict.valid_ms, AGENT_TOKENS_REVIEW_MS);
	} else {
		v.reason = judge_refusal(&answer->refusal);
		v.good_ns = good_until(answer->refusal.retry_ms, AGENT_TOKENS_REFUSAL_MS);
	}
	/* whoever waits sees it, however short it counts */
	if (v.good_ns < clock_boot_ns() + LEAVES_REFUSAL_MIN_MS * CLOCK_MS)
		v.good_ns = clock_boot_ns() + LEAVES_REFUSAL_MIN_MS * CLOCK_MS;
	keep(tokens, &v);
	tokens->options.wake(tokens->options.wake_arg, agent_leaves_key(peer));
}

void agent_tokens_connected(struct agent_tokens *tokens, bool connected)
{
	if (tokens->reviews)
		agent_reviews_connected(tokens->reviews, connected);
}

/* Our own verdicts stay. */
static void forget_reviews(struct agent_tokens *tokens)
{
	pthread_mutex_lock(&tokens->lock);
	for (size_t i = 0; i < SETS * WAYS; i++) {
		struct verdict *v = &tokens->verdicts[i / WAYS][i % WAYS];

		if (v->good_ns)
			*v = (struct verdict){};
	}
	pthread_mutex_unlock(&tokens->lock);
}

void agent_tokens_told(struct agent_tokens *tokens, const struct upstream_message *m)
{
	if (m->type == UPSTREAM_FLUSH && !m->flush.pod_uid)
		forget_reviews(tokens);
	else if (tokens->reviews)
		agent_reviews_told(tokens->reviews, m);
}

void agent_tokens_sweep(struct agent_tokens *tokens)
{
	if (tokens->reviews)
		agent_reviews_sweep(tokens->reviews);
}

/* ---- a request ---- */

/* By what is trusted now; *v has the hash of the token, but no reason yet. */
static int check(struct agent_tokens *tokens, const struct trust *trust, const char *token,
		 size_t len, const struct podcred_peer *peer, struct verdict *v)
{
	int r = 0;

	v->trust = trust->number;
	if (!recall(tokens, v)) {
		r = trust->verify == AGENT_VERIFY_REVIEW
			    ? review(tokens, trust, token, len, peer, v)
			    : verify(tokens, trust, token, len, peer, v);
	}
	if (r == 0 && v->reason == AGENT_TOKEN_UNKNOWN_KEY)
		miss_key(tokens, trust);
	return r;
}

int agent_tokens_check(struct agent_tokens *tokens, const struct agent_token *token,
		       const struct podcred_peer *peer, time_t now, enum agent_reason *ret)
{
	_cleanup_(cleanup_trust) struct trust *trust = NULL;
	struct verdict v = {.pod = peer->pod_cgroup_id,
			    .generation = peer->generation,
			    .purpose = token->purpose};
	int r = take_trust(tokens, peer, &trust);

	if (!trust) {
		*ret = AGENT_TOKEN_KEYS_MISSING;
		return r == -EBUSY ? 0 : r;
	}
	*ret = !token->text && trust->verify != AGENT_VERIFY_OFF ? AGENT_NO_AUTHORIZATION
								 : AGENT_NO_REASON;
	if (!token->text || trust->verify == AGENT_VERIFY_OFF)
		return 0;
	r = crypto_sha256(token->text, token->len, v.hash)
		    ?: check(tokens, trust, token->text, token->len, peer, &v);
	if (r == 0)
		*ret = reason_at(&v, now);
	return r;
}

/* What is too long is left out. */
static void copy_claim(char ret[AGENT_TOKENS_CLAIM_SIZE], const char *text)
{
	if (text && strlen(text) < AGENT_TOKENS_CLAIM_SIZE)
		strcpy(ret, text);
}

/* The texts of a verdict are those of its trust, which is held meanwhile. */
void agent_tokens_claims(struct agent_tokens *tokens, const struct agent_token *token,
			 const struct podcred_peer *peer, struct agent_token_claims *ret)
{
	_cleanup_(cleanup_trust) struct trust *trust = NULL;
	struct verdict v = {.pod = peer->pod_cgroup_id,
			    .generation = peer->generation,
			    .purpose = token->purpose};

	*ret = (struct agent_token_claims){};
	if (take_trust(tokens, peer, &trust) < 0 || !trust ||
	    crypto_sha256(token->text, token->len, v.hash) < 0)
		return;
	v.trust = trust->number;
	if (!recall(tokens, &v))
		return;
	copy_claim(ret->audience, v.audience);
	copy_claim(ret->issuer, v.issuer);
}
