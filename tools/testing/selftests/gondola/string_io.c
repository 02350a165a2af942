// SPDX-License-Identifier: GPL-2.0-only
/* REP INS and OUTS: every item arrives once, in order, across pages and widths. */
#include <stdlib.h>

#include "machine.h"

#define BUFFER	0x100ff0u	/* crosses a page after 16 bytes */
#define COUNT	5000

/* All of the buffer through port 0x60, by one instruction. */
#define THROUGH(name, instruction)							\
	GUEST_CODE(name, 64, "mov $0x100ff0, %esi; mov %esi, %edi; mov $5000, %ecx\n"	\
		   "mov $0x60, %edx; rep " instruction "; out %eax, $0x80; jmp .")
THROUGH(out_b, "outsb");
THROUGH(out_w, "outsw");
THROUGH(out_l, "outsl");
THROUGH(in_b, "insb");
THROUGH(in_w, "insw");
THROUGH(in_l, "insl");

/* One byte of the stream for each place in it. */
static uint8_t pattern(unsigned int i)
{
	return (i * 7 + i / 251) & 0xff;
}

/* Answers exits until the guest reports; how many bytes went through port 0x60. */
static unsigned int transfer(struct machine *machine, unsigned int width, bool write)
{
	unsigned int done = 0;

	for (;;) {
		struct gondola_run *run = machine->run;
		uint8_t *data;

		machine_run(machine);
		require_equal(run->exit, GONDOLA_EXIT_IO);
		if (run->io.port == RESULT_PORT)
			return done;
		require_equal(run->io.port, 0x60);
		require_equal(run->io.write, write);
		require_equal(run->io.width, width);
		require(run->io.count && run->io.offset + run->io.count * width <= GONDOLA_RUN_SIZE);
		data = (uint8_t *)run + run->io.offset;
		for (unsigned int i = 0; i < run->io.count * width; i++, done++) {
			if (write)
				require_equal(data[i], pattern(done));
			else
				data[i] = pattern(done);
		}
	}
}

static void try_out(const char *code, size_t bytes, unsigned int width)
{
	struct machine machine;

	machine_create(&machine, MODE_LONG);
	machine_load(&machine, code, bytes);
	for (unsigned int i = 0; i < COUNT * width; i++)
		machine.memory[BUFFER + i] = pattern(i);
	expect_equal(transfer(&machine, width, true), COUNT * width);
	machine_destroy(&machine);
}

static void try_in(const char *code, size_t bytes, unsigned int width)
{
	struct gondola_rec_sregs sregs;
	struct gondola_rec_regs regs;
	struct machine machine;

	machine_create(&machine, MODE_LONG);
	machine_load(&machine, code, bytes);
	expect_equal(transfer(&machine, width, false), COUNT * width);
	for (unsigned int i = 0; i < COUNT * width; i++)
		require_equal(machine.memory[BUFFER + i], pattern(i));
	expect_equal(machine.memory[BUFFER - 1], 0);
	expect_equal(machine.memory[BUFFER + COUNT * width], 0);
	require_equal(__gondola_get_registers(machine.vcpu, &regs, &sregs), 0);
	expect_equal(regs.gpr[1], 0);
	expect_equal(regs.gpr[7], BUFFER + COUNT * width);
	machine_destroy(&machine);
}

#define TRY(direction, name, width) try_##direction(name, name##_end - name, width)

static void outs(void)
{
	TRY(out, out_b, 1);
	TRY(out, out_w, 2);
	TRY(out, out_l, 4);
}

static void ins(void)
{
	TRY(in, in_b, 1);
	TRY(in, in_w, 2);
	TRY(in, in_l, 4);
}

GUEST_CODE(down, 64, "std; mov $0x101003, %edi; mov $8, %ecx; mov $0x60, %edx; rep insb; cld\n"
	   "out %eax, $0x80; jmp .");

static void downwards(void)
{
	struct machine machine;

	machine_create(&machine, MODE_LONG);
	GUEST_LOAD(&machine, down);
	expect_equal(transfer(&machine, 1, false), 8);
	for (unsigned int i = 0; i < 8; i++)
		expect_equal(machine.memory[0x101003 - i], pattern(i));
	machine_destroy(&machine);
}

GUEST_CODE(none, 64, "mov $0x100000, %edi; xor %ecx, %ecx; mov $0x60, %edx; rep insb\n"
	   "rep outsb; out %eax, $0x80; jmp .");

static void nothing(void)
{
	struct machine machine;

	machine_create(&machine, MODE_LONG);
	GUEST_LOAD(&machine, none);
	expect_equal(transfer(&machine, 1, false), 0);
	machine_destroy(&machine);
}

static const struct tap_test tests[] = {
	{ "REP OUTS of each width", outs },
	{ "REP INS of each width", ins },
	{ "REP INS downwards", downwards },
	{ "a count of zero does nothing", nothing },
};

TAP_MAIN(tests)
