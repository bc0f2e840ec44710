// SPDX-License-Identifier: Apache-2.0
#include "agent/leaves.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <podcred/podcred.h>

#include "agent/questions.h"
#include "base/clock.h"
#include "base/secret_pool.h"

#define BUCKETS	   1024
#define KEY_BIT	   (1ULL << 63) /* no cgroup id has it */
#define FNV_BASIS  0xcbf29ce484222325
#define FNV_PRIME  0x100000001b3
#define LEAF_OF(q) (((struct question *)(q))->leaf)

/* What fetch is asked about a pod. The token is in locked memory. */
struct question {
	struct agent_question base; /* first */
	struct leaf *leaf;
	uint64_t token_hash;
	char *token; /* NULL: none */
	char pod_namespace[PODCRED_NAMESPACE_LEN], pod_name[PODCRED_NAME_LEN],
		service_account[PODCRED_SERVICE_ACCOUNT_LEN];
};

/* In one bucket, and in the order of use. */
struct leaf {
	struct leaf *next; /* of its bucket */
	struct leaf *newer, *older;
	uint64_t cgroup;
	char uid[PODCRED_UID_LEN];
	struct agent_told *told; /* NULL: nothing yet */
	uint64_t again_ns; /* CLOCK_BOOTTIME: from then on another answer is worth a question */
	struct question *question; /* NULL: none */
};

struct agent_leaves {
	struct agent_leaves_options options;
	pthread_mutex_t lock; /* for all below */
	struct leaf *buckets[BUCKETS];
	struct leaf *newest, *oldest;
	struct agent_questions questions;
	struct agent_leaves_counts counts;
};

/* ---- the order of use ---- */

static void unlink_from_use(struct agent_leaves *l, struct leaf *leaf)
{
	*(leaf->newer ? &leaf->newer->older : &l->newest) = leaf->older;
	*(leaf->older ? &leaf->older->newer : &l->oldest) = leaf->newer;
}

static void put_newest(struct agent_leaves *l, struct leaf *leaf)
{
	leaf->newer = NULL;
	leaf->older = l->newest;
	*(l->newest ? &l->newest->newer : &l->oldest) = leaf;
	l->newest = leaf;
}

/* ---- leaves ---- */

static struct leaf **bucket_of(struct agent_leaves *l, uint64_t cgroup)
{
	return &l->buckets[cgroup % BUCKETS];
}

static struct leaf *find_leaf(struct agent_leaves *l, uint64_t cgroup)
{
	struct leaf *leaf = *bucket_of(l, cgroup);

	while (leaf && leaf->cgroup != cgroup)
		leaf = leaf->next;
	return leaf;
}

static struct question *free_question(struct question *question)
{
	if (question)
		secret_pool_free(question->token);
	free(question);
	return NULL;
}

static void forget_told(struct agent_leaves *l, struct leaf *leaf)
{
	if (leaf->told && leaf->told->granted)
		l->counts.granted--;
	agent_told_unref(leaf->told);
	leaf->told = NULL;
	leaf->again_ns = 0;
}

static void end_question(struct agent_leaves *l, struct leaf *leaf)
{
	if (leaf->question)
		agent_questions_end(&l->questions, &leaf->question->base);
	leaf->question = free_question(leaf->question);
}

static void free_leaf(struct agent_leaves *l, struct leaf *leaf)
{
	struct leaf **at = bucket_of(l, leaf->cgroup);

	while (*at != leaf)
		at = &(*at)->next;
	*at = leaf->next;
	unlink_from_use(l, leaf);
	forget_told(l, leaf);
	end_question(l, leaf);
	free(leaf);
	l->counts.leaves--;
}

static void make_room(struct agent_leaves *l)
{
	if (l->counts.leaves < l->options.max)
		return;
	l->counts.evicted++;
	free_leaf(l, l->oldest);
}

static struct leaf *new_leaf(struct agent_leaves *l, const struct podcred_peer *peer)
{
	struct leaf *leaf = calloc(1, sizeof(*leaf)), **bucket;

	if (!leaf)
		return NULL;
	make_room(l);
	leaf->cgroup = peer->pod_cgroup_id;
	snprintf(leaf->uid, sizeof(leaf->uid), "%s", peer->pod_uid);
	bucket = bucket_of(l, leaf->cgroup);
	leaf->next = *bucket;
	*bucket = leaf;
	put_newest(l, leaf);
	l->counts.leaves++;
	return leaf;
}

/* The pod's, as the most recently used one. No cgroup is another pod's later; this does not rely on it. */
static struct leaf *use_leaf(struct agent_leaves *l, const struct podcred_peer *peer)
{
	struct leaf *leaf = find_leaf(l, peer->pod_cgroup_id);

	if (leaf && strcmp(leaf->uid, peer->pod_uid) != 0) {
		free_leaf(l, leaf);
		leaf = NULL;
	}
	if (!leaf)
		return new_leaf(l, peer);
	unlink_from_use(l, leaf);
	put_newest(l, leaf);
	return leaf;
}

/* ---- questions ---- */

static uint64_t hash_token(const char *token, size_t len)
{
	uint64_t hash = FNV_BASIS;

	for (size_t i = 0; token && i < len; i++)
		hash = (hash ^ (uint8_t)token[i]) * FNV_PRIME;
	return hash;
}

/* What is too long for the pool is too long for fetch. */
static int copy_token(struct question *question, const char *token, size_t len)
{
	question->token_hash = hash_token(token, len);
	if (!token || !len || len >= UPSTREAM_TOKEN_SIZE)
		return 0;
	question->token = secret_pool_alloc(len + 1);
	if (!question->token)
		return -ENOMEM;
	memcpy(question->token, token, len);
	return 0;
}

static int begin_question(struct agent_leaves *l, struct leaf *leaf,
			  const struct podcred_peer *peer, const char *token, size_t len)
{
	struct question *question = calloc(1, sizeof(*question));

	if (!question || copy_token(question, token, len) < 0) {
		free(question);
		return -ENOMEM;
	}
	memcpy(question->pod_namespace, peer->pod_namespace, sizeof(question->pod_namespace));
	memcpy(question->pod_name, peer->pod_name, sizeof(question->pod_name));
	memcpy(question->service_account, peer->service_account, sizeof(question->service_account));
	question->leaf = leaf;
	leaf->question = question;
	agent_questions_begin(&l->questions, &question->base);
	return 0;
}

static void take_answer(struct agent_leaves *l, struct leaf *leaf, const struct upstream_message *m,
			time_t now);

/* No fetch could make sense of it: what the pod calls a token is none. */
static void answer_nonsense(struct agent_leaves *l, struct leaf *leaf)
{
	const struct upstream_message m = {
		.type = UPSTREAM_REFUSAL,
		.refusal = {.reason = UPSTREAM_TOKEN_INVALID,
			    .message = "the Authorization header holds no token"},
	};

	take_answer(l, leaf, &m, 0);
}

static int send_question(void *arg, struct agent_question *base, uint64_t *ret_key)
{
	struct agent_leaves *l = arg;
	const struct question *q = (struct question *)base;
	const struct upstream_message m = {
		.type = UPSTREAM_CREDENTIALS,
		.credentials = {.id = base->id,
				.pod = {.name_space = q->pod_namespace,
					.name = q->pod_name,
					.uid = q->leaf->uid,
					.service_account = q->service_account},
				.token = q->token},
	};
	int r = l->options.ask(l->options.ask_arg, &m);

	l->counts.questions += r == 0;
	if (r != -EINVAL && r != -EMSGSIZE)
		return r;
	*ret_key = KEY_BIT | q->leaf->cgroup;
	answer_nonsense(l, q->leaf);
	return 1;
}

/* ---- whoever asks ---- */

static bool is_about_token(enum upstream_reason reason)
{
	return reason == UPSTREAM_TOKEN_INVALID || reason == UPSTREAM_TOKEN_EXPIRED;
}

/* Whether what was told is an answer now. A refusal of one token says nothing about another. */
static bool holds(const struct leaf *leaf, uint64_t token, time_t now, uint64_t boot_ns)
{
	const struct agent_told *told = leaf->told;

	if (!told)
		return false;
	if (told->granted)
		return told->expiration > now;
	return boot_ns < leaf->again_ns && (!is_about_token(told->reason) || told->token == token);
}

/* Credentials that are nearly spent, while newer ones are on their way. */
static bool is_worth_a_moment(const struct agent_leaves *l, const struct leaf *leaf, time_t now,
			      uint64_t boot_ns)
{
	return leaf->told->granted && leaf->told->expiration - now < LEAVES_SPENT_S &&
	       leaf->question && l->questions.connected &&
	       boot_ns - leaf->question->base.since_ns < LEAVES_MOMENT_MS * CLOCK_MS;
}

static int look(struct agent_leaves *l, const struct podcred_peer *peer, const char *token,
		size_t token_len, time_t now, struct agent_told **ret)
{
	struct leaf *leaf = use_leaf(l, peer);
	uint64_t boot_ns = clock_boot_ns();
	bool held;

	if (!leaf)
		return -ENOMEM;
	held = holds(leaf, hash_token(token, token_len), now, boot_ns);
	if (!leaf->question && (!held || boot_ns >= leaf->again_ns) &&
	    begin_question(l, leaf, peer, token, token_len) < 0 && !held)
		return -ENOMEM;
	if (!held || is_worth_a_moment(l, leaf, now, boot_ns))
		return -EINPROGRESS;
	l->counts.kept++;
	*ret = agent_told_ref(leaf->told);
	return 0;
}

int agent_leaves_get(struct agent_leaves *l, const struct podcred_peer *peer, const char *token,
		     size_t token_len, time_t now, struct agent_told **ret)
{
	int r;

	pthread_mutex_lock(&l->lock);
	r = look(l, peer, token, token_len, now, ret);
	agent_questions_post(&l->questions);
	pthread_mutex_unlock(&l->lock);
	return r;
}

uint64_t agent_leaves_key(const struct podcred_peer *peer)
{
	return KEY_BIT | peer->pod_cgroup_id;
}

bool agent_leaves_is_key(uint64_t key)
{
	return key & KEY_BIT;
}

/* ---- answers ---- */

static uint64_t at_least(uint64_t ms, uint64_t least)
{
	return clock_boot_ns() + (ms > least ? ms : least) * CLOCK_MS;
}

static void replace_told(struct agent_leaves *l, struct leaf *leaf, struct agent_told *told)
{
	forget_told(l, leaf);
	leaf->told = told;
	l->counts.granted += told->granted;
}

static void take_grant(struct agent_leaves *l, struct leaf *leaf, const struct upstream_message *m)
{
	struct agent_told *told;

	l->counts.grants[m->grant.cache]++;
	if (agent_told_new(m, leaf->question->token_hash, leaf->told, &told) < 0)
		return;
	replace_told(l, leaf, told);
	leaf->again_ns = at_least(m->grant.refresh_ms, LEAVES_REFRESH_MIN_MS);
}

/* Credentials that live are better than a refusal, unless the pod is to have none any more. */
static void take_refusal(struct agent_leaves *l, struct leaf *leaf,
			 const struct upstream_message *m, time_t now)
{
	struct agent_told *told;

	l->counts.refusals[m->refusal.reason]++;
	if (leaf->told && leaf->told->granted && leaf->told->expiration > now &&
	    m->refusal.reason != UPSTREAM_NO_ASSOCIATION) {
		leaf->again_ns = at_least(m->refusal.retry_ms, LEAVES_REFRESH_MIN_MS);
		return;
	}
	if (agent_told_new(m, leaf->question->token_hash, leaf->told, &told) < 0)
		return;
	replace_told(l, leaf, told);
	leaf->again_ns = at_least(m->refusal.retry_ms, LEAVES_REFUSAL_MIN_MS);
}

static void take_answer(struct agent_leaves *l, struct leaf *leaf, const struct upstream_message *m,
			time_t now)
{
	if (m->type == UPSTREAM_GRANT)
		take_grant(l, leaf, m);
	else
		take_refusal(l, leaf, m, now);
	end_question(l, leaf);
}

static void on_answer(struct agent_leaves *l, uint64_t id, const struct upstream_message *m,
		      time_t now)
{
	struct agent_question *q;
	uint64_t key = 0;

	pthread_mutex_lock(&l->lock);
	q = agent_questions_find(&l->questions, id);
	if (q) {
		key = KEY_BIT | LEAF_OF(q)->cgroup;
		take_answer(l, LEAF_OF(q), m, now);
	}
	pthread_mutex_unlock(&l->lock);
	if (key)
		l->options.wake(l->options.wake_arg, key);
}

/* ---- notices ---- */

/* What is on its way was made before: it is asked for again. */
static void flush_leaf(struct agent_leaves *l, struct leaf *leaf)
{
	forget_told(l, leaf);
	if (leaf->question)
		agent_questions_again(&l->questions, &leaf->question->base);
	else
		free_leaf(l, leaf);
}

static void for_pod(struct agent_leaves *l, const char *uid,
		    void (*fn)(struct agent_leaves *l, struct leaf *leaf))
{
	pthread_mutex_lock(&l->lock);
	for (struct leaf *leaf = l->newest, *older; leaf; leaf = older) {
		older = leaf->older;
		if (!uid || !strcmp(leaf->uid, uid))
			fn(l, leaf);
	}
	pthread_mutex_unlock(&l->lock);
}

void agent_leaves_told(struct agent_leaves *l, const struct upstream_message *m, time_t now)
{
	switch (m->type) {
	case UPSTREAM_GRANT:
		on_answer(l, m->grant.id, m, now);
		break;
	case UPSTREAM_REFUSAL:
		on_answer(l, m->refusal.id, m, now);
		break;
	case UPSTREAM_FLUSH:
		for_pod(l, m->flush.pod_uid, flush_leaf);
		agent_questions_send(&l->questions);
		break;
	case UPSTREAM_GONE:
		for_pod(l, m->gone.pod_uid, free_leaf);
		break;
	default:
		break;
	}
}

void agent_leaves_connected(struct agent_leaves *l, bool connected)
{
	agent_questions_connected(&l->questions, connected);
}

/* ---- time ---- */

static void sweep_leaf(struct agent_leaves *l, struct leaf *leaf, time_t now, uint64_t boot_ns)
{
	if (leaf->question &&
	    agent_question_is_lost(&leaf->question->base, boot_ns, LEAVES_LOST_S)) {
		l->counts.lost++;
		end_question(l, leaf);
	}
	if (leaf->told &&
	    (leaf->told->granted ? leaf->told->expiration <= now : boot_ns >= leaf->again_ns))
		forget_told(l, leaf);
	if (!leaf->told && !leaf->question)
		free_leaf(l, leaf);
}

void agent_leaves_sweep(struct agent_leaves *l, time_t now)
{
	uint64_t boot_ns = clock_boot_ns();

	pthread_mutex_lock(&l->lock);
	for (struct leaf *leaf = l->newest, *older; leaf; leaf = older) {
		older = leaf->older;
		sweep_leaf(l, leaf, now, boot_ns);
	}
	pthread_mutex_unlock(&l->lock);
	agent_questions_send(&l->questions);
}

/* ---- from its beginning to its end ---- */

int agent_leaves_new(const struct agent_leaves_options *options, struct agent_leaves **ret)
{
	struct agent_leaves *l = calloc(1, sizeof(*l));

	if (!l)
		return -ENOMEM;
	l->options = *options;
	l->options.max = options->max ?: LEAVES_MAX;
	pthread_mutex_init(&l->lock, NULL);
	l->questions = (struct agent_questions){.loop = options->loop,
						.lock = &l->lock,
						.send = send_question,
						.arg = l,
						.wake = options->wake,
						.wake_arg = options->wake_arg};
	agent_questions_init(&l->questions);
	*ret = l;
	return 0;
}

void agent_leaves_free(struct agent_leaves *l)
{
	if (!l)
		return;
	while (l->newest)
		free_leaf(l, l->newest);
	pthread_mutex_destroy(&l->lock);
	free(l);
}

void agent_leaves_count(struct agent_leaves *l, struct agent_leaves_counts *ret)
{
	pthread_mutex_lock(&l->lock);
	*ret = l->counts;
	ret->connected = l->questions.connected;
	ret->in_flight = l->questions.n;
	pthread_mutex_unlock(&l->lock);
}
