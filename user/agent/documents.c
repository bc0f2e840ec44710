// SPDX-License-Identifier: Apache-2.0
#include "agent/documents.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/loop.h"

#define KEY_BITS   (3ULL << 62) /* no pod's key has both */
#define LOST_NS	   (DOCUMENTS_LOST_S * CLOCK_S)
#define ALLOWANCES 512
#define LEAST_MS   250 /* whoever waits for an answer sees it */

enum state {
	IDLE, /* nothing is asked */
	UNSENT,
	SENT,
};

/* Few of them: a list, the most recently used first. */
struct entry {
	struct entry *newer, *older;
	char *path;
	struct agent_document *document; /* NULL: nothing yet */
	uint64_t again_ns; /* CLOCK_BOOTTIME */
	size_t bytes; /* of the document */
	enum state state;
	uint64_t id, since_ns; /* of the question */
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
	size_t n, bytes, in_flight;
	uint64_t last_id;
	bool connected, posted;
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

static void set_state(struct agent_documents *d, struct entry *entry, enum state state)
{
	d->in_flight -= entry->state != IDLE;
	d->in_flight += state != IDLE;
	entry->state = state;
}

static void free_entry(struct agent_documents *d, struct entry *entry)
{
	forget_document(d, entry);
	set_state(d, entry, IDLE);
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

static void begin_question(struct agent_documents *d, struct entry *entry)
{
	entry->id = ++d->last_id;
	entry->since_ns = clock_boot_ns();
	set_state(d, entry, UNSENT);
}

static struct entry *find_unsent(struct agent_documents *d)
{
	struct entry *entry = d->oldest;

	while (entry && entry->state != UNSENT)
		entry = entry->newer;
	return entry;
}

/* False: there is nothing left, or nobody to tell. */
static bool send_next(struct agent_documents *d)
{
	struct entry *entry = find_unsent(d);
	struct upstream_message m = {.type = UPSTREAM_METADATA};

	if (!entry)
		return false;
	m.metadata.id = entry->id;
	m.metadata.path = entry->path;
	if (d->options.ask(d->options.ask_arg, &m) < 0)
		return false;
	set_state(d, entry, SENT);
	return true;
}

static void send_all(void *arg)
{
	struct agent_documents *d = arg;

	pthread_mutex_lock(&d->lock);
	d->posted = false;
	while (send_next(d))
		;
	pthread_mutex_unlock(&d->lock);
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
	if (due && entry->state == IDLE) {
		if (d->in_flight >= DOCUMENTS_IN_FLIGHT || !take_allowance(d, pod))
			return -EBUSY;
		begin_question(d, entry);
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
	if (r == -EINPROGRESS && d->connected && !d->posted && find_unsent(d))
		d->posted = loop_post(d->options.loop, send_all, d) == 0;
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

static struct entry *find_question(struct agent_documents *d, uint64_t id)
{
	struct entry *entry = d->newest;

	while (entry && (entry->state != SENT || entry->id != id))
		entry = entry->older;
	return entry;
}

static void take_answer(struct agent_documents *d, struct entry *entry,
			const struct upstream_message *m)
{
	uint64_t ms = m->type == UPSTREAM_DOCUMENT ? m->document.valid_ms : m->refusal.retry_ms;

	forget_document(d, entry);
	set_state(d, entry, IDLE);
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
	entry = find_question(d, id);
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
	pthread_mutex_lock(&d->lock);
	d->connected = connected;
	for (struct entry *entry = d->newest; entry; entry = entry->older)
		if (entry->state == SENT)
			begin_question(d, entry);
	pthread_mutex_unlock(&d->lock);
	if (connected)
		send_all(d);
}

void agent_documents_sweep(struct agent_documents *d)
{
	uint64_t now_ns = clock_boot_ns();

	pthread_mutex_lock(&d->lock);
	for (struct entry *entry = d->newest, *older; entry; entry = older) {
		older = entry->older;
		if (entry->state != IDLE && now_ns - entry->since_ns >= LOST_NS)
			set_state(d, entry, IDLE);
		if (entry->state == IDLE && now_ns >= entry->again_ns)
			free_entry(d, entry);
	}
	pthread_mutex_unlock(&d->lock);
	send_all(d);
}

/* ---- from its beginning to its end ---- */

int agent_documents_new(const struct agent_leaves_options *options, struct agent_documents **ret)
{
	struct agent_documents *d = calloc(1, sizeof(*d));

	if (!d)
		return -ENOMEM;
	d->options = *options;
	d->last_id = 1ULL << 62; /* no question about a pod has such an id */
	pthread_mutex_init(&d->lock, NULL);
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
