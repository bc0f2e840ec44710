// SPDX-License-Identifier: Apache-2.0
/* pods, peers, flows, targets: the maps as tables, or as JSON. */
#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#include "cleanup.h"
#include "cli.h"
#include "clock.h"
#include "decision.h"
#include "loader.h"

/* What a row function gets: where to put it, and the map that names pods. */
struct listing {
	bool json;
	struct table *table;
	json_t *array;
	int pods_fd;
};

typedef int (*row_fn)(void *listing, const void *key, const void *value);

struct source {
	enum loader_map map;
	size_t key_size, value_size;
	row_fn row;
};

static void put(struct listing *list, json_t *object)
{
	json_array_append_new(list->array, object);
}

static int list_maps(const char *pin_dir, struct listing *list, const struct source *sources,
		     size_t n, struct pc_err *err)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < n; i++) {
		_cleanup_close_ int fd = loader_map_open(pin_dir, sources[i].map, err);

		if (fd < 0)
			return fd;
		r = loader_map_each(fd, sources[i].key_size, sources[i].value_size, sources[i].row,
				    list);
	}
	return r;
}

static int run_listing(const struct cli_command *self, int argc, char **argv,
		       const struct source *sources, size_t n_sources, const char *const *headings,
		       size_t n_headings)
{
	const char *pin_dir = NULL;
	struct listing list = {.pods_fd = -EBADF};
	const struct cli_option options[] = {CLI_JSON(list.json), CLI_PIN_DIR(pin_dir)};
	struct pc_err err = {};
	int r = cli_parse(self, options, ARRAY_SIZE(options), argc, argv, 0, NULL, NULL);

	if (r)
		return r - 1;
	if (!pin_dir)
		pin_dir = LOADER_PIN_DIR;
	list.table = table_new(n_headings, headings);
	list.array = json_array();
	list.pods_fd = loader_map_open(pin_dir, LOADER_MAP_PODS, &err);
	r = list.pods_fd < 0 ? list.pods_fd : list_maps(pin_dir, &list, sources, n_sources, &err);
	if (r < 0)
		r = cli_fail(list.json, r, &err);
	else if (list.json)
		r = cli_print_json(json_incref(list.array));
	else
		table_print(list.table);
	table_free(list.table);
	json_decref(list.array);
	cleanup_close(&list.pods_fd);
	return r;
}

static const char *label_of(int pods_fd, uint64_t cgroup_id, char *buf, size_t size)
{
	struct podcred_pod pod;
	bool known = loader_pod_read(pods_fd, cgroup_id, &pod) == 0;

	return pod_label(known ? &pod : NULL, cgroup_id, buf, size);
}

static const char *age(uint64_t since_ns, char *buf, size_t size)
{
	snprintf(buf, size, "%.1fs", ((double)clock_boot_ns() - (double)since_ns) / 1e9);
	return buf;
}

static json_t *json_stamp(const struct listing *list, const struct podcred_stamp *stamp)
{
	char dialled[NET_ADDR_TEXT], label[512];

	return json_pack("{sssIsIsssisIsIsb}", "pod",
			 label_of(list->pods_fd, stamp->pod_cgroup_id, label, sizeof(label)),
			 "podCgroupId", (json_int_t)stamp->pod_cgroup_id, "cgroupId",
			 (json_int_t)stamp->cgroup_id, "dialled",
			 net_addr_format(stamp->addr.ip, stamp->port, dialled, sizeof(dialled)),
			 "pid", (int)stamp->tgid, "uid", (json_int_t)stamp->uid, "netnsCookie",
			 (json_int_t)stamp->netns_cookie, "direct",
			 (int)!!(stamp->flags & PODCRED_PEER_DIRECT));
}

static void row_connection(struct listing *list, const char *client, const char *agent,
			   const struct podcred_stamp *stamp, const char *note)
{
	char label[512], dialled[NET_ADDR_TEXT], pid[16], old[32];

	if (list->json) {
		json_t *object = json_stamp(list, stamp);

		json_object_set_new(object, "client", json_string(client));
		json_object_set_new(object, "agent", json_string(agent));
		if (note)
			json_object_set_new(object, "conflict", json_boolean(*note));
		put(list, object);
		return;
	}
	snprintf(pid, sizeof(pid), "%u", stamp->tgid);
	table_row(list->table, client,
		  label_of(list->pods_fd, stamp->pod_cgroup_id, label, sizeof(label)),
		  net_addr_format(stamp->addr.ip, stamp->port, dialled, sizeof(dialled)), pid,
		  age(stamp->time_ns, old, sizeof(old)),
		  note && *note			       ? note
		  : stamp->flags & PODCRED_PEER_DIRECT ? "direct"
						       : "");
}

static int row_peer(void *arg, const void *key, const void *value)
{
	const struct podcred_peer_key *peer = key;
	char client[NET_ADDR_TEXT], agent[NET_ADDR_TEXT];

	net_addr_format(peer->client.ip, peer->client_port, client, sizeof(client));
	net_addr_format(peer->agent.ip, peer->agent_port, agent, sizeof(agent));
	row_connection(arg, client, agent, value, NULL);
	return 0;
}

static int row_flow(void *arg, const void *key, const void *value)
{
	const struct podcred_flow_key *flow_key = key;
	const struct podcred_flow *flow = value;
	char client[NET_ADDR_TEXT], agent[NET_ADDR_TEXT];

	net_addr_format(flow_key->client.ip, flow_key->client_port, client, sizeof(client));
	net_addr_format(flow_key->agent.ip, flow_key->agent_port, agent, sizeof(agent));
	row_connection(arg, client, agent, &flow->stamp, flow->conflict_ns ? "conflict" : "");
	return 0;
}

static const char *const connection_headings[] = {"CLIENT", "POD", "DIALLED", "PID", "AGE", "NOTE"};

int cmd_peers(const struct cli_command *self, int argc, char **argv)
{
	static const struct source source = {LOADER_MAP_PEERS, sizeof(struct podcred_peer_key),
					     sizeof(struct podcred_seal), row_peer};

	return run_listing(self, argc, argv, &source, 1, connection_headings,
			   ARRAY_SIZE(connection_headings));
}

int cmd_flows(const struct cli_command *self, int argc, char **argv)
{
	static const struct source source = {LOADER_MAP_FLOWS, sizeof(struct podcred_flow_key),
					     sizeof(struct podcred_flow), row_flow};

	return run_listing(self, argc, argv, &source, 1, connection_headings,
			   ARRAY_SIZE(connection_headings));
}

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
		put(list, json_pack("{sIsssssssssbsbsssI}", "cgroupId", (json_int_t)pod->cgroup_id,
				    "uid", pod->uid, "namespace", pod->name_space, "name",
				    pod->name, "serviceAccount", pod->service_account,
				    "hostNetwork", (int)!!(pod->flags & PODCRED_POD_HOST_NETWORK),
				    "static", (int)!!(pod->flags & PODCRED_POD_STATIC), "policy",
				    policy_name(pod), "generation", (json_int_t)pod->generation));
		return 0;
	}
	snprintf(id, sizeof(id), "%" PRIu64, (uint64_t)pod->cgroup_id);
	pod_note(pod, note, sizeof(note));
	table_row(list->table, id, pod->name_space, pod->name, pod->service_account, pod->uid,
		  note);
	return 0;
}

int cmd_pods(const struct cli_command *self, int argc, char **argv)
{
	static const char *const headings[] = {"CGROUP",	 "NAMESPACE", "NAME",
					       "SERVICEACCOUNT", "UID",	      "NOTE"};
	static const struct source source = {LOADER_MAP_PODS, sizeof(uint64_t),
					     sizeof(struct podcred_pod), row_pod};

	return run_listing(self, argc, argv, &source, 1, headings, ARRAY_SIZE(headings));
}

static const char *action_name(uint8_t action)
{
	static const char *const names[] = {
		[PODCRED_ACTION_ALLOW] = "allow", [PODCRED_ACTION_REDIRECT] = "redirect",
		[PODCRED_ACTION_DENY] = "deny",	  [PODCRED_ACTION_STAMP] = "stamp",
		[PODCRED_ACTION_AUDIT] = "audit",
	};

	return action < ARRAY_SIZE(names) ? names[action] : "unknown";
}

static const char *protocol_name(uint8_t protocol)
{
	return protocol == IPPROTO_TCP ? "tcp" : protocol == IPPROTO_UDP ? "udp" : "other";
}

static int row_target(void *arg, const void *key, const void *value)
{
	const struct podcred_action_value *action = value;
	const struct podcred_target_key *target = key;
	struct listing *list = arg;
	char addr[NET_ADDR_TEXT], port[8];

	net_addr_format(target->addr.ip, 0, addr, sizeof(addr));
	snprintf(port, sizeof(port), "%u", ntohs(target->port));
	if (list->json)
		put(list, json_pack("{sssissss}", "address", addr, "port", ntohs(target->port),
				    "protocol", protocol_name(target->protocol), "action",
				    action_name(action->action)));
	else
		table_row(list->table, addr, port, protocol_name(target->protocol),
			  action_name(action->action));
	return 0;
}

static int row_guard(void *arg, const void *key, const void *value)
{
	const struct podcred_action_value *action = value;
	const struct podcred_guard_key *guard = key;
	unsigned bits = guard->prefixlen;
	struct listing *list = arg;
	char addr[NET_ADDR_TEXT + 8];

	net_addr_format(guard->addr.ip, 0, addr, NET_ADDR_TEXT);
	if (bits != 128)
		snprintf(addr + strlen(addr), 8, "/%u",
			 net_addr_is_v4(guard->addr.ip) ? bits - 96 : bits);
	if (list->json)
		put(list,
		    json_pack("{ssss}", "address", addr, "action", action_name(action->action)));
	else
		table_row(list->table, addr, "all else", "all", action_name(action->action));
	return 0;
}

int cmd_targets(const struct cli_command *self, int argc, char **argv)
{
	static const char *const headings[] = {"ADDRESS", "PORT", "PROTOCOL", "ACTION"};
	static const struct source sources[] = {
		{LOADER_MAP_TARGETS, sizeof(struct podcred_target_key),
		 sizeof(struct podcred_action_value), row_target},
		{LOADER_MAP_GUARD, sizeof(struct podcred_guard_key),
		 sizeof(struct podcred_action_value), row_guard},
	};

	return run_listing(self, argc, argv, sources, ARRAY_SIZE(sources), headings,
			   ARRAY_SIZE(headings));
}
