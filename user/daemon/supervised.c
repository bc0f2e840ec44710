// SPDX-License-Identifier: Apache-2.0
#include "daemon/supervised.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/parse.h"

bool daemon_is_supervised(void)
{
	return getenv(SUPERVISED_ENV) != NULL;
}

static bool is_channel(int fd)
{
	int type = 0;
	socklen_t len = sizeof(type);

	return getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len) == 0 && type == SOCK_SEQPACKET;
}

int daemon_supervised_open(const char *name, struct pc_err *err)
{
	const char *text = getenv(SUPERVISED_ENV);
	uint64_t fd;

	if (!text || parse_u64(text, INT_MAX, &fd) < 0 || !is_channel((int)fd))
		return pc_err_set(err, -EINVAL,
				  SUPERVISED_ENV " is not a channel to podcred run; unset it");
	fcntl((int)fd, F_SETFD, FD_CLOEXEC);
	prctl(PR_SET_NAME, name); /* executed as /proc/self/exe, it is called "exe" */
	return (int)fd;
}

union control {
	char buf[CMSG_SPACE(sizeof(int))];
	struct cmsghdr align;
};

int daemon_supervised_receive(int channel, enum supervised_what *ret_what)
{
	union control control = {};
	uint8_t byte = SUPERVISED_MAX;
	struct iovec iov = {.iov_base = &byte, .iov_len = 1};
	struct msghdr msg = {.msg_iov = &iov,
			     .msg_iovlen = 1,
			     .msg_control = control.buf,
			     .msg_controllen = sizeof(control.buf)};
	const struct cmsghdr *cmsg;
	ssize_t n = recvmsg(channel, &msg, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	int fd;

	if (n < 0)
		return errno == EINTR ? -EAGAIN : -errno;
	if (n == 0)
		return -EPIPE;
	if (msg.msg_flags & MSG_CTRUNC)
		return -EMFILE; /* the file is lost: the kernel says it in no other way */
	cmsg = CMSG_FIRSTHDR(&msg);
	if (!cmsg || cmsg->cmsg_type != SCM_RIGHTS || cmsg->cmsg_len != CMSG_LEN(sizeof(int)))
		return -EAGAIN;
	memcpy(&fd, CMSG_DATA(cmsg), sizeof(fd));
	if (byte >= SUPERVISED_MAX) {
		close(fd);
		return -EAGAIN;
	}
	*ret_what = (enum supervised_what)byte;
	return fd;
}

int daemon_supervised_send(int channel, enum supervised_what what, int fd)
{
	union control control = {};
	uint8_t byte = (uint8_t)what;
	struct iovec iov = {.iov_base = &byte, .iov_len = 1};
	struct msghdr msg = {.msg_iov = &iov,
			     .msg_iovlen = 1,
			     .msg_control = control.buf,
			     .msg_controllen = sizeof(control.buf)};
	struct cmsghdr *cmsg = CMSG_FIRSTHDR(&msg);

	cmsg->cmsg_level = SOL_SOCKET;
	cmsg->cmsg_type = SCM_RIGHTS;
	cmsg->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(cmsg), &fd, sizeof(fd));
	return sendmsg(channel, &msg, MSG_DONTWAIT | MSG_NOSIGNAL) < 0 ? -errno : 0;
}
