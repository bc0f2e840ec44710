// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/text.h"
#include "upstream/internal.h"

#define SOCKET_BUFFER (4 * UPSTREAM_MESSAGE_MAX)

struct packet {
	struct packet *next;
	size_t len;
	char data[];
};

/* ---- sending ---- */

/* 0; -EAGAIN: there is no room; other errors show up as the end of the connection, too. */
static int send_now(const struct conn *conn, const char *data, size_t len)
{
	if (send(conn->fd, data, len, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0)
		return 0;
	return errno == EAGAIN || errno == EINTR || errno == ENOBUFS ? -EAGAIN : -errno;
}

static void drop_first(struct conn *conn)
{
	struct packet *packet = conn->head;

	conn->head = packet->next;
	if (!conn->head)
		conn->tail = &conn->head;
	conn->queued -= packet->len;
	explicit_bzero(packet->data, packet->len);
	free(packet);
}

static int enqueue(struct conn *conn, const char *data, size_t len)
{
	struct packet *packet;

	if (conn->queued + len > UPSTREAM_QUEUE_MAX)
		return -ENOBUFS;
	packet = malloc(sizeof(*packet) + len);
	if (!packet)
		return -ENOMEM;
	packet->next = NULL;
	packet->len = len;
	memcpy(packet->data, data, len);
	*conn->tail = packet;
	conn->tail = &packet->next;
	conn->queued += len;
	loop_watch_change(conn->watch, LOOP_READ | LOOP_WRITE);
	return 0;
}

static void send_queued(struct conn *conn)
{
	while (conn->head) {
		if (send_now(conn, conn->head->data, conn->head->len) == -EAGAIN)
			return;
		drop_first(conn);
	}
	loop_watch_change(conn->watch, LOOP_READ);
}

int upstream_conn_send(struct conn *conn, const struct upstream_message *m)
{
	_cleanup_(text_done) struct text text = {};
	int r = upstream_encode(m, &text);

	if (r == 0 && conn->head)
		return enqueue(conn, text.data, text.len);
	if (r == 0)
		r = send_now(conn, text.data, text.len);
	if (r == -EAGAIN)
		return enqueue(conn, text.data, text.len);
	return r == -EPIPE || r == -ECONNRESET ? -ENOTCONN : r;
}

/* ---- receiving ---- */

static void cut_off(struct conn *conn, const char *why)
{
	upstream_say(conn->u, TROUBLE_PEER, "%s sent %s, and is cut off",
		     conn->u->dials		    ? "podcred serve"
		     : !conn->greeted		    ? "whoever dialled"
		     : conn->role == UPSTREAM_FETCH ? "podcred fetch"
						    : "podcred resolve",
		     why);
	upstream_on_end(conn);
}

static void receive(struct conn *conn, size_t len)
{
	_cleanup_(upstream_decoded_done) struct upstream_decoded d = {};
	struct pc_err err = {};
	int r = upstream_decode(conn->u->buf, len, &d, &err);

	explicit_bzero(conn->u->buf, len);
	if (r < 0)
		cut_off(conn, err.msg);
	else
		upstream_on_message(conn, &d.m);
}

/* One message each time: whoever gets it may end the connection. */
static void on_ready(void *arg, unsigned ready)
{
	struct conn *conn = arg;
	ssize_t n;

	if (ready & LOOP_WRITE)
		send_queued(conn);
	if (!(ready & LOOP_READ))
		return;
	n = recv(conn->fd, conn->u->buf, UPSTREAM_MESSAGE_MAX + 1, MSG_DONTWAIT);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0)
		upstream_on_end(conn);
	else
		receive(conn, (size_t)n);
}

/* ---- from its beginning to its end ---- */

int upstream_conn_open(struct upstream *u, int fd, unsigned may_be, struct conn **ret)
{
	struct conn *conn = calloc(1, sizeof(*conn));
	int size = SOCKET_BUFFER, r;

	if (!conn) {
		close(fd);
		return -ENOMEM;
	}
	*conn = (struct conn){.u = u,
			      .fd = fd,
			      .tail = &conn->head,
			      .since_ns = clock_mono_ns(),
			      .may_be = may_be};
	setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size)); /* a burst fits */
	r = loop_watch(u->loop, fd, LOOP_READ, on_ready, conn, &conn->watch);
	if (r < 0) {
		upstream_conn_close(conn);
		return r;
	}
	*ret = conn;
	return 0;
}

struct conn *upstream_conn_close(struct conn *conn)
{
	if (!conn)
		return NULL;
	loop_unwatch(conn->watch);
	while (conn->head)
		drop_first(conn);
	close(conn->fd);
	free(conn);
	return NULL;
}
