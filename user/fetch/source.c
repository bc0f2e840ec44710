// SPDX-License-Identifier: Apache-2.0
#include "fetch/source.h"

fetch_source_fn *fetch_source_of(const struct fetch_request *request)
{
	switch (request->session.source) {
	case CRED_SOURCE_STATIC:
		return fetch_source_static;
	case CRED_SOURCE_EXEC:
		return fetch_source_exec;
	case CRED_SOURCE_WEB_IDENTITY:
		return fetch_source_web_identity;
	case CRED_SOURCE_EKS_AUTH:
		return fetch_source_eks_auth;
	case CRED_SOURCE_BROKER:
		return fetch_source_broker;
	case CRED_SOURCE_ISSUER:
		return fetch_source_issuer;
	default:
		return fetch_source_sts;
	}
}
