// SPDX-License-Identifier: Apache-2.0
/*
 * The resolver: it reads the cgroup tree and the PodList, and writes podcred_pods. Everything that
 * it follows is a separate source (resolver.h); here they are put on one loop, in order, and
 * removed from it.
 */
#include "daemon/resolve.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <string.h>

#include "base/caps.h"
#include "base/cleanup.h"
#include "base/log.h"
#include "base/plural.h"
#include "daemon/privileges.h"
#include "daemon/signals.h"
#include "daemon/standby.h"
#include "daemon/supervised.h"
#include "identity/registry.h"
#include "node/layout.h"
#include "node/lease.h"
#include "node/metrics.h"
#include "resolver/resolver.h"
#include "upstream/upstream.h"

static void on_stop(void *arg, int sig)
{
	const struct resolver *res = arg;

	(void)sig;
	loop_stop(res->loop, RESOLVE_STOP);
}

/* Which configuration is in force, podcred run says. */
static void on_reload(void *arg, int sig)
{
	struct resolver *res = arg;

	(void)sig;
	if (res->tenure->channel < 0)
		resolver_policy_reload(res);
	resolver_names_reload(res);
}

/* The descriptor stays the tenure's: the next loop has the same connection. */
static void meet_serve(struct resolver *res)
{
	int fd = res->serve && res->tenure->serve_fd >= 0
			 ? fcntl(res->tenure->serve_fd, F_DUPFD_CLOEXEC, 0)
			 : -EBADF;

	if (fd >= 0)
		upstream_adopt(res->serve, fd);
}

/* The configuration, again, or the agent. */
static void on_channel(void *arg, unsigned ready)
{
	struct resolver *res = arg;
	enum supervised_what what;
	int fd = daemon_supervised_receive(res->tenure->channel, &what);

	(void)ready;
	if (fd >= 0 && what == SUPERVISED_PEER) {
		cleanup_close(&res->tenure->serve_fd);
		res->tenure->serve_fd = fd;
		meet_serve(res);
	} else if (fd >= 0) {
		cleanup_close(&res->tenure->config_fd);
		res->tenure->config_fd = fd;
		resolver_policy_reload(res);
	} else if (fd == -EPIPE) {
		log_info(SUPERVISED_GONE);
		loop_stop(res->loop, RESOLVE_STOP);
	} else if (fd != -EAGAIN) {
		log_warn("cannot receive the configuration: %s; the policy read before stays in "
			 "force: send SIGHUP again",
			 strerror(-fd));
	}
}

/* ---- start, in this order ---- */

static int open_loop(struct resolver *res, struct pc_err *err)
{
	struct loop_watch *watch;
	int r = loop_new(&res->loop);

	(void)err;
	if (r == 0)
		r = daemon_signals(res->loop, on_stop, on_reload, res);
	if (r == 0 && res->tenure->channel >= 0)
		r = loop_watch(res->loop, res->tenure->channel, LOOP_READ, on_channel, res, &watch);
	return r;
}

static int check_metrics(struct resolver *res, struct pc_err *err)
{
	return node_metrics_check(res->options->metrics, err);
}

static int find_mount(struct resolver *res, struct pc_err *err)
{
	int r = res->tenure->mount ? 0 : node_layout_find_mount(&res->tenure->mount, err);

	res->mount = res->tenure->mount;
	return r;
}

/* With the names that are known: pods that are there already have theirs from the first moment. */
static int find_pods(struct resolver *res, struct pc_err *err)
{
	(void)err;
	resolver_cgroups_scan(res);
	resolver_drop_leftovers(res);
	return 0;
}

static int tell_serve(struct resolver *res, struct pc_err *err)
{
	int r = resolver_gone_start(res, err);

	if (r == 0)
		meet_serve(res);
	return r;
}

static int start_lease(struct resolver *res, struct pc_err *err)
{
	return node_lease_start(res->loop, res->options->pin_dir, res->mount, &res->lease, err);
}

static int start_metrics(struct resolver *res, struct pc_err *err)
{
	if (res->tenure->metrics)
		return 0;
	return node_metrics_start(res->options->metrics, res->options->pin_dir, res->mount,
				  &res->tenure->metrics, err);
}

static int start(struct resolver *res, struct pc_err *err)
{
	static int (*const steps[])(struct resolver * res, struct pc_err * err) = {
		open_loop, /* first: what is signalled from now on is not lost */
		resolver_policy_start,
		check_metrics,
		find_mount,
		resolver_maps_open,
		resolver_be_the_only_one,
		resolver_registry_start,
		tell_serve,
		resolver_cgroups_start,
		resolver_links_start,
		resolver_names_start,
		find_pods,
		resolver_around_start,
		resolver_quota_start,
		start_lease,
		resolver_health_start,
		start_metrics,
	};

	for (size_t i = 0; i < ARRAY_SIZE(steps); i++) {
		int r = steps[i](res, err);

		if (r < 0)
			return r;
	}
	log_info("resolver ready: %zu pod%s", registry_count(res->registry),
		 plural(registry_count(res->registry)));
	return 0;
}

/* Also after a start that failed half way. */
static void finish(struct resolver *res)
{
	resolver_health_stop(res);
	node_lease_stop(res->lease);
	resolver_names_stop(res); /* its calls are the loop's */
	resolver_gone_stop(res);
	loop_free(res->loop); /* before the descriptors that it watches */
	resolver_quota_stop(res);
	resolver_around_stop(res);
	resolver_links_stop(res);
	resolver_cgroups_stop(res);
	registry_free(res->registry);
	resolver_maps_close(res);
}

/* ---- life ---- */

static void cleanup_tenure(struct resolve_tenure *tenure)
{
	node_metrics_stop(tenure->metrics); /* it uses the mount */
	free(tenure->mount);
	cleanup_close(&tenure->channel);
	cleanup_close(&tenure->config_fd);
	cleanup_close(&tenure->serve_fd);
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

/* RESOLVE_STOP, RESOLVE_AGAIN, or why it could not start or go on. */
static int run_once(const struct resolver_options *options, struct resolve_tenure *tenure,
		    struct pc_err *err)
{
	struct resolver res = {
		.options = options,
		.tenure = tenure,
		.maps = {-EBADF, -EBADF, -EBADF, -EBADF, -EBADF, -EBADF, -EBADF, -EBADF, -EBADF, 0},
		.file.list.fd = -EBADF,
		.links.fd = -EBADF,
	};
	int r = start(&res, err);

	if (r == 0)
		r = loop_run(res.loop);
	finish(&res);
	return r;
}

/* What podcred run has sent through the channel already. */
static int find_channel(const struct resolver_options *options, struct resolve_tenure *tenure,
			struct pc_err *err)
{
	int r = tenure->channel = daemon_supervised_open("podcred-resolve", err);
	enum supervised_what what;

	if (r < 0 || !options->config_path)
		return r;
	r = tenure->config_fd = daemon_supervised_receive(tenure->channel, &what);
	return r < 0 ? pc_err_set(err, r, SUPERVISED_GONE) : 0;
}

int daemon_resolve(const struct resolver_options *options, struct pc_err *err)
{
	_cleanup_(cleanup_tenure) struct resolve_tenure tenure = {
		.channel = -EBADF, .config_fd = -EBADF, .serve_fd = -EBADF, .lock_fd = -EBADF};
	bool stopped = false;
	int r = daemon_privileges_drop(NULL, needed_capabilities(), err);

	daemon_privileges_hide_memory(); /* a token, and the environment of podcred run */
	if (r == 0)
		r = resolver_source_check(&options->source, err);
	if (r == 0)
		r = log_start();
	if (r == 0 && daemon_is_supervised())
		r = find_channel(options, &tenure, err);
	if (r >= 0 && options->standby)
		r = daemon_standby(options->pin_dir, &tenure.lock_fd, &stopped, err);
	if (r < 0 || stopped)
		return r;
	do
		r = run_once(options, &tenure, err);
	while (r == RESOLVE_AGAIN);
	return r;
}
