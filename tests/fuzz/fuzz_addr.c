// SPDX-License-Identifier: Apache-2.0
/* MODULES: agent http credentials aws upstream yaml crypto base */
/* LIBS: -ljansson -lyaml -lpcre2-8 -lcrypto */
/* Addresses, prefixes, numbers, Host headers: what is accepted prints and reads as the same. */
#include "fuzz.h"

#include <arpa/inet.h>
#include <errno.h>

#include "agent/service.h"
#include "base/addr.h"
#include "base/parse.h"

static void check_addr(const char *text)
{
	struct net_addr addr = {.port = 4711}, again;
	struct sockaddr_storage sa;
	char printed[NET_ADDR_TEXT];
	socklen_t len;

	if (net_addr_parse(text, &addr) < 0) {
		MUST(addr.port == 4711);
		return;
	}
	net_addr_format(addr.ip, addr.port, printed, sizeof(printed));
	MUST(net_addr_parse(printed, &again) == 0);
	MUST(memcmp(again.ip, addr.ip, 16) == 0 && again.port == addr.port);
	len = net_addr_to_sockaddr(&addr, &sa);
	MUST(sa.ss_family == (net_addr_is_v4(addr.ip) ? AF_INET : AF_INET6));
	MUST(len ==
	     (sa.ss_family == AF_INET ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6)));
}

static void check_prefix(const char *text)
{
	char printed[NET_ADDR_TEXT + 8];
	struct net_addr prefix, again;
	unsigned bits = 0, bits_again;
	bool v4;

	if (net_prefix_parse(text, &prefix, &bits) < 0) {
		MUST(bits == 0);
		return;
	}
	MUST(bits <= 128 && prefix.port == 0);
	for (unsigned bit = bits; bit < 128; bit++)
		MUST(!(prefix.ip[bit / 8] & 0x80 >> bit % 8));
	/* 0.0.0.0/0 and ::ffff:0:0/96 are one thing, but ::/8 is no IPv4 */
	v4 = net_addr_is_v4(prefix.ip) && bits >= 96;
	net_addr_format(prefix.ip, 0, printed, sizeof(printed));
	sprintf(printed + strlen(printed), "/%u", v4 ? bits - 96 : bits);
	MUST(net_prefix_parse(printed, &again, &bits_again) == 0);
	MUST(memcmp(again.ip, prefix.ip, 16) == 0 && bits_again == bits);
}

static void check_number(const char *text)
{
	uint64_t value = 4711, limited = 4711;
	char printed[24], *end;
	int r = parse_u64(text, UINT64_MAX, &value);
	const char *digits = text;

	errno = 0;
	if (r < 0) {
		MUST(value == 4711);
		MUST(r == -EINVAL || (r == -ERANGE && (strtoull(text, &end, 10), errno == ERANGE)));
	} else {
		MUST(value == strtoull(text, &end, 10) && errno == 0 && !*end);
		while (digits[0] == '0' && digits[1])
			digits++;
		sprintf(printed, "%llu", (unsigned long long)value);
		MUST(strcmp(printed, digits) == 0);
	}
	r = parse_u64(text, 65535, &limited);
	MUST(r == 0 ? limited == value && value <= 65535 : limited == 4711);
}

/* Without ":80", which may have zeros in front as any URI's port. */
static size_t host_length(const char *host)
{
	size_t len = strlen(host), at = len;

	if (len < 3 || strcmp(host + len - 2, "80") != 0)
		return len;
	for (at = len - 2; at > 0 && host[at - 1] == '0';)
		at--;
	if (at == 0 || host[at - 1] != ':')
		return len;
	return host[0] == '[' || !memchr(host, ':', at - 1) ? at - 1 : len;
}

/* A Host header names a service when it is one of these, however IPv6 is spelled. */
static void check_host(const char *host)
{
	static const char *const services[] = {
		"169.254.170.23", "fd00:ec2::23",   "169.254.170.2",	  "169.254.169.254",
		"fd00:ec2::254",  "169.254.170.83", "fd70:6f64:6372::83",
	};
	char name[INET6_ADDRSTRLEN] = "";
	struct in6_addr in6;
	size_t len = host_length(host);

	if (len >= 2 && host[0] == '[' && host[len - 1] == ']') {
		host++;
		len -= 2;
	}
	if (len < sizeof(name)) {
		memcpy(name, host, len);
		name[len] = '\0';
	}
	if (inet_pton(AF_INET6, name, &in6) == 1) {
		inet_ntop(AF_INET6, &in6, name, sizeof(name));
		if (!strncmp(name, "::ffff:", 7) && strchr(name, '.'))
			memmove(name, name + 7, strlen(name + 7) + 1);
	}
	for (size_t i = 0; i < sizeof(services) / sizeof(services[0]); i++)
		if (!strcmp(name, services[i]))
			return;
	MUST(!"this Host header names no service");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = fuzz_string(data, size);
	const struct http_head head = {.host = text};
	const struct agent_service *service;

	check_addr(text);
	check_prefix(text);
	check_number(text);
	for (size_t n = 0; (service = agent_service_at(n)); n++)
		if (agent_service_host_ok(service, &head))
			check_host(text);
	free(text);
	return 0;
}
