// SPDX-License-Identifier: Apache-2.0
#include "http/tls.h"

#include <errno.h>
#include <gnutls/x509.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "http/tls_internal.h"

#define CHAIN_MAX 8

/* Shared by handshakes in all threads, and not changed any more. */
struct http_tls_pair {
	unsigned refs; /* under the lock of its http_tls */
	gnutls_pcert_st certs[CHAIN_MAX];
	unsigned n_certs;
	gnutls_privkey_t key;
};

struct http_tls {
	pthread_mutex_t lock;
	struct http_tls_pair *pair;
	gnutls_x509_trust_list_t clients; /* NULL: none is asked for a certificate */
};

int http_tls_new(struct http_tls **ret)
{
	struct http_tls *tls = calloc(1, sizeof(*tls));

	if (!tls)
		return -ENOMEM;
	pthread_mutex_init(&tls->lock, NULL);
	*ret = tls;
	return 0;
}

static void free_pair(struct http_tls_pair *pair)
{
	for (unsigned i = 0; i < pair->n_certs; i++)
		gnutls_pcert_deinit(&pair->certs[i]);
	gnutls_privkey_deinit(pair->key);
	free(pair);
}

static void cleanup_pair(struct http_tls_pair **pair)
{
	if (*pair)
		free_pair(*pair);
}

static void unref_locked(struct http_tls_pair *pair)
{
	if (pair && --pair->refs == 0)
		free_pair(pair);
}

struct http_tls *http_tls_free(struct http_tls *tls)
{
	if (!tls)
		return NULL;
	unref_locked(tls->pair);
	if (tls->clients)
		gnutls_x509_trust_list_deinit(tls->clients, 1);
	pthread_mutex_destroy(&tls->lock);
	free(tls);
	return NULL;
}

static gnutls_datum_t datum(const char *text)
{
	return (gnutls_datum_t){.data = (unsigned char *)text, .size = (unsigned)strlen(text)};
}

static int failed(int r)
{
	return r == GNUTLS_E_MEMORY_ERROR ? -ENOMEM : -EINVAL;
}

/* ---- the server's certificate ---- */

static int parse_certificate(struct http_tls_pair *pair, const char *pem, struct pc_err *err)
{
	const gnutls_datum_t text = datum(pem);
	unsigned n = CHAIN_MAX;
	int r = gnutls_pcert_list_import_x509_raw(pair->certs, &n, &text, GNUTLS_X509_FMT_PEM,
						  GNUTLS_X509_CRT_LIST_IMPORT_FAIL_IF_EXCEED |
							  GNUTLS_X509_CRT_LIST_FAIL_IF_UNSORTED);

	if (r < 0 || n == 0)
		return pc_err_set(err, failed(r),
				  "the server's certificate cannot be used: %s; give up to %d in "
				  "PEM, the server's first",
				  r < 0 ? gnutls_strerror(r) : "it is empty", CHAIN_MAX);
	pair->n_certs = n;
	return 0;
}

static int parse_key(struct http_tls_pair *pair, const char *pem, struct pc_err *err)
{
	const gnutls_datum_t text = datum(pem);
	int r = gnutls_privkey_init(&pair->key);

	if (r == 0)
		r = gnutls_privkey_import_x509_raw(pair->key, &text, GNUTLS_X509_FMT_PEM, NULL, 0);
	if (r < 0)
		return pc_err_set(err, failed(r),
				  "the server's key cannot be used: %s; give it in PEM, without a "
				  "passphrase",
				  gnutls_strerror(r));
	return 0;
}

static void cleanup_pubkey(gnutls_pubkey_t *key)
{
	gnutls_pubkey_deinit(*key);
}

static int key_id(gnutls_pubkey_t key, unsigned char *ret, size_t *ret_len)
{
	return gnutls_pubkey_get_key_id(key, GNUTLS_KEYID_USE_SHA256, ret, ret_len);
}

static int compare_keys(gnutls_pubkey_t certified, gnutls_privkey_t ours)
{
	_cleanup_(cleanup_pubkey) gnutls_pubkey_t key = NULL;
	unsigned char a[64], b[64];
	size_t a_len = sizeof(a), b_len = sizeof(b);
	int r = gnutls_pubkey_init(&key);

	r = r ?: gnutls_pubkey_import_privkey(key, ours, 0, 0);
	r = r ?: key_id(key, a, &a_len);
	r = r ?: key_id(certified, b, &b_len);
	if (r < 0)
		return failed(r);
	return a_len == b_len && !memcmp(a, b, a_len) ? 0 : -EINVAL;
}

static int make_pair(const char *certificate, const char *key, struct http_tls_pair **ret,
		     struct pc_err *err)
{
	_cleanup_(cleanup_pair) struct http_tls_pair *pair = calloc(1, sizeof(*pair));
	int r;

	if (!pair)
		return pc_err_set(err, -ENOMEM, "no memory");
	pair->refs = 1;
	r = parse_certificate(pair, certificate, err);
	r = r ?: parse_key(pair, key, err);
	if (r < 0)
		return r;
	r = compare_keys(pair->certs[0].pubkey, pair->key);
	if (r < 0)
		return pc_err_set(err, r,
				  "the server's certificate is for another key; give the pair");
	*ret = TAKE_PTR(pair);
	return 0;
}

int http_tls_set_pair(struct http_tls *tls, const char *certificate, const char *key,
		      struct pc_err *err)
{
	struct http_tls_pair *pair = NULL, *old;
	int r = make_pair(certificate, key, &pair, err);

	if (r < 0)
		return r;
	pthread_mutex_lock(&tls->lock);
	old = tls->pair;
	tls->pair = pair;
	unref_locked(old);
	pthread_mutex_unlock(&tls->lock);
	return 0;
}

int http_tls_begin(struct http_tls *tls, gnutls_session_t session, struct http_tls_pair **held,
		   gnutls_pcert_st **ret_certs, unsigned *ret_n, gnutls_privkey_t *ret_key)
{
	struct http_tls_pair *pair;
	bool ask;

	pthread_mutex_lock(&tls->lock);
	unref_locked(*held);
	*held = pair = tls->pair;
	if (pair)
		pair->refs++;
	ask = tls->clients;
	pthread_mutex_unlock(&tls->lock);
	if (!pair)
		return -1;
	if (ask)
		gnutls_certificate_server_set_request(session, GNUTLS_CERT_REQUEST);
	*ret_certs = pair->certs;
	*ret_n = pair->n_certs;
	*ret_key = pair->key;
	return 0;
}

void http_tls_release(struct http_tls *tls, struct http_tls_pair *held)
{
	if (!held)
		return;
	pthread_mutex_lock(&tls->lock);
	unref_locked(held);
	pthread_mutex_unlock(&tls->lock);
}

/* ---- the clients' ---- */

static void cleanup_list(gnutls_x509_trust_list_t *list)
{
	if (*list)
		gnutls_x509_trust_list_deinit(*list, 1);
}

int http_tls_set_clients(struct http_tls *tls, const char *authorities, struct pc_err *err)
{
	_cleanup_(cleanup_list) gnutls_x509_trust_list_t list = NULL;
	gnutls_x509_trust_list_t old;
	int r = 0;

	if (authorities) {
		const gnutls_datum_t text = datum(authorities);

		r = gnutls_x509_trust_list_init(&list, 0);
		if (r == 0)
			r = gnutls_x509_trust_list_add_trust_mem(list, &text, NULL,
								 GNUTLS_X509_FMT_PEM, 0, 0);
		if (r <= 0)
			return pc_err_set(err, r ? failed(r) : -EINVAL,
					  "the authorities of clients are no certificates in PEM");
	}
	pthread_mutex_lock(&tls->lock);
	old = tls->clients;
	tls->clients = TAKE_PTR(list);
	pthread_mutex_unlock(&tls->lock);
	cleanup_list(&old);
	return 0;
}

struct shown {
	gnutls_x509_crt_t certs[CHAIN_MAX];
	unsigned n;
};

static void cleanup_shown(struct shown *shown)
{
	for (unsigned i = 0; i < shown->n; i++)
		gnutls_x509_crt_deinit(shown->certs[i]);
}

static bool take_shown(gnutls_session_t session, struct shown *ret)
{
	unsigned n = 0;
	const gnutls_datum_t *der = gnutls_certificate_get_peers(session, &n);

	if (!der || n > CHAIN_MAX)
		return false;
	for (; ret->n < n; ret->n++) {
		if (gnutls_x509_crt_init(&ret->certs[ret->n]) < 0)
			return false;
		if (gnutls_x509_crt_import(ret->certs[ret->n], &der[ret->n], GNUTLS_X509_FMT_DER) <
		    0) {
			gnutls_x509_crt_deinit(ret->certs[ret->n]);
			return false;
		}
	}
	return n > 0;
}

/* Under the lock, as nobody says that a list may be asked by several threads at once. */
static bool is_believed(struct http_tls *tls, struct shown *shown)
{
	gnutls_typed_vdata_st purpose = {.type = GNUTLS_DT_KEY_PURPOSE_OID,
					 .data = (unsigned char *)GNUTLS_KP_TLS_WWW_CLIENT};
	unsigned why = ~0U;
	int r = -1;

	pthread_mutex_lock(&tls->lock);
	if (tls->clients)
		r = gnutls_x509_trust_list_verify_crt2(tls->clients, shown->certs, shown->n,
						       &purpose, 1, 0, &why, NULL);
	pthread_mutex_unlock(&tls->lock);
	return r >= 0 && why == 0;
}

const char *http_tls_peer(struct http_tls *tls, gnutls_session_t session, char *buf, size_t size)
{
	_cleanup_(cleanup_shown) struct shown shown = {};
	size_t len = size;

	if (!take_shown(session, &shown) || !is_believed(tls, &shown))
		return NULL;
	/* a name with a NUL in it would be read as a shorter one */
	if (gnutls_x509_crt_get_dn_by_oid(shown.certs[0], GNUTLS_OID_X520_COMMON_NAME, 0, 0, buf,
					  &len) < 0 ||
	    strnlen(buf, size) != len)
		return NULL;
	return buf;
}
