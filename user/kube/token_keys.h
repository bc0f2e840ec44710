/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The keys that the API server signs tokens of service accounts with, and the issuer that it writes into them. A
 * service account may ask for both by the ClusterRole system:service-account-issuer-discovery, which is bound by
 * default. Keys are asked of the API server itself, not where the discovery document points.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct kube_client;
struct kube_token_keys;
struct pc_err;

#define KUBE_TOKEN_KEYS_MAX   32768 /* bytes of the key set */
#define KUBE_TOKEN_ISSUER_MAX 2048

struct kube_token_keys_result {
	/* 0, or as http_result has it; -EPERM: the API server refuses; -ENOENT: it has no such document; -EPROTO:
	 * what it sends is not one; -EAGAIN: it is not well. */
	int error;
	const char *why; /* one line for people, with the next step; empty when error is 0 */
	const char *
		jwks; /* JSON text of an object with keys, not looked into; ends with NUL. NULL on error */
	size_t jwks_len;
	const char *issuer; /* NULL: it was not asked for */
};

/*
 * Two requests at once, or one when the issuer is known already. done is called once, unless this is cancelled; the
 * pointer is void then, and so is the result when done returns. -ENOMEM.
 */
int kube_token_keys_start(struct kube_client *client, bool with_issuer,
			  void (*done)(void *arg, const struct kube_token_keys_result *result),
			  void *arg, struct kube_token_keys **ret, struct pc_err *err);

/* Nobody is called any more. Returns NULL; NULL is fine. */
struct kube_token_keys *kube_token_keys_cancel(struct kube_token_keys *keys);
