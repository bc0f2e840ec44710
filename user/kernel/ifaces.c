// SPDX-License-Identifier: Apache-2.0
/*
 * tcx links (Linux 6.6), which libbpf 1.1 does not know: one for each interface, pinned by index.
 * Where the loader did without them, tc filters.
 */
#include "kernel/internal.h"

#include <dirent.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "kernel/insn.h"

#define TCX_INGRESS 46
#define TCX_EGRESS  47
#define FLAG_BEFORE (1U << 3) /* all others on that interface */
#define HANDLE	    0x706f6463 /* of filters: "podc" */

static const struct {
	const char *prog;
	uint32_t attach_type;
	struct tc_place tc;
} kinds[] = {
	[KERN_IFACE_POD] = {"podcred_veth", TCX_INGRESS, {false, HANDLE}},
	[KERN_IFACE_UPLINK] = {"podcred_uplink", TCX_EGRESS, {true, HANDLE}},
	[KERN_IFACE_GATEWAY] = {"podcred_wayout", TCX_EGRESS, {true, HANDLE + 1}},
};

/* bpf(BPF_LINK_CREATE) for tcx, and what its bpf_link_info says. */
struct link_create_tcx {
	uint32_t prog_fd, ifindex, attach_type, flags;
	uint32_t relative_fd, pad;
	uint64_t expected_revision;
};

struct link_info_tcx {
	uint32_t ifindex; /* 0 once the interface is gone */
	uint32_t attach_type;
};

static int link_create(int prog_fd, int ifindex, uint32_t attach_type)
{
	struct link_create_tcx attr = {
		.prog_fd = (uint32_t)prog_fd,
		.ifindex = (uint32_t)ifindex,
		.attach_type = attach_type,
		.flags = FLAG_BEFORE,
	};
	long fd = syscall(SYS_bpf, BPF_LINK_CREATE, &attr, sizeof(attr));

	return fd < 0 ? -errno : (int)fd;
}

/* Interface 0 is none: a kernel with tcx gets as far as looking for it. */
int kern_iface_try_link(void)
{
	const struct bpf_insn insns[] = {MOV_IMM(BPF_REG_0, 0), EXIT()};
	_cleanup_close_ int prog = bpf_prog_load(BPF_PROG_TYPE_SCHED_CLS, "podcred_probe", "GPL",
						 insns, ARRAY_SIZE(insns), NULL);
	int r;

	if (prog < 0)
		return prog;
	r = link_create(prog, 0, TCX_INGRESS);
	return r == -ENODEV ? 0 : r;
}

int kern_iface_of_link(const struct bpf_link_info *info)
{
	struct link_info_tcx tcx;

	memcpy(&tcx, &info->raw_tracepoint, sizeof(tcx)); /* the union of all link types */
	return (int)tcx.ifindex;
}

/* 0 when the link at path is dead, is none, or is not there. */
static int live_ifindex(const char *path, uint32_t *ret_prog_id, int *ret_fd)
{
	_cleanup_close_ int fd = bpf_obj_get(path);
	struct bpf_link_info info = {};
	uint32_t len = sizeof(info);
	int ifindex;

	if (fd < 0 || bpf_obj_get_info_by_fd(fd, &info, &len) < 0 || info.type != LINK_TYPE_TCX)
		return 0;
	ifindex = kern_iface_of_link(&info);
	if (ret_prog_id)
		*ret_prog_id = info.prog_id;
	if (ret_fd && ifindex)
		*ret_fd = TAKE_FD(fd);
	return ifindex;
}

uint32_t kern_prog_id_of(int prog_fd)
{
	struct bpf_prog_info info = {};
	uint32_t len = sizeof(info);

	return bpf_obj_get_info_by_fd(prog_fd, &info, &len) < 0 ? 0 : info.id;
}

static int link_pin_path(char *buf, size_t size, const char *pin_dir, const char *prog, int ifindex)
{
	char name[64];

	snprintf(name, sizeof(name), "%s_%d", prog, ifindex);
	return kern_pin_path(buf, size, pin_dir, LINKS_DIR, name);
}

static uint64_t loaded_without(const char *pin_dir)
{
	struct pc_err err = {};
	_cleanup_close_ int fd = kern_map_open(pin_dir, KERN_MAP_RUNTIME, &err);
	uint64_t without = 0;

	if (fd >= 0)
		kern_runtime_read(fd, PODCRED_RUNTIME_WITHOUT, &without);
	return without;
}

bool kern_iface_uses_tc(const char *pin_dir)
{
	return kern_features_use_tc(loaded_without(pin_dir));
}

bool kern_uses_path(const char *pin_dir)
{
	return !kern_feature_is_missing(loaded_without(pin_dir), FEATURE_PATH);
}

static int attach_link(const char *pin_dir, enum kern_iface kind, int ifindex, int prog_fd,
		       struct pc_err *err)
{
	_cleanup_close_ int link_fd = -EBADF;
	const char *prog = kinds[kind].prog;
	char path[4096];
	uint32_t id = 0;
	int r;

	r = link_pin_path(path, sizeof(path), pin_dir, prog, ifindex);
	if (r < 0)
		return r;
	if (live_ifindex(path, &id, &link_fd) == ifindex) {
		if (id != kern_prog_id_of(prog_fd) && bpf_link_update(link_fd, prog_fd, NULL) < 0)
			return pc_err_set(err, -errno, "cannot update %s: %m", path);
		return 0;
	}
	link_fd = link_create(prog_fd, ifindex, kinds[kind].attach_type);
	if (link_fd < 0)
		return pc_err_set(err, link_fd, "cannot attach %s to interface %d: %s", prog,
				  ifindex, strerror(-link_fd));
	unlink(path); /* of an interface that had the number before */
	if (bpf_obj_pin(link_fd, path) < 0)
		return pc_err_set(err, -errno, "cannot pin %s: %m", path);
	return 1;
}

static void detach_again(const char *pin_dir, enum kern_iface kind, int ifindex)
{
	char path[4096];

	kern_tc_detach(ifindex, &kinds[kind].tc, kinds[kind].prog);
	if (link_pin_path(path, sizeof(path), pin_dir, kinds[kind].prog, ifindex) == 0)
		unlink(path);
}

int kern_iface_attach(const char *pin_dir, enum kern_iface kind, int ifindex, struct pc_err *err)
{
	_cleanup_close_ int prog_fd = -EBADF;
	const char *prog = kinds[kind].prog;
	char path[4096];
	int r;

	r = kern_pin_path(path, sizeof(path), pin_dir, PROGS_DIR, prog);
	if (r < 0)
		return r;
	prog_fd = bpf_obj_get(path);
	if (prog_fd < 0)
		return pc_err_set(err, errno == ENOENT ? -EOPNOTSUPP : -errno,
				  "cannot open %s: %m; it was loaded with neither tcx nor tc, or "
				  "not at all",
				  path);
	if (kern_iface_uses_tc(pin_dir))
		r = kern_tc_attach(prog_fd, prog, ifindex, &kinds[kind].tc, err);
	else
		r = attach_link(pin_dir, kind, ifindex, prog_fd, err);
	if (r < 0 || access(path, F_OK) == 0)
		return r;
	/* An unload has taken the program away, and may have looked at this interface before. */
	detach_again(pin_dir, kind, ifindex);
	return pc_err_set(err, -ENOENT, "%s was unloaded meanwhile", prog);
}

bool kern_iface_is_attached(const char *pin_dir, enum kern_iface kind, int ifindex)
{
	const char *prog = kinds[kind].prog;
	char path[4096];

	if (kern_pin_path(path, sizeof(path), pin_dir, PROGS_DIR, prog) < 0 ||
	    access(path, R_OK) < 0)
		return true;
	if (kern_iface_uses_tc(pin_dir))
		return kern_tc_is_attached(ifindex, &kinds[kind].tc, prog);
	return link_pin_path(path, sizeof(path), pin_dir, prog, ifindex) < 0 ||
	       live_ifindex(path, NULL, NULL) == ifindex;
}

bool kern_iface_is_pin(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		size_t len = strlen(kinds[i].prog);

		if (!strncmp(name, kinds[i].prog, len) && name[len] == '_' &&
		    name[len + 1] >= '0' && name[len + 1] <= '9')
			return true;
	}
	return false;
}

/* Calls fn for each pin of an interface's link. */
static void each_pin(const char *pin_dir, void (*fn)(void *arg, const char *path, const char *name),
		     void *arg)
{
	char dir_path[4096], path[4096];
	struct dirent *entry;
	DIR *dir;

	if (kern_pin_path(dir_path, sizeof(dir_path), pin_dir, LINKS_DIR, "") < 0)
		return;
	dir = opendir(dir_path);
	while (dir && (entry = readdir(dir)))
		if (kern_iface_is_pin(entry->d_name) &&
		    kern_pin_path(path, sizeof(path), pin_dir, LINKS_DIR, entry->d_name) == 0)
			fn(arg, path, entry->d_name);
	if (dir)
		closedir(dir);
}

static void sweep(void *arg, const char *path, const char *name)
{
	(void)arg;
	(void)name;
	if (!live_ifindex(path, NULL, NULL))
		unlink(path);
}

void kern_iface_sweep(const char *pin_dir)
{
	each_pin(pin_dir, sweep, NULL);
}

/* Only where a filter does its work now: on others the link is better than nothing. */
static void replace_by_filter(void *arg, const char *path, const char *name)
{
	(void)arg;
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		size_t len = strlen(kinds[i].prog);

		if (!strncmp(name, kinds[i].prog, len) && name[len] == '_' &&
		    kern_tc_is_attached(atoi(name + len + 1), &kinds[i].tc, kinds[i].prog))
			unlink(path);
	}
}

unsigned kern_iface_detach_filters(void)
{
	unsigned n = 0;

	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
		n += kern_tc_detach_all(&kinds[i].tc, kinds[i].prog);
	return n;
}

unsigned kern_iface_each_filter(bool (*pick)(void *arg, uint32_t prog_id), void *arg, bool remove)
{
	unsigned n = 0;

	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
		n += kern_tc_each(&kinds[i].tc, pick, arg, remove);
	return n;
}

void kern_iface_settle(const char *pin_dir)
{
	if (kern_iface_uses_tc(pin_dir))
		each_pin(pin_dir, replace_by_filter, NULL);
	else
		kern_iface_detach_filters();
}

struct iface_counter {
	const char *prog;
	unsigned n;
};

static void count_live(void *arg, const char *path, const char *name)
{
	struct iface_counter *counter = arg;

	if (!strncmp(name, counter->prog, strlen(counter->prog)) && live_ifindex(path, NULL, NULL))
		counter->n++;
}

unsigned kern_iface_count(const char *pin_dir, const char *prog_name, bool tc)
{
	struct iface_counter counter = {.prog = prog_name};

	for (size_t i = 0; tc && i < ARRAY_SIZE(kinds); i++)
		if (!strcmp(kinds[i].prog, prog_name))
			return kern_tc_count(&kinds[i].tc, prog_name);
	each_pin(pin_dir, count_live, &counter);
	return counter.n;
}
