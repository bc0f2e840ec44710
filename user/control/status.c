// SPDX-License-Identifier: Apache-2.0
#include "control/status.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/loop.h"
#include "base/timestamp.h"
#include "control/assumable.h"
#include "credentials/associations.h"
#include "kube/objects.h"
#include "kube/project.h"
#include "kube/role_policies.h"

#define SOON_NS	     (100 * CLOCK_MS)
#define EVERY_NS     (30 * CLOCK_S)
#define ACCOUNT_NS   (300 * CLOCK_S) /* how long an account's annotation is believed */
#define RETRY_NS     (5 * CLOCK_S)
#define TRY_NS	     (600 * CLOCK_S) /* how long it is believed that a role can be had, or not */
#define FRESH_NS     (10 * CLOCK_S) /* what contradicts another replica must be no older */
#define HURRY_TRIES  6 /* the broker may hear of an object later than we do */
#define JOBS_MAX     8 /* requests in flight */
#define IRSA	     "eks.amazonaws.com/role-arn"
#define MESSAGE_SIZE 512

enum account {
	ACCOUNT_UNKNOWN,
	ACCOUNT_MISSING,
	ACCOUNT_PLAIN,
	ACCOUNT_IRSA,
};

struct finding {
	const char *status, *reason; /* True, False, Unknown; one word */
	char message[MESSAGE_SIZE]; /* never empty: older API servers do not take that */
};

/* What came of the last try to have the role; all zero: nobody has tried. */
struct attempt {
	uint64_t at_ns;
	json_int_t generation;
	char status[8], reason[16], message[MESSAGE_SIZE];
	unsigned packed_percent;
	unsigned unknown; /* how often in a row */
};

/* What is known beside the object. */
struct item {
	struct keyed key; /* in text */
	struct control_status *status;
	char text[EKS_KEY_SIZE], uid[EKS_UID_SIZE];
	enum account account;
	uint64_t asked_ns; /* when the account was read */
	uint64_t wait_ns; /* nothing is done before */
	uint64_t pass; /* the last one that has seen it */
	struct kube_object_call *call;
	struct control_assumable_call *trying; /* both NULL: it rests */
	struct attempt attempt;
};

struct control_status {
	struct loop *loop;
	struct kube_client *client;
	struct eks_store *store;
	const struct kube_role_policies *policies;
	const struct eks_cluster *cluster;
	const struct control_broker *broker; /* NULL: whether a role can be had is not known here */
	struct loop_timer *timer;
	void *items; /* tree of struct item */
	size_t n_jobs;
	uint64_t pass;
	bool hurries; /* something is looked at again soon */
	struct control_status_counts counts;
};

/* ---- what is to be said ---- */

__attribute__((format(printf, 4, 5))) static void find_that(struct finding *f, const char *status,
							    const char *reason, const char *fmt,
							    ...)
{
	va_list ap;

	f->status = status;
	f->reason = reason;
	va_start(ap, fmt);
	vsnprintf(f->message, sizeof(f->message), fmt, ap);
	va_end(ap);
}

/* As whoever gives credentials reads it. */
static int check_spec(const struct eks_object *o, struct pc_err *err)
{
	const json_t *spec = json_object_get(o->object, "spec");
	const char *defect = kube_project_defect(spec);
	_cleanup_free_ char *text = json_is_object(spec) ? json_dumps(spec, JSON_COMPACT) : NULL;
	struct cred_table *table = NULL;
	int r;

	if (defect)
		return pc_err_set(err, -EINVAL, "%s; remove it, or update podcred", defect);
	if (!text)
		return pc_err_set(err, -EINVAL, "spec is missing; write roleArn into it");
	r = cred_table_parse_spec(o->key, CRED_ORIGIN_OBJECT, o->name_space, o->name, text,
				  strlen(text), &table, err);
	cred_table_unref(table);
	return r;
}

static void find_role_allowed(const struct control_status *s, const struct eks_object *o,
			      struct finding *ret)
{
	const json_t *spec = json_object_get(o->object, "spec");
	struct cred_rights_answer answer = {};

	kube_role_policies_ask(s->policies, o->name_space,
			       json_string_value(json_object_get(spec, "roleArn")),
			       json_string_value(json_object_get(spec, "targetRoleArn")), &answer);
	if (answer.right == CRED_RIGHT_ALLOWED)
		find_that(ret, "True", "Allowed", "%s", answer.why);
	else if (answer.right == CRED_RIGHT_REFUSED)
		find_that(ret, "False", "NotAllowed", "%s", answer.why);
	else
		find_that(ret, "Unknown", "NotKnown", "%s", answer.why);
}

static void find_shadowed(const struct item *item, struct finding *ret)
{
	switch (item->account) {
	case ACCOUNT_IRSA:
		find_that(ret, "True", "IRSA",
			  "the service account has the annotation " IRSA
			  ", and SDKs prefer what IRSA gives; remove it");
		break;
	case ACCOUNT_PLAIN:
		find_that(ret, "False", "NotShadowed",
			  "the service account has no annotation of IRSA");
		break;
	case ACCOUNT_MISSING:
		find_that(ret, "False", "NoServiceAccount",
			  "there is no service account of this name yet");
		break;
	default:
		find_that(ret, "Unknown", "NotKnown", "the service account cannot be read");
	}
}

/* Since another replica may have said the same in other words, or know what we do not, that stays. */
static void find_assumable(const struct item *item, const json_t *before, const json_t *generation,
			   struct finding *ret)
{
	const struct attempt *attempt = &item->attempt;
	const char *status = json_string_value(json_object_get(before, "status"));
	const char *reason = json_string_value(json_object_get(before, "reason"));
	const char *message = json_string_value(json_object_get(before, "message"));
	bool known = status && reason && message && *message &&
		     json_equal(json_object_get(before, "observedGeneration"), generation);

	if (known && (!strcmp(attempt->status, "Unknown") ||
		      (!strcmp(attempt->status, status) && !strcmp(attempt->reason, reason))))
		find_that(ret, status, reason, "%s", message);
	else
		find_that(ret, attempt->status, attempt->reason, "%s", attempt->message);
}

/* assumable: NULL, nobody can say. */
static void find_ready(const struct pc_err *invalid, const struct finding *allowed,
		       const struct finding *assumable, const struct finding *shadowed,
		       struct finding *ret)
{
	if (invalid->msg[0])
		find_that(ret, "False", "Invalid", "%.500s", invalid->msg);
	else if (strcmp(allowed->status, "True") != 0)
		find_that(ret, allowed->status, "RoleNotAllowed", "%.500s", allowed->message);
	else if (assumable && !strcmp(assumable->status, "False"))
		find_that(ret, "False", "NotAssumable", "%.500s", assumable->message);
	else if (!strcmp(shadowed->status, "True"))
		find_that(ret, "False", "Shadowed", "%.500s", shadowed->message);
	else
		find_that(ret, "True", "Ready", "pods of the service account get its credentials");
}

/* ---- as the object has it ---- */

static const json_t *condition(const json_t *conditions, const char *type)
{
	const json_t *found;
	size_t i;

	json_array_foreach (conditions, i, found) {
		const char *is = json_string_value(json_object_get(found, "type"));

		if (is && !strcmp(is, type))
			return found;
	}
	return NULL;
}

/* When its status became what it is. */
static json_t *since(const json_t *before, const char *status, const char *now)
{
	const char *was = json_string_value(json_object_get(before, "status"));
	json_t *when = json_object_get(before, "lastTransitionTime");

	return was && when && !strcmp(was, status) ? json_incref(when) : json_string(now);
}

static void put_condition(json_t *ret, const json_t *conditions, const char *type,
			  const struct finding *f, const json_t *generation, const char *now)
{
	const json_t *before = condition(conditions, type);

	json_array_append_new(
		ret, json_pack("{s:s, s:s, s:s, s:s, s:o, s:O}", "type", type, "status", f->status,
			       "reason", f->reason, "message", f->message, "lastTransitionTime",
			       since(before, f->status, now), "observedGeneration", generation));
}

/* What other writers have said. */
static void keep_foreign(json_t *ret, const json_t *conditions)
{
	json_t *found;
	size_t i;

	json_array_foreach (conditions, i, found) {
		const char *type = json_string_value(json_object_get(found, "type"));

		if (type && !condition(ret, type))
			json_array_append(ret, found);
	}
}

static json_t *make_conditions(const struct control_status *s, const struct item *item,
			       const struct eks_object *o, const json_t *generation)
{
	const json_t *before = json_object_get(json_object_get(o->object, "status"), "conditions");
	struct finding ready, allowed, assumable, shadowed;
	struct pc_err invalid = {};
	char now[TIMESTAMP_SIZE];
	json_t *ret = json_array();

	if (timestamp_format(time(NULL), now) < 0)
		return ret;
	check_spec(o, &invalid);
	find_role_allowed(s, o, &allowed);
	find_shadowed(item, &shadowed);
	if (s->broker)
		find_assumable(item, condition(before, "Assumable"), generation, &assumable);
	find_ready(&invalid, &allowed, s->broker ? &assumable : NULL, &shadowed, &ready);
	put_condition(ret, before, "Ready", &ready, generation, now);
	put_condition(ret, before, "RoleAllowed", &allowed, generation, now);
	if (s->broker)
		put_condition(ret, before, "Assumable", &assumable, generation, now);
	put_condition(ret, before, "Shadowed", &shadowed, generation, now);
	keep_foreign(ret, before);
	return ret;
}

static json_t *make_status(const struct control_status *s, const struct item *item,
			   const struct eks_object *o)
{
	const json_t *metadata = json_object_get(o->object, "metadata");
	json_t *generation = json_object_get(metadata, "generation");
	char arn[EKS_ARN_SIZE], external_id[2048];
	json_t *ret;

	if (!json_is_integer(generation))
		return NULL;
	eks_association_arn(s->cluster, o->id, arn);
	eks_external_id(s->cluster, o, external_id, sizeof(external_id));
	ret = json_pack("{s:s, s:s, s:O, s:o}", "associationId", o->id, "associationArn", arn,
			"observedGeneration", generation, "conditions",
			make_conditions(s, item, o, generation));
	if (ret && external_id[0])
		json_object_set_new(ret, "externalId", json_string(external_id));
	if (ret && item->attempt.packed_percent)
		json_object_set_new(ret, "packedPolicySize",
				    json_integer(item->attempt.packed_percent));
	return ret;
}

/* Of a member that is gone a merge patch says null. */
static bool differs(json_t *wanted, const json_t *have)
{
	const char *key;
	json_t *value;

	if (!json_object_get(wanted, "externalId") && json_object_get(have, "externalId"))
		json_object_set_new(wanted, "externalId", json_null());
	json_object_foreach (wanted, key, value) {
		const json_t *old = json_object_get(have, key);

		if (json_is_null(value) ? old != NULL : !json_equal(value, old))
			return true;
	}
	return false;
}

/* ---- requests ---- */

static void rest(struct item *item, uint64_t wait_ns)
{
	item->call = NULL;
	item->wait_ns = wait_ns ? clock_mono_ns() + wait_ns : 0;
	item->status->n_jobs--;
	control_status_look(item->status);
}

static void on_account(void *arg, const struct kube_object_result *result)
{
	struct item *item = arg;
	const json_t *metadata = json_object_get(result->object, "metadata");
	bool known = result->outcome == KUBE_DONE || result->outcome == KUBE_NOT_FOUND;

	item->asked_ns = clock_mono_ns();
	if (result->outcome == KUBE_NOT_FOUND)
		item->account = ACCOUNT_MISSING;
	else if (known)
		item->account = json_object_get(json_object_get(metadata, "annotations"), IRSA)
					? ACCOUNT_IRSA
					: ACCOUNT_PLAIN;
	else
		item->status->counts.failed++;
	rest(item, known ? 0 : RETRY_NS);
}

static const struct project_shape annotation_members[] = {{.key = IRSA}, {}};
static const struct project_shape account_metadata[] = {
	{.key = "annotations", .members = annotation_members}, {}};
static const struct project_shape account_members[] = {
	{.key = "metadata", .members = account_metadata}, {}};
static const struct project_shape account_shape = {.members = account_members};

static int start_job(struct control_status *s, struct item *item,
		     const struct kube_object_request *request)
{
	int r = kube_object_start(s->client, request, &item->call, NULL);

	if (r < 0)
		item->wait_ns = clock_mono_ns() + RETRY_NS;
	else
		s->n_jobs++;
	return r;
}

static void ask_account(struct control_status *s, struct item *item, const struct eks_object *o)
{
	const struct kube_object_request request = {.verb = KUBE_GET,
						    .kind = &kube_kind_service_account,
						    .name_space = o->name_space,
						    .name = o->name,
						    .shape = &account_shape,
						    .done = on_account,
						    .arg = item};

	start_job(s, item, &request);
}

/* ---- whether the role can be had ---- */

static void note_attempt(struct item *item, const char *status, const char *reason,
			 const char *message)
{
	struct attempt *attempt = &item->attempt;

	attempt->at_ns = clock_mono_ns();
	attempt->packed_percent = 0;
	attempt->unknown = strcmp(status, "Unknown") ? 0 : attempt->unknown + 1;
	snprintf(attempt->status, sizeof(attempt->status), "%s", status);
	snprintf(attempt->reason, sizeof(attempt->reason), "%s", reason);
	snprintf(attempt->message, sizeof(attempt->message), "%s", message);
}

static void on_tried(void *arg, const struct control_assumable *answer)
{
	struct item *item = arg;

	item->trying = NULL;
	note_attempt(item, answer->status, answer->reason, answer->message);
	item->attempt.packed_percent = answer->packed_percent;
	rest(item, 0);
}

static json_int_t generation_of(const struct eks_object *o)
{
	return json_integer_value(
		json_object_get(json_object_get(o->object, "metadata"), "generation"));
}

static bool is_due(const struct control_status *s, const struct item *item,
		   const struct eks_object *o, uint64_t now)
{
	const struct attempt *attempt = &item->attempt;
	uint64_t wait = !attempt->unknown		 ? TRY_NS
			: attempt->unknown < HURRY_TRIES ? RETRY_NS
							 : 2 * EVERY_NS;

	return s->broker && (!attempt->at_ns || attempt->generation != generation_of(o) ||
			     now - attempt->at_ns >= wait);
}

static void try_role(struct control_status *s, struct item *item, const struct eks_object *o)
{
	struct pc_err err = {};
	int r = control_assumable_ask(s->broker, o->name_space, o->name, on_tried, item,
				      &item->trying, &err);

	if (item->attempt.generation != generation_of(o))
		item->attempt = (struct attempt){.generation = generation_of(o)};
	if (r < 0)
		note_attempt(item, "Unknown", "NotKnown", err.msg);
	else
		s->n_jobs++;
}

/* Two replicas that have tried at different times would overwrite each other. */
static bool contradicts(const struct item *item, const struct eks_object *o, json_t *wanted,
			uint64_t now)
{
	const json_t *have = json_object_get(json_object_get(o->object, "status"), "conditions");
	const json_t *theirs = condition(have, "Assumable");
	const json_t *ours = condition(json_object_get(wanted, "conditions"), "Assumable");

	return theirs && ours && now - item->attempt.at_ns > FRESH_NS &&
	       !json_equal(json_object_get(theirs, "status"), json_object_get(ours, "status"));
}

static void on_written(void *arg, const struct kube_object_result *result)
{
	struct item *item = arg;
	struct control_status *s = item->status;

	if (result->outcome == KUBE_DONE) {
		s->counts.written++;
		eks_store_put(s->store, result->object);
	} else if (result->outcome == KUBE_CONFLICT) {
		s->counts.conflicts++; /* the watch brings what it is now */
	} else if (result->outcome != KUBE_NOT_FOUND) {
		s->counts.failed++;
	}
	rest(item, result->outcome == KUBE_DONE ? 0 : RETRY_NS);
}

static void write_status(struct control_status *s, struct item *item, const struct eks_object *o,
			 json_t *status)
{
	const json_t *metadata = json_object_get(o->object, "metadata");
	_cleanup_json_ json_t *patch =
		json_pack("{s:{s:O}, s:O}", "metadata", "resourceVersion",
			  json_object_get(metadata, "resourceVersion"), "status", status);
	const struct kube_object_request request = {.verb = KUBE_MERGE,
						    .kind = &kube_kind_association,
						    .name_space = o->name_space,
						    .name = o->name,
						    .subresource = "status",
						    .body = patch,
						    .shape = &eks_shape,
						    .done = on_written,
						    .arg = item};

	if (patch)
		start_job(s, item, &request);
}

/* ---- all of them, again and again ---- */

static struct item *find_item(struct control_status *s, const struct eks_object *o)
{
	struct item *item = keyed_find(&s->items, o->key);

	if (!item) {
		item = calloc(1, sizeof(*item));
		if (!item)
			return NULL;
		strcpy(item->text, o->key);
		item->key.key = item->text;
		item->status = s;
		if (keyed_add(&s->items, item) < 0) {
			free(item);
			return NULL;
		}
	}
	if (strcmp(item->uid, o->uid) !=
	    0) { /* another one of the name: its account is asked for anew */
		strcpy(item->uid, o->uid);
		item->asked_ns = item->wait_ns = 0;
		item->attempt = (struct attempt){};
	}
	return item;
}

static void look_at(void *arg, const struct eks_object *o)
{
	struct control_status *s = arg;
	struct item *item = find_item(s, o);
	_cleanup_json_ json_t *wanted = NULL;
	uint64_t now = clock_mono_ns();

	if (!item)
		return;
	item->pass = s->pass;
	if (item->call || item->trying || now < item->wait_ns || s->n_jobs >= JOBS_MAX)
		return;
	if (!item->asked_ns || now - item->asked_ns > ACCOUNT_NS) {
		ask_account(s, item, o);
		return;
	}
	if (is_due(s, item, o, now))
		try_role(s, item, o);
	if (item->trying)
		return;
	s->hurries = s->hurries || (item->attempt.unknown && item->attempt.unknown < HURRY_TRIES);
	wanted = make_status(s, item, o);
	if (!wanted || !differs(wanted, json_object_get(o->object, "status")))
		return;
	if (contradicts(item, o, wanted, now))
		try_role(s, item, o);
	else
		write_status(s, item, o, wanted);
}

struct sweep {
	const struct control_status *status;
	struct item *gone;
};

static void find_gone(const void *node, VISIT visit, void *closure)
{
	struct item *item = *(struct item *const *)node;
	struct sweep *sweep = closure;

	if ((visit == leaf || visit == postorder) && item->pass != sweep->status->pass &&
	    !item->call && !item->trying)
		sweep->gone = item;
}

static void drop_gone(struct control_status *s)
{
	struct sweep sweep = {.status = s};

	do {
		sweep.gone = NULL;
		twalk_r(s->items, find_gone, &sweep);
		if (sweep.gone)
			keyed_remove(&s->items, sweep.gone);
		free(sweep.gone);
	} while (sweep.gone);
}

static void look(void *arg)
{
	struct control_status *s = arg;

	loop_timer_after(s->timer, EVERY_NS);
	if (!eks_store_state(s->store)->listed || !kube_role_policies_state(s->policies)->listed)
		return;
	s->pass++;
	s->hurries = false;
	eks_store_each(s->store, look_at, s);
	drop_gone(s);
	if (s->hurries)
		loop_timer_after(s->timer, RETRY_NS);
}

void control_status_look(struct control_status *s)
{
	loop_timer_after(s->timer, SOON_NS);
}

struct control_status_counts control_status_counts(const struct control_status *s)
{
	return s->counts;
}

/* ---- lives ---- */

static void free_item(void *node)
{
	struct item *item = node;

	kube_object_cancel(item->call);
	control_assumable_cancel(item->trying);
	free(item);
}

struct control_status *control_status_free(struct control_status *s)
{
	if (!s)
		return NULL;
	tdestroy(s->items, free_item);
	loop_timer_free(s->timer);
	free(s);
	return NULL;
}

int control_status_new(struct loop *loop, struct kube_client *client, struct eks_store *store,
		       const struct kube_role_policies *policies, const struct eks_cluster *cluster,
		       const struct control_broker *broker, struct control_status **ret)
{
	struct control_status *s = calloc(1, sizeof(*s));

	if (!s)
		return -ENOMEM;
	*s = (struct control_status){.loop = loop,
				     .client = client,
				     .store = store,
				     .policies = policies,
				     .cluster = cluster,
				     .broker = broker};
	if (loop_timer_new(loop, look, s, &s->timer) < 0) {
		free(s);
		return -ENOMEM;
	}
	control_status_look(s);
	*ret = s;
	return 0;
}
