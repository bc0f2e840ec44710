// SPDX-License-Identifier: Apache-2.0
/* What the admission webhook makes of pods, and of reviews that are none. */
/* SOURCES: tests/unit/webhook_pods.c */
/* MODULES: control base */
/* LIBS: -ljansson */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <dirent.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/base64.h"
#include "base/cleanup.h"
#include "base/secret.h"
#include "control/patch.h"
#include "control/webhook.h"
#include "webhook_pods.h"

#define ROLE "arn:aws:iam::111122223333:role/app"
#define FULL_URI                                                                                   \
	"'name':'AWS_CONTAINER_CREDENTIALS_FULL_URI','value':'http://169.254.170.23/v1/"           \
	"credentials'"
#define EKS_MOUNT "/var/run/secrets/pods.eks.amazonaws.com/serviceaccount"
#define TOKEN_FILE                                                                                 \
	"'name':'AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE','value':'" EKS_MOUNT                      \
	"/eks-pod-identity-token'"
#define MOUNT "'name':'eks-pod-identity-token','readOnly':true,'mountPath':'" EKS_MOUNT "'"
#define TOKEN                                                                                      \
	"'serviceAccountToken':{'audience':'pods.eks.amazonaws.com','expirationSeconds':86400,"    \
	"'path':'eks-pod-identity-token'}"
#define VOLUME                                                                                     \
	"'name':'eks-pod-identity-token','projected':{'defaultMode':420,'sources':[{" TOKEN "}]}"
#define LABELS "'labels':{'eks.amazonaws.com/pod-identity':'enabled'}"
#define IRSA                                                                                       \
	"{'name':'AWS_ROLE_ARN','value':'r'},{'name':'AWS_WEB_IDENTITY_TOKEN_FILE','value':'/t'}"

static void cleanup_json(json_t **json)
{
	json_decref(*json);
}

#define _cleanup_json_ _cleanup_(cleanup_json)

/* JSON with ' for ". */
static json_t *parse(const char *text)
{
	_cleanup_free_ char *copy = strdup(text);
	json_error_t error;
	json_t *json;

	for (char *c = copy; *c; c++)
		if (*c == '\'')
			*c = '"';
	json = json_loads(copy, JSON_REJECT_DUPLICATES, &error);
	if (!json)
		fail_msg("%s: %s", text, error.text);
	return json;
}

static struct webhook_try usual(void)
{
	return (struct webhook_try){.found = {.exists = true, .role_arn = ROLE}};
}

/* after NULL: it stays as it is. says: in a warning, or in none if NULL. */
static void becomes(const struct webhook_try *try, const char *before, const char *after,
		    enum control_verdict verdict, const char *says)
{
	_cleanup_json_ json_t *pod = parse(before), *wanted = after ? parse(after) : NULL,
			      *warnings = NULL, *operations = NULL, *changed = NULL;
	_cleanup_free_ char *text = NULL, *said = NULL;
	struct control_outcome outcome;
	const char *broken = webhook_broken(try, pod);

	if (broken)
		fail_msg("%s: %s", before, broken);
	operations = webhook_try(try, pod, &warnings, &outcome);
	said = warnings ? json_dumps(warnings, 0) : strdup("");
	if (outcome.verdict != verdict)
		fail_msg("%s: %s %s", before, control_verdict_name(outcome.verdict), said);
	if (says ? !strstr(said, says) : *said != 0)
		fail_msg("%s: it says %s", before, said);
	if (!operations || !after) {
		if (operations || after)
			fail_msg("%s: %s", before, operations ? "changed" : "not changed");
		return;
	}
	changed = webhook_apply(pod, operations);
	text = json_dumps(changed, JSON_COMPACT);
	if (!json_equal(changed, wanted))
		fail_msg("%s becomes %s", before, text);
}

static void a_plain_pod_gets_what_eks_injects(void **state)
{
	const struct webhook_try try = usual();

	(void)state;
	becomes(&try,
		"{'metadata':{'name':'web'},'spec':{'containers':[{'name':'a','image':'i'}]}}",
		"{'metadata':{'name':'web'," LABELS "},'spec':{'volumes':[{" VOLUME
		"}],'containers':[{'name':'a','image':'i',"
		"'env':[{" FULL_URI "},{" TOKEN_FILE "}],'volumeMounts':[{" MOUNT "}]}]}}",
		CONTROL_INJECTED, NULL);
	/* lists that are there are lengthened, whatever is in them; a sidecar stays one */
	becomes(&try,
		"{'metadata':{'labels':{'a':'b'}},'spec':{'new':{'field':[1]},'volumes':[{'name':'"
		"v'}],'containers':[{'name':'a',"
		"'env':[{'name':'X','valueFrom':{}}],'volumeMounts':[{'name':'v','mountPath':'/"
		"v'}]}],"
		"'initContainers':[{'name':'i','restartPolicy':'Always','env':null}],'"
		"ephemeralContainers':[{'name':'e'}]}}",
		"{'metadata':{'labels':{'a':'b','eks.amazonaws.com/"
		"pod-identity':'enabled'}},'spec':{'new':{'field':[1]},"
		"'volumes':[{'name':'v'},{" VOLUME
		"}],'containers':[{'name':'a','env':[{'name':'X','valueFrom':{}},{" FULL_URI
		"},{" TOKEN_FILE "}],'volumeMounts':[{'name':'v','mountPath':'/v'},{" MOUNT
		"}]}],'initContainers':[{'name':'i',"
		"'restartPolicy':'Always','env':[{" FULL_URI "},{" TOKEN_FILE
		"}],'volumeMounts':[{" MOUNT "}]}],"
		"'ephemeralContainers':[{'name':'e'}]}}",
		CONTROL_INJECTED, NULL);
}

static void what_is_configured_is_injected(void **state)
{
	struct webhook_try try = usual();

	(void)state;
	try.inject.ipv6 = true;
	try.inject.region = "eu-west-1";
	try.inject.expiration = 3600;
	becomes(&try,
		"{'metadata':{" LABELS ",'annotations':{'eks.amazonaws.com/"
		"token-expiration':'700'}},'spec':{'containers':[{}]}}",
		"{'metadata':{" LABELS
		",'annotations':{'eks.amazonaws.com/token-expiration':'700'}},'spec':{"
		"'volumes':[{'name':'eks-pod-identity-token','projected':{'defaultMode':420,'"
		"sources':[{'serviceAccountToken':"
		"{'audience':'pods.eks.amazonaws.com','expirationSeconds':700,'path':'eks-pod-"
		"identity-token'}}]}}],"
		"'containers':[{'env':[{'name':'AWS_CONTAINER_CREDENTIALS_FULL_URI','value':'http:/"
		"/[fd00:ec2::23]/v1/credentials'},"
		"{" TOKEN_FILE "},{'name':'AWS_REGION','value':'eu-west-1'},{'name':'AWS_DEFAULT_"
		"REGION','value':'eu-west-1'}],"
		"'volumeMounts':[{" MOUNT "}]}]}}",
		CONTROL_INJECTED, NULL);
}

static void web_identity_has_irsas_variables_and_our_address(void **state)
{
	struct webhook_try try = usual();

	(void)state;
	try.inject.style = CONTROL_STYLE_WEB_IDENTITY;
	becomes(&try, "{'spec':{'containers':[{}]}}",
		"{'spec':{'volumes':[{'name':'aws-iam-token','projected':{'defaultMode':420,'"
		"sources':[{'serviceAccountToken':"
		"{'audience':'sts.amazonaws.com','expirationSeconds':86400,'path':'token'}}]}}],'"
		"containers':[{'env':["
		"{'name':'AWS_ROLE_ARN','value':'" ROLE
		"'},{'name':'AWS_WEB_IDENTITY_TOKEN_FILE','value':"
		"'/var/run/secrets/eks.amazonaws.com/serviceaccount/"
		"token'},{'name':'AWS_ENDPOINT_URL_STS','value':"
		"'http://"
		"169.254.170.83'}],'volumeMounts':[{'name':'aws-iam-token','readOnly':true,'"
		"mountPath':"
		"'/var/run/secrets/eks.amazonaws.com/serviceaccount'}]}]}}",
		CONTROL_INJECTED, NULL);
	try.found.role_arn[0] = 0;
	becomes(&try, "{'spec':{'containers':[{}]}}", NULL, CONTROL_UNFIT,
		"role of the association");
}

static void irsa_is_respected_or_overridden(void **state)
{
	static const char pod[] = "{'spec':{'containers':[{'name':'a','env':[" IRSA
				  ",{'name':'X','value':'1'}," IRSA "]}]}}";
	static const char overridden[] =
		"{'spec':{'volumes':[{" VOLUME
		"}],'containers':[{'name':'a','env':[{'name':'X','value':'1'},{" FULL_URI
		"},{" TOKEN_FILE "}],'volumeMounts':[{" MOUNT "}]}]}}";
	struct webhook_try try = usual();

	(void)state;
	becomes(&try, pod, NULL, CONTROL_UNFIT, "container a has IRSA's variables");
	try.inject.override_irsa = true;
	becomes(&try, pod, overridden, CONTROL_INJECTED,
		"container a: IRSA's variables are taken out");
	try.inject.style = CONTROL_STYLE_WEB_IDENTITY;
	becomes(&try, pod,
		"{'spec':{'volumes':[{'name':'aws-iam-token','projected':{'defaultMode':420,'"
		"sources':[{'serviceAccountToken':"
		"{'audience':'sts.amazonaws.com','expirationSeconds':86400,'path':'token'}}]}}],'"
		"containers':[{'name':'a','env':["
		"{'name':'X','value':'1'},{'name':'AWS_ROLE_ARN','value':'" ROLE
		"'},{'name':'AWS_WEB_IDENTITY_TOKEN_FILE','value':"
		"'/var/run/secrets/eks.amazonaws.com/serviceaccount/"
		"token'},{'name':'AWS_ENDPOINT_URL_STS','value':"
		"'http://"
		"169.254.170.83'}],'volumeMounts':[{'name':'aws-iam-token','readOnly':true,'"
		"mountPath':"
		"'/var/run/secrets/eks.amazonaws.com/serviceaccount'}]}]}}",
		CONTROL_INJECTED, "taken out");
}

static void who_wants_none_gets_none(void **state)
{
	static const struct {
		const char *pod;
		enum control_verdict verdict;
		const char *says;
	} rows[] = {
		{"{'metadata':{'labels':{'eks.amazonaws.com/"
		 "skip-pod-identity-webhook':''}},'spec':{'containers':[{}]}}",
		 CONTROL_OPTED_OUT, NULL},
		{"{'metadata':{'annotations':{'eks.amazonaws.com/"
		 "skip-containers':'b,a'}},'spec':{'containers':[{'name':'a'}]}}",
		 CONTROL_OPTED_OUT, NULL},
		{"{'metadata':{'annotations':{'kubernetes.io/"
		 "config.mirror':'x'}},'spec':{'containers':[{}]}}",
		 CONTROL_UNFIT, NULL},
		{"{'spec':{'os':{'name':'windows'},'containers':[{}]}}", CONTROL_UNFIT, NULL},
		{"{'spec':{'nodeSelector':{'kubernetes.io/os':'windows'},'containers':[{}]}}",
		 CONTROL_UNFIT, NULL},
		{"{'spec':{'containers':[{'name':'a','env':[{" FULL_URI "}]}]}}", CONTROL_UNFIT,
		 "container a sets AWS_CONTAINER_CREDENTIALS_FULL_URI itself"},
		{"{'spec':{'containers':[{'name':'a','env':[{'name':'AWS_CONTAINER_CREDENTIALS_"
		 "RELATIVE_URI','value':'/x'}]}]}}",
		 CONTROL_UNFIT, "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI itself"},
		{"{'spec':{'containers':[{'name':'a','volumeMounts':[{'name':'v','mountPath':"
		 "'" EKS_MOUNT "/'}]}]}}",
		 CONTROL_UNFIT, "mounts something else"},
		{"{'spec':{'volumes':[{'name':'eks-pod-identity-token','emptyDir':{}}],'containers'"
		 ":[{}]}}",
		 CONTROL_UNFIT, "another volume"},
		{"{'spec':{'volumes':7,'containers':[{}]}}", CONTROL_UNFIT, NULL},
		{"{'spec':{'containers':[{'env':{}},{'volumeMounts':'x'},7,null]}}", CONTROL_UNFIT,
		 NULL},
		{"{'spec':{'containers':{}}}", CONTROL_UNFIT, NULL},
		{"{'spec':[]}", CONTROL_UNFIT, NULL},
		{"{}", CONTROL_UNFIT, NULL},
		{"{'spec':{'serviceAccountName':'../x','containers':[{}]}}", CONTROL_UNFIT, NULL},
	};
	const struct webhook_try try = usual();

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		becomes(&try, rows[i].pod, NULL, rows[i].verdict, rows[i].says);
}

static void what_is_there_already_is_not_put_twice(void **state)
{
	static const char whole[] = "{'metadata':{" LABELS "},'spec':{'volumes':[{" VOLUME
				    "}],'containers':[{'env':[{" FULL_URI "},{" TOKEN_FILE
				    "}],'volumeMounts':[{" MOUNT "}]}]}}";
	const struct webhook_try try = usual();

	(void)state;
	becomes(&try, whole, NULL, CONTROL_UNCHANGED, NULL);
	becomes(&try,
		"{'metadata':{" LABELS "},'spec':{'volumes':[{" VOLUME
		"}],'containers':[{'env':[{" FULL_URI "},{" TOKEN_FILE "}]}]}}",
		whole, CONTROL_INJECTED, NULL);
}

static void people_are_told(void **state)
{
	struct webhook_try try = usual();
	static const char after[] =
		"{'metadata':{" LABELS ",'annotations':{'eks.amazonaws.com/"
		"token-expiration':'9'}},'spec':{'volumes':[{" VOLUME
		"}],'containers':[{'env':[{'name':'AWS_ACCESS_KEY_ID','value':'A'},{" FULL_URI
		"},{" TOKEN_FILE "}],'volumeMounts':[{" MOUNT "}]}]}}";
	static const char before[] = "{'metadata':{'annotations':{'eks.amazonaws.com/"
				     "token-expiration':'9'}},'spec':{'containers':[{'env':"
				     "[{'name':'AWS_ACCESS_KEY_ID','value':'A'}]}]}}";

	(void)state;
	becomes(&try, before, after, CONTROL_INJECTED, "AWS_ACCESS_KEY_ID, which SDKs prefer");
	becomes(&try, before, after, CONTROL_INJECTED, "token-expiration is not a number");
	strcpy(try.found.trouble, "no role policy allows it");
	becomes(&try, before, after, CONTROL_INJECTED,
		"gives no credentials: no role policy allows it");
	try.found.exists = false;
	becomes(&try, before, NULL, CONTROL_NO_ASSOCIATION, NULL);
}

/* ---- reviews ---- */

static int find(void *arg, const char *name_space, const char *service_account,
		struct control_found *ret)
{
	snprintf(arg, 128, "%s/%s", name_space, service_account);
	ret->exists = true;
	return 0;
}

static int find_nothing_yet(void *arg, const char *name_space, const char *service_account,
			    struct control_found *ret)
{
	(void)arg, (void)name_space, (void)service_account, (void)ret;
	return -EAGAIN;
}

static unsigned ask(control_find_fn *fn, void *arg, const char *review, struct text *ret,
		    struct control_outcome *outcome)
{
	const struct control_inject inject = {};
	_cleanup_free_ char *text = strdup(review);
	unsigned status;

	for (char *c = text; *c; c++)
		if (*c == '\'')
			*c = '"';
	memset(ret, 0, sizeof(*ret));
	status = control_webhook(&inject, fn, arg, text, strlen(text), ret, outcome);
	text_add_bytes(ret, "", 1);
	return status;
}

#define REVIEW(more)                                                                               \
	"{'apiVersion':'admission.k8s.io/v1','kind':'AdmissionReview','request':{'uid':'u-1'" more \
	"}}"
#define POD_KIND "'kind':{'group':'','version':'v1','kind':'Pod'}"
#define POD                                                                                        \
	"'object':{'metadata':{'generateName':'web-'},'spec':{'serviceAccountName':'web','"        \
	"containers':[{}]}}"

static void names_are_those_of_the_request(void **state)
{
	_cleanup_(text_done) struct text t = {};
	struct control_outcome outcome;
	char asked[128] = "";

	(void)state;
	assert_int_equal(ask(find, asked,
			     REVIEW("," POD_KIND ",'operation':'CREATE','namespace':'shop'," POD),
			     &t, &outcome),
			 200);
	assert_string_equal(asked, "shop/web");
	assert_string_equal(outcome.pod, "web-");
	assert_int_equal(outcome.verdict, CONTROL_INJECTED);
	assert_non_null(strstr(
		t.data,
		"\"uid\":\"u-1\",\"allowed\":true,\"patchType\":\"JSONPatch\",\"patch\":\""));
}

static void what_is_no_new_pod_is_let_through(void **state)
{
	static const char *const rows[] = {
		REVIEW(),
		REVIEW("," POD_KIND ",'operation':'UPDATE','namespace':'shop'," POD),
		REVIEW("," POD_KIND ",'operation':'CREATE','subResource':'ephemeralcontainers','"
		       "namespace':'shop'," POD),
		REVIEW(",'kind':{'group':'apps','version':'v1','kind':'Pod'},'operation':'CREATE','"
		       "namespace':'shop'," POD),
		REVIEW("," POD_KIND ",'operation':'CREATE','namespace':'shop','object':null"),
		REVIEW("," POD_KIND ",'operation':'CREATE','namespace':'shop','object':[]"),
	};
	struct control_outcome outcome;
	char asked[128];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		_cleanup_(text_done) struct text t = {};

		assert_int_equal(ask(find, asked, rows[i], &t, &outcome), 200);
		assert_string_equal(t.data,
				    "{\"apiVersion\":\"admission.k8s.io/"
				    "v1\",\"kind\":\"AdmissionReview\",\"response\":{\"uid\":"
				    "\"u-1\",\"allowed\":true}}");
		assert_int_equal(outcome.verdict, CONTROL_FOREIGN);
	}
}

static void before_the_first_list_it_says_so(void **state)
{
	_cleanup_(text_done) struct text t = {};
	struct control_outcome outcome;

	(void)state;
	assert_int_equal(ask(find_nothing_yet, NULL,
			     REVIEW("," POD_KIND ",'operation':'CREATE','namespace':'shop'," POD),
			     &t, &outcome),
			 200);
	assert_int_equal(outcome.verdict, CONTROL_NOT_KNOWN);
	assert_null(strstr(t.data, "patch"));
	assert_non_null(
		strstr(t.data, "\"warnings\":[\"podcred does not know the associations yet"));
}

static void what_is_no_review_is_not_answered_with_one(void **state)
{
	static const char *const rows[] = {
		"",
		"x",
		"{}",
		"[]",
		"{'kind':'AdmissionReview'}",
		"{'apiVersion':'admission.k8s.io/"
		"v1beta1','kind':'AdmissionReview','request':{'uid':'u'}}",
		"{'apiVersion':'admission.k8s.io/v1','kind':'AdmissionReview'}",
		"{'apiVersion':'admission.k8s.io/"
		"v1','kind':'AdmissionReview','request':{'uid':''}}",
		"{'apiVersion':'admission.k8s.io/v1','kind':'AdmissionReview','request':{'uid':7}}",
		"{'apiVersion':'admission.k8s.io/v1','kind':'AdmissionReview','request':{'uid':'a "
		"b'}}",
		"{'apiVersion':'admission.k8s.io/"
		"v1','kind':'AdmissionReview','request':{'uid':'a','uid':'b'}}",
		REVIEW() "x",
	};
	struct control_outcome outcome;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		_cleanup_(text_done) struct text t = {};

		if (ask(find, (char[128]){}, rows[i], &t, &outcome) != 400)
			fail_msg("%s: %s", rows[i], t.data);
		assert_int_equal(outcome.verdict, CONTROL_UNREADABLE);
		assert_true(*outcome.why);
	}
}

static void a_review_has_a_bound(void **state)
{
	static const char *const fillers[] = {"[", "[],", "1,", "{'a':"};
	struct control_outcome outcome;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(fillers); i++) {
		_cleanup_(text_done) struct text t = {};
		size_t len = strlen(fillers[i]), n = CONTROL_REVIEW_MAX / len;
		char *body = malloc(n * len + 1);

		for (size_t j = 0; j < n; j++)
			memcpy(body + j * len, fillers[i], len + 1);
		assert_int_equal(ask(find, NULL, body, &t, &outcome), 400);
		assert_string_equal(outcome.why, "an AdmissionReview that is too large");
		free(body);
	}
}

/* ---- any pod ---- */

static uint32_t seed = 1;

static unsigned dice(unsigned n)
{
	seed = seed * 1103515245 + 12345;
	return (seed >> 16) % n;
}

static json_t *some_text(void)
{
	static const char *const texts[] = {
		"AWS_ROLE_ARN",
		"AWS_WEB_IDENTITY_TOKEN_FILE",
		"AWS_CONTAINER_CREDENTIALS_FULL_URI",
		"AWS_REGION",
		"AWS_ENDPOINT_URL_STS",
		"AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE",
		"http://169.254.170.23/v1/credentials",
		EKS_MOUNT "/eks-pod-identity-token",
		EKS_MOUNT,
		"eks-pod-identity-token",
		"aws-iam-token",
		"windows",
		"a",
		"",
		"AWS_ACCESS_KEY_ID",
		ROLE,
		"http://169.254.170.83",
		"/var/run/secrets/eks.amazonaws.com/serviceaccount",
		"/var/run/secrets/eks.amazonaws.com/serviceaccount/token",
	};

	return json_string(texts[dice(ARRAY_SIZE(texts))]);
}

/* Often what belongs at a place, sometimes anything. */
static json_t *something(unsigned depth)
{
	static const char *const keys[] = {"metadata",	  "spec",	  "labels",
					   "annotations", "containers",	  "initContainers",
					   "env",	  "volumeMounts", "volumes",
					   "name",	  "value",	  "mountPath",
					   "projected",	  "sources",	  "serviceAccountToken",
					   "os"};
	json_t *made;

	switch (depth ? dice(8) : dice(4)) {
	case 0:
		return json_null();
	case 1:
		return json_integer(dice(3));
	case 2 ... 3:
		return some_text();
	case 4 ... 5:
		made = json_array();
		for (unsigned n = dice(4); n; n--)
			json_array_append_new(made, something(depth - 1));
		return made;
	default:
		made = json_object();
		for (unsigned n = dice(5); n; n--)
			json_object_set_new(made, keys[dice(ARRAY_SIZE(keys))],
					    something(depth - 1));
		return made;
	}
}

static json_t *some_list(json_t *(*one)(void))
{
	json_t *list;

	if (dice(8) == 0)
		return something(2);
	list = json_array();
	for (unsigned n = dice(5); n; n--)
		json_array_append_new(list, dice(10) ? one() : something(1));
	return list;
}

static json_t *some_entry(void)
{
	json_t *entry = json_object();

	json_object_set_new(entry, "name", some_text());
	json_object_set_new(entry, dice(4) ? "value" : "valueFrom", some_text());
	return entry;
}

static json_t *some_mount(void)
{
	json_t *mount = json_object();

	json_object_set_new(mount, "name", some_text());
	json_object_set_new(mount, "mountPath", some_text());
	return mount;
}

static json_t *some_container(void)
{
	json_t *container = json_object();

	json_object_set_new(container, "name", some_text());
	if (dice(3))
		json_object_set_new(container, "env", some_list(some_entry));
	if (dice(3))
		json_object_set_new(container, "volumeMounts", some_list(some_mount));
	return container;
}

static json_t *some_volume(void)
{
	if (dice(3))
		return some_entry();
	return parse(dice(2) ? "{" VOLUME "}"
			     : "{'name':'aws-iam-token','projected':{'sources':[{},{'"
			       "serviceAccountToken':"
			       "{'audience':'sts.amazonaws.com','path':'token'}}]}}");
}

static json_t *some_pod(void)
{
	json_t *pod = json_object(), *spec = json_object();

	json_object_set_new(spec, "containers", some_list(some_container));
	if (dice(2))
		json_object_set_new(spec, "initContainers", some_list(some_container));
	if (dice(2))
		json_object_set_new(spec, "volumes", some_list(some_volume));
	json_object_set_new(pod, "spec", spec);
	if (dice(4))
		json_object_set_new(pod, "metadata", dice(2) ? json_object() : something(2));
	return pod;
}

static void whatever_pod_comes_the_answer_applies(void **state)
{
	unsigned changed = 0;

	(void)state;
	for (unsigned i = 0; i < 1000; i++) {
		struct webhook_try try = usual();
		_cleanup_json_ json_t *pod = dice(20) ? some_pod() : something(4), *operations;
		struct control_outcome outcome;
		const char *broken;

		try.inject.style = dice(2) ? CONTROL_STYLE_WEB_IDENTITY : CONTROL_STYLE_CONTAINER;
		try.inject.override_irsa = dice(2);
		try.inject.region = dice(2) ? "eu-west-1" : NULL;
		broken = webhook_broken(&try, pod);
		if (broken)
			fail_msg("%s: %s", broken, json_dumps(pod, JSON_ENCODE_ANY));
		operations = webhook_try(&try, pod, NULL, &outcome);
		changed += operations != NULL;
	}
	assert_true(changed > 250);
}

static void many_containers_do_not_make_a_patch_too_large(void **state)
{
	const struct webhook_try try = usual();
	json_t *containers = json_array();
	_cleanup_json_ json_t *pod = json_pack("{s:{s:o}}", "spec", "containers", containers),
			      *operations = NULL, *none = NULL;
	struct control_outcome outcome;

	(void)state;
	for (unsigned i = 0; i < 512; i++)
		json_array_append_new(containers, json_object());
	assert_null(webhook_broken(&try, pod));
	operations = webhook_try(&try, pod, NULL, &outcome);
	assert_int_equal(json_array_size(operations), 3 * 512 + 1);
	json_array_append_new(containers, json_object());
	none = webhook_try(&try, pod, NULL, &outcome);
	assert_null(none);
	assert_int_equal(outcome.verdict, CONTROL_UNFIT);
}

/* ---- patches ---- */

static void a_patch_applies_as_the_rfc_says(void **state)
{
	static const struct {
		const char *document, *operations, *result;
	} rows[] = {
		{"{}", "[{'op':'add','path':'/a','value':1}]", "{'a':1}"},
		{"{'a':[]}",
		 "[{'op':'add','path':'/a/-','value':1},{'op':'add','path':'/a/0','value':2}]",
		 "{'a':[2,1]}"},
		{"{'a':{'x/y~':1}}", "[{'op':'remove','path':'/a/x~1y~0'}]", "{'a':{}}"},
		{"{'a':[1,2]}", "[{'op':'remove','path':'/a/1'}]", "{'a':[1]}"},
		{"{'a':[1]}", "[{'op':'remove','path':'/a/1'}]", NULL},
		{"{'a':[1]}", "[{'op':'remove','path':'/a/-'}]", NULL},
		{"{'a':[1]}", "[{'op':'add','path':'/a/2','value':1}]", NULL},
		{"{'a':[1]}", "[{'op':'add','path':'/a/01','value':1}]", NULL},
		{"{'a':null}", "[{'op':'add','path':'/a/-','value':1}]", NULL},
		{"{}", "[{'op':'add','path':'/a/b','value':1}]", NULL},
		{"{}", "[{'op':'remove','path':'/a'}]", NULL},
		{"{}", "[{'op':'add','path':'a','value':1}]", NULL},
		{"{}", "[{'op':'add','path':'/a'}]", NULL},
		{"{}", "[{'op':'add','path':'/~2','value':1}]", NULL},
		{"{'a':1}", "[{'op':'test','path':'/a','value':1}]", NULL},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		_cleanup_json_ json_t *document = parse(rows[i].document),
				      *operations = parse(rows[i].operations),
				      *result = rows[i].result ? parse(rows[i].result) : NULL;
		int r = patch_apply(document, operations);

		if (r != (result ? 0 : -EINVAL) || (result && !json_equal(document, result)))
			fail_msg("%s %s: %d %s", rows[i].document, rows[i].operations, r,
				 json_dumps(document, 0));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_plain_pod_gets_what_eks_injects),
		cmocka_unit_test(what_is_configured_is_injected),
		cmocka_unit_test(web_identity_has_irsas_variables_and_our_address),
		cmocka_unit_test(irsa_is_respected_or_overridden),
		cmocka_unit_test(who_wants_none_gets_none),
		cmocka_unit_test(what_is_there_already_is_not_put_twice),
		cmocka_unit_test(people_are_told),
		cmocka_unit_test(names_are_those_of_the_request),
		cmocka_unit_test(what_is_no_new_pod_is_let_through),
		cmocka_unit_test(before_the_first_list_it_says_so),
		cmocka_unit_test(what_is_no_review_is_not_answered_with_one),
		cmocka_unit_test(a_review_has_a_bound),
		cmocka_unit_test(whatever_pod_comes_the_answer_applies),
		cmocka_unit_test(many_containers_do_not_make_a_patch_too_large),
		cmocka_unit_test(a_patch_applies_as_the_rfc_says),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
