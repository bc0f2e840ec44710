/* SPDX-License-Identifier: Apache-2.0 */
/* The version of the API server. */
#pragma once

struct kube_client;
struct kube_version;
struct pc_err;

#define KUBE_VERSION_SIZE 16

struct kube_version_result {
	/* 0, or as http_result has it; -EPERM, -ENOENT, -EAGAIN: the API server does not say; -EPROTO: not in the
	 * way that it should */
	int error;
	const char *why; /* one line for people; empty when error is 0 */
	char version[KUBE_VERSION_SIZE]; /* "1.34" */
};

/* done is called once, unless this is cancelled; the pointer is void then, and so is the result when done returns. -ENOMEM. */
int kube_version_start(struct kube_client *client,
		       void (*done)(void *arg, const struct kube_version_result *result), void *arg,
		       struct kube_version **ret, struct pc_err *err);

/* Nobody is called any more. Returns NULL; NULL is fine. */
struct kube_version *kube_version_cancel(struct kube_version *version);
