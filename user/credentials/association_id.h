/* SPDX-License-Identifier: Apache-2.0 */
/* Identifiers of associations, as EKS has them: a function of the object's uid, so that all replicas agree. */
#pragma once

#include <stddef.h>

#define CRED_ASSOCIATION_ID_SIZE 20 /* "a-" and 17 of a-z 0-9 */

/* uid "": there is no object; then "a-" and zeros. 0, or -EIO. */
int cred_association_id(const char *uid, char ret[CRED_ASSOCIATION_ID_SIZE]);

/* cluster_arn: arn:aws:eks:REGION:ACCOUNT:cluster/NAME. "": it is not one. */
void cred_association_arn(const char *cluster_arn, const char *id, char *ret, size_t size);
