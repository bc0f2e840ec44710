// SPDX-License-Identifier: Apache-2.0
/* STS, EKS Auth and the metadata service, asked over TLS and TCP, by a server that verifies what it
 * is told. */
/* SOURCES: tests/unit/fake_aws.c tests/unit/fake_server.c */
/* MODULES: aws http crypto base */
/* Bound at once, as the program is: a look-up at the first call saves registers, with what they
 * hold, on the stack. */
/* LIBS: -Wl,-z,now -lcurl -lssl -lcrypto -lexpat -ljansson -lm */
#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
#include <jansson.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "aws/eks_auth.h"
#include "aws/imds.h"
#include "aws/roles_anywhere.h"
#include "aws/sts.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/loop.h"
#include "fake_aws.h"
#include "http/client.h"

#define ROLE	 "arn:aws:iam::111122223333:role/app"
#define PATIENCE (120 * CLOCK_S)
#define POLICY                                                                                     \
	"{\"Version\":\"2012-10-17\",\"Statement\":[{\"Effect\":\"Allow\",\"Action\":\"s3:*\","    \
	"\"Resource\":\"*\"}]}"

static struct loop *loop;
static struct http_client *http;
static struct aws_client *client;
static struct aws_imds *imds;

/* ---- one call, and what came of it ---- */

struct seen {
	struct aws_call *call;
	unsigned dones;
	enum aws_class class;
	unsigned status, attempts;
	char code[128], detail[512], message[1024], request_id[128];
	uint64_t retry_after_ns;
	struct aws_session session;
	struct aws_identity identity;
	struct aws_place place;
	char body[4096];
	size_t len;
	void (*after)(struct seen *seen); /* instead of the loop's end */
};

static void take(struct seen *seen, const struct aws_result *result)
{
	assert_int_equal(seen->dones++, 0);
	seen->call = NULL;
	seen->class = result->class;
	seen->status = result->status;
	seen->attempts = result->attempts;
	seen->retry_after_ns = result->retry_after_ns;
	snprintf(seen->code, sizeof(seen->code), "%s", result->code);
	snprintf(seen->detail, sizeof(seen->detail), "%s", result->detail);
	snprintf(seen->message, sizeof(seen->message), "%s", result->message);
	snprintf(seen->request_id, sizeof(seen->request_id), "%s", result->request_id);
	assert_int_equal(result->class == AWS_OK, !result->message[0]);
	for (const char *c = result->message; *c; c++)
		assert_true(*c >= ' ' && *c <= '~');
	if (seen->after)
		seen->after(seen);
	else
		loop_stop(loop, 0);
}

static void on_session(void *arg, const struct aws_result *result, struct aws_session *session)
{
	struct seen *seen = arg;

	assert_int_equal(result->class == AWS_OK, session != NULL);
	if (session) {
		seen->session = *session;
		*session = (struct aws_session){};
	}
	take(seen, result);
}

static void on_identity(void *arg, const struct aws_result *result,
			const struct aws_identity *identity)
{
	struct seen *seen = arg;

	assert_int_equal(result->class == AWS_OK, identity != NULL);
	if (identity)
		seen->identity =
			(struct aws_identity){strdup(identity->account), strdup(identity->arn),
					      strdup(identity->user_id)};
	take(seen, result);
}

static void on_place(void *arg, const struct aws_result *result, const struct aws_place *place)
{
	struct seen *seen = arg;

	assert_int_equal(result->class == AWS_OK, place != NULL);
	if (place)
		seen->place =
			(struct aws_place){strdup(place->region), strdup(place->zone),
					   place->zone_id ? strdup(place->zone_id) : NULL,
					   place->instance_id ? strdup(place->instance_id) : NULL};
	take(seen, result);
}

static void on_body(void *arg, const struct aws_result *result, const char *body, size_t len)
{
	struct seen *seen = arg;

	assert_int_equal(result->class == AWS_OK, body != NULL);
	seen->len = len;
	snprintf(seen->body, sizeof(seen->body), "%s", body ?: "");
	take(seen, result);
}

static void seen_done(struct seen *seen)
{
	aws_session_done(&seen->session);
	free(seen->identity.account);
	free(seen->identity.arn);
	free(seen->identity.user_id);
	free(seen->place.region);
	free(seen->place.zone);
	free(seen->place.zone_id);
	free(seen->place.instance_id);
	memset(seen, 0, sizeof(*seen));
}

#define _cleanup_seen_ _cleanup_(seen_done)

static void run_loop(struct seen *seen)
{
	assert_int_equal(seen->dones, 0);
	assert_int_equal(loop_run(loop), 0);
	assert_int_equal(seen->dones, 1);
}

static void expect(const struct seen *seen, enum aws_class class, unsigned attempts)
{
	if (seen->class != class || seen->attempts != attempts)
		fail_msg("%s after %u attempts, not %s after %u: %s", aws_class_name(seen->class),
			 seen->attempts, aws_class_name(class), attempts, seen->message);
}

static void expect_text(const char *text, const char *part)
{
	if (!strstr(text, part))
		fail_msg("\"%s\" has no \"%s\"", text, part);
}

/* ---- whose keys ---- */

struct owner {
	json_t *json;
	struct aws_keys keys;
};

static void owner_done(struct owner *owner)
{
	json_decref(owner->json);
}

#define _cleanup_owner_ _cleanup_(owner_done)

/* "user", whose keys have no token, or "node". */
static struct owner owner_of(const char *who)
{
	_cleanup_free_ char *text = fake_aws_do("{\"credentials\": {\"who\": \"%s\"}}", who);
	struct owner owner = {.json = json_loads(text, 0, NULL)};

	owner.keys = (struct aws_keys){
		json_string_value(json_object_get(owner.json, "accessKeyId")),
		json_string_value(json_object_get(owner.json, "secretAccessKey")),
		json_string_value(json_object_get(owner.json, "sessionToken")),
	};
	assert_non_null(owner.keys.access_key_id);
	return owner;
}

static json_t *last_call(void)
{
	_cleanup_free_ char *calls = fake_aws_calls();
	char *line;

	calls[strlen(calls) - 1] = '\0';
	line = strrchr(calls, '\n');
	return json_loads(line ? line + 1 : calls, 0, NULL);
}

static size_t count_calls(const char *part)
{
	_cleanup_free_ char *calls = fake_aws_calls();
	size_t n = 0;

	for (const char *at = calls; (at = strstr(at, part)); at++)
		n++;
	return n;
}

/* ---- before and after each test ---- */

static struct aws_client *client_with(struct aws_client_options options)
{
	struct aws_client *new;
	struct pc_err err = {};

	options.region = "eu-west-1";
	options.attempt_ns = PATIENCE; /* the machine may be busy */
	options.deadline_ns = options.deadline_ns ?: PATIENCE;
	options.sts_url = options.sts_url ?: fake_aws_url("sts");
	options.eks_auth_url = fake_aws_url("eks-auth");
	options.ca = options.ca ?: fake_aws_ca();
	if (aws_client_new(loop, http, &options, &new, &err) < 0)
		fail_msg("%s", err.msg);
	return new;
}

static void use_client(struct aws_client_options options)
{
	aws_client_free(client);
	client = client_with(options);
}

static int setup(void **state)
{
	(void)state;
	assert_int_equal(loop_new(&loop), 0);
	assert_int_equal(http_client_new(loop, &http), 0);
	client = client_with((struct aws_client_options){});
	assert_int_equal(aws_imds_new(loop, http, fake_aws_url("imds"), &imds, NULL), 0);
	aws_imds_set_patience(imds, PATIENCE, PATIENCE);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	fake_aws_set(
		"{\"clear\": [], \"set\": {\"skew\": null, \"close\": null, \"lifetime\": null, "
		"\"certificate\": null, "
		"\"token_bytes\": null, \"packed_limit\": null}, \"node\": {}}");
	client = aws_client_free(client);
	imds = aws_imds_free(imds);
	http = http_client_free(http);
	loop = loop_free(loop);
	return 0;
}

static void fault(const char *text)
{
	fake_aws_set("{\"fault\": {%s}}", text);
}

/* ---- AssumeRole ---- */

static const struct aws_assume_role simple = {.role_arn = ROLE, .session_name = "web-0"};

static void start(struct seen *seen, const struct aws_keys *keys,
		  const struct aws_assume_role *params)
{
	struct pc_err err = {};

	if (aws_assume_role(client, keys, params, on_session, seen, &seen->call, &err) < 0)
		fail_msg("%s", err.msg);
	assert_int_equal(seen->dones, 0);
}

static struct seen assume(const char *who, const struct aws_assume_role *params)
{
	_cleanup_owner_ struct owner owner = owner_of(who);
	struct seen seen = {};

	start(&seen, &owner.keys, params);
	owner_done(&owner); /* the call has its own */
	owner.json = NULL;
	run_loop(&seen);
	return seen;
}

static void expect_keys(const struct seen *seen)
{
	assert_memory_equal(seen->session.access_key_id, "ASIA", 4);
	assert_true(strlen(seen->session.secret_access_key) > 20);
	assert_true(strlen(seen->session.session_token) > 20);
}

static void test_assume_role(void **state)
{
	_cleanup_seen_ struct seen user = assume("user", &simple);
	_cleanup_seen_ struct seen node = assume("node", &simple);
	time_t now = time(NULL);

	(void)state;
	expect(&user, AWS_OK, 1);
	expect_keys(&user);
	assert_string_equal(user.session.arn, "arn:aws:sts::111122223333:assumed-role/app/web-0");
	expect_text(user.session.role_id, ":web-0");
	assert_true(user.session.expiration > now + 3500 && user.session.expiration < now + 3700);
	assert_int_equal(user.session.packed_policy_size, -1);
	assert_int_equal(strlen(user.request_id), 36);
	expect(&node, AWS_OK, 1);
	expect_keys(&node);
}

static void expect_json(const json_t *object, const char *name, const char *want)
{
	_cleanup_free_ char *got = json_dumps(json_object_get(object, name),
					      JSON_ENCODE_ANY | JSON_COMPACT | JSON_SORT_KEYS);

	if (!got || strcmp(got, want) != 0)
		fail_msg("%s: %s, not %s", name, got, want);
}

static void test_all_parameters(void **state)
{
	static const struct aws_tag tags[] = {
		{"kubernetes-namespace", "shop", true},
		{"team", "a b/c=\xc3\xa4+&%", false},
		{"empty", "", true},
	};
	static const char *const arns[] = {"arn:aws:iam::aws:policy/ReadOnlyAccess", NULL};
	const struct aws_assume_role params = {
		.role_arn = "arn:aws:iam::111122223333:role/a/b/full",
		.session_name = "shop.web+=,.@-_",
		.duration_s = 7200,
		.tags = tags,
		.n_tags = 2, /* the third one is added when its characters fit */
		.policy = POLICY,
		.policy_arns = arns,
		.external_id = "eu-west-1/111122223333/demo",
		.source_identity = "podcred",
	};
	struct aws_assume_role good = params;
	struct aws_tag good_tags[3];
	_cleanup_seen_ struct seen seen = {};
	json_t *call;
	struct aws_call *none = NULL;
	_cleanup_owner_ struct owner user = owner_of("user");
	struct pc_err err = {};

	(void)state;
	assert_int_equal(
		aws_assume_role(client, &user.keys, &params, on_session, NULL, &none, &err),
		-EINVAL);
	expect_text(err.msg, "value of tag team");
	memcpy(good_tags, tags, sizeof(tags));
	good_tags[1].value = "a b/c=\xc3\xa4+@-";
	good.tags = good_tags;
	good.n_tags = 3;
	fake_aws_set("{\"role\": {\"arn\": \"%s\", \"max_session\": 7200}}", good.role_arn);
	seen = assume("user", &good);
	expect(&seen, AWS_OK, 1);
	assert_true(seen.session.packed_policy_size > 0);
	assert_true(seen.session.expiration > time(NULL) + 7100);
	call = last_call();
	expect_json(call, "roleArn", "\"arn:aws:iam::111122223333:role/a/b/full\"");
	expect_json(call, "sessionName", "\"shop.web+=,.@-_\"");
	expect_json(call, "tags",
		    "{\"empty\":\"\",\"kubernetes-namespace\":\"shop\",\"team\":\"a "
		    "b/c=\xc3\xa4+@-\"}");
	expect_json(call, "transitive", "[\"kubernetes-namespace\",\"empty\"]");
	assert_string_equal(
		json_string_value(json_object_get(json_object_get(call, "parameters"), "Policy")),
		POLICY);
	expect_json(json_object_get(call, "parameters"), "PolicyArns.member.1.arn",
		    "\"arn:aws:iam::aws:policy/ReadOnlyAccess\"");
	expect_json(json_object_get(call, "parameters"), "ExternalId",
		    "\"eu-west-1/111122223333/demo\"");
	expect_json(json_object_get(call, "parameters"), "SourceIdentity", "\"podcred\"");
	expect_json(json_object_get(call, "parameters"), "DurationSeconds", "\"7200\"");
	json_decref(call);
}

static void expect_no_start(struct aws_assume_role params, const char *why)
{
	const struct aws_keys keys = {"A", "B", NULL};
	struct aws_call *call = NULL;
	struct pc_err err = {};

	params.role_arn = params.role_arn ?: ROLE;
	params.session_name = params.session_name ?: "web";
	assert_int_equal(aws_assume_role(client, &keys, &params, on_session, NULL, &call, &err),
			 -EINVAL);
	assert_null(call);
	expect_text(err.msg, why);
}

static void test_bad_parameters(void **state)
{
	static const struct aws_tag no_key[] = {{"", "x", 0}}, reserved[] = {{"AWS:x", "y", 0}},
				    twice[] = {{"Team", "x", 0}, {"team", "y", 0}},
				    bad[] = {{"a*b", "x", 0}};
	static const char *const arns[] = {"ReadOnlyAccess", NULL};
	struct aws_tag many[51];
	char *large = malloc(200001);

	(void)state;
	expect_no_start((struct aws_assume_role){.role_arn = "app"}, "not the ARN of a role");
	expect_no_start((struct aws_assume_role){.session_name = "a"}, "not a session name");
	expect_no_start((struct aws_assume_role){.session_name = "a b"}, "not a session name");
	expect_no_start((struct aws_assume_role){.duration_s = 899}, "a duration of 899 s");
	expect_no_start((struct aws_assume_role){.duration_s = 43201}, "a duration of 43201 s");
	expect_no_start((struct aws_assume_role){.tags = no_key, .n_tags = 1},
			"not the key of a tag");
	expect_no_start((struct aws_assume_role){.tags = bad, .n_tags = 1}, "\"a*b\"");
	expect_no_start((struct aws_assume_role){.tags = reserved, .n_tags = 1}, "\"AWS:x\"");
	expect_no_start((struct aws_assume_role){.tags = twice, .n_tags = 2}, "two tags");
	for (size_t i = 0; i < 51; i++)
		many[i] = (struct aws_tag){"x", "y", 0};
	expect_no_start((struct aws_assume_role){.tags = many, .n_tags = 51}, "51 tags");
	expect_no_start((struct aws_assume_role){.policy_arns = arns}, "\"ReadOnlyAccess\"");
	expect_no_start((struct aws_assume_role){.external_id = "a"}, "not an external id");
	expect_no_start((struct aws_assume_role){.external_id = "a b"}, "not an external id");
	expect_no_start((struct aws_assume_role){.source_identity = "aws:x"},
			"not a source identity");
	memset(large, 'x', 200000);
	large[200000] = '\0';
	expect_no_start((struct aws_assume_role){.policy = large}, "the request is too large");
	free(large);
}

/* ---- what STS refuses ---- */

static void test_denied(void **state)
{
	_cleanup_seen_ struct seen seen = {};

	(void)state;
	fake_aws_set("{\"role\": {\"arn\": \"" ROLE "2\", \"deny\": true}}");
	seen = assume("node",
		      &(struct aws_assume_role){.role_arn = ROLE "2", .session_name = "web-0"});
	expect(&seen, AWS_DENIED, 1);
	assert_int_equal(seen.status, 403);
	assert_string_equal(seen.code, "AccessDenied");
	expect_text(seen.detail,
		    "is not authorized to perform: sts:AssumeRole on resource: " ROLE "2");
	expect_text(seen.message, "127.0.0.1:");
	expect_text(seen.message,
		    ": AccessDenied: User: arn:aws:sts::111122223333:assumed-role/node/");
	expect_text(seen.message, "; see the role's trust policy");
	assert_int_equal(strlen(seen.request_id), 36);
}

static void test_chained(void **state)
{
	const struct aws_assume_role params = {
		.role_arn = ROLE "long", .session_name = "web-0", .duration_s = 7200};
	_cleanup_seen_ struct seen node = {}, user = {};

	(void)state;
	fake_aws_set("{\"role\": {\"arn\": \"" ROLE "long\", \"max_session\": 7200}}");
	node = assume("node", &params);
	expect(&node, AWS_CHAINED, 1);
	expect_text(node.message, "; ask for at most 3600 s");
	user = assume("user", &params);
	expect(&user, AWS_OK, 1);
}

static void test_packed(void **state)
{
	static const struct aws_tag tags[] = {{"a", "b", 0}};
	_cleanup_seen_ struct seen seen = {};

	(void)state;
	fake_aws_set("{\"set\": {\"packed_limit\": 1}}");
	seen = assume("user", &(struct aws_assume_role){.role_arn = ROLE,
							.session_name = "web-0",
							.tags = tags,
							.n_tags = 1});
	expect(&seen, AWS_TOO_LARGE, 1);
}

static void test_keys_refused(void **state)
{
	_cleanup_owner_ struct owner node = owner_of("node");
	_cleanup_seen_ struct seen expired = {}, unknown = {}, wrong = {};
	struct aws_keys keys = node.keys;

	(void)state;
	keys.secret_access_key = "wrong";
	start(&wrong, &keys, &simple);
	run_loop(&wrong);
	expect(&wrong, AWS_KEYS, 1);
	assert_string_equal(wrong.code, "SignatureDoesNotMatch");
	expect_text(wrong.message, "are the credentials that it was signed with still valid?");
	fake_aws_set("{\"expire\": {\"who\": \"node\"}}");
	start(&expired, &node.keys, &simple);
	run_loop(&expired);
	expect(&expired, AWS_KEYS, 1);
	assert_string_equal(expired.code, "ExpiredToken");
	fake_aws_set("{\"revoke\": {\"who\": \"node\"}}");
	start(&unknown, &node.keys, &simple);
	run_loop(&unknown);
	expect(&unknown, AWS_KEYS, 1);
	assert_string_equal(unknown.code, "InvalidClientTokenId");
}

static char *token(const char *options)
{
	char *text = fake_aws_do("{\"token\": {%s}}", options);
	char *bare = strndup(text + 1, strlen(text) - 3); /* quotes and a line feed */

	free(text);
	return bare;
}

static struct seen assume_by_token(const char *web_token)
{
	const struct aws_web_identity params = {
		.role_arn = ROLE, .session_name = "web-0", .token = web_token, .duration_s = 900};
	struct seen seen = {};
	struct pc_err err = {};

	if (aws_assume_role_with_web_identity(client, &params, on_session, &seen, &seen.call,
					      &err) < 0)
		fail_msg("%s", err.msg);
	run_loop(&seen);
	return seen;
}

/* A server that repeats what it was told must not make us repeat it. */
static void test_no_secrets_in_messages(void **state)
{
	_cleanup_owner_ struct owner node = owner_of("node");
	_cleanup_seen_ struct seen seen = {}, by_token = {};

	(void)state;
	fault("\"do\": \"error\", \"code\": \"InvalidIdentityToken\", \"status\": 400, "
	      "\"message\": "
	      "\"no provider for a-short-token\"");
	by_token = assume_by_token("a-short-token");
	expect(&by_token, AWS_TOKEN, 1);
	assert_string_equal(by_token.detail, "no provider for [...]");
	fake_aws_set(
		"{\"fault\": {\"do\": \"error\", \"code\": \"SignatureDoesNotMatch\", \"status\": "
		"403, "
		"\"message\": \"The Canonical String should have been\\n'x-amz-security-token:%s\\n"
		"%s'\"}}",
		node.keys.session_token, node.keys.secret_access_key);
	start(&seen, &node.keys, &simple);
	run_loop(&seen);
	expect(&seen, AWS_KEYS, 1);
	expect_text(seen.detail,
		    "The Canonical String should have been 'x-amz-security-token:[...] [...]'");
	assert_null(strstr(seen.message, node.keys.session_token));
	assert_null(strstr(seen.message, node.keys.secret_access_key));
}

/* ---- the others of STS ---- */

static void test_web_identity(void **state)
{
	_cleanup_free_ char *good = token("\"audience\": \"sts.amazonaws.com\"");
	_cleanup_free_ char *old = token("\"audience\": \"sts.amazonaws.com\", \"seconds\": -10");
	_cleanup_free_ char *other = token("\"audience\": \"elsewhere\"");
	_cleanup_seen_ struct seen seen = assume_by_token(good);
	_cleanup_seen_ struct seen expired = assume_by_token(old), refused = assume_by_token(other);

	(void)state;
	expect(&seen, AWS_OK, 1);
	expect_keys(&seen);
	assert_string_equal(seen.session.subject, "system:serviceaccount:shop:web");
	assert_string_equal(seen.session.audience, "sts.amazonaws.com");
	expect(&expired, AWS_TOKEN, 1);
	assert_string_equal(expired.code, "ExpiredTokenException");
	expect(&refused, AWS_TOKEN, 1);
	assert_string_equal(refused.code, "InvalidIdentityToken");
	fault("\"do\": \"error\", \"code\": \"IDPCommunicationError\", \"status\": 400");
	seen_done(&seen);
	seen = assume_by_token(good);
	expect(&seen, AWS_OK, 2);
}

static void test_no_web_identity(void **state)
{
	const struct aws_web_identity params = {
		.role_arn = ROLE, .session_name = "web-0", .token = "a\nb"};
	struct aws_call *call = NULL;
	struct pc_err err = {};

	(void)state;
	assert_int_equal(
		aws_assume_role_with_web_identity(client, &params, on_session, NULL, &call, &err),
		-EINVAL);
	expect_text(err.msg, "the token is not one");
	assert_null(strstr(err.msg, "a\nb"));
}

static void test_caller_identity(void **state)
{
	_cleanup_owner_ struct owner node = owner_of("node");
	_cleanup_seen_ struct seen seen = {};

	(void)state;
	assert_int_equal(
		aws_get_caller_identity(client, &node.keys, on_identity, &seen, &seen.call, NULL),
		0);
	run_loop(&seen);
	expect(&seen, AWS_OK, 1);
	assert_string_equal(seen.identity.account, "111122223333");
	expect_text(seen.identity.arn, ":assumed-role/node/i-0123456789abcdef0");
	assert_true(strlen(seen.identity.user_id) > 10);
}

static void test_json(void **state)
{
	_cleanup_seen_ struct seen good = {}, bad = {};

	(void)state;
	fault("\"do\": \"answer\", \"type\": \"application/json\", \"body\": "
	      "\"{\\\"AssumeRoleResponse\\\":{\\\"AssumeRoleResult\\\":{\\\"Credentials\\\":"
	      "{\\\"AccessKeyId\\\":\\\"ASIAJSON\\\",\\\"SecretAccessKey\\\":"
	      "\\\"0123456789012345678901\\\","
	      "\\\"SessionToken\\\":\\\"0123456789012345678901\\\",\\\"Expiration\\\":1."
	      "767326645E9}}}}\"");
	good = assume("user", &simple);
	expect(&good, AWS_OK, 1);
	expect_keys(&good);
	assert_int_equal(good.session.expiration, 1767326645);
	assert_null(good.session.arn);
	fault("\"do\": \"answer\", \"type\": \"application/json\", \"status\": 403, \"body\": "
	      "\"{\\\"Error\\\":{\\\"Code\\\":\\\"AccessDenied\\\",\\\"Message\\\":\\\"no\\\"}}\"");
	bad = assume("user", &simple);
	expect(&bad, AWS_DENIED, 1);
	assert_string_equal(bad.detail, "no");
}

/* ---- what passes by itself ---- */

static void expect_retried(const char *text, enum aws_class class)
{
	_cleanup_seen_ struct seen once = {}, always = {};
	char times[512];

	fault(text);
	once = assume("user", &simple);
	expect(&once, AWS_OK, 2);
	expect_keys(&once);
	snprintf(times, sizeof(times), "%s, \"times\": 3", text);
	fault(times);
	always = assume("user", &simple);
	expect(&always, class, 3);
}

static void test_retries(void **state)
{
	(void)state;
	/* libcurl itself repeats a request on a connection that was kept and turns out to be dead
	 * */
	fake_aws_set("{\"set\": {\"close\": true}}");
	expect_retried("\"do\": \"error\", \"code\": \"Throttling\", \"status\": 400",
		       AWS_THROTTLED);
	expect_retried("\"do\": \"error\", \"code\": \"SlowDown\", \"status\": 503", AWS_THROTTLED);
	expect_retried("\"do\": \"error\", \"code\": \"InternalFailure\", \"status\": 500",
		       AWS_UNAVAILABLE);
	expect_retried("\"do\": \"answer\", \"status\": 502, \"body\": \"<html>no</html>\"",
		       AWS_UNAVAILABLE);
	expect_retried("\"do\": \"close\"", AWS_UNAVAILABLE);
	expect_retried("\"do\": \"reset\"", AWS_UNAVAILABLE);
	expect_retried("\"do\": \"truncate\"", AWS_UNAVAILABLE);
	expect_retried("\"do\": \"garbage\"", AWS_MALFORMED);
	expect_retried("\"do\": \"cut\"", AWS_MALFORMED);
	expect_retried("\"do\": \"empty\"", AWS_MALFORMED);
	expect_retried("\"do\": \"without\", \"members\": [\"SessionToken\"]", AWS_MALFORMED);
	expect_retried("\"do\": \"without\", \"members\": [\"Expiration\"]", AWS_MALFORMED);
}

static void test_too_large(void **state)
{
	_cleanup_seen_ struct seen seen = {};

	(void)state;
	fault("\"do\": \"oversize\", \"bytes\": 70000, \"times\": 2");
	seen = assume("user", &simple);
	expect(&seen, AWS_MALFORMED, 1);
	expect_text(seen.message, "the answer is too large");
}

static void test_retry_after(void **state)
{
	_cleanup_seen_ struct seen waited = {}, gave_up = {};
	uint64_t start_ns = clock_mono_ns();

	(void)state;
	fault("\"do\": \"error\", \"code\": \"Throttling\", \"status\": 400, \"headers\": "
	      "{\"Retry-After\": "
	      "\"1\"}");
	waited = assume("user", &simple);
	expect(&waited, AWS_OK, 2);
	assert_true(clock_mono_ns() - start_ns >= CLOCK_S);
	fault("\"do\": \"error\", \"code\": \"Throttling\", \"status\": 400, \"headers\": "
	      "{\"Retry-After\": "
	      "\"600\"}");
	gave_up = assume("user", &simple);
	expect(&gave_up, AWS_THROTTLED, 1);
	assert_int_equal(gave_up.retry_after_ns / CLOCK_S, 600);
}

static void test_deadline(void **state)
{
	_cleanup_seen_ struct seen seen = {};

	(void)state;
	use_client((struct aws_client_options){.deadline_ns = CLOCK_S / 2});
	fault("\"do\": \"mute\", \"times\": 0");
	seen = assume("user", &simple);
	expect(&seen, AWS_UNAVAILABLE, 1);
	expect_text(seen.message, "is it up, and can it be reached from here?");
	assert_int_equal(seen.status, 0);
}

/* ---- clocks ---- */

static void test_clock(void **state)
{
	_cleanup_seen_ struct seen first = {}, second = {}, back = {};
	time_t now = time(NULL);

	(void)state;
	fake_aws_set("{\"set\": {\"skew\": 7200}}");
	first = assume("user", &simple);
	expect(&first, AWS_OK, 2);
	assert_in_range(aws_client_now(client), now + 7190, now + 7300);
	second = assume("user", &simple);
	expect(&second, AWS_OK, 1);
	fake_aws_set("{\"set\": {\"skew\": -7200}}");
	back = assume("user", &simple);
	expect(&back, AWS_OK, 2);
	assert_in_range(aws_client_now(client), now - 7210, now - 7100);
}

/* With a date that does not explain it, or that does not help. */
static void test_clock_not_to_blame(void **state)
{
	_cleanup_seen_ struct seen right = {}, wrong = {};
	time_t now = time(NULL);

	(void)state;
	fault("\"do\": \"error\", \"code\": \"SignatureDoesNotMatch\", \"status\": 403, "
	      "\"message\": "
	      "\"Signature expired: it is now earlier\", \"times\": 2");
	right = assume("user", &simple);
	expect(&right, AWS_CLOCK, 1);
	assert_in_range(aws_client_now(client), now - 1, now + 60);
	fake_aws_set("{\"clear\": [], \"set\": {\"skew\": 3600}}");
	fault("\"do\": \"error\", \"code\": \"RequestExpired\", \"status\": 400, \"times\": 2");
	wrong = assume("user", &simple);
	expect(&wrong, AWS_CLOCK, 2);
	expect_text(wrong.message, "; set this node's clock, which differs by -36");
}

/* ---- the connection ---- */

static void test_certificates(void **state)
{
	_cleanup_seen_ struct seen expired = {}, name = {}, foreign = {};

	(void)state;
	fake_aws_set("{\"set\": {\"certificate\": \"expired\"}}");
	expired = assume("user", &simple);
	expect(&expired, AWS_UNTRUSTED, 1);
	fake_aws_set("{\"set\": {\"certificate\": \"name\"}}");
	name = assume("user", &simple);
	expect(&name, AWS_UNTRUSTED, 1);
	fake_aws_set("{\"set\": {\"certificate\": \"ok2\"}}");
	foreign = assume("user", &simple);
	expect(&foreign, AWS_UNTRUSTED, 1);
	expect_text(foreign.message, "does the CA bundle belong to it");
}

static void test_proxy(void **state)
{
	_cleanup_seen_ struct seen by_proxy = {}, directly = {};

	(void)state;
	use_client((struct aws_client_options){.proxy = "http://127.0.0.1:1"});
	by_proxy = assume("user", &simple);
	expect(&by_proxy, AWS_UNAVAILABLE, 3);
	use_client((struct aws_client_options){.proxy = "http://127.0.0.1:1",
					       .no_proxy = "127.0.0.1"});
	directly = assume("user", &simple);
	expect(&directly, AWS_OK, 1);
}

static void test_client_options(void **state)
{
	struct aws_client_options options = {.region = "no region"};
	struct aws_client *none = NULL;
	struct pc_err err = {};

	(void)state;
	assert_int_equal(aws_client_new(loop, http, &options, &none, &err), -EINVAL);
	options = (struct aws_client_options){.region = "eu-west-1", .eks_auth_url = "x"};
	assert_int_equal(aws_client_new(loop, http, &options, &none, &err), -EINVAL);
	expect_text(err.msg, "\"x\" is not an endpoint");
	options = (struct aws_client_options){
		.region = "eu-west-1", .sts_url = "https://x", .fips = true};
	assert_int_equal(aws_client_new(loop, http, &options, &none, &err), -EINVAL);
	assert_null(none);
}

/* ---- EKS Auth ---- */

static struct seen ask_eks(const char *pod_token)
{
	const struct aws_pod_identity params = {.cluster = "demo",
						.token = pod_token,
						.node_name = "n1",
						.instance_id = "i-0123456789abcdef0"};
	_cleanup_owner_ struct owner node = owner_of("node");
	struct seen seen = {};
	struct pc_err err = {};

	if (aws_assume_role_for_pod_identity(client, &node.keys, &params, on_session, &seen,
					     &seen.call, &err) < 0)
		fail_msg("%s", err.msg);
	run_loop(&seen);
	return seen;
}

static void test_eks_auth(void **state)
{
	_cleanup_free_ char *good = token(""), *old = token("\"seconds\": -10"),
			    *stranger = token("\"service_account\": \"other\"");
	_cleanup_seen_ struct seen seen = {}, expired = {}, none = {}, skewed = {}, busy = {};
	json_t *call;

	(void)state;
	fake_aws_set("{\"cluster\": {\"name\": \"demo\"}, \"associate\": {\"cluster\": \"demo\", "
		     "\"namespace\": \"shop\", \"service_account\": \"web\", \"role\": \"" ROLE
		     "\"}}");
	seen = ask_eks(good);
	expect(&seen, AWS_OK, 1);
	expect_keys(&seen);
	expect_text(seen.session.arn, ":assumed-role/app/eks-demo-web-0-");
	assert_string_equal(seen.session.subject, "web");
	expect_text(seen.session.association_id, "a-");
	expect_text(seen.session.association_arn, "podidentityassociation/demo/a-");
	assert_int_equal(strlen(seen.request_id), 36);
	call = last_call();
	expect_json(json_object_get(call, "parameters"), "eksNodeName", "\"n1\"");
	json_decref(call);
	expired = ask_eks(old);
	expect(&expired, AWS_TOKEN, 1);
	none = ask_eks(stranger);
	expect(&none, AWS_NOT_FOUND, 1);
	assert_string_equal(none.code, "ResourceNotFoundException");
	fault("\"do\": \"error\", \"code\": \"ThrottlingException\", \"status\": 429, \"service\": "
	      "\"eks-auth\"");
	busy = ask_eks(good);
	expect(&busy, AWS_OK, 2);
	fake_aws_set("{\"set\": {\"skew\": 1800}}");
	skewed = ask_eks(good);
	expect(&skewed, AWS_OK, 2);
}

static void test_no_eks_auth(void **state)
{
	static const char *const clusters[] = {"", "-a", "a/b", "a?b", "a b"};
	static const char *const tokens[] = {"", "a.b", "a.b.c.d", "a.b.c\"", ".b.c", "a b.c.d"};
	const struct aws_keys keys = {"A", "B", NULL};
	struct aws_call *call = NULL;
	struct pc_err err = {};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(clusters); i++)
		assert_int_equal(aws_assume_role_for_pod_identity(
					 client, &keys,
					 &(struct aws_pod_identity){.cluster = clusters[i],
								    .token = "a.b.c"},
					 on_session, NULL, &call, &err),
				 -EINVAL);
	for (size_t i = 0; i < ARRAY_SIZE(tokens); i++)
		assert_int_equal(
			aws_assume_role_for_pod_identity(
				client, &keys,
				&(struct aws_pod_identity){.cluster = "demo", .token = tokens[i]},
				on_session, NULL, &call, &err),
			-EINVAL);
	assert_null(call);
}

/* ---- the metadata service ---- */

static struct seen get(const char *path, size_t max)
{
	struct seen seen = {};
	struct pc_err err = {};

	if (aws_imds_get(imds, path, max, on_body, &seen, &seen.call, &err) < 0)
		fail_msg("%s", err.msg);
	run_loop(&seen);
	return seen;
}

static struct seen node_credentials(void)
{
	struct seen seen = {};

	assert_int_equal(aws_imds_credentials(imds, on_session, &seen, &seen.call, NULL), 0);
	run_loop(&seen);
	return seen;
}

static void test_imds_credentials(void **state)
{
	_cleanup_owner_ struct owner node = owner_of("node");
	_cleanup_seen_ struct seen seen = node_credentials(), none = {}, failed = {};

	(void)state;
	expect(&seen, AWS_OK, 2);
	assert_string_equal(seen.session.access_key_id, node.keys.access_key_id);
	assert_string_equal(seen.session.secret_access_key, node.keys.secret_access_key);
	assert_string_equal(seen.session.session_token, node.keys.session_token);
	assert_true(seen.session.expiration > time(NULL) + 21000);
	fault("\"service\": \"imds\", \"path\": "
	      "\"/latest/meta-data/iam/security-credentials/node\", \"do\": "
	      "\"answer\", \"body\": "
	      "\"{\\\"Code\\\":\\\"AssumeRoleUnauthorizedAccess\\\",\\\"Message\\\":"
	      "\\\"EC2 cannot assume the role node.\\\"}\"");
	failed = node_credentials();
	expect(&failed, AWS_DENIED, 2);
	assert_string_equal(failed.code, "AssumeRoleUnauthorizedAccess");
	expect_text(failed.message, "see the trust policy of the instance's role");
	fake_aws_set("{\"node\": null}");
	none = node_credentials();
	expect(&none, AWS_NOT_FOUND, 1);
}

static void test_imds_bad_credentials(void **state)
{
	_cleanup_seen_ struct seen half = {}, role = {};

	(void)state;
	fault("\"service\": \"imds\", \"path\": "
	      "\"/latest/meta-data/iam/security-credentials/node\", \"do\": "
	      "\"without\", \"members\": [\"Token\"]");
	half = node_credentials();
	expect(&half, AWS_OK, 3);
	fault("\"service\": \"imds\", \"path\": \"/latest/meta-data/iam/security-credentials/\", "
	      "\"do\": "
	      "\"answer\", \"body\": \"a?b\", \"times\": 3");
	role = node_credentials();
	expect(&role, AWS_MALFORMED, 3);
}

static void test_imds_place(void **state)
{
	_cleanup_seen_ struct seen seen = {}, old = {};

	(void)state;
	assert_int_equal(aws_imds_place(imds, on_place, &seen, &seen.call, NULL), 0);
	run_loop(&seen);
	expect(&seen, AWS_OK, 4);
	assert_string_equal(seen.place.region, "eu-west-1");
	assert_string_equal(seen.place.zone, "eu-west-1a");
	assert_string_equal(seen.place.zone_id, "euw1-az2");
	assert_string_equal(seen.place.instance_id, "i-0123456789abcdef0");
	fault("\"path\": \"/latest/meta-data/placement/region\", \"do\": \"error\", \"status\": "
	      "404");
	fault("\"path\": \"/latest/meta-data/placement/availability-zone-id\", \"do\": \"error\", "
	      "\"status\": "
	      "404");
	assert_int_equal(aws_imds_place(imds, on_place, &old, &old.call, NULL), 0);
	run_loop(&old);
	expect(&old, AWS_OK, 4);
	assert_string_equal(old.place.region, "eu-west-1");
	assert_null(old.place.zone_id);
}

static void test_imds_get(void **state)
{
	_cleanup_seen_ struct seen seen = get("/latest/meta-data/instance-type", 1000);
	_cleanup_seen_ struct seen none = get("/latest/meta-data/nothing", 1000);
	_cleanup_seen_ struct seen large = get("/latest/meta-data/instance-type", 8);
	static const char *const wrong[] = {"",	    "latest", "/latest/../x", "/a?b",
					    "/a b", "/a%20",  "/a#b"};
	struct aws_call *call = NULL;
	struct pc_err err;

	(void)state;
	expect(&seen, AWS_OK, 1);
	assert_string_equal(seen.body, "m7i.large");
	assert_int_equal(seen.len, 9);
	expect(&none, AWS_NOT_FOUND, 1);
	assert_int_equal(none.status, 404);
	expect(&large, AWS_MALFORMED, 1);
	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++)
		assert_int_equal(aws_imds_get(imds, wrong[i], 100, on_body, NULL, &call, &err),
				 -EINVAL);
}

static unsigned to_come;

static void one_less(struct seen *seen)
{
	(void)seen;
	if (--to_come == 0)
		loop_stop(loop, 0);
}

static void get_many(struct seen *seen, unsigned n)
{
	to_come = n;
	for (unsigned i = 0; i < n; i++) {
		seen[i] = (struct seen){.after = one_less};
		assert_int_equal(aws_imds_get(imds, "/latest/meta-data/mac", 100, on_body, &seen[i],
					      &seen[i].call, NULL),
				 0);
	}
	assert_int_equal(loop_run(loop), 0);
}

#define PUT "\"PUT /latest/api/token\""

/* One token for all; and a new one when the service knows it no more. */
static void test_imds_token(void **state)
{
	static struct seen seen[20];
	size_t puts = count_calls(PUT);

	(void)state;
	get_many(seen, 20);
	for (size_t i = 0; i < 20; i++)
		expect(&seen[i], AWS_OK, 1);
	assert_int_equal(count_calls(PUT), puts + 1);
	get_many(seen, 1);
	assert_int_equal(count_calls(PUT), puts + 1);
	fake_aws_set("{\"set\": {\"skew\": 30000}}");
	get_many(seen, 20);
	for (size_t i = 0; i < 20; i++)
		expect(&seen[i], AWS_OK, 2);
	assert_int_equal(count_calls(PUT), puts + 2);
}

static void test_imds_no_token(void **state)
{
	static struct seen seen[5];

	(void)state;
	fault("\"service\": \"imds\", \"action\": \"PUT\", \"do\": \"error\", \"status\": 403");
	get_many(seen, 5);
	for (size_t i = 0; i < 5; i++) {
		expect(&seen[i], AWS_DENIED, 1);
		assert_int_equal(seen[i].status, 403);
		expect_text(seen[i].message, "is the metadata service enabled");
	}
	fault("\"service\": \"imds\", \"action\": \"PUT\", \"do\": \"answer\", \"body\": \"a b\", "
	      "\"times\": 3");
	get_many(seen, 5);
	expect(&seen[4], AWS_MALFORMED, 3);
	fault("\"service\": \"imds\", \"action\": \"PUT\", \"do\": \"answer\", \"body\": \"a\", "
	      "\"headers\": "
	      "{\"X-aws-ec2-metadata-token-ttl-seconds\": \"0\"}, \"times\": 3");
	get_many(seen, 5);
	expect(&seen[4], AWS_MALFORMED, 3);
	fault("\"service\": \"imds\", \"action\": \"PUT\", \"do\": \"answer\", \"body\": \"a b\", "
	      "\"times\": 1");
	get_many(seen, 5);
	expect(&seen[4], AWS_OK, 1);
}

/* The service keeps refusing: asked twice, not for ever. */
static void test_imds_refused(void **state)
{
	_cleanup_seen_ struct seen seen = {};

	(void)state;
	fault("\"service\": \"imds\", \"action\": \"GET\", \"do\": \"error\", \"status\": 401, "
	      "\"times\": 0");
	seen = get("/latest/meta-data/mac", 100);
	expect(&seen, AWS_DENIED, 2);
}

static void test_imds_away(void **state)
{
	_cleanup_seen_ struct seen seen = {};

	(void)state;
	fault("\"service\": \"imds\", \"do\": \"reset\", \"times\": 0");
	seen = get("/latest/meta-data/mac", 100);
	expect(&seen, AWS_UNAVAILABLE, 3);
}

/* ---- what stays in memory ---- */

#define HIDE	 0x5a
#define MAX_HERE (1UL << 30) /* larger mappings are the sanitizer's own */
#define COMPARED 24
#define PIECE	 (1UL << 20)

static char piece[PIECE + COMPARED - 1]; /* what begins in the next one is not counted twice */
static char places[1024]; /* where something was found: the lines of maps */

/* Its end: a sanitizer writes at the beginning of what is freed. */
static void hide(const char *secret, char ret[COMPARED])
{
	assert_true(strlen(secret) >= COMPARED);
	secret += strlen(secret) - COMPARED;
	for (size_t i = 0; i < COMPARED; i++)
		ret[i] = (char)(secret[i] ^ HIDE);
}

static bool is_at(const char *at, const char hidden[COMPARED])
{
	size_t i = 0;

	while (i < COMPARED && at[i] == (char)(hidden[i] ^ HIDE))
		i++;
	return i == COMPARED;
}

static size_t count_in(size_t len, const char hidden[COMPARED])
{
	size_t n = 0;

	const char *at = piece, *end = piece + len;

	while (end - at >= COMPARED &&
	       (at = memchr(at, hidden[0] ^ HIDE, (size_t)(end - at) - COMPARED + 1))) {
		n += is_at(at, hidden);
		at++;
	}
	return n;
}

/* In all memory that can be written to, but for the copy of it that is compared. */
static size_t count_in_memory(const char hidden[COMPARED])
{
	_cleanup_fclose_ FILE *maps = fopen("/proc/self/maps", "r");
	_cleanup_fclose_ FILE *mem = fopen("/proc/self/mem", "r");
	unsigned long from, to, own = (unsigned long)piece;
	char line[512], mode[8];
	size_t n = 0, here;

	places[0] = '\0';
	setvbuf(mem, NULL, _IONBF, 0);
	while (fgets(line, sizeof(line), maps)) {
		if (sscanf(line, "%lx-%lx %7s", &from, &to, mode) != 3 || mode[1] != 'w' ||
		    to - from >= MAX_HERE)
			continue;
		for (; from < to; from += PIECE) {
			size_t len = to - from < sizeof(piece) ? to - from : sizeof(piece);

			if (from < own + sizeof(piece) && from + len > own)
				continue;
			fseek(mem, (long)from, SEEK_SET);
			here = count_in(fread(piece, 1, len, mem), hidden);
			if (here)
				strncat(places, line, sizeof(places) - strlen(places) - 1);
			n += here;
		}
	}
	explicit_bzero(piece, sizeof(piece));
	return n;
}

static void expect_in_memory(const char hidden[COMPARED], size_t want)
{
	size_t n = count_in_memory(hidden);

	if (n != want)
		fail_msg("%zu times in memory, not %zu:\n%s", n, want, places);
}

/* The connection is still there. */
static void expect_forgotten(struct seen *seen)
{
	char secret[COMPARED], session[COMPARED];

	expect(seen, AWS_OK, seen->attempts);
	hide(seen->session.secret_access_key, secret);
	hide(seen->session.session_token, session);
	expect_in_memory(session, 1); /* so it would be found */
	seen_done(seen);
	expect_in_memory(secret, 0);
	expect_in_memory(session, 0);
}

static void test_nothing_stays(void **state)
{
	_cleanup_free_ char *pod = token("");
	struct seen xml = assume("node", &simple), json;

	(void)state;
	fake_aws_set("{\"cluster\": {\"name\": \"demo\"}, \"associate\": {\"cluster\": \"demo\", "
		     "\"namespace\": \"shop\", \"service_account\": \"web\", \"role\": \"" ROLE
		     "\"}}");
	json = ask_eks(pod);
	expect_forgotten(&xml);
	expect_forgotten(&json);
}

/* ---- cancelling ---- */

static void never(struct seen *seen)
{
	fail_msg("called for %s", seen->message);
}

static bool are_pending(size_t n)
{
	_cleanup_free_ char *text = fake_aws_do("{\"state\": []}");
	json_t *state = json_loads(text, 0, NULL);
	size_t pending = json_array_size(json_object_get(state, "pending"));

	json_decref(state);
	return pending == n;
}

static void on_time(void *arg)
{
	(void)arg;
	loop_stop(loop, 0);
}

static void test_cancel(void **state)
{
	_cleanup_owner_ struct owner user = owner_of("user");
	struct seen at_once = {.after = never}, waiting = {.after = never}, held = {.after = never},
		    by_imds = {.after = never};
	_cleanup_seen_ struct seen seen = {};
	struct loop_timer *timer;

	(void)state;
	start(&at_once, &user.keys, &simple);
	assert_null(aws_call_cancel(at_once.call));
	assert_null(aws_call_cancel(NULL));
	fault("\"do\": \"hold\", \"times\": 2");
	start(&held, &user.keys, &simple);
	assert_int_equal(aws_imds_get(imds, "/latest/meta-data/mac", 100, on_body, &by_imds,
				      &by_imds.call, NULL),
			 0);
	assert_int_equal(loop_timer_new(loop, on_time, NULL, &timer), 0);
	while (!are_pending(2)) {
		loop_timer_after(timer, CLOCK_MS);
		assert_int_equal(loop_run(loop), 0);
	}
	aws_call_cancel(held.call);
	aws_call_cancel(by_imds.call);
	fake_aws_set("{\"release\": []}");
	start(&waiting, &user.keys, &simple);
	start(&seen, &user.keys, &simple);
	aws_call_cancel(waiting.call);
	run_loop(&seen);
	expect(&seen, AWS_OK, 1);
	/* and what is left when the clients go */
	start(&at_once, &user.keys, &simple);
	assert_int_equal(aws_imds_get(imds, "/latest/meta-data/mac", 100, on_body, &by_imds,
				      &by_imds.call, NULL),
			 0);
}

static struct seen pair[2], last;

/* Whichever comes first ends the other one, and begins a third. */
static void cancel_other(struct seen *seen)
{
	struct seen *other = &pair[seen == pair];

	assert_non_null(other->call);
	aws_call_cancel(other->call);
	start(&last, &(struct aws_keys){"A", "B", NULL}, &simple);
}

static void test_cancel_from_function(void **state)
{
	(void)state;
	for (size_t i = 0; i < 2; i++) {
		pair[i] = (struct seen){.after = cancel_other};
		start(&pair[i], &(struct aws_keys){"A", "B", NULL}, &simple);
	}
	run_loop(&last);
	expect(&last, AWS_KEYS, 1);
	assert_int_equal(pair[0].dones + pair[1].dones, 1);
}

static struct seen waiting_for_token[3], again;

static void cancel_the_rest(struct seen *seen)
{
	for (size_t i = 0; i < 3; i++)
		waiting_for_token[i].call = &waiting_for_token[i] == seen
						    ? NULL
						    : aws_call_cancel(waiting_for_token[i].call);
	assert_int_equal(aws_imds_get(imds, "/latest/meta-data/mac", 100, on_body, &again,
				      &again.call, NULL),
			 0);
}

/* They wait for one token, which they do not get. The first to be told ends the others, and begins
 * a new one. */
static void test_cancel_those_who_wait(void **state)
{
	(void)state;
	fault("\"service\": \"imds\", \"action\": \"PUT\", \"do\": \"error\", \"status\": 403");
	memset(&again, 0, sizeof(again));
	for (size_t i = 0; i < 3; i++) {
		waiting_for_token[i] = (struct seen){.after = cancel_the_rest};
		assert_int_equal(aws_imds_get(imds, "/latest/meta-data/mac", 100, on_body,
					      &waiting_for_token[i], &waiting_for_token[i].call,
					      NULL),
				 0);
	}
	run_loop(&again);
	expect(&again, AWS_OK, 1);
	expect(&waiting_for_token[0], AWS_DENIED, 1);
	assert_int_equal(waiting_for_token[1].dones + waiting_for_token[2].dones, 0);
}

#define ANYWHERE "arn:aws:rolesanywhere:eu-west-1:111122223333:"

static int create_session(const struct aws_roles_anywhere *params)
{
	struct aws_call *call = NULL;
	struct pc_err err = {};
	int r = aws_create_session(client, params, on_session, NULL, &call, &err);

	assert_null(call);
	assert_non_null(strchr(err.msg, ' '));
	return r;
}

/* What cannot be signed with, or asked for, is not sent. tests/e2e/97-broker-signed.sh has what is. */
static void test_no_roles_anywhere(void **state)
{
	struct aws_roles_anywhere p = {.certificate = fake_aws_ca(),
				       .key = "no key",
				       .trust_anchor_arn = ANYWHERE "trust-anchor/1",
				       .profile_arn = ANYWHERE "profile/1",
				       .role_arn = ROLE};

	(void)state;
	assert_int_equal(create_session(&p), -ENOKEY);
	p.certificate = "";
	assert_int_equal(create_session(&p), -ENOKEY);
	p.profile_arn = ROLE;
	assert_int_equal(create_session(&p), -EINVAL);
	p.profile_arn = ANYWHERE "profile/1";
	p.role_arn = "app";
	assert_int_equal(create_session(&p), -EINVAL);
	p.role_arn = ROLE;
	p.session_name = "a b";
	assert_int_equal(create_session(&p), -EINVAL);
}

#define T(name) cmocka_unit_test_setup_teardown(test_##name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(assume_role),
		T(all_parameters),
		T(bad_parameters),
		T(denied),
		T(chained),
		T(packed),
		T(keys_refused),
		T(no_secrets_in_messages),
		T(web_identity),
		T(no_web_identity),
		T(caller_identity),
		T(json),
		T(retries),
		T(too_large),
		T(retry_after),
		T(deadline),
		T(clock),
		T(clock_not_to_blame),
		T(certificates),
		T(proxy),
		T(client_options),
		T(eks_auth),
		T(no_eks_auth),
		T(no_roles_anywhere),
		T(imds_credentials),
		T(imds_bad_credentials),
		T(imds_place),
		T(imds_get),
		T(imds_token),
		T(imds_no_token),
		T(imds_refused),
		T(imds_away),
		T(cancel),
		T(cancel_from_function),
		T(nothing_stays),
		T(cancel_those_who_wait),
	};
	int failed;

	fake_aws_start();
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	fake_aws_stop();
	return failed;
}
