// SPDX-License-Identifier: Apache-2.0
#include "headers.h"

#include <string.h>
#include <strings.h>

#include "cleanup.h"
#include "parse.h"
#include "protocol.h"

enum header {
	HEADER_OTHER,
	HEADER_GLUED, /* a known name and more: its line was folded */
	HEADER_HOST,
	HEADER_AUTHORIZATION,
	HEADER_IMDS_TOKEN,
	HEADER_IMDS_TTL,
	HEADER_LENGTH,
	HEADER_ENCODING,
	HEADER_RELAY,
};

/* RELAY: what proxies add to say for whom they ask, or what they were asked for. Not here: what a
 * mesh's sidecar adds to its own pod's requests (X-Forwarded-Proto, X-Envoy-Attempt-Count). */
static const struct {
	enum header header;
	const char *name;
} known[] = {
	{HEADER_HOST, "Host"},
	{HEADER_AUTHORIZATION, "Authorization"},
	{HEADER_IMDS_TOKEN, "X-aws-ec2-metadata-token"},
	{HEADER_IMDS_TTL, "X-aws-ec2-metadata-token-ttl-seconds"},
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

static enum header look_up(const char *name, size_t len)
{
	enum header found = HEADER_OTHER;

	for (size_t i = 0; i < ARRAY_SIZE(known); i++) {
		size_t n = strlen(known[i].name);

		if (len < n || strncasecmp(name, known[i].name, n) != 0)
			continue;
		if (len == n)
			return known[i].header;
		found = known[i].header == HEADER_RELAY ? HEADER_RELAY : HEADER_GLUED;
	}
	return found;
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

void headers_add(struct headers *h, const char *name, size_t name_len, const char *value,
		 size_t value_len)
{
	for (; value_len && is_blank(*value); value++)
		value_len--;
	while (value_len && is_blank(value[value_len - 1]))
		value_len--;
	h->ambiguous |= !is_name(name, name_len) || has_control(value, value_len);
	switch (look_up(name, name_len)) {
	case HEADER_HOST:
		h->host_repeated |= !take(&h->host, value, value_len);
		break;
	case HEADER_AUTHORIZATION:
		h->authorization |= value_len > 0;
		break;
	case HEADER_IMDS_TOKEN:
		h->ambiguous |= !take(&h->imds_token, value, value_len);
		break;
	case HEADER_IMDS_TTL:
		h->ambiguous |= !take(&h->imds_ttl, value, value_len);
		break;
	case HEADER_LENGTH:
		h->ambiguous |= !take(&h->length, value, value_len);
		break;
	case HEADER_GLUED:
	case HEADER_ENCODING: /* nothing here has a body, and trailers are not looked at */
		h->ambiguous = true;
		break;
	case HEADER_RELAY:
		h->forwarded = true;
		break;
	case HEADER_OTHER:
		break;
	}
}

bool headers_length_above(const struct headers *h, size_t max)
{
	uint64_t n;

	return h->length.seen && parse_u64(h->length.text, max, &n) < 0;
}

static const char *text_of(const struct header_value *v)
{
	return v->seen ? v->text : NULL;
}

void headers_apply(const struct headers *h, struct agent_request *req)
{
	req->host = text_of(&h->host);
	req->imds_token = text_of(&h->imds_token);
	req->imds_ttl = text_of(&h->imds_ttl);
	req->host_repeated = h->host_repeated;
	req->authorization = h->authorization;
	req->forwarded = h->forwarded;
	/* a body where none belongs is the next request to somebody who does not expect it */
	req->ambiguous = h->ambiguous || (request_is_read(req) && headers_length_above(h, 0));
}
