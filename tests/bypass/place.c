// SPDX-License-Identifier: Apache-2.0
/* Cgroups and namespaces that the caller makes, or moves to. */
#include <pthread.h>
#include <sched.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "bypass.h"

static int connect4(struct row *row)
{
	return tcp_to(row, IMDS4, 80, false);
}

static int moved_to(struct row *row, const char *name)
{
	join_cgroup(setting(name));
	return connect4(row);
}

static int outside(struct row *row)
{
	return moved_to(row, "BYPASS_HOST_CGROUP");
}

static int kubepods(struct row *row)
{
	return moved_to(row, "BYPASS_KUBEPODS");
}

static int qos(struct row *row)
{
	return moved_to(row, "BYPASS_QOS_CGROUP");
}

static int directory(char *ret, size_t size, const char *name)
{
	snprintf(ret, size, "%s/%s", setting("BYPASS_POD_CGROUP"), name);
	return mkdir(ret, 0755) < 0 && errno != EEXIST ? -errno : 0;
}

static int nested(struct row *row)
{
	char path[1024];
	int r = directory(path, sizeof(path), "nested");

	if (r == 0)
		r = directory(path, sizeof(path), "nested/deeper");
	if (r < 0)
		return r;
	join_cgroup(path);
	return connect4(row);
}

/* The look of a pod's cgroup, inside a pod. */
static int look_alike(struct row *row)
{
	char path[1024];
	int r = directory(path, sizeof(path), "kubepods");

	if (r == 0)
		r = directory(path, sizeof(path),
			      "kubepods/pod00000000-0000-4000-8000-000000000000");
	if (r < 0)
		return r;
	join_cgroup(path);
	return connect4(row);
}

static int made_again(struct row *row)
{
	char path[1024];
	int r = directory(path, sizeof(path), "again");

	if (r == 0)
		r = negative(rmdir(path));
	if (r == 0)
		r = directory(path, sizeof(path), "again");
	if (r < 0)
		return r;
	join_cgroup(path);
	return connect4(row);
}

static void *in_threaded(void *arg)
{
	struct row *row = arg;
	char path[1024], tid[32];

	snprintf(path, sizeof(path), "%s/domain/thread/cgroup.threads",
		 setting("BYPASS_POD_CGROUP"));
	snprintf(tid, sizeof(tid), "%ld", syscall(SYS_gettid));
	row->fd = write_file(path, tid);
	if (row->fd == 0)
		row->fd = connect4(row);
	return NULL;
}

static int threaded(struct row *row)
{
	char path[1024], type[1100];
	pthread_t t;
	int r = directory(path, sizeof(path), "domain");

	if (r < 0)
		return r;
	join_cgroup(path);
	r = directory(path, sizeof(path), "domain/thread");
	snprintf(type, sizeof(type), "%s/cgroup.type", path);
	if (r == 0)
		r = write_file(type, "threaded");
	if (r < 0 || pthread_create(&t, NULL, in_threaded, row) != 0)
		return r < 0 ? r : -EAGAIN;
	pthread_join(t, NULL);
	return row->fd;
}

static int unshared(struct row *row, int flags, bool socket_first)
{
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	if (unshare(flags) < 0)
		return -errno;
	if (!socket_first)
		fd = socket(AF_INET, SOCK_STREAM, 0);
	return dial_and_hear(row, fd, IMDS4, 80, false);
}

static int cgroup_namespace(struct row *row)
{
	return unshared(row, CLONE_NEWCGROUP, false);
}

static int user_namespace(struct row *row)
{
	return unshared(row, CLONE_NEWUSER, false);
}

static int net_namespace(struct row *row)
{
	return unshared(row, CLONE_NEWUSER | CLONE_NEWNET, false);
}

static int before_net_namespace(struct row *row)
{
	return unshared(row, CLONE_NEWUSER | CLONE_NEWNET, true);
}

/* A socket of the pod's namespace, kept by a process that is in the node's. */
static int in_nodes_namespace(struct row *row)
{
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	join_netns(setting("BYPASS_NODE_NETNS"));
	return dial_and_hear(row, fd, IMDS4, 80, false);
}

const struct vector place_vectors[] = {
	{"moves itself outside, then connects", outside, .answers = true, .needs = NEEDS_PACKETS},
	{"in the kubepods cgroup itself", kubepods, .want = "EACCES", .answers = true},
	{"in a QoS cgroup", qos, .want = "EACCES", .answers = true},
	{"cgroup below the container's", nested, .want = "A", .answers = true},
	{"cgroup that looks like another pod's", look_alike, .want = "A", .answers = true},
	{"container's cgroup made again", made_again, .want = "A", .answers = true},
	{"thread in a threaded cgroup", threaded, .want = "A", .answers = true},
	{"new cgroup namespace", cgroup_namespace, .want = "A", .answers = true},
	{"new user namespace", user_namespace, .want = "A", .answers = true},
	{"new user and network namespace", net_namespace, .without = "ENETUNREACH"},
	{"socket older than the network namespace", before_net_namespace, .want = "A",
	 .answers = true},
	{"socket of the pod's network, process in the node's", in_nodes_namespace, .want = "A",
	 .answers = true},
	{0},
};
