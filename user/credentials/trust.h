/* SPDX-License-Identifier: Apache-2.0 */
/* Trust policies of IAM roles: who may assume the role, as podcred does for pods. */
#pragma once

#include <jansson.h>

#include "credentials/session.h"

struct cred_trust {
	enum cred_source source; /* sts, webIdentity, issuer or eksAuth */
	/* sts: the ARN of who assumes roles; webIdentity, issuer: of the OIDC provider, NULL: made of issuer */
	const char *principal;
	/* webIdentity, issuer: the URL of the provider; NULL: as principal has it */
	const char *issuer;
	const char *audience; /* webIdentity: of associations that name none */
	struct cred_cluster cluster;
};

/* Who is to have the role. */
struct cred_trustee {
	const char *namespace, *service_account;
	const struct cred_association
		*association; /* NULL: it is to be made, as associations are by default */
};

/*
 * The policy that lets these have the role, and nobody else. -EINVAL: something is missing, err says what; -ENOMEM.
 * n 0: with eksAuth, whoever EKS says.
 */
int cred_trust_policy(const struct cred_trust *trust, const char *role_arn,
		      const struct cred_trustee *trustees, size_t n, json_t **ret,
		      struct pc_err *err);

#define CRED_TRUST_REMOVED_SIZE 256

/*
 * A policy written for EKS Pod Identity (principal pods.eks.amazonaws.com), for trust instead. Conditions on session
 * tags stay word for word with sts and issuer, and become those of the token with webIdentity; what nobody but EKS sends
 * is removed, and removed says what. All else stays. -EINVAL: not such a policy, or one that
 * cannot be converted.
 */
int cred_trust_convert(const struct cred_trust *trust, const json_t *policy, json_t **ret,
		       char removed[CRED_TRUST_REMOVED_SIZE], struct pc_err *err);
