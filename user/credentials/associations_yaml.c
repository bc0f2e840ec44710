// SPDX-License-Identifier: Apache-2.0
#include "associations_yaml.h"

#include <cyaml/cyaml.h>
#include <errno.h>
#include <stdalign.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"

#define MAX_ENTRIES 100000
#define STRING(key, flags, type, member)                                                           \
	CYAML_FIELD_STRING_PTR(key, CYAML_FLAG_POINTER | (flags), type, member, 0, CYAML_UNLIMITED)

static const cyaml_schema_field_t static_fields[] = {
	STRING("accessKeyId", 0, struct static_keys, access_key_id),
	STRING("secretAccessKey", 0, struct static_keys, secret_access_key),
	STRING("sessionToken", 0, struct static_keys, session_token),
	STRING("expiration", CYAML_FLAG_OPTIONAL, struct static_keys, expiration),
	CYAML_FIELD_END,
};

static const cyaml_schema_field_t association_fields[] = {
	STRING("namespace", 0, struct association, namespace),
	STRING("serviceAccount", 0, struct association, service_account),
	STRING("role", 0, struct association, role),
	STRING("accountId", CYAML_FLAG_OPTIONAL, struct association, account_id),
	CYAML_FIELD_MAPPING("static", CYAML_FLAG_DEFAULT, struct association, keys, static_fields),
	CYAML_FIELD_END,
};

static const cyaml_schema_value_t association_value = {
	CYAML_VALUE_MAPPING(CYAML_FLAG_DEFAULT, struct association, association_fields),
};

static const cyaml_schema_field_t doc_fields[] = {
	CYAML_FIELD_SEQUENCE("associations", CYAML_FLAG_POINTER, struct associations_doc, entries,
			     &association_value, 0, MAX_ENTRIES),
	CYAML_FIELD_END,
};

static const cyaml_schema_value_t doc_value = {
	CYAML_VALUE_MAPPING(CYAML_FLAG_POINTER, struct associations_doc, doc_fields),
};

/* Size in front of each block, so that free can wipe what may have been a secret. The two read
 * buffers of libyaml inside libcyaml are beyond reach: a process that minds what its freed memory
 * holds sets mallopt(M_PERTURB). */
union block {
	size_t size;
	max_align_t align;
};

static void *wiping_mem(void *ctx, void *ptr, size_t size)
{
	union block *old = ptr ? (union block *)ptr - 1 : NULL, *new = NULL;

	(void)ctx;
	if (size) {
		new = malloc(sizeof(*new) + size);
		if (!new)
			return NULL;
		new->size = size;
		if (old)
			memcpy(new + 1, old + 1, old->size < size ? old->size : size);
	}
	if (old) {
		explicit_bzero(old + 1, old->size);
		free(old);
	}
	return new ? new + 1 : NULL;
}

/* What libcyaml said, as far as it can be repeated: its messages may quote values. */
struct complaint {
	char what[160];
	char key[64]; /* that the complaint is about */
	char field[64]; /* innermost field of the backtrace */
	long entry; /* -1: not in an entry */
};

/* Keys are typed by people and never look like a key id, secret or token; anything else might be
 * a value that lost its place. */
static bool looks_like_key(const char *s)
{
	size_t n = strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_-");

	return n && n <= 24 && !s[n];
}

static void complain(struct complaint *c, const char *what, const char *key)
{
	bool shown = looks_like_key(key);

	snprintf(c->key, sizeof(c->key), "%s", key);
	if (shown)
		snprintf(c->what, sizeof(c->what), "%s '%s'", what, key);
	else
		snprintf(c->what, sizeof(c->what), "%s (hidden, it may be a secret)", what);
}

/* Recognises the messages that are safe and useful by their format; ignores all others. */
static void on_log(cyaml_log_t level, void *ctx, const char *fmt, va_list args)
{
	struct complaint *c = ctx;

	(void)level;
	if (strstr(fmt, "documents after first")) {
		snprintf(c->what, sizeof(c->what), "more than one YAML document");
	} else if (strstr(fmt, "Unexpected key: %s")) {
		complain(c, "unknown key", va_arg(args, const char *));
	} else if (strstr(fmt, "already seen: %s")) {
		complain(c, "repeated key", va_arg(args, const char *));
	} else if (strstr(fmt, "Missing required mapping field: %s")) {
		complain(c, "missing key", va_arg(args, const char *));
	} else if (strstr(fmt, "Expecting %s, got event: %s")) {
		const char *type = va_arg(args, const char *);

		snprintf(c->what, sizeof(c->what), "wrong kind of value, expected a %s", type);
	} else if (strstr(fmt, "in mapping field '%s'")) {
		if (!c->field[0] && c->entry < 0)
			snprintf(c->field, sizeof(c->field), "%s", va_arg(args, const char *));
	} else if (strstr(fmt, "in sequence entry '%u'")) {
		if (c->entry < 0)
			c->entry = (long)va_arg(args, unsigned) - 1;
	}
}

static cyaml_config_t config_for(struct complaint *c)
{
	return (cyaml_config_t){
		.log_fn = on_log,
		.log_ctx = c,
		.log_level = CYAML_LOG_WARNING,
		.mem_fn = wiping_mem,
		.flags = CYAML_CFG_NO_ALIAS,
	};
}

static int explain(const char *name, const char *text, size_t len, cyaml_err_t code,
		   const struct complaint *c, struct pc_err *err)
{
	const char *key = c->key[0] ? c->key : c->field;
	const char *what = c->what[0] ? c->what : cyaml_strerror(code);
	const char *problem = NULL;
	size_t line = associations_yaml_line(text, len, c->entry, key, &problem);
	char where[80] = "";

	if (code == CYAML_ERR_OOM)
		return pc_err_set(err, -ENOMEM, "%s: out of memory", name);
	if (!problem && !c->key[0] && looks_like_key(c->field))
		snprintf(where, sizeof(where), " at key '%s'", c->field);
	return pc_err_set(err, -EINVAL, "%s:%zu: %s%s; docs/configuration.md has an example", name,
			  line ? line : 1, problem ?: what, where);
}

int associations_yaml_load(const char *name, const char *text, size_t len,
			   struct associations_doc **ret, struct pc_err *err)
{
	struct complaint c = {.entry = -1};
	cyaml_config_t config = config_for(&c);
	struct associations_doc *doc = NULL;
	cyaml_err_t code;

	code = cyaml_load_data((const uint8_t *)text, len, &config, &doc_value,
			       (cyaml_data_t **)&doc, NULL);
	if (code == CYAML_OK && doc && !c.what[0]) {
		*ret = doc;
		return 0;
	}
	associations_yaml_free(doc);
	if (code == CYAML_OK && !c.what[0])
		return pc_err_set(err, -EINVAL,
				  "%s:1: the file is empty; write `associations: []` for none",
				  name);
	return explain(name, text, len, code, &c, err);
}

void associations_yaml_free(struct associations_doc *doc)
{
	struct complaint c = {.entry = -1};
	cyaml_config_t config = config_for(&c);

	if (doc)
		cyaml_free(&config, &doc_value, doc, 0);
}
