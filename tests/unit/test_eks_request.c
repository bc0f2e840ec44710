// SPDX-License-Identifier: Apache-2.0
/* MODULES: control kube identity http credentials aws yaml crypto base */
/* LIBS: -lmicrohttpd -lgnutls -lcurl -lssl -ljansson -lyaml -lpcre2-8 -lexpat -lcrypto */
/* Requests to the API of associations as they come: what is understood, and that all else is refused. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "control/eks_request.h"
#include "control/eks_store.h"

#define ALL   "/clusters/demo/pod-identity-associations"
#define ID    "a-0123456789abcdefg"
#define ARN   "arn:aws:eks:eu-west-1:111122223333:podidentityassociation/demo/" ID
#define WHERE "\"namespace\":\"shop\",\"serviceAccount\":\"web\",\"roleArn\":\"r\""

/* The name of the error, or "ok". */
static const char *ask(const char *method, const char *target, const char *body,
		       struct eks_request *ret, struct eks_error *error)
{
	int r = eks_request_parse(method, target, body, strlen(body), ret, error);

	return r == 0 ? "ok" : error->name;
}

static void test_operations(void **state)
{
	static const struct {
		const char *method, *target, *body;
		int op;
	} cases[] = {
		{"POST", ALL, "{" WHERE "}", EKS_CREATE},
		{"GET", ALL, "", EKS_LIST},
		{"GET", ALL "?", "", EKS_LIST},
		{"GET", ALL "/" ID, "", EKS_DESCRIBE},
		{"GET", EKS_PREFIX ALL "/" ID, "", EKS_DESCRIBE},
		{"GET", ALL "/a%2D0123456789abcdefg", "", EKS_DESCRIBE},
		{"POST", ALL "/" ID, "{}", EKS_UPDATE},
		{"DELETE", ALL "/" ID, "", EKS_DELETE},
		{"POST", "/tags/" ARN, "{\"tags\":{\"a\":\"b\"}}", EKS_TAG},
		{"DELETE", "/tags/" ARN "?tagKeys=a", "", EKS_UNTAG},
		{"GET",
		 "/tags/"
		 "arn%3Aaws%3aeks%3Aeu-west-1%3A111122223333%3Apodidentityassociation%2Fdemo%2F" ID,
		 "", EKS_LIST_TAGS},
		{"GET", "/clusters/demo", "", EKS_DESCRIBE_CLUSTER},
		{"GET", "/clusters/demo/addons/vpc%2Dcni", "", EKS_DESCRIBE_ADDON},
		{"GET", EKS_PREFIX "/cluster-versions", "", EKS_DESCRIBE_VERSIONS},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct eks_request r;
		struct eks_error error = {};

		if (strcmp(ask(cases[i].method, cases[i].target, cases[i].body, &r, &error), "ok"))
			fail_msg("%s %s: %s", cases[i].method, cases[i].target, error.message);
		assert_int_equal(r.op, cases[i].op);
		assert_string_equal(r.cluster, r.op == EKS_DESCRIBE_VERSIONS ? "" : "demo");
		assert_string_equal(r.addon, r.op == EKS_DESCRIBE_ADDON ? "vpc-cni" : "");
		if (strstr(cases[i].target, "0123"))
			assert_string_equal(r.id, ID);
		if (strstr(cases[i].target, "tags"))
			assert_string_equal(r.arn, ARN);
		eks_request_done(&r);
	}
}

static void test_query(void **state)
{
	struct eks_request r;
	struct eks_error error;

	(void)state;
	assert_string_equal(
		ask("GET", ALL "?namespace=shop&serviceAccount=w%2Eb&maxResults=7&nextToken=a%2Fb",
		    "", &r, &error),
		"ok");
	assert_string_equal(r.name_space, "shop");
	assert_string_equal(r.service_account, "w.b");
	assert_string_equal(r.cursor, "a/b");
	assert_int_equal(r.max_results, 7);
	eks_request_done(&r);
	assert_string_equal(
		ask("DELETE", "/tags/" ARN "?tagKeys=a+b&tagKeys=c%20d", "", &r, &error), "ok");
	assert_int_equal(r.n_tag_keys, 2);
	assert_string_equal(r.tag_keys[0], "a b");
	assert_string_equal(r.tag_keys[1], "c d");
	eks_request_done(&r);
}

#define INVALID	  "InvalidParameterException"
#define NOT_FOUND "ResourceNotFoundException"
#define BAD	  "BadRequestException"

static void test_refused(void **state)
{
	static const struct {
		const char *method, *target, *body, *error;
	} cases[] = {
		{"PUT", ALL, "{}", NOT_FOUND},
		{"GET", "/clusters", "", NOT_FOUND},
		{"GET", "clusters/demo", "", NOT_FOUND},
		{"GET", "//clusters/demo", "", NOT_FOUND},
		{"GET", "/clusters//pod-identity-associations", "", NOT_FOUND},
		{"GET", ALL "/" ID "/", "", NOT_FOUND},
		{"GET", ALL "/a-0123456789ABCDEFG", "", NOT_FOUND},
		{"GET", ALL "/" ID "%00", "", NOT_FOUND},
		{"GET", ALL "/..%2F" ID, "", NOT_FOUND},
		{"GET", "/clusters/../clusters/demo", "", NOT_FOUND},
		{"GET", "/clusters/demo/addons", "", NOT_FOUND},
		{"GET", "/clusters/demo/addons/", "", NOT_FOUND},
		{"GET", "/clusters/demo/addons/%0a", "", NOT_FOUND},
		{"DELETE", "/clusters/demo/addons/vpc-cni", "", NOT_FOUND},
		{"GET", "/cluster-versions/", "", NOT_FOUND},
		{"POST", "/cluster-versions", "{}", NOT_FOUND},
		{"GET", "/cluster-versions?clusterType=eks", "", INVALID},
		/* escaped twice: no ARN, whatever it would be after another round */
		{"GET", "/tags/arn%253Aaws%253Aeks", "", BAD},
		{"GET", "/tags/arn:aws:eks:x:1:podidentityassociation/demo/%2561-0123456789abcdefg",
		 "", "NotFoundException"},
		{"GET", "/tags/" ARN "%0a", "", BAD},
		{"GET", "/tags/" ARN "%zz", "", BAD},
		{"GET", "/tags/arn:aws:eks:eu-west-1:1:cluster/demo", "", BAD},
		{"DELETE", "/tags/" ARN, "", BAD},
		{"DELETE", "/tags/" ARN "?tagKeys=", "", BAD},
		{"DELETE", "/tags/" ARN "?tagkeys=a", "", BAD},
		{"GET", ALL "?maxResults=0", "", INVALID},
		{"GET", ALL "?maxResults=101", "", INVALID},
		{"GET", ALL "?maxResults=1x", "", INVALID},
		{"GET", ALL "?owner=me", "", INVALID},
		{"GET", ALL "/" ID "?namespace=shop", "", INVALID},
		{"POST", ALL, "", INVALID},
		{"POST", ALL, "[]", INVALID},
		{"POST", ALL, "{" WHERE "} x", INVALID},
		{"POST", ALL, "{\"namespace\":\"shop\",\"serviceAccount\":\"web\"}", INVALID},
		{"POST", ALL, "{" WHERE ",\"roleArn\":\"s\"}", INVALID}, /* twice */
		{"POST", ALL, "{" WHERE ",\"permissionsBoundary\":\"x\"}", INVALID},
		{"POST", ALL, "{" WHERE ",\"Policy\":\"x\"}", INVALID},
		{"POST", ALL, "{" WHERE ",\"policy\":{}}", INVALID},
		{"POST", ALL, "{" WHERE ",\"policy\":\"a\\u0000b\"}", INVALID},
		{"POST", ALL, "{" WHERE ",\"disableSessionTags\":\"true\"}", INVALID},
		{"POST", ALL, "{" WHERE ",\"tags\":{\"aws:x\":\"y\"}}", INVALID},
		{"POST", ALL, "{" WHERE ",\"tags\":{\"a\":1}}", INVALID},
		{"POST", ALL "/" ID, "{\"namespace\":\"shop\"}", INVALID},
		{"POST", ALL "/" ID, "{\"tags\":{}}", INVALID},
		{"POST", "/tags/" ARN, "{}", BAD},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct eks_request r;
		struct eks_error error = {};
		const char *got = ask(cases[i].method, cases[i].target, cases[i].body, &r, &error);

		if (strcmp(got, cases[i].error) != 0)
			fail_msg("%s %s %s: %s, not %s", cases[i].method, cases[i].target,
				 cases[i].body, got, cases[i].error);
		if (!error.message[0])
			fail_msg("%s: no message", cases[i].target);
		eks_request_done(&r);
	}
}

/* What SDKs send for nothing: absent. */
static void test_null(void **state)
{
	struct eks_request r;
	struct eks_error error;

	(void)state;
	assert_string_equal(
		ask("POST", ALL, "{" WHERE ",\"policy\":null,\"tags\":null}", &r, &error), "ok");
	assert_null(json_object_get(r.body, "policy"));
	assert_null(eks_request_text(&r, "policy"));
	assert_string_equal(eks_request_text(&r, "namespace"), "shop");
	eks_request_done(&r);
}

static void test_too_many(void **state)
{
	char target[4096] = "/tags/" ARN "?";
	struct eks_request r;
	struct eks_error error;

	(void)state;
	for (int i = 0; i < EKS_TAGS_MAX; i++)
		strcat(target, "tagKeys=k&");
	assert_string_equal(ask("DELETE", target, "", &r, &error), "ok");
	eks_request_done(&r);
	strcat(target, "tagKeys=k");
	assert_string_equal(ask("DELETE", target, "", &r, &error), BAD);
	eks_request_done(&r);
}

static void test_id(void **state)
{
	char a[EKS_ID_SIZE], b[EKS_ID_SIZE];

	(void)state;
	assert_int_equal(cred_association_id("5f1b0c1e-6d3a-4f0e-8d61-0a4b2d7e9c11", a), 0);
	assert_int_equal(cred_association_id("5f1b0c1e-6d3a-4f0e-8d61-0a4b2d7e9c12", b), 0);
	assert_int_equal(strlen(a), EKS_ID_SIZE - 1);
	assert_memory_equal(a, "a-", 2);
	assert_string_not_equal(a, b);
	assert_int_equal(cred_association_id("5f1b0c1e-6d3a-4f0e-8d61-0a4b2d7e9c11", b), 0);
	assert_string_equal(a, b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_operations), cmocka_unit_test(test_query),
		cmocka_unit_test(test_refused),	   cmocka_unit_test(test_null),
		cmocka_unit_test(test_too_many),   cmocka_unit_test(test_id),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
