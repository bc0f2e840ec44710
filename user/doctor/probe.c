// SPDX-License-Identifier: Apache-2.0
/*
 * The proof that the guard works: a cgroup like a pod's, a process in it, and what becomes of its
 * connection, its datagram and its packet. Signals are held back until the cgroup is gone again.
 * Every two seconds the kubelet removes cgroups of pods that it does not know, and kills the
 * processes in them. When all is well the probe keeps its cgroup for milliseconds only. What it
 * finds in one that disappears early proves nothing, so it starts over.
 */
#include "base/addr.h"
#include "doctor/checks.h"

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

#include "base/cleanup.h"
#include "base/clock.h"
#include "identity/cgpath.h"
#include "kernel/maps.h"
#include "kernel/status.h"

#define PATIENCE_MS    3000 /* for what takes microseconds */
#define STEP_NS	       5000000
#define TRIES	       6
#define RAW_EXPERIMENT 253 /* an IP protocol for experiments, RFC 3692 */

/* What the child found out. */
struct answer {
	int connect_error, udp_error, raw_error; /* 0: it went through */
	bool no_raw; /* not even a socket */
	struct net_addr local, peer;
};

/* What there is to be judged: of one try that nobody spoilt. */
struct finding {
	uint64_t cgroup_id;
	struct podcred_target_key dest;
	struct explain_verdict tcp, udp, raw; /* what explain.h expects */
	uint64_t dropped; /* counter packet_socket before */
	struct answer answer;
	struct podcred_stamp stamp;
	bool stamped, counted;
};

struct probe {
	struct pc_err err; /* why there is no answer */
	char *path; /* the cgroup of this try; NULL: none */
	pid_t child; /* in it; 0: none */
	struct finding now, found;
	bool answered; /* found is there */
	bool noticed, unnoticed; /* by the resolver; neither: not known */
	int spoilt; /* tries */
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
	net_addr_from_sockaddr((struct sockaddr *)&name, &answer->local);
	size = sizeof(name);
	getpeername(fd, (struct sockaddr *)&name, &size);
	net_addr_from_sockaddr((struct sockaddr *)&name, &answer->peer);
}

static int try_send(const struct sockaddr_storage *to, socklen_t len, int type, int protocol,
		    bool *ret_none)
{
	_cleanup_close_ int fd = socket(to->ss_family, type | SOCK_CLOEXEC, protocol);

	*ret_none = fd < 0;
	if (fd < 0)
		return errno;
	return error_of(sendto(fd, "podcred", 7, 0, (const struct sockaddr *)to, len));
}

__attribute__((noreturn)) static void child_main(const struct probe *probe, int out)
{
	struct net_addr dest = {.port = ntohs(probe->now.dest.port)};
	struct sockaddr_storage to;
	struct answer answer = {};
	socklen_t len;
	bool no_udp;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	memcpy(dest.ip, probe->now.dest.addr.ip, sizeof(dest.ip));
	len = net_addr_to_sockaddr(&dest, &to);
	try_stream(&to, len, &answer);
	answer.udp_error = try_send(&to, len, SOCK_DGRAM, 0, &no_udp);
	dest.port = 0;
	len = net_addr_to_sockaddr(&dest, &to);
	answer.raw_error = try_send(&to, len, SOCK_RAW, RAW_EXPERIMENT, &answer.no_raw);
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
	if (mkdir(path, 0755) < 0)
		return pc_err_set(&probe->err, -errno, "cannot make %s: %m", path);
	probe->now.cgroup_id = stat(path, &st) == 0 ? st.st_ino : 0; /* 0: gone already */
	probe->path = TAKE_PTR(path);
	return 0;
}

/* What is to be expected of a pod that nothing is known of. */
static int expect(const struct doctor *d, struct probe *probe)
{
	const struct podcred_pod pod = {.cgroup_id = probe->now.cgroup_id};
	struct podcred_target_key dest, dests[64];
	struct facts_source source;
	struct explain_facts facts;
	int r = doctor_facts_open(d->options->pin_dir, &source, &probe->err);

	if (r == 0 && !doctor_facts_redirected(&source, dests, ARRAY_SIZE(dests)))
		r = pc_err_set(&probe->err, -ENOENT, "no destination is redirected");
	if (r == 0) {
		probe->now.dest = dests[0];
		probe->now.dropped = source.status.stats[PODCRED_REASON_packet_socket];
		doctor_facts_fill(&source, &pod, &probe->now.dest, &facts);
		doctor_explain_decide(&facts, &probe->now.tcp);
		dest = probe->now.dest;
		dest.protocol = IPPROTO_UDP;
		doctor_facts_fill(&source, &pod, &dest, &facts);
		doctor_explain_decide(&facts, &probe->now.udp);
		dest.protocol = RAW_EXPERIMENT;
		dest.port = 0;
		doctor_facts_fill(&source, &pod, &dest, &facts);
		/* the probe is on this network, as a hostNetwork pod is */
		facts.pod_flags |= PODCRED_POD_HOST_NETWORK;
		doctor_explain_decide(&facts, &probe->now.raw);
	}
	doctor_facts_close(&source);
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

/* -EAGAIN: it ended without a word. */
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
	if (probe->child < 0) {
		probe->child = 0;
		return pc_err_set(&probe->err, -errno, "cannot fork: %m");
	}
	if (probe->child == 0) {
		if (join(probe->path) < 0)
			_exit(1);
		child_main(probe, out);
	}
	cleanup_close(&out);
	out = -EBADF;
	pfd = (struct pollfd){.fd = in, .events = POLLIN};
	if (poll(&pfd, 1, 3 * PATIENCE_MS) <= 0)
		return pc_err_set(&probe->err, -EIO, "the process in %s gave no answer",
				  probe->path);
	return read(in, &probe->now.answer, sizeof(probe->now.answer)) == sizeof(probe->now.answer)
		       ? 0
		       : -EAGAIN;
}

/* Somebody has ended the process or removed the cgroup; a process comes first. */
static bool is_spoilt(struct probe *probe)
{
	struct stat st;

	if (probe->child && waitpid(probe->child, NULL, WNOHANG) != 0) {
		probe->child = 0;
		return true;
	}
	return !probe->child || stat(probe->path, &st) < 0 || st.st_ino != probe->now.cgroup_id;
}

/* Until fn succeeds, the cgroup is spoilt, or patience ends. */
static bool wait_until(const struct doctor *d, struct probe *probe,
		       bool (*fn)(const struct doctor *d, struct probe *probe, int fd), int fd)
{
	static const struct timespec step = {.tv_nsec = STEP_NS};
	uint64_t end = clock_mono_ns() + PATIENCE_MS * 1000000ULL;
	bool done = fn(d, probe, fd);

	while (!done && clock_mono_ns() < end && !is_spoilt(probe)) {
		nanosleep(&step, NULL);
		done = fn(d, probe, fd);
	}
	return done;
}

/* The agent's socket is sealed when the handshake ends there, a moment after connect(2) here. */
static bool has_stamp(const struct doctor *d, struct probe *probe, int peers_fd)
{
	struct podcred_peer_key key = {.client_port = probe->now.answer.local.port,
				       .agent = probe->now.tcp.agent.addr,
				       .agent_port = ntohs(probe->now.tcp.agent.port)};

	struct podcred_seal seal;

	(void)d;
	memcpy(key.client.ip, probe->now.answer.local.ip, sizeof(key.client.ip));
	if (kern_map_lookup(peers_fd, &key, &seal) < 0)
		return false;
	probe->now.stamp = seal.stamp;
	return true;
}

static bool is_noticed(const struct doctor *d, struct probe *probe, int pods_fd)
{
	struct podcred_pod pod;

	(void)d;
	return kern_pod_read(pods_fd, probe->now.cgroup_id, &pod) == 0;
}

/* What can only be seen while the process lives. */
static void observe(const struct doctor *d, struct probe *probe)
{
	_cleanup_close_ int peers_fd = kern_map_open(d->options->pin_dir, KERN_MAP_PEERS, NULL);
	struct kern_status status;

	probe->now.counted = kern_status_read(d->options->pin_dir, d->mount, &status, NULL) == 0 &&
			     status.stats[PODCRED_REASON_packet_socket] > probe->now.dropped;
	probe->now.stamped = !d->agent_fails && !probe->now.answer.connect_error &&
			     probe->now.tcp.outcome == EXPLAIN_REDIRECTED &&
			     wait_until(d, probe, has_stamp, peers_fd);
}

static void watch_resolver(const struct doctor *d, struct probe *probe)
{
	_cleanup_close_ int pods_fd = kern_map_open(d->options->pin_dir, KERN_MAP_PODS, NULL);

	if (d->resolver_fails)
		return;
	probe->noticed = wait_until(d, probe, is_noticed, pods_fd);
	probe->unnoticed = !probe->noticed && !is_spoilt(probe);
}

static void end_try(struct probe *probe)
{
	static const struct timespec a_moment = {.tv_nsec = 10000000};

	if (probe->child) {
		kill(probe->child, SIGKILL);
		waitpid(probe->child, NULL, 0);
		probe->child = 0;
	}
	/* a dead process is in it for a moment more */
	for (int tries = 100; probe->path && rmdir(probe->path) < 0 && errno == EBUSY && tries;
	     tries--)
		nanosleep(&a_moment, NULL);
	free(probe->path);
	probe->path = NULL;
}

/* -EAGAIN: spoilt, so another one may tell. */
static int one_try(struct doctor *d, struct probe *probe)
{
	int r = make_pod(d, probe);

	if (r == 0)
		r = expect(d, probe);
	if (r == 0)
		r = start_child(probe);
	if (r < 0)
		return r;
	if (!probe->answered) {
		observe(d, probe);
		probe->found = probe->now;
		probe->answered = !is_spoilt(probe);
	}
	if (probe->answered)
		watch_resolver(d, probe);
	return probe->answered && (d->resolver_fails || probe->noticed || probe->unnoticed)
		       ? 0
		       : -EAGAIN;
}

/* Signals that would end us wait until the cgroup is removed. */
static void hold_signals(sigset_t *ret_old)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGHUP);
	sigaddset(&set, SIGQUIT);
	sigaddset(&set, SIGPIPE);
	sigprocmask(SIG_BLOCK, &set, ret_old);
}

static void run_probe(struct doctor *d, struct probe *probe)
{
	int r = -EAGAIN;

	while (r == -EAGAIN && probe->spoilt < TRIES) {
		sigset_t old;

		hold_signals(&old);
		r = one_try(d, probe);
		end_try(probe);
		sigprocmask(SIG_SETMASK, &old, NULL);
		probe->spoilt += r == -EAGAIN;
	}
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
		run_probe(d, probe);
	}
	if (!probe->answered && probe->spoilt == TRIES)
		doctor_say(r, DOCTOR_SKIP, "try again",
			   "somebody removed the probe's cgroup, %d times: a kubelet does, of pods "
			   "that it does not know",
			   TRIES);
	else if (!probe->answered)
		doctor_say(r, DOCTOR_SKIP, NULL, "no probe: %s", probe->err.msg);
	return probe->answered;
}

/* ---- checks ---- */

/* The probe's cgroup never lasted; the resolver says itself whether it is there. */
static void judge_without_probe(const struct doctor *d, struct doctor_result *r)
{
	struct kern_status status;

	if (kern_status_read(d->options->pin_dir, d->mount, &status, NULL) == 0 &&
	    !kern_resolver_is_running(&status))
		doctor_say(r, DOCTOR_FAIL, "start podcred resolve",
			   "no resolver runs: a new pod would get no credentials");
	else
		doctor_say(r, DOCTOR_SKIP, "try again",
			   "nobody noticed the probe's cgroup before it was removed, %d times: a "
			   "kubelet does that with pods that it does not know",
			   d->probe->spoilt);
}

void doctor_check_probe_resolver(struct doctor *d, struct doctor_result *r)
{
	if (d->resolver_fails) {
		doctor_say(r, DOCTOR_SKIP, NULL, "see resolver");
		return;
	}
	if (!probe_ready(d, r)) {
		if (d->probe && d->probe->spoilt == TRIES)
			judge_without_probe(d, r);
		return;
	}
	if (d->probe->noticed)
		doctor_say(r, DOCTOR_OK, NULL, "a new pod is noticed");
	else if (d->probe->unnoticed)
		doctor_say(r, DOCTOR_FAIL, "start podcred resolve",
			   "a new pod is not noticed: it would get no credentials");
	else
		judge_without_probe(d, r);
}

static void judge_stamp(const struct finding *found, struct doctor_result *r)
{
	char dialled[NET_ADDR_TEXT], seen[NET_ADDR_TEXT];
	const struct net_addr *peer = &found->answer.peer;
	const struct podcred_stamp *stamp = &found->stamp;

	net_addr_format(found->dest.addr.ip, ntohs(found->dest.port), dialled, sizeof(dialled));
	net_addr_format(peer->ip, peer->port, seen, sizeof(seen));
	if (!found->stamped)
		doctor_say(r, DOCTOR_FAIL,
			   "look for a rule that changes the destination: nft list ruleset, "
			   "iptables-save -t nat; podcred status counts it as diverted",
			   "a connection to %s never came to the agent", dialled);
	else if (stamp->cgroup_id != found->cgroup_id || stamp->pod_cgroup_id != found->cgroup_id)
		doctor_say(r, DOCTOR_FAIL, "podcred unload, and report it",
			   "the kernel stamped cgroup %" PRIu64 " where %" PRIu64 " was calling",
			   (uint64_t)stamp->pod_cgroup_id, found->cgroup_id);
	else if (strcmp(seen, dialled) != 0)
		doctor_say(r, DOCTOR_FAIL, "run podcred load again",
			   "getpeername(2) says %s to a client that dialled %s", seen, dialled);
	else
		doctor_say(r, DOCTOR_OK, NULL, "a connection to %s was stamped with its own pod",
			   dialled);
}

void doctor_check_probe_identity(struct doctor *d, struct doctor_result *r)
{
	const struct finding *found;
	int error;

	if (!probe_ready(d, r))
		return;
	found = &d->probe->found;
	error = found->answer.connect_error;
	if (found->tcp.outcome != EXPLAIN_REDIRECTED)
		doctor_say(r, DOCTOR_SKIP, NULL, "the configuration does not redirect now: %s",
			   found->tcp.reason < 0
				   ? "not guarded"
				   : kern_reason_name((enum podcred_reason)found->tcp.reason));
	else if (d->agent_fails)
		doctor_say(r, DOCTOR_SKIP, NULL, "see agent; the probe's connection %s",
			   error ? strerror(error) : "ended there, unstamped");
	else if (error)
		doctor_say(r, DOCTOR_FAIL,
			   "look for a firewall between pods and agent; podcred status counts",
			   "a redirected connection failed: %s", strerror(error));
	else
		judge_stamp(found, r);
}

static bool expects_refusal(const struct explain_verdict *v)
{
	return v->outcome == EXPLAIN_REFUSED || v->outcome == EXPLAIN_DROPPED;
}

void doctor_check_probe_datagram(struct doctor *d, struct doctor_result *r)
{
	const struct explain_verdict *want;
	int error;

	if (!probe_ready(d, r))
		return;
	want = &d->probe->found.udp;
	error = d->probe->found.answer.udp_error;
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

void doctor_check_probe_packet(struct doctor *d, struct doctor_result *r)
{
	int error;

	if (!probe_ready(d, r))
		return;
	error = d->probe->found.answer.raw_error;
	if (!expects_refusal(&d->probe->found.raw))
		doctor_say(r, DOCTOR_SKIP, NULL, "%s",
			   d->probe->found.raw.audited ? "mode audit refuses nothing"
						       : "no packet filter is attached");
	else if (d->probe->found.answer.no_raw)
		doctor_say(r, DOCTOR_SKIP, NULL, "cannot tell: no raw socket (CAP_NET_RAW): %s",
			   strerror(error));
	else if (error == ENETUNREACH || error == EHOSTUNREACH)
		doctor_say(r, DOCTOR_SKIP, NULL, "this network has no route to the address");
	else if (d->probe->found.counted && (!error || error == EPERM))
		doctor_say(r, DOCTOR_OK, NULL, "a raw one to a guarded address was %s",
			   error ? "refused" : "dropped");
	else
		doctor_say(r, DOCTOR_FAIL, "run podcred load again",
			   "a raw one to a guarded address was not stopped: %s",
			   error ? strerror(error) : "sent");
}
