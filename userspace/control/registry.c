// SPDX-License-Identifier: GPL-2.0-only
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/file.h"
#include "base/line_socket.h"
#include "base/member.h"
#include "base/tell.h"
#include "base/wait.h"
#include "client.h"
#include "registry.h"

#define NAME_LEN	32
#define CONFIG_MAX	(1u << 20)
#define STATUS_TIMEOUT_MS 3000
#define AT_ONCE		64u	/* VMs that are asked */

static char home[REGISTRY_PATH_MAX / 2], run[REGISTRY_PATH_MAX / 2];

__attribute__((format(printf, 3, 4)))
static int wrong(struct error *error, int ret, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	error_vset(error, EXIT_CODE_ERROR, format, args);
	va_end(args);
	return ret;
}

/* ---- places --------------------------------------------------------------------------- */

/* Make a directory with all its parents. */
static bool make_directory(const char *path, struct error *error)
{
	char part[REGISTRY_PATH_MAX];
	int ret;

	snprintf(part, sizeof(part), "%s", path);
	for (char *slash = strchr(part + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
		*slash = 0;
		ret = file_make_directory(part, 0755);
		if (ret)
			return error_set(error, EXIT_CODE_ERROR,
					 "cannot make the directory %s: %s", part, strerror(-ret));
		*slash = '/';
	}
	/* Only this user may access the directory: it has guests' memory and control sockets. */
	ret = file_make_directory(part, 0700);
	if (ret)
		return error_set(error, EXIT_CODE_ERROR, "cannot make the directory %s: %s", part, strerror(-ret));
	ret = file_check_directory(part);
	if (ret)
		return error_set(error, EXIT_CODE_ERROR, "%s cannot be used: %s", part,
				 ret == -EPERM ? "it belongs to another user" : ret == -EACCES ?
				 "other users may write to it" : strerror(-ret));
	return true;
}

/* The base directory specification demands that relative paths are ignored. */
static const char *base_directory(const char *variable)
{
	const char *path = getenv(variable);

	return path && *path == '/' ? path : NULL;
}

/* Resolve it in the caller's directory, since this process may change to another. */
static void set_home(const char *path)
{
	char *here = *path == '/' ? NULL : getcwd(NULL, 0);

	snprintf(home, sizeof(home), "%s%s%s", here ? here : "", here ? "/" : "", path);
	free(here);
}

static void choose_directories(void)
{
	const char *gondola = getenv("GONDOLA_HOME"), *state = base_directory("XDG_STATE_HOME");
	const char *runtime = base_directory("XDG_RUNTIME_DIR"), *user = getenv("HOME") ?: "/";

	if (gondola && *gondola) {
		set_home(gondola);
		snprintf(run, sizeof(run), "%.2000s/run", home);
	} else if (!geteuid()) {
		snprintf(home, sizeof(home), "/var/lib/gondola");
		snprintf(run, sizeof(run), "/run/gondola");
	} else {
		if (state)
			snprintf(home, sizeof(home), "%s/gondola", state);
		else
			snprintf(home, sizeof(home), "%s/.local/state/gondola", user);
		if (runtime)
			snprintf(run, sizeof(run), "%s/gondola", runtime);
		else
			snprintf(run, sizeof(run), "%.2000s/run", home);
	}
}

/* su and sudo keep the variable, and the directory that it names is closed to others. */
static bool check_runtime(struct error *error)
{
	const char *runtime = base_directory("XDG_RUNTIME_DIR");
	struct stat st;

	if (!runtime || strncmp(run, runtime, strlen(runtime)) || stat(runtime, &st) ||
	    st.st_uid == geteuid())
		return true;
	return error_set(error, EXIT_CODE_ERROR,
			 "XDG_RUNTIME_DIR is %s, which is another user's, as su and sudo leave it (unset it, or log in as this user)",
			 runtime);
}

bool registry_init(struct error *error)
{
	char path[REGISTRY_PATH_MAX];

	choose_directories();
	if (!check_runtime(error))
		return false;
	/* Their names stand in configurations, and in what VMs answer. */
	if (!tell_is_utf8(home) || !tell_is_utf8(run))
		return error_set(error, EXIT_CODE_USAGE, "the name of the directory %s is not UTF-8",
				 tell_is_utf8(home) ? run : home);
	snprintf(path, sizeof(path), "%s/vms", home);
	if (!make_directory(path, error))
		return false;
	snprintf(path, sizeof(path), "%s/saved", home);
	if (!make_directory(path, error))
		return false;
	snprintf(path, sizeof(path), "%s/locks", home);
	return make_directory(path, error) && make_directory(run, error);
}

const char *registry_path(enum registry_file file, const char *name)
{
	static _Thread_local char paths[8][REGISTRY_PATH_MAX];
	static _Thread_local unsigned int next;
	char *path = paths[next++ % 8];

	switch (file) {
	case REGISTRY_CONFIG:
		snprintf(path, REGISTRY_PATH_MAX, "%s/vms/%s.json", home, name);
		break;
	case REGISTRY_SAVED:
		snprintf(path, REGISTRY_PATH_MAX, "%s/saved/%s.vm", home, name);
		break;
	case REGISTRY_AWAY:
		snprintf(path, REGISTRY_PATH_MAX, "%s/vms/%s.away", home, name);
		break;
	case REGISTRY_LOCK:
		/* Not in the runtime directory, which ends with the user's session, while a VM may stay. */
		snprintf(path, REGISTRY_PATH_MAX, "%s/locks/%s.lock", home, name);
		break;
	case REGISTRY_CONTROL:
		snprintf(path, REGISTRY_PATH_MAX, "%s/%s.control", run, name);
		break;
	case REGISTRY_CONSOLE:
		snprintf(path, REGISTRY_PATH_MAX, "%s/%s.console", run, name);
		break;
	case REGISTRY_LOG:
		snprintf(path, REGISTRY_PATH_MAX, "%s/%s.log", run, name);
		break;
	}
	return path;
}

bool registry_name_is_good(const char *name)
{
	size_t length = strlen(name);

	return length && length < NAME_LEN && name[0] != '.' && name[0] != '-' &&
	       strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-") ==
	       length;
}

/* ---- locks ------------------------------------------------------------------------------ */

static int no_lock(struct error *error, int ret, const char *path)
{
	return wrong(error, ret, "cannot lock %s: %s", path, ret == -ENOLCK ?
		     "its file system has no locks, as NFS without lockd (set GONDOLA_HOME to a directory of another)" :
		     strerror(-ret));
}

/*
 * Locks are taken and removed under this lock, which is held for a moment: a process that checks a
 * dead one's files must not look like their owner.  close() and the end of the process release it.
 */
static int enter_locks(struct error *error)
{
	char locks[REGISTRY_PATH_MAX];
	int fd, ret;

	snprintf(locks, sizeof(locks), "%s/locks", home);
	fd = open(locks, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return wrong(error, -errno, "cannot open %s: %s", locks, strerror(errno));
	do
		ret = flock(fd, LOCK_EX) ? -errno : 0;
	while (ret == -EINTR);
	if (!ret)
		return fd;
	close(fd);
	return no_lock(error, ret, locks);
}

static void remove_run_files(const char *name)
{
	unlink(registry_path(REGISTRY_CONTROL, name));
	unlink(registry_path(REGISTRY_CONSOLE, name));
	unlink(registry_path(REGISTRY_LOCK, name));
}

/* Called between enter_locks() and its end. */
static int take_lock(const char *path, struct error *error)
{
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600), ret;
	char pid[32];

	if (fd < 0)
		return wrong(error, -errno, "cannot open %s: %s", path, strerror(errno));
	/* A lock of the open file, not of the process: closing another descriptor does not release it. */
	if (fcntl(fd, F_OFD_SETLK, &lock)) {
		ret = errno == EAGAIN || errno == EACCES ? -EBUSY : -errno;
		close(fd);
		return no_lock(error, ret, path);
	}
	snprintf(pid, sizeof(pid), "%d\n", (int)getpid());
	if (ftruncate(fd, 0) || pwrite(fd, pid, strlen(pid), 0) != (ssize_t)strlen(pid)) {
		ret = errno ? -errno : -EIO;
		close(fd);
		return wrong(error, ret, "cannot write %s: %s", path, strerror(-ret));
	}
	return fd;
}

int registry_lock(const char *name, struct error *error)
{
	int alone = enter_locks(error), fd;

	if (alone < 0)
		return alone;
	fd = take_lock(registry_path(REGISTRY_LOCK, name), error);
	close(alone);
	return fd;
}

/* It follows the process' number. */
#define WAITS	"waits\n"

void registry_waits(int lock, bool waits)
{
	char text[32];
	int length = snprintf(text, sizeof(text), "%d\n%s", (int)getpid(), waits ? WAITS : "");

	/* This is additional information: without it the VM counts as starting. */
	if (ftruncate(lock, 0) || pwrite(lock, text, length, 0) != length)
		return;
}

/* Is it the lock that others find by name?  The directory may have been cleared. */
static bool still_there(int fd, const char *path)
{
	struct stat mine, theirs;

	return !fstat(fd, &mine) && !stat(path, &theirs) && mine.st_ino == theirs.st_ino &&
	       mine.st_dev == theirs.st_dev;
}

void registry_unlock(const char *name, int lock)
{
	int alone = enter_locks(NULL);

	if (still_there(lock, registry_path(REGISTRY_LOCK, name)))
		remove_run_files(name);
	close(lock);
	if (alone >= 0)
		close(alone);
}

/* F_OFD_GETLK takes no lock, so two processes that ask at once do not take each other for the holder. */
static bool is_held(int fd)
{
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };

	return !fcntl(fd, F_OFD_GETLK, &lock) && lock.l_type != F_UNLCK;
}

/* The lock was free: unless another process took it meanwhile, it belongs to a dead one. */
bool registry_remove_dead(const char *name)
{
	int alone = enter_locks(NULL), fd;
	bool held;

	if (alone < 0)
		return false;
	fd = open(registry_path(REGISTRY_LOCK, name), O_RDWR | O_CLOEXEC);
	held = fd >= 0 && is_held(fd);
	if (fd >= 0 && !held)
		remove_run_files(name);
	if (fd >= 0)
		close(fd);
	close(alone);
	return !held;
}

/*
 * The process that holds it, or 0; removes a dead one's files.  *@waits: it called
 * registry_waits().
 */
static pid_t holder_of(const char *name, bool *waits)
{
	int fd = open(registry_path(REGISTRY_LOCK, name), O_RDWR | O_CLOEXEC);
	char text[32] = "";
	pid_t pid = 0;
	bool held;

	if (fd < 0)
		return 0;
	held = is_held(fd);
	if (held && pread(fd, text, sizeof(text) - 1, 0) > 0)
		pid = atoi(text) > 0 ? atoi(text) : -1;
	*waits = strstr(text, WAITS);
	close(fd);
	if (!held && registry_remove_dead(name))
		return 0;
	/* It holds the lock and has not written its number yet. */
	return pid ? pid : -1;
}

static pid_t holder(const char *name)
{
	bool waits = false;

	return holder_of(name, &waits);
}

bool registry_is_active(const char *name)
{
	return holder(name) != 0;
}

/* ---- the process of a VM, as one that nothing else can be taken for ------------------------ */

static int open_process(pid_t pid)
{
	int fd = pid > 0 ? (int)syscall(SYS_pidfd_open, pid, 0) : -1;

	return fd < 0 ? -ESRCH : fd;
}

/* The peer of the connection is the process, whatever a file says. */
static int open_peer(const char *name)
{
	int socket = line_socket_connect(registry_path(REGISTRY_CONTROL, name), STATUS_TIMEOUT_MS);
	struct pollfd end = { .fd = socket };
	struct ucred peer = { 0 };
	socklen_t bytes = sizeof(peer);
	int fd = -ESRCH;

	if (socket < 0)
		return -ESRCH;
	if (!getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &peer, &bytes))
		fd = open_process(peer.pid);
	/* It lives, as the connection is open, so its number does not belong to another process. */
	if (fd >= 0 && (poll(&end, 1, 0) < 0 || end.revents)) {
		close(fd);
		fd = -ESRCH;
	}
	close(socket);
	return fd;
}

/* Does the process have a descriptor of the lock @st, and hold the lock? */
static bool holds_lock(pid_t pid, const struct stat *st)
{
	char path[64], line[256];
	struct dirent *entry;
	bool found = false;
	struct stat one;
	FILE *file;
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%d/fd", (int)pid);
	dir = opendir(path);
	while (dir && !found && (entry = readdir(dir))) {
		snprintf(path, sizeof(path), "/proc/%d/fd/%.16s", (int)pid, entry->d_name);
		if (stat(path, &one) || one.st_ino != st->st_ino || one.st_dev != st->st_dev)
			continue;
		snprintf(path, sizeof(path), "/proc/%d/fdinfo/%.16s", (int)pid, entry->d_name);
		file = fopen(path, "re");
		while (file && !found && fgets(line, sizeof(line), file))
			found = !strncmp(line, "lock:", 5) && strstr(line, "OFDLCK");
		if (file)
			fclose(file);
	}
	if (dir)
		closedir(dir);
	return found;
}

/* If it does not listen yet: the process in its lock file, if that one has the lock. */
static int open_holder(const char *name)
{
	pid_t pid = holder(name);
	struct stat st;
	int fd;

	if (pid <= 0 || stat(registry_path(REGISTRY_LOCK, name), &st))
		return -ESRCH;
	fd = open_process(pid);
	if (fd >= 0 && !holds_lock(pid, &st)) {
		close(fd);
		return -ESRCH;
	}
	return fd;
}

int registry_open_process(const char *name)
{
	int fd = open_peer(name);

	return fd < 0 ? open_holder(name) : fd;
}

/* ---- configurations ------------------------------------------------------------------------ */

static int write_all(int fd, const char *text)
{
	size_t left = strlen(text);

	while (left) {
		ssize_t done = write(fd, text, left);

		if (done < 0 && errno == EINTR)
			continue;
		if (done < 0)
			return -errno;
		text += done;
		left -= done;
	}
	return fsync(fd) ? -errno : 0;
}

int registry_save_config(const char *name, struct json_object *config, bool exclusive,
			 struct error *error)
{
	const char *path = registry_path(REGISTRY_CONFIG, name);
	char temporary[REGISTRY_PATH_MAX + 16];
	int fd, ret;

	snprintf(temporary, sizeof(temporary), "%s.XXXXXX", path);
	fd = mkostemp(temporary, O_CLOEXEC);
	if (fd < 0)
		return wrong(error, -errno, "cannot write %s: %s", temporary, strerror(errno));
	ret = write_all(fd, json_object_to_json_string_ext(config, JSON_C_TO_STRING_PRETTY |
							   JSON_C_TO_STRING_SPACED |
							   JSON_C_TO_STRING_NOSLASHESCAPE));
	if (!ret)
		ret = write_all(fd, "\n");
	close(fd);
	/* Unlike rename(), link() fails if the name exists. */
	if (!ret && exclusive)
		ret = link(temporary, path) ? -errno : file_remove(temporary);
	else if (!ret)
		ret = file_replace(temporary, path);
	if (ret < 0)
		unlink(temporary);
	if (ret > 0)
		return wrong(error, -EIO, "%s is written, but may be lost if the host loses power now", path);
	if (ret)
		return wrong(error, ret, "cannot write %s: %s", path, strerror(-ret));
	return 0;
}

static bool forget(const char *path, struct error *error)
{
	int ret = file_remove(path);

	if (ret < 0)
		return error_set(error, EXIT_CODE_ERROR, "cannot remove %s: %s", path, strerror(-ret));
	if (ret)
		return error_set(error, EXIT_CODE_ERROR,
				 "%s is removed, but may be there again if the host loses power now", path);
	return true;
}

bool registry_forget(const char *name, enum registry_part part, struct error *error)
{
	char temporary[REGISTRY_PATH_MAX + 8];

	snprintf(temporary, sizeof(temporary), "%s.tmp", registry_path(REGISTRY_SAVED, name));
	if (part != REGISTRY_PART_AWAY &&
	    (!forget(temporary, error) || !forget(registry_path(REGISTRY_SAVED, name), error)))
		return false;
	/* Remove the mark last: without it the VM could be started while it runs elsewhere. */
	if (part == REGISTRY_PART_ALL &&
	    (!forget(registry_path(REGISTRY_CONFIG, name), error) ||
	     !forget(registry_path(REGISTRY_LOG, name), error)))
		return false;
	return part == REGISTRY_PART_SAVED || forget(registry_path(REGISTRY_AWAY, name), error);
}

struct json_object *registry_load_config(const char *name, struct error *error)
{
	const char *path = registry_path(REGISTRY_CONFIG, name);
	struct json_object *config = NULL;
	struct stat st;
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0) {
		wrong(error, 0, "cannot read %s: %s", path, strerror(errno));
		return NULL;
	}
	if (fstat(fd, &st) || st.st_size > CONFIG_MAX)
		wrong(error, 0, "%s is no configuration: it is too long", path);
	else
		config = json_object_from_fd(fd);
	close(fd);
	if (!config) {
		wrong(error, 0, "%s is damaged: it is not JSON", path);
		return NULL;
	}
	if (member_number(config, "format", 0) != REGISTRY_FORMAT) {
		wrong(error, 0, "%s has another format than this program knows (%d)", path,
		      REGISTRY_FORMAT);
		json_object_put(config);
		return NULL;
	}
	return config;
}

/* ---- finding ---------------------------------------------------------------------------------- */

static int ms_until(int64_t deadline)
{
	int64_t left = deadline - wait_now_ms();

	return left > 0 ? (int)left : 0;
}

/* @also: a further command, or NULL. */
static void ask_status(const char *name, struct registry_vm *vm, const char *also,
		       int64_t deadline)
{
	struct control_link link;
	int state;

	if (control_connect(&link, registry_path(REGISTRY_CONTROL, name), ms_until(deadline)))
		return;
	vm->status = control_ask(&link, "status", NULL, -1, ms_until(deadline), NULL, NULL);
	/* One of an older program does not know it. */
	if (vm->status && also)
		vm->told = control_ask(&link, also, NULL, -1, ms_until(deadline), NULL, NULL);
	control_disconnect(&link);
	state = vm_state_by_name(member_string(vm->status, "state", ""));
	if (state >= 0) {
		vm->state = state;
		vm->answers = true;
	}
}

/* The first line of the file that migrate/away.c wrote. */
static bool read_away(const char *name, char *address, size_t room)
{
	int fd = open(registry_path(REGISTRY_AWAY, name), O_RDONLY | O_CLOEXEC);
	ssize_t count;

	if (fd < 0)
		return errno != ENOENT;
	count = read(fd, address, room - 1);
	close(fd);
	address[count < 0 ? 0 : count] = 0;
	address[strcspn(address, "\n")] = 0;
	return true;
}

int registry_at_rest(const char *name, struct registry_vm *vm)
{
	bool saved = !access(registry_path(REGISTRY_SAVED, name), F_OK);
	bool configured = !access(registry_path(REGISTRY_CONFIG, name), F_OK);

	memset(vm, 0, sizeof(*vm));
	if (!saved && !configured)
		return -ENOENT;
	snprintf(vm->name, sizeof(vm->name), "%s", name);
	vm->state = saved ? VM_STATE_SUSPENDED : VM_STATE_INACTIVE;
	if (!saved && read_away(name, vm->moved_to, sizeof(vm->moved_to)))
		vm->state = VM_STATE_AWAY;
	if (configured)
		vm->config = registry_load_config(name, NULL);
	return 0;
}

static int find_until(const char *name, struct registry_vm *vm, const char *also,
		      int64_t deadline)
{
	bool waits = false;
	pid_t pid;
	int ret;

	memset(vm, 0, sizeof(*vm));
	if (!registry_name_is_good(name))
		return -ENOENT;
	/* Check this first: once its lock is free, its work is in the files. */
	pid = holder_of(name, &waits);
	ret = registry_at_rest(name, vm);
	if (ret && !pid)
		return ret;
	snprintf(vm->name, sizeof(vm->name), "%s", name);
	if (pid) {
		vm->pid = pid > 0 ? pid : 0;
		/* A process with a socket that does not answer has another problem. */
		vm->state = !access(registry_path(REGISTRY_CONTROL, name), F_OK) ?
			VM_STATE_UNRESPONSIVE : waits ? VM_STATE_WAITING : VM_STATE_STARTING;
		ask_status(name, vm, also, deadline);
	}
	return 0;
}

int registry_find(const char *name, struct registry_vm *vm)
{
	return find_until(name, vm, NULL, wait_now_ms() + STATUS_TIMEOUT_MS);
}

struct search {
	char *const *names;
	struct registry_vm *vms;
	const char *also;
	size_t count, next;
	int64_t deadline;
};

static void *find_some(void *argument)
{
	struct search *search = argument;
	size_t i;

	while ((i = __atomic_fetch_add(&search->next, 1, __ATOMIC_RELAXED)) < search->count)
		find_until(search->names[i], &search->vms[i], search->also, search->deadline);
	return NULL;
}

struct registry_vm *registry_find_all(char *const *names, const char *also)
{
	struct search search = {
		.names = names, .also = also, .deadline = wait_now_ms() + STATUS_TIMEOUT_MS,
	};
	pthread_t threads[AT_ONCE];
	size_t started = 0;

	while (names && names[search.count])
		search.count++;
	search.vms = calloc(search.count + 1, sizeof(*search.vms));
	if (!search.vms)
		return NULL;
	/* This thread works, too, so it does everything if no other can be started. */
	while (started < AT_ONCE && started + 1 < search.count &&
	       !pthread_create(&threads[started], NULL, find_some, &search))
		started++;
	find_some(&search);
	while (started)
		pthread_join(threads[--started], NULL);
	return search.vms;
}

const char *registry_starting(const struct registry_vm *vm)
{
	if (vm->answers)
		return NULL;
	return vm->state == VM_STATE_STARTING ? "it is starting, ask again in a moment" :
	       vm->state == VM_STATE_WAITING ? "it waits for its source" : NULL;
}

void registry_put(struct registry_vm *vm)
{
	json_object_put(vm->status);
	json_object_put(vm->told);
	json_object_put(vm->config);
	vm->status = NULL;
	vm->told = NULL;
	vm->config = NULL;
}

/* ---- listing ------------------------------------------------------------------------------------- */

struct names {
	char **all;
	size_t count;
	size_t room;
};

static void add_name(struct names *names, const char *name)
{
	for (size_t i = 0; i < names->count; i++)
		if (!strcmp(names->all[i], name))
			return;
	if (names->count + 1 >= names->room) {
		names->room = 2 * names->room + 16;
		names->all = realloc(names->all, names->room * sizeof(*names->all));
		if (!names->all)
			abort();
	}
	names->all[names->count++] = strdup(name);
	names->all[names->count] = NULL;
}

static void add_directory(struct names *names, const char *directory, const char *suffix)
{
	DIR *dir = opendir(directory);
	struct dirent *entry;

	if (!dir)
		return;
	while ((entry = readdir(dir))) {
		size_t length = strlen(entry->d_name), tail = strlen(suffix);
		char name[256];

		if (length <= tail || strcmp(entry->d_name + length - tail, suffix))
			continue;
		snprintf(name, sizeof(name), "%.*s", (int)(length - tail), entry->d_name);
		if (registry_name_is_good(name))
			add_name(names, name);
	}
	closedir(dir);
}

static int compare(const void *left, const void *right)
{
	return strcmp(*(char *const *)left, *(char *const *)right);
}

char **registry_list(void)
{
	struct names names = { NULL };
	char path[REGISTRY_PATH_MAX];

	snprintf(path, sizeof(path), "%s/vms", home);
	add_directory(&names, path, ".json");
	snprintf(path, sizeof(path), "%s/saved", home);
	add_directory(&names, path, ".vm");
	snprintf(path, sizeof(path), "%s/locks", home);
	add_directory(&names, path, ".lock");
	if (!names.all)
		return calloc(1, sizeof(*names.all));
	qsort(names.all, names.count, sizeof(*names.all), compare);
	return names.all;
}

void registry_free_list(char **names)
{
	for (size_t i = 0; names && names[i]; i++)
		free(names[i]);
	free(names);
}
