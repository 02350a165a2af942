// SPDX-License-Identifier: GPL-2.0-only
/*
 * Bounds on work: each case builds the worst that a guest or a caller can ask for, and demands that
 * no hold of the MMU's lock takes more than so many steps (steps.h).  The bounds are those of the
 * table in Documentation/security.rst.
 */
#include <kunit/test.h>
#include "host.h"
#include "test_world.h"

#define FEW_STEPS	(1u << 16)

static void begin(void)
{
	mmu_steps.most = 0;
}

static void must_be_few(struct kunit *test, u64 bound)
{
	kunit_info(test, "%llu steps of %llu", mmu_steps.most, bound);
	KUNIT_EXPECT_LE(test, mmu_steps.most, bound);
	/* It must have counted something. */
	KUNIT_EXPECT_GT(test, mmu_steps.most, 0ull);
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
	struct world *w = world_identity(test, 0);
	unsigned int last = LEAF_TABLES - 1;

	make_unsync(test, w);
	world_host_takes(w, FIRST_TABLE);
	begin();
	must_write(test, w, ((FIRST_TABLE + last) << 12) + 8, 0);
	must_be_few(test, FEW_STEPS);
	KUNIT_EXPECT_EQ(test, w->vm.mmu.nr_unsync, LEAF_TABLES - 1);
	KUNIT_EXPECT_EQ(test, gondola_mmu_audit(&w->vm), 0);
	/* Later writes of the guest to that table count. */
	*world_u64(w, 0x61008) = 0x61;
	must_write(test, w, (FIRST_TABLE << 12) + 8, 0x61000 | FULL | PT_A | PT_D);
	world_invlpg(w, LEADS_TO(0) + 0x1000);
	KUNIT_EXPECT_EQ(test, must_read(test, w, LEADS_TO(0) + 0x1008), 0x61ull);
	world_done(test, w);
}

/* All of them at once. */
static void tables_out_of_sync_are_all_taken(struct kunit *test)
{
	struct world *w = world_identity(test, 0);
	unsigned int k, last = LEAF_TABLES - 1;

	make_unsync(test, w);
	for (k = 0; k < last; k++)
		world_host_takes(w, FIRST_TABLE + k);
	begin();
	must_write(test, w, ((FIRST_TABLE + last) << 12) + 8, 0);
	world_set_cr3(w, 0x1000);
	must_read(test, w, 0x60000);
	must_be_few(test, 2 * LEAF_TABLES * MMU_ENTRIES);
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
	struct world *w = world_identity(test, 0);
	unsigned int i;

	for (i = 0; i < MMU_ENTRIES; i++) {
		*world_u64(w, 0x1000 + i * 8) = 0x2000 | FULL | PT_A;
		*world_u64(w, 0x2000 + i * 8) = 0x3000 | FULL | PT_A;
		*world_u64(w, 0x3000 + i * 8) = 0x4000 | FULL | PT_A;
	}
	for (i = 0; i < MMU_ENTRIES; i++) {
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

#define ALIAS_TABLES	128u
#define ALIASED		0x40000u	/* the pages that all of them map, again and again */
#define ALIAS_PD	0x5000u		/* the table that leads to them … */
#define ALIAS_GVA	(1ull << 30)	/* … from here on */

/*
 * 128 leaf tables under one entry of the third, whose entries map so many pages again and again.
 * All of them are walked: 65,536 ways to one page, or 1024 to each of 64.
 */
static void alias_pages(struct kunit *test, struct world *w, unsigned int pages)
{
	unsigned int k, i;

	for (i = 0; i < pages; i++)
		*world_u64(w, ALIASED + i * 4096) = 0x60;
	*world_u64(w, 0x2008) = ALIAS_PD | FULL | PT_A;
	for (k = 0; k < ALIAS_TABLES; k++) {
		gpa_t table = (FIRST_TABLE + k) << 12;

		*world_u64(w, ALIAS_PD + k * 8) = table | FULL | PT_A;
		for (i = 0; i < MMU_ENTRIES; i++)
			*world_u64(w, table + i * 8) =
				(ALIASED + i % pages * 4096) | FULL | PT_A | PT_D;
		for (i = k % 16; i < MMU_ENTRIES; i += 16)
			KUNIT_EXPECT_EQ(test, must_read(test, w, ALIAS_GVA + ((u64)k << 21) +
							(i << 12)), 0x60ull);
	}
}

/* One table goes: 512 removals from bags that the guest has filled. */
static void page_is_mapped_from_everywhere(struct kunit *test, unsigned int pages, u64 table)
{
	struct world *w = world_identity(test, 0);

	alias_pages(test, w, pages);
	KUNIT_EXPECT_EQ(test, gondola_mmu_audit(&w->vm), 0);
	begin();
	must_write(test, w, ALIAS_PD + table * 8, 0);
	must_be_few(test, FEW_STEPS);
	begin();
	world_host_moves(w, ALIASED >> 12);
	must_be_few(test, FEW_STEPS);
	KUNIT_EXPECT_EQ(test, must_read(test, w, ALIAS_GVA + (1 << 21)), 0x60ull);
	world_done(test, w);
}

static void one_page_is_mapped_from_everywhere(struct kunit *test)
{
	page_is_mapped_from_everywhere(test, 1, 0);
}

static void some_pages_are_mapped_from_everywhere(struct kunit *test)
{
	page_is_mapped_from_everywhere(test, 64, ALIAS_TABLES - 1);
}

/* All of them, by one write to the table above. */
static void tree_falls_at_once(struct kunit *test)
{
	struct world *w = world_identity(test, 0);
	u32 before = w->vm.mmu.nr_pages, turns;

	must_read(test, w, ALIASED);
	before = w->vm.mmu.nr_pages;
	alias_pages(test, w, 64);
	begin();
	must_write(test, w, 0x2008, 0);
	/* Later holds take what the first one leaves. */
	for (turns = 0; turns < ALIAS_TABLES && w->vm.mmu.nr_pages > before; turns++)
		mmu_age(&w->vm, WORLD_HVA, WORLD_HVA + 1, false);
	must_be_few(test, 4 * FEW_STEPS);
	KUNIT_EXPECT_EQ(test, w->vm.mmu.nr_pages, before);
	world_done(test, w);
}

/* An orphan that is linked again before its turn comes is kept. */
static void orphan_is_adopted(struct kunit *test)
{
	struct world *w = world_identity(test, 0);
	u32 pages;

	alias_pages(test, w, 64);
	must_write(test, w, 0x2008, 0);
	must_write(test, w, 0x2008, ALIAS_PD | FULL | PT_A);
	pages = w->vm.mmu.nr_pages;
	KUNIT_EXPECT_GT(test, pages, ALIAS_TABLES / 2);
	KUNIT_EXPECT_EQ(test, must_read(test, w, ALIAS_GVA + ((u64)(ALIAS_TABLES - 1) << 21)), 0x60ull);
	KUNIT_EXPECT_EQ(test, must_read(test, w, ALIAS_GVA), 0x60ull);
	KUNIT_EXPECT_EQ(test, gondola_mmu_audit(&w->vm), 0);
	world_done(test, w);
}

/* A guest may ask for that by an event whose stack is a page table. */
static void all_shadow_pages_go(struct kunit *test)
{
	struct world *w = world_identity(test, 0);

	alias_pages(test, w, 64);
	begin();
	gondola_mmu_zap_all(&w->vm);
	must_be_few(test, 4 * FEW_STEPS);
	KUNIT_EXPECT_EQ(test, w->vm.mmu.nr_pages, 0u);
	KUNIT_EXPECT_EQ(test, w->vm.mmu.nr_sptes, 0ull);
	KUNIT_EXPECT_EQ(test, must_read(test, w, ALIAS_GVA), 0x60ull);
	world_done(test, w);
}

/* Counts of what a processor could reach between two holds of a zap of all. */
static struct {
	unsigned int holds, pages;	/* with pages left that are on their way out; such pages */
	unsigned int reached;		/* pages on their way out, by a walk from a root */
} between;

static bool on_its_way_out(const struct world *w, const struct gondola_shadow_page *sp)
{
	return sp->generation != w->vm.mmu.generation;
}

static void reach_below(struct world *w, const struct gondola_shadow_page *sp)
{
	unsigned int i;

	between.reached += on_its_way_out(w, sp);
	for (i = 0; i < MMU_ENTRIES && sp->role.level > 1; i++)
		if (spte_present(sp->spt[i]))
			reach_below(w, child_of(sp->spt[i]));
}

static void fault_while_all_go(struct world *w)
{
	struct gondola_shadow_page *sp;
	unsigned int left = 0;
	u64 value;
	u32 error;

	list_for_each_entry(sp, &w->vm.mmu.pages, link)
		left += on_its_way_out(w, sp);
	/* By another page each time, so that there is something new to see. */
	world_access(w, ALIAS_GVA + ((u64)(w->shadow_faults % ALIAS_TABLES) << 21), 0, &value,
		     &error);
	if (!left)
		return;
	between.holds++;
	between.pages = max(between.pages, left);
	reach_below(w, mmu_current_root(&w->vcpu));
}

/* The processors go on meanwhile: what they make anew is neither taken for old nor mixed with it. */
static void all_go_while_the_guest_runs(struct kunit *test, u64 root)
{
	struct world *w = world_identity(test, 0);

	memset(&between, 0, sizeof(between));
	alias_pages(test, w, 64);
	/* A second root is the newest page of all, so the first hold leaves it for another. */
	*world_u64(w, 0x6000) = *world_u64(w, 0x1000);
	world_set_cr3(w, root);
	must_read(test, w, ALIAS_GVA);
	w->on_unlock = fault_while_all_go;
	begin();
	gondola_mmu_zap_all(&w->vm);
	w->on_unlock = NULL;
	must_be_few(test, 4 * FEW_STEPS);
	/* It looked while there was something that it must not find. */
	KUNIT_EXPECT_GT(test, between.holds, 3u);
	KUNIT_EXPECT_GT(test, between.pages, ALIAS_TABLES / 2);
	KUNIT_EXPECT_EQ(test, between.reached, 0u);
	/* Four levels, and what the processors have used since. */
	KUNIT_EXPECT_LT(test, w->vm.mmu.nr_pages, ALIAS_TABLES);
	KUNIT_EXPECT_GT(test, w->vm.mmu.nr_pages, 3u);
	KUNIT_EXPECT_EQ(test, must_read(test, w, ALIAS_GVA), 0x60ull);
	world_done(test, w);
}

static void all_go_while_the_oldest_root_is_in_use(struct kunit *test)
{
	all_go_while_the_guest_runs(test, 0x1000);
}

static void all_go_while_the_newest_root_is_in_use(struct kunit *test)
{
	all_go_while_the_guest_runs(test, 0x6000);
}

/* The bag is full, but two ways that one instruction needs are there at the same time. */
static void full_bag_lets_the_guest_on(struct kunit *test)
{
	struct world *w = world_identity(test, 0);
	unsigned int i;
	u64 faults;

	alias_pages(test, w, 64);
	for (i = 0; i < 2 * RMAP_MAX; i++) {
		gva_t one = ALIAS_GVA + ((u64)(i % ALIAS_TABLES) << 21) + 0x1000;
		gva_t other = ALIAS_GVA + ((u64)((i + 7) % ALIAS_TABLES) << 21) + 0x2000;

		must_read(test, w, one);
		must_read(test, w, other);
		faults = w->shadow_faults;
		must_read(test, w, one);
		must_read(test, w, other);
		KUNIT_EXPECT_EQ(test, w->shadow_faults, faults);
	}
	world_done(test, w);
}

/* Tables that use each other up: the bound is reached with all of them full of aliases. */
static void room_is_made_among_aliases(struct kunit *test)
{
	struct world *w = world_identity(test, 64);

	begin();
	alias_pages(test, w, 64);
	must_be_few(test, 4 * FEW_STEPS);
	KUNIT_EXPECT_LE(test, w->vm.mmu.nr_pages, 64u);
	world_done(test, w);
}

/* Which gfns share a bucket of the hash differs from VM to VM, so no guest can know. */
static void hash_has_a_key(struct kunit *test)
{
	struct world *w = world_identity(test, 0), *v = world_identity(test, 0);
	unsigned int gfn, same = 0;

	for (gfn = 0; gfn < WORLD_PAGES; gfn++)
		same += mmu_hash_bucket(&w->vm, gfn) - w->vm.mmu.hash ==
			mmu_hash_bucket(&v->vm, gfn) - v->vm.mmu.hash;
	KUNIT_EXPECT_LT(test, same, WORLD_PAGES / 8);
	world_done(test, v);
	world_done(test, w);
}

static void shadow_pages_have_a_bound(struct kunit *test)
{
	struct gondola_vm *vm = kunit_kzalloc(test, sizeof(*vm), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, vm);
	KUNIT_EXPECT_EQ(test, gondola_mmu_init_vm(vm, GONDOLA_MAX_SHADOW_PAGES + 1), -E2BIG);
	KUNIT_EXPECT_EQ(test, gondola_mmu_init_vm(vm, ~0u), -E2BIG);
	KUNIT_EXPECT_EQ(test, gondola_mmu_init_vm(vm, GONDOLA_MAX_SHADOW_PAGES), 0);
	gondola_mmu_destroy_vm(vm);
}

#define SPARSE_PAGES	(1u << 20)
#define SPARSE_GPA	(1ull << 32)
#define SPARSE_HVA	(WORLD_HVA + (WORLD_PAGES - 1) * GONDOLA_PAGE_SIZE)

static int map_sparse(struct world *w, u32 flags, bool there)
{
	struct gondola_memory_slot arg = {
		.size = sizeof(arg),
		.slot = 1,
		.flags = flags,
		.gpa = SPARSE_GPA,
		.bytes = there ? (u64)SPARSE_PAGES * GONDOLA_PAGE_SIZE : 0,
		.hva = SPARSE_HVA,
	};
	int err;

	mutex_lock(&w->vm.lock);
	err = gondola_mmu_set_slot(&w->vm, &arg);
	mutex_unlock(&w->vm.lock);
	return err;
}

/* The log of all of it, read and cleared. */
static void log_sparse(struct kunit *test, struct world *w)
{
	u64 *bitmap = kunit_kzalloc(test, SPARSE_PAGES / 8, GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, bitmap);
	mutex_lock(&w->vm.lock);
	begin();
	KUNIT_EXPECT_EQ(test, gondola_mmu_get_dirty(&w->vm, 1, 0, SPARSE_PAGES, bitmap), 0);
	must_be_few(test, FEW_STEPS / 8);
	/* The log began when the slot was there: all of it counts as written. */
	KUNIT_EXPECT_PTR_EQ(test, memchr_inv(bitmap, 0xff, SPARSE_PAGES / 8), NULL);
	begin();
	KUNIT_EXPECT_EQ(test, gondola_mmu_clear_dirty(&w->vm, 1, 0, SPARSE_PAGES, bitmap), 0);
	must_be_few(test, FEW_STEPS);
	KUNIT_EXPECT_EQ(test, gondola_mmu_get_dirty(&w->vm, 1, 0, SPARSE_PAGES, bitmap), 0);
	KUNIT_EXPECT_PTR_EQ(test, memchr_inv(bitmap, 0, SPARSE_PAGES / 8), NULL);
	mutex_unlock(&w->vm.lock);
}

/* A slot of 4 GiB over one page: nothing takes as long as it is large. */
static void slot_is_larger_than_what_is_in_it(struct kunit *test)
{
	hva_t end = SPARSE_HVA + (u64)SPARSE_PAGES * GONDOLA_PAGE_SIZE;
	struct world *w = world_identity(test, 0);

	begin();
	KUNIT_EXPECT_EQ(test, map_sparse(w, 0, true), 0);
	*world_u64(w, 0x3008) = SPARSE_GPA | FULL | PT_PS;
	*world_u64(w, (WORLD_PAGES - 1) * 4096) = 77;
	KUNIT_EXPECT_EQ(test, must_read(test, w, 0x200000), 77ull);
	KUNIT_EXPECT_EQ(test, map_sparse(w, GONDOLA_MEM_LOG_DIRTY, true), 0);
	must_be_few(test, FEW_STEPS);
	log_sparse(test, w);
	begin();
	mmu_age(&w->vm, 0, end, true);
	mmu_invalidate_begin(&w->vm, 0, end, true);
	mmu_invalidate_end(&w->vm);
	must_be_few(test, FEW_STEPS);
	KUNIT_EXPECT_EQ(test, w->vm.mmu.nr_sptes, 0ull);
	KUNIT_EXPECT_EQ(test, must_read(test, w, 0x200000), 77ull);
	begin();
	KUNIT_EXPECT_EQ(test, map_sparse(w, GONDOLA_MEM_READONLY, true), 0);
	KUNIT_EXPECT_EQ(test, must_read(test, w, 0x200000), 77ull);
	KUNIT_EXPECT_EQ(test, map_sparse(w, 0, false), 0);
	must_be_few(test, FEW_STEPS);
	world_done(test, w);
}

/* The host takes all at once, and each page is mapped as often as may be. */
static void host_takes_all(struct kunit *test)
{
	struct world *w = world_identity(test, 0);

	alias_pages(test, w, 64);
	begin();
	mmu_age(&w->vm, 0, ~0ull, true);
	must_be_few(test, FEW_STEPS);
	begin();
	mmu_invalidate_begin(&w->vm, 0, ~0ull, true);
	mmu_invalidate_end(&w->vm);
	must_be_few(test, FEW_STEPS / 2);
	KUNIT_EXPECT_EQ(test, w->vm.mmu.nr_sptes, 0ull);
	KUNIT_EXPECT_EQ(test, must_read(test, w, ALIAS_GVA), 0x60ull);
	world_done(test, w);
}

/* Each page's log is cleared, and each is mapped as often as may be. */
static void log_is_cleared_of_aliases(struct kunit *test)
{
	struct world *w = world_identity(test, 0);

	alias_pages(test, w, 64);
	KUNIT_EXPECT_EQ(test, world_map(w, 0, 0, 0, WORLD_PAGES, GONDOLA_MEM_LOG_DIRTY), 0);
	begin();
	clear_log(test, w);
	must_be_few(test, FEW_STEPS / 2);
	world_done(test, w);
}

/* The slot goes while the guest uses it, with a table in it that is a root. */
static void use_the_slot(struct world *w)
{
	u64 value;
	u32 error;

	world_set_cr3(w, w->vcpu.cr3 ^ 0x1000 ^ SPARSE_GPA);
	world_access(w, 0x200000, 0, &value, &error);
}

static void slot_goes_while_the_guest_runs(struct kunit *test)
{
	struct world *w = world_identity(test, 0);

	KUNIT_EXPECT_EQ(test, map_sparse(w, 0, true), 0);
	*world_u64(w, 0x3008) = SPARSE_GPA | FULL | PT_PS;
	must_read(test, w, 0x200000);
	w->on_unlock = use_the_slot;
	KUNIT_EXPECT_EQ(test, map_sparse(w, 0, false), 0);
	w->on_unlock = NULL;
	world_set_cr3(w, 0x1000);
	must_read(test, w, 0x60000);
	world_done(test, w);
}

static void slots_have_a_bound(struct kunit *test)
{
	struct world *w = world_identity(test, 0);
	struct gondola_memory_slot arg = {
		.size = sizeof(arg),
		.slot = 1,
		.gpa = 1ull << 45,
		.bytes = (1ull << 44) + GONDOLA_PAGE_SIZE,
		.hva = WORLD_HVA,
	};

	mutex_lock(&w->vm.lock);
	KUNIT_EXPECT_EQ(test, gondola_mmu_set_slot(&w->vm, &arg), -E2BIG);
	mutex_unlock(&w->vm.lock);
	world_done(test, w);
}

static u64 *restless;

/* Another processor, or the launcher, changes a bit that means nothing. */
static void change_restless_entry(struct world *w)
{
	if (w->entry == restless)
		*restless ^= BIT_ULL(9);
}

static void table_changes_under_each_walk(struct kunit *test)
{
	struct world *w = world_identity(test, 0);

	restless = world_u64(w, 0x4000 + 0x60 * 8);
	*restless &= ~(PT_A | PT_D);
	w->on_entry = change_restless_entry;
	begin();
	gondola_mmu_fault(&w->vcpu, 0x60000, PFEC_W, &(struct gondola_access){});
	must_be_few(test, FEW_STEPS);
	w->on_entry = NULL;
	must_write(test, w, 0x60000, 1);
	KUNIT_EXPECT_TRUE(test, *restless & PT_D);
	world_done(test, w);
}

static struct kunit_case bounds_cases[] = {
	KUNIT_CASE(table_out_of_sync_is_taken),
	KUNIT_CASE(tables_out_of_sync_are_all_taken),
	KUNIT_CASE(search_goes_by_many_ways),
	KUNIT_CASE(one_page_is_mapped_from_everywhere),
	KUNIT_CASE(some_pages_are_mapped_from_everywhere),
	KUNIT_CASE(tree_falls_at_once),
	KUNIT_CASE(orphan_is_adopted),
	KUNIT_CASE(all_shadow_pages_go),
	KUNIT_CASE(all_go_while_the_oldest_root_is_in_use),
	KUNIT_CASE(all_go_while_the_newest_root_is_in_use),
	KUNIT_CASE(full_bag_lets_the_guest_on),
	KUNIT_CASE(room_is_made_among_aliases),
	KUNIT_CASE(hash_has_a_key),
	KUNIT_CASE(shadow_pages_have_a_bound),
	KUNIT_CASE(slot_is_larger_than_what_is_in_it),
	KUNIT_CASE(host_takes_all),
	KUNIT_CASE(log_is_cleared_of_aliases),
	KUNIT_CASE(slot_goes_while_the_guest_runs),
	KUNIT_CASE(slots_have_a_bound),
	KUNIT_CASE(table_changes_under_each_walk),
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
