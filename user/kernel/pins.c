// SPDX-License-Identifier: Apache-2.0
#include "kernel/internal.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>

#include "base/cleanup.h"
#include "base/parse.h"

int kern_pin_path(char *buf, size_t size, const char *pin_dir, const char *kind, const char *name)
{
	int n = snprintf(buf, size, "%s/%s%s%s", pin_dir, kind, *name ? "/" : "", name);

	return n < 0 || (size_t)n >= size ? -ENAMETOOLONG : 0;
}

static bool is_bpffs(const char *path)
{
	struct statfs fs;

	return statfs(path, &fs) == 0 && fs.f_type == BPF_FS_MAGIC;
}

/* Only /sys/fs/bpf is ours to mount; any other place is the operator's choice and must exist. */
static int mount_bpffs(const char *parent, bool *ret_mounted, struct pc_err *err)
{
	int r;

	if (is_bpffs(parent))
		return 0;
	if (strcmp(parent, "/sys/fs/bpf") != 0)
		return pc_err_set(
			err, -EINVAL,
			"%s is not a BPF file system; mount one there: mount -t bpf bpf %s", parent,
			parent);
	if (mount("bpf", parent, "bpf", MS_NOSUID | MS_NODEV | MS_NOEXEC, "mode=0700") < 0) {
		r = -errno;
		return pc_err_set(
			err, r,
			"cannot mount a BPF file system on %s: %s; run as root, or mount it "
			"beforehand: mount -t bpf bpf %s",
			parent, strerror(-r), parent);
	}
	*ret_mounted = true;
	return 0;
}

static int make_dir(const char *path, struct pc_err *err)
{
	int r;

	if (mkdir(path, 0755) == 0 || errno == EEXIST)
		return 0;
	r = -errno;
	return pc_err_set(err, r, "cannot make %s: %s; run as root", path, strerror(-r));
}

int kern_pins_prepare(const char *pin_dir, bool *ret_mounted, struct pc_err *err)
{
	static const char *const kinds[] = {MAPS_DIR, PROGS_DIR, LINKS_DIR};
	char parent[4096], path[4096];
	char *slash;
	int r;

	snprintf(parent, sizeof(parent), "%s", pin_dir);
	slash = strrchr(parent, '/');
	if (!slash || slash == parent)
		return pc_err_set(err, -EINVAL,
				  "pin directory \"%s\" is not below a BPF file system", pin_dir);
	*slash = '\0';
	r = mount_bpffs(parent, ret_mounted, err);
	if (r < 0)
		return r;
	r = make_dir(pin_dir, err);
	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(kinds); i++) {
		r = kern_pin_path(path, sizeof(path), pin_dir, kinds[i], "");
		if (r == 0)
			r = make_dir(path, err);
	}
	return r;
}

int kern_pins_lock_dir(const char *path, const char *busy, struct pc_err *err)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct stat held, now;
	int r;

	if (fd < 0) {
		r = -errno;
		return pc_err_set(err, r, "cannot open %s: %s; run as root", path, strerror(-r));
	}
	if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
		r = errno == EWOULDBLOCK ? -EBUSY : -errno;
		return pc_err_set(err, r, "%s is locked: %s", path, busy);
	}
	/* an unload may have removed the directory between open and lock */
	if (fstat(fd, &held) < 0 || stat(path, &now) < 0 || held.st_ino != now.st_ino)
		return pc_err_set(err, -EBUSY, "%s was removed meanwhile; try again", path);
	return TAKE_FD(fd);
}

int kern_pins_lock(const char *pin_dir, struct pc_err *err)
{
	return kern_pins_lock_dir(
		pin_dir, "another podcred loader is at work; wait for it to end, then try again",
		err);
}

/* Who holds the lock on a directory: a pid, 0: nobody that this process may see, as in another PID
 * namespace. Read, not tried: to hold the lock for a moment would refuse whoever comes just then. */
static int lock_holder(const char *path)
{
	_cleanup_fclose_ FILE *locks = fopen("/proc/locks", "re");
	char line[256], want[64];
	struct stat st;
	int pid = 0;

	if (!locks || stat(path, &st) < 0)
		return 0;
	snprintf(want, sizeof(want), " %02x:%02x:%ju ", major(st.st_dev), minor(st.st_dev),
		 (uintmax_t)st.st_ino);
	while (!pid && fgets(line, sizeof(line), locks)) {
		const char *end = strstr(line, want), *start = end;
		char number[16];
		uint64_t value;

		if (!end || !strstr(line, "FLOCK"))
			continue;
		while (start > line && start[-1] != ' ')
			start--;
		snprintf(number, sizeof(number), "%.*s", (int)(end - start), start);
		if (parse_u64(number, INT_MAX, &value) == 0)
			pid = (int)value;
	}
	return pid;
}

bool kern_pins_locked(const char *pin_dir)
{
	return lock_holder(pin_dir) != 0;
}

/* ---- the resolver's lock: a directory beside the one that loaders lock, as bpffs has no files ---- */

static int refuse_resolver(const char *pin_dir, const char *path, struct pc_err *err)
{
	int pid = lock_holder(path);

	if (pid)
		return pc_err_set(
			err, -EBUSY,
			"the pods of %s have a resolver: pid %d; end that one first (kill "
			"%d), or leave them to it",
			pin_dir, pid, pid);
	return pc_err_set(err, -EBUSY,
			  "the pods of %s have a resolver, in another PID namespace (a container); "
			  "end that one first, or leave them to it",
			  pin_dir);
}

int kern_resolver_lock(const char *pin_dir, struct pc_err *err)
{
	char path[4096];
	int fd = kern_pin_path(path, sizeof(path), pin_dir, PROGS_DIR, "");

	if (fd == 0)
		fd = kern_pins_lock_dir(path, "a resolver has it", err);
	return fd == -EBUSY ? refuse_resolver(pin_dir, path, err) : fd;
}

bool kern_resolver_lock_holds(int fd, const char *pin_dir)
{
	struct stat held, now;
	char path[4096];

	return fd >= 0 && kern_pin_path(path, sizeof(path), pin_dir, PROGS_DIR, "") == 0 &&
	       fstat(fd, &held) == 0 && stat(path, &now) == 0 && held.st_dev == now.st_dev &&
	       held.st_ino == now.st_ino;
}

static int empty_dir(const char *path)
{
	DIR *dir = opendir(path);
	struct dirent *entry;
	int n = 0, r = 0;

	if (!dir)
		return errno == ENOENT ? 0 : -errno;
	while ((entry = readdir(dir))) {
		if (entry->d_name[0] == '.')
			continue;
		if (unlinkat(dirfd(dir), entry->d_name, 0) < 0)
			r = -errno;
		else
			n++;
	}
	closedir(dir);
	return r < 0 ? r : n;
}

int kern_pins_remove_kind(const char *pin_dir, const char *kind)
{
	char path[4096];
	int n, all = 0, r = kern_pin_path(path, sizeof(path), pin_dir, kind, "");

	if (r < 0)
		return r;
	/* a resolver may pin one more, until it sees that its programs are gone */
	do {
		n = empty_dir(path);
		if (n < 0)
			return n;
		all += n;
		if (rmdir(path) == 0 || errno == ENOENT)
			return all;
	} while (errno == ENOTEMPTY);
	return -errno;
}

void kern_pins_remove_unknown(const char *pin_dir, const char *kind,
			      bool (*known)(const void *arg, const char *name), const void *arg)
{
	char path[4096];
	struct dirent *entry;
	DIR *dir;

	if (kern_pin_path(path, sizeof(path), pin_dir, kind, "") < 0)
		return;
	dir = opendir(path);
	while (dir && (entry = readdir(dir)))
		if (entry->d_name[0] != '.' && !known(arg, entry->d_name))
			unlinkat(dirfd(dir), entry->d_name, 0);
	if (dir)
		closedir(dir);
}
