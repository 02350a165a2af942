// SPDX-License-Identifier: GPL-2.0-only
/*
 * A stress for guests with several processors that checks itself.  Each part
 * runs one or two threads on each processor for a while and looks for what must
 * never happen: a lost wake-up, a stale translation, a page with another's
 * content, a sleep that is too short, a clock that goes back.
 *
 * usage: stress [SECONDS [PART...]]	seconds for each part (default 2)
 *
 * Prints "STRESS part=NAME cpus=N rounds=N status=ok" for each, or
 * status=failed and why; the exit status is 0 or 1.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define MAX_THREADS	32
#define PAGE		4096u
#define NS		1000000000ull

struct worker {
	pthread_t thread;
	unsigned int id;
	uint64_t rounds;
	uint64_t random;
};

static struct worker workers[MAX_THREADS];
static unsigned int nr_cpus, nr_workers;
static atomic_bool stop;
static atomic_int failures;
static const char *part_name;

static void fail(const char *format, ...) __attribute__((format(printf, 1, 2)));

static void fail(const char *format, ...)
{
	va_list args;

	/* One is enough to know; a storm of them would hide it. */
	if (atomic_fetch_add(&failures, 1) < 5) {
		char words[256];

		va_start(args, format);
		vsnprintf(words, sizeof(words), format, args);
		va_end(args);
		printf("STRESS %s: %s\n", part_name, words);
		fflush(stdout);
	}
	atomic_store(&stop, true);
}

static uint64_t now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * NS + t.tv_nsec;
}

static uint64_t next_random(struct worker *w)
{
	w->random ^= w->random << 13;
	w->random ^= w->random >> 7;
	w->random ^= w->random << 17;
	return w->random;
}

/* ---- futexes: a token goes round a ring, and counters under a contended lock ------ */

static pthread_mutex_t ring_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t ring_turn[MAX_THREADS];
static unsigned int ring_at;
static uint64_t ring_rounds, locked_count;
static pthread_mutex_t count_lock = PTHREAD_MUTEX_INITIALIZER;

static void *futex_worker(void *arg)
{
	struct worker *w = arg;

	while (!atomic_load(&stop)) {
		pthread_mutex_lock(&ring_lock);
		while (ring_at != w->id && !atomic_load(&stop))
			pthread_cond_wait(&ring_turn[w->id], &ring_lock);
		if (!atomic_load(&stop)) {
			ring_at = (ring_at + 1) % nr_workers;
			ring_rounds++;
		}
		pthread_cond_signal(&ring_turn[ring_at]);
		pthread_mutex_unlock(&ring_lock);
		for (int i = 0; i < 20; i++) {
			pthread_mutex_lock(&count_lock);
			locked_count++;
			pthread_mutex_unlock(&count_lock);
		}
		w->rounds++;
	}
	pthread_mutex_lock(&ring_lock);
	for (unsigned int i = 0; i < nr_workers; i++)
		pthread_cond_signal(&ring_turn[i]);
	pthread_mutex_unlock(&ring_lock);
	return NULL;
}

static void futex_begin(void)
{
	ring_at = 0;
	ring_rounds = 0;
	locked_count = 0;
	for (unsigned int i = 0; i < nr_workers; i++)
		pthread_cond_init(&ring_turn[i], NULL);
}

static void futex_end(uint64_t rounds)
{
	if (locked_count != rounds * 20)
		fail("%llu increments under a lock, %llu arrived",
		     (unsigned long long)rounds * 20, (unsigned long long)locked_count);
	if (!ring_rounds)
		fail("the token never moved");
}

/* The main thread must find the token moving. */
static void futex_watch(void)
{
	static uint64_t last;

	pthread_mutex_lock(&ring_lock);
	if (ring_rounds && ring_rounds == last)
		fail("the token stands still at thread %u", ring_at);
	last = ring_rounds;
	pthread_mutex_unlock(&ring_lock);
}

/* ---- fork: children see what was there, and their writes stay theirs --------------- */

#define FORK_PAGES	32

static void fill(uint32_t *page, uint32_t seed)
{
	for (unsigned int i = 0; i < PAGE / 4; i += 16)
		page[i] = seed ^ i * 2654435761u;
}

static bool filled(const uint32_t *page, uint32_t seed)
{
	for (unsigned int i = 0; i < PAGE / 4; i += 16)
		if (page[i] != (seed ^ i * 2654435761u))
			return false;
	return true;
}

static void fork_child(uint8_t *memory, uint32_t seed)
{
	for (unsigned int i = 0; i < FORK_PAGES; i++) {
		uint32_t *page = (uint32_t *)(memory + i * PAGE);

		if (!filled(page, seed + i))
			_exit(2);
		if (i & 1)
			fill(page, ~seed - i);
	}
	for (unsigned int i = 1; i < FORK_PAGES; i += 2)
		if (!filled((uint32_t *)(memory + i * PAGE), ~seed - i))
			_exit(3);
	_exit(42);
}

static void *fork_worker(void *arg)
{
	struct worker *w = arg;
	uint8_t *memory = mmap(NULL, FORK_PAGES * PAGE, PROT_READ | PROT_WRITE,
			       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (memory == MAP_FAILED) {
		fail("mmap: %s", strerror(errno));
		return NULL;
	}
	while (!atomic_load(&stop)) {
		uint32_t seed = next_random(w);
		int status = 0;
		pid_t child;

		for (unsigned int i = 0; i < FORK_PAGES; i++)
			fill((uint32_t *)(memory + i * PAGE), seed + i);
		child = fork();
		if (child < 0) {
			fail("fork: %s", strerror(errno));
			break;
		}
		if (!child)
			fork_child(memory, seed);
		/* Meanwhile the parent writes as well. */
		for (unsigned int i = 0; i < FORK_PAGES; i += 3)
			fill((uint32_t *)(memory + i * PAGE), seed + 1000 + i);
		if (waitpid(child, &status, 0) != child || status != 42 << 8)
			fail("a child ended with 0x%x", status);
		for (unsigned int i = 0; i < FORK_PAGES; i++)
			if (!filled((uint32_t *)(memory + i * PAGE),
				    seed + (i % 3 ? 0 : 1000) + i))
				fail("page %u of a parent changed", i);
		w->rounds++;
	}
	munmap(memory, FORK_PAGES * PAGE);
	return NULL;
}

/* ---- mmap: each thread's own mappings, made and undone in one address space --------- */

static void *mmap_worker(void *arg)
{
	struct worker *w = arg;

	while (!atomic_load(&stop)) {
		unsigned int pages = 1 + next_random(w) % 64;
		uint32_t seed = next_random(w);
		uint8_t *memory = mmap(NULL, pages * PAGE, PROT_READ | PROT_WRITE,
				       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

		if (memory == MAP_FAILED) {
			fail("mmap: %s", strerror(errno));
			break;
		}
		for (unsigned int i = 0; i < pages; i++) {
			uint32_t *page = (uint32_t *)(memory + i * PAGE);

			for (unsigned int j = 0; j < PAGE / 4; j += 16)
				if (page[j])
					fail("a fresh page is not empty");
			fill(page, seed + i);
		}
		if (mprotect(memory, pages / 2 * PAGE, PROT_READ) && pages / 2)
			fail("mprotect: %s", strerror(errno));
		for (unsigned int i = 0; i < pages; i++)
			if (!filled((uint32_t *)(memory + i * PAGE), seed + i))
				fail("page %u of %u holds another's data", i, pages);
		if (munmap(memory, pages * PAGE))
			fail("munmap: %s", strerror(errno));
		w->rounds++;
	}
	return NULL;
}

/*
 * ---- remap: one thread exchanges the page at an address, all others look ------------
 *
 * Page g of a file says g.  After the exchange has returned, nobody may see an
 * older one: that would be a translation that outlived its shootdown.
 */

#define REMAP_PAGES	512

static int remap_file = -1;
static uint8_t *remap_at;
static atomic_uint remap_done;

static void remap_begin(void)
{
	static uint8_t buffer[PAGE];

	remap_file = memfd_create("stress", 0);
	if (remap_file < 0) {
		fail("memfd_create: %s", strerror(errno));
		return;
	}
	for (unsigned int i = 0; i < REMAP_PAGES; i++) {
		memcpy(buffer, &i, sizeof(i));
		if (write(remap_file, buffer, PAGE) != (ssize_t)PAGE)
			fail("write: %s", strerror(errno));
	}
	remap_at = mmap(NULL, PAGE, PROT_READ, MAP_SHARED, remap_file, 0);
	if (remap_at == MAP_FAILED)
		fail("mmap: %s", strerror(errno));
	atomic_store(&remap_done, 0);
}

static void remap_write(struct worker *w)
{
	unsigned int g = atomic_load(&remap_done) + 1;

	if (mmap(remap_at, PAGE, PROT_READ, MAP_SHARED | MAP_FIXED, remap_file,
		 (off_t)(g % REMAP_PAGES) * PAGE) == MAP_FAILED)
		fail("mmap: %s", strerror(errno));
	atomic_store(&remap_done, g);
	w->rounds++;
}

static void *remap_worker(void *arg)
{
	struct worker *w = arg;

	while (!atomic_load(&stop)) {
		unsigned int before, after, seen;

		if (!w->id) {
			remap_write(w);
			continue;
		}
		before = atomic_load(&remap_done);
		seen = *(volatile unsigned int *)remap_at;
		after = atomic_load(&remap_done);
		/* The page may be one further than what is announced. */
		if ((seen - before) % REMAP_PAGES > after - before + 1 &&
		    after - before < REMAP_PAGES / 2)
			fail("generation %u seen, it was %u before and %u after", seen,
			     before % REMAP_PAGES, after % REMAP_PAGES);
		w->rounds++;
	}
	return NULL;
}

static void remap_end(uint64_t rounds)
{
	(void)rounds;
	munmap(remap_at, PAGE);
	close(remap_file);
	if (nr_workers > 1 && !workers[0].rounds)
		fail("nothing was exchanged");
}

/* ---- protect: writes must fault from the moment on that mprotect() returned --------- */

static uint8_t *guard_page;
static atomic_uint guard_closed;
static __thread sigjmp_buf guard_buffer, *guard_escape;

static void guard_fault(int signal)
{
	(void)signal;
	if (guard_escape)
		siglongjmp(*guard_escape, 1);
	_exit(9);
}

static void protect_begin(void)
{
	struct sigaction action = { .sa_handler = guard_fault, .sa_flags = SA_NODEFER };

	guard_page = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	atomic_store(&guard_closed, 0);
	sigaction(SIGSEGV, &action, NULL);
}

static void protect_owner(struct worker *w)
{
	mprotect(guard_page, PAGE, PROT_READ);
	atomic_fetch_add(&guard_closed, 1);		/* odd: closed */
	for (int i = 0; i < 50; i++)
		if (*(volatile unsigned int *)guard_page != *(volatile unsigned int *)guard_page)
			fail("a read-only page changes");
	atomic_fetch_add(&guard_closed, 1);
	mprotect(guard_page, PAGE, PROT_READ | PROT_WRITE);
	w->rounds++;
}

static void *protect_worker(void *arg)
{
	struct worker *w = arg;

	while (!atomic_load(&stop)) {
		volatile unsigned int before;

		if (!w->id) {
			protect_owner(w);
			continue;
		}
		guard_escape = &guard_buffer;
		before = atomic_load(&guard_closed);
		if (!sigsetjmp(guard_buffer, 0)) {
			++*(volatile unsigned int *)guard_page;
			if (before & 1 && atomic_load(&guard_closed) == before)
				fail("a write went to a page that was closed");
		}
		guard_escape = NULL;
		w->rounds++;
	}
	return NULL;
}

static void protect_end(uint64_t rounds)
{
	(void)rounds;
	signal(SIGSEGV, SIG_DFL);
	munmap(guard_page, PAGE);
}

/* ---- signals: as many handlers as signals, each answered ----------------------------- */

static atomic_ullong signals_seen[MAX_THREADS];
static __thread struct worker *myself;

static void on_signal(int signal)
{
	(void)signal;
	if (myself)
		atomic_fetch_add(&signals_seen[myself->id], 1);
}

static atomic_uint signals_ready;

static void signal_begin(void)
{
	struct sigaction action = { .sa_handler = on_signal };

	for (unsigned int i = 0; i < MAX_THREADS; i++)
		atomic_store(&signals_seen[i], 0);
	atomic_store(&signals_ready, 0);
	sigaction(SIGUSR1, &action, NULL);
}

static void *signal_worker(void *arg)
{
	struct worker *w = arg;
	unsigned int to = (w->id + 1) % nr_workers;

	myself = w;
	atomic_fetch_add(&signals_ready, 1);
	while (atomic_load(&signals_ready) < nr_workers)
		sched_yield();
	while (!atomic_load(&stop)) {
		uint64_t before = atomic_load(&signals_seen[to]), until = now() + 10 * NS;

		pthread_kill(workers[to].thread, SIGUSR1);
		while (atomic_load(&signals_seen[to]) == before) {
			if (now() > until) {
				fail("a signal was lost");
				break;
			}
			sched_yield();
		}
		w->rounds++;
	}
	/* No thread may end while others still signal it. */
	atomic_fetch_add(&signals_ready, 1);
	while (atomic_load(&signals_ready) < 2 * nr_workers)
		sched_yield();
	return NULL;
}

/* ---- timers: sleeps are never short, and end at all ----------------------------------- */

static atomic_ullong latest_wake;

static void *timer_worker(void *arg)
{
	struct worker *w = arg;

	while (!atomic_load(&stop)) {
		uint64_t ns = 1000 + next_random(w) % 3000000, before = now(), after;
		struct timespec t = { .tv_nsec = (long)ns };

		nanosleep(&t, NULL);
		after = now();
		if (after - before < ns)
			fail("a sleep of %llu ns took %llu", (unsigned long long)ns,
			     (unsigned long long)(after - before));
		if (after - before > atomic_load(&latest_wake))
			atomic_store(&latest_wake, after - before);
		w->rounds++;
	}
	return NULL;
}

static void timer_end(uint64_t rounds)
{
	(void)rounds;
	if (atomic_load(&latest_wake) > 5 * NS)
		fail("a sleep of milliseconds took %llu ms",
		     (unsigned long long)atomic_load(&latest_wake) / 1000000);
	atomic_store(&latest_wake, 0);
}

/* ---- clock: who reads it after another reads no less ---------------------------------- */

static atomic_ullong last_time;

static void *clock_worker(void *arg)
{
	struct worker *w = arg;

	while (!atomic_load(&stop)) {
		for (int i = 0; i < 100; i++) {
			unsigned long long last = atomic_load(&last_time), t = now();

			if (t < last)
				fail("the clock went back by %llu ns", last - t);
			while (last < t && !atomic_compare_exchange_weak(&last_time, &last, t))
				;
		}
		w->rounds++;
	}
	return NULL;
}

/* ---- running them ------------------------------------------------------------------------ */

static const struct part {
	const char *name;
	void *(*worker)(void *arg);
	void (*begin)(void);
	void (*end)(uint64_t rounds);
	void (*watch)(void);
	bool pinned;
	unsigned int per_cpu;
} parts[] = {
	{ "futex", futex_worker, futex_begin, futex_end, futex_watch, .per_cpu = 2 },
	{ "fork", fork_worker, .per_cpu = 1 },
	{ "mmap", mmap_worker, .per_cpu = 2 },
	{ "remap", remap_worker, remap_begin, remap_end, .per_cpu = 1, .pinned = true },
	{ "protect", protect_worker, protect_begin, protect_end, .per_cpu = 1, .pinned = true },
	{ "signal", signal_worker, signal_begin, .per_cpu = 1 },
	{ "timer", timer_worker, .end = timer_end, .per_cpu = 2 },
	{ "clock", clock_worker, .per_cpu = 1, .pinned = true },
};

static void start(const struct part *part, unsigned int id)
{
	pthread_attr_t attr;
	cpu_set_t cpus;
	int err;

	workers[id] = (struct worker){ .id = id, .random = 88172645463325252ull + id * 977 };
	pthread_attr_init(&attr);
	if (part->pinned) {
		CPU_ZERO(&cpus);
		CPU_SET(id % nr_cpus, &cpus);
		pthread_attr_setaffinity_np(&attr, sizeof(cpus), &cpus);
	}
	err = pthread_create(&workers[id].thread, &attr, part->worker, &workers[id]);
	if (err) {
		printf("STRESS %s: cannot start a thread: %s\n", part->name, strerror(err));
		exit(1);
	}
	pthread_attr_destroy(&attr);
}

static bool run(const struct part *part, unsigned int seconds)
{
	uint64_t rounds = 0, until;

	part_name = part->name;
	nr_workers = nr_cpus * part->per_cpu;
	if (nr_workers > MAX_THREADS)
		nr_workers = MAX_THREADS;
	atomic_store(&stop, false);
	atomic_store(&failures, 0);
	if (part->begin)
		part->begin();
	until = now() + seconds * NS;
	for (unsigned int i = 0; i < nr_workers; i++)
		start(part, i);
	while (!atomic_load(&stop) && now() < until) {
		sleep(1);
		if (part->watch)
			part->watch();
	}
	atomic_store(&stop, true);
	if (part->worker == futex_worker)
		for (unsigned int i = 0; i < nr_workers; i++) {
			pthread_mutex_lock(&ring_lock);
			pthread_cond_signal(&ring_turn[i]);
			pthread_mutex_unlock(&ring_lock);
		}
	for (unsigned int i = 0; i < nr_workers; i++) {
		pthread_join(workers[i].thread, NULL);
		rounds += workers[i].rounds;
	}
	if (part->end)
		part->end(rounds);
	if (!rounds)
		fail("it did nothing");
	printf("STRESS part=%s cpus=%u rounds=%llu status=%s\n", part->name, nr_cpus,
	       (unsigned long long)rounds, atomic_load(&failures) ? "failed" : "ok");
	fflush(stdout);
	return !atomic_load(&failures);
}

static bool chosen(const struct part *part, int argc, char **argv)
{
	for (int i = 2; i < argc; i++)
		if (!strcmp(argv[i], part->name))
			return true;
	return argc <= 2;
}

int main(int argc, char **argv)
{
	unsigned int seconds = argc > 1 ? strtoul(argv[1], NULL, 10) : 2;
	bool ok = true;

	nr_cpus = sysconf(_SC_NPROCESSORS_ONLN);
	for (unsigned int i = 0; i < sizeof(parts) / sizeof(parts[0]); i++)
		if (chosen(&parts[i], argc, argv))
			ok &= run(&parts[i], seconds);
	printf("STRESS end cpus=%u status=%s\n", nr_cpus, ok ? "ok" : "failed");
	return !ok;
}
