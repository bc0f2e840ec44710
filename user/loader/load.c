// SPDX-License-Identifier: Apache-2.0
#include "loader.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "cleanup.h"
#include "internal.h"

#define MAX_MAPS 64

bool loader_is_loaded(const char *pin_dir)
{
	char path[4096];

	return pin_path(path, sizeof(path), pin_dir, LINKS_DIR, "podcred_conn4") == 0 &&
	       access(path, F_OK) == 0;
}

static void remove_all(const char *pin_dir)
{
	pins_remove_kind(pin_dir, LINKS_DIR);
	pins_remove_kind(pin_dir, PROGS_DIR);
	pins_remove_kind(pin_dir, MAPS_DIR);
	rmdir(pin_dir);
}

static bool is_attachment(const void *arg, const char *name)
{
	(void)arg;
	for (size_t i = 0; i < n_attachments; i++)
		if (!strcmp(attachments[i].name, name) && attachment_wanted(&attachments[i]))
			return true;
	/* with tc, those are taken away when the filters are in place */
	return iface_is_pin(name) && (feature_present("tcx") || feature_present("tc"));
}

/* Of another version, or of a feature that is switched off now. */
static void remove_leftovers(const char *pin_dir, const struct podcred *skel)
{
	pins_remove_unknown(pin_dir, LINKS_DIR, is_attachment, NULL);
	pins_remove_unknown(pin_dir, PROGS_DIR, is_attachment, NULL);
	pins_remove_unknown(pin_dir, MAPS_DIR, object_has_map, skel);
	if (!feature_present("tcx") && !feature_present("tc"))
		iface_detach_filters();
}

static int note_features(const struct podcred *skel, struct pc_err *err)
{
	int r = loader_runtime_write(bpf_map__fd(skel->maps.podcred_runtime),
				     PODCRED_RUNTIME_WITHOUT, features_missing());

	return r < 0 ? pc_err_set(err, r, "cannot write podcred_runtime: %s", strerror(-r)) : 0;
}

static int install(const struct loader_options *options, struct loader_report *report,
		   struct pc_err *err)
{
	struct tables_backup *backup = NULL;
	struct podcred *skel = NULL;
	bool existed[MAX_MAPS] = {};
	int prog_fds[LOADER_MAX_LINKS], r;

	/* asked before the load, while "exists" still means "of an earlier load" */
	skel = podcred__open();
	if (!skel)
		return pc_err_set(err, -errno, "cannot open the embedded BPF object");
	object_existing_maps(options->pin_dir, skel, existed);
	podcred__destroy(skel);
	skel = NULL;

	r = object_load(options->pin_dir, &skel, err);
	if (r < 0)
		return r;
	for (size_t i = 0; i < n_attachments; i++) /* negative: optional, and not on this kernel */
		prog_fds[i] = bpf_program__fd(
			bpf_object__find_program_by_name(skel->obj, attachments[i].name));
	r = tables_write(skel, options, &backup, err);
	if (r == 0)
		r = attach_all(options, prog_fds, report, err);
	if (r < 0) {
		tables_restore(skel, backup);
		object_forget_new_maps(skel, existed);
	} else {
		r = note_features(skel, err);
		remove_leftovers(options->pin_dir, skel);
	}
	tables_backup_free(backup);
	podcred__destroy(skel);
	return r;
}

int loader_load(const struct loader_options *options, struct loader_report *report,
		struct pc_err *err)
{
	_cleanup_close_ int lock = -EBADF;
	bool upgrade;
	int r;

	*report = (struct loader_report){};
	r = features_require(err);
	if (r < 0)
		return r;
	r = pins_prepare(options->pin_dir, &report->mounted_bpffs, err);
	if (r < 0)
		return r;
	lock = pins_lock(options->pin_dir, err);
	if (lock < 0)
		return lock;
	upgrade = loader_is_loaded(options->pin_dir);
	r = install(options, report, err);
	if (r < 0 && !upgrade)
		remove_all(options->pin_dir);
	report->upgraded = report->updated > 0;
	return r;
}

/* One that stays, as it is in another network namespace, has nothing to guard any more. */
static void empty_table(const char *pin_dir, enum loader_map map)
{
	struct pc_err err = {};
	_cleanup_close_ int fd = loader_map_open(pin_dir, map, &err);
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

	if (!loader_iface_uses_tc(pin_dir))
		return 0;
	n = iface_detach_filters();
	empty_table(pin_dir, LOADER_MAP_TARGETS);
	empty_table(pin_dir, LOADER_MAP_GUARD);
	return n;
}

int loader_unload(const char *pin_dir, unsigned *ret_removed, struct pc_err *err)
{
	_cleanup_close_ int lock = -EBADF;
	unsigned filters;
	int n, r;

	*ret_removed = 0;
	if (access(pin_dir, F_OK) < 0 && errno == ENOENT)
		return 0;
	lock = pins_lock(pin_dir, err);
	if (lock < 0)
		return lock;
	filters = detach_filters(pin_dir);
	n = pins_remove_kind(pin_dir, LINKS_DIR);
	r = n < 0 ? n : pins_remove_kind(pin_dir, PROGS_DIR);
	if (r >= 0)
		r = pins_remove_kind(pin_dir, MAPS_DIR);
	if (r >= 0 && rmdir(pin_dir) < 0)
		r = -errno;
	if (r < 0)
		return pc_err_set(err, r, "cannot remove %s: %s; run as root", pin_dir,
				  strerror(-r));
	*ret_removed = (unsigned)n + filters;
	return 0;
}
