/* SPDX-License-Identifier: GPL-2.0-only */
/* Macros for the rows of the decode tables. */
#ifndef GONDOLA_EMULATE_TABLES_H
#define GONDOLA_EMULATE_TABLES_H

#include "insn.h"

#define IS_IMM(operand)		(((operand) & O_MASK) >= O_IMM)
#define ROW(handler, dst_, src_, src2_, flags_, arg_) { \
	.run = emul_op_##handler, .dst = (dst_), .src = (src_), .src2 = (src2_), \
	.arg = (arg_), .flags = (flags_) | \
		(IS_IMM(dst_) || IS_IMM(src_) || IS_IMM(src2_) ? D_IMM : 0), \
}
#define INSN(handler, dst, src, flags)		ROW(handler, dst, src, 0, flags, 0)
#define INSN3(handler, dst, src, src2, flags)	ROW(handler, dst, src, src2, flags, 0)
#define INSNX(handler, dst, src, flags, arg)	ROW(handler, dst, src, 0, flags, arg)
#define ROWS(by, table)		{ .rows = (table), .flags = (by) }
#define PREFIX(class)		{ .flags = D_PREFIX, .arg = (class) }
#define SEGMENT(seg)		{ .flags = D_PREFIX, .arg = P_SEG, .src = (seg) }
#define UD			{ .flags = D_UD }

/* Operands, as the manuals write them. */
#define Eb	(O_E | S_B)
#define Ew	(O_E | S_2)
#define Ed	(O_E | S_4)
#define Ev	(O_E | S_V)
#define Ey	(O_E | S_Y)
#define En	(O_E | S_N)
#define Gw	(O_G | S_2)
#define Gd	(O_G | S_4)
#define Gn	(O_G | S_N)
#define Gb	(O_G | S_B)
#define Gv	(O_G | S_V)
#define Gy	(O_G | S_Y)
#define Mv	(O_M | S_V)
#define My	(O_M | S_Y)
#define Mb	(O_M | S_B)
#define Mw	(O_M | S_2)
#define Md	(O_M | S_4)
#define Mq	(O_M | S_8)
#define Mx	(O_M | S_16)
#define Ry	(O_R | S_Y)
#define Rn	(O_R | S_N)
#define Zv	(O_Z | S_V)
#define Zb	(O_Z | S_B)
#define AL	(O_A | S_B)
#define Av	(O_A | S_V)
#define CL	(O_C | S_B)
#define DX	(O_D | S_2)
#define Dv	(O_D | S_V)
#define One	(O_ONE | S_B)
#define Sw	(O_SEG | S_2)
#define Cn	(O_CR | S_N)
#define Dn	(O_DR | S_N)
#define Vx	(O_V | S_16)
#define Vq	(O_V | S_8)
#define Ux	(O_U | S_16)
#define Wx	(O_W | S_16)
#define Wd	(O_W | S_4)
#define Wq	(O_W | S_8)
#define Pq	(O_P | S_8)
#define Qq	(O_Q | S_8)
#define Qd	(O_Q | S_4)
#define Nq	(O_N | S_8)
#define Ib	(O_IMM | S_B)
#define Iub	(O_IMMU | S_B)
#define Iuw	(O_IMMU | S_2)
#define Iz	(O_IMM | S_V)
#define Iv	(O_IMM64 | S_V)
#define Ob	(O_MOFFS | S_B)
#define Ov	(O_MOFFS | S_V)
#define Ap	(O_FAR | S_V)

#define RM	D_MODRM
#define WO	D_WRITE
#define RW	(D_READ | D_WRITE)
#define RO	D_READ

/* sse_tables.c: by prefix, or by ModRM */
extern const struct gondola_insn_desc emul_sse_10[4];
extern const struct gondola_insn_desc emul_sse_11[4];
extern const struct gondola_insn_desc emul_sse_12[16];
extern const struct gondola_insn_desc emul_sse_13[4];
extern const struct gondola_insn_desc emul_sse_16[16];
extern const struct gondola_insn_desc emul_sse_17[4];
extern const struct gondola_insn_desc emul_sse_28[4];
extern const struct gondola_insn_desc emul_sse_29[4];
extern const struct gondola_insn_desc emul_sse_2a[4];
extern const struct gondola_insn_desc emul_sse_2b[4];
extern const struct gondola_insn_desc emul_sse_2c[4];
extern const struct gondola_insn_desc emul_sse_2e[4];
extern const struct gondola_insn_desc emul_sse_382a[4];
extern const struct gondola_insn_desc emul_sse_50[4];
extern const struct gondola_insn_desc emul_sse_5a[4];
extern const struct gondola_insn_desc emul_sse_5b[4];
extern const struct gondola_insn_desc emul_sse_6e[4];
extern const struct gondola_insn_desc emul_sse_6f[4];
extern const struct gondola_insn_desc emul_sse_70[4];
extern const struct gondola_insn_desc emul_sse_71[4];
extern const struct gondola_insn_desc emul_sse_73[4];
extern const struct gondola_insn_desc emul_sse_7e[4];
extern const struct gondola_insn_desc emul_sse_7f[4];
extern const struct gondola_insn_desc emul_sse_c2[4];
extern const struct gondola_insn_desc emul_sse_c4[4];
extern const struct gondola_insn_desc emul_sse_c5[4];
extern const struct gondola_insn_desc emul_sse_c6[4];
extern const struct gondola_insn_desc emul_sse_d6[4];
extern const struct gondola_insn_desc emul_sse_d7[4];
extern const struct gondola_insn_desc emul_sse_e6[4];
extern const struct gondola_insn_desc emul_sse_e7[4];
extern const struct gondola_insn_desc emul_sse_f0[4];
extern const struct gondola_insn_desc emul_sse_f7[4];
extern const struct gondola_insn_desc emul_sse_float[4];
extern const struct gondola_insn_desc emul_sse_int[4];
extern const struct gondola_insn_desc emul_sse_packed[4];
extern const struct gondola_insn_desc emul_sse_single[4];
extern const struct gondola_insn_desc emul_sse_unpack[4];
extern const struct gondola_insn_desc emul_sse_wide[4];

#endif
