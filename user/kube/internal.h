/* SPDX-License-Identifier: Apache-2.0 */
/* What a kube_config holds, for those who use it: credentials.c, exec.c, client.c. */
#pragma once

#include "kube/kubeconfig.h"

/* A text that stands in the configuration, or in a file that may be rotated; or neither. */
struct kube_source {
	char *text, *path;
};

/* A program that prints credentials. */
struct kube_exec {
	char *command; /* a path, or a name to look for in PATH */
	char **argv; /* with the command in front, up to a NULL */
	char **env; /* "NAME=value" to add, up to a NULL */
	char *api_version; /* that it has to speak */
	bool wants_cluster;
};

struct kube_config {
	char *name; /* of the file; for messages */
	char *server;
	char *tls_server_name;
	char *proxy;
	char *warning;
	bool insecure;
	struct kube_source ca, token, certificate, key;
	struct kube_exec exec; /* command NULL: none */
};

static inline bool kube_source_given(const struct kube_source *source)
{
	return source->text || source->path;
}
