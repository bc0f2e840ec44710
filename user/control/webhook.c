// SPDX-License-Identifier: Apache-2.0
#include "control/webhook.h"

#include <errno.h>
#include <jansson.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/base64.h"
#include "base/cleanup.h"
#include "control/inject.h"

#define ANSWER_MAX (4U << 20)
#define NODES_MAX  200000U /* of jansson's, which need up to a hundred bytes each */
#define DEPTH_MAX  64U
#define UID_MAX	   128

static void cleanup_json(json_t **json)
{
	json_decref(*json);
}

#define _cleanup_json_ _cleanup_(cleanup_json)

static const char *const verdict_names[CONTROL_VERDICTS] = {
	"injected", "unchanged", "noAssociation", "notKnown", "optedOut",
	"unfit",    "foreign",	 "unreadable",	  "failed",
};

const char *control_verdict_name(enum control_verdict verdict)
{
	return verdict_names[verdict];
}

/* ---- reading ---- */

/* Behind a text in quotes, which at points into. */
static const char *skip_text(const char *at, const char *end)
{
	while (at < end && *at != '"')
		at += *at == '\\' ? 2 : 1;
	return at < end ? at + 1 : end;
}

/* Whoever sends a review may send a small one that takes much memory. What is no JSON is the parser's to say. */
static bool is_moderate(const char *at, size_t len)
{
	const char *end = at + len;
	unsigned depth = 0, nodes = 0;

	while (at < end) {
		char c = *at++;

		if (c == '"')
			at = skip_text(at, end);
		else if (c == '{' || c == '[')
			depth++, nodes++;
		else if ((c == '}' || c == ']') && depth)
			depth--;
		else if (c == ',')
			nodes++;
		if (depth > DEPTH_MAX || nodes > NODES_MAX)
			return false;
	}
	return true;
}

/* Printable, as it is sent back. */
static const char *uid_of(const json_t *request)
{
	const char *uid = injection_text(request, "uid");
	size_t len = uid ? strlen(uid) : 0;

	if (!len || len > UID_MAX)
		return NULL;
	for (size_t i = 0; i < len; i++)
		if (uid[i] <= ' ' || uid[i] >= 0x7f || uid[i] == '"' || uid[i] == '\\')
			return NULL;
	return uid;
}

static bool is(const json_t *object, const char *key, const char *text)
{
	const char *value = injection_text(object, key);

	return value && !strcmp(value, text);
}

/* NULL: what is wrong with it is in why. */
static const char *read_review(const void *body, size_t len, json_t **ret, const char **ret_uid)
{
	json_t *review;

	if (len > CONTROL_REVIEW_MAX || !is_moderate(body, len))
		return "an AdmissionReview that is too large";
	*ret = review = json_loadb(body, len, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, NULL);
	if (!review)
		return "not JSON";
	if (!is(review, "kind", "AdmissionReview") ||
	    !is(review, "apiVersion", "admission.k8s.io/v1"))
		return "not an AdmissionReview of admission.k8s.io/v1";
	*ret_uid = uid_of(json_object_get(review, "request"));
	return *ret_uid ? NULL : "an AdmissionReview without a request that has a uid";
}

static bool is_new_pod(const json_t *request)
{
	const json_t *kind = json_object_get(request, "kind");
	const char *subresource = injection_text(request, "subResource");

	return is(kind, "group", "") && is(kind, "version", "v1") && is(kind, "kind", "Pod") &&
	       is(request, "operation", "CREATE") && (!subresource || !*subresource) &&
	       json_is_object(json_object_get(request, "object"));
}

static void copy_name(const char *name, bool (*check)(const char *s, size_t len), char *ret,
		      size_t size)
{
	size_t len = name ? strlen(name) : 0;

	if (len && check(name, len))
		snprintf(ret, size, "%s", name);
}

/* What a name is begun with has '-' behind it. */
static bool is_begin(const char *s, size_t len)
{
	return len <= K8S_SUBDOMAIN_SIZE - 1 &&
	       k8s_is_subdomain(s, len - (len > 1 && s[len - 1] == '-'));
}

/* The namespace is the request's, as the pod may not say it. */
static void read_names(const json_t *request, const json_t *pod, struct control_outcome *outcome)
{
	const json_t *metadata = json_object_get(pod, "metadata"),
		     *spec = json_object_get(pod, "spec");
	const char *account = injection_text(spec, "serviceAccountName"),
		   *name = injection_text(metadata, "name");

	copy_name(injection_text(request, "namespace"), k8s_is_label, outcome->name_space,
		  sizeof(outcome->name_space));
	copy_name(account && *account ? account : "default", k8s_is_subdomain,
		  outcome->service_account, sizeof(outcome->service_account));
	copy_name(name && *name ? name : injection_text(metadata, "generateName"), is_begin,
		  outcome->pod, sizeof(outcome->pod));
}

/* ---- answering ---- */

static void add_warnings(struct text *t, const json_t *warnings)
{
	size_t i;
	const json_t *warning;

	if (!json_array_size(warnings))
		return;
	text_add(t, ",\"warnings\":[");
	json_array_foreach (warnings, i, warning) {
		if (i)
			text_add(t, ",");
		text_add_string(t, json_string_value(warning));
	}
	text_add(t, "]");
}

/* operations NULL: the pod is to stay as it is. */
static int write_answer(struct text *t, const char *uid, const json_t *operations,
			const json_t *warnings)
{
	_cleanup_free_ char *patch = NULL;

	if (operations && !(patch = json_dumps(operations, JSON_COMPACT)))
		return -ENOMEM;
	text_add(t, "{");
	text_add_member(t, "apiVersion", "admission.k8s.io/v1");
	text_add_member(t, "kind", "AdmissionReview");
	text_add(t, ",\"response\":{");
	text_add_member(t, "uid", uid);
	text_add(t, ",\"allowed\":true");
	if (patch) {
		text_add_member(t, "patchType", "JSONPatch");
		text_add(t, ",\"patch\":\"");
		base64_encode(t, patch, strlen(patch));
		text_add(t, "\"");
	}
	add_warnings(t, warnings);
	text_add(t, "}}");
	return text_error(t);
}

/* ---- deciding ---- */

/* Once more from the beginning, on a pod that nothing has touched. */
static int prove(const struct injection *injection, json_t *original)
{
	int r = patch_apply(original, injection->patch.operations);

	return r < 0 ? r : json_equal(original, injection->patch.document) ? 0 : -EINVAL;
}

static enum control_verdict change(struct injection *injection)
{
	_cleanup_json_ json_t *original = json_deep_copy(injection->patch.document);
	enum control_verdict verdict = injection_run(injection);

	if (!original || injection->patch.error)
		return CONTROL_FAILED;
	return verdict != CONTROL_INJECTED || prove(injection, original) == 0 ? verdict
									      : CONTROL_FAILED;
}

struct asker {
	control_find_fn *find;
	void *arg;
};

static enum control_verdict decide(struct injection *injection, const json_t *request,
				   const struct asker *asker, struct control_found *found,
				   struct control_outcome *outcome)
{
	enum control_verdict verdict;

	if (!is_new_pod(request))
		return CONTROL_FOREIGN;
	injection->patch.document = json_object_get(request, "object");
	read_names(request, injection->patch.document, outcome);
	if (!*outcome->name_space || !*outcome->service_account)
		return CONTROL_UNFIT;
	verdict = injection_opted_out(injection->patch.document);
	if (verdict != CONTROL_INJECTED)
		return verdict;
	if (asker->find(asker->arg, outcome->name_space, outcome->service_account, found) < 0) {
		injection_warn(injection,
			       "podcred does not know the associations yet, so the pod gets "
			       "no variables; the metadata addresses serve it none the less");
		return CONTROL_NOT_KNOWN;
	}
	return found->exists ? change(injection) : CONTROL_NO_ASSOCIATION;
}

static unsigned refuse(struct text *ret, struct control_outcome *outcome, const char *why)
{
	text_done(ret);
	text_add(ret, why);
	text_add(ret, "\n");
	outcome->verdict = CONTROL_UNREADABLE;
	snprintf(outcome->why, sizeof(outcome->why), "%s", why);
	return 400;
}

static void take_why(struct control_outcome *outcome, const json_t *warnings)
{
	const char *first = json_string_value(json_array_get(warnings, 0));

	snprintf(outcome->why, sizeof(outcome->why), "%s", first ?: "");
}

unsigned control_webhook(const struct control_inject *inject, control_find_fn *find, void *arg,
			 const void *body, size_t len, struct text *ret,
			 struct control_outcome *ret_outcome)
{
	_cleanup_json_ json_t *review = NULL, *warnings = json_array();
	struct control_found found = {};
	struct injection injection = {.inject = inject, .found = &found, .warnings = warnings};
	const struct asker asker = {find, arg};
	const char *uid, *wrong;
	bool changed;
	int r;

	memset(ret_outcome, 0, sizeof(*ret_outcome));
	ret->max = ANSWER_MAX;
	wrong = read_review(body, len, &review, &uid);
	if (wrong)
		return refuse(ret, ret_outcome, wrong);
	ret_outcome->verdict =
		decide(&injection, json_object_get(review, "request"), &asker, &found, ret_outcome);
	changed = ret_outcome->verdict == CONTROL_INJECTED;
	take_why(ret_outcome, warnings);
	r = write_answer(ret, uid, changed ? injection.patch.operations : NULL, warnings);
	patch_done(&injection.patch);
	return r < 0 ? refuse(ret, ret_outcome, "no memory") : 200;
}
