// SPDX-License-Identifier: Apache-2.0
/* SOURCES: tests/unit/tokens.c */
/* MODULES: agent http credentials aws upstream yaml crypto base */
/* LIBS: -ljansson -lyaml -lpcre2-8 -lcrypto */
/* STS at its address, over plain structs: what may be asked, with which token, and what comes of it. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "agent/agent.h"
#include "agent/leaves.h"
#include "agent/pod_token.h"
#include "agent/service.h"
#include "base/addr.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/loop.h"
#include "tokens.h"

#define NOW	     1767323045 /* 2026-01-02T03:04:05Z */
#define POD	     "5f1b0c1e-6d3a-4f0e-8d61-0a4b2d7e9c11"
#define ISSUER	     "https://kubernetes.default.svc.cluster.local"
#define ARN	     "arn:aws:iam::111122223333:role/web-role"
#define ARN_OF(role) "arn%3Aaws%3Aiam%3A%3A111122223333%3Arole%2F" role
#define V	     "&Version=2011-06-15"
#define ASSUME	     "Action=AssumeRoleWithWebIdentity" V
#define IDENTITY     "Action=GetCallerIdentity" V
#define SESSION	     "&RoleSessionName=botocore-session-1767323045"
#define ROLE	     "&RoleArn=" ARN_OF("web-role")
#define TOKEN	     "&WebIdentityToken=a.b.c"
#define ALL	     ASSUME ROLE SESSION TOKEN
#define SIGNED(id)                                                                                 \
	"AWS4-HMAC-SHA256 Credential=" id "/20260102/eu-west-1/sts/aws4_request, "                 \
	"SignedHeaders=content-type;host;x-amz-date, Signature=0123"
#define ENTRY(sa, more) "  - namespace: shop\n    serviceAccount: " sa "\n    role: " more
#define KEYS(token)                                                                                \
	"    static: {accessKeyId: AKIAEXAMPLE, secretAccessKey: se/cret+<&>, "                    \
	"sessionToken: " token "}\n"
#define V4 "169.254.170.83:80"
#define V6 "[fd70:6f64:6372::83]:80"

static uint64_t later_ns; /* how much CLOCK_BOOTTIME is ahead */

/* In place of libc's, for all that asks. */
int clock_gettime(clockid_t clock, struct timespec *ret)
{
	int r = (int)syscall(SYS_clock_gettime, clock, ret);

	if (r == 0 && clock == CLOCK_BOOTTIME)
		ret->tv_sec += (time_t)(later_ns / CLOCK_S);
	return r;
}

static struct agent_env env;

static int setup(void **state)
{
	static const char text[] =
		"associations:\n" ENTRY("web", "web-role\n    accountId: \"111122223333\"\n")
			KEYS("\"to<ken&\"") ENTRY("plain", "web-role\n") KEYS("t");

	(void)state;
	return cred_table_parse("t", text, strlen(text), (struct cred_table **)&env.table, NULL);
}

static int teardown(void **state)
{
	(void)state;
	cred_table_unref((struct cred_table *)env.table);
	return 0;
}

static struct podcred_peer peer_at(const char *address, const char *service_account)
{
	struct podcred_peer peer = {
		.flags = PODCRED_PEER_NAMED, .pod_cgroup_id = 4711, .generation = 1};
	struct net_addr addr;

	assert_int_equal(net_addr_parse(address, &addr), 0);
	memcpy(peer.address, addr.ip, 16);
	peer.port = addr.port;
	strcpy(peer.pod_uid, POD);
	strcpy(peer.pod_namespace, "shop");
	strcpy(peer.pod_name, "web-0");
	strcpy(peer.service_account, service_account);
	return peer;
}

/* Who asks what, and what comes of it. Zero: the usual. */
struct row {
	const char *body; /* NULL: none */
	unsigned status;
	const char *code; /* in the XML; NULL: it is no error */
	const char *reason; /* audited refusal; NULL: not audited as one */
	const char *method, *target, *host, *sa, *at, *authorization;
	bool forwarded, ambiguous;
};

static int dispatch(const struct row *row, struct agent_answer *ret)
{
	struct podcred_peer peer = peer_at(row->at ?: V4, row->sa ?: "web");
	struct agent_request req = {
		.head.method = row->method ?: "POST",
		.head.target = row->target ?: "/",
		.head.host = row->host,
		.body = row->body,
		.body_len = row->body ? strlen(row->body) : 0,
		.head.authorization = row->authorization,
		.head.authorization_text = row->authorization,
		.head.authorization_len = row->authorization ? strlen(row->authorization) : 0,
		.head.forwarded = row->forwarded,
		.head.ambiguous = row->ambiguous,
		.peer = &peer,
		.now = NOW,
		.since_ns = 1000000,
	};

	return agent_dispatch(&env, &req, ret);
}

/* The text of the first such element. Overwritten by the next call. */
static const char *element(const struct agent_answer *answer, const char *tag)
{
	static char text[2000];
	char open[80];
	const char *at, *end, *body = answer->http.body.data;
	size_t len = answer->http.body.len;

	snprintf(open, sizeof(open), "<%s>", tag);
	at = memmem(body, len, open, strlen(open));
	if (!at)
		return "";
	at += strlen(open);
	end = memchr(at, '<', (size_t)(body + len - at));
	snprintf(text, sizeof(text), "%.*s", (int)(end - at), at);
	return text;
}

static bool begins_with(const struct agent_answer *answer, const char *text)
{
	return answer->http.body.len > strlen(text) &&
	       !memcmp(answer->http.body.data, text, strlen(text));
}

#define XMLNS " xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\">"

static void check_row(const struct row *row)
{
	struct agent_answer answer = {};
	int r = dispatch(row, &answer);
	const char *what = row->body ?: row->target ?: "";
	const char *reason = agent_reason_name(answer.reason);
	bool refused = answer.audit == AUDIT_REFUSED;

	if (r != 0 || answer.http.status != row->status)
		fail_msg("%s: %d, status %u: %.*s", what, r, answer.http.status,
			 (int)answer.http.body.len, answer.http.body.data);
	assert_string_equal(answer.http.content_type, "text/xml");
	if (refused != !!row->reason || (refused && strcmp(reason, row->reason) != 0))
		fail_msg("%s: reason %s", what, reason);
	if (row->code && !begins_with(&answer, "<ErrorResponse" XMLNS "<Error><Type>"))
		fail_msg("%s: %.*s", what, (int)answer.http.body.len, answer.http.body.data);
	if (strcmp(element(&answer, "Code"), row->code ?: "") != 0)
		fail_msg("%s: code %s", what, element(&answer, "Code"));
	if (row->code)
		assert_string_equal(element(&answer, "Type"),
				    row->status < 500 ? "Sender" : "Receiver");
	assert_int_equal(strlen(element(&answer, "RequestId")), 36);
	if (row->status != 200)
		assert_null(memmem(answer.http.body.data, answer.http.body.len, "se/cret", 7));
	agent_answer_done(&answer);
}

#define BAD(code_, ...)                                                                            \
	{                                                                                          \
		.status = 400, .code = code_, .reason = "bad_parameters", __VA_ARGS__              \
	}

static const struct row rows[] = {
	{.body = ALL, .status = 200},
	{.body = ALL, .status = 200, .at = V6},
	{.body = ALL, .status = 200, .host = "169.254.170.83"},
	{.body = ALL, .status = 200, .host = "[fd70:6f64:6372::83]:80"},
	{.body = ALL "&DurationSeconds=900", .status = 200},
	{.body = ALL, .target = "//", .status = 200},
	{.method = "GET", .target = "/?" ALL, .status = 200},
	{.target = "/?" ALL, .status = 200},
	{.body = ALL, .target = "/?", .status = 200},
	/* the role is the association's */
	{.body = ASSUME SESSION TOKEN "&RoleArn=" ARN_OF("db-role"),
	 .status = 403,
	 .code = "AccessDenied",
	 .reason = "other_role"},
	{.body = ASSUME SESSION TOKEN "&RoleArn=" ARN_OF("Web-role"),
	 .status = 403,
	 .code = "AccessDenied",
	 .reason = "other_role"},
	{.body = ASSUME SESSION TOKEN "&RoleArn=arn:aws:iam::999922223333:role/web-role",
	 .status = 403,
	 .code = "AccessDenied",
	 .reason = "other_role"},
	{.body = ALL, .sa = "plain", .status = 403, .code = "AccessDenied", .reason = "other_role"},
	{.body = ALL,
	 .sa = "nobody",
	 .status = 403,
	 .code = "AccessDenied",
	 .reason = "no_association"},
	/* what would be ignored is refused */
	{.body = ALL "&Policy=%7B%7D",
	 .status = 400,
	 .code = "ValidationError",
	 .reason = "session_policy"},
	{.body = ALL "&PolicyArns.member.1.arn=x",
	 .status = 400,
	 .code = "ValidationError",
	 .reason = "session_policy"},
	BAD("ValidationError", .body = ALL "&ProviderId=x"),
	BAD("ValidationError", .body = ALL "&Tags.member.1.Key=x"),
	BAD("ValidationError", .body = ALL "&roleArn=x"),
	BAD("ValidationError", .body = ALL ROLE),
	BAD("ValidationError", .body = ALL V),
	/* each parameter */
	BAD("ValidationError", .body = ASSUME SESSION TOKEN),
	BAD("ValidationError", .body = ASSUME SESSION TOKEN "&RoleArn="),
	BAD("ValidationError", .body = ASSUME SESSION TOKEN "&RoleArn=web-role"),
	BAD("ValidationError", .body = ASSUME SESSION TOKEN "&RoleArn=" ARN_OF("a%0Ab")),
	BAD("ValidationError", .body = ASSUME ROLE TOKEN),
	BAD("ValidationError", .body = ASSUME ROLE TOKEN "&RoleSessionName=a"),
	BAD("ValidationError", .body = ASSUME ROLE TOKEN "&RoleSessionName=a+b"),
	BAD("ValidationError", .body = ASSUME ROLE SESSION),
	BAD("ValidationError", .body = ASSUME ROLE SESSION "&WebIdentityToken="),
	BAD("ValidationError", .body = ALL "&DurationSeconds=899"),
	BAD("ValidationError", .body = ALL "&DurationSeconds=43201"),
	BAD("ValidationError", .body = ALL "&DurationSeconds=1h"),
	BAD("ValidationError", .body = ALL "&DurationSeconds="),
	BAD("MalformedQueryString", .body = ALL "&x"),
	BAD("MalformedQueryString", .body = ALL "&x=%"),
	BAD("MalformedQueryString", .body = "{\"Action\":\"AssumeRoleWithWebIdentity\"}"),
	BAD("MalformedQueryString", .body = ALL, .target = "/?x=1"),
	BAD("MalformedQueryString", .body = "a=&b=&c=&d=&e=&f=&g=&h=&i=&j=&k=&l=&m=&n=&o=&p=&q=&"
					    "r=&s=&t=&u=&v=&w=&x=&y=&z=&A=&B=&C=&D=&E=&F=&G="),
	/* other operations */
	{.status = 400, .code = "MissingAction"},
	{.body = "Version=2011-06-15", .status = 400, .code = "MissingAction"},
	{.body = "Action=AssumeRole" V, .status = 400, .code = "InvalidAction"},
	{.body = "Action=assumerolewithwebidentity" V, .status = 400, .code = "InvalidAction"},
	{.body = "Action=%3Cb%3E" V, .status = 400, .code = "InvalidAction"},
	{.body = "Action=GetCallerIdentity", .status = 400, .code = "InvalidAction"},
	{.body = "Action=GetCallerIdentity&Version=2014-06-15",
	 .status = 400,
	 .code = "InvalidAction"},
	/* as at the other addresses */
	{.body = ALL, .method = "PUT", .status = 405, .code = "MethodNotAllowed"},
	{.method = "HEAD", .target = "/?" ALL, .status = 405, .code = "MethodNotAllowed"},
	{.body = ALL, .target = "/v1/credentials", .status = 404, .code = "NotFound"},
	{.body = ALL,
	 .target = "/%zz",
	 .status = 400,
	 .code = "InvalidRequest",
	 .reason = "bad_path"},
	{.body = ALL,
	 .host = "sts.amazonaws.com",
	 .status = 403,
	 .code = "AccessDenied",
	 .reason = "bad_host"},
	{.body = ALL,
	 .host = "169.254.170.23",
	 .status = 403,
	 .code = "AccessDenied",
	 .reason = "bad_host"},
	{.body = ALL,
	 .forwarded = true,
	 .status = 403,
	 .code = "AccessDenied",
	 .reason = "forwarded"},
	{.body = ALL,
	 .ambiguous = true,
	 .status = 400,
	 .code = "InvalidRequest",
	 .reason = "ambiguous"},
	/* whose keys: those in the file are of nobody that is known */
	{.body = IDENTITY, .status = 403, .code = "MissingAuthenticationToken"},
	{.body = IDENTITY,
	 .authorization = "eyJ.e30.x",
	 .status = 400,
	 .code = "IncompleteSignature"},
	{.body = IDENTITY,
	 .authorization = "AWS4-HMAC-SHA256 Credential=",
	 .status = 400,
	 .code = "IncompleteSignature"},
	{.body = IDENTITY,
	 .authorization = "AWS4-HMAC-SHA256 Credential=/",
	 .status = 400,
	 .code = "IncompleteSignature"},
	{.body = IDENTITY,
	 .authorization = SIGNED("AKIAOTHER"),
	 .status = 403,
	 .code = "InvalidClientTokenId"},
	{.body = IDENTITY,
	 .authorization = SIGNED("AKIAEXAMPLE"),
	 .status = 403,
	 .code = "AccessDenied"},
	{.body = IDENTITY "&X-Amz-Expires=60",
	 .authorization = SIGNED("AKIAEXAMPLE"),
	 .status = 400,
	 .code = "ValidationError"},
	{.body = IDENTITY,
	 .authorization = SIGNED("AKIAEXAMPLE"),
	 .sa = "nobody",
	 .status = 403,
	 .code = "AccessDenied",
	 .reason = "no_association"},
};

static void test_rows(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		check_row(&rows[i]);
}

/* Without a session's name nobody makes one up. */
static void test_answer(void **state)
{
	struct agent_answer answer = {};

	(void)state;
	assert_int_equal(dispatch(&(struct row){.body = ALL}, &answer), 0);
	assert_true(begins_with(&answer, "<AssumeRoleWithWebIdentityResponse" XMLNS
					 "<AssumeRoleWithWebIdentityResult>"));
	assert_string_equal(element(&answer, "SubjectFromWebIdentityToken"),
			    "system:serviceaccount:shop:web");
	assert_string_equal(element(&answer, "AccessKeyId"), "AKIAEXAMPLE");
	assert_string_equal(element(&answer, "SecretAccessKey"), "se/cret+&lt;&amp;&gt;");
	assert_string_equal(element(&answer, "SessionToken"), "to&lt;ken&amp;");
	assert_string_equal(element(&answer, "Expiration"), "2026-01-02T09:04:05Z");
	assert_string_equal(element(&answer, "Arn"), "");
	assert_string_equal(element(&answer, "Audience"), "");
	assert_int_equal(answer.audit, AUDIT_GRANTED);
	assert_string_equal(answer.role, "web-role");
	assert_string_equal(answer.key_id, "AKIAEXAMPLE");
	assert_false(answer.http.close);
	agent_answer_done(&answer);
}

static void test_what_is_quoted_is_escaped(void **state)
{
	struct agent_answer answer = {};

	(void)state;
	assert_int_equal(dispatch(&(struct row){.body = "Action=%3C%26%01%C3" V}, &answer), 0);
	assert_non_null(strstr(element(&answer, "Message"), "no operation &lt;&amp;?? of version"));
	agent_answer_done(&answer);
}

static void test_the_role_is_named(void **state)
{
	struct agent_answer answer = {};

	(void)state;
	assert_int_equal(
		dispatch(&(struct row){.body = ASSUME SESSION TOKEN "&RoleArn=" ARN_OF("db-role")},
			 &answer),
		0);
	assert_string_equal(element(&answer, "Message"),
			    "service account shop/web is associated with the role web-role, and no "
			    "other; write that one into AWS_ROLE_ARN");
	agent_answer_done(&answer);
}

/* ---- tokens ---- */

#define HEADER "{\"alg\":\"ES256\",\"kid\":\"one\"}"
#define CLAIMS                                                                                     \
	"{\"aud\":[\"sts.amazonaws.com\"],\"exp\":1767409445,\"iat\":1767323045,"                  \
	"\"iss\":\"" ISSUER "\",\"kubernetes.io\":{\"namespace\":\"shop\","                        \
	"\"pod\":{\"name\":\"web-0\",\"uid\":\"" POD "\"},"                                        \
	"\"serviceaccount\":{\"name\":\"web\",\"uid\":\"0a1b\"}},"                                 \
	"\"sub\":\"system:serviceaccount:shop:web\"}"

static void on_want_keys(void *arg)
{
	(void)arg;
}

static int tokens_setup(void **state)
{
	static const char *const issuers[] = {ISSUER};
	char *jwks = tokens_jwks(tokens_jwk(tokens_key("P-256"), "one", "ES256"), NULL);
	const struct agent_token_trust trust = {.verify = AGENT_VERIFY_JWKS,
						.jwks = jwks,
						.jwks_len = strlen(jwks),
						.issuers = issuers,
						.n_issuers = 1};
	int r = setup(state) ?: agent_tokens_new(NULL, &env.tokens);

	r = r ?: agent_tokens_trust(env.tokens, &trust, NULL, NULL);
	free(jwks);
	return r;
}

static int tokens_teardown(void **state)
{
	agent_tokens_free(env.tokens);
	env.tokens = NULL;
	env.want_keys = NULL;
	return teardown(state);
}

/* With a token of these claims; key NULL: the cluster's. */
static void check_token(const char *patch, const char *header, const char *key,
			const struct row *want)
{
	char *claims = tokens_patch(CLAIMS, patch);
	char *token =
		tokens_sign(tokens_key(key ?: "P-256"), 256, TOKENS_RAW, header ?: HEADER, claims);
	struct row row = *want;
	char body[4000];

	snprintf(body, sizeof(body), "%s%s", ASSUME ROLE SESSION "&WebIdentityToken=", token);
	row.body = body;
	check_row(&row);
	free(token);
	free(claims);
}

static void test_tokens(void **state)
{
	static const struct {
		const char *patch, *header, *key;
		struct row want;
	} cases[] = {
		{.patch = "{}", .want = {.status = 200}},
		{.patch = "{\"aud\":\"pods.eks.amazonaws.com\"}", .want = {.status = 200}},
		{.patch = "{\"aud\":\"https://kubernetes.default.svc\"}",
		 .want = {.status = 400,
			  .code = "InvalidIdentityToken",
			  .reason = "token_wrong_audience"}},
		{.patch = "{\"exp\":1767323045}",
		 .want = {.status = 400,
			  .code = "ExpiredTokenException",
			  .reason = "token_expired"}},
		{.patch = "{\"nbf\":1767323405}",
		 .want = {.status = 400,
			  .code = "InvalidIdentityToken",
			  .reason = "token_not_yet_valid"}},
		{.patch = "{\"iss\":\"https://evil.example\"}",
		 .want = {.status = 400,
			  .code = "InvalidIdentityToken",
			  .reason = "token_wrong_issuer"}},
		{.patch = "{\"kubernetes.io\":{\"pod\":null}}",
		 .want = {.status = 400,
			  .code = "InvalidIdentityToken",
			  .reason = "token_not_a_pods"}},
		{.patch = "{\"kubernetes.io\":{\"pod\":{\"name\":\"db-0\",\"uid\":\"another\"}}}",
		 .want = {.status = 403, .code = "AccessDenied", .reason = "token_other_pod"}},
		{.patch = "{}",
		 .header = "{\"alg\":\"none\",\"kid\":\"one\"}",
		 .want = {.status = 400,
			  .code = "InvalidIdentityToken",
			  .reason = "token_bad_signature"}},
		{.patch = "{}",
		 .header = "{\"alg\":\"HS256\",\"kid\":\"one\"}",
		 .want = {.status = 400,
			  .code = "InvalidIdentityToken",
			  .reason = "token_bad_signature"}},
		{.patch = "{}",
		 .header = "{\"alg\":\"ES256\",\"kid\":\"two\"}",
		 .want = {.status = 400,
			  .code = "InvalidIdentityToken",
			  .reason = "token_unknown_key"}},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		check_token(cases[i].patch, cases[i].header, cases[i].key, &cases[i].want);
	check_row(&(struct row){.body = ALL,
				.status = 400,
				.code = "InvalidIdentityToken",
				.reason = "token_malformed"});
	/* there may be a newer key: SDKs come again */
	env.want_keys = on_want_keys;
	check_token("{}", "{\"alg\":\"ES256\",\"kid\":\"two\"}", NULL,
		    &(struct row){.status = 400,
				  .code = "IDPCommunicationError",
				  .reason = "token_unknown_key"});
}

/* Who has no token of the pod learns nothing of its role, not even that there is none. */
static void test_the_token_comes_first(void **state)
{
	(void)state;
	check_token("{\"aud\":\"x\"}", NULL, NULL,
		    &(struct row){.sa = "nobody",
				  .status = 400,
				  .code = "InvalidIdentityToken",
				  .reason = "token_wrong_audience"});
}

static void test_claims_are_in_the_answer(void **state)
{
	char *token = tokens_sign(tokens_key("P-256"), 256, TOKENS_RAW, HEADER, CLAIMS);
	struct agent_answer answer = {};
	char body[4000];

	(void)state;
	snprintf(body, sizeof(body), "%s%s", ASSUME ROLE SESSION "&WebIdentityToken=", token);
	assert_int_equal(dispatch(&(struct row){.body = body}, &answer), 0);
	assert_string_equal(element(&answer, "Audience"), "sts.amazonaws.com");
	assert_string_equal(element(&answer, "Provider"), ISSUER);
	agent_answer_done(&answer);
	free(token);
}

/* ---- what podcred fetch says ---- */

static struct loop *loop;
static uint64_t asked_id;
static bool asked_with_token;

static int on_ask(void *arg, const struct upstream_message *m)
{
	(void)arg;
	asked_id = m->credentials.id;
	asked_with_token = m->credentials.token;
	return 0;
}

static void on_wake(void *arg, uint64_t key)
{
	(void)arg, (void)key;
}

static void stop(void *arg)
{
	(void)arg;
	loop_stop(loop, 0);
}

static void turn(void)
{
	assert_int_equal(loop_post(loop, stop, NULL), 0);
	assert_int_equal(loop_run(loop), 0);
}

static int fetch_setup(void **state)
{
	struct agent_leaves_options options = {.ask = on_ask, .wake = on_wake};

	assert_int_equal(loop_new(&loop), 0);
	options.loop = loop;
	assert_int_equal(agent_leaves_new(&options, &env.leaves), 0);
	agent_leaves_connected(env.leaves, true);
	return setup(state);
}

static int fetch_teardown(void **state)
{
	agent_leaves_free(env.leaves);
	env.leaves = NULL;
	loop_free(loop);
	return teardown(state);
}

#define GRANT(key)                                                                                 \
	{                                                                                          \
		.access_key_id = key, .secret_access_key = "s", .session_token = "t",              \
		.expiration = NOW + 3600, .role = "app",                                           \
		.role_arn = "arn:aws-cn:iam::444422223333:role/team/app",                          \
		.account_id = "444422223333", .session_name = "shop.api.web-0",                    \
		.role_id = "AROAX:shop.api.web-0", .source = "sts"                                 \
	}

static void say(const struct upstream_grant *grant)
{
	struct upstream_message m = {.type = UPSTREAM_GRANT, .grant = *grant};

	m.grant.id = asked_id;
	agent_leaves_told(env.leaves, &m, NOW);
}

static const struct row of_api = {.body = ASSUME SESSION TOKEN
				  "&RoleArn=arn:aws-cn:iam::444422223333:role/team/app",
				  .sa = "api",
				  .authorization = SIGNED("ASIANOTATOKEN"),
				  .status = 200};

static void first_grant(const struct upstream_grant *grant)
{
	struct agent_answer answer = {};

	assert_int_equal(dispatch(&of_api, &answer), -EINPROGRESS);
	turn();
	say(grant);
}

/* The header of a signature is no token, and the one in the form is for somebody else than EKS Auth. */
static void test_fetch_gets_no_token(void **state)
{
	struct agent_answer answer = {};

	(void)state;
	assert_int_equal(dispatch(&of_api, &answer), -EINPROGRESS);
	turn();
	assert_int_not_equal(asked_id, 0);
	assert_false(asked_with_token);
}

static void test_session_of_fetch(void **state)
{
	static const struct upstream_grant grant = GRANT("ASIAONE");
	struct agent_answer answer = {};
	struct row row = of_api;

	(void)state;
	first_grant(&grant);
	assert_int_equal(dispatch(&of_api, &answer), 0);
	assert_int_equal(answer.http.status, 200);
	assert_string_equal(element(&answer, "Arn"),
			    "arn:aws-cn:sts::444422223333:assumed-role/app/shop.api.web-0");
	assert_string_equal(element(&answer, "AssumedRoleId"), "AROAX:shop.api.web-0");
	assert_string_equal(element(&answer, "AccessKeyId"), "ASIAONE");
	agent_answer_done(&answer);
	/* all of the ARN counts: partition and path, too */
	row.status = 403;
	row.code = "AccessDenied";
	row.reason = "other_role";
	row.body = ASSUME SESSION TOKEN "&RoleArn=arn:aws-cn:iam::444422223333:role/app";
	check_row(&row);
	row.body = ASSUME SESSION TOKEN "&RoleArn=arn:aws:iam::444422223333:role/team/app";
	check_row(&row);
}

/* Of EKS Auth only the session's ARN is known, which has no path. */
static void test_session_of_eks(void **state)
{
	struct upstream_grant grant = GRANT("ASIAONE");
	struct row row = of_api;

	(void)state;
	grant.role_arn = "arn:aws-cn:sts::444422223333:assumed-role/app/shop.api.web-0";
	first_grant(&grant);
	check_row(&of_api);
	row.status = 403;
	row.code = "AccessDenied";
	row.reason = "other_role";
	row.body = ASSUME SESSION TOKEN "&RoleArn=arn:aws-cn:iam::444422223333:role/team/other";
	check_row(&row);
}

static void identify_as(const char *authorization, unsigned status, const char *code)
{
	check_row(&(struct row){.body = IDENTITY,
				.sa = "api",
				.authorization = authorization,
				.status = status,
				.code = code});
}

static void test_identity(void **state)
{
	static const struct upstream_grant grant = GRANT("ASIAONE");
	struct agent_answer answer = {};

	(void)state;
	first_grant(&grant);
	assert_int_equal(dispatch(&(struct row){.body = IDENTITY,
						.sa = "api",
						.authorization = SIGNED("ASIAONE")},
				  &answer),
			 0);
	assert_int_equal(answer.http.status, 200);
	assert_int_equal(answer.audit, AUDIT_NONE);
	assert_true(begins_with(&answer, "<GetCallerIdentityResponse" XMLNS));
	assert_string_equal(element(&answer, "Arn"),
			    "arn:aws-cn:sts::444422223333:assumed-role/app/shop.api.web-0");
	assert_string_equal(element(&answer, "UserId"), "AROAX:shop.api.web-0");
	assert_string_equal(element(&answer, "Account"), "444422223333");
	agent_answer_done(&answer);
	identify_as(SIGNED("ASIAON"), 403, "InvalidClientTokenId");
	identify_as(SIGNED("ASIAONEX"), 403, "InvalidClientTokenId");
}

/* SDKs keep what they were given before for a while. */
static void test_identity_of_older_credentials(void **state)
{
	static const struct upstream_grant one = GRANT("ASIAONE"), two = GRANT("ASIATWO"),
					   three = GRANT("ASIATHREE");
	const struct upstream_grant *const next[] = {&two, &two, &three};
	struct agent_answer answer = {};

	(void)state;
	first_grant(&one);
	for (size_t i = 0; i < ARRAY_SIZE(next); i++) {
		later_ns += 2 * CLOCK_S;
		assert_int_equal(dispatch(&of_api, &answer), 0);
		agent_answer_done(&answer);
		turn();
		say(next[i]);
		identify_as(SIGNED("ASIATWO"), 200, NULL);
		identify_as(SIGNED("ASIAONE"), i < 2 ? 200 : 403,
			    i < 2 ? NULL : "InvalidClientTokenId");
	}
	identify_as(SIGNED("ASIATHREE"), 200, NULL);
}

static void refused_as(enum upstream_reason reason, const char *message, const struct row *want)
{
	struct upstream_message m = {
		.type = UPSTREAM_REFUSAL,
		.refusal = {.reason = reason, .message = message, .retry_ms = 60000}};
	struct agent_answer answer = {};
	struct row row = of_api;

	agent_leaves_told(env.leaves, &(struct upstream_message){.type = UPSTREAM_FLUSH}, NOW);
	assert_int_equal(dispatch(&of_api, &answer), -EINPROGRESS);
	turn();
	m.refusal.id = asked_id;
	agent_leaves_told(env.leaves, &m, NOW);
	row.status = want->status;
	row.code = want->code;
	row.reason = want->reason;
	check_row(&row);
}

static void test_refusals_of_fetch(void **state)
{
	static const struct {
		enum upstream_reason reason;
		struct row want;
	} cases[] = {
		{UPSTREAM_NO_ASSOCIATION,
		 {.status = 403, .code = "AccessDenied", .reason = "no_association"}},
		{UPSTREAM_DENIED, {.status = 403, .code = "AccessDenied", .reason = "role_denied"}},
		{UPSTREAM_INVALID,
		 {.status = 403, .code = "AccessDenied", .reason = "role_invalid"}},
		{UPSTREAM_THROTTLED, {.status = 400, .code = "Throttling", .reason = "throttled"}},
		{UPSTREAM_UNAVAILABLE,
		 {.status = 503, .code = "ServiceUnavailable", .reason = "unavailable"}},
		{UPSTREAM_NODE_CREDENTIALS,
		 {.status = 503, .code = "ServiceUnavailable", .reason = "node_credentials"}},
		{UPSTREAM_BUSY,
		 {.status = 503, .code = "ServiceUnavailable", .reason = "fetch_busy"}},
		{UPSTREAM_INTERNAL,
		 {.status = 500, .code = "InternalFailure", .reason = "fetch_failed"}},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		refused_as(cases[i].reason, "a <line> of AWS", &cases[i].want);
}

/* ---- what comes too late ---- */

static void test_give_up(void **state)
{
	struct podcred_peer peer = peer_at(V4, "web");
	struct agent_request req = {.head.method = "POST", .head.target = "/", .peer = &peer};
	static const enum agent_reason reasons[] = {AGENT_POD_NOT_RESOLVED,
						    AGENT_CREDENTIALS_PENDING};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(reasons); i++) {
		struct agent_answer answer = {};

		assert_int_equal(agent_give_up(&agent_sts, &req, reasons[i], &answer), 0);
		assert_int_equal(answer.http.status, 503);
		assert_int_equal(answer.reason, reasons[i]);
		assert_string_equal(element(&answer, "Code"), "ServiceUnavailable");
		agent_answer_done(&answer);
	}
}

int main(void)
{
#define TOKENS(f) cmocka_unit_test_setup_teardown(f, tokens_setup, tokens_teardown)
#define FETCH(f)  cmocka_unit_test_setup_teardown(f, fetch_setup, fetch_teardown)
#define FILE(f)	  cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		FILE(test_rows),
		FILE(test_answer),
		FILE(test_what_is_quoted_is_escaped),
		FILE(test_the_role_is_named),
		FILE(test_give_up),
		TOKENS(test_tokens),
		TOKENS(test_the_token_comes_first),
		TOKENS(test_claims_are_in_the_answer),
		FETCH(test_fetch_gets_no_token),
		FETCH(test_session_of_fetch),
		FETCH(test_session_of_eks),
		FETCH(test_identity),
		FETCH(test_identity_of_older_credentials),
		FETCH(test_refusals_of_fetch),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
