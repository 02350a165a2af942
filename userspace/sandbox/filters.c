// SPDX-License-Identifier: GPL-2.0-only
/* Seccomp: a filter for each kind of thread, and a line about a refused call. */
#include <errno.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "calls.h"
#include "internal.h"
#include "base/fail.h"

#define CALLS	512

static const char *const kind_names[SANDBOX_KINDS] = {
	[SANDBOX_LOOP] = "the main thread", [SANDBOX_VCPU] = "a vCPU's thread",
	[SANDBOX_DEVICE] = "a device's thread", [SANDBOX_NET] = "the network's thread",
	[SANDBOX_MOVE] = "the thread of a migration or suspend",
};

static struct sock_fprog filters[SANDBOX_KINDS];
/* A signal handler cannot look them up. */
static char *call_names[CALLS];
static void (*last_words_fn)(void);
static __thread enum sandbox_kind kind_here;

/* ---- making them ----------------------------------------------------------------------------- */

static int read_program(int fd, struct sock_fprog *program)
{
	struct stat st;
	void *data;

	if (fstat(fd, &st))
		return -errno;
	data = malloc(st.st_size);
	if (!data)
		return -ENOMEM;
	if (pread(fd, data, st.st_size, 0) != st.st_size) {
		free(data);
		return -EIO;
	}
	*program = (struct sock_fprog){ st.st_size / sizeof(struct sock_filter), data };
	return 0;
}

static int make(enum sandbox_kind kind, const struct sandbox_needs *needs)
{
	scmp_filter_ctx filter = seccomp_init(SCMP_ACT_TRAP);
	int fd = memfd_create("filter", MFD_CLOEXEC), ret = -ENOMEM;

	if (filter && fd >= 0) {
		/* The kernel's other entries (int 0x80, x32) are not used. */
		ret = seccomp_attr_set(filter, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS);
		if (!ret)
			ret = calls_allow(filter, kind, needs);
		if (!ret)
			ret = seccomp_export_bpf(filter, fd);
		if (!ret)
			ret = read_program(fd, &filters[kind]);
	}
	if (fd >= 0)
		close(fd);
	seccomp_release(filter);
	return ret;
}

int filters_make(const struct sandbox_needs *needs)
{
	uint32_t action = SECCOMP_RET_TRAP;
	int ret = 0;

	if (syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &action))
		return -errno;
	for (int kind = 0; kind < SANDBOX_KINDS && !ret; kind++)
		ret = make(kind, needs);
	for (int i = 0; i < CALLS; i++)
		call_names[i] = seccomp_syscall_resolve_num_arch(SCMP_ARCH_NATIVE, i);
	return ret;
}

int filters_enter(enum sandbox_kind kind)
{
	sigset_t refused;

	kind_here = kind;
	/* If the signal is blocked, the kernel ends the process without a message. */
	sigemptyset(&refused);
	sigaddset(&refused, SIGSYS);
	pthread_sigmask(SIG_UNBLOCK, &refused, NULL);
	return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &filters[kind]) ? -errno : 0;
}

/* ---- refusals -------------------------------------------------------------------------------- */

static size_t put(char *line, size_t used, size_t room, const char *words)
{
	size_t bytes = strnlen(words, room - used);

	memcpy(line + used, words, bytes);
	return used + bytes;
}

static size_t put_number(char *line, size_t used, size_t room, unsigned int number)
{
	char digits[12];
	size_t at = sizeof(digits) - 1;

	digits[at] = 0;
	do
		digits[--at] = '0' + number % 10;
	while (number /= 10);
	return put(line, used, room, digits + at);
}

/* It may interrupt the thread anywhere, so nothing here takes a lock or allocates. */
static void on_refusal(int signal, siginfo_t *info, void *context)
{
	unsigned int number = info->si_syscall;
	char line[256];
	size_t used = 0;

	(void)signal;
	(void)context;
	if (last_words_fn)
		last_words_fn();
	used = put(line, used, sizeof(line), "gondola: the sandbox refuses ");
	used = put(line, used, sizeof(line), kind_names[kind_here]);
	used = put(line, used, sizeof(line), " the call ");
	if (number < CALLS && call_names[number])
		used = put(line, used, sizeof(line), call_names[number]);
	used = put(line, used, sizeof(line), " (number ");
	used = put_number(line, used, sizeof(line), number);
	used = put(line, used, sizeof(line), "): the launcher ends\n");
	if (write(STDERR_FILENO, line, used) < 0)
		_exit(EXIT_CODE_ERROR);
	_exit(EXIT_CODE_ERROR);
}

int filters_watch(void (*last_words)(void))
{
	struct sigaction action = { .sa_sigaction = on_refusal, .sa_flags = SA_SIGINFO };

	last_words_fn = last_words;
	sigfillset(&action.sa_mask);
	return sigaction(SIGSYS, &action, NULL) ? -errno : 0;
}
