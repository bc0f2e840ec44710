// SPDX-License-Identifier: Apache-2.0
/* FLAGS: -Itests/fuzz/host -Ibpf/lib -Ibpf -Wno-missing-prototypes -Wno-unknown-attributes -fno-sanitize=alignment */
/* SOURCES: user/loader/filter.c user/base/addr.c user/base/parse.c */
/*
 * The packet programs of bpf/egress.bpf.c and bpf/tcx.bpf.c, whole, on a packet of a pod. Beside
 * them the second reader says where the packet could go. What could go to a guarded address must be
 * dropped; what plainly goes elsewhere must pass.
 *
 * First byte: the program, and who sent it; second: tags and link header; then the packet.
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

#include <arpa/inet.h>
#include <sys/mman.h>

#include "filter.h"
#include "model.h"

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
	{"10.0.0.5", PODCRED_ACTION_ALLOW, PODCRED_ACTION_STAMP},
};

#define N_RULES (sizeof(rules) / sizeof(rules[0]))

static struct loader_guard guards[N_RULES];
static struct podcred_config config = {.kubepods_level = LEVEL, .max_flows_per_pod = 128};
#define AGENT (N_RULES - 1) /* which rule is the agent's own */
static struct podcred_action_value found;
static __u64 runtime[PODCRED_RUNTIME_SLOTS], counter;
static struct podcred_event event;
static bool dropped_by_report;

static void set_up(void)
{
	for (size_t i = 0; i < N_RULES; i++)
		if (net_prefix_parse(rules[i].text, &guards[i].prefix, &guards[i].bits) < 0)
			abort();
	memcpy(config.agent[0].addr.ip, guards[AGENT].prefix.ip, sizeof(config.agent[0].addr.ip));
	config.agent[0].port = htons(80);
	guard_filter_fill(guards, N_RULES, &config);
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

/* ---- the packet, as the kernel would hand it over ---- */

struct host_skb {
	struct __sk_buff ctx; /* first: programs pass it to the helpers */
	const uint8_t *frame;
	size_t len, linear;
	size_t net; /* where the network header is */
	bool from_pod;
	struct sk_buff kernel; /* what stands behind the context */
};

static const struct host_skb *sent; /* the one that runs through */

long bpf_skb_load_bytes(const void *skb, __u32 offset, void *to, __u32 len)
{
	const struct host_skb *s = skb;

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

/* A socket that podcred has nothing on: what it drops by that, tests/e2e/37-arrival.sh sees. */
struct bpf_sock *bpf_sk_fullsock(struct bpf_sock *sk)
{
	return sk;
}

struct tcp_sock *bpf_skc_to_tcp_sock(const void *sk)
{
	(void)sk;
	return NULL; /* not known: ask for the storage */
}

void *bpf_sk_storage_get(const void *map, const void *sk, const void *value, __u64 flags)
{
	(void)map, (void)sk, (void)value, (void)flags;
	return NULL;
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

static bool runs_through(unsigned program, struct host_skb *skb)
{
	counter = 0;
	sent = skb;
	dropped_by_report = false;
	switch (program) {
	case 0:
		return podcred_egress(&skb->ctx) == PACKET_PASS;
	case 1:
		return podcred_veth(&skb->ctx) != TCX_DROP;
	default:
		return podcred_uplink(&skb->ctx) != TCX_DROP;
	}
}

/* The frame: a link header when there is one, tags, the packet. */
static uint8_t *build(struct host_skb *skb, unsigned program, uint8_t how, bool v6,
		      const uint8_t *packet, size_t size)
{
	static const uint16_t tag_types[] = {ETH_P_8021Q, ETH_P_8021AD};
	const bool has_link = program && how & 1;
	const unsigned tags = program ? how >> 1 & 3 : 0;
	const uint16_t ip = v6 ? ETH_P_IPV6 : ETH_P_IP;
	const uint16_t outer = tags ? tag_types[how >> 3 & 1] : ip;
	static struct net_device device;
	static struct bpf_sock client = {.state = BPF_TCP_SYN_SENT};
	uint8_t *frame = malloc(ETH_HLEN + tags * VLAN_HLEN + size), *to = frame;

	if (!frame)
		abort();
	if (has_link) {
		/* who sends may choose addresses that look like an IP header */
		memset(frame, 0x02, 12);
		memcpy(frame, packet, how & 0x10 ? (size < 12 ? size : 12) : 0);
		frame[12] = (uint8_t)(outer >> 8);
		frame[13] = (uint8_t)outer;
		to += ETH_HLEN;
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
	device.type = has_link ? ARPHRD_ETHER : 0xfffe;
	skb->kernel.dev = &device;
	skb->ctx = (struct __sk_buff){.len = (__u32)skb->len, .protocol = htons(outer)};
	if (skb->from_pod)
		skb->ctx.sk = &client;
	return frame;
}

/* Direct access is by 32-bit fields: the linear part lies low, and ends where memory ends. */
static void set_linear(struct host_skb *skb, uint8_t how)
{
	static uint8_t *page;
	size_t linear = how & 0x80 ? (size_t)(how & 0x7f) : skb->len;

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

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct model m;
	struct fuzz_input in = {data, size};
	uint8_t first = fuzz_byte(&in), how = fuzz_byte(&in);
	unsigned program = (first >> 1) % 3;
	struct host_skb skb = {.from_pod = program != 1 || first & 0x80};
	const bool bare = program && !(how & 1);
	bool v6 = first & 1, passes;
	uint8_t *frame;

	if (!guards[0].bits)
		set_up();
	if (program == 2 && first & 0x40)
		skb.from_pod = false; /* forwarded below netfilter */
	if (in.size > 1500)
		in.size = 1500;
	frame = build(&skb, program, how, v6, in.data, in.size);
	set_linear(&skb, how);
	passes = runs_through(program, &skb);
	if (v6)
		model_v6(&m, in.data, in.size);
	else
		model_v4(&m, in.data, in.size);
	/* Nobody routes what has no whole header; nor, on an interface without a link header, a version
	 * other than its type says, which podcred_veth takes for a sign of such a header. There are no
	 * tags there either; podcred_uplink reads the version alone. */
	if (!m.short_packet && (!bare || in.data[0] >> 4 == (v6 ? 6 : 4)) &&
	    (!bare || program == 1 || !(how >> 1 & 3)) &&
	    (m.header_end > PACKET_HEAD - 4 || !m.malformed)) {
		MUST(!passes || !must_drop(&m));
		MUST(passes || !must_pass(&m));
	}
	MUST(passes == !dropped_by_report);
	MUST(passes || counter == 1);
	free(frame);
	return 0;
}
