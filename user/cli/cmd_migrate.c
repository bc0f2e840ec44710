// SPDX-License-Identifier: Apache-2.0
/* podcred migrate: what annotations of IRSA, kube2iam and kiam say, as associations. Reads the cluster, changes nothing. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/k8s_name.h"
#include "base/plural.h"
#include "cli/api.h"
#include "cli/cli.h"
#include "cli/migrate.h"
#include "config/config.h"
#include "fetch/rules.h"

#define PAGE_MAX   ((size_t)64 << 20)
#define QUERY_SIZE 4096

struct job {
	struct cli_api api;
	struct cli_answer answer;
	struct migrate migrate;
	const struct cli_values *namespaces; /* none: all */
	json_t *annotations; /* of namespaces, by name */
};

static void job_done(struct job *job)
{
	cli_answer_done(&job->answer);
	cli_api_close(&job->api);
	migrate_done(&job->migrate);
	json_decref(job->annotations);
}

/* ---- lists ---- */

static const struct project_shape annotation_members[] = {
	{.key = CRED_IRSA_ROLE},     {.key = CRED_IRSA_AUDIENCE},
	{.key = CRED_IAM_ROLE},	     {.key = CRED_IAM_EXTERNAL},
	{.key = CRED_IAM_SESSION},   {.key = CRED_IAM_ALLOWED},
	{.key = CRED_IAM_PERMITTED}, {}};
static const struct project_shape metadata_members[] = {
	{.key = "namespace"},
	{.key = "name"},
	{.key = "annotations", .members = annotation_members},
	{}};
static const struct project_shape spec_members[] = {{.key = "serviceAccountName"}, {}};
static const struct project_shape item_members[] = {
	{.key = "metadata", .members = metadata_members},
	{.key = "spec", .members = spec_members},
	{}};
static const struct project_shape list_members[] = {{.key = "continue"}, {}};
static const struct project_shape members[] = {
	{.key = "metadata", .members = list_members},
	{.key = "items", .members = item_members, .list = true},
	{}};
static const struct project_shape shape = {.members = members};

static const char *text(const json_t *object, const char *part, const char *key)
{
	return json_string_value(json_object_get(json_object_get(object, part), key));
}

/* -EPROTO: a token that cannot be part of a query. */
static int next_page(const struct job *job, char query[QUERY_SIZE])
{
	const char *token = text(job->answer.object, "metadata", "continue") ?: "";
	size_t len = strspn(token, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
				   "-_.~");

	if (token[len] || len > QUERY_SIZE / 2)
		return -EPROTO;
	snprintf(query, QUERY_SIZE, "limit=500&continue=%s", token);
	return len ? 1 : 0;
}

/* Of one namespace (NULL: all), page by page. missing_ok: the kind may not be there. */
static int each(struct job *job, const struct kube_kind *kind, const char *name_space,
		bool missing_ok, void (*fn)(struct job *job, const json_t *item),
		struct pc_err *err)
{
	struct kube_object_request request = {.verb = KUBE_LIST,
					      .kind = kind,
					      .name_space = name_space,
					      .shape = &shape,
					      .max_body = PAGE_MAX};
	char query[QUERY_SIZE] = "limit=500";
	const json_t *item;
	size_t i;
	int r;

	do {
		request.query = query;
		r = cli_api_ask(&job->api, request, &job->answer, err);
		if (r < 0)
			return r;
		if (missing_ok && job->answer.outcome == KUBE_NOT_FOUND)
			return 0;
		if (job->answer.outcome != KUBE_DONE)
			return pc_err_set(err, -EIO, "%s", job->answer.why);
		json_array_foreach (json_object_get(job->answer.object, "items"), i, item)
			fn(job, item);
		r = next_page(job, query);
	} while (r > 0);
	return r < 0 ? pc_err_set(err, r,
				  "the API server's list of %s objects has no end that can "
				  "be read",
				  kind->kind)
		     : 0;
}

static int each_of_all(struct job *job, const struct kube_kind *kind, bool missing_ok,
		       void (*fn)(struct job *job, const json_t *item), struct pc_err *err)
{
	int r = 0;

	if (!job->namespaces->n)
		return each(job, kind, NULL, missing_ok, fn, err);
	for (size_t i = 0; i < job->namespaces->n && r == 0; i++)
		r = each(job, kind, job->namespaces->v[i], missing_ok, fn, err);
	return r;
}

/* ---- objects ---- */

static const char *annotation(const json_t *object, const char *key)
{
	return text(json_object_get(object, "metadata"), "annotations", key);
}

static void on_association(struct job *job, const json_t *item)
{
	migrate_existing(&job->migrate, text(item, "metadata", "namespace") ?: "",
			 text(item, "metadata", "name") ?: "");
}

static void on_namespace(struct job *job, const json_t *item)
{
	const char *name = text(item, "metadata", "name");

	if (name)
		json_object_set(job->annotations, name, (json_t *)item);
}

static void on_account(struct job *job, const json_t *item)
{
	const struct cred_annotations annotations = {.irsa_role = annotation(item, CRED_IRSA_ROLE),
						     .irsa_audience =
							     annotation(item, CRED_IRSA_AUDIENCE)};

	migrate_account(&job->migrate, text(item, "metadata", "namespace") ?: "",
			text(item, "metadata", "name") ?: "", &annotations);
}

static void on_pod(struct job *job, const json_t *item)
{
	const char *name_space = text(item, "metadata", "namespace") ?: "";
	const json_t *namespace = json_object_get(job->annotations, name_space);
	const struct cred_annotations annotations = {
		.role = annotation(item, CRED_IAM_ROLE),
		.external_id = annotation(item, CRED_IAM_EXTERNAL),
		.session_name = annotation(item, CRED_IAM_SESSION),
		.allowed_roles = annotation(namespace, CRED_IAM_ALLOWED),
		.permitted = annotation(namespace, CRED_IAM_PERMITTED)};

	migrate_pod(&job->migrate, name_space, text(item, "metadata", "name") ?: "",
		    text(item, "spec", "serviceAccountName") ?: "default", &annotations);
}

static int read_cluster(struct job *job, struct pc_err *err)
{
	int r = each_of_all(job, &kube_kind_association, true, on_association, err);

	r = r ?: each(job, &kube_kind_namespace, NULL, false, on_namespace, err);
	r = r ?: each_of_all(job, &kube_kind_service_account, false, on_account, err);
	return r ?: each_of_all(job, &kube_kind_pod, false, on_pod, err);
}

/* ---- the command ---- */

static int read_rules(const char *path, const char *base, struct cred_rules *ret,
		      struct pc_err *err)
{
	static struct config config;
	struct cred_cluster cluster;
	int r = 0;

	config_default(&config);
	if (path)
		r = config_load(path, &config, err);
	fetch_rules(&config.credentials, ret, &cluster);
	ret->default_source = CRED_SOURCE_STS;
	ret->objects = false;
	ret->irsa = ret->kube2iam = ret->kiam = true;
	ret->default_role = NULL; /* a pod that asks for no role is no reason for an association */
	ret->base_role_arn = base ?: ret->base_role_arn;
	return r;
}

static int check_namespaces(const struct cli_values *namespaces, struct pc_err *err)
{
	for (size_t i = 0; i < namespaces->n; i++)
		if (!k8s_is_label(namespaces->v[i], strlen(namespaces->v[i])))
			return pc_err_set(err, -EINVAL, "\"%.80s\" is not the name of a namespace",
					  namespaces->v[i]);
	return 0;
}

static void print(const struct job *job)
{
	size_t left_out;

	printf("# PodIdentityAssociation and PodIdentityRolePolicy objects, of the annotations "
	       "that "
	       "there are now.\n# Look at them, then: kubectl apply -f FILE\n");
	left_out = migrate_print(&job->migrate, stdout);
	if (left_out)
		fprintf(stderr, "podcred: %zu left out; the comments say which and why\n",
			left_out);
}

int cmd_migrate(const struct cli_command *self, int argc, char **argv)
{
	const char *kubeconfig = NULL, *context = NULL, *config = NULL, *base = NULL;
	struct cli_values namespaces = {};
	const struct cli_option options[] = {
		{"kubeconfig", "FILE", "of the cluster (KUBECONFIG, ~/.kube/config)", &kubeconfig,
		 NULL, NULL},
		{"context", "NAME", "context of the kubeconfig", &context, NULL, NULL},
		{"namespace", "NAME", "of this one alone", NULL, NULL, &namespaces},
		{"config", "FILE", "configuration: how annotations are read (migration)", &config,
		 NULL, NULL},
		{"base-role-arn", "ARN", "put before a role that is no ARN; ends with /", &base,
		 NULL, NULL},
	};
	_cleanup_(job_done) struct job job = {.namespaces = &namespaces};
	struct pc_err err = {};
	int r = cli_parse(self, options, ARRAY_SIZE(options), argc, argv, 0, NULL, NULL);

	if (r)
		return r - 1;
	job.annotations = json_object();
	r = check_namespaces(&namespaces, &err);
	r = r ?: read_rules(config, base, &job.migrate.rules, &err);
	r = r ?: migrate_init(&job.migrate);
	r = r ?: cli_api_open_any(kubeconfig, context, &job.api, &err);
	r = r ?: read_cluster(&job, &err);
	if (r < 0)
		return cli_fail(false, r, &err);
	print(&job);
	return 0;
}
