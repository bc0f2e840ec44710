// SPDX-License-Identifier: Apache-2.0
/* MODULES: agent http credentials aws upstream yaml crypto base */
/* LIBS: -ljansson -lyaml -lpcre2-8 -lcrypto -Wl,--wrap=clock_gettime */
/*
 * The rest of the metadata service: what is allowed is asked of podcred fetch, once, and kept; nothing that gives away
 * credentials is ever asked for, however it is spelled. The loop is real, and fetch is the test.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "agent/documents.h"
#include "agent/metadata_path.h"
#include "agent/service.h"
#include "base/addr.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/loop.h"

static const char *const allow[] = {"meta-data/placement/region", "meta-data/instance-id",
				    "meta-data/network/", "dynamic/instance-identity/document",
				    NULL};
/* As somebody might write who wants to have it all. */
static const char *const all[] = {"meta-data/", "dynamic/", "user-data", "meta-data/iam/",
				  "api/",	"",	    NULL};

static struct loop *loop;
static struct agent_documents *documents;
static uint64_t wait_key, woken, cgroup;
static unsigned asked;
static uint64_t asked_id;
static char asked_path[METADATA_PATH_SIZE];
static int ask_result;

int __wrap_clock_gettime(clockid_t clock, struct timespec *ret);

/* It stands still unless a test says otherwise. */
static uint64_t now_ns = 1000 * CLOCK_S;

int __wrap_clock_gettime(clockid_t clock, struct timespec *ret)
{
	(void)clock;
	*ret = clock_timespec(now_ns);
	return 0;
}

static int on_ask(void *arg, const struct upstream_message *m)
{
	(void)arg;
	assert_int_equal(m->type, UPSTREAM_METADATA);
	if (ask_result < 0)
		return ask_result;
	asked++;
	asked_id = m->metadata.id;
	snprintf(asked_path, sizeof(asked_path), "%s", m->metadata.path);
	return 0;
}

static void on_wake(void *arg, uint64_t key)
{
	(void)arg;
	woken = key;
}

static void on_turn(void *arg)
{
	(void)arg;
	loop_stop(loop, 0);
}

/* What was posted so far is done. */
static void turn(void)
{
	assert_int_equal(loop_post(loop, on_turn, NULL), 0);
	assert_int_equal(loop_run(loop), 0);
}

static int set_up(void **state)
{
	struct agent_leaves_options options = {.ask = on_ask, .wake = on_wake};

	(void)state;
	assert_int_equal(loop_new(&loop), 0);
	options.loop = loop;
	assert_int_equal(agent_documents_new(&options, &documents), 0);
	agent_documents_connected(documents, true);
	asked = 0;
	ask_result = 0;
	woken = 0;
	cgroup = 1;
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	agent_documents_free(documents);
	loop = loop_free(loop);
	return 0;
}

static struct podcred_peer pod(void)
{
	struct podcred_peer peer = {.flags = PODCRED_PEER_NAMED, .pod_cgroup_id = cgroup};
	struct net_addr addr;

	net_addr_parse("169.254.169.254:80", &addr);
	memcpy(peer.address, addr.ip, 16);
	peer.port = addr.port;
	strcpy(peer.pod_uid, "u-1");
	strcpy(peer.pod_namespace, "shop");
	strcpy(peer.pod_name, "web-0");
	strcpy(peer.service_account, "web");
	return peer;
}

static int dispatch(const char *const *metadata, const char *target, bool forwarded,
		    struct agent_answer *ret)
{
	static const char none[] = "associations: []\n";
	struct podcred_peer peer = pod();
	struct agent_env env = {
		.documents = documents, .metadata = metadata, .wait_key = &wait_key};
	struct agent_request req = {
		.head = {.method = "GET",
			 .target = target,
			 .host = "169.254.169.254",
			 .forwarded = forwarded},
		.peer = &peer,
		.now = 1767323045,
	};
	int r;

	assert_int_equal(
		cred_table_parse("t", none, strlen(none), (struct cred_table **)&env.table, NULL),
		0);
	r = agent_dispatch(&env, &req, ret);
	turn();
	cred_table_unref((struct cred_table *)env.table);
	return r;
}

static unsigned status_of(const char *const *metadata, const char *target)
{
	struct agent_answer answer = {};
	int r = dispatch(metadata, target, false, &answer);
	unsigned status = r < 0 ? (unsigned)-r : answer.http.status;

	agent_answer_done(&answer);
	return status;
}

static void tell(const char *body, uint64_t valid_ms)
{
	const struct upstream_message m = {
		.type = UPSTREAM_DOCUMENT,
		.document = {.id = asked_id, .body = body, .valid_ms = valid_ms}};

	agent_documents_told(documents, &m);
}

static void refuse(enum upstream_reason reason)
{
	const struct upstream_message m = {
		.type = UPSTREAM_REFUSAL,
		.refusal = {.id = asked_id, .reason = reason, .message = "m", .retry_ms = 60000}};

	agent_documents_told(documents, &m);
}

/* ---- what is allowed ---- */

static void assert_asks(const char *target, const char *path)
{
	unsigned before = asked;

	if (status_of(allow, target) != EINPROGRESS || asked != before + 1)
		fail_msg("%s is not asked for", target);
	assert_string_equal(asked_path, path);
	tell("x", 60000);
}

static void test_allowed(void **state)
{
	(void)state;
	assert_asks("/latest/meta-data/placement/region", "/latest/meta-data/placement/region");
	assert_asks("/latest/meta-data/network/interfaces/macs/",
		    "/latest/meta-data/network/interfaces/macs");
	assert_asks("/latest/meta-data/network/interfaces/macs/02:00:00:00:00:01/vpc-id",
		    "/latest/meta-data/network/interfaces/macs/02:00:00:00:00:01/vpc-id");
	assert_asks("/latest/meta-data/network/", "/latest/meta-data/network/");
	assert_asks("/1.0/meta-data/instance-id/?x", "/latest/meta-data/instance-id");
	assert_asks("/2021-07-15/dynamic/../dynamic/instance-identity//document",
		    "/latest/dynamic/instance-identity/document");
	/* however it was spelled: it is the same document */
	assert_int_equal(status_of(allow, "/latest//meta-data/./placement/region/"), 200);
	assert_int_equal(status_of(allow, "/2021-07-15/meta-data/placement/%72egion"), 200);
}

static void test_answer_is_kept(void **state)
{
	struct agent_answer answer = {};

	(void)state;
	assert_int_equal(status_of(allow, "/latest/meta-data/instance-id"), EINPROGRESS);
	assert_true(agent_documents_is_key(wait_key));
	assert_int_equal(status_of(allow, "/latest/meta-data/instance-id"), EINPROGRESS);
	assert_int_equal(asked, 1);
	tell("i-0123", 60000);
	assert_int_equal(woken, wait_key);
	assert_int_equal(dispatch(allow, "/latest/meta-data/instance-id", false, &answer), 0);
	assert_int_equal(answer.http.status, 200);
	assert_string_equal(answer.http.content_type, "text/plain");
	assert_int_equal(answer.http.body.len, 6);
	assert_memory_equal(answer.http.body.data, "i-0123", 6);
	assert_int_equal(answer.audit, AUDIT_NONE);
	agent_answer_done(&answer);
	assert_int_equal(asked, 1);
}

static void test_answer_ends(void **state)
{
	(void)state;
	status_of(allow, "/latest/meta-data/instance-id");
	tell("i-1", 1000);
	now_ns += 999 * CLOCK_MS;
	assert_int_equal(status_of(allow, "/latest/meta-data/instance-id"), 200);
	now_ns += CLOCK_MS;
	assert_int_equal(status_of(allow, "/latest/meta-data/instance-id"), EINPROGRESS);
	assert_int_equal(asked, 2);
	now_ns += DOCUMENTS_LOST_S * CLOCK_S;
	agent_documents_sweep(documents);
	assert_int_equal(agent_documents_count(documents), 0);
}

static void test_refusals(void **state)
{
	(void)state;
	status_of(allow, "/latest/meta-data/network/nothing");
	refuse(UPSTREAM_NOT_FOUND);
	assert_int_equal(status_of(allow, "/latest/meta-data/network/nothing"), 404);
	status_of(allow, "/latest/meta-data/instance-id");
	refuse(UPSTREAM_UNAVAILABLE);
	assert_int_equal(status_of(allow, "/latest/meta-data/instance-id"), 503);
	assert_int_equal(asked, 2);
}

static void test_fetch_comes_and_goes(void **state)
{
	const struct upstream_message flush = {.type = UPSTREAM_FLUSH};

	(void)state;
	agent_documents_connected(documents, false);
	ask_result = -ENOTCONN;
	assert_int_equal(status_of(allow, "/latest/meta-data/instance-id"), EINPROGRESS);
	assert_int_equal(asked, 0);
	ask_result = 0;
	agent_documents_connected(documents, true);
	assert_int_equal(asked, 1);
	agent_documents_connected(documents, false);
	agent_documents_connected(documents, true); /* the first one never answered */
	assert_int_equal(asked, 2);
	tell("i-1", 60000);
	assert_int_equal(status_of(allow, "/latest/meta-data/instance-id"), 200);
	agent_documents_told(documents, &flush);
	assert_int_equal(status_of(allow, "/latest/meta-data/instance-id"), EINPROGRESS);
}

/* Whatever a pod asks for below an allowed tree. */
static void test_bounds(void **state)
{
	static char body[40000];
	char target[100];

	(void)state;
	for (unsigned i = 0; i < DOCUMENTS_IN_FLIGHT; i++) {
		snprintf(target, sizeof(target), "/latest/meta-data/network/%u", i);
		assert_int_equal(status_of(allow, target), EINPROGRESS);
	}
	assert_int_equal(status_of(allow, "/latest/meta-data/network/more"), 503);
	assert_int_equal(asked, DOCUMENTS_IN_FLIGHT);
	tear_down(NULL);
	set_up(NULL);
	memset(body, 'b', sizeof(body) - 1);
	for (unsigned i = 0; i < 2 * DOCUMENTS_MAX; i++) {
		snprintf(target, sizeof(target), "/latest/meta-data/network/%u", i);
		cgroup = i / 10;
		assert_int_equal(status_of(allow, target), EINPROGRESS);
		tell(body, 60000);
		assert_true(agent_documents_count(documents) <= DOCUMENTS_MAX);
	}
	assert_true(agent_documents_count(documents) <= DOCUMENTS_BYTES_MAX / sizeof(body));
	assert_int_equal(status_of(allow, target), 200);
	for (unsigned i = 0; i < 2 * DOCUMENTS_MAX; i++) {
		snprintf(target, sizeof(target), "/latest/meta-data/network/%u", i);
		cgroup = i / 10;
		if (status_of(allow, target) == EINPROGRESS)
			refuse(UPSTREAM_NOT_FOUND);
	}
	assert_true(agent_documents_count(documents) <= DOCUMENTS_MAX);
}

/* A pod that asks for whatever comes to its mind costs the others nothing. */
static void test_a_pods_share(void **state)
{
	char target[100];

	(void)state;
	for (unsigned i = 0; i < DOCUMENTS_BURST; i++) {
		snprintf(target, sizeof(target), "/latest/meta-data/network/%u", i);
		assert_int_equal(status_of(allow, target), EINPROGRESS);
		refuse(UPSTREAM_NOT_FOUND);
	}
	assert_int_equal(status_of(allow, "/latest/meta-data/instance-id"), 503);
	cgroup = 2;
	assert_int_equal(status_of(allow, "/latest/meta-data/instance-id"), EINPROGRESS);
	tell("i-1", 60000);
	cgroup = 1;
	assert_int_equal(status_of(allow, "/latest/meta-data/instance-id"), 200);
	now_ns += DOCUMENTS_ONE_MS * CLOCK_MS;
	assert_int_equal(status_of(allow, "/latest/meta-data/network/more"), EINPROGRESS);
	refuse(UPSTREAM_NOT_FOUND);
	assert_int_equal(status_of(allow, "/latest/meta-data/network/still-more"), 503);
}

/* ---- what is not ---- */

static void test_not_allowed(void **state)
{
	static const char *const targets[] = {
		"/latest/meta-data/placement/",
		"/latest/meta-data/placement/regions",
		"/latest/meta-data/placement/region/x",
		"/latest/meta-data/placement/Region",
		"/latest/Meta-data/placement/region",
		"/latest/meta-data/placement/region%20",
		"/latest/meta-data/placement/region;x",
		"/latest/meta-data/placement/region%3fx",
		"/latest/meta-data/placement/region%23x",
		"/latest/meta-data/placement%5cregion",
		"/latest/meta-data/placement/region%252f",
		"/latest/meta-data/networks/x",
		"/latest/meta-data/network",
		"/latest/dynamic/instance-identity/signature",
		"/latest/dynamic/instance-identity/pkcs7",
		"/latest/dynamic/instance-identity/document/../rsa2048",
		"/latest/meta-data/",
		"/latest/meta-data",
		"/latest/",
		"/latest",
		"/",
		"/latest/user-data",
		"/LATEST/meta-data/placement/region",
		"/latest/latest/meta-data/placement/region",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(targets); i++)
		if (status_of(allow, targets[i]) != 404)
			fail_msg("%s: %u", targets[i], status_of(allow, targets[i]));
	assert_int_equal(asked, 0);
}

/* Below a tree that is allowed, and above it. */
static void test_ways_out(void **state)
{
	static const char *const targets[] = {
		"/latest/meta-data/network/../iam/security-credentials-extended/node",
		"/latest/meta-data/network/%2e%2e/iam/security-credentials-extended/node",
		"/latest/meta-data/network/.%2e/user-data",
		"/latest/meta-data/network/../../user-data",
		"/latest/meta-data/network/..%2f..%2fuser-data",
		"/latest/meta-data/network/..%252fiam%252finfo",
		"/latest/meta-data/network/%252e%252e/iam/info",
		"/latest/meta-data/network/..;/iam/info",
		"/latest/meta-data/network/...//x/..%5c..",
		"/latest/meta-data/network/x/..\\..\\iam",
		"/latest/meta-data/network/%00/iam",
		"/latest/meta-data/network/%c0%ae%c0%ae/iam",
		"/latest/meta-data/network/x%0d%0aX: y",
		"/latest/meta-data/network/x y",
		"/latest/meta-data/network/.hidden",
		"/latest/meta-data/network/a../b",
		"http://169.254.169.254/latest/meta-data/network/x",
		"/latest/meta-data/network/@evil",
		"/latest/meta-data/network/*",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(targets); i++) {
		unsigned status = status_of(allow, targets[i]);

		if (status != 404 && status != 400)
			fail_msg("%s: %u, asked for %s", targets[i], status, asked_path);
	}
	assert_int_equal(asked, 0);
}

static void test_never(void **state)
{
	static const char *const targets[] = {
		"/latest/meta-data/iam-eks-0/security-credentials/other",
		"/latest/meta-data/iam/security-credentials-extended/node",
		"/latest/meta-data/iam",
		"/latest/meta-data/iam/",
		"/latest/meta-data/IAM/security-credentials/node",
		"/latest/meta-data/identity-credentials/ec2/security-credentials/ec2-instance",
		"/latest/meta-data/Identity-Credentials/ec2/info",
		"/latest/meta-data/managed-ssh-keys/signer-cert",
		"/latest/user-data",
		"/latest/user-data/",
		"/latest/user-data.txt",
		"/latest/USER-DATA",
		"/2009-04-04/user-data",
		"/latest/api",
		"/latest/api/tokens",
		"/latest/meta-data/./iam-eks-0/x",
		"/latest/meta-data//iam-eks-0/x",
		"/latest/meta-data/%69am-eks-0/x",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(targets); i++) {
		unsigned status = status_of(all, targets[i]);

		if (status != 404)
			fail_msg("%s: %u, asked for %s", targets[i], status, asked_path);
	}
	assert_int_equal(asked, 0);
	/* which is not because nothing is allowed */
	assert_int_equal(status_of(all, "/latest/meta-data/"), EINPROGRESS);
	assert_int_equal(status_of(all, "/latest/dynamic/instance-identity/signature"),
			 EINPROGRESS);
}

static void test_relayed(void **state)
{
	struct agent_answer answer = {};

	(void)state;
	assert_int_equal(dispatch(allow, "/latest/meta-data/instance-id", true, &answer), 0);
	assert_int_equal(answer.http.status, 403);
	agent_answer_done(&answer);
	assert_int_equal(asked, 0);
}

static void test_nobody_to_ask(void **state)
{
	struct agent_documents *kept = documents;

	(void)state;
	documents = NULL;
	assert_int_equal(status_of(allow, "/latest/meta-data/instance-id"), 404);
	documents = kept;
	assert_int_equal(status_of(NULL, "/latest/meta-data/instance-id"), 404);
}

static void test_too_long(void **state)
{
	char below[METADATA_PATH_SIZE + 100], path[METADATA_PATH_SIZE];
	const char *const tree[] = {"a/", NULL};

	(void)state;
	memset(below, 'a', sizeof(below) - 1);
	below[sizeof(below) - 1] = '\0';
	below[1] = '/';
	assert_false(agent_metadata_path(tree, below, true, path));
	below[100] = '\0';
	assert_true(agent_metadata_path(tree, below, true, path));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_allowed, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_answer_is_kept, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_answer_ends, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_refusals, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_fetch_comes_and_goes, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_bounds, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_a_pods_share, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_not_allowed, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_ways_out, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_never, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_relayed, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_nobody_to_ask, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_too_long, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
