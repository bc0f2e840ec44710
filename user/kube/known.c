// SPDX-License-Identifier: Apache-2.0
#include "kube/known.h"

#include <stdlib.h>
#include <string.h>

struct kube_known_object *kube_known_find(const struct kube_known *known, const char *uid)
{
	return keyed_find(&known->tree, uid);
}

static struct kube_known_object *new_object(const char *uid, const char *name_space,
					    const char *name)
{
	size_t name_size = strlen(name) + 1, space_size = strlen(name_space) + 1;
	struct kube_known_object *object = calloc(1, sizeof(*object) + name_size + space_size);

	if (!object)
		return NULL;
	strcpy(object->uid, uid);
	object->key.key = object->uid;
	memcpy(object->text, name, name_size);
	memcpy(object->text + name_size, name_space, space_size);
	object->name_space = object->text + name_size;
	return object;
}

struct kube_known_object *kube_known_add(struct kube_known *known, const char *uid,
					 const char *name_space, const char *name)
{
	struct kube_known_object *object = new_object(uid, name_space, name);

	if (!object || keyed_add(&known->tree, object) < 0) {
		free(object);
		return NULL;
	}
	object->next = known->first;
	object->prev = &known->first;
	if (object->next)
		object->next->prev = &object->next;
	known->first = object;
	known->n++;
	return object;
}

void kube_known_set_usable(struct kube_known *known, struct kube_known_object *object, bool usable)
{
	known->usable += usable;
	known->usable -= object->usable;
	object->usable = usable;
}

void kube_known_remove(struct kube_known *known, struct kube_known_object *object)
{
	kube_known_set_usable(known, object, false);
	keyed_remove(&known->tree, object);
	*object->prev = object->next;
	if (object->next)
		object->next->prev = object->prev;
	known->n--;
	free(object);
}

void kube_known_done(struct kube_known *known)
{
	while (known->first)
		kube_known_remove(known, known->first);
	*known = (struct kube_known){};
}

void kube_known_note_deleted(struct kube_known *known, const char *uid)
{
	char *place = known->deleted[known->n_deleted % KUBE_KNOWN_DELETED];

	if (strlen(uid) >= KUBE_UID_SIZE || kube_known_was_deleted(known, uid))
		return;
	strcpy(place, uid);
	known->n_deleted++;
}

bool kube_known_was_deleted(const struct kube_known *known, const char *uid)
{
	size_t n = known->n_deleted < KUBE_KNOWN_DELETED ? known->n_deleted : KUBE_KNOWN_DELETED;

	for (size_t i = 0; i < n; i++)
		if (strcmp(known->deleted[i], uid) == 0)
			return true;
	return false;
}

static bool is_number(const char *version)
{
	return *version && *version != '0' && strspn(version, "0123456789") == strlen(version);
}

bool kube_known_is_older(const char *version, const char *than)
{
	size_t len = strlen(version), than_len = strlen(than);

	if (!is_number(version) || !is_number(than))
		return false;
	return len != than_len ? len < than_len : strcmp(version, than) < 0;
}
