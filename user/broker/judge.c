// SPDX-License-Identifier: Apache-2.0
#include "broker/judge.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>

#include "base/cleanup.h"
#include "crypto/jwt.h"

#define LEEWAY_S 10 /* between the clocks of the API server and of this node */

static int refuse(const char *why, const char **ret_why)
{
	*ret_why = why;
	return -EINVAL;
}

static bool is_issuer(const struct crypto_jwt *jwt, const char *const *issuers, size_t n)
{
	const char *const path[] = {"iss", NULL}, *issuer;

	if (crypto_jwt_text(jwt, path, &issuer) < 0)
		return false;
	for (size_t i = 0; i < n; i++)
		if (!strcmp(issuers[i], issuer))
			return true;
	return false;
}

static int check_time(const struct crypto_jwt *jwt, time_t now, time_t *ret_until,
		      const char **ret_why)
{
	time_t begin, end;
	int r = crypto_jwt_time(jwt, "nbf", &begin);

	if (crypto_jwt_time(jwt, "exp", &end) < 0 || (r < 0 && r != -ENOENT))
		return refuse("its times cannot be read", ret_why);
	if (now >= end)
		return refuse("it has expired", ret_why);
	if (r == 0 && now + LEEWAY_S < begin)
		return refuse("it is not valid yet", ret_why);
	*ret_until = end;
	return 0;
}

/* "": there is no such claim, or it is no text. */
static const char *claim(const struct crypto_jwt *jwt, const char *of, const char *what)
{
	const char *const path[] = {"kubernetes.io", of, what, NULL};
	const char *text;

	return crypto_jwt_text(jwt, path, &text) == 0 ? text : "";
}

static void read_claims(const struct crypto_jwt *jwt, struct broker_token *ret)
{
	*ret = (struct broker_token){
		.name_space = claim(jwt, "namespace", NULL),
		.service_account = claim(jwt, "serviceaccount", "name"),
		.pod_name = claim(jwt, "pod", "name"),
		.pod_uid = claim(jwt, "pod", "uid"),
		.node_name = claim(jwt, "node", "name"),
		.node_uid = claim(jwt, "node", "uid"),
	};
}

static int check(const struct crypto_jwt *jwt, const char *const *issuers, size_t n_issuers,
		 const char *audience, time_t now, struct broker_judgement *ret,
		 const char **ret_why)
{
	if (!is_issuer(jwt, issuers, n_issuers))
		return refuse("it is not this cluster's", ret_why);
	if (!crypto_jwt_is_for(jwt, audience))
		return refuse("it is for another audience", ret_why);
	read_claims(jwt, &ret->token);
	if (!*ret->token.name_space || !*ret->token.service_account)
		return refuse("it is not a service account's", ret_why);
	return check_time(jwt, now, &ret->until, ret_why);
}

int broker_judge(const struct crypto_jwks *keys, const char *const *issuers, size_t n_issuers,
		 const char *audience, const char *token, time_t now, struct broker_judgement *ret,
		 const char **ret_why)
{
	_cleanup_(crypto_jwt_freep) struct crypto_jwt *jwt = NULL;
	int r = crypto_jwt_verify(keys, token, strlen(token), &jwt);

	if (r == -ENOMEM || r == -EIO)
		return r;
	if (r < 0)
		return refuse(r == -ENOKEY ? "it is signed with a key that is not known"
					   : "its signature is not the cluster's",
			      ret_why);
	r = check(jwt, issuers, n_issuers, audience, now, ret, ret_why);
	if (r == 0)
		ret->jwt = TAKE_PTR(jwt);
	return r;
}

void broker_judge_done(struct broker_judgement *judgement)
{
	crypto_jwt_free(judgement->jwt);
	*judgement = (struct broker_judgement){};
}
