/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * podcred_reasons.h - the reason of every decision, and what follows from it. A reason is the index of its
 * counter in podcred_stats (per-CPU array).
 */
#ifndef PODCRED_REASONS_H
#define PODCRED_REASONS_H

#include "podcred_uapi.h"

#ifdef __VMLINUX_H__
#define EPERM	     1
#define EAGAIN	     11
#define EACCES	     13
#define ENOBUFS	     105
#define EHOSTUNREACH 113
#else
#include <errno.h>
#endif

enum podcred_class {
	PODCRED_CLASS_note, /* nothing is refused */
	PODCRED_CLASS_fail, /* nothing is refused here, but somebody's connection fails because of it */
	PODCRED_CLASS_refuse, /* the end of this call, connection or packet, unless mode audit lets it pass */
};

/*
 * X(number, name, class, errno, text). Numbers are never reused. docs/reasons.md explains each to a person.
 *
 * The errno is what the pod gets from connect(2) or sendmsg(2), 0 where it gets none. EHOSTUNREACH comes from the
 * kernel, for a socket that was cut off, and so does EPERM, for a packet of a socket.
 */
#define PODCRED_REASONS(X)                                                                         \
	X(0, redirected, note, 0, "connection stamped and sent to the agent")                      \
	X(1, direct, note, 0, "connection dialled to the agent itself, stamped")                   \
	X(2, claimed, note, 0, "stamp sealed on the agent's accepted socket")                      \
	X(3, passed_host, note, 0, "caller is no pod; passed untouched")                           \
	X(4, passed_agent, note, 0, "the agent's own connection; passed untouched")                \
	X(5, denied_destination, refuse, EACCES,                                                   \
	  "refused: this port or protocol of a guarded address")                                   \
	X(6, cross_pod_socket, refuse, EACCES,                                                     \
	  "refused: the socket belongs to another pod than the caller")                            \
	X(7, no_storage, refuse, ENOBUFS, "refused: the socket has no room for the stamp")         \
	X(8, quota, refuse, EAGAIN, "refused: the pod has too many pending connections")           \
	X(9, quota_map_full, refuse, EAGAIN, "refused: no room to count this pod's connections")   \
	X(10, no_agent, refuse, EACCES, "refused: no agent address of this family is configured")  \
	X(11, no_config, refuse, EACCES, "refused: the configuration map is empty")                \
	X(12, flow_map_full, refuse, EHOSTUNREACH,                                                 \
	  "refused: no room among the pending connections")                                        \
	X(13, flow_conflict, refuse, EHOSTUNREACH,                                                 \
	  "refused: another socket has this 4-tuple and sequence number")                          \
	X(14, unstamped, fail, 0,                                                                  \
	  "a connection reached the agent that no pod's connect announced")                        \
	X(15, seal_failed, fail, 0, "the agent's socket has no room for the stamp")                \
	X(16, peers_map_full, note, 0,                                                             \
	  "live connection not listed in podcred_peers_v2; its stamp holds")                       \
	X(17, cgroup_event_lost, note, 0, "cgroup event lost: ring buffer full")                   \
	X(18, unknown_socket, refuse, EACCES, "refused: the socket's cgroup could not be read")    \
	X(19, no_pod, refuse, EACCES,                                                              \
	  "refused: the caller is below kubepods, but in no pod's cgroup")                         \
	X(20, name_changing, note, 0,                                                              \
	  "identity answered without its name: the record was being rewritten")                    \
	X(21, audited, note, 0,                                                                    \
	  "would have been refused; mode audit, or the policy of the pod, let it pass")            \
	X(22, passed_exempt, note, 0, "a policy exempts the pod; passed untouched")                \
	X(23, passed_open, note, 0,                                                                \
	  "the agent's lease has ended and failureMode is open; passed untouched")                 \
	X(24, passed_audit, note, 0, "the destination has action audit; passed untouched")         \
	X(25, denied_policy, refuse, EACCES, "refused: a policy denies this pod")                  \
	X(26, packet_forwarded, refuse, 0,                                                         \
	  "packet dropped: it came from a pod's network, around the hooks")                        \
	X(27, packet_socket, refuse, EPERM,                                                        \
	  "packet dropped: a pod's socket sent it around the hooks")                               \
	X(28, packet_unreadable, refuse, EPERM, "packet dropped: its headers could not be read")   \
	X(29, pass_map_full, fail, 0,                                                              \
	  "no room to note a connection to the real address; its packets may be dropped")          \
	X(30, event_lost, note, 0,                                                                 \
	  "decision not reported: podcred_events is full, nobody reads it")                        \
	X(31, unstamped_node, note, 0,                                                             \
	  "a process of the node itself asked the agent for more than its health")                 \
	X(32, diverted, refuse, EHOSTUNREACH,                                                      \
	  "refused: it did not come to the agent; address translation, or a mesh's sidecar?")      \
	X(33, bound_to_device, refuse, EACCES, "refused: the socket is bound to an interface")     \
	X(34, not_severed, note, 0,                                                                \
	  "a diverted connection could not be cut off; its output is dropped")                     \
	X(35, pass_quota, refuse, EAGAIN,                                                          \
	  "refused: the pod has too many connections to real addresses")                           \
	X(36, pass_conflict, refuse, EHOSTUNREACH,                                                 \
	  "refused: another pod's connection has these addresses and ports")                       \
	X(37, severed, refuse, EACCES,                                                             \
	  "refused: this socket was cut off before, and is good for nothing more")                 \
	X(38, carried, note, 0, "connection carried past the bridge, to the node and back")        \
	X(39, packet_forged, refuse, 0,                                                            \
	  "packet dropped: no connection to the agent of that pod sent it")                        \
	X(40, packet_spoofed, refuse, 0, "packet dropped: a pod sent it in the agent's name")

/* Size of podcred_stats: fixed, so that a release with more reasons keeps the pinned map. */
#define PODCRED_STATS_SIZE 64

enum podcred_reason {
#define X(number, name, class, error, text) PODCRED_REASON_##name = number,
	PODCRED_REASONS(X)
#undef X
		PODCRED_REASON_MAX
};

_Static_assert(PODCRED_REASON_MAX <= PODCRED_STATS_SIZE, "podcred_stats is full");

/* Bits by reason. Both are constants where the argument is one. */
static inline __attribute__((always_inline)) __u64 podcred_reasons_of(enum podcred_class wanted)
{
	__u64 mask = 0;

#define X(number, name, class, error, text)                                                        \
	mask |= (__u64)(PODCRED_CLASS_##class == wanted) << number;
	PODCRED_REASONS(X)
#undef X
	return mask;
}

static inline __attribute__((always_inline)) __u64 podcred_reasons_with(int wanted)
{
	__u64 mask = 0;

#define X(number, name, class, error, text) mask |= (__u64)((error) == wanted) << number;
	PODCRED_REASONS(X)
#undef X
	return mask;
}

static inline __attribute__((always_inline)) int podcred_reason_is(__u32 reason,
								   enum podcred_class class)
{
	return podcred_reasons_of(class) >> (reason & 63) & 1;
}

/* For a call that is refused. */
static inline __attribute__((always_inline)) int podcred_reason_errno(__u32 reason)
{
	__u64 bit = 1ULL << (reason & 63);

	if (podcred_reasons_with(EAGAIN) & bit)
		return EAGAIN;
	if (podcred_reasons_with(ENOBUFS) & bit)
		return ENOBUFS;
	if (podcred_reasons_with(EHOSTUNREACH) & bit)
		return EHOSTUNREACH;
	return podcred_reasons_with(EPERM) & bit ? EPERM : EACCES;
}

#endif /* PODCRED_REASONS_H */
