/* SPDX-License-Identifier: Apache-2.0 */
/* Which protocol a caller expects, by the address that it dialled. */
#pragma once

#include <stdbool.h>

#include <podcred/podcred.h>

enum destination {
	DESTINATION_OTHER, /* redirected here from an address that has no protocol */
	DESTINATION_POD_IDENTITY, /* 169.254.170.23, fd00:ec2::23 */
	DESTINATION_ECS, /* 169.254.170.2 */
	DESTINATION_IMDS, /* 169.254.169.254, fd00:ec2::254 */
};

enum destination destination_of(const struct podcred_peer *peer);

/* Whether a Host header names this service (R12): either family, IPv6 with or without brackets,
 * with :80 or without a port. A name never does, which defeats DNS rebinding. */
bool destination_host_ok(enum destination d, const char *host);
