// SPDX-License-Identifier: GPL-2.0-only
/*
 * A guest's program in ring 3: the instructions that it may use, and what it gets for all others,
 * one by one, as the manuals say.  An engine that runs programs on the processor, but not
 * their kernel, must give what a processor would that runs both.
 */
#include <cpuid.h>
#include <errno.h>
#include <signal.h>
#include <sys/time.h>

#include "user_machine.h"

#define HOST_UMIP	4u		/* leaf 7, ECX */
#define ANYWHERE	0xff

/**
 * struct program - a few instructions, and how they end
 * @name: its text
 * @code: what runs
 * @vector: the exception or interrupt that it ends with
 * @error: its code, or 0
 * @at: RIP in the frame, from the first byte on
 * @cr2: of a page fault
 */
struct program {
	const char *name, *code, *code_end;
	uint8_t vector;
	uint32_t error;
	uint8_t at;
	uint64_t cr2;
};

/* X(name, text, vector, error code, RIP, CR2) */
#define PRIVILEGED(X)							\
	X(cli, "cli", VEC_GP)						\
	X(sti, "sti", VEC_GP)						\
	X(hlt, "hlt", VEC_GP)						\
	X(in_port, "in $0x21, %al", VEC_GP)				\
	X(out_port, "out %al, $0x80", VEC_GP)				\
	X(insb, "insb", VEC_GP)						\
	X(outsb, "outsb", VEC_GP)					\
	X(read_cr0, "mov %cr0, %rax", VEC_GP)				\
	X(write_cr3, "mov %rax, %cr3", VEC_GP)				\
	X(read_cr8, "mov %cr8, %rax", VEC_GP)				\
	X(read_dr7, "mov %dr7, %rax", VEC_GP)				\
	X(write_dr0, "mov %rax, %dr0", VEC_GP)				\
	X(clts, "clts", VEC_GP)						\
	X(lmsw, "lmsw %ax", VEC_GP)					\
	X(lgdt, "lgdt (%rax)", VEC_GP)					\
	X(lidt, "lidt (%rax)", VEC_GP)					\
	X(lldt, "lldt %cx", VEC_GP)					\
	X(ltr, "ltr %cx", VEC_GP)					\
	X(invlpg, "invlpg (%rax)", VEC_GP)				\
	X(invd, "invd", VEC_GP)						\
	X(wbinvd, "wbinvd", VEC_GP)					\
	X(rdmsr, "rdmsr", VEC_GP)					\
	X(wrmsr, "wrmsr", VEC_GP)					\
	X(rdpmc, "rdpmc", VEC_GP)					\
	X(swapgs, "swapgs", VEC_GP)					\
	X(sysret, "sysretq", VEC_GP)

#define UNDEFINED(X)							\
	X(ud2, "ud2", VEC_UD)						\
	X(xgetbv, "xgetbv", VEC_UD)					\
	X(vaddps, "vaddps %xmm1, %xmm2, %xmm0", VEC_UD)			\
	X(vzeroupper, "vzeroupper", VEC_UD)				\
	X(xsave, "xsave (%rax)", VEC_UD)				\
	X(rdpkru, "rdpkru", VEC_UD)					\
	X(rdfsbase, "rdfsbase %rcx", VEC_UD)				\
	X(push_cs, ".byte 0x0e", VEC_UD)				\
	X(far_call, ".byte 0x9a, 0, 0, 0, 0, 0x33, 0", VEC_UD)

#define TRAPS(X)							\
	X(int3, "int3", VEC_BP, 0, 1)					\
	X(int_open, "int $0x80", OPEN_VECTOR, 0, 2)			\
	X(divide, "div %rsi", VEC_DE)					\
	X(step, "pushf; orl $0x100, (%rsp); popf; nop; nop", VEC_DB, 0, 10) \
	X(x87, "fninit; movw $0x37b, (%rax); fldcw (%rax); fld1; fldz; fdivrp; fwait", \
	  VEC_MF, 0, 15)						\
	X(nested, "pushf; orl $0x4000, (%rsp); popf; rdtsc; iretq", VEC_GP, 0, 11)

/* QEMU 7.2 gives other exceptions or error codes. The error code of a closed gate is its place. */
#define NOT_QEMUS(X)							\
	X(icebp, ".byte 0xf1", VEC_DB, 0, 1)				\
	X(stack_not_canonical, "mov $0x800000000000, %rbp; mov (%rbp), %eax", VEC_SS, 0, 10) \
	X(int_closed, "int $0x81", VEC_GP, 8 * 0x81 + 2)		\
	X(int_nmi, "int $2", VEC_GP, 8 * 2 + 2)				\
	X(int_fault, "int $14", VEC_GP, 8 * 14 + 2)			\
	X(int_timer, "int $0xec", VEC_GP, 8 * 0xec + 2)

/* QEMU 7.2 raises none. */
#define SIMD(X)								\
	X(simd, "movl $0x1d80, (%rax); ldmxcsr (%rax); mov $0x3f800000, %ecx; movd %ecx, %xmm0\n" \
	  "xorps %xmm1, %xmm1; divss %xmm1, %xmm0", VEC_XM, 0, 21)

#define SEGMENTS(X)							\
	X(ds_data, "mov $0x2b, %ecx; mov %ecx, %ds; int3", VEC_BP, 0, 8) \
	X(fs_code, "mov $0x20, %ecx; mov %ecx, %fs; int3", VEC_BP, 0, 8) \
	X(ds_kernel, "mov $0x18, %ecx; mov %ecx, %ds", VEC_GP, 0x18, 5)	\
	X(ss_null, "mov %esi, %ss", VEC_GP)				\
	X(ss_rpl, "mov $0x28, %ecx; mov %ecx, %ss", VEC_GP, 0x28, 5)	\
	X(ss_read_only, "mov $0x7b, %ecx; mov %ecx, %ss", VEC_GP, 0x78, 5) \
	X(ldt, "mov $0x0f, %ecx; mov %ecx, %es", VEC_GP, 0xc, 5)	\
	X(beyond, "mov $0x1fb, %ecx; mov %ecx, %gs", VEC_GP, 0x1f8, 5)	\
	X(absent, "mov $0x73, %ecx; mov %ecx, %gs", VEC_NP, 0x70, 5)	\
	X(tss_as_data, "mov $0x43, %ecx; mov %ecx, %ds", VEC_GP, 0x40, 5) \
	X(far_kernel, "push $0x10; push %rax; lretq", VEC_GP, 0x10, 3)	\
	X(same_ring, "mov %rsp, %rcx; pushq $0x2b; push %rcx; pushf; pushq $0x33; push $0x10020\n" \
	  "iretq; ud2; .balign 16, 0x90; int3", VEC_BP, 0, 0x21)

#define FAULTS(X)							\
	X(read_kernel, "mov 0x50000, %ecx", VEC_PF, 5, 0, 0x50000)	\
	X(write_kernel, "mov %ecx, 0x50000", VEC_PF, 7, 0, 0x50000)	\
	X(write_read_only, "mov %ecx, 0x42008", VEC_PF, 7, 0, 0x42008)	\
	X(read_absent, "mov 0x43010, %ecx", VEC_PF, 4, 0, 0x43010)	\
	X(read_upper, "mov -0x1000, %ecx", VEC_PF, 4, 0, -0x1000ull)	\
	X(write_hole, "mov $0xffff878000002000, %rcx; mov %eax, (%rcx)", VEC_PF, 6, 10, \
	  0xffff878000002000ull)					\
	X(not_canonical, "mov $0x800000000000, %rcx; mov (%rcx), %eax", VEC_GP, 0, 10) \
	X(jump_no_execute, "mov $0x44000, %ecx; jmp *%rcx", VEC_PF, 0x15, ANYWHERE, 0x44000)

#define X(name, text, ...) GUEST_CODE(run_##name, 64, text);
PRIVILEGED(X)
UNDEFINED(X)
TRAPS(X)
NOT_QEMUS(X)
SIMD(X)
SEGMENTS(X)
FAULTS(X)
#undef X

#define FOUR(a, b, c, d, ...) a, b, c, d
#define X(name, text, ...) { text, run_##name, run_##name##_end, FOUR(__VA_ARGS__, 0, 0, 0, 0) },
static const struct program privileged[] = { PRIVILEGED(X) };
static const struct program undefined[] = { UNDEFINED(X) };
static const struct program traps[] = { TRAPS(X) };
static const struct program not_qemus[] = { NOT_QEMUS(X) };
static const struct program simd[] = { SIMD(X) };
static const struct program segments[] = { SEGMENTS(X) };
static const struct program faults[] = { FAULTS(X) };
#undef X

static void judge(const struct program *p, const struct user_end *end)
{
	tap_check(end->vector == p->vector, false, "%s: vector %llu, not %u", p->name,
		  (unsigned long long)end->vector, p->vector);
	tap_check(end->error == p->error, false, "%s: error code 0x%llx, not 0x%x", p->name,
		  (unsigned long long)end->error, p->error);
	tap_check(p->at == ANYWHERE || end->rip == CODE + p->at, false, "%s: at 0x%llx, not 0x%x",
		  p->name, (unsigned long long)end->rip, CODE + p->at);
	tap_check(p->vector != VEC_PF || end->cr2 == p->cr2, false, "%s: CR2 0x%llx, not 0x%llx",
		  p->name, (unsigned long long)end->cr2, (unsigned long long)p->cr2);
	tap_check(end->cs == USER_CS && end->ss == USER_DS && end->rflags & RFLAGS_IF, false,
		  "%s: CS 0x%llx, SS 0x%llx, RFLAGS 0x%llx", p->name, (unsigned long long)end->cs,
		  (unsigned long long)end->ss, (unsigned long long)end->rflags);
}

static void play(const struct program *programs, size_t count)
{
	struct machine machine;
	struct user_end end;

	user_create(&machine);
	for (const struct program *p = programs; p < programs + count; p++) {
		user_load(&machine, p->code, p->code_end);
		user_run(&machine, &end);
		judge(p, &end);
	}
	machine_destroy(&machine);
}
#define PLAY(programs)	play(programs, sizeof(programs) / sizeof((programs)[0]))

static void privileged_instructions(void) { PLAY(privileged); }
static void undefined_instructions(void) { PLAY(undefined); }
static void traps_of_its_own(void) { PLAY(traps); }
static void segment_loads(void) { PLAY(segments); }
static void faults_on_memory(void) { PLAY(faults); }

static bool on_qemu(void)
{
	char vendor[13] = "";
	uint32_t eax;

	__cpuid(0x40000000, eax, *(uint32_t *)vendor, *(uint32_t *)(vendor + 4),
		*(uint32_t *)(vendor + 8));
	return eax && !strcmp(vendor, "TCGTCGTCGTCG");
}

static uint32_t engine(void)
{
	struct machine machine;

	machine_bare(&machine);
	machine_destroy(&machine);
	return machine.engine;
}

static void closed_gates(void)
{
	if (engine() == GONDOLA_ENGINE_SVM && on_qemu())
		tap_skip("QEMU 7.2 does otherwise");
	PLAY(not_qemus);
}

static void simd_exception(void)
{
	if (engine() != GONDOLA_ENGINE_INTERP && on_qemu())
		tap_skip("QEMU 7.2 raises none");
	PLAY(simd);
}

/* ---- more than one instruction, or another state --------------------------------------------- */

/* One program with the state that @machine has by now. */
#define RUN(machine, name, end) do {					\
	user_load(machine, name, name##_end);				\
	user_run(machine, end);						\
} while (0)

GUEST_CODE(call_system, 64, "syscall");

static void system_call(void)
{
	struct machine machine;
	struct user_end end;

	user_create(&machine);
	/* Bochs 2.7 steps behind SYSCALL, whatever SFMASK says. */
	for (unsigned int step = 0; step < (machine.engine == GONDOLA_ENGINE_VMX ? 1 : 2); step++) {
		machine.regs.rflags = 2 | RFLAGS_IF | (step ? RFLAGS_TF : 0);
		user_load(&machine, call_system, call_system_end);
		user_run_called(&machine, &end);
		expect_equal(end.regs.gpr[1], CODE + 2);
		expect_equal(end.regs.gpr[11], machine.regs.rflags);
		expect_equal(end.regs.rflags, 2);
		expect_equal(end.regs.gpr[4], machine.regs.gpr[4]);
		expect_equal(end.cs, 0x10);
		expect_equal(end.ss, 0x18);
	}
	machine_destroy(&machine);
}

GUEST_CODE(call_gate, 64, "movl $0, (%rax); movw $0x63, 4(%rax); lcall *(%rax)");

static void through_call_gate(void)
{
	struct machine machine;
	struct user_end end;
	const uint64_t *frame;

	user_create(&machine);
	user_load(&machine, call_gate, call_gate_end);
	user_run_called(&machine, &end);
	expect_equal(end.cs, 0x10);
	require_equal(end.regs.gpr[4], KERNEL_STACK - 32);
	frame = (const uint64_t *)(machine.memory + KERNEL_STACK - 32);
	expect_equal(frame[0], CODE + (call_gate_end - call_gate));
	expect_equal(frame[1], USER_CS);
	expect_equal(frame[2], machine.regs.gpr[4]);
	expect_equal(frame[3], USER_DS);
	machine_destroy(&machine);
}

GUEST_CODE(set_nested, 64, "pushf; orl $0x4000, (%rsp); popf; rdtsc; in $0x21, %al");
GUEST_CODE(own_interrupt_flag, 64, "cli; pushf; pop %rcx; sti; pushf; pop %rdx; int3");

/* Flags outlive what the processor does not do itself. */
static void flags(void)
{
	struct machine machine;
	struct user_end end;

	user_create(&machine);
	RUN(&machine, set_nested, &end);
	expect_equal(end.vector, VEC_GP);
	expect(end.rflags & RFLAGS_NT);
	machine.regs.rflags |= RFLAGS_IOPL;
	RUN(&machine, own_interrupt_flag, &end);
	expect_equal(end.vector, VEC_BP);
	expect(!(end.regs.gpr[1] & RFLAGS_IF));
	expect(end.regs.gpr[2] & RFLAGS_IF);
	machine_destroy(&machine);
}

GUEST_CODE(look_up, 64,
	   "mov $0x7b, %ecx; lsl %ecx, %r8d; setz %r9b; lar %ecx, %r10d\n"
	   "mov $0x10, %ecx; lar %ecx, %r11d; setz %r12b; verr %cx; setz %r13b\n"
	   "mov $0x2b, %ecx; verw %cx; setz %r14b; mov $0x7b, %ecx; verw %cx; setz %r15b; int3");

static void descriptors(void)
{
	struct machine machine;
	struct user_end end;

	user_create(&machine);
	RUN(&machine, look_up, &end);
	expect_equal(end.regs.gpr[8], 0x123);
	expect_equal(end.regs.gpr[9], 1);
	expect_equal(end.regs.gpr[10], 0x40f100);
	expect_equal(end.regs.gpr[12], 0);
	expect_equal(end.regs.gpr[13], 0);
	expect_equal(end.regs.gpr[14], 1);
	expect_equal(end.regs.gpr[15], 0);
	machine_destroy(&machine);
}

GUEST_CODE(load_fs, 64, "mov $0x83, %ecx; mov %ecx, %fs; mov %fs, %edx; int3");

static void accessed(void)
{
	struct machine machine;
	struct user_end end;

	user_create(&machine);
	RUN(&machine, load_fs, &end);
	expect_equal(end.vector, VEC_BP);
	expect_equal(end.regs.gpr[2], NOT_ACCESSED);
	expect_equal(*(uint64_t *)(machine.memory + GDT + (NOT_ACCESSED & ~7)),
		     0x00cff3000000ffffull);
	machine_destroy(&machine);
}

GUEST_CODE(store_tables, 64,
	   "sgdt (%rax); sidt 16(%rax); smsw %ecx; xor %edx, %edx; str %dx; xor %esi, %esi; sldt %si\n"
	   "int3");

static void tables_and_status(void)
{
	unsigned int eax, ebx, ecx = 0, edx;
	struct machine machine;
	struct user_end end;
	const uint8_t *data;

	user_create(&machine);
	__get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx);
	if (machine.engine == GONDOLA_ENGINE_RING3 && !(ecx & HOST_UMIP)) {
		machine_destroy(&machine);
		tap_skip("without UMIP a processor shows ring 3 what it has itself");
	}
	RUN(&machine, store_tables, &end);
	data = machine.memory + USER_DATA;
	expect_equal(end.vector, VEC_BP);
	expect_equal(*(const uint16_t *)data, machine.sregs.gdt.limit);
	expect_equal(*(const uint64_t *)(data + 2), GDT);
	expect_equal(*(const uint16_t *)(data + 16), machine.sregs.idt.limit);
	expect_equal(*(const uint64_t *)(data + 18), IDT);
	expect_equal((uint16_t)end.regs.gpr[1], (uint16_t)machine.sregs.cr0);
	expect_equal(end.regs.gpr[2], 0x40);
	expect_equal(end.regs.gpr[6], 0);
	machine_destroy(&machine);
}

GUEST_CODE(move_bases, 64,
	   "wrfsbase %rax; mov $0x40800, %ecx; wrgsbase %rcx; rdtsc; cpuid\n"
	   "movl $1, %fs:8; movl $2, %gs:8; rdfsbase %rsi; rdgsbase %rdi; int3");

static void bases(void)
{
	struct machine machine;
	struct user_end end;

	user_create(&machine);
	machine.sregs.cr4 |= CR4_FSGSBASE;
	if (__gondola_set_registers(machine.vcpu, &machine.regs, &machine.sregs, NULL)) {
		machine_destroy(&machine);
		tap_skip("the processor has no FSGSBASE");
	}
	RUN(&machine, move_bases, &end);
	expect_equal(end.vector, VEC_BP);
	expect_equal(end.regs.gpr[6], USER_DATA);
	expect_equal(end.regs.gpr[7], 0x40800);
	expect_equal(*(uint32_t *)(machine.memory + USER_DATA + 8), 1);
	expect_equal(*(uint32_t *)(machine.memory + 0x40808), 2);
	machine_destroy(&machine);
}

GUEST_CODE(read_time, 64,
	   "rdtsc; shl $32, %rdx; lea (%rax, %rdx), %r8\n"
	   /* An emulator that lets its processors take turns may count none of a turn's instructions. */
	   "mov $1000, %ecx; 1: loop 1b\n"
	   "rdtsc; shl $32, %rdx; lea (%rax, %rdx), %r9; int3");

static void time_stamps(void)
{
	struct machine machine;
	struct user_end end;

	user_create(&machine);
	RUN(&machine, read_time, &end);
	expect_equal(end.vector, VEC_BP);
	expect(end.regs.gpr[9] > end.regs.gpr[8]);
	machine.sregs.cr4 |= CR4_TSD;
	RUN(&machine, read_time, &end);
	expect_equal(end.vector, VEC_GP);
	expect_equal(end.rip, CODE);
	machine_destroy(&machine);
}

/* ---- FPU ----------------------------------------------------------------------------------------- */

#define FXSAVE_BYTES	416u
#define BEFORE		0x100u
#define AFTER		0x400u

GUEST_CODE(keep_fpu, 64,
	   "fninit; fldpi; fld1; fldl2e; movl $0x3f80, (%rax); ldmxcsr (%rax); mov %rsp, %rcx\n"
	   ".irp n, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15\n"
	   "imul $0x01234567, %rcx; movq %rcx, %xmm\\n; pshufd $0x14, %xmm\\n, %xmm\\n\n"
	   ".endr\n"
	   "fxsave64 0x40100; mov $100, %esi\n"
	   "1: rdtsc; xor %eax, %eax; cpuid; movl $1, 0x41000; dec %esi; jnz 1b\n"
	   "fxsave64 0x40400; int3");
GUEST_CODE(move_xmm, 64, "movaps %xmm1, %xmm0");

static void fpu_registers(void)
{
	struct machine machine;
	struct user_end end;

	user_create(&machine);
	RUN(&machine, keep_fpu, &end);
	expect_equal(end.vector, VEC_BP);
	expect_equal(*(uint32_t *)(machine.memory + USER_DATA + BEFORE + 24), 0x3f80);
	expect(!memcmp(machine.memory + USER_DATA + BEFORE, machine.memory + USER_DATA + AFTER,
		       FXSAVE_BYTES));
	machine_destroy(&machine);
}

static void fpu_controls(void)
{
	struct machine machine;
	struct user_end end;

	user_create(&machine);
	machine.sregs.cr0 |= CR0_TS;
	RUN(&machine, move_xmm, &end);
	expect_equal(end.vector, VEC_NM);
	machine.sregs.cr0 ^= CR0_TS | CR0_EM;
	RUN(&machine, move_xmm, &end);
	expect_equal(end.vector, VEC_UD);
	machine.sregs.cr0 ^= CR0_EM;
	machine.sregs.cr4 &= ~(uint64_t)CR4_OSFXSR;
	RUN(&machine, move_xmm, &end);
	expect_equal(end.vector, VEC_UD);
	machine_destroy(&machine);
}

/* Long enough for ring3 to run it on the processor. */
GUEST_CODE(reserved_mxcsr, 64,
	   "movl $0x11f80, (%rax); mov $500000, %ecx; 1: movl (%rax), %edx; dec %ecx; jnz 1b\n"
	   "ldmxcsr (%rax); int3");

/* Emulated processors take bits of MXCSR that real ones refuse; either way the state can be set. */
static void reserved_bits(void)
{
	static _Alignas(8) char state[65536];
	uint64_t bytes = sizeof(state);
	struct gondola_fault fault = { 0, 0 };
	struct machine machine;
	struct user_end end;
	int ret;

	user_create(&machine);
	RUN(&machine, reserved_mxcsr, &end);
	expect(end.vector == VEC_GP || end.vector == VEC_BP);
	require_equal(__gondola_get_state(machine.vcpu, state, &bytes), 0);
	ret = __gondola_set_state(machine.vcpu, state, bytes, &fault);
	tap_check(!ret, false, "record %u, byte %u: %s", fault.record, fault.field, strerror(-ret));
	machine_destroy(&machine);
}

/* SSSE3: the processor may know it where the emulator does not. */
GUEST_CODE(shuffle_upper, 64, "pshufb -0x1000, %xmm0");
GUEST_CODE(shuffle_hole, 64, "mov $0xffff878000002000, %rcx; pshufb (%rcx), %xmm0");
GUEST_CODE(shuffle_with_ds, 64, "mov $0x2b, %ecx; mov %ecx, %ds; pshufb %xmm1, %xmm0; int3");

/* A program must not end its guest, whatever it runs. */
static void half_known(void)
{
	struct machine machine;
	struct user_end end;

	user_create(&machine);
	RUN(&machine, shuffle_upper, &end);
	expect_equal(end.vector, machine.engine == GONDOLA_ENGINE_INTERP ? VEC_UD : VEC_PF);
	expect_equal(end.rip, CODE);
	RUN(&machine, shuffle_hole, &end);
	expect(end.vector == VEC_UD || (end.vector == VEC_PF && end.error == 4));
	RUN(&machine, shuffle_with_ds, &end);
	expect(end.vector == VEC_BP || end.vector == VEC_UD);
	machine_destroy(&machine);
}

/* ---- speed and interruptions ---------------------------------------------------------------------- */

GUEST_CODE(count_down, 64, "mov $20000000, %ecx; 1: dec %ecx; jnz 1b; int3");
GUEST_CODE(loop_for_ever, 64, "jmp .");

static void on_the_processor(void)
{
	struct gondola_stats stats;
	struct machine machine;
	struct user_end end;

	user_create(&machine);
	if (machine.engine == GONDOLA_ENGINE_INTERP) {
		machine_destroy(&machine);
		tap_skip("the engine interprets all");
	}
	RUN(&machine, count_down, &end);
	expect_equal(end.vector, VEC_BP);
	require_equal(__gondola_get_stats(machine.vcpu, &stats), 0);
	expect(stats.counters[GONDOLA_COUNTER_INSTRUCTIONS] < 100000);
	machine_destroy(&machine);
}

static void on_alarm(int number)
{
	(void)number;
}

static void is_left(void)
{
	struct sigaction action = { .sa_handler = on_alarm };
	struct itimerval timer = { .it_value.tv_usec = 20000, .it_interval.tv_usec = 20000 };
	struct machine machine;

	user_create(&machine);
	user_load(&machine, loop_for_ever, loop_for_ever_end);
	machine_set(&machine);
	sigaction(SIGALRM, &action, NULL);
	setitimer(ITIMER_REAL, &timer, NULL);
	for (unsigned int i = 0; i < 20; i++)
		expect_equal(__gondola_run(machine.vcpu), -EINTR);
	setitimer(ITIMER_REAL, &(struct itimerval){ 0 }, NULL);
	require_equal(__gondola_get_registers(machine.vcpu, &machine.regs, &machine.sregs), 0);
	expect_equal(machine.regs.rip, CODE);
	machine_destroy(&machine);
}

static const struct tap_test tests[] = {
	{ "privileged instructions", privileged_instructions },
	{ "instructions that are undefined, or not switched on", undefined_instructions },
	{ "traps of the program's own, and exceptions of its arithmetic", traps_of_its_own },
	{ "ICEBP, #SS, and interrupts that ring 3 may not raise", closed_gates },
	{ "an exception of SSE", simd_exception },
	{ "segments that are loaded, and far returns", segment_loads },
	{ "page faults, and addresses that are none", faults_on_memory },
	{ "SYSCALL", system_call },
	{ "a call gate", through_call_gate },
	{ "NT, and IF with IOPL 3", flags },
	{ "LAR, LSL, VERR, VERW", descriptors },
	{ "the accessed bit of a descriptor", accessed },
	{ "SGDT, SIDT, SMSW, STR, SLDT", tables_and_status },
	{ "bases of FS and GS", bases },
	{ "RDTSC", time_stamps },
	{ "x87 and XMM registers over exits", fpu_registers },
	{ "CR0.TS, CR0.EM, CR4.OSFXSR", fpu_controls },
	{ "reserved bits of MXCSR leave a state that can be set", reserved_bits },
	{ "an instruction that not all of the engine knows", half_known },
	{ "a program runs on the processor", on_the_processor },
	{ "a loop is left", is_left },
};

TAP_MAIN(tests)
