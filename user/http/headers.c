// SPDX-License-Identifier: Apache-2.0
#include "http/headers.h"

#include <string.h>
#include <strings.h>

#include "base/cleanup.h"
#include "base/parse.h"

enum header {
	HEADER_OTHER,
	HEADER_GLUED, /* a known name and more: its line was folded */
	HEADER_HOST,
	HEADER_AUTHORIZATION,
	HEADER_LENGTH,
	HEADER_ENCODING,
	HEADER_RELAY,
	HEADER_EXTRA, /* + its index */
};

/* RELAY: what proxies add to say for whom they ask, or what they were asked for. Not here: what a
 * mesh's sidecar adds to its own pod's requests (X-Forwarded-Proto, X-Envoy-Attempt-Count). */
static const struct {
	enum header header;
	const char *name;
} known[] = {
	{HEADER_HOST, "Host"},
	{HEADER_AUTHORIZATION, "Authorization"},
	{HEADER_LENGTH, "Content-Length"},
	{HEADER_ENCODING, "Transfer-Encoding"},
	{HEADER_RELAY, "X-Forwarded-For"},
	{HEADER_RELAY, "X-Forwarded-Host"},
	{HEADER_RELAY, "X-Original-Forwarded-For"},
	{HEADER_RELAY, "Forwarded"},
	{HEADER_RELAY, "Via"},
	{HEADER_RELAY, "X-Real-IP"},
	{HEADER_RELAY, "X-Client-IP"},
	{HEADER_RELAY, "X-Cluster-Client-IP"},
	{HEADER_RELAY, "X-Envoy-External-Address"},
	{HEADER_RELAY, "True-Client-IP"},
	{HEADER_RELAY, "CF-Connecting-IP"},
};

static bool begins(const char *name, size_t len, const char *with)
{
	size_t n = strlen(with);

	return len >= n && !strncasecmp(name, with, n);
}

/* The index of one that was asked for; found: what it is if it is none of them. */
static unsigned look_up_extra(const char *const *names, const char *name, size_t len,
			      unsigned found)
{
	for (unsigned i = 0; names && i < HTTP_EXTRA_MAX && names[i]; i++) {
		if (!begins(name, len, names[i]))
			continue;
		if (len == strlen(names[i]))
			return HEADER_EXTRA + i;
		found = HEADER_GLUED;
	}
	return found;
}

static unsigned look_up(const char *const *extra, const char *name, size_t len)
{
	unsigned found = HEADER_OTHER;

	for (size_t i = 0; i < ARRAY_SIZE(known); i++) {
		if (!begins(name, len, known[i].name))
			continue;
		if (len == strlen(known[i].name))
			return known[i].header;
		found = known[i].header == HEADER_RELAY ? HEADER_RELAY : HEADER_GLUED;
	}
	return look_up_extra(extra, name, len, found);
}

/* RFC 9110: the characters of a token. */
static bool is_name(const char *name, size_t len)
{
	static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
				      "0123456789-!#$%&'*+.^_`|~";

	for (size_t i = 0; i < len; i++)
		if (!name[i] || !strchr(allowed, name[i]))
			return false;
	return len > 0;
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

static bool has_control(const char *value, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (((unsigned char)value[i] < ' ' && value[i] != '\t') || value[i] == 0x7f)
			return true;
	return false;
}

/* Returns whether it is the first of its kind. The last one counts. */
static bool take(struct header_value *v, const char *value, size_t len)
{
	bool first = !v->seen;

	v->seen = true;
	if (len >= sizeof(v->text)) {
		strcpy(v->text, "?");
		return first;
	}
	memcpy(v->text, value, len);
	v->text[len] = '\0';
	return first;
}

/* Two of them: another server would take the one that we do not. */
static void take_authorization(struct headers *h, const char *value, size_t len)
{
	h->ambiguous |= h->authorization_text != NULL;
	h->authorization |= len > 0;
	h->authorization_text = value;
	h->authorization_len = len;
}

/* Also a name that is glued to one, or in odd letters. */
bool http_headers_is_secret(const char *name, size_t name_len)
{
	return begins(name, name_len, "Authorization") ||
	       begins(name, name_len, "X-Amz-Security-Token");
}

void http_headers_trim(const char **value, size_t *len)
{
	for (; *len && is_blank(**value); (*value)++)
		(*len)--;
	while (*len && is_blank((*value)[*len - 1]))
		(*len)--;
}

void http_headers_add(struct headers *h, const char *name, size_t name_len, const char *value,
		      size_t value_len)
{
	unsigned header = look_up(h->extra_names, name, name_len);

	http_headers_trim(&value, &value_len);
	h->ambiguous |= !is_name(name, name_len) || has_control(value, value_len);
	switch (header) {
	case HEADER_HOST:
		h->host_repeated |= !take(&h->host, value, value_len);
		break;
	case HEADER_AUTHORIZATION:
		take_authorization(h, value, value_len);
		break;
	case HEADER_LENGTH:
		h->ambiguous |= !take(&h->length, value, value_len);
		break;
	case HEADER_ENCODING:
		h->ambiguous |= !take(&h->encoding, value, value_len);
		break;
	case HEADER_GLUED:
		h->ambiguous = true;
		break;
	case HEADER_RELAY:
		h->forwarded = true;
		break;
	case HEADER_OTHER:
		break;
	default:
		h->ambiguous |= !take(&h->extra[header - HEADER_EXTRA], value, value_len);
	}
}

bool http_headers_length_above(const struct headers *h, size_t max)
{
	uint64_t n;

	return h->length.seen && parse_u64(h->length.text, max, &n) < 0;
}

/* In pieces, where there may be a body, and its length is not said as well. Trailers are not looked at. */
static bool is_framed_oddly(const struct headers *h)
{
	if (!h->encoding.seen)
		return false;
	return !h->bodies || h->length.seen || strcasecmp(h->encoding.text, "chunked") != 0;
}

static const char *text_of(const struct header_value *v)
{
	return v->seen ? v->text : NULL;
}

bool http_is_read(const struct http_head *head)
{
	return !strcmp(head->method, "GET") || !strcmp(head->method, "HEAD");
}

void http_headers_apply(const struct headers *h, struct http_head *head)
{
	head->host = text_of(&h->host);
	for (size_t i = 0; i < HTTP_EXTRA_MAX; i++)
		head->extra[i] = text_of(&h->extra[i]);
	head->host_repeated = h->host_repeated;
	head->authorization = h->authorization;
	if (h->authorization && h->authorization_len <= h->authorization_max) {
		head->authorization_text = h->authorization_text;
		head->authorization_len = h->authorization_len;
	}
	head->forwarded = h->forwarded;
	/* a body where none belongs is the next request to somebody who does not expect it */
	head->ambiguous =
		h->ambiguous || is_framed_oddly(h) ||
		(http_is_read(head) && (h->encoding.seen || http_headers_length_above(h, 0)));
}
