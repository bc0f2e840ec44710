/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Inside of user/config: the configuration file as a tree of YAML nodes, walked one by one, since
 * each complaint names its line. Every function returns 0, or -EINVAL with err filled.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <yaml.h>

#include "config.h"
#include "err.h"

struct reader {
	const char *path;
	yaml_document_t *doc;
	struct pc_err *err;
};

/* A key that a mapping may have, and what to do with its value. */
struct reader_key {
	const char *name;
	int (*read)(const struct reader *r, const yaml_node_t *value, void *target);
};

size_t reader_line(const yaml_node_t *node);

/* "FILE:LINE: ..." */
__attribute__((format(printf, 3, 4))) int reader_bad(const struct reader *r,
						     const yaml_node_t *node, const char *fmt, ...);

/* Text of a node, or NULL when it is none. */
const char *reader_scalar(const yaml_node_t *node);

/* Unknown and repeated keys are refused. At most 32 keys. */
int reader_mapping(const struct reader *r, const yaml_node_t *node, const struct reader_key *keys,
		   size_t n, void *target);

int reader_sequence(const struct reader *r, const yaml_node_t *node,
		    int (*item)(const struct reader *, const yaml_node_t *, void *), void *target);

/* 1 to max. */
int reader_number(const struct reader *r, const yaml_node_t *node, const char *what, uint64_t max,
		  uint64_t *ret);

/* One of the words; *ret is its index. Words may have holes (NULL). */
int reader_word(const struct reader *r, const yaml_node_t *node, const char *what,
		const char *const words[], size_t n, size_t *ret);

/* One rule of policy:, checked against those before it, and added; target is struct config. */
int config_policy_read(const struct reader *r, const yaml_node_t *node, void *target);
