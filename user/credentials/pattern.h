/* SPDX-License-Identifier: Apache-2.0 */
/* Patterns and character classes; the only user of PCRE2. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/* UTF-8 of min to max characters of the classes L, Z and N, and _ . : / = + - @. */
bool cred_pattern_is_tag(const char *s, size_t min, size_t max);

/* The same text but for upper and lower case. */
bool cred_pattern_equal(const char *a, const char *b);

/*
 * Whether text matches a regular expression (anchored: all of it does). 1, 0, -EINVAL: it is none, or
 * -E2BIG: it takes more work than a match may.
 */
int cred_pattern_matches(const char *regexp, bool anchored, const char *text);

/* * stands for any characters, also for none and for slashes. */
bool cred_pattern_glob(const char *glob, const char *text);
