// SPDX-License-Identifier: Apache-2.0
/* SOURCES: tests/unit/tokens.c */
/* MODULES: broker config credentials aws yaml crypto base */
/* LIBS: -ljansson -lyaml -lpcre2-8 -lcrypto */
/* The broker as an OIDC issuer: its key file, its tokens, what it publishes. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <openssl/pem.h>

#include "base/base64.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "base/file.h"
#include "base/secret.h"
#include "base/text.h"
#include "broker/issuer.h"
#include "config/config.h"
#include "crypto/jwks.h"
#include "crypto/jwt.h"
#include "tokens.h"

#define URL	"https://oidc.example.com/demo"
#define NOW	1767323045
#define ARN	"arn:aws:iam::111122223333:role/app"
#define UID	"5f1b0c1e-6d3a-4f0e-8d61-0a4b2d7e9c11"
#define CLUSTER "arn:aws:eks:eu-west-1:111122223333:cluster/demo"

static struct config config;
static char path[] = "/tmp/podcred-issuer-XXXXXX";
static const struct cred_pod web_0 = {"shop", "web-0", UID, "web"};
static const struct cred_cluster demo = {"demo", CLUSTER};

/* ---- the key file ---- */

static void add_pem(struct text *t, const char *name, const EVP_CIPHER *cipher)
{
	BIO *bio = BIO_new(BIO_s_mem());
	char *data;
	long len;

	assert_non_null(bio);
	assert_int_equal(PEM_write_bio_PrivateKey(bio, tokens_key(name), cipher, NULL, 0, NULL,
						  cipher ? (void *)"secret" : NULL),
			 1);
	len = BIO_get_mem_data(bio, &data);
	text_add_bytes(t, data, (size_t)len);
	BIO_free(bio);
}

static void write_file(const char *text, size_t len)
{
	assert_int_equal(file_write_atomic(path, text, len, 0600), 0);
}

/* Those keys, in that order; NULL ends them. */
static void write_keys(const char *const names[])
{
	_cleanup_(text_done) struct text t = {.max = 1 << 20};

	for (; *names; names++)
		add_pem(&t, *names, NULL);
	write_file(t.data, t.len);
}

#define KEYS(...) ((const char *const[]){__VA_ARGS__, NULL})

static struct broker_issuer *issuer_of(const char *const names[])
{
	struct broker_issuer *issuer = NULL;
	struct pc_err err = {};

	write_keys(names);
	if (broker_issuer_new(&config, &issuer, &err) < 0)
		fail_msg("%s", err.msg);
	return issuer;
}

static void refused(const char *what)
{
	struct broker_issuer *issuer = NULL;
	struct pc_err err = {};

	assert_true(broker_issuer_new(&config, &issuer, &err) < 0);
	assert_null(issuer);
	if (!strstr(err.msg, what) || !strstr(err.msg, path) || strchr(err.msg, '\n'))
		fail_msg("\"%s\" does not say: %s", err.msg, what);
}

static void refused_keys(const char *const names[], const char *what)
{
	write_keys(names);
	refused(what);
}

static void test_other_keys(void **state)
{
	(void)state;
	refused_keys(KEYS("P-384"), "private key 1 is neither of P-256 nor RSA");
	refused_keys(KEYS("P-256", "RSA-1024"), "private key 2 has 1024 bits");
	refused_keys(KEYS("P-256", "RSA-2048", "P-256"), "private key 3 is key 1 again");
	refused_keys(KEYS("P-256", "P-384", "P-384", "P-384", "P-384", "P-384", "P-384", "P-384",
			  "P-384"),
		     "private key 2");
}

static void test_bad_files(void **state)
{
	static const char certificate[] = "-----BEGIN CERTIFICATE-----\nAAAA\n"
					  "-----END CERTIFICATE-----\n",
			  broken[] = "-----BEGIN PRIVATE KEY-----\nMIGHAgEA\n"
				     "-----END PRIVATE KEY-----\n",
			  cut[] = "-----BEGIN PRIVATE KEY-----\nMIGHAgEA\n";
	_cleanup_(text_done) struct text t = {.max = 1 << 20};
	char *large = calloc(1, 80000);

	(void)state;
	write_file("", 0);
	refused("no private key");
	write_file("no PEM\n", 7);
	refused("no private key");
	write_file(certificate, strlen(certificate));
	refused("no private key");
	write_file(broken, strlen(broken));
	refused("private key 1 is broken");
	write_file(cut, strlen(cut));
	refused("is no PEM");
	add_pem(&t, "P-256", NULL);
	text_add(&t, cut);
	write_file(t.data, t.len);
	refused("behind private key 1");
	text_done(&t);
	add_pem(&t, "P-256", EVP_aes_128_cbc());
	write_file(t.data, t.len);
	refused("passphrase");
	assert_non_null(large);
	write_file(large, 80000);
	free(large);
	refused("cannot read");
	unlink(path);
	refused("cannot read");
}

/* ---- a token ---- */

static void plan(const char *keys, struct cred_table **ret_table, struct cred_session *ret)
{
	char text[1 << 16];
	struct pc_err err = {};

	snprintf(text, sizeof(text), "{roleArn: '" ARN "'%s}", keys);
	if (cred_table_parse_spec("o", CRED_ORIGIN_OBJECT, "shop", "web", text, strlen(text),
				  ret_table, &err) < 0 ||
	    cred_session_plan(cred_table_at(*ret_table, 0), CRED_SOURCE_ISSUER, &web_0, &demo, ret,
			      &err) < 0)
		fail_msg("%s", err.msg);
}

static char *issue(struct broker_issuer *issuer, const char *keys)
{
	struct cred_table *table = NULL;
	struct cred_session session;
	struct pc_err err = {};
	char *token = NULL;

	plan(keys, &table, &session);
	if (broker_issuer_issue(issuer, &web_0, &session, NOW, &token, &err) < 0)
		fail_msg("%s", err.msg);
	cred_table_unref(table);
	return token;
}

static char *document(const struct broker_issuer *issuer, const char *name)
{
	_cleanup_(text_done) struct text t = {};
	char *text;

	assert_int_equal(broker_issuer_document(issuer, name, &t), 0);
	text = text_string(&t);
	assert_non_null(text);
	return text;
}

/* By the keys that are published; whether one of them has signed it. */
static int verify(const struct broker_issuer *issuer, const char *token, struct crypto_jwt **ret)
{
	char *text = document(issuer, "/" BROKER_ISSUER_KEYS);
	struct crypto_jwks *keys = NULL;
	struct pc_err err = {};
	int r;

	if (crypto_jwks_parse(text, strlen(text), &keys, &err) < 0)
		fail_msg("%s", err.msg);
	assert_int_equal(crypto_jwks_unusable(keys), 0);
	r = crypto_jwt_verify(keys, token, strlen(token), ret);
	crypto_jwks_unref(keys);
	free(text);
	return r;
}

/* Part i of a token. */
static json_t *part(const char *token, int i)
{
	uint8_t bytes[BASE64_URL_ROOM(8192)];
	size_t len;
	json_t *json;

	while (i--)
		token = strchr(token, '.') + 1;
	assert_int_equal(base64_url_decode(token, strcspn(token, "."), bytes, &len), 0);
	json = json_loadb((const char *)bytes, len, JSON_REJECT_DUPLICATES, NULL);
	assert_non_null(json);
	return json;
}

/* Single quotes stand for double ones. Takes got. */
static void is(json_t *got, const char *want)
{
	char *text = strdup(want), *said = json_dumps(got, JSON_COMPACT);
	json_t *wanted;

	for (char *c = text; *c; c++)
		*c = *c == '\'' ? '"' : *c;
	wanted = json_loads(text, 0, NULL);
	assert_non_null(wanted);
	if (!json_equal(got, wanted))
		fail_msg("%s\nnot\n%s", said, want);
	json_decref(wanted);
	json_decref(got);
	free(text);
	free(said);
}

/* jti differs each time; what is left of the claims. */
static json_t *claims_of(const char *token)
{
	json_t *claims = part(token, 1);
	const char *jti = json_string_value(json_object_get(claims, "jti"));

	assert_non_null(jti);
	assert_int_equal(strlen(jti), 22);
	json_object_del(claims, "jti");
	return claims;
}

#define CLAIMS                                                                                     \
	"'iss':'" URL "','aud':'sts.amazonaws.com','sub':'system:serviceaccount:shop:web',"        \
	"'iat':1767323015,'nbf':1767323015,'exp':1767323345"

static void test_claims(void **state)
{
	struct broker_issuer *issuer = issuer_of(KEYS("P-256"));
	_cleanup_secret_ char *token = issue(issuer, ", tags: {team: a@b}");
	_cleanup_secret_ char *other = issue(issuer, ", disableSessionTags: true");
	char header[256];

	(void)state;
	snprintf(header, sizeof(header), "{'typ':'JWT','alg':'ES256','kid':'%s'}",
		 broker_issuer_kid(issuer));
	is(part(token, 0), header);
	is(claims_of(token),
	   "{" CLAIMS ",'https://aws.amazon.com/tags':{'principal_tags':{"
	   "'eks-cluster-arn':['" CLUSTER "'],'eks-cluster-name':['demo'],"
	   "'kubernetes-namespace':['shop'],'kubernetes-service-account':['web'],"
	   "'kubernetes-pod-name':['web-0'],'kubernetes-pod-uid':['" UID "'],'team':['a@b']},"
	   "'transitive_tag_keys':['eks-cluster-arn','eks-cluster-name','kubernetes-namespace',"
	   "'kubernetes-service-account','kubernetes-pod-name','kubernetes-pod-uid','team']}}");
	is(claims_of(other), "{" CLAIMS "}");
	broker_issuer_free(issuer);
}

static void test_signature(void **state)
{
	static const char *const names[] = {"P-256", "RSA-2048", "RSA-4096"};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		struct broker_issuer *issuer = issuer_of(KEYS(names[i]));
		_cleanup_secret_ char *token = issue(issuer, "");
		struct crypto_jwt *jwt = NULL;
		time_t exp;

		assert_int_equal(verify(issuer, token, &jwt), 0);
		assert_int_equal(crypto_jwt_time(jwt, "exp", &exp), 0);
		assert_int_equal(exp, NOW + BROKER_ISSUER_LIFE_S);
		assert_true(crypto_jwt_is_for(jwt, "sts.amazonaws.com"));
		crypto_jwt_free(jwt);
		token[strlen(token) - 10] ^= 1;
		assert_int_not_equal(verify(issuer, token, &jwt), 0);
		broker_issuer_free(issuer);
	}
}

/* r and s may be short: they are padded, in one of 128 signatures. */
static void test_many_signatures(void **state)
{
	struct broker_issuer *issuer = issuer_of(KEYS("P-256"));

	(void)state;
	for (int i = 0; i < 400; i++) {
		_cleanup_secret_ char *token = issue(issuer, "");
		struct crypto_jwt *jwt = NULL;

		assert_int_equal(verify(issuer, token, &jwt), 0);
		crypto_jwt_free(jwt);
	}
	broker_issuer_free(issuer);
}

/* The first role has the tags in its token, so the second is asked for without any. */
static void test_target(void **state)
{
	struct broker_issuer *issuer = issuer_of(KEYS("P-256"));
	_cleanup_secret_ char *token =
		issue(issuer, ", targetRoleArn: 'arn:aws:iam::444455556666:role/there'");
	json_t *claims = part(token, 1);

	(void)state;
	assert_int_equal(json_array_size(json_object_get(
				 json_object_get(claims, "https://aws.amazon.com/tags"),
				 "transitive_tag_keys")),
			 6);
	json_decref(claims);
	broker_issuer_free(issuer);
}

static void test_too_many_tags(void **state)
{
	struct broker_issuer *issuer = issuer_of(KEYS("P-256"));
	_cleanup_(text_done) struct text t = {.max = 1 << 16};
	struct cred_table *table = NULL;
	struct cred_session session;
	struct pc_err err = {};
	char *token = NULL;

	(void)state;
	text_add(&t, ", tags: {");
	for (int i = 0; i < 44; i++)
		text_addf(&t, "%s'%0127d': '%0100d'", i ? ", " : "", i, 0);
	text_add(&t, "}");
	text_add_bytes(&t, "", 1);
	plan(t.data, &table, &session);
	assert_int_equal(broker_issuer_issue(issuer, &web_0, &session, NOW, &token, &err), -EINVAL);
	assert_non_null(strstr(err.msg, "20000 characters"));
	assert_null(token);
	cred_table_unref(table);
	broker_issuer_free(issuer);
}

/* ---- other keys ---- */

static void test_rotation(void **state)
{
	struct broker_issuer *issuer = issuer_of(KEYS("P-256"));
	_cleanup_secret_ char *old = issue(issuer, ""), *new = NULL;
	char kid[64];
	struct crypto_jwt *jwt = NULL;
	struct pc_err err = {};

	(void)state;
	snprintf(kid, sizeof(kid), "%s", broker_issuer_kid(issuer));
	assert_int_equal(broker_issuer_reread(issuer, &err), 0);
	write_keys(KEYS("P-256", "RSA-2048"));
	assert_int_equal(broker_issuer_reread(issuer, &err), 1);
	assert_string_equal(broker_issuer_kid(issuer), kid);
	write_keys(KEYS("RSA-2048", "P-256"));
	assert_int_equal(broker_issuer_reread(issuer, &err), 1);
	assert_string_not_equal(broker_issuer_kid(issuer), kid);
	new = issue(issuer, "");
	assert_int_equal(verify(issuer, old, &jwt), 0);
	crypto_jwt_free(jwt);
	assert_int_equal(verify(issuer, new, &jwt), 0);
	crypto_jwt_free(jwt);
	write_keys(KEYS("RSA-2048"));
	assert_int_equal(broker_issuer_reread(issuer, &err), 1);
	assert_int_equal(verify(issuer, old, &jwt), -ENOKEY);
	write_file("x", 1);
	assert_true(broker_issuer_reread(issuer, &err) < 0);
	assert_int_equal(verify(issuer, new, &jwt), 0);
	crypto_jwt_free(jwt);
	broker_issuer_free(issuer);
}

/* ---- what is published ---- */

#define DISCOVERY(algorithms)                                                                      \
	"{'issuer':'" URL "','jwks_uri':'" URL "/keys.json','response_types_supported':"           \
	"['id_token'],'subject_types_supported':['public'],"                                       \
	"'id_token_signing_alg_values_supported':" algorithms                                      \
	",'claims_supported':['iss','aud','sub','iat','nbf','exp','jti']}"

static void discovers(const char *const names[], const char *want)
{
	struct broker_issuer *issuer = issuer_of(names);
	char *text = document(issuer, "/.well-known/openid-configuration");

	is(json_loads(text, JSON_REJECT_DUPLICATES, NULL), want);
	free(text);
	broker_issuer_free(issuer);
}

static void test_documents(void **state)
{
	struct broker_issuer *issuer = issuer_of(KEYS("P-256", "RSA-2048"));
	char *text = document(issuer, "/keys.json"), *below = document(issuer, "/demo/keys.json");
	json_t *keys = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
	_cleanup_(text_done) struct text t = {};

	(void)state;
	assert_string_equal(text, below);
	assert_int_equal(json_array_size(json_object_get(keys, "keys")), 2);
	assert_null(strstr(text, "\"d\"")); /* nothing private */
	assert_int_equal(broker_issuer_document(issuer, "/", &t), -ENOENT);
	assert_int_equal(broker_issuer_document(issuer, "/demo/", &t), -ENOENT);
	assert_int_equal(broker_issuer_document(issuer, "/demokeys.json", &t), -ENOENT);
	assert_int_equal(broker_issuer_document(issuer, "/keys.json?", &t), -ENOENT);
	assert_int_equal(broker_issuer_document(issuer, "/demo/demo/keys.json", &t), -ENOENT);
	json_decref(keys);
	free(text);
	free(below);
	broker_issuer_free(issuer);
	discovers(KEYS("P-256"), DISCOVERY("['ES256']"));
	discovers(KEYS("RSA-2048", "P-256", "RSA-4096"), DISCOVERY("['RS256','ES256']"));
}

static int begin(void **state)
{
	int fd = mkstemp(path);

	(void)state;
	config_default(&config);
	snprintf(config.broker.issuer.url, sizeof(config.broker.issuer.url), URL);
	snprintf(config.broker.issuer.keys, sizeof(config.broker.issuer.keys), "%s", path);
	return fd < 0 ? -1 : close(fd);
}

static int end(void **state)
{
	(void)state;
	unlink(path);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_other_keys),	cmocka_unit_test(test_bad_files),
		cmocka_unit_test(test_claims),		cmocka_unit_test(test_signature),
		cmocka_unit_test(test_many_signatures), cmocka_unit_test(test_target),
		cmocka_unit_test(test_too_many_tags),	cmocka_unit_test(test_rotation),
		cmocka_unit_test(test_documents),
	};

	return cmocka_run_group_tests(tests, begin, end);
}
