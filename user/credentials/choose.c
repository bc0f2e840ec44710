// SPDX-License-Identifier: Apache-2.0
#include "credentials/choose.h"

#include <errno.h>
#include <jansson.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "credentials/internal.h"
#include "credentials/pattern.h"
#include "credentials/session.h"
#include "credentials/values.h"

#define ARN_SIZE	 2049
#define SESSION_TEXT_MAX 1024
#define PATTERNS_MAX	 256

const char *cred_verdict_name(enum cred_verdict verdict)
{
	static const char *const names[] = {
		[CRED_CHOSEN] = "applies", [CRED_REFUSED] = "refused", [CRED_SHADOWED] = "shadowed",
		[CRED_ABSENT] = "absent",  [CRED_OFF] = "off",	       [CRED_UNKNOWN] = "unknown",
	};

	return names[verdict];
}

/* One origin's look at a pod, as if there were no other. */
struct look {
	const struct cred_rules *rules;
	const struct cred_facts *facts;
	struct cred_step *step;
	struct cred_association made; /* CRED_CHOSEN of annotations */
	bool not_allowed;
	char role_arn[ARN_SIZE], session[SESSION_TEXT_MAX]; /* for it */
};

__attribute__((format(printf, 3, 4))) static enum cred_verdict say(struct look *look,
								   enum cred_verdict verdict,
								   const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(look->step->why, sizeof(look->step->why), fmt, ap);
	va_end(ap);
	for (char *c = look->step->why; *c; c++)
		if ((unsigned char)*c < ' ' || *c == 0x7f)
			*c = '?';
	look->step->verdict = verdict;
	return verdict;
}

/* ---- file, objects, EKS ---- */

static const char *role_text(const struct cred_association *a)
{
	return a->target_role_arn ?: a->role_arn ?: a->role ?: "that EKS knows";
}

static const struct cred_association *look_file(struct look *look)
{
	const struct cred_association *a = look->facts->file;

	if (a)
		say(look, CRED_CHOSEN, "line %u of the associations file, role %s", a->line,
		    role_text(a));
	else
		say(look, CRED_ABSENT, "the associations file has none");
	return a;
}

/* The broker follows objects and policies too, and has the last word. What is not known here it may know. */
static bool asks_broker(const struct look *look)
{
	return look->rules->default_source == CRED_SOURCE_BROKER;
}

/* Whoever may write the object does not say by that which roles its namespace may have. */
static void judge_object(struct look *look)
{
	const struct cred_facts *facts = look->facts;
	const char *why = facts->right_why;

	if (!why || facts->object_right == CRED_RIGHT_UNKNOWN) {
		say(look, asks_broker(look) ? CRED_CHOSEN : CRED_UNKNOWN,
		    "PodIdentityAssociation %s/%s, role %s: %s", facts->namespace,
		    facts->service_account, role_text(facts->object),
		    why ?: "nobody has said whether it is allowed");
		return;
	}
	look->not_allowed = facts->object_right != CRED_RIGHT_ALLOWED;
	if (look->not_allowed)
		say(look, CRED_REFUSED, "PodIdentityAssociation %s/%s: %s", facts->namespace,
		    facts->service_account, why);
	else
		say(look, CRED_CHOSEN, "PodIdentityAssociation %s/%s, role %s, %s",
		    facts->namespace, facts->service_account, role_text(facts->object), why);
}

static const struct cred_association *look_object(struct look *look)
{
	const struct cred_facts *facts = look->facts;

	if (!look->rules->objects)
		say(look, CRED_OFF, "objects: true is not in the configuration");
	else if (facts->object_known == CRED_NOT_KNOWN)
		say(look, asks_broker(look) ? CRED_ABSENT : CRED_UNKNOWN,
		    "the API server has not been asked");
	else if (facts->object_known == CRED_INVALID)
		say(look, CRED_REFUSED, "PodIdentityAssociation %s/%s cannot be used: %s",
		    facts->namespace, facts->service_account, facts->object_why);
	else if (!facts->object)
		say(look, CRED_ABSENT, "there is no PodIdentityAssociation %s/%s", facts->namespace,
		    facts->service_account);
	else
		judge_object(look);
	return facts->object;
}

static const struct cred_association *look_eks(struct look *look)
{
	enum cred_source source = look->rules->default_source;

	if (!cred_source_knows_role(source)) {
		say(look, CRED_OFF, "neither source: eksAuth nor broker is in the configuration");
		return NULL;
	}
	if (asks_broker(look) && look->rules->objects &&
	    look->facts->object_known != CRED_NOT_KNOWN) {
		say(look, CRED_OFF, "objects: true is in the configuration, so only objects count");
		return NULL;
	}
	say(look, CRED_CHOSEN, "%s is asked, which has associations of its own",
	    asks_broker(look) ? "the broker" : "EKS");
	look->made = (struct cred_association){.source = source};
	return &look->made;
}

/* ---- annotations ---- */

static bool is_known(struct look *look, bool on, const char *key)
{
	if (!on)
		say(look, CRED_OFF, "migration: {%s: true} is not in the configuration", key);
	else if (look->facts->annotations_known != CRED_KNOWN)
		say(look, CRED_UNKNOWN, "the API server has not been asked");
	return on && look->facts->annotations_known == CRED_KNOWN;
}

/* The token of the service account is what proves that it may have the role: its trust policy says so. The
 * node's own credentials would prove nothing, as whoever may change a service account writes the annotation. */
static const struct cred_association *look_irsa(struct look *look)
{
	const struct cred_annotations *values = &look->facts->annotations;

	if (!is_known(look, look->rules->irsa, "irsa"))
		return NULL;
	if (!values->irsa_role)
		say(look, CRED_ABSENT, "the service account has no annotation " CRED_IRSA_ROLE);
	else if (!cred_is_role_arn(values->irsa_role))
		say(look, CRED_REFUSED,
		    CRED_IRSA_ROLE " of the service account is \"%.80s\", no ARN of a "
				   "role; correct it",
		    values->irsa_role);
	else if (values->irsa_audience && !cred_is_audience(values->irsa_audience))
		say(look, CRED_REFUSED,
		    CRED_IRSA_AUDIENCE " of the service account is no audience; correct it");
	else
		say(look, CRED_CHOSEN, CRED_IRSA_ROLE " of the service account, role %s",
		    values->irsa_role);
	look->made = (struct cred_association){
		.source = CRED_SOURCE_WEB_IDENTITY,
		.role_arn = values->irsa_role,
		.audience = values->irsa_audience,
	};
	return &look->made;
}

static bool is_arn(const char *text)
{
	return !strncmp(text, "arn:", 4);
}

/* What stands for a role, as an ARN. */
static bool normalise(const struct cred_rules *rules, const char *text, char ret[ARN_SIZE])
{
	const char *base = rules->base_role_arn;
	bool whole = is_arn(text);

	if (!*text || (!whole && (!base || !*base)))
		return false;
	text += whole ? 0 : strspn(text, "/");
	return snprintf(ret, ARN_SIZE, "%s%s", whole ? "" : base, text) < ARN_SIZE;
}

/* A pattern that does not begin as an ARN is for what comes after the base ARN. */
static bool pattern_matches(const struct cred_rules *rules, const char *pattern, const char *arn)
{
	const char *base = is_arn(pattern) || !rules->base_role_arn ? "" : rules->base_role_arn;
	size_t len = strlen(base);

	if (strncmp(arn, base, len) != 0)
		return false;
	return rules->allowed_roles_regexp ? cred_pattern_matches(pattern, true, arn + len) == 1
					   : cred_pattern_glob(pattern, arn + len);
}

/* kube2iam's annotation of the namespace: a JSON list of patterns. 1, 0, -EINVAL: it is none. */
static int is_in_allowed_roles(const struct cred_rules *rules, const char *json, const char *arn)
{
	json_t *list = json_loads(json, 0, NULL), *item;
	bool is_list = json_is_array(list) && json_array_size(list) <= PATTERNS_MAX;
	bool found = false;
	size_t i;

	if (is_list)
		json_array_foreach (list, i, item)
			found = found || (json_is_string(item) &&
					  pattern_matches(rules, json_string_value(item), arn));
	json_decref(list);
	return is_list ? found : -EINVAL;
}

/* The pod's annotation, as an ARN in look. */
static bool has_role(struct look *look, const char *role, const char *whose)
{
	if (normalise(look->rules, role, look->role_arn) && cred_is_role_arn(look->role_arn))
		return true;
	say(look, CRED_REFUSED, "%s is \"%.80s\", no ARN of a role%s; correct it", whose, role,
	    look->rules->base_role_arn ? "" : ", and there is no baseRoleArn");
	return false;
}

/* Roles that trust the node say nothing of tags, so those would be refused. */
static void make_iam(struct look *look, const char *external_id)
{
	look->made = (struct cred_association){
		.source = CRED_SOURCE_STS,
		.role_arn = look->role_arn,
		.external_id = external_id,
		.disable_session_tags = true,
	};
}

static bool has_external_id(struct look *look)
{
	const char *id = look->facts->annotations.external_id;

	if (!id || cred_is_external_id(id))
		return true;
	say(look, CRED_REFUSED, CRED_IAM_EXTERNAL " of the pod is no external id; correct it");
	return false;
}

static const struct cred_association *look_default_role(struct look *look)
{
	const char *role = look->rules->default_role;

	if (!role || !*role)
		say(look, CRED_ABSENT,
		    "the pod has no annotation " CRED_IAM_ROLE ", and there is no defaultRole");
	else if (has_role(look, role, "defaultRole of the configuration"))
		say(look, CRED_CHOSEN, "defaultRole of the configuration, role %s", look->role_arn);
	make_iam(look, NULL);
	return &look->made;
}

static const struct cred_association *look_kube2iam(struct look *look)
{
	const struct cred_annotations *values = &look->facts->annotations;
	const char *allowed = values->allowed_roles;
	int r;

	if (!is_known(look, look->rules->kube2iam, "kube2iam"))
		return NULL;
	if (!values->role)
		return look_default_role(look);
	make_iam(look, values->external_id);
	if (!has_role(look, values->role, CRED_IAM_ROLE " of the pod") || !has_external_id(look))
		return NULL;
	r = allowed ? is_in_allowed_roles(look->rules, allowed, look->role_arn) : 0;
	if (!allowed && look->rules->kiam)
		say(look, CRED_ABSENT, "the namespace has no annotation " CRED_IAM_ALLOWED);
	else if (!allowed)
		say(look, CRED_REFUSED,
		    "role %s is not allowed: namespace %s has no annotation " CRED_IAM_ALLOWED,
		    look->role_arn, look->facts->namespace);
	else if (r < 0)
		say(look, CRED_REFUSED,
		    CRED_IAM_ALLOWED " of namespace %s is no JSON list; correct it",
		    look->facts->namespace);
	else if (!r)
		say(look, CRED_REFUSED, "role %s is not in " CRED_IAM_ALLOWED " of namespace %s",
		    look->role_arn, look->facts->namespace);
	else
		say(look, CRED_CHOSEN, CRED_IAM_ROLE " of the pod, role %s", look->role_arn);
	return &look->made;
}

static void judge_permitted(struct look *look, const char *permitted)
{
	int r = permitted && *permitted ? cred_pattern_matches(permitted, true, look->role_arn) : 0;

	if (!permitted || !*permitted)
		say(look, CRED_REFUSED,
		    "role %s is not allowed: namespace %s has no annotation " CRED_IAM_PERMITTED,
		    look->role_arn, look->facts->namespace);
	else if (r < 0)
		say(look, CRED_REFUSED,
		    CRED_IAM_PERMITTED " of namespace %s cannot be used as a regular expression; "
				       "correct it",
		    look->facts->namespace);
	else if (!r)
		say(look, CRED_REFUSED,
		    "role %s does not match " CRED_IAM_PERMITTED " of namespace %s", look->role_arn,
		    look->facts->namespace);
	else
		say(look, CRED_CHOSEN, CRED_IAM_ROLE " of the pod, role %s", look->role_arn);
}

static const struct cred_association *look_kiam(struct look *look)
{
	const struct cred_annotations *values = &look->facts->annotations;

	if (!is_known(look, look->rules->kiam, "kiam"))
		return NULL;
	if (!values->role) {
		say(look, CRED_ABSENT, "the pod has no annotation " CRED_IAM_ROLE);
		return NULL;
	}
	make_iam(look, values->external_id);
	if (!has_role(look, values->role, CRED_IAM_ROLE " of the pod") || !has_external_id(look))
		return NULL;
	judge_permitted(look, values->permitted);
	if (values->session_name && *values->session_name) {
		snprintf(look->session, sizeof(look->session), "kiam-%s", values->session_name);
		look->made.session_text = look->session;
	}
	return &look->made;
}

/* ---- the order ---- */

typedef const struct cred_association *look_fn(struct look *look);

static look_fn *const looks[CRED_ORIGINS] = {
	[CRED_ORIGIN_FILE] = look_file, [CRED_ORIGIN_OBJECT] = look_object,
	[CRED_ORIGIN_IRSA] = look_irsa, [CRED_ORIGIN_KUBE2IAM] = look_kube2iam,
	[CRED_ORIGIN_KIAM] = look_kiam, [CRED_ORIGIN_EKS] = look_eks,
};

/* Someone's words for an origin: "the associations file". */
static const char *origin_text(enum cred_origin origin)
{
	static const char *const texts[] = {
		[CRED_ORIGIN_FILE] = "the associations file",
		[CRED_ORIGIN_OBJECT] = "the PodIdentityAssociation",
		[CRED_ORIGIN_IRSA] = "the service account's annotation",
		[CRED_ORIGIN_KUBE2IAM] = "kube2iam's annotation",
		[CRED_ORIGIN_KIAM] = "kiam's annotation",
		[CRED_ORIGIN_EKS] = "EKS",
	};

	return texts[origin];
}

static void shadow(struct cred_step *step, enum cred_origin by)
{
	char why[CRED_WHY_SIZE];

	if (step->verdict != CRED_CHOSEN && step->verdict != CRED_REFUSED)
		return;
	snprintf(why, sizeof(why), "%.300s; but %s comes first", step->why, origin_text(by));
	strcpy(step->why, why);
	step->verdict = CRED_SHADOWED;
}

/* Of the file and of objects, the table is with whoever has the facts. */
static int take(struct cred_choice *choice, enum cred_origin origin, const struct look *look,
		const struct cred_association *a)
{
	struct cred_association made = look->made;
	int r;

	choice->origin = origin;
	if (a != &look->made) {
		choice->association = a;
		return 0;
	}
	made.origin = origin;
	made.namespace = look->facts->namespace;
	made.service_account = look->facts->service_account;
	made.duration = CRED_DURATION_DEFAULT;
	r = cred_table_of(&made, &choice->table);
	if (r == 0)
		choice->association = cred_table_at(choice->table, 0);
	return r;
}

static void refuse(struct cred_choice *choice, enum cred_origin origin, const char *why)
{
	choice->refused = true;
	choice->origin = origin;
	strcpy(choice->why, why);
}

/* decided: by one before. Returns whether this one has decided, or -EAGAIN: it might. */
static int consider(const struct cred_rules *rules, const struct cred_facts *facts,
		    enum cred_origin origin, bool decided, struct cred_choice *ret)
{
	struct cred_step *step = &ret->steps[origin];
	struct look look = {.rules = rules, .facts = facts, .step = step};
	const struct cred_association *a = looks[origin](&look);
	int r;

	if (decided) {
		shadow(step, ret->origin);
		return 0;
	}
	if (step->verdict == CRED_UNKNOWN) {
		ret->origin = origin;
		return -EAGAIN;
	}
	if (step->verdict != CRED_CHOSEN && step->verdict != CRED_REFUSED)
		return 0;
	if (step->verdict == CRED_REFUSED) {
		refuse(ret, origin, step->why);
		ret->not_allowed = look.not_allowed;
		return 1;
	}
	r = take(ret, origin, &look, a);
	return r < 0 ? r : 1;
}

int cred_choose(const struct cred_rules *rules, const struct cred_facts *facts,
		struct cred_choice *ret)
{
	bool decided = false;
	int unknown = 0;

	*ret = (struct cred_choice){};
	for (int origin = 0; origin < CRED_ORIGINS; origin++) {
		int r = consider(rules, facts, (enum cred_origin)origin, decided || unknown, ret);

		if (r < 0 && r != -EAGAIN)
			return r;
		unknown = unknown ?: r < 0 ? r : 0;
		decided = decided || r > 0;
	}
	if (!decided && !unknown)
		snprintf(ret->why, sizeof(ret->why),
			 "no role is associated with service account %s/%s", facts->namespace,
			 facts->service_account);
	return unknown;
}

void cred_choice_done(struct cred_choice *choice)
{
	cred_table_unref(choice->table);
	*choice = (struct cred_choice){};
}
