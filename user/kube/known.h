/* SPDX-License-Identifier: Apache-2.0 */
/* The objects that a watch knows, by uid: what it has to compare with the next list or event. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/keyed.h"

/* A uid has 36 characters, and a version is a number. What is longer is none. */
#define KUBE_UID_SIZE	  64
#define KUBE_VERSION_SIZE 64

struct kube_known_object {
	struct keyed key; /* its uid */
	struct kube_known_object *next, **prev;
	uint64_t list; /* the last one that had it, or that came before the event that had it */
	bool usable; /* somebody was told of it */
	char uid[KUBE_UID_SIZE];
	char version[KUBE_VERSION_SIZE]; /* resourceVersion */
	const char *name_space; /* in text */
	char text[]; /* name, NUL, namespace, NUL */
};

#define KUBE_KNOWN_DELETED 256

/* Starts as zeros. */
struct kube_known {
	void *tree;
	struct kube_known_object *first;
	size_t n, usable;
	/* Deleted lately: a uid is never used again, so what comes of it now comes late. */
	char deleted[KUBE_KNOWN_DELETED][KUBE_UID_SIZE];
	size_t n_deleted;
};

void kube_known_done(struct kube_known *known);

/* NULL: there is none. */
struct kube_known_object *kube_known_find(const struct kube_known *known, const char *uid);

/* A new one, not usable yet. The uid is shorter than KUBE_UID_SIZE, and not known. NULL: no memory. */
struct kube_known_object *kube_known_add(struct kube_known *known, const char *uid,
					 const char *name_space, const char *name);

void kube_known_set_usable(struct kube_known *known, struct kube_known_object *object, bool usable);

/* Frees it. */
void kube_known_remove(struct kube_known *known, struct kube_known_object *object);

void kube_known_note_deleted(struct kube_known *known, const char *uid);
bool kube_known_was_deleted(const struct kube_known *known, const char *uid);

/*
 * Whether one resourceVersion is older than another. Those of every API server there is are numbers that
 * grow; of others nothing is known, so none is older.
 */
bool kube_known_is_older(const char *version, const char *than);
