/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Changes to the text of an associations file, which people write and comment: one entry is put in, replaced or taken
 * out, and everything else stays as it is, byte for byte. Pure; what comes out has been read again.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/text.h"

struct pc_err;

struct cred_edit {
	const char *name; /* of the file, for messages */
	const char *text; /* NULL: there is no file yet */
	size_t len;
	const char *name_space, *service_account; /* whose entry */
	const char *entry; /* its lines from now on, without indentation; NULL: none */
	bool discard_comments; /* within the lines that are replaced or taken out */
};

/* ret: empty before; the whole new text, wiped with text_done(). -EINVAL: the file is not valid, or is written in a way
 * in which this entry cannot be told from others; -EEXIST: there are comments that would be lost; -ENOMEM. err: one line. */
int cred_edit(const struct cred_edit *edit, struct text *ret, struct pc_err *err);
