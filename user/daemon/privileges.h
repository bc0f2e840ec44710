/* SPDX-License-Identifier: Apache-2.0 */
/* Which user a daemon runs as, and what it gives up before it does anything. */
#pragma once

#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"

/* The agent's, where no system user podcred exists, and in the image. systemd hands out no uid of
 * that range, and no distribution does. */
#define PRIVILEGES_UID 60777

/* The same for podcred fetch, and the user podcred-fetch. */
#define PRIVILEGES_FETCH_UID 60778

struct privileges_user {
	uid_t uid;
	gid_t gid;
};

/* text: a name or a number; NULL: podcred if there is such a user, else PRIVILEGES_UID. Never root.
 * -errno. */
int daemon_privileges_find_user(const char *text, struct privileges_user *ret, struct pc_err *err);

/* The same for podcred fetch: podcred-fetch, else PRIVILEGES_FETCH_UID. */
int daemon_privileges_find_fetch_user(const char *text, struct privileges_user *ret,
				      struct pc_err *err);

/*
 * Become user (NULL: stay who we are) with at most the capabilities in keep, for good: bounding set
 * dropped, no_new_privs. Before threads start. -errno.
 */
int daemon_privileges_drop(const struct privileges_user *user, uint64_t keep, struct pc_err *err);

/* For memory that holds secrets: no core dump, no ptrace by the same user, nothing readable left in what a
 * library frees without wiping, and room for what is not to be swapped out. A change of user undoes the second. */
void daemon_privileges_hide_memory(void);
