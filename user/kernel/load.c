// SPDX-License-Identifier: Apache-2.0
#include "kernel/load.h"
#include "kernel/features.h"
#include "kernel/maps.h"
#include "kernel/status.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "kernel/internal.h"

#define MAX_MAPS 64

bool kern_is_loaded(const char *pin_dir)
{
	char path[4096];

	return kern_pin_path(path, sizeof(path), pin_dir, LINKS_DIR, "podcred_conn4") == 0 &&
	       access(path, F_OK) == 0;
}

static void remove_all(const char *pin_dir)
{
	kern_pins_remove_kind(pin_dir, LINKS_DIR);
	kern_pins_remove_kind(pin_dir, PROGS_DIR);
	kern_pins_remove_kind(pin_dir, MAPS_DIR);
	rmdir(pin_dir);
}

static bool is_attachment(const void *arg, const char *name)
{
	(void)arg;
	for (size_t i = 0; i < kern_n_attachments; i++)
		if (!strcmp(kern_attachments[i].name, name) &&
		    kern_attachment_wanted(&kern_attachments[i]))
			return true;
	if (kern_before_is_pin(name))
		return true;
	/* with tc, those are taken away when the filters are in place */
	return kern_iface_is_pin(name) &&
	       (kern_feature_present(FEATURE_TCX) || kern_feature_present(FEATURE_TC));
}

/* Of another version, or of a feature that is switched off now. */
static void remove_leftovers(const char *pin_dir, const struct podcred *skel)
{
	kern_pins_remove_unknown(pin_dir, LINKS_DIR, is_attachment, NULL);
	kern_pins_remove_unknown(pin_dir, PROGS_DIR, is_attachment, NULL);
	kern_pins_remove_unknown(pin_dir, MAPS_DIR, kern_object_has_map, skel);
	if (!kern_feature_present(FEATURE_TCX) && !kern_feature_present(FEATURE_TC))
		kern_iface_detach_filters();
}

static int note_features(const struct podcred *skel, struct pc_err *err)
{
	int r = kern_runtime_write(bpf_map__fd(skel->maps.podcred_runtime), PODCRED_RUNTIME_WITHOUT,
				   kern_features_missing());

	return r < 0 ? pc_err_set(err, r, "cannot write podcred_runtime: %s", strerror(-r)) : 0;
}

static int install(const struct kern_options *options, struct kern_report *report,
		   struct pc_err *err)
{
	struct tables_backup *backup = NULL;
	struct podcred *skel = NULL;
	bool existed[MAX_MAPS] = {};
	int prog_fds[KERN_MAX_LINKS], r;

	/* asked before the load, while "exists" still means "of an earlier load" */
	skel = podcred__open();
	if (!skel)
		return pc_err_set(err, -errno, "cannot open the embedded BPF object");
	kern_object_existing_maps(options->pin_dir, skel, existed);
	podcred__destroy(skel);
	skel = NULL;

	r = kern_object_load(options->pin_dir, &skel, err);
	if (r < 0)
		return r;
	for (size_t i = 0; i < kern_n_attachments;
	     i++) /* negative: optional, and not on this kernel */
		prog_fds[i] = bpf_program__fd(
			bpf_object__find_program_by_name(skel->obj, kern_attachments[i].name));
	kern_passes_carry_over(options->pin_dir, skel);
	r = kern_tables_write(skel, options, &backup, err);
	if (r == 0)
		r = kern_attach_all(options, prog_fds, report, err);
	if (r < 0) {
		kern_tables_restore(skel, backup);
		kern_object_forget_new_maps(skel, existed);
	} else {
		kern_passes_carry_over(options->pin_dir, skel);
		r = note_features(skel, err);
		remove_leftovers(options->pin_dir, skel);
	}
	kern_tables_backup_free(backup);
	podcred__destroy(skel);
	return r;
}

/* Two sets on one cgroup refuse each other's pods: the second sees addresses that the first has
 * rewritten. */
static int refuse_second(const struct kern_options *options, struct kern_report *report,
			 struct pc_err *err)
{
	const struct kern_scope scope = {.cgroup_mount = options->cgroup_mount,
					 .guard = options->guard_cgroup,
					 .agent = options->agent_cgroup};
	struct kern_others others;
	char text[512];
	int r;

	if (options->take_over)
		return 0;
	r = kern_others_find(options->pin_dir, &scope, &others, err);
	if (r < 0)
		return r;
	report->others_unknown = others.unknown;
	if (!others.programs)
		return 0;
	kern_others_text(&others, text, sizeof(text));
	if (others.pin_dir[0])
		return pc_err_set(err, -EEXIST,
				  "%s; load with that --pin-dir, or unload it, or load --take-over",
				  text);
	return pc_err_set(err, -EEXIST,
			  "%s; umount what hides its pins (findmnt -t bpf), then load again, or "
			  "load --take-over",
			  text);
}

static int lock_resolver(const struct kern_options *options, struct pc_err *err)
{
	int fd;

	if (!options->resolver_lock ||
	    kern_resolver_lock_holds(*options->resolver_lock, options->pin_dir))
		return 0;
	fd = kern_resolver_lock(options->pin_dir, err);
	if (fd < 0)
		return fd;
	cleanup_close(options->resolver_lock);
	*options->resolver_lock = fd;
	return 0;
}

int kern_load(const struct kern_options *options, struct kern_report *report, struct pc_err *err)
{
	_cleanup_close_ int lock = -EBADF;
	bool upgrade;
	int r;

	*report = (struct kern_report){};
	r = kern_features_require(err);
	if (r < 0)
		return r;
	r = kern_pins_prepare(options->pin_dir, &report->mounted_bpffs, err);
	if (r < 0)
		return r;
	lock = kern_pins_lock(options->pin_dir, err);
	if (lock < 0)
		return lock;
	r = lock_resolver(options, err);
	if (r < 0)
		return r;
	upgrade = kern_is_loaded(options->pin_dir);
	r = refuse_second(options, report, err);
	if (r == 0)
		r = install(options, report, err);
	if (r < 0 && !upgrade)
		remove_all(options->pin_dir);
	report->upgraded = report->updated > 0;
	return r;
}
