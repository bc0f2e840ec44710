/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What follows from a reason, at every hook: it is counted and reported to `podcred trace`, and if
 * it refuses, mode audit may still let the packet or call through.
 */
#pragma once

#include "ident.bpf.h"

#define VERDICT_REFUSE	 0
#define VERDICT_ALLOW	 1
#define VERDICT_REDIRECT 2 /* ours alone: the hook rewrites the address, then allows */

#define PACKET_PASS 1
#define PACKET_DROP 0

#define EEXIST	17
#define EINVAL	22
#define ENODATA 61

/* Set by the loader after a trial load: bpf_set_retval came with 5.18. Without it the caller
 * sees EPERM whatever the reason. */
const volatile __u8 have_set_retval __weak = 0;

/* A decision in the making: what is known of it where it is made. */
struct decision {
	const struct podcred_addr *addr, *source; /* NULL: not known */
	__u64 cgroup_id, pod;
	__u16 port, source_port; /* host byte order */
	__u8 protocol;
	__u8 hook; /* enum podcred_hook */
	__u8 own; /* 1: it concerns nobody but the pod, whose policy may say audit */
};

static __always_inline struct podcred_event *report_begin(const struct decision *d, __u32 reason,
							  __u32 verdict)
{
	struct podcred_event *event;

	event = bpf_ringbuf_reserve(&podcred_events, sizeof(*event), 0);
	if (!event) {
		count(PODCRED_REASON_event_lost);
		return NULL;
	}
	__builtin_memset(event, 0, sizeof(*event));
	event->time_ns = bpf_ktime_get_boot_ns();
	event->cgroup_id = d->cgroup_id;
	event->pod_cgroup_id = d->pod;
	if (d->addr)
		event->addr = *d->addr;
	if (d->source)
		event->source = *d->source;
	event->port = d->port;
	event->source_port = d->source_port;
	event->protocol = d->protocol;
	event->hook = d->hook;
	event->verdict = (__u8)verdict;
	event->reason = (__u8)reason;
	return event;
}

/* A function of its own: nearly no decision is reported. */
static __noinline void report(const struct decision *d, __u32 reason, __u32 verdict)
{
	struct podcred_event *event = report_begin(d, reason, verdict);

	if (event)
		bpf_ringbuf_submit(event, 0);
}

static __always_inline int trace_wants_all(void)
{
	__u64 until = runtime_get(PODCRED_RUNTIME_TRACE);

	return until && bpf_ktime_get_boot_ns() < until;
}

/* A look-up more, for what is refused only. A function of its own, and global, so that the verifier looks at it
 * once and not in each hook. */
__noinline __weak int pod_is_audited(__u64 pod)
{
	return !!(pod_flags(pod) & PODCRED_POD_AUDIT);
}

static __always_inline int is_audited(const struct podcred_config *cfg, const struct decision *d,
				      __u32 reason)
{
	if (!cfg)
		return 0;
	return cfg->audit || (d->own && podcred_pods_own(reason) && pod_is_audited(d->pod));
}

typedef void (*report_fn)(const struct decision *d, __u32 reason, __u32 verdict);

static __always_inline int conclude_with(report_fn tell, const struct podcred_config *cfg,
					 const struct decision *d, __u32 reason)
{
	count(reason);
	if (!podcred_reason_is(reason, PODCRED_CLASS_refuse)) {
		if (podcred_reason_is(reason, PODCRED_CLASS_fail))
			tell(d, reason, PODCRED_EVENT_REFUSED);
		else if (trace_wants_all())
			tell(d, reason, PODCRED_EVENT_ALLOWED);
		return 1;
	}
	if (is_audited(cfg, d, reason)) {
		count(PODCRED_REASON_audited);
		tell(d, reason, PODCRED_EVENT_AUDITED);
		return 1;
	}
	tell(d, reason, PODCRED_EVENT_REFUSED);
	return 0;
}

/* Count and report. 1: go on; 0: refuse. cfg may be NULL. */
static __always_inline int conclude(const struct podcred_config *cfg, const struct decision *d,
				    __u32 reason)
{
	return conclude_with(report, cfg, d, reason);
}
