// SPDX-License-Identifier: GPL-2.0-only
/* The rounds of a migration, with a module that takes every call but refuses marks of devices. */
#include <errno.h>
#include <stdarg.h>
#include <string.h>
#include <sys/ioctl.h>

#include "migrate/source.h"
#include "precopy_test.h"
#include "tap.h"

#define MEMORY		(1ull << 20)
#define DEVICE		1u

static bool refuses;

int __wrap_ioctl(int fd, unsigned long request, ...);

int __wrap_ioctl(int fd, unsigned long request, ...)
{
	(void)fd;
	if (!refuses || request != GONDOLA_MARK_DIRTY)
		return 0;
	errno = ENOMEM;
	return -1;
}

/* The log misses the writes of a device: no copy is whole, not even the last one. */
void precopy_log_misses(void)
{
	struct vm vm = { .fd = -1 };
	struct source s = { .vm = &vm };

	require_equal(memory_create_bare(&vm.memory, MEMORY, false), 0);
	require(precopy_begin(&s));
	memory_mark_dirty(&vm.memory, DEVICE, 0, 1);
	expect_equal(precopy_left(&s), 0);
	refuses = true;
	memory_mark_dirty(&vm.memory, DEVICE, 0, 1);
	refuses = false;
	expect_equal(precopy_left(&s), -1);
	expect(!precopy_last(&s));
	expect(strstr(s.link.error.words, "misses what a device wrote"));
	precopy_end(&s);
	/* Another migration has a log of its own. */
	s.link.error.words[0] = 0;
	expect(precopy_begin(&s));
	expect_equal(precopy_left(&s), 0);
	precopy_end(&s);
	memory_destroy(&vm.memory);
}
