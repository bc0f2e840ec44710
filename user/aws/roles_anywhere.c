// SPDX-License-Identifier: Apache-2.0
#include "aws/roles_anywhere.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "aws/arn.h"
#include "aws/canonical.h"
#include "aws/service.h"
#include "base/err.h"

static bool is_arn(const char *text, const char *service)
{
	struct aws_arn arn;

	return aws_arn_parse(text, &arn) == 0 && arn.service.len == strlen(service) &&
	       !strncmp(arn.service.text, service, arn.service.len);
}

static int check(const struct aws_roles_anywhere *p, struct pc_err *err)
{
	struct aws_role role;

	if (!is_arn(p->trust_anchor_arn, "rolesanywhere") ||
	    !is_arn(p->profile_arn, "rolesanywhere"))
		return pc_err_set(err, -EINVAL,
				  "trust anchor and profile of IAM Roles Anywhere are ARNs; write "
				  "arn:aws:rolesanywhere:REGION:ACCOUNT:trust-anchor/ID, and "
				  "profile/ID");
	if (aws_role_parse(p->role_arn, &role) < 0)
		return pc_err_set(err, -EINVAL,
				  "\"%.200s\" is not the ARN of a role; write "
				  "arn:aws:iam::111122223333:role/NAME",
				  p->role_arn);
	if (p->session_name && !aws_is_session_name(p->session_name))
		return pc_err_set(err, -EINVAL, "\"%.80s\" is not a session name", p->session_name);
	return 0;
}

static int read_pair(struct aws_call *call, const struct aws_roles_anywhere *p, struct pc_err *err)
{
	int r = crypto_certificate_parse(p->certificate, &call->certificate);

	if (r == -ENOMEM)
		return pc_err_set(err, r, "no memory");
	if (r < 0)
		return pc_err_set(err, -ENOKEY, "the certificate for IAM Roles Anywhere is no PEM");
	r = crypto_key_parse(p->key, &call->key);
	if (r < 0)
		return pc_err_set(
			err, r == -ENOMEM ? r : -ENOKEY,
			"the key for IAM Roles Anywhere is none that can sign: RSA or EC, "
			"as PEM, without a passphrase");
	r = crypto_key_check(call->key, call->certificate);
	return r < 0 ? pc_err_set(err, -ENOKEY,
				  "certificate and key for IAM Roles Anywhere are no pair")
		     : 0;
}

/* "/sessions?profileArn=...&roleArn=...&trustAnchorArn=..." */
static int write_target(struct aws_call *call, const struct aws_roles_anywhere *p,
			struct pc_err *err)
{
	struct text t = {.max = sizeof(call->target) - 1};
	int r;

	text_add(&t, "/sessions?profileArn=");
	aws_add_escaped(&t, p->profile_arn);
	text_add(&t, "&roleArn=");
	aws_add_escaped(&t, p->role_arn);
	text_add(&t, "&trustAnchorArn=");
	aws_add_escaped(&t, p->trust_anchor_arn);
	r = text_error(&t);
	if (r == 0)
		snprintf(call->target, sizeof(call->target), "%.*s", (int)t.len, t.data);
	text_done(&t);
	return r < 0 ? pc_err_set(err, r == -E2BIG ? -EINVAL : r,
				  "the ARNs for IAM Roles Anywhere are too long together")
		     : 0;
}

static void write_body(struct text *t, const struct aws_roles_anywhere *p)
{
	text_add(t, "{");
	if (p->duration_s)
		text_addf(t, "\"durationSeconds\":%u", p->duration_s);
	if (p->session_name)
		text_add_member(t, "roleSessionName", p->session_name);
	text_add(t, "}");
}

int aws_create_session(struct aws_client *client, const struct aws_roles_anywhere *params,
		       aws_session_fn *done, void *arg, struct aws_call **ret, struct pc_err *err)
{
	struct aws_call *call;
	int r = check(params, err);

	if (r < 0)
		return r;
	call = aws_service_call(client, AWS_ROLES_ANYWHERE, NULL);
	if (!call)
		return pc_err_set(err, -ENOMEM, "no memory");
	r = read_pair(call, params, err);
	r = r ?: write_target(call, params, err);
	if (r < 0) {
		aws_call_cancel(call);
		return r;
	}
	call->kind |= AWS_CALL_SIGNED;
	call->content_type = "application/json";
	write_body(&call->body, params);
	call->done.session = done;
	call->arg = arg;
	return aws_service_begin(call, ret, err);
}
