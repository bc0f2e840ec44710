/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/addr.h"
#include "base/err.h"
#include "config/config.h"
#include "daemon/control_webhook.h"

struct daemon_control_options {
	const struct config *config; /* its section credentials: name and ARN of the cluster */
	struct net_addr listen; /* TLS: the API and the webhook */
	struct net_addr health; /* plain HTTP: /healthz, /readyz, /metrics */
	const char *certificate, *key; /* files of the server's pair, both or none */
	const char *sealing_keys; /* file of master keys (aws/sealed_keys.h); NULL: nobody signs */
	/* In place of those: Secrets that it makes, see control_webhook.h */
	struct daemon_secret certificates, broker_certificates;
	const char *server_name;
	const char *kubeconfig,
		*context; /* NULL: the service account of the own pod, which this is then */
	const char *user; /* switch to that user, a name or a number; NULL: stay who we are */
};

/* The control plane of a cluster, until SIGTERM or SIGINT. SIGHUP reads certificate and key again. */
int daemon_control(const struct daemon_control_options *options, struct pc_err *err);
