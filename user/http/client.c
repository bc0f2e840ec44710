// SPDX-License-Identifier: Apache-2.0
/* libcurl's multi interface on a loop. What one call is, is in call.c. */
#include "http/client.h"

#include <curl/curl.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/loop.h"
#include "base/secret.h"
#include "http/call.h"

#define KEPT_CONNECTIONS 16

/* libcurl's copies of tokens and keys are wiped, wherever it has them. SSLKEYLOGFILE would have it write the keys of all
 * connections to a file. */
static int init_library(void)
{
	unsetenv("SSLKEYLOGFILE");
	return curl_global_init_mem(CURL_GLOBAL_DEFAULT, malloc, secret_wiping_free,
				    secret_wiping_realloc, strdup, calloc)
		       ? -ENOMEM
		       : 0;
}

/* ---- libcurl and the loop ---- */

static void drive(struct http_client *client, curl_socket_t fd, int ready)
{
	int running;

	client->inside = true;
	curl_multi_socket_action(client->multi, fd, ready, &running);
	client->inside = false;
	http_client_sweep(client);
}

struct watched {
	struct http_client *client;
	struct loop_watch *watch;
	curl_socket_t fd;
};

static void on_ready(void *arg, unsigned ready)
{
	const struct watched *watched = arg;

	drive(watched->client, watched->fd,
	      (ready & LOOP_READ ? CURL_CSELECT_IN : 0) |
		      (ready & LOOP_WRITE ? CURL_CSELECT_OUT : 0));
}

static void on_timer(void *arg)
{
	drive(arg, CURL_SOCKET_TIMEOUT, 0);
}

static void on_kick(void *arg)
{
	http_client_sweep(arg);
}

static void unwatch(struct http_client *client, curl_socket_t fd, struct watched *watched)
{
	if (!watched)
		return;
	curl_multi_assign(client->multi, fd, NULL);
	loop_unwatch(watched->watch);
	free(watched);
}

static int watch(struct http_client *client, curl_socket_t fd, unsigned what)
{
	_cleanup_free_ struct watched *watched = malloc(sizeof(*watched));
	int r;

	if (!watched)
		return -ENOMEM;
	*watched = (struct watched){.client = client, .fd = fd};
	r = loop_watch(client->loop, fd, what, on_ready, watched, &watched->watch);
	if (r < 0)
		return r;
	curl_multi_assign(client->multi, fd, TAKE_PTR(watched));
	return 0;
}

/* An error would make the handle useless for good: the calls end instead, at the next sweep. */
static int on_socket(CURL *easy, curl_socket_t fd, int what, void *arg, void *socket_arg)
{
	struct http_client *client = arg;
	struct watched *watched = socket_arg;
	unsigned ready =
		(what & CURL_POLL_IN ? LOOP_READ : 0) | (what & CURL_POLL_OUT ? LOOP_WRITE : 0);
	int r = 0;

	(void)easy;
	if (what == CURL_POLL_REMOVE || !ready)
		unwatch(client, fd, watched);
	else if (watched)
		r = loop_watch_change(watched->watch, ready);
	else
		r = watch(client, fd, ready);
	if (r < 0)
		client->error = r;
	return 0;
}

static int on_timeout(CURLM *multi, long ms, void *arg)
{
	const struct http_client *client = arg;

	(void)multi;
	if (ms < 0)
		loop_timer_cancel(client->timer);
	else
		loop_timer_after(client->timer, (uint64_t)ms * CLOCK_MS);
	return 0;
}

/* ---- what libcurl forbids within its own callbacks is done after them ---- */

static void add_started(struct http_client *client)
{
	struct http_call *call;

	while ((call = TAILQ_FIRST(&client->starting))) {
		TAILQ_REMOVE(&client->starting, call, entry);
		TAILQ_INSERT_TAIL(&client->running, call, entry);
		call->running = true;
		if (curl_multi_add_handle(client->multi, call->easy))
			http_call_end(call, -ENOMEM, "no memory");
	}
}

static void free_cancelled(struct http_client *client)
{
	struct http_call *call;

	while ((call = TAILQ_FIRST(&client->cancelled)))
		http_call_free(call);
}

static void end_done(struct http_client *client)
{
	const CURLMsg *msg;
	int left;

	while ((msg = curl_multi_info_read(client->multi, &left))) {
		struct http_call *call = NULL;

		if (msg->msg == CURLMSG_DONE &&
		    curl_easy_getinfo(msg->easy_handle, CURLINFO_PRIVATE, &call) == CURLE_OK)
			http_call_done(call, msg->data.result);
	}
}

static void end_all(struct http_client *client, int error)
{
	struct http_call *call;

	while ((call = TAILQ_FIRST(&client->running)))
		http_call_end(call, error, "the connection cannot be waited for");
}

void http_client_sweep(struct http_client *client)
{
	int error = client->error;

	client->error = 0;
	free_cancelled(client);
	if (error)
		end_all(client, error);
	end_done(client);
	add_started(client);
}

void http_client_kick(const struct http_client *client)
{
	loop_timer_after(client->kick, 0);
}

/* ---- life ---- */

static int setup(struct http_client *client, struct loop *loop)
{
	int r = loop_timer_new(loop, on_timer, client, &client->timer);

	if (r == 0)
		r = loop_timer_new(loop, on_kick, client, &client->kick);
	if (r < 0)
		return r;
	client->multi = curl_multi_init();
	if (!client->multi)
		return -ENOMEM;
	curl_multi_setopt(client->multi, CURLMOPT_SOCKETFUNCTION, on_socket);
	curl_multi_setopt(client->multi, CURLMOPT_SOCKETDATA, client);
	curl_multi_setopt(client->multi, CURLMOPT_TIMERFUNCTION, on_timeout);
	curl_multi_setopt(client->multi, CURLMOPT_TIMERDATA, client);
	curl_multi_setopt(client->multi, CURLMOPT_MAXCONNECTS, (long)KEPT_CONNECTIONS);
	curl_multi_setopt(client->multi, CURLMOPT_PIPELINING, CURLPIPE_NOTHING);
	return 0;
}

int http_client_new(struct loop *loop, struct http_client **ret)
{
	struct http_client *client = calloc(1, sizeof(*client));
	int r;

	if (!client)
		return -ENOMEM;
	r = init_library();
	if (r < 0) {
		free(client);
		return r;
	}
	client->loop = loop;
	TAILQ_INIT(&client->starting);
	TAILQ_INIT(&client->running);
	TAILQ_INIT(&client->cancelled);
	r = setup(client, loop);
	if (r < 0) {
		http_client_free(client);
		return r;
	}
	*ret = client;
	return 0;
}

static void free_calls(struct http_calls *calls)
{
	struct http_call *call;

	while ((call = TAILQ_FIRST(calls)))
		http_call_free(call);
}

struct http_client *http_client_free(struct http_client *client)
{
	if (!client)
		return NULL;
	free_calls(&client->starting);
	free_calls(&client->running);
	free_calls(&client->cancelled);
	curl_multi_cleanup(client->multi);
	loop_timer_free(client->timer);
	loop_timer_free(client->kick);
	free(client);
	curl_global_cleanup();
	return NULL;
}
