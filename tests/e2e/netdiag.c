// SPDX-License-Identifier: Apache-2.0
/*
 * netdiag - user/net on real sockets, namespaces and interfaces.
 *
 *	netdiag hold WAY ADDRESS PORT     open connections, print "held", wait for each to end, print why
 *	netdiag reset KUBEPODS EXEMPT ADDRESS PORT [ADDRESS PORT]...
 *	                                  net_reset_connections: guarded are these, spared are sockets of
 *	                                  cgroups below EXEMPT ("-": none)
 *	netdiag listen ADDRESS PORT...    listen until killed
 *	netdiag listener ADDRESS PORT     who listens there
 *	netdiag netns CGROUP              the namespaces below it
 *	netdiag links | uplinks | watch   interfaces; watch prints events until killed
 *	netdiag overflow                  watch, which reads too late
 *	netdiag route ADDRESS             the interface towards it
 *
 * WAY: tcp udp udplite mptcp, reuse (3 UDP sockets with the same addresses), any of these with
 * "-mapped": an IPv4 address on an AF_INET6 socket; syn (a connect that nobody answers), fin (the
 * other half of the connection stays open).
 */
#include <fts.h>
#include <net/if.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdint.h>
#include <sys/stat.h>

#include "base/addr.h"
#include "base/err.h"
#include "net/links.h"
#include "net.h"
#include "net/netns.h"
#include "net/reset.h"
#include "net/sockdiag.h"

#ifndef IPPROTO_MPTCP
#define IPPROTO_MPTCP 262
#endif
#define REUSE	  3
#define ADDRS_MAX 8

static const struct way {
	const char *name;
	int type, protocol;
} ways[] = {
	{"tcp", SOCK_STREAM, IPPROTO_TCP},	  {"udp", SOCK_DGRAM, IPPROTO_UDP},
	{"udplite", SOCK_DGRAM, IPPROTO_UDPLITE}, {"mptcp", SOCK_STREAM, IPPROTO_MPTCP},
	{"reuse", SOCK_DGRAM, IPPROTO_UDP},	  {"syn", SOCK_STREAM | SOCK_NONBLOCK, IPPROTO_TCP},
	{"fin", SOCK_STREAM, IPPROTO_TCP},
};

static const struct way *way_of(const char *name, bool *ret_mapped)
{
	size_t len = strcspn(name, "-");

	*ret_mapped = !strcmp(name + len, "-mapped");
	for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]); i++)
		if (strlen(ways[i].name) == len && !strncmp(name, ways[i].name, len))
			return &ways[i];
	fprintf(stderr, "no such way: %s\n", name);
	exit(2);
}

static int open_one(const struct way *way, const struct sockaddr_storage *to, socklen_t len,
		    struct sockaddr_storage *from)
{
	int fd = socket(to->ss_family, way->type, way->protocol);
	socklen_t from_len = sizeof(*from);

	if (fd < 0)
		die("socket");
	set_one(fd, SOL_SOCKET, SO_REUSEPORT);
	if (from->ss_family && bind(fd, (struct sockaddr *)from, len) < 0)
		die("bind");
	if (connect(fd, (const struct sockaddr *)to, len) < 0 && errno != EINPROGRESS)
		die("connect");
	if (getsockname(fd, (struct sockaddr *)from, &from_len) < 0)
		die("getsockname");
	if (!strcmp(way->name, "fin") && shutdown(fd, SHUT_WR) < 0)
		die("shutdown");
	return fd;
}

static const char *wait_end(int fd)
{
	struct pollfd pfd = {.fd = fd, .events = POLLIN};
	socklen_t len = sizeof(int);
	int error = 0;

	if (poll(&pfd, 1, -1) < 0)
		die("poll");
	if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len) < 0)
		die("SO_ERROR");
	return error ? errno_name(error) : "closed";
}

static int cmd_hold(char **arg)
{
	struct sockaddr_storage to, from = {};
	bool mapped;
	const struct way *way = way_of(arg[0], &mapped);
	socklen_t len = endpoint(&to, arg[1], arg[2], mapped);
	int fd[REUSE], n = strcmp(way->name, "reuse") ? 1 : REUSE;

	for (int i = 0; i < n; i++)
		fd[i] = open_one(way, &to, len, &from);
	printf("held\n");
	fflush(stdout);
	for (int i = 0; i < n; i++) {
		printf("%s\n", wait_end(fd[i]));
		fflush(stdout);
	}
	return 0;
}

static struct net_addr address(const char *ip, const char *port)
{
	struct net_addr addr;

	if (net_addr_parse(ip, &addr) < 0) {
		fprintf(stderr, "no address: %s\n", ip);
		exit(2);
	}
	addr.port = (uint16_t)atoi(port);
	return addr;
}

static int cmd_listen(int argc, char **arg)
{
	for (int i = 0; i + 1 < argc; i += 2) {
		struct sockaddr_storage ss;
		socklen_t len = endpoint(&ss, arg[i], arg[i + 1], false);
		int fd = socket(ss.ss_family, SOCK_STREAM, 0);

		if (fd < 0)
			die("socket");
		set_one(fd, SOL_SOCKET, SO_REUSEADDR);
		if (bind(fd, (struct sockaddr *)&ss, len) < 0 || listen(fd, 64) < 0)
			die("listen");
	}
	printf("ready\n");
	fflush(stdout);
	pause();
	return 0;
}

struct wanted {
	struct net_addr addr[ADDRS_MAX];
	int addrs;
	uint64_t *id;
	size_t ids;
};

static bool guarded(void *arg, const uint8_t ip[16], uint16_t port, uint8_t protocol)
{
	const struct wanted *wanted = arg;

	(void)protocol;
	for (int i = 0; i < wanted->addrs; i++)
		if (!memcmp(wanted->addr[i].ip, ip, 16) && wanted->addr[i].port == port)
			return true;
	return false;
}

static bool pod_socket(void *arg, uint64_t cgroup_id)
{
	const struct wanted *wanted = arg;

	for (size_t i = 0; i < wanted->ids; i++)
		if (wanted->id[i] == cgroup_id)
			return true;
	return false;
}

static void pod_cgroups(const char *kubepods, const char *exempt, struct wanted *wanted)
{
	char *paths[] = {(char *)kubepods, NULL};
	FTS *fts = fts_open(paths, FTS_PHYSICAL | FTS_NOCHDIR, NULL);
	FTSENT *entry;

	if (!fts)
		die(kubepods);
	while ((entry = fts_read(fts))) {
		if (entry->fts_info != FTS_D)
			continue;
		if (!strcmp(entry->fts_path, exempt)) {
			fts_set(fts, entry, FTS_SKIP);
			continue;
		}
		wanted->id = realloc(wanted->id, (wanted->ids + 1) * sizeof(*wanted->id));
		if (!wanted->id)
			die("realloc");
		wanted->id[wanted->ids++] = entry->fts_statp->st_ino;
	}
	fts_close(fts);
}

static int cmd_reset(int argc, char **arg)
{
	struct wanted wanted = {};
	struct reset_options options = {
		.kubepods = arg[0],
		.guarded = guarded,
		.pod_socket = pod_socket,
		.arg = &wanted,
	};
	struct reset_report report;
	struct pc_err err;
	char from[NET_ADDR_TEXT], to[NET_ADDR_TEXT];
	int r;

	for (int i = 2; i + 1 < argc && wanted.addrs < ADDRS_MAX; i += 2)
		wanted.addr[wanted.addrs++] = address(arg[i], arg[i + 1]);
	pod_cgroups(arg[0], arg[1], &wanted);
	r = net_reset_connections(&options, &report, &err);
	printf("found=%u destroyed=%u failed=%u namespaces=%u unreachable=%u %s\n", report.found,
	       report.destroyed, report.failed, report.namespaces, report.unreachable,
	       report.why.msg);
	for (unsigned i = 0; i < report.n_examples; i++) {
		const struct reset_example *e = &report.example[i];

		printf("protocol=%u %s -> %s cgroup=%llu netns=%llu %s\n", e->protocol,
		       net_addr_format(e->local.ip, e->local.port, from, sizeof(from)),
		       net_addr_format(e->remote.ip, e->remote.port, to, sizeof(to)),
		       (unsigned long long)e->cgroup_id, (unsigned long long)e->netns,
		       e->result ? errno_name(-e->result) : "destroyed");
	}
	if (r < 0)
		printf("error: %s\n", err.msg);
	free(wanted.id);
	return r < 0;
}

static int cmd_listener(char **arg)
{
	struct net_addr addr = address(arg[0], arg[1]);
	struct sockdiag_socket socket;
	char text[NET_ADDR_TEXT];
	int r = net_sockdiag_listener(&addr, &socket);

	if (r < 0)
		printf("%s\n", errno_name(-r));
	else
		printf("%s cgroup=%llu\n",
		       net_addr_format(socket.local.ip, socket.local.port, text, sizeof(text)),
		       (unsigned long long)socket.cgroup_id);
	return 0;
}

static int own_netns(void *arg)
{
	return net_netns_own(arg);
}

static int print_netns(void *arg, const char *path, uint64_t inode)
{
	uint64_t entered = 0;
	int r = net_netns_run(path, own_netns, &entered);

	(void)arg;
	printf("%llu %s\n", (unsigned long long)inode,
	       r < 0		  ? errno_name(-r)
	       : entered == inode ? "entered"
				  : "elsewhere");
	return 0;
}

static int cmd_netns(char **arg)
{
	struct pc_err err;
	int r = net_netns_each_below(arg[0], print_netns, NULL, &err);

	if (r < 0)
		printf("%s: %s\n", errno_name(-r), err.msg);
	return r < 0;
}

static void print_link(const struct links_link *link, const char *event)
{
	char master[IF_NAMESIZE] = "-";

	if (link->master)
		if_indextoname((unsigned)link->master, master);
	printf("%s %s kind=%s up=%d elsewhere=%d master=%s\n", event, link->name, link->kind,
	       link->up, link->peer_elsewhere, master);
	fflush(stdout);
}

static int each_link(void *arg, const struct links_link *link)
{
	(void)arg;
	print_link(link, "is");
	return 0;
}

static void event_link(void *arg, const struct links_link *link, bool gone)
{
	(void)arg;
	if (link)
		print_link(link, gone ? "gone" : "new");
}

/* lazy ("overflow"): with room for few events, read only once standard input ends, and then once. */
static int cmd_watch(bool lazy)
{
	int fd = net_links_watch_open(), r, small = 1;
	struct pollfd pfd = {.fd = fd, .events = POLLIN};
	char byte;

	if (fd < 0)
		die("links_watch_open");
	if (lazy && setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small)) < 0)
		die("SO_RCVBUF");
	printf("watching\n");
	fflush(stdout);
	if (lazy && read(0, &byte, 1) < 0)
		die("read");
	for (;;) {
		if (poll(&pfd, 1, -1) < 0)
			die("poll");
		r = net_links_watch_read(fd, event_link, NULL);
		if (r < 0)
			printf("%s\n", errno_name(-r));
		fflush(stdout);
		if (lazy && r == 0)
			return 0;
	}
}

static int print_ifindex(void *arg, int ifindex)
{
	char name[IF_NAMESIZE];

	(void)arg;
	printf("%s\n", if_indextoname((unsigned)ifindex, name) ?: "?");
	return 0;
}

static int cmd_route(char **arg)
{
	struct net_addr addr = address(arg[0], "0");
	int ifindex, r = net_links_route_oif(addr.ip, &ifindex);

	if (r < 0)
		printf("%s\n", errno_name(-r));
	else
		print_ifindex(NULL, ifindex);
	return 0;
}

int main(int argc, char **argv)
{
	const char *cmd = argc > 1 ? argv[1] : "";

	if (!strcmp(cmd, "hold") && argc == 5)
		return cmd_hold(argv + 2);
	if (!strcmp(cmd, "listen") && argc >= 4)
		return cmd_listen(argc - 2, argv + 2);
	if (!strcmp(cmd, "reset") && argc >= 6)
		return cmd_reset(argc - 2, argv + 2);
	if (!strcmp(cmd, "listener") && argc == 4)
		return cmd_listener(argv + 2);
	if (!strcmp(cmd, "netns") && argc == 3)
		return cmd_netns(argv + 2);
	if (!strcmp(cmd, "links"))
		return net_links_each(each_link, NULL, NULL) < 0;
	if (!strcmp(cmd, "uplinks"))
		return net_links_uplinks(print_ifindex, NULL, NULL) < 0;
	if (!strcmp(cmd, "watch") || !strcmp(cmd, "overflow"))
		return cmd_watch(!strcmp(cmd, "overflow"));
	if (!strcmp(cmd, "route") && argc == 3)
		return cmd_route(argv + 2);
	fprintf(stderr, "usage: see the top of tests/e2e/netdiag.c\n");
	return 2;
}
