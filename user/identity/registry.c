// SPDX-License-Identifier: Apache-2.0
#include "identity/registry.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "identity/names.h"

struct entry {
	struct pod_ident pod;
	bool in_sink; /* the sink has exactly this */
	bool seen; /* since registry_mark */
	bool gone; /* directory removed; the record waits for its time, or for the sink */
	bool gone_timed;
	uint64_t gone_ns;
};

/* Sorted by id. Kernel ids grow, so a new one goes to the end as a rule. */
struct registry {
	struct identity_sink sink;
	struct entry **entries;
	size_t n, room;
	struct name_table *names;
	uint64_t generation, grace_ns;
	uint64_t qos[2];
	bool qos_told;
};

static void keep_first(int *first, int r)
{
	if (r < 0 && *first == 0)
		*first = r;
}

int registry_new(const struct identity_sink *sink, uint64_t generation, struct registry **ret)
{
	struct registry *reg = calloc(1, sizeof(*reg));

	if (!reg)
		return -ENOMEM;
	if (name_table_new(NULL, 0, &reg->names, NULL) < 0) {
		free(reg);
		return -ENOMEM;
	}
	reg->sink = *sink;
	reg->generation = generation;
	*ret = reg;
	return 0;
}

static void free_entry(struct entry *entry)
{
	pod_labels_unref(entry->pod.labels);
	free(entry);
}

struct registry *registry_free(struct registry *reg)
{
	if (!reg)
		return NULL;
	for (size_t i = 0; i < reg->n; i++)
		free_entry(reg->entries[i]);
	free(reg->entries);
	name_table_free(reg->names);
	free(reg);
	return NULL;
}

/* Index of the first entry whose id is not below this one. */
static size_t lower_bound(const struct registry *reg, uint64_t id)
{
	size_t low = 0, high = reg->n;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (reg->entries[mid]->pod.cgroup_id < id)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

static bool is_at(const struct registry *reg, size_t i, uint64_t id)
{
	return i < reg->n && reg->entries[i]->pod.cgroup_id == id;
}

static bool same_record(const struct pod_ident *a, const struct pod_ident *b)
{
	return a->named == b->named && a->host_network == b->host_network &&
	       a->is_static == b->is_static && a->labels_known == b->labels_known &&
	       a->asks == b->asks && pod_labels_same(a->labels, b->labels) &&
	       strcmp(a->uid, b->uid) == 0 && strcmp(a->name_space, b->name_space) == 0 &&
	       strcmp(a->name, b->name) == 0 && strcmp(a->service_account, b->service_account) == 0;
}

/* Bring the entry up to date with the names and tell the sink if that changes anything. */
static int refresh(struct registry *reg, struct entry *entry)
{
	const struct pod_name *name = name_table_find(reg->names, entry->pod.uid);
	struct pod_ident pod = {
		.cgroup_id = entry->pod.cgroup_id,
		.is_static = entry->pod.is_static,
	};
	int r;

	memcpy(pod.uid, entry->pod.uid, sizeof(pod.uid));
	if (name) {
		pod.named = true;
		pod.host_network = name->host_network;
		pod.labels_known = name->labels_known;
		pod.asks = name->asks;
		pod.labels = name->labels;
		memcpy(pod.name_space, name->name_space, sizeof(pod.name_space));
		memcpy(pod.name, name->name, sizeof(pod.name));
		memcpy(pod.service_account, name->service_account, sizeof(pod.service_account));
	}
	/* The API forgets a pod before its connections are over: the grace time is for its name. */
	if (entry->gone && !pod.named)
		pod = entry->pod;
	if (entry->in_sink && same_record(&pod, &entry->pod))
		return 0;
	pod.generation = ++reg->generation;
	pod_labels_ref(pod.labels);
	pod_labels_unref(entry->pod.labels);
	entry->pod = pod;
	r = reg->sink.upsert(reg->sink.arg, &pod);
	entry->in_sink = r >= 0;
	return r < 0 ? r : 0;
}

int registry_flush(struct registry *reg)
{
	int first = 0;

	for (size_t i = 0; i < reg->n; i++)
		keep_first(&first, refresh(reg, reg->entries[i]));
	return first;
}

int registry_rewrite(struct registry *reg, bool (*stale)(void *arg, const struct pod_ident *pod),
		     void *arg)
{
	for (size_t i = 0; i < reg->n; i++)
		if (stale(arg, &reg->entries[i]->pod))
			reg->entries[i]->in_sink = false;
	return registry_flush(reg);
}

int registry_set_names(struct registry *reg, const struct pod_name *pods, size_t n,
		       struct pc_err *err)
{
	struct name_table *table;
	int r;

	r = name_table_new(pods, n, &table, err);
	if (r < 0)
		return r;
	name_table_free(reg->names);
	reg->names = table;
	r = registry_flush(reg);
	if (r < 0)
		pc_err_set(err, r, "cannot pass on the names of all pods: %s", strerror(-r));
	return r;
}

static int insert_at(struct registry *reg, size_t i, struct entry *entry)
{
	if (reg->n == reg->room) {
		size_t room = reg->room ? reg->room * 2 : 64;
		struct entry **grown = reallocarray(reg->entries, room, sizeof(*grown));

		if (!grown)
			return -ENOMEM;
		reg->entries = grown;
		reg->room = room;
	}
	memmove(&reg->entries[i + 1], &reg->entries[i], (reg->n - i) * sizeof(*reg->entries));
	reg->entries[i] = entry;
	reg->n++;
	return 0;
}

/* The sink first: an entry that it keeps must not be forgotten here. */
static int forget_at(struct registry *reg, size_t i)
{
	struct entry *entry = reg->entries[i];
	int r = reg->sink.remove(reg->sink.arg, entry->pod.cgroup_id);

	entry->gone = true;
	if (r < 0 && r != -ENOENT)
		return r;
	free_entry(entry);
	reg->n--;
	memmove(&reg->entries[i], &reg->entries[i + 1], (reg->n - i) * sizeof(*reg->entries));
	return 0;
}

static int remove_at(struct registry *reg, size_t i)
{
	if (reg->grace_ns == 0)
		return forget_at(reg, i);
	reg->entries[i]->gone = true;
	return 0;
}

static int add_again(struct registry *reg, size_t i, const char *uid)
{
	struct entry *entry = reg->entries[i];

	if (strcmp(entry->pod.uid, uid) != 0) {
		forget_at(reg, i);
		return -EEXIST;
	}
	entry->seen = true;
	entry->gone = entry->gone_timed = false;
	return refresh(reg, entry);
}

int registry_add_cgroup(struct registry *reg, uint64_t id, const char *uid, bool is_static)
{
	size_t i = lower_bound(reg, id), len = strlen(uid);
	_cleanup_free_ struct entry *entry = NULL;
	int r;

	if (id == 0 || len == 0 || len >= sizeof(entry->pod.uid))
		return -EINVAL;
	if (is_at(reg, i, id))
		return add_again(reg, i, uid);
	entry = calloc(1, sizeof(*entry));
	if (!entry)
		return -ENOMEM;
	entry->pod.cgroup_id = id;
	entry->pod.is_static = is_static;
	memcpy(entry->pod.uid, uid, len + 1);
	entry->seen = true;
	r = insert_at(reg, i, entry);
	return r < 0 ? r : refresh(reg, TAKE_PTR(entry));
}

int registry_remove_cgroup(struct registry *reg, uint64_t id)
{
	size_t i = lower_bound(reg, id);

	return is_at(reg, i, id) ? remove_at(reg, i) : 0;
}

void registry_mark(struct registry *reg)
{
	for (size_t i = 0; i < reg->n; i++)
		reg->entries[i]->seen = false;
}

/* Backwards, because an entry that goes moves those behind it. */
int registry_sweep(struct registry *reg)
{
	int first = 0;

	for (size_t i = reg->n; i-- > 0;)
		if (!reg->entries[i]->seen)
			keep_first(&first, remove_at(reg, i));
	return first;
}

int registry_set_qos(struct registry *reg, uint64_t burstable_id, uint64_t besteffort_id)
{
	int r;

	if (reg->qos_told && reg->qos[0] == burstable_id && reg->qos[1] == besteffort_id)
		return 0;
	r = reg->sink.qos ? reg->sink.qos(reg->sink.arg, burstable_id, besteffort_id) : 0;
	if (r < 0)
		return r;
	reg->qos[0] = burstable_id;
	reg->qos[1] = besteffort_id;
	reg->qos_told = true;
	return 0;
}

void registry_set_grace(struct registry *reg, uint64_t grace_ns)
{
	reg->grace_ns = grace_ns;
}

int registry_expire(struct registry *reg, uint64_t now_ns)
{
	int first = 0;

	for (size_t i = reg->n; i-- > 0;) {
		struct entry *entry = reg->entries[i];

		if (!entry->gone)
			continue;
		if (!entry->gone_timed) {
			entry->gone_timed = true;
			entry->gone_ns = now_ns;
		}
		if (now_ns - entry->gone_ns >= reg->grace_ns)
			keep_first(&first, forget_at(reg, i));
	}
	return first;
}

size_t registry_count(const struct registry *reg)
{
	return reg->n;
}

const struct pod_ident *registry_at(const struct registry *reg, size_t i)
{
	return i < reg->n ? &reg->entries[i]->pod : NULL;
}

const struct pod_ident *registry_find(const struct registry *reg, uint64_t id)
{
	size_t i = lower_bound(reg, id);

	return is_at(reg, i, id) ? &reg->entries[i]->pod : NULL;
}
