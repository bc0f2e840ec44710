// SPDX-License-Identifier: Apache-2.0
/* Single objects of the API: what is asked, and what its answers mean. And whether somebody may do something. */
/* SOURCES: tests/unit/fake_http.c tests/unit/fake_kube.c tests/unit/fake_server.c */
/* MODULES: kube http crypto yaml identity base */
/* LIBS: -lcurl -lssl -lyaml -ljansson */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "base/loop.h"
#include "fake_http.h"
#include "fake_kube.h"
#include "kube/access_review.h"
#include "kube/client.h"
#include "kube/objects.h"
#include "kube/project.h"

#define GROUP	"/apis/podcred.io/v1alpha1"
#define WRITTEN "fieldManager=podcred&fieldValidation=Ignore"

static struct {
	unsigned dones;
	enum kube_outcome outcome;
	unsigned status;
	size_t n_causes;
	uint64_t retry_after_ns;
	char why[1300], message[512], object[1024], causes[512];
} told;

static void on_done(void *arg, const struct kube_object_result *result)
{
	_cleanup_free_ char *object =
		result->object ? json_dumps(result->object, JSON_COMPACT) : NULL;

	assert_ptr_equal(arg, &told);
	told.dones++;
	told.outcome = result->outcome;
	told.status = result->status;
	told.n_causes = result->n_causes;
	told.retry_after_ns = result->retry_after_ns;
	snprintf(told.why, sizeof(told.why), "%s", result->why);
	snprintf(told.message, sizeof(told.message), "%s", result->message);
	snprintf(told.object, sizeof(told.object), "%s", object ?: "(null)");
	told.causes[0] = '\0';
	for (size_t i = 0; i < result->n_causes && i < 3; i++)
		snprintf(told.causes + strlen(told.causes),
			 sizeof(told.causes) - strlen(told.causes), "%s=%s;",
			 result->causes[i].field, result->causes[i].message);
	assert_int_equal(!told.why[0], told.outcome == KUBE_DONE);
	assert_int_equal(!result->object, told.outcome != KUBE_DONE);
	assert_null(strpbrk(told.why, "\n\x1b"));
	loop_stop(fake_kube.loop, 0);
}

/* Answers whatever is asked for at that target. */
static void say(const char *target, const char *answer)
{
	char name[512] = "answer";

	snprintf(name + strlen(name), sizeof(name) - strlen(name), "%s", target);
	for (char *c = name; *c; c++)
		if (*c == '/')
			*c = '_';
	fake_http_write(name, answer, 0600);
}

static void ask(struct kube_object_request request)
{
	struct kube_object_call *call;
	struct pc_err err = {};

	memset(&told, 0, sizeof(told));
	request.done = on_done;
	request.arg = &told;
	if (kube_object_start(fake_kube.client, &request, &call, &err) < 0)
		fail_msg("%s", err.msg);
	assert_int_equal(told.dones, 0);
	while (!told.dones)
		assert_int_equal(loop_run(fake_kube.loop), 0);
	assert_int_equal(told.dones, 1);
}

static struct kube_object_request web(enum kube_verb verb)
{
	return (struct kube_object_request){
		.verb = verb, .kind = &kube_kind_association, .name_space = "shop", .name = "web"};
}

#define WEB GROUP "/namespaces/shop/podidentityassociations/web"

/* ---- what is asked ---- */

static void each_verb_is_a_request_of_its_own(void **state)
{
	_cleanup_json_ json_t *body = json_pack("{s{ss}}", "metadata", "name", "web");
	static const struct {
		enum kube_verb verb;
		const char *method, *target, *type;
		bool named, has_body;
	} rows[] = {
		{KUBE_GET, "GET", WEB, "", true, false},
		{KUBE_LIST, "GET", GROUP "/namespaces/shop/podidentityassociations", "", false,
		 false},
		{KUBE_CREATE, "POST", GROUP "/namespaces/shop/podidentityassociations?" WRITTEN,
		 "application/json", false, true},
		{KUBE_REPLACE, "PUT", WEB "?" WRITTEN, "application/json", true, true},
		{KUBE_MERGE, "PATCH", WEB "?" WRITTEN, "application/merge-patch+json", true, true},
		{KUBE_JSON_PATCH, "PATCH", WEB "?" WRITTEN, "application/json-patch+json", true,
		 true},
		{KUBE_APPLY, "PATCH", WEB "?" WRITTEN, "application/apply-patch+yaml", true, true},
	};
	char want[512];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct kube_object_request request = web(rows[i].verb);

		say(rows[i].target, "200\n{\"kind\":\"X\"}");
		request.name = rows[i].named ? "web" : NULL;
		request.body = rows[i].has_body ? body : NULL;
		ask(request);
		assert_int_equal(told.outcome, KUBE_DONE);
		assert_string_equal(told.object, "{\"kind\":\"X\"}");
		snprintf(want, sizeof(want), "%s %s\napplication/json\n%s", rows[i].method,
			 rows[i].target,
			 rows[i].has_body ? "{\"metadata\":{\"name\":\"web\"}}" : "");
		assert_string_equal(fake_http_file("asked"), want);
		assert_string_equal(fake_http_file("asked_type"), rows[i].type);
	}
}

static void deletion_can_be_of_one_object_alone(void **state)
{
	struct kube_object_request request = web(KUBE_DELETE);

	(void)state;
	say(WEB, "200\n{}");
	ask(request);
	assert_string_equal(fake_http_file("asked"),
			    "DELETE " WEB "\napplication/json\n"
			    "{\"apiVersion\":\"v1\",\"kind\":\"DeleteOptions\"}");
	request.uid = "u-1";
	request.resource_version = "7";
	ask(request);
	assert_string_equal(fake_http_file("asked"),
			    "DELETE " WEB "\napplication/json\n"
			    "{\"apiVersion\":\"v1\",\"kind\":\"DeleteOptions\",\"preconditions\":"
			    "{\"uid\":\"u-1\",\"resourceVersion\":\"7\"}}");
}

static void options_are_in_the_query(void **state)
{
	_cleanup_json_ json_t *body = json_object();
	const struct kube_object_request apply = {
		.verb = KUBE_APPLY,
		.kind = &kube_kind_association,
		.name_space = "shop",
		.name = "web",
		.subresource = "status",
		.body = body,
		.manager = "podcred-control",
		.force = true,
		.strict = true,
	};
	const struct kube_object_request list = {
		.verb = KUBE_LIST, .kind = &kube_kind_pod, .query = "limit=1"};

	(void)state;
	say(WEB "/status?fieldManager=podcred-control&fieldValidation=Strict&force=true",
	    "201\n{}");
	ask(apply);
	assert_int_equal(told.outcome, KUBE_DONE);
	assert_int_equal(told.status, 201);
	say("/api/v1/pods?limit=1", "200\n{}");
	ask(list);
	assert_int_equal(told.outcome, KUBE_DONE);
}

static void names_that_no_object_has_are_not_asked_for(void **state)
{
	static const struct kube_object_request rows[] = {
		{.verb = KUBE_GET, .kind = &kube_kind_association, .name_space = "shop"},
		{.verb = KUBE_GET, .kind = &kube_kind_association, .name = "web"},
		{.verb = KUBE_GET,
		 .kind = &kube_kind_association,
		 .name_space = "shop",
		 .name = "../x"},
		{.verb = KUBE_GET,
		 .kind = &kube_kind_association,
		 .name_space = "shop",
		 .name = "web?x"},
		{.verb = KUBE_GET,
		 .kind = &kube_kind_association,
		 .name_space = "a/b",
		 .name = "web"},
		{.verb = KUBE_CREATE, .kind = &kube_kind_association},
		{.verb = KUBE_DELETE, .kind = &kube_kind_namespace, .name = ""},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct kube_object_call *call;
		struct pc_err err = {};

		assert_int_equal(kube_object_start(fake_kube.client, &rows[i], &call, &err),
				 -EINVAL);
		assert_string_not_equal(err.msg, "");
	}
}

/* ---- what answers mean ---- */

#define STATUS(reason, more)                                                                       \
	"{\"kind\":\"Status\",\"reason\":\"" reason "\",\"message\":\"the\\nwords\"" more "}"

static void answers_have_a_class(void **state)
{
	static const struct {
		const char *answer;
		enum kube_outcome outcome;
		const char *why;
	} rows[] = {
		{"404\n" STATUS("NotFound", ""), KUBE_NOT_FOUND, "the words"},
		{"404\n404 page not found", KUBE_NOT_FOUND, "status 404"},
		{"409\n" STATUS("AlreadyExists", ""), KUBE_EXISTS, "there already"},
		{"409\n" STATUS("Conflict", ""), KUBE_CONFLICT, "look at it again"},
		{"409\n", KUBE_CONFLICT, "status 409"},
		{"422\n" STATUS("Invalid", ""), KUBE_INVALID, "the words"},
		{"400\n" STATUS("BadRequest", ""), KUBE_INVALID, "the words"},
		{"413\n", KUBE_INVALID, "status 413"},
		{"415\n" STATUS("UnsupportedMediaType", ""), KUBE_INVALID, "the words"},
		{"403\n" STATUS("Forbidden", ""), KUBE_FORBIDDEN, "the right"},
		{"401\n" STATUS("Unauthorized", ""), KUBE_FORBIDDEN, "the words"},
		{"429\n" STATUS("TooManyRequests", ""), KUBE_UNAVAILABLE, "later"},
		{"500\n", KUBE_UNAVAILABLE, "status 500"},
		{"503\n[]", KUBE_UNAVAILABLE, "status 503"},
		{"302\n", KUBE_BROKEN, "status 302"},
		{"200\n", KUBE_BROKEN, "no JSON"},
		{"200\n[]", KUBE_BROKEN, "no object"},
		{"200\n{\"a\":1", KUBE_BROKEN, "no JSON"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		say(WEB, rows[i].answer);
		ask(web(KUBE_GET));
		if (told.outcome != rows[i].outcome || !strstr(told.why, rows[i].why) ||
		    !strstr(told.why, "cannot get PodIdentityAssociation shop/web: "))
			fail_msg("%s: %s %s", rows[i].answer, kube_outcome_name(told.outcome),
				 told.why);
	}
}

static void causes_name_members(void **state)
{
	static const struct kube_object_request list = {.verb = KUBE_LIST,
							.kind = &kube_kind_role_policy};
	char many[4096] = "422\n{\"details\":{\"causes\":[";

	(void)state;
	say(WEB,
	    "422\n" STATUS("Invalid", ",\"details\":{\"causes\":[{\"field\":\"spec.roleArn\","
				      "\"message\":\"Required value\",\"reason\":\"x\"},{},7]}"));
	ask(web(KUBE_GET));
	assert_string_equal(told.causes, "spec.roleArn=Required value;=;=;");
	assert_string_equal(told.message, "the\nwords");
	for (int i = 0; i < 40; i++)
		strcat(many, i ? ",{\"field\":\"a\"}" : "{\"field\":\"a\"}");
	strcat(many, "]}}");
	say(GROUP "/podidentityrolepolicies", many);
	ask(list);
	assert_int_equal(told.n_causes, KUBE_CAUSES_MAX);
	assert_non_null(strstr(told.why, "cannot list PodIdentityRolePolicy objects: "));
}

static void a_shape_leaves_out_the_rest(void **state)
{
	static const struct project_shape members[] = {{.key = "kind"}, {}};
	static const struct project_shape shape = {.members = members};
	struct kube_object_request request = web(KUBE_GET);

	(void)state;
	request.shape = &shape;
	say(WEB, "200\n{\"kind\":\"X\",\"odd\":1e999999,\"kind2\":\"\\u0000\"}");
	ask(request);
	assert_string_equal(told.object, "{\"kind\":\"X\"}");
	/* an error is read as a whole */
	say(WEB, "404\n" STATUS("NotFound", ""));
	ask(request);
	assert_string_equal(told.message, "the\nwords");
}

static void an_answer_has_a_bound(void **state)
{
	struct kube_object_request request = web(KUBE_GET);

	(void)state;
	request.max_body = 10;
	say(WEB, "200\n{\"a\":123}");
	ask(request);
	assert_string_equal(told.object, "{\"a\":123}");
	say(WEB, "200\n{\"a\":12345}");
	ask(request);
	assert_int_equal(told.outcome, KUBE_BROKEN);
}

static void a_server_that_is_away_is_unavailable(void **state)
{
	struct kube_object_request request = web(KUBE_GET);

	(void)state;
	request.name = "reset"; /* http.py's way to end a connection */
	request.kind = &(const struct kube_kind){"v1", "x", "X", true};
	say("/api/v1/namespaces/shop/x/reset", "200\n{}");
	request.total_ns = 1;
	ask(request);
	assert_int_equal(told.outcome, KUBE_UNAVAILABLE);
	assert_int_equal(told.status, 0);
}

static void who_cancels_is_not_called(void **state)
{
	struct kube_object_request request = web(KUBE_GET);
	struct kube_object_call *call;

	(void)state;
	say(WEB, "200\n{}");
	memset(&told, 0, sizeof(told));
	assert_int_equal(kube_object_start(fake_kube.client, &request, &call, NULL), 0);
	assert_null(kube_object_cancel(call));
	assert_null(kube_object_cancel(NULL));
	ask(request);
	assert_int_equal(told.dones, 1);
}

/* ---- access ---- */

static struct {
	unsigned dones;
	int error;
	bool allowed;
	char why[800];
} verdict;

#define REVIEWS "/apis/authorization.k8s.io/v1/subjectaccessreviews"

static void on_verdict(void *arg, const struct kube_access_result *result)
{
	assert_ptr_equal(arg, &verdict);
	verdict.dones++;
	verdict.error = result->error;
	verdict.allowed = result->allowed;
	snprintf(verdict.why, sizeof(verdict.why), "%s", result->why);
	assert_int_equal(!verdict.why[0], verdict.allowed);
	assert_null(strpbrk(verdict.why, "\n\x1b"));
	loop_stop(fake_kube.loop, 0);
}

static const struct kube_access_question alice = {
	.user = "alice",
	.groups = (const char *const[]){"dev", "system:authenticated", NULL},
	.extra = &(const struct kube_access_extra){"example.org/a\"b",
						   (const char *const[]){"x", "y\n", NULL}},
	.n_extra = 1,
	.verb = "create",
	.group = "podcred.io",
	.resource = "podidentityassociations",
	.name_space = "shop",
	.name = "web",
};

static void may(const struct kube_access_question *question, const char *answer)
{
	struct kube_access_review *review;
	struct pc_err err = {};

	say(REVIEWS, answer);
	memset(&verdict, 0, sizeof(verdict));
	if (kube_access_review_start(fake_kube.client, question, on_verdict, &verdict, &review,
				     &err) < 0)
		fail_msg("%s", err.msg);
	while (!verdict.dones)
		assert_int_equal(loop_run(fake_kube.loop), 0);
}

#define REVIEW(status) "201\n{\"kind\":\"SubjectAccessReview\",\"status\":{" status "}}"

static void an_access_review_passes_on_who_asks(void **state)
{
	static const struct kube_access_question short_one = {
		.user = "u", .verb = "get", .resource = "pods", .name_space = "", .name = ""};

	(void)state;
	may(&alice, REVIEW("\"allowed\":true"));
	assert_true(verdict.allowed);
	assert_string_equal(
		fake_http_file("asked"),
		"POST " REVIEWS "\napplication/json\n"
		"{\"apiVersion\":\"authorization.k8s.io/v1\",\"kind\":\"SubjectAccessReview\","
		"\"spec\":{\"user\":\"alice\",\"groups\":[\"dev\",\"system:authenticated\"],"
		"\"extra\":{\"example.org/a\\\"b\":[\"x\",\"y\\u000a\"]},\"resourceAttributes\":{"
		"\"namespace\":\"shop\",\"verb\":\"create\",\"group\":\"podcred.io\","
		"\"resource\":\"podidentityassociations\",\"name\":\"web\"}}}");
	may(&short_one, REVIEW("\"allowed\":true"));
	assert_non_null(strstr(fake_http_file("asked"),
			       "\"groups\":[],\"extra\":{},\"resourceAttributes\":"
			       "{\"verb\":\"get\",\"resource\":\"pods\"}"));
}

static void only_a_clear_yes_is_one(void **state)
{
	static const struct {
		const char *answer;
		int error;
		const char *why;
	} rows[] = {
		{REVIEW("\"allowed\":false"), 0,
		 "alice may not create podidentityassociations web in shop"},
		{REVIEW(""), 0, "alice may not"},
		{REVIEW("\"allowed\":true,\"denied\":true"), 0, "alice may not"},
		{REVIEW("\"allowed\":false,\"reason\":\"a\\nb\\u001b\""), 0, "a b "},
		{REVIEW("\"allowed\":1"), 0, "alice may not"},
		{"201\n{\"kind\":\"Status\",\"status\":{\"allowed\":true}}", -EPROTO, "no Subject"},
		{"201\n{\"kind\":\"SubjectAccessReview\"}", -EPROTO, "no Subject"},
		{"201\n", -EPROTO, "no Subject"},
		{"403\n{}", -EPERM, "create subjectaccessreviews"},
		{"500\n{}", -EAGAIN, "status 500"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		may(&alice, rows[i].answer);
		if (verdict.error != rows[i].error || verdict.allowed ||
		    !strstr(verdict.why, rows[i].why))
			fail_msg("%s: %d %d %s", rows[i].answer, verdict.error, verdict.allowed,
				 verdict.why);
	}
}

static void nobody_may_nothing(void **state)
{
	static const struct kube_access_question rows[] = {
		{.verb = "get", .resource = "pods"},
		{.user = "", .verb = "get", .resource = "pods"},
		{.user = "u", .resource = "pods"},
	};
	struct kube_access_review *review;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		assert_int_equal(kube_access_review_start(fake_kube.client, &rows[i], on_verdict,
							  NULL, &review, NULL),
				 -EINVAL);
	assert_int_equal(
		kube_access_review_start(fake_kube.client, &alice, NULL, NULL, &review, NULL), 0);
	assert_null(kube_access_review_cancel(review));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_verb_is_a_request_of_its_own),
		cmocka_unit_test(deletion_can_be_of_one_object_alone),
		cmocka_unit_test(options_are_in_the_query),
		cmocka_unit_test(names_that_no_object_has_are_not_asked_for),
		cmocka_unit_test(answers_have_a_class),
		cmocka_unit_test(causes_name_members),
		cmocka_unit_test(a_shape_leaves_out_the_rest),
		cmocka_unit_test(an_answer_has_a_bound),
		cmocka_unit_test(a_server_that_is_away_is_unavailable),
		cmocka_unit_test(who_cancels_is_not_called),
		cmocka_unit_test(an_access_review_passes_on_who_asks),
		cmocka_unit_test(only_a_clear_yes_is_one),
		cmocka_unit_test(nobody_may_nothing),
	};

	return cmocka_run_group_tests(tests, fake_kube_start, fake_kube_stop);
}
