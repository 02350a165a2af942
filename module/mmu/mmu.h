/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Guest memory and shadow paging: the interface for other rooms.
 *
 * One spinlock, vm->mmu.lock, guards slots, frames, shadow pages and reverse
 * maps.  Guest memory is reached through frames[] (gfn -> host frame), which
 * hold no page reference: the MMU notifier empties them, under the same lock, before the host takes
 * a page away.  So a present frame may be accessed through the kernel's direct map while the lock
 * is held.
 */
#ifndef GONDOLA_MMU_H
#define GONDOLA_MMU_H

#include <linux/build_bug.h>
#include <linux/list.h>
#include <linux/spinlock.h>
#include <linux/types.h>
#include <uapi/linux/gondola.h>
#include "x86/x86.h"

struct gondola_vm;
struct gondola_vcpu;
struct gondola_shadow_page;
struct gondola_frame;
struct mmu_format;

/* Marks of the launcher (GONDOLA_MARK). */
struct gondola_stamp {
	u32 phase;
	u32 round;
};

/**
 * struct gondola_slot - a range of guest memory
 * @base: first gfn
 * @pages: length; 0: the slot is empty
 * @hva: launcher's address of the first page
 * @flags: GONDOLA_MEM_*
 * @leaving: it is being removed, and its frames are not found any more
 * @frames: one for each page
 * @present: bitmap of those frames that are present
 * @dirty: bitmap of pages written since last cleared; NULL unless GONDOLA_MEM_LOG_DIRTY
 * @stamps: for each 64 pages, the VM's phase and round when their part of @dirty was last cleared,
 *	for the events of later writes; allocated together with @dirty
 */
struct gondola_slot {
	gfn_t base;
	u64 pages;
	hva_t hva;
	u32 flags;
	bool leaving;
	struct gondola_frame *frames;
	unsigned long *present;
	unsigned long *dirty;
	struct gondola_stamp *stamps;
};

#define GONDOLA_ROOTS		8	/* cached roots of a vCPU */

/**
 * union gondola_role - the properties that, with the gfn, identify a shadow page
 * @level: 1 … 4: entries of the *shadow* page map 4 KiB, 2 MiB, 1 GiB, 512 GiB
 * @direct: it shadows no guest table: entry i maps gfn + i * (pages of an entry); for an unpaged
 *	guest, or a large guest page cut into small ones
 * @gpte32: the guest's table has 4-byte entries (two-level paging)
 * @quadrant: the part of a 4-byte-entry table that it shadows, since a shadow table has half as
 *	many entries
 * @access: rights inherited from upper levels, if CR0.WP is clear.  While WP is set all are set
 *	(PT_W | PT_U >> 1): then each shadow entry has the rights of its own guest entry, and the
 *	processor combines them
 * @nowp: CR0.WP is clear
 * @nosmep: with @nowp: CR4.SMEP is set (a user page made supervisor-writable must not become
 *	executable)
 * @nosmap: with @nowp: CR4.SMAP is set (a user page must not become supervisor-writable at all,
 *	or it would escape SMAP: such writes are emulated)
 * @clean: with @nowp and @direct: the large guest entry has D clear.  Nothing below it is writable,
 *	not even for the supervisor; another mapping of the same page may be dirty
 * @nonxe: EFER.NXE is clear: bit 63 is reserved
 * @long_mode: entries follow the 4-level format's reserved bits (not PAE's)
 * @nopse: with @gpte32: CR4.PSE is clear: PS is ignored, each directory entry leads to a table
 * @gib_pages: with @long_mode: CPUID offers pages of 1 GiB, else their PS bit is reserved
 * @user: each entry counts as a user's, since the guest's kernel runs in ring 3, too
 * @maxphyaddr: CPUID's width of physical addresses: the bits above are reserved
 *
 * The walk takes the vCPU's mode from the role alone (mmu_reserved_bits(), gpte_is_large()). Its
 * inputs, and where each is kept, or why it need not be:
 *
 *  CR0.PG			@direct
 *  CR0.WP			@nowp
 *  CR4.PAE, EFER.LMA		@gpte32, @long_mode
 *  CR4.PSE			@nopse
 *  CR4.SMEP, CR4.SMAP		@nosmep, @nosmap with @nowp.  Else not kept: leaves carry the
 *				guest's rights, and the processor checks each access itself
 *  EFER.NXE			@nonxe
 *  MAXPHYADDR			@maxphyaddr
 *  the VM's personality	@user
 *  1 GiB pages			@gib_pages
 *  CR3, PDPTEs			gfn of the root, gpt[] of the PAE root
 *  CR4.PCIDE			not kept: it only says what the low bits of CR3 mean, and
 *				struct gondola_root keeps all of CR3
 *  CR4.PGE, G			not kept: no shadow entry is global, so that each flush flushes all
 *  PAT, MTRRs, PWT, PCD, CR0.CD	not kept: guest memory is always write-back
 *  PSE36			not kept: always there, as far as @maxphyaddr goes
 *  RFLAGS.AC, CPL		not kept: inputs of each access, not of the walk
 *  CR4.LA57, PKE and later	not kept: not offered, see GONDOLA_LISTED_CR4
 *  A20				not kept: there is no such gate, all address bits count
 *  slots			frames, and mmu_forget_nowhere() for what had none
 */
union gondola_role {
	u32 word;
	struct {
		u32 level:3;
		u32 direct:1;
		u32 gpte32:1;
		u32 quadrant:2;
		u32 access:2;
		u32 nowp:1;
		u32 nosmep:1;
		u32 nosmap:1;
		u32 nonxe:1;
		u32 long_mode:1;
		u32 clean:1;
		u32 nopse:1;
		u32 gib_pages:1;
		u32 user:1;
		u32 maxphyaddr:6;
	};
};

static_assert(sizeof(union gondola_role) == sizeof(u32));

/* Control bits on which the role depends: gondola_mmu_mode_changed() must follow a change. */
#define GONDOLA_ROLE_CR0	(CR0_PG | CR0_WP)
#define GONDOLA_ROLE_CR4	(CR4_PSE | CR4_PAE | CR4_SMEP | CR4_SMAP)
#define GONDOLA_ROLE_EFER	(EFER_F_NXE | EFER_F_LMA)
/* Control bits on which the role does not depend.  The table above says why for those of paging. */
#define GONDOLA_NO_ROLE_CR0	(CR0_PE | CR0_MP | CR0_EM | CR0_TS | CR0_ET | CR0_NE | CR0_AM | \
				 CR0_NW | CR0_CD)
#define GONDOLA_NO_ROLE_CR4	(CR4_VME | CR4_PVI | CR4_TSD | CR4_DE | CR4_MCE | CR4_PGE | \
				 CR4_PCE | CR4_OSFXSR | CR4_OSXMMEXCPT | CR4_UMIP | \
				 CR4_FSGSBASE | CR4_PCIDE | CR4_OSXSAVE)
#define GONDOLA_NO_ROLE_EFER	(EFER_F_SCE | EFER_F_LME)
/* A bit that is in neither list is not offered to guests. */
#define GONDOLA_LISTED_CR4	(GONDOLA_ROLE_CR4 | GONDOLA_NO_ROLE_CR4)
#define GONDOLA_LISTED_EFER	(GONDOLA_ROLE_EFER | GONDOLA_NO_ROLE_EFER)

static_assert((GONDOLA_ROLE_CR0 ^ GONDOLA_NO_ROLE_CR0) == CR0_DEFINED);
static_assert(!(GONDOLA_ROLE_CR4 & GONDOLA_NO_ROLE_CR4));
static_assert(!(GONDOLA_ROLE_EFER & GONDOLA_NO_ROLE_EFER));

/**
 * struct gondola_lock_stats - how often the MMU lock was taken and waited for
 * @cycles: of the host's TSC, spent in waiting
 */
struct gondola_lock_stats {
	u64 taken;
	u64 waited;
	u64 cycles;
};

/** gondola_mmu_lock_stats() - of all VMs since the module was loaded */
void gondola_mmu_lock_stats(struct gondola_lock_stats *sum);

struct gondola_vm_mmu {
	spinlock_t lock;
	struct gondola_slot slots[GONDOLA_MAX_SLOTS];
	struct gondola_slot *last_slot;		/* where the last look-up succeeded */
	struct hlist_head *hash;		/* shadow pages by (gfn, role) */
	u64 hash_key;				/* odd, the VM's own */
	u32 hash_shift;
	u32 generation;				/* shadow pages of an older one are being zapped */
	u32 evictions;				/* turn of the next victim from a full bag */
	struct list_head pages;			/* all, most recently used first, superfluous last */
	struct list_head unsync;		/* pages that may differ from their guest table */
	struct list_head doomed;		/* zapped; freed after a flush, when the lock is dropped */
	u32 nr_pages;
	u32 max_pages;
	u32 nr_unsync;
	u32 max_unsync;				/* beyond it the oldest is synced */
	u64 searches;				/* through parents, see reaches() */
	u64 nr_sptes;				/* present leaf entries, for the audit */
	u64 nr_dirtied;				/* bits set in dirty logs */
	unsigned long seq;			/* counts completed invalidations and slot changes */
	int invalidating;			/* invalidations under way */
	bool stale_tlb;				/* an entry was dropped without a flush of all vCPUs */
	bool flush_due;				/* and a flush is due when the lock is dropped */
	bool reap_due;				/* superfluous shadow pages are due, too */
	void *host;				/* mmu/host's own: notifier registration */
};

/* A root in use, or used lately; leaves below it may be out of sync. */
struct gondola_root {
	u64 cr3;
	struct gondola_shadow_page *page;
	bool stale;				/* must be synced before it is used again */
};

struct gondola_mmu_cache {
	int count;
	void *objects[40];
};

struct gondola_vcpu_mmu {
	const struct mmu_format *format;	/* of the guest's tables */
	union gondola_role role;		/* of the root, in the current mode */
	struct gondola_root roots[GONDOLA_ROOTS];
	int current_root;			/* index, or -1 */
	u64 pdptes[4];				/* PAE: loaded with CR3 */
	struct gondola_shadow_page *pae_root;	/* below 4 GiB, for guests that are not in long mode */
	struct gondola_mmu_cache page_cache;
	struct gondola_mmu_cache rmap_cache;
	u64 reserved[2][5];			/* reserved bits of the current format: [PS][level] */
	bool gib_pages;				/* CPUID offers 1 GiB pages */
	bool reload;				/* gondola_mmu_load() has work to do */
	bool table_open;			/* read-only entries forbid no write to @table, see xen/ */
	gfn_t table;
};

/** enum gondola_access_result - result of an access to guest memory */
enum gondola_access_result {
	GONDOLA_ACCESS_OK = 0,
	GONDOLA_ACCESS_FAULT,		/* the guest gets #PF: see @error */
	GONDOLA_ACCESS_MMIO,		/* no memory there: see @gpa */
	GONDOLA_ACCESS_INTERPRET,	/* (faults only) a write to a shadowed table: emulate it */
	GONDOLA_ACCESS_MEMORY,		/* the launcher must make vcpu->missing present */
	GONDOLA_ACCESS_ERROR,		/* out of memory or a broken launcher */
};

/**
 * struct gondola_access - result of a translation
 * @gpa: guest-physical address, with MMIO and OK
 * @error: with FAULT: the error code to push, else undefined
 */
struct gondola_access {
	gpa_t gpa;
	u32 error;
};

/* Life. */
int gondola_mmu_init_vm(struct gondola_vm *vm, u32 max_pages);
void gondola_mmu_destroy_vm(struct gondola_vm *vm);
int gondola_mmu_init_vcpu(struct gondola_vcpu *vcpu);
void gondola_mmu_destroy_vcpu(struct gondola_vcpu *vcpu);

/* Slots: vm->lock held. 0 or -errno as struct gondola_memory_slot says. */
int gondola_mmu_set_slot(struct gondola_vm *vm, const struct gondola_memory_slot *slot);
int gondola_mmu_get_dirty(struct gondola_vm *vm, u32 slot, u64 first, u64 pages, u64 *bitmap);
/**
 * gondola_mmu_clear_dirty() - clear the bits of the pages in @bitmap, which then has those that
 * were dirty
 */
int gondola_mmu_clear_dirty(struct gondola_vm *vm, u32 slot, u64 first, u64 pages, u64 *bitmap);
/** gondola_mmu_mark_dirty() - the host wrote there; @device: its name for events, or "" */
int gondola_mmu_mark_dirty(struct gondola_vm *vm, gpa_t gpa, u64 bytes,
			   enum gondola_dirty_source source, const char *device);

/**
 * gondola_mmu_fault() - handle a page fault that left the guest
 * @error: PFEC_* as the processor reported it
 * @out: see struct gondola_access
 *
 * OK: the shadow was filled, re-enter.  Process context, may sleep.
 */
enum gondola_access_result gondola_mmu_fault(struct gondola_vcpu *vcpu, gva_t gva, u32 error,
					     struct gondola_access *out);

/**
 * gondola_mmu_access() - read, write or fetch guest memory as an instruction would
 * @gva: linear address; @gva … @gva + @bytes lies within one page
 * @buf: data out (read, fetch) or in (write: PFEC_W in @access)
 * @access: PFEC_W, PFEC_U, PFEC_I; implicit accesses of the supervisor have no PFEC_U
 *
 * Walks the guest's tables, sets accessed and dirty bits, updates the shadow of a table that is
 * written, and marks the page dirty.  Process context, may sleep.
 */
enum gondola_access_result gondola_mmu_access(struct gondola_vcpu *vcpu, gva_t gva, void *buf,
					      unsigned int bytes, u32 access,
					      struct gondola_access *out);
/**
 * gondola_mmu_cmpxchg() - compare guest memory with *@old and exchange it with @new, atomically
 * @old: in: expected value; out: value found
 * @bytes: 1, 2, 4, 8 (naturally aligned), or 16
 */
enum gondola_access_result gondola_mmu_cmpxchg(struct gondola_vcpu *vcpu, gva_t gva, void *old,
					       const void *new, unsigned int bytes, u32 access,
					       struct gondola_access *out);
/** gondola_mmu_translate() - translate @gva without an access to data (sets A and D like an access) */
enum gondola_access_result gondola_mmu_translate(struct gondola_vcpu *vcpu, gva_t gva, u32 access,
						 struct gondola_access *out);

/*
 * Guest-physical memory; may cross pages.  0, -ENXIO (no memory there), -EFAULT, or
 * -EAGAIN: the launcher must make vcpu->missing present.  May sleep.
 */
int gondola_gpa_read(struct gondola_vcpu *vcpu, gpa_t gpa, void *buf, unsigned int bytes);
int gondola_gpa_write(struct gondola_vcpu *vcpu, gpa_t gpa, const void *buf, unsigned int bytes);
/**
 * gondola_gpa_exchange() - exchange a byte that the guest changes as well, atomically
 *
 * 0, -EFAULT or -EAGAIN, as gondola_gpa_read().  May sleep.
 */
int gondola_gpa_exchange(struct gondola_vcpu *vcpu, gpa_t gpa, u8 new, u8 *old);
/**
 * gondola_mmu_wait() - sleep until the launcher's page at vcpu->missing is present
 *
 * Called after -EAGAIN, outside of GONDOLA_RUN and with the vCPU unloaded.  0: try again; -EFAULT:
 * the page cannot be made present.
 */
int gondola_mmu_wait(struct gondola_vcpu *vcpu);
/**
 * gondola_gpa_or() - set bits of an aligned u64 that the guest changes as well, atomically
 *
 * 0, -EFAULT or -EAGAIN, as gondola_gpa_read().  May sleep.
 */
int gondola_gpa_or(struct gondola_vcpu *vcpu, gpa_t gpa, u64 bits, u64 *old);
/** gondola_gpa_and() - likewise, clear those bits that @bits does not have */
int gondola_gpa_and(struct gondola_vcpu *vcpu, gpa_t gpa, u64 bits, u64 *old);
/**
 * gondola_mmu_write_entry() - write an aligned 8-byte entry of a page table, as the guest asked
 * @keep: bits that keep their old value
 *
 * The shadow is brought up to date at once, however often the table is written so.  0, -ENXIO,
 * -EFAULT, -ENOMEM or -EAGAIN, as gondola_gpa_write().  May sleep.
 */
int gondola_mmu_write_entry(struct gondola_vcpu *vcpu, gpa_t gpa, u64 value, u64 keep);
/** gondola_mmu_flush_others() - the guest flushed all translations of all other vCPUs.  May sleep. */
void gondola_mmu_flush_others(struct gondola_vcpu *vcpu);
/** gondola_gpa_try_or() - set bits atomically, if that needs no waiting; any context but interrupts */
bool gondola_gpa_try_or(struct gondola_vm *vm, gpa_t gpa, u8 bits);

/** gondola_mmu_mode_changed() - cr0, cr4, efer or CPUID have changed (vcpu->* hold the new values) */
void gondola_mmu_mode_changed(struct gondola_vcpu *vcpu);
/**
 * gondola_mmu_cr3_written() - vcpu->cr3 has the new value (bit 63 already removed)
 * @flush: the write flushes (false: CR4.PCIDE and bit 63 were set)
 */
void gondola_mmu_cr3_written(struct gondola_vcpu *vcpu, bool flush);
/**
 * gondola_mmu_load_pdptes() - read the four PAE directory pointers at @cr3
 *
 * For a guest in PAE paging: on writes of CR3, and of CR0 and CR4 where the
 * manual's section on PDPTE registers says so.  -EINVAL: a reserved bit is
 * set, the caller raises #GP and nothing has changed.  -EAGAIN: as gondola_gpa_read().
 */
int gondola_mmu_load_pdptes(struct gondola_vcpu *vcpu, u64 cr3);
/** gondola_mmu_set_pdptes() - the same with pointers from saved state; -EINVAL likewise */
int gondola_mmu_set_pdptes(struct gondola_vcpu *vcpu, const u64 pdptes[4]);
void gondola_mmu_invlpg(struct gondola_vcpu *vcpu, gva_t gva);
/** gondola_mmu_flush_guest() - the guest flushed all its translations (CR4 writes, INVPCID) */
void gondola_mmu_flush_guest(struct gondola_vcpu *vcpu);

/**
 * gondola_mmu_load() - set vcpu->hw_root for the coming entry
 *
 * Called before each entry; cheap if nothing changed.  0 or -ENOMEM.  May sleep.
 */
int gondola_mmu_load(struct gondola_vcpu *vcpu);

/** gondola_mmu_look() - fill in what struct gondola_shadow calls out; the vCPU does not run */
void gondola_mmu_look(struct gondola_vcpu *vcpu, struct gondola_shadow *out);

/** gondola_mmu_count() - fill in what struct gondola_shadows calls out; vm->lock held.  May sleep. */
void gondola_mmu_count(struct gondola_vm *vm, struct gondola_shadows *out);
/**
 * gondola_mmu_zap_all() - drop every shadow page of the VM; vCPUs reload
 *
 * When it returns, none is left that existed when it was called.  May sleep: it zaps a few at a
 * time.
 */
void gondola_mmu_zap_all(struct gondola_vm *vm);
/**
 * gondola_mmu_audit() - check the invariants of mmu/internal.h; returns the number of violations,
 * and logs each
 */
int gondola_mmu_audit(struct gondola_vm *vm);

/* Module-wide: caches of objects, and the shrinker (host.h). */
int gondola_mmu_module_init(void);
void gondola_mmu_module_exit(void);
/** gondola_mmu_pages_total() - number of shadow pages in all VMs, for debugfs */
long gondola_mmu_pages_total(void);

#endif
