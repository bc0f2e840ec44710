/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The one door to the kernel: everything that touches BPF is behind this header. Nothing here
 * prints; errors come as -errno and one line in struct pc_err.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "podcred_maps.h"

#include "addr.h"
#include "err.h"

#define LOADER_PIN_DIR "/sys/fs/bpf/podcred"

/* ---- podcred load, unload ---- */

struct loader_guard {
	struct net_addr prefix;
	unsigned bits; /* of the 16-byte form */
	enum podcred_action action;
};

struct loader_target {
	struct net_addr addr; /* with port */
	uint8_t protocol; /* IPPROTO_* */
	enum podcred_action action;
};

struct loader_options {
	const char *pin_dir;
	const char *guard_cgroup; /* where connect and its friends attach */
	const char *agent_cgroup; /* where the claim and getsockopt attach */
	const char *cgroup_mount; /* cgroup2, the whole hierarchy */
	const char *kubepods; /* for messages; "" while it is not there */
	int *resolver_lock; /* for a caller that starts a resolver: as loader_resolver_lock, taken
			     * before anything is changed unless it is held already; NULL: none */
	bool take_over; /* beside another load; the caller detaches that, loader_others_detach */
	struct podcred_config config; /* all but guard_filter */
	uint64_t kubepods_id, qos_id[2]; /* 0: not there yet */
	const struct loader_guard *guards;
	size_t n_guards;
	const struct loader_target *targets;
	size_t n_targets;
};

struct loader_report {
	bool mounted_bpffs;
	bool upgraded; /* links of an earlier load were updated in place */
	unsigned attached; /* links made */
	unsigned updated; /* links updated in place */
	unsigned interfaces; /* links made on interfaces; the caller of loader_load does that */
	unsigned others_unknown; /* programs on the cgroups that may be of another load */
};

/*
 * Load, pin and attach everything, or leave all as it was. A second call with new programs updates
 * the links in place: there is no moment without them. Needs CAP_BPF, CAP_NET_ADMIN, CAP_PERFMON
 * and write access to bpffs (CAP_SYS_ADMIN to mount it). Errors: -EBUSY another loader works,
 * -EPERM, -ENOENT, -ENOTSUP (kernel), ...
 */
int loader_load(const struct loader_options *options, struct loader_report *report,
		struct pc_err *err);

/*
 * Attach again what died with its cgroup, when a cgroup of the same name is there now. 0: all is
 * covered; *ret_attached counts the links that were made. -ENOENT: a cgroup is gone and not back
 * yet. Takes CAP_NET_ADMIN and CAP_BPF when there is something to do.
 */
int loader_cover(const char *pin_dir, const char *cgroup_mount, unsigned *ret_attached,
		 struct pc_err *err);

/* Interfaces of the caller's network namespace, where packets pass that netfilter does not see. */
enum loader_iface {
	LOADER_IFACE_POD, /* the node's end of a pod's interface: packets coming out of the pod */
	LOADER_IFACE_UPLINK, /* packets of the node's own sockets leaving it */
	LOADER_IFACE_GATEWAY, /* the node's device that a bridge of pods leads to: packets to them */
};

/*
 * Attach the loaded program to an interface by a pinned link or a filter of tc, or update what is
 * there. 1: newly attached, 0: it was. -EOPNOTSUPP: the loader did without. -ENODEV, -EBUSY,
 * -EPERM (takes CAP_NET_ADMIN), ...
 */
int loader_iface_attach(const char *pin_dir, enum loader_iface kind, int ifindex,
			struct pc_err *err);

/* Whether it is attached there; where it was not loaded, or this process may not ask: true. */
bool loader_iface_is_attached(const char *pin_dir, enum loader_iface kind, int ifindex);

/* Whether the load carries connections past bridges: podcred_paths. */
bool loader_uses_path(const char *pin_dir);

/* Whether that is done by filters of tc in place of tcx links. */
bool loader_iface_uses_tc(const char *pin_dir);

/* After a load, when all interfaces are attached to: remove what is of the kind not in use. */
void loader_iface_settle(const char *pin_dir);

/* Remove the pins of links whose interface is gone. */
void loader_iface_sweep(const char *pin_dir);

/* Detach and remove every pin. *ret_removed counts links; nothing there is 0, not an error. 0: the
 * kernel has let go of all of it; else err says what is still attached. */
int loader_unload(const char *pin_dir, unsigned *ret_removed, struct pc_err *err);

/* The guarded cgroup of the load that is pinned there, owned by the caller. -errno: none is. */
int loader_guarded_path(const char *pin_dir, const char *cgroup_mount, char **ret);

/* Whether there are pins of an earlier load. */
bool loader_is_loaded(const char *pin_dir);

/*
 * Be the only resolver of the load that is pinned there, for as long as the descriptor is open. Dead
 * processes hold nothing. The lock goes with an unload: what is loaded afterwards has another. -EBUSY:
 * somebody is; err names him. -ENOENT: nothing is pinned.
 */
int loader_resolver_lock(const char *pin_dir, struct pc_err *err);

/* Whether it is the one of what is pinned there now. fd may be negative. */
bool loader_resolver_lock_holds(int fd, const char *pin_dir);

/* ---- podcred status ---- */

struct loader_link_status {
	const char *name; /* of the program: podcred_conn4 */
	const char *hook; /* cgroup/connect4 */
	bool expected; /* its program was loaded, and not only for interfaces that may be none */
	bool pinned;
	bool alive; /* its cgroup still exists */
	bool effective; /* the kernel runs it there, as asked back from the kernel */
	bool unknown; /* this process may not ask: CAP_NET_ADMIN, access to the pins */
	uint64_t cgroup_id; /* of the link; 0 for tracing links and dead ones */
	uint32_t prog_id;
	unsigned others; /* foreign programs that run in the same hook */
	unsigned interfaces; /* that the program is attached to, where it is for interfaces */
};

#define LOADER_MAX_LINKS 24

struct loader_status {
	struct podcred_config config;
	uint64_t runtime[PODCRED_RUNTIME_SLOTS];
	struct loader_link_status links[LOADER_MAX_LINKS];
	size_t n_links;
	uint64_t stats[PODCRED_REASON_MAX];
	uint32_t n_pods, n_flows, n_peers;
};

/* cgroup2 mount: where to open a link's cgroup by its id. -ENOENT: not loaded, or not yet: err says
 * whether a load is running. */
int loader_status_read(const char *pin_dir, const char *cgroup_mount, struct loader_status *ret,
		       struct pc_err *err);

/* Whether a resolver follows the pods. One that is stopped or hangs stops saying so. */
bool loader_resolver_is_running(const struct loader_status *status);

const char *loader_reason_name(enum podcred_reason reason);
const char *loader_reason_text(enum podcred_reason reason);

/* "redirect", "deny", ...; "none" for PODCRED_NOT_GUARDED. */
const char *loader_action_name(int action);

/* ---- podcred features ---- */

/* In the order in which they are listed. */
enum loader_feature_id {
	FEATURE_BTF,
	FEATURE_CONNECT4,
	FEATURE_CONNECT6,
	FEATURE_SENDMSG,
	FEATURE_SOCKOPS,
	FEATURE_GETSOCKOPT,
	FEATURE_SK_STORAGE,
	FEATURE_TCP_SOCK,
	FEATURE_ANCESTOR_CGROUP_ID,
	FEATURE_NETNS_COOKIE,
	FEATURE_CGROUP_LINK,
	FEATURE_RING_BUFFER,
	FEATURE_SET_RETVAL,
	FEATURE_GETPEERNAME,
	FEATURE_CGROUP_EGRESS,
	FEATURE_CGROUP_INGRESS,
	FEATURE_NETFILTER_LINK,
	FEATURE_TCX,
	FEATURE_TC,
	FEATURE_CGROUP_TRACING,
	FEATURE_PATH,
	FEATURE_MAX
};

struct loader_feature {
	const char *name;
	const char *since; /* kernel that brought it */
	const char *without; /* what is lost, or "required" */
	bool required;
	bool present;
	bool unknown; /* not present as far as this process may try; the kernel may well have it */
	bool spare; /* another feature does its work: nothing is lost without it */
	char why[160]; /* why not, "" when present */
};

/* Tries each feature for real, once. Returns the table, by id, valid for the process's life. */
const struct loader_feature *loader_features(size_t *ret_n);

/* Do without an optional feature, as on a kernel that lacks it. To be called before anything else
 * here. -EINVAL: no such feature, or a required one. */
int loader_features_without(const char *name, struct pc_err *err);

struct loader_loss {
	const char *feature, *lost;
};

/* What the load of this status did without, where something is lost by it. */
#define LOADER_MAX_LOSSES 16
size_t loader_losses(const struct loader_status *status, struct loader_loss ret[LOADER_MAX_LOSSES]);
bool loader_did_without(const struct loader_status *status, enum loader_feature_id id);

/* ---- reading and writing the pinned maps of a running podcred ---- */

enum loader_map {
	LOADER_MAP_CONFIG,
	LOADER_MAP_GUARD,
	LOADER_MAP_TARGETS,
	LOADER_MAP_PODS,
	LOADER_MAP_FLOWS,
	LOADER_MAP_PEERS,
	LOADER_MAP_QUOTA,
	LOADER_MAP_STATS,
	LOADER_MAP_CGROUPS,
	LOADER_MAP_RUNTIME,
	LOADER_MAP_EVENTS,
	LOADER_MAP_PASSES,
	LOADER_MAP_PASS_QUOTA,
	LOADER_MAP_PATHS,
};

/* An fd of the pinned map, or -errno with a line that says what to do. */
int loader_map_open(const char *pin_dir, enum loader_map map, struct pc_err *err);

/* Calls fn for each entry until it returns non-zero, which is returned. The map may change
 * meanwhile: an entry may be missed or seen twice, never torn keys. */
int loader_map_each(int fd, size_t key_size, size_t value_size,
		    int (*fn)(void *arg, const void *key, const void *value), void *arg);

/* The value of one key; of podcred_guard, that of the longest prefix. -ENOENT: none. */
int loader_map_lookup(int fd, const void *key, void *ret_value);

int loader_config_read(int config_fd, struct podcred_config *ret);

/* One fact of podcred_runtime; each has one writer at a time. -errno. */
int loader_runtime_read(int runtime_fd, enum podcred_runtime slot, uint64_t *ret);
int loader_runtime_write(int runtime_fd, enum podcred_runtime slot, uint64_t value);

/* podcred_pods. -errno. */
int loader_pod_write(int pods_fd, const struct podcred_pod *pod);
int loader_pod_read(int pods_fd, uint64_t cgroup_id, struct podcred_pod *ret);
int loader_pod_delete(int pods_fd, uint64_t cgroup_id);

/* podcred_paths. -errno. */
int loader_path_write(int paths_fd, uint32_t ifindex, const struct podcred_path *path);
int loader_path_delete(int paths_fd, uint32_t ifindex);

/* Delete conflicting flows older than max_age_ns (CLOCK_BOOTTIME). Returns how many, or -errno. */
int loader_flows_sweep(int flows_fd, uint64_t max_age_ns);

/* Set right the counts of pending flows per pod that have been wrong, by the same amount, since
 * the last call; and those of connections that were let through. *memory starts as NULL, one for
 * each. -errno. */
struct loader_quota_memory;
int loader_quota_settle(int flows_fd, int quota_fd, struct loader_quota_memory **memory);
int loader_pass_quota_settle(int passes_fd, int quota_fd, struct loader_quota_memory **memory);
struct loader_quota_memory *loader_quota_memory_free(struct loader_quota_memory *memory);

/* Sum of a per-CPU counter. */
uint64_t loader_stat_read(int stats_fd, enum podcred_reason reason);

/* ---- cgroups by id ---- */

/* Id of the caller's own cgroup2 cgroup, asked from BPF: right in every cgroup namespace, where
 * /proc/self/cgroup may say "/". -errno. */
int loader_self_cgroup_id(uint64_t *ret);

/* Path of a cgroup below a cgroup2 mount, starting with the mount. Without CAP_DAC_READ_SEARCH the
 * tree is walked. -ESTALE when it is gone. */
int loader_cgroup_path(const char *cgroup_mount, uint64_t id, char **ret);

/* ---- other loads of podcred: pinned elsewhere, or where a mount hides it ---- */

/* Which ones count: those that run for the same sockets, and in the caller's network namespace. */
struct loader_scope {
	const char *cgroup_mount;
	const char *guard; /* the guarded cgroup */
	const char *agent; /* NULL: any */
};

struct loader_others {
	unsigned programs; /* that are attached; tracing programs are not counted */
	unsigned unknown; /* programs on the cgroups, but whose they are may not be asked */
	char name[16]; /* of one of them, "" when only filters of tc are left */
	char cgroup[256]; /* that it is attached to; "": none */
	char pin_dir[256]; /* beside ours that has it; "": none is to be seen */
};

/* Asked from the kernel. What is pinned in pin_dir is ours. Takes CAP_SYS_ADMIN to know and
 * CAP_NET_ADMIN to count what is unknown. Waits some seconds for what is just going. */
int loader_others_find(const char *pin_dir, const struct loader_scope *scope,
		       struct loader_others *ret, struct pc_err *err);
int loader_others_detach(const char *pin_dir, const struct loader_scope *scope,
			 unsigned *ret_detached, struct pc_err *err);

/* "3 programs of another podcred load are attached (...), pinned ..." */
const char *loader_others_text(const struct loader_others *others, char *buf, size_t size);

/* ---- programs that others have attached ---- */

enum loader_sharing {
	LOADER_SHARES, /* the multi flag */
	LOADER_OVERRIDABLE, /* silently off below a cgroup that has a program of its own */
	LOADER_EXCLUSIVE, /* shuts others out */
};

#define LOADER_PROG_NAME 16

/* The name of the program with that id, in buf; "?": it may not be asked. */
const char *loader_prog_name(uint32_t id, char buf[LOADER_PROG_NAME]);

struct loader_attached {
	const char *hook; /* cgroup/connect4 */
	uint32_t id; /* of the program */
	char name[LOADER_PROG_NAME]; /* "" when it may not be asked */
	enum loader_sharing sharing;
};

/* What is attached to that very cgroup, ours too, in the hooks that podcred uses on the guarded
 * cgroup, or with agent_side on the agent's. fn as in loader_map_each. -EPERM: may not be asked. */
int loader_attached_each(const char *cgroup, bool agent_side,
			 int (*fn)(void *arg, const struct loader_attached *attached), void *arg);

/* Whether it is pinned below pin_dir as a program of this load: its link may have been made after the
 * status was read, by a resolver that covers a cgroup. */
bool loader_is_own_program(const char *pin_dir, uint32_t id);

/* ---- ring buffers: an fd to poll, and a call that delivers what is there ---- */

/* One record: struct podcred_cgroup_event, or struct podcred_event. A negative value ends
 * loader_events_dispatch, which returns it; the record counts as read. */
typedef int (*loader_event_fn)(void *arg, const void *event);

/*
 * ring: LOADER_MAP_CGROUPS (-EOPNOTSUPP: this kernel could not attach the programs that write it)
 * or LOADER_MAP_EVENTS (-EBUSY: somebody reads it already; a ring buffer has one reader).
 */
struct loader_events;
int loader_events_open(const char *pin_dir, enum loader_map ring, loader_event_fn fn, void *arg,
		       struct loader_events **ret, struct pc_err *err);
int loader_events_fd(const struct loader_events *events);
int loader_events_dispatch(struct loader_events *events);
struct loader_events *loader_events_close(struct loader_events *events);

/* Whether the programs of pin_dir still write to this ring buffer: not after an unload. */
bool loader_events_current(const struct loader_events *events);

/* libbpf's own messages go here; verbose adds its informational ones and the verifier's log. */
void loader_verbose(bool verbose);
const char *loader_libbpf_version(void);
