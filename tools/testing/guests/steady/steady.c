// SPDX-License-Identifier: GPL-2.0-only
/*
 * A workload that notices what must not happen to a guest that is paused,
 * saved, moved and resumed: a byte of memory or disk that changes, a count that
 * falls back, a clock that goes back or jumps, a tick that is lost.
 *
 * usage: steady SECONDS [MEBIBYTES [GAP-MS]]
 *	SECONDS: at most; SIGTERM ends it as well
 *	GAP-MS: no clock may jump by more between two looks (default 10000)
 *
 * Prints "STEADY second=N ..." each second, at once what is wrong, and at the
 * end "STEADY end ... status=ok" or "status=failed"; the exit status is 0 or 1.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#define PAGE		4096u
#define WORDS		(PAGE / sizeof(uint64_t))
#define NS		1000000000ul
#define MS		1000000ul
#define TICK_NS		(10 * MS)
#define DISK		"/dev/vda"
#define DISK_BLOCKS	256u
#define MAX_CPUS	16

static atomic_bool stop;
static atomic_int failures;
static atomic_ulong pages_checked, blocks_checked, ticks_counted, longest_gap;
static struct {
	atomic_ulong up;
	atomic_ulong down;
} counter = { 0, ~0ul };
static uint64_t gap_limit = 10000 * MS;

static void fail(const char *format, ...) __attribute__((format(printf, 1, 2)));

static void fail(const char *format, ...)
{
	va_list args;

	if (atomic_fetch_add(&failures, 1) < 10) {
		char words[256];

		va_start(args, format);
		vsnprintf(words, sizeof(words), format, args);
		va_end(args);
		printf("STEADY wrong: %s\n", words);
		fflush(stdout);
	}
}

static uint64_t now(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return t.tv_sec * NS + t.tv_nsec;
}

static uint64_t mix(uint64_t x)
{
	x = (x ^ x >> 31) * 0x7fb5d329728ea185ull;
	x = (x ^ x >> 27) * 0x81dadef4bc2dd44dull;
	return x ^ x >> 33;
}

/* ---- memory: each page says which it is and how often it was written ---------------- */

struct walker {
	uint64_t *memory;
	uint64_t pages;
	uint64_t seed;
};

static void fill_page(uint64_t *page, uint64_t key)
{
	for (unsigned int i = 0; i < WORDS; i++)
		page[i] = key + i * 0x9e3779b97f4a7c15ull;
}

static bool check_page(const uint64_t *page, uint64_t key)
{
	uint64_t wrong = 0;

	for (unsigned int i = 0; i < WORDS; i++)
		wrong |= page[i] ^ (key + i * 0x9e3779b97f4a7c15ull);
	return !wrong;
}

static void *walk(void *argument)
{
	struct walker *w = argument;

	for (uint64_t pass = 0; !atomic_load(&stop); pass++)
		for (uint64_t i = 0; i < w->pages && !atomic_load(&stop); i++) {
			uint64_t *page = w->memory + i * WORDS;

			if (pass && !check_page(page, mix(w->seed + i * 1000003 + pass - 1)))
				fail("page %lu of walker %lu is not what it was in pass %lu", i,
				     w->seed, pass - 1);
			fill_page(page, mix(w->seed + i * 1000003 + pass));
			atomic_fetch_add(&pages_checked, 1);
			atomic_fetch_add(&counter.up, 1);
			atomic_fetch_sub(&counter.down, 1);
		}
	return NULL;
}

/* ---- clocks ---------------------------------------------------------------------------- */

static void *watch_clocks(void *argument)
{
	static const clockid_t clocks[] = { CLOCK_MONOTONIC, CLOCK_MONOTONIC_RAW, CLOCK_BOOTTIME,
					    CLOCK_MONOTONIC_COARSE };
	uint64_t last[4], first[4], count = 0;

	(void)argument;
	for (int i = 0; i < 4; i++)
		first[i] = last[i] = now(clocks[i]);
	while (!atomic_load(&stop)) {
		uint64_t t[4], up = atomic_load(&counter.up);

		for (int i = 0; i < 4; i++) {
			t[i] = now(clocks[i]);
			if (t[i] < last[i])
				fail("clock %d went back by %lu ns", clocks[i], last[i] - t[i]);
			else if (t[i] - last[i] > gap_limit)
				fail("clock %d jumped by %lu ms", clocks[i], (t[i] - last[i]) / MS);
			last[i] = t[i];
		}
		if (t[2] - first[2] > t[0] - first[0] + NS)
			fail("CLOCK_BOOTTIME is ahead of CLOCK_MONOTONIC: it saw a suspend");
		/* The tick keeps it: it lags by what ticks came late. */
		if (t[0] > t[3] && t[0] - t[3] > gap_limit)
			fail("the tick is %lu ms behind", (t[0] - t[3]) / MS);
		if (up < count)
			fail("the counter fell from %lu to %lu", count, up);
		count = up;
		sched_yield();
		usleep(2000);
		t[0] = now(CLOCK_MONOTONIC) - last[0];
		if (t[0] > atomic_load(&longest_gap))
			atomic_store(&longest_gap, t[0]);
	}
	return NULL;
}

/* One processor after the other: no two of them may disagree about the time. */
static void *hop(void *argument)
{
	unsigned int cpus = sysconf(_SC_NPROCESSORS_ONLN);
	uint64_t last = 0;

	(void)argument;
	for (unsigned int i = 0; !atomic_load(&stop); i++) {
		cpu_set_t set;
		uint64_t t;

		CPU_ZERO(&set);
		CPU_SET(i % cpus, &set);
		sched_setaffinity(0, sizeof(set), &set);
		t = now(CLOCK_MONOTONIC);
		if (t < last)
			fail("the clock of processor %u is %lu ns behind another's", i % cpus,
			     last - t);
		last = t;
		usleep(1000);
	}
	return NULL;
}

/* ---- timers ------------------------------------------------------------------------------ */

static void *count_ticks(void *argument)
{
	struct itimerspec period = { .it_value = { .tv_nsec = TICK_NS },
				     .it_interval = { .tv_nsec = TICK_NS } };
	int fd = timerfd_create(CLOCK_MONOTONIC, 0);
	uint64_t start = now(CLOCK_MONOTONIC), all = 0, count;

	(void)argument;
	timerfd_settime(fd, 0, &period, NULL);
	while (!atomic_load(&stop)) {
		uint64_t before, after;

		if (read(fd, &count, sizeof(count)) != sizeof(count))
			continue;
		all += count;
		before = (now(CLOCK_MONOTONIC) - start) / TICK_NS;
		atomic_store(&ticks_counted, all);
		/* It cannot have ticked more often than time has passed; what lags is read next. */
		if (all > before + 1)
			fail("the timer ticked %lu times in the time of %lu", all, before);
		after = before - all;
		if (all < before && after > gap_limit / TICK_NS)
			fail("the timer lost %lu ticks", after);
	}
	close(fd);
	return NULL;
}

/* ---- disk ------------------------------------------------------------------------------------ */

static void *use_disk(void *argument)
{
	uint64_t *block = aligned_alloc(PAGE, PAGE), passes[DISK_BLOCKS] = { 0 }, random = 4711;
	int fd = open(DISK, O_RDWR | O_DIRECT);

	(void)argument;
	while (fd >= 0 && !atomic_load(&stop)) {
		unsigned int i;

		random = mix(random + 1);
		i = random % DISK_BLOCKS;
		if (passes[i]) {
			if (pread(fd, block, PAGE, (off_t)i * PAGE) != PAGE)
				fail("block %u cannot be read: %s", i, strerror(errno));
			else if (!check_page(block, mix(i * 7919 + passes[i])))
				fail("block %u is not what was written to it", i);
		}
		passes[i]++;
		fill_page(block, mix(i * 7919 + passes[i]));
		if (pwrite(fd, block, PAGE, (off_t)i * PAGE) != PAGE)
			fail("block %u cannot be written: %s", i, strerror(errno));
		atomic_fetch_add(&blocks_checked, 1);
		usleep(2000);
	}
	free(block);
	return NULL;
}

static void end(int signal)
{
	(void)signal;
	atomic_store(&stop, true);
}

static void start(void *(*run)(void *), void *argument)
{
	pthread_t thread;
	int ret = pthread_create(&thread, NULL, run, argument);

	if (ret)
		fail("no thread: %s", strerror(ret));
}

int main(int argc, char **argv)
{
	unsigned int seconds = argc > 1 ? atoi(argv[1]) : 10, cpus = sysconf(_SC_NPROCESSORS_ONLN);
	uint64_t bytes = (argc > 2 ? strtoull(argv[2], NULL, 10) : 32) << 20;
	static struct walker walkers[MAX_CPUS];
	uint8_t *memory;

	if (argc > 3)
		gap_limit = strtoull(argv[3], NULL, 10) * MS;
	cpus = cpus < MAX_CPUS ? cpus : MAX_CPUS;
	memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (memory == MAP_FAILED) {
		printf("STEADY end status=failed: no memory\n");
		return 1;
	}
	signal(SIGTERM, end);
	start(watch_clocks, NULL);
	start(hop, NULL);
	start(count_ticks, NULL);
	if (!access(DISK, R_OK | W_OK))
		start(use_disk, NULL);
	for (unsigned int i = 0; i < cpus; i++) {
		uint64_t pages = bytes / PAGE / cpus;

		walkers[i] = (struct walker){ (uint64_t *)memory + i * pages * WORDS, pages, i };
		start(walk, &walkers[i]);
	}
	for (unsigned int i = 1; i <= seconds && !atomic_load(&stop); i++) {
		sleep(1);
		printf("STEADY second=%u counter=%lu ticks=%lu blocks=%lu gap_ms=%lu failures=%d\n", i,
		       atomic_load(&counter.up), atomic_load(&ticks_counted),
		       atomic_load(&blocks_checked), atomic_load(&longest_gap) / MS,
		       atomic_load(&failures));
		fflush(stdout);
	}
	atomic_store(&stop, true);
	usleep(100000);
	if (atomic_load(&counter.up) + atomic_load(&counter.down) != ~0ul)
		fail("the counter and its complement do not agree");
	printf("STEADY end pages=%lu ticks=%lu blocks=%lu gap_ms=%lu status=%s\n",
	       atomic_load(&pages_checked), atomic_load(&ticks_counted),
	       atomic_load(&blocks_checked), atomic_load(&longest_gap) / MS,
	       atomic_load(&failures) ? "failed" : "ok");
	fflush(stdout);
	return atomic_load(&failures) ? 1 : 0;
}
