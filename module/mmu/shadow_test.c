// SPDX-License-Identifier: GPL-2.0-only
/* Shadow tables: named cases. Known failures of others are in failures_test.c. */
#include <kunit/test.h>
#include "test_world.h"

/* A leaf table is written freely, and its changes count from the next flush on. */
static void leaf_table_goes_out_of_sync(struct kunit *test)
{
	struct world *w = world_identity(test, 0);
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
	world_done(test, w);
}

static void writes_to_upper_tables_count_at_once(struct kunit *test)
{
	struct world *w = world_identity(test, 0);
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
	world_done(test, w);
}

/* Memory that the launcher may write is read-only to the guest all the same. */
static void read_only_slot_is_never_written(struct kunit *test)
{
	struct world *w = world_identity(test, 0);
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
	world_done(test, w);
}

/* A page that the host takes is used no more, and comes back when it is wanted. */
static void host_takes_pages_away(struct kunit *test)
{
	struct world *w = world_identity(test, 0);

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
	world_done(test, w);
}

/* A bound on shadow pages slows a guest down, and does nothing else. */
static void bound_is_kept(struct kunit *test)
{
	struct world *w = world_identity(test, 64);
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
	world_done(test, w);
}

static void memory_slots_refuse_nonsense(struct kunit *test)
{
	struct world *w = world_create(0);

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
	world_done(test, w);
}

/* A mark holds from the clearing of the log on, so that each round's events are its pages. */
static void marks_hold_from_the_clearing(struct kunit *test)
{
	struct world *w = world_identity(test, 0);
	struct gondola_slot *slot = &w->vm.mmu.slots[0];
	u64 bitmap[WORLD_PAGES / 64], before;

	w->vm.phase = 1;
	KUNIT_ASSERT_EQ(test, world_map(w, 0, 0, 0, WORLD_PAGES, GONDOLA_MEM_LOG_DIRTY), 0);
	KUNIT_EXPECT_EQ(test, slot->stamps[0x60 / 64].phase, 1u);
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
	KUNIT_EXPECT_EQ(test, slot->stamps[0x60 / 64].phase, 1u);
	mutex_lock(&w->vm.lock);
	KUNIT_ASSERT_EQ(test, gondola_mmu_get_dirty(&w->vm, 0, 64, 64, bitmap), 0);
	KUNIT_EXPECT_EQ(test, bitmap[0], BIT_ULL(0x60 - 64));
	KUNIT_EXPECT_EQ(test, slot->stamps[1].phase, 1u);
	/* Of the pages that are cleared, and no others; also where the reading found nothing. */
	must_write(test, w, 0x61000, 1);
	bitmap[0] = ~0ull;
	KUNIT_ASSERT_EQ(test, gondola_mmu_clear_dirty(&w->vm, 0, 64, 64, bitmap), 0);
	KUNIT_EXPECT_EQ(test, bitmap[0], BIT_ULL(0x60 - 64) | BIT_ULL(0x61 - 64));
	bitmap[0] = 0;
	KUNIT_ASSERT_EQ(test, gondola_mmu_clear_dirty(&w->vm, 0, 192, 64, bitmap), 0);
	mutex_unlock(&w->vm.lock);
	KUNIT_EXPECT_EQ(test, slot->stamps[3].phase, 2u);
	KUNIT_EXPECT_EQ(test, slot->stamps[0].phase, 1u);
	KUNIT_EXPECT_EQ(test, slot->stamps[1].phase, 2u);
	KUNIT_EXPECT_EQ(test, slot->stamps[1].round, 3u);
	KUNIT_EXPECT_EQ(test, slot->stamps[2].phase, 1u);
	world_done(test, w);
}

/* INVLPG of one address ends the whole large page, although its pieces are apart here. */
static void invlpg_forgets_a_large_page(struct kunit *test)
{
	struct world *w = world_identity(test, 0);
	unsigned int i;

	/* 0x3010 keeps the direct page alive when 0x3008 leads elsewhere. */
	*world_u64(w, 0x3008) = FULL | PT_PS | PT_A | PT_D;
	*world_u64(w, 0x3010) = FULL | PT_PS | PT_A | PT_D;
	for (i = 0; i < WORLD_PAGES; i++)
		*world_u64(w, 0x5000 + i * 8) = (0x100000 + i * 4096ull) | FULL | PT_A | PT_D;
	*world_u64(w, 0x29000) = 29;
	*world_u64(w, 0x129000) = 129;
	must_read(test, w, 0x3000);
	must_read(test, w, 0x400000 + 0x29000);
	KUNIT_EXPECT_EQ(test, must_read(test, w, 0x200000 + 0x29000), 29ull);
	must_write(test, w, 0x3008, 0x5000 | FULL | PT_A);
	world_invlpg(w, 0x200000);
	KUNIT_EXPECT_EQ(test, must_read(test, w, 0x200000 + 0x29000), 129ull);
	world_done(test, w);
}

/* Taking the D bits of a table's mapping also takes them from the TLB. */
static void harvested_dirty_bits_are_flushed(struct kunit *test)
{
	struct world *w = world_identity(test, 0);

	*world_u64(w, 0x21000) = 21;
	*world_u64(w, 0x22000) = 22;
	must_read(test, w, 0x22000);
	/* Out of sync, written, synced, and written once more: the TLB knows the mapping as dirty. */
	must_write(test, w, 0x4000 + 8 * 0x20, 0x21000 | FULL | PT_A | PT_D);
	world_set_cr3(w, 0x1000);
	must_read(test, w, 0x20000);
	must_write(test, w, 0x4000 + 8 * 0x20, 0x22000 | FULL | PT_A | PT_D);
	/* A new way to the directory looks at the tables below. */
	*world_u64(w, 0x2008) = 0x3000 | FULL;
	must_read(test, w, 0x40030000);
	must_write(test, w, 0x4000 + 8 * 0x22, 0x21000 | FULL | PT_A | PT_D);
	world_set_cr3(w, 0x1000);
	KUNIT_EXPECT_EQ(test, must_read(test, w, 0x22000), 21ull);
	world_done(test, w);
}

static bool is_shadowed(struct world *w, gfn_t gfn)
{
	bool found;

	spin_lock(&w->vm.mmu.lock);
	found = mmu_find_frame(&w->vm, gfn)->nr_tables;
	spin_unlock(&w->vm.mmu.lock);
	return found;
}

/* A table that nothing leads to is being freed by the guest: it is written freely from then on. */
static void orphans_go(struct kunit *test)
{
	struct world *w = world_identity(test, 0);

	*world_u64(w, 0x3008) = 0x60000 | FULL;
	*world_u64(w, 0x60000) = 0x20000 | FULL;
	must_read(test, w, 0x200000);
	KUNIT_EXPECT_TRUE(test, is_shadowed(w, 0x60));
	must_write(test, w, 0x3008, 0);
	KUNIT_EXPECT_FALSE(test, is_shadowed(w, 0x60));
	world_done(test, w);
}

/*
 * A sync that no flush by the guest asked for: the guest may still write a table through a
 * translation that it took back and that its processor remembers, until it flushes.
 */
static void writes_after_an_unasked_sync_are_seen(struct kunit *test)
{
	const u64 gone = 0, other = 0x21000 | FULL | PT_A | PT_D;
	struct world *w = world_identity(test, 0);
	u64 value = other, seen;
	struct gondola_access out;
	u32 error;

	*world_u64(w, 0x20000) = 20;
	*world_u64(w, 0x21000) = 21;
	*world_u64(w, 0x3008) = 0x5000 | FULL;
	must_write(test, w, 0x5000, 0x20000 | FULL | PT_A | PT_D);
	KUNIT_EXPECT_EQ(test, must_read(test, w, 0x200000), 20ull);
	/* Both leaf tables go out of sync, 0x5000 before the one that maps it. */
	must_write(test, w, 0x5000, 0x20000 | FULL | PT_A | PT_D);
	must_write(test, w, 0x4000 + 8 * 0x100, 0x100000 | FULL | PT_A | PT_D);
	world_set_cr3(w, 0x1000);
	must_write(test, w, 0x5000, 0x20000 | FULL | PT_A | PT_D);
	/* An emulated write takes the mapping back; a new way to both tables syncs them. */
	seen = gone;
	KUNIT_ASSERT_EQ(test, gondola_mmu_access(&w->vcpu, 0x4000 + 8 * 5, &seen, 8, PFEC_W, &out),
			GONDOLA_ACCESS_OK);
	must_write(test, w, 0x2008, 0x3000 | FULL | PT_A);
	/* Whether the processor has forgotten it is the processor's to say. */
	world_access(w, 0x5000, PFEC_W, &value, &error);
	seen = *world_u64(w, 0x5000) == other ? 21 : 20;
	world_set_cr3(w, 0x1000);
	KUNIT_EXPECT_EQ(test, must_read(test, w, 0x200000), seen);
	world_done(test, w);
}

/* Bytes that host and guest share do not lie in page tables, whatever the guest says. */
static void tables_are_not_exchanged(struct kunit *test)
{
	struct world *w = world_identity(test, 0);
	u64 entry;
	u8 old;

	must_read(test, w, 0x20000);
	entry = *world_u64(w, 0x4000 + 8 * 0x21);
	KUNIT_EXPECT_EQ(test, gondola_gpa_exchange(&w->vcpu, 0x4000 + 8 * 0x21, 0xff, &old),
			-EFAULT);
	KUNIT_EXPECT_FALSE(test, gondola_gpa_try_or(&w->vm, 0x4000 + 8 * 0x21, 0xff));
	KUNIT_EXPECT_EQ(test, *world_u64(w, 0x4000 + 8 * 0x21), entry);
	world_done(test, w);
}

static struct gondola_shadow look(struct world *w, gva_t gva, gpa_t gpa)
{
	struct gondola_shadow seen = { .gva = gva, .gpa = gpa };

	/* The answer must not depend on the previous content of this memory. */
	memset(seen.level, 0xee, sizeof(seen.level));
	seen.page = seen.nr_mappings = seen.nr_levels = 0xeeeeeeee;
	gondola_mmu_look(&w->vcpu, &seen);
	return seen;
}

static void entries_are_shown(struct kunit *test)
{
	struct world *w = world_identity(test, 0);
	struct gondola_shadow seen = look(w, 0x20000, 0x20000);
	unsigned int i;
	u64 sptes;

	KUNIT_EXPECT_EQ(test, seen.nr_levels, 0u);
	KUNIT_EXPECT_EQ(test, seen.root, GONDOLA_ROOT_STALE);
	must_read(test, w, 0x20000);
	sptes = w->vm.mmu.nr_sptes;
	seen = look(w, 0x20000, 0x20000);
	KUNIT_ASSERT_EQ(test, seen.nr_levels, 4u);
	KUNIT_EXPECT_EQ(test, seen.root, 0u);
	for (i = 0; i < 4; i++) {
		KUNIT_EXPECT_EQ(test, seen.level[i].level, 4 - i);
		KUNIT_EXPECT_EQ(test, seen.level[i].gfn, i + 1ull);
		KUNIT_EXPECT_EQ(test, seen.level[i].flags, 0u);
		KUNIT_EXPECT_EQ(test, seen.level[i].entry & FULL, (u64)FULL);
		KUNIT_EXPECT_EQ(test, seen.level[i].entry & PT_ADDR, 0ull);
	}
	KUNIT_EXPECT_EQ(test, seen.level[2].guest & PT_ADDR, 0x4000ull);
	KUNIT_EXPECT_EQ(test, seen.level[3].guest, 0x20000 | FULL | PT_A | PT_D);
	KUNIT_EXPECT_EQ(test, seen.page,
			GONDOLA_PAGE_MEMORY | GONDOLA_PAGE_PRESENT | GONDOLA_PAGE_WRITABLE);
	KUNIT_EXPECT_EQ(test, seen.nr_mappings, 1u);
	/* An address that nobody used, and one that leads nowhere. */
	seen = look(w, 0x40000000, WORLD_PAGES * 4096ull);
	KUNIT_EXPECT_EQ(test, seen.nr_levels, 2u);
	KUNIT_EXPECT_EQ(test, seen.level[1].entry, 0ull);
	KUNIT_EXPECT_EQ(test, seen.level[1].guest, 0ull);
	KUNIT_EXPECT_EQ(test, seen.page, 0u);
	KUNIT_EXPECT_EQ(test, w->vm.mmu.nr_sptes, sptes);
	gondola_mmu_zap_all(&w->vm);
	KUNIT_EXPECT_EQ(test, look(w, 0x20000, 0).nr_levels, 0u);
	world_done(test, w);
}

/* Each of the facts by which an entry is empty, read-only or out of sync. */
static void reasons_are_shown(struct kunit *test)
{
	struct world *w = world_identity(test, 0);
	struct gondola_shadow seen;

	must_read(test, w, 0x4000);
	seen = look(w, 0x4000, 0x4000);
	KUNIT_EXPECT_EQ(test, seen.level[3].entry & PT_W, 0ull);
	KUNIT_EXPECT_EQ(test, seen.nr_tables, 1u);
	KUNIT_EXPECT_EQ(test, seen.nr_unsync, 0u);
	must_write(test, w, 0x4000 + 8 * 0x20, 0x21000 | FULL | PT_A | PT_D);
	seen = look(w, 0x4000, 0x4000);
	KUNIT_EXPECT_NE(test, seen.level[3].entry & PT_W, 0ull);
	KUNIT_EXPECT_EQ(test, seen.level[3].flags, GONDOLA_SHADOW_UNSYNC);
	KUNIT_EXPECT_EQ(test, seen.nr_unsync, 1u);

	must_write(test, w, 0x80000, 6);
	world_host_takes(w, 0x80);
	seen = look(w, 0x80000, 0x80000);
	KUNIT_EXPECT_EQ(test, seen.nr_levels, 4u);
	KUNIT_EXPECT_EQ(test, seen.level[3].entry, 0ull);
	KUNIT_EXPECT_EQ(test, seen.page, GONDOLA_PAGE_MEMORY);

	must_write(test, w, 0x90000, 9);
	KUNIT_ASSERT_EQ(test, world_map(w, 0, 0, 0, WORLD_PAGES, GONDOLA_MEM_LOG_DIRTY), 0);
	clear_log(test, w);
	seen = look(w, 0x90000, 0x90000);
	KUNIT_EXPECT_NE(test, seen.page & GONDOLA_PAGE_CLEAN, 0u);
	KUNIT_EXPECT_EQ(test, seen.level[3].entry & PT_W, 0ull);
	must_write(test, w, 0x90000, 9);
	KUNIT_EXPECT_EQ(test, look(w, 0x90000, 0x90000).page & GONDOLA_PAGE_CLEAN, 0u);

	/* A large page of the guest is mapped in pieces, by a table that the guest does not have. */
	*world_u64(w, 0x3008) = FULL | PT_PS | PT_A | PT_D;
	must_read(test, w, 0x200000 + 0x29000);
	seen = look(w, 0x200000 + 0x29000, 0x29000);
	KUNIT_EXPECT_EQ(test, seen.level[3].flags, GONDOLA_SHADOW_DIRECT);
	KUNIT_EXPECT_EQ(test, seen.level[3].gfn, 0ull);
	KUNIT_EXPECT_EQ(test, seen.level[3].guest, 0ull);
	world_done(test, w);
}

static struct gondola_shadows count(struct world *w)
{
	struct gondola_shadows seen;

	memset(&seen, 0xee, sizeof(seen));
	mmu_steps.most = 0;
	mutex_lock(&w->vm.lock);
	gondola_mmu_count(&w->vm, &seen);
	mutex_unlock(&w->vm.lock);
	return seen;
}

static void tables_are_counted(struct kunit *test)
{
	struct world *w = world_identity(test, 0);
	struct gondola_shadow_kind *kind;
	struct gondola_shadows seen;
	unsigned int level;

	/* Two addresses lead to one page. */
	*world_u64(w, 0x4000 + 8 * 0x21) = 0x20000 | FULL | PT_A | PT_D;
	must_read(test, w, 0x20000);
	must_read(test, w, 0x21000);
	must_write(test, w, 0x4000 + 8 * 0x30, 0x30000 | FULL | PT_A | PT_D);
	seen = count(w);
	for (level = 1; level <= 4; level++) {
		kind = &seen.kind[level - 1][GONDOLA_SHADOW_LONG_MODE];
		KUNIT_EXPECT_EQ(test, kind->tables, 1u);
		KUNIT_EXPECT_EQ(test, kind->unsync, level == 1 ? 1u : 0u);
		KUNIT_EXPECT_EQ(test, kind->roots, level == 4 ? 1u : 0u);
		KUNIT_EXPECT_EQ(test, kind->entries, level == 1 ? w->vm.mmu.nr_sptes : 1);
	}
	KUNIT_EXPECT_EQ(test, seen.kind[0][GONDOLA_SHADOW_NO_TABLE].tables, 0u);
	KUNIT_EXPECT_EQ(test, seen.mapped[2], 1ull);
	KUNIT_EXPECT_EQ(test, seen.mapped[1], w->vm.mmu.nr_sptes - 2);
	KUNIT_EXPECT_EQ(test, seen.mapped[3], 0ull);
	KUNIT_EXPECT_EQ(test, seen.table_bytes,
			4 * (sizeof(struct gondola_shadow_page) + 2 * GONDOLA_PAGE_SIZE));
	/* One bag has a chunk. */
	KUNIT_EXPECT_EQ(test, seen.rmap_bytes, 128ull);
	KUNIT_EXPECT_EQ(test, seen.frame_bytes, WORLD_PAGES * sizeof(struct gondola_frame));
	KUNIT_EXPECT_EQ(test, seen.max_tables, w->vm.mmu.max_pages);
	/* The lock was given up between the buckets and the frames. */
	KUNIT_EXPECT_LE(test, mmu_steps.most, (u64)WORLD_PAGES);

	/* A large page has pieces, by a table that the guest does not have. */
	*world_u64(w, 0x3008) = FULL | PT_PS | PT_A | PT_D;
	must_read(test, w, 0x200000 + 0x29000);
	KUNIT_EXPECT_EQ(test, count(w).kind[0][GONDOLA_SHADOW_NO_TABLE].tables, 1u);
	world_done(test, w);
}

/* Outside long mode the way begins with one of four directory pointers. */
static void directory_pointers_are_shown(struct kunit *test)
{
	struct world *w = world_identity(test, 0);
	struct gondola_shadow seen;

	*world_u32(w, 0x6000 + 4) = 0x7000 | FULL | PT_A;
	*world_u32(w, 0x7000) = 0x30000 | FULL | PT_A | PT_D;
	*world_u32(w, 0x30000) = 5;
	world_set_mode(w, WORLD_32);
	world_set_cr3(w, 0x6000);
	must_read(test, w, 0x400000);
	seen = look(w, 0x400000, 0x30000);
	KUNIT_ASSERT_EQ(test, seen.nr_levels, 3u);
	KUNIT_EXPECT_EQ(test, seen.level[0].level, 3u);
	KUNIT_EXPECT_EQ(test, seen.level[1].gfn, 6ull);
	KUNIT_EXPECT_EQ(test, seen.level[2].gfn, 7ull);
	KUNIT_EXPECT_EQ(test, seen.level[2].guest, 0x30000 | FULL | PT_A | PT_D);
	world_done(test, w);
}

static struct kunit_case shadow_cases[] = {
	KUNIT_CASE(entries_are_shown),
	KUNIT_CASE(reasons_are_shown),
	KUNIT_CASE(directory_pointers_are_shown),
	KUNIT_CASE(tables_are_counted),
	KUNIT_CASE(orphans_go),
	KUNIT_CASE(tables_are_not_exchanged),
	KUNIT_CASE(harvested_dirty_bits_are_flushed),
	KUNIT_CASE(writes_after_an_unasked_sync_are_seen),
	KUNIT_CASE(leaf_table_goes_out_of_sync),
	KUNIT_CASE(writes_to_upper_tables_count_at_once),
	KUNIT_CASE(read_only_slot_is_never_written),
	KUNIT_CASE(marks_hold_from_the_clearing),
	KUNIT_CASE(invlpg_forgets_a_large_page),
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
