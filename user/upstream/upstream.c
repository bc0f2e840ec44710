// SPDX-License-Identifier: Apache-2.0
#include "upstream/upstream.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "upstream/internal.h"

#define QUIET_NS     (10 * CLOCK_S) /* between lines for the log */
#define DELAY_MIN_MS 50
#define DELAY_MAX_MS 10000
#define GOOD_WHILE_S 10 /* one that lasted so long is no failure */

#define BIT(type) (1U << (type))
#define ANY_ROLE  (BIT(UPSTREAM_ROLES) - 1)

/* What may come from there, and what each may be sent by serve. */
static const unsigned to_serve[UPSTREAM_ROLES] = {
	[UPSTREAM_FETCH] = BIT(UPSTREAM_GRANT) | BIT(UPSTREAM_VERDICT) | BIT(UPSTREAM_DOCUMENT) |
			   BIT(UPSTREAM_REFUSAL) | BIT(UPSTREAM_KEYS) | BIT(UPSTREAM_FLUSH),
	[UPSTREAM_RESOLVE] = BIT(UPSTREAM_GONE),
};
static const unsigned from_serve[UPSTREAM_ROLES] = {
	[UPSTREAM_FETCH] = BIT(UPSTREAM_CREDENTIALS) | BIT(UPSTREAM_REVIEW) |
			   BIT(UPSTREAM_METADATA) | BIT(UPSTREAM_WANT_KEYS) | BIT(UPSTREAM_GONE),
	[UPSTREAM_RESOLVE] = 0,
};

void upstream_say(struct upstream *u, enum trouble kind, const char *fmt, ...)
{
	uint64_t now = clock_mono_ns();
	char line[1024];
	va_list ap;

	if (u->said_ns[kind] && now - u->said_ns[kind] < QUIET_NS)
		return;
	u->said_ns[kind] = now;
	va_start(ap, fmt);
	vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	u->events.trouble(u->events.arg, line);
}

/* ---- who is connected ---- */

static void forget_pending(struct upstream *u, const struct conn *conn)
{
	for (size_t i = 0; i < PENDING_MAX; i++) {
		if (u->pending[i] != conn)
			continue;
		memmove(&u->pending[i], &u->pending[i + 1],
			(PENDING_MAX - 1 - i) * sizeof(u->pending[0]));
		u->pending[PENDING_MAX - 1] = NULL;
		return;
	}
}

static void add_pending(struct upstream *u, struct conn *conn)
{
	size_t n = 0;

	while (n < PENDING_MAX && u->pending[n])
		n++;
	if (n == PENDING_MAX) {
		struct conn *oldest = u->pending[0];

		forget_pending(u, oldest);
		upstream_conn_close(oldest);
		n--;
	}
	u->pending[n] = conn;
}

static void lose(struct upstream *u, enum upstream_role role)
{
	if (!u->conns[role])
		return;
	u->conns[role] = upstream_conn_close(u->conns[role]);
	u->events.state(u->events.arg, role, false);
}

/* The newest wins. */
static void enter(struct upstream *u, struct conn *conn, enum upstream_role role)
{
	lose(u, role);
	conn->greeted = true;
	conn->role = role;
	u->conns[role] = conn;
	u->events.state(u->events.arg, role, true);
}

static void put_off(struct upstream *u, bool good)
{
	uint32_t random = 0;

	u->delay_ms = good || !u->delay_ms ? DELAY_MIN_MS : u->delay_ms * 2;
	if (u->delay_ms > DELAY_MAX_MS)
		u->delay_ms = DELAY_MAX_MS;
	if (getrandom(&random, sizeof(random), GRND_NONBLOCK) < 0)
		random = 0;
	loop_timer_after(u->retry, (u->delay_ms / 2 + random % u->delay_ms) * CLOCK_MS);
}

void upstream_on_end(struct conn *conn)
{
	struct upstream *u = conn->u;
	bool good = clock_mono_ns() - conn->since_ns >= GOOD_WHILE_S * CLOCK_S;

	if (!conn->greeted) {
		forget_pending(u, conn);
		upstream_conn_close(conn);
		return;
	}
	if (u->dials && u->path)
		put_off(u, good);
	lose(u, conn->role);
}

/* ---- messages ---- */

static void refuse(struct conn *conn, const char *what)
{
	struct upstream *u = conn->u;

	upstream_say(u, TROUBLE_PEER, "%s: %s is cut off", what,
		     u->dials ? "podcred serve" : "the peer");
	upstream_on_end(conn);
}

static void greet(struct conn *conn, const struct upstream_message *m)
{
	char what[80];

	if (m->type != UPSTREAM_HELLO) {
		refuse(conn, "the first message is not \"hello\"");
		return;
	}
	if (m->hello.version != UPSTREAM_VERSION) {
		snprintf(what, sizeof(what), "it speaks version %llu of the protocol, not %d",
			 (unsigned long long)m->hello.version, UPSTREAM_VERSION);
		refuse(conn, what);
		return;
	}
	if (!(conn->may_be & BIT(m->hello.role))) {
		refuse(conn, "its user may not have that role");
		return;
	}
	forget_pending(conn->u, conn);
	enter(conn->u, conn, m->hello.role);
}

void upstream_on_message(struct conn *conn, const struct upstream_message *m)
{
	const struct upstream *u = conn->u;
	char what[80];

	if (!conn->greeted) {
		greet(conn, m);
		return;
	}
	/* a new owner of the same connection says it again */
	if (!u->dials && m->type == UPSTREAM_HELLO && m->hello.role == conn->role &&
	    m->hello.version == UPSTREAM_VERSION)
		return;
	if ((u->dials ? from_serve : to_serve)[conn->role] & BIT(m->type)) {
		u->events.message(u->events.arg, conn->role, m);
		return;
	}
	snprintf(what, sizeof(what), "a message \"%s\" does not belong here",
		 upstream_type_name(m->type));
	refuse(conn, what);
}

bool upstream_is_connected(const struct upstream *u, enum upstream_role role)
{
	return u->conns[role];
}

int upstream_send(struct upstream *u, enum upstream_role role, const struct upstream_message *m)
{
	if (!u->conns[role])
		return -ENOTCONN;
	if (!((u->dials ? to_serve : from_serve)[role] & BIT(m->type)))
		return -EINVAL;
	return upstream_conn_send(u->conns[role], m);
}

/* ---- either end ---- */

static int new_upstream(struct loop *loop, const char *path, const struct upstream_events *events,
			struct upstream **ret)
{
	struct upstream *u = calloc(1, sizeof(*u));

	if (!u)
		return -ENOMEM;
	u->loop = loop;
	u->events = *events;
	u->listener = -EBADF;
	u->buf = malloc(UPSTREAM_MESSAGE_MAX + 1);
	u->path = path ? strdup(path) : NULL;
	if (!u->buf || (path && !u->path)) {
		upstream_free(u);
		return -ENOMEM;
	}
	*ret = u;
	return 0;
}

static int say_hello(struct conn *conn, enum upstream_role role)
{
	const struct upstream_message m = {.type = UPSTREAM_HELLO,
					   .hello = {UPSTREAM_VERSION, role}};

	return upstream_conn_send(conn, &m);
}

/* Takes fd. */
static int take(struct upstream *u, int fd, unsigned may_be)
{
	struct conn *conn;
	int r = upstream_conn_open(u, fd, may_be, &conn);

	if (r < 0)
		return r;
	if (!u->dials) {
		add_pending(u, conn);
		return 0;
	}
	r = say_hello(conn, u->role);
	if (r < 0)
		upstream_conn_close(conn);
	else
		enter(u, conn, u->role);
	return r;
}

int upstream_adopt(struct upstream *u, int fd)
{
	return take(u, fd, ANY_ROLE);
}

void upstream_free(struct upstream *u)
{
	if (!u)
		return;
	for (size_t i = 0; i < UPSTREAM_ROLES; i++)
		upstream_conn_close(u->conns[i]);
	for (size_t i = 0; i < PENDING_MAX; i++)
		upstream_conn_close(u->pending[i]);
	loop_unwatch(u->watch);
	loop_timer_free(u->retry);
	cleanup_close(&u->listener);
	if (u->buf)
		explicit_bzero(u->buf, UPSTREAM_MESSAGE_MAX + 1);
	free(u->buf);
	free(u->path);
	free(u);
}

/* ---- serve ---- */

/* The roles of whoever dialled, as bits. */
static unsigned roles_of(const struct upstream *u, int fd, struct ucred *peer)
{
	socklen_t len = sizeof(*peer);
	unsigned roles = 0;

	*peer = (struct ucred){.uid = (uid_t)-1};
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, peer, &len) < 0)
		return 0;
	for (size_t i = 0; i < u->n_users; i++)
		if (u->users[i].uid == peer->uid)
			roles |= BIT(u->users[i].role);
	return roles;
}

static void on_dialled(void *arg, unsigned ready);

static int watch_listener(struct upstream *u)
{
	return loop_watch(u->loop, u->listener, LOOP_READ, on_dialled, u, &u->watch);
}

static void listen_again(void *arg)
{
	struct upstream *u = arg;

	if (watch_listener(u) < 0)
		loop_timer_after(u->retry, CLOCK_S);
}

/* The loop would turn and turn while there is no descriptor for it. */
static void pause_listener(struct upstream *u, int error)
{
	upstream_say(u, TROUBLE_DOOR, "cannot accept at %s: %s; trying again", u->path,
		     strerror(error));
	u->watch = loop_unwatch(u->watch);
	loop_timer_after(u->retry, CLOCK_S);
}

static void on_dialled(void *arg, unsigned ready)
{
	struct upstream *u = arg;
	int fd = accept4(u->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	struct ucred peer;
	unsigned roles;

	(void)ready;
	if (fd < 0 && (errno == EMFILE || errno == ENFILE || errno == ENOMEM))
		pause_listener(u, errno);
	if (fd < 0)
		return;
	roles = roles_of(u, fd, &peer);
	if (roles) {
		take(u, fd, roles);
		return;
	}
	upstream_say(u, TROUBLE_DOOR, "refused process %d of user %d at %s: that user may not",
		     (int)peer.pid, (int)peer.uid, u->path);
	close(fd);
}

static int open_listener(struct upstream *u, uid_t owner, struct pc_err *err)
{
	int r;

	u->listener = upstream_socket_listen(u->path, owner, err);
	if (u->listener < 0)
		return u->listener;
	r = loop_timer_new(u->loop, listen_again, u, &u->retry);
	if (r == 0)
		r = watch_listener(u);
	return r < 0 ? pc_err_set(err, r, "cannot wait at %s: %s", u->path, strerror(-r)) : 0;
}

int upstream_listen(struct loop *loop, const struct upstream_listen_options *options,
		    const struct upstream_events *events, struct upstream **ret, struct pc_err *err)
{
	struct upstream *u;
	int r = new_upstream(loop, options->path, events, &u);

	if (r < 0)
		return pc_err_set(err, r, "out of memory");
	memcpy(u->users, options->users, sizeof(u->users));
	u->n_users = options->n_users;
	if (u->path)
		r = open_listener(u, options->owner, err);
	if (r < 0) {
		upstream_free(u);
		return r;
	}
	*ret = u;
	return 0;
}

/* ---- whoever dials ---- */

static void dial(void *arg)
{
	struct upstream *u = arg;
	int fd = upstream_socket_dial(u->path), r = fd;

	if (fd >= 0)
		r = take(u, fd, ANY_ROLE);
	if (r >= 0)
		return;
	upstream_say(u, TROUBLE_DOOR, "cannot reach podcred serve at %s: %s; trying again", u->path,
		     strerror(-r));
	put_off(u, false);
}

int upstream_dial(struct loop *loop, const char *path, enum upstream_role role,
		  const struct upstream_events *events, struct upstream **ret, struct pc_err *err)
{
	struct upstream *u;
	int r = new_upstream(loop, path, events, &u);

	if (r == 0) {
		u->dials = true;
		u->role = role;
		r = loop_timer_new(loop, dial, u, &u->retry);
		if (r < 0)
			upstream_free(u);
	}
	if (r < 0)
		return pc_err_set(err, r, "cannot dial %s: %s", path ?: "serve", strerror(-r));
	if (path)
		loop_timer_after(u->retry, 0);
	*ret = u;
	return 0;
}
