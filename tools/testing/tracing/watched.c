// SPDX-License-Identifier: GPL-2.0-only
/*
 * Guests of known behaviour, for tests of the tools that watch them. Each mode
 * prints what the tools must find as one JSON object:
 *   watched phases        CPUID exits in marked phases
 *   watched dirty ROUNDS  a pattern of writes, round by round, by a guest, a device and the host
 *   watched storm COUNT MS|wait  as many CPUID exits as fast as can be, and MS of life after
 *                         that, or until it is killed; its balloon says that it holds 300 pages
 *   watched many VMS      VMs with a few CPUID exits each, one after the other
 *   watched idle          a VM with nothing to do, until it is killed
 *   watched migration [wait]  fires the launcher's probes as a migration does that stalls, with
 *                         "wait" when it gets SIGUSR1
 *   watched probes        fires the launcher's static probes as a balloon does
 *   watched keys KEYS COMMAND…  runs COMMAND at a terminal of $COLUMNS (132) and types KEYS, each
 *                         when what the one before did was drawn
 *   watched old COMMAND…  runs COMMAND as if on an old kernel
 *   watched nobody COMMAND…  runs COMMAND without privilege
 */
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/personality.h>
#include <sys/wait.h>
#include <unistd.h>

#include "machine.h"
#include "migrate/phase.h"
#include "vm/probes.h"

#define PAGE		4096u
#define PAGES		(MEMORY_BYTES / PAGE)
#define PATTERN		0x200000u	/* where the guest writes */
#define DEVICE_AT	0x600000u
#define HOST_AT		0x700000u
#define DISK		1u	/* numbers of devices */
#define NET		GONDOLA_MAX_DEVICES
#define PHASE_COPY	3u
#define PHASE_STOP	4u
#define CODE_OFFSET(label, name)	(CODE + (uint32_t)((label) - (name)))

/* ECX CPUIDs, then it reports. */
GUEST_CODE(many_cpuids, 32,
	   "1: mov %ecx, %esi; xor %eax, %eax; xor %ecx, %ecx; cpuid; mov %esi, %ecx\n"
	   "dec %ecx; jnz 1b; out %eax, $0x80; 2: jmp 2b");

/* ECX pages from EDI on, EDX apart: the odd ones by one instruction, the even ones by another. */
GUEST_CODE(writers, 32,
	   "1: test $1, %ecx; jz 2f\n"
	   "odd_writer: mov %eax, (%edi); jmp 3f\n"
	   "2: even_writer: movl $7, 8(%edi)\n"
	   "3: add %edx, %edi; dec %ecx; jnz 1b\n"
	   "out %eax, $0x80; 4: jmp 4b");
extern const char odd_writer[], even_writer[];

static struct machine machine;

static void run_guest(uint32_t ecx, uint32_t edi, uint32_t edx)
{
	machine.regs.rip = CODE;
	machine.regs.gpr[1] = ecx;
	machine.regs.gpr[2] = edx;
	machine.regs.gpr[7] = edi;
	machine_set(&machine);
	machine_result(&machine);
}

static void print_exits(void)
{
	struct gondola_stats stats;
	unsigned long long total = 0;

	require_equal(__gondola_get_stats(machine.vcpu, &stats), 0);
	printf("\"exits\":{");
	for (unsigned int i = 0; i < GONDOLA_REASON_COUNT; i++) {
		if (!stats.exits[i])
			continue;
		printf("%s\"%s\":%llu", total ? "," : "", gondola_reason_name(i),
		       (unsigned long long)stats.exits[i]);
		total += stats.exits[i];
	}
	printf("},\"exits_total\":%llu,\"user_exits\":%llu", total,
	       (unsigned long long)stats.counters[GONDOLA_COUNTER_USER_EXITS]);
}

static void phases(void)
{
	static const uint32_t counts[] = { 100, 0, 0, 250, 40 };

	machine_create(&machine, MODE_UNPAGED);
	GUEST_LOAD(&machine, many_cpuids);
	printf("{\"cpuid\":{");
	for (uint32_t phase = 0; phase < 5; phase++) {
		if (!counts[phase])
			continue;
		require_equal(__gondola_mark(machine.vm, phase, 1), 0);
		run_guest(counts[phase], 0, 0);
		printf("%s\"%u\":%u", phase ? "," : "", phase, counts[phase]);
	}
	printf("},");
	print_exits();
	printf("}\n");
}

static void storm(uint32_t count)
{
	machine_create(&machine, MODE_UNPAGED);
	GUEST_LOAD(&machine, many_cpuids);
	PROBE_BALLOON_PAGES(1, 0, 300, 300);
	run_guest(count, 0, 0);
	printf("{\"cpuid\":%u,", count);
	print_exits();
	printf("}\n");
}

/* ---- dirty pages ---------------------------------------------------------------------- */

/* Begins a round as a migration does: mark, clear the log. Prints what was dirty. */
static void begin_round(uint32_t phase, uint32_t round, bool first)
{
	static uint64_t bitmap[PAGES / 64];
	unsigned int count = 0;

	require_equal(__gondola_mark(machine.vm, phase, round), 0);
	memset(bitmap, 0xff, sizeof(bitmap));
	require_equal(__gondola_clear_dirty(machine.vm, 0, 0, PAGES, bitmap), 0);
	for (unsigned int i = 0; i < PAGES; i++)
		count += bitmap[i / 64] >> i % 64 & 1;
	/* Clearing at the beginning of round n takes the writes of round n - 1. */
	if (!first) {
		printf("%s{\"round\":%u,\"pages\":%u,\"gfns\":[", round > 2 ? "," : "", round - 1,
		       count);
		for (unsigned int i = 0, printed = 0; i < PAGES; i++)
			if (bitmap[i / 64] >> i % 64 & 1)
				printf("%s%u", printed++ ? "," : "", i);
		printf("]}");
	}
}

static void device_writes(uint32_t device, uint64_t gpa, uint64_t bytes)
{
	require_equal(__gondola_mark_dirty(machine.vm, GONDOLA_DIRTY_DEVICE, device, gpa, bytes), 0);
}

/* In round r the guest writes 10 r pages, two apart; devices 4, the host 2, always the same. */
static void dirty(uint32_t rounds)
{
	uint32_t odd = 0, even = 0;

	machine_create(&machine, MODE_UNPAGED);
	GUEST_LOAD(&machine, writers);
	require_equal(__gondola_set_memory(machine.vm, 0, GONDOLA_MEM_LOG_DIRTY, 0, MEMORY_BYTES,
					   machine.memory), 0);
	require_equal(__gondola_name_device(machine.vm, DISK, "disk0"), 0);
	require_equal(__gondola_name_device(machine.vm, NET, "net0"), 0);
	printf("{\"rounds\":[");
	begin_round(PHASE_COPY, 1, true);
	for (uint32_t round = 1; round <= rounds; round++) {
		run_guest(10 * round, PATTERN, 2 * PAGE);
		/* A second time in the same round: these are dirty already. */
		run_guest(10 * round, PATTERN, 2 * PAGE);
		device_writes(DISK, DEVICE_AT + round * 0x10000, PAGE + 1);
		device_writes(NET, DEVICE_AT + round * 0x10000 + 2 * PAGE, PAGE);
		/* One that the launcher did not name. */
		device_writes(0, DEVICE_AT + round * 0x10000 + 3 * PAGE, PAGE);
		require_equal(__gondola_mark_dirty(machine.vm, GONDOLA_DIRTY_HOST, 0, HOST_AT,
						   2 * PAGE), 0);
		odd += 5 * round;
		even += 5 * round;
		usleep(200000);
		begin_round(round == rounds ? PHASE_STOP : PHASE_COPY, round + 1, false);
	}
	printf("],\"by\":{\"vcpu 0\":%u,\"disk0\":%u,\"net0\":%u,\"device\":%u,\"host\":%u},"
	       "\"writers\":{\"%#x\":%u,\"%#x\":%u}}\n",
	       odd + even, 2 * rounds, rounds, rounds, 2 * rounds, CODE_OFFSET(odd_writer, writers), odd,
	       CODE_OFFSET(even_writer, writers), even);
}

/* 10 MiB are asked for; three runs of 2 MiB are given, 100 pages taken back, then it is over. */
static void probes(void)
{
	PROBE_BALLOON_GOAL(1, 2560, 0);
	for (unsigned int i = 1; i <= 3; i++)
		PROBE_BALLOON_PAGES(1, i << 21, 512, i * 512);
	PROBE_BALLOON_PAGES(0, 1 << 21, 100, 1436);
	PROBE_BALLOON_END(1, 3, 1436);
}

static void round_of(uint32_t round, uint32_t pages, uint32_t dirtied)
{
	PROBE_MIGRATE_ROUND_BEGIN(round, pages);
	usleep(20000);
	PROBE_MIGRATE_ROUND_END(round, pages, pages * 4096ull, 20000000ull, dirtied);
	PROBE_MIGRATE_PREDICTION(round, dirtied * 100000ull);
}

/* The times between the phases are 20 ms at least, those that it tells are made up. */
static void migration(bool wait)
{
	static const uint32_t last[] = { MIGRATE_COMMIT, MIGRATE_RESUME, MIGRATE_DONE };
	sigset_t told;
	int which;

	/* Before the VM can be seen. */
	sigemptyset(&told);
	sigaddset(&told, SIGUSR1);
	sigprocmask(SIG_BLOCK, &told, NULL);
	machine_create(&machine, MODE_UNPAGED);
	if (wait)
		sigwait(&told, &which);
	PROBE_MIGRATE_PHASE(MIGRATE_CHECK, 0);
	PROBE_MIGRATE_PHASE(MIGRATE_RESERVE, 0);
	PROBE_MIGRATE_PHASE(MIGRATE_COPY, 0);
	round_of(1, 1000, 400);
	round_of(2, 400, 390);
	PROBE_MIGRATE_STALL(2, 80ull << 20, 78ull << 20);
	PROBE_MIGRATE_THROTTLE(20);
	PROBE_MIGRATE_THROTTLE(0);
	PROBE_MIGRATE_PHASE(MIGRATE_STOP, 3);
	round_of(3, 390, 0);
	for (unsigned int i = 0; i < sizeof(last) / sizeof(last[0]); i++) {
		PROBE_MIGRATE_PHASE(last[i], 3);
		usleep(20000);
		if (last[i] == MIGRATE_COMMIT)
			PROBE_MIGRATE_DOWNTIME(39000000ull, 45000000ull);
		for (uint64_t gpa = 0; last[i] == MIGRATE_RESUME && gpa < 5; gpa++) {
			PROBE_MIGRATE_FAULT(gpa << 12);
			PROBE_MIGRATE_FAULT_END(gpa << 12, (gpa + 1) * 1000000ull);
		}
	}
}

/* Hands on what comes until @screens more begin, the end, or a minute without a word. */
static void copy_screens(int from, unsigned int screens)
{
	static const char begin[] = "\033[H";
	struct pollfd poll_fd = { .fd = from, .events = POLLIN };
	static unsigned int matched;
	char buffer[4096];

	while (screens && poll(&poll_fd, 1, 60000) > 0) {
		ssize_t count = read(from, buffer, sizeof(buffer));

		if (count <= 0 || write(STDOUT_FILENO, buffer, count) != count)
			return;
		for (ssize_t i = 0; i < count; i++) {
			matched = buffer[i] == begin[matched] ? matched + 1 : buffer[i] == *begin;
			if (begin[matched])
				continue;
			matched = 0;
			screens -= !!screens;
		}
	}
}

static void many(uint32_t vms)
{
	while (vms--) {
		machine_create(&machine, MODE_UNPAGED);
		GUEST_LOAD(&machine, many_cpuids);
		run_guest(10, 0, 0);
		machine_destroy(&machine);
	}
}

static int at_terminal(const char *keys, char **command)
{
	int master = posix_openpt(O_RDWR | O_NOCTTY), status;
	const char *columns = getenv("COLUMNS");
	struct winsize size = { .ws_row = 24, .ws_col = columns ? atoi(columns) : 132 };
	pid_t child;

	if (master < 0 || grantpt(master) || unlockpt(master) || ioctl(master, TIOCSWINSZ, &size))
		return 126;
	child = fork();
	if (!child) {
		int terminal;

		setsid();
		terminal = open(ptsname(master), O_RDWR);
		for (int i = 0; i < 3; i++)
			dup2(terminal, i);
		execvp(command[0], command);
		_exit(127);
	}
	copy_screens(master, 1);
	for (; *keys; keys++) {
		if (write(master, keys, 1) != 1)
			return 126;
		/* The first one may have been on its way; the last key ends it. */
		copy_screens(master, keys[1] ? 2 : UINT_MAX);
	}
	for (int i = 0; i < 600; i++) {
		if (waitpid(child, &status, WNOHANG) == child)
			return WIFEXITED(status) ? WEXITSTATUS(status) : 125;
		/* A terminal that is closed says so at once, the process ends later. */
		usleep(100000);
	}
	kill(child, SIGKILL);
	return 124;
}

int main(int argc, char **argv)
{
	const char *mode = argc > 1 ? argv[1] : "";
	uint32_t number = argc > 2 ? strtoul(argv[2], NULL, 10) : 0;

	if (setjmp(tap.end)) {
		fprintf(stderr, "watched: %s\n", tap.skip ? tap.skip : "failed");
		return 1;
	}
	if (!strcmp(mode, "phases")) {
		phases();
	} else if (!strcmp(mode, "dirty")) {
		dirty(number);
	} else if (!strcmp(mode, "storm")) {
		storm(number);
		fflush(stdout);
		if (argc > 3 && !strcmp(argv[3], "wait"))
			pause();
		usleep(argc > 3 ? strtoul(argv[3], NULL, 10) * 1000 : 0);
	} else if (!strcmp(mode, "many")) {
		many(number);
		return 0;
	} else if (!strcmp(mode, "migration")) {
		migration(argc > 2 && !strcmp(argv[2], "wait"));
	} else if (!strcmp(mode, "probes")) {
		probes();
		return 0;
	} else if (!strcmp(mode, "idle")) {
		machine_create(&machine, MODE_UNPAGED);
		pause();
	} else if (!strcmp(mode, "keys") && argc > 3) {
		return at_terminal(argv[2], argv + 3);
	} else if (!strcmp(mode, "old") && argc > 2) {
		personality(UNAME26);
		return execvp(argv[2], argv + 2);
	} else if (!strcmp(mode, "nobody") && argc > 2) {
		return setgid(65534) || setuid(65534) || execvp(argv[2], argv + 2);
	} else {
		fprintf(stderr, "usage: watched phases | dirty ROUNDS | storm COUNT MS|wait | many VMS | idle | migration [wait] | probes | keys KEYS COMMAND... | old COMMAND... | nobody COMMAND...\n");
		return 2;
	}
	/* Long enough for who watches to see the name. */
	usleep(150000);
	machine_destroy(&machine);
	return 0;
}
