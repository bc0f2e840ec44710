/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which service account gets which role, and how. Associations come from the associations file, from
 * objects of the Kubernetes API, and from annotations; all are read by the same rules. Every string is
 * validated, NUL-terminated, and wiped with the table that it is in.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <time.h>

#include "base/err.h"

/* Who says so. */
enum cred_origin {
	CRED_ORIGIN_FILE, /* the associations file */
	CRED_ORIGIN_OBJECT, /* a PodIdentityAssociation of the API */
	CRED_ORIGIN_IRSA, /* eks.amazonaws.com/role-arn on the service account */
	CRED_ORIGIN_KUBE2IAM, /* iam.amazonaws.com/role on the pod, by kube2iam's rules */
	CRED_ORIGIN_KIAM, /* the same by kiam's */
	CRED_ORIGIN_EKS, /* none of these, and EKS or the broker is asked (source eksAuth, broker) */
	CRED_ORIGINS,
};

/* One word, for logs: "file", "object", "irsa", "kube2iam", "kiam", "eks". */
const char *cred_origin_name(enum cred_origin origin);

/* Where the credentials are made. */
enum cred_source {
	CRED_SOURCE_DEFAULT, /* as the configuration says; never STATIC or EXEC */
	CRED_SOURCE_STATIC, /* they are in the file */
	CRED_SOURCE_EXEC, /* a program prints them */
	CRED_SOURCE_STS, /* AssumeRole with the node's own credentials */
	CRED_SOURCE_WEB_IDENTITY, /* AssumeRoleWithWebIdentity with a token of the service account */
	CRED_SOURCE_EKS_AUTH, /* the EKS Auth API; it knows the role */
	CRED_SOURCE_BROKER, /* podcred broker, likewise */
	CRED_SOURCE_ISSUER, /* AssumeRoleWithWebIdentity with a token of podcred broker's own; no entry names it */
	CRED_SOURCES,
};

/* Whether whoever is asked knows the role: eksAuth, broker. */
bool cred_source_knows_role(enum cred_source source);

/* As the file has it: "static", "exec", "sts", "webIdentity", "eksAuth", "broker", "issuer"; "default". */
const char *cred_source_name(enum cred_source source);

enum cred_session_form {
	CRED_SESSION_POD, /* namespace.serviceaccount.pod */
	CRED_SESSION_SERVICE_ACCOUNT, /* namespace.serviceaccount */
	CRED_SESSION_EKS, /* eks-cluster-pod-uid */
};

/* Field names follow the file's keys. */
struct static_keys {
	const char *access_key_id;
	const char *secret_access_key;
	const char *session_token;
	const char *expiration; /* NULL: none given */
};

struct cred_pair {
	const char *key, *value;
};

struct cred_exec {
	const char *const *command; /* an absolute path and its arguments, up to NULL */
	const struct cred_pair *environment;
	size_t n_environment;
};

#define CRED_ACCOUNT_SIZE     13
#define CRED_DURATION_DEFAULT 3600
#define CRED_TAGS_MAX	      50

struct cred_association {
	enum cred_origin origin;
	enum cred_source source;
	const char *namespace;
	const char *service_account;
	const char *role; /* the name of the last role in the chain, for IMDS; NULL: EKS knows it */
	const char *account_id; /* of that role; NULL: not known */
	const char *role_arn; /* NULL for static, exec, eksAuth and broker */
	const char *target_role_arn; /* assumed with the credentials of the first one; NULL: none */
	const char *external_id; /* of the last role in the chain; NULL: none given */
	const char *policy; /* session policy of the last role, a JSON object; NULL: none */
	const struct cred_pair *tags; /* own ones, beside the six of EKS */
	size_t n_tags;
	bool disable_session_tags; /* none of EKS's six */
	unsigned duration; /* seconds, 900 to 43200 */
	enum cred_session_form session_form;
	const char *session_text; /* kiam's annotation; NULL: session_form decides */
	const char *audience; /* webIdentity: of the token; NULL: the configuration's */
	struct cred_exec exec;
	struct static_keys keys;
	time_t expires; /* keys.expiration as a number; not from the file directly */
	unsigned line; /* in the file */
	char account[CRED_ACCOUNT_SIZE]; /* what account_id points to, when an ARN told it */
};

/* Immutable once loaded, counted, shared between threads. */
struct cred_table;

/*
 * -errno with err filled: file, line, key, what to do. No value of the file is quoted in it.
 * *ret_exposed (may be NULL): users besides root and this process's may read the file.
 */
int cred_table_load(const char *path, struct cred_table **ret, bool *ret_exposed,
		    struct pc_err *err);

/* Same from a descriptor, read from where it stands; path stands for the file in messages. */
int cred_table_read(int fd, const char *path, struct cred_table **ret, bool *ret_exposed,
		    struct pc_err *err);

/* Same from memory; name stands for the file in messages. */
int cred_table_parse(const char *name, const char *text, size_t len, struct cred_table **ret,
		     struct pc_err *err);

/*
 * A table with one association that is not of the file: spec is what the spec of a
 * PodIdentityAssociation holds, as JSON (or YAML) text. Keys that belong to the file (static, exec, sts,
 * role ...) are unknown here, as whoever writes it is a tenant. err: one line that begins with name.
 */
int cred_table_parse_spec(const char *name, enum cred_origin origin, const char *namespace,
			  const char *service_account, const char *spec, size_t len,
			  struct cred_table **ret, struct pc_err *err);

struct cred_table *cred_table_ref(struct cred_table *t);
void cred_table_unref(struct cred_table *t);

size_t cred_table_count(const struct cred_table *t);

/* By number, in the order of the file; below cred_table_count(). */
const struct cred_association *cred_table_at(const struct cred_table *t, size_t i);

/* NULL: none. Exact match only, there are no wildcards. */
const struct cred_association *cred_table_find(const struct cred_table *t, const char *namespace,
					       const char *service_account);

/* The source in force when CRED_SOURCE_DEFAULT stands for that one. */
enum cred_source cred_source_of(const struct cred_association *a, enum cred_source default_source);

/*
 * Whether an association says what that default source can do; NULL, or what is wrong and what to do
 * about it, in one line. The parser has checked those that name their source.
 */
const char *cred_association_conflict(const struct cred_association *a,
				      enum cred_source default_source);

/* arn:PARTITION:iam::ACCOUNT:role/PATH/NAME, 20 to 2048 characters. */
bool cred_is_role_arn(const char *s);
