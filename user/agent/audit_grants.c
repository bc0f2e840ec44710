// SPDX-License-Identifier: Apache-2.0
#include "agent/audit_grants.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <podcred/podcred.h>

#include "agent/response.h"

struct audit_grant {
	struct audit_grant *next;
	struct podcred_peer peer; /* of the last line */
	char role[RESPONSE_ROLE_SIZE];
	char key_id[RESPONSE_KEY_ID_SIZE];
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

static void report_repeats(struct audit_grant *grant, audit_repeats_fn report)
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
		report_repeats(grant, report);
		grant->role[0] = '\0'; /* that of no grant */
	}
	return grant;
}

bool agent_audit_grants_take(struct audit_grant **grants, const struct podcred_peer *peer,
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
	report_repeats(grant, report);
	grant->peer = *peer;
	snprintf(grant->role, sizeof(grant->role), "%s", role);
	snprintf(grant->key_id, sizeof(grant->key_id), "%s", key_id);
	grant->said_ms = now_ms;
	return true;
}

void agent_audit_grants_check(struct audit_grant **grants, int64_t now_ms, audit_repeats_fn report)
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
			report_repeats(grant, report);
			grant->said_ms = now_ms;
		}
	}
}

void agent_audit_grants_forget(struct audit_grant **grants, audit_repeats_fn report)
{
	struct audit_grant *grant;

	while ((grant = *grants)) {
		*grants = grant->next;
		report_repeats(grant, report);
		free(grant);
	}
}
