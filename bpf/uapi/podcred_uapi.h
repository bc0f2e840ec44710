/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * podcred_uapi.h - "which pod is at the other end of this socket?"
 *
 * The contract between podcred's BPF programs and any proxy that accepts connections which
 * podcred redirected. It may be copied into a proxy's own tree. Nothing in it changes meaning;
 * later versions only append fields to struct podcred_peer.
 *
 *	struct podcred_peer peer;
 *	socklen_t len = sizeof(peer);
 *
 *	if (getsockopt(fd, SOL_PODCRED, PODCRED_PEER, &peer, &len) == 0)
 *		printf("pod %s\n", peer.pod_uid);
 *
 * fd is an accepted TCP socket whose listener was created inside the cgroup that podcred was
 * told is the agent's. No capability is needed. errno otherwise:
 *
 *	ENODATA			podcred is attached here, but this connection carries no stamp:
 *				nobody vouches for the caller, refuse it
 *	ENOPROTOOPT, EOPNOTSUPP	podcred is not attached to the cgroup of this socket
 *	EINVAL			len is below PODCRED_PEER_SIZE_V0
 *	EPERM			in place of ENODATA and EINVAL on kernels before 5.18, which
 *				let a BPF program choose no errno
 *
 * Kernel: Linux 5.10 with cgroup v2 and BTF.
 */
#ifndef PODCRED_UAPI_H
#define PODCRED_UAPI_H

#ifndef __VMLINUX_H__
#include <linux/types.h>
#endif

/* getsockopt(2) level and option name. */
#define SOL_PODCRED  0x7063
#define PODCRED_PEER 1
#define PODCRED_POD                                                                                \
	2 /* a __u64: pod_cgroup_id of the same answer alone, 0 for a caller without a
			* stamp, which is no error here and is not counted as one who asks for more */

/* Bits of podcred_peer.flags. */
#define PODCRED_PEER_NAMED                                                                         \
	(1U << 0) /* the pod is known by name; without it the four
					     * name fields are empty, and may be filled in a
					     * later call on the same socket */
#define PODCRED_PEER_DIRECT                                                                        \
	(1U << 1) /* the client dialled the agent's own address; it was
					     * not redirected */
#define PODCRED_PEER_HOST_NETWORK                                                                  \
	(1U << 2) /* the pod runs in the node's network namespace, as
					     * its specification says (only with NAMED) */
#define PODCRED_PEER_IMDSV2                                                                        \
	(1U << 3) /* the policy wants this pod to get nothing from an
					     * instance metadata service without a session token
					     * (only with NAMED) */

#define PODCRED_UID_LEN		    40 /* Kubernetes uid, lower case, dashes; or 32 hex digits */
#define PODCRED_NAMESPACE_LEN	    64 /* RFC 1123 label, NUL-terminated */
#define PODCRED_NAME_LEN	    256 /* RFC 1123 subdomain, NUL-terminated */
#define PODCRED_SERVICE_ACCOUNT_LEN 256

/*
 * Who connected, as the kernel saw it in connect(2). All integers are in host byte order,
 * all strings NUL-terminated and empty when unknown.
 */
struct podcred_peer {
	__u32 size; /* bytes of this struct that the kernel filled */
	__u32 flags; /* PODCRED_PEER_*; unknown bits are to be ignored */
	__u64 cgroup_id; /* cgroup of the connecting task: inode of its directory */
	__u64 pod_cgroup_id; /* its ancestor that is the pod: pod<uid>. Not reused in a boot */
	__u64 netns_cookie; /* network namespace of the client's socket (SO_NETNS_COOKIE) */
	__u64 connect_time_ns; /* CLOCK_BOOTTIME when connect(2) was called */
	__u64 generation; /* of the name below: grows when the pod's record is rewritten */
	__u32 tgid; /* process that connected, in the initial pid namespace */
	__u32 uid; /* its uid, in the initial user namespace */
	__u16 family; /* AF_INET or AF_INET6: family of the address that was dialled; a
				* v4-mapped IPv6 address counts as AF_INET */
	__u16 port; /* port that was dialled */
	__u8 address[16]; /* address that was dialled; IPv4 as ::ffff:a.b.c.d */
	__u8 reserved[4]; /* zero */
	char pod_uid[PODCRED_UID_LEN];
	char pod_namespace[PODCRED_NAMESPACE_LEN];
	char pod_name[PODCRED_NAME_LEN];
	char service_account[PODCRED_SERVICE_ACCOUNT_LEN];
};

/* Size of the first published struct podcred_peer; no caller may pass less. */
#define PODCRED_PEER_SIZE_V0 696

#ifdef __cplusplus
static_assert(sizeof(struct podcred_peer) >= PODCRED_PEER_SIZE_V0, "podcred_peer shrank");
#else
_Static_assert(sizeof(struct podcred_peer) >= PODCRED_PEER_SIZE_V0, "podcred_peer shrank");
#endif

#endif /* PODCRED_UAPI_H */
