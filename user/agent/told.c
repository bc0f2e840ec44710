// SPDX-License-Identifier: Apache-2.0
/* One answer of fetch, with all its texts in one piece of locked memory. */
#include <errno.h>
#include <string.h>

#include "agent/told.h"
#include "base/clock.h"
#include "base/pack.h"
#include "base/secret_pool.h"

/* What a granted or refused answer has of texts, in their places. */
#define GRANT_TEXTS(X)                                                                             \
	X(access_key_id)                                                                           \
	X(secret_access_key)                                                                       \
	X(session_token)                                                                           \
	X(role)                                                                                    \
	X(role_arn)                                                                                \
	X(account_id)                                                                              \
	X(session_name)                                                                            \
	X(role_id)                                                                                 \
	X(source)
#define REFUSAL_TEXTS(X)                                                                           \
	X(message)                                                                                 \
	X(role_arn)                                                                                \
	X(source)

#define SIZE(text) +pack_size(from->text)
#define PUT(text)  told->text = pack_put(&at, from->text);

/* The same credentials may be told twice. */
static const char *previous_key_id(const struct agent_told *before,
				   const struct upstream_grant *grant)
{
	if (!before || !before->granted)
		return NULL;
	return strcmp(before->access_key_id, grant->access_key_id) != 0 ? before->access_key_id
									: before->previous_key_id;
}

static size_t size_of(const struct upstream_message *m, const struct agent_told *before)
{
	if (m->type == UPSTREAM_GRANT) {
		const struct upstream_grant *from = &m->grant;

		return pack_size(previous_key_id(before, from)) GRANT_TEXTS(SIZE);
	}
	const struct upstream_refusal *from = &m->refusal;

	return 0 REFUSAL_TEXTS(SIZE);
}

static void put_grant(struct agent_told *told, char *at, const struct upstream_grant *from,
		      const struct agent_told *before)
{
	GRANT_TEXTS(PUT)
	told->previous_key_id = pack_put(&at, previous_key_id(before, from));
	told->granted = true;
	told->session_token = told->session_token ?: "";
	told->expiration = from->expiration;
	told->cache = from->cache;
}

static void put_refusal(struct agent_told *told, char *at, const struct upstream_refusal *from)
{
	REFUSAL_TEXTS(PUT)
	told->reason = from->reason;
}

int agent_told_new(const struct upstream_message *m, uint64_t token,
		   const struct agent_told *before, struct agent_told **ret)
{
	struct agent_told *told = secret_pool_alloc(sizeof(*told) + size_of(m, before));

	if (!told)
		return -ENOMEM;
	if (m->type == UPSTREAM_GRANT)
		put_grant(told, told->text, &m->grant, before);
	else
		put_refusal(told, told->text, &m->refusal);
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
