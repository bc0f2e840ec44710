// SPDX-License-Identifier: Apache-2.0
/* The end of a load. A program is detached when the kernel says so, not when its pin is gone. */
#include "kernel/internal.h"

#include <dirent.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/cleanup.h"

/* One that stays, as it is in another network namespace, has nothing to guard any more. */
static void empty_table(const char *pin_dir, enum kern_map map)
{
	struct pc_err err = {};
	_cleanup_close_ int fd = kern_map_open(pin_dir, map, &err);
	union {
		struct podcred_guard_key guard;
		struct podcred_target_key target;
	} key;

	while (fd >= 0 && bpf_map_get_next_key(fd, NULL, &key) == 0 &&
	       bpf_map_delete_elem(fd, &key) == 0)
		;
}

/* Filters of tc have no pin to remove. */
static unsigned detach_filters(const char *pin_dir)
{
	unsigned n;

	if (!kern_iface_uses_tc(pin_dir))
		return 0;
	n = kern_iface_detach_filters();
	empty_table(pin_dir, KERN_MAP_TARGETS);
	empty_table(pin_dir, KERN_MAP_GUARD);
	return n;
}

/* A link that knows no detach: it goes with its last holder. */
struct held_link {
	uint32_t id;
	char name[256];
};

struct pinned_links {
	struct held_link *held;
	size_t n;
	unsigned alive;
};

static void pinned_links_done(struct pinned_links *links)
{
	free(links->held);
}

static int take_link(struct pinned_links *links, int fd, const char *name, bool detach)
{
	struct bpf_link_info info = {};
	struct held_link *held;
	uint32_t len = sizeof(info);

	if (bpf_obj_get_info_by_fd(fd, &info, &len) < 0 ||
	    (info.type == BPF_LINK_TYPE_CGROUP && !info.cgroup.cgroup_id))
		return 0; /* none, or dead with its cgroup */
	links->alive++;
	if (!detach || bpf_link_detach(fd) == 0)
		return 0;
	held = reallocarray(links->held, links->n + 1, sizeof(*held));
	if (!held)
		return -ENOMEM;
	links->held = held;
	held[links->n].id = info.id;
	snprintf(held[links->n++].name, sizeof(held->name), "%s", name);
	return 0;
}

static int each_link(const char *pin_dir, struct pinned_links *links, bool detach)
{
	char dir_path[4096], path[4096];
	struct dirent *entry;
	int r = kern_pin_path(dir_path, sizeof(dir_path), pin_dir, LINKS_DIR, "");
	DIR *dir = r < 0 ? NULL : opendir(dir_path);

	while (r == 0 && dir && (entry = readdir(dir))) {
		_cleanup_close_ int fd = -EBADF;

		if (entry->d_name[0] == '.' ||
		    kern_pin_path(path, sizeof(path), pin_dir, LINKS_DIR, entry->d_name) < 0)
			continue;
		fd = bpf_obj_get(path);
		if (fd >= 0)
			r = take_link(links, fd, entry->d_name, detach);
	}
	if (dir)
		closedir(dir);
	return r;
}

/* Who may not ask for a link by its id has to believe that it went with its pin. */
static bool is_gone(uint32_t link_id)
{
	_cleanup_close_ int fd = bpf_link_get_fd_by_id(link_id);

	return fd < 0;
}

/* A link stays some milliseconds longer than its last pin. */
#define GONE_TRIES 100
#define GONE_NS	   50000000L

static int wait_gone(const struct pinned_links *links, struct pc_err *err)
{
	const struct timespec pause = {.tv_nsec = GONE_NS};

	for (size_t i = 0; i < links->n; i++) {
		int tries = GONE_TRIES;

		while (!is_gone(links->held[i].id)) {
			if (!tries--)
				return pc_err_set(err, -EBUSY,
						  "%s is unpinned, but still attached: somebody "
						  "else holds its link %u (bpftool link show)",
						  links->held[i].name, links->held[i].id);
			nanosleep(&pause, NULL);
		}
	}
	return 0;
}

static int remove_pins(const char *pin_dir, struct pc_err *err)
{
	/* the programs first: who finds none there attaches none */
	int r = kern_pins_remove_kind(pin_dir, PROGS_DIR);
	int n = r < 0 ? r : kern_pins_remove_kind(pin_dir, LINKS_DIR);

	r = n < 0 ? n : kern_pins_remove_kind(pin_dir, MAPS_DIR);
	/* busy: somebody has mounted a file system of its own there */
	if (r >= 0 && rmdir(pin_dir) < 0 && errno != EBUSY)
		r = -errno;
	if (r < 0)
		return pc_err_set(err, r, "cannot remove %s: %s; run as root", pin_dir,
				  strerror(-r));
	return n;
}

static int unload_locked(const char *pin_dir, unsigned *ret_removed, struct pc_err *err)
{
	_cleanup_(pinned_links_done) struct pinned_links links = {};
	bool uses_tc = kern_iface_uses_tc(pin_dir);
	unsigned filters = detach_filters(pin_dir);
	int n, r = each_link(pin_dir, &links, true);

	if (r < 0)
		return pc_err_set(err, r, "cannot detach what is pinned in %s: %s", pin_dir,
				  strerror(-r));
	n = remove_pins(pin_dir, err);
	if (n < 0)
		return n;
	/* a resolver has put some back until its programs were gone, see kern_iface_attach */
	if (uses_tc)
		kern_iface_detach_filters();
	*ret_removed = (unsigned)n + filters;
	return wait_gone(&links, err);
}

/* Nobody shall take a failed unload for the end of the guard. */
static void say_left(const char *pin_dir, struct pc_err *err)
{
	_cleanup_(pinned_links_done) struct pinned_links links = {};
	struct pc_err why = *err;

	each_link(pin_dir, &links, false);
	if (links.alive)
		pc_err_set(err, 0, "%u program%s still attached, and guard%s: %s", links.alive,
			   links.alive == 1 ? " is" : "s are", links.alive == 1 ? "s" : "",
			   why.msg);
}

int kern_unload(const char *pin_dir, unsigned *ret_removed, struct pc_err *err)
{
	_cleanup_close_ int lock = -EBADF;
	struct pc_err none;
	int r;

	err = err ?: &none;
	*ret_removed = 0;
	if (access(pin_dir, F_OK) < 0 && errno == ENOENT)
		return 0;
	lock = kern_pins_lock(pin_dir, err);
	r = lock < 0 ? lock : unload_locked(pin_dir, ret_removed, err);
	if (r < 0)
		say_left(pin_dir, err);
	return r;
}

int kern_guarded_path(const char *pin_dir, const char *cgroup_mount, char **ret)
{
	struct pc_err err = {};
	_cleanup_close_ int fd = kern_map_open(pin_dir, KERN_MAP_CONFIG, &err);
	struct podcred_config config;
	int r = fd < 0 ? fd : kern_config_read(fd, &config);

	if (r < 0)
		return r;
	return asprintf(ret, "%s%s", cgroup_mount, config.guard_path) < 0 ? -ENOMEM : 0;
}
