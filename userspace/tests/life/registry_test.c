// SPDX-License-Identifier: GPL-2.0-only
/* The registry: who lives, who died, and what is left of them. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/file.h"
#include "base/line_socket.h"
#include "base/member.h"
#include "control/client.h"
#include "life_test.h"
#include "control/registry.h"

#define HOME	"/tmp/gondola-life-test-XXXXXX"
static char home[sizeof(HOME)];
static struct error error;

/* The directories are empty if the tests were right. */
static void end(void)
{
	static const char *const names[] = { "run", "saved", "vms" };
	char path[64];

	for (int i = 0; i < 3; i++) {
		snprintf(path, sizeof(path), "%s/%s", home, names[i]);
		rmdir(path);
	}
	rmdir(home);
}

static void begin(void)
{
	static bool made;

	if (!made) {
		strcpy(home, HOME);
		require(mkdtemp(home) != NULL);
		setenv("GONDOLA_HOME", home, 1);
		atexit(end);
		require(registry_init(&error));
	}
	made = true;
}

static int save_config(const char *name, bool exclusive)
{
	struct json_object *object = json_object_new_object();
	int ret;

	json_object_object_add(object, "format", json_object_new_int(REGISTRY_FORMAT));
	json_object_object_add(object, "name", json_object_new_string(name));
	ret = registry_save_config(name, object, exclusive, &error);
	json_object_put(object);
	return ret;
}

static void write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	require(fd >= 0);
	require_equal(write(fd, text, strlen(text)), strlen(text));
	close(fd);
}

/* A process that does @live for @name until it is killed, and has written a byte to say that it can. */
static pid_t process(void (*live)(const char *name, const char *lines, int ready),
		     const char *name, const char *lines)
{
	int ends[2];
	char byte;
	pid_t child;

	require_equal(pipe2(ends, O_CLOEXEC), 0);
	child = fork();
	require(child >= 0);
	if (!child) {
		live(name, lines, ends[1]);
		_exit(1);
	}
	close(ends[1]);
	require_equal(read(ends[0], &byte, 1), 1);
	close(ends[0]);
	return child;
}

static void hold(const char *name, const char *lines, int ready)
{
	(void)lines;
	if (registry_lock(name, &error) >= 0 && write(ready, "x", 1) == 1)
		pause();
}

/* A process that holds the lock of @name until it is killed. */
static pid_t living(const char *name)
{
	return process(hold, name, NULL);
}

static void speak(const char *name, const char *lines, int ready)
{
	int lock = registry_lock(name, &error), peer, socket;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	socket = line_socket_listen(registry_path(REGISTRY_CONTROL, name));
	fcntl(socket, F_SETFL, 0);
	if (lock < 0 || write(ready, "x", 1) != 1)
		return;
	while ((peer = accept(socket, NULL, NULL)) >= 0)
		if (lines && line_socket_send(peer, lines, strlen(lines), -1))
			close(peer);
}

/* One that has a control socket too, and gives each client @lines, or nothing. */
static pid_t speaking(const char *name, const char *lines)
{
	return process(speak, name, lines);
}

static void end_process(pid_t child)
{
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
}

static int state_of(const char *name)
{
	struct registry_vm vm;
	int ret = registry_find(name, &vm);

	registry_put(&vm);
	return ret ? ret : (int)vm.state;
}

void registry_names(void)
{
	static const char *const bad[] = {
		"", ".", "..", ".hidden", "-x", "a/b", "a b", "a\nb", "\xc3\xa4",
		"0123456789012345678901234567890123"
	};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		tap_check(!registry_name_is_good(bad[i]), false, "\"%s\" is taken", bad[i]);
	expect(registry_name_is_good("vm1"));
	expect(registry_name_is_good("A.b_c-9"));
	begin();
	expect_equal(state_of("../../etc/passwd"), -ENOENT);
}

void registry_states(void)
{
	struct registry_vm vm;
	pid_t child;
	char **names;

	begin();
	expect_equal(state_of("vm1"), -ENOENT);
	expect_equal(save_config("vm1", true), 0);
	expect_equal(save_config("vm1", true), -EEXIST);
	expect_equal(save_config("vm1", false), 0);
	expect_equal(state_of("vm1"), VM_STATE_INACTIVE);
	write_file(registry_path(REGISTRY_SAVED, "vm1"), "x");
	expect_equal(state_of("vm1"), VM_STATE_SUSPENDED);
	unlink(registry_path(REGISTRY_SAVED, "vm1"));

	child = living("vm1");
	require_equal(registry_find("vm1", &vm), 0);
	expect_equal(vm.state, VM_STATE_STARTING);
	expect_equal(vm.pid, child);
	expect(!vm.answers && vm.config);
	registry_put(&vm);
	expect_equal(registry_lock("vm1", &error), -EBUSY);
	/* Asking does not disturb: it is found again and again. */
	for (int i = 0; i < 100; i++)
		require_equal(state_of("vm1"), VM_STATE_STARTING);
	names = registry_list();
	expect(names[0] && !strcmp(names[0], "vm1") && !names[1]);
	registry_free_list(names);
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
	expect_equal(state_of("vm1"), VM_STATE_INACTIVE);
	expect(access(registry_path(REGISTRY_LOCK, "vm1"), F_OK));
	unlink(registry_path(REGISTRY_CONFIG, "vm1"));
}

/* One that moved does not start beside its twin; it may come back, and be deleted. */
void registry_away(void)
{
	struct registry_vm vm;
	char words[256];
	pid_t child;

	begin();
	expect_equal(save_config("vm1", true), 0);
	write_file(registry_path(REGISTRY_AWAY, "vm1"), "tcp:there:4711\nmore");
	require_equal(registry_find("vm1", &vm), 0);
	expect_equal(vm.state, VM_STATE_AWAY);
	expect(!strcmp(vm.moved_to, "tcp:there:4711") && vm.config);
	registry_put(&vm);
	expect(vm_state_allows("start", "vm1", VM_STATE_AWAY, words, sizeof(words)));
	expect(vm_state_allows("resume", "vm1", VM_STATE_AWAY, words, sizeof(words)));
	expect(!vm_state_allows("delete", "vm1", VM_STATE_AWAY, words, sizeof(words)));
	expect(!vm_state_allows("receive", "vm1", VM_STATE_AWAY, words, sizeof(words)));
	/* The process that moves it has it still; a saved state is younger than the mark. */
	child = living("vm1");
	expect_equal(state_of("vm1"), VM_STATE_STARTING);
	require_equal(registry_at_rest("vm1", &vm), 0);
	expect_equal(vm.state, VM_STATE_AWAY);
	registry_put(&vm);
	end_process(child);
	write_file(registry_path(REGISTRY_SAVED, "vm1"), "x");
	expect_equal(state_of("vm1"), VM_STATE_SUSPENDED);
	unlink(registry_path(REGISTRY_SAVED, "vm1"));
	/* A mark that cannot be read counts, and one without a VM does not. */
	unlink(registry_path(REGISTRY_AWAY, "vm1"));
	require_equal(mkdir(registry_path(REGISTRY_AWAY, "vm1"), 0700), 0);
	expect_equal(state_of("vm1"), VM_STATE_AWAY);
	unlink(registry_path(REGISTRY_CONFIG, "vm1"));
	expect_equal(state_of("vm1"), -ENOENT);
	rmdir(registry_path(REGISTRY_AWAY, "vm1"));
}

/* The next look removes what a killed process left, and another may have the name. */
void registry_stale(void)
{
	pid_t child;
	int lock;

	begin();
	child = living("gone");
	write_file(registry_path(REGISTRY_CONTROL, "gone"), "");
	write_file(registry_path(REGISTRY_CONSOLE, "gone"), "");
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
	expect(!access(registry_path(REGISTRY_LOCK, "gone"), F_OK));
	expect_equal(state_of("gone"), -ENOENT);
	expect(access(registry_path(REGISTRY_LOCK, "gone"), F_OK));
	expect(access(registry_path(REGISTRY_CONTROL, "gone"), F_OK));
	expect(access(registry_path(REGISTRY_CONSOLE, "gone"), F_OK));
	lock = registry_lock("gone", &error);
	expect(lock >= 0);
	registry_unlock("gone", lock);
	/* A lock file with nonsense in it belongs to nobody either. */
	write_file(registry_path(REGISTRY_LOCK, "gone"), "nonsense");
	expect_equal(state_of("gone"), -ENOENT);
}

/* The runtime directory goes when the user logs out; the VM does not, and must not start twice. */
void registry_without_run(void)
{
	char path[256], gone[256];
	pid_t child;

	begin();
	child = living("stays");
	snprintf(path, sizeof(path), "%s/run", home);
	snprintf(gone, sizeof(gone), "%s/gone", home);
	require_equal(rename(path, gone), 0);
	require(registry_init(&error));
	expect(registry_is_active("stays"));
	expect_equal(registry_lock("stays", &error), -EBUSY);
	end_process(child);
	expect(!registry_is_active("stays"));
}

/* A VM may answer whatever it likes: it is a row of a list, and no more. */
void registry_odd_answers(void)
{
	static const char greeting[] = "{\"gondola\":{\"protocol\":1}}\n";
	static const char *const answers[] = {
		"{\"ok\":true,\"state\":null}\n", "{\"ok\":true,\"state\":7}\n",
		"{\"ok\":true,\"state\":{}}\n", "{\"ok\":true,\"state\":\"run\\u0000ning\"}\n",
		"{\"error\":null}\n", "{\"error\":{\"code\":null,\"message\":[]}}\n", "[]\n",
		"{\"a\":[[[[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]]]}\n", "\"\xff\"\n", "{}\n",
	};
	char lines[256];
	struct registry_vm vm;
	pid_t child;

	begin();
	for (size_t i = 0; i < sizeof(answers) / sizeof(answers[0]); i++) {
		snprintf(lines, sizeof(lines), "%s%s", greeting, answers[i]);
		child = speaking("odd", lines);
		require_equal(registry_find("odd", &vm), 0);
		tap_check(vm.state == VM_STATE_UNRESPONSIVE, false, "%s is state %s", answers[i],
			  vm_state_name(vm.state));
		expect(!vm.answers && vm.pid == child);
		registry_put(&vm);
		end_process(child);
	}
	child = speaking("odd", "{\"gondola\":null}\n");
	expect_equal(state_of("odd"), VM_STATE_UNRESPONSIVE);
	end_process(child);
	expect_equal(state_of("odd"), -ENOENT);
}

/* One that sends a byte now and then, or events without end, does not hold a reader for ever. */
void registry_slow_answers(void)
{
	static const char greeting[] = "{\"gondola\":{\"protocol\":1}}\n";
	static const char event[] = "{\"event\":\"tick\"}\n";
	struct control_link link;
	int socket, peer;
	pid_t child;

	begin();
	socket = line_socket_listen(registry_path(REGISTRY_CONTROL, "slow"));
	require(socket >= 0);
	fcntl(socket, F_SETFL, 0);
	child = fork();
	require(child >= 0);
	if (!child) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		peer = accept(socket, NULL, NULL);
		line_socket_send(peer, greeting, strlen(greeting), -1);
		while (!line_socket_send(peer, event, strlen(event), -1))
			usleep(10000);
		peer = accept(socket, NULL, NULL);
		while (!line_socket_send(peer, " ", 1, -1))
			usleep(10000);
		_exit(0);
	}
	alarm(60);
	require_equal(control_connect(&link, registry_path(REGISTRY_CONTROL, "slow"), 30000), 0);
	expect(!control_ask(&link, "status", NULL, -1, 300, NULL, NULL));
	expect(strstr(link.error.words, "in time"));
	control_disconnect(&link);
	expect_equal(control_connect(&link, registry_path(REGISTRY_CONTROL, "slow"), 300), -1);
	expect(strstr(link.error.words, "in time"));
	/* Connections to a stopped process fill its backlog, and the next one waits. */
	kill(child, SIGSTOP);
	peer = 0;
	for (int i = 0; i < 40; i++)
		peer = line_socket_connect(registry_path(REGISTRY_CONTROL, "slow"), 200);
	expect_equal(peer, -EAGAIN);
	alarm(0);
	end_process(child);
	close(socket);
	unlink(registry_path(REGISTRY_CONTROL, "slow"));
}

static bool is_process(int pidfd, pid_t child)
{
	char path[64], line[128];
	int pid = 0;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", pidfd);
	file = fopen(path, "re");
	while (file && fgets(line, sizeof(line), file))
		sscanf(line, "Pid: %d", &pid);
	if (file)
		fclose(file);
	return pid == child;
}

/* The process that is found is the VM's, with any number in the lock file. */
void registry_processes(void)
{
	pid_t child, other = fork();
	char text[32];
	int fd;

	require(other >= 0);
	if (!other) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		pause();
		_exit(0);
	}
	begin();
	expect_equal(registry_open_process("vm2"), -ESRCH);
	child = speaking("vm2", NULL);
	snprintf(text, sizeof(text), "%d\n", (int)other);
	write_file(registry_path(REGISTRY_LOCK, "vm2"), text);
	fd = registry_open_process("vm2");
	expect(fd >= 0 && is_process(fd, child));
	close(fd);
	expect(registry_is_active("vm2"));
	end_process(child);
	expect(!registry_is_active("vm2"));

	/* Without a socket: only a process that has the lock. */
	child = living("vm2");
	fd = registry_open_process("vm2");
	expect(fd >= 0 && is_process(fd, child));
	close(fd);
	write_file(registry_path(REGISTRY_LOCK, "vm2"), text);
	expect_equal(registry_open_process("vm2"), -ESRCH);
	end_process(child);
	end_process(other);
	expect_equal(state_of("vm2"), -ENOENT);
}

/* An old file keeps neither its mode nor another name for the new contents. */
void files_are_private(void)
{
	char path[64], other[64], text[8] = "";
	struct stat st;
	int fd;

	begin();
	snprintf(path, sizeof(path), "%s/file", home);
	snprintf(other, sizeof(other), "%s/other", home);
	write_file(other, "old");
	require_equal(chmod(other, 0666), 0);
	require_equal(link(other, path), 0);
	fd = file_create_private(path);
	require(fd >= 0);
	require_equal(write(fd, "new", 3), 3);
	require_equal(fstat(fd, &st), 0);
	expect_equal(st.st_mode & 07777, 0600);
	close(fd);
	fd = open(other, O_RDONLY | O_CLOEXEC);
	expect(read(fd, text, 3) == 3 && !strcmp(text, "old"));
	close(fd);
	unlink(other);

	expect_equal(file_remove(path), 0);
	expect_equal(file_remove(path), 0);
}

/* Directories that others can write to hold no sockets and no locks. */
void registry_directories(void)
{
	char run[64];

	begin();
	snprintf(run, sizeof(run), "%s/run", home);
	require_equal(chmod(run, 0777), 0);
	expect(!registry_init(&error));
	expect(strstr(error.words, "other users may write"));
	require_equal(chmod(run, 0700), 0);
	if (!geteuid()) {
		require_equal(chown(run, 4711, 4711), 0);
		expect(!registry_init(&error));
		expect(strstr(error.words, "belongs to another"));
		require_equal(chown(run, 0, 0), 0);
	}
	expect(registry_init(&error));
}

/* A socket's address has room for 107 characters. */
void registry_long_paths(void)
{
	char directory[512], path[640], far[1024];
	int listener, peer;

	begin();
	snprintf(directory, sizeof(directory), "%s/%0200d", home, 1);
	require_equal(mkdir(directory, 0700), 0);
	snprintf(path, sizeof(path), "%s/socket", directory);
	for (int i = 0; i < 2; i++) {
		/* The second time one that was left behind is there. */
		listener = line_socket_listen(path);
		tap_check(listener >= 0, true, "it cannot listen: %s", strerror(-listener));
		peer = line_socket_connect(path, 1000);
		tap_check(peer >= 0, false, "it cannot connect: %s", strerror(-peer));
		close(peer);
		close(listener);
	}
	expect_equal(line_socket_connect(path, 1000), -ECONNREFUSED);
	unlink(path);
	expect_equal(line_socket_connect(path, 1000), -ENOENT);
	rmdir(directory);
	expect_equal(line_socket_connect(path, 1000), -ENOENT);
	snprintf(far, sizeof(far), "%s/%0200d", home, 2);
	expect_equal(line_socket_connect(far, 1000), -ENAMETOOLONG);
}

/* "start" goes to the directory where its VM was made. */
void registry_relative_home(void)
{
	char before[256];

	begin();
	require(getcwd(before, sizeof(before)));
	require_equal(chdir(home), 0);
	setenv("GONDOLA_HOME", "there", 1);
	expect(registry_init(&error));
	require_equal(chdir("/"), 0);
	expect(!strncmp(registry_path(REGISTRY_LOCK, "vm1"), home, strlen(home)));
	expect(!strncmp(registry_path(REGISTRY_CONTROL, "vm1"), home, strlen(home)));
	require_equal(chdir(before), 0);
	/* VMs tell paths below it, in JSON. */
	setenv("GONDOLA_HOME", "/tmp/caf\xe9", 1);
	expect(!registry_init(&error));
	expect(strstr(error.words, "is not UTF-8"));
	expect(access("/tmp/caf\xe9", F_OK));
	setenv("GONDOLA_HOME", home, 1);
	require(registry_init(&error));
}

/* Many want it at once: one has it, until the others were refused. */
void registry_race(void)
{
	int ends[2], over[2], status, refused = 0;
	char byte;

	begin();
	require_equal(pipe2(ends, O_CLOEXEC), 0);
	require_equal(pipe2(over, O_CLOEXEC), 0);
	for (int i = 0; i < 16; i++) {
		pid_t child = fork();

		require(child >= 0);
		if (!child) {
			int lock;

			close(ends[1]);
			close(over[1]);
			/* All wait for the pipe's end. */
			status = read(ends[0], &byte, 1);
			lock = registry_lock("race", &error);
			if (lock == -EBUSY)
				_exit(1);
			status = read(over[0], &byte, 1);
			registry_unlock("race", lock);
			_exit(0);
		}
	}
	close(ends[0]);
	close(ends[1]);
	close(over[0]);
	/* With two winners this would wait for ever. */
	alarm(60);
	for (int i = 0; i < 15; i++) {
		require(wait(&status) > 0);
		refused += WIFEXITED(status) && WEXITSTATUS(status) == 1;
	}
	alarm(0);
	expect_equal(refused, 15);
	close(over[1]);
	require(wait(&status) > 0);
	expect(WIFEXITED(status) && !WEXITSTATUS(status));
}

/* A process that only looks is never taken for the owner of a name. */
void registry_looked_at(void)
{
	int refused = 0, status;
	pid_t looking;

	begin();
	looking = fork();
	require(looking >= 0);
	if (!looking)
		for (;;)
			state_of("watched");
	for (int i = 0; i < 4000; i++) {
		int lock = registry_lock("watched", &error);

		if (lock < 0)
			refused++;
		else
			registry_unlock("watched", lock);
	}
	kill(looking, SIGKILL);
	waitpid(looking, &status, 0);
	expect_equal(refused, 0);
}

/* Processes that stand still keep nobody from the others: all are waited for at once. */
void registry_all_at_once(void)
{
	enum { SILENT = 8 };
	struct registry_vm *vms;
	struct timespec began, now;
	pid_t children[SILENT];
	char name[24], **names;

	begin();
	for (int i = 0; i < SILENT; i++) {
		snprintf(name, sizeof(name), "silent%d", i);
		children[i] = speaking(name, NULL);
	}
	expect_equal(save_config("there", true), 0);
	names = registry_list();
	clock_gettime(CLOCK_MONOTONIC, &began);
	vms = registry_find_all(names, NULL);
	clock_gettime(CLOCK_MONOTONIC, &now);
	require(vms);
	/* One alone takes three seconds. */
	tap_check(now.tv_sec - began.tv_sec < SILENT, true, "it took %d s",
		  (int)(now.tv_sec - began.tv_sec));
	for (int i = 0; i < SILENT; i++) {
		expect_equal(vms[i].state, VM_STATE_UNRESPONSIVE);
		expect_equal(vms[i].pid, children[i]);
	}
	expect(!strcmp(vms[SILENT].name, "there") && vms[SILENT].config);
	expect_equal(vms[SILENT].state, VM_STATE_INACTIVE);
	for (int i = 0; i <= SILENT; i++)
		registry_put(&vms[i]);
	free(vms);
	registry_free_list(names);
	for (int i = 0; i < SILENT; i++) {
		snprintf(name, sizeof(name), "silent%d", i);
		end_process(children[i]);
		registry_remove_dead(name);
	}
	unlink(registry_path(REGISTRY_CONFIG, "there"));
}

/* A further question: one that knows no answer, or gives none, has still told its state. */
void registry_told(void)
{
#define STATUS	"{\"gondola\":{\"protocol\":1}}\n{\"state\":\"running\",\"ok\":true}\n"
	static const char *const lines[] = {
		STATUS "{\"text\":\"told\",\"ok\":true}\n",
		STATUS "{\"error\":{\"code\":\"unknown-command\"}}\n",
		STATUS,
	};
	struct registry_vm *vms;
	pid_t children[3];
	char name[24], **names;

	begin();
	for (int i = 0; i < 3; i++) {
		snprintf(name, sizeof(name), "told%d", i);
		children[i] = speaking(name, lines[i]);
	}
	names = registry_list();
	vms = registry_find_all(names, "metrics");
	require(vms);
	for (int i = 0; i < 3; i++) {
		expect_equal(vms[i].state, VM_STATE_RUNNING);
		expect(vms[i].answers);
	}
	expect(!strcmp(member_string(vms[0].told, "text", ""), "told"));
	expect(!vms[1].told && !vms[2].told);
	for (int i = 0; i < 3; i++) {
		end_process(children[i]);
		registry_remove_dead(vms[i].name);
		registry_put(&vms[i]);
	}
	free(vms);
	registry_free_list(names);
}

/* One that waits for a VM has no socket that could be asked: its lock says it. */
void registry_waiting(void)
{
	struct registry_vm vm;
	int lock;

	begin();
	lock = registry_lock("waits", &error);
	require(lock >= 0);
	registry_waits(lock, true);
	require_equal(registry_find("waits", &vm), 0);
	expect_equal(vm.state, VM_STATE_WAITING);
	expect_equal(vm.pid, getpid());
	registry_put(&vm);
	registry_waits(lock, false);
	expect_equal(state_of("waits"), VM_STATE_STARTING);
	registry_unlock("waits", lock);
	expect_equal(state_of("waits"), -ENOENT);
}

void registry_bad_configs(void)
{
	static const struct {
		const char *text;
		const char *words;
	} bad[] = {
		{ "", "is not JSON" }, { "{", "is not JSON" }, { "[]", "another format" },
		{ "{\"format\":2}", "another format" },
	};
	struct registry_vm vm;

	begin();
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		write_file(registry_path(REGISTRY_CONFIG, "bad"), bad[i].text);
		expect(!registry_load_config("bad", &error));
		tap_check(strstr(error.words, bad[i].words), false, "\"%s\": %s", bad[i].text,
			  error.words);
		/* It is there all the same, to be deleted. */
		expect_equal(registry_find("bad", &vm), 0);
		expect_equal(vm.state, VM_STATE_INACTIVE);
		expect(!vm.config);
		registry_put(&vm);
	}
	unlink(registry_path(REGISTRY_CONFIG, "bad"));
}
