// SPDX-License-Identifier: Apache-2.0
#include <arpa/inet.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/addr.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/plural.h"
#include "cli/cli.h"
#include "kernel/features.h"
#include "kernel/load.h"
#include "kernel/maps.h"
#include "kernel/status.h"
#include "node/guard.h"
#include "node/layout.h"
#include "node/source.h"

static json_t *json_links(const struct kern_status *status)
{
	json_t *array = json_array();

	for (size_t i = 0; i < status->n_links; i++) {
		const struct kern_link_status *link = &status->links[i];

		json_array_append_new(
			array,
			json_pack("{sssssbsbsbsIsIsisi}", "program", link->name, "hook", link->hook,
				  "pinned", link->pinned, "alive", link->alive, "effective",
				  link->effective, "cgroupId", (json_int_t)link->cgroup_id,
				  "programId", (json_int_t)link->prog_id, "others",
				  (int)link->others, "interfaces", (int)link->interfaces));
	}
	return array;
}

static json_t *json_losses(const struct kern_status *status)
{
	struct kern_loss losses[KERN_MAX_LOSSES];
	size_t n = kern_losses(status, losses);
	json_t *array = json_array();

	for (size_t i = 0; i < n; i++)
		json_array_append_new(array, json_pack("{ssss}", "feature", losses[i].feature,
						       "lost", losses[i].lost));
	return array;
}

/* null: the resolver has read none yet. */
static json_t *json_list(const struct kern_status *status)
{
	const uint64_t *runtime = status->runtime;

	if (!runtime[PODCRED_RUNTIME_LIST_READ])
		return json_null();
	return json_pack("{sIsIsf}", "pods", (json_int_t)runtime[PODCRED_RUNTIME_LIST_PODS],
			 "skipped", (json_int_t)runtime[PODCRED_RUNTIME_LIST_SKIPPED], "ageSeconds",
			 (double)(clock_boot_ns() - runtime[PODCRED_RUNTIME_LIST_READ]) / 1e9);
}

static json_t *json_errors(const struct podcred_source *source)
{
	json_t *object = json_object();

	for (size_t i = 0; i < PODCRED_SOURCE_ERRORS; i++)
		if (source->errors[i].name[0])
			json_object_set_new(object, source->errors[i].name,
					    json_integer((json_int_t)source->errors[i].n));
	return object;
}

static json_t *json_api(const struct podcred_source *source)
{
	return json_pack(
		"{sssbsfsIsIsIsIsIso}", "node", source->node, "inTouch", (int)source->in_touch,
		"sinceSeconds", (double)(clock_boot_ns() - source->since_ns) / 1e9, "lists",
		(json_int_t)source->lists, "watches", (json_int_t)source->watches, "events",
		(json_int_t)source->events, "bookmarks", (json_int_t)source->bookmarks, "refused",
		(json_int_t)source->refused, "errors", json_errors(source));
}

/* Where the names of pods come from. */
static json_t *json_source(const struct kern_status *status)
{
	const struct podcred_source *source = &status->source;
	bool api = source->kind == PODCRED_SOURCE_API;
	char text[NODE_SOURCE_TEXT];

	return json_pack("{sssssbss*so}", "kind", node_source_kind_name(source), "from",
			 source->from, "current", (int)node_source_is_current(status), "trouble",
			 node_source_trouble(status, text), "api",
			 api ? json_api(source) : json_null());
}

static json_t *json_gaps(const struct guard *guard)
{
	json_t *array = json_array();

	for (size_t i = 0; i < guard->n_gaps; i++) {
		const struct node_guard_gap *gap = &guard->gaps[i];

		json_array_append_new(array, json_pack("{sssbssss}", "kind", gap->kind, "unknown",
						       gap->unknown, "text", gap->text, "next",
						       gap->next));
	}
	return array;
}

static json_t *json_complete(const struct guard *guard)
{
	enum node_guard_verdict verdict = node_guard_verdict(guard);

	return verdict == GUARD_UNKNOWN ? json_null() : json_boolean(verdict == GUARD_COMPLETE);
}

/* null: the interfaces are not to be seen from here. */
static json_t *json_path(const struct guard *guard)
{
	json_t *array;

	if (!guard->ways_known)
		return json_null();
	array = json_array();
	for (size_t i = 0; i < guard->ways.n; i++)
		json_array_append_new(array, cli_json_way(&guard->ways.v[i]));
	return json_pack("{ss*so}", "off", node_ways_off_text(guard->ways.off), "interfaces",
			 array);
}

static json_t *json_status(const struct guard *guard)
{
	const struct kern_status *status = &guard->status;
	json_t *stats = json_object();

	for (int i = 0; i < PODCRED_REASON_MAX; i++)
		json_object_set_new(stats, kern_reason_name((enum podcred_reason)i),
				    json_integer((json_int_t)status->stats[i]));
	return json_pack("{sososs*s{sbsI}sosososososososososo}", "complete", json_complete(guard),
			 "gaps", json_gaps(guard), "kubepods",
			 guard->kubepods_there ? guard->kubepods : NULL, "resolver", "running",
			 kern_resolver_is_running(status), "readyNs",
			 (json_int_t)status->runtime[PODCRED_RUNTIME_RESOLVER_READY], "list",
			 json_list(status), "names", json_source(status), "pods",
			 json_integer(status->n_pods), "peers", json_integer(status->n_peers),
			 "flows", json_integer(status->n_flows), "links", json_links(status),
			 "path", json_path(guard), "without", json_losses(status), "counters",
			 stats, "maxPendingPerPod", json_integer(status->config.max_flows_per_pod));
}

static const char *link_state(const struct kern_link_status *link)
{
	if (link->unknown)
		return "may not be asked";
	if (!link->pinned)
		return strncmp(link->hook, "tc", 2) == 0 ? "on no interface" : "not attached";
	if (!link->alive)
		return "dead: its cgroup was removed";
	return link->effective ? "effective" : "attached, but the kernel does not run it";
}

static void print_agent(const struct podcred_config *config)
{
	char text[NET_ADDR_TEXT];

	for (int i = 0; i < 2; i++)
		if (config->agent[i].port)
			printf("agent      %s\n",
			       net_addr_format(config->agent[i].addr.ip,
					       ntohs(config->agent[i].port), text, sizeof(text)));
}

static void print_list(const struct kern_status *status)
{
	char text[NODE_SOURCE_TEXT];
	const char *trouble;

	printf("list       %s\n", node_source_text(status, text));
	trouble = node_source_trouble(status, text);
	if (trouble)
		printf("names      %s\n", trouble);
}

static void print_losses(const struct kern_status *status)
{
	struct kern_loss losses[KERN_MAX_LOSSES];
	size_t n = kern_losses(status, losses);

	for (size_t i = 0; i < n; i++)
		printf("without    %s: %s\n", losses[i].feature, losses[i].lost);
}

static void print_path(const struct guard *guard)
{
	const struct ways *ways = &guard->ways;
	const char *off = node_ways_off_text(ways->off);
	size_t bridged = node_ways_count(ways, WAYS_BRIDGED) + node_ways_count(ways, WAYS_LACKING);
	size_t carried = node_ways_count(ways, WAYS_CARRIED);

	if (!guard->ways_known)
		return;
	printf("path       ");
	if (off)
		printf("off, as %s: %zu interface%s of pods", off, ways->n, plural(ways->n));
	else
		printf("%zu interface%s of pods carried past a bridge", carried, plural(carried));
	printf(", %zu without a bridge, %zu across one\n", node_ways_count(ways, WAYS_DIRECT),
	       bridged);
}

static void print_guard(const struct guard *guard)
{
	static const char *const words[] = {
		[GUARD_COMPLETE] = "complete",
		[GUARD_INCOMPLETE] = "INCOMPLETE",
		[GUARD_UNKNOWN] = "cannot tell",
	};
	enum node_guard_verdict verdict = node_guard_verdict(guard);
	const char *next = NULL;

	for (size_t i = 0; i < guard->n_gaps && !next; i++)
		if (guard->gaps[i].unknown == (verdict == GUARD_UNKNOWN))
			next = guard->gaps[i].next;
	printf("guard      %s%s%s\n", words[verdict], next ? ": " : "", next ?: "");
	for (size_t i = 0; i < guard->n_gaps; i++)
		printf("%s %s; %s\n", guard->gaps[i].unknown ? "unknown   " : "gap       ",
		       guard->gaps[i].text, guard->gaps[i].next);
	if (guard->kubepods_there)
		printf("kubepods   %s\n", guard->kubepods);
	else if (!node_guard_has_unknown(guard, "kubepods"))
		printf("kubepods   gone: run podcred load again\n");
}

static void print_links(const struct kern_status *status, const char *mount)
{
	static const char *const headings[] = {"HOOK", "PROGRAM", "STATE", "CGROUP", "OTHERS"};
	struct table *table = cli_table_new(ARRAY_SIZE(headings), headings);

	for (size_t i = 0; i < status->n_links; i++) {
		const struct kern_link_status *link = &status->links[i];
		_cleanup_free_ char *path = NULL;
		char others[16] = "", state[64];

		if (link->alive && link->cgroup_id)
			kern_cgroup_path(mount, link->cgroup_id, &path);
		if (link->others)
			snprintf(others, sizeof(others), "%u", link->others);
		if (link->interfaces)
			snprintf(state, sizeof(state), "effective on %u interface%s",
				 link->interfaces, plural(link->interfaces));
		else
			snprintf(state, sizeof(state), "%s", link_state(link));
		cli_table_row(table, link->hook, link->name, state, path, others);
	}
	cli_table_print(table);
	cli_table_free(table);
}

static void print_status(const struct guard *guard)
{
	const struct kern_status *status = &guard->status;

	print_guard(guard);
	printf("resolver   %s\n", kern_resolver_is_running(status)
					  ? "running"
					  : "not running: new pods get no credentials");
	print_agent(&status->config);
	print_path(guard);
	print_losses(status);
	print_list(status);
	printf("pods       %u known, %u connection%s live, %u pending\n\n", status->n_pods,
	       status->n_peers, plural(status->n_peers), status->n_flows);
	print_links(status, guard->mount);
	printf("\n");
	for (int i = 0; i < PODCRED_REASON_MAX; i++)
		if (status->stats[i])
			printf("%12" PRIu64 "  %s: %s\n", status->stats[i],
			       kern_reason_name((enum podcred_reason)i),
			       kern_reason_text((enum podcred_reason)i));
}

int cmd_status(const struct cli_command *self, int argc, char **argv)
{
	static const int exits[] = {
		[GUARD_COMPLETE] = 0, [GUARD_INCOMPLETE] = 1, [GUARD_UNKNOWN] = EXIT_UNKNOWN};
	struct guard_where where = {};
	bool json = false;
	const struct cli_option options[] = {CLI_JSON(json), CLI_WHERE(where.kubepods),
					     CLI_PIN_DIR(where.pin_dir)};
	_cleanup_free_ char *mount = NULL;
	struct guard guard = {};
	struct pc_err err = {};
	int r = cli_parse(self, options, ARRAY_SIZE(options), argc, argv, 0, NULL, NULL);

	if (r)
		return r - 1;
	if (!where.pin_dir)
		where.pin_dir = KERN_PIN_DIR;
	r = node_layout_find_mount(&mount, &err);
	if (r == 0)
		r = node_guard_read(&where, mount, &guard, &err);
	if (r < 0)
		r = cli_fail(json, r, &err);
	else if (json)
		r = cli_print_json(json_status(&guard));
	else
		print_status(&guard);
	if (r == 0)
		r = exits[node_guard_verdict(&guard)];
	node_guard_done(&guard);
	return r;
}
