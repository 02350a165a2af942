// SPDX-License-Identifier: GPL-2.0-only
/*
 * Races, played step by step: at the moments when the MMU flushes, and when its lock has just been
 * dropped, a second processor writes through what its TLB still holds.
 */
#include <kunit/test.h>
#include "test_world.h"

/*
 * The second processor of the cases below: it is in the guest, and writes through what its TLB
 * holds until it is stopped.
 */
static struct rival {
	gva_t gva;
	u64 value;		/* counts its writes, in steps */
	u64 step;
	const char *lie;
} rival;

static void rival_writes(struct world *w)
{
	if (world_write_unseen(w, &w->second, rival.gva, rival.value + rival.step))
		rival.value += rival.step;
}

static void rival_writes_unlocked(struct world *w)
{
	rival_writes(w);
	if (!rival.lie)
		rival.lie = world_tlb_lie(w);
}

/* Two processors; the second has written to @gva and may go on. */
static struct world *rival_world(struct kunit *test, gva_t gva, u32 flags)
{
	struct world *w = world_identity(test, 0);
	u32 error;

	rival = (struct rival){ .gva = gva, .value = 1, .step = 1 };
	KUNIT_ASSERT_EQ(test, world_add_vcpu(w), 0);
	KUNIT_ASSERT_EQ(test, world_map(w, 0, 0, 0, WORLD_PAGES, flags), 0);
	world_set_mode(w, WORLD_LONG);
	world_set_cr3(w, 0x1000);
	w->second.cr3 = 0x1000;
	gondola_mmu_cr3_written(&w->second, true);
	KUNIT_EXPECT_EQ(test, world_access_on(w, &w->second, gva, PFEC_W, &rival.value, &error),
			WORLD_DONE);
	KUNIT_EXPECT_TRUE(test, world_write_unseen(w, &w->second, gva, rival.value));
	w->on_unlock = rival_writes_unlocked;
	w->on_flush = rival_writes;
	return w;
}

static void rival_done(struct kunit *test, struct world *w)
{
	KUNIT_EXPECT_NULL_MSG(test, rival.lie, "%s", rival.lie);
	world_done(test, w);
}

/* 5: a copy taken after the log was read and cleared has every write, or the log has its bit. */
static void failure_05_write_while_the_log_is_cleared(struct kunit *test)
{
	struct world *w = rival_world(test, 0x60000, GONDOLA_MEM_LOG_DIRTY);
	unsigned int round;

	KUNIT_EXPECT_TRUE(test, must_log(test, w, 0x60));
	for (round = 0; round < 4; round++) {
		u64 copy, before = rival.value;
		u32 error;

		clear_log(test, w);
		/* It wrote until the flush, not beyond; a copy that is taken now has it. */
		KUNIT_EXPECT_GT(test, rival.value, before);
		copy = *world_u64(w, 0x60000);
		KUNIT_EXPECT_EQ(test, copy, rival.value);
		rival_writes(w);
		KUNIT_EXPECT_EQ(test, *world_u64(w, 0x60000), copy);
		KUNIT_EXPECT_FALSE(test, must_log(test, w, 0x60));
		/* Its next write comes to us, and is logged. */
		rival.value++;
		KUNIT_EXPECT_EQ(test, world_access_on(w, &w->second, 0x60000, PFEC_W, &rival.value,
						      &error), WORLD_DONE);
		KUNIT_EXPECT_TRUE(test, must_log(test, w, 0x60));
	}
	rival_done(test, w);
}

/* 6: the host takes a page: no processor writes to it once the lock has been dropped. */
static void failure_06_flush_before_the_page_goes(struct kunit *test)
{
	struct world *w = rival_world(test, 0x60000, 0);
	u64 last;

	world_host_moves(w, 0x60);
	last = *world_u64(w, 0x60000);
	KUNIT_EXPECT_EQ(test, last, rival.value);
	KUNIT_EXPECT_FALSE(test, world_spares_are_written(w));
	rival_writes(w);
	KUNIT_EXPECT_EQ(test, *world_u64(w, 0x60000), last);
	KUNIT_EXPECT_FALSE(test, world_spares_are_written(w));
	rival_done(test, w);
}

/* 6: an entry is gone, by the guest's will, but a TLB has it; then the page becomes a table. */
static void failure_06_stale_translation_of_a_new_table(struct kunit *test)
{
	struct world *w = rival_world(test, 0x60000, 0);
	unsigned int i;

	/* The guest takes its entry away, and owes the other processor a flush that it never sends. */
	must_write(test, w, 0x4000 + 8 * 0x60, 0);
	world_invlpg(w, 0x60000);
	/* The page now holds a leaf table, which the other processor goes on writing. */
	for (i = 0x100; i < WORLD_PAGES; i++)
		must_write(test, w, i << 12, i);
	*world_u64(w, 0x3008) = 0x60000 | FULL;
	rival.step = 0x1000;
	rival.value = 0x100000 | FULL | PT_A | PT_D;
	*world_u64(w, 0x60000) = rival.value;
	/* The last that it wrote before it was stopped is what counts. */
	KUNIT_EXPECT_EQ(test, must_read(test, w, 0x200000), *world_u64(w, 0x60000) >> 12);
	KUNIT_EXPECT_GT(test, rival.value >> 12, 0x100ull);
	/* Linked means protected: nobody may have written it after it was read. */
	KUNIT_EXPECT_FALSE(test, world_write_unseen(w, &w->second, 0x60000, 0));
	rival_done(test, w);
}

/* 6: a slot goes while a processor writes to it. */
static void failure_06_write_while_the_slot_goes(struct kunit *test)
{
	struct world *w = rival_world(test, 0x60000, 0);
	u64 value = 99, last;
	u32 error;

	KUNIT_ASSERT_EQ(test, world_map(w, 0, 0, 0, 0, 0), 0);
	last = rival.value;
	rival_writes(w);
	KUNIT_EXPECT_EQ(test, rival.value, last);
	/* All of it elsewhere: what was written there stays as it was. */
	KUNIT_ASSERT_EQ(test, world_map(w, 0, 0, 0, 0x40, 0), 0);
	KUNIT_EXPECT_EQ(test, world_access_on(w, &w->second, 0x60000, PFEC_W, &value, &error),
			WORLD_MMIO);
	KUNIT_EXPECT_EQ(test, *world_u64(w, 0x60000), last);
	rival_done(test, w);
}

/* 6: a slot begins to be logged: its first write from then on has its bit. */
static void failure_06_write_while_the_log_begins(struct kunit *test)
{
	struct world *w = rival_world(test, 0x60000, 0);

	KUNIT_ASSERT_EQ(test, world_map(w, 0, 0, 0, WORLD_PAGES, GONDOLA_MEM_LOG_DIRTY), 0);
	/* It may go on, for all pages count as written … */
	KUNIT_EXPECT_TRUE(test, must_log(test, w, 0x60));
	clear_log(test, w);
	/* … until it is said that this one does not. */
	KUNIT_EXPECT_FALSE(test, must_log(test, w, 0x60));
	KUNIT_EXPECT_FALSE(test, world_write_unseen(w, &w->second, 0x60000, 0));
	rival_done(test, w);
}

/* ---- entries that the processor writes while they change ---- */

/* The only processor of the cases below: it stands before a write of @gva. */
static struct writer {
	gva_t gva;
	u64 value;
	u64 *entry;
	unsigned int writes;
} writer;

/* Between the look at its entry and the change: it sets D, and writes. */
static void writer_writes(struct world *w)
{
	if (w->entry != writer.entry || writer.writes)
		return;
	writer.writes += world_write_in_guest(w, &w->vcpu, writer.gva, writer.value);
}

static u64 *entry_of(struct world *w, gva_t gva)
{
	u64 *table = __va(w->vcpu.hw_root);
	unsigned int level;

	for (level = 4; level > 1; level--)
		table = __va(table[shadow_index(gva, level)] & PT_ADDR);
	return &table[shadow_index(gva, 1)];
}

/*
 * One processor, whose leaf table at 0x60000 (gva 2 MiB …) is out of sync and has not been written
 * since the last sync: that its entry has no D says so.
 */
static struct world *writer_world(struct kunit *test, u32 flags)
{
	struct world *w = world_identity(test, 0);

	KUNIT_ASSERT_EQ(test, world_map(w, 0, 0, 0, WORLD_PAGES, flags), 0);
	*world_u64(w, 0x60000) = 0x70000 | FULL | PT_A | PT_D;
	*world_u64(w, 0x70000) = 0x70;
	*world_u64(w, 0x71000) = 0x71;
	*world_u64(w, 0x3008) = 0x60000 | FULL | PT_A;
	KUNIT_EXPECT_EQ(test, must_read(test, w, 0x200000), 0x70ull);
	must_write(test, w, 0x60008, 0);
	world_set_cr3(w, 0x1000);
	KUNIT_EXPECT_EQ(test, must_read(test, w, 0x200000), 0x70ull);
	KUNIT_EXPECT_EQ(test, w->vm.mmu.nr_unsync, 1u);
	writer = (struct writer){
		.gva = 0x60000,
		.value = 0x71000 | FULL | PT_A | PT_D,
		.entry = entry_of(w, 0x60000),
	};
	KUNIT_EXPECT_EQ(test, *writer.entry & (PT_W | PT_D), PT_W);
	w->on_entry = writer_writes;
	return w;
}

/* It has changed its table and flushes: it must not see what the table said before. */
static void writer_flushes(struct kunit *test, struct world *w)
{
	KUNIT_EXPECT_EQ(test, writer.writes, 1u);
	w->on_entry = NULL;
	world_set_cr3(w, 0x1000);
	KUNIT_EXPECT_EQ(test, must_read(test, w, 0x200000), 0x71ull);
	world_done(test, w);
}

static void written_while_the_log_is_cleared(struct kunit *test)
{
	struct world *w = writer_world(test, GONDOLA_MEM_LOG_DIRTY);

	clear_log(test, w);
	writer_flushes(test, w);
}

static void written_while_the_host_takes_the_page(struct kunit *test)
{
	struct world *w = writer_world(test, 0);

	world_host_takes(w, 0x60);
	writer_flushes(test, w);
}

/* Its own entry for the table is made read-only by another of its tables. */
static void written_while_its_entry_changes(struct kunit *test)
{
	struct world *w = writer_world(test, 0);

	/* As an emulated instruction takes write access away: in place. */
	w->on_entry = NULL;
	KUNIT_EXPECT_EQ(test, *world_u64(w, 0x4000 + 8 * 0x60) & PT_W, PT_W);
	w->on_entry = writer_writes;
	must_write(test, w, 0x4000 + 8 * 0x60, 0x60000 | PT_P | PT_U | PT_A | PT_D);
	world_invlpg(w, 0x60000);
	writer_flushes(test, w);
}

/* The last entry of a table that is compared: another processor puts it back after the first look. */
static struct restless {
	u64 *table;
	u64 before;
	unsigned int looks;
	bool beyond;
} restless;

static void restless_puts_back(struct world *w)
{
	u64 *last = &restless.table[MMU_ENTRIES - 1];

	restless.beyond |= w->entry == last + 1;
	if (w->entry <= last - 8 || w->entry > last)
		return;
	restless.looks++;
	*last = restless.before;
}

static void put_back_while_it_is_compared(struct kunit *test)
{
	struct world *w = writer_world(test, 0);
	u64 *last;

	w->on_entry = NULL;
	restless = (struct restless){ .table = world_u64(w, 0x60000) };
	last = &restless.table[MMU_ENTRIES - 1];
	restless.before = *last;
	must_write(test, w, 0x60000 + 8 * (MMU_ENTRIES - 1), 0x72000 | FULL | PT_A | PT_D);
	KUNIT_EXPECT_NE(test, *last, restless.before);
	w->on_entry = restless_puts_back;
	world_set_cr3(w, 0x1000);
	KUNIT_EXPECT_EQ(test, must_read(test, w, 0x200000), 0x70ull);
	w->on_entry = NULL;
	KUNIT_EXPECT_EQ(test, restless.looks, 8u);
	KUNIT_EXPECT_FALSE(test, restless.beyond);
	world_done(test, w);
}

static void take_page_always(struct world *w)
{
	world_host_moves(w, 0x60);
}

/* A host that takes a page each time it is given keeps nobody in the kernel. */
static void busy_host_lets_go(struct kunit *test)
{
	struct world *w = world_identity(test, 0);
	struct gondola_access out;

	must_read(test, w, 0x61000);
	w->on_pin = take_page_always;
	KUNIT_EXPECT_EQ(test, (int)gondola_mmu_fault(&w->vcpu, 0x60000, PFEC_W, &out),
			(int)GONDOLA_ACCESS_OK);
	w->on_pin = NULL;
	must_write(test, w, 0x60000, 6);
	KUNIT_EXPECT_EQ(test, *world_u64(w, 0x60000), 6ull);
	world_done(test, w);
}

/* ---- a slot that goes when the MMU has seen what is missing in it, and waits for the host ---- */

static u64 pages_left;

static void most_of_the_slot_goes(struct world *w)
{
	w->on_unlock = NULL;
	world_map(w, 0, 0, 0, 0, 0);
	world_map(w, 0, 0, 0, pages_left, 0);
}

static struct world *going_world(struct kunit *test, u32 missing, u64 left)
{
	struct world *w = world_identity(test, 0);

	must_read(test, w, 0x60000);
	world_host_takes(w, missing);
	pages_left = left;
	w->on_unlock = most_of_the_slot_goes;
	return w;
}

/* The guest finds what it would have found a moment later; nothing of it is the launcher's fault. */
static void slot_goes_under_a_fault(struct kunit *test)
{
	struct world *w = going_world(test, 0x60, 0x40);
	struct gondola_access out;

	KUNIT_EXPECT_EQ(test, (int)gondola_mmu_fault(&w->vcpu, 0x60000, PFEC_W, &out),
			(int)GONDOLA_ACCESS_MMIO);
	KUNIT_EXPECT_EQ(test, out.gpa, 0x60000ull);
	world_done(test, w);
}

static void slot_goes_under_a_walk(struct kunit *test)
{
	struct world *w = going_world(test, 4, 4);
	struct gondola_access out;
	u64 value;

	/* The table has gone, not what it maps. */
	KUNIT_EXPECT_EQ(test, (int)gondola_mmu_access(&w->vcpu, 0x60000, &value, 8, 0, &out),
			(int)GONDOLA_ACCESS_FAULT);
	KUNIT_EXPECT_EQ(test, out.error, (u32)(PFEC_P | PFEC_RSVD));
	world_done(test, w);
}

static void slot_goes_under_a_physical_access(struct kunit *test)
{
	struct world *w = going_world(test, 0x60, 0x40);
	u64 value = 0;

	KUNIT_EXPECT_EQ(test, gondola_gpa_write(&w->vcpu, 0x60000, &value, 8), -ENXIO);
	world_done(test, w);
}

static struct kunit_case races_cases[] = {
	KUNIT_CASE(busy_host_lets_go),
	KUNIT_CASE(slot_goes_under_a_fault),
	KUNIT_CASE(slot_goes_under_a_walk),
	KUNIT_CASE(slot_goes_under_a_physical_access),
	KUNIT_CASE(written_while_the_log_is_cleared),
	KUNIT_CASE(written_while_the_host_takes_the_page),
	KUNIT_CASE(written_while_its_entry_changes),
	KUNIT_CASE(put_back_while_it_is_compared),
	KUNIT_CASE(failure_05_write_while_the_log_is_cleared),
	KUNIT_CASE(failure_06_flush_before_the_page_goes),
	KUNIT_CASE(failure_06_stale_translation_of_a_new_table),
	KUNIT_CASE(failure_06_write_while_the_slot_goes),
	KUNIT_CASE(failure_06_write_while_the_log_begins),
	{}
};

static int races_init(struct kunit_suite *suite)
{
	return gondola_mmu_module_init();
}

static void races_exit(struct kunit_suite *suite)
{
	gondola_mmu_module_exit();
}

static struct kunit_suite races_suite = {
	.name = "gondola_races",
	.suite_init = races_init,
	.suite_exit = races_exit,
	.test_cases = races_cases,
};

kunit_test_suite(races_suite);
