// SPDX-License-Identifier: GPL-2.0-only
/* The host side of struct world: stands in for mmu/host.c. */
#include <linux/gfp.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/vmalloc.h>
#include "host.h"
#include "test_world.h"

static LIST_HEAD(worlds);

static struct world *world_of(struct gondola_vm *vm)
{
	struct world *w;

	list_for_each_entry(w, &worlds, link)
		if (&w->vm == vm)
			return w;
	return NULL;
}

struct mmu_steps mmu_steps;

void mmu_steps_begin(void)
{
	mmu_steps.now = 0;
}

void mmu_steps_end(void)
{
	mmu_steps.most = max(mmu_steps.most, mmu_steps.now);
}

void mmu_step(unsigned int n)
{
	mmu_steps.now += n;
	if (mmu_steps.now > MMU_STEPS_LIMIT)
		panic("%llu steps under the MMU's lock, and no end", mmu_steps.now);
}

/* One thread's turn at a time: what it does calls no hook again. */
static void turn(struct world *w, void (*hook)(struct world *w))
{
	if (!w || !hook || w->in_hook)
		return;
	w->in_hook = true;
	hook(w);
	w->in_hook = false;
}

void mmu_host_unlocked(struct gondola_vm *vm)
{
	struct world *w = world_of(vm);

	turn(w, w ? w->on_unlock : NULL);
}

void mmu_host_entry(u64 *spte)
{
	struct world *w;

	list_for_each_entry(w, &worlds, link) {
		w->entry = spte;
		turn(w, w->on_entry);
	}
}

/* Nothing runs at the same time here: a kicked vCPU finds its request before its next access. */
void gondola_kick_all_and_wait(struct gondola_vm *vm, enum gondola_request req)
{
	struct world *w = world_of(vm);
	struct gondola_vcpu *vcpu;
	unsigned int i;

	turn(w, w ? w->on_flush : NULL);
	gondola_for_each_vcpu(vcpu, vm, i)
		gondola_request(vcpu, req);
}

int mmu_host_module_init(void)
{
	return 0;
}

void mmu_host_module_exit(void)
{
}

int mmu_host_attach(struct gondola_vm *vm)
{
	return 0;
}

void mmu_host_detach(struct gondola_vm *vm)
{
}

bool mmu_host_mapped(struct gondola_vm *vm, hva_t hva, u64 bytes)
{
	return hva + bytes > WORLD_HVA &&
	       hva < WORLD_HVA + (u64)WORLD_PAGES * GONDOLA_PAGE_SIZE;
}

int mmu_host_pin(struct gondola_vm *vm, hva_t hva, bool write, bool wait, hpfn_t *pfn,
		 bool *writable)
{
	struct world *w = container_of(vm, struct world, vm);
	u64 page = (hva - WORLD_HVA) / GONDOLA_PAGE_SIZE;

	if (hva < WORLD_HVA || page >= WORLD_PAGES)
		return -EFAULT;
	turn(w, w->on_pin);
	if (w->host_absent[page] && !wait)
		return -EAGAIN;
	w->host_absent[page] = false;
	/* A write to what is shared gets a copy of its own. */
	if (write && w->host_readonly[page]) {
		world_host_moves(w, page);
		w->host_readonly[page] = false;
	}
	*pfn = __pa(w->page[page]) >> GONDOLA_PAGE_SHIFT;
	*writable = !w->host_readonly[page];
	return 0;
}

void mmu_host_unpin(hpfn_t pfn, bool dirty)
{
}

void world_host_takes(struct world *w, u32 page)
{
	hva_t hva = WORLD_HVA + (u64)page * GONDOLA_PAGE_SIZE;

	mmu_invalidate_begin(&w->vm, hva, hva + GONDOLA_PAGE_SIZE, false);
	mmu_invalidate_end(&w->vm);
}

void world_host_moves(struct world *w, u32 page)
{
	u8 *from = w->page[page], **spare = &w->spare[w->next_spare++ % WORLD_SPARES];
	u8 *to = *spare;

	world_host_takes(w, page);
	memcpy(to, from, GONDOLA_PAGE_SIZE);
	memset(from, WORLD_POISON, GONDOLA_PAGE_SIZE);
	set_page_private(virt_to_page(from), 0);
	set_page_private(virt_to_page(to), page + 1);
	w->page[page] = to;
	*spare = from;
}

bool world_spares_are_written(struct world *w)
{
	unsigned int i;

	for (i = 0; i < WORLD_SPARES; i++)
		if (memchr_inv(w->spare[i], WORLD_POISON, GONDOLA_PAGE_SIZE))
			return true;
	return false;
}

static void world_flush_tlb(struct gondola_vcpu *vcpu)
{
	memset(vcpu->engine_data, 0, sizeof(struct world_tlb));
}

static struct world_translation *tlb_entry(struct gondola_vcpu *vcpu, gva_t gva)
{
	struct world_tlb *tlb = vcpu->engine_data;

	return &tlb->entries[(gva >> 12) % WORLD_TLB];
}

static void world_flush_gva(struct gondola_vcpu *vcpu, gva_t gva)
{
	tlb_entry(vcpu, gva)->valid = false;
}

/* Flat 32-bit code and a busy TSS, from which every mode can be entered. */
static void world_get_segment(struct gondola_vcpu *vcpu, enum gondola_seg seg,
			      struct gondola_segment *out)
{
	*out = (struct gondola_segment){ .limit = ~0u, .ar = seg == GONDOLA_TR ? 0xb : 0 };
}

static void world_update_control(struct gondola_vcpu *vcpu)
{
}

static int init_vcpu(struct world *w, struct gondola_vcpu *vcpu, unsigned int id)
{
	vcpu->vm = &w->vm;
	vcpu->engine = &w->engine;
	vcpu->engine_data = &w->tlb[id];
	vcpu->id = id;
	vcpu->maxphyaddr = 40;
	if (gondola_mmu_init_vcpu(vcpu))
		return -ENOMEM;
	w->vm.vcpus[id] = vcpu;
	atomic_inc(&w->vm.nr_vcpus);
	return 0;
}

static int get_memory(struct world *w)
{
	unsigned int i;

	w->memory = (u8 *)__get_free_pages(GFP_KERNEL | __GFP_ZERO, get_order(WORLD_PAGES * 4096));
	if (!w->memory)
		return -ENOMEM;
	for (i = 0; i < WORLD_PAGES; i++) {
		w->page[i] = w->memory + i * GONDOLA_PAGE_SIZE;
		set_page_private(virt_to_page(w->page[i]), i + 1);
	}
	for (i = 0; i < WORLD_SPARES; i++) {
		w->spare[i] = (u8 *)__get_free_page(GFP_KERNEL);
		if (!w->spare[i])
			return -ENOMEM;
		memset(w->spare[i], WORLD_POISON, GONDOLA_PAGE_SIZE);
	}
	return 0;
}

/* Frames have changed places: those of the big block go together, the others one by one. */
static bool in_memory(const struct world *w, const u8 *frame)
{
	return frame >= w->memory && frame < w->memory + WORLD_PAGES * GONDOLA_PAGE_SIZE;
}

static void free_frame(struct world *w, u8 *frame)
{
	if (!frame)
		return;
	set_page_private(virt_to_page(frame), 0);
	if (!in_memory(w, frame))
		free_page((unsigned long)frame);
}

static void free_memory(struct world *w)
{
	unsigned int i;

	if (!w->memory)
		return;
	for (i = 0; i < WORLD_PAGES; i++)
		free_frame(w, w->page[i]);
	for (i = 0; i < WORLD_SPARES; i++)
		free_frame(w, w->spare[i]);
	free_pages((unsigned long)w->memory, get_order(WORLD_PAGES * 4096));
}

struct world *world_create(u32 max_shadow_pages)
{
	struct world *w = vzalloc(sizeof(*w));

	if (!w)
		return NULL;
	w->engine = (struct gondola_engine_ops){
		.name = "test",
		.flush_tlb = world_flush_tlb,
		.flush_gva = world_flush_gva,
		.get_segment = world_get_segment,
		.update_control = world_update_control,
	};
	w->vm.engine = &w->engine;
	INIT_LIST_HEAD(&w->link);
	mutex_init(&w->vm.lock);
	gondola_clock_init(&w->vm);
	if (get_memory(w) || gondola_mmu_init_vm(&w->vm, max_shadow_pages) ||
	    init_vcpu(w, &w->vcpu, 0)) {
		world_destroy(w);
		return NULL;
	}
	list_add(&w->link, &worlds);
	return w;
}

int world_add_vcpu(struct world *w)
{
	return init_vcpu(w, &w->second, 1);
}

void world_destroy(struct world *w)
{
	w->on_unlock = NULL;
	w->on_flush = NULL;
	w->on_entry = NULL;
	memset(w->vm.vcpus, 0, sizeof(w->vm.vcpus));
	gondola_mmu_destroy_vcpu(&w->vcpu);
	gondola_mmu_destroy_vcpu(&w->second);
	gondola_mmu_destroy_vm(&w->vm);
	free_memory(w);
	list_del(&w->link);
	vfree(w);
}

int world_map(struct world *w, u32 slot, gpa_t gpa, u64 first, u64 pages, u32 flags)
{
	struct gondola_memory_slot arg = {
		.size = sizeof(arg),
		.flags = flags | GONDOLA_MEM_USERFAULT,
		.slot = slot,
		.gpa = gpa,
		.bytes = pages * GONDOLA_PAGE_SIZE,
		.hva = pages ? WORLD_HVA + first * GONDOLA_PAGE_SIZE : 0,
	};
	int err;

	mutex_lock(&w->vm.lock);
	err = gondola_mmu_set_slot(&w->vm, &arg);
	mutex_unlock(&w->vm.lock);
	return err;
}

void world_set_mode(struct world *w, enum world_mode mode)
{
	struct gondola_vcpu *vcpu;
	unsigned int i;

	gondola_for_each_vcpu(vcpu, &w->vm, i) {
		vcpu->cr0 = CR0_PE | CR0_WP | (mode == WORLD_UNPAGED ? 0 : CR0_PG);
		vcpu->cr4 = CR4_PSE | (mode >= WORLD_PAE ? CR4_PAE : 0);
		vcpu->efer = mode == WORLD_LONG ? EFER_F_LME | EFER_F_LMA | EFER_F_NXE :
			     mode == WORLD_PAE ? EFER_F_NXE : 0;
		gondola_mmu_mode_changed(vcpu);
	}
}

void world_set_cr3(struct world *w, u64 cr3)
{
	w->vcpu.cr3 = cr3;
	if (w->vcpu.mmu.format == &mmu_format_pae && gondola_paging(&w->vcpu))
		gondola_mmu_load_pdptes(&w->vcpu, cr3);
	gondola_mmu_cr3_written(&w->vcpu, true);
}

void world_invlpg(struct world *w, gva_t gva)
{
	gondola_mmu_invlpg(&w->vcpu, gva);
}

/* The processor's own walk, of the shadow. Returns the error code of its fault, or ~0 if none. */
static u32 hardware_walk(struct gondola_vcpu *vcpu, gva_t gva, u32 access,
			 struct world_translation *t)
{
	u64 *table = __va(vcpu->hw_root), rights = PT_W | PT_U;
	bool long_mode = gondola_long_mode(vcpu);
	unsigned int level = long_mode ? 4 : 2;

	if (!long_mode) {
		u64 pdpte = table[(gva >> 30) & 3];

		if (!(pdpte & PT_P))
			return access;
		table = __va(pdpte & PT_ADDR);
	}
	for (;; level--) {
		u64 *entry = &table[shadow_index(gva, level)], spte = *entry;

		if (!(spte & PT_P))
			return access;
		if (spte & BIT_ULL(51))
			return access | PFEC_P | PFEC_RSVD;
		*entry = spte | PT_A;
		if (level == 1 && (access & PFEC_W) && (spte & PT_W))
			*entry |= PT_D;
		rights = mmu_combine_rights(rights, spte);
		if (level == 1) {
			t->frame = spte & PT_ADDR;
			rights |= *entry & PT_D;
			break;
		}
		table = __va(spte & PT_ADDR);
	}
	t->page = gva >> 12;
	t->rights = rights;
	t->valid = true;
	return ~0u;
}

/* CR0.WP is always set for the hardware. */
static bool permitted(struct gondola_vcpu *vcpu, u32 access, u64 rights)
{
	if ((access & PFEC_W) && !(rights & PT_W))
		return false;
	if ((access & PFEC_I) && (rights & PT_NX))
		return false;
	if (access & PFEC_U)
		return rights & PT_U;
	/* The engines keep SMEP and SMAP off while the guest has no paging. */
	if (!(rights & PT_U) || !gondola_paging(vcpu))
		return true;
	if (access & PFEC_I)
		return !(vcpu->cr4 & CR4_SMEP);
	return !(vcpu->cr4 & CR4_SMAP) || (vcpu->regs.rflags & RFL_AC);
}

static void data_access(u8 *data, u32 access, u64 *value, unsigned int bytes)
{
	if (access & PFEC_W)
		memcpy(data, value, bytes);
	else
		memcpy(value, data, bytes);
}

/* The launcher touches a page that the host could not give. */
static bool launcher_brings(struct world *w, gpa_t gpa)
{
	struct gondola_slot *slot;
	u64 page = WORLD_PAGES;

	if (!w->launcher_helps)
		return false;
	spin_lock(&w->vm.mmu.lock);
	slot = mmu_find_slot(&w->vm, gpa >> 12);
	if (slot)
		page = ((slot->hva - WORLD_HVA) >> 12) + (gpa >> 12) - slot->base;
	spin_unlock(&w->vm.mmu.lock);
	if (page >= WORLD_PAGES || !w->host_absent[page])
		return false;
	w->host_absent[page] = false;
	return true;
}

/* The instruction is emulated; STUCK: again, now that the launcher has brought memory. */
static enum world_outcome emulated_access(struct world *w, struct gondola_vcpu *vcpu, gva_t gva,
					  u32 access, u64 *value, unsigned int bytes, u32 *error)
{
	struct gondola_access out;

	switch (gondola_mmu_access(vcpu, gva, value, bytes, access, &out)) {
	case GONDOLA_ACCESS_OK:
		return WORLD_DONE;
	case GONDOLA_ACCESS_FAULT:
		*error = out.error;
		return WORLD_FAULT;
	case GONDOLA_ACCESS_MEMORY:
		return launcher_brings(w, vcpu->missing) ? WORLD_STUCK : WORLD_ERROR;
	default:
		return WORLD_ERROR;
	}
}

enum world_outcome world_access_on(struct world *w, struct gondola_vcpu *vcpu, gva_t gva,
				   u32 access, u64 *value, u32 *error)
{
	unsigned int bytes = gondola_long_mode(vcpu) ? 8 : 4, tries;
	struct world_translation *t = tlb_entry(vcpu, gva);

	for (tries = 0; tries < 12; tries++) {
		enum world_outcome outcome;
		struct gondola_access out;
		u32 code;

		if (gondola_mmu_load(vcpu))
			return WORLD_ERROR;
		if (gondola_take_request(vcpu, GONDOLA_REQ_TLB_FLUSH))
			world_flush_tlb(vcpu);
		/* A translation that was never written through must first set the entry's D bit. */
		if (!t->valid || t->page != gva >> 12 ||
		    ((access & PFEC_W) && !(t->rights & PT_D))) {
			code = hardware_walk(vcpu, gva, access, t);
		} else {
			code = ~0u;
		}
		if (code == ~0u && permitted(vcpu, access, t->rights)) {
			data_access(__va(t->frame + (gva & 4095)), access, value, bytes);
			return WORLD_DONE;
		}
		/* A processor that faults forgets what it faulted on. */
		t->valid = false;
		if (code == ~0u)
			code = access | PFEC_P;
		w->shadow_faults++;
		switch (gondola_mmu_fault(vcpu, gva, code & ~PFEC_RSVD, &out)) {
		case GONDOLA_ACCESS_OK:
			continue;
		case GONDOLA_ACCESS_FAULT:
			w->guest_faults++;
			*error = out.error;
			return WORLD_FAULT;
		case GONDOLA_ACCESS_MMIO:
			return WORLD_MMIO;
		case GONDOLA_ACCESS_INTERPRET:
			outcome = emulated_access(w, vcpu, gva, access, value, bytes, error);
			if (outcome != WORLD_STUCK)
				return outcome;
			continue;
		case GONDOLA_ACCESS_MEMORY:
			if (!launcher_brings(w, vcpu->missing))
				return WORLD_ERROR;
			continue;
		default:
			return WORLD_ERROR;
		}
	}
	return WORLD_STUCK;
}

enum world_outcome world_access(struct world *w, gva_t gva, u32 access, u64 *value, u32 *error)
{
	return world_access_on(w, &w->vcpu, gva, access, value, error);
}

bool world_write_unseen(struct world *w, struct gondola_vcpu *vcpu, gva_t gva, u64 value)
{
	struct world_translation *t = tlb_entry(vcpu, gva);

	if (test_bit(GONDOLA_REQ_TLB_FLUSH, &vcpu->requests) || !t->valid || t->page != gva >> 12 ||
	    (t->rights & (PT_W | PT_D)) != (PT_W | PT_D))
		return false;
	data_access(__va(t->frame + (gva & 4095)), PFEC_W, &value, sizeof(value));
	return true;
}

bool world_write_in_guest(struct world *w, struct gondola_vcpu *vcpu, gva_t gva, u64 value)
{
	struct world_translation *t = tlb_entry(vcpu, gva);

	if (!t->valid || t->page != gva >> 12 || (t->rights & (PT_W | PT_D)) != (PT_W | PT_D)) {
		if (hardware_walk(vcpu, gva, PFEC_W, t) != ~0u || !permitted(vcpu, PFEC_W, t->rights)) {
			t->valid = false;
			return false;
		}
	}
	data_access(__va(t->frame + (gva & 4095)), PFEC_W, &value, sizeof(value));
	return true;
}

/* Lock held. @t is in the TLB of a processor that may run: may it be? */
static const char *translation_lie(struct world *w, const struct world_translation *t)
{
	unsigned long owner = page_private(virt_to_page(__va(t->frame)));
	bool writable = (t->rights & (PT_W | PT_D)) == (PT_W | PT_D), found = false;
	hva_t hva = WORLD_HVA + (owner - 1) * GONDOLA_PAGE_SIZE;
	unsigned int s;

	if (!owner)
		return "a processor remembers a frame that the host has taken";
	for (s = 0; s < GONDOLA_MAX_SLOTS; s++) {
		struct gondola_slot *slot = &w->vm.mmu.slots[s];
		u64 at = (hva - slot->hva) >> GONDOLA_PAGE_SHIFT;

		if (!slot->pages || hva < slot->hva || at >= slot->pages)
			continue;
		found = true;
		if (!writable)
			continue;
		if (slot->flags & GONDOLA_MEM_READONLY)
			return "a processor may write memory that is read-only";
		if (w->host_readonly[owner - 1])
			return "a processor may write memory that the host shares";
		if (slot->frames[at].nr_synced)
			return "a processor may write a table in sync";
		if (!mmu_may_write_clean(slot, slot->base + at))
			return "a processor may write a page that counts as clean";
	}
	return found ? NULL : "a processor remembers memory that is gone";
}

const char *world_tlb_lie(struct world *w)
{
	const char *lie = NULL;
	struct gondola_vcpu *vcpu;
	unsigned int c, i;

	spin_lock(&w->vm.mmu.lock);
	gondola_for_each_vcpu(vcpu, &w->vm, c) {
		struct world_tlb *tlb = vcpu->engine_data;

		/* It will forget all before it runs again. */
		if (test_bit(GONDOLA_REQ_TLB_FLUSH, &vcpu->requests))
			continue;
		for (i = 0; i < WORLD_TLB && !lie; i++)
			if (tlb->entries[i].valid)
				lie = translation_lie(w, &tlb->entries[i]);
	}
	spin_unlock(&w->vm.mmu.lock);
	return lie;
}
