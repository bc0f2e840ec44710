// SPDX-License-Identifier: Apache-2.0
#include "aws/client.h"

#include <errno.h>
#include <string.h>

#include "aws/service.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/err.h"

#define DEADLINE_NS (15 * CLOCK_S)
#define ATTEMPT_NS  (5 * CLOCK_S)
#define CONNECT_NS  (3 * CLOCK_S)

static int find(struct aws_client *client, enum aws_service service,
		const struct aws_client_options *o, const char *url, struct pc_err *err)
{
	const struct aws_endpoint_options options = {
		.region = o->region,
		.url = url,
		.fips = o->fips,
		.dual_stack = o->dual_stack,
	};

	return aws_endpoint_find(service, &options, &client->endpoints[service], err);
}

int aws_client_new(struct loop *loop, struct http_client *http,
		   const struct aws_client_options *options, struct aws_client **ret,
		   struct pc_err *err)
{
	_cleanup_free_ struct aws_client *client = calloc(1, sizeof(*client));
	int r;

	if (!client)
		return pc_err_set(err, -ENOMEM, "no memory");
	r = find(client, AWS_STS, options, options->sts_url, err);
	r = r ?: find(client, AWS_EKS_AUTH, options, options->eks_auth_url, err);
	r = r ?: find(client, AWS_ROLES_ANYWHERE, options, options->roles_anywhere_url, err);
	if (r < 0)
		return r;
	aws_answer_prepare();
	strcpy(client->region, options->region);
	client->origin = (struct aws_origin){
		.loop = loop,
		.http = http,
		.deadline_ns = options->deadline_ns ?: DEADLINE_NS,
		.attempt_ns = options->attempt_ns ?: ATTEMPT_NS,
		.connect_ns = options->attempt_ns ?: CONNECT_NS,
	};
	r = aws_origin_init(&client->origin, options->ca, options->proxy, options->no_proxy);
	if (r < 0)
		return pc_err_set(err, r, "no memory");
	*ret = TAKE_PTR(client);
	return 0;
}

int aws_client_trust(struct aws_client *client, const char *ca)
{
	struct aws_origin *origin = &client->origin;
	char *copy = ca ? strdup(ca) : NULL;

	if (ca && !copy)
		return -ENOMEM;
	free(origin->ca);
	origin->ca = copy;
	return 0;
}

struct aws_client *aws_client_free(struct aws_client *client)
{
	if (!client)
		return NULL;
	aws_origin_done(&client->origin);
	free(client);
	return NULL;
}

time_t aws_client_now(const struct aws_client *client)
{
	return time(NULL) + client->origin.skew;
}

/* ---- what the calls of both services have in common ---- */

static int read_session(struct aws_call *call)
{
	_cleanup_(aws_answer_done) struct aws_answer answer = {};
	int r = aws_answer_read(call->answer.data, call->answer.len, &answer);

	return r ?: aws_answer_session(&answer, &call->session);
}

static void end_session(struct aws_call *call, const struct aws_result *result)
{
	call->done.session(call->arg, result, result->class == AWS_OK ? &call->session : NULL);
}

struct aws_call *aws_service_call(struct aws_client *client, enum aws_service service,
				  const struct aws_keys *keys)
{
	struct aws_call *call;

	if (aws_call_new(&client->origin, &call) < 0)
		return NULL;
	call->endpoint = &client->endpoints[service];
	call->service = aws_service_name(service);
	call->region = client->region;
	call->method = "POST";
	call->body.max = AWS_BODY_MAX;
	call->read = read_session;
	call->end = end_session;
	if (keys && aws_call_set_keys(call, keys) < 0)
		return aws_call_cancel(call);
	return call;
}

void aws_service_set_token(struct aws_call *call, const char *token)
{
	call->kind |= AWS_CALL_TOKEN;
	call->token = strdup(token);
	if (!call->token)
		call->body.error = -ENOMEM;
}

int aws_service_begin(struct aws_call *call, struct aws_call **ret, struct pc_err *err)
{
	int r = text_error(&call->body);

	if (r < 0) {
		aws_call_cancel(call);
		return pc_err_set(err, r == -E2BIG ? -EINVAL : r, "%s",
				  r == -E2BIG ? "the request is too large" : "no memory");
	}
	aws_call_begin(call);
	*ret = call;
	return 0;
}
