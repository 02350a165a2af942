// SPDX-License-Identifier: GPL-2.0-only
#include <kunit/test.h>

#include "goal.h"

#define LOTS	1000000ull

static struct goal_state state;

static void begin(struct goal goal)
{
	goal_begin(&state, &goal, 1000);
}

static void expect_step(struct kunit *test, struct goal_step step, enum goal_action action,
			unsigned long pages)
{
	KUNIT_EXPECT_EQ(test, step.action, action);
	KUNIT_EXPECT_EQ(test, step.pages, pages);
}

static void batches(struct kunit *test)
{
	u64 held = 0;

	begin((struct goal){ .target = 2 * GOAL_BATCH + 7 });
	expect_step(test, goal_next(&state, 1000, held, LOTS), GOAL_INFLATE, GOAL_BATCH);
	held += GOAL_BATCH;
	expect_step(test, goal_next(&state, 1000, held, LOTS), GOAL_INFLATE, GOAL_BATCH);
	held += GOAL_BATCH;
	expect_step(test, goal_next(&state, 1000, held, LOTS), GOAL_INFLATE, 7);
	held += 7;
	expect_step(test, goal_next(&state, 1000, held, LOTS), GOAL_END, 0);
	KUNIT_EXPECT_EQ(test, state.reason, (u32)GONDOLA_BALLOON_REACHED);
	/* Over is over, whatever happens to the balloon. */
	expect_step(test, goal_next(&state, 1000, held - 1, LOTS), GOAL_IDLE, 0);
	expect_step(test, goal_next(&state, 1000, held + 1, LOTS), GOAL_IDLE, 0);
}

static void deflates(struct kunit *test)
{
	/* Neither a rate nor a floor nor a deadline holds up what the guest gets back. */
	begin((struct goal){ .target = 5, .rate = 1, .deadline = 1, .floor = LOTS });
	expect_step(test, goal_next(&state, 9000, 5 + GOAL_BATCH + 1, 0), GOAL_DEFLATE, GOAL_BATCH);
	expect_step(test, goal_next(&state, 9000, 6, 0), GOAL_DEFLATE, 1);
	expect_step(test, goal_next(&state, 9000, 5, 0), GOAL_END, 0);
	KUNIT_EXPECT_EQ(test, state.reason, (u32)GONDOLA_BALLOON_REACHED);
}

/* However often it is asked, a second brings no more than the rate and a slice of it. */
static void keeps_rate(struct kunit *test)
{
	u64 held = 0, now;

	begin((struct goal){ .target = LOTS, .rate = 1000 });
	for (now = 1000; now < 4000; now += 7) {
		struct goal_step step = goal_next(&state, now, held, LOTS);

		if (step.action == GOAL_WAIT) {
			KUNIT_EXPECT_LE(test, step.wait, GOAL_SLICE_MS);
			KUNIT_EXPECT_FALSE(test, step.paused);
			continue;
		}
		KUNIT_ASSERT_EQ(test, step.action, GOAL_INFLATE);
		goal_inflated(&state, now, step.pages);
		held += step.pages;
		KUNIT_ASSERT_LE(test, held, now - 1000 + GOAL_SLICE_MS);
	}
	KUNIT_EXPECT_GE(test, held, 2900ull);
}

static void meets_deadline(struct kunit *test)
{
	begin((struct goal){ .target = 100, .deadline = 50 });
	expect_step(test, goal_next(&state, 1049, 0, LOTS), GOAL_INFLATE, 100);
	expect_step(test, goal_next(&state, 1050, 99, LOTS), GOAL_END, 0);
	KUNIT_EXPECT_EQ(test, state.reason, (u32)GONDOLA_BALLOON_DEADLINE);

	/* Reached in time counts, also if it is seen late. */
	begin((struct goal){ .target = 100, .deadline = 50 });
	goal_next(&state, 2000, 100, LOTS);
	KUNIT_EXPECT_EQ(test, state.reason, (u32)GONDOLA_BALLOON_REACHED);

	/* A pause ends with it. */
	begin((struct goal){ .target = 100, .deadline = 50, .floor = 10 });
	goal_next(&state, 1000, 0, 10);
	KUNIT_EXPECT_EQ(test, goal_next(&state, 1010, 0, 10).wait, 40u);
}

/* Never below the floor; at it, longer and longer pauses, then the end. */
static void keeps_floor(struct kunit *test)
{
	u64 now = 1000, last = 0;
	int pauses = 0;

	begin((struct goal){ .target = 1000, .floor = 300 });
	expect_step(test, goal_next(&state, now, 0, 700), GOAL_INFLATE, 400);
	goal_inflated(&state, now, 400);
	for (;;) {
		struct goal_step step = goal_next(&state, now, 400, 300);

		if (step.action == GOAL_END)
			break;
		KUNIT_ASSERT_EQ(test, step.action, GOAL_WAIT);
		KUNIT_EXPECT_TRUE(test, step.paused);
		KUNIT_EXPECT_GT(test, step.wait, last);
		/* Looked at in between, it goes on waiting and counts nothing. */
		KUNIT_EXPECT_FALSE(test, goal_next(&state, now + 1, 400, LOTS).paused);
		last = step.wait;
		now += step.wait;
		KUNIT_ASSERT_LT(test, pauses++, 20);
	}
	KUNIT_EXPECT_EQ(test, state.reason, (u32)GONDOLA_BALLOON_FLOOR);
	KUNIT_EXPECT_EQ(test, pauses, GOAL_PAUSES);
	KUNIT_EXPECT_EQ(test, state.backoffs, (u32)GOAL_PAUSES);
}

/* Memory that comes back in time is used, and real progress forgets the pauses before. */
static void resumes(struct kunit *test)
{
	u64 now = 1000;

	begin((struct goal){ .target = LOTS, .floor = 300 });
	for (int i = 0; i < 3 * GOAL_PAUSES; i++) {
		struct goal_step step = goal_next(&state, now, 0, 0);

		KUNIT_ASSERT_EQ(test, step.action, GOAL_WAIT);
		now += step.wait;
		expect_step(test, goal_next(&state, now, 0, 300 + GOAL_PROGRESS), GOAL_INFLATE,
			    GOAL_PROGRESS);
		goal_inflated(&state, now, GOAL_PROGRESS);
	}
	KUNIT_EXPECT_EQ(test, state.reason, (u32)GONDOLA_BALLOON_RUNNING);
}

static void out_of_memory(struct kunit *test)
{
	u64 now = 1000;
	int i;

	begin((struct goal){ .target = 1000 });
	for (i = 0; i < 20 && state.reason == GONDOLA_BALLOON_RUNNING; i++) {
		struct goal_step step = goal_next(&state, now, 0, LOTS);

		if (step.action == GOAL_INFLATE)
			goal_inflated(&state, now, 0);
		else
			now += step.wait;
	}
	KUNIT_EXPECT_EQ(test, state.reason, (u32)GONDOLA_BALLOON_NO_MEMORY);
}

/* A plain target stays wanted: the pauses have a bound, there is no end. */
static void lasts(struct kunit *test)
{
	u64 now = 1000;

	begin((struct goal){ .target = 1000, .floor = 300, .lasting = true });
	for (int i = 0; i < 50; i++) {
		struct goal_step step = goal_next(&state, now, 0, 0);

		KUNIT_ASSERT_EQ(test, step.action, GOAL_WAIT);
		KUNIT_ASSERT_LE(test, step.wait, GOAL_LONG_MS);
		now += step.wait;
	}
	expect_step(test, goal_next(&state, now, 0, LOTS), GOAL_INFLATE, 1000);
}

/* A goal does not take again the pages that a shortage of memory made it give back. */
static void pressure(struct kunit *test)
{
	begin((struct goal){ .target = 1000, .floor = 300 });
	goal_pressure(&state);
	KUNIT_EXPECT_EQ(test, state.reason, (u32)GONDOLA_BALLOON_FLOOR);
	expect_step(test, goal_next(&state, 1000, 0, LOTS), GOAL_IDLE, 0);
	/* One that had ended keeps its reason. */
	begin((struct goal){ .target = 1000 });
	goal_next(&state, 1000, 1000, LOTS);
	goal_pressure(&state);
	KUNIT_EXPECT_EQ(test, state.reason, (u32)GONDOLA_BALLOON_REACHED);
}

/* After a sleep the balloon is empty: what it held comes back, late or not; a deadline goes on. */
static void sleeps(struct kunit *test)
{
	begin((struct goal){ .id = 7, .target = 100, .deadline = 50, .floor = 300 });
	goal_next(&state, 1000, 100, LOTS);
	KUNIT_EXPECT_EQ(test, state.reason, (u32)GONDOLA_BALLOON_REACHED);
	goal_resume(&state, 5000);
	KUNIT_EXPECT_EQ(test, state.goal.id, 7u);
	expect_step(test, goal_next(&state, 5000, 0, 340), GOAL_INFLATE, 40);
	expect_step(test, goal_next(&state, 9000, 100, 300), GOAL_END, 0);

	begin((struct goal){ .target = 100, .deadline = 50 });
	goal_resume(&state, 1040);
	expect_step(test, goal_next(&state, 1049, 0, LOTS), GOAL_INFLATE, 100);
	expect_step(test, goal_next(&state, 1050, 0, LOTS), GOAL_END, 0);
	KUNIT_EXPECT_EQ(test, state.reason, (u32)GONDOLA_BALLOON_DEADLINE);
}

/* The guest's own limit holds whatever the device says, also of a goal that it changes under way. */
static void keeps_limit(struct kunit *test)
{
	state.most = 100;
	begin((struct goal){ .target = LOTS });
	expect_step(test, goal_next(&state, 1000, 0, LOTS), GOAL_INFLATE, 100);
	expect_step(test, goal_next(&state, 1000, 99, LOTS), GOAL_INFLATE, 1);
	expect_step(test, goal_next(&state, 1000, 100, LOTS), GOAL_END, 0);
	KUNIT_EXPECT_EQ(test, state.reason, (u32)GONDOLA_BALLOON_REFUSED);

	begin((struct goal){ .target = 50 });
	state.goal.target = 200;
	expect_step(test, goal_next(&state, 1000, 50, LOTS), GOAL_INFLATE, 50);
	expect_step(test, goal_next(&state, 1000, 100, LOTS), GOAL_END, 0);

	/* A plain target neither ends nor is followed beyond it; what there is may become less. */
	begin((struct goal){ .target = LOTS, .lasting = true });
	expect_step(test, goal_next(&state, 1000, 0, LOTS), GOAL_INFLATE, 100);
	expect_step(test, goal_next(&state, 1000, 100, LOTS), GOAL_IDLE, 0);
	KUNIT_EXPECT_EQ(test, state.reason, (u32)GONDOLA_BALLOON_RUNNING);
	state.goal.target = 60;
	expect_step(test, goal_next(&state, 1000, 100, LOTS), GOAL_DEFLATE, 40);
	state.most = 0;
}

static void joins_runs(struct kunit *test)
{
	struct runs *runs = kunit_kzalloc(test, sizeof(*runs), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, runs);
	KUNIT_EXPECT_TRUE(test, runs_add(runs, 100, 4));
	KUNIT_EXPECT_TRUE(test, runs_add(runs, 104, 1));	/* behind */
	KUNIT_EXPECT_TRUE(test, runs_add(runs, 98, 2));		/* before */
	KUNIT_EXPECT_EQ(test, runs->count, 1u);
	KUNIT_EXPECT_EQ(test, runs->run[0].pfn, 98ull);
	KUNIT_EXPECT_EQ(test, runs->run[0].pages, 7u);
	KUNIT_EXPECT_TRUE(test, runs_add(runs, 106, 1));	/* with a gap */
	KUNIT_EXPECT_EQ(test, runs->count, 2u);
	/* A length has 32 bits, in bytes. */
	KUNIT_EXPECT_TRUE(test, runs_add(runs, 107, 1u << 19));
	KUNIT_EXPECT_EQ(test, runs->count, 3u);
	KUNIT_EXPECT_TRUE(test, runs_add(runs, 107 + (1u << 19), 1));
	KUNIT_EXPECT_EQ(test, runs->count, 4u);
	for (u64 pfn = 5000000; runs->count < RUNS_MAX; pfn += 2)
		KUNIT_ASSERT_TRUE(test, runs_add(runs, pfn, 1));
	KUNIT_EXPECT_FALSE(test, runs_add(runs, 9, 1));
	KUNIT_EXPECT_EQ(test, runs->count, (unsigned int)RUNS_MAX);
}

static struct kunit_case cases[] = {
	KUNIT_CASE(batches),
	KUNIT_CASE(deflates),
	KUNIT_CASE(keeps_rate),
	KUNIT_CASE(meets_deadline),
	KUNIT_CASE(keeps_floor),
	KUNIT_CASE(resumes),
	KUNIT_CASE(out_of_memory),
	KUNIT_CASE(lasts),
	KUNIT_CASE(pressure),
	KUNIT_CASE(sleeps),
	KUNIT_CASE(keeps_limit),
	KUNIT_CASE(joins_runs),
	{}
};

static struct kunit_suite suite = {
	.name = "gondola_balloon_goal",
	.test_cases = cases,
};
kunit_test_suite(suite);
