/* SPDX-License-Identifier: Apache-2.0 */
/* What keys look like, whoever they come from: what does not is refused before it is used or handed on. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#define FETCH_SECRET_MAX 256
#define FETCH_TOKEN_MAX	 16384

/* 1 to 128 of A-Z a-z 0-9 _. */
bool fetch_is_access_key_id(const char *text);

/* 1 to max printable characters without blanks. */
bool fetch_is_secret(const char *text, size_t max);
