/* SPDX-License-Identifier: Apache-2.0 */
/* The configuration, in the terms of credentials/. */
#pragma once

#include "credentials/choose.h"
#include "credentials/session.h"

struct config_credentials;

/* Both point into config. */
void fetch_rules(const struct config_credentials *config, struct cred_rules *rules,
		 struct cred_cluster *cluster);
