// SPDX-License-Identifier: Apache-2.0
#include "http/desk.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/eventfd.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/addr.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/loop.h"
#include "http/internal.h"

#define PEER_SIZE 256

/* Two have it: the request, in threads of the server, and whoever is to answer, in the loop's. */
struct http_ticket {
	STAILQ_ENTRY(http_ticket) queued;
	struct http_desk *desk;
	uint64_t key; /* of its parking */
	struct http_ask ask;
	struct http_field *fields;
	struct text body;
	char *words; /* all other text of the ask */
	size_t words_len;
	char peer[PEER_SIZE], client[NET_ADDR_TEXT];
	/* under the desk's lock */
	bool gone; /* the request has ended */
	bool answered;
	struct http_response answer; /* once it is answered */
};

struct http_desk {
	struct http_desk_options options;
	struct http_server *server; /* the loop's; NULL: stopped */
	struct loop_watch *turn_watch, *queue_watch;
	struct loop_timer *turn_timer;
	int queue_fd;
	atomic_uint_fast64_t keys;
	pthread_mutex_t lock;
	STAILQ_HEAD(, http_ticket) queue; /* for the loop */
	unsigned waiting; /* tickets of the loop, queued ones too */
	bool stopped;
};

/* ---- lives ---- */

static void free_desk(struct http_desk *desk)
{
	pthread_mutex_destroy(&desk->lock);
	free(desk);
}

static void free_ticket(struct http_ticket *ticket)
{
	http_response_done(&ticket->answer);
	text_done(&ticket->body);
	if (ticket->words)
		explicit_bzero(ticket->words, ticket->words_len);
	free(ticket->words);
	free(ticket->fields);
	free(ticket);
}

/* The loop's side ends. */
static void finish(struct http_ticket *ticket, struct http_response *resp)
{
	struct http_desk *desk = ticket->desk;
	bool gone, last;

	pthread_mutex_lock(&desk->lock);
	gone = ticket->gone;
	ticket->answered = true;
	if (!gone) {
		ticket->answer = *resp;
		*resp = (struct http_response){};
	}
	last = --desk->waiting == 0 && desk->stopped;
	pthread_mutex_unlock(&desk->lock);
	http_response_done(resp);
	if (gone)
		free_ticket(ticket);
	if (last)
		free_desk(desk);
}

void http_ticket_answer(struct http_ticket *ticket, struct http_response *resp)
{
	struct http_server *server = ticket->desk->server;
	uint64_t key = ticket->key;

	finish(ticket, resp);
	if (server)
		http_wake(server, key);
}

/* The request's side ends. */
void http_desk_gone(void *slot)
{
	struct http_ticket *ticket = slot;
	struct http_desk *desk = ticket->desk;
	bool answered;

	pthread_mutex_lock(&desk->lock);
	answered = ticket->answered;
	ticket->gone = true;
	pthread_mutex_unlock(&desk->lock);
	if (answered)
		free_ticket(ticket);
}

/* ---- the copy ---- */

struct copy {
	struct http_ticket *ticket;
	size_t n_fields, len; /* so far; in the first pass, without words */
};

static const char *copy_word(struct copy *c, const char *word, size_t len)
{
	char *at = c->ticket->words ? c->ticket->words + c->len : NULL;

	c->len += len + 1;
	if (!at)
		return NULL;
	memcpy(at, word, len);
	at[len] = '\0';
	return at;
}

static void copy_header(void *arg, const char *name, size_t name_len, const char *value,
			size_t value_len)
{
	struct copy *c = arg;
	const struct http_field field = {.name = copy_word(c, name, name_len),
					 .value = copy_word(c, value, value_len)};

	if (c->ticket->fields)
		c->ticket->fields[c->n_fields] = field;
	c->n_fields++;
}

static void copy_words(struct copy *c, const struct http_request *req)
{
	const struct http_head *head = http_request_head(req);

	c->ticket->ask.method = copy_word(c, head->method, strlen(head->method));
	c->ticket->ask.target = copy_word(c, head->target, strlen(head->target));
	http_request_each_header(req, copy_header, c);
}

static int copy_text(struct http_ticket *ticket, const struct http_request *req)
{
	struct copy first = {.ticket = ticket}, second = {.ticket = ticket};

	copy_words(&first, req);
	ticket->words = malloc(first.len);
	ticket->fields = calloc(first.n_fields + 1, sizeof(*ticket->fields));
	if (!ticket->words || !ticket->fields)
		return -ENOMEM;
	ticket->words_len = first.len;
	copy_words(&second, req);
	ticket->ask.fields = ticket->fields;
	ticket->ask.n_fields = second.n_fields;
	return 0;
}

static int take_body(struct http_ticket *ticket, struct http_request *req)
{
	ticket->body = req->body;
	req->body = (struct text){};
	text_add_bytes(&ticket->body, "", 1);
	ticket->ask.body = ticket->body.data;
	ticket->ask.body_len = ticket->body.len - 1;
	return text_error(&ticket->body);
}

static unsigned refusal(const struct http_head *head)
{
	if (head->too_large)
		return 413;
	return head->ambiguous ? 400 : 0;
}

static struct http_ticket *make_ticket(struct http_desk *desk, struct http_request *req)
{
	struct http_ticket *ticket = calloc(1, sizeof(*ticket));

	if (!ticket)
		return NULL;
	ticket->desk = desk;
	ticket->key = atomic_fetch_add(&desk->keys, 1);
	ticket->ask.refuse = refusal(http_request_head(req));
	ticket->ask.since_ns = http_request_since_ns(req);
	ticket->ask.peer = http_request_peer(req, ticket->peer, sizeof(ticket->peer));
	ticket->ask.client = http_request_client(req, ticket->client, sizeof(ticket->client)) ?: "";
	if (copy_text(ticket, req) == 0 && take_body(ticket, req) == 0)
		return ticket;
	free_ticket(ticket);
	return NULL;
}

const char *http_ask_get(const struct http_ask *ask, const char *name, size_t *ret_count)
{
	const char *value = NULL;
	size_t n = 0;

	for (size_t i = 0; i < ask->n_fields; i++)
		if (!strcasecmp(ask->fields[i].name, name) && n++ == 0)
			value = ask->fields[i].value;
	if (ret_count)
		*ret_count = n;
	return value;
}

const struct http_ask *http_ticket_ask(const struct http_ticket *ticket)
{
	return &ticket->ask;
}

/* ---- in threads of the server ---- */

/* false: there are too many, or the end has come. */
static bool enqueue(struct http_desk *desk, struct http_ticket *ticket)
{
	const uint64_t one = 1;
	bool may, first;

	pthread_mutex_lock(&desk->lock);
	may = !desk->stopped && desk->waiting < desk->options.waiting_max;
	first = STAILQ_EMPTY(&desk->queue);
	if (may) {
		desk->waiting++;
		STAILQ_INSERT_TAIL(&desk->queue, ticket, queued);
	}
	pthread_mutex_unlock(&desk->lock);
	return may && (!first || write(desk->queue_fd, &one, sizeof(one)) == sizeof(one));
}

static int refuse(struct http_response *resp)
{
	http_response_begin(resp, 503, "text/plain");
	http_response_add_header(resp, "Retry-After", "1");
	text_add(&resp->body, "too many requests wait, or this one took too long; try again\n");
	return HTTP_DONE;
}

static int begin(struct http_desk *desk, struct http_request *req)
{
	struct http_ticket *ticket = make_ticket(desk, req);

	if (!ticket)
		return -ENOMEM;
	if (!enqueue(desk, ticket)) {
		free_ticket(ticket);
		return -EBUSY;
	}
	req->slot = ticket;
	return 0;
}

static bool take_answer(struct http_ticket *ticket, struct http_response *ret)
{
	struct http_desk *desk = ticket->desk;
	bool answered;

	pthread_mutex_lock(&desk->lock);
	answered = ticket->answered;
	if (answered) {
		*ret = ticket->answer;
		ticket->answer = (struct http_response){};
	}
	pthread_mutex_unlock(&desk->lock);
	return answered;
}

static int on_request(void *ctx, struct http_request *req, struct http_response *resp)
{
	struct http_desk *desk = ctx;
	struct http_ticket *ticket;
	int r = req->slot ? 0 : begin(desk, req);

	if (r < 0)
		return r == -EBUSY ? refuse(resp) : r;
	ticket = req->slot;
	if (take_answer(ticket, resp))
		return HTTP_DONE;
	r = http_park(req, http_request_since_ms(req) + desk->options.deadline_ms, ticket->key);
	return r == -ETIMEDOUT || r == -ESHUTDOWN ? refuse(resp) : r;
}

/* ---- in the loop ---- */

static struct http_ticket *dequeue(struct http_desk *desk)
{
	struct http_ticket *ticket;

	pthread_mutex_lock(&desk->lock);
	ticket = STAILQ_FIRST(&desk->queue);
	if (ticket)
		STAILQ_REMOVE_HEAD(&desk->queue, queued);
	pthread_mutex_unlock(&desk->lock);
	return ticket;
}

static unsigned count_queued(struct http_desk *desk)
{
	struct http_ticket *ticket;
	unsigned n = 0;

	pthread_mutex_lock(&desk->lock);
	STAILQ_FOREACH(ticket, &desk->queue, queued) n++;
	pthread_mutex_unlock(&desk->lock);
	return n;
}

/* Those that are there now: others come in the next turn, after the loop's other work. */
static void on_queue(void *arg, unsigned ready)
{
	struct http_desk *desk = arg;
	struct http_ticket *ticket;
	unsigned n;
	uint64_t ignored;

	(void)ready;
	if (read(desk->queue_fd, &ignored, sizeof(ignored)) < 0)
		return;
	n = count_queued(desk);
	for (; n && (ticket = dequeue(desk)); n--)
		desk->options.handle(desk->options.arg, ticket);
	ignored = 1;
	if (count_queued(desk) && write(desk->queue_fd, &ignored, sizeof(ignored)) < 0)
		return; /* it is readable already */
}

static void turn(void *arg)
{
	struct http_desk *desk = arg;
	int ms = http_turn(desk->server);

	loop_timer_after(desk->turn_timer, (uint64_t)ms * CLOCK_MS);
}

static void on_turn(void *arg, unsigned ready)
{
	(void)ready;
	turn(arg);
}

/* Each address has its own, so that no single client takes the connections of the others. */
static uint64_t share_of(void *ctx, int fd)
{
	struct sockaddr_storage sa = {};
	socklen_t len = sizeof(sa);
	uint64_t share = 14695981039346656037U;
	struct net_addr addr;

	(void)ctx;
	if (getpeername(fd, (struct sockaddr *)&sa, &len) < 0 ||
	    net_addr_from_sockaddr((struct sockaddr *)&sa, &addr) < 0)
		return HTTP_SHARE_UNKNOWN;
	for (size_t i = 0; i < sizeof(addr.ip); i++) /* FNV-1a */
		share = (share ^ addr.ip[i]) * 1099511628211U;
	return http_share_is_known(share) ? share : 1;
}

static int start_server(struct http_desk *desk, struct pc_err *err)
{
	struct http_options o = desk->options.server;

	o.ctx = desk;
	o.handle = on_request;
	o.share = share_of;
	o.refused = NULL;
	o.poll = NULL;
	o.tick = NULL;
	return http_start(&o, &desk->server, err);
}

static int start(struct http_desk *desk, struct pc_err *err)
{
	struct loop *loop = desk->options.loop;
	int r;

	desk->queue_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (desk->queue_fd < 0)
		return pc_err_set(err, -errno, "no descriptor; raise the limits of the service");
	r = loop_watch(loop, desk->queue_fd, LOOP_READ, on_queue, desk, &desk->queue_watch);
	r = r ?: loop_timer_new(loop, turn, desk, &desk->turn_timer);
	if (r < 0)
		return pc_err_set(err, r, "no memory");
	r = start_server(desk, err);
	if (r < 0)
		return r;
	r = loop_watch(loop, http_fd(desk->server), LOOP_READ, on_turn, desk, &desk->turn_watch);
	if (r < 0)
		return pc_err_set(err, r, "no memory");
	turn(desk);
	return 0;
}

int http_desk_start(const struct http_desk_options *options, struct http_desk **ret,
		    struct pc_err *err)
{
	struct http_desk *desk = calloc(1, sizeof(*desk));
	int r;

	if (!desk)
		return pc_err_set(err, -ENOMEM, "no memory");
	desk->options = *options;
	desk->queue_fd = -EBADF;
	STAILQ_INIT(&desk->queue);
	pthread_mutex_init(&desk->lock, NULL);
	r = start(desk, err);
	if (r < 0)
		http_desk_stop(desk);
	else
		*ret = desk;
	return r;
}

unsigned http_desk_drain(struct http_desk *desk)
{
	return http_drain(desk->server);
}

struct http_counts http_desk_counts(const struct http_desk *desk)
{
	return http_counts(desk->server);
}

/* Nobody asks any more. */
static void drop_queue(struct http_desk *desk)
{
	struct http_ticket *ticket;

	while ((ticket = dequeue(desk))) {
		desk->waiting--;
		free_ticket(ticket);
	}
}

void http_desk_stop(struct http_desk *desk)
{
	struct http_server *server;
	bool last;

	if (!desk)
		return;
	loop_unwatch(desk->turn_watch);
	loop_unwatch(desk->queue_watch);
	loop_timer_free(desk->turn_timer);
	server = TAKE_PTR(desk->server);
	http_stop(server);
	drop_queue(desk);
	cleanup_close(&desk->queue_fd);
	pthread_mutex_lock(&desk->lock);
	desk->stopped = true;
	last = desk->waiting == 0;
	pthread_mutex_unlock(&desk->lock);
	if (last)
		free_desk(desk);
}
