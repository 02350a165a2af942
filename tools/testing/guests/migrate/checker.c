// SPDX-License-Identifier: GPL-2.0-only
/*
 * A workload that checks itself, for a guest that is moved while it works.
 *
 * usage: checker idle|web|build|adversarial
 *
 * Beside the workload a counter counts, a walker goes through checksummed pages, and a
 * timer ticks 100 times a second. It prints a line a second:
 *   CHECK seconds=N ticks=N walks=N work=N errors=N
 * errors: memory that is not as it was left, a clock that went back, a tick that was
 * lost. After an error it prints what it was as "CHECK-ERROR ...".
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define PAGE		4096u
#define WORDS		(PAGE / 8)
#define TICK_NS		10000000ull
#define NS		1000000000ull
#define WALK_PAGES	256u		/* the walker's: 1 MiB, a page now and then */
#define HOT_PAGES	1024u		/* web: 4 MiB */

static unsigned long errors, walks, work, ticks;

__attribute__((format(printf, 1, 2)))
static void error(const char *format, ...)
{
	va_list args;

	__atomic_add_fetch(&errors, 1, __ATOMIC_RELAXED);
	printf("CHECK-ERROR ");
	va_start(args, format);
	vprintf(format, args);
	va_end(args);
	printf("\n");
	fflush(stdout);
}

static uint64_t now(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return t.tv_sec * NS + t.tv_nsec;
}

static void rest(unsigned long us)
{
	struct timespec t = { us / 1000000, us % 1000000 * 1000 };

	nanosleep(&t, NULL);
}

static uint64_t *allocate(size_t pages)
{
	void *at = mmap(NULL, pages * PAGE, PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);

	if (at == MAP_FAILED) {
		error("no memory: %s", strerror(errno));
		exit(1);
	}
	return at;
}

/* ---- pages that know what they hold ------------------------------------------------------ */

static uint64_t mix(uint64_t value)
{
	value ^= value >> 31;
	value *= 0x7fb5d329728ea185ull;
	value ^= value >> 27;
	return value;
}

/* The first word counts; the others follow from it and the page's number. */
static void write_page(uint64_t *at, uint64_t page, uint64_t count, size_t words)
{
	at[0] = count;
	for (size_t i = 1; i < words; i++)
		at[i] = mix(page << 32 ^ count << 12 ^ i);
}

static int page_is_right(const uint64_t *at, uint64_t page, size_t words)
{
	for (size_t i = 1; i < words; i++)
		if (at[i] != mix(page << 32 ^ at[0] << 12 ^ i))
			return 0;
	return 1;
}

static void touch_page(uint64_t *base, uint64_t page, size_t words, const char *who)
{
	uint64_t *at = base + page * WORDS;

	if (!page_is_right(at, page, words))
		error("%s: page %llu is not as it was left", who, (unsigned long long)page);
	write_page(at, page, at[0] + 1, words);
}

/* ---- what always runs --------------------------------------------------------------------- */

static void *walker(void *argument)
{
	uint64_t *pages = allocate(WALK_PAGES);

	(void)argument;
	for (uint64_t page = 0; page < WALK_PAGES; page++)
		write_page(pages + page * WORDS, page, 0, WORDS);
	for (;;) {
		for (uint64_t page = 0; page < WALK_PAGES; page++) {
			if (page % 16)
				/* Read most, change some. */
				page_is_right(pages + page * WORDS, page, WORDS) ?:
					(error("walker: page %llu", (unsigned long long)page), 0);
			else
				touch_page(pages, page, WORDS, "walker");
			rest(2000);
		}
		walks++;
	}
	return NULL;
}

static void *clocks(void *argument)
{
	uint64_t monotonic = now(CLOCK_MONOTONIC), real = now(CLOCK_REALTIME), at;

	(void)argument;
	for (;;) {
		at = now(CLOCK_MONOTONIC);
		if (at < monotonic)
			error("the monotonic clock went back by %llu ns",
			      (unsigned long long)(monotonic - at));
		monotonic = at;
		at = now(CLOCK_REALTIME);
		if (at < real)
			error("the real-time clock went back by %llu ns",
			      (unsigned long long)(real - at));
		real = at;
		rest(1000);
	}
	return NULL;
}

/* Every tick that is due is told, some of them late. */
static void *timer(void *argument)
{
	struct itimerspec period = {
		.it_interval.tv_nsec = TICK_NS, .it_value.tv_nsec = TICK_NS,
	};
	int fd = timerfd_create(CLOCK_MONOTONIC, 0);
	uint64_t earliest = now(CLOCK_MONOTONIC), latest, count, due;

	(void)argument;
	timerfd_settime(fd, 0, &period, NULL);
	/* It began between the two, which on a busy guest are some ticks apart. */
	latest = now(CLOCK_MONOTONIC);
	for (;;) {
		uint64_t before = (now(CLOCK_MONOTONIC) - latest) / TICK_NS;

		if (read(fd, &count, sizeof(count)) != sizeof(count))
			break;
		ticks += count;
		due = (now(CLOCK_MONOTONIC) - earliest) / TICK_NS;
		/* One more or less: where a tick falls is not known to the nanosecond. */
		if (ticks + 1 < before)
			error("%llu ticks were due, %lu came", (unsigned long long)before, ticks);
		if (ticks > due + 1)
			error("%lu ticks came, %llu were due", ticks, (unsigned long long)due);
	}
	error("the timer ended");
	return NULL;
}

/* ---- workloads ----------------------------------------------------------------------------- */

static void *idle(void *argument)
{
	(void)argument;
	for (;;) {
		work++;
		rest(1000000);
	}
	return NULL;
}

/* Requests: each changes a few pages of a hot set, a little of each. */
static void *web(void *argument)
{
	uint64_t *pages = allocate(HOT_PAGES), random = 1;

	(void)argument;
	for (uint64_t page = 0; page < HOT_PAGES; page++)
		write_page(pages + page * WORDS, page, 0, 32);
	for (;;) {
		for (int i = 0; i < 8; i++) {
			random = random * 6364136223846793005ull + 1442695040888963407ull;
			touch_page(pages, (random >> 33) % HOT_PAGES, 32, "web");
		}
		work++;
		rest(10000);
	}
	return NULL;
}

/* Compiling, more or less: a process each time, which reads and writes files. */
static void compile(unsigned long number)
{
	static uint64_t buffer[64 * 1024 / 8];
	char name[64];
	int fd;

	snprintf(name, sizeof(name), "/tmp/object-%lu", number % 64);
	for (size_t i = 0; i < sizeof(buffer) / PAGE; i++)
		write_page(buffer + i * WORDS, number, i, WORDS);
	fd = open(name, O_RDWR | O_CREAT | O_TRUNC, 0600);
	if (fd < 0 || write(fd, buffer, sizeof(buffer)) != sizeof(buffer))
		_exit(1);
	memset(buffer, 0, sizeof(buffer));
	if (pread(fd, buffer, sizeof(buffer), 0) != sizeof(buffer))
		_exit(1);
	for (size_t i = 0; i < sizeof(buffer) / PAGE; i++)
		if (buffer[i * WORDS] != i || !page_is_right(buffer + i * WORDS, number, WORDS))
			_exit(2);
	_exit(0);
}

static void *build(void *argument)
{
	(void)argument;
	for (;;) {
		pid_t child = fork();
		int status;

		if (!child)
			compile(work);
		if (child < 0 || waitpid(child, &status, 0) != child)
			error("no process: %s", strerror(errno));
		else if (status)
			error("process %lu ended with 0x%x", work, status);
		work++;
		rest(20000);
	}
	return NULL;
}

/* All memory that there is, every byte of it, in a loop. */
static void *adversarial(void *argument)
{
	size_t pages = sysconf(_SC_AVPHYS_PAGES) * 7 / 10;
	uint64_t *base = allocate(pages);

	(void)argument;
	for (uint64_t page = 0; page < pages; page++)
		write_page(base + page * WORDS, page, 0, WORDS);
	printf("CHECK-PAGES %zu\n", pages);
	for (;;) {
		for (uint64_t page = 0; page < pages; page++)
			touch_page(base, page, WORDS, "adversarial");
		work++;
	}
	return NULL;
}

static const struct {
	const char *name;
	void *(*run)(void *argument);
} workloads[] = {
	{ "idle", idle }, { "web", web }, { "build", build }, { "adversarial", adversarial },
};

static void start(void *(*run)(void *argument))
{
	pthread_t thread;

	if (pthread_create(&thread, NULL, run, NULL)) {
		error("no thread");
		exit(1);
	}
}

int main(int argc, char **argv)
{
	void *(*run)(void *argument) = NULL;

	for (size_t i = 0; i < sizeof(workloads) / sizeof(workloads[0]); i++)
		if (argc == 2 && !strcmp(argv[1], workloads[i].name))
			run = workloads[i].run;
	if (!run) {
		fprintf(stderr, "usage: checker idle|web|build|adversarial\n");
		return 2;
	}
	setvbuf(stdout, NULL, _IOLBF, 0);
	start(walker);
	start(clocks);
	start(timer);
	start(run);
	for (unsigned long seconds = 0;; seconds++) {
		printf("CHECK seconds=%lu ticks=%lu walks=%lu work=%lu errors=%lu\n", seconds,
		       ticks, walks, work, errors);
		rest(1000000);
	}
}
