// SPDX-License-Identifier: Apache-2.0
#include "base/timestamp.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define FORMAT "%Y-%m-%dT%H:%M:%SZ"

int timestamp_format(time_t when, char ret[TIMESTAMP_SIZE])
{
	char text[TIMESTAMP_SIZE];
	struct tm tm;

	if (!gmtime_r(&when, &tm) || tm.tm_year < -900 || tm.tm_year > 9999 - 1900)
		return -ERANGE;
	if (strftime(text, sizeof(text), FORMAT, &tm) != TIMESTAMP_SIZE - 1)
		return -ERANGE;
	memcpy(ret, text, sizeof(text));
	return 0;
}

int timestamp_parse(const char *text, time_t *ret)
{
	char again[TIMESTAMP_SIZE];
	struct tm tm = {};
	const char *end = strptime(text, FORMAT, &tm);
	time_t when;

	if (!end || *end)
		return -EINVAL;
	/* strptime takes blanks, signs and the 31st of February: only the canonical text is
	 * equal to itself after a round trip. */
	when = timegm(&tm);
	if (timestamp_format(when, again) < 0 || strcmp(text, again) != 0)
		return -EINVAL;
	*ret = when;
	return 0;
}

int timestamp_parse_any(const char *text, time_t *ret)
{
	char start[TIMESTAMP_SIZE];
	int hours = 0, minutes = 0, end = 0;
	char sign[2] = "";

	if (strnlen(text, TIMESTAMP_SIZE - 2) < TIMESTAMP_SIZE - 2)
		return -EINVAL;
	snprintf(start, sizeof(start), "%.*sZ", TIMESTAMP_SIZE - 2, text);
	text += TIMESTAMP_SIZE - 2;
	if (*text == '.')
		text += 1 + strspn(text + 1, "0123456789");
	if (strcmp(text, "Z") != 0 &&
	    (sscanf(text, "%1[+-]%2d:%2d%n", sign, &hours, &minutes, &end) != 3 || text[end]))
		return -EINVAL;
	if (timestamp_parse(start, ret) < 0 || hours < 0 || minutes < 0)
		return -EINVAL;
	*ret -= (sign[0] == '-' ? -1 : 1) * (hours * 3600L + minutes * 60L);
	return 0;
}
