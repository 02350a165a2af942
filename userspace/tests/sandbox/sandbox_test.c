// SPDX-License-Identifier: GPL-2.0-only
/*
 * The sandbox from inside: in a child that has entered it, each kind of thread tries what a
 * launcher that was taken over would try, and does what it must be able to do.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <net/if.h>
#include <linux/if_tun.h>

#include "base/fail.h"
#include "sandbox/keeper.h"
#include "sandbox/notes.h"
#include "sandbox/sandbox.h"
#include "tap.h"

#define DONE	77	/* the status of a thread that could do it */

static pid_t parent;
static bool root;

static const enum sandbox_kind all_kinds[] = {
	SANDBOX_LOOP, SANDBOX_VCPU, SANDBOX_DEVICE, SANDBOX_NET, SANDBOX_MOVE,
};

/**
 * struct attempt - something to try inside
 * @call: its name, as the refusal must say it; NULL: it is no refused call
 * @act: returns true if it had its effect
 */
struct attempt {
	const char *call;
	bool (*act)(void);
};

struct thread {
	enum sandbox_kind kind;
	const struct attempt *attempt;
};

static void *act(void *argument)
{
	const struct thread *thread = argument;

	if (thread->kind != SANDBOX_LOOP)
		sandbox_thread(thread->kind);
	_exit(thread->attempt->act() ? DONE : EXIT_FAILURE);
}

__attribute__((noreturn))
static void inside(const struct sandbox_needs *needs, struct thread *thread)
{
	char words[SANDBOX_WORDS];
	pthread_t id;

	if (!sandbox_enter(SANDBOX_ON, needs, NULL, words))
		_exit(EXIT_FAILURE);
	if (thread->kind == SANDBOX_LOOP)
		act(thread);
	if (pthread_create(&id, NULL, act, thread))
		_exit(EXIT_FAILURE);
	pthread_join(id, NULL);
	_exit(EXIT_FAILURE);
}

/* How it ended, and what it wrote to the standard error. */
static int try(enum sandbox_kind kind, const struct attempt *attempt, bool net, char *said,
	       size_t room)
{
	const struct sandbox_needs needs = { .net = net };
	struct thread thread = { kind, attempt };
	int ends[2], status;
	size_t used = 0;
	ssize_t got;
	pid_t child;

	fflush(NULL);
	require(!pipe(ends));
	child = fork();
	require(child >= 0);
	if (!child) {
		dup2(ends[1], STDERR_FILENO);
		close(ends[0]);
		close(ends[1]);
		inside(&needs, &thread);
	}
	close(ends[1]);
	while ((got = read(ends[0], said + used, room - 1 - used)) > 0)
		used += got;
	said[used] = 0;
	close(ends[0]);
	require(waitpid(child, &status, 0) == child);
	return status;
}

/* A line that names the call, and the end. */
static void expect_refused(enum sandbox_kind kind, const struct attempt *attempt, bool net)
{
	char said[1024], name[64];
	int status = try(kind, attempt, net, said, sizeof(said));

	snprintf(name, sizeof(name), " the call %s (", attempt->call);
	if (!WIFEXITED(status) || WEXITSTATUS(status) != EXIT_CODE_ERROR || !strstr(said, name))
		tap_check(false, false, "%s of kind %d was not refused: status 0x%x, \"%s\"",
			  attempt->call, kind, status, said);
}

static void expect_done(enum sandbox_kind kind, const struct attempt *attempt, bool net)
{
	char said[1024];
	int status = try(kind, attempt, net, said, sizeof(said));

	if (!WIFEXITED(status) || WEXITSTATUS(status) != DONE)
		tap_check(false, false, "kind %d cannot do it: status 0x%x, \"%s\"", kind, status,
			  said);
}

/* ---- what no thread may ------------------------------------------------------------------------ */

static bool do_execve(void)
{
	static char *const argv[] = { (char *)"true", NULL };

	execv("/bin/true", argv);
	return true;
}

static bool do_open(void)
{
	return syscall(SYS_openat, AT_FDCWD, "/etc/shadow", O_RDONLY) >= 0;
}

static bool do_open_write(void)
{
	return syscall(SYS_openat, AT_FDCWD, "/tmp/sandbox-test", O_WRONLY | O_CREAT, 0600) >= 0;
}

static bool do_old_open(void)
{
	return syscall(SYS_open, "/etc/passwd", O_RDONLY) >= 0;
}

static bool do_unlink(void)
{
	return !unlink("/tmp/sandbox-test");
}

static bool do_ptrace(void)
{
	return !ptrace(PTRACE_ATTACH, parent, NULL, NULL);
}

static bool do_other_memory(void)
{
	return syscall(SYS_process_vm_readv, parent, NULL, 0, NULL, 0, 0) >= 0;
}

static bool do_inet(void)
{
	return socket(AF_INET, SOCK_STREAM, 0) >= 0;
}

static bool do_packet(void)
{
	return socket(AF_PACKET, SOCK_RAW, 0) >= 0;
}

static bool do_unix(void)
{
	return socket(AF_UNIX, SOCK_STREAM, 0) >= 0;
}

static bool do_mprotect(void)
{
	static char page[8192] __attribute__((aligned(4096)));

	return !mprotect(page, 4096, PROT_READ | PROT_EXEC);
}

static bool do_mmap(void)
{
	return mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS,
		    -1, 0) != MAP_FAILED;
}

static bool do_fork(void)
{
	return syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0) >= 0;
}

static bool do_vfork(void)
{
	return syscall(SYS_fork) >= 0;
}

static bool do_unshare(void)
{
	return !unshare(CLONE_NEWUSER);
}

static bool do_kill(void)
{
	return !kill(parent, 0);
}

static bool do_thread_kill(void)
{
	return !syscall(SYS_tgkill, parent, parent, 0);
}

static bool do_owner(void)
{
	return !fcntl(STDERR_FILENO, F_SETOWN, parent);
}

static bool do_type(void)
{
	return !ioctl(STDIN_FILENO, TIOCSTI, "x");
}

static bool do_bpf(void)
{
	return syscall(SYS_bpf, 0, NULL, 0) >= 0;
}

static bool do_uring(void)
{
	return syscall(SYS_io_uring_setup, 1, NULL) >= 0;
}

static bool do_setuid(void)
{
	return !syscall(SYS_setuid, 0);
}

static bool do_prctl(void)
{
	return !prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);
}

static const struct attempt refused[] = {
	{ "execve", do_execve }, { "openat", do_open_write }, { "open", do_old_open },
	{ "unlink", do_unlink }, { "ptrace", do_ptrace }, { "process_vm_readv", do_other_memory },
	{ "socket", do_packet }, { "socket", do_unix }, { "mprotect", do_mprotect },
	{ "mmap", do_mmap }, { "clone", do_fork }, { "fork", do_vfork },
	{ "unshare", do_unshare }, { "kill", do_kill }, { "tgkill", do_thread_kill },
	{ "fcntl", do_owner }, { "ioctl", do_type }, { "bpf", do_bpf },
	{ "io_uring_setup", do_uring }, { "setuid", do_setuid }, { "prctl", do_prctl },
};
static const struct attempt open_shadow = { "openat", do_open };
static const struct attempt inet = { "socket", do_inet };

static void forbidden(void)
{
	for (unsigned int i = 0; i < sizeof(refused) / sizeof(refused[0]); i++)
		for (unsigned int kind = 0; kind < SANDBOX_KINDS; kind++)
			expect_refused(all_kinds[kind], &refused[i], true);
}

/* A VM without "--net user" has no thread that may. */
static void no_network(void)
{
	for (unsigned int kind = 0; kind < SANDBOX_KINDS; kind++) {
		if (all_kinds[kind] == SANDBOX_NET)
			continue;
		expect_refused(all_kinds[kind], &inet, false);
		expect_refused(all_kinds[kind], &open_shadow, false);
	}
	expect_refused(SANDBOX_VCPU, &inet, true);
	expect_refused(SANDBOX_VCPU, &open_shadow, true);
	expect_refused(SANDBOX_DEVICE, &inet, true);
	expect_refused(SANDBOX_MOVE, &inet, true);
}

/* ---- what each must be able to do -------------------------------------------------------------- */

static void *nothing(void *argument)
{
	return argument;
}

static bool make_thread(void)
{
	pthread_t id;

	return !pthread_create(&id, NULL, nothing, NULL) &&
	       !pthread_join(id, NULL);
}

static bool allocate(void)
{
	for (size_t bytes = 1; bytes < 64u << 20; bytes *= 2) {
		char *some = malloc(bytes);

		if (!some)
			return false;
		memset(some, 1, bytes);
		free(some);
	}
	return true;
}

static bool set_timer(void)
{
	struct itimerspec at = { .it_value = { .tv_nsec = 1 } };
	int fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC);
	uint64_t count;

	return fd >= 0 && !timerfd_settime(fd, 0, &at, NULL) && read(fd, &count, 8) == 8;
}

static bool connect_out(void)
{
	struct sockaddr_in where = {
		.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	return fd >= 0 && !bind(fd, (void *)&where, sizeof(where));
}

static bool say_and_fail(void)
{
	say("a %s", "line");
	return true;
}

static bool ask_date(void)
{
	time_t now = time(NULL);
	struct tm date;

	return gmtime_r(&now, &date);
}

static void allowed(void)
{
	static const struct attempt date = { NULL, ask_date };
	static const struct attempt memory = { NULL, allocate }, timer = { NULL, set_timer };
	static const struct attempt line = { NULL, say_and_fail };
	static const struct attempt threads = { NULL, make_thread }, out = { NULL, connect_out };

	for (unsigned int kind = 0; kind < SANDBOX_KINDS; kind++) {
		expect_done(all_kinds[kind], &memory, true);
		expect_done(all_kinds[kind], &date, true);
		expect_done(all_kinds[kind], &line, true);
	}
	expect_done(SANDBOX_LOOP, &threads, false);
	expect_done(SANDBOX_MOVE, &threads, false);
	expect_done(SANDBOX_MOVE, &timer, false);
	expect_done(SANDBOX_NET, &out, true);
}

/* ---- privileges and files --------------------------------------------------------------------- */

static bool has_no_privileges(void)
{
	unsigned long long effective = 1, bounding = 1;
	int no_new = 0;
	char text[4096];
	ssize_t got = pread(9, text, sizeof(text) - 1, 0);
	const char *at;

	if (got <= 0)
		return false;
	text[got] = 0;
	at = strstr(text, "CapEff:");
	if (at)
		sscanf(at, "CapEff: %llx", &effective);
	at = strstr(text, "CapBnd:");
	if (at)
		sscanf(at, "CapBnd: %llx", &bounding);
	at = strstr(text, "NoNewPrivs:");
	if (at)
		sscanf(at, "NoNewPrivs: %d", &no_new);
	/* Only root can have bounds taken away. */
	return !effective && no_new == 1 && (!bounding || !root);
}

static bool open_status(void)
{
	/* Its process is the one that reads; the parent's would be another's. */
	return dup2(open("/proc/thread-self/status", O_RDONLY), 9) == 9;
}

static void privileges(void)
{
	struct sandbox_needs needs = { .net = true };
	char words[SANDBOX_WORDS];
	int status;
	pid_t child;

	fflush(NULL);
	child = fork();
	require(child >= 0);
	if (!child) {
		if (!open_status() || !sandbox_enter(SANDBOX_ON, &needs, NULL, words))
			_exit(EXIT_FAILURE);
		_exit(has_no_privileges() ? DONE : EXIT_FAILURE);
	}
	require(waitpid(child, &status, 0) == child);
	expect(WIFEXITED(status) && WEXITSTATUS(status) == DONE);
}

static bool cannot_read(void)
{
	return open("/etc/passwd", O_RDONLY) < 0 && errno == EACCES;
}

/* The network's thread may open files as far as seccomp can tell: Landlock knows which. */
static void files(void)
{
	static const struct attempt passwd = { NULL, cannot_read };

	if (syscall(SYS_landlock_create_ruleset, NULL, 0, 1) < 0)
		tap_skip("this kernel has no Landlock: %s", strerror(errno));
	expect_done(SANDBOX_NET, &passwd, true);
	expect_done(SANDBOX_LOOP, &passwd, true);
}

static void strict(void)
{
	struct sandbox_needs needs = { .net = false };
	int status;
	pid_t child;

	fflush(NULL);
	child = fork();
	require(child >= 0);
	if (!child) {
		char words[SANDBOX_WORDS];
		bool entered = sandbox_enter(SANDBOX_STRICT, &needs, NULL, words);

		/* It fails with words, or does all of it. */
		_exit(entered == !words[0] ? DONE : EXIT_FAILURE);
	}
	require(waitpid(child, &status, 0) == child);
	expect(WIFEXITED(status) && WEXITSTATUS(status) == DONE);
	expect_equal(sandbox_mode_by_name("strict"), SANDBOX_STRICT);
	expect_equal(sandbox_mode_by_name("of"), -1);
}

/* ---- the keeper ------------------------------------------------------------------------------- */

static char directory[32];
static char socket_path[64], saved_path[64], other_path[64];

static bool there(const char *path)
{
	struct stat st;

	return !lstat(path, &st);
}

/* A socket that a client bound and handed over is removed by its descriptor. */
static bool unbinds(int note, int listener)
{
	if (keeper_listen(note) != -EADDRINUSE)
		return false;
	keeper_unbind(listener);
	return keeper_listen(note) >= 0;
}

/* Statuses say where it went wrong. */
static int use_keeper(bool sandbox, bool killed)
{
	int listener, again, saved, file;

	if (sandbox && !keeper_start(NULL))
		return 1;
	listener = keeper_note(KEEPER_SOCKET, socket_path, NULL);
	saved = keeper_note(KEEPER_SAVED, saved_path, NULL);
	keeper_seal();
	if (sandbox) {
		struct sandbox_needs needs = { .net = false };
		char words[SANDBOX_WORDS];

		if (!sandbox_enter(SANDBOX_ON, &needs, NULL, words))
			return 1;
	}
	again = keeper_listen(listener);
	if (again < 0)
		return 2;
	if (keeper_listen(saved) != -EINVAL || keeper_listen(99) != -EINVAL ||
	    keeper_create(listener) != -EINVAL || keeper_tap(saved) != -EINVAL ||
	    keeper_listen(-1) != -EINVAL || keeper_commit(saved) != -EINVAL)
		return 3;
	file = keeper_create(saved);
	if (file < 0 || write(file, "x", 1) != 1)
		return 4;
	keeper_unbind(file);
	keeper_unbind(-1);
	if (!killed && !unbinds(listener, again))
		return 6;
	if (killed)
		raise(SIGKILL);
	if (keeper_commit(saved))
		return 5;
	keeper_end();
	return DONE;
}

static int run_keeper(bool sandbox, bool killed)
{
	int status;
	pid_t child;

	fflush(NULL);
	child = fork();
	require(child >= 0);
	if (!child)
		_exit(use_keeper(sandbox, killed));
	require(waitpid(child, &status, 0) == child);
	return status;
}

static void make_directory(void)
{
	strcpy(directory, "/tmp/keeper-XXXXXX");
	require(mkdtemp(directory));
	snprintf(socket_path, sizeof(socket_path), "%s/socket", directory);
	snprintf(saved_path, sizeof(saved_path), "%s/saved", directory);
	snprintf(other_path, sizeof(other_path), "%s/saved.tmp", directory);
}

static void keeps(void)
{
	for (int sandbox = 0; sandbox < 2; sandbox++) {
		int status;

		make_directory();
		status = run_keeper(sandbox, false);
		expect(WIFEXITED(status));
		expect_equal(WEXITSTATUS(status), DONE);
		/* The file stays, the socket goes. */
		expect(there(saved_path));
		expect(!there(other_path));
		expect(!there(socket_path));
		unlink(saved_path);
		rmdir(directory);
	}
}

/* The launcher was killed in the midst of it: its leavings go a moment later. */
static void clears_up(void)
{
	int status;

	make_directory();
	status = run_keeper(true, true);
	expect(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	for (int i = 0; i < 500 && (there(socket_path) || there(other_path)); i++)
		usleep(10000);
	expect(!there(socket_path));
	expect(!there(other_path));
	expect(!there(saved_path));
	rmdir(directory);
}

/* Notes end with the seal: a launcher that was taken over names no path. */
static void sealed(void)
{
	struct error error;
	int status;
	pid_t child;

	fflush(NULL);
	child = fork();
	require(child >= 0);
	if (!child) {
		if (!keeper_start(&error))
			_exit(1);
		keeper_seal();
		_exit(keeper_note(KEEPER_SOCKET, "/tmp/elsewhere", &error) < 0 ? error.status : DONE);
	}
	require(waitpid(child, &status, 0) == child);
	expect(WIFEXITED(status));
	expect_equal(WEXITSTATUS(status), EXIT_CODE_ERROR);
}

/* ---- taps ------------------------------------------------------------------------------------ */

/* Make a tap that stays, as "ip tuntap add" does. */
static bool make_tap(const char *name, short flags)
{
	struct ifreq request = { .ifr_flags = IFF_TAP | flags };
	int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC);
	bool good;

	strcpy(request.ifr_name, name);
	good = fd >= 0 && !ioctl(fd, TUNSETIFF, &request) && !ioctl(fd, TUNSETPERSIST, 1);
	if (fd >= 0)
		close(fd);
	return good;
}

/* A number that says what went wrong, or DONE. */
static int take_taps(void)
{
	static const struct {
		const char *name;
		short flags;
		int expected;
	} taps[] = {
		{ "plain", IFF_NO_PI, 0 }, { "info", 0, 0 }, { "vnet", IFF_NO_PI | IFF_VNET_HDR, 0 },
		{ "many", IFF_NO_PI | IFF_MULTI_QUEUE, -ENOTUNIQ },
		{ "lo", 0, -EINVAL },
	};

	for (int i = 0; i < (int)(sizeof(taps) / sizeof(taps[0])); i++) {
		int note, fd, second;

		if (taps[i].expected != -EINVAL && !make_tap(taps[i].name, taps[i].flags))
			return 1;
		note = notes_add(KEEPER_TAP, taps[i].name);
		fd = notes_tap(note);
		if (fd < 0 ? fd != taps[i].expected : taps[i].expected)
			return 10 + i;
		second = notes_tap(note);
		if (second >= 0 || (fd >= 0 && second != -EBUSY))
			return 20 + i;
	}
	return DONE;
}

static void taps(void)
{
	int status;
	pid_t child;

	fflush(NULL);
	child = fork();
	require(child >= 0);
	if (!child) {
		if (unshare(CLONE_NEWNET | (root ? 0 : CLONE_NEWUSER)) || access("/dev/net/tun", R_OK | W_OK))
			_exit(0);
		_exit(take_taps());
	}
	require(waitpid(child, &status, 0) == child);
	expect(WIFEXITED(status));
	if (!WEXITSTATUS(status))
		tap_skip("this user may not make network namespaces, or there is no /dev/net/tun");
	else
		expect_equal(WEXITSTATUS(status), DONE);
}

static const struct tap_test tests[] = {
	{ "what no kind of thread may do is refused, and named", forbidden },
	{ "without a network of its own no thread opens or connects anything", no_network },
	{ "each kind of thread can do its work", allowed },
	{ "no capability is left, and none can come", privileges },
	{ "Landlock keeps files from the thread that may open some", files },
	{ "strict is all, or words", strict },
	{ "the keeper serves what was noted, and nothing else", keeps },
	{ "the keeper clears up behind a launcher that was killed", clears_up },
	{ "nothing can be noted after the seal", sealed },
	{ "a tap is taken as it was left, or the keeper knows why not", taps },
};

int main(void)
{
	parent = getpid();
	root = !getuid();
	return tap_run(tests, sizeof(tests) / sizeof(tests[0]));
}
