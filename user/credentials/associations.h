/* SPDX-License-Identifier: Apache-2.0 */
/* The associations file: which service account gets which role, and its keys. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <time.h>

#include "base/err.h"

/* Field names follow the file's keys; every string is validated, and wiped with the table. */
struct static_keys {
	const char *access_key_id;
	const char *secret_access_key;
	const char *session_token;
	const char *expiration; /* NULL: none given */
};

struct cred_association {
	const char *namespace;
	const char *service_account;
	const char *role;
	const char *account_id; /* NULL: none given */
	struct static_keys keys;
	time_t expires; /* keys.expiration as a number; not from the file directly */
	unsigned line; /* in the file */
};

/* Immutable once loaded, counted, shared between threads. */
struct cred_table;

/*
 * -errno with err filled: file, line, key, what to do. No value of the file is quoted in it.
 * *ret_exposed (may be NULL): users besides root and this process's may read the file.
 */
int cred_table_load(const char *path, struct cred_table **ret, bool *ret_exposed,
		    struct pc_err *err);

/* Same from a descriptor, read from where it stands; path stands for the file in messages. */
int cred_table_read(int fd, const char *path, struct cred_table **ret, bool *ret_exposed,
		    struct pc_err *err);

/* Same from memory; name stands for the file in messages. */
int cred_table_parse(const char *name, const char *text, size_t len, struct cred_table **ret,
		     struct pc_err *err);

struct cred_table *cred_table_ref(struct cred_table *t);
void cred_table_unref(struct cred_table *t);

size_t cred_table_count(const struct cred_table *t);

/* NULL: none. Exact match only, there are no wildcards. */
const struct cred_association *cred_table_find(const struct cred_table *t, const char *namespace,
					       const char *service_account);
