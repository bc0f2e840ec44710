// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * cgroup/getsockopt, on the agent's cgroup: tells a proxy who is at the other end of its accepted
 * socket. Answers come only from the stamp sealed on that socket.
 */
#include "addr.bpf.h"
#include "copy.bpf.h"
#include "maps.bpf.h"
#include "verdict.bpf.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

#define SOL_IP		 0
#define SOL_IPV6	 41
#define SO_ORIGINAL_DST	 80 /* the same number in SOL_IP and SOL_IPV6 */
#define KERNEL_PAGE_SIZE 4096

/* Set by the loader over an older load that has them: connections that were accepted before. */
const volatile __u8 have_sealed_v1 = 0;

struct {
	__uint(type, BPF_MAP_TYPE_SK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct podcred_stamp);
} podcred_sealed SEC(".maps");

static __noinline const struct podcred_stamp *sealed(struct bpf_sockopt *ctx)
{
	struct bpf_sock *sk = ctx->sk;
	const struct podcred_stamp *stamp;

	if (!sk)
		return NULL;
	stamp = bpf_sk_storage_get(&podcred_sealed_v2, sk, NULL, 0); /* its first member */
	if (!stamp && have_sealed_v1)
		stamp = bpf_sk_storage_get(&podcred_sealed, sk, NULL, 0);
	return stamp;
}

_Static_assert(!__builtin_offsetof(struct podcred_seal, stamp), "a seal begins with the stamp");

static __always_inline int answered(struct bpf_sockopt *ctx, int len)
{
	ctx->retval = 0;
	ctx->optlen = len;
	return VERDICT_ALLOW;
}

static __always_inline int failed(int error)
{
	if (!have_set_retval)
		return VERDICT_REFUSE; /* EPERM is all that this kernel can say */
	bpf_set_retval(-error);
	return VERDICT_ALLOW;
}

/*
 * Copy the pod's names; 0: there are none. The resolver rewrites records while we read, and the kernel
 * recycles the memory of a replaced one at once, maybe for another pod. So look up again afterwards:
 * only an unchanged record under the same key was copied whole.
 */
static __always_inline int name_peer(struct podcred_peer *peer)
{
	const struct podcred_pod *pod, *again;
	__u64 id = peer->pod_cgroup_id, generation, seen;
	__u32 flags;

	pod = bpf_map_lookup_elem(&podcred_pods, &id);
	if (!pod)
		return 0;
	generation = *(const volatile __u64 *)&pod->generation; /* first: ident.bpf.h */
	flags = *(const volatile __u32 *)&pod->flags;
	if (!(flags & PODCRED_POD_NAMED))
		return 0;
	seen = flags ^ generation;
	seen ^= COPY(&peer->pod_uid, &pod->uid);
	seen ^= COPY(&peer->pod_namespace, &pod->name_space);
	seen ^= COPY(&peer->pod_name, &pod->name);
	seen ^= COPY(&peer->service_account, &pod->service_account);
	id = after(id, seen);
	again = bpf_map_lookup_elem(&podcred_pods, &id);
	if (!again || again != pod || again->cgroup_id != id || again->generation != generation) {
		count(PODCRED_REASON_name_changing);
		return 0;
	}
	peer->flags |= PODCRED_PEER_NAMED;
	if (flags & PODCRED_POD_HOST_NETWORK)
		peer->flags |= PODCRED_PEER_HOST_NETWORK;
	if (flags & PODCRED_POD_IMDSV2)
		peer->flags |= PODCRED_PEER_IMDSV2;
	peer->generation = generation;
	return 1;
}

static __always_inline void forget_names(struct podcred_peer *peer)
{
	__builtin_memset(peer->pod_uid, 0, sizeof(peer->pod_uid));
	__builtin_memset(peer->pod_namespace, 0, sizeof(peer->pod_namespace));
	__builtin_memset(peer->pod_name, 0, sizeof(peer->pod_name));
	__builtin_memset(peer->service_account, 0, sizeof(peer->service_account));
}

/*
 * A process of the node asks the agent for what it has for pods alone. It counts here and not where the
 * connection is accepted, as no proxy needs to know who asks whether it is alive.
 */
static __noinline void note_outsider(struct bpf_sockopt *ctx)
{
	struct podcred_addr own, other;
	struct decision decision = {.addr = &own,
				    .source = &other,
				    .protocol = IPPROTO_TCP,
				    .hook = PODCRED_HOOK_accept};
	struct bpf_sock *sk = ctx->sk;

	if (!sk)
		return;
	if (sk->family == PODCRED_AF_INET) {
		addr_set_v4(&own, sk->src_ip4);
		addr_set_v4(&other, sk->dst_ip4);
	} else {
		addr_set_words(&own, sk->src_ip6[0], sk->src_ip6[1], sk->src_ip6[2],
			       sk->src_ip6[3]);
		addr_set_words(&other, sk->dst_ip6[0], sk->dst_ip6[1], sk->dst_ip6[2],
			       sk->dst_ip6[3]);
	}
	if (!podcred_addr_is_same(&own, &other))
		return; /* counted where it was accepted */
	decision.port = (__u16)sk->src_port;
	decision.source_port = bpf_ntohs((__u16)sk->dst_port);
	conclude(NULL, &decision, PODCRED_REASON_unstamped_node);
}

/* Every byte is written: what the buffer holds before is not ours. */
static __always_inline int answer_peer(struct bpf_sockopt *ctx)
{
	const struct podcred_stamp *stamp = sealed(ctx);
	struct podcred_peer *peer = ctx->optval;

	if ((void *)(peer + 1) > ctx->optval_end)
		return failed(EINVAL);
	if (!stamp) {
		note_outsider(ctx);
		return failed(ENODATA);
	}
	peer->size = sizeof(*peer);
	peer->flags = stamp->flags;
	peer->cgroup_id = stamp->cgroup_id;
	peer->pod_cgroup_id = stamp->pod_cgroup_id;
	peer->netns_cookie = stamp->netns_cookie;
	peer->connect_time_ns = stamp->time_ns;
	peer->generation = 0;
	peer->tgid = stamp->tgid;
	peer->uid = stamp->uid;
	peer->family = stamp->family;
	peer->port = stamp->port;
	__builtin_memcpy(peer->address, stamp->addr.ip, sizeof(peer->address));
	__builtin_memset(peer->reserved, 0, sizeof(peer->reserved));
	if (!name_peer(peer))
		forget_names(peer);
	return answered(ctx, sizeof(*peer));
}

static __always_inline int answer_pod(struct bpf_sockopt *ctx)
{
	const struct podcred_stamp *stamp = sealed(ctx);
	__u64 *pod = ctx->optval;

	if ((void *)(pod + 1) > ctx->optval_end)
		return failed(EINVAL);
	*pod = stamp ? stamp->pod_cgroup_id : 0;
	return answered(ctx, sizeof(*pod));
}

/* What a transparent proxy asks after iptables REDIRECT. Without a stamp, or with one of the
 * other family, the kernel's own answer stands. */
static __always_inline int answer_original_v4(struct bpf_sockopt *ctx)
{
	const struct podcred_stamp *stamp = sealed(ctx);
	struct sockaddr_in *sin = ctx->optval;

	if (!stamp || stamp->family != PODCRED_AF_INET || (void *)(sin + 1) > ctx->optval_end)
		return VERDICT_ALLOW;
	__builtin_memset(sin, 0, sizeof(*sin));
	sin->sin_family = PODCRED_AF_INET;
	sin->sin_port = bpf_htons(stamp->port);
	sin->sin_addr.s_addr = *(const podcred_word *)&stamp->addr.ip[12];
	return answered(ctx, sizeof(*sin));
}

static __always_inline int answer_original_v6(struct bpf_sockopt *ctx)
{
	const struct podcred_stamp *stamp = sealed(ctx);
	struct sockaddr_in6 *sin6 = ctx->optval;

	if (!stamp || stamp->family != PODCRED_AF_INET6 || (void *)(sin6 + 1) > ctx->optval_end)
		return VERDICT_ALLOW;
	__builtin_memset(sin6, 0, sizeof(*sin6));
	sin6->sin6_family = PODCRED_AF_INET6;
	sin6->sin6_port = bpf_htons(stamp->port);
	__builtin_memcpy(&sin6->sin6_addr, stamp->addr.ip, sizeof(sin6->sin6_addr));
	return answered(ctx, sizeof(*sin6));
}

SEC("cgroup/getsockopt")
int podcred_getsock(struct bpf_sockopt *ctx)
{
	if (ctx->level == SOL_PODCRED && ctx->optname == PODCRED_PEER)
		return answer_peer(ctx);
	if (ctx->level == SOL_PODCRED && ctx->optname == PODCRED_POD)
		return answer_pod(ctx);
	if (ctx->level == SOL_IP && ctx->optname == SO_ORIGINAL_DST)
		return answer_original_v4(ctx);
	if (ctx->level == SOL_IPV6 && ctx->optname == SO_ORIGINAL_DST)
		return answer_original_v6(ctx);
	/* An option of the kernel's own that is larger than what we were shown: leave it whole. */
	if (ctx->optlen > KERNEL_PAGE_SIZE)
		ctx->optlen = 0;
	return VERDICT_ALLOW;
}
