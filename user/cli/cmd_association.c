// SPDX-License-Identifier: Apache-2.0
/* podcred association: associations by a kubeconfig or in a file, with the options and the output of "aws eks". */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/k8s_name.h"
#include "base/parse.h"
#include "cli/pia.h"
#include "config/config.h"
#include "kube/project.h"

#define ON(verb)     (1U << (verb))
#define ONE	     (ON(PIA_DESCRIBE) | ON(PIA_UPDATE) | ON(PIA_DELETE))
#define TAGS	     (ON(PIA_TAG) | ON(PIA_UNTAG) | ON(PIA_LIST_TAGS))
#define WRITES	     (ON(PIA_CREATE) | ON(PIA_UPDATE))
#define TAG_KEYS_MAX 50

static const char *const verb_names[PIA_VERBS] = {
	[PIA_CREATE] = "create", [PIA_LIST] = "list",		[PIA_DESCRIBE] = "describe",
	[PIA_UPDATE] = "update", [PIA_DELETE] = "delete",	[PIA_TAG] = "tag",
	[PIA_UNTAG] = "untag",	 [PIA_LIST_TAGS] = "list-tags",
};

struct arguments {
	const char *kubeconfig, *context, *file, *config;
	const char *cluster_name, *name_space, *service_account, *id, *arn;
	const char *role_arn, *target_role_arn, *policy, *external_id, *duration, *session;
	bool disable_tags, enable_tags, discard_comments;
	struct cli_values tags, tag_keys;
	char **more; /* plain arguments behind the verb: more keys of tags */
	size_t n_more;
};

/* ---- what goes with what ---- */

struct given {
	const char *name;
	bool is;
	unsigned in; /* verbs that take it */
};

static int check_options(const struct pia *pia, const struct arguments *a, struct pc_err *err)
{
	const struct given options[] = {
		{"association-id", a->id, ONE | TAGS},
		{"resource-arn", a->arn, TAGS},
		{"role-arn", a->role_arn, WRITES},
		{"target-role-arn", a->target_role_arn, WRITES},
		{"policy", a->policy, WRITES},
		{"external-id", a->external_id, WRITES},
		{"duration-seconds", a->duration, WRITES},
		{"session-name", a->session, WRITES},
		{"disable-session-tags", a->disable_tags, WRITES},
		{"no-disable-session-tags", a->enable_tags, WRITES},
		{"tags", a->tags.n, ON(PIA_CREATE) | ON(PIA_TAG)},
		{"tag-keys", a->tag_keys.n, ON(PIA_UNTAG)},
		{"discard-comments", a->discard_comments, WRITES | ON(PIA_DELETE) | TAGS},
	};

	for (size_t i = 0; i < ARRAY_SIZE(options); i++)
		if (options[i].is && !(options[i].in & ON(pia->verb)))
			return pc_err_set(err, -EINVAL, "--%s does not go with %s", options[i].name,
					  verb_names[pia->verb]);
	if (a->n_more && pia->verb != PIA_UNTAG)
		return pc_err_set(err, -EINVAL, "unexpected argument \"%.64s\"", a->more[0]);
	if (a->disable_tags && a->enable_tags)
		return pc_err_set(err, -EINVAL,
				  "--disable-session-tags contradicts --no-disable-session-tags");
	if (a->file && (a->kubeconfig || a->context || a->id || a->arn))
		return pc_err_set(err, -EINVAL,
				  "--file goes without --%s; associations of a file have no id",
				  a->kubeconfig ? "kubeconfig"
				  : a->context	? "context"
				  : a->id	? "association-id"
						: "resource-arn");
	return 0;
}

static int check_names(const struct pia *pia, struct pc_err *err)
{
	const char *ns = pia->name_space, *account = pia->service_account;

	if (ns && !k8s_is_label(ns, strlen(ns)))
		return pc_err_set(err, -EINVAL, "\"%.80s\" is not the name of a namespace", ns);
	if (account && !k8s_is_subdomain(account, strlen(account)))
		return pc_err_set(err, -EINVAL, "\"%.80s\" is not the name of a service account",
				  account);
	if (pia->verb == PIA_LIST || pia->id)
		return 0;
	if (ns && account)
		return 0;
	return pc_err_set(err, -EINVAL, "%s is missing%s", ns ? "--service-account" : "--namespace",
			  pia->verb == PIA_CREATE || pia->file ? "" : ", or --association-id");
}

static int check_needs(const struct pia *pia, const struct arguments *a, struct pc_err *err)
{
	if (pia->verb == PIA_CREATE && !a->role_arn)
		return pc_err_set(err, -EINVAL, "--role-arn is missing");
	if (pia->verb == PIA_TAG && !a->tags.n)
		return pc_err_set(err, -EINVAL, "--tags is missing; write --tags KEY=VALUE");
	if (pia->verb == PIA_UNTAG && !a->tag_keys.n && !a->n_more)
		return pc_err_set(err, -EINVAL, "--tag-keys is missing");
	if (pia->verb == PIA_UPDATE && !json_object_size(pia->changes))
		return pc_err_set(err, -EINVAL,
				  "nothing to change was given; give --role-arn or "
				  "another member");
	return 0;
}

/* ---- the changes ---- */

/* Empty takes the member away, as with "aws eks". */
static void set(const struct pia *pia, const char *key, const char *value)
{
	if (value)
		json_object_set_new(pia->changes, key, *value ? json_string(value) : json_null());
}

static int set_duration(const struct pia *pia, const char *text, struct pc_err *err)
{
	uint64_t seconds;

	if (!text || !*text) {
		set(pia, "durationSeconds", text);
		return 0;
	}
	if (parse_u64(text, 43200, &seconds) < 0)
		return pc_err_set(err, -EINVAL,
				  "--duration-seconds is \"%.40s\"; write 900 to 43200", text);
	json_object_set_new(pia->changes, "durationSeconds", json_integer((json_int_t)seconds));
	return 0;
}

static int bad_tag(const char *text, struct pc_err *err)
{
	return pc_err_set(err, -EINVAL,
			  "--tags is \"%.80s\"; write KEY=VALUE, or several with commas, or a JSON "
			  "object",
			  text);
}

/* "a=b,c=d". text: is cut in pieces. */
static int add_pairs(json_t *tags, char *text, const char *whole, struct pc_err *err)
{
	char *piece;

	while ((piece = strsep(&text, ","))) {
		char *equals = strchr(piece, '=');
		json_t *value;

		if (!equals || equals == piece)
			return bad_tag(whole, err);
		*equals = '\0';
		value = json_string(equals + 1);
		if (!value || json_object_set_new(tags, piece, value) < 0)
			return bad_tag(whole, err);
	}
	return 0;
}

static int add_tags(json_t *tags, const char *text, struct pc_err *err)
{
	_cleanup_json_ json_t *object =
		*text == '{' ? json_loads(text, JSON_REJECT_DUPLICATES, NULL) : NULL;
	_cleanup_free_ char *copy = strdup(text);

	if (!copy)
		return pc_err_set(err, -ENOMEM, "no memory");
	if (*text != '{')
		return add_pairs(tags, copy, text, err);
	return json_is_object(object) && json_object_update(tags, object) == 0 ? 0
									       : bad_tag(text, err);
}

static int set_tags(const struct pia *pia, const struct arguments *a, struct pc_err *err)
{
	json_t *tags = json_object();
	int r = 0;

	if (a->tags.n || pia->verb == PIA_UNTAG)
		json_object_set(pia->changes, "tags", tags);
	for (size_t i = 0; i < a->tags.n && r == 0; i++)
		r = add_tags(tags, a->tags.v[i], err);
	for (size_t i = 0; i < a->tag_keys.n; i++)
		json_object_set_new(tags, a->tag_keys.v[i], json_null());
	for (size_t i = 0; i < a->n_more; i++)
		json_object_set_new(tags, a->more[i], json_null());
	json_decref(tags);
	return r;
}

static int set_changes(const struct pia *pia, const struct arguments *a, struct pc_err *err)
{
	int r;

	set(pia, "roleArn", a->role_arn);
	set(pia, "targetRoleArn", a->target_role_arn);
	set(pia, "policy", a->policy);
	set(pia, "externalId", a->external_id);
	set(pia, "sessionName", a->session);
	if (a->disable_tags || a->enable_tags)
		json_object_set_new(pia->changes, "disableSessionTags",
				    json_boolean(a->disable_tags));
	r = set_duration(pia, a->duration, err);
	return r ?: set_tags(pia, a, err);
}

/* ---- where ---- */

static int read_cluster(struct pia *pia, const struct arguments *a, struct config *config,
			struct pc_err *err)
{
	const struct config_credentials *c = &config->credentials;
	int r = 0;

	config_default(config);
	if (a->config)
		r = config_load(a->config, config, err);
	if (r < 0)
		return r;
	if (a->cluster_name && c->cluster_name[0] && strcmp(a->cluster_name, c->cluster_name) != 0)
		return pc_err_set(err, -EINVAL,
				  "--cluster-name is %.100s, and the configuration's cluster is %s",
				  a->cluster_name, c->cluster_name);
	pia->cluster.name = a->cluster_name ?: c->cluster_name;
	if (c->cluster_arn[0] &&
	    eks_cluster_parse(c->cluster_name, c->cluster_arn, &pia->cluster) < 0)
		return pc_err_set(err, -EINVAL, "%s is not the ARN of a cluster", c->cluster_arn);
	return 0;
}

/* The end of the ARN is the id. */
static int read_id(struct pia *pia, const struct arguments *a, struct pc_err *err)
{
	const char *slash = a->arn ? strrchr(a->arn, '/') : NULL;

	pia->id = slash ? slash + 1 : a->id;
	if (a->arn && (!slash || !strstr(a->arn, ":podidentityassociation/")))
		return pc_err_set(err, -EINVAL, "\"%.200s\" is not the ARN of an association",
				  a->arn);
	return 0;
}

static int read_verb(const char *text, enum pia_verb *ret)
{
	for (int i = 0; text && i < PIA_VERBS; i++)
		if (!strcmp(text, verb_names[i])) {
			*ret = (enum pia_verb)i;
			return 0;
		}
	return -EINVAL;
}

static int prepare(struct pia *pia, const struct arguments *a, struct pc_err *err)
{
	static struct config config;
	int r;

	pia->kubeconfig = a->kubeconfig;
	pia->context = a->context;
	pia->file = a->file;
	pia->name_space = a->name_space;
	pia->service_account = a->service_account;
	pia->discard_comments = a->discard_comments;
	pia->changes = json_object();
	r = check_options(pia, a, err);
	r = r ?: read_id(pia, a, err);
	r = r ?: check_names(pia, err);
	r = r ?: set_changes(pia, a, err);
	r = r ?: check_needs(pia, a, err);
	return r ?: read_cluster(pia, a, &config, err);
}

static int run(const struct cli_command *self, struct pia *pia, const struct arguments *a)
{
	struct pc_err err = {};
	json_t *answer = NULL;
	int r = prepare(pia, a, &err);

	if (r == -EINVAL) {
		fprintf(stderr, "podcred %s: %s; podcred %s --help lists the options\n", self->name,
			err.msg, self->name);
		return EXIT_USAGE;
	}
	r = r ?: pia->file ? pia_by_file(pia, &answer, &err) : pia_by_api(pia, &answer, &err);
	if (r < 0)
		return cli_fail(false, r, &err);
	return cli_print_json(answer);
}

static int parse(const struct cli_command *self, int argc, char **argv, struct arguments *a,
		 int *ret_n)
{
	const struct cli_option options[] = {
		{"cluster-name", "NAME", "of the cluster; podcred knows one", &a->cluster_name,
		 NULL, NULL},
		{"namespace", "NAME", "of the service account", &a->name_space, NULL, NULL},
		{"service-account", "NAME", "whose association", &a->service_account, NULL, NULL},
		{"association-id", "ID", "in place of these two", &a->id, NULL, NULL},
		{"resource-arn", "ARN", "the same, for tag, untag and list-tags", &a->arn, NULL,
		 NULL},
		{"role-arn", "ARN", "the role", &a->role_arn, NULL, NULL},
		{"target-role-arn", "ARN", "the role that is assumed with it", &a->target_role_arn,
		 NULL, NULL},
		{"external-id", "TEXT", "of the last role", &a->external_id, NULL, NULL},
		{"policy", "JSON", "session policy; with --disable-session-tags", &a->policy, NULL,
		 NULL},
		{"disable-session-tags", NULL, "none of the six tags of EKS", NULL,
		 &a->disable_tags, NULL},
		{"no-disable-session-tags", NULL, "all of them", NULL, &a->enable_tags, NULL},
		{"duration-seconds", "N", "how long credentials live", &a->duration, NULL, NULL},
		{"session-name", "FORM", "pod, serviceAccount or eks", &a->session, NULL, NULL},
		{"tags", "KEY=VALUE,...", "own session tags", NULL, NULL, &a->tags},
		{"tag-keys", "KEY", "of tags to take away", NULL, NULL, &a->tag_keys},
		{"kubeconfig", "FILE", "of the cluster (KUBECONFIG, ~/.kube/config)",
		 &a->kubeconfig, NULL, NULL},
		{"context", "NAME", "context of the kubeconfig", &a->context, NULL, NULL},
		{"file", "FILE", "change this associations file, without a cluster", &a->file, NULL,
		 NULL},
		{"discard-comments", NULL, "also those within the entry of the file", NULL,
		 &a->discard_comments, NULL},
		{"config", "FILE", "configuration: the cluster's name and ARN", &a->config, NULL,
		 NULL},
	};

	return cli_parse(self, options, ARRAY_SIZE(options), argc, argv, 1 + TAG_KEYS_MAX,
			 strcmp(self->name, "association")
				 ? NULL
				 : "create|list|describe|update|delete|tag|untag|list-tags",
			 ret_n);
}

int cmd_association(const struct cli_command *self, int argc, char **argv)
{
	struct arguments a = {};
	struct pia pia = {};
	int n, r = parse(self, argc, argv, &a, &n);

	if (r)
		return r - 1;
	if (n < 1 || read_verb(argv[1], &pia.verb) < 0) {
		fprintf(stderr,
			"podcred association: %s%.64s%s; write create, list, describe, update, "
			"delete, tag, untag or list-tags\n",
			n < 1 ? "no verb given" : "unknown verb \"", n < 1 ? "" : argv[1],
			n < 1 ? "" : "\"");
		return EXIT_USAGE;
	}
	a.more = argv + 2;
	a.n_more = (size_t)n - 1;
	r = run(self, &pia, &a);
	json_decref(pia.changes);
	return r;
}

/* The name that older guides have for "create". */
int cmd_associate(const struct cli_command *self, int argc, char **argv)
{
	struct pia pia = {.verb = PIA_CREATE};
	struct arguments a = {};
	int n, r = parse(self, argc, argv, &a, &n);

	if (r)
		return r - 1;
	a.more = argv + 1;
	a.n_more = (size_t)n;
	r = run(self, &pia, &a);
	json_decref(pia.changes);
	return r;
}
