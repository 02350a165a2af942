// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <signal.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>
#include "smp_machine.h"

/* From real mode through the GDT at 0x8100 to AP_CODE32. */
GUEST_CODE(trampoline, 32,
	   ".code16\n"
	   "cli; xor %ax, %ax; mov %ax, %ds\n"
	   "ljmp $0x800, $(1f - trampoline)\n"
	   "1: lgdtl 0x8180; mov $1, %eax; mov %eax, %cr0\n"
	   "ljmpl $8, $0x9000\n"
	   ".code32\n");
/* Paging as vCPU 0 has it, the IDT, a stack of 4 KiB by number, the APIC on. */
GUEST_CODE(ap32, 32,
	   "mov $0x10, %eax; mov %eax, %ds; mov %eax, %es; mov %eax, %ss\n"
	   "mov $0x10, %eax; mov %eax, %cr4; mov $0x30000, %eax; mov %eax, %cr3\n"
	   "mov $0x80010001, %eax; mov %eax, %cr0\n"
	   "lidt 0xa800\n"
	   "mov 0xfee00020, %eax; shr $24, %eax; shl $12, %eax; lea 0x70000(%eax), %esp\n"
	   "movl $0x1ff, 0xfee000f0\n"
	   "lock incl 0x40000\n"
	   "mov $0xc000, %eax; jmp *%eax");
struct thread_argument {
	struct smp *smp;
	unsigned int id;
};

static struct thread_argument arguments[MAX_CPUS];

static void on_kick(int signal)
{
	(void)signal;
}

static void *run_thread(void *arg)
{
	struct thread_argument *a = arg;
	struct smp *smp = a->smp;
	int ret;

	while (!__atomic_load_n(&smp->stop, __ATOMIC_ACQUIRE)) {
		ret = __gondola_run(smp->vcpu[a->id]);
		if (ret == -EINTR)
			continue;
		printf("# vCPU %u left: %d, exit %u\n", a->id, ret, smp->run[a->id]->exit);
		break;
	}
	return NULL;
}

/* A flat GDT for the trampoline, and one gate. */
static void build_tables(struct machine *machine)
{
	const uint64_t gdt[] = { 0, 0x00cf9b000000ffffull, 0x00cf93000000ffffull };
	const uint16_t gdtr[] = { sizeof(gdt) - 1, 0x8100, 0 };
	const uint16_t idtr[] = { 8 * 256 - 1, IDT, 0 };
	uint32_t *gate = (uint32_t *)(machine->memory + IDT + 8 * VECTOR);

	memcpy(machine->memory + 0x8100, gdt, sizeof(gdt));
	memcpy(machine->memory + 0x8180, gdtr, sizeof(gdtr));
	memcpy(machine->memory + IDTR, idtr, sizeof(idtr));
	gate[0] = 8 << 16 | HANDLER;
	gate[1] = 0x8e00;
}

void smp_create(struct smp *smp, unsigned int cpus)
{
	struct gondola_cpuid_entry cpuid[GONDOLA_MAX_CPUID];
	struct sigaction kick = { .sa_handler = on_kick };
	uint32_t leaves = GONDOLA_MAX_CPUID;
	struct machine *machine = &smp->machine;

	memset(smp, 0, sizeof(*smp));
	smp->cpus = cpus;
	machine_create(machine, MODE_PAGED32);
	/* The trampoline's GDT for vCPU 0 as well: interrupts load CS from it. */
	machine->sregs.gdt.base = 0x8100;
	machine->sregs.gdt.limit = 23;
	machine->sregs.seg[GONDOLA_CS].selector = 8;
	for (int i = GONDOLA_ES; i <= GONDOLA_GS; i++)
		if (i != GONDOLA_CS)
			machine->sregs.seg[i].selector = 0x10;
	machine_set(machine);
	build_tables(machine);
	memcpy(machine->memory + TRAMPOLINE, trampoline, trampoline_end - trampoline);
	memcpy(machine->memory + AP_CODE32, ap32, ap32_end - ap32);
	WORD(machine, CPUS) = cpus;
	require_equal(__gondola_supported_cpuid(machine->sys, cpuid, &leaves), 0);
	smp->vcpu[0] = machine->vcpu;
	smp->run[0] = machine->run;
	for (unsigned int i = 1; i < cpus; i++) {
		smp->vcpu[i] = __gondola_create_vcpu(machine->vm, i);
		require(smp->vcpu[i] >= 0);
		require_equal(__gondola_map_run(smp->vcpu[i], &smp->run[i]), 0);
		require_equal(__gondola_set_cpuid(smp->vcpu[i], cpuid, leaves), 0);
	}
	sigaction(SIGUSR1, &kick, NULL);
}

void smp_put_code(struct smp *smp, uint32_t at, const char *code, const char *end)
{
	memcpy(smp->machine.memory + at, code, end - code);
}

static void on_time_out(int signal)
{
	static const char words[] = "Bail out! the vCPUs did not come to an end\n";

	(void)signal;
	if (write(1, words, sizeof(words) - 1) < 0)
		_exit(2);
	_exit(1);
}

void smp_limit(unsigned int seconds)
{
	signal(SIGALRM, on_time_out);
	alarm(seconds);
}

void smp_start(struct smp *smp, unsigned int id)
{
	arguments[id] = (struct thread_argument){ smp, id };
	require_equal(pthread_create(&smp->thread[id], NULL, run_thread, &arguments[id]), 0);
}

uint32_t smp_run_all(struct smp *smp)
{
	uint32_t result;

	smp_limit(SECONDS);
	for (unsigned int i = 1; i < smp->cpus; i++)
		smp_start(smp, i);
	result = machine_result(&smp->machine);
	smp_limit(0);
	return result;
}

void smp_destroy(struct smp *smp)
{
	__atomic_store_n(&smp->stop, 1, __ATOMIC_RELEASE);
	for (unsigned int i = 1; i < smp->cpus; i++) {
		struct timespec until;

		do {
			smp->run[i]->immediate_exit = 1;
			pthread_kill(smp->thread[i], SIGUSR1);
			clock_gettime(CLOCK_REALTIME, &until);
			until.tv_sec++;
		} while (pthread_timedjoin_np(smp->thread[i], NULL, &until));
		munmap(smp->run[i], GONDOLA_RUN_SIZE);
		close(smp->vcpu[i]);
	}
	expect_equal(debugfs("audit"), 0);
	machine_destroy(&smp->machine);
}
