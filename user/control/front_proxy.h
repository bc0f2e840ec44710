/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the API server says of somebody whose request it passes on (aggregation): headers that count only if the
 * connection has shown the certificate of its proxy. Whose that is stands in the ConfigMap
 * kube-system/extension-apiserver-authentication, which is read once a minute.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "http/desk.h"
#include "kube/access_review.h"

#define CALLER_GROUPS_MAX 256
#define CALLER_EXTRA_MAX  32
#define CALLER_VALUES_MAX 8
#define CALLER_KEY_SIZE	  256

/* Who asks; texts are those of the ask, or of who has made it. */
struct eks_caller {
	const char *user, *uid; /* uid NULL: it does not say */
	const char *groups[CALLER_GROUPS_MAX + 1]; /* up to a NULL */
	size_t n_groups;
	struct kube_access_extra extra[CALLER_EXTRA_MAX];
	const char *values[CALLER_EXTRA_MAX][CALLER_VALUES_MAX + 1];
	char keys[CALLER_EXTRA_MAX][CALLER_KEY_SIZE];
	size_t n_extra;
};

struct control_front_proxy;
struct http_tls;
struct kube_client;
struct loop;

struct control_front_proxy_events {
	void (*said)(void *arg, bool bad, const char *line); /* for the log */
	void *arg;
};

/* -ENOMEM. */
int control_front_proxy_new(struct loop *loop, struct kube_client *client, struct http_tls *tls,
			    const struct control_front_proxy_events *events,
			    struct control_front_proxy **ret);

/* Returns NULL; NULL is fine. */
struct control_front_proxy *control_front_proxy_free(struct control_front_proxy *proxy);

/* Whether it is known whom to believe, which may be nobody: this API server does not pass requests on. */
bool control_front_proxy_is_ready(const struct control_front_proxy *proxy);

/*
 * 0; -ENOENT: it does not come from the proxy, whatever its headers say; -EINVAL: it does, but does not say who asks, or
 * says too much; nothing of it is left out. ret is valid as long as ask.
 */
int control_front_proxy_caller(const struct control_front_proxy *proxy, const struct http_ask *ask,
			       struct eks_caller *ret);
