/* SPDX-License-Identifier: Apache-2.0 */
/* Secrets in values of the JSON library. */
#pragma once

#include <jansson.h>
#include <stdlib.h>

#include "base/secret.h"

/* For the whole process, before any thread starts: the library's memory is wiped when it is freed. Doing so again is fine. */
static inline void secret_json_wipe(void)
{
	json_set_alloc_funcs(malloc, secret_wiping_free);
}
