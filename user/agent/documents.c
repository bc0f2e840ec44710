// SPDX-License-Identifier: Apache-2.0
#include "agent/documents.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "agent/questions.h"
#include "base/clock.h"

#define KEY_BITS   (3ULL << 62) /* no pod's key has both */
#define ALLOWANCES 512
#define LEAST_MS   250 /* whoever waits for an answer sees it */
#define FIRST_ID   (1ULL << 61) /* no question about a pod has such an id, and no review */

/* Few of them: a list, the most recently used first. */
struct entry {
	struct agent_question question; /* first */
	struct entry *newer, *older;
	char *path;
	struct agent_document *document; /* NULL: nothing yet */
	uint64_t again_ns; /* CLOCK_BOOTTIME */
	size_t bytes; /* of the document */
};

/* What a pod may still cause. Of two with one bucket, the other one begins anew: nobody can choose which. */
struct allowance {
	uint64_t pod, since_ns;
	unsigned left;
};

struct agent_documents {
	struct agent_leaves_options options;
	pthread_mutex_t lock; /* for all below */
	struct entry *newest, *oldest;
	size_t n, bytes;
	struct agent_questions questions;
	struct allowance allowances[ALLOWANCES];
};

/* ---- what was told ---- */

static int new_document(const struct upstream_message *m, struct agent_document **ret,
			size_t *ret_bytes)
{
	bool found = m->type == UPSTREAM_DOCUMENT;
	const char *body = found ? m->document.body : "";
	size_t size = sizeof(struct agent_document) + strlen(body) + 1;
	struct agent_document *document = calloc(1, size);

	if (!document)
		return -ENOMEM;
	atomic_init(&document->refs, 1);
	document->found = found;
	strcpy(document->body, body);
	if (!found)
		document->reason = m->refusal.reason;
	*ret = document;
	*ret_bytes = size;
	return 0;
}

void agent_document_unref(struct agent_document *document)
{
	if (document && atomic_fetch_sub(&document->refs, 1) == 1)
		free(document);
}

/* ---- the list ---- */

static void unlink_entry(struct agent_documents *d, struct entry *entry)
{
	*(entry->newer ? &entry->newer->older : &d->newest) = entry->older;
	*(entry->older ? &entry->older->newer : &d->oldest) = entry->newer;
}

static void put_newest(struct agent_documents *d, struct entry *entry)
{
	entry->newer = NULL;
	entry->older = d->newest;
	*(d->newest ? &d->newest->newer : &d->oldest) = entry;
	d->newest = entry;
}

static void forget_document(struct agent_documents *d, struct entry *entry)
{
	agent_document_unref(entry->document);
	entry->document = NULL;
	d->bytes -= entry->bytes;
	entry->bytes = 0;
}

static void free_entry(struct agent_documents *d, struct entry *entry)
{
	forget_document(d, entry);
	agent_questions_end(&d->questions, &entry->question);
	unlink_entry(d, entry);
	free(entry->path);
	free(entry);
	d->n--;
}

/* Those that were not used for longest go, but not keep. */
static void make_room(struct agent_documents *d, const struct entry *keep)
{
	while ((d->n > DOCUMENTS_MAX || d->bytes > DOCUMENTS_BYTES_MAX) && d->oldest != keep)
		free_entry(d, d->oldest);
}

static struct entry *find_entry(struct agent_documents *d, const char *path)
{
	struct entry *entry = d->newest;

	while (entry && strcmp(entry->path, path) != 0)
		entry = entry->older;
	return entry;
}

static struct entry *use_entry(struct agent_documents *d, const char *path)
{
	struct entry *entry = find_entry(d, path);

	if (entry) {
		unlink_entry(d, entry);
		put_newest(d, entry);
		return entry;
	}
	entry = calloc(1, sizeof(*entry));
	if (!entry)
		return NULL;
	entry->path = strdup(path);
	if (!entry->path) {
		free(entry);
		return NULL;
	}
	put_newest(d, entry);
	d->n++;
	make_room(d, entry);
	return entry;
}

/* ---- questions ---- */

static bool take_allowance(struct agent_documents *d, uint64_t pod)
{
	struct allowance *a = &d->allowances[pod % ALLOWANCES];
	uint64_t now_ns = clock_boot_ns(), more;

	if (a->pod != pod)
		*a = (struct allowance){pod, now_ns, DOCUMENTS_BURST};
	more = (now_ns - a->since_ns) / (DOCUMENTS_ONE_MS * CLOCK_MS);
	a->since_ns += more * DOCUMENTS_ONE_MS * CLOCK_MS;
	a->left = more < DOCUMENTS_BURST - a->left ? a->left + (unsigned)more : DOCUMENTS_BURST;
	if (!a->left)
		return false;
	a->left--;
	return true;
}

static int send_question(void *arg, struct agent_question *q, uint64_t *ret_key)
{
	const struct agent_documents *d = arg;
	const struct upstream_message m = {
		.type = UPSTREAM_METADATA,
		.metadata = {.id = q->id, .path = ((const struct entry *)q)->path},
	};

	(void)ret_key;
	return d->options.ask(d->options.ask_arg, &m);
}

/* ---- whoever asks ---- */

static int look(struct agent_documents *d, uint64_t pod, const char *path,
		struct agent_document **ret)
{
	struct entry *entry = use_entry(d, path);
	bool due;

	if (!entry)
		return -ENOMEM;
	due = !entry->document || clock_boot_ns() >= entry->again_ns;
	if (due && entry->question.state == QUESTION_NONE) {
		if (d->questions.n >= DOCUMENTS_IN_FLIGHT || !take_allowance(d, pod))
			return -EBUSY;
		agent_questions_begin(&d->questions, &entry->question);
	}
	if (due)
		return -EINPROGRESS;
	atomic_fetch_add(&entry->document->refs, 1);
	*ret = entry->document;
	return 0;
}

int agent_documents_get(struct agent_documents *d, uint64_t pod, const char *path,
			struct agent_document **ret)
{
	int r;

	pthread_mutex_lock(&d->lock);
	r = look(d, pod, path, ret);
	agent_questions_post(&d->questions);
	pthread_mutex_unlock(&d->lock);
	return r;
}

/* FNV-1a. Two paths with one key wake each other for nothing. */
uint64_t agent_documents_key(const char *path)
{
	uint64_t hash = 0xcbf29ce484222325;

	for (; *path; path++)
		hash = (hash ^ (uint8_t)*path) * 0x100000001b3;
	return KEY_BITS | hash;
}

bool agent_documents_is_key(uint64_t key)
{
	return (key & KEY_BITS) == KEY_BITS;
}

/* ---- answers ---- */

static void take_answer(struct agent_documents *d, struct entry *entry,
			const struct upstream_message *m)
{
	uint64_t ms = m->type == UPSTREAM_DOCUMENT ? m->document.valid_ms : m->refusal.retry_ms;

	forget_document(d, entry);
	agent_questions_end(&d->questions, &entry->question);
	if (new_document(m, &entry->document, &entry->bytes) < 0)
		return;
	entry->again_ns = clock_boot_ns() + (ms > LEAST_MS ? ms : LEAST_MS) * CLOCK_MS;
	d->bytes += entry->bytes;
	make_room(d, entry);
}

static void on_answer(struct agent_documents *d, uint64_t id, const struct upstream_message *m)
{
	struct entry *entry;
	uint64_t key = 0;

	pthread_mutex_lock(&d->lock);
	entry = (struct entry *)agent_questions_find(&d->questions, id);
	if (entry) {
		key = agent_documents_key(entry->path);
		take_answer(d, entry, m);
	}
	pthread_mutex_unlock(&d->lock);
	if (key)
		d->options.wake(d->options.wake_arg, key);
}

/* What is asked for stays asked for: only the answer to it counts. */
static void flush(struct agent_documents *d)
{
	pthread_mutex_lock(&d->lock);
	for (struct entry *entry = d->newest; entry; entry = entry->older)
		forget_document(d, entry);
	pthread_mutex_unlock(&d->lock);
}

void agent_documents_told(struct agent_documents *d, const struct upstream_message *m)
{
	if (m->type == UPSTREAM_DOCUMENT)
		on_answer(d, m->document.id, m);
	else if (m->type == UPSTREAM_REFUSAL)
		on_answer(d, m->refusal.id, m);
	else if (m->type == UPSTREAM_FLUSH && !m->flush.pod_uid)
		flush(d);
}

void agent_documents_connected(struct agent_documents *d, bool connected)
{
	agent_questions_connected(&d->questions, connected);
}

void agent_documents_sweep(struct agent_documents *d)
{
	uint64_t now_ns = clock_boot_ns();

	pthread_mutex_lock(&d->lock);
	for (struct entry *entry = d->newest, *older; entry; entry = older) {
		older = entry->older;
		if (agent_question_is_lost(&entry->question, now_ns, DOCUMENTS_LOST_S))
			agent_questions_end(&d->questions, &entry->question);
		if (entry->question.state == QUESTION_NONE && now_ns >= entry->again_ns)
			free_entry(d, entry);
	}
	pthread_mutex_unlock(&d->lock);
	agent_questions_send(&d->questions);
}

/* ---- from its beginning to its end ---- */

int agent_documents_new(const struct agent_leaves_options *options, struct agent_documents **ret)
{
	struct agent_documents *d = calloc(1, sizeof(*d));

	if (!d)
		return -ENOMEM;
	d->options = *options;
	pthread_mutex_init(&d->lock, NULL);
	d->questions = (struct agent_questions){.loop = options->loop,
						.lock = &d->lock,
						.send = send_question,
						.arg = d,
						.last_id = FIRST_ID};
	agent_questions_init(&d->questions);
	*ret = d;
	return 0;
}

void agent_documents_free(struct agent_documents *d)
{
	if (!d)
		return;
	while (d->newest)
		free_entry(d, d->newest);
	pthread_mutex_destroy(&d->lock);
	free(d);
}

size_t agent_documents_count(struct agent_documents *d)
{
	size_t n;

	pthread_mutex_lock(&d->lock);
	n = d->n;
	pthread_mutex_unlock(&d->lock);
	return n;
}
