// SPDX-License-Identifier: Apache-2.0
#include "base/k8s_name.h"

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
