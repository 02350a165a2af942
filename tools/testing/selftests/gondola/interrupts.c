// SPDX-License-Identifier: GPL-2.0-only
/*
 * A handler keeps interrupts off: one that comes in nevertheless was delivered twice.  In a
 * machine whose processors are slow ("machine --icount 5") more happens at once.
 */
#include <pthread.h>
#include <unistd.h>
#include "smp_machine.h"

GUEST_CODE(timer_handler, 32,
	   "push %eax; incl 0x40018; cmpl $1, 0x40018; je 1f; incl 0x40014\n"
	   "1: mov $100, %eax; 2: dec %eax; jnz 2b\n"
	   "incl 0x40004; decl 0x40018; movl $0, 0xfee000b0; pop %eax; iret");
/* Periodic, the clock divided by one. */
GUEST_CODE(timer_first, 32,
	   "lidt 0xa800; movl $0x1ff, 0xfee000f0\n"
	   "movl $0xb, 0xfee003e0; movl $0x20041, 0xfee00320; movl $1000000, 0xfee00380; sti\n"
	   "3: mov 0x40010, %eax; cmp %eax, 0x40004; jb 3b; cli\n"
	   REPORT("0x40014"));

/* The host's own timers strike at any distance from the guest's. */
static void *disturb(void *arg)
{
	struct smp *smp = arg;

	for (unsigned int i = 0; !__atomic_load_n(&smp->stop, __ATOMIC_ACQUIRE); i++)
		usleep(100 + i % 1000);
	return NULL;
}

static void timer(void)
{
	pthread_t thread;
	struct smp smp;

	smp_create(&smp, 1);
	GUEST_LOAD(&smp.machine, timer_first);
	smp_put_code(&smp, HANDLER, timer_handler, timer_handler_end);
	WORD(&smp.machine, LIMIT) = 2000;
	require_equal(pthread_create(&thread, NULL, disturb, &smp), 0);
	expect_equal(smp_run_all(&smp), 0);
	expect_equal(WORD(&smp.machine, CURRENT), 0);
	__atomic_store_n(&smp.stop, 1, __ATOMIC_RELEASE);
	pthread_join(thread, NULL);
	smp_destroy(&smp);
}

static const struct tap_test tests[] = {
	{ "a handler with interrupts off is not interrupted", timer },
};

TAP_MAIN(tests)
