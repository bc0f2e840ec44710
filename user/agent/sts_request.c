// SPDX-License-Identifier: Apache-2.0
#include "agent/sts_request.h"

#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/parse.h"
#include "credentials/associations.h"
#include "http/form.h"

#define VERSION	     "2011-06-15"
#define MAX_PAIRS    32
#define DURATION_MIN 900
#define DURATION_MAX 43200

struct form {
	struct http_form_pair pairs[MAX_PAIRS];
	size_t n;
};

__attribute__((format(printf, 4, 5))) static int refuse(struct agent_sts_error *error,
							const char *code, enum agent_reason reason,
							const char *fmt, ...)
{
	va_list ap;

	error->status = 400;
	error->code = code;
	error->reason = reason;
	va_start(ap, fmt);
	vsnprintf(error->message, sizeof(error->message), fmt, ap);
	va_end(ap);
	return -EINVAL;
}

/* ---- the form ---- */

static const char *value_of(const struct form *form, const char *name)
{
	for (size_t i = 0; i < form->n; i++)
		if (!strcmp(form->pairs[i].name, name))
			return form->pairs[i].value;
	return NULL;
}

static bool has_twice(const struct form *form, const char **ret)
{
	for (size_t i = 0; i < form->n; i++)
		for (size_t k = 0; k < i; k++)
			if (!strcmp(form->pairs[i].name, form->pairs[k].name)) {
				*ret = form->pairs[i].name;
				return true;
			}
	return false;
}

static int parse(struct agent_sts_request *request, struct form *ret, struct agent_sts_error *error)
{
	const char *twice;
	int n = http_form_parse(request->text, request->size - 1, ret->pairs, MAX_PAIRS);

	if (n < 0)
		return refuse(error, "MalformedQueryString", AGENT_BAD_PARAMETERS,
			      "the request is not a form, or has more than %d parameters",
			      MAX_PAIRS);
	ret->n = (size_t)n;
	if (has_twice(ret, &twice))
		return refuse(error, "ValidationError", AGENT_BAD_PARAMETERS,
			      "the parameter %.64s is there twice", twice);
	return 0;
}

/* ---- AssumeRoleWithWebIdentity ---- */

/* As STS: 2 to 64 of a small alphabet. It is not used: the association says how sessions are called. */
static bool is_session_name(const char *s)
{
	static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
				      "0123456789_+=,.@-";
	size_t len = strlen(s);

	return len >= 2 && len <= 64 && strspn(s, allowed) == len;
}

static bool is_duration(const char *s)
{
	uint64_t seconds;

	return parse_u64(s, DURATION_MAX, &seconds) == 0 && seconds >= DURATION_MIN;
}

static bool is_token(const char *s)
{
	return *s;
}

static const struct parameter {
	const char *name;
	bool required;
	bool (*is_right)(const char *value);
	const char *what;
} parameters[] = {
	{"RoleArn", true, cred_is_role_arn, "the ARN of a role"},
	{"RoleSessionName", true, is_session_name, "2 to 64 of A-Z a-z 0-9 _+=,.@-"},
	{"WebIdentityToken", true, is_token, "a token of the pod"},
	{"DurationSeconds", false, is_duration, "900 to 43200"},
};

static bool is_known(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(parameters); i++)
		if (!strcmp(parameters[i].name, name))
			return true;
	return !strcmp(name, "Action") || !strcmp(name, "Version");
}

/* Whoever asks for less than the role has must not be given all of it. */
static bool is_session_policy(const char *name)
{
	return !strcmp(name, "Policy") || !strncmp(name, "PolicyArns.", 11);
}

static int check_names(const struct form *form, struct agent_sts_error *error)
{
	for (size_t i = 0; i < form->n; i++) {
		const char *name = form->pairs[i].name;

		if (is_session_policy(name))
			return refuse(error, "ValidationError", AGENT_SESSION_POLICY,
				      "no session policy (%.64s) is possible here; the pod's "
				      "association may have one",
				      name);
		if (!is_known(name))
			return refuse(error, "ValidationError", AGENT_BAD_PARAMETERS,
				      "the parameter %.64s is not known here", name);
	}
	return 0;
}

static int check_values(const struct form *form, struct agent_sts_error *error)
{
	for (size_t i = 0; i < ARRAY_SIZE(parameters); i++) {
		const struct parameter *p = &parameters[i];
		const char *value = value_of(form, p->name);

		if (!value && p->required)
			return refuse(error, "ValidationError", AGENT_BAD_PARAMETERS,
				      "%s is missing", p->name);
		if (value && !p->is_right(value))
			return refuse(error, "ValidationError", AGENT_BAD_PARAMETERS,
				      "%s is not %s", p->name, p->what);
	}
	return 0;
}

static int read_assume(struct agent_sts_request *request, const struct form *form,
		       struct agent_sts_error *error)
{
	int r = check_names(form, error) ?: check_values(form, error);

	if (r < 0)
		return r;
	request->role_arn = value_of(form, "RoleArn");
	request->token = value_of(form, "WebIdentityToken");
	return 0;
}

/* ---- GetCallerIdentity ---- */

/* "AWS4-HMAC-SHA256 Credential=KEYID/20260102/eu-west-1/sts/aws4_request, SignedHeaders=..." */
static bool read_key_id(const struct http_head *head, char ret[ANSWER_KEY_ID_SIZE])
{
	static const char scheme[] = "AWS4-", key[] = "Credential=";
	const char *text = head->authorization_text, *at, *slash;
	size_t len = head->authorization_len;

	if (!text || len < sizeof(scheme) || memcmp(text, scheme, sizeof(scheme) - 1) != 0)
		return false;
	at = memmem(text, len, key, sizeof(key) - 1);
	if (!at)
		return false;
	at += sizeof(key) - 1;
	slash = memchr(at, '/', (size_t)(text + len - at));
	if (!slash || slash == at || slash - at >= ANSWER_KEY_ID_SIZE)
		return false;
	snprintf(ret, ANSWER_KEY_ID_SIZE, "%.*s", (int)(slash - at), at);
	return true;
}

static int read_identity(struct agent_sts_request *request, const struct http_head *head,
			 const struct form *form, struct agent_sts_error *error)
{
	if (form->n != 2) /* Action and Version */
		return refuse(error, "ValidationError", AGENT_NO_REASON,
			      "GetCallerIdentity has no parameters here; requests that are signed "
			      "in their URL are for AWS's own STS");
	if (read_key_id(head, request->key_id))
		return 0;
	if (head->authorization)
		return refuse(error, "IncompleteSignature", AGENT_NO_REASON,
			      "the Authorization header is not of Signature Version 4");
	refuse(error, "MissingAuthenticationToken", AGENT_NO_REASON,
	       "GetCallerIdentity has to be signed with the pod's credentials");
	error->status = 403;
	return -EINVAL;
}

/* ---- a request ---- */

static int read_action(struct agent_sts_request *request, const struct http_head *head,
		       const struct form *form, struct agent_sts_error *error)
{
	const char *action = value_of(form, "Action");
	const char *version = value_of(form, "Version") ?: "NO_VERSION_SPECIFIED";
	bool right = !strcmp(version, VERSION);

	if (!action)
		return refuse(error, "MissingAction", AGENT_NO_REASON,
			      "the parameter Action is missing");
	if (right && !strcmp(action, "AssumeRoleWithWebIdentity"))
		return read_assume(request, form, error);
	request->action = AGENT_STS_IDENTITY;
	if (right && !strcmp(action, "GetCallerIdentity"))
		return read_identity(request, head, form, error);
	return refuse(error, "InvalidAction", AGENT_NO_REASON,
		      "no operation %.64s of version %.32s is here, but AssumeRoleWithWebIdentity "
		      "and GetCallerIdentity of " VERSION "; others are for AWS's own STS",
		      action, version);
}

static int begin(const char *form, size_t len, struct agent_sts_request **ret)
{
	struct agent_sts_request *request = calloc(1, sizeof(*request) + len + 1);

	if (!request)
		return -ENOMEM;
	request->size = len + 1;
	if (len)
		memcpy(request->text, form, len);
	*ret = request;
	return 0;
}

void agent_sts_request_free(struct agent_sts_request *request)
{
	if (!request)
		return;
	explicit_bzero(request, sizeof(*request) + request->size);
	free(request);
}

static void cleanup_request(struct agent_sts_request **request)
{
	agent_sts_request_free(*request);
}

int agent_sts_request_read(const struct http_head *head, const char *body, size_t len,
			   struct agent_sts_request **ret, struct agent_sts_error *error)
{
	_cleanup_(cleanup_request) struct agent_sts_request *request = NULL;
	const char *query = strchr(head->target, '?');
	size_t query_len = query ? strlen(++query) : 0;
	struct form form;
	int r;

	*error = (struct agent_sts_error){};
	if (len && query_len)
		return refuse(error, "MalformedQueryString", AGENT_BAD_PARAMETERS,
			      "parameters are in the query and in the body");
	r = len ? begin(body, len, &request) : begin(query, query_len, &request);
	r = r ?: parse(request, &form, error) ?: read_action(request, head, &form, error);
	if (r == 0)
		*ret = TAKE_PTR(request);
	return r;
}
