/* SPDX-License-Identifier: Apache-2.0 */
/*
 * podcred.h - libpodcred: "which pod is at the other end of this socket?"
 *
 * A proxy that accepts connections which podcred redirected asks the kernel who connected. One
 * system call answers; no daemon takes part, and no capability is needed. The library is a thin
 * cover over getsockopt(fd, SOL_PODCRED, PODCRED_PEER): it allocates nothing, prints nothing and
 * keeps no state.
 *
 * Common to all functions:
 *
 *   Return      0 on success, a negative errno on failure. errno itself is not part of the
 *               contract. Anything but 0 means: no identity, refuse the connection.
 *   Ownership   The caller owns the descriptor and every buffer. Nothing is to be freed.
 *   Threads     Every function may be called from any thread at any time, also for the same
 *               descriptor, as long as each call has its own output buffers.
 *   Descriptor  An accepted plain TCP socket (not MPTCP). Its listener must have been created by
 *               a process that already was in the cgroup that podcred knows as the agent's.
 *   Kernel      Linux 5.10 with cgroup v2 and BTF, podcred loaded.
 */
#ifndef PODCRED_H
#define PODCRED_H

#include <stddef.h>
#include <sys/socket.h>

#include "podcred_uapi.h"

#ifdef __cplusplus
extern "C" {
#endif

/* The function bears the name of the struct, like stat(2). g++ -Wshadow minds. */
#if defined(__cplusplus) && defined(__GNUC__)
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wshadow"
#endif

#define PODCRED_API __attribute__((visibility("default")))

/**
 * podcred_peer() - tell who connected to an accepted socket
 * @fd: accepted socket
 * @peer: where the identity is stored; untouched unless 0 is returned
 * @size: sizeof(struct podcred_peer) of the caller, at least PODCRED_PEER_SIZE_V0
 *
 * The answer is what the kernel saw in the client's connect(2). It was sealed on the socket before
 * accept(2) returned it, and it stays the same afterwards, with one exception: a pod that is not
 * known by name yet may get its name later. Until then PODCRED_PEER_NAMED is missing from
 * peer->flags, and the pod_uid, pod_namespace, pod_name and service_account fields are empty. A
 * caller that decides by name must check the flag, or call podcred_peer_wait().
 *
 * Integers, the port included, are in host byte order. The address is 16 bytes in network byte
 * order, IPv4 as ::ffff:a.b.c.d. Bytes of *peer that the kernel did not fill, up to @size, are set
 * to zero, so a caller that was built with a newer header sees zero in the fields that an older
 * kernel side does not know.
 *
 * Errors:
 *   -ENODATA      podcred is attached here, but this connection carries no stamp: nobody vouches
 *                 for the caller. Refuse it.
 *   -ENOPROTOOPT  podcred is not attached to the cgroup of this socket, or @fd is a socket of
 *                 another kind. Both errnos that kernels use for this (ENOPROTOOPT, EOPNOTSUPP)
 *                 arrive as this one.
 *   -EINVAL       @size is below PODCRED_PEER_SIZE_V0, or @peer is NULL.
 *   -EPROTO       The kernel's answer is not a struct podcred_peer: too short, or it contradicts
 *                 itself.
 *   -EPERM        Kernels before 5.18 say this in place of -ENODATA. They let a BPF program
 *                 choose no errno.
 *   -EBADF, -ENOTSOCK and others as getsockopt(2) gives them.
 */
PODCRED_API int podcred_peer(int fd, struct podcred_peer *peer, size_t size);

/**
 * podcred_peer_wait() - tell who connected, and wait until the pod is known by name
 * @fd: accepted socket
 * @peer: where the identity is stored; untouched unless 0 or -ETIMEDOUT is returned
 * @size: as for podcred_peer()
 * @timeout_ms: longest wait in milliseconds; 0 asks once, -1 waits for ever
 *
 * Asks like podcred_peer() until the answer has PODCRED_PEER_NAMED, sleeping 1 ms at first and
 * 20 ms in the end between two questions. Time is CLOCK_MONOTONIC. Every error of podcred_peer()
 * ends the wait at once. Signals do not end it, and neither does a client that hangs up: use a
 * timeout.
 *
 * Errors, beside those of podcred_peer():
 *   -ETIMEDOUT    The pod still has no name. *peer holds the unnamed identity: pod_cgroup_id and
 *                 the other numbers are proven and may be logged, the name fields are empty.
 *   -EINVAL       @timeout_ms is below -1.
 */
PODCRED_API int podcred_peer_wait(int fd, struct podcred_peer *peer, size_t size, int timeout_ms);

/**
 * podcred_original_destination() - tell which address the client dialled
 * @fd: accepted socket
 * @addr: where the address is stored, a sockaddr_in or a sockaddr_in6 by its family; a
 *        struct sockaddr_storage has room for both. Untouched unless 0 is returned
 * @len: in: bytes at @addr; out: bytes of the address. Untouched unless 0 is returned
 *
 * The answer comes from the identity of the connection, like that of podcred_peer(). It needs no
 * connection tracking and no iptables, and one call serves both families. A client that dialled a
 * v4-mapped IPv6 address counts as AF_INET. For a client that dialled the agent itself
 * (PODCRED_PEER_DIRECT) it is the agent's own address. Port and address are in network byte order,
 * as in every sockaddr.
 *
 * Errors, beside those of podcred_peer():
 *   -EINVAL       @len is too small for the address, or a pointer is NULL.
 *   -EPROTO       The identity has a family other than AF_INET and AF_INET6.
 */
PODCRED_API int podcred_original_destination(int fd, struct sockaddr *addr, socklen_t *len);

/**
 * podcred_version() - version of the library that is linked, for example "0.1.0"
 *
 * Return: a constant string, never NULL, not to be freed. Versions follow MAJOR.MINOR.PATCH.
 */
PODCRED_API const char *podcred_version(void);

#if defined(__cplusplus) && defined(__GNUC__)
#pragma GCC diagnostic pop
#endif

#ifdef __cplusplus
}
#endif

#endif /* PODCRED_H */
