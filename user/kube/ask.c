// SPDX-License-Identifier: Apache-2.0
#include "kube/ask.h"

#include <errno.h>

#include "base/clock.h"
#include "base/err.h"
#include "kube/client.h"

#define TOTAL_NS (10 * CLOCK_S)

static int on_head(void *arg, const struct http_head *head)
{
	((struct kube_ask *)arg)->status = head->status;
	return 0;
}

static int on_data(void *arg, const void *data, size_t len)
{
	struct kube_ask *ask = arg;

	text_add_bytes(&ask->answer, data, len);
	return text_error(&ask->answer);
}

static void on_done(void *arg, const struct http_result *result)
{
	struct kube_ask *ask = arg;

	ask->call = NULL;
	text_add_bytes(&ask->answer, "", 1);
	ask->done(ask->arg, ask, result);
}

int kube_ask_start(struct kube_ask *ask, struct kube_client *client, const char *path,
		   const char *accept, const struct text *body, size_t max, struct pc_err *err)
{
	const struct kube_call_options call = {
		.method = body ? "POST" : NULL,
		.path = path,
		.accept = accept,
		.body = body ? body->data : NULL,
		.body_len = body ? body->len : 0,
		.total_ns = TOTAL_NS,
		.max_body = max,
		.on_head = on_head,
		.on_data = on_data,
		.on_done = on_done,
		.arg = ask,
	};

	ask->answer.max = max + 1;
	if (body && text_error(body) < 0)
		return pc_err_set(err, text_error(body), "no memory");
	return kube_call_start(client, &call, &ask->call, err);
}

void kube_ask_cancel(struct kube_ask *ask)
{
	ask->call = kube_call_cancel(ask->call);
	text_done(&ask->answer);
}

int kube_ask_check(const struct kube_ask *ask, const struct http_result *result, const char *what,
		   const char *right, struct pc_err *err)
{
	if (result->error)
		return pc_err_set(err, result->error, "%s", result->why);
	switch (ask->status) {
	case 200 ... 299:
		return text_error(&ask->answer) < 0
			       ? pc_err_set(err, text_error(&ask->answer), "no memory")
			       : 0;
	case 401:
	case 403:
		return pc_err_set(err, -EPERM, "the API server does not let podcred have %s; %s",
				  what, right);
	case 404:
		return pc_err_set(err, -ENOENT, "the API server does not know %s", what);
	case 429:
	case 500 ... 599:
		return pc_err_set(err, -EAGAIN, "the API server does not give %s now (status %u)",
				  what, ask->status);
	default:
		return pc_err_set(err, -EPROTO, "the API server does not give %s (status %u)", what,
				  ask->status);
	}
}
