// SPDX-License-Identifier: Apache-2.0
#include "fetch/keys.h"

#include <string.h>

#define KEY_ID_CHARACTERS "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_"

bool fetch_is_access_key_id(const char *text)
{
	size_t len = strlen(text);

	return len >= 1 && len <= 128 && strspn(text, KEY_ID_CHARACTERS) == len;
}

bool fetch_is_secret(const char *text, size_t max)
{
	size_t len = strlen(text);

	if (len < 1 || len > max)
		return false;
	for (; *text; text++)
		if (*text < 0x21 || *text > 0x7e)
			return false;
	return true;
}
