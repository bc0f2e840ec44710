/* SPDX-License-Identifier: Apache-2.0 */
/* Where credentials of pods are made; one file for each. */
#pragma once

#include "fetch/env.h"
#include "fetch/job.h"
#include "fetch/request.h"

struct pc_err;

/* request stays until the job has ended. -errno, with err: it cannot even begin. */
typedef int fetch_source_fn(const struct fetch_env *env, const struct fetch_request *request,
			    fetch_done_fn *done, void *arg, struct fetch_job **ret,
			    struct pc_err *err);

fetch_source_fn fetch_source_static;
fetch_source_fn fetch_source_exec;
fetch_source_fn fetch_source_sts;
fetch_source_fn fetch_source_web_identity;
fetch_source_fn fetch_source_eks_auth;
fetch_source_fn fetch_source_broker;
fetch_source_fn fetch_source_issuer;

/* The one that the request's session names. */
fetch_source_fn *fetch_source_of(const struct fetch_request *request);
