// SPDX-License-Identifier: Apache-2.0
#include "resolver/listed.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/clock.h"

/* A list is some seconds old when it is read. */
#define PATIENCE_NS (15 * CLOCK_S)

int resolver_listed_set(struct listed *listed, const struct pod_name *pods, size_t n)
{
	char(*uids)[2][POD_UID_SIZE] = calloc(n + 1, sizeof(*uids));

	if (!uids)
		return -ENOMEM;
	free(listed->uids);
	listed->uids = uids;
	listed->n = 0;
	for (size_t i = 0; i < n; i++) {
		if (!pods[i].running)
			continue;
		memcpy(uids[listed->n][0], pods[i].uid, POD_UID_SIZE);
		memcpy(uids[listed->n++][1], pods[i].config_hash, POD_UID_SIZE);
	}
	return 0;
}

void resolver_listed_done(struct listed *listed)
{
	free(listed->uids);
	*listed = (struct listed){};
}

static bool has(const struct listed *listed, const struct cgsurvey_entry *pod)
{
	for (size_t i = 0; i < listed->n; i++)
		if (!strcmp(listed->uids[i][0], pod->uid) || !strcmp(listed->uids[i][1], pod->uid))
			return true;
	return false;
}

size_t resolver_listed_absent(struct listed *listed, const struct cgsurvey *survey,
			      const char *kubepods, uint64_t now_ns)
{
	bool found = !listed->n || !survey;

	for (size_t i = 0; !found && i < survey->n; i++) {
		const struct cgsurvey_entry *entry = &survey->v[i];

		found = entry->kubepods >= 0 && entry->populated &&
			!strcmp(survey->v[entry->kubepods].path, kubepods) && has(listed, entry);
	}
	if (found)
		listed->absent_ns = 0;
	else if (!listed->absent_ns)
		listed->absent_ns = now_ns;
	return listed->absent_ns && now_ns - listed->absent_ns >= PATIENCE_NS ? listed->n : 0;
}
