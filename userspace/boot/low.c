// SPDX-License-Identifier: GPL-2.0-only
/*
 * Who uses what of base memory.  Images may have segments there, so the loader's own tables go
 * where an image has left room.
 */
#include <string.h>

#include "boot.h"

#define PAGE		4096u
#define FIRST		PAGE		/* below: interrupt vectors and the BIOS data area */

static int use(struct boot *boot, uint64_t from, uint64_t to)
{
	struct boot_low *low = &boot->low;

	if (low->count == BOOT_LOW_MAX)
		return boot_error(boot, "%s: more than %u pieces below 1 MiB", boot->kernel,
				  BOOT_LOW_MAX);
	low->range[low->count++] = (struct boot_range){ from, to };
	return 0;
}

void *boot_place(struct boot *boot, uint64_t gpa, uint64_t bytes)
{
	if (gpa >= BOOT_KERNEL)
		return gpa < boot->memory->low ? memory_at(boot->memory, gpa, bytes) : NULL;
	if (gpa < FIRST || bytes > BOOT_EBDA || gpa + bytes > BOOT_EBDA)
		return NULL;
	if (use(boot, gpa, gpa + bytes))
		return NULL;
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
	if (use(boot, at, at + bytes))
		return NULL;
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
