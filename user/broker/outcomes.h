/* SPDX-License-Identifier: Apache-2.0 */
/* What came of associations when they were last used, for whoever writes it into their status. */
#pragma once

#include "base/text.h"
#include "fetch/result.h"

struct broker_outcomes;

/* -ENOMEM. */
int broker_outcomes_new(struct broker_outcomes **ret);

/* Returns NULL; NULL is fine. */
struct broker_outcomes *broker_outcomes_free(struct broker_outcomes *outcomes);

/* role_arn, why: may be NULL. Without memory for it, it is as if it had not happened. */
void broker_outcomes_put(struct broker_outcomes *outcomes, const char *name_space,
			 const char *service_account, enum fetch_class class, const char *role_arn,
			 const char *why);

/* {"associations":[{"namespace", "serviceAccount", "assumable": "True", "False" or "Unknown", "reason", "message",
 * "roleArn", "at"}]} */
void broker_outcomes_write(const struct broker_outcomes *outcomes, struct text *ret);
