// SPDX-License-Identifier: Apache-2.0
/* MODULES: net base */
/* LIBS: -lmnl */
/* Messages as Linux 6.18 and 6.12 sent them, whole, cut and damaged. Each is read from memory that ends with
 * it, so that the sanitizer sees a read beyond. */
#include <arpa/inet.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <linux/rtnetlink.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "net/links.h"
#include "net/messages.h"
#include "net/sockdiag.h"

static const char tcp4[] =
	"7c0000001400020001000000e21d000002010000e93200507f000001000000000000000000000000"
	"7f000001000000000000000000000000000000005dda7e0000000000000000000000000000000000"
	"000000007049da00050008000000000008000f00000000000c001500010000000000000006001600"
	"52000000";
static const char tcp_mapped[] =
	"7c0000001400020001000000e2a197e50a0100000050c12000000000000000000000ffff7f000002"
	"00000000000000000000ffff7f000001000000005eda7e0000000000000000000000000000000000"
	"0000000000000000050008000000000008000f00000000000c001500010000000000000006001600"
	"12000000";
static const char listen_dual[] =
	"840000001400020001000000dee9b1d50a0a00000050000000000000000000000000000000000000"
	"000000000000000000000000000000000000000061da7e0000000000000000000200000080000000"
	"000000006e49da00050008000000000005000b000000000008000f00000000000c00150001000000"
	"000000000600160012000000";
static const char listen_v6only[] =
	"840000001400020001000000dee9b1d50a0a00000051000000000000000000000000000000000001"
	"000000000000000000000000000000000000000062da7e0000000000000000000000000080000000"
	"000000006f49da00050008000000000005000b000100000008000f00000000000c00150001000000"
	"000000000600160012000000";
static const char udp6[] =
	"7c00000014000200010000001ca693fb0a010000c94e003500000000000000000000000000000001"
	"000000000000000000000000000000010000000063da7e0000000000000000000000000000000000"
	"000000007249da00050008000000000008000f00000000000c001500010000000000000006001600"
	"10000000";
/* An end of a pair, and a listener: by ss(8), 5 is SOCK_SEQPACKET. */
static const char unix_pair[] =
	"3000000014000200010000007e710000010501002b58aa0ba4558304000000000800"
	"02002a58aa0b0500060000000000";
static const char route_multipath[] =
	"480000001800020001000000e21d000002000000fe0300010000000008000f00fe00000024000900"
	"1000000005000000080005000a0100021000000004000000080005000a020002";
static const char route_local[] =
	"3c0000001800020001000000e21d000002200000ff02fd030000000008000f00ff00000008000100"
	"0a0100ff080007000a0100010800040005000000";

/* Without the attributes that nobody here reads. */
static const char link_lo[] =
	"3000000010000200010000001c11339b00000403010000004900010000000000070003006c6f0000"
	"08000d00e8030000";
static const char link_veth[] =
	"b401000010000200010000001c11339b000001000200000003100000000000000700030076310000"
	"08000d00e803000008000a00030000006c0112000900010076657468000000000b00040062726964"
	"67650000500105000500010000000000060002002000000008000300020000000500040000000000"
	"05000500000000000500060000000000050007000000000005001c00000000000500080001000000"
	"050009000100000005001b000100000005001e000100000005000a000000000005000c0000000000"
	"0c000d0080006271fcdaeb9f0c000e0080006271fcdaeb9f06000f00018000000600100000000000"
	"060011000180000006001200010000000500130000000000050014000000000005001d0000000000"
	"06001f00000000000500200000000000050023000000000005002400000000000500210000000000"
	"0500270000000000050028000000000005002b00000000000c00150000000000000000000c001600"
	"00000000000000000c00170000000000000000000500190001000000080025000002000008002600"
	"00000000080029000000000008002a000000000008002500000000000800050002000000";
static const char link_bridge[] =
	"cc01000010000200010000001c11339b000001000300000003100000000000000800030062723000"
	"08000d00e80300009c0112000b00010062726964676500008c0102000c0010000000000000000000"
	"0c00110000000000000000000c00120000000000000000000c001300287500000000000008000100"
	"dc05000008000200c800000008000300d00700000800040030750000080005000000000006000600"
	"00800000050007000000000006000900000000000c000b0080006271fcdaeb9f0c000a0080006271"
	"fcdaeb9f06000c000000000008000d000000000005000e000000000005000f00000000000a001400"
	"0180c200000000000c002e00000000001f0000000800300000000000080031000000000005001600"
	"0100000005001700010000000500180000000000050019000000000005002a000000000008001a00"
	"1000000008001b000010000008001c000200000008001d000200000005002b000200000005002c00"
	"010000000c001e0064000000000000000c001f0090650000000000000c0020009c63000000000000"
	"0c002100d4300000000000000c002200e8030000000000000c002300340c00000000000005002400"
	"0000000005002500000000000500260000000000";

/* A bridge that filters VLANs, with a port in VLAN 10 and, tagged, 20 to 22, and a VLAN device on it. */
static const char addr_lo[] =
	"4c0000001400020001000000d8000000020880fe01000000080001007f000001080002007f000001"
	"070003006c6f0000080008008000000014000600ffffffffffffffffea010000ea010000";
static const char addr_v4[] =
	"500000001400020001000000d80000000218800005000000080001000a630101080002000a630101"
	"0b0003006272302e31300000080008008000000014000600ffffffffffffffff4a0200004a020000";
static const char addr_v6[] =
	"480000001400020001000000d80000000a4082000500000014000100fd9900010000000000000000"
	"0000000114000600ffffffffffffffff60020000600200000800080082000000";
static const char addr_link_local[] =
	"500000001400020001000000d80000000a40c0fd0200000014000100fe80000000000000d89888ff"
	"fe5740f914000600ffffffffffffffff5b0200005b02000008000800c000000005000b0003000000";
static const char port_bridge[] =
	"440000001000020001000000d8000000070001000200000043100100000000000800030062723000"
	"08000a000200000014001a0008000200060001000800020000000a00";
static const char port_tagged[] =
	"540000001000020001000000d8000000070001000400000043100100000000000700030076300000"
	"08000a000200000024001a000800020006000a000800020000001400080002000000150008000200"
	"00001600";
static const char link_filtering[] =
	"f80100001000020001000000d8000000000001000200000043100100000000000800030062723000"
	"08000d00e80300000a000100da98885740f90000bc0112000b0001006272696467650000ac010200"
	"0c00100000000000000000000c00110000000000000000000c00120000000000000000000c001300"
	"107500000000000008000100dc05000008000200c800000008000300d00700000800040030750000"
	"08000500000000000600060000800000050007000100000006000900000000000c000b008000da98"
	"885740f90c000a008000da98885740f906000c000000000008000d000000000005000e0000000000"
	"05000f00000000000a0014000180c200000000000c002e0000000000070000000800300001000000"
	"080031000000000006000800810000000600270001000000050029000000000005002d0000000000"
	"050016000100000005001700010000000500180000000000050019000000000005002a0000000000"
	"08001a001000000008001b000010000008001c000200000008001d000200000005002b0002000000"
	"05002c00010000000c001e0064000000000000000c001f0090650000000000000c0020009c630000"
	"000000000c002100d4300000000000000c002200e8030000000000000c002300340c000000000000"
	"050024000000000005002500000000000500260000000000";
static const char link_cable[] =
	"b80100001000020001000000d8000000000001000400000043100100000000000700030076300000"
	"08000d00e803000008000a00020000000a000100da98885740f900006c0112000900010076657468"
	"000000000b0004006272696467650000500105000500010003000000060002002000000008000300"
	"02000000050004000000000005000500000000000500060000000000050007000000000005001c00"
	"000000000500080001000000050009000100000005001b000100000005001e000100000005000a00"
	"0000000005000c00000000000c000d008000da98885740f90c000e008000da98885740f906000f00"
	"01800000060010000000000006001100018000000600120001000000050013000000000005001400"
	"0000000005001d000000000006001f00000000000500200000000000050023000000000005002400"
	"0000000005002100000000000500270000000000050028000000000005002b00000000000c001500"
	"00000000000000000c001600bd050000000000000c00170000000000000000000500190001000000"
	"08002500000200000800260000000000080029000100000008002a00000000000800050003000000";
static const char link_vlan[] =
	"780000001000020001000000d8000000000001000500000043100100000000000b0003006272302e"
	"3130000008000d00e80300000a000100da98885740f900003000120009000100766c616e00000000"
	"200002000600050081000000060001000a0000000c00020001000000ffffffff0800050002000000";
static const char link_xdp[] =
	"54000000100002000100000000000000000001000300000003100000000000000700030076310000"
	"1c002b0008000500e7c30500050002000100000008000400e7c30500100012000900010076657468"
	"00000000";
static const char link_xdp_generic[] =
	"54000000100002000100000000000000000001000300000003100000000000000700030076310000"
	"1c002b0008000600e8c30500050002000200000008000400e8c30500100012000900010076657468"
	"00000000";

#define V4(a, b, c, d)                                                                             \
	{                                                                                          \
		[10] = 0xff, [11] = 0xff, [12] = (a), [13] = (b), [14] = (c), [15] = (d)           \
	}

static struct nlmsghdr *message(const char *hex, size_t *ret_len)
{
	size_t len = strlen(hex) / 2;
	uint8_t *bytes = malloc(len);

	assert_non_null(bytes);
	for (size_t i = 0; i < len; i++) {
		unsigned byte;

		assert_int_equal(sscanf(hex + 2 * i, "%2x", &byte), 1);
		bytes[i] = (uint8_t)byte;
	}
	*ret_len = len;
	return (struct nlmsghdr *)bytes;
}

static struct sockdiag_socket socket_of(const char *hex, uint8_t protocol)
{
	size_t len;
	_cleanup_free_ struct nlmsghdr *msg = message(hex, &len);
	struct sockdiag_socket socket;

	assert_int_equal(net_message_socket(msg, protocol, &socket), 0);
	return socket;
}

static void socket_v4(void **state)
{
	const uint8_t loopback[16] = V4(127, 0, 0, 1);
	struct sockdiag_socket socket = socket_of(tcp4, IPPROTO_TCP);

	(void)state;
	assert_int_equal(socket.family, AF_INET);
	assert_int_equal(socket.protocol, IPPROTO_TCP);
	assert_int_equal(socket.state, 1);
	assert_memory_equal(socket.local.ip, loopback, 16);
	assert_memory_equal(socket.remote.ip, loopback, 16);
	assert_int_equal(socket.local.port, 0xe932);
	assert_int_equal(socket.remote.port, 80);
	assert_int_equal(socket.cgroup_id, 1);
	assert_int_equal(socket.inode, 0xda4970);
	assert_int_equal(socket.cookie[0], 0x7eda5d);
}

static void socket_mapped(void **state)
{
	const uint8_t local[16] = V4(127, 0, 0, 2);
	struct sockdiag_socket socket = socket_of(tcp_mapped, IPPROTO_TCP);

	(void)state;
	assert_int_equal(socket.family, AF_INET6);
	assert_memory_equal(socket.local.ip, local, 16);
	assert_int_equal(socket.local.port, 80);
	assert_int_equal(socket.remote.port, 0xc120);
}

static void socket_others(void **state)
{
	static const uint8_t loopback[16] = {[15] = 1}, any[16];
	struct sockdiag_socket socket = socket_of(udp6, IPPROTO_UDP);

	(void)state;
	assert_memory_equal(socket.remote.ip, loopback, 16);
	assert_int_equal(socket.remote.port, 53);
	socket = socket_of(listen_dual, IPPROTO_TCP);
	assert_false(socket.v6only);
	assert_memory_equal(socket.local.ip, any, 16);
	assert_true(socket_of(listen_v6only, IPPROTO_TCP).v6only);
}

static void socket_unix(void **state)
{
	size_t len;
	_cleanup_free_ struct nlmsghdr *msg = message(unix_pair, &len);
	struct sockdiag_unix socket;

	(void)state;
	assert_int_equal(net_message_unix(msg, &socket), 0);
	assert_int_equal(socket.inode, 0x0baa582b);
	assert_int_equal(socket.peer, 0x0baa582a);
	assert_int_equal(socket.type, SOCK_SEQPACKET);
	assert_false(socket.listens);
	((uint8_t *)msg)[NLMSG_HDRLEN + 2] = 10; /* TCP_LISTEN */
	msg->nlmsg_len = NLMSG_HDRLEN + 16;
	assert_int_equal(net_message_unix(msg, &socket), 0);
	assert_true(socket.listens);
	assert_int_equal(socket.peer, 0);
	msg->nlmsg_len--;
	assert_int_equal(net_message_unix(msg, &socket), -EBADMSG);
}

static struct links_link link_of(const char *hex)
{
	size_t len;
	_cleanup_free_ struct nlmsghdr *msg = message(hex, &len);
	struct links_link link;

	assert_int_equal(net_message_link(msg, &link), 0);
	return link;
}

static void links(void **state)
{
	struct links_link link = link_of(link_veth);

	(void)state;
	assert_string_equal(link.name, "v1");
	assert_string_equal(link.kind, "veth");
	assert_true(link.peer_elsewhere);
	assert_true(link.up);
	assert_int_equal(link.ifindex, 2);
	assert_int_equal(link.master, 3);
	link = link_of(link_bridge);
	assert_string_equal(link.kind, "bridge");
	assert_false(link.peer_elsewhere);
	assert_int_equal(link.master, 0);
	link = link_of(link_lo);
	assert_string_equal(link.name, "lo");
	assert_string_equal(link.kind, "");
}

/* In generic mode frames are packets already. */
static void links_with_xdp(void **state)
{
	struct links_link link = link_of(link_xdp);

	(void)state;
	assert_string_equal(link.name, "v1");
	assert_string_equal(link.kind, "veth");
	assert_int_equal(link.xdp, 0x5c3e7);
	assert_int_equal(link_of(link_xdp_generic).xdp, 0);
	assert_int_equal(link_of(link_veth).xdp, 0);
}

/* A port that leaves its bridge: not the end of the interface. */
static void link_of_bridge_family(void **state)
{
	size_t len;
	_cleanup_free_ struct nlmsghdr *msg = message(link_veth, &len);
	struct ifinfomsg *info = (void *)((char *)msg + NLMSG_HDRLEN);
	struct links_link link;

	(void)state;
	msg->nlmsg_type = RTM_DELLINK;
	assert_int_equal(net_message_link(msg, &link), 0);
	info->ifi_family = AF_BRIDGE;
	assert_int_equal(net_message_link(msg, &link), -ENOMSG);
	info->ifi_family = AF_UNSPEC;
	info->ifi_index = 0;
	assert_int_equal(net_message_link(msg, &link), -EBADMSG);
	msg->nlmsg_type = RTM_NEWADDR;
	assert_int_equal(net_message_link(msg, &link), -ENOMSG);
}

struct told {
	int links, others;
};

static void tell(void *arg, const struct links_link *link, bool gone)
{
	struct told *told = arg;

	(void)gone;
	told->links += link != NULL;
	told->others += link == NULL;
}

/* What the watch tells of that message. */
static struct told told_of(struct nlmsghdr *msg, uint16_t type)
{
	struct told told = {};
	int fd[2];

	msg->nlmsg_type = type;
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0, fd), 0);
	assert_int_equal(send(fd[0], msg, msg->nlmsg_len, 0), msg->nlmsg_len);
	assert_int_equal(net_links_watch_read(fd[1], tell, &told), 0);
	close(fd[0]);
	close(fd[1]);
	return told;
}

/* A port that gets another VLAN says so by this alone. */
static void changes_that_are_no_link(void **state)
{
	size_t len;
	_cleanup_free_ struct nlmsghdr *link = message(link_veth, &len);
	_cleanup_free_ struct nlmsghdr *port = message(port_tagged, &len);

	(void)state;
	assert_int_equal(told_of(link, RTM_NEWLINK).links, 1);
	assert_int_equal(told_of(link, RTM_NEWLINK).others, 0);
	assert_int_equal(told_of(port, RTM_NEWLINK).links, 0);
	assert_int_equal(told_of(port, RTM_NEWLINK).others, 1);
	assert_int_equal(told_of(port, RTM_DELLINK).others, 1);
	assert_int_equal(told_of(link, RTM_DELADDR).others, 1);
	assert_int_equal(told_of(link, RTM_NEWQDISC).others, 0);
}

static void links_of_vlans(void **state)
{
	static const uint8_t mac[] = {0xda, 0x98, 0x88, 0x57, 0x40, 0xf9}, none[6];
	struct links_link link = link_of(link_filtering);

	(void)state;
	assert_string_equal(link.kind, "bridge");
	assert_true(link.filters_vlans);
	assert_int_equal(link.vlan, 0);
	assert_memory_equal(link.mac, mac, sizeof(mac));
	assert_false(link_of(link_bridge).filters_vlans);
	link = link_of(link_vlan);
	assert_string_equal(link.kind, "vlan");
	assert_int_equal(link.vlan, 10);
	assert_int_equal(link.link, 2);
	assert_false(link.filters_vlans);
	assert_false(link.peer_elsewhere);
	link = link_of(link_cable);
	assert_string_equal(link.kind, "veth");
	assert_int_equal(link.master, 2);
	assert_int_equal(link.link, 3);
	assert_false(link.peer_elsewhere);
	assert_memory_equal(link_of(link_veth).mac, none, sizeof(none));
}

/* A hardware address of another length is no MAC. */
static void link_with_long_address(void **state)
{
	struct {
		struct nlmsghdr nl;
		struct ifinfomsg info;
		struct nlattr attr;
		uint8_t mac[20];
	} msg = {
		.nl = {.nlmsg_len = sizeof(msg), .nlmsg_type = RTM_NEWLINK},
		.info = {.ifi_index = 7},
		.attr = {.nla_len = 4 + 20, .nla_type = IFLA_ADDRESS},
		.mac = {1, 2, 3},
	};
	static const uint8_t none[6];
	struct links_link link;

	(void)state;
	assert_int_equal(net_message_link(&msg.nl, &link), 0);
	assert_memory_equal(link.mac, none, sizeof(none));
	msg.attr.nla_len = 4 + 6;
	assert_int_equal(net_message_link(&msg.nl, &link), 0);
	assert_int_equal(link.mac[2], 3);
}

static struct net_message_address address_of(const char *hex)
{
	size_t len;
	_cleanup_free_ struct nlmsghdr *msg = message(hex, &len);
	struct net_message_address address;

	assert_int_equal(net_message_address(msg, &address), 0);
	return address;
}

static void addresses(void **state)
{
	struct net_message_address address = address_of(addr_v4);

	(void)state;
	assert_int_equal(address.ifindex, 5);
	assert_false(address.link_local);
	address = address_of(addr_v6);
	assert_int_equal(address.ifindex, 5);
	assert_false(address.link_local);
	assert_true(address_of(addr_link_local).link_local);
	address = address_of(addr_lo);
	assert_int_equal(address.ifindex, 1);
	assert_true(address.link_local);
}

static uint16_t pvid_of(const char *hex, int *ret_ifindex)
{
	size_t len;
	_cleanup_free_ struct nlmsghdr *msg = message(hex, &len);
	uint16_t vlan;

	assert_int_equal(net_message_pvid(msg, ret_ifindex, &vlan), 0);
	return vlan;
}

/* Of the VLANs of a port one may be that of frames without a tag. */
static void pvids(void **state)
{
	size_t len;
	_cleanup_free_ struct nlmsghdr *msg = message(port_tagged, &len);
	uint16_t vlan;
	int ifindex;

	(void)state;
	assert_int_equal(pvid_of(port_bridge, &ifindex), 1);
	assert_int_equal(ifindex, 2);
	assert_int_equal(pvid_of(port_tagged, &ifindex), 10);
	assert_int_equal(ifindex, 4);
	((uint8_t *)msg)[len - 36 + 8] = 4; /* untagged on the way out, but no PVID */
	assert_int_equal(net_message_pvid(msg, &ifindex, &vlan), 0);
	assert_int_equal(vlan, 0);
	assert_int_equal(pvid_of("200000001000020001000000d80000000700010004000000"
				 "4310010000000000",
				 &ifindex),
			 0);
	assert_int_equal(ifindex, 4);
	((struct ifinfomsg *)((char *)msg + NLMSG_HDRLEN))->ifi_index = 0;
	assert_int_equal(net_message_pvid(msg, &ifindex, &vlan), -EBADMSG);
}

/* Attribute strings that are too long, or do not end. */
static void link_strings(void **state)
{
	struct {
		struct nlmsghdr nl;
		struct ifinfomsg info;
		struct nlattr attr;
		char name[64];
	} msg = {
		.nl = {.nlmsg_len = sizeof(msg), .nlmsg_type = RTM_NEWLINK},
		.info = {.ifi_index = 7},
		.attr = {.nla_len = 4 + 64, .nla_type = IFLA_IFNAME},
	};
	struct links_link link;

	(void)state;
	memset(msg.name, 'x', sizeof(msg.name));
	assert_int_equal(net_message_link(&msg.nl, &link), 0);
	assert_string_equal(link.name, "xxxxxxxxxxxxxxx");
	msg.attr.nla_len = 4;
	assert_int_equal(net_message_link(&msg.nl, &link), 0);
	assert_string_equal(link.name, "");
}

static void routes(void **state)
{
	size_t len;
	_cleanup_free_ struct nlmsghdr *multi = message(route_multipath, &len);
	_cleanup_free_ struct nlmsghdr *local = message(route_local, &len);
	struct net_message_route route;

	(void)state;
	assert_int_equal(net_message_route(multi, &route), 0);
	assert_int_equal(route.type, RTN_UNICAST);
	assert_int_equal(route.dst_len, 0);
	assert_int_equal(route.oifs, 2);
	assert_int_equal(route.oif[0], 5);
	assert_int_equal(route.oif[1], 4);
	assert_int_equal(net_message_route(local, &route), 0);
	assert_int_equal(route.dst_len, 32);
	assert_int_equal(route.oifs, 1);
	local->nlmsg_type = RTM_DELROUTE;
	assert_int_equal(net_message_route(local, &route), -EBADMSG);
}

static void route_with_many_hops(void **state)
{
	struct {
		struct nlmsghdr nl;
		struct rtmsg rt;
		struct nlattr attr;
		struct rtnexthop hop[MESSAGE_OIFS + 5];
	} msg = {
		.nl = {.nlmsg_len = sizeof(msg), .nlmsg_type = RTM_NEWROUTE},
		.attr = {.nla_len = 4 + sizeof(msg.hop), .nla_type = RTA_MULTIPATH},
	};
	struct net_message_route route;

	(void)state;
	for (int i = 0; i < MESSAGE_OIFS + 5; i++)
		msg.hop[i] =
			(struct rtnexthop){.rtnh_len = sizeof(msg.hop[i]), .rtnh_ifindex = i + 1};
	assert_int_equal(net_message_route(&msg.nl, &route), 0);
	assert_int_equal(route.oifs, MESSAGE_OIFS);
	msg.hop[1].rtnh_len = 0; /* would go round for ever */
	assert_int_equal(net_message_route(&msg.nl, &route), 0);
	assert_int_equal(route.oifs, 1);
	msg.hop[0].rtnh_len = UINT16_MAX;
	assert_int_equal(net_message_route(&msg.nl, &route), 0);
	assert_int_equal(route.oifs, 0);
}

/* Whatever the bytes are: no read beyond them, and strings that end. */
static void read_all_ways(const struct nlmsghdr *msg)
{
	struct sockdiag_socket socket;
	struct sockdiag_unix local;
	struct net_message_address addr;
	struct net_message_route route;
	struct links_link link;
	uint16_t vlan;
	int ifindex;

	net_message_socket(msg, IPPROTO_TCP, &socket);
	net_message_unix(msg, &local);
	net_message_address(msg, &addr);
	net_message_pvid(msg, &ifindex, &vlan);
	if (net_message_link(msg, &link) == 0) {
		assert_true(strnlen(link.name, sizeof(link.name)) < sizeof(link.name));
		assert_true(strnlen(link.kind, sizeof(link.kind)) < sizeof(link.kind));
		assert_true(link.ifindex > 0);
	}
	if (net_message_route(msg, &route) == 0) {
		assert_true(route.oifs <= MESSAGE_OIFS);
		for (unsigned i = 0; i < route.oifs; i++)
			assert_true(route.oif[i] > 0);
	}
}

static const char *const recorded[] = {
	tcp4,	     tcp_mapped,       listen_dual,    listen_v6only, udp6,
	unix_pair,   route_multipath,  route_local,    link_lo,	      link_veth,
	link_bridge, addr_lo,	       addr_v4,	       addr_v6,	      addr_link_local,
	port_bridge, port_tagged,      link_filtering, link_cable,    link_vlan,
	link_xdp,    link_xdp_generic,
};

static void cut(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(recorded); i++) {
		size_t whole;
		_cleanup_free_ struct nlmsghdr *msg = message(recorded[i], &whole);

		for (size_t len = NLMSG_HDRLEN; len <= whole; len++) {
			_cleanup_free_ struct nlmsghdr *part = malloc(len);

			memcpy(part, msg, len);
			part->nlmsg_len = (uint32_t)len;
			read_all_ways(part);
		}
	}
}

static void cut_header(void **state)
{
	size_t len;
	_cleanup_free_ struct nlmsghdr *diag = message(tcp4, &len);
	_cleanup_free_ struct nlmsghdr *link = message(link_veth, &len);
	_cleanup_free_ struct nlmsghdr *route = message(route_local, &len);
	_cleanup_free_ struct nlmsghdr *addr = message(addr_v4, &len);
	_cleanup_free_ struct nlmsghdr *port = message(port_tagged, &len);
	struct sockdiag_socket socket;
	struct net_message_address a;
	struct net_message_route r;
	struct links_link l;
	uint16_t vlan;
	int ifindex;

	(void)state;
	addr->nlmsg_len = NLMSG_HDRLEN + sizeof(struct ifaddrmsg) - 1;
	assert_int_equal(net_message_address(addr, &a), -EBADMSG);
	addr->nlmsg_len++;
	assert_int_equal(net_message_address(addr, &a), 0);
	((struct ifaddrmsg *)((char *)addr + NLMSG_HDRLEN))->ifa_index = 0;
	assert_int_equal(net_message_address(addr, &a), -EBADMSG);
	((struct ifaddrmsg *)((char *)addr + NLMSG_HDRLEN))->ifa_index = 5;
	addr->nlmsg_type = RTM_DELADDR;
	assert_int_equal(net_message_address(addr, &a), -EBADMSG);
	assert_int_equal(net_message_pvid(link, &ifindex, &vlan), -EBADMSG);
	port->nlmsg_len = NLMSG_HDRLEN + sizeof(struct ifinfomsg) - 1;
	assert_int_equal(net_message_pvid(port, &ifindex, &vlan), -EBADMSG);
	port->nlmsg_len++;
	assert_int_equal(net_message_pvid(port, &ifindex, &vlan), 0);
	assert_int_equal(vlan, 0);
	diag->nlmsg_len = NLMSG_HDRLEN + 71;
	assert_int_equal(net_message_socket(diag, IPPROTO_TCP, &socket), -EBADMSG);
	diag->nlmsg_len = NLMSG_HDRLEN + 72;
	assert_int_equal(net_message_socket(diag, IPPROTO_TCP, &socket), 0);
	assert_int_equal(socket.cgroup_id, 0);
	link->nlmsg_len = NLMSG_HDRLEN + sizeof(struct ifinfomsg) - 1;
	assert_int_equal(net_message_link(link, &l), -EBADMSG);
	route->nlmsg_len = NLMSG_HDRLEN + sizeof(struct rtmsg) - 1;
	assert_int_equal(net_message_route(route, &r), -EBADMSG);
}

static void damaged(void **state)
{
	static const uint8_t values[] = {0, 1, 3, 4, 5, 0x7f, 0x80, 0xff};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(recorded); i++) {
		size_t len;
		_cleanup_free_ struct nlmsghdr *msg = message(recorded[i], &len);
		uint8_t *bytes = (uint8_t *)msg;

		for (size_t at = 4; at < len; at++) {
			uint8_t before = bytes[at];

			for (size_t v = 0; v < ARRAY_SIZE(values); v++) {
				bytes[at] = values[v];
				read_all_ways(msg);
			}
			bytes[at] = before;
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(socket_v4),
		cmocka_unit_test(socket_mapped),
		cmocka_unit_test(socket_others),
		cmocka_unit_test(socket_unix),
		cmocka_unit_test(links),
		cmocka_unit_test(links_with_xdp),
		cmocka_unit_test(links_of_vlans),
		cmocka_unit_test(link_with_long_address),
		cmocka_unit_test(addresses),
		cmocka_unit_test(pvids),
		cmocka_unit_test(link_of_bridge_family),
		cmocka_unit_test(changes_that_are_no_link),
		cmocka_unit_test(link_strings),
		cmocka_unit_test(routes),
		cmocka_unit_test(route_with_many_hops),
		cmocka_unit_test(cut),
		cmocka_unit_test(cut_header),
		cmocka_unit_test(damaged),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
