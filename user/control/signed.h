/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The door for those who come without the API server: they show it a token of a service account once, by STS's
 * AssumeRoleWithWebIdentity, and get keys to sign with (aws/sealed_keys.h). Nothing of the keys is kept, so each replica knows
 * those of the others. GetCallerIdentity says whose they are, as many tools want to know that first.
 */
#pragma once

#include <stdbool.h>
#include <time.h>

#include "control/eks_call.h"

/* What the token has to be for. */
#define SIGNED_AUDIENCE "podcred-control"

#define SIGNED_SECONDS 3600 /* how long keys are good */

/* Whether the request is for STS: POST / with a form. */
bool eks_signed_is_sts(const struct http_ask *ask);

/* Whether it says that it is signed. */
bool eks_signed_is(const struct http_ask *ask);

/* Who has signed it for EKS, into call->caller. -EINVAL: nobody that is known; error says what to answer. */
int eks_signed_caller(struct eks_call *call, time_t now, struct eks_error *error);

/* Answers the call, now or later. */
void eks_signed_sts(struct eks_call *call);
