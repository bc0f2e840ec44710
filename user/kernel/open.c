// SPDX-License-Identifier: Apache-2.0
/* From the embedded object to loaded programs, with the maps of an earlier load if they exist. */
#include "kernel/internal.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/log.h"

static char first_warning[512];
static bool verbose;

/* The verifier's log comes as one message. */
static void log_lines(const char *fmt, va_list ap)
{
	_cleanup_free_ char *text = NULL;
	char *next, *line;

	if (vasprintf(&text, fmt, ap) < 0) {
		text = NULL;
		return;
	}
	for (next = text; (line = strsep(&next, "\n"));)
		if (*line)
			log_info("%s", line);
}

static int on_libbpf(enum libbpf_print_level level, const char *fmt, va_list ap)
{
	if (level == LIBBPF_WARN && !first_warning[0]) { /* what follows is fallout */
		va_list copy;

		va_copy(copy, ap);
		vsnprintf(first_warning, sizeof(first_warning), fmt, copy);
		va_end(copy);
		first_warning[strcspn(first_warning, "\n")] = '\0';
	}
	if (verbose && level != LIBBPF_DEBUG)
		log_lines(fmt, ap);
	return 0;
}

__attribute__((constructor)) static void route_libbpf(void)
{
	libbpf_set_print(on_libbpf);
	libbpf_register_prog_handler("netfilter", PROG_TYPE_NETFILTER, ATTACH_TYPE_NETFILTER, NULL);
}

void kern_verbose(bool on)
{
	verbose = on;
}

const char *kern_libbpf_version(void)
{
	return libbpf_version_string();
}

/* .rodata and friends belong to one load and are never pinned. */
static bool is_pinned_map(const struct bpf_map *map)
{
	return !strncmp(bpf_map__name(map), "podcred_", 8);
}

void kern_object_existing_maps(const char *pin_dir, struct podcred *skel, bool *ret_existed)
{
	struct bpf_map *map;
	char path[4096];
	size_t i = 0;

	bpf_object__for_each_map (map, skel->obj) {
		ret_existed[i++] = is_pinned_map(map) &&
				   kern_pin_path(path, sizeof(path), pin_dir, MAPS_DIR,
						 bpf_map__name(map)) == 0 &&
				   access(path, F_OK) == 0;
	}
}

bool kern_object_has_map(const void *skel, const char *name)
{
	const struct podcred *object = skel;
	const struct bpf_map *map = bpf_object__find_map_by_name(object->obj, name);

	return map &&
	       map != object->maps.podcred_flows; /* by the next load they have been claimed */
}

void kern_object_forget_new_maps(struct podcred *skel, const bool *existed)
{
	struct bpf_map *map;
	size_t i = 0;

	bpf_object__for_each_map (map, skel->obj) {
		if (!existed[i++] && is_pinned_map(map))
			bpf_map__unpin(map, NULL);
	}
}

static int bind_pins(struct podcred *skel, const char *pin_dir)
{
	struct bpf_map *map;
	char path[4096];
	int r = 0;

	bpf_object__for_each_map (map, skel->obj) {
		if (!is_pinned_map(map))
			continue;
		r = kern_pin_path(path, sizeof(path), pin_dir, MAPS_DIR, bpf_map__name(map));
		if (r == 0)
			r = bpf_map__set_pin_path(map, path);
		if (r < 0)
			return r;
	}
	return 0;
}

static int load_error(int r, const char *pin_dir, struct pc_err *err)
{
	if (strstr(first_warning, "parameter mismatch"))
		return pc_err_set(err, r,
				  "a map pinned under %s has another layout (%s); it was made by "
				  "another version: podcred unload, then load again",
				  pin_dir, first_warning);
	return pc_err_set(err, r,
			  "cannot load the BPF programs: %s (%s); podcred features tells what this "
			  "kernel lacks, --verbose shows the verifier's log",
			  strerror(-r), first_warning);
}

int kern_object_open(struct podcred **ret)
{
	struct podcred *skel;

	first_warning[0] = '\0';
	skel = podcred__open();
	if (!skel)
		return -EINVAL; /* the object is part of this program: it is sound, or never was */
	skel->rodata->have_set_retval = kern_feature_present(FEATURE_SET_RETVAL);
	bpf_map__set_autocreate(skel->maps.podcred_flows, false);
	bpf_map__set_autocreate(skel->maps.podcred_sealed, false);
	skel->rodata->have_tc =
		kern_feature_present(FEATURE_TCX) || kern_feature_present(FEATURE_TC);
	for (size_t i = 0; i < kern_n_attachments; i++)
		if (!kern_attachment_wanted(&kern_attachments[i]))
			bpf_program__set_autoload(bpf_object__find_program_by_name(
							  skel->obj, kern_attachments[i].name),
						  false);
	*ret = skel;
	return 0;
}

/* What an older load has pinned in the layout before is used once more, not made. */
static bool fit_old(struct bpf_map *map, const char *pin_dir)
{
	char path[4096];
	bool there =
		kern_pin_path(path, sizeof(path), pin_dir, MAPS_DIR, bpf_map__name(map)) == 0 &&
		access(path, F_OK) == 0;

	bpf_map__set_autocreate(map, there);
	return there;
}

int kern_object_load(const char *pin_dir, struct podcred **ret, struct pc_err *err)
{
	struct podcred *skel;
	int r;

	r = kern_object_open(&skel);
	if (r < 0)
		return load_error(r, pin_dir, err);
	skel->rodata->have_flows_v1 = fit_old(skel->maps.podcred_flows, pin_dir);
	skel->rodata->have_sealed_v1 = fit_old(skel->maps.podcred_sealed, pin_dir);
	r = bind_pins(skel, pin_dir);
	if (r == 0)
		r = podcred__load(skel);
	if (r < 0) {
		load_error(r, pin_dir, err);
		podcred__destroy(skel);
		return r;
	}
	*ret = skel;
	return 0;
}
