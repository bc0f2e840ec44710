// SPDX-License-Identifier: Apache-2.0
#include "aws/sealed_keys.h"

#include <endian.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/base64.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "base/parse.h"
#include "base/secret.h"
#include "base/text.h"
#include "crypto/hmac.h"
#include "crypto/seal.h"

#define PREFIX	   "PODC"
#define BASE32	   "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
#define MAX_KEYS   8
#define KEY_SIZE   CRYPTO_SEAL_KEY_SIZE
#define ABOUT_SIZE 256
#define HEAD_SIZE  8 /* before an identity: its end */
#define BLOB_MAX   (1 + AWS_SEALED_MAX + HEAD_SIZE + CRYPTO_SEAL_OVERHEAD)
#define TOKEN_MAX  (BLOB_MAX / 3 * 4 + 8)

/* Two keys are made of each master key, so that no byte is used for two things. */
struct master {
	uint8_t version;
	uint8_t sealing[KEY_SIZE], signing[KEY_SIZE];
};

struct aws_sealing {
	struct master keys[MAX_KEYS];
	size_t n;
};

_Static_assert(CRYPTO_SHA256_SIZE == KEY_SIZE, "a digest is a key");

/* ---- master keys ---- */

struct aws_sealing *aws_sealing_free(struct aws_sealing *sealing)
{
	if (!sealing)
		return NULL;
	explicit_bzero(sealing, sizeof(*sealing));
	free(sealing);
	return NULL;
}

static const struct master *find(const struct aws_sealing *sealing, uint8_t version)
{
	for (size_t i = 0; i < sealing->n; i++)
		if (sealing->keys[i].version == version)
			return &sealing->keys[i];
	return NULL;
}

static int derive(struct master *master, const uint8_t *key)
{
	static const char seals[] = "podcred sealing 1", signs[] = "podcred signing 1";
	int r = crypto_hmac_sha256(key, KEY_SIZE, seals, sizeof(seals) - 1, master->sealing);

	return r ?: crypto_hmac_sha256(key, KEY_SIZE, signs, sizeof(signs) - 1, master->signing);
}

static int add(struct aws_sealing *sealing, uint8_t version, const char *base64)
{
	_cleanup_secret_ char *key = NULL;
	size_t len = 0;
	int r = base64_decode(base64, &key, &len);

	if (r < 0)
		return r;
	if (len != KEY_SIZE || sealing->n == MAX_KEYS || find(sealing, version))
		return -EINVAL;
	sealing->keys[sealing->n].version = version;
	r = derive(&sealing->keys[sealing->n], (const uint8_t *)key);
	if (r == 0)
		sealing->n++;
	return r;
}

/* "VERSION BASE64", which is changed. */
static int read_line(struct aws_sealing *sealing, char *line)
{
	char *blank = strchr(line, ' ');
	uint64_t version;

	if (!*line || *line == '#')
		return 0;
	if (!blank)
		return -EINVAL;
	*blank = '\0';
	if (parse_u64(line, UINT8_MAX, &version) < 0 || !version)
		return -EINVAL;
	return add(sealing, (uint8_t)version, blank + 1);
}

static int read_lines(struct aws_sealing *sealing, char *text, struct pc_err *err)
{
	char *rest = text, *line;

	for (unsigned n = 1; (line = strsep(&rest, "\n")); n++) {
		int r = read_line(sealing, line);

		if (r == -EINVAL)
			return pc_err_set(
				err, r,
				"line %u: not a key; write a version of its own, 1 to 255, "
				"a blank, and 32 bytes in base64",
				n);
		if (r < 0)
			return pc_err_set(err, r, "line %u: %s", n, strerror(-r));
	}
	return sealing->n ? 0 : pc_err_set(err, -EINVAL, "there is no key; write a line for one");
}

int aws_sealing_parse(const char *text, size_t len, struct aws_sealing **ret, struct pc_err *err)
{
	struct aws_sealing *sealing = calloc(1, sizeof(*sealing));
	_cleanup_secret_ char *copy = strndup(text, len);
	int r;

	if (!sealing || !copy) {
		aws_sealing_free(sealing);
		return pc_err_set(err, -ENOMEM, "no memory");
	}
	r = read_lines(sealing, copy, err);
	if (r < 0)
		aws_sealing_free(sealing);
	else
		*ret = sealing;
	return r;
}

/* ---- keys ---- */

/* What a sealed text belongs to. No part has a line feed in it. */
static int about_of(const struct aws_sealed_scope *scope, const char *id, char ret[ABOUT_SIZE])
{
	int n = snprintf(ret, ABOUT_SIZE, "podcred 1\n%s\n%s\n%s", scope->purpose, scope->cluster,
			 id);

	return n < ABOUT_SIZE ? n : -EINVAL;
}

static int make_id(char ret[AWS_SEALED_ID_SIZE])
{
	size_t prefix = strlen(PREFIX);
	uint8_t bytes[AWS_SEALED_ID_SIZE];
	int r = crypto_random(bytes, sizeof(bytes));

	strcpy(ret, PREFIX);
	for (size_t i = prefix; i < AWS_SEALED_ID_SIZE - 1; i++)
		ret[i] = BASE32[bytes[i] % 32];
	ret[AWS_SEALED_ID_SIZE - 1] = '\0';
	return r;
}

bool aws_sealed_is_id(const char *id)
{
	return strlen(id) == AWS_SEALED_ID_SIZE - 1 && !strncmp(id, PREFIX, strlen(PREFIX)) &&
	       strspn(id, BASE32) == AWS_SEALED_ID_SIZE - 1;
}

static int make_secret(const struct master *master, const char *token,
		       char ret[AWS_SEALED_SECRET_SIZE])
{
	uint8_t mac[CRYPTO_SHA256_SIZE];
	int r = crypto_hmac_sha256(master->signing, KEY_SIZE, token, strlen(token), mac);

	for (size_t i = 0; r == 0 && i < sizeof(mac); i++)
		snprintf(ret + 2 * i, 3, "%02x", mac[i]);
	explicit_bzero(mac, sizeof(mac));
	return r;
}

/* base64url without padding, so that it passes through every header and shell. */
static char *spell(const uint8_t *blob, size_t len)
{
	struct text t = {.max = TOKEN_MAX};
	char *token;

	base64_encode(&t, blob, len);
	token = text_string(&t);
	text_done(&t);
	for (char *c = token; c && *c; c++)
		*c = *c == '+' ? '-' : *c == '/' ? '_' : *c == '=' ? '\0' : *c;
	return token;
}

static int seal(const struct master *master, const struct aws_sealed_scope *scope,
		const void *identity, size_t len, time_t expires, struct aws_sealed_keys *ret)
{
	uint8_t plain[HEAD_SIZE + AWS_SEALED_MAX], blob[BLOB_MAX];
	uint64_t end = htobe64((uint64_t)expires);
	char about[ABOUT_SIZE];
	int about_len = about_of(scope, ret->access_key_id, about), r;

	if (about_len < 0)
		return about_len;
	memcpy(plain, &end, sizeof(end));
	memcpy(plain + HEAD_SIZE, identity, len);
	blob[0] = master->version;
	r = crypto_seal(master->sealing, about, (size_t)about_len, plain, HEAD_SIZE + len,
			blob + 1);
	if (r < 0)
		return r;
	ret->session_token = spell(blob, 1 + HEAD_SIZE + len + CRYPTO_SEAL_OVERHEAD);
	return ret->session_token ? 0 : -ENOMEM;
}

void aws_sealed_keys_done(struct aws_sealed_keys *keys)
{
	secret_free(keys->session_token);
	explicit_bzero(keys, sizeof(*keys));
}

int aws_sealed_issue(const struct aws_sealing *sealing, const struct aws_sealed_scope *scope,
		     const void *identity, size_t len, time_t expires, struct aws_sealed_keys *ret)
{
	const struct master *master = &sealing->keys[0];
	struct aws_sealed_keys keys = {};
	int r = len > AWS_SEALED_MAX ? -EINVAL : make_id(keys.access_key_id);

	r = r ?: seal(master, scope, identity, len, expires, &keys);
	r = r ?: make_secret(master, keys.session_token, keys.secret_access_key);
	if (r < 0)
		aws_sealed_keys_done(&keys);
	else
		*ret = keys;
	return r;
}

/* ---- the way back ---- */

static int unseal(const struct master *master, const struct aws_sealed_scope *scope, const char *id,
		  const uint8_t *blob, size_t len, struct aws_sealed_identity *ret)
{
	uint8_t plain[HEAD_SIZE + AWS_SEALED_MAX];
	size_t plain_len = len - CRYPTO_SEAL_OVERHEAD;
	char about[ABOUT_SIZE];
	int about_len = about_of(scope, id, about);
	uint64_t end;
	int r;

	if (about_len < 0 || len < CRYPTO_SEAL_OVERHEAD + HEAD_SIZE || plain_len > sizeof(plain))
		return -EKEYREJECTED;
	r = crypto_unseal(master->sealing, about, (size_t)about_len, blob, len, plain);
	if (r < 0)
		return r;
	memcpy(&end, plain, sizeof(end));
	ret->expires = (time_t)be64toh(end);
	ret->len = plain_len - HEAD_SIZE;
	memcpy(ret->identity, plain + HEAD_SIZE, ret->len);
	ret->identity[ret->len] = '\0';
	return 0;
}

int aws_sealed_open(const struct aws_sealing *sealing, const struct aws_sealed_scope *scope,
		    const char *access_key_id, const char *session_token, time_t now,
		    struct aws_sealed_identity *ret)
{
	size_t token_len = strnlen(session_token, TOKEN_MAX + 1), len;
	uint8_t blob[BASE64_URL_ROOM(TOKEN_MAX)];
	const struct master *master;
	int r;

	if (!aws_sealed_is_id(access_key_id) || token_len > TOKEN_MAX ||
	    base64_url_decode(session_token, token_len, blob, &len) < 0 || len < 2)
		return -EKEYREJECTED;
	master = find(sealing, blob[0]);
	if (!master)
		return -EKEYREJECTED;
	r = unseal(master, scope, access_key_id, blob + 1, len - 1, ret);
	r = r ?: make_secret(master, session_token, ret->secret_access_key);
	return r == 0 && now >= ret->expires ? -ETIME : r;
}
