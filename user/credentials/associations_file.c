// SPDX-License-Identifier: Apache-2.0
#include "credentials/associations.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/file.h"

#define FILE_MAX (16 * 1024 * 1024)

/* A file's bytes, wiped when freed. file_read() grows its buffer with realloc, which would leave
 * parts of the secrets behind. */
struct secret_file {
	char *data;
	size_t len;
};

static void secret_file_done(struct secret_file *f)
{
	if (f->data)
		explicit_bzero(f->data, f->len);
	free(f->data);
}

/* group_member() knows the supplementary groups alone. */
static bool is_own_group(gid_t gid)
{
	return gid == 0 || gid == getegid() || group_member(gid);
}

static int secret_file_read(int fd, struct secret_file *ret, bool *ret_exposed)
{
	_cleanup_(secret_file_done) struct secret_file f = {};
	struct stat st;
	int r;

	if (fstat(fd, &st) < 0)
		return -errno;
	if (S_ISDIR(st.st_mode))
		return -EISDIR;
	if (!S_ISREG(st.st_mode))
		return -EINVAL;
	if (st.st_size > FILE_MAX)
		return -EFBIG;
	f.data = malloc((size_t)st.st_size + 1);
	if (!f.data)
		return -ENOMEM;
	f.len = (size_t)st.st_size;
	r = file_fill(fd, f.data, f.len, &f.len);
	if (r < 0)
		return r;
	*ret = (struct secret_file){TAKE_PTR(f.data), f.len};
	*ret_exposed = st.st_mode & S_IROTH || (st.st_mode & S_IRGRP && !is_own_group(st.st_gid));
	return 0;
}

static int explain(const char *path, int code, struct pc_err *err)
{
	if (code == -EFBIG)
		return pc_err_set(err, code, "%s: larger than 16 MiB; is this the right file?",
				  path);
	if (code == -EINVAL)
		return pc_err_set(err, code, "%s: not a regular file; give the associations file",
				  path);
	return pc_err_set(err, code, "cannot read %s: %s; check the path and its permissions", path,
			  strerror(-code));
}

int cred_table_load(const char *path, struct cred_table **ret, bool *ret_exposed,
		    struct pc_err *err)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);

	return fd < 0 ? explain(path, -errno, err)
		      : cred_table_read(fd, path, ret, ret_exposed, err);
}

int cred_table_read(int fd, const char *path, struct cred_table **ret, bool *ret_exposed,
		    struct pc_err *err)
{
	_cleanup_(secret_file_done) struct secret_file f = {};
	bool exposed = false;
	int r;

	r = secret_file_read(fd, &f, &exposed);
	if (r < 0)
		return explain(path, r, err);
	r = cred_table_parse(path, f.data, f.len, ret, err);
	if (r < 0)
		return r;
	if (ret_exposed)
		*ret_exposed = exposed;
	return 0;
}
