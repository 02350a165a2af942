// SPDX-License-Identifier: GPL-2.0-only
/*
 * Branch predictors that one vCPU trained steer neither another vCPU nor the launcher.  This needs
 * tools/testing/mitigations/flaws.c, which counts the barriers.
 */
#include <sched.h>
#include <unistd.h>

#include "user_machine.h"

#define ROUNDS	10u

GUEST_CODE(report, 64, "1: mov $7, %eax; out %eax, $0x80; jmp 1b");
GUEST_CODE(trap, 64, "int $0x80");

static uint64_t flaws(const char *name)
{
	unsigned long long value = 0;
	char path[64];
	FILE *f;

	snprintf(path, sizeof(path), "/sys/kernel/debug/flaws/%s", name);
	f = fopen(path, "re");
	if (!f)
		tap_skip("there is no %s: flaws.ko is not loaded", path);
	require_equal(fscanf(f, "%llu", &value), 1);
	fclose(f);
	return value;
}

static void pin(void)
{
	cpu_set_t cpus;

	CPU_ZERO(&cpus);
	CPU_SET(0, &cpus);
	require_equal(sched_setaffinity(0, sizeof(cpus), &cpus), 0);
}

static void create(struct machine *machine)
{
	machine_create(machine, MODE_LONG);
	GUEST_LOAD(machine, report);
}

/* It does not wait for a start-up IPI. */
static void start(int vcpu)
{
	static _Alignas(8) char buffer[65536];
	uint64_t used = sizeof(buffer);
	struct gondola_rec_lapic lapic;
	const void *record;
	size_t bytes;

	require_equal(__gondola_get_state(vcpu, buffer, &used), 0);
	record = gondola_find_record(buffer, used, GONDOLA_REC_LAPIC, sizeof(lapic));
	require(record);
	memcpy(&lapic, record, sizeof(lapic));
	lapic.startup = 0;
	bytes = gondola_put_record(buffer, sizeof(buffer), 0, GONDOLA_REC_LAPIC, &lapic, sizeof(lapic));
	require_equal(__gondola_set_state(vcpu, buffer, bytes, NULL), 0);
}

/* Another vCPU of @first's VM, at the same place in the same program. */
static void add_vcpu(struct machine *second, const struct machine *first)
{
	struct gondola_cpuid_entry cpuid[GONDOLA_MAX_CPUID];
	uint32_t leaves = GONDOLA_MAX_CPUID;

	*second = *first;
	second->vcpu = __gondola_create_vcpu(first->vm, 1);
	require(second->vcpu >= 0);
	require_equal(__gondola_map_run(second->vcpu, &second->run), 0);
	require_equal(__gondola_supported_cpuid(first->sys, cpuid, &leaves), 0);
	require_equal(__gondola_set_cpuid(second->vcpu, cpuid, leaves), 0);
	machine_set(second);
	start(second->vcpu);
}

static void between_vms(void)
{
	struct machine one, other;
	uint64_t before;

	flaws("barriers");
	pin();
	create(&one);
	create(&other);
	before = flaws("barriers");
	for (unsigned int i = 0; i < ROUNDS; i++) {
		expect_equal(machine_result(&one), 7);
		expect_equal(machine_result(&other), 7);
	}
	expect(flaws("barriers") - before >= 2 * ROUNDS);
	machine_destroy(&one);
	machine_destroy(&other);
}

/* They may run different programs of the guest, which trust each other as little. */
static void between_vcpus(void)
{
	struct machine first, second;
	uint64_t before;

	flaws("barriers");
	pin();
	create(&first);
	add_vcpu(&second, &first);
	before = flaws("barriers");
	for (unsigned int i = 0; i < ROUNDS; i++) {
		expect_equal(machine_result(&first), 7);
		expect_equal(machine_result(&second), 7);
	}
	expect(flaws("barriers") - before >= 2 * ROUNDS);
	close(second.vcpu);
	machine_destroy(&first);
}

/* A program, since an engine may interpret the guest's kernel: that trains nothing. */
static void before_user_mode(void)
{
	struct machine machine;
	struct user_end end;

	flaws("user");
	pin();
	user_create(&machine);
	user_load(&machine, trap, trap_end);
	for (unsigned int i = 0; i < ROUNDS; i++) {
		user_run(&machine, &end);
		expect_equal(end.vector, OPEN_VECTOR);
		expect_equal(flaws("user"), 1);
		/* It was taken back, and nothing but a guest asks for it. */
		expect_equal(flaws("user"), 0);
	}
	machine_destroy(&machine);
}

int main(void)
{
	static const struct tap_test tests[] = {
		{ "a barrier separates the vCPUs of two VMs", between_vms },
		{ "a barrier separates the vCPUs of one VM", between_vcpus },
		{ "a barrier precedes the launcher's user mode", before_user_mode },
	};

	return tap_run(tests, sizeof(tests) / sizeof(tests[0]));
}
