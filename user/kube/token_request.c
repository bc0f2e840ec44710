// SPDX-License-Identifier: Apache-2.0
#include "kube/token_request.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/k8s_name.h"
#include "base/text.h"
#include "base/timestamp.h"
#include "kube/client.h"
#include "yaml/read.h"

#define MAX_ANSWER 65536
#define MAX_NODES  5000
#define TOTAL_NS   (10 * CLOCK_S)
#define WHY_SIZE   512

struct kube_token_request {
	struct kube_call *call;
	struct kube_token_request_options options; /* its texts are not kept */
	char who[400]; /* for messages */
	unsigned status;
	struct text answer;
};

struct kube_token_request *kube_token_request_cancel(struct kube_token_request *request)
{
	if (!request)
		return NULL;
	kube_call_cancel(request->call);
	text_done(&request->answer);
	free(request);
	return NULL;
}

static void cleanup_request(struct kube_token_request **request)
{
	kube_token_request_cancel(*request);
}

/* ---- the answer ---- */

static int refusal(const struct kube_token_request *request, struct pc_err *err)
{
	switch (request->status) {
	case 401:
	case 403:
		return pc_err_set(err, -EPERM,
				  "the API server lets podcred make no token of %s; it needs the "
				  "right to create serviceaccounts/token",
				  request->who);
	case 404:
	case 409:
		return pc_err_set(err, -ENOENT,
				  "the API server has no %s, or its pod is another one by now",
				  request->who);
	case 429:
	case 500 ... 599:
		return pc_err_set(err, -EAGAIN,
				  "the API server makes no token of %s now (status %u)",
				  request->who, request->status);
	default:
		return pc_err_set(err, -EPROTO, "the API server makes no token of %s (status %u)",
				  request->who, request->status);
	}
}

static const char *text_of(const struct yml_node *mapping, const char *key)
{
	const struct yml_node *node =
		mapping && mapping->kind == YML_MAPPING ? yml_get(mapping, key) : NULL;

	return node ? yml_text(node) : NULL;
}

static int read_answer(const struct kube_token_request *request, const struct yml_node *root,
		       struct kube_token_request_result *ret, struct pc_err *err)
{
	const struct yml_node *status =
		root && root->kind == YML_MAPPING ? yml_get(root, "status") : NULL;
	const char *expires = text_of(status, "expirationTimestamp");

	ret->token = text_of(status, "token");
	if (!ret->token || !*ret->token || !expires ||
	    timestamp_parse_any(expires, &ret->expires) < 0)
		return pc_err_set(err, -EPROTO,
				  "what the API server sends for a token of %s is no TokenRequest",
				  request->who);
	return 0;
}

static void on_done(void *arg, const struct http_result *http)
{
	_cleanup_(cleanup_request) struct kube_token_request *request = arg;
	struct kube_token_request_result result = {.error = http->error, .why = http->why};
	_cleanup_yml_tree_ struct yml_tree *tree = NULL;
	struct pc_err err = {};
	struct yml_source src = {
		.name = "TokenRequest", .secret = true, .lineless = true, .err = &err};

	request->call = NULL;
	if (!result.error && request->status != 201 && request->status != 200)
		result.error = refusal(request, &err);
	else if (!result.error)
		result.error = yml_tree_parse(&src, request->answer.data ?: "", request->answer.len,
					      MAX_NODES, &tree)
				       ?: read_answer(request, yml_tree_root(tree), &result, &err);
	if (result.error == -EINVAL)
		result.error = -EPROTO;
	if (result.error && !http->error)
		result.why = err.msg;
	request->options.done(request->options.arg, &result);
}

static int on_head(void *arg, const struct http_head *head)
{
	((struct kube_token_request *)arg)->status = head->status;
	return 0;
}

static int on_data(void *arg, const void *data, size_t len)
{
	struct kube_token_request *request = arg;

	text_add_bytes(&request->answer, data, len);
	return text_error(&request->answer);
}

/* ---- the question ---- */

static void write_body(struct text *t, const struct kube_token_request_options *o)
{
	text_add(t, "{");
	text_add_member(t, "apiVersion", "authentication.k8s.io/v1");
	text_add_member(t, "kind", "TokenRequest");
	text_add(t, ",\"spec\":{\"audiences\":[");
	text_add_string(t, o->audience);
	text_addf(t, "],\"expirationSeconds\":%u,\"boundObjectRef\":{", o->seconds);
	text_add_member(t, "kind", "Pod");
	text_add_member(t, "apiVersion", "v1");
	text_add_member(t, "name", o->pod_name);
	text_add_member(t, "uid", o->pod_uid);
	text_add(t, "}}}");
}

static int ask(struct kube_client *client, struct kube_token_request *request, struct pc_err *err)
{
	const struct kube_token_request_options *o = &request->options;
	struct text body = {};
	_cleanup_free_ char *path = NULL;
	struct kube_call_options call = {
		.method = "POST",
		.total_ns = TOTAL_NS,
		.max_body = MAX_ANSWER,
		.on_head = on_head,
		.on_data = on_data,
		.on_done = on_done,
		.arg = request,
	};
	int r;

	if (asprintf(&path, "/api/v1/namespaces/%s/serviceaccounts/%s/token", o->name_space,
		     o->service_account) < 0)
		return pc_err_set(err, -ENOMEM, "no memory");
	write_body(&body, o);
	call.path = path;
	call.body = body.data;
	call.body_len = body.len;
	r = text_error(&body);
	r = r < 0 ? pc_err_set(err, r, "no memory")
		  : kube_call_start(client, &call, &request->call, err);
	text_done(&body);
	return r;
}

int kube_token_request_start(struct kube_client *client,
			     const struct kube_token_request_options *options,
			     struct kube_token_request **ret, struct pc_err *err)
{
	_cleanup_(cleanup_request) struct kube_token_request *request = NULL;
	const char *ns = options->name_space, *account = options->service_account;
	int r;

	/* they become part of a path */
	if (!k8s_is_label(ns, strlen(ns)) || !k8s_is_subdomain(account, strlen(account)))
		return pc_err_set(err, -EINVAL, "not the name of a service account");
	request = calloc(1, sizeof(*request));
	if (!request)
		return pc_err_set(err, -ENOMEM, "no memory");
	request->options = *options;
	request->answer.max = MAX_ANSWER;
	snprintf(request->who, sizeof(request->who), "service account %s/%s", ns, account);
	r = ask(client, request, err);
	if (r == 0)
		*ret = TAKE_PTR(request);
	return r;
}
