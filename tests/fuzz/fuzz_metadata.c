// SPDX-License-Identifier: Apache-2.0
/* MODULES: agent http base */
/* Whatever a pod asks the metadata service for: what is passed on is below an allowed path, gives away no credentials, and
 * means the same to whoever normalises it once more. */
#include "fuzz.h"

#include <strings.h>

#include "agent/metadata_path.h"
#include "http/path.h"

static const char *const narrow[] = {"meta-data/placement/", "meta-data/instance-id", NULL};
static const char *const wide[] = {"meta-data/", "dynamic/", "user-data", "api/", "", NULL};

static bool begins(const char *text, const char *with)
{
	return !strncasecmp(text, with, strlen(with));
}

static void check_narrow(const char *below)
{
	MUST(!strcmp(below, "meta-data/instance-id") ||
	     !strncmp(below, "meta-data/placement/", 20));
}

static void check_any(const char *path)
{
	char again[HTTP_PATH_SIZE];
	const char *below = path + strlen("/latest/");

	MUST(begins(path, "/latest/") && strlen(path) < METADATA_PATH_SIZE);
	MUST(http_path_normalise(path, again, sizeof(again)) == 0 && !strcmp(path, again));
	MUST(!begins(below, "meta-data/iam") && !begins(below, "meta-data/identity-credentials"));
	MUST(!begins(below, "user-data") && !begins(below, "api") && !begins(below, "latest"));
	MUST(!strpbrk(path, "%?#\\ ;") && !strstr(path, ".."));
}

/* As imds.c takes it apart. */
static void check(char *target, bool prefixed)
{
	char path[HTTP_PATH_SIZE], asked[METADATA_PATH_SIZE], *below;
	bool slash;

	if (http_path_normalise(target, path, sizeof(path)) < 0)
		return;
	slash = path[strlen(path) - 1] == '/';
	if (slash && path[1])
		path[strlen(path) - 1] = '\0';
	below = prefixed ? path + 1 : strchr(path + 1, '/');
	if (!below)
		return;
	below += !prefixed;
	if (agent_metadata_path(narrow, below, slash, asked)) {
		check_any(asked);
		check_narrow(asked + strlen("/latest/"));
	}
	if (agent_metadata_path(wide, below, slash, asked))
		check_any(asked);
	MUST(!agent_metadata_path(NULL, below, slash, asked));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = fuzz_string(data, size);

	check(text, false);
	check(text, true);
	free(text);
	return 0;
}
