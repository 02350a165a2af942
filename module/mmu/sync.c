// SPDX-License-Identifier: GPL-2.0-only
/*
 * Synchronisation of shadows with their tables.  A leaf table that the guest writes goes out of
 * sync: the guest may write it freely, as if the shadow were a TLB, and it is compared when the
 * guest flushes. Writes to upper tables are emulated and update the shadow at once.
 */
#include "internal.h"

#define FLOOD		3	/* writes without a walk in between: it is no page table any more */
#define QUIET_SYNCS	3	/* syncs without a write: the table is protected again */
#define MAX_ASKED	4096	/* limit of parents looked at in one search */
#define MAX_ALIASES	16	/* shadow pages of one table that are updated one by one */

void mmu_touch_tables(struct gondola_vm *vm, gfn_t gfn)
{
	struct gondola_shadow_page *sp;

	mmu_for_each_table(vm, gfn, sp)
		sp->touched = true;
}

static void unsync_page(struct gondola_vm *vm, struct gondola_shadow_page *sp,
			struct gondola_frame *frame)
{
	sp->unsync = true;
	sp->touched = true;
	sp->quiet = 0;
	list_add(&sp->unsync_link, &vm->mmu.unsync);
	vm->mmu.nr_unsync++;
	frame->nr_synced--;
}

static void resync_page(struct gondola_vm *vm, struct gondola_shadow_page *sp,
			struct gondola_frame *frame)
{
	sp->unsync = false;
	list_del(&sp->unsync_link);
	vm->mmu.nr_unsync--;
	mmu_protect_table(vm, sp->gfn, frame);
}

/* Let the guest write a frame that holds tables.  False: it must not, so emulate the write. */
bool mmu_unsync_gfn(struct gondola_vcpu *vcpu, gfn_t gfn, struct gondola_frame *frame)
{
	struct gondola_vm *vm = vcpu->vm;
	struct gondola_shadow_page *sp;

	mmu_for_each_table(vm, gfn, sp) {
		if (sp->role.level == 1)
			continue;
		if (sp->writes < FLOOD)
			return false;
		mmu_zap_tables(vm, gfn);
		return true;
	}
	mmu_for_each_table(vm, gfn, sp) {
		if (sp->unsync)
			continue;
		unsync_page(vm, sp, frame);
		gondola_count(vcpu, GONDOLA_COUNTER_SHADOW_UNSYNCED);
	}
	while (unlikely(vm->mmu.nr_unsync > vm->mmu.max_unsync)) {
		sp = list_last_entry(&vm->mmu.unsync, struct gondola_shadow_page, unsync_link);
		if (sp->gfn == gfn)
			break;
		sp->quiet = QUIET_SYNCS;
		mmu_sync_page(vcpu, sp);
	}
	return true;
}

void mmu_zap_tables(struct gondola_vm *vm, gfn_t gfn)
{
	struct gondola_shadow_page *sp;

again:
	mmu_for_each_table(vm, gfn, sp) {
		/* The bucket may have lost other pages as well. */
		shadow_zap(vm, sp);
		goto again;
	}
}

/* The guest's entry has become @gpte. */
static void update_entry(struct gondola_vcpu *vcpu, struct gondola_shadow_page *sp, unsigned int i,
			 u64 gpte)
{
	u64 changed = sp->gpt[i] ^ gpte;
	u64 keep = PT_A | PT_D;
	bool filled;

	if (sp->role.level == 1)
		keep |= PT_W | PT_U | PT_G | PT_PWT | PT_PCD | PT_NX;
	/* Rights of a leaf are changed in place, which leaves the reverse map alone. */
	if (spte_present(sp->spt[i]) && ((changed & ~keep) || sp->role.level > 1))
		mmu_entry_clear(vcpu->vm, sp, i);
	sp->gpt[i] = gpte;
	filled = sp->role.level == 1 ? mmu_leaf_try(vcpu, sp, i, gpte) :
				       mmu_link_try(vcpu, sp, i, gpte);
	if (filled) {
		if (sp->role.level > 1)
			mmu_sync_below(vcpu, child_of(sp->spt[i]));
		return;
	}
	mmu_entry_clear(vcpu->vm, sp, i);
}

/*
 * The first of eight entries that differs, or 8.  The guest may be writing, so entries that
 * differed may be equal when read again.
 */
static unsigned int compare8(const u64 *a, const u64 *b)
{
	unsigned int i;

	if (likely(!((a[0] ^ b[0]) | (a[1] ^ b[1]) | (a[2] ^ b[2]) | (a[3] ^ b[3]) |
		     (a[4] ^ b[4]) | (a[5] ^ b[5]) | (a[6] ^ b[6]) | (a[7] ^ b[7]))))
		return 8;
	for (i = 0; i < 8; i++) {
		mmu_host_entry((u64 *)&a[i]);
		if (READ_ONCE(a[i]) != b[i])
			break;
	}
	return i;
}

static unsigned int next_change(const struct gondola_shadow_page *sp, const void *table,
				unsigned int i)
{
	if (sp->role.gpte32) {
		while (i < MMU_ENTRIES && guest_entry(sp, table, i) == sp->gpt[i])
			i++;
		return i;
	}
	while (i % 8 && i < MMU_ENTRIES) {
		if (((const u64 *)table)[i] != sp->gpt[i])
			return i;
		i++;
	}
	for (; i < MMU_ENTRIES; i += 8) {
		unsigned int at = compare8((const u64 *)table + i, sp->gpt + i);

		if (at != 8)
			return i + at;
	}
	return i;
}

/*
 * Bring a leaf page that is out of sync up to date.  It is in sync afterwards if it was quiet for a
 * while, or if its table is not present.
 */
void mmu_sync_page(struct gondola_vcpu *vcpu, struct gondola_shadow_page *sp)
{
	struct gondola_vm *vm = vcpu->vm;
	struct gondola_frame *frame = sp->frame;
	unsigned int i;
	bool changed = false;

	lockdep_assert_held(&vm->mmu.lock);
	gondola_count(vcpu, GONDOLA_COUNTER_SHADOW_SYNCS);
	mmu_step(MMU_ENTRIES);
	if (unlikely(!(frame->host & FRAME_PRESENT))) {
		/* The table is not present.  An empty shadow is in sync with any contents. */
		shadow_clear(vm, sp);
		memset64(sp->gpt, 0, MMU_ENTRIES);
		sp->touched = false;
		resync_page(vm, sp, frame);
		return;
	}
	/* Protect before comparing: another processor may be writing. */
	if (sp->quiet >= QUIET_SYNCS)
		resync_page(vm, sp, frame);
	sp->touched = false;
	for (i = next_change(sp, frame_data(frame), 0); i < MMU_ENTRIES;
	     i = next_change(sp, frame_data(frame), i + 1)) {
		changed = true;
		update_entry(vcpu, sp, i, guest_entry(sp, frame_data(frame), i));
	}
	if (!sp->unsync)
		return;
	/* A sync that finds no change counts as quiet, even if there were writes. */
	sp->quiet = changed ? 0 : sp->quiet + 1;
	/* A write through a TLB's old translation would set no D bit: see was_written(). */
	gondola_request(vcpu, GONDOLA_REQ_TLB_FLUSH);
}

void mmu_sync_entry(struct gondola_vcpu *vcpu, struct gondola_shadow_page *sp, unsigned int i)
{
	struct gondola_frame *frame = sp->frame;
	u64 gpte;

	if (!sp->unsync)
		return;
	if (!(frame->host & FRAME_PRESENT)) {
		mmu_entry_clear(vcpu->vm, sp, i);
		return;
	}
	gpte = guest_entry(sp, frame_data(frame), i);
	if (gpte != sp->gpt[i])
		update_entry(vcpu, sp, i, gpte);
}

/**
 * struct search - a search through parents for one root
 * @root: the root
 * @nr: this search marks pages with @nr for no and @nr + 1 for yes; older marks are smaller
 * @left: number of parents that may still be looked at
 * @found: the answer for the last page
 */
struct search {
	const struct gondola_shadow_page *root;
	u64 nr;
	unsigned int left;
	bool found;
};

static bool reaches(struct gondola_shadow_page *sp, struct search *search);

static bool reaches_by(u64 *parent, void *arg)
{
	struct search *search = arg;

	search->found = reaches(page_of(parent), search);
	return search->found;
}

/*
 * Does a way lead from the root to @sp?  A guest may make any number of ways, but a search looks at
 * each page once.  After too many parents the answer is yes, which is safe.
 */
static bool reaches(struct gondola_shadow_page *sp, struct search *search)
{
	if (sp == search->root || !search->left)
		return true;
	search->left--;
	if (sp->mark < search->nr) {
		search->found = false;
		rmap_visit(sp->parents, reaches_by, search);
		sp->mark = search->nr + search->found;
	}
	return sp->mark > search->nr;
}

/*
 * Has the guest written the table of an unsync page since the last call?  The processor's D bits
 * tell, unless another processor has the mapping in its TLB: with several vCPUs the answer is
 * always yes.
 */
static bool was_written(struct gondola_vcpu *vcpu, struct gondola_shadow_page *sp)
{
	if (atomic_read(&vcpu->vm->nr_vcpus) > 1)
		return true;
	if (!rmap_harvest(sp->frame->rmap))
		return false;
	/* The processor must set the D bits again. */
	gondola_request(vcpu, GONDOLA_REQ_TLB_FLUSH);
	return true;
}

void mmu_sync_root(struct gondola_vcpu *vcpu, struct gondola_shadow_page *root)
{
	struct search search = {
		.root = root,
		.nr = vcpu->vm->mmu.searches += 2,
		.left = MAX_ASKED,
	};
	struct gondola_shadow_page *sp, *next;

	/* No link changes in this loop, so the marks stay valid. */
	list_for_each_entry_safe(sp, next, &vcpu->vm->mmu.unsync, unsync_link) {
		mmu_step(1);
		/* A frame may have several shadows, but its D bits are seen once. */
		if (was_written(vcpu, sp))
			mmu_touch_tables(vcpu->vm, sp->gfn);
		if (!sp->touched) {
			if (++sp->quiet > QUIET_SYNCS)
				resync_page(vcpu->vm, sp, sp->frame);
			/* A write before the protection is seen now. */
			if (likely(!sp->touched))
				continue;
			mmu_sync_page(vcpu, sp);
			continue;
		}
		if (reaches(sp, &search))
			mmu_sync_page(vcpu, sp);
	}
}

void mmu_sync_below(struct gondola_vcpu *vcpu, struct gondola_shadow_page *sp)
{
	if (sp->role.level > 1 && sp->present && unlikely(vcpu->vm->mmu.nr_unsync))
		mmu_sync_root(vcpu, sp);
}

/* Find the shadow entries for the guest's bytes at @offset. */
static void entries_at(const struct gondola_shadow_page *sp, unsigned int offset,
		       unsigned int bytes, unsigned int *first, unsigned int *last)
{
	int from, to;

	if (!sp->role.gpte32) {
		*first = offset / 8;
		*last = (offset + bytes - 1) / 8;
		return;
	}
	from = offset / 4;
	to = (offset + bytes - 1) / 4;
	if (sp->role.level == 2) {
		from = (from - (int)sp->role.quadrant * 256) * 2;
		to = (to - (int)sp->role.quadrant * 256) * 2 + 1;
	} else {
		from -= (int)sp->role.quadrant * 512;
		to -= (int)sp->role.quadrant * 512;
	}
	*first = max(from, 0);
	*last = to;
	if (to < 0 || from >= MMU_ENTRIES) {
		*first = 1;
		*last = 0;
	} else if (to >= MMU_ENTRIES) {
		*last = MMU_ENTRIES - 1;
	}
}

void mmu_table_written(struct gondola_vcpu *vcpu, gfn_t gfn, unsigned int offset,
		       unsigned int bytes)
{
	struct gondola_shadow_page *sp, *tables[MAX_ALIASES];
	struct gondola_frame *frame = mmu_find_frame(vcpu->vm, gfn);
	unsigned int n = 0, t, i, last;

	gondola_count(vcpu, GONDOLA_COUNTER_TABLE_WRITES);
	mmu_for_each_table(vcpu->vm, gfn, sp) {
		/* Writes of more than an entry, or too many of them: the page holds data by now. */
		if (bytes > 8 || n == MAX_ALIASES ||
		    (++sp->writes > FLOOD && sp->role.level > 1)) {
			mmu_zap_tables(vcpu->vm, gfn);
			return;
		}
		tables[n++] = sp;
	}
	for (t = 0; t < n; t++) {
		sp = tables[t];
		/* An update may have zapped a page that comes later in @tables; it is not freed yet. */
		if (sp->invalid)
			continue;
		if (sp->unsync) {
			sp->touched = true;
			continue;
		}
		entries_at(sp, offset, bytes, &i, &last);
		for (; i <= last && !sp->invalid; i++)
			update_entry(vcpu, sp, i, guest_entry(sp, frame_data(frame), i));
	}
}

void mmu_table_told(struct gondola_vcpu *vcpu, gfn_t gfn, unsigned int offset)
{
	struct gondola_shadow_page *sp;

	mmu_for_each_table(vcpu->vm, gfn, sp)
		sp->writes = 0;
	mmu_table_written(vcpu, gfn, offset, sizeof(u64));
}
