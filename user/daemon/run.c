// SPDX-License-Identifier: Apache-2.0
/*
 * Everything on one machine: attach, then children, each with no more privileges than it needs. They
 * are this program executed again, as "podcred resolve", "podcred serve" and, if the configuration says
 * where credentials come from, "podcred fetch". The resolver stays root, since it writes maps. The agent
 * is started in its cgroup and switches to its own user before it opens a socket; so does fetch. A child
 * that dies is restarted; the guard holds meanwhile.
 */
#include "daemon/run.h"

#include <errno.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "base/addr.h"
#include "base/cleanup.h"
#include "base/log.h"
#include "base/loop.h"
#include "base/plural.h"
#include "daemon/child.h"
#include "daemon/run_files.h"
#include "daemon/privileges.h"
#include "daemon/signals.h"
#include "daemon/supervised.h"
#include "kernel/load.h"
#include "node/guard.h"
#include "node/guard_up.h"
#include "node/metrics.h"

#define DEFAULT_PORT 7777

/* In place of a path: sockets come from here. */
#define PEER "run"

int daemon_run_default_agent(struct config *config, struct pc_err *err)
{
	struct ifaddrs *list, *i;
	int r = -ENOENT;

	if (getifaddrs(&list) < 0)
		return pc_err_set(err, -errno, "cannot list this node's addresses: %m");
	for (i = list; i && r < 0; i = i->ifa_next) {
		const struct sockaddr_in *in = (const void *)i->ifa_addr;
		char text[NET_ADDR_TEXT];
		uint8_t ip[16] = {[10] = 0xff, [11] = 0xff};

		if (!in || in->sin_family != AF_INET || (i->ifa_flags & IFF_LOOPBACK))
			continue;
		memcpy(ip + 12, &in->sin_addr, 4);
		r = config_set_agent(config, net_addr_format(ip, DEFAULT_PORT, text, sizeof(text)),
				     NULL);
	}
	freeifaddrs(list);
	if (r < 0)
		return pc_err_set(
			err, r,
			"this node has no IPv4 address that a pod could reach; give --agent "
			"ADDRESS:PORT");
	return 0;
}

/* ---- what the children are told ---- */

enum {
	RESOLVE,
	SERVE,
	FETCH, /* only if credentials are fetched */
	CHILDREN,
};

struct run {
	const struct run_options *options;
	struct privileges_user user, fetch_user;
	char agents[2][NET_ADDR_TEXT], metrics[NET_ADDR_TEXT], uid[16], fetch_uid[16];
	struct run_files files;
	struct child v[CHILDREN];
	struct children children;
};

static bool fetches(const struct run *run)
{
	return run->options->place.config->credentials.given;
}

/* Paths only: everybody can read the arguments of a process. A NULL value leaves the option out. */
static void add(struct child *child, const char *option, const char *value)
{
	size_t n = 0;

	while (child->argv[n])
		n++;
	if (!value || n + 3 > CHILD_MAX_ARGS)
		return;
	child->argv[n++] = option;
	child->argv[n] = value;
}

static void add_flag(struct child *child, const char *option, bool on)
{
	size_t n = 0;

	while (child->argv[n])
		n++;
	if (on && n + 2 <= CHILD_MAX_ARGS)
		child->argv[n] = option;
}

/* ---- what they are handed when they start ---- */

/* One end of a new pair for each of the two. The other one gets its own when it starts, if it does not run now. */
static int send_pair(const struct child *starts, const struct child *other, struct pc_err *err)
{
	_cleanup_close_ int one = -EBADF, two = -EBADF;
	int pair[2], r;

	if (other->channel < 0)
		return 0;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return pc_err_set(err, -errno, "cannot connect %s and %s: %m", starts->name,
				  other->name);
	one = pair[0];
	two = pair[1];
	r = daemon_supervised_send(starts->channel, SUPERVISED_PEER, one);
	if (r < 0)
		return pc_err_set(err, r, "cannot connect %s: %s", starts->name, strerror(-r));
	r = daemon_supervised_send(other->channel, SUPERVISED_PEER, two);
	if (r < 0)
		log_warn("cannot connect %s with %s, which was started again: %s; restart podcred "
			 "run",
			 other->name, starts->name, strerror(-r));
	return 0;
}

static int prepare_resolve(const struct child *child, void *arg, struct pc_err *err)
{
	struct run *run = arg;
	int r = daemon_run_files_send_config(child, &run->files, err);

	return r < 0 || !fetches(run) ? r : send_pair(child, &run->v[SERVE], err);
}

static int prepare_serve(const struct child *child, void *arg, struct pc_err *err)
{
	struct run *run = arg;
	int r = daemon_run_files_send_config(child, &run->files, err);

	if (r == 0)
		r = daemon_run_files_send_associations(child, &run->files, err);
	if (r == 0 && fetches(run))
		r = send_pair(child, &run->v[RESOLVE], err);
	if (r == 0 && fetches(run))
		r = send_pair(child, &run->v[FETCH], err);
	return r;
}

static int prepare_fetch(const struct child *child, void *arg, struct pc_err *err)
{
	struct run *run = arg;
	int r = daemon_run_files_send_config(child, &run->files, err);

	if (r == 0)
		r = daemon_run_files_send_associations(child, &run->files, err);
	return r < 0 ? r : send_pair(child, &run->v[SERVE], err);
}

/* ---- and told ---- */

static void resolve_args(struct run *run, const struct layout *place, struct child *child)
{
	const struct run_options *o = run->options;

	*child = (struct child){.name = "podcred-resolve",
				.argv = {"podcred", "resolve"},
				.prepare = prepare_resolve,
				.arg = run,
				.channel = -EBADF};
	add(child, "--pin-dir", o->place.pin_dir);
	add(child, "--kubepods", place->kubepods);
	add(child, "--pods", o->source.pods);
	add(child, "--kubeconfig", o->source.kubeconfig);
	add(child, "--context", o->source.context);
	add(child, "--node", o->source.node);
	add(child, "--config", o->config_path);
	add(child, "--metrics", o->metrics);
	add(child, "--fetch-socket", fetches(run) ? PEER : NULL);
	add_flag(child, "--log-json", o->log_json);
	add_flag(child, "--debug", o->log_debug);
}

static void serve_args(struct run *run, const struct layout *place, struct child *child)
{
	const struct run_options *o = run->options;
	const struct net_addr *agents[] = {&o->place.config->agent_v4, &o->place.config->agent_v6};

	*child = (struct child){.name = "podcred-serve",
				.cgroup = place->agent_cgroup,
				.argv = {"podcred", "serve"},
				.faces_pods = true,
				.prepare = prepare_serve,
				.arg = run,
				.channel = -EBADF};
	snprintf(run->uid, sizeof(run->uid), "%u", run->user.uid);
	add(child, "--user", run->uid);
	for (int i = 0; i < 2; i++)
		if (agents[i]->port)
			add(child, "--agent",
			    net_addr_format(agents[i]->ip, agents[i]->port, run->agents[i],
					    sizeof(run->agents[i])));
	add(child, "--metrics-address",
	    o->place.config->metrics.port
		    ? net_addr_format(o->place.config->metrics.ip, o->place.config->metrics.port,
				      run->metrics, sizeof(run->metrics))
		    : "off");
	add(child, "--associations", o->associations);
	add(child, "--token-key", o->token_key);
	add(child, "--fetch-socket", fetches(run) ? PEER : NULL);
	add_flag(child, "--require-authorization", o->require_authorization);
	add_flag(child, "--log-json", o->log_json);
	add_flag(child, "--debug", o->log_debug);
}

static void fetch_args(struct run *run, struct child *child)
{
	const struct run_options *o = run->options;

	*child = (struct child){.name = "podcred-fetch",
				.argv = {"podcred", "fetch"},
				.prepare = prepare_fetch,
				.arg = run,
				.channel = -EBADF};
	snprintf(run->fetch_uid, sizeof(run->fetch_uid), "%u", run->fetch_user.uid);
	add(child, "--user", run->fetch_uid);
	add(child, "--socket", PEER);
	add(child, "--config", o->config_path);
	add(child, "--associations", o->associations);
	add(child, "--kubeconfig", o->source.kubeconfig);
	add(child, "--context", o->source.context);
	add(child, "--node", o->source.node);
	add_flag(child, "--log-json", o->log_json);
	add_flag(child, "--debug", o->log_debug);
}

/* ---- and how they are kept running ---- */

static void send_associations(const struct run *run, const struct child *child)
{
	struct pc_err err = {};

	if (child->pid && daemon_run_files_send_associations(child, &run->files, &err) < 0)
		log_warn("%s; the associations read before stay in force", err.msg);
}

static void on_reload(void *arg, int sig)
{
	struct run *run = arg;
	const struct child *resolve = &run->v[RESOLVE], *fetch = &run->v[FETCH];
	struct pc_err err = {};

	(void)sig;
	if (run->children.ending)
		return;
	if (daemon_run_files_read_config(&run->files, &err) < 0)
		log_warn("%s; the configuration read before stays in force", err.msg);
	else if (resolve->pid && daemon_run_files_send_config(resolve, &run->files, &err) < 0)
		log_warn("%s; its policy stays as it is", err.msg);
	else if (fetch->pid && daemon_run_files_send_config(fetch, &run->files, &err) < 0)
		log_warn("%s; what it has read before stays in force", err.msg);
	daemon_child_signal(resolve, SIGHUP);
	daemon_child_signal(fetch, SIGHUP);
	send_associations(run, &run->v[SERVE]);
	send_associations(run, fetch);
}

static void on_stop(void *arg, int sig)
{
	struct run *run = arg;

	(void)sig;
	daemon_children_end(&run->children);
}

static int open_loop(struct run *run, struct loop **ret)
{
	int r = loop_new(ret);

	return r < 0 ? r : daemon_signals(*ret, on_stop, on_reload, run);
}

static int supervise(struct run *run, const struct layout *place, struct loop *loop)
{
	int r;

	resolve_args(run, place, &run->v[RESOLVE]);
	serve_args(run, place, &run->v[SERVE]);
	if (fetches(run))
		fetch_args(run, &run->v[FETCH]);
	run->children.v = run->v;
	run->children.n = fetches(run) ? CHILDREN : FETCH;
	r = daemon_children_start(&run->children, loop);
	return r < 0 ? r : loop_run(loop);
}

static int attach(const struct run_options *options, const struct layout *place, struct pc_err *err)
{
	char text[NET_ADDR_TEXT];
	struct guard_up up;
	int r = node_guard_up(place, &up, err);

	if (r < 0)
		return r;
	if (up.older.found)
		log_info("older connections of pods to guarded addresses: %u ended, %u left: "
			 "their packets are dropped",
			 up.older.destroyed, up.older.failed);
	if (up.load.mounted_bpffs)
		log_info("mounted a BPF file system on /sys/fs/bpf");
	log_info("guarding %s (%u program%s attached, %u updated), agent in %s", place->guard,
		 up.load.attached, plural(up.load.attached), up.load.updated, place->agent_cgroup);
	if (options->place.config->agent_v4.port)
		log_info("redirecting to %s",
			 net_addr_format(options->place.config->agent_v4.ip,
					 options->place.config->agent_v4.port, text, sizeof(text)));
	return 0;
}

static int detach(const struct run_options *options, const struct layout *place, struct pc_err *err)
{
	const struct guard_where where = {.pin_dir = options->place.pin_dir,
					  .kubepods = place->guard};
	struct guard_unloaded unloaded;
	int r = node_guard_unload(&where, false, &unloaded, err);

	if (r == 0)
		log_info(unloaded.unknown
				 ? "detached; whether another load is attached may not be asked"
				 : "detached; nothing is guarded any more");
	return r;
}

/* Two processes of one user can read each other's memory. */
static int find_fetch_user(struct run *run, struct pc_err *err)
{
	int r = daemon_privileges_find_fetch_user(run->options->fetch_user, &run->fetch_user, err);

	if (r == 0 && run->fetch_user.uid == run->user.uid)
		return pc_err_set(err, -EINVAL,
				  "podcred fetch would have the agent's user, %u; give "
				  "--fetch-user another one",
				  run->user.uid);
	return r;
}

/* What would only make a child fail again and again, while the guard refuses everybody. */
static int check_before(struct run *run, struct pc_err *err)
{
	int r = daemon_run_files_check(&run->files, err);

	if (r == 0)
		r = daemon_run_files_read_config(&run->files, err);
	if (r == 0)
		r = daemon_privileges_find_user(run->options->user, &run->user, err);
	if (r == 0 && fetches(run))
		r = find_fetch_user(run, err);
	if (r == 0)
		r = resolver_source_check(&run->options->source, err);
	return r < 0 ? r : node_metrics_check(run->options->metrics, err);
}

/* The lock is ours and not the child's: it must hold before anything is attached, and while a child is
 * started again. Without pins there is none yet: then the load takes it. */
static int check_resolver(const struct run_options *options, int *ret_lock, struct pc_err *err)
{
	struct pc_err none = {};
	int r = kern_resolver_lock(options->place.pin_dir, &none);

	if (r == -EBUSY) {
		*err = none;
		return r;
	}
	*ret_lock = r < 0 ? -EBADF : r;
	return 0;
}

/* What was attached before stays attached. */
static int leave(const struct run *run, const struct layout *place, bool was_loaded,
		 struct pc_err *err)
{
	if (!run->options->keep && !was_loaded)
		return detach(run->options, place, err);
	log_info("stopped; the guard stays attached and refuses");
	return 0;
}

static int prepare(struct run *run, int *ret_lock, struct pc_err *err)
{
	int r = log_start(); /* a reader that stalls must not keep children from being started again */

	if (r == 0)
		r = check_before(run, err);
	return r < 0 ? r : check_resolver(run->options, ret_lock, err);
}

static void run_done(struct run *run)
{
	daemon_run_files_done(&run->files);
}

int daemon_run(const struct run_options *options, struct pc_err *err)
{
	_cleanup_(run_done) struct run run = {.options = options,
					      .files = {.associations = options->associations,
							.config = options->config_path,
							.config_fd = -EBADF}};
	bool was_loaded = kern_is_loaded(options->place.pin_dir);
	_cleanup_(loop_freep) struct loop *loop = NULL;
	_cleanup_close_ int resolver_lock = -EBADF;
	struct layout place;
	int r = open_loop(&run, &loop); /* from now on no signal ends what is half done */

	daemon_privileges_hide_memory(); /* keys in the environment, for fetch */
	if (r == 0)
		r = prepare(&run, &resolver_lock, err);
	if (r < 0)
		return r;
	r = node_layout_find(&options->place, &place, err);
	place.loader.resolver_lock = &resolver_lock;
	if (r == 0)
		r = attach(options, &place, err);
	if (r == 0) {
		r = supervise(&run, &place, loop);
		r = leave(&run, &place, was_loaded, err) ?: r;
	}
	node_layout_done(&place);
	return r;
}
