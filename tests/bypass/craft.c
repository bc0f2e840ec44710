// SPDX-License-Identifier: Apache-2.0
/* Packets by hand. Lengths and checksums of IPv4 are right; those above it need not be: what counts
 * is whether the packet arrives. */
#include <ifaddrs.h>
#include <linux/if_ether.h>
#include <netinet/ip.h>
#include <netinet/ip6.h>
#include <netinet/tcp.h>
#include <netinet/udp.h>
#include <stdarg.h>
#include <time.h>

#include "bypass.h"

uint16_t checksum(const void *data, size_t len, uint32_t sum)
{
	const uint8_t *p = data;

	for (size_t i = 0; i + 1 < len; i += 2)
		sum += (uint32_t)(p[i] << 8 | p[i + 1]);
	if (len & 1)
		sum += (uint32_t)p[len - 1] << 8;
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return htons((uint16_t)~sum);
}

void put(struct packet *p, const void *data, size_t len)
{
	memcpy(p->data + p->len, data, len);
	p->len += len;
}

void put_bytes(struct packet *p, size_t len, ...)
{
	va_list args;

	va_start(args, len);
	while (len--)
		p->data[p->len++] = (uint8_t)va_arg(args, int);
	va_end(args);
}

/* A new one for each packet, so that no connection tracking takes it for an old one. */
uint16_t source_port(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint16_t)(40000 + now.tv_nsec / 1000 % 20000);
}

/* This pod's own, on the device that is not loopback. */
static void own_address(int family, void *ret, size_t size)
{
	struct ifaddrs *all, *i;

	memset(ret, 0, size);
	if (getifaddrs(&all) < 0)
		exit(2);
	for (i = all; i; i = i->ifa_next) {
		const struct sockaddr_in *in = (struct sockaddr_in *)i->ifa_addr;
		const struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)i->ifa_addr;

		if (!in || in->sin_family != family || !strcmp(i->ifa_name, "lo"))
			continue;
		if (family == AF_INET)
			memcpy(ret, &in->sin_addr, size);
		else if (!IN6_IS_ADDR_LINKLOCAL(&in6->sin6_addr))
			memcpy(ret, &in6->sin6_addr, size);
		else
			continue;
		break;
	}
	freeifaddrs(all);
}

size_t put_ip4(struct packet *p, const char *to, int protocol, const uint8_t *options, size_t len)
{
	size_t start = p->len;
	struct iphdr ip = {.version = 4, .ihl = (5 + len / 4) & 15, .ttl = 64};

	ip.protocol = (uint8_t)protocol;
	ip.id = htons(source_port());
	own_address(AF_INET, &ip.saddr, 4);
	inet_pton(AF_INET, to, &ip.daddr);
	put(p, &ip, sizeof(ip));
	if (len)
		put(p, options, len);
	return start;
}

void end_ip4(struct packet *p, size_t start, uint16_t frag_off)
{
	struct iphdr *ip = (struct iphdr *)(p->data + start);

	ip->tot_len = htons((uint16_t)(p->len - start));
	ip->frag_off = htons(frag_off);
	ip->check = 0;
	ip->check = checksum(ip, ip->ihl * 4U, 0);
}

size_t put_ip6(struct packet *p, const char *to, int next)
{
	size_t start = p->len;
	struct ip6_hdr ip = {.ip6_flow = htonl(6U << 28)};

	ip.ip6_nxt = (uint8_t)next;
	ip.ip6_hlim = 64;
	own_address(AF_INET6, &ip.ip6_src, 16);
	inet_pton(AF_INET6, to, &ip.ip6_dst);
	put(p, &ip, sizeof(ip));
	return start;
}

void end_ip6(struct packet *p, size_t start)
{
	struct ip6_hdr *ip = (struct ip6_hdr *)(p->data + start);

	ip->ip6_plen = htons((uint16_t)(p->len - start - sizeof(*ip)));
}

static void put_syn(struct packet *p, const void *from, const void *to, size_t size)
{
	struct tcphdr tcp = {.doff = 5, .syn = 1, .window = htons(1000)};
	struct {
		uint8_t addr[32];
		struct tcphdr tcp;
	} __attribute__((packed)) pseudo = {0};
	size_t skip = 32 - 2 * size;

	tcp.source = htons(source_port());
	tcp.dest = htons(80);
	tcp.seq = htonl(1);
	memcpy(pseudo.addr + skip, from, size);
	memcpy(pseudo.addr + skip + size, to, size);
	pseudo.tcp = tcp;
	tcp.check = checksum(&pseudo, sizeof(pseudo), IPPROTO_TCP + sizeof(tcp));
	put(p, &tcp, sizeof(tcp));
}

/* The segment alone: the kernel, or put_ip4, makes the header before it. */
void put_syn4(struct packet *p, const char *to)
{
	struct in_addr src, dst;

	own_address(AF_INET, &src, 4);
	inet_pton(AF_INET, to, &dst);
	put_syn(p, &src, &dst, 4);
}

void put_syn6(struct packet *p, const char *to)
{
	struct in6_addr src, dst;

	own_address(AF_INET6, &src, 16);
	inet_pton(AF_INET6, to, &dst);
	put_syn(p, &src, &dst, 16);
}

void put_udp(struct packet *p, int port, const void *data, size_t len)
{
	struct udphdr udp = {.dest = htons((uint16_t)port)};

	udp.source = htons(source_port());
	udp.len = htons((uint16_t)(sizeof(udp) + len));
	put(p, &udp, sizeof(udp));
	put(p, data, len);
}

void syn4(struct packet *p, const char *to)
{
	size_t start = put_ip4(p, to, IPPROTO_TCP, NULL, 0);

	put_syn4(p, to);
	end_ip4(p, start, 0);
}

/* As if FROM had sent it, to a PORT. */
void syn4_from_to(struct packet *p, const char *from, const char *to, int port)
{
	struct {
		struct in_addr addr[2];
		struct tcphdr tcp;
	} __attribute__((packed)) pseudo = {0};
	size_t start = put_ip4(p, to, IPPROTO_TCP, NULL, 0);

	inet_pton(AF_INET, from, &pseudo.addr[0]);
	inet_pton(AF_INET, to, &pseudo.addr[1]);
	memcpy(p->data + start + 12, &pseudo.addr[0], 4);
	pseudo.tcp = (struct tcphdr){.doff = 5, .syn = 1, .source = htons(80)};
	pseudo.tcp.dest = htons((uint16_t)port);
	pseudo.tcp.window = htons(1000);
	pseudo.tcp.check = checksum(&pseudo, sizeof(pseudo), IPPROTO_TCP + sizeof(pseudo.tcp));
	put(p, &pseudo.tcp, sizeof(pseudo.tcp));
	end_ip4(p, start, 0);
}

void syn6(struct packet *p, const char *to)
{
	size_t start = put_ip6(p, to, IPPROTO_TCP);

	put_syn6(p, to);
	end_ip6(p, start);
}

void put_ether(struct packet *p, const struct row *row, int type)
{
	static const uint8_t from[] = {2, 0, 0, 0, 0, 0x42};

	put(p, row->gateway, 6);
	put(p, from, 6);
	put_bytes(p, 2, type >> 8, type & 0xff);
}
