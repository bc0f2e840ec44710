// SPDX-License-Identifier: Apache-2.0
#include "agent/audit.h"

#include <stdio.h>
#include <string.h>

#include "agent/service.h"
#include "base/addr.h"
#include "base/clock.h"
#include "base/log.h"

/* Empty strings become missing fields. */
static const char *or_null(const char *s)
{
	return s[0] ? s : NULL;
}

void agent_audit_suppressed(const struct podcred_peer *peer, unsigned count)
{
	char text[16], cgroup[24];

	snprintf(text, sizeof(text), "%u", count);
	if (!peer) {
		log_event(LOG_LEVEL_WARN, "credentials", "result", "suppressed", "count", text,
			  NULL);
		return;
	}
	snprintf(cgroup, sizeof(cgroup), "%llu", (unsigned long long)peer->pod_cgroup_id);
	log_event(LOG_LEVEL_WARN, "credentials", "result", "suppressed", "count", text, "namespace",
		  or_null(peer->pod_namespace), "pod", or_null(peer->pod_name), "pod_cgroup",
		  cgroup, NULL);
}

void agent_audit_repeated(const struct podcred_peer *peer, const char *role, unsigned count)
{
	char text[16], cgroup[24], destination[NET_ADDR_TEXT];

	snprintf(text, sizeof(text), "%u", count);
	snprintf(cgroup, sizeof(cgroup), "%llu", (unsigned long long)peer->pod_cgroup_id);
	net_addr_format(peer->address, peer->port, destination, sizeof(destination));
	log_event(LOG_LEVEL_INFO, "credentials", "result", "granted", "count", text, "namespace",
		  or_null(peer->pod_namespace), "pod", or_null(peer->pod_name), "uid",
		  or_null(peer->pod_uid), "service_account", or_null(peer->service_account),
		  "pod_cgroup", cgroup, "role", or_null(role), "destination", destination, NULL);
}

/* Whether it is worth a line; it is counted if not. */
static bool takes_line(struct audit_limit *limit, const struct agent_request *req,
		       const struct agent_answer *answer, int64_t now_ms)
{
	if (answer->audit == AUDIT_NONE)
		return false;
	if (answer->audit == AUDIT_GRANTED && req->peer)
		return agent_audit_limit_take_grant(limit, req->peer, answer->role, answer->key_id,
						    now_ms);
	return agent_audit_limit_take(limit, req->peer, now_ms);
}

/* With three digits behind the point. */
static void format_latency(const struct agent_request *req, uint64_t now_ns, char ret[24])
{
	uint64_t us = (now_ns - req->since_ns) / 1000;

	ret[0] = '\0';
	if (req->since_ns)
		snprintf(ret, 24, "%llu.%03llu", (unsigned long long)(us / 1000),
			 (unsigned long long)(us % 1000));
}

void agent_audit_decision(struct audit_limit *limit, const struct agent_request *req,
			  const struct agent_answer *answer, uint64_t now_ns)
{
	static const struct podcred_peer nobody;
	const struct podcred_peer *peer = req->peer ?: &nobody;
	bool granted = answer->audit == AUDIT_GRANTED;
	char destination[NET_ADDR_TEXT], pid[16], status[16], cgroup[24], latency[24];

	if (!takes_line(limit, req, answer, (int64_t)(now_ns / CLOCK_MS)))
		return;
	format_latency(req, now_ns, latency);
	net_addr_format(peer->address, peer->port, destination, sizeof(destination));
	snprintf(pid, sizeof(pid), "%u", peer->tgid);
	snprintf(cgroup, sizeof(cgroup), "%llu", (unsigned long long)peer->pod_cgroup_id);
	snprintf(status, sizeof(status), "%u", answer->http.status);
	log_event(granted ? LOG_LEVEL_INFO : LOG_LEVEL_WARN, "credentials", "result",
		  granted ? "granted" : "refused", "reason", agent_reason_name(answer->reason),
		  "status", answer->http.status ? status : NULL, "namespace",
		  or_null(peer->pod_namespace), "pod", or_null(peer->pod_name), "uid",
		  or_null(peer->pod_uid), "service_account", or_null(peer->service_account),
		  "pod_cgroup", req->peer ? cgroup : NULL, "role", or_null(answer->role),
		  "role_arn", or_null(answer->role_arn), "session_name",
		  or_null(answer->session_name), "source", or_null(answer->source), "cache",
		  answer->cache, "latency_ms", or_null(latency), "destination",
		  req->peer ? destination : NULL, "pid", req->peer ? pid : NULL, "client",
		  req->peer ? NULL : req->client, "error",
		  req->peer ? NULL : strerrordesc_np(-req->peer_error), NULL);
}
