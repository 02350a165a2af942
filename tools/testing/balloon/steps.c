// SPDX-License-Identifier: GPL-2.0-only
#include <stdlib.h>
#include <unistd.h>

#include "steps.h"

static const char *const driver_commands[] = { "gondola", "stock" };
const char *const driver_names[] = { "gondola_balloon", "virtio_balloon" };

void start_with(struct vm *vm, unsigned int driver, const char *options)
{
	vm_start(vm, driver_commands[driver], GUEST_MIB, options);
	require_equal(vm_ask(vm, "load %s", driver_commands[driver]), 0);
	require(!strcmp(vm->answer, driver_names[driver]));
	for (int i = 0; i < 3000 && !strcmp(vm->guest.driver, "none"); i++) {
		usleep(100000);
		require(!guest_status(&vm->guest));
	}
	require(!strcmp(vm->guest.driver, driver ? "standard" : "gondola"));
}

void expect_whole(struct vm *vm)
{
	expect_equal(vm_ask(vm, "check"), 0);
	expect(!strcmp(vm->answer, "whole"));
}

uint64_t touch_all(struct vm *vm)
{
	uint64_t total, available, reported, touched = 0, now;
	unsigned int mib, got;

	/* Free pages are reported two seconds later: what follows should be quicker, or else again. */
	for (int i = 0; i < 5; i++) {
		vm_mem(vm, &total, &available);
		mib = available / 1024 - 12;
		require_equal(vm_ask(vm, "eat %u", mib), 0);
		for (got = 0; got < mib; got = atoi(vm->answer)) {
			usleep(100000);
			require_equal(vm_ask(vm, "eaten"), 0);
		}
		require(!guest_status(&vm->guest));
		reported = vm->guest.reported;
		touched = vm_rss(vm);
		require_equal(vm_ask(vm, "spare"), 0);
		now = vm_rss(vm);
		require(!guest_status(&vm->guest));
		if (vm->guest.reported == reported)
			return now;
	}
	/* On a computer that is too slow for that: by reports or by the balloon, they go. */
	return touched;
}

void expect_reason(struct vm *vm, const struct guest_request *request, const char *reason)
{
	const char *why = vm_balloon(vm, request);

	tap_check(!strcmp(why, reason), false, "%s: asked for %llu MiB: %s, not %s", vm->name,
		  (unsigned long long)request->size >> 20, why, reason);
}

void empty(struct vm *vm)
{
	const struct guest_request nothing = {};

	expect_reason(vm, &nothing, "reached");
	expect_equal(vm->guest.held, 0);
}
