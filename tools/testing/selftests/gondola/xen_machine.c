// SPDX-License-Identifier: GPL-2.0-only
/* See xen_machine.h. */
#include <errno.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/time.h>
#include "xen_machine.h"

#define AR_CODE64	(GONDOLA_AR_G | GONDOLA_AR_L | 0xfbu)
#define AR_DATA		(GONDOLA_AR_G | GONDOLA_AR_DB | 0xf3u)
#define CALL_BYTES	64u			/* number, six arguments, result */

/* The tests load them, too. */
asm(".globl make_calls, make_calls_end, take_trap, take_trap_end");

/* Make the calls of the list at RBX, then say so. */
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

void xen_begin(struct machine *machine)
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

struct gondola_xen_config xen_config(void)
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

void xen_create_vcpu(struct machine *machine, unsigned int id)
{
	struct gondola_cpuid_entry cpuid[GONDOLA_MAX_CPUID];
	uint32_t count = GONDOLA_MAX_CPUID;

	machine->vcpu = __gondola_create_vcpu(machine->vm, id);
	require(machine->vcpu >= 0);
	require_equal(__gondola_map_run(machine->vcpu, &machine->run), 0);
	require_equal(__gondola_engine_cpuid(machine->sys, machine->engine, cpuid, &count), 0);
	require_equal(__gondola_set_cpuid(machine->vcpu, cpuid, count), 0);
}

void xen_create_bare(struct machine *machine)
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
	xen_create_vcpu(machine, 0);
	require_equal(__gondola_get_registers(machine->vcpu, &unused, &machine->sregs), 0);
	xen_begin(machine);
}

void xen_create(struct machine *machine)
{
	struct gondola_xen_config with = xen_config();

	xen_create_bare(machine);
	require_equal(__gondola_set_xen(machine->vm, &with), 0);
}

/* ---- one call after the other -------------------------------------------------------------- */

uint64_t *xen_list(struct machine *machine, unsigned int call)
{
	return (uint64_t *)(machine->memory + DATA + call * CALL_BYTES);
}

volatile sig_atomic_t xen_late;
unsigned int xen_limit_us = XEN_LIMIT_US;

static void on_alarm(int signal)
{
	(void)signal;
	xen_late = 1;
}

bool xen_run_batch(struct machine *machine)
{
	/* One signal may come just before GONDOLA_RUN. */
	const struct itimerval limit = { .it_interval.tv_usec = xen_limit_us, .it_value.tv_usec = xen_limit_us };
	const struct itimerval none = { { 0, 0 }, { 0, 0 } };
	const struct sigaction act = { .sa_handler = on_alarm };
	int ret;

	xen_late = 0;
	sigaction(SIGALRM, &act, NULL);
	setitimer(ITIMER_REAL, &limit, NULL);
	for (;;) {
		ret = __gondola_run(machine->vcpu);
		if (ret == -EINTR && !xen_late)
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

int64_t xen_call_with(struct machine *machine, uint64_t number, const uint64_t arg[4])
{
	uint64_t *one = xen_list(machine, 0);

	memset(one, 0, CALL_BYTES);
	one[0] = number;
	memcpy(one + 1, arg, 4 * sizeof(*arg));
	xen_begin(machine);
	machine->regs.gpr[5] = 1;
	machine_set(machine);
	GUEST_LOAD(machine, make_calls);
	require(xen_run_batch(machine));
	return (int64_t)one[7];
}

int64_t xen_call(struct machine *machine, uint64_t number, uint64_t arg0, uint64_t arg1)
{
	return xen_call_with(machine, number, (uint64_t[]){ arg0, arg1, 0, 0 });
}

int64_t xen_call3(struct machine *machine, uint64_t number, uint64_t arg0, uint64_t arg1, uint64_t arg2)
{
	return xen_call_with(machine, number, (uint64_t[]){ arg0, arg1, arg2, 0 });
}

int64_t xen_call4(struct machine *machine, uint64_t number, uint64_t arg0, uint64_t arg1, uint64_t arg3)
{
	return xen_call_with(machine, number, (uint64_t[]){ arg0, arg1, 0, arg3 });
}

uint64_t *xen_at(struct machine *machine, uint64_t gpa)
{
	return (uint64_t *)(machine->memory + gpa);
}
