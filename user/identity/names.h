/* SPDX-License-Identifier: Apache-2.0 */
/* What one source says of the pods that exist, found by uid. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "identity/pod.h"

struct pc_err;
struct name_table;

/* 0 or -ENOMEM. */
int name_table_new(struct name_table **ret);
struct name_table *name_table_free(struct name_table *table);

/*
 * Copies the pod. A uid that is known is updated, but it never becomes another pod's: with another
 * name, service account, network or hash it is refused, -EEXIST, and what was known stays. -EINVAL: no
 * uid; -ENOMEM.
 */
int name_table_put(struct name_table *table, const struct pod_name *pod, struct pc_err *err);
void name_table_remove(struct name_table *table, const char *uid);

/*
 * The pod that a cgroup of this uid is; its labels stay the table's. False: none. A static pod's cgroup carries the config hash where
 * the API has another uid, or the uid that its manifest has, so the hashes of mirror pods are looked
 * up too, when no pod has that uid; a hash that two different pods claim names nobody.
 */
bool name_table_find(const struct name_table *table, const char *uid, struct pod_name *ret);

/* How many of them run, by the source's word. */
size_t name_table_count_running(const struct name_table *table);
