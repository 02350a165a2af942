// SPDX-License-Identifier: GPL-2.0-only
/* The host side of struct world: stands in for mmu/host.c. */
#include <linux/gfp.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/vmalloc.h>
#include "host.h"
#include "test_world.h"

static LIST_HEAD(worlds);

int gondola_mmu_host_module_init(void)
{
	return 0;
}

void gondola_mmu_host_module_exit(void)
{
}

int gondola_mmu_host_attach(struct gondola_vm *vm)
{
	return 0;
}

void gondola_mmu_host_detach(struct gondola_vm *vm)
{
}

bool gondola_mmu_host_mapped(struct gondola_vm *vm, hva_t hva, u64 bytes)
{
	return hva + bytes > WORLD_HVA &&
	       hva < WORLD_HVA + (u64)WORLD_PAGES * GONDOLA_PAGE_SIZE;
}

int gondola_mmu_host_pin(struct gondola_vm *vm, hva_t hva, bool write, bool wait, hpfn_t *pfn,
			 bool *writable)
{
	struct world *w = container_of(vm, struct world, vm);
	u64 page = (hva - WORLD_HVA) / GONDOLA_PAGE_SIZE;

	if (hva < WORLD_HVA || page >= WORLD_PAGES)
		return -EFAULT;
	if (w->host_absent[page])
		return -EAGAIN;
	/* A write to what is shared gets a copy of its own; here the copy is the page itself. */
	if (write && w->host_readonly[page]) {
		world_host_takes(w, page);
		w->host_readonly[page] = false;
	}
	*pfn = __pa(w->memory + page * GONDOLA_PAGE_SIZE) >> GONDOLA_PAGE_SHIFT;
	*writable = !w->host_readonly[page];
	return 0;
}

void gondola_mmu_host_unpin(hpfn_t pfn, bool dirty)
{
}

void world_host_takes(struct world *w, u32 page)
{
	hva_t hva = WORLD_HVA + (u64)page * GONDOLA_PAGE_SIZE;

	gondola_mmu_invalidate_begin(&w->vm, hva, hva + GONDOLA_PAGE_SIZE);
	gondola_mmu_invalidate_end(&w->vm);
}

static void world_flush_tlb(struct gondola_vcpu *vcpu)
{
	struct world *w = container_of(vcpu, struct world, vcpu);

	memset(w->tlb, 0, sizeof(w->tlb));
}

static void world_flush_gva(struct gondola_vcpu *vcpu, gva_t gva)
{
	struct world *w = container_of(vcpu, struct world, vcpu);

	w->tlb[(gva >> 12) % WORLD_TLB].valid = false;
}

static void world_set_pf_filter(struct gondola_vcpu *vcpu, bool on)
{
	container_of(vcpu, struct world, vcpu)->filter_on = on;
}

struct world *world_create(bool filter, u32 max_shadow_pages)
{
	struct world *w = vzalloc(sizeof(*w));

	if (!w)
		return NULL;
	w->memory = (u8 *)__get_free_pages(GFP_KERNEL | __GFP_ZERO, get_order(WORLD_PAGES * 4096));
	if (!w->memory) {
		vfree(w);
		return NULL;
	}
	w->engine = (struct gondola_engine_ops){
		.name = "test",
		.caps = filter ? GONDOLA_ENGINE_PF_FILTER : 0,
		.flush_tlb = world_flush_tlb,
		.flush_gva = world_flush_gva,
		.set_pf_filter = filter ? world_set_pf_filter : NULL,
	};
	w->vm.engine = &w->engine;
	mutex_init(&w->vm.lock);
	w->vcpu.vm = &w->vm;
	w->vcpu.engine = &w->engine;
	w->vcpu.maxphyaddr = 40;
	w->vm.vcpus[0] = &w->vcpu;
	if (gondola_mmu_init_vm(&w->vm, max_shadow_pages) || gondola_mmu_init_vcpu(&w->vcpu)) {
		world_destroy(w);
		return NULL;
	}
	/* As the module's parameter pf_filter does. */
	if (filter)
		w->vm.mmu.hollow = SPTE_HOLLOW;
	list_add(&w->link, &worlds);
	return w;
}

void world_destroy(struct world *w)
{
	gondola_mmu_destroy_vcpu(&w->vcpu);
	gondola_mmu_destroy_vm(&w->vm);
	free_pages((unsigned long)w->memory, get_order(WORLD_PAGES * 4096));
	if (w->link.next)
		list_del(&w->link);
	vfree(w);
}

int world_map(struct world *w, u32 slot, gpa_t gpa, u64 first, u64 pages, u32 flags)
{
	struct gondola_memory_slot arg = {
		.size = sizeof(arg),
		.flags = flags,
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
	struct gondola_vcpu *vcpu = &w->vcpu;

	vcpu->cr0 = CR0_PE | CR0_WP | (mode == WORLD_UNPAGED ? 0 : CR0_PG);
	vcpu->cr4 = CR4_PSE | (mode >= WORLD_PAE ? CR4_PAE : 0);
	vcpu->efer = mode == WORLD_LONG ? EFER_F_LME | EFER_F_LMA | EFER_F_NXE :
		     mode == WORLD_PAE ? EFER_F_NXE : 0;
	gondola_mmu_mode_changed(vcpu);
}

void world_set_cr3(struct world *w, u64 cr3)
{
	w->vcpu.cr3 = cr3;
	if (w->vcpu.mmu.format == &gondola_format_pae && gondola_paging(&w->vcpu))
		gondola_mmu_load_pdptes(&w->vcpu, cr3);
	gondola_mmu_cr3_written(&w->vcpu, true);
}

void world_invlpg(struct world *w, gva_t gva)
{
	gondola_mmu_invlpg(&w->vcpu, gva);
}

/* The processor's own walk, of the shadow. Returns the error code of its fault, or ~0 if none. */
static u32 hardware_walk(struct world *w, gva_t gva, u32 access, struct world_translation *t)
{
	struct gondola_vcpu *vcpu = &w->vcpu;
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
		rights = gondola_combine_rights(rights, spte);
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

enum world_outcome world_access(struct world *w, gva_t gva, u32 access, u64 *value, u32 *error)
{
	struct gondola_vcpu *vcpu = &w->vcpu;
	unsigned int bytes = gondola_long_mode(vcpu) ? 8 : 4, tries;
	struct world_translation *t = &w->tlb[(gva >> 12) % WORLD_TLB];

	for (tries = 0; tries < 8; tries++) {
		struct gondola_access out;
		u32 code;

		if (gondola_mmu_load(vcpu))
			return WORLD_ERROR;
		if (gondola_take_request(vcpu, GONDOLA_REQ_TLB_FLUSH))
			world_flush_tlb(vcpu);
		/* A translation that was never written through must first set the entry's D bit. */
		if (!t->valid || t->page != gva >> 12 ||
		    ((access & PFEC_W) && !(t->rights & PT_D))) {
			code = hardware_walk(w, gva, access, t);
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
		if (w->filter_on && !(code & PFEC_P)) {
			/* Straight to the guest; it would not even exit. */
			w->guest_faults++;
			*error = code;
			return WORLD_FAULT;
		}
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
			switch (gondola_mmu_access(vcpu, gva, value, bytes, access, &out)) {
			case GONDOLA_ACCESS_OK:
				return WORLD_DONE;
			case GONDOLA_ACCESS_FAULT:
				*error = out.error;
				return WORLD_FAULT;
			default:
				return WORLD_ERROR;
			}
		default:
			return WORLD_ERROR;
		}
	}
	return WORLD_STUCK;
}
