/* SPDX-License-Identifier: Apache-2.0 */
/*
 * podcred on the host, put there from a container: what it takes to attach the guard before the kubelet of
 * the next boot starts. All of it is in one directory, but for a unit of systemd and the links that enable
 * it. The program comes with its own libraries, as the host need not have them.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

#define HOST_DIR "/opt/podcred"

/* Paths are those of the host. Below root, links are followed as the host follows them. */
struct host_options {
	const char *root; /* where its file system is mounted here; "/": this is the host */
	const char *dir; /* what is installed goes there */
	const char *config; /* the text of the configuration; NULL: the embedded one */
	const char *const *load; /* options of podcred load beside --config, ended by NULL */
};

struct host_report {
	bool changed; /* false: all of it was there already */
	bool replaced; /* an earlier install */
	char version_dir[128]; /* its name in dir */
};

/*
 * Install the program that this process runs, or replace what is installed. The host has the old version
 * or the new one, whenever it is cut off. What is the same already is not written. err names the object,
 * and -EROFS, -EACCES, -ENOTSUP (no systemd), -EEXIST (a unit of somebody else), ... say why not.
 */
int host_install(const struct host_options *options, struct host_report *ret, struct pc_err *err);

/* Remove it. *ret_removed: whether anything was there. What somebody else has put there stays. */
int host_uninstall(const struct host_options *options, bool *ret_removed, struct pc_err *err);

struct host_state {
	bool program; /* it is installed */
	bool same; /* and is this one, with all libraries */
	bool unit; /* the unit is there, and is podcred's */
	bool enabled; /* systemd starts it at boot */
	char version_dir[128]; /* what is installed; "": nothing */
};

int host_read_state(const struct host_options *options, struct host_state *ret, struct pc_err *err);
