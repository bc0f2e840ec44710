// SPDX-License-Identifier: Apache-2.0
/* SOURCES: tests/unit/tokens.c */
/* MODULES: crypto base */
/* LIBS: -ljansson -lcrypto -Wl,--wrap=explicit_bzero */
/* Tokens: those of each algorithm, some that another library made, and every way of forging one that is known. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <openssl/bn.h>
#include <openssl/hmac.h>
#include <openssl/pem.h>

#include "base/base64.h"
#include "base/cleanup.h"
#include "crypto/jwks.h"
#include "crypto/jwt.h"
#include "tokens.h"

/* Made with Python's cryptography. */
static const char fixed_jwks[] =
	"{\"keys\":[{\"use\":\"sig\",\"kty\":\"RSA\",\"kid\":\"kgwNPOoROasEfHZkEI8oLDRH4iANYNaIyeH"
	"lTbn7v-4\",\"alg\":\"RS256\",\"n\":\"ntbzNJOj2DmkyBnH4Q38n_gAKYcwTYjIiLTHKYEijM0GaSd"
	"7Sr1HXMzsXcfCebATEMK0jVVWhL-MHhC6BqcDv2ZRfeWJNAy0DGoEYnuuPayuigdPpQ0I1O8P_Nk"
	"YF34uV0y7kWzQjcAB_Qvg0fowsw6R6A_-6pQ7klDGZQkTfbTPwXN1wRY4-Q8hdE6T9pDpzBuviPz"
	"WrCSAtLInl8lkof5ZzK-SR4cumW-wX9l3jnHZ7u2oayc34KWfYRx7tDp8KwqoJZA644grINJZsq7"
	"GzryxvwIlJSHEhSizKlNtRjegk9qJY3tOeD_m2KgUe2uH0Y9HpgZJz4TNjW6KraawLQ\",\"e\":\"AQ"
	"AB\"},{\"use\":\"sig\",\"kty\":\"EC\",\"kid\":\"iXAdtFh-Kr7Ls2jwzqLBrDGuu8atWM4n6oNrsb_D"
	"DDU\",\"crv\":\"P-256\",\"alg\":\"ES256\",\"x\":\"E4f_NXUTvvFSYBtEe6qCxva1VHe7YrQ1uxCMsn"
	"ktDqk\",\"y\":\"158H-J9NtDFcq7me_84Zbm92uO2MbavoabL1uAwT7eY\"},{\"use\":\"sig\",\"kty\""
	":\"EC\",\"kid\":\"XVfrYXjiUCGZF2f2hKCEbKebpuPLrrgomt7Hq9dzVaQ\",\"crv\":\"P-384\",\"alg"
	"\":\"ES384\",\"x\":\"UfX_OwAEAlVJPCVc4_INQ18V85zVVkwPGlKWYrxBakNnDf_LRknQ_A3RPzRIh"
	"b_L\",\"y\":\"PmFSPztbY8ifn7qB2VFj89uuLi7pGCWlIhx1-uhjlRnKSFJAs7PPsFfc1i3DtALH\"}"
	",{\"use\":\"sig\",\"kty\":\"EC\",\"kid\":\"CJd9OeI3vOeqWE6SB7KoQFooK5r7ldTpNU4CmhoBnzg\""
	",\"crv\":\"P-521\",\"alg\":\"ES512\",\"x\":\"ATKqHR5qC0Xjd0JWLnJNoMRF1jo8SZAXnN9QmwsSLk"
	"qqNlwkW3r9ug4QACpflM48RDTatExwpYio0vBeCLieV7Ib\",\"y\":\"AUfVMz6af-o8cTPaE25q6-X"
	"DRB_RMhhvE-h__N33fjO9VQq1vXfdOa5WuEEeLpJJWtey4gxjzWpHAYeO2LTGXVyG\"}]}";

static const char *const fixed_tokens[] = {
	"eyJhbGciOiJSUzI1NiIsImtpZCI6Imtnd05QT29ST2FzRWZIWmtFSThvTERSSDRpQU5ZTmFJeWVI"
	"bFRibjd2LTQifQ.eyJhdWQiOlsicG9kcy5la3MuYW1hem9uYXdzLmNvbSJdLCJleHAiOjE3Njc0M"
	"Dk0NDUsImlhdCI6MTc2NzMyMzA0NSwiaXNzIjoiaHR0cHM6Ly9rdWJlcm5ldGVzLmRlZmF1bHQuc"
	"3ZjLmNsdXN0ZXIubG9jYWwiLCJzdWIiOiJzeXN0ZW06c2VydmljZWFjY291bnQ6c2hvcDp3ZWIif"
	"Q.lKpFkQiahrcI9rngJ1j35b4BV-7Ev_PAuT0mZU_sVUp07_4ze2rUGAYOt_qtJDG5biAJnfDx6n"
	"6tqteJhipsQsxsDNHrrCgFW9ZXdmAvl104_Td4l29vvKHL77GJB8vpixIF9TnBHkbyV17IG5bOaI"
	"RU6N5okwKi5vdQL0WU4UlXbscZix9PBUPNzqva8I8-nYQXDg2WdhWRW96qenUS3TfHn5D5X1k5vR"
	"QOgv_XNiOfxN1JJ1U21gfidkR-GzY5Sco2t_4oEZhh75RY1qj1Tpi_pLV44qpkX7c0K1VwXq8MJP"
	"mQqexd8Z-Y7ZcM013vB6TI4EMkmMhupz1Bie4zYg",
	"eyJhbGciOiJFUzI1NiIsImtpZCI6ImlYQWR0RmgtS3I3THMyand6cUxCckRHdXU4YXRXTTRuNm9O"
	"cnNiX0RERFUifQ.eyJhdWQiOlsicG9kcy5la3MuYW1hem9uYXdzLmNvbSJdLCJleHAiOjE3Njc0M"
	"Dk0NDUsImlhdCI6MTc2NzMyMzA0NSwiaXNzIjoiaHR0cHM6Ly9rdWJlcm5ldGVzLmRlZmF1bHQuc"
	"3ZjLmNsdXN0ZXIubG9jYWwiLCJzdWIiOiJzeXN0ZW06c2VydmljZWFjY291bnQ6c2hvcDp3ZWIif"
	"Q.VaooZAzCr0tX2HopaBGgl2WuajT9iAn_6IEi3tMcgm_Zq8w6TDU_wPEAnQ32bAudpl3DarGqOr"
	"NHnsxVVw4uXQ",
	"eyJhbGciOiJFUzM4NCIsImtpZCI6IlhWZnJZWGppVUNHWkYyZjJoS0NFYktlYnB1UExycmdvbXQ3"
	"SHE5ZHpWYVEifQ.eyJhdWQiOlsicG9kcy5la3MuYW1hem9uYXdzLmNvbSJdLCJleHAiOjE3Njc0M"
	"Dk0NDUsImlhdCI6MTc2NzMyMzA0NSwiaXNzIjoiaHR0cHM6Ly9rdWJlcm5ldGVzLmRlZmF1bHQuc"
	"3ZjLmNsdXN0ZXIubG9jYWwiLCJzdWIiOiJzeXN0ZW06c2VydmljZWFjY291bnQ6c2hvcDp3ZWIif"
	"Q.joJ7O-8YdCVY9OqNVZlMXIt6_9f06qjc8Qj27Y4VT_dtD493cenK-Nml7LXzoXe3_A7w2sR_RF"
	"CfJtUEatlhOjqPCzDsIuE7IXoexVwZ51ixExga9NPjNetnftsYXlst",
	"eyJhbGciOiJFUzUxMiIsImtpZCI6IkNKZDlPZUkzdk9lcVdFNlNCN0tvUUZvb0s1cjdsZFRwTlU0"
	"Q21ob0JuemcifQ.eyJhdWQiOlsicG9kcy5la3MuYW1hem9uYXdzLmNvbSJdLCJleHAiOjE3Njc0M"
	"Dk0NDUsImlhdCI6MTc2NzMyMzA0NSwiaXNzIjoiaHR0cHM6Ly9rdWJlcm5ldGVzLmRlZmF1bHQuc"
	"3ZjLmNsdXN0ZXIubG9jYWwiLCJzdWIiOiJzeXN0ZW06c2VydmljZWFjY291bnQ6c2hvcDp3ZWIif"
	"Q.AMG4KAtBgAURHMv9tV-zYjfzKO6KwfihoY2VJlMO5h2EDqZbd8fLQTk_ICFNUFZz2nH0l-GGni"
	"pMEHO3y9kfb2MMAON4Wi-eK7yeCAf2J7BjTXzd-jqTdw0kXeOUT2KBZjBcKJkqpr0cn1FoyLBow_"
	"r1GoUxaB4gEPZVZO7fje9EnhR9",
};

/* Made by kube-apiserver 1.34.4: its key sets, put together, and tokens that it has bound to a pod. */
static const char kubernetes_jwks[] =
	"{\"keys\":[{\"use\":\"sig\",\"kty\":\"RSA\",\"kid\":\"rTsUv1cpuR0KKvIRGMhIbfYh9yJ37p5TNQd"
	"VKXwOLSU\",\"alg\":\"RS256\",\"n\":\"rEGGlNQkZ-ZZ2iQxb-zfzlHNbmuVMvQ4BN-WMIeJiX1HTxy"
	"89Qj-Xnk8-5pL1SHSlNX2Z6HBNJ5iNr3vjegT0pjzdd-8PZz9UDXBQInzx2DxufoNU4sm6u7L-ba"
	"XdeNxiy7ZJ4UpERMU2g1cJq-YVsyoKjoZPmMhlquLzEHVK4WCjaS7H0bHSinQ7pjpyAN4WNQ8LdU"
	"81ShSIgXx0q65Jwt6bG3llU_jdnNNNjY_IqST4uDFXcg7smfz-LhD7-3tli8iH9U6WEbSmS0owF2"
	"CbTnHsVuBDeWwi5rQMrjENxbu8pJDGUkklbdyPmwHtfYK3ujMEYH0wkCpQy9_rQWXmQ\",\"e\":\"AQ"
	"AB\"},{\"use\":\"sig\",\"kty\":\"EC\",\"kid\":\"O6I-vIOUdhgVfd7HuCovlLKO-tkMb_p8gG6M3UQc"
	"T3Y\",\"crv\":\"P-256\",\"alg\":\"ES256\",\"x\":\"JddPctjwpXNsiJ8Mkwy-9heTftIrPXs_L9R5Z6"
	"-zqJk\",\"y\":\"6BBglu_CsQu6y_GmtlByzJG6YIE8Nuh1hMwXDDpRFzs\"}]}";

static const char *const kubernetes_tokens[] = {
	"eyJhbGciOiJSUzI1NiIsImtpZCI6InJUc1V2MWNwdVIwS0t2SVJHTWhJYmZZaDl5SjM3cDVUTlFk"
	"VktYd09MU1UifQ.eyJhdWQiOlsicG9kcy5la3MuYW1hem9uYXdzLmNvbSJdLCJleHAiOjE3OTU5N"
	"DI5ODEsImlhdCI6MTc5NTkzOTM4MSwiaXNzIjoiaHR0cHM6Ly9rdWJlcm5ldGVzLmRlZmF1bHQuc"
	"3ZjIiwianRpIjoiMmZiNWIyNmMtOTQwYy00MTE0LWEwMmQtOGIzMTQ3OTYzMjRkIiwia3ViZXJuZ"
	"XRlcy5pbyI6eyJuYW1lc3BhY2UiOiJzaG9wIiwibm9kZSI6eyJuYW1lIjoibjEiLCJ1aWQiOiI0Z"
	"DFkZGM2YS1mZjM3LTQzNWYtOWE2Yy1lN2ZlYjQyYjJiNzcifSwicG9kIjp7Im5hbWUiOiJ3ZWItM"
	"CIsInVpZCI6ImM4ZTI0MGRmLTk0OWQtNDU3NC1iOWYzLTcyN2FiZGZkMjdjMSJ9LCJzZXJ2aWNlY"
	"WNjb3VudCI6eyJuYW1lIjoid2ViIiwidWlkIjoiOTFhYzkxMTUtZGU0NC00MThmLWJmMmEtYTBmY"
	"TQ2MjFhNDRlIn19LCJuYmYiOjE3OTU5MzkzODEsInN1YiI6InN5c3RlbTpzZXJ2aWNlYWNjb3Vud"
	"DpzaG9wOndlYiJ9.jQ1TGusaG8wbeKOtG-C386ADCr6L-P5la9zSfKkDg81rVbeQFotssNUZyKyO"
	"Ia2x9iogg9LhZ7CS6PEpHbCLxDu9Blej0PWY2-8L6K2thY6COwP9HQpfMJcM_mGPDT3VTZgWYFRr"
	"HYTytaWM6FgQWxPwXm-pw7Y0ce1IUkiljBbSLFCIZwz8b_5z7_j2C7bQjQ-bj8KPp-DqbXb4TEyC"
	"QYiIe4ggCcu4Q4MuUllYcOSsVFNzJ3qwaWKTlWXxfWgWgmUKspt3eBa9h44DJ0BiiK936BZaPEnD"
	"_-B5Znz6hKwAS0KY6vyjfiuXWslbDQ71SyBzirFux7ptCnAdiXI6LQ",
	"eyJhbGciOiJFUzI1NiIsImtpZCI6Ik82SS12SU9VZGhnVmZkN0h1Q292bExLTy10a01iX3A4Z0c2"
	"TTNVUWNUM1kifQ.eyJhdWQiOlsicG9kcy5la3MuYW1hem9uYXdzLmNvbSJdLCJleHAiOjE3OTU5N"
	"DI5ODEsImlhdCI6MTc5NTkzOTM4MSwiaXNzIjoiaHR0cHM6Ly9rdWJlcm5ldGVzLmRlZmF1bHQuc"
	"3ZjIiwianRpIjoiNDI0Y2VjYmYtYzYyYi00ZmQ1LWIzNTAtNGE0OTI0NGJlMjY1Iiwia3ViZXJuZ"
	"XRlcy5pbyI6eyJuYW1lc3BhY2UiOiJzaG9wIiwibm9kZSI6eyJuYW1lIjoibjEiLCJ1aWQiOiI0Z"
	"DFkZGM2YS1mZjM3LTQzNWYtOWE2Yy1lN2ZlYjQyYjJiNzcifSwicG9kIjp7Im5hbWUiOiJ3ZWItM"
	"CIsInVpZCI6ImM4ZTI0MGRmLTk0OWQtNDU3NC1iOWYzLTcyN2FiZGZkMjdjMSJ9LCJzZXJ2aWNlY"
	"WNjb3VudCI6eyJuYW1lIjoid2ViIiwidWlkIjoiOTFhYzkxMTUtZGU0NC00MThmLWJmMmEtYTBmY"
	"TQ2MjFhNDRlIn19LCJuYmYiOjE3OTU5MzkzODEsInN1YiI6InN5c3RlbTpzZXJ2aWNlYWNjb3Vud"
	"DpzaG9wOndlYiJ9.pE0nSRqGyCuFhZjz2aQRGbvfUEvlgWGdrJHCZOFcTSA8GsF4kCephqcoEZos"
	"FM2don6YJtpstNbu_7OsaYpfaQ",
};

/* AddressSanitizer looks at memset() alone. */
void __wrap_explicit_bzero(void *memory, size_t len);
void __wrap_explicit_bzero(void *memory, size_t len)
{
	memset(memory, 0, len);
}

#define CLAIMS "{\"iss\":\"https://issuer\",\"exp\":1767409445}"
#define RS     "{\"alg\":\"RS256\",\"kid\":\"rsa\"}"
#define ES     "{\"alg\":\"ES256\",\"kid\":\"p256\"}"

static struct crypto_jwks *keys;

static int setup(void **state)
{
	char *text = tokens_jwks(tokens_jwk(tokens_key("RSA-2048"), "rsa", "RS256"),
				 tokens_jwk(tokens_key("RSA-3072"), "rsa384", "RS384"),
				 tokens_jwk(tokens_key("RSA-2048/2"), "rsa512", "RS512"),
				 tokens_jwk(tokens_key("P-256"), "p256", "ES256"),
				 tokens_jwk(tokens_key("P-384"), "p384", "ES384"),
				 tokens_jwk(tokens_key("P-521"), "p521", "ES512"), NULL);
	int r = crypto_jwks_parse(text, strlen(text), &keys, NULL);

	(void)state;
	free(text);
	return r;
}

static int teardown(void **state)
{
	(void)state;
	crypto_jwks_unref(keys);
	return 0;
}

static int verify(const char *token)
{
	struct crypto_jwt *jwt = NULL;
	int r = crypto_jwt_verify(keys, token, strlen(token), &jwt);

	assert_int_equal(!jwt, r != 0);
	crypto_jwt_free(jwt);
	return r;
}

/* Frees the token. */
static void check(const char *name, char *token, int wanted)
{
	int r = verify(token);

	if (r != wanted)
		fail_msg("%s: %d, not %d: %.300s", name, r, wanted, token);
	free(token);
}

static char *sign(const char *key, const char *header, const char *claims)
{
	return tokens_sign(tokens_key(key), 256, TOKENS_RAW, header, claims);
}

/* ---- tokens that are right ---- */

static void each_algorithm_verifies(void **state)
{
	static const struct {
		const char *key, *header;
		unsigned bits;
	} rows[] = {
		{"RSA-2048", RS, 256},
		{"RSA-3072", "{\"kid\":\"rsa384\",\"alg\":\"RS384\"}", 384},
		{"RSA-2048/2", "{\"alg\":\"RS512\",\"kid\":\"rsa512\",\"typ\":\"JWT\"}", 512},
		{"P-256", ES, 256},
		{"P-384", "{\"alg\":\"ES384\",\"kid\":\"p384\"}", 384},
		{"P-521", "{\"alg\":\"ES512\",\"kid\":\"p521\"}", 512},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		check(rows[i].header,
		      tokens_sign(tokens_key(rows[i].key), rows[i].bits, TOKENS_RAW, rows[i].header,
				  CLAIMS),
		      0);
}

static void tokens_of_another_library_verify(void **state)
{
	static const char *const sub[] = {"sub", NULL};
	struct crypto_jwks *fixed;
	const char *text;

	(void)state;
	assert_int_equal(crypto_jwks_parse(fixed_jwks, strlen(fixed_jwks), &fixed, NULL), 0);
	assert_int_equal(crypto_jwks_count(fixed), 4);
	for (size_t i = 0; i < ARRAY_SIZE(fixed_tokens); i++) {
		struct crypto_jwt *jwt = NULL;
		char *token = strdup(fixed_tokens[i]);

		assert_int_equal(crypto_jwt_verify(fixed, token, strlen(token), &jwt), 0);
		assert_int_equal(crypto_jwt_text(jwt, sub, &text), 0);
		assert_string_equal(text, "system:serviceaccount:shop:web");
		crypto_jwt_free(jwt);
		/* the first character of the signature, then of the claims */
		for (char *at = strrchr(token, '.'); at;
		     at = memrchr(token, '.', (size_t)(at - token))) {
			char was = at[1];

			at[1] = was == 'A' ? 'B' : 'A';
			assert_int_equal(crypto_jwt_verify(fixed, token, strlen(token), &jwt),
					 -EKEYREJECTED);
			at[1] = was;
		}
		free(token);
	}
	crypto_jwks_unref(fixed);
}

static void tokens_of_kubernetes_verify(void **state)
{
	static const char *const sub[] = {"sub", NULL},
				 *const uid[] = {"kubernetes.io", "pod", "uid", NULL},
				 *const node[] = {"kubernetes.io", "node", "name", NULL};
	struct crypto_jwks *kubernetes;
	const char *text;
	time_t exp, nbf;

	(void)state;
	assert_int_equal(
		crypto_jwks_parse(kubernetes_jwks, strlen(kubernetes_jwks), &kubernetes, NULL), 0);
	assert_int_equal(crypto_jwks_count(kubernetes), 2);
	assert_int_equal(crypto_jwks_unusable(kubernetes), 0);
	for (size_t i = 0; i < ARRAY_SIZE(kubernetes_tokens); i++) {
		struct crypto_jwt *jwt = NULL;

		assert_int_equal(crypto_jwt_verify(kubernetes, kubernetes_tokens[i],
						   strlen(kubernetes_tokens[i]), &jwt),
				 0);
		assert_int_equal(crypto_jwt_text(jwt, sub, &text), 0);
		assert_string_equal(text, "system:serviceaccount:shop:web");
		assert_int_equal(crypto_jwt_text(jwt, uid, &text), 0);
		assert_string_equal(text, "c8e240df-949d-4574-b9f3-727abdfd27c1");
		assert_int_equal(crypto_jwt_text(jwt, node, &text), 0);
		assert_string_equal(text, "n1");
		assert_true(crypto_jwt_is_for(jwt, "pods.eks.amazonaws.com"));
		assert_int_equal(crypto_jwt_time(jwt, "exp", &exp), 0);
		assert_int_equal(crypto_jwt_time(jwt, "nbf", &nbf), 0);
		assert_int_equal(exp - nbf, 3600);
		crypto_jwt_free(jwt);
	}
	crypto_jwks_unref(kubernetes);
}

/* ---- headers ---- */

static void the_key_says_the_algorithm(void **state)
{
	static const struct {
		const char *header;
		int r;
	} rows[] = {
		{"{\"alg\":\"none\",\"kid\":\"rsa\"}", -EKEYREJECTED},
		{"{\"alg\":\"None\",\"kid\":\"rsa\"}", -EKEYREJECTED},
		{"{\"alg\":\"\",\"kid\":\"rsa\"}", -EKEYREJECTED},
		{"{\"alg\":\"HS256\",\"kid\":\"rsa\"}", -EKEYREJECTED},
		{"{\"alg\":\"RS384\",\"kid\":\"rsa\"}", -EKEYREJECTED},
		{"{\"alg\":\"RS512\",\"kid\":\"rsa\"}", -EKEYREJECTED},
		{"{\"alg\":\"PS256\",\"kid\":\"rsa\"}", -EKEYREJECTED},
		{"{\"alg\":\"ES256\",\"kid\":\"rsa\"}", -EKEYREJECTED},
		{"{\"alg\":\"rs256\",\"kid\":\"rsa\"}", -EKEYREJECTED},
		{"{\"alg\":\"RS256 \",\"kid\":\"rsa\"}", -EKEYREJECTED},
		{"{\"alg\":\"RS256\",\"kid\":\"p256\"}", -EKEYREJECTED},
		{"{\"alg\":\"RS384\",\"kid\":\"rsa384\"}", -EKEYREJECTED},
		{"{\"alg\":null,\"kid\":\"rsa\"}", -EINVAL},
		{"{\"alg\":256,\"kid\":\"rsa\"}", -EINVAL},
		{"{\"alg\":[\"RS256\"],\"kid\":\"rsa\"}", -EINVAL},
		{"{\"kid\":\"rsa\"}", -EINVAL},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		check(rows[i].header, sign("RSA-2048", rows[i].header, CLAIMS), rows[i].r);
		check(rows[i].header, tokens_join(rows[i].header, CLAIMS, "", 0), rows[i].r);
	}
}

static void a_kid_is_a_name_and_nothing_else(void **state)
{
	static const struct {
		const char *header;
		int r;
	} rows[] = {
		{"{\"alg\":\"RS256\"}", -EINVAL},
		{"{\"alg\":\"RS256\",\"kid\":\"\"}", -EINVAL},
		{"{\"alg\":\"RS256\",\"kid\":null}", -EINVAL},
		{"{\"alg\":\"RS256\",\"kid\":0}", -EINVAL},
		{"{\"alg\":\"RS256\",\"kid\":[\"rsa\"]}", -EINVAL},
		{"{\"alg\":\"RS256\",\"kid\":\"rsa\\u0000\"}", -EINVAL},
		{"{\"alg\":\"RS256\",\"kid\":\"rs\"}", -ENOKEY},
		{"{\"alg\":\"RS256\",\"kid\":\"rsa \"}", -ENOKEY},
		{"{\"alg\":\"RS256\",\"kid\":\"RSA\"}", -ENOKEY},
		{"{\"alg\":\"RS256\",\"kid\":\"../../../../dev/null\"}", -ENOKEY},
		{"{\"alg\":\"HS256\",\"kid\":\"/proc/self/environ\"}", -ENOKEY},
		{"{\"alg\":\"RS256\",\"kid\":\"rsa' OR '1'='1\"}", -ENOKEY},
		{"{\"alg\":\"RS256\",\"kid\":\"https://evil.example/jwks\"}", -ENOKEY},
		/* what is known to be looked up in other places */
		{"{\"alg\":\"RS256\",\"kid\":\"x\",\"jku\":\"https://evil.example/jwks\"}",
		 -ENOKEY},
	};
	char header[10240 + 64];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		check(rows[i].header, sign("RSA-2048", rows[i].header, CLAIMS), rows[i].r);
	snprintf(header, sizeof(header), "{\"alg\":\"RS256\",\"kid\":\"%010240d\"}", 0);
	check("10 kB", sign("RSA-2048", header, CLAIMS), -EINVAL);
	snprintf(header, sizeof(header), "{\"alg\":\"RS256\",\"kid\":\"%05000d\"}", 0);
	check("5 kB", sign("RSA-2048", header, CLAIMS), -ENOKEY);
}

/* Its own key in the token: it verifies, and is nobody's here. */
static void a_key_in_the_header_counts_for_nothing(void **state)
{
	json_t *jwk = tokens_jwk(tokens_key("RSA-2048/evil"), "rsa", "RS256");
	json_t *header = json_pack("{s:s,s:s,s:o}", "alg", "RS256", "kid", "rsa", "jwk", jwk);
	char *text = json_dumps(header, 0);

	(void)state;
	check("jwk", sign("RSA-2048/evil", text, CLAIMS), -EKEYREJECTED);
	check("no jwk", sign("RSA-2048/evil", RS, CLAIMS), -EKEYREJECTED);
	free(text);
	json_decref(header);
}

static char *hmac_token(const char *alg, const void *secret, size_t len)
{
	char header[64], *text, *token;
	uint8_t mac[32];

	snprintf(header, sizeof(header), "{\"alg\":\"%s\",\"kid\":\"rsa\"}", alg);
	text = tokens_join(header, CLAIMS, "", 0);
	HMAC(EVP_sha256(), secret, (int)len, (uint8_t *)text, strlen(text) - 1, mac, NULL);
	token = tokens_join(header, CLAIMS, mac, sizeof(mac));
	free(text);
	return token;
}

/* The public key is no secret: who takes it for one believes everybody. */
static void a_public_key_is_no_hmac_key(void **state)
{
	BIO *pem = BIO_new(BIO_s_mem());
	uint8_t *der = NULL;
	char *text;
	long len;
	int der_len = i2d_PUBKEY(tokens_key("RSA-2048"), &der);

	(void)state;
	PEM_write_bio_PUBKEY(pem, tokens_key("RSA-2048"));
	len = BIO_get_mem_data(pem, &text);
	check("PEM", hmac_token("HS256", text, (size_t)len), -EKEYREJECTED);
	check("PEM without its last line feed", hmac_token("HS256", text, (size_t)len - 1),
	      -EKEYREJECTED);
	check("DER", hmac_token("HS256", der, (size_t)der_len), -EKEYREJECTED);
	check("as RS256", hmac_token("RS256", text, (size_t)len), -EKEYREJECTED);
	OPENSSL_free(der);
	BIO_free(pem);
}

static void odd_headers_are_refused(void **state)
{
	static const char *const headers[] = {
		"{\"alg\":\"RS256\",\"kid\":\"rsa\",\"crit\":[\"exp\"]}",
		"{\"alg\":\"RS256\",\"kid\":\"rsa\",\"crit\":[]}",
		"{\"alg\":\"RS256\",\"kid\":\"rsa\",\"crit\":null}",
		"{\"alg\":\"RS256\",\"kid\":\"rsa\",\"b64\":false,\"crit\":[\"b64\"]}",
		"{\"alg\":\"none\",\"alg\":\"RS256\",\"kid\":\"rsa\"}",
		"{\"alg\":\"RS256\",\"kid\":\"x\",\"kid\":\"rsa\"}",
		"{\"alg\":\"RS256\",\"\\u0061lg\":\"RS256\",\"kid\":\"rsa\"}",
		"[\"RS256\",\"rsa\"]",
		"\"RS256\"",
		"null",
		"{\"alg\":\"RS256\",\"kid\":\"rsa\"",
		"{\"alg\":\"RS256\",\"kid\":\"rsa\"}}",
		"{\"alg\":\"RS256\",\"kid\":\"rsa\",}",
		"{'alg':'RS256','kid':'rsa'}",
		"\xef\xbb\xbf{\"alg\":\"RS256\",\"kid\":\"rsa\"}",
		"{\"alg\":\"RS256\",\"kid\":\"rsa\",\"x\":\"\xff\"}",
		"{\"alg\":\"RS256\",\"kid\":\"rsa\",\"x\":1e999}",
	};
	char deep[6000];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(headers); i++)
		check(headers[i], sign("RSA-2048", headers[i], CLAIMS), -EINVAL);
	memset(deep, '[', sizeof(deep) - 1);
	deep[sizeof(deep) - 1] = '\0';
	check("deep", sign("RSA-2048", deep, CLAIMS), -EINVAL);
}

/* ---- the text ---- */

static void one_token_has_one_spelling(void **state)
{
	static const char *const around[] = {" %s", "%s ", "%s\n", "\t%s",    "Bearer %s", ".%s",
					     "%s.", "%s=", "%s==", "%s.%1$s", "%s,"};
	char *good = sign("RSA-2048", RS, CLAIMS), *text, *dot = strrchr(good, '.');

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(around); i++) {
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
		assert_true(asprintf(&text, around[i], good) > 0);
#pragma GCC diagnostic pop
		check(around[i], text, -EINVAL);
	}
	/* the last character of 256 bytes has two bits that count, and four that do not */
	text = strdup(good);
	text[strlen(text) - 1] = text[strlen(text) - 1] == 'A' ? 'B' : text[strlen(text) - 1] + 1;
	check("another spelling of the signature", text, -EINVAL);
	for (const char *c = "+/=% \n\x80"; *c; c++) {
		text = strdup(good);
		text[5] = *c;
		check("a character of the header", text, -EINVAL);
		text = strdup(good);
		text[dot - good + 5] = *c;
		check("a character of the signature", text, -EINVAL);
	}
	assert_int_equal(verify(good), 0);
	free(good);
}

static void three_parts_and_no_other_number(void **state)
{
	char *good = sign("RSA-2048", RS, CLAIMS), *text, *dot = strrchr(good, '.');

	(void)state;
	check("nothing", strdup(""), -EINVAL);
	check("a word", strdup("token"), -EINVAL);
	check("dots", strdup(".."), -EINVAL);
	check("five parts", strdup("a.b.c.d.e"), -EINVAL);
	check("two parts", strndup(good, (size_t)(dot - good)), -EINVAL);
	check("no signature", strndup(good, (size_t)(dot - good) + 1), -EKEYREJECTED);
	check("no header", strdup(strchr(good, '.')), -EINVAL);
	assert_true(asprintf(&text, "%.*s..%s", (int)strcspn(good, "."), good, dot + 1) > 0);
	check("no claims", text, -EINVAL);
	free(good);
}

/* A right token of exactly len characters. */
static char *token_of(size_t len)
{
	char *token = sign("P-256", ES, CLAIMS), *claims = malloc(len);
	size_t more = len - strlen(token);

	free(token);
	/* four characters for each three bytes: blanks until it fits */
	for (size_t blanks = more / 4 * 3;; blanks++) {
		snprintf(claims, len, CLAIMS "%*s", (int)blanks, "");
		token = sign("P-256", ES, claims);
		if (strlen(token) >= len)
			break;
		free(token);
	}
	free(claims);
	return token;
}

static void a_token_has_a_bound(void **state)
{
	char *token = token_of(CRYPTO_JWT_MAX_SIZE);

	(void)state;
	assert_int_equal(strlen(token), CRYPTO_JWT_MAX_SIZE);
	check("as long as it may be", token, 0);
	check("longer", token_of(CRYPTO_JWT_MAX_SIZE + 1), -EINVAL);
}

/* ---- signatures ---- */

static void parts_of_two_tokens_make_none(void **state)
{
	char *a = sign("RSA-2048", RS, CLAIMS), *b = sign("RSA-2048", RS, "{\"exp\":1}"), *text;
	const char *claims = strchr(b, '.') + 1;

	(void)state;
	assert_true(asprintf(&text, "%.*s.%.*s%s", (int)strcspn(a, "."), a,
			     (int)strcspn(claims, "."), claims, strrchr(a, '.')) > 0);
	check("other claims", text, -EKEYREJECTED);
	check("header and claims swapped", sign("RSA-2048", CLAIMS, RS), -EINVAL);
	check("another key of the set", sign("RSA-2048/2", RS, CLAIMS), -EKEYREJECTED);
	check("a key of nobody's", sign("RSA-2048/evil", RS, CLAIMS), -EKEYREJECTED);
	check("an RSA signature for an EC key", sign("RSA-2048", ES, CLAIMS), -EKEYREJECTED);
	free(a);
	free(b);
}

static void an_rsa_signature_is_as_long_as_its_key(void **state)
{
	uint8_t zero[1024] = {}, ff[256];
	char *good = sign("RSA-2048", RS, CLAIMS), *text;

	(void)state;
	memset(ff, 0xff, sizeof(ff));
	check("zero", tokens_join(RS, CLAIMS, zero, 256), -EKEYREJECTED);
	check("more than n", tokens_join(RS, CLAIMS, ff, sizeof(ff)), -EKEYREJECTED);
	check("short", tokens_join(RS, CLAIMS, ff, 255), -EKEYREJECTED);
	check("a byte", tokens_join(RS, CLAIMS, ff, 1), -EKEYREJECTED);
	check("long", tokens_join(RS, CLAIMS, zero, 257), -EKEYREJECTED);
	check("as long as any", tokens_join(RS, CLAIMS, zero, 1024), -EKEYREJECTED);
	assert_true(asprintf(&text, "%.*sAAAA%s", (int)(strrchr(good, '.') - good) + 1, good,
			     strrchr(good, '.') + 1) > 0);
	check("with zeros in front", text, -EKEYREJECTED);
	free(good);
}

/* r and s, each as 32 bytes. */
static char *es256(const BIGNUM *r, const BIGNUM *s)
{
	uint8_t both[64];

	BN_bn2binpad(r, both, 32);
	BN_bn2binpad(s, both + 32, 32);
	return tokens_join(ES, CLAIMS, both, sizeof(both));
}

static void an_ecdsa_signature_is_two_numbers_of_the_curve(void **state)
{
	BIGNUM *n = NULL, *zero = BN_new(), *one = BN_new();
	uint8_t ff[64], short_half[63] = {1}, long_half[66] = {};
	uint8_t longer[70] = {};
	const char *signature;
	size_t len;
	char *good;

	(void)state;
	EVP_PKEY_get_bn_param(tokens_key("P-256"), "order", &n);
	BN_zero(zero);
	BN_one(one);
	memset(ff, 0xff, sizeof(ff));
	check("DER", tokens_sign(tokens_key("P-256"), 256, TOKENS_DER, ES, CLAIMS), -EKEYREJECTED);
	check("r = s = 0", es256(zero, zero), -EKEYREJECTED);
	check("r = 0", es256(zero, one), -EKEYREJECTED);
	check("s = 0", es256(one, zero), -EKEYREJECTED);
	check("r = n", es256(n, one), -EKEYREJECTED);
	check("s = n", es256(one, n), -EKEYREJECTED);
	check("r = s = n", es256(n, n), -EKEYREJECTED);
	check("all bits", tokens_join(ES, CLAIMS, ff, sizeof(ff)), -EKEYREJECTED);
	check("63 bytes", tokens_join(ES, CLAIMS, short_half, sizeof(short_half)), -EKEYREJECTED);
	check("66 bytes", tokens_join(ES, CLAIMS, long_half, sizeof(long_half)), -EKEYREJECTED);
	check("none", tokens_join(ES, CLAIMS, "", 0), -EKEYREJECTED);
	check("another key's", sign("P-256/2", ES, CLAIMS), -EKEYREJECTED);
	good = sign("P-256", ES, CLAIMS);
	signature = strrchr(good, '.') + 1;
	assert_int_equal(base64_url_decode(signature, strlen(signature), longer, &len), 0);
	check("a right one", tokens_join(ES, CLAIMS, longer, 64), 0);
	check("a right one, and two bytes more", tokens_join(ES, CLAIMS, longer, 66),
	      -EKEYREJECTED);
	free(good);
	BN_free(n);
	BN_free(zero);
	BN_free(one);
}

/* ---- claims ---- */

static void signed_claims_are_an_object_without_repetition(void **state)
{
	static const char *const claims[] = {
		"{\"exp\":1,\"exp\":2}",
		"{\"kubernetes.io\":{\"pod\":{\"uid\":\"a\",\"uid\":\"b\"}}}",
		"{\"aud\":\"a\",\"\\u0061ud\":\"b\"}",
		"[]",
		"\"claims\"",
		"1",
		"{\"sub\":\"a\\u0000b\"}",
		"{\"exp\":99999999999999999999}",
		"{} {}",
		"{",
		"\xff\xff",
	};
	char deep[6001];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(claims); i++)
		check(claims[i], sign("P-256", ES, claims[i]), -EINVAL);
	for (size_t i = 0; i < sizeof(deep) / 5; i++)
		memcpy(deep + 5 * i, "{\"a\":", 5);
	deep[sizeof(deep) - 1] = '\0';
	check("deep objects", sign("P-256", ES, deep), -EINVAL);
	memset(deep, '[', 3000);
	memset(deep + 3000, ']', 3000);
	check("deep lists", sign("P-256", ES, deep), -EINVAL);
}

static struct crypto_jwt *claims_of(const char *claims)
{
	char *token = sign("P-256", ES, claims);
	struct crypto_jwt *jwt = NULL;

	assert_int_equal(crypto_jwt_verify(keys, token, strlen(token), &jwt), 0);
	free(token);
	return jwt;
}

static void texts_are_found_by_their_path(void **state)
{
	static const char *const uid[] = {"kubernetes.io", "pod", "uid", NULL},
				 *const sub[] = {"sub", NULL}, *const exp[] = {"exp", NULL},
				 *const none[] = {"kubernetes.io", "node", "name", NULL},
				 *const through[] = {"sub", "name", NULL},
				 *const pod[] = {"kubernetes.io", "pod", NULL};
	struct crypto_jwt *jwt =
		claims_of("{\"sub\":\"me\",\"exp\":1,\"kubernetes.io\":{\"pod\":{\"uid\":\"u\"}}}");
	const char *text = NULL;

	(void)state;
	assert_int_equal(crypto_jwt_text(jwt, none, &text), -ENOENT);
	assert_int_equal(crypto_jwt_text(jwt, exp, &text), -EINVAL);
	assert_int_equal(crypto_jwt_text(jwt, through, &text), -EINVAL);
	assert_int_equal(crypto_jwt_text(jwt, pod, &text), -EINVAL);
	assert_null(text);
	assert_int_equal(crypto_jwt_text(jwt, sub, &text), 0);
	assert_string_equal(text, "me");
	assert_int_equal(crypto_jwt_text(jwt, uid, &text), 0);
	assert_string_equal(text, "u");
	crypto_jwt_free(jwt);
	crypto_jwt_free(NULL);
}

static void times_are_whole_seconds(void **state)
{
	static const struct {
		const char *claims;
		int r;
		time_t is;
	} rows[] = {
		{"{\"exp\":1767409445}", 0, 1767409445},
		{"{\"exp\":0}", 0, 0},
		{"{\"exp\":253402300799}", 0, 253402300799},
		{"{\"exp\":253402300800}", -EINVAL, 0},
		{"{\"exp\":-1}", -EINVAL, 0},
		{"{\"exp\":1767409445.5}", -EINVAL, 0},
		{"{\"exp\":1.767409445e9}", -EINVAL, 0},
		{"{\"exp\":\"1767409445\"}", -EINVAL, 0},
		{"{\"exp\":true}", -EINVAL, 0},
		{"{\"exp\":null}", -EINVAL, 0},
		{"{\"nbf\":1}", -ENOENT, 0},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct crypto_jwt *jwt = claims_of(rows[i].claims);
		time_t when = 0;

		if (crypto_jwt_time(jwt, "exp", &when) != rows[i].r || when != rows[i].is)
			fail_msg("%s: %lld", rows[i].claims, (long long)when);
		crypto_jwt_free(jwt);
	}
}

static void an_audience_is_one_or_several(void **state)
{
	static const struct {
		const char *claims;
		bool is;
	} rows[] = {
		{"{\"aud\":\"ours\"}", true},
		{"{\"aud\":[\"ours\"]}", true},
		{"{\"aud\":[\"theirs\",\"ours\"]}", true},
		{"{\"aud\":[1,\"ours\"]}", true},
		{"{\"aud\":\"theirs\"}", false},
		{"{\"aud\":\"ours.example\"}", false},
		{"{\"aud\":\"OURS\"}", false},
		{"{\"aud\":\"\"}", false},
		{"{\"aud\":[]}", false},
		{"{\"aud\":[[\"ours\"]]}", false},
		{"{\"aud\":{\"ours\":\"ours\"}}", false},
		{"{\"aud\":null}", false},
		{"{}", false},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct crypto_jwt *jwt = claims_of(rows[i].claims);

		if (crypto_jwt_is_for(jwt, "ours") != rows[i].is)
			fail_msg("%s", rows[i].claims);
		crypto_jwt_free(jwt);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_algorithm_verifies),
		cmocka_unit_test(tokens_of_another_library_verify),
		cmocka_unit_test(tokens_of_kubernetes_verify),
		cmocka_unit_test(the_key_says_the_algorithm),
		cmocka_unit_test(a_kid_is_a_name_and_nothing_else),
		cmocka_unit_test(a_key_in_the_header_counts_for_nothing),
		cmocka_unit_test(a_public_key_is_no_hmac_key),
		cmocka_unit_test(odd_headers_are_refused),
		cmocka_unit_test(one_token_has_one_spelling),
		cmocka_unit_test(three_parts_and_no_other_number),
		cmocka_unit_test(a_token_has_a_bound),
		cmocka_unit_test(parts_of_two_tokens_make_none),
		cmocka_unit_test(an_rsa_signature_is_as_long_as_its_key),
		cmocka_unit_test(an_ecdsa_signature_is_two_numbers_of_the_curve),
		cmocka_unit_test(signed_claims_are_an_object_without_repetition),
		cmocka_unit_test(texts_are_found_by_their_path),
		cmocka_unit_test(times_are_whole_seconds),
		cmocka_unit_test(an_audience_is_one_or_several),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
