// SPDX-License-Identifier: GPL-2.0-only
/*
 * Tests of the decisions about memory: who gives, who gets, and when nobody does; and of shares of
 * the host.
 */
#include "policy/decide.h"
#include "cgroup_test.h"
#include "tap.h"

#define MIB(n)	((uint64_t)(n) << 20)

static struct decide_move moves[2 * DECIDE_MAX_GUESTS];

static struct decide_guest guest(unsigned int held, unsigned int available, unsigned int floor)
{
	return (struct decide_guest){
		.memory = MIB(1024), .held = MIB(held), .available = MIB(available),
		.floor = MIB(floor), .usable = true,
	};
}

static uint64_t taken(const struct decide_guest *guests, unsigned int count)
{
	uint64_t sum = 0;

	for (unsigned int i = 0; i < count; i++)
		sum += moves[i].held - guests[moves[i].guest].held;
	return sum;
}

static void proportion(void)
{
	const struct decide_guest guests[] = {
		guest(0, 400, 100), guest(50, 200, 100), guest(0, 100, 100),
	};
	uint64_t missing;

	/* 300 and 100 can be spared: three to one. */
	require_equal(decide_take(guests, 3, MIB(200), moves, &missing), 2);
	expect_equal(missing, 0);
	expect_equal(moves[0].guest, 0);
	expect_equal(moves[0].held, MIB(150));
	expect_equal(moves[1].guest, 1);
	expect_equal(moves[1].held, MIB(100));
	expect_equal(moves[0].why, DECIDE_START);

	/* All of it, and not a byte more. */
	require_equal(decide_take(guests, 3, MIB(400), moves, &missing), 2);
	expect_equal(moves[0].held, MIB(300));
	expect_equal(moves[1].held, MIB(150));
	expect_equal(decide_take(guests, 3, MIB(400) + 1, moves, &missing), 0);
	expect_equal(missing, MIB(1));
	expect_equal(decide_take(guests, 3, MIB(1000), moves, &missing), 0);
	expect_equal(missing, MIB(600));
	expect_equal(decide_take(guests, 0, MIB(1), moves, &missing), 0);
	expect_equal(missing, MIB(1));
}

static void left_alone(void)
{
	struct decide_guest guests[] = { guest(0, 400, 100), guest(0, 400, 100) };
	uint64_t missing;

	guests[0].usable = false;
	require_equal(decide_take(guests, 2, MIB(100), moves, &missing), 1);
	expect_equal(moves[0].guest, 1);
	expect_equal(decide_spare(&guests[0]), 0);
}

static uint32_t seed = 1;

static uint32_t below(uint32_t n)
{
	seed = seed * 1664525 + 1013904223;
	return (seed >> 8) % n;
}

/* For any figures: exactly what is needed, and no guest below its floor. */
static void random_takes(void)
{
	for (int round = 0; round < 100000; round++) {
		struct decide_guest guests[DECIDE_MAX_GUESTS];
		unsigned int count = 1 + below(DECIDE_MAX_GUESTS), made;
		uint64_t need = MIB(below(4096)) + below(4096), missing, spare = 0;

		for (unsigned int i = 0; i < count; i++) {
			guests[i] = guest(below(512), below(1024), below(300));
			guests[i].available += below(1 << 20);
			guests[i].usable = below(4);
			spare += decide_spare(&guests[i]);
		}
		made = decide_take(guests, count, need, moves, &missing);
		require(missing ? !made && spare < need : spare >= need);
		if (missing)
			continue;
		require(taken(guests, made) >= need && taken(guests, made) < need + MIB(1));
		for (unsigned int i = 0; i < made; i++) {
			const struct decide_guest *from = &guests[moves[i].guest];

			require(from->usable);
			require(moves[i].held > from->held);
			require(from->available - (moves[i].held - from->held) >= from->floor);
			require(!i || moves[i].guest > moves[i - 1].guest);
		}
	}
}

static void host_short(void)
{
	struct decide_host host = { .available = MIB(60), .low = MIB(100), .high = MIB(150) };
	struct decide_guest guests[] = { guest(0, 600, 100), guest(0, 155, 100) };

	/* To the high mark; the second one has too little above one and a half of its floor. */
	require_equal(decide_balance(&host, guests, 2, moves), 1);
	expect_equal(moves[0].guest, 0);
	expect_equal(moves[0].held, MIB(90));
	expect_equal(moves[0].why, DECIDE_HOST_SHORT);
	/* One that has just moved rests. */
	guests[0].rest = 1;
	expect_equal(decide_balance(&host, guests, 2, moves), 0);
	guests[0].rest = 0;
	/* Between the marks nothing is moved, unless things wait for memory. */
	host.available = MIB(100);
	expect_equal(decide_balance(&host, guests, 2, moves), 0);
	host.pressure = DECIDE_PRESSURE - 1;
	expect_equal(decide_balance(&host, guests, 2, moves), 0);
	host.pressure = DECIDE_PRESSURE;
	require_equal(decide_balance(&host, guests, 2, moves), 1);
	expect_equal(moves[0].why, DECIDE_HOST_PRESSURE);
	expect_equal(moves[0].held, MIB(50));
	/* A host with enough to give waits for something else. */
	host.available = MIB(150);
	expect_equal(decide_balance(&host, guests, 2, moves), 0);
}

static void guest_short(void)
{
	struct decide_host host = { .available = MIB(200), .low = MIB(100), .high = MIB(150) };
	struct decide_guest guests[] = { guest(300, 80, 100), guest(0, 400, 100) };

	/* A guest gets back one and a half of its floor, even while it rests. */
	guests[0].rest = 2;
	require_equal(decide_balance(&host, guests, 2, moves), 1);
	expect_equal(moves[0].guest, 0);
	expect_equal(moves[0].held, MIB(230));
	expect_equal(moves[0].why, DECIDE_GUEST_SHORT);
	/* The other guest must give what the host lacks. */
	host.available = MIB(130);
	require_equal(decide_balance(&host, guests, 2, moves), 2);
	expect_equal(moves[0].held, MIB(270));
	expect_equal(moves[1].guest, 1);
	expect_equal(moves[1].held, MIB(40));
	expect_equal(moves[1].why, DECIDE_FOR_OTHER);
	/* One that is short but has nothing in its balloon cannot be helped so. */
	guests[0].held = 0;
	host.available = MIB(200);
	expect_equal(decide_balance(&host, guests, 2, moves), 0);
}

/* With nobody using more or less, it comes to rest: no memory goes to and fro. */
static void comes_to_rest(void)
{
	for (int round = 0; round < 2000; round++) {
		struct decide_guest guests[8];
		struct decide_host host = { .available = MIB(below(1000)) };
		unsigned int count = 1 + below(8), made = 1, last = 0;

		host.low = MIB(64 + below(100));
		host.high = host.low + host.low / 2;
		for (unsigned int i = 0; i < count; i++)
			guests[i] = guest(below(400), below(600), 16 + below(100));
		for (unsigned int step = 0; step < 100; step++) {
			made = decide_balance(&host, guests, count, moves);
			if (made)
				last = step;
			for (unsigned int i = 0; i < count; i++)
				guests[i].rest -= !!guests[i].rest;
			for (unsigned int i = 0; i < made; i++) {
				struct decide_guest *moved = &guests[moves[i].guest];

				require(moves[i].held <= moved->memory);
				moved->available += moved->held - moves[i].held;
				host.available += moves[i].held - moved->held;
				moved->held = moves[i].held;
				moved->rest = DECIDE_REST;
			}
		}
		require(last < 50);
	}
}

static const struct tap_test tests[] = {
	{ "a start takes from each in proportion to what it can spare", proportion },
	{ "guests without statistics are left alone", left_alone },
	{ "100,000 random starts get what they need, nobody goes below a floor", random_takes },
	{ "a host that is short takes, between its marks it does not", host_short },
	{ "a guest at its floor gets back", guest_short },
	{ "it comes to rest", comes_to_rest },
	{ "a list of processors is one, or is refused", cgroup_lists },
	{ "no more is promised than the host has", cgroup_limits_of_host },
	{ "a control group is found: version 2, beside version 1, in a container", cgroup_found },
	{ "where there is none, the reason is said", cgroup_not_found },
	{ "a running VM's share is changed", cgroup_changes },
	{ "all at once, or not at all", cgroup_undone },
	{ "and shown", cgroup_shown },
	{ "what a hierarchy refuses is said", cgroup_refusals },
	{ "processors that are not there change nothing", cgroup_odd_processors },
	{ "a group that is in the way is named, with the reason", cgroup_in_the_way },
	{ "a name does not lead out of the group", cgroup_names },
	{ "scopes of systemd: asked, waited for, and given back", cgroup_scopes },
};

TAP_MAIN(tests)
