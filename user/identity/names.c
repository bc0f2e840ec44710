// SPDX-License-Identifier: Apache-2.0
#include "identity/names.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "base/keyed.h"

/* A struct pod_name, packed: a node may have thousands. */
struct name {
	struct keyed uid;
	const char *name_space, *name, *service_account, *config_hash; /* in text */
	struct name *next; /* with the same config hash */
	struct pod_labels *labels;
	bool host_network, running, labels_known;
	uint8_t asks;
	char text[]; /* begins with the uid */
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

	pod_labels_unref(name->labels);
	free(name);
}

/* ---- packing ---- */

/* Puts the string to *end, and *end behind it. */
static const char *put_text(char **end, const char *text)
{
	char *begin = *end;

	*end = stpcpy(begin, text) + 1;
	return begin;
}

/* What may change of a pod. */
static void set_state(struct name *name, const struct pod_name *pod)
{
	struct pod_labels *before = name->labels;

	name->running = pod->running;
	name->labels_known = pod->labels_known;
	name->asks = pod->asks;
	name->labels = pod_labels_ref(pod->labels);
	pod_labels_unref(before);
}

static struct name *pack(const struct pod_name *pod)
{
	size_t size = strlen(pod->uid) + strlen(pod->name_space) + strlen(pod->name) +
		      strlen(pod->service_account) + strlen(pod->config_hash) + 5;
	struct name *name = calloc(1, sizeof(*name) + size);
	char *end;

	if (!name)
		return NULL;
	end = name->text;
	name->uid.key = put_text(&end, pod->uid);
	name->name_space = put_text(&end, pod->name_space);
	name->name = put_text(&end, pod->name);
	name->service_account = put_text(&end, pod->service_account);
	name->config_hash = put_text(&end, pod->config_hash);
	name->host_network = pod->host_network;
	set_state(name, pod);
	return name;
}

static void unpack(const struct name *name, struct pod_name *ret)
{
	*ret = (struct pod_name){.host_network = name->host_network,
				 .running = name->running,
				 .labels_known = name->labels_known,
				 .asks = name->asks,
				 .labels = name->labels};
	strcpy(ret->uid, name->uid.key);
	strcpy(ret->name_space, name->name_space);
	strcpy(ret->name, name->name);
	strcpy(ret->service_account, name->service_account);
	strcpy(ret->config_hash, name->config_hash);
}

/* ---- table ---- */

struct name_table *name_table_free(struct name_table *table)
{
	if (table) {
		tdestroy(table->claims, free);
		tdestroy(table->names, free_name);
		free(table);
	}
	return NULL;
}

/* ---- claims of static pods ---- */

static int claim(struct name_table *table, struct name *name)
{
	struct claim *claim = keyed_find(&table->claims, name->config_hash);
	int r;

	if (!claim) {
		claim = calloc(1, sizeof(*claim));
		if (!claim)
			return -ENOMEM;
		claim->hash.key = name->config_hash;
		r = keyed_add(&table->claims, claim);
		if (r < 0) {
			free(claim);
			return r;
		}
	}
	name->next = claim->first;
	claim->first = name;
	claim->hash.key = name->config_hash;
	return 0;
}

static void withdraw(struct name_table *table, const struct name *name)
{
	struct claim *claim = keyed_find(&table->claims, name->config_hash);
	struct name **link = &claim->first;

	while (*link != name)
		link = &(*link)->next;
	*link = name->next;
	if (claim->first) {
		claim->hash.key = claim->first->config_hash;
		return;
	}
	keyed_remove(&table->claims, claim);
	free(claim);
}

/* For the policy, too. */
static bool is_same(const struct name *a, const struct name *b)
{
	return a->host_network == b->host_network && a->labels_known == b->labels_known &&
	       a->asks == b->asks && strcmp(a->name_space, b->name_space) == 0 &&
	       strcmp(a->name, b->name) == 0 &&
	       strcmp(a->service_account, b->service_account) == 0 &&
	       pod_labels_same(a->labels, b->labels);
}

/* NULL when they are not all the same pod. */
static const struct name *find_hash(const struct name_table *table, const char *hash)
{
	const struct claim *claim = keyed_find(&table->claims, hash);

	if (!claim)
		return NULL;
	for (const struct name *name = claim->first->next; name; name = name->next)
		if (!is_same(name, claim->first))
			return NULL;
	return claim->first;
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

static bool is_same_identity(const struct name *known, const struct pod_name *pod)
{
	return known->host_network == pod->host_network &&
	       strcmp(known->name_space, pod->name_space) == 0 &&
	       strcmp(known->name, pod->name) == 0 &&
	       strcmp(known->service_account, pod->service_account) == 0 &&
	       strcmp(known->config_hash, pod->config_hash) == 0;
}

static int refuse(const struct name *known, const struct pod_name *pod, struct pc_err *err)
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
	struct name *name = pack(pod);
	int r;

	if (!name)
		return -ENOMEM;
	r = keyed_add(&table->names, name);
	if (r == 0 && *name->config_hash) {
		r = claim(table, name);
		if (r < 0)
			keyed_remove(&table->names, name);
	}
	if (r < 0)
		free_name(name);
	else
		table->running += name->running;
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
	if (!is_same_identity(known, pod))
		return refuse(known, pod, err);
	table->running += (size_t)pod->running - (size_t)known->running;
	set_state(known, pod);
	return 0;
}

void name_table_remove(struct name_table *table, const char *uid)
{
	struct name *name = keyed_find(&table->names, uid);

	if (!name)
		return;
	if (*name->config_hash)
		withdraw(table, name);
	keyed_remove(&table->names, name);
	table->running -= name->running;
	free_name(name);
}

bool name_table_find(const struct name_table *table, const char *uid, struct pod_name *ret)
{
	const struct name *name = keyed_find(&table->names, uid) ?: find_hash(table, uid);

	if (name)
		unpack(name, ret);
	return name;
}

size_t name_table_count_running(const struct name_table *table)
{
	return table->running;
}
