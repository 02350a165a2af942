// SPDX-License-Identifier: GPL-2.0-only
/* VMs with names, from create to delete: what each state allows, and what a crash leaves. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "command.h"
#include "base/line_socket.h"
#include "machine.h"

#define STATUS_STATE	20

static void make(void)
{
	static bool made;

	machine_need_engine();
	if (!made) {
		require(make_directory("life"));
		setenv("GONDOLA_HOME", directory, 1);
	}
	made = true;
	/* Remove what an earlier, failed test left behind. */
	gondola(ARGUMENTS("kill", "vm1"));
	gondola(ARGUMENTS("delete", "vm1"));
	EXPECT_RUN(0, "", "create", "vm1", "--kernel", "guests/loop", "--append", "sti", "--mem",
		   "8M", "--console", "/tmp/gondola-life-console");
}

static void expect_state(const char *state)
{
	char words[64];

	snprintf(words, sizeof(words), "\"state\":\"%s\"", state);
	EXPECT_RUN(0, words, "status", "vm1", "--json");
}

/* A signal takes its time. */
static void expect_inactive_soon(void)
{
	for (int i = 0; i < 1000; i++) {
		gondola(ARGUMENTS("status", "vm1"));
		if (strstr(output, "inactive"))
			break;
		usleep(50000);
	}
	expect_state("inactive");
}

/* Each command in each state in which it is illegal: the state's name, and what it needs. */
static void refused_in(const char *state, char *const *commands)
{
	char words[64];

	for (; *commands; commands++) {
		snprintf(words, sizeof(words), "vm1 is %s; %s needs a", state, *commands);
		EXPECT_RUN(STATUS_STATE, words, *commands, "vm1");
	}
	EXPECT_RUN(STATUS_STATE, "vm1 exists", "create", "vm1", "--kernel", "guests/loop");
	EXPECT_RUN(STATUS_STATE, "vm1 exists", "run", "--name", "vm1", "--kernel", "guests/loop");
	expect_state(state);
}

static void transitions(void)
{
	static char *const inactive[] = { "resume", "pause", "unpause", "suspend", "stop", "kill",
					  "console", "events", NULL };
	static char *const active[] = { "start", "resume", "unpause", "delete", NULL };
	static char *const paused[] = { "start", "resume", "pause", "stop", "delete", NULL };
	static char *const suspended[] = { "start", "pause", "unpause", "suspend", "stop", "kill",
					   "console", "events", NULL };

	make();
	refused_in("inactive", inactive);
	EXPECT_RUN(0, "", "start", "vm1", "--detach");
	refused_in("running", active);
	EXPECT_RUN(0, "\"state\":\"paused\"", "pause", "vm1", "--json");
	refused_in("paused", paused);
	EXPECT_RUN(0, "\"state\":\"running\"", "unpause", "vm1", "--json");
	EXPECT_RUN(14, "does not listen to its power button", "stop", "vm1");
	EXPECT_RUN(0, "vm1 is suspended", "suspend", "vm1");
	refused_in("suspended", suspended);
	EXPECT_RUN(0, "", "resume", "vm1", "--detach");
	expect_state("running");
	EXPECT_RUN(0, "", "kill", "vm1");
	expect_state("inactive");
	EXPECT_RUN(STATUS_STATE, "delete --saved-state needs a suspended VM", "delete", "vm1",
		   "--saved-state");
	EXPECT_RUN(0, "", "delete", "vm1");
	EXPECT_RUN(STATUS_STATE, "there is no VM vm1", "status", "vm1");
	EXPECT_RUN(STATUS_STATE, "there is no VM vm1", "start", "vm1");
}

static bool is_state(const char *state)
{
	char words[64];

	snprintf(words, sizeof(words), "\"state\":\"%s\"", state);
	return !gondola(ARGUMENTS("status", "vm1", "--json")) && strstr(output, words);
}

/* As the process of a VM does; to be closed. */
static int take_name(const char *lock_file)
{
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
	int fd = open(path(lock_file), O_RDWR | O_CREAT | O_CLOEXEC, 0600);

	require(fd >= 0);
	require_equal(fcntl(fd, F_OFD_SETLK, &lock), 0);
	require(dprintf(fd, "%d\n", (int)getpid()) > 0);
	return fd;
}

static char *file_of(pid_t process, const char *name)
{
	static char file[64];

	snprintf(file, sizeof(file), "/proc/%d/%s", (int)process, name);
	return file;
}

/* The greeting and an answer. */
static bool has_two_lines(void)
{
	char *first = strchr(output, '\n');

	return first && strchr(first + 1, '\n');
}

/* Send a request with @fd, unless that is -1, and close it; the answer is in output. */
static void ask(const char *request, int fd)
{
	int control = line_socket_connect(path("run/vm1.control"), 3000), unused = -1;
	size_t used = 0;
	ssize_t got;

	require(control >= 0);
	require(!line_socket_send(control, request, strlen(request), fd));
	if (fd >= 0)
		close(fd);
	output[0] = 0;
	while (!has_two_lines() && (got = line_socket_receive(control, output + used,
							      sizeof(output) - 1 - used, &unused)) > 0) {
		used += got;
		output[used] = 0;
	}
	close(control);
}

static void inspected(void)
{
	make();
	EXPECT_RUN(STATUS_STATE, "vm1 is inactive; inspect needs a", "inspect", "vm1");
	EXPECT_RUN(0, "", "start", "vm1", "--detach");
	EXPECT_RUN(0, "vCPU 0: protected mode, 32 bits, privilege level 0\nrip ", "inspect", "vm1");
	EXPECT_RUN(0, "\"flags\":[\"IF\"]", "inspect", "vm1", "--json");
	EXPECT_RUN(0, "the address is physical\nthe page: present", "inspect", "vm1", "walk", "0x100000");
	EXPECT_RUN(0, "shadow, no table    present writable user", "inspect", "vm1", "walk", "0x100000");
	EXPECT_RUN(0, "\"shadow\":{\"stale\":", "inspect", "vm1", "walk", "0x100000", "--json");
	EXPECT_RUN(0, "not an address in this mode", "inspect", "vm1", "walk", "0x100000000");
	EXPECT_RUN(0, "lapic of vCPU 0:\n", "inspect", "vm1", "interrupts");
	EXPECT_RUN(0, "vCPU 0: protected mode", "inspect", "vm1", "regs");
	EXPECT_RUN(0, "\"lapic\":{", "inspect", "vm1", "irq", "--json");
	EXPECT_RUN(0, " exits so far\n        exit ", "inspect", "vm1", "history");
	EXPECT_RUN(0, "\"exits\":[{\"exit\":", "inspect", "vm1", "history", "--json");
	EXPECT_RUN(0, "never used or given back", "inspect", "vm1", "map");
	expect(!strstr(output, "?"));
	EXPECT_RUN(0, "\"slots\":[{\"slot\":0,\"gpa\":\"0x0\",\"bytes\":8388608,", "inspect", "vm1", "map",
		   "--svg", path("map.svg"), "--json");
	expect(!access(path("map.svg"), R_OK));
	unlink(path("map.svg"));
	EXPECT_RUN(14, "cannot write /nowhere/map.svg: No such file", "inspect", "vm1", "map", "--svg",
		   "/nowhere/map.svg");
	expect(!strstr(output, "\"dirty\""));
	ask("{\"command\":\"dirty-sample\",\"ms\":1000,\"lease_ms\":60000}\n", -1);
	EXPECT_RUN(0, "\"dirty\":", "inspect", "vm1", "map", "--json");
	EXPECT_RUN(2, "--svg draws a map, not history", "inspect", "vm1", "history", "--svg", "x");
	EXPECT_RUN(2, "walk needs an address", "inspect", "vm1", "walk");
	EXPECT_RUN(2, "\"everything\" is not registers", "inspect", "vm1", "everything");
	EXPECT_RUN(14, "\"address\" is not a number", "inspect", "vm1", "walk", "start_kernel");
	EXPECT_RUN(14, "\"vcpu\"", "inspect", "vm1", "--vcpu", "3");
	/* It was never paused to others. */
	expect_state("running");
	EXPECT_RUN(0, "", "pause", "vm1");
	EXPECT_RUN(0, "vCPU 0: ", "inspect", "vm1");
	expect_state("paused");
	EXPECT_RUN(0, "", "kill", "vm1");
	EXPECT_RUN(0, "", "delete", "vm1");
}

/* Its memory is in @name, whose mode is 0600; nothing else is left. */
static void expect_core(const char *name)
{
	char words[64], magic[4] = "";
	struct stat st;
	int fd = open(path(name), O_RDONLY | O_CLOEXEC);

	require(fd >= 0);
	expect_equal(read(fd, magic, sizeof(magic)), sizeof(magic));
	expect(!memcmp(magic, "\177ELF", sizeof(magic)));
	require(!fstat(fd, &st));
	expect_equal(st.st_mode & 07777, 0600);
	expect(st.st_size > 8 << 20);
	close(fd);
	snprintf(words, sizeof(words), "%s.tmp", name);
	expect(access(path(words), F_OK) && errno == ENOENT);
}

static void dumped(void)
{
	int fd;

	make();
	EXPECT_RUN(STATUS_STATE, "vm1 is inactive; dump needs a", "dump", "vm1", path("core"));
	EXPECT_RUN(STATUS_STATE, "there is no VM other", "dump", "other", path("core"));
	EXPECT_RUN(0, "", "start", "vm1", "--detach");
	EXPECT_RUN(2, "dump: to which file?", "dump", "vm1");
	EXPECT_RUN(2, "one argument too many", "dump", "vm1", "a", "b");
	EXPECT_RUN(0, "pages hold something; no kernel in it", "dump", "vm1", path("core"));
	expect_core("core");
	expect_state("running");
	/* The old file stays until the new one is complete. */
	fd = open(path("core"), O_WRONLY | O_TRUNC | O_CLOEXEC);
	require_equal(write(fd, "older", 5), 5);
	close(fd);
	EXPECT_RUN(0, "", "pause", "vm1");
	EXPECT_RUN(0, "\"vmcoreinfo\":false", "dump", "vm1", path("core"), "--json");
	expect_core("core");
	expect_state("paused");
	EXPECT_RUN(0, "", "kill", "vm1");
	EXPECT_RUN(0, "", "delete", "vm1");
	unlink(path("core"));
}

static void dump_fails(void)
{
	static char small[128];

	make();
	snprintf(small, sizeof(small), "%s/small", directory);
	require(!mkdir(small, 0700));
	require(!mount("tmpfs", small, "tmpfs", 0, "size=4096"));
	EXPECT_RUN(0, "", "start", "vm1", "--detach");
	EXPECT_RUN(14, "vm1 is not dumped, it goes on: No space left", "dump", "vm1",
		   path("small/core"));
	expect(access(path("small/core.tmp"), F_OK) && errno == ENOENT);
	expect(access(path("small/core"), F_OK) && errno == ENOENT);
	EXPECT_RUN(14, "cannot write /nowhere/core.tmp: No such file", "dump", "vm1", "/nowhere/core");
	EXPECT_RUN(2, "is there and is not a file", "dump", "vm1", small);
	/* A directory in the way. */
	require(!mkdir(path("core.tmp"), 0700));
	EXPECT_RUN(14, "cannot write", "dump", "vm1", path("core"));
	rmdir(path("core.tmp"));
	expect_state("running");
	EXPECT_RUN(0, "", "suspend", "vm1");
	EXPECT_RUN(STATUS_STATE, "vm1 is suspended; dump needs a", "dump", "vm1", path("core"));
	umount(small);
	rmdir(small);
	EXPECT_RUN(0, "", "delete", "vm1");
}

/* Its process has the name and does not listen yet. */
static void starting(void)
{
	static char *const refused[] = { "start", "resume", "pause", "suspend", "stop", "delete",
					 NULL };
	char input[64] = "";
	pid_t child;
	int fd, from;

	make();
	fd = take_name("locks/vm1.lock");
	refused_in("starting", refused);
	EXPECT_RUN(14, "vm1: it is starting", "balloon", "vm1", "8M");
	EXPECT_RUN(14, "it is starting", "events", "vm1");
	EXPECT_RUN(14, "it is starting", "console", "vm1");
	EXPECT_RUN(0, "of 1 VMs 0 have a balloon", "balance", "--dry-run");
	close(fd);
	expect_state("inactive");
	EXPECT_RUN(0, "vm1 wants 8 MiB; the host has ", "start", "vm1", "--dry-run");
	EXPECT_RUN(0, "{\"name\":\"vm1\",\"memory\":", "start", "vm1", "--dry-run", "--json");

	/* A launcher that starts another VM asks this one first, and keeps its own input. */
	fd = take_name("locks/vm2.lock");
	child = start(&from, ARGUMENTS("start", "vm1"));
	for (int i = 0; i < 1000 && !is_state("running"); i++)
		usleep(50000);
	expect_state("running");
	require(readlink(file_of(child, "fd/0"), input, sizeof(input) - 1) > 0);
	tap_check(!strcmp(input, "/dev/null"), false, "its input is %s", input);
	close(fd);
	EXPECT_RUN(0, "", "kill", "vm1");
	finish(child, from);
	EXPECT_RUN(0, "", "delete", "vm1");
}

/* Read the host kernel's report on processes that wait for memory. */
static void pressure(void)
{
	static const char said[] = "some avg10=37.12 avg60=1.00 avg300=0.10 total=5\n"
				   "full avg10=9.00 avg60=0.10 avg300=0.00 total=1\n";
	int fd;

	if (access("/proc/pressure/memory", F_OK))
		tap_skip("this kernel tells no pressure (CONFIG_PSI)");
	make();
	fd = open(path("pressure"), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	require(fd >= 0);
	require_equal(write(fd, said, sizeof(said) - 1), sizeof(said) - 1);
	close(fd);
	require_equal(mount(path("pressure"), "/proc/pressure/memory", NULL, MS_BIND, NULL), 0);
	gondola(ARGUMENTS("balance", "--dry-run"));
	require_equal(umount("/proc/pressure/memory"), 0);
	tap_check(strstr(output, "pressure 37%"), false, "it said: %s", output);
	EXPECT_RUN(0, "", "delete", "vm1");
}

static void words(void)
{
	make();
	EXPECT_RUN(0, "vm1                   inactive", "list");
	EXPECT_RUN(0, "\"memory\":8388608", "list", "--json");
	EXPECT_RUN(2, "which VM", "pause");
	EXPECT_RUN(2, "one VM at a time", "pause", "vm1", "vm2");
	EXPECT_RUN(2, "not the name", "pause", "../vm1");
	EXPECT_RUN(2, "is not an option", "pause", "vm1", "--frob");
	EXPECT_RUN(2, "--kernel FILE is missing", "create", "vm2");
	/* "create" finds what "start" would fail for. */
	EXPECT_RUN(6, "--kernel /nowhere: No such file", "create", "vm2", "--kernel", "/nowhere");
	EXPECT_RUN(6, "it is a directory", "create", "vm2", "--kernel", "/");
	EXPECT_RUN(6, "--disk /nowhere: No such", "create", "vm2", "--kernel", "guests/loop",
		   "--disk", "/nowhere,ro");
	EXPECT_RUN(2, "none of user, tap", "create", "vm2", "--kernel", "guests/loop",
		   "--net", "usr");
	EXPECT_RUN(2, "not a size", "create", "vm2", "--kernel", "guests/loop", "--mem", "lots");
	EXPECT_RUN(0, "USAGE", "suspend", "--help");
	EXPECT_RUN(6, "No such file", "resume", "vm2", "--file", "/nowhere/vm2.vm");
	EXPECT_RUN(0, "", "delete", "vm1", "--json");
}

/* The VM's process; 0 if it has ended. */
static pid_t process_if_any(void)
{
	int fd = open(path("locks/vm1.lock"), O_RDONLY | O_CLOEXEC);
	char pid[16] = "";

	if (fd < 0)
		return 0;
	expect(read(fd, pid, sizeof(pid) - 1) >= 0);
	close(fd);
	return atoi(pid);
}

static pid_t process(void)
{
	pid_t pid = process_if_any();

	require(pid > 0);
	return pid;
}

/* A process that is killed in any state leaves no VM that cannot be started again. */
static void killed(void)
{
	static const char *const before[] = { "start", "pause", "resume" };

	make();
	for (int i = 0; i < 3; i++) {
		EXPECT_RUN(0, "", "start", "vm1", "--detach");
		if (!strcmp(before[i], "pause"))
			EXPECT_RUN(0, "", "pause", "vm1");
		if (!strcmp(before[i], "resume")) {
			EXPECT_RUN(0, "", "suspend", "vm1");
			EXPECT_RUN(0, "", "resume", "vm1", "--detach");
		}
		require_equal(kill(process(), SIGKILL), 0);
		expect_inactive_soon();
		expect(access(path("run/vm1.control"), F_OK) && errno == ENOENT);
	}
	EXPECT_RUN(0, "", "delete", "vm1");
}

/* A pipe that nothing can be written to before it is read. */
static void full_pipe(int ends[2])
{
	static const char page[4096];

	require(!pipe2(ends, O_CLOEXEC | O_NONBLOCK));
	while (write(ends[1], page, sizeof(page)) > 0)
		;
	require(!fcntl(ends[0], F_SETFL, 0) && !fcntl(ends[1], F_SETFL, 0));
}

/* Read the answer up to its end. */
static void hear(int control)
{
	int unused = -1;
	size_t used = 0;
	ssize_t got;

	while ((got = line_socket_receive(control, output + used, sizeof(output) - 1 - used,
					  &unused)) > 0)
		used += got;
	output[used] = 0;
	close(control);
}

/* The file cannot be written before its process is told to end. */
static void signal_in_suspend(void)
{
	static const char request[] = "{\"command\":\"suspend\",\"file\":\"/x.vm\"}\n";
	int ends[2], control;
	char page[4096];

	make();
	EXPECT_RUN(0, "", "start", "vm1", "--detach");
	full_pipe(ends);
	control = line_socket_connect(path("run/vm1.control"), 3000);
	require(control >= 0);
	/* Without one: its process opens none. */
	require(!line_socket_send(control, request, sizeof(request) - 1, -1));
	expect_state("running");
	require(!line_socket_send(control, request, sizeof(request) - 1, ends[1]));
	close(ends[1]);
	for (int i = 0; i < 1000 && !is_state("suspending"); i++)
		usleep(50000);
	expect_state("suspending");
	require_equal(kill(process(), SIGTERM), 0);
	while (read(ends[0], page, sizeof(page)) > 0)
		;
	close(ends[0]);
	hear(control);
	expect(strstr(output, "must come along") != NULL);
	expect(strstr(output, "vm1 is not suspended, it has ended: ") != NULL);
	expect_inactive_soon();
	EXPECT_RUN(0, "", "delete", "vm1");
}

/* A client that ends removes its file, and one that is no command may bring anything. */
static void dump_given_up(void)
{
	int ends[2];

	make();
	EXPECT_RUN(0, "", "start", "vm1", "--detach");
	ask("{\"command\":\"dump\"}\n", memfd_create("core", MFD_CLOEXEC));
	expect(strstr(output, "vm1 is not dumped: the file was removed") != NULL);
	ask("{\"command\":\"dump\"}\n", -1);
	expect(strstr(output, "must come along") != NULL);
	require(!pipe(ends));
	ask("{\"command\":\"dump\"}\n", ends[1]);
	expect(strstr(output, "must come along") != NULL);
	close(ends[0]);
	ask("{\"command\":\"dump\"}\n", open(path("core"), O_RDONLY | O_CREAT | O_CLOEXEC, 0600));
	expect(strstr(output, "it goes on: Bad file descriptor") != NULL);
	ask("{\"command\":\"dump\"}\n", open(path("core"), O_WRONLY | O_APPEND | O_CLOEXEC));
	expect(strstr(output, "must come along") != NULL);
	expect_state("running");
	unlink(path("core"));
	EXPECT_RUN(0, "", "kill", "vm1");
	EXPECT_RUN(0, "", "delete", "vm1");
}

static void crash_dumped(void)
{
	make();
	EXPECT_RUN(0, "", "delete", "vm1");
	EXPECT_RUN(8, " exits:\n          exit ", "run", "--kernel", "guests/triple", "--mem", "16M");
	EXPECT_RUN(8, "its memory and registers are in", "run", "--kernel", "guests/triple", "--mem", "16M",
		   "--panic-dump", path("core"));
	expect_core("core");
	unlink(path("core"));
	/* An instruction that nobody can carry out is a crash; what a guest does by itself is none. */
	EXPECT_RUN(14, "its memory and registers are in", "run", "--engine", "interp", "--kernel",
		   "guests/missing", "--append", "sse3", "--mem", "16M", "--panic-dump", path("core"));
	expect_core("core");
	unlink(path("core"));
	EXPECT_RUN(0, "powered off", "run", "--kernel", "guests/hello", "--panic-dump", path("core"));
	EXPECT_RUN(10, "reset", "run", "--kernel", "guests/hello", "--append", "reset=1",
		   "--panic-dump", path("core"));
	expect(access(path("core"), F_OK) && errno == ENOENT);
	/* A kernel that panics says so, as often as it likes, and goes on. */
	EXPECT_RUN(0, "the guest's kernel has panicked\n", "run", "--kernel", "guests/hello", "--append",
		   "panic=3", "--panic-dump", path("core"));
	expect(strstr(output, "its memory and registers are in") && strstr(output, "powered off"));
	expect(strstr(strstr(output, "has panicked") + 1, "has panicked") == NULL);
	expect_core("core");
	unlink(path("core"));
	EXPECT_RUN(0, "the guest's kernel has panicked\n", "run", "--kernel", "guests/hello", "--append",
		   "panic=1");
	/* That it cannot be written is said before the guest runs. */
	EXPECT_RUN(2, "--panic-dump /nowhere/core.tmp: No such file", "run", "--kernel", "guests/triple",
		   "--panic-dump", "/nowhere/core");
	EXPECT_RUN(2, "it is not a file", "run", "--kernel", "guests/triple", "--panic-dump", directory);
	EXPECT_RUN(6, "/nowhere: No such file", "create", "vm2", "--kernel", "guests/triple",
		   "--panic-dump", "/nowhere/core");
}

/* An older file stays until a better one is complete. */
static void older_file(void)
{
	char old[8] = "";
	int fd;

	make();
	EXPECT_RUN(0, "", "start", "vm1", "--detach");
	fd = open(path("x.vm"), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	require_equal(write(fd, "older", 5), 5);
	close(fd);
	/* A directory cannot be replaced by the new file. */
	require(!mkdir(path("x.vm.tmp"), 0700));
	EXPECT_RUN(14, "cannot write", "suspend", "vm1", "--file", path("x.vm"));
	EXPECT_RUN(2, "is there and is not a file", "suspend", "vm1", "--file", directory);
	expect_state("running");
	rmdir(path("x.vm.tmp"));
	fd = open(path("x.vm"), O_RDONLY | O_CLOEXEC);
	require_equal(read(fd, old, sizeof(old)), 5);
	close(fd);
	expect(!strcmp(old, "older"));
	EXPECT_RUN(0, "", "suspend", "vm1", "--file", path("x.vm"));
	expect(access(path("x.vm.tmp"), F_OK) && errno == ENOENT);
	/* The console's file is emptied: it must not be the saved state, by whatever name. */
	require(!link(path("x.vm"), path("y.vm")));
	EXPECT_RUN(2, "the same file by --file", "resume", "vm1", "--file", path("x.vm"), "--console", path("y.vm"));
	unlink(path("y.vm"));
	EXPECT_RUN(0, "", "resume", "vm1", "--file", path("x.vm"), "--detach");
	EXPECT_RUN(0, "", "kill", "vm1");
	EXPECT_RUN(0, "", "delete", "vm1");
	unlink(path("x.vm"));
}

/* At any other moment: whole and said to be, or not there. */
static void signal_about_suspend(void)
{
	make();
	for (int i = 0; i < 4; i++) {
		pid_t child, running;
		bool suspended;
		int from, status;

		EXPECT_RUN(0, "", "start", "vm1", "--detach");
		child = start(&from, ARGUMENTS("suspend", "vm1"));
		usleep(i * 30000);
		/* Where it is quick it has been suspended by then; at once, it has not. */
		running = process_if_any();
		expect(running || i);
		if (running)
			kill(running, SIGTERM);
		status = finish(child, from);
		for (int j = 0; j < 1000 && !is_state("inactive") && !is_state("suspended"); j++)
			usleep(50000);
		suspended = is_state("suspended");
		expect(suspended || status);
		expect(suspended || is_state("inactive"));
		if (!suspended)
			continue;
		EXPECT_RUN(0, "", "resume", "vm1", "--detach");
		EXPECT_RUN(0, "", "kill", "vm1");
	}
	EXPECT_RUN(0, "", "delete", "vm1");
}

static void full_disk(void)
{
	static char small[128], page[4096];
	int fd;

	make();
	snprintf(small, sizeof(small), "%s/small", directory);
	require(!mkdir(small, 0700));
	require(!mount("tmpfs", small, "tmpfs", 0, "size=4096"));
	/* The state of a guest that does nothing fits into a page. */
	fd = open(path("small/filler"), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	require_equal(write(fd, page, sizeof(page)), sizeof(page));
	close(fd);
	EXPECT_RUN(0, "", "start", "vm1", "--detach");
	EXPECT_RUN(14, "it goes on: ", "suspend", "vm1", "--file", path("small/vm1.vm"));
	expect(strstr(output, "No space left"));
	expect_state("running");
	EXPECT_RUN(14, "cannot write", "suspend", "vm1", "--file", "/nowhere/vm1.vm");
	expect_state("running");
	expect(access(path("small/vm1.vm.tmp"), F_OK));
	umount(small);
	rmdir(small);
	EXPECT_RUN(0, "", "kill", "vm1");
	EXPECT_RUN(0, "", "delete", "vm1");
}

static void damaged(void)
{
	static uint8_t data[4 << 20];
	ssize_t bytes;
	int fd;

	make();
	EXPECT_RUN(0, "", "start", "vm1", "--detach");
	EXPECT_RUN(0, "", "suspend", "vm1", "--file", path("good.vm"));
	expect_state("inactive");
	fd = open(path("good.vm"), O_RDONLY | O_CLOEXEC);
	require(fd >= 0);
	bytes = read(fd, data, sizeof(data));
	close(fd);
	require(bytes > 1000 && bytes < (ssize_t)sizeof(data));
	for (int i = 0; i < 8; i++) {
		ssize_t at = bytes / 8 * i + 5;

		data[at] ^= 0x20;
		fd = open(path("bad.vm"), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
		require_equal(write(fd, data, bytes), bytes);
		close(fd);
		data[at] ^= 0x20;
		EXPECT_RUN(6, "cannot be resumed: ", "resume", "vm1", "--file", path("bad.vm"));
		expect_state("inactive");
	}
	/* A version that comes after ours. */
	data[8] = 2;
	fd = open(path("bad.vm"), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	require_equal(write(fd, data, bytes), bytes);
	close(fd);
	EXPECT_RUN(6, "cannot be resumed: the header", "resume", "vm1", "--file", path("bad.vm"));
	EXPECT_RUN(0, "", "resume", "vm1", "--detach", "--file", path("good.vm"));
	expect_state("running");
	EXPECT_RUN(0, "", "kill", "vm1");
	EXPECT_RUN(0, "", "delete", "vm1");
	unlink(path("good.vm"));
	unlink(path("bad.vm"));
}

static const struct tap_test tests[] = {
	{ "each state refuses what it does not allow, by name", transitions },
	{ "its guest is inspected while it runs", inspected },
	{ "its guest is dumped while it runs", dumped },
	{ "a dump that fails leaves the guest and no file", dump_fails },
	{ "a dump that nobody waits for is given up", dump_given_up },
	{ "a guest that crashes is dumped", crash_dumped },
	{ "one that is starting says so", starting },
	{ "the host's pressure is read", pressure },
	{ "wrong arguments, and what is printed", words },
	{ "a killed process leaves a VM that can be started", killed },
	{ "a signal while it suspends ends both, and is answered", signal_in_suspend },
	{ "a suspend that fails leaves the older file", older_file },
	{ "a signal at any moment about it leaves the VM or all of its state", signal_about_suspend },
	{ "a full disk leaves the running VM", full_disk },
	{ "a damaged or newer file is refused", damaged },
};

TAP_MAIN(tests)
