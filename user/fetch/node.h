/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The node's own credentials, with which STS and EKS Auth are asked. Of the places where they may be (config), the first
 * that has some is used. They are refreshed ahead, and the old ones are used while they live.
 */
#pragma once

#include <stdbool.h>

#include "fetch/cache.h"

struct fetch_env;
struct fetch_node;
struct pc_err;

/* env outlives the node; its member node need not be set yet. said: one line, whenever they come from another place, and
 * what goes wrong in getting them. -ENOMEM and the like. */
int fetch_node_new(const struct fetch_env *env, void (*said)(void *arg, bool bad, const char *line),
		   void *arg, struct fetch_node **ret);

/* Returns NULL; NULL is fine. */
struct fetch_node *fetch_node_free(struct fetch_node *node);

/* As fetch_cache_ask(). */
bool fetch_node_ask(struct fetch_node *node, fetch_answer_fn *done, void *arg,
		    struct fetch_answer *ret, struct fetch_wait **ret_wait);

/* AWS has refused these: other ones are got, if there are any. */
void fetch_node_reject(struct fetch_node *node, const char *access_key_id);

/* STS has said that they are those of a role, and that roles assumed with them last an hour at most. It is
 * remembered until they come from another place. */
void fetch_node_set_chained(struct fetch_node *node);
bool fetch_node_is_chained(const struct fetch_node *node);
