// SPDX-License-Identifier: Apache-2.0
/* MODULES: kube identity credentials aws yaml crypto base */
/* LIBS: -ljansson -lyaml -lpcre2-8 -lcrypto */
/* Annotations that are asked for, with a client that answers what the test says. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/err.h"
#include "base/loop.h"
#include "kube/annotations.h"
#include "kube/client.h"

#define UID	"5f1b0c1e-6d3a-4f0e-8d61-0a4b2d7e9c11"
#define OTHER	"6f1b0c1e-6d3a-4f0e-8d61-0a4b2d7e9c11"
#define POD	"/api/v1/namespaces/shop/pods/web-0"
#define SPACE	"/api/v1/namespaces/shop"
#define ACCOUNT "/api/v1/namespaces/shop/serviceaccounts/web"

/* ---- the client ---- */

struct kube_call {
	struct kube_call_options options;
	char path[512];
};

static struct kube_call *open_calls[8];
static unsigned n_started;

int kube_call_start(struct kube_client *client, const struct kube_call_options *options,
		    struct kube_call **ret, struct pc_err *err)
{
	(void)client;
	(void)err;
	for (size_t i = 0; i < 8; i++) {
		if (open_calls[i])
			continue;
		*ret = open_calls[i] = calloc(1, sizeof(**ret));
		assert_non_null(*ret);
		(*ret)->options = *options;
		snprintf((*ret)->path, sizeof((*ret)->path), "%s", options->path);
		n_started++;
		return 0;
	}
	fail_msg("too many calls");
	return -ENOMEM;
}

static void forget(const struct kube_call *call)
{
	for (size_t i = 0; i < 8; i++)
		if (open_calls[i] == call)
			open_calls[i] = NULL;
}

struct kube_call *kube_call_cancel(struct kube_call *call)
{
	forget(call);
	free(call);
	return NULL;
}

static void answer(const char *path, unsigned status, int error, const char *body)
{
	const struct http_head head = {.status = status};
	const struct http_result result = {
		.error = error, .status = status, .why = error ? "it broke" : ""};

	for (size_t i = 0; i < 8; i++) {
		struct kube_call *call = open_calls[i];

		if (!call || strcmp(call->path, path) != 0)
			continue;
		forget(call);
		if (!error) {
			call->options.on_head(call->options.arg, &head);
			call->options.on_data(call->options.arg, body, strlen(body));
		}
		call->options.on_done(call->options.arg, &result);
		free(call);
		return;
	}
	fail_msg("nobody asks for %s", path);
}

static void object(const char *path, const char *uid, const char *annotations)
{
	char body[1024];

	snprintf(body, sizeof(body),
		 "{\"metadata\":{\"uid\":\"%s\",\"annotations\":{\"x\":\"y\"%s}},\"spec\":{}}", uid,
		 annotations);
	answer(path, 200, 0, body);
}

/* ---- the owner ---- */

static struct loop *loop;
static struct kube_annotations *annotations;
static char said[512];
static unsigned n_done;

static void on_done(void *arg, const struct kube_annotations_result *result)
{
	const struct cred_annotations *a = &result->annotations;

	(void)arg;
	snprintf(said, sizeof(said), "%s%s|%s|%s|%s|%s|%s",
		 result->error ? strerrorname_np(-result->error) : "", result->why,
		 a->irsa_role ?: "-", a->role ?: "-", a->external_id ?: "-",
		 a->allowed_roles ?: "-", a->permitted ?: "-");
	n_done++;
	loop_stop(loop, 0);
}

static struct kube_annotations_call *get(const char *uid)
{
	const struct cred_pod pod = {"shop", "web-0", uid, "web"};
	struct kube_annotations_call *call = NULL;

	assert_int_equal(kube_annotations_get(annotations, &pod, on_done, NULL, &call, NULL), 0);
	return call;
}

static void done_is(const char *want)
{
	unsigned before = n_done;

	assert_int_equal(loop_run(loop), 0);
	assert_int_equal(n_done, before + 1);
	if (!strstr(said, want))
		fail_msg("\"%s\", not \"%s\"", said, want);
}

static void start(bool irsa, bool iam, unsigned keep_ms)
{
	assert_int_equal(kube_annotations_new(loop, NULL, irsa, iam, keep_ms, &annotations), 0);
}

static int setup(void **state)
{
	(void)state;
	n_started = n_done = 0;
	return loop_new(&loop);
}

static int teardown(void **state)
{
	(void)state;
	annotations = kube_annotations_free(annotations);
	loop = loop_free(loop);
	for (size_t i = 0; i < 8; i++)
		assert_null(open_calls[i]);
	return 0;
}

/* ---- tests ---- */

#define ROLE	",\"iam.amazonaws.com/role\":\"app\",\"iam.amazonaws.com/external-id\":\"x/y\""
#define ALLOWED ",\"iam.amazonaws.com/allowed-roles\":\"[]\",\"iam.amazonaws.com/permitted\":\".*\""
#define IRSA	",\"eks.amazonaws.com/role-arn\":\"arn\""

static void test_all(void **state)
{
	(void)state;
	start(true, true, 0);
	get(UID);
	assert_int_equal(n_started, 3);
	object(SPACE, OTHER, ALLOWED);
	object(ACCOUNT, OTHER, IRSA);
	object(POD, UID, ROLE);
	assert_int_equal(n_done, 0);
	done_is("|arn|app|x/y|[]|.*");
	/* they are kept, and the answer comes from the loop as well */
	get(UID);
	assert_int_equal(n_started, 3);
	assert_int_equal(n_done, 1);
	done_is("|arn|app|x/y|[]|.*");
}

static void test_only_what_is_on(void **state)
{
	(void)state;
	start(true, false, 0);
	get(UID);
	assert_int_equal(n_started, 1);
	object(ACCOUNT, OTHER, IRSA ROLE);
	done_is("|arn|-|-|-|-");
}

/* One GET for all that wait, and the pod of one is not that of the other. */
static void test_shared(void **state)
{
	(void)state;
	start(false, true, 0);
	get(UID);
	get(OTHER);
	assert_int_equal(n_started, 2);
	object(SPACE, OTHER, "");
	object(POD, UID, ROLE);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(loop_run(loop), 0);
		if (!strstr(said, "ESTALE"))
			assert_string_equal(said, "|-|app|x/y|-|-");
	}
	assert_int_equal(n_done, 2);
}

/* A pod that has taken over a name gets nothing of its predecessor. */
static void test_uid(void **state)
{
	(void)state;
	start(false, true, 0);
	get(UID);
	object(SPACE, OTHER, "");
	object(POD, UID, ROLE);
	done_is("|-|app|");
	get(OTHER);
	assert_int_equal(n_started, 3);
	object(POD, OTHER, "");
	done_is("|-|-|-|-|-");
	/* nor the predecessor anything of it */
	get(UID);
	assert_int_equal(n_started, 4);
	object(POD, OTHER, ROLE);
	done_is("ESTALE");
}

/* Whoever was answered, and has not been told yet, keeps what was said. */
static void test_replaced(void **state)
{
	(void)state;
	start(false, true, 0);
	get(UID);
	object(SPACE, OTHER, "");
	object(POD, UID, ROLE);
	get(OTHER);
	assert_int_equal(n_started, 3);
	done_is("|-|app|");
	object(POD, OTHER, "");
	done_is("|-|-|-|-|-");
}

static void test_gone(void **state)
{
	(void)state;
	start(false, true, 0);
	get(UID);
	object(SPACE, OTHER, "");
	object(POD, UID, ROLE);
	done_is("app");
	kube_annotations_gone(annotations, UID);
	get(UID);
	assert_int_equal(n_started, 3);
	answer(POD, 404, 0, "{}");
	done_is("ESTALE");
}

static void on_expired(void *arg)
{
	(void)arg;
	loop_stop(loop, 7);
}

static void test_not_for_ever(void **state)
{
	struct loop_timer *timer;

	(void)state;
	start(true, false, 1);
	get(UID);
	object(ACCOUNT, OTHER, IRSA);
	done_is("arn");
	assert_int_equal(loop_timer_new(loop, on_expired, NULL, &timer), 0);
	loop_timer_after(timer, 3000000);
	assert_int_equal(loop_run(loop), 7);
	get(UID);
	assert_int_equal(n_started, 2);
	object(ACCOUNT, OTHER, "");
	done_is("|-|-|-|-|-");
}

static void test_errors(void **state)
{
	static const struct {
		unsigned status;
		int error;
		const char *body, *want;
	} rows[] = {
		{200, 0, "no JSON", "EPROTO"},
		{200, 0, "{\"metadata\":{}}", "has no uid"},
		{403, 0, "{}", "needs the right to get serviceaccounts"},
		{401, 0, "{}", "EACCES"},
		{429, 0, "{}", "EAGAIN"},
		{503, 0, "{}", "EAGAIN"},
		{302, 0, "{}", "EPROTO"},
		{0, -ECONNREFUSED, "", "EAGAINGET " ACCOUNT ": it broke"},
		{0, -EACCES, "", "EACCES"},
	};

	(void)state;
	start(true, false, 0);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		get(UID);
		assert_int_equal(n_started, i + 1); /* none is kept */
		answer(ACCOUNT, rows[i].status, rows[i].error, rows[i].body);
		done_is(rows[i].want);
	}
	get(UID);
	answer(ACCOUNT, 404, 0, "{}");
	done_is("|-|-|-|-|-");
}

/* What is no text is no annotation. */
static void test_odd(void **state)
{
	(void)state;
	start(true, false, 0);
	get(UID);
	object(ACCOUNT, OTHER, ",\"eks.amazonaws.com/role-arn\":{\"a\":1}");
	done_is("|-|-|-|-|-");
	get(UID);
	done_is("|-|-|-|-|-");
}

static void test_cancel(void **state)
{
	struct kube_annotations_call *call;

	(void)state;
	start(true, true, 0);
	call = get(UID);
	get(UID);
	kube_annotations_cancel(call);
	object(SPACE, OTHER, ALLOWED);
	object(ACCOUNT, OTHER, IRSA);
	object(POD, UID, ROLE);
	done_is("|arn|app|");
	assert_int_equal(n_done, 1);
	get(OTHER); /* goes with its owner */
}

static void test_names(void **state)
{
	const struct cred_pod pods[] = {
		{"shop/x", "web-0", UID, "web"},
		{"shop", "../nodes", UID, "web"},
		{"shop", "web-0", UID, "a?b"},
	};
	struct kube_annotations_call *call;

	(void)state;
	start(true, true, 0);
	for (size_t i = 0; i < sizeof(pods) / sizeof(pods[0]); i++)
		assert_int_equal(
			kube_annotations_get(annotations, &pods[i], on_done, NULL, &call, NULL),
			-EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_all, setup, teardown),
		cmocka_unit_test_setup_teardown(test_only_what_is_on, setup, teardown),
		cmocka_unit_test_setup_teardown(test_shared, setup, teardown),
		cmocka_unit_test_setup_teardown(test_uid, setup, teardown),
		cmocka_unit_test_setup_teardown(test_replaced, setup, teardown),
		cmocka_unit_test_setup_teardown(test_gone, setup, teardown),
		cmocka_unit_test_setup_teardown(test_not_for_ever, setup, teardown),
		cmocka_unit_test_setup_teardown(test_errors, setup, teardown),
		cmocka_unit_test_setup_teardown(test_odd, setup, teardown),
		cmocka_unit_test_setup_teardown(test_cancel, setup, teardown),
		cmocka_unit_test_setup_teardown(test_names, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
