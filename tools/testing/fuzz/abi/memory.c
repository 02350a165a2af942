// SPDX-License-Identifier: GPL-2.0-only
/* User memory as a hostile launcher has it: parts come and go, some are never answered for. */
#include <errno.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <poll.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fuzz.h"

#define MIB		(1ul << 20)
#define GIB		(1ul << 30)
#define RESERVED	(256 * GIB)
#define USER_END	(1ul << 47)
#define PROGRAM		0x400000ul	/* where a static one lies */
/* Parts of the arena, in MiB: memory that is left alone, of a file, waited for, and the rest. */
#define RAM		0
#define SHARED		2
#define NO_ACCESS	4
#define MISSING		5
#define READ_ONLY	6
#define HOLE		7
#define END		8

pthread_mutex_t mappings = PTHREAD_MUTEX_INITIALIZER;
static uint8_t *arena;
static size_t reserved;
static int file = -1;
static int uffd = -1;

static void map(unsigned int from, unsigned int to, int protection, int flags, int fd)
{
	if (mmap(arena + from * MIB, (to - from) * MIB, protection, flags | MAP_FIXED, fd, 0) ==
	    MAP_FAILED)
		_exit(99);
}

static void open_uffd(void)
{
	struct uffdio_api api = { .api = UFFD_API };
	struct uffdio_register range = { .mode = UFFDIO_REGISTER_MODE_MISSING };

	uffd = syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK);
	if (uffd < 0)
		return;
	range.range.start = (uintptr_t)arena + MISSING * MIB;
	range.range.len = MIB;
	ioctl(uffd, UFFDIO_API, &api);
	ioctl(uffd, UFFDIO_REGISTER, &range);
}

void memory_begin(struct random *r)
{
	int anonymous = MAP_PRIVATE | MAP_ANONYMOUS;

	/* With room behind it, so that a slot much larger than the arena reaches nothing else. */
	reserved = RESERVED;
	do {
		arena = mmap(NULL, reserved, PROT_NONE, anonymous | MAP_NORESERVE, -1, 0);
	} while (arena == MAP_FAILED && (reserved /= 2) > END * MIB);
	if (arena == MAP_FAILED)
		_exit(99);
	file = memfd_create("fuzz", MFD_CLOEXEC);
	if (file < 0 || ftruncate(file, 2 * MIB))
		_exit(99);
	map(RAM, SHARED, PROT_READ | PROT_WRITE, anonymous, -1);
	map(SHARED, NO_ACCESS, PROT_READ | PROT_WRITE, MAP_SHARED, file);
	map(MISSING, READ_ONLY, PROT_READ | PROT_WRITE, anonymous, -1);
	map(READ_ONLY, HOLE, PROT_READ, anonymous, -1);
	if (one_in(r, 2))
		open_uffd();
}

void memory_end(void)
{
	munmap(arena, reserved);
	close(file);
	if (uffd >= 0)
		close(uffd);
	uffd = -1;
}

void memory_answer(void)
{
	struct uffd_msg message;

	while (uffd >= 0 && read(uffd, &message, sizeof(message)) == sizeof(message)) {
		struct uffdio_zeropage zero = {
			.range.start = message.arg.pagefault.address & ~(PAGE - 1),
			.range.len = PAGE,
		};

		if (message.event == UFFD_EVENT_PAGEFAULT && ioctl(uffd, UFFDIO_ZEROPAGE, &zero))
			ioctl(uffd, UFFDIO_WAKE, &zero.range);
	}
}

uint64_t memory_good(void)
{
	return (uintptr_t)arena + RAM * MIB;
}

/*
 * The program lies low, and its heap a little above it; stacks and all else that is mapped lie
 * above the arena, or a little below it.
 */
bool memory_is_own(uint64_t from, uint64_t bytes)
{
	uint64_t begin = (uintptr_t)arena, heap = (uintptr_t)sbrk(0), end;

	if (from >= USER_END || !bytes)
		return false;
	end = bytes > USER_END ? USER_END : from + bytes;
	if (from >= begin)
		return end > begin + reserved;
	return end > PROGRAM && (from < heap + GIB || end > begin - GIB);
}

uint64_t memory_any(struct random *r)
{
	uint64_t at = (uintptr_t)arena + below(r, END * 256) * PAGE, odd;

	switch (below(r, 8)) {
	case 0:
		/* Across a border of two parts. */
		return (uintptr_t)arena + (1 + below(r, END)) * MIB - below(r, 64);
	case 1:
		/* A call that wrote into the fuzzer itself would make it fail, or hang. */
		odd = odd_value(r);
		return memory_is_own(odd, 1) ? at : odd;
	case 2:
		return at + below(r, PAGE);
	default:
		return at;
	}
}

void memory_put(uint64_t to, const void *from, size_t bytes)
{
	struct iovec local = { (void *)from, bytes };
	struct iovec remote = { (void *)(uintptr_t)to, bytes };

	/* It fails where a copy would be a fault of ours. */
	process_vm_writev(getpid(), &local, 1, &remote, 1, 0);
}

/* Nothing at all for a moment, in which nobody else may get the place. */
static void make_hole(struct random *r, uint8_t *at, size_t bytes)
{
	pthread_mutex_lock(&mappings);
	munmap(at, bytes);
	usleep(below(r, 1000));
	mmap(at, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
	pthread_mutex_unlock(&mappings);
}

/* Another address space with the same descriptors: the module must refuse it, and live with it. */
static void fork_away(struct random *r)
{
	int fd = any_vm(r);
	pid_t child = syscall(SYS_fork);

	if (!child) {
		struct gondola_mark mark = { .size = sizeof(mark) };

		ioctl(fd, GONDOLA_MARK, &mark);
		_exit(0);
	}
	if (child > 0)
		waitpid(child, NULL, 0);
}

void memory_disturb(struct random *r)
{
	static const int protections[] = {
		PROT_NONE, PROT_READ, PROT_READ | PROT_WRITE, PROT_READ | PROT_WRITE,
	};
	uint32_t first = below(r, NO_ACCESS * 256), pages = 1 + below(r, 64);
	uint8_t *at = arena + first * PAGE;
	size_t bytes = pages * PAGE;

	if (first + pages > NO_ACCESS * 256)
		bytes = PAGE;
	switch (below(r, 10)) {
	case 0:
		mprotect(at, bytes, protections[below(r, 4)]);
		break;
	case 1:
		mprotect(arena, NO_ACCESS * MIB, PROT_READ | PROT_WRITE);
		break;
	case 2:
		madvise(at, bytes, MADV_DONTNEED);
		break;
	case 3:
		madvise(at, bytes, one_in(r, 2) ? MADV_MERGEABLE : MADV_UNMERGEABLE);
		break;
	case 4:
		madvise(at, bytes, one_in(r, 2) ? MADV_PAGEOUT : MADV_COLD);
		break;
	case 5:
		fallocate(file, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, below(r, 512) * PAGE,
			  bytes);
		break;
	case 6:
		if (ftruncate(file, one_in(r, 2) ? 2 * MIB : below(r, 2 * MIB)))
			break;
		break;
	case 7:
		make_hole(r, arena + HOLE * MIB, MIB);
		break;
	case 8:
		if (one_in(r, 8))
			fork_away(r);
		break;
	default:
		if (one_in(r, 4))
			make_hole(r, at, bytes);
	}
}
