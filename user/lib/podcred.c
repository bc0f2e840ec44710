// SPDX-License-Identifier: Apache-2.0
#include <podcred/podcred.h>

#include <errno.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <time.h>

#ifndef PODCRED_VERSION
#define PODCRED_VERSION "unknown"
#endif

#define NS_PER_MS    1000000LL
#define PAUSE_MIN_MS 1
#define PAUSE_MAX_MS 20

/*
 * All questions go through a buffer of our own: the caller's stays untouched on failure, and it may
 * be larger than the struct that this library knows.
 */
static int ask(int fd, struct podcred_peer *ret, size_t size)
{
	socklen_t len = (socklen_t)(size < sizeof(*ret) ? size : sizeof(*ret));
	socklen_t room = len;

	if (size < PODCRED_PEER_SIZE_V0)
		return -EINVAL;
	memset(ret, 0, sizeof(*ret));
	if (getsockopt(fd, SOL_PODCRED, PODCRED_PEER, ret, &len) < 0)
		return errno == EOPNOTSUPP ? -ENOPROTOOPT : -errno;
	/* Somebody else's option, or a kernel side that broke its promise: no identity. */
	if (len > room || ret->size > len || ret->size < PODCRED_PEER_SIZE_V0)
		return -EPROTO;
	memset((char *)ret + ret->size, 0, sizeof(*ret) - ret->size);
	return 0;
}

static void hand_over(struct podcred_peer *peer, size_t size, const struct podcred_peer *found)
{
	size_t known = size < sizeof(*found) ? size : sizeof(*found);

	memcpy(peer, found, known);
	memset((char *)peer + known, 0, size - known);
}

int podcred_peer(int fd, struct podcred_peer *peer, size_t size)
{
	struct podcred_peer found;
	int r;

	if (!peer)
		return -EINVAL;
	r = ask(fd, &found, size);
	if (r < 0)
		return r;
	hand_over(peer, size, &found);
	return 0;
}

static int64_t now_ns(void)
{
	struct timespec ts = {0};

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000 * NS_PER_MS + ts.tv_nsec;
}

/* A signal may cut the pause short: the next question then comes early, which harms nobody. */
static void pause_ns(int64_t ns)
{
	struct timespec ts = {.tv_sec = 0, .tv_nsec = (long)ns};

	nanosleep(&ts, NULL);
}

int podcred_peer_wait(int fd, struct podcred_peer *peer, size_t size, int timeout_ms)
{
	int64_t deadline = now_ns() + timeout_ms * NS_PER_MS;
	int64_t pause = PAUSE_MIN_MS * NS_PER_MS;
	struct podcred_peer found;
	int r;

	if (!peer || timeout_ms < -1)
		return -EINVAL;
	for (;;) {
		r = ask(fd, &found, size);
		if (r < 0)
			return r;
		if (found.flags & PODCRED_PEER_NAMED)
			break;
		if (timeout_ms >= 0) {
			int64_t left = deadline - now_ns();

			if (left <= 0) {
				r = -ETIMEDOUT;
				break;
			}
			pause = left < pause ? left : pause;
		}
		pause_ns(pause);
		pause = 2 * pause < PAUSE_MAX_MS * NS_PER_MS ? 2 * pause : PAUSE_MAX_MS * NS_PER_MS;
	}
	hand_over(peer, size, &found);
	return r;
}

int podcred_original_destination(int fd, struct sockaddr *addr, socklen_t *len)
{
	struct sockaddr_in in = {.sin_family = AF_INET};
	struct sockaddr_in6 in6 = {.sin6_family = AF_INET6};
	struct podcred_peer found;
	bool v4;
	socklen_t need;
	int r;

	if (!addr || !len)
		return -EINVAL;
	r = ask(fd, &found, sizeof(found));
	if (r < 0)
		return r;
	if (found.family != AF_INET && found.family != AF_INET6)
		return -EPROTO;
	v4 = found.family == AF_INET;
	need = v4 ? sizeof(in) : sizeof(in6);
	if (*len < need)
		return -EINVAL;
	in.sin_port = in6.sin6_port = htons(found.port);
	memcpy(&in.sin_addr, found.address + 12, sizeof(in.sin_addr));
	memcpy(&in6.sin6_addr, found.address, sizeof(in6.sin6_addr));
	memcpy(addr, v4 ? (const void *)&in : (const void *)&in6, need);
	*len = need;
	return 0;
}

const char *podcred_version(void)
{
	return PODCRED_VERSION;
}
