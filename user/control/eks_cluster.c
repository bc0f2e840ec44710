// SPDX-License-Identifier: Apache-2.0
/* What tools look at before they manage associations: the cluster, its version, and whether an agent of EKS Pod Identity is
 * there. Whoever is somebody may know it. */
#include <string.h>

#include "base/base64.h"
#include "base/err.h"
#include "base/text.h"
#include "control/eks_call.h"
#include "kube/client.h"

#define AGENT	      "eks-pod-identity-agent" /* EKS's add-on, whose place podcred takes */
#define AUTHORITY_MAX (1 << 20)

/* ---- the cluster ---- */

static json_t *authority(const char *pem)
{
	struct text data = {.max = AUTHORITY_MAX};
	json_t *ret;

	base64_encode(&data, pem, strlen(pem));
	ret = json_pack("{s:o}", "data",
			text_error(&data) < 0 ? NULL : json_stringn(data.data ?: "", data.len));
	text_done(&data);
	return ret;
}

/* Without its version while the API server does not say it. */
static void on_cluster(void *arg, const struct kube_version_result *result)
{
	struct eks_call *call = arg;
	const struct kube_client *kube = call->api->options.kube;
	const struct eks_cluster *c = &call->api->cluster;

	call->version = NULL;
	eks_call_answer(call,
			json_pack("{s:{s:s, s:s, s:s, s:s, s:s*, s:o, s:{}}}", "cluster", "name",
				  c->name, "arn", c->arn, "status", "ACTIVE", "endpoint",
				  kube_client_server(kube), "version",
				  result->error ? NULL : result->version, "certificateAuthority",
				  authority(kube_client_authority(kube) ?: ""), "tags"));
}

/* ---- versions: there is the one that runs ---- */

static void on_versions(void *arg, const struct kube_version_result *result)
{
	struct eks_call *call = arg;

	call->version = NULL;
	if (result->error)
		eks_call_refuse(call, 500, "ServerException", "%s", result->why);
	else
		eks_call_answer(call,
				json_pack("{s:[{s:s, s:s, s:b, s:s, s:s}]}", "clusterVersions",
					  "clusterVersion", result->version, "clusterType", "eks",
					  "defaultVersion", 1, "status", "standard-support",
					  "versionStatus", "STANDARD_SUPPORT"));
}

static void ask_version(struct eks_call *call,
			void (*done)(void *arg, const struct kube_version_result *result))
{
	struct pc_err err = {};

	if (kube_version_start(call->api->options.kube, done, call, &call->version, &err) < 0)
		eks_call_refuse(call, 500, "ServerException", "%s", err.msg);
}

void eks_describe_cluster(struct eks_call *call)
{
	ask_version(call, on_cluster);
}

void eks_describe_versions(struct eks_call *call)
{
	ask_version(call, on_versions);
}

/* ---- add-ons ---- */

void eks_describe_addon(struct eks_call *call)
{
	const char *cluster = call->api->cluster_name;

	if (strcmp(call->request.addon, AGENT) != 0)
		eks_call_refuse(
			call, 404, "ResourceNotFoundException",
			"No addon: %s found in cluster: %s; podcred takes the place of " AGENT
			" and has no others",
			call->request.addon, cluster);
	else
		eks_call_answer(call,
				json_pack("{s:{s:s, s:s, s:s, s:s, s:{}}}", "addon", "addonName",
					  AGENT, "clusterName", cluster, "status", "ACTIVE",
					  "addonVersion", "podcred-" PODCRED_VERSION, "tags"));
}
