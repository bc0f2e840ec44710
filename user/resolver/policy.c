// SPDX-License-Identifier: Apache-2.0
/* Which pods the configuration exempts or denies, as flags of podcred_pods. */
#include <string.h>

#include "base/log.h"
#include "identity/registry.h"
#include "kernel/maps.h"
#include "resolver/resolver.h"

uint32_t resolver_policy_flags(const struct config *config, const struct pod_ident *pod)
{
	if (!pod->named)
		return 0; /* an exception is somebody known */
	switch (config_policy_for(config, pod->name_space, pod->service_account)) {
	case CONFIG_POLICY_EXEMPT:
		return PODCRED_POD_EXEMPT;
	case CONFIG_POLICY_DENY:
		return PODCRED_POD_DENIED;
	case CONFIG_POLICY_REDIRECT:
		break;
	}
	return 0;
}

struct policies {
	const struct config *before, *now;
};

static bool differs(void *arg, const struct pod_ident *pod)
{
	const struct policies *policies = arg;

	return resolver_policy_flags(policies->before, pod) !=
	       resolver_policy_flags(policies->now, pod);
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
