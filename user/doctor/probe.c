// SPDX-License-Identifier: Apache-2.0
/*
 * The proof: a cgroup like a pod's, a process in it, and what becomes of its connection, its
 * datagram and its packet. Signals wait until the cgroup is gone again.
 */
#include "checks.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>

#include "cgpath.h"
#include "cleanup.h"

#define PATIENCE_MS    3000 /* for what takes microseconds */
#define RAW_EXPERIMENT 253 /* an IP protocol for experiments, RFC 3692 */

/* What the child found out. */
struct answer {
	int connect_error, udp_error, raw_error; /* 0: it went through */
	struct net_addr local, peer;
};

struct probe {
	char *path; /* the cgroup; NULL: not made, err says why */
	struct pc_err err;
	uint64_t cgroup_id;
	pid_t child;
	sigset_t old_mask;
	struct podcred_target_key dest;
	struct explain_verdict tcp, udp, raw; /* what explain.h expects */
	uint64_t dropped; /* counter packet_socket before */
	struct answer answer;
	bool answered;
};

/* ---- the child, in the pod ---- */

static int error_of(long result)
{
	return result < 0 ? errno : 0;
}

static int connect_within(int fd, const struct sockaddr_storage *to, socklen_t len)
{
	struct pollfd pfd = {.fd = fd, .events = POLLOUT};
	socklen_t size = sizeof(int);
	int error = 0;

	if (connect(fd, (const struct sockaddr *)to, len) == 0)
		return 0;
	if (errno != EINPROGRESS)
		return errno;
	if (poll(&pfd, 1, PATIENCE_MS) <= 0)
		return ETIMEDOUT;
	getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size);
	return error;
}

static void addr_from(const struct sockaddr_storage *ss, struct net_addr *ret)
{
	const struct sockaddr_in *in = (const void *)ss;
	const struct sockaddr_in6 *in6 = (const void *)ss;

	*ret = (struct net_addr){.ip = {[10] = 0xff, [11] = 0xff}};
	if (ss->ss_family == AF_INET)
		memcpy(ret->ip + 12, &in->sin_addr, 4);
	else
		memcpy(ret->ip, &in6->sin6_addr, 16);
	ret->port = ntohs(ss->ss_family == AF_INET ? in->sin_port : in6->sin6_port);
}

/* The connection stays open, for the parent to look it up. */
static void try_stream(const struct sockaddr_storage *to, socklen_t len, struct answer *answer)
{
	struct sockaddr_storage name = {};
	socklen_t size = sizeof(name);
	int fd = socket(to->ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	answer->connect_error = fd < 0 ? errno : connect_within(fd, to, len);
	if (answer->connect_error)
		return;
	getsockname(fd, (struct sockaddr *)&name, &size);
	addr_from(&name, &answer->local);
	size = sizeof(name);
	getpeername(fd, (struct sockaddr *)&name, &size);
	addr_from(&name, &answer->peer);
}

static int try_send(const struct sockaddr_storage *to, socklen_t len, int type, int protocol)
{
	_cleanup_close_ int fd = socket(to->ss_family, type | SOCK_CLOEXEC, protocol);

	if (fd < 0)
		return errno;
	return error_of(sendto(fd, "podcred", 7, 0, (const struct sockaddr *)to, len));
}

__attribute__((noreturn)) static void child_main(const struct probe *probe, int out)
{
	struct net_addr dest = {.port = ntohs(probe->dest.port)};
	struct sockaddr_storage to;
	struct answer answer = {};
	socklen_t len;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	memcpy(dest.ip, probe->dest.addr.ip, sizeof(dest.ip));
	len = net_addr_to_sockaddr(&dest, &to);
	try_stream(&to, len, &answer);
	answer.udp_error = try_send(&to, len, SOCK_DGRAM, 0);
	dest.port = 0;
	len = net_addr_to_sockaddr(&dest, &to);
	answer.raw_error = try_send(&to, len, SOCK_RAW, RAW_EXPERIMENT);
	if (write(out, &answer, sizeof(answer)) < 0)
		_exit(1);
	for (;;)
		pause();
}

/* ---- the parent ---- */

static int pod_name(const char *kubepods, char ret[CGPATH_NAME_SIZE])
{
	const char *root = strrchr(kubepods, '/') + 1, *slice = strstr(root, ".slice");
	char uid[POD_UID_SIZE], parsed[POD_UID_SIZE];
	bool is_static;
	uint8_t b[16];

	if (getrandom(b, sizeof(b), 0) != sizeof(b))
		return -EIO;
	for (size_t i = 0, at = 0; i < sizeof(b); i++) {
		if (i == 4 || i == 6 || i == 8 || i == 10)
			uid[at++] = slice ? '_' : '-';
		at += (size_t)snprintf(uid + at, sizeof(uid) - at, "%02x", b[i]);
	}
	if (slice)
		snprintf(ret, CGPATH_NAME_SIZE, "%.*s-pod%s.slice", (int)(slice - root), root, uid);
	else
		snprintf(ret, CGPATH_NAME_SIZE, "pod%s", uid);
	return cgpath_pod_component(root, strlen(root), ret, strlen(ret), parsed, &is_static) ==
			       CGPATH_OK
		       ? 0
		       : -EINVAL;
}

static int make_pod(const struct doctor *d, struct probe *probe)
{
	_cleanup_free_ char *path = NULL;
	char name[CGPATH_NAME_SIZE];
	struct stat st;
	int r = pod_name(d->kubepods, name);

	if (r < 0)
		return pc_err_set(&probe->err, r, "%s: no name for a pod in it", d->kubepods);
	if (asprintf(&path, "%s/%s", d->kubepods, name) < 0)
		return -ENOMEM;
	if (mkdir(path, 0755) < 0 || stat(path, &st) < 0)
		return pc_err_set(&probe->err, -errno, "cannot make %s: %m", path);
	probe->cgroup_id = st.st_ino;
	probe->path = TAKE_PTR(path);
	return 0;
}

/* What is to be expected of a pod that nothing is known of. */
static int expect(const struct doctor *d, struct probe *probe)
{
	const struct podcred_pod pod = {.cgroup_id = probe->cgroup_id};
	struct podcred_target_key dest, dests[64];
	struct facts_source source;
	struct explain_facts facts;
	int r = facts_open(d->options->pin_dir, &source, &probe->err);

	if (r == 0 && !facts_redirected(&source, dests, ARRAY_SIZE(dests)))
		r = pc_err_set(&probe->err, -ENOENT, "no destination is redirected");
	if (r == 0) {
		probe->dest = dests[0];
		probe->dropped = source.status.stats[PODCRED_REASON_packet_socket];
		facts_fill(&source, &pod, &probe->dest, &facts);
		explain_decide(&facts, &probe->tcp);
		dest = probe->dest;
		dest.protocol = IPPROTO_UDP;
		facts_fill(&source, &pod, &dest, &facts);
		explain_decide(&facts, &probe->udp);
		dest.protocol = RAW_EXPERIMENT;
		dest.port = 0;
		facts_fill(&source, &pod, &dest, &facts);
		/* the probe is on this network, as a hostNetwork pod is */
		facts.pod_flags |= PODCRED_POD_HOST_NETWORK;
		explain_decide(&facts, &probe->raw);
	}
	facts_close(&source);
	return r;
}

static int join(const char *cgroup)
{
	_cleanup_close_ int fd = -EBADF;
	char path[4096];

	snprintf(path, sizeof(path), "%s/cgroup.procs", cgroup);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	return fd >= 0 && write(fd, "0", 1) == 1 ? 0 : -errno;
}

static int start_child(struct probe *probe)
{
	_cleanup_close_ int in = -EBADF, out = -EBADF;
	struct pollfd pfd;
	int fds[2];

	if (pipe2(fds, O_CLOEXEC) < 0)
		return pc_err_set(&probe->err, -errno, "cannot make a pipe: %m");
	in = fds[0];
	out = fds[1];
	probe->child = fork();
	if (probe->child < 0)
		return pc_err_set(&probe->err, -errno, "cannot fork: %m");
	if (probe->child == 0) {
		if (join(probe->path) < 0)
			_exit(1);
		child_main(probe, out);
	}
	cleanup_close(&out);
	out = -EBADF;
	pfd = (struct pollfd){.fd = in, .events = POLLIN};
	if (poll(&pfd, 1, 3 * PATIENCE_MS) <= 0 ||
	    read(in, &probe->answer, sizeof(probe->answer)) != sizeof(probe->answer))
		return pc_err_set(&probe->err, -EIO, "the process in %s gave no answer",
				  probe->path);
	probe->answered = true;
	return 0;
}

struct probe *probe_end(struct probe *probe)
{
	static const struct timespec a_moment = {.tv_nsec = 10000000};

	if (!probe)
		return NULL;
	if (probe->child > 0) {
		kill(probe->child, SIGKILL);
		waitpid(probe->child, NULL, 0);
	}
	for (int tries = 100; probe->path && rmdir(probe->path) < 0 && tries; tries--)
		nanosleep(&a_moment, NULL); /* a dead process is in it for a moment more */
	sigprocmask(SIG_SETMASK, &probe->old_mask, NULL);
	free(probe->path);
	free(probe);
	return NULL;
}

/* Signals that would end us wait until probe_end has cleaned up. */
static void hold_signals(struct probe *probe)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGHUP);
	sigaddset(&set, SIGQUIT);
	sigaddset(&set, SIGPIPE);
	sigprocmask(SIG_BLOCK, &set, &probe->old_mask);
}

/* Once, by the first check that asks. False: r says why there is no answer. */
static bool probe_ready(struct doctor *d, struct doctor_result *r)
{
	struct probe *probe = d->probe;

	if (!probe) {
		probe = d->probe = calloc(1, sizeof(*probe));
		if (!probe) {
			doctor_say(r, DOCTOR_SKIP, NULL, "no memory");
			return false;
		}
		hold_signals(probe);
		if (make_pod(d, probe) == 0 && expect(d, probe) == 0)
			start_child(probe);
	}
	if (!probe->answered)
		doctor_say(r, DOCTOR_SKIP, NULL, "no probe: %s", probe->err.msg);
	return probe->answered;
}

/* ---- checks ---- */

void check_probe_resolver(struct doctor *d, struct doctor_result *r)
{
	static const struct timespec a_moment = {.tv_nsec = 50000000};
	_cleanup_close_ int fd = -EBADF;
	struct podcred_pod pod;
	int found = -ENOENT;

	if (d->resolver_fails) {
		doctor_say(r, DOCTOR_SKIP, NULL, "see resolver");
		return;
	}
	if (!probe_ready(d, r))
		return;
	fd = loader_map_open(d->options->pin_dir, LOADER_MAP_PODS, NULL);
	for (int waited = 0; found < 0 && waited < PATIENCE_MS; waited += 50) {
		found = loader_pod_read(fd, d->probe->cgroup_id, &pod);
		if (found < 0)
			nanosleep(&a_moment, NULL);
	}
	if (found < 0)
		doctor_say(r, DOCTOR_FAIL, "start podcred resolve",
			   "a new pod is not noticed: it would get no credentials");
	else
		doctor_say(r, DOCTOR_OK, NULL, "a new pod is noticed");
}

/* The agent's socket is sealed when the handshake ends there, a moment after connect(2) here. */
static int find_stamp(const struct doctor *d, struct podcred_stamp *ret)
{
	static const struct timespec a_moment = {.tv_nsec = 20000000};
	_cleanup_close_ int fd = loader_map_open(d->options->pin_dir, LOADER_MAP_PEERS, NULL);
	const struct probe *probe = d->probe;
	struct podcred_peer_key key = {.client_port = probe->answer.local.port,
				       .agent = probe->tcp.agent.addr,
				       .agent_port = ntohs(probe->tcp.agent.port)};
	int r = -ENOENT;

	memcpy(key.client.ip, probe->answer.local.ip, sizeof(key.client.ip));
	for (int waited = 0; r < 0 && waited < PATIENCE_MS; waited += 20) {
		r = loader_map_lookup(fd, &key, ret);
		if (r < 0)
			nanosleep(&a_moment, NULL);
	}
	return r;
}

static void judge_stamp(const struct doctor *d, struct doctor_result *r)
{
	const struct probe *probe = d->probe;
	char dialled[NET_ADDR_TEXT], seen[NET_ADDR_TEXT];
	const struct net_addr *peer = &probe->answer.peer;
	struct podcred_stamp stamp = {};

	net_addr_format(probe->dest.addr.ip, ntohs(probe->dest.port), dialled, sizeof(dialled));
	net_addr_format(peer->ip, peer->port, seen, sizeof(seen));
	if (find_stamp(d, &stamp) < 0)
		doctor_say(r, DOCTOR_FAIL, "podcred status shows which counter has moved",
			   "a connection to %s came to the agent without a stamp", dialled);
	else if (stamp.cgroup_id != probe->cgroup_id || stamp.pod_cgroup_id != probe->cgroup_id)
		doctor_say(r, DOCTOR_FAIL, "podcred unload, and report it",
			   "the kernel stamped cgroup %" PRIu64 " where %" PRIu64 " was calling",
			   (uint64_t)stamp.pod_cgroup_id, probe->cgroup_id);
	else if (strcmp(seen, dialled) != 0)
		doctor_say(r, DOCTOR_FAIL, "run podcred load again",
			   "getpeername(2) says %s to a client that dialled %s", seen, dialled);
	else
		doctor_say(r, DOCTOR_OK, NULL, "a connection to %s was stamped with its own pod",
			   dialled);
}

void check_probe_identity(struct doctor *d, struct doctor_result *r)
{
	const struct probe *probe;
	int error;

	if (!probe_ready(d, r))
		return;
	probe = d->probe;
	error = probe->answer.connect_error;
	if (probe->tcp.outcome != EXPLAIN_REDIRECTED)
		doctor_say(r, DOCTOR_SKIP, NULL, "the configuration does not redirect now: %s",
			   probe->tcp.reason < 0
				   ? "not guarded"
				   : loader_reason_name((enum podcred_reason)probe->tcp.reason));
	else if (d->agent_fails)
		doctor_say(r, DOCTOR_SKIP, NULL, "see agent; the probe's connection %s",
			   error ? strerror(error) : "ended there, unstamped");
	else if (error)
		doctor_say(r, DOCTOR_FAIL,
			   "look for a firewall between pods and agent; podcred status counts",
			   "a redirected connection failed: %s", strerror(error));
	else
		judge_stamp(d, r);
}

static bool expects_refusal(const struct explain_verdict *v)
{
	return v->outcome == EXPLAIN_REFUSED || v->outcome == EXPLAIN_DROPPED;
}

void check_probe_datagram(struct doctor *d, struct doctor_result *r)
{
	const struct explain_verdict *want;
	int error;

	if (!probe_ready(d, r))
		return;
	want = &d->probe->udp;
	error = d->probe->answer.udp_error;
	if (!expects_refusal(want))
		doctor_say(r, DOCTOR_SKIP, NULL, "the configuration lets datagrams pass%s",
			   want->audited ? " (mode audit)" : "");
	else if (error == want->error)
		doctor_say(r, DOCTOR_OK, NULL, "to a guarded address refused: %s", strerror(error));
	else
		doctor_say(r, DOCTOR_FAIL, "run podcred load again",
			   "to a guarded address gave \"%s\" and not \"%s\"", strerror(error),
			   strerror(want->error));
}

void check_probe_packet(struct doctor *d, struct doctor_result *r)
{
	struct loader_status status;
	bool counted;
	int error;

	if (!probe_ready(d, r))
		return;
	error = d->probe->answer.raw_error;
	counted = loader_status_read(d->options->pin_dir, d->mount, &status, NULL) == 0 &&
		  status.stats[PODCRED_REASON_packet_socket] > d->probe->dropped;
	if (!expects_refusal(&d->probe->raw))
		doctor_say(r, DOCTOR_SKIP, NULL, "%s",
			   d->probe->raw.audited ? "mode audit refuses nothing"
						 : "no packet filter is attached");
	else if (error == ENETUNREACH || error == EHOSTUNREACH)
		doctor_say(r, DOCTOR_SKIP, NULL, "this network has no route to the address");
	else if (counted && (!error || error == EPERM))
		doctor_say(r, DOCTOR_OK, NULL, "a raw one to a guarded address was %s",
			   error ? "refused" : "dropped");
	else
		doctor_say(r, DOCTOR_FAIL, "run podcred load again",
			   "a raw one to a guarded address was not stopped: %s",
			   error ? strerror(error) : "sent");
}
