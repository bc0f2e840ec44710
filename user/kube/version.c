// SPDX-License-Identifier: Apache-2.0
#include "kube/version.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "http/client.h"
#include "kube/ask.h"
#include "kube/project.h"

#define MAX_ANSWER 65536
#define WHAT	   "its version"
#define RIGHT	   "it needs the ClusterRole system:public-info-viewer, which everybody has by default"

struct kube_version {
	struct kube_ask ask;
	void (*done)(void *arg, const struct kube_version_result *result);
	void *arg;
};

struct kube_version *kube_version_cancel(struct kube_version *version)
{
	if (!version)
		return NULL;
	kube_ask_cancel(&version->ask);
	free(version);
	return NULL;
}

static void cleanup_version(struct kube_version **version)
{
	kube_version_cancel(*version);
}

/* Clouds write "34+". */
static size_t digits(const json_t *document, const char *member, const char **ret)
{
	const json_t *value = json_object_get(document, member);

	*ret = json_string_value(value);
	return *ret && !kube_project_defect(value) ? strspn(*ret, "0123456789") : 0;
}

static int read_version(const struct kube_ask *ask, char ret[KUBE_VERSION_SIZE], struct pc_err *err)
{
	static const struct project_shape members[] = {{.key = "major"}, {.key = "minor"}, {}};
	static const struct project_shape shape = {.members = members};
	_cleanup_json_ json_t *document = NULL;
	const char *major, *minor;
	size_t major_len, minor_len;
	struct pc_err why = {};
	int r = kube_project_json(ask->answer.data, ask->answer.len - 1, &shape, &document, &why);

	if (r < 0)
		return pc_err_set(err, r == -ENOMEM ? r : -EPROTO,
				  "what the API server sends as " WHAT ": %s", why.msg);
	major_len = digits(document, "major", &major);
	minor_len = digits(document, "minor", &minor);
	if (!major_len || !minor_len || major_len + minor_len + 1 >= KUBE_VERSION_SIZE)
		return pc_err_set(err, -EPROTO,
				  "what the API server sends as " WHAT " has no major and minor");
	snprintf(ret, KUBE_VERSION_SIZE, "%.*s.%.*s", (int)major_len, major, (int)minor_len, minor);
	return 0;
}

static void on_done(void *arg, struct kube_ask *ask, const struct http_result *http)
{
	_cleanup_(cleanup_version) struct kube_version *version = arg;
	struct kube_version_result result = {.why = ""};
	struct pc_err err = {};

	result.error = kube_ask_check(ask, http, WHAT, RIGHT, &err)
			       ?: read_version(ask, result.version, &err);
	if (result.error < 0)
		result.why = err.msg;
	version->done(version->arg, &result);
}

int kube_version_start(struct kube_client *client,
		       void (*done)(void *arg, const struct kube_version_result *result), void *arg,
		       struct kube_version **ret, struct pc_err *err)
{
	_cleanup_(cleanup_version) struct kube_version *version = calloc(1, sizeof(*version));
	int r;

	if (!version)
		return pc_err_set(err, -ENOMEM, "no memory");
	version->done = done;
	version->arg = arg;
	version->ask.done = on_done;
	version->ask.arg = version;
	r = kube_ask_start(&version->ask, client, "/version", NULL, NULL, MAX_ANSWER, err);
	if (r == 0)
		*ret = TAKE_PTR(version);
	return r;
}
