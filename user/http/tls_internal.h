/* SPDX-License-Identifier: Apache-2.0 */
/* What the server asks of tls.c. */
#pragma once

#include <gnutls/abstract.h>
#include <gnutls/gnutls.h>
#include <stddef.h>

struct http_tls;
struct http_tls_pair;

/* The pair of a handshake that begins, for the connection to hold until its end; replaces what it held. Asks the
 * client for a certificate, if any would be believed. 0, or -1: there is none. */
int http_tls_begin(struct http_tls *tls, gnutls_session_t session, struct http_tls_pair **held,
		   gnutls_pcert_st **ret_certs, unsigned *ret_n, gnutls_privkey_t *ret_key);

/* NULL is fine. */
void http_tls_release(struct http_tls *tls, struct http_tls_pair *held);

/* The common name in the certificate that the client has shown, if it is believed now; else NULL. */
const char *http_tls_peer(struct http_tls *tls, gnutls_session_t session, char *buf, size_t size);
