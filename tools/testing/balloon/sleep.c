// SPDX-License-Identifier: GPL-2.0-only
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "sleep.h"
#include "steps.h"

#define PATIENCE	1200	/* looks, ten a second */

static void wait_held(struct vm *vm, uint64_t bytes)
{
	for (int i = 0; i < PATIENCE; i++) {
		require(!guest_status(&vm->guest));
		if (vm->guest.held == bytes)
			return;
		usleep(100000);
	}
	tap_check(false, false, "%s: %llu MiB in the balloon, not %llu", vm->name,
		  (unsigned long long)vm->guest.held >> 20, (unsigned long long)bytes >> 20);
}

/* With its driver goes the goal, a moment later. */
static void wait_driver(struct vm *vm, bool some)
{
	for (int i = 0; i < PATIENCE; i++) {
		require(!guest_status(&vm->guest));
		if (some == !!strcmp(vm->guest.driver, "none") &&
		    (some || guest_ended(&vm->guest, vm->guest.goal)))
			return;
		usleep(100000);
	}
	tap_check(false, false, "%s: its driver is %s, its goal %s", vm->name, vm->guest.driver,
		  vm->guest.reason);
}

/* It sleeps until its console is written to. */
static void fall_asleep(struct vm *vm)
{
	require_equal(vm_ask(vm, "doze freeze"), 0);
	wait_driver(vm, false);
	require(!guest_status(&vm->guest));
	expect_equal(vm->guest.held, 0);
}

/* A byte that comes while it still falls asleep wakes nobody: there is another each second. */
static pid_t keep_waking(const struct vm *vm)
{
	pid_t child = fork();

	require(child >= 0);
	if (child)
		return child;
	for (int i = 0; i < PATIENCE / 10; i++) {
		sleep(1);
		if (write(vm->to, "\n", 1) != 1)
			break;
	}
	_exit(0);
}

static void wake_up(struct vm *vm, unsigned int times)
{
	pid_t waker = keep_waking(vm);

	require_equal(vm_ask(vm, "wake"), 0);
	kill(waker, SIGKILL);
	require_equal(waitpid(waker, NULL, 0), waker);
	wait_driver(vm, true);
	do {
		require_equal(vm_ask(vm, "slept"), 0);
	} while (!usleep(100000) && !atoi(vm->answer));
	expect_equal(atoi(vm->answer), times);
}

static void expect_total(struct vm *vm, uint64_t kib)
{
	uint64_t total, available;

	vm_mem(vm, &total, &available);
	expect_equal(total, kib);
}

/* Asleep, the guest has all its memory, and what holds nothing afterwards is the balloon again. */
static void sleeps(unsigned int driver)
{
	struct guest_request request = { .size = MIB(64) };
	uint64_t total, available;
	struct vm vm;

	start_with(&vm, driver, NULL);
	require_equal(vm_ask(&vm, "hold 24"), 0);
	vm_mem(&vm, &total, &available);
	expect_reason(&vm, &request, "reached");

	/* To disk, which there is not: up to the image, and back.  A stock driver does not make room. */
	if (driver == OURS) {
		require_equal(vm_ask(&vm, "hibernate"), 0);
		expect(!strcmp(vm.answer, "1"));
		wait_held(&vm, request.size);
		expect_total(&vm, total - (request.size >> 10));
		expect_whole(&vm);
	}

	fall_asleep(&vm);
	expect(!strcmp(vm.guest.reason, "reached"));
	wake_up(&vm, 1);
	wait_held(&vm, request.size);
	expect_total(&vm, total - (request.size >> 10));
	expect_whole(&vm);

	/*
	 * In the middle of a goal, which is slow enough for that on a busy computer: there it ends, and
	 * nothing goes on behind the host's back.
	 */
	request.size = MIB(112);
	request.rate = MIB(1);
	require(!guest_ask(&vm.guest, &request));
	fall_asleep(&vm);
	expect(!strcmp(vm.guest.reason, "refused"));
	wake_up(&vm, 2);
	sleep(1);
	wait_held(&vm, 0);
	request = (struct guest_request){ .size = MIB(16) };
	expect_reason(&vm, &request, "reached");
	empty(&vm);
	expect_total(&vm, total);
	expect_whole(&vm);
	figure("{\"kind\": \"sleep\", \"driver\": \"%s\", \"device\": \"gondola\", \"in_balloon_mib\": 64, \"to\": [%s\"idle\"], \"pattern\": \"whole\"}",
	       driver_names[driver], driver == OURS ? "\"disk\", " : "");
	vm_end(&vm);
}

void our_driver_sleeps(void)
{
	sleeps(OURS);
}

void stock_driver_sleeps(void)
{
	sleeps(STOCK);
}

/* Unbound while it inflates, it gives all back and the goal ends; another one begins with nothing. */
void unbinds(void)
{
	struct guest_request request = { .size = MIB(112), .rate = MIB(2) };
	uint64_t total, available;
	struct vm vm;

	start_with(&vm, OURS, NULL);
	require_equal(vm_ask(&vm, "hold 24"), 0);
	vm_mem(&vm, &total, &available);
	require(!guest_ask(&vm.guest, &request));
	while (vm.guest.held < MIB(8) && guest_ended(&vm.guest, 0))
		require(!guest_status(&vm.guest));
	expect(!strcmp(vm.guest.reason, "running"));
	require_equal(vm_ask(&vm, "unbind gondola_balloon"), 0);
	wait_driver(&vm, false);
	require(!guest_status(&vm.guest));
	expect(!strcmp(vm.guest.reason, "refused"));
	expect_equal(vm.guest.held, 0);
	expect_total(&vm, total);
	require_equal(vm_ask(&vm, "bind gondola_balloon"), 0);
	wait_driver(&vm, true);
	sleep(1);
	require(!guest_status(&vm.guest));
	expect_equal(vm.guest.held, 0);
	request = (struct guest_request){ .size = MIB(32) };
	expect_reason(&vm, &request, "reached");
	require_equal(vm_ask(&vm, "unbind gondola_balloon"), 0);
	expect_total(&vm, total);
	expect_whole(&vm);
	figure("{\"kind\": \"unbind\", \"driver\": \"gondola_balloon\", \"device\": \"gondola\", \"while\": \"inflating\", \"left_mib\": 0, \"reason\": \"refused\", \"pattern\": \"whole\"}");
	vm_end(&vm);
}
