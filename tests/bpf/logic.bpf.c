// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The production functions of bpf/lib behind one program that can be run on demand: the hooks'
 * own program types cannot. Same source, same maps, same verifier. It is a raw tracepoint program
 * that is never attached: SEC("syscall") would give a context that is copied back, but those
 * programs sleep and may not use an LPM trie. So the call is in a map, its slot in the argument.
 */
#include "maps.bpf.h"

#include "logic.h"

/*
 * What the resolver may do on another CPU, done between a look-up of podcred_pods and the first read
 * of what it returned: the record is replaced or deleted, and another pod's takes its memory at once,
 * as the kernel's allocator (since Linux 6.1) gives out first what was freed last on this CPU.
 */
__u32 recycle_times, recycle_back, recycled;
__u64 recycle_pod;
struct podcred_pod recycle_new, recycle_other;

static __always_inline void recycle(const struct podcred_pod *found)
{
	if (!found || !recycle_times)
		return;
	recycle_times--;
	bpf_map_delete_elem(&podcred_pods, &recycle_other.cgroup_id);
	if (recycle_new.cgroup_id)
		bpf_map_update_elem(&podcred_pods, &recycle_pod, &recycle_new, BPF_ANY);
	else
		bpf_map_delete_elem(&podcred_pods, &recycle_pod);
	bpf_map_update_elem(&podcred_pods, &recycle_other.cgroup_id, &recycle_other, BPF_ANY);
	recycled += found->cgroup_id == recycle_other.cgroup_id;
}

/* And before the next look-up it has that memory again. */
static __always_inline void bring_back(void)
{
	if (!recycle_back || !recycled)
		return;
	recycle_back = 0;
	bpf_map_delete_elem(&podcred_pods, &recycle_other.cgroup_id);
	bpf_map_update_elem(&podcred_pods, &recycle_pod, &recycle_new, BPF_ANY);
}

#define IS_PODS(map) __builtin_types_compatible_p(typeof(map), typeof(&podcred_pods))
#define bpf_map_lookup_elem(map, key)                                                              \
	({                                                                                         \
		void *found_;                                                                      \
		if (IS_PODS(map))                                                                  \
			bring_back();                                                              \
		found_ = (bpf_map_lookup_elem)(map, key);                                          \
		if (IS_PODS(map))                                                                  \
			recycle(found_);                                                           \
		found_;                                                                            \
	})

#include "connect.bpf.h"
#include "flow.bpf.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, LOGIC_SLOTS);
	__type(key, __u32);
	__type(value, struct logic_ctx);
} calls SEC(".maps");

/* Keys and flows are copied to the stack first, where the hooks have them. */

static __always_inline void op_addr(struct logic_ctx *ctx)
{
	__u32 a = ctx->words[0], b = ctx->words[1], c = ctx->words[2], d = ctx->words[3];
	struct podcred_addr addr = ctx->dest.addr;

	if (ctx->op == LOGIC_ADDR_V4)
		addr_set_v4(&addr, a);
	else if (ctx->op == LOGIC_ADDR_WORDS)
		addr_set_words(&addr, a, b, c, d);
	else
		ctx->ret = podcred_addr_is_v4(&addr);
	ctx->dest.addr = addr;
}

static __always_inline int op_agent_for(const struct podcred_config *cfg,
					const struct podcred_target_key *dest)
{
	const struct podcred_endpoint *agent = podcred_agent_for(cfg, &dest->addr);

	if (!agent)
		return -1;
	return agent == &cfg->agent[1];
}

static __always_inline void op_dest(struct logic_ctx *ctx, const struct podcred_config *cfg)
{
	struct podcred_target_key dest = ctx->dest;

	if (ctx->op == LOGIC_DEST)
		ctx->ret = dest_action(cfg, &dest);
	else if (ctx->op == LOGIC_SENDMSG)
		ctx->ret = guard_sendmsg(&dest);
	else
		ctx->ret = op_agent_for(cfg, &dest);
}

static __always_inline void op_flow(struct logic_ctx *ctx)
{
	struct podcred_flow_key key = ctx->key;
	struct podcred_flow flow = ctx->flow;
	struct podcred_seal seal = {};

	if (ctx->op == LOGIC_ANNOUNCE) {
		ctx->ret = (__s32)flow_announce(&key, &flow);
	} else if (ctx->op == LOGIC_CLAIM) {
		ctx->ret = flow_claim(&key, &seal);
		ctx->flow.stamp = seal.stamp;
		ctx->way = seal.way;
	} else {
		flow_withdraw(&key, flow.owner);
	}
}

static __noinline void op_way(struct logic_ctx *ctx)
{
	struct podcred_flow_key key = ctx->key;
	struct podcred_way way = ctx->way;
	struct podcred_flow *flow;

	if (ctx->op == LOGIC_WAY) {
		flow_way(&key, ctx->flow.owner, &way);
		return;
	}
	flow = bpf_map_lookup_elem(&podcred_flows_v2, &key);
	if (flow)
		flow_way_copy(flow, flow->owner, &way);
	ctx->ret = flow != NULL;
	ctx->way = way;
}

/* Many flows in one run, so that runs on several CPUs meet inside the functions. */
static __always_inline void op_batch(struct logic_ctx *ctx, const struct podcred_config *cfg)
{
	struct podcred_flow_key key = ctx->key;
	struct podcred_flow flow = ctx->flow;
	struct podcred_seal seal;
	__u32 op = ctx->op;
	int claimed = 0;

	for (int i = 0; i < LOGIC_BATCH; i++) {
		key.isn++;
		if (op == LOGIC_NEW_PODS) {
			flow.stamp.pod_cgroup_id++;
			quota_check(cfg, flow.stamp.pod_cgroup_id);
		}
		if (op != LOGIC_CLAIM_ALL)
			flow_announce(&key, &flow);
		if (op != LOGIC_NEW_PODS)
			claimed += flow_claim(&key, &seal);
	}
	ctx->ret = claimed;
}

static __always_inline void op_pass(struct logic_ctx *ctx)
{
	struct podcred_peer_key key = {.client = ctx->key.client,
				       .agent = ctx->key.agent,
				       .client_port = ctx->key.client_port,
				       .agent_port = ctx->key.agent_port};
	struct podcred_pass pass = {.pod_cgroup_id = ctx->pod, .owner = ctx->flow.owner};
	__u32 op = ctx->op;
	int noted = 0;

	if (op == LOGIC_PASS_QUOTA) {
		ctx->ret = (__s32)pass_quota_check(pass.pod_cgroup_id);
	} else if (op == LOGIC_PASS) {
		ctx->ret = (__s32)pass_note(&key, &pass);
	} else if (op == LOGIC_PASS_END) {
		pass_end(&key, pass.owner);
	} else {
		for (int i = 0; i < LOGIC_BATCH; i++) {
			/* Or clang enters the loop behind the load, which Linux 6.1 refuses. */
			asm volatile("" ::: "memory");
			key.client_port++;
			noted += !pass_note(&key, &pass);
			pass_end(&key, pass.owner);
		}
		ctx->ret = noted;
	}
}

static __always_inline struct cgroup *own_cgroup(void)
{
	struct task_struct *task = (void *)bpf_get_current_task();

	return BPF_CORE_READ(task, cgroups, dfl_cgrp);
}

static __always_inline void op_ident(struct logic_ctx *ctx, const struct podcred_config *cfg)
{
	struct pod_tree tree = pod_tree_get(cfg);
	__u64 pod = ctx->pod;

	switch (ctx->op) {
	case LOGIC_POD_AT:
		pod = pod_at(&tree, tree.kubepods, ctx->first, ctx->second);
		break;
	case LOGIC_POD_OF_TASK:
		pod = pod_of_task(&tree);
		break;
	case LOGIC_POD_OF_CGROUP:
		pod = pod_of_cgroup(&tree, own_cgroup());
		break;
	case LOGIC_CALLER:
		ctx->ret = (__s32)caller_of(cfg, NULL, &pod);
		break;
	case LOGIC_POD_FLAGS:
		ctx->ret = (__s32)pod_flags(pod);
		break;
	}
	ctx->pod = pod;
}

SEC("raw_tp")
int podcred_logic(struct bpf_raw_tracepoint_args *args)
{
	const struct podcred_config *cfg = config_get();
	__u32 slot = (__u32)args->args[0];
	struct logic_ctx *ctx = bpf_map_lookup_elem(&calls, &slot);

	if (!cfg || !ctx)
		return 1;
	switch (ctx->op) {
	case LOGIC_ADDR_V4 ... LOGIC_ADDR_IS_V4:
		op_addr(ctx);
		break;
	case LOGIC_DEST ... LOGIC_AGENT_FOR:
		op_dest(ctx, cfg);
		break;
	case LOGIC_ANNOUNCE ... LOGIC_WITHDRAW:
		op_flow(ctx);
		break;
	case LOGIC_WAY:
	case LOGIC_WAY_COPY:
		op_way(ctx);
		break;
	case LOGIC_CHURN ... LOGIC_CLAIM_ALL:
		op_batch(ctx, cfg);
		break;
	case LOGIC_QUOTA:
		ctx->ret = (__s32)quota_check(cfg, ctx->pod);
		break;
	case LOGIC_PASS ... LOGIC_PASS_CHURN:
		op_pass(ctx);
		break;
	case LOGIC_POD_AT ... LOGIC_POD_FLAGS:
		op_ident(ctx, cfg);
		break;
	case LOGIC_LEVEL:
		ctx->ret = BPF_CORE_READ(own_cgroup(), level);
		break;
	default:
		return 1;
	}
	return 0;
}
