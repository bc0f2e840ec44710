// SPDX-License-Identifier: Apache-2.0
#include "base/addr.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#include "base/parse.h"

static const uint8_t v4_prefix[12] = {[10] = 0xff, [11] = 0xff};

bool net_addr_is_v4(const uint8_t ip[16])
{
	return !memcmp(ip, v4_prefix, sizeof(v4_prefix));
}

static int ip_parse(const char *text, size_t len, uint8_t ip[16], bool *ret_v4)
{
	char copy[INET6_ADDRSTRLEN];

	if (len >= sizeof(copy))
		return -EINVAL;
	memcpy(copy, text, len);
	copy[len] = '\0';
	memcpy(ip, v4_prefix, sizeof(v4_prefix));
	*ret_v4 = inet_pton(AF_INET, copy, ip + 12) == 1;
	return *ret_v4 || inet_pton(AF_INET6, copy, ip) == 1 ? 0 : -EINVAL;
}

int net_addr_parse(const char *text, struct net_addr *ret)
{
	const char *host = text, *colon = strrchr(text, ':');
	struct net_addr addr = {};
	size_t host_len = strlen(text);
	uint64_t port = 0;
	bool v4;

	if (*text == '[') {
		const char *end = strchr(text, ']');

		if (!end || (end[1] && end[1] != ':'))
			return -EINVAL;
		host = text + 1;
		host_len = (size_t)(end - host);
		colon = end[1] ? end + 1 : NULL;
	} else if (colon && strchr(text, ':') == colon) {
		host_len = (size_t)(colon - text);
	} else {
		colon = NULL; /* a bare IPv6 address, or no port */
	}
	if (colon && (parse_u64(colon + 1, 65535, &port) < 0 || port == 0))
		return -EINVAL;
	if (ip_parse(host, host_len, addr.ip, &v4) < 0)
		return -EINVAL;
	if (*text == '[' && v4)
		return -EINVAL;
	addr.port = (uint16_t)port;
	*ret = addr;
	return 0;
}

int net_prefix_parse(const char *text, struct net_addr *ret, unsigned *ret_bits)
{
	const char *slash = strchr(text, '/');
	struct net_addr addr = {};
	uint64_t bits;
	bool v4;

	if (ip_parse(text, slash ? (size_t)(slash - text) : strlen(text), addr.ip, &v4) < 0)
		return -EINVAL;
	bits = v4 ? 32 : 128;
	if (slash && parse_u64(slash + 1, bits, &bits) < 0)
		return -EINVAL;
	if (v4)
		bits += 96;
	for (unsigned bit = (unsigned)bits; bit < 128; bit++)
		if (addr.ip[bit / 8] & (0x80 >> bit % 8))
			return -EINVAL;
	*ret = addr;
	*ret_bits = (unsigned)bits;
	return 0;
}

const char *net_addr_format(const uint8_t ip[16], uint16_t port, char *buf, size_t size)
{
	char host[INET6_ADDRSTRLEN];
	bool v4 = net_addr_is_v4(ip);

	if (v4)
		inet_ntop(AF_INET, ip + 12, host, sizeof(host));
	else
		inet_ntop(AF_INET6, ip, host, sizeof(host));
	if (!port)
		snprintf(buf, size, "%s", host);
	else
		snprintf(buf, size, v4 ? "%s:%u" : "[%s]:%u", host, port);
	return buf;
}

socklen_t net_addr_to_sockaddr(const struct net_addr *addr, struct sockaddr_storage *ret)
{
	memset(ret, 0, sizeof(*ret));
	if (net_addr_is_v4(addr->ip)) {
		struct sockaddr_in *in = (void *)ret;

		in->sin_family = AF_INET;
		in->sin_port = htons(addr->port);
		memcpy(&in->sin_addr, addr->ip + 12, 4);
		return sizeof(*in);
	}
	struct sockaddr_in6 *in6 = (void *)ret;

	in6->sin6_family = AF_INET6;
	in6->sin6_port = htons(addr->port);
	memcpy(&in6->sin6_addr, addr->ip, 16);
	return sizeof(*in6);
}

int net_addr_from_sockaddr(const struct sockaddr *sa, struct net_addr *ret)
{
	const struct sockaddr_in6 *in6 = (const void *)sa;
	const struct sockaddr_in *in = (const void *)sa;

	switch (sa->sa_family) {
	case AF_INET:
		memcpy(ret->ip, v4_prefix, sizeof(v4_prefix));
		memcpy(ret->ip + 12, &in->sin_addr, 4);
		ret->port = ntohs(in->sin_port);
		return 0;
	case AF_INET6:
		memcpy(ret->ip, &in6->sin6_addr, 16);
		ret->port = ntohs(in6->sin6_port);
		return 0;
	}
	return -EAFNOSUPPORT;
}
