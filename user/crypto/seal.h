/* SPDX-License-Identifier: Apache-2.0 */
/* Texts that only the owner of a key can read and make: AES-256-GCM. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#define CRYPTO_SEAL_KEY_SIZE 32
#define CRYPTO_SEAL_OVERHEAD 28 /* bytes that are added: nonce and tag */

/* about: what the text belongs to, and is opened with again; not kept in it. ret: len + CRYPTO_SEAL_OVERHEAD bytes. -EIO. */
int crypto_seal(const uint8_t key[CRYPTO_SEAL_KEY_SIZE], const void *about, size_t about_len,
		const void *text, size_t len, uint8_t *ret);

/* ret: len - CRYPTO_SEAL_OVERHEAD bytes. -EKEYREJECTED: not sealed with that key, or about something else; -EIO. */
int crypto_unseal(const uint8_t key[CRYPTO_SEAL_KEY_SIZE], const void *about, size_t about_len,
		  const uint8_t *sealed, size_t len, void *ret);

/* From the library's generator. -EIO. */
int crypto_random(void *ret, size_t len);
