/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a pod was granted recently. A grant that differs from the previous one for the same
 * destination is worth a line; a repeated one is counted. Not locked; the caller supplies the time.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct podcred_peer;
struct audit_grant;

#define AUDIT_GRANT_MS	 60000 /* repeats are summed up so often */
#define AUDIT_GRANTS_MAX 8 /* destinations of a pod that are told apart */

/* peer was given role as often as that, since the last line about it. */
typedef void (*audit_repeats_fn)(const struct podcred_peer *peer, const char *role, unsigned count);

/* Whether this one is worth a line. A list is NULL at first. What it takes the place of is reported
 * before. */
bool agent_audit_grants_take(struct audit_grant **grants, const struct podcred_peer *peer,
			     const char *role, const char *key_id, int64_t now_ms,
			     audit_repeats_fn report);

/* Now and then: reports repeats that are due, forgets what was not repeated. */
void agent_audit_grants_check(struct audit_grant **grants, int64_t now_ms, audit_repeats_fn report);

/* Reports and forgets all: the next grant is worth a line. */
void agent_audit_grants_forget(struct audit_grant **grants, audit_repeats_fn report);
