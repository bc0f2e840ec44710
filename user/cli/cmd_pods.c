// SPDX-License-Identifier: Apache-2.0
#include <inttypes.h>
#include <stdio.h>

#include "base/cleanup.h"
#include "cli/listing.h"
#include "kernel/maps.h"
#include "kernel/status.h"
#include "node/source.h"

static void pod_note(const struct podcred_pod *pod, char *note, size_t size)
{
	const char *host = pod->flags & PODCRED_POD_HOST_NETWORK ? "hostNetwork" : "";
	char policy[128] = "";

	if (pod->policy_line || pod->flags & PODCRED_POD_NO_LABELS)
		kern_policy_text(pod->flags, pod->policy_line, policy, sizeof(policy));
	if (!(pod->flags & PODCRED_POD_NAMED))
		host = "no name yet";
	snprintf(note, size, "%s%s%s", host, host[0] && policy[0] ? ", " : "", policy);
}

static json_t *json_pod(const struct podcred_pod *pod)
{
	json_t *json = json_pack(
		"{sIsssssssssbsbsssbsbsbsI}", "cgroupId", (json_int_t)pod->cgroup_id, "uid",
		pod->uid, "namespace", pod->name_space, "name", pod->name, "serviceAccount",
		pod->service_account, "hostNetwork", (int)!!(pod->flags & PODCRED_POD_HOST_NETWORK),
		"static", (int)!!(pod->flags & PODCRED_POD_STATIC), "policy",
		kern_policy_name(pod->flags), "imdsv2", (int)!!(pod->flags & PODCRED_POD_IMDSV2),
		"annotated", (int)!!(pod->flags & PODCRED_POD_ANNOTATED), "labelsKnown",
		(int)!(pod->flags & PODCRED_POD_NO_LABELS), "generation",
		(json_int_t)pod->generation);

	/* of the configuration that the resolver read */
	if (pod->policy_line)
		json_object_set_new(json, "policyLine", json_integer(pod->policy_line));
	return json;
}

static int row_pod(void *arg, const void *key, const void *value)
{
	const struct podcred_pod *pod = value;
	struct listing *list = arg;
	char id[32], note[160];

	(void)key;
	if (list->json) {
		cli_listing_put(list, json_pod(pod));
		return 0;
	}
	snprintf(id, sizeof(id), "%" PRIu64, (uint64_t)pod->cgroup_id);
	pod_note(pod, note, sizeof(note));
	cli_table_row(list->table, id, pod->name_space, pod->name, pod->service_account, pod->uid,
		      note);
	return 0;
}

/* Where the names come from, and how old they are. */
static void print_source(const char *pin_dir)
{
	static struct kern_status status;
	struct pc_err none = {};
	char text[NODE_SOURCE_TEXT];
	const char *trouble;

	if (kern_status_read_resolver(pin_dir, &status, &none) < 0)
		return;
	printf("\nnames: %s\n", node_source_text(&status, text));
	trouble = node_source_trouble(&status, text);
	if (trouble)
		printf("names: %s\n", trouble);
	if (!kern_resolver_is_running(&status))
		printf("names: podcred resolve is not running: new pods get no credentials\n");
}

int cmd_pods(const struct cli_command *self, int argc, char **argv)
{
	static const char *const headings[] = {"CGROUP",	 "NAMESPACE", "NAME",
					       "SERVICEACCOUNT", "UID",	      "NOTE"};
	static const struct listing_source source = {
		KERN_MAP_PODS, sizeof(uint64_t), sizeof(struct podcred_pod), row_pod, print_source};

	return cli_listing_run(self, argc, argv, &source, 1, headings, ARRAY_SIZE(headings));
}
