// SPDX-License-Identifier: Apache-2.0
/* FLAGS: -Itests/fuzz/host -Ibpf/lib -Ibpf -Wno-missing-prototypes -Wno-unknown-attributes -fno-sanitize=alignment */
/* SOURCES: user/kernel/filter.c */
/* MODULES: base */
/*
 * The packet programs of bpf/egress.bpf.c, bpf/tcx.bpf.c and bpf/path.bpf.c, whole, on a packet of a pod,
 * or for one. Beside them the second reader says where the packet could go. What could go to a guarded
 * address must be dropped; what plainly goes elsewhere must pass. To the agent only the socket gets
 * through that announced the connection, and past the bridge a packet goes where that is written down.
 *
 * First byte: the program, and who sent it; second: tags and link header; third: what the maps know; then
 * the packet.
 */
#define backstop  backstop_egress
#define sender_of sender_of_egress
#define LICENSE	  license_egress
#include "egress.bpf.c"
#undef backstop
#undef sender_of
#undef LICENSE
#undef ETH_P_IP
#undef ETH_P_IPV6
#define LICENSE license_tcx
#include "tcx.bpf.c"
#undef LICENSE
#define LICENSE license_path
#include "path.bpf.c"
#undef LICENSE

#include <arpa/inet.h>
#include <sys/mman.h>

#include "kernel/filter.h"
#include "kernel/load.h"
#include "model.h"

#define TCX_REDIRECT 7 /* the kernel's, of bpf_redirect */

#define POD	 0x1000
#define KUBEPODS 0x10
#define LEVEL	 1

/* ---- the maps ---- */

static const struct rule {
	const char *text;
	uint8_t action; /* of the address */
	uint8_t at_80; /* tcp port 80 */
} rules[] = {
	{"169.254.169.254", PODCRED_ACTION_DENY, PODCRED_ACTION_REDIRECT},
	{"fd00:ec2::254", PODCRED_ACTION_DENY, PODCRED_ACTION_REDIRECT},
	{"169.254.170.23", PODCRED_ACTION_ALLOW, PODCRED_ACTION_DENY},
	{"fd00:ec2::23", PODCRED_ACTION_AUDIT, PODCRED_ACTION_REDIRECT},
	{"10.99.7.0/24", PODCRED_ACTION_DENY, PODCRED_ACTION_DENY},
	{"10.0.0.5", PODCRED_ACTION_ALLOW, PODCRED_ACTION_STAMP}, /* the agent's own two */
	{"fd05::5", PODCRED_ACTION_ALLOW, PODCRED_ACTION_STAMP},
};

#define N_RULES (sizeof(rules) / sizeof(rules[0]))

static struct kern_guard guards[N_RULES];
static struct podcred_config config = {.kubepods_level = LEVEL, .max_flows_per_pod = 128};
#define AGENT (N_RULES - 2) /* which rule is the agent's own; the next is that of IPv6 */
static struct podcred_action_value found;
static __u64 runtime[PODCRED_RUNTIME_SLOTS], counter;
static struct podcred_event event;
static bool dropped_by_report;

static void set_up(void)
{
	for (size_t i = 0; i < N_RULES; i++)
		if (net_prefix_parse(rules[i].text, &guards[i].prefix, &guards[i].bits) < 0)
			abort();
	for (size_t i = 0; i < 2; i++) {
		memcpy(config.agent[i].addr.ip, guards[AGENT + i].prefix.ip,
		       sizeof(config.agent[i].addr.ip));
		config.agent[i].port = htons(80);
	}
	kern_guard_filter_fill(guards, N_RULES, &config);
	/* a prefix shorter than the filter's bits sets all of them, and there is no short way */
	if (config.guard_filter[0] == ~0ULL)
		abort();
	runtime[PODCRED_RUNTIME_KUBEPODS] = KUBEPODS;
}

static const struct rule *rule_of(const uint8_t ip[16])
{
	for (size_t i = 0; i < N_RULES; i++) {
		unsigned bits = guards[i].bits, n = bits / 8;

		if (!memcmp(ip, guards[i].prefix.ip, n) &&
		    (bits % 8 == 0 || !((ip[n] ^ guards[i].prefix.ip[n]) >> (8 - bits % 8))))
			return &rules[i];
	}
	return NULL;
}

/* The packet, as the kernel would hand it over. */
struct host_skb {
	struct __sk_buff ctx; /* first: programs pass it to the helpers */
	const uint8_t *frame;
	size_t len, linear;
	size_t net; /* where the network header is */
	enum program { EGRESS, VETH, UPLINK, WAYOUT } program;
	bool from_pod;
	struct sk_buff kernel; /* what stands behind the context */
};

/* ---- the way past the bridge ---- */

/* The third byte, for podcred_veth. */
#define KNOWN_PATH	0x01 /* the interface is in podcred_paths */
#define KNOWN_GATEWAY	0x02 /* and a bridge is behind it */
#define KNOWN_ANNOUNCED 0x04 /* the packet's socket has announced a connection to the agent */
#define KNOWN_PEER	0x08 /* that connection is in podcred_peers_v2, */
#define KNOWN_TAIL	0x10 /* in podcred_tails, */
#define KNOWN_ELSEWHERE 0x20 /* of another interface */
#define KNOWN_TAGGED	0x40 /* the kernel has taken a VLAN tag off */
#define KNOWN_AGENTS	0x80 /* the sender is the agent's pod */

/* For podcred_wayout, beside KNOWN_TAIL. */
#define KNOWN_SEALED 0x01 /* the agent's socket has its seal, */
#define KNOWN_NO_WAY 0x02 /* without a way */
#define KNOWN_FLOW   0x04 /* the connection is in podcred_flows_v2, */
#define KNOWN_STOLEN 0x08 /* and what is written there is of another socket */

#define IFINDEX	 11 /* that the packet comes in by */
#define GATEWAY	 12 /* that it goes on by */
#define OTHER	 13
#define SEALED	 21 /* where the answers go, by who says so */
#define FLOWING	 22
#define TRAILING 23
#define COOKIE	 7

#define CLIENT_PORT 40000

static uint8_t known;
static bool is_gone; /* the interface that is noted */
static struct podcred_path path;
static struct podcred_client announced;
static struct podcred_flow pending;
static struct podcred_seal seal;
static struct podcred_way tail;
static struct bpf_sock agents_end; /* of that connection */
static struct podcred_seal agents_seal; /* on it */

static struct podcred_way way_to(uint32_t ifindex)
{
	return (struct podcred_way){.ifindex = ifindex, .mac = {6, 0, 0, 0, 0, (uint8_t)ifindex}};
}

/* In the first byte: */
#define FIRST_OWN_ADDRESS 0x08 /* the socket has the agent's address itself */
#define FIRST_GONE	  0x10 /* the interface that is noted */
#define FIRST_CUT_OFF	  0x40 /* the socket, or it is closed: its flow is taken back */
#define FIRST_OTHER_POD	  0x20 /* the agent's end is of another pod's connection */

static void set_known(const struct host_skb *skb, uint8_t what, uint8_t first)
{
	const bool v6 = first & 1, own_address = first & FIRST_OWN_ADDRESS;
	struct podcred_flow_key *key = &announced.flow;
	const bool in = skb->program == VETH;
	const uint32_t noted = what & KNOWN_ELSEWHERE ? OTHER : IFINDEX;

	known = what;
	path = (struct podcred_path){.gateway = what & KNOWN_GATEWAY ? GATEWAY : 0,
				     .mac = {6, 0, 0, 0, 0, GATEWAY}};
	key->agent = key->client = config.agent[v6].addr;
	if (!own_address)
		key->client.ip[15] = 7;
	key->client_port = CLIENT_PORT;
	key->agent_port = 80;
	key->isn = 1;
	pending = (struct podcred_flow){
		.owner = COOKIE,
		.way = PODCRED_FLOW_WAY(FLOWING, what & KNOWN_STOLEN ? COOKIE + 1 : COOKIE)};
	memcpy(pending.way_mac, way_to(FLOWING).mac, sizeof(pending.way_mac));
	seal.way = way_to(in ? noted : what & KNOWN_NO_WAY ? 0 : SEALED);
	tail = way_to(in ? noted : TRAILING);
	config.agent_pod_id = in && what & KNOWN_AGENTS ? POD : 0;
	is_gone = first & FIRST_GONE;
	announced.has_flow = !(first & FIRST_CUT_OFF);
	announced.stamp.pod_cgroup_id = POD;
	announced.interface = what & KNOWN_PEER ? (uint16_t)noted : 0;
	seal.stamp.pod_cgroup_id = POD;
	agents_seal = seal;
	if (first & FIRST_OTHER_POD)
		agents_seal.stamp.pod_cgroup_id++;
}

struct bpf_sock *bpf_sk_lookup_tcp(void *ctx, struct bpf_sock_tuple *tuple, __u32 size, __u64 netns,
				   __u64 flags)
{
	const bool v6 = size == sizeof(tuple->ipv6);

	(void)ctx;
	MUST(netns == (__u64)BPF_F_CURRENT_NETNS && !flags);
	MUST(v6 || size == sizeof(tuple->ipv4));
	MUST(v6 ? !memcmp(tuple->ipv6.daddr, config.agent[1].addr.ip, 16)
		: !memcmp(&tuple->ipv4.daddr, config.agent[0].addr.ip + 12, 4));
	MUST((v6 ? tuple->ipv6.sport : tuple->ipv4.sport) == htons(CLIENT_PORT));
	return known & KNOWN_PEER ? &agents_end : NULL;
}

long bpf_sk_release(void *sk)
{
	MUST(sk == &agents_end);
	return 0;
}

static bool is_announced_key(const struct podcred_peer_key *key)
{
	return !memcmp(&key->client, &announced.flow.client, sizeof(key->client)) &&
	       !memcmp(&key->agent, &announced.flow.agent, sizeof(key->agent)) &&
	       key->client_port == announced.flow.client_port && key->agent_port == 80;
}

static void *path_lookup(uint32_t ifindex)
{
	if (ifindex == IFINDEX)
		return known & KNOWN_PATH ? &path : NULL;
	return is_gone ? NULL : &path;
}

static void *way_lookup(const void *map, const void *key)
{
	const struct podcred_flow_key *flow = key;

	if (map == &podcred_paths)
		return path_lookup(*(const __u32 *)key);
	if (map == &podcred_flows_v2)
		return known & KNOWN_FLOW && !memcmp(flow, &announced.flow, sizeof(*flow))
			       ? &pending
			       : NULL;
	if (!is_announced_key(key))
		return NULL;
	if (map == &podcred_peers_v2)
		return known & KNOWN_PEER ? &seal : NULL;
	return known & KNOWN_TAIL ? &tail : NULL;
}

static bool is_of_way(const void *map)
{
	return map == &podcred_paths || map == &podcred_flows_v2 || map == &podcred_peers_v2 ||
	       map == &podcred_tails;
}

void *bpf_map_lookup_elem(const void *map, const void *key)
{
	const struct podcred_guard_key *guard = key;
	const struct podcred_target_key *target = key;
	const struct rule *rule;

	if (map == &podcred_config_v2)
		return &config;
	if (map == &podcred_runtime)
		return &runtime[*(const __u32 *)key];
	if (map == &podcred_stats)
		return &counter;
	if (is_of_way(map))
		return way_lookup(map, key);
	if (map != &podcred_guard && map != &podcred_targets)
		return NULL;
	rule = rule_of(map == &podcred_guard ? guard->addr.ip : target->addr.ip);
	if (!rule || (map == &podcred_targets &&
		      (target->port != htons(80) || target->protocol != IPPROTO_TCP)))
		return NULL;
	found.action = map == &podcred_guard ? rule->action : rule->at_80;
	return &found;
}

long bpf_map_update_elem(const void *map, const void *key, const void *value, __u64 flags)
{
	(void)map, (void)key, (void)value, (void)flags;
	return -1;
}

/* ---- the helpers ---- */

static const struct host_skb *sent; /* the one that runs through */
static bool is_copied; /* something of it: it was looked at closely */
static uint8_t stored[MAC_LEN]; /* the frame's new destination */
static uint32_t redirected; /* to that interface */
static uint64_t redirect_flags;

long bpf_skb_store_bytes(const void *skb, __u32 offset, const void *from, __u32 len, __u64 flags)
{
	MUST(skb == sent && !offset && len == sizeof(stored) && !flags);
	memcpy(stored, from, len);
	return 0;
}

long bpf_redirect(__u32 ifindex, __u64 flags)
{
	MUST(!redirected && ifindex);
	redirected = ifindex;
	redirect_flags = flags;
	return TCX_REDIRECT;
}

__u64 bpf_get_socket_cookie(const void *skb)
{
	MUST(skb == sent);
	return COOKIE;
}

long bpf_skb_load_bytes(const void *skb, __u32 offset, void *to, __u32 len)
{
	const struct host_skb *s = skb;

	is_copied = true;
	MUST(len > 0 && len <= PACKET_HEAD); /* the verifier's own demand */
	if (offset > s->len || len > s->len - offset) {
		memset(to, 0, len);
		return -1;
	}
	memcpy(to, s->frame + offset, len);
	return 0;
}

/* Of the linear part alone, other than the one above. */
long bpf_skb_load_bytes_relative(const void *skb, __u32 offset, void *to, __u32 len, __u32 start)
{
	const struct host_skb *s = skb;
	size_t at = offset + (start == BPF_HDR_START_NET ? s->net : 0);

	if (offset > 0xffff || at + len > s->linear) {
		memset(to, 0, len);
		return -1;
	}
	memcpy(to, s->frame + at, len);
	return 0;
}

long bpf_probe_read_kernel(void *to, __u32 size, const void *from)
{
	size_t at = (size_t)((const char *)from - (const char *)sent);

	MUST(at + size <= sizeof(sent->kernel));
	memcpy(to, (const char *)&sent->kernel + at, size);
	return 0;
}

struct bpf_sock *bpf_sk_fullsock(struct bpf_sock *sk)
{
	return sk;
}

struct tcp_sock *bpf_skc_to_tcp_sock(const void *sk)
{
	(void)sk;
	return NULL; /* not known: ask for the storage */
}

/* Of sockets that podcred cuts off there are none here: tests/e2e/37-arrival.sh sees those. */
void *bpf_sk_storage_get(const void *map, const void *sk, const void *value, __u64 flags)
{
	MUST(sk && !value && !flags);
	if (map == &podcred_client)
		return sent->program == VETH && known & KNOWN_ANNOUNCED ? &announced : NULL;
	MUST(map == &podcred_sealed_v2);
	if (sk == &agents_end)
		return &agents_seal;
	MUST(sent->program == WAYOUT);
	return known & KNOWN_SEALED ? &seal : NULL;
}

__u64 bpf_skb_cgroup_id(const void *skb)
{
	return ((const struct host_skb *)skb)->from_pod ? POD : 0;
}

__u64 bpf_skb_ancestor_cgroup_id(const void *skb, int level)
{
	if (!((const struct host_skb *)skb)->from_pod)
		return 0;
	return level == LEVEL ? KUBEPODS : level == LEVEL + 1 ? POD : 0;
}

void *bpf_ringbuf_reserve(const void *map, __u64 size, __u64 flags)
{
	(void)flags;
	MUST(map == &podcred_events && size == sizeof(event));
	return &event;
}

void bpf_ringbuf_submit(void *data, __u64 flags)
{
	(void)flags;
	MUST(data == &event && event.reason < PODCRED_REASON_MAX);
	dropped_by_report = event.verdict == PODCRED_EVENT_REFUSED;
}

__u64 bpf_ktime_get_boot_ns(void)
{
	return 1;
}

__u64 bpf_get_current_task(void)
{
	abort(); /* not at packet hooks */
}

__u64 bpf_get_current_uid_gid(void)
{
	abort();
}

/* ---- what must come of it ---- */

/* The answer for one address that the packet may go to. */
static bool is_guarded(const struct model *m, const uint8_t ip[16])
{
	const struct rule *rule = rule_of(ip);
	bool port_80 = m->protocol == IPPROTO_TCP && m->dest_port == 80;
	uint8_t action;

	if (!rule)
		return false;
	action = port_80 ? rule->at_80 : rule->action;
	return action == PODCRED_ACTION_DENY || action == PODCRED_ACTION_REDIRECT;
}

static bool must_drop(const struct model *m)
{
	for (size_t i = 0; i < m->n; i++)
		if (is_guarded(m, m->addr[i]))
			return true;
	return m->odd_route;
}

/* One destination, nothing but the header, whole: then there is no doubt. */
static bool must_pass(const struct model *m)
{
	return m->n == 1 && !m->routes && !m->malformed && !m->headers && !m->lacks_ports &&
	       !is_guarded(m, m->addr[0]);
}

static int run(struct host_skb *skb)
{
	switch (skb->program) {
	case EGRESS:
		return podcred_egress(&skb->ctx) == PACKET_PASS ? TCX_NEXT : TCX_DROP;
	case VETH:
		return podcred_veth(&skb->ctx);
	case UPLINK:
		return podcred_uplink(&skb->ctx);
	default:
		return podcred_wayout(&skb->ctx);
	}
}

static bool runs_through(struct host_skb *skb)
{
	int verdict;

	counter = 0;
	redirected = 0;
	is_copied = false;
	sent = skb;
	dropped_by_report = false;
	verdict = run(skb);
	MUST(verdict == TCX_NEXT || verdict == TCX_DROP || verdict == TCX_REDIRECT);
	MUST((verdict == TCX_REDIRECT) == (redirected != 0));
	return verdict != TCX_DROP;
}

/* ---- what must come of it on the way to the agent, and back ---- */

/* What the packet is on that way, by the second reader. */
struct passage {
	bool to_agent, in_agents_name;
	bool looks_so; /* also where no host takes it so: a v4-mapped address in an IPv6 packet */
	bool looks_spoofed; /* the same of the source alone */
	bool tcp, hidden; /* hidden: its header is not where it should be, or not there */
	bool bare; /* neither SYN nor payload */
	bool announced; /* the connection that known tells of */
	bool answer; /* the same, the other way */
	uint32_t acked;
};

/* A mapped address in an IPv6 header is nobody's. */
static bool is_agents_ip(const struct podcred_addr *addr, bool v6)
{
	return !memcmp(addr, &config.agent[v6].addr, sizeof(*addr));
}

static struct podcred_addr addr_at(const uint8_t *ip, bool v6)
{
	struct podcred_addr addr = {.ip = {[10] = 0xff, [11] = 0xff}};

	memcpy(addr.ip + (v6 ? 0 : 12), ip, v6 ? 16 : 4);
	return addr;
}

/* IPv6: anything before the TCP header but up to three headers of options. */
static bool hides(const struct model *m, const uint8_t *packet, bool v6)
{
	uint8_t next = packet[6];
	size_t at = 40;

	if (!v6)
		return false;
	for (unsigned i = 0; i < m->headers; i++) {
		if (i == 3 || (next != IPPROTO_HOPOPTS && next != IPPROTO_DSTOPTS))
			return true;
		next = packet[at];
		at += packet[at + 1] * 8u + 8;
	}
	return false;
}

static struct passage passage_of(const struct model *m, const uint8_t *packet, size_t size, bool v6)
{
	struct podcred_addr source = addr_at(packet + (v6 ? 8 : 12), v6);
	struct podcred_addr dest = addr_at(packet + (v6 ? 24 : 16), v6);
	struct podcred_peer_key to = {source, dest, m->source_port, m->dest_port},
				back = {dest, source, m->dest_port, m->source_port};
	const size_t head = m->header_end;
	const uint8_t *tcp = packet + head;
	struct passage p = {.to_agent = is_agents_ip(&dest, v6),
			    .in_agents_name = is_agents_ip(&source, v6),
			    .looks_spoofed = podcred_agent_at(&config, &source),
			    .tcp = m->protocol == IPPROTO_TCP};

	p.looks_so = p.looks_spoofed || podcred_agent_at(&config, &dest);
	p.hidden = hides(m, packet, v6) || !m->has_ports || size < head + 20;
	if (!p.tcp || p.hidden)
		return p;
	p.acked =
		(uint32_t)tcp[8] << 24 | (uint32_t)tcp[9] << 16 | (uint32_t)tcp[10] << 8 | tcp[11];
	p.bare = !(tcp[13] & 2) && size == head + (tcp[12] >> 4) * 4u;
	p.announced = is_announced_key(&to);
	p.answer = is_announced_key(&back);
	return p;
}

static bool is_of_agents_pod(const struct host_skb *skb)
{
	return skb->program == VETH && skb->from_pod && known & KNOWN_AGENTS;
}

/* The way back follows the socket that announced the connection, and the agent's end is the same pod's. */
static void check_moved(bool own, const struct passage *p, const struct host_skb *skb)
{
	const uint32_t noted = known & KNOWN_ELSEWHERE ? OTHER : IFINDEX;
	const uint16_t before = known & KNOWN_PEER ? (uint16_t)noted : 0;

	if (agents_seal.way.ifindex == noted && announced.interface == before)
		return;
	if (agents_seal.way.ifindex != noted) {
		MUST(own && known & KNOWN_PEER && noted == OTHER);
		MUST(agents_seal.stamp.pod_cgroup_id == POD && agents_seal.way.ifindex == IFINDEX);
		MUST(!memcmp(agents_seal.way.mac, skb->frame + ETH_SOURCE, MAC_LEN));
		MUST(!memcmp(&seal.way, &agents_seal.way, sizeof(seal.way)));
	}
	MUST(own && !p->in_agents_name && !(known & KNOWN_TAGGED));
	MUST(announced.interface == IFINDEX);
}

/* A pod's packet for the agent, or in its name. */
static void check_way_in(const struct host_skb *skb, const struct model *m, const struct passage *p,
			 bool passes)
{
	/* What the kernel says by itself, or for a socket that was cut off or has closed, comes out of the
	 * interface that the connection came out of. */
	const bool strange = p->announced && known & (KNOWN_PEER | KNOWN_TAIL) &&
			     known & KNOWN_ELSEWHERE && !is_gone;
	const bool own = skb->from_pod && known & KNOWN_ANNOUNCED && p->announced &&
			 (announced.has_flow || (p->bare && !strange));

	check_moved(own, p, skb);
	if (redirected) {
		MUST(redirected == GATEWAY && redirect_flags == BPF_F_INGRESS);
		MUST(!memcmp(stored, path.mac, sizeof(stored)));
		MUST(known & KNOWN_PATH && !(known & KNOWN_TAGGED));
		MUST(p->looks_so && p->tcp && !p->hidden && m->dest_port == 80);
		MUST(own || (p->bare && !skb->from_pod));
	}
	if (!(known & KNOWN_PATH))
		return;
	if (p->in_agents_name && !is_of_agents_pod(skb))
		MUST(!passes);
	if (!p->to_agent)
		return;
	if (!p->tcp)
		MUST(passes || p->looks_spoofed || m->headers || !must_pass(m));
	else if (p->hidden)
		MUST(!passes);
	else if (m->dest_port == 80 && !own && (!p->bare || skb->from_pod || strange))
		MUST(!passes);
	else if (own && !p->looks_spoofed)
		MUST(passes || !must_pass(m));
}

/* The interface that the answer goes out of past the bridge; 0: by the bridge. */
static uint32_t way_noted(const struct host_skb *skb, const struct passage *p)
{
	if (skb->from_pod && known & KNOWN_SEALED)
		return seal.way.ifindex;
	if (!p->answer)
		return 0;
	if (known & KNOWN_FLOW && p->acked == announced.flow.isn + 1)
		return known & KNOWN_STOLEN ? 0 : FLOWING;
	return known & KNOWN_TAIL ? TRAILING : 0;
}

/* Without payload it may also be for whoever has the address now. */
static uint32_t way_expected(const struct host_skb *skb, const struct passage *p)
{
	return p->bare && is_gone ? 0 : way_noted(skb, p);
}

/* Answers, which the node writes plainly and in one place, are not left to the bridge. */
static void check_way_out(const struct host_skb *skb, const struct model *m,
			  const struct passage *p, bool passes)
{
	const bool answer = p->in_agents_name && p->tcp && !p->hidden && m->source_port == 80;
	const bool plain =
		(skb->ctx.protocol == htons(ETH_P_IP) || skb->ctx.protocol == htons(ETH_P_IPV6)) &&
		skb->linear >= ETH_HLEN + PACKET_V6;

	MUST(passes);
	if (!redirected) {
		MUST(!answer || !plain || !way_expected(skb, p));
		return;
	}
	MUST(answer && !redirect_flags && redirected == way_expected(skb, p));
	MUST(!memcmp(stored, way_to(redirected).mac, sizeof(stored)));
}

/* In the second byte: */
#define HOW_LINK     0x01 /* an Ethernet header */
#define HOW_ADDRS    0x10 /* its addresses are a copy of how the packet begins */
#define HOW_FIRST_4  0x20 /* its first byte is that of an IPv4 header, */
#define HOW_FIRST_6  0x40 /* of an IPv6 header */
#define HOW_CUT	     0x80 /* the lower bits are the length of the linear part */
#define OUTER_HEADER 24 /* instead of Ethernet's: that of a GRE device with header_ops */

/* Who sends may choose addresses that look like an IP header. */
static void write_addresses(uint8_t *frame, uint8_t how, const uint8_t *packet, size_t size)
{
	memset(frame, 0x02, ETH_TYPE);
	memcpy(frame, packet, how & HOW_ADDRS ? (size < ETH_TYPE ? size : ETH_TYPE) : 0);
	if (how & HOW_FIRST_4)
		frame[0] = 0x45;
	if (how & HOW_FIRST_6)
		frame[0] = 0x60;
}

/* An IP header to somewhere else. */
static void write_outer(uint8_t *to)
{
	memset(to, 8, OUTER_HEADER);
	to[0] = 0x45;
	to[9] = IPPROTO_GRE;
}

/* The frame: a link header when there is one, tags, the packet. */
static uint8_t *build(struct host_skb *skb, uint8_t how, bool v6, const uint8_t *packet,
		      size_t size)
{
	static const uint16_t tag_types[] = {ETH_P_8021Q, ETH_P_8021AD};
	const bool has_link = skb->program && how & HOW_LINK;
	const bool has_outer = skb->program == UPLINK && !has_link && how & HOW_FIRST_4;
	const unsigned tags = skb->program ? how >> 1 & 3 : 0;
	const uint16_t ip = v6 ? ETH_P_IPV6 : ETH_P_IP;
	const uint16_t outer = tags ? tag_types[how >> 3 & 1] : ip;
	static struct net_device device;
	static struct bpf_sock client = {.state = BPF_TCP_SYN_SENT};
	uint8_t *frame = malloc(OUTER_HEADER + tags * VLAN_HLEN + size), *to = frame;

	if (!frame)
		abort();
	if (has_link) {
		write_addresses(frame, how, packet, size);
		frame[ETH_TYPE] = (uint8_t)(outer >> 8);
		frame[ETH_TYPE + 1] = (uint8_t)outer;
		to += ETH_HLEN;
	} else if (has_outer) {
		write_outer(frame);
		to += OUTER_HEADER;
	}
	skb->net = (size_t)(to - frame);
	for (unsigned i = 0; i < tags; i++, to += VLAN_HLEN) {
		uint16_t next = i + 1 < tags ? ETH_P_8021Q : ip;
		const uint8_t tag[VLAN_HLEN] = {0, 7, (uint8_t)(next >> 8), (uint8_t)next};

		memcpy(to, tag, sizeof(tag));
	}
	memcpy(to, packet, size);
	skb->len = (size_t)(to - frame) + size;
	skb->frame = frame;
	device = (struct net_device){.type = has_link ? ARPHRD_ETHER : 0xfffe,
				     .header_ops = has_outer ? &device : NULL,
				     .hard_header_len = has_outer ? OUTER_HEADER : 0};
	skb->kernel.dev = &device;
	skb->ctx = (struct __sk_buff){.len = (__u32)skb->len,
				      .protocol = htons(outer),
				      .ifindex = IFINDEX,
				      .vlan_present = (known & KNOWN_TAGGED) != 0};
	if (skb->from_pod)
		skb->ctx.sk = &client;
	return frame;
}

/* Direct access is by 32-bit fields: the linear part lies low, and ends where memory ends. */
static void set_linear(struct host_skb *skb, uint8_t how)
{
	static uint8_t *page;
	size_t linear = how & HOW_CUT ? (size_t)(how & 0x7f) : skb->len;

	if (!page) {
		page = mmap(NULL, 8192, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);
		if (page == MAP_FAILED || mprotect(page + 4096, 4096, PROT_NONE) < 0)
			abort();
	}
	if (linear < skb->net + 20)
		linear = skb->net + 20;
	if (linear > skb->len)
		linear = skb->len;
	skb->linear = linear;
	memcpy(page + 4096 - linear, skb->frame, linear);
	skb->ctx.data = (__u32)(uintptr_t)(page + 4096 - linear);
	skb->ctx.data_end = (__u32)(uintptr_t)(page + 4096);
}

/* What the second reader says of the packet may be held against the programs. Nobody routes what has no
 * whole header; nor, on an interface without a link header, a version other than its type says, which
 * podcred_veth takes for a sign of such a header. There are no tags there either; podcred_uplink reads
 * the version alone. */
static bool is_comparable(const struct host_skb *skb, const struct model *m, uint8_t how, bool v6,
			  const uint8_t *packet)
{
	const bool bare = skb->program && !(how & HOW_LINK);

	return !m->short_packet && (!bare || packet[0] >> 4 == (v6 ? 6 : 4)) &&
	       (!bare || skb->program == VETH || !(how >> 1 & 3));
}

static void check(const struct host_skb *skb, const struct model *m, const uint8_t *packet,
		  size_t size, bool v6, bool passes)
{
	const struct passage p = passage_of(m, packet, size, v6);
	const bool odd = packet[0] >> 4 != (v6 ? 6 : 4); /* no host takes it */
	const bool agents = skb->program == VETH && known & KNOWN_PATH && (p.looks_so || odd);

	const bool may = skb->program == WAYOUT || is_of_agents_pod(skb);

	if (m->header_end > PACKET_HEAD - 4 || !m->malformed) {
		MUST(may || !passes || !must_drop(m));
		MUST(passes || agents || !must_pass(m));
	}
	if (odd)
		return;
	if (skb->program == VETH)
		check_way_in(skb, m, &p, passes);
	if (skb->program == WAYOUT)
		check_way_out(skb, m, &p, passes);
}

/* An untagged packet with nothing but its header, for somewhere else, all in place: nearly every one. What
 * the frame's addresses look like does not matter. */
static bool is_plain(const struct host_skb *skb, uint8_t how, const uint8_t *packet, size_t size,
		     bool v6)
{
	const size_t min = v6 ? PACKET_V6 : PACKET_V4;

	if ((skb->program != VETH && skb->program != UPLINK) || how >> 1 & 3 || size < min ||
	    skb->linear < skb->net + min || skb->net == OUTER_HEADER ||
	    packet[0] >> 4 != (v6 ? 6 : 4))
		return false;
	return skb->program == VETH ? packet_is_elsewhere(&config, packet, v6)
				    : packet_is_foreign(&config, packet, v6);
}

static struct host_skb sender_of_input(uint8_t first)
{
	struct host_skb skb = {.program = first >> 1 & 3};

	/* podcred_uplink: forwarded below netfilter; podcred_wayout: of no socket any more */
	skb.from_pod =
		skb.program == VETH ? first & 0x80 : skb.program == EGRESS || !(first & 0x40);
	return skb;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct model m;
	struct fuzz_input in = {data, size};
	uint8_t first = fuzz_byte(&in), how = fuzz_byte(&in), what = fuzz_byte(&in);
	struct host_skb skb = sender_of_input(first);
	bool v6 = first & 1, passes;
	uint8_t *frame;

	if (!guards[0].bits)
		set_up();
	set_known(&skb, what, first);
	if (in.size > 1500)
		in.size = 1500;
	if (skb.program == WAYOUT)
		how |= HOW_LINK; /* bridges, and what else is there, have Ethernet frames */
	frame = build(&skb, how, v6, in.data, in.size);
	set_linear(&skb, how);
	passes = runs_through(&skb);
	if (v6)
		model_v6(&m, in.data, in.size);
	else
		model_v4(&m, in.data, in.size);
	if (is_comparable(&skb, &m, how, v6, in.data))
		check(&skb, &m, in.data, in.size, v6, passes);
	MUST(!is_copied || !is_plain(&skb, how, in.data, in.size, v6));
	MUST(passes == !dropped_by_report);
	MUST(passes || counter == 1);
	free(frame);
	return 0;
}
