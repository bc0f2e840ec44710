// SPDX-License-Identifier: Apache-2.0
#include "crypto/hmac.h"

#include <errno.h>
#include <jansson.h>
#include <limits.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

int crypto_hmac_sha256(const void *key, size_t key_len, const void *data, size_t len,
		       uint8_t ret[CRYPTO_SHA256_SIZE])
{
	unsigned ret_len = 0;

	if (key_len > INT_MAX || !HMAC(EVP_sha256(), key, (int)key_len, data, len, ret, &ret_len) ||
	    ret_len != CRYPTO_SHA256_SIZE)
		return -EIO;
	return 0;
}

bool crypto_equal(const void *a, const void *b, size_t len)
{
	return CRYPTO_memcmp(a, b, len) == 0;
}

/* libcrypto reads its configuration and loads what that names, at the first digest. jansson asks the kernel for the
 * seed of its hashes, which keeps a token from being slow on purpose. */
void crypto_prepare(void)
{
	uint8_t mac[CRYPTO_SHA256_SIZE];

	crypto_hmac_sha256("", 0, "", 0, mac);
	json_object_seed(0);
}
