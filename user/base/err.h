/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Errors of library modules. A function returns a negative errno. Where errno says too little to a
 * person, it also fills a struct pc_err with one line: object, cause, next step. Library modules
 * never print it; the command does, once.
 */
#pragma once

struct pc_err {
	char msg[768];
};

/* Fill err (which may be NULL) and return code, so that `return pc_err_set(...)` reads well.
 * code is a negative errno; the text does not include it unless the caller says %s. */
__attribute__((format(printf, 3, 4))) int pc_err_set(struct pc_err *err, int code, const char *fmt,
						     ...);

/* Put "prefix: " in front of what is there already; returns code. */
__attribute__((format(printf, 3, 4))) int pc_err_prefix(struct pc_err *err, int code,
							const char *fmt, ...);
