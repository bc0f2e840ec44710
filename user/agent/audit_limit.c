// SPDX-License-Identifier: Apache-2.0
#include "agent/audit_limit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <podcred/podcred.h>

#include "agent/answer.h"

#define CREDIT_MAX ((int64_t)AUDIT_LIMIT_BURST * AUDIT_LIMIT_LINE_MS)

/* ---- what a pod was granted lately ---- */

struct audit_grant {
	struct audit_grant *next;
	struct podcred_peer peer; /* of the last line */
	char role[ANSWER_ROLE_SIZE];
	char key_id[ANSWER_KEY_ID_SIZE];
	int64_t said_ms;
	unsigned repeats;
};

static bool same_destination(const struct audit_grant *grant, const struct podcred_peer *peer)
{
	return grant->peer.port == peer->port &&
	       !memcmp(grant->peer.address, peer->address, sizeof(peer->address));
}

static bool same_grant(const struct audit_grant *grant, const struct podcred_peer *peer,
		       const char *role, const char *key_id)
{
	return !strcmp(grant->role, role) && !strcmp(grant->key_id, key_id) &&
	       !strcmp(grant->peer.pod_uid, peer->pod_uid) &&
	       !strcmp(grant->peer.pod_namespace, peer->pod_namespace) &&
	       !strcmp(grant->peer.pod_name, peer->pod_name) &&
	       !strcmp(grant->peer.service_account, peer->service_account);
}

static void say_repeats(struct audit_grant *grant, audit_repeats_fn report)
{
	if (grant->repeats)
		report(&grant->peer, grant->role, grant->repeats);
	grant->repeats = 0;
}

/* The one at this destination; else a new one, or that which was added first. NULL: no memory. */
static struct audit_grant *get_grant(struct audit_grant **grants, const struct podcred_peer *peer,
				     audit_repeats_fn report)
{
	struct audit_grant *grant, **at;
	unsigned n = 1;

	for (at = grants; *at && !same_destination(*at, peer) && n < AUDIT_GRANTS_MAX; n++)
		at = &(*at)->next;
	grant = *at;
	if (!grant) {
		grant = calloc(1, sizeof(*grant));
		if (!grant)
			return NULL;
		grant->next = *grants;
		*grants = grant;
	} else if (!same_destination(grant, peer)) {
		say_repeats(grant, report);
		grant->role[0] = '\0'; /* that of no grant */
	}
	return grant;
}

/* Whether this one is worth a line. What it takes the place of is reported before. */
static bool take_grant(struct audit_grant **grants, const struct podcred_peer *peer,
		       const char *role, const char *key_id, int64_t now_ms,
		       audit_repeats_fn report)
{
	struct audit_grant *grant = get_grant(grants, peer, report);

	if (!grant)
		return true; /* rather a line too many */
	if (same_grant(grant, peer, role, key_id)) {
		grant->repeats++;
		return false;
	}
	say_repeats(grant, report);
	grant->peer = *peer;
	snprintf(grant->role, sizeof(grant->role), "%s", role);
	snprintf(grant->key_id, sizeof(grant->key_id), "%s", key_id);
	grant->said_ms = now_ms;
	return true;
}

/* Reports repeats that are due, and forgets what was not repeated. */
static void check_grants(struct audit_grant **grants, int64_t now_ms, audit_repeats_fn report)
{
	for (struct audit_grant **at = grants; *at;) {
		struct audit_grant *grant = *at;
		bool quiet = !grant->repeats;

		if (now_ms - grant->said_ms < AUDIT_GRANT_MS) {
			at = &grant->next;
		} else if (quiet) {
			*at = grant->next;
			free(grant);
		} else {
			say_repeats(grant, report);
			grant->said_ms = now_ms;
		}
	}
}

/* Reports and forgets all: the next grant is worth a line. */
static void forget_grants(struct audit_grant **grants, audit_repeats_fn report)
{
	struct audit_grant *grant;

	while ((grant = *grants)) {
		*grants = grant->next;
		say_repeats(grant, report);
		free(grant);
	}
}

/* ---- what a pod may still cause ---- */

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
		forget_grants(&b->grants, l->report_repeats);
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
	forget_grants(&b->grants, l->report_repeats);
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
		ok = take_grant(&b->grants, peer, role, key_id, now_ms, l->report_repeats);
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
		check_grants(&b->grants, now_ms, l->report_repeats);
		if (b->credit_ms == CREDIT_MAX && !b->grants) {
			*at = b->next;
			free(b);
		} else {
			at = &b->next;
		}
	}
	pthread_mutex_unlock(&l->lock);
}
