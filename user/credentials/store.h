/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The associations that are in force, and where they come from. Code that answers requests takes a
 * table and looks things up in it; the rest is for code that reloads. Any thread may call these
 * functions, except reload and reread: one thread at a time.
 */
#pragma once

#include "credentials/associations.h"

struct cred_store;

/* path: of the associations file. fd: that file, opened by one who may; 0: the path is opened. */
int cred_store_open(const char *path, int fd, struct cred_store **ret, struct pc_err *err);

/* NULL is fine. Tables that were taken stay. */
void cred_store_close(struct cred_store *store);

/* Whole new associations or, on error, the old ones. path may be NULL: the file from before; any
 * other path becomes that file once it was read. */
int cred_store_reload(struct cred_store *store, const char *path, struct pc_err *err);

/* The same from a descriptor, for a process that may not open the file itself. */
int cred_store_reread(struct cred_store *store, int fd, struct pc_err *err);

/* The table of this moment, to be given back with cred_table_unref(). */
struct cred_table *cred_store_table(struct cred_store *store);

size_t cred_store_count(struct cred_store *store);

/* Others than root and this process could read the file when it was last read: worth a warning. */
bool cred_store_exposed(const struct cred_store *store);
