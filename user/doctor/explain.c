// SPDX-License-Identifier: Apache-2.0
#include "doctor/explain.h"

#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/addr.h"
#include "base/cleanup.h"
#include "kernel/maps.h"
#include "kernel/status.h"

__attribute__((format(printf, 3, 4))) static void step(struct explain_verdict *v, const char *about,
						       const char *fmt, ...)
{
	struct explain_step *s;
	va_list ap;

	if (v->n_steps == EXPLAIN_MAX_STEPS)
		return;
	s = &v->steps[v->n_steps++];
	s->about = about;
	va_start(ap, fmt);
	vsnprintf(s->text, sizeof(s->text), fmt, ap);
	va_end(ap);
}

bool doctor_explain_has_ports(uint8_t protocol)
{
	return protocol == IPPROTO_TCP || protocol == IPPROTO_UDP || protocol == IPPROTO_UDPLITE ||
	       protocol == IPPROTO_SCTP || protocol == IPPROTO_DCCP;
}

static int agent_action(const struct explain_facts *f, const struct podcred_endpoint *agent,
			struct explain_verdict *v)
{
	int action = podcred_agent_action(agent, &f->dest);

	if (action == EXPLAIN_NONE)
		step(v, "destination", "not guarded: another port of the agent's address");
	else
		step(v, "destination", "the agent itself: %s", kern_action_name(action));
	return action;
}

/* As dest_action, in bpf/lib/dest.bpf.h. */
static int dest_action(const struct explain_facts *f, struct explain_verdict *v)
{
	const struct podcred_endpoint *agent = podcred_agent_at(f->config, &f->dest.addr);

	if (agent)
		return agent_action(f, agent, v);
	if (podcred_is_foreign(f->config, &f->dest.addr) ||
	    (f->guard == EXPLAIN_NONE && f->target == EXPLAIN_NONE)) {
		step(v, "destination", "not guarded");
		return EXPLAIN_NONE;
	}
	if (f->target == EXPLAIN_NONE) {
		step(v, "destination", "guarded, no rule for this port and protocol: %s",
		     kern_action_name(f->guard));
		return f->guard;
	}
	step(v, "destination", "guarded, with a rule for this port and protocol: %s",
	     kern_action_name(f->target));
	return f->target;
}

static void conclude(const struct explain_facts *f, struct explain_verdict *v, int reason,
		     enum explain_outcome outcome, int error)
{
	v->reason = reason;
	v->outcome = outcome;
	v->error = 0;
	v->audited = false;
	if (outcome != EXPLAIN_REFUSED && outcome != EXPLAIN_DROPPED)
		return;
	if (podcred_is_audited(f->config, f->pod_flags, (uint32_t)reason)) {
		v->audited = true;
		v->outcome = EXPLAIN_PASSED;
		step(v, f->config->audit ? "mode" : "policy",
		     "audit: what would be refused passes, and is counted");
	} else if (outcome == EXPLAIN_REFUSED) {
		v->error = error;
	}
}

static void refuse_call(const struct explain_facts *f, struct explain_verdict *v, int reason)
{
	int error = podcred_reason_errno((uint32_t)reason);

	conclude(f, v, reason, EXPLAIN_REFUSED, f->set_retval ? error : EPERM);
}

static void pass_call(const struct explain_facts *f, struct explain_verdict *v, int reason)
{
	conclude(f, v, reason, EXPLAIN_PASSED, 0);
}

static bool quota_allows(const struct explain_facts *f, struct explain_verdict *v)
{
	const struct podcred_quota quota = {.pending = f->pending};
	uint32_t reason = podcred_decide_quota(f->config, f->quota_full ? NULL : &quota);

	if (f->quota_full)
		step(v, "quota", "no room to count this pod's connections");
	else
		step(v, "quota", "%" PRId64 " connections pending of %u", f->pending,
		     f->config->max_flows_per_pod);
	if (reason)
		refuse_call(f, v, (int)reason);
	return !reason;
}

static void pass_stream(const struct explain_facts *f, struct explain_verdict *v, int reason)
{
	const struct podcred_pass_quota quota = {.open = f->open};
	uint32_t refused = podcred_decide_pass_quota(f->pass_quota_full ? NULL : &quota);

	if (f->pass_quota_full)
		step(v, "quota", "no room to count this pod's connections");
	else
		step(v, "quota", "%" PRId64 " connections to real addresses of %d", f->open,
		     PODCRED_PASSES_PER_POD);
	if (refused)
		refuse_call(f, v, (int)refused);
	else
		pass_call(f, v, reason);
}

static bool dest_is_v4(const struct explain_facts *f)
{
	return net_addr_is_v4(f->dest.addr.ip);
}

/* Stamped here, but the identity takes two more programs to arrive. */
static void follow_stamp(const struct explain_facts *f, struct explain_verdict *v)
{
	if (!f->announce || !f->claim)
		step(v, "stamp", "podcred_%s is not effective: the agent refuses the caller",
		     f->announce ? "claim" : "sockops");
	else if (!(f->pod_flags & PODCRED_POD_NAMED))
		step(v, "stamp",
		     "the pod has no name yet: the agent waits for it, then answers 503");
	else
		step(v, "stamp", "the agent learns which pod is calling");
}

/* No decision of a program, but of where the pod hangs. */
static void follow_path(const struct explain_facts *f, struct explain_verdict *v)
{
	if (f->path)
		step(v, "path", "%s", f->path);
}

static void redirect(const struct explain_facts *f, struct explain_verdict *v)
{
	const struct podcred_endpoint *agent = podcred_agent_for(f->config, &f->dest.addr);
	char text[NET_ADDR_TEXT];

	net_addr_format(agent->addr.ip, ntohs(agent->port), text, sizeof(text));
	if (!dest_is_v4(f) && agent == &f->config->agent[0])
		step(v, "agent", "%s, as a mapped address: an IPv6-only socket cannot use it",
		     text);
	else
		step(v, "agent", "%s", text);
	if (!quota_allows(f, v))
		return;
	v->agent = *agent;
	conclude(f, v, PODCRED_REASON_redirected, EXPLAIN_REDIRECTED, 0);
	follow_path(f, v);
	follow_stamp(f, v);
}

static bool is_given_up(const struct explain_facts *f)
{
	return podcred_is_given_up(f->config, f->now_ns, f->lease_ns);
}

static void tell_policy(const struct explain_facts *f, struct explain_verdict *v)
{
	char text[128];

	if (f->policy_line || f->pod_flags & PODCRED_POD_NO_LABELS)
		step(v, "policy", "%s",
		     kern_policy_text(f->pod_flags, f->policy_line, text, sizeof(text)));
	else
		step(v, "policy", "no rule for this pod: %s", kern_policy_name(f->pod_flags));
}

static void tell_failure_mode(const struct explain_facts *f, struct explain_verdict *v)
{
	if (!f->config->fail_open)
		step(v, "failureMode", "closed: the agent or nobody");
	else
		step(v, "failureMode", "open, and the agent %s",
		     is_given_up(f) ? "has not been seen alive" : "is alive");
}

static void stamp_direct(const struct explain_facts *f, struct explain_verdict *v)
{
	step(v, "agent", "this is its own address");
	if (!quota_allows(f, v))
		return;
	conclude(f, v, PODCRED_REASON_direct, EXPLAIN_DIRECT, 0);
	follow_path(f, v);
}

/* As judge_stream, in bpf/lib/connect.bpf.h. */
static void judge_stream(const struct explain_facts *f, struct explain_verdict *v, int action)
{
	bool has_agent = podcred_agent_for(f->config, &f->dest.addr) != NULL;
	uint32_t reason = podcred_decide_stream(f->pod_flags, action, is_given_up(f), has_agent);

	tell_policy(f, v);
	switch (reason) {
	case PODCRED_REASON_direct:
		stamp_direct(f, v);
		return;
	case PODCRED_REASON_passed_exempt:
		pass_stream(f, v, (int)reason);
		return;
	case PODCRED_REASON_passed_open:
		tell_failure_mode(f, v);
		pass_stream(f, v, (int)reason);
		return;
	case PODCRED_REASON_redirected:
		tell_failure_mode(f, v);
		redirect(f, v);
		return;
	case PODCRED_REASON_no_agent:
		tell_failure_mode(f, v);
		step(v, "agent", "none is configured for %s", dest_is_v4(f) ? "IPv4" : "IPv6");
	}
	refuse_call(f, v, (int)reason);
}

static void judge_datagram(const struct explain_facts *f, struct explain_verdict *v)
{
	uint32_t reason = podcred_decide_datagram(f->pod_flags);

	if (podcred_reason_is(reason, PODCRED_CLASS_refuse)) {
		step(v, "policy", "datagrams are never redirected, only refused");
		refuse_call(f, v, (int)reason);
	} else {
		step(v, "policy", "the pod is exempt");
		pass_call(f, v, (int)reason);
	}
}

/* As guard, in bpf/lib/connect.bpf.h, from the caller on. */
static void judge_call(const struct explain_facts *f, struct explain_verdict *v, int action)
{
	bool stream = f->dest.protocol == IPPROTO_TCP;
	const char *call = stream ? "connect(2)" : "connect(2) and sendmsg(2)";
	uint32_t reason;

	if (!stream && f->dest.protocol != IPPROTO_UDP) {
		step(v, "call", "a protocol that the hooks of connect(2) do not decide");
		return;
	}
	if (!f->connect || (!stream && !f->sendmsg)) {
		step(v, "call", "the hook of %s is not effective: nothing is decided there", call);
		return;
	}
	reason = podcred_decide_agent_pod(podcred_decide_caller(f->config, f->pod, f->pod), action);
	if (stream && reason == PODCRED_REASON_direct) {
		stamp_direct(f, v);
	} else if (reason == PODCRED_REASON_passed_agent) {
		step(v, "call", "the agent's own pod is left alone");
		pass_call(f, v, PODCRED_REASON_passed_agent);
	} else if (action == PODCRED_ACTION_AUDIT) {
		pass_call(f, v, PODCRED_REASON_passed_audit);
	} else if (stream) {
		judge_stream(f, v, action);
	} else {
		judge_datagram(f, v);
	}
}

/* Of a connection that connect(2) let through, see packet_is_noted. */
static bool is_noted(const struct explain_facts *f, const struct explain_verdict *v)
{
	const struct podcred_pass_quota quota = {.open = f->open};

	if (f->dest.protocol != IPPROTO_TCP || !f->announce)
		return false;
	return v->reason == PODCRED_REASON_passed_exempt ||
	       v->reason == PODCRED_REASON_passed_open ||
	       (v->audited && !podcred_decide_pass_quota(f->pass_quota_full ? NULL : &quota));
}

static bool sender_may(const struct explain_facts *f)
{
	return podcred_sender_may(f->config, f->pod, f->pod_flags);
}

/* As the packet programs (bpf/egress.bpf.c, bpf/netfilter.bpf.c), at the two places where a packet passes. */
static void judge_packet(const struct explain_facts *f, struct explain_verdict *v)
{
	bool host = f->pod_flags & PODCRED_POD_HOST_NETWORK;

	if (v->audited && f->config->audit) {
		step(v, "packets", "pass too, and are counted");
		return;
	}
	if (is_noted(f, v)) {
		step(v, "packets", "pass: connect(2) has noted the connection");
		return;
	}
	if (!f->egress && !f->postrouting)
		step(v, "packets", "no packet filter is attached: they leave");
	if (f->egress && !sender_may(f) && !v->audited) {
		step(v, "packets", "a pod's socket sends them around the agent: refused");
		/* of a SYN that was refused, connect(2) does not tell: TCP tries again */
		conclude(f, v, (int)podcred_decide_packet(false, true),
			 f->dest.protocol == IPPROTO_TCP ? EXPLAIN_DROPPED : EXPLAIN_REFUSED,
			 EPERM);
	}
	if (v->outcome != EXPLAIN_PASSED || (v->audited && (host || f->config->audit)) ||
	    !f->postrouting)
		return;
	if (!host) {
		step(v, "packets", "forwarded by the node, where nothing speaks for them: dropped");
		conclude(f, v, (int)podcred_decide_packet(false, false), EXPLAIN_DROPPED, 0);
	} else if (!sender_may(f)) {
		step(v, "packets", "of a hostNetwork pod's socket: dropped");
		conclude(f, v, (int)podcred_decide_packet(false, true), EXPLAIN_DROPPED, 0);
	}
}

void doctor_explain_decide(const struct explain_facts *facts, struct explain_verdict *ret)
{
	int action;

	*ret = (struct explain_verdict){.outcome = EXPLAIN_NOT_GUARDED, .reason = EXPLAIN_NONE};
	action = dest_action(facts, ret);
	if (action == EXPLAIN_NONE)
		return;
	ret->outcome = EXPLAIN_PASSED;
	if (action == PODCRED_ACTION_ALLOW)
		return;
	judge_call(facts, ret, action);
	if (ret->outcome == EXPLAIN_PASSED && !podcred_action_lets_pass(action))
		judge_packet(facts, ret);
}
