// SPDX-License-Identifier: Apache-2.0
/* explain: what would happen to a pod's connection, and why. */
#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#include "base/addr.h"
#include "base/cleanup.h"
#include "base/parse.h"
#include "cli/association.h"
#include "cli/cli.h"
#include "doctor/facts.h"
#include "kernel/load.h"
#include "kernel/status.h"
#include "node/source.h"

static const struct {
	const char *name;
	uint8_t number;
} protocols[] = {
	{"tcp", IPPROTO_TCP},	{"udp", IPPROTO_UDP},	    {"icmp", IPPROTO_ICMP},
	{"sctp", IPPROTO_SCTP}, {"icmpv6", IPPROTO_ICMPV6}, {"udplite", IPPROTO_UDPLITE},
	{"dccp", IPPROTO_DCCP},
};

static int parse_protocol(const char *text, uint8_t *ret, struct pc_err *err)
{
	uint64_t number;

	for (size_t i = 0; i < ARRAY_SIZE(protocols); i++)
		if (!strcmp(protocols[i].name, text)) {
			*ret = protocols[i].number;
			return 0;
		}
	if (parse_u64(text, 255, &number) < 0 || !number)
		return pc_err_set(err, -EINVAL,
				  "protocol \"%s\" is unknown; tcp, udp, icmp, icmpv6, sctp, dccp, "
				  "udplite or a number from 1 to 255",
				  text);
	*ret = (uint8_t)number;
	return 0;
}

static const char *protocol_text(uint8_t protocol, char *buf, size_t size)
{
	for (size_t i = 0; i < ARRAY_SIZE(protocols); i++)
		if (protocols[i].number == protocol)
			return protocols[i].name;
	snprintf(buf, size, "%u", protocol);
	return buf;
}

static int parse_destination(const char *to, const char *protocol, struct podcred_target_key *ret,
			     struct pc_err *err)
{
	struct net_addr addr;
	int r = parse_protocol(protocol ?: "tcp", &ret->protocol, err);

	if (r < 0)
		return r;
	if (net_addr_parse(to, &addr) < 0)
		return pc_err_set(
			err, -EINVAL,
			"destination \"%s\" is not an address; ADDRESS or ADDRESS:PORT, IPv6 "
			"with a port in brackets",
			to);
	memcpy(ret->addr.ip, addr.ip, sizeof(ret->addr.ip));
	if (doctor_explain_has_ports(ret->protocol))
		ret->port = htons(addr.port ?: 80);
	return 0;
}

/* ---- output ---- */

static const char *outcome_name(enum explain_outcome outcome)
{
	static const char *const names[] = {
		[EXPLAIN_NOT_GUARDED] = "notGuarded", [EXPLAIN_REDIRECTED] = "redirected",
		[EXPLAIN_DIRECT] = "direct",	      [EXPLAIN_PASSED] = "passed",
		[EXPLAIN_REFUSED] = "refused",	      [EXPLAIN_DROPPED] = "dropped",
	};

	return names[outcome];
}

static const char *reason_of(const struct explain_verdict *v)
{
	return v->reason == EXPLAIN_NONE ? NULL : kern_reason_name((enum podcred_reason)v->reason);
}

static void verdict_line(const struct explain_verdict *v, char *buf, size_t size)
{
	const char *reason = reason_of(v), *audit = v->audited ? ", only counted" : "";
	char agent[NET_ADDR_TEXT];

	switch (v->outcome) {
	case EXPLAIN_NOT_GUARDED:
		snprintf(buf, size, "goes to its destination unchanged: not guarded");
		break;
	case EXPLAIN_REDIRECTED:
		net_addr_format(v->agent.addr.ip, ntohs(v->agent.port), agent, sizeof(agent));
		snprintf(buf, size, "redirected to %s", agent);
		break;
	case EXPLAIN_DIRECT:
		snprintf(buf, size, "goes to the agent itself, stamped: %s", reason);
		break;
	case EXPLAIN_PASSED:
		snprintf(buf, size, "goes to the real address: %s%s",
			 reason ?: "allowed by the configuration", audit);
		break;
	case EXPLAIN_REFUSED:
		snprintf(buf, size, "refused with %s: %s", strerrorname_np(v->error), reason);
		break;
	case EXPLAIN_DROPPED:
		snprintf(buf, size, "dropped without an errno: %s", reason);
		break;
	}
}

static const char *destination_text(const struct podcred_target_key *dest, char *buf, size_t size)
{
	char addr[NET_ADDR_TEXT], number[8];

	net_addr_format(dest->addr.ip, ntohs(dest->port), addr, sizeof(addr));
	snprintf(buf, size, "%s/%s", addr, protocol_text(dest->protocol, number, sizeof(number)));
	return buf;
}

static void print_verdict(const struct podcred_target_key *dest, const struct explain_verdict *v)
{
	char line[160], to[NET_ADDR_TEXT + 16];

	verdict_line(v, line, sizeof(line));
	printf("\n%s: %s\n", destination_text(dest, to, sizeof(to)), line);
	for (size_t i = 0; i < v->n_steps; i++)
		printf("  %-12s %s\n", v->steps[i].about, v->steps[i].text);
}

static json_t *json_verdict(const struct podcred_target_key *dest, const struct explain_verdict *v)
{
	char line[160], addr[NET_ADDR_TEXT], agent[NET_ADDR_TEXT] = "", number[8];
	json_t *steps = json_array();

	verdict_line(v, line, sizeof(line));
	for (size_t i = 0; i < v->n_steps; i++)
		json_array_append_new(steps, json_pack("{ssss}", "about", v->steps[i].about, "text",
						       v->steps[i].text));
	if (v->outcome == EXPLAIN_REDIRECTED)
		net_addr_format(v->agent.addr.ip, ntohs(v->agent.port), agent, sizeof(agent));
	return json_pack("{sssissssssss*ss*ss*sbso}", "address",
			 net_addr_format(dest->addr.ip, 0, addr, sizeof(addr)), "port",
			 (int)ntohs(dest->port), "protocol",
			 protocol_text(dest->protocol, number, sizeof(number)), "outcome",
			 outcome_name(v->outcome), "text", line, "reason", reason_of(v), "errno",
			 v->error ? strerrorname_np(v->error) : NULL, "agent",
			 agent[0] ? agent : NULL, "audited", (int)v->audited, "steps", steps);
}

#define WHY_SIZE (NODE_SOURCE_TEXT + 64)

/* Why the pod has no name, in buf; NULL: it has one. */
static const char *unnamed_why(const struct kern_status *status, const struct podcred_pod *pod,
			       char buf[WHY_SIZE])
{
	bool api = status->source.kind == PODCRED_SOURCE_API;
	char text[NODE_SOURCE_TEXT];
	const char *trouble = node_source_trouble(status, text);

	if (pod->flags & PODCRED_POD_NAMED)
		return NULL;
	if (!kern_resolver_is_running(status))
		snprintf(buf, WHY_SIZE, "podcred resolve is not running");
	else if (trouble)
		snprintf(buf, WHY_SIZE, "%s", trouble);
	else
		snprintf(buf, WHY_SIZE, "%s (%s)",
			 api ? "the API server has not told of it" : "it is not in the pod list",
			 node_source_text(status, text));
	return buf;
}

static void print_pod(const struct kern_status *status, const struct podcred_pod *pod)
{
	char buf[WHY_SIZE];
	const char *why = unnamed_why(status, pod, buf);
	bool named = pod->flags & PODCRED_POD_NAMED;

	if (named)
		printf("pod %s/%s, service account %s", pod->name_space, pod->name,
		       pod->service_account);
	else
		printf("pod without a name");
	printf("%s, uid %s, cgroup %" PRIu64 "\n",
	       pod->flags & PODCRED_POD_HOST_NETWORK ? ", hostNetwork" : "",
	       pod->uid[0] ? pod->uid : "not known", (uint64_t)pod->cgroup_id);
	if (why)
		printf("no name: %s\n", why);
}

static json_t *json_pod(const struct kern_status *status, const struct podcred_pod *pod)
{
	char buf[WHY_SIZE];

	return json_pack("{sIsssssssssbss*}", "cgroupId", (json_int_t)pod->cgroup_id, "uid",
			 pod->uid, "namespace", pod->name_space, "name", pod->name,
			 "serviceAccount", pod->service_account, "hostNetwork",
			 (int)!!(pod->flags & PODCRED_POD_HOST_NETWORK), "unnamedBecause",
			 unnamed_why(status, pod, buf));
}

/* To the agent of each family: looked up once. */
struct agent_paths {
	bool known[2];
	char text[2][192];
	struct ways_way way;
	bool has_way;
};

static void find_path(const struct facts_source *source, const struct podcred_pod *pod, int family,
		      struct agent_paths *ret)
{
	const struct podcred_endpoint *agent = &source->status.config.agent[family];
	char *text = ret->text[family];
	struct ways_way way;
	int r;

	if (!agent->port)
		return;
	ret->known[family] = true;
	if (pod->flags & PODCRED_POD_HOST_NETWORK) {
		snprintf(text, sizeof(ret->text[0]), "on the node's own network: no bridge");
		return;
	}
	r = doctor_facts_way(source, pod, agent, &way);
	if (r == 1) {
		node_ways_text(&way, text, sizeof(ret->text[0]));
		ret->way = ret->has_way ? ret->way : way;
		ret->has_way = true;
	} else if (r < 0) {
		snprintf(text, sizeof(ret->text[0]),
			 "not to be seen here (root, hostPID: true, the node's network)");
	} else {
		snprintf(
			text, sizeof(ret->text[0]),
			"not known: no process of the pod is in a network that leads to the agent");
	}
}

static const char *path_to(const struct agent_paths *paths, const struct podcred_target_key *dest)
{
	int family = net_addr_is_v4(dest->addr.ip) || !paths->known[1] ? 0 : 1;

	return paths->known[family] ? paths->text[family] : NULL;
}

/* association: NULL, or the caller's. */
static void explain_all(const struct facts_source *source, const struct podcred_pod *pod,
			const struct podcred_target_key *dests, size_t n, json_t *association,
			bool json)
{
	_cleanup_free_ char *outside = doctor_facts_outside(source, pod);
	json_t *array = json_array();
	struct agent_paths paths = {};

	for (int family = 0; family < 2; family++)
		find_path(source, pod, family, &paths);
	if (!json)
		print_pod(&source->status, pod);
	if (!json && outside)
		printf("not guarded: processes of it run in %s, outside of the guarded kubepods; "
		       "what "
		       "follows does not hold for them\n",
		       outside);
	for (size_t i = 0; i < n; i++) {
		struct explain_verdict verdict;
		struct explain_facts facts;

		doctor_facts_fill(source, pod, &dests[i], &facts);
		facts.path = path_to(&paths, &dests[i]);
		doctor_explain_decide(&facts, &verdict);
		if (json)
			json_array_append_new(array, json_verdict(&dests[i], &verdict));
		else
			print_verdict(&dests[i], &verdict);
	}
	if (json)
		cli_print_json(json_pack("{soss*so*sO*so}", "pod", json_pod(&source->status, pod),
					 "outside", outside, "path",
					 paths.has_way ? cli_json_way(&paths.way) : NULL,
					 "association", association, "destinations", array));
	else
		json_decref(array);
	if (!json && association)
		cli_print_association(association);
}

int cmd_explain(const struct cli_command *self, int argc, char **argv)
{
	const char *pin_dir = NULL, *pod_text = NULL, *to = NULL, *protocol = NULL;
	struct cli_association_options sources = {};
	json_t *association = NULL;
	bool json = false;
	const struct cli_option options[] = {
		{"pod", "POD", "NAMESPACE/NAME, uid or cgroup id (required)", &pod_text, NULL,
		 NULL},
		{"to", "ADDRESS[:PORT]", "destination (default: all redirected)", &to, NULL, NULL},
		{"protocol", "NAME", "tcp (default), udp, icmp, ... or a number", &protocol, NULL,
		 NULL},
		{"associations", "FILE", "say which association it gets: of this file",
		 &sources.associations, NULL, NULL},
		{"config", "FILE", "where else associations come from", &sources.config, NULL,
		 NULL},
		{"kubeconfig", "FILE", "how to ask the API server for them", &sources.kubeconfig,
		 NULL, NULL},
		{"context", "NAME", "context of the kubeconfig", &sources.context, NULL, NULL},
		CLI_JSON(json),
		CLI_PIN_DIR(pin_dir),
	};
	static struct podcred_target_key dests[PODCRED_TARGETS_MAX];
	struct facts_source source;
	struct podcred_pod pod;
	struct pc_err err = {};
	size_t n = 1;
	int r = cli_parse(self, options, ARRAY_SIZE(options), argc, argv, 0, NULL, NULL);

	if (r)
		return r - 1;
	if (!pod_text || (protocol && !to)) {
		fprintf(stderr, "podcred explain: %s\n",
			pod_text ? "--protocol goes with --to"
				 : "no pod given; podcred explain --pod NAMESPACE/NAME");
		return EXIT_USAGE;
	}
	r = doctor_facts_open(pin_dir ?: KERN_PIN_DIR, &source, &err);
	if (r == 0)
		r = doctor_facts_find_pod(&source, pod_text, &pod, &err);
	if (r == 0 && to)
		r = parse_destination(to, protocol, &dests[0], &err);
	if (r == 0 && !to)
		n = doctor_facts_redirected(&source, dests, ARRAY_SIZE(dests));
	if (r == 0)
		r = cli_association(&sources, &pod, &association, &err);
	if (r == 0)
		explain_all(&source, &pod, dests, n, association, json);
	json_decref(association);
	doctor_facts_close(&source);
	return r < 0 ? cli_fail(json, r, &err) : 0;
}
