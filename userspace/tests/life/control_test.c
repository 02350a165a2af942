// SPDX-License-Identifier: GPL-2.0-only
/* The control socket with clients of all kinds, and the table of states. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "control/client.h"
#include "base/line_socket.h"
#include "base/member.h"
#include "base/wait.h"
#include "life_test.h"
#include "migrate/commands.h"
#include "control/control.h"
#include "vm/vm.h"

#define PATIENCE_MS	30000

static struct vm vm;
static pthread_t thread;
static bool running;

/* Of this process alone: another build may be tested at the same time. */
static const char *path(void)
{
	static char text[64];

	if (!*text)
		snprintf(text, sizeof(text), "/tmp/gondola-life-test-%d", getpid());
	return text;
}

/* ---- what the control socket asks of a VM, without one ------------------------------- */

static unsigned int reasons;
static enum vm_state busy = VM_STATE_RUNNING;
static unsigned int suspended;
static int ended;

bool vm_debugged(const struct vm *of)
{
	return of->debuggers;
}

enum vm_state vm_state(struct vm *of)
{
	enum vm_state now = __atomic_load_n(&busy, __ATOMIC_ACQUIRE);

	(void)of;
	if (now != VM_STATE_RUNNING)
		return now;
	return reasons ? VM_STATE_PAUSED : VM_STATE_RUNNING;
}

void vm_set_busy(struct vm *of, enum vm_state now)
{
	(void)of;
	__atomic_store_n(&busy, now, __ATOMIC_RELEASE);
}

unsigned int vm_paused(struct vm *of)
{
	(void)of;
	return reasons;
}

void vm_pause_begin(struct vm *of, enum pause_reason reason)
{
	(void)of;
	reasons |= 1u << reason;
}

/* A vCPU that does not come to rest for 5 s at most, so that a test which fails ends. */
static bool stuck;

bool vm_pause_wait(struct vm *of, enum pause_reason reason)
{
	(void)of;
	for (int ms = 0; ms < 5000 && __atomic_load_n(&stuck, __ATOMIC_ACQUIRE) &&
	     reasons & 1u << reason; ms++)
		usleep(1000);
	return reasons & 1u << reason;
}

void vm_unpause(struct vm *of, enum pause_reason reason)
{
	(void)of;
	reasons &= ~(1u << reason);
}

const char *pause_reason_name(enum pause_reason reason)
{
	return reason == PAUSE_USER ? "user" : "other";
}

void vm_end(struct vm *of, enum vm_end_kind kind, const char *format, ...)
{
	(void)of;
	(void)format;
	ended = kind;
}

/* ---- the VM's side ----------------------------------------------------------------------- */

static void on_echo(struct control_request *request)
{
	const char *text = control_string(request, "text", "nothing");
	int64_t number = control_number(request, "number", 7, 0, 10);

	json_object_object_add(request->out, "text", json_object_new_string(text));
	json_object_object_add(request->out, "number", json_object_new_int64(number));
	json_object_object_add(request->out, "flag", json_object_new_boolean(
			       control_flag(request, "flag", false)));
}

/* While this is set, a request waits for a device's lock, for 5 s at most. */
static bool held;
static unsigned int served;

static void wait_for_device(struct control_request *request)
{
	for (int ms = 0; ms < 5000 && __atomic_load_n(&held, __ATOMIC_ACQUIRE); ms++)
		usleep(1000);
	json_object_object_add(request->out, "turn", json_object_new_int(++served));
}

static void on_device(struct control_request *request)
{
	control_aside(request, LANE_DEVICES, wait_for_device);
}

static void *answer_later(void *argument)
{
	struct control_request *request = argument;

	json_object_object_add(request->out, "late", json_object_new_boolean(true));
	control_done(request);
	return NULL;
}

static void on_late(struct control_request *request)
{
	pthread_t later;

	control_later(request);
	require_equal(pthread_create(&later, NULL, answer_later, request), 0);
	pthread_detach(later);
}

/* The answer is given before its handler returns. */
static void on_first(struct control_request *request)
{
	pthread_t first;

	control_later(request);
	require_equal(pthread_create(&first, NULL, answer_later, request), 0);
	pthread_join(first, NULL);
}

/* Asks another thread, and then there is none. */
static void on_no_thread(struct control_request *request)
{
	control_later(request);
	control_fail(request, "failed", "no thread");
	control_done(request);
}

/* The VM goes on, so that it can be asked again. */
static void on_suspend(struct control_request *request)
{
	(void)request;
	suspended++;
}

/* Writes to the descriptor that came along, so that the sender knows it again. */
static void on_descriptor(struct control_request *request)
{
	json_object_object_add(request->out, "got", json_object_new_boolean(request->fd >= 0));
	if (request->fd >= 0 && write(request->fd, "hello", 5) != 5)
		control_fail(request, "failed", "%s", strerror(errno));
}

static void *run(void *argument)
{
	loop_run(&vm.loop);
	return argument;
}

static void begin(void)
{
	struct error error = { .words = "" };

	if (running)
		return;
	strcpy(vm.name, "vm1");
	loop_init(&vm.loop);
	pthread_mutex_init(&vm.pause.lock, NULL);
	control_add("echo", on_echo);
	control_add("late", on_late);
	control_add("device", on_device);
	control_add("first", on_first);
	control_add("no-thread", on_no_thread);
	control_add("descriptor", on_descriptor);
	control_add("suspend", on_suspend);
	require(migrate_add_commands(&vm, NULL));
	expect(!control_open(&vm, "/nowhere/socket", &error));
	expect(strstr(error.words, "control socket /nowhere/socket: No such file"));
	require(control_open(&vm, path(), NULL));
	require_equal(pthread_create(&thread, NULL, run, NULL), 0);
	running = true;
}

/* ---- tests ------------------------------------------------------------------------------- */

static struct control_link connected(void)
{
	struct control_link link;

	begin();
	if (control_connect(&link, path(), PATIENCE_MS))
		tap_check(false, true, "cannot connect: %s", link.error.words);
	return link;
}

/* The server takes a moment to see that others have gone. */
static struct control_link connected_soon(void)
{
	struct control_link link;

	for (int i = 0; i < PATIENCE_MS; i += 10) {
		if (!control_connect(&link, path(), PATIENCE_MS))
			return link;
		require(strstr(link.error.words, "as many clients"));
		usleep(10000);
	}
	return connected();
}

/* The line that a raw line is answered with. */
static struct json_object *answer_to(struct control_link *link, const char *line, size_t bytes)
{
	struct json_object *answer;

	require_equal(line_socket_send(link->fd, line, bytes, -1), 0);
	answer = control_read(link, PATIENCE_MS);
	tap_check(answer, true, "no answer to \"%.60s\": %s", line, link->error.words);
	return answer;
}

static void expect_error(struct control_link *link, const char *line, size_t bytes,
			 const char *code)
{
	struct json_object *answer = answer_to(link, line, bytes), *error, *value;
	const char *got = "none";

	if (json_object_object_get_ex(answer, "error", &error) &&
	    json_object_object_get_ex(error, "code", &value))
		got = json_object_get_string(value);
	tap_check(!strcmp(got, code), false, "\"%.60s\" is answered by %s, not %s", line, got,
		  code);
	json_object_put(answer);
}

void control_test_send(struct control_link *link, const char *lines)
{
	int ends[2];

	*link = connected();
	require(!socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends));
	require_equal(line_socket_send(link->fd, lines, strlen(lines), ends[0]), 0);
	close(ends[0]);
	close(ends[1]);
}

bool control_test_two(const char *lines, sem_t *may_end)
{
	unsigned int before = suspended;
	struct json_object *answer;
	struct control_link link;
	bool began;

	control_test_send(&link, lines);
	/* The second one is answered at once, the migration when it ends. */
	answer = control_read(&link, PATIENCE_MS);
	require(answer);
	began = strcmp(member_string(member_object(answer, "error"), "code", ""), "busy");
	json_object_put(answer);
	tap_check(began, false, "the last migration was answered before it was over");
	if (began)
		sem_post(may_end);
	answer = control_read(&link, PATIENCE_MS);
	require(answer);
	json_object_put(answer);
	control_disconnect(&link);
	return began && suspended != before;
}

void states_table(void)
{
	char words[256];

	expect_equal(vm_state_allows("pause", "vm1", VM_STATE_RUNNING, words, sizeof(words)), 0);
	expect_equal(vm_state_allows("pause", "vm1", VM_STATE_PAUSED, words, sizeof(words)), -1);
	expect(!strcmp(words, "vm1 is paused; pause needs a running VM"));
	expect_equal(vm_state_allows("start", "vm1", VM_STATE_SUSPENDED, words, sizeof(words)), -1);
	expect(!strcmp(words, "vm1 is suspended; start needs an inactive VM"));
	expect_equal(vm_state_allows("suspend", "vm1", VM_STATE_INACTIVE, words, sizeof(words)),
		     -1);
	expect(!strcmp(words, "vm1 is inactive; suspend needs a running or paused VM"));
	expect_equal(vm_state_allows("kill", "vm1", VM_STATE_INACTIVE, words, sizeof(words)), -1);
	expect(!strcmp(words, "vm1 is inactive; kill needs an active VM"));
	expect_equal(vm_state_allows("status", "vm1", VM_STATE_INACTIVE, words, sizeof(words)), 0);
	for (int i = 0; i < VM_STATE_COUNT; i++)
		expect_equal(vm_state_by_name(vm_state_name(i)), i);
	expect_equal(vm_state_by_name("asleep"), -1);
}

void control_basics(void)
{
	static const char two[] = "{\"command\":\"echo\",\"id\":1}\n{\"command\":\"echo\",\"id\":\"x\"}\n";
	struct control_link link = connected();
	struct json_object *answer, *value, *arguments;

	expect(json_object_object_get_ex(link.greeting, "name", &value) &&
	       !strcmp(json_object_get_string(value), "vm1"));
	answer = control_ask(&link, "status", NULL, -1, PATIENCE_MS, NULL, NULL);
	require(answer);
	expect(json_object_object_get_ex(answer, "state", &value) &&
	       !strcmp(json_object_get_string(value), "running"));
	json_object_put(answer);

	arguments = json_object_new_object();
	json_object_object_add(arguments, "text", json_object_new_string("a \"b\"\n c"));
	json_object_object_add(arguments, "number", json_object_new_int(3));
	answer = control_ask(&link, "echo", arguments, -1, PATIENCE_MS, NULL, NULL);
	require(answer);
	expect(json_object_object_get_ex(answer, "text", &value) &&
	       !strcmp(json_object_get_string(value), "a \"b\"\n c"));
	json_object_put(answer);

	/* Two lines at once, ids of any kind; an answer from another thread. */
	answer = answer_to(&link, two, sizeof(two) - 1);
	expect(json_object_object_get_ex(answer, "id", &value) && json_object_get_int(value) == 1);
	json_object_put(answer);
	answer = control_read(&link, PATIENCE_MS);
	require(answer);
	expect(json_object_object_get_ex(answer, "id", &value) &&
	       !strcmp(json_object_get_string(value), "x"));
	json_object_put(answer);
	answer = control_ask(&link, "late", NULL, -1, PATIENCE_MS, NULL, NULL);
	expect(answer && json_object_object_get_ex(answer, "late", NULL));
	json_object_put(answer);

	/* A thread may be quicker than the handler that made it. */
	for (int i = 0; i < 100; i++) {
		answer = control_ask(&link, "first", NULL, -1, PATIENCE_MS, NULL, NULL);
		require(answer);
		json_object_put(answer);
	}
	expect(!control_ask(&link, "no-thread", NULL, -1, PATIENCE_MS, NULL, NULL));
	expect(!strcmp(link.error.words, "no thread"));

	/* The table of states holds here too. */
	expect(!control_ask(&link, "unpause", NULL, -1, PATIENCE_MS, NULL, NULL));
	expect(!strcmp(link.code, "wrong-state"));
	expect(!strcmp(link.error.words, "vm1 is running; unpause needs a paused VM"));
	answer = control_ask(&link, "pause", NULL, -1, PATIENCE_MS, NULL, NULL);
	expect(answer && reasons == 1u << PAUSE_USER);
	json_object_put(answer);
	reasons |= 1u << PAUSE_ERROR;
	expect(!control_ask(&link, "unpause", NULL, -1, PATIENCE_MS, NULL, NULL));
	expect(strstr(link.error.words, "not by the user"));
	reasons = 0;
	control_disconnect(&link);
}

static void expect_state(struct control_link *link, const char *state)
{
	struct json_object *answer = control_ask(link, "status", NULL, -1, PATIENCE_MS, NULL, NULL);

	require(answer);
	expect(__atomic_load_n(&stuck, __ATOMIC_ACQUIRE));
	expect(!strcmp(member_string(answer, "state", ""), state));
	json_object_put(answer);
}

/* A device, or a host with much to do, keeps a vCPU: "kill" and "status" do not wait for that. */
void pause_keeps_nobody(void)
{
	static const char pause[] = "{\"command\":\"pause\"}\n";
	struct control_link waits = connected_soon(), link = connected_soon();
	struct json_object *answer;
	int64_t began = wait_now_ms();

	stuck = true;
	require_equal(line_socket_send(waits.fd, pause, strlen(pause), -1), 0);
	while (!reasons && wait_now_ms() - began < PATIENCE_MS)
		usleep(1000);
	expect_state(&link, "paused");
	tap_check(wait_now_ms() - began < 4000, false, "\"status\" waited for \"pause\"");
	/* Withdrawn before it was done, it is not said to be done. */
	answer = control_ask(&link, "unpause", NULL, -1, PATIENCE_MS, NULL, NULL);
	expect(answer && !reasons);
	json_object_put(answer);
	answer = control_read(&waits, PATIENCE_MS);
	require(answer);
	expect(!strcmp(member_string(member_object(answer, "error"), "code", ""), "wrong-state"));
	json_object_put(answer);
	/* It is said when it is done. */
	require_equal(line_socket_send(waits.fd, pause, strlen(pause), -1), 0);
	expect(!control_read(&waits, 100));
	expect_state(&link, "paused");
	__atomic_store_n(&stuck, false, __ATOMIC_RELEASE);
	answer = control_read(&waits, PATIENCE_MS);
	require(answer);
	expect(!strcmp(member_string(answer, "state", ""), "paused"));
	json_object_put(answer);
	reasons = 0;
	control_disconnect(&link);
	control_disconnect(&waits);
}

/* A device that stands still delays only requests that need it, and these are served in order. */
void devices_keep_nobody(void)
{
	static const char ask[] = "{\"id\":1,\"command\":\"device\"}\n{\"id\":2,\"command\":\"device\"}\n";
	struct control_link waits = connected_soon(), link = connected_soon();
	struct json_object *answer;
	int64_t began = wait_now_ms();

	served = 0;
	held = true;
	require_equal(line_socket_send(waits.fd, ask, strlen(ask), -1), 0);
	for (int i = 0; i < 2; i++) {
		answer = control_ask(&link, "status", NULL, -1, PATIENCE_MS, NULL, NULL);
		expect(answer != NULL);
		json_object_put(answer);
	}
	/* One that waits for vCPUs does not wait for devices. */
	answer = control_ask(&link, "pause", NULL, -1, PATIENCE_MS, NULL, NULL);
	expect(answer != NULL);
	json_object_put(answer);
	reasons = 0;
	tap_check(wait_now_ms() - began < 4000, false, "\"status\" and \"pause\" waited for a device");
	/* As many as wait have room: the others hear so at once. */
	for (int i = 0; i < 14; i++)
		require_equal(line_socket_send(waits.fd, "{\"command\":\"device\"}\n", 21, -1), 0);
	expect_error(&waits, "{\"command\":\"device\"}\n", 21, "busy");
	__atomic_store_n(&held, false, __ATOMIC_RELEASE);
	for (int i = 1; i <= 16; i++) {
		answer = control_read(&waits, PATIENCE_MS);
		require(answer);
		expect_equal(member_number(answer, "turn", 0), i);
		if (i <= 2)
			expect_equal(member_number(answer, "id", 0), i);
		json_object_put(answer);
	}
	control_disconnect(&link);
	control_disconnect(&waits);
}

void control_bad_lines(void)
{
	static const struct {
		const char *line;
		const char *code;
	} lines[] = {
		{ "x\n", "bad-json" }, { "{\n", "bad-json" }, { "{\"a\":}\n", "bad-json" },
		{ "{} {}\n", "bad-json" }, { "nul\n", "bad-json" }, { "\"\xff\"\n", "bad-json" },
		{ "[[[[[[[[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]]]]]]]\n", "bad-json" },
		{ "[]\n", "bad-request" }, { "7\n", "bad-request" }, { "{}\n", "bad-request" },
		{ "{\"command\":7}\n", "bad-request" },
		{ "{\"command\":\"frob\"}\n", "unknown-command" },
		{ "{\"command\":\"echo\",\"text\":7}\n", "bad-argument" },
		{ "{\"command\":\"echo\",\"text\":\"a\\u0000b\"}\n", "bad-argument" },
		{ "{\"command\":\"echo\",\"number\":11}\n", "bad-argument" },
		{ "{\"command\":\"echo\",\"number\":1.5}\n", "bad-argument" },
		{ "{\"command\":\"echo\",\"flag\":1}\n", "bad-argument" },
	};
	struct control_link link = connected();
	char *huge = malloc(3 * CONTROL_LINE_MAX);
	struct json_object *answer;

	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
		expect_error(&link, lines[i].line, strlen(lines[i].line), lines[i].code);
	expect_error(&link, "{\"command\":\"echo\"\0}\n", 20, "bad-json");

	/* Too long: one error, and the line after it is heard again. */
	memset(huge, 'a', 3 * CONTROL_LINE_MAX);
	huge[3 * CONTROL_LINE_MAX - 1] = '\n';
	expect_error(&link, huge, 3 * CONTROL_LINE_MAX, "too-long");
	answer = answer_to(&link, "\n\n{\"command\":\"echo\"}\r\n", 22);
	expect(json_object_object_get_ex(answer, "ok", NULL));
	json_object_put(answer);
	/* One byte less is not. */
	memset(huge, ' ', CONTROL_LINE_MAX);
	memcpy(huge, "{\"command\":\"echo\"}", 18);
	huge[CONTROL_LINE_MAX - 1] = '\n';
	answer = answer_to(&link, huge, CONTROL_LINE_MAX);
	expect(json_object_object_get_ex(answer, "ok", NULL));
	json_object_put(answer);
	free(huge);
	control_disconnect(&link);
}

void control_clients(void)
{
	struct control_link links[CONTROL_MAX_CLIENTS], more;
	struct json_object *answer;
	struct stat st;

	for (int i = 0; i < CONTROL_MAX_CLIENTS; i++)
		links[i] = connected();
	expect_equal(control_connect(&more, path(), PATIENCE_MS), -1);
	expect(strstr(more.error.words, "as many clients"));
	/* One that dies in the middle of a line, or of an answer, makes room and nothing else. */
	require_equal(line_socket_send(links[0].fd, "{\"comm", 6, -1), 0);
	control_disconnect(&links[0]);
	require_equal(line_socket_send(links[1].fd, "{\"command\":\"late\"}\n", 19, -1), 0);
	control_disconnect(&links[1]);
	links[0] = connected_soon();
	links[1] = connected_soon();
	for (int i = 0; i < CONTROL_MAX_CLIENTS; i++) {
		answer = control_ask(&links[i], "echo", NULL, -1, PATIENCE_MS, NULL, NULL);
		expect(answer && !json_object_object_get_ex(answer, "late", NULL));
		json_object_put(answer);
		control_disconnect(&links[i]);
	}
	require(!stat(path(), &st));
	expect_equal(st.st_mode & 0777, 0600);
}

void control_events_lost(void)
{
	struct control_link link = connected();
	struct json_object *answer, *value;
	unsigned int seen = 0, lost = 0;
	bool last = false;

	answer = control_ask(&link, "subscribe", NULL, -1, PATIENCE_MS, NULL, NULL);
	require(answer);
	json_object_put(answer);
	/* Much more than it takes without reading; nobody may wait for that. */
	for (int i = 0; i < 100000; i++)
		control_event("tick", NULL);
	answer = control_ask(&link, "echo", NULL, -1, PATIENCE_MS, NULL, NULL);
	expect(answer);
	json_object_put(answer);
	control_event("last", NULL);
	while (!last) {
		answer = control_read(&link, PATIENCE_MS);
		require(answer);
		require(json_object_object_get_ex(answer, "event", &value));
		seen += !strcmp(json_object_get_string(value), "tick");
		last = !strcmp(json_object_get_string(value), "last");
		if (json_object_object_get_ex(answer, "count", &value))
			lost += json_object_get_int(value);
		json_object_put(answer);
	}
	/* Those that the answer passed were read with it. */
	expect(lost > 0);
	expect(seen + lost <= 100000);
	control_disconnect(&link);
	usleep(50000);
}

void control_descriptors(void)
{
	struct control_link link = connected();
	struct json_object *answer, *value;
	char text[8] = "";
	int ends[2];

	require_equal(pipe2(ends, O_CLOEXEC), 0);
	answer = control_ask(&link, "descriptor", NULL, ends[1], PATIENCE_MS, NULL, NULL);
	close(ends[1]);
	require(answer);
	json_object_put(answer);
	expect_equal(read(ends[0], text, sizeof(text)), 5);
	/* It is closed once the request is answered. */
	expect_equal(read(ends[0], text, sizeof(text)), 0);
	close(ends[0]);
	answer = control_ask(&link, "descriptor", NULL, -1, PATIENCE_MS, NULL, NULL);
	require(answer);
	expect(json_object_object_get_ex(answer, "got", &value) && !json_object_get_boolean(value));
	json_object_put(answer);
	/* One with a command that has no use for it. */
	require_equal(pipe2(ends, O_CLOEXEC), 0);
	answer = control_ask(&link, "echo", NULL, ends[1], PATIENCE_MS, NULL, NULL);
	json_object_put(answer);
	close(ends[1]);
	expect_equal(read(ends[0], text, sizeof(text)), 0);
	close(ends[0]);
	control_disconnect(&link);
}

static unsigned int open_descriptors(void)
{
	unsigned int count = 0;

	for (int fd = 0; fd < 256; fd++)
		count += fcntl(fd, F_GETFD) >= 0;
	return count;
}

/* Sends @count descriptors with one request; the receiver may expect fewer. */
static void send_descriptors(int socket, const char *line, unsigned int count)
{
	union {
		struct cmsghdr header;
		char room[CMSG_SPACE(16 * sizeof(int))];
	} ancillary = { .header = { .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS,
				    .cmsg_len = CMSG_LEN(count * sizeof(int)) } };
	struct iovec part = { (void *)line, strlen(line) };
	struct msghdr message = {
		.msg_iov = &part, .msg_iovlen = 1,
		.msg_control = &ancillary, .msg_controllen = CMSG_SPACE(count * sizeof(int)),
	};
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	require(null >= 0);
	for (unsigned int i = 0; i < count; i++)
		memcpy(CMSG_DATA(&ancillary.header) + i * sizeof(int), &null, sizeof(int));
	require_equal(sendmsg(socket, &message, MSG_NOSIGNAL), strlen(line));
	close(null);
}

/* Of several, none is kept, and none stays open. */
void control_many_descriptors(void)
{
	struct control_link link = connected();
	unsigned int before = open_descriptors();
	struct json_object *answer, *value;

	for (unsigned int i = 0; i < 64; i++) {
		send_descriptors(link.fd, "{\"command\":\"descriptor\"}\n", 1 + i % 16);
		answer = control_read(&link, PATIENCE_MS);
		require(answer);
		expect(json_object_object_get_ex(answer, "got", &value) &&
		       json_object_get_boolean(value) == !(i % 16));
		json_object_put(answer);
	}
	/* The server may have let go of an earlier client meanwhile. */
	expect(open_descriptors() <= before);
	control_disconnect(&link);
}

/* Asks and never reads: it is let go before its answers fill the memory; others notice nothing. */
void control_answers_unread(void)
{
	static const char line[] = "{\"command\":\"commands\"}\n";
	struct control_link deaf = connected(), other = connected();
	char lines[100 * sizeof(line)] = "";
	struct json_object *answer;
	unsigned int sent = 0;

	for (int i = 0; i < 100; i++)
		strcat(lines, line);
	while (sent < 50000 && !line_socket_send(deaf.fd, lines, strlen(lines), -1))
		sent += 100;
	tap_check(sent < 50000, false, "%u requests were taken and no answer was read", sent);
	answer = control_ask(&other, "echo", NULL, -1, PATIENCE_MS, NULL, NULL);
	expect(answer);
	json_object_put(answer);
	control_disconnect(&deaf);
	control_disconnect(&other);
}

/* Words that another host or a file system chose are any bytes; what a client gets is UTF-8. */
void control_speaks_utf8(void)
{
	struct control_link link = connected();
	struct json_object *answer;

	strcpy(vm.pause.words, "caf\xe9, \xed\xa0\x80, \303\251");
	answer = control_ask(&link, "status", NULL, -1, PATIENCE_MS, NULL, NULL);
	tap_check(answer, true, "status: %s", link.error.words);
	expect(!strcmp(member_string(answer, "because", ""), "caf?, ???, \303\251"));
	json_object_put(answer);
	vm.pause.words[0] = 0;
	control_disconnect(&link);
}

static struct control_link subscribed(void)
{
	struct control_link link = connected();
	struct json_object *answer = control_ask(&link, "subscribe", NULL, -1, PATIENCE_MS, NULL, NULL);

	require(answer);
	json_object_put(answer);
	return link;
}

void control_ends(void)
{
	struct control_link link = connected(), asks = subscribed(), waits = subscribed();
	struct json_object *answer = control_ask(&link, "kill", NULL, -1, PATIENCE_MS, NULL, NULL);
	struct json_object *end = json_object_new_object();

	expect(answer);
	json_object_put(answer);
	expect_equal(ended, VM_STOPPED);
	loop_stop(&vm.loop);
	pthread_join(thread, NULL);
	json_object_object_add(end, "words", json_object_new_string("it moved"));
	control_event("end", end);
	control_close();
	/* Those who subscribed know why, whether they ask now or wait for an answer. */
	expect(!control_ask(&asks, "status", NULL, -1, PATIENCE_MS, NULL, NULL));
	expect(!strcmp(asks.error.words, "it has ended: it moved"));
	expect(!control_answer(&waits, PATIENCE_MS, NULL, NULL));
	expect(!strcmp(waits.error.words, "it has ended: it moved"));
	control_disconnect(&asks);
	control_disconnect(&waits);
	/* The client hears the end; the socket is gone. */
	expect(!control_read(&link, PATIENCE_MS) && !link.error.words[0]);
	control_disconnect(&link);
	expect(access(path(), F_OK));
}
