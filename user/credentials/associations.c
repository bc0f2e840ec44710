// SPDX-License-Identifier: Apache-2.0
#include "credentials/associations.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/pack.h"
#include "credentials/internal.h"
#include "yaml/read.h"

#define MAX_ENTRIES 100000
#define MAX_NODES   (40 * MAX_ENTRIES) /* an entry with all its keys and five tags has 39 */
#define SPEC_NODES  256

struct cred_table {
	atomic_uint refs;
	struct yml_tree *tree; /* has the text of all entries */
	struct cred_association *entries;
	const struct cred_association **by_name; /* sorted */
	char *names; /* strings of an association that is not of the file */
	size_t count;
};

static int compare(const struct cred_association *a, const char *namespace,
		   const char *service_account)
{
	int c = strcmp(a->namespace, namespace);

	return c ? c : strcmp(a->service_account, service_account);
}

static int compare_entries(const void *left, const void *right)
{
	const struct cred_association *a = *(const struct cred_association *const *)left;
	const struct cred_association *b = *(const struct cred_association *const *)right;
	int c = compare(a, b->namespace, b->service_account);

	return c ? c : (a > b) - (a < b);
}

static int read_entry(const struct yml_source *src, const struct yml_node *node, void *target)
{
	struct cred_table *t = target;
	struct cred_association *a = &t->entries[t->count];

	t->by_name[t->count++] =
		a; /* before it is read: what it allocates is freed with the table */
	return cred_read_entry(src, node, a);
}

static int read_entries(const struct yml_source *src, const struct yml_node *node, void *target)
{
	size_t n = node->kind == YML_LIST ? node->len : 0;
	struct cred_table *t = target;

	if (n > MAX_ENTRIES)
		return yml_bad(src, node, "more than %d associations; is this the right file?",
			       MAX_ENTRIES);
	t->entries = calloc(n + 1, sizeof(*t->entries));
	t->by_name = calloc(n + 1, sizeof(*t->by_name));
	if (!t->entries || !t->by_name)
		return pc_err_set(src->err, -ENOMEM, "%s: out of memory", src->name);
	return yml_list(src, node, "associations", read_entry, t);
}

static int check_duplicates(const struct yml_source *src, const struct cred_table *t)
{
	for (size_t i = 1; i < t->count; i++) {
		const struct cred_association *a = t->by_name[i - 1], *b = t->by_name[i];

		if (compare(a, b->namespace, b->service_account) != 0)
			continue;
		return pc_err_set(src->err, -EEXIST,
				  "%s:%u: second association of %s/%s, the first is in line %u; "
				  "remove one",
				  src->name, b->line, b->namespace, b->service_account, a->line);
	}
	return 0;
}

static int table_build(const struct yml_source *src, const char *text, size_t len,
		       struct cred_table *t)
{
	static const struct yml_key keys[] = {YML_REQUIRED("associations", read_entries)};
	int r = yml_tree_parse(src, text, len, MAX_NODES, &t->tree);

	if (r < 0)
		return r;
	if (!yml_tree_root(t->tree))
		return pc_err_set(src->err, -EINVAL,
				  "%s:1: the file is empty; write `associations: []` for none",
				  src->name);
	r = yml_mapping(src, yml_tree_root(t->tree), keys, ARRAY_SIZE(keys), t);
	if (r < 0)
		return r;
	qsort(t->by_name, t->count, sizeof(*t->by_name), compare_entries);
	return check_duplicates(src, t);
}

static int build_spec(const struct yml_source *src, const char *text, size_t len,
		      struct cred_table *t)
{
	int r = yml_tree_parse(src, text, len, SPEC_NODES, &t->tree);

	if (r < 0)
		return r;
	if (!yml_tree_root(t->tree))
		return pc_err_set(src->err, -EINVAL, "%s: the spec is empty; write roleArn",
				  src->name);
	return cred_read_spec(src, yml_tree_root(t->tree), t->entries);
}

/* Takes t. */
static int finish(struct cred_table *t, int r, struct cred_table **ret)
{
	if (r < 0)
		cred_table_unref(t);
	else
		*ret = t;
	return r;
}

static struct cred_table *new_table(void)
{
	struct cred_table *t = calloc(1, sizeof(*t));

	if (t)
		atomic_init(&t->refs, 1);
	return t;
}

int cred_table_parse(const char *name, const char *text, size_t len, struct cred_table **ret,
		     struct pc_err *err)
{
	const struct yml_source src = {.name = name, .secret = true, .err = err};
	struct cred_table *t = new_table();

	if (!t)
		return pc_err_set(err, -ENOMEM, "%s: out of memory", name);
	return finish(t, table_build(&src, text, len, t), ret);
}

/* Moves to behind the copy. */
static void copy_strings(struct cred_association *a, char *at)
{
	a->namespace = pack_put(&at, a->namespace);
	a->service_account = pack_put(&at, a->service_account);
	a->role_arn = pack_put(&at, a->role_arn);
	a->external_id = pack_put(&at, a->external_id);
	a->session_text = pack_put(&at, a->session_text);
	a->audience = pack_put(&at, a->audience);
}

int cred_table_of(const struct cred_association *a, struct cred_table **ret)
{
	struct cred_table *t = new_table();
	size_t size = pack_size(a->namespace) + pack_size(a->service_account) +
		      pack_size(a->role_arn) + pack_size(a->external_id) +
		      pack_size(a->session_text) + pack_size(a->audience);

	if (!t)
		return -ENOMEM;
	t->entries = calloc(1, sizeof(*t->entries));
	t->by_name = calloc(1, sizeof(*t->by_name));
	t->names = malloc(size + 1);
	if (!t->entries || !t->by_name || !t->names) {
		cred_table_unref(t);
		return -ENOMEM;
	}
	*t->entries = *a;
	copy_strings(t->entries, t->names);
	cred_name_role(t->entries);
	t->by_name[t->count++] = t->entries;
	*ret = t;
	return 0;
}

int cred_table_parse_spec(const char *name, enum cred_origin origin, const char *namespace,
			  const char *service_account, const char *spec, size_t len,
			  struct cred_table **ret, struct pc_err *err)
{
	const struct yml_source src = {.name = name, .lineless = true, .err = err};
	const struct cred_association a = {
		.origin = origin, .namespace = namespace, .service_account = service_account};
	struct cred_table *t;

	if (cred_table_of(&a, &t) < 0)
		return pc_err_set(err, -ENOMEM, "%s: out of memory", name);
	return finish(t, build_spec(&src, spec, len, t), ret);
}

struct cred_table *cred_table_ref(struct cred_table *t)
{
	atomic_fetch_add(&t->refs, 1);
	return t;
}

void cred_table_unref(struct cred_table *t)
{
	if (!t || atomic_fetch_sub(&t->refs, 1) != 1)
		return;
	for (size_t i = 0; i < t->count; i++)
		cred_association_done(&t->entries[i]);
	yml_tree_free(t->tree);
	free(t->names);
	free(t->entries);
	free(t->by_name);
	free(t);
}

size_t cred_table_count(const struct cred_table *t)
{
	return t->count;
}

const struct cred_association *cred_table_at(const struct cred_table *t, size_t i)
{
	return &t->entries[i];
}

const struct cred_association *cred_table_find(const struct cred_table *t, const char *namespace,
					       const char *service_account)
{
	size_t low = 0, high = t->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		int c = compare(t->by_name[middle], namespace, service_account);

		if (c == 0)
			return t->by_name[middle];
		if (c < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return NULL;
}
