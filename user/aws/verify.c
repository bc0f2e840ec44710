// SPDX-License-Identifier: Apache-2.0
/* Whether somebody else's request was signed by who says so. */
#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <strings.h>

#include "aws/canonical.h"
#include "base/cleanup.h"
#include "base/text.h"
#include "crypto/hmac.h"

#define ALGORITHM  "AWS4-HMAC-SHA256"
#define TERMINATOR "aws4_request"
#define MAX_SKEW   (15 * 60)

#define DIGITS "0123456789"
#define NAMES  "abcdefghijklmnopqrstuvwxyz0123456789!#$%&'*+-.^_`|~;"

/* ---- the Authorization header ---- */

/* Up to the separator, or the end if there is none; -EINVAL: empty, or too long. */
static int take(const char **at, char separator, char *ret, size_t size)
{
	size_t len = strcspn(*at, (char[]){separator, '\0'});

	if (!len || len >= size)
		return -EINVAL;
	memcpy(ret, *at, len);
	ret[len] = '\0';
	*at += len + ((*at)[len] == separator);
	return 0;
}

static bool is_printable(const char *text)
{
	for (; *text; text++)
		if (*text <= ' ' || *text > '~')
			return false;
	return true;
}

static int parse_credential(const char *text, struct aws_claim *ret)
{
	char terminator[sizeof(TERMINATOR)];
	int r = take(&text, '/', ret->access_key_id, sizeof(ret->access_key_id));

	r = r ?: take(&text, '/', ret->date, sizeof(ret->date));
	r = r ?: take(&text, '/', ret->region, sizeof(ret->region));
	r = r ?: take(&text, '/', ret->service, sizeof(ret->service));
	r = r ?: take(&text, '/', terminator, sizeof(terminator));
	if (r < 0 || *text || strcmp(terminator, TERMINATOR) != 0)
		return -EINVAL;
	return strspn(ret->date, DIGITS) == 8 && is_printable(ret->access_key_id) ? 0 : -EINVAL;
}

static int digit(char c)
{
	return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static int parse_signature(const char *text, struct aws_claim *ret)
{
	if (strlen(text) != 2 * sizeof(ret->signature))
		return -EINVAL;
	for (size_t i = 0; i < sizeof(ret->signature); i++) {
		int high = digit(text[2 * i]), low = digit(text[2 * i + 1]);

		if (high < 0 || low < 0)
			return -EINVAL;
		ret->signature[i] = (uint8_t)(high << 4 | low);
	}
	return 0;
}

/* As every client writes them: lower case, in order, none twice. */
static int parse_names(const char *text, struct aws_claim *ret)
{
	const char *last = NULL;
	size_t last_len = 0;

	if (strlen(text) >= sizeof(ret->signed_headers) || text[strspn(text, NAMES)])
		return -EINVAL;
	strcpy(ret->signed_headers, text);
	for (const char *at = text;;) {
		size_t len = strcspn(at, ";"), both = len < last_len ? len : last_len;
		int order = last ? memcmp(last, at, both) : -1;

		if (!len || order > 0 || (order == 0 && last_len >= len))
			return -EINVAL;
		last = at;
		last_len = len;
		at += len;
		if (!*at)
			return 0;
		at++;
	}
}

/* "Name=value" between commas and blanks, each of the three once. */
static int parse_parts(const char *text, struct aws_claim *ret)
{
	static const struct part {
		const char *name;
		int (*parse)(const char *value, struct aws_claim *ret);
	} parts[] = {
		{"Credential=", parse_credential},
		{"SignedHeaders=", parse_names},
		{"Signature=", parse_signature},
	};
	unsigned seen = 0;
	char value[1200];

	for (text += strspn(text, " "); *text; text += strspn(text, " ")) {
		size_t i;

		if (take(&text, ',', value, sizeof(value)) < 0)
			return -EINVAL;
		for (i = 0; i < ARRAY_SIZE(parts); i++)
			if (!strncmp(value, parts[i].name, strlen(parts[i].name)))
				break;
		if (i == ARRAY_SIZE(parts) || seen & 1U << i ||
		    parts[i].parse(value + strlen(parts[i].name), ret) < 0)
			return -EINVAL;
		seen |= 1U << i;
	}
	return seen == 7 ? 0 : -EINVAL;
}

int aws_claim_parse(const char *authorization, struct aws_claim *ret)
{
	struct aws_claim claim = {};

	if (strncmp(authorization, ALGORITHM " ", sizeof(ALGORITHM)) != 0 ||
	    parse_parts(authorization + sizeof(ALGORITHM), &claim) < 0)
		return -EINVAL;
	*ret = claim;
	return 0;
}

/* ---- the request ---- */

static bool is_signed(const struct aws_claim *claim, const char *name)
{
	size_t len = strlen(name);

	for (const char *at = claim->signed_headers; *at; at += *at == ';') {
		size_t n = strcspn(at, ";");

		if (n == len && !strncasecmp(at, name, n))
			return true;
		at += n;
	}
	return false;
}

/* Its value; NULL: it does not come exactly once. */
static const char *only(const struct aws_request *request, const char *name)
{
	const char *value = NULL;

	for (size_t i = 0; i < request->n_headers; i++) {
		if (!aws_header_is(&request->headers[i], name, strlen(name)))
			continue;
		if (value)
			return NULL;
		value = request->headers[i].value;
	}
	return value;
}

static bool has_all(const struct aws_request *request, const char *names)
{
	for (const char *at = names; *at; at += *at == ';') {
		size_t len = strcspn(at, ";"), i = 0;

		while (i < request->n_headers && !aws_header_is(&request->headers[i], at, len))
			i++;
		if (i == request->n_headers)
			return false;
		at += len;
	}
	return true;
}

/* What changes the meaning of a request must be signed, and be there once. */
static int check_headers(const struct aws_request *request, const struct aws_claim *claim)
{
	for (size_t i = 0; i < request->n_headers; i++) {
		const char *name = request->headers[i].name;

		if ((!strncasecmp(name, "X-Amz-", 6) || !strcasecmp(name, "Content-Type") ||
		     !strcasecmp(name, "Host")) &&
		    (!is_signed(claim, name) || !only(request, name)))
			return -EBADMSG;
	}
	return only(request, "Host") && only(request, "X-Amz-Date") &&
			       has_all(request, claim->signed_headers)
		       ? 0
		       : -EBADMSG;
}

static int parse_date(const char *text, time_t *ret)
{
	char again[AWS_DATE_SIZE];
	struct tm tm = {};
	const char *end = strptime(text, "%Y%m%dT%H%M%SZ", &tm);
	time_t when = end && !*end ? timegm(&tm) : -1;

	/* strptime() takes more than one spelling of a time */
	if (when < 0 || !gmtime_r(&when, &tm) ||
	    strftime(again, sizeof(again), "%Y%m%dT%H%M%SZ", &tm) != AWS_DATE_SIZE - 1 ||
	    strcmp(again, text) != 0)
		return -EBADMSG;
	*ret = when;
	return 0;
}

static int check_scope(const struct aws_claim *claim, const struct aws_scope *scope,
		       const char *date, time_t now)
{
	time_t when;
	int r = parse_date(date, &when);

	if (r < 0)
		return r;
	if (strcmp(claim->region, scope->region) != 0 ||
	    strcmp(claim->service, scope->service) != 0 || strncmp(claim->date, date, 8) != 0)
		return -EDOM;
	return when < now - MAX_SKEW || when > now + MAX_SKEW ? -ETIME : 0;
}

int aws_verify(const struct aws_request *request, const struct aws_claim *claim,
	       const char *secret_access_key, const struct aws_scope *scope, time_t now)
{
	_cleanup_(text_done) struct text canonical = {}, to_sign = {};
	const char *date;
	uint8_t signature[CRYPTO_SHA256_SIZE];
	int r = check_headers(request, claim);

	if (r < 0)
		return r;
	date = only(request, "X-Amz-Date");
	r = check_scope(claim, scope, date, now);
	r = r ?: aws_canonical_request(request, claim->signed_headers, scope->service, &canonical);
	r = r ?: aws_string_to_sign(ALGORITHM, date, scope, &canonical, &to_sign);
	r = r ?: aws_hmac_signature(secret_access_key, claim->date, scope, &to_sign, signature);
	if (r == 0 && !crypto_equal(signature, claim->signature, sizeof(signature)))
		r = -EKEYREJECTED;
	explicit_bzero(signature, sizeof(signature));
	return r;
}
