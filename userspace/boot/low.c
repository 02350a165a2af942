// SPDX-License-Identifier: GPL-2.0-only
/* Base memory.  Images may have segments there, so the loader's tables go where they left room. */
#include <string.h>

#include "boot.h"

#define PAGE		4096u
#define FIRST		PAGE		/* below: interrupt vectors and the BIOS data area */

/* When the list is full its last range grows, over gaps too: that costs room, and nothing else. */
static void use(struct boot_low *low, uint64_t from, uint64_t to)
{
	struct boot_range *last = &low->range[BOOT_LOW_MAX - 1];

	if (low->count < BOOT_LOW_MAX) {
		low->range[low->count++] = (struct boot_range){ from, to };
		return;
	}
	if (from < last->from)
		last->from = from;
	if (to > last->to)
		last->to = to;
}

void *boot_place(struct boot *boot, uint64_t gpa, uint64_t bytes)
{
	if (gpa >= BOOT_KERNEL || boot->as_xen)
		return gpa < boot->memory->low ? memory_at(boot->memory, gpa, bytes) : NULL;
	if (gpa < FIRST || bytes > BOOT_EBDA || gpa + bytes > BOOT_EBDA)
		return NULL;
	use(&boot->low, gpa, gpa + bytes);
	return memory_at(boot->memory, gpa, bytes);
}

/* The range that keeps @bytes at @at from being free, or NULL. */
static const struct boot_range *in_the_way(const struct boot_low *low, uint64_t at, uint64_t bytes)
{
	for (unsigned int i = 0; i < low->count; i++)
		if (at < low->range[i].to && low->range[i].from < at + bytes)
			return &low->range[i];
	return NULL;
}

void *boot_take_low(struct boot *boot, uint64_t bytes, uint32_t *gpa)
{
	const struct boot_range *other;
	uint64_t at = FIRST;

	/* Each turn goes behind one of the ranges. */
	while ((other = in_the_way(&boot->low, at, bytes)))
		at = (other->to + PAGE - 1) & ~(uint64_t)(PAGE - 1);
	if (at + bytes > BOOT_EBDA) {
		boot_error(boot, "%s: leaves no room below 0x%x for the loader's tables (%llu bytes)",
			   boot->kernel, BOOT_EBDA, (unsigned long long)bytes);
		return NULL;
	}
	use(&boot->low, at, at + bytes);
	*gpa = at;
	return memory_at(boot->memory, at, bytes);
}

int boot_put_string(struct boot *boot, const char *string, uint32_t *gpa)
{
	size_t bytes = strlen(string) + 1;
	void *to = boot_take_low(boot, bytes, gpa);

	if (!to)
		return -1;
	memcpy(to, string, bytes);
	return 0;
}

uint8_t boot_checksum(const void *data, size_t bytes)
{
	const uint8_t *at = data;
	uint8_t sum = 0;

	while (bytes--)
		sum += *at++;
	return -sum;
}
