// SPDX-License-Identifier: GPL-2.0-only
/* The ABI refuses what it does not know: ioctls, flags, sizes, padding, addresses, ids. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "machine.h"

#define NOT_MAPPED	((void *)8)

static int call(int fd, unsigned long request, void *argument)
{
	return ioctl(fd, request, argument) < 0 ? -errno : 0;
}

static void version(void)
{
	int sys = machine_open();

	expect_equal(ioctl(sys, GONDOLA_GET_API_VERSION, 0), GONDOLA_API_VERSION);
	close(sys);
}

static void unknown_ioctl(void)
{
	struct machine machine;
	char argument[4096] = "";

	machine_bare(&machine);
	for (unsigned int nr = 0x70; nr < 0x100; nr++) {
		expect_equal(call(machine.sys, _IO('g', nr), argument), -ENOTTY);
		expect_equal(call(machine.vm, _IO('g', nr), argument), -ENOTTY);
		expect_equal(call(machine.vcpu, _IO('g', nr), argument), -ENOTTY);
	}
	/* Known ones at the wrong descriptor. */
	expect_equal(call(machine.sys, GONDOLA_RUN, argument), -ENOTTY);
	expect_equal(call(machine.vm, GONDOLA_CREATE_VM, argument), -ENOTTY);
	expect_equal(call(machine.vcpu, GONDOLA_SET_MEMORY, argument), -ENOTTY);
	/* The right number with another size in it. */
	expect_equal(call(machine.sys, _IOWR('g', 0x01, char[8]), argument), -ENOTTY);
	machine_destroy(&machine);
}

/* Every call that takes a structure: @size and @flags come first in all of them. */
struct sized_call {
	const char *name;
	unsigned long request;
	uint32_t size;
};

/* A head that is not the call's, and no memory at all. */
static void wrong_heads(int fd, const struct sized_call *made)
{
	static const uint32_t wrong[] = { 0, 4, 1u << 31, ~0u };
	uint32_t argument[1200] __attribute__((aligned(8)));
	int ret;

	require(made->size <= sizeof(argument));
	for (unsigned int i = 0; i < 6; i++) {
		memset(argument, 0, sizeof(argument));
		argument[0] = i < 4 ? wrong[i] : made->size + (i == 4 ? 8 : -8);
		ret = call(fd, made->request, argument);
		tap_check(ret == -EINVAL, false, "%s with size %u: %s", made->name, argument[0],
			  strerror(-ret));
	}
	for (unsigned int bit = 8; bit < 32; bit++) {
		memset(argument, 0, sizeof(argument));
		argument[0] = made->size;
		argument[1] = 1u << bit;
		ret = call(fd, made->request, argument);
		tap_check(ret == -EINVAL, false, "%s with flag %u: %s", made->name, bit,
			  strerror(-ret));
	}
	ret = call(fd, made->request, NOT_MAPPED);
	tap_check(ret == -EFAULT, false, "%s with a wild pointer: %s", made->name, strerror(-ret));
}

static void wrong_heads_of(int fd, const struct sized_call *calls, size_t count)
{
	for (size_t i = 0; i < count; i++)
		wrong_heads(fd, &calls[i]);
}

static void sizes_and_flags(void)
{
#define CALL(request, type) { #request, request, sizeof(struct type) }
	static const struct sized_call of_sys[] = {
		CALL(GONDOLA_PREFLIGHT, gondola_preflight),
		CALL(GONDOLA_CREATE_VM, gondola_create_vm),
		CALL(GONDOLA_GET_SUPPORTED_CPUID, gondola_cpuid),
	};
	static const struct sized_call of_vm[] = {
		CALL(GONDOLA_SET_MEMORY, gondola_memory_slot),
		CALL(GONDOLA_CREATE_VCPU, gondola_create_vcpu),
		CALL(GONDOLA_IRQ_LINE, gondola_irq_line),
		CALL(GONDOLA_GET_DIRTY, gondola_dirty_log),
		CALL(GONDOLA_CLEAR_DIRTY, gondola_dirty_log),
		CALL(GONDOLA_MARK_DIRTY, gondola_mark_dirty),
		CALL(GONDOLA_MARK, gondola_mark),
		CALL(GONDOLA_NAME_DEVICE, gondola_name_device),
		CALL(GONDOLA_IOEVENTFD, gondola_ioeventfd),
		CALL(GONDOLA_IRQFD, gondola_irqfd),
		CALL(GONDOLA_GET_SHADOWS, gondola_shadows),
		CALL(GONDOLA_SET_XEN, gondola_xen_config),
		CALL(GONDOLA_XEN_RAISE, gondola_xen_raise),
		CALL(GONDOLA_XEN_UNKNOWN, gondola_xen_unknown),
		CALL(GONDOLA_GET_STATE, gondola_state),
		CALL(GONDOLA_SET_STATE, gondola_state),
	};
	static const struct sized_call of_vcpu[] = {
		CALL(GONDOLA_SET_CPUID, gondola_cpuid),
		CALL(GONDOLA_GET_STATS, gondola_stats),
		CALL(GONDOLA_GET_HISTORY, gondola_history),
		CALL(GONDOLA_SET_DEBUG, gondola_debug),
		CALL(GONDOLA_GET_SHADOW, gondola_shadow),
		CALL(GONDOLA_GET_STATE, gondola_state),
		CALL(GONDOLA_SET_STATE, gondola_state),
	};
#undef CALL
	struct machine machine;

	machine_bare(&machine);
	wrong_heads_of(machine.sys, of_sys, sizeof(of_sys) / sizeof(of_sys[0]));
	wrong_heads_of(machine.vm, of_vm, sizeof(of_vm) / sizeof(of_vm[0]));
	wrong_heads_of(machine.vcpu, of_vcpu, sizeof(of_vcpu) / sizeof(of_vcpu[0]));
	machine_destroy(&machine);
}

static void padding(void)
{
	struct machine machine;
	struct gondola_cpuid cpuid = { .size = sizeof(cpuid), .engine = GONDOLA_ENGINE_COUNT };
	struct gondola_create_vcpu vcpu = { .size = sizeof(vcpu), .id = 1, .pad = 1 };
	struct gondola_memory_slot slot = { .size = sizeof(slot), .pad = 1, .bytes = 4096 };

	machine_bare(&machine);
	expect_equal(call(machine.sys, GONDOLA_GET_SUPPORTED_CPUID, &cpuid), -EINVAL);
	expect_equal(call(machine.vcpu, GONDOLA_SET_CPUID, &cpuid), -EINVAL);
	expect_equal(call(machine.vm, GONDOLA_CREATE_VCPU, &vcpu), -EINVAL);
	slot.hva = (uintptr_t)mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
				   -1, 0);
	expect_equal(call(machine.vm, GONDOLA_SET_MEMORY, &slot), -EINVAL);
	slot.pad = 0;
	expect_equal(call(machine.vm, GONDOLA_SET_MEMORY, &slot), 0);
	munmap((void *)(uintptr_t)slot.hva, 4096);
	machine_destroy(&machine);
}

/* The launcher's devices have numbers and names, its loaders have none. */
static void devices(void)
{
	struct machine machine;
	struct gondola_mark_dirty mark = {
		.size = sizeof(mark), .source = GONDOLA_DIRTY_DEVICE, .bytes = 1,
	};
	struct gondola_name_device name = { .size = sizeof(name) };

	machine_create(&machine, MODE_UNPAGED);
	for (uint32_t device = 0; device <= GONDOLA_MAX_DEVICES + 1; device++) {
		bool right = device && device <= GONDOLA_MAX_DEVICES;

		expect_equal(__gondola_name_device(machine.vm, device, "disk0"),
			     right ? 0 : -EINVAL);
		mark.device = device;
		mark.source = GONDOLA_DIRTY_DEVICE;
		expect_equal(call(machine.vm, GONDOLA_MARK_DIRTY, &mark),
			     device <= GONDOLA_MAX_DEVICES ? 0 : -EINVAL);
		mark.source = GONDOLA_DIRTY_HOST;
		expect_equal(call(machine.vm, GONDOLA_MARK_DIRTY, &mark), device ? -EINVAL : 0);
	}
	name.device = 1;
	memset(name.name, 'x', sizeof(name.name));
	expect_equal(call(machine.vm, GONDOLA_NAME_DEVICE, &name), -EINVAL);
	name.name[sizeof(name.name) - 1] = 0;
	expect_equal(call(machine.vm, GONDOLA_NAME_DEVICE, &name), 0);
	/* A terminal would obey it. */
	name.name[1] = 0x1b;
	expect_equal(call(machine.vm, GONDOLA_NAME_DEVICE, &name), -EINVAL);
	name.name[1] = 'x';
	name.pad = 1;
	expect_equal(call(machine.vm, GONDOLA_NAME_DEVICE, &name), -EINVAL);
	machine_destroy(&machine);
}

static void names_and_engines(void)
{
	struct gondola_create_vm args = { .size = sizeof(args) };
	struct gondola_preflight preflight;
	int sys = machine_open();

	memset(args.name, 'x', sizeof(args.name));
	expect_equal(call(sys, GONDOLA_CREATE_VM, &args), -EINVAL);
	strcpy(args.name, "a\033[2J");
	expect_equal(call(sys, GONDOLA_CREATE_VM, &args), -EINVAL);
	args.name[0] = 0;
	args.engine = GONDOLA_ENGINE_COUNT;
	expect_equal(call(sys, GONDOLA_CREATE_VM, &args), -EINVAL);
	expect_equal(__gondola_preflight(sys, 1000, &preflight), -EINVAL);
	/* An engine that the preflight refuses makes no VM. */
	for (uint32_t engine = 1; engine < GONDOLA_ENGINE_COUNT; engine++) {
		int vm;

		require_equal(__gondola_preflight(sys, engine, &preflight), 0);
		expect_equal(preflight.engine, engine);
		vm = __gondola_create_vm(sys, engine, "");
		if (preflight.reason == GONDOLA_PF_OK)
			expect(vm >= 0);
		else
			expect(vm == -ENODEV || vm == -EBUSY);
		if (vm >= 0)
			close(vm);
	}
	close(sys);
}

static void vcpu_ids(void)
{
	struct machine machine;

	machine_bare(&machine);
	expect_equal(__gondola_create_vcpu(machine.vm, 0), -EEXIST);
	expect_equal(__gondola_create_vcpu(machine.vm, GONDOLA_MAX_VCPUS), -EINVAL);
	expect_equal(__gondola_create_vcpu(machine.vm, 1000), -EINVAL);
	expect_equal(__gondola_create_vcpu(machine.vm, ~0u), -EINVAL);
	machine_destroy(&machine);
}

static void irq_lines(void)
{
	struct machine machine;
	struct gondola_irq_line line = { .size = sizeof(line), .gsi = 4, .level = 2 };

	machine_bare(&machine);
	expect_equal(__gondola_irq_line(machine.vm, 4, true), 0);
	expect_equal(__gondola_irq_line(machine.vm, 4, false), 0);
	expect_equal(__gondola_irq_line(machine.vm, GONDOLA_NR_GSI, true), -EINVAL);
	expect_equal(__gondola_irq_line(machine.vm, ~0u, true), -EINVAL);
	expect_equal(call(machine.vm, GONDOLA_IRQ_LINE, &line), -EINVAL);
	machine_destroy(&machine);
}

static void run_before_setup(void)
{
	struct gondola_cpuid_entry cpuid[GONDOLA_MAX_CPUID];
	uint32_t leaves = GONDOLA_MAX_CPUID;
	struct machine machine;

	machine_bare(&machine);
	expect_equal(machine_enter(&machine), -ENOEXEC);
	require_equal(__gondola_supported_cpuid(machine.sys, cpuid, &leaves), 0);
	require_equal(__gondola_set_cpuid(machine.vcpu, cpuid, leaves), 0);
	expect_equal(machine_enter(&machine), -ENOEXEC);
	machine_destroy(&machine);
}

static void cpuid_lists(void)
{
	struct gondola_cpuid_entry cpuid[GONDOLA_MAX_CPUID + 1] = { };
	uint32_t leaves = GONDOLA_MAX_CPUID, room = 1;
	struct machine machine;

	machine_bare(&machine);
	expect_equal(__gondola_supported_cpuid(machine.sys, cpuid, &room), -E2BIG);
	require_equal(__gondola_supported_cpuid(machine.sys, cpuid, &leaves), 0);
	expect_equal(room, leaves);
	expect_equal(__gondola_supported_cpuid(machine.sys, NOT_MAPPED, &leaves), -EFAULT);
	expect_equal(__gondola_set_cpuid(machine.vcpu, NOT_MAPPED, leaves), -EFAULT);
	expect_equal(__gondola_set_cpuid(machine.vcpu, cpuid, 0), -EINVAL);
	expect_equal(__gondola_set_cpuid(machine.vcpu, cpuid, GONDOLA_MAX_CPUID + 1), -EINVAL);
	/* A feature that is not offered: VMX. */
	for (uint32_t i = 0; i < leaves; i++)
		if (cpuid[i].function == 1)
			cpuid[i].ecx |= 1u << 5;
	expect_equal(__gondola_set_cpuid(machine.vcpu, cpuid, leaves), -EINVAL);
	machine_destroy(&machine);
}

GUEST_CODE(report, 64, "mov $7, %eax; out %eax, $0x80; jmp .");

static void cpuid_is_fixed(void)
{
	struct gondola_cpuid_entry cpuid[GONDOLA_MAX_CPUID];
	uint32_t leaves = GONDOLA_MAX_CPUID;
	struct machine machine;

	/* State that was judged by it is there before the guest runs: CR4.PAE here. */
	machine_create(&machine, MODE_LONG);
	require_equal(__gondola_supported_cpuid(machine.sys, cpuid, &leaves), 0);
	expect_equal(__gondola_set_cpuid(machine.vcpu, cpuid, leaves), -EBUSY);
	for (uint32_t i = 0; i < leaves; i++)
		if (cpuid[i].function == 1)
			cpuid[i].edx &= ~(1u << 6);
	expect_equal(__gondola_set_cpuid(machine.vcpu, cpuid, leaves), -EBUSY);
	GUEST_LOAD(&machine, report);
	require_equal(machine_result(&machine), 7);
	expect_equal(__gondola_set_cpuid(machine.vcpu, cpuid, leaves), -EBUSY);
	machine_destroy(&machine);
}

static void run_page(void)
{
	struct machine machine;
	void *map;

	machine_create(&machine, MODE_LONG);
	GUEST_LOAD(&machine, report);
	expect_equal(machine.run->size, GONDOLA_RUN_SIZE);
	machine.run->flags = 1;
	expect_equal(machine_enter(&machine), -EINVAL);
	machine.run->flags = 0;
	machine.run->immediate_exit = 1;
	expect_equal(machine_enter(&machine), -EINTR);
	machine.run->immediate_exit = 0;
	expect_equal(machine_result(&machine), 7);
	map = mmap(NULL, 4096, PROT_READ, MAP_SHARED, machine.vcpu, 0);
	expect(map == MAP_FAILED && errno == EINVAL);
	map = mmap(NULL, GONDOLA_RUN_SIZE, PROT_READ, MAP_PRIVATE, machine.vcpu, 0);
	expect(map == MAP_FAILED && errno == EINVAL);
	map = mmap(NULL, GONDOLA_RUN_SIZE, PROT_READ, MAP_SHARED, machine.vcpu, 4096);
	expect(map == MAP_FAILED && errno == EINVAL);
	machine_destroy(&machine);
}

/* A child has the descriptors, but not the address space that the slots are in. */
static void other_process(void)
{
	struct machine machine;
	int status;
	pid_t child;

	machine_create(&machine, MODE_LONG);
	child = fork();
	require(child >= 0);
	if (!child)
		_exit(machine_enter(&machine) == -EIO &&
		      __gondola_irq_line(machine.vm, 4, true) == -EIO ? 0 : 1);
	require_equal(waitpid(child, &status, 0), child);
	expect_equal(status, 0);
	machine_destroy(&machine);
}

/* The VM lives as long as any descriptor of it. */
static void descriptors(void)
{
	struct machine machine;

	machine_create(&machine, MODE_LONG);
	GUEST_LOAD(&machine, report);
	close(machine.vm);
	close(machine.sys);
	expect_equal(machine_result(&machine), 7);
	munmap(machine.run, GONDOLA_RUN_SIZE);
	close(machine.vcpu);
	munmap(machine.memory, MEMORY_BYTES);
}

#define MAX_VMS		"/sys/module/gondola/parameters/max_vms"

static void set_max_vms(unsigned int max)
{
	FILE *file = fopen(MAX_VMS, "w");

	require(file);
	require(fprintf(file, "%u", max) > 0);
	require_equal(fclose(file), 0);
}

/* Memory that no cgroup pays for is bounded by the number of VMs. */
static void number_of_vms(void)
{
	int vms[3], sys = machine_open();
	unsigned int before;
	FILE *file;

	if (geteuid())
		tap_skip("the limit is root's to set");
	file = fopen(MAX_VMS, "r");
	require(file);
	require_equal(fscanf(file, "%u", &before), 1);
	fclose(file);
	set_max_vms(2);
	for (int i = 0; i < 3; i++)
		vms[i] = __gondola_create_vm(sys, GONDOLA_ENGINE_ANY, "");
	expect(vms[0] >= 0);
	expect(vms[1] >= 0);
	expect_equal(vms[2], -EUSERS);
	/* A refusal takes no place, and an end gives one back. */
	expect_equal(__gondola_create_vm(sys, GONDOLA_ENGINE_ANY, ""), -EUSERS);
	close(vms[0]);
	vms[2] = __gondola_create_vm(sys, GONDOLA_ENGINE_ANY, "");
	expect(vms[2] >= 0);
	set_max_vms(before);
	close(vms[1]);
	close(vms[2]);
	close(sys);
}

/* Calls of functions on other processors, from /proc/interrupts. */
static unsigned long function_calls(void)
{
	FILE *file = fopen("/proc/interrupts", "r");
	unsigned long sum = 0, count;
	char line[4096];

	require(file);
	while (fgets(line, sizeof(line), file)) {
		char *at = strstr(line, "CAL:"), *end;

		if (!at)
			continue;
		for (at += 4; count = strtoul(at, &end, 10), end != at; at = end)
			sum += count;
	}
	fclose(file);
	return sum;
}

#define PREFLIGHTS	5000

/* Anybody with the device may ask as often as it likes, but not interrupt everybody so often. */
static void preflight_is_quiet(void)
{
	struct gondola_preflight preflight;
	int sys = machine_open();
	unsigned long before;

	if (sysconf(_SC_NPROCESSORS_ONLN) < 2)
		tap_skip("there is no other processor to interrupt");
	before = function_calls();
	for (unsigned int i = 0; i < PREFLIGHTS; i++)
		for (uint32_t engine = 1; engine < GONDOLA_ENGINE_COUNT; engine++)
			require_equal(__gondola_preflight(sys, engine, &preflight), 0);
	expect(function_calls() - before < PREFLIGHTS / 2);
	close(sys);
}

static const struct tap_test tests[] = {
	{ "the version is the header's", version },
	{ "unknown ioctls are refused", unknown_ioctl },
	{ "wrong sizes, unknown flags and wild pointers are refused", sizes_and_flags },
	{ "padding must be zero", padding },
	{ "devices have numbers and names", devices },
	{ "names end, engines exist and are usable", names_and_engines },
	{ "a vCPU's id is free and below the maximum", vcpu_ids },
	{ "interrupt lines exist", irq_lines },
	{ "RUN before setup is refused", run_before_setup },
	{ "CPUID takes what is supported and no more", cpuid_lists },
	{ "CPUID is set once", cpuid_is_fixed },
	{ "the run page is mapped whole, and obeyed", run_page },
	{ "another process may not use the VM", other_process },
	{ "a vCPU's descriptor keeps its VM alive", descriptors },
	{ "the number of VMs has a bound", number_of_vms },
	{ "preflight does not interrupt as often as it is asked", preflight_is_quiet },
};

TAP_MAIN(tests)
