// SPDX-License-Identifier: GPL-2.0-only
/*
 * A guest's program goes on where it was interrupted, on another engine: what one saved, the next
 * takes, as long as its CPUID allows it.
 */
#include <errno.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <unistd.h>

#include "user_machine.h"

#define STATE_BYTES	65536u
#define STOP		0x40ff0u	/* not 0: the program is to end */
#define FS_BASE		0x40800u
#define ROUNDS		4u		/* of all pairs of engines, in either direction */
#define FACTOR		0x01234567ull

/* A row of numbers in R8, by number in RCX; their sum in XMM0; the last one behind FS. */
GUEST_CODE(count_up, 64,
	   "xor %ecx, %ecx; xor %r8d, %r8d; pxor %xmm0, %xmm0; fninit; fldpi\n"
	   "1: imul $0x01234567, %r8, %r8; add %rcx, %r8\n"
	   "movq %r8, %xmm1; paddq %xmm1, %xmm0; mov %r8, %fs:8; inc %rcx\n"
	   "cmpl $0, 0x40ff0; je 1b\n"
	   "movq %xmm0, %rdx; fldpi; fcompp; fnstsw %ax; int3");

static const uint32_t all_engines[] = {
	GONDOLA_ENGINE_VMX, GONDOLA_ENGINE_SVM, GONDOLA_ENGINE_RING3, GONDOLA_ENGINE_INTERP,
};

static uint8_t state[STATE_BYTES];
/* CPUID bits that all engines have. */
static struct gondola_cpuid_entry common[GONDOLA_MAX_CPUID];
static uint32_t nr_common = GONDOLA_MAX_CPUID;

static void on_alarm(int number)
{
	(void)number;
}

/* From what the interpreter has go the features that @engine has not. */
static void take_away(int sys, uint32_t engine)
{
	struct gondola_cpuid_entry has[GONDOLA_MAX_CPUID];
	uint32_t nr_has = GONDOLA_MAX_CPUID;

	require_equal(__gondola_engine_cpuid(sys, engine, has, &nr_has), 0);
	for (uint32_t i = 0; i < nr_common; i++)
		for (uint32_t j = 0; j < nr_has; j++) {
			struct gondola_cpuid_entry *to = &common[i];

			if (!to->function && !has[j].function && to->eax > has[j].eax)
				to->eax = has[j].eax;
			if (to->function != has[j].function || to->index != has[j].index ||
			    (to->function != 1 && to->function != 7 && to->function != 0x80000001))
				continue;
			to->ecx &= has[j].ecx;
			to->edx &= has[j].edx;
			if (to->function == 7)
				to->ebx &= has[j].ebx;
		}
}

/* Those that can be used here, and what they have in common. */
static unsigned int find_engines(int sys, uint32_t *found)
{
	struct gondola_preflight preflight;
	unsigned int count = 0;

	for (unsigned int i = 0; i < sizeof(all_engines) / sizeof(all_engines[0]); i++)
		if (!__gondola_preflight(sys, all_engines[i], &preflight) &&
		    preflight.reason == GONDOLA_PF_OK)
			found[count++] = all_engines[i];
	nr_common = GONDOLA_MAX_CPUID;
	require_equal(__gondola_engine_cpuid(sys, GONDOLA_ENGINE_INTERP, common, &nr_common), 0);
	for (unsigned int i = 0; i < count; i++)
		take_away(sys, found[i]);
	return count;
}

/* An empty VM of @engine over the memory of the last one. */
static void make_vm(struct machine *machine, uint32_t engine)
{
	machine->engine = engine;
	machine->vm = __gondola_create_vm(machine->sys, engine, "selftest");
	require(machine->vm >= 0);
	machine->vcpu = __gondola_create_vcpu(machine->vm, 0);
	require(machine->vcpu >= 0);
	require_equal(__gondola_map_run(machine->vcpu, &machine->run), 0);
	require_equal(__gondola_set_memory(machine->vm, 0, 0, 0, MEMORY_BYTES, machine->memory), 0);
}

static void end_vm(struct machine *machine)
{
	munmap(machine->run, GONDOLA_RUN_SIZE);
	close(machine->vcpu);
	close(machine->vm);
}

static void move(struct machine *machine, uint32_t engine)
{
	struct gondola_fault fault = { 0 };
	uint64_t bytes = sizeof(state);
	char field[64];
	int err;

	require_equal(__gondola_get_state(machine->vcpu, state, &bytes), 0);
	end_vm(machine);
	make_vm(machine, engine);
	require_equal(__gondola_set_cpuid(machine->vcpu, common, nr_common), 0);
	err = __gondola_set_state(machine->vcpu, state, bytes, &fault);
	tap_check(!err, true,
		  "engine %u does not take %s of record %u", engine,
		  gondola_record_field(fault.record, fault.field, field, sizeof(field)), fault.record);
}

/* The program computes until a signal comes. */
static void run_a_while(struct machine *machine)
{
	struct itimerval timer = { .it_value.tv_usec = 10000, .it_interval.tv_usec = 10000 };

	setitimer(ITIMER_REAL, &timer, NULL);
	expect_equal(__gondola_run(machine->vcpu), -EINTR);
	setitimer(ITIMER_REAL, &(struct itimerval){ 0 }, NULL);
}

static void check_result(const struct machine *machine, const struct user_end *end)
{
	uint64_t value = 0, sum = 0;

	for (uint64_t i = 0; i < end->regs.gpr[1]; i++) {
		value = value * FACTOR + i;
		sum += value;
	}
	expect_equal(end->vector, VEC_BP);
	expect(end->regs.gpr[1] > 1000);
	expect_equal(end->regs.gpr[8], value);
	expect_equal(end->regs.gpr[2], sum);
	expect_equal(*(const uint64_t *)(machine->memory + FS_BASE + 8), value);
	/* Equal: the number on the x87 stack is still pi. */
	expect_equal(end->regs.gpr[0] & 0x4500, 0x4000);
}

/* From each engine to each other one, in the middle of a program. */
static void moves(void)
{
	struct sigaction action = { .sa_handler = on_alarm };
	uint32_t engines[4], count, from, step;
	struct machine machine;
	struct user_end end;

	user_create(&machine);
	count = find_engines(machine.sys, engines);
	end_vm(&machine);
	make_vm(&machine, engines[0]);
	require_equal(__gondola_set_cpuid(machine.vcpu, common, nr_common), 0);
	machine.sregs.seg[GONDOLA_FS].base = FS_BASE;
	user_load(&machine, count_up, count_up_end);
	machine_set(&machine);
	sigaction(SIGALRM, &action, NULL);
	run_a_while(&machine);
	for (unsigned int round = 0; round < ROUNDS; round++)
		for (step = 1; step < count || step == 1; step++)
			for (from = 0; from < count; from++) {
				move(&machine, engines[(from + 1) * step % count]);
				run_a_while(&machine);
			}
	*(volatile uint32_t *)(machine.memory + STOP) = 1;
	machine_result(&machine);
	user_end(&machine, &end);
	check_result(&machine, &end);
	machine_destroy(&machine);
}

/* A guest may use what its CPUID has: no engine that lacks it takes its state. */
static void refusals(void)
{
	struct gondola_cpuid_entry cpuid[GONDOLA_MAX_CPUID];
	uint32_t leaves = GONDOLA_MAX_CPUID;
	uint64_t bytes = sizeof(state);
	struct machine machine;

	machine_create(&machine, MODE_LONG);
	if (machine.engine == GONDOLA_ENGINE_RING3 || machine.engine == GONDOLA_ENGINE_INTERP) {
		machine_destroy(&machine);
		tap_skip("no engine here has more than ring3 and the interpreter");
	}
	require_equal(__gondola_supported_cpuid(machine.sys, cpuid, &leaves), 0);
	require_equal(__gondola_get_state(machine.vcpu, state, &bytes), 0);
	end_vm(&machine);
	make_vm(&machine, GONDOLA_ENGINE_RING3);
	expect_equal(__gondola_set_cpuid(machine.vcpu, cpuid, leaves), -EINVAL);
	leaves = GONDOLA_MAX_CPUID;
	require_equal(__gondola_engine_cpuid(machine.sys, GONDOLA_ENGINE_RING3, cpuid, &leaves), 0);
	require_equal(__gondola_set_cpuid(machine.vcpu, cpuid, leaves), 0);
	expect_equal(__gondola_set_state(machine.vcpu, state, bytes, NULL), -EINVAL);
	machine_destroy(&machine);
}

static const struct tap_test tests[] = {
	{ "a program that computes is moved between all engines", moves },
	{ "a state with more CPUID than the engine has is refused", refusals },
};

TAP_MAIN(tests)
