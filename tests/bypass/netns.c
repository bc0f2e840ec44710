// SPDX-License-Identifier: Apache-2.0
/* What CAP_NET_ADMIN in the pod's network can do: addresses, routes, filters, devices. And what the
 * node's own rules do. setup.sh prepares it. */
#include <fcntl.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <poll.h>
#include <sys/ioctl.h>

#include "bypass.h"

static int imds4(struct row *row)
{
	return tcp_to(row, IMDS4, 80, false);
}

static int imds6(struct row *row)
{
	return tcp_to(row, IMDS6, 80, false);
}

static int service4(struct row *row)
{
	return tcp_to(row, SERVICE4, 80, false);
}

static int service6(struct row *row)
{
	return tcp_to(row, SERVICE6, 80, false);
}

static int service_udp(struct row *row)
{
	return send_and_hear(row, socket(AF_INET, SOCK_DGRAM, 0), SERVICE4, 80, false);
}

static int other6(struct row *row)
{
	return tcp_to(row, OTHER6, 80, false);
}

static int raw4(struct row *row)
{
	int fd = socket(AF_INET, SOCK_RAW, IPPROTO_RAW), r;
	struct sockaddr_storage ss;
	socklen_t len = address(&ss, IMDS4, 0, false);
	struct packet p = {0};

	(void)row;
	syn4(&p, IMDS4);
	r = negative(sendto(fd, p.data, p.len, 0, (struct sockaddr *)&ss, len));
	return r < 0 ? r : 0;
}

static int frame_on(struct row *row, const char *device, const uint8_t *gateway)
{
	struct sockaddr_ll to = {.sll_family = AF_PACKET};
	int fd = socket(AF_PACKET, SOCK_RAW, 0), r;
	struct packet p = {0};

	to.sll_ifindex = (int)if_nametoindex(device);
	row->gateway = gateway;
	put_ether(&p, row, ETH_P_IP);
	syn4(&p, IMDS4);
	r = negative(sendto(fd, p.data, p.len, 0, (struct sockaddr *)&to, sizeof(to)));
	return r < 0 ? r : 0;
}

/* ---- a namespace behind the pod's ---- */

static int nested_connect(struct row *row)
{
	join_netns(setting("BYPASS_NESTED_NETNS"));
	return imds4(row);
}

static int nested_raw(struct row *row)
{
	join_netns(setting("BYPASS_NESTED_NETNS"));
	return raw4(row);
}

static int nested_frame(struct row *row)
{
	static const uint8_t pod[] = {2, 0, 0, 0, 0x96, 1};

	join_netns(setting("BYPASS_NESTED_NETNS"));
	return frame_on(row, "eth0", pod);
}

static int nested_udplite(struct row *row)
{
	int fd;

	join_netns(setting("BYPASS_NESTED_NETNS"));
	fd = socket(AF_INET, SOCK_DGRAM, IPPROTO_UDPLITE);
	return fd < 0 ? absent(row, "no UDP-Lite in this kernel")
		      : send_and_hear(row, fd, IMDS4, 80, false);
}

static int macvlan_frame(struct row *row)
{
	const uint8_t *bridge = row->gateway;

	join_netns(setting("BYPASS_NESTED_NETNS"));
	return frame_on(row, "mac0", bridge);
}

/* ---- past the bridge ---- */

static int second_udplite(struct row *row)
{
	int fd = socket(AF_INET, SOCK_DGRAM, IPPROTO_UDPLITE), r;

	if (fd < 0)
		return absent(row, "no UDP-Lite in this kernel");
	r = dial(fd, IMDS4, 80, false);
	if (r == 0)
		r = negative(send(fd, "ping\n", 5, 0));
	return r < 0 ? r : hear(row, fd);
}

static int second_frame(struct row *row)
{
	static const uint8_t imds[] = {2, 0, 0, 0, 0x98, 2};

	return frame_on(row, "mv0", imds);
}

static int frame_to_other(struct row *row)
{
	static const uint8_t other[] = {2, 0, 0, 0, 0x95, 1};

	return frame_on(row, "eth0", other);
}

/* ---- a TUN device: the pod forwards what a process writes ---- */

int tun_open(struct row *row)
{
	struct ifreq up = {.ifr_name = "tun0"};
	struct ifreq req = {.ifr_name = "tun0"};
	int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC), control = socket(AF_INET, SOCK_DGRAM, 0);

	if (fd < 0)
		return absent(row, "no /dev/net/tun");
	req.ifr_flags = IFF_TUN | IFF_NO_PI;
	up.ifr_flags = IFF_UP;
	if (ioctl(fd, TUNSETIFF, &req) < 0 || ioctl(control, SIOCSIFFLAGS, &up) < 0)
		return -errno;
	close(control);
	return fd;
}

static int tun4(struct row *row)
{
	int fd = tun_open(row);
	struct packet p = {0};

	if (fd < 0)
		return fd;
	syn4(&p, IMDS4);
	inet_pton(AF_INET, "10.99.77.79", p.data + 12); /* not ours: it would be a martian */
	end_ip4(&p, 0, 0);
	return write(fd, p.data, p.len) < 0 ? -errno : 0;
}

static int tun6(struct row *row)
{
	int fd = tun_open(row);
	struct packet p = {0};

	if (fd < 0)
		return fd;
	syn6(&p, IMDS6);
	p.data[23] ^= 0x80;
	return write(fd, p.data, p.len) < 0 ? -errno : 0;
}

const struct vector netns_vectors[] = {
	{"DNAT in the pod, TCP", service4, .setup = "dnat_pod", .answers = true},
	{"DNAT in the pod, UDP", service_udp, .setup = "dnat_pod", .answers = true},
	{"DNAT in the pod, TCP v6", service6, .setup = "dnat_pod", .answers = true},
	{"DNAT in the node, TCP", service4, .setup = "dnat_node", .answers = true,
	 .needs = NEEDS_NETFILTER},
	{"DNAT in the node, UDP", service_udp, .setup = "dnat_node", .answers = true,
	 .needs = NEEDS_NETFILTER},
	{"DNAT in the node, TCP v6", service6, .setup = "dnat_node", .answers = true,
	 .needs = NEEDS_NETFILTER},
	{"DNAT in the node, of a hostNetwork pod", service4, .place = "hostpod",
	 .setup = "dnat_node", .answers = true},
	{"DNAT in the node, UDP, of a hostNetwork pod", service_udp, .place = "hostpod",
	 .setup = "dnat_node", .answers = true},
	{"SNAT in the pod", imds4, .setup = "snat_pod", .want = "D", .answers = true},
	{"destination rewritten in the pod, POST_ROUTING", service_udp, .setup = "mangle_pod"},
	{"destination rewritten in the pod, netdev egress", service_udp, .setup = "egress_pod",
	 .needs = NEEDS_PACKETS},
	{"route with a static neighbour", imds4, .setup = "neighbour", .want = "A",
	 .answers = true},
	{"raw, route with a static neighbour", raw4, .setup = "neighbour"},
	{"SRv6 route in the pod, inline", other6, .setup = "seg6_inline"},
	{"SRv6 route in the pod, encapsulated", other6, .setup = "seg6_encap"},
	{"connect, node forwards below netfilter", imds4, .setup = "redirect", .want = "A",
	 .answers = true},
	{"raw, node forwards below netfilter", raw4, .setup = "redirect", .want = "EPERM"},
	{"v6 connect, node forwards below netfilter", imds6, .setup = "redirect", .want = "A",
	 .answers = true},
	{"namespace behind the pod, connect", nested_connect, .setup = "nested",
	 .want = "D|ECONNREFUSED", .answers = true},
	{"namespace behind the pod, raw", nested_raw, .setup = "nested"},
	{"namespace behind the pod, AF_PACKET", nested_frame, .setup = "nested",
	 .needs = NEEDS_PACKETS},
	{"namespace behind the pod, UDP-Lite", nested_udplite, .setup = "nested"},
	{"macvlan on the pod's device, AF_PACKET", macvlan_frame, .setup = "macvlan",
	 .needs = NEEDS_PACKETS},
	{"second interface on the uplink, connect", imds4, .setup = "second_interface", .want = "A",
	 .answers = true},
	{"second interface on the uplink, raw", raw4, .setup = "second_interface", .want = "EPERM"},
	{"second interface on the uplink, UDP-Lite", second_udplite, .setup = "second_interface",
	 .answers = true},
	{"second interface on the uplink, AF_PACKET", second_frame, .setup = "second_interface",
	 .needs = NEEDS_TC},
	{"through another pod, connect", imds4, .setup = "through_other", .want = "A",
	 .answers = true},
	{"through another pod, raw", raw4, .setup = "through_other", .want = "EPERM"},
	{"through another pod, AF_PACKET", frame_to_other, .setup = "through_other",
	 .needs = NEEDS_PACKETS},
	{"TUN device, the pod forwards", tun4, .setup = "pod_forwards", .needs = NEEDS_PACKETS},
	{"TUN device, the pod forwards v6", tun6, .setup = "pod_forwards", .needs = NEEDS_PACKETS},
	{0},
};
