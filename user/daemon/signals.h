/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Block SIGTERM, SIGINT, SIGHUP (and SIGCHLD) and return a signalfd for them, or -errno. Call
 * before any thread starts. */
int signals_open(void);

/* The next signal of a readable signalfd, 0 when there is none. */
int signals_next(int fd);
