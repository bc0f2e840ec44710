// SPDX-License-Identifier: Apache-2.0
#include "cli/association.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "cli/api.h"
#include "config/config.h"
#include "credentials/choose.h"
#include "credentials/session.h"
#include "fetch/rules.h"
#include "kernel/status.h"
#include "kube/annotations.h"
#include "kube/associations.h"
#include "kube/role_policies.h"

#define PATIENCE_NS (15 * CLOCK_S)

/* One look: what is known of the pod, and those who are asked for more. */
struct look {
	struct config config;
	struct cred_rules rules;
	struct cred_cluster cluster;
	struct cred_pod pod;
	struct cred_table *file, *object;
	struct cred_facts facts;
	struct cred_choice choice;
	int chosen; /* what cred_choose() has returned */
	struct cli_api api;
	struct kube_associations *objects;
	struct kube_role_policies *policies;
	struct cred_rights_answer right; /* of the object */
	struct kube_annotations *annotations;
};

static void free_look(struct look *look)
{
	kube_associations_free(look->objects);
	kube_role_policies_free(look->policies);
	kube_annotations_free(look->annotations);
	cli_api_close(&look->api);
	cred_choice_done(&look->choice);
	cred_table_unref(look->object);
	cred_table_unref(look->file);
	free(look);
}

static void cleanup_look(struct look **look)
{
	if (*look)
		free_look(*look);
}

static void choose(struct look *look)
{
	cred_choice_done(&look->choice);
	look->chosen = cred_choose(&look->rules, &look->facts, &look->choice);
}

/* ---- the API ---- */

/* The texts are valid now only, so this is the moment to choose. */
static void on_annotations(void *arg, const struct kube_annotations_result *result)
{
	struct look *look = arg;

	if (result->error) {
		cli_api_done(&look->api, result->why);
		return;
	}
	look->facts.annotations_known = CRED_KNOWN;
	look->facts.annotations = result->annotations;
	choose(look);
	look->facts.annotations_known = CRED_NOT_KNOWN;
	cli_api_done(&look->api, NULL);
}

/* Until it is known whether the object's role is allowed. */
static void on_policies(void *arg)
{
	struct look *look = arg;
	const struct cred_association *object = look->facts.object;

	kube_role_policies_ask(look->policies, look->pod.namespace, object->role_arn,
			       object->target_role_arn, &look->right);
	look->facts.object_right = look->right.right;
	look->facts.right_why = look->right.why;
	if (look->right.right != CRED_RIGHT_UNKNOWN)
		cli_api_done(&look->api, NULL);
}

static void on_policies_state(void *arg, const struct kube_watch_state *state)
{
	struct look *look = arg;

	if (*state->why)
		cli_api_done(&look->api, state->why);
}

static int ask_policies(struct look *look)
{
	static const struct kube_role_policies_events events = {.changed = on_policies,
								.state = on_policies_state,
								.namespaces_state =
									on_policies_state};
	int r = kube_role_policies_new(look->api.loop, look->api.client, NULL, &events, look,
				       &look->policies);

	return r < 0 ? r : cli_api_wait(&look->api);
}

static int ask_objects(struct look *look)
{
	int r = cli_api_objects(&look->api, look->rules.default_source, &look->objects);

	if (r == 0)
		kube_associations_find(look->objects, look->pod.namespace,
				       look->pod.service_account, &look->facts, &look->object);
	if (r == 0 && look->facts.object && look->facts.object->role_arn)
		r = ask_policies(look);
	return r;
}

static int ask_annotations(struct look *look, struct pc_err *err)
{
	bool iam = look->rules.kube2iam || look->rules.kiam;
	struct kube_annotations_call *call;
	int r = kube_annotations_new(look->api.loop, look->api.client, look->rules.irsa, iam, 0,
				     &look->annotations);

	if (r == 0)
		r = kube_annotations_get(look->annotations, &look->pod, on_annotations, look, &call,
					 err);
	return r < 0 ? r : cli_api_wait(&look->api);
}

/* Without a kubeconfig, and in no pod of a cluster, there is nobody to ask. */
static int ask(struct look *look, const struct cli_association_options *options, struct pc_err *err)
{
	const struct cred_rules *rules = &look->rules;
	bool annotations = rules->irsa || rules->kube2iam || rules->kiam;
	int r = cli_api_open(options->kubeconfig, options->context, &look->api,
			     options->kubeconfig ? err : NULL);

	if (r < 0)
		return options->kubeconfig ? r : 0;
	if (rules->objects)
		r = ask_objects(look);
	choose(look);
	if (r == 0 && annotations && !look->api.trouble[0])
		r = ask_annotations(look, err);
	return r < 0 && !err->msg[0]
		       ? pc_err_set(err, r, "cannot ask the API server: %s", strerror(-r))
		       : r;
}

/* ---- files ---- */

static int read_files(struct look *look, const struct cli_association_options *options,
		      struct pc_err *err)
{
	int r = 0;

	config_default(&look->config);
	if (options->config)
		r = config_load(options->config, &look->config, err);
	if (r == 0 && options->associations)
		r = cred_table_load(options->associations, &look->file, NULL, err);
	fetch_rules(&look->config.credentials, &look->rules, &look->cluster);
	return r;
}

static void start_facts(struct look *look, const struct podcred_pod *pod)
{
	look->pod = (struct cred_pod){pod->name_space, pod->name, pod->uid, pod->service_account};
	look->facts = (struct cred_facts){.namespace = look->pod.namespace,
					  .service_account = look->pod.service_account};
	if (look->file)
		look->facts.file =
			cred_table_find(look->file, look->pod.namespace, look->pod.service_account);
	choose(look);
}

/* ---- what is said ---- */

/* The file may have one that comes before all that is said here. */
static void mark_missing_file(struct look *look)
{
	struct cred_step *step = &look->choice.steps[CRED_ORIGIN_FILE];

	if (look->file)
		return;
	step->verdict = CRED_UNKNOWN;
	snprintf(step->why, sizeof(step->why), "no file was given; give --associations");
}

static json_t *json_steps(const struct cred_choice *choice)
{
	json_t *steps = json_array();

	for (int i = 0; i < CRED_ORIGINS; i++)
		json_array_append_new(steps,
				      json_pack("{ssssss}", "origin",
						cred_origin_name((enum cred_origin)i), "verdict",
						cred_verdict_name(choice->steps[i].verdict), "why",
						choice->steps[i].why));
	return steps;
}

static json_t *json_look(const struct look *look)
{
	const struct cred_association *a = look->choice.association;
	struct cred_session session = {};
	struct pc_err err = {};
	bool known = look->chosen == 0;
	const char *why = known			 ? look->choice.why
			  : look->api.trouble[0] ? look->api.trouble
						 : "it depends on what the API "
						   "server says; give --kubeconfig";

	if (known && a)
		cred_session_plan(a, look->rules.default_source, &look->pod, &look->cluster,
				  &session, &err);
	return json_pack(
		"{ss*ss*ss*ss*ss*ss*so}", "origin",
		known && a ? cred_origin_name(look->choice.origin) : NULL, "source",
		known && a ? cred_source_name(cred_source_of(a, look->rules.default_source)) : NULL,
		"role", a ? a->role : NULL, "roleArn",
		a ? (a->target_role_arn ?: a->role_arn) : NULL, "sessionName",
		session.name[0] ? session.name : NULL, "why",
		err.msg[0] ? err.msg
		: a	   ? NULL
			   : why,
		"steps", json_steps(&look->choice));
}

int cli_association(const struct cli_association_options *options, const struct podcred_pod *pod,
		    json_t **ret, struct pc_err *err)
{
	_cleanup_(cleanup_look) struct look *look = NULL;
	int r;

	*ret = NULL;
	if ((!options->config && !options->associations && !options->kubeconfig) ||
	    !pod->service_account[0])
		return 0;
	look = calloc(1, sizeof(*look));
	if (!look)
		return pc_err_set(err, -ENOMEM, "no memory");
	r = read_files(look, options, err);
	if (r < 0)
		return r;
	start_facts(look, pod);
	if (look->rules.objects || look->rules.irsa || look->rules.kube2iam || look->rules.kiam)
		r = ask(look, options, err);
	mark_missing_file(look);
	if (r == 0)
		*ret = json_look(look);
	return r;
}

static const char *text(const json_t *object, const char *key)
{
	return json_string_value(json_object_get(object, key));
}

void cli_print_association(const json_t *association)
{
	const char *arn = text(association, "roleArn") ?: text(association, "role");
	const char *session = text(association, "sessionName"), *why = text(association, "why");
	size_t i;
	json_t *step;

	printf("\nassociation: ");
	if (text(association, "origin"))
		printf("%s, from %s, source %s%s%s", arn ?: "a role that EKS knows",
		       text(association, "origin"), text(association, "source"),
		       session ? ", session " : "", session ?: "");
	printf("%s%s\n", why && text(association, "origin") ? "; " : "", why ?: "");
	json_array_foreach (json_object_get(association, "steps"), i, step)
		printf("  %-9s %-9s %s\n", text(step, "origin"), text(step, "verdict"),
		       text(step, "why"));
}
