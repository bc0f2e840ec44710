/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Ring buffers: a descriptor to poll, and a call that delivers what has arrived. Nothing in this
 * module prints; errors come as -errno and one line in struct pc_err.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "kernel/maps.h"

/* One record: struct podcred_cgroup_event, or struct podcred_event. A negative value ends
 * kern_events_dispatch, which returns it; the record counts as read. */
typedef int (*kern_event_fn)(void *arg, const void *event);

/*
 * ring: KERN_MAP_CGROUPS (-EOPNOTSUPP: this kernel could not attach the programs that write it)
 * or KERN_MAP_EVENTS (-EBUSY: somebody reads it already; a ring buffer has one reader).
 */
struct kern_events;
int kern_events_open(const char *pin_dir, enum kern_map ring, kern_event_fn fn, void *arg,
		     struct kern_events **ret, struct pc_err *err);
int kern_events_fd(const struct kern_events *events);
int kern_events_dispatch(struct kern_events *events);
struct kern_events *kern_events_close(struct kern_events *events);

/* Whether the programs of pin_dir still write to this ring buffer: not after an unload. */
bool kern_events_current(const struct kern_events *events);
