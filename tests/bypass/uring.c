// SPDX-License-Identifier: Apache-2.0
/* io_uring: the same calls, made by the kernel's own threads. Ring by hand, one request at a time. */
#include <linux/io_uring.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include "bypass.h"

struct uring {
	int fd;
	struct io_uring_params params;
	uint8_t *sq, *cq;
	struct io_uring_sqe *sqes;
};

static int uring_open(struct uring *u, unsigned flags)
{
	memset(u, 0, sizeof(*u));
	u->params.flags = flags;
	u->params.sq_thread_idle = 1000;
	u->fd = (int)syscall(SYS_io_uring_setup, 4, &u->params);
	if (u->fd < 0)
		return -errno;
	u->sq = mmap(NULL, u->params.sq_off.array + 4 * sizeof(uint32_t), PROT_READ | PROT_WRITE,
		     MAP_SHARED | MAP_POPULATE, u->fd, IORING_OFF_SQ_RING);
	u->cq = mmap(NULL, u->params.cq_off.cqes + 8 * sizeof(struct io_uring_cqe),
		     PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, u->fd, IORING_OFF_CQ_RING);
	u->sqes = mmap(NULL, 4 * sizeof(struct io_uring_sqe), PROT_READ | PROT_WRITE,
		       MAP_SHARED | MAP_POPULATE, u->fd, IORING_OFF_SQES);
	if (u->sq == MAP_FAILED || u->cq == MAP_FAILED || u->sqes == MAP_FAILED)
		return -errno;
	return 0;
}

/* The result of one request; -EINPROGRESS when it takes too long. */
static int uring_do(struct uring *u, const struct io_uring_sqe *sqe)
{
	uint32_t *tail = (uint32_t *)(u->sq + u->params.sq_off.tail);
	uint32_t *head = (uint32_t *)(u->cq + u->params.cq_off.head);
	uint32_t *done = (uint32_t *)(u->cq + u->params.cq_off.tail);
	uint32_t mask = *(uint32_t *)(u->sq + u->params.sq_off.ring_mask), slot = *tail & mask;
	uint32_t cq_mask = *(uint32_t *)(u->cq + u->params.cq_off.ring_mask);
	bool polled = u->params.flags & IORING_SETUP_SQPOLL;
	struct io_uring_cqe *cqes = (struct io_uring_cqe *)(u->cq + u->params.cq_off.cqes);

	u->sqes[slot] = *sqe;
	((uint32_t *)(u->sq + u->params.sq_off.array))[slot] = slot;
	__atomic_store_n(tail, *tail + 1, __ATOMIC_RELEASE);
	if (syscall(SYS_io_uring_enter, u->fd, polled ? 0 : 1, 0,
		    polled ? IORING_ENTER_SQ_WAKEUP : 0, NULL, 0) < 0)
		return -errno;
	for (int i = 0; i < 100; i++) {
		if (__atomic_load_n(done, __ATOMIC_ACQUIRE) != *head) {
			int r = cqes[*head & cq_mask].res;

			__atomic_store_n(head, *head + 1, __ATOMIC_RELEASE);
			return r;
		}
		usleep(5000);
		/* completions of a task are delivered when it enters the kernel */
		syscall(SYS_io_uring_enter, u->fd, 0, 0, IORING_ENTER_GETEVENTS, NULL, 0);
	}
	return -EINPROGRESS;
}

static int uring_socket(struct uring *u)
{
	struct io_uring_sqe sqe = {.opcode = IORING_OP_SOCKET, .fd = AF_INET};

	sqe.off = SOCK_STREAM;
	return uring_do(u, &sqe);
}

static int uring_connect(struct uring *u, int fd, const char *host, bool mapped, unsigned flags)
{
	struct sockaddr_storage ss;
	struct io_uring_sqe sqe = {.opcode = IORING_OP_CONNECT, .fd = fd};
	int r;

	sqe.flags = (uint8_t)flags;
	sqe.off = address(&ss, host, 80, mapped);
	sqe.addr = (uintptr_t)&ss;
	r = uring_do(u, &sqe);
	return r == -EINTR ? 0 : r; /* of the kernel's worker; the connection goes on being made */
}

static int connect_by(struct row *row, unsigned setup, unsigned flags, bool own_socket,
		      const char *host, bool mapped)
{
	int family = mapped || strchr(host, ':') ? AF_INET6 : AF_INET;
	struct uring u;
	int r = uring_open(&u, setup), fd;

	if (r == -ENOSYS || r == -EPERM)
		return absent(row, "no io_uring in this kernel");
	if (r < 0)
		return r;
	fd = own_socket ? uring_socket(&u) : socket(family, SOCK_STREAM, 0);
	if (fd == -EINVAL && own_socket)
		return absent(row, "no IORING_OP_SOCKET in this kernel");
	if (fd < 0)
		return fd;
	socket_timeouts(fd);
	r = uring_connect(&u, fd, host, mapped, flags);
	return r < 0 ? r : hear(row, fd);
}

static int plain(struct row *row)
{
	return connect_by(row, 0, 0, false, IMDS4, false);
}

static int mapped4(struct row *row)
{
	return connect_by(row, 0, 0, false, IMDS4, true);
}

static int plain6(struct row *row)
{
	return connect_by(row, 0, 0, false, IMDS6, false);
}

static int op_socket(struct row *row)
{
	return connect_by(row, 0, 0, true, IMDS4, false);
}

static int worker(struct row *row)
{
	return connect_by(row, 0, IOSQE_ASYNC, false, IMDS4, false);
}

static int poller(struct row *row)
{
	return connect_by(row, IORING_SETUP_SQPOLL, 0, false, IMDS4, false);
}

static int sendmsg_by(struct row *row, int opcode)
{
	struct sockaddr_storage ss;
	struct iovec iov = {.iov_base = "ping\n", .iov_len = 5};
	struct msghdr msg = {.msg_name = &ss, .msg_iov = &iov, .msg_iovlen = 1};
	struct io_uring_sqe sqe = {.opcode = (uint8_t)opcode};
	struct uring u;
	int r = uring_open(&u, 0);

	if (r < 0)
		return absent(row, "no io_uring in this kernel");
	msg.msg_namelen = address(&ss, IMDS4, 80, false);
	sqe.fd = socket(AF_INET, SOCK_DGRAM, 0);
	sqe.addr = (uintptr_t)&msg;
	sqe.len = 1;
	if (opcode == IORING_OP_SEND_ZC) {
		sqe.addr = (uintptr_t)iov.iov_base;
		sqe.len = 5;
		sqe.addr2 = (uintptr_t)&ss;
		sqe.addr_len = (uint16_t)msg.msg_namelen;
	}
	socket_timeouts(sqe.fd);
	r = uring_do(&u, &sqe);
	if (r == -EINVAL && opcode == IORING_OP_SEND_ZC)
		return absent(row, "no IORING_OP_SEND_ZC in this kernel");
	return r < 0 ? r : hear(row, sqe.fd);
}

static int message(struct row *row)
{
	return sendmsg_by(row, IORING_OP_SENDMSG);
}

static int zero_copy(struct row *row)
{
	return sendmsg_by(row, IORING_OP_SEND_ZC);
}

/* The kernel's worker follows the process that is moved, the socket does not. */
static int moved(struct row *row)
{
	struct uring u;
	int r = uring_open(&u, 0), fd = socket(AF_INET, SOCK_STREAM, 0);

	if (r < 0)
		return absent(row, "no io_uring in this kernel");
	socket_timeouts(fd);
	uring_connect(&u, fd, OTHER4, false, IOSQE_ASYNC); /* starts the worker */
	fd = socket(AF_INET, SOCK_STREAM, 0);
	socket_timeouts(fd);
	join_cgroup(setting("BYPASS_OTHER_CGROUP"));
	r = uring_connect(&u, fd, IMDS4, false, IOSQE_ASYNC);
	return r < 0 ? r : hear(row, fd);
}

const struct vector uring_vectors[] = {
	{"io_uring connect", plain, .want = "A", .answers = true},
	{"io_uring connect v4-mapped", mapped4, .want = "A", .answers = true},
	{"io_uring connect v6", plain6, .want = "A", .answers = true},
	{"io_uring OP_SOCKET", op_socket, .want = "A", .answers = true},
	{"io_uring IOSQE_ASYNC", worker, .want = "A", .answers = true},
	{"io_uring SQPOLL", poller, .want = "A", .answers = true},
	{"io_uring sendmsg, UDP", message, .want = "EACCES", .answers = true},
	{"io_uring SEND_ZC, UDP", zero_copy, .want = "EACCES", .answers = true},
	{"io_uring IOSQE_ASYNC, moved to another pod", moved, .want = "EACCES", .answers = true},
	{0},
};
