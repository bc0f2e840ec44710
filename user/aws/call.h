/* SPDX-License-Identifier: Apache-2.0 */
/* One call with its attempts. What is asked, and what the answer means, is for sts.c, eks_auth.c
 * and imds.c. */
#pragma once

#include <stdbool.h>
#include <sys/queue.h>

#include "aws/answer.h"
#include "aws/endpoint.h"
#include "aws/imds.h"
#include "aws/sts.h"
#include "base/text.h"
#include "crypto/certificate.h"
#include "http/client.h"

#define AWS_TARGET_SIZE 1024
#define AWS_CODE_SIZE	65
#define AWS_CODE_CHARS	"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-"

TAILQ_HEAD(aws_calls, aws_call);

/* What the calls to one place share. */
struct aws_origin {
	struct loop *loop;
	struct http_client *http;
	char *ca, *proxy, *no_proxy;
	uint64_t deadline_ns, attempt_ns, connect_ns;
	time_t skew; /* what has to be added to this node's clock */
	struct aws_calls calls;
};

struct aws_call {
	TAILQ_ENTRY(aws_call) entry;
	struct aws_origin *origin;
	struct loop_timer *timer; /* the next attempt */
	struct http_call *http; /* the present one */

	/* what is asked; filled in by the operation */
	const struct aws_endpoint *endpoint;
	const char *service; /* as it is signed */
	const char *region;
	const char *method;
	char target[AWS_TARGET_SIZE]; /* behind the endpoint's prefix */
	const char *content_type; /* NULL: no body */
	struct text body;
	char *header; /* one more line; NULL: none */
	char *access_key_id, *secret_access_key, *session_token; /* with AWS_CALL_SIGNED */
	struct crypto_certificate
		*certificate; /* signs, with its key, in place of those; NULL: none */
	struct crypto_key *key;
	char *token; /* with AWS_CALL_TOKEN */
	unsigned kind; /* AWS_CALL_... */
	size_t max_answer;

	/* ---- the operation's functions ---- */

	/* An attempt is about to be made. 0: go on; 1: it waits until somebody calls
	 * aws_call_attempt(); -ENOMEM. May be NULL. */
	int (*before)(struct aws_call *call);
	/* An answer of success. 0: that was all; 1: another request has been filled in; -EBADMSG: it
	 * is none; -ENOENT: there is no such thing; -EACCES: error_type says why not; -ENOMEM. */
	int (*read)(struct aws_call *call);
	/* Whether one more attempt is worth while now. May be NULL. */
	bool (*refused)(struct aws_call *call, enum aws_class class);
	/* Calls the owner. */
	void (*end)(struct aws_call *call, const struct aws_result *result);
	void *context; /* of those functions */
	unsigned step;
	bool optional; /* read is called for status 404 too */
	bool waiting; /* before has said so */

	/* the owner's */
	union {
		aws_session_fn *session;
		aws_identity_fn *identity;
		aws_imds_fn *imds;
		aws_place_fn *place;
	} done;
	void *arg;

	/* what became of it */
	uint64_t deadline_ns; /* of CLOCK_MONOTONIC */
	unsigned attempts, tries; /* in all; of this request */
	bool corrected; /* the clock; once */
	bool renewed; /* for refused; once */
	time_t signed_at;
	unsigned status;
	time_t date;
	uint64_t retry_after_ns;
	char error_type[128], request_id[128], ttl[16];
	struct text answer;
	enum aws_class class;

	struct aws_session session;
	struct aws_identity identity;
	struct aws_place place;
};

/* Copies the texts; may be given NULL for each. -ENOMEM: nothing is to be undone. */
int aws_origin_init(struct aws_origin *origin, const char *ca, const char *proxy,
		    const char *no_proxy);

/* Cancels the calls. */
void aws_origin_done(struct aws_origin *origin);

/* An empty one, to be filled in. -ENOMEM. */
int aws_call_new(struct aws_origin *origin, struct aws_call **ret);

/* -ENOMEM. */
int aws_call_set_keys(struct aws_call *call, const struct aws_keys *keys);

/* The first attempt is made by the loop. */
void aws_call_begin(struct aws_call *call);

/* The next attempt, now. */
void aws_call_attempt(struct aws_call *call);

/* Ends it, without an answer of its own. */
void aws_call_fail(struct aws_call *call, enum aws_class class, const char *detail);

/* Ends it as another call ended that it has waited for. */
void aws_call_end_as(struct aws_call *call, const struct aws_result *result);
