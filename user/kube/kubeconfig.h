/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which API server, whom to trust, and who we are: from a pod's service account, or from a kubeconfig
 * file as kubectl has it. Files that may be rotated (token, certificate authority, client certificate)
 * are only named here; client.h reads them, again and again.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct kube_config;
struct pc_err;

/* Where the kubelet puts a service account. */
#define KUBE_SERVICE_ACCOUNT_DIR "/var/run/secrets/kubernetes.io/serviceaccount"

/*
 * Of the pod that we are in: KUBERNETES_SERVICE_HOST and _PORT, and ca.crt and token in dir (NULL:
 * KUBE_SERVICE_ACCOUNT_DIR). -ENOENT: this is no pod; -EINVAL; err says what to do.
 */
int kube_config_in_cluster(const char *dir, struct kube_config **ret, struct pc_err *err);

/*
 * A kubeconfig file, and one of its contexts (NULL: its current-context). Relative paths are relative
 * to it. Keys that are not known are ignored, as kubectl ignores them; ways to authenticate that are
 * not supported are refused by name. -EINVAL, -EFBIG, errno of open and read; err: file, line, key, and
 * what to write.
 */
int kube_config_file(const char *path, const char *context, struct kube_config **ret,
		     struct pc_err *err);

/* Wipes what is secret. Returns NULL; NULL is fine. */
struct kube_config *kube_config_free(struct kube_config *config);
static inline void kube_config_freep(struct kube_config **config)
{
	kube_config_free(*config);
}

/* "https://10.96.0.1:443", for messages; no slash at the end. */
const char *kube_config_server(const struct kube_config *config);

/* What a user should know and may not: that the server is not verified. One line, or NULL. */
const char *kube_config_warning(const struct kube_config *config);

/* Whether it has an exec plugin. */
bool kube_config_runs_programs(const struct kube_config *config);
