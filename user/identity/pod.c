// SPDX-License-Identifier: Apache-2.0
#include "identity/pod.h"

#include <errno.h>
#include <string.h>

#define UUID_LEN 36
#define HASH_LEN 32

/* Lower-case hex digit, or 0. No <ctype.h>: the locale has no say in an identity. */
static char hex_digit(char c)
{
	if ((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'))
		return c;
	if (c >= 'A' && c <= 'F')
		return (char)(c - 'A' + 'a');
	return 0;
}

static bool is_separator_place(size_t i)
{
	return i == 8 || i == 13 || i == 18 || i == 23;
}

int pod_uid_canonical(const char *text, size_t len, char separator, char ret_uid[POD_UID_SIZE],
		      bool *ret_is_static)
{
	char uid[POD_UID_SIZE] = {0};

	if (len != UUID_LEN && len != HASH_LEN)
		return -EINVAL;
	for (size_t i = 0; i < len; i++) {
		if (len == UUID_LEN && is_separator_place(i))
			uid[i] = text[i] == separator ? '-' : 0;
		else
			uid[i] = hex_digit(text[i]);
		if (!uid[i])
			return -EINVAL;
	}
	memcpy(ret_uid, uid, sizeof(uid));
	*ret_is_static = len == HASH_LEN;
	return 0;
}
