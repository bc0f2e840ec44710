// SPDX-License-Identifier: Apache-2.0
#include "aws/call.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/loop.h"
#include "base/secret.h"

#define MAX_TRIES     3
#define MIN_SKEW      60 /* seconds; signatures are good for five minutes */
#define FIRST_WAIT_NS (100 * CLOCK_MS) /* the most for the first repetition, then twice that */
#define THROTTLED_NS  CLOCK_S /* likewise, of a service that has too much to do */
#define MESSAGE_SIZE  768

/* ---- life ---- */

int aws_origin_init(struct aws_origin *origin, const char *ca, const char *proxy,
		    const char *no_proxy)
{
	TAILQ_INIT(&origin->calls);
	origin->ca = ca ? strdup(ca) : NULL;
	origin->proxy = proxy ? strdup(proxy) : NULL;
	origin->no_proxy = no_proxy ? strdup(no_proxy) : NULL;
	if ((ca && !origin->ca) || (proxy && !origin->proxy) || (no_proxy && !origin->no_proxy)) {
		aws_origin_done(origin);
		return -ENOMEM;
	}
	return 0;
}

static void free_call(struct aws_call *call)
{
	http_call_cancel(call->http);
	loop_timer_free(call->timer);
	text_done(&call->body);
	text_done(&call->answer);
	secret_free(call->header);
	free(call->access_key_id);
	secret_free(call->secret_access_key);
	secret_free(call->session_token);
	secret_free(call->token);
	crypto_certificate_free(call->certificate);
	crypto_key_free(call->key);
	aws_session_done(&call->session);
	free(call->identity.account);
	free(call->identity.arn);
	free(call->identity.user_id);
	free(call->place.region);
	free(call->place.zone);
	free(call->place.zone_id);
	free(call->place.instance_id);
	free(call);
}

struct aws_call *aws_call_cancel(struct aws_call *call)
{
	if (!call)
		return NULL;
	TAILQ_REMOVE(&call->origin->calls, call, entry);
	free_call(call);
	return NULL;
}

void aws_origin_done(struct aws_origin *origin)
{
	struct aws_call *call;

	while ((call = TAILQ_FIRST(&origin->calls)))
		aws_call_cancel(call);
	free(origin->ca);
	secret_free(origin->proxy);
	free(origin->no_proxy);
}

/* ---- the end ---- */

/* The metadata service has neither keys nor a name to sign for. */
static const char *when_denied(const struct aws_call *call)
{
	if (call->service)
		return "; see the role's trust policy and the caller's own policy";
	return call->status < 300 ? "; see the trust policy of the instance's role"
				  : "; is the metadata service enabled for this instance?";
}

static const char *next_step(const struct aws_call *call)
{
	switch (call->class) {
	case AWS_DENIED:
		return when_denied(call);
	case AWS_KEYS:
		return "; are the credentials that it was signed with still valid?";
	case AWS_CHAINED:
		return "; ask for at most 3600 s";
	case AWS_TOO_LARGE:
		return "; leave tags out, or shorten the policy";
	case AWS_REGION:
		return "; activate STS in this region, or use another one";
	case AWS_UNAVAILABLE:
		return call->status ? "" : "; is it up, and can it be reached from here?";
	case AWS_UNTRUSTED:
		return "; does the CA bundle belong to it, and is the clock right?";
	default:
		return "";
	}
}

static void describe(const struct aws_call *call, const char *code, const char *detail,
		     char ret[MESSAGE_SIZE])
{
	char status[40] = "", clock[80] = "";

	if (!*code && call->status)
		snprintf(status, sizeof(status), "HTTP status %u", call->status);
	if (call->class == AWS_CLOCK && call->date)
		snprintf(clock, sizeof(clock), "; set this node's clock, which differs by %lld s",
			 (long long)(time(NULL) - call->date));
	snprintf(ret, MESSAGE_SIZE, "%.255s: %s%s%s%s%s%s", call->endpoint->host, code, status,
		 (*code || *status) && *detail ? ": " : "", detail, next_step(call), clock);
}

void aws_call_end_as(struct aws_call *call, const struct aws_result *result)
{
	TAILQ_REMOVE(&call->origin->calls, call, entry);
	loop_timer_cancel(call->timer);
	call->end(call, result);
	free_call(call);
}

static void finish(struct aws_call *call, const char *code, const char *detail)
{
	char message[MESSAGE_SIZE] = "";
	const struct aws_result result = {
		.class = call->class,
		.status = call->status,
		.attempts = call->attempts,
		.code = code,
		.detail = detail,
		.message = message,
		.request_id = call->request_id,
		.retry_after_ns = call->retry_after_ns,
	};

	if (call->class != AWS_OK)
		describe(call, code, detail, message);
	aws_call_end_as(call, &result);
}

void aws_call_fail(struct aws_call *call, enum aws_class class, const char *detail)
{
	call->class = class;
	finish(call, "", detail);
}

/* ---- another attempt ---- */

static uint64_t left_ns(const struct aws_call *call)
{
	uint64_t now = clock_mono_ns();

	return call->deadline_ns > now ? call->deadline_ns - now : 0;
}

static void next_attempt(struct aws_call *call, uint64_t wait_ns)
{
	loop_timer_after(call->timer, wait_ns);
}

/* Full jitter: anything from nothing to a bound that doubles. */
static uint64_t backoff(const struct aws_call *call)
{
	uint64_t bound = (call->class == AWS_THROTTLED ? THROTTLED_NS : FIRST_WAIT_NS)
			 << (call->tries - 1);
	uint64_t wait = arc4random_uniform((uint32_t)(bound / CLOCK_MS) + 1) * CLOCK_MS;

	return call->retry_after_ns + wait;
}

static bool try_again(struct aws_call *call)
{
	uint64_t wait;

	if (!aws_class_is_transient(call->class) || call->tries >= MAX_TRIES)
		return false;
	wait = backoff(call);
	if (wait >= left_ns(call))
		return false;
	next_attempt(call, wait);
	return true;
}

/* The signature was refused, and the service has another time than it was signed with. */
static bool correct_clock(struct aws_call *call)
{
	long long off = (long long)(call->date - call->signed_at);

	if ((call->class != AWS_KEYS && call->class != AWS_CLOCK) || call->corrected ||
	    !(call->kind & AWS_CALL_SIGNED) || !call->date || llabs(off) < MIN_SKEW)
		return false;
	call->corrected = true;
	call->origin->skew = call->date - time(NULL);
	next_attempt(call, 0);
	return true;
}

static bool renew(struct aws_call *call)
{
	if (call->renewed || !call->refused || !call->refused(call, call->class))
		return false;
	call->renewed = true;
	next_attempt(call, 0);
	return true;
}

/* ---- an answer ---- */

static int on_head(void *arg, const struct http_head *head)
{
	struct aws_call *call = arg;

	call->status = head->status;
	call->date = head->date;
	call->retry_after_ns = head->retry_after_ns;
	snprintf(call->error_type, sizeof(call->error_type), "%s",
		 http_head_get(head, "X-Amzn-ErrorType") ?: "");
	snprintf(call->request_id, sizeof(call->request_id), "%s",
		 http_head_get(head, "X-Amzn-RequestId") ?: "");
	snprintf(call->ttl, sizeof(call->ttl), "%s",
		 http_head_get(head, "X-Aws-Ec2-Metadata-Token-Ttl-Seconds") ?: "");
	return 0;
}

static int on_data(void *arg, const void *data, size_t len)
{
	struct aws_call *call = arg;

	/* the bound is for what was asked for; a page that says no may be larger */
	if (call->status < 300 && len > call->max_answer - call->answer.len)
		return -EMSGSIZE;
	text_add_bytes(&call->answer, data, len);
	return text_error(&call->answer);
}

static enum aws_class class_of_error(int error)
{
	switch (error) {
	case -EKEYREJECTED:
		return AWS_UNTRUSTED;
	case -EMSGSIZE:
	case -EPROTO:
		return AWS_MALFORMED;
	case -ENOMEM:
		return AWS_INTERNAL;
	default:
		return AWS_UNAVAILABLE;
	}
}

/* "com.amazonaws.sts#NAME:http://...", of which NAME is the code. ret "": there is none, or it is
 * no word. */
static void cut_code(const char *text, char ret[AWS_CODE_SIZE])
{
	const char *hash = strrchr(text, '#');
	size_t len;

	ret[0] = '\0';
	text = hash ? hash + 1 : text;
	len = strcspn(text, ":");
	if (len && len < AWS_CODE_SIZE && strspn(text, AWS_CODE_CHARS) >= len) {
		memcpy(ret, text, len);
		ret[len] = '\0';
	}
}

static void take_request_id(struct aws_call *call, const char *id)
{
	if (id && !call->request_id[0])
		snprintf(call->request_id, sizeof(call->request_id), "%s", id);
	if (call->request_id[strspn(call->request_id, AWS_CODE_CHARS)])
		call->request_id[0] = '\0';
}

static void settle(struct aws_call *call, const char *code, const char *detail)
{
	if (!correct_clock(call) && !renew(call) && !try_again(call))
		finish(call, code, detail);
}

/* What AWS says about the failure; all of it may be missing. */
static void take_refusal(struct aws_call *call)
{
	const char *const secrets[] = {call->secret_access_key ?: "", call->session_token ?: "",
				       call->token ?: "", NULL};
	_cleanup_(aws_answer_done) struct aws_answer answer = {};
	char code[AWS_CODE_SIZE], detail[AWS_DETAIL_SIZE];
	const char *message;

	if (call->answer.len)
		(void)aws_answer_read(call->answer.data, call->answer.len, &answer);
	message = answer.fields[AWS_ERROR_MESSAGE] ?: "";
	cut_code(call->error_type, code);
	if (!code[0])
		cut_code(answer.fields[AWS_ERROR_CODE] ?: "", code);
	take_request_id(call, answer.fields[AWS_REQUEST_ID]);
	call->class = aws_classify(call->status, code, message, call->kind);
	aws_clean(message, secrets, detail);
	settle(call, code, detail);
}

static enum aws_class class_of_read(int r)
{
	switch (r) {
	case 0:
		return AWS_OK;
	case -ENOENT:
		return AWS_NOT_FOUND;
	case -EACCES:
		return AWS_DENIED;
	case -ENOMEM:
		return AWS_INTERNAL;
	default:
		return AWS_MALFORMED;
	}
}

static void take_success(struct aws_call *call)
{
	char code[AWS_CODE_SIZE] = "";
	int r = call->read(call);

	if (r > 0) {
		call->tries = 0;
		next_attempt(call, 0);
		return;
	}
	take_request_id(call, NULL);
	call->class = class_of_read(r);
	if (r == -EACCES)
		cut_code(call->error_type, code);
	settle(call, code,
	       call->class == AWS_MALFORMED ? "the answer is not what was asked for" : "");
}

static void on_done(void *arg, const struct http_result *result)
{
	struct aws_call *call = arg;
	unsigned status = result->status;

	call->http = NULL;
	if (result->error) {
		call->class = class_of_error(result->error);
		if (result->error == -EMSGSIZE) /* it would be as large the next time */
			finish(call, "", "the answer is too large");
		else
			settle(call, "", result->why);
	} else if ((status >= 200 && status < 300) || (status == 404 && call->optional)) {
		take_success(call);
	} else {
		take_refusal(call);
	}
}

/* ---- an attempt ---- */

/* Headers that are signed, beside those that the signature brings. */
static size_t list_headers(const struct aws_call *call, struct aws_header ret[4])
{
	const char *chain = call->certificate ? crypto_certificate_chain(call->certificate) : "";
	size_t n = 0;

	ret[n++] = (struct aws_header){"Host", call->endpoint->host};
	if (call->content_type)
		ret[n++] = (struct aws_header){"Content-Type", call->content_type};
	if (call->certificate)
		ret[n++] = (struct aws_header){"X-Amz-X509",
					       crypto_certificate_text(call->certificate)};
	if (*chain)
		ret[n++] = (struct aws_header){"X-Amz-X509-Chain", chain};
	return n;
}

static int sign(struct aws_call *call, const char *target, struct aws_signed *ret)
{
	struct aws_header headers[4];
	const struct aws_request request = {
		.method = call->method,
		.target = target,
		.headers = headers,
		.n_headers = list_headers(call, headers),
		.body = call->body.data,
		.body_len = call->body.len,
	};
	const struct aws_keys keys = {call->access_key_id, call->secret_access_key,
				      call->session_token};
	const struct aws_scope scope = {call->region, call->service};

	call->signed_at = time(NULL) + call->origin->skew;
	if (call->certificate)
		return aws_sign_x509(&request, call->certificate, call->key, &scope,
				     call->signed_at, ret);
	return aws_sign(&request, &keys, &scope, call->signed_at, ret);
}

static void add_line(struct text *t, const char *name, const char *value)
{
	text_add(t, name);
	text_add(t, value);
	text_add_bytes(t, "", 1);
}

static void add_certificate(struct text *t, const struct crypto_certificate *certificate)
{
	add_line(t, "X-Amz-X509: ", crypto_certificate_text(certificate));
	if (*crypto_certificate_chain(certificate))
		add_line(t, "X-Amz-X509-Chain: ", crypto_certificate_chain(certificate));
}

/* The headers one after the other, each with a NUL at its end. */
static int write_headers(struct aws_call *call, const char *target, struct text *t)
{
	_cleanup_(aws_signed_done) struct aws_signed s = {};
	int r = call->kind & AWS_CALL_SIGNED ? sign(call, target, &s) : 0;

	if (r < 0)
		return r;
	t->max = AWS_ANSWER_MAX;
	if (call->content_type)
		add_line(t, "Content-Type: ", call->content_type);
	if (call->header)
		add_line(t, "", call->header);
	if (s.authorization) {
		add_line(t, "X-Amz-Date: ", s.date);
		add_line(t, "Authorization: ", s.authorization);
		if (call->session_token)
			add_line(t, "X-Amz-Security-Token: ", call->session_token);
		if (call->certificate)
			add_certificate(t, call->certificate);
	}
	return text_error(t);
}

static int request(struct aws_call *call, uint64_t ns, struct pc_err *err)
{
	const struct aws_origin *origin = call->origin;
	_cleanup_(text_done) struct text headers = {};
	const char *lines[8] = {};
	char target[AWS_URL_SIZE + AWS_TARGET_SIZE], url[2 * AWS_URL_SIZE + AWS_TARGET_SIZE];
	const struct http_tls tls = {.ca = origin->ca};
	const struct http_call_options options = {
		.method = call->method,
		.url = url,
		.headers = lines,
		.body = call->content_type ? call->body.data : NULL,
		.body_len = call->body.len,
		.tls = &tls,
		.proxy = origin->proxy,
		.no_proxy = origin->no_proxy,
		.connect_ns = origin->connect_ns,
		.total_ns = origin->attempt_ns < ns ? origin->attempt_ns : ns,
		.max_body = AWS_ANSWER_MAX,
		.on_head = on_head,
		.on_data = on_data,
		.on_done = on_done,
		.arg = call,
	};
	size_t n = 0;
	int r;

	snprintf(target, sizeof(target), "%s%s", call->endpoint->prefix, call->target);
	snprintf(url, sizeof(url), "%s%s", call->endpoint->url, call->target);
	r = write_headers(call, target, &headers);
	if (r < 0)
		return pc_err_set(err, r, "the request cannot be signed");
	for (size_t at = 0; at < headers.len; at += strlen(headers.data + at) + 1)
		lines[n++] = headers.data + at;
	return http_call_start(origin->http, &options, &call->http, err);
}

static void forget_answer(struct aws_call *call)
{
	text_done(&call->answer);
	call->answer.max = AWS_ANSWER_MAX + 1; /* there may be a NUL added */
	call->status = 0;
	call->date = 0;
	call->retry_after_ns = 0;
	call->error_type[0] = call->request_id[0] = call->ttl[0] = '\0';
}

void aws_call_attempt(struct aws_call *call)
{
	uint64_t ns = left_ns(call);
	struct pc_err err = {};
	int r;

	loop_timer_cancel(call->timer);
	if (!ns) {
		aws_call_fail(call, AWS_UNAVAILABLE, "no answer in time");
		return;
	}
	r = call->before ? call->before(call) : 0;
	if (r > 0)
		return;
	forget_answer(call);
	call->attempts++;
	call->tries++;
	r = r ?: request(call, ns, &err);
	if (r < 0)
		aws_call_fail(call, r == -EINVAL ? AWS_INVALID : AWS_INTERNAL, err.msg);
}

static void on_timer(void *arg)
{
	aws_call_attempt(arg);
}

/* ---- the beginning ---- */

int aws_call_new(struct aws_origin *origin, struct aws_call **ret)
{
	struct aws_call *call = calloc(1, sizeof(*call));
	int r;

	if (!call)
		return -ENOMEM;
	r = loop_timer_new(origin->loop, on_timer, call, &call->timer);
	if (r < 0) {
		free(call);
		return r;
	}
	call->origin = origin;
	call->max_answer = AWS_ANSWER_MAX;
	call->session.packed_policy_size = -1;
	TAILQ_INSERT_TAIL(&origin->calls, call, entry);
	*ret = call;
	return 0;
}

int aws_call_set_keys(struct aws_call *call, const struct aws_keys *keys)
{
	call->kind |= AWS_CALL_SIGNED;
	call->access_key_id = strdup(keys->access_key_id);
	call->secret_access_key = strdup(keys->secret_access_key);
	call->session_token = keys->session_token ? strdup(keys->session_token) : NULL;
	return call->access_key_id && call->secret_access_key &&
			       (call->session_token || !keys->session_token)
		       ? 0
		       : -ENOMEM;
}

void aws_call_begin(struct aws_call *call)
{
	call->deadline_ns = clock_mono_ns() + call->origin->deadline_ns;
	next_attempt(call, 0);
}
