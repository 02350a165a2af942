// SPDX-License-Identifier: GPL-2.0-only
/* A paravirtualized guest of a page of code: its traps, and its writes to its own page tables. */
#include <sys/ioctl.h>
#include "xen_machine.h"

#define LIMIT_LONG_US	900000

GUEST_CODE(raise_int3, 64, "	int3\n	jmp .\n");
GUEST_CODE(syscall_twice, 64, "	syscall\n	syscall\n	int3\n	jmp .\n");
GUEST_CODE(raise_int, 64, "	int $0x80\n	jmp .\n");
GUEST_CODE(raise_ud, 64, "	ud2\n	jmp .\n");
GUEST_CODE(load_empty, 64, "	mov $0x5003, %eax\n	mov %eax, %ds\n	jmp .\n");
GUEST_CODE(ask_empty, 64, "	mov $0x5003, %eax\n	lsl %eax, %ecx\n	jz .\n	int3\n	jmp .\n");
/* RCX: for how many selectors of ring 3 there is a segment. */
GUEST_CODE(ask_all, 64,
	"	xor %ecx, %ecx\n"
	"	mov $3, %eax\n"
	"1:	lsl %eax, %edx\n"
	"	jnz 2f\n"
	"	inc %ecx\n"
	"2:	add $8, %eax\n"
	"	cmp $0x10000, %eax\n"
	"	jb 1b\n"
	"	int3\n"
	"	jmp .\n");
GUEST_CODE(write_entry, 64, "	mov %rax, (%rbx)\n	out %al, $0x80\n	jmp .\n");
GUEST_CODE(write_half, 64, "	mov %eax, (%rbx)\n	out %al, $0x80\n	jmp .\n");
GUEST_CODE(exchange_entry, 64, "	xchg %rax, (%rbx)\n	out %al, $0x80\n	jmp .\n");
GUEST_CODE(fill_entries, 64, "	rep stosq\n	out %al, $0x80\n	jmp .\n");
GUEST_CODE(write_read_only, 64, "	movb $1, 0x30000\n	jmp .\n");

/* The frame that the monitor left for the handler, or NULL. */
static uint64_t *trapped(struct machine *machine, const char *code, size_t bytes, unsigned int vector)
{
	uint64_t *table = xen_at(machine, RANDOM);

	memset(table, 0, 64);
	table[0] = vector | 3 << 8 | 0xe033ull << 16;
	table[1] = CODE + HANDLER;
	require_equal(xen_call(machine, 0, RANDOM, 0), 0);
	xen_begin(machine);
	memcpy(machine->memory + CODE, code, bytes);
	memcpy(machine->memory + CODE + HANDLER, take_trap, take_trap_end - take_trap);
	if (!xen_run_batch(machine))
		return NULL;
	return xen_at(machine, *xen_at(machine, DATA));
}

static void traps(void)
{
	struct machine machine;
	uint64_t *frame;

	xen_create(&machine);
	/* RCX, R11, RIP, CS, RFLAGS, RSP, SS: the kernel's own CS is of ring 0 there. */
	frame = trapped(&machine, raise_int3, raise_int3_end - raise_int3, 3);
	require(frame);
	expect_equal(frame[2], CODE + 1);
	expect_equal(frame[3] & 0xffff, 0xe030);
	expect_equal(frame[5], STACK);
	frame = trapped(&machine, raise_int, raise_int_end - raise_int, 0x80);
	require(frame);
	expect_equal(frame[2], CODE + 2);
	frame = trapped(&machine, raise_ud, raise_ud_end - raise_ud, 6);
	require(frame);
	expect_equal(frame[2], CODE);
	/* A selector of a place where the GDT has no page is one of no segment, not a fault of the page. */
	require_equal(xen_call(&machine, 2, RANDOM, 0), 0);
	expect_equal(xen_at(&machine, FIRST * PAGE)[5], EMPTY * PAGE | 0x25);
	frame = trapped(&machine, load_empty, load_empty_end - load_empty, 13);
	require(frame);
	expect_equal(frame[2], 0x5000);
	expect_equal(frame[3], CODE + 5);
	expect(trapped(&machine, ask_empty, ask_empty_end - ask_empty, 3));
	/* Nor does a selector reach what an engine has behind its own descriptors. */
	xen_limit_us = LIMIT_LONG_US;
	frame = trapped(&machine, ask_all, ask_all_end - ask_all, 3);
	xen_limit_us = XEN_LIMIT_US;
	require(frame);
	expect(frame[0] <= 3);
	/* With an error code: present, a write, and the kernel's. */
	frame = trapped(&machine, write_read_only, write_read_only_end - write_read_only, 14);
	require(frame);
	expect_equal(frame[2], 3);
	expect_equal(frame[3], CODE);
	machine_destroy(&machine);
}

/* Does the guest get a page fault for what it writes to a table?  @at: where to; @count: for REP */
static bool write_faults(struct machine *machine, const char *code, size_t bytes, uint64_t at, uint64_t value,
			 uint64_t count)
{
	memcpy(machine->memory + CODE, code, bytes);
	xen_begin(machine);
	machine->regs.gpr[0] = value;
	machine->regs.gpr[1] = count;
	machine->regs.gpr[3] = at;
	machine->regs.gpr[7] = at;
	machine_set(machine);
	*(uint64_t *)(machine->memory + DATA) = 0;
	require(xen_run_batch(machine));
	return *(uint64_t *)(machine->memory + DATA);
}

#define WRITE_FAULTS(code, at, value, count) \
	write_faults(&machine, code, code##_end - (code), at, value, count)

/* The guest writes a leaf table that it has pinned: what a hypercall would refuse is a page fault. */
static void direct_writes(void)
{
	const uint64_t self = 0x7ff0, table = TABLES + 3 * PAGE, leaf = table + 8 * 0x50;
	struct machine machine;
	uint64_t *ext, *trap;

	xen_create(&machine);
	trap = xen_at(&machine, RANDOM);
	memset(trap, 0, 64);
	trap[0] = 14 | 3 << 8 | 0xe033ull << 16;
	trap[1] = CODE + HANDLER;
	require_equal(xen_call(&machine, 0, RANDOM, 0), 0);
	memcpy(machine.memory + CODE + HANDLER, take_trap, take_trap_end - take_trap);
	/* It is read-only: no table, no write. */
	expect(WRITE_FAULTS(write_entry, leaf, 0x55 * PAGE | ENTRY, 0));
	ext = xen_at(&machine, RANDOM);
	memset(ext, 0, 24);
	ext[1] = table / PAGE;
	require_equal(xen_call4(&machine, 26, RANDOM, 1, self), 0);
	memcpy(machine.memory + CODE + HANDLER, take_trap, take_trap_end - take_trap);
	expect(!WRITE_FAULTS(write_entry, leaf, 0x55 * PAGE | ENTRY, 0));
	expect_equal(*xen_at(&machine, leaf), 0x55 * PAGE | ENTRY);
	expect(!WRITE_FAULTS(exchange_entry, leaf, table | READ_ONLY, 0));
	expect_equal(*xen_at(&machine, leaf), table | READ_ONLY);
	/* Itself writable, whole or by half; the monitor's page; a frame that is not there. */
	expect(WRITE_FAULTS(write_entry, leaf, table | ENTRY, 0));
	expect(WRITE_FAULTS(exchange_entry, leaf, table | ENTRY, 0));
	expect(WRITE_FAULTS(write_half, leaf, table | ENTRY, 0));
	expect(WRITE_FAULTS(write_half, leaf + 4, 1, 0));
	expect(WRITE_FAULTS(write_entry, leaf, THIRD * PAGE | ENTRY, 0));
	expect(WRITE_FAULTS(write_entry, leaf, (uint64_t)PAGES * PAGE | READ_ONLY, 0));
	expect_equal(*xen_at(&machine, leaf), 0x50 * PAGE | ENTRY);
	expect(WRITE_FAULTS(write_entry, leaf + 4, 0x55 * PAGE | ENTRY, 0));
	/* Entries one after the other, up to the end of the table and no farther. */
	expect(!WRITE_FAULTS(fill_entries, table + 8 * 500, 0x55 * PAGE | ENTRY, 12));
	expect_equal(*xen_at(&machine, table + 8 * 511), 0x55 * PAGE | ENTRY);
	expect(WRITE_FAULTS(fill_entries, table + 8 * 500, 0x55 * PAGE | ENTRY, 13));
	expect_equal(*xen_at(&machine, table + 8 * 512), 512 * PAGE | ENTRY);
	machine_destroy(&machine);
}

static void stepped(struct machine *machine)
{
	struct gondola_debug debug = { .size = sizeof(debug), .flags = GONDOLA_DEBUG_STEP };

	require_equal(ioctl(machine->vcpu, GONDOLA_SET_DEBUG, &debug), 0);
	do
		machine_run(machine);
	while (machine->run->exit == GONDOLA_EXIT_XEN);
	require_equal(machine->run->exit, GONDOLA_EXIT_DEBUG);
	require_equal(__gondola_get_registers(machine->vcpu, &machine->regs, &machine->sregs), 0);
}

/* A debugger's step over a hypercall, one that tells the launcher, and into a trap. */
static void steps(struct machine *machine)
{
	xen_begin(machine);
	memcpy(machine->memory + CODE, syscall_twice, syscall_twice_end - syscall_twice);
	machine->regs.gpr[0] = 17;
	machine->regs.gpr[7] = 0;
	machine_set(machine);
	stepped(machine);
	expect_equal(machine->regs.rip, CODE + 2);
	expect_equal(machine->regs.gpr[0], 4 << 16 | 17);
	machine->regs.gpr[0] = 18;		/* to the console: one letter */
	machine->regs.gpr[7] = 0;
	machine->regs.gpr[6] = 1;
	machine->regs.gpr[2] = DATA;
	machine_set(machine);
	stepped(machine);
	expect_equal(machine->regs.rip, CODE + 4);
	expect_equal(machine->regs.gpr[0], 1);
	stepped(machine);			/* INT3 raises the trap */
	stepped(machine);			/* whose handler begins */
	expect_equal(machine->regs.rip, CODE + HANDLER);
}

static void step_by_step(void)
{
	struct machine machine;

	xen_create(&machine);
	require(trapped(&machine, raise_int3, raise_int3_end - raise_int3, 3));
	steps(&machine);
	machine_destroy(&machine);
}
static const struct tap_test tests[] = {
	{ "traps come with the frame that the guest expects", traps },
	{ "a leaf table is written by what a hypercall would take, and no other page is", direct_writes },
	{ "a debugger steps over hypercalls and into traps", step_by_step },
};

TAP_MAIN(tests)
