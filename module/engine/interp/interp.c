// SPDX-License-Identifier: GPL-2.0-only
/*
 * The interpreter as an engine: it needs nothing of the processor, and runs
 * guests wherever the module loads.
 */
#include <linux/mm.h>
#include <linux/slab.h>
#include <linux/string.h>
#include "host/compat.h"
#include "interp.h"

#define MAX_INSN	16u
#define SHADOW_MOV_SS	2u

static u32 interp_probe(char *detail)
{
	strscpy(detail, "in software, and slow", 64);
	return GONDOLA_PF_OK;
}

/* ---- the vCPU -------------------------------------------------------------------- */

static void reset_segments(struct interp_vcpu *ip)
{
	unsigned int i;

	for (i = 0; i < GONDOLA_NR_SEGS; i++)
		ip->segment[i] = (struct gondola_segment){ .ar = 0x93, .limit = 0xffff };
	ip->segment[GONDOLA_CS].ar = 0x9b;
	ip->segment[GONDOLA_CS].selector = 0xf000;
	ip->segment[GONDOLA_CS].base = 0xffff0000;
	ip->segment[GONDOLA_LDTR].ar = 0x82;
	ip->segment[GONDOLA_TR].ar = 0x8b;
	ip->gdt.limit = 0xffff;
	ip->idt.limit = 0xffff;
}

void interp_vcpu_init(struct interp_vcpu *ip, struct gondola_vcpu *vcpu)
{
	ip->vcpu = vcpu;
	ip->emul.ops = &interp_ops;
	ip->emul.ctx = ip;
	ip->emul.regs = &vcpu->regs;
	ip->emul.segments = ip->segment;
	ip->emul.fpu = vcpu->fpu;
	ip->pat = 0x0007040600070406ull;
	ip->current_insn = ip->decoded[0];
	reset_segments(ip);
	/* All of them are to be made empty. */
	ip->nr_filled = INTERP_FEW + 1;
	interp_flush(ip);
	vcpu->engine_data = ip;
}

static int interp_vcpu_create(struct gondola_vcpu *vcpu)
{
	struct interp_vcpu *ip = kvzalloc(sizeof(*ip), GFP_KERNEL_ACCOUNT);

	if (!ip)
		return -ENOMEM;
	interp_vcpu_init(ip, vcpu);
	return 0;
}

static void interp_vcpu_destroy(struct gondola_vcpu *vcpu)
{
	kvfree(vcpu->engine_data);
	vcpu->engine_data = NULL;
}

/* It keeps no state in a processor. */
static void interp_vcpu_load(struct gondola_vcpu *vcpu, int cpu)
{
}

static void interp_vcpu_put(struct gondola_vcpu *vcpu)
{
}

/* ---- running ------------------------------------------------------------------------ */

static u8 mode_of(const struct interp_vcpu *ip)
{
	const struct gondola_vcpu *vcpu = ip->vcpu;
	u32 ar = ip->segment[GONDOLA_CS].ar;

	if (gondola_long_mode(vcpu) && ar & GONDOLA_AR_L)
		return GONDOLA_EMUL_LONG64;
	if (!(vcpu->cr0 & CR0_PE))
		return GONDOLA_EMUL_REAL;
	if (vcpu->regs.rflags & RFL_VM)
		return GONDOLA_EMUL_VM86;
	return ar & GONDOLA_AR_DB ? GONDOLA_EMUL_PROT32 : GONDOLA_EMUL_PROT16;
}

void interp_find_mode(struct interp_vcpu *ip)
{
	struct gondola_emulator *e = &ip->emul;

	e->mode = mode_of(ip);
	e->cpl = e->mode == GONDOLA_EMUL_REAL ? 0 : interp_cpl(ip);
	e->tlb = ip->attention & INTERP_WATCHES ? NULL : ip->tlb[e->cpl == 3];
	ip->attention &= ~INTERP_MODE;
}

/* Are the bytes at @code still those from which @d was decoded? */
static __always_inline bool unchanged(const struct interp_decoded *d, const u8 *code)
{
	if (unlikely((get_unaligned((const u64 *)code) ^ d->bytes[0]) & d->mask[0]))
		return false;
	return likely(d->insn.len <= 8) ||
	       !((get_unaligned((const u64 *)code + 1) ^ d->bytes[1]) & d->mask[1]);
}

/* All addresses have the same top byte. */
static __always_inline unsigned long key_of(const u8 *code, u8 mode)
{
	return (unsigned long)code ^ (unsigned long)(mode ^ GONDOLA_EMUL_LONG64) << 56;
}

/*
 * gondola_parse() has decoded the instruction at @code.  Its bytes are those that it fetched: in
 * memory they may have changed since.
 */
static void remember(struct interp_decoded *d, const u8 *code, const struct gondola_emulator *e)
{
	const struct gondola_insn *insn = &e->own;
	unsigned int bits = 8 * insn->len;

	d->key = key_of(code, insn->mode);
	d->bytes[0] = get_unaligned((const u64 *)e->bytes);
	d->bytes[1] = get_unaligned((const u64 *)e->bytes + 1);
	d->mask[0] = bits < 64 ? BIT_ULL(bits) - 1 : ~0ull;
	d->mask[1] = bits > 64 ? BIT_ULL(bits - 64) - 1 : 0;
	d->insn = *insn;
}

/* Find a block by the key of its first instruction. */
static __always_inline struct interp_decoded *block_of(struct interp_vcpu *ip, unsigned long key)
{
	return ip->decoded[(key ^ key >> 10) % INTERP_BLOCKS];
}

/*
 * Find the instruction at RIP, or decode it.  Instructions that run in a row are stored in a row.
 * A decoded instruction is valid as long as the same bytes are at its address, whoever wrote them
 * and whichever page this is.  NULL: *@r has the result.
 */
static noinline const struct gondola_insn *find_insn(struct interp_vcpu *ip, int *r)
{
	struct gondola_emulator *e = &ip->emul;
	const struct gondola_segment *cs = &ip->segment[GONDOLA_CS];
	struct interp_decoded *d;
	gva_t la = e->regs->rip;
	unsigned long key;
	const u8 *code;

	if (unlikely(e->mode != GONDOLA_EMUL_LONG64)) {
		la = (u32)(la + cs->base);
		/* Close to the segment's limit the decoder must check it. */
		if (e->regs->rip + MAX_INSN > cs->limit)
			goto decode;
	}
	if (unlikely((la & ~GONDOLA_PAGE_MASK) > GONDOLA_PAGE_SIZE - MAX_INSN))
		goto decode;
	code = interp_code(ip, la);
	if (unlikely(!code)) {
		*r = GONDOLA_EMUL_RETRY;
		return NULL;
	}
	key = key_of(code, e->mode);
	d = ip->current_insn;
	if (key == d->key + d->insn.len && (d + 1 - ip->decoded[0]) % INTERP_BLOCK)
		d++;
	else
		d = block_of(ip, key);
	ip->current_insn = d;
	if (likely(d->key == key && unchanged(d, code)))
		return &d->insn;
	*r = gondola_parse(e);
	if (unlikely(*r))
		return NULL;
	remember(d, code, e);
	return &d->insn;
decode:
	*r = gondola_parse(e);
	return *r ? NULL : &e->own;
}

static bool leave_debug(struct interp_vcpu *ip, u64 conditions)
{
	interp_leave(ip, GONDOLA_REASON_EXCEPTION);
	ip->exit.exception.vector = VEC_DB;
	ip->exit.exception.has_error = false;
	ip->exit.exception.dr6 = conditions;
	return true;
}

/* Does the next instruction meet a breakpoint?  True: the guest leaves. */
static bool meets_breakpoint(struct interp_vcpu *ip)
{
	const struct gondola_emulator *e = &ip->emul;
	gva_t la = e->regs->rip;
	u64 met;

	if (likely(!(ip->attention & INTERP_BREAKPOINTS)) || e->regs->rflags & RFL_RF ||
	    e->shadow == SHADOW_MOV_SS)
		return false;
	if (e->mode != GONDOLA_EMUL_LONG64)
		la = (u32)(la + ip->segment[GONDOLA_CS].base);
	met = interp_breakpoint(ip, la);
	return met && leave_debug(ip, met);
}

/* Check the conditions that trap after an instruction.  MOV SS delays those that it met itself. */
static u64 traps(struct interp_vcpu *ip, u64 rflags, u64 rip)
{
	struct gondola_emulator *e = &ip->emul;
	u64 met = ip->watch_met;

	if (e->shadow == SHADOW_MOV_SS)
		return 0;
	ip->watch_met = 0;
	if ((rflags | e->regs->rflags) & RFL_TF &&
	    gondola_emulate_trap_due(e, rflags, rip, ip->vcpu->msrs.debugctl))
		met |= DR6_BS;
	return met;
}

/* Called after a complete instruction.  True: the guest leaves. */
static noinline bool look_around(struct interp_vcpu *ip, u64 rflags, u64 rip)
{
	struct gondola_emulator *e = &ip->emul;
	bool user = false;
	u64 met;

	if (ip->attention & INTERP_MODE) {
		interp_find_mode(ip);
		user = ip->stop_at_user && e->cpl == 3 && e->mode == GONDOLA_EMUL_LONG64;
	}
	met = traps(ip, rflags, rip);
	if (met)
		return leave_debug(ip, met);
	if (e->shadow)
		return meets_breakpoint(ip) || user;
	if (ip->attention & INTERP_NMI_WINDOW && !ip->nmi_blocked) {
		interp_leave(ip, GONDOLA_REASON_NMI_WINDOW);
		return true;
	}
	if (ip->attention & INTERP_WINDOW && e->regs->rflags & RFL_IF) {
		interp_leave(ip, GONDOLA_REASON_INTERRUPT_WINDOW);
		return true;
	}
	return meets_breakpoint(ip) || user;
}

/* Handle an instruction that is not complete.  True: the guest leaves. */
static noinline bool not_done(struct interp_vcpu *ip, int result)
{
	const struct gondola_event *exception = &ip->emul.exception;
	struct gondola_exit *exit = &ip->exit;

	ip->watch_met = 0;
	switch (result) {
	case GONDOLA_EMUL_RETRY:
		return exit->reason != GONDOLA_REASON_COUNT;
	case GONDOLA_EMUL_FAULT:
		interp_leave(ip, GONDOLA_REASON_EXCEPTION);
		exit->exception.vector = exception->vector;
		exit->exception.has_error = exception->has_error;
		exit->exception.error = exception->error;
		exit->exception.dr6 = 0;
		return true;
	default:
		/* Leave it to the emulator outside, which reports what is unknown. */
		interp_leave(ip, GONDOLA_REASON_INTERPRET);
		return true;
	}
}

static bool deliver(struct interp_vcpu *ip)
{
	int r;

	r = gondola_emulate_deliver(&ip->emul, &ip->inject);
	if (likely(r == GONDOLA_EMUL_OK)) {
		if (ip->inject.kind == GONDOLA_EVENT_NMI)
			ip->nmi_blocked = true;
		ip->inject.kind = GONDOLA_EVENT_NONE;
		ip->emul.shadow = 0;
		interp_find_mode(ip);
		return true;
	}
	if (r == GONDOLA_EMUL_UNKNOWN)
		interp_leave(ip, GONDOLA_REASON_TASK_SWITCH);
	else
		not_done(ip, r);
	return false;
}

/* Find the block of 64-bit code that begins at @rip.  NULL: call find_insn(). */
static __always_inline struct interp_decoded *
find_block(struct interp_vcpu *ip, const struct interp_code_page *pages, u64 rip)
{
	const struct interp_code_page *page = &pages[(rip >> GONDOLA_PAGE_SHIFT) %
						     INTERP_CODE_PAGES];
	const u8 *code = page->host + (rip & ~GONDOLA_PAGE_MASK);
	struct interp_decoded *d = block_of(ip, (unsigned long)code);

	if (unlikely(page->page != (rip & GONDOLA_PAGE_MASK) ||
		     d->key != (unsigned long)code || !unchanged(d, code)))
		return NULL;
	return d;
}

/*
 * Execute 64-bit code from the current instruction on, as long as instructions are decoded and
 * nothing needs attention.  The mode does not change meanwhile, nor does the page within a row.
 * Returns how many are left, without counting the last one: *@r is its result, *@rip its address.
 */
static unsigned int run_row(struct interp_vcpu *ip, unsigned int left, int *r, u64 *rip)
{
	struct gondola_emulator *e = &ip->emul;
	struct gondola_regs *regs = e->regs;
	const struct interp_code_page *pages = ip->code[e->cpl == 3];
	struct interp_decoded *d = ip->current_insn, *behind;
	int result;
	u64 next;

	for (;; left--, d = behind) {
		const struct gondola_insn *insn = &d->insn;
		const unsigned long key = d->key + insn->len;

		next = regs->rip + insn->len;
		e->insn = insn;
		result = insn->run(e);
		if (unlikely(result || ip->attention | e->shadow |
			     (regs->rflags & (RFL_TF | RFL_RF))))
			break;
		if (unlikely(left == 1))
			break;
		if (likely(regs->rip == next)) {
			behind = d + 1;
			if (likely(behind->key == key && unchanged(behind, (const u8 *)key)))
				continue;
		}
		behind = find_block(ip, pages, regs->rip);
		if (unlikely(!behind))
			break;
	}
	ip->current_insn = d;
	*rip = next - d->insn.len;
	*r = result;
	return left;
}

unsigned int interp_run(struct interp_vcpu *ip, unsigned int left)
{
	struct gondola_emulator *e = &ip->emul;
	struct gondola_regs *regs = &ip->vcpu->regs;
	const struct gondola_insn *insn;
	const unsigned int most = left;
	u8 shadow;
	int r;

	ip->exit = (struct gondola_exit){ .reason = GONDOLA_REASON_COUNT };
	e->shadow = ip->shadow;
	interp_find_mode(ip);
	if (ip->inject.kind != GONDOLA_EVENT_NONE && !deliver(ip))
		return left;
	if (meets_breakpoint(ip))
		return left;
	do {
		const u64 rflags = regs->rflags;
		u64 rip = regs->rip;

		shadow = e->shadow;
		insn = find_insn(ip, &r);
		if (likely(insn == &ip->current_insn->insn && e->mode == GONDOLA_EMUL_LONG64 &&
			   !(ip->attention | shadow | (rflags & (RFL_TF | RFL_RF)))))
			left = run_row(ip, left, &r, &rip);
		else if (likely(insn))
			r = gondola_execute(e, insn);
		if (likely(r == GONDOLA_EMUL_OK)) {
			shadow = e->shadow;
			if (likely(!(ip->attention | (rflags & RFL_TF))))
				continue;
			if (look_around(ip, rflags, rip))
				break;
		} else if (not_done(ip, r)) {
			break;
		}
	} while (--left);
	ip->shadow = shadow;
	ip->vcpu->counters[GONDOLA_COUNTER_INSTRUCTIONS] += most - left;
	return left;
}

static void interp_enter(struct gondola_vcpu *vcpu)
{
	struct interp_vcpu *ip = vcpu->engine_data;

	interp_run(ip, INTERP_CHUNK);
	if (ip->exit.reason == GONDOLA_REASON_COUNT)
		ip->exit.reason = GONDOLA_REASON_HOST_INTERRUPT;
}

void interp_vcpu_decode(struct gondola_vcpu *vcpu, struct gondola_exit *exit)
{
	struct interp_vcpu *ip = vcpu->engine_data;

	*exit = ip->exit;
	exit->hw_reason = exit->reason;
	/* Give an event that was not delivered back to the caller. */
	if (ip->inject.kind != GONDOLA_EVENT_NONE) {
		vcpu->event = ip->inject;
		ip->inject.kind = GONDOLA_EVENT_NONE;
	}
}

void interp_vcpu_inject(struct gondola_vcpu *vcpu, const struct gondola_event *event)
{
	struct interp_vcpu *ip = vcpu->engine_data;

	ip->inject = *event;
}

void interp_vcpu_cancel_injection(struct gondola_vcpu *vcpu)
{
	struct interp_vcpu *ip = vcpu->engine_data;

	ip->inject.kind = GONDOLA_EVENT_NONE;
}

u32 interp_vcpu_get_shadow(struct gondola_vcpu *vcpu)
{
	struct interp_vcpu *ip = vcpu->engine_data;

	return ip->shadow | (ip->nmi_blocked ? BIT(2) : 0);
}

void interp_vcpu_set_shadow(struct gondola_vcpu *vcpu, u32 shadow)
{
	struct interp_vcpu *ip = vcpu->engine_data;

	ip->shadow = shadow & (BIT(0) | BIT(1));
	ip->nmi_blocked = shadow & BIT(2);
}

void interp_vcpu_open_window(struct gondola_vcpu *vcpu, bool interrupt, bool nmi)
{
	struct interp_vcpu *ip = vcpu->engine_data;

	ip->attention &= ~(INTERP_WINDOW | INTERP_NMI_WINDOW);
	ip->attention |= (interrupt ? INTERP_WINDOW : 0) | (nmi ? INTERP_NMI_WINDOW : 0);
}

/* ---- state ----------------------------------------------------------------------------- */

void interp_vcpu_get_segment(struct gondola_vcpu *vcpu, enum gondola_seg seg,
			     struct gondola_segment *out)
{
	struct interp_vcpu *ip = vcpu->engine_data;

	*out = ip->segment[seg];
}

void interp_vcpu_set_segment(struct gondola_vcpu *vcpu, enum gondola_seg seg,
			     const struct gondola_segment *in)
{
	struct interp_vcpu *ip = vcpu->engine_data;

	ip->segment[seg] = *in;
}

int interp_vcpu_get_cpl(struct gondola_vcpu *vcpu)
{
	return interp_cpl(vcpu->engine_data);
}

void interp_vcpu_get_dtable(struct gondola_vcpu *vcpu, bool idt, struct gondola_dtable *out)
{
	struct interp_vcpu *ip = vcpu->engine_data;

	*out = idt ? ip->idt : ip->gdt;
}

void interp_vcpu_set_dtable(struct gondola_vcpu *vcpu, bool idt, const struct gondola_dtable *in)
{
	struct interp_vcpu *ip = vcpu->engine_data;

	*(idt ? &ip->idt : &ip->gdt) = *in;
}

/* The TLB holds rights that depend on CR0, CR4 and EFER. */
void interp_vcpu_update_control(struct gondola_vcpu *vcpu)
{
	interp_flush(vcpu->engine_data);
}

int interp_vcpu_set_debug(struct gondola_vcpu *vcpu)
{
	struct interp_vcpu *ip = vcpu->engine_data;

	ip->emul.int3_fails = vcpu->breakpoints;
	return 0;
}

void interp_vcpu_set_dr7(struct gondola_vcpu *vcpu, u64 dr7)
{
	interp_set_breakpoints(vcpu->engine_data, dr7);
}

void interp_vcpu_set_tsc_offset(struct gondola_vcpu *vcpu)
{
}

u64 *interp_msr(struct interp_vcpu *ip, u32 index)
{
	switch (index) {
	case MSRX_FS_BASE:
		return &ip->segment[GONDOLA_FS].base;
	case MSRX_GS_BASE:
		return &ip->segment[GONDOLA_GS].base;
	case MSRX_KERNEL_GS_BASE:
		return &ip->kernel_gs_base;
	case MSRX_SYSENTER_CS:
		return &ip->sysenter_cs;
	case MSRX_SYSENTER_ESP:
		return &ip->sysenter_esp;
	case MSRX_SYSENTER_EIP:
		return &ip->sysenter_eip;
	case MSRX_STAR:
		return &ip->star;
	case MSRX_LSTAR:
		return &ip->lstar;
	case MSRX_CSTAR:
		return &ip->cstar;
	case MSRX_SFMASK:
		return &ip->sfmask;
	case MSRX_TSC_AUX:
		return &ip->tsc_aux;
	case MSRX_PAT:
		return &ip->pat;
	default:
		return NULL;
	}
}

int interp_vcpu_get_msr(struct gondola_vcpu *vcpu, u32 index, u64 *value)
{
	const u64 *msr = interp_msr(vcpu->engine_data, index);

	if (!msr)
		return -ENOENT;
	*value = *msr;
	return 0;
}

int interp_vcpu_set_msr(struct gondola_vcpu *vcpu, u32 index, u64 value)
{
	u64 *msr = interp_msr(vcpu->engine_data, index);

	if (!msr)
		return -ENOENT;
	*msr = value;
	return 0;
}

void interp_vcpu_flush_tlb(struct gondola_vcpu *vcpu)
{
	interp_flush(vcpu->engine_data);
}

void interp_vcpu_flush_gva(struct gondola_vcpu *vcpu, gva_t gva)
{
	interp_flush_page(vcpu->engine_data, gva);
}

const struct gondola_engine_ops gondola_interp_ops = {
	.id = GONDOLA_ENGINE_INTERP,
	.name = "interp",
	.probe = interp_probe,
	.cpuid = interp_processor_cpuid,
	.vcpu_create = interp_vcpu_create,
	.vcpu_destroy = interp_vcpu_destroy,
	.vcpu_load = interp_vcpu_load,
	.vcpu_put = interp_vcpu_put,
	.enter = interp_enter,
	.decode = interp_vcpu_decode,
	.inject = interp_vcpu_inject,
	.cancel_injection = interp_vcpu_cancel_injection,
	.get_shadow = interp_vcpu_get_shadow,
	.set_shadow = interp_vcpu_set_shadow,
	.open_window = interp_vcpu_open_window,
	.get_segment = interp_vcpu_get_segment,
	.set_segment = interp_vcpu_set_segment,
	.cpl = interp_vcpu_get_cpl,
	.get_dtable = interp_vcpu_get_dtable,
	.set_dtable = interp_vcpu_set_dtable,
	.update_control = interp_vcpu_update_control,
	.set_dr7 = interp_vcpu_set_dr7,
	.set_debug = interp_vcpu_set_debug,
	.set_tsc_offset = interp_vcpu_set_tsc_offset,
	.get_msr = interp_vcpu_get_msr,
	.set_msr = interp_vcpu_set_msr,
	.flush_tlb = interp_vcpu_flush_tlb,
	.flush_gva = interp_vcpu_flush_gva,
};
