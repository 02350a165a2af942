// SPDX-License-Identifier: GPL-2.0-only
/*
 * Code that is rewritten while it runs.  An instruction that makes the guest leave may be another
 * one when the host looks at it: the guest then runs that, and is none the worse.
 */
#include <errno.h>
#include <pthread.h>

#include "machine.h"

#define EXITS		5000u
#define RFLAGS_IF	0x202u

enum { STOP, EXPECTED };
#define WORD(machine, i)	(((volatile uint32_t *)((machine)->memory + DATA))[i])

/* The one byte that changes is the opcode: a processor may fetch the bytes one by one. */
#define OPCODE		(CODE + 0x11)
#define CPUID		0xa2
#define PADDB		0xfc	/* of MM0 and MM0: the emulator does not know it */
#define LONG_NOP	0x1f

/*
 * 0f OPCODE c0 c0 c1 90: after CPUID comes a rotation of AL by one; the others take the first c0
 * for their own, and a rotation of CL by a multiple of eight follows.  EBX tells which it was.
 */
GUEST_CODE(rounds, 64,
	   "jmp 1f\n"
	   ".balign 16, 0x90\n"
	   "1: .byte 0x0f, 0x1f, 0xc0, 0xc0, 0xc1, 0x90\n"
	   "test %ebx, %ebx; jz 2f; cmp 0x40004, %al; jne 3f\n"
	   "2: xor %eax, %eax; xor %ebx, %ebx; xor %ecx, %ecx; cmp %eax, 0x40000; je 1b\n"
	   "out %eax, $0x80; jmp .\n"
	   "3: mov $0xbad, %eax; out %eax, $0x80; jmp .");

struct rewriter {
	struct machine machine;
	uint8_t other;
	bool stop;
};

static void *rewrite(void *argument)
{
	struct rewriter *r = argument;
	volatile uint8_t *opcode = r->machine.memory + OPCODE;

	for (unsigned int i = 0; !__atomic_load_n(&r->stop, __ATOMIC_ACQUIRE); i++) {
		*opcode = i & 1 ? r->other : CPUID;
		if (machine_exits(&r->machine, GONDOLA_REASON_CPUID) >= EXITS)
			WORD(&r->machine, STOP) = 1;
		/* In an emulated processor each write costs the guest its translated code. */
		for (unsigned int j = 0; j < i % 512; j++)
			asm volatile("pause");
	}
	return NULL;
}

/* The value that CPUID and the rotation leave in AL. */
static uint8_t expected(struct machine *machine)
{
	struct gondola_cpuid_entry cpuid[GONDOLA_MAX_CPUID];
	uint32_t leaves = GONDOLA_MAX_CPUID;

	require_equal(__gondola_supported_cpuid(machine->sys, cpuid, &leaves), 0);
	for (uint32_t i = 0; i < leaves; i++)
		if (!cpuid[i].function)
			return cpuid[i].eax << 1 | (cpuid[i].eax >> 7 & 1);
	return 0;
}

static void rewritten_into(uint8_t other)
{
	struct rewriter r = { .other = other };
	pthread_t thread;
	int ret;

	machine_create(&r.machine, MODE_LONG);
	if (other == PADDB && (r.machine.engine == GONDOLA_ENGINE_INTERP ||
			       r.machine.engine == GONDOLA_ENGINE_RING3)) {
		machine_destroy(&r.machine);
		tap_skip("the engine runs only what the instruction emulator knows");
	}
	GUEST_LOAD(&r.machine, rounds);
	WORD(&r.machine, EXPECTED) = expected(&r.machine);
	r.machine.regs.rflags = RFLAGS_IF;
	machine_set(&r.machine);
	require_equal(pthread_create(&thread, NULL, rewrite, &r), 0);
	ret = machine_enter(&r.machine);
	__atomic_store_n(&r.stop, true, __ATOMIC_RELEASE);
	require_equal(pthread_join(thread, NULL), 0);
	expect_equal(ret, 0);
	require_equal(r.machine.run->exit, GONDOLA_EXIT_IO);
	expect_equal(*(uint32_t *)((char *)r.machine.run + r.machine.run->io.offset), 0);
	machine_destroy(&r.machine);
}

static void unknown(void)
{
	rewritten_into(PADDB);
}

static void longer(void)
{
	rewritten_into(LONG_NOP);
}

static const struct tap_test tests[] = {
	{ "CPUID becomes an instruction that the emulator does not know", unknown },
	{ "CPUID becomes a longer instruction", longer },
};

TAP_MAIN(tests)
