// SPDX-License-Identifier: Apache-2.0
#include "control/admission.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "control/eks_call.h"
#include "http/desk.h"
#include "http/response.h"

bool control_admission_is(const struct http_ask *ask)
{
	size_t len = strlen(CONTROL_ADMISSION_PATH);

	return !strncmp(ask->target, CONTROL_ADMISSION_PATH, len) &&
	       (!ask->target[len] || ask->target[len] == '?');
}

static void refuse(struct http_response *resp, unsigned status, const char *why,
		   struct control_outcome *outcome)
{
	http_response_begin(resp, status, "text/plain");
	text_add(&resp->body, why);
	text_add(&resp->body, "\n");
	memset(outcome, 0, sizeof(*outcome));
	outcome->verdict = CONTROL_UNREADABLE;
	snprintf(outcome->why, sizeof(outcome->why), "%s", why);
}

/* With a parameter behind it, perhaps. */
static bool is_json(const char *type)
{
	static const char json[] = "application/json";
	size_t len = sizeof(json) - 1;

	return type && !strncmp(type, json, len) && (!type[len] || strchr("; ", type[len]));
}

static void review(struct control_admission *admission, const struct http_ask *ask,
		   struct http_response *resp, struct control_outcome *outcome)
{
	struct text body = {};
	unsigned status = control_webhook(&admission->inject, admission->find, admission->arg,
					  ask->body, ask->body_len, &body, outcome);

	http_response_begin(resp, status, status == 200 ? "application/json" : "text/plain");
	text_done(&resp->body);
	resp->body = body;
}

void control_admission_answer(struct control_admission *admission, const struct http_ask *ask,
			      struct http_response *resp, struct control_outcome *ret_outcome)
{
	if (ask->refuse)
		refuse(resp, ask->refuse,
		       ask->refuse == 413 ? "an AdmissionReview that is too large" : "ambiguous",
		       ret_outcome);
	else if (strcmp(ask->method, "POST") != 0)
		refuse(resp, 405, "only POST", ret_outcome);
	else if (!is_json(http_ask_get(ask, "Content-Type", NULL)))
		refuse(resp, 415, "only application/json", ret_outcome);
	else
		review(admission, ask, resp, ret_outcome);
	admission->counts[ret_outcome->verdict]++;
}

int control_find_association(void *arg, const char *name_space, const char *service_account,
			     struct control_found *ret)
{
	const struct control_api *api = arg;
	const struct eks_object *object = eks_store_find(api->store, name_space, service_account);
	const json_t *spec = object ? json_object_get(object->object, "spec") : NULL;
	const char *role = json_string_value(json_object_get(spec, "roleArn")),
		   *target = json_string_value(json_object_get(spec, "targetRoleArn"));
	struct cred_rights_answer answer = {};

	if (!eks_store_state(api->store)->listed)
		return -EAGAIN;
	ret->exists = object;
	if (!role)
		return 0;
	kube_role_policies_ask(api->policies, name_space, role, target, &answer);
	if (answer.right == CRED_RIGHT_REFUSED)
		snprintf(ret->trouble, sizeof(ret->trouble), "%.159s", answer.why);
	if (strlen(target ?: role) < sizeof(ret->role_arn))
		snprintf(ret->role_arn, sizeof(ret->role_arn), "%s", target ?: role);
	return 0;
}
