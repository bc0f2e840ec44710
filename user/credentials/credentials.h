/* SPDX-License-Identifier: Apache-2.0 */
/* Where credentials come from. This version has one source, the associations file itself
 * (source_static.c). */
#pragma once

#include <time.h>

struct cred_association;

/* Own copies, so that they outlive the table they came from; wiped by cred_done(). */
struct credentials {
	char *access_key_id;
	char *secret_access_key;
	char *session_token;
	time_t expiration;
};

void cred_done(struct credentials *c);

/* 0, -EKEYEXPIRED when what the file holds has ended, -ENOMEM. */
int cred_get(const struct cred_association *a, time_t now, struct credentials *ret);
