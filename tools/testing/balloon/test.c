// SPDX-License-Identifier: GPL-2.0-only
/*
 * Runs in the test machine: balloons of guests there.  What it measured goes to
 * /output/balloon.json, a line for each run, which "run" puts together.
 *
 * usage: balloon-test [short|long|vmx|speed|policy|migration|one N]
 */
#include <stdarg.h>
#include <stdlib.h>
#include <unistd.h>

#include "policy.h"
#include "sleep.h"
#include "steps.h"

static FILE *figures;
static unsigned int rounds = 30;

void figure(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vfprintf(figures, format, args);
	va_end(args);
	fputc('\n', figures);
	fflush(figures);
}

/* Half of the guest's memory to the host and back, with a pattern that must stay. */
static void pairing(unsigned int driver)
{
	struct guest_request request = { .size = MIB(GUEST_MIB / 2) };
	uint64_t total, available, total_now, available_now, before, fall;
	struct vm vm;

	start_with(&vm, driver, NULL);
	require_equal(vm_ask(&vm, "hold 24"), 0);
	vm_mem(&vm, &total, &available);
	before = touch_all(&vm);
	expect(!strcmp(vm_balloon(&vm, &request), "reached"));
	/* While the guest's kernel moves a page, the stock driver holds it at both places. */
	for (int i = 0; i < 100 && vm.guest.held != request.size; i++) {
		usleep(20000);
		require(!guest_status(&vm.guest));
	}
	expect_equal(vm.guest.held, request.size);
	fall = before - vm_rss(&vm);
	expect(fall >= request.size / 100 * 95);
	vm_mem(&vm, &total_now, &available_now);
	/* Without DEFLATE_ON_OOM the memory is not the guest's any more. */
	expect_equal(total - total_now, request.size / 1024);
	expect(available - available_now > request.size / 1024 * 9 / 10);
	expect_whole(&vm);
	require(!guest_stats(&vm.guest));
	expect(vm.guest.has_stats);
	expect_equal(vm.guest.total >> 10, total_now);
	figure("{\"kind\": \"pairing\", \"driver\": \"%s\", \"device\": \"gondola\", \"asked_mib\": %llu, \"got_mib\": %llu, \"rss_fall_mib\": %llu, \"reason\": \"%s\"}",
	       driver_names[driver], (unsigned long long)request.size >> 20,
	       (unsigned long long)vm.guest.held >> 20, (unsigned long long)fall >> 20,
	       vm.guest.reason);

	request.size = 0;
	expect(!strcmp(vm_balloon(&vm, &request), "reached"));
	vm_mem(&vm, &total_now, &available_now);
	expect_equal(total_now, total);
	expect(available_now > available - 8192);
	expect_whole(&vm);
	vm_end(&vm);
}

static void our_driver(void)
{
	pairing(0);
}

static void stock_driver(void)
{
	pairing(1);
}

/* ---- how a goal ends ---------------------------------------------------------------- */

/* The command's exit status and last line say how it ended. */
static void command(void)
{
	static const struct {
		const char *arguments;
		int status;
		const char *words;
	} cases[] = {
		{ "32M --rate 64M --wait", 0, "32 MiB of 192 in the balloon: reached" },
		{ "+8M --wait", 0, "40 MiB" },
		{ "-16M --wait", 0, "24 MiB" },
		{ "128M --rate 8M --deadline 1 --wait", 32, "deadline" },
		{ "190M --floor 64M --wait", 30, "floor" },
		{ "200M --wait", 2, "" },
		{ "--cancel", 0, "floor" },
		{ "--stats", 0, "available-memory" },
		{ "--json", 0, "\"memory\":201326592,\"held\":" },
		{ "--stats --json", 0, "\"stats\":{" },
		{ "32M --stats", 2, "" },
		{ "--wait", 2, "belong to a SIZE" },
		{ "0 --wait --json", 0, "\"held\":0,\"target\":0,\"goal\":6,\"reason\":\"reached\"" },
	};
	char output[1024];
	struct vm vm;

	start_with(&vm, 0, NULL);
	for (unsigned int i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		int status = run(output, "gondola balloon %s %s 2>&1", vm.name, cases[i].arguments);

		/* A line that is written again and again is for terminals. */
		tap_check(status == cases[i].status && strstr(output, cases[i].words) &&
			  !strchr(output, '\r'), false,
			  "balloon %s: status %d: %s", cases[i].arguments, status, output);
	}
	/* The guest's own limit. */
	require_equal(vm_ask(&vm, "set /sys/module/gondola_balloon/parameters/limit 16"), 0);
	expect_equal(run(output, "gondola balloon %s 32M --wait", vm.name), 34);
	expect(strstr(output, "the guest's own limit"));
	expect_equal(run(output, "gondola balloon %s 16M --wait", vm.name), 0);
	/* A driver that goes gives all back; then there is nobody to ask. */
	require_equal(vm_ask(&vm, "unload gondola_balloon"), 0);
	require(!guest_status(&vm.guest));
	expect_equal(vm.guest.held, 0);
	expect_equal(run(output, "gondola balloon %s 32M --wait", vm.name), 34);
	expect(strstr(output, "no balloon driver"));
	vm_end(&vm);

	run(NULL, "gondola run --name without --mem 128M --kernel /boot/vmlinuz < /dev/null > /output/without.log 2>&1 &");
	for (int i = 0; i < 3000 && (!i || !strstr(output, "started without --balloon")); i++) {
		usleep(100000);
		expect_equal(run(output, "gondola balloon without 32M 2>&1"), 14);
	}
	tap_check(strstr(output, "started without --balloon"), false, "no balloon: %s", output);
	expect_equal(run(NULL, "gondola kill without"), 0);
}

/* A standard driver is led from outside; then ours takes the device over. */
static void led_driver(void)
{
	struct guest_request request = { .size = MIB(64), .rate = MIB(8), .deadline_ms = 4000 };
	uint64_t total, available;
	struct vm vm;

	start_with(&vm, 1, NULL);
	expect_reason(&vm, &request, "deadline");
	expect(vm.guest.held >= MIB(4) && vm.guest.held <= MIB(40));
	request = (struct guest_request){ .size = MIB(190), .floor = MIB(64) };
	expect_reason(&vm, &request, "floor");
	vm_mem(&vm, &total, &available);
	expect(available >= 60 * 1024 && available < 80 * 1024);
	empty(&vm);
	require_equal(vm_ask(&vm, "set /sys/bus/virtio/drivers_autoprobe 0"), 0);
	require_equal(vm_ask(&vm, "load gondola"), 0);
	require_equal(vm_ask(&vm, "swap virtio_balloon gondola_balloon"), 0);
	expect(!strcmp(vm.answer, "gondola_balloon"));
	request = (struct guest_request){ .size = MIB(32) };
	expect_reason(&vm, &request, "reached");
	expect(!strcmp(vm.guest.driver, "gondola"));
	/* Unbound with a full balloon, as on unplugging. */
	require_equal(vm_ask(&vm, "swap gondola_balloon virtio_balloon"), 0);
	expect(!strcmp(vm.answer, "virtio_balloon"));
	empty(&vm);
	vm_end(&vm);
}

static void eat_through(struct vm *vm, unsigned int mib)
{
	unsigned int got = 0;

	for (int i = 0; i < 6000 && got < mib; i++) {
		usleep(100000);
		require_equal(vm_ask(vm, "eaten"), 0);
		got = atoi(vm->answer);
		require_equal(vm_ask(vm, "kills"), 0);
		require(!strcmp(vm->answer, "0"));
	}
	expect(got >= mib);
}

/* The guest takes memory while the balloon goes for all of it. */
static void pressure(void)
{
	struct guest_request request = { .size = MIB(GUEST_MIB), .floor = MIB(40) };
	uint64_t most;
	struct vm vm;

	start_with(&vm, 0, NULL);
	require_equal(vm_ask(&vm, "hold 16"), 0);
	require_equal(vm_ask(&vm, "eat 72"), 0);
	expect_reason(&vm, &request, "floor");
	most = vm.guest.held;
	expect(vm.guest.backoffs > 0);
	eat_through(&vm, 72);
	expect_whole(&vm);
	require(!guest_status(&vm.guest));
	figure("{\"kind\": \"pressure\", \"asked_mib\": %u, \"floor_mib\": 40, \"most_mib\": %llu, \"end_mib\": %llu, \"kills\": 0, \"reason\": \"%s\", \"backoffs\": %u}",
	       GUEST_MIB, (unsigned long long)most >> 20, (unsigned long long)vm.guest.held >> 20,
	       vm.guest.reason, vm.guest.backoffs);
	vm_end(&vm);
}

/* Nothing is left alone, but the guest may help itself. */
static void deflate_on_oom(unsigned int driver)
{
	struct guest_request request = {};
	uint64_t total, available;
	struct vm vm;

	start_with(&vm, driver, "--balloon-oom");
	require_equal(vm_ask(&vm, "hold 16"), 0);
	vm_mem(&vm, &total, &available);
	request.size = ((available >> 10) - 24) << 20;
	expect_reason(&vm, &request, "reached");
	require_equal(vm_ask(&vm, "eat 64"), 0);
	eat_through(&vm, 64);
	require(!guest_status(&vm.guest));
	expect(vm.guest.held < request.size - MIB(16));
	expect_whole(&vm);
	figure("{\"kind\": \"deflate-on-oom\", \"driver\": \"%s\", \"taken_mib\": %llu, \"left_mib\": %llu, \"kills\": 0}",
	       driver_names[driver], (unsigned long long)request.size >> 20,
	       (unsigned long long)vm.guest.held >> 20);
	vm_end(&vm);
}

static void our_oom(void)
{
	deflate_on_oom(0);
}

static void stock_oom(void)
{
	deflate_on_oom(1);
}

/* ---- random requests ------------------------------------------------------------------ */

static uint32_t seed = 20221;

static uint32_t below(uint32_t n)
{
	seed = seed * 1664525 + 1013904223;
	return (seed >> 8) % n;
}

static void random_requests(void)
{
	unsigned int reasons[4] = {}, cancels = 0, replaced = 0;
	struct vm vm;

	start_with(&vm, 0, NULL);
	require_equal(vm_ask(&vm, "hold 24"), 0);
	for (unsigned int i = 0; i < rounds; i++) {
		struct guest_request request = {
			.size = MIB(below(GUEST_MIB)) + below(256) * 4096,
			.rate = below(3) ? 0 : MIB(16 + below(256)),
			.deadline_ms = below(4) ? 0 : 1 + below(300),
			.floor = MIB(24 + below(32)),
		};

		require(!guest_ask(&vm.guest, &request));
		switch (below(3)) {
		case 0:
			vm_wait(&vm);
			reasons[0] += !strcmp(vm.guest.reason, "reached");
			reasons[1] += !strcmp(vm.guest.reason, "floor");
			reasons[2] += !strcmp(vm.guest.reason, "deadline");
			reasons[3] += !strcmp(vm.guest.reason, "out-of-memory");
			break;
		case 1:
			usleep(below(100000));
			require(!guest_cancel(&vm.guest));
			cancels++;
			break;
		default:
			/* The next one comes in the middle of it, or later. */
			usleep(below(50000));
			replaced++;
		}
		if (i % 10 == 9)
			expect_whole(&vm);
	}
	empty(&vm);
	expect_whole(&vm);
	require_equal(vm_ask(&vm, "kills"), 0);
	expect(!strcmp(vm.answer, "0"));
	expect(reasons[0] && reasons[1]);
	figure("{\"kind\": \"random\", \"requests\": %u, \"seed\": 20221, \"reached\": %u, \"floor\": %u, \"deadline\": %u, \"out_of_memory\": %u, \"cancelled\": %u, \"not_waited_for\": %u, \"pattern\": \"whole\"}",
	       rounds, reasons[0], reasons[1], reasons[2], reasons[3], cancels, replaced);
	vm_end(&vm);
}

/* ---- free pages, compaction ------------------------------------------------------------- */

static void free_pages(void)
{
	uint64_t before;
	struct vm vm;

	start_with(&vm, 0, NULL);
	before = touch_all(&vm);
	for (int i = 0; i < 3000 && before - vm_rss(&vm) < MIB(48); i++)
		usleep(100000);
	expect(before - vm_rss(&vm) >= MIB(48));
	require(!guest_status(&vm.guest));
	expect_equal(vm.guest.held, 0);
	expect(vm.guest.reported >= MIB(48));
	figure("{\"kind\": \"reporting\", \"driver\": \"gondola_balloon\", \"device\": \"gondola\", \"reported_mib\": %llu, \"rss_fall_mib\": %llu}",
	       (unsigned long long)vm.guest.reported >> 20,
	       (unsigned long long)(before - vm_rss(&vm)) >> 20);
	vm_end(&vm);
}

/* Compaction moves pages towards one end: free ones must be there, and the balloon at the other. */
static int compact_with(struct vm *vm, bool holes_first)
{
	const struct guest_request request = { .size = MIB(64) };
	int moved = 0;

	if (holes_first)
		require_equal(vm_ask(vm, "holes 56"), 0);
	expect_reason(vm, &request, "reached");
	if (!holes_first)
		require_equal(vm_ask(vm, "holes 56"), 0);
	for (int i = 0; i < 5 && !moved; i++) {
		require_equal(vm_ask(vm, "compact"), 0);
		moved = atoi(vm->answer);
	}
	require(!guest_status(&vm->guest));
	expect_equal(vm->guest.held, request.size);
	return moved;
}

static void compaction(void)
{
	struct vm vm;
	int moved;

	start_with(&vm, 0, NULL);
	require_equal(vm_ask(&vm, "hold 16"), 0);
	moved = compact_with(&vm, true);
	if (!moved) {
		empty(&vm);
		require_equal(vm_ask(&vm, "fill"), 0);
		moved = compact_with(&vm, false);
	}
	if (!moved)
		vm_ask(&vm, "show");
	expect(moved > 0);
	expect_whole(&vm);
	figure("{\"kind\": \"compaction\", \"moved_pages\": %d}", moved);
	empty(&vm);
	vm_end(&vm);
}

/* ---- speed: where a nanosecond of processor time is an instruction ------------------------- */

static void speed(void)
{
	const struct guest_request all = { .size = MIB(64) }, none = {};
	uint64_t ticks[2], back[2], pages = all.size / 4096;

	for (unsigned int driver = 0; driver < 2; driver++) {
		uint64_t start;
		struct vm vm;

		start_with(&vm, driver, NULL);
		touch_all(&vm);
		start = vm_cpu_ns(&vm);
		expect_reason(&vm, &all, "reached");
		ticks[driver] = (vm_cpu_ns(&vm) - start) / pages;
		start = vm_cpu_ns(&vm);
		expect_reason(&vm, &none, "reached");
		back[driver] = (vm_cpu_ns(&vm) - start) / pages;
		printf("# %s: %llu instructions a page to give, %llu to take back\n",
		       driver_names[driver], (unsigned long long)ticks[driver],
		       (unsigned long long)back[driver]);
		figure("{\"kind\": \"speed\", \"driver\": \"%s\", \"device\": \"gondola\", \"mib\": 64, \"instructions_a_page\": %llu, \"back\": %llu}",
		       driver_names[driver], (unsigned long long)ticks[driver],
		       (unsigned long long)back[driver]);
		vm_end(&vm);
	}
	expect(ticks[0] * 2 <= ticks[1]);
}

/* For a machine that is slow: the least that shows that pages go and come back. */
static void few_pages(void)
{
	struct guest_request request = { .size = MIB(8) };
	uint64_t total, available, total_now, discarded;
	struct vm vm;

	start_with(&vm, OURS, NULL);
	require_equal(vm_ask(&vm, "hold 4"), 0);
	vm_mem(&vm, &total, &available);
	expect_reason(&vm, &request, "reached");
	expect_equal(vm.guest.held, request.size);
	discarded = vm.guest.discarded;
	expect(discarded >= request.size);
	vm_mem(&vm, &total_now, &available);
	expect_equal(total - total_now, request.size / 1024);
	expect_whole(&vm);
	empty(&vm);
	vm_mem(&vm, &total_now, &available);
	expect_equal(total_now, total);
	expect_whole(&vm);
	figure("{\"kind\": \"vmx\", \"driver\": \"gondola_balloon\", \"device\": \"gondola\", \"asked_mib\": 8, \"got_mib\": 8, \"discarded_mib\": %llu, \"reason\": \"reached\", \"pattern\": \"whole\"}",
	       (unsigned long long)discarded >> 20);
	vm_end(&vm);
}

static const struct tap_test vmx_tests[] = {
	{ "on VMX our driver gives a few pages and takes them back", few_pages },
};

static const struct tap_test tests[] = {
	{ "our driver on our device: half of the memory goes and comes back", our_driver },
	{ "the stock driver on our device: likewise", stock_driver },
	{ "gondola balloon says how it ended", command },
	{ "under pressure it ends at the floor, and nothing is killed", pressure },
	{ "out of memory the guest helps itself, and nothing is killed", our_oom },
	{ "random requests", random_requests },
	{ "unbound while it inflates, it gives all back", unbinds },
	{ "asleep, the guest has its balloon's memory; awake, the balloon is back", our_driver_sleeps },
	{ "a stock driver is led; drivers take turns", led_driver },
	{ "free pages are reported and go back", free_pages },
	{ "compaction moves the balloon's pages", compaction },
	{ "with the stock driver the guest helps itself, too", stock_oom },
	{ "a guest with the stock driver sleeps", stock_driver_sleeps },
};

static const struct tap_test policy_tests[] = {
	{ "a third VM starts when two have given way, a fourth is refused", policy_starts },
	{ "a balloon grows while its VM moves to another launcher", migrates },
	{ "likewise while its pages come after it", migrates_first },
};

static const struct tap_test speed_tests[] = {
	{ "inflating 64 MiB takes half of the stock driver's instructions at most", speed },
};

#define SHORT	8	/* of tests[] */

static int run_tests(const struct tap_test *which, unsigned int count)
{
	int status = tap_run(which, count);

	vm_kill_all();
	return status;
}

int main(int argc, char **argv)
{
	const char *mode = argc > 1 ? argv[1] : "short";

	if (system("mkdir -p /output"))
		return 1;
	figures = fopen("/output/figures", "w");
	if (!figures)
		return 1;
	if (!strcmp(mode, "speed"))
		return run_tests(speed_tests, 1);
	if (!strcmp(mode, "policy"))
		return run_tests(policy_tests, sizeof(policy_tests) / sizeof(policy_tests[0]));
	if (!strcmp(mode, "vmx"))
		return run_tests(vmx_tests, 1);
	if (!strcmp(mode, "migration"))
		return run_tests(policy_tests + 1, 2);
	if (!strcmp(mode, "one"))
		return run_tests(&tests[atoi(argv[2])], 1);
	if (!strcmp(mode, "short"))
		return run_tests(tests, SHORT);
	rounds = 200;
	return run_tests(tests, sizeof(tests) / sizeof(tests[0]));
}
