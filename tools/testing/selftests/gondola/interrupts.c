// SPDX-License-Identifier: GPL-2.0-only
/*
 * Interrupts come as often as they were sent.  A handler keeps interrupts off: one that comes in
 * nevertheless was delivered twice.  In a machine whose processors are slow ("machine --icount 5")
 * more happens at once.
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

static void put_gate(struct machine *machine, uint32_t idt, uint32_t vector, uint32_t handler)
{
	uint32_t *gate = (uint32_t *)(machine->memory + idt + 8 * vector);

	gate[0] = 8 << 16 | handler;
	gate[1] = 0x8e00;
}

#define OTHER_HANDLER	0xb800u
#define ABSENT_ENTRY	0x31180u	/* the page table's for the page at 0x60000 */
/* The gate of VECTOR lies in that page, that of 14 does not; likewise of 2. */
#define IDT_BEFORE	0x5fe00u
#define IDT_BEHIND	0x60f90u
#define EVENT_PORT	0x81

/* The handler's gate cannot be read until the page fault's handler has seen to it. */
GUEST_CODE(to_oneself, 32,
	   "lidt 0xa800; movl $0x1ff, 0xfee000f0; movl $0x44041, 0xfee00300; sti\n"
	   "mov $100000, %ecx; 1: pause; cmpl $0, 0x40004; jne 2f; loop 1b; 2: cli\n"
	   REPORT("0x40004"));
GUEST_CODE(nmi_to_oneself, 32,
	   "lidt 0xa800; out %eax, $0x81\n"
	   "mov $100000, %ecx; 1: pause; cmpl $0, 0x40004; jne 2f; loop 1b; 2: cli\n"
	   REPORT("0x40004"));
GUEST_CODE(count, 32, "incl 0x40004; movl $0, 0xfee000b0; iret");
GUEST_CODE(make_present, 32,
	   "incl 0x40014; orl $1, 0x31180; invlpg 0x60008; add $4, %esp; iret");

/* Until the guest reports; EVENT_PORT asks for an NMI. */
static void answer_nmi_port(struct machine *machine)
{
	for (;;) {
		machine_run(machine);
		require_equal(machine->run->exit, GONDOLA_EXIT_IO);
		if (machine->run->io.port != EVENT_PORT)
			break;
		require_equal(__gondola_nmi(machine->vcpu), 0);
	}
	require_equal(machine->run->io.port, RESULT_PORT);
}

static void delivery_faults(const char *code, const char *end, uint32_t idt, uint32_t vector)
{
	const uint16_t idtr[] = { 8 * 256 - 1, idt & 0xffff, idt >> 16 };
	struct machine *machine;
	struct smp smp;

	smp_create(&smp, 1);
	machine = &smp.machine;
	*(uint32_t *)(machine->memory + ABSENT_ENTRY) &= ~1u;
	memcpy(machine->memory + IDTR, idtr, sizeof(idtr));
	put_gate(machine, idt, vector, HANDLER);
	put_gate(machine, idt, 14, OTHER_HANDLER);
	machine_load(machine, code, end - code);
	smp_put_code(&smp, HANDLER, count, count_end);
	smp_put_code(&smp, OTHER_HANDLER, make_present, make_present_end);
	answer_nmi_port(machine);
	expect_equal(WORD(machine, COUNTER), 1);
	expect_equal(WORD(machine, ERRORS), 1);
	smp_destroy(&smp);
}

static void interrupt_faults(void)
{
	delivery_faults(to_oneself, to_oneself_end, IDT_BEFORE, VECTOR);
}

/* It does not come in the fault's handler, which could not take it either. */
static void nmi_faults(void)
{
	delivery_faults(nmi_to_oneself, nmi_to_oneself_end, IDT_BEHIND, 2);
}

GUEST_CODE(asks_for_nmi, 32,
	   "lidt 0xa800; out %eax, $0x81\n"
	   "mov $1000, %ecx; 1: pause; loop 1b\n"
	   REPORT("0x40004"));
/* The first one asks for three more. */
GUEST_CODE(nmi_handler, 32,
	   "incl 0x40004; cmpl $1, 0x40004; jne 1f\n"
	   "out %eax, $0x81; out %eax, $0x81; out %eax, $0x81; 1: iret");

/* Of those that come while they are blocked, one is kept. */
static void nmis_while_blocked(void)
{
	struct machine *machine;
	struct smp smp;

	smp_create(&smp, 1);
	machine = &smp.machine;
	put_gate(machine, IDT, 2, HANDLER);
	GUEST_LOAD(machine, asks_for_nmi);
	smp_put_code(&smp, HANDLER, nmi_handler, nmi_handler_end);
	answer_nmi_port(machine);
	expect_equal(WORD(machine, COUNTER), 2);
	smp_destroy(&smp);
}

GUEST_CODE(asks_in_real_mode, 16,
	   "out %eax, $0x81\n"
	   "mov $1000, %cx; 1: nop; loop 1b\n"
	   REPORT("4"));
GUEST_CODE(real_nmi_handler, 16,
	   "incl 4; cmpl $1, 4; jne 1f\n"
	   "out %eax, $0x81; out %eax, $0x81; out %eax, $0x81; 1: iret");

/* The same where VMX has the emulator deliver them, and execute the IRET that ends it. */
static void nmis_in_real_mode(void)
{
	struct machine machine;

	machine_create(&machine, MODE_UNPAGED);
	machine_real_mode(&machine);
	machine.regs.gpr[4] = HANDLER;
	machine_set(&machine);
	GUEST_LOAD(&machine, asks_in_real_mode);
	*(uint32_t *)(machine.memory + 4 * 2) = HANDLER;
	memcpy(machine.memory + HANDLER, real_nmi_handler, real_nmi_handler_end - real_nmi_handler);
	answer_nmi_port(&machine);
	expect_equal(WORD(&machine, COUNTER), 2);
	machine_destroy(&machine);
}

static const struct tap_test tests[] = {
	{ "a handler with interrupts off is not interrupted", timer },
	{ "an interrupt whose delivery faults comes after the fault", interrupt_faults },
	{ "so does an NMI", nmi_faults },
	{ "of NMIs that come while they are blocked one is kept", nmis_while_blocked },
	{ "so it is in real mode", nmis_in_real_mode },
};

TAP_MAIN(tests)
