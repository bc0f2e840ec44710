// SPDX-License-Identifier: Apache-2.0
/*
 * The real metadata service: answers on its addresses, and counts every packet that arrives for
 * one of them, whatever its protocol, before the kernel looks at it.
 */
#include <linux/if_arp.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/sockios.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/un.h>

#include "bypass.h"

#define MAX_FDS	  256
#define AGAIN_MS  20 /* between two looks at a connection that cannot be answered yet */
#define QUESTIONS 1 /* fds[0] counts, fds[1] is asked */

static struct pollfd fds[MAX_FDS];
static int n_fds;
static int n_datagram; /* sockets after those two; then come listeners, then connections */

static int must(long result, const char *what)
{
	if (result < 0) {
		fprintf(stderr, "imds: %s: %s\n", what, strerror(errno));
		exit(1);
	}
	return (int)result;
}

static void serve_fd(int fd)
{
	if (n_fds == MAX_FDS)
		exit(1);
	fds[n_fds++] = (struct pollfd){.fd = fd, .events = POLLIN};
}

static bool is_guarded4(const uint8_t *addr)
{
	static const char *const all[] = {IMDS4, ECS4, POD4, STS4};
	struct in_addr want;

	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		if (inet_pton(AF_INET, all[i], &want) == 1 && !memcmp(addr, &want, 4))
			return true;
	return false;
}

static bool is_guarded6(const uint8_t *addr)
{
	static const char *const all[] = {IMDS6, POD6, STS6, "::ffff:" IMDS4};
	struct in6_addr want;

	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		if (inet_pton(AF_INET6, all[i], &want) == 1 && !memcmp(addr, &want, 16))
			return true;
	return false;
}

/* A frame whose IP destination is guarded, below any number of VLAN tags. */
static bool is_ours(const uint8_t *frame, size_t len)
{
	size_t at = 12;

	while (at + 2 <= len) {
		unsigned type = (unsigned)frame[at] << 8 | frame[at + 1];

		at += 2;
		if (type == ETH_P_8021Q || type == ETH_P_8021AD)
			at += 2;
		else if (type == ETH_P_IP)
			return at + 20 <= len && is_guarded4(frame + at + 16);
		else if (type == ETH_P_IPV6)
			return at + 40 <= len && is_guarded6(frame + at + 24);
		else
			return false;
	}
	return false;
}

/* As it comes out of an interface without link header. */
static bool is_our_packet(const uint8_t *packet, size_t len)
{
	return packet[0] >> 4 == 6 ? len >= 40 && is_guarded6(packet + 24)
				   : len >= 20 && is_guarded4(packet + 16);
}

static void count(int fd, uint64_t *reached)
{
	struct sockaddr_ll from;
	socklen_t from_len = sizeof(from);
	uint8_t frame[2048];
	ssize_t n;

	while ((n = recvfrom(fd, frame, sizeof(frame), MSG_DONTWAIT, (struct sockaddr *)&from,
			     &from_len)) > 0)
		if (from.sll_pkttype != PACKET_OUTGOING &&
		    (from.sll_hatype == ARPHRD_NONE ? is_our_packet(frame, (size_t)n)
						    : is_ours(frame, (size_t)n)))
			(*reached)++;
}

static void echo(int fd)
{
	struct sockaddr_storage from;
	socklen_t len = sizeof(from);
	char data[64], answer[80];
	ssize_t n =
		recvfrom(fd, data, sizeof(data) - 1, MSG_DONTWAIT, (struct sockaddr *)&from, &len);

	if (n < 0)
		return;
	data[n] = '\0';
	n = snprintf(answer, sizeof(answer), "REAL %s", data);
	sendto(fd, answer, (size_t)n, MSG_DONTWAIT, (struct sockaddr *)&from, len);
}

/* Answered once it can be: Fast Open hands a connection over before its handshake has ended, and MPTCP
 * takes no data until then. */
static void welcome(int listener)
{
	int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	if (fd < 0)
		return;
	serve_fd(fd);
	fds[n_fds - 1].events = POLLOUT;
}

static void bid_farewell(int i)
{
	close(fds[i].fd);
	fds[i] = fds[--n_fds];
}

/* The client has ended it. What it has sent is still to be read then. */
static bool is_over(int fd)
{
	char byte;
	ssize_t n = recv(fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT);

	return n == 0 || (n < 0 && errno == ECONNRESET);
}

/* It stays open then, and silent, until the client ends it: a FIN would be acknowledged much later, and
 * counted for another row. Whatever else an early socket of MPTCP says, it is asked again. */
static void answer(int i)
{
	if (send(fds[i].fd, "REAL service\n", 13, MSG_NOSIGNAL) >= 0)
		fds[i].events = POLLIN;
	else if (errno != EAGAIN && is_over(fds[i].fd))
		bid_farewell(i);
}

/* A connection that was answered: wait for its end. */
static void linger(int i)
{
	char data[256];
	ssize_t n = recv(fds[i].fd, data, sizeof(data), MSG_DONTWAIT);

	if (n <= 0 && !(n < 0 && errno == EAGAIN))
		bid_farewell(i);
}

static void listen_on_80(int protocol)
{
	struct sockaddr_in6 any = {.sin6_family = AF_INET6, .sin6_port = htons(80)};
	int fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, protocol);

	if (fd < 0 && protocol == IPPROTO_MPTCP)
		fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, IPPROTO_TCP);
	must(fd, "socket");
	must(bind(fd, (struct sockaddr *)&any, sizeof(any)), "bind");
	set_int(fd, IPPROTO_TCP, TCP_FASTOPEN, 64);
	must(listen(fd, 64), "listen");
	serve_fd(fd);
}

/* A socket for each address: the echo then comes from the one that was asked. */
static void datagrams(int protocol)
{
	static const char *const all[] = {IMDS4, IMDS6};
	static const int ports[] = {53, 80, 123};

	for (size_t i = 0; i < 2; i++)
		for (size_t p = 0; p < 3; p++) {
			struct sockaddr_storage ss;
			socklen_t len = address(&ss, all[i], ports[p], false);
			int fd = socket(ss.ss_family, SOCK_DGRAM | SOCK_CLOEXEC, protocol);

			if (fd < 0)
				continue; /* UDP-Lite may be gone from a kernel */
			must(bind(fd, (struct sockaddr *)&ss, len), "bind datagram");
			serve_fd(fd);
		}
}

/* Asked over a UNIX socket: what the kernel has delivered by now, however late we are. */
static int listen_for_questions(const char *path)
{
	struct sockaddr_un un = {.sun_family = AF_UNIX};
	int fd = must(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), "AF_UNIX");

	snprintf(un.sun_path, sizeof(un.sun_path), "%s", path);
	unlink(path);
	must(bind(fd, (struct sockaddr *)&un, sizeof(un)), path);
	must(listen(fd, 64), path);
	return fd;
}

static void tell(int listener, const uint64_t *reached)
{
	int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);

	if (fd < 0)
		return;
	send(fd, reached, sizeof(*reached), MSG_NOSIGNAL);
	close(fd);
}

/* Of a socket of MPTCP that Fast Open handed over early, the kernel may take the answer and never send it (seen
 * with 6.18: some of 10,000 connections on a busy machine). An option that is set makes it look again. */
static bool is_unsent(int fd)
{
	int unsent = 0;

	if (ioctl(fd, SIOCOUTQNSD, &unsent) < 0 || unsent <= 0)
		return false;
	set_int(fd, IPPROTO_TCP, TCP_NODELAY, 1);
	return true;
}

/* Such a socket may also become writable without a word to poll(2). */
static bool unanswered(int first)
{
	bool found = false;

	for (int i = first; i < n_fds; i++)
		found |= fds[i].events == POLLOUT || is_unsent(fds[i].fd);
	return found;
}

int imds_serve(const char *counter)
{
	uint64_t reached = 0;
	int first;

	serve_fd(must(socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, htons(ETH_P_ALL)), "AF_PACKET"));
	serve_fd(listen_for_questions(counter));
	datagrams(IPPROTO_UDP);
	datagrams(IPPROTO_UDPLITE);
	n_datagram = n_fds - 2;
	listen_on_80(IPPROTO_MPTCP);
	first = n_fds;
	printf("ready\n");
	fflush(stdout);
	for (;;) {
		if (poll(fds, (nfds_t)n_fds, unanswered(first) ? AGAIN_MS : -1) < 0)
			continue;
		for (int i = n_fds - 1; i > QUESTIONS; i--) {
			if (fds[i].events == POLLOUT)
				answer(i);
			else if (!fds[i].revents)
				continue;
			else if (i <= QUESTIONS + n_datagram)
				echo(fds[i].fd);
			else if (i < first)
				welcome(fds[i].fd);
			else
				linger(i);
		}
		count(fds[0].fd, &reached);
		if (fds[QUESTIONS].revents)
			tell(fds[QUESTIONS].fd, &reached);
	}
}
