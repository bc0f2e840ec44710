// SPDX-License-Identifier: Apache-2.0
/* The trust policy of a role, made of associations; trust_convert.c converts one. */
#include "credentials/trust.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "aws/arn.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "credentials/trust_internal.h"

#define SESSION_FIT 53 /* characters of a session name that are never replaced by a hash */

/* ---- pieces of policies ---- */

static void cleanup_json(json_t **json)
{
	json_decref(*json);
}

#define _cleanup_json_ _cleanup_(cleanup_json)

/* One value is a text, more are a list. Takes value. */
static void add_value(json_t *object, const char *key, json_t *value)
{
	json_t *before = json_object_get(object, key);
	size_t i;
	json_t *item;

	if (!before || json_equal(before, value)) {
		json_object_set_new(object, key, value);
		return;
	}
	if (!json_is_array(before)) {
		json_object_set_new(object, key, json_pack("[O]", before));
		before = json_object_get(object, key);
	}
	json_array_foreach (before, i, item)
		if (json_equal(item, value)) {
			json_decref(value);
			return;
		}
	json_array_append_new(before, value);
}

/* Into statement's Condition. value NULL: nothing is known, and nothing is asked for. */
static void add_condition(json_t *statement, const char *operator, const char * key,
			  const char *value)
{
	json_t *condition, *keys;

	if (!value)
		return;
	if (!json_object_get(statement, "Condition"))
		json_object_set_new(statement, "Condition", json_object());
	condition = json_object_get(statement, "Condition");
	if (!json_object_get(condition, operator))
		json_object_set_new(condition, operator, json_object());
	keys = json_object_get(condition, operator);
	add_value(keys, key, json_string(value));
}

static json_t *new_statement(const char *kind, const char *principal, bool tagged)
{
	json_t *actions = tagged ? json_pack("[ss]", "sts:AssumeRole", "sts:TagSession")
				 : json_string("sts:AssumeRole");

	return json_pack("{sss{ss}so}", "Effect", "Allow", "Principal", kind, principal, "Action",
			 actions);
}

/* ---- who ---- */

static bool is_tagged(const struct cred_trustee *who)
{
	return !who->association || !who->association->disable_session_tags;
}

static bool has_tags(const struct cred_trustee *who)
{
	return is_tagged(who) || who->association->n_tags;
}

static enum cred_source source_of(const struct cred_trust *trust, const struct cred_trustee *who)
{
	return who->association ? cred_source_of(who->association, trust->source) : trust->source;
}

static bool is_target(const struct cred_trustee *who, const char *role_arn)
{
	return who->association && who->association->target_role_arn &&
	       !strcmp(who->association->target_role_arn, role_arn);
}

/* All but the service account, which add_account() adds. of: RequestTag of the call that tags, PrincipalTag of
 * one that is made with a tagged session. */
static void add_tags(json_t *statement, const struct cred_trust *trust, const char *of,
		     const char *namespace)
{
	const struct cred_cluster *cluster = &trust->cluster;
	char key[64];

	snprintf(key, sizeof(key), "aws:%s/%s", of,
		 cluster->arn ? "eks-cluster-arn" : "eks-cluster-name");
	add_condition(statement, "StringEquals", key, cluster->arn ?: cluster->name);
	snprintf(key, sizeof(key), "aws:%s/kubernetes-namespace", of);
	add_condition(statement, "StringEquals", key, namespace);
}

/* Without tags the session's name is what is left to tell them apart. */
static void add_session_name(json_t *statement, const struct cred_trustee *who)
{
	bool pod = who->association->session_form == CRED_SESSION_POD;
	char name[K8S_LABEL_SIZE + K8S_SUBDOMAIN_SIZE + 8];
	int len = snprintf(name, sizeof(name), "%s.%s", who->namespace, who->service_account);

	if (who->association->session_form == CRED_SESSION_EKS || len > SESSION_FIT)
		return;
	if (pod)
		strcat(name, ".*");
	add_condition(statement, pod ? "StringLike" : "StringEquals", "sts:RoleSessionName", name);
}

static void add_account(json_t *statement, const char *of, const char *service_account)
{
	char key[64];

	snprintf(key, sizeof(key), "aws:%s/kubernetes-service-account", of);
	add_condition(statement, "StringEquals", key, service_account);
}

/* ---- statements, by source ---- */

static const char *external_id(const struct cred_trust *trust, const struct cred_trustee *who,
			       struct cred_session *session)
{
	const struct cred_pod pod = {who->namespace, "pod", "uid", who->service_account};

	if (!who->association || cred_session_plan(who->association, trust->source, &pod,
						   &trust->cluster, session, NULL) < 0)
		return NULL;
	return session->n_hops ? session->hops[session->n_hops - 1].external_id : NULL;
}

/* The second call of a chain: its principal is the role of the first. */
static json_t *target_statement(const struct cred_trust *trust, const struct cred_trustee *who)
{
	bool web = cred_source_of(who->association, trust->source) == CRED_SOURCE_WEB_IDENTITY;
	json_t *statement = new_statement("AWS", who->association->role_arn, has_tags(who));
	struct cred_session session;

	add_condition(statement, "StringEquals", "sts:ExternalId",
		      external_id(trust, who, &session));
	if (is_tagged(who))
		add_tags(statement, trust, web ? "RequestTag" : "PrincipalTag", who->namespace);
	return statement;
}

static json_t *sts_statement(const struct cred_trust *trust, const struct cred_trustee *who)
{
	bool alone = !who->association || !who->association->target_role_arn;
	json_t *statement = new_statement("AWS", trust->principal, has_tags(who));
	struct cred_session session;

	if (alone)
		add_condition(statement, "StringEquals", "sts:ExternalId",
			      external_id(trust, who, &session));
	if (is_tagged(who))
		add_tags(statement, trust, "RequestTag", who->namespace);
	else
		add_session_name(statement, who);
	return statement;
}

/* who NULL: whoever EKS says. */
static json_t *eks_statement(const struct cred_trust *trust, const struct cred_trustee *who)
{
	json_t *statement = new_statement("Service", CRED_EKS_PRINCIPAL, true);
	char account[16];

	if (trust->cluster.arn &&
	    sscanf(trust->cluster.arn, "arn:%*[^:]:eks:%*[^:]:%15[0-9]", account) == 1)
		add_condition(statement, "StringEquals", "aws:SourceAccount", account);
	add_tags(statement, trust, "RequestTag", who ? who->namespace : NULL);
	return statement;
}

/* Of the call that shows a token. A token of the issuer's brings tags. */
static json_t *web_actions(bool tagged)
{
	return tagged ? json_pack("[ss]", "sts:AssumeRoleWithWebIdentity", "sts:TagSession")
		      : json_string("sts:AssumeRoleWithWebIdentity");
}

static json_t *web_statement(const struct cred_trust *trust, const struct cred_trustee *who,
			     const struct cred_provider *provider)
{
	const char *audience = who->association ? who->association->audience : NULL;
	bool tagged = source_of(trust, who) == CRED_SOURCE_ISSUER && has_tags(who);
	json_t *statement = json_pack("{sss{ss}so}", "Effect", "Allow", "Principal", "Federated",
				      provider->arn, "Action", web_actions(tagged));
	char key[CRED_PROVIDER_SIZE + 8];

	snprintf(key, sizeof(key), "%s:aud", provider->name);
	add_condition(statement, "StringEquals", key, audience ?: trust->audience);
	return statement;
}

static void add_subject(json_t *statement, const struct cred_trustee *who,
			const struct cred_provider *provider)
{
	char key[CRED_PROVIDER_SIZE + 8], subject[K8S_LABEL_SIZE + K8S_SUBDOMAIN_SIZE + 32];

	snprintf(key, sizeof(key), "%s:sub", provider->name);
	snprintf(subject, sizeof(subject), "system:serviceaccount:%s:%s", who->namespace,
		 who->service_account);
	add_condition(statement, "StringEquals", key, subject);
}

/* ---- the policy ---- */

/* What is made so far: statements, and the same without those they are for, by which they are merged. */
struct draft {
	const struct cred_trust *trust;
	const char *role_arn;
	struct cred_provider provider;
	json_t *statements, *bare;
};

/* One that is the same but for whom it is for. Takes bare. */
static json_t *merged(struct draft *draft, json_t *bare)
{
	json_t *statement;

	for (size_t i = 0; i < json_array_size(draft->bare); i++) {
		if (!json_equal(json_array_get(draft->bare, i), bare))
			continue;
		json_decref(bare);
		return json_array_get(draft->statements, i);
	}
	statement = json_deep_copy(bare);
	json_array_append_new(draft->bare, bare);
	json_array_append_new(draft->statements, statement);
	return statement;
}

static void add_target(struct draft *draft, const struct cred_trustee *who)
{
	bool web =
		cred_source_of(who->association, draft->trust->source) == CRED_SOURCE_WEB_IDENTITY;
	json_t *statement = merged(draft, target_statement(draft->trust, who));

	if (is_tagged(who))
		add_account(statement, web ? "RequestTag" : "PrincipalTag", who->service_account);
}

static int add_sts(struct draft *draft, const struct cred_trustee *who, struct pc_err *err)
{
	json_t *statement;

	if (!draft->trust->principal)
		return pc_err_set(err, -EINVAL,
				  "it is not known who assumes the role; give --principal ARN, the "
				  "role whose credentials podcred uses");
	statement = merged(draft, sts_statement(draft->trust, who));
	if (is_tagged(who))
		add_account(statement, "RequestTag", who->service_account);
	return 0;
}

static int add_web(struct draft *draft, const struct cred_trustee *who, struct pc_err *err)
{
	int r = cred_provider_of(draft->trust, draft->role_arn, &draft->provider, err);

	if (r < 0)
		return r;
	add_subject(merged(draft, web_statement(draft->trust, who, &draft->provider)), who,
		    &draft->provider);
	return 0;
}

static int add_trustee(struct draft *draft, const struct cred_trustee *who, struct pc_err *err)
{
	enum cred_source source = source_of(draft->trust, who);

	if (is_target(who, draft->role_arn)) {
		add_target(draft, who);
		return 0;
	}
	if (source == CRED_SOURCE_WEB_IDENTITY || source == CRED_SOURCE_ISSUER)
		return add_web(draft, who, err);
	if (source == CRED_SOURCE_STS)
		return add_sts(draft, who, err);
	add_account(merged(draft, eks_statement(draft->trust, who)), "RequestTag",
		    who->service_account);
	return 0;
}

static int fill(struct draft *draft, const struct cred_trustee *trustees, size_t n,
		struct pc_err *err)
{
	int r = 0;

	if (!n && draft->trust->source == CRED_SOURCE_EKS_AUTH)
		merged(draft, eks_statement(draft->trust, NULL));
	else if (!n)
		return pc_err_set(err, -EINVAL,
				  "no association has the role %s; give --service-account "
				  "NAMESPACE/NAME",
				  draft->role_arn);
	for (size_t i = 0; i < n && r == 0; i++)
		r = add_trustee(draft, &trustees[i], err);
	return r;
}

static void forget_external_id(json_t *statement)
{
	json_t *condition = json_object_get(statement, "Condition");
	json_t *keys = json_object_get(condition, "StringEquals");

	json_object_del(keys, "sts:ExternalId");
	if (!json_object_size(keys))
		json_object_del(condition, "StringEquals");
	if (!json_object_size(condition))
		json_object_del(statement, "Condition");
}

/* AWS lists sts:ExternalId among the keys of sts:AssumeRole, and not of sts:TagSession, which a condition on it would
 * never allow. */
static void split_tagging(json_t *statements)
{
	for (size_t i = 0; i < json_array_size(statements); i++) {
		json_t *statement = json_array_get(statements, i), *tagging;
		const json_t *keys =
			json_object_get(json_object_get(statement, "Condition"), "StringEquals");

		if (!json_is_array(json_object_get(statement, "Action")) ||
		    !json_object_get(keys, "sts:ExternalId"))
			continue;
		tagging = json_deep_copy(statement);
		json_object_set_new(statement, "Action", json_string("sts:AssumeRole"));
		json_object_set_new(tagging, "Action", json_string("sts:TagSession"));
		forget_external_id(tagging);
		json_array_insert_new(statements, ++i, tagging);
	}
}

int cred_trust_policy(const struct cred_trust *trust, const char *role_arn,
		      const struct cred_trustee *trustees, size_t n, json_t **ret,
		      struct pc_err *err)
{
	_cleanup_json_ json_t *statements = json_array(), *bare = json_array();
	struct draft draft = {
		.trust = trust, .role_arn = role_arn, .statements = statements, .bare = bare};
	int r;

	if (!cred_is_role_arn(role_arn))
		return pc_err_set(err, -EINVAL,
				  "\"%.80s\" is no ARN of a role; write "
				  "arn:aws:iam::111122223333:role/NAME",
				  role_arn);
	r = fill(&draft, trustees, n, err);
	if (r < 0)
		return r;
	split_tagging(statements);
	*ret = json_pack("{sssO}", "Version", "2012-10-17", "Statement", statements);
	return *ret ? 0 : pc_err_set(err, -ENOMEM, "no memory");
}

/* ---- the OIDC provider ---- */

int cred_provider_of(const struct cred_trust *trust, const char *role_arn,
		     struct cred_provider *ret, struct pc_err *err)
{
	static const char kind[] = ":oidc-provider/", https[] = "https://";
	const char *name = trust->principal ? strstr(trust->principal, kind) : NULL;
	struct aws_role role;

	if (trust->principal && !name)
		return pc_err_set(err, -EINVAL,
				  "\"%.80s\" is no OIDC provider; write "
				  "arn:aws:iam::111122223333:oidc-provider/ISSUER",
				  trust->principal);
	if (name) {
		snprintf(ret->arn, sizeof(ret->arn), "%s", trust->principal);
		snprintf(ret->name, sizeof(ret->name), "%s", name + sizeof(kind) - 1);
		return 0;
	}
	if (!trust->issuer || strncmp(trust->issuer, https, sizeof(https) - 1) != 0 || !role_arn ||
	    aws_role_parse(role_arn, &role) < 0)
		return pc_err_set(
			err, -EINVAL,
			"it is not known who issues the tokens; give --issuer https://... or "
			"--principal ARN, the OIDC provider");
	snprintf(ret->name, sizeof(ret->name), "%s", trust->issuer + sizeof(https) - 1);
	if (ret->name[strlen(ret->name) - 1] == '/')
		ret->name[strlen(ret->name) - 1] = '\0';
	snprintf(ret->arn, sizeof(ret->arn), "arn:%.*s:iam::%.*s:oidc-provider/%s",
		 (int)role.partition.len, role.partition.text, (int)role.account.len,
		 role.account.text, ret->name);
	return 0;
}
