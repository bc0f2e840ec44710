// SPDX-License-Identifier: Apache-2.0
#include "credentials/values.h"

#include <jansson.h>
#include <string.h>

#include "aws/arn.h"
#include "base/k8s_name.h"
#include "base/timestamp.h"
#include "credentials/associations.h"
#include "credentials/pattern.h"
#include "credentials/session.h"

#define POLICY_MAX   2048
#define ROLE_ARN_MIN 20

static bool is_letter_or_digit(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

bool cred_is_made_of(const char *s, size_t min, size_t max, const char *extra)
{
	size_t len = strlen(s);

	if (len < min || len > max)
		return false;
	for (; *s; s++)
		if (!is_letter_or_digit(*s) && !strchr(extra, *s))
			return false;
	return true;
}

bool cred_is_namespace(const char *s)
{
	return k8s_is_label(s, strlen(s));
}

bool cred_is_service_account(const char *s)
{
	return k8s_is_subdomain(s, strlen(s));
}

/* ---- roles ---- */

bool cred_is_role(const char *s)
{
	/* "." and ".." would vanish from the path that SDKs build with it */
	return cred_is_made_of(s, 1, 64, "+=,.@_-") && strcmp(s, ".") != 0 && strcmp(s, "..") != 0;
}

bool cred_is_account_id(const char *s)
{
	return strlen(s) == 12 && strspn(s, "0123456789") == 12;
}

const char *cred_role_of(const char *arn)
{
	return strrchr(arn, '/') + 1;
}

bool cred_is_role_arn(const char *s)
{
	struct aws_role role;

	return strlen(s) >= ROLE_ARN_MIN && aws_role_parse(s, &role) == 0 &&
	       cred_is_role(role.name.text);
}

/* ---- keys of the file ---- */

bool cred_is_access_key_id(const char *s)
{
	return cred_is_made_of(s, 1, 128, "_") && strcmp(s, "null") != 0;
}

static bool is_printable(const char *s)
{
	for (; *s; s++)
		if (*s < 0x21 || *s > 0x7e)
			return false;
	return true;
}

/* YAML's null arrives as text; nobody's secret is that. */
bool cred_is_secret(const char *s)
{
	return *s && strcmp(s, "~") != 0 && strcmp(s, "null") != 0 && is_printable(s);
}

bool cred_is_timestamp(const char *s)
{
	time_t when;

	return timestamp_parse(s, &when) == 0;
}

/* ---- parameters of AssumeRole ---- */

bool cred_is_external_id(const char *s)
{
	return cred_is_made_of(s, 2, CRED_EXTERNAL_ID_SIZE - 1, "_+=,.@:/-");
}

bool cred_is_audience(const char *s)
{
	return *s && strlen(s) <= 255 && is_printable(s);
}

/* The characters of UTF-8 text, all up to U+00FF; 0: there are others. */
static size_t latin1_length(const char *s)
{
	size_t n = 0;

	for (; *s; s++) {
		unsigned char c = (unsigned char)*s;

		if (c > 0xc3)
			return 0;
		n += c < 0x80 || c >= 0xc0;
	}
	return n;
}

bool cred_is_policy(const char *s)
{
	size_t len = latin1_length(s);
	json_t *json =
		len && len <= POLICY_MAX ? json_loads(s, JSON_REJECT_DUPLICATES, NULL) : NULL;
	bool ok = json_is_object(json);

	json_decref(json);
	return ok;
}

/* ---- tags ---- */

#define TAG_CHARACTERS "_.:/=+-@"

/* Most are ASCII, which needs no tables. */
static bool is_tag_text(const char *s, size_t min, size_t max)
{
	return cred_is_made_of(s, min, max, TAG_CHARACTERS " ") || cred_pattern_is_tag(s, min, max);
}

bool cred_is_tag_key(const char *s)
{
	return is_tag_text(s, 1, 128) && strncasecmp(s, "aws:", 4) != 0;
}

bool cred_is_tag_value(const char *s)
{
	return is_tag_text(s, 0, 256);
}

bool cred_is_same_tag(const char *a, const char *b)
{
	return cred_pattern_equal(a, b);
}

const char *const cred_eks_tags[] = {
	"eks-cluster-arn",
	"eks-cluster-name",
	"kubernetes-namespace",
	"kubernetes-service-account",
	"kubernetes-pod-name",
	"kubernetes-pod-uid",
	NULL,
};

bool cred_is_eks_tag(const char *key)
{
	for (const char *const *tag = cred_eks_tags; *tag; tag++)
		if (!strcasecmp(*tag, key))
			return true;
	return false;
}

/* ---- programs ---- */

bool cred_is_variable(const char *s)
{
	return cred_is_made_of(s, 1, 255, "_") && !(*s >= '0' && *s <= '9');
}

bool cred_is_same_variable(const char *a, const char *b)
{
	return !strcmp(a, b);
}

/* No control characters: a line feed from a file is nearly always a mistake. */
bool cred_is_argument(const char *s)
{
	if (strlen(s) > 4096)
		return false;
	for (; *s; s++)
		if ((unsigned char)*s < ' ' || *s == 0x7f)
			return false;
	return true;
}

bool cred_is_absolute(const char *s)
{
	return s[0] == '/' && s[1] && cred_is_argument(s);
}
