// SPDX-License-Identifier: Apache-2.0
/*
 * The agent holds everybody's keys and reads untrusted input; podcred fetch holds those of the node. What could they do
 * to the node, and who could do something to them?
 */
#include "base/addr.h"
#include "doctor/checks.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <linux/landlock.h>

#include "base/caps.h"
#include "base/cleanup.h"
#include "base/file.h"
#include "base/parse.h"
#include "doctor/listener.h"

#define STATUS_SIZE 65536

struct process {
	int pid;
	unsigned uid, seccomp, no_new_privs;
	unsigned locked; /* memory that is never swapped out, kB */
	struct caps caps;
	unsigned others; /* other processes of that user */
};

static int field(const char *status, const char *name, unsigned *ret)
{
	const char *at = strstr(status, name);

	return at && sscanf(at + strlen(name), "%u", ret) == 1 ? 0 : -EPROTO;
}

static int read_uid(const char *pid, unsigned *ret)
{
	_cleanup_free_ char *status = NULL;
	char path[300];
	int r;

	snprintf(path, sizeof(path), "/proc/%s/status", pid);
	r = file_read(path, STATUS_SIZE, &status, NULL);
	if (r == 0 && strstr(status, "\nState:\tZ"))
		r = -ESRCH; /* it has ended; only its parent does not know yet */
	return r < 0 ? r : field(status, "\nUid:", ret);
}

static unsigned count_others(const struct process *process)
{
	DIR *proc = opendir("/proc");
	const struct dirent *entry;
	unsigned n = 0, uid;
	uint64_t pid;

	while (proc && (entry = readdir(proc)) != NULL)
		n += parse_u64(entry->d_name, INT32_MAX, &pid) == 0 && (int)pid != process->pid &&
		     read_uid(entry->d_name, &uid) == 0 && uid == process->uid;
	if (proc)
		closedir(proc);
	return n;
}

static int read_process(int pid, struct process *ret)
{
	_cleanup_free_ char *status = NULL;
	char path[64];
	int r;

	*ret = (struct process){.pid = pid};
	snprintf(path, sizeof(path), "/proc/%d/status", pid);
	r = file_read(path, STATUS_SIZE, &status, NULL);
	if (r == 0)
		r = field(status, "\nUid:", &ret->uid);
	if (r == 0)
		r = field(status, "\nNoNewPrivs:", &ret->no_new_privs);
	if (r == 0)
		r = caps_read(pid, &ret->caps);
	if (r < 0)
		return r;
	field(status, "\nSeccomp:", &ret->seccomp); /* a kernel without it has no such line */
	field(status, "\nVmLck:", &ret->locked);
	ret->others = ret->uid ? count_others(ret) : 0;
	return 0;
}

/* A process whose memory its own user may not read has files of root in /proc. */
static bool is_dumpable(const struct process *process)
{
	char path[64];
	struct stat st;

	snprintf(path, sizeof(path), "/proc/%d/mem", process->pid);
	return process->uid && stat(path, &st) == 0 && st.st_uid == process->uid;
}

/* /proc does not say whether a process is under Landlock, but those of podcred always are where there is one. */
static void name_landlock(struct doctor_names *held)
{
	long version =
		syscall(__NR_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);

	if (version > 0)
		doctor_name(held, "Landlock of this kernel (version %ld)", version);
	else
		doctor_name(held, "no Landlock in this kernel");
}

static void judge(const struct process *p, struct doctor_names *wrong)
{
	if (!p->uid)
		doctor_name(wrong, "runs as root");
	if (p->caps.permitted)
		doctor_name(wrong, "holds capabilities");
	if (p->others)
		doctor_name(wrong, "shares its user with %u other process%s", p->others,
			    p->others > 1 ? "es" : "");
	if (p->seccomp != 2)
		doctor_name(wrong, "has no seccomp filter");
	if (!p->no_new_privs)
		doctor_name(wrong, "may gain privileges");
	if (is_dumpable(p))
		doctor_name(wrong, "its user may read its memory");
}

static void say_process(const struct process *p, const char *next, struct doctor_result *r)
{
	struct doctor_names wrong = {}, landlock = {};

	judge(p, &wrong);
	name_landlock(&landlock);
	if (wrong.n)
		doctor_say(r, DOCTOR_WARN, next, "pid %d, uid %u: %s", p->pid, p->uid, wrong.text);
	else
		doctor_say(r, DOCTOR_OK, NULL,
			   "pid %d, uid %u: no capabilities%s, no_new_privs, seccomp filter, not "
			   "dumpable, %u kB of memory locked, %s",
			   p->pid, p->uid, p->caps.bounding ? "" : ", bounding set empty",
			   p->locked, landlock.text);
}

static const char no_right[] = "takes CAP_SYS_PTRACE to find the process";

/* ---- the agent ---- */

static int find_agent(const struct doctor *d, int *ret_pid)
{
	struct sockdiag_socket listener;
	struct net_addr addr;
	char name[32];
	int r;

	if (d->agent_fails || (!doctor_endpoint(d, 0, &addr) && !doctor_endpoint(d, 1, &addr)))
		return -ENOENT;
	r = net_sockdiag_listener(&addr, &listener);
	return r < 0 ? r : doctor_listener_owner(listener.inode, ret_pid, name);
}

void doctor_check_agent_process(struct doctor *d, struct doctor_result *r)
{
	struct process agent = {};
	int pid = 0, found = find_agent(d, &pid);

	if (found == 0)
		found = read_process(pid, &agent);
	if (found < 0)
		doctor_say(r, DOCTOR_SKIP, NULL, "%s",
			   found == -EACCES ? no_right : "no agent to be seen in its place");
	else
		say_process(&agent,
			    "start it by podcred run, by podcred serve --user, or by the unit "
			    "podcred-serve",
			    r);
}

/* ---- fetch: who is at the other end of the agent's sockets ---- */

#define PEERS_MAX 8 /* run, the resolver, fetch */

struct peers {
	int agent;
	uint32_t inode[PEERS_MAX];
	size_t n;
	bool listens; /* the agent waits for them */
};

static int on_unix(void *arg, const struct sockdiag_unix *socket)
{
	struct peers *peers = arg;

	if (socket->type != SOCK_SEQPACKET || !doctor_listener_has(peers->agent, socket->inode))
		return 0;
	peers->listens |= socket->listens;
	if (socket->peer && peers->n < PEERS_MAX)
		peers->inode[peers->n++] = socket->peer;
	return 0;
}

static bool is_fetch(int pid)
{
	_cleanup_free_ char *line = NULL;
	char path[64];
	size_t len, name;

	snprintf(path, sizeof(path), "/proc/%d/cmdline", pid);
	if (file_read(path, STATUS_SIZE, &line, &len) < 0)
		return false;
	name = strlen(line) + 1;
	return name < len && !strcmp(line + name, "fetch");
}

/* 1: found; 0: there is none. */
static int find_fetch(const struct doctor *d, struct peers *peers, int *ret_pid)
{
	char name[32];
	int r = find_agent(d, &peers->agent);

	r = r ?: net_sockdiag_each_unix(on_unix, peers);
	for (size_t i = 0; r == 0 && i < peers->n; i++)
		if (doctor_listener_owner(peers->inode[i], ret_pid, name) == 0 &&
		    is_fetch(*ret_pid))
			return 1;
	return r;
}

void doctor_check_fetch_process(struct doctor *d, struct doctor_result *r)
{
	struct peers peers = {};
	struct process fetch = {};
	int pid = 0, found = find_fetch(d, &peers, &pid);

	if (found > 0)
		found = read_process(pid, &fetch) ?: 1;
	if (found > 0)
		say_process(&fetch,
			    "start it by podcred run, by podcred fetch --user, or by the unit "
			    "podcred-fetch",
			    r);
	else if (found == 0 && peers.listens)
		doctor_say(r, DOCTOR_WARN,
			   "start podcred fetch; until then pods get what it has said before",
			   "no podcred fetch is connected to the agent");
	else if (found == 0)
		doctor_say(r, DOCTOR_OK, NULL, "not in use");
	else
		doctor_say(r, DOCTOR_SKIP, NULL, "%s",
			   found == -EACCES	  ? no_right
			   : found == -EOPNOTSUPP ? "the kernel's module unix_diag is not there"
						  : "no agent to be seen in its place");
}
