// SPDX-License-Identifier: Apache-2.0
#include "agent/metadata_path.h"

#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"

static bool begins(const char *text, const char *with)
{
	return !strncmp(text, with, strlen(with));
}

/* Letters, digits and what names of IMDS have besides: addresses have colons. Nothing that anybody decodes. */
static bool is_plain(const char *below)
{
	static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
				    "-_.:/";

	return below[strspn(below, plain)] == '\0' && below[0] != '/' && !strstr(below, "//") &&
	       !strstr(below, "..") && !strstr(below, "./") && !strstr(below, "/.");
}

/* Also what only begins with one of these: the service had "iam-eks-0" one day. In any case, as nobody knows whether it
 * always compares it. */
static bool gives_away(const char *below)
{
	static const char *const never[] = {"meta-data/iam", "meta-data/identity-credentials",
					    "meta-data/managed-ssh-keys", "user-data", "api"};

	for (size_t i = 0; i < ARRAY_SIZE(never); i++)
		if (!strncasecmp(below, never[i], strlen(never[i])))
			return true;
	return false;
}

/* path: with the slash at its end, if there is one. */
static bool fits(const char *allowed, const char *path)
{
	size_t len = strlen(allowed);

	if (len && allowed[len - 1] == '/')
		return begins(path, allowed);
	return !strcmp(path, allowed);
}

static bool is_allowed(const char *const *allow, const char *path)
{
	for (; allow && *allow; allow++)
		if (fits(*allow, path))
			return true;
	return false;
}

/* The real service ignores a slash behind a document, and a directory needs none; but a tree begins with its slash. */
bool agent_metadata_path(const char *const *allow, const char *below, bool slash,
			 char ret[METADATA_PATH_SIZE])
{
	static const char root[] = "/latest/";
	char path[METADATA_PATH_SIZE];
	int len = snprintf(path, sizeof(path), "%s%s/", root, below);
	bool whole;

	if (len < 0 || (size_t)len >= sizeof(path) || !is_plain(below) || gives_away(below))
		return false;
	whole = slash && is_allowed(allow, path + sizeof(root) - 1);
	path[len - 1] = '\0';
	if (!is_allowed(allow, path + sizeof(root) - 1)) {
		if (!whole)
			return false;
		path[len - 1] = '/';
	}
	strcpy(ret, path);
	return true;
}
