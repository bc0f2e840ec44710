// SPDX-License-Identifier: Apache-2.0
#include "control/stock.h"

#include <errno.h>
#include <jansson.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/k8s_name.h"
#include "base/loop.h"
#include "base/text.h"
#include "control/eks_store.h"
#include "kube/objects.h"
#include "kube/project.h"

#define SOON_NS	 (200 * CLOCK_MS) /* changes come in groups */
#define EVERY_NS (30 * CLOCK_S)
#define FILE_MAX                                                                                   \
	((1U << 20) - 4096) /* of the 1 MiB of a ConfigMap; the rest is for what others put there */
#define VERSION_SIZE 64
#define LINE_SIZE    1400

static const struct kube_kind kind_config_map = {"v1", "configmaps", "ConfigMap", true};

struct control_stock {
	struct control_stock_options options;
	char name_space[K8S_LABEL_SIZE], name[K8S_SUBDOMAIN_SIZE];
	struct loop_timer *timer;
	struct kube_object_call *call;
	char version[VERSION_SIZE]; /* of the ConfigMap; empty: there is none */
	struct text file; /* as it should be; while state.current, as it is */
	size_t n_accounts; /* in it */
	bool soon; /* somebody has said that it may be another one now */
	uint64_t read_ns; /* when the ConfigMap was last looked at */
	struct control_stock_state state;
	char why[LINE_SIZE]; /* what is wrong; empty: nothing */
};

/* ---- telling ---- */

__attribute__((format(printf, 3, 4))) static void tell(const struct control_stock *s, bool bad,
						       const char *fmt, ...)
{
	char text[LINE_SIZE], line[LINE_SIZE + K8S_LABEL_SIZE + K8S_SUBDOMAIN_SIZE + 16];
	va_list args;

	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	snprintf(line, sizeof(line), "ConfigMap %s/%s: %s", s->name_space, s->name, text);
	s->options.said(s->options.arg, bad, line);
}

/* Each defect once, until it is another one. */
static void fail(struct control_stock *s, const char *why)
{
	s->state.current = false;
	if (!strcmp(s->why, why))
		return;
	snprintf(s->why, sizeof(s->why), "%s", why);
	tell(s, true, "%s", why);
}

static void succeed(struct control_stock *s)
{
	s->state.current = true;
	s->why[0] = '\0';
}

/* ---- the file ---- */

struct writer {
	struct text *text;
	size_t n;
};

static void add_account(void *arg, const struct eks_object *object)
{
	struct writer *w = arg;

	text_add(w->text, w->n++ ? ",\n{" : "\n{");
	text_add_member(w->text, "namespace", object->name_space);
	text_add_member(w->text, "serviceAccount", object->name);
	text_add(w->text, "}");
}

/* In the order of their names, one on a line. The number of them, or -errno. */
static ssize_t write_file(const struct control_stock *s, struct text *ret)
{
	struct writer w = {.text = ret};

	text_add(ret, "{\"identities\":[");
	eks_store_each(s->options.store, add_account, &w);
	text_add(ret, "]}\n");
	return text_error(ret) ?: (ssize_t)w.n;
}

/* ---- the ConfigMap ---- */

static const struct project_shape data_shape[] = {{.key = CONTROL_STOCK_MEMBER}, {}};
static const struct project_shape metadata_shape[] = {{.key = "resourceVersion"}, {}};
static const struct project_shape members[] = {
	{.key = "metadata", .members = metadata_shape}, {.key = "data", .members = data_shape}, {}};
static const struct project_shape shape = {.members = members};

static void ask(struct control_stock *s, struct kube_object_request *request,
		void (*done)(void *arg, const struct kube_object_result *result))
{
	struct pc_err err = {};

	request->kind = &kind_config_map;
	request->name_space = s->name_space;
	request->shape = &shape;
	request->done = done;
	request->arg = s;
	if (kube_object_start(s->options.kube, request, &s->call, &err) < 0)
		fail(s, err.msg);
}

static void on_written(void *arg, const struct kube_object_result *result)
{
	struct control_stock *s = arg;
	bool was_there = *s->version;

	s->call = NULL;
	if (result->outcome == KUBE_DONE) {
		s->state.written++;
		succeed(s);
		tell(s, false, "has the %zu service accounts with an association now",
		     s->n_accounts);
	} else if (result->outcome == KUBE_CONFLICT || result->outcome == KUBE_EXISTS ||
		   (result->outcome == KUBE_NOT_FOUND && was_there)) {
		/* somebody else was first, perhaps another replica with the same */
		s->state.conflicts++;
		control_stock_look(s);
	} else {
		fail(s, result->why);
	}
}

static json_t *body_of(const struct control_stock *s)
{
	json_t *file = json_stringn(s->file.data, s->file.len);
	json_t *data = json_pack("{s:o}", CONTROL_STOCK_MEMBER, file);

	if (*s->version)
		return json_pack("{s:{s:s}, s:o}", "metadata", "resourceVersion", s->version,
				 "data", data);
	return json_pack("{s:s, s:s, s:{s:s, s:s, s:{s:s}}, s:o}", "apiVersion", "v1", "kind",
			 "ConfigMap", "metadata", "name", s->name, "namespace", s->name_space,
			 "labels", "app.kubernetes.io/name", "podcred", "data", data);
}

static void put_file(struct control_stock *s)
{
	_cleanup_json_ json_t *body = body_of(s);
	struct kube_object_request request = {.verb = *s->version ? KUBE_MERGE : KUBE_CREATE,
					      .name = *s->version ? s->name : NULL,
					      .body = body};

	s->state.current = false;
	if (body)
		ask(s, &request, on_written);
	else
		fail(s, "no memory");
}

static bool is_file(const json_t *config_map, const struct text *file)
{
	const json_t *have =
		json_object_get(json_object_get(config_map, "data"), CONTROL_STOCK_MEMBER);

	return json_is_string(have) && json_string_length(have) == file->len &&
	       !memcmp(json_string_value(have), file->data, file->len);
}

static void refuse(struct control_stock *s, ssize_t error)
{
	fail(s, error == -E2BIG
			? "the service accounts with an association do not fit into the 1 MiB of a "
			  "ConfigMap, so it stays as it is; remove associations, or leave "
			  "webhook.stockConfigMap out and use podcred's own webhook"
			: "no memory");
}

static void on_read(void *arg, const struct kube_object_result *result)
{
	struct control_stock *s = arg;
	const char *version = json_string_value(
		json_object_get(json_object_get(result->object, "metadata"), "resourceVersion"));
	ssize_t n;

	s->call = NULL;
	s->read_ns = clock_mono_ns();
	if (result->outcome != KUBE_DONE && result->outcome != KUBE_NOT_FOUND) {
		fail(s, result->why);
		return;
	}
	snprintf(s->version, sizeof(s->version), "%s", version ?: "");
	text_done(&s->file);
	s->file = (struct text){.max = FILE_MAX};
	n = write_file(s, &s->file);
	if (n < 0) {
		refuse(s, n);
		return;
	}
	s->n_accounts = (size_t)n;
	if (is_file(result->object, &s->file))
		succeed(s);
	else
		put_file(s);
}

/* ---- again and again ---- */

/* As the ConfigMap had it when it was last looked at. */
static bool is_as_before(const struct control_stock *s)
{
	_cleanup_(text_done) struct text file = {.max = FILE_MAX};

	return s->state.current && write_file(s, &file) >= 0 && file.len == s->file.len &&
	       !memcmp(file.data, s->file.data, file.len);
}

/* Whatever is said of an association, its status too, leads here: who has one is seldom another. */
static void look(void *arg)
{
	struct control_stock *s = arg;
	const struct kube_watch_state *known = eks_store_state(s->options.store);
	struct kube_object_request request = {.verb = KUBE_GET, .name = s->name};

	s->soon = false;
	loop_timer_after(s->timer, EVERY_NS);
	if (s->call) {
		control_stock_look(s);
		return;
	}
	if (!known->listed || !known->in_touch)
		return;
	if (clock_mono_ns() - s->read_ns >= EVERY_NS || !is_as_before(s))
		ask(s, &request, on_read);
}

/* Not later because of what comes meanwhile. */
void control_stock_look(struct control_stock *s)
{
	if (!s || s->soon)
		return;
	s->soon = true;
	loop_timer_after(s->timer, SOON_NS);
}

struct control_stock_state control_stock_state(const struct control_stock *s)
{
	return s->state;
}

/* ---- lives ---- */

static int split(struct control_stock *s, const char *config_map)
{
	const char *slash = strchr(config_map, '/');

	if (!slash || slash - config_map >= K8S_LABEL_SIZE ||
	    strlen(slash + 1) >= K8S_SUBDOMAIN_SIZE)
		return -EINVAL;
	snprintf(s->name_space, sizeof(s->name_space), "%.*s", (int)(slash - config_map),
		 config_map);
	snprintf(s->name, sizeof(s->name), "%s", slash + 1);
	return 0;
}

int control_stock_new(const struct control_stock_options *options, struct control_stock **ret)
{
	struct control_stock *s = calloc(1, sizeof(*s));
	int r = s ? split(s, options->config_map) : -ENOMEM;

	r = r ?: loop_timer_new(options->loop, look, s, &s->timer);
	if (r < 0) {
		free(s);
		return r;
	}
	s->options = *options;
	control_stock_look(s);
	*ret = s;
	return 0;
}

struct control_stock *control_stock_free(struct control_stock *s)
{
	if (!s)
		return NULL;
	kube_object_cancel(s->call);
	loop_timer_free(s->timer);
	text_done(&s->file);
	free(s);
	return NULL;
}
