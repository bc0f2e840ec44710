// SPDX-License-Identifier: Apache-2.0
#include "identity/names.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/err.h"

struct name_table {
	struct pod_name *pods;
	const struct pod_name **by_uid, **by_hash; /* sorted; ties by uid */
	size_t n, n_hash;
};

struct name_table *name_table_free(struct name_table *table)
{
	if (table) {
		for (size_t i = 0; i < table->n; i++)
			pod_name_done(&table->pods[i]);
		free(table->pods);
		free(table->by_uid);
		free(table->by_hash);
		free(table);
	}
	return NULL;
}

static void cleanup_table(struct name_table **table)
{
	name_table_free(*table);
}

static int compare_uid(const void *a, const void *b)
{
	const struct pod_name *const *pa = a, *const *pb = b;

	return strcmp((*pa)->uid, (*pb)->uid);
}

static int compare_hash(const void *a, const void *b)
{
	const struct pod_name *const *pa = a, *const *pb = b;
	int r = strcmp((*pa)->config_hash, (*pb)->config_hash);

	return r ? r : compare_uid(a, b);
}

/* For the policy, too. */
static bool same_identity(const struct pod_name *a, const struct pod_name *b)
{
	return a->host_network == b->host_network && a->labels_known == b->labels_known &&
	       a->asks == b->asks && strcmp(a->name_space, b->name_space) == 0 &&
	       strcmp(a->name, b->name) == 0 &&
	       strcmp(a->service_account, b->service_account) == 0 &&
	       pod_labels_same(a->labels, b->labels);
}

static int check_uids(const struct name_table *table, struct pc_err *err)
{
	for (size_t i = 0; i < table->n; i++) {
		const struct pod_name *pod = table->by_uid[i],
				      *prev = i ? table->by_uid[i - 1] : pod;

		if (!pod->uid[0])
			return pc_err_set(
				err, -EINVAL,
				"pod %s/%s has no uid; take the list from the Kubernetes API, "
				"which gives every pod one",
				pod->name_space, pod->name);
		if (strcmp(pod->uid, prev->uid) == 0 &&
		    (!same_identity(pod, prev) || strcmp(pod->config_hash, prev->config_hash) != 0))
			return pc_err_set(
				err, -EEXIST,
				"pod uid %s is in the list twice, as %s/%s and as %s/%s with other "
				"fields; remove the wrong one",
				pod->uid, prev->name_space, prev->name, pod->name_space, pod->name);
	}
	return 0;
}

static void index_pods(struct name_table *table)
{
	for (size_t i = 0; i < table->n; i++) {
		const struct pod_name *pod = &table->pods[i];

		table->by_uid[i] = pod;
		if (pod->config_hash[0])
			table->by_hash[table->n_hash++] = pod;
	}
	qsort(table->by_uid, table->n, sizeof(*table->by_uid), compare_uid);
	qsort(table->by_hash, table->n_hash, sizeof(*table->by_hash), compare_hash);
}

int name_table_new(const struct pod_name *pods, size_t n, struct name_table **ret,
		   struct pc_err *err)
{
	_cleanup_(cleanup_table) struct name_table *table = calloc(1, sizeof(*table));
	int r;

	if (!table)
		return pc_err_set(err, -ENOMEM, "no memory for the names of %zu pods", n);
	if (n) {
		table->pods = reallocarray(NULL, n, sizeof(*table->pods));
		table->by_uid = reallocarray(NULL, n, sizeof(*table->by_uid));
		table->by_hash = reallocarray(NULL, n, sizeof(*table->by_hash));
		if (!table->pods || !table->by_uid || !table->by_hash)
			return pc_err_set(err, -ENOMEM, "no memory for the names of %zu pods", n);
		for (; table->n < n; table->n++)
			pod_name_copy(&table->pods[table->n], &pods[table->n]);
		index_pods(table);
	}
	r = check_uids(table, err);
	if (r == 0)
		*ret = TAKE_PTR(table);
	return r;
}

/* First of those with this hash; NULL when they are not all the same pod. */
static const struct pod_name *find_hash(const struct name_table *table, const char *hash)
{
	size_t low = 0, high = table->n_hash;
	const struct pod_name *found = NULL;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (strcmp(table->by_hash[mid]->config_hash, hash) < 0)
			low = mid + 1;
		else
			high = mid;
	}
	for (size_t i = low; i < table->n_hash; i++) {
		const struct pod_name *pod = table->by_hash[i];

		if (strcmp(pod->config_hash, hash) != 0)
			break;
		if (found && !same_identity(found, pod))
			return NULL;
		if (!found)
			found = pod;
	}
	return found;
}

const struct pod_name *name_table_find(const struct name_table *table, const char *uid)
{
	struct pod_name key;
	const struct pod_name *keyp = &key, **found;

	if (!table->n || strlen(uid) >= sizeof(key.uid))
		return NULL;
	strcpy(key.uid, uid);
	found = bsearch(&keyp, table->by_uid, table->n, sizeof(*table->by_uid), compare_uid);
	return found ? *found : find_hash(table, uid);
}
