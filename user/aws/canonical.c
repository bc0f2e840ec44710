// SPDX-License-Identifier: Apache-2.0
#include "aws/canonical.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "crypto/hash.h"

#define UPPER	   "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
#define UNRESERVED UPPER "abcdefghijklmnopqrstuvwxyz0123456789-_.~"
#define TOKEN	   UPPER "abcdefghijklmnopqrstuvwxyz0123456789!#$%&'*+-.^_`|~" /* RFC 9110 */

static void add_hex(struct text *t, const uint8_t *bytes, size_t len)
{
	for (size_t i = 0; i < len; i++)
		text_addf(t, "%02x", bytes[i]);
}

static int add_hash(struct text *t, const void *data, size_t len)
{
	uint8_t hash[CRYPTO_SHA256_SIZE];
	int r = crypto_sha256(data, len, hash);

	if (r == 0)
		add_hex(t, hash, sizeof(hash));
	return r;
}

static void add_escaped(struct text *t, unsigned char c)
{
	if (c && strchr(UNRESERVED, c))
		text_add_bytes(t, &c, 1);
	else
		text_addf(t, "%%%02X", c);
}

void aws_add_escaped(struct text *t, const char *text)
{
	for (; *text; text++)
		add_escaped(t, (unsigned char)*text);
}

/* ---- the path: what is hashed is escaped once more than what is sent ---- */

/* The start of the segment in front of the last one that t has. */
static size_t parent(const struct text *t, size_t root)
{
	const char *slash = t->len > root ? memrchr(t->data + root, '/', t->len - root) : NULL;

	return slash ? (size_t)(slash - t->data) : root;
}

/* With the slash in front; "." and ".." are resolved, and slashes in a row are one. */
static void add_segment(struct text *t, size_t root, const char *segment, size_t len)
{
	if (!len || (len == 1 && segment[0] == '.'))
		return;
	if (len == 2 && !memcmp(segment, "..", 2)) {
		t->len = parent(t, root);
		return;
	}
	text_add(t, "/");
	for (size_t i = 0; i < len; i++)
		add_escaped(t, (unsigned char)segment[i]);
}

static void add_path(struct text *t, const char *path, size_t len)
{
	size_t root = t->len, n;

	for (size_t at = 0; at < len && !text_error(t); at += n + 1) {
		const char *end = memchr(path + at, '/', len - at);

		n = end ? (size_t)(end - path) - at : len - at;
		add_segment(t, root, path + at, n);
	}
	if (t->len == root || path[len - 1] == '/')
		text_add(t, "/");
}

/* ---- the query: sorted, each name and value in one spelling ---- */

struct param {
	size_t name_at, value_at; /* in the text that has them all */
	const char *name, *value;
};

static int hex(char c)
{
	static const char digits[] = "0123456789abcdef";
	const char *at = c ? strchr(digits, c >= 'A' && c <= 'F' ? c - 'A' + 'a' : c) : NULL;

	return at ? (int)(at - digits) : -1;
}

/* A '+' is itself, as a blank is %20. A '%' that escapes nothing is one as well. */
static void add_respelt(struct text *t, const char *text, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		int high = text[i] == '%' && len - i > 2 ? hex(text[i + 1]) : -1;
		int low = high < 0 ? -1 : hex(text[i + 2]);

		add_escaped(t, (unsigned char)(low < 0 ? text[i] : high << 4 | low));
		i += low < 0 ? 0 : 2;
	}
	text_add_bytes(t, "", 1);
}

static int compare_params(const void *a, const void *b)
{
	const struct param *pa = a, *pb = b;

	return strcmp(pa->name, pb->name) ?: strcmp(pa->value, pb->value);
}

static size_t respell(struct text *t, const char *query, struct param *params)
{
	size_t n = 0;

	for (const char *at = query; *at;) {
		size_t len = strcspn(at, "&"), name_len = strcspn(at, "=&");

		if (len) {
			params[n].name_at = t->len;
			add_respelt(t, at, name_len);
			params[n].value_at = t->len;
			add_respelt(t, at + name_len + 1, name_len < len ? len - name_len - 1 : 0);
			n++;
		}
		at += len + (at[len] == '&');
	}
	return n;
}

static size_t count_params(const char *query)
{
	size_t n = 1;

	for (; *query; query++)
		n += *query == '&';
	return n;
}

static int add_query(struct text *t, const char *query)
{
	_cleanup_(text_done) struct text spelt = {.max = AWS_CANONICAL_MAX};
	_cleanup_free_ struct param *params = calloc(count_params(query), sizeof(*params));
	size_t n;

	if (!params)
		return -ENOMEM;
	n = respell(&spelt, query, params);
	if (text_error(&spelt))
		return text_error(&spelt);
	for (size_t i = 0; i < n; i++) {
		params[i].name = spelt.data + params[i].name_at;
		params[i].value = spelt.data + params[i].value_at;
	}
	qsort(params, n, sizeof(*params), compare_params);
	for (size_t i = 0; i < n; i++) {
		text_add(t, i ? "&" : "");
		text_add(t, params[i].name);
		text_add(t, "=");
		text_add(t, params[i].value);
	}
	return 0;
}

/* ---- headers ---- */

bool aws_header_is(const struct aws_header *header, const char *name, size_t len)
{
	return strlen(header->name) == len && !strncasecmp(header->name, name, len);
}

static int compare_names(const void *a, const void *b)
{
	const struct aws_header *ha = *(const struct aws_header *const *)a;
	const struct aws_header *hb = *(const struct aws_header *const *)b;

	return strcasecmp(ha->name, hb->name);
}

static void add_lower(struct text *t, const char *name)
{
	for (; *name; name++) {
		char c = strchr(UPPER, *name) ? (char)(*name - 'A' + 'a') : *name;

		text_add_bytes(t, &c, 1);
	}
}

static bool is_token(const char *name)
{
	return *name && !name[strspn(name, TOKEN)];
}

int aws_canonical_names(const struct aws_header *headers, size_t n, struct text *ret)
{
	_cleanup_free_ const struct aws_header **sorted =
		calloc(n + 1, sizeof(struct aws_header *));

	if (!sorted)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++) {
		if (!is_token(headers[i].name))
			return -EINVAL;
		sorted[i] = &headers[i];
	}
	qsort(sorted, n, sizeof(struct aws_header *), compare_names);
	for (size_t i = 0; i < n; i++) {
		if (i && !strcasecmp(sorted[i - 1]->name, sorted[i]->name))
			continue;
		text_add(ret, i ? ";" : "");
		add_lower(ret, sorted[i]->name);
	}
	return text_error(ret);
}

/* Blanks at the ends go, and those in a row are one. -EINVAL: a byte that no header has. */
static int add_value(struct text *t, const char *value)
{
	bool begun = false;

	while (*value) {
		size_t blanks = strspn(value, " \t"), len;

		value += blanks;
		len = strcspn(value, " \t");
		for (size_t i = 0; i < len; i++)
			if ((unsigned char)value[i] < ' ' || value[i] == 0x7f)
				return -EINVAL;
		text_add(t, blanks && begun && len ? " " : "");
		text_add_bytes(t, value, len);
		begun = begun || len;
		value += len;
	}
	return 0;
}

/* All that have this name, in the order in which they are sent. */
static int add_header(struct text *t, const struct aws_request *request, const char *name,
		      size_t len)
{
	bool found = false;
	int r = 0;

	text_add_bytes(t, name, len);
	for (size_t i = 0; i < request->n_headers && r == 0; i++) {
		if (!aws_header_is(&request->headers[i], name, len))
			continue;
		text_add(t, found ? "," : ":");
		r = add_value(t, request->headers[i].value);
		found = true;
	}
	text_add(t, "\n");
	return r ?: found ? 0 : -EINVAL;
}

static int add_headers(struct text *t, const struct aws_request *request, const char *names)
{
	int r = 0;

	while (*names && r == 0) {
		size_t len = strcspn(names, ";");

		r = add_header(t, request, names, len);
		names += len + (names[len] == ';');
	}
	return r;
}

/* ---- the whole ---- */

static bool is_target(const char *target)
{
	if (*target != '/')
		return false;
	for (; *target; target++)
		if ((unsigned char)*target <= ' ' || *target == '#' || *target == 0x7f)
			return false;
	return true;
}

static bool is_method(const char *method)
{
	return *method && !method[strspn(method, UPPER)];
}

int aws_canonical_request(const struct aws_request *request, const char *names, const char *service,
			  struct text *ret)
{
	const char *query = strchr(request->target, '?');
	size_t len = query ? (size_t)(query - request->target) : strlen(request->target);
	int r;

	if (!is_target(request->target) || !is_method(request->method))
		return -EINVAL;
	ret->max = AWS_CANONICAL_MAX;
	text_add(ret, request->method);
	text_add(ret, "\n");
	if (strcmp(service, "s3") != 0)
		add_path(ret, request->target, len);
	else
		text_add_bytes(ret, request->target, len);
	text_add(ret, "\n");
	r = add_query(ret, query ? query + 1 : "");
	text_add(ret, "\n");
	r = r ?: add_headers(ret, request, names);
	text_add(ret, "\n");
	text_add(ret, names);
	text_add(ret, "\n");
	r = r ?: add_hash(ret, request->body, request->body ? request->body_len : 0);
	return r ?: text_error(ret);
}

int aws_string_to_sign(const char *algorithm, const char *date, const struct aws_scope *scope,
		       const struct text *canonical, struct text *ret)
{
	int r;

	text_addf(ret, "%s\n%s\n", algorithm, date);
	text_addf(ret, "%.8s/%s/%s/aws4_request\n", date, scope->region, scope->service);
	r = add_hash(ret, canonical->data, canonical->len);
	return r ?: text_error(ret);
}

/* ---- the key ---- */

static int derive(uint8_t key[CRYPTO_SHA256_SIZE], const char *text)
{
	return crypto_hmac_sha256(key, CRYPTO_SHA256_SIZE, text, strlen(text), key);
}

int aws_hmac_signature(const char *secret_access_key, const char *day,
		       const struct aws_scope *scope, const struct text *to_sign, uint8_t ret[32])
{
	_cleanup_(text_done) struct text first = {};
	uint8_t key[CRYPTO_SHA256_SIZE];
	int r;

	text_add(&first, "AWS4");
	text_add(&first, secret_access_key);
	r = text_error(&first) ?: crypto_hmac_sha256(first.data, first.len, day, 8, key);
	r = r ?: derive(key, scope->region);
	r = r ?: derive(key, scope->service);
	r = r ?: derive(key, "aws4_request");
	r = r ?: crypto_hmac_sha256(key, sizeof(key), to_sign->data, to_sign->len, ret);
	explicit_bzero(key, sizeof(key));
	return r;
}
