/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is attached, according to the kernel: by this load, by others, and by other people. Nothing
 * in this module prints; errors come as -errno and one line in struct pc_err.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "podcred_maps.h"

#include "base/err.h"

struct kern_link_status {
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

#define KERN_MAX_LINKS 24

struct kern_status {
	uint64_t read_ns; /* when it was read (CLOCK_BOOTTIME), which may be a while ago */
	struct podcred_config config;
	uint64_t runtime[PODCRED_RUNTIME_SLOTS];
	struct kern_link_status links[KERN_MAX_LINKS];
	size_t n_links;
	uint64_t stats[PODCRED_REASON_MAX];
	struct podcred_source source; /* all zero: of a load that does not have it */
	uint32_t n_pods, n_flows, n_peers;
	uint32_t n_exempt, n_audited, n_denied; /* of the pods, by policy */
};

/* cgroup2 mount: where to open a link's cgroup by its id. -ENOENT: not loaded, or not yet: err says
 * whether a load is running. */
int kern_status_read(const char *pin_dir, const char *cgroup_mount, struct kern_status *ret,
		     struct pc_err *err);

/* Only what the resolver says: ret->runtime and ret->source, the rest is as it was. */
int kern_status_read_resolver(const char *pin_dir, struct kern_status *ret, struct pc_err *err);

/* Whether a resolver follows the pods. One that is stopped or hangs stops saying so. */
bool kern_resolver_is_running(const struct kern_status *status);

const char *kern_reason_name(enum podcred_reason reason);
const char *kern_reason_text(enum podcred_reason reason);

/* "redirect", "deny", ...; "none" for PODCRED_NOT_GUARDED. */
const char *kern_action_name(int action);

/* ---- other loads of podcred: pinned elsewhere, or where a mount hides it ---- */

/* Which ones count: those that run for the same sockets, and in the caller's network namespace. */
struct kern_scope {
	const char *cgroup_mount;
	const char *guard; /* the guarded cgroup */
	const char *agent; /* NULL: any */
};

struct kern_others {
	unsigned programs; /* that are attached; tracing programs are not counted */
	unsigned unknown; /* programs on the cgroups, but whose they are may not be asked */
	char name[16]; /* of one of them, "" when only filters of tc are left */
	char cgroup[256]; /* that it is attached to; "": none */
	char pin_dir[256]; /* beside ours that has it; "": none is to be seen */
};

/* Asked from the kernel. What is pinned in pin_dir is ours. Takes CAP_SYS_ADMIN to know and
 * CAP_NET_ADMIN to count what is unknown. Waits some seconds for what is just going. */
int kern_others_find(const char *pin_dir, const struct kern_scope *scope, struct kern_others *ret,
		     struct pc_err *err);
int kern_others_detach(const char *pin_dir, const struct kern_scope *scope, unsigned *ret_detached,
		       struct pc_err *err);

/* "3 programs of another podcred load are attached (...), pinned ..." */
const char *kern_others_text(const struct kern_others *others, char *buf, size_t size);

/* ---- programs that others have attached ---- */

enum kern_sharing {
	KERN_SHARES, /* the multi flag */
	KERN_OVERRIDABLE, /* silently off below a cgroup that has a program of its own */
	KERN_EXCLUSIVE, /* shuts others out */
};

#define KERN_PROG_NAME 16

/* The name of the program with that id, in buf; "?": it may not be asked. */
const char *kern_prog_name(uint32_t id, char buf[KERN_PROG_NAME]);

struct kern_attached {
	const char *hook; /* cgroup/connect4 */
	uint32_t id; /* of the program */
	char name[KERN_PROG_NAME]; /* "" when it may not be asked */
	enum kern_sharing sharing;
};

/* What is attached to that very cgroup, ours too, in the hooks that podcred uses on the guarded
 * cgroup, or with agent_side on the agent's. fn as in kern_map_each. -EPERM: may not be asked. */
int kern_attached_each(const char *cgroup, bool agent_side,
		       int (*fn)(void *arg, const struct kern_attached *attached), void *arg);

/* Whether it is pinned below pin_dir as a program of this load: its link may have been made after the
 * status was read, by a resolver that covers a cgroup. */
bool kern_is_own_program(const char *pin_dir, uint32_t id);
