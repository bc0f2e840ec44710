/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "crypto/hmac.h"

/* 0, or -EIO when the library fails; then ret is not to be used. */
int crypto_sha256(const void *data, size_t len, uint8_t ret[CRYPTO_SHA256_SIZE]);
