/* SPDX-License-Identifier: Apache-2.0 */
/* What the benchmark's programs share: sockets by command line, the clock, and an index of addresses. */
#pragma once

#include <arpa/inet.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define NS_PER_S 1000000000LL

static inline void die(const char *what)
{
	perror(what);
	exit(1);
}

static inline long long now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * NS_PER_S + t.tv_nsec;
}

static inline long number(const char *text)
{
	char *end;
	long n = strtol(text, &end, 10);

	if (end == text || *end || n < 0) {
		fprintf(stderr, "not a number: %s\n", text);
		exit(2);
	}
	return n;
}

static inline struct sockaddr_in address(const char *ip, const char *port)
{
	struct sockaddr_in sin = {.sin_family = AF_INET, .sin_port = htons((uint16_t)number(port))};

	if (inet_pton(AF_INET, ip, &sin.sin_addr) != 1) {
		fprintf(stderr, "not an IPv4 address: %s\n", ip);
		exit(2);
	}
	return sin;
}

/* The address of pod n, from 1, as pod_add of tests/lib/env.sh gives them out. */
static inline uint32_t pod_ip(uint32_t n)
{
	return htonl(10U << 24 | 99U << 16 | (n / 250 + 1) << 8 | (n % 250 + 1));
}

/* ---- an index by source address, as proxies behind iptables keep: open addressing, half full ---- */

struct ip_index {
	uint32_t *slots;
	uint32_t mask;
};

static inline uint32_t *ip_slot(const struct ip_index *index, uint32_t ip)
{
	uint32_t at = (ip * 0x9e3779b1U) >> 7;

	while (index->slots[at & index->mask] && index->slots[at & index->mask] != ip)
		at++;
	return &index->slots[at & index->mask];
}

static inline struct ip_index ip_index_of(uint32_t pods)
{
	struct ip_index index = {.mask = 15};

	while (index.mask < 2 * pods)
		index.mask = index.mask * 2 + 1;
	index.slots = calloc(index.mask + 1, sizeof(*index.slots));
	if (!index.slots)
		die("index");
	for (uint32_t n = 1; n <= pods; n++)
		*ip_slot(&index, pod_ip(n)) = pod_ip(n);
	return index;
}

/* Is the peer of a socket one of the pods? */
static inline int ip_index_has_peer(const struct ip_index *index, int fd)
{
	struct sockaddr_in peer;
	socklen_t len = sizeof(peer);

	return !getpeername(fd, (void *)&peer, &len) && *ip_slot(index, peer.sin_addr.s_addr);
}
