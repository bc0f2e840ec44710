// SPDX-License-Identifier: Apache-2.0
#include "credentials/associations.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/k8s_name.h"
#include "base/timestamp.h"
#include "yaml/read.h"

#define MAX_ENTRIES 100000
#define MAX_NODES   (20 * MAX_ENTRIES) /* an entry with all its keys has 19 */

struct cred_table {
	atomic_uint refs;
	struct yml_tree *tree; /* has the text of all entries */
	struct cred_association *entries;
	const struct cred_association **by_name; /* sorted */
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

static bool is_namespace(const char *s)
{
	return k8s_is_label(s, strlen(s));
}

static bool is_service_account(const char *s)
{
	return k8s_is_subdomain(s, strlen(s));
}

static bool is_made_of(const char *s, size_t min, size_t max, const char *extra)
{
	size_t len = strlen(s);

	if (len < min || len > max)
		return false;
	for (; *s; s++)
		if (!((*s >= 'a' && *s <= 'z') || (*s >= 'A' && *s <= 'Z') ||
		      (*s >= '0' && *s <= '9') || strchr(extra, *s)))
			return false;
	return true;
}

static bool is_role(const char *s)
{
	/* "." and ".." would vanish from the path that SDKs build with it */
	return is_made_of(s, 1, 64, "+=,.@_-") && strcmp(s, ".") != 0 && strcmp(s, "..") != 0;
}

static bool is_account_id(const char *s)
{
	return strlen(s) == 12 && strspn(s, "0123456789") == 12;
}

static bool is_access_key_id(const char *s)
{
	return is_made_of(s, 1, 128, "_") && strcmp(s, "null") != 0;
}

/* YAML's null arrives as text; nobody's secret is that. */
static bool is_secret(const char *s)
{
	if (!*s || !strcmp(s, "~") || !strcmp(s, "null"))
		return false;
	for (; *s; s++)
		if (*s < 0x21 || *s > 0x7e)
			return false;
	return true;
}

static bool is_timestamp(const char *s)
{
	time_t when;

	return timestamp_parse(s, &when) == 0;
}

#define KEY(name, member, valid, wants, required)                                                  \
	YML_TEXT(name, struct cred_association, member, valid, wants, required)

static int read_static(const struct yml_source *src, const struct yml_node *node, void *target)
{
	static const struct yml_key keys[] = {
		KEY("accessKeyId", keys.access_key_id, is_access_key_id,
		    "1 to 128 letters and digits", true),
		KEY("secretAccessKey", keys.secret_access_key, is_secret,
		    "printable characters without spaces", true),
		KEY("sessionToken", keys.session_token, is_secret,
		    "printable characters without spaces; several SDKs refuse credentials that "
		    "have none",
		    true),
		KEY("expiration", keys.expiration, is_timestamp, "UTC time as 2026-12-01T00:00:00Z",
		    false),
	};

	return yml_mapping(src, node, keys, ARRAY_SIZE(keys), target);
}

static int read_entry(const struct yml_source *src, const struct yml_node *node, void *target)
{
	static const struct yml_key keys[] = {
		KEY("namespace", namespace, is_namespace,
		    "a Kubernetes namespace: 1 to 63 of a-z, 0-9 and -", true),
		KEY("serviceAccount", service_account, is_service_account,
		    "a service account's name, without wildcards", true),
		KEY("role", role, is_role,
		    "a role's name, not its ARN: 1 to 64 of A-Z a-z 0-9 + = , . @ _ -", true),
		KEY("accountId", account_id, is_account_id, "12 digits", false),
		YML_REQUIRED("static", read_static),
	};
	struct cred_table *t = target;
	struct cred_association *a = &t->entries[t->count];
	int r = yml_mapping(src, node, keys, ARRAY_SIZE(keys), a);

	if (r < 0)
		return r;
	a->line = yml_get(node, "serviceAccount")->line;
	if (a->keys.expiration)
		timestamp_parse(a->keys.expiration, &a->expires);
	t->by_name[t->count++] = a;
	return 0;
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

int cred_table_parse(const char *name, const char *text, size_t len, struct cred_table **ret,
		     struct pc_err *err)
{
	const struct yml_source src = {.name = name, .secret = true, .err = err};
	struct cred_table *t = calloc(1, sizeof(*t));
	int r;

	if (!t)
		return pc_err_set(err, -ENOMEM, "%s: out of memory", name);
	atomic_init(&t->refs, 1);
	r = table_build(&src, text, len, t);
	if (r < 0) {
		cred_table_unref(t);
		return r;
	}
	*ret = t;
	return 0;
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
	yml_tree_free(t->tree);
	free(t->entries);
	free(t->by_name);
	free(t);
}

size_t cred_table_count(const struct cred_table *t)
{
	return t->count;
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
