// SPDX-License-Identifier: Apache-2.0
#include "aws/eks_auth.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "aws/service.h"
#include "base/err.h"

#define MAX_CLUSTER 100
#define LETTERS	    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"

static bool is_cluster(const char *name)
{
	size_t len = strnlen(name, MAX_CLUSTER + 1);

	return len && len <= MAX_CLUSTER && !strchr("-_", name[0]) &&
	       !name[strspn(name, LETTERS "-_")];
}

/* Three parts of base64url, of which the last may be anything to us. */
static bool is_token(const char *token)
{
	unsigned dots = 0;

	if (token[strspn(token, LETTERS "-_.=")] || token[0] == '.')
		return false;
	for (; *token; token++)
		dots += *token == '.';
	return dots == 2;
}

static int check(const char *cluster, const char *token, struct pc_err *err)
{
	if (!is_cluster(cluster))
		return pc_err_set(err, -EINVAL,
				  "\"%.120s\" is not the name of a cluster: 1 to 100 letters, "
				  "digits, - and _",
				  cluster);
	if (token && !is_token(token))
		return pc_err_set(err, -EINVAL,
				  "the token is not one of a service account: three parts of "
				  "base64url with dots between");
	return 0;
}

static void add(struct text *t, const char *name, const char *value)
{
	if (value)
		text_add_member(t, name, value);
}

int aws_assume_role_for_pod_identity(struct aws_client *client, const struct aws_keys *keys,
				     const struct aws_pod_identity *params, aws_session_fn *done,
				     void *arg, struct aws_call **ret, struct pc_err *err)
{
	struct aws_call *call;
	struct text *t;
	int r = check(params->cluster, params->token, err);

	if (r < 0)
		return r;
	call = aws_service_call(client, AWS_EKS_AUTH, keys);
	if (!call)
		return pc_err_set(err, -ENOMEM, "no memory");
	snprintf(call->target, sizeof(call->target), "/clusters/%s/assume-role-for-pod-identity",
		 params->cluster);
	call->content_type = "application/json";
	t = &call->body;
	text_add(t, "{");
	add(t, "token", params->token);
	add(t, "eksNodeName", params->node_name);
	add(t, "instanceId", params->instance_id);
	add(t, "zone", params->zone_id);
	text_add(t, "}");
	aws_service_set_token(call, params->token);
	call->done.session = done;
	call->arg = arg;
	return aws_service_begin(call, ret, err);
}

/* ---- podcred broker ---- */

static void set_bearer(struct aws_call *call, const char *bearer)
{
	if (asprintf(&call->header, "Authorization: Bearer %s", bearer) < 0) {
		call->header = NULL;
		call->body.error = -ENOMEM;
	}
}

int aws_assume_role_for_pod(struct aws_client *client, const struct aws_brokered_pod *params,
			    aws_session_fn *done, void *arg, struct aws_call **ret,
			    struct pc_err *err)
{
	struct aws_call *call;
	struct text *t;
	int r = check(params->cluster, params->token, err);

	if (r == 0 && !is_token(params->bearer))
		r = pc_err_set(err, -EINVAL, "podcred's own token for the broker is no token");
	if (r < 0)
		return r;
	call = aws_service_call(client, AWS_EKS_AUTH, NULL);
	if (!call)
		return pc_err_set(err, -ENOMEM, "no memory");
	snprintf(call->target, sizeof(call->target), "/clusters/%s/assume-role-for-pod",
		 params->cluster);
	call->content_type = "application/json";
	t = &call->body;
	text_add(t, "{");
	add(t, "podUid", params->pod_uid);
	add(t, "token", params->token);
	text_add(t, "}");
	if (params->token)
		aws_service_set_token(call, params->token);
	set_bearer(call, params->bearer);
	call->done.session = done;
	call->arg = arg;
	return aws_service_begin(call, ret, err);
}
