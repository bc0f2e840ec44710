// SPDX-License-Identifier: Apache-2.0
/* The instance metadata service: session tokens, and the pod's role in place of the node's. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "agent/documents.h"
#include "agent/metadata_path.h"
#include "agent/service.h"
#include "agent/token.h"
#include "base/cleanup.h"
#include "base/parse.h"
#include "base/timestamp.h"

#define IAM	    "meta-data/iam/"
#define INFO	    "info" /* these two are below it */
#define CREDENTIALS "security-credentials"
#define TOKEN_PATH  "api/token"
#define TTL_HEADER  "X-aws-ec2-metadata-token-ttl-seconds"

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

/* The real service ignores a trailing slash on leaves, and some SDKs send one. Whether there was one. */
static bool drop_trailing_slash(char *path)
{
	size_t len = strlen(path);

	if (len < 2 || path[len - 1] != '/')
		return false;
	path[len - 1] = '\0';
	return true;
}

static const char *token_of(const struct agent_exchange *x)
{
	return x->req->head.extra[AGENT_HEADER_IMDS_TOKEN];
}

/* How each answer ends. */
static int answered(struct agent_exchange *x, int r)
{
	char text[24];

	if (r < 0)
		return r;
	if (x->token_checked) {
		snprintf(text, sizeof(text), "%lld", (long long)x->token_left);
		http_response_add_header(&x->answer->http, TTL_HEADER, text);
	}
	http_response_add_header(&x->answer->http, "Server", "EC2ws");
	return AGENT_ANSWERED;
}

static int refuse_with(struct agent_exchange *x, unsigned status, enum agent_reason reason)
{
	return answered(x, agent_answer_imds_error(x->answer, status, reason));
}

/* ---- before the name is known ---- */

/* -ERANGE, -EINVAL */
static int read_ttl(const struct agent_exchange *x, uint64_t *ret)
{
	const char *ttl = x->req->head.extra[AGENT_HEADER_IMDS_TTL];

	if (!ttl || parse_u64(ttl, TOKEN_TTL_MAX, ret) < 0 || *ret == 0)
		return -EINVAL;
	return 0;
}

static int check_token_request(struct agent_exchange *x, bool latest)
{
	uint64_t ttl;

	if (strcmp(x->req->head.method, "PUT") != 0)
		return answered(x, agent_answer_method(x->answer, "PUT", true));
	if (x->req->head.forwarded)
		return refuse_with(x, 403, AGENT_FORWARDED);
	if (!latest)
		return refuse_with(x, 403, AGENT_TOKEN_PATH_NOT_LATEST);
	if (read_ttl(x, &ttl) < 0)
		return refuse_with(x, 400, AGENT_BAD_TOKEN_TTL);
	return AGENT_GO_ON;
}

static int check(struct agent_exchange *x)
{
	bool latest = false;

	if (!agent_service_host_ok(x->service, &x->req->head))
		return refuse_with(x, 403, AGENT_BAD_HOST);
	if (http_path_normalise(x->req->head.target, x->path, sizeof(x->path)) < 0)
		return refuse_with(x, 400, AGENT_BAD_PATH);
	x->slash = drop_trailing_slash(x->path);
	x->rest = below_version(x->path, &latest);
	if (x->rest && !strcmp(x->rest, TOKEN_PATH))
		return check_token_request(x, latest);
	if (!http_is_read(&x->req->head))
		return answered(x, agent_answer_method(x->answer, "GET, HEAD", true));
	return x->rest ? AGENT_GO_ON : refuse_with(x, 404, AGENT_NO_REASON);
}

/* ---- the name and the association are known ---- */

static int answer_token(struct agent_exchange *x)
{
	const struct agent_request *req = x->req;
	char token[TOKEN_SIZE];
	uint64_t ttl = 0;
	int r = read_ttl(x, &ttl);

	if (r == 0)
		r = agent_token_make(x->env->token_key, req->peer->pod_uid,
				     req->boot_s + (time_t)ttl, token);
	if (r < 0)
		return refuse_with(x, 500, AGENT_TOKEN_NOT_MADE);
	r = agent_answer_text(x->answer, 200, token, AGENT_NO_REASON);
	/* digits only, at most 21600: what the client sent is the canonical text but for zeros */
	snprintf(token, sizeof(token), "%u", (unsigned)ttl);
	http_response_add_header(&x->answer->http, TTL_HEADER, token);
	return answered(x, r);
}

static int answer_info(struct agent_exchange *x, const char *now)
{
	const struct agent_role *role = &x->role;
	struct text *body = &x->answer->http.body;
	char arn[160], partition[32] = "aws";

	/* No account, no ARN; and the id of an instance profile that is not there is left out. */
	if (!role->name || !role->account_id)
		return refuse_with(x, 404, AGENT_NO_REASON);
	if (role->arn)
		sscanf(role->arn, "arn:%31[a-z-]:", partition);
	snprintf(arn, sizeof(arn), "arn:%s:iam::%s:instance-profile/%s", partition,
		 role->account_id, role->name);
	http_response_begin(&x->answer->http, 200, "application/json");
	text_add(body, "{");
	text_add_member(body, "Code", "Success");
	text_add_member(body, "LastUpdated", now);
	text_add_member(body, "InstanceProfileArn", arn);
	text_add(body, "}");
	return answered(x, text_error(body));
}

/* What needs no role of what is below ".../iam/". "security-credentials-extended" is no path here: newer SDKs then
 * fall back to the plain one. */
static int prepare_iam(struct agent_exchange *x)
{
	const char *rest = x->rest + sizeof(IAM) - 1;
	size_t len = sizeof(CREDENTIALS) - 1;

	if (!strcmp(rest, INFO))
		return AGENT_GO_ON;
	if (strncmp(rest, CREDENTIALS, len) != 0 || (rest[len] && rest[len] != '/'))
		return refuse_with(x, 404, AGENT_NO_REASON);
	return x->req->head.forwarded ? refuse_with(x, 403, AGENT_FORWARDED) : AGENT_GO_ON;
}

/* It is below ".../iam/", or would have been answered before. */
static int decide(struct agent_exchange *x)
{
	const char *rest = x->rest + sizeof(IAM) - 1;
	const char *role = x->role.name;
	char now[TIMESTAMP_SIZE];

	if (timestamp_format(x->req->now, now) < 0)
		return refuse_with(x, 500, AGENT_CLOCK);
	if (!strcmp(rest, INFO))
		return answer_info(x, now);
	if (!role)
		return refuse_with(x, 404, AGENT_NO_ASSOCIATION);
	rest += sizeof(CREDENTIALS) - 1;
	if (!*rest)
		return answered(x, agent_answer_text(x->answer, 200, role, AGENT_NO_REASON));
	return strcmp(rest + 1, role) != 0 ? refuse_with(x, 404, AGENT_OTHER_ROLE) : AGENT_GO_ON;
}

/* A token is optional, unless the policy wants one; a wrong one is worse than none. */
static int check_token(struct agent_exchange *x)
{
	int r;

	if (!token_of(x))
		return x->req->peer->flags & PODCRED_PEER_IMDSV2 ? -ENOKEY : 0;
	r = agent_token_check(x->env->token_key, x->req->peer->pod_uid, token_of(x), x->req->boot_s,
			      &x->token_left);
	x->token_checked = r == 0;
	return r;
}

static void unref_document(struct agent_document **document)
{
	agent_document_unref(*document);
}

static unsigned status_of(enum upstream_reason reason)
{
	return reason == UPSTREAM_NOT_FOUND ? 404 : 503;
}

/* The rest of the tree, as far as the configuration allows it. */
static int answer_metadata(struct agent_exchange *x)
{
	_cleanup_(unref_document) struct agent_document *document = NULL;
	char path[METADATA_PATH_SIZE];
	int r;

	if (!x->env->documents || !agent_metadata_path(x->env->metadata, x->rest, x->slash, path))
		return refuse_with(x, 404, AGENT_NO_REASON);
	if (x->req->head.forwarded)
		return refuse_with(x, 403, AGENT_FORWARDED);
	r = agent_documents_get(x->env->documents, x->req->peer->pod_cgroup_id, path, &document);
	if (r == -EINPROGRESS)
		*x->env->wait_key = agent_documents_key(path);
	if (r == -EBUSY)
		return refuse_with(x, 503, AGENT_NO_REASON);
	if (r < 0)
		return r;
	if (!document->found)
		return refuse_with(x, status_of(document->reason), AGENT_NO_REASON);
	http_response_begin(&x->answer->http, 200, "text/plain");
	x->answer->http.body.max = UPSTREAM_BODY_SIZE;
	text_add(&x->answer->http.body, document->body);
	return answered(x, text_error(&x->answer->http.body));
}

static int prepare(struct agent_exchange *x)
{
	int r;

	if (!strcmp(x->rest, TOKEN_PATH))
		return answer_token(x);
	r = check_token(x);
	if (r < 0)
		return refuse_with(x, 401,
				   r == -ENOKEY	       ? AGENT_IMDS_TOKEN_REQUIRED
				   : r == -EKEYEXPIRED ? AGENT_IMDS_TOKEN_EXPIRED
						       : AGENT_IMDS_TOKEN_INVALID);
	if (!strncmp(x->rest, IAM, sizeof(IAM) - 1))
		return prepare_iam(x);
	return answer_metadata(x);
}

/* ---- the credentials are there ---- */

static int answer(struct agent_exchange *x)
{
	struct text *body = &x->answer->http.body;
	char now[TIMESTAMP_SIZE];
	int r = timestamp_format(x->req->now, now);

	if (r < 0)
		return refuse_with(x, 500, AGENT_CLOCK);
	text_add(body, "{");
	text_add_member(body, "Code", "Success");
	text_add_member(body, "LastUpdated", now);
	text_add_member(body, "Type", "AWS-HMAC");
	r = agent_answer_credentials(x->answer, &x->secrets, "text/plain");
	if (r != -E2BIG)
		return answered(x, r);
	text_done(body);
	return refuse_with(x, 500, AGENT_BODY_TOO_LARGE);
}

static int refuse(struct agent_exchange *x, enum agent_reason reason)
{
	int r;

	if (reason == AGENT_POD_NOT_RESOLVED)
		r = agent_answer_text(x->answer, 503, "503 - PodNotResolved", reason);
	else if (reason == AGENT_CREDENTIALS_PENDING)
		r = agent_answer_text(x->answer, 503, "503 - CredentialsUninitialized", reason);
	else if (reason == AGENT_NO_REASON)
		r = agent_answer_imds_error(x->answer, 503, reason); /* a document is late */
	else
		r = agent_answer_imds_error(
			x->answer,
			reason == AGENT_AMBIGUOUS ? 400 : agent_refusal_of(reason).status, reason);
	r = answered(x, r);
	return r < 0 ? r : 0;
}

const struct agent_service agent_imds = {
	.name = "imds",
	.addresses = {{{[10] = 0xff, 0xff, 169, 254, 169, 254}},
		      {{0xfd, 0x00, 0x0e, 0xc2, [14] = 0x02, 0x54}}},
	.wait_ms = 400,
	.check = check,
	.prepare = prepare,
	.decide = decide,
	.answer = answer,
	.refuse = refuse,
};
