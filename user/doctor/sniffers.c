// SPDX-License-Identifier: Apache-2.0
/*
 * Pods on the node's network that may open packet sockets: they read what every other pod is given,
 * as it passes through the node's interfaces in the clear.
 */
#include "doctor/checks.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <linux/capability.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/caps.h"
#include "base/cleanup.h"
#include "base/parse.h"
#include "identity/cgpath.h"
#include "kernel/maps.h"

struct sniffers {
	const struct doctor *d;
	int pods_fd;
	struct stat node; /* this network namespace */
	char names[1280]; /* of as many as have room */
	size_t n, named;
	uint64_t last; /* pod that was named */
	bool foreign_pids, denied;
};

/* The pod-level cgroup that this one is in, *ret_dir to be freed; 0: none. */
static uint64_t pod_of(const struct doctor *d, const char *cgroup, char **ret_dir)
{
	const char *below = cgroup + strlen(d->mount);
	struct cgpath_pod pod;
	struct stat st;

	if (cgpath_parse(below, strlen(below), &pod) != CGPATH_OK ||
	    asprintf(ret_dir, "%s%.*s", d->mount, (int)pod.pod_len, below) < 0)
		return 0;
	return stat(*ret_dir, &st) == 0 ? st.st_ino : 0;
}

/* By the list of pods, or by the process itself. */
static bool is_on_node(struct sniffers *s, const struct podcred_pod *pod, int pid)
{
	char path[64];
	struct stat st;

	if (pod->flags & PODCRED_POD_HOST_NETWORK)
		return true;
	snprintf(path, sizeof(path), "/proc/%d/ns/net", pid);
	if (stat(path, &st) == 0)
		return st.st_ino == s->node.st_ino && st.st_dev == s->node.st_dev;
	s->denied |= errno == EACCES && !(pod->flags & PODCRED_POD_NAMED);
	return false;
}

/* All of them, as each is one to decide about. */
static void name_pod(struct sniffers *s, const struct podcred_pod *pod, const char *cgroup)
{
	char name[PODCRED_NAMESPACE_LEN + PODCRED_NAME_LEN + 1];
	size_t used = strlen(s->names);

	if (pod->flags & PODCRED_POD_NAMED)
		snprintf(name, sizeof(name), "%s/%s", pod->name_space, pod->name);
	else
		snprintf(name, sizeof(name), "%s", cgroup + strlen(s->d->kubepods) + 1);
	s->n++;
	if (s->named + 1 < s->n || used + strlen(name) + 3 > sizeof(s->names))
		return;
	snprintf(s->names + used, sizeof(s->names) - used, "%s%s", used ? ", " : "", name);
	s->named++;
}

static void look_at(struct sniffers *s, const struct podcred_pod *pod, const char *pod_dir,
		    const char *cgroup, const char *text)
{
	struct caps caps;
	uint64_t pid;

	if (parse_u64(text, INT_MAX, &pid) < 0 || !pid) {
		s->foreign_pids = true; /* 0: of a PID namespace that we do not see */
		return;
	}
	if (caps_read((int)pid, &caps) < 0 ||
	    !((caps.effective | caps.permitted | caps.bounding) & CAPS_BIT(CAP_NET_RAW)) ||
	    !is_on_node(s, pod, (int)pid) || doctor_is_pause(pod_dir, text))
		return;
	s->last = pod->cgroup_id;
	name_pod(s, pod, cgroup);
}

static int on_cgroup(void *arg, const char *cgroup)
{
	struct sniffers *s = arg;
	_cleanup_fclose_ FILE *procs = NULL;
	_cleanup_free_ char *path = NULL, *dir = NULL;
	struct podcred_pod pod = {};
	uint64_t id = pod_of(s->d, cgroup, &dir);
	char line[32];

	if (!id || asprintf(&path, "%s/cgroup.procs", cgroup) < 0)
		return 0;
	if (kern_pod_read(s->pods_fd, id, &pod) < 0)
		pod = (struct podcred_pod){.cgroup_id = id};
	procs = fopen(path, "re");
	while (procs && s->last != id && fgets(line, sizeof(line), procs)) {
		line[strcspn(line, "\n")] = '\0';
		look_at(s, &pod, dir, cgroup, line);
	}
	return 0;
}

void doctor_check_sniffers(struct doctor *d, struct doctor_result *r)
{
	struct sniffers s = {.d = d};
	_cleanup_close_ int pods_fd = kern_map_open(d->options->pin_dir, KERN_MAP_PODS, NULL);
	char more[32] = "";

	s.pods_fd = pods_fd;
	stat("/proc/self/ns/net", &s.node);
	doctor_walk(d->kubepods, on_cgroup, &s);
	if (s.n > s.named)
		snprintf(more, sizeof(more), " and %zu more", s.n - s.named);
	if (s.n)
		doctor_say(
			r, DOCTOR_WARN,
			"drop NET_RAW from each that you do not trust with the credentials of all "
			"pods on this node",
			"hostNetwork with CAP_NET_RAW: %s%s; such a pod can read the credentials "
			"that any other pod here is given",
			s.names, more);
	else if (s.foreign_pids)
		doctor_say(r, DOCTOR_SKIP, NULL,
			   "processes of the node cannot be seen from here (hostPID: true)");
	else if (s.denied)
		doctor_say(r, DOCTOR_SKIP, NULL,
			   "cannot tell: whose network a process is on takes CAP_SYS_PTRACE");
	else
		doctor_say(r, DOCTOR_OK, NULL, "no hostNetwork pod may open packet sockets");
}
