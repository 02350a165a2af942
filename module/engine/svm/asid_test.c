// SPDX-License-Identifier: GPL-2.0-only
/* ASIDs are flushed before they are used again, even if an entry is refused. */
#include <kunit/test.h>
#include "asid.h"

#define COUNT	4u	/* one for the host, three for guests */

static void asids_are_used_up_before_a_flush(struct kunit *test)
{
	struct svm_asids asids = {};
	u64 round;
	u32 i;

	svm_asids_reset(&asids, COUNT);
	for (i = 1; i < COUNT; i++) {
		KUNIT_EXPECT_EQ(test, svm_asids_take(&asids), i);
		/* The first entry flushes all translations from before the reset. */
		KUNIT_EXPECT_EQ(test, asids.flush, i == 1);
		svm_asids_entered(&asids, true);
	}
	round = asids.round;
	KUNIT_EXPECT_EQ(test, svm_asids_take(&asids), 1u);
	KUNIT_EXPECT_EQ(test, asids.round, round + 1);
	KUNIT_EXPECT_TRUE(test, asids.flush);
}

static void a_refused_entry_leaves_the_flush_to_the_next(struct kunit *test)
{
	struct svm_asids asids = {};

	svm_asids_reset(&asids, COUNT);
	KUNIT_EXPECT_EQ(test, svm_asids_take(&asids), 1u);
	svm_asids_entered(&asids, false);
	/* Another vCPU, with an ASID of the same round. */
	KUNIT_EXPECT_EQ(test, svm_asids_take(&asids), 2u);
	KUNIT_EXPECT_TRUE(test, asids.flush);
	svm_asids_entered(&asids, true);
	KUNIT_EXPECT_FALSE(test, asids.flush);
}

static struct kunit_case asid_cases[] = {
	KUNIT_CASE(asids_are_used_up_before_a_flush),
	KUNIT_CASE(a_refused_entry_leaves_the_flush_to_the_next),
	{}
};

static struct kunit_suite asid_suite = {
	.name = "gondola_svm_asid",
	.test_cases = asid_cases,
};
kunit_test_suite(asid_suite);
