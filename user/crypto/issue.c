// SPDX-License-Identifier: Apache-2.0
#include "crypto/issue.h"

#include <errno.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/secret.h"
#include "base/text.h"

#define TEXT_MAX_BYTES	 (64U << 10)
#define MAX_CERTIFICATES 10
#define MAX_NAME	 64
#define VERSION_3	 2

#define CLEANUP(name, type, free)                                                                  \
	static void cleanup_##name(type **p)                                                       \
	{                                                                                          \
		free(*p);                                                                          \
	}

CLEANUP(bio, BIO, BIO_free)
CLEANUP(x509, X509, X509_free)
CLEANUP(pkey, EVP_PKEY, EVP_PKEY_free)
CLEANUP(extension, X509_EXTENSION, X509_EXTENSION_free)
CLEANUP(number, BIGNUM, BN_free)
CLEANUP(store, X509_STORE, X509_STORE_free)
CLEANUP(verify, X509_STORE_CTX, X509_STORE_CTX_free)

void crypto_pem_done(struct crypto_pem *pem)
{
	free(pem->certificate);
	secret_free(pem->key);
	memset(pem, 0, sizeof(*pem));
}

/* ---- texts ---- */

/* The library would ask the terminal. */
static int no_passphrase(char *buf, int size, int writing, void *arg)
{
	(void)buf, (void)size, (void)writing, (void)arg;
	return -1;
}

static BIO *open_text(const char *pem)
{
	size_t len = pem ? strlen(pem) : 0;

	return len && len <= TEXT_MAX_BYTES ? BIO_new_mem_buf(pem, (int)len) : NULL;
}

static X509 *read_first(const char *pem)
{
	_cleanup_(cleanup_bio) BIO *bio = open_text(pem);
	X509 *x = bio ? PEM_read_bio_X509(bio, NULL, no_passphrase, NULL) : NULL;

	ERR_clear_error();
	return x;
}

static EVP_PKEY *read_key(const char *pem)
{
	_cleanup_(cleanup_bio) BIO *bio = open_text(pem);
	EVP_PKEY *key = bio ? PEM_read_bio_PrivateKey(bio, NULL, no_passphrase, NULL) : NULL;

	ERR_clear_error();
	return key;
}

/* The library wipes its own copy. */
static int take_text(BIO *bio, char **ret)
{
	char *data = NULL;
	long len = BIO_get_mem_data(bio, &data);
	char *text = len > 0 ? malloc((size_t)len + 1) : NULL;

	if (!text)
		return -ENOMEM;
	memcpy(text, data, (size_t)len);
	text[len] = 0;
	*ret = text;
	return 0;
}

static int certificate_text(X509 *x, char **ret)
{
	_cleanup_(cleanup_bio) BIO *bio = BIO_new(BIO_s_mem());

	return bio && PEM_write_bio_X509(bio, x) == 1 ? take_text(bio, ret) : -EIO;
}

static int key_text(EVP_PKEY *key, char **ret)
{
	_cleanup_(cleanup_bio) BIO *bio = BIO_new(BIO_s_mem());

	return bio && PEM_write_bio_PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL) == 1
		       ? take_text(bio, ret)
		       : -EIO;
}

static int both_texts(X509 *x, EVP_PKEY *key, struct crypto_pem *ret)
{
	_cleanup_(crypto_pem_done) struct crypto_pem pem = {};
	int r = certificate_text(x, &pem.certificate);

	if (r == 0)
		r = key_text(key, &pem.key);
	if (r < 0)
		return r;
	*ret = pem;
	memset(&pem, 0, sizeof(pem));
	return 0;
}

/* ---- certificates ---- */

static bool add(X509 *x, X509V3_CTX *ctx, int nid, const char *value)
{
	_cleanup_(cleanup_extension) X509_EXTENSION *extension =
		X509V3_EXT_conf_nid(NULL, ctx, nid, value);

	return extension && X509_add_ext(x, extension, -1) == 1;
}

/* Nobody can guess it, and no two are the same. */
static bool set_serial(X509 *x)
{
	_cleanup_(cleanup_number) BIGNUM *number = BN_new();

	return number && BN_rand(number, 127, BN_RAND_TOP_ONE, BN_RAND_BOTTOM_ANY) == 1 &&
	       BN_to_ASN1_INTEGER(number, X509_get_serialNumber(x));
}

static bool set_name(X509 *x, const char *name)
{
	X509_NAME *subject = X509_get_subject_name(x);

	return X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_UTF8, (const unsigned char *)name,
					  -1, -1, 0) == 1;
}

/* All but the extensions, the issuer and the signature. */
static X509 *begin(const char *name, const struct crypto_validity *validity, EVP_PKEY *key)
{
	_cleanup_(cleanup_x509) X509 *x = X509_new();

	if (!x || X509_set_version(x, VERSION_3) != 1 || !set_serial(x) || !set_name(x, name) ||
	    !ASN1_TIME_set(X509_getm_notBefore(x), validity->from) ||
	    !ASN1_TIME_set(X509_getm_notAfter(x), validity->to) || X509_set_pubkey(x, key) != 1)
		return NULL;
	return TAKE_PTR(x);
}

static bool finish_authority(X509 *x, EVP_PKEY *key)
{
	X509V3_CTX ctx;

	X509V3_set_ctx(&ctx, x, x, NULL, NULL, 0);
	return X509_set_issuer_name(x, X509_get_subject_name(x)) == 1 &&
	       add(x, &ctx, NID_basic_constraints, "critical,CA:TRUE,pathlen:0") &&
	       add(x, &ctx, NID_key_usage, "critical,keyCertSign,cRLSign") &&
	       add(x, &ctx, NID_subject_key_identifier, "hash") &&
	       X509_sign(x, key, EVP_sha256()) > 0;
}

static bool finish_server(X509 *x, X509 *issuer, EVP_PKEY *issuer_key, const char *names)
{
	X509V3_CTX ctx;

	X509V3_set_ctx(&ctx, issuer, x, NULL, NULL, 0);
	return X509_set_issuer_name(x, X509_get_subject_name(issuer)) == 1 &&
	       add(x, &ctx, NID_basic_constraints, "critical,CA:FALSE") &&
	       add(x, &ctx, NID_key_usage, "critical,digitalSignature") &&
	       add(x, &ctx, NID_ext_key_usage, "serverAuth") &&
	       add(x, &ctx, NID_subject_alt_name, names) &&
	       add(x, &ctx, NID_subject_key_identifier, "hash") &&
	       (!X509_get0_subject_key_id(issuer) ||
		add(x, &ctx, NID_authority_key_identifier, "keyid")) &&
	       X509_sign(x, issuer_key, EVP_sha256()) > 0;
}

int crypto_issue_authority(const char *name, const struct crypto_validity *validity,
			   struct crypto_pem *ret)
{
	_cleanup_(cleanup_pkey) EVP_PKEY *key = NULL;
	_cleanup_(cleanup_x509) X509 *x = NULL;
	bool done;

	if (!*name || strlen(name) > MAX_NAME || validity->from >= validity->to)
		return -EINVAL;
	key = EVP_EC_gen("P-256");
	x = key ? begin(name, validity, key) : NULL;
	done = x && finish_authority(x, key);
	ERR_clear_error();
	return done ? both_texts(x, key, ret) : -EIO;
}

static bool is_dns_name(const char *name)
{
	size_t len = strlen(name);

	return len && len <= 253 && strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-.") == len;
}

/* As the library reads them: "DNS:a,DNS:b". */
static int list_names(const char *const *names, char **ret)
{
	_cleanup_(text_done) struct text t = {};

	for (; *names; names++) {
		if (!is_dns_name(*names))
			return -EINVAL;
		text_add(&t, t.len ? ",DNS:" : "DNS:");
		text_add(&t, *names);
	}
	*ret = t.len ? text_string(&t) : NULL;
	return *ret ? 0 : text_error(&t) ?: -EINVAL;
}

static time_t time_of(const ASN1_TIME *t)
{
	struct tm tm;

	return ASN1_TIME_to_tm(t, &tm) == 1 ? timegm(&tm) : 0;
}

int crypto_issue_server(const struct crypto_pem *authority, const char *const *names,
			const struct crypto_validity *validity, struct crypto_pem *ret)
{
	_cleanup_(cleanup_x509) X509 *issuer = read_first(authority->certificate), *x = NULL;
	_cleanup_(cleanup_pkey) EVP_PKEY *issuer_key = read_key(authority->key), *key = NULL;
	_cleanup_free_ char *list = NULL;
	struct crypto_validity within = *validity;
	bool done;
	int r = list_names(names, &list);

	if (r < 0)
		return r;
	if (!issuer || !issuer_key || X509_check_private_key(issuer, issuer_key) != 1) {
		ERR_clear_error();
		return -EINVAL;
	}
	if (within.to > time_of(X509_get0_notAfter(issuer)))
		within.to = time_of(X509_get0_notAfter(issuer));
	if (within.from >= within.to)
		return -EINVAL;
	key = EVP_EC_gen("P-256");
	x = key ? begin("podcred", &within, key) : NULL;
	done = x && finish_server(x, issuer, issuer_key, list);
	ERR_clear_error();
	return done ? both_texts(x, key, ret) : -EIO;
}

/* ---- what there is ---- */

int crypto_pem_validity(const char *certificate, struct crypto_validity *ret)
{
	_cleanup_(cleanup_x509) X509 *x = read_first(certificate);
	struct crypto_validity validity;

	if (!x)
		return -EINVAL;
	validity.from = time_of(X509_get0_notBefore(x));
	validity.to = time_of(X509_get0_notAfter(x));
	if (!validity.from || !validity.to)
		return -EINVAL;
	*ret = validity;
	return 0;
}

int crypto_pem_check(const struct crypto_pem *pem)
{
	_cleanup_(cleanup_x509) X509 *x = read_first(pem->certificate);
	_cleanup_(cleanup_pkey) EVP_PKEY *key = read_key(pem->key);
	int ok;

	if (!x || !key)
		return -EINVAL;
	ok = X509_check_private_key(x, key);
	ERR_clear_error();
	return ok == 1 ? 0 : -ENOKEY;
}

/* Calls fn for each; -EINVAL as crypto_bundle_count(), or what fn says. */
static int each(const char *bundle, int (*fn)(void *arg, X509 *x), void *arg)
{
	_cleanup_(cleanup_bio) BIO *bio = open_text(bundle);
	int n = 0, r = 0;
	X509 *x;

	while (bio && r == 0 && (x = PEM_read_bio_X509(bio, NULL, no_passphrase, NULL))) {
		r = ++n > MAX_CERTIFICATES ? -EINVAL : fn ? fn(arg, x) : 0;
		X509_free(x);
	}
	/* what ends the loop: no further one, or one that is broken */
	if (r == 0 && (n == 0 || ERR_GET_REASON(ERR_peek_last_error()) != PEM_R_NO_START_LINE))
		r = -EINVAL;
	ERR_clear_error();
	return r < 0 ? r : n;
}

int crypto_bundle_count(const char *bundle)
{
	return each(bundle, NULL, NULL);
}

int crypto_bundle_first(const char *bundle, char **ret)
{
	_cleanup_(cleanup_x509) X509 *x = read_first(bundle);

	return x ? certificate_text(x, ret) : -EINVAL;
}

static int trust(void *store, X509 *x)
{
	return X509_STORE_add_cert(store, x) == 1 ? 0 : -ENOMEM;
}

static int verify(X509_STORE *store, X509 *x, const char *name, time_t now)
{
	_cleanup_(cleanup_verify) X509_STORE_CTX *ctx = X509_STORE_CTX_new();
	X509_VERIFY_PARAM *param;
	int ok;

	if (!ctx || X509_STORE_CTX_init(ctx, store, x, NULL) != 1)
		return -ENOMEM;
	param = X509_STORE_CTX_get0_param(ctx);
	X509_VERIFY_PARAM_set_time(param, now);
	if (X509_VERIFY_PARAM_set1_host(param, name, 0) != 1 ||
	    X509_VERIFY_PARAM_set_purpose(param, X509_PURPOSE_SSL_SERVER) != 1)
		return -ENOMEM;
	ok = X509_verify_cert(ctx);
	return ok == 1 ? 0 : -EKEYREJECTED;
}

int crypto_bundle_accepts(const char *bundle, const char *certificate, const char *name, time_t now)
{
	_cleanup_(cleanup_x509) X509 *x = read_first(certificate);
	_cleanup_(cleanup_store) X509_STORE *store = X509_STORE_new();
	int r;

	if (!store)
		return -ENOMEM;
	if (!x)
		return -EINVAL;
	r = each(bundle, trust, store);
	if (r > 0)
		r = verify(store, x, name, now);
	ERR_clear_error();
	return r;
}
