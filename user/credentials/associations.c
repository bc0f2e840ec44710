// SPDX-License-Identifier: Apache-2.0
#include "associations.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "associations_yaml.h"
#include "cleanup.h"
#include "timestamp.h"

struct association_table {
	atomic_uint refs;
	struct associations_doc *doc;
	const struct association **by_name; /* sorted */
	size_t count;
};

static int compare(const struct association *a, const char *namespace, const char *service_account)
{
	int c = strcmp(a->namespace, namespace);

	return c ? c : strcmp(a->service_account, service_account);
}

static int compare_entries(const void *left, const void *right)
{
	const struct association *a = *(const struct association *const *)left;
	const struct association *b = *(const struct association *const *)right;
	int c = compare(a, b->namespace, b->service_account);

	return c ? c : (a > b) - (a < b);
}

/* RFC 1123: lower case letters, digits and dashes; dots between labels when dotted. */
static bool is_dns_name(const char *s, size_t max, bool dotted)
{
	size_t len = strlen(s);

	if (!len || len > max)
		return false;
	for (size_t i = 0; i < len; i++) {
		bool inner = i > 0 && i + 1 < len;

		if ((s[i] >= 'a' && s[i] <= 'z') || (s[i] >= '0' && s[i] <= '9'))
			continue;
		if (s[i] == '-' && inner && s[i - 1] != '.' && s[i + 1] != '.')
			continue;
		if (s[i] == '.' && dotted && inner && s[i - 1] != '.')
			continue;
		return false;
	}
	return true;
}

static bool is_namespace(const char *s)
{
	return is_dns_name(s, 63, false);
}

static bool is_service_account(const char *s)
{
	return is_dns_name(s, 253, true);
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

static const struct rule {
	const char *key;
	size_t offset;
	bool (*valid)(const char *);
	const char *wants;
} rules[] = {
	{"namespace", offsetof(struct association, namespace), is_namespace,
	 "a Kubernetes namespace: 1 to 63 of a-z, 0-9 and -"},
	{"serviceAccount", offsetof(struct association, service_account), is_service_account,
	 "a service account's name, without wildcards"},
	{"role", offsetof(struct association, role), is_role,
	 "a role's name, not its ARN: 1 to 64 of A-Z a-z 0-9 + = , . @ _ -"},
	{"accountId", offsetof(struct association, account_id), is_account_id, "12 digits"},
	{"accessKeyId", offsetof(struct association, keys.access_key_id), is_access_key_id,
	 "1 to 128 letters and digits"},
	{"secretAccessKey", offsetof(struct association, keys.secret_access_key), is_secret,
	 "printable characters without spaces"},
	{"sessionToken", offsetof(struct association, keys.session_token), is_secret,
	 "printable characters without spaces; several SDKs refuse credentials that have none"},
	{"expiration", offsetof(struct association, keys.expiration), is_timestamp,
	 "UTC time as 2026-12-01T00:00:00Z"},
};

/* What a message needs to point into the file. */
struct source {
	const char *name, *text;
	size_t len;
};

static int check_entry(const struct source *src, struct association *a, long index,
		       struct pc_err *err)
{
	for (size_t i = 0; i < ARRAY_SIZE(rules); i++) {
		const char *value = *(char **)((char *)a + rules[i].offset);

		if (!value || rules[i].valid(value))
			continue;
		return pc_err_set(
			err, -EINVAL, "%s:%zu: bad value of '%s'; write %s", src->name,
			associations_yaml_line(src->text, src->len, index, rules[i].key, NULL),
			rules[i].key, rules[i].wants);
	}
	if (a->keys.expiration)
		timestamp_parse(a->keys.expiration, &a->expires);
	return 0;
}

static int check_duplicates(const struct source *src, const struct association_table *t,
			    struct pc_err *err)
{
	for (size_t i = 1; i < t->count; i++) {
		const struct association *a = t->by_name[i - 1], *b = t->by_name[i];

		if (compare(a, b->namespace, b->service_account) != 0)
			continue;
		return pc_err_set(
			err, -EEXIST,
			"%s:%zu: second association of %s/%s, the first is in line %zu; remove one",
			src->name,
			associations_yaml_line(src->text, src->len, b - t->doc->entries,
					       "serviceAccount", NULL),
			b->namespace, b->service_account,
			associations_yaml_line(src->text, src->len, a - t->doc->entries,
					       "serviceAccount", NULL));
	}
	return 0;
}

static int table_build(const struct source *src, struct association_table *t, struct pc_err *err)
{
	int r;

	r = associations_yaml_load(src->name, src->text, src->len, &t->doc, err);
	if (r < 0)
		return r;
	t->count = t->doc->entries_count;
	t->by_name = calloc(t->count + 1, sizeof(*t->by_name));
	if (!t->by_name)
		return pc_err_set(err, -ENOMEM, "%s: out of memory", src->name);
	for (size_t i = 0; i < t->count; i++) {
		r = check_entry(src, &t->doc->entries[i], (long)i, err);
		if (r < 0)
			return r;
		t->by_name[i] = &t->doc->entries[i];
	}
	qsort(t->by_name, t->count, sizeof(*t->by_name), compare_entries);
	return check_duplicates(src, t, err);
}

int association_table_parse(const char *name, const char *text, size_t len,
			    struct association_table **ret, struct pc_err *err)
{
	const struct source src = {.name = name, .text = text, .len = len};
	struct association_table *t = calloc(1, sizeof(*t));
	int r;

	if (!t)
		return pc_err_set(err, -ENOMEM, "%s: out of memory", name);
	atomic_init(&t->refs, 1);
	r = table_build(&src, t, err);
	if (r < 0) {
		association_table_unref(t);
		return r;
	}
	*ret = t;
	return 0;
}

struct association_table *association_table_ref(struct association_table *t)
{
	atomic_fetch_add(&t->refs, 1);
	return t;
}

void association_table_unref(struct association_table *t)
{
	if (!t || atomic_fetch_sub(&t->refs, 1) != 1)
		return;
	associations_yaml_free(t->doc);
	free(t->by_name);
	free(t);
}

size_t association_table_count(const struct association_table *t)
{
	return t->count;
}

const struct association *association_find(const struct association_table *t, const char *namespace,
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
