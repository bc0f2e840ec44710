/* SPDX-License-Identifier: Apache-2.0 */
/* Where credentials come from. This version has one source, the associations file itself. */
#pragma once

#include <time.h>

struct association;

/* Own copies, so that they outlive the table they came from; wiped by credentials_done(). */
struct credentials {
	char *access_key_id;
	char *secret_access_key;
	char *session_token;
	time_t expiration;
};

void credentials_done(struct credentials *c);

/* 0, -EKEYEXPIRED when what the file holds has ended, -ENOMEM. */
int provider_static_get(const struct association *a, time_t now, struct credentials *ret);
