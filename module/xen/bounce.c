// SPDX-License-Identifier: GPL-2.0-only
/*
 * The way into the guest's kernel, and back.  What IDT, TSS and IRET are to a real machine, the traps
 * and callbacks that the guest registered and the hypercall XEN_IRET are here.
 */
#include "internal.h"
#include "x86/control.h"

/* RFLAGS of a handler: these are clear. */
#define CLEARED		(RFL_TF | RFL_NT | RFL_RF | RFL_VM | RFL_AC)
/* XEN_IRET sets these as the guest asks. */
#define SETTABLE	(RFL_CF | RFL_PF | RFL_AF | RFL_ZF | RFL_SF | RFL_TF | RFL_DF | RFL_OF | \
			 RFL_NT | RFL_RF | RFL_AC | RFL_ID)
#define RPL		3u

#define AR_CODE64	(0xfbu | GONDOLA_AR_L | GONDOLA_AR_G)
#define AR_DATA		(0xf3u | GONDOLA_AR_DB | GONDOLA_AR_G)

/* From the stack's end to its top. */
struct frame {
	u64 rcx;
	u64 r11;
	u64 rest[6];			/* the error code, if there is one, and what IRET takes */
};

static gpa_t info_at(const struct gondola_vcpu *vcpu, unsigned int offset)
{
	return vcpu->xen->info + offset;
}

int xen_get_mask(struct gondola_vcpu *vcpu, bool *mask)
{
	u8 byte = 0;
	int err = gondola_gpa_read(vcpu, info_at(vcpu, offsetof(struct xen_vcpu_info, mask)), &byte, 1);

	*mask = byte;
	return err;
}

int xen_set_mask(struct gondola_vcpu *vcpu, bool mask)
{
	const u8 byte = mask;

	return gondola_gpa_write(vcpu, info_at(vcpu, offsetof(struct xen_vcpu_info, mask)), &byte, 1);
}

static void set_flat(struct gondola_vcpu *vcpu, enum gondola_seg seg, u16 selector, u32 ar)
{
	const struct gondola_segment s = { .selector = selector, .limit = ~0u, .ar = ar };

	vcpu->engine->set_segment(vcpu, seg, &s);
}

void xen_set_flat_code(struct gondola_vcpu *vcpu)
{
	set_flat(vcpu, GONDOLA_CS, XEN_FLAT_CS64, AR_CODE64);
	set_flat(vcpu, GONDOLA_SS, XEN_FLAT_DS, AR_DATA);
}

static u16 selector(struct gondola_vcpu *vcpu, enum gondola_seg seg)
{
	struct gondola_segment s;

	vcpu->engine->get_segment(vcpu, seg, &s);
	return s.selector;
}

/* The guest has no handler, or no stack: no real kernel lives on, either. */
static int broken(struct gondola_vcpu *vcpu)
{
	vcpu->run->exit = GONDOLA_EXIT_SHUTDOWN;
	return 0;
}

int xen_bounce(struct gondola_vcpu *vcpu, const struct xen_handler *to, bool has_error, u32 error)
{
	struct gondola_xen_vcpu *xen = vcpu->xen;
	struct gondola_regs *regs = &vcpu->regs;
	bool was_kernel = xen->in_kernel, mask;
	u16 cs = selector(vcpu, GONDOLA_CS);
	unsigned int n = 0, bytes;
	struct frame frame;
	u64 sp;
	s64 r;
	int err;

	if (!to->rip)
		return broken(vcpu);
	err = xen_get_mask(vcpu, &mask);
	if (err)
		return err;
	frame.rcx = regs->gpr[R_RCX];
	frame.r11 = regs->gpr[R_R11];
	if (has_error)
		frame.rest[n++] = error;
	frame.rest[n++] = regs->rip;
	frame.rest[n++] = (was_kernel ? cs & ~RPL : cs) | (u64)mask << 32;
	frame.rest[n++] = (regs->rflags & ~RFL_IF) | (mask ? 0 : RFL_IF);
	frame.rest[n++] = regs->gpr[R_RSP];
	frame.rest[n++] = selector(vcpu, GONDOLA_SS);
	bytes = offsetof(struct frame, rest) + n * sizeof(u64);
	sp = ((was_kernel ? regs->gpr[R_RSP] : xen->kernel_sp) & ~15ull) - bytes;

	/* The stack is the kernel's, which its programs do not see. */
	if (!was_kernel)
		xen_toggle(vcpu, true);
	r = xen_copy_out(vcpu, sp, &frame, bytes);
	if (!r && to->mask && !mask && xen_set_mask(vcpu, true))
		r = XEN_AGAIN;
	if (unlikely(r)) {
		if (!was_kernel)
			xen_toggle(vcpu, false);
		return r == XEN_AGAIN ? -EAGAIN : broken(vcpu);
	}
	regs->gpr[R_RSP] = sp;
	regs->rip = to->rip;
	regs->rflags = (regs->rflags & ~CLEARED) | RFL_IF | RFL_FIXED;
	xen_set_flat_code(vcpu);
	return 1;
}

int xen_bounce_syscall(struct gondola_vcpu *vcpu, u64 next_rip)
{
	struct gondola_regs *regs = &vcpu->regs, old = *regs;
	int next;

	regs->gpr[R_RCX] = next_rip;
	regs->gpr[R_R11] = regs->rflags;
	regs->rip = next_rip;
	next = xen_bounce(vcpu, &vcpu->xen->callbacks[XEN_CALLBACK_SYSCALL], false, 0);
	if (next == 1)
		regs->rflags &= ~RFL_DF;
	else
		*regs = old;
	return next;
}

/* ---- and back ------------------------------------------------------------------------------ */

/* A program of 32 bits has a code segment of the guest's own GDT. */
static s64 read_code_segment(struct gondola_vcpu *vcpu, u16 cs, u32 *ar)
{
	const struct gondola_xen_vcpu *xen = vcpu->xen;
	u32 index = cs >> 3;
	u64 descriptor;
	s64 r;

	*ar = AR_CODE64;
	if (index >= xen->gdt_entries || cs & 4)
		return 0;
	r = xen_result(gondola_gpa_read(vcpu, (xen->gdt[index / 512] << GONDOLA_PAGE_SHIFT) +
					index % 512 * sizeof(u64), &descriptor, sizeof(descriptor)));
	if (r)
		return r;
	*ar = (descriptor >> 40 & 0xff) | (descriptor >> 40 & 0xf000);
	/* It can only be code of ring 3: else it is taken for 64-bit code, and fails there. */
	if ((*ar & 0xf8) != 0xf8)
		*ar = AR_CODE64;
	return 0;
}

s64 xen_iret(struct gondola_vcpu *vcpu)
{
	struct gondola_xen_vcpu *xen = vcpu->xen;
	struct gondola_regs *regs = &vcpu->regs;
	u32 ar = AR_CODE64;
	struct xen_iret to;
	bool user;
	s64 r;

	r = xen_copy_in(vcpu, &to, regs->gpr[R_RSP], sizeof(to));
	if (r)
		return r;
	user = (to.cs & RPL) == RPL;
	if (user && !xen->user_cr3)
		return -XEN_EFAULT;
	if (user && (u16)to.cs < XEN_GDT_ENTRIES * 8)
		r = read_code_segment(vcpu, to.cs, &ar);
	if (r)
		return r;
	r = xen_result(xen_set_mask(vcpu, !(to.rflags & RFL_IF)));
	if (r)
		return r;
	if (user)
		xen_toggle(vcpu, false);
	regs->rip = to.rip;
	regs->rflags = (to.rflags & SETTABLE) | RFL_IF | RFL_FIXED;
	regs->gpr[R_RSP] = to.rsp;
	regs->gpr[R_RAX] = to.rax;
	if (!(to.flags & XEN_IRET_IN_SYSCALL)) {
		regs->gpr[R_RCX] = to.rcx;
		regs->gpr[R_R11] = to.r11;
	}
	set_flat(vcpu, GONDOLA_CS, to.cs | RPL, ar);
	set_flat(vcpu, GONDOLA_SS, to.ss | RPL, AR_DATA);
	return 0;
}
