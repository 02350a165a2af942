// SPDX-License-Identifier: GPL-2.0-only
/*
 * GONDOLA_SET_DEBUG: a step is one instruction, whatever it is and whatever waits meanwhile; INT3 and
 * hardware breakpoints stop the guest; and the guest sees nothing of it.
 */
#include <cpuid.h>
#include <errno.h>
#include <sys/ioctl.h>
#include "user_machine.h"
#undef IDT	/* the other machine's is meant */
#include "smp_machine.h"

#define IN_VALUE	0x5a
#define DR7_RW0_WRITE	(1ull << 16)
#define DR7_RW0_ACCESS	(3ull << 16)
#define DR7_LEN0_4	(3ull << 18)

static int set_debug(int vcpu, uint32_t flags, uint64_t dr0, uint64_t dr7)
{
	struct gondola_debug args = {
		.size = sizeof(args), .flags = flags, .dr = { dr0 }, .dr7 = dr7,
	};

	return ioctl(vcpu, GONDOLA_SET_DEBUG, &args) ? -errno : 0;
}

/* Answers devices until the guest stops for another reason; how often it asked. */
static unsigned int run_on(struct machine *machine)
{
	unsigned int asked = 0;

	for (;;) {
		machine_run(machine);
		if (machine->run->exit == GONDOLA_EXIT_IO && machine->run->io.port == RESULT_PORT)
			return asked;
		if (machine->run->exit == GONDOLA_EXIT_IO)
			memset((char *)machine->run + machine->run->io.offset, IN_VALUE,
			       machine->run->io.count * machine->run->io.width);
		else if (machine->run->exit == GONDOLA_EXIT_MMIO)
			memset(machine->run->mmio.data, IN_VALUE, machine->run->mmio.bytes);
		else
			return asked;
		asked++;
	}
}

static void read_registers(struct machine *machine)
{
	require_equal(__gondola_get_registers(machine->vcpu, &machine->regs, &machine->sregs), 0);
}

/* One step: the devices' answers that it took. */
static unsigned int step(struct machine *machine)
{
	unsigned int asked;

	require_equal(set_debug(machine->vcpu, GONDOLA_DEBUG_STEP, 0, 0), 0);
	asked = run_on(machine);
	require_equal(machine->run->exit, GONDOLA_EXIT_DEBUG);
	require_equal(machine->run->debug.why, GONDOLA_DEBUG_STEP);
	read_registers(machine);
	return asked;
}

/* ---- steps ----------------------------------------------------------------------------- */

#define LABEL(name)	extern const char name[]

LABEL(w1); LABEL(w2); LABEL(w3); LABEL(w4); LABEL(w5); LABEL(w6); LABEL(w7); LABEL(w8); LABEL(w9);
GUEST_CODE(walk, 32,
	   "cpuid\n"
	   "w1: in $0x71, %al\n"
	   "w2: mov %cr0, %ebx\n"
	   "w3: pushf\n"
	   "w4: popf\n"
	   "w5: mov 0xd0000000, %ecx\n"
	   "w6: mov %ecx, 0xd0000000\n"
	   "w7: call 1f; 1: pop %edx\n"
	   "w8: nop\n"
	   "w9: out %eax, $0x80; jmp .\n");

static uint64_t at(const char *label)
{
	return CODE + (uint64_t)(label - walk);
}

/* Each instruction is one step, also one that leaves the guest or asks a device. */
static void one_instruction(void)
{
	const char *const labels[] = { w1, w2, w3, w4, w5, w6, w7, w7 + 5, w8, w9 };
	const unsigned int asks[] = { 0, 1, 0, 0, 0, 1, 1, 0, 0, 0 };
	struct machine machine;

	machine_create(&machine, MODE_PAGED32);
	GUEST_LOAD(&machine, walk);
	for (unsigned int i = 0; i < sizeof(asks) / sizeof(asks[0]); i++) {
		unsigned int asked = step(&machine);

		tap_check(machine.regs.rip == at(labels[i]), true, "step %u led to 0x%llx, not 0x%llx",
			  i, machine.regs.rip, (unsigned long long)at(labels[i]));
		tap_check(asked == asks[i], false, "step %u asked %u times", i, asked);
		tap_check(!(machine.regs.rflags & RFLAGS_TF), false, "TF after step %u", i);
	}
	expect_equal(machine.regs.gpr[1], 0x5a5a5a5a);
	expect_equal(machine.regs.gpr[2], CODE + (uint32_t)(w7 - walk) + 5);
	/* No step is left behind: the guest runs to its end. */
	require_equal(set_debug(machine.vcpu, 0, 0, 0), 0);
	machine_result(&machine);
	machine_destroy(&machine);
}

LABEL(string_end); LABEL(string_copied);
GUEST_CODE(strings, 32, "rep insb\n string_end: mov $2, %ecx; mov $0x40200, %esi; rep movsb\n"
	   "string_copied: out %eax, $0x80; jmp .\n");

/* A REP is stepped by items: one of a device, two in memory. */
static void items(void)
{
	struct machine machine;

	machine_create(&machine, MODE_PAGED32);
	GUEST_LOAD(&machine, strings);
	machine.regs.gpr[1] = 3;
	machine.regs.gpr[2] = 0x71;
	machine.regs.gpr[7] = DATA + 0x200;
	machine_set(&machine);
	for (unsigned int i = 1; i <= 3; i++) {
		expect_equal(step(&machine), 1);
		expect_equal(machine.regs.gpr[1], 3 - i);
		expect_equal(machine.regs.rip, i < 3 ? CODE : CODE + (uint64_t)(string_end - strings));
		expect_equal(machine.memory[DATA + 0x1ff + i], IN_VALUE);
	}
	step(&machine);
	step(&machine);
	for (unsigned int i = 1; i <= 2; i++) {
		step(&machine);
		expect_equal(machine.regs.gpr[1], 2 - i);
	}
	expect_equal(machine.regs.rip, CODE + (uint64_t)(string_copied - strings));
	machine_destroy(&machine);
}

/* A VM with an IDT, whose vector @vector calls the code from @handler to @handler_end. */
static struct machine *with_handler(struct smp *smp, uint32_t vector, const char *handler,
				    const char *handler_end)
{
	struct machine *machine = &smp->machine;
	uint32_t *gate;

	smp_create(smp, 1);
	gate = (uint32_t *)(machine->memory + IDT + 8 * vector);
	gate[0] = 8 << 16 | HANDLER;
	gate[1] = 0x8e00;
	smp_put_code(smp, HANDLER, handler, handler_end);
	return machine;
}

GUEST_CODE(count_interrupt, 32, "incl 0x40004; movl $0, 0xfee000b0; iret\n");
#define SELF_IPI	"movl $0x44041, 0xfee00300\n"
LABEL(self_nops);
GUEST_CODE(to_itself, 32,
	   "lidt 0xa800; movl $0x1ff, 0xfee000f0; sti; nop; out %eax, $0x80\n"
	   SELF_IPI
	   "self_nops: nop; nop\n"
	   "mov 0x40004, %eax; out %eax, $0x80; jmp .\n");

/* An interrupt that is due does not come between two steps, and is not lost. */
static void over_an_interrupt(void)
{
	struct machine *machine;
	struct smp smp;

	machine = with_handler(&smp, VECTOR, count_interrupt, count_interrupt_end);
	GUEST_LOAD(machine, to_itself);
	machine_set(machine);
	machine_result(machine);
	step(machine);
	expect_equal(machine->regs.rip, CODE + (uint64_t)(self_nops - to_itself));
	for (unsigned int i = 1; i <= 2; i++) {
		step(machine);
		expect_equal(machine->regs.rip, CODE + (uint64_t)(self_nops - to_itself) + i);
	}
	expect_equal(WORD(machine, COUNTER), 0);
	require_equal(set_debug(machine->vcpu, 0, 0, 0), 0);
	expect_equal(machine_result(machine), 1);
	smp_destroy(&smp);
}

GUEST_CODE(faults, 32, "lidt 0xa800; ud2\n");
GUEST_CODE(on_fault, 32, "addl $2, (%esp); iret\n");

/* An exception is a step of its own: first nothing has moved, then the handler begins. */
static void into_a_handler(void)
{
	struct machine *machine;
	struct smp smp;
	uint64_t fault;

	machine = with_handler(&smp, VEC_UD, on_fault, on_fault_end);
	GUEST_LOAD(machine, faults);
	machine_set(machine);
	step(machine);
	fault = machine->regs.rip;
	step(machine);
	expect_equal(machine->regs.rip, fault);
	step(machine);
	expect_equal(machine->regs.rip, HANDLER);
	step(machine);
	step(machine);
	expect_equal(machine->regs.rip, fault + 2);
	smp_destroy(&smp);
}

GUEST_CODE(own_tf, 32,
	   "lidt 0xa800; pushf; orl $0x100, (%esp); popf\n"
	   "nop; pushf; pop %ebx; nop\n");
GUEST_CODE(on_own_db, 32, "incl 0x40004; iret\n");

/* The guest steps itself while it is stepped: its handler is called as often, and TF is its own. */
static void steps_itself(void)
{
	struct machine *machine;
	struct smp smp;

	machine = with_handler(&smp, VEC_DB, on_own_db, on_own_db_end);
	GUEST_LOAD(machine, own_tf);
	machine_set(machine);
	for (unsigned int i = 0; i < 4; i++)
		step(machine);
	expect(machine->regs.rflags & RFLAGS_TF);
	/* nop, pushf and pop, each with the delivery of #DB and a handler of two instructions. */
	for (unsigned int i = 0; i < 3 * 4; i++)
		step(machine);
	expect_equal(WORD(machine, COUNTER), 3);
	expect(machine->regs.gpr[3] & RFLAGS_TF);
	expect_equal(machine->regs.rip, CODE + (uint64_t)(own_tf_end - own_tf) - 1);
	smp_destroy(&smp);
}

/* ---- breakpoints ------------------------------------------------------------------------ */

LABEL(int3_at);
GUEST_CODE(has_int3, 32, "nop; int3_at: int3; nop; out %eax, $0x80; jmp .\n");

static void at_int3(void)
{
	struct machine machine;

	machine_create(&machine, MODE_PAGED32);
	GUEST_LOAD(&machine, has_int3);
	require_equal(set_debug(machine.vcpu, GONDOLA_DEBUG_BREAKPOINTS, 0, 0), 0);
	/* It stays. */
	for (unsigned int i = 0; i < 2; i++) {
		run_on(&machine);
		require_equal(machine.run->exit, GONDOLA_EXIT_DEBUG);
		expect_equal(machine.run->debug.why, GONDOLA_DEBUG_BREAKPOINTS);
		expect_equal(machine.run->debug.dr6, 0);
		read_registers(&machine);
		expect_equal(machine.regs.rip, CODE + (uint64_t)(int3_at - has_int3));
		expect_equal(machine.regs.gpr[4], STACK);
	}
	/* A step meets it, too. */
	require_equal(set_debug(machine.vcpu, GONDOLA_DEBUG_BREAKPOINTS | GONDOLA_DEBUG_STEP, 0, 0), 0);
	run_on(&machine);
	expect_equal(machine.run->debug.why, GONDOLA_DEBUG_BREAKPOINTS);
	machine.memory[CODE + (int3_at - has_int3)] = 0x90;
	run_on(&machine);
	machine_destroy(&machine);
}

LABEL(user_int3);
GUEST_CODE(program, 64, "nop; mov %rax, %rbx\n user_int3: int3; nop; ud2\n");

static void in_a_program(void)
{
	struct machine machine;
	struct user_end end;

	user_create(&machine);
	user_load(&machine, program, program_end);
	machine_set(&machine);
	require_equal(set_debug(machine.vcpu, GONDOLA_DEBUG_BREAKPOINTS, 0, 0), 0);
	run_on(&machine);
	require_equal(machine.run->exit, GONDOLA_EXIT_DEBUG);
	read_registers(&machine);
	expect_equal(machine.regs.rip, CODE + (uint64_t)(user_int3 - program));
	/* The debugger goes, and the program's INT3 is the guest's again. */
	require_equal(set_debug(machine.vcpu, 0, 0, 0), 0);
	user_run(&machine, &end);
	expect_equal(end.vector, VEC_BP);
	expect_equal(end.rip, CODE + (uint64_t)(user_int3 - program) + 1);
	machine_destroy(&machine);
}

LABEL(hw_at); LABEL(hw_written);
GUEST_CODE(hardware, 32,
	   "nop; hw_at: nop; mov 0x40200, %ebx; movb $1, 0x401ff; movb $1, 0x40203\n"
	   "hw_written: mov %dr7, %eax; mov %dr0, %ecx; mov %dr6, %edx; out %eax, $0x80; jmp .\n");

static bool on_qemu(void)
{
	char vendor[13] = "";
	uint32_t eax;

	__cpuid(0x40000000, eax, *(uint32_t *)vendor, *(uint32_t *)(vendor + 4),
		*(uint32_t *)(vendor + 8));
	return eax && !strcmp(vendor, "TCGTCGTCGTCG");
}

/* QEMU's VMRUN arms none: that is said, and nothing has changed.  True: so it is here. */
static bool refused_by_qemu(struct machine *machine)
{
	if (machine->engine != GONDOLA_ENGINE_SVM || !on_qemu())
		return false;
	expect_equal(set_debug(machine->vcpu, GONDOLA_DEBUG_HARDWARE, CODE, 1), -EOPNOTSUPP);
	machine_result(machine);
	return true;
}

static void stopped_at(struct machine *machine, uint64_t rip)
{
	run_on(machine);
	require_equal(machine->run->exit, GONDOLA_EXIT_DEBUG);
	expect_equal(machine->run->debug.why, GONDOLA_DEBUG_HARDWARE);
	expect_equal(machine->run->debug.dr6, 1);
	read_registers(machine);
	expect_equal(machine->regs.rip, rip);
}

static void by_registers(void)
{
	struct machine machine;

	machine_create(&machine, MODE_PAGED32);
	GUEST_LOAD(&machine, hardware);
	if (!refused_by_qemu(&machine)) {
		require_equal(set_debug(machine.vcpu, GONDOLA_DEBUG_HARDWARE,
					CODE + (uint64_t)(hw_at - hardware), 1), 0);
		stopped_at(&machine, CODE + (uint64_t)(hw_at - hardware));
		require_equal(set_debug(machine.vcpu, GONDOLA_DEBUG_HARDWARE, DATA + 0x200,
					DR7_RW0_ACCESS | DR7_LEN0_4 | 1), 0);
		stopped_at(&machine, CODE + (uint64_t)(hw_at - hardware) + 7);
		require_equal(set_debug(machine.vcpu, GONDOLA_DEBUG_HARDWARE, DATA + 0x200,
					DR7_RW0_WRITE | DR7_LEN0_4 | 1), 0);
		stopped_at(&machine, CODE + (uint64_t)(hw_written - hardware));
		/* The guest's own registers are as after its reset. */
		expect_equal(machine_result(&machine), 0x400);
		read_registers(&machine);
		expect_equal(machine.regs.gpr[1], 0);
		expect_equal(machine.regs.gpr[2] & 0xf, 0);
	}
	machine_destroy(&machine);
}

/* ---- what is refused ----------------------------------------------------------------------- */

static void refused(void)
{
	struct machine machine;

	machine_create(&machine, MODE_PAGED32);
	GUEST_LOAD(&machine, has_int3);
	/* Addresses without the flag; GD, reserved bits and a port; beyond 32 bits. */
	expect_equal(set_debug(machine.vcpu, 0, 1, 0), -EINVAL);
	expect_equal(set_debug(machine.vcpu, GONDOLA_DEBUG_STEP, 0, 1), -EINVAL);
	expect_equal(set_debug(machine.vcpu, GONDOLA_DEBUG_HARDWARE, 0, 1 << 13), -EINVAL);
	expect_equal(set_debug(machine.vcpu, GONDOLA_DEBUG_HARDWARE, 0, 1 << 11), -EINVAL);
	expect_equal(set_debug(machine.vcpu, GONDOLA_DEBUG_HARDWARE, 0, 2 << 16), -EINVAL);
	expect_equal(set_debug(machine.vcpu, GONDOLA_DEBUG_HARDWARE, 0, 1ull << 32), -EINVAL);
	/* None of it has left anything. */
	machine.memory[CODE + (int3_at - has_int3)] = 0x90;
	machine_result(&machine);
	machine_destroy(&machine);
}

static const struct tap_test tests[] = {
	{ "a step is one instruction, also one that leaves the guest", one_instruction },
	{ "a step over REP is one item", items },
	{ "no interrupt comes between two steps, and none is lost", over_an_interrupt },
	{ "an exception is a step of its own", into_a_handler },
	{ "a guest that steps itself is stepped", steps_itself },
	{ "INT3 stops the guest where it is", at_int3 },
	{ "INT3 in a program stops the guest, and is its own afterwards", in_a_program },
	{ "hardware breakpoints stop the guest, or are refused", by_registers },
	{ "what is asked for wrongly changes nothing", refused },
};

TAP_MAIN(tests)
