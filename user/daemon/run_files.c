// SPDX-License-Identifier: Apache-2.0
#include "daemon/run_files.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "config/config.h"
#include "daemon/child.h"
#include "daemon/supervised.h"

/* ---- the configuration ---- */

static int copy_file(const char *path, int to)
{
	_cleanup_free_ char *text = NULL;
	size_t len = 0;
	int r = to < 0 ? -errno : file_read(path, CONFIG_FILE_MAX, &text, &len);

	if (r == 0)
		r = file_write_fd(to, text, len);
	if (r == 0 && fcntl(to, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK) < 0)
		r = -errno;
	return r;
}

int daemon_run_files_read_config(struct run_files *files, struct pc_err *err)
{
	_cleanup_free_ struct config *config = malloc(sizeof(*config));
	_cleanup_close_ int fd = -EBADF;
	int r;

	if (!files->config)
		return 0;
	if (!config)
		return pc_err_set(err, -ENOMEM, "out of memory");
	fd = memfd_create("podcred-config", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	r = copy_file(files->config, fd);
	if (r < 0)
		return pc_err_set(err, r, "cannot read %s: %s; check the path and its permissions",
				  files->config, strerror(-r));
	r = config_read(fd, files->config, config, err);
	if (r < 0)
		return r;
	cleanup_close(&files->config_fd);
	files->config_fd = TAKE_FD(fd);
	return 0;
}

void daemon_run_files_done(struct run_files *files)
{
	cleanup_close(&files->config_fd);
}

/* ---- the associations ---- */

static int open_associations(const struct run_files *files, struct pc_err *err)
{
	int fd = open(files->associations, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);

	return fd >= 0 ? fd
		       : pc_err_set(err, -errno,
				    "cannot read %s: %m; check the path and its permissions",
				    files->associations);
}

int daemon_run_files_check(const struct run_files *files, struct pc_err *err)
{
	_cleanup_close_ int fd = open_associations(files, err);

	return fd < 0 ? fd : 0;
}

/* ---- sending ---- */

static int send_file(const struct child *child, enum supervised_what what, int fd, const char *path,
		     struct pc_err *err)
{
	int r = daemon_supervised_send(child->channel, what, fd);

	return r < 0 ? pc_err_set(err, r, "cannot hand %s over to %s: %s", path, child->name,
				  r == -EAGAIN ? "it has not read what it was sent before"
					       : strerror(-r))
		     : 0;
}

int daemon_run_files_send_associations(const struct child *child, const struct run_files *files,
				       struct pc_err *err)
{
	_cleanup_close_ int fd = open_associations(files, err);

	return fd < 0 ? fd
		      : send_file(child, SUPERVISED_ASSOCIATIONS, fd, files->associations, err);
}

int daemon_run_files_send_config(const struct child *child, const struct run_files *files,
				 struct pc_err *err)
{
	return files->config_fd < 0
		       ? 0
		       : send_file(child, SUPERVISED_CONFIG, files->config_fd, files->config, err);
}
