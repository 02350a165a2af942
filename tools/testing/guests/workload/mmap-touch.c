// SPDX-License-Identifier: GPL-2.0-only
/*
 * mmap-touch MIB ROUNDS: maps anonymous memory, writes to each page, checks
 * that fresh pages are zero and written ones keep what was written, unmaps.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

#define PAGE_WORDS (4096 / sizeof(uint64_t))

static uint64_t pattern(size_t page, unsigned int round)
{
	return (page + 1) * 0x9e3779b97f4a7c15ULL + round;
}

static int one_round(size_t pages, unsigned int round)
{
	uint64_t *mem = mmap(NULL, pages * 4096, PROT_READ | PROT_WRITE,
			     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int bad = 0;

	if (mem == MAP_FAILED) {
		perror("mmap-touch: mmap");
		return 1;
	}
	for (size_t i = 0; i < pages; i++) {
		uint64_t *word = mem + i * PAGE_WORDS + i % PAGE_WORDS;

		bad |= *word != 0;
		*word = pattern(i, round);
	}
	for (size_t i = 0; i < pages; i++)
		bad |= mem[i * PAGE_WORDS + i % PAGE_WORDS] != pattern(i, round);
	if (munmap(mem, pages * 4096)) {
		perror("mmap-touch: munmap");
		return 1;
	}
	if (bad)
		fprintf(stderr, "mmap-touch: wrong contents in round %u\n", round);
	return bad;
}

int main(int argc, char **argv)
{
	size_t mib = argc > 1 ? strtoul(argv[1], NULL, 10) : 0;
	unsigned int rounds = argc > 2 ? strtoul(argv[2], NULL, 10) : 0;

	if (!mib || !rounds) {
		fprintf(stderr, "usage: mmap-touch MIB ROUNDS\n");
		return 2;
	}
	for (unsigned int round = 0; round < rounds; round++)
		if (one_round(mib << 8, round))
			return 1;
	return 0;
}
