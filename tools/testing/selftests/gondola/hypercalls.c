// SPDX-License-Identifier: GPL-2.0-only
/*
 * A paravirtualized guest of a page of code: hypercalls and traps as it asks for them, and any number of
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
#include "machine.h"

#define PAGE		4096u
#define PAGES		(MEMORY_BYTES / PAGE)
#define SHARED		0x700u			/* frames of the monitor's */
#define THIRD		0x701u
#define SECOND		0x702u
#define FIRST		0x703u
#define EMPTY		0x704u
#define GRANTS		0x705u			/* and the next */
#define NR_GRANTS	2u
#define ENTRY		0x67ull			/* present, writable, a user's, used */
#define READ_ONLY	0x65ull
#define AR_CODE64	(GONDOLA_AR_G | GONDOLA_AR_L | 0xfbu)
#define AR_DATA		(GONDOLA_AR_G | GONDOLA_AR_DB | 0xf3u)
#define BATCH		8u
#define CALL_BYTES	64u			/* number, six arguments, result */
#define RANDOM		(DATA + PAGE)		/* what pointers lead to */
#define HANDLER		0x800u			/* in the page of code */
#define CONSOLE_PORT	1u
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
#define LIMIT_US	50000
#define LIMIT_LONG_US	900000

/* Make BATCH calls of the list at RBX, then say so. */
GUEST_CODE(make_calls, 64,
	"1:	mov (%rbx), %rax\n"
	"	mov 8(%rbx), %rdi\n"
	"	mov 16(%rbx), %rsi\n"
	"	mov 24(%rbx), %rdx\n"
	"	mov 32(%rbx), %r10\n"
	"	mov 40(%rbx), %r8\n"
	"	mov 48(%rbx), %r9\n"
	"	syscall\n"
	"	mov %rax, 56(%rbx)\n"
	"	add $64, %rbx\n"
	"	dec %ebp\n"
	"	jnz 1b\n"
	"	out %al, $0x80\n"
	"	jmp .\n");
/* A handler of traps and events: what the monitor put on the stack is at DATA afterwards. */
GUEST_CODE(take_trap, 64,
	"	mov %rsp, 0x40000\n"
	"	out %al, $0x80\n"
	"	jmp .\n");
GUEST_CODE(raise_int3, 64, "	int3\n	jmp .\n");
GUEST_CODE(syscall_twice, 64, "	syscall\n	syscall\n	int3\n	jmp .\n");
GUEST_CODE(raise_int, 64, "	int $0x80\n	jmp .\n");
GUEST_CODE(raise_ud, 64, "	ud2\n	jmp .\n");
GUEST_CODE(load_empty, 64, "	mov $0x5003, %eax\n	mov %eax, %ds\n	jmp .\n");
GUEST_CODE(ask_empty, 64, "	mov $0x5003, %eax\n	lsl %eax, %ecx\n	jz .\n	int3\n	jmp .\n");
/* RCX: for how many selectors of ring 3 there is a segment. */
GUEST_CODE(ask_all, 64,
	"	xor %ecx, %ecx\n"
	"	mov $3, %eax\n"
	"1:	lsl %eax, %edx\n"
	"	jnz 2f\n"
	"	inc %ecx\n"
	"2:	add $8, %eax\n"
	"	cmp $0x10000, %eax\n"
	"	jb 1b\n"
	"	int3\n"
	"	jmp .\n");
GUEST_CODE(write_entry, 64, "	mov %rax, (%rbx)\n	out %al, $0x80\n	jmp .\n");
GUEST_CODE(write_half, 64, "	mov %eax, (%rbx)\n	out %al, $0x80\n	jmp .\n");
GUEST_CODE(exchange_entry, 64, "	xchg %rax, (%rbx)\n	out %al, $0x80\n	jmp .\n");
GUEST_CODE(fill_entries, 64, "	rep stosq\n	out %al, $0x80\n	jmp .\n");
GUEST_CODE(write_read_only, 64, "	movb $1, 0x30000\n	jmp .\n");

static void make_tables(struct machine *machine)
{
	uint64_t *root = (void *)(machine->memory + TABLES), *third = root + 512, *second = third + 512;
	uint64_t *first = second + 512, *monitor = (void *)(machine->memory + THIRD * PAGE);

	memset(root, 0, 7 * PAGE);
	memset(monitor, 0, 4 * PAGE);
	root[0] = (TABLES + PAGE) | ENTRY;
	root[256] = THIRD * PAGE | ENTRY;
	third[0] = (TABLES + 2 * PAGE) | ENTRY;
	for (unsigned int i = 0; i < 4; i++)
		second[i] = (TABLES + (3 + i) * PAGE) | ENTRY;
	for (uint64_t i = 0; i < PAGES; i++)
		first[i] = i * PAGE | (i >= TABLES / PAGE && i < TABLES / PAGE + 7 ? READ_ONLY : ENTRY);
	monitor[0] = SECOND * PAGE | ENTRY;
	monitor[512] = FIRST * PAGE | ENTRY;
	for (unsigned int i = 0; i < 16; i++)
		monitor[1024 + i] = EMPTY * PAGE | READ_ONLY;
}

static void begin(struct machine *machine)
{
	struct gondola_rec_regs *regs = &machine->regs;
	struct gondola_rec_sregs *sregs = &machine->sregs;

	make_tables(machine);
	memset(regs, 0, sizeof(*regs));
	regs->rip = CODE;
	regs->rflags = 0x202;
	regs->gpr[3] = DATA;
	regs->gpr[4] = STACK;
	regs->gpr[5] = BATCH;
	for (int i = GONDOLA_ES; i <= GONDOLA_GS; i++)
		sregs->seg[i] = (struct gondola_segment){ .ar = GONDOLA_AR_UNUSABLE };
	sregs->seg[GONDOLA_SS] = (struct gondola_segment){ .selector = 0xe02b, .limit = ~0u, .ar = AR_DATA };
	sregs->seg[GONDOLA_CS] = (struct gondola_segment){
		.selector = 0xe033, .limit = ~0u, .ar = AR_CODE64,
	};
	sregs->seg[GONDOLA_TR] = (struct gondola_segment){ .ar = GONDOLA_AR_P | 0xbu };
	sregs->seg[GONDOLA_LDTR] = (struct gondola_segment){ .ar = GONDOLA_AR_UNUSABLE };
	memset(&sregs->idt, 0, sizeof(sregs->idt));
	sregs->gdt = (struct gondola_dtable){ .base = 0xffff800000000000, .limit = 0xffff };
	sregs->cr0 = 0x80050033;
	sregs->cr3 = TABLES;
	sregs->cr4 = 0x620;
	sregs->efer = 0xd01;
	machine_set(machine);
}

static struct gondola_xen_config config(void)
{
	return (struct gondola_xen_config){
		.pages = SHARED, .frames = PAGES, .first_frame = SHARED, .shared_info = SHARED,
		.table = THIRD, .windows = FIRST, .empty = EMPTY, .console_port = CONSOLE_PORT,
	};
}

/* Ring 3 has the kernel's code where it can. */
static uint32_t engine_for(int sys)
{
	struct gondola_preflight preflight;

	require_equal(__gondola_preflight(sys, GONDOLA_ENGINE_RING3, &preflight), 0);
	return preflight.reason == GONDOLA_PF_OK ? GONDOLA_ENGINE_RING3 : GONDOLA_ENGINE_INTERP;
}

static void create_vcpu(struct machine *machine, unsigned int id)
{
	struct gondola_cpuid_entry cpuid[GONDOLA_MAX_CPUID];
	uint32_t count = GONDOLA_MAX_CPUID;

	machine->vcpu = __gondola_create_vcpu(machine->vm, id);
	require(machine->vcpu >= 0);
	require_equal(__gondola_map_run(machine->vcpu, &machine->run), 0);
	require_equal(__gondola_engine_cpuid(machine->sys, machine->engine, cpuid, &count), 0);
	require_equal(__gondola_set_cpuid(machine->vcpu, cpuid, count), 0);
}

static void create_bare(struct machine *machine)
{
	struct gondola_rec_regs unused;

	memset(machine, 0, sizeof(*machine));
	machine->sys = machine_open();
	machine->engine = engine_for(machine->sys);
	machine->vm = __gondola_create_vm_as(machine->sys, machine->engine, GONDOLA_VM_XEN, "xen");
	require(machine->vm >= 0);
	machine->memory = mmap(NULL, MEMORY_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	require(machine->memory != MAP_FAILED);
	require_equal(__gondola_set_memory(machine->vm, 0, 0, 0, MEMORY_BYTES, machine->memory), 0);
	create_vcpu(machine, 0);
	require_equal(__gondola_get_registers(machine->vcpu, &unused, &machine->sregs), 0);
	begin(machine);
}

static void create(struct machine *machine)
{
	struct gondola_xen_config with = config();

	create_bare(machine);
	require_equal(__gondola_set_xen(machine->vm, &with), 0);
}

/* ---- one call after the other -------------------------------------------------------------- */

static uint64_t *list(struct machine *machine, unsigned int call)
{
	return (uint64_t *)(machine->memory + DATA + call * CALL_BYTES);
}

static volatile sig_atomic_t late;
static unsigned int limit_us = LIMIT_US;

static void on_alarm(int signal)
{
	(void)signal;
	late = 1;
}

/*
 * Runs until the guest writes to RESULT_PORT, or ends, or has done neither for long; what it tells is not
 * listened to.
 */
static bool run_batch(struct machine *machine)
{
	/* One signal may come just before GONDOLA_RUN. */
	const struct itimerval limit = { .it_interval.tv_usec = limit_us, .it_value.tv_usec = limit_us };
	const struct itimerval none = { { 0, 0 }, { 0, 0 } };
	const struct sigaction act = { .sa_handler = on_alarm };
	int ret;

	late = 0;
	sigaction(SIGALRM, &act, NULL);
	setitimer(ITIMER_REAL, &limit, NULL);
	for (;;) {
		ret = __gondola_run(machine->vcpu);
		if (ret == -EINTR && !late)
			continue;
		if (ret)
			break;
		if (machine->run->exit == GONDOLA_EXIT_IO && machine->run->io.port == RESULT_PORT)
			break;
		if (machine->run->exit == GONDOLA_EXIT_SHUTDOWN || machine->run->exit == GONDOLA_EXIT_EMULATION)
			break;
	}
	setitimer(ITIMER_REAL, &none, NULL);
	return !ret && machine->run->exit == GONDOLA_EXIT_IO;
}

static int64_t call_with(struct machine *machine, uint64_t number, const uint64_t arg[4])
{
	uint64_t *one = list(machine, 0);

	memset(one, 0, CALL_BYTES);
	one[0] = number;
	memcpy(one + 1, arg, 4 * sizeof(*arg));
	begin(machine);
	machine->regs.gpr[5] = 1;
	machine_set(machine);
	GUEST_LOAD(machine, make_calls);
	require(run_batch(machine));
	return (int64_t)one[7];
}

static int64_t call(struct machine *machine, uint64_t number, uint64_t arg0, uint64_t arg1)
{
	return call_with(machine, number, (uint64_t[]){ arg0, arg1, 0, 0 });
}

static int64_t call3(struct machine *machine, uint64_t number, uint64_t arg0, uint64_t arg1, uint64_t arg2)
{
	return call_with(machine, number, (uint64_t[]){ arg0, arg1, arg2, 0 });
}

static int64_t call4(struct machine *machine, uint64_t number, uint64_t arg0, uint64_t arg1, uint64_t arg3)
{
	return call_with(machine, number, (uint64_t[]){ arg0, arg1, 0, arg3 });
}

static uint64_t *at(struct machine *machine, uint64_t gpa)
{
	return (uint64_t *)(machine->memory + gpa);
}

static void configured(void)
{
	struct gondola_xen_config with = config(), bad;
	struct gondola_xen_unknown unknown;
	struct machine machine;

	create_bare(&machine);
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
	expect_equal(call(&machine, 17, 0, 0), 4 << 16 | 17);
	expect_equal(call(&machine, 20, 0, 0), -38);
	expect_equal(__gondola_xen_unknown(machine.vm, &unknown), 0);
	expect_equal(unknown.count[20], 1);
	expect_equal(unknown.count[17], 0);
	expect_equal(__gondola_set_xen(machine.vm, &with), -EBUSY);
	machine_destroy(&machine);
}

static void without(void)
{
	struct gondola_xen_config with = config();
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

	create(&machine);
	update = at(&machine, RANDOM);
	ext = at(&machine, RANDOM);
	/* Unpinned, a table is memory: anything can be written. */
	update[0] = leaf;
	update[1] = (TABLES + 3 * PAGE) | ENTRY;
	expect_equal(call4(&machine, 1, RANDOM, 1, self), 0);
	/* A table that maps itself writable is none. */
	memset(ext, 0, 24);
	ext[1] = TABLES / PAGE + 3;
	begin(&machine);
	expect_equal(call4(&machine, 26, RANDOM, 1, self), 0);
	/* Pinned: neither itself, nor the monitor's pages, nor a frame that is not there. */
	update[0] = leaf;
	update[1] = (TABLES + 3 * PAGE) | ENTRY;
	expect_equal(call4(&machine, 1, RANDOM, 1, self), -22);
	update[1] = THIRD * PAGE | ENTRY;
	expect_equal(call4(&machine, 1, RANDOM, 1, self), -22);
	update[1] = (uint64_t)PAGES * PAGE | READ_ONLY;
	expect_equal(call4(&machine, 1, RANDOM, 1, self), -22);
	update[1] = THIRD * PAGE | READ_ONLY;
	expect_equal(call4(&machine, 1, RANDOM, 1, self), 0);
	/* Another domain's. */
	expect_equal(call4(&machine, 1, RANDOM, 1, 0), -1);
	/* No LDT: its count has 32 bits, and what is behind it says nothing. */
	ext[0] = 13;
	ext[1] = 0;
	ext[2] = 1ull << 32;
	expect_equal(call4(&machine, 26, RANDOM, 1, self), 0);
	ext[2] = 1;
	expect_equal(call4(&machine, 26, RANDOM, 1, self), -38);
	/* Pinned twice, unpinned twice. */
	memset(ext, 0, 24);
	ext[1] = TABLES / PAGE + 3;
	expect_equal(call4(&machine, 26, RANDOM, 1, self), -22);
	/* Nor is it written as a table of descriptors, or as the place of a vCPU's data. */
	expect_equal(call(&machine, 10, leaf, 0), -22);
	update[0] = TABLES / PAGE + 3;
	update[1] = 0;
	expect_equal(call3(&machine, 24, 10, 0, RANDOM), -22);
	expect_equal(call(&machine, 2, RANDOM, 512), -22);
	memset(ext, 0, 24);
	ext[1] = TABLES / PAGE + 3;
	ext[0] = 4;
	expect_equal(call4(&machine, 26, RANDOM, 1, self), 0);
	expect_equal(call4(&machine, 26, RANDOM, 1, self), -22);
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

	create(&machine);
	require_equal(call(&machine, 17, 0, 0), 4 << 16 | 17);
	begin(&machine);
	GUEST_LOAD(&machine, make_calls);
	machine.regs.gpr[5] = 1;
	machine_set(&machine);
	memset(list(&machine, 0), 0, CALL_BYTES);
	list(&machine, 0)[0] = 13;
	list(&machine, 0)[1] = RANDOM - CALL_BYTES;
	list(&machine, 0)[2] = 2;
	/* The list: a number, its result, arguments. */
	first = at(&machine, RANDOM - CALL_BYTES);
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
	require(run_batch(&machine));
	expect_equal(first[1], 3);
	expect_equal(at(&machine, RANDOM)[1], 4 << 16 | 17);
	expect_equal(list(&machine, 0)[7], 0);
	close(uffd);
	machine_destroy(&machine);
}

/* Where a vCPU reads how long it ran: memory of its own, which may lie across two pages. */
static void runstate(void)
{
	const uint64_t area = RANDOM + PAGE - 16;
	struct machine machine;

	create(&machine);
	*at(&machine, RANDOM) = area;
	expect_equal(call3(&machine, VCPU_OP, RUNSTATE_AREA, 0, RANDOM), 0);
	expect(at(&machine, area)[1] && !(at(&machine, area)[1] >> 63));
	expect_equal(at(&machine, area)[0], 0);
	expect_equal(at(&machine, area)[2] + at(&machine, area)[3], at(&machine, area)[1]);
	*at(&machine, RANDOM) = area + 4;
	expect_equal(call3(&machine, VCPU_OP, RUNSTATE_AREA, 0, RANDOM), -22);
	*at(&machine, RANDOM) = TABLES;		/* read-only */
	expect_equal(call3(&machine, VCPU_OP, RUNSTATE_AREA, 0, RANDOM), -14);
	*at(&machine, RANDOM) = SHARED * PAGE;	/* the monitor's */
	expect_equal(call3(&machine, VCPU_OP, RUNSTATE_AREA, 0, RANDOM), -22);
	*at(&machine, RANDOM) = SHARED * PAGE - 8;
	expect_equal(call3(&machine, VCPU_OP, RUNSTATE_AREA, 0, RANDOM), -22);
	machine_destroy(&machine);
}

/* A call whose answer cannot be written takes no port. */
static void ports(void)
{
	struct machine machine;
	uint32_t *bind;

	create(&machine);
	/* The timer of vCPU 0, answered in a page that is read-only; then where it can be. */
	expect_equal(call(&machine, 32, 1, TABLES + 2 * PAGE + 2048), -14);
	bind = (uint32_t *)at(&machine, RANDOM);
	memset(bind, 0, 12);
	expect_equal(call(&machine, 32, 1, RANDOM), 0);
	expect(bind[2]);
	expect_equal(call(&machine, 32, 1, RANDOM), -17);
	/* The values by which a call says that it stays are no contents of a debug register. */
	expect_equal(call(&machine, 8, 0, 0x8000000000000001), -22);
	expect_equal(call(&machine, 9, 0, 0), 0);
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
	struct gondola_xen_config with = config();
	struct machine machine;
	uint32_t *words;
	uint64_t *update;

	create_bare(&machine);
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
	words = (uint32_t *)at(&machine, RANDOM);
	/* Where the table of grants is: its own, up to its end, of another one. */
	words[0] = self;
	words[1] = NR_GRANTS;
	at(&machine, RANDOM)[2] = RANDOM + 64;
	expect_equal(call3(&machine, 20, 2, RANDOM, 1), 0);
	expect_equal((int16_t)words[2], 0);
	expect_equal(at(&machine, RANDOM + 64)[0], GRANTS);
	expect_equal(at(&machine, RANDOM + 64)[1], GRANTS + 1);
	words[1] = NR_GRANTS + 1;
	expect_equal(call3(&machine, 20, 2, RANDOM, 1), 0);
	expect_equal((int16_t)words[2], -1);
	words[0] = 0;
	expect_equal(call3(&machine, 20, 2, RANDOM, 1), 0);
	expect_equal((int16_t)words[2], -2);
	expect_equal(call3(&machine, 20, 2, RANDOM, 2), -22);
	words[0] = self;
	expect_equal(call3(&machine, 20, 6, RANDOM, 1), 0);
	expect_equal(words[2], NR_GRANTS);
	words[0] = 2;
	expect_equal(call3(&machine, 20, 8, RANDOM, 1), -22);
	/* It may write that table, and no other page of the monitor's. */
	memset(words, 0, 24);
	words[2] = TABLES / PAGE + 3;
	require_equal(call4(&machine, 26, RANDOM, 1, self), 0);
	update = at(&machine, RANDOM);
	update[0] = leaf;
	update[1] = (GRANTS + 1) * PAGE | ENTRY;
	expect_equal(call4(&machine, 1, RANDOM, 1, self), 0);
	update[1] = (GRANTS + 2) * PAGE | ENTRY;
	expect_equal(call4(&machine, 1, RANDOM, 1, self), -22);
	/* A port to the launcher, which then can raise it; to nobody else. */
	words[0] = self;
	words[1] = 0;
	expect_equal(call(&machine, 32, 6, RANDOM), 0);
	expect(words[1] > CONSOLE_PORT);
	expect_equal(__gondola_xen_raise(machine.vm, words[1]), 0);
	words[0] = self | 3 << 16;
	expect_equal(call(&machine, 32, 6, RANDOM), -3);
	words[0] = 3;
	expect_equal(call(&machine, 32, 6, RANDOM), -1);
	machine_destroy(&machine);
}

/* It sleeps, and its thread hears a signal, whatever a machine's interrupt controller says. */
static void sleeps(void)
{
	struct gondola_rec_lapic lapic;
	struct machine machine;
	static char buffer[65536];
	uint64_t bytes = sizeof(buffer);

	create(&machine);
	require_equal(call(&machine, 17, 0, 0), 4 << 16 | 17);
	require_equal(__gondola_get_state(machine.vcpu, buffer, &bytes), 0);
	memcpy(&lapic, gondola_find_record(buffer, bytes, GONDOLA_REC_LAPIC, sizeof(lapic)), sizeof(lapic));
	lapic.regs[0xf0 / 16] = 0x1ff;		/* enabled, and vector 0x40 is pending */
	lapic.regs[0x220 / 16] = 1;
	bytes = gondola_put_record(buffer, sizeof(buffer), 0, GONDOLA_REC_LAPIC, &lapic, sizeof(lapic));
	require_equal(__gondola_set_state(machine.vcpu, buffer, bytes, NULL), 0);
	begin(&machine);
	GUEST_LOAD(&machine, make_calls);
	memset(list(&machine, 0), 0, CALL_BYTES);
	list(&machine, 0)[0] = SCHED_OP;
	list(&machine, 0)[1] = BLOCK;
	expect(!run_batch(&machine));
	expect(late);
	machine_destroy(&machine);
}

/* The second vCPU starts with what the first one says, once, and only if that can be. */
static void starts_another(void)
{
	struct machine machine, second;
	uint64_t *context;

	create(&machine);
	second = machine;
	create_vcpu(&second, 1);
	context = at(&machine, CONTEXT);
	memset(context, 0, 2 * PAGE);
	expect_equal(call3(&machine, VCPU_OP, IS_UP, 1, 0), 0);
	expect_equal(call3(&machine, VCPU_OP, IS_UP, 2, 0), -2);
	expect_equal(call3(&machine, VCPU_OP, UP, 1, 0), -22);
	context[CONTEXT_FLAGS] = IN_KERNEL;
	context[CONTEXT_RIP] = CODE + HANDLER;
	context[CONTEXT_RSP] = STACK + 0x800;
	/* No root; not canonical; too large a GDT, and one of the monitor's pages. */
	expect_equal(call3(&machine, VCPU_OP, INITIALISE, 1, CONTEXT), -22);
	context[CONTEXT_CR3] = TABLES;
	context[CONTEXT_RIP] = 1ull << 63;
	expect_equal(call3(&machine, VCPU_OP, INITIALISE, 1, CONTEXT), -22);
	context[CONTEXT_RIP] = CODE + HANDLER;
	context[CONTEXT_GDT + 16] = 14 * 512 + 1;
	expect_equal(call3(&machine, VCPU_OP, INITIALISE, 1, CONTEXT), -22);
	context[CONTEXT_GDT] = THIRD;
	context[CONTEXT_GDT + 16] = 1;
	expect_equal(call3(&machine, VCPU_OP, INITIALISE, 1, CONTEXT), -22);
	context[CONTEXT_GDT + 16] = 0;
	expect_equal(call3(&machine, VCPU_OP, INITIALISE, 0, CONTEXT), -17);
	expect_equal(call3(&machine, VCPU_OP, INITIALISE, 1, CONTEXT), 0);
	expect_equal(call3(&machine, VCPU_OP, INITIALISE, 1, CONTEXT), -17);
	expect_equal(call3(&machine, VCPU_OP, UP, 1, 0), 0);
	expect_equal(call3(&machine, VCPU_OP, IS_UP, 1, 0), 1);
	machine_set(&second);
	memcpy(machine.memory + CODE + HANDLER, take_trap, take_trap_end - take_trap);
	expect(run_batch(&second));
	expect_equal(*at(&machine, DATA), STACK + 0x800);
	close(second.vcpu);
	machine_destroy(&machine);
}

/* ---- traps ------------------------------------------------------------------------------------ */

/* The frame that the monitor left for the handler, or NULL. */
static uint64_t *trapped(struct machine *machine, const char *code, size_t bytes, unsigned int vector)
{
	uint64_t *table = at(machine, RANDOM);

	memset(table, 0, 64);
	table[0] = vector | 3 << 8 | 0xe033ull << 16;
	table[1] = CODE + HANDLER;
	require_equal(call(machine, 0, RANDOM, 0), 0);
	begin(machine);
	memcpy(machine->memory + CODE, code, bytes);
	memcpy(machine->memory + CODE + HANDLER, take_trap, take_trap_end - take_trap);
	if (!run_batch(machine))
		return NULL;
	return at(machine, *at(machine, DATA));
}

static void traps(void)
{
	struct machine machine;
	uint64_t *frame;

	create(&machine);
	/* RCX, R11, RIP, CS, RFLAGS, RSP, SS: the kernel's own CS is of ring 0 there. */
	frame = trapped(&machine, raise_int3, raise_int3_end - raise_int3, 3);
	require(frame);
	expect_equal(frame[2], CODE + 1);
	expect_equal(frame[3] & 0xffff, 0xe030);
	expect_equal(frame[5], STACK);
	frame = trapped(&machine, raise_int, raise_int_end - raise_int, 0x80);
	require(frame);
	expect_equal(frame[2], CODE + 2);
	frame = trapped(&machine, raise_ud, raise_ud_end - raise_ud, 6);
	require(frame);
	expect_equal(frame[2], CODE);
	/* A selector of a place where the GDT has no page is one of no segment, not a fault of the page. */
	require_equal(call(&machine, 2, RANDOM, 0), 0);
	expect_equal(at(&machine, FIRST * PAGE)[5], EMPTY * PAGE | 0x25);
	frame = trapped(&machine, load_empty, load_empty_end - load_empty, 13);
	require(frame);
	expect_equal(frame[2], 0x5000);
	expect_equal(frame[3], CODE + 5);
	expect(trapped(&machine, ask_empty, ask_empty_end - ask_empty, 3));
	/* Nor does a selector reach what an engine has behind its own descriptors. */
	limit_us = LIMIT_LONG_US;
	frame = trapped(&machine, ask_all, ask_all_end - ask_all, 3);
	limit_us = LIMIT_US;
	require(frame);
	expect(frame[0] <= 3);
	/* With an error code: present, a write, and the kernel's. */
	frame = trapped(&machine, write_read_only, write_read_only_end - write_read_only, 14);
	require(frame);
	expect_equal(frame[2], 3);
	expect_equal(frame[3], CODE);
	machine_destroy(&machine);
}

/* Does the guest get a page fault for what it writes to a table?  @at: where to; @count: for REP */
static bool write_faults(struct machine *machine, const char *code, size_t bytes, uint64_t at, uint64_t value,
			 uint64_t count)
{
	memcpy(machine->memory + CODE, code, bytes);
	begin(machine);
	machine->regs.gpr[0] = value;
	machine->regs.gpr[1] = count;
	machine->regs.gpr[3] = at;
	machine->regs.gpr[7] = at;
	machine_set(machine);
	*(uint64_t *)(machine->memory + DATA) = 0;
	require(run_batch(machine));
	return *(uint64_t *)(machine->memory + DATA);
}

#define WRITE_FAULTS(code, at, value, count) \
	write_faults(&machine, code, code##_end - (code), at, value, count)

/* The guest writes a leaf table that it has pinned: what a hypercall would refuse is a page fault. */
static void direct_writes(void)
{
	const uint64_t self = 0x7ff0, table = TABLES + 3 * PAGE, leaf = table + 8 * 0x50;
	struct machine machine;
	uint64_t *ext, *trap;

	create(&machine);
	trap = at(&machine, RANDOM);
	memset(trap, 0, 64);
	trap[0] = 14 | 3 << 8 | 0xe033ull << 16;
	trap[1] = CODE + HANDLER;
	require_equal(call(&machine, 0, RANDOM, 0), 0);
	memcpy(machine.memory + CODE + HANDLER, take_trap, take_trap_end - take_trap);
	/* It is read-only: no table, no write. */
	expect(WRITE_FAULTS(write_entry, leaf, 0x55 * PAGE | ENTRY, 0));
	ext = at(&machine, RANDOM);
	memset(ext, 0, 24);
	ext[1] = table / PAGE;
	require_equal(call4(&machine, 26, RANDOM, 1, self), 0);
	memcpy(machine.memory + CODE + HANDLER, take_trap, take_trap_end - take_trap);
	expect(!WRITE_FAULTS(write_entry, leaf, 0x55 * PAGE | ENTRY, 0));
	expect_equal(*at(&machine, leaf), 0x55 * PAGE | ENTRY);
	expect(!WRITE_FAULTS(exchange_entry, leaf, table | READ_ONLY, 0));
	expect_equal(*at(&machine, leaf), table | READ_ONLY);
	/* Itself writable, whole or by half; the monitor's page; a frame that is not there. */
	expect(WRITE_FAULTS(write_entry, leaf, table | ENTRY, 0));
	expect(WRITE_FAULTS(exchange_entry, leaf, table | ENTRY, 0));
	expect(WRITE_FAULTS(write_half, leaf, table | ENTRY, 0));
	expect(WRITE_FAULTS(write_entry, leaf, THIRD * PAGE | ENTRY, 0));
	expect(WRITE_FAULTS(write_entry, leaf, (uint64_t)PAGES * PAGE | READ_ONLY, 0));
	expect_equal(*at(&machine, leaf), 0x50 * PAGE | ENTRY);
	expect(WRITE_FAULTS(write_entry, leaf + 4, 0x55 * PAGE | ENTRY, 0));
	/* Entries one after the other, up to the end of the table and no farther. */
	expect(!WRITE_FAULTS(fill_entries, table + 8 * 500, 0x55 * PAGE | ENTRY, 12));
	expect_equal(*at(&machine, table + 8 * 511), 0x55 * PAGE | ENTRY);
	expect(WRITE_FAULTS(fill_entries, table + 8 * 500, 0x55 * PAGE | ENTRY, 13));
	expect_equal(*at(&machine, table + 8 * 512), 512 * PAGE | ENTRY);
	machine_destroy(&machine);
}

static void stepped(struct machine *machine)
{
	struct gondola_debug debug = { .size = sizeof(debug), .flags = GONDOLA_DEBUG_STEP };

	require_equal(ioctl(machine->vcpu, GONDOLA_SET_DEBUG, &debug), 0);
	do
		machine_run(machine);
	while (machine->run->exit == GONDOLA_EXIT_XEN);
	require_equal(machine->run->exit, GONDOLA_EXIT_DEBUG);
	require_equal(__gondola_get_registers(machine->vcpu, &machine->regs, &machine->sregs), 0);
}

/* A debugger's step over a hypercall, one that tells the launcher, and into a trap. */
static void steps(struct machine *machine)
{
	begin(machine);
	memcpy(machine->memory + CODE, syscall_twice, syscall_twice_end - syscall_twice);
	machine->regs.gpr[0] = 17;
	machine->regs.gpr[7] = 0;
	machine_set(machine);
	stepped(machine);
	expect_equal(machine->regs.rip, CODE + 2);
	expect_equal(machine->regs.gpr[0], 4 << 16 | 17);
	machine->regs.gpr[0] = 18;		/* to the console: one letter */
	machine->regs.gpr[7] = 0;
	machine->regs.gpr[6] = 1;
	machine->regs.gpr[2] = DATA;
	machine_set(machine);
	stepped(machine);
	expect_equal(machine->regs.rip, CODE + 4);
	expect_equal(machine->regs.gpr[0], 1);
	stepped(machine);			/* INT3 raises the trap */
	stepped(machine);			/* whose handler begins */
	expect_equal(machine->regs.rip, CODE + HANDLER);
}

static void step_by_step(void)
{
	struct machine machine;

	create(&machine);
	require(trapped(&machine, raise_int3, raise_int3_end - raise_int3, 3));
	steps(&machine);
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
	uint64_t *random_data = at(machine, RANDOM);

	for (unsigned int i = 0; i < PAGE / 8; i++)
		random_data[i] = argument();
	for (unsigned int i = 0; i < BATCH; i++) {
		uint64_t *one = list(machine, i);

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
	create(&machine);
	for (; left >= BATCH; left -= BATCH) {
		begin(&machine);
		GUEST_LOAD(&machine, make_calls);
		fill(&machine);
		batches++;
		ended += !run_batch(&machine);
		/* A machine of its own now and then, so that what one leaves does not hide the rest. */
		if (batches % 16)
			continue;
		machine_destroy(&machine);
		create(&machine);
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
	{ "traps come with the frame that the guest expects", traps },
	{ "a leaf table is written by what a hypercall would take, and no other page is", direct_writes },
	{ "a debugger steps over hypercalls and into traps", step_by_step },
	{ "hypercalls at random do no harm", at_random },
};

TAP_MAIN(tests)
