/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Credentials of pods, from where they are made. Which association applies, which source, and the cache in front of it.
 * All on one loop; nothing here waits or logs.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "credentials/choose.h"
#include "credentials/session.h"
#include "fetch/cache.h"

struct aws_imds;
struct config_credentials;
struct cred_store;
struct fetch;
struct fetch_pending;
struct http_client;
struct kube_client;
struct loop;
struct pc_err;

/* One attempt to get credentials, for the log. */
struct fetch_report {
	const struct cred_pod *pod; /* the first one that asked */
	const char *source, *role_arn, *session_name; /* the last two may be NULL */
	const struct fetch_result *result; /* its secrets are not for the log */
	uint64_t took_ns;
};

struct fetch_events {
	void *arg;
	void (*said)(void *arg, bool bad, const char *line); /* for the log */
	void (*tried)(void *arg, const struct fetch_report *report);
	void (*changed)(void *arg); /* what the cluster says of service accounts */
	/* Once, unless fetch_is_ready() from the beginning: it is worth to ask from now on, as the region is known, or
	 * could not be found at once. */
	void (*ready)(void *arg);
};

/* Who makes the tokens for the source issuer. */
struct fetch_issuer {
	void *arg;
	/* One for a call to STS: about the pod, with the tags of its session, if they go with the first role. now: AWS's
	 * clock. *ret is wiped and freed. -EINVAL: there can be none for that session, -EIO, -ENOMEM, with err. */
	int (*issue)(void *arg, const struct cred_pod *pod, const struct cred_session *session,
		     time_t now, char **ret, struct pc_err *err);
};

struct fetch_options {
	struct loop *loop;
	struct http_client *http;
	struct kube_client *kube; /* NULL: this is no cluster */
	const struct config_credentials *config;
	struct cred_store *associations; /* NULL: there is no file */
	const char *node_name; /* NULL: not known */
	struct fetch_issuer issuer; /* issue NULL: this is a node, and may not have that source */
	size_t max_pods; /* then the one that has not asked for longest is forgotten; 0: what a node has room for */
	struct fetch_events events;
};

/* The line for a node whose configuration has the source issuer. -EINVAL. */
int fetch_refuse_issuer(struct pc_err *err);

/* What options point to has to outlive it. events are called from the loop only. -EINVAL: the configuration; err
 * says what. -ENOMEM and the like. */
int fetch_new(const struct fetch_options *options, struct fetch **ret, struct pc_err *err);

/* Ends all attempts; nobody is called. Returns NULL; NULL is fine. */
struct fetch *fetch_free(struct fetch *fetch);

bool fetch_is_ready(const struct fetch *fetch);

struct fetch_reply {
	struct fetch_answer answer;
	const char *source; /* "sts"; NULL: it did not come to that */
	const char *role; /* its name; NULL: not known */
	const char *role_arn, *account_id, *session_name, *role_id; /* NULL: not known */
};

/* reply and what it points to are valid until it returns. */
typedef void fetch_reply_fn(void *arg, const struct fetch_reply *reply);

/* done is called once, perhaps before this has returned: then *ret is NULL. token: of the pod; NULL: none. */
void fetch_credentials(struct fetch *fetch, const struct cred_pod *pod, const char *token,
		       fetch_reply_fn *done, void *arg, struct fetch_pending **ret);

/* done is not called any more. Returns NULL; NULL is fine. */
struct fetch_pending *fetch_pending_cancel(struct fetch_pending *pending);

/* That pod has ended. */
void fetch_gone(struct fetch *fetch, const char *pod_uid);

/* Whether the node's credentials number i of the configuration come from a program, as their file says now. */
bool fetch_profile_runs_program(const struct config_credentials *config, size_t i);

/* Of the PodIdentityAssociation of that service account; "": there is none. Valid until the loop goes on. */
const char *fetch_association_uid(const struct fetch *fetch, const char *name_space,
				  const char *service_account);

/* The metadata service of the node, for fetch/metadata.h. */
struct aws_imds *fetch_imds(const struct fetch *fetch);
