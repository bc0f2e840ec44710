/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

/* Where the names of pods come from: a file, or the Kubernetes API by a kubeconfig or, when neither is
 * given, by the service account of the pod that we are in. */
struct resolver_source {
	const char *pods; /* PodList file, JSON or YAML */
	const char *kubeconfig;
	const char *context; /* of kubeconfig; NULL: its current one */
	const char *
		node; /* whose pods, by its name in the API; NULL: $NODE_NAME, else the host name */
};

enum resolver_source_kind {
	RESOLVER_SOURCE_NONE,
	RESOLVER_SOURCE_FILE,
	RESOLVER_SOURCE_API,
};

enum resolver_source_kind resolver_source_kind(const struct resolver_source *source);

/* Whether it can be used, as far as that can be told without asking anybody: options that exclude each
 * other, a kubeconfig that is none. -errno. */
int resolver_source_check(const struct resolver_source *source, struct pc_err *err);

struct resolver_options {
	const char *pin_dir;
	const char *kubepods; /* NULL: look for it */
	struct resolver_source source;
	const char *config_path; /* configuration, for its policy; NULL: none */
	const char *metrics; /* file to write the counters to, for Prometheus; NULL: none */
	const char
		*fetch_socket; /* where the agent is told which pods have ended; NULL: it is not */
	bool standby; /* wait for another resolver to end */
	uint64_t conflict_s; /* how long a key that two sockets produced stamps nobody */
};

/* Longer than a SYN is sent again by default (6 retries, 131 seconds). Swept earlier, the key could
 * be announced again by one of the two sockets while the other's SYN is still to come. */
#define RESOLVER_CONFLICT_S 300
