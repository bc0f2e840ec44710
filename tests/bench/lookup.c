// SPDX-License-Identifier: Apache-2.0
/*
 * Four ways to learn who is at the other end of an accepted socket, timed on the same one.
 * usage: lookup ADDRESS PORT PODS PIN_DIR KUBEPODS   (in the agent's cgroup, with podcred loaded)
 *
 *   peer      podcred_peer(): one getsockopt(2), no privilege
 *   map       the same facts by two bpf(2) lookups, in podcred_peers_v2 and podcred_pods: needs CAP_BPF
 *   index     getpeername(2), and the source address in an index of PODS addresses in memory
 *   cgroupfs  a walk below KUBEPODS for the directory with the caller's cgroup id
 *
 * Prints "METHOD NS", once for each round. Each must find the caller, or it exits 1.
 */
#include <bpf/bpf.h>
#include <ftw.h>
#include <podcred/podcred.h>

#include "net.h"
#include "podcred_maps.h"

#define ROUNDS	   7
#define CALLS	   20000
#define CALLS_MAP  10000
#define CALLS_WALK 5
#define WALK_FDS   16

static struct sockaddr_in local;
static struct ip_index pods;
static int peers_map, pods_map;
static const char *kubepods;
static __u64 caller; /* pod-level cgroup id */

static int by_peer(int fd)
{
	struct podcred_peer peer;

	if (podcred_peer(fd, &peer, sizeof(peer)) || !(peer.flags & PODCRED_PEER_NAMED))
		return -1;
	caller = peer.pod_cgroup_id;
	return 0;
}

static struct podcred_addr mapped(struct in_addr ip)
{
	struct podcred_addr addr = {.ip = {[10] = 0xff, [11] = 0xff}};

	memcpy(&addr.ip[12], &ip, sizeof(ip));
	return addr;
}

static int by_map(int fd)
{
	struct podcred_seal seal;
	struct podcred_pod pod;
	struct sockaddr_in peer;
	socklen_t len = sizeof(peer);
	struct podcred_peer_key key;

	if (getpeername(fd, (void *)&peer, &len))
		return -1;
	key = (struct podcred_peer_key){.client = mapped(peer.sin_addr),
					.agent = mapped(local.sin_addr),
					.client_port = ntohs(peer.sin_port),
					.agent_port = ntohs(local.sin_port)};
	if (bpf_map_lookup_elem(peers_map, &key, &seal))
		return -1;
	return bpf_map_lookup_elem(pods_map, &seal.stamp.pod_cgroup_id, &pod);
}

static int by_index(int fd)
{
	return ip_index_has_peer(&pods, fd) ? 0 : -1;
}

static int is_caller(const char *path, const struct stat *st, int type, struct FTW *at)
{
	(void)path, (void)at;
	return type == FTW_D && st->st_ino == caller;
}

static int by_cgroupfs(int fd)
{
	(void)fd;
	return nftw(kubepods, is_caller, WALK_FDS, FTW_PHYS) == 1 ? 0 : -1;
}

static void time_method(const char *name, int (*method)(int), int fd, int calls)
{
	long long start = now_ns();

	for (int i = 0; i < calls; i++) {
		if (method(fd) == 0)
			continue;
		fprintf(stderr, "lookup: %s does not know the caller\n", name);
		exit(1);
	}
	printf("%s %.1f\n", name, (double)(now_ns() - start) / calls);
}

static int pinned(const char *pin_dir, const char *map)
{
	char path[4096];
	int fd;

	snprintf(path, sizeof(path), "%s/maps/%s", pin_dir, map);
	fd = bpf_obj_get(path);
	if (fd < 0)
		die(path);
	return fd;
}

int main(int argc, char **argv)
{
	int listener, fd, one = 1;

	if (argc != 6) {
		fprintf(stderr, "usage: lookup ADDRESS PORT PODS PIN_DIR KUBEPODS\n");
		return 2;
	}
	local = address(argv[1], argv[2]);
	pods = ip_index_of((uint32_t)number(argv[3]));
	peers_map = pinned(argv[4], "podcred_peers_v2");
	pods_map = pinned(argv[4], "podcred_pods");
	kubepods = argv[5];
	listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (listener < 0 || setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) ||
	    bind(listener, (void *)&local, sizeof(local)) || listen(listener, 1))
		die("lookup: listen");
	fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	if (fd < 0)
		die("lookup: accept");
	for (int i = 0; i < ROUNDS; i++) {
		time_method("peer", by_peer, fd, CALLS);
		time_method("map", by_map, fd, CALLS_MAP);
		time_method("index", by_index, fd, CALLS);
		time_method("cgroupfs", by_cgroupfs, fd, CALLS_WALK);
	}
	return 0;
}
