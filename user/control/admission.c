// SPDX-License-Identifier: Apache-2.0
#include "control/admission.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "http/desk.h"
#include "http/response.h"
#include "kube/associations.h"

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

static void take_role(const struct cred_association *a, struct control_found *ret)
{
	const char *arn = a->target_role_arn ?: a->role_arn;

	if (arn && strlen(arn) < sizeof(ret->role_arn))
		snprintf(ret->role_arn, sizeof(ret->role_arn), "%s", arn);
}

int control_find_association(void *arg, const char *name_space, const char *service_account,
			     struct control_found *ret)
{
	struct cred_facts facts = {.namespace = name_space, .service_account = service_account};
	struct cred_table *table = NULL;

	kube_associations_find(arg, name_space, service_account, &facts, &table);
	if (facts.object_known == CRED_NOT_KNOWN)
		return -EAGAIN;
	if (facts.object_known == CRED_INVALID) {
		ret->exists = true;
		snprintf(ret->trouble, sizeof(ret->trouble), "%s", facts.object_why ?: "");
	} else if (facts.object) {
		ret->exists = true;
		take_role(facts.object, ret);
	}
	if (table)
		cred_table_unref(table);
	return 0;
}
