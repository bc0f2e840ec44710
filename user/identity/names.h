/* SPDX-License-Identifier: Apache-2.0 */
/* The complete answer of one source to "which pods exist?", indexed. Immutable once built. */
#pragma once

#include <stddef.h>

#include "identity/pod.h"

struct pc_err;
struct name_table;

/* Copies the list. -EINVAL: a pod without uid; -EEXIST: one uid, two identities; -ENOMEM. */
int name_table_new(const struct pod_name *pods, size_t n, struct name_table **ret,
		   struct pc_err *err);

struct name_table *name_table_free(struct name_table *table);

/*
 * The pod that a cgroup of this uid is, or NULL. A static pod's cgroup carries the config hash where
 * the API has another uid, or the uid that its manifest has, so the hashes of mirror pods are looked
 * up too, when no pod has that uid; a hash that two different pods claim names nobody.
 */
const struct pod_name *name_table_find(const struct name_table *table, const char *uid);
