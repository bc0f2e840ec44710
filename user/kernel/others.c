// SPDX-License-Identifier: Apache-2.0
/*
 * Programs of other loads of podcred, found by asking the kernel rather than by pins: they may be
 * pinned in another directory, or in a BPF file system that another one was mounted over. With two
 * sets on one cgroup, the second sees addresses that the first has rewritten, and pods are refused.
 *
 * A load is recognized by its maps: each of its programs shares one with another.
 */
#include "kernel/internal.h"

#include <dirent.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/cleanup.h"
#include "base/plural.h"

#define LINK_TYPE_NETFILTER 10
#define CONFIG_MAP	    "podcred_config"
#define MAX_MAPS	    32 /* of one program */

/* A program of some load. */
struct program {
	uint32_t id, maps[MAX_MAPS], n_maps;
	char name[16];
	const struct attachment *att;
};

/* One link. */
struct seen {
	uint32_t id;
	struct program prog;
	struct bpf_link_info info;
	bool own, related; /* of our load; of one that runs for the same sockets */
};

struct survey {
	const char *pin_dir;
	const struct kern_scope *scope;
	uint32_t own_progs[3 * KERN_MAX_LINKS];
	size_t n_own;
	struct seen *v;
	size_t n, room;
};

static void survey_done(struct survey *s)
{
	free(s->v);
}

/* ---- which load is a program of? ---- */

static const struct attachment *attachment_of(const char *name)
{
	for (size_t i = 0; i < kern_n_attachments; i++)
		if (!strncmp(kern_attachments[i].name, name, 15))
			return &kern_attachments[i];
	return NULL;
}

/* False: none of podcred's. */
static bool read_program(uint32_t id, struct program *ret)
{
	_cleanup_close_ int fd = bpf_prog_get_fd_by_id(id);
	struct bpf_prog_info info = {.nr_map_ids = MAX_MAPS,
				     .map_ids = (uint64_t)(uintptr_t)ret->maps};
	uint32_t len = sizeof(info);

	if (fd < 0 || bpf_obj_get_info_by_fd(fd, &info, &len) < 0)
		return false;
	ret->id = id;
	ret->n_maps = info.nr_map_ids < MAX_MAPS ? info.nr_map_ids : MAX_MAPS;
	memcpy(ret->name, info.name, sizeof(ret->name));
	ret->att = attachment_of(info.name);
	return ret->att;
}

static bool share_map(const struct program *a, const struct program *b)
{
	for (uint32_t i = 0; i < a->n_maps; i++)
		for (uint32_t k = 0; k < b->n_maps; k++)
			if (a->maps[i] == b->maps[k])
				return true;
	return false;
}

/* ---- ours: what is pinned in our directory, also by a loader at work ---- */

static void note_own(struct survey *s, const char *kind)
{
	char dir_path[4096], path[4096];
	struct dirent *entry;
	DIR *dir;

	if (kern_pin_path(dir_path, sizeof(dir_path), s->pin_dir, kind, "") < 0)
		return;
	dir = opendir(dir_path);
	while (dir && (entry = readdir(dir))) {
		_cleanup_close_ int fd = -EBADF;
		struct bpf_prog_info prog = {};
		struct bpf_link_info link = {};
		uint32_t len = strcmp(kind, PROGS_DIR) ? sizeof(link) : sizeof(prog), id;

		if (entry->d_name[0] == '.' || s->n_own == ARRAY_SIZE(s->own_progs) ||
		    kern_pin_path(path, sizeof(path), s->pin_dir, kind, entry->d_name) < 0)
			continue;
		fd = bpf_obj_get(path);
		if (fd < 0 ||
		    bpf_obj_get_info_by_fd(
			    fd, strcmp(kind, PROGS_DIR) ? (void *)&link : (void *)&prog, &len) < 0)
			continue;
		id = strcmp(kind, PROGS_DIR) ? link.prog_id : prog.id;
		if (!kern_iface_is_pin(entry->d_name)) /* those are known by their maps */
			s->own_progs[s->n_own++] = id;
	}
	if (dir)
		closedir(dir);
}

static bool is_own(const struct survey *s, uint32_t prog_id)
{
	for (size_t i = 0; i < s->n_own; i++)
		if (s->own_progs[i] == prog_id)
			return true;
	return false;
}

/* ---- whether a load concerns us ---- */

static bool is_at_or_below(const char *path, const char *dir)
{
	size_t len = strlen(dir);

	return !strncmp(path, dir, len) && (path[len] == '/' || path[len] == '\0');
}

/* Programs of either run for sockets of the other. */
static bool overlap(const char *a, const char *b)
{
	return a && b && (is_at_or_below(a, b) || is_at_or_below(b, a));
}

static bool is_related_cgroup(const struct survey *s, const struct seen *seen)
{
	enum site site = seen->prog.att->site;
	_cleanup_free_ char *path = NULL;

	if (seen->info.type != BPF_LINK_TYPE_CGROUP || !kern_is_cgroup_site(site) ||
	    kern_cgroup_path(s->scope->cgroup_mount, seen->info.cgroup.cgroup_id, &path) < 0)
		return false;
	return overlap(path, site == SITE_GUARD ? s->scope->guard : s->scope->agent);
}

/* By what its loader wrote down, where all its cgroups are gone and packets are still dropped. */
static bool is_related_config(const struct survey *s, const struct program *prog)
{
	struct podcred_config config;

	for (uint32_t i = 0; i < prog->n_maps; i++) {
		_cleanup_close_ int fd = bpf_map_get_fd_by_id(prog->maps[i]);
		_cleanup_free_ char *path = NULL;
		struct bpf_map_info info = {};
		uint32_t len = sizeof(info);

		if (fd < 0 || bpf_obj_get_info_by_fd(fd, &info, &len) < 0 ||
		    strncmp(info.name, CONFIG_MAP, strlen(CONFIG_MAP)) != 0)
			continue;
		/* of another release: its paths may be anywhere */
		if (info.value_size != sizeof(config) || kern_config_read(fd, &config) < 0)
			return false;
		config.guard_path[sizeof(config.guard_path) - 1] = '\0';
		if (asprintf(&path, "%s%s", s->scope->cgroup_mount, config.guard_path) < 0)
			return false;
		return overlap(path, s->scope->guard);
	}
	return false;
}

/* What one program of a load is, all of them are. */
static void spread(struct survey *s)
{
	for (bool changed = true; changed;) {
		changed = false;
		for (size_t i = 0; i < s->n; i++)
			for (size_t k = 0; k < s->n; k++) {
				struct seen *a = &s->v[i], *b = &s->v[k];

				if ((a->own <= b->own && a->related <= b->related) ||
				    !share_map(&a->prog, &b->prog))
					continue;
				b->own |= a->own;
				b->related |= a->related;
				changed = true;
			}
	}
}

/* Tracing programs guard nothing, and know no detach: they go with their pins. */
static bool is_other(const struct seen *seen)
{
	return seen->related && !seen->own && seen->prog.att->site != SITE_TRACE &&
	       (seen->info.type != LINK_TYPE_NETFILTER || kern_netfilter_is_here(&seen->info));
}

/* ---- all links of the kernel ---- */

/* Whether it is of a kind that we use, and in force. */
static bool is_live(const struct bpf_link_info *info)
{
	switch (info->type) {
	case BPF_LINK_TYPE_CGROUP:
		return info->cgroup.cgroup_id; /* 0 once it was removed */
	case LINK_TYPE_TCX:
		return kern_iface_of_link(info);
	default:
		return info->type == LINK_TYPE_NETFILTER;
	}
}

static int add_link(struct survey *s, uint32_t id)
{
	_cleanup_close_ int fd = bpf_link_get_fd_by_id(id);
	struct seen seen = {.id = id};
	uint32_t len = sizeof(seen.info);

	if (fd < 0 || bpf_obj_get_info_by_fd(fd, &seen.info, &len) < 0 || !is_live(&seen.info) ||
	    !read_program(seen.info.prog_id, &seen.prog))
		return 0; /* gone meanwhile, or never ours */
	if (s->n == s->room) {
		size_t room = s->room ? 2 * s->room : 64;
		struct seen *grown = reallocarray(s->v, room, sizeof(*grown));

		if (!grown)
			return -ENOMEM;
		s->v = grown;
		s->room = room;
	}
	seen.own = is_own(s, seen.prog.id);
	seen.related = is_related_cgroup(s, &seen) || is_related_config(s, &seen.prog);
	s->v[s->n++] = seen;
	return 0;
}

static int read_links(struct survey *s)
{
	uint32_t id = 0;
	int r = 0;

	s->n = s->n_own = 0;
	note_own(s, PROGS_DIR);
	note_own(s, LINKS_DIR);
	while (r == 0 && bpf_link_get_next_id(id, &id) == 0)
		r = add_link(s, id);
	if (r == 0 && errno != ENOENT)
		r = -errno;
	spread(s);
	return r;
}

/* ---- filters of tc, in this network namespace ---- */

static bool is_others_filter(void *arg, uint32_t prog_id)
{
	const struct survey *s = arg;
	struct program prog = {};
	bool related = false;

	if (!read_program(prog_id, &prog) || is_own(s, prog_id))
		return false;
	for (size_t i = 0; i < s->n; i++) {
		if (!share_map(&prog, &s->v[i].prog))
			continue;
		if (s->v[i].own)
			return false;
		related |= s->v[i].related;
	}
	return related || is_related_config(s, &prog);
}

/* ---- what is found, for a line ---- */

/* The pin directory beside ours that has this link, if there is one. */
static void find_pin_dir(const struct survey *s, const struct seen *seen, char ret[256])
{
	char path[4096], parent[4096];
	struct dirent *entry;
	char *slash;
	DIR *dir;

	ret[0] = '\0';
	snprintf(parent, sizeof(parent), "%s", s->pin_dir);
	slash = strrchr(parent, '/');
	if (!slash)
		return;
	*slash = '\0';
	dir = opendir(parent);
	while (dir && !ret[0] && (entry = readdir(dir))) {
		_cleanup_close_ int fd = -EBADF;
		struct bpf_link_info info = {};
		uint32_t len = sizeof(info);

		if (entry->d_name[0] == '.' ||
		    snprintf(path, sizeof(path), "%s/%s/" LINKS_DIR "/%s", parent, entry->d_name,
			     seen->prog.att->name) >= (int)sizeof(path))
			continue;
		fd = bpf_obj_get(path);
		if (fd < 0 || bpf_obj_get_info_by_fd(fd, &info, &len) < 0 || info.id != seen->id)
			continue;
		if (snprintf(path, sizeof(path), "%s/%s", parent, entry->d_name) < 256)
			memcpy(ret, path, 256);
	}
	if (dir)
		closedir(dir);
}

static void describe(const struct survey *s, const struct seen *seen, struct kern_others *ret)
{
	_cleanup_free_ char *path = NULL;

	memcpy(ret->name, seen->prog.name, sizeof(ret->name));
	if (seen->info.type == BPF_LINK_TYPE_CGROUP &&
	    kern_cgroup_path(s->scope->cgroup_mount, seen->info.cgroup.cgroup_id, &path) == 0)
		snprintf(ret->cgroup, sizeof(ret->cgroup), "%s", path);
	find_pin_dir(s, seen, ret->pin_dir);
}

static int look(struct survey *s, struct kern_others *ret)
{
	const struct seen *example = NULL; /* on the guarded cgroup, if there is one */
	int r = read_links(s);

	*ret = (struct kern_others){};
	for (size_t i = 0; r == 0 && i < s->n; i++) {
		if (!is_other(&s->v[i]))
			continue;
		ret->programs++;
		if (!example || example->prog.att->site != SITE_GUARD)
			example = &s->v[i];
	}
	if (r == 0)
		ret->programs += kern_iface_each_filter(is_others_filter, s, false);
	if (example)
		describe(s, example, ret);
	return r;
}

/*
 * Who may not walk the links sees the ids of the programs on the two cgroups at least: as long as
 * all of them are ours there is no other set.
 */
struct strangers {
	const struct survey *s;
	unsigned n;
};

static int count_stranger(void *arg, const struct kern_attached *attached)
{
	struct strangers *strangers = arg;

	strangers->n += !is_own(strangers->s, attached->id);
	return 0;
}

static unsigned count_strangers(const struct survey *s, const char *cgroup, bool agent_side)
{
	struct strangers strangers = {.s = s};

	if (cgroup)
		kern_attached_each(cgroup, agent_side, count_stranger, &strangers);
	return strangers.n;
}

static int look_at_cgroups(const struct survey *s, struct kern_others *ret)
{
	*ret = (struct kern_others){};
	ret->unknown = count_strangers(s, s->scope->guard, false) +
		       count_strangers(s, s->scope->agent, true);
	return 0;
}

/* Links whose last pin went stay for some milliseconds, and one that is just being made has none
 * yet: what is seen again and again is there. */
#define LOOKS	 20
#define PAUSE_NS 100000000L

int kern_others_find(const char *pin_dir, const struct kern_scope *scope, struct kern_others *ret,
		     struct pc_err *err)
{
	_cleanup_(survey_done) struct survey s = {.pin_dir = pin_dir, .scope = scope};
	const struct timespec pause = {.tv_nsec = PAUSE_NS};
	int r = look(&s, ret);

	if (r == -EPERM)
		return look_at_cgroups(&s, ret);
	for (int i = 1; r == 0 && ret->programs && i < LOOKS; i++) {
		nanosleep(&pause, NULL);
		r = look(&s, ret);
	}
	return r < 0 ? pc_err_set(err, r, "cannot list the links of the kernel: %s", strerror(-r))
		     : 0;
}

int kern_others_detach(const char *pin_dir, const struct kern_scope *scope, unsigned *ret_detached,
		       struct pc_err *err)
{
	_cleanup_(survey_done) struct survey s = {.pin_dir = pin_dir, .scope = scope};
	int r = read_links(&s);

	*ret_detached = 0;
	/* before the links: they tell which load a filter is of */
	if (r == 0)
		*ret_detached = kern_iface_each_filter(is_others_filter, &s, true);
	for (size_t i = 0; r == 0 && i < s.n; i++) {
		_cleanup_close_ int fd = -EBADF;

		if (!is_other(&s.v[i]))
			continue;
		fd = bpf_link_get_fd_by_id(s.v[i].id);
		if (fd >= 0 && bpf_link_detach(fd) < 0)
			r = -errno;
		else
			++*ret_detached;
	}
	if (r < 0)
		return pc_err_set(err, r,
				  "cannot detach the programs of another podcred load: %s; run as "
				  "root, on Linux 5.9 or later",
				  strerror(-r));
	return 0;
}

const char *kern_others_text(const struct kern_others *others, char *buf, size_t size)
{
	snprintf(buf, size, "%u program%s of another podcred load %s attached (%s%s%s), %s%s",
		 others->programs, plural(others->programs), others->programs == 1 ? "is" : "are",
		 others->name, others->cgroup[0] ? " on " : "", others->cgroup,
		 others->pin_dir[0] ? "pinned in " : "pinned where nobody sees it",
		 others->pin_dir);
	return buf;
}
