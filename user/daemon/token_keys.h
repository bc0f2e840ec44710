/* SPDX-License-Identifier: Apache-2.0 */
/* The cluster's keys from a file, for an agent that verifies tokens of pods and has nobody to ask for keys. */
#pragma once

struct agent_server;
struct config_credentials;
struct pc_err;

/* Reads path, which is trusted from now on, with issuers and audience as the configuration has them. Says in the log
 * what it has. On error what was there before stays, and err has file, cause and next step. */
int daemon_token_keys_read(struct agent_server *server, const char *path,
			   const struct config_credentials *config, struct pc_err *err);
