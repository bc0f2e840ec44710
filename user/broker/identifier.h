/* SPDX-License-Identifier: Apache-2.0 */
/* Identifiers of associations, as EKS has them: a function of the object's uid, so that all replicas agree. */
#pragma once

#include <stddef.h>

#define BROKER_IDENTIFIER_SIZE 20 /* "a-" and 17 of a-z 0-9 */

/* uid "": there is no object; then "a-" and zeros. */
void broker_identifier(const char *uid, char ret[BROKER_IDENTIFIER_SIZE]);

/* cluster_arn: arn:aws:eks:REGION:ACCOUNT:cluster/NAME. "": it is not one. */
void broker_identifier_arn(const char *cluster_arn, const char *identifier, char *ret, size_t size);
