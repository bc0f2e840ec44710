/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the sources that ask AWS have in common. A first call, which differs: with the node's own credentials, or with a
 * token, or both. Then, if the association has a second role, AssumeRole with what the first one gave.
 */
#pragma once

#include "aws/client.h"
#include "fetch/source.h"

struct fetch_aws_job;

struct fetch_aws_kind {
	const char *
		token_audience; /* a token of the pod is asked for first; NULL: none, or there is one already */
	bool with_node; /* the first call is signed by the node's credentials */
	bool brokered; /* the first call is the broker's, not one of AWS */
	bool own_token; /* the first call shows a token that podcred has signed */
	/* What is wrong with what the first call gave, which may be meant for another pod: *ret_class and the reason;
	 * NULL: nothing. NULL itself: it cannot be another's. */
	const char *(*misfit)(const struct fetch_request *request,
			      const struct aws_session *session, enum fetch_class *ret_class);
	/* The first call, which ends in fetch_aws_on_session(). keys: NULL unless with_node. */
	int (*call)(struct fetch_aws_job *job, const struct aws_keys *keys, struct pc_err *err);
};

struct fetch_aws_job {
	struct fetch_job job;
	const struct fetch_env *env;
	const struct fetch_request *request;
	struct fetch_aws_kind kind;
	fetch_done_fn *done;
	void *arg;

	struct loop_timer *kick;
	struct kube_token_request *token_request;
	char *token; /* of the pod; NULL: none was needed */
	struct fetch_wait *wait; /* for the node's credentials */
	struct fetch_value *node;
	struct aws_call *call;
	struct aws_session session; /* what the first call gave, while the second one is made */
	size_t hop;
	bool again; /* the node's credentials were refused once */
	bool hour; /* STS gives no more than an hour */
};

int fetch_aws_start(const struct fetch_env *env, const struct fetch_request *request,
		    const struct fetch_aws_kind *kind, fetch_done_fn *done, void *arg,
		    struct fetch_job **ret, struct pc_err *err);

/* An aws_session_fn; arg is the job. */
void fetch_aws_on_session(void *arg, const struct aws_result *result, struct aws_session *session);

/* AssumeRoleWithWebIdentity of the request's first role. */
int fetch_aws_assume_by_token(struct fetch_aws_job *job, const char *token, struct pc_err *err);

/* AssumeRole of the request's role number hop. */
int fetch_aws_assume(struct fetch_aws_job *job, size_t hop, const struct aws_keys *keys,
		     struct pc_err *err);
