/* SPDX-License-Identifier: Apache-2.0 */
/*
 * All PodIdentityAssociation objects, followed by the Kubernetes API, as the API of associations shows them. What this
 * process has written itself is there at once, and what it has deleted is gone at once.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/keyed.h"
#include "control/eks_request.h"
#include "kube/watch.h"

struct eks_store;
struct kube_client;
struct loop;

#define EKS_KEY_SIZE (64 + EKS_NAME_SIZE)
#define EKS_UID_SIZE 64

/* Belongs to the store; valid until the loop goes on. */
struct eks_object {
	struct keyed by_key; /* key */
	struct eks_id_node *by_id;
	char key[EKS_KEY_SIZE]; /* NAMESPACE/NAME, the name being that of the service account */
	char name_space[64], name[EKS_NAME_SIZE];
	char id[EKS_ID_SIZE];
	char uid[EKS_UID_SIZE];
	json_t *object; /* as eks_shape has it */
	uint64_t version; /* resourceVersion as a number; 0: it is none */
	uint64_t
		own_ns; /* when this process has put it there, and nobody else has mentioned it yet; 0: somebody has */
};

/* What is kept of an object, for whoever asks for one, too; and of a list. */
extern const struct project_shape eks_shape, eks_list_shape;

struct eks_store_events {
	/* It is there, or is another one now. */
	void (*changed)(void *arg, const struct eks_object *object);
	void (*gone)(void *arg); /* one is not there any more */
	void (*listed)(void *arg);
	void (*state)(void *arg, const struct kube_watch_state *state);
};

/* -ENOMEM. */
int eks_store_new(struct loop *loop, struct kube_client *client,
		  const struct eks_store_events *events, void *arg, struct eks_store **ret);

/* Returns NULL; NULL is fine. */
struct eks_store *eks_store_free(struct eks_store *store);

const struct kube_watch_state *eks_store_state(struct eks_store *store);

/* NULL: none. */
const struct eks_object *eks_store_find(const struct eks_store *store, const char *name_space,
					const char *name);
const struct eks_object *eks_store_find_id(const struct eks_store *store, const char *id);

/* In the order of their keys. */
void eks_store_each(const struct eks_store *store,
		    void (*fn)(void *arg, const struct eks_object *object), void *arg);

/* What the API server has answered: an object of eks_shape. An older one than is known changes nothing. -EINVAL,
 * -ENOMEM. */
int eks_store_put(struct eks_store *store, const json_t *object);

/* It was deleted; what comes of it later is late. */
void eks_store_drop(struct eks_store *store, const char *uid);
