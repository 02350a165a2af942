// SPDX-License-Identifier: GPL-2.0-only
/* Module and machine: loaded and unloaded over and over, beside KVM, and with VMs at work. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "machine.h"

#define MODULE		"/gondola.ko"
#define ROUNDS		20
#define PATIENCE_MS	30000

GUEST_CODE(report, 64, "1: mov $7, %eax; out %eax, $0x80; jmp 1b");

/* The parameters of the module that was unloaded last: it is loaded with the same ones again. */
static char parameters[32];

static void note_parameters(void)
{
	FILE *f = fopen("/sys/module/gondola/parameters/engine", "re");
	char engine[16];

	if (!f)
		return;
	if (fscanf(f, "%15s", engine) == 1)
		snprintf(parameters, sizeof(parameters), "engine=%s", engine);
	fclose(f);
}

static int load(void)
{
	int fd = open(MODULE, O_RDONLY | O_CLOEXEC), ret;

	if (fd < 0)
		return -errno;
	ret = syscall(SYS_finit_module, fd, parameters, 0) ? -errno : 0;
	close(fd);
	return ret;
}

static int unload(void)
{
	note_parameters();
	return syscall(SYS_delete_module, "gondola", O_NONBLOCK) ? -errno : 0;
}

/* Closed VMs may hold the module for a moment, until their memory is freed. */
static int unload_soon(void)
{
	int ret = -EWOULDBLOCK;

	for (int waited = 0; waited < PATIENCE_MS && ret == -EWOULDBLOCK; waited += 50) {
		ret = unload();
		if (ret == -EWOULDBLOCK)
			usleep(50000);
	}
	return ret;
}

static void need_module(void)
{
	machine_need_engine();
	if (access(MODULE, R_OK))
		tap_skip("there is no %s to load", MODULE);
}

static void in_use(void)
{
	struct machine machine;

	need_module();
	machine_create(&machine, MODE_LONG);
	GUEST_LOAD(&machine, report);
	expect_equal(unload(), -EWOULDBLOCK);
	/* It lost nothing by the attempt. */
	expect_equal(machine_result(&machine), 7);
	expect_equal(unload(), -EWOULDBLOCK);
	machine_destroy(&machine);
	expect_equal(unload_soon(), 0);
	require_equal(load(), 0);
}

static void over_and_over(void)
{
	struct machine machine;

	need_module();
	for (int i = 0; i < ROUNDS; i++) {
		require_equal(unload_soon(), 0);
		expect(access(GONDOLA_DEVICE, F_OK) && errno == ENOENT);
		require_equal(load(), 0);
		/* Every other time without a VM in between. */
		if (i % 2)
			continue;
		machine_create(&machine, MODE_LONG);
		GUEST_LOAD(&machine, report);
		expect_equal(machine_result(&machine), 7);
		machine_destroy(&machine);
	}
	expect_equal(debugfs("vms"), 0);
}

/* The other hypervisor for this processor, or skip the test. */
static const char *kvm_of(uint32_t engine)
{
	if (system("grep -qs 'kvm-[ai]' /lib/modules/$(uname -r)/modules.dep"))
		tap_skip("this kernel has no KVM");
	if (engine == GONDOLA_ENGINE_RING3)
		tap_skip("the engine takes nothing that KVM needs");
	return engine == GONDOLA_ENGINE_VMX ? "kvm_intel" : "kvm_amd";
}

static int load_kvm(const char *name)
{
	char command[64];

	snprintf(command, sizeof(command), "modprobe %s", name);
	return system(command);
}

static void unload_kvm(const char *name)
{
	char command[64];

	snprintf(command, sizeof(command), "rmmod %s", name);
	expect_equal(system(command), 0);
}

static uint32_t usable_engine(int sys)
{
	struct gondola_preflight preflight;

	require_equal(__gondola_preflight(sys, GONDOLA_ENGINE_ANY, &preflight), 0);
	return preflight.engine;
}

static void beside_kvm(void)
{
	struct gondola_preflight preflight;
	int sys = machine_open(), vm;
	uint32_t engine = usable_engine(sys);
	const char *kvm = kvm_of(engine);

	require_equal(load_kvm(kvm), 0);
	require_equal(__gondola_preflight(sys, engine, &preflight), 0);
	expect_equal(preflight.reason, GONDOLA_PF_IN_USE);
	expect(strstr(preflight.detail, kvm));
	expect_equal(__gondola_create_vm(sys, engine, ""), -EBUSY);
	expect_equal(__gondola_create_vm(sys, GONDOLA_ENGINE_ANY, ""), -EBUSY);
	/* In words, and with what to do. */
	expect_equal(system("gondola probe | tee /tmp/probe; grep -q 'another hypervisor' /tmp/probe"), 0);
	expect_equal(system("grep -q \"rmmod kvm_\" /tmp/probe"), 0);
	unlink("/tmp/probe");
	/* Being loaded beside it is no error. */
	if (!access(MODULE, R_OK)) {
		close(sys);
		expect_equal(unload_soon(), 0);
		require_equal(load(), 0);
		sys = __gondola_open();
		require(sys >= 0);
		expect_equal(__gondola_create_vm(sys, engine, ""), -EBUSY);
	}
	unload_kvm(kvm);
	vm = __gondola_create_vm(sys, engine, "");
	expect(vm >= 0);
	close(vm);
	close(sys);
}

/*
 * Kernels differ in when KVM takes the processors, and what it says of the slot for crashes that it
 * finds taken; here it is refused on all of them before it does any of that.
 */
static void before_kvm(void)
{
	struct machine machine;
	const char *name;

	machine_create(&machine, MODE_LONG);
	GUEST_LOAD(&machine, report);
	name = kvm_of(machine.engine);
	expect_equal(machine_result(&machine), 7);
	for (int i = 0; i < 2; i++) {
		expect(load_kvm(name));
		expect(access("/dev/kvm", F_OK) && errno == ENOENT);
	}
	expect_equal(system("dmesg | grep 'kvm_.* is not loaded: VMs run'"), 0);
	expect_equal(machine_result(&machine), 7);
	machine_destroy(&machine);
	expect_equal(unload_soon(), 0);
	require_equal(load(), 0);

	/* Once they are gone it comes, and goes. */
	expect_equal(load_kvm(name), 0);
	expect(!access("/dev/kvm", F_OK));
	unload_kvm(name);
	machine_create(&machine, MODE_LONG);
	machine_destroy(&machine);
}

/* Fills 1 MiB … 3 MiB with words from %ebx, adds them up again, tells the sum; for ever. */
GUEST_CODE(fill_and_sum, 64,
	   "sti; 1: mov $0x100000, %edi; mov %ebx, %eax\n"
	   "2: mov %eax, (%rdi); add %ebx, %eax; add $64, %edi; cmp $0x300000, %edi; jb 2b\n"
	   "mov $0x100000, %edi; xor %eax, %eax\n"
	   "3: add (%rdi), %eax; add $64, %edi; cmp $0x300000, %edi; jb 3b\n"
	   "out %eax, $0x80; jmp 1b");

struct worker {
	struct machine machine;
	pthread_t thread;
	uint32_t seed;
	unsigned int wrong;
	unsigned int rounds;
};

static uint32_t expected_sum(uint32_t seed)
{
	uint32_t sum = 0, word = seed;

	for (uint32_t at = 0x100000; at < 0x300000; at += 64, word += seed)
		sum += word;
	return sum;
}

static int started;

static void *work(void *argument)
{
	struct worker *worker = argument;
	struct machine *machine = &worker->machine;
	uint32_t sum;

	/* None may end before all have begun. */
	__atomic_fetch_add(&started, 1, __ATOMIC_ACQ_REL);
	while (__atomic_load_n(&started, __ATOMIC_ACQUIRE) < 2)
		usleep(1000);
	for (int i = 0; i < 20; i++) {
		if (machine_enter(machine) || machine->run->exit != GONDOLA_EXIT_IO)
			break;
		memcpy(&sum, (char *)machine->run + machine->run->io.offset, 4);
		worker->wrong += sum != expected_sum(worker->seed);
		worker->rounds++;
	}
	return NULL;
}

static void two_at_once(void)
{
	static struct worker workers[2] = { { .seed = 0x01234567 }, { .seed = 0x89abcdef } };

	for (int i = 0; i < 2; i++) {
		machine_create(&workers[i].machine, MODE_LONG);
		GUEST_LOAD(&workers[i].machine, fill_and_sum);
		workers[i].machine.regs.gpr[3] = workers[i].seed;
		machine_set(&workers[i].machine);
	}
	if (debugfs("vms") >= 0)
		expect_equal(debugfs("vms"), 2);
	for (int i = 0; i < 2; i++)
		require_equal(pthread_create(&workers[i].thread, NULL, work, &workers[i]), 0);
	for (int i = 0; i < 2; i++)
		require_equal(pthread_join(workers[i].thread, NULL), 0);
	for (int i = 0; i < 2; i++) {
		expect_equal(workers[i].rounds, 20);
		expect_equal(workers[i].wrong, 0);
		for (uint32_t at = 0x100000, word = workers[i].seed; at < 0x300000;
		     at += 64, word += workers[i].seed)
			require_equal(*(uint32_t *)(workers[i].machine.memory + at), word);
		machine_destroy(&workers[i].machine);
	}
}

static const struct tap_test tests[] = {
	{ "two VMs at once keep their data apart", two_at_once },
	{ "unloading is refused while there is a VM", in_use },
	{ "20 times unloaded and loaded", over_and_over },
	{ "with KVM loaded the engine is taken, and says so", beside_kvm },
	{ "KVM is not loaded while gondola has a VM", before_kvm },
};

TAP_MAIN(tests)
