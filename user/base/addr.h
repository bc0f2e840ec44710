/* SPDX-License-Identifier: Apache-2.0 */
/* Addresses in the one form that podcred's maps use: 16 bytes, IPv4 as ::ffff:a.b.c.d. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

struct net_addr {
	uint8_t ip[16]; /* network byte order */
	uint16_t port; /* host byte order; 0 when the text had none */
};

/* "169.254.169.254", "169.254.169.254:80", "fd00:ec2::254", "[fd00:ec2::254]:80".
 * 0 or -EINVAL. */
int net_addr_parse(const char *text, struct net_addr *ret);

/* "10.0.0.0/8", "fd00:ec2::/32", a plain address (/128). bits counts from the 16-byte form, so
 * an IPv4 /n gives 96 + n. 0 or -EINVAL, also when bits beyond the prefix are set. */
int net_prefix_parse(const char *text, struct net_addr *ret, unsigned *ret_bits);

bool net_addr_is_v4(const uint8_t ip[16]);

/* Longest: "[" 45 "]:65535" NUL. */
#define NET_ADDR_TEXT 56

/* As net_addr_parse reads it; without the port when it is 0. Returns buf. */
const char *net_addr_format(const uint8_t ip[16], uint16_t port, char *buf, size_t size);

/* A socket address for bind or connect: AF_INET for IPv4, else AF_INET6. Returns its length. */
socklen_t net_addr_to_sockaddr(const struct net_addr *addr, struct sockaddr_storage *ret);

/* The other way round. -EAFNOSUPPORT: neither AF_INET nor AF_INET6. */
int net_addr_from_sockaddr(const struct sockaddr *sa, struct net_addr *ret);
