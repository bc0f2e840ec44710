/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which service accounts have an association, for the webhook of EKS (amazon-eks-pod-identity-webhook
 * --watch-container-credentials-config), in a ConfigMap. Several replicas write the same bytes, and only when it has others, each on
 * top of the version that it has read; one that does not know for certain what exists writes nothing. Other members of
 * the ConfigMap stay as they are.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct control_stock;
struct eks_store;
struct kube_client;
struct loop;

#define CONTROL_STOCK_MEMBER "config.json"

/* All of it outlives what is made with it. */
struct control_stock_options {
	struct loop *loop;
	struct kube_client *kube;
	struct eks_store *store;
	const char *config_map; /* "NAMESPACE/NAME", both valid */
	void (*said)(void *arg, bool bad, const char *line); /* for the log */
	void *arg;
};

/* -EINVAL: config_map; -ENOMEM. */
int control_stock_new(const struct control_stock_options *options, struct control_stock **ret);

/* Returns NULL; NULL is fine. */
struct control_stock *control_stock_free(struct control_stock *stock);

/* An association has come or gone: soon it is looked at what follows. NULL is fine. */
void control_stock_look(struct control_stock *stock);

struct control_stock_state {
	uint64_t written, conflicts; /* since the start */
	bool current; /* it had what it should have when it was last looked at */
};
struct control_stock_state control_stock_state(const struct control_stock *stock);
