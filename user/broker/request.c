// SPDX-License-Identifier: Apache-2.0
#include "broker/request.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "base/k8s_name.h"
#include "yaml/read.h"

#define LETTERS	    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
#define TOKEN	    LETTERS "-_."
#define MAX_NODES   64
#define STS_ACTION  "AssumeRoleWithWebIdentity"
#define STS_VERSION "2011-06-15"

/* ---- the path ---- */

static const struct {
	const char *method, *path;
	enum broker_operation operation;
} rows[] = {
	{"POST", "/", BROKER_STS},
	{"GET", "/healthz", BROKER_HEALTHZ},
	{"GET", "/readyz", BROKER_READYZ},
	{"GET", "/metrics", BROKER_METRICS},
};

static const struct {
	const char *method, *path;
	enum broker_operation operation;
} cluster_rows[] = {
	{"POST", "/assume-role-for-pod-identity", BROKER_ASSUME_FOR_TOKEN},
	{"POST", "/assume-role-for-pod", BROKER_ASSUME_FOR_POD},
	{"POST", "/assumable", BROKER_ASSUMABLE},
};

/* "/clusters/NAME/OPERATION": what is behind NAME, or NULL. Nothing in it needs an escape, so none is understood. */
static const char *take_cluster(const char *target, char cluster[BROKER_CLUSTER_SIZE])
{
	static const char prefix[] = "/clusters/";
	const char *name = target + sizeof(prefix) - 1;
	size_t len;

	if (strncmp(target, prefix, sizeof(prefix) - 1) != 0)
		return NULL;
	len = strspn(name, LETTERS "-_");
	if (!len || len >= BROKER_CLUSTER_SIZE)
		return NULL;
	snprintf(cluster, BROKER_CLUSTER_SIZE, "%.*s", (int)len, name);
	return name + len;
}

enum broker_operation broker_request_route(const char *method, const char *target,
					   char cluster[BROKER_CLUSTER_SIZE])
{
	const char *rest;

	cluster[0] = '\0';
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		if (!strcmp(method, rows[i].method) && !strcmp(target, rows[i].path))
			return rows[i].operation;
	rest = take_cluster(target, cluster);
	for (size_t i = 0; rest && i < ARRAY_SIZE(cluster_rows); i++)
		if (!strcmp(method, cluster_rows[i].method) && !strcmp(rest, cluster_rows[i].path))
			return cluster_rows[i].operation;
	return BROKER_NOTHING;
}

/* ---- the body ---- */

static bool is_token(const char *text)
{
	return *text && !text[strspn(text, TOKEN)];
}

/* As the cluster writes it; another spelling would be another pod. */
static bool is_uid(const char *text)
{
	return strlen(text) == 36 && strspn(text, "0123456789abcdef-") == 36;
}

static bool is_namespace(const char *text)
{
	return k8s_is_label(text, strlen(text));
}

static bool is_account(const char *text)
{
	return k8s_is_subdomain(text, strlen(text));
}

/* Of the instance: what a node says of itself is not looked at, and only has to be printable. */
static bool is_printable(const char *text)
{
	for (; *text; text++)
		if (*text < ' ' || *text > '~')
			return false;
	return true;
}

struct eks_body {
	struct broker_body body;
	char ignored[3][256];
};

#define MEMBER(name, type, member, valid) YML_COPY(name, type, member, valid, "a text of that kind")

static const struct yml_key eks_keys[] = {
	MEMBER("token", struct eks_body, body.token, is_token),
	MEMBER("eksNodeName", struct eks_body, ignored[0], is_printable),
	MEMBER("instanceId", struct eks_body, ignored[1], is_printable),
	MEMBER("zone", struct eks_body, ignored[2], is_printable),
};
static const struct yml_key pod_keys[] = {
	MEMBER("token", struct eks_body, body.token, is_token),
	MEMBER("podUid", struct eks_body, body.pod_uid, is_uid),
};

static const struct yml_key account_keys[] = {
	MEMBER("namespace", struct eks_body, body.name_space, is_namespace),
	MEMBER("serviceAccount", struct eks_body, body.service_account, is_account),
};

static const struct {
	const struct yml_key *keys;
	size_t n;
} keys_of[] = {
	[BROKER_ASSUME_FOR_TOKEN] = {eks_keys, ARRAY_SIZE(eks_keys)},
	[BROKER_ASSUME_FOR_POD] = {pod_keys, ARRAY_SIZE(pod_keys)},
	[BROKER_ASSUMABLE] = {account_keys, ARRAY_SIZE(account_keys)},
};

/* Whether what the operation cannot do without is there. */
static bool is_whole(enum broker_operation operation, const struct broker_body *body)
{
	switch (operation) {
	case BROKER_ASSUME_FOR_POD:
		return *body->pod_uid;
	case BROKER_ASSUMABLE:
		return *body->name_space && *body->service_account;
	default:
		return *body->token;
	}
}

/* YAML is more than JSON, and takes the body of no client of ours. */
static bool is_object(const char *text, size_t len)
{
	size_t i = 0;

	while (i < len && strchr(" \t\r\n", text[i]))
		i++;
	return i < len && text[i] == '{' && memchr(text, '\0', len) == NULL;
}

static int read_body(enum broker_operation operation, const struct yml_source *src,
		     const struct yml_node *root, struct eks_body *ret)
{
	int r;

	if (!root || root->kind != YML_MAPPING)
		return -EINVAL;
	r = yml_mapping(src, root, keys_of[operation].keys, keys_of[operation].n, ret);
	if (r < 0)
		return r;
	return is_whole(operation, &ret->body) ? 0 : -EINVAL;
}

int broker_request_body(enum broker_operation operation, const char *text, size_t len,
			struct broker_body *ret)
{
	_cleanup_yml_tree_ struct yml_tree *tree = NULL;
	struct eks_body body = {};
	struct pc_err err = {};
	const struct yml_source src = {
		.name = "the body", .secret = true, .lineless = true, .err = &err};
	int r;

	if (!text || !is_object(text, len))
		return -EINVAL;
	r = yml_tree_parse(&src, text, len, MAX_NODES, &tree);
	if (r == 0)
		r = read_body(operation, &src, yml_tree_root(tree), &body);
	if (r == 0)
		*ret = body.body;
	explicit_bzero(&body, sizeof(body));
	return r;
}

int broker_request_bearer(const char *authorization, char ret[BROKER_TOKEN_SIZE])
{
	static const char scheme[] = "Bearer ";
	const char *token = authorization + sizeof(scheme) - 1;

	if (strncasecmp(authorization, scheme, sizeof(scheme) - 1) != 0 ||
	    strlen(token) >= BROKER_TOKEN_SIZE || !is_token(token))
		return -EINVAL;
	strcpy(ret, token);
	return 0;
}

/* ---- the form of STS ---- */

static bool begins(const char *pair, size_t len, const char *name)
{
	size_t n = strlen(name);

	return len > n && !strncmp(pair, name, n) && pair[n] == '=';
}

static bool is(const char *value, size_t len, const char *want)
{
	return len == strlen(want) && !strncmp(value, want, len);
}

/* What is needed of a form has no escapes in it: whoever writes some is another client than those that are known. */
static int take(const char *pair, size_t len, char *token, bool *ret_action)
{
	const char *value = memchr(pair, '=', len);
	size_t value_len = value ? len - (size_t)(value + 1 - pair) : 0;

	if (begins(pair, len, "Action")) {
		*ret_action = is(value + 1, value_len, STS_ACTION);
		return *ret_action ? 0 : -EINVAL;
	}
	if (begins(pair, len, "Version"))
		return is(value + 1, value_len, STS_VERSION) ? 0 : -EINVAL;
	if (!begins(pair, len, "WebIdentityToken"))
		return 0;
	if (*token || !value_len || value_len >= BROKER_TOKEN_SIZE)
		return -EINVAL;
	memcpy(token, value + 1, value_len);
	token[value_len] = '\0';
	return token[strspn(token, TOKEN)] ? -EINVAL : 0;
}

int broker_request_sts(const char *form, size_t len, char ret_token[BROKER_TOKEN_SIZE])
{
	char token[BROKER_TOKEN_SIZE] = "";
	bool action = false;
	int r = 0;

	while (r == 0 && len) {
		const char *end = memchr(form, '&', len);
		size_t pair = end ? (size_t)(end - form) : len;

		r = take(form, pair, token, &action);
		form += pair + (end != NULL);
		len -= pair + (end != NULL);
	}
	if (r == 0 && (!action || !*token))
		r = -EINVAL;
	if (r == 0)
		strcpy(ret_token, token);
	explicit_bzero(token, sizeof(token));
	return r;
}
