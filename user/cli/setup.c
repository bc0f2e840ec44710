// SPDX-License-Identifier: Apache-2.0
#include "cli/setup.h"

#include <errno.h>
#include <string.h>

#include "base/addr.h"
#include "base/log.h"
#include "fetch/fetch.h"
#include "kernel/features.h"
#include "kernel/load.h"

void cli_setup_log(const struct cli_setup *setup)
{
	log_setup(setup->program ?: "podcred", setup->log_debug ? LOG_LEVEL_DEBUG : LOG_LEVEL_INFO,
		  setup->log_json);
}

int cli_read_address(const char *option, const char *text, struct net_addr *ret, struct pc_err *err)
{
	if (net_addr_parse(text, ret) == 0 && ret->port)
		return 0;
	return pc_err_set(err, -EINVAL,
			  "--%s \"%.64s\" is not ADDRESS:PORT; write 0.0.0.0:8443 or [::]:8443",
			  option, text);
}

int cli_check_node_source(const struct cli_setup *setup, struct pc_err *err)
{
	return setup->config.credentials.source == CONFIG_SOURCE_ISSUER ? fetch_refuse_issuer(err)
									: 0;
}

int cli_setup_finish(struct cli_setup *setup, struct pc_err *err)
{
	int r = 0;

	cli_setup_log(setup);
	config_default(&setup->config);
	if (setup->config_path)
		r = config_load(setup->config_path, &setup->config, err);
	/* an address on the command line replaces those of the file */
	if (r == 0 && setup->agents.n)
		setup->config.agent_v4 = setup->config.agent_v6 = (struct net_addr){};
	for (size_t i = 0; r == 0 && i < setup->agents.n; i++)
		r = config_set_agent(&setup->config, setup->agents.v[i], err);
	for (size_t i = 0; r == 0 && i < setup->without.n; i++)
		r = kern_features_without(setup->without.v[i], err);
	if (r == 0 && setup->place.create && !setup->place.kubepods)
		r = pc_err_set(err, -EINVAL, "--create makes what --kubepods names; give both");
	if (!setup->place.pin_dir)
		setup->place.pin_dir = KERN_PIN_DIR;
	setup->place.config = &setup->config;
	return r;
}
