/* SPDX-License-Identifier: Apache-2.0 */
/* Callers that sign their requests (SigV4), with keys that this broker has sealed. */
#pragma once

#include <time.h>

#include "broker/bind.h"
#include "config/config.h"

struct aws_sealed_keys;
struct aws_sealing;
struct http_ask;

#define BROKER_KEYS_LIFE_S 3600 /* each use is checked anew: they end with the caller's pod */

struct broker_sealing {
	const struct aws_sealing *keys; /* NULL: nobody signs */
	const struct config_credentials *config; /* cluster and region */
};

/* For a caller whose token was found good. -EINVAL, -ENOMEM, -EIO. */
int broker_signed_issue(const struct broker_sealing *sealing, const struct broker_token *token,
			time_t expires, struct aws_sealed_keys *ret);

/* "AWS4-...": not a bearer. */
bool broker_signed_is(const char *authorization);

/* Whoever calls wipes text. */
struct broker_signer {
	struct broker_token token; /* in text */
	char text[1024];
};

/* BROKER_GRANTED: the request was signed by the one whose token is in ret. */
enum broker_reason broker_signed_verify(const struct broker_sealing *sealing,
					const struct http_ask *ask, const char *authorization,
					time_t now, struct broker_signer *ret);
