// SPDX-License-Identifier: Apache-2.0
#include "crypto/seal.h"

#include <errno.h>
#include <limits.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <stdbool.h>
#include <string.h>

#include "base/cleanup.h"

#define NONCE_SIZE 12
#define TAG_SIZE   16

_Static_assert(NONCE_SIZE + TAG_SIZE == CRYPTO_SEAL_OVERHEAD, "what is added");

static void cleanup_ctx(EVP_CIPHER_CTX **ctx)
{
	EVP_CIPHER_CTX_free(*ctx);
}

int crypto_random(void *ret, size_t len)
{
	return len <= INT_MAX && RAND_bytes(ret, (int)len) == 1 ? 0 : -EIO;
}

static bool begin(EVP_CIPHER_CTX *ctx, int encrypt, const uint8_t *key, const uint8_t *nonce,
		  const void *about, size_t about_len)
{
	int len;

	return EVP_CipherInit_ex(ctx, EVP_aes_256_gcm(), NULL, key, nonce, encrypt) == 1 &&
	       (!about_len || EVP_CipherUpdate(ctx, NULL, &len, about, (int)about_len) == 1);
}

int crypto_seal(const uint8_t key[CRYPTO_SEAL_KEY_SIZE], const void *about, size_t about_len,
		const void *text, size_t len, uint8_t *ret)
{
	_cleanup_(cleanup_ctx) EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
	uint8_t *to = ret + NONCE_SIZE;
	int n;

	if (!ctx || about_len > INT_MAX || len > INT_MAX || crypto_random(ret, NONCE_SIZE) < 0)
		return -EIO;
	if (!begin(ctx, 1, key, ret, about, about_len) ||
	    (len && EVP_CipherUpdate(ctx, to, &n, text, (int)len) != 1) ||
	    EVP_CipherFinal_ex(ctx, to + len, &n) != 1 ||
	    EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_GCM_GET_TAG, TAG_SIZE, to + len) != 1)
		return -EIO;
	return 0;
}

int crypto_unseal(const uint8_t key[CRYPTO_SEAL_KEY_SIZE], const void *about, size_t about_len,
		  const uint8_t *sealed, size_t len, void *ret)
{
	_cleanup_(cleanup_ctx) EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
	size_t text_len = len - CRYPTO_SEAL_OVERHEAD;
	const uint8_t *from = sealed + NONCE_SIZE;
	int n;

	if (len < CRYPTO_SEAL_OVERHEAD)
		return -EKEYREJECTED;
	if (!ctx || about_len > INT_MAX || len > INT_MAX ||
	    !begin(ctx, 0, key, sealed, about, about_len) ||
	    (text_len && EVP_CipherUpdate(ctx, ret, &n, from, (int)text_len) != 1) ||
	    EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_GCM_SET_TAG, TAG_SIZE, (void *)(from + text_len)) !=
		    1)
		return -EIO;
	if (EVP_CipherFinal_ex(ctx, (uint8_t *)ret + text_len, &n) == 1)
		return 0;
	explicit_bzero(ret, text_len);
	return -EKEYREJECTED;
}
