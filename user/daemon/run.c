// SPDX-License-Identifier: Apache-2.0
/*
 * Everything on one machine: attach, then two children, each with no more than it needs. The
 * resolver stays root, since it writes maps; the agent moves into its cgroup and becomes nobody
 * before it opens a socket. A child that dies is started again; the guard holds meanwhile.
 */
#include "run.h"

#include <fcntl.h>
#include <grp.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>

#include "cleanup.h"
#include "guard.h"
#include "ifaces.h"
#include "log.h"
#include "older.h"
#include "metrics.h"
#include "resolve.h"
#include "serve.h"
#include "signals.h"

#define DEFAULT_PORT 7777
#define NOBODY	     65534
#define RESTART_S    1

struct child {
	const char *name;
	int (*main)(const struct run_options *options, const struct place *place,
		    struct pc_err *err);
	pid_t pid;
};

int run_default_agent(struct config *config, struct pc_err *err)
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

static int resolve_main(const struct run_options *options, const struct place *place,
			struct pc_err *err)
{
	const struct resolve_options resolve = {
		.pin_dir = options->place.pin_dir,
		.kubepods = place->kubepods,
		.pods = options->pods,
		.config_path = options->config_path,
		.metrics = options->metrics,
		.conflict_s = RESOLVE_CONFLICT_S,
	};

	return resolve_run(&resolve, err);
}

static int join_cgroup(const char *dir, struct pc_err *err)
{
	_cleanup_free_ char *path = NULL;
	_cleanup_close_ int fd = -EBADF;

	if (asprintf(&path, "%s/cgroup.procs", dir) < 0)
		return -ENOMEM;
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0 || write(fd, "0", 1) < 0)
		return pc_err_set(err, -errno, "cannot move the agent into %s: %m", dir);
	return 0;
}

static int drop_root(struct pc_err *err)
{
	if (geteuid() != 0)
		return 0;
	if (setgroups(0, NULL) < 0 || setresgid(NOBODY, NOBODY, NOBODY) < 0 ||
	    setresuid(NOBODY, NOBODY, NOBODY) < 0)
		return pc_err_set(err, -errno, "cannot become user %d: %m", NOBODY);
	return 0;
}

/* The children go when the supervisor is killed; the guard stays, and refuses. */
static void end_with_parent(void)
{
	prctl(PR_SET_PDEATHSIG, SIGTERM);
}

static int serve_main(const struct run_options *options, const struct place *place,
		      struct pc_err *err)
{
	const struct config *config = options->place.config;
	struct serve_options serve = {
		.associations = options->associations,
		.token_key = options->token_key,
		.require_authorization = options->require_authorization,
	};
	struct net_addr listen[SERVE_LISTEN_MAX];
	int r;

	if (config->agent_v4.port)
		listen[serve.n_listen++] = config->agent_v4;
	if (config->agent_v6.port)
		listen[serve.n_listen++] = config->agent_v6;
	serve.listen = listen;
	r = join_cgroup(place->agent_cgroup, err);
	if (r == 0)
		r = drop_root(err);
	end_with_parent(); /* again: a change of user forgets it */
	return r == 0 ? serve_run(&serve, err) : r;
}

static int child_start(struct child *child, const struct run_options *options,
		       const struct place *place)
{
	struct pc_err err = {};
	pid_t parent = getpid();
	int r;

	child->pid = fork();
	if (child->pid)
		return child->pid < 0 ? -errno : 0;
	end_with_parent();
	if (getppid() != parent)
		_exit(1);
	prctl(PR_SET_NAME, child->name);
	log_queue();
	r = child->main(options, place, &err);
	if (r < 0)
		log_error("%s: %s", child->name, err.msg[0] ? err.msg : strerror(-r));
	log_stop();
	_exit(r < 0 ? 1 : 0);
}

static void children_reap(struct child *children, size_t n)
{
	pid_t pid;
	int status;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		for (size_t i = 0; i < n; i++) {
			if (children[i].pid != pid)
				continue;
			children[i].pid = 0;
			log_warn("%s ended (%s %d); starting it again", children[i].name,
				 WIFSIGNALED(status) ? "signal" : "exit",
				 WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
		}
	}
}

static void children_stop(struct child *children, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (children[i].pid > 0)
			kill(children[i].pid, SIGTERM);
	for (size_t i = 0; i < n; i++)
		if (children[i].pid > 0)
			waitpid(children[i].pid, NULL, 0);
}

static int supervise(struct child *children, size_t n, const struct run_options *options,
		     const struct place *place, int signal_fd)
{
	struct pollfd fd = {.fd = signal_fd, .events = POLLIN};
	int sig, r = 0;

	for (;;) {
		for (size_t i = 0; i < n && r == 0; i++)
			if (!children[i].pid)
				r = child_start(&children[i], options, place);
		if (r < 0)
			return r;
		poll(&fd, 1, -1);
		while ((sig = signals_next(signal_fd))) {
			if (sig == SIGTERM || sig == SIGINT)
				return 0;
			for (size_t i = 0; sig == SIGHUP && i < n; i++)
				if (children[i].pid > 0)
					kill(children[i].pid, SIGHUP);
		}
		children_reap(children, n);
		for (size_t i = 0; i < n; i++)
			if (!children[i].pid)
				sleep(RESTART_S); /* not in a tight loop */
	}
}

static int attach(const struct run_options *options, const struct place *place, struct pc_err *err)
{
	struct loader_report report;
	struct reset_report older;
	char text[NET_ADDR_TEXT];
	int r = loader_load(&place->loader, &report, err);

	if (r < 0)
		return r;
	ifaces_attach(place->loader.pin_dir);
	loader_iface_settle(place->loader.pin_dir);
	older_reset(place, &older);
	if (older.found)
		log_info("%u older connections of pods ended, %u could not be", older.destroyed,
			 older.failed);
	if (report.mounted_bpffs)
		log_info("mounted a BPF file system on /sys/fs/bpf");
	log_info("guarding %s (%u programs attached, %u updated), agent in %s", place->guard,
		 report.attached, report.updated, place->agent_cgroup);
	if (options->place.config->agent_v4.port)
		log_info("redirecting to %s",
			 net_addr_format(options->place.config->agent_v4.ip,
					 options->place.config->agent_v4.port, text, sizeof(text)));
	return 0;
}

static int detach(const struct run_options *options, const struct place *place, struct pc_err *err)
{
	const struct guard_where where = {.pin_dir = options->place.pin_dir,
					  .kubepods = place->guard};
	struct guard_unloaded unloaded;
	int r = guard_unload(&where, false, &unloaded, err);

	if (r == 0)
		log_info("detached; nothing is guarded any more");
	return r;
}

int run_all(const struct run_options *options, struct pc_err *err)
{
	struct child children[] = {
		{.name = "podcred-resolve", .main = resolve_main},
		{.name = "podcred-serve", .main = serve_main},
	};
	bool was_loaded = loader_is_loaded(options->place.pin_dir);
	_cleanup_close_ int signal_fd = signals_open();
	struct place place;
	int r;

	if (signal_fd < 0)
		return signal_fd;
	r = place_find(&options->place, &place, err);
	if (r == 0)
		r = metrics_check(options->metrics, err);
	if (r == 0)
		r = attach(options, &place, err);
	if (r == 0) {
		r = supervise(children, ARRAY_SIZE(children), options, &place, signal_fd);
		children_stop(children, ARRAY_SIZE(children));
		if (!options->keep && !was_loaded) {
			r = detach(options, &place, err) ?: r;
		} else {
			log_info("stopped; the guard stays attached and refuses");
		}
	}
	place_done(&place);
	return r;
}
