// SPDX-License-Identifier: GPL-2.0-only
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "vm.h"

#define PATIENCE	1200	/* seconds for one answer of a guest; emulated, on a busy computer */

#define MACHINE	"--kernel /boot/vmlinuz --initrd /boot/initrd-guest --append 'console=ttyS0 quiet panic=-1 cryptomgr.notests'"

static void launch(const char *command, int in, int out)
{
	dup2(in, 0);
	dup2(out, 1);
	execl("/bin/sh", "sh", "-c", command, NULL);
	_exit(127);
}

/* The guest's next answer, or NULL: nothing came, or the launcher ended. */
static const char *next_answer(struct vm *vm)
{
	char line[512];

	alarm(PATIENCE);
	while (fgets(line, sizeof(line), vm->from)) {
		char *start = strstr(line, "GB ");

		fputs(line, vm->log);
		fflush(vm->log);
		if (!start)
			continue;
		start[strcspn(start, "\r\n")] = 0;
		snprintf(vm->answer, sizeof(vm->answer), "%s", start + 3);
		alarm(0);
		return vm->answer;
	}
	alarm(0);
	return NULL;
}

/* Those that a failed test left behind; the next one needs their memory. */
static pid_t running[8];

void vm_kill_all(void)
{
	for (unsigned int i = 0; i < 8; i++)
		if (running[i]) {
			kill(running[i], SIGKILL);
			waitpid(running[i], NULL, 0);
			running[i] = 0;
		}
}

static void remember(pid_t pid, pid_t as)
{
	for (unsigned int i = 0; i < 8; i++)
		if (running[i] == pid) {
			running[i] = as;
			return;
		}
}

static void spawn(struct vm *vm, const char *name, const char *command)
{
	int to[2], from[2];
	char path[64];

	memset(vm, 0, sizeof(*vm));
	snprintf(vm->name, sizeof(vm->name), "%s", name);
	snprintf(path, sizeof(path), "/output/%s.log", name);
	mkdir("/output", 0755);
	vm->log = fopen(path, "w");
	require(vm->log);
	require(!pipe2(to, O_CLOEXEC) && !pipe2(from, O_CLOEXEC));
	vm->pid = fork();
	require(vm->pid >= 0);
	if (!vm->pid)
		launch(command, to[0], from[1]);
	remember(0, vm->pid);
	close(to[0]);
	close(from[1]);
	vm->to = to[1];
	vm->from = fdopen(from[0], "r");
}

/* True once the guest answers; else the launcher has ended, with *status. */
static bool boot(struct vm *vm, const char *name, const char *command, int *status)
{
	spawn(vm, name, command);
	if (!next_answer(vm)) {
		waitpid(vm->pid, status, 0);
		remember(vm->pid, 0);
		return false;
	}
	require(!strcmp(vm->answer, "ready"));
	if (guest_connect(&vm->guest, vm->name) || guest_status(&vm->guest))
		tap_check(false, true, "%s: %s", vm->name, vm->guest.error);
	return true;
}

void vm_start(struct vm *vm, const char *name, unsigned int mib, const char *options)
{
	char command[1024];
	int status;

	snprintf(command, sizeof(command), "exec gondola run --name %s --mem %uM %s " MACHINE, name,
		 mib, options ? options : "--balloon");
	require(boot(vm, name, command, &status));
}

void vm_create(const char *name, unsigned int mib, const char *options)
{
	require_equal(run(NULL, "gondola create %s --mem %uM %s " MACHINE, name, mib, options), 0);
}

int vm_start_created(struct vm *vm, const char *name)
{
	char command[256];
	int status;

	snprintf(command, sizeof(command), "exec gondola start %s 2> /output/%s.error", name, name);
	return boot(vm, name, command, &status) ? 0 : WEXITSTATUS(status);
}

void vm_receive(struct vm *vm, const char *name, const char *path)
{
	char command[256];

	snprintf(command, sizeof(command), "exec gondola receive %s unix:%s", name, path);
	spawn(vm, name, command);
	for (int i = 0; i < 600 && access(path, F_OK); i++)
		usleep(100000);
}

void vm_arrived(struct vm *vm)
{
	if (guest_connect(&vm->guest, vm->name) || guest_status(&vm->guest))
		tap_check(false, true, "%s: %s", vm->name, vm->guest.error);
}

void vm_left(struct vm *vm)
{
	int status;

	while (next_answer(vm))
		;
	require_equal(waitpid(vm->pid, &status, 0), vm->pid);
	remember(vm->pid, 0);
	expect_equal(WEXITSTATUS(status), 18);
	guest_disconnect(&vm->guest);
	close(vm->to);
	fclose(vm->from);
	fclose(vm->log);
}

int vm_ask(struct vm *vm, const char *format, ...)
{
	char line[256], last[256] = "";
	va_list args;
	int status;

	va_start(args, format);
	vsnprintf(line, sizeof(line) - 1, format, args);
	va_end(args);
	strcat(line, "\n");
	require(write(vm->to, line, strlen(line)) == (ssize_t)strlen(line));
	while (next_answer(vm)) {
		if (sscanf(vm->answer, "end %d", &status) == 1) {
			memcpy(vm->answer, last, sizeof(last));
			return status;
		}
		memcpy(last, vm->answer, sizeof(last));
	}
	tap_check(false, true, "%s: no answer to %s", vm->name, line);
	return -1;
}

void vm_end(struct vm *vm)
{
	int status;

	require(write(vm->to, "off\n", 4) == 4);
	while (next_answer(vm))
		;
	require_equal(waitpid(vm->pid, &status, 0), vm->pid);
	remember(vm->pid, 0);
	expect_equal(status, 0);
	guest_disconnect(&vm->guest);
	close(vm->to);
	fclose(vm->from);
	fclose(vm->log);
}

uint64_t vm_rss(const struct vm *vm)
{
	unsigned long long kib = 0;
	char path[64], line[128];
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/status", vm->pid);
	file = fopen(path, "r");
	require(file);
	while (fgets(line, sizeof(line), file))
		if (sscanf(line, "VmRSS: %llu", &kib) == 1)
			break;
	fclose(file);
	return kib << 10;
}

uint64_t vm_cpu_ns(const struct vm *vm)
{
	struct timespec time;
	clockid_t clock;

	require(!clock_getcpuclockid(vm->pid, &clock));
	require(!clock_gettime(clock, &time));
	return time.tv_sec * 1000000000ull + time.tv_nsec;
}

void vm_mem(struct vm *vm, uint64_t *total, uint64_t *available)
{
	unsigned long long values[2];

	require_equal(vm_ask(vm, "mem"), 0);
	require_equal(sscanf(vm->answer, "%llu %llu", &values[0], &values[1]), 2);
	*total = values[0];
	*available = values[1];
}

const char *vm_wait(struct vm *vm)
{
	uint32_t goal = vm->guest.goal;

	do {
		usleep(20000);
		if (guest_status(&vm->guest))
			tap_check(false, true, "%s: %s", vm->name, vm->guest.error);
	} while (!guest_ended(&vm->guest, goal));
	return vm->guest.reason;
}

const char *vm_balloon(struct vm *vm, const struct guest_request *request)
{
	if (guest_ask(&vm->guest, request))
		tap_check(false, true, "%s: %s", vm->name, vm->guest.error);
	return vm_wait(vm);
}

int run(char *output, const char *format, ...)
{
	char command[512];
	size_t got = 0;
	va_list args;
	FILE *pipe;
	int status;

	va_start(args, format);
	vsnprintf(command, sizeof(command), format, args);
	va_end(args);
	pipe = popen(command, "r");
	require(pipe);
	if (output) {
		got = fread(output, 1, 1023, pipe);
		output[got] = 0;
	}
	while (fgetc(pipe) != EOF)
		;
	status = pclose(pipe);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}
