/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Load, attach and detach the programs. Nothing in this module prints; errors come as -errno and
 * one line in struct pc_err.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "podcred_maps.h"

#include "base/addr.h"
#include "base/err.h"

#define KERN_PIN_DIR "/sys/fs/bpf/podcred"

struct kern_guard {
	struct net_addr prefix;
	unsigned bits; /* of the 16-byte form */
	enum podcred_action action;
};

struct kern_target {
	struct net_addr addr; /* with port */
	uint8_t protocol; /* IPPROTO_* */
	enum podcred_action action;
};

struct kern_options {
	const char *pin_dir;
	const char *guard_cgroup; /* where connect and its friends attach */
	const char *agent_cgroup; /* where the claim and getsockopt attach */
	const char *cgroup_mount; /* cgroup2, the whole hierarchy */
	const char *kubepods; /* for messages; "" while it is not there */
	int *resolver_lock; /* for a caller that starts a resolver: as kern_resolver_lock, taken
			     * before anything is changed unless it is held already; NULL: none */
	bool take_over; /* beside another load; the caller detaches that, kern_others_detach */
	struct podcred_config config; /* all but guard_filter */
	uint64_t kubepods_id, qos_id[2]; /* 0: not there yet */
	const struct kern_guard *guards;
	size_t n_guards;
	const struct kern_target *targets;
	size_t n_targets;
};

struct kern_report {
	bool mounted_bpffs;
	bool upgraded; /* links of an earlier load were updated in place */
	unsigned attached; /* links made */
	unsigned updated; /* links updated in place */
	unsigned interfaces; /* links made on interfaces; the caller of kern_load does that */
	unsigned others_unknown; /* programs on the cgroups that may be of another load */
};

/*
 * Load, pin and attach everything, or leave all as it was. A second call with new programs updates
 * the links in place: there is no moment without them. Needs CAP_BPF, CAP_NET_ADMIN, CAP_PERFMON
 * and write access to bpffs (CAP_SYS_ADMIN to mount it). Errors: -EBUSY another loader works,
 * -EPERM, -ENOENT, -ENOTSUP (kernel), ...
 */
int kern_load(const struct kern_options *options, struct kern_report *report, struct pc_err *err);

/*
 * Attach again what died with its cgroup, when a cgroup of the same name is there now. 0: all is
 * covered; *ret_attached counts the links that were made. -ENOENT: a cgroup is gone and not back
 * yet. Takes CAP_NET_ADMIN and CAP_BPF when there is something to do.
 */
int kern_cover(const char *pin_dir, const char *cgroup_mount, unsigned *ret_attached,
	       struct pc_err *err);

/* The cgroup of the agent before, as long as it is there: a load from another one keeps the programs on
 * it, so that it can end its work. -ENOENT: there is none. */
int kern_agent_before(const char *pin_dir, uint64_t *ret_cgroup_id);

/* Interfaces of the caller's network namespace, where packets pass that netfilter does not see. */
enum kern_iface {
	KERN_IFACE_POD, /* the node's end of a pod's interface: packets coming out of the pod */
	KERN_IFACE_UPLINK, /* packets of the node's own sockets leaving it */
	KERN_IFACE_GATEWAY, /* the node's device that a bridge of pods leads to: packets to them */
};

/*
 * Attach the loaded program to an interface by a pinned link or a filter of tc, or update what is
 * there. 1: newly attached, 0: it was. -EOPNOTSUPP: the loader did without. -ENODEV, -EBUSY,
 * -EPERM (takes CAP_NET_ADMIN), ...
 */
int kern_iface_attach(const char *pin_dir, enum kern_iface kind, int ifindex, struct pc_err *err);

/* Whether it is attached there; where it was not loaded, or this process may not ask: true. */
bool kern_iface_is_attached(const char *pin_dir, enum kern_iface kind, int ifindex);

/* Whether the load carries connections past bridges: podcred_paths. */
bool kern_uses_path(const char *pin_dir);

/* Whether that is done by filters of tc in place of tcx links. */
bool kern_iface_uses_tc(const char *pin_dir);

/* After a load, when all interfaces are attached to: remove what is of the kind not in use. */
void kern_iface_settle(const char *pin_dir);

/* Remove the pins of links whose interface is gone. */
void kern_iface_sweep(const char *pin_dir);

/* Detach and remove every pin. *ret_removed counts links; nothing there is 0, not an error. 0: the
 * kernel has let go of all of it; else err says what is still attached. */
int kern_unload(const char *pin_dir, unsigned *ret_removed, struct pc_err *err);

/* The guarded cgroup of the load that is pinned there, owned by the caller. -errno: none is. */
int kern_guarded_path(const char *pin_dir, const char *cgroup_mount, char **ret);

/* Whether there are pins of an earlier load. */
bool kern_is_loaded(const char *pin_dir);

/*
 * Be the only resolver of the load that is pinned there, for as long as the descriptor is open. Dead
 * processes hold nothing. The lock goes with an unload: what is loaded afterwards has another. -EBUSY:
 * somebody is; err names him. -ENOENT: nothing is pinned.
 */
int kern_resolver_lock(const char *pin_dir, struct pc_err *err);

/* Whether it is the one of what is pinned there now. fd may be negative. */
bool kern_resolver_lock_holds(int fd, const char *pin_dir);

/* libbpf's own messages go here; verbose adds its informational ones and the verifier's log. */
void kern_verbose(bool verbose);
const char *kern_libbpf_version(void);
