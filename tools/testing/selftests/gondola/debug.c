// SPDX-License-Identifier: GPL-2.0-only
/*
 * The trap flag, the resume flag and the debug registers, beside instructions that leave the
 * guest.  Its #DB handler writes down each time where it struck and why; the test knows where it
 * should.
 */
#include <cpuid.h>
#include "smp_machine.h"

#define VEC_DB		1u
#define VEC_BP		3u
#define NR_STRUCK	0x40100u	/* then for each one: EIP, DR6 */
#define STRUCK		0x40110u
#define IRET_HANDLER	0xb100u

#define DR6_BD		(1u << 13)
#define DR6_BS		(1u << 14)
#define DR6_CONDITIONS	0xe00fu

/* EAX is lost: no test needs it afterwards. */
GUEST_CODE(on_debug, 32,
	   "push %eax; push %ebx\n"
	   "mov 0x40100, %ebx; incl 0x40100; and $7, %ebx\n"
	   "mov 8(%esp), %eax; mov %eax, 0x40110(,%ebx,8)\n"
	   "mov %dr6, %eax; mov %eax, 0x40114(,%ebx,8); xor %eax, %eax; mov %eax, %dr6\n"
	   "pop %ebx; pop %eax; iret\n");
/* As a kernel does that goes on behind a breakpoint: with RF. */
GUEST_CODE(on_debug_resume, 32,
	   "push %eax; push %ebx\n"
	   "mov 0x40100, %ebx; incl 0x40100; and $7, %ebx\n"
	   "mov 8(%esp), %eax; mov %eax, 0x40110(,%ebx,8)\n"
	   "mov %dr6, %eax; mov %eax, 0x40114(,%ebx,8); xor %eax, %eax; mov %eax, %dr6\n"
	   "orl $0x10000, 16(%esp)\n"
	   "pop %ebx; pop %eax; iret\n");

#define TF_ON		"pushf; orl $0x100, (%esp); popf\n"
#define END		"out %eax, $0x80; jmp .\n"

#define LABEL(name)	extern const char name[]

LABEL(detect_at);
GUEST_CODE(detect, 32,
	   "mov $0x2400, %eax; mov %eax, %dr7\n"
	   "detect_at: mov %dr0, %ecx\n"
	   "mov $0x2400, %eax; mov %eax, %dr7\n"
	   "detect_write: mov %eax, %dr3\n" END);
LABEL(detect_write);

LABEL(exits_1); LABEL(exits_2); LABEL(exits_3); LABEL(exits_4); LABEL(exits_5); LABEL(exits_6);
GUEST_CODE(step_exits, 32,
	   TF_ON "cpuid\n"
	   "exits_1: mov %cr0, %eax\n"
	   "exits_2: in $0x21, %al\n"
	   "exits_3: pushf\n"
	   "exits_4: andl $~0x100, (%esp)\n"
	   "exits_5: popf\n"
	   "exits_6: " END);

LABEL(sti_1); LABEL(sti_2); LABEL(sti_3); LABEL(sti_4); LABEL(sti_5); LABEL(sti_6);
GUEST_CODE(step_sti, 32,
	   TF_ON "sti\n"
	   "sti_1: cpuid\n"
	   "sti_2: cli\n"
	   "sti_3: pushf\n"
	   "sti_4: andl $~0x100, (%esp)\n"
	   "sti_5: popf\n"
	   "sti_6: " END);

LABEL(ss_1); LABEL(ss_2); LABEL(ss_3); LABEL(ss_4); LABEL(ss_5); LABEL(ss_6);
GUEST_CODE(step_mov_ss, 32,
	   "mov %ss, %ecx\n"
	   TF_ON "mov %ecx, %ss; cpuid\n"
	   "ss_1: mov %ss, %ecx\n"
	   "ss_2: mov %ecx, %ss; nop\n"
	   "ss_3: pushf\n"
	   "ss_4: andl $~0x100, (%esp)\n"
	   "ss_5: popf\n"
	   "ss_6: " END);

LABEL(int_1); LABEL(int_2); LABEL(int_3); LABEL(int_4); LABEL(int_5);
GUEST_CODE(step_int, 32,
	   TF_ON "int $0x42; nop\n"
	   "int_1: int3; nop\n"
	   "int_2: pushf\n"
	   "int_3: andl $~0x100, (%esp)\n"
	   "int_4: popf\n"
	   "int_5: " END);

LABEL(iret_1); LABEL(iret_2); LABEL(iret_3); LABEL(iret_4);
GUEST_CODE(step_iret, 32,
	   "pushf; orl $0x100, (%esp); push %cs; call 1f; 1: addl $(2f - 1b), (%esp); iret\n"
	   "2: nop\n"
	   "iret_1: pushf\n"
	   "iret_2: andl $~0x100, (%esp)\n"
	   "iret_3: popf\n"
	   "iret_4: " END);

LABEL(int1_1);
GUEST_CODE(one_int1, 32,
	   ".byte 0xf1\n"
	   "int1_1: nop\n" END);

LABEL(rep_1); LABEL(rep_2); LABEL(rep_3); LABEL(rep_4); LABEL(rep_5);
GUEST_CODE(step_rep, 32,
	   "mov $3, %ecx; mov $0x40200, %edi; mov $0x21, %edx\n"
	   TF_ON "rep_1: rep insb\n"
	   "rep_2: pushf\n"
	   "rep_3: andl $~0x100, (%esp)\n"
	   "rep_4: popf\n"
	   "rep_5: " END);

/* Bits of DR7: an instruction by DR0; a write of four bytes by DR1. */
LABEL(break_at); LABEL(break_write);
GUEST_CODE(breakpoints, 32,
	   "mov $0x40200, %eax; mov %eax, %dr1\n"
	   "call 1f; 1: pop %eax; add $(break_at - 1b), %eax; mov %eax, %dr0\n"
	   "mov $0x00d00405, %eax; mov %eax, %dr7\n"
	   "nop\n"
	   "break_at: cpuid\n"
	   "movb $1, 0x401ff; movb $1, 0x40203\n"
	   "break_write: nop; mov 0x40200, %eax\n" END);

/**
 * struct point - where #DB is to strike
 * @at: the EIP that is pushed
 * @conditions: of DR6
 */
struct point {
	const char *at;
	uint32_t conditions;
};

#define MAX_POINTS	8

/**
 * struct scenario - what runs, and where #DB is to strike
 * @resumes: the handler sets RF
 * @qemu: what QEMU's processor lacks, or NULL
 */
struct scenario {
	const char *code, *code_end;
	bool resumes;
	const char *qemu;
	struct point points[MAX_POINTS];
};

static void put_gate(struct machine *machine, uint32_t vector, uint32_t handler)
{
	uint32_t *gate = (uint32_t *)(machine->memory + IDT + 8 * vector);

	gate[0] = 8 << 16 | handler;
	gate[1] = 0x8e00;
}

static bool on_qemu(void)
{
	char vendor[13] = "";
	uint32_t eax;

	__cpuid(0x40000000, eax, *(uint32_t *)vendor, *(uint32_t *)(vendor + 4),
		*(uint32_t *)(vendor + 8));
	return eax && !strcmp(vendor, "TCGTCGTCGTCG");
}

static void compare(const struct scenario *s, struct machine *machine)
{
	const volatile uint32_t *struck = (uint32_t *)(machine->memory + STRUCK);
	unsigned int n = *(volatile uint32_t *)(machine->memory + NR_STRUCK), i;

	for (i = 0; i < MAX_POINTS && s->points[i].at; i++) {
		uint32_t at = CODE + (s->points[i].at - s->code);

		if (i >= n)
			continue;
		tap_check(struck[2 * i] == at, false, "#DB %u struck at 0x%x, not at 0x%x", i,
			  struck[2 * i], at);
		tap_check((struck[2 * i + 1] & DR6_CONDITIONS) == s->points[i].conditions, false,
			  "#DB %u came with 0x%x in DR6, not 0x%x", i,
			  struck[2 * i + 1] & DR6_CONDITIONS, s->points[i].conditions);
	}
	tap_check(n == i, false, "#DB struck %u times, not %u", n, i);
}

static void play(const struct scenario *s)
{
	struct machine *machine;
	struct smp smp;

	smp_create(&smp, 1);
	machine = &smp.machine;
	if (s->qemu && machine->engine == GONDOLA_ENGINE_SVM && on_qemu()) {
		smp_destroy(&smp);
		tap_skip("QEMU %s", s->qemu);
	}
	machine_load(machine, s->code, s->code_end - s->code);
	machine->sregs.idt.base = IDT;
	machine->sregs.idt.limit = 8 * 256 - 1;
	machine_set(machine);
	put_gate(machine, VEC_DB, HANDLER);
	put_gate(machine, VEC_BP, IRET_HANDLER);
	put_gate(machine, 0x42, IRET_HANDLER);
	if (s->resumes)
		smp_put_code(&smp, HANDLER, on_debug_resume, on_debug_resume_end);
	else
		smp_put_code(&smp, HANDLER, on_debug, on_debug_end);
	machine->memory[IRET_HANDLER] = 0xcf;
	smp_limit(SECONDS);
	machine_result(machine);
	smp_limit(0);
	compare(s, machine);
	smp_destroy(&smp);
}

#define CODE_OF(name)	.code = name, .code_end = name##_end

static void general_detect(void)
{
	play(&(struct scenario){ CODE_OF(detect), .points = {
		{ detect_at, DR6_BD }, { detect_write, DR6_BD },
	} });
}

static void over_exits(void)
{
	play(&(struct scenario){ CODE_OF(step_exits), .points = {
		{ exits_1, DR6_BS }, { exits_2, DR6_BS }, { exits_3, DR6_BS },
		{ exits_4, DR6_BS }, { exits_5, DR6_BS }, { exits_6, DR6_BS },
	} });
}

static void over_sti(void)
{
	play(&(struct scenario){ CODE_OF(step_sti),
		.qemu = "7.2 does not step between STI and the next instruction", .points = {
		{ sti_1, DR6_BS }, { sti_2, DR6_BS }, { sti_3, DR6_BS },
		{ sti_4, DR6_BS }, { sti_5, DR6_BS }, { sti_6, DR6_BS },
	} });
}

static void over_mov_ss(void)
{
	play(&(struct scenario){ CODE_OF(step_mov_ss),
		.qemu = "7.2 steps between MOV SS and the next instruction", .points = {
		{ ss_1, DR6_BS }, { ss_2, DR6_BS }, { ss_3, DR6_BS },
		{ ss_4, DR6_BS }, { ss_5, DR6_BS }, { ss_6, DR6_BS },
	} });
}

static void over_int(void)
{
	play(&(struct scenario){ CODE_OF(step_int), .points = {
		{ int_1, DR6_BS }, { int_2, DR6_BS }, { int_3, DR6_BS },
		{ int_4, DR6_BS }, { int_5, DR6_BS },
	} });
}

/* A step begins behind the instruction that follows IRET, as it does after POPF. */
static void after_iret(void)
{
	play(&(struct scenario){ CODE_OF(step_iret), .points = {
		{ iret_1, DR6_BS }, { iret_2, DR6_BS }, { iret_3, DR6_BS }, { iret_4, DR6_BS },
	} });
}

/* No condition in DR6: what it has with TF set the manuals do not say. */
static void int1(void)
{
	play(&(struct scenario){ CODE_OF(one_int1), .qemu = "does not know INT1", .points = {
		{ int1_1, 0 },
	} });
}

static void over_rep(void)
{
	play(&(struct scenario){ CODE_OF(step_rep), .points = {
		{ rep_1, DR6_BS }, { rep_1, DR6_BS }, { rep_2, DR6_BS },
		{ rep_3, DR6_BS }, { rep_4, DR6_BS }, { rep_5, DR6_BS },
	} });
}

static void at_breakpoints(void)
{
	play(&(struct scenario){ CODE_OF(breakpoints), .resumes = true,
		.qemu = "7.2 arms no breakpoints in VMRUN", .points = {
		{ break_at, 1 }, { break_write, 2 },
	} });
}

static const struct tap_test tests[] = {
	{ "MOV from and to a debug register under DR7.GD", general_detect },
	{ "a single step over instructions that leave the guest", over_exits },
	{ "a single step over STI", over_sti },
	{ "MOV SS puts a single step off", over_mov_ss },
	{ "INT n and INT3 are not stepped into", over_int },
	{ "IRET that sets the trap flag", after_iret },
	{ "INT1 is a #DB of its own", int1 },
	{ "each item of REP INS is a step", over_rep },
	{ "breakpoints on an instruction and on a write", at_breakpoints },
};

TAP_MAIN(tests)
