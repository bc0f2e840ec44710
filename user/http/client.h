/* SPDX-License-Identifier: Apache-2.0 */
/*
 * HTTP and HTTPS requests from a loop: nothing here waits. HTTP/1.1; connections are kept and used
 * again; redirects are never followed, and the environment is not asked for anything (no proxy, no
 * netrc, no CA file).
 *
 * Names are resolved by a thread of libcurl's that lives as long as one look-up, so that a slow name
 * server holds nobody up. Everything else, and each function that is called, is in the loop's thread.
 *
 * Functions of a call may start and cancel any calls, their own included. None is called before
 * http_call_start() has returned.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

struct http_call;
struct http_client;
struct loop;
struct pc_err;

#define HTTP_WHY_SIZE 256

/* -ENOMEM, -EMFILE. */
int http_client_new(struct loop *loop, struct http_client **ret);

/* Ends all calls, without calling anybody, and closes the connections. Before loop_free(), and not from
 * a function of a call. Returns NULL; NULL is fine. */
struct http_client *http_client_free(struct http_client *client);
static inline void http_client_freep(struct http_client **client)
{
	http_client_free(*client);
}

/* PEM texts. A connection is shared by calls that have the same ones. */
struct http_tls {
	const char *ca; /* who is trusted, and nobody else; NULL: whom the system trusts */
	const char *certificate; /* the client's, with its chain; NULL: none */
	const char *key; /* for it */
	const char *server_name; /* what the certificate has to name; NULL: the host in the URL */
	bool insecure; /* anybody is trusted. Whoever sets it says so to the user */
};

struct http_head {
	unsigned status; /* 200 to 599 */
	const char *content_type; /* as it was sent; NULL: none. Valid during the call */
	uint64_t retry_after_ns; /* 0: none, or a time that is over */
	time_t date; /* the server's clock; 0: unknown */
	const struct http_call *call;
};

/* The last header of that name; NULL: there is none. Valid during the call. */
const char *http_head_get(const struct http_head *head, const char *name);

struct http_result {
	/*
	 * 0: the answer came to its end. Else who gave a negative result (on_head, on_data), or
	 *   -ETIMEDOUT      within the times of the options; total_ns too
	 *   -ECONNREFUSED, -ENETUNREACH, -EHOSTUNREACH (no such name too) and the like: no connection
	 *   -ECONNRESET     it ended before the answer did
	 *   -EKEYREJECTED   the server's certificate: authority, time, name
	 *   -ENOKEY         certificate or key of the options cannot be used
	 *   -EMSGSIZE       more than max_body, or more head than 64 kB
	 *   -EPROTO         no HTTP, no TLS, an encoding that was not asked for, or broken
	 *   -ENOMEM, -EIO
	 */
	int error;
	unsigned status; /* 0: no head came */
	const char *
		why; /* one line, no secrets: what happened; empty when error is 0. Valid during the call */
};

struct http_call_options {
	const char *method; /* NULL: GET */
	const char *url; /* http or https, no user, no fragment */
	/* "Name: value", up to a NULL; may be NULL. Copied, and wiped, as body is. Not for Host,
	 * Content-Length, Transfer-Encoding, Accept-Encoding. */
	const char *const *headers;
	const void *body;
	size_t body_len;
	const struct http_tls *tls; /* copied, and wiped; NULL: all members are 0 */
	const char *proxy; /* "http://host:port"; NULL: none, whatever the environment says */
	const char *no_proxy; /* hosts that are reached without it, as in NO_PROXY */

	uint64_t connect_ns; /* name, TCP and TLS together; 0: 10 s */
	uint64_t
		idle_ns; /* since the request went out, or the last piece of the answer came; 0: no limit
			     but TCP's keepalive, which finds a dead peer within 60 s */
	uint64_t total_ns; /* 0: no limit */
	size_t max_body; /* after decompression; 0: no limit, as on_data keeps one */

	/* The final head; once, before any data. Negative: the call ends with it. May be NULL. */
	int (*on_head)(void *arg, const struct http_head *head);
	/* A piece of the body, decompressed. Negative: the call ends with it. NULL: it is dropped. */
	int (*on_data)(void *arg, const void *data, size_t len);
	/* Once, unless the call is cancelled. The call is over: its pointer is void. */
	void (*on_done)(void *arg, const struct http_result *result);
	void *arg;
};

/* Copies the options. -EINVAL: they make no request, err says why; -ENOMEM. All else comes by on_done. */
int http_call_start(struct http_client *client, const struct http_call_options *options,
		    struct http_call **ret, struct pc_err *err);

/* Nobody is called any more. Returns NULL; NULL is fine. */
struct http_call *http_call_cancel(struct http_call *call);
