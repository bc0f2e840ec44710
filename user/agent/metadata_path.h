/* SPDX-License-Identifier: Apache-2.0 */
/* Which paths of the node's metadata pods may read. */
#pragma once

#include <stdbool.h>

#define METADATA_PATH_SIZE 512

/*
 * below: what follows the version in a normalised path, without a slash at its end; slash: it had one. allow: paths below
 * the version, the whole tree below one that ends with a slash; NULL ends it; NULL: none. True: *ret is what podcred fetch
 * is asked for, which checks it again. Never what holds credentials, or bootstrap secrets, whatever allow says; nor what is
 * spelled in a way that the real service might read as something else.
 */
bool agent_metadata_path(const char *const *allow, const char *below, bool slash,
			 char ret[METADATA_PATH_SIZE]);
