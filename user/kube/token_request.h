/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A token of a service account, made by the API server for one audience and bound to one pod: it ends with the pod. Who
 * asks needs the right to create serviceaccounts/token.
 */
#pragma once

#include <stdint.h>
#include <time.h>

struct kube_client;
struct kube_token_request;
struct pc_err;

#define KUBE_TOKEN_REQUEST_MIN_S 600

struct kube_token_request_result {
	/* 0, or as http_result has it; -EPERM: we may not ask for it; -ENOENT: the API server has no such service account,
	 * or no such pod of it; -EPROTO: what it sends is no TokenRequest; -EAGAIN: it is not well. */
	int error;
	const char *why; /* one line for people, with the next step; empty when error is 0 */
	const char *token; /* wiped when the function that is given it returns */
	time_t expires;
};

struct kube_token_request_options {
	const char *name_space, *service_account;
	const char *pod_name, *pod_uid;
	const char *audience;
	unsigned seconds; /* the API server may give fewer */
	void (*done)(void *arg, const struct kube_token_request_result *result);
	void *arg;
};

/* done is called once, unless this is cancelled; the pointer is void then. -EINVAL: names that no object has; -ENOMEM. */
int kube_token_request_start(struct kube_client *client,
			     const struct kube_token_request_options *options,
			     struct kube_token_request **ret, struct pc_err *err);

/* Nobody is called any more. Returns NULL; NULL is fine. */
struct kube_token_request *kube_token_request_cancel(struct kube_token_request *request);
