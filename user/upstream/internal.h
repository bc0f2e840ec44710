/* SPDX-License-Identifier: Apache-2.0 */
/* Shared by upstream.c (whom to talk to), socket.c (the file) and conn.c (one connection). */
#pragma once

#include "base/loop.h"
#include "upstream/upstream.h"

/* Of those who dialled and have not said who they are. */
#define PENDING_MAX 4

/* So that a stranger who dials again and again hides nothing of what a peer does. */
enum trouble {
	TROUBLE_DOOR, /* dialling and accepting */
	TROUBLE_PEER,
	TROUBLES,
};

struct packet;

/* One connection. It is freed by upstream_conn_close() only. */
struct conn {
	struct upstream *u;
	int fd;
	struct loop_watch *watch;
	struct packet *head, **tail; /* what the socket had no room for */
	size_t queued; /* bytes of it */
	uint64_t since_ns;
	unsigned may_be; /* roles, as bits */
	bool greeted; /* role is known */
	enum upstream_role role;
};

struct upstream {
	struct loop *loop;
	struct upstream_events events;
	char *path; /* NULL: only what is adopted */
	char *buf; /* one packet and one byte */
	uint64_t said_ns[TROUBLES]; /* when the last one was told */
	struct conn *conns[UPSTREAM_ROLES]; /* greeted; of whoever dials, its own role's alone */
	/* serve */
	int listener;
	struct loop_watch *watch;
	struct conn *pending[PENDING_MAX]; /* the oldest first */
	struct upstream_user users[UPSTREAM_USERS_MAX];
	size_t n_users;
	/* whoever dials */
	bool dials;
	enum upstream_role role;
	struct loop_timer *retry;
	unsigned delay_ms;
};

/* A line for the log, unless there was one of its kind just now. */
__attribute__((format(printf, 3, 4))) void upstream_say(struct upstream *u, enum trouble kind,
							const char *fmt, ...);

/* Takes fd, also on error. may_be: roles, as bits. */
int upstream_conn_open(struct upstream *u, int fd, unsigned may_be, struct conn **ret);
struct conn *upstream_conn_close(struct conn *conn);
int upstream_conn_send(struct conn *conn, const struct upstream_message *m);

/* conn.c calls these as the last thing it does with a connection. */
void upstream_on_message(struct conn *conn, const struct upstream_message *m);
void upstream_on_end(struct conn *conn);

/* A listening socket at path, nobody else's. A descriptor, or -errno. */
int upstream_socket_listen(const char *path, uid_t owner, struct pc_err *err);

/* A connected one; -ENOENT, -ECONNREFUSED and the like. */
int upstream_socket_dial(const char *path);
