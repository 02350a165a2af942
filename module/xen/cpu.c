// SPDX-License-Identifier: GPL-2.0-only
/* The processor as the guest's kernel sets it up: traps, descriptors, stacks, segments, callbacks. */
#include <linux/nospec.h>
#include "internal.h"
#include "x86/control.h"

/* Parts of a descriptor. */
#define DESC_PRESENT	BIT_ULL(47)
#define DESC_DPL	(3ull << 45)
#define DESC_CODE_DATA	BIT_ULL(44)

bool xen_canonical(u64 address)
{
	return (u64)((s64)(address << 16) >> 16) == address;
}

void xen_toggle(struct gondola_vcpu *vcpu, bool kernel)
{
	struct gondola_xen_vcpu *xen = vcpu->xen;
	const struct gondola_engine_ops *engine = vcpu->engine;
	bool changed = xen->user_changed && !kernel;
	u64 gs, other, cr3 = vcpu->cr3;

	if (xen->in_kernel == kernel)
		return;
	if (!engine->get_msr(vcpu, MSRX_GS_BASE, &gs) &&
	    !engine->get_msr(vcpu, MSRX_KERNEL_GS_BASE, &other)) {
		engine->set_msr(vcpu, MSRX_GS_BASE, other);
		engine->set_msr(vcpu, MSRX_KERNEL_GS_BASE, gs);
	}
	/* While one is in use the other is kept here. */
	vcpu->cr3 = xen->user_cr3;
	xen->user_cr3 = cr3;
	xen->in_kernel = kernel;
	if (changed)
		xen->user_changed = false;
	/* The tables below are those of before, as far as the guest has not said that they changed. */
	gondola_mmu_cr3_written(vcpu, changed);
}

static void take_trap(struct gondola_xen_vcpu *xen, const struct xen_trap *trap)
{
	xen->traps[trap->vector].rip = trap->address;
	xen->traps[trap->vector].mask = trap->flags & XEN_TRAP_MASK;
	xen->privilege[trap->vector] = trap->flags & XEN_TRAP_DPL;
}

/* arg: list, which ends with an address of 0 */
s64 xen_set_trap_table(struct gondola_vcpu *vcpu, const u64 *arg)
{
	struct gondola_xen_vcpu *xen = vcpu->xen;
	struct xen_trap trap;
	unsigned int i;
	s64 r;

	for (i = 0; arg[0] && i <= ARRAY_SIZE(xen->traps); i++) {
		r = xen_copy_in(vcpu, &trap, arg[0] + i * sizeof(trap), sizeof(trap));
		if (r)
			return r;
		if (!trap.address)
			return 0;
		if (!xen_canonical(trap.address))
			return -XEN_EINVAL;
		take_trap(xen, &trap);
	}
	if (arg[0])
		return -XEN_EINVAL;
	memset(xen->traps, 0, sizeof(xen->traps));
	return 0;
}

void xen_take_traps(struct gondola_xen_vcpu *xen, const struct xen_trap *traps)
{
	unsigned int i;

	memset(xen->traps, 0, sizeof(xen->traps));
	for (i = 0; i < ARRAY_SIZE(xen->traps); i++)
		if (traps[i].address)
			take_trap(xen, &traps[i]);
}

int gondola_xen_trap_by_int(struct gondola_vcpu *vcpu, u8 vector, u32 error)
{
	/* There is no gate for INT: it ends in #GP with the vector, and the flag of the IDT. */
	const u32 in_idt = 2;
	u8 trap = error >> 3;

	if (vector != VEC_GP || (error & 7) != in_idt || error >> 3 > U8_MAX)
		return -1;
	trap = array_index_nospec(trap, ARRAY_SIZE(vcpu->xen->traps));
	if (!vcpu->xen->traps[trap].rip)
		return -1;
	return vcpu->xen->in_kernel || vcpu->xen->privilege[trap] == 3 ? trap : -1;
}

/* ---- descriptors ------------------------------------------------------------------------------ */

/*
 * Kernels make descriptors with the privilege of a real machine.  Here all segments are of ring 3; there
 * are no gates, TSS or LDT.
 */
static bool adapt(u64 *descriptor)
{
	if (!(*descriptor & DESC_PRESENT))
		return true;
	*descriptor |= DESC_DPL;
	return *descriptor & DESC_CODE_DATA;
}

static s64 adapt_frame(struct gondola_vcpu *vcpu, u64 frame)
{
	u64 page[64], old;
	unsigned int i, j;
	s64 r;

	for (i = 0; i < GONDOLA_PAGE_SIZE; i += sizeof(page)) {
		gpa_t at = (frame << GONDOLA_PAGE_SHIFT) + i;
		bool changed = false;

		r = xen_result(gondola_gpa_read(vcpu, at, page, sizeof(page)));
		if (r)
			return r;
		for (j = 0; j < ARRAY_SIZE(page); j++) {
			old = page[j];
			if (!adapt(&page[j]))
				return -XEN_EINVAL;
			changed |= page[j] != old;
		}
		if (changed)
			r = xen_result(gondola_gpa_write(vcpu, at, page, sizeof(page)));
		if (r)
			return r;
	}
	return 0;
}

s64 xen_map_gdt(struct gondola_vcpu *vcpu, struct gondola_vcpu *target, const u64 *frames, u64 entries)
{
	struct gondola_xen_vcpu *xen = target->xen;
	struct gondola_xen_config *config = &vcpu->vm->xen->config;
	unsigned int pages = DIV_ROUND_UP(min_t(u64, entries, XEN_GDT_ENTRIES), 512), i;
	gpa_t window;
	s64 r = 0;
	u64 entry;

	if (entries > XEN_GDT_ENTRIES)
		return -XEN_EINVAL;
	for (i = 0; i < pages && !r; i++) {
		if (!xen_is_data(vcpu->vm, frames[i]))
			return -XEN_EINVAL;
		r = adapt_frame(vcpu, frames[i]);
	}
	/* The vCPU's window in the monitor's part: 16 entries of a table. */
	window = (config->windows << GONDOLA_PAGE_SHIFT) + target->id * 16 * sizeof(u64);
	for (i = 0; i < XEN_GDT_PAGES && !r; i++) {
		entry = (i < pages ? frames[i] : config->empty) << GONDOLA_PAGE_SHIFT | PT_P | PT_U | PT_A;
		r = xen_result(gondola_mmu_write_entry(vcpu, window + i * sizeof(u64), entry, 0));
	}
	if (r)
		return r;
	memcpy(xen->gdt, frames, pages * sizeof(u64));
	xen->gdt_entries = entries;
	return 0;
}

/* arg: frames, number of descriptors */
s64 xen_set_gdt(struct gondola_vcpu *vcpu, const u64 *arg)
{
	u64 frames[XEN_GDT_PAGES];
	s64 r;

	if (arg[1] > XEN_GDT_ENTRIES)
		return -XEN_EINVAL;
	r = xen_copy_in(vcpu, frames, arg[0], DIV_ROUND_UP(arg[1], 512) * sizeof(u64)) ?:
	    xen_map_gdt(vcpu, vcpu, frames, arg[1]);
	if (!r)
		gondola_mmu_flush_guest(vcpu);
	return r;
}

/* arg: address, descriptor */
s64 xen_update_descriptor(struct gondola_vcpu *vcpu, const u64 *arg)
{
	u64 descriptor = arg[1];

	if (arg[0] % sizeof(u64) || !xen_is_data(vcpu->vm, arg[0] >> GONDOLA_PAGE_SHIFT) ||
	    !adapt(&descriptor))
		return -XEN_EINVAL;
	return xen_result(gondola_gpa_write(vcpu, arg[0], &descriptor, sizeof(descriptor)));
}

/* ---- registers ----------------------------------------------------------------------------------- */

/* arg: SS, RSP */
s64 xen_stack_switch(struct gondola_vcpu *vcpu, const u64 *arg)
{
	vcpu->xen->kernel_sp = arg[1];
	return 0;
}

/* arg: 1: the next use of the FPU traps */
s64 xen_fpu_taskswitch(struct gondola_vcpu *vcpu, const u64 *arg)
{
	gondola_set_cr0(vcpu, arg[0] ? vcpu->cr0 | CR0_TS : vcpu->cr0 & ~CR0_TS);
	return 0;
}

/* arg: number, value */
s64 xen_set_debugreg(struct gondola_vcpu *vcpu, const u64 *arg)
{
	if (arg[0] > 7 || !xen_canonical(arg[1]))
		return -XEN_EINVAL;
	return gondola_set_dr(vcpu, arg[0], arg[1]) ? -XEN_EINVAL : 0;
}

/* arg: number */
s64 xen_get_debugreg(struct gondola_vcpu *vcpu, const u64 *arg)
{
	u64 value;

	if (arg[0] > 7 || gondola_get_dr(vcpu, arg[0], &value))
		return -XEN_EINVAL;
	return value;
}

/* arg: which, base */
s64 xen_set_segment_base(struct gondola_vcpu *vcpu, const u64 *arg)
{
	u32 msr;

	switch (arg[0]) {
	case XEN_BASE_FS:
		msr = MSRX_FS_BASE;
		break;
	case XEN_BASE_GS_USER:
		msr = vcpu->xen->in_kernel ? MSRX_KERNEL_GS_BASE : MSRX_GS_BASE;
		break;
	case XEN_BASE_GS_KERNEL:
		msr = vcpu->xen->in_kernel ? MSRX_GS_BASE : MSRX_KERNEL_GS_BASE;
		break;
	case XEN_BASE_GS_SELECTOR:
		/* The base is that of a null selector. */
		return vcpu->engine->set_msr(vcpu, MSRX_KERNEL_GS_BASE, 0) ? -XEN_EINVAL : 0;
	default:
		return -XEN_EINVAL;
	}
	if (!xen_canonical(arg[1]))
		return -XEN_EINVAL;
	return vcpu->engine->set_msr(vcpu, msr, arg[1]) ? -XEN_EINVAL : 0;
}

/* arg: what, argument */
s64 xen_callback_op(struct gondola_vcpu *vcpu, const u64 *arg)
{
	struct gondola_xen_vcpu *xen = vcpu->xen;
	struct xen_callback callback;
	s64 r;

	if (arg[0] != XEN_CALLBACK_REGISTER)
		return -XEN_ENOSYS;
	r = xen_copy_in(vcpu, &callback, arg[1], sizeof(callback));
	if (r)
		return r;
	if (callback.type >= ARRAY_SIZE(xen->callbacks))
		return -XEN_ENOSYS;
	if (!xen_canonical(callback.address))
		return -XEN_EINVAL;
	xen->callbacks[callback.type].rip = callback.address;
	/* A handler of events begins with events masked in any case. */
	xen->callbacks[callback.type].mask = callback.type != XEN_CALLBACK_SYSCALL ||
					     callback.flags & XEN_CALLBACK_MASK;
	return 0;
}

/* ---- vCPUs ------------------------------------------------------------------------------------------ */

s64 xen_place_info(struct gondola_vcpu *vcpu, struct gondola_vcpu *target, u64 from)
{
	struct gondola_xen_vcpu *xen = target->xen;
	struct xen_vcpu_info info;
	struct xen_info_place place;
	gpa_t to;
	s64 r = xen_copy_in(vcpu, &place, from, sizeof(place));

	if (r)
		return r;
	if (!xen_is_data(vcpu->vm, place.frame) || place.offset % 8 ||
	    place.offset > GONDOLA_PAGE_SIZE - sizeof(info))
		return -XEN_EINVAL;
	to = (place.frame << GONDOLA_PAGE_SHIFT) + place.offset;
	r = xen_result(gondola_gpa_read(vcpu, xen->info, &info, sizeof(info)));
	if (!r)
		r = xen_result(gondola_gpa_write(vcpu, to, &info, sizeof(info)));
	if (r)
		return r;
	xen->info = to;
	/* One that is down publishes its clock when it starts. */
	return target == vcpu ? xen_result(xen_time_publish(vcpu)) : 0;
}
