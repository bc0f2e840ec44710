/* SPDX-License-Identifier: Apache-2.0 */
/*
 * PodIdentityRolePolicy objects (podcred.io/v1alpha1), followed by the Kubernetes API (watch.h), and the labels of
 * namespaces as soon as a policy selects by them. Read-only. Each is validated again, whoever wrote it; one that cannot
 * be used allows nothing, is counted and named, and costs no other one. An API server that is away changes nothing.
 */
#pragma once

#include "credentials/rights.h"
#include "kube/watch.h"

struct kube_client;
struct kube_role_policies;
struct loop;

#define KUBE_ROLE_POLICIES_PATH "/apis/podcred.io/v1alpha1/podidentityrolepolicies"

struct kube_role_policies_events {
	/* An answer may be another one now. May be NULL, as the next ones. */
	void (*changed)(void *arg);
	/* For logs and metrics. */
	void (*state)(void *arg, const struct kube_watch_state *state);
	void (*namespaces_state)(void *arg, const struct kube_watch_state *state);
};

/* times: idle_ms and backoff of watch.h; NULL for the usual ones. -ENOMEM. */
int kube_role_policies_new(struct loop *loop, struct kube_client *client,
			   const struct kube_watch_options *times,
			   const struct kube_role_policies_events *events, void *arg,
			   struct kube_role_policies **ret);

/* Returns NULL; NULL is fine. */
struct kube_role_policies *kube_role_policies_free(struct kube_role_policies *policies);

/* Of policies. */
const struct kube_watch_state *kube_role_policies_state(const struct kube_role_policies *policies);

/* Of namespaces; NULL: no policy has needed them. */
const struct kube_watch_state *kube_role_policies_namespaces(
	const struct kube_role_policies *policies);

/*
 * Whether that namespace may have that role. target_role_arn: NULL for none. CRED_RIGHT_UNKNOWN until the lists that
 * decide it were read; ret->why says what is wrong with that.
 */
void kube_role_policies_ask(const struct kube_role_policies *policies, const char *name_space,
			    const char *role_arn, const char *target_role_arn,
			    struct cred_rights_answer *ret);
