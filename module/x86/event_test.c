// SPDX-License-Identifier: GPL-2.0-only
/* The merging of exceptions, case by case after the manual's table. */
#include <kunit/test.h>
#include "event.h"

struct merge_case {
	const char *name;
	u8 first;
	u8 second;
	u8 kind;
	u8 vector;
};

#define EXC	GONDOLA_EVENT_EXCEPTION
#define TRIPLE	GONDOLA_EVENT_TRIPLE_FAULT

static const struct merge_case merge_cases[] = {
	{ "benign then benign", VEC_DB, VEC_UD, EXC, VEC_UD },
	{ "benign then contributory", VEC_UD, VEC_GP, EXC, VEC_GP },
	{ "benign then page fault", VEC_BP, VEC_PF, EXC, VEC_PF },
	{ "contributory then benign", VEC_GP, VEC_DB, EXC, VEC_DB },
	{ "contributory then contributory", VEC_NP, VEC_GP, EXC, VEC_DF },
	{ "divide error then stack fault", VEC_DE, VEC_SS, EXC, VEC_DF },
	{ "invalid TSS then not present", VEC_TS, VEC_NP, EXC, VEC_DF },
	{ "contributory then page fault", VEC_GP, VEC_PF, EXC, VEC_PF },
	{ "page fault then benign", VEC_PF, VEC_NM, EXC, VEC_NM },
	{ "page fault then contributory", VEC_PF, VEC_GP, EXC, VEC_DF },
	{ "page fault then page fault", VEC_PF, VEC_PF, EXC, VEC_DF },
	{ "double fault then benign", VEC_DF, VEC_DB, EXC, VEC_DB },
	{ "double fault then contributory", VEC_DF, VEC_GP, TRIPLE, 0 },
	{ "double fault then page fault", VEC_DF, VEC_PF, TRIPLE, 0 },
	{ "alignment check is benign", VEC_AC, VEC_GP, EXC, VEC_GP },
	{ "machine check is benign", VEC_MC, VEC_PF, EXC, VEC_PF },
};

static void merge_case_name(const struct merge_case *c, char *name)
{
	strscpy(name, c->name, KUNIT_PARAM_DESC_SIZE);
}

KUNIT_ARRAY_PARAM(merge, merge_cases, merge_case_name);

static struct gondola_event exception(u8 vector)
{
	return (struct gondola_event){
		.kind = GONDOLA_EVENT_EXCEPTION,
		.vector = vector,
		.has_error = gondola_vector_has_error(vector),
		.error = 0x10,
		.cr2 = vector == VEC_PF ? 0x1234000 : 0,
	};
}

static void exceptions_merge(struct kunit *test)
{
	const struct merge_case *c = test->param_value;
	struct gondola_event queued = exception(c->first);
	struct gondola_event next = exception(c->second);

	gondola_event_merge(&queued, &next);
	KUNIT_EXPECT_EQ(test, queued.kind, c->kind);
	KUNIT_EXPECT_EQ(test, queued.vector, c->vector);
	if (c->kind != EXC)
		return;
	if (c->vector == VEC_DF) {
		/* The error code of a double fault is always zero. */
		KUNIT_EXPECT_TRUE(test, queued.has_error);
		KUNIT_EXPECT_EQ(test, queued.error, 0u);
	} else {
		KUNIT_EXPECT_EQ(test, queued.has_error, next.has_error);
		KUNIT_EXPECT_EQ(test, queued.cr2, next.cr2);
	}
}

static void nothing_queued(struct kunit *test)
{
	struct gondola_event queued = {};
	struct gondola_event next = exception(VEC_PF);

	gondola_event_merge(&queued, &next);
	KUNIT_EXPECT_EQ(test, queued.kind, EXC);
	KUNIT_EXPECT_EQ(test, queued.vector, VEC_PF);
	KUNIT_EXPECT_EQ(test, queued.error, next.error);
	KUNIT_EXPECT_EQ(test, queued.cr2, next.cr2);
}

static void fault_replaces_an_interrupt(struct kunit *test)
{
	static const u8 kinds[] = {
		GONDOLA_EVENT_INTERRUPT, GONDOLA_EVENT_NMI, GONDOLA_EVENT_SOFT_INTERRUPT,
	};
	struct gondola_event next = exception(VEC_GP);
	int i;

	for (i = 0; i < ARRAY_SIZE(kinds); i++) {
		/* An interrupt with vector 14 is no page fault, and makes no double fault. */
		struct gondola_event queued = { .kind = kinds[i], .vector = VEC_PF };

		gondola_event_merge(&queued, &next);
		KUNIT_EXPECT_EQ(test, queued.kind, EXC);
		KUNIT_EXPECT_EQ(test, queued.vector, VEC_GP);
	}
}

static void triple_fault_stays(struct kunit *test)
{
	struct gondola_event queued = { .kind = TRIPLE };
	struct gondola_event next = exception(VEC_DB);

	gondola_event_merge(&queued, &next);
	KUNIT_EXPECT_EQ(test, queued.kind, TRIPLE);
}

static void nmis_merge(struct kunit *test)
{
	KUNIT_EXPECT_EQ(test, gondola_nmi_latch(0, true), 1);
	KUNIT_EXPECT_EQ(test, gondola_nmi_latch(1, true), 1);
	/* One is delivered at once, one waits for its end. */
	KUNIT_EXPECT_EQ(test, gondola_nmi_latch(0, false), 1);
	KUNIT_EXPECT_EQ(test, gondola_nmi_latch(1, false), 2);
	KUNIT_EXPECT_EQ(test, gondola_nmi_latch(2, false), 2);
	/* Two were latched before the handler began. */
	KUNIT_EXPECT_EQ(test, gondola_nmi_latch(2, true), 1);
}

static void error_codes(struct kunit *test)
{
	static const u8 with[] = { VEC_DF, VEC_TS, VEC_NP, VEC_SS, VEC_GP, VEC_PF, VEC_AC };
	u32 expected = 0;
	unsigned int v;

	for (v = 0; v < ARRAY_SIZE(with); v++)
		expected |= BIT(with[v]);
	for (v = 0; v < 256; v++)
		KUNIT_EXPECT_EQ_MSG(test, gondola_vector_has_error(v),
				    v < 32 && (expected & BIT(v)), "vector %u", v);
}

static struct kunit_case event_cases[] = {
	KUNIT_CASE_PARAM(exceptions_merge, merge_gen_params),
	KUNIT_CASE(nothing_queued),
	KUNIT_CASE(fault_replaces_an_interrupt),
	KUNIT_CASE(triple_fault_stays),
	KUNIT_CASE(nmis_merge),
	KUNIT_CASE(error_codes),
	{}
};

static struct kunit_suite event_suite = {
	.name = "gondola_event",
	.test_cases = event_cases,
};
kunit_test_suite(event_suite);
