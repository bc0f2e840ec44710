// SPDX-License-Identifier: Apache-2.0
/*
 * The other way round: a connection that podcred has sent to the agent, and that somebody leads astray.
 * The hijacker answers in the agent's place. He must not get a byte, nor may his answer be read.
 */
#include <fcntl.h>
#include <linux/bpf.h>
#include <linux/filter.h>
#include <netinet/ip.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#include "bypass.h"

#define ANSWER	  "HIJACK\n"
#define RAW_PORT  8082
#define COPY_PORT 8083 /* as that, and the agent gets a copy of the SYN */

/* ---- the hijacker ---- */

static _Atomic uint64_t *seen; /* bytes, shared by all of them */

struct service {
	int port;
	bool reads_first;
};

static void *talk(void *arg)
{
	intptr_t value = (intptr_t)arg;
	int fd = (int)(value >> 1);
	char data[256];
	ssize_t n;

	if (!(value & 1))
		send(fd, ANSWER, strlen(ANSWER), MSG_NOSIGNAL);
	while ((n = recv(fd, data, sizeof(data), 0)) > 0) {
		*seen += (uint64_t)n;
		if (value & 1)
			send(fd, ANSWER, strlen(ANSWER), MSG_NOSIGNAL);
	}
	close(fd);
	return NULL;
}

static int listen_to(int port)
{
	struct sockaddr_in6 any = {.sin6_family = AF_INET6, .sin6_port = htons((uint16_t)port)};
	int fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);

	set_int(fd, SOL_SOCKET, SO_REUSEADDR, 1);
	if (bind(fd, (struct sockaddr *)&any, sizeof(any)) < 0 || listen(fd, 64) < 0) {
		perror("hijacker");
		exit(1);
	}
	return fd;
}

static void *serve(void *arg)
{
	const struct service *service = arg;
	int listener = listen_to(service->port);

	set_int(listener, IPPROTO_TCP, TCP_FASTOPEN, 64);
	for (;;) {
		intptr_t fd = accept(listener, NULL, NULL);
		pthread_t thread;

		if (fd < 0)
			continue;
		if (pthread_create(&thread, NULL, talk, (void *)(fd << 1 | service->reads_first)) ==
		    0)
			pthread_detach(thread);
	}
	return NULL;
}

/* A segment to whoever sent this one. */
static void segment(int fd, const struct iphdr *ip, const struct tcphdr *tcp, bool syn,
		    const char *data)
{
	struct {
		uint32_t from, to;
		struct tcphdr tcp;
		char data[16];
	} __attribute__((packed)) s = {.from = ip->daddr, .to = ip->saddr};
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_addr.s_addr = ip->saddr};
	size_t len = sizeof(s.tcp) + strlen(data);

	s.tcp = (struct tcphdr){.doff = 5, .ack = 1, .syn = syn, .psh = !syn};
	s.tcp.source = tcp->dest;
	s.tcp.dest = tcp->source;
	s.tcp.seq = htonl(syn ? 1000 : 1001);
	s.tcp.ack_seq = htonl(ntohl(tcp->seq) + 1);
	s.tcp.window = htons(60000);
	memcpy(s.data, data, strlen(data));
	s.tcp.check = checksum(&s, 8 + len, (uint32_t)(IPPROTO_TCP + len));
	sendto(fd, &s.tcp, len, 0, (struct sockaddr *)&to, sizeof(to));
}

/* What the agent would have got. With another TTL, for which it is not led astray. */
static void copy_to_agent(int fd, const struct iphdr *ip, const struct tcphdr *tcp)
{
	struct {
		struct iphdr ip;
		struct tcphdr tcp;
	} __attribute__((packed)) s = {0};
	struct {
		uint32_t from, to;
		struct tcphdr tcp;
	} __attribute__((packed)) pseudo = {.from = ip->saddr};
	struct sockaddr_in to = {.sin_family = AF_INET};

	inet_pton(AF_INET, NODE4, &to.sin_addr);
	pseudo.to = to.sin_addr.s_addr;
	pseudo.tcp = (struct tcphdr){.doff = 5, .syn = 1, .source = tcp->source, .seq = tcp->seq};
	pseudo.tcp.dest = htons(AGENT_PORT);
	pseudo.tcp.window = htons(60000);
	pseudo.tcp.check = checksum(&pseudo, sizeof(pseudo), IPPROTO_TCP + sizeof(pseudo.tcp));
	s.ip = (struct iphdr){.version = 4, .ihl = 5, .ttl = 63, .protocol = IPPROTO_TCP};
	s.ip.saddr = pseudo.from;
	s.ip.daddr = pseudo.to;
	s.tcp = pseudo.tcp;
	sendto(fd, &s, sizeof(s), 0, (struct sockaddr *)&to, sizeof(to));
}

/* By hand: answers each SYN, and sends his data right behind, before he has heard anything. The listener
 * is deaf; without one the kernel would send a reset. */
static void *serve_raw(void *arg)
{
	struct sock_filter nothing[] = {BPF_STMT(BPF_RET | BPF_K, 0)};
	struct sock_fprog filter = {.len = 1, .filter = nothing};
	int fd = socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_TCP);
	int whole = socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_RAW);
	int deaf[] = {listen_to(RAW_PORT), listen_to(COPY_PORT)};
	uint8_t data[2048];
	ssize_t n;

	for (int i = 0; i < 2; i++)
		setsockopt(deaf[i], SOL_SOCKET, SO_ATTACH_FILTER, &filter, sizeof(filter));
	while ((n = recv(fd, data, sizeof(data), 0)) > 0) {
		const struct iphdr *ip = (struct iphdr *)data;
		const struct tcphdr *tcp = (struct tcphdr *)(data + ip->ihl * 4);
		size_t head = ip->ihl * 4U + tcp->doff * 4U;

		if (tcp->dest != htons(RAW_PORT) && tcp->dest != htons(COPY_PORT))
			continue;
		*seen += (size_t)n > head ? (size_t)n - head : 0;
		if (!tcp->syn)
			continue;
		if (tcp->dest == htons(COPY_PORT))
			copy_to_agent(whole, ip, tcp);
		segment(fd, ip, tcp, true, "");
		segment(fd, ip, tcp, false, ANSWER);
	}
	return arg;
}

static _Atomic uint64_t *seen_map(void)
{
	int fd = open(setting("BYPASS_HIJACKED"), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	void *map;

	if (fd < 0 || ftruncate(fd, sizeof(*seen)) < 0)
		return NULL;
	map = mmap(NULL, sizeof(*seen), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	return map == MAP_FAILED ? NULL : map;
}

uint64_t hijacked_by_now(void)
{
	if (!seen)
		seen = seen_map();
	return seen ? *seen : 0;
}

int hijack_serve(void)
{
	static struct service first = {8080, false}, later = {8081, true};
	pthread_t threads[3];

	seen = seen_map();
	if (!seen || pthread_create(&threads[0], NULL, serve, &first) != 0 ||
	    pthread_create(&threads[1], NULL, serve, &later) != 0 ||
	    pthread_create(&threads[2], NULL, serve_raw, NULL) != 0)
		return 1;
	printf("ready\n");
	fflush(stdout);
	return pthread_join(threads[0], NULL);
}

/* A connect hook that runs after podcred's: what it sends to the agent goes to HOST. */
int hijack_connect4(const char *cgroup, const char *host)
{
	int dir = open(cgroup, O_RDONLY | O_DIRECTORY | O_CLOEXEC), prog, link;
	struct in_addr agent, to;
	struct bpf_insn insns[] = {
		{.code = BPF_LDX | BPF_MEM | BPF_W, .dst_reg = 2, .src_reg = 1, .off = 4},
		{.code = BPF_JMP32 | BPF_JNE | BPF_K, .dst_reg = 2, .off = 4},
		{.code = BPF_ALU | BPF_MOV | BPF_K, .dst_reg = 2},
		{.code = BPF_STX | BPF_MEM | BPF_W, .dst_reg = 1, .src_reg = 2, .off = 4},
		{.code = BPF_ALU | BPF_MOV | BPF_K, .dst_reg = 2, .imm = htons(8080)},
		{.code = BPF_STX | BPF_MEM | BPF_W, .dst_reg = 1, .src_reg = 2, .off = 24},
		{.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = 0, .imm = 1},
		{.code = BPF_JMP | BPF_EXIT},
	};
	union bpf_attr load = {.prog_type = BPF_PROG_TYPE_CGROUP_SOCK_ADDR,
			       .expected_attach_type = BPF_CGROUP_INET4_CONNECT,
			       .insns = (uintptr_t)insns,
			       .insn_cnt = sizeof(insns) / sizeof(insns[0]),
			       .license = (uintptr_t) "GPL"};
	union bpf_attr attach = {0};
	static const struct rlimit all = {RLIM_INFINITY, RLIM_INFINITY};

	setrlimit(RLIMIT_MEMLOCK, &all); /* before Linux 5.11 programs count */
	inet_pton(AF_INET, NODE4, &agent);
	inet_pton(AF_INET, host, &to);
	insns[1].imm = (int)agent.s_addr;
	insns[2].imm = (int)to.s_addr;
	prog = (int)syscall(SYS_bpf, BPF_PROG_LOAD, &load, sizeof(load));
	if (prog < 0) {
		perror("hijacker's program");
		return 1;
	}
	attach.link_create.prog_fd = (uint32_t)prog;
	attach.link_create.target_fd = (uint32_t)dir;
	attach.link_create.attach_type = BPF_CGROUP_INET4_CONNECT;
	link = (int)syscall(SYS_bpf, BPF_LINK_CREATE, &attach, sizeof(attach));
	if (link < 0) {
		perror("hijacker's link");
		return 1;
	}
	printf("ready\n");
	fflush(stdout);
	pause(); /* the link ends with this process */
	return 0;
}

/* ---- the victim ---- */

static int ask(struct row *row, int fd, const char *host, bool as_mapped)
{
	int r = fd < 0 ? -errno : dial(fd, host, 80, as_mapped);

	if (r == 0 && send(fd, "token\n", 6, MSG_NOSIGNAL) < 0)
		r = -errno;
	return r < 0 ? r : hear(row, fd);
}

static int ask4(struct row *row)
{
	return ask(row, socket(AF_INET, SOCK_STREAM, 0), POD4, false);
}

static int ask_mapped(struct row *row)
{
	return ask(row, socket(AF_INET6, SOCK_STREAM, 0), POD4, true);
}

static int ask6(struct row *row)
{
	return ask(row, socket(AF_INET6, SOCK_STREAM, 0), POD6, false);
}

static int ask_mptcp(struct row *row)
{
	int fd = socket(AF_INET, SOCK_STREAM, IPPROTO_MPTCP);

	return fd < 0 ? absent(row, "no MPTCP in this kernel") : ask(row, fd, POD4, false);
}

static int ask_bound(struct row *row)
{
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, row->device, (socklen_t)strlen(row->device));
	return ask(row, fd, POD4, false);
}

/* Past connect(2), which would refuse it. */
static int ask_bound_later(struct row *row)
{
	int fd = socket(AF_INET, SOCK_STREAM, 0), r;

	set_int(fd, IPPROTO_TCP, TCP_FASTOPEN_CONNECT, 1);
	r = dial(fd, POD4, 80, false);
	setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, row->device, (socklen_t)strlen(row->device));
	if (r == 0 && send(fd, "token\n", 6, MSG_NOSIGNAL) < 0)
		r = -errno;
	return r < 0 ? r : hear(row, fd);
}

static int only_reads(struct row *row)
{
	int fd = socket(AF_INET, SOCK_STREAM, 0), r = dial(fd, POD4, 80, false);

	return r < 0 ? r : hear(row, fd);
}

static int nonblocking(struct row *row)
{
	struct sockaddr_storage ss;
	socklen_t len = address(&ss, POD4, 80, false);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	struct pollfd p = {.fd = fd, .events = POLLOUT};

	if (connect(fd, (struct sockaddr *)&ss, len) < 0 && errno != EINPROGRESS)
		return -errno;
	if (poll(&p, 1, wait_ms(WAIT_MS)) <= 0)
		return 0;
	if (send(fd, "token\n", 6, MSG_NOSIGNAL) < 0)
		return -errno;
	fcntl(fd, F_SETFL, 0);
	socket_timeouts(fd);
	return hear(row, fd);
}

static int fastopen(struct row *row)
{
	struct sockaddr_storage ss;
	socklen_t len = address(&ss, POD4, 80, false);
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	socket_timeouts(fd);
	set_int(fd, IPPROTO_TCP, TCP_FASTOPEN_NO_COOKIE, 1);
	if (sendto(fd, "token\n", 6, MSG_FASTOPEN, (struct sockaddr *)&ss, len) < 0)
		return -errno;
	return hear(row, fd);
}

static int fastopen_connect(struct row *row)
{
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	set_int(fd, IPPROTO_TCP, TCP_FASTOPEN_CONNECT, 1);
	set_int(fd, IPPROTO_TCP, TCP_FASTOPEN_NO_COOKIE, 1);
	return ask(row, fd, POD4, false);
}

static int options(struct row *row)
{
	static const uint8_t nops[] = {1, 1, 1, 1, 1, 1, 1, 1};
	struct sockaddr_storage ss;
	socklen_t len = address(&ss, POD4, 80, false);
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	socket_timeouts(fd);
	setsockopt(fd, IPPROTO_IP, IP_OPTIONS, nops, sizeof(nops));
	set_int(fd, IPPROTO_TCP, TCP_FASTOPEN_NO_COOKIE, 1);
	if (sendto(fd, "token\n", 6, MSG_FASTOPEN, (struct sockaddr *)&ss, len) < 0)
		return -errno;
	return hear(row, fd);
}

static int headers6(struct row *row)
{
	static const uint8_t padding[] = {0, 0, 1, 4, 0, 0, 0, 0};
	struct sockaddr_storage ss;
	socklen_t len = address(&ss, POD6, 80, false);
	int fd = socket(AF_INET6, SOCK_STREAM, 0);

	socket_timeouts(fd);
	setsockopt(fd, IPPROTO_IPV6, IPV6_DSTOPTS, padding, sizeof(padding));
	set_int(fd, IPPROTO_TCP, TCP_FASTOPEN_NO_COOKIE, 1);
	if (sendto(fd, "token\n", 6, MSG_FASTOPEN, (struct sockaddr *)&ss, len) < 0)
		return -errno;
	return hear(row, fd);
}

static int the_agent(struct row *row)
{
	int fd = socket(AF_INET, SOCK_STREAM, 0), r = dial(fd, NODE4, AGENT_PORT, false);

	if (r == 0 && send(fd, "token\n", 6, MSG_NOSIGNAL) < 0)
		r = -errno;
	return r < 0 ? r : hear(row, fd);
}

#define ASTRAY(...)   .hijacked = true, .without = "H", .want = "stop", __VA_ARGS__
#define ON_NODE	      .place = "hostpod"
#define NEEDS_INGRESS .needs = "cgroup-ingress"

const struct vector hijack_vectors[] = {
	{"NAT to another pod", ask4, ASTRAY(.setup = "hijack_dnat")},
	{"NAT to another pod, v4-mapped", ask_mapped, ASTRAY(.setup = "hijack_dnat")},
	{"NAT to another pod, v6", ask6, ASTRAY(.setup = "hijack_dnat")},
	{"NAT to another pod, of a hostNetwork pod", ask4, ASTRAY(.setup = "hijack_dnat", ON_NODE)},
	{"NAT to another pod, v6, of a hostNetwork pod", ask6,
	 ASTRAY(.setup = "hijack_dnat", ON_NODE)},
	{"NAT to another pod, client only reads", only_reads, ASTRAY(.setup = "hijack_dnat")},
	{"NAT to another pod, nonblocking", nonblocking, ASTRAY(.setup = "hijack_dnat")},
	{"NAT to another pod, MPTCP", ask_mptcp, ASTRAY(.setup = "hijack_dnat")},
	{"NAT to another pod, the agent itself dialled", the_agent, ASTRAY(.setup = "hijack_dnat")},
	{"NAT to another pod, Fast Open", fastopen, ASTRAY(.setup = "hijack_dnat")},
	{"NAT to another pod, TCP_FASTOPEN_CONNECT", fastopen_connect,
	 ASTRAY(.setup = "hijack_dnat")},
	{"NAT to another pod, Fast Open, IP options", options, ASTRAY(.setup = "hijack_dnat")},
	{"NAT to another pod, Fast Open, v6 destination options", headers6,
	 ASTRAY(.setup = "hijack_dnat")},
	{"NAT to another pod, Fast Open, of a hostNetwork pod", fastopen,
	 ASTRAY(.setup = "hijack_dnat", ON_NODE)},
	{"NAT to another pod, SO_BINDTODEVICE", ask_bound, .hijacked = true, .without = "EACCES",
	 .want = "EACCES", .setup = "hijack_dnat"},
	{"NAT to another pod, which reads before it answers", ask4,
	 ASTRAY(.setup = "hijack_reads")},
	{"NAT to another pod, masqueraded", ask4, ASTRAY(.setup = "hijack_masquerade")},
	{"NAT to another pod, masqueraded, v6", ask6, ASTRAY(.setup = "hijack_masquerade")},
	{"NAT to a raw socket that answers blindly", ask4,
	 ASTRAY(.setup = "hijack_raw", NEEDS_INGRESS)},
	{"NAT to a raw socket, client only reads", only_reads,
	 ASTRAY(.setup = "hijack_raw", NEEDS_INGRESS)},
	{"NAT to a raw socket that sends the agent a copy", ask4,
	 ASTRAY(.setup = "hijack_copy", NEEDS_INGRESS)},
	/* While connect(2) holds the socket: tests/bpf/answer.bpf.c. */
	{"NAT to a program that answers in the softirq of the SYN", ask4,
	 ASTRAY(.setup = "hijack_softirq", NEEDS_INGRESS)},
	{"NAT to a program that answers in the softirq of the SYN, client only reads", only_reads,
	 ASTRAY(.setup = "hijack_softirq", NEEDS_INGRESS)},
	{"NAT to a program that answers in the softirq of the SYN, nonblocking", nonblocking,
	 ASTRAY(.setup = "hijack_softirq", NEEDS_INGRESS)},
	{"NAT to a port of the node", ask4, ASTRAY(.setup = "hijack_redirect")},
	{"NAT to a port of the node, v6", ask6, ASTRAY(.setup = "hijack_redirect")},
	{"NAT to a port of the node, of a hostNetwork pod", ask4,
	 ASTRAY(.setup = "hijack_redirect", ON_NODE)},
	{"NAT by iptables-legacy", ask4, ASTRAY(.setup = "hijack_legacy")},
	{"NAT by IPVS", ask4, ASTRAY(.setup = "hijack_ipvs")},
	{"rewritten without connection tracking", ask4, ASTRAY(.setup = "hijack_stateless")},
	{"taken over by a sidecar in the pod", ask4, ASTRAY(.setup = "hijack_sidecar")},
	{"connect hook that runs later", ask4, ASTRAY(.setup = "hijack_connect4")},
	{"connect hook that runs later, of a hostNetwork pod", ask4,
	 ASTRAY(.setup = "hijack_connect4", ON_NODE)},
	/* The last: it cannot be bound to nothing, and its last words may come late. */
	{"NAT to another pod, bound after connect(2)", ask_bound_later,
	 ASTRAY(.setup = "hijack_dnat", NEEDS_INGRESS)},
	{0},
};
