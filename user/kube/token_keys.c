// SPDX-License-Identifier: Apache-2.0
#include "kube/token_keys.h"

#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "http/client.h"
#include "kube/ask.h"
#include "kube/project.h"

#define MAX_DISCOVERY 65536
#define JWKS_TYPE                                                                                  \
	"application/jwk-set+json, application/json" /* Kubernetes has the first one only: 406 */
#define RIGHT                                                                                      \
	"it needs the ClusterRole system:service-account-issuer-discovery, which all service "     \
	"accounts have by default"

struct kube_token_keys {
	struct kube_ask keys, discovery;
	void (*done)(void *arg, const struct kube_token_keys_result *result);
	void *arg;
	json_t *document; /* what was discovered */
};

struct kube_token_keys *kube_token_keys_cancel(struct kube_token_keys *keys)
{
	if (!keys)
		return NULL;
	kube_ask_cancel(&keys->keys);
	kube_ask_cancel(&keys->discovery);
	json_decref(keys->document);
	free(keys);
	return NULL;
}

static void cleanup_keys(struct kube_token_keys **keys)
{
	kube_token_keys_cancel(*keys);
}

static int parse(const struct kube_ask *ask, const struct project_shape *shape, const char *what,
		 json_t **ret, struct pc_err *err)
{
	struct pc_err why = {};
	int r = kube_project_json(ask->answer.data, ask->answer.len - 1, shape, ret, &why);

	if (r == -ENOMEM)
		return pc_err_set(err, r, "no memory");
	return r < 0 ? pc_err_set(err, -EPROTO, "what the API server sends as %s: %s", what,
				  why.msg)
		     : 0;
}

/* ---- the issuer ---- */

static int read_issuer(struct kube_token_keys *keys, struct pc_err *err)
{
	static const struct project_shape members[] = {{.key = "issuer"}, {}};
	static const struct project_shape shape = {.members = members};
	static const char what[] = "its OpenID configuration";
	const char *issuer;
	int r = parse(&keys->discovery, &shape, what, &keys->document, err);

	if (r < 0)
		return r;
	issuer = json_string_value(json_object_get(keys->document, "issuer"));
	if (!issuer || !*issuer || strlen(issuer) > KUBE_TOKEN_ISSUER_MAX ||
	    kube_project_defect(json_object_get(keys->document, "issuer")))
		return pc_err_set(err, -EPROTO, "what the API server sends as %s has no issuer",
				  what);
	return 0;
}

/* ---- the keys ---- */

static int check_keys(const struct kube_token_keys *keys, struct pc_err *err)
{
	static const struct project_shape none[] = {{}};
	static const struct project_shape members[] = {
		{.key = "keys", .members = none, .list = true}, {}};
	static const struct project_shape shape = {.members = members};
	_cleanup_json_ json_t *document = NULL;
	int r = parse(&keys->keys, &shape, "its keys", &document, err);

	if (r < 0)
		return r;
	if (!json_is_array(json_object_get(document, "keys")))
		return pc_err_set(err, -EPROTO,
				  "what the API server sends as its keys has no list \"keys\"");
	return 0;
}

/* ---- both ---- */

static void finish(struct kube_token_keys *keys, int error, const struct pc_err *err)
{
	const struct kube_token_keys_result result = {
		.error = error,
		.why = error ? err->msg : "",
		.jwks = error ? NULL : keys->keys.answer.data,
		.jwks_len = error ? 0 : keys->keys.answer.len - 1,
		.issuer =
			error ? NULL : json_string_value(json_object_get(keys->document, "issuer")),
	};

	keys->done(keys->arg, &result);
	kube_token_keys_cancel(keys);
}

/* Of whichever ends first an error ends the other one too. */
static void on_done(void *arg, struct kube_ask *ask, const struct http_result *http)
{
	struct kube_token_keys *keys = arg;
	bool is_keys = ask == &keys->keys;
	struct pc_err err = {};
	int r = kube_ask_check(ask, http, is_keys ? "its keys" : "its OpenID configuration", RIGHT,
			       &err);

	if (r == 0)
		r = is_keys ? check_keys(keys, &err) : read_issuer(keys, &err);
	if (r < 0 || (!keys->keys.call && !keys->discovery.call))
		finish(keys, r, &err);
}

int kube_token_keys_start(struct kube_client *client, bool with_issuer,
			  void (*done)(void *arg, const struct kube_token_keys_result *result),
			  void *arg, struct kube_token_keys **ret, struct pc_err *err)
{
	_cleanup_(cleanup_keys) struct kube_token_keys *keys = calloc(1, sizeof(*keys));
	int r;

	if (!keys)
		return pc_err_set(err, -ENOMEM, "no memory");
	keys->done = done;
	keys->arg = arg;
	keys->keys.done = keys->discovery.done = on_done;
	keys->keys.arg = keys->discovery.arg = keys;
	r = kube_ask_start(&keys->keys, client, "/openid/v1/jwks", JWKS_TYPE, NULL,
			   KUBE_TOKEN_KEYS_MAX, err);
	if (r == 0 && with_issuer)
		r = kube_ask_start(&keys->discovery, client, "/.well-known/openid-configuration",
				   NULL, NULL, MAX_DISCOVERY, err);
	if (r == 0)
		*ret = TAKE_PTR(keys);
	return r;
}
