// SPDX-License-Identifier: Apache-2.0
#include "agent/questions.h"

#include <errno.h>

#include "base/clock.h"
#include "base/loop.h"

void agent_questions_init(struct agent_questions *qs)
{
	TAILQ_INIT(&qs->unsent);
	TAILQ_INIT(&qs->sent);
}

static struct agent_question_list *list_of(struct agent_questions *qs,
					   const struct agent_question *q)
{
	return q->state == QUESTION_SENT ? &qs->sent : &qs->unsent;
}

static void append(struct agent_questions *qs, struct agent_question *q,
		   enum agent_question_state state)
{
	q->state = state;
	TAILQ_INSERT_TAIL(list_of(qs, q), q, link);
	qs->n++;
}

void agent_questions_end(struct agent_questions *qs, struct agent_question *q)
{
	if (q->state == QUESTION_NONE)
		return;
	TAILQ_REMOVE(list_of(qs, q), q, link);
	q->state = QUESTION_NONE;
	qs->n--;
}

void agent_questions_again(struct agent_questions *qs, struct agent_question *q)
{
	agent_questions_end(qs, q);
	q->id = ++qs->last_id;
	append(qs, q, QUESTION_UNSENT);
}

void agent_questions_begin(struct agent_questions *qs, struct agent_question *q)
{
	q->since_ns = clock_boot_ns();
	agent_questions_again(qs, q);
}

struct agent_question *agent_questions_find(const struct agent_questions *qs, uint64_t id)
{
	struct agent_question *q;

	TAILQ_FOREACH(q, &qs->sent, link)
	if (q->id == id)
		return q;
	return NULL;
}

bool agent_question_is_lost(const struct agent_question *q, uint64_t boot_ns, unsigned after_s)
{
	return q->state != QUESTION_NONE && boot_ns - q->since_ns >= after_s * CLOCK_S;
}

static void on_posted(void *arg)
{
	agent_questions_send(arg);
}

void agent_questions_post(struct agent_questions *qs)
{
	if (!TAILQ_EMPTY(&qs->unsent) && qs->connected && !qs->posted)
		qs->posted = loop_post(qs->loop, on_posted, qs) == 0;
}

/* False: there is nothing left, or nobody to tell. */
static bool send_next(struct agent_questions *qs, uint64_t *ret_key)
{
	struct agent_question *q = TAILQ_FIRST(&qs->unsent);
	int r = q ? qs->send(qs->arg, q, ret_key) : -ENOENT;

	if (r != 0)
		return r > 0;
	agent_questions_end(qs, q);
	append(qs, q, QUESTION_SENT);
	return true;
}

void agent_questions_send(struct agent_questions *qs)
{
	bool more = true;

	while (more) {
		uint64_t key = 0;

		pthread_mutex_lock(qs->lock);
		qs->posted = false;
		more = send_next(qs, &key);
		pthread_mutex_unlock(qs->lock);
		if (key)
			qs->wake(qs->wake_arg, key);
	}
}

void agent_questions_connected(struct agent_questions *qs, bool connected)
{
	pthread_mutex_lock(qs->lock);
	qs->connected = connected;
	while (!TAILQ_EMPTY(&qs->sent))
		agent_questions_again(qs, TAILQ_FIRST(&qs->sent));
	pthread_mutex_unlock(qs->lock);
	if (connected)
		agent_questions_send(qs);
}
