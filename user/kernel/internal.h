/* SPDX-License-Identifier: Apache-2.0 */
/* Shared by the files of this module. */
#pragma once

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "kernel/events.h"
#include "kernel/features.h"
#include "kernel/load.h"
#include "kernel/maps.h"
#include "kernel/status.h"
#include "podcred.skel.h"

#define LINKS_DIR "links"
#define PROGS_DIR "progs"
#define MAPS_DIR  "maps"

/* Where a program attaches. */
enum site {
	SITE_GUARD,
	SITE_AGENT,
	SITE_TRACE, /* not to a cgroup */
	SITE_NETNS, /* netfilter, in the loader's network namespace */
	SITE_IFACE, /* interfaces, each with a link or a filter of its own: ifaces.c */
};

struct attachment {
	const char *name; /* program, and its pins */
	const char *hook; /* for people */
	enum site site;
	int type; /* enum bpf_attach_type; netfilter: the protocol family */
	enum kern_feature_id feature; /* that it needs; without a required one nothing is loaded */
};

extern const struct attachment kern_attachments[];
extern const size_t kern_n_attachments;

/* ---- pins.c ---- */

/* Path below the pin directory; fails with -ENAMETOOLONG. */
int kern_pin_path(char *buf, size_t size, const char *pin_dir, const char *kind, const char *name);

/* Mount bpffs if the parent of pin_dir is none, make the directories. */
int kern_pins_prepare(const char *pin_dir, bool *ret_mounted, struct pc_err *err);

/* Exclusive lock on a directory while the fd is open. -EBUSY when somebody has it; busy says who
 * that is and what to do. */
int kern_pins_lock_dir(const char *path, const char *busy, struct pc_err *err);

/* The one on the pin directory: loaders. */
int kern_pins_lock(const char *pin_dir, struct pc_err *err);

/* Whether a loader is at work there, as far as this process may see. */
bool kern_pins_locked(const char *pin_dir);

/* Remove every file in pin_dir/kind, then the folder. Returns the number of files, or -errno. */
int kern_pins_remove_kind(const char *pin_dir, const char *kind);

/* Remove the files in pin_dir/kind that are not known: what another version left. */
void kern_pins_remove_unknown(const char *pin_dir, const char *kind,
			      bool (*known)(const void *arg, const char *name), const void *arg);

/* ---- open.c ---- */

/* Whether a map has that name, of those that stay. */
bool kern_object_has_map(const void *skel, const char *name);

/* Skeleton fitted to this kernel: what it lacks is left out. Nothing is loaded. */
int kern_object_open(struct podcred **ret);

/* Skeleton with maps bound to their pins and programs loaded; nothing attached. */
int kern_object_load(const char *pin_dir, struct podcred **ret, struct pc_err *err);

/* Unpin the maps that this load created (not the ones it found). */
void kern_object_forget_new_maps(struct podcred *skel, const bool *existed);
void kern_object_existing_maps(const char *pin_dir, struct podcred *skel, bool *ret_existed);

/* ---- attach.c ---- */

/* A program's fd for each of kern_attachments[]; negative: none, leave what is there. */
int kern_attach_all(const struct kern_options *options, const int prog_fds[KERN_MAX_LINKS],
		    struct kern_report *report, struct pc_err *err);

bool kern_is_cgroup_site(enum site site);

/* Whether this kernel has what it needs, and the operator has not switched that off. */
bool kern_attachment_wanted(const struct attachment *att);

/* The pinned link of an earlier load, if it is still alive on that cgroup. Else -ENOENT. */
int kern_find_live_link(const char *path, const struct attachment *att, uint64_t cgroup_id,
			uint32_t *ret_prog_id);

/* ---- before.c: the links on the cgroup of the agent before ---- */

struct kern_before {
	int link_fd;
	uint32_t prog_id; /* of the link */
	bool is_current; /* pinned as the link in use, which it is until a load commits */
};

int kern_before_path(char *buf, size_t size, const char *pin_dir, const char *name);
bool kern_before_is_pin(const char *name);

/* A link of that program that is alive on an agent's cgroup other than this one. -ENOENT: none is. */
int kern_before_open(const char *pin_dir, const struct attachment *att, uint64_t cgroup_id,
		     struct kern_before *ret);

/* ---- tables.c ---- */

struct tables_backup;

/* Write config, guard and targets; *ret_backup can bring the old contents back. */
int kern_tables_write(struct podcred *skel, const struct kern_options *options,
		      struct tables_backup **ret_backup, struct pc_err *err);
void kern_tables_restore(struct podcred *skel, const struct tables_backup *backup);
struct tables_backup *kern_tables_backup_free(struct tables_backup *backup);

int kern_config_write(int config_fd, const struct podcred_config *config);

/* ---- passes.c ---- */

/* What an older load has noted in podcred_passes_v2 is noted in this one's maps. To be called before the
 * programs are swapped, and once more after it. */
void kern_passes_carry_over(const char *pin_dir, const struct podcred *skel);

/* ---- netfilter.c ---- */

/* libbpf 1.1 knows neither the program type nor the link (Linux 6.4). */
#define PROG_TYPE_NETFILTER   ((enum bpf_prog_type)32)
#define ATTACH_TYPE_NETFILTER ((enum bpf_attach_type)45)

/* A link at POST_ROUTING of this network namespace, at a priority that is free. family:
 * NFPROTO_IPV4 or NFPROTO_IPV6. An fd, or -errno. */
int kern_netfilter_link_create(int prog_fd, int family);

/* Whether that link of somebody is in force, in this network namespace. */
bool kern_netfilter_is_here(const struct bpf_link_info *info);

/* ---- ifaces.c ---- */

#define LINK_TYPE_TCX 11

/* Whether a link's pin is one of an interface. */
bool kern_iface_is_pin(const char *name);

/* How many live links of that program there are, or how many filters in this namespace. */
unsigned kern_iface_count(const char *pin_dir, const char *prog_name, bool tc);

/* Detach the filters of tc in this network namespace. Returns how many. */
unsigned kern_iface_detach_filters(void);

/* The filters of ours and of other loads that pick() wants; detached on request. How many. */
unsigned kern_iface_each_filter(bool (*pick)(void *arg, uint32_t prog_id), void *arg, bool detach);

/* Interface of a tcx link; 0: it was detached, or its interface is gone. */
int kern_iface_of_link(const struct bpf_link_info *info);

int kern_iface_try_link(void); /* for features.c: 0 or -errno */

uint32_t kern_prog_id_of(int prog_fd); /* 0: cannot be asked */

/* ---- tc.c ---- */

/* A handle for each of our programs: two of them may be at the same end of one interface. */
struct tc_place {
	bool egress;
	uint32_t handle;
};

/* Attach, or replace what an earlier load attached: 1 new, 0 there was one, -errno. */
int kern_tc_attach(int prog_fd, const char *prog, int ifindex, const struct tc_place *place,
		   struct pc_err *err);
bool kern_tc_is_attached(int ifindex, const struct tc_place *place, const char *prog);
void kern_tc_detach(int ifindex, const struct tc_place *place,
		    const char *prog); /* if it is ours */

/* In this network namespace, by the name of the program. */
unsigned kern_tc_count(const struct tc_place *place, const char *prog);
unsigned kern_tc_detach_all(const struct tc_place *place, const char *prog);
unsigned kern_tc_each(const struct tc_place *place, bool (*pick)(void *arg, uint32_t prog_id),
		      void *arg, bool remove);

int kern_tc_try(void); /* for features.c: 0 or -errno */

/* ---- cgroup.c ---- */

/* A cgroup's directory by its id: an fd, or -errno. -ESTALE: it was removed; -EPERM: it is in none of
 * the directories that this process may read, and ids it may not open. */
int kern_cgroup_open_by_id(const char *cgroup_mount, uint64_t id);

/* ---- features.c ---- */

bool kern_feature_is_required(enum kern_feature_id id);
bool kern_feature_present(enum kern_feature_id id);

/* Of the features that are not present, for PODCRED_RUNTIME_WITHOUT; and asked of its value. */
uint64_t kern_features_missing(void);
bool kern_feature_is_missing(uint64_t without, enum kern_feature_id id);
bool kern_features_use_tc(uint64_t without); /* in place of tcx */

/* Names the first required feature that this kernel lacks: -ENOTSUP. */
int kern_features_require(struct pc_err *err);
