/* SPDX-License-Identifier: Apache-2.0 */
/* What has to hold of every pod that the webhook changes, whatever pod it is. For the unit test and the fuzzer. */
#pragma once

#include <jansson.h>
#include <stddef.h>

#include "control/webhook.h"

struct webhook_try {
	struct control_inject inject;
	struct control_found found;
};

/* What the webhook says of a pod that is created in "shop"; warnings may be NULL. Returns the operations, NULL: none. */
json_t *webhook_try(const struct webhook_try *try, const json_t *pod, json_t **ret_warnings,
		    struct control_outcome *ret_outcome);

/* Another reader of RFC 6902 than the webhook's. Returns a changed copy; NULL: it does not apply. */
json_t *webhook_apply(const json_t *pod, const json_t *operations);

/* NULL, or what does not hold: the patch applies, touches env, volumeMounts, volumes and the label alone, and
 * there is none for the pod that comes of it. */
const char *webhook_broken(const struct webhook_try *try, const json_t *pod);
