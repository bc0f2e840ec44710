/* SPDX-License-Identifier: Apache-2.0 */
/*
 * AssumeRoleWithWebIdentity of STS, for agents that sign their requests, as that of EKS does: they show their own token, and get
 * keys that are good for this broker and nothing else (aws/sealed_keys.h).
 */
#pragma once

#include <stddef.h>
#include <time.h>

#include "broker/bind.h"
#include "http/response.h"

struct aws_sealed_keys;

/* token: of the caller. */
void broker_sts_grant(struct http_response *resp, const struct aws_sealed_keys *keys,
		      const struct broker_token *token, time_t expires);

/* why: NULL for the reason's own text. */
void broker_sts_refuse(struct http_response *resp, enum broker_reason reason, const char *why);
