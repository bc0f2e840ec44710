/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/err.h"
#include "config/config.h"

struct daemon_fetch_options {
	const struct config *config; /* its section credentials counts */
	const char *config_path; /* of its file; NULL: none */
	const char *socket; /* of podcred serve; NULL: podcred run hands a connection over */
	const char *associations; /* NULL: there is no file */
	const char *kubeconfig,
		*context; /* NULL: the service account of the own pod, if this is one */
	const char *node; /* this node's name in the API; NULL: $NODE_NAME, else not known */
	const char *user; /* switch to that user, a name or a number; NULL: stay who we are */
};

/* Gets credentials for podcred serve, until SIGTERM or SIGINT. SIGHUP reads the associations again, and says
 * when a configuration that has changed asks for a restart. */
int daemon_fetch(const struct daemon_fetch_options *options, struct pc_err *err);
