// SPDX-License-Identifier: Apache-2.0
/* MODULES: identity */
/* /proc/PID/mountinfo: who may mount may choose most of a line. */
#include "fuzz.h"

#include "identity/mountinfo.h"

static const char *asked[4096];
static size_t n_asked;

/* Some places are covered by other mounts. */
static bool usable(const char *path)
{
	bool ok = strlen(path) % 4 != 3;

	MUST(path[0] == '/');
	if (ok && n_asked < sizeof(asked) / sizeof(asked[0]))
		asked[n_asked++] = path;
	return ok;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = fuzz_string(data, size);
	char *before = fuzz_string(data, size);
	const size_t len = strlen(text);
	struct mountinfo_pick pick;
	bool found = false;

	n_asked = 0;
	pick = mountinfo_pick_cgroup2(text, usable);
	for (size_t i = 0; i < n_asked; i++)
		found = found || pick.path == asked[i];
	if (pick.path) {
		MUST(found || n_asked == sizeof(asked) / sizeof(asked[0]));
		MUST(pick.path >= text && pick.path < text + len);
		MUST(strstr(before, " cgroup2"));
	} else {
		MUST(n_asked == 0);
	}
	MUST(!pick.saw_v1 || strstr(before, " cgroup"));
	free(before);
	free(text);
	return 0;
}
