// SPDX-License-Identifier: Apache-2.0
/* The requests of a watch, and when the next one is due. */
#include "kube/watch.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/loop.h"
#include "base/text.h"
#include "kube/client.h"
#include "kube/watch_internal.h"

#define BODY_MAX    8192 /* of an answer that says what is wrong */
#define BACKOFF_MS  800
#define BACKOFF_MAX 30000
#define HEALTHY_NS  (120 * CLOCK_S)
#define SHORT_NS    CLOCK_S
#define PATIENCE_NS (300 * CLOCK_S) /* for servers that ask for more */
/* Bookmarks come about every minute, but not from a server on which nothing has ever changed. */
#define IDLE_MS (150 * 1000)
/* As long as an API server takes for a request before it gives up itself. */
#define LIST_IDLE_MS (60 * 1000)
#define WATCH_MIN_S  300
#define WATCH_MAX_S  600

static void begin(struct kube_watch *watch, enum watch_phase phase);
static void forget_answer(struct kube_watch *watch);

/* ---- the next request ---- */

static uint64_t random_below(uint64_t ns)
{
	return arc4random_uniform((uint32_t)(ns / CLOCK_MS) + 1) * CLOCK_MS;
}

static uint64_t backoff_max(const struct kube_watch *watch)
{
	return (watch->options.backoff_max_ms ?: BACKOFF_MAX) * CLOCK_MS;
}

static uint64_t backoff(struct kube_watch *watch)
{
	uint64_t ns = (watch->options.backoff_ms ?: BACKOFF_MS) * CLOCK_MS;
	uint64_t max = backoff_max(watch), now = clock_boot_ns();

	if (now - watch->failed_ns > HEALTHY_NS)
		watch->failures = 0;
	watch->failed_ns = now;
	for (unsigned i = 0; i < watch->failures && ns < max; i++)
		ns *= 2;
	watch->failures++;
	return random_below(ns < max ? ns : max);
}

static const char *verb(const struct kube_watch *watch)
{
	return watch->phase == WATCH_LIST ? "list" : "watch";
}

static void wait(struct kube_watch *watch, enum watch_phase next, uint64_t ns)
{
	forget_answer(watch); /* it may be large */
	watch->phase = WATCH_WAIT;
	watch->after_wait = next;
	loop_timer_after(watch->timer, ns);
}

/* The request has failed. why: what happened, and what to do; the next one is due in that time, or later. */
static void fail(struct kube_watch *watch, enum kube_watch_error error, enum watch_phase next,
		 uint64_t at_least_ns, const char *why)
{
	uint64_t ns = backoff(watch);
	struct pc_err line;

	watch->now.errors[error]++;
	pc_err_set(&line, 0, "cannot %s %s: %s", verb(watch), watch->resource, why);
	kube_watch_set_line(watch->now.why, line.msg);
	kube_watch_set_touch(watch, false);
	wait(watch, next, at_least_ns ? at_least_ns + ns : ns);
	kube_watch_tell(watch);
}

/* The pages that were read so far are of no use. */
static void restart_list(struct kube_watch *watch)
{
	free(watch->next);
	watch->next = NULL;
}

/* ---- answers that are none ---- */

static void forbidden(struct kube_watch *watch, const char *message)
{
	struct pc_err why;

	pc_err_set(&why, 0,
		   "not allowed (HTTP 403): %s; let a ClusterRole grant list and watch on %s",
		   message, watch->resource);
	fail(watch, KUBE_WATCH_FORBIDDEN, watch->phase, backoff_max(watch) / 2, why.msg);
}

static void expired(struct kube_watch *watch)
{
	if (watch->phase == WATCH_LIST) {
		watch->fresh = true;
		watch->whole = watch->next != NULL;
		restart_list(watch);
	}
	fail(watch, KUBE_WATCH_EXPIRED, WATCH_LIST, 0,
	     "the API server has forgotten what came after the last known version (410); reading "
	     "the "
	     "list again");
}

static void busy(struct kube_watch *watch, unsigned code, const char *message)
{
	uint64_t ns = watch->retry_after_ns;
	struct pc_err why;

	if (ns > PATIENCE_NS)
		ns = PATIENCE_NS;
	pc_err_set(&why, 0, "%s is busy (HTTP %u): %s; trying again later",
		   kube_client_server(watch->client), code, message);
	fail(watch, KUBE_WATCH_BUSY, watch->phase, ns, why.msg);
}

/* Of these a watch with the same version would fail again. */
static void other_status(struct kube_watch *watch, unsigned code, const char *message)
{
	struct pc_err why;

	if (code == 400 || strstr(message, "oo large resource version"))
		watch->fresh = true;
	restart_list(watch);
	pc_err_set(&why, 0, "%s answers HTTP %u: %s; trying again",
		   kube_client_server(watch->client), code, *message ? message : "no reason given");
	fail(watch, KUBE_WATCH_STATUS, WATCH_LIST, 0, why.msg);
}

static void unauthorized(struct kube_watch *watch, const char *message)
{
	struct pc_err why;

	pc_err_set(&why, 0, "%s does not accept the credentials (HTTP 401): %s; check the token",
		   kube_client_server(watch->client), message);
	fail(watch, KUBE_WATCH_UNAUTHORIZED, watch->phase, 0, why.msg);
}

static void handle_status(struct kube_watch *watch, unsigned code, const char *message)
{
	switch (code) {
	case 401:
		return unauthorized(watch, message);
	case 403:
		return forbidden(watch, message);
	case 410:
		return expired(watch);
	case 429:
	case 503:
		return busy(watch, code, message);
	default:
		return other_status(watch, code, message);
	}
}

static void malformed(struct kube_watch *watch, const char *what)
{
	struct pc_err why;

	restart_list(watch);
	pc_err_set(&why, 0, "the answer of %s cannot be used: %s; is it an API server?",
		   kube_client_server(watch->client), what);
	fail(watch, KUBE_WATCH_MALFORMED, WATCH_LIST, 0, why.msg);
}

/* What was done with the answer ended it. */
static void end_failed(struct kube_watch *watch)
{
	if (watch->error_code)
		return handle_status(watch, watch->error_code, watch->why.msg);
	if (watch->error == KUBE_WATCH_MALFORMED)
		return malformed(watch, watch->why.msg);
	restart_list(watch);
	fail(watch, watch->error, WATCH_LIST, 0, watch->why.msg);
}

/* On a watch that was open: no sign that the server is away. If nothing came at all, then perhaps because
 * something in between keeps it back. */
static void end_silent(struct kube_watch *watch)
{
	watch->now.errors[KUBE_WATCH_SILENT]++;
	begin(watch, watch->came ? WATCH_FOLLOW : WATCH_LIST);
}

static void end_broken(struct kube_watch *watch, const struct http_result *result)
{
	if (result->error == -ETIMEDOUT && watch->phase == WATCH_FOLLOW && watch->stream)
		return end_silent(watch);
	if (result->error == -ENOMEM)
		return fail(watch, KUBE_WATCH_REFUSED, watch->phase, 0, "no memory");
	fail(watch, result->error == -EACCES ? KUBE_WATCH_UNAUTHORIZED : KUBE_WATCH_UNREACHABLE,
	     watch->phase, 0, result->why);
}

/* ---- answers ---- */

static bool ends_with_list(const char *kind)
{
	size_t len = strlen(kind);

	return len > 4 && strcmp(kind + len - 4, "List") == 0;
}

static void end_list(struct kube_watch *watch)
{
	struct kube_stream_list list = {};
	struct pc_err why = {};

	if (kube_stream_end(watch->stream, &list, &why) < 0)
		return malformed(watch, why.msg);
	if (!ends_with_list(list.kind) || !*list.version ||
	    strlen(list.version) >= KUBE_VERSION_SIZE)
		return malformed(watch, "it is no list with a resourceVersion");
	restart_list(watch);
	if (*list.next) {
		watch->next = strdup(list.next);
		if (!watch->next)
			return fail(watch, KUBE_WATCH_REFUSED, WATCH_LIST, 0, "no memory");
		return begin(watch, WATCH_LIST);
	}
	strcpy(watch->version, list.version);
	watch->fresh = watch->whole = false;
	watch->now.lists++;
	watch->now.listed = true;
	kube_watch_sweep(watch);
	kube_watch_hear(watch);
	watch->events.listed(watch->arg);
	begin(watch, WATCH_FOLLOW);
}

static void end_follow(struct kube_watch *watch)
{
	struct pc_err why = {};

	if (kube_stream_end(watch->stream, NULL, &why) < 0)
		return malformed(watch, why.msg);
	if (!watch->came && clock_boot_ns() - watch->opened_ns < SHORT_NS)
		return fail(watch, KUBE_WATCH_UNREACHABLE, WATCH_FOLLOW, 0,
			    "the answer ends as soon as it begins; trying again");
	begin(watch, WATCH_FOLLOW);
}

static void on_done(void *arg, const struct http_result *result)
{
	struct kube_watch *watch = arg;
	char message[KUBE_WATCH_WHY_SIZE];
	unsigned code;

	watch->call = NULL;
	if (watch->failure)
		end_failed(watch);
	else if (result->error)
		end_broken(watch, result);
	else if (watch->stream && watch->phase == WATCH_LIST)
		end_list(watch);
	else if (watch->stream)
		end_follow(watch);
	else {
		kube_watch_read_status(watch->body, watch->body_len, message, &code);
		handle_status(watch, watch->status, message);
	}
	kube_watch_tell(watch);
}

static int on_head(void *arg, const struct http_head *head)
{
	struct kube_watch *watch = arg;
	bool list = watch->phase == WATCH_LIST;

	watch->status = head->status;
	watch->retry_after_ns = head->retry_after_ns;
	watch->opened_ns = clock_boot_ns();
	if (head->status != 200)
		return 0;
	if (!list) {
		watch->now.watches++;
		kube_watch_hear(watch);
		kube_watch_set_touch(watch, true);
		kube_watch_tell(watch);
	}
	return kube_stream_new(list ? KUBE_STREAM_LIST : KUBE_STREAM_LINES,
			       list ? &kube_watch_items : &kube_watch_lines, watch, &watch->stream);
}

static int keep_body(struct kube_watch *watch, const void *data, size_t len)
{
	if (!watch->body)
		watch->body = malloc(BODY_MAX);
	if (!watch->body)
		return -ENOMEM;
	if (len > BODY_MAX - watch->body_len)
		len = BODY_MAX - watch->body_len;
	memcpy(watch->body + watch->body_len, data, len);
	watch->body_len += len;
	return 0;
}

static int on_data(void *arg, const void *data, size_t len)
{
	struct kube_watch *watch = arg;
	struct pc_err why = {};
	int r;

	if (!watch->stream)
		return keep_body(watch, data, len);
	r = kube_stream_feed(watch->stream, data, len, &why);
	if (r < 0 && !watch->failure) {
		watch->failure = r;
		watch->error = r == -EINVAL ? KUBE_WATCH_MALFORMED : KUBE_WATCH_REFUSED;
		watch->why = why;
	}
	if (r == 0 && watch->phase == WATCH_FOLLOW)
		kube_watch_tell(watch);
	return r;
}

/* ---- requests ---- */

static bool needs_no_escape(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       (c && strchr("-_.~", c));
}

/* Nobody says that versions and tokens are made of letters and digits. */
static void add(struct text *path, const char *name, const char *value)
{
	text_add(path, memchr(path->data, '?', path->len) ? "&" : "?");
	text_add(path, name);
	text_add(path, "=");
	for (; *value; value++)
		text_addf(path, needs_no_escape(*value) ? "%c" : "%%%02X", (unsigned char)*value);
}

/*
 * The first list may come from the server's cache. Later ones must not be older than what is known: with
 * the version and without a limit that is the cache too. Without the version it is a quorum read of etcd,
 * in pages. A page has the version in its token.
 */
static void add_list(struct text *path, const struct kube_watch *watch)
{
	bool since = !watch->next && !watch->fresh;

	if (!watch->whole && !(since && *watch->version))
		add(path, "limit", "500");
	if (watch->next)
		add(path, "continue", watch->next);
	if (since)
		add(path, "resourceVersion", *watch->version ? watch->version : "0");
}

static void add_follow(struct text *path, const struct kube_watch *watch)
{
	char seconds[16];

	snprintf(seconds, sizeof(seconds), "%u",
		 WATCH_MIN_S + arc4random_uniform(WATCH_MAX_S - WATCH_MIN_S + 1));
	add(path, "watch", "true");
	add(path, "allowWatchBookmarks", "true");
	add(path, "timeoutSeconds", seconds);
	add(path, "resourceVersion", watch->version);
}

/* To be freed. NULL: no memory, or a token of more than 9 kB. */
static char *make_path(const struct kube_watch *watch)
{
	struct text path = {};
	char *copy;

	text_add(&path, watch->path);
	if (watch->phase == WATCH_LIST)
		add_list(&path, watch);
	else
		add_follow(&path, watch);
	copy = text_string(&path);
	text_done(&path);
	return copy;
}

static void forget_answer(struct kube_watch *watch)
{
	watch->stream = kube_stream_free(watch->stream);
	free(watch->body);
	watch->body = NULL;
	watch->body_len = 0;
	watch->status = 0;
	watch->retry_after_ns = 0;
	watch->failure = 0;
	watch->error_code = 0;
	watch->came = 0;
}

static int start_call(struct kube_watch *watch, struct pc_err *err)
{
	bool list = watch->phase == WATCH_LIST;
	_cleanup_free_ char *path = make_path(watch);
	unsigned idle_ms = watch->options.idle_ms ?: list ? LIST_IDLE_MS : IDLE_MS;
	struct kube_call_options options = {
		.path = path,
		.idle_ns = idle_ms * CLOCK_MS,
		.on_head = on_head,
		.on_data = on_data,
		.on_done = on_done,
		.arg = watch,
	};

	if (!path)
		return pc_err_set(err, -ENOMEM, "no memory");
	return kube_call_start(watch->client, &options, &watch->call, err);
}

static void begin(struct kube_watch *watch, enum watch_phase phase)
{
	struct pc_err why = {};

	watch->phase = phase;
	forget_answer(watch);
	if (phase == WATCH_LIST && !watch->next) {
		watch->list++;
		watch->nameless = 0;
	}
	if (start_call(watch, &why) < 0)
		fail(watch, KUBE_WATCH_REFUSED, phase, 0, why.msg);
}

static void on_timer(void *arg)
{
	struct kube_watch *watch = arg;

	begin(watch, watch->after_wait);
}

/* ---- from outside ---- */

struct kube_watch *kube_watch_free(struct kube_watch *watch)
{
	if (!watch)
		return NULL;
	kube_call_cancel(watch->call);
	loop_timer_free(watch->timer);
	forget_answer(watch);
	restart_list(watch);
	kube_known_done(&watch->known);
	free(watch->path);
	free(watch->resource);
	free(watch);
	return NULL;
}

static int start(struct kube_watch *watch, struct loop *loop)
{
	const char *query = watch->options.query;

	watch->resource = strdup(watch->options.resource);
	if (!watch->resource || asprintf(&watch->path, "%s%s%s", watch->options.path,
					 query ? "?" : "", query ?: "") < 0)
		return -ENOMEM;
	if (loop_timer_new(loop, on_timer, watch, &watch->timer) < 0)
		return -ENOMEM;
	wait(watch, WATCH_LIST, 0);
	return 0;
}

int kube_watch_new(struct loop *loop, struct kube_client *client,
		   const struct kube_watch_options *options, const struct kube_watch_events *events,
		   void *arg, struct kube_watch **ret)
{
	struct kube_watch *watch = calloc(1, sizeof(*watch));
	int r;

	if (!watch)
		return -ENOMEM;
	watch->client = client;
	watch->options = *options;
	watch->events = *events;
	watch->arg = arg;
	watch->now.since_ns = clock_boot_ns();
	watch->told = watch->now;
	r = start(watch, loop);
	if (r < 0)
		kube_watch_free(watch);
	else
		*ret = watch;
	return r;
}
