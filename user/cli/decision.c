// SPDX-License-Identifier: Apache-2.0
#include "cli/decision.h"

#include <inttypes.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#include "base/addr.h"
#include "base/cleanup.h"
#include "kernel/status.h"

#define PROTOCOL_TEXT 16

const char *cli_text_clean(const char *text, size_t n, char *buf, size_t size)
{
	size_t i;

	for (i = 0; i < n && i + 1 < size && text[i]; i++)
		buf[i] = text[i] >= ' ' && text[i] <= '~' ? text[i] : '?';
	buf[i] = '\0';
	return buf;
}

const char *cli_pod_label(const struct podcred_pod *pod, uint64_t cgroup_id, char *buf, size_t size)
{
	char name_space[PODCRED_NAMESPACE_LEN], name[PODCRED_NAME_LEN], uid[PODCRED_UID_LEN];

	if (!pod)
		snprintf(buf, size, "cgroup %" PRIu64, cgroup_id);
	else if (!(pod->flags & PODCRED_POD_NAMED))
		snprintf(buf, size, "uid %s",
			 cli_text_clean(pod->uid, sizeof(uid), uid, sizeof(uid)));
	else
		snprintf(buf, size, "%s/%s",
			 cli_text_clean(pod->name_space, sizeof(name_space), name_space,
					sizeof(name_space)),
			 cli_text_clean(pod->name, sizeof(name), name, sizeof(name)));
	return buf;
}

/* ---- what the numbers mean ---- */

static const char *hook_name(uint8_t hook)
{
	static const char *const names[] = {
		[PODCRED_HOOK_connect] = "connect",   [PODCRED_HOOK_sendmsg] = "sendmsg",
		[PODCRED_HOOK_announce] = "announce", [PODCRED_HOOK_accept] = "accept",
		[PODCRED_HOOK_egress] = "egress",     [PODCRED_HOOK_postrouting] = "postrouting",
		[PODCRED_HOOK_ingress] = "ingress",   [PODCRED_HOOK_uplink] = "uplink",
	};

	return hook < ARRAY_SIZE(names) && names[hook] ? names[hook] : "unknown";
}

static bool is_packet_hook(uint8_t hook)
{
	return hook >= PODCRED_HOOK_egress;
}

static bool is_call(uint8_t hook)
{
	return hook == PODCRED_HOOK_connect || hook == PODCRED_HOOK_sendmsg;
}

static const char *verdict_name(const struct podcred_event *event)
{
	switch (event->verdict) {
	case PODCRED_EVENT_ALLOWED:
		return "allowed";
	case PODCRED_EVENT_AUDITED:
		return "would refuse";
	default:
		return is_packet_hook(event->hook) ? "dropped" : "refused";
	}
}

/* "" when it is not known. */
static const char *protocol_name(uint8_t protocol, char buf[PROTOCOL_TEXT])
{
	switch (protocol) {
	case 0:
		return "";
	case IPPROTO_TCP:
		return "tcp";
	case IPPROTO_UDP:
		return "udp";
	case IPPROTO_UDPLITE:
		return "udplite";
	case IPPROTO_ICMP:
		return "icmp";
	case IPPROTO_ICMPV6:
		return "icmpv6";
	case IPPROTO_SCTP:
		return "sctp";
	case IPPROTO_DCCP:
		return "dccp";
	default:
		snprintf(buf, PROTOCOL_TEXT, "protocol %u", protocol);
		return buf;
	}
}

static bool addr_is_known(const struct podcred_addr *addr)
{
	static const struct podcred_addr none;

	return memcmp(addr, &none, sizeof(none)) != 0;
}

/* Who it was, as well as it is known. A task that is in no pod is the host's, unless the programs
 * could not tell. */
static const char *caller_label(const struct decision *decision, char buf[DECISION_LABEL])
{
	const struct podcred_event *event = decision->event;

	if (event->pod_cgroup_id)
		return cli_pod_label(decision->pod, event->pod_cgroup_id, buf, DECISION_LABEL);
	if (is_call(event->hook) && event->reason != PODCRED_REASON_no_pod &&
	    event->reason != PODCRED_REASON_no_config)
		return "host";
	if (event->cgroup_id)
		return cli_pod_label(NULL, event->cgroup_id, buf, DECISION_LABEL);
	if (addr_is_known(&event->source))
		return net_addr_format(event->source.ip, 0, buf, DECISION_LABEL);
	return "unknown";
}

/* ---- a line ---- */

static void destination_text(const struct podcred_event *event, char *buf, size_t size)
{
	char addr[NET_ADDR_TEXT], number[PROTOCOL_TEXT];
	const char *protocol = protocol_name(event->protocol, number);

	snprintf(buf, size, "%s%s%s",
		 net_addr_format(event->addr.ip, event->port, addr, sizeof(addr)),
		 *protocol ? "/" : "", protocol);
}

/* A blank in a task's name would look like the next column. */
static void command_text(const struct podcred_event *event, char *buf, size_t size)
{
	char comm[sizeof(event->comm) + 1];

	snprintf(buf, size, "-");
	if (!event->tgid)
		return;
	cli_text_clean(event->comm, sizeof(event->comm), comm, sizeof(comm));
	for (char *c = comm; *c; c++)
		if (*c == ' ')
			*c = '?';
	snprintf(buf, size, "%s[%u]", comm, event->tgid);
}

const char *cli_decision_line(const struct decision *decision, char *buf, size_t size)
{
	const struct podcred_event *event = decision->event;
	char clock[16], label[DECISION_LABEL], command[40], destination[NET_ADDR_TEXT + 20];
	struct tm tm;

	localtime_r(&decision->time.tv_sec, &tm);
	strftime(clock, sizeof(clock), "%H:%M:%S", &tm);
	command_text(event, command, sizeof(command));
	destination_text(event, destination, sizeof(destination));
	snprintf(buf, size, "%s.%03ld  %-24s  %-22s  %-11s  %-26s  %-12s  %s", clock,
		 decision->time.tv_nsec / 1000000, caller_label(decision, label), command,
		 hook_name(event->hook), destination, verdict_name(event),
		 kern_reason_name((enum podcred_reason)event->reason));
	return buf;
}

/* ---- JSON ---- */

static void put_string(json_t *object, const char *key, const char *text, size_t n)
{
	char clean[PODCRED_NAME_LEN];

	cli_text_clean(text, n, clean, sizeof(clean));
	if (*clean)
		json_object_set_new(object, key, json_string(clean));
}

static void put_number(json_t *object, const char *key, uint64_t value)
{
	if (value)
		json_object_set_new(object, key, json_integer((json_int_t)value));
}

static void put_addr(json_t *object, const char *key, const struct podcred_addr *addr)
{
	char text[NET_ADDR_TEXT];

	if (addr_is_known(addr))
		json_object_set_new(object, key,
				    json_string(net_addr_format(addr->ip, 0, text, sizeof(text))));
}

static void put_pod(json_t *object, const struct podcred_pod *pod)
{
	put_string(object, "podUid", pod->uid, sizeof(pod->uid));
	put_string(object, "namespace", pod->name_space, sizeof(pod->name_space));
	put_string(object, "name", pod->name, sizeof(pod->name));
	put_string(object, "serviceAccount", pod->service_account, sizeof(pod->service_account));
}

static json_t *json_time(const struct timespec *time)
{
	char day[32], text[48];
	struct tm tm;

	gmtime_r(&time->tv_sec, &tm);
	strftime(day, sizeof(day), "%Y-%m-%dT%H:%M:%S", &tm);
	snprintf(text, sizeof(text), "%s.%03ldZ", day, time->tv_nsec / 1000000);
	return json_string(text);
}

json_t *cli_decision_json(const struct decision *decision)
{
	const struct podcred_event *event = decision->event;
	char label[DECISION_LABEL], number[PROTOCOL_TEXT];
	const char *protocol = protocol_name(event->protocol, number);
	json_t *object = json_pack("{sossssssss}", "time", json_time(&decision->time), "pod",
				   caller_label(decision, label), "hook", hook_name(event->hook),
				   "verdict", verdict_name(event), "reason",
				   kern_reason_name((enum podcred_reason)event->reason));

	if (decision->pod)
		put_pod(object, decision->pod);
	put_number(object, "podCgroupId", event->pod_cgroup_id);
	put_number(object, "cgroupId", event->cgroup_id);
	if (event->tgid) {
		put_number(object, "pid", event->tgid);
		json_object_set_new(object, "uid", json_integer(event->uid));
		put_string(object, "command", event->comm, sizeof(event->comm));
	}
	put_addr(object, "address", &event->addr);
	put_number(object, "port", event->port);
	put_string(object, "protocol", protocol, PROTOCOL_TEXT);
	put_addr(object, "sourceAddress", &event->source);
	put_number(object, "sourcePort", event->source_port);
	return object;
}
