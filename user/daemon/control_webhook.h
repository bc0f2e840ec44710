/* SPDX-License-Identifier: Apache-2.0 */
/* The admission webhook of podcred control, and the certificates that it makes for itself and for the broker. */
#pragma once

#include <stdbool.h>

#include "base/err.h"
#include "base/k8s_name.h"

struct config_webhook;
struct control_api;
struct http_ticket;
struct http_tls;
struct kube_client;
struct loop;
struct text;

struct daemon_secret {
	char name_space[K8S_LABEL_SIZE]; /* empty: none */
	char name[K8S_SUBDOMAIN_SIZE];
};

struct daemon_control_webhook_options {
	struct loop *loop;
	struct kube_client *kube;
	struct http_tls *tls; /* gets the certificate, if certificates has a name */
	const struct config_webhook *config; /* outlives it, as api does */
	struct control_api *api; /* knows the associations */
	struct daemon_secret certificates; /* the control plane's; none: it does not make its own */
	const char *server_name; /* NULL: podcred-control.NAMESPACE.svc */
	struct daemon_secret
		broker_certificates; /* the broker's; none: they are not ours to make */
};

struct daemon_control_webhook;

int daemon_control_webhook_new(const struct daemon_control_webhook_options *options,
			       struct daemon_control_webhook **ret, struct pc_err *err);

/* NULL is fine. */
void daemon_control_webhook_free(struct daemon_control_webhook *webhook);

/* Answers the ticket if it is for the webhook, and says whether it was. */
bool daemon_control_webhook_handle(struct daemon_control_webhook *webhook,
				   struct http_ticket *ticket);

/* Whether it has a certificate, if it makes its own. If not, *ret_why is a line for people. */
bool daemon_control_webhook_is_ready(struct daemon_control_webhook *webhook, const char **ret_why);

/* In the format of Prometheus. */
void daemon_control_webhook_metrics(struct daemon_control_webhook *webhook, struct text *ret);

/* "NAMESPACE/NAME". -EINVAL. */
int daemon_secret_parse(const char *text, struct daemon_secret *ret);
