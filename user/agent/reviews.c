// SPDX-License-Identifier: Apache-2.0
#include "agent/reviews.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "base/clock.h"
#include "base/loop.h"
#include "base/secret_pool.h"

enum state {
	UNSENT,
	SENT,
	AT_REST, /* was answered; its pod may not ask yet */
};

struct question {
	TAILQ_ENTRY(question) link;
	enum state state;
	uint64_t id;
	uint64_t since_ns; /* of its state, AT_REST, or of its beginning; CLOCK_BOOTTIME */
	struct agent_review review;
	char *token; /* in locked memory; NULL: at rest */
};

TAILQ_HEAD(questions, question);

struct agent_reviews {
	struct agent_reviews_options options;
	pthread_mutex_t lock; /* for all below */
	struct questions questions; /* the oldest first */
	size_t n;
	uint64_t last_id;
	bool connected;
	bool posted; /* send_all() is to be called */
};

static struct question *drop(struct agent_reviews *r, struct question *q)
{
	TAILQ_REMOVE(&r->questions, q, link);
	r->n--;
	secret_pool_free(q->token);
	free(q);
	return NULL;
}

static bool is_over(const struct question *q, uint64_t boot_ns)
{
	uint64_t after =
		q->state == AT_REST ? REVIEWS_REST_MS * CLOCK_MS : REVIEWS_LOST_S * CLOCK_S;

	return boot_ns - q->since_ns >= after;
}

static struct question *find(struct agent_reviews *r, enum state state, uint64_t id)
{
	struct question *q;

	TAILQ_FOREACH(q, &r->questions, link)
	if (q->state == state && (!id || q->id == id))
		return q;
	return NULL;
}

static struct question *of_pod(struct agent_reviews *r, uint64_t pod)
{
	struct question *q;

	TAILQ_FOREACH(q, &r->questions, link)
	if (q->review.peer.pod_cgroup_id == pod)
		return q;
	return NULL;
}

/* ---- whoever asks ---- */

static int begin(struct agent_reviews *r, const struct agent_review *review, const char *token,
		 size_t len)
{
	struct question *q = calloc(1, sizeof(*q));

	if (q)
		q->token = secret_pool_alloc(len + 1);
	if (!q || !q->token) {
		free(q);
		return -ENOMEM;
	}
	memcpy(q->token, token, len);
	q->review = *review;
	q->id = REVIEWS_FIRST_ID + ++r->last_id;
	q->since_ns = clock_boot_ns();
	TAILQ_INSERT_TAIL(&r->questions, q, link);
	r->n++;
	return -EINPROGRESS;
}

static int look(struct agent_reviews *r, const struct agent_review *review, const char *token,
		size_t len)
{
	struct question *q = of_pod(r, review->peer.pod_cgroup_id);

	if (q && is_over(q, clock_boot_ns()))
		q = drop(r, q);
	if (q)
		return q->state == AT_REST ? -EBUSY : -EINPROGRESS;
	if (r->n >= REVIEWS_MAX) {
		q = find(r, AT_REST, 0);
		if (!q)
			return -EBUSY;
		drop(r, q);
	}
	return begin(r, review, token, len);
}

static void send_all(void *arg);

int agent_reviews_ask(struct agent_reviews *r, const struct agent_review *review, const char *token,
		      size_t len)
{
	int result;

	pthread_mutex_lock(&r->lock);
	result = look(r, review, token, len);
	if (result == -EINPROGRESS && r->connected && !r->posted && find(r, UNSENT, 0))
		r->posted = loop_post(r->options.loop, send_all, r) == 0;
	pthread_mutex_unlock(&r->lock);
	return result;
}

/* ---- questions and answers ---- */

/* Until there is nobody to tell: agent_reviews_connected() and the next sweep try again. */
static void send_all(void *arg)
{
	struct agent_reviews *r = arg;
	struct question *q;

	pthread_mutex_lock(&r->lock);
	r->posted = false;
	while ((q = find(r, UNSENT, 0))) {
		const struct upstream_message m = {.type = UPSTREAM_REVIEW,
						   .review = {.id = q->id, .token = q->token}};

		if (r->options.ask(r->options.ask_arg, &m) < 0)
			break;
		q->state = SENT;
	}
	pthread_mutex_unlock(&r->lock);
}

static bool is_about_token(const struct upstream_message *m)
{
	return m->type == UPSTREAM_REFUSAL && (m->refusal.reason == UPSTREAM_TOKEN_INVALID ||
					       m->refusal.reason == UPSTREAM_TOKEN_EXPIRED);
}

void agent_reviews_told(struct agent_reviews *r, const struct upstream_message *m)
{
	uint64_t id = m->type == UPSTREAM_VERDICT   ? m->verdict.id
		      : m->type == UPSTREAM_REFUSAL ? m->refusal.id
						    : 0;
	struct agent_review review;
	struct question *q;

	if (id < REVIEWS_FIRST_ID)
		return;
	pthread_mutex_lock(&r->lock);
	q = find(r, SENT, id);
	if (q)
		review = q->review;
	if (q && is_about_token(m)) {
		q->token = secret_pool_free(q->token);
		q->state = AT_REST;
		q->since_ns = clock_boot_ns();
	} else if (q) {
		drop(r, q);
	}
	pthread_mutex_unlock(&r->lock);
	if (q)
		r->options.answered(r->options.answered_arg, &review, m);
}

void agent_reviews_connected(struct agent_reviews *r, bool connected)
{
	struct question *q;

	pthread_mutex_lock(&r->lock);
	r->connected = connected;
	TAILQ_FOREACH(q, &r->questions, link)
	if (q->state == SENT)
		q->state = UNSENT;
	pthread_mutex_unlock(&r->lock);
	if (connected)
		send_all(r);
}

void agent_reviews_sweep(struct agent_reviews *r)
{
	uint64_t boot_ns = clock_boot_ns();

	pthread_mutex_lock(&r->lock);
	for (struct question *q = TAILQ_FIRST(&r->questions), *next; q; q = next) {
		next = TAILQ_NEXT(q, link);
		if (is_over(q, boot_ns))
			drop(r, q);
	}
	pthread_mutex_unlock(&r->lock);
	if (r->connected)
		send_all(r);
}

/* ---- from its beginning to its end ---- */

int agent_reviews_new(const struct agent_reviews_options *options, struct agent_reviews **ret)
{
	struct agent_reviews *r = calloc(1, sizeof(*r));

	if (!r)
		return -ENOMEM;
	r->options = *options;
	TAILQ_INIT(&r->questions);
	pthread_mutex_init(&r->lock, NULL);
	*ret = r;
	return 0;
}

void agent_reviews_free(struct agent_reviews *r)
{
	if (!r)
		return;
	while (!TAILQ_EMPTY(&r->questions))
		drop(r, TAILQ_FIRST(&r->questions));
	pthread_mutex_destroy(&r->lock);
	free(r);
}
