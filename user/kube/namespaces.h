/* SPDX-License-Identifier: Apache-2.0 */
/* The labels of all namespaces, followed by the Kubernetes API (watch.h), for selectors. Of this module alone. */
#pragma once

#include "credentials/rights.h"
#include "kube/watch.h"

struct kube_client;
struct kube_namespaces;
struct loop;

struct kube_namespaces_events {
	void (*changed)(void *arg); /* labels of a namespace, or a list was read to its end */
	void (*state)(void *arg, const struct kube_watch_state *state); /* as watch.h has it */
};

/* times: idle_ms and backoff of watch.h; NULL for the usual ones. -ENOMEM. */
int kube_namespaces_new(struct loop *loop, struct kube_client *client,
			const struct kube_watch_options *times,
			const struct kube_namespaces_events *events, void *arg,
			struct kube_namespaces **ret);

/* Returns NULL; NULL is fine. */
struct kube_namespaces *kube_namespaces_free(struct kube_namespaces *namespaces);

const struct kube_watch_state *kube_namespaces_state(const struct kube_namespaces *namespaces);

/* Into the labels of question, for its name_space; valid until the loop goes on. */
void kube_namespaces_find(const struct kube_namespaces *namespaces,
			  struct cred_rights_question *question);
