// SPDX-License-Identifier: Apache-2.0
#include "lease.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fts.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "cleanup.h"
#include "clock.h"
#include "loader.h"
#include "log.h"
#include "sockdiag.h"

#define PROBE_NS  CLOCK_S
#define TIMEOUT_S 1
#define LEASE_NS  (5 * CLOCK_S)

struct lease {
	const char *mount;
	int config_fd, runtime_fd;
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t stopped;
	bool stop;
	bool alive; /* as of the last probe */
	bool ended; /* and that was said */
};

/* The agent's cgroup, or one below it (a container of its pod). Walked, not opened by id: that would
 * take a capability more. */
static bool is_agents(const struct lease *lease, const struct podcred_config *config, uint64_t id)
{
	_cleanup_free_ char *agent = NULL;
	char *roots[2] = {};
	bool found = id == config->agent_cgroup_id;
	FTSENT *entry;
	FTS *tree;

	if (found || asprintf(&agent, "%s%s", lease->mount, config->agent_path) < 0)
		return found;
	roots[0] = agent;
	tree = fts_open(roots, FTS_PHYSICAL | FTS_NOCHDIR | FTS_XDEV, NULL);
	while (tree && !found && (entry = fts_read(tree)))
		found = entry->fts_info == FTS_D && entry->fts_statp->st_ino == id;
	if (tree)
		fts_close(tree);
	return found;
}

/* Somebody else on the agent's port must not keep pods waiting for credentials. */
static bool listens(const struct lease *lease, const struct podcred_config *config,
		    const struct net_addr *addr)
{
	struct sockdiag_socket listener;

	return sockdiag_listener(addr, &listener) == 0 &&
	       is_agents(lease, config, listener.cgroup_id);
}

static int dial(const struct net_addr *addr)
{
	static const struct timeval timeout = {.tv_sec = TIMEOUT_S};
	struct sockaddr_in6 sin6 = {.sin6_family = AF_INET6, .sin6_port = htons(addr->port)};
	_cleanup_close_ int fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -errno;
	memcpy(&sin6.sin6_addr, addr->ip, sizeof(addr->ip)); /* IPv4 as ::ffff:a.b.c.d */
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof(timeout));
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout));
	if (connect(fd, (const struct sockaddr *)&sin6, sizeof(sin6)) < 0)
		return -errno;
	return TAKE_FD(fd);
}

/* A process that hangs still has its listener; only an answer shows that it works. */
static bool answers(const struct net_addr *addr)
{
	static const char request[] = "GET /healthz HTTP/1.1\r\nHost: localhost\r\n"
				      "Connection: close\r\n\r\n";
	static const char ok[] = "HTTP/1.1 200 ";
	_cleanup_close_ int fd = dial(addr);
	char status[sizeof(ok) - 1];

	return fd >= 0 && send(fd, request, strlen(request), MSG_NOSIGNAL) > 0 &&
	       recv(fd, status, sizeof(status), MSG_WAITALL) == (ssize_t)sizeof(status) &&
	       !memcmp(status, ok, sizeof(status));
}

static bool agent_is_alive(const struct lease *lease, const struct podcred_config *config)
{
	for (int i = 0; i < 2; i++) {
		struct net_addr addr = {.port = ntohs(config->agent[i].port)};

		memcpy(addr.ip, config->agent[i].addr.ip, sizeof(addr.ip));
		if (addr.port && listens(lease, config, &addr) && answers(&addr))
			return true;
	}
	return false;
}

void lease_check(struct lease *lease)
{
	struct podcred_config config;
	uint64_t until;

	pthread_mutex_lock(&lease->lock);
	if (!lease->ended && loader_config_read(lease->config_fd, &config) == 0 &&
	    config.fail_open &&
	    loader_runtime_read(lease->runtime_fd, PODCRED_RUNTIME_LEASE, &until) == 0 &&
	    clock_boot_ns() > until) {
		log_warn("the agent's lease has ended: pods reach the real address (failureMode "
			 "open) until it is seen alive");
		lease->ended = true;
	}
	pthread_mutex_unlock(&lease->lock);
}

static void probe(struct lease *lease)
{
	struct podcred_config config;
	bool alive;

	if (loader_config_read(lease->config_fd, &config) < 0 || !config.fail_open)
		return;
	alive = agent_is_alive(lease, &config);
	lease_check(lease); /* before it is renewed: we may have been stopped */
	pthread_mutex_lock(&lease->lock);
	if (alive)
		loader_runtime_write(lease->runtime_fd, PODCRED_RUNTIME_LEASE,
				     clock_boot_ns() + LEASE_NS);
	if (alive && (!lease->alive || lease->ended))
		log_info("the agent is alive: pods are redirected to it");
	else if (!alive && lease->alive)
		log_warn("the agent does not answer: in %llu s pods reach the real address "
			 "(failureMode open)",
			 LEASE_NS / CLOCK_S);
	lease->alive = alive;
	lease->ended = lease->ended && !alive;
	pthread_mutex_unlock(&lease->lock);
}

static void *run(void *arg)
{
	struct lease *lease = arg;
	struct timespec until;

	pthread_mutex_lock(&lease->lock);
	while (!lease->stop) {
		pthread_mutex_unlock(&lease->lock);
		probe(lease);
		until = clock_timespec(clock_mono_ns() + PROBE_NS);
		pthread_mutex_lock(&lease->lock);
		if (!lease->stop)
			pthread_cond_clockwait(&lease->stopped, &lease->lock, CLOCK_MONOTONIC,
					       &until);
	}
	pthread_mutex_unlock(&lease->lock);
	return NULL;
}

int lease_start(const char *pin_dir, const char *mount, struct lease **ret, struct pc_err *err)
{
	_cleanup_close_ int config_fd = loader_map_open(pin_dir, LOADER_MAP_CONFIG, err);
	_cleanup_close_ int runtime_fd = -EBADF;
	struct lease *lease;
	int r;

	if (config_fd < 0)
		return config_fd;
	runtime_fd = loader_map_open(pin_dir, LOADER_MAP_RUNTIME, err);
	if (runtime_fd < 0)
		return runtime_fd;
	lease = calloc(1, sizeof(*lease));
	if (!lease)
		return -ENOMEM;
	lease->mount = mount;
	lease->config_fd = TAKE_FD(config_fd);
	lease->runtime_fd = TAKE_FD(runtime_fd);
	pthread_mutex_init(&lease->lock, NULL);
	pthread_cond_init(&lease->stopped, NULL);
	r = pthread_create(&lease->thread, NULL, run, lease);
	if (r) {
		close(lease->config_fd);
		close(lease->runtime_fd);
		free(lease);
		return pc_err_set(err, -r, "cannot start a thread: %s", strerror(r));
	}
	*ret = lease;
	return 0;
}

struct lease *lease_stop(struct lease *lease)
{
	if (!lease)
		return NULL;
	pthread_mutex_lock(&lease->lock);
	lease->stop = true;
	pthread_cond_signal(&lease->stopped);
	pthread_mutex_unlock(&lease->lock);
	pthread_join(lease->thread, NULL);
	close(lease->config_fd);
	close(lease->runtime_fd);
	pthread_cond_destroy(&lease->stopped);
	pthread_mutex_destroy(&lease->lock);
	free(lease);
	return NULL;
}
