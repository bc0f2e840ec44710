// SPDX-License-Identifier: Apache-2.0
/* AF_XDP in copy mode: frames again, past the queueing discipline. CAP_NET_RAW is enough to send. */
#include <linux/if_ether.h>
#include <linux/if_xdp.h>
#include <net/if.h>
#include <sys/mman.h>

#include "bypass.h"

#define FRAMES	   16
#define FRAME_SIZE 2048

static int rings(int fd, uint8_t *area)
{
	struct xdp_umem_reg umem = {.addr = (uintptr_t)area, .chunk_size = FRAME_SIZE};
	int size = FRAMES;

	umem.len = FRAMES * FRAME_SIZE;
	if (setsockopt(fd, SOL_XDP, XDP_UMEM_REG, &umem, sizeof(umem)) < 0 ||
	    setsockopt(fd, SOL_XDP, XDP_UMEM_FILL_RING, &size, sizeof(size)) < 0 ||
	    setsockopt(fd, SOL_XDP, XDP_UMEM_COMPLETION_RING, &size, sizeof(size)) < 0 ||
	    setsockopt(fd, SOL_XDP, XDP_TX_RING, &size, sizeof(size)) < 0)
		return -errno;
	return 0;
}

/* The first frame of the area. */
static int submit(int fd, size_t len)
{
	struct xdp_mmap_offsets off;
	socklen_t size = sizeof(off);
	struct xdp_desc *descs;
	uint8_t *map;
	int r;

	if (getsockopt(fd, SOL_XDP, XDP_MMAP_OFFSETS, &off, &size) < 0)
		return -errno;
	map = mmap(NULL, off.tx.desc + FRAMES * sizeof(struct xdp_desc), PROT_READ | PROT_WRITE,
		   MAP_SHARED | MAP_POPULATE, fd, XDP_PGOFF_TX_RING);
	if (map == MAP_FAILED)
		return -errno;
	descs = (struct xdp_desc *)(map + off.tx.desc);
	descs[0] = (struct xdp_desc){.addr = 0, .len = (uint32_t)len};
	__atomic_store_n((uint32_t *)(map + off.tx.producer), 1, __ATOMIC_RELEASE);
	r = negative(sendto(fd, NULL, 0, MSG_DONTWAIT, NULL, 0));
	return r < 0 ? r : 0;
}

static int send_xdp(struct row *row, const struct packet *p)
{
	uint8_t *area = mmap(NULL, FRAMES * FRAME_SIZE, PROT_READ | PROT_WRITE,
			     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct sockaddr_xdp to = {.sxdp_family = AF_XDP, .sxdp_flags = XDP_COPY};
	int fd = socket(AF_XDP, SOCK_RAW, 0), r;

	if (fd < 0)
		return absent(row, "no AF_XDP in this kernel");
	memcpy(area, p->data, p->len);
	to.sxdp_ifindex = if_nametoindex(row->device);
	r = rings(fd, area);
	if (r == 0)
		r = negative(bind(fd, (struct sockaddr *)&to, sizeof(to)));
	if (r == 0)
		r = submit(fd, p->len);
	usleep(20000); /* the frame is sent in its own time; the socket must live so long */
	return r;
}

static int v4(struct row *row)
{
	struct packet p = {0};

	put_ether(&p, row, ETH_P_IP);
	syn4(&p, IMDS4);
	return send_xdp(row, &p);
}

static int v6(struct row *row)
{
	struct packet p = {0};

	put_ether(&p, row, ETH_P_IPV6);
	syn6(&p, IMDS6);
	return send_xdp(row, &p);
}

const struct vector xdp_vectors[] = {
	{"AF_XDP", v4, .needs = NEEDS_PACKETS},
	{"AF_XDP, v6", v6, .needs = NEEDS_PACKETS},
	{"AF_XDP, node forwards below netfilter", v4, .setup = "redirect", .needs = NEEDS_TC},
	{"AF_XDP, of a hostNetwork pod", v4, .place = "hostpod",
	 .open = "like PACKET_QDISC_BYPASS"},
	{0},
};
