// SPDX-License-Identifier: Apache-2.0
#include "fetch/metadata.h"

#include <errno.h>
#include <search.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "aws/imds.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/keyed.h"
#include "base/secret.h"
#include "config/credentials.h"

#define MAX_DOCUMENTS 512 /* then the oldest goes */
#define MAX_FLIGHTS   8 /* at a time; more are refused */
#define MAX_BODY      49152 /* that fits into a message to serve */
#define STATIC_NS     (300 * CLOCK_S)
#define MOVING_NS     (5 * CLOCK_S)
#define TROUBLE_NS    (2 * CLOCK_S)

LIST_HEAD(document_waits, fetch_document_wait);
TAILQ_HEAD(documents, document);

struct document {
	struct keyed by_path;
	TAILQ_ENTRY(document) link;
	struct fetch_metadata *metadata;
	char *path, *body, *why;
	enum fetch_document_class class;
	uint64_t until_ns; /* 0: it is not there yet */
	struct aws_call *call;
	struct document_waits waits;
};

struct fetch_document_wait {
	LIST_ENTRY(fetch_document_wait) link;
	fetch_document_fn *done;
	void *arg;
};

struct fetch_metadata {
	struct aws_imds *imds;
	const struct config_credentials *config;
	void *by_path;
	struct documents documents; /* the oldest first */
	size_t n, flights;
};

/* ---- documents ---- */

/* How long what it says is true: the place of an instance does not change while it runs. */
static uint64_t life_of(const char *path)
{
	static const char *const moving[] = {"/spot/", "/events/", "/tags/", "/autoscaling/"};

	for (size_t i = 0; i < sizeof(moving) / sizeof(moving[0]); i++)
		if (strstr(path, moving[i]))
			return MOVING_NS;
	return STATIC_NS;
}

static void document_free(struct document *d)
{
	struct fetch_metadata *metadata = d->metadata;
	struct fetch_document_wait *wait;

	while ((wait = LIST_FIRST(&d->waits)))
		fetch_document_wait_cancel(wait);
	if (d->call)
		metadata->flights--;
	aws_call_cancel(d->call);
	keyed_remove(&metadata->by_path, d);
	TAILQ_REMOVE(&metadata->documents, d, link);
	metadata->n--;
	secret_free(d->body);
	free(d->why);
	free(d->path);
	free(d);
}

/* One that nobody is waiting for. */
static void make_room(struct fetch_metadata *metadata)
{
	struct document *d;

	TAILQ_FOREACH(d, &metadata->documents, link)
	if (!d->call)
		break;
	if (d)
		document_free(d);
}

static struct document *document_new(struct fetch_metadata *metadata, const char *path)
{
	struct document *d;

	if (metadata->n >= MAX_DOCUMENTS)
		make_room(metadata);
	d = calloc(1, sizeof(*d));
	if (d)
		d->path = strdup(path);
	if (!d || !d->path) {
		free(d);
		return NULL;
	}
	d->by_path.key = d->path;
	d->metadata = metadata;
	LIST_INIT(&d->waits);
	if (keyed_add(&metadata->by_path, d) < 0) {
		free(d->path);
		free(d);
		return NULL;
	}
	TAILQ_INSERT_TAIL(&metadata->documents, d, link);
	metadata->n++;
	return d;
}

static struct fetch_document now(const struct document *d)
{
	uint64_t now_ns = clock_boot_ns();

	return (struct fetch_document){
		.class = d->class,
		.body = d->class == FETCH_DOCUMENT ? d->body : NULL,
		.why = d->why ?: "",
		.again_ns = d->until_ns > now_ns ? d->until_ns - now_ns : 0,
	};
}

/* ---- asking ---- */

static void keep(struct document *d, const struct aws_result *result, const char *body)
{
	uint64_t life = life_of(d->path);

	d->body = secret_free(d->body);
	free(d->why);
	d->why = NULL;
	if (body) {
		d->class = FETCH_DOCUMENT;
		d->body = strdup(body);
	} else if (result->class == AWS_NOT_FOUND) {
		d->class = FETCH_DOCUMENT_NOT_FOUND;
		d->why = strdup("the instance has no such metadata");
	}
	if (!d->body && !d->why) {
		d->class = FETCH_DOCUMENT_UNAVAILABLE;
		d->why = strdup(result->message);
		life = TROUBLE_NS;
	}
	d->until_ns = clock_boot_ns() + life;
}

/* A function that is called may drop nothing here but waits. */
static void on_body(void *arg, const struct aws_result *result, const char *body, size_t len)
{
	struct document *d = arg;
	struct fetch_document_wait *wait;
	struct fetch_document document;

	(void)len;
	d->call = NULL;
	d->metadata->flights--;
	keep(d, result, body);
	document = now(d);
	while ((wait = LIST_FIRST(&d->waits))) {
		LIST_REMOVE(wait, link);
		wait->done(wait->arg, &document);
		free(wait);
	}
}

static int ask(struct document *d)
{
	struct fetch_metadata *metadata = d->metadata;
	struct pc_err err = {};
	int r;

	if (d->call)
		return 0;
	if (metadata->flights >= MAX_FLIGHTS)
		return -EBUSY;
	r = aws_imds_get(metadata->imds, d->path, MAX_BODY, on_body, d, &d->call, &err);
	if (r == 0)
		metadata->flights++;
	return r;
}

static void refuse(enum fetch_document_class class, const char *why, fetch_document_fn *done,
		   void *arg)
{
	const struct fetch_document document = {.class = class, .why = why, .again_ns = CLOCK_S};

	done(arg, &document);
}

void fetch_metadata_get(struct fetch_metadata *metadata, const char *path, fetch_document_fn *done,
			void *arg, struct fetch_document_wait **ret)
{
	struct fetch_document_wait *wait;
	struct fetch_document document;
	struct document *d;

	*ret = NULL;
	if (!fetch_metadata_may(metadata->config, path)) {
		refuse(FETCH_DOCUMENT_NOT_FOUND, "not for pods", done, arg);
		return;
	}
	d = keyed_find(&metadata->by_path, path) ?: document_new(metadata, path);
	if (d && clock_boot_ns() < d->until_ns) {
		document = now(d);
		done(arg, &document);
		return;
	}
	wait = d ? calloc(1, sizeof(*wait)) : NULL;
	if (!wait || ask(d) < 0) {
		free(wait);
		refuse(FETCH_DOCUMENT_BUSY, "the metadata service is asked too much", done, arg);
		return;
	}
	*wait = (struct fetch_document_wait){.done = done, .arg = arg};
	LIST_INSERT_HEAD(&d->waits, wait, link);
	*ret = wait;
}

struct fetch_document_wait *fetch_document_wait_cancel(struct fetch_document_wait *wait)
{
	if (!wait)
		return NULL;
	LIST_REMOVE(wait, link);
	free(wait);
	return NULL;
}

/* ---- life ---- */

int fetch_metadata_new(struct aws_imds *imds, const struct config_credentials *config,
		       struct fetch_metadata **ret)
{
	struct fetch_metadata *metadata = calloc(1, sizeof(*metadata));

	if (!metadata)
		return -ENOMEM;
	metadata->imds = imds;
	metadata->config = config;
	TAILQ_INIT(&metadata->documents);
	*ret = metadata;
	return 0;
}

struct fetch_metadata *fetch_metadata_free(struct fetch_metadata *metadata)
{
	if (!metadata)
		return NULL;
	while (!TAILQ_EMPTY(&metadata->documents))
		document_free(TAILQ_FIRST(&metadata->documents));
	free(metadata);
	return NULL;
}
