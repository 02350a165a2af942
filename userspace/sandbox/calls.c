// SPDX-License-Identifier: GPL-2.0-only
#include <asm/ioctls.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/seccomp.h>
#include <linux/sockios.h>
#include <linux/userfaultfd.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "calls.h"
#include <linux/gondola.h>

#define LOOP	(1u << SANDBOX_LOOP)
#define VCPU	(1u << SANDBOX_VCPU)
#define DEVICE	(1u << SANDBOX_DEVICE)
#define NET	(1u << SANDBOX_NET)
#define MOVE	(1u << SANDBOX_MOVE)
#define ALL	(VCPU | DEVICE | NET | MOVE)	/* the loop may make any thread's calls */

/**
 * struct call - an allowed system call
 * @kinds: kinds of threads
 * @argument, @mask, @value: allowed only if the argument, masked, has this value; mask 0: always
 */
struct call {
	int number;
	unsigned int kinds;
	unsigned int argument;
	uint32_t mask;
	uint32_t value;
};

/* None of these opens a path, creates a socket or a process, or makes memory executable. */
static const struct call calls[] = {
	/* The module's comes first, since vCPUs make it most often. */
	{ SCMP_SYS(ioctl), ALL, 1, 0xff00, GONDOLA_IOC << 8 },
	{ SCMP_SYS(ioctl), ALL, 1, ~0u, TCGETS },
	{ SCMP_SYS(ioctl), ALL, 1, ~0u, TCSETS },
	{ SCMP_SYS(ioctl), ALL, 1, ~0u, TCSETSW },
	{ SCMP_SYS(ioctl), ALL, 1, ~0u, TIOCGPGRP },
	{ SCMP_SYS(ioctl), MOVE, 1, ~0u, SIOCOUTQ },
	{ SCMP_SYS(ioctl), MOVE, 1, 0xff00, UFFDIO << 8 },
	{ SCMP_SYS(ioctl), NET, 1, ~0u, FIONREAD },
	{ SCMP_SYS(ioctl), NET, 1, ~0u, FIONBIO },

	/* Memory: malloc(), the balloon, stacks of threads. */
	{ SCMP_SYS(mmap), ALL, 2, PROT_EXEC, 0 },
	{ SCMP_SYS(mprotect), ALL, 2, PROT_EXEC, 0 },
	{ SCMP_SYS(munmap), ALL, 0, 0, 0 },
	{ SCMP_SYS(mremap), ALL, 0, 0, 0 },
	{ SCMP_SYS(brk), ALL, 0, 0, 0 },
	{ SCMP_SYS(madvise), ALL, 0, 0, 0 },

	/* On open descriptors. */
	{ SCMP_SYS(read), ALL, 0, 0, 0 },
	{ SCMP_SYS(write), ALL, 0, 0, 0 },
	{ SCMP_SYS(writev), ALL, 0, 0, 0 },
	{ SCMP_SYS(close), ALL, 0, 0, 0 },
	{ SCMP_SYS(poll), ALL, 0, 0, 0 },
	/* Without F_SETOWN and F_SETSIG, which send signals to others. */
	{ SCMP_SYS(fcntl), ALL, 1, ~0u, F_GETFD },
	{ SCMP_SYS(fcntl), ALL, 1, ~0u, F_SETFD },
	{ SCMP_SYS(fcntl), ALL, 1, ~0u, F_GETFL },
	{ SCMP_SYS(fcntl), ALL, 1, ~0u, F_SETFL },
	{ SCMP_SYS(fcntl), ALL, 1, ~0u, F_OFD_SETLK },
	{ SCMP_SYS(lseek), ALL, 0, 0, 0 },
	{ SCMP_SYS(fstat), ALL, 0, 0, 0 },
	{ SCMP_SYS(newfstatat), ALL, 3, AT_EMPTY_PATH, AT_EMPTY_PATH },
	{ SCMP_SYS(timerfd_settime), ALL, 0, 0, 0 },
	{ SCMP_SYS(sendto), ALL, 0, 0, 0 },
	{ SCMP_SYS(sendmsg), ALL, 0, 0, 0 },
	{ SCMP_SYS(recvfrom), ALL, 0, 0, 0 },
	{ SCMP_SYS(recvmsg), ALL, 0, 0, 0 },
	{ SCMP_SYS(shutdown), ALL, 0, 0, 0 },
	{ SCMP_SYS(fsync), DEVICE | MOVE, 0, 0, 0 },
	{ SCMP_SYS(fdatasync), DEVICE | MOVE, 0, 0, 0 },
	{ SCMP_SYS(pread64), DEVICE | MOVE, 0, 0, 0 },
	{ SCMP_SYS(pwrite64), DEVICE | MOVE, 0, 0, 0 },
	{ SCMP_SYS(preadv), DEVICE, 0, 0, 0 },
	{ SCMP_SYS(pwritev), DEVICE, 0, 0, 0 },
	{ SCMP_SYS(fallocate), DEVICE, 0, 0, 0 },
	{ SCMP_SYS(fadvise64), MOVE, 0, 0, 0 },
	{ SCMP_SYS(accept4), DEVICE | MOVE | LOOP, 0, 0, 0 },
	/* On a socket that the keeper bound. */
	{ SCMP_SYS(listen), MOVE, 0, 0, 0 },
	{ SCMP_SYS(eventfd2), MOVE, 0, 0, 0 },
	{ SCMP_SYS(timerfd_create), MOVE, 0, 0, 0 },
	{ SCMP_SYS(getsockopt), MOVE | NET, 0, 0, 0 },
	{ SCMP_SYS(setsockopt), MOVE | NET, 0, 0, 0 },
	{ SCMP_SYS(dup2), LOOP, 0, 0, 0 },

	/* Time, threads, signals, and the end. */
	{ SCMP_SYS(futex), ALL, 0, 0, 0 },
	{ SCMP_SYS(clock_gettime), ALL, 0, 0, 0 },
	{ SCMP_SYS(gettimeofday), ALL, 0, 0, 0 },
	{ SCMP_SYS(clock_nanosleep), ALL, 0, 0, 0 },
	{ SCMP_SYS(nanosleep), ALL, 0, 0, 0 },
	{ SCMP_SYS(sched_yield), ALL, 0, 0, 0 },
	/* Of this thread. */
	{ SCMP_SYS(sched_getaffinity), MOVE, 0, ~0u, 0 },
	{ SCMP_SYS(getpid), ALL, 0, 0, 0 },
	{ SCMP_SYS(gettid), ALL, 0, 0, 0 },
	{ SCMP_SYS(getrandom), ALL, 0, 0, 0 },
	/* qsort() asks for the size of memory. */
	{ SCMP_SYS(sysinfo), ALL, 0, 0, 0 },
	{ SCMP_SYS(rt_sigprocmask), ALL, 0, 0, 0 },
	{ SCMP_SYS(rt_sigaction), ALL, 0, 0, 0 },
	{ SCMP_SYS(rt_sigreturn), ALL, 0, 0, 0 },
	{ SCMP_SYS(sigaltstack), ALL, 0, 0, 0 },
	{ SCMP_SYS(restart_syscall), ALL, 0, 0, 0 },
	{ SCMP_SYS(set_robust_list), ALL, 0, 0, 0 },
	{ SCMP_SYS(rseq), ALL, 0, 0, 0 },
	{ SCMP_SYS(exit), ALL, 0, 0, 0 },
	{ SCMP_SYS(exit_group), ALL, 0, 0, 0 },
	{ SCMP_SYS(wait4), MOVE, 0, 0, 0 },
	{ SCMP_SYS(signalfd4), LOOP, 0, 0, 0 },
	/* Filters can only be added. */
	{ SCMP_SYS(seccomp), LOOP, 0, ~0u, SECCOMP_SET_MODE_FILTER },
	/* Threads of this process only. */
	{ SCMP_SYS(clone), MOVE, 0, CLONE_THREAD | CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWPID |
	  CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWCGROUP, CLONE_THREAD },

	/* The guest's connections. */
	{ SCMP_SYS(socket), NET, 0, ~0u, AF_INET },
	{ SCMP_SYS(socket), NET, 0, ~0u, AF_INET6 },
	{ SCMP_SYS(connect), NET, 0, 0, 0 },
	{ SCMP_SYS(bind), NET, 0, 0, 0 },
	{ SCMP_SYS(listen), NET, 0, 0, 0 },
	{ SCMP_SYS(accept), NET, 0, 0, 0 },
	{ SCMP_SYS(accept4), NET, 0, 0, 0 },
	{ SCMP_SYS(getsockname), NET, 0, 0, 0 },
	{ SCMP_SYS(getpeername), NET, 0, 0, 0 },
	/* The C library reads the list of name servers again when it changes; see leave_files(). */
	{ SCMP_SYS(newfstatat), NET, 3, ~0u, 0 },
	{ SCMP_SYS(openat), NET, 2, O_ACCMODE | O_CREAT | O_TRUNC, O_RDONLY },
};

static int allow(scmp_filter_ctx filter, const struct call *call)
{
	if (!call->mask)
		return seccomp_rule_add(filter, SCMP_ACT_ALLOW, call->number, 0);
	return seccomp_rule_add(filter, SCMP_ACT_ALLOW, call->number, 1,
				SCMP_CMP32(call->argument, SCMP_CMP_MASKED_EQ, call->mask,
					   call->value));
}

/* A thread may signal threads of its own process, and end the program that it started. */
static int allow_signals(scmp_filter_ctx filter, enum sandbox_kind kind, pid_t child)
{
	int ret = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(tgkill), 1,
				   SCMP_CMP32(0, SCMP_CMP_EQ, (uint32_t)getpid()));

	if (!ret && child > 0 && (kind == SANDBOX_MOVE || kind == SANDBOX_LOOP))
		ret = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(kill), 2,
				       SCMP_CMP32(0, SCMP_CMP_EQ, (uint32_t)child),
				       SCMP_CMP32(1, SCMP_CMP_EQ, SIGKILL));
	return ret;
}

int calls_allow(scmp_filter_ctx filter, enum sandbox_kind kind,
		const struct sandbox_needs *needs)
{
	unsigned int kinds = 1u << kind;
	int ret = seccomp_syscall_priority(filter, SCMP_SYS(ioctl), 255);

	if (kind == SANDBOX_LOOP)
		kinds |= VCPU | DEVICE | MOVE | (needs->net ? NET : 0);
	for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]) && !ret; i++)
		if (calls[i].kinds & kinds)
			ret = allow(filter, &calls[i]);
	if (!ret)
		ret = allow_signals(filter, kind, needs->child);
	/* A filter cannot check its flags, which are in memory: the C library then uses clone(). */
	if (!ret)
		ret = seccomp_rule_add(filter, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0);
	return ret;
}
