/* SPDX-License-Identifier: Apache-2.0 */
/* The section broker: of the configuration file: who may ask podcred broker. What it asks with is in credentials:. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/k8s_name.h"
#include "config/credentials.h"

struct config_account {
	char name_space[K8S_LABEL_SIZE];
	char name[K8S_SUBDOMAIN_SIZE];
};

#define CONFIG_MAX_ACCOUNTS 16

struct config_accounts {
	struct config_account v[CONFIG_MAX_ACCOUNTS];
	size_t n;
};

enum config_api_away {
	CONFIG_API_AWAY_REFUSE, /* nobody gets anything new while the API server cannot be asked */
	CONFIG_API_AWAY_KEYS, /* tokens are believed by the cluster's keys */
};

struct config_broker {
	bool given; /* the file has that section */
	struct config_accounts agents; /* service accounts of podcred's agents */
	struct config_accounts
		control; /* who may ask whether the role of an association can be had */
	char audience[256]; /* of their tokens: podcred-broker */
	enum config_api_away when_api_is_away;
	struct {
		char url[256]; /* iss of its tokens, as IAM takes it; empty: the broker issues none */
		char keys[CONFIG_PATH_SIZE]; /* file with private keys, PEM */
	} issuer;
};
