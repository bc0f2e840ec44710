// SPDX-License-Identifier: Apache-2.0
#include "fetch/rules.h"

#include "config/config.h"

static const enum cred_source sources[] = {
	[CONFIG_SOURCE_STS] = CRED_SOURCE_STS,
	[CONFIG_SOURCE_WEB_IDENTITY] = CRED_SOURCE_WEB_IDENTITY,
	[CONFIG_SOURCE_EKS_AUTH] = CRED_SOURCE_EKS_AUTH,
	[CONFIG_SOURCE_BROKER] = CRED_SOURCE_BROKER,
	[CONFIG_SOURCE_ISSUER] = CRED_SOURCE_ISSUER,
};

static const char *or_null(const char *text)
{
	return *text ? text : NULL;
}

void fetch_rules(const struct config_credentials *config, struct cred_rules *rules,
		 struct cred_cluster *cluster)
{
	*rules = (struct cred_rules){
		.default_source = sources[config->source],
		.objects = config->objects,
		.irsa = config->migration.irsa,
		.kube2iam = config->migration.kube2iam,
		.kiam = config->migration.kiam,
		.base_role_arn = or_null(config->migration.base_role_arn),
		.default_role = or_null(config->migration.default_role),
		.allowed_roles_regexp = config->migration.allowed_roles == CONFIG_PATTERN_REGEXP,
	};
	*cluster = (struct cred_cluster){.name = or_null(config->cluster_name),
					 .arn = or_null(config->cluster_arn)};
}
