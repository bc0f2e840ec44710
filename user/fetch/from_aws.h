/* SPDX-License-Identifier: Apache-2.0 */
/* Results of AWS as results of a source. */
#pragma once

#include <time.h>

#include "aws/client.h"
#include "fetch/result.h"

/* Texts that are taken out of an ARN. */
struct fetch_aws_texts {
	char account[13], session_name[65], role_id[194];
};

/* 0: the service does not say. */
unsigned fetch_packed_percent(const struct aws_session *session);

/* Of a call that has failed: its texts stay those of result. */
void fetch_from_result(const struct aws_result *result, struct fetch_result *ret);

/* now: AWS's clock. texts and session stay as long as ret is used. */
void fetch_from_session(const struct aws_session *session, time_t now,
			struct fetch_aws_texts *texts, struct fetch_result *ret);
