// SPDX-License-Identifier: Apache-2.0
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "kube/watch_internal.h"

const char *kube_watch_error_name(enum kube_watch_error error)
{
	static const char *const names[KUBE_WATCH_ERRORS] = {
		[KUBE_WATCH_UNREACHABLE] = "unreachable",
		[KUBE_WATCH_SILENT] = "silent",
		[KUBE_WATCH_UNAUTHORIZED] = "unauthorized",
		[KUBE_WATCH_FORBIDDEN] = "forbidden",
		[KUBE_WATCH_BUSY] = "busy",
		[KUBE_WATCH_EXPIRED] = "expired",
		[KUBE_WATCH_STATUS] = "status",
		[KUBE_WATCH_MALFORMED] = "malformed",
		[KUBE_WATCH_REFUSED] = "refused",
	};

	return names[error];
}

void kube_watch_set_line(char to[KUBE_WATCH_WHY_SIZE], const char *from)
{
	size_t len = strnlen(from, KUBE_WATCH_WHY_SIZE - 1);

	for (size_t i = 0; i < len; i++)
		to[i] = from[i] >= ' ' && from[i] <= '~'     ? from[i]
			: from[i] == '\n' || from[i] == '\t' ? ' '
							     : '?';
	to[len] = '\0';
}

/* The Status itself, or the event that has it. */
static const json_t *find_status(const json_t *json)
{
	return json_object_get(json, "object") ?: json;
}

void kube_watch_read_status(const char *json, size_t len, char ret[KUBE_WATCH_WHY_SIZE],
			    unsigned *ret_code)
{
	static const struct project_shape status[] = {{.key = "code"}, {.key = "message"}, {}};
	static const struct project_shape members[] = {
		{.key = "code"}, {.key = "message"}, {.key = "object", .members = status}, {}};
	static const struct project_shape shape = {.members = members};
	_cleanup_json_ json_t *root = NULL;
	const json_t *found;
	json_int_t code;

	ret[0] = '\0';
	*ret_code = 0;
	if (kube_project_json(json, len, &shape, &root, NULL) < 0)
		return;
	found = find_status(root);
	code = json_integer_value(json_object_get(found, "code"));
	*ret_code = code >= 100 && code < 600 ? (unsigned)code : 0;
	kube_watch_set_line(ret, json_string_value(json_object_get(found, "message")) ?: "");
}

void kube_watch_hear(struct kube_watch *watch)
{
	watch->now.heard_ns = clock_boot_ns();
}

void kube_watch_set_touch(struct kube_watch *watch, bool in_touch)
{
	if (in_touch)
		watch->now.why[0] = '\0';
	if (watch->now.in_touch == in_touch && watch->now.since_ns)
		return;
	watch->now.in_touch = in_touch;
	watch->now.since_ns = clock_boot_ns();
}

static void count(struct kube_watch *watch)
{
	watch->now.objects = watch->known.usable;
	watch->now.unusable = watch->known.n - watch->known.usable + watch->nameless;
	if (!watch->now.unusable)
		watch->now.unusable_why[0] = '\0';
}

const struct kube_watch_state *kube_watch_state(struct kube_watch *watch)
{
	count(watch);
	return &watch->now;
}

void kube_watch_tell(struct kube_watch *watch)
{
	const struct kube_watch_state *now = &watch->now, *told = &watch->told;

	count(watch);
	if (now->in_touch == told->in_touch && now->since_ns == told->since_ns &&
	    now->listed == told->listed && now->unusable == told->unusable &&
	    strcmp(now->why, told->why) == 0 && strcmp(now->unusable_why, told->unusable_why) == 0)
		return;
	watch->told = *now;
	if (watch->events.state)
		watch->events.state(watch->arg, now);
}
