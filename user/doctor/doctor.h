/* SPDX-License-Identifier: Apache-2.0 */
/* Is podcred on this node in order? A list of checks for what breaks it silently. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

enum doctor_level {
	DOCTOR_OK,
	DOCTOR_SKIP, /* could not be checked, or does not apply */
	DOCTOR_WARN, /* holds, but */
	DOCTOR_FAIL,
};

struct doctor_result {
	const char *name;
	enum doctor_level level;
	char text[1536]; /* what is */
	char next[320]; /* what to do about it; "" with DOCTOR_OK */
};

struct doctor_options {
	const char *pin_dir;
	const char *kubepods; /* as in struct guard_where */
	bool no_probe; /* make no cgroup, send nothing */
};

/* Calls fn for each check, in order, as it is done. Returns how many failed. */
size_t doctor_run(const struct doctor_options *options,
		  void (*fn)(void *arg, const struct doctor_result *result), void *arg);
