/* SPDX-License-Identifier: Apache-2.0 */
/* A token by the cluster's keys, without the API server: what it says is true, but not whether its pod still exists. */
#pragma once

#include <time.h>

#include "broker/bind.h"

struct crypto_jwks;
struct crypto_jwt;

struct broker_judgement {
	struct crypto_jwt *jwt; /* has the texts of token */
	struct broker_token token;
	time_t until; /* the token's own end */
};

/*
 * issuers: n of them, one of which the token has to name. 0, for broker_judge_done(); -EINVAL: it is refused, and *ret_why
 * (static) says why; -ENOMEM, -EIO.
 */
int broker_judge(const struct crypto_jwks *keys, const char *const *issuers, size_t n_issuers,
		 const char *audience, const char *token, time_t now, struct broker_judgement *ret,
		 const char **ret_why);
void broker_judge_done(struct broker_judgement *judgement);
