/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Documents of the node's metadata that podcred fetch has read for pods, by path: each until it may be another one, or a
 * refusal until it is time to ask again. They are the same for all pods. One question for each path, and not too many at
 * a time.
 *
 * Any thread may ask. All talk with fetch is in the thread of the loop, as with leaves.h.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/leaves.h"

struct agent_documents;

#define DOCUMENTS_MAX	    256
#define DOCUMENTS_BYTES_MAX 1048576
#define DOCUMENTS_IN_FLIGHT 32
#define DOCUMENTS_LOST_S    30
/* Questions that one pod may cause at once, and how often one more. */
#define DOCUMENTS_BURST	 40
#define DOCUMENTS_ONE_MS 500

/* What became of a question. It does not change; counted. */
struct agent_document {
	atomic_uint refs;
	bool found;
	enum upstream_reason reason; /* not found: why */
	char body[]; /* found; plain text, as all of IMDS */
};

/* NULL is fine. */
void agent_document_unref(struct agent_document *document);

/* options: max does not count. */
int agent_documents_new(const struct agent_leaves_options *options, struct agent_documents **ret);
void agent_documents_free(struct agent_documents *documents);

/* What whoever waits for it is parked under. */
uint64_t agent_documents_key(const char *path);
bool agent_documents_is_key(uint64_t key);

/* pod: its cgroup's id. 0 with *ret, to be given back; -EINPROGRESS: it is being asked for; -EBUSY: too many are, or
 * this pod has asked for too many; -ENOMEM. */
int agent_documents_get(struct agent_documents *documents, uint64_t pod, const char *path,
			struct agent_document **ret);

/* ---- in the thread of the loop ---- */

void agent_documents_connected(struct agent_documents *documents, bool connected);

/* A document, a refusal, or flush. */
void agent_documents_told(struct agent_documents *documents, const struct upstream_message *m);
void agent_documents_sweep(struct agent_documents *documents);

/* How many are kept. From any thread. */
size_t agent_documents_count(struct agent_documents *documents);
