/* SPDX-License-Identifier: Apache-2.0 */
/* The shared files of AWS's tools: ~/.aws/credentials and ~/.aws/config. Total functions over a text. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct pc_err;

/* Of one profile. Owned, wiped by fetch_profile_done(); NULL: not there. */
struct fetch_profile {
	char *access_key_id, *secret_access_key, *session_token;
	char *credential_process; /* a command line */
	char *region;
	bool found; /* the file has a section of that name */
	bool other; /* it has a way to get credentials that is not supported: role_arn, sso_... */
};

void fetch_profile_done(struct fetch_profile *profile);

/* text: of the file, which is changed. In a config file (is_config) sections are called "profile NAME", but for
 * default. What ret has already stays, unless the section has a value for it. -ENOMEM. */
int fetch_profile_read(char *text, const char *name, bool is_config, struct fetch_profile *ret);

#define FETCH_WORDS_MAX 64

/*
 * The words of a command line, as SDKs take credential_process apart: at blanks, but for quoted ones; a backslash
 * quotes the next character, and within "" only " and itself. Nothing is expanded. line is changed; ret ends with a NULL.
 * -EINVAL: a quotation that does not end, no word, or too many.
 */
int fetch_split_command(char *line, const char *ret[FETCH_WORDS_MAX + 1]);
