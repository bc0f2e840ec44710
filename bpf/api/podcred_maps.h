/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * podcred_maps.h - keys and values of podcred's maps, shared by the BPF programs and the loader.
 *
 * Private to one release, but the maps are pinned: a map whose layout changes gets a new name
 * (podcred_flows_v2), so that an old pin is never read with a new struct.
 *
 * Addresses are those of podcred_addr.h. Ports of type __be16 are in network byte order, as the
 * connect hooks have them; those of type __u16 are in host byte order.
 */
#ifndef PODCRED_MAPS_H
#define PODCRED_MAPS_H

#include "podcred_uapi.h"

#include "podcred_addr.h"
#include "podcred_reasons.h"

#ifndef __VMLINUX_H__
#include <stddef.h>
#endif

#define PODCRED_AF_INET	 2
#define PODCRED_AF_INET6 10

/* ---- podcred_config_v2: array of one, written by the loader alone ---- */

struct podcred_endpoint {
	struct podcred_addr addr;
	__be16 port; /* 0: no such endpoint */
	__u8 _pad[6];
};

#define PODCRED_CONFIG_PATH_LEN 256
#define PODCRED_QOS_NAME_LEN	64

struct podcred_config {
	__u64 agent_pod_id; /* pod-level cgroup of the agent when it is a pod itself: its own
				 * connections pass untouched. 0: the agent is no pod */
	__u64 agent_cgroup_id; /* where the claim is attached */
	__u32 kubepods_level; /* depth of kubepods below the root of the hierarchy */
	__u32 max_flows_per_pod; /* pending connections that one pod may have */
	__u8 audit; /* 1: count and report what would be refused, refuse nothing */
	__u8 fail_open; /* 1: pass to the real address once the agent's lease has ended */
	__u8 _pad[6];
	struct podcred_endpoint agent[2]; /* [0] IPv4, [1] IPv6: where redirected clients go */
	__u64 guard_filter[16]; /* bit podcred_filter_bit(&addr) is 0: podcred_guard has no entry
				 * for addr but an agent's own, do not look. All ones is always
				 * right */
	/* How to know kubepods and its QoS cgroups again when they are removed and created again.
	 * Paths begin at the root of the hierarchy, with a slash; NUL-padded. */
	char kubepods_path[PODCRED_CONFIG_PATH_LEN];
	char guard_path[PODCRED_CONFIG_PATH_LEN];
	char agent_path[PODCRED_CONFIG_PATH_LEN];
	char qos_name[2][PODCRED_QOS_NAME_LEN]; /* burstable, besteffort */
};

/* The agent's endpoint at an address, NULL: none. */
static inline __attribute__((always_inline)) const struct podcred_endpoint *podcred_agent_at(
	const struct podcred_config *config, const struct podcred_addr *addr)
{
	if (config->agent[0].port && podcred_addr_is_same(addr, &config->agent[0].addr))
		return &config->agent[0];
	if (config->agent[1].port && podcred_addr_is_same(addr, &config->agent[1].addr))
		return &config->agent[1];
	return NULL;
}

/* ---- podcred_runtime: array of __u64, one fact each, so that no writer overwrites another ---- */

enum podcred_runtime {
	PODCRED_RUNTIME_KUBEPODS, /* cgroup id of the kubepods root; 0: not there yet */
	PODCRED_RUNTIME_BURSTABLE, /* of its QoS cgroups; 0: not there yet */
	PODCRED_RUNTIME_BESTEFFORT,
	PODCRED_RUNTIME_LEASE, /* the agent was alive; holds until then (CLOCK_BOOTTIME ns) */
	PODCRED_RUNTIME_TRACE, /* report allowed decisions too until then (CLOCK_BOOTTIME ns) */
	PODCRED_RUNTIME_WITHOUT, /* kernel features that the load did without: the loader's bits */
	PODCRED_RUNTIME_RESOLVER_READY, /* since when the resolver follows pods (CLOCK_BOOTTIME
					 * ns); 0: none does */
	PODCRED_RUNTIME_RESOLVER_SEEN, /* when it said so last (CLOCK_BOOTTIME ns) */
	PODCRED_RUNTIME_LIST_READ, /* as of when the list of pods is complete: when the file was read
				    * last, or the API server was last heard of (CLOCK_BOOTTIME ns);
				    * 0: the resolver has read none yet */
	PODCRED_RUNTIME_LIST_PODS, /* that it names */
	PODCRED_RUNTIME_LIST_SKIPPED, /* that it could not use */
	PODCRED_RUNTIME_NETNS, /* the network namespace whose interfaces are watched: its inode */
	PODCRED_RUNTIME_LIST_ABSENT, /* that should run, when none of them does below kubepods */
	PODCRED_RUNTIME_SLOTS = 16
};

/* ---- podcred_source: array of one, written by the resolver: where the names of pods come from. For
 * people; no program reads it ---- */

enum podcred_source_kind {
	PODCRED_SOURCE_NONE,
	PODCRED_SOURCE_FILE,
	PODCRED_SOURCE_API,
};

#define PODCRED_SOURCE_ERRORS 16

struct podcred_source_error {
	char name[24]; /* "": no such class */
	__u64 n;
};

struct podcred_source {
	__u32 kind; /* enum podcred_source_kind */
	__u32 in_touch; /* API: 1: changes are followed */
	__u64 since_ns; /* API: since when in_touch is what it is (CLOCK_BOOTTIME) */
	__u64 lists, watches, events, bookmarks; /* API: since the resolver started */
	__u64 refused; /* API: events that would have made a pod another one */
	__u64 full; /* pods that podcred_pods has no room for */
	struct podcred_source_error errors[PODCRED_SOURCE_ERRORS];
	char from[256]; /* the file, or the API server */
	char node[256]; /* API: of whose pods */
	char why[512]; /* what is wrong with it, and the next step; "": nothing */
};

#define PODCRED_FILTER_V4_BITS 24 /* of a v4 address, and of a v6 one, that the filter looks at; */
#define PODCRED_FILTER_V6_BITS 48 /* a shorter prefix in podcred_guard sets every bit */

/* Addresses of one IPv4 /24, or one IPv6 /48, share a bit. */
static inline __attribute__((always_inline)) __u32 podcred_filter_bit(
	const struct podcred_addr *addr)
{
	const podcred_word *word = (const podcred_word *)addr->ip;
	__u32 mixed = podcred_addr_is_v4(addr)
			      ? word[3] & PODCRED_WORD_FIRST_THREE
			      : word[0] ^ ((word[1] & PODCRED_WORD_FIRST_TWO) << 7);

	return (__u32)(mixed * 0x9e3779b1u) >> 22;
}

/* ---- podcred_guard: LPM trie of the addresses that podcred owns ----
 * podcred_targets: hash of the exceptions, by port and protocol, on those addresses; asked first.
 * A destination in neither is none of our business. */

enum podcred_action {
	PODCRED_ACTION_ALLOW = 0, /* pass untouched */
	PODCRED_ACTION_REDIRECT = 1, /* stamp and rewrite to the agent */
	PODCRED_ACTION_DENY = 2,
	PODCRED_ACTION_STAMP = 3, /* stamp, leave the address: the agent's own */
	PODCRED_ACTION_AUDIT = 4, /* pass untouched, count and report */
};

#define PODCRED_GUARD_MAX   256
#define PODCRED_TARGETS_MAX 2048

struct podcred_guard_key {
	__u32 prefixlen; /* 0..128; an IPv4 /n is 96 + n */
	struct podcred_addr addr;
};

struct podcred_target_key {
	struct podcred_addr addr;
	__be16 port;
	__u8 protocol; /* IPPROTO_* */
	__u8 _pad;
};

struct podcred_action_value {
	__u8 action; /* enum podcred_action */
	__u8 _pad[3];
};

/* ---- podcred_pods: pod-level cgroup id (__u64) -> struct podcred_pod ----
 *
 * One entry for each pod-level cgroup that exists. Kubelets are made for 110 pods; the largest limit
 * in use is some 700. */

#define PODCRED_PODS_MAX 8192

#define PODCRED_POD_NAMED	 (1U << 0) /* name fields are filled */
#define PODCRED_POD_HOST_NETWORK (1U << 1)
#define PODCRED_POD_STATIC	 (1U << 2) /* uid is the kubelet's config hash */
#define PODCRED_POD_EXEMPT	 (1U << 3) /* by policy: goes to the real address */
#define PODCRED_POD_DENIED	 (1U << 4) /* by policy: gets no credentials at all */
#define PODCRED_POD_AUDIT	 (1U << 5) /* by policy: what would be refused is let through */
#define PODCRED_POD_IMDSV2	 (1U << 6) /* by policy: no IMDS without a session token */
#define PODCRED_POD_ANNOTATED	 (1U << 7) /* an annotation of the pod made its policy stricter */
#define PODCRED_POD_NO_LABELS	 (1U << 8) /* its labels are not known */

struct podcred_pod {
	__u64 cgroup_id; /* its own key: a reader checks it, as elements are recycled */
	__u64 generation;
	__u32 flags; /* PODCRED_POD_* */
	__u32 policy_line; /* of the rule in the resolver's configuration; 0: none */
	char uid[PODCRED_UID_LEN];
	char name_space[PODCRED_NAMESPACE_LEN];
	char name[PODCRED_NAME_LEN];
	char service_account[PODCRED_SERVICE_ACCOUNT_LEN];
};

/* ---- the stamp: what connect(2) proved about the caller ---- */

struct podcred_stamp {
	__u64 cgroup_id;
	__u64 pod_cgroup_id;
	__u64 netns_cookie;
	__u64 time_ns; /* CLOCK_BOOTTIME */
	struct podcred_addr addr; /* dialled */
	__u32 tgid;
	__u32 uid;
	__u16 port; /* dialled */
	__u16 family; /* of addr: PODCRED_AF_INET or PODCRED_AF_INET6 */
	__u32 flags; /* PODCRED_PEER_DIRECT */
};

/* ---- podcred_flows_v2: pending connections, from TCP_CONNECT_CB to the claim ----
 *
 * The 4-tuple alone would let another pod answer for this one (a private namespace with cloned
 * addresses, IP_TRANSPARENT); the client's initial sequence number is what tells them apart. */

struct podcred_flow_key {
	struct podcred_addr client;
	struct podcred_addr agent;
	__u16 client_port; /* host byte order: people read these maps */
	__u16 agent_port;
	__u32 isn;
};

struct podcred_flow {
	struct podcred_stamp stamp;
	__u64 owner; /* socket cookie: only the socket that wrote an entry deletes it */
	__u64 conflict_ns; /* not 0: two sockets produced this key (CLOCK_BOOTTIME); the entry
			    * stamps nobody and stays until the resolver sweeps it */
	__u64 answer; /* PODCRED_FLOW_ANSWERED and the sequence number that the agent's side
		       * answers the SYN with; 0: no SYN has come there. One word: it is written
		       * on one CPU and read on another */
	__u64 way; /* PODCRED_FLOW_WAY of the interface that the SYN came out of and the owner; 0:
		    * none has come by. One word, too */
	__u8 way_mac[6]; /* that the SYN came from */
	__u8 _pad[2];
};

#define PODCRED_FLOW_ANSWERED (1ULL << 32)

/* The owner's low half tells whose word it is, should the entry be recycled while it is written. */
#define PODCRED_FLOW_WAY(ifindex, owner) ((__u64)(__u32)(owner) << 32 | (__u32)(ifindex))

/* podcred_flows: the layout before that, without the answer. A load over one claims from it, too,
 * as connections are on their way while it swaps the programs. */
struct podcred_flow_v1 {
	struct podcred_stamp stamp;
	__u64 owner;
	__u64 conflict_ns;
};

/* ---- podcred_paths: the node's end of a pod's interface (__u32 ifindex) -> the way to the agent ----
 *
 * Written by the resolver for each interface that podcred_veth is attached to, before it is attached;
 * not at all while the agent's address is not the node's own. */

struct podcred_path {
	__u32 gateway; /* ifindex of the node's device that the bridge leads to; 0: no bridge, or one
			* whose device is not known */
	__u8 mac[6]; /* that device's */
	__u8 _pad[2];
};

/* Where the answers to a connection go, past the bridge. */
struct podcred_way {
	__u32 ifindex; /* the node's end of the pod's interface; 0: not known, they go by the bridge */
	__u8 mac[6]; /* the pod's end */
	__u8 _pad[6];
};

/* What the agent's accepted socket has. */
struct podcred_seal {
	struct podcred_stamp stamp;
	struct podcred_way way;
};

/* ---- podcred_peers_v2: live connections to the agent, by what its accepted socket sees ----
 *
 * Value: struct podcred_seal. podcred_tails: LRU hash of those that ended, value struct podcred_way:
 * the kernel still answers for them, without a socket, and without payload. */

struct podcred_peer_key {
	struct podcred_addr client;
	struct podcred_addr agent;
	__u16 client_port; /* host byte order: people read these maps */
	__u16 agent_port;
};

/* ---- podcred_passes_v3: live connections to guarded addresses that connect(2) let through ----
 *
 * Key: struct podcred_peer_key, with the real address as agent. Addresses and ports are easily
 * borrowed: a packet is one of the connection when its socket is the pod's, or, when it has none
 * (TIME_WAIT, a reset), when it comes out of the interface that the pod's own packets come out of.
 *
 * podcred_ended: the same of those that have ended, for what they have still to say. podcred_passes_v2
 * held both, as an LRU: a load over one carries its entries over. */

struct podcred_pass {
	__u64 pod_cgroup_id;
	__u64 owner; /* socket cookie: only the socket that wrote an entry ends it */
	__u64 closed_ns; /* CLOCK_BOOTTIME, in podcred_ended; else 0 */
	__u32 ifindex; /* the node's end of the pod's interface, as a packet of the socket showed; 0:
			* none has come by yet */
	__u32 _pad;
};

#define PODCRED_PASS_GRACE_NS 10000000000ULL

#define PODCRED_PASSES_MAX     65536
#define PODCRED_PASSES_PER_POD 512
#define PODCRED_ENDED_MAX      16384
#define PODCRED_ENDED_PER_POD  128 /* that a pod may add in PODCRED_PASS_GRACE_NS */

/* ---- podcred_pass_quota: pod-level cgroup id (__u64) -> what of podcred_passes_v3 is that pod's ---- */

struct podcred_pass_quota {
	__s64 open;
	__u64 since_ns; /* CLOCK_BOOTTIME: from when on ended counts */
	__u64 ended;
};

/* ---- podcred_tickets: LRU hash, TCP segments that may go to a guarded address ----
 *
 * Behind the pod's interface a packet has lost its socket, and its source may be translated. So where
 * it is known to be rightful that is written down for the hooks behind, under what stays as it is.
 * Value: __u64, CLOCK_BOOTTIME. */

struct podcred_ticket_key {
	struct podcred_addr dest;
	__u32 seq, ack, rest; /* as in the packet; rest: data offset, flags, window */
	__u16 dest_port; /* host byte order */
	__u16 _pad;
};

#define PODCRED_TICKET_NS 1000000000ULL /* how long a packet may be on its way through the node */

/* ---- podcred_quota: pod-level cgroup id (__u64) -> pending flows of that pod ---- */

struct podcred_quota {
	__s64 pending;
};

/* ---- socket storage (cannot be pinned usefully nor listed by bpftool) ---- */

enum podcred_client_pass {
	PODCRED_PASS_NONE,
	PODCRED_PASS_WANTED, /* connect(2) let it through; sockops has yet to note it */
	PODCRED_PASS_NOTED, /* in podcred_passes_v3, under flow's addresses and ports */
};

/* Whether the connection has come to the agent. Until that is proved the socket takes no data. */
enum podcred_client_proof {
	PODCRED_PROOF_NONE, /* proved, or there is nothing to prove */
	PODCRED_PROOF_AWAITED, /* the flow is announced */
	PODCRED_PROOF_FAILED, /* the socket is cut off, for good */
};

struct podcred_client {
	struct podcred_stamp stamp;
	struct podcred_flow_key flow; /* valid when has_flow */
	__u8 announce; /* connect(2) stamped this socket; sockops has yet to record the flow */
	__u8 has_flow; /* flow was recorded by this socket */
	__u8 redirected; /* the peer address is the agent's; getpeername must show stamp.addr */
	__u8 pass; /* enum podcred_client_pass */
	__u8 prove; /* enum podcred_client_proof */
	__u8 _pad;
	__u16 interface; /* low bits of the ifindex that the agent's answers go to; 0: not noted */
};

/* ---- podcred_told: pod-level cgroup id (__u64) -> when a diverted connection of that pod was
 * last reported (__u64, CLOCK_BOOTTIME) ---- */

/* ---- podcred_cgroups: ring buffer, life of pod-level cgroups ---- */

enum podcred_cgroup_op {
	PODCRED_CGROUP_MKDIR = 1,
	PODCRED_CGROUP_RMDIR = 2,
};

#define PODCRED_CGROUP_PATH_LEN 512

struct podcred_cgroup_event {
	__u64 cgroup_id;
	__u64 time_ns; /* CLOCK_MONOTONIC */
	__u32 op; /* enum podcred_cgroup_op */
	__u32 level; /* depth below the root of the hierarchy */
	char path[PODCRED_CGROUP_PATH_LEN]; /* from the root of the hierarchy; cut when longer */
};

/* ---- podcred_events: ring buffer, decisions for `podcred trace` ---- */

enum podcred_hook {
	PODCRED_HOOK_connect = 1,
	PODCRED_HOOK_sendmsg, /* datagrams */
	PODCRED_HOOK_announce, /* sockops on the client's side */
	PODCRED_HOOK_accept, /* sockops on the agent's side; addr is the agent's, source the caller's */
	PODCRED_HOOK_egress, /* packet of a pod's socket, in the pod's network namespace */
	PODCRED_HOOK_postrouting, /* packet that leaves the node's network namespace */
	PODCRED_HOOK_ingress, /* packet that a pod's interface delivers to the node */
	PODCRED_HOOK_uplink, /* packet of a socket of the node, at the interface */
};

enum podcred_event_verdict {
	PODCRED_EVENT_ALLOWED,
	PODCRED_EVENT_REFUSED,
	PODCRED_EVENT_AUDITED, /* would have been refused; mode audit let it pass */
};

struct podcred_event {
	__u64 time_ns; /* CLOCK_BOOTTIME */
	__u64 cgroup_id; /* leaf, of the task or of the packet's socket; 0: not known */
	__u64 pod_cgroup_id; /* 0: no pod, or not known */
	struct podcred_addr addr; /* destination */
	struct podcred_addr source; /* zeros where it is not known */
	__u16 port; /* of addr; 0: none, or not known */
	__u16 source_port;
	__u8 protocol; /* IPPROTO_* */
	__u8 hook; /* enum podcred_hook */
	__u8 verdict; /* enum podcred_event_verdict */
	__u8 reason; /* enum podcred_reason */
	__u32 tgid; /* of the calling task; 0 at packet hooks, which run in any context */
	__u32 uid;
	char comm[16];
};

/* Offsets are part of the contract with what is pinned. */
_Static_assert(sizeof(struct podcred_peer) == PODCRED_PEER_SIZE_V0, "podcred_peer");
_Static_assert(sizeof(struct podcred_config) == 1104, "podcred_config");
_Static_assert(sizeof(struct podcred_guard_key) == 20, "podcred_guard_key");
_Static_assert(sizeof(struct podcred_target_key) == 20, "podcred_target_key");
_Static_assert(sizeof(struct podcred_source) == 1600, "podcred_source");
_Static_assert(sizeof(struct podcred_pod) == 640, "podcred_pod");
_Static_assert(sizeof(struct podcred_stamp) == 64, "podcred_stamp");
_Static_assert(sizeof(struct podcred_flow_key) == 40, "podcred_flow_key");
_Static_assert(sizeof(struct podcred_flow) == 104, "podcred_flow");
_Static_assert(sizeof(struct podcred_flow_v1) == 80, "podcred_flow_v1");
_Static_assert(sizeof(struct podcred_path) == 12, "podcred_path");
_Static_assert(sizeof(struct podcred_seal) == 80, "podcred_seal");
_Static_assert(sizeof(struct podcred_peer_key) == 36, "podcred_peer_key");
_Static_assert(sizeof(struct podcred_client) == 112, "podcred_client");
_Static_assert(sizeof(struct podcred_cgroup_event) == 536, "podcred_cgroup_event");
_Static_assert(sizeof(struct podcred_pass) == 32, "podcred_pass");
_Static_assert(sizeof(struct podcred_pass_quota) == 24, "podcred_pass_quota");
_Static_assert(sizeof(struct podcred_ticket_key) == 32, "podcred_ticket_key");
_Static_assert(sizeof(struct podcred_event) == 88, "podcred_event");

#endif /* PODCRED_MAPS_H */
