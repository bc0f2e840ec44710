// SPDX-License-Identifier: Apache-2.0
#include "broker/issuer.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/base64.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "base/secret.h"
#include "base/text.h"
#include "config/config.h"
#include "crypto/hash.h"
#include "crypto/signer.h"

#define TAGS_CLAIM "https://aws.amazon.com/tags"
#define CLAIMS_MAX (64U << 10)
#define TOKEN_MAX  20000 /* of STS */
#define JTI_BYTES  16

struct broker_issuer {
	const struct config *config;
	struct crypto_signer *keys;
	uint8_t file[CRYPTO_SHA256_SIZE]; /* a digest of it, as it was read */
};

/* ---- the keys ---- */

static const char *keys_path(const struct broker_issuer *issuer)
{
	return issuer->config->broker.issuer.keys;
}

static int use_text(struct broker_issuer *issuer, const char *pem, size_t len, struct pc_err *err)
{
	uint8_t digest[CRYPTO_SHA256_SIZE];
	struct crypto_signer *keys;
	int r = crypto_sha256(pem, len, digest);

	if (r < 0)
		return pc_err_set(err, r, "no digest");
	if (issuer->keys && !memcmp(digest, issuer->file, sizeof(digest)))
		return 0;
	r = crypto_signer_parse(pem, len, &keys, err);
	if (r < 0)
		return r;
	crypto_signer_free(issuer->keys);
	issuer->keys = keys;
	memcpy(issuer->file, digest, sizeof(digest));
	return 1;
}

int broker_issuer_reread(struct broker_issuer *issuer, struct pc_err *err)
{
	_cleanup_secret_ char *pem = NULL;
	size_t len = 0;
	int r = secret_read(keys_path(issuer), CRYPTO_SIGNER_MAX_SIZE, &pem, &len);

	if (r < 0)
		return pc_err_set(err, r, "cannot read %s: %s; check the path and its permissions",
				  keys_path(issuer), strerror(-r));
	r = use_text(issuer, pem, len, err);
	return r < 0 ? pc_err_prefix(err, r, "%s", keys_path(issuer)) : r;
}

int broker_issuer_new(const struct config *config, struct broker_issuer **ret, struct pc_err *err)
{
	struct broker_issuer *issuer = calloc(1, sizeof(*issuer));
	int r;

	if (!issuer)
		return pc_err_set(err, -ENOMEM, "no memory");
	issuer->config = config;
	r = broker_issuer_reread(issuer, err);
	if (r < 0) {
		broker_issuer_free(issuer);
		return r;
	}
	*ret = issuer;
	return 0;
}

struct broker_issuer *broker_issuer_free(struct broker_issuer *issuer)
{
	if (!issuer)
		return NULL;
	crypto_signer_free(issuer->keys);
	free(issuer);
	return NULL;
}

const char *broker_issuer_kid(const struct broker_issuer *issuer)
{
	return crypto_signer_kid(issuer->keys, 0);
}

/* ---- a token ---- */

/* All of them are transitive, as with AssumeRole: a target role gets them without being sent any. */
static void add_tags(struct text *t, const struct cred_session *session)
{
	text_add(t, ",\"" TAGS_CLAIM "\":{\"principal_tags\":{");
	for (size_t i = 0; i < session->n_tags; i++) {
		text_add(t, i ? "," : "");
		text_add_string(t, session->tags[i].key);
		text_add(t, ":[");
		text_add_string(t, session->tags[i].value);
		text_add(t, "]");
	}
	text_add(t, "},\"transitive_tag_keys\":[");
	for (size_t i = 0; i < session->n_tags; i++) {
		text_add(t, i ? "," : "");
		text_add_string(t, session->tags[i].key);
	}
	text_add(t, "]}");
}

/* Of the pod's service account, spelled as Kubernetes does. */
static void add_subject(struct text *t, const struct cred_pod *pod)
{
	text_add(t, ",\"sub\":\"system:serviceaccount:");
	text_add(t, pod->namespace);
	text_add(t, ":");
	text_add(t, pod->service_account);
	text_add(t, "\"");
}

static int add_id(struct text *t)
{
	uint8_t random[JTI_BYTES];

	if (getrandom(random, sizeof(random), 0) != sizeof(random))
		return -EIO;
	text_add(t, ",\"jti\":\"");
	base64_url_encode(t, random, sizeof(random));
	text_add(t, "\"");
	return 0;
}

static int make_claims(const struct broker_issuer *issuer, const struct cred_pod *pod,
		       const struct cred_session *session, time_t now, struct text *t)
{
	long long made = (long long)now - BROKER_ISSUER_BACK_S;
	int r;

	text_add(t, "{");
	text_add_member(t, "iss", issuer->config->broker.issuer.url);
	text_add_member(t, "aud", issuer->config->credentials.web_identity_audience);
	add_subject(t, pod);
	text_addf(t, ",\"iat\":%lld,\"nbf\":%lld,\"exp\":%lld", made, made,
		  (long long)now + BROKER_ISSUER_LIFE_S);
	r = add_id(t);
	if (session->hops[0].tagged)
		add_tags(t, session);
	text_add(t, "}");
	return r ?: text_error(t);
}

int broker_issuer_issue(void *arg, const struct cred_pod *pod, const struct cred_session *session,
			time_t now, char **ret, struct pc_err *err)
{
	_cleanup_(text_done) struct text claims = {.max = CLAIMS_MAX}, token = {.max = TOKEN_MAX};
	const struct broker_issuer *issuer = arg;
	int r = make_claims(issuer, pod, session, now, &claims);

	r = r ?: crypto_signer_sign(issuer->keys, claims.data, claims.len, &token);
	if (r == -E2BIG)
		return pc_err_set(
			err, -EINVAL,
			"with its tags the token has more than the %d characters that STS "
			"takes; remove some",
			TOKEN_MAX);
	if (r < 0)
		return pc_err_set(err, r, "cannot sign a token: %s", strerror(-r));
	*ret = text_string(&token);
	return *ret ? 0 : pc_err_set(err, -ENOMEM, "no memory");
}

/* ---- what is published ---- */

static void add_algorithms(struct text *t, const struct crypto_signer *keys)
{
	bool said = false;

	for (size_t i = 0; i < crypto_signer_count(keys); i++) {
		bool before = false;

		for (size_t j = 0; j < i; j++)
			before = before || !strcmp(crypto_signer_algorithm(keys, i),
						   crypto_signer_algorithm(keys, j));
		if (before)
			continue;
		text_add(t, said ? "," : "");
		text_add_string(t, crypto_signer_algorithm(keys, i));
		said = true;
	}
}

/* What the API server says of itself, which IAM is known to take. */
static void add_discovery(const struct broker_issuer *issuer, struct text *t)
{
	const char *url = issuer->config->broker.issuer.url;

	text_add(t, "{");
	text_add_member(t, "issuer", url);
	text_add(t, ",\"jwks_uri\":\"");
	text_add(t, url); /* printable, without a quote: it was checked */
	text_add(t, "/" BROKER_ISSUER_KEYS "\",\"response_types_supported\":[\"id_token\"],"
		    "\"subject_types_supported\":[\"public\"],"
		    "\"id_token_signing_alg_values_supported\":[");
	add_algorithms(t, issuer->keys);
	text_add(t, "],\"claims_supported\":[\"iss\",\"aud\",\"sub\",\"iat\",\"nbf\",\"exp\","
		    "\"jti\"]}");
}

/* What is behind the URL's own path, if that is in front. */
static const char *below(const struct broker_issuer *issuer, const char *path)
{
	const char *host = issuer->config->broker.issuer.url + strlen("https://");
	const char *own = host + strcspn(host, "/");
	size_t len = strlen(own);

	if (len && !strncmp(path, own, len) && path[len] == '/')
		path += len;
	return path;
}

int broker_issuer_document(const struct broker_issuer *issuer, const char *path, struct text *t)
{
	path = below(issuer, path);
	if (!strcmp(path, "/" BROKER_ISSUER_DISCOVERY))
		add_discovery(issuer, t);
	else if (!strcmp(path, "/" BROKER_ISSUER_KEYS))
		crypto_signer_jwks(issuer->keys, t);
	else
		return -ENOENT;
	text_add(t, "\n");
	return text_error(t);
}
