// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <string.h>

#include "base/addr.h"
#include "base/cleanup.h"
#include "base/log.h"
#include "cli/cli.h"
#include "cli/setup.h"
#include "daemon/broker.h"

#define DEFAULT_LISTEN "0.0.0.0:8443"
#define DEFAULT_HEALTH "0.0.0.0:8080"

static bool is_loopback(const struct net_addr *addr)
{
	static const uint8_t v6[16] = {[15] = 1};

	return net_addr_is_v4(addr->ip) ? addr->ip[12] == 127 : !memcmp(addr->ip, v6, sizeof(v6));
}

static int check_tls(const struct daemon_broker_options *broker, bool insecure, struct pc_err *err)
{
	if (!broker->certificate != !broker->key)
		return pc_err_set(err, -EINVAL,
				  "--certificate and --key belong together; give both");
	if (broker->certificate && insecure)
		return pc_err_set(err, -EINVAL,
				  "--insecure does without the certificate that is given; leave "
				  "one of them out");
	if (!broker->certificate && !insecure)
		return pc_err_set(err, -EINVAL,
				  "no certificate, and credentials go over the network; give "
				  "--certificate FILE and --key FILE");
	for (size_t i = 0; insecure && i < broker->n_listen; i++)
		if (!is_loopback(&broker->listen[i]))
			return pc_err_set(err, -EINVAL,
					  "--insecure is for tests, and listens on loopback only; "
					  "give --listen 127.0.0.1:PORT");
	return 0;
}

static int check_config(const struct config *config, struct pc_err *err)
{
	const struct config_credentials *c = &config->credentials;

	if (!config->broker.given)
		return pc_err_set(err, -EINVAL,
				  "nobody may ask: the configuration has no section broker; add "
				  "broker: {agents: [NAMESPACE/SERVICEACCOUNT]}");
	if (c->source == CONFIG_SOURCE_BROKER || c->source == CONFIG_SOURCE_EKS_AUTH)
		return pc_err_set(err, -EINVAL,
				  "the broker makes credentials itself; write source: sts, "
				  "webIdentity or issuer into credentials");
	if (!c->cluster_name[0])
		return pc_err_set(err, -EINVAL,
				  "agents name their cluster, and the configuration has none; add "
				  "credentials: {cluster: {name: NAME}}");
	if (!c->objects && !c->migration.irsa && !c->migration.kube2iam && !c->migration.kiam)
		return pc_err_set(err, -EINVAL,
				  "nothing says which role a pod gets; add credentials: {objects: "
				  "true}");
	return 0;
}

static int take_addresses(const struct cli_values *texts, const char *health,
			  struct net_addr listen[CLI_MAX_VALUES],
			  struct daemon_broker_options *broker, struct pc_err *err)
{
	int r = cli_read_address("health", health ?: DEFAULT_HEALTH, &broker->health, err);

	broker->listen = listen;
	broker->n_listen = texts->n ?: 1;
	for (size_t i = 0; r == 0 && i < broker->n_listen; i++)
		r = cli_read_address("listen", texts->n ? texts->v[i] : DEFAULT_LISTEN, &listen[i],
				     err);
	return r;
}

int cmd_broker(const struct cli_command *self, int argc, char **argv)
{
	struct daemon_broker_options broker = {};
	struct net_addr listen[CLI_MAX_VALUES];
	struct cli_setup setup = {};
	struct cli_values addresses = {};
	const char *health = NULL;
	bool insecure = false;
	const struct cli_option options[] = {
		{"config", "FILE", "configuration: its sections broker and credentials (required)",
		 &setup.config_path, NULL, NULL},
		{"listen", "ADDRESS:PORT", "where agents ask (default: " DEFAULT_LISTEN ")", NULL,
		 NULL, &addresses},
		{"health", "ADDRESS:PORT",
		 "where probes and metrics are answered, without TLS (default: " DEFAULT_HEALTH ")",
		 &health, NULL, NULL},
		{"certificate", "FILE", "the server's certificate, with its chain (PEM)",
		 &broker.certificate, NULL, NULL},
		{"key", "FILE", "its private key (PEM)", &broker.key, NULL, NULL},
		{"sealing-keys", "FILE", "master keys for agents that sign, as that of EKS",
		 &broker.sealing, NULL, NULL},
		{"insecure", NULL, "without TLS, on loopback only: for tests", NULL, &insecure,
		 NULL},
		{"kubeconfig", "FILE", "the Kubernetes API (default in a pod: its service account)",
		 &broker.kubeconfig, NULL, NULL},
		{"context", "NAME", "context of the kubeconfig (default: its current one)",
		 &broker.context, NULL, NULL},
		{"user", "USER", "switch to that user, a name or a number", &broker.user, NULL,
		 NULL},
		CLI_LOG(setup),
	};
	struct pc_err err = {};
	int r = cli_parse(self, options, ARRAY_SIZE(options), argc, argv, 0, NULL, NULL);

	if (r)
		return r - 1;
	log_queue();
	r = cli_setup_finish(&setup, &err);
	broker.config = &setup.config;
	broker.config_path = setup.config_path;
	r = r ?: take_addresses(&addresses, health, listen, &broker, &err);
	r = r ?: check_tls(&broker, insecure, &err);
	r = r ?: check_config(&setup.config, &err);
	r = r ?: daemon_broker(&broker, &err);
	return r < 0 ? cli_fail(false, r, &err) : r;
}
