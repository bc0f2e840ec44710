// SPDX-License-Identifier: Apache-2.0
#include "doctor/listener.h"

#include <dirent.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/addr.h"
#include "base/cleanup.h"
#include "base/file.h"
#include "base/parse.h"

static bool has_socket(const char *pid, const char *want, bool *denied)
{
	char path[300], link[64];
	struct dirent *entry;
	bool found = false;
	DIR *fds;

	snprintf(path, sizeof(path), "/proc/%s/fd", pid);
	fds = opendir(path);
	*denied |= !fds && errno == EACCES;
	while (fds && !found && (entry = readdir(fds)) != NULL) {
		ssize_t n = readlinkat(dirfd(fds), entry->d_name, link, sizeof(link) - 1);

		link[n < 0 ? 0 : n] = '\0';
		found = !strcmp(link, want);
	}
	if (fds)
		closedir(fds);
	return found;
}

bool doctor_listener_has(int pid, uint32_t inode)
{
	char text[16], want[32];
	bool denied = false;

	snprintf(text, sizeof(text), "%d", pid);
	snprintf(want, sizeof(want), "socket:[%u]", inode);
	return has_socket(text, want, &denied);
}

int doctor_listener_owner(uint32_t inode, int *ret_pid, char ret_name[32])
{
	_cleanup_free_ char *comm = NULL;
	char want[32], path[64];
	struct dirent *entry;
	bool denied = false;
	uint64_t pid = 0;
	DIR *proc = opendir("/proc");

	snprintf(want, sizeof(want), "socket:[%u]", inode);
	while (proc && (entry = readdir(proc)) != NULL)
		if (parse_u64(entry->d_name, INT32_MAX, &pid) == 0 &&
		    has_socket(entry->d_name, want, &denied))
			break;
		else
			pid = 0;
	if (proc)
		closedir(proc);
	if (!pid)
		return denied ? -EACCES : -ENOENT;
	*ret_pid = (int)pid;
	snprintf(path, sizeof(path), "/proc/%d/comm", *ret_pid);
	if (file_read(path, 64, &comm, NULL) < 0)
		return -ENOENT;
	snprintf(ret_name, 32, "%.*s", (int)strcspn(comm, "\n"), comm);
	return 0;
}

struct port_search {
	const struct net_addr *addr;
	struct sockdiag_socket *ret;
};

static int on_socket(void *arg, const struct sockdiag_socket *socket)
{
	const struct port_search *search = arg;

	/* without a process it is what an ended agent has left: that keeps nobody from listening */
	if (!socket->inode || socket->local.port != search->addr->port ||
	    memcmp(socket->local.ip, search->addr->ip, sizeof(socket->local.ip)) != 0)
		return 0;
	*search->ret = *socket;
	return 1;
}

int doctor_listener_obstacle(const struct net_addr *addr, struct sockdiag_socket *ret)
{
	struct port_search search = {.addr = addr, .ret = ret};
	int r = net_sockdiag_each(IPPROTO_TCP,
				  ~(SOCKDIAG_STATE(TCP_LISTEN) | SOCKDIAG_STATE(TCP_TIME_WAIT)),
				  on_socket, &search, NULL);

	return r < 0 ? r : r > 0 ? 0 : -ENOENT;
}
