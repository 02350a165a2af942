// SPDX-License-Identifier: GPL-2.0-only
/* The FPU's state as a whole: FXSAVE, FXRSTOR, MXCSR, EMMS, XCR0. */
#include "insn.h"

#define FX_BYTES	512u
#define FX_LOADED	416u		/* beyond XMM15 it is reserved */
#define FSW_TOP_SHIFT	11
#define FX_XMM		160u
#define MXCSR_VALID	0xffffu		/* with DAZ, which all 64-bit processors have */

static int check_fx(struct gondola_emulator *e)
{
	if (e->ops->get_cr(e, 0) & (CR0_EM | CR0_TS))
		return emul_fault(e, VEC_NM);
	return e->fpu ? GONDOLA_EMUL_OK : GONDOLA_EMUL_UNKNOWN;
}

/* Outside of 64-bit mode there are eight XMM registers. */
static unsigned int fx_used(const struct gondola_emulator *e)
{
	return emul_long64(e) ? FX_LOADED : FX_XMM + 8 * 16;
}

static int fx_address(struct gondola_emulator *e, bool write, gva_t *la)
{
	int r = emul_linear(e, e->insn->seg, e->ea, FX_BYTES, write, la);

	return !r && *la & 15 ? emul_gp(e) : r;
}

static unsigned int to_page_end(gva_t la)
{
	return GONDOLA_PAGE_SIZE - (la & ~GONDOLA_PAGE_MASK);
}

/* Both pages are written, or neither. */
static int write_image(struct gondola_emulator *e, gva_t la, const u8 *image, unsigned int bytes)
{
	unsigned int here = to_page_end(la);
	int r;

	if (bytes <= here)
		return e->ops->write(e, la, image, bytes, false);
	r = e->ops->write(e, la + here, image, 0, false);
	if (!r)
		r = e->ops->write(e, la, image, here, false);
	return r ? r : e->ops->write(e, la + here, image + here, bytes - here, false);
}

static int read_image(struct gondola_emulator *e, gva_t la, u8 *image, unsigned int bytes)
{
	unsigned int here = to_page_end(la);
	int r;

	if (bytes <= here)
		return e->ops->read(e, la, image, bytes, false);
	r = e->ops->read(e, la, image, here, false);
	return r ? r : e->ops->read(e, la + here, image + here, bytes - here, false);
}

int emul_op_fxsave(struct gondola_emulator *e)
{
	struct gondola_fxsave *image = (void *)e->chunk;
	gva_t la;
	int r;

	r = check_fx(e);
	if (!r)
		r = fx_address(e, true, &la);
	if (r)
		return r;
	memcpy(image, e->fpu, FX_LOADED);
	image->pad = 0;
	image->mxcsr_mask = MXCSR_VALID;
	if (!(e->insn->rex & 8)) {
		/*
		 * Store pointers of 32 bits.  Today's processors store 0 for the selectors beside
		 * them.
		 */
		image->fip = (u32)image->fip;
		image->fdp = (u32)image->fdp;
	}
	return write_image(e, la, e->chunk, fx_used(e));
}

int emul_op_fxrstor(struct gondola_emulator *e)
{
	struct gondola_fxsave *image = (void *)e->chunk;
	gva_t la;
	int r;

	r = check_fx(e);
	if (!r)
		r = fx_address(e, false, &la);
	if (!r)
		r = read_image(e, la, e->chunk, fx_used(e));
	if (r)
		return r;
	if (image->mxcsr & ~MXCSR_VALID)
		return emul_gp(e);
	if (!(e->insn->rex & 8)) {
		image->fip = (u32)image->fip;
		image->fdp = (u32)image->fdp;
	}
	image->pad = 0;
	image->mxcsr_mask = MXCSR_VALID;
	gondola_x87_settle(image);
	memcpy(e->fpu, image, fx_used(e));
	return GONDOLA_EMUL_OK;
}

int emul_op_ldmxcsr(struct gondola_emulator *e)
{
	if (!e->fpu)
		return GONDOLA_EMUL_UNKNOWN;
	if (e->src.value & ~(u64)MXCSR_VALID)
		return emul_gp(e);
	e->fpu->mxcsr = e->src.value;
	return GONDOLA_EMUL_OK;
}

int emul_op_stmxcsr(struct gondola_emulator *e)
{
	if (!e->fpu)
		return GONDOLA_EMUL_UNKNOWN;
	e->dst.value = e->fpu->mxcsr;
	return GONDOLA_EMUL_OK;
}

/* st[] starts at the top of the stack: with another TOP the registers are rotated in it. */
static void top_to_zero(struct gondola_fxsave *fpu)
{
	unsigned int top = fpu->fsw >> FSW_TOP_SHIFT & 7, i;
	u8 st[8][16];

	memcpy(st, fpu->st, sizeof(st));
	for (i = 0; i < 8; i++)
		memcpy(fpu->st[(i + top) & 7], st[i], 16);
	fpu->fsw &= ~(7u << FSW_TOP_SHIFT);
}

int emul_check_mmx(struct gondola_emulator *e)
{
	u64 cr0 = e->ops->get_cr(e, 0);

	if (cr0 & CR0_EM)
		return emul_fault(e, VEC_UD);
	if (cr0 & CR0_TS)
		return emul_fault(e, VEC_NM);
	if (!e->fpu)
		return GONDOLA_EMUL_UNKNOWN;
	return gondola_x87_pending(e->fpu) ? emul_fault(e, VEC_MF) : GONDOLA_EMUL_OK;
}

/* An MMX register is part of a physical register; the top of the stack does not matter. */
u64 emul_read_mmx(const struct gondola_emulator *e, unsigned int reg)
{
	unsigned int top = e->fpu->fsw >> FSW_TOP_SHIFT & 7;
	u64 value;

	memcpy(&value, e->fpu->st[(reg - top) & 7], 8);
	return value;
}

void emul_begin_mmx(struct gondola_emulator *e)
{
	top_to_zero(e->fpu);
	e->fpu->tag = 0xff;
}

/* Sign and exponent become all ones: to the x87 this is not a number. */
void emul_write_mmx(struct gondola_emulator *e, unsigned int reg, u64 value)
{
	memcpy(e->fpu->st[reg], &value, 8);
	memset(e->fpu->st[reg] + 8, 0xff, 2);
}

int emul_op_emms(struct gondola_emulator *e)
{
	int r = emul_check_mmx(e);

	if (r)
		return r;
	top_to_zero(e->fpu);
	e->fpu->tag = 0;
	return GONDOLA_EMUL_OK;
}

static bool has_xcr(struct gondola_emulator *e)
{
	return e->ops->get_xcr && e->ops->get_cr(e, 4) & CR4_OSXSAVE;
}

int emul_op_xgetbv(struct gondola_emulator *e)
{
	u64 value;
	int r;

	if (!has_xcr(e))
		return emul_fault(e, VEC_UD);
	r = e->ops->get_xcr(e, e->regs->gpr[R_RCX], &value);
	if (r)
		return r;
	e->regs->gpr[R_RAX] = (u32)value;
	e->regs->gpr[R_RDX] = value >> 32;
	return GONDOLA_EMUL_OK;
}

int emul_op_xsetbv(struct gondola_emulator *e)
{
	u64 *gpr = e->regs->gpr;

	if (!has_xcr(e))
		return emul_fault(e, VEC_UD);
	return e->ops->set_xcr(e, gpr[R_RCX], (u32)gpr[R_RAX] | gpr[R_RDX] << 32);
}
