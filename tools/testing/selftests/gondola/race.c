// SPDX-License-Identifier: GPL-2.0-only
/*
 * Two vCPUs write to their memory without a pause, and meanwhile the host logs it, shares it,
 * moves it and takes it away.  No write may be lost to the dirty log, and none may go where the
 * memory was before.
 *
 * usage: race [SECONDS [TEST]]: for each test, default 2; only one, by its number
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sched.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>
#include "smp_machine.h"

#define CPUS_USED	2
#define PAGE		4096u
#define LOGGED		0x200000u	/* 64 pages for each vCPU */
#define LOGGED_PAGES	128u
#define MOVED		0x600000u	/* pages that come and go by the notifier */
#define MOVED_PAGES	8u
#define SLOT		0x1000000u	/* a slot that comes and goes */
#define SLOT_PAGES	4u
#define WAIT_US		2000		/* a stale translation has this long to be used */

/* More words at DATA: the passes of each vCPU, and whether they shall end. */
enum { STOP = 16, PASSES = 20 };

static unsigned int seconds = 2;

/* In each pass a vCPU writes its number to each page; beside each other where both write. */
#define WRITE									\
	"mov 0xfee00020, %eax; shr $24, %eax; mov %eax, %ebp; xor %ecx, %ecx\n"	\
	"1: inc %ecx\n"								\
	"mov %ebp, %edi; shl $18, %edi; add $0x200000, %edi; mov $64, %edx\n"	\
	"2: mov %ecx, (%edi); add $0x1000, %edi; dec %edx; jnz 2b\n"		\
	"lea 0x600000(,%ebp,4), %edi; mov $8, %edx\n"				\
	"3: mov %ecx, (%edi); add $0x1000, %edi; dec %edx; jnz 3b\n"		\
	"lea 0x1000000(,%ebp,4), %edi; mov $4, %edx\n"				\
	"4: mov %ecx, (%edi); add $0x1000, %edi; dec %edx; jnz 4b\n"		\
	"mov %ecx, 0x40050(,%ebp,4)\n"						\
	"cli; pause; cmpl $0, 0x40040; je 1b\n"					\
	"lock incl 0x40008\n"

GUEST_CODE(write_first, 32,
	   START_OTHERS WRITE
	   "mov 0x4000c, %ebx; 5: cli; pause; cmp %ebx, 0x40008; jne 5b\n"
	   REPORT("0x40008"));
GUEST_CODE(write_others, 32, WRITE "6: cli; hlt; jmp 6b");

struct race {
	struct smp smp;
	pthread_t threads[CPUS_USED];
	int fd;			/* of the memory that moves: two versions of MOVED and of SLOT */
	uint8_t *files;		/* all of it, seen by the test */
	unsigned int moved;	/* which version of each is in use */
	unsigned int slot;
	uint64_t refused;	/* runs that ended because the launcher's own memory was not writable */
};

#define VERSION(race, page)	((race)->files + (size_t)(page) * PAGE)
#define MOVED_AT(version)	((version) * MOVED_PAGES)
#define SLOT_AT(version)	(2 * MOVED_PAGES + (version) * SLOT_PAGES)
#define FILE_PAGES		(2 * MOVED_PAGES + 2 * SLOT_PAGES)

struct runner {
	struct race *race;
	unsigned int id;
};

/* Runs a vCPU to its end; what leads to no memory is a write into the void. */
static void *run_vcpu(void *arg)
{
	struct runner *runner = arg;
	struct smp *smp = &runner->race->smp;

	for (;;) {
		struct gondola_run *run = smp->run[runner->id];
		int ret = __gondola_run(smp->vcpu[runner->id]);

		if (ret == -EFAULT) {
			__atomic_add_fetch(&runner->race->refused, 1, __ATOMIC_RELAXED);
			sched_yield();
			continue;
		}
		if (ret == -EINTR) {
			if (__atomic_load_n(&smp->stop, __ATOMIC_ACQUIRE))
				return NULL;
			continue;
		}
		if (!ret && run->exit == GONDOLA_EXIT_MMIO)
			continue;
		if (ret || run->exit != GONDOLA_EXIT_IO)
			printf("# vCPU %u left: %d, exit %u\n", runner->id, ret, run->exit);
		return NULL;
	}
}

/* MOVED leads to @version from now on. */
static void move_pages(struct race *race, unsigned int version)
{
	void *at = race->smp.machine.memory + MOVED;

	require(mmap(at, MOVED_PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED,
		     race->fd, MOVED_AT(version) * PAGE) == at);
	race->moved = version;
}

static void put_slot(struct race *race, unsigned int version)
{
	require_equal(__gondola_set_memory(race->smp.machine.vm, 1, 0, SLOT, SLOT_PAGES * PAGE,
					   VERSION(race, SLOT_AT(version))), 0);
	race->slot = version;
}

static void take_slot(struct race *race)
{
	require_equal(__gondola_set_memory(race->smp.machine.vm, 1, 0, SLOT, 0, NULL), 0);
}

static uint32_t passes(struct race *race, unsigned int id)
{
	return WORD(&race->smp.machine, PASSES + id);
}

/* Until both have done @n more. */
static void let_pass(struct race *race, unsigned int n)
{
	uint32_t until[CPUS_USED];

	for (unsigned int i = 0; i < CPUS_USED; i++)
		until[i] = passes(race, i) + n;
	for (unsigned int i = 0; i < CPUS_USED; i++)
		while ((int32_t)(passes(race, i) - until[i]) < 0)
			sched_yield();
}

static void begin(struct race *race)
{
	static struct runner runners[CPUS_USED];

	memset(race, 0, sizeof(*race));
	smp_create(&race->smp, CPUS_USED);
	race->fd = memfd_create("race", MFD_CLOEXEC);
	require(race->fd >= 0);
	require_equal(ftruncate(race->fd, FILE_PAGES * PAGE), 0);
	race->files = mmap(NULL, FILE_PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, race->fd, 0);
	require(race->files != MAP_FAILED);
	move_pages(race, 0);
	put_slot(race, 0);
	GUEST_LOAD(&race->smp.machine, write_first);
	smp_put_code(&race->smp, AP_CODE, write_others, write_others_end);
	smp_limit(60 + 20 * seconds);
	for (unsigned int i = 0; i < CPUS_USED; i++) {
		runners[i] = (struct runner){ race, i };
		require_equal(pthread_create(&race->threads[i], NULL, run_vcpu, &runners[i]), 0);
	}
	let_pass(race, 2);
}

/* The guest comes to its end by itself. */
static void stop(struct race *race)
{
	WORD(&race->smp.machine, STOP) = 1;
	pthread_join(race->threads[0], NULL);
	expect_equal(WORD(&race->smp.machine, FINISHED), CPUS_USED);
}

static void end(struct race *race)
{
	race->smp.thread[1] = race->threads[1];
	smp_destroy(&race->smp);
	smp_limit(0);
	munmap(race->files, FILE_PAGES * PAGE);
	close(race->fd);
}

static bool time_is_left(time_t begun)
{
	return time(NULL) - begun < (time_t)seconds;
}

/* ---- the dirty log ----------------------------------------------------------------- */

/*
 * Do as a migration does: read the log, clear it, copy the pages that it names.  In the
 * end, with the guest at rest, the copies are its memory.
 */
static void log_rounds(struct race *race, uint8_t *copy, unsigned int *rounds)
{
	struct machine *machine = &race->smp.machine;
	static uint64_t bitmap[MEMORY_BYTES / PAGE / 64];
	const uint64_t pages = MEMORY_BYTES / PAGE;
	time_t begun = time(NULL);
	bool last = false;

	for (*rounds = 0; ; ++*rounds) {
		require_equal(__gondola_get_dirty(machine->vm, 0, 0, pages, bitmap), 0);
		require_equal(__gondola_clear_dirty(machine->vm, 0, 0, pages, bitmap), 0);
		for (uint64_t page = LOGGED / PAGE; page < LOGGED / PAGE + LOGGED_PAGES; page++)
			if (bitmap[page / 64] >> page % 64 & 1)
				memcpy(copy + page * PAGE, machine->memory + page * PAGE, PAGE);
		if (last)
			return;
		if (!time_is_left(begun)) {
			stop(race);
			last = true;
		}
	}
}

static void check_log(struct race *race)
{
	struct machine *machine = &race->smp.machine;
	unsigned int rounds, lost = 0;
	uint8_t *copy;

	copy = mmap(NULL, MEMORY_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	require(copy != MAP_FAILED);
	require_equal(__gondola_set_memory(machine->vm, 0, GONDOLA_MEM_LOG_DIRTY, 0, MEMORY_BYTES,
					   machine->memory), 0);
	log_rounds(race, copy, &rounds);
	for (uint32_t at = LOGGED; at < LOGGED + LOGGED_PAGES * PAGE; at += PAGE)
		lost += memcmp(copy + at, machine->memory + at, PAGE) != 0;
	expect_equal(lost, 0);
	printf("# %u rounds of the log, %u and %u passes\n", rounds, passes(race, 0),
	       passes(race, 1));
	munmap(copy, MEMORY_BYTES);
}

static void dirty_log(void)
{
	struct race race;

	begin(&race);
	check_log(&race);
	end(&race);
}

/* ---- the same memory, shared and discarded all the time --------------------------------- */

static int write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : write(fd, text, strlen(text));

	if (fd >= 0)
		close(fd);
	return n < 0 ? -1 : 0;
}

/* KSM makes one page, read-only, of equal ones; a write makes two of it again. */
static void merged_pages(void)
{
	struct race race;

	if (write_file("/sys/kernel/mm/ksm/pages_to_scan", "5000") ||
	    write_file("/sys/kernel/mm/ksm/sleep_millisecs", "0") ||
	    write_file("/sys/kernel/mm/ksm/run", "1"))
		tap_skip("this kernel has no KSM");
	begin(&race);
	require_equal(madvise(race.smp.machine.memory + LOGGED, LOGGED_PAGES * PAGE,
			      MADV_MERGEABLE), 0);
	check_log(&race);
	end(&race);
	write_file("/sys/kernel/mm/ksm/run", "2");
}

/* ---- memory that goes ------------------------------------------------------------------- */

/* Where the memory was, nothing changes any more. */
static unsigned int written(const uint8_t *pages, unsigned int n)
{
	uint32_t before[2 * MOVED_PAGES];
	unsigned int changed = 0;

	for (unsigned int i = 0; i < 2 * n; i++)
		before[i] = ((volatile uint32_t *)(pages + i / 2 * PAGE))[i % 2];
	usleep(WAIT_US);
	for (unsigned int i = 0; i < 2 * n; i++)
		changed += ((volatile uint32_t *)(pages + i / 2 * PAGE))[i % 2] != before[i];
	return changed;
}

/* Another page is mapped where one was: the notifier, and a new translation. */
static void moved_pages(void)
{
	unsigned int rounds = 0, stale = 0, idle = 0;
	time_t begun = time(NULL);
	struct race race;

	begin(&race);
	for (; time_is_left(begun) || !rounds; rounds++) {
		unsigned int old = race.moved;

		move_pages(&race, !old);
		stale += written(VERSION(&race, MOVED_AT(old)), MOVED_PAGES);
		let_pass(&race, 2);
		/* And the new one is written. */
		idle += *(volatile uint32_t *)VERSION(&race, MOVED_AT(!old)) == 0;
	}
	stop(&race);
	expect_equal(stale, 0);
	expect_equal(idle, 0);
	printf("# %u moves\n", rounds);
	end(&race);
}

/* The launcher may not write its memory for a while: neither may the guest. */
static void protected_pages(void)
{
	unsigned int rounds = 0, stale = 0;
	time_t begun = time(NULL);
	struct race race;

	begin(&race);
	for (; time_is_left(begun) || !rounds; rounds++) {
		void *at = race.smp.machine.memory + MOVED;

		require_equal(mprotect(at, MOVED_PAGES * PAGE, PROT_READ), 0);
		stale += written(VERSION(&race, MOVED_AT(0)), MOVED_PAGES);
		require_equal(mprotect(at, MOVED_PAGES * PAGE, PROT_READ | PROT_WRITE), 0);
		let_pass(&race, 2);
	}
	stop(&race);
	expect_equal(stale, 0);
	expect(race.refused > 0);
	printf("# %u times, %llu runs refused\n", rounds, (unsigned long long)race.refused);
	end(&race);
}

/* A discarded page is written anew, and holds all later writes. */
static void discarded_pages(void)
{
	struct race race;
	unsigned int rounds = 0, wrong = 0;
	time_t begun = time(NULL);

	begin(&race);
	for (; time_is_left(begun) || !rounds; rounds++) {
		volatile uint32_t *first, *last;
		uint8_t *at = race.smp.machine.memory + LOGGED;
		uint32_t passed;

		require_equal(madvise(at, LOGGED_PAGES * PAGE, MADV_DONTNEED), 0);
		passed = passes(&race, 0);
		let_pass(&race, 2);
		/* A pass that began after the discard has written each page, where we see it. */
		first = (volatile uint32_t *)at;
		last = (volatile uint32_t *)(at + (LOGGED_PAGES / 2 - 1) * PAGE);
		wrong += (int32_t)(*first - passed) < 1 || (int32_t)(*last - passed) < 1;
	}
	stop(&race);
	expect_equal(wrong, 0);
	printf("# %u discards\n", rounds);
	end(&race);
}

static void deleted_slot(void)
{
	unsigned int rounds = 0, stale = 0, idle = 0;
	time_t begun = time(NULL);
	struct race race;

	begin(&race);
	for (; time_is_left(begun) || !rounds; rounds++) {
		unsigned int old = race.slot;

		take_slot(&race);
		stale += written(VERSION(&race, SLOT_AT(old)), SLOT_PAGES);
		put_slot(&race, !old);
		let_pass(&race, 2);
		stale += written(VERSION(&race, SLOT_AT(old)), SLOT_PAGES);
		idle += *(volatile uint32_t *)VERSION(&race, SLOT_AT(!old)) == 0;
	}
	stop(&race);
	expect_equal(stale, 0);
	expect_equal(idle, 0);
	printf("# %u times\n", rounds);
	end(&race);
}

static const struct tap_test tests[] = {
	{ "the dirty log loses no write", dirty_log },
	{ "nor while KSM merges pages", merged_pages },
	{ "a page that moved is not written where it was", moved_pages },
	{ "a page that is protected is not written", protected_pages },
	{ "a page that was discarded is written anew", discarded_pages },
	{ "a slot that is gone is not written", deleted_slot },
};

int main(int argc, char **argv)
{
	if (argc > 1)
		seconds = strtoul(argv[1], NULL, 10) ?: seconds;
	if (argc > 2) {
		unsigned int only = strtoul(argv[2], NULL, 10);

		return only && only <= sizeof(tests) / sizeof(tests[0]) ? tap_run(&tests[only - 1], 1) : 2;
	}
	return tap_run(tests, sizeof(tests) / sizeof(tests[0]));
}
