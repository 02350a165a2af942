// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/line_socket.h"
#include "keeper.h"
#include "notes.h"

/* Both processes are of one program, so messages have one version. */
enum op { OP_NOTE, OP_SEAL, OP_BIND, OP_REMOVE, OP_UNBIND, OP_TAP, OP_CREATE, OP_COMMIT, OP_DROP,
	OP_ARGUMENT, OP_CONNECT, OP_PART, OP_WORDS, OP_END };

struct request {
	enum op op;
	int note;			/* of OP_NOTE: its enum keeper_kind */
	char path[NOTES_PATH_MAX];	/* of OP_NOTE; a word of OP_ARGUMENT */
};

/* The launcher's end, or -1 if it does everything itself. */
static int channel = -1;
static bool ending;
/* This process is the keeper of a confined launcher. */
static bool keeps;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static void (*clear_fn)(void), (*last_fn)(void);

static void clear_up(void)
{
	notes_end();
	if (clear_fn)
		clear_fn();
	clear_fn = NULL;
}

static void last_of_all(void)
{
	if (last_fn)
		last_fn();
	last_fn = NULL;
}

/* ---- messages -------------------------------------------------------------------------------- */

/* False at the end, and for anything that is no message.  *@fd: a descriptor that came along, or -1 */
static bool receive_message(int from, void *data, size_t bytes, int *fd)
{
	ssize_t count;

	*fd = -1;
	do
		count = line_socket_receive(from, data, bytes, fd);
	while (count < 0 && errno == EINTR);
	return count == (ssize_t)bytes;
}

/* ---- the keeper ------------------------------------------------------------------------------ */

/* The launcher's number is checked against the note's kind. */
static int serve(const struct request *request, int fd)
{
	int note = request->note;

	switch (request->op) {
	case OP_NOTE:
		return notes_add((enum keeper_kind)note, request->path);
	case OP_SEAL:
		notes_seal();
		return 0;
	case OP_BIND:
		return notes_bind(note);
	case OP_REMOVE:
		return notes_remove(note);
	case OP_UNBIND:
		return notes_unbind(fd);
	case OP_TAP:
		return notes_tap(note);
	case OP_CREATE:
		return notes_create(note);
	case OP_COMMIT:
		return notes_commit(note);
	case OP_DROP:
		return notes_drop(note);
	case OP_ARGUMENT:
		return notes_argument(note, request->path);
	case OP_CONNECT:
		return notes_connect(note, keeps);
	case OP_PART:
		return notes_part(note);
	case OP_WORDS:
		return notes_words(note);
	case OP_END:
		return 0;
	}
	return -EINVAL;
}

static bool gives_descriptor(enum op op)
{
	return op == OP_BIND || op == OP_TAP || op == OP_CREATE || op == OP_CONNECT || op == OP_WORDS;
}

__attribute__((noreturn))
static void keep(int from)
{
	static struct request request;
	int theirs, answer, fd;
	bool more;

	keeps = true;
	while (receive_message(from, &request, sizeof(request), &theirs)) {
		request.path[sizeof(request.path) - 1] = 0;
		answer = serve(&request, theirs);
		fd = answer >= 0 && gives_descriptor(request.op) ? answer : -1;
		if (request.op == OP_END)
			clear_up();
		more = !line_socket_send(from, &answer, sizeof(answer), fd) && request.op != OP_END;
		if (fd >= 0)
			close(fd);
		if (theirs >= 0)
			close(theirs);
		if (!more)
			break;
	}
	/* The launcher has ended, or is about to. */
	close(from);
	clear_up();
	last_of_all();
	_exit(EXIT_SUCCESS);
}

/* The terminal's signals must end the launcher, but not the process that cleans up after it. */
static void ignore_signals(void)
{
	static const int all[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGTSTP, SIGPIPE };

	for (unsigned int i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		signal(all[i], SIG_IGN);
}

bool keeper_start(struct error *error)
{
	int ends[2];
	pid_t child;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends))
		return error_set(error, EXIT_CODE_ERROR, "cannot make a pair of sockets: %s",
				 strerror(errno));
	child = fork();
	if (child < 0)
		return error_set(error, EXIT_CODE_ERROR, "cannot make a process: %s",
				 strerror(errno));
	if (child) {
		close(ends[1]);
		channel = ends[0];
		return true;
	}
	/* Keep nothing of the launcher: not its lock, its device or its terminal. */
	if (dup2(ends[1], 0) || close_range(1, ~0u, 0))
		_exit(EXIT_FAILURE);
	ignore_signals();
	prctl(PR_SET_NAME, "gondola-keeper", 0, 0, 0);
	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	keep(0);
}

/* ---- the launcher ---------------------------------------------------------------------------- */

static int exchange(const struct request *request, int fd)
{
	int answer, theirs;

	if (line_socket_send(channel, request, sizeof(*request), fd) ||
	    !receive_message(channel, &answer, sizeof(answer), &theirs))
		return -EPIPE;
	return theirs >= 0 ? theirs : answer;
}

static int ask_with(enum op op, int note, const char *path, int fd)
{
	struct request request = { .op = op, .note = note };
	int ret;

	if (path) {
		if (strlen(path) >= sizeof(request.path))
			return -ENAMETOOLONG;
		strcpy(request.path, path);
	}
	pthread_mutex_lock(&lock);
	ret = channel < 0 ? serve(&request, fd) : exchange(&request, fd);
	pthread_mutex_unlock(&lock);
	return ret;
}

static int ask(enum op op, int note, const char *path)
{
	return ask_with(op, note, path, -1);
}

static void end_at_exit(void)
{
	static bool registered;

	if (!registered)
		atexit(keeper_end);
	registered = true;
}

void keeper_at_end(void (*clear)(void))
{
	clear_fn = clear;
	end_at_exit();
}

void keeper_at_last(void (*last)(void))
{
	last_fn = last;
	end_at_exit();
}

int keeper_note(enum keeper_kind kind, const char *path, struct error *error)
{
	int note = ask(OP_NOTE, (int)kind, path);

	if (note < 0) {
		error_set(error, EXIT_CODE_ERROR, "%s cannot be noted: %s", path, strerror(-note));
		return -1;
	}
	end_at_exit();
	return note;
}

bool keeper_argument(int note, const char *word, struct error *error)
{
	int ret = ask(OP_ARGUMENT, note, word);

	return !ret || error_set(error, EXIT_CODE_ERROR, "%s cannot be noted: %s", word, strerror(-ret));
}

void keeper_seal(void)
{
	ask(OP_SEAL, 0, NULL);
}

int keeper_listen(int note)
{
	int fd = ask(OP_BIND, note, NULL), ret;

	/* Listen in this process, since SO_PEERCRED tells clients the process that called listen(). */
	if (fd < 0 || !listen(fd, 16))
		return fd;
	ret = -errno;
	close(fd);
	return ret;
}

int keeper_remove(int note)
{
	return ask(OP_REMOVE, note, NULL);
}

int keeper_tap(int note)
{
	return ask(OP_TAP, note, NULL);
}

int keeper_create(int note)
{
	return ask(OP_CREATE, note, NULL);
}

int keeper_commit(int note)
{
	return ask(OP_COMMIT, note, NULL);
}

void keeper_drop(int note)
{
	ask(OP_DROP, note, NULL);
}

int keeper_connect(int note)
{
	return ask(OP_CONNECT, note, NULL);
}

void keeper_part(int note)
{
	ask(OP_PART, note, NULL);
}

int keeper_words(int note)
{
	return ask(OP_WORDS, note, NULL);
}

void keeper_unbind(int fd)
{
	ask_with(OP_UNBIND, 0, NULL, fd);
}

void keeper_end(void)
{
	if (__atomic_exchange_n(&ending, true, __ATOMIC_ACQ_REL))
		return;
	ask(OP_END, 0, NULL);
	if (channel >= 0)
		return;
	clear_up();
	last_of_all();
}
