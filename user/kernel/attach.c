// SPDX-License-Identifier: Apache-2.0
/*
 * Attaching, in two steps so that it can be undone. Stage: a live link of an earlier load on the
 * right cgroup is updated in place (no gap); anything else gets a new link under a temporary pin.
 * Commit: the temporary pins take the final names. A failure while staging undoes all of it.
 */
#include "kernel/internal.h"

#include <fcntl.h>
#include <linux/netfilter.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"

/* In the order of attaching: the agent's side first and connect last, so that nothing is redirected
 * before it can be claimed; the backstop behind that, as it drops what connect has not seen. */
const struct attachment kern_attachments[] = {
	{"podcred_claim", "sockops", SITE_AGENT, BPF_CGROUP_SOCK_OPS, FEATURE_SOCKOPS},
	{"podcred_getsock", "cgroup/getsockopt", SITE_AGENT, BPF_CGROUP_GETSOCKOPT,
	 FEATURE_GETSOCKOPT},
	{"podcred_sockops", "sockops", SITE_GUARD, BPF_CGROUP_SOCK_OPS, FEATURE_SOCKOPS},
	{"podcred_ingress", "cgroup_skb/ingress", SITE_GUARD, BPF_CGROUP_INET_INGRESS,
	 FEATURE_CGROUP_INGRESS},
	{"podcred_peern4", "cgroup/getpeername4", SITE_GUARD, BPF_CGROUP_INET4_GETPEERNAME,
	 FEATURE_GETPEERNAME},
	{"podcred_peern6", "cgroup/getpeername6", SITE_GUARD, BPF_CGROUP_INET6_GETPEERNAME,
	 FEATURE_GETPEERNAME},
	{"podcred_smsg4", "cgroup/sendmsg4", SITE_GUARD, BPF_CGROUP_UDP4_SENDMSG, FEATURE_SENDMSG},
	{"podcred_smsg6", "cgroup/sendmsg6", SITE_GUARD, BPF_CGROUP_UDP6_SENDMSG, FEATURE_SENDMSG},
	{"podcred_conn4", "cgroup/connect4", SITE_GUARD, BPF_CGROUP_INET4_CONNECT,
	 FEATURE_CONNECT4},
	{"podcred_conn6", "cgroup/connect6", SITE_GUARD, BPF_CGROUP_INET6_CONNECT,
	 FEATURE_CONNECT6},
	{"podcred_egress", "cgroup_skb/egress", SITE_GUARD, BPF_CGROUP_INET_EGRESS,
	 FEATURE_CGROUP_EGRESS},
	{"podcred_post4", "netfilter/postrouting4", SITE_NETNS, NFPROTO_IPV4,
	 FEATURE_NETFILTER_LINK},
	{"podcred_post6", "netfilter/postrouting6", SITE_NETNS, NFPROTO_IPV6,
	 FEATURE_NETFILTER_LINK},
	{"podcred_veth", "tcx/ingress", SITE_IFACE, KERN_IFACE_POD, FEATURE_TCX},
	{"podcred_uplink", "tcx/egress", SITE_IFACE, KERN_IFACE_UPLINK, FEATURE_TCX},
	{"podcred_wayout", "tcx/egress", SITE_IFACE, KERN_IFACE_GATEWAY, FEATURE_TCX},
	{"podcred_cgmkdir", "tp_btf/cgroup_mkdir", SITE_TRACE, BPF_TRACE_RAW_TP,
	 FEATURE_CGROUP_TRACING},
	{"podcred_cgrmdir", "tp_btf/cgroup_rmdir", SITE_TRACE, BPF_TRACE_RAW_TP,
	 FEATURE_CGROUP_TRACING},
};
const size_t kern_n_attachments = ARRAY_SIZE(kern_attachments);

_Static_assert(ARRAY_SIZE(kern_attachments) <= KERN_MAX_LINKS, "kern_status has room");

#define TEMP_SUFFIX "_new" /* bpffs refuses names with a dot */

/* What was done for one attachment, and so what to undo. */
struct step {
	int link_fd; /* updated link, or the new one */
	int old_prog_fd; /* >= 0: the link was updated from this program */
	bool new_link; /* pinned under its temporary name */
	bool replaces; /* a link of an earlier load, of a kind that cannot be updated */
	bool new_prog;
	bool was_before; /* link_fd is pinned as that of the agent before: its agent is back */
	struct kern_before before; /* of the other agent: kept, with the new program */
	int before_old_prog_fd;
};

static void cleanup_steps(struct step (*steps)[])
{
	for (size_t i = 0; i < kern_n_attachments; i++) {
		cleanup_close(&(*steps)[i].link_fd);
		cleanup_close(&(*steps)[i].old_prog_fd);
		cleanup_close(&(*steps)[i].before.link_fd);
		cleanup_close(&(*steps)[i].before_old_prog_fd);
	}
}

static void temp_path(char *buf, size_t size, const char *pin_dir, const char *kind,
		      const char *name)
{
	char temp[64];

	snprintf(temp, sizeof(temp), "%s" TEMP_SUFFIX, name);
	kern_pin_path(buf, size, pin_dir, kind, temp);
}

bool kern_is_cgroup_site(enum site site)
{
	return site == SITE_GUARD || site == SITE_AGENT;
}

bool kern_attachment_wanted(const struct attachment *att)
{
	return kern_feature_is_required(att->feature) || kern_feature_present(att->feature) ||
	       (att->site == SITE_IFACE && kern_feature_present(FEATURE_TC));
}

static int open_site(const struct kern_options *options, enum site site, uint64_t *ret_id,
		     struct pc_err *err)
{
	const char *path = site == SITE_GUARD ? options->guard_cgroup : options->agent_cgroup;
	_cleanup_close_ int fd = -EBADF;
	struct stat st;
	int r;

	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) < 0) {
		r = -errno;
		return pc_err_set(err, r, "cannot open cgroup %s: %s", path, strerror(-r));
	}
	*ret_id = st.st_ino;
	return TAKE_FD(fd);
}

int kern_find_live_link(const char *path, const struct attachment *att, uint64_t cgroup_id,
			uint32_t *ret_prog_id)
{
	_cleanup_close_ int fd = bpf_obj_get(path);
	struct bpf_link_info info = {};
	uint32_t len = sizeof(info);

	if (fd < 0 || bpf_obj_get_info_by_fd(fd, &info, &len) < 0)
		return -ENOENT;
	if (info.type != BPF_LINK_TYPE_CGROUP || info.cgroup.cgroup_id != cgroup_id ||
	    info.cgroup.attach_type != (uint32_t)att->type)
		return -ENOENT;
	*ret_prog_id = info.prog_id;
	return TAKE_FD(fd);
}

static int attach_error(int r, const struct kern_options *options, const struct attachment *att,
			struct pc_err *err)
{
	const char *where = att->site == SITE_GUARD   ? options->guard_cgroup
			    : att->site == SITE_AGENT ? options->agent_cgroup
			    : att->site == SITE_NETNS ? "this network namespace"
						      : "the kernel";
	const char *next = "podcred features tells what this kernel lacks";

	if (r == -EBUSY && att->site == SITE_NETNS)
		next = "other programs hold all the priorities that podcred uses, or another "
		       "podcred is loaded there with another pin directory";
	else if (r == -EPERM && kern_is_cgroup_site(att->site))
		next = "a program attached there or above without the multi flag shuts others out "
		       "(bpftool cgroup tree), or this process lacks CAP_NET_ADMIN";
	return pc_err_set(err, r, "cannot attach %s (%s) to %s: %s; %s", att->name, att->hook,
			  where, strerror(-r), next);
}

static int new_link(const struct attachment *att, int prog_fd, int cgroup_fd)
{
	int fd;

	if (att->site == SITE_TRACE)
		fd = bpf_raw_tracepoint_open(NULL, prog_fd);
	else if (att->site == SITE_NETNS)
		return kern_netfilter_link_create(prog_fd, att->type);
	else
		fd = bpf_link_create(prog_fd, cgroup_fd, (enum bpf_attach_type)att->type, NULL);
	return fd < 0 ? -errno : fd;
}

/* The program to go back to. By its pin, for by id takes CAP_SYS_ADMIN; -errno: neither way. */
static int open_old_prog(const struct kern_options *options, const struct attachment *att,
			 uint32_t id)
{
	_cleanup_close_ int fd = -EBADF;
	struct bpf_prog_info info = {};
	uint32_t len = sizeof(info);
	char path[4096];

	if (kern_pin_path(path, sizeof(path), options->pin_dir, PROGS_DIR, att->name) == 0)
		fd = bpf_obj_get(path);
	if (fd >= 0 && bpf_obj_get_info_by_fd(fd, &info, &len) == 0 && info.id == id)
		return TAKE_FD(fd);
	return bpf_prog_get_fd_by_id(id);
}

/* The live link of an earlier load there. An agent's may be the one before, who is back. */
static int find_link(const struct kern_options *options, const struct attachment *att,
		     uint64_t cgroup_id, struct step *step, uint32_t *ret_prog)
{
	char path[4096];
	int fd = kern_pin_path(path, sizeof(path), options->pin_dir, LINKS_DIR, att->name);

	if (fd == 0)
		fd = kern_find_live_link(path, att, cgroup_id, ret_prog);
	if (fd >= 0 || att->site != SITE_AGENT ||
	    kern_before_path(path, sizeof(path), options->pin_dir, att->name) < 0)
		return fd;
	fd = kern_find_live_link(path, att, cgroup_id, ret_prog);
	step->was_before = fd >= 0;
	return fd;
}

/* In place: there is no moment without a program. */
static int update_link(const struct kern_options *options, const struct attachment *att,
		       int link_fd, uint32_t old_prog, int prog_fd, int *ret_old_prog_fd,
		       struct pc_err *err)
{
	*ret_old_prog_fd = open_old_prog(options, att, old_prog);
	if (*ret_old_prog_fd < 0) /* it could not be taken back */
		return pc_err_set(err, *ret_old_prog_fd,
				  "cannot open the attached %s: %s; run as root", att->name,
				  strerror(-*ret_old_prog_fd));
	if (bpf_link_update(link_fd, prog_fd, NULL) < 0)
		return attach_error(-errno, options, att, err);
	return 0;
}

static int stage_before(const struct kern_options *options, const struct attachment *att,
			uint64_t cgroup_id, int prog_fd, struct step *step, struct pc_err *err)
{
	if (att->site != SITE_AGENT ||
	    kern_before_open(options->pin_dir, att, cgroup_id, &step->before) < 0)
		return 0;
	return update_link(options, att, step->before.link_fd, step->before.prog_id, prog_fd,
			   &step->before_old_prog_fd, err);
}

static int stage_new_link(const struct kern_options *options, const struct attachment *att,
			  int prog_fd, int cgroup_fd, struct step *step, struct pc_err *err)
{
	char temp[4096];

	step->link_fd = new_link(att, prog_fd, cgroup_fd);
	if (step->link_fd < 0)
		return attach_error(step->link_fd, options, att, err);
	temp_path(temp, sizeof(temp), options->pin_dir, LINKS_DIR, att->name);
	unlink(temp); /* left by a loader that was killed */
	if (bpf_obj_pin(step->link_fd, temp) < 0) {
		int r = -errno;

		return pc_err_set(err, r, "cannot pin %s: %s", temp, strerror(-r));
	}
	step->new_link = true;
	return 0;
}

static int stage_link(const struct kern_options *options, const struct attachment *att, int prog_fd,
		      struct step *step, struct pc_err *err)
{
	_cleanup_close_ int cgroup_fd = -EBADF;
	uint64_t cgroup_id = 0;
	uint32_t old_prog = 0;
	char path[4096];
	int r;

	r = kern_pin_path(path, sizeof(path), options->pin_dir, LINKS_DIR, att->name);
	if (r < 0)
		return r;
	if (kern_is_cgroup_site(att->site)) {
		cgroup_fd = open_site(options, att->site, &cgroup_id, err);
		if (cgroup_fd < 0)
			return cgroup_fd;
		step->link_fd = find_link(options, att, cgroup_id, step, &old_prog);
		r = stage_before(options, att, cgroup_id, prog_fd, step, err);
		if (r < 0)
			return r;
	}
	if (step->link_fd >= 0)
		return update_link(options, att, step->link_fd, old_prog, prog_fd,
				   &step->old_prog_fd, err);
	step->replaces = !kern_is_cgroup_site(att->site) && access(path, F_OK) == 0;
	return stage_new_link(options, att, prog_fd, cgroup_fd, step, err);
}

static int stage_prog(const struct kern_options *options, const struct attachment *att, int prog_fd,
		      struct step *step, struct pc_err *err)
{
	char temp[4096];
	int r;

	temp_path(temp, sizeof(temp), options->pin_dir, PROGS_DIR, att->name);
	unlink(temp);
	if (bpf_obj_pin(prog_fd, temp) < 0) {
		r = -errno;
		return pc_err_set(err, r, "cannot pin %s: %s", temp, strerror(-r));
	}
	step->new_prog = true;
	return 0;
}

static void undo(const struct kern_options *options, const struct attachment *att,
		 struct step *step)
{
	char temp[4096];

	if (step->old_prog_fd >= 0)
		bpf_link_update(step->link_fd, step->old_prog_fd, NULL);
	if (step->before_old_prog_fd >= 0)
		bpf_link_update(step->before.link_fd, step->before_old_prog_fd, NULL);
	if (step->new_link) {
		temp_path(temp, sizeof(temp), options->pin_dir, LINKS_DIR, att->name);
		unlink(temp);
	}
	if (step->new_prog) {
		temp_path(temp, sizeof(temp), options->pin_dir, PROGS_DIR, att->name);
		unlink(temp);
	}
}

/* The names change places, or the first one is free for the new link. */
static void commit_before(const struct kern_options *options, const struct attachment *att,
			  const struct step *step)
{
	char path[4096], before[4096], temp[4096];

	if (att->site != SITE_AGENT ||
	    kern_before_path(before, sizeof(before), options->pin_dir, att->name) < 0)
		return;
	kern_pin_path(path, sizeof(path), options->pin_dir, LINKS_DIR, att->name);
	temp_path(temp, sizeof(temp), options->pin_dir, LINKS_DIR, att->name);
	if (step->was_before)
		rename(before, temp);
	if (step->before.link_fd >= 0 && step->before.is_current)
		rename(path, before);
	else if (step->before.link_fd < 0 && !step->was_before)
		unlink(before); /* it ended with its cgroup */
}

static void commit(const struct kern_options *options, const struct attachment *att,
		   const struct step *step)
{
	char path[4096], temp[4096];

	commit_before(options, att, step);
	if (step->new_link || step->was_before) {
		temp_path(temp, sizeof(temp), options->pin_dir, LINKS_DIR, att->name);
		kern_pin_path(path, sizeof(path), options->pin_dir, LINKS_DIR, att->name);
		rename(temp, path);
	}
	if (step->new_prog) {
		temp_path(temp, sizeof(temp), options->pin_dir, PROGS_DIR, att->name);
		kern_pin_path(path, sizeof(path), options->pin_dir, PROGS_DIR, att->name);
		rename(temp, path);
	}
}

int kern_attach_all(const struct kern_options *options, const int prog_fds[KERN_MAX_LINKS],
		    struct kern_report *report, struct pc_err *err)
{
	struct step steps[KERN_MAX_LINKS] _cleanup_(cleanup_steps);
	size_t done;
	int r = 0;

	for (size_t i = 0; i < KERN_MAX_LINKS; i++)
		steps[i] = (struct step){.link_fd = -EBADF,
					 .old_prog_fd = -EBADF,
					 .before.link_fd = -EBADF,
					 .before_old_prog_fd = -EBADF};
	for (done = 0; r == 0 && done < kern_n_attachments; done++) {
		const struct attachment *att = &kern_attachments[done];

		if (prog_fds[done] < 0)
			continue;
		r = stage_prog(options, att, prog_fds[done], &steps[done], err);
		if (r == 0 && att->site != SITE_IFACE)
			r = stage_link(options, att, prog_fds[done], &steps[done], err);
	}
	for (size_t i = done; i-- > 0;) {
		if (r < 0)
			undo(options, &kern_attachments[i], &steps[i]);
		else
			commit(options, &kern_attachments[i], &steps[i]);
		report->attached += r == 0 && steps[i].new_link && !steps[i].replaces;
		report->updated += r == 0 && (steps[i].old_prog_fd >= 0 || steps[i].replaces);
	}
	return r;
}
