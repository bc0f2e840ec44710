// SPDX-License-Identifier: Apache-2.0
#include "credentials/association_id.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "crypto/hash.h"

#define DIGITS	17
#define BASE	36
#define CLUSTER ":cluster/"

/* One digit of the number that is in big-endian bytes, which becomes the quotient. */
static unsigned divide(uint8_t *number, size_t len)
{
	unsigned rest = 0;

	for (size_t i = 0; i < len; i++) {
		unsigned value = rest << 8 | number[i];

		number[i] = (uint8_t)(value / BASE);
		rest = value % BASE;
	}
	return rest;
}

int cred_association_id(const char *uid, char ret[CRED_ASSOCIATION_ID_SIZE])
{
	static const char digits[] = "0123456789abcdefghijklmnopqrstuvwxyz";
	uint8_t hash[CRYPTO_SHA256_SIZE] = {};
	int r = *uid ? crypto_sha256(uid, strlen(uid), hash) : 0;

	if (r < 0)
		return r;
	strcpy(ret, "a-");
	for (size_t i = 0; i < DIGITS; i++)
		ret[2 + i] = digits[divide(hash, sizeof(hash))];
	ret[2 + DIGITS] = '\0';
	return 0;
}

void cred_association_arn(const char *cluster_arn, const char *id, char *ret, size_t size)
{
	const char *cluster = cluster_arn ? strstr(cluster_arn, CLUSTER) : NULL;

	ret[0] = '\0';
	if (cluster)
		snprintf(ret, size, "%.*s:podidentityassociation/%s/%s",
			 (int)(cluster - cluster_arn), cluster_arn, cluster + strlen(CLUSTER), id);
}
