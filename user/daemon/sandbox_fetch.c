// SPDX-License-Identifier: Apache-2.0
#include "daemon/sandbox_fetch.h"

#include <linux/netlink.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include "base/cleanup.h"
#include "daemon/seccomp.h"

#define ALL ((uint32_t)~0U)
#define CLONE_NEWS                                                                                 \
	(CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER |             \
	 CLONE_NEWPID | CLONE_NEWNET)
/* The default protocol of a family and type, and the same by its number. */
#define EITHER(family, type, protocol)                                                             \
	SOCKET(family, type, ALL, 0), SOCKET(family, type, ALL, protocol)

/* libcurl, the C library's resolver with its plugins, OpenSSL. */
static const struct seccomp_rule connects[] = {
	ALWAYS(sendto),
	ALWAYS(sendmsg),
	ALWAYS(connect),
	EITHER(AF_INET, SOCK_STREAM, IPPROTO_TCP),
	EITHER(AF_INET6, SOCK_STREAM, IPPROTO_TCP),
	EITHER(AF_INET, SOCK_DGRAM, IPPROTO_UDP),
	EITHER(AF_INET6, SOCK_DGRAM, IPPROTO_UDP),
	/* serve; daemons that the resolver's plugins ask */
	EQUALS(socket, 0, AF_UNIX),
	EQUALS(socketpair, 0, AF_UNIX),
	/* which addresses this node has */
	SOCKET(AF_NETLINK, SOCK_RAW, ALL, NETLINK_ROUTE),
	ALWAYS(bind),
	ALWAYS(sendmmsg),
	ALWAYS(recvmmsg),
	EQUALS(ioctl, 1, FIONREAD),
	EQUALS(ioctl, 1, FIONBIO),
	EQUALS(ioctl, 1, SIOCGIFINDEX),
	ALWAYS(pipe2),
	/* a plugin of the resolver or of OpenSSL: of a file, never writable */
	{.nr = __NR_mmap,
	 .n = 2,
	 .when = {{PROT_EXEC | PROT_WRITE, PROT_EXEC, 2}, {MAP_ANONYMOUS, 0, 3}}},
	/* directories of certificates, and which file a name is */
	ALWAYS(getdents64),
	ALWAYS(readlinkat),
	ALWAYS(faccessat),
	ALWAYS(faccessat2),
	ALWAYS(getcwd),
	ALWAYS(statfs),
	ALWAYS(fstatfs),
#ifdef __x86_64__
	ALWAYS(stat),
	ALWAYS(lstat),
	ALWAYS(readlink),
	ALWAYS(access),
	ALWAYS(select),
#endif
	ALWAYS(pselect6),
	ALWAYS(getppid),
	ALWAYS(membarrier),
};

/* What programs as they are written in C, Go, Python or for a shell do to get credentials and to print them. */
static const struct seccomp_rule executes[] = {
	ALWAYS(execve),
	ALWAYS(execveat),
	WHEN(clone, 0, CLONE_NEWS, 0),
	ALWAYS(wait4),
	ALWAYS(waitid),
	ALWAYS(kill),
	ALWAYS(tkill),
	ALWAYS(tgkill),
	ALWAYS(pidfd_open),
	ALWAYS(pidfd_send_signal),
	ALWAYS(setpgid),
	ALWAYS(getpgid),
	ALWAYS(setsid),
	ALWAYS(getsid),
	/* how they begin */
	ALWAYS(set_tid_address),
	ALWAYS(get_robust_list),
	ALWAYS(prctl),
	ALWAYS(prlimit64),
	ALWAYS(getrlimit),
	ALWAYS(setrlimit),
	ALWAYS(capget),
	ALWAYS(getresuid),
	ALWAYS(getresgid),
	ALWAYS(getrusage),
	ALWAYS(times),
	ALWAYS(umask),
	ALWAYS(chdir),
	ALWAYS(fchdir),
	/* memory, of interpreters that translate too */
	ALWAYS(mmap),
	ALWAYS(mprotect),
	ALWAYS(mincore),
	ALWAYS(msync),
	ALWAYS(mlock),
	ALWAYS(mlock2),
	ALWAYS(mlockall),
	ALWAYS(munlock),
	ALWAYS(munlockall),
	/* descriptors. They can write only where Landlock lets them: to /dev/null, and what they inherit */
	ALWAYS(openat),
	ALWAYS(openat2),
	ALWAYS(close_range),
	ALWAYS(dup),
	ALWAYS(dup3),
	ALWAYS(fcntl),
	ALWAYS(flock),
	ALWAYS(pwrite64),
	ALWAYS(preadv),
	ALWAYS(preadv2),
	ALWAYS(pwritev),
	ALWAYS(pwritev2),
	ALWAYS(sendfile),
	ALWAYS(splice),
	ALWAYS(tee),
	ALWAYS(copy_file_range),
	ALWAYS(fadvise64),
	ALWAYS(readahead),
	ALWAYS(fsync),
	ALWAYS(fdatasync),
	ALWAYS(getxattr),
	ALWAYS(lgetxattr),
	ALWAYS(fgetxattr),
	ALWAYS(listxattr),
	ALWAYS(llistxattr),
	ALWAYS(flistxattr),
	EQUALS(ioctl, 1, FIOCLEX),
	EQUALS(ioctl, 1, FIONCLEX),
	EQUALS(ioctl, 1, TIOCGWINSZ),
	EQUALS(ioctl, 1, TIOCGPGRP),
	EQUALS(ioctl, 1, SIOCGIFCONF),
	EQUALS(ioctl, 1, SIOCGIFNAME),
	EQUALS(ioctl, 1, SIOCGIFADDR),
	EQUALS(ioctl, 1, SIOCGIFFLAGS),
	/* waiting */
	ALWAYS(epoll_pwait2),
	ALWAYS(futex_waitv),
	ALWAYS(timerfd_create),
	ALWAYS(timerfd_settime),
	ALWAYS(timerfd_gettime),
	ALWAYS(timer_create),
	ALWAYS(timer_settime),
	ALWAYS(timer_gettime),
	ALWAYS(timer_getoverrun),
	ALWAYS(timer_delete),
	ALWAYS(setitimer),
	ALWAYS(getitimer),
	ALWAYS(signalfd4),
	ALWAYS(inotify_init1),
	ALWAYS(inotify_add_watch),
	ALWAYS(inotify_rm_watch),
	ALWAYS(rt_sigsuspend),
	ALWAYS(rt_sigpending),
	ALWAYS(rt_sigtimedwait),
	ALWAYS(sched_getscheduler),
	ALWAYS(sched_getparam),
	ALWAYS(sched_get_priority_max),
	ALWAYS(sched_get_priority_min),
	ALWAYS(sched_rr_get_interval),
	ALWAYS(getpriority),
#ifdef __x86_64__
	ALWAYS(fork),
	ALWAYS(vfork),
	ALWAYS(arch_prctl),
	ALWAYS(open),
	ALWAYS(creat),
	ALWAYS(pipe),
	ALWAYS(dup2),
	ALWAYS(getdents),
	ALWAYS(getpgrp),
	ALWAYS(alarm),
	ALWAYS(pause),
	ALWAYS(eventfd),
	ALWAYS(signalfd),
	ALWAYS(inotify_init),
#endif
};

/* libmicrohttpd does so. */
static const struct seccomp_rule serves[] = {
	ALWAYS(accept4),
	ALWAYS(listen),
};

int daemon_sandbox_fetch_enter(bool may_execute, bool refuse)
{
	const struct seccomp_list lists[] = {daemon_seccomp_common,
					     {connects, ARRAY_SIZE(connects)},
					     {executes, ARRAY_SIZE(executes)}};
	enum seccomp_others others = may_execute ? SECCOMP_REFUSES_PROGRAMS : SECCOMP_REFUSES;

	return daemon_seccomp_enter(lists, may_execute ? 3 : 2, refuse ? others : SECCOMP_LOGS);
}

int daemon_sandbox_service_enter(bool refuse)
{
	const struct seccomp_list lists[] = {{serves, ARRAY_SIZE(serves)},
					     daemon_seccomp_common,
					     {connects, ARRAY_SIZE(connects)}};

	return daemon_seccomp_enter(lists, ARRAY_SIZE(lists),
				    refuse ? SECCOMP_REFUSES : SECCOMP_LOGS);
}
