// SPDX-License-Identifier: Apache-2.0
/* trust-policy: the trust policy that a role needs, so that podcred can assume it for pods. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/k8s_name.h"
#include "cli/api.h"
#include "cli/cli.h"
#include "config/config.h"
#include "credentials/trust.h"
#include "kube/associations.h"

#define ROLES_MAX    64
#define POLICY_MAX   65536
#define TRUSTEES_MAX (CLI_MAX_VALUES + 1024)

struct arguments {
	const char *config, *associations, *source, *principal, *issuer, *convert;
	const char *kubeconfig, *context;
	struct cli_values accounts;
};

/* All associations there are: those of the file, and objects. */
struct known {
	struct cred_table *file;
	struct cli_api api;
	struct kube_associations *objects;
	const struct cred_association **list;
	size_t n, room;
	bool no_memory;
};

static void known_done(struct known *known)
{
	free(known->list);
	kube_associations_free(known->objects);
	cli_api_close(&known->api);
	cred_table_unref(known->file);
}

/* ---- what is configured ---- */

static const enum cred_source sources[] = {
	[CONFIG_SOURCE_STS] = CRED_SOURCE_STS,
	[CONFIG_SOURCE_WEB_IDENTITY] = CRED_SOURCE_WEB_IDENTITY,
	[CONFIG_SOURCE_EKS_AUTH] = CRED_SOURCE_EKS_AUTH,
	[CONFIG_SOURCE_BROKER] = CRED_SOURCE_STS, /* which the broker asks */
	[CONFIG_SOURCE_ISSUER] = CRED_SOURCE_ISSUER,
};

static int read_source(const char *text, enum cred_source *ret, struct pc_err *err)
{
	for (size_t i = 0; i < ARRAY_SIZE(sources); i++)
		if (!strcmp(cred_source_name(sources[i]), text)) {
			*ret = sources[i];
			return 0;
		}
	return pc_err_set(err, -EINVAL,
			  "source \"%.64s\" is not sts, webIdentity, issuer or eksAuth", text);
}

static const char *or_null(const char *text)
{
	return *text ? text : NULL;
}

static const char *issuer_of(const struct config *config, enum cred_source source)
{
	return source == CRED_SOURCE_ISSUER ? or_null(config->broker.issuer.url)
					    : or_null(config->credentials.tokens.issuers[0]);
}

/* config: what trust points into. */
static int read_trust(const struct arguments *args, struct config *config, struct cred_trust *ret,
		      struct pc_err *err)
{
	const struct config_credentials *credentials = &config->credentials;
	int r = 0;

	config_default(config);
	if (args->config)
		r = config_load(args->config, config, err);
	*ret = (struct cred_trust){
		.source = sources[credentials->source],
		.principal = args->principal,
		.audience = credentials->web_identity_audience,
		.cluster = {or_null(credentials->cluster_name), or_null(credentials->cluster_arn)},
	};
	if (r == 0 && args->source)
		r = read_source(args->source, &ret->source, err);
	ret->issuer = args->issuer ?: issuer_of(config, ret->source);
	return r;
}

/* ---- one role ---- */

static bool is_role(const char *arn, const char *role)
{
	return arn && (!strcmp(arn, role) || !strcmp(strrchr(arn, '/') + 1, role));
}

/* The ARN that a name stands for; role itself if it is one, or nobody knows it. */
static int find_arn(const struct known *known, const char *role, const char **ret,
		    struct pc_err *err)
{
	*ret = role;
	for (size_t i = 0; i < known->n; i++) {
		const struct cred_association *a = known->list[i];
		const char *const arns[] = {a->role_arn, a->target_role_arn};

		for (size_t j = 0; j < ARRAY_SIZE(arns); j++) {
			if (!is_role(arns[j], role) || !strcmp(arns[j], *ret))
				continue;
			if (*ret != role)
				return pc_err_set(
					err, -EINVAL,
					"%.64s is the name of several roles; give the ARN: "
					"%.300s or %.300s",
					role, *ret, arns[j]);
			*ret = arns[j];
		}
	}
	return 0;
}

static size_t find_trustees(const struct known *known, const char *arn,
			    struct cred_trustee *trustees, size_t n)
{
	for (size_t i = 0; i < known->n && n < TRUSTEES_MAX; i++) {
		const struct cred_association *a = known->list[i];

		if (is_role(a->role_arn, arn) || is_role(a->target_role_arn, arn))
			trustees[n++] = (struct cred_trustee){a->namespace, a->service_account, a};
	}
	return n;
}

static int print_role(const struct cred_trust *trust, const struct known *known,
		      const struct cred_trustee *given, size_t n_given, const char *role,
		      json_t *into, struct pc_err *err)
{
	_cleanup_free_ struct cred_trustee *trustees = calloc(TRUSTEES_MAX, sizeof(*trustees));
	const char *arn;
	json_t *policy;
	size_t n;
	int r = find_arn(known, role, &arn, err);

	if (r < 0 || !trustees)
		return r < 0 ? r : pc_err_set(err, -ENOMEM, "no memory");
	memcpy(trustees, given, n_given * sizeof(*given));
	n = find_trustees(known, arn, trustees, n_given);
	if (n == TRUSTEES_MAX)
		return pc_err_set(err, -E2BIG,
				  "%s is the role of more than %d service accounts, which no trust "
				  "policy has room for; use a prefix of namespaces, by hand",
				  arn, TRUSTEES_MAX);
	r = cred_trust_policy(trust, arn, trustees, n, &policy, err);
	if (r == 0)
		json_object_set_new(into, arn, policy);
	return r;
}

/* ---- all associations ---- */

static void add_all(struct known *known, const struct cred_table *table)
{
	size_t n = known->n + cred_table_count(table);

	if (n > known->room) {
		const struct cred_association **list =
			reallocarray(known->list, 2 * n, sizeof(const struct cred_association *));

		if (!list) {
			known->no_memory = true;
			return;
		}
		known->list = list;
		known->room = 2 * n;
	}
	for (size_t i = 0; i < cred_table_count(table); i++)
		known->list[known->n++] = cred_table_at(table, i);
}

/* What the file says of a service account comes before. */
static void add_object(void *arg, struct cred_table *table)
{
	const struct cred_association *a = cred_table_at(table, 0);
	struct known *known = arg;

	if (!known->file || !cred_table_find(known->file, a->namespace, a->service_account))
		add_all(known, table);
}

static int read_objects(struct known *known, const struct arguments *args,
			const struct cred_trust *trust, struct pc_err *err)
{
	const struct kube_watch_state *state;
	int r = cli_api_open(args->kubeconfig, args->context, &known->api, err);

	if (r < 0)
		return r;
	r = cli_api_objects(&known->api, trust->source, &known->objects);
	if (r < 0 || known->api.trouble[0])
		return pc_err_set(err, r ?: -EIO, "%s", r ? "no memory" : known->api.trouble);
	state = kube_associations_state(known->objects);
	if (state->unusable)
		fprintf(stderr, "podcred: left out %zu that cannot be used: %s\n", state->unusable,
			state->unusable_why);
	kube_associations_each(known->objects, add_object, known);
	return 0;
}

static int read_known(struct known *known, const struct arguments *args,
		      const struct cred_trust *trust, struct pc_err *err)
{
	int r = 0;

	if (args->associations)
		r = cred_table_load(args->associations, &known->file, NULL, err);
	if (r == 0 && known->file)
		add_all(known, known->file);
	if (r == 0 && args->kubeconfig)
		r = read_objects(known, args, trust, err);
	return r == 0 && known->no_memory ? pc_err_set(err, -ENOMEM, "no memory") : r;
}

/* "shop/web". text: is cut in two. */
static int read_account(char *text, struct cred_trustee *ret, struct pc_err *err)
{
	char *slash = strchr(text, '/');
	size_t len = slash ? (size_t)(slash - text) : 0;

	if (!slash || !k8s_is_label(text, len) || !k8s_is_subdomain(slash + 1, strlen(slash + 1)))
		return pc_err_set(err, -EINVAL,
				  "\"%.80s\" is no service account; write NAMESPACE/NAME, without "
				  "wildcards",
				  text);
	*slash = '\0';
	*ret = (struct cred_trustee){text, slash + 1, NULL};
	return 0;
}

/* ---- both jobs ---- */

static int print(const json_t *json)
{
	json_dumpf(json, stdout, JSON_INDENT(2));
	putchar('\n');
	return 0;
}

static int print_roles(const struct arguments *args, const struct cred_trust *trust, char **roles,
		       size_t n, struct pc_err *err)
{
	_cleanup_(known_done) struct known known = {};
	_cleanup_json_ json_t *policies = json_object();
	struct cred_trustee given[CLI_MAX_VALUES];
	int r = read_known(&known, args, trust, err);

	for (size_t i = 0; i < args->accounts.n && r == 0; i++)
		r = read_account((char *)args->accounts.v[i], &given[i], err);
	for (size_t i = 0; i < n && r == 0; i++)
		r = print_role(trust, &known, given, args->accounts.n, roles[i], policies, err);
	if (r < 0)
		return r;
	return print(n == 1 ? json_object_iter_value(json_object_iter(policies)) : policies);
}

static int convert(const struct arguments *args, const struct cred_trust *trust, struct pc_err *err)
{
	_cleanup_json_ json_t *old = NULL, *policy = NULL;
	_cleanup_free_ char *text = NULL;
	char removed[CRED_TRUST_REMOVED_SIZE];
	json_error_t error;
	size_t len;
	int r = file_read(args->convert, POLICY_MAX, &text, &len);

	if (r < 0)
		return pc_err_set(err, r, "cannot read %s: %s; check the path", args->convert,
				  strerror(-r));
	old = json_loadb(text, len, JSON_REJECT_DUPLICATES, &error);
	if (!old)
		return pc_err_set(err, -EINVAL, "%s:%d: %s; write a trust policy, as JSON",
				  args->convert, error.line, error.text);
	r = cred_trust_convert(trust, old, &policy, removed, err);
	if (r < 0)
		return pc_err_prefix(err, r, "%s", args->convert);
	if (removed[0])
		fprintf(stderr, "podcred: removed what only EKS sends: %s\n", removed);
	return print(policy);
}

int cmd_trust_policy(const struct cli_command *self, int argc, char **argv)
{
	static struct config config;
	struct arguments args = {};
	const struct cli_option options[] = {
		{"config", "FILE", "configuration: source, cluster, issuer", &args.config, NULL,
		 NULL},
		{"associations", "FILE", "who has the role", &args.associations, NULL, NULL},
		{"service-account", "NS/NAME", "who else is to have it", NULL, NULL,
		 &args.accounts},
		{"kubeconfig", "FILE", "and who has it by an object of the API", &args.kubeconfig,
		 NULL, NULL},
		{"context", "NAME", "context of the kubeconfig", &args.context, NULL, NULL},
		{"source", "NAME",
		 "sts, webIdentity, issuer or eksAuth, in place of the configuration's",
		 &args.source, NULL, NULL},
		{"principal", "ARN",
		 "who assumes the role: podcred's own role (sts), or an OIDC provider",
		 &args.principal, NULL, NULL},
		{"issuer", "URL", "of the cluster's tokens (webIdentity), or the broker's (issuer)",
		 &args.issuer, NULL, NULL},
		{"convert", "FILE", "convert a trust policy written for EKS Pod Identity",
		 &args.convert, NULL, NULL},
	};
	struct cred_trust trust;
	struct pc_err err = {};
	int n, r = cli_parse(self, options, ARRAY_SIZE(options), argc, argv, ROLES_MAX, "[ROLE...]",
			     &n);

	if (r)
		return r - 1;
	if (!n == !args.convert) {
		fprintf(stderr, "podcred trust-policy: %s\n",
			n ? "--convert goes without roles"
			  : "no role given; podcred trust-policy ROLE, or --convert FILE");
		return EXIT_USAGE;
	}
	r = read_trust(&args, &config, &trust, &err);
	if (r == 0)
		r = args.convert ? convert(&args, &trust, &err)
				 : print_roles(&args, &trust, argv + 1, (size_t)n, &err);
	return r < 0 ? cli_fail(false, r, &err) : 0;
}
