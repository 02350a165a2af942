// SPDX-License-Identifier: GPL-2.0-only
/*
 * Runs in a guest: memory with a pattern that must stay, or memory that is only
 * wanted.
 *
 *   hold MIB        fills MIB, then for each line on standard input looks at all of
 *                   it and answers "whole" or says where it is not
 *   hold --eat MIB  takes MIB in pieces, says how far it is after each, sleeps
 *   hold --holes MIB  takes MIB, gives every second page back, sleeps
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define PIECE	(4ul << 20)

static uint64_t word(uint64_t at)
{
	return (at + 1) * 0x9e3779b97f4a7c15ull;
}

static void *take(size_t bytes)
{
	void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (memory == MAP_FAILED) {
		perror("hold");
		exit(1);
	}
	return memory;
}

static void look(const uint64_t *memory, uint64_t words)
{
	for (uint64_t i = 0; i < words; i++)
		if (memory[i] != word(i)) {
			printf("broken at byte %llu: %llx\n", (unsigned long long)i * 8,
			       (unsigned long long)memory[i]);
			return;
		}
	printf("whole\n");
}

static int eat(size_t bytes)
{
	uint8_t *memory = take(bytes);

	for (size_t done = 0; done < bytes; done += PIECE) {
		for (size_t at = done; at < done + PIECE && at < bytes; at += 4096)
			memory[at] = 1;
		printf("%zu\n", (done + PIECE) >> 20);
		fflush(stdout);
	}
	pause();
	return 0;
}

/* Free pages between used ones are what compaction looks for. */
static int holes(size_t bytes)
{
	uint8_t *memory = take(bytes);

	madvise(memory, bytes, MADV_NOHUGEPAGE);
	for (size_t at = 0; at < bytes; at += 4096)
		memory[at] = 1;
	for (size_t at = 0; at < bytes; at += 8192)
		madvise(memory + at, 4096, MADV_DONTNEED);
	printf("holes\n");
	fflush(stdout);
	pause();
	return 0;
}

int main(int argc, char **argv)
{
	int eats = argc == 3 && !strcmp(argv[1], "--eat");
	size_t bytes = argc >= 2 ? strtoul(argv[argc - 1], NULL, 10) << 20 : 0;
	uint64_t *memory;
	char line[64];

	if (!bytes)
		return 2;
	if (eats)
		return eat(bytes);
	if (argc == 3 && !strcmp(argv[1], "--holes"))
		return holes(bytes);
	memory = take(bytes);
	for (uint64_t i = 0; i < bytes / 8; i++)
		memory[i] = word(i);
	setvbuf(stdout, NULL, _IOLBF, 0);
	printf("holding\n");
	while (fgets(line, sizeof(line), stdin))
		look(memory, bytes / 8);
	return 0;
}
