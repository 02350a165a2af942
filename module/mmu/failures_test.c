// SPDX-License-Identifier: GPL-2.0-only
/*
 * Known failures of shadow MMUs, found in other monitors over the years: here each has a case of
 * its own.  The numbers are those of the table in Documentation/testing.rst; the races, 5 and 6,
 * are in races_test.c.
 */
#include <kunit/test.h>
#include "test_world.h"

/* 1: two parents of one table grant different rights. */
static void failure_01_parents_of_one_table_differ(struct kunit *test)
{
	struct world *w = world_identity(test, 0);

	*world_u64(w, 0x3008) = 0x4000 | PT_P | PT_U;
	*world_u64(w, 0x3010) = 0x4000 | PT_P | PT_W;
	must_write(test, w, 0x40000, 1);
	must_fault(test, w, 0x200000 + 0x40000, PFEC_W, PFEC_W | PFEC_P);
	KUNIT_EXPECT_EQ(test, must_read(test, w, 0x200000 + 0x40000), 1ull);
	must_fault(test, w, 0x400000 + 0x40000, PFEC_U, PFEC_U | PFEC_P);
	must_write(test, w, 0x400000 + 0x40000, 2);
	must_write(test, w, 0x40000, 3);
	world_done(test, w);
}

/* 2: one huge page is mapped with two permissions. */
static void failure_02_huge_page_with_two_permissions(struct kunit *test)
{
	struct world *w = world_identity(test, 0);
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
	world_done(test, w);
}

/* 3: a table out of sync is linked from a new parent; no flush by the guest is due. */
static void failure_03_unsynced_child_is_linked(struct kunit *test)
{
	struct world *w = world_identity(test, 0);

	*world_u64(w, 0x20000) = 20;
	*world_u64(w, 0x21000) = 21;
	KUNIT_EXPECT_EQ(test, must_read(test, w, 0x20000), 20ull);
	must_write(test, w, 0x4000 + 8 * 0x20, 0x21000 | FULL | PT_A | PT_D);
	*world_u64(w, 0x3018) = 0x4000 | FULL;
	/* Another address makes the link; the one that changed must not be served as it was. */
	must_read(test, w, 0x600000 + 0x30000);
	KUNIT_EXPECT_EQ(test, must_read(test, w, 0x600000 + 0x20000), 21ull);
	world_done(test, w);
}

/* 3: the same further down: an upper table in sync leads to one that is not. */
static void failure_03_unsynced_grandchild_is_linked(struct kunit *test)
{
	struct world *w = world_identity(test, 0);

	*world_u64(w, 0x20000) = 20;
	*world_u64(w, 0x21000) = 21;
	/* A second root whose directories are the first one's. */
	*world_u64(w, 0x8000) = 0x9000 | FULL;
	KUNIT_EXPECT_EQ(test, must_read(test, w, 0x20000), 20ull);
	must_write(test, w, 0x4000 + 8 * 0x20, 0x21000 | FULL | PT_A | PT_D);
	world_set_cr3(w, 0x8000);
	/* Linked only now, after the flush that CR3 was. */
	*world_u64(w, 0x9000) = 0x3000 | FULL;
	must_read(test, w, 0x30000);
	KUNIT_EXPECT_EQ(test, must_read(test, w, 0x20000), 21ull);
	world_done(test, w);
}

/* 3: an upper entry is written through, and leads to an upper table above one out of sync. */
static void failure_03_unsynced_grandchild_by_a_write(struct kunit *test)
{
	struct world *w = world_identity(test, 0);

	*world_u64(w, 0x20000) = 20;
	*world_u64(w, 0x21000) = 21;
	KUNIT_EXPECT_EQ(test, must_read(test, w, 0x20000), 20ull);
	/* The second gigabyte's directory is a third table until it becomes the first one's. */
	*world_u64(w, 0x2008) = 0xa000 | FULL | PT_A;
	*world_u64(w, 0x8000) = 0x9000 | FULL | PT_A;
	*world_u64(w, 0x9000) = 0xa000 | FULL | PT_A;
	*world_u64(w, 0xa000) = 0x4000 | FULL | PT_A;
	*world_u64(w, 0x9008) = 0x4000 | FULL | PT_A;
	world_set_cr3(w, 0x8000);
	must_read(test, w, 0x9000);
	KUNIT_EXPECT_EQ(test, must_read(test, w, 0x20000), 20ull);
	/* Only the first root leads to 0x3000; then its leaf table goes out of sync … */
	must_write(test, w, 0x4000 + 8 * 0x20, 0x21000 | FULL | PT_A | PT_D);
	/* … and the second root is led to it by an emulated write. */
	must_write(test, w, 0x9010, 0x3000 | FULL | PT_A);
	must_read(test, w, 0x80030000ull);
	KUNIT_EXPECT_EQ(test, must_read(test, w, 0x80020000ull), 21ull);
	world_done(test, w);
}

#define NOWHERE	((WORLD_PAGES + 5) * 4096ull)

/* 4: the host turns an entry that is mapped into one that leads to a device. */
static void failure_04_mmio_entry_over_a_present_one(struct kunit *test)
{
	struct world *w = world_identity(test, 0);
	u64 *entry = world_u64(w, 0x4000 + 8 * 0x20), value = 7, memory;
	u32 error;

	*world_u64(w, 0x20000) = 20;
	*entry = 0x20000 | PT_P | PT_U;
	KUNIT_EXPECT_EQ(test, must_read(test, w, 0x20000), 20ull);
	memory = *world_u64(w, 0x20000);
	/* Untold: the entry is mapped read-only, and the write finds another one. */
	*entry = NOWHERE | FULL;
	KUNIT_EXPECT_EQ(test, world_access(w, 0x20000, PFEC_W, &value, &error), WORLD_MMIO);
	KUNIT_EXPECT_EQ(test, *world_u64(w, 0x20000), memory);
	/* Told: nothing is left of the old one, for reads either. */
	KUNIT_EXPECT_EQ(test, gondola_mmu_mark_dirty(&w->vm, 0x4000 + 8 * 0x20, 8,
						     GONDOLA_DIRTY_DEVICE, ""), 0);
	KUNIT_EXPECT_EQ(test, world_access(w, 0x20000, 0, &value, &error), WORLD_MMIO);
	KUNIT_EXPECT_EQ(test, gondola_mmu_audit(&w->vm), 0);
	/* And back, by the other way in which the host writes. */
	value = 0x20000 | FULL;
	KUNIT_EXPECT_EQ(test, gondola_gpa_write(&w->vcpu, 0x4000 + 8 * 0x20, &value, 8), 0);
	KUNIT_EXPECT_EQ(test, must_read(test, w, 0x20000), 20ull);
	must_write(test, w, 0x20000, 21);
	world_done(test, w);
}

/* 4: into one that leads to another page. */
static void failure_04_another_frame_over_a_present_one(struct kunit *test)
{
	struct world *w = world_identity(test, 0);

	*world_u64(w, 0x21000) = 21;
	*world_u64(w, 0x4000 + 8 * 0x20) = 0x20000 | PT_P | PT_U;
	must_read(test, w, 0x20000);
	/* Untold: the entry is mapped read-only, and the write finds another page. */
	*world_u64(w, 0x4000 + 8 * 0x20) = 0x21000 | FULL;
	must_write(test, w, 0x20000, 22);
	KUNIT_EXPECT_EQ(test, *world_u64(w, 0x21000), 22ull);
	KUNIT_EXPECT_FALSE(test, w->vm.dead);
	world_done(test, w);
}

/* 4: the same by a guest's write to a table out of sync. */
static void failure_04_mmio_entry_by_sync(struct kunit *test)
{
	struct world *w = world_identity(test, 0);
	u64 value = 7;
	u32 error;

	*world_u64(w, 0x20000) = 20;
	must_write(test, w, 0x20000, 20);
	must_write(test, w, 0x4000 + 8 * 0x20, NOWHERE | FULL | PT_A | PT_D);
	world_invlpg(w, 0x20000);
	KUNIT_EXPECT_EQ(test, world_access(w, 0x20000, PFEC_W, &value, &error), WORLD_MMIO);
	KUNIT_EXPECT_EQ(test, *world_u64(w, 0x20000), 20ull);
	must_write(test, w, 0x4000 + 8 * 0x20, 0x20000 | FULL | PT_A | PT_D);
	must_write(test, w, 0x20000, 22);
	world_done(test, w);
}

/* 7: the log has every write, from any writer and with any CR0.WP. */
static void failure_07_dirty_log_misses_nothing(struct kunit *test)
{
	struct world *w = world_identity(test, 0);
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
	world_done(test, w);
}

/* 7: a sync that maps a page writable does not pass its dirty bit by. */
static void failure_07_dirty_is_not_lost_on_sync(struct kunit *test)
{
	struct world *w = world_identity(test, 0);

	must_read(test, w, 0x60000);
	KUNIT_ASSERT_EQ(test, world_map(w, 0, 0, 0, WORLD_PAGES, GONDOLA_MEM_LOG_DIRTY), 0);
	/* A log that begins counts all pages as written. */
	KUNIT_EXPECT_TRUE(test, must_log(test, w, 0x71));
	clear_log(test, w);
	/* 0x4000 is out of sync; its entry 0x70 becomes a writable and dirty one of a clean page. */
	must_read(test, w, 0x70000);
	must_write(test, w, 0x4000 + 8 * 0x70, 0x71000 | FULL | PT_A | PT_D);
	world_invlpg(w, 0x70000);
	KUNIT_EXPECT_EQ(test, gondola_mmu_audit(&w->vm), 0);
	must_read(test, w, 0x70000);
	KUNIT_EXPECT_FALSE(test, must_log(test, w, 0x71));
	must_write(test, w, 0x70000, 1);
	KUNIT_EXPECT_TRUE(test, must_log(test, w, 0x71));
	/* The same where the guest's flush syncs the whole table. */
	clear_log(test, w);
	must_write(test, w, 0x4000 + 8 * 0x72, 0x73000 | FULL | PT_A | PT_D);
	world_set_cr3(w, 0x1000);
	must_read(test, w, 0x72000);
	must_write(test, w, 0x72000, 1);
	KUNIT_EXPECT_TRUE(test, must_log(test, w, 0x73));
	/* Writes to the table itself count, too. */
	KUNIT_EXPECT_TRUE(test, must_log(test, w, 4));
	world_done(test, w);
}

/* 7: with CR0.WP clear two large pages of one range differ in D, and each must get its own. */
static void failure_07_large_pages_with_wp_clear(struct kunit *test)
{
	struct world *w = world_identity(test, 0);

	*world_u64(w, 0x3008) = PT_P | PT_U | PT_PS | PT_A;
	*world_u64(w, 0x3010) = FULL | PT_PS | PT_A;
	w->vcpu.cr0 &= ~CR0_WP;
	gondola_mmu_mode_changed(&w->vcpu);
	must_read(test, w, 0x400000 + 0x60000);
	must_write(test, w, 0x200000 + 0x60000, 1);
	KUNIT_EXPECT_TRUE(test, *world_u64(w, 0x3008) & PT_D);
	KUNIT_EXPECT_FALSE(test, *world_u64(w, 0x3010) & PT_D);
	must_write(test, w, 0x400000 + 0x60000, 2);
	KUNIT_EXPECT_TRUE(test, *world_u64(w, 0x3010) & PT_D);
	world_done(test, w);
}

/* 8: a large page is mapped when its range begins to be logged: writes go on, and are seen. */
static void failure_08_large_page_when_the_log_begins(struct kunit *test)
{
	struct world *w = world_identity(test, 0);

	*world_u64(w, 0x3008) = FULL | PT_PS;
	must_read(test, w, 0x200000 + 0x60000);
	must_write(test, w, 0x200000 + 0x61000, 1);
	KUNIT_ASSERT_EQ(test, world_map(w, 0, 0, 0, WORLD_PAGES, GONDOLA_MEM_LOG_DIRTY), 0);
	must_write(test, w, 0x200000 + 0x61000, 2);
	clear_log(test, w);
	must_read(test, w, 0x200000 + 0x60000);
	must_write(test, w, 0x200000 + 0x60000, 2);
	must_write(test, w, 0x200000 + 0x61000, 2);
	KUNIT_EXPECT_TRUE(test, must_log(test, w, 0x60));
	KUNIT_EXPECT_TRUE(test, must_log(test, w, 0x61));
	clear_log(test, w);
	/* Read-only by the log now; a write must end, not fault for ever. */
	must_write(test, w, 0x200000 + 0x61000, 3);
	KUNIT_EXPECT_TRUE(test, must_log(test, w, 0x61));
	KUNIT_EXPECT_FALSE(test, must_log(test, w, 0x60));
	/* One that is the guest's own read-only page ends in its fault. */
	*world_u64(w, 0x3010) = PT_P | PT_U | PT_PS;
	must_read(test, w, 0x400000 + 0x60000);
	must_fault(test, w, 0x400000 + 0x60000, PFEC_W, PFEC_W | PFEC_P);
	world_done(test, w);
}

/* 9: nothing may be left of a slot that is gone. */
static void failure_09_removed_slot_leaves_nothing(struct kunit *test)
{
	struct world *w = world_identity(test, 0);
	u64 value = 0;
	u32 error;

	KUNIT_ASSERT_EQ(test, world_map(w, 1, WORLD_PAGES * 4096ull, 256, 16, 0), 0);
	*world_u64(w, 0x4000 + 8 * 0x70) = WORLD_PAGES * 4096ull | FULL;
	must_write(test, w, 0x70000, 5);
	KUNIT_EXPECT_EQ(test, *world_u64(w, 256 * 4096), 5ull);
	KUNIT_ASSERT_EQ(test, world_map(w, 1, 0, 0, 0, 0), 0);
	KUNIT_EXPECT_EQ(test, world_access(w, 0x70000, PFEC_W, &value, &error), WORLD_MMIO);
	KUNIT_EXPECT_EQ(test, *world_u64(w, 256 * 4096), 5ull);
	world_done(test, w);
}

/* 9: many entries, of every kind, map the slot that goes. */
static void failure_09_no_entry_is_missed(struct kunit *test)
{
	struct world *w = world_identity(test, 0);
	const gpa_t base = WORLD_PAGES * 4096ull;
	unsigned int i;
	u64 value;
	u32 error;

	KUNIT_ASSERT_EQ(test, world_map(w, 1, base, 256, 16, 0), 0);
	/* Forty aliases of one page, in two tables, one of them out of sync; one upper table there. */
	*world_u64(w, 0x3008) = 0x5000 | FULL;
	for (i = 0; i < 40; i++)
		*world_u64(w, (i & 1 ? 0x4000 : 0x5000) + 8 * (0x80 + i)) = base | FULL | PT_A | PT_D;
	*world_u64(w, 0x3010) = (base + 0x1000) | FULL;
	*world_u64(w, 257 * 4096) = 0x20000 | FULL | PT_A;
	for (i = 0; i < 40; i++)
		must_write(test, w, (i & 1 ? 0 : 0x200000) + (0x80 + i) * 4096, i);
	must_write(test, w, 0x5000, 0);
	must_read(test, w, 0x400000);
	/* With CR0.WP clear there are pages of another role. */
	w->vcpu.cr0 &= ~CR0_WP;
	gondola_mmu_mode_changed(&w->vcpu);
	must_write(test, w, 0x81000, 77);
	KUNIT_ASSERT_EQ(test, world_map(w, 1, 0, 0, 0, 0), 0);
	KUNIT_EXPECT_EQ(test, gondola_mmu_audit(&w->vm), 0);
	for (i = 0; i < 40; i++) {
		value = 1000 + i;
		KUNIT_EXPECT_EQ(test, world_access(w, (i & 1 ? 0 : 0x200000) + (0x80 + i) * 4096,
						   PFEC_W, &value, &error), WORLD_MMIO);
	}
	must_fault(test, w, 0x400000, 0, PFEC_P | PFEC_RSVD);
	KUNIT_EXPECT_EQ(test, *world_u64(w, 256 * 4096), 77ull);
	world_done(test, w);
}

/* 10: syncing one table must not make another one writable. */
static void failure_10_sync_keeps_tables_protected(struct kunit *test)
{
	struct world *w = world_identity(test, 0);

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
	world_done(test, w);
}

static void set_efer(struct world *w, u64 efer)
{
	w->vcpu.efer = efer;
	gondola_mmu_mode_changed(&w->vcpu);
}

/* 11: what NX means depends on EFER.NXE, and shadows of both meanings live side by side. */
static void failure_11_nxe_is_in_the_role(struct kunit *test)
{
	struct world *w = world_identity(test, 0);
	const u64 nxe = w->vcpu.efer;
	unsigned int round;

	*world_u64(w, 0x4000 + 8 * 0x20) |= PT_NX;
	*world_u64(w, 0x3008) = 0x4000 | FULL | PT_NX;
	*world_u64(w, 0x3010) = FULL | PT_PS | PT_NX;
	for (round = 0; round < 3; round++) {
		set_efer(w, nxe);
		must_read(test, w, 0x20000);
		must_read(test, w, 0x200000);
		must_read(test, w, 0x400000);
		must_fault(test, w, 0x20000, PFEC_I, PFEC_I | PFEC_P);
		must_fault(test, w, 0x200000, PFEC_I | PFEC_U, PFEC_I | PFEC_U | PFEC_P);
		must_fault(test, w, 0x400000, PFEC_I, PFEC_I | PFEC_P);
		set_efer(w, nxe & ~EFER_F_NXE);
		must_fault(test, w, 0x20000, 0, PFEC_P | PFEC_RSVD);
		must_fault(test, w, 0x200000, 0, PFEC_P | PFEC_RSVD);
		must_fault(test, w, 0x400000, PFEC_W, PFEC_W | PFEC_P | PFEC_RSVD);
		must_read(test, w, 0x21000);
	}
	world_done(test, w);
}

/* 11: a page that CR0.WP = 0 makes the supervisor's stays what it was for SMEP and SMAP. */
static void failure_11_smep_and_smap_with_wp_clear(struct kunit *test)
{
	struct world *w = world_identity(test, 0);
	u64 value = 0;
	u32 error;

	*world_u64(w, 0x4000 + 8 * 0x20) = 0x20000 | PT_P | PT_U;
	w->vcpu.efer &= ~EFER_F_NXE;
	w->vcpu.cr0 &= ~CR0_WP;
	w->vcpu.cr4 |= CR4_SMEP;
	gondola_mmu_mode_changed(&w->vcpu);
	must_write(test, w, 0x20000, 1);
	must_fault(test, w, 0x20000, PFEC_I, PFEC_I | PFEC_P);
	must_write(test, w, 0x20000, 2);
	KUNIT_EXPECT_EQ(test, world_access(w, 0x20000, PFEC_I | PFEC_U, &value, &error), WORLD_DONE);
	must_fault(test, w, 0x20000, PFEC_W | PFEC_U, PFEC_W | PFEC_U | PFEC_P);
	w->vcpu.cr4 |= CR4_SMAP;
	gondola_mmu_mode_changed(&w->vcpu);
	must_fault(test, w, 0x20000, PFEC_W, PFEC_W | PFEC_P);
	w->vcpu.regs.rflags |= RFL_AC;
	must_write(test, w, 0x20000, 3);
	w->vcpu.regs.rflags &= ~RFL_AC;
	must_fault(test, w, 0x20000, PFEC_W, PFEC_W | PFEC_P);
	must_fault(test, w, 0x20000, 0, PFEC_P);
	world_done(test, w);
}

static struct gondola_shadow_page *table_at(struct world *w, gfn_t gfn)
{
	struct gondola_shadow_page *sp, *found = NULL;

	spin_lock(&w->vm.mmu.lock);
	mmu_for_each_table(&w->vm, gfn, sp)
		found = sp;
	spin_unlock(&w->vm.mmu.lock);
	return found;
}

#define MARK	77

/* 12: entries of an upper table are filled one by one, each used: it is a table, not data. */
static void failure_12_demand_paging_is_no_flood(struct kunit *test)
{
	struct world *w = world_identity(test, 0);
	struct gondola_shadow_page *directory;
	unsigned int i;

	must_read(test, w, 0x20000);
	directory = table_at(w, 3);
	KUNIT_ASSERT_NOT_NULL(test, directory);
	/* Another one might come to lie where this did: a mark that only this one has. */
	directory->quiet = MARK;
	for (i = 1; i < 64; i++) {
		must_write(test, w, 0x3000 + 8 * i, (0x40000 + i * 4096ull) | FULL);
		*world_u64(w, 0x40000 + i * 4096) = 0x20000 | FULL;
		must_read(test, w, (gva_t)i << 21);
		KUNIT_ASSERT_PTR_EQ(test, table_at(w, 3), directory);
	}
	KUNIT_EXPECT_EQ(test, directory->quiet, MARK);
	/* The use may also be of what is linked already. */
	for (i = 0x100; i < 0x120; i++) {
		must_write(test, w, 0x3000 + 8 * i, 0);
		*world_u64(w, 0x4000 + 8 * i) &= ~PT_A;
		must_read(test, w, (gva_t)i << 12);
	}
	KUNIT_ASSERT_PTR_EQ(test, table_at(w, 3), directory);
	KUNIT_EXPECT_EQ(test, directory->quiet, MARK);
	/* Another directory: without a use between them it is data, after a few. */
	*world_u64(w, 0x2008) = 0x9000 | FULL;
	*world_u64(w, 0x9000) = 0x4000 | FULL;
	must_read(test, w, 0x40020000);
	KUNIT_EXPECT_NOT_NULL(test, table_at(w, 9));
	for (i = 100; i < 110; i++)
		must_write(test, w, 0x9000 + 8 * i, i << 12);
	KUNIT_EXPECT_NULL(test, table_at(w, 9));
	world_done(test, w);
}

/* 12: each part of a two-level guest's tables has its own shadow, and edits reach the right one. */
static void failure_12_quadrants_of_two_level_tables(struct kunit *test)
{
	static const gva_t bases[] = { 0, 0x40000000, 0x80000000, 0xc0000000 };
	struct world *w = world_create(0);
	unsigned int q, half, i;

	KUNIT_ASSERT_NOT_NULL(test, w);
	KUNIT_ASSERT_EQ(test, world_map(w, 0, 0, 0, WORLD_PAGES, 0), 0);
	/* A leaf table for each quarter of the directory; 0x9000 maps the tables at 0x800000. */
	for (q = 0; q < 4; q++)
		*world_u32(w, 0x1000 + q * 1024) = (0x4000 + q * 4096) | FULL;
	*world_u32(w, 0x1000 + 8) = 0x9000 | FULL;
	for (i = 0; i < 512; i++)
		*world_u32(w, 0x9000 + 4 * i) = i << 12 | FULL;
	for (i = 0x20; i < 0x40; i++)
		*world_u32(w, i << 12) = i;
	for (q = 0; q < 4; q++)
		for (half = 0; half < 2; half++)
			*world_u32(w, 0x4000 + q * 4096 + half * 2048) =
				(0x20 + q * 2 + half) << 12 | FULL;
	world_set_mode(w, WORLD_32);
	world_set_cr3(w, 0x1000);
	for (q = 0; q < 4; q++)
		for (half = 0; half < 2; half++)
			KUNIT_EXPECT_EQ(test, must_read(test, w, bases[q] + half * 0x200000),
					0x20ull + q * 2 + half);
	/* Edits of the leaf tables count from the flush on, of the directory at once. */
	for (q = 0; q < 4; q++)
		for (half = 0; half < 2; half++) {
			must_write(test, w, 0x800000 + 0x4000 + q * 4096 + half * 2048,
				   (0x30 + q * 2 + half) << 12 | FULL);
			world_invlpg(w, bases[q] + half * 0x200000);
			KUNIT_EXPECT_EQ(test, must_read(test, w, bases[q] + half * 0x200000),
					0x30ull + q * 2 + half);
		}
	for (q = 0; q < 4; q++) {
		/* To its own table first, then to another: both halves go along. */
		must_write(test, w, 0x800000 + 0x1000 + q * 1024 + 4, (0x4000 + q * 4096) | FULL);
		for (half = 0; half < 2; half++)
			must_read(test, w, bases[q] + 0x400000 + half * 0x200000);
		must_write(test, w, 0x800000 + 0x1000 + q * 1024 + 4,
			   (0x4000 + (3 - q) * 4096) | FULL);
		for (half = 0; half < 2; half++)
			KUNIT_EXPECT_EQ(test, must_read(test, w, bases[q] + 0x400000 +
							half * 0x200000),
					0x30ull + (3 - q) * 2 + half);
	}
	world_done(test, w);
}

/* 13: CR3 leads nowhere. */
static void failure_13_bad_cr3_is_harmless(struct kunit *test)
{
	struct world *w = world_identity(test, 0);

	must_read(test, w, 0x20000);
	world_set_cr3(w, 0xabcdef000ull);
	must_fault(test, w, 0x20000, 0, PFEC_P | PFEC_RSVD);
	world_set_cr3(w, 0x1000);
	must_read(test, w, 0x20000);
	world_done(test, w);
}

/* 13: the host sets a CR3 that the guest could not have, in each mode. */
static void failure_13_bad_cr3_by_the_host(struct kunit *test)
{
	static const u64 bad[] = { ~0ull << 12, 0xfffffff000ull, WORLD_PAGES * 4096ull, 1ull << 51 | 0xfff00000 };
	struct world *w = world_identity(test, 0);
	unsigned int i, mode;
	u64 value;
	u32 error;

	for (mode = WORLD_UNPAGED; mode < WORLD_MODES; mode++) {
		world_set_mode(w, mode);
		for (i = 0; i < ARRAY_SIZE(bad); i++) {
			w->vcpu.cr3 = bad[i];
			gondola_mmu_cr3_written(&w->vcpu, true);
			if (mode == WORLD_PAE)
				KUNIT_EXPECT_EQ(test, gondola_mmu_load_pdptes(&w->vcpu, bad[i]),
						-EINVAL);
			/* The guest alone bears the outcome. */
			KUNIT_EXPECT_NE(test, world_access(w, 0x20000, 0, &value, &error),
					WORLD_ERROR);
			world_invlpg(w, 0x20000);
			KUNIT_EXPECT_EQ(test, gondola_mmu_audit(&w->vm), 0);
		}
	}
	world_set_mode(w, WORLD_LONG);
	world_set_cr3(w, 0x1000);
	must_read(test, w, 0x20000);
	/* The memory under the root in use goes. */
	KUNIT_ASSERT_EQ(test, world_map(w, 0, 0, 0, 0, 0), 0);
	must_fault(test, w, 0x20000, 0, PFEC_P | PFEC_RSVD);
	world_done(test, w);
}

/* Slot 1 holds the leaf table: at page 256 first, then at 264. */
static struct world *moving_world(struct kunit *test)
{
	struct world *w = world_identity(test, 0);
	const gpa_t base = WORLD_PAGES * 4096ull;

	KUNIT_ASSERT_EQ(test, world_map(w, 1, base, 256, 4, GONDOLA_MEM_LOG_DIRTY), 0);
	*world_u64(w, 0x3008) = base | FULL;
	*world_u64(w, 256 * 4096 + 8) = 0x20000 | FULL;
	*world_u64(w, 264 * 4096 + 8) = 0x21000 | FULL;
	*world_u64(w, 0x20000) = 20;
	*world_u64(w, 0x21000) = 21;
	return w;
}

static void move_slot(struct world *w)
{
	world_map(w, 1, 0, 0, 0, 0);
	world_map(w, 1, WORLD_PAGES * 4096ull, 264, 4, GONDOLA_MEM_LOG_DIRTY);
}

/* 14: A and D are set where the table lies now, and logged there. */
static void failure_14_accessed_and_dirty_after_a_move(struct kunit *test)
{
	struct world *w = moving_world(test);

	KUNIT_EXPECT_EQ(test, must_read(test, w, 0x201000), 20ull);
	KUNIT_EXPECT_TRUE(test, *world_u64(w, 256 * 4096 + 8) & PT_A);
	move_slot(w);
	must_write(test, w, 0x201000, 22);
	KUNIT_EXPECT_EQ(test, *world_u64(w, 256 * 4096 + 8), 0x20000 | FULL | PT_A);
	KUNIT_EXPECT_EQ(test, *world_u64(w, 264 * 4096 + 8), 0x21000 | FULL | PT_A | PT_D);
	KUNIT_EXPECT_EQ(test, *world_u64(w, 0x21000), 22ull);
	KUNIT_EXPECT_EQ(test, *world_u64(w, 0x20000), 20ull);
	world_done(test, w);
}

static void move_slot_once(struct world *w)
{
	w->on_pin = NULL;
	move_slot(w);
}

/* 14: the slot moves while the fault that needs the table waits for the host. */
static void failure_14_slot_moves_under_a_fault(struct kunit *test)
{
	struct world *w = moving_world(test);

	must_read(test, w, 0x30000);
	must_read(test, w, 0x21000);
	/* The next thing to be made present is the leaf table itself. */
	w->on_pin = move_slot_once;
	must_write(test, w, 0x201000, 22);
	KUNIT_EXPECT_TRUE(test, !w->on_pin);
	KUNIT_EXPECT_EQ(test, *world_u64(w, 256 * 4096 + 8), 0x20000 | FULL);
	KUNIT_EXPECT_EQ(test, *world_u64(w, 264 * 4096 + 8), 0x21000 | FULL | PT_A | PT_D);
	KUNIT_EXPECT_EQ(test, *world_u64(w, 0x21000), 22ull);
	world_done(test, w);
}

static void take_page_once(struct world *w)
{
	w->on_pin = NULL;
	world_host_moves(w, 0x60);
}

/* 6, 14: the host takes a page while it is being made present: the old frame is not used. */
static void failure_14_page_moves_under_a_fault(struct kunit *test)
{
	struct world *w = world_identity(test, 0);

	must_read(test, w, 0x61000);
	w->on_pin = take_page_once;
	must_write(test, w, 0x60000, 6);
	KUNIT_EXPECT_EQ(test, *world_u64(w, 0x60000), 6ull);
	KUNIT_EXPECT_FALSE(test, world_spares_are_written(w));
	world_done(test, w);
}

static struct kunit_case failures_cases[] = {
	KUNIT_CASE(failure_01_parents_of_one_table_differ),
	KUNIT_CASE(failure_02_huge_page_with_two_permissions),
	KUNIT_CASE(failure_03_unsynced_child_is_linked),
	KUNIT_CASE(failure_03_unsynced_grandchild_is_linked),
	KUNIT_CASE(failure_03_unsynced_grandchild_by_a_write),
	KUNIT_CASE(failure_04_mmio_entry_over_a_present_one),
	KUNIT_CASE(failure_04_another_frame_over_a_present_one),
	KUNIT_CASE(failure_04_mmio_entry_by_sync),
	KUNIT_CASE(failure_07_dirty_log_misses_nothing),
	KUNIT_CASE(failure_07_dirty_is_not_lost_on_sync),
	KUNIT_CASE(failure_07_large_pages_with_wp_clear),
	KUNIT_CASE(failure_08_large_page_when_the_log_begins),
	KUNIT_CASE(failure_09_removed_slot_leaves_nothing),
	KUNIT_CASE(failure_09_no_entry_is_missed),
	KUNIT_CASE(failure_10_sync_keeps_tables_protected),
	KUNIT_CASE(failure_11_nxe_is_in_the_role),
	KUNIT_CASE(failure_11_smep_and_smap_with_wp_clear),
	KUNIT_CASE(failure_12_demand_paging_is_no_flood),
	KUNIT_CASE(failure_12_quadrants_of_two_level_tables),
	KUNIT_CASE(failure_13_bad_cr3_is_harmless),
	KUNIT_CASE(failure_13_bad_cr3_by_the_host),
	KUNIT_CASE(failure_14_accessed_and_dirty_after_a_move),
	KUNIT_CASE(failure_14_slot_moves_under_a_fault),
	KUNIT_CASE(failure_14_page_moves_under_a_fault),
	{}
};

static int failures_init(struct kunit_suite *suite)
{
	return gondola_mmu_module_init();
}

static void failures_exit(struct kunit_suite *suite)
{
	gondola_mmu_module_exit();
}

static struct kunit_suite failures_suite = {
	.name = "gondola_failures",
	.suite_init = failures_init,
	.suite_exit = failures_exit,
	.test_cases = failures_cases,
};

kunit_test_suite(failures_suite);
