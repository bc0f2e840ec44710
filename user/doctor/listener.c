// SPDX-License-Identifier: Apache-2.0
#include "listener.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>

#include "cleanup.h"
#include "file.h"
#include "parse.h"

#ifndef INET_DIAG_CGROUP_ID
#define INET_DIAG_CGROUP_ID 21
#endif

struct search {
	const struct net_addr *addr;
	struct listener best;
	int score;
};

/* 2: just this address; 1: all addresses; 0: another one. */
static int score_of(const struct inet_diag_msg *msg, const struct net_addr *addr)
{
	static const uint8_t any[16];
	uint8_t ip[16] = {[10] = 0xff, [11] = 0xff};
	bool v4 = net_addr_is_v4(addr->ip);

	if (ntohs(msg->id.idiag_sport) != addr->port)
		return 0;
	if (msg->idiag_family == AF_INET)
		memcpy(ip + 12, msg->id.idiag_src, 4);
	else
		memcpy(ip, msg->id.idiag_src, 16);
	if (!memcmp(ip, addr->ip, sizeof(ip)))
		return 2;
	if (msg->idiag_family == AF_INET)
		return v4 && !memcmp(ip + 12, any, 4);
	return !memcmp(ip, any, sizeof(any));
}

static void on_message(struct search *search, const struct nlmsghdr *nl)
{
	const struct inet_diag_msg *msg = NLMSG_DATA(nl);
	int score = score_of(msg, search->addr);
	const struct rtattr *attr = (const void *)(msg + 1);
	int len = (int)nl->nlmsg_len - (int)NLMSG_LENGTH(sizeof(*msg));

	if (score <= search->score)
		return;
	search->score = score;
	search->best = (struct listener){.inode = msg->idiag_inode};
	for (; RTA_OK(attr, len); attr = RTA_NEXT(attr, len))
		if (attr->rta_type == INET_DIAG_CGROUP_ID && RTA_PAYLOAD(attr) >= 8)
			memcpy(&search->best.cgroup_id, RTA_DATA(attr), 8);
}

/* 1: there is more to come. */
static int receive(int fd, struct search *search)
{
	_Alignas(struct nlmsghdr) char buf[16384];
	ssize_t n = recv(fd, buf, sizeof(buf), 0);
	const struct nlmsghdr *nl = (const void *)buf;

	if (n <= 0)
		return n < 0 ? -errno : -EPROTO;
	for (size_t left = (size_t)n; NLMSG_OK(nl, left); nl = NLMSG_NEXT(nl, left)) {
		if (nl->nlmsg_type == NLMSG_DONE)
			return 0;
		if (nl->nlmsg_type == NLMSG_ERROR)
			return ((const struct nlmsgerr *)NLMSG_DATA(nl))->error ?: -EPROTO;
		if (nl->nlmsg_len >= NLMSG_LENGTH(sizeof(struct inet_diag_msg)))
			on_message(search, nl);
	}
	return 1;
}

static int list_family(uint8_t family, struct search *search)
{
	struct {
		struct nlmsghdr nl;
		struct inet_diag_req_v2 diag;
	} request = {
		.nl = {.nlmsg_len = sizeof(request),
		       .nlmsg_type = SOCK_DIAG_BY_FAMILY,
		       .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP},
		.diag = {.sdiag_family = family,
			 .sdiag_protocol = IPPROTO_TCP,
			 .idiag_states = 1U << TCP_LISTEN},
	};
	_cleanup_close_ int fd = socket(AF_NETLINK, SOCK_DGRAM | SOCK_CLOEXEC, NETLINK_SOCK_DIAG);
	int r = 1;

	if (fd < 0 || send(fd, &request, sizeof(request), 0) < 0)
		return -errno;
	while (r > 0)
		r = receive(fd, search);
	return r;
}

int listener_find(const struct net_addr *addr, struct listener *ret)
{
	struct search search = {.addr = addr};
	int r = list_family(AF_INET, &search);

	if (r == 0)
		r = list_family(AF_INET6, &search);
	if (r < 0)
		return r;
	if (!search.score)
		return -ENOENT;
	*ret = search.best;
	return 0;
}

static bool has_socket(const char *pid, const char *want)
{
	char path[300], link[64];
	struct dirent *entry;
	bool found = false;
	DIR *fds;

	snprintf(path, sizeof(path), "/proc/%s/fd", pid);
	fds = opendir(path);
	while (fds && !found && (entry = readdir(fds)) != NULL) {
		ssize_t n = readlinkat(dirfd(fds), entry->d_name, link, sizeof(link) - 1);

		link[n < 0 ? 0 : n] = '\0';
		found = !strcmp(link, want);
	}
	if (fds)
		closedir(fds);
	return found;
}

int listener_owner(uint32_t inode, int *ret_pid, char ret_name[32])
{
	char want[32], path[300];
	struct dirent *entry;
	uint64_t pid = 0;
	DIR *proc = opendir("/proc");

	snprintf(want, sizeof(want), "socket:[%u]", inode);
	while (proc && (entry = readdir(proc)) != NULL)
		if (parse_u64(entry->d_name, INT32_MAX, &pid) == 0 &&
		    has_socket(entry->d_name, want))
			break;
		else
			pid = 0;
	if (proc)
		closedir(proc);
	if (!pid)
		return -ENOENT;
	*ret_pid = (int)pid;
	snprintf(path, sizeof(path), "/proc/%d/comm", *ret_pid);
	_cleanup_free_ char *comm = NULL;
	if (file_read(path, 64, &comm, NULL) < 0)
		return -ENOENT;
	snprintf(ret_name, 32, "%.*s", (int)strcspn(comm, "\n"), comm);
	return 0;
}
