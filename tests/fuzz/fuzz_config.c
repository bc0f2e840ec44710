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

static void put_rule(const struct config_policy_rule *rule)
{
	static const char *const names[] = {"redirect", "exempt", "deny"};

	MUST(rule->action <= CONFIG_POLICY_DENY);
	MUST(rule->action != CONFIG_POLICY_EXEMPT || rule->name_space[0]);
	MUST(!rule->name_space[0] || k8s_is_label(rule->name_space, strlen(rule->name_space)));
	MUST(!rule->service_account[0] ||
	     k8s_is_subdomain(rule->service_account, strlen(rule->service_account)));
	put("- {action: %s", names[rule->action]);
	if (rule->name_space[0])
		put(", namespace: \"%s\"", rule->name_space);
	if (rule->service_account[0])
		put(", serviceAccount: \"%s\"", rule->service_account);
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
		put_rule(&c->policy[i]);
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
		MUST(a->policy[i].action == b->policy[i].action &&
		     !strcmp(a->policy[i].name_space, b->policy[i].name_space) &&
		     !strcmp(a->policy[i].service_account, b->policy[i].service_account));
}

/* The first rule that matches decides, and none can exempt a pod that has no name. */
static void check_policy(const struct config *c)
{
	for (size_t i = 0; i < c->n_policy; i++) {
		const struct config_policy_rule *rule = &c->policy[i];

		MUST(config_policy_for(c, "", rule->service_account) == CONFIG_POLICY_REDIRECT);
		MUST(config_policy_for(c, rule->name_space[0] ? rule->name_space : "zz",
				       rule->service_account) == rule->action ||
		     !rule->name_space[0]);
	}
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
	return 0;
}
