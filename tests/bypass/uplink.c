// SPDX-License-Identifier: Apache-2.0
/*
 * Packets that come to the uplink without having been anybody's on the way: frames that a pod's network
 * forwards, which have lost their socket; interfaces that sit right on the uplink; an interface that
 * nobody watches yet; uplinks of other kinds.
 */
#include <fcntl.h>
#include <linux/ethtool.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/if_tun.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/ioctl.h>

#include "bypass.h"

static int send_frame(const char *device, int kind, int protocol, const struct packet *p)
{
	struct sockaddr_ll to = {.sll_family = AF_PACKET, .sll_halen = 6};
	int fd = socket(AF_PACKET, kind, 0), r;

	if (fd < 0)
		return -errno;
	to.sll_protocol = htons((uint16_t)protocol);
	to.sll_ifindex = (int)if_nametoindex(device);
	r = negative(sendto(fd, p->data, p->len, 0, (struct sockaddr *)&to, sizeof(to)));
	return r < 0 ? r : 0;
}

/* To the pod's own loopback interface, which has no address of the link layer. */
static int by_lo(struct row *row, int type, const struct packet *ip)
{
	static const uint8_t nobody[6];
	struct packet p = {0};

	row->gateway = nobody;
	put_ether(&p, row, type);
	put(&p, ip->data, ip->len);
	return send_frame("lo", SOCK_RAW, type, &p);
}

static int by_tun(struct row *row, const struct packet *ip)
{
	int fd = tun_open(row);

	if (fd < 0)
		return fd;
	return write(fd, ip->data, ip->len) < 0 ? -errno : 0;
}

/* ---- the addresses and ports of an exempt pod's connection ---- */

/* The port of its connection of that family, which setup.sh holds. */
static int held_port(int family)
{
	FILE *f = fopen(setting("BYPASS_HELD"), "re");
	int v4, v6;

	if (!f || fscanf(f, "%d %d", &v4, &v6) != 2) {
		fprintf(stderr, "%s: no ports\n", setting("BYPASS_HELD"));
		exit(2);
	}
	fclose(f);
	return family == AF_INET ? v4 : v6;
}

static void put_segment(struct packet *p, int port)
{
	struct tcphdr tcp = {.doff = 5, .ack = 1, .psh = 1, .window = htons(1000)};

	tcp.source = htons((uint16_t)port);
	tcp.dest = htons(80);
	put(p, &tcp, sizeof(tcp));
}

static void borrowed(struct packet *p, int family)
{
	const char *to = family == AF_INET ? IMDS4 : IMDS6;
	size_t start;

	if (family == AF_INET) {
		start = put_ip4(p, to, IPPROTO_TCP, NULL, 0);
		inet_pton(AF_INET, setting("BYPASS_TRUSTED_IP"), p->data + start + 12);
		put_segment(p, held_port(AF_INET));
		end_ip4(p, start, 0);
	} else {
		start = put_ip6(p, to, IPPROTO_TCP);
		inet_pton(AF_INET6, setting("BYPASS_TRUSTED_IP6"), p->data + start + 8);
		put_segment(p, held_port(AF_INET6));
		end_ip6(p, start);
	}
}

static int borrowed_lo4(struct row *row)
{
	struct packet p = {0};

	borrowed(&p, AF_INET);
	return by_lo(row, ETH_P_IP, &p);
}

static int borrowed_lo6(struct row *row)
{
	struct packet p = {0};

	borrowed(&p, AF_INET6);
	return by_lo(row, ETH_P_IPV6, &p);
}

static int borrowed_tun4(struct row *row)
{
	struct packet p = {0};

	borrowed(&p, AF_INET);
	return by_tun(row, &p);
}

static int borrowed_tun6(struct row *row)
{
	struct packet p = {0};

	borrowed(&p, AF_INET6);
	return by_tun(row, &p);
}

/* ---- frames that the pod forwards ---- */

/* Not from an own address: that would be a martian. */
static void stranger4(struct packet *p)
{
	syn4(p, IMDS4);
	inet_pton(AF_INET, "10.99.77.79", p->data + 12);
	end_ip4(p, 0, 0);
}

static void stranger6(struct packet *p)
{
	syn6(p, IMDS6);
	p->data[23] ^= 0x80;
}

static int forwarded_lo4(struct row *row)
{
	struct packet p = {0};

	stranger4(&p);
	return by_lo(row, ETH_P_IP, &p);
}

static int forwarded_lo6(struct row *row)
{
	struct packet p = {0};

	stranger6(&p);
	return by_lo(row, ETH_P_IPV6, &p);
}

static int forwarded_tun4(struct row *row)
{
	struct packet p = {0};

	stranger4(&p);
	return by_tun(row, &p);
}

static int forwarded_tun6(struct row *row)
{
	struct packet p = {0};

	stranger6(&p);
	return by_tun(row, &p);
}

/* The pod's kernel answers with a reset, from a socket of its own. */
static int provoked_reset(struct row *row)
{
	struct packet p = {0};

	syn4_from_to(&p, IMDS4, "10.98.0.50", 9);
	return by_lo(row, ETH_P_IP, &p);
}

static int connect4(struct row *row)
{
	return tcp_to(row, IMDS4, 80, false);
}

/* ---- uplinks of other kinds, of a hostNetwork pod ---- */

/* Until a process has carried what came before: the other end refuses this datagram. */
static void carried(void)
{
	const char *factor = getenv("WAIT_FACTOR");
	const struct timeval wait = {.tv_sec = 5 * (factor ? atoi(factor) : 1)};
	struct sockaddr_storage ss;
	socklen_t len = address(&ss, "10.93.0.2", 9, false);
	int fd = socket(AF_INET, SOCK_DGRAM, 0);
	char byte = 0;

	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait));
	if (connect(fd, (struct sockaddr *)&ss, len) < 0 || send(fd, &byte, 1, 0) < 0 ||
	    recv(fd, &byte, 1, 0) >= 0 || errno != ECONNREFUSED) {
		fprintf(stderr, "nobody at the other end of tunup: %s\n", strerror(errno));
		exit(2);
	}
	close(fd);
}

static int bare(const char *to, int kind, int protocol)
{
	struct packet p = {0};
	int r;

	if (strchr(to, ':'))
		syn6(&p, to);
	else
		syn4(&p, to);
	r = send_frame("tunup", kind, protocol, &p);
	carried();
	return r;
}

static int tun_ip(struct row *row)
{
	(void)row;
	return bare(IMDS4, SOCK_DGRAM, ETH_P_IP);
}

static int tun_arp(struct row *row)
{
	(void)row;
	return bare(IMDS4, SOCK_DGRAM, ETH_P_ARP);
}

static int tun_arp6(struct row *row)
{
	(void)row;
	return bare(IMDS6, SOCK_DGRAM, ETH_P_ARP);
}

static int tun_raw(struct row *row)
{
	(void)row;
	return bare(IMDS4, SOCK_RAW, ETH_P_ARP);
}

/* Shorter than what the kernel takes for a link header of such an interface and an IPv6 header. */
static int short_frame(struct row *row, const char *device, int claim)
{
	struct packet p = {0};

	put_ether(&p, row, ETH_P_IP);
	syn4(&p, IMDS4);
	return send_frame(device, SOCK_RAW, claim, &p);
}

static int vlan_frame(struct row *row)
{
	return short_frame(row, "uplink.5", ETH_P_IP);
}

static int says_ipv6(struct row *row)
{
	return short_frame(row, "uplink", ETH_P_IPV6);
}

/* ---- an interface that is new, while the resolver hangs ---- */

static int late_frame(struct row *row)
{
	static const uint8_t imds[] = {2, 0, 0, 0, 0x98, 2};

	row->gateway = imds;
	return short_frame(row, "late", ETH_P_IP);
}

const struct vector uplink_vectors[] = {
	{"borrowed connection, frame on the pod's lo", borrowed_lo4, .setup = "exempt",
	 .needs = NEEDS_TC},
	{"borrowed connection, frame on the pod's lo, v6", borrowed_lo6, .setup = "exempt",
	 .needs = NEEDS_TC},
	{"borrowed connection, TUN device", borrowed_tun4, .setup = "exempt", .needs = NEEDS_TC},
	{"borrowed connection, TUN device, v6", borrowed_tun6, .setup = "exempt",
	 .needs = NEEDS_TC},
	{"borrowed connection after its end, frame on the pod's lo", borrowed_lo4,
	 .setup = "exempt_ended", .needs = NEEDS_TC},
	{"second interface on the uplink, frame on the pod's lo", forwarded_lo4,
	 .setup = "second_forwards", .needs = NEEDS_TC},
	{"second interface on the uplink, frame on the pod's lo, v6", forwarded_lo6,
	 .setup = "second_forwards", .needs = NEEDS_TC},
	{"second interface on the uplink, TUN device", forwarded_tun4, .setup = "second_forwards",
	 .needs = NEEDS_TC},
	{"second interface on the uplink, TUN device, v6", forwarded_tun6,
	 .setup = "second_forwards", .needs = NEEDS_TC},
	{"second interface on the uplink, a reset of the pod's kernel", provoked_reset,
	 .setup = "second_forwards", .needs = NEEDS_TC},
	{"ipvlan L2 on the uplink, connect", connect4, .setup = "ipvlan_l2", .want = "A",
	 .answers = true},
	{"ipvlan L2 on the uplink, frame on the pod's lo", forwarded_lo4, .setup = "ipvlan_l2",
	 .needs = NEEDS_TC},
	{"ipvlan L2 on the uplink, TUN device", forwarded_tun4, .setup = "ipvlan_l2",
	 .needs = NEEDS_TC},
	{"ipvlan L3 on the uplink, frame on the pod's lo", forwarded_lo4, .setup = "ipvlan_l3",
	 .needs = NEEDS_PACKETS},
	{"ipvlan L3 on the uplink, TUN device", forwarded_tun4, .setup = "ipvlan_l3",
	 .needs = NEEDS_PACKETS},
	{"new interface, resolver hangs, node forwards below netfilter, AF_PACKET", late_frame,
	 .setup = "late", .needs = NEEDS_TC},
	{"new interface, resolver hangs, node forwards below netfilter, TUN", forwarded_tun4,
	 .setup = "late", .needs = NEEDS_TC},
	{"new interface, resolver hangs, node forwards below netfilter, TUN v6", forwarded_tun6,
	 .setup = "late", .needs = NEEDS_TC},
	{"AF_PACKET on a tun uplink, of a hostNetwork pod", tun_ip, .place = "hostpod",
	 .setup = "tun_uplink", .needs = NEEDS_TC},
	{"AF_PACKET on a tun uplink that says ARP, of a hostNetwork pod", tun_arp,
	 .place = "hostpod", .setup = "tun_uplink", .needs = NEEDS_TC},
	{"AF_PACKET v6 on a tun uplink that says ARP, of a hostNetwork pod", tun_arp6,
	 .place = "hostpod", .setup = "tun_uplink", .needs = NEEDS_TC},
	{"AF_PACKET raw on a tun uplink that says ARP, of a hostNetwork pod", tun_raw,
	 .place = "hostpod", .setup = "tun_uplink", .needs = NEEDS_TC},
	{"AF_PACKET on a VLAN interface, of a hostNetwork pod", vlan_frame, .place = "hostpod",
	 .setup = "vlan_uplink", .needs = NEEDS_TC},
	{"AF_PACKET on a VLAN interface without offload, of a hostNetwork pod", vlan_frame,
	 .place = "hostpod", .setup = "vlan_plain_uplink", .needs = NEEDS_TC},
	{"AF_PACKET that says IPv6 and is IPv4, of a hostNetwork pod", says_ipv6,
	 .place = "hostpod", .needs = NEEDS_TC},
	{0},
};

/* ---- the tun uplink's other end ---- */

static int tun_named(const char *name)
{
	int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC);
	struct ifreq req = {.ifr_flags = IFF_TUN | IFF_NO_PI};

	snprintf(req.ifr_name, sizeof(req.ifr_name), "%s", name);
	if (fd < 0 || ioctl(fd, TUNSETIFF, &req) < 0) {
		perror("tun");
		exit(1);
	}
	return fd;
}

static void carry(int from, int to)
{
	uint8_t data[2048];
	ssize_t n = read(from, data, sizeof(data));

	if (n > 0 && write(to, data, (size_t)n) < 0 && errno != EIO) /* EIO: it is not up */
		perror("wire");
}

int wire(const char *near_netns, const char *far_netns)
{
	struct pollfd ends[2] = {{.events = POLLIN}, {.events = POLLIN}};

	join_netns(near_netns);
	ends[0].fd = tun_named("tunup");
	join_netns(far_netns);
	ends[1].fd = tun_named("tunfar");
	printf("ready\n");
	fflush(stdout);
	while (poll(ends, 2, -1) >= 0)
		for (int i = 0; i < 2; i++)
			if (ends[i].revents & POLLIN)
				carry(ends[i].fd, ends[!i].fd);
	return 1;
}

/* ---- what setup.sh needs besides ---- */

/* The connection stays as long as this process. Returns its port. */
static int held(const char *host)
{
	struct sockaddr_storage ss;
	socklen_t len = address(&ss, host, 80, false);
	int fd = socket(ss.ss_family, SOCK_STREAM, 0);

	if (fd < 0 || connect(fd, (struct sockaddr *)&ss, len) < 0 ||
	    getsockname(fd, (struct sockaddr *)&ss, &len) < 0) {
		fprintf(stderr, "%s: %s\n", host, strerror(errno));
		exit(1);
	}
	/* at the same place in both families */
	return ntohs(((struct sockaddr_in *)&ss)->sin_port);
}

int hold(void)
{
	int v4 = held(IMDS4), v6 = held(IMDS6);

	printf("%d %d\n", v4, v6);
	fflush(stdout);
	pause();
	return 0;
}

static int ethtool(const char *device, struct ethtool_value *value)
{
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), r;
	struct ifreq req = {.ifr_data = (char *)value};

	snprintf(req.ifr_name, sizeof(req.ifr_name), "%s", device);
	r = ioctl(fd, SIOCETHTOOL, &req);
	close(fd);
	return r;
}

int txvlan(const char *device, bool on)
{
	struct ethtool_value flags = {.cmd = ETHTOOL_GFLAGS};

	if (ethtool(device, &flags) < 0)
		return 1;
	flags.cmd = ETHTOOL_SFLAGS;
	flags.data = on ? flags.data | ETH_FLAG_TXVLAN : flags.data & ~(uint32_t)ETH_FLAG_TXVLAN;
	return ethtool(device, &flags) < 0;
}
