// SPDX-License-Identifier: Apache-2.0
#include "daemon/service.h"

#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "aws/sealed_keys.h"
#include "base/cleanup.h"
#include "base/log.h"
#include "base/secret.h"
#include "daemon/landlock.h"
#include "daemon/sandbox.h"
#include "daemon/sandbox_fetch.h"

#define SEALING_MAX 4096

void daemon_service_said(void *arg, bool bad, const char *line)
{
	(void)arg;
	log_line(bad ? LOG_LEVEL_WARN : LOG_LEVEL_INFO, "%s", line);
}

int daemon_service_drop(const char *user, daemon_find_user_fn *find, struct pc_err *err)
{
	struct privileges_user found;
	int r = user ? find(user, &found, err) : 0;

	if (r == 0)
		r = daemon_privileges_drop(user ? &found : NULL, 0, err);
	prctl(PR_SET_DUMPABLE, 0, 0, 0, 0); /* again: a change of user resets it */
	return r;
}

void daemon_service_confine(const char *who)
{
	int r = SANDBOX_REFUSES ? daemon_landlock_read_only(false) : 0;

	if (r < 0)
		log_debug("no Landlock: %s", strerror(-r));
	r = daemon_sandbox_service_enter(SANDBOX_REFUSES);
	if (r < 0)
		log_warn("no seccomp filter: %s; %s runs without one", strerror(-r), who);
	if (geteuid() == 0)
		log_warn("%s runs as root, though without capabilities; give it a user of its own "
			 "with --user",
			 who);
}

int daemon_service_read_sealing(const char *path, struct aws_sealing **ret, struct pc_err *err)
{
	_cleanup_secret_ char *text = NULL;
	size_t len = 0;
	int r = path ? secret_read(path, SEALING_MAX, &text, &len) : 0;

	*ret = NULL;
	if (!path)
		return 0;
	if (r < 0)
		return pc_err_set(err, r, "cannot read %s: %s; check the path and its permissions",
				  path, strerror(-r));
	r = aws_sealing_parse(text, len, ret, err);
	return r < 0 ? pc_err_prefix(err, r, "%s", path) : 0;
}
