// SPDX-License-Identifier: Apache-2.0
#include "kube/token_review.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "base/k8s_name.h"
#include "http/client.h"
#include "kube/ask.h"
#include "yaml/read.h"

#define PATH	   "/apis/authentication.k8s.io/v1/tokenreviews"
#define MAX_ANSWER 65536
#define MAX_NODES  5000
#define EXTRA	   "authentication.kubernetes.io/"
#define USER	   "system:serviceaccount:"

struct kube_token_review {
	struct kube_ask ask;
	const char *audiences[KUBE_AUDIENCES_MAX + 1]; /* up to NULL */
	void (*done)(void *arg, const struct kube_token_review_result *result);
	void *arg;
	char name_space[K8S_LABEL_SIZE];
	char why[256];
};

struct kube_token_review *kube_token_review_cancel(struct kube_token_review *review)
{
	if (!review)
		return NULL;
	kube_ask_cancel(&review->ask);
	free(review);
	return NULL;
}

static void cleanup_review(struct kube_token_review **review)
{
	kube_token_review_cancel(*review);
}

/* ---- the answer ---- */

static const struct yml_node *member(const struct yml_node *mapping, const char *key)
{
	return mapping && mapping->kind == YML_MAPPING ? yml_get(mapping, key) : NULL;
}

static const char *text_of(const struct yml_node *mapping, const char *key)
{
	const struct yml_node *node = member(mapping, key);

	return (node ? yml_text(node) : NULL) ?: "";
}

/* A list of one; two would be two answers. */
static const char *extra_of(const struct yml_node *user, const char *key)
{
	const struct yml_node *list = member(member(user, "extra"), key);

	if (!list || list->kind != YML_LIST || list->len != 1)
		return "";
	return yml_text(list->first) ?: "";
}

static bool has(const struct yml_node *list, const char *text)
{
	if (!list || list->kind != YML_LIST)
		return false;
	for (const struct yml_node *node = list->first; node; node = node->next)
		if (yml_text(node) && !strcmp(yml_text(node), text))
			return true;
	return false;
}

static bool is_for_us(const struct kube_token_review *review, const struct yml_node *audiences)
{
	for (const char *const *audience = review->audiences; *audience; audience++)
		if (has(audiences, *audience))
			return true;
	return false;
}

/* "system:serviceaccount:NAMESPACE:NAME". Anybody else may have a token, too. */
static void read_user(struct kube_token_review *review, const struct yml_node *user,
		      struct kube_token_review_result *ret)
{
	const char *name = text_of(user, "username"), *colon;

	ret->pod_name = extra_of(user, EXTRA "pod-name");
	ret->pod_uid = extra_of(user, EXTRA "pod-uid");
	ret->node_name = extra_of(user, EXTRA "node-name");
	ret->node_uid = extra_of(user, EXTRA "node-uid");
	if (strncmp(name, USER, sizeof(USER) - 1) != 0)
		return;
	name += sizeof(USER) - 1;
	colon = strchr(name, ':');
	if (!colon || !k8s_is_label(name, (size_t)(colon - name)) ||
	    !k8s_is_subdomain(colon + 1, strlen(colon + 1)))
		return;
	snprintf(review->name_space, sizeof(review->name_space), "%.*s", (int)(colon - name), name);
	ret->name_space = review->name_space;
	ret->service_account = colon + 1;
}

/* The API server's own words, as one short line. */
static void read_error(struct kube_token_review *review, const struct yml_node *status)
{
	const char *error = text_of(status, "error");

	snprintf(review->why, sizeof(review->why), "%s",
		 *error ? error : "the API server does not know the token");
	for (char *c = review->why; *c; c++)
		if ((unsigned char)*c < ' ' || (unsigned char)*c >= 0x7f)
			*c = ' ';
}

static int read_status(struct kube_token_review *review, const struct yml_node *root,
		       struct kube_token_review_result *ret, struct pc_err *err)
{
	const struct yml_node *status = member(root, "status");

	if (strcmp(text_of(root, "kind"), "TokenReview") != 0 || !status ||
	    status->kind != YML_MAPPING)
		return pc_err_set(err, -EPROTO, "what the API server sends is no TokenReview");
	ret->why = review->why;
	if (strcmp(text_of(status, "authenticated"), "true") != 0) {
		read_error(review, status);
		return 0;
	}
	/* an authenticator that knows no audiences takes any token, and says so by leaving them out */
	if (!is_for_us(review, member(status, "audiences"))) {
		snprintf(review->why, sizeof(review->why),
			 "the API server does not say that the token is for the audience %.128s",
			 review->audiences[0]);
		return 0;
	}
	ret->authenticated = true;
	read_user(review, member(status, "user"), ret);
	return 0;
}

static void on_done(void *arg, struct kube_ask *ask, const struct http_result *http)
{
	_cleanup_(cleanup_review) struct kube_token_review *review = arg;
	_cleanup_yml_tree_ struct yml_tree *tree = NULL;
	struct pc_err err = {};
	struct yml_source src = {
		.name = "TokenReview", .secret = true, .lineless = true, .err = &err};
	struct kube_token_review_result result = {.name_space = "",
						  .service_account = "",
						  .pod_name = "",
						  .pod_uid = "",
						  .node_name = "",
						  .node_uid = ""};

	result.error = kube_ask_check(ask, http, "a TokenReview",
				      "it needs the right to create tokenreviews", &err);
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

/* Base64url and dots: nothing in it needs to be escaped. */
static bool is_token(const char *token)
{
	static const char characters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
					 "0123456789-_.";
	size_t len = strspn(token, characters);

	return len && len <= KUBE_TOKEN_MAX && !token[len];
}

static void write_body(struct text *t, const char *token, const char *const *audiences)
{
	text_add(t, "{");
	text_add_member(t, "apiVersion", "authentication.k8s.io/v1");
	text_add_member(t, "kind", "TokenReview");
	text_add(t, ",\"spec\":{");
	text_add_member(t, "token", token);
	text_add(t, ",\"audiences\":[");
	for (const char *const *audience = audiences; *audience; audience++) {
		text_add(t, audience == audiences ? "" : ",");
		text_add_string(t, *audience);
	}
	text_add(t, "]}}");
}

int kube_token_review_start(struct kube_client *client, const char *token,
			    const char *const *audiences,
			    void (*done)(void *arg, const struct kube_token_review_result *result),
			    void *arg, struct kube_token_review **ret, struct pc_err *err)
{
	_cleanup_(cleanup_review) struct kube_token_review *review = NULL;
	_cleanup_(text_done) struct text body = {};
	int r;

	if (!is_token(token))
		return pc_err_set(err, -EINVAL, "not a token");
	review = calloc(1, sizeof(*review));
	if (!review)
		return pc_err_set(err, -ENOMEM, "no memory");
	for (size_t i = 0; i < KUBE_AUDIENCES_MAX && audiences[i]; i++)
		review->audiences[i] = audiences[i];
	review->done = done;
	review->arg = arg;
	review->ask.done = on_done;
	review->ask.arg = review;
	write_body(&body, token, review->audiences);
	r = kube_ask_start(&review->ask, client, PATH, NULL, &body, MAX_ANSWER, err);
	if (r == 0)
		*ret = TAKE_PTR(review);
	return r;
}
