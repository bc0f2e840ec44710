// SPDX-License-Identifier: Apache-2.0
#include "node/layout.h"

#include <arpa/inet.h>
#include <limits.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/addr.h"
#include "base/cleanup.h"
#include "identity/cgpath.h"
#include "identity/cgsurvey.h"
#include "identity/cgtree.h"
#include "kernel/maps.h"

#define AGENT_SLICE "podcred.slice"

/* In the order of podcred_config.qos_name and kern_options.qos_id. */
static const enum cgpath_qos qos_classes[] = {CGPATH_QOS_BURSTABLE, CGPATH_QOS_BESTEFFORT};

/* The root of cgroup2 always has inode 1; a bind mount or a namespace's root has another. */
#define CGROUP_ROOT_ID 1

static int cgroup_id(const char *path, __u64 *ret, struct pc_err *err)
{
	struct stat st;

	if (stat(path, &st) < 0)
		return pc_err_set(err, -errno, "cannot find cgroup %s: %m", path);
	*ret = st.st_ino;
	return 0;
}

int node_layout_find_mount(char **ret, struct pc_err *err)
{
	_cleanup_free_ char *mount = NULL;
	__u64 id = 0;
	int r;

	r = cgtree_find_mount(&mount, err);
	if (r < 0)
		return r;
	r = cgroup_id(mount, &id, err);
	if (r < 0)
		return r;
	if (id != CGROUP_ROOT_ID)
		return pc_err_set(err, -ENOENT,
				  "%s shows only a part of the cgroup hierarchy (a container's own "
				  "cgroup namespace); mount the host's /sys/fs/cgroup into this "
				  "container (hostPath) as well",
				  mount);
	*ret = TAKE_PTR(mount);
	return 0;
}

/* path below the mount, without it: "/kubepods/...". NULL: not below. */
static const char *below_mount(const struct layout *place, const char *path)
{
	size_t len = strlen(place->mount);

	if (!path || strncmp(path, place->mount, len) != 0 ||
	    (path[len] != '/' && path[len] != '\0'))
		return NULL;
	return path + len;
}

static int resolve_path(const struct layout *place, const char *path, const char *option,
			char **ret, struct pc_err *err)
{
	_cleanup_free_ char *real = realpath(path, NULL);

	if (!real)
		return pc_err_set(err, -errno,
				  "cannot find cgroup %s: %m; give an existing directory below %s "
				  "with %s%s",
				  path, place->mount, option,
				  strcmp(option, "--kubepods") == 0 ? ", or make it with --create"
								    : "");
	if (!below_mount(place, real))
		return pc_err_set(err, -EINVAL,
				  "%s is not below the cgroup2 mount %s; give a cgroup2 directory "
				  "with %s",
				  path, place->mount, option);
	*ret = TAKE_PTR(real);
	return 0;
}

static int make_cgroup(const char *path, struct pc_err *err)
{
	if (mkdir(path, 0755) == 0 || errno == EEXIST)
		return 0;
	return pc_err_set(err, -errno, "cannot make cgroup %s: %m; run as root", path);
}

static const char *name_of(const char *path)
{
	return strrchr(path, '/') + 1;
}

static int qos_path(const struct layout *place, enum cgpath_qos qos, char **ret)
{
	char name[CGPATH_NAME_SIZE];

	if (cgpath_qos_name(name_of(place->kubepods), qos, name) < 0)
		return -ENAMETOOLONG;
	return asprintf(ret, "%s/%s", place->kubepods, name) < 0 ? -ENOMEM : 0;
}

/* With kubepods its QoS cgroups: the kernel side must know them before the first pod comes. */
static int make_qos(const struct layout *place, struct pc_err *err)
{
	for (int i = 0; i < 2; i++) {
		_cleanup_free_ char *path = NULL;
		int r = qos_path(place, qos_classes[i], &path);

		if (r == 0)
			r = make_cgroup(path, err);
		if (r < 0)
			return r;
	}
	return 0;
}

/* The pod that a cgroup path is in: its directory, or NULL. */
static char *pod_directory(const struct layout *place, const char *path)
{
	const char *below = below_mount(place, path);
	struct cgpath_pod pod;
	char *dir;

	if (!below || cgpath_parse(below, strlen(below), &pod) != CGPATH_OK)
		return NULL;
	if (asprintf(&dir, "%s%.*s", place->mount, (int)pod.pod_len, below) < 0)
		return NULL;
	return dir;
}

static int own_cgroup(const struct layout *place, char **ret)
{
	uint64_t id;
	int r = kern_self_cgroup_id(&id);

	return r < 0 ? r : kern_cgroup_path(place->mount, id, ret);
}

/*
 * In a DaemonSet the init container and the agent share a pod: that pod is the agent's cgroup. Not
 * to know is not the same as to be in no pod: a wrong guess would attach to a cgroup with nobody
 * in it.
 */
static int own_pod(const struct layout *place, char **ret, struct pc_err *err)
{
	_cleanup_free_ char *self = NULL;
	int r = own_cgroup(place, &self);

	if (r < 0)
		return pc_err_set(err, r,
				  "cannot find out which cgroup this process is in: %s; run as "
				  "root, or with CAP_BPF and CAP_PERFMON, or give --agent-cgroup",
				  strerror(-r));
	*ret = pod_directory(place, self);
	return 0;
}

/* The kubelet of another release, or another cgroup driver, leaves an empty kubepods behind. With the
 * guard on that one nobody would be guarded, and nothing would tell. */
static int check_others(const struct layout *place, const char *kubepods, struct pc_err *err)
{
	_cleanup_free_ char *real = realpath(kubepods, NULL); /* NULL: not made yet */
	const char *path = real ?: kubepods;
	_cleanup_(cgsurvey_done) struct cgsurvey survey = {0};
	const struct cgsurvey_entry *other = NULL;

	/* what may not be looked at does not stop a load: status tells */
	if (!below_mount(place, path) || cgsurvey_around(place->mount, path, &survey) < 0)
		return 0;
	for (size_t i = 0; i < survey.n; i++) {
		const struct cgsurvey_entry *entry = &survey.v[i];

		if (entry->kind != CGSURVEY_KUBEPODS)
			continue;
		if (!strcmp(entry->path, path) && entry->pods)
			return 0;
		if (entry->pods_populated && strcmp(entry->path, path) != 0)
			other = entry;
	}
	if (!other)
		return 0;
	return pc_err_set(err, -ENOTEMPTY,
			  "%s has no pods, and %s has %zu that run; give that one with --kubepods, "
			  "or --force if the pods of this node will be in the first",
			  path, other->path, other->pods_populated);
}

static int find_kubepods(const struct layout_options *options, struct layout *place,
			 struct pc_err *err)
{
	_cleanup_free_ char *found = NULL, *own = NULL;
	int r;

	if (!options->kubepods) {
		own_cgroup(place, &own); /* not to know it is no obstacle yet */
		r = cgtree_find_kubepods(options->cgroup ?: place->mount, own, &found, err);
		return r < 0 ? r : resolve_path(place, found, "--kubepods", &place->kubepods, err);
	}
	r = options->force ? 0 : check_others(place, options->kubepods, err);
	if (r == 0 && options->create)
		r = make_cgroup(options->kubepods, err);
	if (r == 0)
		r = resolve_path(place, options->kubepods, "--kubepods", &place->kubepods, err);
	return r == 0 && options->create ? make_qos(place, err) : r;
}

static int find_guard(const struct layout_options *options, struct layout *place,
		      struct pc_err *err)
{
	size_t len;
	int r;

	r = resolve_path(place, options->cgroup ?: place->kubepods, "--cgroup", &place->guard, err);
	if (r < 0)
		return r;
	len = strlen(place->guard);
	if (strncmp(place->kubepods, place->guard, len) != 0 ||
	    (place->kubepods[len] != '/' && place->kubepods[len] != '\0'))
		return pc_err_set(
			err, -EINVAL,
			"kubepods (%s) is not below the guarded cgroup %s; pods would not "
			"be guarded: give a --cgroup above it, or none",
			place->kubepods, place->guard);
	return 0;
}

static int find_agent(const struct layout_options *options, struct layout *place,
		      struct pc_err *err)
{
	_cleanup_free_ char *slice = NULL;
	int r;

	if (options->agent_cgroup)
		return resolve_path(place, options->agent_cgroup, "--agent-cgroup",
				    &place->agent_cgroup, err);
	r = own_pod(place, &place->agent_cgroup, err);
	if (r < 0 || place->agent_cgroup)
		return r;
	if (asprintf(&slice, "%s/" AGENT_SLICE, place->mount) < 0)
		return -ENOMEM;
	r = make_cgroup(slice, err);
	return r < 0 ? r : resolve_path(place, slice, "--agent-cgroup", &place->agent_cgroup, err);
}

/* Depth below the root of the hierarchy: one per component. */
static uint32_t level_of(const struct layout *place, const char *path)
{
	uint32_t level = 0;

	for (const char *p = below_mount(place, path); p && *p; p++)
		level += *p == '/';
	return level;
}

/* How the kernel side recognises a cgroup that was removed and made again. */
static int store_path(const struct layout *place, const char *path,
		      char ret[PODCRED_CONFIG_PATH_LEN], struct pc_err *err)
{
	int n = snprintf(ret, PODCRED_CONFIG_PATH_LEN, "%s", below_mount(place, path));

	if (n >= PODCRED_CONFIG_PATH_LEN)
		return pc_err_set(err, -ENAMETOOLONG,
				  "cgroup %s: the path is longer than %d characters", path,
				  PODCRED_CONFIG_PATH_LEN - 1);
	return 0;
}

static int fill_paths(struct layout *place, struct podcred_config *config, struct pc_err *err)
{
	int r = store_path(place, place->kubepods, config->kubepods_path, err);

	if (r == 0)
		r = store_path(place, place->guard, config->guard_path, err);
	if (r == 0)
		r = store_path(place, place->agent_cgroup, config->agent_path, err);
	config->kubepods_level = level_of(place, place->kubepods);
	return r;
}

static int fill_qos(struct layout *place, int i)
{
	_cleanup_free_ char *path = NULL;
	char *name = place->loader.config.qos_name[i];
	struct stat st;
	int r = qos_path(place, qos_classes[i], &path);

	if (r < 0)
		return r;
	if (snprintf(name, PODCRED_QOS_NAME_LEN, "%s", name_of(path)) >= PODCRED_QOS_NAME_LEN)
		return -ENAMETOOLONG;
	place->loader.qos_id[i] = stat(path, &st) == 0 ? st.st_ino : 0;
	return 0;
}

static int fill_ids(struct layout *place, struct pc_err *err)
{
	_cleanup_free_ char *agent_pod = pod_directory(place, place->agent_cgroup);
	struct podcred_config *config = &place->loader.config;
	__u64 kubepods_id = 0;
	int r;

	r = cgroup_id(place->kubepods, &kubepods_id, err);
	place->loader.kubepods_id = kubepods_id;
	if (r == 0)
		r = cgroup_id(place->agent_cgroup, &config->agent_cgroup_id, err);
	for (int i = 0; r == 0 && i < 2; i++)
		r = fill_qos(place, i);
	if (r == 0 && agent_pod)
		r = cgroup_id(agent_pod, &config->agent_pod_id, err);
	return r;
}

static void add_destination(struct layout *place, const struct config_destination *dest)
{
	struct kern_options *loader = &place->loader;

	place->guards[loader->n_guards++] = (struct kern_guard){
		.prefix = dest->prefix,
		.bits = dest->bits,
		.action = (enum podcred_action)dest->action,
	};
	for (size_t i = 0; i < dest->n_ports; i++) {
		struct kern_target *target = &place->targets[loader->n_targets++];

		target->addr = dest->prefix;
		target->addr.port = dest->ports[i].port;
		target->protocol = dest->ports[i].protocol;
		target->action = (enum podcred_action)dest->ports[i].action;
	}
}

/* The agent's own address is guarded too: dialling it directly is stamped, other ports pass. */
static void add_agent(struct layout *place, const struct net_addr *agent,
		      struct podcred_endpoint *endpoint)
{
	struct kern_options *loader = &place->loader;

	if (!agent->port)
		return;
	memcpy(endpoint->addr.ip, agent->ip, sizeof(endpoint->addr.ip));
	endpoint->port = htons(agent->port);
	place->guards[loader->n_guards++] =
		(struct kern_guard){.prefix = *agent, .bits = 128, .action = PODCRED_ACTION_ALLOW};
	place->targets[loader->n_targets++] = (struct kern_target){
		.addr = *agent, .protocol = IPPROTO_TCP, .action = PODCRED_ACTION_STAMP};
}

_Static_assert(ARRAY_SIZE(((struct layout *)NULL)->guards) <= PODCRED_GUARD_MAX &&
		       ARRAY_SIZE(((struct layout *)NULL)->targets) <= PODCRED_TARGETS_MAX,
	       "whatever can be configured fits into the maps");

/* The agent's own address has its rule already; a second one would be lost without a word. */
static int check_destinations(const struct config *config, struct pc_err *err)
{
	for (size_t i = 0; i < config->n_destinations; i++) {
		const struct config_destination *dest = &config->destinations[i];
		char text[NET_ADDR_TEXT];

		if (dest->bits != 128 || (memcmp(dest->prefix.ip, config->agent_v4.ip, 16) != 0 &&
					  memcmp(dest->prefix.ip, config->agent_v6.ip, 16) != 0))
			continue;
		return pc_err_set(err, -EINVAL,
				  "destination %s is the agent's own address; remove it from the "
				  "configuration, or give the agent another",
				  net_addr_format(dest->prefix.ip, 0, text, sizeof(text)));
	}
	return 0;
}

static void fill_loader(const struct layout_options *options, struct layout *place)
{
	struct kern_options *loader = &place->loader;

	loader->pin_dir = options->pin_dir;
	loader->cgroup_mount = place->mount;
	loader->take_over = options->take_over;
	loader->guard_cgroup = place->guard;
	loader->agent_cgroup = place->agent_cgroup;
	loader->guards = place->guards;
	loader->targets = place->targets;
	loader->config.max_flows_per_pod = options->config->max_pending_per_pod;
	loader->config.audit = options->config->audit;
	loader->config.fail_open = options->config->fail_open;
	for (size_t i = 0; i < options->config->n_destinations; i++)
		add_destination(place, &options->config->destinations[i]);
	add_agent(place, &options->config->agent_v4, &loader->config.agent[0]);
	add_agent(place, &options->config->agent_v6, &loader->config.agent[1]);
}

int node_layout_find(const struct layout_options *options, struct layout *ret, struct pc_err *err)
{
	int r;

	*ret = (struct layout){};
	if (!options->config->agent_v4.port && !options->config->agent_v6.port)
		return pc_err_set(err, -EINVAL,
				  "no agent address: pods cannot be redirected; give --agent "
				  "ADDRESS:PORT, or \"agent:\" in the configuration");
	r = check_destinations(options->config, err);
	if (r == 0)
		r = node_layout_find_mount(&ret->mount, err);
	if (r == 0)
		r = find_kubepods(options, ret, err);
	if (r == 0)
		r = find_guard(options, ret, err);
	if (r == 0)
		r = find_agent(options, ret, err);
	if (r == 0)
		r = fill_paths(ret, &ret->loader.config, err);
	if (r == 0)
		r = fill_ids(ret, err);
	if (r == 0)
		fill_loader(options, ret);
	return r;
}

int node_layout_find_kubepods(const struct layout_options *options, char **ret, struct pc_err *err)
{
	struct layout_options look = *options;
	struct layout place = {};
	int r = node_layout_find_mount(&place.mount, err);

	look.create = false;
	if (r == 0 && place.mount)
		r = find_kubepods(&look, &place, err);
	if (r == 0)
		*ret = TAKE_PTR(place.kubepods);
	node_layout_done(&place);
	return r;
}

void node_layout_done(struct layout *place)
{
	free(place->mount);
	free(place->guard);
	free(place->kubepods);
	free(place->agent_cgroup);
	*place = (struct layout){};
}
