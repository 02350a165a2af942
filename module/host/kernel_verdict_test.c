// SPDX-License-Identifier: GPL-2.0-only
/* Every obstacle of a kernel.  No emulator has FRED. */
#include <kunit/test.h>
#include <linux/string.h>
#include <uapi/linux/gondola.h>
#include "kernel_verdict.h"

static const struct {
	const char *name;
	u32 engine;
	struct kernel_facts facts;
	const char *words;	/* part of the words; NULL if there is no obstacle */
} cases[] = {
	{ "vmx, nothing", GONDOLA_ENGINE_VMX, {}, NULL },
	{ "svm, nothing", GONDOLA_ENGINE_SVM, {}, NULL },
	{ "vmx, FRED", GONDOLA_ENGINE_VMX, { .fred = true }, "fred=off" },
	{ "svm, FRED", GONDOLA_ENGINE_SVM, { .fred = true }, NULL },
	{ "vmx, real time", GONDOLA_ENGINE_VMX, { .preempt_rt = true }, "PREEMPT_RT" },
	{ "svm, real time", GONDOLA_ENGINE_SVM, { .preempt_rt = true }, "PREEMPT_RT" },
	{ "ring3, real time", GONDOLA_ENGINE_RING3, { .preempt_rt = true }, "PREEMPT_RT" },
	{ "interp, real time", GONDOLA_ENGINE_INTERP, { .preempt_rt = true }, "PREEMPT_RT" },
	{ "interp, FRED", GONDOLA_ENGINE_INTERP, { .fred = true }, NULL },
	/* Another kernel avoids both obstacles, an option only one. */
	{ "vmx, both", GONDOLA_ENGINE_VMX, { .preempt_rt = true, .fred = true }, "PREEMPT_RT" },
};

static void kernel_verdict_names_the_obstacle(struct kunit *test)
{
	char detail[64];
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		const char *words = cases[i].words;

		detail[0] = '\0';
		KUNIT_EXPECT_EQ_MSG(test,
				    host_kernel_verdict(cases[i].engine, &cases[i].facts, detail),
				    words ? GONDOLA_PF_KERNEL : GONDOLA_PF_OK, "%s", cases[i].name);
		KUNIT_EXPECT_NOT_NULL_MSG(test, strstr(detail, words ?: ""), "%s: \"%s\"",
					  cases[i].name, detail);
		KUNIT_EXPECT_LT_MSG(test, strlen(detail), 63, "%s: cut off", cases[i].name);
	}
}

static struct kunit_case verdict_cases[] = {
	KUNIT_CASE(kernel_verdict_names_the_obstacle),
	{}
};

static struct kunit_suite verdict_suite = {
	.name = "gondola_kernel_verdict",
	.test_cases = verdict_cases,
};
kunit_test_suite(verdict_suite);
