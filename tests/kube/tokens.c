// SPDX-License-Identifier: Apache-2.0
/*
 * All that podcred asks an API server about tokens, and a line for each answer: its keys and its issuer, a token for a
 * pod, whether those keys have signed it, and what the API server says of it.
 * usage: tokens KUBECONFIG NAMESPACE SERVICE-ACCOUNT POD UID AUDIENCE
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/loop.h"
#include "base/secret.h"
#include "crypto/jwks.h"
#include "crypto/jwt.h"
#include "http/client.h"
#include "kube/client.h"
#include "kube/kubeconfig.h"
#include "kube/token_keys.h"
#include "kube/token_request.h"
#include "kube/token_review.h"

struct run {
	struct loop *loop;
	struct kube_client *client;
	struct crypto_jwks *keys; /* NULL: could not be had */
	char *token; /* likewise */
	const char *audience;
};

static int die(const struct pc_err *err)
{
	fprintf(stderr, "tokens: %s\n", err->msg);
	return 1;
}

static void on_keys(void *arg, const struct kube_token_keys_result *result)
{
	struct run *run = arg;
	struct pc_err err = {};

	loop_stop(run->loop, 0);
	if (result->error)
		printf("keys: %s\n", result->why);
	else if (crypto_jwks_parse(result->jwks, result->jwks_len, &run->keys, &err) < 0)
		printf("keys: %s\n", err.msg);
	else
		printf("keys %zu %zu %s\n", crypto_jwks_count(run->keys),
		       crypto_jwks_unusable(run->keys), result->issuer);
}

static void on_token(void *arg, const struct kube_token_request_result *result)
{
	struct run *run = arg;

	loop_stop(run->loop, 0);
	if (result->error)
		printf("token: %s\n", result->why);
	else
		run->token = strdup(result->token);
}

static void on_review(void *arg, const struct kube_token_review_result *result)
{
	const struct run *run = arg;

	loop_stop(run->loop, 0);
	if (result->error || !result->authenticated)
		printf("review: %s\n", result->why);
	else
		printf("review %s/%s %s %s %s\n", result->name_space, result->service_account,
		       result->pod_name, result->pod_uid, result->node_name);
}

static void verify(const struct run *run)
{
	static const char *const sub[] = {"sub", NULL}, *const uid[] = {"kubernetes.io", "pod",
									"uid", NULL};
	struct crypto_jwt *jwt = NULL;
	const char *who = "", *pod = "";
	int r = crypto_jwt_verify(run->keys, run->token, strlen(run->token), &jwt);

	if (r < 0) {
		printf("verified: %s\n", strerror(-r));
		return;
	}
	crypto_jwt_text(jwt, sub, &who);
	crypto_jwt_text(jwt, uid, &pod);
	printf("verified %s %s%s\n", who, pod,
	       crypto_jwt_is_for(jwt, run->audience) ? "" : ", for somebody else");
	crypto_jwt_free(jwt);
}

static int ask(struct run *run, char **argv, struct pc_err *err)
{
	const struct kube_token_request_options request = {.name_space = argv[2],
							   .service_account = argv[3],
							   .pod_name = argv[4],
							   .pod_uid = argv[5],
							   .audience = run->audience,
							   .seconds = 600,
							   .done = on_token,
							   .arg = run};
	const char *const audiences[] = {run->audience, NULL};
	struct kube_token_keys *keys;
	struct kube_token_request *token;
	struct kube_token_review *review;
	int r = kube_token_keys_start(run->client, true, on_keys, run, &keys, err)
			?: loop_run(run->loop);

	r = r ?: kube_token_request_start(run->client, &request, &token, err) ?: loop_run(run->loop);
	if (r || !run->token)
		return r;
	if (run->keys)
		verify(run);
	return kube_token_review_start(run->client, run->token, audiences, on_review, run, &review,
				       err)
		       ?: loop_run(run->loop);
}

int main(int argc, char **argv)
{
	struct run run = {.audience = argc == 7 ? argv[6] : NULL};
	struct http_client *http;
	struct kube_config *config;
	struct pc_err err = {};
	int r;

	if (argc != 7)
		return 2;
	if (kube_config_file(argv[1], NULL, &config, &err) < 0)
		return die(&err);
	if (loop_new(&run.loop) < 0 || http_client_new(run.loop, &http) < 0 ||
	    kube_client_new(run.loop, http, config, &run.client) < 0)
		return 1;
	r = ask(&run, argv, &err);
	kube_client_free(run.client);
	http_client_free(http);
	loop_free(run.loop);
	crypto_jwks_unref(run.keys);
	secret_free(run.token);
	return r ? die(&err) : 0;
}
