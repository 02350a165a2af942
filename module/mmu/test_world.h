/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A machine for the MMU's tests: memory, one vCPU or two, and processors that go
 * through the shadow tables with a TLB that forgets only when it is told to.
 */
#ifndef GONDOLA_MMU_TEST_WORLD_H
#define GONDOLA_MMU_TEST_WORLD_H

#include <linux/list.h>
#include "internal.h"

#define WORLD_PAGES	512u
#define WORLD_HVA	0x10000000ull
#define WORLD_TLB	256u
#define WORLD_CPUS	2u
#define WORLD_SPARES	8u	/* host frames beside those in use */

struct kunit;

struct world_translation {
	gva_t page;
	u64 frame;		/* host-physical */
	u64 rights;		/* PT_W, PT_U granted; PT_NX denied */
	bool valid;
};

struct world_tlb {
	struct world_translation entries[WORLD_TLB];
};

/**
 * struct world - everything a test of the MMU needs
 * @vcpu: the first; @second exists after world_add_vcpu()
 * @memory: guest memory, WORLD_PAGES pages from gpa 0, in the direct map
 * @page: where the host keeps each of them now: in @memory, until it moves one
 * @spare: frames that the host has for others; each byte is WORLD_POISON, or somebody wrote
 *	memory that was not his any more
 * @host_readonly: pages that the host lends read-only now (KSM, copy on write)
 * @host_absent: pages that the host cannot give without the launcher
 * @launcher_helps: world_access() does what the launcher would about those
 * @tlb: what each processor remembers
 * @shadow_faults, @guest_faults: counted by world_access()
 * @on_unlock: called, if set, each time the MMU's lock has been dropped: another thread's turn
 * @on_flush: likewise, at the moment when all translations are being flushed, lock held
 * @on_pin: likewise, while the host makes a page present, lock not held
 * @on_entry: likewise, between the look at a shadow entry, @entry, and its change
 * @private: the hooks' own
 */
struct world {
	struct gondola_vm vm;
	struct gondola_vcpu vcpu;
	struct gondola_vcpu second;
	struct gondola_engine_ops engine;
	struct list_head link;
	u8 *memory;
	u8 *page[WORLD_PAGES];
	u8 *spare[WORLD_SPARES];
	u32 next_spare;
	bool host_readonly[WORLD_PAGES];
	bool host_absent[WORLD_PAGES];
	bool launcher_helps;
	struct world_tlb tlb[WORLD_CPUS];
	u64 shadow_faults;
	u64 guest_faults;
	bool in_hook;
	void (*on_unlock)(struct world *w);
	void (*on_flush)(struct world *w);
	void (*on_pin)(struct world *w);
	void (*on_entry)(struct world *w);
	u64 *entry;
	void *private;
};

#define WORLD_POISON	0xdb

enum world_mode { WORLD_UNPAGED, WORLD_32, WORLD_PAE, WORLD_LONG, WORLD_MODES };

/* NULL if there is no memory. */
struct world *world_create(u32 max_shadow_pages);
void world_destroy(struct world *w);
/* A second processor, in the same state. 0 or -ENOMEM. */
int world_add_vcpu(struct world *w);
/* Slot @slot: @pages from world page @first at @gpa. */
int world_map(struct world *w, u32 slot, gpa_t gpa, u64 first, u64 pages, u32 flags);
/* Control registers as a guest of this mode has them; CR3 stays. */
void world_set_mode(struct world *w, enum world_mode mode);
void world_set_cr3(struct world *w, u64 cr3);
void world_invlpg(struct world *w, gva_t gva);

static inline u64 *world_u64(struct world *w, gpa_t gpa)
{
	return (u64 *)(w->page[gpa >> 12] + (gpa & 4095));
}

static inline u32 *world_u32(struct world *w, gpa_t gpa)
{
	return (u32 *)(w->page[gpa >> 12] + (gpa & 4095));
}

enum world_outcome { WORLD_DONE, WORLD_FAULT, WORLD_MMIO, WORLD_STUCK, WORLD_ERROR };

/**
 * world_access() - one aligned access of 8 bytes (4 outside long mode) by the processor
 * @access: PFEC_W, PFEC_U, PFEC_I
 * @value: written, or what was read
 * @error: with WORLD_FAULT: the guest's error code
 */
enum world_outcome world_access(struct world *w, gva_t gva, u32 access, u64 *value, u32 *error);

/* The same by one of the processors. */
enum world_outcome world_access_on(struct world *w, struct gondola_vcpu *vcpu, gva_t gva,
				   u32 access, u64 *value, u32 *error);
/**
 * world_write_unseen() - a processor that is in the guest writes, if its TLB lets it
 *
 * False: it has no such translation, or must flush before it runs again.
 */
bool world_write_unseen(struct world *w, struct gondola_vcpu *vcpu, gva_t gva, u64 value);
/**
 * world_write_in_guest() - likewise, also by a walk of the shadow tables, in which it sets A and D
 *
 * False: it would leave the guest.  A flush that is asked for has not reached it yet.
 */
bool world_write_in_guest(struct world *w, struct gondola_vcpu *vcpu, gva_t gva, u64 value);
/* A stale translation that a processor must not have while the lock is free; NULL: none. */
const char *world_tlb_lie(struct world *w);

/* The host takes world page @page away (swap, migration); it comes back on demand. */
void world_host_takes(struct world *w, u32 page);
/* … and comes back in another frame. */
void world_host_moves(struct world *w, u32 page);
/* Was a frame written after the host had taken it? */
bool world_spares_are_written(struct world *w);

/* Helpers of most named cases (test_cases.c). */
struct world *world_identity(struct kunit *test, u32 shadow_pages);
u64 must_read(struct kunit *test, struct world *w, gva_t gva);
void must_write(struct kunit *test, struct world *w, gva_t gva, u64 value);
void must_fault(struct kunit *test, struct world *w, gva_t gva, u32 access, u32 expected);
/* The dirty log of slot 0: is page @gfn in it?  Clear all of it. */
bool must_log(struct kunit *test, struct world *w, gfn_t gfn);
void clear_log(struct kunit *test, struct world *w);
/* The last audit, and the world's end. */
void world_done(struct kunit *test, struct world *w);

#define FULL	(PT_P | PT_W | PT_U)

#endif
