/* SPDX-License-Identifier: GPL-2.0-only */
/* The instruction forms that are compared: text, and code made of it by the assembler. */
#ifndef FORMS_H
#define FORMS_H

#include <linux/types.h>

/**
 * struct form - one instruction form
 * @code: the instruction; @taken: where its branch would go
 * @text: as the assembler reads it
 * @undefined: flags that it leaves undefined
 * @attr: F_…
 */
struct form {
	const u8 *code;
	const u8 *taken;
	const char *text;
	u64 undefined;
	u64 attr;
};

#define F_COUNT		1	/* RCX is a small count */
#define F_SHIFT		2	/* undefined flags only unless the count is 0; OF if not 1 */
#define F_CPU_MOVBE	4
#define F_CPU_LZCNT	8	/* and TZCNT */
#define F_CPU_POPCNT	16
#define F_DIVIDE	32	/* by RCX, the quotient near a limit; | bytes << 8 */

extern const struct form forms_start[], forms_end[];

#endif
