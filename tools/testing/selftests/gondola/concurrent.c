// SPDX-License-Identifier: GPL-2.0-only
/*
 * State is set by one thread while another changes the same: runs a vCPU, raises a line, sends an
 * interrupt, sets a TSC.  Each comes before or after the other as a whole.
 *
 * usage: concurrent [ROUNDS]: default 1000
 */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include "machine.h"

#define PIN		5u
#define PIN_VECTOR	0x45u
#define LEVEL		(1u << 15)
#define MSR_TSC		0x10u
#define REG(record, offset)	((record)->regs[(offset) / 16])
#define APIC_TMR	0x180u
#define APIC_IRR	0x200u

static unsigned int rounds = 1000;

/**
 * struct pair - two threads that meet before and after each round
 * @other: what the second thread does in round @n
 * @here: arrived, of both threads and all rounds
 */
struct pair {
	struct machine machine;
	void (*other)(struct pair *pair, unsigned int n);
	pthread_t thread;
	unsigned int here;
	unsigned int rounds;
	int event;
	int second;		/* vCPU 1 */
};

/* The @nth time that both are here. */
static void meet(struct pair *pair, unsigned int n)
{
	__atomic_add_fetch(&pair->here, 1, __ATOMIC_SEQ_CST);
	while (__atomic_load_n(&pair->here, __ATOMIC_SEQ_CST) < 2 * n)
		sched_yield();
}

static void *run_other(void *arg)
{
	struct pair *pair = arg;

	for (unsigned int n = 0; n < pair->rounds; n++) {
		meet(pair, 2 * n + 1);
		/* Another distance each time. */
		for (volatile unsigned int i = 0; i < n * 61 % 8192; i++)
			;
		pair->other(pair, n);
		meet(pair, 2 * n + 2);
	}
	return NULL;
}

static void pair_begin(struct pair *pair, void (*other)(struct pair *pair, unsigned int n))
{
	memset(pair, 0, sizeof(*pair));
	machine_create(&pair->machine, MODE_LONG);
	pair->other = other;
	pair->rounds = rounds;
	pair->event = -1;
}

static void pair_end(struct pair *pair)
{
	pthread_join(pair->thread, NULL);
	machine_destroy(&pair->machine);
}

static void set_record(int fd, uint32_t type, const void *payload, uint32_t bytes)
{
	static _Thread_local _Alignas(8) char buffer[4096];
	size_t used = gondola_put_record(buffer, sizeof(buffer), 0, type, payload, bytes);

	if (__gondola_set_state(fd, buffer, used, NULL)) {
		printf("Bail out! record %u was refused\n", type);
		exit(1);
	}
}

static void get_record(int fd, uint32_t type, void *payload, uint32_t bytes)
{
	static _Thread_local _Alignas(8) char buffer[65536];
	uint64_t used = sizeof(buffer);
	const void *record;

	require_equal(__gondola_get_state(fd, buffer, &used), 0);
	record = gondola_find_record(buffer, used, type, bytes);
	require(record);
	memcpy(payload, record, bytes);
}

static bool has_vector(const struct gondola_rec_lapic *lapic, uint32_t bitmap)
{
	return REG(lapic, bitmap + PIN_VECTOR / 32 * 16) >> PIN_VECTOR % 32 & 1;
}

/* PIN leads to vCPU 0, and nothing is requested yet. */
static void wire(struct pair *pair, struct gondola_rec_ioapic *ioapic, uint32_t trigger)
{
	get_record(pair->machine.vm, GONDOLA_REC_IOAPIC, ioapic, sizeof(*ioapic));
	ioapic->redirect[PIN] = PIN_VECTOR | trigger;
	set_record(pair->machine.vm, GONDOLA_REC_IOAPIC, ioapic, sizeof(*ioapic));
}

/* ---- the local APIC against a line ----------------------------------------------------- */

static void raise_line(struct pair *pair, unsigned int n)
{
	(void)n;
	__gondola_irq_line(pair->machine.vm, PIN, 1);
}

static void lapic(void)
{
	struct gondola_rec_ioapic ioapic;
	struct gondola_rec_lapic none, now;
	unsigned int torn = 0, torn_reads = 0, kept = 0;
	struct pair pair;

	pair_begin(&pair, raise_line);
	wire(&pair, &ioapic, LEVEL);
	get_record(pair.machine.vcpu, GONDOLA_REC_LAPIC, &none, sizeof(none));
	require_equal(pthread_create(&pair.thread, NULL, run_other, &pair), 0);
	for (unsigned int n = 0; n < pair.rounds; n++) {
		meet(&pair, 2 * n + 1);
		for (unsigned int i = 0; i < 4 && n % 2; i++)
			set_record(pair.machine.vcpu, GONDOLA_REC_LAPIC, &none, sizeof(none));
		for (unsigned int i = 0; i < 4 && n % 2 == 0; i++) {
			get_record(pair.machine.vcpu, GONDOLA_REC_LAPIC, &now, sizeof(now));
			torn_reads += has_vector(&now, APIC_IRR) != has_vector(&now, APIC_TMR);
		}
		meet(&pair, 2 * n + 2);
		get_record(pair.machine.vcpu, GONDOLA_REC_LAPIC, &now, sizeof(now));
		torn += has_vector(&now, APIC_IRR) != has_vector(&now, APIC_TMR);
		kept += has_vector(&now, APIC_IRR);
		set_record(pair.machine.vm, GONDOLA_REC_IOAPIC, &ioapic, sizeof(ioapic));
		set_record(pair.machine.vcpu, GONDOLA_REC_LAPIC, &none, sizeof(none));
	}
	expect_equal(torn, 0);
	expect_equal(torn_reads, 0);
	printf("# %u of %u interrupts were there after the record\n", kept, pair.rounds);
	pair_end(&pair);
}

/* ---- PIC and I/O APIC against an eventfd ------------------------------------------------- */

static void signal_event(struct pair *pair, unsigned int n)
{
	(void)n;
	if (write(pair->event, &(uint64_t){ 1 }, 8) != 8)
		printf("# no event was written\n");
}

static void eventfd_against(uint32_t type, void *record, uint32_t bytes)
{
	struct gondola_rec_ioapic ioapic;
	struct gondola_rec_lapic none, now;
	unsigned int lost = 0;
	struct pair pair;

	pair_begin(&pair, signal_event);
	wire(&pair, &ioapic, 0);
	get_record(pair.machine.vm, type, record, bytes);
	get_record(pair.machine.vcpu, GONDOLA_REC_LAPIC, &none, sizeof(none));
	pair.event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	require(pair.event >= 0);
	require_equal(__gondola_irqfd(pair.machine.vm, 0, pair.event, PIN), 0);
	require_equal(pthread_create(&pair.thread, NULL, run_other, &pair), 0);
	for (unsigned int n = 0; n < pair.rounds; n++) {
		meet(&pair, 2 * n + 1);
		for (unsigned int i = 0; i < 4; i++)
			set_record(pair.machine.vm, type, record, bytes);
		meet(&pair, 2 * n + 2);
		get_record(pair.machine.vcpu, GONDOLA_REC_LAPIC, &now, sizeof(now));
		lost += !has_vector(&now, APIC_IRR);
		set_record(pair.machine.vcpu, GONDOLA_REC_LAPIC, &none, sizeof(none));
	}
	expect_equal(lost, 0);
	pair_end(&pair);
	close(pair.event);
}

static void pic(void)
{
	struct gondola_rec_pic record;

	eventfd_against(GONDOLA_REC_PIC, &record, sizeof(record));
}

static void ioapic(void)
{
	struct gondola_rec_ioapic record;

	eventfd_against(GONDOLA_REC_IOAPIC, &record, sizeof(record));
}

/* ---- one vCPU's TSC against the VM's ------------------------------------------------------ */

#define FAR		(1ull << 40)
#define SHIFT		(1ull << 32)

/* The VM's TSC goes forth and back. */
static void shift_clock(struct pair *pair, unsigned int n)
{
	struct gondola_rec_clock clock;

	get_record(pair->machine.vm, GONDOLA_REC_CLOCK, &clock, sizeof(clock));
	clock.tsc += n % 2 ? SHIFT : -SHIFT;
	set_record(pair->machine.vm, GONDOLA_REC_CLOCK, &clock, sizeof(clock));
}

static void set_tsc(int vcpu, uint64_t value)
{
	struct gondola_msr_entry msr = { .index = MSR_TSC, .value = value };

	set_record(vcpu, GONDOLA_REC_MSRS, &msr, sizeof(msr));
}

static uint64_t get_tsc(int vcpu)
{
	static _Alignas(8) char buffer[65536];
	uint64_t used = sizeof(buffer);

	require_equal(__gondola_get_state(vcpu, buffer, &used), 0);
	for (uint64_t at = 0; at < used; ) {
		const struct gondola_record *head = (const void *)(buffer + at);
		const struct gondola_msr_entry *msr = (const void *)(head + 1);

		for (uint32_t i = 0; head->type == GONDOLA_REC_MSRS && i < head->bytes / sizeof(*msr); i++)
			if (msr[i].index == MSR_TSC)
				return msr[i].value;
		at += sizeof(*head) + (head->bytes + 7) / 8 * 8;
	}
	require(!"a TSC among the MSRs");
	return 0;
}

/* Distance of the TSC from what was set: nothing, or the one shift that came after. */
static bool tsc_is(uint64_t tsc, uint64_t set)
{
	return tsc == set || tsc == set + SHIFT || tsc == set - SHIFT;
}

static void tsc(void)
{
	struct gondola_cpuid_entry cpuid[GONDOLA_MAX_CPUID];
	uint32_t leaves = GONDOLA_MAX_CPUID;
	unsigned int lost = 0;
	struct pair pair;

	pair_begin(&pair, shift_clock);
	pair.second = __gondola_create_vcpu(pair.machine.vm, 1);
	require(pair.second >= 0);
	require_equal(__gondola_supported_cpuid(pair.machine.sys, cpuid, &leaves), 0);
	require_equal(__gondola_set_cpuid(pair.second, cpuid, leaves), 0);
	/* Time stands, so that what was set is what is read. */
	require_equal(__gondola_hold_clock(pair.machine.vm, true, NULL, NULL), 0);
	require_equal(pthread_create(&pair.thread, NULL, run_other, &pair), 0);
	for (unsigned int n = 0; n < pair.rounds; n++) {
		unsigned int i;

		meet(&pair, 2 * n + 1);
		for (i = 1; i <= 16; i++)
			set_tsc(pair.second, i * FAR);
		meet(&pair, 2 * n + 2);
		lost += !tsc_is(get_tsc(pair.second), 16 * FAR);
	}
	expect_equal(lost, 0);
	close(pair.second);
	pair_end(&pair);
}

/* ---- the clock against a run -------------------------------------------------------------- */

GUEST_CODE(count, 64, "1: incl 0x40000; out %eax, $0x80; jmp 1b");

struct runner {
	struct machine *machine;
	unsigned int refused;
	bool stop;
};

static void *run_vcpu(void *arg)
{
	struct runner *runner = arg;

	for (unsigned int n = 0; !__atomic_load_n(&runner->stop, __ATOMIC_ACQUIRE); n++) {
		/* The clocks are held between two runs, or just when one begins. */
		for (volatile unsigned int i = 0; i < n * 7 % 512; i++)
			;
		if (machine_enter(runner->machine) == -EBUSY)
			__atomic_add_fetch(&runner->refused, 1, __ATOMIC_SEQ_CST);
	}
	return NULL;
}

/* Until a run was refused that began after this was called. */
static void wait_for_refusals(struct runner *runner, unsigned int n)
{
	unsigned int until = __atomic_load_n(&runner->refused, __ATOMIC_SEQ_CST) + n;

	while ((int)(__atomic_load_n(&runner->refused, __ATOMIC_SEQ_CST) - until) < 0)
		sched_yield();
}

static void hold(void)
{
	volatile uint32_t *counter;
	unsigned int held = 0, ran = 0, busy = 0;
	struct machine machine;
	struct runner runner = { &machine, 0, false };
	pthread_t thread;

	machine_create(&machine, MODE_LONG);
	GUEST_LOAD(&machine, count);
	counter = (volatile uint32_t *)(machine.memory + DATA);
	/* More of them to look at make the look longer. */
	for (unsigned int i = 1; i < GONDOLA_MAX_VCPUS; i++)
		require(__gondola_create_vcpu(machine.vm, i) >= 0);
	require_equal(pthread_create(&thread, NULL, run_vcpu, &runner), 0);
	while (held < rounds) {
		uint32_t before = *counter;
		int ret = __gondola_hold_clock(machine.vm, true, NULL, NULL);

		if (ret == -EBUSY) {
			busy++;
			continue;
		}
		require_equal(ret, 0);
		before = *counter;
		wait_for_refusals(&runner, 2);
		ran += *counter != before;
		require_equal(__gondola_hold_clock(machine.vm, false, NULL, NULL), 0);
		held++;
		while (*counter == before)
			sched_yield();
	}
	__atomic_store_n(&runner.stop, true, __ATOMIC_RELEASE);
	pthread_join(thread, NULL);
	expect_equal(ran, 0);
	printf("# held %u times, busy %u times\n", held, busy);
	for (int fd = machine.vcpu + 1; fd < machine.vcpu + GONDOLA_MAX_VCPUS; fd++)
		close(fd);
	machine_destroy(&machine);
}

static const struct tap_test tests[] = {
	{ "a LAPIC is set or read, or an interrupt arrives", lapic },
	{ "a PIC is set, and no eventfd's interrupt is lost", pic },
	{ "an I/O APIC is set, and no eventfd's interrupt is lost", ioapic },
	{ "a TSC is set, or all of them are", tsc },
	{ "the clocks are held, or a vCPU runs", hold },
};

int main(int argc, char **argv)
{
	if (argc > 1)
		rounds = strtoul(argv[1], NULL, 10) ?: rounds;
	return tap_run(tests, sizeof(tests) / sizeof(tests[0]));
}
