/* SPDX-License-Identifier: Apache-2.0 */
/*
 * podcred broker: credentials of pods for the agents of their nodes. It has the cloud rights, so that no node has any; it
 * believes an agent by its own token, and gives it what belongs to pods on its own node. All on one loop; nothing here
 * waits or logs.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include "base/text.h"
#include "broker/reason.h"

struct aws_sealing;
struct broker;
struct broker_issuer;
struct config;
struct fetch;
struct fetch_report;
struct http_ticket;
struct kube_client;
struct loop;

#define BROKER_BODY_MAX	   16384 /* bytes of a request's body */
#define BROKER_DEADLINE_MS 900 /* the stock agent of EKS waits for one second */

/* One request that asked for credentials, for the log. Texts that are not known are "". */
struct broker_report {
	enum broker_reason reason;
	const char *why; /* not granted: one line without secrets */
	const char *client; /* address */
	struct {
		const char *name_space, *service_account, *pod, *pod_uid, *node;
	} caller;
	struct {
		const char *name_space, *service_account, *name, *uid;
	} pod;
	const char *role_arn, *session_name, *access_key_id, *cache, *expiration;
	const char *verified; /* "review", or "jwks": the API server was not asked */
	uint64_t took_ns;
};

struct broker_events {
	void *arg;
	void (*said)(void *arg, bool bad, const char *line); /* for the log */
	void (*answered)(void *arg, const struct broker_report *report);
};

/* What it points to has to outlive the broker. */
struct broker_options {
	struct loop *loop;
	struct kube_client *kube;
	struct fetch *fetch;
	const struct config *config;
	const struct aws_sealing *sealing; /* keys for agents that sign; NULL: none do */
	const struct broker_issuer *issuer; /* whose documents are given to anybody; NULL: none */
	struct broker_events events;
};

/* -ENOMEM. */
int broker_new(const struct broker_options *options, struct broker **ret);

/* After the server whose tickets it has. Returns NULL; NULL is fine. */
struct broker *broker_free(struct broker *broker);

/* For http_desk_options. */
void broker_handle(void *arg, struct http_ticket *ticket);

/* The cluster's keys, for when the API server is away. n_issuers: one of them is in each token. */
void broker_set_keys(struct broker *broker, const char *jwks, size_t len,
		     const char *const *issuers, size_t n_issuers);

/* Whether it can answer. why: one line, if not. */
bool broker_is_ready(const struct broker *broker, const char **why);

/* In the text format of Prometheus. */
void broker_metrics(const struct broker *broker, struct text *ret);
