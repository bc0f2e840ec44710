// SPDX-License-Identifier: Apache-2.0
#include "credentials/pattern.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <errno.h>
#include <pcre2.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"

/* A pattern of a tenant must not keep the process from its work. */
#define MATCH_LIMIT 100000
#define DEPTH_LIMIT 1000
#define HEAP_LIMIT  1024 /* KiB */
#define PATTERN_MAX 4096 /* bytes */

static void cleanup_code(pcre2_code **code)
{
	pcre2_code_free(*code);
}

static void cleanup_data(pcre2_match_data **data)
{
	pcre2_match_data_free(*data);
}

static void cleanup_context(pcre2_match_context **context)
{
	pcre2_match_context_free(*context);
}

static int match(const pcre2_code *code, const char *text)
{
	_cleanup_(cleanup_data) pcre2_match_data *data =
		pcre2_match_data_create_from_pattern(code, NULL);
	_cleanup_(cleanup_context) pcre2_match_context *context = pcre2_match_context_create(NULL);
	int r;

	if (!data || !context)
		return -ENOMEM;
	pcre2_set_match_limit(context, MATCH_LIMIT);
	pcre2_set_depth_limit(context, DEPTH_LIMIT);
	pcre2_set_heap_limit(context, HEAP_LIMIT);
	r = pcre2_match(code, (PCRE2_SPTR)text, strlen(text), 0, 0, data, context);
	if (r >= 0)
		return 1;
	return r == PCRE2_ERROR_NOMATCH ? 0 : -E2BIG;
}

static int run(const char *pattern, uint32_t options, const char *text)
{
	_cleanup_(cleanup_code) pcre2_code *code = NULL;
	PCRE2_SIZE where;
	int error;

	if (strlen(pattern) > PATTERN_MAX)
		return -EINVAL;
	code = pcre2_compile((PCRE2_SPTR)pattern, PCRE2_ZERO_TERMINATED, options | PCRE2_UTF,
			     &error, &where, NULL);
	return code ? match(code, text) : -EINVAL;
}

bool cred_pattern_is_tag(const char *s, size_t min, size_t max)
{
	char pattern[64];

	snprintf(pattern, sizeof(pattern), "[\\p{L}\\p{Z}\\p{N}_.:/=+\\-@]{%zu,%zu}", min, max);
	return run(pattern, PCRE2_ANCHORED | PCRE2_ENDANCHORED, s) == 1;
}

static bool is_ascii(const char *s)
{
	for (; *s; s++)
		if (*s & 0x80)
			return false;
	return true;
}

bool cred_pattern_equal(const char *a, const char *b)
{
	bool same = strcasecmp(a, b) == 0;

	if (same || (is_ascii(a) && is_ascii(b)))
		return same;
	return run(a, PCRE2_LITERAL | PCRE2_CASELESS | PCRE2_ANCHORED | PCRE2_ENDANCHORED, b) == 1;
}

int cred_pattern_matches(const char *regexp, bool anchored, const char *text)
{
	uint32_t options = anchored ? PCRE2_ANCHORED | PCRE2_ENDANCHORED : 0;

	return run(regexp, options | PCRE2_NEVER_BACKSLASH_C, text);
}

bool cred_pattern_glob(const char *glob, const char *text)
{
	const char *star = NULL, *retry = NULL;

	while (*text) {
		if (*glob == '*') {
			star = ++glob;
			retry = text;
		} else if (*glob == *text) {
			glob++;
			text++;
		} else if (star) {
			glob = star;
			text = ++retry;
		} else {
			return false;
		}
	}
	return !glob[strspn(glob, "*")];
}
