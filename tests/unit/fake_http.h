/* SPDX-License-Identifier: Apache-2.0 */
/* tests/fake/http.py for unit tests, in a directory of its own with the certificates. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/* Once, before all tests, and after them. */
void fake_http_start(void);
void fake_http_stop(void);

const char *fake_http_dir(void);

/* "https://127.0.0.1:PORT" + path of the listener; "plain" is http, "tls6" is [::1]. Static, of a few. */
const char *fake_http_url(const char *listener, const char *path);

/* There may be no "tls6". */
bool fake_http_has(const char *listener);

/* The file's text in a static buffer, of a few. */
const char *fake_http_file(const char *name);

/* Of path in that directory; static, of a few. */
const char *fake_http_path(const char *name);

/* Writes it, with a mode. */
void fake_http_write(const char *name, const char *text, unsigned mode);

/* Asks the server for a path, at once, and without the code that is tested. */
void fake_http_tell(const char *path, char *ret_body, size_t size);
