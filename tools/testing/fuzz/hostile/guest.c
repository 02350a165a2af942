// SPDX-License-Identifier: GPL-2.0-only
/*
 * A guest that does what no kernel should: random privileged things, one after the other, on
 * each processor. An exception ends the step that raised it; what the guest then no longer has
 * (tables, descriptors) it makes again, if it can. Built for 32 and for 64 bits.
 */
#include "guest.h"
#include "machine.h"

#define parameters	((volatile struct hostile_parameters *)HOSTILE_PARAMETERS)
/* As many exceptions in a row mean that the tables are spoilt. */
#define TABLES_SPOILT	8u

uint8_t stacks[HOSTILE_MAX_CPUS][STACK_BYTES] __attribute__((aligned(STACK_BYTES)));
static struct cpu cpus[HOSTILE_MAX_CPUS];

struct cpu *this_cpu(void)
{
	uintptr_t at = (uintptr_t)__builtin_frame_address(0) - (uintptr_t)stacks;

	return &cpus[at / STACK_BYTES % HOSTILE_MAX_CPUS];
}

/* A step may have left the processor in any state: here is what the next one needs. */
static void take_back(struct cpu *cpu)
{
	if (++cpu->row % TABLES_SPOILT == 0)
		make_good_tables();
	load_descriptors(cpu->id);
	asm volatile("mov %0, %%dr7" : : "r"(0x400ul));
	write_cr0(read_cr0() & ~(uintptr_t)(CR0_TS | CR0_EM | CR0_AM));
	/* With these, most steps would only fail; without those, no program of level 3 runs directly. */
	if (!one_in(&cpu->random, 8)) {
		write_cr4((read_cr4() & ~(uintptr_t)(CR4_SMEP | CR4_SMAP)) | CR4_OSFXSR | CR4_OSXMMEXCPT);
		write_cr0(read_cr0() | CR0_NE);
	}
	if (cpu->row >= TABLES_SPOILT || !one_in(&cpu->random, 4))
		write_cr3(good_root());
	asm volatile("fninit");
}

/* Until an IRET the processor takes no other NMI. */
static void end_nmi(void)
{
#ifdef __x86_64__
	asm volatile("mov %%rsp, %%rax; push %0; push %%rax; push $2; push %1; push $1f; iretq; 1:"
		     : : "i"(DATA_SELECTOR), "i"(CODE_SELECTOR) : "rax", "memory");
#else
	asm volatile("push $2; push %0; push $1f; iret; 1:" : : "i"(CODE_SELECTOR) : "memory");
#endif
}

/* From the vectors: comes back from interrupts alone. */
void guest_trap(uintptr_t number)
{
	uint32_t vector = (uint32_t)(number + 128) & 0xff;
	struct cpu *cpu = this_cpu();

	if (vector >= 32 && vector != VECTOR_BACK) {
		*(volatile uint32_t *)(APIC + 0xb0) = 0;
		return;
	}
	/* Level 3 ends its steps so, and the program that runs the guest a step without an end. */
	if (vector == VECTOR_BACK || vector == 2)
		cpu->row = 0;
	else
		cpu->faults++;
	take_back(cpu);
	if (vector == 2)
		end_nmi();
	__builtin_longjmp(cpu->back, 1);
}

static void tell(struct cpu *cpu)
{
	asm volatile("outl %0, %1" : : "a"(HOSTILE_BEAT(cpu->steps, cpu->faults)),
		     "dN"((uint16_t)HOSTILE_BEAT_PORT));
	cpu->steps = 0;
	cpu->faults = 0;
}

/* Steps for ever: the program that runs the guest ends it. */
static void work(void)
{
	struct cpu *cpu = this_cpu();

	if (!__builtin_setjmp(cpu->back))
		cpu->steps = 0;
	for (;;) {
		cpu = this_cpu();
		if (++cpu->steps >= HOSTILE_BEAT_STEPS)
			tell(cpu);
		step(&cpu->random);
		cpu->row = 0;
	}
}

static void start_others(void)
{
	volatile uint32_t *icr = (volatile uint32_t *)(APIC + 0x300);
	const uint8_t *from = trampoline;
	uint8_t *to = (uint8_t *)0x8000;

	while (from < trampoline_end)
		*to++ = *from++;
	*(volatile uint32_t *)(APIC + 0xf0) = 0x1ff;
	*icr = ICR_INIT_OTHERS;
	*icr = ICR_STARTUP_OTHERS | 8;
}

void guest_main(void)
{
	struct cpu *cpu = this_cpu();
	uint32_t id = cpu - cpus;
	bool again = parameters->started & 1u << id;

	cpu->id = id;
	/* A processor that is started again goes on in its row of random numbers. */
	if (!again)
		cpu->random.state = mix(parameters->seed, id);
	if (!again ? !id : one_in(&cpu->random, 2))
		make_good_tables();
	make_descriptors(id);
	load_descriptors(id);
	go_paged();
	*(volatile uint32_t *)(APIC + 0xf0) = 0x1ff;
	__atomic_fetch_or(&parameters->started, 1u << id, __ATOMIC_SEQ_CST);
	if (!id && parameters->cpus > 1 && (!again || one_in(&cpu->random, 2)))
		start_others();
	work();
}
