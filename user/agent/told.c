// SPDX-License-Identifier: Apache-2.0
/* One answer of fetch, with all its texts in one piece of locked memory. */
#include <errno.h>
#include <string.h>

#include "agent/told.h"
#include "base/clock.h"
#include "base/secret_pool.h"

/* Where the next text goes; without memory it only counts. */
struct cursor {
	char *at;
	size_t used;
};

static const char *put(struct cursor *cursor, const char *s)
{
	size_t size = s ? strlen(s) + 1 : 0;
	char *copy = cursor->at ? cursor->at + cursor->used : NULL;

	cursor->used += size;
	if (!s || !copy)
		return NULL;
	memcpy(copy, s, size);
	return copy;
}

static void put_grant(struct agent_told *told, struct cursor *cursor,
		      const struct upstream_grant *grant)
{
	told->granted = true;
	told->access_key_id = put(cursor, grant->access_key_id);
	told->secret_access_key = put(cursor, grant->secret_access_key);
	told->session_token = put(cursor, grant->session_token ?: "");
	told->expiration = grant->expiration;
	told->role = put(cursor, grant->role);
	told->role_arn = put(cursor, grant->role_arn);
	told->account_id = put(cursor, grant->account_id);
	told->session_name = put(cursor, grant->session_name);
	told->source = put(cursor, grant->source);
	told->cache = grant->cache;
}

static void put_refusal(struct agent_told *told, struct cursor *cursor,
			const struct upstream_refusal *refusal)
{
	told->reason = refusal->reason;
	told->message = put(cursor, refusal->message);
	told->role_arn = put(cursor, refusal->role_arn);
	told->source = put(cursor, refusal->source);
}

static void put_message(struct agent_told *told, struct cursor *cursor,
			const struct upstream_message *m)
{
	if (m->type == UPSTREAM_GRANT)
		put_grant(told, cursor, &m->grant);
	else
		put_refusal(told, cursor, &m->refusal);
}

int agent_told_new(const struct upstream_message *m, uint64_t token, struct agent_told **ret)
{
	struct agent_told measure = {}, *told;
	struct cursor cursor = {};

	put_message(&measure, &cursor, m);
	told = secret_pool_alloc(sizeof(*told) + cursor.used);
	if (!told)
		return -ENOMEM;
	cursor = (struct cursor){.at = told->text};
	put_message(told, &cursor, m);
	atomic_init(&told->refs, 1);
	told->told_ns = clock_mono_ns();
	told->token = token;
	*ret = told;
	return 0;
}

struct agent_told *agent_told_ref(struct agent_told *told)
{
	atomic_fetch_add(&told->refs, 1);
	return told;
}

void agent_told_unref(struct agent_told *told)
{
	if (told && atomic_fetch_sub(&told->refs, 1) == 1)
		secret_pool_free(told);
}
