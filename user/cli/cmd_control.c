// SPDX-License-Identifier: Apache-2.0
#include <errno.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "cli/cli.h"
#include "cli/setup.h"
#include "daemon/control.h"

#define LISTEN "0.0.0.0:8443"
#define HEALTH "0.0.0.0:8080"

static int check(const struct daemon_control_options *o, struct pc_err *err)
{
	const struct config_credentials *c = &o->config->credentials;

	if (!c->cluster_name[0] || !c->cluster_arn[0])
		return pc_err_set(err, -EINVAL,
				  "the cluster has no name or no ARN; write credentials.cluster "
				  "(name and arn) into the configuration, and give --config FILE");
	if (!o->certificate != !o->key)
		return pc_err_set(err, -EINVAL,
				  "--certificate and --key belong together; give both or none");
	if (o->certificate && *o->certificates.name)
		return pc_err_set(
			err, -EINVAL,
			"--certificates makes what --certificate and --key would name; give "
			"one of them");
	return 0;
}

static int parse_secret(const char *option, const char *text, struct daemon_secret *ret,
			struct pc_err *err)
{
	if (text && daemon_secret_parse(text, ret) < 0)
		return pc_err_set(err, -EINVAL,
				  "--%s: '%.200s' is not NAMESPACE/NAME of a Secret; write it like "
				  "podcred/podcred-control-certificates",
				  option, text);
	return 0;
}

int cmd_control(const struct cli_command *self, int argc, char **argv)
{
	struct daemon_control_options control = {};
	struct cli_setup setup = {};
	const char *listen = NULL, *health = NULL, *certificates = NULL, *broker = NULL;
	const struct cli_option options[] = {
		{"config", "FILE", "configuration: its section credentials", &setup.config_path,
		 NULL, NULL},
		{"listen", "ADDRESS:PORT", "TLS: the API and the webhook (default " LISTEN ")",
		 &listen, NULL, NULL},
		{"health", "ADDRESS:PORT",
		 "plain HTTP: /healthz, /readyz, /metrics (default " HEALTH ")", &health, NULL,
		 NULL},
		{"certificate", "FILE", "the server's certificate, with its chain (PEM)",
		 &control.certificate, NULL, NULL},
		{"key", "FILE", "its private key (PEM)", &control.key, NULL, NULL},
		{"sealing-keys", "FILE", "master keys for callers that sign", &control.sealing_keys,
		 NULL, NULL},
		{"certificates", "NAMESPACE/SECRET",
		 "make and renew that pair in a Secret, and tell the API server whom to trust",
		 &certificates, NULL, NULL},
		{"server-name", "NAME",
		 "the DNS name in it (default podcred-control.NAMESPACE.svc)", &control.server_name,
		 NULL, NULL},
		{"broker-certificates", "NAMESPACE/SECRET", "the same for podcred broker", &broker,
		 NULL, NULL},
		{"kubeconfig", "FILE", "the Kubernetes API (default: the pod's service account)",
		 &control.kubeconfig, NULL, NULL},
		{"context", "NAME", "context of the kubeconfig (default: its current one)",
		 &control.context, NULL, NULL},
		{"user", "USER", "switch to that user, a name or a number", &control.user, NULL,
		 NULL},
		CLI_LOG(setup),
	};
	struct pc_err err = {};
	int r = cli_parse(self, options, ARRAY_SIZE(options), argc, argv, 0, NULL, NULL);

	if (r)
		return r - 1;
	log_queue();
	r = cli_setup_finish(&setup, &err);
	control.config = &setup.config;
	if (r == 0)
		r = parse_secret("certificates", certificates, &control.certificates, &err);
	if (r == 0)
		r = parse_secret("broker-certificates", broker, &control.broker_certificates, &err);
	if (r == 0)
		r = check(&control, &err);
	if (r == 0)
		r = cli_read_address("listen", listen ?: LISTEN, &control.listen, &err);
	if (r == 0)
		r = cli_read_address("health", health ?: HEALTH, &control.health, &err);
	if (r == 0)
		r = daemon_control(&control, &err);
	return r < 0 ? cli_fail(false, r, &err) : r;
}
