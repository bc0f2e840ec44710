// SPDX-License-Identifier: Apache-2.0
#include "internal.h"

#include <linux/netfilter.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "cleanup.h"

/* bpf(BPF_LINK_CREATE) for a netfilter program, as linux/bpf.h has it from 6.4 on. */
struct link_create_netfilter {
	uint32_t prog_fd, target_fd, attach_type, flags;
	uint32_t pf, hooknum;
	int32_t priority;
	uint32_t netfilter_flags;
};

/*
 * Before source NAT (100), so that the packet still shows its sender. Whatever else sits at the
 * very same priority blocks ours and the other way round, so odd numbers that nobody uses; and
 * several, because the link of the load before stays until this one is in place.
 */
static const int32_t priorities[] = {-5, -7, -9, -11, -13, -15, -17, -19};

int netfilter_link_create(int prog_fd, int family)
{
	for (size_t i = 0; i < ARRAY_SIZE(priorities); i++) {
		struct link_create_netfilter attr = {
			.prog_fd = (uint32_t)prog_fd,
			.attach_type = ATTACH_TYPE_NETFILTER,
			.pf = (uint32_t)family,
			.hooknum = NF_INET_POST_ROUTING,
			.priority = priorities[i],
		};
		long fd = syscall(SYS_bpf, BPF_LINK_CREATE, &attr, sizeof(attr));

		if (fd >= 0)
			return (int)fd;
		if (errno != EBUSY)
			return -errno;
	}
	return -EBUSY;
}
