// SPDX-License-Identifier: GPL-2.0-only
/* The rounds of a migration, with a module that takes every call but refuses marks of devices. */
#include <errno.h>
#include <stdarg.h>
#include <string.h>
#include <sys/ioctl.h>

#include "base/wait.h"
#include "migrate/source.h"
#include "precopy_test.h"
#include "tap.h"

#define MEMORY		(1ull << 20)
#define DEVICE		1u

static bool refuses;

void __wrap_control_event(const char *name, struct json_object *data);

static struct json_object *event;

void __wrap_control_event(const char *name, struct json_object *data)
{
	(void)name;
	json_object_put(event);
	event = data;
}

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

/* The first round takes longest, and its rate is known soon; what is not known is not called 0. */
void precopy_first_progress(void)
{
	struct source s = { .pages = 1000, .round = 1, .phase = MIGRATE_COPY };
	struct report_round *round = report_round_add(&s.report);
	struct json_object *unused;

	s.round_began_ns = wait_now_ns() - 1000000000;
	*round = (struct report_round){ .number = 1, .pages = 300, .left_out = 100 };
	source_progress(&s, true);
	require(event);
	/* 200 pages in a second, or a little more. */
	expect(report_number(event, "link_rate") <= 200 * 4096);
	expect(report_number(event, "link_rate") > 20 * 4096);
	expect_equal(report_number(event, "left_bytes"), 700 * 4096);
	expect(!json_object_object_get_ex(event, "dirty_rate", &unused));
	expect(!json_object_object_get_ex(event, "expected_downtime_ns", &unused));
	round->ns = 1000000000;
	round->dirtied = 50;
	estimate_round(&s.estimate, &(struct estimate_round){ 200, 200, round->ns, 0, 50 });
	source_progress(&s, true);
	expect_equal(report_number(event, "link_rate"), 200 * 4096);
	expect_equal(report_number(event, "dirty_rate"), 50 * 4096);
	expect_equal(report_number(event, "expected_downtime_ns"), 250000000);
	json_object_put(event);
	event = NULL;
}
