// SPDX-License-Identifier: Apache-2.0
/* SOURCES: user/kernel/events.c user/kernel/reasons.c */
/* MODULES: cli base */
/* LIBS: -ljansson */
/*
 * Ring-buffer records of any length and content, as the programs of another release might write
 * them, up to what podcred trace prints. The first byte: which ring.
 */
#include "fuzz.h"

#include <fcntl.h>
#include <jansson.h>
#include <unistd.h>

#include "cli/decision.h"
#include "kernel/internal.h"

/* ---- in place of libbpf and the rest of the loader ---- */

static int (*deliver)(void *arg, void *data, size_t size);
static void *deliver_arg;

struct ring_buffer *ring_buffer__new(int fd, ring_buffer_sample_fn fn, void *arg,
				     const struct ring_buffer_opts *opts)
{
	(void)fd, (void)opts;
	deliver = fn;
	deliver_arg = arg;
	return (struct ring_buffer *)&deliver;
}

void ring_buffer__free(struct ring_buffer *ring)
{
	(void)ring;
}

int ring_buffer__epoll_fd(const struct ring_buffer *ring)
{
	(void)ring;
	return -EBADF;
}

int ring_buffer__consume(struct ring_buffer *ring)
{
	(void)ring;
	return 0;
}

int bpf_obj_get_info_by_fd(int fd, void *info, __u32 *len)
{
	(void)fd, (void)info, (void)len;
	return 0;
}

int kern_map_open(const char *pin_dir, enum kern_map map, struct pc_err *err)
{
	(void)pin_dir, (void)map, (void)err;
	return open("/dev/null", O_RDONLY | O_CLOEXEC);
}

int kern_pin_path(char *buf, size_t size, const char *pin_dir, const char *kind, const char *name)
{
	(void)pin_dir, (void)kind, (void)name;
	snprintf(buf, size, "/");
	return 0;
}

int kern_pins_lock_dir(const char *path, const char *busy, struct pc_err *err)
{
	(void)path, (void)busy, (void)err;
	return open("/dev/null", O_RDONLY | O_CLOEXEC);
}

/* ---- who reads the records ---- */

static void check_printable(const char *text)
{
	for (; *text; text++)
		MUST(*text >= ' ' && *text <= '~');
}

static void check_json(const struct decision *decision, const struct podcred_event *event)
{
	json_t *object = cli_decision_json(decision), *again;
	char *text;

	MUST(object);
	text = json_dumps(object, JSON_COMPACT);
	MUST(text);
	check_printable(text);
	again = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
	MUST(again && json_equal(object, again));
	MUST((uint64_t)json_integer_value(json_object_get(object, "podCgroupId")) ==
	     event->pod_cgroup_id);
	MUST(json_integer_value(json_object_get(object, "port")) == event->port);
	/* Only what is known to have been allowed may look so. */
	MUST(!strcmp(json_string_value(json_object_get(object, "verdict")), "allowed") ==
	     (event->verdict == PODCRED_EVENT_ALLOWED));
	json_decref(again);
	json_decref(object);
	free(text);
}

static struct podcred_pod pod;
static bool has_pod;

static int on_decision(void *arg, const void *record)
{
	const struct podcred_event *event = record;
	struct decision decision = {
		.event = event,
		.pod = has_pod ? &pod : NULL,
		.time = {.tv_sec = (time_t)(event->time_ns / 1000000000ULL),
			 .tv_nsec = (long)(event->time_ns % 1000000000ULL)},
	};
	char line[DECISION_LINE], small[40];

	(void)arg;
	cli_decision_line(&decision, line, sizeof(line));
	check_printable(line);
	cli_decision_line(&decision, small, sizeof(small));
	MUST(!strncmp(line, small, sizeof(small) - 1));
	check_json(&decision, event);
	return 0;
}

/* The resolver takes the path as a string. */
static int on_cgroup(void *arg, const void *record)
{
	const struct podcred_cgroup_event *event = record;

	(void)arg;
	MUST(memchr(event->path, '\0', sizeof(event->path)));
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input in = {data, size};
	bool cgroups = fuzz_byte(&in) & 1;
	struct kern_events *events = NULL;
	void *record;

	has_pod = !cgroups && fuzz_byte(&in) & 1;
	if (has_pod)
		fuzz_bytes(&in, &pod, sizeof(pod));
	if (kern_events_open("/", cgroups ? KERN_MAP_CGROUPS : KERN_MAP_EVENTS,
			     cgroups ? on_cgroup : on_decision, NULL, &events, NULL) < 0)
		abort();
	/* a record of the ring: 8 bytes aligned, and no more than it says */
	record = fuzz_copy(in.data, in.size);
	MUST(deliver(deliver_arg, record, in.size) == 0);
	free(record);
	kern_events_close(events);
	return 0;
}
