// SPDX-License-Identifier: GPL-2.0-only
#include <stdlib.h>
#include <unistd.h>

#include "policy.h"
#include "vm.h"

static unsigned int meminfo_mib(const char *field)
{
	char output[1024];

	require_equal(run(output, "sed -n 's/^%s: *\\([0-9]*\\).*/\\1/p' /proc/meminfo", field), 0);
	return atoi(output) / 1024;
}

static void start(struct vm *vm, const char *name)
{
	require_equal(vm_start_created(vm, name), 0);
	require_equal(vm_ask(vm, "load gondola"), 0);
	require_equal(vm_ask(vm, "hold 16"), 0);
	for (int i = 0; i < 2400 && (guest_stats(&vm->guest) || !vm->guest.has_stats); i++)
		usleep(50000);
	require(vm->guest.has_stats);
}

static uint64_t held_mib(struct vm *vm)
{
	require(!guest_status(&vm->guest));
	return vm->guest.held >> 20;
}

/* The guest is short: it gets memory back, and others that have more than they need give it. */
static void balance(struct vm *poor, unsigned int mib)
{
	uint64_t before = held_mib(poor);
	char output[1024], events[1024];

	require_equal(vm_ask(poor, "eat %u", mib), 0);
	for (int i = 0; i < 6000 && atoi(poor->answer) < (int)mib; i++) {
		usleep(100000);
		require_equal(vm_ask(poor, "eaten"), 0);
	}
	expect_equal(run(output, "gondola balance --dry-run"), 0);
	expect_equal(held_mib(poor), before);
	expect_equal(run(NULL, "gondola balance --rounds 6 --interval 1 --json > /output/balance"),
		     0);
	run(events, "cat /output/balance");
	tap_check(strstr(events, "\"why\":\"the guest is at its floor\""), false, "balance: %s",
		  events);
	expect(held_mib(poor) < before);
	require(!guest_stats(&poor->guest));
	figure("{\"kind\": \"balance\", \"before_mib\": %llu, \"after_mib\": %llu, \"available_mib\": %llu, \"floor_mib\": %llu}",
	       (unsigned long long)before, (unsigned long long)held_mib(poor),
	       (unsigned long long)poor->guest.available >> 20,
	       (unsigned long long)poor->guest.keep >> 20);
	require_equal(vm_ask(poor, "spare"), 0);
}

void policy_starts(void)
{
	static const char *const names[] = { "one", "two", "three" };
	unsigned int total = meminfo_mib("MemTotal"), reserve = total / 20 > 64 ? total / 20 : 64;
	/* The host has memory for two and a half. */
	unsigned int mib = (meminfo_mib("MemAvailable") - reserve) * 10 / 25 - 12;
	uint64_t held[3], total_kib, available;
	char output[1024], options[64];
	struct vm vms[3], fourth;

	snprintf(options, sizeof(options), "--balloon --balloon-floor %uM", mib * 35 / 100);
	for (int i = 0; i < 3; i++)
		vm_create(names[i], mib, options);
	vm_create("four", mib, options);
	start(&vms[0], names[0]);
	start(&vms[1], names[1]);
	expect_equal(held_mib(&vms[0]) + held_mib(&vms[1]), 0);

	/* The preview names who would give, and nobody does. */
	expect_equal(run(output, "gondola start three --dry-run"), 0);
	tap_check(strstr(output, "one") && strstr(output, "two") && strstr(output, "gives"), false,
		  "preview: %s", output);
	expect_equal(held_mib(&vms[0]) + held_mib(&vms[1]), 0);
	start(&vms[2], names[2]);
	for (int i = 0; i < 3; i++) {
		held[i] = held_mib(&vms[i]);
		expect(i == 2 ? !held[i] : held[i] > 0);
		vm_mem(&vms[i], &total_kib, &available);
		expect(available / 1024 + 2 >= mib * 35 / 100);
	}
	/* It is no promise only: the third one uses all that it was given. */
	vm_mem(&vms[2], &total_kib, &available);
	require_equal(vm_ask(&vms[2], "eat %llu", (unsigned long long)available / 1024 - 24), 0);
	for (int i = 0; i < 6000 && atoi(vms[2].answer) < (int)(available / 1024 - 24); i++) {
		usleep(100000);
		require_equal(vm_ask(&vms[2], "eaten"), 0);
	}
	require_equal(vm_ask(&vms[2], "spare"), 0);

	expect_equal(run(output, "gondola start four --dry-run 2>&1"), 16);
	tap_check(strstr(output, "MiB of memory are missing"), false, "preview: %s", output);
	expect_equal(vm_start_created(&fourth, "four"), 16);
	run(output, "cat /output/four.error");
	tap_check(strstr(output, "MiB of memory are missing"), false, "refusal: %s", output);
	for (int i = 0; i < 3; i++)
		expect_equal(held_mib(&vms[i]), held[i]);
	figure("{\"kind\": \"policy\", \"vm_mib\": %u, \"given_mib\": [%llu, %llu, %llu], \"refusal\": \"%.*s\"}",
	       mib, (unsigned long long)held[0], (unsigned long long)held[1],
	       (unsigned long long)held[2], (int)strcspn(output, "\n"), output);

	balance(&vms[0], held[0] / 2 + 24);
	for (int i = 0; i < 3; i++) {
		require_equal(vm_ask(&vms[i], "kills"), 0);
		expect(!strcmp(vms[i].answer, "0"));
		require_equal(vm_ask(&vms[i], "check"), 0);
		expect(!strcmp(vms[i].answer, "whole"));
		vm_end(&vms[i]);
	}
}

/* ---- migration ------------------------------------------------------------------------- */

static void move_while_growing(const char *options)
{
	struct guest_request request = { .size = MIB(24), .floor = MIB(24) };
	uint64_t total, before, available;
	struct vm here, there;

	vm_start(&here, "here", 192, NULL);
	require_equal(vm_ask(&here, "load gondola"), 0);
	require_equal(vm_ask(&here, "hold 24"), 0);
	vm_mem(&here, &before, &available);
	expect(!strcmp(vm_balloon(&here, &request), "reached"));

	/* It grows in all phases: a second or two before the move, and on at the target. */
	request.size = MIB(72);
	request.rate = MIB(8);
	require(!guest_ask(&here.guest, &request));
	vm_receive(&there, "there", "/tmp/move");
	require_equal(run(NULL, "gondola migrate here unix:/tmp/move --json %s > /output/move.json",
			  options), 0);
	vm_left(&here);
	vm_arrived(&there);
	if (*options) {
		/* As fast as it goes, into pages that are still on their way. */
		request.rate = 0;
		expect(!strcmp(vm_balloon(&there, &request), "reached"));
	} else {
		expect(!strcmp(vm_wait(&there), "reached"));
	}
	expect_equal(there.guest.held, request.size);
	expect_equal(run(NULL, "grep -q 'left_out\": *[1-9]' /output/move.json"), 0);
	require_equal(vm_ask(&there, "check"), 0);
	expect(!strcmp(there.answer, "whole"));
	request = (struct guest_request){};
	expect(!strcmp(vm_balloon(&there, &request), "reached"));
	vm_mem(&there, &total, &available);
	expect_equal(total, before);
	require_equal(vm_ask(&there, "check"), 0);
	expect(!strcmp(there.answer, "whole"));
	require_equal(vm_ask(&there, "kills"), 0);
	expect(!strcmp(there.answer, "0"));
	figure("{\"kind\": \"migration\", \"options\": \"%s\", \"in_balloon_mib\": 72, \"pattern\": \"whole\"}",
	       options);
	vm_end(&there);
}

void migrates(void)
{
	move_while_growing("");
}

void migrates_first(void)
{
	move_while_growing("--postcopy");
}
