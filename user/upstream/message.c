// SPDX-License-Identifier: Apache-2.0
/* Messages as JSON objects: one table of members, which is read in both directions. */
#include "upstream/message.h"

#include <errno.h>
#include <jansson.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/secret.h"
#include "base/secret_json.h"
#include "base/text.h"

#define WALL_MAX 253402300799 /* the last second that has a year of four digits */

enum kind {
	TEXT, /* printable, one line; const char * */
	BODY, /* may be empty, and have lines; const char * */
	NUMBER, /* uint64_t */
	WALL, /* time_t */
	WORD, /* an enum */
	LIST, /* struct upstream_list, of TEXT */
};

struct words {
	const char *const *v;
	size_t n;
};

struct member {
	const char *key; /* NULL ends a list */
	enum kind kind;
	bool optional;
	size_t offset;
	uint64_t max; /* size of a text with its NUL, or the largest number */
	const struct words *words;
};

/* ---- the words ---- */

static const char *const type_names[UPSTREAM_TYPES] = {
	[UPSTREAM_HELLO] = "hello",	   [UPSTREAM_CREDENTIALS] = "credentials",
	[UPSTREAM_REVIEW] = "review",	   [UPSTREAM_METADATA] = "metadata",
	[UPSTREAM_GRANT] = "grant",	   [UPSTREAM_VERDICT] = "verdict",
	[UPSTREAM_DOCUMENT] = "document",  [UPSTREAM_REFUSAL] = "refusal",
	[UPSTREAM_KEYS] = "keys",	   [UPSTREAM_FLUSH] = "flush",
	[UPSTREAM_WANT_KEYS] = "wantKeys", [UPSTREAM_GONE] = "gone",
};
static const char *const role_names[UPSTREAM_ROLES] = {
	[UPSTREAM_FETCH] = "fetch",
	[UPSTREAM_RESOLVE] = "resolve",
};
static const char *const reason_names[UPSTREAM_REASON_MAX] = {
#define X(name, text) [UPSTREAM_##name] = #text,
	UPSTREAM_REASONS(X)
#undef X
};
static const char *const cache_names[UPSTREAM_CACHE_MAX] = {
	[UPSTREAM_CACHE_MISS] = "miss",
	[UPSTREAM_CACHE_HIT] = "hit",
	[UPSTREAM_CACHE_REFRESH] = "refresh",
	[UPSTREAM_CACHE_STALE] = "stale",
};
static const char *const verify_names[UPSTREAM_VERIFY_MAX] = {
	[UPSTREAM_VERIFY_OFF] = "off",
	[UPSTREAM_VERIFY_JWKS] = "jwks",
	[UPSTREAM_VERIFY_REVIEW] = "review",
};
static const char *const purpose_names[UPSTREAM_PURPOSES] = {
	[UPSTREAM_FOR_POD_IDENTITY] = "podIdentity",
	[UPSTREAM_FOR_STS] = "sts",
};

static const struct words roles = {role_names, ARRAY_SIZE(role_names)};
static const struct words reasons = {reason_names, ARRAY_SIZE(reason_names)};
static const struct words caches = {cache_names, ARRAY_SIZE(cache_names)};
static const struct words verifies = {verify_names, ARRAY_SIZE(verify_names)};
static const struct words purposes = {purpose_names, ARRAY_SIZE(purpose_names)};

const char *upstream_type_name(enum upstream_type type)
{
	return type_names[type];
}

const char *upstream_reason_name(enum upstream_reason reason)
{
	return reason_names[reason];
}

const char *upstream_cache_name(enum upstream_cache cache)
{
	return cache_names[cache];
}

/* ---- the table ---- */

#define AT(field) offsetof(struct upstream_message, field)
#define ID(type)                                                                                   \
	{                                                                                          \
		.key = "id", .kind = NUMBER, .offset = AT(type.id), .max = INT64_MAX               \
	}
#define A_TEXT(k, field, size)                                                                     \
	{                                                                                          \
		.key = (k), .kind = TEXT, .offset = AT(field), .max = (size)                       \
	}
#define MAY(k, field, size)                                                                        \
	{                                                                                          \
		.key = (k), .kind = TEXT, .offset = AT(field), .max = (size), .optional = true     \
	}
#define A_BODY(k, field, opt)                                                                      \
	{                                                                                          \
		.key = (k), .kind = BODY, .offset = AT(field), .max = UPSTREAM_BODY_SIZE,          \
		.optional = (opt)                                                                  \
	}
#define AFTER(k, field)                                                                            \
	{                                                                                          \
		.key = (k), .kind = NUMBER, .offset = AT(field), .max = UPSTREAM_WAIT_MAX_MS       \
	}
#define A_WORD(k, field, list)                                                                     \
	{                                                                                          \
		.key = (k), .kind = WORD, .offset = AT(field), .words = &(list)                    \
	}
#define END                                                                                        \
	{                                                                                          \
		.key = NULL                                                                        \
	}

static const struct member hello[] = {
	{.key = "version", .kind = NUMBER, .offset = AT(hello.version), .max = INT32_MAX},
	A_WORD("role", hello.role, roles),
	END,
};
static const struct member credentials[] = {
	ID(credentials),
	A_TEXT("namespace", credentials.pod.name_space, UPSTREAM_NAME_SIZE),
	A_TEXT("pod", credentials.pod.name, UPSTREAM_NAME_SIZE),
	A_TEXT("podUid", credentials.pod.uid, UPSTREAM_UID_SIZE),
	A_TEXT("serviceAccount", credentials.pod.service_account, UPSTREAM_NAME_SIZE),
	MAY("token", credentials.token, UPSTREAM_TOKEN_SIZE),
	END,
};
static const struct member review[] = {
	ID(review),
	A_TEXT("token", review.token, UPSTREAM_TOKEN_SIZE),
	A_WORD("for", review.purpose, purposes),
	END,
};
static const struct member metadata[] = {
	ID(metadata),
	A_TEXT("path", metadata.path, UPSTREAM_PATH_SIZE),
	END,
};
static const struct member grant[] = {
	ID(grant),
	A_TEXT("accessKeyId", grant.access_key_id, UPSTREAM_KEY_SIZE),
	A_TEXT("secretAccessKey", grant.secret_access_key, UPSTREAM_KEY_SIZE),
	MAY("sessionToken", grant.session_token, UPSTREAM_TOKEN_SIZE),
	{.key = "expiration", .kind = WALL, .offset = AT(grant.expiration), .max = WALL_MAX},
	AFTER("refreshMs", grant.refresh_ms),
	A_TEXT("role", grant.role, UPSTREAM_ROLE_SIZE),
	MAY("roleArn", grant.role_arn, UPSTREAM_ARN_SIZE),
	MAY("accountId", grant.account_id, UPSTREAM_ACCOUNT_SIZE),
	MAY("sessionName", grant.session_name, UPSTREAM_SESSION_SIZE),
	MAY("roleId", grant.role_id, UPSTREAM_ROLE_ID_SIZE),
	A_TEXT("source", grant.source, UPSTREAM_SOURCE_SIZE),
	A_WORD("cache", grant.cache, caches),
	END,
};
static const struct member refusal[] = {
	ID(refusal),
	A_WORD("reason", refusal.reason, reasons),
	A_TEXT("message", refusal.message, UPSTREAM_TEXT_SIZE),
	AFTER("retryMs", refusal.retry_ms),
	MAY("roleArn", refusal.role_arn, UPSTREAM_ARN_SIZE),
	MAY("source", refusal.source, UPSTREAM_SOURCE_SIZE),
	END,
};
static const struct member verdict[] = {
	ID(verdict),
	A_TEXT("namespace", verdict.name_space, UPSTREAM_NAME_SIZE),
	A_TEXT("serviceAccount", verdict.service_account, UPSTREAM_NAME_SIZE),
	A_TEXT("podUid", verdict.pod_uid, UPSTREAM_UID_SIZE),
	AFTER("validMs", verdict.valid_ms),
	END,
};
static const struct member document[] = {
	ID(document),
	MAY("contentType", document.content_type, UPSTREAM_SOURCE_SIZE),
	A_BODY("body", document.body, false),
	AFTER("validMs", document.valid_ms),
	END,
};
static const struct member keys[] = {
	A_WORD("verify", keys.verify, verifies),
	{.key = "issuers",
	 .kind = LIST,
	 .offset = AT(keys.issuers),
	 .max = UPSTREAM_URL_SIZE,
	 .optional = true},
	MAY("audience", keys.audience, UPSTREAM_URL_SIZE),
	MAY("stsAudience", keys.sts_audience, UPSTREAM_URL_SIZE),
	A_BODY("jwks", keys.jwks, true),
	END,
};
static const struct member flush[] = {
	MAY("podUid", flush.pod_uid, UPSTREAM_UID_SIZE),
	END,
};
static const struct member want_keys[] = {
	END,
};
static const struct member gone[] = {
	A_TEXT("podUid", gone.pod_uid, UPSTREAM_UID_SIZE),
	END,
};

static const struct member *const members[UPSTREAM_TYPES] = {
	[UPSTREAM_HELLO] = hello,	  [UPSTREAM_CREDENTIALS] = credentials,
	[UPSTREAM_REVIEW] = review,	  [UPSTREAM_METADATA] = metadata,
	[UPSTREAM_GRANT] = grant,	  [UPSTREAM_VERDICT] = verdict,
	[UPSTREAM_DOCUMENT] = document,	  [UPSTREAM_REFUSAL] = refusal,
	[UPSTREAM_KEYS] = keys,		  [UPSTREAM_FLUSH] = flush,
	[UPSTREAM_WANT_KEYS] = want_keys, [UPSTREAM_GONE] = gone,
};

/* ---- what a value may be ---- */

static bool is_printable(const char *s)
{
	for (; *s; s++)
		if ((unsigned char)*s < 0x20 || *s == 0x7f)
			return false;
	return true;
}

static bool is_text(const struct member *member, const char *s)
{
	if (strlen(s) >= member->max)
		return false;
	return member->kind == BODY || (s[0] && is_printable(s));
}

/* The other end would cut us off for it. */
static bool is_utf8(const char *s)
{
	json_t *value = json_string(s);

	json_decref(value);
	return value;
}

/* ---- to JSON ---- */

static int put_text(struct text *t, const struct member *member, const char *value)
{
	if (!value)
		return member->optional ? 0 : -EINVAL;
	if (!is_text(member, value) || !is_utf8(value))
		return -EINVAL;
	text_add_member(t, member->key, value);
	return 0;
}

static int put_number(struct text *t, const struct member *member, uint64_t value)
{
	if (value > member->max)
		return -EINVAL;
	text_addf(t, ",\"%s\":%llu", member->key, (unsigned long long)value);
	return 0;
}

static int put_word(struct text *t, const struct member *member, unsigned value)
{
	if (value >= member->words->n)
		return -EINVAL;
	text_add_member(t, member->key, member->words->v[value]);
	return 0;
}

static int put_list(struct text *t, const struct member *member, const struct upstream_list *list)
{
	if (list->n > UPSTREAM_LIST_MAX)
		return -EINVAL;
	if (!list->n)
		return 0;
	text_addf(t, ",\"%s\":[", member->key);
	for (size_t i = 0; i < list->n; i++) {
		if (!list->v[i] || !is_text(member, list->v[i]) || !is_utf8(list->v[i]))
			return -EINVAL;
		text_add(t, i ? "," : "");
		text_add_string(t, list->v[i]);
	}
	text_add(t, "]");
	return 0;
}

static int put_member(struct text *t, const struct member *member, const void *at)
{
	const time_t *wall = at;

	switch (member->kind) {
	case TEXT:
	case BODY:
		return put_text(t, member, *(const char *const *)at);
	case NUMBER:
		return put_number(t, member, *(const uint64_t *)at);
	case WALL:
		return *wall <= 0 ? -EINVAL : put_number(t, member, (uint64_t)*wall);
	case WORD:
		return put_word(t, member, *(const unsigned *)at);
	case LIST:
		return put_list(t, member, at);
	}
	return -EINVAL;
}

int upstream_encode(const struct upstream_message *m, struct text *ret)
{
	int r = 0;

	if ((unsigned)m->type >= UPSTREAM_TYPES)
		return -EINVAL;
	ret->max = UPSTREAM_MESSAGE_MAX;
	text_add(ret, "{");
	text_add_member(ret, "type", type_names[m->type]);
	for (const struct member *i = members[m->type]; i->key && r == 0; i++)
		r = put_member(ret, i, (const char *)m + i->offset);
	text_add(ret, "}");
	if (r == 0)
		r = text_error(ret);
	return r == -E2BIG ? -EMSGSIZE : r;
}

/* ---- from JSON ---- */

/* A word of the enum, or -EINVAL. */
static int find_word(const struct words *words, const char *text)
{
	for (size_t i = 0; text && i < words->n; i++)
		if (!strcmp(words->v[i], text))
			return (int)i;
	return -EINVAL;
}

static int get_text(const struct member *member, const json_t *value, const char **ret)
{
	const char *text = json_string_value(value);

	if (!text || strlen(text) != json_string_length(value) || !is_text(member, text))
		return -EINVAL;
	*ret = text;
	return 0;
}

static int get_number(const struct member *member, const json_t *value, uint64_t *ret)
{
	json_int_t number = json_integer_value(value);

	if (!json_is_integer(value) || number < 0 || (uint64_t)number > member->max)
		return -EINVAL;
	*ret = (uint64_t)number;
	return 0;
}

static int get_wall(const struct member *member, const json_t *value, time_t *ret)
{
	uint64_t number;

	if (get_number(member, value, &number) < 0 || number == 0)
		return -EINVAL;
	*ret = (time_t)number;
	return 0;
}

static int get_word(const struct member *member, const json_t *value, unsigned *ret)
{
	int word = find_word(member->words, json_string_value(value));

	if (word < 0)
		return word;
	*ret = (unsigned)word;
	return 0;
}

static int get_list(const struct member *member, const json_t *value, struct upstream_list *ret)
{
	size_t n = json_array_size(value);

	if (!json_is_array(value) || !n || n > UPSTREAM_LIST_MAX)
		return -EINVAL;
	for (ret->n = 0; ret->n < n; ret->n++)
		if (get_text(member, json_array_get(value, ret->n), &ret->v[ret->n]) < 0)
			return -EINVAL;
	return 0;
}

static int get_member(const struct member *member, const json_t *value, void *at)
{
	switch (member->kind) {
	case TEXT:
	case BODY:
		return get_text(member, value, at);
	case NUMBER:
		return get_number(member, value, at);
	case WALL:
		return get_wall(member, value, at);
	case WORD:
		return get_word(member, value, at);
	case LIST:
		return get_list(member, value, at);
	}
	return -EINVAL;
}

static int refuse(struct pc_err *err, const struct upstream_message *m, const char *what,
		  const char *key)
{
	return pc_err_set(err, -EINVAL, "a message \"%s\" %s \"%s\"", type_names[m->type], what,
			  key);
}

/* *left: members of the object that were not read yet. */
static int get_members(const json_t *json, struct upstream_message *m, size_t *left,
		       struct pc_err *err)
{
	for (const struct member *i = members[m->type]; i->key; i++) {
		const json_t *value = json_object_get(json, i->key);

		if (!value && i->optional)
			continue;
		if (!value)
			return refuse(err, m, "without", i->key);
		if (get_member(i, value, (char *)m + i->offset) < 0)
			return refuse(err, m, "with a bad", i->key);
		(*left)--;
	}
	return 0;
}

static int decode(const json_t *json, struct upstream_message *ret, struct pc_err *err)
{
	static const struct words types = {type_names, ARRAY_SIZE(type_names)};
	int type = find_word(&types, json_string_value(json_object_get(json, "type")));
	size_t left = json_object_size(json) - 1;
	int r;

	if (type < 0)
		return pc_err_set(err, -EINVAL, "a message of a type that is not known");
	ret->type = (enum upstream_type)type;
	r = get_members(json, ret, &left, err);
	if (r < 0)
		return r;
	return left ? pc_err_set(err, -EINVAL, "a message \"%s\" with a member that it has not",
				 type_names[type])
		    : 0;
}

int upstream_decode(const char *data, size_t len, struct upstream_decoded *ret, struct pc_err *err)
{
	struct upstream_decoded d = {};
	json_error_t error;
	int r;

	if (len > UPSTREAM_MESSAGE_MAX)
		return pc_err_set(err, -EINVAL, "a message of more than %d bytes",
				  UPSTREAM_MESSAGE_MAX);
	d.json = json_loadb(data, len, JSON_REJECT_DUPLICATES, &error);
	if (!d.json)
		return json_error_code(&error) == json_error_out_of_memory
			       ? pc_err_set(err, -ENOMEM, "no memory")
			       : pc_err_set(err, -EINVAL, "a message that is not JSON");
	r = decode(d.json, &d.m, err);
	if (r < 0)
		json_decref(d.json);
	else
		*ret = d;
	return r;
}

void upstream_decoded_done(struct upstream_decoded *d)
{
	json_decref(d->json);
	explicit_bzero(d, sizeof(*d));
}

/* ---- its memory ---- */

void upstream_wipe_json(void)
{
	secret_json_wipe();
}
