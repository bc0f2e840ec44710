// SPDX-License-Identifier: Apache-2.0
#include "daemon/sandbox_fetch.h"

#include <errno.h>
#include <sched.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "daemon/seccomp.h"

static const int refused_serving[] = {
	__NR_listen,
	__NR_accept,
	__NR_accept4,
};

static const int refused[] = {
	/* other processes */
	__NR_ptrace,
	__NR_process_vm_readv,
	__NR_process_vm_writev,
	__NR_process_madvise,
	__NR_pidfd_getfd,
	__NR_kcmp,
	__NR_setpriority,
	__NR_sched_setaffinity,
	__NR_move_pages,
	__NR_migrate_pages,
	/* mounts and namespaces */
	__NR_mount,
	__NR_umount2,
	__NR_pivot_root,
	__NR_chroot,
	__NR_open_tree,
	__NR_move_mount,
	__NR_fsopen,
	__NR_fsconfig,
	__NR_fsmount,
	__NR_fspick,
	__NR_mount_setattr,
	__NR_setns,
	__NR_unshare,
	__NR_open_by_handle_at,
	__NR_name_to_handle_at,
	/* the kernel */
	__NR_bpf,
	__NR_perf_event_open,
	__NR_init_module,
	__NR_finit_module,
	__NR_delete_module,
	__NR_kexec_load,
	__NR_kexec_file_load,
	__NR_io_uring_setup,
	__NR_io_uring_enter,
	__NR_io_uring_register,
	__NR_userfaultfd,
	__NR_add_key,
	__NR_request_key,
	__NR_keyctl,
	__NR_fanotify_init,
	__NR_personality,
	__NR_syslog,
	__NR_lookup_dcookie,
	/* the system */
	__NR_reboot,
	__NR_swapon,
	__NR_swapoff,
	__NR_sethostname,
	__NR_setdomainname,
	__NR_settimeofday,
	__NR_clock_settime,
	__NR_clock_adjtime,
	__NR_adjtimex,
	__NR_acct,
	__NR_quotactl,
#ifdef __NR_iopl
	__NR_iopl,
	__NR_ioperm,
	__NR_modify_ldt,
#endif
};

static const int refused_execution[] = {
	__NR_execve,
	__NR_execveat,
#ifdef __NR_fork
	__NR_fork,
	__NR_vfork,
#endif
};

_Static_assert(2 * (ARRAY_SIZE(refused) + ARRAY_SIZE(refused_serving) +
		    ARRAY_SIZE(refused_execution)) +
			       16 <
		       SECCOMP_CODE_MAX,
	       "room for all calls");

static void put(struct seccomp_filter *filter, struct sock_filter insn)
{
	daemon_seccomp_put(filter, insn);
}

static void put_refused(struct seccomp_filter *filter, const int *calls, size_t n, uint32_t refusal)
{
	for (size_t i = 0; i < n; i++) {
		put(filter, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K,
							 (uint32_t)calls[i], 0, 1));
		put(filter, (struct sock_filter)SECCOMP_RETURN(refusal));
	}
}

/* The flags of clone3 are behind a pointer: with ENOSYS the C library uses clone. */
static void put_clone3(struct seccomp_filter *filter)
{
	put(filter, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, __NR_clone3, 0, 1));
	put(filter, (struct sock_filter)SECCOMP_RETURN(SECCOMP_ERRNO(ENOSYS)));
}

/* At the end of the filter, as it loads something else: clone makes threads only. */
static void put_threads_only(struct seccomp_filter *filter, uint32_t refusal)
{
	put(filter, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, __NR_clone, 0, 3));
	put(filter, (struct sock_filter)SECCOMP_LOAD(args[0]));
	put(filter, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, CLONE_THREAD, 1, 0));
	put(filter, (struct sock_filter)SECCOMP_RETURN(refusal));
}

static int enter(bool may_serve, bool may_execute, bool refuse)
{
	uint32_t refusal = refuse ? SECCOMP_ERRNO(EPERM) : SECCOMP_RET_ALLOW;
	struct seccomp_filter filter = {};

	daemon_seccomp_put_abi(&filter);
	put_clone3(&filter);
	put_refused(&filter, refused, ARRAY_SIZE(refused), refusal);
	if (!may_serve)
		put_refused(&filter, refused_serving, ARRAY_SIZE(refused_serving), refusal);
	if (!may_execute) {
		put_refused(&filter, refused_execution, ARRAY_SIZE(refused_execution), refusal);
		put_threads_only(&filter, refusal);
	}
	put(&filter, (struct sock_filter)SECCOMP_RETURN(SECCOMP_RET_ALLOW));
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return -errno;
	return daemon_seccomp_install(&filter, SECCOMP_FILTER_FLAG_LOG);
}

int daemon_sandbox_fetch_enter(bool may_execute, bool refuse)
{
	return enter(false, may_execute, refuse);
}

int daemon_sandbox_service_enter(bool refuse)
{
	return enter(true, false, refuse);
}
