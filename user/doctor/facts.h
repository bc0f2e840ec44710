/* SPDX-License-Identifier: Apache-2.0 */
/* The facts of explain.h, from the pinned maps of a running podcred. */
#pragma once

#include "doctor/explain.h"
#include "kernel/status.h"
#include "node/ways.h"

struct facts_source {
	const char *pin_dir;
	char *mount; /* cgroup2 */
	int guard_fd, targets_fd, pods_fd, quota_fd, pass_quota_fd;
	struct kern_status status;
	bool set_retval;
};

/* -errno; close after a failure too. */
int doctor_facts_open(const char *pin_dir, struct facts_source *ret, struct pc_err *err);
void doctor_facts_close(struct facts_source *source);

/*
 * The pod that text names: NAMESPACE/NAME, a uid, or the id of its cgroup or of one in it. A pod's
 * cgroup that the resolver has not named gives a record with its id and nothing else.
 * -ENOENT: err lists the pods that are known.
 */
int doctor_facts_find_pod(const struct facts_source *source, const char *text,
			  struct podcred_pod *ret, struct pc_err *err);

/* A cgroup with processes of that pod outside of the guarded kubepods, owned by the caller; NULL:
 * there is none, or it may not be looked for. */
char *doctor_facts_outside(const struct facts_source *source, const struct podcred_pod *pod);

/*
 * How that pod's connections come to the agent's address, by where its processes are: 1 and *ret; 0: it has
 * no interface that leads there, or none is known; -EPERM, -EXDEV: it may not be looked for here.
 */
int doctor_facts_way(const struct facts_source *source, const struct podcred_pod *pod,
		     const struct podcred_endpoint *agent, struct ways_way *ret);

/* Everything about that pod and that destination. */
void doctor_facts_fill(const struct facts_source *source, const struct podcred_pod *pod,
		       const struct podcred_target_key *dest, struct explain_facts *ret);

/* The destinations that are redirected. Returns how many were written. */
size_t doctor_facts_redirected(const struct facts_source *source, struct podcred_target_key *ret,
			       size_t max);
