// SPDX-License-Identifier: Apache-2.0
#include "fetch/place_call.h"

#include <errno.h>
#include <stdlib.h>
#include <time.h>

#include "base/err.h"
#include "fetch/from_aws.h"

static void place_free(struct fetch_job *of)
{
	struct fetch_place_call *place = (struct fetch_place_call *)of;

	aws_call_cancel(place->call);
	free(place);
}

/* AWS's clock, as far as a call to STS has shown it. */
static time_t now(const struct fetch_env *env)
{
	return env->aws ? aws_client_now(env->aws) : time(NULL);
}

void fetch_place_on_session(void *arg, const struct aws_result *aws, struct aws_session *session)
{
	struct fetch_place_call *place = arg;
	struct fetch_aws_texts texts;
	struct fetch_result result;

	place->call = NULL;
	if (session)
		fetch_from_session(session, now(place->env), &texts, &result);
	else
		fetch_from_result(aws, &result);
	if (result.class == FETCH_ABSENT && place->absent)
		result = (struct fetch_result){.class = FETCH_NODE, .why = place->absent};
	place->done(place->arg, &result);
	place_free(&place->job);
}

int fetch_place_start(const struct fetch_place_call *place,
		      const struct config_node_credentials *config, fetch_place_ask_fn *ask,
		      struct fetch_job **ret, struct pc_err *err)
{
	struct fetch_place_call *own = malloc(sizeof(*own));
	int r;

	if (!own)
		return pc_err_set(err, -ENOMEM, "no memory");
	*own = *place;
	own->job.cancel = place_free;
	r = ask(own, config, err);
	if (r < 0)
		place_free(&own->job);
	else
		*ret = &own->job;
	return r;
}
