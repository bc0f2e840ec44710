/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which pods the cluster has, on which nodes they are, and which nodes there are, followed by the Kubernetes API
 * (watch.h). What is known stays when the API server is away. All on one loop.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "kube/watch.h"

struct kube_client;
struct kube_cluster_pods;
struct loop;

/* No text is NULL. */
struct kube_cluster_pod {
	const char *uid; /* in lower case, with dashes */
	const char *name_space, *name;
	const char *service_account; /* empty: it has none */
	const char *node; /* its name; empty: not scheduled yet */
	bool ended; /* its containers have ended, and will not start again */
};

struct kube_cluster_pods_events {
	/* The pod is gone, or has ended. */
	void (*ended)(void *arg, const char *uid);
	/* what: "pods" or "nodes". Something of it has changed, other than times and counters. */
	void (*state)(void *arg, const char *what, const struct kube_watch_state *state);
};

/* times: idle_ms and backoff of watch.h; NULL for the usual ones. -ENOMEM. */
int kube_cluster_pods_new(struct loop *loop, struct kube_client *client,
			  const struct kube_watch_options *times,
			  const struct kube_cluster_pods_events *events, void *arg,
			  struct kube_cluster_pods **ret);

/* Returns NULL; NULL is fine. */
struct kube_cluster_pods *kube_cluster_pods_free(struct kube_cluster_pods *pods);

/* NULL: not known. Valid until the loop goes on. */
const struct kube_cluster_pod *kube_cluster_pods_find(const struct kube_cluster_pods *pods,
						      const char *uid);

/* The uid of the node of that name as it is now; NULL: not known. Likewise. */
const char *kube_cluster_pods_node(const struct kube_cluster_pods *pods, const char *name);

/* As of now; listed: both have been. */
const struct kube_watch_state *kube_cluster_pods_state(const struct kube_cluster_pods *pods);
const struct kube_watch_state *kube_cluster_pods_node_state(const struct kube_cluster_pods *pods);
bool kube_cluster_pods_listed(const struct kube_cluster_pods *pods);
