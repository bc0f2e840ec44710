/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stddef.h>

/* Whole file into *ret (NUL-terminated, owned by the caller), its length without the NUL into
 * *ret_len (may be NULL). -EFBIG above max bytes, else -errno of open or read. */
int file_read(const char *path, size_t max, char **ret, size_t *ret_len);

/* The same of an open file, from its beginning. Its position does not count and is not moved: a process that was handed the
 * descriptor shares it. A pipe or socket is read as it comes. */
int file_read_fd(int fd, size_t max, char **ret, size_t *ret_len);

/* The first size bytes of it into buf, likewise; *ret_len is less if the file is shorter. -errno of read. */
int file_fill(int fd, void *buf, size_t size, size_t *ret_len);

/* All of it, from where the file stands. -errno of write. */
int file_write_fd(int fd, const void *data, size_t len);

/* Temp file in the same directory, then rename: readers see the old text or the new. -errno. */
int file_write_atomic(const char *path, const void *data, size_t len, unsigned mode);
