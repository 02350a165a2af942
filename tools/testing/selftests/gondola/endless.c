// SPDX-License-Identifier: GPL-2.0-only
/*
 * Exceptions that strike again during their own delivery, for ever.  The processor takes no
 * interrupt in between: if the guest is not made to leave, the host has lost it.
 */
#include <errno.h>

#include "machine.h"

#define CR0_AM		0x40000u
#define RFLAGS_AC	0x40000u
#define PTE_USER	0x4u
#define TABLE_ENTRIES	2048u		/* one directory, one table */
#define CODE_USER	0xc0fbu
#define DATA_USER	0xc0f3u
#define SELECTOR_CODE	0x1bu
#define SELECTOR_DATA	0x23u
#define GDT		0x8000u
#define IDT		0xa000u
#define VEC_AC		17u
#define GATE_USER	0xee00u

/* In ring 3, with a stack that is not aligned either, and where the handler runs in ring 3. */
GUEST_CODE(misaligned, 32, "mov 0x40001, %eax; hlt");

static void make_user(struct machine *machine)
{
	const uint64_t gdt[] = { 0, 0, 0, 0x00cffb000000ffffull, 0x00cff3000000ffffull };
	uint32_t *tables = (uint32_t *)(machine->memory + TABLES);
	struct gondola_rec_sregs *sregs = &machine->sregs;

	for (unsigned int i = 0; i < TABLE_ENTRIES; i++)
		tables[i] |= PTE_USER;
	memcpy(machine->memory + GDT, gdt, sizeof(gdt));
	sregs->gdt.base = GDT;
	sregs->gdt.limit = sizeof(gdt) - 1;
	for (int i = GONDOLA_ES; i <= GONDOLA_GS; i++) {
		sregs->seg[i].selector = i == GONDOLA_CS ? SELECTOR_CODE : SELECTOR_DATA;
		sregs->seg[i].ar = i == GONDOLA_CS ? CODE_USER : DATA_USER;
	}
}

static void alignment(void)
{
	struct machine machine;
	uint32_t *gate;
	int ret;

	machine_create(&machine, MODE_PAGED32);
	/* Ring3 interprets this guest, too: it has 32 bits. */
	if (machine.engine == GONDOLA_ENGINE_INTERP || machine.engine == GONDOLA_ENGINE_RING3) {
		machine_destroy(&machine);
		tap_skip("the instruction emulator checks no alignment");
	}
	GUEST_LOAD(&machine, misaligned);
	make_user(&machine);
	gate = (uint32_t *)(machine.memory + IDT + 8 * VEC_AC);
	gate[0] = SELECTOR_CODE << 16 | CODE;
	gate[1] = GATE_USER;
	machine.sregs.idt.base = IDT;
	machine.sregs.idt.limit = 8 * (VEC_AC + 1) - 1;
	machine.sregs.cr0 |= CR0_AM;
	machine.regs.rflags |= RFLAGS_AC;
	machine.regs.gpr[4] = STACK - 1;
	machine_set(&machine);

	ret = machine_enter_for(&machine, 2);
	if (!ret && machine.run->exit == GONDOLA_EXIT_SHUTDOWN &&
	    !machine_exits(&machine, GONDOLA_REASON_EXCEPTION)) {
		machine_destroy(&machine);
		tap_skip("the emulated processor checks no alignment");
	}
	expect_equal(ret, -EINTR);
	expect(machine_exits(&machine, GONDOLA_REASON_EXCEPTION) > 1);
	machine_destroy(&machine);
}

static const struct tap_test tests[] = {
	{ "#AC in the delivery of #AC", alignment },
};

TAP_MAIN(tests)
