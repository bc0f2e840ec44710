// SPDX-License-Identifier: Apache-2.0
#include "agent/audit_limit.h"

#include <stdlib.h>

#include <podcred/podcred.h>

#define CREDIT_MAX ((int64_t)AUDIT_LIMIT_BURST * AUDIT_LIMIT_LINE_MS)

struct audit_bucket {
	struct audit_bucket *next;
	struct podcred_peer peer; /* of the last line left out; pod_cgroup_id 0: unknown callers */
	int64_t credit_ms, filled_ms;
	unsigned suppressed;
	struct audit_grant *grants;
};

void agent_audit_limit_init(struct audit_limit *l, audit_limit_report_fn report,
			    audit_repeats_fn report_repeats)
{
	pthread_mutex_init(&l->lock, NULL);
	l->buckets = NULL;
	l->report = report;
	l->report_repeats = report_repeats;
}

static void report_suppressed(struct audit_limit *l, struct audit_bucket *b)
{
	if (b->suppressed)
		l->report(b->peer.pod_cgroup_id ? &b->peer : NULL, b->suppressed);
	b->suppressed = 0;
}

void agent_audit_limit_done(struct audit_limit *l)
{
	struct audit_bucket *b;

	while ((b = l->buckets)) {
		l->buckets = b->next;
		report_suppressed(l, b);
		agent_audit_grants_forget(&b->grants, l->report_repeats);
		free(b);
	}
	pthread_mutex_destroy(&l->lock);
}

static void refill(struct audit_bucket *b, int64_t now_ms)
{
	if (now_ms > b->filled_ms) {
		b->credit_ms += now_ms - b->filled_ms;
		b->filled_ms = now_ms;
	}
	if (b->credit_ms > CREDIT_MAX)
		b->credit_ms = CREDIT_MAX;
}

static struct audit_bucket *get_bucket(struct audit_limit *l, uint64_t pod, int64_t now_ms)
{
	struct audit_bucket *b = l->buckets;

	while (b && b->peer.pod_cgroup_id != pod)
		b = b->next;
	if (b)
		return b;
	b = calloc(1, sizeof(*b));
	if (!b)
		return NULL;
	b->peer.pod_cgroup_id = pod;
	b->credit_ms = CREDIT_MAX;
	b->filled_ms = now_ms;
	b->next = l->buckets;
	l->buckets = b;
	return b;
}

static bool take(struct audit_limit *l, struct audit_bucket *b, const struct podcred_peer *peer,
		 int64_t now_ms)
{
	refill(b, now_ms);
	if (b->credit_ms < AUDIT_LIMIT_LINE_MS) {
		if (peer)
			b->peer = *peer;
		b->suppressed++;
		return false;
	}
	b->credit_ms -= AUDIT_LIMIT_LINE_MS;
	report_suppressed(l, b);
	agent_audit_grants_forget(&b->grants, l->report_repeats);
	return true;
}

bool agent_audit_limit_take(struct audit_limit *l, const struct podcred_peer *peer, int64_t now_ms)
{
	struct audit_bucket *b;
	bool ok = true; /* without memory: rather a line too many */

	pthread_mutex_lock(&l->lock);
	b = get_bucket(l, peer ? peer->pod_cgroup_id : 0, now_ms);
	if (b)
		ok = take(l, b, peer, now_ms);
	pthread_mutex_unlock(&l->lock);
	return ok;
}

bool agent_audit_limit_take_grant(struct audit_limit *l, const struct podcred_peer *peer,
				  const char *role, const char *key_id, int64_t now_ms)
{
	struct audit_bucket *b;
	bool ok = true;

	pthread_mutex_lock(&l->lock);
	b = get_bucket(l, peer->pod_cgroup_id, now_ms);
	if (b)
		ok = agent_audit_grants_take(&b->grants, peer, role, key_id, now_ms,
					     l->report_repeats);
	pthread_mutex_unlock(&l->lock);
	return ok;
}

void agent_audit_limit_check(struct audit_limit *l, int64_t now_ms)
{
	pthread_mutex_lock(&l->lock);
	for (struct audit_bucket **at = &l->buckets; *at;) {
		struct audit_bucket *b = *at;

		refill(b, now_ms);
		if (b->credit_ms >= AUDIT_LIMIT_LINE_MS)
			report_suppressed(l, b);
		agent_audit_grants_check(&b->grants, now_ms, l->report_repeats);
		if (b->credit_ms == CREDIT_MAX && !b->grants) {
			*at = b->next;
			free(b);
		} else {
			at = &b->next;
		}
	}
	pthread_mutex_unlock(&l->lock);
}
