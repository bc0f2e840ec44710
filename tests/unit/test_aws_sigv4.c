// SPDX-License-Identifier: Apache-2.0
/* Signatures: known ones, those that botocore computes while this runs, and requests that were
 * changed on their way. */
/* MODULES: aws crypto base */
/* LIBS: -lcrypto -ljansson */
#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
#include <jansson.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "aws/canonical.h"
#include "base/cleanup.h"
#include "base/secret.h"
#include "base/file.h"
#include "base/text.h"
#include "crypto/certificate.h"
#include "crypto/hash.h"

#define KEY    "AKIDEXAMPLE"
#define SECRET "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
#define TOKEN  "FQoExampleSessionToken=="
#define NOW    1767323045 /* 20260102T030405Z */
#define DATE   "20260102T030405Z"
#define FORM   "application/x-www-form-urlencoded; charset=utf-8"
#define BODY                                                                                       \
	"Action=AssumeRole&Version=2011-06-15&RoleArn=arn%3Aaws%3Aiam%3A%3A111122223333%3Arole%"   \
	"2Fapp&RoleSessionName=eks-demo-web-0&DurationSeconds=3600&Tags.member.1.Key=kubernetes-"  \
	"namespace&Tags.member.1.Value=shop&TransitiveTagKeys.member.1=kubernetes-namespace"

static const struct aws_keys user_keys = {KEY, SECRET, NULL};
static const struct aws_keys role_keys = {KEY, SECRET, TOKEN};
static const struct aws_scope sts = {"eu-west-1", "sts"};
static const struct aws_scope eks_auth = {"eu-west-1", "eks-auth"};

static const struct aws_header sts_headers[] = {{"Host", "sts.eu-west-1.amazonaws.com"},
						{"Content-Type", FORM}};
static const struct aws_request sts_request = {
	.method = "POST",
	.target = "/",
	.headers = sts_headers,
	.n_headers = 2,
	.body = BODY,
	.body_len = sizeof(BODY) - 1,
};

static void hex_of(const uint8_t *bytes, size_t len, char *ret)
{
	for (size_t i = 0; i < len; i++)
		sprintf(ret + 2 * i, "%02x", bytes[i]);
}

static void expect_hash(const void *data, size_t len, const char *hex)
{
	uint8_t hash[CRYPTO_SHA256_SIZE];
	char text[65];

	assert_int_equal(crypto_sha256(data, len, hash), 0);
	hex_of(hash, sizeof(hash), text);
	assert_string_equal(text, hex);
}

static void expect_canonical(const struct aws_request *request, const char *names, const char *hash)
{
	_cleanup_(text_done) struct text canonical = {};

	assert_int_equal(aws_canonical_request(request, names, "sts", &canonical), 0);
	expect_hash(canonical.data, canonical.len, hash);
}

static void expect_signature(const struct aws_request *request, const struct aws_keys *keys,
			     const struct aws_scope *scope, const char *names,
			     const char *signature)
{
	_cleanup_(aws_signed_done) struct aws_signed s = {};
	char want[1024];

	snprintf(want, sizeof(want),
		 "AWS4-HMAC-SHA256 Credential=" KEY
		 "/20260102/%s/%s/aws4_request, SignedHeaders=%s, "
		 "Signature=%s",
		 scope->region, scope->service, names, signature);
	assert_int_equal(aws_sign(request, keys, scope, NOW, &s), 0);
	assert_string_equal(s.date, DATE);
	assert_string_equal(s.authorization, want);
}

#define NAMES_3 "content-type;host;x-amz-date"
#define NAMES_4 NAMES_3 ";x-amz-security-token"

/* ---- known answers ---- */

static void test_known_sts(void **state)
{
	const struct aws_header headers[] = {sts_headers[0],
					     sts_headers[1],
					     {"x-amz-date", DATE},
					     {"x-amz-security-token", TOKEN}};
	struct aws_request with = sts_request;

	(void)state;
	expect_hash(BODY, sizeof(BODY) - 1,
		    "fe6a66423775ca7ea29fe0eb5301db97f926b03554f7cdb457e6cb18448282da");
	with.headers = headers;
	with.n_headers = 4;
	expect_canonical(&with, NAMES_3,
			 "e9be72371f5a33ee75a7313c44b1473555af85032eff1bfcd08212b4845083b5");
	expect_canonical(&with, NAMES_4,
			 "fbc4e80d91327aaafbd9f7270490a1ef06414dfc5d965e83ff9a166328dcff0a");
	expect_signature(&sts_request, &user_keys, &sts, NAMES_3,
			 "b336b70236aeec63bc2ee9a660235cc2823d5a70a2b4d56e014523bfaee5313e");
	expect_signature(&sts_request, &role_keys, &sts, NAMES_4,
			 "324981967bc192da9134b778afe0ad0dc0af7629c8180d6605a03276db6a49f3");
}

static void test_known_eks_auth(void **state)
{
	static const char body[] = "{\"token\":\"aaa.bbb.ccc\"}";
	static const char want[] =
		"POST\n"
		"/clusters/demo/assume-role-for-pod-identity\n"
		"\n"
		"content-type:application/json\n"
		"host:eks-auth.eu-west-1.api.aws\n"
		"x-amz-date:20260102T030405Z\n"
		"x-amz-security-token:FQoExampleSessionToken==\n"
		"\n"
		"content-type;host;x-amz-date;x-amz-security-token\n"
		"ab5a6cf89f9b9bd9e7ac91e5abada43080a9a2970a25b9be8b055fb39e17ca2d";
	const struct aws_header headers[] = {{"Host", "eks-auth.eu-west-1.api.aws"},
					     {"Content-Type", "application/json"},
					     {"X-Amz-Date", DATE},
					     {"X-Amz-Security-Token", TOKEN}};
	const struct aws_request request = {
		.method = "POST",
		.target = "/clusters/demo/assume-role-for-pod-identity",
		.headers = headers,
		.n_headers = 2,
		.body = body,
		.body_len = strlen(body),
	};
	struct aws_request with = request;
	_cleanup_(text_done) struct text canonical = {};

	(void)state;
	with.n_headers = 4;
	assert_int_equal(aws_canonical_request(&with, NAMES_4, "eks-auth", &canonical), 0);
	assert_int_equal(canonical.len, strlen(want));
	assert_memory_equal(canonical.data, want, canonical.len);
	expect_hash(canonical.data, canonical.len,
		    "ba0b96ea227f9f05cce67e2fdcf23eb02028191f587f2a69dce8497fd78d9fbe");
	expect_signature(&request, &role_keys, &eks_auth, NAMES_4,
			 "72c0e3c2e3193e34ee7da82d28779b97e00393b8c7daa6ad677b7115a610b21a");
}

/* The key itself: a signature of nothing but a text tells whether it is the one that is known. */
static void expect_key(const struct aws_scope *scope, const char *hex)
{
	static const char text[] = "any text";
	_cleanup_(text_done) struct text t = {};
	uint8_t key[32], want[32], got[32];

	for (size_t i = 0; i < sizeof(key); i++)
		assert_int_equal(sscanf(hex + 2 * i, "%2hhx", &key[i]), 1);
	assert_int_equal(crypto_hmac_sha256(key, sizeof(key), text, strlen(text), want), 0);
	text_add(&t, text);
	assert_int_equal(aws_hmac_signature(SECRET, "20260102", scope, &t, got), 0);
	assert_memory_equal(got, want, sizeof(want));
}

static void test_known_keys(void **state)
{
	(void)state;
	expect_key(&sts, "bcc9739dea8f4dde5960e7ea979eb07cd0e1165b67ded2944c7e4455a4f0c2c4");
	expect_key(&eks_auth, "a42922f74ee322fec17e927d20d22e000c3440c9788ba3887335325909bbcc58");
}

/* S3 alone hashes paths as they are. */
static void test_s3(void **state)
{
	const struct aws_header headers[] = {{"host", "x"}};
	const struct aws_request request = {
		.method = "GET", .target = "/a//b/../%20", .headers = headers, .n_headers = 1};
	static const char want[] = "GET\n/a//b/../%20\n\nhost:x\n\nhost\n";
	_cleanup_(text_done) struct text canonical = {};

	(void)state;
	assert_int_equal(aws_canonical_request(&request, "host", "s3", &canonical), 0);
	assert_memory_equal(canonical.data, want, strlen(want));
}

/* Spellings that mean the same, which botocore passes on as they are. */
static void test_query_spelling(void **state)
{
	static const char *const rows[][2] = {
		{"/?a=%3a%2f", "a=%3A%2F"},
		{"/?a=b+c", "a=b%2Bc"},
		{"/?a=%41", "a=A"},
		{"/?&&a=1&&", "a=1"},
		{"/?a=100%", "a=100%25"},
		{"/?a=%zz", "a=%25zz"},
		{"/?a=b=c", "a=b%3Dc"},
		{"/?%61=2&a=1", "a=1&a=2"},
		{"/?", ""},
		{"/?=1", "=1"},
		{"/?a=%0", "a=%250"},
	};
	const struct aws_header headers[] = {{"host", "x"}};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		const struct aws_request request = {
			.method = "GET", .target = rows[i][0], .headers = headers, .n_headers = 1};
		_cleanup_(text_done) struct text canonical = {};
		char want[256];

		snprintf(want, sizeof(want), "GET\n/\n%s\nhost:x\n", rows[i][1]);
		assert_int_equal(aws_canonical_request(&request, "host", "sts", &canonical), 0);
		if (strncmp(canonical.data, want, strlen(want)) != 0)
			fail_msg("%s: %.*s", rows[i][0], (int)canonical.len, canonical.data);
	}
}

static void expect_refused(struct aws_request request, const struct aws_keys *keys, time_t when,
			   int error)
{
	struct aws_signed s = {};

	assert_int_equal(aws_sign(&request, keys, &sts, when, &s), error);
	assert_null(s.authorization);
}

static void test_cannot_be_signed(void **state)
{
	const struct aws_header bad[] = {{"Host", "x"}, {"X-Y", "a\nb"}};
	const struct aws_header bad_name[] = {{"Host", "x"}, {"X Y", "a"}};
	struct aws_request r = sts_request;

	(void)state;
	expect_refused(r, &user_keys, 253402300800, -ERANGE);
	expect_refused(r, &(struct aws_keys){"A/B", SECRET, NULL}, NOW, -EINVAL);
	expect_refused(r, &(struct aws_keys){"", SECRET, NULL}, NOW, -EINVAL);
	expect_refused(r, &(struct aws_keys){KEY, SECRET, "a\r\nX: y"}, NOW, -EINVAL);
	r.target = "http://x/";
	expect_refused(r, &user_keys, NOW, -EINVAL);
	r.target = "/a b";
	expect_refused(r, &user_keys, NOW, -EINVAL);
	r = sts_request;
	r.method = "GET\n";
	expect_refused(r, &user_keys, NOW, -EINVAL);
	r = sts_request;
	r.headers = bad;
	expect_refused(r, &user_keys, NOW, -EINVAL);
	r.headers = bad_name;
	expect_refused(r, &user_keys, NOW, -EINVAL);
	r.headers = sts_headers + 1;
	r.n_headers = 1;
	expect_refused(r, &user_keys, NOW, -EINVAL);
}

/* ---- what botocore says ---- */

#define MAX_HEADERS 16

struct vector {
	json_t *json;
	const char *name;
	struct aws_header headers[MAX_HEADERS];
	struct aws_request request;
	struct aws_keys keys;
	struct aws_scope scope;
	const char *authorization, *canonical;
};

static const char *string(const struct vector *v, const char *name)
{
	return json_string_value(json_object_get(v->json, name));
}

static void take_vector(struct vector *v, const char *line)
{
	json_t *headers, *header;
	size_t i;

	v->json = json_loads(line, 0, NULL);
	assert_non_null(v->json);
	headers = json_object_get(v->json, "headers");
	json_array_foreach (headers, i, header) {
		assert_true(i < MAX_HEADERS - 2);
		v->headers[i].name = json_string_value(json_array_get(header, 0));
		v->headers[i].value = json_string_value(json_array_get(header, 1));
	}
	v->name = string(v, "name");
	v->request = (struct aws_request){
		.method = string(v, "method"),
		.target = string(v, "target"),
		.headers = v->headers,
		.n_headers = json_array_size(headers),
		.body = string(v, "body"),
		.body_len = strlen(string(v, "body")),
	};
	v->keys = (struct aws_keys){KEY, SECRET, string(v, "token")};
	v->scope = (struct aws_scope){string(v, "region"), string(v, "service")};
	v->authorization = string(v, "authorization");
	v->canonical = string(v, "canonical");
}

/* As it goes over the wire. */
static void add_signature(struct vector *v, const char *date)
{
	v->headers[v->request.n_headers++] = (struct aws_header){"X-Amz-Date", date};
	if (v->keys.session_token)
		v->headers[v->request.n_headers++] =
			(struct aws_header){"x-amz-security-token", v->keys.session_token};
}

static int verify_at(const struct vector *v, time_t now)
{
	struct aws_claim claim;

	assert_int_equal(aws_claim_parse(v->authorization, &claim), 0);
	assert_string_equal(claim.access_key_id, KEY);
	return aws_verify(&v->request, &claim, SECRET, &v->scope, now);
}

static bool has_repeated(const struct vector *v)
{
	for (size_t i = 0; i < v->request.n_headers; i++)
		for (size_t k = 0; k < i; k++)
			if (!strcasecmp(v->headers[i].name, v->headers[k].name) &&
			    (!strncasecmp(v->headers[i].name, "x-amz-", 6) ||
			     !strcasecmp(v->headers[i].name, "content-type")))
				return true;
	return false;
}

static void show_difference(const struct vector *v)
{
	_cleanup_(text_done) struct text canonical = {};
	const char *names = strstr(v->authorization, "SignedHeaders=") + 14;
	struct vector with = *v;
	char list[1024];

	with.request.headers = with.headers;
	add_signature(&with, DATE);
	snprintf(list, sizeof(list), "%.*s", (int)strcspn(names, ","), names);
	aws_canonical_request(&with.request, list, v->scope.service, &canonical);
	print_message("%s\nwant:\n%s\ngot:\n%.*s\n", v->name, v->canonical, (int)canonical.len,
		      canonical.data);
}

static void check_vector(struct vector *v)
{
	_cleanup_(aws_signed_done) struct aws_signed s = {};

	assert_int_equal(aws_sign(&v->request, &v->keys, &v->scope, NOW, &s), 0);
	if (strcmp(s.authorization, v->authorization) != 0)
		show_difference(v);
	assert_string_equal(s.authorization, v->authorization);
	assert_string_equal(s.date, DATE);
	add_signature(v, DATE);
	assert_int_equal(verify_at(v, NOW), has_repeated(v) ? -EBADMSG : 0);
}

static void test_botocore(void **state)
{
	FILE *f = popen("tests/unit/aws_vectors.py", "r");
	char *line = NULL;
	size_t size = 0, n = 0;

	(void)state;
	assert_non_null(f);
	while (getline(&line, &size, f) > 0) {
		struct vector v = {};

		take_vector(&v, line);
		check_vector(&v);
		json_decref(v.json);
		n++;
	}
	free(line);
	assert_int_equal(pclose(f), 0);
	assert_true(n > 400);
}

/* ---- what was changed on its way ---- */

#define AUTHORIZATION                                                                              \
	"AWS4-HMAC-SHA256 Credential=" KEY "/20260102/eu-west-1/sts/aws4_request, "                \
	"SignedHeaders=" NAMES_4 ", "                                                              \
	"Signature=324981967bc192da9134b778afe0ad0dc0af7629c8180d6605a03276db6a49f3"

static struct vector good(void)
{
	struct vector v = {
		.request = sts_request,
		.keys = role_keys,
		.scope = sts,
		.authorization = AUTHORIZATION,
	};

	memcpy(v.headers, sts_headers, sizeof(sts_headers));
	add_signature(&v, DATE);
	return v;
}

static int verify(struct vector *v)
{
	v->request.headers = v->headers;
	return verify_at(v, NOW);
}

static void test_tampered(void **state)
{
	struct vector v = good();

	(void)state;
	assert_int_equal(verify(&v), 0);
	v = good(), v.request.method = "GET";
	assert_int_equal(verify(&v), -EKEYREJECTED);
	v = good(), v.request.target = "/?a";
	assert_int_equal(verify(&v), -EKEYREJECTED);
	v = good(), v.request.target = "/x";
	assert_int_equal(verify(&v), -EKEYREJECTED);
	v = good(), v.request.body_len--;
	assert_int_equal(verify(&v), -EKEYREJECTED);
	v = good(), v.request.body = NULL;
	assert_int_equal(verify(&v), -EKEYREJECTED);
	v = good(), v.headers[0].value = "sts.eu-west-2.amazonaws.com";
	assert_int_equal(verify(&v), -EKEYREJECTED);
	v = good(), v.headers[1].value = "text/plain";
	assert_int_equal(verify(&v), -EKEYREJECTED);
	v = good(), v.headers[2].value = "20260102T030406Z";
	assert_int_equal(verify(&v), -EKEYREJECTED);
	v = good(), v.headers[3].value = "FQoExampleSessionToken=";
	assert_int_equal(verify(&v), -EKEYREJECTED);
}

/* What is not signed may be anything, but not what changes the meaning. */
static void test_headers_that_must_be_signed(void **state)
{
	struct vector v = good();
	struct aws_claim claim;

	(void)state;
	v.headers[v.request.n_headers++] = (struct aws_header){"User-Agent", "x"};
	v.headers[v.request.n_headers++] = (struct aws_header){"amz-sdk-request", "attempt=1"};
	assert_int_equal(verify(&v), 0);
	v.headers[v.request.n_headers++] = (struct aws_header){"X-Amz-Target", "x"};
	assert_int_equal(verify(&v), -EBADMSG);
	v = good(), v.headers[v.request.n_headers++] = v.headers[0];
	assert_int_equal(verify(&v), -EBADMSG);
	v = good(), v.headers[v.request.n_headers++] = v.headers[2];
	assert_int_equal(verify(&v), -EBADMSG);
	v = good(), v.request.n_headers--; /* signed, and not there */
	assert_int_equal(verify(&v), -EBADMSG);
	v = good();
	v.request.headers = v.headers;
	assert_int_equal(aws_claim_parse(AUTHORIZATION, &claim), 0);
	strcpy(claim.signed_headers, "content-type;x-amz-date;x-amz-security-token");
	assert_int_equal(aws_verify(&v.request, &claim, SECRET, &sts, NOW), -EBADMSG);
	strcpy(claim.signed_headers, NAMES_3);
	assert_int_equal(aws_verify(&v.request, &claim, SECRET, &sts, NOW), -EBADMSG);
	strcpy(claim.signed_headers, "host;x-amz-date;x-amz-security-token");
	assert_int_equal(aws_verify(&v.request, &claim, SECRET, &sts, NOW), -EBADMSG);
}

static void test_time_and_scope(void **state)
{
	struct vector v = good();
	struct aws_claim claim;

	(void)state;
	v.request.headers = v.headers;
	assert_int_equal(verify_at(&v, NOW - 900), 0);
	assert_int_equal(verify_at(&v, NOW + 900), 0);
	assert_int_equal(verify_at(&v, NOW - 901), -ETIME);
	assert_int_equal(verify_at(&v, NOW + 901), -ETIME);
	v.scope.region = "eu-west-2";
	assert_int_equal(verify(&v), -EDOM);
	v.scope = eks_auth;
	assert_int_equal(verify(&v), -EDOM);
	v = good();
	assert_int_equal(aws_claim_parse(AUTHORIZATION, &claim), 0);
	strcpy(claim.date, "20260103");
	v.request.headers = v.headers;
	assert_int_equal(aws_verify(&v.request, &claim, SECRET, &sts, NOW), -EDOM);
	assert_int_equal(aws_claim_parse(AUTHORIZATION, &claim), 0);
	assert_int_equal(aws_verify(&v.request, &claim, SECRET "x", &sts, NOW), -EKEYREJECTED);
	assert_int_equal(aws_verify(&v.request, &claim, "", &sts, NOW), -EKEYREJECTED);
	v.headers[2].value = "20260102T030460Z";
	assert_int_equal(verify(&v), -EBADMSG);
	v.headers[2].value = "20260102T030405";
	assert_int_equal(verify(&v), -EBADMSG);
	v.headers[2].value = "";
	assert_int_equal(verify(&v), -EBADMSG);
}

static void test_signature_bits(void **state)
{
	struct vector v = good();
	struct aws_claim claim;

	(void)state;
	v.request.headers = v.headers;
	for (size_t i = 0; i < 256; i++) {
		assert_int_equal(aws_claim_parse(AUTHORIZATION, &claim), 0);
		claim.signature[i / 8] ^= (uint8_t)(1 << i % 8);
		assert_int_equal(aws_verify(&v.request, &claim, SECRET, &sts, NOW), -EKEYREJECTED);
	}
}

#define CREDENTIAL "Credential=" KEY "/20260102/eu-west-1/sts/aws4_request"
#define SIGNATURE  "Signature=324981967bc192da9134b778afe0ad0dc0af7629c8180d6605a03276db6a49f3"

static void test_claims(void **state)
{
	static const char *const right[] = {
		"AWS4-HMAC-SHA256 " CREDENTIAL ",SignedHeaders=host," SIGNATURE,
		"AWS4-HMAC-SHA256   " SIGNATURE ",  SignedHeaders=a;b;host, " CREDENTIAL,
	};
	static const char *const wrong[] = {
		"",
		"Bearer x",
		"AWS4-HMAC-SHA256",
		"AWS4-HMAC-SHA256 ",
		"AWS4-X509-RSA-SHA256 " CREDENTIAL ", SignedHeaders=host, " SIGNATURE,
		"AWS4-HMAC-SHA256 SignedHeaders=host, " SIGNATURE,
		"AWS4-HMAC-SHA256 " CREDENTIAL ", " SIGNATURE,
		"AWS4-HMAC-SHA256 " CREDENTIAL ", SignedHeaders=host",
		"AWS4-HMAC-SHA256 " CREDENTIAL ", " CREDENTIAL ", SignedHeaders=host, " SIGNATURE,
		"AWS4-HMAC-SHA256 " CREDENTIAL ", SignedHeaders=host, " SIGNATURE ", X=y",
		"AWS4-HMAC-SHA256 " CREDENTIAL ", SignedHeaders=host, " SIGNATURE ", ,",
		"AWS4-HMAC-SHA256 " CREDENTIAL ", SignedHeaders=host, " SIGNATURE "0",
		"AWS4-HMAC-SHA256 " CREDENTIAL ", SignedHeaders=host, Signature=3249",
		"AWS4-HMAC-SHA256 " CREDENTIAL ", SignedHeaders=Host, " SIGNATURE,
		"AWS4-HMAC-SHA256 " CREDENTIAL ", SignedHeaders=host;date, " SIGNATURE,
		"AWS4-HMAC-SHA256 " CREDENTIAL ", SignedHeaders=host;host, " SIGNATURE,
		"AWS4-HMAC-SHA256 " CREDENTIAL ", SignedHeaders=host;, " SIGNATURE,
		"AWS4-HMAC-SHA256 " CREDENTIAL ", SignedHeaders=;host, " SIGNATURE,
		"AWS4-HMAC-SHA256 " CREDENTIAL ", SignedHeaders=, " SIGNATURE,
		"AWS4-HMAC-SHA256 " CREDENTIAL "/x, SignedHeaders=host, " SIGNATURE,
		"AWS4-HMAC-SHA256 Credential=/20260102/r/s/aws4_request, "
		"SignedHeaders=host, " SIGNATURE,
		"AWS4-HMAC-SHA256 Credential=K/2026010/r/s/aws4_request, "
		"SignedHeaders=host, " SIGNATURE,
		"AWS4-HMAC-SHA256 Credential=K/20260102/r/s/aws3_request, "
		"SignedHeaders=host, " SIGNATURE,
		"AWS4-HMAC-SHA256 Credential=K L/20260102/r/s/aws4_request, "
		"SignedHeaders=host, " SIGNATURE,
		"AWS4-HMAC-SHA256 Credential=K/20260102/r/aws4_request, "
		"SignedHeaders=host, " SIGNATURE,
	};
	struct aws_claim claim;
	char *longest;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(right); i++)
		assert_int_equal(aws_claim_parse(right[i], &claim), 0);
	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++)
		if (aws_claim_parse(wrong[i], &claim) != -EINVAL)
			fail_msg("%s", wrong[i]);
	assert_true(asprintf(&longest,
			     "AWS4-HMAC-SHA256 " CREDENTIAL ", SignedHeaders=%01100d, " SIGNATURE,
			     0) > 0);
	assert_int_equal(aws_claim_parse(longest, &claim), -EINVAL);
	free(longest);
}

/* ---- certificates ---- */

static char dir[] = "/tmp/podcred-sigv4-XXXXXX";

static void make_certificate(const char *name, const char *kind)
{
	char command[512];

	snprintf(command, sizeof(command),
		 "cd %s && openssl req -x509 %s -nodes -keyout %s.key -out %s.pem -days 1 "
		 "-set_serial 0x0102030405060708090a -subj /CN=node 2>%s.log",
		 dir, kind, name, name, name);
	assert_int_equal(system(command), 0);
}

static int setup(void **state)
{
	(void)state;
	assert_non_null(mkdtemp(dir));
	make_certificate("rsa", "-newkey rsa:2048");
	make_certificate("ec", "-newkey ec -pkeyopt ec_paramgen_curve:P-256");
	make_certificate("ed", "-newkey ed25519");
	return 0;
}

static int teardown(void **state)
{
	char command[64];

	(void)state;
	snprintf(command, sizeof(command), "rm -rf %s", dir);
	return system(command);
}

static char *read_pem(const char *name)
{
	char path[128], *text;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	assert_int_equal(file_read(path, 65536, &text, NULL), 0);
	return text;
}

static size_t unhex(const char *text, uint8_t *ret, size_t size)
{
	size_t n = strlen(text) / 2;

	assert_true(n <= size);
	for (size_t i = 0; i < n; i++)
		assert_int_equal(sscanf(text + 2 * i, "%2hhx", &ret[i]), 1);
	return n;
}

/* By libcrypto alone: the certificate's key has signed this text. */
static void expect_signed(const char *pem, const char *text, const char *hex)
{
	BIO *bio = BIO_new_mem_buf(pem, -1);
	X509 *x = PEM_read_bio_X509(bio, NULL, NULL, NULL);
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	uint8_t signature[512];
	size_t n = unhex(hex, signature, sizeof(signature));

	assert_int_equal(EVP_DigestVerifyInit(ctx, NULL, EVP_sha256(), NULL, X509_get0_pubkey(x)),
			 1);
	assert_int_equal(EVP_DigestVerify(ctx, signature, n, (const uint8_t *)text, strlen(text)),
			 1);
	EVP_MD_CTX_free(ctx);
	X509_free(x);
	BIO_free(bio);
}

/* What has to be signed, written out. */
static void string_to_sign(const char *algorithm, const char *certificate, char *ret, size_t size)
{
	static const char body[] = "{\"durationSeconds\":3600}";
	_cleanup_free_ char *canonical = NULL;
	uint8_t hash[32];
	char hex[65];

	assert_int_equal(crypto_sha256(body, strlen(body), hash), 0);
	hex_of(hash, 32, hex);
	assert_true(asprintf(&canonical,
			     "POST\n/sessions\nprofileArn=arn%%3Aaws%%3Ap&roleArn=arn%%3Aaws%%3Ar\n"
			     "content-type:application/"
			     "json\nhost:rolesanywhere.eu-west-1.amazonaws.com\n"
			     "x-amz-date:" DATE "\nx-amz-x509:%s\n\n"
			     "content-type;host;x-amz-date;x-amz-x509\n%s",
			     certificate, hex) > 0);
	assert_int_equal(crypto_sha256(canonical, strlen(canonical), hash), 0);
	hex_of(hash, 32, hex);
	snprintf(ret, size, "%s\n" DATE "\n20260102/eu-west-1/rolesanywhere/aws4_request\n%s",
		 algorithm, hex);
}

static void check_x509(const char *name, const char *algorithm)
{
	_cleanup_free_ char *pem = read_pem(strcmp(name, "rsa") ? "ec.pem" : "rsa.pem");
	_cleanup_free_ char *key_pem = read_pem(strcmp(name, "rsa") ? "ec.key" : "rsa.key");
	_cleanup_(crypto_certificate_freep) struct crypto_certificate *certificate = NULL;
	_cleanup_(crypto_key_freep) struct crypto_key *key = NULL;
	_cleanup_(aws_signed_done) struct aws_signed s = {};
	const struct aws_scope scope = {"eu-west-1", "rolesanywhere"};
	char front[256], text[512];

	assert_int_equal(crypto_certificate_parse(pem, &certificate), 0);
	assert_int_equal(crypto_key_parse(key_pem, &key), 0);
	assert_string_equal(crypto_certificate_chain(certificate), "");
	{
		const struct aws_header headers[] = {
			{"Host", "rolesanywhere.eu-west-1.amazonaws.com"},
			{"X-Amz-X509", crypto_certificate_text(certificate)},
			{"Content-Type", "application/json"}};
		const struct aws_request request = {
			.method = "POST",
			.target = "/sessions?roleArn=arn%3Aaws%3Ar&profileArn=arn%3Aaws%3Ap",
			.headers = headers,
			.n_headers = 3,
			.body = "{\"durationSeconds\":3600}",
			.body_len = 24,
		};

		assert_int_equal(aws_sign_x509(&request, certificate, key, &scope, NOW, &s), 0);
	}
	snprintf(front, sizeof(front),
		 "%s "
		 "Credential=4759477275222530853130/20260102/eu-west-1/rolesanywhere/aws4_request, "
		 "SignedHeaders=content-type;host;x-amz-date;x-amz-x509, Signature=",
		 algorithm);
	assert_memory_equal(s.authorization, front, strlen(front));
	string_to_sign(algorithm, crypto_certificate_text(certificate), text, sizeof(text));
	expect_signed(pem, text, s.authorization + strlen(front));
}

static void test_x509(void **state)
{
	(void)state;
	check_x509("rsa", "AWS4-X509-RSA-SHA256");
	check_x509("ec", "AWS4-X509-ECDSA-SHA256");
}

static void test_certificates(void **state)
{
	_cleanup_free_ char *rsa = read_pem("rsa.pem"), *ec = read_pem("ec.pem"), *both = NULL,
			    *broken = NULL;
	_cleanup_(crypto_certificate_freep) struct crypto_certificate *first = NULL, *second = NULL;
	struct crypto_certificate *none = NULL;

	(void)state;
	assert_true(asprintf(&both, "text before\n%s\n%stext behind", rsa, ec) > 0);
	assert_int_equal(crypto_certificate_parse(both, &first), 0);
	assert_int_equal(crypto_certificate_parse(ec, &second), 0);
	assert_string_equal(crypto_certificate_chain(first), crypto_certificate_text(second));
	assert_int_equal(crypto_certificate_parse("", &none), -EINVAL);
	assert_int_equal(crypto_certificate_parse("no PEM", &none), -EINVAL);
	assert_true(asprintf(&broken, "%s%.200s\n-----END CERTIFICATE-----\n", rsa, ec) > 0);
	assert_int_equal(crypto_certificate_parse(broken, &none), -EINVAL);
}

static void test_keys(void **state)
{
	_cleanup_free_ char *rsa = read_pem("rsa.key"), *ec = read_pem("ec.pem"),
			    *ed = read_pem("ed.key");
	_cleanup_(crypto_certificate_freep) struct crypto_certificate *certificate = NULL;
	_cleanup_(crypto_key_freep) struct crypto_key *key = NULL;
	_cleanup_free_ char *locked = NULL;
	struct crypto_key *none = NULL;
	struct aws_signed s = {};
	char command[256];

	(void)state;
	assert_int_equal(crypto_key_parse(rsa, &key), 0);
	assert_int_equal(crypto_key_kind(key), CRYPTO_KEY_RSA);
	assert_int_equal(crypto_certificate_parse(ec, &certificate), 0);
	assert_int_equal(crypto_key_check(key, certificate), -ENOKEY);
	assert_int_equal(aws_sign_x509(&sts_request, certificate, key, &sts, NOW, &s), -ENOKEY);
	assert_int_equal(crypto_key_parse(ec, &none), -EINVAL);
	assert_int_equal(crypto_key_parse(ed, &none), -EINVAL);
	snprintf(command, sizeof(command),
		 "cd %s && openssl rsa -aes128 -passout pass:x -in rsa.key -out locked.key "
		 "2>locked.log",
		 dir);
	assert_int_equal(system(command), 0);
	locked = read_pem("locked.key");
	assert_int_equal(crypto_key_parse(locked, &none), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_known_sts),
		cmocka_unit_test(test_known_eks_auth),
		cmocka_unit_test(test_known_keys),
		cmocka_unit_test(test_s3),
		cmocka_unit_test(test_query_spelling),
		cmocka_unit_test(test_cannot_be_signed),
		cmocka_unit_test(test_botocore),
		cmocka_unit_test(test_tampered),
		cmocka_unit_test(test_headers_that_must_be_signed),
		cmocka_unit_test(test_time_and_scope),
		cmocka_unit_test(test_signature_bits),
		cmocka_unit_test(test_claims),
		cmocka_unit_test(test_x509),
		cmocka_unit_test(test_certificates),
		cmocka_unit_test(test_keys),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
