/* SPDX-License-Identifier: Apache-2.0 */
/* The associations file: which service account gets which role, and its keys. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <time.h>

#include "err.h"

/* Field names follow the file's keys; every string is validated, and wiped with the table. */
struct static_keys {
	const char *access_key_id;
	const char *secret_access_key;
	const char *session_token;
	const char *expiration; /* NULL: none given */
};

struct association {
	const char *namespace;
	const char *service_account;
	const char *role;
	const char *account_id; /* NULL: none given */
	struct static_keys keys;
	time_t expires; /* keys.expiration as a number; not from the file directly */
	unsigned line; /* in the file */
};

/* Immutable once loaded, counted, shared between threads. */
struct association_table;

/*
 * -errno with err filled: file, line, key, what to do. No value of the file is quoted in it.
 * *ret_exposed (may be NULL): users besides root and this process's may read the file.
 */
int association_table_load(const char *path, struct association_table **ret, bool *ret_exposed,
			   struct pc_err *err);

/* Same from a descriptor, read from where it stands; path stands for the file in messages. */
int association_table_read(int fd, const char *path, struct association_table **ret,
			   bool *ret_exposed, struct pc_err *err);

/* Same from memory; name stands for the file in messages. */
int association_table_parse(const char *name, const char *text, size_t len,
			    struct association_table **ret, struct pc_err *err);

struct association_table *association_table_ref(struct association_table *t);
void association_table_unref(struct association_table *t);

size_t association_table_count(const struct association_table *t);

/* NULL: none. Exact match only, there are no wildcards. */
const struct association *association_find(const struct association_table *t, const char *namespace,
					   const char *service_account);
