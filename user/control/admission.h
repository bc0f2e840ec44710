/* SPDX-License-Identifier: Apache-2.0 */
/* The webhook as requests reach it: POST /mutate. For the loop's thread. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "control/webhook.h"

#define CONTROL_ADMISSION_PATH "/mutate"

struct http_ask;
struct http_response;

struct control_admission {
	struct control_inject inject;
	control_find_fn *find;
	void *arg;
	uint64_t counts[CONTROL_VERDICTS]; /* since the start */
};

/* Whether the request is for the webhook, whatever becomes of it. */
bool control_admission_is(const struct http_ask *ask);

/* resp is empty. outcome: for the log, whether there was a review or not. */
void control_admission_answer(struct control_admission *admission, const struct http_ask *ask,
			      struct http_response *resp, struct control_outcome *ret_outcome);

/* A control_find_fn; arg: a struct control_api, whose associations and role policies it looks at. Knows nothing of the
 * annotations of service accounts. */
int control_find_association(void *arg, const char *name_space, const char *service_account,
			     struct control_found *ret);
