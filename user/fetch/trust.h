/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How tokens of pods are verified: by the keys of the cluster, which are asked for again and again, or by the API server,
 * or not at all.
 */
#pragma once

#include <stdbool.h>

#include "upstream/message.h"

struct config_credentials;
struct fetch_trust;
struct kube_client;
struct loop;

struct fetch_trust_options {
	struct loop *loop;
	struct kube_client *
		kube; /* NULL: there is none; then tokens are not verified, and the kernel's word is enough */
	const struct config_credentials *config;
	void (*said)(void *arg, bool bad, const char *line); /* for the log */
	void (*changed)(void *arg); /* fetch_trust_now() says something else */
	void *arg;
};

/* Until the keys are there, tokens are reviewed by the API server. -ENOMEM and the like. */
int fetch_trust_new(const struct fetch_trust_options *options, struct fetch_trust **ret);

/* Returns NULL; NULL is fine. */
struct fetch_trust *fetch_trust_free(struct fetch_trust *trust);

/* Somebody has seen a token whose key is not among them: asks for newer ones now. */
void fetch_trust_renew(struct fetch_trust *trust);

/* Its texts are valid until the next change. */
void fetch_trust_now(const struct fetch_trust *trust, struct upstream_keys *ret);
