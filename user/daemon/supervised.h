/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The channel between podcred run and a child that it executes: a socket, whose number is in the
 * child's environment. Files that only root may open are passed over it. When it closes, run has
 * ended.
 */
#pragma once

#include <stdbool.h>

#include "base/err.h"

#define SUPERVISED_ENV	"PODCRED_RUN_CHANNEL"
#define SUPERVISED_GONE "podcred run is gone; ending" /* for the log */

/* Whether podcred run started this process. */
bool daemon_is_supervised(void);

/* The descriptor, for the caller to close, and the process gets that name. -EINVAL: the environment
 * names something else. Only when daemon_is_supervised(). */
int daemon_supervised_open(const char *name, struct pc_err *err);

enum supervised_what {
	SUPERVISED_CONFIG,
	SUPERVISED_ASSOCIATIONS,
	SUPERVISED_PEER, /* a socket, of which another child of run has the other end */
	SUPERVISED_MAX,
};

/* What run has opened for us. -EAGAIN: nothing has come; -EMFILE: there is no room for it; -EPIPE: run is
 * gone. */
int daemon_supervised_receive(int channel, enum supervised_what *ret_what);

/* In run: hand it over. -errno. */
int daemon_supervised_send(int channel, enum supervised_what what, int fd);
