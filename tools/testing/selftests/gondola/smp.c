// SPDX-License-Identifier: GPL-2.0-only
/*
 * Several vCPUs: start-up from real mode, locked counters, a ring of IPIs, and
 * translations that must be gone everywhere once a shootdown was answered.
 */
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <unistd.h>
#include "smp_machine.h"

/* ---- start-up ------------------------------------------------------------------- */

GUEST_CODE(wait_for_others, 32, START_OTHERS REPORT("0x40000"));
GUEST_CODE(halt, 32, "1: cli; hlt; jmp 1b");

static void start_up(void)
{
	struct gondola_rec_sregs sregs;
	struct gondola_rec_regs regs;
	struct smp smp;

	smp_create(&smp, 2);
	GUEST_LOAD(&smp.machine, wait_for_others);
	smp_put_code(&smp, AP_CODE, halt, halt_end);
	expect_equal(smp_run_all(&smp), 1);
	smp.stop = 1;
	smp.run[1]->immediate_exit = 1;
	pthread_kill(smp.thread[1], SIGUSR1);
	require_equal(__gondola_get_registers(smp.vcpu[1], &regs, &sregs), 0);
	expect_equal(sregs.cr0 & 0x80000001, 0x80000001);
	expect_equal(sregs.seg[GONDOLA_CS].selector, 8);
	smp_destroy(&smp);
}

/* One that nobody started does not run, and can be interrupted. */
static void waits_for_ever(void)
{
	struct gondola_rec_sregs sregs;
	struct gondola_rec_regs regs;
	struct smp smp;

	smp_create(&smp, 2);
	smp_start(&smp, 1);
	usleep(200000);
	smp.stop = 1;
	smp.run[1]->immediate_exit = 1;
	pthread_kill(smp.thread[1], SIGUSR1);
	require_equal(__gondola_get_registers(smp.vcpu[1], &regs, &sregs), 0);
	expect_equal(regs.rip, 0xfff0);
	expect_equal(sregs.seg[GONDOLA_CS].selector, 0xf000);
	smp_destroy(&smp);
}

/* ---- counters -------------------------------------------------------------------- */

#define COUNT	"mov $20000, %ecx; 2: lock incl 0x40004; dec %ecx; jnz 2b; lock incl 0x40008\n"

GUEST_CODE(count_first, 32,
	   START_OTHERS COUNT
	   "mov 0x4000c, %ebx; 3: cli; pause; cmp %ebx, 0x40008; jne 3b\n"
	   REPORT("0x40004"));
GUEST_CODE(count_others, 32, COUNT "1: cli; hlt; jmp 1b");

static void counters(unsigned int cpus)
{
	struct smp smp;

	smp_create(&smp, cpus);
	GUEST_LOAD(&smp.machine, count_first);
	smp_put_code(&smp, AP_CODE, count_others, count_others_end);
	expect_equal(smp_run_all(&smp), 20000 * cpus);
	smp_destroy(&smp);
}

static void counters2(void)
{
	counters(2);
}

static void counters4(void)
{
	counters(4);
}

/* ---- IPIs: a token goes round, everybody sleeps until it comes -------------------- */

#define SEND_ON										\
	"mov 0xfee00020, %eax; add $0x1000000, %eax; mov 0x4000c, %edx; shl $24, %edx\n"	\
	"cmp %edx, %eax; jne 8f; xor %eax, %eax\n"					\
	"8: mov %eax, 0xfee00310; movl $0x4041, 0xfee00300\n"

GUEST_CODE(ring_handler, 32,
	   "push %eax; push %edx; movl $0, 0xfee000b0\n"
	   "lock incl 0x40004; mov 0x40010, %eax; cmp %eax, 0x40004; jae 9f\n"
	   SEND_ON
	   /* At the end vCPU 0 is told. */
	   "jmp 7f; 9: mov 0xfee00020, %eax; test %eax, %eax; jz 7f\n"
	   "movl $0, 0xfee00310; movl $0x4041, 0xfee00300\n"
	   "7: pop %edx; pop %eax; iret");
GUEST_CODE(ring_first, 32,
	   START_OTHERS SEND_ON
	   "2: cli; mov 0x40010, %eax; cmp %eax, 0x40004; jae 3f; sti; hlt; jmp 2b\n"
	   "3: " REPORT("0x40004"));
GUEST_CODE(ring_others, 32, "1: sti; hlt; jmp 1b");

static void ring(unsigned int cpus, uint32_t rounds)
{
	struct smp smp;

	smp_create(&smp, cpus);
	GUEST_LOAD(&smp.machine, ring_first);
	smp_put_code(&smp, AP_CODE, ring_others, ring_others_end);
	smp_put_code(&smp, HANDLER, ring_handler, ring_handler_end);
	WORD(&smp.machine, LIMIT) = rounds;
	expect(smp_run_all(&smp) >= rounds);
	smp_destroy(&smp);
}

static void ring2(void)
{
	ring(2, 1000);
}

static void ring4(void)
{
	ring(4, 1000);
}

/* ---- shootdown ---------------------------------------------------------------------- */

/*
 * vCPU 0 lets 0x50000 lead to another page, in which it has written the number
 * of the round, tells all, waits for their answers, and publishes the number.
 * From then on a smaller number must not be read there.  Pages: eight from 1 MiB on in turn.
 */
GUEST_CODE(shootdown_handler, 32,
	   "push %eax; invlpg 0x50000; lock incl 0x4001c\n"
	   "movl $0, 0xfee000b0; pop %eax; iret");
GUEST_CODE(shootdown_first, 32,
	   START_OTHERS
	   "mov $1, %ecx\n"
	   "2: mov %ecx, %eax; and $7, %eax; shl $12, %eax; add $0x100000, %eax\n"
	   "mov %ecx, (%eax); or $3, %eax; mov %eax, 0x31140\n"
	   "invlpg 0x50000; movl $0, 0x4001c\n"
	   "movl $0xc4041, 0xfee00300\n"
	   "mov 0x4000c, %ebx; dec %ebx; 3: cli; pause; cmp %ebx, 0x4001c; jne 3b\n"
	   "mov %ecx, 0x40018; cmp %ecx, 0x50000; je 4f; lock incl 0x40014\n"
	   "4: inc %ecx; cmp 0x40010, %ecx; jbe 2b\n"
	   REPORT("0x40014"));
GUEST_CODE(shootdown_others, 32,
	   "sti\n"
	   "1: mov 0x40018, %eax; test %eax, %eax; jz 1b; mov 0x50000, %edx; cmp %eax, %edx; jae 2f\n"
	   "lock incl 0x40014\n"
	   "2: lock incl 0x40004; pause; jmp 1b");

static void shootdown(unsigned int cpus, uint32_t rounds)
{
	struct smp smp;

	smp_create(&smp, cpus);
	GUEST_LOAD(&smp.machine, shootdown_first);
	smp_put_code(&smp, AP_CODE, shootdown_others, shootdown_others_end);
	smp_put_code(&smp, HANDLER, shootdown_handler, shootdown_handler_end);
	WORD(&smp.machine, LIMIT) = rounds;
	expect_equal(smp_run_all(&smp), 0);
	expect_equal(WORD(&smp.machine, CURRENT), rounds);
	expect(WORD(&smp.machine, COUNTER) > 0);
	smp_destroy(&smp);
}

static void shootdown2(void)
{
	shootdown(2, 500);
}

static void shootdown4(void)
{
	shootdown(4, 100);
}

static const struct tap_test tests[] = {
	{ "a start-up IPI leads from real mode to paging", start_up },
	{ "without one a vCPU waits", waits_for_ever },
	{ "2 vCPUs: locked counters", counters2 },
	{ "4 vCPUs: locked counters", counters4 },
	{ "2 vCPUs: a ring of IPIs", ring2 },
	{ "4 vCPUs: a ring of IPIs", ring4 },
	{ "2 vCPUs: shootdown of translations", shootdown2 },
	{ "4 vCPUs: shootdown of translations", shootdown4 },
};

TAP_MAIN(tests)
