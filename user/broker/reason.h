/* SPDX-License-Identifier: Apache-2.0 */
/* How a request ends: what the log and the counters call it, and what the caller is told. */
#pragma once

#include <stdbool.h>

enum broker_reason {
	BROKER_GRANTED,
	/* the request */
	BROKER_BAD_REQUEST, /* no body, or not one of this operation */
	BROKER_TOO_LARGE,
	BROKER_NO_OPERATION, /* no such path or method */
	BROKER_OTHER_CLUSTER,
	BROKER_BUSY,
	/* who asks */
	BROKER_NO_TOKEN, /* it shows nothing */
	BROKER_CALLER_REFUSED, /* what it shows: expired, another audience, made up */
	BROKER_BAD_SIGNATURE, /* SigV4 */
	BROKER_CLOCK, /* signed too long ago, or too early */
	BROKER_KEYS_EXPIRED, /* the keys that it was signed with */
	BROKER_CALLER_NOT_LISTED, /* not a service account that may ask */
	BROKER_CALLER_NOT_OF_POD, /* its token is not bound to a pod */
	BROKER_CALLER_GONE, /* the pod of that token has ended, or is another one */
	BROKER_NODE_REPLACED, /* the caller's node is not the one of that name any more */
	/* about whom */
	BROKER_POD_TOKEN_REFUSED,
	BROKER_POD_UNKNOWN,
	BROKER_POD_ENDED,
	BROKER_OTHER_NODE, /* it runs on another node than the caller */
	BROKER_OTHER_POD, /* token and uid are of two pods */
	BROKER_NO_ACCOUNT, /* a pod without a service account */
	/* what is asked of others */
	BROKER_API_AWAY, /* nobody can say whether a token is good */
	BROKER_NO_ASSOCIATION,
	BROKER_ROLE_NOT_ALLOWED, /* no policy lets the namespace have it */
	BROKER_DENIED, /* AWS */
	BROKER_INVALID, /* the association asks for what AWS never gives */
	BROKER_THROTTLED,
	BROKER_UPSTREAM, /* AWS cannot be reached, or the broker has no credentials of its own */
	BROKER_LATE, /* AWS has not answered in time; the next question finds the answer */
	BROKER_BROKEN,
	BROKER_REASONS,
};

/* One word, as other_node. */
const char *broker_reason_name(enum broker_reason reason);

struct broker_refusal {
	unsigned status; /* of HTTP */
	const char *code; /* of EKS Auth: "AccessDeniedException" */
	const char *message;
};

/* Not of BROKER_GRANTED. */
const struct broker_refusal *broker_reason_refusal(enum broker_reason reason);
