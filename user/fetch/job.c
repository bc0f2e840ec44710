// SPDX-License-Identifier: Apache-2.0
#include "fetch/job.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/loop.h"

struct fetch_job *fetch_job_cancel(struct fetch_job *job)
{
	if (job)
		job->cancel(job);
	return NULL;
}

struct later {
	struct fetch_job job;
	struct loop_timer *timer;
	struct fetch_value *value; /* has the texts */
	struct fetch_result result;
	char *why;
	fetch_done_fn *done;
	void *arg;
};

static void later_free(struct fetch_job *job)
{
	struct later *later = (struct later *)job;

	loop_timer_free(later->timer);
	fetch_value_unref(later->value);
	free(later->why);
	free(later);
}

static void now(void *arg)
{
	struct later *later = arg;

	later->done(later->arg, &later->result);
	later_free(&later->job);
}

/* value->... as result has them: the texts of the copy. */
static int copy_result(struct later *later, const struct fetch_result *result)
{
	struct fetch_result *r = &later->result;

	*r = *result;
	if (result->class != FETCH_GRANTED) {
		r->why = later->why = result->why ? strdup(result->why) : NULL;
		return result->why && !later->why ? -ENOMEM : 0;
	}
	later->value = fetch_value_new(result);
	if (!later->value)
		return -ENOMEM;
	r->access_key_id = later->value->access_key_id;
	r->secret_access_key = later->value->secret_access_key;
	r->session_token = later->value->session_token;
	r->role_arn = later->value->role_arn;
	r->account_id = later->value->account_id;
	r->session_name = later->value->session_name;
	r->role_id = later->value->role_id;
	return 0;
}

int fetch_job_later(struct loop *loop, const struct fetch_result *result, fetch_done_fn *done,
		    void *arg, struct fetch_job **ret)
{
	struct later *later = calloc(1, sizeof(*later));
	int r;

	if (!later)
		return -ENOMEM;
	*later = (struct later){.job.cancel = later_free, .done = done, .arg = arg};
	r = copy_result(later, result);
	r = r ?: loop_timer_new(loop, now, later, &later->timer);
	if (r < 0) {
		later_free(&later->job);
		return r;
	}
	loop_timer_after(later->timer, 0);
	*ret = &later->job;
	return 0;
}
