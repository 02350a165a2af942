// SPDX-License-Identifier: GPL-2.0-only
/* The run loop of a vCPU: handles each reason for which GONDOLA_RUN returns. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <x86intrin.h>

#include "sandbox/sandbox.h"
#include "vm.h"

static void error(struct vcpu *vcpu, const char *words)
{
	vcpu->vm->end_vcpu = (int)vcpu->id;
	vm_end(vcpu->vm, VM_ERROR, "vCPU %u: %s", vcpu->id, words);
}

static void on_interrupted(struct vcpu *vcpu)
{
	/* A thread that kicks sets its request first; vm_ending() is checked next. */
	__atomic_store_n(&vcpu->run->immediate_exit, 0, __ATOMIC_RELEASE);
}

static void on_io(struct vcpu *vcpu)
{
	struct gondola_run *run = vcpu->run;
	uint32_t count = run->io.count, width = run->io.width, offset = run->io.offset;
	char *data = (char *)run + offset;

	if ((width != 1 && width != 2 && width != 4) || offset > GONDOLA_RUN_SIZE ||
	    count > (GONDOLA_RUN_SIZE - offset) / width) {
		error(vcpu, "the module described a port access that does not fit its page");
		return;
	}
	vm_lock_devices(vcpu->vm);
	for (uint32_t i = 0; i < count; i++)
		bus_access(&vcpu->vm->pio, run->io.port, data + i * width, width, run->io.write);
	vm_unlock_devices(vcpu->vm);
}

static void on_mmio(struct vcpu *vcpu)
{
	struct gondola_run *run = vcpu->run;

	if (run->mmio.bytes == 0 || run->mmio.bytes > sizeof(run->mmio.data)) {
		error(vcpu, "the module described a memory access of a wrong size");
		return;
	}
	vm_lock_devices(vcpu->vm);
	bus_access(&vcpu->vm->mmio, run->mmio.gpa, run->mmio.data, run->mmio.bytes,
		   run->mmio.write);
	vm_unlock_devices(vcpu->vm);
}

static void on_shutdown(struct vcpu *vcpu)
{
	vcpu->vm->end_vcpu = (int)vcpu->id;
	vm_end(vcpu->vm, VM_TRIPLE_FAULT, "the guest's vCPU %u triple-faulted", vcpu->id);
}

static void on_failure(struct vcpu *vcpu)
{
	const struct gondola_run *run = vcpu->run;
	char words[256];

	snprintf(words, sizeof(words), "%s (hardware reason 0x%x, error 0x%x, qualification 0x%llx%s%.*s)",
		 run->exit == GONDOLA_EXIT_ENTRY_FAILED ?
		 "the processor refused the guest's state" :
		 "the guest left for a reason that the module does not know",
		 run->fail.hw_reason, run->fail.hw_error,
		 (unsigned long long)run->fail.qualification,
		 run->fail.field[0] ? ", field " : "", (int)sizeof(run->fail.field),
		 run->fail.field);
	error(vcpu, words);
}

static bool tell_debugger(struct vcpu *vcpu, uint32_t why)
{
	bool (*stopped)(struct vcpu *vcpu, uint32_t why);

	stopped = __atomic_load_n(&vcpu->vm->stopped, __ATOMIC_ACQUIRE);
	return stopped && stopped(vcpu, why);
}

static void on_debug(struct vcpu *vcpu)
{
	/* The debugger may have left meanwhile: the next GONDOLA_RUN continues. */
	tell_debugger(vcpu, vcpu->run->debug.why);
}

static void on_emulation(struct vcpu *vcpu)
{
	const struct gondola_run *run = vcpu->run;
	char insn[3 * sizeof(run->emulation.insn) + 1] = " (no bytes there)";
	char words[256];

	if (tell_debugger(vcpu, 0))
		return;
	for (uint32_t i = 0; i < run->emulation.bytes && i < sizeof(run->emulation.insn); i++)
		sprintf(insn + 3 * i, " %02x", run->emulation.insn[i]);
	snprintf(words, sizeof(words), "the emulator does not know the instruction at 0x%llx; the bytes from there on:%s",
		 (unsigned long long)run->emulation.rip, insn);
	error(vcpu, words);
}

/* The module must not wait for a page of ours, so wait here, by touching it. */
static void on_memory(struct vcpu *vcpu)
{
	const struct gondola_run *run = vcpu->run;
	uint8_t *at = memory_at(&vcpu->vm->memory, run->memory.gpa, 1);

	if (!at)
		error(vcpu, "the module asks for guest memory that is not there");
	else if (vcpu->vm->absent && vcpu->vm->absent(vcpu, run->memory.gpa))
		return;
	else if (run->memory.write)
		__atomic_fetch_or(at, 0, __ATOMIC_RELAXED);
	else
		(void)*(volatile uint8_t *)at;
}

static void on_xen(struct vcpu *vcpu)
{
	const struct gondola_run *run = vcpu->run;
	uint32_t value = run->xen.value;

	vm_lock_devices(vcpu->vm);
	if (vcpu->vm->on_xen)
		vcpu->vm->on_xen(vcpu->vm, run->xen.op, value,
				 (const char *)run + GONDOLA_RUN_IO_OFFSET);
	vm_unlock_devices(vcpu->vm);
}

static void (*const handlers[])(struct vcpu *vcpu) = {
	[GONDOLA_EXIT_INTR] = on_interrupted,
	[GONDOLA_EXIT_IO] = on_io,
	[GONDOLA_EXIT_MMIO] = on_mmio,
	[GONDOLA_EXIT_SHUTDOWN] = on_shutdown,
	[GONDOLA_EXIT_ENTRY_FAILED] = on_failure,
	[GONDOLA_EXIT_UNKNOWN] = on_failure,
	[GONDOLA_EXIT_EMULATION] = on_emulation,
	[GONDOLA_EXIT_MEMORY] = on_memory,
	[GONDOLA_EXIT_DEBUG] = on_debug,
	[GONDOLA_EXIT_XEN] = on_xen,
};

static void handle(struct vcpu *vcpu)
{
	uint32_t reason = vcpu->run->exit;
	char words[128];

	if (reason < sizeof(handlers) / sizeof(handlers[0]) && handlers[reason]) {
		handlers[reason](vcpu);
		return;
	}
	snprintf(words, sizeof(words), "the module left with %u, which this launcher does not know",
		 reason);
	error(vcpu, words);
}

bool vcpu_run_once(struct vcpu *vcpu)
{
	char words[160];
	int ret = __gondola_run(vcpu->fd);

	vcpu->ran = true;
	if (ret == -EINTR || ret == -EAGAIN) {
		on_interrupted(vcpu);
		return false;
	}
	if (ret < 0) {
		snprintf(words, sizeof(words), "the module cannot run it: %s", strerror(-ret));
		error(vcpu, words);
		return false;
	}
	handle(vcpu);
	return true;
}

static void vcpu_rest(struct vcpu *vcpu)
{
	void (*rest)(struct vcpu *vcpu);

	rest = __atomic_load_n(&vcpu->vm->rest, __ATOMIC_ACQUIRE);
	if (rest)
		rest(vcpu);
}

void *vcpu_thread(void *argument)
{
	struct vcpu *vcpu = argument;

	sandbox_thread(SANDBOX_VCPU);
	__atomic_store_n(&vcpu->tid, gettid(), __ATOMIC_RELAXED);
	vcpu->started = __rdtsc();
	while (!vm_ending(vcpu->vm)) {
		vcpu_park(vcpu);
		vcpu_rest(vcpu);
		/* The VM may have ended while we waited: then it runs elsewhere, or not at all. */
		if (!vm_ending(vcpu->vm))
			vcpu_run_once(vcpu);
	}
	vcpu->ended = __rdtsc();
	return NULL;
}
