// SPDX-License-Identifier: GPL-2.0-only
/*
 * Further vCPUs: one that is up says with which registers another one starts.  That one's own thread
 * takes them when it is told to go.
 */
#include "internal.h"
#include "x86/control.h"

#define RFLAGS_STARTED	(RFL_FIXED | RFL_IF)

static bool root_is_pinned(struct gondola_vm *vm, u64 cr3)
{
	return xen_pinned_level(vm->xen, cr3 >> GONDOLA_PAGE_SHIFT) == 4;
}

bool xen_context_is_canonical(const struct xen_vcpu_context *context)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(context->traps); i++)
		if (!xen_canonical(context->traps[i].address))
			return false;
	return xen_canonical(context->rip) && xen_canonical(context->event_callback) &&
	       xen_canonical(context->failsafe_callback) && xen_canonical(context->syscall_callback) &&
	       xen_canonical(context->fs_base) && xen_canonical(context->kernel_gs_base) &&
	       xen_canonical(context->user_gs_base);
}

static bool context_is_good(struct gondola_vm *vm, const struct xen_vcpu_context *context)
{
	return context->flags & XEN_CONTEXT_IN_KERNEL && root_is_pinned(vm, context->cr[3]) &&
	       xen_context_is_canonical(context);
}

/* There is room for it, since a guest does not expect that this fails. */
static s64 take_context(struct gondola_vcpu *vcpu, struct gondola_vcpu *target, u64 from)
{
	struct xen_vcpu_context *context = &target->xen->context;
	s64 r;

	if (target->xen->initialised)
		return -XEN_EEXIST;
	r = xen_copy_in(vcpu, context, from, sizeof(*context));
	if (!r && !context_is_good(vcpu->vm, context))
		r = -XEN_EINVAL;
	if (!r)
		r = xen_map_gdt(vcpu, target, context->gdt_frames, context->gdt_entries);
	if (r)
		return r;
	target->xen->context_due = true;
	target->xen->initialised = true;
	return 0;
}

static s64 initialise(struct gondola_vcpu *vcpu, struct gondola_vcpu *target, u64 from)
{
	s64 r;

	mutex_lock(&vcpu->vm->xen->lock);
	r = take_context(vcpu, target, from);
	mutex_unlock(&vcpu->vm->xen->lock);
	return r;
}

static s64 up(struct gondola_vcpu *target)
{
	struct gondola_xen_vcpu *xen = target->xen;
	s64 r = 0;

	mutex_lock(&target->vm->xen->lock);
	if (!xen->initialised)
		r = -XEN_EINVAL;
	else
		/* Pairs with gondola_xen_waiting(): who sees it up sees its context, too. */
		smp_store_release(&xen->up, true);
	mutex_unlock(&target->vm->xen->lock);
	if (!r) {
		WRITE_ONCE(xen->woken, true);
		gondola_request(target, GONDOLA_REQ_EVENT);
		gondola_vcpu_kick(target);
	}
	return r;
}

/* It goes on behind the call when it is up again. */
static s64 down(struct gondola_vcpu *vcpu)
{
	mutex_lock(&vcpu->vm->xen->lock);
	WRITE_ONCE(vcpu->xen->up, false);
	mutex_unlock(&vcpu->vm->xen->lock);
	xen_stop_one_shot(vcpu);
	vcpu->halted = true;
	return 0;
}

bool gondola_xen_waiting(const struct gondola_vcpu *vcpu)
{
	/* Pairs with up(). */
	return !smp_load_acquire(&vcpu->xen->up);
}

static void set_segments(struct gondola_vcpu *vcpu, const struct xen_vcpu_context *context)
{
	const struct gondola_engine_ops *engine = vcpu->engine;
	const struct gondola_segment none = { .ar = GONDOLA_AR_UNUSABLE };
	unsigned int i;

	/* Empty, and flat, whatever selectors the guest gives: in 64-bit code these mean the same. */
	for (i = GONDOLA_ES; i <= GONDOLA_GS; i++)
		engine->set_segment(vcpu, i, &none);
	xen_set_flat_code(vcpu);
	engine->set_msr(vcpu, MSRX_FS_BASE, context->fs_base);
	engine->set_msr(vcpu, MSRX_GS_BASE, context->kernel_gs_base);
	engine->set_msr(vcpu, MSRX_KERNEL_GS_BASE, context->user_gs_base);
}

static void set_registers(struct gondola_vcpu *vcpu, const struct xen_vcpu_context *context)
{
	/* In the order of struct xen_vcpu_context. */
	static const u8 order[] = {
		R_R15, R_R14, R_R13, R_R12, R_RBP, R_RBX, R_R11, R_R10, R_R9, R_R8, R_RAX, R_RCX, R_RDX,
		R_RSI, R_RDI,
	};
	struct gondola_regs *regs = &vcpu->regs;
	unsigned int i;

	static_assert(ARRAY_SIZE(order) == ARRAY_SIZE(context->gpr));
	for (i = 0; i < ARRAY_SIZE(order); i++)
		regs->gpr[order[i]] = context->gpr[i];
	regs->gpr[R_RSP] = context->rsp;
	regs->rip = context->rip;
	regs->rflags = RFLAGS_STARTED;
}

int xen_start_vcpu(struct gondola_vcpu *vcpu)
{
	struct gondola_xen_vcpu *xen = vcpu->xen;
	const struct xen_vcpu_context *context = &xen->context;
	int err = xen_set_mask(vcpu, true);

	if (!err)
		err = xen_time_publish(vcpu);
	if (err)
		return err;
	set_registers(vcpu, context);
	set_segments(vcpu, context);
	xen_take_traps(xen, context->traps);
	xen->callbacks[XEN_CALLBACK_EVENT] = (struct xen_handler){ context->event_callback, true };
	xen->callbacks[XEN_CALLBACK_FAILSAFE] = (struct xen_handler){ context->failsafe_callback, true };
	xen->callbacks[XEN_CALLBACK_SYSCALL] = (struct xen_handler){ context->syscall_callback, false };
	xen->kernel_sp = context->kernel_sp;
	xen->in_kernel = true;
	xen->user_cr3 = 0;
	vcpu->cr3 = context->cr[3] & PT_ADDR;
	gondola_mmu_cr3_written(vcpu, true);
	xen->context_due = false;
	return 0;
}

/* arg: what, vCPU, argument */
s64 xen_vcpu_op(struct gondola_vcpu *vcpu, const u64 *arg)
{
	struct gondola_vcpu *target = NULL;

	if (arg[1] < GONDOLA_MAX_VCPUS)
		target = gondola_vcpu_by_id(vcpu->vm, arg[1]);
	if (!target)
		return -XEN_ENOENT;
	switch (arg[0]) {
	case XEN_VCPU_IS_UP:
		return !gondola_xen_waiting(target);
	case XEN_VCPU_UP:
		return up(target);
	case XEN_VCPU_STOP_PERIODIC:
		return 0;
	}
	/* Until a vCPU is up, others set up what is its own. */
	if (target != vcpu && !gondola_xen_waiting(target))
		return -XEN_EINVAL;
	switch (arg[0]) {
	case XEN_VCPU_INITIALISE:
		return target == vcpu ? -XEN_EEXIST : initialise(vcpu, target, arg[2]);
	case XEN_VCPU_INFO_PLACE:
		return xen_place_info(vcpu, target, arg[2]);
	case XEN_VCPU_RUNSTATE_AREA:
		return xen_runstate_area(vcpu, target, arg[2]);
	}
	if (target != vcpu)
		return -XEN_EINVAL;
	switch (arg[0]) {
	case XEN_VCPU_DOWN:
		return down(vcpu);
	case XEN_VCPU_SET_ONE_SHOT:
		return xen_set_one_shot(vcpu, arg[2]);
	case XEN_VCPU_STOP_ONE_SHOT:
		xen_stop_one_shot(vcpu);
		return 0;
	}
	return -XEN_ENOSYS;
}
