// SPDX-License-Identifier: Apache-2.0
#include "node/guard.h"

#include <errno.h>
#include <inttypes.h>
#include <linux/capability.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/caps.h"
#include "base/cleanup.h"
#include "base/log.h"
#include "base/plural.h"
#include "identity/cgsurvey.h"
#include "kernel/features.h"
#include "kernel/load.h"
#include "node/ifaces.h"
#include "node/layout.h"

#define LOAD_AGAIN "run podcred load again"

/* ---- gaps ---- */

static void add(struct guard *guard, const char *kind, bool unknown, const char *next,
		const char *fmt, va_list ap)
{
	struct node_guard_gap *gap;

	if (guard->n_gaps == GUARD_MAX_GAPS) {
		/* a gap is never lost to what could not be asked */
		guard->gaps[GUARD_MAX_GAPS - 1].unknown &= unknown;
		return;
	}
	gap = &guard->gaps[guard->n_gaps++];
	gap->kind = kind;
	gap->unknown = unknown;
	snprintf(gap->next, sizeof(gap->next), "%s", next);
	vsnprintf(gap->text, sizeof(gap->text), fmt, ap);
}

void node_guard_gap(struct guard *guard, const char *kind, const char *next, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	add(guard, kind, false, next, fmt, ap);
	va_end(ap);
}

void node_guard_unknown(struct guard *guard, const char *kind, const char *next, const char *fmt,
			...)
{
	va_list ap;

	va_start(ap, fmt);
	add(guard, kind, true, next, fmt, ap);
	va_end(ap);
}

/* ---- program: does the kernel run what was loaded? ---- */

/* What to do for this process to be told. */
static const char *takes(char *buf, size_t size)
{
	char lacking[64];

	if (*caps_lacking(CAPS_BIT(CAP_BPF) | CAPS_BIT(CAP_NET_ADMIN), lacking, sizeof(lacking)))
		snprintf(buf, size, "give it %s, or run as root", lacking);
	else
		snprintf(buf, size, "run as root, outside of a container");
	return buf;
}

static void find_programs(struct guard *guard, const char *kind)
{
	char text[128];

	for (size_t i = 0; i < guard->status.n_links; i++) {
		const struct kern_link_status *link = &guard->status.links[i];

		if (!link->expected || link->effective)
			continue;
		if (link->unknown)
			node_guard_unknown(guard, kind, takes(text, sizeof(text)),
					   "whether the kernel runs %s may not be asked",
					   link->name);
		else if (!link->pinned)
			node_guard_gap(guard, kind, LOAD_AGAIN, "%s is not attached", link->name);
		else if (!link->alive)
			node_guard_gap(guard, kind, LOAD_AGAIN,
				       "%s is dead, its cgroup was removed", link->name);
		else
			node_guard_gap(guard, kind, LOAD_AGAIN,
				       "%s is attached, but the kernel does not run it",
				       link->name);
	}
}

/* ---- kubepods: is it the one that the programs know? ---- */

static void find_kubepods(struct guard *guard, const char *kind)
{
	struct stat st;

	if (stat(guard->kubepods, &st) < 0 && errno == EACCES)
		node_guard_unknown(guard, kind, "run as root", "%s may not be looked at",
				   guard->kubepods);
	else if (stat(guard->kubepods, &st) < 0)
		node_guard_gap(guard, kind, LOAD_AGAIN, "%s is gone", guard->kubepods);
	else if (st.st_ino != guard->status.runtime[PODCRED_RUNTIME_KUBEPODS])
		node_guard_gap(guard, kind, LOAD_AGAIN,
			       "%s is not the one that was loaded: it was removed and recreated",
			       guard->kubepods);
	else
		guard->kubepods_there = true;
}

/* ---- other-load: does another set of programs run for the same pods? ---- */

static void find_other_loads(struct guard *guard, const char *kind)
{
	const struct kern_scope scope = {
		.cgroup_mount = guard->mount, .guard = guard->guarded, .agent = guard->agent};
	struct kern_others others = {};
	struct pc_err err = {};
	char text[384];

	if (kern_others_find(guard->pin_dir, &scope, &others, &err) < 0)
		node_guard_unknown(guard, kind, "run as root", "%s", err.msg);
	else if (others.programs)
		node_guard_gap(guard, kind, "podcred load --take-over, or podcred unload --others",
			       "%s: one of the two sees addresses that the other has rewritten",
			       kern_others_text(&others, text, sizeof(text)));
	else if (others.unknown)
		node_guard_unknown(guard, kind, "needs CAP_SYS_ADMIN: run as root",
				   "whose %u programs on %s or %s are may not be asked",
				   others.unknown, guard->guarded, guard->agent);
}

void node_guard_warn_unseen(unsigned unknown, const char *guarded, const char *agent)
{
	if (unknown)
		log_warn("whether another load of podcred is attached could not be seen: whose %u "
			 "programs on %s or %s are may not be asked; podcred status tells, with "
			 "CAP_SYS_ADMIN",
			 unknown, guarded, agent);
}

/* ---- outside: pods where no program of ours runs ---- */

static void say_outside(struct guard *guard, const char *kind, const struct cgsurvey *survey)
{
	const struct cgsurvey_entry *stray = NULL;
	size_t strays = 0;

	for (size_t i = 0; i < survey->n; i++) {
		const struct cgsurvey_entry *entry = &survey->v[i];

		if (entry->kind == CGSURVEY_KUBEPODS && entry->pods_populated &&
		    strcmp(entry->path, guard->kubepods) != 0)
			node_guard_gap(guard, kind, "podcred load with that --kubepods",
				       "%zu pod%s run%s in %s, which is another kubepods",
				       entry->pods_populated, plural(entry->pods_populated),
				       entry->pods_populated == 1 ? "s" : "", entry->path);
		if (entry->kind == CGSURVEY_KUBEPODS || !entry->populated || entry->kubepods >= 0)
			continue;
		stray = stray ?: entry;
		strays++;
	}
	if (stray)
		node_guard_gap(
			guard, kind,
			"give kubelet and runtime the same cgroup driver, and start the pods again",
			"%zu container%s of pods run%s outside of %s: %s", strays, plural(strays),
			strays == 1 ? "s" : "", guard->kubepods, stray->path);
}

static void find_outside(struct guard *guard, const char *kind)
{
	_cleanup_free_ char *realm = cgsurvey_realm(guard->mount, guard->kubepods);
	_cleanup_(cgsurvey_done) struct cgsurvey survey = {0};
	int r = realm ? cgsurvey_take(realm, 0, &survey) : -ENOMEM;

	if (r < 0)
		node_guard_unknown(guard, kind, "run as root, with the whole of /sys/fs/cgroup",
				   "%s cannot be searched for pods: %s", realm ?: guard->mount,
				   strerror(-r));
	else
		say_outside(guard, kind, &survey);
}

/* The resolver compares its list with the cgroups, and leaves its finding in the map. */
static void find_absent(struct guard *guard, const char *kind)
{
	uint64_t n = guard->status.runtime[PODCRED_RUNTIME_LIST_ABSENT];

	if (n && kern_resolver_is_running(&guard->status))
		node_guard_gap(
			guard, kind,
			"load with the --kubepods that has them, or see that the list is of this "
			"node and up to date",
			"none of %" PRIu64 " pods that run by the pod list has a process in %s", n,
			guard->kubepods);
}

size_t node_guard_outside(const struct cgsurvey *survey, const char *kubepods, char *ret_text,
			  size_t size)
{
	_cleanup_free_ struct guard *guard = calloc(1, sizeof(*guard));

	if (!guard)
		return 0;
	guard->kubepods = (char *)kubepods;
	say_outside(guard, "outside", survey);
	if (node_guard_count(guard, "outside"))
		snprintf(ret_text, size, "%s; %s", guard->gaps[0].text, guard->gaps[0].next);
	return node_guard_count(guard, "outside");
}

/* ---- interface: do packets pass by the programs wherever they can go? ---- */

struct interface_arg {
	struct guard *guard;
	const char *kind;
};

#define SHARED_NEXT                                                                                \
	"drop NET_RAW from the pods there that you do not trust with their neighbours' "           \
	"credentials"

/* With neither tcx nor tc there is nothing to be attached to an interface, wherever it is. */
static bool watches_interfaces(const struct guard *guard)
{
	return !kern_did_without(&guard->status, FEATURE_TCX) ||
	       !kern_did_without(&guard->status, FEATURE_TC);
}

/* Those pods are not served, rather than perhaps as another one. */
static void say_xdp(const struct interface_arg *in, const struct ifaces_gap *gap)
{
	char name[KERN_PROG_NAME];

	node_guard_gap(
		in->guard, in->kind, "run it in generic mode (xdpgeneric), or on another interface",
		"native XDP on %s (program %s, id %" PRIu32
		") hides whose packets come from the pod there: its connections to the agent "
		"are refused as packet_forged",
		gap->name, kern_prog_name(gap->xdp, name), gap->xdp);
}

static void on_interface(void *arg, const struct ifaces_gap *gap)
{
	const struct interface_arg *in = arg;

	switch (gap->kind) {
	case IFACES_XDP:
		say_xdp(in, gap);
		break;
	case IFACES_POD:
		node_guard_gap(in->guard, in->kind,
			       "start podcred resolve; its log says when it cannot attach",
			       "interface %s of a pod has no podcred_veth", gap->name);
		break;
	case IFACES_UPLINK:
		node_guard_gap(in->guard, in->kind,
			       "start podcred resolve; its log says when it cannot attach",
			       "uplink %s has no podcred_uplink", gap->name);
		break;
	case IFACES_PAST_NODE:
		node_guard_gap(
			in->guard, in->kind,
			"stop its packets behind the node, or do not give such interfaces to "
			"pods that are not trusted with the node's role",
			"packets of interface %s of pod %s never come to the node", gap->name,
			gap->pod);
		break;
	case IFACES_SHARED:
		if (!kern_did_without(&in->guard->status,
				      FEATURE_PATH)) /* else it is a loss of all */
			node_guard_gap(
				in->guard, "path", SHARED_NEXT,
				"pod %s comes to the agent by its interface %s, which has no end "
				"on "
				"the node: a neighbour there with CAP_NET_RAW can read and take "
				"over connections",
				gap->pod, gap->name);
		break;
	}
}

/* Who may not enter the networks of pods is not told of what is there: that takes privileges which the
 * resolver should not have, and its metrics must not be in doubt for that. doctor says so. */
static void find_interfaces(struct guard *guard, const char *kind)
{
	struct interface_arg arg = {guard, kind};
	struct pc_err err = {};
	int r = watches_interfaces(guard)
			? node_ifaces_find_gaps(guard->pin_dir, on_interface, &arg, &err)
			: 0;

	if (r == -EXDEV)
		node_guard_unknown(guard, kind, "run it in the node's network (hostNetwork: true)",
				   "%s", err.msg);
	else if (r < 0)
		node_guard_unknown(guard, kind, "run as root", "%s",
				   err.msg[0] ? err.msg : strerror(-r));
	node_ifaces_find_past_node(guard->pin_dir, guard->mount, on_interface, &arg, &err);
}

/* ---- path: do connections to the agent go past the bridges that pods share? ---- */

static const char *path_next(enum paths_off off)
{
	return off == PATHS_OFF_AGENT ? "give the agent an address of the node (hostNetwork: true)"
	       : off == PATHS_OFF_OLD ? LOAD_AGAIN
				      : SHARED_NEXT;
}

/* Whether they differ in nothing that is told of them. */
static bool is_same_way(const struct ways_way *a, const struct ways_way *b)
{
	return a->kind == b->kind && !strcmp(a->bridge, b->bridge) &&
	       a->gateway_ifindex == b->gateway_ifindex;
}

/* How many are the same as that one; 0: one before it is. */
static size_t count_same(const struct ways *ways, size_t at)
{
	size_t n = 0;

	for (size_t i = 0; i < ways->n; i++) {
		if (!is_same_way(&ways->v[i], &ways->v[at]))
			continue;
		if (i < at)
			return 0;
		n++;
	}
	return n;
}

/* One gap for each bridge. */
static void say_bridged(struct guard *guard, const char *kind, size_t at)
{
	const struct ways *ways = &guard->ways;
	const char *why = node_ways_off_text(ways->off);
	size_t n = count_same(ways, at);
	char more[32] = "";

	if (n > 1)
		snprintf(more, sizeof(more), " and %zu more", n - 1);
	if (n)
		node_guard_gap(
			guard, kind, path_next(ways->off),
			"the pod%s behind interface %s%s come%s to the agent across %s%s%s: a "
			"neighbour there with CAP_NET_RAW can read and take over connections",
			plural(n), ways->v[at].name, more, n == 1 ? "s" : "", ways->v[at].bridge,
			why ? ", as " : "", why ?: "");
}

/* That an interface has no podcred_veth was said already. */
static void say_lacking(struct guard *guard, const char *kind, size_t at)
{
	static const char next[] = "start podcred resolve; its log says when it cannot";
	const struct ways_way *way = &guard->ways.v[at];

	if (!kern_iface_is_attached(guard->pin_dir, KERN_IFACE_POD, way->ifindex))
		return;
	if (!way->gateway_ifindex ||
	    kern_iface_is_attached(guard->pin_dir, KERN_IFACE_GATEWAY, way->gateway_ifindex))
		node_guard_gap(
			guard, kind, next,
			"the way of interface %s of a pod to the agent is not in podcred_paths",
			way->name);
	else if (count_same(&guard->ways, at))
		node_guard_gap(guard, kind, next,
			       "%s, which the bridge %s of pods leads to, has no podcred_wayout",
			       way->gateway, way->bridge);
}

static void find_paths(struct guard *guard, const char *kind)
{
	struct pc_err err = {};
	int r = node_ways_read(guard->pin_dir, &guard->ways, &err);

	guard->ways_known = r == 0;
	if (r == -EXDEV)
		node_guard_unknown(guard, kind, "run it in the node's network (hostNetwork: true)",
				   "which connections cross a bridge cannot be seen from here");
	else if (r < 0)
		node_guard_unknown(guard, kind, "run as root", "%s",
				   err.msg[0] ? err.msg : strerror(-r));
	if (guard->ways.off == PATHS_OFF_WITHOUT) /* a loss of all, not a gap */
		return;
	for (size_t i = 0; r == 0 && i < guard->ways.n; i++) {
		if (guard->ways.v[i].kind == WAYS_BRIDGED)
			say_bridged(guard, kind, i);
		if (guard->ways.v[i].kind == WAYS_LACKING)
			say_lacking(guard, kind, i);
	}
}

/* ---- all of them ---- */

static const struct {
	const char *kind;
	void (*find)(struct guard *guard, const char *kind);
} finders[] = {
	{"program", find_programs}, {"kubepods", find_kubepods}, {"other-load", find_other_loads},
	{"outside", find_outside},  {"absent", find_absent},	 {"interface", find_interfaces},
	{"path", find_paths},
};

const char *node_guard_kind(size_t i)
{
	return i < ARRAY_SIZE(finders) ? finders[i].kind : NULL;
}

size_t node_guard_count(const struct guard *guard, const char *kind)
{
	size_t n = 0;

	for (size_t i = 0; i < guard->n_gaps; i++)
		n += !guard->gaps[i].unknown && !strcmp(guard->gaps[i].kind, kind);
	return n;
}

bool node_guard_has_unknown(const struct guard *guard, const char *kind)
{
	for (size_t i = 0; i < guard->n_gaps; i++)
		if (guard->gaps[i].unknown && !strcmp(guard->gaps[i].kind, kind))
			return true;
	return false;
}

enum node_guard_verdict node_guard_verdict(const struct guard *guard)
{
	for (size_t i = 0; i < guard->n_gaps; i++)
		if (!guard->gaps[i].unknown)
			return GUARD_INCOMPLETE;
	return guard->n_gaps ? GUARD_UNKNOWN : GUARD_COMPLETE;
}

/* ---- nothing is pinned: is anything attached all the same? ---- */

/* Another load on this kubepods, or, when none is given, on those at the top of the hierarchy. */
static int find_hidden(const struct guard_where *where, const char *mount, struct kern_others *ret,
		       struct kern_scope *ret_scope, char ret_path[4096])
{
	_cleanup_(cgsurvey_done) struct cgsurvey survey = {0};
	struct pc_err err = {};
	int r = where->kubepods ? 0 : cgsurvey_take(mount, 0, &survey);

	*ret = (struct kern_others){};
	*ret_scope = (struct kern_scope){.cgroup_mount = mount, .guard = ret_path};
	if (where->kubepods) {
		snprintf(ret_path, 4096, "%s", where->kubepods);
		return kern_others_find(where->pin_dir, ret_scope, ret, &err);
	}
	for (size_t i = 0; r == 0 && i < survey.n && !ret->programs && !ret->unknown; i++) {
		_cleanup_free_ char *realm = cgsurvey_realm(mount, survey.v[i].path);

		if (survey.v[i].kind != CGSURVEY_KUBEPODS || !realm || strcmp(realm, mount) != 0)
			continue;
		snprintf(ret_path, 4096, "%s", survey.v[i].path);
		r = kern_others_find(where->pin_dir, ret_scope, ret, &err);
	}
	return r;
}

static void explain_hidden(const struct guard_where *where, const char *mount, struct pc_err *err)
{
	char path[4096] = "", text[384];
	struct kern_others others;
	struct kern_scope scope;

	if (find_hidden(where, mount, &others, &scope, path) < 0)
		return;
	if (others.unknown)
		pc_err_set(err, -ENOENT,
			   "nothing is pinned in %s, and whose %u programs on %s are may not be "
			   "asked; it takes CAP_SYS_ADMIN",
			   where->pin_dir, others.unknown, path);
	if (!others.programs)
		return;
	pc_err_set(err, -ENOENT, "nothing is pinned in %s, but %s; %s, or podcred load --take-over",
		   where->pin_dir, kern_others_text(&others, text, sizeof(text)),
		   others.pin_dir[0] ? "use that --pin-dir"
				     : "umount what hides its pins (findmnt -t bpf)");
}

static int name_cgroup(const struct guard *guard, const char *below, char **ret)
{
	return asprintf(ret, "%s%s", guard->mount, below) < 0 ? -ENOMEM : 0;
}

int node_guard_read(const struct guard_where *where, const char *mount, struct guard *ret,
		    struct pc_err *err)
{
	const struct podcred_config *config = &ret->status.config;
	int r;

	*ret = (struct guard){.pin_dir = where->pin_dir, .mount = mount};
	r = kern_status_read(where->pin_dir, mount, &ret->status, err);
	if (r == -ENOENT)
		explain_hidden(where, mount, err);
	if (r == 0)
		r = name_cgroup(ret, config->kubepods_path, &ret->kubepods);
	if (r == 0)
		r = name_cgroup(ret, config->guard_path, &ret->guarded);
	if (r == 0)
		r = name_cgroup(ret, config->agent_path, &ret->agent);
	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(finders); i++)
		finders[i].find(ret, finders[i].kind);
	return r;
}

void node_guard_done(struct guard *guard)
{
	free(guard->kubepods);
	free(guard->guarded);
	free(guard->agent);
	node_ways_done(&guard->ways);
	guard->kubepods = guard->guarded = guard->agent = NULL;
}

/* ---- the end of it ---- */

/* What still runs for the pods that were guarded, or whose kubepods is given. */
static int find_left(const struct guard_where *where, const char *mount, const char *guarded,
		     struct kern_others *ret, struct kern_scope *ret_scope, char path[4096])
{
	const struct guard_where there = {.pin_dir = where->pin_dir,
					  .kubepods = guarded ?: where->kubepods};

	return find_hidden(&there, mount, ret, ret_scope, path);
}

int node_guard_unload(const struct guard_where *where, bool others_too, struct guard_unloaded *ret,
		      struct pc_err *err)
{
	_cleanup_free_ char *mount = NULL, *guarded = NULL;
	struct kern_others others = {};
	struct kern_scope scope;
	char path[4096] = "", text[384];
	int r;

	*ret = (struct guard_unloaded){};
	if (node_layout_find_mount(&mount, NULL) == 0)
		kern_guarded_path(where->pin_dir, mount, &guarded);
	r = kern_unload(where->pin_dir, &ret->detached, err);
	ret->unknown = !mount;
	if (r < 0 || !mount)
		return r;
	r = find_left(where, mount, guarded, &others, &scope, path);
	if (r == 0 && others.programs && others_too) {
		r = kern_others_detach(where->pin_dir, &scope, &ret->others, err);
		if (r == 0)
			r = find_left(where, mount, guarded, &others, &scope, path);
	}
	if (r < 0)
		return err->msg[0] ? r
				   : pc_err_set(err, r,
						"%u program%s detached, but what else is "
						"attached cannot be found out: %s",
						ret->detached + ret->others,
						plural(ret->detached + ret->others), strerror(-r));
	ret->unknown = others.unknown;
	if (!others.programs)
		return 0;
	return pc_err_set(
		err, -EBUSY,
		"%u program%s detached, but %s; podcred unload --others detaches them too",
		ret->detached + ret->others, plural(ret->detached + ret->others),
		kern_others_text(&others, text, sizeof(text)));
}
