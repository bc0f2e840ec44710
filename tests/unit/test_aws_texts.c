// SPDX-License-Identifier: Apache-2.0
/* ARNs, endpoints, what errors mean, and the bodies of answers. */
/* MODULES: aws base */
/* LIBS: -lexpat -ljansson -lm */
#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "aws/answer.h"
#include "aws/arn.h"
#include "aws/endpoint.h"
#include "aws/error.h"
#include "base/cleanup.h"
#include "base/err.h"

static void expect_piece(struct aws_piece piece, const char *want)
{
	char got[2100];

	snprintf(got, sizeof(got), "%.*s", (int)piece.len, piece.text);
	assert_string_equal(got, want);
}

/* ---- ARNs ---- */

static void test_roles(void **state)
{
	static const struct {
		const char *arn, *partition, *account, *path, *name;
	} rows[] = {
		{"arn:aws:iam::111122223333:role/app", "aws", "111122223333", "/", "app"},
		{"arn:aws-cn:iam::111122223333:role/a/b/app", "aws-cn", "111122223333", "/a/b/",
		 "app"},
		{"arn:aws-us-gov:iam::000000000000:role/service-role/A_b+=,.@-9", "aws-us-gov",
		 "000000000000", "/service-role/", "A_b+=,.@-9"},
		{"arn:aws-iso-f:iam::111122223333:role/a:b!/x", "aws-iso-f", "111122223333",
		 "/a:b!/", "x"},
	};
	static const char *const wrong[] = {
		"",
		"app",
		"arn:aws:iam::111122223333:role",
		"arn:aws:iam::111122223333:role/",
		"arn:aws:iam::111122223333:role/a/",
		"arn:aws:iam::111122223333:user/app",
		"arn:aws:iam::111122223333:ROLE/app",
		"arn:aws:iam:eu-west-1:111122223333:role/app",
		"arn:aws:iam::11112222333:role/app",
		"arn:aws:iam::11112222333x:role/app",
		"arn:aws:iam::1111222233334:role/app",
		"arn:aws:iam:::role/app",
		"arn:aws:sts::111122223333:role/app",
		"arn:awz:iam::111122223333:role/app",
		"arn::iam::111122223333:role/app",
		"ARN:aws:iam::111122223333:role/app",
		" arn:aws:iam::111122223333:role/app",
		"arn:aws:iam::111122223333:role/app ",
		"arn:aws:iam::111122223333:role/app\n",
		"arn:aws:iam::111122223333:role/a\tb/app",
		"arn:aws:iam::111122223333:role/ap*p",
		"arn:aws:iam::111122223333:role/äpp",
		"arn:aws:iam::111122223333:assumed-role/app/x",
		"arn:aws:iam::111122223333",
	};
	struct aws_role role;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		assert_int_equal(aws_role_parse(rows[i].arn, &role), 0);
		expect_piece(role.partition, rows[i].partition);
		expect_piece(role.account, rows[i].account);
		expect_piece(role.path, rows[i].path);
		expect_piece(role.name, rows[i].name);
	}
	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++)
		if (aws_role_parse(wrong[i], &role) != -EINVAL)
			fail_msg("\"%s\" is taken for a role", wrong[i]);
}

static void test_lengths(void **state)
{
	struct aws_role role;
	char arn[2200];

	(void)state;
	snprintf(arn, sizeof(arn), "arn:aws:iam::111122223333:role/%064d", 0);
	assert_int_equal(aws_role_parse(arn, &role), 0);
	snprintf(arn, sizeof(arn), "arn:aws:iam::111122223333:role/%065d", 0);
	assert_int_equal(aws_role_parse(arn, &role), -EINVAL);
	snprintf(arn, sizeof(arn), "arn:aws:iam::111122223333:role/%0510d/x", 0);
	assert_int_equal(aws_role_parse(arn, &role), 0);
	snprintf(arn, sizeof(arn), "arn:aws:iam::111122223333:role/%0511d/x", 0);
	assert_int_equal(aws_role_parse(arn, &role), -EINVAL);
	snprintf(arn, sizeof(arn), "arn:aws:iam::111122223333:role/%02100d/x", 0);
	assert_int_equal(aws_role_parse(arn, &role), -EINVAL);
}

static void test_assumed_roles(void **state)
{
	static const char *const wrong[] = {
		"arn:aws:sts::111122223333:assumed-role/app",
		"arn:aws:sts::111122223333:assumed-role/app/",
		"arn:aws:sts::111122223333:assumed-role/app/x",
		"arn:aws:sts::111122223333:assumed-role//web",
		"arn:aws:sts::111122223333:assumed-role/a/b/web",
		"arn:aws:iam::111122223333:assumed-role/app/web",
		"arn:aws:sts::111122223333:federated-user/app",
	};
	struct aws_piece session;
	struct aws_role role;

	(void)state;
	assert_int_equal(aws_assumed_role_parse("arn:aws:sts::111122223333:assumed-role/app/web-0",
						&role, &session),
			 0);
	expect_piece(role.account, "111122223333");
	expect_piece(role.name, "app");
	expect_piece(role.path, "");
	expect_piece(session, "web-0");
	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++)
		assert_int_equal(aws_assumed_role_parse(wrong[i], &role, &session), -EINVAL);
}

static void test_any_arn(void **state)
{
	struct aws_arn arn;

	(void)state;
	assert_int_equal(aws_arn_parse("arn:aws:eks:eu-west-1:111122223333:podidentityassociation/"
				       "demo/a-abcdefghijklmnop1",
				       &arn),
			 0);
	expect_piece(arn.service, "eks");
	expect_piece(arn.region, "eu-west-1");
	expect_piece(arn.resource, "podidentityassociation/demo/a-abcdefghijklmnop1");
	assert_int_equal(aws_arn_parse("arn:aws:s3:::bucket:a:b", &arn), 0);
	expect_piece(arn.account, "");
	expect_piece(arn.resource, "bucket:a:b");
	assert_int_equal(aws_arn_parse("arn:aws:s3:::", &arn), -EINVAL);
	assert_int_equal(aws_arn_parse("arn:aws::::x", &arn), -EINVAL);
}

/* ---- endpoints ---- */

static void test_partitions(void **state)
{
	static const char *const rows[][2] = {
		{"eu-west-1", "aws"},
		{"mx-central-1", "aws"},
		{"il-central-1", "aws"},
		{"us-east-1", "aws"},
		{"cn-north-1", "aws-cn"},
		{"us-gov-west-1", "aws-us-gov"},
		{"us-iso-east-1", "aws-iso"},
		{"us-isob-east-1", "aws-iso-b"},
		{"eu-isoe-west-1", "aws-iso-e"},
		{"us-isof-south-1", "aws-iso-f"},
		{"eusc-de-east-1", "aws-eusc"},
		{"xx-new-7", "aws"},
		{"eu-west-x", "aws"},
		{"cn-north", "aws"},
		{"local", "aws"},
		{"cn--1", "aws"},
		{"us-gov-west-12", "aws-us-gov"},
		{"us-gov-we-st-1", "aws"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		assert_string_equal(aws_partition_of(rows[i][0])->id, rows[i][1]);
	assert_null(aws_partition_named("aws-", 4));
	assert_string_equal(aws_partition_named("aws-isomore", 7)->id, "aws-iso");
}

static void test_hosts(void **state)
{
	static const struct {
		enum aws_service service;
		const char *region;
		bool fips, dual_stack;
		const char *url;
	} rows[] = {
		{AWS_STS, "eu-west-1", 0, 0, "https://sts.eu-west-1.amazonaws.com"},
		{AWS_STS, "us-east-2", 1, 0, "https://sts-fips.us-east-2.amazonaws.com"},
		{AWS_STS, "us-east-2", 0, 1, "https://sts.us-east-2.api.aws"},
		{AWS_STS, "us-east-2", 1, 1, "https://sts-fips.us-east-2.api.aws"},
		{AWS_STS, "us-gov-west-1", 0, 0, "https://sts.us-gov-west-1.amazonaws.com"},
		{AWS_STS, "us-gov-west-1", 1, 0, "https://sts.us-gov-west-1.amazonaws.com"},
		{AWS_STS, "us-gov-west-1", 1, 1, "https://sts-fips.us-gov-west-1.api.aws"},
		{AWS_STS, "cn-north-1", 0, 0, "https://sts.cn-north-1.amazonaws.com.cn"},
		{AWS_STS, "cn-north-1", 0, 1,
		 "https://sts.cn-north-1.api.amazonwebservices.com.cn"},
		{AWS_STS, "eusc-de-east-1", 0, 0, "https://sts.eusc-de-east-1.amazonaws.eu"},
		{AWS_STS, "us-iso-east-1", 0, 0, "https://sts.us-iso-east-1.c2s.ic.gov"},
		{AWS_STS, "us-isob-east-1", 1, 0, "https://sts-fips.us-isob-east-1.sc2s.sgov.gov"},
		{AWS_STS, "eu-isoe-west-1", 0, 1,
		 "https://sts.eu-isoe-west-1.api.cloud-aws.adc-e.uk"},
		{AWS_STS, "us-isof-south-1", 0, 0, "https://sts.us-isof-south-1.csp.hci.ic.gov"},
		{AWS_EKS_AUTH, "eu-west-1", 0, 0, "https://eks-auth.eu-west-1.api.aws"},
		{AWS_EKS_AUTH, "eu-west-1", 0, 1, "https://eks-auth.eu-west-1.api.aws"},
		{AWS_EKS_AUTH, "us-gov-west-1", 1, 0,
		 "https://eks-auth-fips.us-gov-west-1.api.aws"},
		{AWS_EKS_AUTH, "cn-north-1", 0, 0,
		 "https://eks-auth.cn-north-1.api.amazonwebservices.com.cn"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		const struct aws_endpoint_options options = {.region = rows[i].region,
							     .fips = rows[i].fips,
							     .dual_stack = rows[i].dual_stack};
		struct aws_endpoint endpoint;

		assert_int_equal(aws_endpoint_find(rows[i].service, &options, &endpoint, NULL), 0);
		assert_string_equal(endpoint.url, rows[i].url);
		assert_string_equal(endpoint.host, rows[i].url + 8);
		assert_string_equal(endpoint.prefix, "");
	}
}

static void test_own_urls(void **state)
{
	static const struct {
		const char *url, *want, *host, *prefix;
	} rows[] = {
		{"https://broker.example", "https://broker.example", "broker.example", ""},
		{"https://Broker.Example:443/", "https://broker.example", "broker.example", ""},
		{"http://127.0.0.1:80", "http://127.0.0.1", "127.0.0.1", ""},
		{"http://127.0.0.1:443", "http://127.0.0.1:443", "127.0.0.1:443", ""},
		{"https://[fd00:EC2::23]:08443/a/b/", "https://[fd00:ec2::23]:8443/a/b",
		 "[fd00:ec2::23]:8443", "/a/b"},
	};
	static const char *const wrong[] = {
		"",
		"broker.example",
		"ftp://x",
		"https://",
		"https:///x",
		"https://x:",
		"https://x:0",
		"https://x:65536",
		"https://u@x",
		"https://u:p@x",
		"https://x?y",
		"https://x/#y",
		"https://x/%41",
		"https://x/a b",
		"https://x/../y",
		"https://x//y",
		"https://x/./",
		"https://x y",
		"https://[::1",
		"https://[::1]x",
		"https://[fe80::1%25eth0]/",
		"https://x\ny",
		"HTTPS://x",
		"https://x:1:2",
	};
	struct aws_endpoint endpoint;
	struct pc_err err;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		assert_int_equal(aws_endpoint_parse(rows[i].url, &endpoint, &err), 0);
		assert_string_equal(endpoint.url, rows[i].want);
		assert_string_equal(endpoint.host, rows[i].host);
		assert_string_equal(endpoint.prefix, rows[i].prefix);
	}
	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++)
		if (aws_endpoint_parse(wrong[i], &endpoint, &err) != -EINVAL)
			fail_msg("\"%s\" is taken for an endpoint: %s", wrong[i], endpoint.url);
}

static void expect_no_endpoint(struct aws_endpoint_options options, const char *why)
{
	struct aws_endpoint endpoint;
	struct pc_err err = {};

	assert_int_equal(aws_endpoint_find(AWS_STS, &options, &endpoint, &err), -EINVAL);
	if (!strstr(err.msg, why))
		fail_msg("%s", err.msg);
}

static void test_no_endpoint(void **state)
{
	(void)state;
	expect_no_endpoint((struct aws_endpoint_options){.region = ""}, "not a region");
	expect_no_endpoint((struct aws_endpoint_options){.region = "eu-west-1.evil.example/"},
			   "not a region");
	expect_no_endpoint((struct aws_endpoint_options){.region = "EU-WEST-1"}, "not a region");
	expect_no_endpoint((struct aws_endpoint_options){.region = "-eu"}, "not a region");
	expect_no_endpoint((struct aws_endpoint_options){"eu-west-1", "https://x", true, false},
			   "sts and fips exclude");
	expect_no_endpoint((struct aws_endpoint_options){"eu-west-1", "https://x", false, true},
			   "sts and dualStack exclude");
}

/* ---- errors ---- */

static void test_classes(void **state)
{
	enum { S = AWS_CALL_SIGNED, T = AWS_CALL_TOKEN };
	static const struct {
		unsigned status;
		const char *code, *message;
		unsigned call;
		enum aws_class class;
	} rows[] = {
		{403, "AccessDenied", "", S, AWS_DENIED},
		{400, "AccessDeniedException", "", S | T, AWS_DENIED},
		{403, "ExpiredToken", "", S, AWS_KEYS},
		{400, "ExpiredTokenException", "", S, AWS_KEYS},
		{403, "ExpiredTokenException", "", S | T, AWS_KEYS},
		{400, "ExpiredTokenException", "", S | T, AWS_TOKEN},
		{400, "ExpiredTokenException", "", T, AWS_TOKEN},
		{403, "ExpiredTokenException", "", T, AWS_TOKEN},
		{400, "InvalidTokenException", "", S | T, AWS_TOKEN},
		{400, "InvalidIdentityToken", "", T, AWS_TOKEN},
		{403, "IDPRejectedClaim", "", T, AWS_DENIED},
		{400, "IDPCommunicationError", "", T, AWS_UNAVAILABLE},
		{403, "InvalidClientTokenId", "", S, AWS_KEYS},
		{403, "UnrecognizedClientException", "", S | T, AWS_KEYS},
		{403, "SignatureDoesNotMatch", "The request signature we calculated", S, AWS_KEYS},
		{403, "SignatureDoesNotMatch", "Signature expired: 2 is now earlier than 3", S,
		 AWS_CLOCK},
		{403, "InvalidSignatureException", "Signature not yet current: 3", S | T,
		 AWS_CLOCK},
		{400, "RequestExpired", "", S, AWS_CLOCK},
		{400, "ValidationError",
		 "The requested DurationSeconds exceeds the 1 hour session limit for roles assumed "
		 "by role "
		 "chaining.",
		 S, AWS_CHAINED},
		{400, "ValidationError", "1 validation error detected", S, AWS_INVALID},
		{400, "MalformedPolicyDocument", "", S, AWS_INVALID},
		{400, "PackedPolicyTooLarge", "", S, AWS_TOO_LARGE},
		{403, "RegionDisabledException", "", S, AWS_REGION},
		{400, "Throttling", "Rate exceeded", S, AWS_THROTTLED},
		{429, "ThrottlingException", "", S | T, AWS_THROTTLED},
		{400, "RequestLimitExceeded", "", S, AWS_THROTTLED},
		{404, "ResourceNotFoundException", "", S | T, AWS_NOT_FOUND},
		{400, "InvalidParameterException", "", S | T, AWS_INVALID},
		{500, "InternalServerException", "", S | T, AWS_UNAVAILABLE},
		{503, "ServiceUnavailableException", "", S | T, AWS_UNAVAILABLE},
		{400, "", "", S, AWS_INVALID},
		{401, "", "", 0, AWS_DENIED},
		{403, "", "", 0, AWS_DENIED},
		{404, "", "", 0, AWS_NOT_FOUND},
		{429, "", "", S, AWS_THROTTLED},
		{500, "", "", S, AWS_UNAVAILABLE},
		{509, "", "", S, AWS_UNAVAILABLE},
		{302, "", "", S, AWS_MALFORMED},
		{400, "AccessDeniedAndMore", "", S, AWS_INVALID},
		{500, "AccessDenied", "", S, AWS_DENIED},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		enum aws_class got =
			aws_classify(rows[i].status, rows[i].code, rows[i].message, rows[i].call);

		if (got != rows[i].class)
			fail_msg("%u %s: %s, not %s", rows[i].status, rows[i].code,
				 aws_class_name(got), aws_class_name(rows[i].class));
	}
	for (int i = 0; i < AWS_N_CLASSES; i++)
		assert_non_null(aws_class_name(i));
}

static void expect_clean(const char *text, const char *want)
{
	static const char *const secrets[] = {"", "hunter2", NULL};
	char got[AWS_DETAIL_SIZE];

	aws_clean(text, secrets, got);
	assert_string_equal(got, want);
}

static void test_clean(void **state)
{
	char token[2000], want[AWS_DETAIL_SIZE], long_text[1000];

	(void)state;
	expect_clean("", "");
	expect_clean("User: arn:aws:sts::111122223333:assumed-role/node/i-0 is not authorized",
		     "User: arn:aws:sts::111122223333:assumed-role/node/i-0 is not authorized");
	expect_clean("a\r\n\tb\x1b[31mc \xc3\xa4 d\n", "a b [31mc d");
	expect_clean("is hunter2 or (hunter2)?", "is [...] or ([...])?");
	expect_clean("token eyJhbGciOiJSUzI1NiIsImtpZCI6IjEifQ.eyJ.x: bad", "token [...]: bad");
	memset(token, 'A', sizeof(token));
	memcpy(token, "x '", 3);
	strcpy(token + 200, "' y");
	expect_clean(token, "x '[...]' y");
	for (size_t i = 0; i < sizeof(long_text) - 1; i++)
		long_text[i] = "ab "[i % 3];
	long_text[sizeof(long_text) - 1] = '\0';
	snprintf(want, sizeof(want), "%.299s", long_text);
	expect_clean(long_text, want);
	aws_clean("hunter2", NULL, want);
	assert_string_equal(want, "hunter2");
}

/* ---- bodies ---- */

#define XML_HEAD "<AssumeRoleResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\">\n"
#define XML_USER                                                                                   \
	"<AssumedRoleUser>\n<AssumedRoleId>AROAEXAMPLE:web</AssumedRoleId>"                        \
	"<Arn>arn:aws:sts::111122223333:assumed-role/app/web</Arn></AssumedRoleUser>"
#define XML_KEYS                                                                                   \
	"<Credentials><AccessKeyId>ASIAEXAMPLE</AccessKeyId><SecretAccessKey>s/e+c</"              \
	"SecretAccessKey>\n  <SessionToken>IQo+/==</SessionToken>"
#define XML_TAIL                                                                                   \
	"<PackedPolicySize>12</PackedPolicySize></AssumeRoleResult>"                               \
	"<ResponseMetadata><RequestId>2f9c</RequestId></ResponseMetadata></AssumeRoleResponse>\n"
#define XML_BODY(expiration)                                                                       \
	XML_HEAD "<AssumeRoleResult>" XML_USER XML_KEYS "<Expiration>" expiration                  \
		 "</Expiration></Credentials>" XML_TAIL

static struct aws_answer read_body(const char *body)
{
	struct aws_answer answer;

	assert_int_equal(aws_answer_read(body, strlen(body), &answer), 0);
	return answer;
}

static void expect_session(const char *body, time_t expiration, int packed)
{
	struct aws_answer answer = read_body(body);
	struct aws_session session = {};

	assert_int_equal(aws_answer_session(&answer, &session), 0);
	assert_string_equal(session.access_key_id, "ASIAEXAMPLE");
	assert_string_equal(session.secret_access_key, "s/e+c");
	assert_string_equal(session.session_token, "IQo+/==");
	assert_int_equal(session.expiration, expiration);
	assert_string_equal(session.arn, "arn:aws:sts::111122223333:assumed-role/app/web");
	assert_string_equal(session.role_id, "AROAEXAMPLE:web");
	assert_int_equal(session.packed_policy_size, packed);
	aws_session_done(&session);
	aws_answer_done(&answer);
}

#define JSON_USER                                                                                  \
	"\"AssumedRoleUser\":{\"Arn\":\"arn:aws:sts::111122223333:assumed-role/app/web\","         \
	"\"AssumedRoleId\":\"AROAEXAMPLE:web\"}"
#define JSON_BODY(expiration)                                                                      \
	" \r\n{\"AssumeRoleResponse\":{\"AssumeRoleResult\":{\"Credentials\":{\"AccessKeyId\":"    \
	"\"ASIAEXAMPLE\",\"SecretAccessKey\":\"s/e+c\",\"SessionToken\":\"IQo+/==\","              \
	"\"Expiration\":" expiration "}," JSON_USER ",\"PackedPolicySize\":7},"                    \
	"\"ResponseMetadata\":{\"RequestId\":\"2f9c\"}}}"

static void test_sessions(void **state)
{
	(void)state;
	expect_session(XML_BODY("2026-01-02T03:04:05Z"), 1767323045, 12);
	expect_session(XML_BODY("2026-01-02T03:04:05.678Z"), 1767323045, 12);
	expect_session("<?xml version=\"1.0\"?>\n" XML_BODY("2026-01-02T03:04:05Z"), 1767323045,
		       12);
	expect_session(JSON_BODY("1767323045"), 1767323045, 7);
	expect_session(JSON_BODY("1767323045.0"), 1767323045, 7);
	expect_session(JSON_BODY("1.767323045E9"), 1767323045, 7);
	expect_session(JSON_BODY("\"2026-01-02T03:04:05Z\""), 1767323045, 7);
}

static void test_eks_auth_answer(void **state)
{
	struct aws_answer answer = read_body(
		"{\"subject\":{\"namespace\":\"shop\",\"serviceAccount\":\"web\"},\"audience\":"
		"\"pods.eks.amazonaws.com\",\"podIdentityAssociation\":{\"associationArn\":\"arn:"
		"a\","
		"\"associationId\":\"a-1\"},\"assumedRoleUser\":{\"arn\":\"arn:b\","
		"\"assumeRoleId\":"
		"\"AROA:x\"},\"credentials\":{\"accessKeyId\":\"K\",\"secretAccessKey\":\"S\","
		"\"sessionToken\":\"T\",\"expiration\":1767345045}}");
	struct aws_session session = {};

	(void)state;
	assert_int_equal(aws_answer_session(&answer, &session), 0);
	assert_string_equal(session.subject, "web");
	assert_string_equal(session.subject_namespace, "shop");
	assert_string_equal(session.audience, "pods.eks.amazonaws.com");
	assert_string_equal(session.association_arn, "arn:a");
	assert_string_equal(session.association_id, "a-1");
	assert_string_equal(session.arn, "arn:b");
	assert_string_equal(session.role_id, "AROA:x");
	assert_int_equal(session.expiration, 1767345045);
	assert_int_equal(session.packed_policy_size, -1);
	aws_session_done(&session);
	aws_answer_done(&answer);
}

static void expect_error(const char *body, const char *code, const char *message)
{
	struct aws_answer answer = read_body(body);

	assert_string_equal(answer.fields[AWS_ERROR_CODE] ?: "(none)", code);
	assert_string_equal(answer.fields[AWS_ERROR_MESSAGE] ?: "(none)", message);
	aws_answer_done(&answer);
}

static void test_error_bodies(void **state)
{
	(void)state;
	expect_error(
		"<ErrorResponse xmlns=\"x\"><Error><Type>Sender</Type><Code>AccessDenied</Code>"
		"<Message>a &amp; &lt;b&gt; &#x41;</Message></Error></ErrorResponse>",
		"AccessDenied", "a & <b> A");
	expect_error("<Error><Code>A</Code><Code>B</Code></Error>", "A", "(none)");
	expect_error("{\"Error\":{\"Code\":\"A\",\"Message\":\"m\",\"Type\":\"Sender\"}}", "A",
		     "m");
	expect_error("{\"__type\":\"ns#A\",\"message\":\"m\",\"Message\":\"n\"}", "ns#A", "m");
	expect_error("{\"code\":\"A\",\"Code\":\"B\"}", "A", "(none)");
	expect_error("{}", "(none)", "(none)");
}

static void test_no_answers(void **state)
{
	static const char *const rows[] = {
		"",
		" ",
		"text",
		"[]",
		"{",
		"{\"a\":1}x",
		"{\"a\":1,\"a\":2}",
		"{\"a\":\"\\u0000\"}",
		"<a>",
		"<a></b>",
		"<a/><b/>",
		"<!DOCTYPE a><a/>",
		"<!DOCTYPE a [<!ENTITY b \"c\">]><a>&b;</a>",
		"<a>&b;</a>",
		"<a><b><c><d><e><f><g><h><i/></h></g></f></e></d></c></b></a>",
		"{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":1}}}}}}}}}",
		"<Credentials><SessionToken>a</SessionToken><SessionToken>b</SessionToken></"
		"Credentials>",
		"{\"credentials\":{\"sessionToken\":\"a\"},\"Credentials\":{\"SessionToken\":\"b\"}"
		"}",
	};
	struct aws_answer answer;
	char *large = calloc(1, 100000);

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		if (aws_answer_read(rows[i], strlen(rows[i]), &answer) != -EBADMSG)
			fail_msg("%s", rows[i]);
	memset(large, ' ', 99998);
	memcpy(large + 99990, "{}", 2);
	assert_int_equal(aws_answer_read(large, 99999, &answer), -EBADMSG);
	strcpy(large, "<a>");
	for (size_t i = 0; i < 1001; i++)
		strcat(large, "<b/>");
	strcat(large, "</a>");
	assert_int_equal(aws_answer_read(large, strlen(large), &answer), -EBADMSG);
	assert_int_equal(aws_answer_read("<a\0/>", 5, &answer), -EBADMSG);
	free(large);
}

static void test_no_sessions(void **state)
{
	static const char *const rows[] = {
		"{}",
		"{\"AccessKeyId\":\"K\",\"SecretAccessKey\":\"S\",\"Token\":\"T\"}",
		"{\"AccessKeyId\":\"K\",\"SecretAccessKey\":\"S\",\"Expiration\":1}",
		"{\"AccessKeyId\":\"K\",\"SecretAccessKey\":\"\",\"Token\":\"T\",\"Expiration\":1}",
		"{\"AccessKeyId\":\"K\",\"SecretAccessKey\":null,\"Token\":\"T\",\"Expiration\":1}",
		"{\"AccessKeyId\":\"K\",\"SecretAccessKey\":\"S\",\"Token\":\"T "
		"T\",\"Expiration\":1}",
		"{\"AccessKeyId\":\"K\\n\",\"SecretAccessKey\":\"S\",\"Token\":\"T\","
		"\"Expiration\":1}",
		"{\"AccessKeyId\":\"K\",\"SecretAccessKey\":\"S\\\"\",\"Token\":\"T\","
		"\"Expiration\":1}",
		"{\"AccessKeyId\":\"K\",\"SecretAccessKey\":\"S\",\"Token\":\"T\",\"Expiration\":-"
		"1}",
		"{\"AccessKeyId\":\"K\",\"SecretAccessKey\":\"S\",\"Token\":\"T\",\"Expiration\":"
		"1e300}",
		"{\"AccessKeyId\":\"K\",\"SecretAccessKey\":\"S\",\"Token\":\"T\",\"Expiration\":"
		"\"soon\"}",
		"{\"AccessKeyId\":\"K\",\"SecretAccessKey\":\"S\",\"Token\":\"T\",\"Expiration\":"
		"\"2026-01-02T03:04:05+00:00\"}",
		"{\"AccessKeyId\":\"K\",\"SecretAccessKey\":\"S\",\"Token\":\"T\",\"Expiration\":"
		"true}",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct aws_answer answer = read_body(rows[i]);
		struct aws_session session = {};

		if (aws_answer_session(&answer, &session) != -EBADMSG)
			fail_msg("%s", rows[i]);
		assert_null(session.access_key_id);
		aws_answer_done(&answer);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_roles),	      cmocka_unit_test(test_lengths),
		cmocka_unit_test(test_assumed_roles), cmocka_unit_test(test_any_arn),
		cmocka_unit_test(test_partitions),    cmocka_unit_test(test_hosts),
		cmocka_unit_test(test_own_urls),      cmocka_unit_test(test_no_endpoint),
		cmocka_unit_test(test_classes),	      cmocka_unit_test(test_clean),
		cmocka_unit_test(test_sessions),      cmocka_unit_test(test_eks_auth_answer),
		cmocka_unit_test(test_error_bodies),  cmocka_unit_test(test_no_answers),
		cmocka_unit_test(test_no_sessions),
	};

	aws_answer_prepare();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
