// SPDX-License-Identifier: GPL-2.0-only
/* Every answer of SVM's preflight.  No emulator has a VM_CR that firmware could lock. */
#include <kunit/test.h>
#include <linux/bits.h>
#include <linux/string.h>
#include <uapi/linux/gondola.h>
#include "preflight.h"

#define USABLE	.svm = true, .asids = 16, .nx = true

static const struct {
	const char *name;
	struct svm_facts facts;
	u32 reason;
	const char *words;	/* some of them */
} cases[] = {
	{ "usable", { USABLE }, GONDOLA_PF_OK, "" },
	{ "locked, but on", { USABLE, .vm_cr = VM_CR_LOCK }, GONDOLA_PF_OK, "" },
	{ "absent", { .nx = true }, GONDOLA_PF_ABSENT, "no SVM" },
	{ "absent in a guest", { .virtual_amd = true }, GONDOLA_PF_NESTED_OFF, "is a guest" },
	{ "offered to a guest", { USABLE, .virtual_amd = true }, GONDOLA_PF_OK, "" },
	{ "SVMDIS set and locked", { USABLE, .vm_cr = VM_CR_SVMDIS | VM_CR_LOCK },
	  GONDOLA_PF_LOCKED_OFF, "locked VM_CR" },
	{ "SVMDIS set", { USABLE, .vm_cr = VM_CR_SVMDIS },
	  GONDOLA_PF_LOCKED_OFF, "VM_CR.SVMDIS" },
	{ "no ASIDs", { .svm = true, .asids = 1, .nx = true },
	  GONDOLA_PF_MISSING_FEATURE, "ASIDs" },
	{ "no NX", { .svm = true, .asids = 16 }, GONDOLA_PF_MISSING_FEATURE, "NX" },
	{ "encrypted memory", { USABLE, .encrypted = true },
	  GONDOLA_PF_MISSING_FEATURE, "mem_encrypt=off" },
	{ "in use", { USABLE, .taken = true }, GONDOLA_PF_IN_USE, "another hypervisor" },
	/* Without SVM in the processor a loaded hypervisor is not blamed. */
	{ "disabled and in use", { USABLE, .vm_cr = VM_CR_SVMDIS | VM_CR_LOCK, .taken = true },
	  GONDOLA_PF_LOCKED_OFF, "locked VM_CR" },
};

static void svm_preflight_names_the_obstacle(struct kunit *test)
{
	char detail[64];
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		detail[0] = '\0';
		KUNIT_EXPECT_EQ_MSG(test, svm_verdict(&cases[i].facts, detail), cases[i].reason,
				    "%s", cases[i].name);
		KUNIT_EXPECT_NOT_NULL_MSG(test, strstr(detail, cases[i].words), "%s: \"%s\"",
					  cases[i].name, detail);
		KUNIT_EXPECT_LT_MSG(test, strlen(detail), 63, "%s: cut off", cases[i].name);
	}
}

static struct kunit_case preflight_cases[] = {
	KUNIT_CASE(svm_preflight_names_the_obstacle),
	{}
};

static struct kunit_suite preflight_suite = {
	.name = "gondola_svm_preflight",
	.test_cases = preflight_cases,
};
kunit_test_suite(preflight_suite);
