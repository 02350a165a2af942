// SPDX-License-Identifier: GPL-2.0-only
/* The kernel's help for a fuzzer: coverage, allocations that fail, and its complaints. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/types.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "fuzz.h"

/* Of <linux/kcov.h>, which not every system has. */
#define KCOV_INIT_TRACE	_IOR('c', 1, unsigned long)
#define KCOV_ENABLE	_IO('c', 100)
#define KCOV_TRACE_PC	0
#define KCOV_WORDS	(64ul << 10)
#define KCOV_FILE	"/sys/kernel/debug/kcov"

/* Of a hash of the addresses that were reached. */
#define REACHED_BITS	(1u << 20)

/* Of all processes that fuzz, so that none of them is content with what another knows. */
static struct {
	atomic_uchar bits[REACHED_BITS / 8];
	atomic_uint count;
} *reached;
static atomic_uint nr_new;
static int log_fd = -1;

static void write_file(const char *path, const char *words)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	if (fd < 0)
		return;
	if (write(fd, words, strlen(words)) < 0)
		perror(path);
	close(fd);
}

void kernel_begin(void)
{
	static const char *const kinds[] = { "failslab", "fail_page_alloc", "fail_usercopy" };
	char path[128];

	reached = mmap(NULL, sizeof(*reached), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
		       -1, 0);
	if (reached == MAP_FAILED)
		_exit(99);
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		snprintf(path, sizeof(path), "/sys/kernel/debug/%s/verbose", kinds[i]);
		write_file(path, "0");
		snprintf(path, sizeof(path), "/sys/kernel/debug/%s/ignore-gfp-wait", kinds[i]);
		write_file(path, "N");
	}
	log_fd = open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	if (log_fd >= 0)
		lseek(log_fd, 0, SEEK_END);
}

/* Each thread has a buffer of its own, which ends with it. */
void kernel_thread(struct worker *w)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/self/task/%d/fail-nth", w->tid);
	w->fail_nth = open(path, O_RDWR | O_CLOEXEC);
	w->coverage = NULL;
	w->kcov = open(KCOV_FILE, O_RDWR | O_CLOEXEC);
	if (w->kcov < 0)
		return;
	if (ioctl(w->kcov, KCOV_INIT_TRACE, KCOV_WORDS))
		return;
	w->coverage = mmap(NULL, KCOV_WORDS * 8, PROT_READ | PROT_WRITE, MAP_SHARED, w->kcov, 0);
	if (w->coverage == MAP_FAILED || ioctl(w->kcov, KCOV_ENABLE, KCOV_TRACE_PC))
		w->coverage = NULL;
}

static void block_kicks(bool block)
{
	sigset_t kick;

	sigemptyset(&kick);
	sigaddset(&kick, SIGUSR1);
	pthread_sigmask(block ? SIG_BLOCK : SIG_UNBLOCK, &kick, NULL);
}

/* Any allocation or copy may fail; a failing signal would be the end of us. */
void kernel_before_call(struct worker *w, bool may_fail)
{
	char words[16];
	int length;

	if (w->coverage)
		__atomic_store_n(&w->coverage[0], 0, __ATOMIC_RELAXED);
	if (w->fail_nth < 0 || !may_fail || !one_in(&w->random, 16))
		return;
	block_kicks(true);
	length = snprintf(words, sizeof(words), "%u", 1 + below(&w->random, 24));
	w->failing = pwrite(w->fail_nth, words, length, 0) == length;
}

static void stop_failing(struct worker *w)
{
	/* This may be what fails, but only once. */
	while (w->failing)
		w->failing = pwrite(w->fail_nth, "0", 1, 0) != 1;
	block_kicks(false);
}

static void note_address(uint64_t address)
{
	uint32_t bit = mix(address, 0) % REACHED_BITS;
	unsigned char mask = 1u << bit % 8;

	if (atomic_load_explicit(&reached->bits[bit / 8], memory_order_relaxed) & mask)
		return;
	if (atomic_fetch_or(&reached->bits[bit / 8], mask) & mask)
		return;
	atomic_fetch_add(&reached->count, 1);
	atomic_fetch_add(&nr_new, 1);
}

void kernel_after_call(struct worker *w)
{
	uint64_t count;

	stop_failing(w);
	if (!w->coverage)
		return;
	count = __atomic_load_n(&w->coverage[0], __ATOMIC_RELAXED);
	for (uint64_t i = 1; i <= count && i < KCOV_WORDS; i++)
		note_address(w->coverage[i]);
}

unsigned int kernel_new_code(void)
{
	return atomic_exchange(&nr_new, 0);
}

unsigned int kernel_reached(void)
{
	return atomic_load(&reached->count);
}

/* As tools/testing/machine/machine has them. */
static bool is_complaint(const char *line)
{
	static const char *const words[] = {
		"WARNING: ", "BUG: KASAN", "BUG: sleeping", "BUG: unable", "BUG: soft", "kernel BUG", "Oops: ", "general protection fault", "KASAN: ", "UBSAN: ",
		"BUG: workqueue", "BUG: Bad", "BUG: scheduling",
		"possible recursive locking", "refcount_t: ", "suspicious RCU usage",
		"gondola: audit", "INFO: task",
	};

	/* Launchers that write to a guest's tables do not tell the module. */
	if (strstr(line, "but in sync with"))
		return false;
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (strstr(line, words[i]))
			return true;
	return false;
}

bool kernel_complains(void)
{
	char line[2048];
	bool found = false;
	ssize_t got;

	if (log_fd < 0)
		return false;
	for (;;) {
		got = read(log_fd, line, sizeof(line) - 1);
		if (got < 0 && errno == EPIPE)
			continue;
		if (got <= 0)
			return found;
		line[got] = 0;
		found |= is_complaint(line);
		if (found)
			printf("# kernel: %s", strchr(line, ';') ? strchr(line, ';') + 1 : line);
	}
}

static size_t read_task_file(int tid, const char *name, char *text, size_t size)
{
	char path[64];
	ssize_t got;
	int fd;

	snprintf(path, sizeof(path), "/proc/self/task/%d/%s", tid, name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	got = fd < 0 ? 0 : read(fd, text, size - 1);
	if (fd >= 0)
		close(fd);
	text[got > 0 ? got : 0] = 0;
	return strcspn(text, "\n");
}

void kernel_times(int tid, unsigned long ticks[2])
{
	char text[1024];

	ticks[0] = 0;
	ticks[1] = 0;
	read_task_file(tid, "stat", text, sizeof(text));
	if (strrchr(text, ')'))
		sscanf(strrchr(text, ')'), ") %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu",
		       &ticks[0], &ticks[1]);
}

static void print_task(int tid)
{
	static const char *const names[] = { "stat", "wchan", "syscall" };
	char text[2048];

	printf("# task %d:", tid);
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		int length = read_task_file(tid, names[i], text, sizeof(text));

		/* Of its statistics, the name and the state are of interest. */
		if (!i && strrchr(text, ')'))
			length = strrchr(text, ')') + 3 - text;
		printf(" %s: %.*s", names[i], length, text);
	}
	read_task_file(tid, "stack", text, sizeof(text));
	printf("\n%s", text);
}

void kernel_threads(void)
{
	DIR *tasks = opendir("/proc/self/task");
	struct dirent *task;

	while (tasks && (task = readdir(tasks)))
		if (atoi(task->d_name))
			print_task(atoi(task->d_name));
	if (tasks)
		closedir(tasks);
	/* Those that are blocked, of whatever process, and what the processors do. */
	write_file("/proc/sysrq-trigger", "w");
	write_file("/proc/sysrq-trigger", "l");
}

long long kernel_number(const char *name)
{
	char path[128], words[64];
	ssize_t got;
	int fd;

	snprintf(path, sizeof(path), "/sys/kernel/debug/gondola/%s", name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -1;
	got = read(fd, words, sizeof(words) - 1);
	close(fd);
	if (got <= 0)
		return -1;
	words[got] = 0;
	return strtoll(words, NULL, 10);
}

unsigned int kernel_own_vms(void)
{
	FILE *list = fopen("/sys/kernel/debug/gondola/list", "re");
	unsigned int count = 0;
	char line[256];
	int pid;

	if (!list)
		return 0;
	while (fgets(line, sizeof(line), list))
		count += sscanf(line, "%*u %d", &pid) == 1 && pid == getpid();
	fclose(list);
	return count;
}
