// SPDX-License-Identifier: GPL-2.0-only
/*
 * Interrupts each processor four times a second.
 *
 * QEMU 7.2 loses interrupts when it emulates SVM: at VMRUN and #VMEXIT the thread
 * of a processor changes its set of requests (CPUState.interrupt_request) without
 * the lock under which the thread of the timers adds to them. The interrupt then
 * stays in the local APIC until another one comes, for ever if it was the timer's.
 * So another one comes: the HPET's. It wakes this process, which then goes to each
 * other processor, and the kernel sends an IPI there.
 *
 * usage: pulse		stays behind as a process; without an HPET it does nothing
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/hpet.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define HZ	4

static void visit(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	/* It fails for a processor that is offline. */
	sched_setaffinity(0, sizeof(set), &set);
}

int main(void)
{
	long cpus = sysconf(_SC_NPROCESSORS_CONF);
	int hpet = open("/dev/hpet", O_RDONLY | O_CLOEXEC);
	unsigned long count;

	if (hpet < 0 || ioctl(hpet, HPET_IRQFREQ, HZ) || ioctl(hpet, HPET_EPI, 0) ||
	    ioctl(hpet, HPET_IE_ON, 0) || daemon(0, 0))
		return 1;
	while (read(hpet, &count, sizeof(count)) == sizeof(count))
		for (long cpu = cpus; cpu--;)
			visit((int)cpu);
	return 1;
}
