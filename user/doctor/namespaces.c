// SPDX-License-Identifier: Apache-2.0
/* Does this process run in a namespace from which the pods can be seen? */
#include "doctor/checks.h"

#include <inttypes.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/plural.h"
#include "node/ifaces.h"

#ifndef SO_NETNS_COOKIE
#define SO_NETNS_COOKIE 71
#endif

/* The initial network namespace: its inode since Linux 6.18, its cookie before that. */
#define INIT_NETNS_INODE  0xEFFFFFF9U
#define INIT_NETNS_COOKIE 1

void doctor_check_cgroup_namespace(struct doctor *d, struct doctor_result *r)
{
	if (d->mount)
		doctor_say(r, DOCTOR_OK, NULL, "%s is the root of the hierarchy", d->mount);
	else
		doctor_say_err(r, DOCTOR_FAIL, &d->mount_err);
}

static void ignore_gap(void *arg, const struct ifaces_gap *gap)
{
	(void)arg;
	(void)gap;
}

void doctor_check_interfaces(struct doctor *d, struct doctor_result *r)
{
	struct pc_err err = {};

	if (doctor_say_gaps(d, r, "interface"))
		return;
	if (node_ifaces_find_past_node(d->options->pin_dir, d->mount, ignore_gap, NULL, &err) < 0)
		doctor_say(r, DOCTOR_SKIP, NULL,
			   "the interfaces of pods cannot be seen from here (root, hostPID: true)");
	else
		doctor_say(r, DOCTOR_OK, NULL, "packets of all pods pass by the programs");
}

void doctor_check_path(struct doctor *d, struct doctor_result *r)
{
	const struct ways *ways = &d->truth.ways;
	size_t bridged = node_ways_count(ways, WAYS_BRIDGED);

	if (doctor_say_gaps(d, r, "path"))
		return;
	if (bridged) /* else a gap */
		doctor_say(r, DOCTOR_WARN,
			   "drop NET_RAW from pods that you do not trust with their neighbours' "
			   "credentials",
			   "connections by %zu interface%s of pods cross a bridge, as %s", bridged,
			   plural(bridged), node_ways_off_text(ways->off));
	else if (node_ways_count(ways, WAYS_LACKING))
		doctor_say(r, DOCTOR_SKIP, NULL, "interfaces have no program, see interfaces");
	else
		doctor_say(
			r, DOCTOR_OK, NULL,
			"connections to the agent: %zu interface%s past a bridge, %zu without one",
			node_ways_count(ways, WAYS_CARRIED),
			plural(node_ways_count(ways, WAYS_CARRIED)),
			node_ways_count(ways, WAYS_DIRECT));
}

void doctor_check_network_namespace(struct doctor *d, struct doctor_result *r)
{
	_cleanup_close_ int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	socklen_t len = sizeof(uint64_t);
	uint64_t cookie = 0;
	struct stat st = {};

	(void)d;
	stat("/proc/self/ns/net", &st);
	if (fd < 0 || getsockopt(fd, SOL_SOCKET, SO_NETNS_COOKIE, &cookie, &len) < 0)
		cookie = 0;
	if (st.st_ino == INIT_NETNS_INODE || cookie == INIT_NETNS_COOKIE)
		doctor_say(r, DOCTOR_OK, NULL, "the node's");
	else if (!cookie)
		doctor_say(r, DOCTOR_SKIP, NULL, "this kernel does not tell them apart");
	else
		doctor_say(r, DOCTOR_WARN,
			   "run load and doctor on the node's network (hostNetwork: true), unless "
			   "pods' packets leave through this one",
			   "not the node's first one (inode %" PRIu64
			   "): the packet filter guards the namespace that podcred load ran in",
			   (uint64_t)st.st_ino);
}
