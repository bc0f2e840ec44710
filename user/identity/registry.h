/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Joins what two witnesses say: the cgroup tree (this id is the directory of pod UID) and a source
 * of names (pod UID is namespace/name). Reports every change to a sink, and nothing else.
 *
 * A cgroup is reported at once, unnamed if no source knows its uid yet; no name is invented. One
 * uid may briefly have several cgroups (a directory that was recreated): each is that pod.
 *
 * How long a cgroup keeps its name depends on the source. One that says what changes
 * (registry_put_name, registry_remove_name) may remove a pod whose processes still end: its cgroups keep
 * the name until they are removed, and never get another. One that says all there is
 * (registry_set_names) is taken at its word: who is not in it has no name. A registry has one of the two.
 *
 * Not thread-safe. When the sink fails, the functions that call it still finish their work, return
 * its first error, and offer the pod again later (registry_flush, next scan, next list of names).
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "identity/pod.h"

struct pc_err;
struct registry;

/* generation: the highest that the sink may have from an earlier life; the first record gets one
 * more. The sink is copied. 0 or -ENOMEM. */
int registry_new(const struct identity_sink *sink, uint64_t generation, struct registry **ret);

/* Tells the sink nothing. Returns NULL. */
struct registry *registry_free(struct registry *reg);

/*
 * What an earlier registry had reported, and the sink still has: if that cgroup exists
 * (registry_add_cgroup), and is that uid's, it has these names until a source tells of the pod. Before
 * the first scan, which sweeps the others. Without labels, which it does not know. Without a name, or
 * with an id that is known: nothing happens. -EINVAL, -ENOMEM.
 */
int registry_recall(struct registry *reg, const struct pod_ident *pod);

/*
 * The pod exists. Again for the same uid: what may change of a pod (running) is taken over.
 * -EEXIST: that uid is another pod, by its name, service account, network or config hash; what was known
 * stays, and err names both. -EINVAL: no uid; -ENOMEM. What the sink refuses is no error here, but
 * offered again by registry_flush.
 */
int registry_put_name(struct registry *reg, const struct pod_name *pod, struct pc_err *err);

/*
 * All pods that exist have been put. From now on mirror pods may say which cgroup is theirs, by a config
 * hash: earlier, one that claims the uid of another pod might come before that one. A sink's error is
 * returned, and the pod offered again.
 */
int registry_names_complete(struct registry *reg);

/* The source does not know the pod any more. An unknown uid is no error. */
void registry_remove_name(struct registry *reg, const char *uid);

/* What the source says of the pod that a cgroup of that uid is, with labels that stay the registry's;
 * false: nothing. And how many pods run, by its word. */
bool registry_find_name(const struct registry *reg, const char *uid, struct pod_name *ret);
size_t registry_count_running(const struct registry *reg);

/*
 * Replace all names. -EINVAL, -EEXIST (one uid, two identities), -ENOMEM: the list is refused as
 * a whole, err says why, the old one stays. Any other error is the sink's: the list is in force.
 */
int registry_set_names(struct registry *reg, const struct pod_name *pods, size_t n,
		       struct pc_err *err);

/* The directory with this inode is the pod's. Again for a known id: nothing happens, unless the
 * sink refused it before. Ids are not reused within a boot, so an id that comes with another uid
 * is dropped and -EEXIST returned: then it is nobody's until the next call. -EINVAL: uid or id. */
int registry_add_cgroup(struct registry *reg, uint64_t id, const char *uid, bool is_static);

/* An unknown id is no error. With a grace time the sink hears of it from registry_expire. */
int registry_remove_cgroup(struct registry *reg, uint64_t id);

/* Full reconcile: mark, registry_add_cgroup for all there are, sweep those not added since. */
void registry_mark(struct registry *reg);
int registry_sweep(struct registry *reg);

/* Calls sink.qos when the two differ from the last time, and the first time. */
int registry_set_qos(struct registry *reg, uint64_t burstable_id, uint64_t besteffort_id);

/* Offer the sink again what it refused; and how many it refuses still. */
int registry_flush(struct registry *reg);
size_t registry_count_refused(const struct registry *reg);

/* Offer the sink again the pods that stale() picks, as new records: what the sink itself adds to
 * them has changed. stale() must not call back into the registry. */
int registry_rewrite(struct registry *reg, bool (*stale)(void *arg, const struct pod_ident *pod),
		     void *arg);

/*
 * Removed cgroups keep their record for grace_ns (default 0: none), so that connections that
 * outlive the pod can still be named. registry_expire drops those whose time is over; it also
 * retries removals that the sink refused. now_ns: any monotonic clock. A record lives from the
 * first registry_expire that sees it removed, so call it about every grace_ns / 4.
 */
void registry_set_grace(struct registry *reg, uint64_t grace_ns);
int registry_expire(struct registry *reg, uint64_t now_ns);

/* In order of cgroup id, those in their grace time included. Valid until the next change. */
size_t registry_count(const struct registry *reg);
const struct pod_ident *registry_at(const struct registry *reg, size_t i);
const struct pod_ident *registry_find(const struct registry *reg, uint64_t id);
