/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One end of the socket between podcred serve and podcred fetch, on a loop. serve listens and fetch dials, so that
 * serve never makes a connection. Under podcred run both adopt an end of a pair instead.
 *
 * Everything here is for the thread of the loop. Functions of struct upstream_events are called from the loop, or
 * from within upstream_adopt(); they may call all but upstream_free().
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "upstream/message.h"

struct loop;
struct upstream;

/* What waits to be sent at most: then upstream_send() says -ENOBUFS. */
#define UPSTREAM_QUEUE_MAX 4194304 /* bytes */

#define UPSTREAM_USERS_MAX 4

struct upstream_events {
	/* role: whose message it is. m and its strings are wiped after the call. */
	void (*message)(void *arg, enum upstream_role role, const struct upstream_message *m);
	/* The other end is there, or has gone: what was asked and not answered never will be. */
	void (*state)(void *arg, enum upstream_role role, bool connected);
	/* A line for the log: who was refused or cut off, and why; why nobody can be reached. At most one of
	 * either in ten seconds. */
	void (*trouble)(void *arg, const char *line);
	void *arg;
};

/*
 * For serve: listens at path, where a socket that nobody listens at any more is replaced, with mode 0660. Of those
 * who dial only users[] are let in, by SO_PEERCRED; one connection of each role, of which the newest wins. owner:
 * who gets the socket's file, if this process may give it away; (uid_t)-1: nobody else. path NULL: only what is
 * adopted. events is copied.
 */
struct upstream_user {
	uid_t uid;
	enum upstream_role role; /* the one that it may have */
};
struct upstream_listen_options {
	const char *path;
	struct upstream_user users[UPSTREAM_USERS_MAX];
	size_t n_users;
	uid_t owner;
};
int upstream_listen(struct loop *loop, const struct upstream_listen_options *options,
		    const struct upstream_events *events, struct upstream **ret,
		    struct pc_err *err);

/* For fetch and the resolver, as role: dials path, at once and again and again when that fails or the connection
 * ends, after random waits that grow to ten seconds. path NULL: only what is adopted. */
int upstream_dial(struct loop *loop, const char *path, enum upstream_role role,
		  const struct upstream_events *events, struct upstream **ret, struct pc_err *err);

/* From now on talks over fd, a connected SOCK_SEQPACKET socket, which it closes in any case. It replaces the
 * connection before. Both ends of a pair do so; whoever dials says hello over it, and may do so again on a
 * duplicate of fd. -errno. */
int upstream_adopt(struct upstream *u, int fd);

/* Whether the other end is there. */
bool upstream_is_connected(const struct upstream *u, enum upstream_role role);

/*
 * Sends, or queues what the socket has no room for. role: to whom, of serve; whoever dials talks to serve alone,
 * and gives its own role. 0, -ENOTCONN, -ENOBUFS, or as upstream_encode().
 */
int upstream_send(struct upstream *u, enum upstream_role role, const struct upstream_message *m);

/* NULL is fine. The socket's file stays: the next one to listen replaces it. */
void upstream_free(struct upstream *u);
