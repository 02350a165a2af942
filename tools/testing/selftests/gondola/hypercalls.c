// SPDX-License-Identifier: GPL-2.0-only
/*
 * A paravirtualized guest of a page of code: hypercalls as it asks for them, and any number of
 * hypercalls with arguments at random and at every border.  HYPERCALLS=N in the environment makes so many.
 */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <unistd.h>
#include "absent.h"
#include "xen_machine.h"

#define CALL_BYTES	64u			/* number, six arguments, result */
#define SCHED_OP	29u
#define BLOCK		1u
#define VCPU_OP		24u
#define INITIALISE	0u
#define UP		1u
#define IS_UP		3u
#define RUNSTATE_AREA	5u
#define CONTEXT		(RANDOM + PAGE)		/* words of struct vcpu_guest_context: */
#define CONTEXT_FLAGS	64u
#define CONTEXT_RIP	81u
#define CONTEXT_RSP	84u
#define CONTEXT_GDT	604u			/* its frames, and behind them how many descriptors */
#define CONTEXT_CR3	626u
#define IN_KERNEL	4u

static void configured(void)
{
	struct gondola_xen_config with = xen_config(), bad;
	struct gondola_xen_unknown unknown;
	struct machine machine;

	xen_create_bare(&machine);
	expect_equal(machine_enter(&machine), -ENOEXEC);
	for (unsigned int i = 0; i < 7; i++) {
		bad = with;
		(&bad.pages)[i] = i == 1 ? 0 : PAGES + 1;
		expect_equal(__gondola_set_xen(machine.vm, &bad), -EINVAL);
	}
	bad = with;
	bad.console_port = 4096;
	expect_equal(__gondola_set_xen(machine.vm, &bad), -EINVAL);
	require_equal(__gondola_set_xen(machine.vm, &with), 0);
	expect_equal(__gondola_xen_raise(machine.vm, CONSOLE_PORT), 0);
	expect_equal(__gondola_xen_raise(machine.vm, 2), -ENOENT);
	expect_equal(__gondola_xen_raise(machine.vm, 0), -EINVAL);
	expect_equal(xen_call(&machine, 17, 0, 0), 4 << 16 | 17);
	expect_equal(xen_call(&machine, 20, 0, 0), -38);
	expect_equal(__gondola_xen_unknown(machine.vm, &unknown), 0);
	expect_equal(unknown.count[20], 1);
	expect_equal(unknown.count[17], 0);
	expect_equal(__gondola_set_xen(machine.vm, &with), -EBUSY);
	machine_destroy(&machine);
}

static void without(void)
{
	struct gondola_xen_config with = xen_config();
	struct gondola_xen_unknown unknown;
	struct machine machine;

	machine_bare(&machine);
	expect_equal(__gondola_set_xen(machine.vm, &with), -ENXIO);
	expect_equal(__gondola_xen_raise(machine.vm, 1), -ENXIO);
	expect_equal(__gondola_xen_unknown(machine.vm, &unknown), -ENXIO);
	if (machine.engine == GONDOLA_ENGINE_VMX || machine.engine == GONDOLA_ENGINE_SVM)
		expect_equal(__gondola_create_vm_as(machine.sys, machine.engine, GONDOLA_VM_XEN, ""),
			     -EOPNOTSUPP);
	machine_destroy(&machine);
}

/* A guest gets no writable mapping of a table or of the monitor's pages, and no table without a pin. */
static void validated(void)
{
	const uint64_t leaf = TABLES + 3 * PAGE + 8 * 0x50, self = 0x7ff0;
	struct machine machine;
	uint64_t *update, *ext;

	xen_create(&machine);
	update = xen_at(&machine, RANDOM);
	ext = xen_at(&machine, RANDOM);
	/* Unpinned, a table is memory: anything can be written. */
	update[0] = leaf;
	update[1] = (TABLES + 3 * PAGE) | ENTRY;
	expect_equal(xen_call4(&machine, 1, RANDOM, 1, self), 0);
	/* A table that maps itself writable is none. */
	memset(ext, 0, 24);
	ext[1] = TABLES / PAGE + 3;
	xen_begin(&machine);
	expect_equal(xen_call4(&machine, 26, RANDOM, 1, self), 0);
	/* Pinned: neither itself, nor the monitor's pages, nor a frame that is not there. */
	update[0] = leaf;
	update[1] = (TABLES + 3 * PAGE) | ENTRY;
	expect_equal(xen_call4(&machine, 1, RANDOM, 1, self), -22);
	update[1] = THIRD * PAGE | ENTRY;
	expect_equal(xen_call4(&machine, 1, RANDOM, 1, self), -22);
	update[1] = (uint64_t)PAGES * PAGE | READ_ONLY;
	expect_equal(xen_call4(&machine, 1, RANDOM, 1, self), -22);
	update[1] = THIRD * PAGE | READ_ONLY;
	expect_equal(xen_call4(&machine, 1, RANDOM, 1, self), 0);
	/* Another domain's. */
	expect_equal(xen_call4(&machine, 1, RANDOM, 1, 0), -1);
	/* No LDT: its count has 32 bits, and what is behind it says nothing. */
	ext[0] = 13;
	ext[1] = 0;
	ext[2] = 1ull << 32;
	expect_equal(xen_call4(&machine, 26, RANDOM, 1, self), 0);
	ext[2] = 1;
	expect_equal(xen_call4(&machine, 26, RANDOM, 1, self), -38);
	/* Pinned twice, unpinned twice. */
	memset(ext, 0, 24);
	ext[1] = TABLES / PAGE + 3;
	expect_equal(xen_call4(&machine, 26, RANDOM, 1, self), -22);
	/* Nor is it written as a table of descriptors, or as the place of a vCPU's data. */
	expect_equal(xen_call(&machine, 10, leaf, 0), -22);
	update[0] = TABLES / PAGE + 3;
	update[1] = 0;
	expect_equal(xen_call3(&machine, 24, 10, 0, RANDOM), -22);
	expect_equal(xen_call(&machine, 2, RANDOM, 512), -22);
	memset(ext, 0, 24);
	ext[1] = TABLES / PAGE + 3;
	ext[0] = 4;
	expect_equal(xen_call4(&machine, 26, RANDOM, 1, self), 0);
	expect_equal(xen_call4(&machine, 26, RANDOM, 1, self), -22);
	machine_destroy(&machine);
}

/* ---- what a call leaves ------------------------------------------------------------------------ */

/* The text of a multicall arrives, though memory is missing before its end. */
static void told_in_spite_of_missing_memory(void)
{
	static uint64_t page[PAGE / 8];
	struct machine machine;
	uint64_t *first;
	int uffd;

	xen_create(&machine);
	require_equal(xen_call(&machine, 17, 0, 0), 4 << 16 | 17);
	xen_begin(&machine);
	GUEST_LOAD(&machine, make_calls);
	machine.regs.gpr[5] = 1;
	machine_set(&machine);
	memset(xen_list(&machine, 0), 0, CALL_BYTES);
	xen_list(&machine, 0)[0] = 13;
	xen_list(&machine, 0)[1] = RANDOM - CALL_BYTES;
	xen_list(&machine, 0)[2] = 2;
	/* The list: a number, its result, arguments. */
	first = xen_at(&machine, RANDOM - CALL_BYTES);
	memset(first, 0, CALL_BYTES);
	first[0] = 18;
	first[3] = 3;
	first[4] = DATA + 512;
	page[0] = 17;
	uffd = absent_guest(&machine, RANDOM, PAGE, 0);
	machine_run(&machine);
	require_equal(machine.run->exit, GONDOLA_EXIT_MEMORY);
	absent_supply(uffd, machine.memory + RANDOM, page);
	machine_run(&machine);
	require_equal(machine.run->exit, GONDOLA_EXIT_XEN);
	expect_equal(machine.run->xen.op, GONDOLA_XEN_CONSOLE);
	expect_equal(machine.run->xen.value, 3);
	require(xen_run_batch(&machine));
	expect_equal(first[1], 3);
	expect_equal(xen_at(&machine, RANDOM)[1], 4 << 16 | 17);
	expect_equal(xen_list(&machine, 0)[7], 0);
	close(uffd);
	machine_destroy(&machine);
}

/* Where a vCPU reads how long it ran: memory of its own, which may lie across two pages. */
static void runstate(void)
{
	const uint64_t area = RANDOM + PAGE - 16;
	struct machine machine;

	xen_create(&machine);
	*xen_at(&machine, RANDOM) = area;
	expect_equal(xen_call3(&machine, VCPU_OP, RUNSTATE_AREA, 0, RANDOM), 0);
	expect(xen_at(&machine, area)[1] && !(xen_at(&machine, area)[1] >> 63));
	expect_equal(xen_at(&machine, area)[0], 0);
	expect_equal(xen_at(&machine, area)[2] + xen_at(&machine, area)[3], xen_at(&machine, area)[1]);
	*xen_at(&machine, RANDOM) = area + 4;
	expect_equal(xen_call3(&machine, VCPU_OP, RUNSTATE_AREA, 0, RANDOM), -22);
	*xen_at(&machine, RANDOM) = TABLES;		/* read-only */
	expect_equal(xen_call3(&machine, VCPU_OP, RUNSTATE_AREA, 0, RANDOM), -14);
	*xen_at(&machine, RANDOM) = SHARED * PAGE;	/* the monitor's */
	expect_equal(xen_call3(&machine, VCPU_OP, RUNSTATE_AREA, 0, RANDOM), -22);
	*xen_at(&machine, RANDOM) = SHARED * PAGE - 8;
	expect_equal(xen_call3(&machine, VCPU_OP, RUNSTATE_AREA, 0, RANDOM), -22);
	machine_destroy(&machine);
}

/* A call whose answer cannot be written takes no port. */
static void ports(void)
{
	struct machine machine;
	uint32_t *bind;

	xen_create(&machine);
	/* The timer of vCPU 0, answered in a page that is read-only; then where it can be. */
	expect_equal(xen_call(&machine, 32, 1, TABLES + 2 * PAGE + 2048), -14);
	bind = (uint32_t *)xen_at(&machine, RANDOM);
	memset(bind, 0, 12);
	expect_equal(xen_call(&machine, 32, 1, RANDOM), 0);
	expect(bind[2]);
	expect_equal(xen_call(&machine, 32, 1, RANDOM), -17);
	/* The values by which a call says that it stays are no contents of a debug register. */
	expect_equal(xen_call(&machine, 8, 0, 0x8000000000000001), -22);
	expect_equal(xen_call(&machine, 9, 0, 0), 0);
	machine_destroy(&machine);
}

/* Pages and ports that it has together with the launcher. */
static void shares_with_the_launcher(void)
{
	const uint64_t self = 0x7ff0, leaf = TABLES + 3 * PAGE + 8 * 0x50;
	const struct { uint64_t grants; uint32_t count, pad; } wrong[] = {
		{ SHARED, 1, 0 }, { GRANTS, 257, 0 }, { SHARED - 1, 1, 0 }, { FIRST, 3, 0 }, { PAGES - 1, 2, 0 },
		{ ~0ull, 1, 0 }, { GRANTS, NR_GRANTS, 1 },
	};
	struct gondola_xen_config with = xen_config();
	struct machine machine;
	uint32_t *words;
	uint64_t *update;

	xen_create_bare(&machine);
	for (unsigned int i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		with.grants = wrong[i].grants;
		with.nr_grants = wrong[i].count;
		with.pad = wrong[i].pad;
		expect_equal(__gondola_set_xen(machine.vm, &with), -EINVAL);
	}
	with.grants = GRANTS;
	with.nr_grants = NR_GRANTS;
	with.pad = 0;
	require_equal(__gondola_set_xen(machine.vm, &with), 0);
	words = (uint32_t *)xen_at(&machine, RANDOM);
	/* Where the table of grants is: its own, up to its end, of another one. */
	words[0] = self;
	words[1] = NR_GRANTS;
	xen_at(&machine, RANDOM)[2] = RANDOM + 64;
	expect_equal(xen_call3(&machine, 20, 2, RANDOM, 1), 0);
	expect_equal((int16_t)words[2], 0);
	expect_equal(xen_at(&machine, RANDOM + 64)[0], GRANTS);
	expect_equal(xen_at(&machine, RANDOM + 64)[1], GRANTS + 1);
	words[1] = NR_GRANTS + 1;
	expect_equal(xen_call3(&machine, 20, 2, RANDOM, 1), 0);
	expect_equal((int16_t)words[2], -1);
	words[0] = 0;
	expect_equal(xen_call3(&machine, 20, 2, RANDOM, 1), 0);
	expect_equal((int16_t)words[2], -2);
	expect_equal(xen_call3(&machine, 20, 2, RANDOM, 2), -22);
	words[0] = self;
	expect_equal(xen_call3(&machine, 20, 6, RANDOM, 1), 0);
	expect_equal(words[2], NR_GRANTS);
	words[0] = 2;
	expect_equal(xen_call3(&machine, 20, 8, RANDOM, 1), -22);
	/* It may write that table, and no other page of the monitor's. */
	memset(words, 0, 24);
	words[2] = TABLES / PAGE + 3;
	require_equal(xen_call4(&machine, 26, RANDOM, 1, self), 0);
	update = xen_at(&machine, RANDOM);
	update[0] = leaf;
	update[1] = (GRANTS + 1) * PAGE | ENTRY;
	expect_equal(xen_call4(&machine, 1, RANDOM, 1, self), 0);
	update[1] = (GRANTS + 2) * PAGE | ENTRY;
	expect_equal(xen_call4(&machine, 1, RANDOM, 1, self), -22);
	/* A port to the launcher, which then can raise it; to nobody else. */
	words[0] = self;
	words[1] = 0;
	expect_equal(xen_call(&machine, 32, 6, RANDOM), 0);
	expect(words[1] > CONSOLE_PORT);
	expect_equal(__gondola_xen_raise(machine.vm, words[1]), 0);
	words[0] = self | 3 << 16;
	expect_equal(xen_call(&machine, 32, 6, RANDOM), -3);
	words[0] = 3;
	expect_equal(xen_call(&machine, 32, 6, RANDOM), -1);
	machine_destroy(&machine);
}

/* It sleeps, and its thread hears a signal, whatever a machine's interrupt controller says. */
static void sleeps(void)
{
	struct gondola_rec_lapic lapic;
	struct machine machine;
	static char buffer[65536];
	uint64_t bytes = sizeof(buffer);

	xen_create(&machine);
	require_equal(xen_call(&machine, 17, 0, 0), 4 << 16 | 17);
	require_equal(__gondola_get_state(machine.vcpu, buffer, &bytes), 0);
	memcpy(&lapic, gondola_find_record(buffer, bytes, GONDOLA_REC_LAPIC, sizeof(lapic)), sizeof(lapic));
	lapic.regs[0xf0 / 16] = 0x1ff;		/* enabled, and vector 0x40 is pending */
	lapic.regs[0x220 / 16] = 1;
	bytes = gondola_put_record(buffer, sizeof(buffer), 0, GONDOLA_REC_LAPIC, &lapic, sizeof(lapic));
	require_equal(__gondola_set_state(machine.vcpu, buffer, bytes, NULL), 0);
	xen_begin(&machine);
	GUEST_LOAD(&machine, make_calls);
	memset(xen_list(&machine, 0), 0, CALL_BYTES);
	xen_list(&machine, 0)[0] = SCHED_OP;
	xen_list(&machine, 0)[1] = BLOCK;
	expect(!xen_run_batch(&machine));
	expect(xen_late);
	machine_destroy(&machine);
}

/* The second vCPU starts with what the first one says, once, and only if that can be. */
static void starts_another(void)
{
	struct machine machine, second;
	uint64_t *context;

	xen_create(&machine);
	second = machine;
	xen_create_vcpu(&second, 1);
	context = xen_at(&machine, CONTEXT);
	memset(context, 0, 2 * PAGE);
	expect_equal(xen_call3(&machine, VCPU_OP, IS_UP, 1, 0), 0);
	expect_equal(xen_call3(&machine, VCPU_OP, IS_UP, 2, 0), -2);
	expect_equal(xen_call3(&machine, VCPU_OP, UP, 1, 0), -22);
	context[CONTEXT_FLAGS] = IN_KERNEL;
	context[CONTEXT_RIP] = CODE + HANDLER;
	context[CONTEXT_RSP] = STACK + 0x800;
	/* No root; not canonical; too large a GDT, and one of the monitor's pages. */
	expect_equal(xen_call3(&machine, VCPU_OP, INITIALISE, 1, CONTEXT), -22);
	context[CONTEXT_CR3] = TABLES;
	context[CONTEXT_RIP] = 1ull << 63;
	expect_equal(xen_call3(&machine, VCPU_OP, INITIALISE, 1, CONTEXT), -22);
	context[CONTEXT_RIP] = CODE + HANDLER;
	context[CONTEXT_GDT + 16] = 14 * 512 + 1;
	expect_equal(xen_call3(&machine, VCPU_OP, INITIALISE, 1, CONTEXT), -22);
	context[CONTEXT_GDT] = THIRD;
	context[CONTEXT_GDT + 16] = 1;
	expect_equal(xen_call3(&machine, VCPU_OP, INITIALISE, 1, CONTEXT), -22);
	context[CONTEXT_GDT + 16] = 0;
	expect_equal(xen_call3(&machine, VCPU_OP, INITIALISE, 0, CONTEXT), -17);
	expect_equal(xen_call3(&machine, VCPU_OP, INITIALISE, 1, CONTEXT), 0);
	expect_equal(xen_call3(&machine, VCPU_OP, INITIALISE, 1, CONTEXT), -17);
	expect_equal(xen_call3(&machine, VCPU_OP, UP, 1, 0), 0);
	expect_equal(xen_call3(&machine, VCPU_OP, IS_UP, 1, 0), 1);
	machine_set(&second);
	memcpy(machine.memory + CODE + HANDLER, take_trap, take_trap_end - take_trap);
	expect(xen_run_batch(&second));
	expect_equal(*xen_at(&machine, DATA), STACK + 0x800);
	close(second.vcpu);
	machine_destroy(&machine);
}
/* ---- at random ---------------------------------------------------------------------------------- */

static uint64_t argument(void)
{
	static const uint64_t borders[] = {
		0, 1, 2, 3, 8, 63, 64, 4095, 4096, 0x7ff0, DATA, RANDOM, RANDOM + 4092, STACK, TABLES,
		TABLES / PAGE, TABLES / PAGE + 3, SHARED, SHARED * PAGE, THIRD, PAGES, PAGES - 1,
		MEMORY_BYTES, MEMORY_BYTES - 8, 0xffff800000000000, 0x7ffffffffff8, 1ull << 52, ~0ull,
		1ull << 63, 0x80000000, 0xffffffff,
	};
	unsigned int way = random() % 8;

	if (way < 5)
		return borders[random() % (sizeof(borders) / sizeof(borders[0]))];
	if (way < 7)
		return random() % 40;
	return (uint64_t)random() << 33 ^ (uint64_t)random() << 11 ^ (uint64_t)random();
}

static void fill(struct machine *machine)
{
	uint64_t *random_data = xen_at(machine, RANDOM);

	for (unsigned int i = 0; i < PAGE / 8; i++)
		random_data[i] = argument();
	for (unsigned int i = 0; i < BATCH; i++) {
		uint64_t *one = xen_list(machine, i);

		for (unsigned int j = 0; j < 8; j++)
			one[j] = argument();
		one[0] = random() % 8 ? (uint64_t)random() % 45 : argument();
		/* It would sleep until somebody comes. */
		if ((uint32_t)one[0] == SCHED_OP && one[1] == BLOCK)
			one[1] = 0;
	}
}

static void at_random(void)
{
	const char *wanted = getenv("HYPERCALLS");
	unsigned long left = wanted ? strtoul(wanted, NULL, 10) : 8000;
	unsigned long batches = 0, ended = 0;
	struct machine machine;

	srandom(1);
	xen_create(&machine);
	for (; left >= BATCH; left -= BATCH) {
		xen_begin(&machine);
		GUEST_LOAD(&machine, make_calls);
		fill(&machine);
		batches++;
		ended += !xen_run_batch(&machine);
		/* A machine of its own now and then, so that what one leaves does not hide the rest. */
		if (batches % 16)
			continue;
		machine_destroy(&machine);
		xen_create(&machine);
	}
	printf("# %lu batches, of which %lu ended the guest\n", batches, ended);
	expect(ended < batches);
	machine_destroy(&machine);
}
static const struct tap_test tests[] = {
	{ "it is configured once, before it runs, and within its memory", configured },
	{ "other VMs and engines refuse it", without },
	{ "a guest that breaks the rules of page tables is refused", validated },
	{ "a multicall tells, though memory is missing before its end", told_in_spite_of_missing_memory },
	{ "an area for the time that a vCPU ran", runstate },
	{ "a port is not lost with its answer", ports },
	{ "pages and ports that it shares with the launcher", shares_with_the_launcher },
	{ "a guest that sleeps can be interrupted", sleeps },
	{ "another processor starts as it is told", starts_another },
	{ "hypercalls at random do no harm", at_random },
};

TAP_MAIN(tests)
