// SPDX-License-Identifier: Apache-2.0
/*
 * The agent holds everybody's keys and reads untrusted input: what could it do to the node, and who
 * could do something to it?
 */
#include "base/addr.h"
#include "doctor/checks.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/caps.h"
#include "base/cleanup.h"
#include "base/file.h"
#include "base/parse.h"
#include "doctor/listener.h"

#define STATUS_SIZE 65536

struct process {
	int pid;
	unsigned uid, seccomp, no_new_privs;
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

static unsigned count_others(const struct process *agent)
{
	DIR *proc = opendir("/proc");
	const struct dirent *entry;
	unsigned n = 0, uid;
	uint64_t pid;

	while (proc && (entry = readdir(proc)) != NULL)
		n += parse_u64(entry->d_name, INT32_MAX, &pid) == 0 && (int)pid != agent->pid &&
		     read_uid(entry->d_name, &uid) == 0 && uid == agent->uid;
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
	ret->others = ret->uid ? count_others(ret) : 0;
	return 0;
}

/* A process whose memory its own user may not read has files of root in /proc. */
static bool is_dumpable(const struct process *agent)
{
	char path[64];
	struct stat st;

	snprintf(path, sizeof(path), "/proc/%d/mem", agent->pid);
	return agent->uid && stat(path, &st) == 0 && st.st_uid == agent->uid;
}

static int find_process(const struct doctor *d, struct process *ret)
{
	struct sockdiag_socket listener;
	struct net_addr addr;
	char name[32];
	int pid = 0, r;

	if (!doctor_endpoint(d, 0, &addr) && !doctor_endpoint(d, 1, &addr))
		return -ENOENT;
	r = net_sockdiag_listener(&addr, &listener);
	if (r == 0)
		r = doctor_listener_owner(listener.inode, &pid, name);
	return r < 0 ? r : read_process(pid, ret);
}

void doctor_check_agent_process(struct doctor *d, struct doctor_result *r)
{
	struct doctor_names wrong = {};
	struct process agent;
	int found = d->agent_fails ? -ENOENT : find_process(d, &agent);

	if (found < 0) {
		doctor_say(r, DOCTOR_SKIP, NULL, "%s",
			   found == -EACCES ? "takes CAP_SYS_PTRACE to find the process"
					    : "no agent to be seen in its place");
		return;
	}
	if (!agent.uid)
		doctor_name(&wrong, "runs as root");
	if (agent.caps.permitted)
		doctor_name(&wrong, "holds capabilities");
	if (agent.others)
		doctor_name(&wrong, "shares its user with %u other process%s", agent.others,
			    agent.others > 1 ? "es" : "");
	if (agent.seccomp != 2)
		doctor_name(&wrong, "has no seccomp filter");
	if (!agent.no_new_privs)
		doctor_name(&wrong, "may gain privileges");
	if (is_dumpable(&agent))
		doctor_name(&wrong, "its user may read its memory");
	if (wrong.n)
		doctor_say(r, DOCTOR_WARN,
			   "start it by podcred run, by podcred serve --user, or by the unit "
			   "podcred-serve",
			   "pid %d, uid %u: %s", agent.pid, agent.uid, wrong.text);
	else
		doctor_say(r, DOCTOR_OK, NULL,
			   "pid %d, uid %u: no capabilities, seccomp filter, no way to more "
			   "privileges%s",
			   agent.pid, agent.uid, agent.caps.bounding ? "" : ", bounding set empty");
}
