// SPDX-License-Identifier: Apache-2.0
/*
 * The resolver: cgroup tree and PodList in, podcred_pods out. It hears of new pods from the
 * kernel's ring buffer (from inotify where that is missing), and walks the tree at start and
 * whenever events were lost.
 */
#include "resolve.h"

#include <linux/capability.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "caps.h"
#include "cgsurvey.h"
#include "cgtree.h"
#include "cleanup.h"
#include "clock.h"
#include "ifaces.h"
#include "lease.h"
#include "links.h"
#include "listed.h"
#include "config.h"
#include "guard.h"
#include "loader.h"
#include "log.h"
#include "metrics.h"
#include "place.h"
#include "plural.h"
#include "podlist.h"
#include "privileges.h"
#include "registry.h"
#include "signals.h"
#include "supervised.h"

#define TICK_MS	     500
#define SETTLE_TICKS 4
#define STRAY_TICKS  20

/* What stays when it starts again. */
struct tenure {
	char *mount; /* cgroup2 */
	int channel; /* to podcred run; negative: it did not start us */
	int lock_fd; /* of the only resolver; podcred run has it for its child */
	struct metrics_file *metrics; /* NULL: not started yet */
};

struct resolver {
	const struct resolve_options *options;
	struct tenure *tenure;
	const char *mount; /* the tenure's */
	int config_fd, runtime_fd, pods_fd, quota_fd, flows_fd, stats_fd, passes_fd, pass_quota_fd;
	int signal_fd, links_fd;
	struct podlist_watch watch; /* of the pod list */
	int watch_error, links_error; /* as said last */
	struct registry *registry;
	struct cgtree *tree;
	struct loader_events *events;
	struct lease *lease;
	struct loader_quota_memory *quota_memory, *pass_quota_memory;
	uint64_t last_tick_ns;
	unsigned ticks;
	struct pc_err names_trouble; /* what was said of the list last */
	uint64_t lost; /* cgroup events that the kernel could not hand over, as last seen */
	struct config config; /* its policy is all that counts here */
	uint64_t ready; /* what this one has said: since when it follows the pods; 0: not yet */
	bool has_list; /* one was read */
	bool rescan, reload, reload_policy, uncovered, restart, stop;
	int scan_error, cover_error; /* of the last time, 0 when it went well */
	uint32_t kubepods_level;
	char kubepods[4096]; /* path */
	struct listed listed;
	size_t absent; /* of them, as it was said */
	bool strays; /* pods were seen outside of it, and it was said */
};

/* ---- sink: what the registry decides, the kernel learns ---- */

static __u32 policy_flags(const struct config *config, const struct pod_ident *pod)
{
	if (!pod->named)
		return 0; /* an exception is somebody known */
	switch (config_policy_for(config, pod->name_space, pod->service_account)) {
	case CONFIG_POLICY_EXEMPT:
		return PODCRED_POD_EXEMPT;
	case CONFIG_POLICY_DENY:
		return PODCRED_POD_DENIED;
	case CONFIG_POLICY_REDIRECT:
		break;
	}
	return 0;
}

static int sink_upsert(void *arg, const struct pod_ident *pod)
{
	const struct resolver *res = arg;
	struct podcred_pod value = {
		.cgroup_id = pod->cgroup_id,
		.generation = pod->generation,
		.flags = (pod->named ? PODCRED_POD_NAMED : 0) |
			 (pod->host_network ? PODCRED_POD_HOST_NETWORK : 0) |
			 (pod->is_static ? PODCRED_POD_STATIC : 0) |
			 policy_flags(&res->config, pod),
	};

	_Static_assert(sizeof(value.uid) == sizeof(pod->uid), "uid");
	_Static_assert(sizeof(value.name_space) == sizeof(pod->name_space), "namespace");
	_Static_assert(sizeof(value.name) == sizeof(pod->name), "name");
	_Static_assert(sizeof(value.service_account) == sizeof(pod->service_account), "account");
	memcpy(value.uid, pod->uid, sizeof(value.uid));
	memcpy(value.name_space, pod->name_space, sizeof(value.name_space));
	memcpy(value.name, pod->name, sizeof(value.name));
	memcpy(value.service_account, pod->service_account, sizeof(value.service_account));
	log_debug("pod %s/%s uid %s cgroup %llu", pod->name_space, pod->name, pod->uid,
		  (unsigned long long)pod->cgroup_id);
	return loader_pod_write(res->pods_fd, &value);
}

static int sink_remove(void *arg, uint64_t cgroup_id)
{
	const struct resolver *res = arg;

	log_debug("cgroup %llu is gone", (unsigned long long)cgroup_id);
	loader_pod_delete(res->quota_fd, cgroup_id);
	loader_pod_delete(res->pass_quota_fd, cgroup_id);
	return loader_pod_delete(res->pods_fd, cgroup_id);
}

static int sink_qos(void *arg, uint64_t burstable_id, uint64_t besteffort_id)
{
	const struct resolver *res = arg;
	int r = loader_runtime_write(res->runtime_fd, PODCRED_RUNTIME_BURSTABLE, burstable_id);

	if (r < 0)
		return r;
	return loader_runtime_write(res->runtime_fd, PODCRED_RUNTIME_BESTEFFORT, besteffort_id);
}

/* ---- what an earlier resolver left in the map ---- */

struct leftovers {
	const struct registry *registry;
	uint64_t *ids;
	size_t n, room;
	uint64_t generation;
};

static int look_at_pod(void *arg, const void *key, const void *value)
{
	const struct podcred_pod *pod = value;
	struct leftovers *left = arg;

	if (pod->generation > left->generation)
		left->generation = pod->generation;
	if (left->registry && left->n < left->room &&
	    !registry_find(left->registry, pod->cgroup_id))
		memcpy(&left->ids[left->n++], key, sizeof(uint64_t));
	return 0;
}

static uint64_t last_generation(const struct resolver *res)
{
	struct leftovers left = {};

	loader_map_each(res->pods_fd, sizeof(uint64_t), sizeof(struct podcred_pod), look_at_pod,
			&left);
	return left.generation;
}

static void drop_leftovers(struct resolver *res)
{
	uint64_t ids[256];
	struct leftovers left = {.registry = res->registry, .ids = ids, .room = ARRAY_SIZE(ids)};

	do {
		left.n = 0;
		loader_map_each(res->pods_fd, sizeof(uint64_t), sizeof(struct podcred_pod),
				look_at_pod, &left);
		for (size_t i = 0; i < left.n; i++)
			if (sink_remove(res, ids[i]) < 0)
				return; /* cannot write: the registry's own writes will say so */
	} while (left.n == left.room);
}

/* ---- inputs ---- */

/* A cgroup that was removed and is there again has no programs yet: until it has them, only the
 * packet filter keeps its pods away. */
static void cover(struct resolver *res)
{
	struct pc_err err = {};
	unsigned attached;
	int r = loader_cover(res->options->pin_dir, res->mount, &attached, &err);

	res->uncovered = false;
	if (r < 0 && r != -EBUSY && r != res->cover_error)
		log_warn("%s", err.msg[0] ? err.msg : strerror(-r));
	res->cover_error = r;
	if (r == 0 && attached) {
		log_info("cgroups were removed and made again: %u program%s attached to them",
			 attached, plural(attached));
		res->restart = true;
	}
}

static int on_cgroup(void *arg, const void *record)
{
	const struct podcred_cgroup_event *event = record;
	struct resolver *res = arg;
	int r;

	if (event->level == res->kubepods_level) { /* kubepods itself, made again */
		res->uncovered = true;
		return 0;
	}
	if (event->op == PODCRED_CGROUP_MKDIR)
		r = cgtree_added(res->tree, event->cgroup_id, event->path);
	else
		r = cgtree_removed(res->tree, event->cgroup_id);
	if (r < 0)
		res->rescan = true;
	return 0;
}

/* The file is read again whenever something happens in its folder: what has been said is not said
 * again. */
static bool is_news(struct resolver *res, const char *trouble)
{
	if (strcmp(res->names_trouble.msg, trouble) == 0)
		return false;
	snprintf(res->names_trouble.msg, sizeof(res->names_trouble.msg), "%s", trouble);
	return true;
}

/* For status and metrics, which may be asked of another process. */
static void tell_list(const struct resolver *res, const struct podlist *list)
{
	loader_runtime_write(res->runtime_fd, PODCRED_RUNTIME_LIST_PODS, list->n);
	loader_runtime_write(res->runtime_fd, PODCRED_RUNTIME_LIST_SKIPPED, list->skipped);
	loader_runtime_write(res->runtime_fd, PODCRED_RUNTIME_LIST_READ, clock_boot_ns());
}

static void say_skipped(struct resolver *res, const struct podlist *list)
{
	if (!is_news(res, list->why))
		return;
	if (list->skipped)
		log_warn("%s: skipped, and without credentials: %zu of %zu pods: %s",
			 res->options->pods, list->skipped, list->n + list->skipped, list->why);
	else
		log_info("%s: every pod in it can be used", res->options->pods);
}

static void take_names(struct resolver *res, const struct podlist *list)
{
	struct pc_err err = {};
	int r;

	res->has_list = true;
	say_skipped(res, list);
	listed_set(&res->listed, list->pods, list->n); /* without memory the last one counts */
	log_debug("%zu pod%s in %s", list->n, plural(list->n), res->options->pods);
	r = registry_set_names(res->registry, list->pods, list->n, &err);
	if (r < 0)
		log_warn("%s; trying again", err.msg[0] ? err.msg : strerror(-r));
	tell_list(res, list);
}

static void load_names(struct resolver *res)
{
	_cleanup_(podlist_done) struct podlist list = {};
	struct pc_err err = {};
	int r;

	res->reload = false;
	r = podlist_load(res->options->pods, &list, &err);
	if (r == 0)
		take_names(res, &list);
	else if (!is_news(res, err.msg))
		return;
	else if (r == -ENOENT && !res->has_list) /* whoever writes it starts later, as a rule */
		log_info("%s is not there yet; until it is, pods have no names, and get no "
			 "credentials",
			 res->options->pods);
	else
		log_warn("%s; the names read before stay in force", err.msg);
}

struct policies {
	const struct config *before, *now;
};

static bool policy_differs(void *arg, const struct pod_ident *pod)
{
	const struct policies *policies = arg;

	return policy_flags(policies->before, pod) != policy_flags(policies->now, pod);
}

static void reload_policy(struct resolver *res)
{
	static struct config before;
	struct policies policies = {.before = &before, .now = &res->config};
	struct pc_err err = {};
	int r;

	res->reload_policy = false;
	before = res->config;
	r = config_load(res->options->config_path, &res->config, &err);
	if (r < 0) {
		log_warn("%s; the policy read before stays in force",
			 err.msg[0] ? err.msg : strerror(-r));
		return;
	}
	r = registry_rewrite(res->registry, policy_differs, &policies);
	if (r < 0)
		log_warn("cannot write what the policy changes: %s; trying again", strerror(-r));
	log_info("%zu policy rules read again", res->config.n_policy);
}

static void scan(struct resolver *res)
{
	int r = cgtree_scan(res->tree);

	res->rescan = r < 0;
	if (r == res->scan_error)
		return; /* said once is enough */
	res->scan_error = r;
	if (r == -ESTALE)
		log_error("%s was removed, and its guard with it; waiting for it to be made again",
			  res->options->kubepods ?: "kubepods");
	else if (r < 0)
		log_warn("cannot read the cgroup tree: %s; trying again", strerror(-r));
}

static uint64_t said_ready(const struct resolver *res)
{
	uint64_t since_ns = 0;

	loader_runtime_read(res->runtime_fd, PODCRED_RUNTIME_RESOLVER_READY, &since_ns);
	return since_ns;
}

/* For status and metrics, and for whoever waits until the resolver follows the pods. */
static void say_alive(const struct resolver *res)
{
	loader_runtime_write(res->runtime_fd, PODCRED_RUNTIME_RESOLVER_SEEN, clock_boot_ns());
	if (res->ready && !said_ready(res)) /* another resolver ended, but this one goes on */
		loader_runtime_write(res->runtime_fd, PODCRED_RUNTIME_RESOLVER_READY, res->ready);
}

static void say_ready(struct resolver *res, uint64_t since_ns)
{
	say_alive(res);
	loader_runtime_write(res->runtime_fd, PODCRED_RUNTIME_RESOLVER_READY, since_ns);
	res->ready = since_ns;
}

/* When nobody tells of new interfaces, the resolver looks for them itself. */
static void watch_links(struct resolver *res)
{
	res->links_fd = links_watch_open(); /* before the walk: nothing comes in between */
	if (res->links_fd < 0 && res->links_fd != res->links_error)
		log_warn("cannot watch the network interfaces: %s; looking for new ones every two "
			 "seconds",
			 strerror(-res->links_fd));
	res->links_error = res->links_fd < 0 ? res->links_fd : 0;
	ifaces_attach(res->options->pin_dir);
}

/* A runtime that does not use the kubelet's cgroups: no event tells of that. */
static void look_for_strays(struct resolver *res, const struct cgsurvey *survey)
{
	char text[768];
	bool strays = survey && guard_outside(survey, res->kubepods, text, sizeof(text));

	if (strays && !res->strays)
		log_warn("not guarded: %s", text);
	else if (!strays && res->strays)
		log_info("no pod runs outside of %s any more", res->kubepods);
	res->strays = strays;
}

static void look_for_listed(struct resolver *res, const struct cgsurvey *survey, uint64_t now_ns)
{
	size_t absent = listed_absent(&res->listed, survey, res->kubepods, now_ns);

	if (absent && !res->absent)
		log_warn("none of %zu pods that run by %s has a process in %s; another kubepods is "
			 "guarded, or the list is of another node, or old",
			 absent, res->options->pods, res->kubepods);
	res->absent = absent;
	loader_runtime_write(res->runtime_fd, PODCRED_RUNTIME_LIST_ABSENT, absent);
}

static void look_around(struct resolver *res, uint64_t now_ns)
{
	_cleanup_(cgsurvey_done) struct cgsurvey survey = {0};
	bool seen = cgsurvey_around(res->mount, res->kubepods, &survey) == 0;

	look_for_strays(res, seen ? &survey : NULL);
	look_for_listed(res, seen ? &survey : NULL, now_ns);
}

/* After an unload it locks nothing, and would only keep the BPF file system from being unmounted. */
static void drop_old_lock(struct resolver *res)
{
	int *fd = &res->tenure->lock_fd;

	if (*fd >= 0 && !loader_resolver_lock_holds(*fd, res->options->pin_dir))
		close(TAKE_FD(*fd));
}

/* Whatever is due by time; events may wake the loop much more often. */
static void tick(struct resolver *res)
{
	uint64_t lost, now_ns = clock_mono_ns();

	if (now_ns - res->last_tick_ns < TICK_MS * 1000000ULL)
		return;
	res->last_tick_ns = now_ns;
	say_alive(res);
	drop_old_lock(res);
	lost = loader_stat_read(res->stats_fd, PODCRED_REASON_cgroup_event_lost);
	if (lost != res->lost)
		res->rescan = true;
	res->lost = lost;
	registry_expire(res->registry, now_ns);
	registry_flush(res->registry);
	lease_check(res->lease);
	loader_flows_sweep(res->flows_fd, res->options->conflict_s * 1000000000ULL);
	if (res->ticks % STRAY_TICKS == 0)
		look_around(res, now_ns);
	if (res->ticks++ % SETTLE_TICKS == 0) {
		ifaces_attach_uplinks(res->options->pin_dir);
		loader_quota_settle(res->flows_fd, res->quota_fd, &res->quota_memory);
		loader_pass_quota_settle(res->passes_fd, res->pass_quota_fd,
					 &res->pass_quota_memory);
		res->uncovered = true;
		if (res->links_fd < 0)
			watch_links(res);
	}
}

static void on_signal(struct resolver *res)
{
	int sig;

	while ((sig = signals_next(res->signal_fd))) {
		if (sig == SIGHUP) {
			res->reload = res->reload_policy = true;
			res->names_trouble = (struct pc_err){}; /* who asks is told again */
		} else if (sig != SIGCHLD) {
			res->stop = true;
		}
	}
}

static void watch_names(struct resolver *res)
{
	if (podlist_watch_look(&res->watch))
		res->reload = true;
	if (res->watch.error == res->watch_error)
		return;
	res->watch_error = res->watch.error;
	/* Without a folder there is no list: reading it says so. */
	if (res->watch_error && res->watch_error != -ENOENT)
		log_warn("cannot watch the folder of %s: %s; looking at the file twice a second",
			 res->options->pods, strerror(-res->watch_error));
}

static int loop(struct resolver *res)
{
	bool have_events = res->events != NULL;
	struct pollfd fds[] = {
		{.fd = res->signal_fd, .events = POLLIN},
		{.fd = have_events ? loader_events_fd(res->events) : cgtree_watch_fd(res->tree),
		 .events = POLLIN},
		{.fd = res->watch.fd, .events = POLLIN},
		{.fd = res->links_fd, .events = POLLIN}, /* may come later */
		{.fd = res->tenure->channel, .events = POLLIN},
	};

	while (!res->stop && !res->restart) {
		fds[2].fd = res->watch.fd;
		fds[3].fd = res->links_fd;
		if (poll(fds, ARRAY_SIZE(fds), TICK_MS) < 0 && errno != EINTR)
			return -errno;
		if (fds[0].revents)
			on_signal(res);
		if (fds[4].revents) { /* nothing else comes here */
			log_info(SUPERVISED_GONE);
			res->stop = true;
		}
		if (have_events)
			loader_events_dispatch(res->events);
		else if (fds[1].revents && cgtree_watch_dispatch(res->tree) < 0)
			res->rescan = true;
		if (res->options->pods)
			watch_names(res);
		if (res->reload_policy && res->options->config_path)
			reload_policy(res);
		if (fds[3].revents)
			ifaces_follow(res->links_fd, res->options->pin_dir);
		if (res->reload && res->options->pods)
			load_names(res);
		if (res->rescan)
			scan(res);
		tick(res);
		if (res->uncovered)
			cover(res);
	}
	return 0;
}

/* ---- life ---- */

static int open_maps(struct resolver *res, struct pc_err *err)
{
	const struct {
		enum loader_map map;
		int *fd;
	} maps[] = {
		{LOADER_MAP_CONFIG, &res->config_fd}, {LOADER_MAP_RUNTIME, &res->runtime_fd},
		{LOADER_MAP_PODS, &res->pods_fd},     {LOADER_MAP_QUOTA, &res->quota_fd},
		{LOADER_MAP_FLOWS, &res->flows_fd},   {LOADER_MAP_STATS, &res->stats_fd},
		{LOADER_MAP_PASSES, &res->passes_fd}, {LOADER_MAP_PASS_QUOTA, &res->pass_quota_fd},
	};

	for (size_t i = 0; i < ARRAY_SIZE(maps); i++) {
		*maps[i].fd = loader_map_open(res->options->pin_dir, maps[i].map, err);
		if (*maps[i].fd < 0)
			return *maps[i].fd;
	}
	return 0;
}

/* Two would take each other's pods away. */
static int be_the_only_one(struct resolver *res, struct pc_err *err)
{
	const char *pin_dir = res->options->pin_dir;
	int *fd = &res->tenure->lock_fd;

	if (res->tenure->channel >= 0 || loader_resolver_lock_holds(*fd, pin_dir))
		return 0;
	drop_old_lock(res);
	*fd = loader_resolver_lock(pin_dir, err);
	return *fd < 0 ? *fd : 0;
}

static int open_tree(struct resolver *res, struct pc_err *err)
{
	_cleanup_free_ char *kubepods = NULL;
	struct podcred_config config;
	uint64_t kubepods_id = 0;
	int r;

	cover(res); /* it may have been made again while no resolver ran */
	res->restart = false;
	r = loader_config_read(res->config_fd, &config);
	if (r == 0)
		r = loader_runtime_read(res->runtime_fd, PODCRED_RUNTIME_KUBEPODS, &kubepods_id);
	if (r < 0)
		return pc_err_set(err, r, "cannot read the configuration map: %s", strerror(-r));
	res->kubepods_level = config.kubepods_level;
	snprintf(res->kubepods, sizeof(res->kubepods), "%s%s", res->mount, config.kubepods_path);
	if (res->options->kubepods)
		kubepods = strdup(res->options->kubepods);
	else if (asprintf(&kubepods, "%s%s", res->mount, config.kubepods_path) < 0)
		kubepods = NULL;
	if (!kubepods)
		return -ENOMEM;
	r = cgtree_open(kubepods, 0, res->registry, &res->tree, err);
	if (r == 0 && cgtree_root_id(res->tree) != kubepods_id)
		return pc_err_set(err, -EINVAL,
				  "%s is not the kubepods cgroup that podcred guards; run podcred "
				  "load again, with the same --kubepods",
				  kubepods);
	return r;
}

static int find_mount(struct resolver *res, struct pc_err *err)
{
	int r = res->tenure->mount ? 0 : place_find_mount(&res->tenure->mount, err);

	res->mount = res->tenure->mount;
	return r;
}

static int start(struct resolver *res, struct pc_err *err)
{
	struct identity_sink sink = {
		.upsert = sink_upsert, .remove = sink_remove, .qos = sink_qos, .arg = res};
	int r;

	res->signal_fd = signals_open();
	if (res->signal_fd < 0)
		return res->signal_fd;
	config_default(&res->config);
	r = res->options->config_path ? config_load(res->options->config_path, &res->config, err)
				      : 0;
	if (r == 0)
		r = metrics_check(res->options->metrics, err);
	if (r == 0)
		r = find_mount(res, err);
	if (r == 0)
		r = open_maps(res, err);
	if (r == 0)
		r = be_the_only_one(res, err);
	if (r == 0)
		r = registry_new(&sink, last_generation(res), &res->registry);
	if (r == 0)
		r = open_tree(res, err);
	if (r < 0)
		return r;
	r = loader_events_open(res->options->pin_dir, LOADER_MAP_CGROUPS, on_cgroup, res,
			       &res->events, err);
	if (r < 0) {
		log_warn("%s; watching the cgroup tree by inotify", err->msg);
		r = cgtree_watch_fd(res->tree); /* before the scan, which watches what it finds */
		if (r < 0)
			return pc_err_set(err, r, "cannot watch the cgroup tree: %s", strerror(-r));
	}
	watch_links(res);
	loader_runtime_write(res->runtime_fd, PODCRED_RUNTIME_LIST_READ, 0); /* none by this one */
	if (res->options->pods) {
		podlist_watch_start(&res->watch, res->options->pods);
		watch_names(res);
		load_names(res);
	} else {
		log_warn("no --pods FILE: pods have no names, so no caller gets credentials");
	}
	res->lost = loader_stat_read(res->stats_fd, PODCRED_REASON_cgroup_event_lost);
	scan(res);
	drop_leftovers(res);
	r = lease_start(res->options->pin_dir, res->mount, &res->lease, err);
	if (r < 0)
		return r;
	say_ready(res, clock_boot_ns());
	if (!res->tenure->metrics)
		r = metrics_start(res->options->metrics, res->options->pin_dir, res->mount,
				  &res->tenure->metrics, err);
	if (r < 0)
		return r;
	log_info("resolver ready: %zu pod%s", registry_count(res->registry),
		 plural(registry_count(res->registry)));
	return 0;
}

static void finish(struct resolver *res)
{
	int *fds[] = {&res->config_fd, &res->runtime_fd, &res->pods_fd,	  &res->quota_fd,
		      &res->flows_fd,  &res->stats_fd,	 &res->passes_fd, &res->pass_quota_fd,
		      &res->signal_fd, &res->links_fd};

	if (res->ready && said_ready(res) == res->ready) /* not another's, who took over */
		say_ready(res, 0);
	listed_done(&res->listed);
	lease_stop(res->lease);
	loader_events_close(res->events);
	podlist_watch_stop(&res->watch);
	loader_quota_memory_free(res->quota_memory);
	loader_quota_memory_free(res->pass_quota_memory);
	cgtree_close(res->tree);
	registry_free(res->registry);
	for (size_t i = 0; i < ARRAY_SIZE(fds); i++)
		cleanup_close(fds[i]);
}

static void cleanup_tenure(struct tenure *tenure)
{
	metrics_stop(tenure->metrics); /* it uses the mount */
	free(tenure->mount);
	cleanup_close(&tenure->channel);
	cleanup_close(&tenure->lock_fd);
}

/* deploy/README.md tells what for. Those that we have of them, and CAP_SYS_ADMIN where it has to stand
 * for CAP_BPF, as in containers written for older kernels. */
static uint64_t needed_capabilities(void)
{
	uint64_t keep = CAPS_BIT(CAP_BPF) | CAPS_BIT(CAP_NET_ADMIN);
	struct caps self;

	if (caps_read(0, &self) == 0 && !(self.permitted & CAPS_BIT(CAP_BPF)))
		keep |= CAPS_BIT(CAP_SYS_ADMIN);
	return keep;
}

int resolve_run(const struct resolve_options *options, struct pc_err *err)
{
	_cleanup_(cleanup_tenure) struct tenure tenure = {.channel = -EBADF, .lock_fd = -EBADF};
	const struct resolver blank = {
		.options = options,
		.tenure = &tenure,
		.config_fd = -EBADF,
		.runtime_fd = -EBADF,
		.pods_fd = -EBADF,
		.quota_fd = -EBADF,
		.flows_fd = -EBADF,
		.stats_fd = -EBADF,
		.passes_fd = -EBADF,
		.pass_quota_fd = -EBADF,
		.signal_fd = -EBADF,
		.watch = {.fd = -EBADF},
		.links_fd = -EBADF,
	};
	bool again;
	int r = privileges_drop(NULL, needed_capabilities(), err);

	if (r == 0)
		r = log_start();
	if (r == 0 && supervised())
		r = tenure.channel = supervised_open("podcred-resolve", err);
	if (r < 0)
		return r;
	do { /* again when kubepods is another one: nothing that was known of it holds */
		struct resolver res = blank;

		r = start(&res, err);
		if (r == 0)
			r = loop(&res);
		again = r == 0 && res.restart && !res.stop;
		finish(&res);
	} while (again);
	return r;
}
