/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whether the caller may have credentials of a pod: both have to be on the same node, by its name and by its uid. Pure
 * decisions; what is known of tokens, pods and nodes is the caller's to find out.
 */
#pragma once

#include "broker/reason.h"

struct kube_cluster_pod;

/* What a token that was found good says. No text is NULL; empty: it does not say. */
struct broker_token {
	const char *name_space, *service_account;
	const char *pod_name, *pod_uid;
	const char *node_name, *node_uid; /* Kubernetes 1.30 and later */
};

/* A pod's node. Empty: not known. */
struct broker_node {
	const char *name, *uid;
};

/*
 * The node of a caller whose token was found good. pod: of that token's uid, as the cluster knows it; NULL: it does not.
 * node_uid: of the node of the caller's name as it is now; NULL: not known. BROKER_GRANTED: *ret.
 */
enum broker_reason broker_bind_caller(const struct broker_token *token,
				      const struct kube_cluster_pod *pod, const char *node_uid,
				      struct broker_node *ret);

/* The name of the node whose uid broker_bind_caller() wants; empty: not known. */
const char *broker_bind_node_name(const struct broker_token *token,
				  const struct kube_cluster_pod *pod);

/*
 * Whether the caller on that node may ask about pod. pod NULL: not known. token: of the pod, found good; NULL: it was
 * not shown. node_uid: of the pod's node as it is now; NULL: not known.
 */
enum broker_reason broker_bind_pod(const struct broker_node *caller,
				   const struct kube_cluster_pod *pod,
				   const struct broker_token *token, const char *node_uid);
