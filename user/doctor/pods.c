// SPDX-License-Identifier: Apache-2.0
/*
 * The pods that exist, compared with those that podcred knows, and pods that it cannot know well.
 */
#include "doctor/checks.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <mntent.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/cleanup.h"
#include "base/parse.h"
#include "base/plural.h"
#include "identity/cgsurvey.h"
#include "identity/cgtree.h"
#include "identity/registry.h"
#include "kernel/maps.h"
#include "node/source.h"

static int ignore_upsert(void *arg, const struct pod_ident *pod)
{
	(void)arg;
	(void)pod;
	return 0;
}

static int ignore_remove(void *arg, uint64_t id)
{
	(void)arg;
	(void)id;
	return 0;
}

static void cleanup_registry(struct registry **reg)
{
	registry_free(*reg);
}

/* The pods below a kubepods directory, as their cgroups tell. */
static int scan(const char *kubepods, unsigned flags, struct registry **ret, struct pc_err *err)
{
	static const struct identity_sink nobody = {.upsert = ignore_upsert,
						    .remove = ignore_remove};
	_cleanup_(cleanup_registry) struct registry *reg = NULL;
	struct cgtree *tree = NULL;
	int r = registry_new(&nobody, 0, &reg);

	if (r == 0)
		r = cgtree_open(kubepods, flags, reg, &tree, err);
	if (r == 0)
		r = cgtree_scan(tree);
	if (tree)
		cgtree_close(tree);
	if (r == 0)
		*ret = TAKE_PTR(reg);
	return r;
}

/* ---- resolver ---- */

struct census {
	size_t pods;
	struct doctor_names unknown, unnamed;
};

static int take_census(const struct doctor *d, struct census *ret, struct pc_err *err)
{
	_cleanup_close_ int fd = kern_map_open(d->options->pin_dir, KERN_MAP_PODS, err);
	_cleanup_(cleanup_registry) struct registry *reg = NULL;
	int r = fd < 0 ? fd : scan(d->kubepods, 0, &reg, err);

	*ret = (struct census){};
	if (r < 0)
		return r;
	ret->pods = registry_count(reg);
	for (size_t i = 0; i < ret->pods; i++) {
		const struct pod_ident *ident = registry_at(reg, i);
		struct podcred_pod pod;

		if (kern_pod_read(fd, ident->cgroup_id, &pod) < 0)
			doctor_name(&ret->unknown, "%s", ident->uid);
		else if (!(pod.flags & PODCRED_POD_NAMED))
			doctor_name(&ret->unnamed, "%s", ident->uid);
	}
	return 0;
}

void doctor_check_resolver(struct doctor *d, struct doctor_result *r)
{
	static const struct timespec a_moment = {.tv_nsec = 100000000};
	struct pc_err err = {};
	struct census census;
	int found = take_census(d, &census, &err);

	/* a pod that is just being made is no finding */
	for (int tries = 20; found == 0 && (census.unknown.n || census.unnamed.n) && tries;
	     tries--) {
		nanosleep(&a_moment, NULL);
		found = take_census(d, &census, &err);
	}
	d->resolver_fails = found < 0 || census.unknown.n;
	if (found < 0)
		doctor_say(r, DOCTOR_SKIP, NULL, "%s", err.msg[0] ? err.msg : strerror(-found));
	else if (census.unknown.n)
		doctor_say(r, DOCTOR_FAIL, "start podcred resolve",
			   "%zu of %zu pods are not known, they get no credentials (%s)",
			   census.unknown.n, census.pods, census.unknown.text);
	else if (census.unnamed.n)
		doctor_say(r, DOCTOR_WARN,
			   "see that they are in the list that podcred resolve reads",
			   "%zu of %zu pods have no name, they get no credentials (%s)",
			   census.unnamed.n, census.pods, census.unnamed.text);
	else
		doctor_say(r, DOCTOR_OK, NULL, "%zu pod%s, none without a name", census.pods,
			   plural(census.pods));
}

/* ---- names ---- */

void doctor_check_names(struct doctor *d, struct doctor_result *r)
{
	struct kern_status *status = &d->status;
	const struct podcred_source *source = &status->source;
	struct pc_err err = {};
	/* anew: the checks before this one may have taken a while */
	int read = kern_status_read_resolver(d->options->pin_dir, status, &err);
	bool first = !status->runtime[PODCRED_RUNTIME_LIST_READ];
	char text[NODE_SOURCE_TEXT];
	const char *trouble = node_source_trouble(status, text);

	if (read < 0 || !kern_resolver_is_running(status)) {
		doctor_say(r, DOCTOR_SKIP, "start podcred resolve",
			   "no resolver is running: new pods get no names");
	} else if (trouble) {
		pc_err_set(&err, -EIO, "%s", trouble);
		doctor_say_err(r, first || source->full ? DOCTOR_FAIL : DOCTOR_WARN, &err);
	} else if (first) {
		doctor_say(r, DOCTOR_FAIL, "see that it is written (kubectl get pods -o json)",
			   "no pod list was read yet from %s", source->from);
	} else {
		doctor_say(r, DOCTOR_OK, NULL, "%s", node_source_text(status, text));
	}
}

/* ---- cgroup v1 ---- */

static bool has_uid(const struct registry *reg, const char *uid)
{
	for (size_t i = 0; i < registry_count(reg); i++)
		if (!strcmp(registry_at(reg, i)->uid, uid))
			return true;
	return false;
}

/* Pods that a v1 hierarchy has and v2 has not. realm: where kubepods is in both of them. */
static void compare_hierarchy(const struct registry *v2, const char *mount, const char *realm,
			      struct doctor_names *missing, size_t *seen)
{
	_cleanup_free_ char *dir = NULL;
	_cleanup_(cleanup_registry) struct registry *v1 = NULL;
	_cleanup_free_ char *kubepods = NULL;

	if (asprintf(&dir, "%s%s", mount, realm) < 0 ||
	    cgtree_find_kubepods(dir, NULL, &kubepods, NULL) < 0 ||
	    scan(kubepods, CGTREE_ANY_FS, &v1, NULL) < 0)
		return;
	*seen += registry_count(v1);
	for (size_t i = 0; i < registry_count(v1); i++)
		if (!has_uid(v2, registry_at(v1, i)->uid))
			doctor_name(missing, "%s (%s)", registry_at(v1, i)->uid, mount);
}

void doctor_check_cgroup_v1(struct doctor *d, struct doctor_result *r)
{
	_cleanup_free_ char *realm = cgsurvey_realm(d->mount, d->kubepods);
	_cleanup_(cleanup_registry) struct registry *v2 = NULL;
	FILE *mounts = setmntent("/proc/self/mounts", "re");
	struct doctor_names missing = {};
	size_t hierarchies = 0, seen = 0;
	struct mntent *mount;
	bool scanned = mounts && realm && scan(d->kubepods, 0, &v2, NULL) == 0;

	while (scanned && (mount = getmntent(mounts)) != NULL) {
		if (strcmp(mount->mnt_type, "cgroup") != 0)
			continue;
		hierarchies++;
		compare_hierarchy(v2, mount->mnt_dir, realm + strlen(d->mount), &missing, &seen);
	}
	if (mounts)
		endmntent(mounts);
	if (!scanned)
		doctor_say(r, DOCTOR_SKIP, NULL, "%s cannot be read", d->kubepods);
	else if (missing.n)
		doctor_say(r, DOCTOR_FAIL, "boot with systemd.unified_cgroup_hierarchy=1",
			   "pods are placed by cgroup v1 and not guarded: %s", missing.text);
	else if (hierarchies)
		doctor_say(r, DOCTOR_OK, NULL,
			   "%zu v1 hierarchies are mounted, with no pod that v2 does not have",
			   hierarchies);
	else
		doctor_say(r, DOCTOR_OK, NULL, "not mounted");
}

/* ---- sandboxed runtimes ---- */

/* A sandbox makes its pod's connections itself, in a place of its own. */
static bool is_sandbox(const char *program)
{
	static const char *const names[] = {"runsc", "qemu-", "cloud-hypervisor", "firecracker"};

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (!strncmp(program, names[i], strlen(names[i])))
			return true;
	return false;
}

struct sandboxes {
	struct doctor_names names;
	bool foreign_pids, denied;
};

static void look_at_process(struct sandboxes *s, const char *pid)
{
	char link[64], exe[PATH_MAX];
	const char *program;
	uint64_t number;
	ssize_t n;

	if (parse_u64(pid, INT_MAX, &number) < 0 || !number) {
		s->foreign_pids = true; /* 0: of a PID namespace that we do not see */
		return;
	}
	snprintf(link, sizeof(link), "/proc/%" PRIu64 "/exe", number);
	n = readlink(link, exe, sizeof(exe) - 1);
	if (n < 0) {
		s->denied |= errno == EACCES;
		return; /* else gone */
	}
	exe[n] = '\0';
	program = strrchr(exe, '/');
	if (program && is_sandbox(program + 1))
		doctor_name(&s->names, "%.32s (pid %" PRIu64 ")", program + 1, number);
}

static int look_at_cgroup(void *arg, const char *cgroup)
{
	_cleanup_fclose_ FILE *procs = NULL;
	_cleanup_free_ char *path = NULL;
	char line[32];

	if (asprintf(&path, "%s/cgroup.procs", cgroup) < 0)
		return -ENOMEM;
	procs = fopen(path, "re");
	while (procs && fgets(line, sizeof(line), procs)) {
		line[strcspn(line, "\n")] = '\0';
		look_at_process(arg, line);
	}
	return 0;
}

void doctor_check_sandboxes(struct doctor *d, struct doctor_result *r)
{
	struct sandboxes s = {};

	doctor_walk(d->kubepods, look_at_cgroup, &s);
	if (s.names.n)
		doctor_say(r, DOCTOR_WARN,
			   "test that such a pod gets its own credentials, or give it others",
			   "%s: connections of these pods are made by their sandbox", s.names.text);
	else if (s.foreign_pids)
		doctor_say(r, DOCTOR_SKIP, NULL,
			   "processes of the node cannot be seen from here (hostPID: true)");
	else if (s.denied)
		doctor_say(r, DOCTOR_SKIP, NULL,
			   "cannot tell: to look at the pods' programs takes CAP_SYS_PTRACE");
	else
		doctor_say(r, DOCTOR_OK, NULL, "none");
}
