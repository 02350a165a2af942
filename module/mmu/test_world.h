/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A machine for the MMU's tests: memory, one vCPU, and a processor that goes
 * through the shadow tables with a TLB that forgets only when it is told to.
 */
#ifndef GONDOLA_MMU_TEST_WORLD_H
#define GONDOLA_MMU_TEST_WORLD_H

#include <linux/list.h>
#include "internal.h"

#define WORLD_PAGES	512u
#define WORLD_HVA	0x10000000ull
#define WORLD_TLB	256u

struct world_translation {
	gva_t page;
	u64 frame;		/* host-physical */
	u64 rights;		/* PT_W, PT_U granted; PT_NX denied */
	bool valid;
};

/**
 * struct world - everything a test of the MMU needs
 * @memory: guest memory, WORLD_PAGES pages from gpa 0, in the direct map
 * @host_readonly: pages that the host lends read-only now (KSM, copy on write)
 * @host_absent: pages that the host cannot give without the launcher
 * @tlb: what the processor remembers
 * @shadow_faults, @guest_faults: counted by world_access()
 */
struct world {
	struct gondola_vm vm;
	struct gondola_vcpu vcpu;
	struct gondola_engine_ops engine;
	struct list_head link;
	u8 *memory;
	bool host_readonly[WORLD_PAGES];
	bool host_absent[WORLD_PAGES];
	struct world_translation tlb[WORLD_TLB];
	u64 shadow_faults;
	u64 guest_faults;
	bool filter_on;
};

enum world_mode { WORLD_UNPAGED, WORLD_32, WORLD_PAE, WORLD_LONG, WORLD_MODES };

/* NULL if there is no memory. @filter: an engine with GONDOLA_ENGINE_PF_FILTER. */
struct world *world_create(bool filter, u32 max_shadow_pages);
void world_destroy(struct world *w);
/* Slot @slot: @pages from world page @first at @gpa. */
int world_map(struct world *w, u32 slot, gpa_t gpa, u64 first, u64 pages, u32 flags);
/* Control registers as a guest of this mode has them; CR3 stays. */
void world_set_mode(struct world *w, enum world_mode mode);
void world_set_cr3(struct world *w, u64 cr3);
void world_invlpg(struct world *w, gva_t gva);

static inline u64 *world_u64(struct world *w, gpa_t gpa)
{
	return (u64 *)(w->memory + gpa);
}

static inline u32 *world_u32(struct world *w, gpa_t gpa)
{
	return (u32 *)(w->memory + gpa);
}

enum world_outcome { WORLD_DONE, WORLD_FAULT, WORLD_MMIO, WORLD_STUCK, WORLD_ERROR };

/**
 * world_access() - one aligned access of 8 bytes (4 outside long mode) by the processor
 * @access: PFEC_W, PFEC_U, PFEC_I
 * @value: written, or what was read
 * @error: with WORLD_FAULT: the guest's error code
 */
enum world_outcome world_access(struct world *w, gva_t gva, u32 access, u64 *value, u32 *error);

/* The host takes world page @page away (swap, migration); it comes back on demand. */
void world_host_takes(struct world *w, u32 page);

#endif
