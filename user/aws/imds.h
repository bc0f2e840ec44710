/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The instance metadata service of this node, IMDSv2 only. One token is kept for all calls and
 * renewed in time, also when the service has forgotten it. Never by a proxy. Calls behave as those
 * of client.h; an attempt has one second, a call five.
 */
#pragma once

#include "aws/client.h"

struct aws_imds;

/* url NULL: http://169.254.169.254. -EINVAL: url; -ENOMEM. */
int aws_imds_new(struct loop *loop, struct http_client *http, const char *url,
		 struct aws_imds **ret, struct pc_err *err);

/* Cancels all calls. Not from a function of a call. Returns NULL; NULL is fine. */
struct aws_imds *aws_imds_free(struct aws_imds *imds);
static inline void aws_imds_freep(struct aws_imds **imds)
{
	aws_imds_free(*imds);
}

/* How long an attempt and a call may take, from the next call on. */
void aws_imds_set_patience(struct aws_imds *imds, uint64_t attempt_ns, uint64_t deadline_ns);

/* body: len bytes and a NUL; NULL unless the class is AWS_OK. */
typedef void aws_imds_fn(void *arg, const struct aws_result *result, const char *body, size_t len);

/* path: "/latest/meta-data/placement/region", without a query. A larger answer than max, which is
 * at most 64 KiB, is AWS_MALFORMED. */
int aws_imds_get(struct aws_imds *imds, const char *path, size_t max, aws_imds_fn *done, void *arg,
		 struct aws_call **ret, struct pc_err *err);

/* The node's own credentials: those of the first role of the list. AWS_NOT_FOUND: the instance has
 * no role. */
int aws_imds_credentials(struct aws_imds *imds, aws_session_fn *done, void *arg,
			 struct aws_call **ret, struct pc_err *err);

struct aws_place {
	char *region; /* eu-west-1 */
	char *zone; /* eu-west-1a */
	char *zone_id; /* euw1-az2; NULL: this service does not have it */
	char *instance_id; /* likewise */
};

/* place is NULL unless the class is AWS_OK. */
typedef void aws_place_fn(void *arg, const struct aws_result *result,
			  const struct aws_place *place);

int aws_imds_place(struct aws_imds *imds, aws_place_fn *done, void *arg, struct aws_call **ret,
		   struct pc_err *err);
