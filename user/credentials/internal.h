/* SPDX-License-Identifier: Apache-2.0 */
/* Internal to user/credentials: between the table and what reads one association. */
#pragma once

#include "credentials/associations.h"
#include "yaml/read.h"

/* Into *a, which is zero; arrays in it are freed by cred_association_done(), also after an error. */
int cred_read_entry(const struct yml_source *src, const struct yml_node *node,
		    struct cred_association *a);

/* The same of the keys that a tenant may write; namespace, service account and origin are set already. */
int cred_read_spec(const struct yml_source *src, const struct yml_node *node,
		   struct cred_association *a);

void cred_association_done(struct cred_association *a);

/* Role and account of an association that has role ARNs. */
void cred_name_role(struct cred_association *a);

/* A table with a copy of a: of its namespace, service account, role ARN, external id, session text and audience.
 * They are valid already. -ENOMEM. */
int cred_table_of(const struct cred_association *a, struct cred_table **ret);
