// SPDX-License-Identifier: Apache-2.0
/* SOURCES: tests/unit/tokens.c */
/* MODULES: agent http credentials aws upstream yaml crypto base */
/* LIBS: -ljansson -lyaml -lpcre2-8 -lcrypto -Wl,--wrap=crypto_jwt_verify */
/* Is it the token of the pod that sends it? Each claim that may say otherwise, and which verdicts are kept. */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include <podcred/podcred.h>

#include "agent/agent.h"
#include "agent/leaves.h"
#include "agent/pod_token.h"
#include "agent/reviews.h"
#include "agent/service.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/loop.h"
#include "crypto/jwt.h"
#include "tokens.h"

#define NOW    1767323045
#define POD    "5f1b0c1e-6d3a-4f0e-8d61-0a4b2d7e9c11"
#define ISSUER "https://kubernetes.default.svc.cluster.local"
#define HEADER "{\"alg\":\"ES256\",\"kid\":\"one\"}"
#define CLAIMS                                                                                     \
	"{\"aud\":[\"pods.eks.amazonaws.com\"],\"exp\":1767409445,\"iat\":1767323045,"             \
	"\"nbf\":1767323045,\"iss\":\"" ISSUER "\",\"jti\":\"6f0cde5c-8a1c-4c3e-9d0b\","           \
	"\"kubernetes.io\":{\"namespace\":\"shop\",\"node\":{\"name\":\"n1\",\"uid\":\"b9f3\"},"   \
	"\"pod\":{\"name\":\"web-0\",\"uid\":\"" POD "\"},"                                        \
	"\"serviceaccount\":{\"name\":\"web\",\"uid\":\"0a1b\"}},"                                 \
	"\"sub\":\"system:serviceaccount:shop:web\"}"

int __real_crypto_jwt_verify(const struct crypto_jwks *keys, const char *token, size_t len,
			     struct crypto_jwt **ret);
int __wrap_crypto_jwt_verify(const struct crypto_jwks *keys, const char *token, size_t len,
			     struct crypto_jwt **ret);
static atomic_uint verified; /* signatures, so far */

int __wrap_crypto_jwt_verify(const struct crypto_jwks *keys, const char *token, size_t len,
			     struct crypto_jwt **ret)
{
	verified++;
	return __real_crypto_jwt_verify(keys, token, len, ret);
}

static uint64_t later_ns; /* how much CLOCK_BOOTTIME is ahead */

/* In place of libc's, for all that asks. */
int clock_gettime(clockid_t clock, struct timespec *ret)
{
	int r = (int)syscall(SYS_clock_gettime, clock, ret);

	if (r == 0 && clock == CLOCK_BOOTTIME)
		ret->tv_sec += (time_t)(later_ns / CLOCK_S);
	return r;
}

static struct agent_tokens *tokens;
static struct podcred_peer web = {
	.flags = PODCRED_PEER_NAMED,
	.pod_cgroup_id = 4711,
	.generation = 1,
	.pod_uid = POD,
	.pod_namespace = "shop",
	.pod_name = "web-0",
	.service_account = "web",
};
static const char *const issuers[] = {"https://older.example", ISSUER};

static int trust(const char *key, const char *node)
{
	char *text = tokens_jwks(tokens_jwk(tokens_key(key), "one", "ES256"),
				 tokens_jwk(tokens_key("RSA-2048"), "rsa", "RS256"), NULL);
	struct agent_token_trust from = {.verify = AGENT_VERIFY_JWKS,
					 .jwks = text,
					 .jwks_len = strlen(text),
					 .issuers = issuers,
					 .n_issuers = ARRAY_SIZE(issuers),
					 .node = node};
	int r = agent_tokens_trust(tokens, &from, NULL, NULL);

	free(text);
	return r;
}

static int setup(void **state)
{
	(void)state;
	verified = 0;
	return agent_tokens_new(NULL, &tokens) ?: trust("P-256", "n1");
}

static int teardown(void **state)
{
	(void)state;
	agent_tokens_free(tokens);
	return 0;
}

static char *sign(const char *patch)
{
	char *claims = tokens_patch(CLAIMS, patch);
	char *token = tokens_sign(tokens_key("P-256"), 256, TOKENS_RAW, HEADER, claims);

	free(claims);
	return token;
}

/* Overwritten by the next call of this thread. */
static const struct agent_token *sent_to(enum upstream_purpose purpose, const char *text)
{
	static _Thread_local struct agent_token token;

	token = (struct agent_token){purpose, text, text ? strlen(text) : 0};
	return &token;
}

static const struct agent_token *sent(const char *text)
{
	return sent_to(UPSTREAM_FOR_POD_IDENTITY, text);
}

static const char *verdict(const char *token, const struct podcred_peer *peer, time_t now)
{
	enum agent_reason reason = AGENT_REASON_MAX;
	int r = agent_tokens_check(tokens, sent(token), peer, now, &reason);

	assert_int_equal(r, 0);
	return agent_reason_name(reason) ?: "ok";
}

static void check(const char *patch, time_t now, const char *wanted)
{
	char *token = sign(patch);
	/* twice: what is known says the same */
	for (int i = 0; i < 2; i++) {
		const char *is = verdict(token, &web, now);

		if (strcmp(is, wanted) != 0)
			fail_msg("%s: %s, not %s", patch, is, wanted);
	}
	free(token);
}

static const char *at_sts(const char *token)
{
	enum agent_reason reason = AGENT_REASON_MAX;

	assert_int_equal(
		agent_tokens_check(tokens, sent_to(UPSTREAM_FOR_STS, token), &web, NOW, &reason),
		0);
	return agent_reason_name(reason) ?: "ok";
}

/* At STS the audience may be STS's; at Pod Identity it may not, whatever was said there. */
static void sts_has_an_audience_of_its_own(void **state)
{
	char *sts = sign("{\"aud\":[\"sts.amazonaws.com\"]}"), *eks = sign("{}");
	char *other = sign("{\"aud\":[\"sts.amazonaws.com.cn\"]}");
	struct agent_token_claims claims;

	(void)state;
	assert_string_equal(verdict(sts, &web, NOW), "token_wrong_audience");
	assert_string_equal(at_sts(sts), "ok");
	assert_string_equal(verdict(sts, &web, NOW), "token_wrong_audience");
	agent_tokens_claims(tokens, sent_to(UPSTREAM_FOR_STS, sts), &web, &claims);
	assert_string_equal(claims.audience, "sts.amazonaws.com");
	assert_string_equal(claims.issuer, ISSUER);
	assert_string_equal(at_sts(eks), "ok");
	agent_tokens_claims(tokens, sent_to(UPSTREAM_FOR_STS, eks), &web, &claims);
	assert_string_equal(claims.audience, "pods.eks.amazonaws.com");
	assert_string_equal(at_sts(other), "token_wrong_audience");
	agent_tokens_claims(tokens, sent_to(UPSTREAM_FOR_STS, "never.seen.here"), &web, &claims);
	assert_string_equal(claims.audience, "");
	free(sts);
	free(eks);
	free(other);
}

#define K8S(text) "{\"kubernetes.io\":{" text "}}"

static void each_claim_has_to_fit(void **state)
{
	static const struct {
		const char *patch, *wanted;
	} rows[] = {
		{"{}", "ok"},
		{"{\"more\":{\"a\":[1,2.5,null,true]}}", "ok"},
		{"{\"aud\":\"pods.eks.amazonaws.com\"}", "ok"},
		{"{\"aud\":[\"a\",\"pods.eks.amazonaws.com\",\"b\"]}", "ok"},
		{"{\"aud\":\"sts.amazonaws.com\"}", "token_wrong_audience"},
		{"{\"aud\":[\"https://kubernetes.default.svc\"]}", "token_wrong_audience"},
		{"{\"aud\":[]}", "token_wrong_audience"},
		{"{\"aud\":null}", "token_wrong_audience"},
		{"{\"aud\":\"pods.eks.amazonaws.com.evil.example\"}", "token_wrong_audience"},
		{"{\"iss\":\"https://older.example\"}", "ok"},
		{"{\"iss\":\"" ISSUER "/\"}", "token_wrong_issuer"},
		{"{\"iss\":\"https://evil.example\"}", "token_wrong_issuer"},
		{"{\"iss\":[\"" ISSUER "\"]}", "token_wrong_issuer"},
		{"{\"iss\":\"\"}", "token_wrong_issuer"},
		{"{\"iss\":null}", "token_wrong_issuer"},
		{"{\"exp\":null}", "token_malformed"},
		{"{\"exp\":\"1767409445\"}", "token_malformed"},
		{"{\"exp\":1e12}", "token_malformed"},
		{"{\"nbf\":null}", "ok"},
		{"{\"nbf\":\"soon\"}", "token_malformed"},
		{"{\"sub\":null}", "token_not_a_pods"},
		{"{\"sub\":\"system:serviceaccount:shop:db\"}", "token_not_a_pods"},
		{"{\"sub\":\"system:serviceaccount:kube-system:web\"}", "token_not_a_pods"},
		{"{\"sub\":\"system:node:n1\"}", "token_not_a_pods"},
		{"{\"sub\":\"shop:web\"}", "token_not_a_pods"},
		{"{\"kubernetes.io\":null}", "token_not_a_pods"},
		{"{\"kubernetes.io\":5}", "token_not_a_pods"},
		{K8S("\"pod\":null"), "token_not_a_pods"},
		{K8S("\"pod\":\"" POD "\""), "token_not_a_pods"},
		{K8S("\"pod\":{\"uid\":\"\"}"), "token_not_a_pods"},
		{K8S("\"pod\":{\"uid\":null}"), "token_not_a_pods"},
		{K8S("\"namespace\":null"), "token_not_a_pods"},
		{K8S("\"serviceaccount\":null"), "token_not_a_pods"},
		{K8S("\"pod\":null,\"secret\":{\"name\":\"web-token\",\"uid\":\"" POD "\"}"),
		 "token_not_a_pods"},
		{K8S("\"pod\":{\"name\":\"db-0\",\"uid\":\"99d30f52-6d3a-4f0e-8d61-"
		     "0a4b2d7e9c22\"}"),
		 "token_other_pod"},
		{K8S("\"pod\":{\"uid\":\"99d30f52-6d3a-4f0e-8d61-0a4b2d7e9c22\"}"),
		 "token_other_pod"},
		{K8S("\"pod\":{\"uid\":\"5F1B0C1E-6D3A-4F0E-8D61-0A4B2D7E9C11\"}"),
		 "token_other_pod"},
		{K8S("\"pod\":{\"name\":\"web-1\"}"), "token_other_pod"},
		{"{\"sub\":\"system:serviceaccount:shop:db\","
		 "\"kubernetes.io\":{\"serviceaccount\":{\"name\":\"db\"}}}",
		 "token_other_account"},
		{"{\"sub\":\"system:serviceaccount:bank:web\","
		 "\"kubernetes.io\":{\"namespace\":\"bank\"}}",
		 "token_other_account"},
		{K8S("\"node\":null"), "ok"},
		{K8S("\"node\":{\"name\":\"n2\"}"), "token_other_node"},
		{K8S("\"node\":{\"name\":null}"), "token_other_node"},
		{K8S("\"node\":\"n2\""), "token_other_node"},
		{K8S("\"node\":[]"), "token_other_node"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		check(rows[i].patch, NOW, rows[i].wanted);
}

static void a_token_lives_from_nbf_to_exp(void **state)
{
	static const struct {
		const char *patch;
		time_t now;
		const char *wanted;
	} rows[] = {
		{"{\"exp\":1000}", 999, "ok"},
		{"{\"exp\":1000}", 1000, "token_expired"},
		{"{\"exp\":1000}", 1001, "token_expired"},
		{"{\"exp\":0}", 0, "token_expired"},
		{"{\"nbf\":1000}", 1000, "ok"},
		{"{\"nbf\":1000}", 1000 - AGENT_TOKENS_AHEAD_S, "ok"},
		{"{\"nbf\":1000}", 999 - AGENT_TOKENS_AHEAD_S, "token_not_yet_valid"},
		{"{\"nbf\":253402300799}", NOW, "token_not_yet_valid"},
		/* what is wrong with it anyhow is said first */
		{"{\"exp\":1,\"aud\":\"other\"}", NOW, "token_wrong_audience"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		char *patch = tokens_patch("{\"nbf\":0}", rows[i].patch);

		check(patch, rows[i].now, rows[i].wanted);
		free(patch);
	}
}

/* The clock goes on while the verdict is known, and it may be set back. */
static void time_is_judged_each_time(void **state)
{
	char *token = sign("{\"nbf\":1000,\"exp\":2000}");

	(void)state;
	assert_string_equal(verdict(token, &web, 900), "token_not_yet_valid");
	assert_string_equal(verdict(token, &web, 1500), "ok");
	assert_string_equal(verdict(token, &web, 2000), "token_expired");
	assert_string_equal(verdict(token, &web, 1500), "ok");
	assert_int_equal(verified, 1);
	free(token);
}

static void no_token_or_none_that_can_be_read(void **state)
{
	char *good = sign("{}");

	(void)state;
	assert_string_equal(verdict(NULL, &web, NOW), "no_authorization");
	assert_string_equal(verdict("", &web, NOW), "token_malformed");
	assert_string_equal(verdict("t", &web, NOW), "token_malformed");
	good[strlen(good) - 5] = good[strlen(good) - 5] == 'A' ? 'B' : 'A';
	assert_string_equal(verdict(good, &web, NOW), "token_bad_signature");
	free(good);
}

/* The point of it all. */
static void a_stolen_token_is_worth_nothing(void **state)
{
	struct podcred_peer db = web, again = web;
	char *token = sign("{}");

	(void)state;
	strcpy(db.pod_uid, "99d30f52-6d3a-4f0e-8d61-0a4b2d7e9c22");
	strcpy(db.pod_name, "db-0");
	strcpy(db.service_account, "db");
	db.pod_cgroup_id = 815;
	assert_string_equal(verdict(token, &web, NOW), "ok");
	assert_string_equal(verdict(token, &db, NOW), "token_other_pod");
	assert_string_equal(verdict(token, &web, NOW), "ok");
	/* the pod that takes its place under the same name */
	strcpy(again.pod_uid, "99d30f52-6d3a-4f0e-8d61-0a4b2d7e9c33");
	again.pod_cgroup_id = 816;
	assert_string_equal(verdict(token, &again, NOW), "token_other_pod");
	/* another verdict for another name of the same cgroup */
	again.pod_cgroup_id = web.pod_cgroup_id;
	again.generation = web.generation + 1;
	assert_string_equal(verdict(token, &again, NOW), "token_other_pod");
	assert_string_equal(verdict(token, &web, NOW), "ok");
	free(token);
}

/* Whatever place in the table it has. */
static void a_verdict_is_one_pods(void **state)
{
	struct podcred_peer pod = web;
	char *token = sign("{}");

	(void)state;
	assert_string_equal(verdict(token, &web, NOW), "ok");
	strcpy(pod.pod_uid, "99d30f52-6d3a-4f0e-8d61-0a4b2d7e9c22");
	for (pod.pod_cgroup_id = 1; pod.pod_cgroup_id < 4000; pod.pod_cgroup_id++)
		assert_string_equal(verdict(token, &pod, NOW), "token_other_pod");
	free(token);
}

/* ---- keys ---- */

static void without_keys_nothing_is_right(void **state)
{
	struct agent_tokens *none;
	enum agent_reason reason;
	char *token = sign("{}");

	(void)state;
	assert_int_equal(agent_tokens_new(NULL, &none), 0);
	assert_int_equal(agent_tokens_check(none, sent(token), &web, NOW, &reason), 0);
	assert_int_equal(reason, AGENT_TOKEN_KEYS_MISSING);
	assert_int_equal(agent_tokens_check(none, sent(NULL), &web, NOW, &reason), 0);
	assert_int_equal(reason, AGENT_TOKEN_KEYS_MISSING);
	agent_tokens_free(none);
	agent_tokens_free(NULL);
	free(token);
}

static void new_keys_end_all_verdicts(void **state)
{
	struct agent_token_trust bad = {.verify = AGENT_VERIFY_JWKS, .jwks = "{}", .jwks_len = 2};
	char *token = sign("{}");

	(void)state;
	assert_string_equal(verdict(token, &web, NOW), "ok");
	assert_int_equal(trust("P-256/2", NULL), 0);
	assert_string_equal(verdict(token, &web, NOW), "token_bad_signature");
	assert_int_equal(trust("P-256", NULL), 0);
	assert_string_equal(verdict(token, &web, NOW), "ok");
	/* those that cannot be used change nothing */
	assert_int_equal(agent_tokens_trust(tokens, &bad, NULL, NULL), -EINVAL);
	assert_string_equal(verdict(token, &web, NOW), "ok");
	assert_int_equal(verified, 3);
	free(token);
}

static void what_is_trusted_may_be_everything(void **state)
{
	struct agent_token_trust off = {.verify = AGENT_VERIFY_OFF};

	(void)state;
	assert_int_equal(agent_tokens_trust(tokens, &off, NULL, NULL), 0);
	assert_string_equal(verdict("t", &web, NOW), "ok");
	assert_string_equal(verdict(NULL, &web, NOW), "ok");
	assert_int_equal(trust("P-256", NULL), 0);
	assert_string_equal(verdict("t", &web, NOW), "token_malformed");
}

static void issuers_node_and_audience_are_what_was_said(void **state)
{
	char *text = tokens_jwks(tokens_jwk(tokens_key("P-256"), "one", "ES256"),
				 tokens_jwk(tokens_key("RSA-1024"), "weak", "RS256"), NULL);
	struct agent_token_trust from = {.verify = AGENT_VERIFY_JWKS,
					 .jwks = text,
					 .jwks_len = strlen(text),
					 .audience = "mine"};
	struct agent_trusted trusted;

	(void)state;
	assert_int_equal(agent_tokens_trust(tokens, &from, &trusted, NULL), 0);
	assert_int_equal(trusted.keys, 1);
	assert_int_equal(trusted.unusable, 1);
	assert_non_null(strstr(trusted.defect, "key 2 has 1024 bits"));
	check("{}", NOW, "token_wrong_audience");
	check("{\"aud\":\"mine\"}", NOW, "ok");
	check("{\"aud\":\"mine\",\"iss\":\"https://any.example\"}", NOW, "ok");
	check("{\"aud\":\"mine\",\"kubernetes.io\":{\"node\":{\"name\":\"n2\"}}}", NOW, "ok");
	free(text);
}

static void newer_keys_are_asked_for_now_and_then(void **state)
{
	char *token = sign("{}");
	char *unknown = tokens_sign(tokens_key("P-256"), 256, TOKENS_RAW,
				    "{\"alg\":\"ES256\",\"kid\":\"two\"}", CLAIMS);

	(void)state;
	assert_false(agent_tokens_want_keys(tokens, 1));
	verdict(token, &web, NOW);
	assert_false(agent_tokens_want_keys(tokens, 1));
	assert_string_equal(verdict(unknown, &web, NOW), "token_unknown_key");
	assert_true(agent_tokens_want_keys(tokens, 1));
	assert_false(agent_tokens_want_keys(tokens, 1));
	verdict(unknown, &web, NOW); /* known as unknown, and counts all the same */
	assert_false(agent_tokens_want_keys(tokens, AGENT_TOKENS_ASK_MS));
	assert_true(agent_tokens_want_keys(tokens, 1 + AGENT_TOKENS_ASK_MS));
	assert_false(agent_tokens_want_keys(tokens, 9 * AGENT_TOKENS_ASK_MS));
	/* newer ones have come meanwhile */
	verdict(unknown, &web, NOW);
	assert_int_equal(trust("P-256", NULL), 0);
	assert_false(agent_tokens_want_keys(tokens, 9 * AGENT_TOKENS_ASK_MS));
	free(token);
	free(unknown);
}

/* ---- what is kept ---- */

static void a_request_costs_no_verification(void **state)
{
	char *token = sign("{}"), *other = sign("{\"jti\":\"2\"}");

	(void)state;
	for (int i = 0; i < 100; i++) {
		assert_string_equal(verdict(token, &web, NOW), "ok");
		assert_string_equal(verdict(other, &web, NOW), "ok");
		assert_string_equal(verdict("e30.e30.e30", &web, NOW), "token_malformed");
	}
	assert_int_equal(verified, 3);
	free(token);
	free(other);
}

static void flood(const struct podcred_peer *peer, unsigned n)
{
	char text[32];

	for (unsigned i = 0; i < n; i++) {
		snprintf(text, sizeof(text), "e30.%u.e30", i);
		assert_string_equal(verdict(text, peer, NOW), "token_malformed");
	}
}

/* Whatever its cgroup id: one of these shares its place with the other. */
static void a_flood_pushes_out_the_pods_own_verdicts(void **state)
{
	struct podcred_peer noisy = web;
	char *token = sign("{}");

	(void)state;
	assert_string_equal(verdict(token, &web, NOW), "ok");
	for (noisy.pod_cgroup_id = 1; noisy.pod_cgroup_id < 4000; noisy.pod_cgroup_id++) {
		flood(&noisy, 9);
		verified = 0;
		assert_string_equal(verdict(token, &web, NOW), "ok");
		assert_int_equal(verified, 0);
	}
	flood(&web, 4);
	assert_string_equal(verdict(token, &web, NOW), "ok");
	assert_int_equal(verified, 5);
	free(token);
}

static void *ask(void *arg)
{
	char **both = arg;

	for (int i = 0; i < 2000; i++) {
		const char *is = verdict(both[i % 2], &web, NOW);

		if (strcmp(is, i % 2 ? "token_unknown_key" : "ok") != 0)
			abort();
		agent_tokens_want_keys(tokens, i);
	}
	return NULL;
}

static void threads_ask_while_keys_change(void **state)
{
	char *both[] = {sign("{}"), tokens_sign(tokens_key("P-256"), 256, TOKENS_RAW,
						"{\"alg\":\"ES256\",\"kid\":\"two\"}", CLAIMS)};
	pthread_t threads[4];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(threads); i++)
		assert_int_equal(pthread_create(&threads[i], NULL, ask, both), 0);
	for (int i = 0; i < 50; i++)
		assert_int_equal(trust("P-256", i % 2 ? "n1" : NULL), 0);
	for (size_t i = 0; i < ARRAY_SIZE(threads); i++)
		pthread_join(threads[i], NULL);
	free(both[0]);
	free(both[1]);
}

/* ---- what the API server says ---- */

static struct {
	struct agent_tokens *tokens;
	struct loop *loop;
	unsigned asked;
	int result; /* of asking */
	uint64_t id; /* of the last question */
	char token[8300]; /* in it */
	enum upstream_purpose purpose; /* of the last question */
	uint64_t woken; /* last */
	unsigned wakes;
} api;

static int on_ask(void *arg, const struct upstream_message *m)
{
	assert_ptr_equal(arg, &api);
	assert_int_equal(m->type, UPSTREAM_REVIEW);
	if (api.result < 0)
		return api.result;
	api.asked++;
	api.id = m->review.id;
	api.purpose = m->review.purpose;
	snprintf(api.token, sizeof(api.token), "%s", m->review.token);
	return 0;
}

static void on_wake(void *arg, uint64_t key)
{
	assert_ptr_equal(arg, &api);
	api.woken = key;
	api.wakes++;
}

static int api_setup(void **state)
{
	const struct agent_token_trust review = {.verify = AGENT_VERIFY_REVIEW};
	struct agent_tokens_options options = {
		.ask = on_ask, .ask_arg = &api, .wake = on_wake, .wake_arg = &api};

	(void)state;
	verified = 0;
	memset(&api, 0, sizeof(api));
	assert_int_equal(loop_new(&api.loop), 0);
	options.loop = api.loop;
	assert_int_equal(agent_tokens_new(&options, &api.tokens), 0);
	agent_tokens_connected(api.tokens, true);
	return agent_tokens_trust(api.tokens, &review, NULL, NULL);
}

static int api_teardown(void **state)
{
	(void)state;
	agent_tokens_free(api.tokens);
	loop_free(api.loop);
	return 0;
}

static void stop(void *arg)
{
	loop_stop(arg, 0);
}

/* All that was posted is done. */
static void turn(void)
{
	assert_int_equal(loop_post(api.loop, stop, api.loop), 0);
	assert_int_equal(loop_run(api.loop), 0);
}

/* "asks" when there is no verdict yet. */
static const char *reviewed(const char *token, const struct podcred_peer *peer)
{
	enum agent_reason reason = AGENT_REASON_MAX;
	int r = agent_tokens_check(api.tokens, sent(token), peer, NOW, &reason);

	turn();
	if (r == -EINPROGRESS)
		return "asks";
	assert_int_equal(r, 0);
	return agent_reason_name(reason) ?: "ok";
}

static void say_verdict(const char *ns, const char *sa, const char *uid)
{
	const struct upstream_message m = {.type = UPSTREAM_VERDICT,
					   .verdict = {.id = api.id,
						       .name_space = ns,
						       .service_account = sa,
						       .pod_uid = uid,
						       .valid_ms = 60000}};

	api.woken = 0;
	agent_tokens_told(api.tokens, &m);
}

static void say_refusal(enum upstream_reason reason, uint64_t retry_ms)
{
	const struct upstream_message m = {
		.type = UPSTREAM_REFUSAL,
		.refusal = {.id = api.id, .reason = reason, .message = "m", .retry_ms = retry_ms}};

	agent_tokens_told(api.tokens, &m);
}

/* A token for the one service is none for the other, until that is judged, too. */
static void the_api_server_is_asked_for_each_service(void **state)
{
	enum agent_reason reason;

	(void)state;
	assert_string_equal(reviewed("a.b.c", &web), "asks");
	assert_int_equal(api.purpose, UPSTREAM_FOR_POD_IDENTITY);
	say_verdict("shop", "web", POD);
	assert_string_equal(reviewed("a.b.c", &web), "ok");
	assert_int_equal(agent_tokens_check(api.tokens, sent_to(UPSTREAM_FOR_STS, "a.b.c"), &web,
					    NOW, &reason),
			 -EINPROGRESS);
	turn();
	assert_int_equal(api.asked, 2);
	assert_int_equal(api.purpose, UPSTREAM_FOR_STS);
	say_verdict("shop", "web", POD);
	assert_int_equal(agent_tokens_check(api.tokens, sent_to(UPSTREAM_FOR_STS, "a.b.c"), &web,
					    NOW, &reason),
			 0);
	assert_int_equal(reason, AGENT_NO_REASON);
}

static void the_api_server_says_whose_a_token_is(void **state)
{
	static const struct {
		const char *ns, *sa, *uid, *wanted;
	} rows[] = {
		{"shop", "web", POD, "ok"},
		{"shop", "web", "99d30f52", "token_other_pod"},
		{"shop", "web", "", "token_not_a_pods"},
		{"shop", "db", POD, "token_other_account"},
		{"bank", "web", POD, "token_other_account"},
		{"", "", POD, "token_other_account"},
	};
	char token[16];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		snprintf(token, sizeof(token), "a.b.c%zu", i);
		assert_string_equal(reviewed(token, &web), "asks");
		assert_int_equal(api.asked, i + 1);
		assert_string_equal(api.token, token);
		assert_string_equal(reviewed(token, &web), "asks");
		say_verdict(rows[i].ns, rows[i].sa, rows[i].uid);
		assert_int_equal(api.woken, agent_leaves_key(&web));
		assert_string_equal(reviewed(token, &web), rows[i].wanted);
		assert_string_equal(reviewed(token, &web), rows[i].wanted);
		assert_int_equal(api.asked, i + 1);
	}
	assert_int_equal(verified, 0);
}

static void a_refused_token_is_not_asked_about_again_and_again(void **state)
{
	struct podcred_peer db = web;

	(void)state;
	db.pod_cgroup_id = 815;
	assert_string_equal(reviewed("a.b.c", &web), "asks");
	say_refusal(UPSTREAM_TOKEN_INVALID, 60000);
	assert_string_equal(reviewed("a.b.c", &web), "token_not_accepted");
	/* nor about the next one that the pod makes up; its neighbour does not wait for it */
	assert_string_equal(reviewed("a.b.d", &web), "token_not_reviewed");
	assert_int_equal(api.asked, 1);
	assert_string_equal(reviewed("a.b.d", &db), "asks");
	assert_int_equal(api.asked, 2);
	say_refusal(UPSTREAM_TOKEN_EXPIRED, 60000);
	assert_string_equal(reviewed("a.b.d", &db), "token_expired");
}

static void an_api_server_that_is_away_refuses_no_token_for_long(void **state)
{
	(void)state;
	assert_string_equal(reviewed("a.b.c", &web), "asks");
	say_refusal(UPSTREAM_UNAVAILABLE, 0);
	/* whoever waits sees it */
	assert_string_equal(reviewed("a.b.c", &web), "token_not_reviewed");
	assert_string_equal(reviewed("a.b.d", &web), "asks");
	assert_int_equal(api.asked, 2);
}

static void what_is_no_token_costs_no_question(void **state)
{
	static const char *const texts[] = {"",	      "t",	"a.b",	 ".b.c",
					    "a..c",   "a.b.",	"...",	 "a.b.c.d",
					    "a.b.c ", "a.b.\"", "a.b.=", "a.\n.c"};
	char *large = calloc(1, CRYPTO_JWT_MAX_SIZE + 2);

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
		assert_string_equal(reviewed(texts[i], &web), "token_malformed");
	memset(large, 'a', CRYPTO_JWT_MAX_SIZE + 1);
	large[1] = large[3] = '.';
	assert_string_equal(reviewed(large, &web), "token_malformed");
	large[CRYPTO_JWT_MAX_SIZE] = '\0';
	assert_string_equal(reviewed(NULL, &web), "no_authorization");
	assert_int_equal(api.asked, 0);
	assert_string_equal(reviewed(large, &web), "asks");
	assert_int_equal(strlen(api.token), CRYPTO_JWT_MAX_SIZE);
	free(large);
}

static void a_pod_has_one_question_and_all_have_a_bound(void **state)
{
	struct podcred_peer pod = web;

	(void)state;
	assert_string_equal(reviewed("a.b.c", &web), "asks");
	assert_string_equal(reviewed("a.b.d", &web), "asks");
	assert_int_equal(api.asked, 1);
	for (unsigned i = 1; i < REVIEWS_MAX; i++) {
		pod.pod_cgroup_id = 10000 + i;
		assert_string_equal(reviewed("a.b.c", &pod), "asks");
	}
	assert_int_equal(api.asked, REVIEWS_MAX);
	pod.pod_cgroup_id = 9999;
	assert_string_equal(reviewed("a.b.c", &pod), "token_not_reviewed");
	/* one that is at rest makes room */
	say_refusal(UPSTREAM_TOKEN_INVALID, 0);
	assert_string_equal(reviewed("a.b.c", &pod), "asks");
}

static void a_question_survives_the_connection(void **state)
{
	(void)state;
	agent_tokens_connected(api.tokens, false);
	assert_string_equal(reviewed("a.b.c", &web), "asks");
	assert_int_equal(api.asked, 0);
	agent_tokens_connected(api.tokens, true);
	assert_int_equal(api.asked, 1);
	agent_tokens_connected(api.tokens, false);
	say_verdict("shop", "web", POD); /* of a connection that has ended: nobody's */
	assert_string_equal(reviewed("a.b.c", &web), "asks");
	agent_tokens_connected(api.tokens, true);
	assert_int_equal(api.asked, 2);
	say_verdict("shop", "web", POD);
	assert_string_equal(reviewed("a.b.c", &web), "ok");
	/* one that cannot be sent is tried again */
	api.result = -ENOBUFS;
	assert_string_equal(reviewed("a.b.d", &web), "asks");
	api.result = 0;
	agent_tokens_sweep(api.tokens);
	assert_int_equal(api.asked, 3);
}

static void what_the_api_server_says_has_an_end(void **state)
{
	(void)state;
	later_ns = 0;
	assert_string_equal(reviewed("a.b.c", &web), "asks");
	say_verdict("shop", "web", POD);
	later_ns += 58 * CLOCK_S;
	assert_string_equal(reviewed("a.b.c", &web), "ok");
	later_ns += 4 * CLOCK_S;
	assert_string_equal(reviewed("a.b.c", &web), "asks");
	assert_int_equal(api.asked, 2);
	say_refusal(UPSTREAM_TOKEN_INVALID, 60000);
	assert_string_equal(reviewed("a.b.d", &web), "token_not_reviewed");
	later_ns += 2 * CLOCK_S;
	assert_string_equal(reviewed("a.b.c", &web), "token_not_accepted");
	assert_string_equal(reviewed("a.b.d", &web), "asks");
	/* an answer that has not come by then never will */
	later_ns += 11 * CLOCK_S;
	assert_string_equal(reviewed("a.b.d", &web), "asks");
	assert_int_equal(api.asked, 4);
	later_ns = 0;
}

static void a_flush_forgets_what_the_api_server_said(void **state)
{
	const struct upstream_message all = {.type = UPSTREAM_FLUSH};
	const struct upstream_message one = {.type = UPSTREAM_FLUSH, .flush = {.pod_uid = "u"}};

	(void)state;
	assert_string_equal(reviewed("a.b.c", &web), "asks");
	say_verdict("shop", "web", POD);
	agent_tokens_told(api.tokens, &one);
	assert_string_equal(reviewed("a.b.c", &web), "ok");
	agent_tokens_told(api.tokens, &all);
	assert_string_equal(reviewed("a.b.c", &web), "asks");
}

static void keys_end_the_word_of_the_api_server(void **state)
{
	struct agent_token_trust from = {.verify = AGENT_VERIFY_JWKS};
	char *text = tokens_jwks(tokens_jwk(tokens_key("P-256"), "one", "ES256"), NULL);
	char *token = sign("{}");

	(void)state;
	from.jwks = text;
	from.jwks_len = strlen(text);
	assert_string_equal(reviewed("a.b.c", &web), "asks");
	assert_int_equal(agent_tokens_trust(api.tokens, &from, NULL, NULL), 0);
	say_verdict("shop", "web", POD);
	assert_string_equal(reviewed("a.b.c", &web), "token_malformed");
	assert_string_equal(reviewed(token, &web), "ok");
	assert_int_equal(api.asked, 1);
	free(token);
	free(text);
}

static void without_anybody_to_ask_no_token_is_right(void **state)
{
	const struct agent_token_trust review = {.verify = AGENT_VERIFY_REVIEW};

	(void)state;
	assert_int_equal(agent_tokens_trust(tokens, &review, NULL, NULL), 0);
	assert_string_equal(verdict("a.b.c", &web, NOW), "token_not_reviewed");
}

/* An agent that has just started: whoever comes before the keys waits for them. */
static void pods_wait_for_the_first_keys(void **state)
{
	const struct agent_token_trust off = {.verify = AGENT_VERIFY_OFF};
	struct agent_tokens_options options = {.loop = api.loop,
					       .ask = on_ask,
					       .ask_arg = &api,
					       .wake = on_wake,
					       .wake_arg = &api};
	struct podcred_peer pod = web;
	enum agent_reason reason;
	struct agent_tokens *new;

	(void)state;
	assert_int_equal(agent_tokens_new(&options, &new), 0);
	for (int i = 0; i < 3; i++)
		assert_int_equal(agent_tokens_check(new, sent("a.b.c"), &web, NOW, &reason),
				 -EINPROGRESS);
	for (pod.pod_cgroup_id = 1; pod.pod_cgroup_id < 256; pod.pod_cgroup_id++)
		assert_int_equal(agent_tokens_check(new, sent(NULL), &pod, NOW, &reason),
				 -EINPROGRESS);
	assert_int_equal(agent_tokens_check(new, sent("a.b.c"), &pod, NOW, &reason), 0);
	assert_int_equal(reason, AGENT_TOKEN_KEYS_MISSING);
	assert_int_equal(agent_tokens_check(new, sent("a.b.c"), &web, NOW, &reason), -EINPROGRESS);
	api.wakes = 0;
	assert_int_equal(agent_tokens_trust(new, &off, NULL, NULL), 0);
	assert_int_equal(api.wakes, 256);
	assert_int_equal(agent_tokens_check(new, sent("a.b.c"), &web, NOW, &reason), 0);
	assert_int_equal(reason, AGENT_NO_REASON);
	assert_int_equal(agent_tokens_trust(new, &off, NULL, NULL), 0);
	assert_int_equal(api.wakes, 256);
	agent_tokens_free(new);
}

/* ---- what the pod is told ---- */

#define FILE_TEXT                                                                                  \
	"associations:\n  - namespace: shop\n    serviceAccount: web\n    role: web-role\n"        \
	"    static: {accessKeyId: AKIAEXAMPLE, secretAccessKey: se/cret, sessionToken: t}\n"

static unsigned asked_for_keys;

static void on_want_keys(void *arg)
{
	assert_ptr_equal(arg, &asked_for_keys);
	asked_for_keys++;
}

/* "400 token_malformed InvalidRequest", or the status and the key of a grant. */
static const char *answer(const struct podcred_peer *peer, struct http_head *head, time_t now)
{
	static char text[160];
	struct cred_table *table = NULL;
	struct agent_request req = {.head = *head, .peer = peer, .now = now, .since_ns = 1000000};
	struct agent_answer resp = {};
	struct agent_env env = {
		.tokens = tokens, .want_keys = on_want_keys, .want_keys_arg = &asked_for_keys};
	json_t *body;

	assert_int_equal(cred_table_parse("t", FILE_TEXT, strlen(FILE_TEXT), &table, NULL), 0);
	env.table = table;
	assert_int_equal(agent_dispatch(&env, &req, &resp), 0);
	body = json_loadb(resp.http.body.data, resp.http.body.len, 0, NULL);
	assert_non_null(body);
	snprintf(text, sizeof(text), "%u %s %s", resp.http.status,
		 agent_reason_name(resp.reason) ?: "ok",
		 json_string_value(json_object_get(body, "code"))
			 ?: json_string_value(json_object_get(body, "AccessKeyId")));
	if (resp.http.status != 200) {
		assert_int_equal(resp.audit, resp.reason ? AUDIT_REFUSED : AUDIT_NONE);
		assert_string_equal(json_string_value(json_object_get(body, "Code")),
				    json_string_value(json_object_get(body, "code")));
		assert_null(memmem(resp.http.body.data, resp.http.body.len, "eyJ", 3));
	}
	json_decref(body);
	agent_answer_done(&resp);
	cred_table_unref(table);
	return text;
}

static struct podcred_peer dials(struct podcred_peer peer, unsigned char last)
{
	static const uint8_t address[16] = {[10] = 0xff, 0xff, 169, 254, 170};

	memcpy(peer.address, address, sizeof(address));
	peer.address[15] = last;
	peer.port = 80;
	return peer;
}

static const char *told(const char *token, const struct podcred_peer *peer, time_t now)
{
	struct http_head head = {.method = "GET", .target = "/v1/credentials"};
	struct podcred_peer there = dials(*peer, 23);

	head.authorization = token;
	head.authorization_text = token;
	head.authorization_len = token ? strlen(token) : 0;
	return answer(&there, &head, now);
}

static void check_told(const char *patch, time_t now, const char *wanted)
{
	char *token = sign(patch);

	assert_string_equal(told(token, &web, now), wanted);
	free(token);
}

static void a_refusal_is_said_as_the_stock_agent_says_it(void **state)
{
	(void)state;
	check_told("{}", NOW, "200 ok AKIAEXAMPLE");
	check_told("{}", 1767409445, "400 token_expired ExpiredToken");
	check_told("{}", 1767300000, "400 token_not_yet_valid InvalidToken");
	check_told("{\"aud\":\"x\"}", NOW, "400 token_wrong_audience InvalidToken");
	check_told("{\"iss\":\"x\"}", NOW, "400 token_wrong_issuer InvalidToken");
	check_told("{\"exp\":null}", NOW, "400 token_malformed InvalidRequest");
	check_told(K8S("\"pod\":null"), NOW, "400 token_not_a_pods InvalidToken");
	check_told(K8S("\"pod\":{\"uid\":\"x\"}"), NOW, "403 token_other_pod AccessDenied");
	check_told("{\"sub\":\"system:serviceaccount:shop:db\","
		   "\"kubernetes.io\":{\"serviceaccount\":{\"name\":\"db\"}}}",
		   NOW, "403 token_other_account AccessDenied");
	check_told(K8S("\"node\":{\"name\":\"x\"}"), NOW, "403 token_other_node AccessDenied");
	assert_string_equal(told(NULL, &web, NOW), "400 no_authorization InvalidRequest");
	assert_string_equal(told("token", &web, NOW), "400 token_malformed InvalidRequest");
	assert_int_equal(asked_for_keys, 0);
}

static void an_unknown_key_is_asked_for(void **state)
{
	char *token = tokens_sign(tokens_key("P-256"), 256, TOKENS_RAW,
				  "{\"alg\":\"ES256\",\"kid\":\"two\"}", CLAIMS);

	(void)state;
	asked_for_keys = 0;
	for (int i = 0; i < 3; i++)
		assert_string_equal(told(token, &web, NOW),
				    "503 token_unknown_key CredentialsUninitialized");
	assert_int_equal(asked_for_keys, 1);
	free(token);
}

/* Whoever has no token of the pod does not learn that it has no role. */
static void a_wrong_token_learns_nothing(void **state)
{
	struct podcred_peer db = web;
	char *token = sign("{}");

	(void)state;
	strcpy(db.service_account, "db");
	strcpy(db.pod_uid, "99d30f52-6d3a-4f0e-8d61-0a4b2d7e9c22");
	db.pod_cgroup_id = 815;
	assert_string_equal(told(token, &db, NOW), "403 token_other_pod AccessDenied");
	assert_string_equal(told(NULL, &db, NOW), "400 no_authorization InvalidRequest");
	free(token);
	token = sign("{\"sub\":\"system:serviceaccount:shop:db\",\"kubernetes.io\":{\"pod\":{"
		     "\"uid\":\"99d30f52-6d3a-4f0e-8d61-0a4b2d7e9c22\"},"
		     "\"serviceaccount\":{\"name\":\"db\"}}}");
	assert_string_equal(told(token, &db, NOW), "404 no_association NoCredentialsAssociated");
	free(token);
}

/* A header that is too long for a token has no text; the other services do not look at it. */
static void other_requests(void **state)
{
	struct http_head head = {
		.method = "GET", .target = "/v1/credentials", .authorization = true};
	struct podcred_peer eks = dials(web, 23), ecs = dials(web, 2);

	(void)state;
	assert_string_equal(answer(&eks, &head, NOW), "400 token_malformed InvalidRequest");
	assert_string_equal(answer(&ecs, &head, NOW), "200 ok AKIAEXAMPLE");
	head.target = "/v2/other";
	assert_string_equal(answer(&eks, &head, NOW), "404 ok NotFound");
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
#define API(f)	cmocka_unit_test_setup_teardown(f, api_setup, api_teardown)
	const struct CMUnitTest tests[] = {
		TEST(each_claim_has_to_fit),
		TEST(sts_has_an_audience_of_its_own),
		TEST(a_token_lives_from_nbf_to_exp),
		TEST(time_is_judged_each_time),
		TEST(no_token_or_none_that_can_be_read),
		TEST(a_stolen_token_is_worth_nothing),
		TEST(a_verdict_is_one_pods),
		TEST(without_keys_nothing_is_right),
		TEST(new_keys_end_all_verdicts),
		TEST(what_is_trusted_may_be_everything),
		TEST(issuers_node_and_audience_are_what_was_said),
		TEST(newer_keys_are_asked_for_now_and_then),
		TEST(a_request_costs_no_verification),
		TEST(a_flood_pushes_out_the_pods_own_verdicts),
		TEST(threads_ask_while_keys_change),
		API(the_api_server_says_whose_a_token_is),
		API(the_api_server_is_asked_for_each_service),
		API(a_refused_token_is_not_asked_about_again_and_again),
		API(an_api_server_that_is_away_refuses_no_token_for_long),
		API(what_is_no_token_costs_no_question),
		API(a_pod_has_one_question_and_all_have_a_bound),
		API(a_question_survives_the_connection),
		API(what_the_api_server_says_has_an_end),
		API(a_flush_forgets_what_the_api_server_said),
		API(keys_end_the_word_of_the_api_server),
		API(pods_wait_for_the_first_keys),
		TEST(without_anybody_to_ask_no_token_is_right),
		TEST(a_refusal_is_said_as_the_stock_agent_says_it),
		TEST(an_unknown_key_is_asked_for),
		TEST(a_wrong_token_learns_nothing),
		TEST(other_requests),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
