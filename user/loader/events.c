// SPDX-License-Identifier: Apache-2.0
#include "internal.h"

#include <string.h>

#include "cleanup.h"

struct loader_events {
	struct ring_buffer *ring;
	loader_cgroup_fn fn;
	void *arg;
};

static int on_record(void *arg, void *data, size_t size)
{
	const struct loader_events *events = arg;

	if (size >= sizeof(struct podcred_cgroup_event))
		events->fn(events->arg, data);
	return 0;
}

int loader_events_open(const char *pin_dir, loader_cgroup_fn fn, void *arg,
		       struct loader_events **ret, struct pc_err *err)
{
	_cleanup_close_ int fd = loader_map_open(pin_dir, LOADER_MAP_CGROUPS, err);
	_cleanup_free_ struct loader_events *events = calloc(1, sizeof(*events));
	char link[4096];
	int r;

	if (fd < 0)
		return fd;
	if (!events)
		return -ENOMEM;
	r = pin_path(link, sizeof(link), pin_dir, LINKS_DIR, "podcred_cgmkdir");
	if (r < 0 || access(link, F_OK) < 0)
		return pc_err_set(err, -EOPNOTSUPP,
				  "no cgroup events: podcred_cgmkdir is not attached");
	events->fn = fn;
	events->arg = arg;
	events->ring = ring_buffer__new(fd, on_record, events, NULL);
	if (!events->ring) {
		r = -errno;
		return pc_err_set(err, r, "cannot read the ring buffer podcred_cgroups: %s",
				  strerror(-r));
	}
	*ret = TAKE_PTR(events);
	return 0;
}

int loader_events_fd(const struct loader_events *events)
{
	return ring_buffer__epoll_fd(events->ring);
}

int loader_events_dispatch(struct loader_events *events)
{
	return ring_buffer__consume(events->ring);
}

struct loader_events *loader_events_close(struct loader_events *events)
{
	if (!events)
		return NULL;
	ring_buffer__free(events->ring);
	free(events);
	return NULL;
}
