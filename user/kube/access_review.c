// SPDX-License-Identifier: Apache-2.0
#include "kube/access_review.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "http/client.h"
#include "kube/ask.h"
#include "yaml/read.h"

#define PATH	   "/apis/authorization.k8s.io/v1/subjectaccessreviews"
#define MAX_ANSWER 262144 /* it repeats the question */
#define MAX_BODY   131072
#define MAX_NODES  20000

struct kube_access_review {
	struct kube_ask ask;
	void (*done)(void *arg, const struct kube_access_result *result);
	void *arg;
	char who[200], what[300]; /* for messages */
	char why[512];
};

struct kube_access_review *kube_access_review_cancel(struct kube_access_review *review)
{
	if (!review)
		return NULL;
	kube_ask_cancel(&review->ask);
	free(review);
	return NULL;
}

static void cleanup_review(struct kube_access_review **review)
{
	kube_access_review_cancel(*review);
}

/* ---- the answer ---- */

static const char *text_of(const struct yml_node *mapping, const char *key)
{
	const struct yml_node *node =
		mapping && mapping->kind == YML_MAPPING ? yml_get(mapping, key) : NULL;

	return (node ? yml_text(node) : NULL) ?: "";
}

static bool is_true(const struct yml_node *mapping, const char *key)
{
	return !strcmp(text_of(mapping, key), "true");
}

/* reason may be anything that an authorizer says, of what somebody has written. */
static void say_refused(struct kube_access_review *review, const char *reason)
{
	snprintf(review->why, sizeof(review->why), "%.150s may not %.250s%s%.80s", review->who,
		 review->what, *reason ? ": " : "", reason);
	for (char *c = review->why; *c; c++)
		if ((unsigned char)*c < ' ' || *c == 0x7f)
			*c = ' ';
}

static int read_status(struct kube_access_review *review, const struct yml_node *root,
		       struct kube_access_result *ret, struct pc_err *err)
{
	const struct yml_node *status =
		root && root->kind == YML_MAPPING ? yml_get(root, "status") : NULL;

	if (!status || status->kind != YML_MAPPING ||
	    strcmp(text_of(root, "kind"), "SubjectAccessReview") != 0)
		return pc_err_set(err, -EPROTO,
				  "what the API server sends is no SubjectAccessReview");
	ret->allowed = is_true(status, "allowed") && !is_true(status, "denied");
	if (ret->allowed)
		return 0;
	say_refused(review, text_of(status, "reason"));
	ret->why = review->why;
	return 0;
}

static void on_done(void *arg, struct kube_ask *ask, const struct http_result *http)
{
	_cleanup_(cleanup_review) struct kube_access_review *review = arg;
	_cleanup_yml_tree_ struct yml_tree *tree = NULL;
	struct kube_access_result result = {.why = ""};
	struct pc_err err = {};
	struct yml_source src = {.name = "SubjectAccessReview", .lineless = true, .err = &err};

	result.error = kube_ask_check(ask, http, "a SubjectAccessReview",
				      "it needs the right to create subjectaccessreviews", &err);
	if (!result.error &&
	    yml_tree_parse(&src, ask->answer.data, ask->answer.len - 1, MAX_NODES, &tree) < 0)
		result.error = -EPROTO;
	if (!result.error)
		result.error = read_status(review, yml_tree_root(tree), &result, &err);
	if (result.error)
		result.why = err.msg;
	review->done(review->arg, &result);
}

/* ---- the question ---- */

static void add_list(struct text *t, const char *const *list)
{
	text_add(t, "[");
	for (size_t i = 0; list && list[i]; i++) {
		text_add(t, i ? "," : "");
		text_add_string(t, list[i]);
	}
	text_add(t, "]");
}

static void add_extra(struct text *t, const struct kube_access_question *q)
{
	text_add(t, ",\"extra\":{");
	for (size_t i = 0; i < q->n_extra; i++) {
		text_add(t, i ? "," : "");
		text_add_string(t, q->extra[i].key);
		text_add(t, ":");
		add_list(t, q->extra[i].values);
	}
	text_add(t, "}");
}

static void add_unless_empty(struct text *t, const char *key, const char *value)
{
	if (value && *value)
		text_add_member(t, key, value);
}

static void write_body(struct text *t, const struct kube_access_question *q)
{
	t->max = MAX_BODY;
	text_add(t, "{");
	text_add_member(t, "apiVersion", "authorization.k8s.io/v1");
	text_add_member(t, "kind", "SubjectAccessReview");
	text_add(t, ",\"spec\":{");
	text_add_member(t, "user", q->user);
	add_unless_empty(t, "uid", q->uid);
	text_add(t, ",\"groups\":");
	add_list(t, q->groups);
	add_extra(t, q);
	text_add(t, ",\"resourceAttributes\":{");
	add_unless_empty(t, "namespace", q->name_space);
	add_unless_empty(t, "verb", q->verb);
	add_unless_empty(t, "group", q->group);
	add_unless_empty(t, "resource", q->resource);
	add_unless_empty(t, "subresource", q->subresource);
	add_unless_empty(t, "name", q->name);
	text_add(t, "}}}");
}

static void name(struct kube_access_review *review, const struct kube_access_question *q)
{
	snprintf(review->who, sizeof(review->who), "%.150s", q->user);
	snprintf(review->what, sizeof(review->what), "%.40s %.64s%s%.64s%s%.64s%s%.20s", q->verb,
		 q->resource, q->name ? " " : "", q->name ?: "", q->name_space ? " in " : "",
		 q->name_space ?: "", q->subresource ? "/" : "", q->subresource ?: "");
}

int kube_access_review_start(struct kube_client *client,
			     const struct kube_access_question *question,
			     void (*done)(void *arg, const struct kube_access_result *result),
			     void *arg, struct kube_access_review **ret, struct pc_err *err)
{
	_cleanup_(cleanup_review) struct kube_access_review *review = NULL;
	_cleanup_(text_done) struct text body = {};
	int r;

	if (!question->user || !*question->user || !question->verb || !question->resource)
		return pc_err_set(err, -EINVAL, "nobody to ask about");
	review = calloc(1, sizeof(*review));
	if (!review)
		return pc_err_set(err, -ENOMEM, "no memory");
	review->done = done;
	review->arg = arg;
	review->ask.done = on_done;
	review->ask.arg = review;
	name(review, question);
	write_body(&body, question);
	r = kube_ask_start(&review->ask, client, PATH, NULL, &body, MAX_ANSWER, err);
	if (r == 0)
		*ret = TAKE_PTR(review);
	return r;
}
