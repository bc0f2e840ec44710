// SPDX-License-Identifier: Apache-2.0
#include "daemon/token_key.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "daemon/privileges.h"

static int make_key(uint8_t ret[DAEMON_TOKEN_KEY_SIZE], struct pc_err *err)
{
	return getrandom(ret, DAEMON_TOKEN_KEY_SIZE, 0) == DAEMON_TOKEN_KEY_SIZE
		       ? 0
		       : pc_err_set(err, -EIO, "no randomness from the kernel");
}

/* -ENOENT: there is no file. */
static int read_key(const char *path, uint8_t ret[DAEMON_TOKEN_KEY_SIZE], struct pc_err *err)
{
	_cleanup_free_ char *data = NULL;
	size_t len = 0;
	int r = file_read(path, DAEMON_TOKEN_KEY_SIZE, &data, &len);

	if (r == 0 && len == DAEMON_TOKEN_KEY_SIZE) {
		memcpy(ret, data, len);
		explicit_bzero(data, len);
		return 0;
	}
	if (r == 0 || r == -EFBIG)
		return pc_err_set(err, -EINVAL,
				  "%s is not a key of %d bytes; remove it, a new one is made", path,
				  DAEMON_TOKEN_KEY_SIZE);
	return pc_err_set(err, r, "cannot read %s: %s", path, strerror(-r));
}

int daemon_token_key_read(const char *path, uint8_t ret[DAEMON_TOKEN_KEY_SIZE], struct pc_err *err)
{
	int r = path ? read_key(path, ret, err) : make_key(ret, err);

	if (!path || r != -ENOENT)
		return r;
	r = make_key(ret, err);
	if (r == 0)
		r = file_write_atomic(path, ret, DAEMON_TOKEN_KEY_SIZE, 0600);
	return r < 0 ? pc_err_set(err, r,
				  "cannot write %s: %s; give a writable directory, or no "
				  "--token-key",
				  path, strerror(-r))
		     : 0;
}

static int share(const char *path, gid_t group, struct pc_err *err)
{
	if (chown(path, (uid_t)-1, group) == 0 && chmod(path, 0440) == 0)
		return 0;
	return pc_err_set(err, -errno,
			  "cannot let group %u read %s: %m; run as root with CAP_CHOWN, or in that "
			  "group (fsGroup of the pod)",
			  group, path);
}

int daemon_token_key_provide(const char *path, struct pc_err *err)
{
	uint8_t key[DAEMON_TOKEN_KEY_SIZE];
	struct privileges_user user;
	int r = daemon_privileges_find_user(NULL, &user, err);

	if (r == 0)
		r = daemon_token_key_read(path, key, err);
	explicit_bzero(key, sizeof(key));
	return r < 0 ? r : share(path, user.gid, err);
}
