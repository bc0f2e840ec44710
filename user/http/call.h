/* SPDX-License-Identifier: Apache-2.0 */
/* What the two files of the client share: client.c drives, call.c is one request. */
#pragma once

#include <curl/curl.h>
#include <sys/queue.h>

#include "http/client.h"

TAILQ_HEAD(http_calls, http_call);

struct http_client {
	struct loop *loop;
	CURLM *multi;
	struct loop_timer *timer; /* libcurl's */
	struct loop_timer *kick; /* there is something to sweep */
	bool inside; /* of libcurl, which allows nobody to add or remove a call then */
	int error; /* a socket cannot be waited for */
	struct http_calls starting, running, cancelled;
};

struct http_call {
	struct http_client *client;
	TAILQ_ENTRY(http_call) entry;
	bool running, cancelled; /* which of the client's lists has it; else it is starting */
	CURL *easy;
	CURLU *url;
	struct curl_slist *headers, *connect_to;
	struct loop_timer *idle;

	uint64_t idle_ns;
	size_t max_body, head_len, body_len;
	bool asked; /* the request went out */
	unsigned status; /* of the final head; 0: it has not come yet */
	int error; /* of ours, which ended the call */
	const char *why; /* for it */

	int (*on_head)(void *arg, const struct http_head *head);
	int (*on_data)(void *arg, const void *data, size_t len);
	void (*on_done)(void *arg, const struct http_result *result);
	void *arg;

	char text[CURL_ERROR_SIZE]; /* libcurl's */
};

/* Not within libcurl: adds, removes and reports what had to wait. */
void http_client_sweep(struct http_client *client);

/* Has that done soon. */
void http_client_kick(const struct http_client *client);

/* libcurl has ended it. */
void http_call_done(struct http_call *call, CURLcode code);

/* We end it; not within libcurl. */
void http_call_end(struct http_call *call, int error, const char *why);

/* Without calling anybody; not within libcurl. */
void http_call_free(struct http_call *call);
