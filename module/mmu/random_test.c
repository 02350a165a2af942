// SPDX-License-Identifier: GPL-2.0-only
/*
 * The shadow MMU against a plain reading of the manual: random edits of guest
 * tables, by the guest and by the host, flushes, changes of control registers,
 * slots and the dirty log, and pages that the host takes.  Each access must end
 * as the reference says, with A and D set as they are due.
 *
 * A step is a function of seed, mode and its number alone, so any subset of the
 * steps of a run can be run again: what fails is shrunk to a short list.
 */
#include <linux/prandom.h>
#include <linux/vmalloc.h>
#include "random_test.h"

/*
 * make kunit STEPS=n SEED=n MODE=n KEEP=n,n,…  These are no module parameters: in 6.1
 * KUnit runs a module's suites before its parameters are read.  Seed 0: another one each time.
 */
#ifndef GONDOLA_RANDOM_STEPS
#define GONDOLA_RANDOM_STEPS	20000
#endif
#ifndef GONDOLA_RANDOM_SEED
#define GONDOLA_RANDOM_SEED	0
#endif
#ifdef GONDOLA_RANDOM_KEEP
static const u32 keep[] = { GONDOLA_RANDOM_KEEP };
#else
static const u32 keep[] = {};
#endif

/* KUnit ends a case after five minutes: a long run is made in parts, each with the next seed. */
#define PART_STEPS	1000000u
static const u8 parts[ARRAY_SIZE(keep) ? 1 : DIV_ROUND_UP(GONDOLA_RANDOM_STEPS, PART_STEPS)];
KUNIT_ARRAY_PARAM(part, parts, NULL);

/* Steps that shrinking may take in all. */
#ifndef GONDOLA_RANDOM_SHRINK
#define GONDOLA_RANDOM_SHRINK	20000000u
#endif
#define SHRINK_MAX	4096u		/* of which a shrunk list consists at first, at most */
#define AUDIT_EVERY	64u

static bool audit(struct random_state *s)
{
	const char *lie = ref_tables_lie(&s->ref);

	if (!lie && world_spares_are_written(s->w))
		lie = "a frame was written after the host had taken it";
	if (!lie && gondola_mmu_audit(&s->w->vm))
		lie = "the audit found violations";
	return !lie || random_failed(s, "%s", lie);
}

/* False: it failed, and s->why says how. */
static bool one_step(struct random_state *s, u32 number)
{
	/* Neighbouring numbers must not give related streams. */
	prandom_seed_state(&s->rnd, (s->seed * RANDOM_MODES + s->mode_number + 1) *
				    0x9e3779b97f4a7c15ull ^ (number + 1) * 0xd1342543de82ef95ull);
	s->step = number;
	if (!random_step(s) || s->lie)
		return s->lie ? random_failed(s, "%s", s->lie) : false;
	return true;
}

/*
 * Run @count steps: those in @list, or all from 0 on.  Returns how many were run before one
 * failed (that one too), 0 if none did, -ENOMEM.
 */
static int run(struct random_state *s, const u32 *list, u32 count)
{
	int result = 0;
	u32 i;

	if (random_begin(s))
		return -ENOMEM;
	for (i = 0; i < count && !result; i++) {
		if (!one_step(s, list ? list[i] : i) ||
		    ((list ? i + 1 == count : i % AUDIT_EVERY == 0) && !audit(s)))
			result = i + 1;
		if (i % 1024 == 0)
			cond_resched();
	}
	random_end(s);
	return result;
}

static bool fails(struct random_state *s, const u32 *list, u32 *count)
{
	int at;

	if (s->spent >= s->budget)
		return false;
	s->spent += *count + 100;
	at = run(s, list, *count);
	if (at <= 0)
		return false;
	*count = at;
	return true;
}

/* The last steps up to the one that failed, as few as suffice. Returns their number, 0 if none. */
static u32 last_steps(struct random_state *s, u32 failed, u32 *list)
{
	u32 n, count, i;

	for (n = 16; ; n *= 4) {
		count = min3(n, failed, SHRINK_MAX);
		for (i = 0; i < count; i++)
			list[i] = failed - count + i;
		n = count;
		if (fails(s, list, &count))
			return count;
		if (n == failed || n == SHRINK_MAX)
			return 0;
	}
}

/* Leave out pieces, big ones first, for as long as it fails. */
static u32 shrink(struct random_state *s, u32 *list, u32 count, u32 *other)
{
	u32 piece, at, left;
	bool shorter;

	for (piece = count / 2; piece; piece /= 2) {
		do {
			shorter = false;
			for (at = 0; at < count; ) {
				u32 n = min(piece, count - at);

				memcpy(other, list, at * sizeof(u32));
				memcpy(other + at, list + at + n, (count - at - n) * sizeof(u32));
				left = count - n;
				if (!fails(s, other, &left)) {
					at += n;
					continue;
				}
				memcpy(list, other, left * sizeof(u32));
				count = left;
				shorter = true;
			}
		} while (shorter && piece == 1);
	}
	return count;
}

/* Shrinks a run that failed after @failed steps; returns the length of @list, 0 if it got none. */
static u32 shrunk(struct random_state *s, u32 failed, u32 *list)
{
	u32 *other = vmalloc(SHRINK_MAX * sizeof(*other)), count = 0;

	if (!other)
		return 0;
	mmu_audit_quiet = true;
	count = last_steps(s, failed, list);
	if (count)
		count = shrink(s, list, count, other);
	mmu_audit_quiet = false;
	vfree(other);
	return count;
}

static void tell_list(struct kunit *test, struct random_state *s, const u32 *list, u32 count)
{
	char line[800] = "";
	u32 i, at = 0;

	for (i = 0; i < count && at < sizeof(line) - 16; i++)
		at += scnprintf(line + at, sizeof(line) - at, "%s%u", i ? "," : "", list[i]);
	kunit_info(test, "again: make kunit SEED=%llu MODE=%u KEEP=%s%s\n", s->seed, s->mode_number,
		   line, i < count ? " and more, see the steps above" : "");
}

static void tell_failure(struct kunit *test, struct random_state *s, u32 failed)
{
	u32 *list = vmalloc(SHRINK_MAX * sizeof(*list)), count;

	kunit_err(test, "mode %u, seed %llu: step %u: %s\n", s->mode_number, s->seed, s->step,
		  s->why);
	count = list ? shrunk(s, failed, list) : 0;
	if (count) {
		kunit_info(test, "shrunk from %u steps to %u:\n", failed, count);
		s->test = test;
		run(s, list, count);
		s->test = NULL;
		tell_list(test, s, list, count);
	}
	KUNIT_FAIL(test, "mode %u, seed %llu, %u steps (%u suffice): %s", s->mode_number, s->seed,
		   failed, count ?: failed, s->why);
	vfree(list);
}

static struct random_state *random_state(struct kunit *test, unsigned int mode)
{
	struct random_state *s = vzalloc(sizeof(*s));

	if (!s)
		return NULL;
	s->setup = &random_setups[mode];
	s->mode_number = mode;
	s->seed = GONDOLA_RANDOM_SEED ? (u64)GONDOLA_RANDOM_SEED + test->param_index :
					get_random_u32();
	s->budget = GONDOLA_RANDOM_SHRINK;
	return s;
}

static void run_mode(struct kunit *test, unsigned int mode)
{
	u32 first = test->param_index * PART_STEPS;
	u32 steps = ARRAY_SIZE(keep) ?: min(GONDOLA_RANDOM_STEPS - first, PART_STEPS);
	struct random_state *s;
	int failed;

#ifdef GONDOLA_RANDOM_MODE
	if (mode != GONDOLA_RANDOM_MODE)
		kunit_skip(test, "MODE asks for another");
#endif
	s = random_state(test, mode);
	KUNIT_ASSERT_NOT_NULL(test, s);
	kunit_info(test, "mode %u: seed=%llu steps=%u\n", mode, s->seed, steps);
	if (ARRAY_SIZE(keep))
		s->test = test;
	failed = run(s, ARRAY_SIZE(keep) ? keep : NULL, steps);
	s->test = NULL;
	KUNIT_EXPECT_GE(test, failed, 0);
	if (failed > 0)
		tell_failure(test, s, ARRAY_SIZE(keep) ? keep[failed - 1] + 1 : failed);
	else if (!ARRAY_SIZE(keep))
		/* It must have had something to compare. */
		KUNIT_EXPECT_GT(test, s->compared, (u64)steps / 8);
	kunit_info(test, "%llu accesses compared, %llu of them might have been remembered, %llu unknown, %llu in another mode\n",
		   s->compared, s->ambiguous, s->unknown, s->abroad);
	vfree(s);
}

static void random_unpaged(struct kunit *test)
{
	run_mode(test, RANDOM_UNPAGED);
}

static void random_32bit(struct kunit *test)
{
	run_mode(test, RANDOM_32);
}

static void random_pae(struct kunit *test)
{
	run_mode(test, RANDOM_PAE);
}

static void random_long_mode(struct kunit *test)
{
	run_mode(test, RANDOM_LONG);
}

static void random_long_mode_gib_pages(struct kunit *test)
{
	run_mode(test, RANDOM_GIB);
}

static void random_long_mode_smp(struct kunit *test)
{
	run_mode(test, RANDOM_SMP);
}

static void random_pae_smp(struct kunit *test)
{
	run_mode(test, RANDOM_PAE_SMP);
}

static void random_32bit_smp(struct kunit *test)
{
	run_mode(test, RANDOM_32_SMP);
}

static void random_xen(struct kunit *test)
{
	run_mode(test, RANDOM_XEN);
}

/* A reference that blunders stands for an MMU that does: it is found, and shrunk to a few steps. */
static void random_failure_is_shrunk(struct kunit *test)
{
	struct random_state *s = random_state(test, RANDOM_LONG);
	u32 *list = vmalloc(SHRINK_MAX * sizeof(*list)), count;
	int failed;

	KUNIT_ASSERT_NOT_NULL(test, s);
	KUNIT_ASSERT_NOT_NULL(test, list);
	s->blunder = true;
	s->budget = 20000000;
	failed = run(s, NULL, 20000);
	KUNIT_EXPECT_GT(test, failed, 0);
	if (failed > 0) {
		count = shrunk(s, failed, list);
		KUNIT_EXPECT_GT(test, count, 0u);
		KUNIT_EXPECT_LE(test, count, 25u);
		kunit_info(test, "shrunk from %d steps to %u\n", failed, count);
		/* The short list fails by itself, and only because of the blunder. */
		KUNIT_EXPECT_GT(test, run(s, list, count), 0);
		s->blunder = false;
		KUNIT_EXPECT_EQ(test, run(s, list, count), 0);
	}
	vfree(list);
	vfree(s);
}

static struct kunit_case random_cases[] = {
	KUNIT_CASE_PARAM(random_unpaged, part_gen_params),
	KUNIT_CASE_PARAM(random_32bit, part_gen_params),
	KUNIT_CASE_PARAM(random_pae, part_gen_params),
	KUNIT_CASE_PARAM(random_long_mode, part_gen_params),
	KUNIT_CASE_PARAM(random_long_mode_gib_pages, part_gen_params),
	KUNIT_CASE_PARAM(random_long_mode_smp, part_gen_params),
	KUNIT_CASE_PARAM(random_pae_smp, part_gen_params),
	KUNIT_CASE_PARAM(random_32bit_smp, part_gen_params),
	KUNIT_CASE_PARAM(random_xen, part_gen_params),
	KUNIT_CASE(random_failure_is_shrunk),
	{}
};

static int random_suite_init(struct kunit_suite *suite)
{
	return gondola_mmu_module_init();
}

static void random_suite_exit(struct kunit_suite *suite)
{
	gondola_mmu_module_exit();
}

static struct kunit_suite random_suite = {
	.name = "gondola_mmu_random",
	.suite_init = random_suite_init,
	.suite_exit = random_suite_exit,
	.test_cases = random_cases,
};

kunit_test_suite(random_suite);
