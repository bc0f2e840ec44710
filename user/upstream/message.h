/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What podcred serve, which faces pods, and podcred fetch, which holds the node's own credentials, say to each
 * other. A message is one JSON object and one packet. Questions have an id, which the answer repeats: one of the
 * type that belongs to the question, or a refusal.
 *
 * Moments are times from now, in milliseconds, because the wall clock may step. The end of credentials is the
 * exception, as AWS and SDKs have it on the wall.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include "base/err.h"

struct text;

#define UPSTREAM_VERSION     1 /* of this protocol: both ends have the same one */
#define UPSTREAM_MESSAGE_MAX 65536 /* bytes */
#define UPSTREAM_LIST_MAX    8 /* entries of a list */
#define UPSTREAM_WAIT_MAX_MS (86400ULL * 1000) /* no "ask again" is later than that */

/* Sizes with NUL of what has a bound of its own. */
#define UPSTREAM_TOKEN_SIZE   16385 /* also of a session token */
#define UPSTREAM_KEY_SIZE     257 /* an access key's id, and its secret */
#define UPSTREAM_TEXT_SIZE    513 /* a line for people */
#define UPSTREAM_ROLE_SIZE    65
#define UPSTREAM_ARN_SIZE     2049
#define UPSTREAM_ACCOUNT_SIZE 13
#define UPSTREAM_SESSION_SIZE 65
#define UPSTREAM_ROLE_ID_SIZE 194 /* STS's own bound */
#define UPSTREAM_SOURCE_SIZE  33
#define UPSTREAM_NAME_SIZE    254
#define UPSTREAM_UID_SIZE     64
#define UPSTREAM_PATH_SIZE    1025
#define UPSTREAM_URL_SIZE     1025 /* an issuer, an audience */
#define UPSTREAM_BODY_SIZE    49153 /* a document, a JWKS */

enum upstream_type {
	UPSTREAM_HELLO, /* the first message of whoever dials */
	/* serve asks fetch */
	UPSTREAM_CREDENTIALS, /* answered by GRANT */
	UPSTREAM_REVIEW, /* a pod's token; answered by VERDICT */
	UPSTREAM_METADATA, /* a path of the node's IMDS; answered by DOCUMENT */
	/* fetch answers serve */
	UPSTREAM_GRANT,
	UPSTREAM_VERDICT,
	UPSTREAM_DOCUMENT,
	UPSTREAM_REFUSAL, /* answers any question */
	/* notices, which nobody answers */
	UPSTREAM_KEYS, /* fetch to serve: how to verify tokens */
	UPSTREAM_FLUSH, /* fetch to serve: forget what was told */
	UPSTREAM_WANT_KEYS, /* serve to fetch: a token names a key that is not among them */
	UPSTREAM_GONE, /* resolver to serve, serve to fetch: a pod's cgroup was removed */
	UPSTREAM_TYPES,
};

enum upstream_role {
	UPSTREAM_FETCH,
	UPSTREAM_RESOLVE,
	UPSTREAM_ROLES,
};

/* Why nothing is granted. serve makes an HTTP status of it, so each word says what a client should do. */
#define UPSTREAM_REASONS(X)                                                                        \
	X(NO_ASSOCIATION, no_association) /* nothing says which role the pod gets */               \
	X(NOT_ALLOWED, not_allowed) /* the namespace may not have the role: role policies */       \
	X(DENIED, denied) /* AWS refuses the role: trust policy, permission */                     \
	X(INVALID, invalid) /* AWS cannot make sense of what the association asks for */           \
	X(THROTTLED, throttled) /* AWS wants fewer requests */                                     \
	X(UNAVAILABLE, unavailable) /* out of reach, slow, or broken */                            \
	X(NODE_CREDENTIALS,                                                                        \
	  node_credentials) /* the node's own are missing, refused or at an end */                 \
	X(TOKEN_INVALID, token_invalid) /* the token that came with the question */                \
	X(TOKEN_EXPIRED, token_expired) /* the same */                                             \
	X(NOT_FOUND, not_found) /* no such document */                                             \
	X(BUSY, busy) /* a limit of fetch itself */                                                \
	X(INTERNAL, internal) /* a bug */

enum upstream_reason {
#define X(name, text) UPSTREAM_##name,
	UPSTREAM_REASONS(X)
#undef X
		UPSTREAM_REASON_MAX,
};

/* Where fetch had its answer from. */
enum upstream_cache {
	UPSTREAM_CACHE_MISS, /* it was made for this question, or waited for */
	UPSTREAM_CACHE_HIT,
	UPSTREAM_CACHE_REFRESH, /* a hit, and a newer one is being made */
	UPSTREAM_CACHE_STALE, /* a newer one could not be made; this one still lives */
	UPSTREAM_CACHE_MAX,
};

enum upstream_verify {
	UPSTREAM_VERIFY_OFF,
	UPSTREAM_VERIFY_JWKS, /* by the keys in this message */
	UPSTREAM_VERIFY_REVIEW, /* by UPSTREAM_REVIEW */
	UPSTREAM_VERIFY_MAX,
};

/* What a pod's token is for, by the service that it was sent to. */
enum upstream_purpose {
	UPSTREAM_FOR_POD_IDENTITY,
	UPSTREAM_FOR_STS,
	UPSTREAM_PURPOSES,
};

/* As the kernel says it, not as the pod does. */
struct upstream_pod {
	const char *name_space, *name, *uid, *service_account;
};

struct upstream_hello {
	uint64_t version;
	enum upstream_role role;
};

struct upstream_credentials {
	uint64_t id;
	struct upstream_pod pod;
	const char *token; /* of the pod, for EKS Auth; NULL: it sent none */
};

struct upstream_review {
	uint64_t id;
	const char *token;
	enum upstream_purpose purpose;
};

struct upstream_metadata {
	uint64_t id;
	const char *path; /* "/latest/meta-data/placement/region" */
};

struct upstream_grant {
	uint64_t id;
	const char *access_key_id, *secret_access_key;
	const char *session_token; /* NULL: long-lived keys have none */
	time_t expiration; /* wall clock; for what does not end, some hours from now */
	uint64_t refresh_ms; /* ask again from then on, while this is served */
	const char *role; /* the name alone, as IMDS lists it */
	const char *role_arn, *account_id, *session_name; /* NULL: not known */
	const char *role_id; /* "AROA...:SESSION", as AWS calls the session; NULL: not known */
	const char *source; /* "sts", for the audit line */
	enum upstream_cache cache;
};

struct upstream_refusal {
	uint64_t id;
	enum upstream_reason reason;
	const char *message; /* one line for whoever runs the pod; names no secret */
	uint64_t retry_ms; /* it is the same until then; 0: ask again at once */
	const char *role_arn, *source; /* NULL: not known */
};

/* The token is genuine, for this audience, and not expired; whose it is, serve compares. */
struct upstream_verdict {
	uint64_t id;
	const char *name_space, *service_account, *pod_uid;
	uint64_t valid_ms; /* ask again then */
};

struct upstream_document {
	uint64_t id;
	const char *content_type; /* NULL: text/plain */
	const char *body;
	uint64_t valid_ms; /* ask again then */
};

struct upstream_list {
	const char *v[UPSTREAM_LIST_MAX];
	size_t n;
};

/* Replaces what was said before. */
struct upstream_keys {
	enum upstream_verify verify;
	struct upstream_list issuers; /* any of them */
	const char *audience; /* NULL: EKS Pod Identity's */
	const char *sts_audience; /* at STS, beside that; NULL: STS's */
	const char *jwks; /* text of the document; NULL unless UPSTREAM_VERIFY_JWKS */
};

struct upstream_flush {
	const char *pod_uid; /* NULL: of all pods, and documents and verdicts */
};

struct upstream_gone {
	const char *pod_uid;
};

struct upstream_message {
	enum upstream_type type;
	union {
		struct upstream_hello hello;
		struct upstream_credentials credentials;
		struct upstream_review review;
		struct upstream_metadata metadata;
		struct upstream_grant grant;
		struct upstream_verdict verdict;
		struct upstream_document document;
		struct upstream_refusal refusal;
		struct upstream_keys keys;
		struct upstream_flush flush;
		struct upstream_gone gone;
	};
};

/* Words of the wire, also for logs and metrics. */
const char *upstream_type_name(enum upstream_type type);
const char *upstream_reason_name(enum upstream_reason reason);
const char *upstream_cache_name(enum upstream_cache cache);

/* ret: empty before; the caller wipes it with text_done(), also on error. 0, -EINVAL for what no end may say,
 * -EMSGSIZE, -ENOMEM. */
int upstream_encode(const struct upstream_message *m, struct text *ret);

/* Owns the strings of its message. */
struct upstream_decoded {
	struct upstream_message m;
	void *json;
};

/*
 * Exactly the members that a type has, with the types and sizes they have, once each: anything else is -EINVAL,
 * and err says what, without quoting it. -ENOMEM. ret is written on success only.
 */
int upstream_decode(const char *data, size_t len, struct upstream_decoded *ret, struct pc_err *err);
void upstream_decoded_done(struct upstream_decoded *d);

/* For the whole process, before any thread starts: memory of the JSON library is wiped when it is freed. */
void upstream_wipe_json(void);
