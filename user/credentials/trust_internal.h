/* SPDX-License-Identifier: Apache-2.0 */
/* Internal to user/credentials: what making and converting trust policies have in common. */
#pragma once

#include "base/k8s_name.h"
#include "credentials/trust.h"

#define CRED_EKS_PRINCIPAL "pods.eks.amazonaws.com"
#define CRED_PROVIDER_SIZE 512

struct cred_provider {
	char arn[CRED_PROVIDER_SIZE + 64];
	char name[CRED_PROVIDER_SIZE]; /* its issuer, without https:// */
};

/* role_arn: whose account has it, if trust names no ARN; NULL: not known. -EINVAL. */
int cred_provider_of(const struct cred_trust *trust, const char *role_arn,
		     struct cred_provider *ret, struct pc_err *err);
