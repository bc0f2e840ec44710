// SPDX-License-Identifier: Apache-2.0
#include "broker/identifier.h"

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

void broker_identifier(const char *uid, char ret[BROKER_IDENTIFIER_SIZE])
{
	static const char digits[] = "0123456789abcdefghijklmnopqrstuvwxyz";
	uint8_t hash[CRYPTO_SHA256_SIZE] = {};

	if (*uid && crypto_sha256(uid, strlen(uid), hash) < 0)
		memset(hash, 0, sizeof(hash));
	strcpy(ret, "a-");
	for (size_t i = 0; i < DIGITS; i++)
		ret[2 + i] = digits[divide(hash, sizeof(hash))];
	ret[2 + DIGITS] = '\0';
}

void broker_identifier_arn(const char *cluster_arn, const char *identifier, char *ret, size_t size)
{
	const char *cluster = cluster_arn ? strstr(cluster_arn, CLUSTER) : NULL;

	ret[0] = '\0';
	if (cluster)
		snprintf(ret, size, "%.*s:podidentityassociation/%s/%s",
			 (int)(cluster - cluster_arn), cluster_arn, cluster + strlen(CLUSTER),
			 identifier);
}
