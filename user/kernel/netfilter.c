// SPDX-License-Identifier: Apache-2.0
#include "kernel/internal.h"

#include <linux/netfilter.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "kernel/insn.h"

/* bpf(BPF_LINK_CREATE) for a netfilter program, as linux/bpf.h has it from 6.4 on. */
struct link_create_netfilter {
	uint32_t prog_fd, target_fd, attach_type, flags;
	uint32_t pf, hooknum;
	int32_t priority;
	uint32_t netfilter_flags;
};

/* What its bpf_link_info says. */
struct link_info_netfilter {
	uint32_t pf, hooknum;
	int32_t priority;
	uint32_t flags;
};

/*
 * Before source NAT (100), so that the packet still shows its sender. Whatever else sits at the
 * very same priority blocks ours and the other way round, so odd numbers that nobody uses; and
 * several, because the link of the load before stays until this one is in place.
 */
static const int32_t priorities[] = {-5, -7, -9, -11, -13, -15, -17, -19};

static int create(int prog_fd, uint32_t family, uint32_t hook, int32_t priority)
{
	struct link_create_netfilter attr = {
		.prog_fd = (uint32_t)prog_fd,
		.attach_type = ATTACH_TYPE_NETFILTER,
		.pf = family,
		.hooknum = hook,
		.priority = priority,
	};
	long fd = syscall(SYS_bpf, BPF_LINK_CREATE, &attr, sizeof(attr));

	return fd < 0 ? -errno : (int)fd;
}

int kern_netfilter_link_create(int prog_fd, int family)
{
	int fd = -EBUSY;

	for (size_t i = 0; fd == -EBUSY && i < ARRAY_SIZE(priorities); i++)
		fd = create(prog_fd, (uint32_t)family, NF_INET_POST_ROUTING, priorities[i]);
	return fd;
}

/*
 * A link that was detached, or is in another network namespace, looks the same when asked. But its
 * priority is free here: a program that lets everything pass gets it, for a moment.
 */
bool kern_netfilter_is_here(const struct bpf_link_info *info)
{
	const struct bpf_insn insns[] = {MOV_IMM(BPF_REG_0, NF_ACCEPT), EXIT()};
	LIBBPF_OPTS(bpf_prog_load_opts, opts, .expected_attach_type = ATTACH_TYPE_NETFILTER);
	_cleanup_close_ int prog = bpf_prog_load(PROG_TYPE_NETFILTER, "podcred_probe", "GPL", insns,
						 ARRAY_SIZE(insns), &opts);
	_cleanup_close_ int link = -EBADF;
	struct link_info_netfilter at;

	memcpy(&at, &info->raw_tracepoint, sizeof(at)); /* the union of all link types */
	if (prog >= 0)
		link = create(prog, at.pf, at.hooknum, at.priority);
	return link < 0; /* when in doubt it is */
}
