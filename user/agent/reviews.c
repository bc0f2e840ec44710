// SPDX-License-Identifier: Apache-2.0
#include "agent/reviews.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "agent/questions.h"
#include "base/clock.h"
#include "base/secret_pool.h"

/* Asked, or at rest: it was answered, and its pod may not ask yet. */
struct question {
	struct agent_question base; /* first */
	TAILQ_ENTRY(question) link;
	uint64_t rests_ns; /* CLOCK_BOOTTIME: since then */
	struct agent_review review;
	char *token; /* in locked memory; NULL: at rest */
};

TAILQ_HEAD(questions, question);

struct agent_reviews {
	struct agent_reviews_options options;
	pthread_mutex_t lock; /* for all below */
	struct questions all; /* the oldest first */
	size_t n;
	struct agent_questions questions;
};

static struct question *drop(struct agent_reviews *r, struct question *q)
{
	agent_questions_end(&r->questions, &q->base);
	TAILQ_REMOVE(&r->all, q, link);
	r->n--;
	secret_pool_free(q->token);
	free(q);
	return NULL;
}

static bool is_over(const struct question *q, uint64_t boot_ns)
{
	if (q->base.state == QUESTION_NONE)
		return boot_ns - q->rests_ns >= REVIEWS_REST_MS * CLOCK_MS;
	return agent_question_is_lost(&q->base, boot_ns, REVIEWS_LOST_S);
}

static struct question *at_rest(struct agent_reviews *r)
{
	struct question *q;

	TAILQ_FOREACH(q, &r->all, link)
	if (q->base.state == QUESTION_NONE)
		return q;
	return NULL;
}

static struct question *of_pod(struct agent_reviews *r, uint64_t pod)
{
	struct question *q;

	TAILQ_FOREACH(q, &r->all, link)
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
	TAILQ_INSERT_TAIL(&r->all, q, link);
	r->n++;
	agent_questions_begin(&r->questions, &q->base);
	return -EINPROGRESS;
}

static int look(struct agent_reviews *r, const struct agent_review *review, const char *token,
		size_t len)
{
	struct question *q = of_pod(r, review->peer.pod_cgroup_id);

	if (q && is_over(q, clock_boot_ns()))
		q = drop(r, q);
	if (q)
		return q->base.state == QUESTION_NONE ? -EBUSY : -EINPROGRESS;
	if (r->n >= REVIEWS_MAX) {
		q = at_rest(r);
		if (!q)
			return -EBUSY;
		drop(r, q);
	}
	return begin(r, review, token, len);
}

int agent_reviews_ask(struct agent_reviews *r, const struct agent_review *review, const char *token,
		      size_t len)
{
	int result;

	pthread_mutex_lock(&r->lock);
	result = look(r, review, token, len);
	agent_questions_post(&r->questions);
	pthread_mutex_unlock(&r->lock);
	return result;
}

/* ---- questions and answers ---- */

static int send_question(void *arg, struct agent_question *q, uint64_t *ret_key)
{
	const struct agent_reviews *r = arg;
	const struct question *question = (const struct question *)q;
	const struct upstream_message m = {
		.type = UPSTREAM_REVIEW,
		.review = {.id = q->id,
			   .token = question->token,
			   .purpose = question->review.purpose},
	};

	(void)ret_key;
	return r->options.ask(r->options.ask_arg, &m);
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

	pthread_mutex_lock(&r->lock);
	q = (struct question *)agent_questions_find(&r->questions, id);
	if (q)
		review = q->review;
	if (q && is_about_token(m)) {
		q->token = secret_pool_free(q->token);
		agent_questions_end(&r->questions, &q->base);
		q->rests_ns = clock_boot_ns();
	} else if (q) {
		drop(r, q);
	}
	pthread_mutex_unlock(&r->lock);
	if (q)
		r->options.answered(r->options.answered_arg, &review, m);
}

void agent_reviews_connected(struct agent_reviews *r, bool connected)
{
	agent_questions_connected(&r->questions, connected);
}

void agent_reviews_sweep(struct agent_reviews *r)
{
	uint64_t boot_ns = clock_boot_ns();

	pthread_mutex_lock(&r->lock);
	for (struct question *q = TAILQ_FIRST(&r->all), *next; q; q = next) {
		next = TAILQ_NEXT(q, link);
		if (is_over(q, boot_ns))
			drop(r, q);
	}
	pthread_mutex_unlock(&r->lock);
	agent_questions_send(&r->questions);
}

/* ---- from its beginning to its end ---- */

int agent_reviews_new(const struct agent_reviews_options *options, struct agent_reviews **ret)
{
	struct agent_reviews *r = calloc(1, sizeof(*r));

	if (!r)
		return -ENOMEM;
	r->options = *options;
	TAILQ_INIT(&r->all);
	pthread_mutex_init(&r->lock, NULL);
	r->questions = (struct agent_questions){.loop = options->loop,
						.lock = &r->lock,
						.send = send_question,
						.arg = r,
						.last_id = REVIEWS_FIRST_ID};
	agent_questions_init(&r->questions);
	*ret = r;
	return 0;
}

void agent_reviews_free(struct agent_reviews *r)
{
	if (!r)
		return;
	while (!TAILQ_EMPTY(&r->all))
		drop(r, TAILQ_FIRST(&r->all));
	pthread_mutex_destroy(&r->lock);
	free(r);
}
