// SPDX-License-Identifier: Apache-2.0
#include <string.h>

#include "config/credentials.h"
#include "fetch/metadata.h"

#define ROOT "/latest/"

static bool begins(const char *text, const char *with)
{
	return !strncmp(text, with, strlen(with));
}

static bool is_dots(const char *segment, size_t len)
{
	return len == 0 || (len <= 2 && !strncmp(segment, "..", len));
}

/* Each segment is one that IMDS has: none is empty but the last, no dots alone, nothing to unescape. */
static bool is_plain(const char *path)
{
	const char *slash;

	if (strlen(path) > 512)
		return false;
	for (const char *c = path; *c; c++)
		if (*c <= ' ' || *c > '~' || strchr("%?#\\", *c))
			return false;
	for (; (slash = strchr(path, '/')); path = slash + 1)
		if (is_dots(path, (size_t)(slash - path)))
			return false;
	return !*path || !is_dots(path, strlen(path));
}

/* Whatever the configuration says: these are credentials, or prove who the node is. */
static bool gives_away(const char *below)
{
	static const char *const never[] = {"meta-data/iam", "meta-data/identity-credentials",
					    "meta-data/managed-ssh-keys", "user-data", "api/"};

	for (size_t i = 0; i < sizeof(never) / sizeof(never[0]); i++)
		if (begins(below, never[i]))
			return true;
	return false;
}

static bool fits(const char *below, const char *allowed)
{
	size_t len = strlen(allowed);

	if (len && allowed[len - 1] == '/')
		return !strncmp(below, allowed, len);
	return !strncmp(below, allowed, len) &&
	       (!below[len] || (below[len] == '/' && !below[len + 1]));
}

bool fetch_metadata_may(const struct config_credentials *config, const char *path)
{
	const char *below;

	if (!begins(path, ROOT))
		return false;
	below = path + strlen(ROOT);
	if (!is_plain(below) || gives_away(below))
		return false;
	for (size_t i = 0; i < config->n_imds; i++)
		if (fits(below, config->imds[i]))
			return true;
	return false;
}
