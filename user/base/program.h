/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A program that is run for what it prints, beside the loop: without a shell, a terminal or our descriptors, as a
 * process group of its own. What it writes to stderr is dropped, as it may be secret.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct loop;
struct pc_err;
struct program;

struct program_options {
	const char *command; /* looked for in PATH if it has no slash */
	char *const *argv; /* up to a NULL; the first one too */
	char *const *env; /* all of its environment, up to a NULL */
	size_t max_output; /* bytes */
	uint64_t limit_ns;
	/*
	 * Once, and not before program_start() has returned. error 0: it has ended well, and output, which ends with a
	 * NUL, is what it has printed; it is wiped after that. Else -errno, and what happened: "it ended with exit
	 * code 1".
	 *   -EACCES     exit code or signal
	 *   -ETIMEDOUT  killed after limit_ns, with all that it has started
	 *   -EFBIG      killed after max_output
	 */
	void (*done)(void *arg, int error, const char *why, const char *output, size_t len);
	void *arg;
};

/* Copies the options, but uses argv and env only until it returns. -errno: it cannot be executed. */
int program_start(struct loop *loop, const struct program_options *options, struct program **ret);

/* Kills it; done is not called. Returns NULL; NULL is fine. */
struct program *program_cancel(struct program *program);
