// SPDX-License-Identifier: Apache-2.0
/* The agent dialled by its own address: stamped as such, or nobody answers. And protocols that
 * this kernel may not have. */
#include <net/if.h>

#include "bypass.h"

#define SOCK_DCCP_TYPE	6
#define IPPROTO_L2TP_IP 115
#define AF_SMC_FAMILY	43

static int direct4(struct row *row)
{
	return tcp_to(row, NODE4, AGENT_PORT, false);
}

static int direct_mapped(struct row *row)
{
	return tcp_to(row, NODE4, AGENT_PORT, true);
}

static int direct6(struct row *row)
{
	return tcp_to(row, NODE6, AGENT_PORT, false);
}

static int other_address(struct row *row)
{
	return tcp_to(row, UPLINK4, AGENT_PORT, false);
}

static int link_local(struct row *row)
{
	struct sockaddr_storage ss;
	socklen_t len = address(&ss, "fe80::ff:fe00:9901", AGENT_PORT, false);
	int fd = socket(AF_INET6, SOCK_STREAM, 0);

	((struct sockaddr_in6 *)&ss)->sin6_scope_id = if_nametoindex("eth0");
	socket_timeouts(fd);
	if (connect(fd, (struct sockaddr *)&ss, len) < 0)
		return -errno;
	return hear(row, fd);
}

static int any_address(struct row *row)
{
	return tcp_to(row, "0.0.0.0", 80, false);
}

const struct vector agent_vectors[] = {
	{"agent, direct v4", direct4, .without = "U", .want = "A direct"},
	{"agent, direct v4-mapped", direct_mapped, .without = "U", .want = "A direct"},
	{"agent, direct v6", direct6, .without = "U", .want = "A direct"},
	{"agent's port on another address of the node", other_address, .without = "ECONNREFUSED"},
	{"agent's port on the node's link-local address", link_local, .without = "ECONNREFUSED"},
	{"connect 0.0.0.0", any_address, .without = "ECONNREFUSED"},
	{0},
};

static int protocol(struct row *row, int family, int type, int number, const char *why)
{
	int fd = socket(family, type, number);

	return fd < 0 ? absent(row, why) : dial_and_hear(row, fd, IMDS4, 80, false);
}

static int sctp(struct row *row)
{
	return protocol(row, AF_INET, SOCK_STREAM, IPPROTO_SCTP, "no SCTP in this kernel");
}

static int dccp(struct row *row)
{
	return protocol(row, AF_INET, SOCK_DCCP_TYPE, IPPROTO_DCCP, "no DCCP in this kernel");
}

static int smc(struct row *row)
{
	return protocol(row, AF_SMC_FAMILY, SOCK_STREAM, 0, "no SMC in this kernel");
}

static int l2tp(struct row *row)
{
	int fd = socket(AF_INET, SOCK_DGRAM, IPPROTO_L2TP_IP);

	return fd < 0 ? absent(row, "no L2TP in this kernel")
		      : send_and_hear(row, fd, IMDS4, 0, false);
}

const struct vector absent_vectors[] = {
	{"SCTP connect", sctp},
	{"DCCP connect", dccp},
	{"SMC connect", smc},
	{"L2TP over IP, sendto", l2tp},
	{0},
};
