/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What this kernel can do, found by trying it, and what a load did without. Nothing in this module
 * prints; errors come as -errno and one line in struct pc_err.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "kernel/status.h"

/* In the order in which they are listed. */
enum kern_feature_id {
	FEATURE_BTF,
	FEATURE_CONNECT4,
	FEATURE_CONNECT6,
	FEATURE_SENDMSG,
	FEATURE_SOCKOPS,
	FEATURE_GETSOCKOPT,
	FEATURE_SK_STORAGE,
	FEATURE_TCP_SOCK,
	FEATURE_ANCESTOR_CGROUP_ID,
	FEATURE_NETNS_COOKIE,
	FEATURE_CGROUP_LINK,
	FEATURE_RING_BUFFER,
	FEATURE_SET_RETVAL,
	FEATURE_GETPEERNAME,
	FEATURE_CGROUP_EGRESS,
	FEATURE_CGROUP_INGRESS,
	FEATURE_NETFILTER_LINK,
	FEATURE_TCX,
	FEATURE_TC,
	FEATURE_CGROUP_TRACING,
	FEATURE_PATH,
	FEATURE_MAX
};

struct kern_feature {
	const char *name;
	const char *since; /* kernel that brought it */
	const char *without; /* what is lost, or "required" */
	bool required;
	bool present;
	bool unknown; /* not present as far as this process may try; the kernel may well have it */
	bool spare; /* another feature does its work: nothing is lost without it */
	char why[160]; /* why not, "" when present */
};

/* Tries each feature for real, once. Returns the table, by id, valid for the process's life. */
const struct kern_feature *kern_features(size_t *ret_n);

/* Do without an optional feature, as on a kernel that lacks it. To be called before anything else
 * here. -EINVAL: no such feature, or a required one. */
int kern_features_without(const char *name, struct pc_err *err);

struct kern_loss {
	const char *feature, *lost;
};

/* What the load of this status did without, where something is lost by it. */
#define KERN_MAX_LOSSES 16
size_t kern_losses(const struct kern_status *status, struct kern_loss ret[KERN_MAX_LOSSES]);
bool kern_did_without(const struct kern_status *status, enum kern_feature_id id);
