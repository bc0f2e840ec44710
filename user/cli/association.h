/* SPDX-License-Identifier: Apache-2.0 */
/* Which association a pod gets, and why not the others, for explain. */
#pragma once

#include "cli/cli.h"

struct podcred_pod;

struct cli_association_options {
	const char *config, *associations, *kubeconfig, *context; /* NULL: not given */
};

/*
 * As JSON: origin, source, role, roleArn, sessionName of the one that applies; or why none does; and steps. *ret NULL: the
 * pod has no service account, or nothing was given to look into. -errno: a file cannot be used.
 */
int cli_association(const struct cli_association_options *options, const struct podcred_pod *pod,
		    json_t **ret, struct pc_err *err);

/* That for people. */
void cli_print_association(const json_t *association);
