/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stddef.h>

/* Longest normalised path that any protocol here knows is far below. */
#define HTTP_PATH_SIZE 512

/*
 * Request target -> path: query cut off, percent escapes decoded once, empty and "." segments
 * dropped, ".." resolved, a trailing slash kept. Case stays. 0, -ENAMETOOLONG, or -EINVAL for
 * what no SDK sends and two parsers might read differently: absolute form, an escaped slash or
 * control byte, a malformed escape, ".." above the root.
 */
int http_path_normalise(const char *target, char *ret, size_t size);
