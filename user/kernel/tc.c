// SPDX-License-Identifier: Apache-2.0
/*
 * Classic tc filters (clsact and cls_bpf, Linux 4.5) for kernels without tcx. They have neither
 * link nor pin: ours is recognized by its handle, and by the name of its program. The clsact qdisc
 * may be anybody's, so it stays when our filter is removed.
 */
#include "kernel/internal.h"

#include <net/if.h>
#include <pthread.h>
#include <sched.h>
#include <string.h>

#include "base/cleanup.h"
#include "kernel/insn.h"

#define PRIORITY 1 /* before all others, and of those that are 1 too the newest is first */
#define LOOPBACK 1

/* By this macro, as libbpf refuses options with anything in their padding. */
#define HOOK(name, index, place)                                                                   \
	LIBBPF_OPTS(bpf_tc_hook, name, .ifindex = (index),                                         \
		    .attach_point = (place)->egress ? BPF_TC_EGRESS : BPF_TC_INGRESS)
#define OUR_PLACE(name, place)                                                                     \
	LIBBPF_OPTS(bpf_tc_opts, name, .handle = (place)->handle, .priority = PRIORITY)

/* Id of the program at our place; 0: nothing is there, or not even the interface. */
static uint32_t query(int ifindex, const struct tc_place *place)
{
	HOOK(hook, ifindex, place);
	OUR_PLACE(opts, place);

	return bpf_tc_query(&hook, &opts) < 0 ? 0 : opts.prog_id;
}

/* Who may not ask for the program (that takes CAP_SYS_ADMIN) has to believe the handle. */
static bool is_ours(uint32_t id, const char *prog)
{
	_cleanup_close_ int fd = bpf_prog_get_fd_by_id(id);
	struct bpf_prog_info info = {};
	uint32_t len = sizeof(info);

	if (fd < 0)
		return errno == EPERM;
	return bpf_obj_get_info_by_fd(fd, &info, &len) == 0 && !strcmp(info.name, prog);
}

/* An ingress qdisc where clsact should be takes a filter for egress, and runs it at ingress. */
static bool is_misplaced(int ifindex, const struct tc_place *place, uint32_t id)
{
	const struct tc_place other = {.handle = place->handle};

	return place->egress && query(ifindex, &other) == id;
}

static int detach(int ifindex, const struct tc_place *place)
{
	HOOK(hook, ifindex, place);
	OUR_PLACE(opts, place);

	return bpf_tc_detach(&hook, &opts);
}

static int attach(int prog_fd, int ifindex, const struct tc_place *place, bool replace)
{
	HOOK(hook, ifindex, place);
	OUR_PLACE(opts, place);
	int r;

	r = bpf_tc_hook_create(&hook);
	if (r < 0 && r != -EEXIST)
		return r;
	opts.prog_fd = prog_fd;
	opts.flags = replace ? BPF_TC_F_REPLACE : 0;
	return bpf_tc_attach(&hook, &opts);
}

int kern_tc_attach(int prog_fd, const char *prog, int ifindex, const struct tc_place *place,
		   struct pc_err *err)
{
	uint32_t id = kern_prog_id_of(prog_fd), old = query(ifindex, place);
	int r;

	if (old && old == id)
		return 0;
	if (old && !is_ours(old, prog))
		return pc_err_set(err, -EBUSY,
				  "cannot attach %s to interface %d: a tc filter of somebody else "
				  "has handle %#x at priority %d; delete it",
				  prog, ifindex, place->handle, PRIORITY);
	r = attach(prog_fd, ifindex, place, old);
	/* A load and the resolver may see an interface at the same time. */
	if (r == -EEXIST && !old) {
		old = query(ifindex, place);
		r = old && is_ours(old, prog) ? attach(prog_fd, ifindex, place, true) : r;
	}
	if (r < 0)
		return pc_err_set(
			err, r,
			"cannot attach %s to interface %d: tc: %s; somebody else's filter "
			"of another kind may have priority %d there: tc filter show dev",
			prog, ifindex, strerror(-r), PRIORITY);
	if (!is_misplaced(ifindex, place, id))
		return !old;
	detach(ifindex, place);
	return pc_err_set(err, -EBUSY,
			  "cannot attach %s to interface %d: it has an ingress qdisc, which leaves "
			  "no room for clsact; replace that",
			  prog, ifindex);
}

bool kern_tc_is_attached(int ifindex, const struct tc_place *place, const char *prog)
{
	uint32_t id = query(ifindex, place);

	return id && is_ours(id, prog);
}

void kern_tc_detach(int ifindex, const struct tc_place *place, const char *prog)
{
	if (kern_tc_is_attached(ifindex, place, prog))
		detach(ifindex, place);
}

unsigned kern_tc_each(const struct tc_place *place, bool (*pick)(void *arg, uint32_t prog_id),
		      void *arg, bool remove)
{
	struct if_nameindex *list = if_nameindex();
	unsigned n = 0;

	for (size_t i = 0; list && list[i].if_index; i++) {
		int ifindex = (int)list[i].if_index;
		uint32_t id = query(ifindex, place);

		n += id && pick(arg, id) && (!remove || detach(ifindex, place) == 0);
	}
	if_freenameindex(list);
	return n;
}

static bool has_name(void *arg, uint32_t prog_id)
{
	return is_ours(prog_id, arg);
}

unsigned kern_tc_count(const struct tc_place *place, const char *prog)
{
	return kern_tc_each(place, has_name, (char *)prog, false);
}

unsigned kern_tc_detach_all(const struct tc_place *place, const char *prog)
{
	return kern_tc_each(place, has_name, (char *)prog, true);
}

/* ---- probe ---- */

struct probe {
	int prog_fd, r;
};

/* On the loopback interface of a network namespace that ends with this thread. */
static void *try_attach(void *arg)
{
	const struct tc_place place = {.handle = 1};
	struct probe *probe = arg;

	if (unshare(CLONE_NEWNET) < 0)
		/* may not try: attaching takes less, and will tell */
		probe->r = errno == EPERM ? 0 : -errno;
	else
		probe->r = attach(probe->prog_fd, LOOPBACK, &place, false);
	return NULL;
}

int kern_tc_try(void)
{
	const struct bpf_insn insns[] = {MOV_IMM(BPF_REG_0, 0), EXIT()};
	_cleanup_close_ int prog = bpf_prog_load(BPF_PROG_TYPE_SCHED_CLS, "podcred_probe", "GPL",
						 insns, ARRAY_SIZE(insns), NULL);
	struct probe probe = {.prog_fd = prog};
	pthread_t thread;
	int r;

	if (prog < 0)
		return prog;
	r = pthread_create(&thread, NULL, try_attach, &probe);
	if (r)
		return -r;
	pthread_join(thread, NULL);
	return probe.r;
}
