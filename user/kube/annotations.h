/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The annotations that IRSA, kube2iam and kiam read, asked for when they are needed: three GETs at most, of the
 * service account, the pod and its namespace. Answers are kept for a short while, in a bounded cache.
 */
#pragma once

#include <stdbool.h>

#include "credentials/choose.h"
#include "credentials/session.h"

struct kube_annotations;
struct kube_annotations_call;
struct kube_client;
struct loop;
struct pc_err;

struct kube_annotations_result {
	/*
	 * 0: annotations are known, NULL where there is none (also when the object does not exist).
	 * -ESTALE: the pod of this name has another uid, so nothing is known of the one that was asked for.
	 * -EACCES: the API server refuses. -EAGAIN: it is out of reach, or in trouble. -EPROTO: it talks
	 * nonsense. -ENOMEM.
	 */
	int error;
	const char *why; /* one line, with the next step; empty when error is 0 */
	struct cred_annotations annotations; /* valid during the call */
};

typedef void kube_annotations_fn(void *arg, const struct kube_annotations_result *result);

/* irsa, iam: which are asked for. keep_ms: how long answers are kept; 0: as everybody should have it. -ENOMEM. */
int kube_annotations_new(struct loop *loop, struct kube_client *client, bool irsa, bool iam,
			 unsigned keep_ms, struct kube_annotations **ret);

/* Nobody who waits is called. Returns NULL; NULL is fine. */
struct kube_annotations *kube_annotations_free(struct kube_annotations *annotations);

/*
 * done is called once, never before this has returned. pod is copied. The answer for a pod is of the pod with that
 * uid. -ENOMEM, -EBUSY (too many wait), -EINVAL (names that no pod has).
 */
int kube_annotations_get(struct kube_annotations *annotations, const struct cred_pod *pod,
			 kube_annotations_fn *done, void *arg, struct kube_annotations_call **ret,
			 struct pc_err *err);

/* done is not called any more. Returns NULL; NULL is fine. */
struct kube_annotations_call *kube_annotations_cancel(struct kube_annotations_call *call);

/* The pod has ended: what is kept of it is dropped. */
void kube_annotations_gone(struct kube_annotations *annotations, const char *uid);
