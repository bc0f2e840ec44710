/* SPDX-License-Identifier: Apache-2.0 */
/* What podcred needs from a crypto library. No other module includes one. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CRYPTO_SHA256_SIZE 32

/* HMAC-SHA256. 0, or -EIO when the library fails; then ret is not to be used. */
int crypto_hmac_sha256(const void *key, size_t key_len, const void *data, size_t len,
		       uint8_t ret[CRYPTO_SHA256_SIZE]);

/* Takes as long for any two values of this length, so that a secret cannot be guessed byte by byte. */
bool crypto_equal(const void *a, const void *b, size_t len);

/* What the library reads and loads at its first use, before the process is confined. */
void crypto_prepare(void);
