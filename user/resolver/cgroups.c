// SPDX-License-Identifier: Apache-2.0
/*
 * The cgroup tree. New pods are reported by the kernel's ring buffer (by inotify where that is
 * missing); the tree is scanned at the start and whenever events were lost.
 */
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "base/plural.h"
#include "identity/cgtree.h"
#include "kernel/events.h"
#include "kernel/load.h"
#include "kernel/maps.h"
#include "resolver/resolver.h"

/* A cgroup that was removed and is there again has no programs yet: until it has them, only the
 * packet filter keeps its pods away. Whether any was. */
static bool cover(struct resolver *res)
{
	struct pc_err err = {};
	unsigned attached;
	int r = kern_cover(res->options->pin_dir, res->mount, &attached, &err);

	if (r < 0 && r != -EBUSY && r != res->cgroups.cover_error)
		log_warn("%s", err.msg[0] ? err.msg : strerror(-r));
	res->cgroups.cover_error = r;
	if (r < 0 || !attached)
		return false;
	log_info("cgroups were removed and recreated: %u program%s attached to them", attached,
		 plural(attached));
	return true;
}

static void cover_or_begin_again(void *arg)
{
	struct resolver *res = arg;

	if (cover(res))
		loop_stop(res->loop, RESOLVE_AGAIN);
}

/* ---- the tree as a whole ---- */

void resolver_cgroups_scan(struct resolver *res)
{
	int r = cgtree_scan(res->cgroups.tree);

	if (r == -E2BIG) /* podcred_pods is full, and the registry goes on offering */
		r = 0;
	if (r < 0)
		loop_timer_after(res->cgroups.scan, RESOLVE_OFTEN_NS);
	if (r == res->cgroups.scan_error)
		return; /* said once is enough */
	res->cgroups.scan_error = r;
	if (r == -ESTALE)
		log_error("%s was removed, and its guard with it; waiting for it to be recreated",
			  res->options->kubepods ?: "kubepods");
	else if (r < 0)
		log_warn("cannot read the cgroup tree: %s; trying again", strerror(-r));
}

static void scan(void *arg)
{
	resolver_cgroups_scan(arg);
}

/* In this turn of the loop, once for all events of it. */
static void need_scan(struct resolver *res)
{
	loop_timer_after(res->cgroups.scan, 0);
}

/* ---- one cgroup ---- */

static int on_cgroup(void *arg, const void *record)
{
	const struct podcred_cgroup_event *event = record;
	struct resolver *res = arg;
	int r;

	if (event->level == res->cgroups.level) { /* kubepods itself, made again */
		loop_timer_every(res->cgroups.cover, 0, RESOLVE_SOON_NS);
		return 0;
	}
	if (event->op == PODCRED_CGROUP_MKDIR)
		r = cgtree_added(res->cgroups.tree, event->cgroup_id, event->path);
	else
		r = cgtree_removed(res->cgroups.tree, event->cgroup_id);
	if (r < 0 && r != -E2BIG)
		need_scan(res);
	return 0;
}

static void on_events(void *arg, unsigned ready)
{
	const struct resolver *res = arg;

	(void)ready;
	kern_events_dispatch(res->cgroups.events);
}

static void on_inotify(void *arg, unsigned ready)
{
	struct resolver *res = arg;
	int r = cgtree_watch_dispatch(res->cgroups.tree);

	(void)ready;
	if (r < 0 && r != -E2BIG)
		need_scan(res);
}

static uint64_t lost(const struct resolver *res)
{
	return kern_stat_read(res->maps.stats, PODCRED_REASON_cgroup_event_lost);
}

/* Whatever becomes of the wakeups, nothing stays unread for long. */
static void look(void *arg)
{
	struct resolver *res = arg;
	uint64_t now = lost(res);

	if (res->cgroups.events)
		kern_events_dispatch(res->cgroups.events);
	if (now != res->cgroups.lost)
		need_scan(res);
	res->cgroups.lost = now;
}

/* ---- life ---- */

static char *kubepods_path(const struct resolver *res, const struct podcred_config *config)
{
	char *path;

	if (res->options->kubepods)
		return strdup(res->options->kubepods);
	return asprintf(&path, "%s%s", res->mount, config->kubepods_path) < 0 ? NULL : path;
}

static int open_tree(struct resolver *res, struct pc_err *err)
{
	_cleanup_free_ char *kubepods = NULL;
	struct podcred_config config;
	uint64_t kubepods_id = 0;
	int r;

	cover(res); /* it may have been made again while no resolver ran */
	r = kern_config_read(res->maps.config, &config);
	if (r == 0)
		r = kern_runtime_read(res->maps.runtime, PODCRED_RUNTIME_KUBEPODS, &kubepods_id);
	if (r < 0)
		return pc_err_set(err, r, "cannot read the configuration map: %s", strerror(-r));
	res->cgroups.level = config.kubepods_level;
	snprintf(res->kubepods, sizeof(res->kubepods), "%s%s", res->mount, config.kubepods_path);
	kubepods = kubepods_path(res, &config);
	if (!kubepods)
		return -ENOMEM;
	r = cgtree_open(kubepods, 0, res->registry, &res->cgroups.tree, err);
	if (r == 0 && cgtree_root_id(res->cgroups.tree) != kubepods_id)
		return pc_err_set(err, -EINVAL,
				  "%s is not the kubepods cgroup that podcred guards; run podcred "
				  "load again, with the same --kubepods",
				  kubepods);
	return r;
}

/* Before the first scan: nothing comes in between. */
static int watch_tree(struct resolver *res, struct pc_err *err)
{
	struct loop_watch *watch;
	int r = kern_events_open(res->options->pin_dir, KERN_MAP_CGROUPS, on_cgroup, res,
				 &res->cgroups.events, err);

	if (r == 0)
		return loop_watch(res->loop, kern_events_fd(res->cgroups.events), LOOP_READ,
				  on_events, res, &watch);
	log_warn("%s; watching the cgroup tree by inotify", err->msg);
	r = cgtree_watch_fd(res->cgroups.tree);
	if (r >= 0)
		r = loop_watch(res->loop, r, LOOP_READ, on_inotify, res, &watch);
	return r < 0 ? pc_err_set(err, r, "cannot watch the cgroup tree: %s", strerror(-r)) : 0;
}

int resolver_cgroups_start(struct resolver *res, struct pc_err *err)
{
	int r = open_tree(res, err);

	if (r == 0)
		r = watch_tree(res, err);
	if (r == 0)
		r = loop_timer_new(res->loop, scan, res, &res->cgroups.scan);
	if (r == 0)
		r = loop_every(res->loop, 0, RESOLVE_SOON_NS, cover_or_begin_again, res,
			       &res->cgroups.cover);
	if (r == 0)
		r = loop_every(res->loop, 0, RESOLVE_OFTEN_NS, look, res, NULL);
	res->cgroups.lost = r < 0 ? 0 : lost(res);
	return r;
}

void resolver_cgroups_stop(struct resolver *res)
{
	kern_events_close(res->cgroups.events);
	cgtree_close(res->cgroups.tree);
}
