// SPDX-License-Identifier: Apache-2.0
#include "broker/bind.h"

#include <string.h>

#include "kube/cluster_pods.h"

/* Whether both are known, and not the same. */
static bool differ(const char *a, const char *b)
{
	return *a && *b && strcmp(a, b) != 0;
}

static bool is_of(const struct broker_token *token, const struct kube_cluster_pod *pod)
{
	return !strcmp(token->pod_uid, pod->uid) && !strcmp(token->name_space, pod->name_space) &&
	       !strcmp(token->service_account, pod->service_account) &&
	       !differ(token->pod_name, pod->name);
}

const char *broker_bind_node_name(const struct broker_token *token,
				  const struct kube_cluster_pod *pod)
{
	return *token->node_name || !pod ? token->node_name : pod->node;
}

/* A pod never moves: where its token and the cluster do not agree on its node, one of them is not what it seems. */
enum broker_reason broker_bind_caller(const struct broker_token *token,
				      const struct kube_cluster_pod *pod, const char *node_uid,
				      struct broker_node *ret)
{
	const char *name = broker_bind_node_name(token, pod);

	if (!*token->pod_uid)
		return BROKER_CALLER_NOT_OF_POD;
	if (!pod || pod->ended || !is_of(token, pod) || differ(token->node_name, pod->node))
		return BROKER_CALLER_GONE;
	if (!*name || !node_uid || differ(token->node_uid, node_uid))
		return BROKER_NODE_REPLACED;
	*ret = (struct broker_node){name, node_uid};
	return BROKER_GRANTED;
}

enum broker_reason broker_bind_pod(const struct broker_node *caller,
				   const struct kube_cluster_pod *pod,
				   const struct broker_token *token, const char *node_uid)
{
	if (!pod)
		return BROKER_POD_UNKNOWN;
	if (token && !is_of(token, pod))
		return BROKER_OTHER_POD;
	if (strcmp(pod->node, caller->name) != 0 || !node_uid || strcmp(node_uid, caller->uid) != 0)
		return BROKER_OTHER_NODE;
	/* made for a node of that name which is not there any more, and with it its pods */
	if (token && (differ(token->node_name, pod->node) || differ(token->node_uid, caller->uid)))
		return BROKER_OTHER_NODE;
	if (pod->ended)
		return BROKER_POD_ENDED;
	return *pod->service_account ? BROKER_GRANTED : BROKER_NO_ACCOUNT;
}
