/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Inside the shadow MMU.  Invariants, which audit.c checks:
 *
 *  I1 A shadow entry is empty, or a function of one guest entry: the one in the
 *     page's snapshot (gpt[i]), or none for direct pages.
 *  I2 In a page that is in sync, gpt[i] equals the guest's table wherever
 *     the entry is not empty (A and D, which we set, may be newer there).
 *  I3 A leaf is writable only if its frame is host-writable, no table in sync
 *     lies in it, and (when dirty logging) its dirty bit is set.
 * I4 Each present leaf is in its frame's rmap once, each link in its child's parents once; nothing
 * else is. I5 frame->nr_tables and nr_synced count the shadow pages of its gfn.
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
 * @host: host-physical address, with FRAME_* in the low bits; 0: not present
 * @rmap: leaf entries that map it (rmap.c)
 * @nr_tables: shadow pages whose guest table lies in it
 * @nr_synced: those of them that are in sync, so the frame is write-protected
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
 * @spt: its 512 entries, which the processor reads
 * @gpt: the guest entries from which @spt was made; all 0 if direct
 * @parents: links that point here (rmap.c)
 * @generation: the VM's generation when it was made: see gondola_mmu_zap_all()
 * @root_count: vCPUs' cached roots that point here
 * @present: entries that are not empty
 * @frame: where the guest's table lies; NULL if direct
 * @unsync: the guest may write its table without a fault; only level 1
 * @touched: with @unsync: it has done so since the last sync (see also rmap_harvest())
 * @orphan: no entry leads here any more: it is at the end of the VM's list, and is zapped soon
 * @invalid: zapped, but still a vCPU's root
 * @writes: writes to the guest's table since a walk last used it
 * @quiet: consecutive syncs that found no change
 * @mark: result of the last search through the parents (see reaches())
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

/* page_of() for the table to which an entry points, without its virtual address. */
static inline struct gondola_shadow_page *child_of(u64 spte)
{
	struct page *page = pfn_to_page((spte & PT_ADDR) >> GONDOLA_PAGE_SHIFT);

	return (struct gondola_shadow_page *)page_private(page);
}

/*
 * Change an entry that is present; there is no other way to do so.  Processors set A and D in it at
 * any time, so it changes atomically.  Keeps the bits of @keep, sets those of @set, and returns the
 * old value.
 */
static inline u64 mmu_entry_change(u64 *spte, u64 keep, u64 set)
{
	u64 old = READ_ONCE(*spte);

	do {
		mmu_host_entry(spte);
	} while (!try_cmpxchg(spte, &old, (old & keep) | set));
	return old;
}

/* No processor writes an entry that is not present. */
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

/* The frame of @gfn, which lies in @slot.  The guest chose @gfn: do not speculate past the end. */
static inline struct gondola_frame *mmu_frame_in(const struct gondola_slot *slot, gfn_t gfn)
{
	return &slot->frames[array_index_nospec(gfn - slot->base, slot->pages)];
}

static inline struct gondola_frame *mmu_find_frame(struct gondola_vm *vm, gfn_t gfn)
{
	struct gondola_slot *slot = mmu_find_slot(vm, gfn);

	return slot ? mmu_frame_in(slot, gfn) : NULL;
}

/* A frame that must become present (and writable) before an access can continue. */
struct missing {
	gfn_t gfn;
	bool write;
};

/*
 * Make a frame present (and writable).  Takes and drops the lock.  After 0 the caller starts over,
 * since even the slot may be gone.  -EAGAIN: it needs waiting, and vcpu->missing names it. -EFAULT:
 * the launcher has nothing mapped there.
 */
int mmu_fault_in(struct gondola_vcpu *vcpu, struct missing what);

/* rmap.c: bags of pointers to entries; 0 is an empty bag. */
void rmap_add(struct gondola_mmu_cache *cache, unsigned long *head, u64 *spte);
/* Returns false if the entry is not in the bag. */
bool rmap_remove(unsigned long *head, u64 *spte);
u64 *rmap_first(unsigned long head);
/* The most entries that a bag may have: see mmu_make_room_in(). */
#define RMAP_MAX	(32 * 14)
unsigned int rmap_size(unsigned long head);
/* The memory that the bag takes beside its head, in bytes. */
unsigned int rmap_bytes(unsigned long head);
/* Set in the head of a bag that has chunks.  Other bags have one entry at most. */
#define RMAP_CHUNK	1ul
bool rmap_chunks_are_full(unsigned long head);
static inline bool rmap_is_full(unsigned long head)
{
	return head & RMAP_CHUNK && rmap_chunks_are_full(head);
}
/* The entry that a full bag gives up next. */
u64 *rmap_victim(unsigned long head, unsigned int turn);
/* Call @visit for each entry until it returns true. */
void rmap_visit(unsigned long head, bool (*visit)(u64 *spte, void *arg), void *arg);
bool rmap_has(unsigned long head, const u64 *spte);
/* Remove write access from all entries; true if any had it.  *@written is set if one had D as well. */
bool rmap_write_protect(unsigned long head, bool *written);
/* Was the frame written through an entry of the bag since the last call?  Clears the processor's D bits. */
bool rmap_harvest(unsigned long head);
int rmap_init(void);
void rmap_exit(void);
int mmu_cache_fill(struct gondola_vcpu *vcpu);
void mmu_cache_empty(struct gondola_vcpu *vcpu);

/* Prefetching and syncing leave these objects to the fault itself, for four links and a leaf. */
#define CHUNKS_RESERVED		6

static inline bool mmu_chunk_to_spare(const struct gondola_vcpu *vcpu)
{
	return vcpu->mmu.rmap_cache.count > CHUNKS_RESERVED;
}

/* shadow.c */
void mmu_lock(struct gondola_vm *vm) __acquires(&vm->mmu.lock);
/* Flush and free what was zapped under the lock, and drop it. */
void mmu_unlock(struct gondola_vm *vm) __releases(&vm->mmu.lock);
struct gondola_shadow_page *shadow_find(struct gondola_vm *vm, gfn_t gfn,
					union gondola_role role);
struct gondola_shadow_page *shadow_get(struct gondola_vcpu *vcpu, gfn_t gfn,
				       union gondola_role role);
/*
 * Zap a page: empty it and unlink it.  mmu_unlock() frees it, or the last vCPU whose root it is.
 * Tables below it are not zapped, but may become orphans.
 */
void shadow_zap(struct gondola_vm *vm, struct gondola_shadow_page *sp);
/* From now on no entry lets the guest write @gfn.  True if a flush is due for that. */
bool mmu_write_protect(struct gondola_vm *vm, gfn_t gfn, struct gondola_frame *frame);
/* @gfn becomes a table in sync: the guest must not write it without a fault. */
void mmu_protect_table(struct gondola_vm *vm, gfn_t gfn, struct gondola_frame *frame);
void shadow_put_root(struct gondola_vm *vm, struct gondola_shadow_page *sp);
void shadow_evict_for(struct gondola_vm *vm, u32 pages);
/* Make room for @pages more within the VM's bound. */
static inline void shadow_make_room(struct gondola_vm *vm, u32 pages)
{
	if (unlikely(vm->mmu.nr_pages + pages > vm->mmu.max_pages))
		shadow_evict_for(vm, pages);
}
unsigned long shadow_evict(struct gondola_vm *vm, unsigned long pages);
/* An entry leads to the orphan @sp again. */
void shadow_adopt(struct gondola_vm *vm, struct gondola_shadow_page *sp);
/* Make room for one entry in bag @head: if it is full, empty one of its entries. */
void mmu_make_room_in(struct gondola_vm *vm, unsigned long head);
/* Empty one entry; a link's child that loses its last parent becomes an orphan. */
void mmu_entry_remove(struct gondola_vm *vm, struct gondola_shadow_page *sp, unsigned int i);
/* The same, if the entry is present. */
static inline void mmu_entry_clear(struct gondola_vm *vm, struct gondola_shadow_page *sp,
				   unsigned int i)
{
	mmu_step(1);
	if (spte_present(sp->spt[i]))
		mmu_entry_remove(vm, sp, i);
}
/* A slot was added: a CR3 that led to no memory may lead to some now. */
void mmu_forget_nowhere(struct gondola_vm *vm);
/* Empty all entries. */
void shadow_clear(struct gondola_vm *vm, struct gondola_shadow_page *sp);
struct gondola_shadow_page *mmu_page_alloc(gfp_t gfp, bool pae_root);
void mmu_page_free(struct gondola_shadow_page *sp);
/* No processor walks zapped pages any more: free them. */
void mmu_free_doomed(struct gondola_vm *vm);
/* All vCPUs drop their translations before this returns.  Lock held. */
void mmu_flush_all(struct gondola_vm *vm);

/* Multiply-shift hashing: the guest chooses gfns, but does not know the factor. */
static inline struct hlist_head *mmu_hash_bucket(const struct gondola_vm *vm, gfn_t gfn)
{
	return &vm->mmu.hash[gfn * vm->mmu.hash_key >> vm->mmu.hash_shift];
}

/* For each shadow page of a guest table in @gfn.  None may be zapped in the loop. */
#define mmu_for_each_table(vm, gfn_, sp)						\
	hlist_for_each_entry(sp, mmu_hash_bucket(vm, gfn_), hash_link)			\
		if (mmu_step(1), (sp)->gfn != (gfn_) || (sp)->role.direct) {} else

/* The vCPU's own page of four pointers.  It is not in the hash and shadows no table. */
static inline bool is_pae_root(const struct gondola_shadow_page *sp)
{
	return sp->role.level == 3 && !sp->role.long_mode;
}

/* walk.c */
struct mmu_walk {
	gfn_t table[5];		/* by level: address of the entry */
	u64 gpte[5];
	gfn_t gfn;		/* the 4 KiB frame of the address */
	u64 rights;		/* PT_W, PT_U, PT_NX combined over the levels */
	int leaf;		/* level of the entry that maps the page */
	u32 error;		/* FAULT */
	struct missing missing;	/* MISSING: a table's frame */
};

enum mmu_walk_result { WALK_OK, WALK_FAULT, WALK_MISSING };

struct mmu_format {
	u8 levels;		/* number of levels read from memory: 4, or 2 (PAE and 32-bit) */
	u8 entry_bytes;
	u8 index_bits;
	bool pae;		/* the level above comes from the PDPTE registers */
};

extern const struct mmu_format mmu_format_32, mmu_format_pae, mmu_format_4level;

enum mmu_walk_result mmu_walk(struct gondola_vcpu *vcpu, gva_t gva, u32 access,
			      struct mmu_walk *w);
/* By [PS][level].  They follow from the role, so pages of one role have the same. */
void mmu_reserved_bits(union gondola_role role, const struct mmu_format *format,
		       u64 reserved[2][5]);
/* The error code of a fault.  @why: PFEC_P, PFEC_RSVD. */
u32 mmu_fault_code(const struct gondola_vcpu *vcpu, u32 access, u32 why);
/* Is the page a leaf table that the guest's kernel writes now, with the monitor's help? */
static inline bool mmu_table_is_open(const struct gondola_vcpu *vcpu, gfn_t gfn)
{
	return unlikely(vcpu->mmu.table_open && gfn == vcpu->mmu.table);
}

/* @rights: PT_W, PT_U as granted, PT_NX as denied, combined over the levels.  @gfn: of the page */
bool mmu_access_allowed(const struct gondola_vcpu *vcpu, u32 access, u64 rights, gfn_t gfn);

/* The entry with the rights that it counts as granting. */
static inline u64 mmu_granted(union gondola_role role, u64 gpte)
{
	static_assert(PT_U == BIT_ULL(2));
	return gpte | (u64)role.user << 2;
}

static inline u64 mmu_combine_rights(u64 rights, u64 gpte)
{
	return (rights & (gpte | PT_NX)) | (gpte & PT_NX);
}

/* The guest's present entry for entry @i of a shadow page. */
static inline u64 guest_entry(const struct gondola_shadow_page *sp, const void *table,
			      unsigned int i)
{
	if (!sp->role.gpte32)
		return READ_ONCE(((const u64 *)table)[i]);
	/* A directory entry covers 4 MiB, as two of ours do.  A quadrant has 256 of the 1024 entries. */
	if (sp->role.level == 2)
		return READ_ONCE(((const u32 *)table)[sp->role.quadrant * 256 + i / 2]);
	return READ_ONCE(((const u32 *)table)[sp->role.quadrant * 512 + i]);
}

/* Does this guest entry map memory, at this level? */
static inline bool mmu_is_large(union gondola_role role, unsigned int level, u64 gpte)
{
	return (gpte & PT_PS) && (level == 2 || level == 3) && !role.nopse;
}

static inline bool gpte_is_large(union gondola_role role, u64 gpte)
{
	return mmu_is_large(role, role.level, gpte);
}

/* The gfn that entry @i of a level-1 page maps. */
static inline gfn_t mmu_leaf_gfn(const struct gondola_shadow_page *sp, unsigned int i)
{
	return sp->role.direct ? sp->gfn + i : (sp->gpt[i] & PT_ADDR) >> GONDOLA_PAGE_SHIFT;
}

/*
 * Declare a VM dead after an impossible event.  GONDOLA_RUN then returns -EIO.  The VM keeps its
 * shadow pages to its end, since something may still point to them.  Lock held.
 */
bool mmu_broken(struct gondola_vm *vm, const char *what);
#define MMU_BUG_ON(vm, condition)						\
	(unlikely(condition) && mmu_broken(vm, #condition))

/* lookup.c */
/**
 * struct mmu_place - the result of a lookup
 * @sp, @i: the leaf's shadow entry, which may be empty
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
 * Translate by the shadow's snapshots, at a fraction of the cost of mmu_walk().  WALK_MISSING: they
 * do not suffice; walk.  The caller has checked that the root exists.
 */
enum mmu_walk_result mmu_lookup(struct gondola_vcpu *vcpu, gva_t gva, u32 access,
				struct mmu_place *place);

/* fault.c */
/* Fill entry @i of a level-1 page from @gpte, if that needs no fault.  True if it is present now. */
bool mmu_leaf_try(struct gondola_vcpu *vcpu, struct gondola_shadow_page *sp, unsigned int i,
		  u64 gpte);
/* Link entry @i of an upper page to a child, if the child exists. */
bool mmu_link_try(struct gondola_vcpu *vcpu, struct gondola_shadow_page *sp, unsigned int i,
		  u64 gpte);

/* sync.c */
bool mmu_unsync_gfn(struct gondola_vcpu *vcpu, gfn_t gfn, struct gondola_frame *frame);
void mmu_sync_page(struct gondola_vcpu *vcpu, struct gondola_shadow_page *sp);
void mmu_sync_entry(struct gondola_vcpu *vcpu, struct gondola_shadow_page *sp, unsigned int i);
/* Note that the tables in this frame were written. */
void mmu_touch_tables(struct gondola_vm *vm, gfn_t gfn);
/* Called before a leaf is removed or loses D: note what D says of a table out of sync. */
static inline void mmu_keep_written(struct gondola_vm *vm, const struct gondola_frame *frame,
				    gfn_t gfn, u64 spte)
{
	if (unlikely(frame->nr_tables > frame->nr_synced) &&
	    (spte & (PT_W | PT_D)) == (PT_W | PT_D))
		mmu_touch_tables(vm, gfn);
}
void mmu_sync_root(struct gondola_vcpu *vcpu, struct gondola_shadow_page *root);
/* A new way leads to upper page @sp: sync the tables below, since no flush by the guest is due. */
void mmu_sync_below(struct gondola_vcpu *vcpu, struct gondola_shadow_page *sp);
/* Guest memory was written: bring the shadows of tables there up to date. */
void mmu_table_written(struct gondola_vcpu *vcpu, gfn_t gfn, unsigned int offset,
		       unsigned int bytes);
/* The same for an entry of 8 bytes that the guest asked to be written: its table stays one. */
void mmu_table_told(struct gondola_vcpu *vcpu, gfn_t gfn, unsigned int offset);
/* Not a vCPU wrote the frame: zap its shadows. */
void mmu_zap_tables(struct gondola_vm *vm, gfn_t gfn);

/* A CR3 that leads to no memory gets a root that stays empty. */
#define GFN_NOWHERE	(~0ull >> 12)

/* root.c */
/* With these gondola_mmu_load() has work to do. */
#define MMU_LOAD_REQUESTS	(BIT(GONDOLA_REQ_MMU_RELOAD) | BIT(GONDOLA_REQ_MMU_SYNC))
/* The guest's entry @i of the PAE root; without PAE one made from CR3, without paging a direct one. */
u64 mmu_pae_entry(struct gondola_vcpu *vcpu, unsigned int i);

static inline struct gondola_shadow_page *mmu_current_root(const struct gondola_vcpu *vcpu)
{
	if (!vcpu->mmu.role.long_mode)
		return vcpu->mmu.pae_root;
	return vcpu->mmu.roots[vcpu->mmu.current_root].page;
}

/* Zapped, or of an earlier generation.  The PAE root has no generation. */
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

/* audit.c: set by a test that expects violations, or the VM's death: they are counted, not logged. */
extern bool mmu_audit_quiet;

/* dirty.c */
/* Allocate a clean dirty log for so many pages; freed by vfree(). */
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
