/* SPDX-License-Identifier: Apache-2.0 */
/* Files that say whom to trust. */
#pragma once

struct pc_err;

/* The file's text, to be freed; of an empty path NULL: whom the system trusts. -errno, with err. */
int fetch_read_ca(const char *path, char **ret, struct pc_err *err);
