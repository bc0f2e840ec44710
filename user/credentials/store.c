// SPDX-License-Identifier: Apache-2.0
#include "credentials/store.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

struct cred_store {
	pthread_mutex_t lock; /* for the pointer; the table itself never changes */
	struct cred_table *table;
	char *path;
	atomic_bool exposed;
};

int cred_store_open(const char *path, int fd, struct cred_store **ret, struct pc_err *err)
{
	struct cred_store *store = calloc(1, sizeof(*store));
	bool exposed = false;
	int r;

	if (store)
		store->path = strdup(path);
	if (!store || !store->path) {
		free(store);
		return pc_err_set(err, -ENOMEM, "out of memory");
	}
	pthread_mutex_init(&store->lock, NULL);
	r = fd ? cred_table_read(fd, path, &store->table, &exposed, err)
	       : cred_table_load(path, &store->table, &exposed, err);
	if (r < 0) {
		cred_store_close(store);
		return r;
	}
	atomic_store(&store->exposed, exposed);
	*ret = store;
	return 0;
}

void cred_store_close(struct cred_store *store)
{
	if (!store)
		return;
	cred_table_unref(store->table);
	pthread_mutex_destroy(&store->lock);
	free(store->path);
	free(store);
}

static void replace(struct cred_store *store, struct cred_table *table, bool exposed)
{
	struct cred_table *old;

	pthread_mutex_lock(&store->lock);
	old = store->table;
	store->table = table;
	pthread_mutex_unlock(&store->lock);
	cred_table_unref(old);
	atomic_store(&store->exposed, exposed);
}

int cred_store_reload(struct cred_store *store, const char *path, struct pc_err *err)
{
	char *copy = strdup(path ?: store->path);
	struct cred_table *table;
	bool exposed;
	int r;

	if (!copy)
		return pc_err_set(err, -ENOMEM, "out of memory");
	r = cred_table_load(copy, &table, &exposed, err);
	if (r < 0) {
		free(copy);
		return r;
	}
	replace(store, table, exposed);
	free(store->path);
	store->path = copy;
	return 0;
}

int cred_store_reread(struct cred_store *store, int fd, struct pc_err *err)
{
	struct cred_table *table;
	bool exposed;
	int r = cred_table_read(fd, store->path, &table, &exposed, err);

	if (r == 0)
		replace(store, table, exposed);
	return r;
}

struct cred_table *cred_store_table(struct cred_store *store)
{
	struct cred_table *table;

	pthread_mutex_lock(&store->lock);
	table = cred_table_ref(store->table);
	pthread_mutex_unlock(&store->lock);
	return table;
}

size_t cred_store_count(struct cred_store *store)
{
	struct cred_table *table = cred_store_table(store);
	size_t count = cred_table_count(table);

	cred_table_unref(table);
	return count;
}

bool cred_store_exposed(const struct cred_store *store)
{
	return atomic_load(&store->exposed);
}
