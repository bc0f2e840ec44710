// SPDX-License-Identifier: Apache-2.0
/* MODULES: credentials aws yaml crypto base */
/* LIBS: -ljansson -lyaml -lpcre2-8 -lcrypto */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "credentials/trust.h"

#define ROLE	"arn:aws:iam::111122223333:role/app"
#define TARGET	"arn:aws:iam::444455556666:role/there"
#define NODE	"arn:aws:iam::111122223333:role/node"
#define CLUSTER "arn:aws:eks:eu-west-1:111122223333:cluster/demo"
#define ISSUER	"oidc.example.com/id/X"

static const struct cred_trust sts = {.source = CRED_SOURCE_STS,
				      .principal = NODE,
				      .audience = "sts.amazonaws.com"},
			       web = {.source = CRED_SOURCE_WEB_IDENTITY,
				      .issuer = "https://" ISSUER "/",
				      .audience = "sts.amazonaws.com"},
			       eks = {.source = CRED_SOURCE_EKS_AUTH, .cluster = {"demo", CLUSTER}},
			       own = {.source = CRED_SOURCE_ISSUER,
				      .issuer = "https://" ISSUER,
				      .audience = "sts.amazonaws.com"};

/* Single quotes stand for double ones. */
static json_t *parse(const char *text)
{
	char *copy = strdup(text);
	json_t *json;

	assert_non_null(copy);
	for (char *c = copy; *c; c++)
		*c = *c == '\'' ? '"' : *c;
	json = json_loads(copy, 0, NULL);
	if (!json)
		fail_msg("no JSON: %s", copy);
	free(copy);
	return json;
}

/* Takes got. */
static void is(json_t *got, const char *want)
{
	json_t *wanted = parse(want);
	char *text = json_dumps(got, JSON_COMPACT);

	if (!json_equal(json_object_get(got, "Statement"), wanted))
		fail_msg("%s\nnot\n%s", text, want);
	assert_string_equal(json_string_value(json_object_get(got, "Version")), "2012-10-17");
	free(text);
	json_decref(wanted);
	json_decref(got);
}

/* ---- made ---- */

/* For all entries that a file has: "{namespace: ..., ...}, {...}". */
static json_t *policy(const struct cred_trust *trust, const char *role, const char *entries)
{
	struct cred_trustee who[8];
	char text[2048];
	struct cred_table *t = NULL;
	struct pc_err err = {};
	json_t *json = NULL;

	snprintf(text, sizeof(text), "associations: [%s]", entries);
	if (cred_table_parse("a", text, strlen(text), &t, &err) < 0)
		fail_msg("%s", err.msg);
	for (size_t i = 0; i < cred_table_count(t); i++) {
		const struct cred_association *a = cred_table_at(t, i);

		who[i] = (struct cred_trustee){a->namespace, a->service_account, a};
	}
	if (cred_trust_policy(trust, role, who, cred_table_count(t), &json, &err) < 0)
		fail_msg("%s", err.msg);
	cred_table_unref(t);
	return json;
}

#define ENTRY(ns, sa, more)                                                                        \
	"{namespace: " ns ", serviceAccount: " sa ", roleArn: '" ROLE "'" more "}"
#define TAGGED "'Action':['sts:AssumeRole','sts:TagSession']"

/* A pair is a pair: shop's api is not bank's. */
static void test_sts(void **state)
{
	(void)state;
	is(policy(&sts, ROLE,
		  ENTRY("shop", "web", "") "," ENTRY("bank", "api", "") "," ENTRY("shop", "api",
										  "")),
	   "[{'Effect':'Allow','Principal':{'AWS':'" NODE "'}," TAGGED
	   ",'Condition':{'StringEquals':{'aws:RequestTag/kubernetes-namespace':'shop',"
	   "'aws:RequestTag/kubernetes-service-account':['web','api']}}},"
	   "{'Effect':'Allow','Principal':{'AWS':'" NODE "'}," TAGGED
	   ",'Condition':{'StringEquals':{'aws:RequestTag/kubernetes-namespace':'bank',"
	   "'aws:RequestTag/kubernetes-service-account':'api'}}}]");
}

static void test_untagged(void **state)
{
	(void)state;
	is(policy(&sts, ROLE,
		  ENTRY("shop", "web", ", disableSessionTags: true, externalId: mine") "," ENTRY(
			  "shop", "api",
			  ", disableSessionTags: true, sessionName: serviceAccount")),
	   "[{'Effect':'Allow','Principal':{'AWS':'" NODE "'},'Action':'sts:AssumeRole',"
	   "'Condition':{'StringEquals':{'sts:ExternalId':'mine'},"
	   "'StringLike':{'sts:RoleSessionName':'shop.web.*'}}},"
	   "{'Effect':'Allow','Principal':{'AWS':'" NODE "'},'Action':'sts:AssumeRole',"
	   "'Condition':{'StringEquals':{'sts:RoleSessionName':'shop.api'}}}]");
}

static void test_target(void **state)
{
	struct cred_trust trust = sts;

	(void)state;
	trust.cluster = eks.cluster;
	is(policy(&trust, TARGET, ENTRY("shop", "web", ", targetRoleArn: '" TARGET "'")),
	   "[{'Effect':'Allow','Principal':{'AWS':'" ROLE "'},'Action':'sts:AssumeRole',"
	   "'Condition':{'StringEquals':{"
	   "'sts:ExternalId':'eu-west-1/111122223333/demo/shop/web',"
	   "'aws:PrincipalTag/eks-cluster-arn':'" CLUSTER "',"
	   "'aws:PrincipalTag/kubernetes-namespace':'shop',"
	   "'aws:PrincipalTag/kubernetes-service-account':'web'}}},"
	   "{'Effect':'Allow','Principal':{'AWS':'" ROLE "'},'Action':'sts:TagSession',"
	   "'Condition':{'StringEquals':{"
	   "'aws:PrincipalTag/eks-cluster-arn':'" CLUSTER "',"
	   "'aws:PrincipalTag/kubernetes-namespace':'shop',"
	   "'aws:PrincipalTag/kubernetes-service-account':'web'}}}]");
	is(policy(&trust, ROLE, ENTRY("shop", "web", ", targetRoleArn: '" TARGET "'")),
	   "[{'Effect':'Allow','Principal':{'AWS':'" NODE "'}," TAGGED
	   ",'Condition':{'StringEquals':{"
	   "'aws:RequestTag/eks-cluster-arn':'" CLUSTER "',"
	   "'aws:RequestTag/kubernetes-namespace':'shop',"
	   "'aws:RequestTag/kubernetes-service-account':'web'}}}]");
}

static void test_web(void **state)
{
	(void)state;
	is(policy(&web, ROLE,
		  ENTRY("shop", "web", "") "," ENTRY("bank", "api", "") "," ENTRY(
			  "bank", "own", ", webIdentity: {audience: mine}")),
	   "[{'Effect':'Allow','Principal':{'Federated':'arn:aws:iam::111122223333:oidc-"
	   "provider/" ISSUER
	   "'},'Action':'sts:AssumeRoleWithWebIdentity','Condition':{'StringEquals':{'" ISSUER
	   ":aud':'sts.amazonaws.com','" ISSUER
	   ":sub':['system:serviceaccount:shop:web','system:serviceaccount:bank:api']}}},"
	   "{'Effect':'Allow','Principal':{'Federated':'arn:aws:iam::111122223333:oidc-"
	   "provider/" ISSUER
	   "'},'Action':'sts:AssumeRoleWithWebIdentity','Condition':{'StringEquals':{'" ISSUER
	   ":aud':'mine','" ISSUER ":sub':'system:serviceaccount:bank:own'}}}]");
}

#define FEDERATED "'Principal':{'Federated':'arn:aws:iam::111122223333:oidc-provider/" ISSUER "'}"

/* As with a web identity, and whoever has tags in its token may bring them. */
static void test_issuer(void **state)
{
	(void)state;
	is(policy(&own, ROLE,
		  ENTRY("shop", "web", "") "," ENTRY("bank", "api", "") "," ENTRY(
			  "bank", "bare", ", disableSessionTags: true")),
	   "[{'Effect':'Allow'," FEDERATED
	   ",'Action':['sts:AssumeRoleWithWebIdentity','sts:TagSession'],"
	   "'Condition':{'StringEquals':{'" ISSUER ":aud':'sts.amazonaws.com','" ISSUER
	   ":sub':['system:serviceaccount:shop:web','system:serviceaccount:bank:api']}}},"
	   "{'Effect':'Allow'," FEDERATED ",'Action':'sts:AssumeRoleWithWebIdentity',"
	   "'Condition':{'StringEquals':{'" ISSUER ":aud':'sts.amazonaws.com','" ISSUER
	   ":sub':'system:serviceaccount:bank:bare'}}}]");
}

static void test_eks(void **state)
{
	const struct cred_trustee who = {"shop", "web", NULL},
				  twice[] = {{"shop", "web", NULL}, {"shop", "web", NULL}};
	json_t *json = NULL;

	(void)state;
	assert_int_equal(cred_trust_policy(&eks, ROLE, &who, 1, &json, NULL), 0);
	is(json, "[{'Effect':'Allow','Principal':{'Service':'pods.eks.amazonaws.com'}," TAGGED
		 ",'Condition':{'StringEquals':{'aws:SourceAccount':'111122223333',"
		 "'aws:RequestTag/eks-cluster-arn':'" CLUSTER "',"
		 "'aws:RequestTag/kubernetes-namespace':'shop',"
		 "'aws:RequestTag/kubernetes-service-account':'web'}}}]");
	assert_int_equal(cred_trust_policy(&eks, ROLE, twice, 2, &json, NULL), 0);
	is(json, "[{'Effect':'Allow','Principal':{'Service':'pods.eks.amazonaws.com'}," TAGGED
		 ",'Condition':{'StringEquals':{'aws:SourceAccount':'111122223333',"
		 "'aws:RequestTag/eks-cluster-arn':'" CLUSTER "',"
		 "'aws:RequestTag/kubernetes-namespace':'shop',"
		 "'aws:RequestTag/kubernetes-service-account':'web'}}}]");
	assert_int_equal(cred_trust_policy(&eks, ROLE, NULL, 0, &json, NULL), 0);
	json_decref(json);
}

static void test_missing(void **state)
{
	const struct cred_trustee who = {"shop", "web", NULL};
	static const struct cred_trust bare = {.source = CRED_SOURCE_STS},
				       issuerless = {.source = CRED_SOURCE_WEB_IDENTITY,
						     .audience = "a"},
				       wrong = {.source = CRED_SOURCE_WEB_IDENTITY,
						.principal = NODE,
						.audience = "a"};
	static const struct {
		const struct cred_trust *trust;
		const char *role;
		size_t n;
		const char *what;
	} rows[] = {
		{&bare, ROLE, 1, "--principal"},
		{&issuerless, ROLE, 1, "--issuer"},
		{&wrong, ROLE, 1, "no OIDC provider"},
		{&sts, "app", 1, "no ARN of a role"},
		{&sts, ROLE, 0, "no association has the role"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct pc_err err = {};
		json_t *json = NULL;

		assert_int_equal(cred_trust_policy(rows[i].trust, rows[i].role, &who, rows[i].n,
						   &json, &err),
				 -EINVAL);
		if (!strstr(err.msg, rows[i].what))
			fail_msg("%s", err.msg);
	}
}

/* ---- converted ---- */

#define EKS_STATEMENT(more)                                                                        \
	"{'Effect':'Allow','Principal':{'Service':'pods.eks.amazonaws.com'}," TAGGED more "}"
#define CONDITION                                                                                  \
	",'Condition':{'StringEquals':{'aws:SourceAccount':'111122223333',"                        \
	"'aws:RequestTag/eks-cluster-arn':'" CLUSTER "',"                                          \
	"'aws:RequestTag/kubernetes-namespace':['shop','bank'],"                                   \
	"'aws:RequestTag/kubernetes-service-account':['web']}}"
#define DOCUMENT(statements) "{'Version':'2012-10-17','Statement':" statements "}"

static int convert(const struct cred_trust *trust, const char *text, json_t **ret,
		   char removed[CRED_TRUST_REMOVED_SIZE], struct pc_err *err)
{
	json_t *old = parse(text), *copy = json_deep_copy(old);
	int r = cred_trust_convert(trust, old, ret, removed, err);

	assert_true(json_equal(old, copy));
	json_decref(copy);
	json_decref(old);
	return r;
}

static void converts(const struct cred_trust *trust, const char *text, const char *want,
		     const char *want_removed)
{
	char removed[CRED_TRUST_REMOVED_SIZE];
	struct pc_err err = {};
	json_t *json = NULL;

	if (convert(trust, text, &json, removed, &err) < 0)
		fail_msg("%s", err.msg);
	assert_string_equal(removed, want_removed);
	is(json, want);
}

static void test_convert_sts(void **state)
{
	(void)state;
	converts(&sts, DOCUMENT("[" EKS_STATEMENT(CONDITION) "]"),
		 "[{'Effect':'Allow','Principal':{'AWS':'" NODE "'}," TAGGED
		 ",'Condition':{'StringEquals':{'aws:RequestTag/eks-cluster-arn':'" CLUSTER "',"
		 "'aws:RequestTag/kubernetes-namespace':['shop','bank'],"
		 "'aws:RequestTag/kubernetes-service-account':['web']}}}]",
		 "aws:SourceAccount");
	converts(&sts, DOCUMENT(EKS_STATEMENT("")),
		 "[{'Effect':'Allow','Principal':{'AWS':'" NODE "'}," TAGGED "}]", "");
	converts(&sts,
		 DOCUMENT(EKS_STATEMENT(",'Condition':{'StringEquals':{'aws:sourceaccount':'1'},'"
					"ArnLike':{'aws:SourceArn':'x'}}")),
		 "[{'Effect':'Allow','Principal':{'AWS':'" NODE "'}," TAGGED "}]",
		 "aws:sourceaccount, aws:SourceArn");
}

/* Whoever else is in the policy stays. */
static void test_convert_others(void **state)
{
#define EC2                                                                                        \
	"{'Effect':'Allow','Principal':{'Service':'ec2.amazonaws.com'},'Action':'sts:AssumeRole'}"
	(void)state;
	converts(&sts, DOCUMENT("[" EC2 "," EKS_STATEMENT("") "]"),
		 "[" EC2 ",{'Effect':'Allow','Principal':{'AWS':'" NODE "'}," TAGGED "}]", "");
	converts(
		&sts,
		DOCUMENT("{'Effect':'Allow','Principal':{'Service':['ec2.amazonaws.com',"
			 "'pods.eks.amazonaws.com'],'AWS':'x'}," TAGGED "}"),
		"[{'Effect':'Allow','Principal':{'Service':['ec2.amazonaws.com'],'AWS':'x'}," TAGGED
		"},{'Effect':'Allow','Principal':{'AWS':'" NODE "'}," TAGGED "}]",
		"");
}

static void test_convert_web(void **state)
{
	struct cred_trust trust = {.source = CRED_SOURCE_WEB_IDENTITY,
				   .principal = "arn:aws:iam::111122223333:oidc-provider/" ISSUER,
				   .audience = "aud"};

	(void)state;
	converts(
		&trust, DOCUMENT("[" EKS_STATEMENT(CONDITION) "]"),
		"[{'Effect':'Allow','Principal':{'Federated':'arn:aws:iam::111122223333:oidc-"
		"provider/" ISSUER
		"'},'Action':'sts:AssumeRoleWithWebIdentity','Condition':{'StringEquals':{'" ISSUER
		":sub':['system:serviceaccount:shop:web','system:serviceaccount:bank:web'],'" ISSUER
		":aud':'aud'}}}]",
		"aws:SourceAccount, aws:RequestTag/eks-cluster-arn");
	converts(&trust,
		 DOCUMENT(EKS_STATEMENT(",'Condition':{'StringLike':{'aws:RequestTag/"
					"kubernetes-namespace':'shop-*'}}")),
		 "[{'Effect':'Allow','Principal':{'Federated':'arn:aws:iam::111122223333:oidc-"
		 "provider/" ISSUER
		 "'},'Action':'sts:AssumeRoleWithWebIdentity','Condition':{'StringLike':{'" ISSUER
		 ":sub':['system:serviceaccount:shop-*:*']},'StringEquals':{'" ISSUER
		 ":aud':'aud'}}}]",
		 "");
}

static void test_convert_issuer(void **state)
{
	(void)state;
	converts(
		&(struct cred_trust){.source = CRED_SOURCE_ISSUER,
				     .principal = "arn:aws:iam::111122223333:oidc-provider/" ISSUER,
				     .audience = "aud"},
		DOCUMENT("[" EKS_STATEMENT(",'Condition':{'StringEquals':{'aws:SourceAccount':"
					   "'111122223333','aws:RequestTag/kubernetes-namespace':"
					   "'shop'}}") "]"),
		"[{'Effect':'Allow'," FEDERATED
		",'Action':['sts:AssumeRoleWithWebIdentity','sts:TagSession'],"
		"'Condition':{'StringEquals':{'aws:RequestTag/kubernetes-namespace':'shop','" ISSUER
		":aud':'aud'}}}]",
		"aws:SourceAccount");
}

static void test_convert_refused(void **state)
{
	static const struct cred_trust token = {
		.source = CRED_SOURCE_WEB_IDENTITY,
		.principal = "arn:aws:iam::111122223333:oidc-provider/" ISSUER,
		.audience = "aud"};
	static const struct {
		const struct cred_trust *trust;
		const char *text, *what;
	} rows[] = {
		{&sts, "{}", "is it a trust policy?"},
		{&sts, DOCUMENT("[" EC2 "]"), "nothing to convert"},
		{&eks, DOCUMENT(EKS_STATEMENT("")), "stay as they are"},
		{&token,
		 DOCUMENT(EKS_STATEMENT(",'Condition':{'StringNotEquals':{'aws:RequestTag/"
					"kubernetes-namespace':'x'}}")),
		 "by hand"},
		{&token,
		 DOCUMENT(EKS_STATEMENT(",'Condition':{'StringEquals':{'aws:RequestTag/"
					"kubernetes-pod-name':'x'}}")),
		 "has no such tag"},
		{&token,
		 DOCUMENT("{'Effect':'Deny','Principal':{'Service':'pods.eks.amazonaws.com'}}"),
		 "denies"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		char removed[CRED_TRUST_REMOVED_SIZE];
		struct pc_err err = {};
		json_t *json = NULL;

		assert_int_equal(convert(rows[i].trust, rows[i].text, &json, removed, &err),
				 -EINVAL);
		assert_null(json);
		if (!strstr(err.msg, rows[i].what))
			fail_msg("%s\nfor %s", err.msg, rows[i].text);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sts),
		cmocka_unit_test(test_untagged),
		cmocka_unit_test(test_target),
		cmocka_unit_test(test_web),
		cmocka_unit_test(test_issuer),
		cmocka_unit_test(test_eks),
		cmocka_unit_test(test_missing),
		cmocka_unit_test(test_convert_sts),
		cmocka_unit_test(test_convert_others),
		cmocka_unit_test(test_convert_web),
		cmocka_unit_test(test_convert_issuer),
		cmocka_unit_test(test_convert_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
