/* SPDX-License-Identifier: Apache-2.0 */
/* RFC 4648, with its padding; blanks and line feeds between are passed over, as people wrap it. */
#pragma once

#include <stddef.h>

/* *ret is NUL-terminated, the caller's, and wiped by secret_free(). -EINVAL, -ENOMEM. */
int base64_decode(const char *text, char **ret, size_t *ret_len);
