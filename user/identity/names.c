// SPDX-License-Identifier: Apache-2.0
#include "identity/names.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "identity/keyed.h"

struct name {
	struct keyed uid;
	struct pod_name pod;
	struct name *next; /* with the same config hash */
};

/* All that claim to be the static pod of that hash. */
struct claim {
	struct keyed hash; /* always the first one's, which stays as long as it is the first */
	struct name *first;
};

struct name_table {
	void *names, *claims;
	size_t running;
};

int name_table_new(struct name_table **ret)
{
	struct name_table *table = calloc(1, sizeof(*table));

	if (!table)
		return -ENOMEM;
	*ret = table;
	return 0;
}

static void free_name(void *arg)
{
	struct name *name = arg;

	pod_name_done(&name->pod);
	free(name);
}

struct name_table *name_table_free(struct name_table *table)
{
	if (table) {
		tdestroy(table->claims, free);
		tdestroy(table->names, free_name);
		free(table);
	}
	return NULL;
}

bool name_table_is_same_identity(const struct pod_name *a, const struct pod_name *b)
{
	return a->host_network == b->host_network && strcmp(a->name_space, b->name_space) == 0 &&
	       strcmp(a->name, b->name) == 0 && strcmp(a->service_account, b->service_account) == 0;
}

/* ---- claims of static pods ---- */

static int claim(struct name_table *table, struct name *name)
{
	struct claim *claim = keyed_find(&table->claims, name->pod.config_hash);
	int r;

	if (!claim) {
		claim = calloc(1, sizeof(*claim));
		if (!claim)
			return -ENOMEM;
		claim->hash.key = name->pod.config_hash;
		r = keyed_add(&table->claims, claim);
		if (r < 0) {
			free(claim);
			return r;
		}
	}
	name->next = claim->first;
	claim->first = name;
	claim->hash.key = name->pod.config_hash;
	return 0;
}

static void withdraw(struct name_table *table, const struct name *name)
{
	struct claim *claim = keyed_find(&table->claims, name->pod.config_hash);
	struct name **link = &claim->first;

	while (*link != name)
		link = &(*link)->next;
	*link = name->next;
	if (claim->first) {
		claim->hash.key = claim->first->pod.config_hash;
		return;
	}
	keyed_remove(&table->claims, claim);
	free(claim);
}

/* For the policy, too. */
static bool is_same(const struct pod_name *a, const struct pod_name *b)
{
	return name_table_is_same_identity(a, b) && a->labels_known == b->labels_known &&
	       a->asks == b->asks && pod_labels_same(a->labels, b->labels);
}

/* NULL when they are not all the same pod. */
static const struct pod_name *find_hash(const struct name_table *table, const char *hash)
{
	const struct claim *claim = keyed_find(&table->claims, hash);

	if (!claim)
		return NULL;
	for (const struct name *name = claim->first->next; name; name = name->next)
		if (!is_same(&name->pod, &claim->first->pod))
			return NULL;
	return &claim->first->pod;
}

/* ---- names ---- */

static int check_uid(const struct pod_name *pod, struct pc_err *err)
{
	if (pod->uid[0])
		return 0;
	return pc_err_set(
		err, -EINVAL,
		"pod %s/%s has no uid; take the list from the Kubernetes API, which gives "
		"every pod one",
		pod->name_space, pod->name);
}

static int refuse(const struct pod_name *known, const struct pod_name *pod, struct pc_err *err)
{
	return pc_err_set(err, -EEXIST,
			  "pod uid %s is %s/%s with service account \"%s\", and %s/%s with service "
			  "account \"%s\"%s; a uid is one pod's, so only the first counts",
			  pod->uid, known->name_space, known->name, known->service_account,
			  pod->name_space, pod->name, pod->service_account,
			  known->host_network != pod->host_network ? " on another network" : "");
}

static int add(struct name_table *table, const struct pod_name *pod)
{
	struct name *name = calloc(1, sizeof(*name));
	int r;

	if (!name)
		return -ENOMEM;
	pod_name_copy(&name->pod, pod);
	name->uid.key = name->pod.uid;
	r = keyed_add(&table->names, name);
	if (r == 0 && pod->config_hash[0]) {
		r = claim(table, name);
		if (r < 0)
			keyed_remove(&table->names, name);
	}
	if (r < 0)
		free_name(name);
	else
		table->running += name->pod.running;
	return r;
}

int name_table_put(struct name_table *table, const struct pod_name *pod, struct pc_err *err)
{
	struct name *known = keyed_find(&table->names, pod->uid);
	int r = check_uid(pod, err);

	if (r < 0)
		return r;
	if (!known) {
		r = add(table, pod);
		return r < 0 ? pc_err_set(err, r, "no memory for the names of pods") : 0;
	}
	if (!name_table_is_same_identity(&known->pod, pod) ||
	    strcmp(known->pod.config_hash, pod->config_hash) != 0)
		return refuse(&known->pod, pod, err);
	table->running += (size_t)pod->running - (size_t)known->pod.running;
	pod_labels_unref(known->pod.labels);
	pod_name_copy(&known->pod, pod);
	return 0;
}

void name_table_remove(struct name_table *table, const char *uid)
{
	struct name *name = keyed_find(&table->names, uid);

	if (!name)
		return;
	if (name->pod.config_hash[0])
		withdraw(table, name);
	keyed_remove(&table->names, name);
	table->running -= name->pod.running;
	free_name(name);
}

const struct pod_name *name_table_find(const struct name_table *table, const char *uid)
{
	const struct name *name = keyed_find(&table->names, uid);

	return name ? &name->pod : find_hash(table, uid);
}

size_t name_table_count_running(const struct name_table *table)
{
	return table->running;
}
