/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which pod does a cgroup path name? Pure, total functions: any bytes in, one answer out.
 *
 * The answer is only as good as the path. Callers that need proof take the path from a directory
 * that they opened themselves and compare the inode (cgtree.h); text from /proc can be forged.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "identity/pod.h"

/* X(name, text for a person) */
#define CGPATH_REASONS(X)                                                                          \
	X(OK, "belongs to a pod")                                                                  \
	X(ROOT, "is the root of the hierarchy, or of a private cgroup namespace")                  \
	X(TOO_LONG, "is longer than any path can be")                                              \
	X(BAD_BYTE, "holds a NUL or a newline, which no cgroup path has")                          \
	X(PROC_LINE, "is a line of /proc/PID/cgroup, not a path")                                  \
	X(RELATIVE, "has a '.' or '..' component: it is relative to a cgroup namespace")           \
	X(NOT_KUBEPODS, "is not below a kubepods cgroup: a process of the host")                   \
	X(NO_POD, "is kubepods or a QoS class itself, above every pod")                            \
	X(NOT_A_POD, "has neither a QoS class nor a pod where the kubelet puts them")              \
	X(WRONG_SLICE, "has a pod slice whose name does not extend its parent's")                  \
	X(UID_POD, "has a pod uid that contains \"pod\"")                                          \
	X(UID_MIXED, "has a pod uid that mixes dashes and underscores")                            \
	X(UID_FORM, "has a pod uid that is neither 8-4-4-4-12 nor 32 hex digits")

enum cgpath_reason {
#define X(name, text) CGPATH_##name,
	CGPATH_REASONS(X)
#undef X
};

enum cgpath_qos {
	CGPATH_QOS_NONE,
	CGPATH_QOS_BURSTABLE,
	CGPATH_QOS_BESTEFFORT,
};

/* Longest name of a cgroup, and NUL. */
#define CGPATH_NAME_SIZE 256

struct cgpath_pod {
	char uid[POD_UID_SIZE];
	bool is_static; /* uid is a config hash */
	size_t root_len; /* path[0..root_len) is the kubepods root; 0: not in the path */
	size_t pod_start; /* path[pod_start..pod_len) is the pod's own component ... */
	size_t pod_len; /* ... and path[0..pod_len) its directory */
};

/* path is from the root of the hierarchy, with or without the leading '/'. The outermost pod
 * wins. *ret is written only with CGPATH_OK. */
enum cgpath_reason cgpath_parse(const char *path, size_t len, struct cgpath_pod *ret);

/* Reads well after the path: "cgroup PATH <text>". Static storage. */
const char *cgpath_reason_text(enum cgpath_reason reason);

/* Components, without slashes. */

/* "kubepods", "kubepods.slice", "PREFIX-kubepods.slice" */
bool cgpath_is_kubepods(const char *name, size_t len);

/* Is name a QoS class below the kubepods root of that name? */
enum cgpath_qos cgpath_qos(const char *root, size_t root_len, const char *name, size_t len);

/* The name that a QoS class has below that root. 0 or -ENAMETOOLONG. */
int cgpath_qos_name(const char *root, enum cgpath_qos qos, char ret_name[CGPATH_NAME_SIZE]);

/* Is name a pod below parent (the kubepods root or a QoS class)? The two are written only with
 * CGPATH_OK. */
enum cgpath_reason cgpath_pod_component(const char *parent, size_t parent_len, const char *name,
					size_t len, char ret_uid[POD_UID_SIZE],
					bool *ret_is_static);
