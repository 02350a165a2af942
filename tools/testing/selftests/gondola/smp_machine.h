/* SPDX-License-Identifier: GPL-2.0-only */
/* A machine of several vCPUs: vCPU 0 starts the others, which end in code at AP_CODE. */
#ifndef SMP_MACHINE_H
#define SMP_MACHINE_H

#include <pthread.h>
#include "machine.h"

#define MAX_CPUS	4
#define TRAMPOLINE	0x8000u		/* start-up vector 8 */
#define AP_CODE32	0x9000u
#define IDT		0xa000u
#define IDTR		0xa800u
#define AP_CODE		0xc000u		/* what APs do in the end */
#define VECTOR		0x41
#define HANDLER		0xb000u
#define SECONDS		60

/* Words at DATA (0x40000) that guest and test share. */
enum { STARTED, COUNTER, FINISHED, CPUS, LIMIT, ERRORS, CURRENT, ACKS };
#define WORD(machine, i)	(((volatile uint32_t *)((machine)->memory + DATA))[i])

/* Loops with interrupts off execute CLI: Bochs takes the host's interrupts at it alone. */
#define START_OTHERS									\
	"lidt 0xa800; movl $0x1ff, 0xfee000f0\n"					\
	"movl $0xc4500, 0xfee00300; movl $0xc4608, 0xfee00300\n"			\
	"mov 0x4000c, %ebx; dec %ebx\n"							\
	"1: cli; pause; cmp %ebx, 0x40000; jne 1b\n"
#define REPORT(word)	"mov " word ", %eax; out %eax, $0x80; jmp ."

struct smp {
	struct machine machine;
	unsigned int cpus;
	int vcpu[MAX_CPUS];
	struct gondola_run *run[MAX_CPUS];
	pthread_t thread[MAX_CPUS];
	int stop;
};

void smp_create(struct smp *smp, unsigned int cpus);
void smp_put_code(struct smp *smp, uint32_t at, const char *code, const char *end);
/* A time limit for what is under way, in seconds; 0: none. */
void smp_limit(unsigned int seconds);
/* A thread that runs vCPU @id until smp_destroy(), or until it leaves for good. */
void smp_start(struct smp *smp, unsigned int id);
/* Threads for all but vCPU 0, which runs here; what it reports. */
uint32_t smp_run_all(struct smp *smp);
/* Ends the threads of all but vCPU 0, and looks at the shadow tables. */
void smp_destroy(struct smp *smp);

#endif
