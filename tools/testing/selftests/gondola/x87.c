// SPDX-License-Identifier: GPL-2.0-only
/* x87 where instructions are emulated: in real mode without an engine's help, and on devices. */
#include "machine.h"

#define REAL_RESULTS	0xf000u

/* As kernels look for an FPU in 16-bit code; then 1 + 1. */
GUEST_CODE(real_mode, 32,
	   ".code16\n"
	   "movw $0x5a5a, 0xf000; movw $0x5a5a, 0xf002\n"
	   "fninit; fnstsw 0xf000; fnstcw 0xf002\n"
	   "fld1; fld1; faddp; fistpl 0xf004; fnstsw %ax; mov %ax, 0xf008; fwait\n"
	   "out %al, $0x80; jmp .\n.code32\n");

static void in_real_mode(void)
{
	struct machine machine;

	machine_create(&machine, MODE_UNPAGED);
	machine.sregs.cr0 = 0x10;
	for (int i = GONDOLA_ES; i <= GONDOLA_GS; i++) {
		struct gondola_segment *s = &machine.sregs.seg[i];

		*s = (struct gondola_segment){ .limit = 0xffff, .ar = 0x93 };
	}
	machine.sregs.seg[GONDOLA_CS] = (struct gondola_segment){
		.limit = 0xffff, .ar = 0x9b, .selector = CODE >> 4, .base = CODE,
	};
	machine.regs.rip = 0;
	machine_set(&machine);
	GUEST_LOAD(&machine, real_mode);
	machine_run(&machine);
	require_equal(machine.run->exit, GONDOLA_EXIT_IO);
	expect_equal(*(uint16_t *)(machine.memory + REAL_RESULTS), 0);
	expect_equal(*(uint16_t *)(machine.memory + REAL_RESULTS + 2), 0x37f);
	expect_equal(*(uint32_t *)(machine.memory + REAL_RESULTS + 4), 2);
	expect_equal(*(uint16_t *)(machine.memory + REAL_RESULTS + 8), 0);
	machine_destroy(&machine);
}

/* The guest's registers go on from what the emulator left, and the other way round. */
GUEST_CODE(device_memory, 64,
	   "fninit; fld1; fld1; faddp; mov $0xd0000000, %ebx; fistl (%rbx)\n"
	   "fiaddl (%rbx); fistpl 0x40000; mov 0x40000, %eax; out %eax, $0x80; jmp .");

static void on_device_memory(void)
{
	struct machine machine;
	uint32_t value = 0;

	machine_create(&machine, MODE_LONG);
	GUEST_LOAD(&machine, device_memory);
	machine_run(&machine);
	require_equal(machine.run->exit, GONDOLA_EXIT_MMIO);
	expect(machine.run->mmio.write);
	memcpy(&value, (const void *)machine.run->mmio.data, sizeof(value));
	expect_equal(value, 2);
	machine_run(&machine);
	require_equal(machine.run->exit, GONDOLA_EXIT_MMIO);
	expect(!machine.run->mmio.write);
	value = 40;
	memcpy((void *)machine.run->mmio.data, &value, sizeof(value));
	expect_equal(machine_result(&machine), 42);
	machine_destroy(&machine);
}

static const struct tap_test tests[] = {
	{ "FNINIT, FNSTSW and arithmetic in real mode", in_real_mode },
	{ "integers of x87 to and from device memory", on_device_memory },
};

TAP_MAIN(tests)
