// SPDX-License-Identifier: Apache-2.0
#include <inttypes.h>
#include <stdio.h>

#include "base/cleanup.h"
#include "cli/listing.h"
#include "kernel/maps.h"

static const char *policy_name(const struct podcred_pod *pod)
{
	return pod->flags & PODCRED_POD_EXEMPT	 ? "exempt"
	       : pod->flags & PODCRED_POD_DENIED ? "deny"
						 : "redirect";
}

static void pod_note(const struct podcred_pod *pod, char *note, size_t size)
{
	const char *host = pod->flags & PODCRED_POD_HOST_NETWORK ? "hostNetwork" : "";
	const char *policy = "";

	if (pod->flags & (PODCRED_POD_EXEMPT | PODCRED_POD_DENIED))
		policy = policy_name(pod);
	if (!(pod->flags & PODCRED_POD_NAMED))
		host = "no name yet";
	snprintf(note, size, "%s%s%s", host, host[0] && policy[0] ? ", " : "", policy);
}

static int row_pod(void *arg, const void *key, const void *value)
{
	const struct podcred_pod *pod = value;
	struct listing *list = arg;
	char id[32], note[64];

	(void)key;
	if (list->json) {
		cli_listing_put(
			list,
			json_pack("{sIsssssssssbsbsssI}", "cgroupId", (json_int_t)pod->cgroup_id,
				  "uid", pod->uid, "namespace", pod->name_space, "name", pod->name,
				  "serviceAccount", pod->service_account, "hostNetwork",
				  (int)!!(pod->flags & PODCRED_POD_HOST_NETWORK), "static",
				  (int)!!(pod->flags & PODCRED_POD_STATIC), "policy",
				  policy_name(pod), "generation", (json_int_t)pod->generation));
		return 0;
	}
	snprintf(id, sizeof(id), "%" PRIu64, (uint64_t)pod->cgroup_id);
	pod_note(pod, note, sizeof(note));
	cli_table_row(list->table, id, pod->name_space, pod->name, pod->service_account, pod->uid,
		      note);
	return 0;
}

int cmd_pods(const struct cli_command *self, int argc, char **argv)
{
	static const char *const headings[] = {"CGROUP",	 "NAMESPACE", "NAME",
					       "SERVICEACCOUNT", "UID",	      "NOTE"};
	static const struct listing_source source = {KERN_MAP_PODS, sizeof(uint64_t),
						     sizeof(struct podcred_pod), row_pod};

	return cli_listing_run(self, argc, argv, &source, 1, headings, ARRAY_SIZE(headings));
}
