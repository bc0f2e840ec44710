// SPDX-License-Identifier: Apache-2.0
/* MODULES: agent http credentials aws upstream yaml crypto base */
/* LIBS: -ljansson -lyaml -lpcre2-8 -lcrypto */
/* The wire rules R1 to R14 over plain structs: no socket, no clock. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

#include "agent/service.h"
#include "agent/token.h"
#include "base/addr.h"
#include "base/cleanup.h"
#include "http/headers.h"

#define LARGE_TOKEN 9216
#define NOW	    1767323045 /* 2026-01-02T03:04:05Z */
#define BOOT	    4711 /* seconds since boot */
#define POD	    "5f1b0c1e-6d3a-4f0e-8d61-0a4b2d7e9c11"
#define IAM	    "/latest/meta-data/iam/"
#define CREDS	    IAM "security-credentials/"
#define TOKEN	    "/latest/api/token"
#define KEYS(token)                                                                                \
	"    static:\n      accessKeyId: AKIAEXAMPLE\n      secretAccessKey: se/cret\n"            \
	"      sessionToken: " token "\n"
#define ENTRY(sa, more) "  - namespace: shop\n    serviceAccount: " sa "\n    role: " more

static const uint8_t token_key[AGENT_TOKEN_KEY_SIZE] = {9};
static struct agent_env env;
static char valid_token[TOKEN_SIZE], expired_token[TOKEN_SIZE], foreign_token[TOKEN_SIZE];

static int setup(void **state)
{
	static const char head[] = "associations:\n" ENTRY(
		"web", "web-role\n    accountId: 111122223333\n") KEYS("to\\\"ken")
		ENTRY("plain", "my+role=a,b.c@d_e-f\n") KEYS("t") ENTRY("ended", "r\n") KEYS(
			"t") "      expiration: 2026-01-02T03:04:05Z\n" ENTRY("ends", "r\n")
			KEYS("t") "      expiration: 2026-01-02T03:04:06Z\n" ENTRY("huge", "r\n");
	char text[26000], big[9951];

	(void)state;
	memset(big, 'b', sizeof(big) - 1);
	big[sizeof(big) - 1] = '\0';
	snprintf(text, sizeof(text),
		 "%s    static: {accessKeyId: A, secretAccessKey: S, sessionToken: %s}\n" ENTRY(
			 "large", "r\n") "    static: {accessKeyId: A, secretAccessKey: S, "
					 "sessionToken: %.*s}\n",
		 head, big, LARGE_TOKEN, big);
	env.token_key = token_key;
	agent_token_make(token_key, POD, BOOT + 100, valid_token);
	agent_token_make(token_key, POD, BOOT, expired_token);
	agent_token_make(token_key, "another", BOOT + 100, foreign_token);
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
	struct podcred_peer peer = {.flags = PODCRED_PEER_NAMED, .pod_cgroup_id = 1};
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

#define EKS  "169.254.170.23:80"
#define EKS6 "[fd00:ec2::23]:80"
#define ECS  "169.254.170.2:80"
#define IMDS "169.254.169.254:80"
#define IMD6 "[fd00:ec2::254]:80"

/* One row: who asks what where, and what comes of it. */
struct row {
	const char *at, *sa, *method, *target, *host;
	unsigned status;
	const char *reason; /* audited refusal; NULL: not audited as one */
	const char *token, *ttl;
	bool forwarded;
	const char *body; /* whole body; NULL: any */
	unsigned flags; /* of the peer, more than usual */
};

#define ROW(at_, sa_, method_, target_, host_, status_, ...)                                       \
	{                                                                                          \
		.at = at_, .sa = sa_, .method = method_, .target = target_, .host = host_,         \
		.status = status_, __VA_ARGS__                                                     \
	}

static int ask(const struct row *row, struct agent_answer *resp)
{
	struct podcred_peer peer = peer_at(row->at, row->sa);
	struct agent_request req = {
		.head.method = row->method,
		.head.target = row->target,
		.head.host = row->host,
		.head.extra[AGENT_HEADER_IMDS_TOKEN] = row->token,
		.head.extra[AGENT_HEADER_IMDS_TTL] = row->ttl,
		.head.forwarded = row->forwarded,
		.peer = &peer,
		.now = NOW,
		.boot_s = BOOT,
	};

	peer.flags |= row->flags;
	return agent_dispatch(&env, &req, resp);
}

static void check_row(const struct row *row)
{
	struct agent_answer resp = {};
	int r = ask(row, &resp);
	bool refused = resp.audit == AUDIT_REFUSED;

	if (r != 0 || resp.http.status != row->status)
		fail_msg("%s %s %s Host %s: %d, status %u", row->at, row->method, row->target,
			 row->host, r, resp.http.status);
	if (refused != !!row->reason ||
	    (refused && strcmp(agent_reason_name(resp.reason), row->reason) != 0))
		fail_msg("%s %s: reason %s", row->method, row->target,
			 agent_reason_name(resp.reason));
	if (row->body && (resp.http.body.len != strlen(row->body) ||
			  memcmp(resp.http.body.data, row->body, resp.http.body.len) != 0))
		fail_msg("%s %s: body %.*s", row->method, row->target, (int)resp.http.body.len,
			 resp.http.body.data);
	if (row->status != 200 && memmem(resp.http.body.data, resp.http.body.len, "se/cret", 7))
		fail_msg("%s %s: leaks", row->method, row->target);
	agent_answer_done(&resp);
}

static const struct row rows[] = {
	/* container endpoint: paths and methods */
	ROW(EKS, "web", "GET", "/v1/credentials", "169.254.170.23", 200),
	ROW(EKS6, "web", "GET", "/v1/credentials", "[fd00:ec2::23]", 200),
	ROW(EKS, "web", "HEAD", "/v1/credentials", "169.254.170.23", 200),
	ROW(EKS, "web", "GET", "/v1/credentials?a=b", "169.254.170.23", 200),
	ROW(EKS, "web", "GET", "//v1/./credentials", "169.254.170.23", 200),
	ROW(EKS, "web", "GET", "/v1/credentials", NULL, 200),
	ROW(EKS, "web", "GET", "/V1/credentials", "169.254.170.23", 404),
	ROW(EKS, "web", "GET", "/", "169.254.170.23", 404),
	ROW(EKS, "web", "GET", "/v2/credentials/x", "169.254.170.23", 404),
	ROW(EKS, "web", "GET", "/healthz", "169.254.170.23", 404),
	ROW(EKS, "web", "GET", "/v1%2fcredentials", "169.254.170.23", 400, .reason = "bad_path"),
	ROW(EKS, "web", "GET", "http://169.254.170.23/v1/credentials", "169.254.170.23", 400,
	    .reason = "bad_path"),
	ROW(EKS, "web", "POST", "/v1/credentials", "169.254.170.23", 405),
	ROW(EKS, "web", "get", "/v1/credentials", "169.254.170.23", 405),
	ROW(EKS, "web", "PUT", TOKEN, "169.254.170.23", 404),
	ROW(ECS, "web", "GET", "/v1/credentials", "169.254.170.2", 200),
	ROW(ECS, "web", "GET", "/v2/credentials", "169.254.170.2", 200),
	ROW(ECS, "web", "GET", "/v2/credentials/0b1c-2d", "169.254.170.2:80", 200),
	ROW(ECS, "web", "GET", "/", "169.254.170.2", 200),
	ROW(ECS, "web", "GET", "/v1/credentials/", "169.254.170.2", 200),
	ROW(ECS, "web", "GET", "/v1/credentials/0b1c-2d", "169.254.170.2", 200),
	ROW(ECS, "web", "GET", "/v1/credentials?id=0b1c-2d", "169.254.170.2", 200),
	ROW(ECS, "web", "GET", "/v2/credentials/", "169.254.170.2", 200),
	ROW(ECS, "web", "GET", "/creds", "169.254.170.2", 200),
	ROW(ECS, "web", "GET", "/creds/", "169.254.170.2", 200),
	ROW(ECS, "web", "GET", "/creds/x", "169.254.170.2", 404),
	ROW(ECS, "web", "GET", "/credsx", "169.254.170.2", 404),
	ROW(ECS, "web", "GET", "/role/web-role", "169.254.170.2", 404),
	ROW(ECS, "web", "GET", "/v1/credentialsx", "169.254.170.2", 404),
	ROW(ECS, "web", "GET", "/v2/credentialsx", "169.254.170.2", 404),
	ROW(EKS, "web", "GET", "/creds", "169.254.170.23", 404),
	ROW(EKS, "web", "GET", "/v1/credentials/x", "169.254.170.23", 404),
	ROW(ECS, "web", "GET", "/v3/x", "169.254.170.2", 404),
	ROW(ECS, "web", "GET", "/v2/credentials/../../healthz", "169.254.170.2", 404),
	/* R12 */
	ROW(EKS, "web", "GET", "/v1/credentials", "169.254.170.23:80", 200),
	ROW(EKS, "web", "GET", "/v1/credentials", "fd00:ec2::23", 200),
	ROW(EKS6, "web", "GET", "/v1/credentials", "fd00:ec2::23", 200),
	ROW(EKS6, "web", "GET", "/v1/credentials", "[FD00:EC2::23]:80", 200),
	ROW(EKS6, "web", "GET", "/v1/credentials", "[fd00:ec2:0:0:0:0:0:23]", 200),
	ROW(EKS, "web", "GET", "/v1/credentials", "169.254.170.23:8080", 403, .reason = "bad_host"),
	ROW(EKS, "web", "GET", "/v1/credentials", "evil.example", 403, .reason = "bad_host"),
	ROW(EKS, "web", "GET", "/v1/credentials", "", 403, .reason = "bad_host"),
	ROW(EKS, "web", "GET", "/v1/credentials", "169.254.169.254", 403, .reason = "bad_host"),
	ROW(EKS, "web", "GET", "/v1/credentials", "169.254.170.2", 403, .reason = "bad_host"),
	ROW(EKS, "web", "GET", "/v1/credentials", "169.254.170.23.evil.example", 403,
	    .reason = "bad_host"),
	ROW(EKS, "web", "GET", "/v1/credentials", "169.254.170.23:", 403, .reason = "bad_host"),
	ROW(IMDS, "web", "GET", CREDS, "169.254.169.254:80", 200),
	ROW(IMD6, "web", "GET", CREDS, "fd00:ec2::254", 200),
	ROW(IMD6, "web", "GET", CREDS, "[fd00:ec2::254]:80", 200),
	ROW(IMDS, "web", "GET", CREDS, "instance-data", 403, .reason = "bad_host"),
	ROW(IMDS, "web", "GET", CREDS, "[fd00:ec2::254", 403, .reason = "bad_host"),
	/* who gets what */
	ROW(EKS, "nobody", "GET", "/v1/credentials", NULL, 404, .reason = "no_association"),
	ROW(EKS, "", "GET", "/v1/credentials", NULL, 404, .reason = "no_association"),
	ROW(EKS, "ended", "GET", "/v1/credentials", NULL, 503, .reason = "credentials_expired"),
	ROW(EKS, "ends", "GET", "/v1/credentials", NULL, 200),
	ROW(EKS, "huge", "GET", "/v1/credentials", NULL, 500, .reason = "body_too_large"),
	ROW(EKS, "web", "GET", "/v1/credentials", NULL, 403, .reason = "forwarded",
	    .forwarded = true),
	ROW(IMDS, "ended", "GET", CREDS "r", NULL, 503, .reason = "credentials_expired"),
	ROW(IMDS, "huge", "GET", CREDS "r", NULL, 500, .reason = "body_too_large"),
	ROW(IMDS, "nobody", "GET", CREDS, NULL, 404, .reason = "no_association"),
	ROW(IMDS, "nobody", "GET", CREDS "web-role", NULL, 404, .reason = "no_association"),
	ROW(IMDS, "nobody", "GET", IAM "info", NULL, 404),
	/* R5, R14: the list, with and without the slash, without a newline */
	ROW(IMDS, "web", "GET", CREDS, NULL, 200, .body = "web-role"),
	ROW(IMDS, "web", "GET", IAM "security-credentials", NULL, 200, .body = "web-role"),
	ROW(IMDS, "plain", "GET", CREDS, NULL, 200, .body = "my+role=a,b.c@d_e-f"),
	ROW(IMDS, "plain", "GET", CREDS "my+role=a,b.c@d_e-f", NULL, 200),
	ROW(IMDS, "plain", "GET", CREDS "my%2Brole%3da,b.c@d_e-f", NULL, 200),
	ROW(IMDS, "web", "GET", CREDS "web-role", NULL, 200),
	ROW(IMDS, "web", "HEAD", CREDS "web-role", NULL, 200),
	ROW(IMDS, "web", "GET", CREDS "web-role/", NULL, 200),
	ROW(IMDS, "web", "GET", "/1.0/meta-data/iam/security-credentials/web-role", NULL, 200),
	ROW(IMDS, "web", "GET", "/2021-03-23/meta-data/iam/security-credentials/", NULL, 200),
	ROW(IMDS, "web", "GET", CREDS "Web-role", NULL, 404, .reason = "other_role"),
	ROW(IMDS, "web", "GET", CREDS "plain", NULL, 404, .reason = "other_role"),
	ROW(IMDS, "web", "GET", CREDS "web-role", NULL, 403, .reason = "forwarded",
	    .forwarded = true),
	/* path tricks: a pod's own answer or nothing */
	ROW(IMDS, "web", "GET", "//latest//meta-data/iam//security-credentials/", NULL, 200),
	ROW(IMDS, "web", "GET", "/latest/./meta-data/iam/security-credentials", NULL, 200),
	ROW(IMDS, "web", "GET", "/latest/user-data/%2e%2e/meta-data/iam/info", NULL, 200),
	ROW(IMDS, "web", "GET", "/latest/meta-data%2Fiam/info", NULL, 400, .reason = "bad_path"),
	ROW(IMDS, "web", "GET", "/../latest/meta-data/iam/info", NULL, 400, .reason = "bad_path"),
	ROW(IMDS, "web", "GET", "/Latest/meta-data/iam/info", NULL, 404),
	ROW(IMDS, "web", "GET", "/latest/Meta-Data/iam/info", NULL, 404),
	ROW(IMDS, "web", "GET", "/1.1/meta-data/iam/info", NULL, 404),
	ROW(IMDS, "web", "GET", "/1999-01-01/meta-data/iam/info", NULL, 404),
	ROW(IMDS, "web", "GET", "/2021-3-23/meta-data/iam/info", NULL, 404),
	ROW(IMDS, "web", "GET", "/20211-03-23/meta-data/iam/info", NULL, 404),
	ROW(IMDS, "web", "GET", "/latestx/meta-data/iam/info", NULL, 404),
	ROW(IMDS, "web", "GET", "/meta-data/iam/info", NULL, 404),
	ROW(IMDS, "web", "GET", IAM "security-credentials-extended/", NULL, 404),
	ROW(IMDS, "web", "GET", IAM "security-credentials-extended/web-role", NULL, 404),
	ROW(IMDS, "web", "GET", IAM "security-credentialsx", NULL, 404),
	ROW(IMDS, "web", "GET", IAM "infox", NULL, 404),
	ROW(IMDS, "web", "GET", IAM, NULL, 404),
	ROW(IMDS, "web", "GET", "/latest/meta-data/iam-eks-0/security-credentials/", NULL, 404),
	ROW(IMDS, "web", "GET",
	    "/latest/meta-data/identity-credentials/ec2/security-credentials/ec2-instance", NULL,
	    404),
	ROW(IMDS, "web", "GET", "/latest/user-data", NULL, 404),
	ROW(IMDS, "web", "GET", "/latest/dynamic/instance-identity/pkcs7", NULL, 404),
	ROW(IMDS, "web", "GET", "/latest/", NULL, 404),
	ROW(IMDS, "web", "GET", "/", NULL, 404),
	ROW(IMDS, "web", "GET", "/v1/credentials", NULL, 404),
	ROW(IMDS, "web", "GET", "/healthz", NULL, 404),
	ROW(IMDS, "plain", "GET", IAM "info", NULL, 404),
	ROW(IMDS, "web", "POST", CREDS, NULL, 405),
	ROW(IMDS, "web", "DELETE", "/latest/x", NULL, 405),
	ROW(IMDS, "web", "PUT", CREDS, NULL, 405),
	/* IMDSv2 */
	ROW(IMDS, "web", "PUT", TOKEN, NULL, 200, .ttl = "1"),
	ROW(IMDS, "web", "PUT", TOKEN, NULL, 200, .ttl = "21600"),
	ROW(IMDS, "nobody", "PUT", TOKEN "/", NULL, 200, .ttl = "300"),
	ROW(IMDS, "web", "PUT", TOKEN, NULL, 400, .reason = "bad_token_ttl", .ttl = "0"),
	ROW(IMDS, "web", "PUT", TOKEN, NULL, 400, .reason = "bad_token_ttl", .ttl = "21601"),
	ROW(IMDS, "web", "PUT", TOKEN, NULL, 400, .reason = "bad_token_ttl", .ttl = "abc"),
	ROW(IMDS, "web", "PUT", TOKEN, NULL, 400, .reason = "bad_token_ttl", .ttl = "-1"),
	ROW(IMDS, "web", "PUT", TOKEN, NULL, 400, .reason = "bad_token_ttl",
	    .ttl = "18446744073709551617"),
	ROW(IMDS, "web", "PUT", TOKEN, NULL, 400, .reason = "bad_token_ttl", .ttl = "60s"),
	ROW(IMDS, "web", "PUT", TOKEN, NULL, 400, .reason = "bad_token_ttl", .ttl = ""),
	ROW(IMDS, "web", "PUT", TOKEN, NULL, 400, .reason = "bad_token_ttl"),
	ROW(IMDS, "web", "PUT", TOKEN, NULL, 403, .reason = "forwarded", .ttl = "60",
	    .forwarded = true),
	ROW(IMDS, "web", "PUT", "/2021-03-23/api/token", NULL, 403,
	    .reason = "token_path_not_latest", .ttl = "60"),
	ROW(IMDS, "web", "PUT", "/api/token", NULL, 405, .ttl = "60"),
	ROW(IMDS, "web", "GET", TOKEN, NULL, 405),
	ROW(IMDS, "web", "POST", TOKEN, NULL, 405, .ttl = "60"),
	ROW(IMDS, "web", "GET", CREDS "web-role", NULL, 200, .token = valid_token),
	/* by the policy */
	ROW(IMDS, "web", "GET", CREDS "web-role", NULL, 200, .token = valid_token,
	    .flags = PODCRED_PEER_IMDSV2),
	ROW(IMDS, "web", "PUT", TOKEN, NULL, 200, .ttl = "60", .flags = PODCRED_PEER_IMDSV2),
	ROW(IMDS, "web", "GET", CREDS "web-role", NULL, 401, .reason = "imds_token_required",
	    .flags = PODCRED_PEER_IMDSV2),
	ROW(IMDS, "web", "HEAD", CREDS, NULL, 401, .reason = "imds_token_required",
	    .flags = PODCRED_PEER_IMDSV2),
	ROW(IMDS, "web", "GET", "/latest/meta-data/", NULL, 401, .reason = "imds_token_required",
	    .flags = PODCRED_PEER_IMDSV2),
	ROW(IMDS, "web", "GET", CREDS "web-role", NULL, 401, .reason = "imds_token_invalid",
	    .token = "x", .flags = PODCRED_PEER_IMDSV2),
	ROW(ECS, "web", "GET", "/creds", "169.254.170.2", 200, .flags = PODCRED_PEER_IMDSV2),
	ROW(IMDS, "web", "GET", CREDS "web-role", NULL, 401, .reason = "imds_token_expired",
	    .token = expired_token),
	ROW(IMDS, "web", "GET", CREDS "web-role", NULL, 401, .reason = "imds_token_invalid",
	    .token = foreign_token),
	ROW(IMDS, "web", "GET", CREDS "web-role", NULL, 401, .reason = "imds_token_invalid",
	    .token = "x"),
	ROW(IMDS, "web", "GET", CREDS "web-role", NULL, 401, .reason = "imds_token_invalid",
	    .token = ""),
	ROW(IMDS, "web", "GET", "/latest/user-data", NULL, 401, .reason = "imds_token_invalid",
	    .token = "x"),
	/* addresses without a protocol */
	ROW("169.254.170.23:81", "web", "GET", "/v1/credentials", NULL, 403,
	    .reason = "unknown_destination"),
	ROW("10.0.0.1:80", "web", "GET", "/v1/credentials", NULL, 403,
	    .reason = "unknown_destination"),
	ROW("[fd00:ec2::24]:80", "web", "GET", "/healthz", NULL, 403,
	    .reason = "unknown_destination"),
};

static void test_rows(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		check_row(&rows[i]);
}

static json_t *body_json(const struct agent_answer *resp)
{
	json_t *body =
		json_loadb(resp->http.body.data, resp->http.body.len, JSON_REJECT_DUPLICATES, NULL);

	assert_non_null(body);
	return body;
}

static const char *member(const json_t *object, const char *key)
{
	const char *value = json_string_value(json_object_get(object, key));

	if (!value)
		fail_msg("no string %s", key);
	return value;
}

/* R1, R2, R3: exact keys, strings only, the one form of time. */
static void test_container_body(void **state)
{
	const struct row row = ROW(EKS, "web", "GET", "/v1/credentials", "169.254.170.23", 200);
	struct agent_answer resp = {};
	json_t *body;

	(void)state;
	assert_int_equal(ask(&row, &resp), 0);
	assert_string_equal(resp.http.content_type, "application/json");
	assert_int_equal(resp.audit, AUDIT_GRANTED);
	assert_string_equal(resp.role, "web-role");
	assert_false(resp.http.close);
	assert_int_equal(resp.http.n_headers, 0);
	body = body_json(&resp);
	assert_int_equal(json_object_size(body), 5);
	assert_string_equal(member(body, "AccessKeyId"), "AKIAEXAMPLE");
	assert_string_equal(member(body, "SecretAccessKey"), "se/cret");
	assert_string_equal(member(body, "Token"), "to\\\"ken");
	assert_string_equal(member(body, "AccountId"), "111122223333");
	assert_string_equal(member(body, "Expiration"), "2026-01-02T09:04:05Z");
	json_decref(body);
	agent_answer_done(&resp);
}

/* R4: the largest body that every SDK takes has less than 10,000 bytes. */
static void test_large_token(void **state)
{
	static const struct row containers[] = {
		ROW(EKS, "large", "GET", "/v1/credentials", NULL, 200),
		ROW(IMDS, "large", "GET", CREDS "r", NULL, 200),
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(containers); i++) {
		struct agent_answer resp = {};
		json_t *body;

		assert_int_equal(ask(&containers[i], &resp), 0);
		assert_true(resp.http.body.len < 10000);
		body = body_json(&resp);
		assert_int_equal(strlen(member(body, "Token")), LARGE_TOKEN);
		json_decref(body);
		agent_answer_done(&resp);
	}
}

static void test_imds_body(void **state)
{
	const struct row row = ROW(IMDS, "web", "GET", CREDS "web-role", NULL, 200);
	struct agent_answer resp = {};
	json_t *body;

	(void)state;
	assert_int_equal(ask(&row, &resp), 0);
	assert_string_equal(resp.http.content_type, "text/plain");
	assert_int_equal(resp.audit, AUDIT_GRANTED);
	body = body_json(&resp);
	assert_int_equal(json_object_size(body), 7);
	assert_string_equal(member(body, "Code"), "Success");
	assert_string_equal(member(body, "Type"), "AWS-HMAC");
	assert_string_equal(member(body, "LastUpdated"), "2026-01-02T03:04:05Z");
	assert_string_equal(member(body, "Expiration"), "2026-01-02T09:04:05Z");
	assert_string_equal(member(body, "AccessKeyId"), "AKIAEXAMPLE");
	assert_string_equal(member(body, "SecretAccessKey"), "se/cret");
	assert_string_equal(member(body, "Token"), "to\\\"ken");
	json_decref(body);
	assert_int_equal(resp.http.n_headers, 1);
	assert_string_equal(resp.http.headers[0].name, "Server");
	assert_string_equal(resp.http.headers[0].value, "EC2ws");
	agent_answer_done(&resp);
}

static void test_imds_info(void **state)
{
	const struct row row = ROW(IMDS, "web", "GET", IAM "info", NULL, 200);
	struct agent_answer resp = {};
	json_t *body;

	(void)state;
	assert_int_equal(ask(&row, &resp), 0);
	body = body_json(&resp);
	assert_string_equal(member(body, "Code"), "Success");
	assert_string_equal(member(body, "InstanceProfileArn"),
			    "arn:aws:iam::111122223333:instance-profile/web-role");
	json_decref(body);
	agent_answer_done(&resp);
}

/* R8: four spellings, the exact content type. */
static void test_error_body(void **state)
{
	const struct row row = ROW(EKS, "nobody", "GET", "/v1/credentials", NULL, 404);
	struct agent_answer resp = {};
	json_t *body;

	(void)state;
	assert_int_equal(ask(&row, &resp), 0);
	assert_string_equal(resp.http.content_type, "application/json");
	body = body_json(&resp);
	assert_int_equal(json_object_size(body), 4);
	assert_string_equal(member(body, "code"), "NoCredentialsAssociated");
	assert_string_equal(member(body, "Code"), "NoCredentialsAssociated");
	assert_string_equal(member(body, "message"), member(body, "Message"));
	assert_non_null(strstr(member(body, "message"), "shop/nobody"));
	json_decref(body);
	agent_answer_done(&resp);
}

static const char *header(const struct agent_answer *resp, const char *name)
{
	for (size_t i = 0; i < resp->http.n_headers; i++)
		if (!strcmp(resp->http.headers[i].name, name))
			return resp->http.headers[i].value;
	return NULL;
}

/* R5, R6: the token works, has no newline, and says how long it lives. */
static void test_imds_token(void **state)
{
	struct row row = ROW(IMDS, "web", "PUT", TOKEN, NULL, 200, .ttl = "00300");
	struct agent_answer resp = {};
	char token[TOKEN_SIZE] = "";

	(void)state;
	assert_int_equal(ask(&row, &resp), 0);
	assert_string_equal(header(&resp, "X-aws-ec2-metadata-token-ttl-seconds"), "300");
	assert_string_equal(header(&resp, "Server"), "EC2ws");
	assert_string_equal(resp.http.content_type, "text/plain");
	assert_int_equal(resp.http.body.len, TOKEN_SIZE - 1);
	memcpy(token, resp.http.body.data, TOKEN_SIZE - 1);
	assert_null(strchr(token, '\n'));
	agent_answer_done(&resp);
	row = (struct row)ROW(IMDS, "web", "GET", CREDS, NULL, 200, .token = token);
	assert_int_equal(ask(&row, &resp), 0);
	assert_int_equal(resp.http.status, 200);
	assert_string_equal(header(&resp, "X-aws-ec2-metadata-token-ttl-seconds"), "300");
	agent_answer_done(&resp);
}

static void test_allow(void **state)
{
	static const struct {
		const char *method, *target, *allow;
	} cases[] = {
		{"GET", TOKEN, "PUT"},	      {"POST", TOKEN, "PUT"},
		{"DELETE", TOKEN "/", "PUT"}, {"POST", "/2021-03-23/api/token", "PUT"},
		{"POST", CREDS, "GET, HEAD"}, {"PUT", CREDS, "GET, HEAD"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct row row = ROW(IMDS, "web", cases[i].method, cases[i].target, NULL, 405);
		struct agent_answer resp = {};

		assert_int_equal(ask(&row, &resp), 0);
		assert_int_equal(resp.http.status, 405);
		if (strcmp(header(&resp, "Allow"), cases[i].allow) != 0)
			fail_msg("%s %s: %s", cases[i].method, cases[i].target,
				 header(&resp, "Allow"));
		agent_answer_done(&resp);
	}
}

/* ---- headers, as libmicrohttpd hands them over ---- */

/* Lines "name:value", as name and value were told apart. */
static void read_headers(const char *lines, const char *method, struct headers *h,
			 struct agent_request *req)
{
	*h = (struct headers){.extra_names = agent_headers};
	while (*lines) {
		const char *colon = strchr(lines, ':'), *end = strchr(lines, '\n');

		http_headers_add(h, lines, (size_t)(colon - lines), colon + 1,
				 (size_t)(end - colon - 1));
		lines = end + 1;
	}
	*req = (struct agent_request){.head.method = method};
	http_headers_apply(h, &req->head);
}

static void test_ambiguous_headers(void **state)
{
	static const struct {
		bool ambiguous;
		const char *method, *lines;
	} cases[] = {
		{false, "GET", "Host:h\nAccept:*/*\nX-Odd_!#$%&'*+.^`|~9:v\n"},
		{false, "GET", "Content-Length:0\n"},
		{false, "PUT", "Content-Length:5\n"},
		{false, "GET", "Accept:a\tb\nX-Name:J\xc3\xb6rg\n"},
		{true, "GET", "Accept :v\n"},
		{true, "GET", "Accept\t:v\n"},
		{true, "GET", " Accept:v\n"},
		{true, "GET", ":v\n"},
		{true, "GET", "X-J\xc3\xb6rg:v\n"},
		{true, "GET", "Accept:a\rX-Forwarded-For: b\n"},
		{true, "GET", "Accept:a\x7f\n"},
		{true, "PUT", "Content-Length:0\nContent-Length:0\n"},
		{true, "PUT", "Content-Length5:\n"},
		{true, "PUT", "Transfer-Encoding:chunked\n"},
		{true, "PUT", "transfer-encoding:identity\n"},
		{true, "PUT", "Transfer-Encodingchunked:\n"},
		{true, "GET", "Content-Length:5\n"},
		{true, "HEAD", "Content-Length:5\n"},
		{true, "GET", "Content-Length:five\n"},
		{true, "GET", "Content-Length:\n"},
		{true, "GET", "Hostevil:\n"},
		{true, "GET", "X-aws-ec2-metadata-token:a\nx-aws-ec2-metadata-token:a\n"},
		{true, "GET", "X-aws-ec2-metadata-tokena:\n"},
		{false, "GET", "Authorization:a\n"},
		{true, "GET", "Authorization:a\nAuthorization:a\n"},
		{true, "GET", "Authorization:\nauthorization:a\n"},
		{true, "GET", "Authorizationa:\n"},
		{true, "PUT",
		 "X-aws-ec2-metadata-token-ttl-seconds:1\nX-aws-ec2-metadata-token-ttl-seconds:"
		 "1\n"},
	};
	struct podcred_peer eks = peer_at(EKS, "web"), imds = peer_at(IMDS, "web");
	const struct podcred_peer *peers[] = {&eks, &imds, NULL};
	struct agent_request req;
	struct headers h;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		read_headers(cases[i].lines, cases[i].method, &h, &req);
		if (req.head.ambiguous != cases[i].ambiguous)
			fail_msg("%s %s: %d", cases[i].method, cases[i].lines, req.head.ambiguous);
	}
	for (size_t i = 0; i < ARRAY_SIZE(peers); i++) {
		struct agent_answer resp = {};

		read_headers("Transfer-Encoding:chunked\n", "GET", &h, &req);
		req.head.target = peers[i] ? "/v1/credentials" : "/healthz";
		req.peer = peers[i];
		assert_int_equal(agent_dispatch(&env, &req, &resp), 0);
		assert_int_equal(resp.http.status, 400);
		assert_string_equal(agent_reason_name(resp.reason), "ambiguous");
		assert_true(resp.http.close);
		assert_string_equal(header(&resp, "Server") ?: "", i == 1 ? "EC2ws" : "");
		agent_answer_done(&resp);
	}
}

static void test_relay_headers(void **state)
{
	static const char *const relayed[] = {
		"X-Forwarded-For:1.2.3.4\n",
		"x-forwarded-for:\n",
		"Accept:*/*\nFORWARDED:for=1.2.3.4\n",
		"Via:1.1 proxy\n",
		"X-Real-IP:1.2.3.4\n",
		"X-Forwarded-Host:h\n",
		"X-Forwarded-For1.2.3.4:\n",
		"X-Client-IP:1.2.3.4\n",
		"X-Forwarded-For :1.2.3.4\n",
		"True-Client-IP:1.2.3.4\n",
		"CF-Connecting-IP:1.2.3.4\n",
		"X-Cluster-Client-IP:1.2.3.4\n",
		"X-Original-Forwarded-For:1.2.3.4\n",
		"X-Envoy-External-Address:1.2.3.4\n",
	};
	static const char own[] = "Host:h\nUser-Agent:x\nX-Forwarded-Proto:http\n"
				  "X-Envoy-Attempt-Count:1\nX-Request-Id:1\nVi:a\n";
	struct agent_request req;
	struct headers h;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(relayed); i++) {
		read_headers(relayed[i], "GET", &h, &req);
		if (!req.head.forwarded)
			fail_msg("not seen: %s", relayed[i]);
	}
	read_headers(own, "GET", &h, &req);
	assert_false(req.head.forwarded);
	assert_false(req.head.ambiguous);
}

/* Blanks around a value belong to no value. */
static void test_header_values(void **state)
{
	struct agent_request req;
	struct headers h;
	char lines[200], big[HEADER_VALUE_SIZE + 1] = "";

	(void)state;
	read_headers("host: h:80 \t\nX-AWS-EC2-metadata-token:\t token \n"
		     "X-aws-ec2-metadata-token-ttl-seconds: 60\t\nAuthorization: \t\n",
		     "PUT", &h, &req);
	assert_string_equal(req.head.host, "h:80");
	assert_string_equal(req.head.extra[AGENT_HEADER_IMDS_TOKEN], "token");
	assert_string_equal(req.head.extra[AGENT_HEADER_IMDS_TTL], "60");
	assert_false(req.head.authorization || req.head.host_repeated || req.head.ambiguous);
	read_headers("Authorization: t\nHost:\nHost:h\n", "GET", &h, &req);
	assert_true(req.head.authorization && req.head.host_repeated);
	assert_null(req.head.extra[AGENT_HEADER_IMDS_TOKEN]);
	assert_null(req.head.extra[AGENT_HEADER_IMDS_TTL]);
	memset(big, '0', HEADER_VALUE_SIZE - 1);
	snprintf(lines, sizeof(lines), "Content-Length: %s\n", big);
	read_headers(lines, "GET", &h, &req);
	assert_false(req.head.ambiguous);
	memset(big, '0', HEADER_VALUE_SIZE);
	snprintf(lines, sizeof(lines), "Content-Length: %s\nHost: %s\n", big, big);
	read_headers(lines, "GET", &h, &req);
	assert_true(req.head.ambiguous);
	assert_true(http_headers_length_above(&h, 4096));
	assert_string_equal(req.head.host, "?");
}

/* Whoever does not ask for the text does not get it, nor one that is longer than asked for. */
static void test_authorization_text(void **state)
{
	static const char value[] = "\t token ";
	struct headers none = {.extra_names = agent_headers};

	(void)state;
	for (size_t max = 0; max < 8; max++) {
		struct headers h = none;
		struct http_head head = {.method = "GET"};

		h.authorization_max = max;
		http_headers_add(&h, "Authorization", 13, value, strlen(value));
		http_headers_apply(&h, &head);
		assert_true(head.authorization);
		if (max < 5) {
			assert_null(head.authorization_text);
		} else {
			assert_ptr_equal(head.authorization_text, value + 2);
			assert_int_equal(head.authorization_len, 5);
		}
	}
	assert_true(http_headers_is_secret("authorization", 13));
	assert_true(http_headers_is_secret("AuthorizationBearer", 19));
	assert_false(http_headers_is_secret("Authorizatio", 12));
}

/* Callers without a stamp, and those that dialled the agent itself: health and nothing else. */
static void test_outsiders(void **state)
{
	struct podcred_peer direct = peer_at(EKS, "web");
	static const char *const targets[] = {"/", "/v1/credentials", CREDS "web-role", TOKEN,
					      "/healthz/x"};

	(void)state;
	direct.flags |= PODCRED_PEER_DIRECT;
	for (int stamped = 0; stamped < 2; stamped++) {
		struct agent_request req = {.head.method = "GET",
					    .now = NOW,
					    .boot_s = BOOT,
					    .head.host = "10.0.0.1:8080",
					    .peer = stamped ? &direct : NULL,
					    .peer_error = stamped ? 0 : -ENODATA};
		struct agent_answer resp = {};

		for (size_t i = 0; i < ARRAY_SIZE(targets); i++) {
			req.head.target = targets[i];
			assert_int_equal(agent_dispatch(&env, &req, &resp), 0);
			assert_int_equal(resp.http.status, 403);
			assert_true(resp.http.close);
			assert_string_equal(agent_reason_name(resp.reason),
					    stamped ? "direct" : "unknown_caller");
			assert_null(memmem(resp.http.body.data, resp.http.body.len, "se/cret", 7));
			assert_int_equal(
				!!memmem(resp.http.body.data, resp.http.body.len, "sidecar", 7),
				stamped);
			agent_answer_done(&resp);
		}
		req.head.target = "/healthz";
		assert_int_equal(agent_dispatch(&env, &req, &resp), 0);
		assert_int_equal(resp.http.status, 200);
		assert_int_equal(resp.audit, AUDIT_NONE);
		assert_memory_equal(resp.http.body.data, "ok", 2);
		agent_answer_done(&resp);
		req.head.method = "POST";
		assert_int_equal(agent_dispatch(&env, &req, &resp), 0);
		assert_int_equal(resp.http.status, 403);
		agent_answer_done(&resp);
	}
}

static void check_ready(const struct agent_env *with, const struct podcred_peer *peer,
			unsigned status, const char *body)
{
	struct agent_request req = {.head.method = "GET",
				    .head.target = "/readyz",
				    .now = NOW,
				    .boot_s = BOOT,
				    .peer = peer,
				    .peer_error = peer ? 0 : -ENODATA};
	struct agent_answer resp = {};

	assert_int_equal(agent_dispatch(with, &req, &resp), 0);
	assert_int_equal(resp.http.status, status);
	assert_int_equal(resp.audit, AUDIT_NONE);
	assert_non_null(memmem(resp.http.body.data, resp.http.body.len, body, strlen(body)));
	agent_answer_done(&resp);
}

/* Ready is more than alive; and who has no stamp learns no uid. */
static void test_ready(void **state)
{
	struct podcred_peer direct = peer_at(EKS, "web");
	struct agent_env deaf = env, named = env, stalled = env;
	char body[256];

	(void)state;
	direct.flags |= PODCRED_PEER_DIRECT;
	named.pod_uid = "0c9a3c1e-5d0b-4c53-9a57-6c2f1be7f0aa";
	deaf.deaf = true;
	stalled.stalled = true;
	check_ready(&named, NULL, 200, "{\"ready\":true,\"stamped\":false}");
	check_ready(&env, &direct, 200, "{\"ready\":true,\"stamped\":true");
	snprintf(body, sizeof(body), "\"agentPodUid\":\"%s\",\"callerPodUid\":\"%s\"}",
		 named.pod_uid, direct.pod_uid);
	check_ready(&named, &direct, 200, body);
	direct.flags &= ~PODCRED_PEER_NAMED;
	snprintf(body, sizeof(body), "\"agentPodUid\":\"%s\"}", named.pod_uid);
	check_ready(&named, &direct, 200, body);
	check_ready(&deaf, &direct, 503, "not attached");
	check_ready(&stalled, &direct, 503, "has not turned");
}

/* No name yet: what depends on it waits, all else is answered at once. */
static void test_unnamed(void **state)
{
	static const struct {
		const char *at, *method, *target;
		unsigned status; /* 0: wait */
	} cases[] = {
		{EKS, "GET", "/v1/credentials", 0},
		{ECS, "GET", "/", 0},
		{IMDS, "GET", CREDS, 0},
		{IMDS, "GET", IAM "info", 0},
		{IMDS, "PUT", TOKEN, 0},
		{EKS, "GET", "/x", 404},
		{EKS, "POST", "/v1/credentials", 405},
		{IMDS, "GET", "/x", 404},
		{IMDS, "PUT", "/1.0/api/token", 403},
		{IMDS, "GET", TOKEN, 405},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct podcred_peer peer = peer_at(cases[i].at, "web");
		struct agent_request req = {.head.method = cases[i].method,
					    .head.target = cases[i].target,
					    .head.extra[AGENT_HEADER_IMDS_TTL] = "60",
					    .peer = &peer,
					    .now = NOW,
					    .boot_s = BOOT};
		struct agent_answer resp = {};

		/* the names are filled in here, and must not be looked at */
		peer.flags = 0;
		assert_int_equal(agent_dispatch(&env, &req, &resp), cases[i].status ? 0 : -EAGAIN);
		assert_int_equal(resp.http.status, cases[i].status);
		agent_answer_done(&resp);
		assert_int_equal(agent_give_up(agent_service_of(req.peer), &req,
					       AGENT_POD_NOT_RESOLVED, &resp),
				 0);
		assert_int_equal(resp.http.status, 503);
		assert_non_null(
			memmem(resp.http.body.data, resp.http.body.len, "PodNotResolved", 14));
		assert_int_equal(resp.audit, AUDIT_REFUSED);
		agent_answer_done(&resp);
	}
}

static void test_repeated_host(void **state)
{
	static const char *const at[] = {EKS, IMDS};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(at); i++) {
		struct podcred_peer peer = peer_at(at[i], "web");
		struct agent_request req = {.head.method = "GET",
					    .head.target = i ? CREDS : "/v1/credentials",
					    .head.host = i ? "169.254.169.254" : "169.254.170.23",
					    .head.host_repeated = true,
					    .peer = &peer,
					    .now = NOW,
					    .boot_s = BOOT};
		struct agent_answer resp = {};

		assert_int_equal(agent_dispatch(&env, &req, &resp), 0);
		assert_int_equal(resp.http.status, 403);
		agent_answer_done(&resp);
	}
}

static void test_require_authorization(void **state)
{
	struct podcred_peer peer = peer_at(EKS, "web");
	struct agent_request req = {.head.method = "GET",
				    .head.target = "/v1/credentials",
				    .peer = &peer,
				    .now = NOW,
				    .boot_s = BOOT};
	struct agent_env strict = env;
	struct agent_answer resp = {};

	(void)state;
	strict.require_authorization = true;
	assert_int_equal(agent_dispatch(&strict, &req, &resp), 0);
	assert_int_equal(resp.http.status, 400);
	assert_string_equal(agent_reason_name(resp.reason), "no_authorization");
	agent_answer_done(&resp);
	req.head.authorization = true;
	assert_int_equal(agent_dispatch(&strict, &req, &resp), 0);
	assert_int_equal(resp.http.status, 200);
	agent_answer_done(&resp);
	req.head.authorization = false;
	peer = peer_at(ECS, "web");
	assert_int_equal(agent_dispatch(&strict, &req, &resp), 0);
	assert_int_equal(resp.http.status, 200);
	agent_answer_done(&resp);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rows),
		cmocka_unit_test(test_container_body),
		cmocka_unit_test(test_large_token),
		cmocka_unit_test(test_imds_body),
		cmocka_unit_test(test_imds_info),
		cmocka_unit_test(test_error_body),
		cmocka_unit_test(test_imds_token),
		cmocka_unit_test(test_allow),
		cmocka_unit_test(test_ambiguous_headers),
		cmocka_unit_test(test_relay_headers),
		cmocka_unit_test(test_header_values),
		cmocka_unit_test(test_authorization_text),
		cmocka_unit_test(test_outsiders),
		cmocka_unit_test(test_ready),
		cmocka_unit_test(test_unnamed),
		cmocka_unit_test(test_repeated_host),
		cmocka_unit_test(test_require_authorization),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
