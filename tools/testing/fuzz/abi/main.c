// SPDX-License-Identifier: GPL-2.0-only
/*
 * abi_fuzz: as a selftest, a fixed seed and a fresh one, a few seconds each. With options:
 *
 *   --seed N --seconds N [--calls N]   rounds of this seed, for so long or so many calls
 *   --jobs N                           by so many processes at once (4)
 *   --lineage A,B,...                  the one round that was printed as this, again
 *   --verbose                          print each call before it is made
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

#include "../deaf.h"
#include "fuzz.h"

#define MAX_CORPUS	4096
#define ARGS_BYTES	(128u << 10)
#define ARGS_ROOM	(1ul << 30)
#define HANGS		60	/* seconds for a call that is kicked all the time */

bool fuzz_verbose;

struct lineage {
	unsigned int length;
	uint64_t seeds[MAX_LINEAGE];
};

/* Sequences that reached new code, in any process: an entry is there once its length is. */
static struct {
	atomic_uint count;
	struct {
		atomic_bool there;
		struct lineage lineage;
	} entries[MAX_CORPUS];
} *corpus;

static struct worker workers[MAX_THREADS];
static pthread_barrier_t begin;
static atomic_uint finished;
static unsigned long long nr_calls;

static double now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return time.tv_sec + time.tv_nsec / 1e9;
}

/* ---- lineages --------------------------------------------------------------------- */

/* All threads' calls, of the first seed. */
static void make_calls(uint64_t seed)
{
	struct random r = { seed };
	unsigned int threads = 1 + below(&r, MAX_THREADS);
	unsigned int count = 8 + below(&r, MAX_CALLS - 8);

	for (unsigned int t = 0; t < MAX_THREADS; t++) {
		workers[t].nr_calls = t < threads ? count : 0;
		for (unsigned int i = 0; i < count; i++)
			workers[t].calls[i] = next(&r);
	}
}

static void change_calls(uint64_t seed)
{
	struct random r = { seed };

	for (unsigned int edits = 1 + below(&r, 6); edits; edits--) {
		struct worker *w = &workers[below(&r, MAX_THREADS)];
		struct worker *other = &workers[below(&r, MAX_THREADS)];
		unsigned int at = w->nr_calls ? below(&r, w->nr_calls) : 0;
		size_t rest = (w->nr_calls - at) * sizeof(w->calls[0]);

		switch (below(&r, 4)) {
		case 0:		/* another call */
			w->calls[at] = next(&r);
			break;
		case 1:		/* one more: a new one, or one of another thread */
			if (w->nr_calls == MAX_CALLS)
				break;
			memmove(&w->calls[at + 1], &w->calls[at], rest);
			w->calls[at] = one_in(&r, 2) ? next(&r) : other->calls[at];
			w->nr_calls++;
			break;
		case 2:
			if (!w->nr_calls)
				break;
			memmove(&w->calls[at], &w->calls[at + 1], rest - sizeof(w->calls[0]));
			w->nr_calls--;
			break;
		default:	/* the same again */
			if (at)
				w->calls[at] = w->calls[below(&r, at)];
		}
	}
}

static void apply(const struct lineage *l)
{
	make_calls(l->seeds[0]);
	for (unsigned int i = 1; i < l->length; i++)
		change_calls(l->seeds[i]);
}

/* From nothing, or from what reached new code before, the latest more often. */
static struct lineage choose(struct random *r)
{
	unsigned int count = atomic_load(&corpus->count), at;
	struct lineage l = { 0 };

	if (count > MAX_CORPUS)
		count = MAX_CORPUS;
	if (count && !one_in(r, 3)) {
		at = one_in(r, 2) ? below(r, count) : count - 1 - below(r, count < 16 ? count : 16);
		if (atomic_load(&corpus->entries[at].there))
			l = corpus->entries[at].lineage;
	}
	if (l.length == MAX_LINEAGE)
		l.length = 0;
	l.seeds[l.length++] = next(r);
	return l;
}

static void keep_lineage(const struct lineage *l)
{
	unsigned int at = atomic_fetch_add(&corpus->count, 1);

	if (at >= MAX_CORPUS)
		return;
	corpus->entries[at].lineage = *l;
	atomic_store(&corpus->entries[at].there, true);
}

static void print_lineage(const struct lineage *l)
{
	for (unsigned int i = 0; i < l->length; i++)
		printf("%s%llx", i ? "," : " ", (unsigned long long)l->seeds[i]);
	printf("\n");
}

/* ---- threads ---------------------------------------------------------------------- */

static _Thread_local struct worker *self;

/* Where it was is what tells a loop of the fuzzer's own from a call that does not return. */
static void on_kick(int signal, siginfo_t *info, void *context)
{
	const ucontext_t *at = context;

	(void)signal;
	(void)info;
	atomic_fetch_add(&self->kicks, 1);
	atomic_store(&self->kicked_at, at->uc_mcontext.gregs[REG_RIP]);
}

static void *work(void *arg)
{
	struct worker *w = arg;

	self = w;
	w->tid = gettid();
	kernel_thread(w);
	for (;;) {
		pthread_barrier_wait(&begin);
		for (unsigned int i = 0; i < w->nr_calls; i++)
			call(w, w->calls[i]);
		atomic_fetch_add(&finished, 1);
	}
	return NULL;
}

/* A run page as a launcher should not write it. */
static void scribble(struct random *r)
{
	struct gondola_run *run = atomic_load(&world.vcpus[below(r, MAX_VCPUS)].run);
	uint32_t at = below(r, 64);

	if (!run)
		return;
	switch (below(r, 4)) {
	case 0:
		((uint32_t *)run)[at] = odd_value(r);
		break;
	case 1:
		run->io.count = odd_value(r);
		run->io.offset = odd_value(r);
		break;
	case 2:
		run->immediate_exit = below(r, 2);
		break;
	default:
		run->flags = 0;
		run->exit = below(r, 12);
	}
}

static void *disturb(void *arg)
{
	struct random r = { *(uint64_t *)arg };
	unsigned int step = 0;

	while (!atomic_load(&world.ended)) {
		for (uint32_t i = below(&r, 6); i; i--)
			scribble(&r);
		if (one_in(&r, 2))
			memory_disturb(&r);
		/* No request is answered at once. */
		if (++step % 64 == 0)
			memory_answer();
		usleep(below(&r, 400));
	}
	return NULL;
}

/* The watcher's notes: @done of each worker as it was seen last, and when. */
static void print_journals(void)
{
	for (unsigned int t = 0; t < MAX_THREADS; t++) {
		struct worker *w = &workers[t];
		unsigned int done = atomic_load(&w->done);

		printf("# thread %u: %u of %u calls\n", t, done, w->nr_calls);
		for (unsigned int i = done > JOURNAL - 1 ? done - JOURNAL + 1 : 0; i <= done; i++) {
			struct note *note = &w->journal[i % JOURNAL];

			if (note->words[0])
				printf("# %4u %016llx %s = %ld%s\n", i,
				       (unsigned long long)note->seed, note->words, note->result,
				       note->result == INT_MIN ? " (not back)" : "");
		}
	}
}

/* Time goes on in the mode in which it loops; in none if it sleeps. */
static void print_hang(struct worker *w)
{
	unsigned long before[2], after[2];
	bool returned = w->journal[atomic_load(&w->done) % JOURNAL].result != INT_MIN;

	printf("# thread %u (%d) does not come back: its last call has %sreturned\n",
	       w->number, w->tid, returned ? "" : "not ");
	printf("# %u kicks arrived, the last at %llx\n", atomic_load(&w->kicks),
	       atomic_load(&w->kicked_at));
	kernel_times(w->tid, before);
	sleep(1);
	kernel_times(w->tid, after);
	printf("# in a second it ran %lu ticks in user mode and %lu in the kernel\n",
	       after[0] - before[0], after[1] - before[1]);
	kernel_threads();
}

/* Until all workers are done; who makes no progress is kicked. False: one does not come back. */
static bool watch(void)
{
	unsigned int seen[MAX_THREADS];
	double since[MAX_THREADS];

	for (unsigned int t = 0; t < MAX_THREADS; t++) {
		seen[t] = UINT_MAX;
		since[t] = now();
	}
	while (atomic_load(&finished) < MAX_THREADS) {
		usleep(2000);
		for (unsigned int t = 0; t < MAX_THREADS; t++) {
			struct worker *w = &workers[t];
			unsigned int done = atomic_load(&w->done);

			if (done != seen[t]) {
				seen[t] = done;
				since[t] = now();
			} else if (done < w->nr_calls) {
				syscall(SYS_tgkill, getpid(), w->tid, SIGUSR1);
			}
			if (done < w->nr_calls && now() - since[t] > HANGS) {
				print_hang(w);
				return false;
			}
		}
	}
	return true;
}

/* ---- rounds ------------------------------------------------------------------------- */

/* Without it nothing runs; what is made later shows that it does not. */
static void set_cpuid(int vcpu)
{
	struct gondola_cpuid list = {
		.size = sizeof(list), .count = GONDOLA_MAX_CPUID, .entries = (uintptr_t)workers[0].args,
	};

	if (!ioctl(world.sys[0], GONDOLA_GET_SUPPORTED_CPUID, &list)) {
		list.engine = 0;
		ioctl(vcpu, GONDOLA_SET_CPUID, &list);
	}
}

/* Nearly every sequence needs a VM with two vCPUs, which can run. */
static void populate(void)
{
	struct gondola_create_vm create = { .size = sizeof(create), .name = "fuzz" };

	for (int i = 0; i < MAX_SYS; i++)
		world.sys[i] = i ? -1 : open("/dev/gondola", O_RDWR | O_CLOEXEC);
	for (int i = 0; i < MAX_VMS; i++)
		world.vms[i] = i ? -1 : ioctl(world.sys[0], GONDOLA_CREATE_VM, &create);
	for (int i = 0; i < MAX_EVENTS; i++)
		world.events[i] = i < 2 ? eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK) : -1;
	memset(world.slots, 0, sizeof(world.slots));
	for (int i = 0; i < MAX_VCPUS; i++) {
		struct vcpu *vcpu = &world.vcpus[i];
		struct gondola_create_vcpu arg = { .size = sizeof(arg), .id = i };

		vcpu->vm = 0;
		vcpu->run = NULL;
		vcpu->fd = i < 2 ? ioctl(world.vms[0], GONDOLA_CREATE_VCPU, &arg) : -1;
		if (vcpu->fd >= 0) {
			void *run = mmap(NULL, GONDOLA_RUN_SIZE, PROT_READ | PROT_WRITE,
					 MAP_SHARED, vcpu->fd, 0);

			vcpu->run = run == MAP_FAILED ? NULL : run;
			set_cpuid(vcpu->fd);
		}
	}
}

static void close_one(atomic_int *place)
{
	int fd = atomic_exchange(place, -1);

	if (fd >= 0)
		close(fd);
}

/* False: something of it is still in the module. */
static bool depopulate(void)
{
	unsigned int left = 0;

	for (int i = 0; i < MAX_EVENTS; i++)
		close_one(&world.events[i]);
	for (int i = 0; i < MAX_VMS; i++)
		close_one(&world.vms[i]);
	for (int i = 0; i < MAX_SYS; i++)
		close_one(&world.sys[i]);
	for (int i = 0; i < MAX_VCPUS; i++) {
		close_one(&world.vcpus[i].fd);
		if (world.vcpus[i].run)
			munmap(world.vcpus[i].run, GONDOLA_RUN_SIZE);
	}
	for (int i = 0; i < 200; i++) {
		left = kernel_own_vms();
		if (!left)
			return true;
		usleep(10000);
	}
	printf("# %u VMs are left after all descriptors were closed\n", left);
	return false;
}

static bool run_round(const struct lineage *l)
{
	uint64_t seed = mix(l->seeds[l->length - 1], 1);
	struct random r = { mix(seed, 2) };
	pthread_t disturber;
	bool ok;

	apply(l);
	for (unsigned int t = 0; t < MAX_THREADS; t++) {
		/* A round does not depend on what those before it left. */
		fill_odd(&r, workers[t].args, STATE_BYTES);
		atomic_store(&workers[t].kicks, 0);
		atomic_store(&workers[t].done, 0);
		memset(workers[t].journal, 0, sizeof(workers[t].journal));
	}
	memory_begin(&r);
	populate();
	atomic_store(&world.ended, false);
	atomic_store(&finished, 0);
	if (pthread_create(&disturber, NULL, disturb, &seed))
		_exit(99);
	pthread_barrier_wait(&begin);
	ok = watch();
	if (kernel_complains())
		ok = false;
	if (!ok) {
		print_journals();
		return false;
	}
	atomic_store(&world.ended, true);
	pthread_join(disturber, NULL);
	for (unsigned int t = 0; t < MAX_THREADS; t++)
		nr_calls += atomic_load(&workers[t].done);
	ok = depopulate();
	memory_end();
	if (kernel_complains())
		ok = false;
	if (!ok)
		print_journals();
	return ok;
}

/* Rounds of @seed until the time is over or @calls were made; false: one found something. */
static bool run_seed(uint64_t seed, double seconds, unsigned long long calls)
{
	double end = now() + seconds;
	struct random r = { seed };
	unsigned int rounds = 0;
	bool ok = true;

	nr_calls = 0;
	printf("# seed %llu\n", (unsigned long long)seed);
	while (ok && now() < end && (!calls || nr_calls < calls)) {
		struct lineage l = choose(&r);

		printf("# round %u", ++rounds);
		print_lineage(&l);
		ok = run_round(&l);
		if (kernel_new_code())
			keep_lineage(&l);
	}
	print_calls();
	printf("# %llu calls in %u rounds; %u addresses of the module reached; %u sequences kept\n",
	       nr_calls, rounds, kernel_reached(), atomic_load(&corpus->count));
	return ok;
}

static bool run_lineage(char *text)
{
	struct lineage l = { 0 };
	bool ok = true;

	for (char *word = strtok(text, ","); word && l.length < MAX_LINEAGE;
	     word = strtok(NULL, ","))
		l.seeds[l.length++] = strtoull(word, NULL, 16);
	/* Threads race: once may not be enough. */
	for (int i = 0; ok && l.length && i < (fuzz_verbose ? 1 : 20); i++)
		ok = run_round(&l);
	return ok;
}

static void start(void)
{
	struct sigaction kick = { .sa_sigaction = on_kick, .sa_flags = SA_SIGINFO };

	sigaction(SIGUSR1, &kick, NULL);
	pthread_barrier_init(&begin, NULL, MAX_THREADS + 1);
	for (unsigned int t = 0; t < MAX_THREADS; t++) {
		workers[t].number = t;
		/* The room behind them is reserved: a large slot's bitmap may not fit. */
		workers[t].args = mmap(NULL, ARGS_ROOM, PROT_NONE,
				       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
		if (workers[t].args == MAP_FAILED ||
		    mprotect(workers[t].args, ARGS_BYTES, PROT_READ | PROT_WRITE) ||
		    pthread_create(&workers[t].thread, NULL, work, &workers[t]))
			_exit(99);
	}
}

/* Several processes at once: one alone mostly waits. */
static bool run_jobs(unsigned int jobs, uint64_t seed, double seconds, unsigned long long calls)
{
	bool ok = true;
	int status;

	for (unsigned int i = 0; i < jobs; i++) {
		pid_t pid = fork();

		if (!pid) {
			start();
			ok = run_seed(i ? mix(seed, i) : seed, seconds, calls / jobs);
			fflush(stdout);
			/* Threads may be in the kernel for good. */
			_exit(!ok);
		}
	}
	for (unsigned int i = 0; i < jobs; i++)
		ok &= wait(&status) > 0 && !status;
	/* No VM owns what the module still has. */
	for (int i = 0; i < 200 && kernel_number("vms") > 0; i++)
		usleep(10000);
	return ok && kernel_number("vms") <= 0 && kernel_number("vcpus") <= 0 &&
	       kernel_number("shadow_pages") <= 0;
}

/* A slot of a good address may be long, and one of an odd address may begin below us. */
static bool knows_itself(void)
{
	struct random r = { 1 };
	bool ok;

	memory_begin(&r);
	ok = memory_is_own((uintptr_t)corpus, 1) && memory_is_own((uintptr_t)&r, 1) &&
	     memory_is_own((uintptr_t)&world, 1) && memory_is_own((uintptr_t)knows_itself, 1) &&
	     memory_is_own(PAGE, 1ul << 30) && memory_is_own(memory_good(), 1ul << 46) &&
	     !memory_is_own(memory_good(), 1ul << 32) && !memory_is_own(PAGE, 1);
	memory_end();
	return ok;
}

static int selftest(void)
{
	uint64_t fresh = 0;
	bool end_ok = records_end(), itself_ok = knows_itself(), fixed_ok, fresh_ok;

	if (getrandom(&fresh, 4, 0) != 4)
		fresh = time(NULL);
	printf("TAP version 13\n1..4\n");
	printf("%s 1 - a walk through a state's records ends\n", end_ok ? "ok" : "not ok");
	printf("%s 2 - no call and no guest writes into the fuzzer\n", itself_ok ? "ok" : "not ok");
	fixed_ok = end_ok && itself_ok && run_jobs(2, 1, 5, 0);
	printf("%s 3 - seed 1\n", fixed_ok ? "ok" : "not ok");
	fresh_ok = fixed_ok && run_jobs(2, fresh, 10, 0);
	printf("%s 4 - seed %llu\n", fresh_ok ? "ok" : "not ok", (unsigned long long)fresh);
	return !fixed_ok || !fresh_ok;
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "seed", required_argument, NULL, 's' }, { "seconds", required_argument, NULL, 't' },
		{ "calls", required_argument, NULL, 'c' }, { "lineage", required_argument, NULL, 'l' },
		{ "verbose", no_argument, NULL, 'v' }, { "jobs", required_argument, NULL, 'j' },
		{ 0 },
	};
	uint64_t seed = 1;
	double seconds = 0;
	unsigned long long calls = 0;
	unsigned int jobs = 4;
	char *lineage = NULL;
	bool ok;
	int c;

	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (c) {
		case 's':
			seed = strtoull(optarg, NULL, 0);
			break;
		case 't':
			seconds = atof(optarg);
			break;
		case 'c':
			calls = strtoull(optarg, NULL, 0);
			break;
		case 'l':
			lineage = optarg;
			break;
		case 'j':
			jobs = atoi(optarg);
			break;
		case 'v':
			fuzz_verbose = true;
			break;
		default:
			return 2;
		}
	}
	setvbuf(stdout, NULL, _IOLBF, 0);
	deaf_begin();
	kernel_begin();
	corpus = mmap(NULL, sizeof(*corpus), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
		      -1, 0);
	if (corpus == MAP_FAILED)
		return 99;
	if (!lineage && !seconds && !calls)
		return selftest();
	if (lineage) {
		start();
		ok = run_lineage(lineage);
	} else {
		ok = run_jobs(jobs, seed, seconds ? seconds : 1e9, calls);
	}
	printf("# %s\n", ok ? "nothing found" : "FOUND: see above");
	/* Threads may be in the kernel for good. */
	fflush(stdout);
	_exit(!ok);
}
