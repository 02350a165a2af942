// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include <json-c/json.h>

#include "away.h"
#include "base/file.h"
#include "device/device.h"
#include "device/state.h"
#include "suspend.h"
#include "control/control.h"
#include "base/fail.h"
#include "control/registry.h"
#include "sandbox/keeper.h"
#include "sandbox/sandbox.h"

#define LEVEL		1	/* zstd's level: a higher one saves little and takes longer */
#define PROGRESS_NS	200000000ull

/**
 * struct suspend - a suspend in progress, owned by its thread
 * @path: for messages; with @theirs the file is the client's, and @fd is its descriptor
 * @named: the file's name is on stable storage, too
 * @last_ns: time of the last progress event
 */
struct suspend {
	struct vm *vm;
	struct control_request *request;
	char path[PATH_MAX];
	int fd;
	bool theirs;
	bool named;
	struct stream_writer writer;
	uint64_t last_ns;
	struct error error;
};

/* The thread of a suspend; the process has one VM. */
static pthread_t thread;
static bool started;
/* The file in the registry, see sandbox/keeper.h. */
static int saved_note;

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000000000ull + now.tv_nsec;
}

/* ---- saving: a thread of its own --------------------------------------------------------- */

static bool progress(void *argument, uint64_t done, uint64_t all)
{
	struct suspend *suspend = argument;
	struct json_object *event;

	if (vm_ending(suspend->vm))
		return false;
	if (now_ns() - suspend->last_ns < PROGRESS_NS)
		return true;
	suspend->last_ns = now_ns();
	event = json_object_new_object();
	json_object_object_add(event, "pages", json_object_new_uint64(done));
	json_object_object_add(event, "pages_total", json_object_new_uint64(all));
	json_object_object_add(event, "bytes", json_object_new_uint64(suspend->writer.bytes));
	control_event("suspend-progress", event);
	return true;
}

static int write_file(struct suspend *suspend, int fd)
{
	struct stream_writer *writer = &suspend->writer;
	struct vm *vm = suspend->vm;
	int ret;

	ret = stream_writer_init(writer, fd, STREAM_FEATURE_ZSTD, LEVEL);
	if (ret)
		error_set(&suspend->error, EXIT_CODE_ERROR, "%s", strerror(-ret));
	if (!ret)
		ret = machine_put_config(vm, writer, &suspend->error);
	if (!ret)
		ret = machine_put_memory(vm, writer, progress, suspend, &suspend->error);
	if (!ret)
		ret = machine_put_state(vm, writer, &suspend->error);
	if (ret)
		return ret;
	ret = stream_end(writer);
	if (!ret && fsync(fd))
		ret = -errno;
	if (ret)
		error_set(&suspend->error, EXIT_CODE_ERROR, "%s", strerror(-ret));
	return ret;
}

static int open_file(struct suspend *suspend)
{
	int fd = suspend->fd;

	suspend->fd = -1;
	return fd >= 0 ? fd : keeper_create(saved_note);
}

/* From now on the file is the VM.  A client with a file of its own gives it its name. */
static int give_up(struct suspend *suspend)
{
	int ret;

	/* The disks must stay as the saved state knows them. */
	vm_lock_devices(suspend->vm);
	devices_yield();
	vm_unlock_devices(suspend->vm);
	ret = suspend->theirs ? 0 : keeper_commit(saved_note);
	suspend->named = !ret && !suspend->theirs;
	if (ret >= 0)
		return 0;
	error_set(&suspend->error, EXIT_CODE_ERROR, "%.300s: %s", suspend->path,
		  strerror(-ret));
	return ret;
}

static int save(struct suspend *suspend)
{
	int fd = open_file(suspend), ret;

	if (fd < 0) {
		error_set(&suspend->error, EXIT_CODE_ERROR, "%.300s.tmp: %s", suspend->path,
			  strerror(-fd));
		return fd;
	}
	ret = write_file(suspend, fd);
	close(fd);
	stream_writer_free(&suspend->writer);
	if (!ret)
		ret = give_up(suspend);
	if (ret && !suspend->theirs)
		keeper_drop(saved_note);
	return ret;
}

/* Continue as if there had been no request. */
static void go_on(struct suspend *suspend)
{
	struct vm *vm = suspend->vm;
	struct error error;
	bool thawed;

	vm_lock_devices(vm);
	thawed = devices_thaw(&error);
	vm_unlock_devices(vm);
	if (!thawed)
		vm_pause_because(vm, PAUSE_ERROR, error.words);
	vm_unpause(vm, PAUSE_SUSPEND);
	vm_set_busy(vm, VM_STATE_RUNNING);
}

static void *suspend_thread(void *argument)
{
	struct suspend *suspend = argument;
	struct control_request *request = suspend->request;
	struct vm *vm = suspend->vm;
	uint64_t begun = now_ns();
	bool user_paused = vm_paused(vm) & 1u << PAUSE_USER;
	int ret = 0;

	sandbox_thread(SANDBOX_MOVE);
	vm_pause(vm, PAUSE_SUSPEND);
	vm_lock_devices(vm);
	devices_freeze();
	if (!devices_flush(&suspend->error))
		ret = -EIO;
	vm_unlock_devices(vm);
	if (!ret && vm_ending(vm)) {
		ret = -ECANCELED;
		error_set(&suspend->error, EXIT_CODE_ERROR, "the VM ended meanwhile");
	}
	json_object_object_add(vm->config, "paused", json_object_new_boolean(user_paused));
	if (!ret)
		ret = save(suspend);
	if (ret) {
		if (!vm_ending(vm))
			go_on(suspend);
		control_fail(request, ret == -ENOSPC ? "no-space" : "failed",
			     "%s is not suspended, it %s: %s", vm->name,
			     vm_ending(vm) ? "has ended" : "goes on", suspend->error.words);
	} else {
		json_object_object_add(request->out, "file", json_object_new_string(suspend->path));
		json_object_object_add(request->out, "durable",
				       json_object_new_boolean(suspend->named));
		json_object_object_add(request->out, "bytes",
				       json_object_new_uint64(suspend->writer.bytes));
		json_object_object_add(request->out, "pages",
				       json_object_new_uint64(suspend->writer.pages));
		json_object_object_add(request->out, "zero_pages",
				       json_object_new_uint64(suspend->writer.zero_pages));
		json_object_object_add(request->out, "ns",
				       json_object_new_uint64(now_ns() - begun));
	}
	control_done(request);
	/* Do this after the answer, which cannot be sent once the loop has ended. */
	if (!ret)
		vm_end(vm, VM_SUSPENDED, "suspended to %s", suspend->path);
	if (suspend->fd >= 0)
		close(suspend->fd);
	free(suspend);
	return NULL;
}

static void on_suspend(struct control_request *request)
{
	const char *file = control_string(request, "file", NULL), *path = file;
	struct suspend *suspend;
	int ret;

	if (request->failed)
		return;
	/* A suspend that failed has ended, or will soon: the state is running again. */
	suspend_wait();
	if (!path)
		path = registry_path(REGISTRY_SAVED, request->vm->name);
	if (path[0] != '/' || strlen(path) >= sizeof(suspend->path)) {
		control_fail(request, "bad-argument", "\"file\" is not an absolute path");
		return;
	}
	/* The VM's process cannot open a file by a client's name. */
	if (file && request->fd < 0) {
		control_fail(request, "bad-argument",
			     "a descriptor of \"file\", open for writing, must come along");
		return;
	}
	suspend = calloc(1, sizeof(*suspend));
	if (!suspend) {
		control_fail(request, "failed", "out of memory");
		return;
	}
	suspend->vm = request->vm;
	suspend->request = request;
	suspend->writer.fd = -1;
	strcpy(suspend->path, path);
	suspend->fd = file ? request->fd : -1;
	suspend->theirs = file;
	if (file)
		request->fd = -1;
	vm_set_busy(request->vm, VM_STATE_SUSPENDING);
	control_later(request);
	ret = pthread_create(&thread, NULL, suspend_thread, suspend);
	if (!ret) {
		started = true;
		return;
	}
	vm_set_busy(request->vm, VM_STATE_RUNNING);
	control_fail(request, "failed", "cannot make a thread: %s", strerror(ret));
	control_done(request);
	if (suspend->fd >= 0)
		close(suspend->fd);
	free(suspend);
}

void suspend_wait(void)
{
	if (started)
		pthread_join(thread, NULL);
	started = false;
}

bool suspend_add_commands(const struct vm *vm, struct error *error)
{
	saved_note = keeper_note(KEEPER_SAVED, registry_path(REGISTRY_SAVED, vm->name), error);
	control_add("suspend", on_suspend);
	return saved_note >= 0;
}

/* ---- loading -------------------------------------------------------------------------------- */

bool resume_refuse(const struct resume *resume, struct error *error)
{
	return error_set(error, resume->reader.error.status, "%s cannot be resumed: %s", resume->path,
			 resume->reader.error.words);
}

bool resume_open(struct resume *resume, const char *path, struct error *error)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat st;

	resume->path = path;
	if (fd < 0 || fstat(fd, &st))
		return error_set(error, EXIT_CODE_IMAGE, "cannot open %s: %s", path,
				 strerror(errno));
	if (S_ISDIR(st.st_mode))
		return error_set(error, EXIT_CODE_IMAGE, "%s is a directory", path);
	if (stream_reader_init(&resume->reader, fd) ||
	    machine_read_config(&resume->reader, &resume->config))
		return resume_refuse(resume, error);
	return true;
}

/* All records but the first two are as they were. */
static int copy_rest(int from, int to)
{
	static char buffer[1u << 16];
	ssize_t count;

	while ((count = read(from, buffer, sizeof(buffer))) > 0)
		if (!file_write(to, buffer, count))
			return -errno;
	return count < 0 || fsync(to) ? -errno : 0;
}

bool resume_copy(struct resume *resume, struct json_object *config, int to, struct error *error)
{
	const char *text = json_object_to_json_string_ext(config, JSON_C_TO_STRING_PLAIN);
	const struct machine_config *old = &resume->config;
	struct stream_writer writer = { .fd = -1 };
	int ret = stream_writer_init(&writer, to, resume->reader.features, 0);

	if (!ret)
		ret = stream_put(&writer, STREAM_CONFIG, 1, NULL, 0, text, strlen(text));
	if (!ret)
		ret = stream_put(&writer, STREAM_CPUID, 1, NULL, 0, old->cpuid,
				 old->nr_cpuid * sizeof(old->cpuid[0]));
	if (!ret)
		ret = copy_rest(resume->reader.fd, to);
	stream_writer_free(&writer);
	resume_close(resume);
	return !ret || error_set(error, EXIT_CODE_ERROR, "%s cannot be copied: %s", resume->path,
				 strerror(-ret));
}

/* Do it before the guest runs: after a loss of power an old state would corrupt the disks. */
static bool remove_saved(const char *path, struct error *error)
{
	int ret = keeper_remove(saved_note);

	if (ret < 0)
		return error_set(error, EXIT_CODE_ERROR,
				 "%s cannot be removed, and would be out of date: %s", path,
				 strerror(-ret));
	if (ret)
		say("%s may be there again if the host loses power now; it is out of date then",
		    path);
	return true;
}

static bool was_paused(struct json_object *config)
{
	struct json_object *value;

	return json_object_object_get_ex(config, "paused", &value) && json_object_get_boolean(value);
}

static bool load(struct resume *resume, struct machine_loader *loader, struct error *error)
{
	struct stream_record record;
	int ret;

	while ((ret = stream_read(&resume->reader, &record)) == 1)
		if (machine_load(loader, &record))
			return resume_refuse(resume, error);
	if (ret || machine_loaded(loader))
		return resume_refuse(resume, error);
	return resume_ended(resume, error);
}

bool resume_ended(const struct resume *resume, struct error *error)
{
	char more;

	if (read(resume->reader.fd, &more, 1) == 1)
		return error_set(error, EXIT_CODE_IMAGE,
				 "%s cannot be resumed: something follows its end record, at byte %llu",
				 resume->path, (unsigned long long)resume->reader.offset);
	return true;
}

void resume_close(struct resume *resume)
{
	stream_reader_free(&resume->reader);
	close(resume->reader.fd);
}

bool resume_begin(struct vm *vm, void *argument, struct error *error)
{
	struct resume *resume = argument;
	struct machine_loader loader;
	bool good;

	if (machine_loader_init(&loader, vm, &resume->reader, true))
		return resume_refuse(resume, error);
	good = load(resume, &loader, error);
	machine_loader_free(&loader);
	resume_close(resume);
	return good && resume_loaded(vm, resume, error);
}

bool resume_loaded(struct vm *vm, const struct resume *resume, struct error *error)
{
	bool good;

	if (was_paused(resume->config.json))
		vm_pause(vm, PAUSE_USER);
	/* A guest of --personality xen has no firmware where it could be, but memory. */
	if (resume->renew && !vm->on_xen) {
		if (!generation_renew(vm, error))
			return false;
		generation_notify(vm);
	}

	vm_lock_devices(vm);
	good = devices_thaw(error);
	vm_unlock_devices(vm);
	if (!good)
		return error_set(error, EXIT_CODE_ERROR, "%s cannot be resumed: %s", resume->path,
				 error->words);
	/* The saved state is out of date now: if it were resumed again, it would corrupt the disks. */
	if (resume->remove && !remove_saved(resume->path, error))
		return false;
	away_unmark();
	vm_unpause(vm, PAUSE_START);
	return true;
}
