/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The admission webhook: pods whose service account has an association get the variables that SDKs look for. An
 * AdmissionReview (v1) in, its answer out. It never refuses a pod: what it cannot read, or cannot change, is let through as it
 * is. Pure; from any thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/k8s_name.h"
#include "base/text.h"

/* An API server takes objects of 3 MiB; etcd, none of more than 1.5. */
#define CONTROL_REVIEW_MAX (2U << 20)

/* What is injected. */
enum control_style {
	/* EKS Pod Identity's: AWS_CONTAINER_CREDENTIALS_FULL_URI, AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE */
	CONTROL_STYLE_CONTAINER,
	/* IRSA's, with the agent as STS: AWS_ROLE_ARN, AWS_WEB_IDENTITY_TOKEN_FILE, AWS_ENDPOINT_URL_STS */
	CONTROL_STYLE_WEB_IDENTITY,
};

#define CONTROL_EXPIRATION_MIN 600 /* seconds, as the API server has it */
#define CONTROL_EXPIRATION_MAX 86400

/* Strings are the owner's. */
struct control_inject {
	enum control_style style;
	bool override_irsa; /* take IRSA's variables out; else such containers stay as they are */
	bool ipv6; /* pods reach the agent by IPv6 */
	const char *region; /* AWS_REGION and AWS_DEFAULT_REGION; NULL: not set */
	unsigned expiration; /* of the token, in seconds; 0: CONTROL_EXPIRATION_MAX */
};

#define CONTROL_ARN_SIZE     2049
#define CONTROL_TROUBLE_SIZE 160

/* What is known of a service account. */
struct control_found {
	bool exists; /* there is an association, one that cannot be used included */
	char role_arn[CONTROL_ARN_SIZE]; /* empty: not known */
	char trouble
		[CONTROL_TROUBLE_SIZE]; /* why its pods get nothing as yet, for people; empty: nothing is */
};

/* 0, or -EAGAIN: not known yet. ret is empty before. */
typedef int control_find_fn(void *arg, const char *name_space, const char *service_account,
			    struct control_found *ret);

enum control_verdict {
	CONTROL_INJECTED,
	CONTROL_UNCHANGED, /* it has everything already */
	CONTROL_NO_ASSOCIATION,
	CONTROL_NOT_KNOWN, /* the associations have not been listed yet */
	CONTROL_OPTED_OUT, /* the pod, or each container, says so */
	CONTROL_UNFIT, /* Windows, a mirror of a static pod, or something of the pod is in the way */
	CONTROL_FOREIGN, /* no pod that is created */
	CONTROL_UNREADABLE, /* no AdmissionReview: the answer is a status, not a review */
	CONTROL_FAILED, /* no memory, or a patch that would not apply */
	CONTROL_VERDICTS,
};

/* One word, as a label of a metric. */
const char *control_verdict_name(enum control_verdict verdict);

#define CONTROL_WHY_SIZE 256

/* For the log. */
struct control_outcome {
	enum control_verdict verdict;
	char name_space[K8S_LABEL_SIZE], service_account[K8S_SUBDOMAIN_SIZE],
		pod[K8S_SUBDOMAIN_SIZE]; /* empty: not known; a name that the API server is to complete ends in '-' */
	char why[CONTROL_WHY_SIZE]; /* one line, also shown to whoever creates the pod; empty: nothing to say */
};

/*
 * The status, 200 or 400, and the body of an answer: JSON, or one line of text. inject, find: as above. ret is empty
 * before, and its max is set here.
 */
unsigned control_webhook(const struct control_inject *inject, control_find_fn *find, void *arg,
			 const void *body, size_t len, struct text *ret,
			 struct control_outcome *ret_outcome);
