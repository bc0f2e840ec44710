// SPDX-License-Identifier: Apache-2.0
#include "daemon/privileges.h"

#include <errno.h>
#include <grp.h>
#include <malloc.h>
#include <pwd.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/caps.h"
#include "base/parse.h"

#define LOCKED_MEMORY (64U << 20)

/* A daemon that has a user of its own: whoever shares its uid can stop it, and read what it reads. */
struct owner {
	const char *who, *option; /* in messages */
	const char *name;
	uid_t uid; /* where there is no such name */
};

static const struct owner agent = {"the agent", "--user", "podcred", PRIVILEGES_UID};
static const struct owner fetch = {"podcred fetch", "--user (--fetch-user of serve and run)",
				   "podcred-fetch", PRIVILEGES_FETCH_UID};

static int from_passwd(const struct passwd *pw, struct privileges_user *ret)
{
	*ret = (struct privileges_user){.uid = pw->pw_uid, .gid = pw->pw_gid};
	return 0;
}

static int fallback(const struct owner *owner, struct privileges_user *ret, struct pc_err *err)
{
	const struct passwd *pw = getpwnam(owner->name);

	if (pw)
		return from_passwd(pw, ret);
	pw = getpwuid(owner->uid);
	if (pw)
		return pc_err_set(err, -EEXIST,
				  "no user %s, and uid %u is %s here; make a system user %s, or "
				  "give %s another one",
				  owner->name, owner->uid, pw->pw_name, owner->name, owner->option);
	*ret = (struct privileges_user){.uid = owner->uid, .gid = owner->uid};
	return 0;
}

static int lookup(const struct owner *owner, const char *text, struct privileges_user *ret,
		  struct pc_err *err)
{
	const struct passwd *pw;
	uint64_t uid;

	/* the last one means "leave it" to setresuid */
	if (parse_u64(text, UINT32_MAX - 1, &uid) < 0) {
		pw = getpwnam(text);
		return pw ? from_passwd(pw, ret)
			  : pc_err_set(err, -ENOENT,
				       "no user \"%s\"; give %s a name that exists, or a number",
				       text, owner->option);
	}
	pw = getpwuid((uid_t)uid);
	if (pw)
		return from_passwd(pw, ret);
	*ret = (struct privileges_user){.uid = (uid_t)uid, .gid = (gid_t)uid};
	return 0;
}

static int find(const struct owner *owner, const char *text, struct privileges_user *ret,
		struct pc_err *err)
{
	struct privileges_user user = {};
	int r = text ? lookup(owner, text, &user, err) : fallback(owner, &user, err);

	if (r < 0)
		return r;
	if (user.uid == 0)
		return pc_err_set(err, -EINVAL,
				  "%s must not be root; give another user by %s, or make a system "
				  "user %s",
				  owner->who, owner->option, owner->name);
	*ret = user;
	return 0;
}

int daemon_privileges_find_user(const char *text, struct privileges_user *ret, struct pc_err *err)
{
	return find(&agent, text, ret, err);
}

int daemon_privileges_find_fetch_user(const char *text, struct privileges_user *ret,
				      struct pc_err *err)
{
	return find(&fetch, text, ret, err);
}

static int become(const struct privileges_user *user, struct pc_err *err)
{
	uid_t real, effective, saved;

	getresuid(&real, &effective, &saved);
	if (real == user->uid && effective == user->uid && saved == user->uid)
		return 0;
	if (setgroups(0, NULL) < 0 || setresgid(user->gid, user->gid, user->gid) < 0 ||
	    setresuid(user->uid, user->uid, user->uid) < 0)
		return pc_err_set(err, -errno,
				  "cannot become user %u: %m; start as root, or without --user",
				  user->uid);
	return 0;
}

int daemon_privileges_drop(const struct privileges_user *user, uint64_t keep, struct pc_err *err)
{
	int r;

	caps_bound(keep);
	r = user ? become(user, err) : 0;
	if (r < 0)
		return r;
	r = caps_keep(keep);
	if (r < 0 || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return pc_err_set(err, r ?: -errno, "cannot give up capabilities: %s",
				  strerror(r < 0 ? -r : errno));
	return 0;
}

/* What is kept for 10,000 pods; root may raise its own limit, and others up to the hard one. */
static void raise_locked_memory(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_MEMLOCK, &limit) < 0 || limit.rlim_cur >= LOCKED_MEMORY)
		return;
	limit.rlim_cur = LOCKED_MEMORY;
	if (limit.rlim_max >= LOCKED_MEMORY ||
	    setrlimit(RLIMIT_MEMLOCK, &(const struct rlimit){LOCKED_MEMORY, LOCKED_MEMORY}) < 0) {
		limit.rlim_cur = limit.rlim_max < LOCKED_MEMORY ? limit.rlim_max : LOCKED_MEMORY;
		setrlimit(RLIMIT_MEMLOCK, &limit);
	}
}

void daemon_privileges_hide_memory(void)
{
	const struct rlimit none = {0, 0};

	raise_locked_memory();
	mallopt(M_PERTURB, 0x5a);
	setrlimit(RLIMIT_CORE, &none);
	prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
}
