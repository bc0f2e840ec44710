// SPDX-License-Identifier: Apache-2.0
#include "control/assumable.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/file.h"
#include "base/secret.h"
#include "base/text.h"
#include "http/client.h"
#include "kube/project.h"

#define FILE_MAX     (1U << 20)
#define ANSWER_MAX   16384
#define TOTAL_NS     (5 * CLOCK_S) /* it answers within one */
#define URL_SIZE     1024
#define MESSAGE_SIZE 400

struct control_assumable_call {
	struct http_call *http;
	control_assumable_fn *done;
	void *arg;
	struct text answer;
};

/* ---- the answer ---- */

static const char *text_of(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));

	return text ?: "";
}

static void finish(struct control_assumable_call *call, const struct control_assumable *answer)
{
	call->done(call->arg, answer);
	text_done(&call->answer);
	free(call);
}

static void say_not_known(struct control_assumable_call *call, const char *what, const char *why)
{
	char message[MESSAGE_SIZE];
	const struct control_assumable answer = {
		.status = "Unknown", .reason = "NotKnown", .message = message};

	snprintf(message, sizeof(message), "the broker %s: %.300s", what, why);
	finish(call, &answer);
}

/* What AWS, or the broker, has said of the role. */
static void say(struct control_assumable_call *call, const json_t *said)
{
	const char *status = text_of(said, "assumable"), *why = text_of(said, "message");
	json_int_t percent = json_integer_value(json_object_get(said, "packedPercent"));
	struct control_assumable answer = {.status = status};

	if (!strcmp(status, "True")) {
		answer.reason = "Assumed";
		answer.message = "AWS lets podcred assume it";
		answer.packed_percent = percent > 0 && percent <= 100 ? (unsigned)percent : 0;
	} else if (!strcmp(status, "False")) {
		answer.reason = strcmp(text_of(said, "reason"), "denied") ? "Invalid" : "Denied";
		answer.message = *why ? why : "AWS does not let podcred assume it";
	} else {
		say_not_known(call, "cannot say", why);
		return;
	}
	finish(call, &answer);
}

static void on_done(void *arg, const struct http_result *result)
{
	struct control_assumable_call *call = arg;
	_cleanup_json_ json_t *said = NULL;
	const char *why;

	call->http = NULL;
	if (result->error) {
		say_not_known(call, "does not answer", result->why);
		return;
	}
	said = call->answer.len ? json_loadb(call->answer.data, call->answer.len, 0, NULL) : NULL;
	if (result->status == 200 && said) {
		say(call, said);
		return;
	}
	why = text_of(said, "message");
	say_not_known(call, "does not say", *why ? why : "no JSON");
}

static int on_data(void *arg, const void *data, size_t len)
{
	struct control_assumable_call *call = arg;

	text_add_bytes(&call->answer, data, len);
	return text_error(&call->answer);
}

/* ---- the question ---- */

static int read_files(const struct control_broker *broker, char **ret_token, char **ret_ca,
		      struct pc_err *err)
{
	int r = secret_read(broker->token_file, FILE_MAX, ret_token, NULL);

	if (r < 0)
		return pc_err_set(err, r, "podcred's own token for the broker, %s: %s",
				  broker->token_file, strerror(-r));
	(*ret_token)[strcspn(*ret_token, "\r\n")] = '\0';
	r = broker->ca_file ? file_read(broker->ca_file, FILE_MAX, ret_ca, NULL) : 0;
	return r < 0 ? pc_err_set(err, r, "the broker's authority, %s: %s", broker->ca_file,
				  strerror(-r))
		     : 0;
}

static int start(const struct control_broker *broker, struct control_assumable_call *call,
		 const struct text *body, struct pc_err *err)
{
	_cleanup_secret_ char *token = NULL;
	_cleanup_free_ char *ca = NULL;
	_cleanup_(text_done) struct text bearer = {.max = FILE_MAX};
	char url[URL_SIZE];
	const char *headers[] = {"Content-Type: application/json", NULL, NULL};
	int r = read_files(broker, &token, &ca, err);
	const struct http_tls tls = {.ca = ca};
	const struct http_call_options options = {
		.method = "POST",
		.url = url,
		.headers = headers,
		.body = body->data,
		.body_len = body->len,
		.tls = &tls,
		.total_ns = TOTAL_NS,
		.max_body = ANSWER_MAX,
		.on_data = on_data,
		.on_done = on_done,
		.arg = call,
	};

	if (r < 0)
		return r;
	text_add(&bearer, "Authorization: Bearer ");
	text_add(&bearer, token);
	text_add_bytes(&bearer, "", 1);
	if (text_error(&bearer))
		return pc_err_set(err, -ENOMEM, "no memory");
	headers[1] = bearer.data;
	snprintf(url, sizeof(url), "%.800s/clusters/%.100s/assumable", broker->url,
		 broker->cluster);
	return http_call_start(broker->http, &options, &call->http, err);
}

int control_assumable_ask(const struct control_broker *broker, const char *name_space,
			  const char *service_account, control_assumable_fn *done, void *arg,
			  struct control_assumable_call **ret, struct pc_err *err)
{
	_cleanup_(text_done) struct text body = {.max = ANSWER_MAX};
	struct control_assumable_call *call = calloc(1, sizeof(*call));
	int r;

	if (!call)
		return pc_err_set(err, -ENOMEM, "no memory");
	call->done = done;
	call->arg = arg;
	call->answer.max = ANSWER_MAX;
	text_add(&body, "{");
	text_add_member(&body, "namespace", name_space);
	text_add_member(&body, "serviceAccount", service_account);
	text_add(&body, "}");
	r = text_error(&body) ? pc_err_set(err, -ENOMEM, "no memory")
			      : start(broker, call, &body, err);
	if (r < 0)
		control_assumable_cancel(call);
	else
		*ret = call;
	return r;
}

void control_assumable_cancel(struct control_assumable_call *call)
{
	if (!call)
		return;
	http_call_cancel(call->http);
	text_done(&call->answer);
	free(call);
}
