// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "absent.h"

#define PAGE	4096u

int absent_open(int flags)
{
	struct uffdio_api api = { .api = UFFD_API };
	int uffd = syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK | flags);

	if (uffd < 0)
		tap_skip("no userfaultfd: %s", strerror(errno));
	require_equal(ioctl(uffd, UFFDIO_API, &api), 0);
	return uffd;
}

void absent_make(int uffd, void *memory, size_t bytes)
{
	struct uffdio_register range = {
		.range = { .start = (uintptr_t)memory, .len = bytes },
		.mode = UFFDIO_REGISTER_MODE_MISSING,
	};

	require_equal(madvise(memory, bytes, MADV_DONTNEED), 0);
	require_equal(ioctl(uffd, UFFDIO_REGISTER, &range), 0);
}

void absent_supply(int uffd, void *at, const void *page)
{
	struct uffdio_copy copy = { .dst = (uintptr_t)at, .src = (uintptr_t)page, .len = PAGE };

	require_equal(ioctl(uffd, UFFDIO_COPY, &copy), 0);
}

int absent_guest(struct machine *machine, uint32_t gpa, size_t bytes, int flags)
{
	int uffd = absent_open(flags);

	absent_make(uffd, machine->memory + gpa, bytes);
	require_equal(__gondola_set_memory(machine->vm, 0, GONDOLA_MEM_USERFAULT, 0, MEMORY_BYTES,
					   machine->memory), 0);
	return uffd;
}
