/* SPDX-License-Identifier: Apache-2.0 */
/* One request to the API server whose answer is read as a whole, in memory that is wiped. Of this module alone. */
#pragma once

#include <stddef.h>

#include "base/text.h"

struct http_result;
struct kube_call;
struct kube_client;
struct pc_err;

/* Part of whoever asks. All zero: nothing is asked. */
struct kube_ask {
	struct kube_call *call; /* NULL: it is over */
	unsigned status;
	struct text answer; /* with a NUL behind it when done is called, which counts */
	void (*done)(void *arg, struct kube_ask *ask, const struct http_result *result);
	void *arg;
};

/* accept: as kube_call_options has it. body NULL: GET, else POST. done and arg are set. -EINVAL, -ENOMEM. */
int kube_ask_start(struct kube_ask *ask, struct kube_client *client, const char *path,
		   const char *accept, const struct text *body, size_t max, struct pc_err *err);

/* Nobody is called any more; wipes the answer. */
void kube_ask_cancel(struct kube_ask *ask);

/* What became of it: 0, or -EPERM, -ENOENT, -EAGAIN, -EPROTO by the status, or what the connection has. what: was asked
 * for, as a noun. right: what podcred needs, for -EPERM. */
int kube_ask_check(const struct kube_ask *ask, const struct http_result *result, const char *what,
		   const char *right, struct pc_err *err);
