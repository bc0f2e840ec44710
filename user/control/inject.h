/* SPDX-License-Identifier: Apache-2.0 */
/* What of a pod is changed, and whether: of webhook.c alone. */
#pragma once

#include <jansson.h>

#include "control/patch.h"
#include "control/webhook.h"

#define WARNINGS_MAX 8

/* One pod on its way. */
struct injection {
	const struct control_inject *inject;
	const struct control_found *found;
	struct patch patch; /* document: the pod */
	json_t *warnings; /* texts for whoever creates it */
	unsigned expiration; /* of the token */
	const char *
		skipped; /* containers that are left as they are, with commas between; may be NULL */
};

/* A line for whoever creates the pod; API servers cut those that are longer. */
__attribute__((format(printf, 2, 3))) void injection_warn(struct injection *injection,
							  const char *fmt, ...);

/* Why a pod is not looked at any further, whatever its service account has. */
enum control_verdict injection_opted_out(const json_t *pod);

/* Changes the pod and fills patch and warnings. patch.error says whether that went well. */
enum control_verdict injection_run(struct injection *injection);

/* A member that is a text without NUL; else NULL. */
const char *injection_text(const json_t *object, const char *key);
