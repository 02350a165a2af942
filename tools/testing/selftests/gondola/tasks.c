// SPDX-License-Identifier: GPL-2.0-only
/*
 * Task switches: by jump, by call and by interrupts, and the double fault that
 * an i386 kernel has handled by a task of its own, since its stack is gone.
 * The tasks have page tables of their own, too.
 */
#include <cpuid.h>
#include "smp_machine.h"

#define GDT		0x48000u
#define TASK_IDT	0x49000u
#define OLD_TSS		0x4a000u
#define NEW_TSS		0x4a100u
#define TASK_STACK	0x4c000u
#define OTHER_TABLES	0x50000u
#define NO_STACK	0x300000u	/* 3 MiB: not there while it is a stack */
#define EVENT_PORT	0x81

#define VEC_NMI		2u
#define VEC_DF		8u
#define CR0_TS		(1u << 3)
#define RFL_NT		(1u << 14)

#define CODE_SELECTOR	0x08u
#define DATA_SELECTOR	0x10u
#define OLD_TASK	0x28u
#define NEW_TASK	0x30u
#define TASK_GATE	0x38u

/* Offsets in a TSS. */
enum { T_LINK = 0, T_CR3 = 28, T_EIP = 32, T_EFLAGS = 36, T_ESP = 56, T_ES = 72, T_TRAP = 100 };

/* Words that the new task writes, beside COUNTER: its CR3, its stack pointer, the error code. */
enum { SEEN_CR3 = 8, SEEN_ESP, SEEN_ERROR };

#define TASK	"1: incl 0x40004; mov %cr3, %eax; mov %eax, 0x40020; mov %esp, 0x40024\n"

GUEST_CODE(task_returns, 32, TASK "iret; jmp 1b\n");
GUEST_CODE(task_jumps, 32, TASK "ljmp $0x28, $0; jmp 1b\n");
GUEST_CODE(task_reports, 32, TASK "pop 0x40028; out %eax, $0x80; jmp .\n");

#define END	"out %eax, $0x80; jmp .\n"

GUEST_CODE(jumps, 32, "ljmp $0x30, $0; ljmp $0x30, $0\n" END);
GUEST_CODE(jumps_to_gate, 32, "ljmp $0x38, $0; ljmp $0x38, $0\n" END);
GUEST_CODE(calls, 32, "lcall $0x30, $0; lcall $0x38, $0\n" END);
GUEST_CODE(interrupts, 32, "int $0x42; int $0x42\n" END);
GUEST_CODE(outside, 32, "out %eax, $0x81; nop; out %eax, $0x81; nop\n" END);

/* The handler of #DB: DR6 is its word of BT. */
GUEST_CODE(task_traps, 32, "mov %dr6, %eax; mov %eax, 0x40028; pop 0x40024; out %eax, $0x80; jmp .\n");

extern const char doubly_at[];
GUEST_CODE(doubly, 32, "doubly_at: ud2\n" END);

static uint32_t *word(struct machine *machine, uint32_t at)
{
	return (uint32_t *)(machine->memory + at);
}

static void describe(struct machine *machine, uint32_t selector, uint32_t base, uint8_t access)
{
	uint32_t *entry = word(machine, GDT + selector);

	entry[0] = base << 16 | 0x67;
	entry[1] = (base & 0xff000000) | access << 8 | (base >> 16 & 0xff);
}

static void put_task_gate(struct machine *machine, uint32_t at)
{
	word(machine, at)[0] = NEW_TASK << 16;
	word(machine, at)[1] = 0x8500;
}

/* The other address space maps the same, by tables of its own. */
static void copy_tables(struct machine *machine, enum mode mode)
{
	memcpy(machine->memory + OTHER_TABLES, machine->memory + TABLES, 0x6000);
	if (mode == MODE_PAGED32)
		*word(machine, OTHER_TABLES) += OTHER_TABLES - TABLES;
	if (mode == MODE_PAE)
		for (unsigned int i = 0; i < 4; i++)
			*word(machine, OTHER_TABLES + 8 * i) += OTHER_TABLES - TABLES;
}

static void put_tasks(struct machine *machine, enum mode mode)
{
	static const uint32_t flat[] = { 0xffff, 0x00cf9b00, 0xffff, 0x00cf9300 };
	uint32_t *tss = word(machine, NEW_TSS);

	memcpy(machine->memory + GDT + CODE_SELECTOR, flat, sizeof(flat));
	describe(machine, OLD_TASK, OLD_TSS, 0x8b);
	describe(machine, NEW_TASK, NEW_TSS, 0x89);
	put_task_gate(machine, GDT + TASK_GATE);
	put_task_gate(machine, TASK_IDT + 8 * VEC_NMI);
	put_task_gate(machine, TASK_IDT + 8 * VEC_DF);
	put_task_gate(machine, TASK_IDT + 8 * 0x42);
	/* Where IRET and jumps back find the tables of the old one. */
	*word(machine, OLD_TSS + T_CR3) = machine->sregs.cr3;
	tss[T_CR3 / 4] = mode == MODE_UNPAGED ? 0 : OTHER_TABLES;
	tss[T_EIP / 4] = HANDLER;
	tss[T_EFLAGS / 4] = 2;
	tss[T_ESP / 4] = TASK_STACK;
	for (unsigned int i = 0; i < 6; i++)
		tss[T_ES / 4 + i] = i == GONDOLA_CS ? CODE_SELECTOR : DATA_SELECTOR;
	copy_tables(machine, mode);
}

static void set_tables(struct machine *machine)
{
	struct gondola_segment *seg = machine->sregs.seg;

	for (int i = GONDOLA_ES; i <= GONDOLA_GS; i++)
		seg[i].selector = i == GONDOLA_CS ? CODE_SELECTOR : DATA_SELECTOR;
	seg[GONDOLA_TR].selector = OLD_TASK;
	seg[GONDOLA_TR].base = OLD_TSS;
	machine->sregs.gdt.base = GDT;
	machine->sregs.gdt.limit = 8 * 8 - 1;
	machine->sregs.idt.base = TASK_IDT;
	machine->sregs.idt.limit = 8 * 256 - 1;
	machine_set(machine);
}

/* 7.2, and 10.0 as well, does the switch on its own, with whatever the TSS has for CR3. */
static void skip_on_qemu(struct machine *machine)
{
	char vendor[13] = "";
	uint32_t eax;

	__cpuid(0x40000000, eax, *(uint32_t *)vendor, *(uint32_t *)(vendor + 4),
		*(uint32_t *)(vendor + 8));
	if (machine->engine != GONDOLA_ENGINE_SVM || !eax || strcmp(vendor, "TCGTCGTCGTCG"))
		return;
	machine_destroy(machine);
	tap_skip("QEMU does not ask SVM's intercept of task switches");
}

static void make(struct machine *machine, enum mode mode, const char *task, const char *task_end)
{
	machine_create(machine, mode);
	skip_on_qemu(machine);
	put_tasks(machine, mode);
	set_tables(machine);
	memcpy(machine->memory + HANDLER, task, task_end - task);
}

/* The new task ran @times, in its own address space, and the old one goes on. */
static void expect_tasks(struct machine *machine, enum mode mode, uint32_t times)
{
	struct gondola_rec_sregs sregs;
	struct gondola_rec_regs regs;

	require_equal(__gondola_get_registers(machine->vcpu, &regs, &sregs), 0);
	tap_check(WORD(machine, COUNTER) == times, false, "%s: the task ran %u times, not %u",
		  mode_name(mode), WORD(machine, COUNTER), times);
	if (mode != MODE_UNPAGED)
		expect_equal(WORD(machine, SEEN_CR3), OTHER_TABLES);
	expect_equal(WORD(machine, SEEN_ESP), TASK_STACK);
	expect_equal(sregs.cr3, machine->sregs.cr3);
	expect_equal(sregs.seg[GONDOLA_TR].selector, OLD_TASK);
	expect_equal(regs.rflags & RFL_NT, 0);
	expect_equal(regs.gpr[4], STACK);
	expect_equal(sregs.cr0 & CR0_TS, CR0_TS);
	/* Its descriptor says that it is left. */
	expect_equal(machine->memory[GDT + NEW_TASK + 5], 0x89);
	expect_equal(machine->memory[GDT + OLD_TASK + 5], 0x8b);
}

static void play(const char *code, const char *code_end, const char *task, const char *task_end)
{
	struct machine machine;

	for (enum mode mode = MODE_UNPAGED; mode <= MODE_PAE; mode++) {
		make(&machine, mode, task, task_end);
		machine_load(&machine, code, code_end - code);
		machine_result(&machine);
		expect_tasks(&machine, mode, 2);
		machine_destroy(&machine);
	}
}

/* A TSS may ask for #DB before its task's first instruction. */
static void traps(void)
{
	struct machine machine;

	for (enum mode mode = MODE_UNPAGED; mode <= MODE_PAE; mode++) {
		make(&machine, mode, task_traps, task_traps_end);
		word(&machine, NEW_TSS)[T_EIP / 4] = HANDLER + 0x100;
		word(&machine, NEW_TSS)[T_TRAP / 4] = 1;
		word(&machine, TASK_IDT + 8)[0] = CODE_SELECTOR << 16 | (HANDLER & 0xffff);
		word(&machine, TASK_IDT + 8)[1] = (HANDLER & 0xffff0000) | 0x8e00;
		machine_load(&machine, jumps, jumps_end - jumps);
		machine_result(&machine);
		expect_equal(WORD(&machine, SEEN_ERROR) & (1 << 15), 1 << 15);
		expect_equal(WORD(&machine, SEEN_ESP), HANDLER + 0x100);
		machine_destroy(&machine);
	}
}

#define CODE_OF(name)	name, name##_end

static void by_jump(void)
{
	play(CODE_OF(jumps), CODE_OF(task_jumps));
	play(CODE_OF(jumps_to_gate), CODE_OF(task_jumps));
}

static void by_call(void)
{
	play(CODE_OF(calls), CODE_OF(task_returns));
}

static void by_software_interrupt(void)
{
	play(CODE_OF(interrupts), CODE_OF(task_returns));
}

/* The second comes only if the task's IRET ended the first. */
static void by_nmi(void)
{
	struct machine machine;

	for (enum mode mode = MODE_UNPAGED; mode <= MODE_PAE; mode++) {
		make(&machine, mode, CODE_OF(task_returns));
		GUEST_LOAD(&machine, outside);
		for (unsigned int i = 0; i < 2; i++) {
			machine_run(&machine);
			require_equal(machine.run->exit, GONDOLA_EXIT_IO);
			require_equal(machine.run->io.port, EVENT_PORT);
			require_equal(__gondola_nmi(machine.vcpu), 0);
		}
		machine_result(&machine);
		expect_tasks(&machine, mode, 2);
		machine_destroy(&machine);
	}
}

/* #UD finds no stack, nor does the page fault of that. */
static void by_double_fault(void)
{
	struct machine machine;

	for (enum mode mode = MODE_PAGED32; mode <= MODE_PAE; mode++) {
		make(&machine, mode, CODE_OF(task_reports));
		GUEST_LOAD(&machine, doubly);
		if (mode == MODE_PAGED32)
			word(&machine, TABLES + 0x1000)[NO_STACK >> 12] = 0;
		else
			word(&machine, TABLES + 0x1000)[NO_STACK >> 21 << 1] = 0;
		machine.regs.gpr[4] = NO_STACK + 0x800;
		machine_set(&machine);
		machine_result(&machine);
		expect_equal(WORD(&machine, COUNTER), 1);
		expect_equal(WORD(&machine, SEEN_CR3), OTHER_TABLES);
		expect_equal(WORD(&machine, SEEN_ERROR), 0);
		expect_equal(WORD(&machine, SEEN_ESP), TASK_STACK - 4);
		expect_equal(*word(&machine, NEW_TSS + T_LINK), OLD_TASK);
		/* The kernel prints this of a task that is lost. */
		expect_equal(*word(&machine, OLD_TSS + T_EIP), CODE + (doubly_at - doubly));
		expect_equal(*word(&machine, OLD_TSS + T_ESP), NO_STACK + 0x800);
		machine_destroy(&machine);
	}
}

static const struct tap_test tests[] = {
	{ "a jump to a task and back", by_jump },
	{ "a call of a task, and its IRET", by_call },
	{ "INT n through a task gate", by_software_interrupt },
	{ "NMIs through a task gate", by_nmi },
	{ "a task that begins with #DB", traps },
	{ "a double fault is handled by its task", by_double_fault },
};

TAP_MAIN(tests)
