// SPDX-License-Identifier: GPL-2.0-only
/* Shadow tables: named cases, most of them ways in which other shadow MMUs have failed. */
#include <kunit/test.h>
#include "test_world.h"

#define FULL	(PT_P | PT_W | PT_U)

/* Long mode, tables at 0x1000 … 0x4000; leaf table 0x4000 maps gva 0 … 2 MiB to itself 1:1. */
static struct world *identity_world(struct kunit *test, bool filter, u32 shadow_pages)
{
	struct world *w = world_create(filter, shadow_pages);
	unsigned int i;

	KUNIT_ASSERT_NOT_NULL(test, w);
	KUNIT_ASSERT_EQ(test, world_map(w, 0, 0, 0, WORLD_PAGES, 0), 0);
	*world_u64(w, 0x1000) = 0x2000 | FULL;
	*world_u64(w, 0x2000) = 0x3000 | FULL;
	*world_u64(w, 0x3000) = 0x4000 | FULL;
	for (i = 0; i < WORLD_PAGES; i++)
		*world_u64(w, 0x4000 + i * 8) = (u64)i << 12 | FULL | PT_A | PT_D;
	world_set_mode(w, WORLD_LONG);
	world_set_cr3(w, 0x1000);
	return w;
}

static u64 must_read(struct kunit *test, struct world *w, gva_t gva)
{
	u64 value = 0;
	u32 error = 0;

	KUNIT_EXPECT_EQ(test, world_access(w, gva, 0, &value, &error), WORLD_DONE);
	return value;
}

static void must_write(struct kunit *test, struct world *w, gva_t gva, u64 value)
{
	u32 error = 0;

	KUNIT_EXPECT_EQ(test, world_access(w, gva, PFEC_W, &value, &error), WORLD_DONE);
}

static void must_fault(struct kunit *test, struct world *w, gva_t gva, u32 access, u32 expected)
{
	u64 value = 0;
	u32 error = 0;

	KUNIT_EXPECT_EQ(test, world_access(w, gva, access, &value, &error), WORLD_FAULT);
	KUNIT_EXPECT_EQ(test, error, expected);
}

static void done(struct kunit *test, struct world *w)
{
	KUNIT_EXPECT_EQ(test, gondola_mmu_audit(&w->vm), 0);
	world_destroy(w);
}

/* A leaf table is written freely, and its changes count from the next flush on. */
static void leaf_table_goes_out_of_sync(struct kunit *test)
{
	struct world *w = identity_world(test, false, 0);
	u64 faults;

	*world_u64(w, 0x20000) = 20;
	*world_u64(w, 0x21000) = 21;
	KUNIT_EXPECT_EQ(test, must_read(test, w, 0x20000), 20ull);
	must_write(test, w, 0x4000 + 8 * 0x20, 0x21000 | FULL | PT_A | PT_D);
	faults = w->shadow_faults;
	must_write(test, w, 0x4000 + 8 * 0x22, 0x21000 | FULL | PT_A | PT_D);
	KUNIT_EXPECT_EQ(test, w->shadow_faults, faults);
	world_invlpg(w, 0x20000);
	KUNIT_EXPECT_EQ(test, must_read(test, w, 0x20000), 21ull);
	world_set_cr3(w, 0x1000);
	KUNIT_EXPECT_EQ(test, must_read(test, w, 0x22000), 21ull);
	KUNIT_EXPECT_EQ(test, gondola_mmu_audit(&w->vm), 0);
	/* An entry that becomes present needs no flush. */
	must_write(test, w, 0x4000 + 8 * 0x23, 0);
	world_set_cr3(w, 0x1000);
	must_fault(test, w, 0x23000, 0, 0);
	must_write(test, w, 0x4000 + 8 * 0x23, 0x21000 | FULL);
	KUNIT_EXPECT_EQ(test, must_read(test, w, 0x23000), 21ull);
	done(test, w);
}

/* The same with faults that go straight to the guest: none may be invented. */
static void filtered_faults_are_genuine(struct kunit *test)
{
	struct world *w = identity_world(test, true, 0);

	*world_u64(w, 0x21000) = 21;
	must_write(test, w, 0x4000 + 8 * 0x23, 0);
	world_set_cr3(w, 0x1000);
	must_fault(test, w, 0x23000, 0, 0);
	must_fault(test, w, 0x23000, PFEC_W, PFEC_W);
	must_write(test, w, 0x4000 + 8 * 0x23, 0x21000 | FULL);
	KUNIT_EXPECT_EQ(test, must_read(test, w, 0x23000), 21ull);
	/* In upper tables as well. */
	must_fault(test, w, 0x200000, 0, 0);
	must_write(test, w, 0x3008, 0x4000 | FULL);
	KUNIT_EXPECT_EQ(test, must_read(test, w, 0x200000 + 0x23000), 21ull);
	done(test, w);
}

static void writes_to_upper_tables_count_at_once(struct kunit *test)
{
	struct world *w = identity_world(test, false, 0);
	unsigned int i;

	*world_u64(w, 0x30000) = 30;
	KUNIT_EXPECT_EQ(test, must_read(test, w, 0x30000), 30ull);
	must_write(test, w, 0x3010, 0x4000 | FULL);
	KUNIT_EXPECT_EQ(test, must_read(test, w, 0x400000 + 0x30000), 30ull);
	must_write(test, w, 0x3010, 0);
	world_set_cr3(w, 0x1000);
	must_fault(test, w, 0x400000 + 0x30000, 0, 0);
	/* Written again and again without use it is a page like any other. */
	for (i = 0; i < 16; i++)
		must_write(test, w, 0x50000 + i * 8, i);
	KUNIT_EXPECT_EQ(test, *world_u64(w, 0x50078), 15ull);
	done(test, w);
}

/* 1: two parents of one table grant different rights. */
static void parents_of_one_table_differ(struct kunit *test)
{
	struct world *w = identity_world(test, false, 0);

	*world_u64(w, 0x3008) = 0x4000 | PT_P | PT_U;
	*world_u64(w, 0x3010) = 0x4000 | PT_P | PT_W;
	must_write(test, w, 0x40000, 1);
	must_fault(test, w, 0x200000 + 0x40000, PFEC_W, PFEC_W | PFEC_P);
	KUNIT_EXPECT_EQ(test, must_read(test, w, 0x200000 + 0x40000), 1ull);
	must_fault(test, w, 0x400000 + 0x40000, PFEC_U, PFEC_U | PFEC_P);
	must_write(test, w, 0x400000 + 0x40000, 2);
	must_write(test, w, 0x40000, 3);
	done(test, w);
}

/* 2: one huge page is mapped with two permissions. */
static void huge_page_with_two_permissions(struct kunit *test)
{
	struct world *w = identity_world(test, false, 0);
	u64 value = 0;
	u32 error;

	*world_u64(w, 0x3008) = FULL | PT_PS;
	*world_u64(w, 0x3010) = PT_P | PT_U | PT_PS;
	must_write(test, w, 0x200000 + 0x40000, 7);
	KUNIT_EXPECT_EQ(test, must_read(test, w, 0x400000 + 0x40000), 7ull);
	must_fault(test, w, 0x400000 + 0x40000, PFEC_W, PFEC_W | PFEC_P);
	must_write(test, w, 0x200000 + 0x40000, 8);
	KUNIT_EXPECT_EQ(test, world_access(w, 0x400000 + 0x40000, PFEC_U, &value, &error),
			WORLD_DONE);
	KUNIT_EXPECT_EQ(test, value, 8ull);
	done(test, w);
}

/* 3: a table out of sync is linked from a new parent; no flush by the guest is due. */
static void unsynced_child_is_linked(struct kunit *test)
{
	struct world *w = identity_world(test, false, 0);

	*world_u64(w, 0x20000) = 20;
	*world_u64(w, 0x21000) = 21;
	KUNIT_EXPECT_EQ(test, must_read(test, w, 0x20000), 20ull);
	must_write(test, w, 0x4000 + 8 * 0x20, 0x21000 | FULL | PT_A | PT_D);
	*world_u64(w, 0x3018) = 0x4000 | FULL;
	KUNIT_EXPECT_EQ(test, must_read(test, w, 0x600000 + 0x20000), 21ull);
	done(test, w);
}

/* 5, 7: a write is never lost to the log, whoever does it and whatever CR0.WP says. */
static void dirty_log_misses_nothing(struct kunit *test)
{
	struct world *w = identity_world(test, false, 0);
	u64 bitmap[WORLD_PAGES / 64], ones[WORLD_PAGES / 64];

	memset(ones, 0xff, sizeof(ones));
	must_write(test, w, 0x60000, 1);
	KUNIT_ASSERT_EQ(test, world_map(w, 0, 0, 0, WORLD_PAGES, GONDOLA_MEM_LOG_DIRTY), 0);
	must_write(test, w, 0x60000, 2);
	mutex_lock(&w->vm.lock);
	KUNIT_ASSERT_EQ(test, gondola_mmu_get_dirty(&w->vm, 0, 0, WORLD_PAGES, bitmap), 0);
	KUNIT_EXPECT_TRUE(test, bitmap[0x60 / 64] & BIT_ULL(0x60 % 64));
	KUNIT_ASSERT_EQ(test, gondola_mmu_clear_dirty(&w->vm, 0, 0, WORLD_PAGES, ones), 0);
	KUNIT_ASSERT_EQ(test, gondola_mmu_get_dirty(&w->vm, 0, 0, WORLD_PAGES, bitmap), 0);
	KUNIT_EXPECT_EQ(test, bitmap[0x60 / 64], 0ull);
	mutex_unlock(&w->vm.lock);
	must_write(test, w, 0x60000, 3);
	/* A and D bits dirty the tables; a read-only page is written with WP clear. */
	*world_u64(w, 0x4000 + 8 * 0x61) = 0x61000 | PT_P | PT_U;
	w->vcpu.cr0 &= ~CR0_WP;
	gondola_mmu_mode_changed(&w->vcpu);
	must_write(test, w, 0x61000, 4);
	mutex_lock(&w->vm.lock);
	KUNIT_ASSERT_EQ(test, gondola_mmu_get_dirty(&w->vm, 0, 0, WORLD_PAGES, bitmap), 0);
	mutex_unlock(&w->vm.lock);
	KUNIT_EXPECT_TRUE(test, bitmap[0x60 / 64] & BIT_ULL(0x60 % 64));
	KUNIT_EXPECT_TRUE(test, bitmap[0x61 / 64] & BIT_ULL(0x61 % 64));
	KUNIT_EXPECT_TRUE(test, bitmap[0] & BIT_ULL(4));
	done(test, w);
}

/* A mark holds for a slot from the reading of its log on, so that each round's events are its pages. */
static void marks_hold_from_the_reading(struct kunit *test)
{
	struct world *w = identity_world(test, false, 0);
	struct gondola_slot *slot = &w->vm.mmu.slots[0];
	u64 bitmap[WORLD_PAGES / 64], before;

	w->vm.phase = 1;
	KUNIT_ASSERT_EQ(test, world_map(w, 0, 0, 0, WORLD_PAGES, GONDOLA_MEM_LOG_DIRTY), 0);
	KUNIT_EXPECT_EQ(test, slot->phase, 1u);
	/* Logging begins with all pages written: the first round's are those. */
	memset(bitmap, 0xff, sizeof(bitmap));
	mutex_lock(&w->vm.lock);
	KUNIT_ASSERT_EQ(test, gondola_mmu_clear_dirty(&w->vm, 0, 0, WORLD_PAGES, bitmap), 0);
	mutex_unlock(&w->vm.lock);
	w->vm.phase = 2;
	w->vm.round = 3;
	before = w->vm.mmu.nr_dirtied;
	must_write(test, w, 0x60000, 1);
	must_write(test, w, 0x60008, 2);
	KUNIT_EXPECT_GE(test, w->vm.mmu.nr_dirtied, before + 1);
	before = w->vm.mmu.nr_dirtied;
	must_write(test, w, 0x60010, 3);
	KUNIT_EXPECT_EQ(test, w->vm.mmu.nr_dirtied, before);
	KUNIT_EXPECT_EQ(test, slot->phase, 1u);
	mutex_lock(&w->vm.lock);
	KUNIT_ASSERT_EQ(test, gondola_mmu_get_dirty(&w->vm, 0, 0, WORLD_PAGES, bitmap), 0);
	mutex_unlock(&w->vm.lock);
	KUNIT_EXPECT_EQ(test, slot->phase, 2u);
	KUNIT_EXPECT_EQ(test, slot->round, 3u);
	done(test, w);
}

/* 9: nothing may be left of a slot that is gone. */
static void removed_slot_leaves_nothing(struct kunit *test)
{
	struct world *w = identity_world(test, false, 0);
	u64 value = 0;
	u32 error;

	KUNIT_ASSERT_EQ(test, world_map(w, 1, WORLD_PAGES * 4096ull, 256, 16, 0), 0);
	*world_u64(w, 0x4000 + 8 * 0x70) = WORLD_PAGES * 4096ull | FULL;
	must_write(test, w, 0x70000, 5);
	KUNIT_EXPECT_EQ(test, *world_u64(w, 256 * 4096), 5ull);
	KUNIT_ASSERT_EQ(test, world_map(w, 1, 0, 0, 0, 0), 0);
	KUNIT_EXPECT_EQ(test, world_access(w, 0x70000, PFEC_W, &value, &error), WORLD_MMIO);
	KUNIT_EXPECT_EQ(test, *world_u64(w, 256 * 4096), 5ull);
	done(test, w);
}

/* Memory that the launcher may write is read-only to the guest all the same. */
static void read_only_slot_is_never_written(struct kunit *test)
{
	struct world *w = identity_world(test, false, 0);
	u64 value = 7;
	u32 error;

	KUNIT_ASSERT_EQ(test, world_map(w, 1, WORLD_PAGES * 4096ull, 256, 16,
					GONDOLA_MEM_READONLY), 0);
	/* Read first, through an entry that is dirty: the entry grants what the slot does not. */
	*world_u64(w, 0x4000 + 8 * 0x70) = WORLD_PAGES * 4096ull | FULL | PT_A | PT_D;
	*world_u64(w, 256 * 4096) = 5;
	KUNIT_EXPECT_EQ(test, must_read(test, w, 0x70000), 5ull);
	KUNIT_EXPECT_EQ(test, world_access(w, 0x70000, PFEC_W, &value, &error), WORLD_MMIO);
	KUNIT_EXPECT_EQ(test, *world_u64(w, 256 * 4096), 5ull);
	done(test, w);
}

/* 10: syncing one table must not make another one writable. */
static void sync_keeps_tables_protected(struct kunit *test)
{
	struct world *w = identity_world(test, false, 0);

	/* A second leaf table at 0x5000, entered at 2 MiB; both map each other. */
	*world_u64(w, 0x3008) = 0x5000 | FULL;
	*world_u64(w, 0x5000) = 0x4000 | FULL | PT_A | PT_D;
	*world_u64(w, 0x5008) = 0x5000 | FULL | PT_A | PT_D;
	must_read(test, w, 0x200000);
	must_read(test, w, 0x4000);
	must_write(test, w, 0x4000 + 8 * 0x20, 0x5000 | FULL | PT_A | PT_D);
	must_write(test, w, 0x5000 + 8 * 0x30, 0x4000 | FULL | PT_A | PT_D);
	KUNIT_EXPECT_EQ(test, gondola_mmu_audit(&w->vm), 0);
	world_set_cr3(w, 0x1000);
	must_read(test, w, 0x20000);
	world_set_cr3(w, 0x1000);
	must_read(test, w, 0x20000);
	world_set_cr3(w, 0x1000);
	must_read(test, w, 0x200000 + 0x30000);
	KUNIT_EXPECT_EQ(test, gondola_mmu_audit(&w->vm), 0);
	done(test, w);
}

/* 13: CR3 leads nowhere. */
static void bad_cr3_is_harmless(struct kunit *test)
{
	struct world *w = identity_world(test, false, 0);

	must_read(test, w, 0x20000);
	world_set_cr3(w, 0xabcdef000ull);
	must_fault(test, w, 0x20000, 0, PFEC_P | PFEC_RSVD);
	world_set_cr3(w, 0x1000);
	must_read(test, w, 0x20000);
	done(test, w);
}

/* What the host takes is not used any more, and comes back when it is wanted. */
static void host_takes_pages_away(struct kunit *test)
{
	struct world *w = identity_world(test, false, 0);

	must_write(test, w, 0x80000, 6);
	world_host_takes(w, 0x80);
	KUNIT_EXPECT_TRUE(test, test_bit(GONDOLA_REQ_TLB_FLUSH, &w->vcpu.requests));
	KUNIT_EXPECT_EQ(test, gondola_mmu_audit(&w->vm), 0);
	KUNIT_EXPECT_EQ(test, must_read(test, w, 0x80000), 6ull);
	/* Shared by the host: readable, until it is written. */
	world_host_takes(w, 0x81);
	w->host_readonly[0x81] = true;
	must_read(test, w, 0x81000);
	KUNIT_EXPECT_TRUE(test, w->host_readonly[0x81]);
	must_write(test, w, 0x81000, 7);
	KUNIT_EXPECT_FALSE(test, w->host_readonly[0x81]);
	/* A page table goes, too. */
	must_write(test, w, 0x4000 + 8 * 0x20, 0x21000 | FULL);
	world_host_takes(w, 4);
	world_set_cr3(w, 0x1000);
	must_read(test, w, 0x20000);
	done(test, w);
}

/* A bound on shadow pages slows a guest down, and does nothing else. */
static void bound_is_kept(struct kunit *test)
{
	struct world *w = identity_world(test, false, 64);
	unsigned int i;

	/* 199 leaf tables, each entered twice, against a bound of 64. */
	for (i = 1; i < 400; i++)
		*world_u64(w, 0x3000 + i * 8) = (0x10000ull + (i % 200) * 4096) | FULL;
	for (i = 1; i < 200; i++)
		*world_u64(w, 0x10000 + i * 4096) = 0x1f0000 | FULL;
	*world_u64(w, 0x1f0000) = 99;
	for (i = 1; i < 400; i++)
		if (i % 200)
			KUNIT_EXPECT_EQ(test, must_read(test, w, (gva_t)i << 21), 99ull);
	KUNIT_EXPECT_LE(test, w->vm.mmu.nr_pages, 64u);
	done(test, w);
}

static void memory_slots_refuse_nonsense(struct kunit *test)
{
	struct world *w = world_create(false, 0);

	KUNIT_ASSERT_NOT_NULL(test, w);
	KUNIT_EXPECT_EQ(test, world_map(w, GONDOLA_MAX_SLOTS, 0, 0, 1, 0), -EINVAL);
	KUNIT_EXPECT_EQ(test, world_map(w, 0, 1, 0, 1, 0), -EINVAL);
	KUNIT_EXPECT_EQ(test, world_map(w, 0, ~0xfffull, 0, 2, 0), -EINVAL);
	KUNIT_EXPECT_EQ(test, world_map(w, 0, 0, 0, 1, 0x80), -EINVAL);
	KUNIT_EXPECT_EQ(test, world_map(w, 0, 0, 0, 0, 0), -EINVAL);
	KUNIT_EXPECT_EQ(test, world_map(w, 0, 0, 0, 8, 0), 0);
	KUNIT_EXPECT_EQ(test, world_map(w, 1, 0x7000, 8, 8, 0), -EEXIST);
	KUNIT_EXPECT_EQ(test, world_map(w, 0, 0x1000, 0, 8, 0), -EEXIST);
	KUNIT_EXPECT_EQ(test, world_map(w, 0, 0, 0, 0, 0), 0);
	KUNIT_EXPECT_EQ(test, world_map(w, 1, 0x7000, 8, 8, 0), 0);
	done(test, w);
}

static struct kunit_case shadow_cases[] = {
	KUNIT_CASE(leaf_table_goes_out_of_sync),
	KUNIT_CASE(filtered_faults_are_genuine),
	KUNIT_CASE(writes_to_upper_tables_count_at_once),
	KUNIT_CASE(parents_of_one_table_differ),
	KUNIT_CASE(huge_page_with_two_permissions),
	KUNIT_CASE(unsynced_child_is_linked),
	KUNIT_CASE(dirty_log_misses_nothing),
	KUNIT_CASE(marks_hold_from_the_reading),
	KUNIT_CASE(removed_slot_leaves_nothing),
	KUNIT_CASE(read_only_slot_is_never_written),
	KUNIT_CASE(sync_keeps_tables_protected),
	KUNIT_CASE(bad_cr3_is_harmless),
	KUNIT_CASE(host_takes_pages_away),
	KUNIT_CASE(bound_is_kept),
	KUNIT_CASE(memory_slots_refuse_nonsense),
	{}
};

static int shadow_init(struct kunit_suite *suite)
{
	return gondola_mmu_module_init();
}

static void shadow_exit(struct kunit_suite *suite)
{
	gondola_mmu_module_exit();
}

static struct kunit_suite shadow_suite = {
	.name = "gondola_shadow",
	.suite_init = shadow_init,
	.suite_exit = shadow_exit,
	.test_cases = shadow_cases,
};

kunit_test_suite(shadow_suite);
