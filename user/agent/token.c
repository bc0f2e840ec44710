// SPDX-License-Identifier: Apache-2.0
#include "agent/token.h"

#include <errno.h>
#include <string.h>

#include "base/base64.h"
#include "crypto/hmac.h"

#define EXPIRY_SIZE 8
#define MAC_SIZE    CRYPTO_SHA256_SIZE
#define RAW_SIZE    (EXPIRY_SIZE + MAC_SIZE)
#define UID_MAX	    64
#define BOOT_ID_MAX 64

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/* Keeps these MACs apart from any other use of the same key. */
static const char context[] = "podcred imds session token v1";

static void put_be64(uint8_t *out, uint64_t v)
{
	for (int i = 7; i >= 0; i--, v >>= 8)
		out[i] = (uint8_t)v;
}

static uint64_t get_be64(const uint8_t *in)
{
	uint64_t v = 0;

	for (int i = 0; i < 8; i++)
		v = v << 8 | in[i];
	return v;
}

static int mac(const uint8_t *key, const char *pod_uid, const uint8_t expiry[EXPIRY_SIZE],
	       uint8_t ret[MAC_SIZE])
{
	uint8_t input[sizeof(context) + EXPIRY_SIZE + UID_MAX];
	size_t uid_len = strlen(pod_uid);

	if (!uid_len || uid_len > UID_MAX)
		return -EINVAL;
	memcpy(input, context, sizeof(context));
	memcpy(input + sizeof(context), expiry, EXPIRY_SIZE);
	memcpy(input + sizeof(context) + EXPIRY_SIZE, pod_uid, uid_len);
	return crypto_hmac_sha256(key, AGENT_TOKEN_KEY_SIZE, input,
				  sizeof(context) + EXPIRY_SIZE + uid_len, ret);
}

int agent_token_key_of_boot(const uint8_t key[AGENT_TOKEN_KEY_SIZE], const char *boot_id,
			    uint8_t ret[AGENT_TOKEN_KEY_SIZE])
{
	static const char purpose[] = "podcred imds session tokens of boot ";
	uint8_t input[sizeof(purpose) + BOOT_ID_MAX];
	size_t len = strnlen(boot_id, BOOT_ID_MAX);

	_Static_assert(AGENT_TOKEN_KEY_SIZE == MAC_SIZE, "the MAC is the key");
	memcpy(input, purpose, sizeof(purpose));
	memcpy(input + sizeof(purpose), boot_id, len);
	return crypto_hmac_sha256(key, AGENT_TOKEN_KEY_SIZE, input, sizeof(purpose) + len, ret);
}

static void encode(const uint8_t raw[RAW_SIZE], char ret[TOKEN_SIZE])
{
	unsigned acc = 0, bits = 0;
	char *out = ret;

	for (int i = 0; i < RAW_SIZE; i++) {
		acc = acc << 8 | raw[i];
		for (bits += 8; bits >= 6; bits -= 6)
			*out++ = alphabet[acc >> (bits - 6) & 63];
	}
	if (bits)
		*out++ = alphabet[acc << (6 - bits) & 63];
	*out = '\0';
}

static int decode(const char *text, uint8_t ret[RAW_SIZE])
{
	uint8_t raw[BASE64_URL_ROOM(TOKEN_SIZE)];
	size_t len = strlen(text);

	if (len != TOKEN_SIZE - 1 || base64_url_decode(text, len, raw, &len) < 0 || len != RAW_SIZE)
		return -EBADMSG;
	memcpy(ret, raw, RAW_SIZE);
	return 0;
}

int agent_token_make(const uint8_t key[AGENT_TOKEN_KEY_SIZE], const char *pod_uid, time_t expiry,
		     char ret[TOKEN_SIZE])
{
	uint8_t raw[RAW_SIZE];
	int r;

	put_be64(raw, (uint64_t)expiry);
	r = mac(key, pod_uid, raw, raw + EXPIRY_SIZE);
	if (r < 0)
		return r;
	encode(raw, ret);
	return 0;
}

int agent_token_check(const uint8_t key[AGENT_TOKEN_KEY_SIZE], const char *pod_uid,
		      const char *token, time_t now, time_t *ret_left)
{
	uint8_t raw[RAW_SIZE] = {}, expected[MAC_SIZE];
	time_t expiry;

	if (decode(token, raw) < 0 || mac(key, pod_uid, raw, expected) < 0)
		return -EBADMSG;
	if (!crypto_equal(expected, raw + EXPIRY_SIZE, MAC_SIZE))
		return -EBADMSG;
	expiry = (time_t)get_be64(raw);
	if (expiry <= now)
		return -EKEYEXPIRED;
	*ret_left = expiry - now;
	return 0;
}

void agent_prepare(void)
{
	crypto_prepare();
}
