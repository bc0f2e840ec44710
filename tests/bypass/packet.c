// SPDX-License-Identifier: Apache-2.0
/* Frames: CAP_NET_RAW. No hook of a socket sees them. */
#include <fcntl.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/virtio_net.h>
#include <net/if.h>
#include <poll.h>
#include <sys/mman.h>

#include "bypass.h"

static struct sockaddr_ll where(const struct row *row, int protocol)
{
	struct sockaddr_ll to = {.sll_family = AF_PACKET, .sll_halen = 6};

	to.sll_protocol = htons((uint16_t)protocol);
	to.sll_ifindex = (int)if_nametoindex(row->device);
	memcpy(to.sll_addr, row->gateway, 6);
	return to;
}

static int send_on(int fd, const struct row *row, const struct packet *p)
{
	struct sockaddr_ll to = where(row, ETH_P_IP);
	int r;

	if (fd < 0)
		return -errno;
	r = negative(sendto(fd, p->data, p->len, 0, (struct sockaddr *)&to, sizeof(to)));
	return r < 0 ? r : 0;
}

static int frame(const struct row *row, const struct packet *p)
{
	return send_on(socket(AF_PACKET, SOCK_RAW, 0), row, p);
}

static int raw4(struct row *row)
{
	struct packet p = {0};

	put_ether(&p, row, ETH_P_IP);
	syn4(&p, IMDS4);
	return frame(row, &p);
}

static int raw6(struct row *row)
{
	struct packet p = {0};

	put_ether(&p, row, ETH_P_IPV6);
	syn6(&p, IMDS6);
	return frame(row, &p);
}

static int dgram4(struct row *row)
{
	struct packet p = {0};

	syn4(&p, IMDS4);
	return send_on(socket(AF_PACKET, SOCK_DGRAM, 0), row, &p);
}

static int dgram6(struct row *row)
{
	struct sockaddr_ll to = where(row, ETH_P_IPV6);
	int fd = socket(AF_PACKET, SOCK_DGRAM, 0), r;
	struct packet p = {0};

	syn6(&p, IMDS6);
	r = negative(sendto(fd, p.data, p.len, 0, (struct sockaddr *)&to, sizeof(to)));
	return r < 0 ? r : 0;
}

/* The form of Linux 2.0. */
static int old_form(struct row *row)
{
	struct sockaddr to = {.sa_family = AF_PACKET};
	int fd = socket(AF_INET, SOCK_PACKET, htons(ETH_P_ALL)), r;
	struct packet p = {0};

	put_ether(&p, row, ETH_P_IP);
	syn4(&p, IMDS4);
	snprintf(to.sa_data, sizeof(to.sa_data), "%.13s", row->device);
	if (fd < 0)
		return -errno;
	r = negative(sendto(fd, p.data, p.len, 0, &to, sizeof(to)));
	return r < 0 ? r : 0;
}

static int bypass_qdisc(struct row *row)
{
	int fd = socket(AF_PACKET, SOCK_RAW, 0), r;
	struct packet p = {0};

	r = set_int(fd, SOL_PACKET, PACKET_QDISC_BYPASS, 1);
	put_ether(&p, row, ETH_P_IP);
	syn4(&p, IMDS4);
	return r < 0 ? r : send_on(fd, row, &p);
}

static int ring(struct row *row)
{
	struct tpacket_req req = {4096, 1, 2048, 2};
	struct sockaddr_ll to = where(row, ETH_P_IP);
	int fd = socket(AF_PACKET, SOCK_RAW, 0), r;
	struct packet p = {0};
	struct tpacket_hdr *slot;

	if (setsockopt(fd, SOL_PACKET, PACKET_TX_RING, &req, sizeof(req)) < 0)
		return -errno;
	slot = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (slot == MAP_FAILED || bind(fd, (struct sockaddr *)&to, sizeof(to)) < 0)
		return -errno;
	put_ether(&p, row, ETH_P_IP);
	syn4(&p, IMDS4);
	memcpy((char *)slot + TPACKET_HDRLEN - sizeof(to), p.data, p.len);
	slot->tp_len = (unsigned)p.len;
	slot->tp_status = TP_STATUS_SEND_REQUEST;
	r = negative(send(fd, NULL, 0, 0));
	return r < 0 ? r : 0;
}

/* As a virtual machine would send it: the frame asks for its checksum to be made. */
static int virtual_header(struct row *row)
{
	struct virtio_net_hdr header = {
		.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM, .csum_start = 34, .csum_offset = 16};
	int fd = socket(AF_PACKET, SOCK_RAW, 0), r;
	struct packet p = {0};

	r = set_int(fd, SOL_PACKET, PACKET_VNET_HDR, 1);
	put(&p, &header, sizeof(header));
	put_ether(&p, row, ETH_P_IP);
	syn4(&p, IMDS4);
	return r < 0 ? r : send_on(fd, row, &p);
}

/* Tags with the id 0 carry a priority only: a receiver takes them off. */
static int tagged(struct row *row, int type, int id, int tags)
{
	struct packet p = {0};

	put_ether(&p, row, type);
	while (tags--)
		put_bytes(&p, 4, 0xe0 | id >> 8, id & 255, (tags ? ETH_P_8021Q : ETH_P_IP) >> 8,
			  (tags ? ETH_P_8021Q : ETH_P_IP) & 255);
	syn4(&p, IMDS4);
	return frame(row, &p);
}

static int priority(struct row *row)
{
	return tagged(row, ETH_P_8021Q, 0, 1);
}

static int provider_priority(struct row *row)
{
	return tagged(row, ETH_P_8021AD, 0, 1);
}

static int two_priorities(struct row *row)
{
	return tagged(row, ETH_P_8021AD, 0, 2);
}

static int vlan5(struct row *row)
{
	return tagged(row, ETH_P_8021Q, 5, 1);
}

static int fragment(struct row *row)
{
	struct packet p = {0};
	size_t start;

	put_ether(&p, row, ETH_P_IP);
	start = put_ip4(&p, IMDS4, IPPROTO_TCP, NULL, 0);
	put_bytes(&p, 8, 1, 2, 3, 4, 5, 6, 7, 8);
	end_ip4(&p, start, 3);
	return frame(row, &p);
}

static int with_options(struct row *row)
{
	static const uint8_t option[8] = {68, 8, 5, 0};
	struct packet p = {0};
	size_t start;

	put_ether(&p, row, ETH_P_IP);
	start = put_ip4(&p, IMDS4, IPPROTO_TCP, option, sizeof(option));
	put_syn4(&p, IMDS4);
	end_ip4(&p, start, 0);
	return frame(row, &p);
}

static int through_node(struct row *row)
{
	uint8_t option[8] = {1, 131, 7, 4};
	struct packet p = {0};
	size_t start;

	inet_pton(AF_INET, IMDS4, option + 4);
	put_ether(&p, row, ETH_P_IP);
	start = put_ip4(&p, NODE4, IPPROTO_TCP, option, sizeof(option));
	put_syn4(&p, IMDS4);
	end_ip4(&p, start, 0);
	return frame(row, &p);
}

static int padded(struct row *row)
{
	static const uint8_t zeros[200];
	struct packet p = {0};

	put_ether(&p, row, ETH_P_IP);
	syn4(&p, IMDS4);
	put(&p, zeros, sizeof(zeros));
	return frame(row, &p);
}

static int to_all(struct row *row, const uint8_t *mac)
{
	struct packet p = {0};

	put_ether(&p, row, ETH_P_IP);
	memcpy(p.data, mac, 6);
	syn4(&p, IMDS4);
	return frame(row, &p);
}

static int broadcast(struct row *row)
{
	static const uint8_t mac[] = {255, 255, 255, 255, 255, 255};

	return to_all(row, mac);
}

static int multicast(struct row *row)
{
	static const uint8_t mac[] = {1, 0, 0x5e, 0, 0, 1};

	return to_all(row, mac);
}

/* IP in an 802.3 frame. */
static int snap(struct row *row)
{
	struct packet p = {0};

	put_ether(&p, row, 48);
	put_bytes(&p, 8, 0xaa, 0xaa, 3, 0, 0, 0, ETH_P_IP >> 8, ETH_P_IP & 255);
	syn4(&p, IMDS4);
	return frame(row, &p);
}

const struct vector packet_vectors[] = {
	{"AF_PACKET raw frame", raw4, .needs = NEEDS_PACKETS},
	{"AF_PACKET raw frame, v6", raw6, .needs = NEEDS_PACKETS},
	{"AF_PACKET dgram", dgram4, .needs = NEEDS_PACKETS},
	{"AF_PACKET dgram, v6", dgram6, .needs = NEEDS_PACKETS},
	{"AF_PACKET + PACKET_QDISC_BYPASS", bypass_qdisc, .needs = NEEDS_PACKETS},
	{"SOCK_PACKET", old_form, .needs = NEEDS_PACKETS},
	{"AF_PACKET TX_RING", ring, .needs = NEEDS_PACKETS},
	{"AF_PACKET with PACKET_VNET_HDR", virtual_header, .needs = NEEDS_PACKETS},
	{"AF_PACKET, 802.1Q priority tag", priority, .needs = NEEDS_PACKETS},
	{"AF_PACKET, 802.1ad priority tag", provider_priority, .needs = NEEDS_PACKETS},
	{"AF_PACKET, two priority tags", two_priorities, .needs = NEEDS_PACKETS},
	{"AF_PACKET, VLAN 5", vlan5, .without = "D"},
	{"AF_PACKET, later fragment", fragment, .needs = NEEDS_PACKETS},
	{"AF_PACKET, IP options", with_options, .needs = NEEDS_PACKETS},
	{"AF_PACKET, LSRR through the node", through_node, .setup = "source_route",
	 .needs = NEEDS_PACKETS},
	{"AF_PACKET, frame longer than its packet", padded, .needs = NEEDS_PACKETS},
	{"AF_PACKET, broadcast frame", broadcast, .without = "D"},
	{"AF_PACKET, multicast frame", multicast, .without = "D"},
	{"AF_PACKET, 802.3 SNAP", snap, .without = "D"},
	/* a CNI that forwards below netfilter, as eBPF host routing does */
	{"AF_PACKET, node forwards below netfilter", raw4, .setup = "redirect", .needs = NEEDS_TC},
	{"AF_PACKET v6, node forwards below netfilter", raw6, .setup = "redirect",
	 .needs = NEEDS_TC},
	{"AF_PACKET TX_RING, node forwards below netfilter", ring, .setup = "redirect",
	 .needs = NEEDS_TC},
	{"AF_PACKET 802.1Q, node forwards below netfilter", priority, .setup = "redirect",
	 .needs = NEEDS_TC},
	{"AF_PACKET two tags, node forwards below netfilter", two_priorities, .setup = "redirect",
	 .needs = NEEDS_TC},
	{"AF_PACKET, of a hostNetwork pod", raw4, .place = "hostpod", .needs = NEEDS_TC},
	{"AF_PACKET v6, of a hostNetwork pod", raw6, .place = "hostpod", .needs = NEEDS_TC},
	{"AF_PACKET dgram, of a hostNetwork pod", dgram4, .place = "hostpod", .needs = NEEDS_TC},
	{"AF_PACKET TX_RING, of a hostNetwork pod", ring, .place = "hostpod", .needs = NEEDS_TC},
	{"AF_PACKET 802.1Q, of a hostNetwork pod", priority, .place = "hostpod", .needs = NEEDS_TC},
	{"AF_PACKET + PACKET_QDISC_BYPASS, of a hostNetwork pod", bypass_qdisc, .place = "hostpod",
	 .open = "PACKET_QDISC_BYPASS skips every hook on the way out of the host's network "
		 "namespace: do not give CAP_NET_RAW to pods with hostNetwork"},
	{0},
};
