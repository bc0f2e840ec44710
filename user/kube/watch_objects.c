// SPDX-License-Identifier: Apache-2.0
/* What lists and events bring: objects that exist, and objects that are gone. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "kube/watch_internal.h"
#include "kube/pod_json.h"

/* Of an object: what tells it apart. Pointers into the JSON. */
struct about {
	struct kube_object_id id;
	const char *version;
};

static const char *get_text(const json_t *object, const char *key)
{
	const json_t *value = json_object_get(object, key);
	const char *text = json_string_value(value);

	return text && strlen(text) == json_string_length(value) ? text : "";
}

static struct about read_about(const json_t *object)
{
	const json_t *metadata = json_object_get(object, "metadata");

	return (struct about){
		.id = {.uid = get_text(metadata, "uid"),
		       .name_space = get_text(metadata, "namespace"),
		       .name = get_text(metadata, "name")},
		.version = get_text(metadata, "resourceVersion"),
	};
}

static bool is_nameless(const struct about *about)
{
	return !*about->id.uid || strlen(about->id.uid) >= KUBE_UID_SIZE || !*about->id.name;
}

static void set_version(char version[KUBE_VERSION_SIZE], const char *text)
{
	if (strlen(text) < KUBE_VERSION_SIZE)
		strcpy(version, text);
}

static void note_unusable(struct kube_watch *watch, const struct about *about, const char *cause)
{
	char name_space[POD_JSON_QUOTE_SIZE], name[POD_JSON_QUOTE_SIZE];
	struct pc_err why;

	pc_err_set(&why, 0, "%s", cause);
	if (about && *about->id.name)
		pc_err_prefix(&why, 0, "%s/%s",
			      kube_pod_json_quote(about->id.name_space, name_space),
			      kube_pod_json_quote(about->id.name, name));
	kube_watch_set_line(watch->now.unusable_why, why.msg);
}

/* Counted until the next list, as nothing tells whether it is still there. */
static void note_nameless(struct kube_watch *watch, const struct about *about, const char *cause)
{
	watch->nameless++;
	note_unusable(watch, about, cause);
}

static struct kube_object_id id_of(const struct kube_known_object *object)
{
	return (struct kube_object_id){
		.uid = object->uid, .name_space = object->name_space, .name = object->text};
}

/* Nobody was told of one that is not usable. */
static void tell_gone(struct kube_watch *watch, const struct kube_known_object *object)
{
	struct kube_object_id id = id_of(object);

	if (object->usable)
		watch->events.gone(watch->arg, &id);
}

static int refuse(struct kube_watch *watch, int error, const char *why)
{
	watch->failure = error;
	watch->error = KUBE_WATCH_REFUSED;
	return pc_err_set(&watch->why, error, "%s", *why ? why : strerror(-error));
}

static bool is_same_name(const struct kube_known_object *object, const struct about *about)
{
	return strcmp(object->text, about->id.name) == 0 &&
	       strcmp(object->name_space, about->id.name_space) == 0;
}

static int offer(struct kube_watch *watch, struct kube_known_object *object,
		 const struct about *about, const json_t *json)
{
	struct pc_err why = {};
	int r;

	if (is_same_name(object, about))
		r = watch->events.put(watch->arg, &about->id, json, &why);
	else
		r = pc_err_set(&why, -EINVAL, "its uid is that of %s/%s", object->name_space,
			       object->text);
	if (r < 0 && r != -EINVAL)
		return refuse(watch, r, why.msg);
	if (r == -EINVAL) {
		tell_gone(watch, object);
		note_unusable(watch, about, why.msg);
	}
	kube_known_set_usable(&watch->known, object, r >= 0);
	return 0;
}

/* An event that comes twice, or late, changes nothing; a list is always right. */
static bool is_old_news(const struct kube_watch *watch, const struct kube_known_object *object,
			const struct about *about)
{
	if (kube_known_was_deleted(&watch->known, about->id.uid))
		return true;
	if (!object || watch->phase == WATCH_LIST)
		return false;
	return strcmp(about->version, object->version) == 0 ||
	       kube_known_is_older(about->version, object->version);
}

static int take(struct kube_watch *watch, const json_t *json)
{
	struct about about = read_about(json);
	struct kube_known_object *object;

	if (is_nameless(&about)) {
		note_nameless(watch, &about, "metadata.uid or metadata.name is missing or no text");
		return 0;
	}
	object = kube_known_find(&watch->known, about.id.uid);
	if (is_old_news(watch, object, &about))
		return 0;
	if (!object)
		object = kube_known_add(&watch->known, about.id.uid, about.id.name_space,
					about.id.name);
	if (!object)
		return refuse(watch, -ENOMEM, "");
	object->list = watch->list;
	set_version(object->version, about.version);
	return offer(watch, object, &about, json);
}

static void drop(struct kube_watch *watch, const json_t *json)
{
	struct about about = read_about(json);
	struct kube_known_object *object = kube_known_find(&watch->known, about.id.uid);

	kube_known_note_deleted(&watch->known, about.id.uid);
	if (!object)
		return;
	tell_gone(watch, object);
	kube_known_remove(&watch->known, object);
}

void kube_watch_sweep(struct kube_watch *watch)
{
	struct kube_known_object *next;

	for (struct kube_known_object *object = watch->known.first; object; object = next) {
		next = object->next;
		if (object->list == watch->list)
			continue;
		tell_gone(watch, object);
		kube_known_remove(&watch->known, object);
	}
}

/* ---- a list ---- */

static int on_item(void *arg, const char *text, size_t len, struct pc_err *err)
{
	struct kube_watch *watch = arg;
	_cleanup_json_ json_t *json = NULL;
	struct pc_err cause = {};
	int r = kube_project_json(text, len, watch->options.shape, &json, &cause);

	(void)err;
	if (r == 0)
		return take(watch, json);
	if (r != -EINVAL)
		return refuse(watch, r, cause.msg);
	note_nameless(watch, NULL, cause.msg);
	return 0;
}

static void on_skipped(void *arg)
{
	note_nameless(arg, NULL,
		      "an object is larger than 4 MiB, which no object of the API should be");
}

const struct kube_stream_events kube_watch_items = {.object = on_item, .skipped = on_skipped};

/* ---- events ---- */

static int malformed(struct kube_watch *watch, const char *why)
{
	watch->failure = -EINVAL;
	watch->error = KUBE_WATCH_MALFORMED;
	return pc_err_set(&watch->why, -EINVAL, "%s", why);
}

static int on_error_event(struct kube_watch *watch, const char *text, size_t len)
{
	char message[KUBE_WATCH_WHY_SIZE];

	kube_watch_read_status(text, len, message, &watch->error_code);
	if (!watch->error_code)
		return malformed(watch, "an ERROR event without a code");
	watch->failure = -EPROTO;
	return pc_err_set(&watch->why, -EPROTO, "%s", message);
}

/* Of other types that there may be one day the version counts, as with a bookmark. */
static int take_event(struct kube_watch *watch, const char *type, const json_t *object)
{
	bool bookmark;
	int r = 0;

	if (strcmp(type, "ADDED") == 0 || strcmp(type, "MODIFIED") == 0)
		r = take(watch, object);
	else if (strcmp(type, "DELETED") == 0)
		drop(watch, object);
	else if (!*type)
		return malformed(watch, "a line that is no event");
	if (r < 0)
		return r;
	bookmark = strcmp(type, "BOOKMARK") == 0;
	watch->now.bookmarks += bookmark;
	watch->now.events += !bookmark;
	watch->came++;
	set_version(watch->version, read_about(object).version);
	kube_watch_hear(watch);
	return 0;
}

static int on_line(void *arg, const char *text, size_t len, struct pc_err *err)
{
	struct kube_watch *watch = arg;
	const struct project_shape members[] = {
		{.key = "type"}, {.key = "object", .members = watch->options.shape->members}, {}};
	const struct project_shape shape = {.members = members};
	_cleanup_json_ json_t *json = NULL;
	struct pc_err cause = {};
	const char *type;
	int r = kube_project_json(text, len, &shape, &json, &cause);

	(void)err;
	if (r < 0 && r != -EINVAL)
		return refuse(watch, r, cause.msg);
	if (r < 0)
		return malformed(watch, cause.msg);
	type = get_text(json, "type");
	if (strcmp(type, "ERROR") == 0)
		return on_error_event(watch, text, len);
	return take_event(watch, type, json_object_get(json, "object"));
}

const struct kube_stream_events kube_watch_lines = {.object = on_line, .skipped = on_skipped};
