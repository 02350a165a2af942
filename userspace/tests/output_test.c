// SPDX-License-Identifier: GPL-2.0-only
/* Output of a console whose reader pauses, stands still or goes. */
#include <errno.h>
#include <fcntl.h>
#include <pty.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <termios.h>
#include <unistd.h>

#include "output_test.h"
#include "sandbox/sandbox.h"
#include "tap.h"
#include "vm/output.h"

#define ALL		(4u * OUTPUT_ROOM)
#define PATIENCE_MS	30000

static unsigned int drained;

static void on_drained(void *argument)
{
	(void)argument;
	__atomic_fetch_add(&drained, 1, __ATOMIC_SEQ_CST);
}

void sandbox_thread(enum sandbox_kind kind)
{
	(void)kind;
}

/* As in the launcher, one lives as long as the process: a thread may stand in its write. */
static struct output *make(void)
{
	static struct output *made[8];
	static unsigned int count;

	require(count < 8);
	made[count] = output_create(on_drained, NULL);
	return made[count++];
}

static char nth(size_t n)
{
	return n % 80 == 79 ? '\n' : (char)('a' + n % 23);
}

/* As a guest that looks whether there is room; returns how many were written. */
static size_t put_some(struct output *output, size_t from)
{
	size_t n = from;

	for (; n < ALL && (n % OUTPUT_BURST || output_room(output)); n++)
		output_put(output, nth(n));
	return n;
}

static size_t check_some(int fd, size_t from)
{
	char data[4096];
	ssize_t got = read(fd, data, sizeof(data));

	require(got > 0);
	for (ssize_t i = 0; i < got; i++)
		tap_check(data[i] == nth(from + i), true, "byte %zu is not as written", from + i);
	return from + got;
}

static void wait_for_room(unsigned int before)
{
	for (int i = 0; i < PATIENCE_MS; i++) {
		if (__atomic_load_n(&drained, __ATOMIC_SEQ_CST) != before)
			return;
		usleep(1000);
	}
	tap_check(false, true, "nobody says that there is room again");
}

/* All that was written while there was room arrives, in order, and nobody waits for the reader. */
static void pause_reader(int to, int from, enum output_kind kind)
{
	struct output *output = make();
	size_t written = 0, got = 0;

	output_to(output, to, kind);
	require_equal(output_start(output), 0);
	while (got < ALL) {
		unsigned int before = __atomic_load_n(&drained, __ATOMIC_SEQ_CST);
		size_t now = put_some(output, written);

		expect(now - written >= OUTPUT_ROOM / 2 - OUTPUT_BURST || now == ALL);
		written = now;
		/* Half of it is enough for more. */
		while (written < ALL ? written - got > OUTPUT_ROOM / 4 : got < ALL)
			got = check_some(from, got);
		if (written < ALL)
			wait_for_room(before);
	}
	expect_equal(output_finish(output), 0);
	close(to);
	close(from);
}

void output_pauses(void)
{
	int ends[2];

	require_equal(pipe(ends), 0);
	pause_reader(ends[1], ends[0], OUTPUT_FILE);
	require_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
	pause_reader(ends[1], ends[0], OUTPUT_SOCKET);
}

/* A reader that never reads holds up neither the guest nor the end of the launcher. */
void output_stands_still(void)
{
	struct output *output = make();
	int ends[2];

	signal(SIGPIPE, SIG_IGN);
	require_equal(pipe2(ends, O_NONBLOCK), 0);
	while (write(ends[1], "full", 4) == 4)
		;
	require_equal(fcntl(ends[1], F_SETFL, 0), 0);
	output_to(output, ends[1], OUTPUT_FILE);
	require_equal(output_start(output), 0);
	expect(put_some(output, 0) < ALL);
	expect(!output_room(output));
	for (unsigned int i = 0; i < 100; i++)
		output_put(output, 'x');
	expect(output_finish(output) > OUTPUT_ROOM / 2);
	close(ends[0]);
}

/* A pseudo-terminal that no program has open holds nobody up, and one that opens it gets what comes. */
void output_no_terminal(void)
{
	struct output *output = make();
	size_t written = 0;
	char name[128], c = 0;
	int ours, theirs;

	require_equal(openpty(&ours, &theirs, name, NULL, NULL), 0);
	close(theirs);
	require_equal(fcntl(ours, F_SETFL, O_NONBLOCK), 0);
	output_to(output, ours, OUTPUT_PTY);
	require_equal(output_start(output), 0);
	while (written < ALL) {
		unsigned int before = __atomic_load_n(&drained, __ATOMIC_SEQ_CST);

		written = put_some(output, written);
		if (written < ALL)
			wait_for_room(before);
	}
	/* Until what nobody reads is dropped: without room it would be this that is. */
	while (!output_room(output))
		usleep(1000);
	theirs = open(name, O_RDWR | O_NOCTTY | O_CLOEXEC);
	require(theirs >= 0);
	tcflush(theirs, TCIFLUSH);
	output_put(output, '!');
	output_put(output, '\n');
	while (c != '!')
		require_equal(read(theirs, &c, 1), 1);
	expect_equal(output_finish(output), 0);
	close(theirs);
	close(ours);
}

/* A peer that goes takes what it did not read along, and the guest goes on. */
void output_peer_goes(void)
{
	struct output *output = make();
	unsigned int before = drained;
	int ends[2], next[2];
	char data[8] = "";

	require_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
	require_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, next), 0);
	output_to(output, ends[1], OUTPUT_SOCKET);
	require_equal(output_start(output), 0);
	expect(put_some(output, 0) < ALL);
	close(ends[0]);
	wait_for_room(before);
	output_to(output, next[1], OUTPUT_SOCKET);
	output_put(output, 'y');
	require_equal(read(next[0], data, sizeof(data)), 1);
	expect_equal(data[0], 'y');
	output_to(output, -1, OUTPUT_SOCKET);
	expect_equal(put_some(output, 0), ALL);
	expect_equal(output_finish(output), 0);
	close(ends[1]);
	close(next[0]);
	close(next[1]);
}
