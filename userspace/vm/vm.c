// SPDX-License-Identifier: GPL-2.0-only
#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>

#include "cpuid.h"
#include "base/fail.h"
#include "base/signals.h"
#include "base/terminal.h"
#include "base/wait.h"
#include "vm.h"

/* Ends GONDOLA_RUN and a blocking write; its handler has nothing else to do. */
#define KICK_SIGNAL	SIGUSR1

static void on_kick(int signal)
{
	(void)signal;
}

static void open_device(struct vm *vm, uint32_t engine)
{
	struct gondola_preflight preflight;
	const char *advice;
	int ret;

	vm->sys = __gondola_open();
	if (vm->sys == -ENOENT)
		fail(EXIT_CODE_NO_ENGINE, "%s is not there: is the module loaded? (insmod gondola.ko)",
		     GONDOLA_DEVICE);
	if (vm->sys == -EACCES || vm->sys == -EPERM)
		fail(EXIT_CODE_NO_ENGINE, "%s may not be opened by this user", GONDOLA_DEVICE);
	if (vm->sys < 0)
		fail(EXIT_CODE_NO_ENGINE, "cannot use %s: %s", GONDOLA_DEVICE,
		     vm->sys == -EPROTO ? "it speaks another version of the ABI" :
		     strerror(-vm->sys));
	ret = __gondola_preflight(vm->sys, engine, &preflight);
	if (ret < 0)
		fail(EXIT_CODE_ERROR, "cannot ask for the engine \"%s\": %s",
		     gondola_engine_name(engine), strerror(-ret));
	vm->engine = preflight.engine;
	if (preflight.reason == GONDOLA_PF_OK) {
		/* For who waits there and wonders. */
		if (engine != GONDOLA_ENGINE_INTERP && vm->engine == GONDOLA_ENGINE_INTERP &&
		    isatty(STDERR_FILENO))
			say("no hardware can run it: the guest is interpreted, which is slow "
			    "(see gondola probe)");
		return;
	}
	advice = gondola_preflight_advice(preflight.engine, preflight.reason);
	fail(EXIT_CODE_NO_ENGINE, "engine \"%s\" cannot be used: %s%s%.*s%s%s (see gondola probe)",
	     gondola_engine_name(engine), gondola_preflight_words(preflight.reason),
	     preflight.detail[0] ? ": " : "", (int)sizeof(preflight.detail), preflight.detail,
	     advice ? "; " : "", advice ? advice : "");
}

static void choose_cpuid(struct vm *vm, unsigned int count, bool pv)
{
	vm->nr_cpuid = GONDOLA_MAX_CPUID;
	gondola_engine_cpuid(vm->sys, vm->engine, vm->cpuid, &vm->nr_cpuid);
	if (!pv)
		vm->nr_cpuid = cpuid_without_pv(vm->cpuid, vm->nr_cpuid);
	cpuid_set_topology(vm->cpuid, vm->nr_cpuid, count);
}

static void create_vcpus(struct vm *vm, unsigned int count, bool pv)
{
	if (!vm->nr_cpuid)
		choose_cpuid(vm, count, pv);
	for (unsigned int id = 0; id < count; id++) {
		struct vcpu *vcpu = &vm->vcpus[id];

		vcpu->vm = vm;
		vcpu->id = id;
		vcpu->fd = gondola_create_vcpu(vm->fd, id);
		vcpu->run = gondola_map_run(vcpu->fd);
		gondola_set_cpuid(vcpu->fd, vm->cpuid, vm->nr_cpuid);
		vm->nr_vcpus++;
	}
}

void vm_create(struct vm *vm, uint32_t engine, const char *name, unsigned int nr_vcpus, bool pv)
{
	vm->end_vcpu = -1;
	pthread_mutex_init(&vm->devices, NULL);
	pthread_mutex_init(&vm->end_lock, NULL);
	pause_init(&vm->pause);
	vm->busy = VM_STATE_RUNNING;
	vm->born_ns = vm_clock_ns(vm);
	snprintf(vm->name, sizeof(vm->name), "%s", name);
	open_device(vm, engine);
	vm->fd = __gondola_create_vm(vm->sys, vm->engine, name);
	if (vm->fd == -EBUSY || vm->fd == -ENODEV)
		fail(EXIT_CODE_NO_ENGINE, "engine \"%s\" was refused: %s (see gondola probe)",
		     gondola_engine_name(vm->engine), strerror(-vm->fd));
	if (vm->fd < 0)
		fail(EXIT_CODE_ERROR, "cannot create a virtual machine: %s", strerror(-vm->fd));
	memory_register(&vm->memory, vm->fd);
	create_vcpus(vm, nr_vcpus, pv);
	loop_init(&vm->loop);
}

void vm_destroy(struct vm *vm)
{
	for (unsigned int i = 0; i < vm->nr_vcpus; i++) {
		munmap(vm->vcpus[i].run, GONDOLA_RUN_SIZE);
		close(vm->vcpus[i].fd);
	}
	close(vm->fd);
	close(vm->sys);
	memory_destroy(&vm->memory);
}

void vm_add_pio(struct vm *vm, uint16_t start, unsigned int count, unsigned int width,
		const struct bus_ops *ops, void *device)
{
	int ret = bus_add(&vm->pio, start, count, width, ops, device);

	assert(!ret);
}

void vm_add_mmio(struct vm *vm, uint64_t start, uint64_t bytes, unsigned int width,
		 const struct bus_ops *ops, void *device)
{
	int ret = bus_add(&vm->mmio, start, bytes, width, ops, device);

	assert(!ret);
}

enum vm_state vm_state(struct vm *vm)
{
	enum vm_state busy = __atomic_load_n(&vm->busy, __ATOMIC_ACQUIRE);

	if (busy != VM_STATE_RUNNING)
		return busy;
	return vm_paused(vm) & ~(1u << PAUSE_INSPECT) ? VM_STATE_PAUSED : VM_STATE_RUNNING;
}

void vm_set_busy(struct vm *vm, enum vm_state busy)
{
	__atomic_store_n(&vm->busy, busy, __ATOMIC_RELEASE);
	if (vm->state_changed)
		vm->state_changed(vm);
}

bool vm_ending(struct vm *vm)
{
	return __atomic_load_n(&vm->end, __ATOMIC_ACQUIRE) != VM_RUNNING;
}

static void end(struct vm *vm, enum vm_end_kind kind, uint32_t value, const char *format,
		va_list args)
{
	pthread_mutex_lock(&vm->end_lock);
	if (!vm_ending(vm)) {
		vm->end_value = value;
		vsnprintf(vm->end_words, sizeof(vm->end_words), format, args);
		__atomic_store_n(&vm->end, kind, __ATOMIC_RELEASE);
	}
	pthread_mutex_unlock(&vm->end_lock);
	loop_stop(&vm->loop);
}

void vm_end(struct vm *vm, enum vm_end_kind kind, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	end(vm, kind, 0, format, args);
	va_end(args);
}

static void debug_exit(struct vm *vm, uint32_t value, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	end(vm, VM_DEBUG_EXIT, value, format, args);
	va_end(args);
}

void vm_debug_exit(struct vm *vm, uint32_t value)
{
	debug_exit(vm, value, "the guest wrote %u to the debug-exit port", value);
}

void vcpu_kick(struct vcpu *vcpu)
{
	__atomic_store_n(&vcpu->run->immediate_exit, 1, __ATOMIC_RELEASE);
	pthread_kill(vcpu->thread, KICK_SIGNAL);
}

static void on_signal(void *argument, int fd, short events)
{
	struct vm *vm = argument;
	struct signalfd_siginfo info;

	(void)events;
	if (read(fd, &info, sizeof(info)) != sizeof(info))
		return;
	if (info.ssi_signo == SIGCONT)
		terminal_again();
	else
		vm_end(vm, VM_STOPPED, "stopped by signal %u (%s)", info.ssi_signo,
		       strsignal(info.ssi_signo));
}

/* Blocked in all threads (they inherit it) and read from a descriptor. */
static void take_signals(struct vm *vm)
{
	struct sigaction kick = { .sa_handler = on_kick };
	sigset_t ends;
	int fd;

	signals_that_end(&ends);
	sigaddset(&ends, SIGCONT);
	pthread_sigmask(SIG_BLOCK, &ends, NULL);
	fd = signalfd(-1, &ends, SFD_CLOEXEC | SFD_NONBLOCK);
	if (fd < 0)
		fail(EXIT_CODE_ERROR, "cannot take signals: %s", strerror(errno));
	loop_add(&vm->loop, fd, POLLIN, on_signal, vm);
	/* No SA_RESTART: a kick has to end GONDOLA_RUN. */
	sigaction(KICK_SIGNAL, &kick, NULL);
	signal(SIGPIPE, SIG_IGN);
}

/* A kick may strike just before a vCPU's thread blocks in a write: repeat it until it is gone. */
static void join(struct vcpu *vcpu)
{
	unsigned int kicks = 0;
	struct timespec until;

	do {
		vcpu_kick(vcpu);
		until = wait_deadline(vcpu_kick_ns(kicks++));
	} while (pthread_clockjoin_np(vcpu->thread, NULL, CLOCK_MONOTONIC, &until));
}

void vm_run(struct vm *vm)
{
	take_signals(vm);
	for (unsigned int i = 0; i < vm->nr_vcpus; i++) {
		int ret = pthread_create(&vm->vcpus[i].thread, NULL, vcpu_thread, &vm->vcpus[i]);

		if (ret)
			fail(EXIT_CODE_ERROR, "cannot start a thread: %s", strerror(ret));
		pause_threads(vm, i + 1);
	}
	loop_run(&vm->loop);
	/* Those that are parked see the end. */
	pause_threads(vm, vm->nr_vcpus);
	for (unsigned int i = 0; i < vm->nr_vcpus; i++)
		join(&vm->vcpus[i]);
}
