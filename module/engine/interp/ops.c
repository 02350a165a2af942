// SPDX-License-Identifier: GPL-2.0-only
/*
 * The interpreter's accesses.  Registers, and memory that the shadow maps, are accessed at once.
 * Every other access leaves the guest with nothing done.
 */
#include <linux/atomic.h>
#include <linux/string.h>
#include "interp.h"
#include "host/fpu.h"
#include "irq/irq.h"
#include "x86/control.h"

static u32 as_user(const struct gondola_emulator *e, bool system)
{
	return e->cpl == 3 && !system ? PFEC_U : 0;
}

static unsigned int to_page_end(gva_t la)
{
	return GONDOLA_PAGE_SIZE - (la & ~GONDOLA_PAGE_MASK);
}

/* The address @here bytes behind @la: outside 64-bit mode addresses wrap. */
static gva_t next_page(const struct gondola_emulator *e, gva_t la, unsigned int here)
{
	return e->mode == GONDOLA_EMUL_LONG64 ? la + here : (u32)(la + here);
}

/* ---- memory ---------------------------------------------------------------- */

/* Access memory in one piece where the processor does, since others use the same memory. */
static void copy_in(void *to, const u8 *from, unsigned int bytes)
{
	switch (bytes) {
	case 1:
		*(u8 *)to = READ_ONCE(*from);
		break;
	case 2:
		*(u16 *)to = READ_ONCE(*(u16 *)from);
		break;
	case 4:
		*(u32 *)to = READ_ONCE(*(u32 *)from);
		break;
	case 8:
		*(u64 *)to = READ_ONCE(*(u64 *)from);
		break;
	default:
		memcpy(to, from, bytes);
	}
}

static void copy_out(u8 *to, const void *from, unsigned int bytes)
{
	switch (bytes) {
	case 1:
		WRITE_ONCE(*to, *(u8 *)from);
		break;
	case 2:
		WRITE_ONCE(*(u16 *)to, *(u16 *)from);
		break;
	case 4:
		WRITE_ONCE(*(u32 *)to, *(u32 *)from);
		break;
	case 8:
		WRITE_ONCE(*(u64 *)to, *(u64 *)from);
		break;
	default:
		memcpy(to, from, bytes);
	}
}

static int op_fetch(struct gondola_emulator *e, gva_t la, void *buf, unsigned int bytes,
		    unsigned int *got)
{
	const u8 *code = interp_code(to_interp_vcpu(e), la);

	if (unlikely(!code))
		return GONDOLA_EMUL_RETRY;
	*got = min(bytes, to_page_end(la));
	memcpy(buf, code, *got);
	return GONDOLA_EMUL_OK;
}

static int op_read(struct gondola_emulator *e, gva_t la, void *buf, unsigned int bytes, bool system)
{
	struct interp_vcpu *ip = to_interp_vcpu(e);
	unsigned int here = to_page_end(la);
	u32 access = as_user(e, system);
	const u8 *first, *second;

	if (unlikely(ip->attention & INTERP_WATCHES))
		interp_watch(ip, la, bytes, false);
	first = interp_translate(ip, la, access);
	if (unlikely(!first))
		return GONDOLA_EMUL_RETRY;
	if (likely(bytes <= here)) {
		copy_in(buf, first, bytes);
		return GONDOLA_EMUL_OK;
	}
	second = interp_translate(ip, next_page(e, la, here), access);
	if (unlikely(!second))
		return GONDOLA_EMUL_RETRY;
	memcpy(buf, first, here);
	memcpy(buf + here, second, bytes - here);
	return GONDOLA_EMUL_OK;
}

static int op_write(struct gondola_emulator *e, gva_t la, const void *buf, unsigned int bytes,
		    bool system)
{
	struct interp_vcpu *ip = to_interp_vcpu(e);
	u32 access = as_user(e, system) | PFEC_W;
	unsigned int here = to_page_end(la);
	u8 *first, *second;

	if (unlikely(ip->attention & INTERP_WATCHES) && bytes)
		interp_watch(ip, la, bytes, true);
	first = interp_translate(ip, la, access);
	if (unlikely(!first))
		return GONDOLA_EMUL_RETRY;
	if (likely(bytes <= here)) {
		if (likely(bytes))
			copy_out(first, buf, bytes);
		return GONDOLA_EMUL_OK;
	}
	/* Both or neither. */
	second = interp_translate(ip, next_page(e, la, here), access);
	if (unlikely(!second))
		return GONDOLA_EMUL_RETRY;
	memcpy(first, buf, here);
	memcpy(second, buf + here, bytes - here);
	return GONDOLA_EMUL_OK;
}

#define EXCHANGE(type)	(*(type *)old = cmpxchg((type *)data, *(type *)old, *(const type *)new))

static void exchange16(u8 *data, u64 *old, const u64 *new)
{
	asm volatile("lock cmpxchg16b %0"
		     : "+m" (*(unsigned __int128 *)data), "+a" (old[0]), "+d" (old[1])
		     : "b" (new[0]), "c" (new[1]) : "cc", "memory");
}

static int op_cmpxchg(struct gondola_emulator *e, gva_t la, void *old, const void *new,
		      unsigned int bytes)
{
	struct interp_vcpu *ip = to_interp_vcpu(e);
	u8 *data;

	/* Leave locks across cache lines to the emulator outside. */
	if (unlikely(la & (bytes - 1)))
		return interp_leave(ip, GONDOLA_REASON_INTERPRET);
	if (unlikely(ip->attention & INTERP_WATCHES))
		interp_watch(ip, la, bytes, true);
	data = interp_translate(ip, la, as_user(e, false) | PFEC_W);
	if (unlikely(!data))
		return GONDOLA_EMUL_RETRY;
	switch (bytes) {
	case 1:
		EXCHANGE(u8);
		break;
	case 2:
		EXCHANGE(u16);
		break;
	case 4:
		EXCHANGE(u32);
		break;
	case 8:
		EXCHANGE(u64);
		break;
	default:
		exchange16(data, old, new);
	}
	return GONDOLA_EMUL_OK;
}

/* ---- what leaves ------------------------------------------------------------- */

/* Leave for an instruction that the caller completes; it needs the length. */
static int leave_whole(struct gondola_emulator *e, u32 reason)
{
	int r = interp_leave(to_interp_vcpu(e), reason);

	to_interp_vcpu(e)->exit.insn_len = e->insn->len;
	return r;
}

static int op_io(struct gondola_emulator *e, u16 port, unsigned int width, bool in, void *buf,
		 unsigned int count, unsigned int *done)
{
	struct gondola_exit *exit = &to_interp_vcpu(e)->exit;
	u8 opcode = e->insn->opcode;

	exit->io.port = port;
	exit->io.width = width;
	exit->io.in = in;
	exit->io.string = opcode >= 0x6c && opcode <= 0x6f;	/* INS, OUTS */
	return leave_whole(e, GONDOLA_REASON_IO);
}

static int op_set_cr(struct gondola_emulator *e, unsigned int cr, u64 value)
{
	static const u32 reasons[] = {
		[0] = GONDOLA_REASON_CR0_WRITE, [3] = GONDOLA_REASON_CR3_WRITE,
		[4] = GONDOLA_REASON_CR4_WRITE, [8] = GONDOLA_REASON_CR8_WRITE,
	};
	struct gondola_exit *exit = &to_interp_vcpu(e)->exit;
	const struct gondola_insn *insn = e->insn;

	if (cr == 2) {
		to_interp_vcpu(e)->vcpu->cr2 = value;
		return GONDOLA_EMUL_OK;
	}
	if (cr >= ARRAY_SIZE(reasons) || !reasons[cr])
		return interp_leave(to_interp_vcpu(e), GONDOLA_REASON_INTERPRET);
	exit->cr.cr = cr;
	exit->cr.write = true;
	exit->cr.lmsw = false;
	exit->cr.clts = insn->opcode_map == 2 && insn->opcode == 0x06;
	/* MOV only; LMSW is left to the emulator outside. */
	exit->cr.decoded = insn->opcode_map == 2 && insn->opcode == 0x22;
	exit->cr.gpr = (insn->modrm & 7) | (insn->rex & 1) << 3;
	return leave_whole(e, reasons[cr]);
}

static int op_dr(struct gondola_emulator *e)
{
	to_interp_vcpu(e)->exit.cr.decoded = false;
	return leave_whole(e, GONDOLA_REASON_DR_ACCESS);
}

static int op_get_dr(struct gondola_emulator *e, unsigned int dr, u64 *value)
{
	return op_dr(e);
}

static int op_set_dr(struct gondola_emulator *e, unsigned int dr, u64 value)
{
	return op_dr(e);
}

static int op_cpuid(struct gondola_emulator *e, u32 *eax, u32 *ebx, u32 *ecx, u32 *edx)
{
	return leave_whole(e, GONDOLA_REASON_CPUID);
}

static int op_invlpg(struct gondola_emulator *e, gva_t la)
{
	to_interp_vcpu(e)->exit.invlpg.gva = la;
	to_interp_vcpu(e)->exit.invlpg.decoded = true;
	return leave_whole(e, GONDOLA_REASON_INVLPG);
}

static int op_hlt(struct gondola_emulator *e)
{
	return leave_whole(e, GONDOLA_REASON_HLT);
}

static int op_wbinvd(struct gondola_emulator *e)
{
	return leave_whole(e, GONDOLA_REASON_CACHE);
}

static int op_hypercall(struct gondola_emulator *e)
{
	return leave_whole(e, GONDOLA_REASON_HYPERCALL);
}

/* A paravirtualized guest has no SYSCALL of its own: its monitor answers. */
static int op_syscall(struct gondola_emulator *e)
{
	return to_interp_vcpu(e)->vcpu->xen ? leave_whole(e, GONDOLA_REASON_SYSCALL) : GONDOLA_EMUL_OK;
}

/* ---- registers --------------------------------------------------------------- */

static void op_get_segment(struct gondola_emulator *e, enum gondola_seg seg,
			   struct gondola_segment *out)
{
	*out = to_interp_vcpu(e)->segment[seg];
}

static void op_set_segment(struct gondola_emulator *e, enum gondola_seg seg,
			   const struct gondola_segment *in)
{
	struct interp_vcpu *ip = to_interp_vcpu(e);

	ip->segment[seg] = *in;
	if (seg == GONDOLA_CS || seg == GONDOLA_SS)
		ip->attention |= INTERP_MODE;
}

static void op_get_dtable(struct gondola_emulator *e, bool idt, struct gondola_dtable *out)
{
	*out = idt ? to_interp_vcpu(e)->idt : to_interp_vcpu(e)->gdt;
}

static void op_set_dtable(struct gondola_emulator *e, bool idt, const struct gondola_dtable *in)
{
	*(idt ? &to_interp_vcpu(e)->idt : &to_interp_vcpu(e)->gdt) = *in;
}

static u64 op_get_cr(struct gondola_emulator *e, unsigned int cr)
{
	u64 value = 0;

	gondola_get_cr(to_interp_vcpu(e)->vcpu, cr, &value);
	return value;
}

static int op_get_msr(struct gondola_emulator *e, u32 index, u64 *value)
{
	struct interp_vcpu *ip = to_interp_vcpu(e);
	const u64 *msr;

	switch (index) {
	case MSRX_TSC:
		*value = gondola_guest_tsc(ip->vcpu);
		return GONDOLA_EMUL_OK;
	case MSRX_EFER:
		*value = ip->vcpu->efer;
		return GONDOLA_EMUL_OK;
	}
	msr = interp_msr(ip, index);
	if (!msr)
		return leave_whole(e, GONDOLA_REASON_MSR_READ);
	*value = *msr;
	return GONDOLA_EMUL_OK;
}

static int op_set_msr(struct gondola_emulator *e, u32 index, u64 value)
{
	struct interp_vcpu *ip = to_interp_vcpu(e);

	switch (index) {
	case MSRX_FS_BASE:
	case MSRX_GS_BASE:
	case MSRX_KERNEL_GS_BASE:
		if ((u64)((s64)(value << 16) >> 16) != value)
			break;	/* refused outside */
		*interp_msr(ip, index) = value;
		return GONDOLA_EMUL_OK;
	}
	return leave_whole(e, GONDOLA_REASON_MSR_WRITE);
}

static void op_iret(struct gondola_emulator *e)
{
	to_interp_vcpu(e)->nmi_blocked = false;
}

static void op_get_xmm(struct gondola_emulator *e, unsigned int n, void *buf)
{
	memcpy(buf, e->fpu->xmm[n], sizeof(e->fpu->xmm[n]));
}

static void op_set_xmm(struct gondola_emulator *e, unsigned int n, const void *buf)
{
	memcpy(e->fpu->xmm[n], buf, sizeof(e->fpu->xmm[n]));
}

static void op_fpu_begin(struct gondola_emulator *e)
{
	gondola_host_fpu_begin();
}

static void op_fpu_end(struct gondola_emulator *e)
{
	gondola_host_fpu_end();
}

const struct gondola_emul_ops interp_ops = {
	.fetch = op_fetch,
	.read = op_read,
	.write = op_write,
	.cmpxchg = op_cmpxchg,
	.io = op_io,
	.get_segment = op_get_segment,
	.set_segment = op_set_segment,
	.get_dtable = op_get_dtable,
	.set_dtable = op_set_dtable,
	.get_cr = op_get_cr,
	.set_cr = op_set_cr,
	.get_dr = op_get_dr,
	.set_dr = op_set_dr,
	.get_msr = op_get_msr,
	.set_msr = op_set_msr,
	.cpuid = op_cpuid,
	.invlpg = op_invlpg,
	.hlt = op_hlt,
	.wbinvd = op_wbinvd,
	.get_xmm = op_get_xmm,
	.set_xmm = op_set_xmm,
	.iret = op_iret,
	.hypercall = op_hypercall,
	.syscall = op_syscall,
	.fpu_begin = op_fpu_begin,
	.fpu_end = op_fpu_end,
};
