/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Single objects of the Kubernetes API, read and written. One request, one answer, on the loop of the client; following
 * all objects of a kind is watch.h. Nothing is repeated here but what kube/client.h repeats, so whoever writes decides
 * what a conflict means.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct kube_client;
struct kube_object_call;
struct pc_err;
struct project_shape;

struct kube_kind {
	const char *version; /* "v1", or "GROUP/VERSION" */
	const char *plural; /* "podidentityassociations" */
	const char *kind; /* "PodIdentityAssociation", for messages */
	bool namespaced;
};

enum kube_verb {
	KUBE_GET,
	KUBE_LIST, /* as one answer: for what is known to be few */
	KUBE_CREATE,
	KUBE_REPLACE, /* a body with metadata.resourceVersion is refused (KUBE_CONFLICT) when it is not the last one */
	KUBE_MERGE, /* merge patch; metadata.resourceVersion in it counts in the same way */
	KUBE_JSON_PATCH, /* an array of operations; one that is "test" and fails: KUBE_INVALID */
	KUBE_APPLY, /* server-side apply: creates what is missing */
	KUBE_DELETE,
};

/* By what helps. */
enum kube_outcome {
	KUBE_DONE,
	KUBE_NOT_FOUND, /* 404: the object, its namespace, or its kind */
	KUBE_EXISTS, /* 409 AlreadyExists */
	KUBE_CONFLICT, /* 409, any other: it has changed, or a precondition does not hold */
	KUBE_INVALID, /* 400, 413, 415, 422: the API server does not want it like this; causes may say which member */
	KUBE_FORBIDDEN, /* 401, 403 */
	KUBE_UNAVAILABLE, /* 429, 5xx, no connection, no answer in time; perhaps it was done */
	KUBE_BROKEN, /* no memory, or an answer that is none */
};

/* One word, as a label of a metric: "done", "not_found", ... */
const char *kube_outcome_name(enum kube_outcome outcome);

/* One member that the API server refuses. */
struct kube_cause {
	const char *field; /* "spec.roleArn"; empty: it does not say */
	const char *message; /* empty: the same */
};

#define KUBE_CAUSES_MAX 16

struct kube_object_result {
	enum kube_outcome outcome;
	unsigned status; /* of HTTP; 0: no answer came */
	const char
		*why; /* one line: which object, what is wrong, the next step; empty: KUBE_DONE */
	const char *message; /* what the API server says itself; empty: nothing */
	const json_t
		*object; /* KUBE_DONE: its answer (of KUBE_LIST a list with items); else NULL */
	struct kube_cause causes[KUBE_CAUSES_MAX]; /* of KUBE_INVALID */
	size_t n_causes;
	uint64_t retry_after_ns; /* KUBE_UNAVAILABLE: no sooner than that; 0: nobody said so */
};

struct kube_object_request {
	enum kube_verb verb;
	const struct kube_kind *kind;
	const char *name_space; /* NULL: of a kind without; KUBE_LIST: of all */
	const char *name; /* of the object; NULL for KUBE_CREATE and KUBE_LIST */
	const char *subresource; /* "status"; NULL: none */
	const char *query; /* "labelSelector=a%3Db", URL-encoded; NULL: none */
	const json_t *body; /* not of KUBE_GET, KUBE_LIST, KUBE_DELETE */
	const char *manager; /* who owns the fields; NULL: "podcred" */
	bool force; /* KUBE_APPLY: takes fields of other managers */
	bool strict; /* KUBE_CREATE and the like: members that the schema does not know are refused, not dropped */
	const char *uid,
		*resource_version; /* KUBE_DELETE: only that one (KUBE_CONFLICT); NULL: whichever */
	/* What of the answer is kept (project.h); of KUBE_LIST the shape of a whole list. NULL: everything, as jansson
	 * reads it, with NUL bytes in strings; an answer that jansson cannot read is KUBE_BROKEN. */
	const struct project_shape *shape;
	size_t max_body; /* of the answer; 0: 4 MiB */
	uint64_t total_ns; /* 0: 10 s */
	/* Once, unless it is cancelled, never before kube_object_start() has returned. What result points to is valid
	 * until it returns; the call is over then. */
	void (*done)(void *arg, const struct kube_object_result *result);
	void *arg;
};

/* Copies the request; shape has to outlive the call. -EINVAL: not the name of such an object, as names come from
 * anywhere and become part of a path; -ENOMEM. err: one line. */
int kube_object_start(struct kube_client *client, const struct kube_object_request *request,
		      struct kube_object_call **ret, struct pc_err *err);

/* Nobody is called any more. Returns NULL; NULL is fine. */
struct kube_object_call *kube_object_cancel(struct kube_object_call *call);

/* Kinds that more than one part needs. */
extern const struct kube_kind kube_kind_association; /* PodIdentityAssociation */
extern const struct kube_kind kube_kind_role_policy; /* PodIdentityRolePolicy */
extern const struct kube_kind kube_kind_pod;
extern const struct kube_kind kube_kind_service_account;
extern const struct kube_kind kube_kind_namespace;
