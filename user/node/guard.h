/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Is the guard complete, and if not, why? This one answer serves status, doctor, metrics and run.
 * To add another reason, add a line to the table in guard.c, and nothing else.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "kernel/status.h"
#include "node/ways.h"

struct cgsurvey; /* cgsurvey.h */

/* Something that is not guarded, or not the way it was meant. */
struct node_guard_gap {
	const char *kind; /* one of guard_kinds: for JSON, metrics and doctor */
	bool unknown; /* no gap: this process may not find out whether there is one */
	char text[384]; /* what is */
	char next[256]; /* what to do about it */
};

#define GUARD_MAX_GAPS 48

struct guard {
	const char *pin_dir;
	const char *mount; /* cgroup2, the whole hierarchy */
	char *kubepods, *guarded, *agent; /* paths of the loaded cgroups, there or not */
	bool kubepods_there; /* it is the one that the programs know */
	struct kern_status status;
	struct node_guard_gap gaps[GUARD_MAX_GAPS];
	size_t n_gaps;
	bool ways_known;
	struct ways ways;
};

enum node_guard_verdict {
	GUARD_COMPLETE,
	GUARD_INCOMPLETE,
	GUARD_UNKNOWN, /* no gap was seen, but not everything could be asked */
};

struct guard_where {
	const char *pin_dir;
	const char *kubepods; /* where to look for programs of ours when nothing is pinned; NULL: at
			       * the top of the hierarchy */
};

/* where and mount must outlive *ret. -ENOENT: not loaded; err tells when the kernel runs programs of
 * ours all the same. node_guard_done also after a failure. */
int node_guard_read(const struct guard_where *where, const char *mount, struct guard *ret,
		    struct pc_err *err);
void node_guard_done(struct guard *guard);

enum node_guard_verdict node_guard_verdict(const struct guard *guard);

/* The kinds of gaps that are looked for, in order; NULL behind the last. */
const char *node_guard_kind(size_t i);

/* How many gaps of that kind there are, the unknown ones not counted. */
size_t node_guard_count(const struct guard *guard, const char *kind);

/* Whether something of that kind could not be asked. */
bool node_guard_has_unknown(const struct guard *guard, const char *kind);

struct guard_unloaded {
	unsigned detached; /* of ours */
	unsigned others; /* of other loads */
	bool unknown; /* whether another load is attached could not be asked */
};

/* Detach everything that is pinned in pin_dir, and on request what other loads have attached for
 * the same pods. 0: the kernel runs nothing of podcred there any more, unless ret->unknown. */
int node_guard_unload(const struct guard_where *where, bool others_too, struct guard_unloaded *ret,
		      struct pc_err *err);

/* Where a load could not see whether another one is attached, for so many programs on the two cgroups: one
 * line in the log says so. */
void node_guard_warn_unseen(unsigned unknown, const char *guarded, const char *agent);

/* Only the pods that run outside of this kubepods, by a survey of what is around it. Into ret_text: the
 * first of these gaps and what to do about it. 0: there are none. */
size_t node_guard_outside(const struct cgsurvey *survey, const char *kubepods, char *ret_text,
			  size_t size);

/* For those who find gaps. */
__attribute__((format(printf, 4, 5))) void node_guard_gap(struct guard *guard, const char *kind,
							  const char *next, const char *fmt, ...);
/* what could not be asked, and what it takes */
__attribute__((format(printf, 4, 5))) void node_guard_unknown(struct guard *guard, const char *kind,
							      const char *next, const char *fmt,
							      ...);
