/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct resolver_options {
	const char *pin_dir;
	const char *kubepods; /* NULL: look for it */
	const char *pods; /* PodList file, JSON or YAML */
	const char *config_path; /* configuration, for its policy; NULL: none */
	const char *metrics; /* file to write the counters to, for Prometheus; NULL: none */
	bool standby; /* wait for another resolver to end */
	uint64_t conflict_s; /* how long a key that two sockets produced stamps nobody */
};

/* Longer than a SYN is sent again by default (6 retries, 131 seconds). Swept earlier, the key could
 * be announced again by one of the two sockets while the other's SYN is still to come. */
#define RESOLVER_CONFLICT_S 300
