/* SPDX-License-Identifier: Apache-2.0 */
/* One attempt to get credentials, beside the loop. */
#pragma once

#include "fetch/result.h"

struct loop;

/* First member of what a source keeps of an attempt. */
struct fetch_job {
	/* It ends without calling anybody, and its memory is freed. */
	void (*cancel)(struct fetch_job *job);
};

/* Once, never before the function that started the job has returned. The job's memory is freed by whoever
 * calls. */
typedef void fetch_done_fn(void *arg, const struct fetch_result *result);

/* Returns NULL; NULL is fine. */
struct fetch_job *fetch_job_cancel(struct fetch_job *job);

/* A job for what is known already: a copy of result comes in the loop's next turn. -ENOMEM. */
int fetch_job_later(struct loop *loop, const struct fetch_result *result, fetch_done_fn *done,
		    void *arg, struct fetch_job **ret);
