/* SPDX-License-Identifier: Apache-2.0 */
/* Where AWS's services are, by region. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct pc_err;

struct aws_partition {
	const char *id; /* as in ARNs */
	const char *suffix; /* of DNS names */
	const char *dual_stack_suffix;
	const char *global_region;
};

/* "aws" for regions that nobody knows yet. */
const struct aws_partition *aws_partition_of(const char *region);

/* NULL: there is none. */
const struct aws_partition *aws_partition_named(const char *id, size_t len);

/* Lower-case letters, digits and dashes: what may be part of a host name. */
bool aws_is_region(const char *text);

#define AWS_URL_SIZE 512

struct aws_endpoint_options {
	const char *region;
	const char *url; /* instead: http or https, a path is a prefix; NULL: AWS's own */
	bool fips, dual_stack; /* not with url */
};

/* Scheme, host, port and prefix, without a slash at the end. */
struct aws_endpoint {
	char url[AWS_URL_SIZE];
	char host[AWS_URL_SIZE]; /* as the Host header has it */
	char prefix[AWS_URL_SIZE]; /* "" or "/path" */
};

enum aws_service {
	AWS_STS,
	AWS_EKS_AUTH,
	AWS_ROLES_ANYWHERE,
	AWS_SERVICES,
};

/* As it is signed: "sts". */
const char *aws_service_name(enum aws_service service);

/* -EINVAL: region or url, or url with fips or dual_stack; err says which. */
int aws_endpoint_find(enum aws_service service, const struct aws_endpoint_options *options,
		      struct aws_endpoint *ret, struct pc_err *err);

/* Any URL of that kind. -EINVAL. */
int aws_endpoint_parse(const char *url, struct aws_endpoint *ret, struct pc_err *err);
