// SPDX-License-Identifier: Apache-2.0
#include "aws/sts.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "aws/arn.h"
#include "aws/canonical.h"
#include "aws/service.h"
#include "base/cleanup.h"
#include "base/err.h"

#define FORM		"application/x-www-form-urlencoded; charset=utf-8"
#define MAX_TAGS	50
#define MAX_POLICIES	10
#define MAX_KEY		128 /* characters */
#define MAX_VALUE	256
#define MIN_TOKEN	4
#define MAX_TOKEN	20000
#define MIN_EXTERNAL_ID 2
#define MAX_EXTERNAL_ID 1224
#define DIGITS		"0123456789"
#define LETTERS		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

/* ---- parameters that STS would refuse ---- */

static int check_common(const char *role_arn, const char *session_name, unsigned duration_s,
			struct pc_err *err)
{
	struct aws_role role;

	if (aws_role_parse(role_arn, &role) < 0)
		return pc_err_set(err, -EINVAL,
				  "\"%.200s\" is not the ARN of a role; write "
				  "arn:aws:iam::111122223333:role/NAME",
				  role_arn);
	if (!aws_is_session_name(session_name))
		return pc_err_set(err, -EINVAL,
				  "\"%.80s\" is not a session name: 2 to 64 letters, digits and "
				  "_+=,.@-",
				  session_name);
	if (duration_s && (duration_s < AWS_STS_MIN_S || duration_s > AWS_STS_MAX_S))
		return pc_err_set(err, -EINVAL, "a duration of %u s; STS has %d to %d", duration_s,
				  AWS_STS_MIN_S, AWS_STS_MAX_S);
	return 0;
}

/* Letters and digits of any alphabet: bytes above 127 are left to STS. Characters; -EINVAL. */
static int tag_len(const char *text)
{
	static const char ascii[] = LETTERS DIGITS " _.:/=+-@";
	int n = 0;

	for (; *text; text++) {
		if (!(*text & 0x80) && !strchr(ascii, *text))
			return -EINVAL;
		n += (*text & 0xc0) != 0x80;
	}
	return n;
}

static bool is_second(const struct aws_tag *tags, size_t i)
{
	for (size_t k = 0; k < i; k++)
		if (!strcasecmp(tags[k].key, tags[i].key))
			return true;
	return false;
}

static int check_tags(const struct aws_tag *tags, size_t n, struct pc_err *err)
{
	if (n > MAX_TAGS)
		return pc_err_set(err, -EINVAL, "%zu tags; STS takes %d", n, MAX_TAGS);
	for (size_t i = 0; i < n; i++) {
		int key = tag_len(tags[i].key), value = tag_len(tags[i].value);

		if (key < 1 || key > MAX_KEY || !strncasecmp(tags[i].key, "aws:", 4))
			return pc_err_set(err, -EINVAL,
					  "\"%.150s\" is not the key of a tag: 1 to 128 letters, "
					  "digits, blanks and _.:/=+-@, not beginning with aws:",
					  tags[i].key);
		if (value < 0 || value > MAX_VALUE)
			return pc_err_set(err, -EINVAL,
					  "the value of tag %.150s: up to 256 letters, digits, "
					  "blanks and _.:/=+-@",
					  tags[i].key);
		if (is_second(tags, i))
			return pc_err_set(err, -EINVAL,
					  "two tags with the key %.150s, whatever their case",
					  tags[i].key);
	}
	return 0;
}

static int check_policies(const char *const *arns, struct pc_err *err)
{
	struct aws_arn arn;
	size_t n = 0;

	for (; arns && arns[n]; n++)
		if (aws_arn_parse(arns[n], &arn) < 0)
			return pc_err_set(err, -EINVAL, "\"%.200s\" is not the ARN of a policy",
					  arns[n]);
	if (n > MAX_POLICIES)
		return pc_err_set(err, -EINVAL, "%zu policies; STS takes %d", n, MAX_POLICIES);
	return 0;
}

static int check_role(const struct aws_assume_role *p, struct pc_err *err)
{
	static const char chars[] = LETTERS DIGITS "_+=,.@:/-";
	int r = check_common(p->role_arn, p->session_name, p->duration_s, err);
	size_t len;

	r = r ?: check_tags(p->tags, p->n_tags, err);
	r = r ?: check_policies(p->policy_arns, err);
	if (r < 0)
		return r;
	len = p->external_id ? strlen(p->external_id) : MIN_EXTERNAL_ID;
	if (len < MIN_EXTERNAL_ID || len > MAX_EXTERNAL_ID ||
	    (p->external_id && p->external_id[strspn(p->external_id, chars)]))
		return pc_err_set(err, -EINVAL,
				  "not an external id: 2 to 1224 letters, digits and _+=,.@:/-");
	if (p->source_identity && (!aws_is_session_name(p->source_identity) ||
				   !strncasecmp(p->source_identity, "aws:", 4)))
		return pc_err_set(err, -EINVAL,
				  "not a source identity: 2 to 64 letters, digits and _+=,.@-");
	return 0;
}

static int check_web_identity(const struct aws_web_identity *p, struct pc_err *err)
{
	int r = check_common(p->role_arn, p->session_name, p->duration_s, err);
	size_t len = strlen(p->token);

	r = r ?: check_policies(p->policy_arns, err);
	if (r < 0)
		return r;
	if (len < MIN_TOKEN || len > MAX_TOKEN || strpbrk(p->token, " \t\r\n"))
		return pc_err_set(err, -EINVAL,
				  "the token is not one: %d to %d characters, without "
				  "blanks and line feeds",
				  MIN_TOKEN, MAX_TOKEN);
	return 0;
}

/* ---- the form ---- */

static void add(struct text *t, const char *name, const char *value)
{
	if (!value)
		return;
	text_add(t, "&");
	text_add(t, name);
	text_add(t, "=");
	aws_add_escaped(t, value);
}

static void add_member(struct text *t, const char *list, size_t i, const char *member,
		       const char *value)
{
	char name[64];

	snprintf(name, sizeof(name), "%s.member.%zu%s", list, i, member);
	add(t, name, value);
}

static void add_duration(struct text *t, unsigned duration_s)
{
	if (duration_s)
		text_addf(t, "&DurationSeconds=%u", duration_s);
}

static void add_policies(struct text *t, const char *policy, const char *const *arns)
{
	for (size_t i = 0; arns && arns[i]; i++)
		add_member(t, "PolicyArns", i + 1, ".arn", arns[i]);
	add(t, "Policy", policy);
}

static void add_tags(struct text *t, const struct aws_tag *tags, size_t n)
{
	size_t transitive = 0;

	for (size_t i = 0; i < n; i++) {
		add_member(t, "Tags", i + 1, ".Key", tags[i].key);
		add_member(t, "Tags", i + 1, ".Value", tags[i].value);
	}
	for (size_t i = 0; i < n; i++)
		if (tags[i].transitive)
			add_member(t, "TransitiveTagKeys", ++transitive, "", tags[i].key);
}

static struct aws_call *new_call(struct aws_client *client, const char *action,
				 const struct aws_keys *keys)
{
	struct aws_call *call = aws_service_call(client, AWS_STS, keys);

	if (!call)
		return NULL;
	strcpy(call->target, "/");
	call->content_type = FORM;
	text_addf(&call->body, "Action=%s&Version=2011-06-15", action);
	return call;
}

/* ---- the operations ---- */

int aws_assume_role(struct aws_client *client, const struct aws_keys *keys,
		    const struct aws_assume_role *params, aws_session_fn *done, void *arg,
		    struct aws_call **ret, struct pc_err *err)
{
	struct aws_call *call;
	struct text *t;
	int r = check_role(params, err);

	if (r < 0)
		return r;
	call = new_call(client, "AssumeRole", keys);
	if (!call)
		return pc_err_set(err, -ENOMEM, "no memory");
	t = &call->body;
	add(t, "RoleArn", params->role_arn);
	add(t, "RoleSessionName", params->session_name);
	add_duration(t, params->duration_s);
	add_tags(t, params->tags, params->n_tags);
	add_policies(t, params->policy, params->policy_arns);
	add(t, "ExternalId", params->external_id);
	add(t, "SourceIdentity", params->source_identity);
	call->done.session = done;
	call->arg = arg;
	return aws_service_begin(call, ret, err);
}

int aws_assume_role_with_web_identity(struct aws_client *client,
				      const struct aws_web_identity *params, aws_session_fn *done,
				      void *arg, struct aws_call **ret, struct pc_err *err)
{
	struct aws_call *call;
	struct text *t;
	int r = check_web_identity(params, err);

	if (r < 0)
		return r;
	call = new_call(client, "AssumeRoleWithWebIdentity", NULL);
	if (!call)
		return pc_err_set(err, -ENOMEM, "no memory");
	t = &call->body;
	add(t, "RoleArn", params->role_arn);
	add(t, "RoleSessionName", params->session_name);
	add(t, "WebIdentityToken", params->token);
	add_duration(t, params->duration_s);
	add_policies(t, params->policy, params->policy_arns);
	aws_service_set_token(call, params->token);
	call->done.session = done;
	call->arg = arg;
	return aws_service_begin(call, ret, err);
}

static int read_identity(struct aws_call *call)
{
	_cleanup_(aws_answer_done) struct aws_answer answer = {};
	int r = aws_answer_read(call->answer.data, call->answer.len, &answer);

	if (r < 0)
		return r;
	call->identity = (struct aws_identity){
		.account = TAKE_PTR(answer.fields[AWS_CALLER_ACCOUNT]),
		.arn = TAKE_PTR(answer.fields[AWS_CALLER_ARN]),
		.user_id = TAKE_PTR(answer.fields[AWS_CALLER_ID]),
	};
	return call->identity.account && call->identity.arn && call->identity.user_id ? 0
										      : -EBADMSG;
}

static void end_identity(struct aws_call *call, const struct aws_result *result)
{
	call->done.identity(call->arg, result, result->class == AWS_OK ? &call->identity : NULL);
}

int aws_get_caller_identity(struct aws_client *client, const struct aws_keys *keys,
			    aws_identity_fn *done, void *arg, struct aws_call **ret,
			    struct pc_err *err)
{
	struct aws_call *call = new_call(client, "GetCallerIdentity", keys);

	if (!call)
		return pc_err_set(err, -ENOMEM, "no memory");
	call->read = read_identity;
	call->end = end_identity;
	call->done.identity = done;
	call->arg = arg;
	return aws_service_begin(call, ret, err);
}
