// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/time.h>
#include <unistd.h>

#include "machine.h"

#define CR0_PE		1u
#define CR0_ET		0x10u
#define CR0_WP		0x10000u
#define CR0_PG		0x80000000u
#define CR4_PSE		0x10u
#define CR4_PAE		0x20u
#define EFER_LONG	0x500u
#define PTE		0x3u
#define PTE_LARGE	0x83u
#define CODE32		0xc09bu
#define CODE64		0xa09bu
#define DATA32		0xc093u
#define TSS		0x8bu

const char *mode_name(enum mode mode)
{
	static const char *const names[MODES] = { "unpaged", "32-bit", "PAE", "long mode" };

	return names[mode];
}

int machine_open(void)
{
	struct gondola_preflight preflight;
	int sys = __gondola_open();

	if (sys < 0)
		tap_skip("cannot open %s: %s", GONDOLA_DEVICE, strerror(-sys));
	require_equal(__gondola_preflight(sys, GONDOLA_ENGINE_ANY, &preflight), 0);
	if (preflight.reason != GONDOLA_PF_OK) {
		close(sys);
		tap_skip("no engine: %s", gondola_preflight_words(preflight.reason));
	}
	return sys;
}

void machine_need_engine(void)
{
	close(machine_open());
}

void machine_bare(struct machine *machine)
{
	struct gondola_preflight preflight;

	memset(machine, 0, sizeof(*machine));
	machine->sys = machine_open();
	require_equal(__gondola_preflight(machine->sys, GONDOLA_ENGINE_ANY, &preflight), 0);
	machine->engine = preflight.engine;
	machine->vm = __gondola_create_vm(machine->sys, GONDOLA_ENGINE_ANY, "selftest");
	require(machine->vm >= 0);
	machine->vcpu = __gondola_create_vcpu(machine->vm, 0);
	require(machine->vcpu >= 0);
	require_equal(__gondola_map_run(machine->vcpu, &machine->run), 0);
}

/* Each entry @step further than the one before. */
static void fill64(uint64_t *table, unsigned int count, uint64_t first, uint64_t step)
{
	for (unsigned int i = 0; i < count; i++)
		table[i] = first + i * step;
}

static void fill32(uint32_t *table, unsigned int count, uint32_t first, uint32_t step)
{
	for (unsigned int i = 0; i < count; i++)
		table[i] = first + i * step;
}

/* The first 4 GiB one to one; where the format allows, the first part by small pages. */
static void build_tables(struct machine *machine, enum mode mode)
{
	uint8_t *tables = machine->memory + TABLES;

	switch (mode) {
	case MODE_PAGED32:
		fill32((uint32_t *)tables, 1024, PTE_LARGE, 4u << 20);
		*(uint32_t *)tables = (TABLES + 0x1000) | PTE;
		fill32((uint32_t *)(tables + 0x1000), 1024, PTE, 4096);
		break;
	case MODE_PAE:
		fill64((uint64_t *)tables, 4, (TABLES + 0x1000) | 1, 0x1000);
		fill64((uint64_t *)(tables + 0x1000), 4 * 512, PTE_LARGE, 2u << 20);
		break;
	case MODE_LONG:
		*(uint64_t *)tables = (TABLES + 0x1000) | PTE;
		fill64((uint64_t *)(tables + 0x1000), 4, (TABLES + 0x2000) | PTE, 0x1000);
		fill64((uint64_t *)(tables + 0x2000), 4 * 512, PTE_LARGE, 2u << 20);
		*(uint64_t *)(tables + 0x2000) = (TABLES + 0x6000) | PTE;
		fill64((uint64_t *)(tables + 0x6000), 512, PTE, 4096);
		break;
	default:
		break;
	}
}

static void set_control(struct gondola_rec_sregs *sregs, enum mode mode)
{
	sregs->cr0 = CR0_PE | CR0_ET;
	if (mode != MODE_UNPAGED) {
		sregs->cr0 |= CR0_PG | CR0_WP;
		sregs->cr3 = TABLES;
		sregs->cr4 = mode == MODE_PAGED32 ? CR4_PSE : CR4_PAE;
	}
	if (mode == MODE_LONG)
		sregs->efer = EFER_LONG;
}

static void set_segments(struct gondola_rec_sregs *sregs, enum mode mode)
{
	for (int i = GONDOLA_ES; i <= GONDOLA_GS; i++)
		sregs->seg[i] = (struct gondola_segment){
			.selector = 0x18, .limit = ~0u, .ar = DATA32,
		};
	sregs->seg[GONDOLA_CS].selector = 0x10;
	sregs->seg[GONDOLA_CS].ar = mode == MODE_LONG ? CODE64 : CODE32;
	sregs->seg[GONDOLA_TR] = (struct gondola_segment){
		.selector = 0x20, .limit = 0x67, .ar = TSS,
	};
	sregs->seg[GONDOLA_LDTR] = (struct gondola_segment){ .ar = GONDOLA_AR_UNUSABLE };
}

void machine_create(struct machine *machine, enum mode mode)
{
	struct gondola_cpuid_entry cpuid[GONDOLA_MAX_CPUID];
	uint32_t leaves = GONDOLA_MAX_CPUID;
	struct gondola_rec_regs unused;

	machine_bare(machine);
	machine->memory = mmap(NULL, MEMORY_BYTES, PROT_READ | PROT_WRITE,
			       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	require(machine->memory != MAP_FAILED);
	require_equal(__gondola_set_memory(machine->vm, 0, 0, 0, MEMORY_BYTES, machine->memory), 0);
	require_equal(__gondola_supported_cpuid(machine->sys, cpuid, &leaves), 0);
	require_equal(__gondola_set_cpuid(machine->vcpu, cpuid, leaves), 0);
	require_equal(__gondola_get_registers(machine->vcpu, &unused, &machine->sregs), 0);
	build_tables(machine, mode);
	set_segments(&machine->sregs, mode);
	set_control(&machine->sregs, mode);
	machine->regs.rip = CODE;
	machine->regs.rflags = 2;
	machine->regs.gpr[4] = STACK;
	machine_set(machine);
}

void machine_load(struct machine *machine, const void *code, size_t bytes)
{
	memcpy(machine->memory + CODE, code, bytes);
}

void machine_real_mode(struct machine *machine)
{
	struct gondola_segment *seg = machine->sregs.seg;

	machine->sregs.cr0 = 0x10;
	for (int i = GONDOLA_ES; i <= GONDOLA_GS; i++)
		seg[i] = (struct gondola_segment){ .limit = 0xffff, .ar = 0x93 };
	seg[GONDOLA_DS].selector = DATA >> 4;
	seg[GONDOLA_DS].base = DATA;
	seg[GONDOLA_CS] = (struct gondola_segment){
		.selector = CODE >> 4, .base = CODE, .limit = 0xffff, .ar = 0x9b,
	};
	machine->sregs.idt.base = 0;
	machine->sregs.idt.limit = 0x3ff;
	machine->regs.rip = 0;
}

void machine_set(struct machine *machine)
{
	struct gondola_fault fault;
	char field[32];
	int ret = __gondola_set_registers(machine->vcpu, &machine->regs, &machine->sregs, &fault);

	tap_check(ret == 0, true, "the state was refused: %s, record %u, %s", strerror(-ret),
		  fault.record, gondola_sregs_field(fault.field, field, sizeof(field)));
}

int machine_enter(struct machine *machine)
{
	int ret;

	do {
		ret = __gondola_run(machine->vcpu);
	} while (ret == -EINTR && !machine->run->immediate_exit);
	return ret;
}

static volatile sig_atomic_t alarmed;

static void on_alarm(int number)
{
	(void)number;
	alarmed = 1;
}

int machine_enter_for(struct machine *machine, unsigned int seconds)
{
	/* Again each second: the first may come just before the vCPU is entered. */
	const struct itimerval timer = { .it_value.tv_sec = seconds, .it_interval.tv_sec = 1 };
	const struct sigaction action = { .sa_handler = on_alarm };
	int ret;

	alarmed = 0;
	sigaction(SIGALRM, &action, NULL);
	setitimer(ITIMER_REAL, &timer, NULL);
	do {
		ret = __gondola_run(machine->vcpu);
	} while (ret == -EINTR && !alarmed);
	setitimer(ITIMER_REAL, &(struct itimerval){ }, NULL);
	return ret;
}

void machine_run(struct machine *machine)
{
	require_equal(machine_enter(machine), 0);
}

/* An exit that no guest here asks for: where it was, and at what. */
static void tell_exit(struct machine *machine)
{
	const struct gondola_run *run = machine->run;
	struct gondola_rec_sregs sregs = { 0 };
	struct gondola_rec_regs regs = { 0 };

	__gondola_get_registers(machine->vcpu, &regs, &sregs);
	printf("# rip %llx ax %llx cx %llx si %llx sp %llx, cr0 %llx cr2 %llx cr3 %llx\n", regs.rip,
	       regs.gpr[0], regs.gpr[1], regs.gpr[6], regs.gpr[4], sregs.cr0, sregs.cr2, sregs.cr3);
	if (run->exit != GONDOLA_EXIT_EMULATION)
		return;
	printf("# the instruction at %llx:", run->emulation.rip);
	for (uint32_t i = 0; i < run->emulation.bytes; i++)
		printf(" %02x", run->emulation.insn[i]);
	printf("\n");
}

uint32_t machine_result(struct machine *machine)
{
	uint32_t value = 0;

	machine_run(machine);
	if (machine->run->exit != GONDOLA_EXIT_IO)
		tell_exit(machine);
	tap_check(machine->run->exit == GONDOLA_EXIT_IO, true, "left with %u, hardware reason 0x%x",
		  machine->run->exit, machine->run->hw_reason);
	require_equal(machine->run->io.port, RESULT_PORT);
	require_equal(machine->run->io.write, 1);
	require_equal(machine->run->io.count, 1);
	memcpy(&value, (char *)machine->run + machine->run->io.offset, machine->run->io.width);
	return value;
}

uint64_t machine_exits(struct machine *machine, enum gondola_reason reason)
{
	struct gondola_stats stats;

	require_equal(__gondola_get_stats(machine->vcpu, &stats), 0);
	return stats.exits[reason];
}

void machine_destroy(struct machine *machine)
{
	munmap(machine->run, GONDOLA_RUN_SIZE);
	close(machine->vcpu);
	close(machine->vm);
	close(machine->sys);
	if (machine->memory)
		munmap(machine->memory, MEMORY_BYTES);
}

void skip_if_deaf(void)
{
	char line[64] = "";
	FILE *file = fopen("/sys/class/dmi/id/bios_version", "re");

	if (!file)
		return;
	if (fgets(line, sizeof(line), file) && strstr(line, "Bochs")) {
		fclose(file);
		tap_skip("Bochs masks external interrupts in guests entered with IF clear");
	}
	fclose(file);
}

long long debugfs(const char *name)
{
	char path[128], line[32] = "";
	FILE *file;

	snprintf(path, sizeof(path), "/sys/kernel/debug/gondola/%s", name);
	file = fopen(path, "re");
	if (!file && errno == ENOENT && !mount("none", "/sys/kernel/debug", "debugfs", 0, NULL))
		file = fopen(path, "re");
	if (!file)
		return -1;
	if (!fgets(line, sizeof(line), file))
		line[0] = 0;
	fclose(file);
	return line[0] ? strtoll(line, NULL, 10) : -1;
}
