// SPDX-License-Identifier: Apache-2.0
/*
 * exclusive - somebody else's program on a cgroup, attached the old way.
 *
 *	exclusive attach|detach CGROUP [multi|override|egress|ingress]
 *
 * On cgroup/connect6, or cgroup_skb/egress or ingress (with the multi flag, as systemd does), without a
 * link: it stays when this process ends. Without a flag it shuts every other program of that hook out, here
 * and below.
 */
#include <fcntl.h>
#include <linux/bpf.h>
#include <stdint.h>
#include <sys/syscall.h>

#include "net.h"

static int sys_bpf(enum bpf_cmd cmd, union bpf_attr *attr)
{
	return (int)syscall(SYS_bpf, cmd, attr, sizeof(*attr));
}

static enum bpf_attach_type hook = BPF_CGROUP_INET6_CONNECT;

static int load(void)
{
	static const struct bpf_insn insns[] = {
		{.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0, .imm = 1},
		{.code = BPF_JMP | BPF_EXIT},
	};
	union bpf_attr attr = {.prog_type = hook == BPF_CGROUP_INET6_CONNECT
						    ? BPF_PROG_TYPE_CGROUP_SOCK_ADDR
						    : BPF_PROG_TYPE_CGROUP_SKB,
			       .expected_attach_type = hook,
			       .insns = (uintptr_t)insns,
			       .insn_cnt = sizeof(insns) / sizeof(insns[0]),
			       .license = (uintptr_t) "GPL",
			       .prog_name = "foreign"};

	return sys_bpf(BPF_PROG_LOAD, &attr);
}

/* The first program of the hook, whoever attached it. */
static int find(int cgroup)
{
	uint32_t ids[16] = {0};
	union bpf_attr query = {.query = {.target_fd = (uint32_t)cgroup,
					  .attach_type = hook,
					  .prog_ids = (uintptr_t)ids,
					  .prog_cnt = 16}};
	union bpf_attr get = {0};

	if (sys_bpf(BPF_PROG_QUERY, &query) < 0)
		return -1;
	get.prog_id = ids[0];
	return sys_bpf(BPF_PROG_GET_FD_BY_ID, &get);
}

int main(int argc, char **argv)
{
	union bpf_attr attr = {0};
	bool attach = argc > 1 && !strcmp(argv[1], "attach");
	const char *flag = argc > 3 ? argv[3] : "";
	bool filter = !strcmp(flag, "egress") || !strcmp(flag, "ingress");
	int cgroup, prog;

	if (argc < 3) {
		fprintf(stderr,
			"usage: exclusive attach|detach CGROUP [multi|override|egress|ingress]\n");
		return 2;
	}
	cgroup = open(argv[2], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (cgroup < 0)
		die(argv[2]);
	if (filter)
		hook = flag[0] == 'e' ? BPF_CGROUP_INET_EGRESS : BPF_CGROUP_INET_INGRESS;
	attr.attach_type = hook;
	prog = attach ? load() : find(cgroup);
	if (prog < 0)
		die("program");
	attr.target_fd = (uint32_t)cgroup;
	attr.attach_bpf_fd = (uint32_t)prog;
	if (attach && (filter || !strcmp(flag, "multi")))
		attr.attach_flags = BPF_F_ALLOW_MULTI;
	else if (attach && !strcmp(flag, "override"))
		attr.attach_flags = BPF_F_ALLOW_OVERRIDE;
	if (sys_bpf(attach ? BPF_PROG_ATTACH : BPF_PROG_DETACH, &attr) < 0)
		die(argv[1]);
	return 0;
}
