/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stddef.h>

#include "addr.h"
#include "err.h"

struct serve_options {
	const struct net_addr *listen;
	size_t n_listen;
	const char *associations;
	const char *token_key; /* file that keeps the IMDS token key over restarts; may be NULL */
};

/* The credential agent, until SIGTERM or SIGINT. SIGHUP reads the associations again. */
int serve_run(const struct serve_options *options, struct pc_err *err);
