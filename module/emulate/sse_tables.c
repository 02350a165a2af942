// SPDX-License-Identifier: GPL-2.0-only
/* The decode tables of MMX, SSE and SSE2.  Later extensions are left out. */
#include "tables.h"

/* By prefix: none, 66, F3, F2. */
#define SSE	(RM | WO | D_SSE)
#define SSE_A	(RM | WO | D_SSE | D_ALIGN)
#define SSE_RW	(RM | RW | D_SSE)
#define SSE_RWA	(RM | RW | D_SSE | D_ALIGN)

const struct gondola_insn_desc emul_sse_10[4] = {
	INSN(movx, Vx, Wx, SSE), INSN(movx, Vx, Wx, SSE),
	INSN(movx_low, Vx, Wd, SSE), INSN(movx_low, Vx, Wq, SSE),
};

const struct gondola_insn_desc emul_sse_11[4] = {
	INSN(movx, Wx, Vx, SSE), INSN(movx, Wx, Vx, SSE),
	INSN(movx_low, Wd, Vx, SSE), INSN(movx_low, Wq, Vx, SSE),
};

/* MOVLPS, MOVLPD; between registers MOVHLPS. */
static const struct gondola_insn_desc sse_12_mem[4] = {
	INSNX(movx_half, Vx, Mq, SSE, 0), INSNX(movx_half, Vx, Mq, SSE, 0),
};

static const struct gondola_insn_desc sse_12_reg[4] = {
	[0] = INSNX(movx_cross, Vx, Ux, SSE_RW, 0), [1] = UD,
};

const struct gondola_insn_desc emul_sse_12[16] = {
	[0 ... 7] = ROWS(D_BY_PREFIX, sse_12_mem),
	[8 ... 15] = ROWS(D_BY_PREFIX, sse_12_reg),
};

const struct gondola_insn_desc emul_sse_13[4] = {
	INSN(movx_low, Mq, Vq, SSE), INSN(movx_low, Mq, Vq, SSE), UD, UD,
};

static const struct gondola_insn_desc sse_16_mem[4] = {
	INSNX(movx_half, Vx, Mq, SSE, 1), INSNX(movx_half, Vx, Mq, SSE, 1),
};

static const struct gondola_insn_desc sse_16_reg[4] = {
	[0] = INSNX(movx_cross, Vx, Ux, SSE_RW, 1), [1] = UD,
};

const struct gondola_insn_desc emul_sse_16[16] = {
	[0 ... 7] = ROWS(D_BY_PREFIX, sse_16_mem),
	[8 ... 15] = ROWS(D_BY_PREFIX, sse_16_reg),
};

const struct gondola_insn_desc emul_sse_17[4] = {
	INSN(movx_store_high, Mq, Vx, SSE), INSN(movx_store_high, Mq, Vx, SSE), UD, UD,
};

const struct gondola_insn_desc emul_sse_28[4] = {
	INSN(movx, Vx, Wx, SSE_A), INSN(movx, Vx, Wx, SSE_A), UD, UD,
};

const struct gondola_insn_desc emul_sse_29[4] = {
	INSN(movx, Wx, Vx, SSE_A), INSN(movx, Wx, Vx, SSE_A), UD, UD,
};

const struct gondola_insn_desc emul_sse_2b[4] = {
	INSN(movx, Mx, Vx, SSE_A), INSN(movx, Mx, Vx, SSE_A), UD, UD,
};

/* Without a prefix the next rows are MMX. */
#define MMX	(RM | WO | D_MMX)
#define MMX_RW	(RM | RW | D_MMX)

const struct gondola_insn_desc emul_sse_6e[4] = {
	[0] = INSN(movq, Pq, Ey, MMX),
	[1] = INSN(movx, Vx, Ey, SSE),
};

const struct gondola_insn_desc emul_sse_6f[4] = {
	[0] = INSN(movq, Pq, Qq, MMX),
	[1] = INSN(movx, Vx, Wx, SSE_A),
	[2] = INSN(movx, Vx, Wx, SSE),
};

const struct gondola_insn_desc emul_sse_7e[4] = {
	[0] = INSN(movq, Ey, Pq, MMX),
	[1] = INSN(movx, Ey, Vx, SSE),
	[2] = INSN(movq, Vx, Wq, SSE),
};

const struct gondola_insn_desc emul_sse_7f[4] = {
	[0] = INSN(movq, Qq, Pq, MMX),
	[1] = INSN(movx, Wx, Vx, SSE_A),
	[2] = INSN(movx, Wx, Vx, SSE),
};

const struct gondola_insn_desc emul_sse_d6[4] = {
	[0] = UD,
	[1] = INSN(movq, Wq, Vx, SSE),
	/* MOVQ2DQ, MOVDQ2Q */
	[2] = INSN(movq, Vx, Nq, MMX),
	[3] = INSN(movq, Pq, Ux, MMX),
};

const struct gondola_insn_desc emul_sse_e7[4] = {
	[0] = INSN(movq, Mq, Pq, MMX),	/* MOVNTQ */
	[1] = INSN(movx, Mx, Vx, SSE_A),
};

const struct gondola_insn_desc emul_sse_f0[4] = {
	[3] = INSN(movx, Vx, Mx, SSE),
};

/* MASKMOVQ, MASKMOVDQU */
const struct gondola_insn_desc emul_sse_f7[4] = {
	[0] = INSN(maskmov, Nq, Pq, RM | RO | D_MMX), [1] = INSN(maskmov, Ux, Vx, RM | RO | D_SSE),
	[2 ... 3] = UD,
};

const struct gondola_insn_desc emul_sse_382a[4] = {
	[1] = INSN(movx, Vx, Mx, SSE_A),
};

/* Arithmetic: packed single and double, then scalars. */
const struct gondola_insn_desc emul_sse_float[4] = {
	INSN(sse_float, Vx, Wx, SSE_RWA), INSN(sse_float, Vx, Wx, SSE_RWA),
	INSN(sse_float, Vx, Wd, SSE_RW), INSN(sse_float, Vx, Wq, SSE_RW),
};

const struct gondola_insn_desc emul_sse_single[4] = {
	INSN(sse_float, Vx, Wx, SSE_RWA), UD, INSN(sse_float, Vx, Wd, SSE_RW), UD,
};

/* Bitwise, and UNPCK: no exceptions. */
const struct gondola_insn_desc emul_sse_packed[4] = {
	INSN(sse_int, Vx, Wx, SSE_RWA), INSN(sse_int, Vx, Wx, SSE_RWA), UD, UD,
};

const struct gondola_insn_desc emul_sse_int[4] = {
	INSN(mmx_int, Pq, Qq, MMX_RW), INSN(sse_int, Vx, Wx, SSE_RWA), UD, UD,
};

/* PUNPCKL of MMX reads only the half that it uses. */
const struct gondola_insn_desc emul_sse_unpack[4] = {
	INSN(mmx_int, Pq, Qd, MMX_RW), INSN(sse_int, Vx, Wx, SSE_RWA), UD, UD,
};

/* Of qwords: there is no MMX form. */
const struct gondola_insn_desc emul_sse_wide[4] = {
	UD, INSN(sse_int, Vx, Wx, SSE_RWA), UD, UD,
};

/* Conversions */
/* With a source in memory these do not touch MMX state. */
static const struct gondola_insn_desc sse_from_mmx[16] = {
	[0 ... 7] = INSN(sse_mmx, Vx, Mq, SSE_RW),
	[8 ... 15] = INSN(sse_mmx, Vx, Nq, SSE_RW | D_MMX),
};

const struct gondola_insn_desc emul_sse_2a[4] = {
	ROWS(D_BY_MOD, sse_from_mmx), ROWS(D_BY_MOD, sse_from_mmx),
	[2 ... 3] = INSN(sse_from_int, Vx, Ey, SSE_RW),
};

const struct gondola_insn_desc emul_sse_2c[4] = {
	INSN(sse_mmx, Pq, Wq, SSE | D_MMX), INSN(sse_mmx, Pq, Wx, SSE_A | D_MMX),
	[2] = INSN(sse_to_int, Gy, Wd, SSE), [3] = INSN(sse_to_int, Gy, Wq, SSE),
};

const struct gondola_insn_desc emul_sse_5a[4] = {
	INSN(sse_float, Vx, Wq, SSE_RW), INSN(sse_float, Vx, Wx, SSE_RWA),
	INSN(sse_float, Vx, Wd, SSE_RW), INSN(sse_float, Vx, Wq, SSE_RW),
};

const struct gondola_insn_desc emul_sse_5b[4] = {
	INSN(sse_float, Vx, Wx, SSE_RWA), INSN(sse_float, Vx, Wx, SSE_RWA),
	INSN(sse_float, Vx, Wx, SSE_RWA), UD,
};

const struct gondola_insn_desc emul_sse_e6[4] = {
	UD, INSN(sse_float, Vx, Wx, SSE_RWA), INSN(sse_float, Vx, Wq, SSE_RW),
	INSN(sse_float, Vx, Wx, SSE_RWA),
};

/* Comparisons */
const struct gondola_insn_desc emul_sse_2e[4] = {
	INSN(sse_flags, Vx, Wd, RM | RO | D_SSE), INSN(sse_flags, Vx, Wq, RM | RO | D_SSE), UD, UD,
};

const struct gondola_insn_desc emul_sse_c2[4] = {
	INSN3(sse_compare, Vx, Wx, Iub, SSE_RWA), INSN3(sse_compare, Vx, Wx, Iub, SSE_RWA),
	INSN3(sse_compare, Vx, Wd, Iub, SSE_RW), INSN3(sse_compare, Vx, Wq, Iub, SSE_RW),
};

/* Shuffles and shifts */
const struct gondola_insn_desc emul_sse_50[4] = {
	INSNX(movmsk, Gd, Ux, SSE, 4), INSNX(movmsk, Gd, Ux, SSE, 8), UD, UD,
};

const struct gondola_insn_desc emul_sse_d7[4] = {
	INSNX(movmsk, Gd, Nq, MMX, 1),
	[1] = INSNX(movmsk, Gd, Ux, SSE, 1), [2 ... 3] = UD,
};

const struct gondola_insn_desc emul_sse_70[4] = {
	[0] = INSN3(pshufw, Pq, Qq, Iub, MMX),
	[1] = INSN3(pshufd, Vx, Wx, Iub, SSE_A),
	[2] = ROW(pshufw, Vx, Wx, Iub, SSE_A, 1),
	[3] = ROW(pshufw, Vx, Wx, Iub, SSE_A, 0),
};

const struct gondola_insn_desc emul_sse_c4[4] = {
	INSN3(pinsrw, Pq, Ew, Iub, MMX_RW),
	[1] = INSN3(pinsrw, Vx, Ew, Iub, SSE_RW), [2 ... 3] = UD,
};

const struct gondola_insn_desc emul_sse_c5[4] = {
	INSN3(pextrw, Gd, Nq, Iub, MMX),
	[1] = INSN3(pextrw, Gd, Ux, Iub, SSE), [2 ... 3] = UD,
};

const struct gondola_insn_desc emul_sse_c6[4] = {
	INSN3(shufps, Vx, Wx, Iub, SSE_RWA), INSN3(shufpd, Vx, Wx, Iub, SSE_RWA), UD, UD,
};

/* By ModRM.reg: PSRL, PSRA, PSLL of words and dwords … */
#define SHIFTS(name, dst_, flags_) \
static const struct gondola_insn_desc name[8] = { \
	UD, UD, INSN(sse_shift, dst_, Iub, flags_), UD, INSN(sse_shift, dst_, Iub, flags_), UD, \
	INSN(sse_shift, dst_, Iub, flags_), UD, \
}

SHIFTS(shifts, Ux, SSE_RW);
SHIFTS(shifts_mmx, Nq, MMX_RW);

/* … of qwords, and PSRLDQ and PSLLDQ. */
static const struct gondola_insn_desc shifts_wide[8] = {
	UD, UD, INSN(sse_shift, Ux, Iub, SSE_RW), INSN(shift_bytes, Ux, Iub, SSE_RW), UD, UD,
	INSN(sse_shift, Ux, Iub, SSE_RW), INSN(shift_bytes, Ux, Iub, SSE_RW),
};

static const struct gondola_insn_desc shifts_wide_mmx[8] = {
	UD, UD, INSN(sse_shift, Nq, Iub, MMX_RW), UD, UD, UD, INSN(sse_shift, Nq, Iub, MMX_RW), UD,
};

const struct gondola_insn_desc emul_sse_71[4] = {
	ROWS(D_BY_REG, shifts_mmx), ROWS(D_BY_REG, shifts), UD, UD,
};

const struct gondola_insn_desc emul_sse_73[4] = {
	ROWS(D_BY_REG, shifts_wide_mmx), ROWS(D_BY_REG, shifts_wide), UD, UD,
};
