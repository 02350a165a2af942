// SPDX-License-Identifier: GPL-2.0-only
/* The walk of guest tables, format by format, and the bits it sets on its way. */
#include <kunit/test.h>
#include "test_world.h"

struct walk_case {
	const char *name;
	enum world_mode mode;
	u32 access;
	u64 upper;		/* bits of all levels above the leaf */
	u64 leaf;
	u64 cr0_off, cr4_on, rflags;
	u32 error;		/* ~0: allowed */
};

#define ALLOWED	(~0u)

static const struct walk_case cases[] = {
	{ "user read", WORLD_LONG, PFEC_U, FULL, FULL, 0, 0, 0, ALLOWED },
	{ "user write", WORLD_LONG, PFEC_U | PFEC_W, FULL, FULL, 0, 0, 0, ALLOWED },
	{ "not present", WORLD_LONG, PFEC_U, FULL, 0, 0, 0, 0, PFEC_U },
	{ "upper not present", WORLD_LONG, PFEC_W, 0, FULL, 0, 0, 0, PFEC_W },
	{ "user on supervisor page", WORLD_LONG, PFEC_U, FULL, PT_P | PT_W, 0, 0, 0,
	  PFEC_U | PFEC_P },
	{ "user, upper is supervisor", WORLD_LONG, PFEC_U, PT_P | PT_W, FULL, 0, 0, 0,
	  PFEC_U | PFEC_P },
	{ "write to read-only", WORLD_LONG, PFEC_W, FULL, PT_P | PT_U, 0, 0, 0, PFEC_W | PFEC_P },
	{ "write, upper is read-only", WORLD_LONG, PFEC_W, PT_P | PT_U, FULL, 0, 0, 0,
	  PFEC_W | PFEC_P },
	{ "supervisor write with WP clear", WORLD_LONG, PFEC_W, FULL, PT_P | PT_U, CR0_WP, 0, 0,
	  ALLOWED },
	{ "user write with WP clear", WORLD_LONG, PFEC_W | PFEC_U, FULL, PT_P | PT_U, CR0_WP, 0, 0,
	  PFEC_W | PFEC_U | PFEC_P },
	{ "fetch from NX", WORLD_LONG, PFEC_I, FULL, FULL | PT_NX, 0, 0, 0, PFEC_I | PFEC_P },
	{ "fetch, upper is NX", WORLD_LONG, PFEC_I, FULL | PT_NX, FULL, 0, 0, 0, PFEC_I | PFEC_P },
	{ "SMEP", WORLD_LONG, PFEC_I, FULL, FULL, 0, CR4_SMEP, 0, PFEC_I | PFEC_P },
	{ "no SMEP", WORLD_LONG, PFEC_I, FULL, FULL, 0, 0, 0, ALLOWED },
	{ "SMAP", WORLD_LONG, 0, FULL, FULL, 0, CR4_SMAP, 0, PFEC_P },
	{ "SMAP with AC", WORLD_LONG, 0, FULL, FULL, 0, CR4_SMAP, RFL_AC, ALLOWED },
	{ "reserved address bit", WORLD_LONG, 0, FULL, FULL | BIT_ULL(45), 0, 0, 0,
	  PFEC_P | PFEC_RSVD },
	{ "ignored high bit", WORLD_LONG, 0, FULL, FULL | BIT_ULL(58), 0, 0, 0, ALLOWED },
	{ "PAE user write", WORLD_PAE, PFEC_U | PFEC_W, FULL, FULL, 0, 0, 0, ALLOWED },
	{ "PAE high bit is reserved", WORLD_PAE, 0, FULL, FULL | BIT_ULL(58), 0, 0, 0,
	  PFEC_P | PFEC_RSVD },
	{ "PAE NX", WORLD_PAE, PFEC_I, FULL, FULL | PT_NX, 0, 0, 0, PFEC_I | PFEC_P },
	{ "32-bit user write", WORLD_32, PFEC_U | PFEC_W, FULL, FULL, 0, 0, 0, ALLOWED },
	{ "32-bit read-only", WORLD_32, PFEC_U | PFEC_W, FULL, PT_P | PT_U, 0, 0, 0,
	  PFEC_U | PFEC_W | PFEC_P },
	{ "32-bit fetch has no I bit", WORLD_32, PFEC_I | PFEC_U, FULL, PT_P, 0, 0, 0,
	  PFEC_U | PFEC_P },
};

#define LEAF_PAGE	0x7000ull

/* Tables at 0x1000 (root) … 0x4000 (leaf table) that map gva 0x345000 (and 0 elsewhere). */
static const gva_t test_gva = 0x345000;

static void build(struct world *w, enum world_mode mode, u64 upper, u64 leaf)
{
	switch (mode) {
	case WORLD_LONG:
		*world_u64(w, 0x1000) = 0x2000 | upper;
		*world_u64(w, 0x2000) = 0x3000 | upper;
		*world_u64(w, 0x3000 + 8 * (test_gva >> 21)) = 0x4000 | upper;
		*world_u64(w, 0x4000 + 8 * (test_gva >> 12 & 511)) = LEAF_PAGE | leaf;
		break;
	case WORLD_PAE:
		*world_u64(w, 0x1000) = 0x3000 | PT_P;
		*world_u64(w, 0x3000 + 8 * (test_gva >> 21)) = 0x4000 | upper;
		*world_u64(w, 0x4000 + 8 * (test_gva >> 12 & 511)) = LEAF_PAGE | leaf;
		break;
	default:
		*world_u32(w, 0x1000) = 0x4000 | upper;
		*world_u32(w, 0x4000 + 4 * (test_gva >> 12)) = LEAF_PAGE | leaf;
	}
}

static void walk_rights(struct kunit *test)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		const struct walk_case *c = &cases[i];
		struct world *w = world_create(0);
		enum world_outcome outcome;
		u32 error = ALLOWED;
		u64 value = 0;

		KUNIT_ASSERT_NOT_NULL(test, w);
		KUNIT_ASSERT_EQ(test, world_map(w, 0, 0, 0, WORLD_PAGES, 0), 0);
		build(w, c->mode, c->upper, c->leaf);
		world_set_mode(w, c->mode);
		w->vcpu.cr0 &= ~c->cr0_off;
		w->vcpu.cr4 |= c->cr4_on;
		w->vcpu.regs.rflags = c->rflags;
		gondola_mmu_mode_changed(&w->vcpu);
		world_set_cr3(w, 0x1000);
		outcome = world_access(w, test_gva, c->access, &value, &error);
		KUNIT_EXPECT_EQ_MSG(test, outcome, c->error == ALLOWED ? WORLD_DONE : WORLD_FAULT,
				    "%s", c->name);
		KUNIT_EXPECT_EQ_MSG(test, error, c->error, "%s", c->name);
		KUNIT_EXPECT_EQ_MSG(test, gondola_mmu_audit(&w->vm), 0, "%s", c->name);
		world_destroy(w);
	}
}

static void walk_accessed_dirty(struct kunit *test)
{
	struct world *w = world_create(0);
	u64 *leaf, value = 0;
	u32 error;

	KUNIT_ASSERT_NOT_NULL(test, w);
	KUNIT_ASSERT_EQ(test, world_map(w, 0, 0, 0, WORLD_PAGES, 0), 0);
	build(w, WORLD_LONG, FULL, FULL);
	world_set_mode(w, WORLD_LONG);
	world_set_cr3(w, 0x1000);
	leaf = world_u64(w, 0x4000 + 8 * (test_gva >> 12 & 511));

	KUNIT_EXPECT_EQ(test, world_access(w, test_gva, 0, &value, &error), WORLD_DONE);
	KUNIT_EXPECT_EQ(test, *leaf & (PT_A | PT_D), PT_A);
	KUNIT_EXPECT_EQ(test, *world_u64(w, 0x1000) & (PT_A | PT_D), PT_A);
	/* A clean page may be read but not written without our seeing it. */
	KUNIT_EXPECT_EQ(test, world_access(w, test_gva, PFEC_W, &value, &error), WORLD_DONE);
	KUNIT_EXPECT_EQ(test, *leaf & (PT_A | PT_D), PT_A | PT_D);
	KUNIT_EXPECT_EQ(test, gondola_mmu_audit(&w->vm), 0);
	world_destroy(w);
}

static void walk_large_pages(struct kunit *test)
{
	struct world *w = world_create(0);
	u64 value = 42;
	u32 error;

	KUNIT_ASSERT_NOT_NULL(test, w);
	KUNIT_ASSERT_EQ(test, world_map(w, 0, 0, 0, WORLD_PAGES, 0), 0);
	/* 2 MiB at gva 4 MiB, by a directory at 0x3000. */
	*world_u64(w, 0x1000) = 0x2000 | FULL;
	*world_u64(w, 0x2000) = 0x3000 | FULL;
	*world_u64(w, 0x3010) = FULL | PT_PS;
	world_set_mode(w, WORLD_LONG);
	world_set_cr3(w, 0x1000);
	KUNIT_EXPECT_EQ(test, world_access(w, 0x400000 + 0x9008, PFEC_W, &value, &error),
			WORLD_DONE);
	KUNIT_EXPECT_EQ(test, *world_u64(w, 0x9008), 42ull);
	KUNIT_EXPECT_EQ(test, *world_u64(w, 0x3010) & (PT_A | PT_D), PT_A | PT_D);
	/* Bits 20:13 of such an entry are reserved. */
	*world_u64(w, 0x3018) = FULL | PT_PS | BIT_ULL(14);
	KUNIT_EXPECT_EQ(test, world_access(w, 0x600000, 0, &value, &error), WORLD_FAULT);
	KUNIT_EXPECT_EQ(test, error, (u32)(PFEC_P | PFEC_RSVD));
	KUNIT_EXPECT_EQ(test, gondola_mmu_audit(&w->vm), 0);
	world_destroy(w);

	/* 4 MiB of a two-level guest: its upper half is another shadow table. */
	w = world_create(0);
	KUNIT_ASSERT_NOT_NULL(test, w);
	KUNIT_ASSERT_EQ(test, world_map(w, 0, 0x200000, 0, WORLD_PAGES, 0), 0);
	KUNIT_ASSERT_EQ(test, world_map(w, 1, 0, 16, 16, 0), 0);
	*world_u32(w, 0x11004) = FULL | PT_PS;
	world_set_mode(w, WORLD_32);
	world_set_cr3(w, 0x1000);
	KUNIT_EXPECT_EQ(test, world_access(w, 0x400000 + 0x200000 + 0x5004, PFEC_W, &value, &error),
			WORLD_DONE);
	KUNIT_EXPECT_EQ(test, *world_u32(w, 0x5004), 42u);
	KUNIT_EXPECT_EQ(test, gondola_mmu_audit(&w->vm), 0);
	world_destroy(w);
}

static struct kunit_case walk_cases[] = {
	KUNIT_CASE(walk_rights),
	KUNIT_CASE(walk_accessed_dirty),
	KUNIT_CASE(walk_large_pages),
	{}
};

static int walk_init(struct kunit_suite *suite)
{
	return gondola_mmu_module_init();
}

static void walk_exit(struct kunit_suite *suite)
{
	gondola_mmu_module_exit();
}

static struct kunit_suite walk_suite = {
	.name = "gondola_walk",
	.suite_init = walk_init,
	.suite_exit = walk_exit,
	.test_cases = walk_cases,
};

kunit_test_suite(walk_suite);
