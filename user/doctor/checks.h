/* SPDX-License-Identifier: Apache-2.0 */
/* The checks of podcred doctor, by theme. Each fills *r with one call of doctor_say. */
#pragma once

#include "base/addr.h"
#include "doctor/doctor.h"
#include "doctor/facts.h"
#include "kernel/status.h"
#include "node/guard.h"

/* What the checks share. */
struct doctor {
	const struct doctor_options *options;
	char *mount; /* cgroup2, the whole hierarchy; NULL: mount_err says why */
	struct pc_err mount_err;
	bool loaded; /* else loaded_err says why, and status is empty */
	struct pc_err loaded_err;
	struct guard truth;
	struct kern_status status; /* of truth */
	char *kubepods, *guard, *agent; /* cgroups, when loaded; of truth too */
	struct probe *probe;
	bool guard_fails, agent_fails, resolver_fails; /* what the probe need not find out again */
};

__attribute__((format(printf, 4, 5))) void doctor_say(struct doctor_result *r,
						      enum doctor_level level, const char *next,
						      const char *fmt, ...);

/* The line of a module: what is, up to the first semicolon, and what to do. */
void doctor_say_err(struct doctor_result *r, enum doctor_level level, const struct pc_err *err);

/* Gaps of the guard of that kind are a failure, and what could not be asked is skipped. False: there
 * is neither, and nothing was said. */
bool doctor_say_gaps(const struct doctor *d, struct doctor_result *r, const char *kind);

/* The first few names of something, for a line. */
struct doctor_names {
	char text[256];
	size_t n;
};
__attribute__((format(printf, 2, 3))) void doctor_name(struct doctor_names *names, const char *fmt,
						       ...);

/* Calls fn for path and every cgroup below it until it returns non-zero. */
int doctor_walk(const char *path, int (*fn)(void *arg, const char *cgroup), void *arg);

/* kernel.c */
void doctor_check_kernel(struct doctor *d, struct doctor_result *r);
void doctor_check_sysctls(struct doctor *d, struct doctor_result *r);

/* namespaces.c */
void doctor_check_cgroup_namespace(struct doctor *d, struct doctor_result *r);
void doctor_check_interfaces(struct doctor *d, struct doctor_result *r);
void doctor_check_path(struct doctor *d, struct doctor_result *r);
void doctor_check_network_namespace(struct doctor *d, struct doctor_result *r);

/* guard.c */
void doctor_check_guard(struct doctor *d, struct doctor_result *r);
void doctor_check_kubepods(struct doctor *d, struct doctor_result *r);
void doctor_check_other_load(struct doctor *d, struct doctor_result *r);
void doctor_check_outside(struct doctor *d, struct doctor_result *r);
void doctor_check_dying(struct doctor *d, struct doctor_result *r);
void doctor_check_pins(struct doctor *d, struct doctor_result *r);

/* foreign.c */
void doctor_check_foreign(struct doctor *d, struct doctor_result *r);

/* pods.c */
void doctor_check_cgroup_v1(struct doctor *d, struct doctor_result *r);
void doctor_check_resolver(struct doctor *d, struct doctor_result *r);
void doctor_check_names(struct doctor *d, struct doctor_result *r);
void doctor_check_sandboxes(struct doctor *d, struct doctor_result *r);

/* policy.c */
void doctor_check_policy(struct doctor *d, struct doctor_result *r);

/* pause.c. Whether that process of a pod is the one of its sandbox. By its name and its age: what a pod itself runs
 * is younger, whatever it is called, unless the runtime has no such process. */
bool doctor_is_pause(const char *pod_cgroup, const char *pid);

/* sniffers.c */
void doctor_check_sniffers(struct doctor *d, struct doctor_result *r);

/* agent.c */
void doctor_check_agent(struct doctor *d, struct doctor_result *r);
bool doctor_endpoint(const struct doctor *d, int i, struct net_addr *ret); /* false: none */
void doctor_check_ipv6(struct doctor *d, struct doctor_result *r);

/* confinement.c */
void doctor_check_agent_process(struct doctor *d, struct doctor_result *r);
void doctor_check_fetch_process(struct doctor *d, struct doctor_result *r);

/* probe.c: a pod of our own */
void doctor_check_probe_resolver(struct doctor *d, struct doctor_result *r);
void doctor_check_probe_identity(struct doctor *d, struct doctor_result *r);
void doctor_check_probe_datagram(struct doctor *d, struct doctor_result *r);
void doctor_check_probe_packet(struct doctor *d, struct doctor_result *r);
