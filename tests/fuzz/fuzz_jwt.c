// SPDX-License-Identifier: Apache-2.0
/* SOURCES: tests/unit/tokens.c */
/* MODULES: agent http credentials aws upstream yaml crypto base */
/* LIBS: -ljansson -lyaml -lpcre2-8 -lcrypto -Wl,--wrap=explicit_bzero */
/*
 * A byte of flags, then a token; or a line that is the header, and the claims, which the key of the cluster signs
 * here. A token that nobody has signed is never right. What is in one that was signed is read a second time, by the
 * rules below.
 */
#include "fuzz.h"

#include <errno.h>
#include <jansson.h>

#include <podcred/podcred.h>

#include "../unit/tokens.h"
#include "agent/agent.h"
#include "agent/pod_token.h"
#include "crypto/jwks.h"
#include "crypto/jwt.h"

#define NOW	 1767323045
#define LAST	 253402300799
#define POD	 "5f1b0c1e-6d3a-4f0e-8d61-0a4b2d7e9c11"
#define AUDIENCE "pods.eks.amazonaws.com"
#define ISSUER	 "https://issuer.example"

/* AddressSanitizer looks at memset() alone. */
void __wrap_explicit_bzero(void *memory, size_t len);
void __wrap_explicit_bzero(void *memory, size_t len)
{
	memset(memory, 0, len);
}

enum {
	FLAG_RAW = 1, /* the rest is the token */
	FLAG_DER = 2, /* signed in another shape */
	FLAG_OTHER = 4, /* by another key */
};

static struct crypto_jwks *keys;
static struct agent_tokens *tokens;
static const struct podcred_peer web = {.pod_cgroup_id = 1,
					.pod_uid = POD,
					.pod_namespace = "shop",
					.pod_name = "web-0",
					.service_account = "web"};

static void set_up(void)
{
	static const char *const issuers[] = {ISSUER};
	char *text = tokens_jwks(tokens_jwk(tokens_key("P-256"), "one", "ES256"),
				 tokens_jwk(tokens_key("RSA-2048"), "rsa", "RS256"), NULL);
	const struct agent_token_trust trust = {.verify = AGENT_VERIFY_JWKS,
						.jwks = text,
						.jwks_len = strlen(text),
						.issuers = issuers,
						.n_issuers = 1,
						.node = "n1"};

	if (crypto_jwks_parse(text, strlen(text), &keys, NULL) < 0 ||
	    agent_tokens_new(NULL, &tokens) < 0 ||
	    agent_tokens_trust(tokens, &trust, NULL, NULL) < 0)
		abort();
	free(text);
}

/* ---- the second reader ---- */

static bool is(const json_t *value, const char *text)
{
	return json_is_string(value) && !strcmp(json_string_value(value), text);
}

static const json_t *at(const json_t *json, const char *a, const char *b)
{
	json = json_object_get(json_object_get(json, "kubernetes.io"), a);
	return b ? json_object_get(json, b) : json;
}

static bool model_header(const char *text)
{
	json_t *header = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
	bool good = is(json_object_get(header, "alg"), "ES256") &&
		    is(json_object_get(header, "kid"), "one") && !json_object_get(header, "crit");

	json_decref(header);
	return good;
}

static bool model_is_for(const json_t *aud)
{
	bool found = is(aud, AUDIENCE);

	for (size_t i = 0; i < json_array_size(aud); i++)
		found |= is(json_array_get(aud, i), AUDIENCE);
	return found;
}

static bool model_time(const json_t *claims, const char *name, json_int_t missing, json_int_t *ret)
{
	const json_t *value = json_object_get(claims, name);

	*ret = value ? json_integer_value(value) : missing;
	return !value || (json_is_integer(value) && *ret >= 0 && *ret <= LAST);
}

static bool model_claims(const json_t *claims)
{
	json_int_t exp, nbf;
	const json_t *node = at(claims, "node", NULL);

	return model_time(claims, "exp", 0, &exp) && model_time(claims, "nbf", 0, &nbf) &&
	       exp > NOW && nbf <= NOW + AGENT_TOKENS_AHEAD_S &&
	       is(json_object_get(claims, "iss"), ISSUER) &&
	       model_is_for(json_object_get(claims, "aud")) &&
	       is(json_object_get(claims, "sub"), "system:serviceaccount:shop:web") &&
	       is(at(claims, "namespace", NULL), "shop") &&
	       is(at(claims, "serviceaccount", "name"), "web") &&
	       is(at(claims, "pod", "uid"), POD) && is(at(claims, "pod", "name"), "web-0") &&
	       (!node || is(json_object_get(node, "name"), "n1"));
}

/* ---- what is tested ---- */

/* Whatever is asked of it: texts are shorter than the token. */
static void read_all(const struct crypto_jwt *jwt, size_t len)
{
	static const char *const paths[][4] = {{"sub"},
					       {"iss"},
					       {"aud"},
					       {"exp"},
					       {"kubernetes.io"},
					       {"kubernetes.io", "pod", "uid"},
					       {"kubernetes.io", "namespace"}};
	time_t when;

	for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
		const char *text = NULL;
		int r = crypto_jwt_text(jwt, paths[i], &text);

		MUST(r == 0 || r == -ENOENT || r == -EINVAL);
		MUST((r == 0) == (text != NULL) && (!text || strlen(text) < len));
	}
	MUST(crypto_jwt_time(jwt, "iat", &when) != 0 || (when >= 0 && when <= LAST));
}

static void check(const char *token, size_t len, bool genuine, bool good)
{
	char *copy = fuzz_copy(token, len);
	struct crypto_jwt *jwt = NULL;
	int r = crypto_jwt_verify(keys, copy, len, &jwt);
	const struct agent_token sent = {.text = copy, .len = len};
	enum agent_reason reason = AGENT_REASON_MAX;

	MUST((r == 0) == genuine);
	MUST(r == 0 || r == -EINVAL || r == -ENOKEY || r == -EKEYREJECTED);
	if (jwt)
		read_all(jwt, len);
	crypto_jwt_free(jwt);
	for (int i = 0; i < 2; i++) {
		MUST(agent_tokens_check(tokens, &sent, &web, NOW, &reason) == 0);
		MUST((reason == AGENT_NO_REASON) == good);
	}
	free(copy);
}

static void check_signed(uint8_t flags, const char *header, const char *text)
{
	json_t *claims = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
	char *token = tokens_sign(tokens_key(flags & FLAG_OTHER ? "P-256/other" : "P-256"), 256,
				  flags & FLAG_DER ? TOKENS_DER : TOKENS_RAW, header, text);
	bool genuine = !(flags & (FLAG_OTHER | FLAG_DER)) && model_header(header) &&
		       json_is_object(claims) && strlen(token) <= CRYPTO_JWT_MAX_SIZE;

	check(token, strlen(token), genuine, genuine && model_claims(claims));
	free(token);
	json_decref(claims);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input in = {data, size};
	uint8_t flags = fuzz_byte(&in);
	char *header, *claims;

	if (!keys)
		set_up();
	if (flags & FLAG_RAW) {
		check((const char *)in.data, in.size, false, false);
		return 0;
	}
	header = fuzz_line(&in);
	claims = fuzz_string(in.data, in.size);
	check_signed(flags, header, claims);
	free(header);
	free(claims);
	return 0;
}
