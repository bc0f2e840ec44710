/* SPDX-License-Identifier: Apache-2.0 */
/* What annotations of IRSA, kube2iam and kiam come to as associations. Pure, but for the printing. */
#pragma once

#include <jansson.h>
#include <stdio.h>

#include "credentials/choose.h"

/* All zero but for rules: nothing was found yet. */
struct migrate {
	struct cred_rules rules; /* which annotations count, and how they are read */
	json_t *found; /* NAMESPACE/NAME -> what its association has */
	json_t *left_out; /* lines */
	json_t *existing; /* NAMESPACE/NAME of associations that there are */
	json_t *open; /* namespaces that restrict nothing */
};

int migrate_init(struct migrate *m); /* -ENOMEM */
void migrate_done(struct migrate *m);

/* An association that there is already: nothing is written for it. */
void migrate_existing(struct migrate *m, const char *name_space, const char *account);

void migrate_account(struct migrate *m, const char *name_space, const char *account,
		     const struct cred_annotations *annotations);

/* annotations: of the pod, and of its namespace. */
void migrate_pod(struct migrate *m, const char *name_space, const char *pod, const char *account,
		 const struct cred_annotations *annotations);

/* The objects as YAML, with what is to be known about them as comments. Returns how many were left out. */
size_t migrate_print(const struct migrate *m, FILE *out);
