/* SPDX-License-Identifier: Apache-2.0 */
/* EKS Auth: credentials for the token of a pod, with the node's own keys. And podcred broker, which is like it. */
#pragma once

#include "aws/client.h"

struct aws_pod_identity {
	const char *cluster; /* its name */
	const char *token; /* for the audience pods.eks.amazonaws.com */
	const char *node_name, *instance_id, *zone_id; /* as far as they are known; may be NULL */
};

/* As those of sts.h. */
int aws_assume_role_for_pod_identity(struct aws_client *client, const struct aws_keys *keys,
				     const struct aws_pod_identity *params, aws_session_fn *done,
				     void *arg, struct aws_call **ret, struct pc_err *err);

/* Of podcred broker, which is the client's EKS Auth endpoint: it knows pods by their uid. */
struct aws_brokered_pod {
	const char *cluster; /* its name */
	const char *pod_uid;
	const char *token; /* that the pod has sent; NULL: none */
	const char *bearer; /* podcred's own token */
};

/* As above, not signed. */
int aws_assume_role_for_pod(struct aws_client *client, const struct aws_brokered_pod *params,
			    aws_session_fn *done, void *arg, struct aws_call **ret,
			    struct pc_err *err);
