// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core.h"
#include "dump.h"
#include "base/fail.h"
#include "control/control.h"
#include "sandbox/keeper.h"
#include "sandbox/sandbox.h"
#include "vm/vm.h"

/*
 * The dump of a guest that crashes: the process has one VM.
 *
 * @note: of the file, see sandbox/keeper.h; -1: none is wanted
 * @wake: an eventfd: the guest's kernel has panicked
 * @panicked: it has said so
 * @written: there is the dump of a panic, which no later one replaces
 * @thread: writes it; @started: it is to be joined
 */
static struct {
	int note;
	char path[PATH_MAX];
	int wake;
	bool panicked;
	bool written;
	pthread_t thread;
	bool started;
} crash = { .note = -1, .wake = -1 };

struct dump {
	struct vm *vm;
	int fd;
};

/* A client that gives up removes its file. */
static bool is_wanted(void *argument)
{
	const struct dump *dump = argument;
	struct stat st;

	return !vm_ending(dump->vm) && (fstat(dump->fd, &st) || st.st_nlink);
}

/* The guest stands still, and no page of it is on its way. */
static int write_core(struct vm *vm, int fd, struct core *core)
{
	struct core_vcpu vcpus[GONDOLA_MAX_VCPUS];
	int ret = 0;

	for (unsigned int i = 0; i < vm->nr_vcpus && !ret; i++)
		ret = __gondola_get_registers(vm->vcpus[i].fd, &vcpus[i].regs, &vcpus[i].sregs);
	core->memory = &vm->memory;
	core->vcpus = vcpus;
	core->nr_vcpus = vm->nr_vcpus;
	if (!ret)
		ret = core_write(fd, core);
	/* Some file systems find out only now that there is no room. */
	if (!ret && fsync(fd))
		ret = -errno;
	return ret;
}

/* ---- a client asks ------------------------------------------------------------------------------ */

static void answer(struct control_request *request, const struct core *core)
{
	struct stat st;

	if (!fstat(request->fd, &st))
		json_object_object_add(request->out, "bytes", json_object_new_int64(st.st_size));
	json_object_object_add(request->out, "pages", json_object_new_uint64(core->pages));
	json_object_object_add(request->out, "empty_pages", json_object_new_uint64(core->empty));
	json_object_object_add(request->out, "mappings", json_object_new_int((int)core->ranges));
	json_object_object_add(request->out, "vmcoreinfo", json_object_new_boolean(core->has_info));
}

/* A thread of its own.  The guest and its clocks stand for as long as the file takes. */
static void dump(struct control_request *request)
{
	struct vm *vm = request->vm;
	struct dump dump = { .vm = vm, .fd = request->fd };
	struct core core = { .goes_on = is_wanted, .argument = &dump };
	int ret;

	vm_pause(vm, PAUSE_DUMP);
	ret = write_core(vm, request->fd, &core);
	vm_unpause(vm, PAUSE_DUMP);
	vm_set_busy(vm, VM_STATE_RUNNING);
	if (!ret)
		answer(request, &core);
	else if (ret == -ECANCELED)
		control_fail(request, "failed", "%s is not dumped: %s", vm->name,
			     vm_ending(vm) ? "it has ended meanwhile" : "the file was removed");
	else
		control_fail(request, ret == -ENOSPC ? "no-space" : "failed",
			     "%s is not dumped, it goes on: %s", vm->name, strerror(-ret));
}

/* Pages are written at their place, so an end of a pipe or an appended file will not do. */
static bool is_good_file(int fd)
{
	struct stat st;

	return fd >= 0 && !fstat(fd, &st) && S_ISREG(st.st_mode) && !st.st_size &&
	       !(fcntl(fd, F_GETFL) & O_APPEND);
}

static void on_dump(struct control_request *request)
{
	struct vm *vm = request->vm;

	if (!is_good_file(request->fd)) {
		control_fail(request, "bad-argument",
			     "a descriptor of an empty file, open for writing, must come along");
		return;
	}
	if (__atomic_load_n(&vm->memory.absent, __ATOMIC_ACQUIRE)) {
		control_fail(request, "busy", "%s still receives its memory from another host",
			     vm->name);
		return;
	}
	vm_set_busy(vm, VM_STATE_DUMPING);
	if (!control_aside(request, LANE_VCPUS, dump))
		vm_set_busy(vm, VM_STATE_RUNNING);
}

/* ---- the guest has crashed ------------------------------------------------------------------------ */

static int write_crash(struct vm *vm)
{
	struct dump dump = { .vm = vm, .fd = keeper_create(crash.note) };
	struct core core = { .goes_on = vm_ending(vm) ? NULL : is_wanted, .argument = &dump };
	int ret = dump.fd < 0 ? dump.fd : write_core(vm, dump.fd, &core);

	if (dump.fd >= 0)
		close(dump.fd);
	if (!ret)
		ret = keeper_commit(crash.note);
	if (ret < 0)
		keeper_drop(crash.note);
	return ret;
}

static void dump_crash(struct vm *vm)
{
	int ret = write_crash(vm);

	crash.written = ret >= 0;
	if (ret < 0)
		say("%s: no dump is written: %s: %s", vm->name, crash.path, strerror(-ret));
	else
		say("%s: its memory and registers are in %s", vm->name, crash.path);
}

static void *panic_thread(void *argument)
{
	struct vm *vm = argument;

	sandbox_thread(SANDBOX_MOVE);
	vm_pause(vm, PAUSE_DUMP);
	dump_crash(vm);
	vm_unpause(vm, PAUSE_DUMP);
	vm_set_busy(vm, VM_STATE_RUNNING);
	return NULL;
}

/* The main thread.  The guest is about to stand still: it was asked to when it panicked. */
static void on_wake(void *argument, int fd, short events)
{
	struct vm *vm = argument;
	uint64_t count;

	(void)events;
	if (read(fd, &count, sizeof(count)) != sizeof(count))
		return;
	/* One that moves or is suspended is dumped no more than on request. */
	if (__atomic_load_n(&vm->busy, __ATOMIC_ACQUIRE) == VM_STATE_RUNNING &&
	    !__atomic_load_n(&vm->memory.absent, __ATOMIC_ACQUIRE)) {
		vm_set_busy(vm, VM_STATE_DUMPING);
		crash.started = !pthread_create(&crash.thread, NULL, panic_thread, vm);
		if (crash.started)
			return;
		vm_set_busy(vm, VM_STATE_RUNNING);
	}
	say("%s: no dump of the panic is written, since the VM is %s", vm->name,
	    vm_state_name(vm_state(vm)));
	vm_unpause(vm, PAUSE_DUMP);
}

/* A vCPU's thread.  The guest may say so for ever: once is enough. */
static void on_panic(struct vm *vm)
{
	static const uint64_t one = 1;

	if (crash.panicked)
		return;
	crash.panicked = true;
	say("%s: the guest's kernel has panicked", vm->name);
	control_event("panic", NULL);
	if (crash.wake < 0)
		return;
	vm_pause_begin(vm, PAUSE_DUMP);
	if (write(crash.wake, &one, sizeof(one)) != sizeof(one))
		vm_unpause(vm, PAUSE_DUMP);
}

bool dump_at_crash(struct vm *vm, const char *path, struct error *error)
{
	struct stat st;
	int fd;

	if (strlen(path) >= sizeof(crash.path) - sizeof(".tmp"))
		return error_set(error, EXIT_CODE_USAGE, "--panic-dump: the name is too long");
	/* It will be written when nobody can be asked for another name. */
	if (!stat(path, &st) && !S_ISREG(st.st_mode))
		return error_set(error, EXIT_CODE_USAGE, "--panic-dump %s: it is not a file", path);
	snprintf(crash.path, sizeof(crash.path), "%s", path);
	crash.note = keeper_note(KEEPER_SAVED, path, error);
	if (crash.note < 0)
		return false;
	fd = keeper_create(crash.note);
	if (fd < 0)
		return error_set(error, error_status(-fd), "--panic-dump %s.tmp: %s", path,
				 strerror(-fd));
	close(fd);
	keeper_drop(crash.note);
	crash.wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (crash.wake < 0)
		return error_set(error, EXIT_CODE_ERROR, "--panic-dump: %s", strerror(errno));
	loop_add(&vm->loop, crash.wake, POLLIN, on_wake, vm);
	return true;
}

void dump_crashed(struct vm *vm)
{
	if (crash.started)
		pthread_join(crash.thread, NULL);
	if (crash.note < 0 || crash.written || (vm->end != VM_TRIPLE_FAULT && vm->end != VM_ERROR))
		return;
	if (vm->memory.absent)
		say("%s: no dump is written, since part of its memory has not come", vm->name);
	else
		dump_crash(vm);
}

void dump_add_commands(struct vm *vm)
{
	vm->panicked = on_panic;
	control_add("dump", on_dump);
}

bool dump_kernels_words(const struct vm *vm, char words[DUMP_WORDS_MAX])
{
	_Static_assert(DUMP_WORDS_MAX == CORE_INFO_MAX, "one size");
	return core_find_info(&vm->memory, words);
}
