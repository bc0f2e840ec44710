/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Requests to the Kubernetes API: http/client.h with the server, the trust and the credentials of a
 * kube_config.
 *
 * Credentials are kept fresh. A token file is read again when what was read is older than a minute. After
 * a 401 all of them are read, or asked of the exec plugin, once more, and the request is repeated
 * once; so it is after the server's certificate was refused, with the certificate authority read again. The
 * owner of a call sees the second answer only.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "http/client.h"

struct kube_call;
struct kube_client;
struct kube_config;
struct loop;
struct pc_err;

/* Takes config, also when it fails. http has to outlive the client. No file is read yet. -ENOMEM. */
int kube_client_new(struct loop *loop, struct http_client *http, struct kube_config *config,
		    struct kube_client **ret);

/* Cancels all calls. Not from a function of a call. Returns NULL; NULL is fine. */
struct kube_client *kube_client_free(struct kube_client *client);
static inline void kube_client_freep(struct kube_client **client)
{
	kube_client_free(*client);
}

/* As in kube_config_server(). */
const char *kube_client_server(const struct kube_client *client);

/* PEM of whom the server's certificate has to be of, as it was read last; NULL: nothing was read, or there is nothing to
 * read. Valid until the loop's next turn. */
const char *kube_client_authority(const struct kube_client *client);

/* Members that http_call_options has too mean the same; connections have 10 s to be made. */
struct kube_call_options {
	const char *method; /* NULL: GET */
	const char *path; /* with its query, URL-encoded: "/api/v1/pods?limit=500" */
	const char *accept; /* NULL: application/json */
	const char *content_type; /* of the body; NULL: application/json */
	const void *body;
	size_t body_len;
	uint64_t idle_ns, total_ns;
	size_t max_body;
	int (*on_head)(void *arg, const struct http_head *head);
	int (*on_data)(void *arg, const void *data, size_t len);
	/* As http_call_options has it, and: -EACCES, no credentials could be had (file, exec plugin).
	 * result->why names the server or the file, and the next step. A status like 403 is no error. */
	void (*on_done)(void *arg, const struct http_result *result);
	void *arg;
};

/* -EINVAL: path; -ENOMEM. All else comes by on_done, never before this has returned. */
int kube_call_start(struct kube_client *client, const struct kube_call_options *options,
		    struct kube_call **ret, struct pc_err *err);

/* Nobody is called any more. Returns NULL; NULL is fine. */
struct kube_call *kube_call_cancel(struct kube_call *call);
