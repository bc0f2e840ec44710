/* SPDX-License-Identifier: Apache-2.0 */
/* Who we are for the API server, and whom we trust there; kept as fresh as their files. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct kube_config;
struct kube_credentials;
struct loop;
struct pc_err;

/* One each, or NULL; valid until the loop's next turn. */
struct kube_credentials_now {
	const char *authorization; /* a header line */
	const char *certificate, *key, *ca; /* PEM */
	unsigned generation; /* another number: they are others */
};

/* An exec plugin that was waited for has ended: error 0, or -errno, and a line that says what to do. */
typedef void kube_credentials_fn(void *arg, int error, const char *why);

/* config has to outlive it. -ENOMEM. */
int kube_credentials_new(struct loop *loop, const struct kube_config *config,
			 kube_credentials_fn *fn, void *arg, struct kube_credentials **ret);

/* Wipes. Returns NULL; NULL is fine. */
struct kube_credentials *kube_credentials_free(struct kube_credentials *credentials);

/*
 * 0: *ret. -EINPROGRESS: fn is called; after an error not again before that. -EACCES, -ENOMEM: there are
 * none, err names the file or plugin. A file that cannot be read any more leaves what it had said.
 */
int kube_credentials_get(struct kube_credentials *credentials, struct kube_credentials_now *ret,
			 struct pc_err *err);

/* PEM, as it was read last; or NULL. */
const char *kube_credentials_authority(const struct kube_credentials *credentials);

/* The server refuses those of this generation: whether it is worth to get them, and ask, again. */
bool kube_credentials_refused(struct kube_credentials *credentials, unsigned generation);

/* The server's certificate is refused, or our own cannot be used: whether the files now say something
 * else than in this generation. */
bool kube_credentials_reread(struct kube_credentials *credentials, unsigned generation);
