// SPDX-License-Identifier: Apache-2.0
/* MODULES: kube identity base */
/* LIBS: -ljansson */
/*
 * A watch, with a client that answers what the test says: what is asked for after which answer, what is
 * told of objects, and what is said of trouble. tests/kube has the same with an API server.
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

#include "base/clock.h"
#include "base/err.h"
#include "base/loop.h"
#include "kube/client.h"
#include "kube/pods.h"
#include "kube/stream.h"

/* ---- the client ---- */

struct kube_call {
	struct kube_call_options options;
	char path[1024];
};

static struct loop *loop;
static struct kube_call *call; /* the last one that was started; NULL: it has ended */
static struct kube_call *node_call; /* the one that asks for a node */
static int start_error;

int kube_call_start(struct kube_client *client, const struct kube_call_options *options,
		    struct kube_call **ret, struct pc_err *err)
{
	struct kube_call **place;

	(void)client;
	loop_stop(loop, 0);
	if (start_error)
		return pc_err_set(err, start_error, "no memory");
	place = strstr(options->path, "/nodes/") ? &node_call : &call;
	assert_null(*place);
	*ret = *place = calloc(1, sizeof(**place));
	assert_non_null(*place);
	(*place)->options = *options;
	snprintf((*place)->path, sizeof((*place)->path), "%s", options->path);
	return 0;
}

struct kube_call *kube_call_cancel(struct kube_call *cancelled)
{
	if (cancelled && cancelled == call)
		call = NULL;
	if (cancelled && cancelled == node_call)
		node_call = NULL;
	free(cancelled);
	return NULL;
}

const char *kube_client_server(const struct kube_client *client)
{
	(void)client;
	return "https://api:443";
}

/* ---- the owner ---- */

static struct kube_watch *watch;
static struct kube_pods *pods;
static char said[8192]; /* "put UID NAME;gone UID;listed;" */
static size_t states;
static int put_error;

static void say(const char *format, ...)
{
	size_t len = strlen(said);
	va_list args;

	va_start(args, format);
	vsnprintf(said + len, sizeof(said) - len, format, args);
	va_end(args);
}

static int on_put(void *arg, const struct kube_object_id *id, const json_t *object,
		  struct pc_err *err)
{
	(void)arg;
	if (json_object_get(object, "bad"))
		return pc_err_set(err, -EINVAL, "it is bad");
	if (put_error)
		return put_error;
	say("put %s %s%s%s;", id->uid, id->name_space, *id->name_space ? "/" : "", id->name);
	return 0;
}

static void on_gone(void *arg, const struct kube_object_id *id)
{
	(void)arg;
	say("gone %s %s;", id->uid, id->name);
}

static void on_listed(void *arg)
{
	(void)arg;
	say("listed;");
}

static void on_state(void *arg, const struct kube_watch_state *state)
{
	(void)arg;
	(void)state;
	states++;
}

static void start(void)
{
	static const struct project_shape metadata[] = {{.key = "uid"},
							{.key = "namespace"},
							{.key = "name"},
							{.key = "resourceVersion"},
							{}};
	static const struct project_shape members[] = {
		{.key = "metadata", .members = metadata}, {.key = "bad"}, {}};
	static const struct project_shape shape = {.members = members};
	const struct kube_watch_options options = {.path = "/api/v1/things",
						   .query = "fieldSelector=a%3Db",
						   .resource = "things",
						   .shape = &shape,
						   .backoff_ms = 1,
						   .backoff_max_ms = 2};
	static const struct kube_watch_events events = {
		.put = on_put, .gone = on_gone, .listed = on_listed, .state = on_state};

	assert_int_equal(kube_watch_new(loop, NULL, &options, &events, NULL, &watch), 0);
}

static const struct kube_watch_state *state(void)
{
	return pods ? kube_pods_state(pods) : kube_watch_state(watch);
}

/* ---- requests and answers ---- */

/* The next request; timeoutSeconds is random. */
static void asks(const char *want)
{
	char got[1024], *seconds;
	unsigned value;

	while (!call) /* it stops for any request, also for those before */
		assert_int_equal(loop_run(loop), 0);
	strcpy(got, call->path);
	seconds = strstr(got, "timeoutSeconds=");
	if (seconds) {
		assert_int_equal(sscanf(seconds, "timeoutSeconds=%u", &value), 1);
		assert_in_range(value, 300, 600);
		memmove(seconds, strchr(seconds, '&') + 1, strlen(strchr(seconds, '&')));
	}
	assert_string_equal(got, want);
}

#define THINGS	  "/api/v1/things?fieldSelector=a%3Db"
#define FIRST	  THINGS "&limit=500&resourceVersion=0"
#define FRESH	  THINGS "&limit=500"
#define SINCE(v)  THINGS "&resourceVersion=" v
#define FOLLOW(v) THINGS "&watch=true&allowWatchBookmarks=true&resourceVersion=" v

static void head_of(unsigned status, uint64_t retry_after_ns)
{
	const struct http_head head = {.status = status, .retry_after_ns = retry_after_ns};

	assert_int_equal(call->options.on_head(call->options.arg, &head), 0);
}

static void end(unsigned status, int error)
{
	const struct http_result result = {
		.error = error, .status = status, .why = error ? "https://api:443: it broke" : ""};
	struct kube_call *ended = call;

	call = NULL;
	ended->options.on_done(ended->options.arg, &result);
	free(ended);
}

/* Of the present answer; what on_data() returns ends it. */
static bool data(const char *text)
{
	int r = call->options.on_data(call->options.arg, text, strlen(text));

	if (r < 0)
		end(200, r);
	return r == 0;
}

static void answer(unsigned status, const char *body)
{
	head_of(status, 0);
	if (data(body))
		end(status, 0);
}

#define META(uid, v)                                                                               \
	"\"metadata\":{\"uid\":\"" uid "\",\"namespace\":\"s\",\"name\":\"n" uid                   \
	"\",\"resourceVersion\":\"" v "\"}"
#define THING(uid, v) "{" META(uid, v) "}"
#define BAD(uid, v)   "{\"bad\":1," META(uid, v) "}"
#define LIST(v, more, items)                                                                       \
	"{\"kind\":\"ThingList\",\"metadata\":{\"resourceVersion\":\"" v "\"" more                 \
	"},\"items\":[" items "]}"
#define EVENT(type, object) "{\"type\":\"" type "\",\"object\":" object "}\n"
#define FAILURE(code, message)                                                                     \
	"{\"kind\":\"Status\",\"status\":\"Failure\",\"message\":\"" message "\",\"code\":" #code  \
	"}"

static void said_is(const char *want)
{
	assert_string_equal(said, want);
	said[0] = '\0';
}

static void why_has(const char *want)
{
	if (!strstr(state()->why, want))
		fail_msg("\"%s\" is not in \"%s\"", want, state()->why);
}

/* Listed, with one object of version 5, and followed. */
static void follow(void)
{
	start();
	asks(FIRST);
	answer(200, LIST("7", "", THING("a", "5")));
	said_is("put a s/na;listed;");
	asks(FOLLOW("7"));
	head_of(200, 0);
	assert_true(state()->in_touch);
}

static int setup(void **arg)
{
	(void)arg;
	said[0] = '\0';
	states = 0;
	put_error = start_error = 0;
	assert_int_equal(loop_new(&loop), 0);
	return 0;
}

static int teardown(void **arg)
{
	(void)arg;
	watch = kube_watch_free(watch);
	pods = kube_pods_free(pods);
	assert_null(call);
	loop = loop_free(loop);
	return 0;
}

/* ---- tests ---- */

static void test_list_and_watch(void **arg)
{
	(void)arg;
	start();
	assert_false(state()->in_touch || state()->listed || state()->heard_ns);
	asks(FIRST);
	answer(200, LIST("7", "", THING("a", "5") "," THING("b", "6")));
	said_is("put a s/na;put b s/nb;listed;");
	assert_true(state()->listed && !state()->in_touch && state()->objects == 2);
	asks(FOLLOW("7"));
	assert_true(call->options.idle_ns >= 120 * CLOCK_S);
	head_of(200, 0);
	assert_true(state()->in_touch && !*state()->why);
	data(EVENT("ADDED", THING("c", "8")) EVENT("MODIFIED", THING("a", "9")));
	data(EVENT("DELETED", THING("b", "10")));
	said_is("put c s/nc;put a s/na;gone b nb;");
	data(EVENT("BOOKMARK", "{\"metadata\":{\"resourceVersion\":\"20\"}}"));
	said_is("");
	end(200, 0);
	assert_true(state()->in_touch);
	asks(FOLLOW("20"));
	assert_int_equal(state()->lists, 1);
	assert_int_equal(state()->events, 3);
	assert_int_equal(state()->bookmarks, 1);
	assert_int_equal(state()->objects, 2);
}

/* Split anywhere, in any order, and with a version that is no number. */
static void test_odd_answers(void **arg)
{
	static const char list[] = "{\n \"items\" : [" THING(
		"a", "x/1 y") "] , \"metadata\":{"
			      "\"resourceVersion\" : \"x/2 &\" }, \"kind\":\"ThingList\" }\n";

	(void)arg;
	start();
	asks(FIRST);
	head_of(200, 0);
	for (const char *c = list; *c; c++)
		data((char[]){*c, '\0'});
	end(200, 0);
	said_is("put a s/na;listed;");
	asks(FOLLOW("x%2F2%20%26"));
}

static void test_pages(void **arg)
{
	(void)arg;
	start();
	asks(FIRST);
	answer(200, LIST("7", ",\"continue\":\"t/1=\"", THING("a", "5")));
	asks(THINGS "&limit=500&continue=t%2F1%3D");
	end(0, -ECONNRESET);
	assert_false(state()->in_touch);
	why_has("cannot list things: https://api:443: it broke");
	/* the same page again, and not the list from its beginning */
	asks(THINGS "&limit=500&continue=t%2F1%3D");
	answer(200, LIST("7", ",\"continue\":\"t2\"", THING("b", "5")));
	asks(THINGS "&limit=500&continue=t2");
	said_is("put a s/na;put b s/nb;");
	assert_false(state()->listed);
	answer(200, LIST("7", "", ""));
	said_is("listed;");
	asks(FOLLOW("7"));
}

/* Pages that expire before they are read would do so again. */
static void test_expired_page(void **arg)
{
	(void)arg;
	start();
	asks(FIRST);
	answer(200, LIST("7", ",\"continue\":\"t1\"", THING("a", "5")));
	asks(THINGS "&limit=500&continue=t1");
	answer(410, FAILURE(410, "the provided continue parameter is too old"));
	asks(THINGS);
	answer(200, LIST("9", "", THING("b", "8")));
	said_is("put a s/na;put b s/nb;gone a na;listed;");
	asks(FOLLOW("9"));
	assert_int_equal(state()->errors[KUBE_WATCH_EXPIRED], 1);
	/* that was for this list only */
	answer(400, "");
	asks(FRESH);
}

static void expire_list(void)
{
	asks(SINCE("7"));
	assert_false(state()->in_touch);
	answer(410, FAILURE(410, "too old"));
	asks(FRESH);
	answer(200, LIST("50", "", THING("b", "40")));
	said_is("put b s/nb;gone a na;listed;");
	asks(FOLLOW("50"));
	assert_int_equal(state()->errors[KUBE_WATCH_EXPIRED], 2);
	answer(410, "");
	asks(SINCE("50"));
}

static void test_expired(void **arg)
{
	(void)arg;
	follow();
	end(200, 0);
	asks(FOLLOW("7"));
	answer(410, FAILURE(410, "too old resource version"));
	why_has("410");
	expire_list();
}

static void test_expired_event(void **arg)
{
	(void)arg;
	follow();
	data(EVENT("ERROR", FAILURE(410, "too old")));
	expire_list();
}

static void test_too_large_version(void **arg)
{
	(void)arg;
	follow();
	data(EVENT("ERROR", FAILURE(500, "etcd event received with PrevKv=nil")));
	why_has("cannot watch things: https://api:443 answers HTTP 500: etcd event");
	asks(SINCE("7"));
	answer(504, FAILURE(504, "Too large resource version: 7, current: 3"));
	asks(FRESH);
	/* the server has lost some of its past */
	answer(200, LIST("3", "", THING("a", "2")));
	said_is("put a s/na;listed;");
	asks(FOLLOW("3"));
	head_of(200, 0);
	data(EVENT("MODIFIED", THING("a", "4")));
	said_is("put a s/na;");
}

static void test_busy(void **arg)
{
	uint64_t before;

	(void)arg;
	follow();
	end(200, 0);
	asks(FOLLOW("7"));
	head_of(429, 30 * CLOCK_MS);
	data(FAILURE(429, "Too many requests, please try again later."));
	before = clock_mono_ns();
	end(429, 0);
	why_has("is busy (HTTP 429): Too many requests");
	asks(FOLLOW("7"));
	assert_true(clock_mono_ns() - before >= 30 * CLOCK_MS);
	answer(503, "no JSON");
	why_has("is busy (HTTP 503)");
	asks(FOLLOW("7"));
	head_of(200, 0);
	assert_true(state()->in_touch && !*state()->why);
	assert_int_equal(state()->errors[KUBE_WATCH_BUSY], 2);
}

static void test_forbidden(void **arg)
{
	(void)arg;
	start();
	asks(FIRST);
	answer(403, FAILURE(403, "things is forbidden: User \\\"u\\\" cannot list\\nresource"));
	why_has("cannot list things: not allowed (HTTP 403): things is forbidden: User \"u\" "
		"cannot list "
		"resource; let a ClusterRole grant list and watch on things");
	assert_int_equal(state()->errors[KUBE_WATCH_FORBIDDEN], 1);
	asks(FIRST);
	answer(401, FAILURE(401, "Unauthorized"));
	why_has("does not accept the credentials (HTTP 401): Unauthorized");
	asks(FIRST);
	end(0, -EACCES);
	assert_int_equal(state()->errors[KUBE_WATCH_UNAUTHORIZED], 2);
	asks(FIRST);
	answer(404, "404 page not found\n");
	why_has("answers HTTP 404: no reason given");
	asks(FIRST);
}

/* Away for long: what is known stays known. */
static void test_away(void **arg)
{
	uint64_t since;

	(void)arg;
	follow();
	end(200, -ECONNRESET);
	since = state()->since_ns;
	for (int i = 0; i < 50; i++) {
		asks(FOLLOW("7"));
		end(0, -ECONNREFUSED);
		assert_false(state()->in_touch);
		assert_int_equal(state()->since_ns, since);
	}
	assert_int_equal(state()->errors[KUBE_WATCH_UNREACHABLE], 51);
	assert_int_equal(state()->objects, 1);
	asks(FOLLOW("7"));
	head_of(200, 0);
	assert_true(state()->in_touch && state()->since_ns > since);
	said_is("");
}

static void test_silent(void **arg)
{
	(void)arg;
	follow();
	data(EVENT("BOOKMARK", "{\"metadata\":{\"resourceVersion\":\"8\"}}"));
	end(200, -ETIMEDOUT);
	assert_true(state()->in_touch);
	asks(FOLLOW("8"));
	head_of(200, 0);
	end(200, -ETIMEDOUT);
	asks(SINCE("8"));
	answer(200, LIST("9", "", THING("a", "5")));
	asks(FOLLOW("9"));
	assert_int_equal(state()->errors[KUBE_WATCH_SILENT], 2);
	end(0, -ETIMEDOUT); /* not even a head */
	assert_false(state()->in_touch);
}

static void test_short_watch(void **arg)
{
	(void)arg;
	follow();
	end(200, 0);
	assert_null(call); /* not at once */
	why_has("ends as soon as it begins");
	asks(FOLLOW("7"));
	head_of(200, 0);
	data(EVENT("ADDED", THING("b", "8")));
	end(200, 0);
	assert_non_null(call);
}

static void test_relist(void **arg)
{
	(void)arg;
	follow();
	data(EVENT("ADDED", THING("b", "8")) EVENT("ADDED", THING("c", "9")));
	data(EVENT("DELETED", THING("a", "10")));
	data("{\"type\":");
	end(200, 0);
	why_has("the answer of https://api:443 cannot be used: byte");
	said_is("put b s/nb;put c s/nc;gone a na;");
	asks(SINCE("10"));
	answer(200, LIST("20", "", THING("c", "9") "," THING("d", "15")));
	said_is("put c s/nc;put d s/nd;gone b nb;listed;");
	assert_int_equal(state()->objects, 2);
	assert_int_equal(state()->errors[KUBE_WATCH_MALFORMED], 1);
}

/* Twice, late, or after the end: nobody is told. */
static void test_duplicates(void **arg)
{
	(void)arg;
	follow();
	data(EVENT("MODIFIED", THING("a", "100")) EVENT("MODIFIED", THING("a", "100")));
	data(EVENT("MODIFIED", THING("a", "99")) EVENT("ADDED", THING("a", "5")));
	said_is("put a s/na;");
	data(EVENT("DELETED", THING("b", "101")) EVENT("ADDED", THING("b", "98")));
	said_is("");
	data(EVENT("DELETED", THING("a", "102")) EVENT("DELETED", THING("a", "102")));
	data(EVENT("MODIFIED", THING("a", "101")));
	said_is("gone a na;");
	end(200, -ECONNRESET);
	assert_int_equal(state()->objects, 0);
}

/* A version that is no number is not compared. */
static void test_opaque_versions(void **arg)
{
	(void)arg;
	follow();
	data(EVENT("MODIFIED", THING("a", "zz")) EVENT("MODIFIED", THING("a", "aa")));
	data(EVENT("MODIFIED", THING("a", "aa")) EVENT("MODIFIED", THING("a", "1")));
	said_is("put a s/na;put a s/na;put a s/na;");
	end(200, -ECONNRESET);
}

static void test_unusable(void **arg)
{
	(void)arg;
	start();
	asks(FIRST);
	answer(200, LIST("7", "",
			 BAD("a", "5") "," THING("b", "5") ",7,{\"metadata\":{}},{]x,"
							   "null") +
			    0);
	why_has("cannot be used: byte");
	said_is("put b s/nb;");
	asks(FIRST);
	answer(200, LIST("7", "", BAD("a", "5") "," THING("b", "5") ",{\"metadata\":{}},{x},null"));
	said_is("put b s/nb;listed;");
	assert_int_equal(state()->objects, 1);
	assert_int_equal(state()->unusable, 4);
	asks(FOLLOW("7"));
	head_of(200, 0);
	data(EVENT("MODIFIED", BAD("b", "8")));
	said_is("gone b nb;");
	assert_string_equal(state()->unusable_why, "\"s\"/\"nb\": it is bad");
	assert_int_equal(state()->unusable, 5);
	data(EVENT("MODIFIED", THING("a", "9")) EVENT("DELETED", THING("b", "10")));
	said_is("put a s/na;");
	assert_int_equal(state()->unusable, 3);
	end(200, -ECONNRESET);
	asks(FOLLOW("10"));
	answer(400, FAILURE(400, "no"));
	asks(FRESH);
	answer(200, LIST("11", "", THING("a", "9")));
	assert_int_equal(state()->unusable, 0);
	assert_string_equal(state()->unusable_why, "");
}

/* Nothing tells which of two objects with one uid is the right one. */
static void test_uid_twice(void **arg)
{
	(void)arg;
	follow();
	data(EVENT("ADDED", "{\"metadata\":{\"uid\":\"a\",\"namespace\":\"s\",\"name\":\"x\","
			    "\"resourceVersion\":\"8\"}}"));
	said_is("gone a na;");
	assert_string_equal(state()->unusable_why, "\"s\"/\"x\": its uid is that of s/na");
	end(200, -ECONNRESET);
}

static void test_too_large_object(void **arg)
{
	char *text = malloc(KUBE_STREAM_MAX + 2);

	(void)arg;
	follow();
	assert_non_null(text);
	memset(text, 'x', KUBE_STREAM_MAX + 1);
	text[KUBE_STREAM_MAX + 1] = '\0';
	data("{\"a\":\"");
	data(text);
	data("\"}\n" EVENT("ADDED", THING("b", "8")));
	said_is("put b s/nb;");
	assert_int_equal(state()->unusable, 1);
	end(200, -ECONNRESET);
	free(text);
}

/* What the owner could not take is offered again. */
static void test_refused(void **arg)
{
	(void)arg;
	follow();
	put_error = -ENOMEM;
	data(EVENT("ADDED", THING("b", "8")));
	assert_false(state()->in_touch);
	why_has("Cannot allocate memory");
	asks(SINCE("7"));
	answer(200, LIST("8", "", THING("a", "5") "," THING("b", "8")));
	assert_int_equal(state()->errors[KUBE_WATCH_REFUSED], 2);
	put_error = 0;
	asks(SINCE("7"));
	answer(200, LIST("8", "", THING("a", "5") "," THING("b", "8")));
	said_is("put a s/na;put b s/nb;listed;");
	asks(FOLLOW("8"));
}

static void test_no_list(void **arg)
{
	static const char *const bodies[] = {
		"<html>log in</html>",
		"{\"kind\":\"ThingList\",\"items\":[]}",
		"{\"kind\":\"Thing\",\"metadata\":{\"resourceVersion\":\"1\"},\"items\":[]}",
		"",
		"{\"kind\":\"ThingList\",\"metadata\":{\"resourceVersion\":\"1\"}}",
	};

	(void)arg;
	start();
	for (size_t i = 0; i < sizeof(bodies) / sizeof(*bodies); i++) {
		asks(FIRST);
		answer(200, bodies[i]);
		why_has("cannot be used");
		assert_int_equal(state()->errors[KUBE_WATCH_MALFORMED], i + 1);
	}
	said_is("");
}

/* A word of somebody who is no API server is no event. */
static void test_no_events(void **arg)
{
	(void)arg;
	follow();
	data("{\"hello\":1}\n");
	asks(SINCE("7"));
	assert_int_equal(state()->errors[KUBE_WATCH_MALFORMED], 1);
}

static void test_call_fails(void **arg)
{
	(void)arg;
	start_error = -ENOMEM;
	start();
	while (state()->errors[KUBE_WATCH_REFUSED] < 3)
		assert_int_equal(loop_run(loop), 0);
	assert_int_equal(state()->errors[KUBE_WATCH_REFUSED], 3);
	start_error = 0;
	asks(FIRST);
}

/* State is told when there is news, and only then. */
static void test_state(void **arg)
{
	(void)arg;
	follow();
	states = 0;
	data(EVENT("ADDED", THING("b", "8")) EVENT("DELETED", THING("b", "9")));
	assert_int_equal(states, 0);
	data(EVENT("ADDED", BAD("c", "10")));
	assert_int_equal(states, 1);
	end(200, 0);
	asks(FOLLOW("10"));
	head_of(200, 0);
	assert_int_equal(states, 1);
	end(200, -ECONNRESET);
	assert_int_equal(states, 2);
	asks(FOLLOW("10"));
	head_of(200, 0);
	assert_int_equal(states, 3);
}

static void test_cancel(void **arg)
{
	(void)arg;
	follow();
	data("{\"type\":");
	watch = kube_watch_free(watch);
	assert_null(call);
}

/* ---- pods ---- */

#define NODE "/api/v1/nodes/n1"
#define PODS "/api/v1/pods?fieldSelector=spec.nodeName%3Dn1"
#define UID  "00000000-0000-0000-0000-00000000000"
#define POD(n, node)                                                                               \
	"{\"metadata\":{\"uid\":\"" UID n "\",\"namespace\":\"shop\",\"name\":\"web-" n            \
	"\",\"resourceVersion\":\"" n "\"},\"spec\":{\"nodeName\":\"" node "\"}}"
#define POD_LIST(items)                                                                            \
	"{\"kind\":\"PodList\",\"metadata\":{\"resourceVersion\":\"7\"},\"items\":[" items "]}"

static int on_pod(void *arg, const struct pod_name *pod)
{
	(void)arg;
	if (put_error)
		return put_error;
	say("put %s %s/%s %s;", pod->uid + 35, pod->name_space, pod->name, pod->service_account);
	return 0;
}

static void on_pod_gone(void *arg, const char *uid)
{
	(void)arg;
	say("gone %s;", uid + 35);
}

static void start_pods(void)
{
	static const struct kube_pods_events events = {
		.put = on_pod, .gone = on_pod_gone, .listed = on_listed, .state = on_state};
	const struct kube_watch_options times = {.backoff_ms = 1, .backoff_max_ms = 2};
	struct pc_err err;

	assert_int_equal(kube_pods_new(loop, NULL, "n1", &times, &events, NULL, &pods, &err), 0);
	asks(PODS "&limit=500&resourceVersion=0");
}

static void test_pods(void **arg)
{
	(void)arg;
	start_pods();
	answer(200, POD_LIST(POD("1", "n1") "," POD("2", "n2") "," POD("3", "n1")));
	said_is("put 1 shop/web-1 default;put 3 shop/web-3 default;listed;");
	assert_int_equal(state()->unusable, 1);
	assert_non_null(strstr(state()->unusable_why, "spec.nodeName is \"n2\", not n1"));
	asks(PODS "&watch=true&allowWatchBookmarks=true&resourceVersion=7");
	head_of(200, 0);
	put_error = -EINVAL; /* of the owner, not of the pod */
	data(EVENT("ADDED", POD("4", "n1")));
	assert_int_equal(state()->errors[KUBE_WATCH_REFUSED], 1);
	put_error = 0;
	asks(PODS "&resourceVersion=7");
	answer(200, POD_LIST(POD("4", "n1")));
	said_is("put 4 shop/web-4 default;gone 3;gone 1;listed;");
}

static void node_is(unsigned status, int error)
{
	const struct http_head head = {.status = status};
	const struct http_result result = {.status = status, .error = error, .why = ""};
	struct kube_call *ended = node_call;

	assert_string_equal(ended->path, NODE);
	if (status)
		assert_int_equal(ended->options.on_head(ended->options.arg, &head), 0);
	node_call = NULL;
	ended->options.on_done(ended->options.arg, &result);
	free(ended);
}

static void test_no_node(void **arg)
{
	(void)arg;
	start_pods();
	answer(200, POD_LIST(""));
	head_of(200, 0);
	node_is(404, 0);
	assert_true(state()->in_touch);
	why_has("the API server knows no node \"n1\"");
	data(EVENT("ADDED", POD("8", "n1")));
	assert_string_equal(state()->why, "");
	said_is("listed;put 8 shop/web-8 default;");
	end(200, 0);
}

/* Not allowed to ask, or there is one that has no pods. */
static void test_empty_node(void **arg)
{
	static const unsigned codes[] = {403, 200, 0, 500};

	(void)arg;
	start_pods();
	for (size_t i = 0; i < sizeof(codes) / sizeof(*codes); i++) {
		answer(200, POD_LIST(""));
		head_of(200, 0);
		node_is(codes[i], codes[i] ? 0 : -ECONNRESET);
		assert_string_equal(state()->why, "");
		data(EVENT("ERROR", FAILURE(410, "")));
		asks(PODS "&resourceVersion=7");
	}
	answer(200, POD_LIST(POD("1", "n1")));
	assert_null(node_call);
}

static void test_node_name(void **arg)
{
	static const char *const names[] = {"", "N1", "n1&limit=1", "n_1", "../n1"};
	static const struct kube_pods_events events = {.put = on_pod};
	struct pc_err err;

	(void)arg;
	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
		assert_int_equal(
			kube_pods_new(loop, NULL, names[i], NULL, &events, NULL, &pods, &err),
			-EINVAL);
		assert_non_null(strstr(err.msg, "is no name of a node"));
	}
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(test_##name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(list_and_watch),
		TEST(odd_answers),
		TEST(pages),
		TEST(expired_page),
		TEST(expired),
		TEST(expired_event),
		TEST(too_large_version),
		TEST(busy),
		TEST(forbidden),
		TEST(away),
		TEST(silent),
		TEST(short_watch),
		TEST(relist),
		TEST(duplicates),
		TEST(opaque_versions),
		TEST(unusable),
		TEST(uid_twice),
		TEST(too_large_object),
		TEST(refused),
		TEST(no_list),
		TEST(no_events),
		TEST(call_fails),
		TEST(state),
		TEST(cancel),
		TEST(pods),
		TEST(no_node),
		TEST(empty_node),
		TEST(node_name),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
