/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/addr.h"
#include "base/err.h"

struct config_credentials;

#define SERVE_LISTEN_MAX 2 /* one address of each family */

struct serve_options {
	const struct net_addr *listen;
	size_t n_listen;
	struct net_addr metrics; /* port 0: none */
	const char *associations;
	const char *token_key; /* file that keeps the IMDS token key over restarts; may be NULL */
	const char *node_metrics; /* file that the resolver writes its metrics to; may be NULL */
	const char *user; /* switch to that user, a name or a number; NULL: stay who we are */
	const char *fetch_socket; /* where podcred fetch, and the resolver, dial; NULL: neither */
	const char
		*fetch_user; /* who may be podcred fetch, a name or a number; NULL: podcred-fetch */
	const char *pod_uid; /* of the agent's own pod, for /readyz; NULL: none */
	bool handover; /* take over from an agent of this user that has the addresses, too */
	bool require_authorization; /* Pod Identity asks for the Authorization header, as on EKS */
	const struct config_credentials *credentials; /* of the configuration */
	const char *jwks; /* file with the keys that tokens of pods are verified with; NULL: none */
};

/* The credential agent, until SIGTERM or SIGINT. SIGHUP reads the associations and the keys again. */
int daemon_serve(const struct serve_options *options, struct pc_err *err);
