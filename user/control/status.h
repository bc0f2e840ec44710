/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The status of associations: identifiers, and the conditions RoleAllowed, Assumable, Shadowed and Ready. Conditions of
 * others stay as they are. Several replicas write the same, and only what differs, each on top of the version that it has read: who comes
 * second is refused, reads again, and finds it done.
 */
#pragma once

#include <stdint.h>

#include "control/eks_answer.h"
#include "control/eks_store.h"

struct control_broker;
struct control_status;
struct kube_client;
struct kube_role_policies;
struct loop;

/* All outlive it. broker: NULL, nobody says whether roles can be had, and nor does the status. -ENOMEM. */
int control_status_new(struct loop *loop, struct kube_client *client, struct eks_store *store,
		       const struct kube_role_policies *policies, const struct eks_cluster *cluster,
		       const struct control_broker *broker, struct control_status **ret);

/* Returns NULL; NULL is fine. */
struct control_status *control_status_free(struct control_status *status);

/* An association, or a policy, is another one: soon it is looked at what follows. */
void control_status_look(struct control_status *status);

struct control_status_counts {
	uint64_t written, conflicts, failed; /* since the start */
};
struct control_status_counts control_status_counts(const struct control_status *status);
