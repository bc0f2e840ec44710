// SPDX-License-Identifier: Apache-2.0
/* MODULES: identity base */
/* Cgroups and names meet in the registry; the sink is an array. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "identity/registry.h"

#define UID_1 "00000000-0000-0000-0000-000000000001"
#define UID_2 "00000000-0000-0000-0000-000000000002"
#define UID_3 "00000000-0000-0000-0000-000000000003"
#define HASH  "2732ca68f6358eba7703fb6f82a25c94"

/* What the kernel's map would hold, and how often it was written. */
struct fake_map {
	struct pod_ident pods[16];
	size_t n;
	unsigned upserts, removes, qos_calls;
	uint64_t qos[2];
	uint64_t last_generation;
	int fail; /* every call returns this */
	bool count_only;
};

static struct fake_map map;
static struct registry *reg;
static struct pod_name found; /* what was looked up */

static struct pod_ident *in_map(uint64_t id)
{
	for (size_t i = 0; i < map.n; i++)
		if (map.pods[i].cgroup_id == id)
			return &map.pods[i];
	return NULL;
}

static int fake_upsert(void *arg, const struct pod_ident *pod)
{
	struct fake_map *m = arg;
	struct pod_ident *slot = in_map(pod->cgroup_id);

	m->upserts++;
	if (m->fail)
		return m->fail;
	assert_true(pod->generation > m->last_generation);
	m->last_generation = pod->generation;
	if (m->count_only)
		return 0;
	assert_true(slot || m->n < ARRAY_SIZE(m->pods));
	*(slot ? slot : &m->pods[m->n++]) = *pod;
	return 0;
}

static int fake_remove(void *arg, uint64_t id)
{
	struct fake_map *m = arg;
	struct pod_ident *slot = in_map(id);

	m->removes++;
	if (m->fail)
		return m->fail;
	if (!slot)
		return m->count_only ? 0 : -ENOENT;
	*slot = m->pods[--m->n];
	return 0;
}

static int fake_qos(void *arg, uint64_t burstable, uint64_t besteffort)
{
	struct fake_map *m = arg;

	m->qos_calls++;
	if (m->fail)
		return m->fail;
	m->qos[0] = burstable;
	m->qos[1] = besteffort;
	return 0;
}

static int setup(void **state)
{
	struct identity_sink sink = {fake_upsert, fake_remove, fake_qos, &map};

	(void)state;
	memset(&map, 0, sizeof(map));
	map.last_generation = 41;
	return registry_new(&sink, 41, &reg);
}

static int teardown(void **state)
{
	(void)state;
	reg = registry_free(reg);
	return 0;
}

static struct pod_name pod(const char *uid, const char *name_space, const char *name,
			   const char *service_account)
{
	struct pod_name p = {0};

	snprintf(p.uid, sizeof(p.uid), "%s", uid);
	snprintf(p.name_space, sizeof(p.name_space), "%s", name_space);
	snprintf(p.name, sizeof(p.name), "%s", name);
	snprintf(p.service_account, sizeof(p.service_account), "%s", service_account);
	return p;
}

static struct pod_name mirror(const char *uid, const char *name, const char *hash)
{
	struct pod_name p = pod(uid, "kube-system", name, "");

	snprintf(p.config_hash, sizeof(p.config_hash), "%s", hash);
	return p;
}

static int set_names(const struct pod_name *pods, size_t n)
{
	struct pc_err err = {""};
	int r = registry_set_names(reg, pods, n, &err);

	assert_int_equal(r < 0, err.msg[0] != '\0');
	assert_null(strchr(err.msg, '\n'));
	return r;
}

static void test_cgroup_first(void **state)
{
	struct pod_name names[] = {pod(UID_1, "shop", "web-0", "web")};

	(void)state;
	names[0].host_network = true;
	assert_int_equal(registry_add_cgroup(reg, 7, UID_1, false), 0);
	assert_non_null(in_map(7));
	assert_false(in_map(7)->named);
	assert_string_equal(in_map(7)->uid, UID_1);
	assert_string_equal(in_map(7)->name, "");
	assert_int_equal(in_map(7)->generation, 42);
	assert_int_equal(set_names(names, 1), 0);
	assert_true(in_map(7)->named && in_map(7)->host_network);
	assert_string_equal(in_map(7)->name_space, "shop");
	assert_string_equal(in_map(7)->name, "web-0");
	assert_string_equal(in_map(7)->service_account, "web");
	assert_int_equal(in_map(7)->generation, 43);
	/* The same again is no change. */
	assert_int_equal(set_names(names, 1), 0);
	assert_int_equal(registry_add_cgroup(reg, 7, UID_1, false), 0);
	assert_int_equal(registry_flush(reg), 0);
	assert_int_equal(map.upserts, 2);
	/* Gone from the list: the name goes, the pod stays. */
	assert_int_equal(set_names(NULL, 0), 0);
	assert_false(in_map(7)->named || in_map(7)->host_network);
	assert_string_equal(in_map(7)->service_account, "");
	assert_int_equal(map.upserts, 3);
	assert_int_equal(registry_remove_cgroup(reg, 7), 0);
	assert_int_equal(registry_remove_cgroup(reg, 7), 0);
	assert_true(map.n == 0 && map.removes == 1);
}

/* The policy may ask for them: what changes there changes the pod. */
static void test_labels(void **state)
{
	struct pod_name names[] = {pod(UID_1, "shop", "web-0", "web")};
	struct pod_labels *red = pod_labels_new("color\0red", 10);

	(void)state;
	names[0].labels = red;
	names[0].labels_known = true;
	assert_int_equal(set_names(names, 1), 0);
	assert_int_equal(registry_add_cgroup(reg, 7, UID_1, false), 0);
	assert_int_equal(map.upserts, 1);
	assert_true(in_map(7)->labels_known);
	assert_memory_equal(pod_labels_text(in_map(7)->labels), "color\0red\0", 11);
	/* The same ones, in other memory, are no change. */
	names[0].labels = pod_labels_new("color\0red", 10);
	pod_labels_unref(red);
	assert_int_equal(set_names(names, 1), 0);
	assert_int_equal(map.upserts, 1);
	pod_labels_unref(names[0].labels);
	names[0].labels = pod_labels_new("color\0tan", 10);
	assert_int_equal(set_names(names, 1), 0);
	assert_int_equal(map.upserts, 2);
	assert_memory_equal(pod_labels_text(in_map(7)->labels), "color\0tan\0", 11);
	pod_labels_unref(names[0].labels);
	names[0].labels = NULL;
	assert_int_equal(set_names(names, 1), 0);
	assert_int_equal(map.upserts, 3);
	names[0].labels_known = false;
	assert_int_equal(set_names(names, 1), 0);
	assert_int_equal(map.upserts, 4);
	names[0].asks = POD_ASKS_DENY;
	assert_int_equal(set_names(names, 1), 0);
	assert_int_equal(map.upserts, 5);
	assert_int_equal(in_map(7)->asks, POD_ASKS_DENY);
	/* Without a name nothing of it is known. */
	assert_int_equal(set_names(NULL, 0), 0);
	assert_true(!in_map(7)->labels_known && !in_map(7)->asks && !in_map(7)->labels);
}

static void test_name_first(void **state)
{
	struct pod_name names[] = {pod(UID_2, "a", "two", "s"), pod(UID_1, "a", "one", "s")};

	(void)state;
	assert_int_equal(set_names(names, 2), 0);
	assert_int_equal(map.upserts, 0);
	assert_int_equal(registry_add_cgroup(reg, 9, UID_2, false), 0);
	assert_int_equal(map.upserts, 1);
	assert_string_equal(in_map(9)->name, "two");
	/* Only what changed is written. */
	assert_int_equal(registry_add_cgroup(reg, 8, UID_1, false), 0);
	strcpy(names[1].service_account, "other");
	assert_int_equal(set_names(names, 2), 0);
	assert_int_equal(map.upserts, 3);
	assert_string_equal(in_map(8)->service_account, "other");
	assert_int_equal(registry_count(reg), 2);
	assert_true(registry_at(reg, 0)->cgroup_id == 8 && registry_at(reg, 1)->cgroup_id == 9);
	assert_null(registry_at(reg, 2));
	assert_string_equal(registry_find(reg, 9)->name, "two");
	assert_null(registry_find(reg, 10));
}

static void test_two_cgroups_one_uid(void **state)
{
	struct pod_name names[] = {pod(UID_1, "a", "one", "s")};

	(void)state;
	assert_int_equal(set_names(names, 1), 0);
	assert_int_equal(registry_add_cgroup(reg, 5, UID_1, false), 0);
	assert_int_equal(registry_add_cgroup(reg, 6, UID_1, false), 0);
	assert_true(in_map(5)->named && in_map(6)->named);
	assert_int_equal(registry_remove_cgroup(reg, 5), 0);
	assert_true(!in_map(5) && in_map(6)->named);
}

static void test_static_pods(void **state)
{
	struct pod_name names[] = {mirror(UID_1, "etcd", HASH), pod(UID_2, "a", "b", "c"),
				   mirror(UID_3, "forged", HASH)};

	(void)state;
	assert_int_equal(registry_add_cgroup(reg, 5, HASH, true), 0);
	assert_int_equal(set_names(names, 2), 0);
	assert_true(in_map(5)->is_static);
	assert_string_equal(in_map(5)->name, "etcd");
	assert_string_equal(in_map(5)->uid, HASH);
	assert_string_equal(in_map(5)->service_account, "");
	/* Anyone may write that annotation: two claims, no name; the rest of the list holds. */
	assert_int_equal(registry_add_cgroup(reg, 6, UID_2, false), 0);
	assert_int_equal(set_names(names, 3), 0);
	assert_false(in_map(5)->named);
	assert_string_equal(in_map(6)->name, "b");
	/* The kubelet's own list has the hash as uid: that is no claim but the pod itself. */
	strcpy(names[1].uid, HASH);
	assert_int_equal(set_names(names, 3), 0);
	assert_string_equal(in_map(5)->name, "b");
	/* The same mirror pod under an old and a new uid. */
	names[0] = mirror(UID_1, "etcd", HASH);
	names[1] = mirror(UID_2, "etcd", HASH);
	assert_int_equal(set_names(names, 2), 0);
	assert_string_equal(in_map(5)->name, "etcd");
	/* A manifest with a uid of its own: the hash is that uid, unless it is some pod's. */
	assert_int_equal(registry_add_cgroup(reg, 7, UID_3, false), 0);
	names[0] = mirror(UID_1, "etcd", UID_3);
	assert_int_equal(set_names(names, 1), 0);
	assert_string_equal(in_map(7)->name, "etcd");
	assert_string_equal(in_map(7)->service_account, "");
	names[1] = pod(UID_3, "a", "b", "c");
	assert_int_equal(set_names(names, 2), 0);
	assert_string_equal(in_map(7)->name, "b");
	names[1] = mirror(UID_2, "forged", UID_3);
	assert_int_equal(set_names(names, 2), 0);
	assert_false(in_map(7)->named);
}

static void test_refused_lists(void **state)
{
	struct pod_name good[] = {pod(UID_1, "a", "one", "s")};
	struct pod_name twice[] = {pod(UID_1, "a", "one", "s"), pod(UID_2, "a", "x", "s"),
				   pod(UID_1, "b", "one", "s")};
	struct pod_name no_uid[] = {pod("", "a", "one", "s"), pod(UID_1, "z", "z", "z")};

	(void)state;
	assert_int_equal(registry_add_cgroup(reg, 5, UID_1, false), 0);
	assert_int_equal(set_names(good, 1), 0);
	assert_int_equal(set_names(twice, 3), -EEXIST);
	assert_int_equal(set_names(no_uid, 2), -EINVAL);
	twice[2] = twice[0];
	twice[2].host_network = true;
	assert_int_equal(set_names(twice, 3), -EEXIST);
	assert_int_equal(map.upserts, 2);
	assert_string_equal(in_map(5)->name, "one");
	twice[2] = twice[0]; /* the very same pod twice does no harm */
	assert_int_equal(set_names(twice, 3), 0);
	assert_int_equal(map.upserts, 2);
}

static void test_bad_cgroups(void **state)
{
	(void)state;
	assert_int_equal(registry_add_cgroup(reg, 0, UID_1, false), -EINVAL);
	assert_int_equal(registry_add_cgroup(reg, 1, "", false), -EINVAL);
	assert_int_equal(registry_add_cgroup(reg, 1, UID_1 "xxxx", false), -EINVAL);
	assert_int_equal(map.upserts, 0);
	/* An id never becomes another pod's. */
	assert_int_equal(registry_add_cgroup(reg, 1, UID_1, false), 0);
	assert_int_equal(registry_add_cgroup(reg, 1, UID_2, false), -EEXIST);
	assert_true(!in_map(1) && !registry_find(reg, 1));
	assert_int_equal(registry_add_cgroup(reg, 1, UID_2, false), 0);
}

static void test_mark_and_sweep(void **state)
{
	(void)state;
	for (uint64_t id = 1; id <= 5; id++)
		assert_int_equal(registry_add_cgroup(reg, id, UID_1, false), 0);
	registry_mark(reg);
	assert_int_equal(registry_add_cgroup(reg, 2, UID_1, false), 0);
	assert_int_equal(registry_add_cgroup(reg, 6, UID_1, false), 0);
	assert_int_equal(registry_sweep(reg), 0);
	assert_int_equal(registry_count(reg), 2);
	assert_true(map.n == 2 && in_map(2) && in_map(6));
}

static void test_failing_sink(void **state)
{
	struct pod_name names[] = {pod(UID_1, "a", "one", "s")};

	(void)state;
	map.fail = -E2BIG;
	assert_int_equal(registry_add_cgroup(reg, 1, UID_1, false), -E2BIG);
	assert_int_equal(registry_add_cgroup(reg, 2, UID_2, false), -E2BIG);
	assert_int_equal(set_names(names, 1), -E2BIG);
	assert_int_equal(registry_set_qos(reg, 3, 4), -E2BIG);
	map.fail = 0;
	assert_int_equal(registry_flush(reg), 0);
	assert_string_equal(in_map(1)->name, "one"); /* the list was in force */
	assert_non_null(in_map(2));
	assert_int_equal(registry_set_qos(reg, 3, 4), 0);
	map.fail = -EIO;
	assert_int_equal(registry_remove_cgroup(reg, 1), -EIO);
	registry_mark(reg);
	assert_int_equal(registry_sweep(reg), -EIO);
	map.fail = 0;
	assert_int_equal(registry_expire(reg, 1), 0);
	assert_true(map.n == 0 && registry_count(reg) == 0);
	/* What the map has lost already is removed. */
	assert_int_equal(registry_add_cgroup(reg, 1, UID_1, false), 0);
	map.fail = -ENOENT;
	assert_int_equal(registry_remove_cgroup(reg, 1), 0);
	assert_int_equal(registry_count(reg), 0);
}

static void test_qos(void **state)
{
	(void)state;
	assert_int_equal(registry_set_qos(reg, 0, 0), 0);
	assert_int_equal(map.qos_calls, 1); /* also when there is none: an old map may differ */
	assert_int_equal(registry_set_qos(reg, 3, 0), 0);
	assert_int_equal(registry_set_qos(reg, 3, 0), 0);
	assert_int_equal(registry_set_qos(reg, 3, 4), 0);
	assert_int_equal(map.qos_calls, 3);
	assert_true(map.qos[0] == 3 && map.qos[1] == 4);
}

static void test_grace(void **state)
{
	struct pod_name names[] = {pod(UID_1, "a", "one", "s")};

	(void)state;
	registry_set_grace(reg, 100);
	assert_int_equal(set_names(names, 1), 0);
	assert_int_equal(registry_add_cgroup(reg, 1, UID_1, false), 0);
	assert_int_equal(registry_add_cgroup(reg, 2, UID_2, false), 0);
	assert_int_equal(registry_remove_cgroup(reg, 1), 0);
	assert_int_equal(registry_expire(reg, 1000), 0);
	/* The API forgets the pod first; its last name stays for the grace time. */
	assert_int_equal(set_names(NULL, 0), 0);
	assert_string_equal(in_map(1)->name, "one");
	assert_int_equal(registry_expire(reg, 1099), 0);
	assert_non_null(in_map(1));
	assert_int_equal(registry_expire(reg, 1100), 0);
	assert_null(in_map(1));
	/* Seen again before its time: it was no removal. */
	assert_int_equal(registry_remove_cgroup(reg, 2), 0);
	assert_int_equal(registry_expire(reg, 1100), 0);
	assert_int_equal(registry_add_cgroup(reg, 2, UID_2, false), 0);
	assert_int_equal(registry_expire(reg, 5000), 0);
	assert_non_null(in_map(2));
}

static bool named_pod(void *arg, const struct pod_ident *pod)
{
	(void)arg;
	return pod->named;
}

/* What the sink adds to a record has changed: exactly the picked ones are written, until it worked. */
static void test_rewrite(void **state)
{
	struct pod_name names[] = {pod(UID_1, "a", "one", "s"), pod(UID_3, "a", "three", "s")};
	uint64_t generation;

	(void)state;
	registry_set_grace(reg, 100);
	assert_int_equal(set_names(names, 2), 0);
	assert_int_equal(registry_add_cgroup(reg, 1, UID_1, false), 0);
	assert_int_equal(registry_add_cgroup(reg, 2, UID_2, false), 0);
	assert_int_equal(registry_add_cgroup(reg, 3, UID_3, false), 0);
	assert_int_equal(map.upserts, 3);
	generation = in_map(1)->generation;
	assert_int_equal(registry_rewrite(reg, named_pod, NULL), 0);
	assert_int_equal(map.upserts, 5);
	assert_true(in_map(1)->generation > generation);
	assert_string_equal(in_map(1)->name, "one");
	/* A pod that is gone, and off the list, is written too: its record still counts. */
	assert_int_equal(registry_remove_cgroup(reg, 1), 0);
	assert_int_equal(set_names(names + 1, 1), 0);
	map.fail = -E2BIG;
	assert_int_equal(registry_rewrite(reg, named_pod, NULL), -E2BIG);
	map.fail = 0;
	map.upserts = 0;
	assert_int_equal(registry_flush(reg), 0);
	assert_int_equal(map.upserts, 2);
	assert_string_equal(in_map(1)->name, "one");
	assert_int_equal(registry_flush(reg), 0);
	assert_int_equal(map.upserts, 2);
}

/* ---- a source that says what changes ---- */

static int put_name(const struct pod_name *name)
{
	struct pc_err err = {""};
	int r = registry_put_name(reg, name, &err);

	assert_int_equal(r < 0, err.msg[0] != '\0');
	assert_null(strchr(err.msg, '\n'));
	return r;
}

static void test_name_stays_with_cgroup(void **state)
{
	struct pod_name one = pod(UID_1, "shop", "web-0", "web");

	(void)state;
	/* Either order. */
	assert_int_equal(registry_add_cgroup(reg, 7, UID_1, false), 0);
	assert_int_equal(put_name(&one), 0);
	assert_string_equal(in_map(7)->service_account, "web");
	assert_int_equal(registry_add_cgroup(reg, 8, UID_1, false), 0);
	assert_string_equal(in_map(8)->name, "web-0");
	assert_int_equal(map.upserts, 3);
	/* The API forgets the pod; its processes still run. */
	registry_remove_name(reg, UID_1);
	registry_remove_name(reg, UID_1);
	registry_remove_name(reg, UID_2);
	assert_int_equal(registry_flush(reg), 0);
	assert_int_equal(registry_add_cgroup(reg, 7, UID_1, false), 0);
	assert_string_equal(in_map(7)->name, "web-0");
	assert_int_equal(map.upserts, 3);
	assert_false(registry_find_name(reg, UID_1, &found));
	/* A cgroup that is made later is nobody's. */
	assert_int_equal(registry_add_cgroup(reg, 9, UID_1, false), 0);
	assert_false(in_map(9)->named);
	assert_int_equal(registry_remove_cgroup(reg, 7), 0);
	assert_null(in_map(7));
	/* A pod of the same name is another pod. */
	one = pod(UID_2, "shop", "web-0", "other");
	assert_int_equal(put_name(&one), 0);
	assert_int_equal(registry_add_cgroup(reg, 10, UID_2, false), 0);
	assert_string_equal(in_map(10)->service_account, "other");
	assert_string_equal(in_map(8)->service_account, "web");
}

static void test_labels_change(void **state)
{
	struct pod_name one = pod(UID_1, "shop", "web-0", "web");

	(void)state;
	one.labels = pod_labels_new("color\0red", 10);
	assert_int_equal(registry_add_cgroup(reg, 7, UID_1, false), 0);
	assert_int_equal(put_name(&one), 0);
	pod_labels_unref(one.labels);
	one.labels = pod_labels_new("color\0tan", 10);
	assert_int_equal(put_name(&one), 0);
	assert_int_equal(put_name(&one), 0);
	one.labels = pod_labels_unref(one.labels);
	registry_remove_name(reg, UID_1);
	assert_memory_equal(pod_labels_text(in_map(7)->labels), "color\0tan\0", 11);
	assert_int_equal(map.upserts, 3);
}

static void test_pod_is_who_it_is(void **state)
{
	const struct pod_name one = pod(UID_1, "shop", "web-0", "web");
	struct pod_name others[] = {one, one, one, one, one};

	(void)state;
	strcpy(others[0].service_account, "admin");
	strcpy(others[1].name_space, "kube-system");
	strcpy(others[2].name, "web-1");
	others[3].host_network = true;
	strcpy(others[4].config_hash, HASH);
	assert_int_equal(registry_add_cgroup(reg, 7, UID_1, false), 0);
	assert_int_equal(put_name(&one), 0);
	for (size_t i = 0; i < ARRAY_SIZE(others); i++)
		assert_int_equal(put_name(&others[i]), -EEXIST);
	registry_remove_name(reg, UID_1);
	for (size_t i = 0; i < 4; i++) /* its cgroup remembers */
		assert_int_equal(put_name(&others[i]), -EEXIST);
	assert_false(registry_find_name(reg, UID_1, &found));
	assert_int_equal(map.upserts, 2);
	assert_string_equal(in_map(7)->service_account, "web");
	assert_int_equal(put_name(&one), 0);
	assert_int_equal(map.upserts, 2);
	others[0].uid[0] = '\0';
	assert_int_equal(put_name(&others[0]), -EINVAL);
}

/* A tenant may write into its pod's annotations that it is the mirror of any uid. */
static void test_forged_mirror(void **state)
{
	struct pod_name forged = mirror(UID_3, "forged", UID_1);
	const struct pod_name web = pod(UID_1, "shop", "web-0", "web");

	(void)state;
	strcpy(forged.name_space, "aaa");
	assert_int_equal(registry_add_cgroup(reg, 7, UID_1, false), 0);
	assert_int_equal(put_name(&forged), 0); /* listed first */
	assert_false(in_map(7)->named);
	assert_int_equal(put_name(&web), 0);
	assert_int_equal(registry_names_complete(reg), 0);
	assert_string_equal(in_map(7)->name, "web-0");
	registry_remove_name(reg, UID_1); /* its cgroup is still there */
	assert_string_equal(in_map(7)->name, "web-0");
	/* By events: the pod itself is right, however late it comes. */
	strcpy(forged.uid, "33333333-0000-4000-8000-000000000003");
	strcpy(forged.config_hash, UID_2);
	assert_int_equal(put_name(&forged), 0);
	assert_int_equal(registry_add_cgroup(reg, 8, UID_2, false), 0);
	assert_string_equal(in_map(8)->name, "forged");
	forged = pod(UID_2, "shop", "web-1", "web");
	assert_int_equal(put_name(&forged), 0);
	assert_string_equal(in_map(8)->name, "web-1");
}

/* Two that claim to be one static pod, in the first list: it is neither, whichever comes first. */
static void test_forged_static(void **state)
{
	const struct pod_name forged = mirror(UID_2, "forged", HASH),
			      etcd = mirror(UID_1, "etcd", HASH);

	(void)state;
	assert_int_equal(registry_add_cgroup(reg, 5, HASH, true), 0);
	assert_int_equal(put_name(&forged), 0);
	assert_int_equal(put_name(&etcd), 0);
	assert_int_equal(registry_names_complete(reg), 0);
	assert_false(in_map(5)->named);
	registry_remove_name(reg, UID_2);
	assert_string_equal(in_map(5)->name, "etcd");
}

static void test_running(void **state)
{
	struct pod_name one = pod(UID_1, "shop", "web-0", "web"), two = mirror(UID_2, "etcd", HASH);

	(void)state;
	assert_int_equal(put_name(&one), 0);
	assert_int_equal(registry_count_running(reg), 0);
	one.running = two.running = true;
	assert_int_equal(put_name(&one), 0);
	assert_int_equal(put_name(&one), 0);
	assert_int_equal(put_name(&two), 0);
	assert_int_equal(registry_count_running(reg), 2);
	assert_true(registry_find_name(reg, HASH, &found) && found.running);
	one.running = false;
	assert_int_equal(put_name(&one), 0);
	assert_true(registry_find_name(reg, UID_1, &found) && !found.running);
	registry_remove_name(reg, HASH); /* it is no uid */
	assert_int_equal(registry_count_running(reg), 1);
	registry_remove_name(reg, UID_2);
	assert_int_equal(registry_count_running(reg), 0);
	assert_false(registry_find_name(reg, HASH, &found));
}

static void test_static_pods_that_change(void **state)
{
	const struct pod_name etcd = mirror(UID_1, "etcd", HASH),
			      again = mirror(UID_2, "etcd", HASH),
			      forged = mirror(UID_3, "forged", HASH);

	(void)state;
	assert_int_equal(registry_names_complete(reg), 0);
	assert_int_equal(registry_add_cgroup(reg, 5, HASH, true), 0);
	assert_int_equal(put_name(&etcd), 0);
	assert_string_equal(in_map(5)->name, "etcd");
	/* Whoever claims to be it, too, does not take its name away, but then nobody new gets one. */
	assert_int_equal(put_name(&forged), 0);
	assert_string_equal(in_map(5)->name, "etcd");
	assert_int_equal(registry_add_cgroup(reg, 6, HASH, true), 0);
	assert_false(in_map(6)->named);
	registry_remove_name(reg, UID_3);
	assert_string_equal(in_map(6)->name, "etcd");
	/* The kubelet makes its mirror pod anew. */
	registry_remove_name(reg, UID_1);
	assert_int_equal(put_name(&forged), 0);
	assert_string_equal(in_map(5)->name, "etcd");
	assert_int_equal(put_name(&again), 0);
	registry_remove_name(reg, UID_3);
	assert_true(registry_find_name(reg, HASH, &found));
	assert_string_equal(found.name, "etcd");
	assert_int_equal(map.upserts, 4);
}

/* What an earlier registry said of a cgroup. */
static struct pod_ident recalled(uint64_t id, const char *uid, const char *service_account)
{
	struct pod_ident ident = {.cgroup_id = id, .generation = 40, .named = true};

	snprintf(ident.uid, sizeof(ident.uid), "%s", uid);
	strcpy(ident.name_space, "shop");
	strcpy(ident.name, "web-0");
	snprintf(ident.service_account, sizeof(ident.service_account), "%s", service_account);
	return ident;
}

static void recall_two(void)
{
	const struct pod_ident old[] = {recalled(7, UID_1, "web"), recalled(8, UID_2, "web")};

	for (size_t i = 0; i < ARRAY_SIZE(old); i++)
		assert_int_equal(registry_recall(reg, &old[i]), 0);
}

static void scan_7_only(void)
{
	registry_mark(reg);
	assert_int_equal(registry_add_cgroup(reg, 7, UID_1, false), 0);
	assert_int_equal(registry_sweep(reg), 0);
}

static void test_recall(void **state)
{
	struct pod_ident unnamed = recalled(9, UID_3, "web"), bad = recalled(0, UID_3, "web");
	const struct pod_name forged =
		mirror("44444444-0000-4000-8000-000000000004", "forged", UID_1);

	(void)state;
	recall_two();
	unnamed.named = false;
	assert_int_equal(registry_recall(reg, &unnamed), 0);
	assert_int_equal(registry_recall(reg, &bad), -EINVAL);
	assert_int_equal(map.upserts, 0);
	scan_7_only();
	assert_int_equal(registry_count(reg), 1);
	/* The sink has it, with all that it added. */
	assert_int_equal(registry_flush(reg), 0);
	assert_int_equal(map.upserts, 0);
	assert_string_equal(registry_find(reg, 7)->service_account, "web");
	/* Nor does a mirror pod change it that claims to be that one. */
	assert_int_equal(put_name(&forged), 0);
	assert_int_equal(registry_names_complete(reg), 0);
	assert_string_equal(registry_find(reg, 7)->service_account, "web");
	registry_remove_name(reg, forged.uid);
	/* Another uid at that id, or another id of that uid, is not that pod. */
	assert_int_equal(registry_add_cgroup(reg, 10, UID_1, false), 0);
	assert_false(in_map(10)->named);
	assert_int_equal(registry_recall(reg, &(struct pod_ident){.cgroup_id = 7}), 0);
	unnamed = recalled(11, UID_3, "web");
	assert_int_equal(registry_recall(reg, &unnamed), 0);
	assert_int_equal(registry_add_cgroup(reg, 11, UID_2, false), -EEXIST);
	assert_int_equal(registry_add_cgroup(reg, 11, UID_2, false), 0);
	assert_false(in_map(11)->named);
}

/* Somebody changes the labels of a pod that runs: an event says so, and the policy may judge it anew. */
static void test_labels_by_event(void **state)
{
	struct pod_name one = pod(UID_1, "shop", "web-0", "web");

	(void)state;
	one.labels_known = true;
	assert_int_equal(registry_add_cgroup(reg, 7, UID_1, false), 0);
	assert_int_equal(put_name(&one), 0);
	assert_int_equal(map.upserts, 2);
	one.labels = pod_labels_new("color\0red", 10);
	assert_int_equal(put_name(&one), 0);
	assert_int_equal(map.upserts, 3);
	assert_memory_equal(pod_labels_text(in_map(7)->labels), "color\0red\0", 11);
	pod_labels_unref(one.labels);
	/* The API forgets it: who it was is known until its cgroup goes. */
	registry_remove_name(reg, UID_1);
	assert_true(in_map(7)->labels_known);
	assert_memory_equal(pod_labels_text(in_map(7)->labels), "color\0red\0", 11);
}

/* What the sink knew beside the names is the sink's to judge, until the source tells of the pod. */
static void test_recall_before(void **state)
{
	struct pod_ident old = recalled(7, UID_1, "web");
	struct pod_name one = pod(UID_1, "shop", "web-0", "web");

	(void)state;
	old.before = 5;
	assert_int_equal(registry_recall(reg, &old), 0);
	scan_7_only();
	assert_int_equal(registry_find(reg, 7)->before, 5);
	assert_int_equal(put_name(&one), 0); /* with labels that are not known, either */
	assert_int_equal(map.upserts, 1);
	assert_int_equal(in_map(7)->before, 0);
}

/* The API's word counts more than an earlier resolver's; a pod that it does not know may be ending. */
static void test_recall_then_api(void **state)
{
	struct pod_name one = pod(UID_1, "shop", "web-0", "right");

	(void)state;
	recall_two();
	assert_int_equal(registry_add_cgroup(reg, 7, UID_1, false), 0);
	assert_int_equal(registry_add_cgroup(reg, 8, UID_2, false), 0);
	assert_int_equal(put_name(&one), 0);
	assert_string_equal(in_map(7)->service_account, "right");
	assert_string_equal(registry_find(reg, 8)->service_account, "web");
	assert_int_equal(map.upserts, 1);
	strcpy(one.service_account, "wrong");
	assert_int_equal(put_name(&one), -EEXIST);
}

/* A list that is read as a whole has no doubt. */
static void test_recall_then_list(void **state)
{
	(void)state;
	recall_two();
	assert_int_equal(registry_add_cgroup(reg, 7, UID_1, false), 0);
	assert_string_equal(registry_find(reg, 7)->name, "web-0");
	assert_int_equal(set_names(NULL, 0), 0);
	assert_false(in_map(7)->named);
}

/* A node's worth of pods many times over: nothing may be quadratic. */
static void test_many(void **state)
{
	enum { N = 5000 };
	struct pod_name *names = calloc(N, sizeof(*names));

	(void)state;
	assert_non_null(names);
	map.count_only = true;
	for (unsigned i = 0; i < N; i++) {
		char uid[POD_UID_SIZE], name[16];

		snprintf(uid, sizeof(uid), "%08x-0000-4000-8000-%012x", i * 2654435761U, i);
		snprintf(name, sizeof(name), "pod-%u", i);
		names[i] = pod(uid, "ns", name, "sa");
	}
	for (unsigned i = 0; i < N; i++) /* ids fall: the worst order for a sorted array */
		assert_int_equal(registry_add_cgroup(reg, 2 * N - i, names[i].uid, false), 0);
	assert_int_equal(registry_set_names(reg, names, N, NULL), 0);
	assert_int_equal(registry_set_names(reg, names, N, NULL), 0);
	assert_int_equal(map.upserts, 2 * N);
	assert_string_equal(registry_find(reg, 2 * N - 1234)->name, "pod-1234");
	registry_mark(reg);
	assert_int_equal(registry_sweep(reg), 0);
	assert_int_equal(map.removes, N);
	free(names);
}

static void test_many_changes(void **state)
{
	enum { N = 5000 };
	struct pod_name *names = calloc(N, sizeof(*names));

	(void)state;
	assert_non_null(names);
	map.count_only = true;
	for (unsigned i = 0; i < N; i++) {
		char uid[POD_UID_SIZE];

		snprintf(uid, sizeof(uid), "%08x-0000-4000-8000-%012x", i * 2654435761U, i);
		names[i] = pod(uid, "ns", "pod", "sa");
	}
	for (unsigned i = 0; i < N; i++)
		assert_int_equal(registry_add_cgroup(reg, i + 1, names[i].uid, false), 0);
	for (unsigned round = 0; round < 20; round++) {
		for (unsigned i = 0; i < N; i++)
			assert_int_equal(registry_put_name(reg, &names[i], NULL), 0);
		for (unsigned i = 0; i < N; i++)
			registry_remove_name(reg, names[i].uid);
	}
	assert_int_equal(map.upserts, 2 * N);
	free(names);
}

int main(void)
{
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_cgroup_first),
		TEST(test_labels),
		TEST(test_name_first),
		TEST(test_two_cgroups_one_uid),
		TEST(test_static_pods),
		TEST(test_refused_lists),
		TEST(test_bad_cgroups),
		TEST(test_mark_and_sweep),
		TEST(test_failing_sink),
		TEST(test_qos),
		TEST(test_grace),
		TEST(test_rewrite),
		TEST(test_many),
		TEST(test_name_stays_with_cgroup),
		TEST(test_pod_is_who_it_is),
		TEST(test_forged_mirror),
		TEST(test_forged_static),
		TEST(test_labels_change),
		TEST(test_running),
		TEST(test_static_pods_that_change),
		TEST(test_recall),
		TEST(test_recall_before),
		TEST(test_labels_by_event),
		TEST(test_recall_then_api),
		TEST(test_recall_then_list),
		TEST(test_many_changes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
