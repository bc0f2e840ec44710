/* SPDX-License-Identifier: Apache-2.0 */
/*
 * PodIdentityAssociation objects (podcred.io/v1alpha1), followed by the Kubernetes API (watch.h). Read-only. Each is
 * validated again, whoever wrote it: one that cannot be used is counted and named, costs no other one, and is not
 * as if it did not exist, because its service account must not get what something else says.
 */
#pragma once

#include <stddef.h>

#include "credentials/choose.h"
#include "kube/watch.h"

struct kube_associations;
struct kube_client;
struct loop;

#define KUBE_ASSOCIATIONS_PATH "/apis/podcred.io/v1alpha1/podidentityassociations"

struct kube_associations_events {
	/* What is said of this service account has changed. May be NULL, as the next one. */
	void (*changed)(void *arg, const char *name_space, const char *service_account);
	/* Another list was read to its end. */
	void (*listed)(void *arg);
	/* Something of it has changed, other than times and counters: for logs and metrics. */
	void (*state)(void *arg, const struct kube_watch_state *state);
};

/*
 * default_source: of the configuration; an object that does not go with it cannot be used. times: idle_ms and backoff
 * of watch.h; NULL for the usual ones. -ENOMEM.
 */
int kube_associations_new(struct loop *loop, struct kube_client *client,
			  enum cred_source default_source, const struct kube_watch_options *times,
			  const struct kube_associations_events *events, void *arg,
			  struct kube_associations **ret);

/* Returns NULL; NULL is fine. Tables that were taken stay. */
struct kube_associations *kube_associations_free(struct kube_associations *associations);

/* As of now; unusable objects are those that exist and are not valid. */
const struct kube_watch_state *kube_associations_state(struct kube_associations *associations);

/* Each one that can be used, by namespace and name. */
void kube_associations_each(const struct kube_associations *associations,
			    void (*fn)(void *arg, struct cred_table *table), void *arg);

/*
 * What objects say of a service account, into object_known, object and object_why of facts; CRED_NOT_KNOWN until
 * the first list was read. *ret_table: has the object, for cred_table_unref(); NULL: there is none. object_why is
 * valid until the loop goes on.
 */
void kube_associations_find(const struct kube_associations *associations, const char *name_space,
			    const char *service_account, struct cred_facts *facts,
			    struct cred_table **ret_table);

/* Of the object of that service account; "": there is none. Likewise. */
const char *kube_associations_uid(const struct kube_associations *associations,
				  const char *name_space, const char *service_account);
