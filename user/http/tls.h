/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a server needs for TLS (1.2 and 1.3): its certificate, and whose client certificates it believes.
 * Both can be replaced while servers use them: a handshake takes what is there when it begins, and connections
 * that have been made go on. All functions may be called from any thread.
 */
#pragma once

#include "base/err.h"

struct http_tls;

/* Without a certificate yet, so that each handshake fails. -ENOMEM. */
int http_tls_new(struct http_tls **ret);

/* After the servers that use it. Returns NULL; NULL is fine. */
struct http_tls *http_tls_free(struct http_tls *tls);
static inline void http_tls_freep(struct http_tls **tls)
{
	http_tls_free(*tls);
}

/* The certificate, followed by its chain, and its key; PEM. -EINVAL: not that, or no pair;
 * then what was there stays. -ENOMEM. */
int http_tls_set_pair(struct http_tls *tls, const char *certificate, const char *key,
		      struct pc_err *err);

/* Clients are asked for a certificate, and one that these authorities (PEM) have issued for clients is
 * verified. A client may have none, or another: http_request_peer() tells. NULL: none is asked for, and none
 * believed. -EINVAL: no certificates; then what was there stays. -ENOMEM. */
int http_tls_set_clients(struct http_tls *tls, const char *authorities, struct pc_err *err);
