// SPDX-License-Identifier: Apache-2.0
#include "daemon/sandbox.h"

#include <netinet/in.h>
#include <sys/socket.h>

#include "base/cleanup.h"
#include "daemon/seccomp.h"

/* TCP by its number, or as the default: the two others that pass (2, 4) have no streams. */
#define NOT_TCP (~(uint32_t)IPPROTO_TCP)

/* In front of the others, as these come with each request. */
static const struct seccomp_rule rules[] = {
	ALWAYS(accept4),
	/* MSG_FASTOPEN is a connect: the agent dials nobody */
	WHEN(sendto, 3, MSG_FASTOPEN, 0),
	WHEN(sendmsg, 2, MSG_FASTOPEN, 0),
	/* sockets: IPv4 and IPv6, no connect; of streams TCP alone, as SCTP dials with sendmsg */
	SOCKET(AF_INET, SOCK_STREAM, NOT_TCP, 0),
	SOCKET(AF_INET6, SOCK_STREAM, NOT_TCP, 0),
	ALWAYS(bind),
	ALWAYS(listen),
};

int daemon_sandbox_enter(bool refuse)
{
	const struct seccomp_list lists[] = {{rules, ARRAY_SIZE(rules)}, daemon_seccomp_common};

	return daemon_seccomp_enter(lists, ARRAY_SIZE(lists),
				    refuse ? SECCOMP_REFUSES : SECCOMP_LOGS);
}
