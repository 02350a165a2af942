// SPDX-License-Identifier: GPL-2.0-only
/* The command itself: exit codes, messages, console and report, with good and bad input. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "command.h"
#include "machine.h"

#define MAX_ARGUMENTS	24

static void make_file(const char *name, const void *data, size_t bytes)
{
	int fd = open(path(name), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	require(fd >= 0);
	require_equal(write(fd, data, bytes), bytes);
	close(fd);
}

static void usage(void)
{
	EXPECT_RUN(2, "gondola help", "run");
	EXPECT_RUN(2, "\"--frob\" is not an option", "run", "--frob");
	EXPECT_RUN(2, "did you mean --kernel?", "run", "--kernal", "guests/hello");
	EXPECT_RUN(2, "did you mean \"start\"?", "strat", "vm1");
	EXPECT_RUN(0, "Manual section: 1", "help", "--man");
	EXPECT_RUN(2, "needs a value", "run", "--kernel");
	EXPECT_RUN(2, "not a command", "walk");
	EXPECT_RUN(2, "not a size", "run", "--mem", "lots");
	EXPECT_RUN(2, "2M to", "run", "--mem", "4K");
	EXPECT_RUN(2, "1 to 16", "run", "--cpus", "0");
	EXPECT_RUN(2, "1 to 16", "run", "--cpus", "1000");
	EXPECT_RUN(2, "vmx, svm", "run", "--engine", "kvm");
	EXPECT_RUN(2, "not a name", "run", "--name", "a/b");
	EXPECT_RUN(2, "0 to 65535", "run", "--debug-exit", "-1");
	EXPECT_RUN(2, "--json", "run", "--kernel", "guests/hello", "--json", "/nowhere/file");
	EXPECT_RUN(0, "EXIT STATUS", "help");
	EXPECT_RUN(0, "--console", "help", "run");
	EXPECT_RUN(0, "gondola", "--version");
}

static void bad_images(void)
{
	char *empty = path("empty"), *text = path("text"), *cut = path("cut");
	static char image[8192];
	ssize_t bytes;
	int fd;

	make_file("empty", "", 0);
	make_file("text", "this is not a kernel\n", 21);
	fd = open("guests/hello", O_RDONLY | O_CLOEXEC);
	require(fd >= 0);
	bytes = read(fd, image, sizeof(image));
	close(fd);
	require(bytes > 4200);
	make_file("cut", image, 4200);
	EXPECT_RUN(6, "the file is empty", "run", "--kernel", empty);
	EXPECT_RUN(6, "not a kernel image", "run", "--kernel", text);
	EXPECT_RUN(6, "cut short", "run", "--kernel", cut);
	EXPECT_RUN(6, "No such file", "run", "--kernel", "/nowhere/vmlinuz");
	EXPECT_RUN(6, "neither a regular file nor a pipe", "run", "--kernel", "/");
	EXPECT_RUN(6, "No such file", "run", "--kernel", "guests/hello", "--initrd", "/nowhere/initrd");
	EXPECT_RUN(16, "more than the host has", "run", "--kernel", "guests/hello", "--mem", "1000G");
}

static void endings(void)
{
	machine_need_engine();
	EXPECT_RUN(0, "powered off", "run", "--kernel", "guests/hello");
	EXPECT_RUN(41, "wrote 20", "run", "--kernel", "guests/hello", "--append", "exit=20");
	EXPECT_RUN(10, "reset", "run", "--kernel", "guests/hello", "--append", "reset=1");
	EXPECT_RUN(10, "reset", "run", "--kernel", "guests/hello", "--append", "reset=2");
	EXPECT_RUN(8, "rax 00000000600dfa17", "run", "--kernel", "guests/triple");
	EXPECT_RUN(8, "launcher: shutdown\n", "run", "--kernel", "guests/triple");
	EXPECT_RUN(8, "triple-faulted", "run", "--kernel", "guests/ud2", "--append", "bare");
	EXPECT_RUN(7, "wrote 3", "run", "--kernel", "guests/ud2", "--append", "count=50");
	EXPECT_RUN(14, "from there on: 66 0f 38 1c c1", "run", "--engine", "interp",
		   "--kernel", "guests/missing", "--append", "ssse3");
	EXPECT_RUN(14, "from there on: f2 0f 7c c1", "run", "--engine", "interp",
		   "--kernel", "guests/missing", "--append", "sse3");
	/* Another port for it. */
	EXPECT_RUN(0, "powered off", "run", "--kernel", "guests/hello", "--append", "exit=20",
		   "--debug-exit", "0x500");
	EXPECT_RUN(2, "taken", "run", "--kernel", "guests/hello", "--debug-exit", "0x3f8");
}

static void unruly_guests(void)
{
	machine_need_engine();
	EXPECT_RUN(14, "0xd0000000", "run", "--kernel", "guests/jump");
	EXPECT_RUN(11, "wrote 5", "run", "--kernel", "guests/ports");
	EXPECT_RUN(15, "written by one string instruction", "run", "--kernel", "guests/strings");
	EXPECT_RUN(19, "wrote 9", "run", "--kernel", "guests/paging");
}

static void arguments(void)
{
	char *data = path("data");

	machine_need_engine();
	make_file("data", "first module", 12);
	EXPECT_RUN(0, "command line: guests/hello one two", "run", "--kernel", "guests/hello",
		   "--append", "one two");
	EXPECT_RUN(0, ": first module", "run", "--kernel", "guests/hello", "--module", data);
	EXPECT_RUN(0, "memory: 40 MiB", "run", "--kernel", "guests/hello", "--mem=40M");
}

static void devices(void)
{
	char *disk = path("data"), readonly[160];
	static char sectors[1536 + 7];

	machine_need_engine();
	snprintf(readonly, sizeof(readonly), "%s,ro", disk);
	make_file("data", "", 0);
	EXPECT_RUN(2, "No such file", "run", "--kernel", "guests/hello", "--disk", "/nowhere/disk");
	EXPECT_RUN(2, "neither a file nor", "run", "--kernel", "guests/hello", "--disk", "/tmp,ro");
	EXPECT_RUN(2, "smaller than a sector", "run", "--kernel", "guests/hello", "--disk", disk);
	memcpy(sectors, "QFI\xfb", 4);
	make_file("data", sectors, sizeof(sectors));
	EXPECT_RUN(2, "it is a qcow2 image", "run", "--kernel", "guests/hello", "--disk", disk);
	memset(sectors, 0, 4);
	make_file("data", sectors, sizeof(sectors));
	EXPECT_RUN(2, "has the same file", "run", "--kernel", "guests/hello", "--disk", disk,
		   "--disk", disk);
	EXPECT_RUN(2, "has the same file", "run", "--kernel", "guests/hello", "--disk", readonly,
		   "--disk", disk);
	EXPECT_RUN(0, "last 7 bytes", "run", "--kernel", "guests/hello", "--disk", readonly,
		   "--disk", readonly, "--rng");
	EXPECT_RUN(2, "none of user, tap", "run", "--kernel", "guests/hello", "--net", "none");
	EXPECT_RUN(2, "--net", "run", "--kernel", "guests/hello", "--net", "tap=");
	EXPECT_RUN(2, "address of one", "run", "--kernel", "guests/hello", "--net",
		   "user,mac=01:00:00:00:00:00");
	EXPECT_RUN(2, "neither mac", "run", "--kernel", "guests/hello", "--net", "user,loopback=on");
	EXPECT_RUN(2, "on or off", "run", "--kernel", "guests/hello", "--net",
		   "user,host-loopback=yes");
	EXPECT_RUN(2, "takes no value", "run", "--kernel", "guests/hello", "--rng=1");
}

/* Stopped from outside while the guest spins or sleeps. */
static void stopped_by(int number, char *append)
{
	char word[16];
	int from, status;
	/* The first byte must be the guest's: a kernel that lacks something has a line of its own. */
	pid_t child = start(&from, ARGUMENTS("run", "--sandbox", "off", "--kernel", "guests/loop",
					     "--append", append));

	/* It prints before it loops. */
	require_equal(read(from, word, 1), 1);
	require_equal(kill(child, number), 0);
	status = finish(child, from);
	if (number == SIGKILL)
		expect_equal(status, -SIGKILL);
	else
		expect_equal(status, 12);
	if (number != SIGKILL)
		expect(strstr(output, "stopped by signal"));
}

static void stopped(void)
{
	machine_need_engine();
	stopped_by(SIGTERM, "sti");
	stopped_by(SIGINT, "sti");
	stopped_by(SIGTERM, "hlt");
	stopped_by(SIGKILL, "sti");
}

/* As under nohup, or behind a shell's "&": what it was told to ignore does not end it. */
static void ignored_stays_ignored(void)
{
	static const int numbers[] = { SIGHUP, SIGINT, SIGQUIT };
	int from, status;
	char word[16];
	pid_t child;

	machine_need_engine();
	for (unsigned int i = 0; i < 3; i++)
		require(signal(numbers[i], SIG_IGN) != SIG_ERR);
	child = start(&from, ARGUMENTS("run", "--sandbox", "off", "--kernel", "guests/loop",
				       "--append", "sti"));
	for (unsigned int i = 0; i < 3; i++)
		require(signal(numbers[i], SIG_DFL) != SIG_ERR);
	require_equal(read(from, word, 1), 1);
	for (unsigned int i = 0; i < 3; i++)
		require_equal(kill(child, numbers[i]), 0);
	require_equal(kill(child, SIGTERM), 0);
	status = finish(child, from);
	expect_equal(status, 12);
	/* Not by the first that came, which a signalfd gives in the order of their numbers. */
	expect(strstr(output, "stopped by signal 15"));
}

static void stopped_interrupts_off(void)
{
	machine_need_engine();
	skip_if_deaf();
	stopped_by(SIGTERM, "");
	stopped_by(SIGKILL, "");
}

static void report(void)
{
	static char text[16384];
	char *json = path("report.json");
	ssize_t bytes;
	int fd;

	machine_need_engine();
	EXPECT_RUN(5, "wrote 2", "run", "--kernel", "guests/count", "--append", "cpuid=123 post=45 exit=2",
		   "--json", json);
	fd = open(json, O_RDONLY | O_CLOEXEC);
	require(fd >= 0);
	bytes = read(fd, text, sizeof(text) - 1);
	close(fd);
	require(bytes > 0);
	text[bytes] = 0;
	expect(strstr(text, "\"exit\": \"debug-exit\""));
	expect(strstr(text, "\"exit_code\": 5"));
	expect(strstr(text, "\"cpuid\": 123"));
	/* 45 writes, and the one that ended it. */
	expect(strstr(text, "\"io\": 46"));
	expect(strstr(text, "\"tlb_flushes\": "));
	expect(strstr(text, "\"total_ticks\": "));
}

static void console_file(void)
{
	char *file = path("console.log");
	static char text[4096];
	ssize_t bytes;
	int fd;

	machine_need_engine();
	EXPECT_RUN(0, "powered off", "run", "--kernel", "guests/hello", "--console", file);
	expect(!strstr(output, "hello from the guest"));
	fd = open(file, O_RDONLY | O_CLOEXEC);
	require(fd >= 0);
	bytes = read(fd, text, sizeof(text) - 1);
	close(fd);
	require(bytes > 0);
	text[bytes] = 0;
	expect(strstr(text, "hello from the guest\n"));
}

static void console_socket(void)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	char *name = path("console");
	char option[160], byte;
	struct stat st;
	int from, fd = -1;
	pid_t child;

	machine_need_engine();
	snprintf(option, sizeof(option), "unix:%s", name);
	strcpy(address.sun_path, name);
	child = start(&from, ARGUMENTS("run", "--kernel", "guests/walk", "--append",
				       "pages=4 hot=1", "--console", option));
	for (int i = 0; i < 3000; i++) {
		fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
		if (!connect(fd, (struct sockaddr *)&address, sizeof(address)))
			break;
		close(fd);
		fd = -1;
		usleep(20000);
	}
	require(fd >= 0);
	/* Before its guest runs, a signal ends the launcher at once. */
	require_equal(read(fd, &byte, 1), 1);
	close(fd);
	kill(child, SIGTERM);
	expect_equal(finish(child, from), 12);
	/* The socket is gone with it. */
	expect(stat(name, &st) && errno == ENOENT);
}

#define LINES	6000
#define LINE	16

/* More than all buffers on the way hold, while nobody reads. */
static pid_t start_stalled(int *from, char *lines)
{
	char module[160];
	int waiting = 0;
	pid_t child;

	for (unsigned int i = 0; i < LINES; i++)
		snprintf(lines + LINE * i, LINE + 1, "line %10u\n", i);
	make_file("lines", lines, LINES * LINE);
	snprintf(module, sizeof(module), "%s", path("lines"));
	child = start(from, ARGUMENTS("run", "--kernel", "guests/hello", "--append", "patient=1",
				      "--module", module));
	require(fcntl(*from, F_SETPIPE_SZ, 4096) == 4096);
	/* Until something is there, and no more comes: a write that does not fit waits. */
	for (int i = 0, still = 0; i < 3000 && still < 50; i++) {
		struct pollfd end = { .fd = *from };
		int before = waiting;

		require_equal(ioctl(*from, FIONREAD, &waiting), 0);
		still = waiting && waiting == before ? still + 1 : 0;
		if (poll(&end, 1, 20) > 0)
			break;
	}
	return child;
}

/* "gondola run | less": it waits for who reads, and all of it comes. */
static void console_paused(void)
{
	static char lines[LINES * LINE + 1], text[LINES * LINE + 4096];
	size_t used = 0;
	char *first;
	ssize_t got;
	pid_t child;
	int from, status;

	machine_need_engine();
	child = start_stalled(&from, lines);
	while ((got = read(from, text + used, sizeof(text) - 1 - used)) > 0)
		used += got;
	close(from);
	require_equal(waitpid(child, &status, 0), child);
	expect_equal(status, 0);
	first = strstr(text, "line ");
	require(first);
	expect(!strncmp(first, lines, LINES * LINE));
}

/* ... and who does not read does not keep it. */
static void console_stalled(void)
{
	static char lines[LINES * LINE + 1];
	int from, status = 0;
	pid_t child, ended = 0;

	machine_need_engine();
	child = start_stalled(&from, lines);
	kill(child, SIGTERM);
	for (int i = 0; i < 3000 && !ended; i++) {
		ended = waitpid(child, &status, WNOHANG);
		usleep(20000);
	}
	if (!ended)
		kill(child, SIGKILL);
	tap_check(ended == child, false, "it waits for its reader for ever");
	expect_equal(WEXITSTATUS(status), 12);
	close(from);
}

static void probe(void)
{
	machine_need_engine();
	EXPECT_RUN(0, "Guests run by", "probe");
	expect(strstr(output, "vmx") && strstr(output, "svm") && strstr(output, "interp"));
}

static const struct tap_test tests[] = {
	{ "wrong usage is told in one line", usage },
	{ "bad images and too much memory are refused", bad_images },
	{ "each ending has its exit code", endings },
	{ "unruly guests do no harm", unruly_guests },
	{ "command line, modules and memory arrive", arguments },
	{ "devices are opened, or refused in words", devices },
	{ "signals stop it", stopped },
	{ "... with the guest's interrupts off, too", stopped_interrupts_off },
	{ "signals that its parent had ignored do not stop it", ignored_stays_ignored },
	{ "the report counts", report },
	{ "the console goes to a file", console_file },
	{ "the console goes to a socket", console_socket },
	{ "the guest waits for a reader that pauses", console_paused },
	{ "a reader that stands still does not keep it", console_stalled },
	{ "probe says what can be used", probe },
};

int main(void)
{
	static const char *const files[] = {
		"empty", "text", "cut", "data", "report.json", "console.log", "lines"
	};
	int status;

	if (!make_directory("test")) {
		perror("/tmp");
		return 1;
	}
	status = tap_run(tests, sizeof(tests) / sizeof(tests[0]));
	for (unsigned int i = 0; i < sizeof(files) / sizeof(files[0]); i++)
		unlink(path(files[i]));
	rmdir(directory);
	return status;
}
