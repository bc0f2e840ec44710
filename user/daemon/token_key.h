/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The key that IMDS session tokens are signed with. One that outlives the process keeps them valid across restarts:
 * most SDKs do not recover from a refused token within the call.
 */
#pragma once

#include <stdint.h>

#include "base/err.h"

#define DAEMON_TOKEN_KEY_SIZE 32 /* as the agent wants it */

/* The key in path, which is made with mode 0600 if it does not exist. NULL: one for this process. -errno. */
int daemon_token_key_read(const char *path, uint8_t ret[DAEMON_TOKEN_KEY_SIZE], struct pc_err *err);

/*
 * For an agent that may not write there: make the file if it does not exist, and have the agent's group read it
 * (mode 0440). The caller needs CAP_CHOWN, or to be in that group, as a container of a pod with its fsGroup is. -errno.
 */
int daemon_token_key_provide(const char *path, struct pc_err *err);
