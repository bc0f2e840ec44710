// SPDX-License-Identifier: Apache-2.0
#include "aws/imds.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "aws/call.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/parse.h"
#include "base/secret.h"

#define URL	     "http://169.254.169.254"
#define DEADLINE_NS  (5 * CLOCK_S)
#define ATTEMPT_NS   CLOCK_S
#define TOKEN_TTL_S  21600
#define MAX_TOKEN    1024
#define MAX_PATH     1000
#define MAX_NAME     256
#define TOKEN_HEADER "X-aws-ec2-metadata-token: "
#define ROLES	     "/latest/meta-data/iam/security-credentials/"
#define PLACEMENT    "/latest/meta-data/placement/"
#define CHARS	     "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_+=,.@:-"

struct aws_imds {
	struct aws_origin origin;
	struct aws_endpoint endpoint;
	char *token; /* NULL: none yet, or none that is good */
	uint64_t renew_ns; /* of CLOCK_BOOTTIME, as the token ages while the machine sleeps */
	struct aws_call *flight; /* that asks for one */
};

/* ---- the token ---- */

static void forget_token(struct aws_imds *imds)
{
	imds->token = secret_free(imds->token);
}

/* What it says, without a line feed at its end. NULL: it is empty, too long, or has other bytes in
 * it. */
static const char *word_of(struct aws_call *call, const char *chars, size_t max)
{
	char *text;
	size_t len;

	text_add_bytes(&call->answer, "", 1);
	text = call->answer.data;
	if (text_error(&call->answer))
		return NULL;
	len = strcspn(text, "\r\n");
	if (text[len + strspn(text + len, "\r\n")] || len != strspn(text, chars))
		return NULL;
	text[len] = '\0';
	return len && len <= max ? text : NULL;
}

static int read_token(struct aws_call *call)
{
	struct aws_imds *imds = call->context;
	uint64_t ttl = TOKEN_TTL_S;
	const char *token = word_of(call, CHARS "/", MAX_TOKEN);

	if (!token || (call->ttl[0] && parse_u64(call->ttl, TOKEN_TTL_S, &ttl) < 0) || !ttl)
		return -EBADMSG;
	forget_token(imds);
	imds->token = strdup(token);
	imds->renew_ns = clock_boot_ns() + ttl * CLOCK_S / 10 * 9;
	return imds->token ? 0 : -ENOMEM;
}

static struct aws_call *first_waiting(const struct aws_imds *imds)
{
	struct aws_call *call;

	TAILQ_FOREACH(call, &imds->origin.calls, entry)
	if (call->waiting)
		return call;
	return NULL;
}

/* Their functions may cancel others of them. */
static void end_token(struct aws_call *flight, const struct aws_result *result)
{
	struct aws_imds *imds = flight->context;
	struct aws_call *call;

	imds->flight = NULL;
	while ((call = first_waiting(imds))) {
		call->waiting = false;
		if (result->class == AWS_OK)
			aws_call_attempt(call);
		else
			aws_call_end_as(call, result);
	}
}

static int ask_for_token(struct aws_imds *imds)
{
	struct aws_call *call;
	int r;

	if (imds->flight)
		return 0;
	r = aws_call_new(&imds->origin, &call);
	if (r < 0)
		return r;
	call->endpoint = &imds->endpoint;
	call->method = "PUT";
	strcpy(call->target, "/latest/api/token");
	call->max_answer = MAX_TOKEN + 2;
	call->read = read_token;
	call->end = end_token;
	call->context = imds;
	if (asprintf(&call->header, "X-aws-ec2-metadata-token-ttl-seconds: %d", TOKEN_TTL_S) < 0) {
		call->header = NULL;
		aws_call_cancel(call);
		return -ENOMEM;
	}
	imds->flight = call;
	aws_call_begin(call);
	return 0;
}

static int before(struct aws_call *call)
{
	struct aws_imds *imds = call->context;
	int r;

	call->header = secret_free(call->header);
	if (imds->token && clock_boot_ns() < imds->renew_ns) {
		if (asprintf(&call->header, TOKEN_HEADER "%s", imds->token) < 0) {
			call->header = NULL;
			return -ENOMEM;
		}
		return 0;
	}
	r = ask_for_token(imds);
	call->waiting = r == 0;
	return r ?: 1;
}

/* The service has forgotten the token, unless another call has renewed it meanwhile. */
static bool refused(struct aws_call *call, enum aws_class class)
{
	struct aws_imds *imds = call->context;

	(void)class;
	if (call->status != 401)
		return false;
	if (imds->token && call->header &&
	    !strcmp(call->header + sizeof(TOKEN_HEADER) - 1, imds->token))
		forget_token(imds);
	return true;
}

/* ---- what is asked with it ---- */

static void ask_for(struct aws_call *call, const char *directory, const char *name)
{
	snprintf(call->target, sizeof(call->target), "%s%s", directory, name);
}

static struct aws_call *new_call(struct aws_imds *imds, const char *path)
{
	struct aws_call *call;

	if (aws_call_new(&imds->origin, &call) < 0)
		return NULL;
	call->endpoint = &imds->endpoint;
	call->method = "GET";
	ask_for(call, path, "");
	call->before = before;
	call->refused = refused;
	call->context = imds;
	return call;
}

static int read_any(struct aws_call *call)
{
	text_add_bytes(&call->answer, "", 1);
	return text_error(&call->answer);
}

static void end_any(struct aws_call *call, const struct aws_result *result)
{
	bool ok = result->class == AWS_OK;

	call->done.imds(call->arg, result, ok ? call->answer.data : NULL,
			ok ? call->answer.len - 1 : 0);
}

static bool is_path(const char *path)
{
	return path[0] == '/' && strnlen(path, MAX_PATH + 1) <= MAX_PATH &&
	       !path[strspn(path, CHARS "/")] && !strstr(path, "/.");
}

int aws_imds_get(struct aws_imds *imds, const char *path, size_t max, aws_imds_fn *done, void *arg,
		 struct aws_call **ret, struct pc_err *err)
{
	struct aws_call *call;

	if (!is_path(path))
		return pc_err_set(err, -EINVAL, "\"%.200s\" is not a path of the metadata service",
				  path);
	call = new_call(imds, path);
	if (!call)
		return pc_err_set(err, -ENOMEM, "no memory");
	call->max_answer = max < AWS_ANSWER_MAX ? max : AWS_ANSWER_MAX;
	call->read = read_any;
	call->end = end_any;
	call->done.imds = done;
	call->arg = arg;
	aws_call_begin(call);
	*ret = call;
	return 0;
}

/* ---- the node's credentials ---- */

/* One role to a line; an instance has one at most. */
static int read_roles(struct aws_call *call)
{
	char *end;

	text_add_bytes(&call->answer, "", 1);
	if (text_error(&call->answer))
		return text_error(&call->answer);
	end = call->answer.data + strcspn(call->answer.data, "\r\n");
	*end = '\0';
	if (!call->answer.data[0])
		return -ENOENT;
	if (call->answer.data[strspn(call->answer.data, CHARS "/")] ||
	    end - call->answer.data > MAX_NAME)
		return -EBADMSG;
	ask_for(call, ROLES, call->answer.data);
	call->step++;
	return 1;
}

static int read_credentials(struct aws_call *call)
{
	_cleanup_(aws_answer_done) struct aws_answer answer = {};
	const char *code;
	int r;

	if (call->step == 0)
		return read_roles(call);
	r = aws_answer_read(call->answer.data, call->answer.len, &answer);
	if (r < 0)
		return r;
	code = answer.fields[AWS_ERROR_CODE];
	if (!code || strcmp(code, "Success") != 0) {
		snprintf(call->error_type, sizeof(call->error_type), "%s", code ?: "");
		return code ? -EACCES : -EBADMSG;
	}
	return aws_answer_session(&answer, &call->session);
}

static void end_session(struct aws_call *call, const struct aws_result *result)
{
	call->done.session(call->arg, result, result->class == AWS_OK ? &call->session : NULL);
}

int aws_imds_credentials(struct aws_imds *imds, aws_session_fn *done, void *arg,
			 struct aws_call **ret, struct pc_err *err)
{
	struct aws_call *call = new_call(imds, ROLES);

	if (!call)
		return pc_err_set(err, -ENOMEM, "no memory");
	call->read = read_credentials;
	call->end = end_session;
	call->done.session = done;
	call->arg = arg;
	aws_call_begin(call);
	*ret = call;
	return 0;
}

/* ---- where the node is ---- */

/* One after the other; behind the first, a service may not have them. */
static const char *const places[] = {
	PLACEMENT "availability-zone",
	PLACEMENT "region",
	PLACEMENT "availability-zone-id",
	"/latest/meta-data/instance-id",
};

/* The zone without its letter. */
static int derive_region(struct aws_place *place)
{
	if (place->region)
		return 0;
	place->region = strdup(place->zone);
	if (!place->region)
		return -ENOMEM;
	if (place->region[0])
		place->region[strlen(place->region) - 1] = '\0';
	return aws_is_region(place->region) ? 0 : -EBADMSG;
}

static int read_place(struct aws_call *call)
{
	char **const fields[ARRAY_SIZE(places)] = {&call->place.zone, &call->place.region,
						   &call->place.zone_id, &call->place.instance_id};
	const char *word = call->status == 404 ? NULL : word_of(call, CHARS, MAX_NAME);

	if (!word && call->status != 404)
		return -EBADMSG;
	if (word && call->step == 1 && !aws_is_region(word))
		return -EBADMSG;
	if (word) {
		*fields[call->step] = strdup(word);
		if (!*fields[call->step])
			return -ENOMEM;
	}
	if (++call->step == ARRAY_SIZE(places))
		return derive_region(&call->place);
	call->optional = true;
	ask_for(call, places[call->step], "");
	return 1;
}

static void end_place(struct aws_call *call, const struct aws_result *result)
{
	call->done.place(call->arg, result, result->class == AWS_OK ? &call->place : NULL);
}

int aws_imds_place(struct aws_imds *imds, aws_place_fn *done, void *arg, struct aws_call **ret,
		   struct pc_err *err)
{
	struct aws_call *call = new_call(imds, places[0]);

	if (!call)
		return pc_err_set(err, -ENOMEM, "no memory");
	call->read = read_place;
	call->end = end_place;
	call->done.place = done;
	call->arg = arg;
	aws_call_begin(call);
	*ret = call;
	return 0;
}

/* ---- life ---- */

int aws_imds_new(struct loop *loop, struct http_client *http, const char *url,
		 struct aws_imds **ret, struct pc_err *err)
{
	_cleanup_free_ struct aws_imds *imds = calloc(1, sizeof(*imds));
	int r;

	if (!imds)
		return pc_err_set(err, -ENOMEM, "no memory");
	r = aws_endpoint_parse(url ?: URL, &imds->endpoint, err);
	if (r < 0)
		return r;
	aws_answer_prepare();
	imds->origin = (struct aws_origin){
		.loop = loop,
		.http = http,
		.deadline_ns = DEADLINE_NS,
		.attempt_ns = ATTEMPT_NS,
		.connect_ns = ATTEMPT_NS,
	};
	aws_origin_init(&imds->origin, NULL, NULL, NULL);
	*ret = TAKE_PTR(imds);
	return 0;
}

void aws_imds_set_patience(struct aws_imds *imds, uint64_t attempt_ns, uint64_t deadline_ns)
{
	imds->origin.attempt_ns = imds->origin.connect_ns = attempt_ns;
	imds->origin.deadline_ns = deadline_ns;
}

struct aws_imds *aws_imds_free(struct aws_imds *imds)
{
	if (!imds)
		return NULL;
	aws_origin_done(&imds->origin);
	forget_token(imds);
	free(imds);
	return NULL;
}
