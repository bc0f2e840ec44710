// SPDX-License-Identifier: Apache-2.0
/* MODULES: net base */
/* LIBS: -lmnl -Wl,--wrap=recvmsg -Wl,--wrap=socket -Wl,--wrap=bind -Wl,--wrap=connect -Wl,--wrap=send */
/*
 * Netlink: single messages, and whole conversations in which the input is the kernel. The first
 * byte chooses what is asked.
 */
#include "base/addr.h"
#include "fuzz.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>
#include <linux/inet_diag.h>
#include <linux/rtnetlink.h>
#include <linux/sock_diag.h>

#include "net/links.h"
#include "net/messages.h"
#include "net/nl.h"
#include "net/sockdiag.h"

/* ---- the kernel's part ---- */

static struct fuzz_input kernel;
static size_t received;

int __wrap_socket(int domain, int type, int protocol);
int __wrap_bind(int fd, const struct sockaddr *addr, socklen_t len);
int __wrap_connect(int fd, const struct sockaddr *addr, socklen_t len);
ssize_t __wrap_send(int fd, const void *buf, size_t len, int flags);
ssize_t __wrap_recvmsg(int fd, struct msghdr *msg, int flags);

int __wrap_socket(int domain, int type, int protocol)
{
	(void)type;
	(void)protocol;
	MUST(domain == AF_NETLINK);
	return open("/dev/null", O_RDONLY | O_CLOEXEC);
}

int __wrap_bind(int fd, const struct sockaddr *addr, socklen_t len)
{
	(void)fd, (void)addr, (void)len;
	return 0;
}

int __wrap_connect(int fd, const struct sockaddr *addr, socklen_t len)
{
	(void)fd, (void)addr, (void)len;
	return 0;
}

ssize_t __wrap_send(int fd, const void *buf, size_t len, int flags)
{
	const struct nlmsghdr *msg = buf;

	(void)fd, (void)flags;
	MUST(len >= sizeof(*msg) && msg->nlmsg_len == len && msg->nlmsg_flags & NLM_F_REQUEST);
	return (ssize_t)len;
}

/* A byte for whom it is from, two for its length, the message. Then the socket breaks. */
ssize_t __wrap_recvmsg(int fd, struct msghdr *msg, int flags)
{
	struct sockaddr_nl *from = msg->msg_name;
	uint8_t head[3];
	size_t len;

	(void)fd, (void)flags;
	if (!kernel.size) {
		errno = received++ % 2 ? EAGAIN : ENOBUFS;
		return -1;
	}
	received++;
	fuzz_bytes(&kernel, head, sizeof(head));
	from->nl_family = AF_NETLINK;
	from->nl_pid = head[0] == 'p';
	len = (size_t)head[1] << 8 | head[2];
	len = len < kernel.size ? len : kernel.size;
	msg->msg_flags = len > msg->msg_iov->iov_len ? MSG_TRUNC : 0;
	if (len > msg->msg_iov->iov_len)
		len = msg->msg_iov->iov_len;
	/* what is in the buffer behind it must not be read */
	memset(msg->msg_iov->iov_base, 0xfe, msg->msg_iov->iov_len);
	fuzz_bytes(&kernel, msg->msg_iov->iov_base, len);
	return (ssize_t)len;
}

/* ---- what comes of it ---- */

static void check_link(const struct links_link *link)
{
	MUST(link->ifindex > 0);
	MUST(strnlen(link->name, sizeof(link->name)) < sizeof(link->name));
	MUST(strnlen(link->kind, sizeof(link->kind)) < sizeof(link->kind));
	MUST(!link->vlan || (!strcmp(link->kind, "vlan") && link->vlan < 4096));
	MUST(!link->filters_vlans || !strcmp(link->kind, "bridge"));
}

static int on_link(void *arg, const struct links_link *link)
{
	(void)arg;
	check_link(link);
	return 0;
}

static void on_change(void *arg, const struct links_link *link, bool gone)
{
	(void)arg, (void)gone;
	if (link)
		check_link(link);
}

static int seen[1024];
static size_t n_seen;

static int on_address(void *arg, int ifindex)
{
	(void)arg;
	MUST(ifindex > 0);
	return 0;
}

static int on_pvid(void *arg, int ifindex, uint16_t vlan)
{
	(void)arg;
	MUST(ifindex > 0 && vlan < 4096);
	return 0;
}

static int on_uplink(void *arg, int ifindex)
{
	(void)arg;
	MUST(ifindex > 0);
	for (size_t i = 0; i < n_seen; i++)
		MUST(seen[i] != ifindex);
	if (n_seen < sizeof(seen) / sizeof(seen[0]))
		seen[n_seen++] = ifindex;
	return 0;
}

static void check_socket(const struct sockdiag_socket *s)
{
	MUST(s->family == AF_INET || s->family == AF_INET6);
	MUST(s->family == AF_INET6 ||
	     (net_addr_is_v4(s->local.ip) && net_addr_is_v4(s->remote.ip)));
}

static int on_socket(void *arg, const struct sockdiag_socket *s)
{
	(void)arg;
	check_socket(s);
	return 0;
}

static int on_unix(void *arg, const struct sockdiag_unix *s)
{
	(void)arg, (void)s;
	return 0;
}

static void check_route(const struct net_message_route *route)
{
	MUST(route->oifs <= MESSAGE_OIFS);
	for (unsigned i = 0; i < route->oifs; i++)
		MUST(route->oif[i] > 0);
}

static void check_listener(void)
{
	const struct net_addr addr = {.ip = {[10] = 0xff, [11] = 0xff, [12] = 10, [15] = 1},
				      .port = 80};
	struct sockdiag_socket s;

	if (net_sockdiag_listener(&addr, &s) == 0)
		MUST(s.local.port == 80);
}

static void converse(uint8_t what)
{
	const uint8_t ip[16] = {[10] = 0xff, [11] = 0xff, [12] = 10, [15] = 1};
	const struct sockdiag_socket socket = {.family = AF_INET6, .protocol = IPPROTO_TCP};
	int ifindex = 0, fd;

	switch (what) {
	case 'l':
		net_links_each(on_link, NULL, NULL);
		break;
	case 'u':
		n_seen = 0;
		net_links_uplinks(on_uplink, NULL, NULL);
		break;
	case 'i':
		net_links_each_address(on_address, NULL, NULL);
		break;
	case 'p':
		net_links_each_pvid(on_pvid, NULL, NULL);
		break;
	case 'o':
		if (net_links_route_oif(ip, &ifindex) == 0)
			MUST(ifindex > 0);
		break;
	case 's':
		net_sockdiag_each(IPPROTO_TCP, UINT32_MAX, on_socket, NULL, NULL);
		break;
	case 'x':
		net_sockdiag_each_unix(on_unix, NULL);
		break;
	case 'a':
		check_listener();
		break;
	case 'd':
		net_sockdiag_destroy(&socket);
		break;
	case 'w':
		fd = net_links_watch_open();
		net_links_watch_read(fd, on_change, NULL);
		close(fd);
		break;
	}
}

/* In memory that ends with the message, as seen by the sanitizer, and by the processor: libmnl was
 * not built with the sanitizer. */
static void read_all_ways(const struct nlmsghdr *msg)
{
	struct sockdiag_socket socket;
	struct sockdiag_unix local;
	struct net_message_address address;
	struct net_message_route route;
	struct links_link link;
	uint16_t vlan;
	int ifindex;

	if (net_message_address(msg, &address) == 0)
		MUST(address.ifindex > 0);
	if (net_message_pvid(msg, &ifindex, &vlan) == 0)
		on_pvid(NULL, ifindex, vlan);
	if (net_message_socket(msg, IPPROTO_TCP, &socket) == 0)
		check_socket(&socket);
	net_message_unix(msg, &local);
	if (net_message_link(msg, &link) == 0)
		check_link(&link);
	if (net_message_route(msg, &route) == 0)
		check_route(&route);
}

static void single(const uint8_t *data, size_t size)
{
	static uint8_t *page;
	struct nlmsghdr *msg;

	if (size < sizeof(*msg) || size > 4096)
		return;
	if (!page) {
		page = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		if (page == MAP_FAILED || mprotect(page + 4096, 4096, PROT_NONE) < 0)
			abort();
	}
	msg = fuzz_copy(data, size);
	msg->nlmsg_len = (uint32_t)size;
	read_all_ways(msg);
	memmove(page + 4096 - (size + 3) / 4 * 4, msg, size);
	read_all_ways((void *)(page + 4096 - (size + 3) / 4 * 4));
	free(msg);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (!size)
		return 0;
	if (data[0] == 'm') {
		single(data + 1, size - 1);
		return 0;
	}
	kernel = (struct fuzz_input){data + 1, size - 1};
	received = 0;
	converse(data[0]);
	return 0;
}
