// SPDX-License-Identifier: Apache-2.0
#include "credentials/credentials.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "credentials/associations.h"

/* Static keys do not end, but botocore and JS need an Expiration: clients come back in time. */
#define ROLLING_LIFETIME (6 * 3600)

static void free_secret(char *s)
{
	if (s)
		explicit_bzero(s, strlen(s));
	free(s);
}

void cred_done(struct credentials *c)
{
	free_secret(c->access_key_id);
	free_secret(c->secret_access_key);
	free_secret(c->session_token);
	memset(c, 0, sizeof(*c));
}

int cred_get(const struct cred_association *a, time_t now, struct credentials *ret)
{
	struct credentials c = {.expiration = now + ROLLING_LIFETIME};

	if (a->keys.expiration)
		c.expiration = a->expires;
	if (c.expiration <= now)
		return -EKEYEXPIRED;
	c.access_key_id = strdup(a->keys.access_key_id);
	c.secret_access_key = strdup(a->keys.secret_access_key);
	c.session_token = strdup(a->keys.session_token);
	if (!c.access_key_id || !c.secret_access_key || !c.session_token) {
		cred_done(&c);
		return -ENOMEM;
	}
	*ret = c;
	return 0;
}
