/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/addr.h"
#include "base/err.h"
#include "config/config.h"

struct daemon_broker_options {
	const struct config *config; /* its sections broker and credentials count */
	const char *config_path; /* of its file */
	const struct net_addr *listen;
	size_t n_listen;
	struct net_addr health; /* probes and metrics, without TLS */
	const char *certificate, *key; /* PEM files; NULL: insecure, on loopback only */
	const char *sealing; /* file with keys for agents that sign; NULL: none do */
	const char *kubeconfig,
		*context; /* NULL: the service account of the own pod, if this is one */
	const char *user; /* switch to that user, a name or a number; NULL: stay who we are */
};

/* Answers agents, until SIGTERM or SIGINT. The certificate is read again when its file changes, and at SIGHUP. */
int daemon_broker(const struct daemon_broker_options *options, struct pc_err *err);
