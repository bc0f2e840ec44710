// SPDX-License-Identifier: Apache-2.0
#include "net/reset.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/cleanup.h"
#include "net/netns.h"
#include "net/sockdiag.h"

/* TIME_WAIT carries no data any more. SYN_RECV is there for the simultaneous open. */
#define TCP_STATES                                                                                 \
	(SOCKDIAG_STATE(TCP_ESTABLISHED) | SOCKDIAG_STATE(TCP_SYN_SENT) |                          \
	 SOCKDIAG_STATE(TCP_SYN_RECV) | SOCKDIAG_STATE(TCP_FIN_WAIT1) |                            \
	 SOCKDIAG_STATE(TCP_FIN_WAIT2) | SOCKDIAG_STATE(TCP_CLOSE_WAIT) |                          \
	 SOCKDIAG_STATE(TCP_LAST_ACK) | SOCKDIAG_STATE(TCP_CLOSING))
#define UDP_STATES SOCKDIAG_STATE(TCP_ESTABLISHED)

/* Listings of one protocol in one namespace, at most. */
#define ROUNDS 64

struct target {
	struct sockdiag_socket socket;
	int result;
};

struct targets {
	struct target *target;
	size_t n, room;
};

struct work {
	const struct reset_options *options;
	struct reset_report *report;
	struct targets now, left; /* this round's; those that the last one could not destroy */
	uint64_t netns;
	bool entered;
};

static int targets_add(struct targets *targets, const struct target *target)
{
	if (targets->n == targets->room) {
		size_t room = targets->room ? targets->room * 2 : 64;
		struct target *grown = reallocarray(targets->target, room, sizeof(*grown));

		if (!grown)
			return -ENOMEM;
		targets->target = grown;
		targets->room = room;
	}
	targets->target[targets->n++] = *target;
	return 0;
}

static bool targets_have(const struct targets *targets, const struct sockdiag_socket *socket)
{
	for (size_t i = 0; i < targets->n; i++)
		if (!memcmp(targets->target[i].socket.cookie, socket->cookie,
			    sizeof(socket->cookie)))
			return true;
	return false;
}

static int on_socket(void *arg, const struct sockdiag_socket *socket)
{
	struct work *work = arg;
	const struct reset_options *options = work->options;

	if (!options->guarded(options->arg, socket->remote.ip, socket->remote.port,
			      socket->protocol) ||
	    !options->pod_socket(options->arg, socket->cgroup_id))
		return 0;
	return targets_add(&work->now, &(struct target){.socket = *socket});
}

static struct reset_example *example_slot(struct reset_report *report, int result)
{
	if (report->n_examples < RESET_EXAMPLES)
		return &report->example[report->n_examples++];
	for (size_t i = 0; result && i < RESET_EXAMPLES; i++)
		if (!report->example[i].result)
			return &report->example[i];
	return NULL;
}

static void count(struct work *work, const struct target *target)
{
	struct reset_report *report = work->report;
	struct reset_example *slot = example_slot(report, target->result);

	report->found++;
	if (target->result)
		report->failed++;
	else
		report->destroyed++;
	if (slot)
		*slot = (struct reset_example){
			.local = target->socket.local,
			.remote = target->socket.remote,
			.cgroup_id = target->socket.cgroup_id,
			.netns = work->netns,
			.result = target->result,
			.protocol = target->socket.protocol,
		};
}

/*
 * Destroy what this round found; what is left goes to left. Of sockets with the same addresses the
 * kernel destroys only the one that it would deliver to, and lists them in an order that may be the
 * reverse of that: hence to and fro.
 */
static unsigned sweep(struct work *work, bool backwards)
{
	unsigned destroyed = 0;

	work->left.n = 0;
	for (size_t i = 0; i < work->now.n; i++) {
		struct target *target = &work->now.target[backwards ? work->now.n - 1 - i : i];

		target->result = net_sockdiag_destroy(&target->socket);
		if (target->result < 0)
			continue;
		count(work, target);
		destroyed++;
	}
	for (size_t i = 0; i < work->now.n; i++)
		if (work->now.target[i].result < 0)
			work->left.target[work->left.n++] = work->now.target[i];
	return destroyed;
}

/* Until a listing has nothing to destroy any more, or a round had no success. */
static int reset_protocol(struct work *work, uint8_t protocol, struct pc_err *err)
{
	const uint32_t states = protocol == IPPROTO_TCP ? TCP_STATES : UDP_STATES;

	work->left.n = 0;
	for (unsigned round = 0;; round++) {
		unsigned destroyed;
		int r;

		work->now.n = 0;
		r = net_sockdiag_each(protocol, states, on_socket, work, err);
		if (r < 0)
			return r;
		for (size_t i = 0; i < work->left.n; i++) /* ended by themselves */
			if (!targets_have(&work->now, &work->left.target[i].socket))
				work->report->found++;
		if (work->left.room < work->now.room) {
			struct target *grown =
				reallocarray(work->left.target, work->now.room, sizeof(*grown));

			if (!grown)
				return pc_err_set(err, -ENOMEM, "out of memory");
			work->left.target = grown;
			work->left.room = work->now.room;
		}
		destroyed = sweep(work, round % 2);
		if (!work->left.n)
			return 0;
		if ((round && !destroyed) || round == ROUNDS)
			break;
	}
	for (size_t i = 0; i < work->left.n; i++)
		count(work, &work->left.target[i]);
	return 0;
}

static void unreachable(struct work *work, const char *why)
{
	struct reset_report *report = work->report;

	report->unreachable++;
	if (!report->why.msg[0])
		pc_err_set(&report->why, 0, "network namespace net:[%llu]: %s",
			   (unsigned long long)work->netns, why);
}

/* Linux without UDP-Lite cannot list its sockets, and need not. */
static bool no_such_sockets(uint8_t protocol)
{
	_cleanup_close_ int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, protocol);

	return fd < 0 && errno == EPROTONOSUPPORT;
}

static int reset_here(void *arg)
{
	static const uint8_t protocols[] = {IPPROTO_TCP, IPPROTO_UDP, IPPROTO_UDPLITE};
	struct work *work = arg;
	struct pc_err err = {}, first = {};

	work->entered = true;
	for (size_t i = 0; i < ARRAY_SIZE(protocols); i++) {
		int r = reset_protocol(work, protocols[i], &err);

		if (r == -EOPNOTSUPP && protocols[i] == IPPROTO_UDPLITE &&
		    no_such_sockets(protocols[i]))
			continue;
		if (r < 0 && !first.msg[0])
			first = err;
	}
	if (first.msg[0])
		unreachable(work, first.msg);
	else
		work->report->namespaces++;
	return 0;
}

struct reset {
	struct work *work;
	uint64_t own;
};

static int on_netns(void *arg, const char *path, uint64_t inode)
{
	const struct reset *reset = arg;
	struct work *work = reset->work;
	int r;

	if (inode == reset->own)
		return 0;
	work->netns = inode;
	work->entered = false;
	r = net_netns_run(path, reset_here, work);
	if (!work->entered)
		unreachable(work, strerror(-r));
	return 0;
}

int net_reset_connections(const struct reset_options *options, struct reset_report *ret,
			  struct pc_err *err)
{
	struct work work = {.options = options, .report = ret};
	struct reset reset = {.work = &work};
	int r;

	memset(ret, 0, sizeof(*ret));
	r = net_netns_own(&reset.own);
	if (r < 0)
		return pc_err_set(err, r, "/proc/thread-self/ns/net: %s; is /proc mounted?",
				  strerror(-r));
	work.netns = reset.own;
	reset_here(&work);
	r = net_netns_each_below(options->kubepods, on_netns, &reset, err);
	free(work.now.target);
	free(work.left.target);
	return r;
}
