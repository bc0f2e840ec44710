// SPDX-License-Identifier: Apache-2.0
/*
 * Follows the pods of a node by the Kubernetes API, and says what it hears of them: a line for each. For
 * each byte of standard input it says its state again, with counters. It ends with standard input.
 * usage: follow KUBECONFIG NODE [IDLE_MS BACKOFF_MS BACKOFF_MAX_MS]
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "base/loop.h"
#include "base/parse.h"
#include "http/client.h"
#include "kube/client.h"
#include "kube/kubeconfig.h"
#include "kube/pods.h"

static int on_put(void *arg, const struct pod_name *pod)
{
	(void)arg;
	printf("put %s %s/%s %s%s%s\n", pod->uid, pod->name_space, pod->name,
	       *pod->service_account ? pod->service_account : "-", *pod->config_hash ? " " : "",
	       pod->config_hash);
	return 0;
}

static void on_gone(void *arg, const char *uid)
{
	(void)arg;
	printf("gone %s\n", uid);
}

static void on_listed(void *arg)
{
	(void)arg;
	puts("listed");
}

static void on_state(void *arg, const struct kube_watch_state *state)
{
	(void)arg;
	printf("state %s lists=%ju watches=%ju events=%ju bookmarks=%ju unusable=%zu",
	       state->in_touch ? "touch" : "away", state->lists, state->watches, state->events,
	       state->bookmarks, state->unusable);
	for (enum kube_watch_error i = 0; i < KUBE_WATCH_ERRORS; i++)
		if (state->errors[i])
			printf(" %s=%ju", kube_watch_error_name(i), state->errors[i]);
	printf(" | %s | %s\n", state->why, state->unusable_why);
}

struct follow {
	struct loop *loop;
	struct kube_pods *pods;
};

static void on_input(void *arg, unsigned ready)
{
	struct follow *follow = arg;
	char c;

	(void)ready;
	if (read(STDIN_FILENO, &c, 1) == 1)
		on_state(NULL, kube_pods_state(follow->pods));
	else
		loop_stop(follow->loop, 0);
}

static unsigned read_ms(const char *text)
{
	uint64_t ms = 0;

	if (text && parse_u64(text, 1U << 30, &ms) < 0)
		exit(2);
	return (unsigned)ms;
}

static int die(const struct pc_err *err)
{
	fprintf(stderr, "follow: %s\n", err->msg);
	return 1;
}

int main(int argc, char **argv)
{
	static const struct kube_pods_events events = {
		.put = on_put, .gone = on_gone, .listed = on_listed, .state = on_state};
	struct kube_watch_options times = {};
	struct http_client *http = NULL;
	struct kube_client *client = NULL;
	struct kube_config *config = NULL;
	struct follow follow = {};
	struct loop_watch *input;
	struct pc_err err = {};
	int r;

	if (argc < 3 || argc > 6)
		return 2;
	times.idle_ms = read_ms(argc > 3 ? argv[3] : NULL);
	times.backoff_ms = read_ms(argc > 4 ? argv[4] : NULL);
	times.backoff_max_ms = read_ms(argc > 5 ? argv[5] : NULL);
	setvbuf(stdout, NULL, _IOLBF, 0);
	if (kube_config_file(argv[1], NULL, &config, &err) < 0)
		return die(&err);
	if (loop_new(&follow.loop) < 0 || http_client_new(follow.loop, &http) < 0 ||
	    kube_client_new(follow.loop, http, config, &client) < 0)
		return 1;
	if (kube_pods_new(follow.loop, client, argv[2], &times, &events, NULL, &follow.pods, &err) <
	    0)
		return die(&err);
	if (loop_watch(follow.loop, STDIN_FILENO, LOOP_READ, on_input, &follow, &input) < 0)
		return 1;
	r = loop_run(follow.loop);
	kube_pods_free(follow.pods);
	kube_client_free(client);
	http_client_free(http);
	loop_free(follow.loop);
	return r != 0;
}
