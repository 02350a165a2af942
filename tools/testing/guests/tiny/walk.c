// SPDX-License-Identifier: GPL-2.0-only
/*
 * Checks itself for as long as it runs, for tests that move it about: walks
 * through "pages=N" pages, finds in each what it left there, and changes it; "hot=N" of them it
 * visits "heat=N" times as often as the rest; and the TSC never goes back. With "ticks=N" of the
 * TSC for each page it writes at a known rate, whatever else the host has to do.
 * After each pass it prints "walk N"; "end=N" passes are enough. Anything wrong is printed as
 * "BROKEN" and ends it with exit value 99.
 */
#include "guest.h"

#define FIRST	0x400000u
#define PAGE	4096u
#define WORDS	(PAGE / sizeof(uint32_t))

static uint64_t last_tsc, due;
static uint32_t ticks;

static void broken(const char *what, uint32_t where)
{
	print("BROKEN: ");
	print(what);
	print(" ");
	print_number(where);
	print("\n");
	debug_exit(99);
}

static void check_time(void)
{
	uint64_t now;

	asm volatile("lfence; rdtsc" : "=A"(now));
	if (now < last_tsc)
		broken("the TSC went back by", (uint32_t)(last_tsc - now));
	last_tsc = now;
}

/* Make up for missed ticks, so that the rate is right in the long run. */
static void pace(void)
{
	if (!ticks)
		return;
	if (!due) {
		check_time();
		due = last_tsc;
	}
	due += ticks;
	do
		check_time();
	while (last_tsc < due);
}

static uint32_t *page_at(uint32_t page)
{
	return (uint32_t *)(FIRST + page * PAGE);
}

/* Word 0 counts the visits, the others follow from it and the page. */
static uint32_t expected(uint32_t page, uint32_t visits, uint32_t word)
{
	return (page * 2654435761u) ^ (visits * 40503u) ^ (word << 20 | word);
}

static void fill(uint32_t page, uint32_t visits)
{
	volatile uint32_t *at = page_at(page);

	at[0] = visits;
	for (uint32_t word = 1; word < WORDS; word += 31)
		at[word] = expected(page, visits, word);
}

static void visit(uint32_t page, uint32_t visits)
{
	volatile uint32_t *at = page_at(page);

	if (at[0] != visits)
		broken("visits of page", page);
	for (uint32_t word = 1; word < WORDS; word += 31)
		if (at[word] != expected(page, visits, word))
			broken("contents of page", page);
	fill(page, visits + 1);
}

void guest_main(const struct guest_info *info)
{
	uint32_t pages = argument(info, "pages", 2048), hot = argument(info, "hot", 64);
	uint32_t heat = argument(info, "heat", 8), end = argument(info, "end", 0);
	uint32_t passes = 0, rounds = 0;

	ticks = argument(info, "ticks", 0);
	for (uint32_t page = 0; page < pages; page++)
		fill(page, 0);
	for (;;) {
		for (uint32_t page = hot; page < pages; page++) {
			visit(page, passes);
			pace();
			/* Hot pages are visited "heat" times in each pass. */
			if (page % (pages / heat + 1) == 0) {
				for (uint32_t again = 0; again < hot; again++)
					visit(again, rounds);
				rounds++;
			}
		}
		check_time();
		passes++;
		print("walk ");
		print_number(passes);
		print("\n");
		if (passes == end)
			power_off();
	}
}
