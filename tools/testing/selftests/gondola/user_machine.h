/* SPDX-License-Identifier: GPL-2.0-only */
/* A machine in long mode that runs a program in ring 3, and a kernel that only says how it ended. */
#ifndef USER_MACHINE_H
#define USER_MACHINE_H

#include "machine.h"

/* Of the program: selectors, as Linux has them, and pages.  All else is the kernel's. */
#define USER_DS		0x2bu
#define USER_CS		0x33u
#define USER_STACK	0x20000u	/* below CODE + 64 KiB, like CODE for ring 3 */
#define USER_DATA	0x40000u
#define READ_ONLY	0x42000u
#define ABSENT		0x43000u
#define NO_EXECUTE	0x44000u

/* More of its GDT. */
#define CALL_GATE	0x63u		/* for ring 3, to CALLED */
#define NOT_PRESENT	0x73u
#define LIMITED		0x7bu		/* data that can only be read, with the limit of 0x123 */
#define NOT_ACCESSED	0x83u		/* data without the accessed bit */

/* Of the kernel. */
#define GDT		0x50000u
#define IDT		0x51000u
#define TSS		0x52000u
#define STUBS		0x53000u
#define KERNEL_STACK	0x56000u
#define CALLED		0x57000u	/* where SYSCALL and the call gate lead to */
#define OPEN_VECTOR	0x80u		/* with #BP, what ring 3 may raise by INT */

#define VEC_DE		0u
#define VEC_DB		1u
#define VEC_BP		3u
#define VEC_UD		6u
#define VEC_NM		7u
#define VEC_NP		11u
#define VEC_SS		12u
#define VEC_GP		13u
#define VEC_PF		14u
#define VEC_MF		16u
#define VEC_XM		19u

#define RFLAGS_TF	0x100u
#define RFLAGS_IF	0x200u
#define RFLAGS_IOPL	0x3000u
#define RFLAGS_NT	0x4000u

#define CR0_EM		0x4u
#define CR0_TS		0x8u
#define CR4_TSD		0x4u
#define CR4_OSFXSR	0x200u
#define CR4_FSGSBASE	0x10000u

/**
 * struct user_end - how a program ended
 * @vector: of the exception or interrupt; what follows is the kernel's stack
 * @cr2: of a page fault, or of an earlier one
 * @regs: all else; RIP and RSP are the kernel's
 */
struct user_end {
	uint64_t vector, error, rip, cs, rflags, rsp, ss;
	uint64_t cr2;
	struct gondola_rec_regs regs;
};

/** user_create() - CR0, CR4, flags and RAX = USER_DATA, RDX = 0x80 are set for a program */
void user_create(struct machine *machine);
/** user_load() - another program, with the registers that @machine has for it */
void user_load(struct machine *machine, const char *code, const char *end);
/** user_run() - from CODE until it raises an exception or an interrupt */
void user_run(struct machine *machine, struct user_end *end);
/** user_end() - how the program ended that has run already */
void user_end(struct machine *machine, struct user_end *end);
/** user_run_called() - the same until it comes to CALLED; RIP, RSP, RFLAGS are what they are there */
void user_run_called(struct machine *machine, struct user_end *end);

#endif
