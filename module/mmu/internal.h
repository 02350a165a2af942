/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The shadow MMU's insides.  Invariants, proved by audit.c:
 *
 *  I1 A shadow entry is empty, or a function of one guest entry: the one in the
 *     page's snapshot (gpt[i]), or none for direct pages.
 *  I2 In a page that is in sync, gpt[i] is what the guest's table holds wherever
 *     the entry is not empty (A and D, which we set, may be newer there).
 *  I3 A leaf is writable only if its frame is host-writable, no table in sync
 *     lies in it, and (when dirty logging) its dirty bit is set.
 *  I4 Each present leaf is in its frame's rmap, each link in its child's parents,
 *     once; and nothing else is.
 *  I5 frame->nr_tables and nr_synced count the shadow pages of its gfn.
 */
#ifndef GONDOLA_MMU_INTERNAL_H
#define GONDOLA_MMU_INTERNAL_H

#include <linux/list.h>
#include <linux/mm.h>
#include <linux/nospec.h>
#include "vcpu.h"
#include "vm.h"
#include "host.h"
#include "mmu.h"
#include "steps.h"

#define MMU_ENTRIES		512

/**
 * struct gondola_frame - a page of guest memory
 * @host: host-physical address, FRAME_* in the low bits; 0: not present now
 * @rmap: leaf entries that map it (rmap.c)
 * @nr_tables: shadow pages whose guest table lies in it
 * @nr_synced: those of them that are in sync, hence need it write-protected
 */
struct gondola_frame {
	u64 host;
	unsigned long rmap;
	u32 nr_tables;
	u32 nr_synced;
};

#define FRAME_PRESENT	BIT_ULL(0)
#define FRAME_WRITABLE	BIT_ULL(1)

/**
 * struct gondola_shadow_page - one shadow table
 * @spt: its 512 entries, as the processor reads them
 * @gpt: the guest entries that @spt was made from; all 0 if direct
 * @parents: links that point here (rmap.c)
 * @generation: the VM's when it was made: see gondola_mmu_zap_all()
 * @root_count: vCPUs' cached roots that point here
 * @present: entries that are not empty
 * @frame: where the guest's table lies; NULL if direct
 * @unsync: the guest may write its table unseen; only level 1
 * @touched: with @unsync: it has, since the last sync (see also rmap_harvest())
 * @orphan: nothing leads here any more: it lies at the end of the VM's list, and goes soon
 * @invalid: zapped, but still somebody's root
 * @writes: writes to the guest's table since it was last walked through
 * @quiet: syncs in a row that found nothing changed
 * @mark: what the last search through the parents found here (see reaches())
 */
struct gondola_shadow_page {
	struct hlist_node hash_link;
	struct list_head link;
	struct list_head unsync_link;
	gfn_t gfn;
	union gondola_role role;
	u32 generation;
	u64 *spt;
	u64 *gpt;
	unsigned long parents;
	u64 mark;
	u32 root_count;
	u16 present;
	struct gondola_frame *frame;
	bool unsync;
	bool touched;
	bool orphan;
	bool invalid;
	u8 writes;
	u8 quiet;
};

/* An empty entry is 0: L1TF finds no address in it. */
static inline bool spte_present(u64 spte)
{
	return spte & PT_P;
}

static inline void *frame_data(const struct gondola_frame *frame)
{
	return __va(frame->host & PT_ADDR);
}

static inline struct gondola_shadow_page *page_of(const u64 *spt)
{
	return (struct gondola_shadow_page *)page_private(virt_to_page(spt));
}

/* page_of() what the entry points to, without the way over its virtual address. */
static inline struct gondola_shadow_page *child_of(u64 spte)
{
	struct page *page = pfn_to_page((spte & PT_ADDR) >> GONDOLA_PAGE_SHIFT);

	return (struct gondola_shadow_page *)page_private(page);
}

/*
 * The one door through which an entry changes that is present: the processors set A and D in it
 * at any time, so it changes in one step, and is judged by what it held at that step.  Keeps the
 * bits of @keep, sets those of @set, returns what was there.
 */
static inline u64 mmu_entry_change(u64 *spte, u64 keep, u64 set)
{
	u64 old = READ_ONCE(*spte);

	do {
		mmu_host_entry(spte);
	} while (!try_cmpxchg(spte, &old, (old & keep) | set));
	return old;
}

/* An entry that is not present is ours alone. */
static inline void mmu_entry_fill(u64 *spte, u64 new)
{
	WRITE_ONCE(*spte, new);
}

static inline unsigned int spte_index(const u64 *spte)
{
	return ((unsigned long)spte & (GONDOLA_PAGE_SIZE - 1)) / sizeof(u64);
}

static inline unsigned int shadow_index(gva_t gva, unsigned int level)
{
	return (gva >> (12 + 9 * (level - 1))) & (MMU_ENTRIES - 1);
}

/* slots.c */
struct gondola_slot *mmu_find_slot_slow(struct gondola_vm *vm, gfn_t gfn);

static inline struct gondola_slot *mmu_find_slot(struct gondola_vm *vm, gfn_t gfn)
{
	struct gondola_slot *slot = vm->mmu.last_slot;

	if (slot && gfn - slot->base < slot->pages)
		return slot;
	return mmu_find_slot_slow(vm, gfn);
}

/* The frame of @gfn, which lies in @slot; the guest chose it, and may not speculate past the end. */
static inline struct gondola_frame *mmu_frame_in(const struct gondola_slot *slot, gfn_t gfn)
{
	return &slot->frames[array_index_nospec(gfn - slot->base, slot->pages)];
}

static inline struct gondola_frame *mmu_find_frame(struct gondola_vm *vm, gfn_t gfn)
{
	struct gondola_slot *slot = mmu_find_slot(vm, gfn);

	return slot ? mmu_frame_in(slot, gfn) : NULL;
}

/* A frame that must be made present (and writable) before an access can go on. */
struct missing {
	gfn_t gfn;
	bool write;
};

/*
 * Make a frame present (and writable).  Takes and drops the lock; on 0 the caller looks again,
 * also for whether it is in a slot.  -EAGAIN: it would have to be waited for; it is noted in
 * vcpu->missing.  -EFAULT: the launcher has nothing there.
 */
int mmu_fault_in(struct gondola_vcpu *vcpu, struct missing what);

/* rmap.c: a bag of entry pointers; 0 is empty. */
void rmap_add(struct gondola_mmu_cache *cache, unsigned long *head, u64 *spte);
/* False: it is not in the bag. */
bool rmap_remove(unsigned long *head, u64 *spte);
u64 *rmap_first(unsigned long head);
/* As many entries as a bag may have: see mmu_make_room_in(). */
#define RMAP_MAX	(32 * 14)
unsigned int rmap_size(unsigned long head);
/* In the head of a bag that has chunks; others have one entry at most. */
#define RMAP_CHUNK	1ul
bool rmap_chunks_are_full(unsigned long head);
static inline bool rmap_is_full(unsigned long head)
{
	return head & RMAP_CHUNK && rmap_chunks_are_full(head);
}
/* Of a full bag: the entry whose turn it is to go. */
u64 *rmap_victim(unsigned long head, unsigned int turn);
/* Call @visit for each until it returns true. */
void rmap_visit(unsigned long head, bool (*visit)(u64 *spte, void *arg), void *arg);
bool rmap_has(unsigned long head, const u64 *spte);
/* Remove write access from every entry of the bag; true if any had it. @written: … and D. */
bool rmap_write_protect(unsigned long head, bool *written);
/* Was the frame written through one of these since last asked? Clears the processor's D bits. */
bool rmap_harvest(unsigned long head);
int rmap_init(void);
void rmap_exit(void);
int mmu_cache_fill(struct gondola_vcpu *vcpu);
void mmu_cache_empty(struct gondola_vcpu *vcpu);

/*
 * Filling more than the fault asks for, and syncing on the way, leave the last objects of the
 * cache to the fault itself: four links and a leaf.
 */
#define CHUNKS_RESERVED		6

static inline bool mmu_chunk_to_spare(const struct gondola_vcpu *vcpu)
{
	return vcpu->mmu.rmap_cache.count > CHUNKS_RESERVED;
}

/* shadow.c */
void mmu_lock(struct gondola_vm *vm) __acquires(&vm->mmu.lock);
/* Drops the lock; before that, flushes and frees what was zapped under it. */
void mmu_unlock(struct gondola_vm *vm) __releases(&vm->mmu.lock);
struct gondola_shadow_page *shadow_find(struct gondola_vm *vm, gfn_t gfn,
					union gondola_role role);
struct gondola_shadow_page *shadow_get(struct gondola_vcpu *vcpu, gfn_t gfn,
				       union gondola_role role);
/*
 * Zap: empty it, unlink it; it is freed with the lock, or when it is nobody's root any more.
 * Tables below it are not zapped with it, but may be left orphans.
 */
void shadow_zap(struct gondola_vm *vm, struct gondola_shadow_page *sp);
/* No entry lets the guest write @gfn from now on; true if a flush is due for that. */
bool mmu_write_protect(struct gondola_vm *vm, gfn_t gfn, struct gondola_frame *frame);
/* A table in sync comes to lie in @gfn: the guest must not write it unseen. */
void mmu_protect_table(struct gondola_vm *vm, gfn_t gfn, struct gondola_frame *frame);
void shadow_put_root(struct gondola_vm *vm, struct gondola_shadow_page *sp);
void shadow_evict_for(struct gondola_vm *vm, u32 pages);
/* The VM's bound leaves room for @pages more. */
static inline void shadow_make_room(struct gondola_vm *vm, u32 pages)
{
	if (unlikely(vm->mmu.nr_pages + pages > vm->mmu.max_pages))
		shadow_evict_for(vm, pages);
}
unsigned long shadow_evict(struct gondola_vm *vm, unsigned long pages);
/* Something leads to @sp again. */
void shadow_adopt(struct gondola_vm *vm, struct gondola_shadow_page *sp);
/* Before one more entry is added to bag @head: if it is full, one that it has is emptied. */
void mmu_make_room_in(struct gondola_vm *vm, unsigned long head);
/* Empty one entry; a link's child that loses its last parent becomes an orphan. */
void mmu_entry_remove(struct gondola_vm *vm, struct gondola_shadow_page *sp, unsigned int i);
/* The same, if it is not empty yet. */
static inline void mmu_entry_clear(struct gondola_vm *vm, struct gondola_shadow_page *sp,
				   unsigned int i)
{
	mmu_step(1);
	if (spte_present(sp->spt[i]))
		mmu_entry_remove(vm, sp, i);
}
/* A slot is added: a CR3 that led to no memory may lead to some now. */
void mmu_forget_nowhere(struct gondola_vm *vm);
/* Empty all entries. */
void shadow_clear(struct gondola_vm *vm, struct gondola_shadow_page *sp);
struct gondola_shadow_page *mmu_page_alloc(gfp_t gfp, bool pae_root);
void mmu_page_free(struct gondola_shadow_page *sp);
/* No processor walks what was zapped: free it. */
void mmu_free_doomed(struct gondola_vm *vm);
/* All vCPUs drop their translations before this returns. Lock held. */
void mmu_flush_all(struct gondola_vm *vm);

/* The guest chooses the gfns, but does not know the factor: multiply-shift hashing. */
static inline struct hlist_head *mmu_hash_bucket(const struct gondola_vm *vm, gfn_t gfn)
{
	return &vm->mmu.hash[gfn * vm->mmu.hash_key >> vm->mmu.hash_shift];
}

/* Shadow pages of a guest table in @gfn; none may be zapped meanwhile. */
#define mmu_for_each_table(vm, gfn_, sp)						\
	hlist_for_each_entry(sp, mmu_hash_bucket(vm, gfn_), hash_link)			\
		if (mmu_step(1), (sp)->gfn != (gfn_) || (sp)->role.direct) {} else

/* The vCPU's own page of four pointers, which is in no table and shadows none. */
static inline bool is_pae_root(const struct gondola_shadow_page *sp)
{
	return sp->role.level == 3 && !sp->role.long_mode;
}

/* walk.c */
struct mmu_walk {
	gfn_t table[5];		/* by level: where the entry was read */
	u64 gpte[5];
	gfn_t gfn;		/* the 4 KiB frame that the address leads to */
	u64 rights;		/* PT_W, PT_U, PT_NX combined over the levels */
	int leaf;		/* level of the entry that maps the page */
	u32 error;		/* FAULT */
	struct missing missing;	/* MISSING: a table's frame */
};

enum mmu_walk_result { WALK_OK, WALK_FAULT, WALK_MISSING };

struct mmu_format {
	u8 levels;		/* of tables that are read from memory: 4, 2 (PAE and 32-bit) */
	u8 entry_bytes;
	u8 index_bits;
	bool pae;		/* the level above comes from the PDPTE registers */
};

extern const struct mmu_format mmu_format_32, mmu_format_pae, mmu_format_4level;

enum mmu_walk_result mmu_walk(struct gondola_vcpu *vcpu, gva_t gva, u32 access,
			      struct mmu_walk *w);
/* By [PS][level]; a function of the role, so that pages of one role agree on them. */
void mmu_reserved_bits(union gondola_role role, const struct mmu_format *format,
		       u64 reserved[2][5]);
/* The error code of a fault: @why is PFEC_P, PFEC_RSVD. */
u32 mmu_fault_code(const struct gondola_vcpu *vcpu, u32 access, u32 why);
/* @rights: PT_W, PT_U as granted, PT_NX as denied, combined over the levels. */
bool mmu_access_allowed(const struct gondola_vcpu *vcpu, u32 access, u64 rights);

static inline u64 mmu_combine_rights(u64 rights, u64 gpte)
{
	return (rights & (gpte | PT_NX)) | (gpte & PT_NX);
}

/* Entry @i of a shadow page, as the guest's table holds it now. */
static inline u64 guest_entry(const struct gondola_shadow_page *sp, const void *table,
			      unsigned int i)
{
	if (!sp->role.gpte32)
		return READ_ONCE(((const u64 *)table)[i]);
	/* A directory entry covers 4 MiB, two of ours; a quadrant holds 256 of its 1024. */
	if (sp->role.level == 2)
		return READ_ONCE(((const u32 *)table)[sp->role.quadrant * 256 + i / 2]);
	return READ_ONCE(((const u32 *)table)[sp->role.quadrant * 512 + i]);
}

/* Does this guest entry, at this level, map memory itself? */
static inline bool mmu_is_large(union gondola_role role, unsigned int level, u64 gpte)
{
	return (gpte & PT_PS) && (level == 2 || level == 3) && !role.nopse;
}

static inline bool gpte_is_large(union gondola_role role, u64 gpte)
{
	return mmu_is_large(role, role.level, gpte);
}

/* The gfn that entry @i of a page of level 1 maps. */
static inline gfn_t mmu_leaf_gfn(const struct gondola_shadow_page *sp, unsigned int i)
{
	return sp->role.direct ? sp->gfn + i : (sp->gpt[i] & PT_ADDR) >> GONDOLA_PAGE_SHIFT;
}

/*
 * Declare a VM dead after something happened that the code holds to be impossible.  Each RUN gives
 * -EIO.  The VM keeps its shadow pages until it goes, since something may still point to them; the
 * host goes on.  Lock held.
 */
bool mmu_broken(struct gondola_vm *vm, const char *what);
#define MMU_BUG_ON(vm, condition)						\
	(unlikely(condition) && mmu_broken(vm, #condition))

/* lookup.c */
/**
 * struct mmu_place - where an address leads
 * @sp, @i: the leaf's shadow entry, present or not
 * @gpa: the guest-physical address
 * @gpte: the guest's leaf entry; 0 if @sp is direct
 * @error: WALK_FAULT: the guest's error code
 */
struct mmu_place {
	struct gondola_shadow_page *sp;
	unsigned int i;
	gpa_t gpa;
	u64 gpte;
	u32 error;
};

/*
 * Translate by the shadow's snapshots instead of the guest's tables: a fraction
 * of the cost of mmu_walk(), which does the same.  WALK_MISSING: they do not
 * know; walk.  The caller has seen that the root is not gone.
 */
enum mmu_walk_result mmu_lookup(struct gondola_vcpu *vcpu, gva_t gva, u32 access,
				struct mmu_place *place);

/* fault.c */
/* Fill entry @i of a level-1 page from @gpte if that needs no fault; true if it is present now. */
bool mmu_leaf_try(struct gondola_vcpu *vcpu, struct gondola_shadow_page *sp, unsigned int i,
		  u64 gpte);
/* Link entry @i of an upper page to a child that exists already. */
bool mmu_link_try(struct gondola_vcpu *vcpu, struct gondola_shadow_page *sp, unsigned int i,
		  u64 gpte);

/* sync.c */
bool mmu_unsync_gfn(struct gondola_vcpu *vcpu, gfn_t gfn, struct gondola_frame *frame);
void mmu_sync_page(struct gondola_vcpu *vcpu, struct gondola_shadow_page *sp);
void mmu_sync_entry(struct gondola_vcpu *vcpu, struct gondola_shadow_page *sp, unsigned int i);
/* The tables in this frame have been written. */
void mmu_touch_tables(struct gondola_vm *vm, gfn_t gfn);
/* A leaf goes, or loses its D bit: before that, what D says of a table out of sync is kept. */
static inline void mmu_keep_written(struct gondola_vm *vm, const struct gondola_frame *frame,
				    gfn_t gfn, u64 spte)
{
	if (unlikely(frame->nr_tables > frame->nr_synced) &&
	    (spte & (PT_W | PT_D)) == (PT_W | PT_D))
		mmu_touch_tables(vm, gfn);
}
void mmu_sync_root(struct gondola_vcpu *vcpu, struct gondola_shadow_page *root);
/*
 * A new way leads to upper page @sp, for a root that was synced before it did: what lies
 * below may be stale, and no flush by the guest is due.
 */
void mmu_sync_below(struct gondola_vcpu *vcpu, struct gondola_shadow_page *sp);
/* The guest's memory at gpa … was written: bring shadows of tables there up to date. */
void mmu_table_written(struct gondola_vcpu *vcpu, gfn_t gfn, unsigned int offset,
		       unsigned int bytes);
/* A writer other than a vCPU wrote the frame: forget its shadows. */
void mmu_zap_tables(struct gondola_vm *vm, gfn_t gfn);

/* A CR3 that leads to no memory gets a root in which nothing is ever filled. */
#define GFN_NOWHERE	(~0ull >> 12)

/* root.c */
/* With these gondola_mmu_load() has work to do. */
#define MMU_LOAD_REQUESTS	(BIT(GONDOLA_REQ_MMU_RELOAD) | BIT(GONDOLA_REQ_MMU_SYNC))
/* Entry of the PAE root as the guest's registers, or the lack of them, imply. */
u64 mmu_pae_entry(struct gondola_vcpu *vcpu, unsigned int i);

static inline struct gondola_shadow_page *mmu_current_root(const struct gondola_vcpu *vcpu)
{
	if (!vcpu->mmu.role.long_mode)
		return vcpu->mmu.pae_root;
	return vcpu->mmu.roots[vcpu->mmu.current_root].page;
}

/* Zapped, or of an earlier generation; the PAE root itself is of none. */
static inline bool mmu_root_was_zapped(const struct gondola_vcpu *vcpu,
				       const struct gondola_shadow_page *root)
{
	return root->invalid || (root != vcpu->mmu.pae_root &&
				 root->generation != vcpu->vm->mmu.generation);
}

static inline bool mmu_root_is_gone(const struct gondola_vcpu *vcpu)
{
	const struct gondola_shadow_page *root = mmu_current_root(vcpu);

	return !root || mmu_root_was_zapped(vcpu, root);
}

/* audit.c: a test that expects violations, or the VM's death, wants them counted, not told. */
extern bool mmu_audit_quiet;

/* dirty.c */
/* A dirty log for so many pages, clean; freed by vfree(). */
unsigned long *mmu_dirty_alloc(struct gondola_vm *vm, u64 pages);
void mmu_dirty_begin(struct gondola_slot *slot, unsigned long *dirty);
void mmu_mark_page_dirty(struct gondola_vm *vm, struct gondola_vcpu *vcpu,
			 struct gondola_slot *slot, gfn_t gfn,
			 enum gondola_dirty_source source);
static inline bool mmu_may_write_clean(const struct gondola_slot *slot, gfn_t gfn)
{
	return !slot->dirty || test_bit(gfn - slot->base, slot->dirty);
}

#endif
