// SPDX-License-Identifier: Apache-2.0
/*
 * A redirected connection on a bridge that it shares with a hostile pod (spoof.c). The neighbour must not
 * see a frame of it, nor may anything be taken that he sends in the name of either end.
 */
#include <fcntl.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/ioctl.h>

#include "bypass.h"

#define SLICE_MS 20
#define LONG_MS	 4000 /* for what must come; WAIT_FACTOR times that */

#define REACHED "spoofed=reached"
#define ENDED	"spoofed=ended"

static int as_line(struct row *row, const char *text)
{
	snprintf(row->line, sizeof(row->line), "%s", text);
	return 1;
}

static struct neighbour_seen order(enum neighbour_what what, enum neighbour_mode mode)
{
	struct neighbour_order o = {.what = what, .mode = mode};

	return neighbour(&o);
}

__attribute__((noreturn)) static void broken(const char *what)
{
	order(ORDER_RESET, 0);
	fprintf(stderr, "%s\n", what);
	_exit(3);
}

/* Under a neighbour who looks on, it is his part that counts, whatever the victim got. */
const char *neighbour_outcome(const char *line)
{
	struct neighbour_seen seen = order(ORDER_SEEN, 0);

	if (seen.taken)
		return "taken";
	if (!strncmp(line, "HIJACK", 6))
		return "false";
	if (!strcmp(line, REACHED))
		return "reached";
	if (!strcmp(line, ENDED))
		return "ended";
	if (seen.asked || seen.answered)
		return "read";
	return seen.frames ? "seen" : NULL;
}

/* ---- tables of the kernel ---- */

struct ask {
	struct nlmsghdr head;
	struct ndmsg body;
	uint8_t attrs[64];
};

static void put_attr(struct ask *ask, int type, const void *data, size_t len)
{
	struct rtattr *attr = (struct rtattr *)((char *)ask + NLMSG_ALIGN(ask->head.nlmsg_len));

	attr->rta_type = (unsigned short)type;
	attr->rta_len = (unsigned short)RTA_LENGTH(len);
	memcpy(RTA_DATA(attr), data, len);
	ask->head.nlmsg_len = NLMSG_ALIGN(ask->head.nlmsg_len) + RTA_ALIGN(attr->rta_len);
}

/* The entry that was asked for, in ANSWER; NULL: there is none. */
static const struct ndmsg *entry(int fd, struct ask *ask, char *answer, size_t size)
{
	struct nlmsghdr *head = (struct nlmsghdr *)answer;

	ask->head.nlmsg_type = RTM_GETNEIGH;
	ask->head.nlmsg_flags = NLM_F_REQUEST;
	if (send(fd, ask, ask->head.nlmsg_len, 0) < 0 || recv(fd, answer, size, 0) < 0)
		broken("no answer of netlink");
	return head->nlmsg_type == RTM_NEWNEIGH ? NLMSG_DATA(head) : NULL;
}

static bool has_lladdr(const struct ndmsg *nd, const void *mac)
{
	const struct nlmsghdr *head = (const struct nlmsghdr *)((const char *)nd - NLMSG_HDRLEN);
	int len = (int)(head->nlmsg_len - NLMSG_LENGTH(sizeof(*nd)));
	struct rtattr *attr = (struct rtattr *)((char *)nd + NLMSG_ALIGN(sizeof(*nd)));

	for (; RTA_OK(attr, len); attr = RTA_NEXT(attr, len))
		if (attr->rta_type == NDA_LLADDR && RTA_PAYLOAD(attr) == 6)
			return !memcmp(RTA_DATA(attr), mac, 6);
	return false;
}

/* Whether HOST has that link layer address in the neighbour table that FD is of. */
static bool is_at(int fd, const char *device_index, const char *host, const void *mac)
{
	struct ask ask = {.head.nlmsg_len = NLMSG_LENGTH(sizeof(struct ndmsg))};
	const struct ndmsg *nd;
	char answer[4096];
	uint8_t addr[16];

	ask.body.ndm_family = strchr(host, ':') ? AF_INET6 : AF_INET;
	memcpy(&ask.body.ndm_ifindex, device_index, sizeof(ask.body.ndm_ifindex));
	inet_pton(ask.body.ndm_family, host, addr);
	put_attr(&ask, NDA_DST, addr, ask.body.ndm_family == AF_INET6 ? 16 : 4);
	nd = entry(fd, &ask, answer, sizeof(answer));
	return nd && has_lladdr(nd, mac);
}

/* The port behind which the bridge believes MAC to be. */
static int port_of(int fd, int bridge, const void *mac)
{
	struct ask ask = {.head.nlmsg_len = NLMSG_LENGTH(sizeof(struct ndmsg))};
	const struct ndmsg *nd;
	char answer[4096];

	ask.body.ndm_family = AF_BRIDGE;
	put_attr(&ask, NDA_LLADDR, mac, 6);
	put_attr(&ask, NDA_MASTER, &bridge, sizeof(bridge));
	nd = entry(fd, &ask, answer, sizeof(answer));
	return nd ? nd->ndm_ifindex : 0;
}

struct tables {
	int fd;
	int index; /* of the device that the entries are of */
};

/* Netlink, here or on the node. */
static struct tables tables_of(bool node)
{
	int home = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	struct tables t;

	if (node)
		join_netns(setting("BYPASS_NODE_NETNS"));
	t.fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
	t.index = (int)if_nametoindex(node ? "br0" : "eth0");
	if (node && setns(home, CLONE_NEWNET) < 0)
		broken("no way back from the node's network namespace");
	close(home);
	return t;
}

/* ---- the victim ---- */

static const char *own_address(bool v6)
{
	return setting(v6 ? "BYPASS_OWN_IP6" : "BYPASS_OWN_IP");
}

/* What the victim's socket comes to. UNTIL: the neighbour has what he wants, and nothing more is to come. */
static bool comes(int fd, short what, bool (*until)(struct neighbour_seen))
{
	struct pollfd p = {.fd = fd, .events = what};

	for (int left = LONG_MS * wait_factor(); left > 0; left -= SLICE_MS) {
		if (poll(&p, 1, SLICE_MS) > 0)
			return true;
		if (until && until(order(ORDER_SEEN, 0)))
			break;
	}
	return false;
}

static bool is_taken(struct neighbour_seen seen)
{
	return seen.taken;
}

static bool has_answer(struct neighbour_seen seen)
{
	return seen.answered > 0;
}

static int begin(struct row *row)
{
	bool v6 = row->vector->spoof.v6;
	struct sockaddr_storage ss;
	socklen_t len = address(&ss, v6 ? IMDS6 : IMDS4, 80, false);

	row->fd = socket(ss.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (connect(row->fd, (struct sockaddr *)&ss, len) < 0 && errno != EINPROGRESS)
		return -errno;
	return 0;
}

static int connected(struct row *row, bool (*until)(struct neighbour_seen))
{
	int error = 0;
	socklen_t len = sizeof(error);

	if (!comes(row->fd, POLLOUT, until))
		return -ETIMEDOUT;
	getsockopt(row->fd, SOL_SOCKET, SO_ERROR, &error, &len);
	return -error;
}

static int say_and_hear(struct row *row, const char *text, bool (*until)(struct neighbour_seen))
{
	if (*text && send(row->fd, text, strlen(text), MSG_NOSIGNAL) < 0)
		return -errno;
	return comes(row->fd, POLLIN, until) ? hear(row, row->fd) : 0;
}

static int ask(struct row *row, bool (*until)(struct neighbour_seen))
{
	int r = begin(row);

	if (r == 0)
		r = connected(row, until);
	return r < 0 ? r : say_and_hear(row, "token\n", until);
}

/* ---- rows: he makes himself the way ---- */

/* Both believe it, or the row proves nothing. */
static void until_poisoned(struct row *row)
{
	bool v6 = row->vector->spoof.v6;
	struct tables here = tables_of(false), node = tables_of(true);
	for (int left = LONG_MS * wait_factor(); left > 0; left--) {
		order(ORDER_MODE, row->vector->mode);
		if (is_at(here.fd, (char *)&here.index, v6 ? NODE6 : NODE4, OTHER_MAC) &&
		    is_at(node.fd, (char *)&node.index, own_address(v6), OTHER_MAC))
			return;
		usleep(1000);
	}
	broken("the neighbour's addresses are not believed");
}

static int poisoned(struct row *row)
{
	int r;

	order(ORDER_RESET, 0);
	until_poisoned(row);
	r = ask(row, row->vector->mode == NEIGHBOUR_COMPLETE ? is_taken : NULL);
	order(ORDER_MODE, NEIGHBOUR_QUIET);
	return r;
}

/* The agent is stopped, so that its answer is made when the bridge has been led astray. */
static void agent_signal(int sig)
{
	char path[1024];
	FILE *f;
	int pid;

	snprintf(path, sizeof(path), "%s/cgroup.procs", setting("BYPASS_AGENT_CGROUP"));
	f = fopen(path, "re");
	if (!f)
		broken("no agent");
	while (fscanf(f, "%d", &pid) == 1)
		kill(pid, sig);
	fclose(f);
}

static void until_acknowledged(int fd)
{
	int unsent = 1;

	for (int left = LONG_MS * wait_factor(); left > 0; left--) {
		if (ioctl(fd, SIOCOUTQ, &unsent) == 0 && !unsent)
			return;
		usleep(1000);
	}
}

/* As the bridge has it. The victim's own frames may have gone past it, and left no trace there. */
static void until_stolen(void)
{
	struct tables node = tables_of(true);

	for (int left = LONG_MS * wait_factor(); left > 0; left--) {
		int thief, victim;

		order(ORDER_STEAL, 0);
		thief = port_of(node.fd, node.index, OTHER_MAC);
		victim = port_of(node.fd, node.index, WEB_MAC);
		if (thief && thief == victim)
			return;
		usleep(1000);
	}
	broken("the bridge did not learn the address at the neighbour's port");
}

static int source_theft(struct row *row)
{
	int r;

	order(ORDER_RESET, 0);
	agent_signal(SIGSTOP);
	r = begin(row);
	if (r == 0)
		r = connected(row, NULL);
	if (r == 0 && send(row->fd, "token\n", 6, MSG_NOSIGNAL) < 0)
		r = -errno;
	if (r == 0) {
		until_acknowledged(row->fd);
		until_stolen();
	}
	agent_signal(SIGCONT);
	return r < 0 ? r : say_and_hear(row, "", has_answer);
}

static int flooded(struct row *row)
{
	order(ORDER_RESET, 0);
	return ask(row, NULL);
}

/* ---- rows: frames in another's name ---- */

/* What passes the victim's interface. */
static int tap_open(void)
{
	struct sockaddr_ll at = {.sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL)};
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, htons(ETH_P_ALL));

	at.sll_ifindex = (int)if_nametoindex("eth0");
	if (bind(fd, (struct sockaddr *)&at, sizeof(at)) < 0)
		broken("no tap");
	return fd;
}

/* Waits until DEADLINE, whatever else passes. */
static bool next_segment(int tap, struct segment *ret, int64_t deadline)
{
	static uint8_t frame[1 << 16];
	struct pollfd p = {.fd = tap, .events = POLLIN};

	for (;;) {
		int64_t left = deadline - now_ms();
		ssize_t n;

		if (poll(&p, 1, left > 0 ? (int)left : 0) <= 0)
			return false;
		n = recv(tap, frame, sizeof(frame), MSG_DONTWAIT);
		if (n > 0 && is_of_victim(frame, (size_t)n, ret))
			return true;
	}
}

/* What an attacker would have to know, or to guess. */
static void learn(int tap, struct spoof *spoof, int wait_ms)
{
	int64_t deadline = now_ms() + wait_ms;
	uint32_t mine = 0, theirs = 0;
	struct segment s;

	while (next_segment(tap, &s, deadline)) {
		deadline = 0;
		spoof->port = s.port;
		*(s.to_agent ? &mine : &theirs) = s.next;
	}
	spoof->seq = spoof->as_agent ? theirs : mine;
	spoof->ack = spoof->as_agent ? mine : theirs;
}

static void spoofed(const struct spoof *spoof)
{
	struct neighbour_order o = {.what = ORDER_SPOOF, .spoof = *spoof};

	neighbour(&o);
}

/* Whether the agent's side has answered the frame. */
static bool is_acknowledged(int tap, const struct spoof *spoof)
{
	int64_t deadline = now_ms() + WAIT_MS;
	struct segment s;

	while (next_segment(tap, &s, deadline)) {
		if (s.to_agent || s.port != spoof->port || !s.ack_set || s.rst)
			continue;
		if (spoof->kind == SPOOF_SYN ? s.syn && s.ack == spoof->seq + 1
					     : (int32_t)(s.ack - spoof->seq) > 0)
			return true;
	}
	return false;
}

static int spoof_syn(struct row *row)
{
	struct spoof spoof = row->vector->spoof;
	int tap = tap_open();

	order(ORDER_RESET, 0);
	spoof.port = source_port();
	spoof.seq = 1000;
	spoofed(&spoof);
	if (is_acknowledged(tap, &spoof))
		return as_line(row, REACHED);
	return ask(row, NULL);
}

/* On a connection that has been answered once, and has to be once more. */
static int spoof_live(struct row *row)
{
	struct spoof spoof = row->vector->spoof;
	int tap = tap_open(), r;

	order(ORDER_RESET, 0);
	r = ask(row, NULL);
	if (r <= 0 || strncmp(row->line, "pod=", 4) != 0)
		return r;
	learn(tap, &spoof, 0);
	spoofed(&spoof);
	if ((spoof.kind == SPOOF_DATA || spoof.kind == SPOOF_REPAIR_DATA) && !spoof.as_agent &&
	    is_acknowledged(tap, &spoof))
		return as_line(row, REACHED);
	r = say_and_hear(row, "again\n", NULL);
	return r == -ECONNRESET || r == -EPIPE ? as_line(row, ENDED) : r;
}

/* Before the agent's own SYN-ACK, which has been led astray. */
static int spoof_synack(struct row *row)
{
	struct spoof spoof = row->vector->spoof;
	int tap = tap_open(), r;

	order(ORDER_RESET, 0);
	r = begin(row);
	if (r < 0)
		return r;
	learn(tap, &spoof, LONG_MS * wait_factor());
	spoof.seq = 5000;
	spoofed(&spoof);
	r = poll(&(struct pollfd){.fd = row->fd, .events = POLLOUT}, 1, WAIT_MS * wait_factor()) > 0
		    ? connected(row, NULL)
		    : -EAGAIN;
	if (r == 0)
		r = say_and_hear(row, "token\n", NULL);
	return r < 0 && r != -EAGAIN ? as_line(row, ENDED) : r;
}

static int spoof(struct row *row)
{
	switch (row->vector->spoof.kind) {
	case SPOOF_SYN:
		return spoof_syn(row);
	case SPOOF_SYNACK:
		return spoof_synack(row);
	default:
		return spoof_live(row);
	}
}

#define NEIGHBOUR(...) .neighbour = true, .want = "A", .needs = NEEDS_TC, __VA_ARGS__
#define POISON(text, how, came_to)                                                                 \
	{"neighbour: ARP poisoning, " text, poisoned,                                              \
	 NEIGHBOUR(.setup = "neighbour_poison", .mode = how, .without = came_to)},                 \
	{                                                                                          \
		"neighbour: ND poisoning, " text, poisoned,                                        \
			NEIGHBOUR(.setup = "neighbour_poison", .mode = how, .without = came_to,    \
				  .spoof.v6 = true)                                                \
	}
#define ROW(text, is_v6, who, what, way, came_to, ...)                                             \
	{                                                                                          \
		"neighbour: " text, spoof,                                                         \
			NEIGHBOUR(.without = came_to,                                              \
				  .spoof = {.as_agent = (who),                                     \
					    .v6 = (is_v6),                                         \
					    .kind = (what),                                        \
					    .carrier = (way)},                                     \
				  __VA_ARGS__)                                                     \
	}
#define KINDS(v, is_v6, way, how)                                                                  \
	ROW("SYN in the victim's name" v how, is_v6, false, SPOOF_SYN, way, "H reached"),          \
		ROW("data in the victim's name" v how, is_v6, false, SPOOF_DATA, way,              \
		    "H reached"),                                                                  \
		ROW("RST in the victim's name" v how, is_v6, false, SPOOF_RST, way, "H ended"),    \
		ROW("data in the agent's name" v how, is_v6, true, SPOOF_DATA, way, "H false"),    \
		ROW("RST in the agent's name" v how, is_v6, true, SPOOF_RST, way, "H ended"),      \
		ROW("SYN-ACK with data in the agent's name" v how, is_v6, true, SPOOF_SYNACK, way, \
		    "H ended", .setup = "neighbour_hole")
#define BOTH(way, how) KINDS("", false, way, how), KINDS(", v6", true, way, how)

#define REPAIR(v, is_v6)                                                                           \
	ROW("TCP_REPAIR into the victim's connection" v ", data", is_v6, false, SPOOF_REPAIR_DATA, \
	    PLAIN, "H reached"),                                                                   \
		ROW("TCP_REPAIR into the victim's connection" v ", FIN", is_v6, false,             \
		    SPOOF_REPAIR_FIN, PLAIN, "H ended"),                                           \
		ROW("TCP_REPAIR into the victim's connection" v ", RST", is_v6, false,             \
		    SPOOF_REPAIR_RST, PLAIN, "H ended")

const struct vector neighbour_vectors[] = {
	POISON("relay", NEIGHBOUR_RELAY, "H read"),
	POISON("SYN-ACK withheld, handshake completed", NEIGHBOUR_COMPLETE, "H taken"),
	POISON("false answer", NEIGHBOUR_ANSWER, "H false"),
	{"neighbour: theft of the victim's link layer address", source_theft,
	 NEIGHBOUR(.without = "H read")},
	{"neighbour: theft of the victim's link layer address, v6", source_theft,
	 NEIGHBOUR(.without = "H read", .spoof.v6 = true)},
	{"neighbour: bridge floods what goes to the victim", flooded,
	 NEIGHBOUR(.setup = "neighbour_flood", .without = "H read")},
	{"neighbour: bridge floods what goes to the victim, v6", flooded,
	 NEIGHBOUR(.setup = "neighbour_flood", .without = "H read", .spoof.v6 = true)},
	BOTH(PLAIN, ""),
	BOTH(THROUGH_POD, ", through a pod"),
	BOTH(TAG_8021Q, ", 802.1Q"),
	BOTH(TAG_8021AD, ", 802.1ad"),
	BOTH(FRAGMENTS, ", in fragments"),
	BOTH(OPTIONS, ", with options"),
	KINDS(", v6", true, HOP_BY_HOP, ", hop-by-hop"),
	REPAIR("", false),
	REPAIR(", v6", true),
	{0},
};
