// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core.h"
#include "dump.h"
#include "base/fail.h"
#include "control/control.h"
#include "sandbox/keeper.h"
#include "vm/vm.h"

/* The file for a guest that crashes, see sandbox/keeper.h; -1: there is none. */
static int crash_note = -1;
static char crash_path[PATH_MAX];

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

void dump_add_commands(void)
{
	control_add("dump", on_dump);
}

/* ---- the guest has crashed ------------------------------------------------------------------------ */

bool dump_at_crash(const char *path, struct error *error)
{
	struct stat st;
	int fd;

	if (strlen(path) >= sizeof(crash_path) - sizeof(".tmp"))
		return error_set(error, EXIT_CODE_USAGE, "--panic-dump: the name is too long");
	/* It will be written when nobody can be asked for another name. */
	if (!stat(path, &st) && !S_ISREG(st.st_mode))
		return error_set(error, EXIT_CODE_USAGE, "--panic-dump %s: it is not a file", path);
	snprintf(crash_path, sizeof(crash_path), "%s", path);
	crash_note = keeper_note(KEEPER_SAVED, path, error);
	if (crash_note < 0)
		return false;
	fd = keeper_create(crash_note);
	if (fd < 0)
		return error_set(error, EXIT_CODE_USAGE, "--panic-dump %s.tmp: %s", path,
				 strerror(-fd));
	close(fd);
	keeper_drop(crash_note);
	return true;
}

static bool has_crashed(const struct vm *vm)
{
	return vm->end == VM_TRIPLE_FAULT || vm->end == VM_ERROR;
}

void dump_crashed(struct vm *vm)
{
	struct core core = { .goes_on = NULL };
	int fd, ret;

	if (crash_note < 0 || !has_crashed(vm))
		return;
	if (vm->memory.absent) {
		say("%s: no dump is written, since part of its memory has not come", vm->name);
		return;
	}
	fd = keeper_create(crash_note);
	ret = fd < 0 ? fd : write_core(vm, fd, &core);
	if (fd >= 0)
		close(fd);
	if (!ret)
		ret = keeper_commit(crash_note);
	if (ret >= 0) {
		say("%s: its memory and registers are in %s", vm->name, crash_path);
		return;
	}
	keeper_drop(crash_note);
	say("%s: no dump is written: %s: %s", vm->name, crash_path, strerror(-ret));
}
