// SPDX-License-Identifier: GPL-2.0-only
/*
 * An NMI waits behind STI or MOV SS for one instruction.  Where the host has to single-step that,
 * the guest does not see the trap flag that is not its own.
 */
#include <sched.h>
#include "machine.h"

#define RFLAGS_FIXED	0x2u
#define RFLAGS_TF	0x100u
#define EFER_SCE	1u
#define GDT		0x8000u
#define IDT		0xa000u
#define SELECTOR_CODE	0x10u
#define SELECTOR_DATA	0x18u
#define GATE		0x8e00u
#define HANDLERS	0xb000u		/* one in 64 bytes, by vector */
#define VECTORS		0x42u
#define SHADOW_MOV_SS	2u

enum { VEC_DB = 1, VEC_NMI = 2, VEC_BP = 3, VEC_INT = 0x41 };
enum { NMIS, STEPS };
#define WORD(machine, i)	(((volatile uint32_t *)((machine)->memory + DATA))[i])

GUEST_CODE(nmi32, 32, "incl 0x40000; iret");
GUEST_CODE(nmi64, 64, "incl 0x40000; iretq");
/* Steps once, no more. */
GUEST_CODE(step32, 32, "incl 0x40004; andl $~0x100, 8(%esp); iret");
/* Reports what was pushed: RFLAGS, then the return address. */
GUEST_CODE(report32, 32, "mov 8(%esp), %eax; out %eax, $0x80; mov (%esp), %eax; out %eax, $0x80");

/* All that is used is mapped when the NMI comes: a page fault would end the shadow. */
#define READY		"push %eax; pop %eax; pop %eax; push %eax\n"			\
			"mov 0x8000, %eax; mov 0xa000, %eax; mov 0xb000, %eax; out %eax, $0x80\n"
#define READY_BYTES	21u
GUEST_CODE(pushf_code, 32, READY "pushf; pop %eax; out %eax, $0x80");
GUEST_CODE(popf_code, 32, READY "popf; nop; nop; nop; xor %eax, %eax; out %eax, $0x80");
GUEST_CODE(int3_code, 32, READY "int3; nop");
GUEST_CODE(int_code, 32, READY "int $0x41; nop");
GUEST_CODE(iret_code, 32, READY "iret");
GUEST_CODE(after_iret, 32, "nop; nop; xor %eax, %eax; out %eax, $0x80");
GUEST_CODE(syscall_code, 64,
	   "mov $0xc0000081, %ecx; xor %eax, %eax; mov $0x00100010, %edx; wrmsr\n"
	   "mov $0xc0000082, %ecx; mov $(1f - syscall_code + 0x10000), %eax; xor %edx, %edx; wrmsr\n"
	   "mov $0xc0000084, %ecx; xor %eax, %eax; wrmsr\n"
	   "out %eax, $0x80; syscall; hlt\n"
	   "1: mov %r11d, %eax; out %eax, $0x80");
GUEST_CODE(undefined_code, 32, READY "ud2");

static struct machine machine;

static void put_handler(unsigned int vector, const char *code, const char *end)
{
	bool wide = machine.sregs.efer;
	uint32_t *gate = (uint32_t *)(machine.memory + IDT + (wide ? 16 : 8) * vector);
	uint32_t at = HANDLERS + 64 * vector;

	memcpy(machine.memory + at, code, end - code);
	gate[0] = SELECTOR_CODE << 16 | (at & 0xffff);
	gate[1] = GATE;
}

static void make(enum mode mode)
{
	const uint64_t gdt[] = { 0, 0, mode == MODE_LONG ? 0x00af9b000000ffffull :
				 0x00cf9b000000ffffull, 0x00cf93000000ffffull };

	machine_create(&machine, mode);
	memcpy(machine.memory + GDT, gdt, sizeof(gdt));
	machine.sregs.gdt.base = GDT;
	machine.sregs.gdt.limit = sizeof(gdt) - 1;
	machine.sregs.idt.base = IDT;
	machine.sregs.idt.limit = 16 * VECTORS - 1;
	if (mode == MODE_LONG) {
		machine.sregs.efer |= EFER_SCE;
		put_handler(VEC_NMI, nmi64, nmi64_end);
	} else {
		put_handler(VEC_NMI, nmi32, nmi32_end);
		put_handler(VEC_DB, step32, step32_end);
		put_handler(VEC_BP, report32, report32_end);
		put_handler(VEC_INT, report32, report32_end);
		put_handler(6, report32, report32_end);
	}
	machine_set(&machine);
}

/*
 * Bochs 2.7 keeps a guest's NMIs blocked on a processor that some guest left inside its handler,
 * whatever the next VM entry says, until a guest's IRET there.  So stay on one, and begin with one.
 */
static void settle(void)
{
	const uint32_t frame[] = { CODE + 0x40, SELECTOR_CODE, RFLAGS_FIXED };
	cpu_set_t cpus;

	CPU_ZERO(&cpus);
	CPU_SET(sched_getcpu(), &cpus);
	sched_setaffinity(0, sizeof(cpus), &cpus);
	make(MODE_PAGED32);
	GUEST_LOAD(&machine, iret_code);
	memcpy(machine.memory + CODE + 0x40, after_iret, after_iret_end - after_iret);
	memcpy(machine.memory + STACK, frame, sizeof(frame));
	machine_result(&machine);
	machine_result(&machine);
	machine_destroy(&machine);
}

static void create(enum mode mode)
{
	settle();
	make(mode);
}

/* When the guest is ready, it is as after MOV SS, with an NMI that has just come. */
static void nmi_behind_mov_ss(void)
{
	_Alignas(8) struct {
		struct gondola_record head;
		struct gondola_rec_events events;
	} one = {
		.head = { .type = GONDOLA_REC_EVENTS, .version = 1, .bytes = sizeof(one.events) },
		.events = { .nmi_pending = 1, .shadow = SHADOW_MOV_SS },
	};

	machine_result(&machine);
	require_equal(__gondola_set_state(machine.vcpu, &one, sizeof(one), NULL), 0);
}

static void expect_one_nmi(void)
{
	expect_equal(WORD(&machine, NMIS), 1);
	machine_destroy(&machine);
}

static void pushf_pushes(void)
{
	create(MODE_PAGED32);
	GUEST_LOAD(&machine, pushf_code);
	nmi_behind_mov_ss();
	expect_equal(machine_result(&machine) & RFLAGS_TF, 0);
	expect_one_nmi();
}

static void popf_sets(void)
{
	create(MODE_PAGED32);
	GUEST_LOAD(&machine, popf_code);
	*(uint32_t *)(machine.memory + STACK) = RFLAGS_FIXED | RFLAGS_TF;
	nmi_behind_mov_ss();
	machine_result(&machine);
	expect_equal(WORD(&machine, STEPS), 1);
	expect_one_nmi();
}

static void iret_sets(void)
{
	const uint32_t frame[] = { CODE + 0x40, SELECTOR_CODE, RFLAGS_FIXED | RFLAGS_TF };

	create(MODE_PAGED32);
	GUEST_LOAD(&machine, iret_code);
	memcpy(machine.memory + CODE + 0x40, after_iret, after_iret_end - after_iret);
	memcpy(machine.memory + STACK, frame, sizeof(frame));
	nmi_behind_mov_ss();
	machine_result(&machine);
	expect_equal(WORD(&machine, STEPS), 1);
	expect_one_nmi();
}

static void interrupt_returns(const char *code, size_t bytes, uint32_t return_to)
{
	create(MODE_PAGED32);
	machine_load(&machine, code, bytes);
	nmi_behind_mov_ss();
	expect_equal(machine_result(&machine) & RFLAGS_TF, 0);
	expect_equal(machine_result(&machine), return_to);
	expect_one_nmi();
}

static void int3_returns(void)
{
	interrupt_returns(int3_code, int3_code_end - int3_code, CODE + READY_BYTES + 1);
}

static void int_returns(void)
{
	interrupt_returns(int_code, int_code_end - int_code, CODE + READY_BYTES + 2);
}

static void undefined(void)
{
	interrupt_returns(undefined_code, undefined_code_end - undefined_code, CODE + READY_BYTES);
}

static void syscall_saves(void)
{
	create(MODE_LONG);
	GUEST_LOAD(&machine, syscall_code);
	nmi_behind_mov_ss();
	expect_equal(machine_result(&machine) & RFLAGS_TF, 0);
	expect_one_nmi();
}

static const struct tap_test tests[] = {
	{ "PUSHF pushes the guest's own trap flag", pushf_pushes },
	{ "POPF that sets it is followed by a trap", popf_sets },
	{ "... and so is IRET", iret_sets },
	{ "INT3 returns behind itself", int3_returns },
	{ "... and INT n", int_returns },
	{ "an undefined instruction is one", undefined },
	{ "SYSCALL saves the guest's own trap flag", syscall_saves },
};

TAP_MAIN(tests)
