// SPDX-License-Identifier: Apache-2.0
/* Does the agent listen where pods are sent, and may the kernel tell it who they are? */
#include "base/addr.h"
#include "doctor/checks.h"

#include <arpa/inet.h>
#include <errno.h>
#include <ifaddrs.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "doctor/listener.h"
#include "kernel/maps.h"

bool doctor_endpoint(const struct doctor *d, int i, struct net_addr *ret)
{
	const struct podcred_endpoint *endpoint = &d->status.config.agent[i];

	memcpy(ret->ip, endpoint->addr.ip, sizeof(ret->ip));
	ret->port = ntohs(endpoint->port);
	return ret->port != 0;
}

static bool is_inside(const char *path, const char *dir)
{
	size_t len = strlen(dir);

	return !strncmp(path, dir, len) && (path[len] == '/' || path[len] == '\0');
}

/* "name (pid 12)", or why there is none. */
static const char *owner_text(uint32_t inode, char name[32], char buf[64])
{
	int pid = 0, r = doctor_listener_owner(inode, &pid, name);

	if (r == 0)
		snprintf(buf, 64, "%s (pid %d)", name, pid);
	else
		snprintf(buf, 64, "%s",
			 r == -EACCES ? "a process that may not be looked at (CAP_SYS_PTRACE)"
				      : "no process that is to be seen");
	return buf;
}

static void say_nobody(const struct net_addr *addr, const char *text, struct doctor_result *r)
{
	char name[32] = "", owner[64], peer[NET_ADDR_TEXT];
	struct sockdiag_socket socket;
	int obstacle = doctor_listener_obstacle(addr, &socket);

	if (obstacle == 0)
		doctor_say(
			r, DOCTOR_FAIL,
			"end it, then start podcred serve; to keep the port free, add it to "
			"net.ipv4.ip_local_reserved_ports",
			"nobody listens on %s, and nobody can: a connection of %s to %s has it",
			text, owner_text(socket.inode, name, owner),
			net_addr_format(socket.remote.ip, socket.remote.port, peer, sizeof(peer)));
	else if (obstacle == -ENOENT)
		doctor_say(r, DOCTOR_FAIL, "start podcred serve; until then pods are refused",
			   "nobody listens on %s", text);
	else
		doctor_say(r, DOCTOR_FAIL, "start podcred serve; until then pods are refused",
			   "nobody listens on %s; whether a connection has it is not known: %s",
			   text, strerror(-obstacle));
}

static void say_outside(const struct doctor *d, const struct sockdiag_socket *listener,
			const char *text, const char *cgroup, struct doctor_result *r)
{
	char name[32] = "", owner[64];

	owner_text(listener->inode, name, owner);
	if (!strcmp(name, "podcred"))
		doctor_say(r, DOCTOR_FAIL,
			   "start it inside: a socket stays in the cgroup that it was created in",
			   "it listens on %s, but in %s and not in %s: it cannot ask who calls",
			   text, cgroup, d->agent);
	else
		doctor_say(r, DOCTOR_FAIL, "stop that, then start podcred serve",
			   "%s is taken by %s in %s: pods are sent there", text, owner, cgroup);
}

/* False: said already. */
static bool check_listener(const struct doctor *d, const struct net_addr *addr,
			   struct doctor_result *r)
{
	struct sockdiag_socket listener = {};
	_cleanup_free_ char *cgroup = NULL;
	char text[NET_ADDR_TEXT];
	int found = net_sockdiag_listener(addr, &listener);

	net_addr_format(addr->ip, addr->port, text, sizeof(text));
	if (found == -ENOENT) {
		say_nobody(addr, text, r);
		return false;
	}
	if (found < 0 || !listener.cgroup_id) {
		doctor_say(r, DOCTOR_SKIP, NULL, "the kernel does not say whose socket has %s: %s",
			   text, found < 0 ? strerror(-found) : "no cgroup in sock_diag");
		return false;
	}
	found = kern_cgroup_path(d->mount, listener.cgroup_id, &cgroup);
	if (found == 0 && is_inside(cgroup, d->agent))
		return true;
	if (found < 0 && found != -ESTALE)
		doctor_say(r, DOCTOR_SKIP, NULL,
			   "cannot tell in which cgroup %s is listened on: %s", text,
			   strerror(-found));
	else
		say_outside(d, &listener, text, cgroup ?: "a removed cgroup", r);
	return false;
}

void doctor_check_agent(struct doctor *d, struct doctor_result *r)
{
	char text[2][NET_ADDR_TEXT] = {"", ""};
	struct net_addr addr;

	d->agent_fails = true;
	for (int i = 0; i < 2; i++) {
		if (!doctor_endpoint(d, i, &addr))
			continue;
		if (!check_listener(d, &addr, r))
			return;
		net_addr_format(addr.ip, addr.port, text[i], sizeof(text[i]));
	}
	d->agent_fails = false;
	doctor_say(r, DOCTOR_OK, NULL, "listens on %s%s%s, in %s", text[0],
		   text[0][0] && text[1][0] ? " and " : "", text[1], d->agent);
}

static bool ipv6_is_off(void)
{
	_cleanup_free_ char *text = NULL;

	if (file_read("/proc/sys/net/ipv6/conf/all/disable_ipv6", 16, &text, NULL) < 0)
		return true; /* not in this kernel, or ipv6.disable=1 */
	return text[0] == '1';
}

/* An address that others can be at, too: not loopback, not link-local. */
static bool node_has_ipv6(void)
{
	struct ifaddrs *list;
	bool found = false;

	if (getifaddrs(&list) < 0)
		return false;
	for (const struct ifaddrs *i = list; i; i = i->ifa_next) {
		const struct sockaddr_in6 *in6 = (const void *)i->ifa_addr;

		if (in6 && in6->sin6_family == AF_INET6 && !IN6_IS_ADDR_LOOPBACK(&in6->sin6_addr) &&
		    !IN6_IS_ADDR_LINKLOCAL(&in6->sin6_addr))
			found = true;
	}
	freeifaddrs(list);
	return found;
}

void doctor_check_ipv6(struct doctor *d, struct doctor_result *r)
{
	struct net_addr addr;
	bool agent = doctor_endpoint(d, 1, &addr), off = ipv6_is_off();

	if (agent && off)
		doctor_say(r, DOCTOR_FAIL,
			   "sysctl net.ipv6.conf.all.disable_ipv6=0, or take the agent's IPv6 "
			   "address out and load again",
			   "switched off, but IPv6 clients are sent to the agent's IPv6 address");
	else if (!agent && !off && node_has_ipv6())
		doctor_say(r, DOCTOR_WARN, "give the agent an IPv6 address and load again",
			   "the node has it, the agent has not: clients with IPv6-only sockets "
			   "fail");
	else
		doctor_say(r, DOCTOR_OK, NULL, "%s",
			   agent ? "on, with an address for the agent" : "not in use");
}
