// SPDX-License-Identifier: Apache-2.0
/* MODULES: kube identity base */
/* LIBS: -ljansson */
/*
 * A watch, with a server that answers anything. Input: answers, each a byte for its kind (@: all is well), its body,
 * and a NUL. What is told of objects has to agree with itself and with the last list, and where an answer is
 * split must change nothing.
 */
#include "fuzz.h"

#include <errno.h>
#include <jansson.h>
#include <stdarg.h>

#include "base/err.h"
#include "base/loop.h"
#include "kube/client.h"
#include "kube/watch.h"

#define MAX_KNOWN 64
#define UID_SIZE  64

struct kube_call {
	struct kube_call_options options;
	bool is_page; /* not the first one */
};

static struct loop *loop;
static struct kube_call *call;
static struct kube_watch *watch;
static char known[MAX_KNOWN][UID_SIZE]; /* what there is, by what was told */
static size_t n_known;
static char log_text[1 << 16];
static size_t log_len;
static json_t *list; /* the answer that is being given, when it is the only page of a list */

/* No waiting, and no dice. */
uint32_t arc4random_uniform(uint32_t bound)
{
	(void)bound;
	return 0;
}

__attribute__((format(printf, 1, 2))) static void note(const char *format, ...)
{
	va_list args;
	int n;

	va_start(args, format);
	n = vsnprintf(log_text + log_len, sizeof(log_text) - log_len, format, args);
	va_end(args);
	if (n > 0 && (size_t)n < sizeof(log_text) - log_len)
		log_len += (size_t)n;
}

/* ---- the client ---- */

int kube_call_start(struct kube_client *client, const struct kube_call_options *options,
		    struct kube_call **ret, struct pc_err *err)
{
	(void)client;
	(void)err;
	MUST(!call);
	for (const char *c = options->path; *c; c++)
		MUST(*c > ' ' && *c <= '~');
	note("ask %s\n", options->path);
	*ret = call = malloc(sizeof(*call));
	MUST(call);
	call->options = *options;
	call->is_page = strstr(options->path, "continue=");
	loop_stop(loop, 0);
	return 0;
}

struct kube_call *kube_call_cancel(struct kube_call *cancelled)
{
	MUST(cancelled == call);
	free(cancelled);
	return call = NULL;
}

const char *kube_client_server(const struct kube_client *client)
{
	(void)client;
	return "https://api";
}

/* ---- the owner ---- */

static size_t find(const char *uid)
{
	size_t i = 0;

	while (i < n_known && strcmp(known[i], uid) != 0)
		i++;
	return i;
}

static int on_put(void *arg, const struct kube_object_id *id, const json_t *object,
		  struct pc_err *err)
{
	size_t at = find(id->uid);

	(void)arg;
	MUST(*id->uid && *id->name && strlen(id->uid) < UID_SIZE);
	note("put %s %s/%s\n", id->uid, id->name_space, id->name);
	if (json_object_get(object, "bad"))
		return pc_err_set(err, -EINVAL, "bad");
	if (at == MAX_KNOWN)
		return -ENOMEM;
	strcpy(known[at], id->uid);
	n_known += at == n_known;
	return 0;
}

static void on_gone(void *arg, const struct kube_object_id *id)
{
	size_t at = find(id->uid);

	(void)arg;
	note("gone %s\n", id->uid);
	MUST(at < n_known);
	memmove(known[at], known[at + 1], (n_known - at - 1) * UID_SIZE);
	n_known--;
}

static bool is_listed(const char *uid)
{
	const json_t *item;
	size_t i;

	json_array_foreach (json_object_get(list, "items"), i, item) {
		const json_t *value = json_object_get(json_object_get(item, "metadata"), "uid");

		if (json_is_string(value) && strcmp(json_string_value(value), uid) == 0)
			return true;
	}
	return false;
}

static void on_listed(void *arg)
{
	(void)arg;
	note("listed\n");
	MUST(kube_watch_state(watch)->objects == n_known);
	for (size_t i = 0; list && i < n_known; i++)
		MUST(is_listed(known[i]));
}

static void check_line(const char *line)
{
	MUST(strlen(line) < KUBE_WATCH_WHY_SIZE);
	for (; *line; line++)
		MUST(*line >= ' ' && *line <= '~');
}

static void on_state(void *arg, const struct kube_watch_state *state)
{
	(void)arg;
	check_line(state->why);
	check_line(state->unusable_why);
}

/* Between two pieces of an answer there may be more states. */
static void note_state(void)
{
	const struct kube_watch_state *state = kube_watch_state(watch);

	MUST(state->objects == n_known);
	note("state %d %d %zu %s %s\n", state->in_touch, state->listed, state->unusable, state->why,
	     state->unusable_why);
}

/* ---- answers ---- */

static void end(unsigned status, int error)
{
	const struct http_result result = {.status = status, .error = error, .why = "broke"};
	struct kube_call *ended = call;

	call = NULL;
	ended->options.on_done(ended->options.arg, &result);
	free(ended);
}

/* Each piece has memory of its own. False: who took it has ended the call. */
static bool give(const uint8_t *body, size_t size, size_t step)
{
	for (size_t at = 0, n; at < size; at += n) {
		char *piece;
		int r;

		n = step && step < size - at ? step : size - at;
		piece = fuzz_copy(body + at, n);
		r = call->options.on_data(call->options.arg, piece, n);
		free(piece);
		if (r < 0) {
			end(200, r);
			return false;
		}
	}
	return true;
}

static void answer(uint8_t kind, const uint8_t *body, size_t size, size_t step)
{
	static const unsigned codes[] = {200, 200, 200, 200, 410, 429, 500, 403};
	static const int errors[] = {0, 0, -ECONNRESET, -ETIMEDOUT};
	const struct http_head head = {.status = codes[kind % 8]};

	list = json_loadb((const char *)body, size, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, NULL);
	if (call->is_page ||
	    memchr(body, '\\', size)) { /* keys with escapes are for jansson alone */
		json_decref(list);
		list = NULL;
	}
	if (call->options.on_head(call->options.arg, &head) < 0)
		end(head.status, -ENOMEM);
	else if (give(body, size, step))
		end(head.status, errors[kind / 8 % 4]);
	json_decref(list);
	list = NULL;
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
	static const struct kube_watch_events events = {
		.put = on_put, .gone = on_gone, .listed = on_listed, .state = on_state};
	const struct kube_watch_options options = {.path = "/p",
						   .resource = "things",
						   .shape = &shape,
						   .backoff_ms = 1,
						   .backoff_max_ms = 1};

	log_len = n_known = 0;
	MUST(loop_new(&loop) == 0);
	MUST(kube_watch_new(loop, NULL, &options, &events, NULL, &watch) == 0);
}

static void play(const uint8_t *data, size_t size, size_t step)
{
	start();
	while (size) {
		const uint8_t *zero = memchr(data + 1, '\0', size - 1);
		size_t len = zero ? (size_t)(zero - data) : size;

		while (!call)
			MUST(loop_run(loop) == 0);
		answer(data[0], data + 1, len - 1, step);
		note_state();
		len += zero != NULL;
		data += len;
		size -= len;
	}
	watch = kube_watch_free(watch);
	MUST(!call);
	loop = loop_free(loop);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static char whole[sizeof(log_text)];
	size_t len;

	play(data, size, 0);
	len = log_len;
	memcpy(whole, log_text, len);
	play(data, size, 1 + size % 7);
	MUST(len == log_len && memcmp(whole, log_text, len) == 0);
	return 0;
}
