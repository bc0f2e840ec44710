// SPDX-License-Identifier: Apache-2.0
#include "identity/registry.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "base/keyed.h"
#include "identity/names.h"

struct pod_entry {
	struct pod_ident pod;
	struct pod_entry *next; /* of the same uid */
	bool recalled; /* its names are those of an earlier registry */
	bool claimed; /* its names are those of a mirror pod that says it is this one */
	bool in_sink; /* the sink has exactly this */
	bool seen; /* since registry_mark */
	bool gone; /* directory removed; the record waits for its time, or for the sink */
	bool gone_timed;
	uint64_t gone_ns;
};

/* The cgroups of one uid. */
struct family {
	struct keyed uid; /* the first one's */
	struct pod_entry *first;
};

/* Entries are sorted by id. Kernel ids grow, so a new one goes to the end as a rule. */
struct registry {
	struct identity_sink sink;
	struct pod_entry **entries;
	size_t n, room;
	void *families;
	struct name_table *names;
	bool forgets; /* names come as a whole: who is not among them has none */
	bool complete; /* all pods were told of once */
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
	if (name_table_new(&reg->names) < 0) {
		free(reg);
		return -ENOMEM;
	}
	reg->sink = *sink;
	reg->generation = generation;
	*ret = reg;
	return 0;
}

static void free_entry(struct pod_entry *entry)
{
	pod_labels_unref(entry->pod.labels);
	free(entry);
}

struct registry *registry_free(struct registry *reg)
{
	if (!reg)
		return NULL;
	tdestroy(reg->families, free);
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
	       a->asks == b->asks && a->before == b->before &&
	       pod_labels_same(a->labels, b->labels) && strcmp(a->uid, b->uid) == 0 &&
	       strcmp(a->name_space, b->name_space) == 0 && strcmp(a->name, b->name) == 0 &&
	       strcmp(a->service_account, b->service_account) == 0;
}

/* ---- the cgroups of a uid ---- */

static struct pod_entry *first_of(const struct registry *reg, const char *uid)
{
	const struct family *family = keyed_find(&reg->families, uid);

	return family ? family->first : NULL;
}

static int join_family(struct registry *reg, struct pod_entry *entry)
{
	struct family *family = keyed_find(&reg->families, entry->pod.uid);

	if (!family) {
		family = calloc(1, sizeof(*family));
		if (!family)
			return -ENOMEM;
		family->uid.key = entry->pod.uid;
		if (keyed_add(&reg->families, family) < 0) {
			free(family);
			return -ENOMEM;
		}
	}
	entry->next = family->first;
	family->first = entry;
	family->uid.key = entry->pod.uid;
	return 0;
}

static void leave_family(struct registry *reg, const struct pod_entry *entry)
{
	struct family *family = keyed_find(&reg->families, entry->pod.uid);
	struct pod_entry **link = &family->first;

	while (*link != entry)
		link = &(*link)->next;
	*link = entry->next;
	if (family->first) {
		family->uid.key = family->first->pod.uid;
		return;
	}
	keyed_remove(&reg->families, family);
	free(family);
}

/* ---- cgroups and names ---- */

static bool is_named_as(const struct pod_ident *pod, const struct pod_name *name)
{
	return pod->host_network == name->host_network &&
	       strcmp(pod->name_space, name->name_space) == 0 &&
	       strcmp(pod->name, name->name) == 0 &&
	       strcmp(pod->service_account, name->service_account) == 0;
}

/* Whether the names that the cgroup has are its own, whatever a source says. */
static bool is_settled(const struct registry *reg, const struct pod_entry *entry)
{
	return entry->pod.named && !entry->recalled && !reg->forgets;
}

/*
 * Anybody who may create pods may write that one is the mirror of another. So a claim counts only once
 * all pods are known, and never against what the cgroup was called before.
 */
static bool may_claim(const struct registry *reg, const struct pod_entry *entry,
		      const struct pod_name *name)
{
	return reg->complete && (!entry->recalled || is_named_as(&entry->pod, name));
}

/* Whether the name is, or becomes, the cgroup's. */
static bool is_right(const struct registry *reg, const struct pod_entry *entry,
		     const struct pod_name *name)
{
	bool own = strcmp(name->uid, entry->pod.uid) == 0;

	if (!own && !may_claim(reg, entry, name))
		return false;
	return !is_settled(reg, entry) || (own && entry->claimed) || is_named_as(&entry->pod, name);
}

static void take_name(struct pod_ident *pod, const struct pod_name *name)
{
	pod->named = true;
	pod->host_network = name->host_network;
	pod->labels_known = name->labels_known;
	pod->asks = name->asks;
	pod->before = 0;
	pod->labels = name->labels;
	memcpy(pod->name_space, name->name_space, sizeof(pod->name_space));
	memcpy(pod->name, name->name, sizeof(pod->name));
	memcpy(pod->service_account, name->service_account, sizeof(pod->service_account));
}

static void drop_name(struct pod_ident *pod)
{
	pod->named = pod->host_network = pod->labels_known = false;
	pod->asks = 0;
	pod->before = 0;
	pod->labels = NULL;
	memset(pod->name_space, 0, sizeof(pod->name_space));
	memset(pod->name, 0, sizeof(pod->name));
	memset(pod->service_account, 0, sizeof(pod->service_account));
}

/* As it should be, by what is known of its name. */
static void rename_pod(const struct registry *reg, struct pod_entry *entry, struct pod_ident *pod)
{
	struct pod_name name;
	bool known = name_table_find(reg->names, entry->pod.uid, &name);

	if (known && is_right(reg, entry, &name)) {
		take_name(pod, &name);
		entry->recalled = false;
		entry->claimed = strcmp(name.uid, pod->uid) != 0;
	} else if (!known && reg->forgets && !entry->gone) {
		/* The list forgets a pod before its connections are over: the grace time is for its
		 * name. */
		drop_name(pod);
	}
}

/* Bring the entry up to date with the names and tell the sink if that changes anything. */
static int refresh(struct registry *reg, struct pod_entry *entry)
{
	struct pod_ident pod = entry->pod;
	int r;

	rename_pod(reg, entry, &pod);
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

static int refresh_all(struct registry *reg)
{
	int first = 0;

	for (size_t i = 0; i < reg->n; i++)
		keep_first(&first, refresh(reg, reg->entries[i]));
	return first;
}

static void refresh_uid(struct registry *reg, const char *uid)
{
	for (struct pod_entry *entry = first_of(reg, uid); entry; entry = entry->next)
		refresh(reg, entry);
}

int registry_flush(struct registry *reg)
{
	int first = 0;

	for (size_t i = 0; i < reg->n; i++)
		if (!reg->entries[i]->in_sink)
			keep_first(&first, refresh(reg, reg->entries[i]));
	return first;
}

size_t registry_count_refused(const struct registry *reg)
{
	size_t n = 0;

	for (size_t i = 0; i < reg->n; i++)
		n += !reg->entries[i]->in_sink;
	return n;
}

int registry_rewrite(struct registry *reg, bool (*stale)(void *arg, const struct pod_ident *pod),
		     void *arg)
{
	for (size_t i = 0; i < reg->n; i++)
		if (stale(arg, &reg->entries[i]->pod))
			reg->entries[i]->in_sink = false;
	return registry_flush(reg);
}

/* ---- names ---- */

static int refuse_other(const struct pod_ident *known, const struct pod_name *pod,
			struct pc_err *err)
{
	return pc_err_set(
		err, -EEXIST,
		"pod uid %s is %s/%s with service account \"%s\", and cannot become %s/%s "
		"with service account \"%s\"; it stays what it was",
		pod->uid, known->name_space, known->name, known->service_account, pod->name_space,
		pod->name, pod->service_account);
}

int registry_put_name(struct registry *reg, const struct pod_name *pod, struct pc_err *err)
{
	int r;

	for (const struct pod_entry *entry = first_of(reg, pod->uid); entry; entry = entry->next)
		if (is_settled(reg, entry) && !entry->claimed && !is_named_as(&entry->pod, pod))
			return refuse_other(&entry->pod, pod, err);
	r = name_table_put(reg->names, pod, err);
	if (r < 0)
		return r;
	refresh_uid(reg, pod->uid);
	if (pod->config_hash[0])
		refresh_uid(reg, pod->config_hash);
	return 0;
}

int registry_names_complete(struct registry *reg)
{
	if (reg->complete)
		return 0;
	reg->complete = true;
	return refresh_all(reg);
}

void registry_remove_name(struct registry *reg, const char *uid)
{
	struct pod_name name;

	if (!name_table_find(reg->names, uid, &name) || strcmp(name.uid, uid) != 0)
		return;
	name_table_remove(reg->names, uid);
	if (name.config_hash[0]) /* two may have claimed to be that pod, and now it is one */
		refresh_uid(reg, name.config_hash);
}

bool registry_find_name(const struct registry *reg, const char *uid, struct pod_name *ret)
{
	return name_table_find(reg->names, uid, ret);
}

size_t registry_count_running(const struct registry *reg)
{
	return name_table_count_running(reg->names);
}

static void cleanup_names(struct name_table **names)
{
	name_table_free(*names);
}

int registry_set_names(struct registry *reg, const struct pod_name *pods, size_t n,
		       struct pc_err *err)
{
	_cleanup_(cleanup_names) struct name_table *names = NULL;
	int r = name_table_new(&names);

	if (r < 0)
		pc_err_set(err, r, "no memory for the names of %zu pods", n);
	for (size_t i = 0; r == 0 && i < n; i++)
		r = name_table_put(names, &pods[i], err);
	if (r < 0)
		return r;
	name_table_free(reg->names);
	reg->names = TAKE_PTR(names);
	reg->forgets = reg->complete = true;
	r = refresh_all(reg);
	if (r < 0)
		pc_err_set(err, r, "cannot pass on the names of all pods: %s", strerror(-r));
	return r;
}

/* ---- cgroups ---- */

static int insert_at(struct registry *reg, size_t i, struct pod_entry *entry)
{
	if (reg->n == reg->room) {
		size_t room = reg->room ? reg->room * 2 : 64;
		struct pod_entry **grown = reallocarray(reg->entries, room, sizeof(*grown));

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
	struct pod_entry *entry = reg->entries[i];
	int r = reg->sink.remove(reg->sink.arg, entry->pod.cgroup_id);

	entry->gone = true;
	if (r < 0 && r != -ENOENT)
		return r;
	leave_family(reg, entry);
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
	struct pod_entry *entry = reg->entries[i];

	if (strcmp(entry->pod.uid, uid) != 0) {
		forget_at(reg, i);
		return -EEXIST;
	}
	entry->seen = true;
	entry->gone = entry->gone_timed = false;
	return refresh(reg, entry);
}

/* Takes the entry if that succeeds. */
static int insert(struct registry *reg, struct pod_entry *entry)
{
	size_t i = lower_bound(reg, entry->pod.cgroup_id);
	int r = join_family(reg, entry);

	if (r < 0)
		return r;
	r = insert_at(reg, i, entry);
	if (r < 0)
		leave_family(reg, entry);
	return r;
}

static int make_entry(uint64_t id, const char *uid, bool is_static, struct pod_entry **ret)
{
	size_t len = strlen(uid);
	struct pod_entry *entry;

	if (id == 0 || len == 0 || len >= sizeof(entry->pod.uid))
		return -EINVAL;
	entry = calloc(1, sizeof(*entry));
	if (!entry)
		return -ENOMEM;
	entry->pod.cgroup_id = id;
	entry->pod.is_static = is_static;
	memcpy(entry->pod.uid, uid, len + 1);
	*ret = entry;
	return 0;
}

int registry_add_cgroup(struct registry *reg, uint64_t id, const char *uid, bool is_static)
{
	size_t i = lower_bound(reg, id);
	_cleanup_free_ struct pod_entry *entry = NULL;
	int r;

	if (is_at(reg, i, id))
		return add_again(reg, i, uid);
	r = make_entry(id, uid, is_static, &entry);
	if (r < 0)
		return r;
	entry->seen = true;
	r = insert(reg, entry);
	return r < 0 ? r : refresh(reg, TAKE_PTR(entry));
}

int registry_recall(struct registry *reg, const struct pod_ident *pod)
{
	_cleanup_free_ struct pod_entry *entry = NULL;
	int r;

	if (!pod->named || registry_find(reg, pod->cgroup_id))
		return 0;
	r = make_entry(pod->cgroup_id, pod->uid, pod->is_static, &entry);
	if (r < 0)
		return r;
	entry->pod = *pod;
	entry->recalled = entry->in_sink = true;
	r = insert(reg, entry);
	if (r < 0)
		return r;
	TAKE_PTR(entry);
	return 0;
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
		struct pod_entry *entry = reg->entries[i];

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
