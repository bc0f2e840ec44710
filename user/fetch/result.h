/* SPDX-License-Identifier: Apache-2.0 */
/* What came of an attempt to get credentials, and the credentials. */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <time.h>

/* By what helps: it decides how soon it is tried again, and what the pod is told. */
enum fetch_class {
	FETCH_GRANTED,
	FETCH_ABSENT, /* nothing is associated with the pod */
	FETCH_NOT_ALLOWED, /* the cluster's administrator does not let the namespace have the role */
	FETCH_DENIED, /* whoever makes the credentials does not want to */
	FETCH_INVALID, /* the request cannot be granted as it is: configuration, limits */
	FETCH_TOKEN, /* the token that came with the question: refused, or at its end */
	FETCH_NODE, /* the node's own credentials: none, refused, or at their end */
	FETCH_THROTTLED,
	FETCH_UNAVAILABLE, /* no answer, one of a server in trouble, or no credentials of the node now */
	FETCH_BROKEN, /* podcred itself: no memory, a defect */
};

/* One word, for logs and for the agent: "granted", "absent", ... */
const char *fetch_class_name(enum fetch_class class);

/* What a source reports. All texts are the source's, and valid while the function is called. */
struct fetch_result {
	enum fetch_class class;
	const char *why; /* not granted: one line without secrets. NULL: nothing to say */
	uint64_t retry_after_ns; /* not granted: no sooner than that. 0: nobody said so */

	/* granted */
	const char *access_key_id, *secret_access_key;
	const char *session_token; /* NULL: none, as long-lived keys have */
	uint64_t good_ns; /* from now; 0: they do not end by themselves */
	time_t expiration; /* the same for people; 0: none */
	const char *
		role_arn; /* as they were granted: "arn:aws:sts::...:assumed-role/R/S"; NULL: unknown */
	const char *account_id; /* NULL: unknown */
	const char *session_name; /* NULL: none */
	const char *role_id; /* "AROA...:SESSION"; NULL: unknown */
	unsigned packed_percent; /* of what AWS allows for tags and policy together; 0: unknown */
};

/* Credentials, counted, in memory for secrets that is wiped with the last reference. */
struct fetch_value {
	unsigned refs;
	unsigned packed_percent; /* as in the result */
	time_t expiration;
	const char *access_key_id, *secret_access_key, *session_token; /* the last may be NULL */
	const char *role_arn, *account_id, *session_name, *role_id; /* NULL: unknown */
};

/* A copy of what was granted. NULL: no memory, or far too much. */
struct fetch_value *fetch_value_new(const struct fetch_result *result);
struct fetch_value *fetch_value_ref(struct fetch_value *value);

/* Returns NULL; NULL is fine. */
struct fetch_value *fetch_value_unref(struct fetch_value *value);
static inline void fetch_value_unrefp(struct fetch_value **value)
{
	fetch_value_unref(*value);
}
