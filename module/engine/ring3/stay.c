// SPDX-License-Identifier: GPL-2.0-only
/*
 * A stay in ring 3: whether the guest is in a state for it, what is loaded for it, and what it
 * means that it ended.
 */
#include <linux/io.h>
#include <linux/mm.h>
#include <linux/random.h>
#include <linux/string.h>
#include <asm/cpufeature.h>
#include <asm/fpu/api.h>
#include <asm/nospec-branch.h>
#include <asm/processor-flags.h>
#include "host/compat.h"
#include "stay.h"

/* The lower half of the address space, which is all that ring 3 has of most guests. */
#define USER_END		BIT_ULL(47)
#define USER_ROOT_BYTES		(256 * sizeof(u64))
#define UPPER_START		(-BIT_ULL(47))
#define ROOT_SHIFT		39
#define SYSCALL_LEN		2u

/* IOPL would open ports, VM is another mode, NT and virtual interrupts are for the interpreter. */
#define RFL_STAY		(RFL_CF | RFL_FIXED | RFL_PF | RFL_AF | RFL_ZF | RFL_SF | RFL_TF | \
				 RFL_IF | RFL_DF | RFL_OF | RFL_RF | RFL_AC | RFL_ID)
/* Flags that ring 3 can change.  A fault's frame has RF set, which its delivery will do. */
#define RFL_KEPT		((RFL_STAY | RFL_NT) & ~RFL_RF)
/* Present, for ring 3; a code segment of 64 bits, a data segment that can be written. */
#define AR_CODE			(GONDOLA_AR_P | GONDOLA_AR_S | GONDOLA_AR_DPL | 8)
#define AR_DATA			(GONDOLA_AR_P | GONDOLA_AR_S | GONDOLA_AR_DPL | 2)
#define AR_TYPE			0xa	/* code, writable */

#define PFEC_ARCHITECTURAL	(PFEC_P | PFEC_W | PFEC_U | PFEC_I)

/* The bits of MXCSR that this processor has: FXRSTOR faults on others. */
static u32 mxcsr_mask;

static void save_fpu(struct gondola_fxsave *fpu)
{
	asm volatile("fxsave64 %0" : "+m" (*fpu));
}

void ring3_stay_setup(void)
{
	static struct gondola_fxsave image;

	kernel_fpu_begin();
	save_fpu(&image);
	kernel_fpu_end();
	/* Of processors that do not say: all but DAZ. */
	mxcsr_mask = image.mxcsr_mask ?: 0xffbf;
}

/* ---- may it be? ---------------------------------------------------------------------- */

static bool segments_fit(const struct interp_vcpu *ip)
{
	const struct gondola_segment *s = ip->segment;
	const u32 mask = GONDOLA_AR_P | GONDOLA_AR_S | GONDOLA_AR_DPL;

	return (s[GONDOLA_CS].ar & (mask | 8)) == AR_CODE &&
	       (s[GONDOLA_SS].ar & (mask | AR_TYPE)) == AR_DATA &&
	       !(s[GONDOLA_DS].selector | s[GONDOLA_ES].selector | s[GONDOLA_FS].selector |
		 s[GONDOLA_GS].selector);
}

static bool flags_fit(const struct gondola_vcpu *vcpu)
{
	u64 rflags = vcpu->regs.rflags;

	if (rflags & ~RFL_STAY || !(rflags & RFL_IF))
		return false;
	/* DEBUGCTL may say that a step is a branch. */
	if (rflags & RFL_TF && vcpu->msrs.debugctl)
		return false;
	/* The host has alignment checks on. */
	return !(rflags & RFL_AC) || vcpu->cr0 & CR0_AM;
}

/* The FPU is in the state that the host's is in: used, with exceptions of its own. */
static bool controls_fit(const struct gondola_vcpu *vcpu)
{
	const u64 cr0 = CR0_NE | CR0_EM | CR0_TS, cr4 = CR4_OSFXSR | CR4_OSXMMEXCPT;

	return (vcpu->cr0 & cr0) == CR0_NE && (vcpu->cr4 & cr4) == cr4 &&
	       vcpu->efer & EFER_F_SCE;
}

/*
 * May ring 3 have what is at @address?  A paravirtualized guest has its kernel in ring 3, too, and so
 * both halves but for the entry of the areas.  What it maps there itself the interpreter finds.
 */
static bool has_address(const struct ring3_vcpu *r3, u64 address)
{
	if (likely(address < USER_END))
		return true;
	return r3->ip.vcpu->xen && address >= UPPER_START &&
	       (address >> ROOT_SHIFT) % PTRS_PER_PGD != RING3_SLOT;
}

static bool may_stay(const struct ring3_vcpu *r3)
{
	const struct interp_vcpu *ip = &r3->ip;
	const struct gondola_vcpu *vcpu = ip->vcpu;

	return ip->emul.cpl == 3 && ip->emul.mode == GONDOLA_EMUL_LONG64 && !r3->dead &&
	       ip->inject.kind == GONDOLA_EVENT_NONE && !(ip->attention & ~INTERP_MODE) &&
	       has_address(r3, vcpu->regs.rip) && segments_fit(ip) && flags_fit(vcpu) &&
	       controls_fit(vcpu);
}

/*
 * Programs look into the guest's GDT: by LSL for the number of their processor, by loading FS or
 * GS.  LSL does not fault where it finds nothing, so what of the GDT the shadow tables do not have
 * yet is asked for first; the guest itself may have none there.
 */
static enum ring3_next set_segments(struct ring3_vcpu *r3)
{
	struct interp_vcpu *ip = &r3->ip;
	u16 cs = ip->segment[GONDOLA_CS].selector, ss = ip->segment[GONDOLA_SS].selector;
	unsigned int entries = min_t(unsigned int, (ip->gdt.limit + 1u) / 8, RING3_GDT_ENTRIES);
	u64 now[RING3_GDT_ENTRIES];

	if (likely(interp_ops.read(&ip->emul, ip->gdt.base, now, entries * 8, true) ==
		   GONDOLA_EMUL_OK)) {
		r3->gdt_absent = false;
	} else {
		r3->gdt_wanted = !r3->gdt_absent;
		if (r3->gdt_wanted)
			return RING3_LEAVE;
		ip->exit.reason = GONDOLA_REASON_COUNT;
		entries = 0;
	}
	if (likely(cs == r3->cs && ss == r3->ss && entries == r3->gdt_entries &&
		   !memcmp(now, r3->gdt, entries * 8)))
		return RING3_STAY;
	r3->cs = 0;
	if (!ring3_set_user_segments(&r3->area, cs, ss))
		return RING3_INTERPRET;
	ring3_add_data_segments(&r3->area, now, entries);
	memcpy(r3->gdt, now, entries * 8);
	r3->gdt_entries = entries;
	r3->cs = cs;
	r3->ss = ss;
	return RING3_STAY;
}

/* ---- what emulators lack ----------------------------------------------------------------- */

#ifdef GONDOLA_RING3_STRAIN
/* One stay in eight begins as if the shadow tables had lost what the program lies in. */
static void strain_root(u64 *root, u64 rip)
{
	if (!(get_random_u32() % 8))
		root[(rip >> ROOT_SHIFT) % PTRS_PER_PGD] = 0;
}

/* Half of the faults in the upper half find an entry: the TLB kept a global one of the host's. */
static u64 strain_error(u64 error, u64 address)
{
	return error | (address >= UPPER_START && get_random_u32() % 2 ? PFEC_P : 0);
}
#else
static void strain_root(u64 *root, u64 rip)
{
}

static u64 strain_error(u64 error, u64 address)
{
	return error;
}
#endif

/* ---- to and fro ------------------------------------------------------------------------- */

/* Others change the shadow's root only while no vCPU is in the guest, or add to it. */
static void set_root(struct ring3_vcpu *r3)
{
	const u64 *from = __va(r3->ip.vcpu->hw_root);
	u64 areas = r3->root[RING3_SLOT];

	memcpy(r3->root, from, unlikely(r3->ip.vcpu->xen) ? PAGE_SIZE : USER_ROOT_BYTES);
	strain_root(r3->root, r3->ip.vcpu->regs.rip);
	r3->root[RING3_SLOT] = areas;
}

static void load_fpu(struct gondola_fxsave *fpu)
{
	/* Nothing to initialize: all of it is loaded. */
	kernel_fpu_begin_mask(0);
	/* Processors that keep the last x87 operation's pointers where none is pending: drop them. */
	if (boot_cpu_has_bug(X86_BUG_FXSAVE_LEAK))
		asm volatile("fnclex; emms; fildl %0" : : "m" (fpu->mxcsr));
	fpu->mxcsr &= mxcsr_mask;
	asm volatile("fxrstor64 %0" : : "m" (*fpu));
}

static void put_fpu(struct gondola_fxsave *fpu)
{
	u32 kept = fpu->mxcsr_mask;

	save_fpu(fpu);
	/* The interpreter's, which is the same everywhere. */
	fpu->mxcsr_mask = kept;
	kernel_fpu_end();
}

static void load_user(struct ring3_vcpu *r3)
{
	struct interp_vcpu *ip = &r3->ip;
	struct ring3_user *user = &r3->user;

	user->fs_base = ip->segment[GONDOLA_FS].base;
	user->gs_base = ip->segment[GONDOLA_GS].base;
	user->tsc_aux = (u32)ip->tsc_aux;
	/* The guest's time has an offset, and its processor no XSAVE, AVX or protection keys. */
	user->cr4_set = X86_CR4_TSD;
	if (cpu_feature_enabled(X86_FEATURE_UMIP))
		user->cr4_set |= X86_CR4_UMIP;
	user->cr4_clear = X86_CR4_OSXSAVE | X86_CR4_PKE | X86_CR4_PCE;
	if (!(ip->vcpu->cr4 & CR4_FSGSBASE))
		user->cr4_clear |= X86_CR4_FSGSBASE;
}

/* A selector that ring 3 has loaded; what it means is in the GDT that it had. */
static void take_selector(struct ring3_vcpu *r3, enum gondola_seg seg, u16 selector, u64 base)
{
	struct gondola_segment *s = &r3->ip.segment[seg];
	unsigned int i = selector / 8;
	u64 raw;

	s->base = base;
	if (likely(selector == s->selector))
		return;
	s->selector = selector;
	s->ar = GONDOLA_AR_UNUSABLE;
	s->limit = 0;
	if (!i || i >= r3->gdt_entries)
		return;
	raw = r3->gdt[i];
	s->ar = (raw >> 40) & 0xf0ff;
	s->limit = (raw & 0xffff) | ((raw >> 32) & 0xf0000);
	if (s->ar & GONDOLA_AR_G)
		s->limit = s->limit << 12 | 0xfff;
	if (seg != GONDOLA_FS && seg != GONDOLA_GS)
		s->base = (raw >> 16 & 0xffffff) | (raw >> 32 & 0xff000000);
}

static void take_user(struct ring3_vcpu *r3)
{
	const struct ring3_user *user = &r3->user;
	const struct gondola_segment *s = r3->ip.segment;

	take_selector(r3, GONDOLA_DS, user->selector[0], s[GONDOLA_DS].base);
	take_selector(r3, GONDOLA_ES, user->selector[1], s[GONDOLA_ES].base);
	take_selector(r3, GONDOLA_FS, user->selector[2], user->fs_base);
	take_selector(r3, GONDOLA_GS, user->selector[3], user->gs_base);
}

static void load_regs(const struct ring3_vcpu *r3, struct ring3_regs *regs)
{
	const struct gondola_regs *from = &r3->ip.vcpu->regs;

	memcpy(regs->gpr, from->gpr, sizeof(regs->gpr));
	regs->vector = 0;
	regs->error = 0;
	regs->rip = from->rip;
	regs->cs = r3->cs;
	regs->rflags = (from->rflags & RFL_STAY) | RFL_FIXED | RFL_IF;
	regs->rsp = from->gpr[R_RSP];
	regs->ss = r3->ss;
}

static void take_regs(struct ring3_vcpu *r3, const struct ring3_regs *regs)
{
	struct gondola_regs *to = &r3->ip.vcpu->regs;

	memcpy(to->gpr, regs->gpr, sizeof(to->gpr));
	to->gpr[R_RSP] = regs->rsp;
	to->rip = regs->rip;
	to->rflags = (regs->rflags & RFL_KEPT) | RFL_FIXED;
	/* SYSCALL has forgotten it, and sets another. */
	if (regs->vector < RING3_SYSCALL)
		take_selector(r3, GONDOLA_SS, regs->ss, 0);
}

/* ---- what it means ------------------------------------------------------------------------ */

static enum ring3_next leave_exception(struct interp_vcpu *ip, u8 vector, u64 dr6)
{
	interp_leave(ip, GONDOLA_REASON_EXCEPTION);
	ip->exit.exception.vector = vector;
	ip->exit.exception.has_error = gondola_vector_has_error(vector);
	ip->exit.exception.error = 0;
	ip->exit.exception.dr6 = dr6;
	return RING3_LEAVE;
}

void ring3_leave_page_fault(struct ring3_vcpu *r3, u64 error)
{
	struct interp_vcpu *ip = &r3->ip;

	/* A processor that faults forgets what it faulted on. */
	interp_flush_page(ip, r3->user.cr2);
	interp_leave(ip, GONDOLA_REASON_PAGE_FAULT);
	ip->exit.pf.gva = r3->user.cr2;
	ip->exit.pf.error = error & PFEC_ARCHITECTURAL;
}

/*
 * Not only the guest's tables decide: an access of the processor's own has no U bit, and the upper
 * half is not there, or is the switcher's.  The interpreter finds out what it is.
 */
static enum ring3_next page_fault(struct ring3_vcpu *r3, u64 error)
{
	if (unlikely(!(error & PFEC_U) || !has_address(r3, r3->user.cr2)))
		return RING3_INTERPRET_ONE;
	ring3_leave_page_fault(r3, error);
	return RING3_LEAVE;
}

static enum ring3_next exception(struct ring3_vcpu *r3, const struct ring3_regs *regs,
				 struct gondola_event *fault)
{
	struct interp_vcpu *ip = &r3->ip;
	const struct gondola_vcpu *vcpu = ip->vcpu;

	fault->vector = regs->vector;
	fault->has_error = gondola_vector_has_error(regs->vector);
	fault->error = regs->error;
	switch (regs->vector) {
	case VEC_PF:
		fault->error = strain_error(regs->error, r3->user.cr2);
		return page_fault(r3, fault->error);
	case VEC_DB:
		/* A step, or ICEBP; the host's breakpoints are off. */
		return leave_exception(ip, VEC_DB, r3->user.dr6 & DR6_BS);
	case VEC_DE:
	case VEC_MF:
	case VEC_XM:
		return leave_exception(ip, regs->vector, 0);
	case VEC_AC:
		if (vcpu->regs.rflags & RFL_AC && vcpu->cr0 & CR0_AM)
			return leave_exception(ip, VEC_AC, 0);
		break;	/* a lock across cache lines, or what the guest has switched off */
	}
	return RING3_INTERPRET_ONE;
}

static enum ring3_next ended(struct ring3_vcpu *r3, enum ring3_why why,
			     const struct ring3_regs *regs, struct gondola_event *fault)
{
	struct interp_vcpu *ip = &r3->ip;

	switch (why) {
	case RING3_TURNED_BACK:
	case RING3_INTERRUPT:
	case RING3_NMI:
		interp_leave(ip, GONDOLA_REASON_HOST_INTERRUPT);
		return RING3_LEAVE;
	case RING3_CALL:
	case RING3_CALL32:
		ip->vcpu->regs.rip -= SYSCALL_LEN;
		if (ip->vcpu->xen && why == RING3_CALL) {
			interp_leave(ip, GONDOLA_REASON_SYSCALL);
			ip->exit.insn_len = SYSCALL_LEN;
			return RING3_LEAVE;
		}
		/* The interpreter does it again, with the guest's MSRs. */
		return RING3_INTERPRET_ONE;
	case RING3_EXCEPTION:
		return exception(r3, regs, fault);
	case RING3_BAD_STATE:
		return RING3_INTERPRET_ONE;
	case RING3_DEAD:
		break;
	}
	r3->dead = true;
	interp_leave(ip, GONDOLA_REASON_UNKNOWN);
	ip->exit.fail.qualification = regs->vector;
	ip->exit.fail.error = regs->error;
	ip->exit.fail.field = "world switch";
	return RING3_LEAVE;
}

enum ring3_next ring3_stay(struct ring3_vcpu *r3, struct gondola_event *fault)
{
	struct gondola_vcpu *vcpu = r3->ip.vcpu;
	enum ring3_next next;
	struct ring3_regs regs;
	enum ring3_why why;

	if (!may_stay(r3))
		return RING3_INTERPRET;
	next = set_segments(r3);
	if (unlikely(next != RING3_STAY))
		return next;
	set_root(r3);
	load_regs(r3, &regs);
	load_user(r3);
	load_fpu(vcpu->fpu);
	why = ring3_run(&r3->area, virt_to_phys(r3->root), &regs, &r3->user);
	put_fpu(vcpu->fpu);
	if (why == RING3_INTERRUPT)
		ring3_take_interrupt(&regs);
	/* Predictors that the guest trained must not steer the launcher: user mode has a barrier. */
	if (cpu_feature_enabled(X86_FEATURE_IBPB_EXIT_TO_USER))
		this_cpu_write(x86_ibpb_exit_to_user, true);
	if (likely(why != RING3_TURNED_BACK && why != RING3_BAD_STATE)) {
		take_regs(r3, &regs);
		r3->ip.shadow = 0;
	}
	take_user(r3);
	return ended(r3, why, &regs, fault);
}
