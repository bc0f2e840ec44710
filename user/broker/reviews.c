// SPDX-License-Identifier: Apache-2.0
#include "broker/reviews.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <time.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/keyed.h"
#include "base/loop.h"
#include "base/pack.h"
#include "base/secret.h"
#include "broker/judge.h"
#include "crypto/hash.h"
#include "crypto/jwks.h"
#include "crypto/jwt.h"
#include "kube/token_review.h"

#define MAX_ENTRIES 32768
#define GOOD_NS	    (30 * CLOCK_S)
#define BAD_NS	    (5 * CLOCK_S)
#define ERROR_NS    (CLOCK_S / 2)
#define PATIENCE_NS (400 * CLOCK_MS) /* with the API server, where the keys may do */
#define MAX_ISSUERS 8
#define KEY_SIZE    (2 * CRYPTO_SHA256_SIZE + 3)
#define WHY_SIZE    256

struct broker_review_wait {
	TAILQ_ENTRY(broker_review_wait) entry;
	struct review *of;
	broker_verdict_fn *fn;
	void *arg;
};

TAILQ_HEAD(waits, broker_review_wait);
TAILQ_HEAD(reviews_list, review);

/* One token. It stays while somebody waits, and then for as long as its verdict is good. */
struct review {
	struct keyed key; /* in name: never the token itself */
	TAILQ_ENTRY(review) order; /* the one that was used last is the last */
	struct broker_reviews *of;
	struct waits waits;
	enum broker_audience audience;
	char *token; /* while it is being judged; NULL: there is a verdict */
	struct kube_token_review *review;
	struct loop_timer *patience;
	bool telling; /* those who waited */
	uint64_t until_ns;
	struct broker_verdict verdict;
	char *texts; /* of the verdict */
	char name[KEY_SIZE];
};

struct broker_reviews {
	struct broker_reviews_options options;
	void *tree;
	struct reviews_list entries;
	size_t n;
	struct crypto_jwks *keys; /* NULL: none yet */
	char *issuers[MAX_ISSUERS];
	size_t n_issuers;
	struct broker_review_counts counts;
};

/* ---- entries ---- */

static struct review *review_free(struct review *entry)
{
	if (!entry)
		return NULL;
	kube_token_review_cancel(entry->review);
	loop_timer_free(entry->patience);
	secret_free(entry->token);
	free(entry->texts);
	free(entry);
	return NULL;
}

static void forget(struct review *entry)
{
	struct broker_reviews *reviews = entry->of;

	keyed_remove(&reviews->tree, entry);
	TAILQ_REMOVE(&reviews->entries, entry, order);
	reviews->n--;
	review_free(entry);
}

/* Of the oldest, as long as nobody waits for them. */
static void make_room(struct broker_reviews *reviews)
{
	struct review *entry = TAILQ_FIRST(&reviews->entries);

	while (entry && reviews->n >= MAX_ENTRIES) {
		struct review *next = TAILQ_NEXT(entry, order);

		if (!entry->token && !entry->telling)
			forget(entry);
		entry = next;
	}
}

static int name_of(enum broker_audience audience, const char *token, char ret[KEY_SIZE])
{
	uint8_t hash[CRYPTO_SHA256_SIZE];
	int r = crypto_sha256(token, strlen(token), hash);

	snprintf(ret, 3, "%u:", (unsigned)audience);
	for (size_t i = 0; r == 0 && i < sizeof(hash); i++)
		snprintf(ret + 2 + 2 * i, 3, "%02x", hash[i]);
	return r;
}

static void on_impatience(void *arg);

static struct review *review_new(struct broker_reviews *reviews, enum broker_audience audience,
				 const char *token, const char *name)
{
	struct review *entry = calloc(1, sizeof(*entry));

	if (!entry)
		return NULL;
	entry->of = reviews;
	entry->audience = audience;
	entry->token = strdup(token);
	TAILQ_INIT(&entry->waits);
	strcpy(entry->name, name);
	entry->key.key = entry->name;
	make_room(reviews);
	if (!entry->token || reviews->n >= MAX_ENTRIES ||
	    loop_timer_new(reviews->options.loop, on_impatience, entry, &entry->patience) < 0 ||
	    keyed_add(&reviews->tree, entry) < 0)
		return review_free(entry);
	TAILQ_INSERT_TAIL(&reviews->entries, entry, order);
	reviews->n++;
	return entry;
}

/* ---- a verdict ---- */

static uint64_t life_of(const struct broker_verdict *verdict)
{
	if (verdict->error)
		return ERROR_NS;
	return verdict->good && !verdict->by_keys ? GOOD_NS : BAD_NS;
}

static bool copy_token(struct review *entry, const struct broker_token *token)
{
	const char *const from[] = {token->name_space, token->service_account, token->pod_name,
				    token->pod_uid,    token->node_name,       token->node_uid};
	const char *to[ARRAY_SIZE(from)];
	size_t size = 0;
	char *at;

	for (size_t i = 0; i < ARRAY_SIZE(from); i++)
		size += pack_size(from[i]);
	at = entry->texts = malloc(size);
	if (!at)
		return false;
	for (size_t i = 0; i < ARRAY_SIZE(from); i++)
		to[i] = pack_put(&at, from[i]);
	entry->verdict.token = (struct broker_token){to[0], to[1], to[2], to[3], to[4], to[5]};
	return true;
}

/* A copy of it, but for why, which is static or else copied by the caller. */
static void keep(struct review *entry, const struct broker_verdict *verdict)
{
	entry->verdict = *verdict;
	entry->verdict.token = (struct broker_token){"", "", "", "", "", ""};
	if (verdict->good && !copy_token(entry, &verdict->token))
		entry->verdict = (struct broker_verdict){.error = -ENOMEM, .why = "no memory"};
	if (!verdict->good) {
		entry->texts = strndup(verdict->why, WHY_SIZE - 1);
		entry->verdict.why = entry->texts ?: "no memory";
	}
	entry->until_ns = clock_boot_ns() + life_of(&entry->verdict);
}

/* Whoever is called may ask again, and may cancel any of the others. */
static void settle(struct review *entry, const struct broker_verdict *verdict)
{
	entry->review = kube_token_review_cancel(entry->review);
	loop_timer_cancel(entry->patience);
	entry->token = secret_free(entry->token);
	keep(entry, verdict);
	entry->telling = true;
	while (!TAILQ_EMPTY(&entry->waits)) {
		struct broker_review_wait *wait = TAILQ_FIRST(&entry->waits);
		const struct broker_review_wait copy = *wait;

		broker_review_cancel(wait);
		copy.fn(copy.arg, &entry->verdict);
	}
	entry->telling = false;
}

static void fail(struct review *entry, int error, const char *why)
{
	const struct broker_verdict verdict = {.error = error, .why = why};

	entry->of->counts.failed++;
	settle(entry, &verdict);
}

/* False: they may not, or there are none. */
static bool judge_by_keys(struct review *entry)
{
	struct broker_reviews *reviews = entry->of;
	struct broker_judgement judgement = {};
	struct broker_verdict verdict = {.by_keys = true, .why = ""};
	int r;

	if (!reviews->options.keys_may_do || !reviews->keys)
		return false;
	r = broker_judge(reviews->keys, (const char *const *)reviews->issuers, reviews->n_issuers,
			 reviews->options.audience[entry->audience], entry->token, time(NULL),
			 &judgement, &verdict.why);
	if (r < 0 && r != -EINVAL)
		return false;
	reviews->counts.by_keys++;
	verdict.good = r == 0;
	verdict.token = judgement.token;
	settle(entry, &verdict);
	broker_judge_done(&judgement);
	return true;
}

static void on_impatience(void *arg)
{
	(void)judge_by_keys(arg);
}

static void on_review(void *arg, const struct kube_token_review_result *result)
{
	struct review *entry = arg;
	struct broker_verdict verdict = {.why = ""};

	entry->review = NULL;
	if (result->error) {
		if (result->error == -EPERM || !judge_by_keys(entry))
			fail(entry, result->error, result->why);
		return;
	}
	verdict.good = result->authenticated && *result->name_space;
	verdict.token = (struct broker_token){result->name_space, result->service_account,
					      result->pod_name,	  result->pod_uid,
					      result->node_name,  result->node_uid};
	if (!verdict.good)
		verdict.why = result->authenticated ? "it is not a service account's" : result->why;
	settle(entry, &verdict);
}

/* ---- questions ---- */

struct broker_review_wait *broker_review_cancel(struct broker_review_wait *wait)
{
	if (!wait)
		return NULL;
	TAILQ_REMOVE(&wait->of->waits, wait, entry);
	free(wait);
	return NULL;
}

static bool wait_for(struct review *entry, broker_verdict_fn *fn, void *arg,
		     struct broker_review_wait **ret)
{
	struct broker_review_wait *wait = calloc(1, sizeof(*wait));

	if (!wait)
		return false;
	*wait = (struct broker_review_wait){.of = entry, .fn = fn, .arg = arg};
	TAILQ_INSERT_TAIL(&entry->waits, wait, entry);
	*ret = wait;
	return true;
}

static int start(struct review *entry, struct pc_err *err)
{
	struct broker_reviews *reviews = entry->of;
	const struct broker_reviews_options *o = &reviews->options;
	const char *const audiences[] = {o->audience[entry->audience], NULL};

	reviews->counts.asked++;
	if (o->keys_may_do)
		loop_timer_after(entry->patience, PATIENCE_NS);
	return kube_token_review_start(o->kube, entry->token, audiences, on_review, entry,
				       &entry->review, err);
}

static struct review *find(struct broker_reviews *reviews, const char *name)
{
	struct review *entry = keyed_find(&reviews->tree, name);

	if (entry && !entry->token && clock_boot_ns() >= entry->until_ns) {
		forget(entry);
		return NULL;
	}
	if (!entry)
		return NULL;
	TAILQ_REMOVE(&reviews->entries, entry, order);
	TAILQ_INSERT_TAIL(&reviews->entries, entry, order);
	return entry;
}

static bool say(int error, const char *why, struct broker_verdict *ret)
{
	*ret = (struct broker_verdict){.error = error, .why = why};
	return true;
}

/* Whether it is worth a question. Whoever can reach us may send tokens that nobody has signed, as many as he likes; a key
 * that is not known may be a new one. */
static bool may_be_signed(const struct broker_reviews *reviews, const char *token)
{
	_cleanup_(crypto_jwt_freep) struct crypto_jwt *jwt = NULL;
	int r = reviews->keys ? crypto_jwt_verify(reviews->keys, token, strlen(token), &jwt) : 0;

	return r != -EKEYREJECTED && r != -EINVAL;
}

bool broker_reviews_ask(struct broker_reviews *reviews, enum broker_audience audience,
			const char *token, broker_verdict_fn *fn, void *arg,
			struct broker_verdict *ret, struct broker_review_wait **ret_wait)
{
	char name[KEY_SIZE];
	struct pc_err err = {};
	struct review *entry;
	int r = name_of(audience, token, name);

	if (r < 0)
		return say(r, "no digest", ret);
	entry = find(reviews, name);
	if (entry && !entry->token) {
		*ret = entry->verdict;
		return true;
	}
	if (entry)
		return !wait_for(entry, fn, arg, ret_wait) && say(-ENOMEM, "no memory", ret);
	if (!may_be_signed(reviews, token))
		return say(0, "it is no token that the cluster has signed", ret);
	entry = review_new(reviews, audience, token, name);
	if (!entry)
		return say(-ENOMEM, "too many tokens are being judged", ret);
	r = start(entry, &err);
	if (r == 0 && wait_for(entry, fn, arg, ret_wait))
		return false;
	forget(entry);
	if (r == -EINVAL)
		return say(0, "it is no token", ret);
	return say(r < 0 ? r : -ENOMEM, "no memory", ret);
}

/* ---- life ---- */

static void forget_issuers(struct broker_reviews *reviews)
{
	while (reviews->n_issuers)
		free(reviews->issuers[--reviews->n_issuers]);
}

void broker_reviews_set_keys(struct broker_reviews *reviews, const char *jwks, size_t len,
			     const char *const *issuers, size_t n_issuers)
{
	struct crypto_jwks *keys;

	if (crypto_jwks_parse(jwks, len, &keys, NULL) < 0)
		return;
	crypto_jwks_unref(reviews->keys);
	reviews->keys = keys;
	forget_issuers(reviews);
	for (size_t i = 0; i < n_issuers && i < MAX_ISSUERS; i++) {
		char *copy = strdup(issuers[i]);

		if (copy)
			reviews->issuers[reviews->n_issuers++] = copy;
	}
}

struct broker_review_counts broker_reviews_counts(const struct broker_reviews *reviews)
{
	struct broker_review_counts counts = reviews->counts;

	counts.kept = reviews->n;
	return counts;
}

struct broker_reviews *broker_reviews_free(struct broker_reviews *reviews)
{
	struct review *entry;

	if (!reviews)
		return NULL;
	while ((entry = TAILQ_FIRST(&reviews->entries))) {
		while (!TAILQ_EMPTY(&entry->waits))
			broker_review_cancel(TAILQ_FIRST(&entry->waits));
		forget(entry);
	}
	crypto_jwks_unref(reviews->keys);
	forget_issuers(reviews);
	free(reviews);
	return NULL;
}

int broker_reviews_new(const struct broker_reviews_options *options, struct broker_reviews **ret)
{
	struct broker_reviews *reviews = calloc(1, sizeof(*reviews));

	if (!reviews)
		return -ENOMEM;
	reviews->options = *options;
	TAILQ_INIT(&reviews->entries);
	*ret = reviews;
	return 0;
}
