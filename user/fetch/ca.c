// SPDX-License-Identifier: Apache-2.0
#include "fetch/ca.h"

#include <string.h>

#include "base/err.h"
#include "base/file.h"

#define MAX_CA (4U << 20)

int fetch_read_ca(const char *path, char **ret, struct pc_err *err)
{
	int r = *path ? file_read(path, MAX_CA, ret, NULL) : 0;

	return r < 0 ? pc_err_set(err, r,
				  "cannot read caBundle %s: %s; check the path and its permissions",
				  path, strerror(-r))
		     : 0;
}
