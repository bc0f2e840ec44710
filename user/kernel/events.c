// SPDX-License-Identifier: Apache-2.0
/* The two ring buffers: cgroup events, for the resolver; decisions, for podcred trace. */
#include "kernel/internal.h"

#include <string.h>

#include "base/cleanup.h"

struct kern_events {
	struct ring_buffer *ring;
	kern_event_fn fn;
	void *arg;
	size_t record_size; /* at least */
	char *pin_dir;
	enum kern_map map;
	uint32_t map_id;
	int lock_fd;
};

/* A path that fills its field has no end. Readers take one as long as that for cut. */
static int on_endless_path(const struct kern_events *events,
			   const struct podcred_cgroup_event *record)
{
	struct podcred_cgroup_event event = *record;

	event.path[sizeof(event.path) - 1] = '\0';
	return events->fn(events->arg, &event);
}

static int on_record(void *arg, void *data, size_t size)
{
	const struct kern_events *events = arg;
	const struct podcred_cgroup_event *event = data;

	if (size < events->record_size)
		return 0;
	if (events->map == KERN_MAP_CGROUPS && event->path[sizeof(event->path) - 1])
		return on_endless_path(events, event);
	return events->fn(events->arg, data);
}

static int map_id(int fd, uint32_t *ret)
{
	struct bpf_map_info info = {};
	uint32_t len = sizeof(info);

	if (bpf_obj_get_info_by_fd(fd, &info, &len) < 0)
		return -errno;
	*ret = info.id;
	return 0;
}

/* Nobody writes it where tracing programs cannot attach. */
static int prepare_cgroups(struct kern_events *events, struct pc_err *err)
{
	char link[4096];
	int r = kern_pin_path(link, sizeof(link), events->pin_dir, LINKS_DIR, "podcred_cgmkdir");

	events->record_size = sizeof(struct podcred_cgroup_event);
	if (r < 0 || access(link, F_OK) < 0)
		return pc_err_set(err, -EOPNOTSUPP,
				  "no cgroup events: podcred_cgmkdir is not attached");
	return 0;
}

/* Two readers would each see some of the decisions, and spoil each other's position. */
static int prepare_decisions(struct kern_events *events, struct pc_err *err)
{
	char maps[4096];
	int r = kern_pin_path(maps, sizeof(maps), events->pin_dir, MAPS_DIR, "");

	events->record_size = sizeof(struct podcred_event);
	if (r < 0)
		return r;
	events->lock_fd = kern_pins_lock_dir(
		maps, "another podcred trace runs, and only one can read the decisions; end it",
		err);
	return events->lock_fd < 0 ? events->lock_fd : 0;
}

static int open_ring(struct kern_events *events, struct pc_err *err)
{
	_cleanup_close_ int fd = kern_map_open(events->pin_dir, events->map, err);
	int r;

	if (fd < 0)
		return fd;
	r = events->map == KERN_MAP_CGROUPS ? prepare_cgroups(events, err)
					    : prepare_decisions(events, err);
	if (r == 0)
		r = map_id(fd, &events->map_id);
	if (r < 0)
		return r;
	events->ring = ring_buffer__new(fd, on_record, events, NULL);
	if (!events->ring) {
		r = -errno;
		return pc_err_set(err, r, "cannot read the ring buffer of %s: %s; run as root",
				  events->pin_dir, strerror(-r));
	}
	return 0;
}

int kern_events_open(const char *pin_dir, enum kern_map ring, kern_event_fn fn, void *arg,
		     struct kern_events **ret, struct pc_err *err)
{
	struct kern_events *events = calloc(1, sizeof(*events));
	int r = -ENOMEM;

	if (!events)
		return r;
	*events = (struct kern_events){
		.fn = fn, .arg = arg, .map = ring, .lock_fd = -EBADF, .pin_dir = strdup(pin_dir)};
	if (events->pin_dir)
		r = open_ring(events, err);
	if (r < 0) {
		kern_events_close(events);
		return r;
	}
	*ret = events;
	return 0;
}

int kern_events_fd(const struct kern_events *events)
{
	return ring_buffer__epoll_fd(events->ring);
}

int kern_events_dispatch(struct kern_events *events)
{
	return ring_buffer__consume(events->ring);
}

bool kern_events_current(const struct kern_events *events)
{
	_cleanup_close_ int fd = kern_map_open(events->pin_dir, events->map, NULL);
	uint32_t id = 0;

	return fd >= 0 && map_id(fd, &id) == 0 && id == events->map_id;
}

struct kern_events *kern_events_close(struct kern_events *events)
{
	if (!events)
		return NULL;
	ring_buffer__free(events->ring);
	cleanup_close(&events->lock_fd);
	free(events->pin_dir);
	free(events);
	return NULL;
}
