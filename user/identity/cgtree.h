/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The cgroupfs side: finds the kubepods directory, reads which pods are below it, keeps the
 * registry in step. A cgroup's id is the inode number of its directory, read through a directory
 * that is held open; names only say which uid that directory stands for.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct cgtree;
struct pc_err;
struct registry;

/* The cgroup2 mount, wherever it is, in *ret_path (owned by the caller). -ENOENT when there is
 * none, with a message that tells whether there is v1. */
int cgtree_find_mount(char **ret_path, struct pc_err *err);

/*
 * The kubepods directory at or below dir: the one that the cgroup own (NULL: not known) is in, else
 * the only one with pods that run, else the only one with pods, else the only one. Where it may be:
 * cgsurvey.h. -ENOENT: none; -EEXIST: two are as good, both named.
 */
int cgtree_find_kubepods(const char *dir, const char *own, char **ret_path, struct pc_err *err);

/* Tests use plain directories; without this the directory must be in a cgroup2 file system. */
#define CGTREE_ANY_FS (1U << 0)

/* Hold the kubepods root at path. reg must outlive the tree. Reads nothing yet: scan next.
 * -EINVAL: the name is not one of a kubepods root, or the file system is not cgroup2. */
int cgtree_open(const char *path, unsigned flags, struct registry *reg, struct cgtree **ret,
		struct pc_err *err);

/* The registry keeps what it has. Returns NULL. */
struct cgtree *cgtree_close(struct cgtree *tree);

/* Cgroup id of the kubepods root, for podcred_config. */
uint64_t cgtree_root_id(const struct cgtree *tree);

/*
 * Full reconcile of the registry with the directories; QoS ids are reported before pods.
 * -ESTALE: the root was removed, or made again: close, find and open again (the registry is as it
 * was; the scan of the new tree sorts it out). Other errors of the file system: nothing was
 * removed. An error of the sink: all else was done, the next scan tries again.
 */
int cgtree_scan(struct cgtree *tree);

/*
 * The kernel says that cgroup id was made, and where; path (from the root of the hierarchy) is
 * only a hint: the directory is opened below the held root and must have this inode. 1: it is a
 * pod or a QoS class of this tree and the registry knows; 0: none of ours, or gone; else as scan.
 */
int cgtree_added(struct cgtree *tree, uint64_t id, const char *path);

/* The kernel says that cgroup id was removed. As cgtree_scan. */
int cgtree_removed(struct cgtree *tree, uint64_t id);

/* How many directories the last scan found where a pod should be but with a name that is none;
 * the name of one of them, and what is wrong (cgpath_reason_text). For a warning. */
size_t cgtree_skipped(const struct cgtree *tree, const char **ret_name, const char **ret_reason);

/* Without the kernel's events: an inotify descriptor to poll, owned by the tree. Scan once after
 * the first call. -errno. */
int cgtree_watch_fd(struct cgtree *tree);

/* When it is readable. 1: something changed and was scanned; 0: nothing; else as cgtree_scan. */
int cgtree_watch_dispatch(struct cgtree *tree);
