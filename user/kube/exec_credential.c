// SPDX-License-Identifier: Apache-2.0
/* What an exec plugin prints: JSON, which YAML includes, by a reader whose memory is wiped. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/secret.h"
#include "base/timestamp.h"
#include "kube/exec.h"
#include "kube/internal.h"
#include "yaml/read.h"

#define MAX_NODES 10000

void kube_exec_credential_done(struct kube_exec_credential *credential)
{
	secret_free(credential->token);
	secret_free(credential->certificate);
	secret_free(credential->key);
	*credential = (struct kube_exec_credential){};
}

static int read_expiry(const struct yml_source *src, const struct yml_node *node, uint64_t *ret)
{
	const char *text = yml_text(node);
	time_t when, now = time(NULL);

	if (!text || timestamp_parse_any(text, &when) < 0)
		return yml_bad(src, node, "bad value of 'expirationTimestamp'");
	if (when <= now)
		return yml_bad(src, node,
			       "these credentials have expired already; is the clock right?");
	*ret = (uint64_t)(when - now) * CLOCK_S;
	return 0;
}

static int take(const struct yml_source *src, const struct yml_node *status, const char *key,
		char **ret)
{
	const struct yml_node *node = yml_get(status, key);
	const char *text = node ? yml_text(node) : NULL;

	if (!node || (text && (!*text || !strcmp(text, "null"))))
		return 0;
	if (!text)
		return yml_bad(src, node, "%s is not a text", key);
	*ret = strdup(text);
	return *ret ? 0 : pc_err_set(src->err, -ENOMEM, "no memory");
}

static int read_status(const struct yml_source *src, const struct yml_node *status,
		       struct kube_exec_credential *ret)
{
	const struct yml_node *expiry = yml_get(status, "expirationTimestamp");
	int r = take(src, status, "token", &ret->token);

	r = r ?: take(src, status, "clientCertificateData", &ret->certificate);
	r = r ?: take(src, status, "clientKeyData", &ret->key);
	if (r == 0 && expiry && yml_text(expiry) && strcmp(yml_text(expiry), "null") != 0)
		r = read_expiry(src, expiry, &ret->good_ns);
	if (r == 0 && !ret->token && !ret->certificate)
		r = yml_bad(src, status, "neither token nor clientCertificateData");
	if (r == 0 && !ret->certificate != !ret->key)
		r = yml_bad(src, status, "only one of clientCertificateData and clientKeyData");
	return r;
}

static bool is(const struct yml_node *mapping, const char *key, const char *text)
{
	const struct yml_node *node = yml_get(mapping, key);

	return node && yml_text(node) && !strcmp(yml_text(node), text);
}

int kube_exec_decode(const struct kube_exec *exec, const char *text, size_t len,
		     struct kube_exec_credential *ret, struct pc_err *err)
{
	struct yml_source src = {.name = "its output", .secret = true, .err = err};
	_cleanup_yml_tree_ struct yml_tree *tree = NULL;
	struct kube_exec_credential credential = {};
	const struct yml_node *root, *status;
	int r = yml_tree_parse(&src, text, len, MAX_NODES, &tree);

	if (r < 0)
		return r;
	root = yml_tree_root(tree);
	if (!root || root->kind != YML_MAPPING || !is(root, "kind", "ExecCredential"))
		return pc_err_set(err, -EINVAL, "what it prints is no ExecCredential");
	if (!is(root, "apiVersion", exec->api_version))
		return pc_err_set(err, -EINVAL,
				  "it does not print apiVersion %s, which was asked for",
				  exec->api_version);
	status = yml_get(root, "status");
	if (!status || status->kind != YML_MAPPING)
		return pc_err_set(err, -EINVAL, "what it prints has no status");
	r = read_status(&src, status, &credential);
	if (r < 0)
		kube_exec_credential_done(&credential);
	else
		*ret = credential;
	return r;
}
