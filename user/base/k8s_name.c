// SPDX-License-Identifier: Apache-2.0
#include "base/k8s_name.h"

#include <string.h>

static bool is_alnum(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

static bool has_label_form(const char *s, size_t len)
{
	if (!len || !is_alnum(s[0]) || !is_alnum(s[len - 1]))
		return false;
	for (size_t i = 0; i < len; i++)
		if (!is_alnum(s[i]) && s[i] != '-')
			return false;
	return true;
}

bool k8s_is_label(const char *s, size_t len)
{
	return len < K8S_LABEL_SIZE && has_label_form(s, len);
}

bool k8s_is_subdomain(const char *s, size_t len)
{
	size_t start = 0;

	if (len >= K8S_SUBDOMAIN_SIZE)
		return false;
	for (size_t i = 0; i < len; i++) {
		if (s[i] != '.')
			continue;
		if (!has_label_form(s + start, i - start))
			return false;
		start = i + 1;
	}
	return has_label_form(s + start, len - start);
}

static bool is_any_alnum(char c)
{
	return is_alnum(c) || (c >= 'A' && c <= 'Z');
}

static bool has_value_form(const char *s, size_t len)
{
	if (!len || len >= K8S_LABEL_VALUE_SIZE || !is_any_alnum(s[0]) || !is_any_alnum(s[len - 1]))
		return false;
	for (size_t i = 0; i < len; i++)
		if (!is_any_alnum(s[i]) && s[i] != '-' && s[i] != '_' && s[i] != '.')
			return false;
	return true;
}

bool k8s_is_label_key(const char *s, size_t len)
{
	const char *slash = memchr(s, '/', len);
	size_t prefix = slash ? (size_t)(slash - s) : 0;

	if (!slash)
		return has_value_form(s, len);
	return k8s_is_subdomain(s, prefix) && has_value_form(slash + 1, len - prefix - 1);
}

bool k8s_is_label_value(const char *s, size_t len)
{
	return !len || has_value_form(s, len);
}
