// SPDX-License-Identifier: Apache-2.0
/* Associations as objects of the API, by a kubeconfig. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/cleanup.h"
#include "base/timestamp.h"
#include "cli/api.h"
#include "cli/pia.h"
#include "kube/objects.h"
#include "kube/role_policies.h"

#define LIST_MAX ((size_t)64 << 20)

struct session {
	const struct pia *pia;
	struct cli_api api;
	struct cli_answer answer; /* the last one */
	char name_space[64], name[EKS_NAME_SIZE]; /* of the association, when it was found */
};

static void session_done(struct session *s)
{
	cli_answer_done(&s->answer);
	cli_api_close(&s->api);
}

/* ---- one request ---- */

static int ask(struct session *s, struct kube_object_request request, struct pc_err *err)
{
	request.kind = &kube_kind_association;
	return cli_api_ask(&s->api, request, &s->answer, err);
}

static int check(const struct session *s, struct pc_err *err)
{
	return s->answer.outcome == KUBE_DONE ? 0 : pc_err_set(err, -EIO, "%s", s->answer.why);
}

/* ---- which association ---- */

static const char *metadata(const json_t *object, const char *key)
{
	return json_string_value(json_object_get(json_object_get(object, "metadata"), key)) ?: "";
}

static int list(struct session *s, struct pc_err *err)
{
	const struct kube_object_request request = {.verb = KUBE_LIST,
						    .name_space = s->pia->name_space,
						    .shape = &eks_list_shape,
						    .max_body = LIST_MAX};

	return ask(s, request, err) ?: check(s, err);
}

/* An id is no name that the API server knows. */
static int find_id(struct session *s, struct pc_err *err)
{
	const json_t *item, *found = NULL;
	char id[EKS_ID_SIZE];
	size_t i;
	int r = list(s, err);

	if (r < 0)
		return r;
	json_array_foreach (json_object_get(s->answer.object, "items"), i, item)
		if (cred_association_id(metadata(item, "uid"), id) == 0 && !strcmp(id, s->pia->id))
			found = item;
	if (!found)
		return pc_err_set(err, -ENOENT,
				  "no association has the id %.64s; podcred association list "
				  "shows those that there are",
				  s->pia->id);
	snprintf(s->name_space, sizeof(s->name_space), "%s", metadata(found, "namespace"));
	snprintf(s->name, sizeof(s->name), "%s", metadata(found, "name"));
	return 0;
}

static struct kube_object_request one(const struct session *s, enum kube_verb verb)
{
	return (struct kube_object_request){.verb = verb,
					    .name_space = s->name_space,
					    .name = s->name,
					    .shape = verb == KUBE_DELETE ? NULL : &eks_shape,
					    .strict = true};
}

/* As it is now, into s->answer.object. */
static int get(struct session *s, struct pc_err *err)
{
	int r;

	if (s->pia->id) {
		r = find_id(s, err);
		if (r < 0)
			return r;
	} else {
		snprintf(s->name_space, sizeof(s->name_space), "%s", s->pia->name_space);
		snprintf(s->name, sizeof(s->name), "%s", s->pia->service_account);
	}
	return ask(s, one(s, KUBE_GET), err) ?: check(s, err);
}

/* ---- may its namespace have the role ---- */

struct right {
	struct session *session;
	struct kube_role_policies *policies;
	struct cred_rights_answer answer;
};

static const char *spec_text(const struct session *s, const char *key)
{
	return json_string_value(json_object_get(json_object_get(s->answer.object, "spec"), key));
}

static void on_policies(void *arg)
{
	struct right *right = arg;
	struct session *s = right->session;

	kube_role_policies_ask(right->policies, metadata(s->answer.object, "namespace"),
			       spec_text(s, "roleArn") ?: "", spec_text(s, "targetRoleArn"),
			       &right->answer);
	if (right->answer.right != CRED_RIGHT_UNKNOWN)
		cli_api_done(&s->api, NULL);
}

static void on_policies_state(void *arg, const struct kube_watch_state *state)
{
	struct right *right = arg;

	if (*state->why)
		cli_api_done(&right->session->api, state->why);
}

/* It was written, and gives nothing. Whoever may not read policies is not told. */
static void warn_if_refused(struct session *s)
{
	static const struct kube_role_policies_events events = {.changed = on_policies,
								.state = on_policies_state,
								.namespaces_state =
									on_policies_state};
	struct right right = {.session = s, .answer.right = CRED_RIGHT_UNKNOWN};

	if (kube_role_policies_new(s->api.loop, s->api.client, NULL, &events, &right,
				   &right.policies) < 0)
		return;
	cli_api_wait(&s->api);
	kube_role_policies_free(right.policies);
	if (right.answer.right == CRED_RIGHT_REFUSED)
		fprintf(stderr, "podcred: pods get nothing by it yet: %s\n", right.answer.why);
}

/* ---- verbs ---- */

static int create(struct session *s, struct pc_err *err)
{
	_cleanup_json_ json_t *none = json_object(), *spec = NULL, *object = NULL;
	struct kube_object_request request = {.verb = KUBE_CREATE,
					      .name_space = s->pia->name_space,
					      .shape = &eks_shape,
					      .strict = true};
	int r = pia_change(s->pia, none, &spec, err);

	if (r < 0)
		return r;
	object = json_pack("{ssss s{ssss} sO}", "apiVersion", kube_kind_association.version, "kind",
			   kube_kind_association.kind, "metadata", "name", s->pia->service_account,
			   "namespace", s->pia->name_space, "spec", spec);
	request.body = object;
	r = ask(s, request, err);
	if (r == 0 && s->answer.outcome == KUBE_EXISTS)
		return pc_err_set(err, -EEXIST,
				  "there is an association of %s/%s already; podcred association "
				  "update changes it",
				  s->pia->name_space, s->pia->service_account);
	return r ?: check(s, err);
}

static json_t *patch_of(const struct session *s)
{
	char now[TIMESTAMP_SIZE] = "";

	timestamp_format(time(NULL), now);
	return json_pack("{s{ss s{ss}} sO}", "metadata", "resourceVersion",
			 metadata(s->answer.object, "resourceVersion"), "annotations",
			 EKS_MODIFIED_ANNOTATION, now, "spec", s->pia->changes);
}

static int update(struct session *s, struct pc_err *err)
{
	_cleanup_json_ json_t *spec = NULL, *patch = NULL;
	struct kube_object_request request;
	struct pia named = *s->pia;
	int r = get(s, err);

	if (r < 0)
		return r;
	named.name_space = s->name_space;
	named.service_account = s->name;
	r = pia_change(&named, json_object_get(s->answer.object, "spec"), &spec, err);
	if (r < 0)
		return r;
	patch = patch_of(s);
	request = one(s, KUBE_MERGE);
	request.body = patch;
	return ask(s, request, err) ?: check(s, err);
}

/* What is shown is what was deleted, and nothing that has come in its place meanwhile. */
static int delete_one(struct session *s, struct pc_err *err)
{
	_cleanup_json_ json_t *before = NULL;
	struct kube_object_request request;
	int r = get(s, err);

	if (r < 0)
		return r;
	before = json_incref(s->answer.object);
	request = one(s, KUBE_DELETE);
	request.uid = metadata(before, "uid");
	r = ask(s, request, err) ?: check(s, err);
	if (r < 0)
		return r;
	json_decref(s->answer.object);
	s->answer.object = TAKE_PTR(before);
	return 0;
}

static json_t *show_list(const struct session *s)
{
	const char *account = s->pia->service_account;
	json_t *shown = json_array();
	const json_t *item;
	size_t i;

	json_array_foreach (json_object_get(s->answer.object, "items"), i, item)
		if (!account || !strcmp(metadata(item, "name"), account))
			json_array_append_new(shown, pia_show(s->pia, item, true));
	return json_pack("{so}", "associations", shown);
}

static int run(struct session *s, json_t **ret, struct pc_err *err)
{
	static int (*const verbs[PIA_VERBS])(struct session *, struct pc_err *) = {
		[PIA_CREATE] = create, [PIA_LIST] = list,	  [PIA_DESCRIBE] = get,
		[PIA_UPDATE] = update, [PIA_DELETE] = delete_one, [PIA_TAG] = update,
		[PIA_UNTAG] = update,  [PIA_LIST_TAGS] = get,
	};
	int r = verbs[s->pia->verb](s, err);

	if (r == 0 && (s->pia->verb == PIA_CREATE || s->pia->verb == PIA_UPDATE))
		warn_if_refused(s);
	if (r == 0)
		*ret = s->pia->verb == PIA_LIST ? show_list(s)
						: pia_answer(s->pia, s->answer.object);
	return r;
}

int pia_by_api(const struct pia *pia, json_t **ret, struct pc_err *err)
{
	_cleanup_(session_done) struct session s = {.pia = pia};
	int r = cli_api_open_any(pia->kubeconfig, pia->context, &s.api, err);

	if (r == -ENOENT && !pia->kubeconfig)
		return pc_err_set(err, r,
				  "there is no kubeconfig; give --kubeconfig, or --file on a "
				  "machine without a cluster");
	return r < 0 ? r : run(&s, ret, err);
}
