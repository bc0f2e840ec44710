// SPDX-License-Identifier: Apache-2.0
#include "doctor/facts.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/addr.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/parse.h"
#include "identity/cgpath.h"
#include "identity/cgsurvey.h"
#include "kernel/features.h"
#include "kernel/maps.h"
#include "node/layout.h"
#include "node/source.h"

#define QUOTA_SIZE 8192 /* of podcred_quota and podcred_pass_quota, in bpf/lib/maps.bpf.h */

int doctor_facts_open(const char *pin_dir, struct facts_source *ret, struct pc_err *err)
{
	int r;

	*ret = (struct facts_source){.pin_dir = pin_dir,
				     .guard_fd = -EBADF,
				     .targets_fd = -EBADF,
				     .pods_fd = -EBADF,
				     .quota_fd = -EBADF,
				     .pass_quota_fd = -EBADF};
	r = node_layout_find_mount(&ret->mount, err);
	if (r == 0)
		r = kern_status_read(pin_dir, ret->mount, &ret->status, err);
	if (r < 0)
		return r;
	ret->guard_fd = kern_map_open(pin_dir, KERN_MAP_GUARD, err);
	ret->targets_fd = kern_map_open(pin_dir, KERN_MAP_TARGETS, err);
	ret->pods_fd = kern_map_open(pin_dir, KERN_MAP_PODS, err);
	ret->quota_fd = kern_map_open(pin_dir, KERN_MAP_QUOTA, err);
	ret->pass_quota_fd = kern_map_open(pin_dir, KERN_MAP_PASS_QUOTA, err);
	if (ret->guard_fd < 0 || ret->targets_fd < 0 || ret->pods_fd < 0 || ret->quota_fd < 0 ||
	    ret->pass_quota_fd < 0)
		return -EIO; /* err has the last one's line */
	ret->set_retval = !kern_did_without(&ret->status, FEATURE_SET_RETVAL);
	return 0;
}

void doctor_facts_close(struct facts_source *source)
{
	cleanup_close(&source->guard_fd);
	cleanup_close(&source->targets_fd);
	cleanup_close(&source->pods_fd);
	cleanup_close(&source->quota_fd);
	cleanup_close(&source->pass_quota_fd);
	free(source->mount);
	source->mount = NULL;
}

/* ---- which pod ---- */

struct search {
	const char *text;
	struct podcred_pod *ret;
	bool found;
	size_t n, listed;
	char known[512];
};

static void pod_label(const struct podcred_pod *pod, char *buf, size_t size)
{
	if (pod->flags & PODCRED_POD_NAMED)
		snprintf(buf, size, "%s/%s", pod->name_space, pod->name);
	else
		snprintf(buf, size, "%s", pod->uid);
}

static int compare_pod(void *arg, const void *key, const void *value)
{
	const struct podcred_pod *pod = value;
	struct search *search = arg;
	size_t used = strlen(search->known);
	char label[PODCRED_NAMESPACE_LEN + PODCRED_NAME_LEN + 1];

	(void)key;
	pod_label(pod, label, sizeof(label));
	if (!strcmp(label, search->text) || !strcmp(pod->uid, search->text)) {
		*search->ret = *pod;
		search->found = true;
		return 1;
	}
	search->n++;
	if (used + strlen(label) + 3 < sizeof(search->known)) {
		snprintf(search->known + used, sizeof(search->known) - used, "%s%s",
			 used ? ", " : "", label);
		search->listed++;
	}
	return 0;
}

/* Any cgroup of a pod leads to the pod: the id that a log line has may be a container's. */
static int pod_of_cgroup(const struct facts_source *source, uint64_t id, uint64_t *ret)
{
	_cleanup_free_ char *path = NULL, *dir = NULL;
	struct cgpath_pod pod;
	const char *below;
	struct stat st;
	int r = kern_cgroup_path(source->mount, id, &path);

	if (r < 0)
		return r;
	below = path + strlen(source->mount);
	if (cgpath_parse(below, strlen(below), &pod) != CGPATH_OK)
		return -ENOENT;
	if (asprintf(&dir, "%s%.*s", source->mount, (int)pod.pod_len, below) < 0)
		return -ENOMEM;
	if (stat(dir, &st) < 0)
		return -errno;
	*ret = st.st_ino;
	return 0;
}

static int find_by_id(const struct facts_source *source, uint64_t id, struct podcred_pod *ret,
		      struct pc_err *err)
{
	uint64_t pod_id = id;

	if (kern_pod_read(source->pods_fd, id, ret) == 0)
		return 0;
	if (pod_of_cgroup(source, id, &pod_id) < 0)
		return pc_err_set(err, -ENOENT,
				  "cgroup %" PRIu64 " is not a pod's; podcred pods lists them", id);
	if (kern_pod_read(source->pods_fd, pod_id, ret) < 0)
		*ret = (struct podcred_pod){.cgroup_id = pod_id};
	return 0;
}

int doctor_facts_find_pod(const struct facts_source *source, const char *text,
			  struct podcred_pod *ret, struct pc_err *err)
{
	struct search search = {.text = text, .ret = ret};
	char more[48] = "";
	uint64_t id;

	kern_map_each(source->pods_fd, sizeof(uint64_t), sizeof(struct podcred_pod), compare_pod,
		      &search);
	if (search.found)
		return 0;
	if (parse_u64(text, UINT64_MAX, &id) == 0)
		return find_by_id(source, id, ret, err);
	if (!search.n)
		return pc_err_set(err, -ENOENT,
				  "no pod \"%s\": no pod is known at all; is podcred resolve "
				  "running?",
				  text);
	if (search.n > search.listed)
		snprintf(more, sizeof(more), " and %zu more", search.n - search.listed);
	return pc_err_set(err, -ENOENT, "no pod \"%.80s\"%s; known: %s%s", text,
			  node_source_is_current(&source->status)
				  ? ""
				  : ", and what exists is not known now (podcred status)",
			  search.known, more);
}

char *doctor_facts_outside(const struct facts_source *source, const struct podcred_pod *pod)
{
	_cleanup_free_ char *kubepods = NULL;
	_cleanup_(cgsurvey_done) struct cgsurvey survey = {0};

	if (asprintf(&kubepods, "%s%s", source->mount, source->status.config.kubepods_path) < 0)
		return NULL;
	if (cgsurvey_around(source->mount, kubepods, &survey) < 0)
		return NULL;
	for (size_t i = 0; i < survey.n; i++) {
		const struct cgsurvey_entry *entry = &survey.v[i];

		if (entry->kind == CGSURVEY_POD && entry->populated &&
		    !strcmp(entry->uid, pod->uid) &&
		    (entry->kubepods < 0 || strcmp(survey.v[entry->kubepods].path, kubepods) != 0))
			return strdup(entry->path);
	}
	return NULL;
}

int doctor_facts_way(const struct facts_source *source, const struct podcred_pod *pod,
		     const struct podcred_endpoint *agent, struct ways_way *ret)
{
	_cleanup_(node_ways_done) struct ways ways = {};
	_cleanup_free_ char *cgroup = NULL;
	struct pc_err err = {};
	int r = kern_cgroup_path(source->mount, pod->cgroup_id, &cgroup);

	if (r == 0)
		r = node_ways_read(source->pin_dir, &ways, &err);
	return r < 0 ? r : node_ways_of_pod(&ways, cgroup, agent->addr.ip, ret);
}

/* ---- facts ---- */

static bool effective(const struct facts_source *source, const char *program)
{
	for (size_t i = 0; i < source->status.n_links; i++)
		if (!strcmp(source->status.links[i].name, program))
			return source->status.links[i].effective;
	return false;
}

static int count_entry(void *arg, const void *key, const void *value)
{
	(void)key;
	(void)value;
	++*(size_t *)arg;
	return 0;
}

static bool is_full(int quota_fd, size_t value_size)
{
	size_t n = 0;

	kern_map_each(quota_fd, sizeof(uint64_t), value_size, count_entry, &n);
	return n >= QUOTA_SIZE;
}

static void fill_quota(const struct facts_source *source, struct explain_facts *ret)
{
	struct podcred_pass_quota open = {};
	struct podcred_quota quota = {};

	if (kern_map_lookup(source->quota_fd, &ret->pod, &quota) == 0)
		ret->pending = quota.pending;
	else
		ret->quota_full = is_full(source->quota_fd, sizeof(quota));
	if (kern_map_lookup(source->pass_quota_fd, &ret->pod, &open) == 0)
		ret->open = open.open;
	else
		ret->pass_quota_full = is_full(source->pass_quota_fd, sizeof(open));
}

static int action_of(int fd, const void *key)
{
	struct podcred_action_value value;

	return kern_map_lookup(fd, key, &value) == 0 ? value.action : EXPLAIN_NONE;
}

void doctor_facts_fill(const struct facts_source *source, const struct podcred_pod *pod,
		       const struct podcred_target_key *dest, struct explain_facts *ret)
{
	struct podcred_guard_key guard = {.prefixlen = 128, .addr = dest->addr};
	bool v4 = net_addr_is_v4(dest->addr.ip);

	*ret = (struct explain_facts){
		.config = &source->status.config,
		.dest = *dest,
		.guard = action_of(source->guard_fd, &guard),
		.target = action_of(source->targets_fd, dest),
		.pod = pod->cgroup_id,
		.pod_flags = pod->flags,
		.policy_line = pod->policy_line,
		.now_ns = clock_boot_ns(),
		.lease_ns = source->status.runtime[PODCRED_RUNTIME_LEASE],
		.set_retval = source->set_retval,
		.connect = effective(source, v4 ? "podcred_conn4" : "podcred_conn6"),
		.sendmsg = effective(source, v4 ? "podcred_smsg4" : "podcred_smsg6"),
		.announce = effective(source, "podcred_sockops"),
		.claim = effective(source, "podcred_claim"),
		.egress = effective(source, "podcred_egress"),
		.postrouting = effective(source, v4 ? "podcred_post4" : "podcred_post6"),
	};
	fill_quota(source, ret);
}

struct redirected {
	struct podcred_target_key *to;
	size_t n, max;
};

static int add_redirected(void *arg, const void *key, const void *value)
{
	const struct podcred_action_value *action = value;
	struct redirected *list = arg;

	if (action->action == PODCRED_ACTION_REDIRECT && list->n < list->max)
		list->to[list->n++] = *(const struct podcred_target_key *)key;
	return 0;
}

/* IPv4 first, then by address and port: the map has no order. */
static int compare_target(const void *a, const void *b)
{
	const struct podcred_target_key *left = a, *right = b;
	bool v4 = net_addr_is_v4(left->addr.ip);

	if (v4 != net_addr_is_v4(right->addr.ip))
		return v4 ? -1 : 1;
	return memcmp(left, right, sizeof(*left));
}

size_t doctor_facts_redirected(const struct facts_source *source, struct podcred_target_key *ret,
			       size_t max)
{
	struct redirected list = {.to = ret, .max = max};

	kern_map_each(source->targets_fd, sizeof(*ret), sizeof(struct podcred_action_value),
		      add_redirected, &list);
	qsort(ret, list.n, sizeof(*ret), compare_target);
	return list.n;
}
