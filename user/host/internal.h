/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "base/err.h"
#include "host/host.h"

/* ---- tree.c: files below a root that is not ours. Absolute paths, and links, stay below it. ---- */

int host_tree_open_root(const char *path, struct pc_err *err);

/* A descriptor, or -errno. */
int host_tree_open(int root, const char *path, int flags);

/* The directory, made with all above it, or -errno. */
int host_tree_make_dir(int root, const char *path);

bool host_tree_exists(int root, const char *path);

/* Everything below and the directory itself; no link is followed. Not there: 0. */
int host_tree_remove(int dir_fd, const char *name);

/* A new file, from a descriptor or from a text. -errno. */
int host_tree_copy(int dir_fd, const char *name, int from, mode_t mode);
int host_tree_write(int dir_fd, const char *name, const char *text, mode_t mode);

#define HOST_LABEL_SIZE 256

/* What the host labels programs with; "": it has no labels. */
void host_tree_program_label(int root, char ret[HOST_LABEL_SIZE]);
int host_tree_set_label(int dir_fd, const char *name, const char *label);

/* Whether the file there has just these bytes. */
bool host_tree_is_copy(int dir_fd, const char *name, int of);
bool host_tree_is_text(int dir_fd, const char *name, const char *text);

/* In place of what has that name, in one step. */
int host_tree_replace_text(int dir_fd, const char *name, const char *text, mode_t mode);
int host_tree_replace_link(int dir_fd, const char *name, const char *target);

/* ---- files.c: what an installed program consists of ---- */

struct host_file {
	char *name; /* below the version's directory: "bin/podcred" */
	char *source; /* a file of ours, or NULL */
	char *text; /* or this */
	mode_t mode;
};

#define HOST_MAX_FILES 128

struct host_files {
	struct host_file v[HOST_MAX_FILES];
	size_t n;
	char loader[NAME_MAX + 1]; /* the dynamic loader's name, in lib */
	char label[HOST_LABEL_SIZE]; /* for programs and libraries; "": none */
};

/* The running program, the libraries that it was started with, their loader, the configuration. */
int host_files_find(const struct host_options *options, struct host_files *ret, struct pc_err *err);
void host_files_done(struct host_files *files);

/* ---- place.c: may it be done on this host? Each fills err. ---- */

int host_place_check_dir(const char *dir, struct pc_err *err);
int host_place_check_systemd(const struct host_options *options, int root, struct pc_err *err);

/* Units of the same name that are not ours: of a package, or an operator's own. */
int host_place_check_foreign(int root, struct pc_err *err);

/* Descriptors of where units are, and of the directory to install in. They outlive a reboot. */
int host_place_open_units(const struct host_options *options, int root, struct pc_err *err);
int host_place_open_dir(const struct host_options *options, int root, struct pc_err *err);

/* ---- version.c ---- */

/* The directory in use; "": none. */
void host_version_current(int dir_fd, char ret[128]);

/* Whether it has the program and the libraries of this process. */
bool host_version_is_program(int version_fd, const struct host_files *files);

int host_version_install(int dir_fd, const struct host_files *files, struct host_report *ret,
			 struct pc_err *err);

/* All but keep; NULL: all. */
int host_version_remove_all(int dir_fd, const char *keep);

/* ---- unit.c: its text ---- */

#define HOST_CURRENT "current" /* a link in dir, to the version in use */
#define HOST_CONFIG  "config.yaml"
#define HOST_UNIT    "podcred-load.service"
#define HOST_UNITS   "/etc/systemd/system"

/* How the host starts what is installed; words separated by blanks, quoted for systemd. Owned by the caller. */
int host_unit_command(const struct host_options *options, const struct host_files *files,
		      char **ret);
int host_unit_text(const struct host_options *options, const struct host_files *files, char **ret);

/* Whether a unit is one that we have written. */
bool host_unit_is_ours(int fd);

/* Names of units that pull ours in, so that it is started before them; NULL behind the last. */
extern const char *const host_unit_wanted_by[];

/* ---- enable.c ---- */

int host_unit_install(const struct host_options *options, int root, int units_fd,
		      const struct host_files *files, struct host_report *ret, struct pc_err *err);
int host_unit_remove(int root, bool *ret_removed);
bool host_unit_is_there(int units_fd);
bool host_unit_is_enabled(int root);
