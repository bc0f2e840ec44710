/* SPDX-License-Identifier: Apache-2.0 */
/* Where podcred fetch answers what podcred serve asks. */
#pragma once

#include "base/err.h"

struct fetch;
struct fetch_metadata;
struct kube_client;
struct upstream;
struct upstream_message;

struct fetch_desk;

struct fetch_desk_options {
	struct fetch *fetch;
	struct fetch_metadata *metadata;
	struct kube_client *kube; /* NULL: tokens cannot be reviewed */
	const char *audience; /* of tokens that are reviewed */
	const char *sts_audience; /* of those for STS, beside that */
	struct upstream *const *upstream; /* where answers go; it is made later than this */
};

/* What the options point to has to outlive it. -ENOMEM. */
int daemon_desk_new(const struct fetch_desk_options *options, struct fetch_desk **ret);

/* Returns NULL; NULL is fine. */
struct fetch_desk *daemon_desk_free(struct fetch_desk *desk);

/* A question, or a notice. */
void daemon_desk_message(struct fetch_desk *desk, const struct upstream_message *m);

/* Whoever asked is gone: nothing of what is still open will be answered. */
void daemon_desk_reset(struct fetch_desk *desk);
