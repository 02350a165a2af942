/* SPDX-License-Identifier: GPL-2.0-only */
/* A virtual machine for tests: a few MiB, one vCPU, and code of a few instructions. */
#ifndef MACHINE_H
#define MACHINE_H

#include <stddef.h>
#include <stdint.h>
#include "lib/libgondola.h"
#include "tap.h"

/* Guest-physical places. */
#define MEMORY_BYTES	0x800000u
#define CODE		0x10000u
#define STACK		0x20000u	/* grows down from here */
#define TABLES		0x30000u
#define DATA		0x40000u	/* mapped one to one in every mode */
#define NO_MEMORY	0xd0000000u	/* likewise, but no slot is there */
#define RESULT_PORT	0x80

enum mode { MODE_UNPAGED, MODE_PAGED32, MODE_PAE, MODE_LONG, MODES };

/** GUEST_CODE() - machine code as a blob, @bits is 16, 32 or 64; see machine_load() */
#define GUEST_CODE(name, bits, text)							\
	asm(".pushsection .rodata\n.code" #bits "\n" #name ":\n" text			\
	    "\n" #name "_end:\n.code64\n.popsection");					\
	extern const char name[], name##_end[]
#define GUEST_LOAD(machine, name)	machine_load(machine, name, (size_t)(name##_end - name))

/**
 * struct machine - the VM, its vCPU and what the test may want to look at
 * @engine: enum gondola_engine_id
 */
struct machine {
	int sys;
	int vm;
	int vcpu;
	uint32_t engine;
	uint8_t *memory;
	struct gondola_run *run;
	struct gondola_rec_regs regs;
	struct gondola_rec_sregs sregs;
};

/** machine_open() - the device, or skip the test where no engine can be used */
int machine_open(void);
/** machine_need_engine() - skip the test where no engine can be used */
void machine_need_engine(void);
/** machine_bare() - VM and vCPU; no memory, no CPUID, no state */
void machine_bare(struct machine *machine);
/** machine_create() - with memory and CPUID, in @mode, RIP at CODE */
void machine_create(struct machine *machine, enum mode mode);
void machine_load(struct machine *machine, const void *code, size_t bytes);
/** machine_real_mode() - instead: CODE in real mode, with data at DATA; for machine_set() */
void machine_real_mode(struct machine *machine);
/** machine_set() - hand @machine->regs and sregs to the vCPU */
void machine_set(struct machine *machine);
/**
 * machine_enter() - GONDOLA_RUN, begun again after EINTR; its error
 *
 * Without a signal, too, the kernel may have work for the thread that is done on the way to user
 * mode (task work). After @machine->run->immediate_exit EINTR is what was asked for.
 */
int machine_enter(struct machine *machine);
/** machine_enter_for() - likewise, until a signal comes after so many seconds: EINTR */
int machine_enter_for(struct machine *machine, unsigned int seconds);
/** machine_run() - machine_enter(), which must not fail */
void machine_run(struct machine *machine);
/** machine_result() - run until the guest writes to RESULT_PORT; what it wrote */
uint32_t machine_result(struct machine *machine);
/** machine_exits() - of vCPU, by enum gondola_reason */
uint64_t machine_exits(struct machine *machine, enum gondola_reason reason);
void machine_destroy(struct machine *machine);
const char *mode_name(enum mode mode);

/**
 * skip_if_deaf() - skip the test where the emulator cannot run it
 *
 * Bochs 2.7 decides at VM entry, before it considers itself in the guest, that
 * RFLAGS.IF = 0 masks external interrupts: a guest that is entered so and runs
 * without an exit of its own is left by NMIs alone.
 */
void skip_if_deaf(void);

/** debugfs() - a counter of the module by name, or -1 if debugfs cannot be read */
long long debugfs(const char *name);

#endif
