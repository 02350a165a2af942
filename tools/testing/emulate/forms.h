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
#define F_XMM		64	/* uses XMM registers */
#define F_32		(1 << 24)	/* code of 32 bits */
#define F_FPU		192	/* F_XMM, and looks at MXCSR or x87 */

/* The linker gathers them from all files. */
extern const struct form __start_forms[], __stop_forms[];

#define CF	0x001
#define PF	0x004
#define AF	0x010
#define ZF	0x040
#define SF	0x080
#define OF	0x800

#define STRING(x)	#x
#define VALUE(x)	STRING(x)

/* The branch target stands close enough for a short jump. */
#define FORM(text, undefined, attr) \
	asm(".pushsection .text.forms, \"ax\"\n" \
	    "771: " text "\n" \
	    "\tjmp native_exit_fall\n" \
	    "\t.skip 16, 0xcc\n" \
	    "77: jmp native_exit_taken\n" \
	    ".popsection\n" \
	    ".pushsection .rodata.text, \"a\"\n" \
	    "772: .asciz \"" text "\"\n" \
	    ".popsection\n" \
	    ".pushsection forms, \"aw\"\n" \
	    ".quad 771b, 77b, 772b, " VALUE(undefined) ", " VALUE(attr) "\n" \
	    ".popsection\n")

/* The same in 32 bits. */
#define FORM32(text, undefined, attr) \
	asm(".pushsection .text.forms, \"ax\"\n" \
	    ".code32\n" \
	    "771: " text "\n" \
	    "\tljmp $0x33, $native_exit_fall\n" \
	    "\t.skip 16, 0xcc\n" \
	    "77: ljmp $0x33, $native_exit_taken\n" \
	    ".code64\n" \
	    ".popsection\n" \
	    ".pushsection .rodata.text, \"a\"\n" \
	    "772: .asciz \"" text " (32 bits)\"\n" \
	    ".popsection\n" \
	    ".pushsection forms, \"aw\"\n" \
	    ".quad 771b, 77b, 772b, " VALUE(undefined) ", " VALUE(attr) " | " VALUE(F_32) "\n" \
	    ".popsection\n")

#endif
