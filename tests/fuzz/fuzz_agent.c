// SPDX-License-Identifier: Apache-2.0
/* MODULES: agent http credentials aws upstream yaml crypto base */
/* LIBS: -ljansson -lyaml -lpcre2-8 -lcrypto */
/*
 * Requests as libmicrohttpd hands them over: lines for target, method, Host, token, TTL, the dialled
 * address and the service account, after a byte of flags, then one for each more header. Credentials
 * leave only for whom, where and how the rules below say, which are written down here a second time.
 */
#include "fuzz.h"

#include <ctype.h>
#include <errno.h>
#include <fnmatch.h>
#include <jansson.h>
#include <unistd.h>

#include "agent/audit.h"
#include "agent/service.h"
#include "agent/token.h"
#include "base/addr.h"
#include "base/log.h"
#include "base/log_out.h"
#include "http/headers.h"

#define NOW    1767323045
#define BOOT   4711
#define POD    "5f1b0c1e-6d3a-4f0e-8d61-0a4b2d7e9c11"
#define SECRET "se/cret"
#define KEYS   "static: {accessKeyId: AKIAEXAMPLE, secretAccessKey: " SECRET ", sessionToken: 't\"o'}"

enum {
	FLAG_NAMED = 1,
	FLAG_DIRECT = 2,
	FLAG_UNKNOWN = 4, /* no peer */
	FLAG_FORWARDED = 8,
	FLAG_REPEATED = 16,
	FLAG_AUTHORIZATION = 32,
	FLAG_REQUIRE = 64,
	FLAG_TOKEN = 128, /* the token is a valid one, in place of the line */
};

static const uint8_t token_key[AGENT_TOKEN_KEY_SIZE] = {9};
static struct agent_env env;
static char valid_token[TOKEN_SIZE];

static void set_up(void)
{
	static const char text[] =
		"associations:\n"
		"- {namespace: shop, serviceAccount: web, role: web-role, "
		"accountId: '111122223333', " KEYS "}\n"
		"- {namespace: shop, serviceAccount: plain, role: 'my+role=a,b.c@d_e-f', " KEYS
		"}\n";

	env.token_key = token_key;
	log_setup("fuzz", LOG_LEVEL_INFO, false);
	agent_token_make(token_key, POD, BOOT + 100, valid_token);
	if (cred_table_parse("t", text, sizeof(text) - 1, (struct cred_table **)&env.table, NULL) <
	    0)
		abort();
}

static bool is_one_of(const char *text, const char *const *list)
{
	for (; *list; list++)
		if (!strcmp(text, *list))
			return true;
	return false;
}

/* ---- who may have what, once more ---- */

static bool container_may(const struct agent_request *req, const char *at, const char *path)
{
	bool ecs = !strcmp(at, "169.254.170.2:80");

	if (!ecs && strcmp(at, "169.254.170.23:80") != 0 && strcmp(at, "[fd00:ec2::23]:80") != 0)
		return false;
	if (env.require_authorization && !req->head.authorization && !ecs)
		return false;
	if (!strcmp(path, "/v1/credentials"))
		return true;
	return ecs && (!strcmp(path, "/") || !fnmatch("/creds", path, 0) ||
		       !fnmatch("/creds/", path, 0) || !fnmatch("/v[12]/credentials", path, 0) ||
		       !fnmatch("/v[12]/credentials/*", path, 0));
}

/* Any header that no relay, and no other reading of the request, has anything to do with. */
static bool header_is_harmless(const char *line)
{
	static const char *const words[] = {
		"x-forwarded-for", "forwarded",	       "via", "x-real-ip", "x-forwarded-host",
		"content-length",  "transfer-encoding"};
	const char *value = strchr(line, ':') + 1;
	char plain[32] = "";
	size_t n = 0;

	for (const char *c = line; *c && *c != ':' && n + 1 < sizeof(plain); c++) {
		if ((unsigned char)*c <= ' ' || (unsigned char)*c >= 0x7f)
			return false;
		plain[n++] = (char)tolower((unsigned char)*c);
	}
	value += strspn(value, " \t");
	if (!strcmp(plain, "content-length") && *value == '0') {
		value += strspn(value, "0");
		return !value[strspn(value, " \t")]; /* there is no body */
	}
	for (size_t i = 0; i < sizeof(words) / sizeof(*words); i++)
		if (!strncmp(plain, words[i], strlen(words[i])))
			return false;
	return n > 0 && !strpbrk(line, "\r\177");
}

static bool is_version(const char *from, const char *to)
{
	char version[32];

	if (to - from >= (ptrdiff_t)sizeof(version))
		return false;
	memcpy(version, from, (size_t)(to - from));
	version[to - from] = '\0';
	return !strcmp(version, "latest") || !strcmp(version, "1.0") ||
	       !fnmatch("20[0-9][0-9]-[0-9][0-9]-[0-9][0-9]", version, 0);
}

static bool imds_may(const struct agent_request *req, const char *at, const char *path)
{
	static const char iam[] = "/meta-data/iam/security-credentials/";
	const char *role =
		!strcmp(req->peer->service_account, "web") ? "web-role" : "my+role=a,b.c@d_e-f";
	const char *rest = strchr(path + 1, '/');

	if (strcmp(at, "169.254.169.254:80") != 0 && strcmp(at, "[fd00:ec2::254]:80") != 0)
		return false;
	if (req->head.extra[AGENT_HEADER_IMDS_TOKEN] &&
	    strcmp(req->head.extra[AGENT_HEADER_IMDS_TOKEN], valid_token) != 0)
		return false;
	if (!rest || strncmp(rest, iam, sizeof(iam) - 1) != 0 || !is_version(path + 1, rest))
		return false;
	rest += sizeof(iam) - 1;
	return !strncmp(rest, role, strlen(role)) &&
	       (!rest[strlen(role)] || !strcmp(rest + strlen(role), "/"));
}

static bool may_have_secret(const struct agent_request *req)
{
	static const char *const accounts[] = {"web", "plain", NULL};
	static const char *const methods[] = {"GET", "HEAD", NULL};
	const struct agent_service *service;
	char path[HTTP_PATH_SIZE], at[NET_ADDR_TEXT];

	if (!req->peer || req->head.forwarded || req->head.host_repeated || req->head.ambiguous ||
	    (req->peer->flags & (PODCRED_PEER_NAMED | PODCRED_PEER_DIRECT)) != PODCRED_PEER_NAMED ||
	    strcmp(req->peer->pod_namespace, "shop") != 0 ||
	    !is_one_of(req->peer->service_account, accounts) ||
	    !is_one_of(req->head.method, methods) ||
	    http_path_normalise(req->head.target, path, sizeof(path)) < 0)
		return false;
	net_addr_format(req->peer->address, req->peer->port, at, sizeof(at));
	service = agent_service_of(req->peer);
	if (!service || !agent_service_host_ok(service, &req->head))
		return false;
	return container_may(req, at, path) || imds_may(req, at, path);
}

/* ---- what must hold of every answer ---- */

static void check_json(const struct agent_answer *resp, bool secret)
{
	json_t *body =
		json_loadb(resp->http.body.data, resp->http.body.len, JSON_REJECT_DUPLICATES, NULL);

	/* a pod's own names come from the list of pods, where they are plain */
	MUST(body && json_is_object(body));
	if (secret) {
		MUST(!strcmp(json_string_value(json_object_get(body, "SecretAccessKey")), SECRET));
		MUST(!strcmp(json_string_value(json_object_get(body, "Token")), "t\"o"));
	}
	json_decref(body);
}

static char said[LOG_LINE_MAX + 1]; /* the last one, in place of log_out.c */
static size_t said_len;

void log_out(const char *text, size_t len)
{
	MUST(!said_len && len && len <= LOG_LINE_MAX);
	memcpy(said, text, len);
	said[said_len = len] = '\0';
}

/* At most one line, which holds nothing that the client wrote. */
static void check_audit(const struct agent_request *req, const struct agent_answer *resp)
{
	struct audit_limit limit;

	agent_audit_limit_init(&limit, agent_audit_suppressed, agent_audit_repeated);
	said[said_len = 0] = '\0';
	agent_audit_decision(&limit, req, resp, 0);
	agent_audit_limit_done(&limit);
	MUST(!said_len == (resp->audit == AUDIT_NONE));
	MUST(!said_len || memchr(said, '\n', said_len) == said + said_len - 1);
	MUST(!strstr(said, SECRET) && !strstr(said, valid_token));
	MUST(req->head.target[0] != '/' || strlen(req->head.target) < 4 ||
	     !strstr(said, req->head.target));
}

static bool harmless; /* all more headers */

static void check_response(const struct agent_request *req, const struct agent_answer *resp)
{
	bool secret = resp->http.body.len &&
		      memmem(resp->http.body.data, resp->http.body.len, SECRET, strlen(SECRET));
	MUST(resp->http.status >= 200 && resp->http.status < 600 && resp->http.content_type);
	MUST(resp->http.n_headers <= HTTP_RESPONSE_HEADERS);
	for (size_t i = 0; i < resp->http.n_headers; i++)
		for (const char *c = resp->http.headers[i].value; *c; c++)
			MUST(*c >= ' ' && *c <= '~');
	for (size_t i = 0; i < resp->http.body.len; i++)
		MUST((unsigned char)resp->http.body.data[i] >= ' ');
	MUST(secret == may_have_secret(req));
	MUST(!secret || harmless);
	MUST(secret == (resp->audit == AUDIT_GRANTED));
	MUST(!secret || resp->http.status == 200);
	if (secret || !strcmp(resp->http.content_type, "application/json"))
		check_json(resp, secret);
	check_audit(req, resp);
}

/* A session token is good for the pod that asked, and for no other. */
static void check_session(const struct agent_request *req, const struct agent_answer *resp)
{
	char token[TOKEN_SIZE] = "";
	time_t left = 0;

	if (resp->http.status != 200 || strcmp(req->head.method, "PUT") != 0)
		return;
	MUST(resp->http.body.len == TOKEN_SIZE - 1 && !req->head.forwarded &&
	     req->head.extra[AGENT_HEADER_IMDS_TTL]);
	MUST(!req->head.ambiguous);
	memcpy(token, resp->http.body.data, resp->http.body.len);
	MUST(agent_token_check(token_key, req->peer->pod_uid, token, BOOT, &left) == 0);
	MUST(left >= 1 && left <= TOKEN_TTL_MAX);
}

static void dispatch(const struct agent_request *req)
{
	struct agent_answer resp = {}, late = {};
	int r = agent_dispatch(&env, req, &resp);

	if (r == -EAGAIN) {
		MUST(req->peer && !(req->peer->flags & PODCRED_PEER_NAMED) && !resp.http.body.data);
		MUST(agent_give_up(agent_service_of(req->peer), req, AGENT_POD_NOT_RESOLVED,
				   &late) == 0);
		check_response(req, &late);
		agent_answer_done(&late);
		return;
	}
	MUST(r == 0);
	check_response(req, &resp);
	check_session(req, &resp);
	agent_answer_done(&resp);
}

static struct podcred_peer peer_of(uint8_t flags, const char *at, const char *account)
{
	struct podcred_peer peer = {.pod_uid = POD, .pod_cgroup_id = 1};
	struct net_addr addr = {};

	peer.flags = (flags & FLAG_NAMED ? PODCRED_PEER_NAMED : 0) |
		     (flags & FLAG_DIRECT ? PODCRED_PEER_DIRECT : 0);
	net_addr_parse(at, &addr);
	memcpy(peer.address, addr.ip, sizeof(peer.address));
	peer.port = addr.port;
	if (flags & FLAG_NAMED) {
		strcpy(peer.pod_namespace, "shop");
		strcpy(peer.pod_name, "web-0");
		snprintf(peer.service_account, sizeof(peer.service_account), "%s", account);
	}
	return peer;
}

static void add_header(struct headers *h, const char *name, const char *value)
{
	http_headers_add(h, name, strlen(name), value, strlen(value));
}

/* line: as the input has them */
static void add_headers(struct headers *h, uint8_t flags, char **line)
{
	if (*line[2])
		add_header(h, "Host", line[2]);
	if (flags & FLAG_REPEATED)
		add_header(h, "Host", line[2]), add_header(h, "Host", line[2]);
	if (flags & FLAG_TOKEN || *line[3])
		add_header(h, "X-aws-ec2-metadata-token",
			   flags & FLAG_TOKEN ? valid_token : line[3]);
	if (*line[4])
		add_header(h, "X-aws-ec2-metadata-token-ttl-seconds", line[4]);
	if (flags & FLAG_AUTHORIZATION)
		add_header(h, "Authorization", "t");
	if (flags & FLAG_FORWARDED)
		add_header(h, "X-Forwarded-For", "10.0.0.1");
}

static void add_more(struct headers *h, struct fuzz_input *in)
{
	harmless = true;
	while (in->size) {
		char *line = fuzz_line(in), *colon = strchr(line, ':');

		if (colon) {
			harmless &= header_is_harmless(line);
			http_headers_add(h, line, (size_t)(colon - line), colon + 1,
					 strlen(colon + 1));
		}
		free(line);
	}
}

/* Kubernetes' names are plain; podcred refuses lists with others. */
static bool is_name(const char *text)
{
	return text[strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789-.")] == '\0';
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input in = {data, size};
	uint8_t flags = fuzz_byte(&in);
	char *line[7];
	struct podcred_peer peer;
	struct agent_request req;
	struct headers headers = {.extra_names = agent_headers};

	if (!env.table)
		set_up();
	for (size_t i = 0; i < 7; i++)
		line[i] = fuzz_line(&in);
	peer = peer_of(flags, line[5], is_name(line[6]) ? line[6] : "web");
	req = (struct agent_request){
		.head = {.target = line[0], .method = line[1]},
		.peer = flags & FLAG_UNKNOWN ? NULL : &peer,
		.peer_error = -ENODATA,
		.now = NOW,
		.boot_s = BOOT,
	};
	add_headers(&headers, flags, line);
	add_more(&headers, &in);
	http_headers_apply(&headers, &req.head);
	env.require_authorization = flags & FLAG_REQUIRE;
	dispatch(&req);
	for (size_t i = 0; i < 7; i++)
		free(line[i]);
	return 0;
}
