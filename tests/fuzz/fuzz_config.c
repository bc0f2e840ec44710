// SPDX-License-Identifier: Apache-2.0
/* MODULES: config yaml base */
/* LIBS: -lyaml */
/* The configuration and its policy: refused as a whole, or written out again to the same. */
#include "base/addr.h"
#include "fuzz.h"

#include <netinet/in.h>
#include <stdarg.h>
#include <sys/mman.h>
#include <unistd.h>

#include "config/config.h"

static struct config before, config, again;
static char text_again[1 << 18];
static size_t text_len;

static int load(const void *text, size_t size, struct config *ret, struct pc_err *err)
{
	static int fd = -1;
	static char path[32];

	if (fd < 0) {
		fd = memfd_create("config", MFD_CLOEXEC);
		snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	}
	if (ftruncate(fd, 0) < 0 || pwrite(fd, text, size, 0) != (ssize_t)size)
		abort();
	return config_load(path, ret, err);
}

__attribute__((format(printf, 1, 2))) static void put(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	text_len +=
		(size_t)vsnprintf(text_again + text_len, sizeof(text_again) - text_len, fmt, ap);
	va_end(ap);
	MUST(text_len < sizeof(text_again));
}

static const char *action(enum config_action a)
{
	MUST(a == CONFIG_ALLOW || a == CONFIG_REDIRECT || a == CONFIG_DENY || a == CONFIG_AUDIT);
	return a == CONFIG_ALLOW      ? "allow"
	       : a == CONFIG_REDIRECT ? "redirect"
	       : a == CONFIG_DENY     ? "deny"
				      : "audit";
}

static void put_agent(const struct net_addr *agent)
{
	char text[NET_ADDR_TEXT];

	if (agent->port)
		put("- \"%s\"\n", net_addr_format(agent->ip, agent->port, text, sizeof(text)));
}

static void put_destination(const struct config_destination *dest)
{
	char text[NET_ADDR_TEXT];
	bool v4 = net_addr_is_v4(dest->prefix.ip) && dest->bits >= 96;

	MUST(dest->bits >= 1 && dest->bits <= 128 && dest->n_ports <= CONFIG_MAX_PORTS);
	MUST(dest->action != CONFIG_REDIRECT && (!dest->n_ports || dest->bits == 128));
	put("- address: \"%s/%u\"\n  action: %s\n  ports:\n",
	    net_addr_format(dest->prefix.ip, 0, text, sizeof(text)),
	    v4 ? dest->bits - 96 : dest->bits, action(dest->action));
	if (!dest->n_ports)
		put("    []\n");
	for (size_t i = 0; i < dest->n_ports; i++) {
		const struct config_port *port = &dest->ports[i];

		MUST(port->port &&
		     (port->protocol == IPPROTO_TCP || port->protocol == IPPROTO_UDP));
		MUST(port->protocol == IPPROTO_TCP || port->action != CONFIG_REDIRECT);
		put("  - {port: %u, protocol: %s, action: %s}\n", port->port,
		    port->protocol == IPPROTO_TCP ? "tcp" : "udp", action(port->action));
	}
}

static const char *next_text(const char *text)
{
	return text + strlen(text) + 1;
}

static void put_requirement(const struct config *c, const struct config_requirement *want)
{
	static const char *const names[] = {"In", "NotIn", "Exists", "DoesNotExist"};
	const char *text = c->text + want->at;

	MUST(want->operator<= CONFIG_DOES_NOT_EXIST && want->at<c->text_len);
	MUST((want->n_values != 0) == (want->operator<= CONFIG_NOT_IN));
	MUST(k8s_is_label_key(text, strlen(text)));
	put("{key: \"%s\", operator: %s, values: [", text, names[want->operator]);
	for (unsigned i = 0; i < want->n_values; i++) {
		text = next_text(text);
		MUST(k8s_is_label_value(text, strlen(text)));
		put("%s\"%s\"", i ? ", " : "", text);
	}
	put("]}");
}

static void put_selector(const struct config *c, const struct config_policy_rule *rule)
{
	MUST((size_t)rule->first_requirement + rule->n_requirements <= c->n_requirements);
	put(", podSelector: {matchExpressions: [");
	for (unsigned i = 0; i < rule->n_requirements; i++) {
		put("%s", i ? ", " : "");
		put_requirement(c, &c->requirements[rule->first_requirement + i]);
	}
	put("]}");
}

static void put_rule(const struct config *c, const struct config_policy_rule *rule)
{
	static const char *const names[] = {"exempt", "audit", "redirect", "deny"};

	MUST(rule->action <= CONFIG_POLICY_DENY && rule->host_network <= CONFIG_EITHER);
	MUST(rule->action > CONFIG_POLICY_AUDIT || rule->name_space[0]);
	MUST(!rule->imdsv2 || rule->action == CONFIG_POLICY_REDIRECT);
	MUST(!rule->name_space[0] || k8s_is_label(rule->name_space, strlen(rule->name_space)));
	MUST(!rule->service_account[0] ||
	     k8s_is_subdomain(rule->service_account, strlen(rule->service_account)));
	put("- {action: %s", names[rule->action]);
	if (rule->name_space[0])
		put(", namespace: \"%s\"", rule->name_space);
	if (rule->service_account[0])
		put(", serviceAccount: \"%s\"", rule->service_account);
	if (rule->host_network != CONFIG_EITHER)
		put(", hostNetwork: %s", rule->host_network ? "true" : "false");
	if (rule->imdsv2)
		put(", imdsv2: required");
	if (rule->annotations)
		put(", annotations: tighten");
	put_selector(c, rule);
	put("}\n");
}

static void put_list(const char *key, size_t n)
{
	put("%s:%s\n", key, n ? "" : " []");
}

static void put_metrics(const struct net_addr *addr)
{
	char text[NET_ADDR_TEXT];

	put("metrics: \"%s\"\n", net_addr_format(addr->ip, addr->port, text, sizeof(text)));
}

static void write_out(const struct config *c)
{
	text_len = 0;
	put("mode: %s\nfailureMode: %s\nmaxPendingPerPod: %u\n", c->audit ? "audit" : "enforce",
	    c->fail_open ? "open" : "closed", c->max_pending_per_pod);
	if (c->metrics.port)
		put_metrics(&c->metrics);
	else
		put("metrics: off\n");
	put_list("agent", c->agent_v4.port || c->agent_v6.port);
	put_agent(&c->agent_v4);
	put_agent(&c->agent_v6);
	MUST(c->n_destinations <= CONFIG_MAX_DESTINATIONS && c->n_policy <= CONFIG_MAX_POLICY);
	put_list("destinations", c->n_destinations);
	for (size_t i = 0; i < c->n_destinations; i++)
		put_destination(&c->destinations[i]);
	put_list("policy", c->n_policy);
	for (size_t i = 0; i < c->n_policy; i++)
		put_rule(c, &c->policy[i]);
}

static bool same_port(const struct config_port *a, const struct config_port *b)
{
	return a->port == b->port && a->protocol == b->protocol && a->action == b->action;
}

static bool same_destination(const struct config_destination *a, const struct config_destination *b)
{
	if (a->bits != b->bits || a->action != b->action || a->n_ports != b->n_ports ||
	    memcmp(a->prefix.ip, b->prefix.ip, 16) != 0)
		return false;
	for (size_t i = 0; i < a->n_ports; i++)
		if (!same_port(&a->ports[i], &b->ports[i]))
			return false;
	return true;
}

static void check_same_rule(const struct config_policy_rule *a, const struct config_policy_rule *b)
{
	MUST(a->action == b->action && a->host_network == b->host_network &&
	     a->imdsv2 == b->imdsv2 && a->annotations == b->annotations &&
	     a->n_requirements == b->n_requirements && !strcmp(a->name_space, b->name_space) &&
	     !strcmp(a->service_account, b->service_account));
}

static void check_same(const struct config *a, const struct config *b)
{
	MUST(a->audit == b->audit && a->fail_open == b->fail_open &&
	     a->max_pending_per_pod == b->max_pending_per_pod);
	MUST(!memcmp(&a->metrics, &b->metrics, sizeof(a->metrics)));
	MUST(!memcmp(&a->agent_v4, &b->agent_v4, sizeof(a->agent_v4)) &&
	     !memcmp(&a->agent_v6, &b->agent_v6, sizeof(a->agent_v6)));
	MUST(a->n_destinations == b->n_destinations && a->n_policy == b->n_policy);
	for (size_t i = 0; i < a->n_destinations; i++)
		MUST(same_destination(&a->destinations[i], &b->destinations[i]));
	for (size_t i = 0; i < a->n_policy; i++)
		check_same_rule(&a->policy[i], &b->policy[i]);
	MUST(a->n_requirements == b->n_requirements && a->text_len == b->text_len);
	MUST(!memcmp(a->text, b->text, a->text_len));
	for (size_t i = 0; i < a->n_requirements; i++)
		MUST(a->requirements[i].at == b->requirements[i].at &&
		     a->requirements[i].n_values == b->requirements[i].n_values &&
		     a->requirements[i].operator== b->requirements[i].operator);
}

#define TERMINATED(array) MUST(memchr(array, '\0', sizeof(array)))

/* A list of texts that ends with an empty one. */
static void check_packed(const char *text, size_t size)
{
	const char *at = text;

	while (*at) {
		at += strlen(at) + 1;
		MUST(at < text + size);
	}
}

static void check_node(const struct config_node_credentials *node)
{
	MUST(node->kind < CONFIG_NODE_KINDS);
	TERMINATED(node->path);
	TERMINATED(node->profile);
	TERMINATED(node->role_arn);
	MUST(node->kind != CONFIG_NODE_EXEC || node->command[0] == '/');
	check_packed(node->command, sizeof(node->command));
	check_packed(node->environment, sizeof(node->environment));
}

static void check_credentials(const struct config_credentials *c)
{
	MUST(c->n_node <= CONFIG_NODE_KINDS && c->n_imds <= CONFIG_MAX_IMDS &&
	     c->tokens.n_issuers <= CONFIG_MAX_ISSUERS);
	for (size_t i = 0; i < c->n_node; i++) {
		check_node(&c->node[i]);
		for (size_t j = 0; j < i; j++)
			MUST(c->node[i].kind != c->node[j].kind);
	}
	TERMINATED(c->region);
	TERMINATED(c->cluster_name);
	TERMINATED(c->cluster_arn);
	TERMINATED(c->sts_endpoint);
	TERMINATED(c->no_proxy);
	TERMINATED(c->ca_bundle);
	TERMINATED(c->migration.base_role_arn);
	TERMINATED(c->migration.default_role);
	MUST(c->source != CONFIG_SOURCE_EKS_AUTH || c->cluster_name[0]);
	MUST(!c->cluster_arn[0] || strcmp(strchr(c->cluster_arn, '/') + 1, c->cluster_name) == 0);
	MUST(c->tokens.audience[0] && c->web_identity_audience[0]);
	for (size_t i = 0; i < c->n_imds; i++) {
		TERMINATED(c->imds[i]);
		MUST(c->imds[i][0] && c->imds[i][0] != '/' && !strstr(c->imds[i], ".."));
	}
	for (size_t i = 0; i < c->tokens.n_issuers; i++)
		TERMINATED(c->tokens.issuers[i]);
}

/* Labels that meet all that the rule wants; false: that takes more thought. */
static bool meet(const struct config *c, const struct config_policy_rule *rule, char *labels,
		 size_t size)
{
	size_t used = 0;

	for (unsigned i = 0; i < rule->n_requirements; i++) {
		const struct config_requirement *want =
			&c->requirements[rule->first_requirement + i];
		const char *key = c->text + want->at, *value = "x";

		for (unsigned k = 0; k < i; k++)
			if (!strcmp(key, c->text + c->requirements[rule->first_requirement + k].at))
				return false;
		if (want->operator== CONFIG_NOT_IN || want->operator== CONFIG_DOES_NOT_EXIST)
			continue;
		if (want->operator== CONFIG_IN)
			value = next_text(key);
		MUST(used + strlen(key) + strlen(value) + 3 < size);
		used += (size_t)sprintf(labels + used, "%s", key) + 1;
		used += (size_t)sprintf(labels + used, "%s", value) + 1;
	}
	labels[used] = '\0';
	return true;
}

/* A pod that a rule selects is judged by it or by one above; what is not known of it, or what it asks for, never
 * gives it more. A pod without a name is nobody's exception. */
static void check_pod(const struct config *c, const struct config_policy_rule *rule)
{
	static char labels[CONFIG_MAX_TEXT + CONFIG_MAX_REQUIREMENTS * 4];
	bool met = meet(c, rule, labels, sizeof(labels));
	struct config_pod pod = {.name_space = rule->name_space[0] ? rule->name_space : "zz",
				 .service_account = rule->service_account,
				 .host_network = rule->host_network == CONFIG_YES,
				 .labels = met ? labels : ""};
	struct config_verdict known = config_policy_for(c, &pod), other;

	MUST(!met || (known.line && known.line <= rule->line));
	pod.labels = NULL;
	other = config_policy_for(c, &pod);
	MUST(other.action >= known.action && (other.imdsv2 || !known.imdsv2));
	pod.labels = met ? labels : "";
	pod.asks_redirect = pod.asks_imdsv2 = true;
	other = config_policy_for(c, &pod);
	MUST(other.action >= known.action && (other.imdsv2 || !known.imdsv2));
	pod.name_space = "";
	MUST(config_policy_for(c, &pod).action == CONFIG_POLICY_REDIRECT);
}

static void check_policy(const struct config *c)
{
	for (size_t i = 0; i < c->n_policy; i++)
		check_pod(c, &c->policy[i]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct pc_err err = {};

	memset(&before, 0x5a, sizeof(before));
	memcpy(&config, &before, sizeof(config));
	if (load(data, size, &config, &err) < 0) {
		MUST(memcmp(&config, &before, sizeof(config)) == 0);
		MUST(*err.msg);
		for (const char *c = err.msg; *c; c++)
			MUST((unsigned char)*c >= ' ' && *c != 127);
		return 0;
	}
	write_out(&config);
	if (load(text_again, text_len, &again, &err) < 0) {
		fprintf(stderr, "%s\n%s", err.msg, text_again);
		abort();
	}
	check_same(&config, &again);
	check_policy(&config);
	check_credentials(&config.credentials);
	return 0;
}
