// SPDX-License-Identifier: GPL-2.0-only
/*
 * The host takes guest memory back, in all the ways it has: the guest goes on
 * with what the launcher's memory holds, and never writes a page that is not
 * the launcher's any more.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "machine.h"

#define FIRST	0x100000u	/* pages that the guest counts up, one by one */
#define PAGES	1024u
#define PAGE	4096u

/* Adds 1 to the first word of each page; reports; and again. */
GUEST_CODE(count_up, 64,
	   "2: mov $0x100000, %edi; mov $1024, %ecx\n"
	   "1: incq (%rdi); add $4096, %rdi; dec %ecx; jnz 1b\n"
	   "out %eax, $0x80; jmp 2b");

static volatile uint64_t *word(struct machine *machine, unsigned int page)
{
	return (volatile uint64_t *)(machine->memory + FIRST + page * PAGE);
}

static void start(struct machine *machine)
{
	machine_create(machine, MODE_LONG);
	GUEST_LOAD(machine, count_up);
	machine_result(machine);
	machine_result(machine);
}

/* Every page must read @expected; says which is the first that does not. */
static void pages_hold(struct machine *machine, unsigned int first, unsigned int step,
		       uint64_t expected)
{
	unsigned int page;

	for (page = first; page < PAGES && *word(machine, page) == expected; page += step)
		;
	if (page < PAGES)
		expect_equal(*word(machine, page), expected);
	else
		expect(page >= PAGES);
}

static void discarded(void)
{
	struct machine machine;

	start(&machine);
	for (unsigned int page = 0; page < PAGES; page += 2)
		require_equal(madvise((void *)word(&machine, page), PAGE, MADV_DONTNEED), 0);
	machine_result(&machine);
	pages_hold(&machine, 0, 2, 1);
	pages_hold(&machine, 1, 2, 3);
	machine_destroy(&machine);
}

/* A child shares the pages copy-on-write: what the guest writes is the parent's alone. */
static void forked(void)
{
	struct machine machine;
	int status, go[2];
	pid_t child;
	char byte;

	start(&machine);
	require_equal(pipe(go), 0);
	child = fork();
	require(child >= 0);
	if (!child) {
		bool same = true;

		if (read(go[0], &byte, 1) != 1)
			_exit(2);
		for (unsigned int page = 0; page < PAGES; page++)
			same &= *word(&machine, page) == 2;
		_exit(!same);
	}
	machine_result(&machine);
	pages_hold(&machine, 0, 1, 3);
	require_equal(write(go[1], "g", 1), 1);
	require_equal(waitpid(child, &status, 0), child);
	expect_equal(status, 0);
	close(go[0]);
	close(go[1]);
	machine_destroy(&machine);
}

static void write_file(const char *path, const char *text)
{
	FILE *file = fopen(path, "w");

	if (!file || fputs(text, file) < 0 || fclose(file))
		tap_skip("cannot write %s", path);
}

static long read_number(const char *path)
{
	FILE *file = fopen(path, "r");
	long number = -1;

	if (file) {
		if (fscanf(file, "%ld", &number) != 1)
			number = -1;
		fclose(file);
	}
	return number;
}

/* Equal pages are merged by the host, and parted when the guest writes. */
static void merged(void)
{
	struct machine machine;

	if (access("/sys/kernel/mm/ksm/run", W_OK))
		tap_skip("this kernel has no KSM");
	start(&machine);
	require_equal(madvise((void *)word(&machine, 0), PAGES * PAGE, MADV_MERGEABLE), 0);
	write_file("/sys/kernel/mm/ksm/pages_to_scan", "10000");
	write_file("/sys/kernel/mm/ksm/sleep_millisecs", "1");
	write_file("/sys/kernel/mm/ksm/run", "1");
	for (int i = 0; i < 1000 && read_number("/sys/kernel/mm/ksm/pages_sharing") < PAGES / 2; i++)
		usleep(50000);
	expect(read_number("/sys/kernel/mm/ksm/pages_sharing") >= PAGES / 2);
	write_file("/sys/kernel/mm/ksm/run", "0");
	pages_hold(&machine, 0, 1, 2);
	machine_result(&machine);
	pages_hold(&machine, 0, 1, 3);
	write_file("/sys/kernel/mm/ksm/run", "2");
	machine_destroy(&machine);
}

#define WIDE_TABLES	128u		/* leaf tables of their own, entered from 128 MiB on */
#define WIDE_AT		0x600000u	/* where they lie */

/* Counts up the same word through each of those tables. */
GUEST_CODE(count_wide, 64,
	   "2: mov $0x8000000, %edi; mov $128, %ecx\n"
	   "1: incq (%rdi); add $0x200000, %rdi; dec %ecx; jnz 1b\n"
	   "out %eax, $0x80; jmp 2b");

/* The host asks for memory: shadow tables are given back, and made anew. */
static void shrunk(void)
{
	uint64_t *directory, *words;
	struct machine machine;
	long long before;

	machine_create(&machine, MODE_LONG);
	directory = (uint64_t *)(machine.memory + TABLES + 0x2000);
	for (unsigned int i = 0; i < WIDE_TABLES; i++) {
		*(uint64_t *)(machine.memory + WIDE_AT + i * PAGE) = DATA | 3;
		directory[64 + i] = (WIDE_AT + i * PAGE) | 3;
	}
	words = (uint64_t *)(machine.memory + DATA);
	GUEST_LOAD(&machine, count_wide);
	machine_result(&machine);
	expect_equal(*words, WIDE_TABLES);
	before = debugfs("shadow_pages");
	expect(before >= WIDE_TABLES);
	for (int i = 0; i < 20; i++)
		write_file("/proc/sys/vm/drop_caches", "2");
	expect(debugfs("shadow_pages") < before);
	machine_result(&machine);
	expect_equal(*words, 2 * WIDE_TABLES);
	machine_destroy(&machine);
}

/* Protection changes reach the shadow too. */
static void protected(void)
{
	struct machine machine;

	start(&machine);
	require_equal(mprotect((void *)word(&machine, 0), PAGES * PAGE, PROT_READ), 0);
	/* The guest's write has nowhere to go: RUN fails, and nothing was written. */
	expect_equal(machine_enter(&machine), -EFAULT);
	pages_hold(&machine, 0, 1, 2);
	require_equal(mprotect((void *)word(&machine, 0), PAGES * PAGE, PROT_READ | PROT_WRITE), 0);
	machine_result(&machine);
	pages_hold(&machine, 0, 1, 3);
	machine_destroy(&machine);
}

static const struct tap_test tests[] = {
	{ "discarded pages read as zero", discarded },
	{ "pages shared with a child are copied before the guest writes them", forked },
	{ "merged pages are parted when the guest writes them", merged },
	{ "a guest goes on when shadow tables are taken away", shrunk },
	{ "pages that the launcher may not write, the guest may not", protected },
};

TAP_MAIN(tests)
