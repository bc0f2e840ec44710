/* SPDX-License-Identifier: Apache-2.0 */
/* Internal to user/credentials: one PodIdentityRolePolicy, as rights_read.c reads it and rights.c decides by it. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/keyed.h"
#include "credentials/rights.h"
#include "yaml/tree.h"

/* arn:PARTITION:iam::ACCOUNT:role/PATH, each with asterisks. */
struct rights_pattern {
	char *text; /* has the three */
	const char *partition, *account, *path;
};

struct rights_patterns {
	struct rights_pattern *list;
	size_t n;
};

enum rights_operator { RIGHTS_IN, RIGHTS_NOT_IN, RIGHTS_EXISTS, RIGHTS_DOES_NOT_EXIST };

struct rights_requirement {
	const char *key;
	enum rights_operator operator;
	const char **values;
	size_t n_values;
};

struct cred_role_policy {
	struct keyed key; /* its name, in name */
	char *name, *spec;
	char uid[CRED_UID_SIZE];
	struct yml_tree *tree; /* has the texts */
	const char **namespaces;
	size_t n_namespaces;
	bool selects; /* namespaceSelector is there; without requirements it matches each namespace */
	struct rights_requirement *requirements;
	size_t n_requirements, room;
	struct rights_patterns roles, targets;
	bool limits_targets; /* targetRoleArns is there */
};
