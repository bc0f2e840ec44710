// SPDX-License-Identifier: Apache-2.0
#include <stdlib.h>
#include <string.h>

#include "identity/pod.h"

struct pod_labels {
	unsigned count; /* of references */
	size_t size;
	char text[];
};

struct pod_labels *pod_labels_new(const char *text, size_t size)
{
	struct pod_labels *labels = malloc(sizeof(*labels) + size + 1);

	if (!labels)
		return NULL;
	labels->count = 1;
	labels->size = size;
	memcpy(labels->text, text, size);
	labels->text[size] = '\0';
	return labels;
}

struct pod_labels *pod_labels_ref(struct pod_labels *labels)
{
	if (labels)
		labels->count++;
	return labels;
}

struct pod_labels *pod_labels_unref(struct pod_labels *labels)
{
	if (labels && --labels->count == 0)
		free(labels);
	return NULL;
}

bool pod_labels_same(const struct pod_labels *a, const struct pod_labels *b)
{
	size_t size = a ? a->size : 0;

	return size == (b ? b->size : 0) && (size == 0 || memcmp(a->text, b->text, size) == 0);
}

const char *pod_labels_text(const struct pod_labels *labels)
{
	return labels ? labels->text : "";
}

void pod_name_copy(struct pod_name *to, const struct pod_name *from)
{
	*to = *from;
	pod_labels_ref(to->labels);
}

void pod_name_done(struct pod_name *pod)
{
	pod->labels = pod_labels_unref(pod->labels);
}

bool pod_name_same(const struct pod_name *a, const struct pod_name *b)
{
	return a->host_network == b->host_network && a->running == b->running &&
	       a->labels_known == b->labels_known && a->asks == b->asks &&
	       strcmp(a->uid, b->uid) == 0 && strcmp(a->name_space, b->name_space) == 0 &&
	       strcmp(a->name, b->name) == 0 &&
	       strcmp(a->service_account, b->service_account) == 0 &&
	       strcmp(a->config_hash, b->config_hash) == 0 && pod_labels_same(a->labels, b->labels);
}
