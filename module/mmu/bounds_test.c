// SPDX-License-Identifier: GPL-2.0-only
/*
 * Bounds on work: each case builds the worst that a guest or a caller can ask for, and demands that
 * no hold of the MMU's lock takes more than so many steps (steps.h).  The bounds are those of the
 * table in Documentation/security.rst.
 */
#include <kunit/test.h>
#include "test_world.h"

#define FEW_STEPS	(1u << 16)

static void begin(void)
{
	gondola_steps.most = 0;
}

static void must_be_few(struct kunit *test, u64 bound)
{
	kunit_info(test, "%llu steps of %llu", gondola_steps.most, bound);
	KUNIT_EXPECT_LE(test, gondola_steps.most, bound);
	/* It must have counted something. */
	KUNIT_EXPECT_GT(test, gondola_steps.most, 0ull);
}

#define LEAF_TABLES	129u		/* one more than may be out of sync */
#define FIRST_TABLE	0x100u		/* gfn of the first */
#define LEADS_TO(k)	((u64)((k) + 1) << 21)

/* Leaf tables that the guest writes unseen, all but one. */
static void make_unsync(struct kunit *test, struct world *w)
{
	unsigned int k;

	for (k = 0; k < LEAF_TABLES; k++) {
		gpa_t table = (FIRST_TABLE + k) << 12;

		*world_u64(w, table) = 0x60000 | FULL | PT_A | PT_D;
		*world_u64(w, 0x3000 + (k + 1) * 8) = table | FULL | PT_A;
		must_read(test, w, LEADS_TO(k));
	}
	for (k = 0; k < LEAF_TABLES - 1; k++)
		must_write(test, w, ((FIRST_TABLE + k) << 12) + 8, 0);
	KUNIT_EXPECT_EQ(test, w->vm.mmu.nr_unsync, LEAF_TABLES - 1);
}

/* One more than may be out of sync: the oldest must go, but the host has its frame. */
static void table_out_of_sync_is_taken(struct kunit *test)
{
	struct world *w = world_identity(test, false, 0);
	unsigned int last = LEAF_TABLES - 1;

	make_unsync(test, w);
	world_host_takes(w, FIRST_TABLE);
	begin();
	must_write(test, w, ((FIRST_TABLE + last) << 12) + 8, 0);
	must_be_few(test, FEW_STEPS);
	KUNIT_EXPECT_EQ(test, w->vm.mmu.nr_unsync, LEAF_TABLES - 1);
	KUNIT_EXPECT_EQ(test, gondola_mmu_audit(&w->vm), 0);
	/* What the guest does to that table later counts. */
	*world_u64(w, 0x61008) = 0x61;
	must_write(test, w, (FIRST_TABLE << 12) + 8, 0x61000 | FULL | PT_A | PT_D);
	world_invlpg(w, LEADS_TO(0) + 0x1000);
	KUNIT_EXPECT_EQ(test, must_read(test, w, LEADS_TO(0) + 0x1008), 0x61ull);
	world_done(test, w);
}

/* All of them at once. */
static void tables_out_of_sync_are_all_taken(struct kunit *test)
{
	struct world *w = world_identity(test, false, 0);
	unsigned int k, last = LEAF_TABLES - 1;

	make_unsync(test, w);
	for (k = 0; k < last; k++)
		world_host_takes(w, FIRST_TABLE + k);
	begin();
	must_write(test, w, ((FIRST_TABLE + last) << 12) + 8, 0);
	world_set_cr3(w, 0x1000);
	must_read(test, w, 0x60000);
	must_be_few(test, 2 * LEAF_TABLES * GONDOLA_ENTRIES);
	world_done(test, w);
}

/* A gva that takes these entries of the tables, from the root down. */
static gva_t by_way_of(u64 i4, u64 i3, u64 i2)
{
	return (i4 & 256 ? ~0ull << 48 : 0) | i4 << 39 | i3 << 30 | i2 << 21;
}

/* 512 ways lead from each table to the next: 512 to the third power from the leaf to the root. */
static void search_goes_by_many_ways(struct kunit *test)
{
	struct world *w = world_identity(test, false, 0);
	unsigned int i;

	for (i = 0; i < GONDOLA_ENTRIES; i++) {
		*world_u64(w, 0x1000 + i * 8) = 0x2000 | FULL | PT_A;
		*world_u64(w, 0x2000 + i * 8) = 0x3000 | FULL | PT_A;
		*world_u64(w, 0x3000 + i * 8) = 0x4000 | FULL | PT_A;
	}
	for (i = 0; i < GONDOLA_ENTRIES; i++) {
		must_read(test, w, by_way_of(i, 0, 0));
		must_read(test, w, by_way_of(0, i, 0));
		must_read(test, w, by_way_of(0, 0, i));
	}
	must_write(test, w, 0x4008, 0x61000 | FULL | PT_A | PT_D);
	KUNIT_EXPECT_EQ(test, w->vm.mmu.nr_unsync, 1u);
	/* Another root, which none of the ways leads to. */
	world_set_cr3(w, 0x5000);
	begin();
	must_fault(test, w, 0x60000, 0, 0);
	must_be_few(test, FEW_STEPS);
	/* The first sees what was written. */
	world_set_cr3(w, 0x1000);
	*world_u64(w, 0x61000) = 0x61;
	begin();
	KUNIT_EXPECT_EQ(test, must_read(test, w, 0x1000), 0x61ull);
	must_be_few(test, FEW_STEPS);
	world_done(test, w);
}

static struct kunit_case bounds_cases[] = {
	KUNIT_CASE(table_out_of_sync_is_taken),
	KUNIT_CASE(tables_out_of_sync_are_all_taken),
	KUNIT_CASE(search_goes_by_many_ways),
	{}
};

static int bounds_init(struct kunit_suite *suite)
{
	return gondola_mmu_module_init();
}

static void bounds_exit(struct kunit_suite *suite)
{
	gondola_mmu_module_exit();
}

static struct kunit_suite bounds_suite = {
	.name = "gondola_mmu_bounds",
	.suite_init = bounds_init,
	.suite_exit = bounds_exit,
	.test_cases = bounds_cases,
};

kunit_test_suite(bounds_suite);
