// SPDX-License-Identifier: GPL-2.0-only
/* Each obstacle alone is named; a machine without one is good. */
#include <kunit/test.h>
#include <linux/string.h>
#include <uapi/linux/gondola.h>
#include "preflight.h"

static void ring3_obstacles_are_named(struct kunit *test)
{
	static const struct {
		struct ring3_facts facts;
		u32 reason;
		const char *word;
	} cases[] = {
		{ { .nx = true }, GONDOLA_PF_OK, "" },
		{ { .nx = false }, GONDOLA_PF_MISSING_FEATURE, "NX" },
		{ { .nx = true, .la57 = true }, GONDOLA_PF_KERNEL, "no5lvl" },
		{ { .nx = true, .fred = true }, GONDOLA_PF_KERNEL, "fred=off" },
		{ { .nx = true, .xen_pv = true }, GONDOLA_PF_KERNEL, "Xen" },
		{ { .nx = true, .encrypted = true }, GONDOLA_PF_MISSING_FEATURE, "unencrypted" },
		{ { .nx = true, .no_bhb = true }, GONDOLA_PF_KERNEL, "branch history" },
		{ { .nx = true, .slot_taken = true }, GONDOLA_PF_IN_USE, "guard hole" },
		/* A reason that no boot option removes comes before one that an option removes. */
		{ { .nx = true, .encrypted = true, .la57 = true }, GONDOLA_PF_MISSING_FEATURE,
		  "unencrypted" },
	};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		char detail[64] = "";

		KUNIT_EXPECT_EQ_MSG(test, ring3_verdict(&cases[i].facts, detail), cases[i].reason,
				    "case %u", i);
		KUNIT_EXPECT_LT_MSG(test, strlen(detail), 63, "case %u: cut off", i);
		KUNIT_EXPECT_NOT_NULL_MSG(test, strstr(detail, cases[i].word), "case %u: %s", i,
				      detail);
	}
}

static struct kunit_case ring3_preflight_cases[] = {
	KUNIT_CASE(ring3_obstacles_are_named),
	{}
};

static struct kunit_suite ring3_preflight_suite = {
	.name = "gondola_ring3_preflight",
	.test_cases = ring3_preflight_cases,
};
kunit_test_suite(ring3_preflight_suite);
