// SPDX-License-Identifier: Apache-2.0
#include "node/lease.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fts.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/addr.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/loop.h"
#include "kernel/load.h"
#include "kernel/maps.h"
#include "net/sockdiag.h"

#define PROBE_NS   CLOCK_S
#define TIMEOUT_NS CLOCK_S /* to connect, and again for the answer */
#define CHECK_NS   (CLOCK_S / 2)
#define LEASE_NS   (5 * CLOCK_S)

static const char request[] =
	"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
static const char ok[] = "HTTP/1.1 200 ";

/* A probe asks the agent's addresses one after the other, and never waits itself. */
struct lease {
	struct loop *loop;
	const char *pin_dir, *mount;
	int config_fd, runtime_fd;
	struct podcred_config config; /* as of this probe */
	uint64_t before_id; /* cgroup of the agent before, and its path */
	char *before;
	struct loop_timer *checks;
	struct loop_timer *timer; /* the next probe; in one: that is enough of this address */
	size_t address; /* of config.agent, asked now */
	int fd; /* the connection to it; negative: no probe */
	struct loop_watch *watch;
	bool asked;
	char answer[sizeof(ok) - 1];
	size_t got; /* of the answer */
	bool alive; /* as of the last probe */
	bool ended; /* and that was said */
};

/* That cgroup, or one below it (a container of a pod). Walked, not opened by id: that would take a
 * capability more. */
static bool is_below(const char *path, uint64_t id)
{
	char *roots[] = {(char *)path, NULL};
	FTS *tree = fts_open(roots, FTS_PHYSICAL | FTS_NOCHDIR | FTS_XDEV, NULL);
	bool found = false;
	FTSENT *entry;

	while (tree && !found && (entry = fts_read(tree)))
		found = entry->fts_info == FTS_D && entry->fts_statp->st_ino == id;
	if (tree)
		fts_close(tree);
	return found;
}

/* Found once: the agent before is there for the time of an update. */
static const char *path_of_before(struct lease *lease)
{
	uint64_t id;

	if (kern_agent_before(lease->pin_dir, &id) < 0)
		return NULL;
	if (id != lease->before_id) {
		free(lease->before);
		lease->before = NULL;
		lease->before_id = kern_cgroup_path(lease->mount, id, &lease->before) == 0 ? id : 0;
	}
	return lease->before;
}

static bool is_agents(struct lease *lease, uint64_t id)
{
	_cleanup_free_ char *agent = NULL;
	const char *before;

	if (id == lease->config.agent_cgroup_id)
		return true;
	if (asprintf(&agent, "%s%s", lease->mount, lease->config.agent_path) < 0)
		return false;
	if (is_below(agent, id))
		return true;
	before = path_of_before(lease);
	return before && is_below(before, id);
}

/* Somebody else on the agent's port must not keep pods waiting for credentials. */
static bool listens(struct lease *lease, const struct net_addr *addr)
{
	struct sockdiag_socket listener;

	return net_sockdiag_listener(addr, &listener) == 0 && is_agents(lease, listener.cgroup_id);
}

static int dial(const struct net_addr *addr)
{
	struct sockaddr_in6 sin6 = {.sin6_family = AF_INET6, .sin6_port = htons(addr->port)};
	_cleanup_close_ int fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0)
		return -errno;
	memcpy(&sin6.sin6_addr, addr->ip, sizeof(addr->ip)); /* IPv4 as ::ffff:a.b.c.d */
	if (connect(fd, (const struct sockaddr *)&sin6, sizeof(sin6)) < 0 && errno != EINPROGRESS)
		return -errno;
	return TAKE_FD(fd);
}

static void hang_up(struct lease *lease)
{
	lease->watch = loop_unwatch(lease->watch);
	cleanup_close(&lease->fd);
	lease->fd = -EBADF;
}

/* ---- what a probe came to ---- */

static void check(void *arg)
{
	struct lease *lease = arg;
	struct podcred_config config;
	uint64_t until;

	if (lease->ended || kern_config_read(lease->config_fd, &config) < 0 || !config.fail_open ||
	    kern_runtime_read(lease->runtime_fd, PODCRED_RUNTIME_LEASE, &until) < 0 ||
	    clock_boot_ns() <= until)
		return;
	log_warn("the agent's lease has ended: pods reach the real address (failureMode open) "
		 "until it is seen alive");
	lease->ended = true;
}

static void end_probe(struct lease *lease, bool alive)
{
	hang_up(lease);
	check(lease); /* before it is renewed: we may have been stopped */
	if (alive)
		kern_runtime_write(lease->runtime_fd, PODCRED_RUNTIME_LEASE,
				   clock_boot_ns() + LEASE_NS);
	if (alive && (!lease->alive || lease->ended))
		log_info("the agent is alive: pods are redirected to it");
	else if (!alive && lease->alive)
		log_warn("the agent does not answer: in %llu s pods reach the real address "
			 "(failureMode open)",
			 LEASE_NS / CLOCK_S);
	lease->alive = alive;
	lease->ended = lease->ended && !alive;
	loop_timer_after(lease->timer, PROBE_NS);
}

/* ---- one address after the other ---- */

static void on_socket(void *arg, unsigned ready);

static bool ask(struct lease *lease, size_t i)
{
	struct net_addr addr = {.port = ntohs(lease->config.agent[i].port)};

	memcpy(addr.ip, lease->config.agent[i].addr.ip, sizeof(addr.ip));
	if (!addr.port || !listens(lease, &addr))
		return false;
	lease->fd = dial(&addr);
	lease->asked = false;
	lease->got = 0;
	return lease->fd >= 0 &&
	       loop_watch(lease->loop, lease->fd, LOOP_WRITE, on_socket, lease, &lease->watch) == 0;
}

static void ask_from(struct lease *lease, size_t first)
{
	for (size_t i = first; i < ARRAY_SIZE(lease->config.agent); i++) {
		hang_up(lease);
		if (ask(lease, i)) {
			lease->address = i;
			loop_timer_after(lease->timer, TIMEOUT_NS);
			return;
		}
	}
	end_probe(lease, false);
}

static int send_request(struct lease *lease)
{
	if (send(lease->fd, request, strlen(request), MSG_NOSIGNAL) < 0)
		return -errno;
	lease->asked = true;
	loop_timer_after(lease->timer, TIMEOUT_NS);
	return loop_watch_change(lease->watch, LOOP_READ);
}

/* A process that hangs still has its listener; only an answer shows that it works. 1: it is there. */
static int read_answer(struct lease *lease)
{
	ssize_t n =
		recv(lease->fd, lease->answer + lease->got, sizeof(lease->answer) - lease->got, 0);

	if (n <= 0)
		return n ? -errno : -EPIPE;
	lease->got += (size_t)n;
	if (lease->got < sizeof(lease->answer))
		return 0;
	return memcmp(lease->answer, ok, sizeof(lease->answer)) ? -EPROTO : 1;
}

static void on_socket(void *arg, unsigned ready)
{
	struct lease *lease = arg;
	int r = lease->asked ? read_answer(lease) : send_request(lease);

	(void)ready;
	if (r == 1)
		end_probe(lease, true);
	else if (r < 0 && r != -EAGAIN && r != -EINTR)
		ask_from(lease, lease->address + 1);
}

static void on_time(void *arg)
{
	struct lease *lease = arg;

	if (lease->fd >= 0)
		ask_from(lease, lease->address + 1);
	else if (kern_config_read(lease->config_fd, &lease->config) < 0 || !lease->config.fail_open)
		loop_timer_after(lease->timer, PROBE_NS);
	else
		ask_from(lease, 0);
}

/* ---- life ---- */

static int start_timers(struct lease *lease)
{
	int r = loop_timer_new(lease->loop, on_time, lease, &lease->timer);

	if (r < 0)
		return r;
	loop_timer_after(lease->timer, 0);
	return loop_every(lease->loop, CHECK_NS, CHECK_NS, check, lease, &lease->checks);
}

int node_lease_start(struct loop *loop, const char *pin_dir, const char *mount, struct lease **ret,
		     struct pc_err *err)
{
	struct lease *lease = calloc(1, sizeof(*lease));
	int r;

	if (!lease)
		return -ENOMEM;
	lease->loop = loop;
	lease->pin_dir = pin_dir;
	lease->mount = mount;
	lease->fd = lease->runtime_fd = -EBADF;
	r = lease->config_fd = kern_map_open(pin_dir, KERN_MAP_CONFIG, err);
	if (r >= 0)
		r = lease->runtime_fd = kern_map_open(pin_dir, KERN_MAP_RUNTIME, err);
	if (r >= 0)
		r = start_timers(lease);
	if (r < 0) {
		node_lease_stop(lease);
		return r;
	}
	*ret = lease;
	return 0;
}

struct lease *node_lease_stop(struct lease *lease)
{
	if (!lease)
		return NULL;
	loop_timer_free(lease->timer);
	loop_timer_free(lease->checks);
	hang_up(lease);
	cleanup_close(&lease->config_fd);
	cleanup_close(&lease->runtime_fd);
	free(lease->before);
	free(lease);
	return NULL;
}
