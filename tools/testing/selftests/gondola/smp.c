// SPDX-License-Identifier: GPL-2.0-only
/*
 * Several vCPUs: start-up from real mode, locked counters, a ring of IPIs, and
 * translations that must be gone everywhere once a shootdown was answered.
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>
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

static void create(struct smp *smp, unsigned int cpus)
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

static void put_code(struct smp *smp, uint32_t at, const char *code, const char *end)
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

/* Threads for all but vCPU 0, which runs here; what it reports. */
static uint32_t run_all(struct smp *smp)
{
	uint32_t result;

	signal(SIGALRM, on_time_out);
	alarm(SECONDS);
	for (unsigned int i = 1; i < smp->cpus; i++) {
		arguments[i] = (struct thread_argument){ smp, i };
		require_equal(pthread_create(&smp->thread[i], NULL, run_thread, &arguments[i]), 0);
	}
	result = machine_result(&smp->machine);
	alarm(0);
	return result;
}

static void destroy(struct smp *smp)
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

/* ---- start-up ------------------------------------------------------------------- */

GUEST_CODE(wait_for_others, 32, START_OTHERS REPORT("0x40000"));
GUEST_CODE(halt, 32, "1: cli; hlt; jmp 1b");

static void start_up(void)
{
	struct gondola_rec_sregs sregs;
	struct gondola_rec_regs regs;
	struct smp smp;

	create(&smp, 2);
	GUEST_LOAD(&smp.machine, wait_for_others);
	put_code(&smp, AP_CODE, halt, halt_end);
	expect_equal(run_all(&smp), 1);
	smp.stop = 1;
	smp.run[1]->immediate_exit = 1;
	pthread_kill(smp.thread[1], SIGUSR1);
	require_equal(__gondola_get_registers(smp.vcpu[1], &regs, &sregs), 0);
	expect_equal(sregs.cr0 & 0x80000001, 0x80000001);
	expect_equal(sregs.seg[GONDOLA_CS].selector, 8);
	destroy(&smp);
}

/* One that nobody started does not run, and can be interrupted. */
static void waits_for_ever(void)
{
	struct gondola_rec_sregs sregs;
	struct gondola_rec_regs regs;
	struct smp smp;

	create(&smp, 2);
	arguments[1] = (struct thread_argument){ &smp, 1 };
	require_equal(pthread_create(&smp.thread[1], NULL, run_thread, &arguments[1]), 0);
	usleep(200000);
	smp.stop = 1;
	smp.run[1]->immediate_exit = 1;
	pthread_kill(smp.thread[1], SIGUSR1);
	require_equal(__gondola_get_registers(smp.vcpu[1], &regs, &sregs), 0);
	expect_equal(regs.rip, 0xfff0);
	expect_equal(sregs.seg[GONDOLA_CS].selector, 0xf000);
	destroy(&smp);
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

	create(&smp, cpus);
	GUEST_LOAD(&smp.machine, count_first);
	put_code(&smp, AP_CODE, count_others, count_others_end);
	expect_equal(run_all(&smp), 20000 * cpus);
	destroy(&smp);
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

	create(&smp, cpus);
	GUEST_LOAD(&smp.machine, ring_first);
	put_code(&smp, AP_CODE, ring_others, ring_others_end);
	put_code(&smp, HANDLER, ring_handler, ring_handler_end);
	WORD(&smp.machine, LIMIT) = rounds;
	expect(run_all(&smp) >= rounds);
	destroy(&smp);
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
 * Nobody may read less there from then on.  Pages: eight from 1 MiB on in turn.
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

	create(&smp, cpus);
	GUEST_LOAD(&smp.machine, shootdown_first);
	put_code(&smp, AP_CODE, shootdown_others, shootdown_others_end);
	put_code(&smp, HANDLER, shootdown_handler, shootdown_handler_end);
	WORD(&smp.machine, LIMIT) = rounds;
	expect_equal(run_all(&smp), 0);
	expect_equal(WORD(&smp.machine, CURRENT), rounds);
	expect(WORD(&smp.machine, COUNTER) > 0);
	destroy(&smp);
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
