// SPDX-License-Identifier: Apache-2.0
#include "net/nl.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include <libmnl/libmnl.h>

#include "base/cleanup.h"

#define MAX_ERRNO 4095 /* the kernel's own bound */

int net_nl_open(int bus, unsigned groups, int flags)
{
	struct sockaddr_nl addr = {.nl_family = AF_NETLINK, .nl_groups = groups};
	_cleanup_close_ int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | flags, bus);

	if (fd < 0 || bind(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0)
		return -errno;
	/* Connected to the kernel: others who send to it get ECONNREFUSED. */
	addr.nl_groups = 0;
	if (connect(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0)
		return -errno;
	return TAKE_FD(fd);
}

ssize_t net_nl_receive(int fd, void *buf, size_t size)
{
	struct sockaddr_nl from;
	struct iovec iov = {.iov_base = buf, .iov_len = size};
	struct msghdr hdr;
	ssize_t n;

	do {
		memset(&from, 0, sizeof(from));
		hdr = (struct msghdr){.msg_name = &from,
				      .msg_namelen = sizeof(from),
				      .msg_iov = &iov,
				      .msg_iovlen = 1};
		n = recvmsg(fd, &hdr, 0);
		if (n < 0 && errno != EINTR)
			return -errno;
	} while (n < 0 || from.nl_pid != 0);
	if (hdr.msg_flags & MSG_TRUNC)
		return -EMSGSIZE;
	return n > 0 ? n : -EBADMSG;
}

/* libmnl takes a length of 2 GiB and more for a negative number, and that for short enough. */
bool net_nl_message_ok(const struct nlmsghdr *msg, int len)
{
	return mnl_nlmsg_ok(msg, len) && msg->nlmsg_len <= (unsigned)len;
}

/* The number in a message that ends the answers: 0 or -errno. */
static int last_word(const struct nlmsghdr *msg)
{
	int error = 0;

	if (mnl_nlmsg_get_payload_len(msg) >= sizeof(error))
		memcpy(&error, mnl_nlmsg_get_payload(msg), sizeof(error));
	else if (msg->nlmsg_type == NLMSG_ERROR)
		return -EBADMSG;
	return error > 0 || error < -MAX_ERRNO ? -EBADMSG : error;
}

static int handle(const void *buf, int len, unsigned seq,
		  int (*fn)(void *arg, const struct nlmsghdr *msg), void *arg, bool *ret_last)
{
	const struct nlmsghdr *msg = buf;
	int r = 0;

	for (; !r && net_nl_message_ok(msg, len); msg = mnl_nlmsg_next(msg, &len)) {
		if (msg->nlmsg_seq != seq || msg->nlmsg_type == NLMSG_NOOP)
			continue;
		if (msg->nlmsg_flags & NLM_F_DUMP_INTR)
			return -EINTR;
		if (msg->nlmsg_type == NLMSG_OVERRUN)
			return -ENOBUFS;
		if (msg->nlmsg_type == NLMSG_ERROR || msg->nlmsg_type == NLMSG_DONE) {
			*ret_last = true;
			return last_word(msg);
		}
		if (fn)
			r = fn(arg, msg);
	}
	return r;
}

int net_nl_request(int fd, struct nlmsghdr *request,
		   int (*fn)(void *arg, const struct nlmsghdr *msg), void *arg)
{
	_Alignas(struct nlmsghdr) char buf[NL_BUFFER];
	bool last = false;
	int r = 0;

	/* A listing ends with NLMSG_DONE; all else only when it is acknowledged. */
	request->nlmsg_flags |= NLM_F_REQUEST;
	if ((request->nlmsg_flags & NLM_F_DUMP) != NLM_F_DUMP)
		request->nlmsg_flags |= NLM_F_ACK;
	request->nlmsg_seq = 1;
	if (send(fd, request, request->nlmsg_len, 0) < 0)
		return -errno;
	while (!r && !last) {
		ssize_t n = net_nl_receive(fd, buf, sizeof(buf));

		if (n < 0)
			return (int)n;
		r = handle(buf, (int)n, request->nlmsg_seq, fn, arg, &last);
	}
	return r;
}
