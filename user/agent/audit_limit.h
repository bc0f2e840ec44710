/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How many log lines a pod may cause. For refusals it is 20 at once, then one per second; for
 * grants, one for each that differs from the previous one for the same destination, or that follows a logged
 * refusal. Lines that are left out are counted, so the log always mentions them. The caller supplies the time.
 */
#pragma once

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

struct podcred_peer;

#define AUDIT_LIMIT_BURST   20
#define AUDIT_LIMIT_LINE_MS 1000

#define AUDIT_GRANT_MS	 60000 /* repeats are summed up so often */
#define AUDIT_GRANTS_MAX 8 /* destinations of a pod that are told apart */

/* That many lines about peer were left out; NULL: about unknown callers. Called with the lock
 * held. */
typedef void (*audit_limit_report_fn)(const struct podcred_peer *peer, unsigned suppressed);

/* peer was given role as often as that, since the last line about it. Likewise. */
typedef void (*audit_repeats_fn)(const struct podcred_peer *peer, const char *role, unsigned count);

struct audit_limit {
	pthread_mutex_t lock;
	struct audit_bucket *buckets; /* of pods that were refused or granted something lately */
	audit_limit_report_fn report;
	audit_repeats_fn report_repeats;
};

void agent_audit_limit_init(struct audit_limit *l, audit_limit_report_fn report,
			    audit_repeats_fn report_repeats);
/* Reports what is left. */
void agent_audit_limit_done(struct audit_limit *l);

/* Whether a line about a refusal, or a grant, may be written now. Reports first what was left out
 * before it. */
bool agent_audit_limit_take(struct audit_limit *l, const struct podcred_peer *peer, int64_t now_ms);

bool agent_audit_limit_take_grant(struct audit_limit *l, const struct podcred_peer *peer,
				  const char *role, const char *key_id, int64_t now_ms);

/* Now and then: reports floods that have ended and repeats, and forgets who has been quiet. */
void agent_audit_limit_check(struct audit_limit *l, int64_t now_ms);
