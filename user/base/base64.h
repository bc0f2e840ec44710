/* SPDX-License-Identifier: Apache-2.0 */
/* RFC 4648. */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct text;

/* With its padding; blanks and line feeds between are passed over, as people wrap it. */
/* *ret is NUL-terminated, the caller's, and wiped by secret_free(). -EINVAL, -ENOMEM. */
int base64_decode(const char *text, char **ret, size_t *ret_len);

/* What base64_url_decode() needs room for. */
#define BASE64_URL_ROOM(len) ((len) / 4 * 3 + 3)

/* The alphabet for URLs and file names, without padding or blanks: one text has one spelling. 0 or -EINVAL. */
int base64_url_decode(const char *text, size_t len, uint8_t *ret, size_t *ret_len);

/* As base64_url_decode() takes it. */
void base64_url_encode(struct text *t, const void *data, size_t len);

/* With its padding, in one line. */
void base64_encode(struct text *t, const void *data, size_t len);
