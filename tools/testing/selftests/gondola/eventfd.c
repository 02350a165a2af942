// SPDX-License-Identifier: GPL-2.0-only
/* ioeventfd and irqfd: which writes are taken, what is refused, what the guest's lines see. */
#include <errno.h>
#include <sys/eventfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "machine.h"

static int event(void)
{
	int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);

	require(fd >= 0);
	return fd;
}

/* How often it was signalled since last asked. */
static uint64_t count(int fd)
{
	uint64_t value = 0;

	if (read(fd, &value, sizeof(value)) < 0)
		expect_equal(errno, EAGAIN);
	return value;
}

GUEST_CODE(writes, 64,
	   "mov $0xd0000000, %ebx\n"
	   "movl $1, (%rbx); movl $2, (%rbx); movw $1, (%rbx); movl $5, 0x64(%rbx)\n"
	   "mov $7, %eax; mov $0x510, %edx; out %eax, %dx; out %al, %dx\n"
	   "out %eax, $0x80; jmp .");

static void taken(void)
{
	uint32_t word = 0xf;
	struct machine machine;
	int one = event(), any = event(), cleared = event(), port = event();

	machine_create(&machine, MODE_LONG);
	GUEST_LOAD(&machine, writes);
	require_equal(__gondola_ioeventfd(machine.vm, GONDOLA_IOEVENTFD_DATAMATCH, one, NO_MEMORY,
					  4, 1, NULL), 0);
	require_equal(__gondola_ioeventfd(machine.vm, GONDOLA_IOEVENTFD_CLEAR, cleared,
					  NO_MEMORY + 0x64, 4, 0, &word), 0);
	require_equal(__gondola_ioeventfd(machine.vm, GONDOLA_IOEVENTFD_PIO, port, 0x510, 4, 0,
					  NULL), 0);
	/* The second write has another value, the third another width. */
	machine_run(&machine);
	require_equal(machine.run->exit, GONDOLA_EXIT_MMIO);
	expect_equal(machine.run->mmio.data[0], 2);
	machine_run(&machine);
	require_equal(machine.run->exit, GONDOLA_EXIT_MMIO);
	expect_equal(machine.run->mmio.bytes, 2);
	/* The port's second one too. */
	machine_run(&machine);
	require_equal(machine.run->exit, GONDOLA_EXIT_IO);
	expect_equal(machine.run->io.port, 0x510);
	expect_equal(machine.run->io.width, 1);
	expect_equal(machine_result(&machine), 7);
	expect_equal(count(one), 1);
	expect_equal(count(cleared), 1);
	expect_equal(count(port), 1);
	expect_equal(word, 0xa);

	require_equal(__gondola_ioeventfd(machine.vm,
					  GONDOLA_IOEVENTFD_DATAMATCH | GONDOLA_IOEVENTFD_REMOVE,
					  one, NO_MEMORY, 4, 1, NULL), 0);
	machine_destroy(&machine);

	/* Any value and width. */
	machine_create(&machine, MODE_LONG);
	GUEST_LOAD(&machine, writes);
	require_equal(__gondola_ioeventfd(machine.vm, 0, any, NO_MEMORY, 0, 0, NULL), 0);
	machine_run(&machine);
	require_equal(machine.run->exit, GONDOLA_EXIT_MMIO);
	expect_equal(machine.run->mmio.gpa, NO_MEMORY + 0x64);
	expect_equal(count(any), 3);
	expect_equal(count(one), 0);
	machine_destroy(&machine);
	close(one);
	close(any);
	close(cleared);
	close(port);
}

/* A word that is not there: the launcher gets the write. */
static void lost_word(void)
{
	struct machine machine;

	machine_create(&machine, MODE_LONG);
	GUEST_LOAD(&machine, writes);
	require_equal(__gondola_ioeventfd(machine.vm, GONDOLA_IOEVENTFD_CLEAR, -1, NO_MEMORY, 4, 0,
					  (void *)0x1000), 0);
	machine_run(&machine);
	require_equal(machine.run->exit, GONDOLA_EXIT_MMIO);
	expect_equal(machine.run->mmio.gpa, NO_MEMORY);
	machine_destroy(&machine);
}

static void refused(void)
{
	enum {
		REMOVE = GONDOLA_IOEVENTFD_REMOVE, PIO = GONDOLA_IOEVENTFD_PIO,
		MATCH = GONDOLA_IOEVENTFD_DATAMATCH, CLEAR = GONDOLA_IOEVENTFD_CLEAR,
	};
	struct machine machine;
	uint32_t words[2];
	int fd = event(), other = event();

	machine_bare(&machine);
#define IO(flags, fd, address, bytes, match, word)					\
	__gondola_ioeventfd(machine.vm, flags, fd, address, bytes, match, word)
	expect_equal(IO(0, fd, 0, 3, 0, NULL), -EINVAL);
	expect_equal(IO(0, fd, 0, 16, 0, NULL), -EINVAL);
	expect_equal(IO(0, fd, ~0ull, 4, 0, NULL), -EINVAL);
	expect_equal(IO(PIO, fd, 0x10000, 4, 0, NULL), -EINVAL);
	expect_equal(IO(PIO, fd, 0x100, 8, 0, NULL), -EINVAL);
	expect_equal(IO(0, fd, 0, 4, 1, NULL), -EINVAL);
	expect_equal(IO(MATCH, fd, 0, 0, 1, NULL), -EINVAL);
	expect_equal(IO(MATCH, fd, 0, 2, 0x10000, NULL), -EINVAL);
	expect_equal(IO(0, fd, 0, 4, 0, words), -EINVAL);
	expect_equal(IO(CLEAR, fd, 0, 2, 0, words), -EINVAL);
	expect_equal(IO(CLEAR, fd, 0, 4, 0, (char *)words + 1), -EINVAL);
	expect_equal(IO(0, -1, 0, 4, 0, NULL), -EBADF);
	expect_equal(IO(0, machine.sys, 0, 4, 0, NULL), -EINVAL);
	expect_equal(IO(REMOVE, fd, 0, 4, 0, NULL), -ENOENT);
	/* Which of two would be meant? */
	expect_equal(IO(MATCH, fd, 0, 4, 1, NULL), 0);
	expect_equal(IO(MATCH, other, 0, 4, 1, NULL), -EEXIST);
	expect_equal(IO(0, other, 0, 4, 0, NULL), -EEXIST);
	expect_equal(IO(0, other, 0, 0, 0, NULL), -EEXIST);
	expect_equal(IO(MATCH, other, 0, 4, 2, NULL), 0);
	expect_equal(IO(0, other, 0, 2, 0, NULL), 0);
	expect_equal(IO(PIO, other, 0, 4, 0, NULL), 0);
	expect_equal(IO(REMOVE | MATCH, other, 0, 4, 1, NULL), -ENOENT);
	expect_equal(IO(REMOVE | MATCH, fd, 0, 4, 1, NULL), 0);
	for (int i = 0, ret = 0; !ret; i++) {
		ret = IO(0, fd, 0x1000 + 8 * i, 4, 0, NULL);
		tap_check(i < 1000, true, "more than 1000 were taken");
		tap_check(!ret || ret == -ENOSPC, true, "number %d: %s", i, strerror(-ret));
	}

	expect_equal(__gondola_irqfd(machine.vm, 0, fd, GONDOLA_NR_GSI), -EINVAL);
	expect_equal(__gondola_irqfd(machine.vm, 0, -1, 5), -EBADF);
	expect_equal(__gondola_irqfd(machine.vm, 0, machine.sys, 5), -EINVAL);
	expect_equal(__gondola_irqfd(machine.vm, GONDOLA_IRQFD_REMOVE, fd, 5), -ENOENT);
	expect_equal(__gondola_irqfd(machine.vm, 0, fd, 5), 0);
	expect_equal(__gondola_irqfd(machine.vm, 0, fd, 6), -EBUSY);
	expect_equal(__gondola_irqfd(machine.vm, GONDOLA_IRQFD_REMOVE, fd, 6), -ENOENT);
	expect_equal(__gondola_irqfd(machine.vm, GONDOLA_IRQFD_REMOVE, fd, 5), 0);
	expect_equal(__gondola_irqfd(machine.vm, 0, fd, 5), 0);
	machine_destroy(&machine);
	/* An eventfd that outlives the machine interrupts no one. */
	expect_equal(write(fd, &(uint64_t){ 1 }, 8), 8);
	close(fd);
	close(other);
}

/* Requests that the PIC holds: bit 0 is line 0. */
static unsigned int requests(struct machine *machine)
{
	static _Alignas(8) char buffer[65536];
	uint64_t bytes = sizeof(buffer);
	const struct gondola_rec_pic *pic;

	require_equal(__gondola_get_state(machine->vm, buffer, &bytes), 0);
	pic = gondola_find_record(buffer, bytes, GONDOLA_REC_PIC, sizeof(*pic));
	require(pic);
	return pic->chip[0].irr | pic->chip[1].irr << 8;
}

static void lines(void)
{
	struct machine machine;
	int fd = event(), early = event(), shared = event();

	machine_create(&machine, MODE_LONG);
	expect_equal(write(early, &(uint64_t){ 3 }, 8), 8);
	require_equal(__gondola_irqfd(machine.vm, 0, fd, 5), 0);
	require_equal(__gondola_irqfd(machine.vm, 0, shared, 5), 0);
	expect_equal(requests(&machine) & 1 << 5, 0);
	expect_equal(write(fd, &(uint64_t){ 2 }, 8), 8);
	expect_equal(requests(&machine) & 1 << 5, 1 << 5);
	expect_equal(count(fd), 0);
	expect_equal(write(shared, &(uint64_t){ 1 }, 8), 8);
	expect_equal(count(shared), 0);
	/* Written before it had a line. */
	require_equal(__gondola_irqfd(machine.vm, 0, early, 6), 0);
	expect_equal(requests(&machine) & 1 << 6, 1 << 6);
	/* And written when it has none any more. */
	require_equal(__gondola_irqfd(machine.vm, GONDOLA_IRQFD_REMOVE, fd, 5), 0);
	expect_equal(write(fd, &(uint64_t){ 1 }, 8), 8);
	expect_equal(count(fd), 1);
	/* Closed while it has one. */
	close(shared);
	machine_destroy(&machine);
	close(fd);
	close(early);
}

/* The eventfd is written by another process at its own pace while the guest runs and dies. */
static void racing(void)
{
	for (int round = 0; round < 20; round++) {
		struct machine machine;
		int fd = event();
		pid_t child;

		machine_create(&machine, MODE_LONG);
		GUEST_LOAD(&machine, writes);
		require_equal(__gondola_irqfd(machine.vm, 0, fd, 5), 0);
		require_equal(__gondola_ioeventfd(machine.vm, 0, fd, NO_MEMORY, 0, 0, NULL), 0);
		child = fork();
		require(child >= 0);
		if (!child) {
			for (int i = 0; i < 2000; i++)
				(void)!write(fd, &(uint64_t){ 1 }, 8);
			_exit(0);
		}
		machine_run(&machine);
		require_equal(machine.run->exit, GONDOLA_EXIT_MMIO);
		machine_destroy(&machine);
		close(fd);
		waitpid(child, NULL, 0);
	}
}

static const struct tap_test tests[] = {
	{ "writes that match signal, others leave", taken },
	{ "a word that is not mapped takes no write", lost_word },
	{ "bad arguments are refused", refused },
	{ "an eventfd pulses its line", lines },
	{ "eventfds are written while machines die", racing },
};

TAP_MAIN(tests)
