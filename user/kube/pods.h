/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The pods of one node, followed by the Kubernetes API (watch.h, which says when what is called).
 */
#pragma once

#include "identity/pod.h"
#include "kube/watch.h"

struct kube_client;
struct kube_pods;
struct loop;
struct pc_err;

struct kube_pods_events {
	/* The pod exists; called again when something of it changed, and for each list. Copied by
	 * pod_name_copy(). 0, or -errno when it could not be taken now: the list is read again after a
	 * while. */
	int (*put)(void *arg, const struct pod_name *pod);
	/* The pod object is gone; its processes may still run. uid: as put() had it. */
	void (*gone)(void *arg, const char *uid);
	void (*listed)(void *arg); /* these are the pods of this node */
	void (*state)(void *arg, const struct kube_watch_state *state);
};

/*
 * node: its name in the API, copied. A pod of another node cannot be used, whatever the answer says.
 * When there is no pod at all and the API knows no such node, state() says so. idle_ms and backoff of
 * watch.h: NULL for the usual ones. -EINVAL: node is no name of a node; -ENOMEM.
 */
int kube_pods_new(struct loop *loop, struct kube_client *client, const char *node,
		  const struct kube_watch_options *times, const struct kube_pods_events *events,
		  void *arg, struct kube_pods **ret, struct pc_err *err);

/* Returns NULL; NULL is fine. */
struct kube_pods *kube_pods_free(struct kube_pods *pods);

const struct kube_watch_state *kube_pods_state(struct kube_pods *pods);
