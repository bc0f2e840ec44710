// SPDX-License-Identifier: Apache-2.0
#include "crypto/hash.h"

#include <errno.h>
#include <openssl/evp.h>

int crypto_sha256(const void *data, size_t len, uint8_t ret[CRYPTO_SHA256_SIZE])
{
	unsigned ret_len = 0;

	if (!EVP_Digest(data, len, ret, &ret_len, EVP_sha256(), NULL) ||
	    ret_len != CRYPTO_SHA256_SIZE)
		return -EIO;
	return 0;
}
