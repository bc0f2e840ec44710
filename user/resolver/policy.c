// SPDX-License-Identifier: Apache-2.0
/* Which pods the configuration exempts or denies, as flags of podcred_pods. */
#include <string.h>

#include "base/log.h"
#include "identity/registry.h"
#include "kernel/maps.h"
#include "resolver/resolver.h"

static uint32_t flags_of(const struct config_verdict *verdict)
{
	static const uint32_t actions[] = {
		[CONFIG_POLICY_EXEMPT] = PODCRED_POD_EXEMPT,
		[CONFIG_POLICY_AUDIT] = PODCRED_POD_AUDIT,
		[CONFIG_POLICY_REDIRECT] = 0,
		[CONFIG_POLICY_DENY] = PODCRED_POD_DENIED,
	};

	return actions[verdict->action] | (verdict->imdsv2 ? PODCRED_POD_IMDSV2 : 0) |
	       (verdict->annotated ? PODCRED_POD_ANNOTATED : 0);
}

static struct config_verdict verdict_before(uint32_t flags)
{
	return (struct config_verdict){
		.action = flags & PODCRED_POD_DENIED   ? CONFIG_POLICY_DENY
			  : flags & PODCRED_POD_EXEMPT ? CONFIG_POLICY_EXEMPT
			  : flags & PODCRED_POD_AUDIT  ? CONFIG_POLICY_AUDIT
						       : CONFIG_POLICY_REDIRECT,
		.imdsv2 = flags & PODCRED_POD_IMDSV2,
	};
}

uint8_t resolver_policy_recall(uint32_t flags)
{
	if (!(flags & PODCRED_POD_ANNOTATED))
		return 0;
	return (flags & PODCRED_POD_DENIED ? POD_ASKS_DENY : POD_ASKS_REDIRECT) |
	       (flags & PODCRED_POD_IMDSV2 ? POD_ASKS_IMDSV2 : 0);
}

struct resolver_policy resolver_policy_of(const struct config *config, const struct pod_ident *pod)
{
	const struct config_verdict before = verdict_before(pod->before);
	const struct config_pod asked = {
		.name_space = pod->name_space,
		.service_account = pod->service_account,
		.host_network = pod->host_network,
		.labels = pod->labels_known ? pod_labels_text(pod->labels) : NULL,
		.asks_deny = pod->asks & POD_ASKS_DENY,
		.asks_redirect = pod->asks & POD_ASKS_REDIRECT,
		.asks_imdsv2 = pod->asks & POD_ASKS_IMDSV2,
		.before = pod->before && !pod->labels_known ? &before : NULL,
	};
	struct config_verdict verdict;

	if (!pod->named)
		return (struct resolver_policy){}; /* an exception is somebody known */
	verdict = config_policy_for(config, &asked);
	return (struct resolver_policy){
		.flags = flags_of(&verdict) | (pod->labels_known ? 0 : PODCRED_POD_NO_LABELS),
		.line = (uint32_t)verdict.line,
	};
}

struct policies {
	const struct config *before, *now;
};

static bool differs(void *arg, const struct pod_ident *pod)
{
	const struct policies *policies = arg;
	struct resolver_policy before = resolver_policy_of(policies->before, pod);
	struct resolver_policy now = resolver_policy_of(policies->now, pod);

	return before.flags != now.flags || before.line != now.line;
}

static int load(struct resolver *res, struct pc_err *err)
{
	const char *path = res->options->config_path;
	int fd = res->tenure->config_fd;

	return fd < 0 ? config_load(path, &res->config, err)
		      : config_read(fd, path, &res->config, err);
}

int resolver_policy_start(struct resolver *res, struct pc_err *err)
{
	config_default(&res->config);
	return res->options->config_path ? load(res, err) : 0;
}

void resolver_policy_reload(struct resolver *res)
{
	static struct config before;
	struct policies policies = {.before = &before, .now = &res->config};
	struct pc_err err = {};
	int r;

	if (!res->options->config_path)
		return;
	before = res->config;
	r = load(res, &err);
	if (r < 0) {
		log_warn("%s; the policy read before stays in force",
			 err.msg[0] ? err.msg : strerror(-r));
		return;
	}
	r = registry_rewrite(res->registry, differs, &policies);
	if (r < 0)
		log_warn("cannot write what the policy changes: %s; trying again", strerror(-r));
	log_info("%zu policy rules read again", res->config.n_policy);
}
