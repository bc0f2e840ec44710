// SPDX-License-Identifier: Apache-2.0
#include "protocol.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "associations.h"
#include "cleanup.h"
#include "parse.h"
#include "http/path.h"
#include "provider.h"
#include "timestamp.h"
#include "token.h"

#define TTL_HEADER "X-aws-ec2-metadata-token-ttl-seconds"

/* "latest", "1.0" or a date of this century, as the real service has them. */
static bool is_version(const char *s, size_t len)
{
	static const char shape[] = "20dd-dd-dd";

	if ((len == 6 && !memcmp(s, "latest", 6)) || (len == 3 && !memcmp(s, "1.0", 3)))
		return true;
	if (len != sizeof(shape) - 1)
		return false;
	for (size_t i = 0; i < len; i++)
		if (shape[i] == 'd' ? s[i] < '0' || s[i] > '9' : s[i] != shape[i])
			return false;
	return true;
}

/* "/latest/x/y" -> "x/y"; NULL when the first segment is no version. */
static const char *below_version(const char *path, bool *ret_latest)
{
	const char *slash = strchr(path + 1, '/');
	size_t len = slash ? (size_t)(slash - path - 1) : strlen(path + 1);

	if (!is_version(path + 1, len))
		return NULL;
	*ret_latest = path[1] == 'l';
	return slash ? slash + 1 : "";
}

/* The real service ignores a trailing slash on leaves, and some SDKs send one. */
static void drop_trailing_slash(char *path)
{
	size_t len = strlen(path);

	if (len > 1 && path[len - 1] == '/')
		path[len - 1] = '\0';
}

static int answer_token(const struct agent_env *env, const struct agent_request *req, bool latest,
			struct agent_response *resp)
{
	char token[TOKEN_SIZE];
	uint64_t ttl;
	int r;

	if (req->head.forwarded)
		return response_imds_error(resp, 403, "forwarded");
	if (!latest)
		return response_imds_error(resp, 403, "token_path_not_latest");
	if (!req->head.extra[AGENT_HEADER_IMDS_TTL] ||
	    parse_u64(req->head.extra[AGENT_HEADER_IMDS_TTL], TOKEN_TTL_MAX, &ttl) < 0 || ttl == 0)
		return response_imds_error(resp, 400, "bad_token_ttl");
	if (!(req->peer->flags & PODCRED_PEER_NAMED))
		return -EAGAIN;
	r = token_make(env->token_key, req->peer->pod_uid, req->boot_s + (time_t)ttl, token);
	if (r < 0)
		return response_imds_error(resp, 500, "token_not_made");
	r = response_text(resp, 200, token, NULL);
	/* digits only, at most 21600: what the client sent is the canonical text but for zeros */
	snprintf(token, sizeof(token), "%u", (unsigned)ttl);
	http_response_add_header(&resp->http, TTL_HEADER, token);
	return r;
}

static int answer_info(const struct association *a, const char *now, struct agent_response *resp)
{
	char arn[160];

	/* No account, no ARN; and the id of an instance profile that is not there is left out. */
	if (!a->account_id)
		return response_imds_error(resp, 404, NULL);
	snprintf(arn, sizeof(arn), "arn:aws:iam::%s:instance-profile/%s", a->account_id, a->role);
	text_add(&resp->http.body, "{");
	text_add_member(&resp->http.body, "Code", "Success");
	text_add_member(&resp->http.body, "LastUpdated", now);
	text_add_member(&resp->http.body, "InstanceProfileArn", arn);
	text_add(&resp->http.body, "}");
	resp->http.status = 200;
	resp->http.content_type = "application/json";
	return text_error(&resp->http.body);
}

static int answer_credentials(const struct association *a, const struct agent_request *req,
			      const char *now, struct agent_response *resp)
{
	_cleanup_(credentials_done) struct credentials c = {};
	int r = provider_static_get(a, req->now, &c);

	snprintf(resp->role, sizeof(resp->role), "%s", a->role);
	if (r == -EKEYEXPIRED)
		return response_imds_error(resp, 503, "credentials_expired");
	if (r < 0)
		return r;
	text_add(&resp->http.body, "{");
	text_add_member(&resp->http.body, "Code", "Success");
	text_add_member(&resp->http.body, "LastUpdated", now);
	text_add_member(&resp->http.body, "Type", "AWS-HMAC");
	r = response_credentials(resp, &c, "text/plain");
	if (r != -E2BIG)
		return r;
	text_done(&resp->http.body);
	return response_imds_error(resp, 500, "body_too_large");
}

/* rest: what follows ".../iam/", without a trailing slash. */
static int answer_iam(const struct agent_env *env, const struct agent_request *req,
		      const char *rest, struct agent_response *resp)
{
	static const char dir[] = "security-credentials";
	const struct association *a =
		association_find(env->table, req->peer->pod_namespace, req->peer->service_account);
	char now[TIMESTAMP_SIZE];

	if (timestamp_format(req->now, now) < 0)
		return response_imds_error(resp, 500, "clock");
	if (!strcmp(rest, "info"))
		return a ? answer_info(a, now, resp) : response_imds_error(resp, 404, NULL);
	/* "-extended" too: newer SDKs then fall back to the plain path (R14) */
	if (strncmp(rest, dir, sizeof(dir) - 1) != 0 ||
	    (rest[sizeof(dir) - 1] && rest[sizeof(dir) - 1] != '/'))
		return response_imds_error(resp, 404, NULL);
	if (req->head.forwarded)
		return response_imds_error(resp, 403, "forwarded");
	if (!a)
		return response_imds_error(resp, 404, "no_association");
	rest += sizeof(dir) - 1;
	if (!*rest)
		return response_text(resp, 200, a->role, NULL);
	if (strcmp(rest + 1, a->role) != 0)
		return response_imds_error(resp, 404, "other_role");
	return answer_credentials(a, req, now, resp);
}

/* GET and HEAD below a version. A token is optional; a wrong one is worse than none. */
static int answer_read(const struct agent_env *env, const struct agent_request *req,
		       const char *rest, struct agent_response *resp)
{
	static const char iam[] = "meta-data/iam/";
	char text[24];
	time_t left = 0;
	int r;

	if (!(req->peer->flags & PODCRED_PEER_NAMED))
		return -EAGAIN;
	if (req->head.extra[AGENT_HEADER_IMDS_TOKEN]) {
		r = token_check(env->token_key, req->peer->pod_uid,
				req->head.extra[AGENT_HEADER_IMDS_TOKEN], req->boot_s, &left);
		if (r < 0)
			return response_imds_error(resp, 401,
						   r == -EKEYEXPIRED ? "imds_token_expired"
								     : "imds_token_invalid");
	}
	if (!strncmp(rest, iam, sizeof(iam) - 1))
		r = answer_iam(env, req, rest + sizeof(iam) - 1, resp);
	else
		r = response_imds_error(resp, 404, NULL);
	if (r == 0 && req->head.extra[AGENT_HEADER_IMDS_TOKEN]) {
		snprintf(text, sizeof(text), "%lld", (long long)left);
		http_response_add_header(&resp->http, TTL_HEADER, text);
	}
	return r;
}

static int answer_path(const struct agent_env *env, const struct agent_request *req, char *path,
		       struct agent_response *resp)
{
	bool latest = false;
	const char *rest;

	drop_trailing_slash(path);
	rest = below_version(path, &latest);
	if (rest && !strcmp(rest, "api/token"))
		return strcmp(req->head.method, "PUT") != 0 ? response_method(resp, "PUT", true)
							    : answer_token(env, req, latest, resp);
	if (!http_is_read(&req->head))
		return response_method(resp, "GET, HEAD", true);
	if (!rest)
		return response_imds_error(resp, 404, NULL);
	return answer_read(env, req, rest, resp);
}

int imds_answer(const struct agent_env *env, const struct agent_request *req,
		struct agent_response *ret)
{
	char path[HTTP_PATH_SIZE];
	int r;

	if (req->head.host_repeated ||
	    (req->head.host && !destination_host_ok(DESTINATION_IMDS, req->head.host)))
		r = response_imds_error(ret, 403, "bad_host");
	else if (http_path_normalise(req->head.target, path, sizeof(path)) < 0)
		r = response_imds_error(ret, 400, "bad_path");
	else
		r = answer_path(env, req, path, ret);
	if (r == 0)
		http_response_add_header(&ret->http, "Server", "EC2ws");
	return r;
}
