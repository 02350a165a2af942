// SPDX-License-Identifier: GPL-2.0-only
/*
 * hostile_fuzz: runs hostile guests, one after the other, each with a seed of its own, and looks
 * whether each RUN comes back with an answer, the shadow tables pass the audit, and nothing is
 * left. As a selftest: two fixed seeds, some guests of each. With options:
 *
 *   --seed N --seconds N | --guests N [--cpus N] [--bits 64]   guests of this seed
 *   --guest N [--cpus N] [--bits 64]                           the one of this number, again
 *   --beside-others                                            other programs have VMs, too
 *
 * A guest's acts follow from its number, but for its timers and, where it has several
 * processors, for which of them comes first. Nothing is judged by a clock: a guest is over after
 * some calls of RUN or steps of its own, or when it has stood still for a while.
 */
#include <errno.h>
#include <getopt.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "../abi/random.h"
#include "../deaf.h"
#include "guest.h"
#include "lib/libgondola.h"

#define PAGE		4096ul
#define RUNS		2000u	/* of one guest, on all its processors */
#define STEPS		10000u
#define LOOK_US		50000u	/* how often a processor is looked at that may stand still, or more seldom */
#define STANDS_STILL	10u	/* looks, and an NMI after each, until its guest is over */
#define KICKS		60000u	/* a RUN that does not come back after them hangs */
#define RESETS		32u	/* without a beat between them: the guest has overwritten its code */
#define STATE_BYTES	65536u
#define SELFTEST_GUESTS	4u
#define ALL_MEMORY	(HOSTILE_MEMORY + 0x300000u)
#define READ_ONLY_AT	HOSTILE_MEMORY		/* behind what is the guest's, in our memory */
#define LATE_AT		(HOSTILE_MEMORY + 0x100000u)
#define OTHER_AT	(HOSTILE_MEMORY + 0x200000u)

/* The guest of 32 bits, and that of 64. */
#define BLOB(name, file)								\
	asm(".pushsection .rodata\n.balign 16\n.globl " #name ", " #name "_end\n"		\
	    #name ": .incbin \"" file "\"\n" #name "_end:\n.popsection");			\
	extern const uint8_t name[], name##_end[]
BLOB(guest32, HOSTILE_GUEST32);
BLOB(guest64, HOSTILE_GUEST64);

struct vcpu {
	int fd;
	unsigned int id;
	pthread_t thread;
	struct gondola_run *run;
	uint8_t *made;		/* its state, as it was made */
	uint64_t made_bytes;
	struct random random;
	unsigned int resets;	/* since it did a step */
	atomic_uint exits;
	unsigned int seen;	/* of them, at the last look */
	atomic_bool ended;
};

static struct {
	int vm;
	uint8_t *memory;
	bool wide;		/* a guest of 64 bits */
	bool discards;		/* the host takes pages, and what is in them is lost */
	unsigned int cpus;
	struct vcpu vcpus[HOSTILE_MAX_CPUS];
	atomic_uint runs, steps, faults;
	atomic_bool stop;
	atomic_bool failed;
} machine;

/* Of all guests: steps, exceptions, and how they left, by enum gondola_user_exit. */
static struct {
	unsigned long long steps, faults;
	atomic_uint exits[GONDOLA_EXIT_MEMORY + 1];
} total;
static int sys = -1;
static bool all_wide, beside_others;

static void on_kick(int signal)
{
	(void)signal;
}

__attribute__((format(printf, 1, 2)))
static void fail(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	printf("# FOUND: ");
	vprintf(format, args);
	printf("\n");
	va_end(args);
	atomic_store(&machine.failed, true);
	atomic_store(&machine.stop, true);
}

static long long kernel_number(const char *name)
{
	char path[128], words[64] = "";
	FILE *file;

	snprintf(path, sizeof(path), "/sys/kernel/debug/gondola/%s", name);
	file = fopen(path, "re");
	if (!file || !fgets(words, sizeof(words), file))
		fail("%s: %s", path, strerror(errno));
	if (file)
		fclose(file);
	return strtoll(words, NULL, 10);
}

/* Pages that lost what was in them were written behind the module's back: it need not see that. */
static void audit(const char *when)
{
	/* It stops all VMs; selftests write their guests' tables without a word. */
	if (!machine.discards && !beside_others && kernel_number("audit"))
		fail("the audit of the shadow tables, %s", when);
}

/* ---- what launcher and host may do while a guest runs ------------------------------------- */

/* The host takes pages away, or shares them until the next write. */
static void take_pages(struct random *r)
{
	uint8_t *any = machine.memory + below(r, HOSTILE_MEMORY / PAGE - 64) * PAGE;
	uint32_t pool = one_in(r, 2) ? HOSTILE_DATA : HOSTILE_POOL;
	uint8_t *spare = machine.memory + pool + below(r, HOSTILE_POOL_PAGES - 8) * PAGE;
	pid_t child;

	switch (below(r, 4)) {
	case 0:
		madvise(any, 64 * PAGE, MADV_PAGEOUT);
		break;
	case 1:
		madvise(any, PAGE, MADV_MERGEABLE);
		madvise(any, PAGE, MADV_UNMERGEABLE);
		break;
	case 2:
		child = one_in(r, 4) ? fork() : -1;
		if (!child)
			_exit(0);
		if (child > 0)
			waitpid(child, NULL, 0);
		break;
	default:
		if (machine.discards)
			madvise(spare, (1 + below(r, 8)) * PAGE, MADV_DONTNEED);
	}
}

static void disturb(struct random *r)
{
	uint64_t bitmap[HOSTILE_MEMORY / PAGE / 64];
	int vm = machine.vm;

	switch (below(r, 8)) {
	case 0:
		__gondola_set_memory(vm, 0, one_in(r, 2) ? GONDOLA_MEM_LOG_DIRTY : 0, 0,
				     HOSTILE_MEMORY, machine.memory);
		break;
	case 1:
		if (!__gondola_get_dirty(vm, 0, 0, HOSTILE_MEMORY / PAGE, bitmap))
			__gondola_clear_dirty(vm, 0, 0, HOSTILE_MEMORY / PAGE, bitmap);
		break;
	case 2:
		__gondola_set_memory(vm, 3, 0, HOSTILE_LATE, one_in(r, 2) ? 0 : 64 * PAGE,
				     machine.memory + LATE_AT);
		break;
	case 3:
		__gondola_set_memory(vm, 1, 0, HOSTILE_OTHER, one_in(r, 2) ? 0 :
				     HOSTILE_POOL_PAGES * PAGE, machine.memory + OTHER_AT);
		break;
	case 4:
		__gondola_irq_line(vm, below(r, GONDOLA_NR_GSI), below(r, 2));
		break;
	case 5:
		__gondola_nmi(machine.vcpus[below(r, machine.cpus)].fd);
		break;
	case 6:
		if (one_in(r, 16))
			audit("while the guest runs");
		break;
	default:
		take_pages(r);
	}
}

/* ---- one vCPU -------------------------------------------------------------------------- */

static void refused(const char *which, int ret, const struct gondola_fault *fault)
{
	char field[64];

	fail("the %s state was refused: %s, record %u, %s", which, strerror(-ret), fault->record,
	     gondola_record_field(fault->record, fault->field, field, sizeof(field)));
}

/* In flat protected mode, without paging. */
static bool set_start(int vcpu)
{
	struct gondola_fault fault = { 0 };
	struct gondola_rec_sregs sregs;
	struct gondola_rec_regs regs;
	int ret;

	ret = __gondola_get_registers(vcpu, &regs, &sregs);
	if (ret) {
		fail("the state cannot be read: %s", strerror(-ret));
		return false;
	}
	memset(&regs, 0, sizeof(regs));
	regs.rip = HOSTILE_CODE;
	regs.rflags = 2;
	for (int i = GONDOLA_ES; i <= GONDOLA_GS; i++)
		sregs.seg[i] = (struct gondola_segment){ .selector = 0x10, .limit = ~0u, .ar = 0xc093 };
	sregs.seg[GONDOLA_CS].selector = 8;
	sregs.seg[GONDOLA_CS].ar = 0xc09b;
	sregs.seg[GONDOLA_TR] = (struct gondola_segment){ .selector = 0x28, .limit = 0x67, .ar = 0x8b };
	sregs.seg[GONDOLA_LDTR] = (struct gondola_segment){ .ar = GONDOLA_AR_UNUSABLE };
	/* QEMU's LIDT takes bases that a processor refuses, and SET_STATE. */
	sregs.gdt = (struct gondola_dtable){ .base = 0 };
	sregs.idt = sregs.gdt;
	sregs.cr0 = 0x11;
	sregs.cr4 = 0;
	sregs.efer = 0;
	ret = __gondola_set_registers(vcpu, &regs, &sregs, &fault);
	if (ret)
		refused("starting", ret, &fault);
	return !ret;
}

/* As a launcher resets a processor: what the module knows of its tables is still there. */
static bool reset(struct vcpu *vcpu)
{
	struct gondola_fault fault = { 0 };
	int ret = 0;

	if (++vcpu->resets > RESETS)
		return false;
	/* Sometimes with all that the guest left in the other registers. */
	if (!one_in(&vcpu->random, 4))
		ret = __gondola_set_state(vcpu->fd, vcpu->made, vcpu->made_bytes, &fault);
	if (ret)
		refused("first", ret, &fault);
	return !ret && set_start(vcpu->fd);
}

/* Devices answer anything. */
static void answer(struct vcpu *vcpu)
{
	struct gondola_run *run = vcpu->run;
	uint32_t bytes = run->io.count * run->io.width, beat;

	if (run->exit == GONDOLA_EXIT_MMIO) {
		if (!run->mmio.write)
			fill(&vcpu->random, run->mmio.data, sizeof(run->mmio.data));
		return;
	}
	if (run->io.offset >= GONDOLA_RUN_SIZE || bytes > GONDOLA_RUN_SIZE - run->io.offset) {
		fail("%u bytes of data at %u of the run page", bytes, run->io.offset);
	} else if (!run->io.write) {
		fill(&vcpu->random, (uint8_t *)run + run->io.offset, bytes);
	} else if (run->io.port == HOSTILE_BEAT_PORT && bytes == sizeof(beat)) {
		memcpy(&beat, (uint8_t *)run + run->io.offset, sizeof(beat));
		vcpu->resets = 0;
		atomic_fetch_add(&machine.steps, beat & 0xff);
		atomic_fetch_add(&machine.faults, beat >> 16 & 0xff);
	}
}

/* True: the guest goes on. */
static bool after_run(struct vcpu *vcpu, int ret)
{
	struct gondola_run *run = vcpu->run;

	if (atomic_fetch_add(&machine.runs, 1) >= RUNS || atomic_load(&machine.steps) >= STEPS)
		return false;
	if (ret == -EINTR)
		return true;
	if (ret) {
		fail("RUN of vCPU %u says %s", vcpu->id, strerror(-ret));
		return false;
	}
	atomic_fetch_add(&vcpu->exits, 1);
	if (run->exit < sizeof(total.exits) / sizeof(total.exits[0]))
		atomic_fetch_add(&total.exits[run->exit], 1);
	switch (run->exit) {
	case GONDOLA_EXIT_IO:
	case GONDOLA_EXIT_MMIO:
		answer(vcpu);
		return true;
	case GONDOLA_EXIT_MEMORY:
		return true;
	case GONDOLA_EXIT_SHUTDOWN:
	case GONDOLA_EXIT_EMULATION:
		return reset(vcpu);
	case GONDOLA_EXIT_ENTRY_FAILED:
		fail("no entry: hardware reason 0x%x, %.64s", run->fail.hw_reason, run->fail.field);
		return false;
	default:
		fail("vCPU %u left with %u, hardware reason 0x%x", vcpu->id, run->exit, run->hw_reason);
		return false;
	}
}

static void *run_vcpu(void *arg)
{
	struct vcpu *vcpu = arg;

	while (!atomic_load(&machine.stop) && after_run(vcpu, __gondola_run(vcpu->fd)))
		if (one_in(&vcpu->random, 12))
			disturb(&vcpu->random);
	atomic_store(&machine.stop, true);
	atomic_store(&vcpu->ended, true);
	return NULL;
}

/* ---- one guest ----------------------------------------------------------------------------- */

static bool set_slots(void)
{
	int vm = machine.vm;
	uint8_t *memory = machine.memory;

	return !__gondola_set_memory(vm, 0, 0, 0, HOSTILE_MEMORY, memory) &&
	       !__gondola_set_memory(vm, 1, 0, HOSTILE_OTHER, HOSTILE_POOL_PAGES * PAGE,
				     memory + OTHER_AT) &&
	       !__gondola_set_memory(vm, 2, GONDOLA_MEM_READONLY, HOSTILE_READ_ONLY, 0x100000,
				     memory + READ_ONLY_AT);
}

static void load_guest(struct random *r)
{
	struct hostile_parameters *parameters = (void *)(machine.memory + HOSTILE_PARAMETERS);
	const uint8_t *blob = machine.wide ? guest64 : guest32;

	memcpy(machine.memory + HOSTILE_CODE, blob, (machine.wide ? guest64_end : guest32_end) - blob);
	parameters->seed = next(r);
	parameters->cpus = machine.cpus;
	for (unsigned int i = 0; i < HOSTILE_POOL_PAGES * PAGE; i += 8)
		if (one_in(r, 8))
			*(uint64_t *)(machine.memory + HOSTILE_POOL + i) =
				(HOSTILE_POOL + below(r, HOSTILE_POOL_PAGES) * PAGE) | 7;
}

static bool create_vcpu(struct vcpu *vcpu, unsigned int id, struct random *r)
{
	struct gondola_cpuid_entry cpuid[GONDOLA_MAX_CPUID];
	uint32_t leaves = GONDOLA_MAX_CPUID;

	vcpu->id = id;
	vcpu->random.state = next(r);
	vcpu->fd = __gondola_create_vcpu(machine.vm, id);
	vcpu->made = malloc(STATE_BYTES);
	vcpu->made_bytes = STATE_BYTES;
	return vcpu->fd >= 0 && vcpu->made && !__gondola_map_run(vcpu->fd, &vcpu->run) &&
	       !__gondola_supported_cpuid(sys, cpuid, &leaves) &&
	       !__gondola_set_cpuid(vcpu->fd, cpuid, leaves) &&
	       !__gondola_get_state(vcpu->fd, vcpu->made, &vcpu->made_bytes);
}

static bool create(struct random *r, unsigned int cpus)
{
	memset(&machine, 0, sizeof(machine));
	machine.cpus = cpus;
	machine.wide = one_in(r, 2) || all_wide;
	machine.discards = one_in(r, 4);
	machine.memory = mmap(NULL, ALL_MEMORY, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
			      -1, 0);
	machine.vm = __gondola_create_vm(sys, GONDOLA_ENGINE_ANY, "hostile");
	if (machine.memory == MAP_FAILED || machine.vm < 0 || !set_slots())
		return false;
	load_guest(r);
	for (unsigned int i = 0; i < cpus; i++)
		if (!create_vcpu(&machine.vcpus[i], i, r))
			return false;
	return set_start(machine.vcpus[0].fd);
}

static void destroy(void)
{
	total.steps += machine.steps;
	total.faults += machine.faults;
	for (unsigned int i = 0; i < machine.cpus; i++) {
		munmap(machine.vcpus[i].run, GONDOLA_RUN_SIZE);
		close(machine.vcpus[i].fd);
		free(machine.vcpus[i].made);
	}
	close(machine.vm);
	munmap(machine.memory, ALL_MEMORY);
}

/* Any state that a guest can reach can be saved and resumed. */
static void save_and_resume(struct vcpu *vcpu)
{
	static uint8_t state[STATE_BYTES];
	struct gondola_fault fault = { 0 };
	uint64_t bytes = sizeof(state);
	int ret;

	ret = __gondola_get_state(vcpu->fd, state, &bytes);
	if (!ret)
		ret = __gondola_set_state(vcpu->fd, state, bytes, &fault);
	if (ret)
		refused("last", ret, &fault);
}

/*
 * How long to wait for a step: what a busy computer takes for a loop of a million says how slow it
 * is. Else a guest that has no turn would be taken for one that stands still.
 */
static unsigned int look_us(void)
{
	struct timespec from, to;
	long long us;

	clock_gettime(CLOCK_MONOTONIC, &from);
	for (volatile unsigned int i = 0; i < 1000000; i++)
		;
	clock_gettime(CLOCK_MONOTONIC, &to);
	us = (to.tv_sec - from.tv_sec) * 1000000ll + (to.tv_nsec - from.tv_nsec) / 1000;
	return us < LOOK_US / 4 ? LOOK_US : us < 250000 ? 4 * us : 1000000;
}

/* An NMI ends the step of a processor that stands still; the guest is over if none helps. */
static void watch(void)
{
	unsigned int looks = 0;

	while (!atomic_load(&machine.stop) && looks < STANDS_STILL) {
		usleep(look_us());
		looks++;
		for (unsigned int i = 0; i < machine.cpus; i++) {
			struct vcpu *vcpu = &machine.vcpus[i];
			unsigned int exits = atomic_load(&vcpu->exits);

			if (exits == vcpu->seen)
				__gondola_nmi(vcpu->fd);
			else
				looks = 0;
			vcpu->seen = exits;
		}
	}
	atomic_store(&machine.stop, true);
}

/* False: one of them does not leave the kernel. */
static bool stop_all(void)
{
	for (unsigned int i = 0; i < machine.cpus; i++) {
		struct vcpu *vcpu = &machine.vcpus[i];

		for (unsigned int kicks = 0; !atomic_load(&vcpu->ended); kicks++) {
			if (kicks == KICKS) {
				fail("RUN of vCPU %u does not come back", i);
				return false;
			}
			vcpu->run->immediate_exit = 1;
			pthread_kill(vcpu->thread, SIGUSR1);
			usleep(1000);
		}
		pthread_join(vcpu->thread, NULL);
	}
	return true;
}

static bool run_guest(uint64_t seed, unsigned int cpus)
{
	struct random r = { seed };

	if (!cpus)
		cpus = one_in(&r, 2) ? 1 : HOSTILE_MAX_CPUS;
	if (!create(&r, cpus)) {
		fail("a machine could not be made");
		return false;
	}
	for (unsigned int i = 0; i < cpus; i++)
		if (pthread_create(&machine.vcpus[i].thread, NULL, run_vcpu, &machine.vcpus[i]))
			_exit(99);
	watch();
	if (!stop_all())
		return false;
	for (unsigned int i = 0; i < cpus; i++)
		save_and_resume(&machine.vcpus[i]);
	audit("after the guest");
	destroy();
	/* Memory freed by RCU may take a moment. */
	for (int i = 0; i < 1000 && !beside_others && kernel_number("vms"); i++)
		usleep(10000);
	/* What is left may be another program's. */
	if (!beside_others && (kernel_number("vms") || kernel_number("vcpus") || kernel_number("shadow_pages")))
		fail("%lld VMs, %lld vCPUs and %lld shadow pages are left", kernel_number("vms"),
		     kernel_number("vcpus"), kernel_number("shadow_pages"));
	printf("# guest %016llx: %u bits, vCPUs %u, RUNs %u, steps %u, exceptions %u\n",
	       (unsigned long long)seed, machine.wide ? 64 : 32, cpus, machine.runs, machine.steps,
	       machine.faults);
	return !atomic_load(&machine.failed);
}

/* ---- many of them --------------------------------------------------------------------------- */

static bool run_seed(uint64_t seed, double seconds, unsigned int guests, unsigned int cpus)
{
	time_t end = time(NULL) + seconds;
	unsigned int done;
	bool ok = true;

	memset(&total, 0, sizeof(total));
	printf("# seed %llu\n", (unsigned long long)seed);
	for (done = 0; ok && (seconds ? time(NULL) < end : done < guests); done++) {
		uint64_t guest = mix(seed, done);

		printf("# round %u %llx\n", done, (unsigned long long)guest);
		ok = run_guest(guest, cpus);
	}
	printf("# %u guests, %llu steps, %llu exceptions;", done, total.steps, total.faults);
	for (unsigned int i = 0; i < sizeof(total.exits) / sizeof(total.exits[0]); i++)
		printf(" exit %u: %u", i, total.exits[i]);
	printf("\n");
	/* A guest that does nothing finds nothing. */
	if (ok && !total.steps) {
		fail("no guest did anything");
		ok = false;
	}
	return ok;
}

static int selftest(void)
{
	static const uint64_t seeds[] = { 1, 2 };
	bool ok = true;

	printf("TAP version 13\n1..2\n");
	for (int i = 0; i < 2; i++) {
		ok = ok && run_seed(seeds[i], 0, SELFTEST_GUESTS, 0);
		printf("%s %d - seed %llu\n", ok ? "ok" : "not ok", i + 1,
		       (unsigned long long)seeds[i]);
	}
	return !ok;
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "seed", required_argument, NULL, 's' }, { "seconds", required_argument, NULL, 't' },
		{ "guests", required_argument, NULL, 'n' }, { "cpus", required_argument, NULL, 'c' },
		{ "guest", required_argument, NULL, 'g' }, { "bits", required_argument, NULL, 'b' },
		{ "beside-others", no_argument, NULL, 'o' }, { 0 },
	};
	struct sigaction kick = { .sa_handler = on_kick };
	unsigned int cpus = 0, guests = 0;
	uint64_t seed = 1, guest = 0;
	double seconds = 0;
	bool ok;
	int c;

	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (c) {
		case 's':
			seed = strtoull(optarg, NULL, 0);
			break;
		case 't':
			seconds = atof(optarg);
			break;
		case 'n':
			guests = atoi(optarg);
			break;
		case 'c':
			cpus = atoi(optarg);
			break;
		case 'b':
			all_wide = atoi(optarg) == 64;
			break;
		case 'o':
			beside_others = true;
			break;
		case 'g':
			guest = strtoull(optarg, NULL, 16);
			break;
		default:
			return 2;
		}
	}
	setvbuf(stdout, NULL, _IOLBF, 0);
	deaf_begin();
	sigaction(SIGUSR1, &kick, NULL);
	sys = __gondola_open();
	if (sys < 0 || cpus > HOSTILE_MAX_CPUS)
		return 2;
	if (guest)
		ok = run_guest(guest, cpus);
	else if (seconds || guests)
		ok = run_seed(seed, seconds, guests, cpus);
	else
		ok = !selftest();
	if (guest || seconds || guests)
		printf("# %s\n", ok ? "nothing found" : "FOUND: see above");
	fflush(stdout);
	/* Threads may be in the kernel for good. */
	_exit(!ok);
}
