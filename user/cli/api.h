/* SPDX-License-Identifier: Apache-2.0 */
/* Questions of a command to the API server: asked on a loop of its own, until they are answered or it takes too long. */
#pragma once

#include "base/err.h"
#include "credentials/associations.h"
#include "kube/objects.h"
#include "kube/watch.h"

struct http_client;
struct kube_associations;
struct kube_client;
struct loop;
struct loop_timer;

struct cli_api {
	struct loop *loop;
	struct loop_timer *timer;
	struct http_client *http;
	struct kube_client *client;
	char trouble[KUBE_WATCH_WHY_SIZE]; /* why there is no answer; empty: there is */
};

/* kubeconfig NULL: of the pod that this is in. -errno: err says why; -ENOENT: it is in none. Close after a failure too. */
int cli_api_open(const char *kubeconfig, const char *context, struct cli_api *ret,
		 struct pc_err *err);
void cli_api_close(struct cli_api *api);

/* The same for people, who have a kubeconfig where kubectl looks for it: given, KUBECONFIG, ~/.kube/config, or in a pod. */
int cli_api_open_any(const char *given, const char *context, struct cli_api *ret,
		     struct pc_err *err);

/* One answer. All zero: none yet. */
struct cli_answer {
	enum kube_outcome outcome;
	json_t *object; /* KUBE_DONE */
	char why[1200];
	struct cli_api *api;
};

/* done and arg of the request are set here. 0: there is an answer, of whatever outcome. Frees the one before. */
int cli_api_ask(struct cli_api *api, struct kube_object_request request, struct cli_answer *ret,
		struct pc_err *err);
void cli_answer_done(struct cli_answer *answer);

/* Until cli_api_done(), or for fifteen seconds. -errno of the loop. */
int cli_api_wait(struct cli_api *api);

/* why NULL: there is an answer. */
void cli_api_done(struct cli_api *api, const char *why);

/* All PodIdentityAssociation objects, or trouble. *ret: to be freed before the API is closed. -ENOMEM. */
int cli_api_objects(struct cli_api *api, enum cred_source default_source,
		    struct kube_associations **ret);
