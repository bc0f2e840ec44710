// SPDX-License-Identifier: Apache-2.0
/*
 * What this kernel can do, found by trying it. Version numbers lie on vendor kernels, and libbpf's
 * and bpftool's own helper probes report every helper as present on newer kernels, because they
 * look for a verifier message whose wording changed.
 */
#include "kernel/internal.h"

#include <bpf/btf.h>
#include <linux/capability.h>
#include <stdio.h>
#include <string.h>

#include "base/caps.h"
#include "base/cleanup.h"
#include "kernel/insn.h"

static int try_load(enum bpf_prog_type type, enum bpf_attach_type attach,
		    const struct bpf_insn *insns, size_t n)
{
	LIBBPF_OPTS(bpf_prog_load_opts, opts, .expected_attach_type = attach);
	_cleanup_close_ int fd = bpf_prog_load(type, "podcred_probe", "GPL", insns, n, &opts);

	return fd < 0 ? fd : 0;
}

static int try_hook(enum bpf_prog_type type, enum bpf_attach_type attach)
{
	const struct bpf_insn insns[] = {MOV_IMM(BPF_REG_0, 1), EXIT()};

	return try_load(type, attach, insns, ARRAY_SIZE(insns));
}

static int try_connect4(void)
{
	return try_hook(BPF_PROG_TYPE_CGROUP_SOCK_ADDR, BPF_CGROUP_INET4_CONNECT);
}

static int try_connect6(void)
{
	return try_hook(BPF_PROG_TYPE_CGROUP_SOCK_ADDR, BPF_CGROUP_INET6_CONNECT);
}

static int try_sendmsg(void)
{
	return try_hook(BPF_PROG_TYPE_CGROUP_SOCK_ADDR, BPF_CGROUP_UDP6_SENDMSG);
}

static int try_getpeername(void)
{
	return try_hook(BPF_PROG_TYPE_CGROUP_SOCK_ADDR, BPF_CGROUP_INET6_GETPEERNAME);
}

static int try_getsockopt(void)
{
	return try_hook(BPF_PROG_TYPE_CGROUP_SOCKOPT, BPF_CGROUP_GETSOCKOPT);
}

static int try_sockops(void)
{
	return try_hook(BPF_PROG_TYPE_SOCK_OPS, BPF_CGROUP_SOCK_OPS);
}

static int try_set_retval(void)
{
	const struct bpf_insn insns[] = {MOV_IMM(BPF_REG_1, -EACCES), CALL(BPF_FUNC_set_retval),
					 MOV_IMM(BPF_REG_0, 0), EXIT()};

	return try_load(BPF_PROG_TYPE_CGROUP_SOCK_ADDR, BPF_CGROUP_INET4_CONNECT, insns,
			ARRAY_SIZE(insns));
}

static int try_ancestor_id(void)
{
	const struct bpf_insn insns[] = {MOV_IMM(BPF_REG_1, 1),
					 CALL(BPF_FUNC_get_current_ancestor_cgroup_id),
					 MOV_IMM(BPF_REG_0, 1), EXIT()};

	return try_load(BPF_PROG_TYPE_CGROUP_SOCK_ADDR, BPF_CGROUP_INET4_CONNECT, insns,
			ARRAY_SIZE(insns));
}

static int try_netns_cookie(void)
{
	const struct bpf_insn insns[] = {CALL(BPF_FUNC_get_netns_cookie), MOV_IMM(BPF_REG_0, 1),
					 EXIT()};

	return try_load(BPF_PROG_TYPE_CGROUP_SOCK_ADDR, BPF_CGROUP_INET4_CONNECT, insns,
			ARRAY_SIZE(insns));
}

/* The socket witness: a typed pointer to the caller's socket. */
static int try_tcp_sock(void)
{
	const struct bpf_insn insns[] = {
		LOAD(BPF_REG_1, BPF_REG_1, offsetof(struct bpf_sock_addr, sk)),
		CALL(BPF_FUNC_skc_to_tcp_sock), MOV_IMM(BPF_REG_0, 1), EXIT()};

	return try_load(BPF_PROG_TYPE_CGROUP_SOCK_ADDR, BPF_CGROUP_INET4_CONNECT, insns,
			ARRAY_SIZE(insns));
}

static int try_btf(void)
{
	return access("/sys/kernel/btf/vmlinux", R_OK) < 0 ? -errno : 0;
}

static int try_ringbuf(void)
{
	_cleanup_close_ int fd =
		bpf_map_create(BPF_MAP_TYPE_RINGBUF, "podcred_probe", 0, 0, 4096, NULL);

	return fd < 0 ? fd : 0;
}

/* Storage maps need BTF for key and value; the type itself is what can be missing. */
static int try_sk_storage(void)
{
	int r = libbpf_probe_bpf_map_type(BPF_MAP_TYPE_SK_STORAGE, NULL);

	return r > 0 ? 0 : r < 0 ? r : -EINVAL;
}

/* A link on an invalid cgroup: EBADF means that the kernel got as far as looking for it. */
static int try_cgroup_link(void)
{
	const struct bpf_insn insns[] = {MOV_IMM(BPF_REG_0, 1), EXIT()};
	LIBBPF_OPTS(bpf_prog_load_opts, opts, .expected_attach_type = BPF_CGROUP_INET4_CONNECT);
	_cleanup_close_ int prog = bpf_prog_load(BPF_PROG_TYPE_CGROUP_SOCK_ADDR, "podcred_probe",
						 "GPL", insns, ARRAY_SIZE(insns), &opts);

	if (prog < 0)
		return prog;
	bpf_link_create(prog, -1, BPF_CGROUP_INET4_CONNECT, NULL);
	return errno == EBADF ? 0 : -errno;
}

static int try_tracing(void)
{
	LIBBPF_OPTS(bpf_prog_load_opts, opts, .expected_attach_type = BPF_TRACE_RAW_TP);
	const struct bpf_insn insns[] = {MOV_IMM(BPF_REG_0, 0), EXIT()};
	_cleanup_close_ int fd = -EBADF;
	int id = libbpf_find_vmlinux_btf_id("cgroup_mkdir", BPF_TRACE_RAW_TP);

	if (id < 0)
		return id;
	opts.attach_btf_id = (uint32_t)id;
	fd = bpf_prog_load(BPF_PROG_TYPE_TRACING, "podcred_probe", "GPL", insns, ARRAY_SIZE(insns),
			   &opts);
	return fd < 0 ? fd : 0;
}

static int try_cgroup_egress(void)
{
	return try_hook(BPF_PROG_TYPE_CGROUP_SKB, BPF_CGROUP_INET_EGRESS);
}

static int try_cgroup_ingress(void)
{
	return try_hook(BPF_PROG_TYPE_CGROUP_SKB, BPF_CGROUP_INET_INGRESS);
}

/* The program, with a kernel function, which takes the JIT compiler. That it can be attached shows
 * when the loader does it. */
static int try_netfilter(void)
{
	struct btf *btf = btf__load_vmlinux_btf();
	int cast = btf ? btf__find_by_name_kind(btf, "bpf_rdonly_cast", BTF_KIND_FUNC) : -ENOENT;
	int type = btf ? btf__find_by_name_kind(btf, "iphdr", BTF_KIND_STRUCT) : -ENOENT;
	const struct bpf_insn insns[] = {MOV_IMM(BPF_REG_1, 0), MOV_IMM(BPF_REG_2, type),
					 CALL_KERNEL(cast), MOV_IMM(BPF_REG_0, 1), EXIT()};

	btf__free(btf);
	if (cast < 0 || type < 0)
		return -EOPNOTSUPP;
	return try_load(PROG_TYPE_NETFILTER, ATTACH_TYPE_NETFILTER, insns, ARRAY_SIZE(insns));
}

/* What it takes beside tcx or tc: the storage of the socket that sent a packet. */
static int try_path(void)
{
	const struct bpf_insn insns[] = {LOAD(BPF_REG_1, BPF_REG_1, offsetof(struct __sk_buff, sk)),
					 JUMP_IF_ZERO(BPF_REG_1, 1), CALL(BPF_FUNC_sk_fullsock),
					 MOV_IMM(BPF_REG_0, 0), EXIT()};
	int r = kern_iface_try_link();

	if (r < 0)
		r = kern_tc_try();
	return r < 0 ? r
		     : try_load(BPF_PROG_TYPE_SCHED_CLS, (enum bpf_attach_type)0, insns,
				ARRAY_SIZE(insns));
}

#define REQUIRED(name_, since_, try_)                                                              \
	{                                                                                          \
		.feature = {.name = (name_),                                                       \
			    .since = (since_),                                                     \
			    .without = "required",                                                 \
			    .required = true},                                                     \
		.try = (try_)                                                                      \
	}

#define OPTIONAL(name_, since_, bit_, try_, lost_)                                                 \
	{                                                                                          \
		.feature = {.name = (name_), .since = (since_), .without = (lost_)},               \
		.try = (try_), .bit = (bit_)                                                       \
	}

static struct {
	struct kern_feature feature;
	int (*try)(void);
	unsigned bit; /* of PODCRED_RUNTIME_WITHOUT; 0: required */
} table[FEATURE_MAX] = {
	[FEATURE_BTF] = REQUIRED("btf", "5.4", try_btf),
	[FEATURE_CONNECT4] = REQUIRED("connect4", "4.17", try_connect4),
	[FEATURE_CONNECT6] = REQUIRED("connect6", "4.17", try_connect6),
	[FEATURE_SENDMSG] = REQUIRED("sendmsg", "4.18", try_sendmsg),
	[FEATURE_SOCKOPS] = REQUIRED("sockops", "4.13", try_sockops),
	[FEATURE_GETSOCKOPT] = REQUIRED("getsockopt", "5.3", try_getsockopt),
	[FEATURE_SK_STORAGE] = REQUIRED("sk-storage", "5.2", try_sk_storage),
	[FEATURE_TCP_SOCK] = REQUIRED("tcp-sock", "5.9", try_tcp_sock),
	[FEATURE_ANCESTOR_CGROUP_ID] = REQUIRED("ancestor-cgroup-id", "5.7", try_ancestor_id),
	[FEATURE_NETNS_COOKIE] = REQUIRED("netns-cookie", "5.7", try_netns_cookie),
	[FEATURE_CGROUP_LINK] = REQUIRED("cgroup-link", "5.7", try_cgroup_link),
	[FEATURE_RING_BUFFER] = REQUIRED("ring-buffer", "5.8", try_ringbuf),
	/* Optional. Bits are never reused: the map that has them stays through upgrades. */
	[FEATURE_SET_RETVAL] = OPTIONAL("set-retval", "5.18", 1, try_set_retval,
					"refused connections fail with EPERM, whatever the reason"),
	[FEATURE_GETPEERNAME] = OPTIONAL("getpeername", "5.8", 2, try_getpeername,
					 "clients that ask getpeername() see the agent's address"),
	[FEATURE_CGROUP_EGRESS] =
		OPTIONAL("cgroup-egress", "4.10", 3, try_cgroup_egress,
			 "packets of pods' sockets are dropped without an errno; those of "
			 "SR-IOV pods are not dropped"),
	[FEATURE_CGROUP_INGRESS] =
		OPTIONAL("cgroup-ingress", "4.10", 9, try_cgroup_ingress,
			 "if the node's rules divert a pod's connection, whoever receives "
			 "it may supply false credentials, with data right behind the answer"),
	[FEATURE_NETFILTER_LINK] =
		OPTIONAL("netfilter-link", "6.4", 4, try_netfilter,
			 "packets that a container outside kubepods sends are not dropped, "
			 "nor those of no socket from a network that has no veth"),
	[FEATURE_TCX] =
		OPTIONAL("tcx", "6.6", 5, kern_iface_try_link,
			 "tc does the same, but whoever has CAP_NET_ADMIN on the node can delete "
			 "its filters, and another CNI's filter may come first"),
	[FEATURE_TC] = OPTIONAL("tc", "4.5", 6, kern_tc_try, "nothing if tcx is available"),
	[FEATURE_CGROUP_TRACING] = OPTIONAL("cgroup-tracing", "5.5", 7, try_tracing,
					    "new pods are noticed by inotify, a little later"),
	[FEATURE_PATH] =
		OPTIONAL("path", "5.2", 8, try_path,
			 "connections to the agent cross the bridge that pods share, where a pod "
			 "with CAP_NET_RAW can read them and take them over"),
};

static const char *without[ARRAY_SIZE(table)];

static uint64_t bit_of(size_t i)
{
	return table[i].bit ? 1ULL << table[i].bit : 0;
}

bool kern_feature_is_required(enum kern_feature_id id)
{
	return table[id].feature.required;
}

bool kern_feature_is_missing(uint64_t missing, enum kern_feature_id id)
{
	return missing & bit_of(id);
}

bool kern_features_use_tc(uint64_t missing)
{
	return kern_feature_is_missing(missing, FEATURE_TCX) &&
	       !kern_feature_is_missing(missing, FEATURE_TC);
}

/* Nothing is lost: another one does it. */
static bool is_spare(size_t i, uint64_t missing)
{
	return i == FEATURE_TC && !kern_feature_is_missing(missing, FEATURE_TCX);
}

/* What is lost depends on what else is missing. */
static const char *without_text(size_t i, uint64_t missing)
{
	bool blind = kern_feature_is_missing(missing, FEATURE_TCX) &&
		     kern_feature_is_missing(missing, FEATURE_TC);

	if (blind && (i == FEATURE_TCX || i == FEATURE_TC))
		return "packet sockets of hostNetwork pods pass, and of all pods where the CNI "
		       "forwards below netfilter";
	if (blind && i == FEATURE_NETFILTER_LINK)
		return "packets that no pod's socket sent pass: packet sockets, sockets made by "
		       "the host";
	return table[i].feature.without;
}

int kern_features_without(const char *name, struct pc_err *err)
{
	for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
		if (strcmp(table[i].feature.name, name) != 0)
			continue;
		if (table[i].feature.required)
			return pc_err_set(err, -EINVAL, "podcred cannot do without %s", name);
		without[i] = name;
		return 0;
	}
	return pc_err_set(err, -EINVAL, "there is no feature \"%s\"; podcred features lists them",
			  name);
}

/* Whether a failed attempt says anything of the kernel. Without CAP_PERFMON the verifier refuses
 * with EINVAL what it would refuse on a kernel that lacks it; only BTF is read without rights. */
static bool is_answer(size_t i, int error, const char *lacking)
{
	if (error == -EPERM || error == -EACCES)
		return false;
	return i == FEATURE_BTF || !lacking[0] || error == -EOPNOTSUPP || error == -ENOENT;
}

static void note_failure(size_t i, int error, struct kern_feature *ret)
{
	char lacking[64];

	caps_lacking(CAPS_BIT(CAP_BPF) | CAPS_BIT(CAP_NET_ADMIN) | CAPS_BIT(CAP_PERFMON), lacking,
		     sizeof(lacking));
	ret->unknown = !is_answer(i, error, lacking);
	if (!ret->unknown)
		snprintf(ret->why, sizeof(ret->why), "%s", strerror(-error));
	else if (lacking[0])
		snprintf(ret->why, sizeof(ret->why), "not permitted: takes %s", lacking);
	else
		snprintf(ret->why, sizeof(ret->why),
			 "not permitted, by a seccomp filter, a security module or a user "
			 "namespace");
}

/* The path has programs on interfaces. */
static bool is_blind(size_t i, uint64_t missing)
{
	return i == FEATURE_PATH && kern_feature_is_missing(missing, FEATURE_TCX) &&
	       kern_feature_is_missing(missing, FEATURE_TC);
}

const struct kern_feature *kern_features(size_t *ret_n)
{
	static struct kern_feature features[ARRAY_SIZE(table)];
	static bool done;
	uint64_t missing = 0;

	for (size_t i = 0; !done && i < ARRAY_SIZE(table); i++) {
		bool blind = is_blind(i, missing);
		int r = without[i] || blind ? -ECANCELED : table[i].try();

		features[i] = table[i].feature;
		features[i].present = r == 0;
		if (r < 0)
			missing |= bit_of(i);
		if (without[i])
			snprintf(features[i].why, sizeof(features[i].why), "switched off");
		else if (blind)
			snprintf(features[i].why, sizeof(features[i].why), "takes tcx or tc");
		else if (r < 0)
			note_failure(i, r, &features[i]);
	}
	for (size_t i = 0; !done && i < ARRAY_SIZE(table); i++) {
		features[i].without = without_text(i, missing);
		features[i].spare = is_spare(i, missing);
	}
	done = true;
	*ret_n = ARRAY_SIZE(table);
	return features;
}

/* ---- what a load did without ---- */

uint64_t kern_features_missing(void)
{
	const struct kern_feature *features;
	uint64_t missing = 0;
	size_t n;

	features = kern_features(&n);
	for (size_t i = 0; i < n; i++)
		missing |= features[i].present ? 0 : bit_of(i);
	return missing;
}

size_t kern_losses(const struct kern_status *status, struct kern_loss ret[KERN_MAX_LOSSES])
{
	uint64_t missing = status->runtime[PODCRED_RUNTIME_WITHOUT];
	size_t n = 0;

	for (size_t i = 0; i < ARRAY_SIZE(table) && n < KERN_MAX_LOSSES; i++)
		if (missing & bit_of(i) && !is_spare(i, missing))
			ret[n++] =
				(struct kern_loss){table[i].feature.name, without_text(i, missing)};
	return n;
}

bool kern_did_without(const struct kern_status *status, enum kern_feature_id id)
{
	return kern_feature_is_missing(status->runtime[PODCRED_RUNTIME_WITHOUT], id);
}

bool kern_feature_present(enum kern_feature_id id)
{
	size_t n;

	return kern_features(&n)[id].present;
}

int kern_features_require(struct pc_err *err)
{
	const struct kern_feature *features, *unknown = NULL;
	size_t n, missing = 0, first = 0;

	features = kern_features(&n);
	for (size_t i = n; i-- > 0;) {
		if (features[i].present || !features[i].required)
			continue;
		missing++;
		first = i;
		if (features[i].unknown)
			unknown = &features[i];
	}
	if (!missing)
		return 0;
	if (unknown)
		return pc_err_set(err, -EPERM,
				  "cannot load BPF programs: %s: %s; run as root, or with CAP_BPF, "
				  "CAP_NET_ADMIN and CAP_PERFMON",
				  unknown->name, unknown->why);
	if (first == FEATURE_BTF)
		return pc_err_set(err, -ENOTSUP,
				  "/sys/kernel/btf/vmlinux: %s; podcred needs a kernel built with "
				  "CONFIG_DEBUG_INFO_BTF (5.10 or later of any large distribution)",
				  features[first].why);
	return pc_err_set(err, -ENOTSUP,
			  "this kernel lacks %s (Linux %s): %s; podcred needs Linux 5.10, podcred "
			  "features prints all",
			  features[first].name, features[first].since, features[first].why);
}
