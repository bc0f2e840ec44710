// SPDX-License-Identifier: Apache-2.0
#include "aws/error.h"

#include <string.h>
#include <strings.h>

#include "base/cleanup.h"

#define TOKEN_RUN 80 /* bytes of base64 in a row: no name is that long, and every token is */
#define JWT_RUN	  20

static const char *const names[AWS_N_CLASSES] = {
	[AWS_OK] = "ok",
	[AWS_DENIED] = "denied",
	[AWS_NOT_FOUND] = "not-found",
	[AWS_KEYS] = "keys",
	[AWS_TOKEN] = "token",
	[AWS_CHAINED] = "chained",
	[AWS_TOO_LARGE] = "too-large",
	[AWS_REGION] = "region",
	[AWS_INVALID] = "invalid",
	[AWS_CLOCK] = "clock",
	[AWS_THROTTLED] = "throttled",
	[AWS_UNAVAILABLE] = "unavailable",
	[AWS_UNTRUSTED] = "untrusted",
	[AWS_MALFORMED] = "malformed",
	[AWS_INTERNAL] = "internal",
};

const char *aws_class_name(enum aws_class class)
{
	return names[class];
}

bool aws_class_is_transient(enum aws_class class)
{
	return class == AWS_THROTTLED || class == AWS_UNAVAILABLE || class == AWS_MALFORMED;
}

/* ---- codes ---- */

static const struct row {
	const char
		*code; /* without "Exception" at its end, which only some of the services write */
	enum aws_class class;
} rows[] = {
	{"AccessDenied", AWS_DENIED},
	{"AuthFailure", AWS_DENIED},
	{"OptInRequired", AWS_DENIED},
	{"UnauthorizedOperation", AWS_DENIED},
	{"IDPRejectedClaim", AWS_DENIED},
	{"ResourceNotFound", AWS_NOT_FOUND},
	{"InvalidClientTokenId", AWS_KEYS},
	{"UnrecognizedClient", AWS_KEYS},
	{"SignatureDoesNotMatch", AWS_KEYS},
	{"InvalidSignature", AWS_KEYS},
	{"IncompleteSignature", AWS_KEYS},
	{"MissingAuthenticationToken", AWS_KEYS},
	{"InvalidAccessKeyId", AWS_KEYS},
	{"NotAuthorized", AWS_DENIED},
	{"RequestExpired", AWS_CLOCK},
	{"RequestTimeTooSkewed", AWS_CLOCK},
	{"RequestInTheFuture", AWS_CLOCK},
	{"InvalidIdentityToken", AWS_TOKEN},
	{"InvalidToken", AWS_TOKEN},
	{"PackedPolicyTooLarge", AWS_TOO_LARGE},
	{"RegionDisabled", AWS_REGION},
	{"IDPCommunicationError", AWS_UNAVAILABLE},
	{"InternalFailure", AWS_UNAVAILABLE},
	{"InternalServer", AWS_UNAVAILABLE},
	{"InternalError", AWS_UNAVAILABLE},
	{"ServiceUnavailable", AWS_UNAVAILABLE},
	{"RequestTimeout", AWS_UNAVAILABLE},
	{"Throttling", AWS_THROTTLED},
	{"Throttled", AWS_THROTTLED},
	{"RequestThrottled", AWS_THROTTLED},
	{"ThrottledRequest", AWS_THROTTLED},
	{"TooManyRequests", AWS_THROTTLED},
	{"RequestLimitExceeded", AWS_THROTTLED},
	{"BandwidthLimitExceeded", AWS_THROTTLED},
	{"SlowDown", AWS_THROTTLED},
};

static bool code_is(const char *code, const char *name)
{
	size_t len = strlen(name);

	return !strncmp(code, name, len) && (!code[len] || !strcmp(code + len, "Exception"));
}

static enum aws_class of_status(unsigned status)
{
	switch (status) {
	case 401:
	case 403:
		return AWS_DENIED;
	case 404:
		return AWS_NOT_FOUND;
	case 408:
	case 425:
		return AWS_UNAVAILABLE;
	case 429:
		return AWS_THROTTLED;
	default:
		return status >= 500   ? AWS_UNAVAILABLE
		       : status >= 400 ? AWS_INVALID
				       : AWS_MALFORMED;
	}
}

/* Keys that have expired, or a token, which is never refused with 403 for that. */
static enum aws_class expired(unsigned status, unsigned call)
{
	return call & AWS_CALL_TOKEN && (!(call & AWS_CALL_SIGNED) || status != 403) ? AWS_TOKEN
										     : AWS_KEYS;
}

static bool is_about_clock(const char *message)
{
	return strcasestr(message, "signature expired") ||
	       strcasestr(message, "signature not yet current");
}

enum aws_class aws_classify(unsigned status, const char *code, const char *message, unsigned call)
{
	enum aws_class class = of_status(status);

	if (code_is(code, "ExpiredToken") || code_is(code, "TokenRefreshRequired"))
		return expired(status, call);
	if (code_is(code, "ValidationError") && strcasestr(message, "role chaining"))
		return AWS_CHAINED;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		if (code_is(code, rows[i].code))
			class = rows[i].class;
	if (class == AWS_KEYS && is_about_clock(message))
		return AWS_CLOCK;
	/* a token that nobody has given cannot be what is wrong: that of the keys is */
	if (class == AWS_TOKEN && !(call & AWS_CALL_TOKEN))
		return AWS_KEYS;
	return class;
}

/* ---- texts that may be shown ---- */

static bool is_base64(char c)
{
	return c && strchr("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
			   "0123456789+/=-_.",
			   c);
}

/* The length of what must not be shown at this place; 0: nothing. */
static size_t secret_at(const char *text, const char *const *secrets)
{
	size_t run = 0;

	for (; secrets && *secrets; secrets++)
		if (**secrets && !strncmp(text, *secrets, strlen(*secrets)))
			return strlen(*secrets);
	while (is_base64(text[run]))
		run++;
	return run >= TOKEN_RUN || (run >= JWT_RUN && !strncmp(text, "eyJ", 3)) ? run : 0;
}

void aws_clean(const char *text, const char *const *secrets, char ret[AWS_DETAIL_SIZE])
{
	static const char instead[] = "[...]";
	size_t n = 0;

	while (*text && n < AWS_DETAIL_SIZE - 1) {
		size_t hidden = secret_at(text, secrets);
		size_t room = AWS_DETAIL_SIZE - 1 - n;

		if (hidden) {
			size_t len = sizeof(instead) - 1 < room ? sizeof(instead) - 1 : room;

			memcpy(ret + n, instead, len);
			n += len;
			text += hidden;
			continue;
		}
		if (*text > ' ' && *text <= '~')
			ret[n++] = *text;
		else if (n && ret[n - 1] != ' ')
			ret[n++] = ' ';
		text++;
	}
	while (n && ret[n - 1] == ' ')
		n--;
	ret[n] = '\0';
}
