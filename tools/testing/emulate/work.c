// SPDX-License-Identifier: GPL-2.0-only
/* Ordinary code for the benchmark to interpret: loops, calls, tables, strings. */
#include "work.h"

#define WORDS	1024
#define NAMES	64

static u32 table[WORDS];
static char names[NAMES][16];

static u32 hash(const char *s)
{
	u32 h = 5381;

	while (*s)
		h = h * 33 ^ (u8)*s++;
	return h;
}

static void fill(u64 seed)
{
	unsigned int i, j;

	for (i = 0; i < WORDS; i++) {
		seed = seed * 6364136223846793005ull + 1442695040888963407ull;
		table[i] = seed >> 33;
	}
	for (i = 0; i < NAMES; i++) {
		for (j = 0; j < 8 + i % 7; j++)
			names[i][j] = 'a' + table[i * 8 + j] % 26;
		names[i][j] = 0;
	}
}

static void sort(u32 *a, int low, int high)
{
	int i = low, j = high;
	u32 pivot = a[(low + high) / 2], t;

	while (i <= j) {
		while (a[i] < pivot)
			i++;
		while (a[j] > pivot)
			j--;
		if (i <= j) {
			t = a[i];
			a[i++] = a[j];
			a[j--] = t;
		}
	}
	if (low < j)
		sort(a, low, j);
	if (i < high)
		sort(a, i, high);
}

static int find(const u32 *a, u32 value)
{
	int low = 0, high = WORDS - 1;

	while (low < high) {
		int middle = (low + high) / 2;

		if (a[middle] < value)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* The same number, however it is executed. */
u64 work(u64 rounds)
{
	u64 sum = 0, i;
	int j;

	for (i = 0; i < rounds; i++) {
		fill(i);
		sort(table, 0, WORDS - 1);
		for (j = 0; j < WORDS; j += 7)
			sum += find(table, table[j] + j);
		for (j = 0; j < NAMES; j++)
			sum = sum * 31 + hash(names[j]);
	}
	return sum;
}
