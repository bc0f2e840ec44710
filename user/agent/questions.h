/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Questions to podcred fetch that are on their way: not sent yet, sent, lost, and sent again when the connection has
 * ended. Whoever asks has a struct agent_question in what it asks about, and a lock, which is held where nothing else
 * is said.
 */
#pragma once

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

struct loop;

enum agent_question_state {
	QUESTION_NONE, /* nothing is asked */
	QUESTION_UNSENT,
	QUESTION_SENT,
};

/* All zero at first. */
struct agent_question {
	TAILQ_ENTRY(agent_question) link;
	enum agent_question_state state;
	uint64_t id; /* another one each time that it is sent */
	uint64_t since_ns; /* CLOCK_BOOTTIME: when it began */
};

TAILQ_HEAD(agent_question_list, agent_question);

struct agent_questions {
	struct loop *loop;
	pthread_mutex_t *lock;
	/* In the thread of the loop. 0: it was sent; 1: it cannot be, and was answered, for whoever waits under *ret_key;
	 * -errno: there is nobody to tell, and it is tried again later. */
	int (*send)(void *arg, struct agent_question *q, uint64_t *ret_key);
	void *arg;
	/* The same, without the lock. */
	void (*wake)(void *arg, uint64_t key);
	void *wake_arg;
	uint64_t
		last_id; /* where numbers begin: questions of different kinds have different ones */
	/* ---- the rest is zero at first ---- */
	struct agent_question_list unsent, sent;
	size_t n; /* of both */
	bool connected, posted;
};

void agent_questions_init(struct agent_questions *qs);

/* q is asked from now on. */
void agent_questions_begin(struct agent_questions *qs, struct agent_question *q);

/* An answer to what was asked before does not count. */
void agent_questions_again(struct agent_questions *qs, struct agent_question *q);

/* Answered, or not worth an answer any more; fine also when it is not asked. */
void agent_questions_end(struct agent_questions *qs, struct agent_question *q);

/* Of those that were sent; NULL: none. */
struct agent_question *agent_questions_find(const struct agent_questions *qs, uint64_t id);

bool agent_question_is_lost(const struct agent_question *q, uint64_t boot_ns, unsigned after_s);

/* From any thread: those that are not sent are about to be. */
void agent_questions_post(struct agent_questions *qs);

/* ---- in the thread of the loop, without the lock ---- */

void agent_questions_send(struct agent_questions *qs);

/* The other end is there, or has gone: what was asked is asked again. */
void agent_questions_connected(struct agent_questions *qs, bool connected);
