// SPDX-License-Identifier: Apache-2.0
/* A trust policy for EKS Pod Identity, for another principal. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "credentials/trust_internal.h"

#define NAMESPACE_TAG "aws:RequestTag/kubernetes-namespace"
#define ACCOUNT_TAG   "aws:RequestTag/kubernetes-service-account"
#define TAG_PREFIX    "aws:RequestTag/"
#define SUBJECTS_MAX  256

struct conversion {
	const struct cred_trust *trust;
	struct cred_provider provider;
	json_t *statements;
	size_t converted;
	char *removed; /* CRED_TRUST_REMOVED_SIZE */
	struct pc_err *err;
};

static bool is_key(const char *a, const char *b)
{
	return !strcasecmp(a, b);
}

static void note_removed(struct conversion *c, const char *key)
{
	size_t len = strlen(c->removed);

	if (!strstr(c->removed, key))
		snprintf(c->removed + len, CRED_TRUST_REMOVED_SIZE - len, "%s%s", len ? ", " : "",
			 key);
}

/* ---- conditions ---- */

/* What no caller but EKS itself sends. */
static bool is_of_eks(const struct conversion *c, const char *key)
{
	if (is_key(key, "aws:SourceAccount") || is_key(key, "aws:SourceArn"))
		return true;
	return c->trust->source == CRED_SOURCE_WEB_IDENTITY &&
	       (is_key(key, TAG_PREFIX "eks-cluster-arn") ||
		is_key(key, TAG_PREFIX "eks-cluster-name"));
}

static void remove_conditions(struct conversion *c, json_t *statement)
{
	json_t *condition = json_object_get(statement, "Condition"), *keys, *value;
	const char *operator, * key;
	void *next, *next_key;

	json_object_foreach_safe(condition, next, operator, keys)
	{
		json_object_foreach_safe(keys, next_key, key, value)
		{
			if (!is_of_eks(c, key))
				continue;
			note_removed(c, key);
			json_object_del(keys, key);
		}
		if (!json_object_size(keys))
			json_object_del(condition, operator);
	}
	if (condition && !json_object_size(condition))
		json_object_del(statement, "Condition");
}

/* ---- tags of a session, as the subject of a token ---- */

/* What one of the two tags may be. */
struct values {
	json_t *list; /* borrowed, or a text; NULL: anything */
	bool pattern;
};

/* *ret is what a condition says of that key, in whichever operator; it is taken out. */
static int take_values(struct conversion *c, json_t *condition, const char *wanted,
		       struct values *ret)
{
	const char *operator, * key;
	json_t *keys, *value;
	void *next, *next_key;

	json_object_foreach_safe(condition, next, operator, keys)
		json_object_foreach_safe(keys, next_key, key, value)
	{
		if (!is_key(key, wanted))
			continue;
		if ((strcmp(operator, "StringEquals") != 0 &&
		     strcmp(operator, "StringLike") != 0) ||
		    ret->list)
			return pc_err_set(c->err, -EINVAL,
					  "a condition %.40s on %.64s cannot be one on a "
					  "token; convert it by hand",
					  operator, key);
		ret->list = json_incref(value);
		ret->pattern = !strcmp(operator, "StringLike");
		json_object_del(keys, key);
	}
	return 0;
}

static const char *value_at(const struct values *values, size_t i)
{
	if (!values->list)
		return i ? NULL : "*";
	if (json_is_string(values->list))
		return i ? NULL : json_string_value(values->list);
	return json_string_value(json_array_get(values->list, i));
}

/* One that may be either in both is one of the products. */
static int make_subjects(struct conversion *c, const struct values *spaces,
			 const struct values *accounts, json_t *ret)
{
	for (size_t i = 0; value_at(spaces, i); i++)
		for (size_t j = 0; value_at(accounts, j); j++)
			json_array_append_new(ret, json_sprintf("system:serviceaccount:%s:%s",
								value_at(spaces, i),
								value_at(accounts, j)));
	if (!json_array_size(ret) || json_array_size(ret) > SUBJECTS_MAX)
		return pc_err_set(
			c->err, -EINVAL,
			"the conditions come to %zu service accounts; convert them by hand",
			json_array_size(ret));
	return 0;
}

static void set_condition(json_t *condition, const char *operator, const char * name,
			  const char *what, json_t *value)
{
	char key[CRED_PROVIDER_SIZE + 8];

	snprintf(key, sizeof(key), "%s:%s", name, what);
	if (!json_object_get(condition, operator))
		json_object_set_new(condition, operator, json_object());
	json_object_set_new(json_object_get(condition, operator), key, value);
}

/* Kubernetes' tokens have no other tags. */
static int refuse_tags(struct conversion *c, const json_t *condition)
{
	const char *operator, * key;
	json_t *keys, *value;

	json_object_foreach ((json_t *)condition, operator, keys)
		json_object_foreach (keys, key, value)
			if (!strncasecmp(key, TAG_PREFIX, strlen(TAG_PREFIX)))
				return pc_err_set(c->err, -EINVAL,
						  "a condition on %.64s cannot be kept, as a web "
						  "identity has no such tag; remove it, or use the "
						  "source sts",
						  key);
	return 0;
}

static int set_subjects(struct conversion *c, json_t *condition, struct values *spaces,
			struct values *accounts)
{
	json_t *subjects = json_array();
	bool like;
	int r = take_values(c, condition, NAMESPACE_TAG, spaces)
			?: take_values(c, condition, ACCOUNT_TAG, accounts);

	if (r == 0)
		r = refuse_tags(c, condition);
	if (r == 0)
		r = make_subjects(c, spaces, accounts, subjects);
	like = !spaces->list || !accounts->list || spaces->pattern || accounts->pattern;
	if (r == 0)
		set_condition(condition, like ? "StringLike" : "StringEquals", c->provider.name,
			      "sub", json_incref(subjects));
	json_decref(subjects);
	return r;
}

static int convert_tags(struct conversion *c, json_t *statement)
{
	struct values spaces = {}, accounts = {};
	json_t *condition;
	int r;

	if (!json_object_get(statement, "Condition"))
		json_object_set_new(statement, "Condition", json_object());
	condition = json_object_get(statement, "Condition");
	r = set_subjects(c, condition, &spaces, &accounts);
	json_decref(spaces.list);
	json_decref(accounts.list);
	if (r == 0)
		set_condition(condition, "StringEquals", c->provider.name, "aud",
			      json_string(c->trust->audience));
	remove_conditions(c, statement); /* and operators that have nothing left */
	return r;
}

/* ---- statements ---- */

static bool names_eks(const json_t *service)
{
	size_t i;
	json_t *item;

	if (json_is_string(service))
		return !strcmp(json_string_value(service), CRED_EKS_PRINCIPAL);
	json_array_foreach (service, i, item)
		if (json_is_string(item) && !strcmp(json_string_value(item), CRED_EKS_PRINCIPAL))
			return true;
	return false;
}

/* Whether anybody else is left in the statement, from which EKS is taken. */
static bool take_eks(json_t *statement)
{
	json_t *principal = json_object_get(statement, "Principal");
	json_t *services = json_object_get(principal, "Service");

	for (size_t i = json_array_size(services); i-- > 0;)
		if (names_eks(json_array_get(services, i)))
			json_array_remove(services, i);
	if (!json_array_size(services))
		json_object_del(principal, "Service");
	return json_object_size(principal) > 0;
}

/* The tags are in the issuer's tokens, so conditions on them stay. */
static int rewrite_for_issuer(const struct conversion *c, json_t *statement)
{
	if (!json_object_get(statement, "Condition"))
		json_object_set_new(statement, "Condition", json_object());
	set_condition(json_object_get(statement, "Condition"), "StringEquals", c->provider.name,
		      "aud", json_string(c->trust->audience));
	json_object_set_new(statement, "Action",
			    json_pack("[ss]", "sts:AssumeRoleWithWebIdentity", "sts:TagSession"));
	return 0;
}

static int rewrite(struct conversion *c, json_t *statement)
{
	bool issuer = c->trust->source == CRED_SOURCE_ISSUER;
	bool web = issuer || c->trust->source == CRED_SOURCE_WEB_IDENTITY;
	const char *effect = json_string_value(json_object_get(statement, "Effect"));

	if (web && (!effect || strcmp(effect, "Allow") != 0))
		return pc_err_set(
			c->err, -EINVAL,
			"a statement that denies cannot be one for a token; convert it by "
			"hand");
	json_object_set_new(statement, "Principal",
			    json_pack("{ss}", web ? "Federated" : "AWS",
				      web ? c->provider.arn : c->trust->principal));
	remove_conditions(c, statement);
	c->converted++;
	if (!web)
		return 0;
	if (issuer)
		return rewrite_for_issuer(c, statement);
	json_object_set_new(statement, "Action", json_string("sts:AssumeRoleWithWebIdentity"));
	return convert_tags(c, statement);
}

static int convert_statement(struct conversion *c, const json_t *old)
{
	json_t *statement = json_deep_copy(old), *rest;
	int r;

	if (!names_eks(json_object_get(json_object_get(old, "Principal"), "Service"))) {
		json_array_append_new(c->statements, statement);
		return 0;
	}
	rest = json_deep_copy(old);
	if (take_eks(rest))
		json_array_append(c->statements, rest);
	json_decref(rest);
	r = rewrite(c, statement);
	json_array_append_new(c->statements, statement);
	return r;
}

static int convert_all(struct conversion *c, const json_t *statements)
{
	size_t i;
	json_t *item;
	int r = 0;

	if (json_is_object(statements))
		return convert_statement(c, statements);
	json_array_foreach ((json_t *)statements, i, item) {
		r = convert_statement(c, item);
		if (r < 0)
			break;
	}
	return r;
}

static int check(const struct cred_trust *trust, struct cred_provider *provider, struct pc_err *err)
{
	if (trust->source == CRED_SOURCE_EKS_AUTH)
		return pc_err_set(
			err, -EINVAL,
			"with the source eksAuth such policies stay as they are; name another "
			"source to convert it for");
	if (trust->source == CRED_SOURCE_WEB_IDENTITY || trust->source == CRED_SOURCE_ISSUER)
		return cred_provider_of(trust, NULL, provider, err);
	return trust->principal
		       ? 0
		       : pc_err_set(err, -EINVAL,
				    "it is not known who assumes the role; give --principal "
				    "ARN, the role whose credentials podcred uses");
}

int cred_trust_convert(const struct cred_trust *trust, const json_t *policy, json_t **ret,
		       char removed[CRED_TRUST_REMOVED_SIZE], struct pc_err *err)
{
	struct conversion c = {.trust = trust, .removed = removed, .err = err};
	const json_t *old = json_object_get(policy, "Statement");
	json_t *converted;
	int r = check(trust, &c.provider, err);

	removed[0] = '\0';
	if (r < 0)
		return r;
	if (!json_is_array(old) && !json_is_object(old))
		return pc_err_set(err, -EINVAL,
				  "there is no Statement in it; is it a trust policy?");
	c.statements = json_array();
	r = convert_all(&c, old);
	if (r == 0 && !c.converted)
		r = pc_err_set(err, -EINVAL,
			       "no statement is for " CRED_EKS_PRINCIPAL
			       "; there is nothing to convert");
	if (r == 0) {
		converted = json_deep_copy(policy);
		json_object_set(converted, "Statement", c.statements);
		*ret = converted;
	}
	json_decref(c.statements);
	return r;
}
