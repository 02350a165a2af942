// SPDX-License-Identifier: GPL-2.0-only
#include <asm/processor-flags.h>
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

#include "cpu_model.h"
#include "cpuid.h"
#include "base/fail.h"
#include "base/signals.h"
#include "base/terminal.h"
#include "base/wait.h"
#include "sandbox/sandbox.h"
#include "vm.h"

/* Ends GONDOLA_RUN and blocking writes; the handler does nothing. */
#define KICK_SIGNAL	SIGUSR1

static void on_kick(int signal)
{
	(void)signal;
}

/* A paravirtualized guest's kernel runs in ring 3, or is interpreted. */
static int ask_engine(const struct vm *vm, uint32_t engine, bool xen, struct gondola_preflight *preflight)
{
	int ret;

	if (!xen || engine != GONDOLA_ENGINE_ANY)
		return __gondola_preflight(vm->sys, engine, preflight);
	ret = __gondola_preflight(vm->sys, GONDOLA_ENGINE_RING3, preflight);
	if (ret < 0 || preflight->reason == GONDOLA_PF_OK)
		return ret;
	return __gondola_preflight(vm->sys, GONDOLA_ENGINE_INTERP, preflight);
}

static bool open_device(struct vm *vm, uint32_t engine, bool xen, struct error *error)
{
	struct gondola_preflight preflight;
	const char *advice;
	int ret;

	vm->sys = __gondola_open();
	if (vm->sys == -ENOENT)
		return error_set(error, EXIT_CODE_NO_ENGINE,
				 "%s is not there: is the module loaded? (insmod gondola.ko)",
				 GONDOLA_DEVICE);
	if (vm->sys == -EACCES || vm->sys == -EPERM)
		return error_set(error, EXIT_CODE_NO_ENGINE, "%s may not be opened by this user",
				 GONDOLA_DEVICE);
	if (vm->sys < 0)
		return error_set(error, EXIT_CODE_NO_ENGINE, "cannot use %s: %s", GONDOLA_DEVICE,
				 vm->sys == -EPROTO ? "it speaks another version of the ABI" :
				 strerror(-vm->sys));
	ret = ask_engine(vm, engine, xen, &preflight);
	if (ret < 0)
		return error_set(error, EXIT_CODE_ERROR, "cannot ask for the engine \"%s\": %s",
				 gondola_engine_name(engine), strerror(-ret));
	vm->engine = preflight.engine;
	if (preflight.reason == GONDOLA_PF_OK) {
		/* Tell a user who waits at the terminal. */
		if (engine != GONDOLA_ENGINE_INTERP && vm->engine == GONDOLA_ENGINE_INTERP &&
		    isatty(STDERR_FILENO))
			say("no hardware can run it: the guest is interpreted, which is slow "
			    "(see gondola probe)");
		return true;
	}
	advice = gondola_preflight_advice(preflight.engine, preflight.reason);
	return error_set(error, EXIT_CODE_NO_ENGINE,
			 "engine \"%s\" cannot be used: %s%s%.*s%s%s (see gondola probe)",
			 gondola_engine_name(engine), gondola_preflight_words(preflight.reason),
			 preflight.detail[0] ? ": " : "", (int)sizeof(preflight.detail),
			 preflight.detail, advice ? "; " : "", advice ? advice : "");
}

static bool choose_cpuid(struct vm *vm, const struct vm_processors *processors,
			 struct error *error)
{
	const char *engine = gondola_engine_name(vm->engine);
	int ret;

	vm->nr_cpuid = GONDOLA_MAX_CPUID;
	ret = __gondola_engine_cpuid(vm->sys, vm->engine, vm->cpuid, &vm->nr_cpuid);
	if (ret)
		return error_set(error, EXIT_CODE_ERROR,
				 "cannot ask which processor the engine \"%s\" offers: %s", engine,
				 strerror(-ret));
	if (!cpu_model_choose(processors->model, engine, vm->cpuid, &vm->nr_cpuid, error))
		return false;
	if (processors->xen)
		cpuid_for_xen(vm->cpuid, vm->nr_cpuid);
	if (!processors->pv || processors->xen)
		vm->nr_cpuid = cpuid_without_pv(vm->cpuid, vm->nr_cpuid);
	cpuid_set_topology(vm->cpuid, vm->nr_cpuid, processors->count);
	return true;
}

/* 0 or -errno; then vm_destroy() cleans up. */
static int create_vcpu(struct vm *vm, unsigned int id)
{
	struct vcpu *vcpu = &vm->vcpus[id];
	int ret;

	vcpu->vm = vm;
	vcpu->id = id;
	vcpu->fd = __gondola_create_vcpu(vm->fd, id);
	if (vcpu->fd < 0)
		return vcpu->fd;
	ret = __gondola_map_run(vcpu->fd, &vcpu->run);
	if (ret) {
		close(vcpu->fd);
		return ret;
	}
	vm->nr_vcpus++;
	return __gondola_set_cpuid(vcpu->fd, vm->cpuid, vm->nr_cpuid);
}

static bool create_vcpus(struct vm *vm, const struct vm_processors *processors,
			 struct error *error)
{
	if (!vm->nr_cpuid && !choose_cpuid(vm, processors, error))
		return false;
	for (unsigned int id = 0; id < processors->count; id++) {
		int ret = create_vcpu(vm, id);

		if (ret)
			return error_set(error, EXIT_CODE_ERROR, "cannot create vCPU %u of %u: %s",
					 id, processors->count, strerror(-ret));
	}
	return true;
}

bool vm_create(struct vm *vm, uint32_t engine, const char *name,
	       const struct vm_processors *processors, struct error *error)
{
	int ret;

	vm->end_vcpu = -1;
	pthread_mutex_init(&vm->devices, NULL);
	pthread_mutex_init(&vm->end_lock, NULL);
	pause_init(&vm->pause);
	vm->busy = VM_STATE_RUNNING;
	vm->born_ns = wait_now_ns();
	snprintf(vm->name, sizeof(vm->name), "%s", name);
	if (!open_device(vm, engine, processors->xen, error))
		return false;
	vm->fd = __gondola_create_vm_as(vm->sys, vm->engine, processors->xen ? GONDOLA_VM_XEN : 0, name);
	if (vm->fd == -EOPNOTSUPP)
		return error_set(error, EXIT_CODE_NO_ENGINE,
				 "engine \"%s\" cannot run a guest of --personality xen (ring3 and interp can)",
				 gondola_engine_name(vm->engine));
	if (vm->fd == -EBUSY || vm->fd == -ENODEV)
		return error_set(error, EXIT_CODE_NO_ENGINE,
				 "engine \"%s\" was refused: %s (see gondola probe)",
				 gondola_engine_name(vm->engine), strerror(-vm->fd));
	if (vm->fd < 0)
		return error_set(error, EXIT_CODE_ERROR, "cannot create a virtual machine: %s",
				 strerror(-vm->fd));
	ret = memory_register(&vm->memory, vm->fd);
	if (ret)
		return error_set(error, ret == -ENOMEM ? EXIT_CODE_MEMORY : EXIT_CODE_ERROR,
				 "cannot register guest memory: %s", strerror(-ret));
	loop_init(&vm->loop);
	vm->loop.hurries = true;
	loop_init(&vm->device_loop);
	return create_vcpus(vm, processors, error);
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

bool vm_debugged(const struct vm *vm)
{
	return __atomic_load_n(&vm->debuggers, __ATOMIC_ACQUIRE);
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

/* True also of a vCPU that was never started: it waits for others, which do not run. */
static bool has_halted(int vcpu)
{
	_Alignas(8) char records[65536];
	const struct gondola_rec_events *events;
	const struct gondola_rec_regs *regs;
	uint64_t bytes = sizeof(records);

	if (__gondola_get_state(vcpu, records, &bytes))
		return false;
	events = gondola_find_record(records, bytes, GONDOLA_REC_EVENTS, sizeof(*events));
	regs = gondola_find_record(records, bytes, GONDOLA_REC_REGS, sizeof(*regs));
	return events && regs && events->halted && !(regs->rflags & X86_EFLAGS_IF);
}

bool vm_has_halted(struct vm *vm)
{
	bool halted = true;

	vm_pause(vm, PAUSE_INSPECT);
	for (unsigned int i = 0; halted && i < vm->nr_vcpus; i++)
		halted = has_halted(vm->vcpus[i].fd);
	vm_unpause(vm, PAUSE_INSPECT);
	return halted;
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
	if (info.ssi_signo == SIGCONT || info.ssi_signo == SIGTSTP)
		terminal_job_signal(info.ssi_signo);
	else
		vm_end(vm, VM_STOPPED, "stopped by signal %u (%s)", info.ssi_signo,
		       strsignal(info.ssi_signo));
}

/* Blocked in all threads (they inherit it) and read from a descriptor. */
static bool take_signals(struct vm *vm)
{
	struct sigaction kick = { .sa_handler = on_kick };
	sigset_t taken, blocked;
	int fd;

	signals_that_end(&taken);
	terminal_job_signals(&taken);
	blocked = taken;
	/* Reading the terminal in the background fails, instead of stopping all of the VM. */
	sigaddset(&blocked, SIGTTIN);
	pthread_sigmask(SIG_BLOCK, &blocked, NULL);
	fd = signalfd(-1, &taken, SFD_CLOEXEC | SFD_NONBLOCK);
	if (fd < 0) {
		vm_end(vm, VM_ERROR, "cannot take signals: %s", strerror(errno));
		return false;
	}
	loop_add(&vm->loop, fd, POLLIN, on_signal, vm);
	/* No SA_RESTART: a kick has to end GONDOLA_RUN. */
	sigaction(KICK_SIGNAL, &kick, NULL);
	signal(SIGPIPE, SIG_IGN);
	return true;
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

static void *device_thread(void *argument)
{
	struct vm *vm = argument;

	sandbox_thread(SANDBOX_DEVICE);
	loop_run(&vm->device_loop);
	return NULL;
}

void vm_run(struct vm *vm)
{
	unsigned int started = 0;
	pthread_t devices;
	int failed;

	if (!take_signals(vm))
		return;
	failed = pthread_create(&devices, NULL, device_thread, vm);
	if (failed)
		vm_end(vm, VM_ERROR, "cannot start the thread of the console and timers: %s",
		       strerror(failed));
	while (started < vm->nr_vcpus && !vm_ending(vm)) {
		struct vcpu *vcpu = &vm->vcpus[started];
		int ret = pthread_create(&vcpu->thread, NULL, vcpu_thread, vcpu);

		if (ret) {
			vm_end(vm, VM_ERROR, "cannot start the thread of vCPU %u: %s", started,
			       strerror(ret));
			break;
		}
		pause_threads(vm, ++started);
	}
	loop_run(&vm->loop);
	/* Those that are parked see the end. */
	pause_threads(vm, started);
	for (unsigned int i = 0; i < started; i++)
		join(&vm->vcpus[i]);
	loop_stop(&vm->device_loop);
	if (!failed)
		pthread_join(devices, NULL);
}
