// SPDX-License-Identifier: Apache-2.0
/* Keys that are in the associations file. serve answers these by itself; fetch can, too. */
#include <errno.h>
#include <time.h>

#include "base/clock.h"
#include "fetch/source.h"

int fetch_source_static(const struct fetch_env *env, const struct fetch_request *request,
			fetch_done_fn *done, void *arg, struct fetch_job **ret, struct pc_err *err)
{
	const struct cred_association *a = request->association;
	time_t now = time(NULL);
	struct fetch_result result = {
		.class = FETCH_GRANTED,
		.access_key_id = a->keys.access_key_id,
		.secret_access_key = a->keys.secret_access_key,
		.session_token = a->keys.session_token,
		.account_id = a->account_id,
	};

	(void)err;
	if (a->keys.expiration && a->expires <= now)
		result = (struct fetch_result){
			.class = FETCH_INVALID,
			.why = "the keys in the associations file have expired"};
	else if (a->keys.expiration) {
		result.expiration = a->expires;
		result.good_ns = (uint64_t)(a->expires - now) * CLOCK_S;
	}
	return fetch_job_later(env->loop, &result, done, arg, ret);
}
