// SPDX-License-Identifier: GPL-2.0-only
/*
 * The decode tables.  A row left out is an instruction that is not implemented; UD is one that the
 * architecture leaves undefined.
 */
#include "tables.h"

/* Six forms of an arithmetic instruction. */
#define ALU(at, handler, access, lock) \
	[(at)] = INSN(handler, Eb, Gb, RM | (access) | (lock)), \
	[(at) + 1] = INSN(handler, Ev, Gv, RM | (access) | (lock)), \
	[(at) + 2] = INSN(handler, Gb, Eb, RM | (access)), \
	[(at) + 3] = INSN(handler, Gv, Ev, RM | (access)), \
	[(at) + 4] = INSN(handler, AL, Ib, access), \
	[(at) + 5] = INSN(handler, Av, Iz, access)

#define GROUP1(name, dst_, src_, extra) \
static const struct gondola_insn_desc name[8] = { \
	INSN(add, dst_, src_, RM | RW | D_LOCK | (extra)), \
	INSN(or, dst_, src_, RM | RW | D_LOCK | (extra)), \
	INSN(adc, dst_, src_, RM | RW | D_LOCK | (extra)), \
	INSN(sbb, dst_, src_, RM | RW | D_LOCK | (extra)), \
	INSN(and, dst_, src_, RM | RW | D_LOCK | (extra)), \
	INSN(sub, dst_, src_, RM | RW | D_LOCK | (extra)), \
	INSN(xor, dst_, src_, RM | RW | D_LOCK | (extra)), \
	INSN(cmp, dst_, src_, RM | RO | (extra)), \
}

GROUP1(group1_eb_ib, Eb, Ib, 0);
GROUP1(group1_ev_iz, Ev, Iz, 0);
GROUP1(group1_eb_ib_no64, Eb, Ib, D_NO64);
GROUP1(group1_ev_ib, Ev, Ib, 0);

static const struct gondola_insn_desc group1a[8] = {
	INSN(pop, Ev, 0, RM | WO | D_DEF64 | D_POP_EA), UD, UD, UD, UD, UD, UD, UD,
};

#define GROUP2(name, dst_, src_) \
static const struct gondola_insn_desc name[8] = { \
	INSN(rol, dst_, src_, RM | RW), INSN(ror, dst_, src_, RM | RW), \
	INSN(rcl, dst_, src_, RM | RW), INSN(rcr, dst_, src_, RM | RW), \
	INSN(shl, dst_, src_, RM | RW), INSN(shr, dst_, src_, RM | RW), \
	INSN(shl, dst_, src_, RM | RW), INSN(sar, dst_, src_, RM | RW), \
}

GROUP2(group2_eb_ib, Eb, Iub);
GROUP2(group2_ev_ib, Ev, Iub);
GROUP2(group2_eb_1, Eb, One);
GROUP2(group2_ev_1, Ev, One);
GROUP2(group2_eb_cl, Eb, CL);
GROUP2(group2_ev_cl, Ev, CL);

#define GROUP3(name, dst_, src_) \
static const struct gondola_insn_desc name[8] = { \
	INSN(test, dst_, src_, RM | RO), INSN(test, dst_, src_, RM | RO), \
	INSN(not, dst_, 0, RM | RW | D_LOCK), INSN(neg, dst_, 0, RM | RW | D_LOCK), \
	INSN(mul, dst_, 0, RM | RO), INSN(imul, dst_, 0, RM | RO), \
	INSN(div, dst_, 0, RM | RO), INSN(idiv, dst_, 0, RM | RO), \
}

GROUP3(group3_eb, Eb, Ib);
GROUP3(group3_ev, Ev, Iz);

static const struct gondola_insn_desc group4[8] = {
	INSN(inc, Eb, 0, RM | RW | D_LOCK), INSN(dec, Eb, 0, RM | RW | D_LOCK),
	UD, UD, UD, UD, UD, UD,
};

static const struct gondola_insn_desc group5[8] = {
	[0] = INSN(inc, Ev, 0, RM | RW | D_LOCK),
	[1] = INSN(dec, Ev, 0, RM | RW | D_LOCK),
	[2] = INSN(call_abs, 0, Ev, RM | D_FORCE64),
	[3] = INSN(call_far_mem, Mb, 0, RM | D_NOREAD),
	[4] = INSN(jmp_abs, 0, Ev, RM | D_FORCE64),
	[5] = INSN(jmp_far_mem, Mb, 0, RM | D_NOREAD),
	[6] = INSN(push, 0, Ev, RM | D_DEF64),
	[7] = UD,
};

/* /7 with ModRM f8 is XABORT and XBEGIN, which no guest's CPUID offers. */
static const struct gondola_insn_desc group11_eb[8] = {
	INSN(mov, Eb, Ib, RM | WO), UD, UD, UD, UD, UD, UD, UD,
};

static const struct gondola_insn_desc group11_ev[8] = {
	INSN(mov, Ev, Iz, RM | WO), UD, UD, UD, UD, UD, UD, UD,
};

/* 2 bytes in memory, the operand size in a register. */
static const struct gondola_insn_desc mov_ev_sw[16] = {
	[0 ... 7] = INSN(mov_from_seg, Ew, Sw, RM | WO),
	[8 ... 15] = INSN(mov_from_seg, Ev, Sw, RM | WO),
};

/* By mode: in 64-bit mode these are VEX and EVEX, which are not implemented. */
static const struct gondola_insn_desc map1_62[2] = {
	[0] = INSN(bound, Gv, Mv, RM | D_NOREAD),
};

static const struct gondola_insn_desc map1_63[2] = {
	INSN(arpl, Ew, Gw, RM | RW | D_PROT), INSN(movsxd, Gv, Ed, RM | WO),
};

static const struct gondola_insn_desc map1_c4[2] = {
	[0] = INSNX(load_far, Gv, Mb, RM | WO | D_NOREAD, GONDOLA_ES),
};

static const struct gondola_insn_desc map1_c5[2] = {
	[0] = INSNX(load_far, Gv, Mb, RM | WO | D_NOREAD, GONDOLA_DS),
};

#define CC16(at, ...)	[(at) ... (at) + 15] = INSN(__VA_ARGS__)

const struct gondola_insn_desc emul_map1[256] = {
	ALU(0x00, add, RW, D_LOCK),
	[0x06] = INSNX(push_seg, 0, 0, D_NO64, GONDOLA_ES),
	[0x07] = INSNX(pop_seg, 0, 0, D_NO64, GONDOLA_ES),
	ALU(0x08, or, RW, D_LOCK),
	[0x0e] = INSNX(push_seg, 0, 0, D_NO64, GONDOLA_CS),
	ALU(0x10, adc, RW, D_LOCK),
	[0x16] = INSNX(push_seg, 0, 0, D_NO64, GONDOLA_SS),
	[0x17] = INSNX(pop_seg, 0, 0, D_NO64, GONDOLA_SS),
	ALU(0x18, sbb, RW, D_LOCK),
	[0x1e] = INSNX(push_seg, 0, 0, D_NO64, GONDOLA_DS),
	[0x1f] = INSNX(pop_seg, 0, 0, D_NO64, GONDOLA_DS),
	ALU(0x20, and, RW, D_LOCK),
	[0x26] = SEGMENT(GONDOLA_ES),
	[0x27] = INSN(daa, 0, 0, D_NO64),
	ALU(0x28, sub, RW, D_LOCK),
	[0x2e] = SEGMENT(GONDOLA_CS),
	[0x2f] = INSN(daa, 0, 0, D_NO64),
	ALU(0x30, xor, RW, D_LOCK),
	[0x36] = SEGMENT(GONDOLA_SS),
	[0x37] = INSN(aaa, 0, 0, D_NO64),
	ALU(0x38, cmp, RO, 0),
	[0x3e] = SEGMENT(GONDOLA_DS),
	[0x3f] = INSN(aaa, 0, 0, D_NO64),
	/* In 64-bit mode 40 … 4f are REX. */
	[0x40 ... 0x47] = INSN(inc, Zv, 0, RW),
	[0x48 ... 0x4f] = INSN(dec, Zv, 0, RW),
	[0x50 ... 0x57] = INSN(push, 0, Zv, D_DEF64),
	[0x58 ... 0x5f] = INSN(pop, Zv, 0, WO | D_DEF64),
	[0x60] = INSN(pusha, 0, 0, D_NO64),
	[0x61] = INSN(popa, 0, 0, D_NO64),
	[0x62] = ROWS(D_BY_64, map1_62),
	[0x63] = ROWS(D_BY_64, map1_63),
	[0x64] = SEGMENT(GONDOLA_FS),
	[0x65] = SEGMENT(GONDOLA_GS),
	[0x66] = PREFIX(P_OPSIZE),
	[0x67] = PREFIX(P_ADDRSIZE),
	[0x68] = INSN(push, 0, Iz, D_DEF64),
	[0x69] = INSN3(imul2, Gv, Ev, Iz, RM | WO),
	[0x6a] = INSN(push, 0, Ib, D_DEF64),
	[0x6b] = INSN3(imul2, Gv, Ev, Ib, RM | WO),
	[0x6c ... 0x6d] = INSN(ins, 0, 0, 0),
	[0x6e ... 0x6f] = INSN(outs, 0, 0, 0),
	CC16(0x70, jcc, 0, Ib, D_FORCE64),
	[0x80] = ROWS(D_BY_REG, group1_eb_ib),
	[0x81] = ROWS(D_BY_REG, group1_ev_iz),
	[0x82] = ROWS(D_BY_REG, group1_eb_ib_no64),
	[0x83] = ROWS(D_BY_REG, group1_ev_ib),
	[0x84] = INSN(test, Eb, Gb, RM | RO),
	[0x85] = INSN(test, Ev, Gv, RM | RO),
	[0x86] = INSN(xchg, Eb, Gb, RM | RW | D_WRITE_SRC | D_LOCK | D_LOCKED),
	[0x87] = INSN(xchg, Ev, Gv, RM | RW | D_WRITE_SRC | D_LOCK | D_LOCKED),
	[0x88] = INSN(mov, Eb, Gb, RM | WO),
	[0x89] = INSN(mov, Ev, Gv, RM | WO),
	[0x8a] = INSN(mov, Gb, Eb, RM | WO),
	[0x8b] = INSN(mov, Gv, Ev, RM | WO),
	[0x8c] = ROWS(D_BY_MOD, mov_ev_sw),
	[0x8d] = INSN(lea, Gv, Mv, RM | WO | D_NOREAD),
	[0x8e] = INSN(mov_to_seg, Sw, Ew, RM),
	[0x8f] = ROWS(D_BY_REG, group1a),
	[0x90] = INSN(xchg_or_nop, Zv, Av, RW | D_WRITE_SRC),
	[0x91 ... 0x97] = INSN(xchg, Zv, Av, RW | D_WRITE_SRC),
	[0x98] = INSN(cbw, Av, 0, RW),
	[0x99] = INSN(cwd, Dv, Av, WO),
	[0x9a] = INSN(call_far, 0, Ap, D_NO64),
	[0x9b] = INSN(fwait, 0, 0, 0),
	[0x9c] = INSN(pushf, 0, 0, D_DEF64),
	[0x9d] = INSN(popf, 0, 0, D_DEF64),
	[0x9e] = INSN(sahf, 0, 0, 0),
	[0x9f] = INSN(lahf, 0, 0, 0),
	[0xa0] = INSN(mov, AL, Ob, WO),
	[0xa1] = INSN(mov, Av, Ov, WO),
	[0xa2] = INSN(mov, Ob, AL, WO),
	[0xa3] = INSN(mov, Ov, Av, WO),
	[0xa4 ... 0xa5] = INSN(movs, 0, 0, 0),
	[0xa6 ... 0xa7] = INSN(cmps, 0, 0, 0),
	[0xa8] = INSN(test, AL, Ib, RO),
	[0xa9] = INSN(test, Av, Iz, RO),
	[0xaa ... 0xab] = INSN(stos, 0, 0, 0),
	[0xac ... 0xad] = INSN(lods, 0, 0, 0),
	[0xae ... 0xaf] = INSN(scas, 0, 0, 0),
	[0xb0 ... 0xb7] = INSN(mov, Zb, Ib, WO),
	[0xb8 ... 0xbf] = INSN(mov, Zv, Iv, WO),
	[0xc0] = ROWS(D_BY_REG, group2_eb_ib),
	[0xc1] = ROWS(D_BY_REG, group2_ev_ib),
	[0xc2] = INSN(ret, 0, Iuw, D_FORCE64),
	[0xc3] = INSN(ret, 0, 0, D_FORCE64),
	[0xc4] = ROWS(D_BY_64, map1_c4),
	[0xc5] = ROWS(D_BY_64, map1_c5),
	[0xc6] = ROWS(D_BY_REG, group11_eb),
	[0xc7] = ROWS(D_BY_REG, group11_ev),
	[0xc8] = INSN(enter, Iuw, Iub, D_DEF64),
	[0xc9] = INSN(leave, 0, 0, D_DEF64),
	[0xca] = INSN(ret_far, 0, Iuw, 0),
	[0xcb] = INSN(ret_far, 0, 0, 0),
	[0xcc] = INSN(int3, 0, 0, 0),
	[0xcd] = INSN(int, 0, Iub, 0),
	[0xce] = INSN(into, 0, 0, D_NO64),
	[0xcf] = INSN(iret, 0, 0, 0),
	[0xd0] = ROWS(D_BY_REG, group2_eb_1),
	[0xd1] = ROWS(D_BY_REG, group2_ev_1),
	[0xd2] = ROWS(D_BY_REG, group2_eb_cl),
	[0xd3] = ROWS(D_BY_REG, group2_ev_cl),
	[0xd4] = INSN(aam, 0, Iub, D_NO64),
	[0xd5] = INSN(aad, 0, Iub, D_NO64),
	[0xd6] = INSN(salc, 0, 0, D_NO64),
	[0xd7] = INSN(xlat, AL, 0, WO),
	[0xd8 ... 0xdf] = INSN(x87, Eb, 0, RM | D_NOREAD),
	[0xe0 ... 0xe2] = INSN(loop, 0, Ib, D_FORCE64),
	[0xe3] = INSN(jcxz, 0, Ib, D_FORCE64),
	[0xe4] = INSN(in, AL, Iub, WO),
	[0xe5] = INSN(in, Av, Iub, WO),
	[0xe6] = INSN(out, Iub, AL, 0),
	[0xe7] = INSN(out, Iub, Av, 0),
	[0xe8] = INSN(call, 0, Iz, D_FORCE64),
	[0xe9] = INSN(jmp, 0, Iz, D_FORCE64),
	[0xea] = INSN(jmp_far, 0, Ap, D_NO64),
	[0xeb] = INSN(jmp, 0, Ib, D_FORCE64),
	[0xec] = INSN(in, AL, DX, WO),
	[0xed] = INSN(in, Av, DX, WO),
	[0xee] = INSN(out, DX, AL, 0),
	[0xef] = INSN(out, DX, Av, 0),
	[0xf0] = PREFIX(P_LOCK),
	[0xf1] = INSN(int1, 0, 0, 0),
	[0xf2 ... 0xf3] = PREFIX(P_REP),
	[0xf4] = INSN(hlt, 0, 0, D_PRIV),
	[0xf5] = INSN(flag, 0, 0, 0),
	[0xf6] = ROWS(D_BY_REG, group3_eb),
	[0xf7] = ROWS(D_BY_REG, group3_ev),
	[0xf8 ... 0xf9] = INSN(flag, 0, 0, 0),
	[0xfa] = INSN(cli, 0, 0, 0),
	[0xfb] = INSN(sti, 0, 0, 0),
	[0xfc ... 0xfd] = INSN(flag, 0, 0, 0),
	[0xfe] = ROWS(D_BY_REG, group4),
	[0xff] = ROWS(D_BY_REG, group5),
};

#define STORE_SYSSEG(bytes, seg) \
	INSNX(store_sysseg, bytes, 0, RM | WO | D_PROT | D_UMIP, seg)
#define LOAD_SYSSEG(seg)	INSNX(load_sysseg, 0, Ew, RM | D_PROT | D_PRIV, seg)

static const struct gondola_insn_desc group6[16] = {
	[0] = STORE_SYSSEG(Ew, GONDOLA_LDTR),
	[1] = STORE_SYSSEG(Ew, GONDOLA_TR),
	[2] = LOAD_SYSSEG(GONDOLA_LDTR),
	[3] = LOAD_SYSSEG(GONDOLA_TR),
	[4 ... 5] = INSN(verify, 0, Ew, RM | D_PROT),
	[6 ... 7] = UD,
	[8] = STORE_SYSSEG(Ev, GONDOLA_LDTR),
	[9] = STORE_SYSSEG(Ev, GONDOLA_TR),
	[10] = LOAD_SYSSEG(GONDOLA_LDTR),
	[11] = LOAD_SYSSEG(GONDOLA_TR),
	[12 ... 13] = INSN(verify, 0, Ew, RM | D_PROT),
	[14 ... 15] = UD,
};

static const struct gondola_insn_desc group7_rm0[8] = {
	UD, INSN(hypercall, 0, 0, RM), UD, UD, UD, UD, UD, UD,
};

/* No CPUID offers MONITOR and MWAIT. */
static const struct gondola_insn_desc group7_rm1[8] = {
	UD, UD, INSN(ac, 0, 0, RM), INSN(ac, 0, 0, RM), UD, UD, UD, UD,
};

static const struct gondola_insn_desc group7_rm2[8] = {
	INSN(xgetbv, 0, 0, RM), INSN(xsetbv, 0, 0, RM | D_PRIV), UD, UD, UD, UD, UD, UD,
};

/* All but one belong to SVM. */
static const struct gondola_insn_desc group7_rm3[8] = {
	UD, INSN(hypercall, 0, 0, RM), UD, UD, UD, UD, UD, UD,
};

static const struct gondola_insn_desc group7_rm7[8] = {
	[0] = INSN(swapgs, 0, 0, RM | D_PRIV | D_ONLY64),
	[1] = INSN(rdtscp, 0, 0, RM),
	[2 ... 7] = UD,
};

static const struct gondola_insn_desc group7[16] = {
	[0 ... 1] = INSN(store_dtable, Mb, 0, RM | D_NOREAD | D_UMIP),
	[2 ... 3] = INSN(load_dtable, Mb, 0, RM | D_NOREAD | D_PRIV),
	[4] = INSN(smsw, Ew, 0, RM | WO | D_UMIP),
	[6] = INSN(lmsw, 0, Ew, RM | D_PRIV),
	[7] = INSN(invlpg, Mb, 0, RM | D_NOREAD | D_PRIV),
	[8] = ROWS(D_BY_RM, group7_rm0),
	[9] = ROWS(D_BY_RM, group7_rm1),
	[10] = ROWS(D_BY_RM, group7_rm2),
	[11] = ROWS(D_BY_RM, group7_rm3),
	[12] = INSN(smsw, Ev, 0, RM | WO | D_UMIP),
	[14] = INSN(lmsw, 0, Ew, RM | D_PRIV),
	[15] = ROWS(D_BY_RM, group7_rm7),
};

#define GROUP8(name, src_) \
static const struct gondola_insn_desc name[8] = { \
	UD, UD, UD, UD, \
	INSN(bt, Ev, src_, RM | RO), INSN(bts, Ev, src_, RM | RW | D_LOCK), \
	INSN(btr, Ev, src_, RM | RW | D_LOCK), INSN(btc, Ev, src_, RM | RW | D_LOCK), \
}

GROUP8(group8, Iub);

static const struct gondola_insn_desc cmpxchg8b[2] = {
	INSN(cmpxchg8b, Mq, 0, RM | D_NOREAD | D_LOCK),
	INSN(cmpxchg8b, Mx, 0, RM | D_NOREAD | D_LOCK),
};

static const struct gondola_insn_desc rdpid[4] = {
	UD, UD, INSN(rdpid, Rn, 0, RM | WO), UD,
};

/*
 * No CPUID offers VMX: 6 and 7 are VMPTRLD, VMCLEAR, VMXON and VMPTRST.  The interpreter's does not
 * offer RDRAND and RDSEED, bits 14 and 15.
 */
static const struct gondola_insn_desc group9[16] = {
	[0] = UD,
	[1] = ROWS(D_BY_W, cmpxchg8b),
	[2] = UD,
	[6 ... 7] = UD,
	[8 ... 14] = UD,
	[15] = ROWS(D_BY_PREFIX, rdpid),
};

/* CLWB and CLFLUSH only check their address. */
static const struct gondola_insn_desc group15_6[4] = {
	[1] = INSN(nop, Eb, 0, RM | D_NOREAD),
};

static const struct gondola_insn_desc read_base[4] = {
	UD, UD, INSN(base, Ry, 0, RM | WO | D_ONLY64), UD,
};

static const struct gondola_insn_desc write_base[4] = {
	UD, UD, INSN(base, Ry, 0, RM | RO | D_ONLY64), UD,
};

static const struct gondola_insn_desc fence[4] = {
	INSN(nop, 0, 0, RM), UD, UD, UD,
};

static const struct gondola_insn_desc group15[16] = {
	[0] = INSN(fxsave, Mb, 0, RM | D_NOREAD),
	[1] = INSN(fxrstor, Mb, 0, RM | D_NOREAD),
	[2] = INSN(ldmxcsr, 0, Md, RM | D_SSE),
	[3] = INSN(stmxcsr, Md, 0, RM | WO | D_SSE),
	[6] = ROWS(D_BY_PREFIX, group15_6),
	[7] = INSN(nop, Eb, 0, RM | D_NOREAD),
	[8 ... 9] = ROWS(D_BY_PREFIX, read_base),
	[10 ... 11] = ROWS(D_BY_PREFIX, write_base),
	[12] = UD,
	[13 ... 15] = ROWS(D_BY_PREFIX, fence),
};

/* VMREAD and VMWRITE; with prefixes SSE4a has EXTRQ and INSERTQ there. */
static const struct gondola_insn_desc vmread[4] = {
	[0] = UD,
	[2] = UD,
};

static const struct gondola_insn_desc movnti[4] = {
	INSN(mov, My, Gy, RM | WO), UD, UD, UD,
};

#define BY_F3(name, plain, with_f3) \
static const struct gondola_insn_desc name[4] = { plain, plain, with_f3, plain }

BY_F3(map2_b8, UD, INSN(popcnt, Gv, Ev, RM | WO));
BY_F3(map2_bc, INSN(bsf, Gv, Ev, RM | WO), INSN(tzcnt, Gv, Ev, RM | WO));
BY_F3(map2_bd, INSN(bsr, Gv, Ev, RM | WO), INSN(lzcnt, Gv, Ev, RM | WO));

const struct gondola_insn_desc emul_map2[256] = {
	[0x00] = ROWS(D_BY_MOD, group6),
	[0x01] = ROWS(D_BY_MOD, group7),
	[0x02 ... 0x03] = INSN(look_up, Gv, Ew, RM | WO | D_PROT),
	[0x04] = UD,
	[0x05] = INSN(syscall, 0, 0, 0),
	[0x06] = INSN(clts, 0, 0, D_PRIV),
	[0x07] = INSN(sysret, 0, 0, D_PRIV | D_ONLY64),
	[0x08 ... 0x09] = INSN(wbinvd, 0, 0, D_PRIV),
	[0x0a ... 0x0c] = UD,
	[0x0d] = INSN(nop, Ev, 0, RM | D_NOREAD),	/* PREFETCHW */
	[0x10] = ROWS(D_BY_PREFIX, emul_sse_10),
	[0x11] = ROWS(D_BY_PREFIX, emul_sse_11),
	[0x12] = ROWS(D_BY_MOD, emul_sse_12),
	[0x13] = ROWS(D_BY_PREFIX, emul_sse_13),
	[0x14 ... 0x15] = ROWS(D_BY_PREFIX, emul_sse_packed),
	[0x16] = ROWS(D_BY_MOD, emul_sse_16),
	[0x17] = ROWS(D_BY_PREFIX, emul_sse_17),
	[0x18 ... 0x1f] = INSN(nop, Ev, 0, RM | D_NOREAD),
	[0x20] = INSN(read_cr, Rn, Cn, RM | WO | D_RM_REG | D_PRIV),
	[0x21] = INSN(read_dr, Rn, Dn, RM | WO | D_RM_REG | D_PRIV),
	[0x22] = INSN(write_cr, Cn, Rn, RM | D_RM_REG | D_PRIV),
	[0x23] = INSN(write_dr, Dn, Rn, RM | D_RM_REG | D_PRIV),
	[0x24 ... 0x27] = UD,
	[0x28] = ROWS(D_BY_PREFIX, emul_sse_28),
	[0x29] = ROWS(D_BY_PREFIX, emul_sse_29),
	[0x2a] = ROWS(D_BY_PREFIX, emul_sse_2a),
	[0x2b] = ROWS(D_BY_PREFIX, emul_sse_2b),
	[0x2c ... 0x2d] = ROWS(D_BY_PREFIX, emul_sse_2c),
	[0x2e ... 0x2f] = ROWS(D_BY_PREFIX, emul_sse_2e),
	[0x30] = INSN(wrmsr, 0, 0, D_PRIV),
	[0x31] = INSN(rdtsc, 0, 0, 0),
	[0x32] = INSN(rdmsr, 0, 0, D_PRIV),
	[0x33] = INSN(rdpmc, 0, 0, 0),
	[0x34] = INSN(sysenter, 0, 0, 0),
	[0x35] = INSN(sysexit, 0, 0, D_PRIV),
	[0x36 ... 0x37] = UD,		/* GETSEC */
	[0x39] = UD,
	[0x3b ... 0x3f] = UD,
	CC16(0x40, cmov, Gv, Ev, RM | WO),
	[0x50] = ROWS(D_BY_PREFIX, emul_sse_50),
	[0x51] = ROWS(D_BY_PREFIX, emul_sse_float),
	[0x52 ... 0x53] = ROWS(D_BY_PREFIX, emul_sse_single),
	[0x54 ... 0x57] = ROWS(D_BY_PREFIX, emul_sse_packed),
	[0x58 ... 0x59] = ROWS(D_BY_PREFIX, emul_sse_float),
	[0x5a] = ROWS(D_BY_PREFIX, emul_sse_5a),
	[0x5b] = ROWS(D_BY_PREFIX, emul_sse_5b),
	[0x5c ... 0x5f] = ROWS(D_BY_PREFIX, emul_sse_float),
	[0x60 ... 0x62] = ROWS(D_BY_PREFIX, emul_sse_unpack),
	[0x63 ... 0x6b] = ROWS(D_BY_PREFIX, emul_sse_int),
	[0x6c ... 0x6d] = ROWS(D_BY_PREFIX, emul_sse_wide),
	[0x6e] = ROWS(D_BY_PREFIX, emul_sse_6e),
	[0x6f] = ROWS(D_BY_PREFIX, emul_sse_6f),
	[0x70] = ROWS(D_BY_PREFIX, emul_sse_70),
	[0x71 ... 0x72] = ROWS(D_BY_PREFIX, emul_sse_71),
	[0x73] = ROWS(D_BY_PREFIX, emul_sse_73),
	[0x74 ... 0x76] = ROWS(D_BY_PREFIX, emul_sse_int),
	[0x77] = INSN(emms, 0, 0, 0),
	[0x78 ... 0x79] = ROWS(D_BY_PREFIX, vmread),
	[0x7e] = ROWS(D_BY_PREFIX, emul_sse_7e),
	[0x7f] = ROWS(D_BY_PREFIX, emul_sse_7f),
	CC16(0x80, jcc, 0, Iz, D_FORCE64),
	CC16(0x90, setcc, Eb, 0, RM | WO),
	[0xa0] = INSNX(push_seg, 0, 0, D_DEF64, GONDOLA_FS),
	[0xa1] = INSNX(pop_seg, 0, 0, D_DEF64, GONDOLA_FS),
	[0xa2] = INSN(cpuid, 0, 0, 0),
	[0xa3] = INSN(bt, Ev, Gv, RM | RO | D_BIT),
	[0xa4] = INSN3(shld, Ev, Gv, Iub, RM | RW),
	[0xa5] = INSN3(shld, Ev, Gv, CL, RM | RW),
	[0xa6 ... 0xa7] = UD,
	[0xa8] = INSNX(push_seg, 0, 0, D_DEF64, GONDOLA_GS),
	[0xa9] = INSNX(pop_seg, 0, 0, D_DEF64, GONDOLA_GS),
	[0xaa] = UD,			/* RSM, in system management mode alone */
	[0xab] = INSN(bts, Ev, Gv, RM | RW | D_LOCK | D_BIT),
	[0xac] = INSN3(shrd, Ev, Gv, Iub, RM | RW),
	[0xad] = INSN3(shrd, Ev, Gv, CL, RM | RW),
	[0xae] = ROWS(D_BY_MOD, group15),
	[0xaf] = INSN(imul2, Gv, Ev, RM | RW),
	[0xb0] = INSN3(cmpxchg, Eb, Gb, AL, RM | RW | D_WRITE_SRC2 | D_LOCK),
	[0xb1] = INSN3(cmpxchg, Ev, Gv, Av, RM | RW | D_WRITE_SRC2 | D_LOCK),
	[0xb2] = INSNX(load_far, Gv, Mb, RM | WO | D_NOREAD, GONDOLA_SS),
	[0xb3] = INSN(btr, Ev, Gv, RM | RW | D_LOCK | D_BIT),
	[0xb4] = INSNX(load_far, Gv, Mb, RM | WO | D_NOREAD, GONDOLA_FS),
	[0xb5] = INSNX(load_far, Gv, Mb, RM | WO | D_NOREAD, GONDOLA_GS),
	[0xb6] = INSN(mov, Gv, Eb, RM | WO),
	[0xb7] = INSN(mov, Gv, Ew, RM | WO),
	[0xb8] = ROWS(D_BY_PREFIX, map2_b8),
	[0xb9] = UD,
	[0xba] = ROWS(D_BY_REG, group8),
	[0xbb] = INSN(btc, Ev, Gv, RM | RW | D_LOCK | D_BIT),
	[0xbc] = ROWS(D_BY_PREFIX, map2_bc),
	[0xbd] = ROWS(D_BY_PREFIX, map2_bd),
	[0xbe] = INSN(movsx, Gv, Eb, RM | WO),
	[0xbf] = INSN(movsx, Gv, Ew, RM | WO),
	[0xc0] = INSN(xadd, Eb, Gb, RM | RW | D_WRITE_SRC | D_LOCK),
	[0xc1] = INSN(xadd, Ev, Gv, RM | RW | D_WRITE_SRC | D_LOCK),
	[0xc2] = ROWS(D_BY_PREFIX, emul_sse_c2),
	[0xc3] = ROWS(D_BY_PREFIX, movnti),
	[0xc4] = ROWS(D_BY_PREFIX, emul_sse_c4),
	[0xc5] = ROWS(D_BY_PREFIX, emul_sse_c5),
	[0xc6] = ROWS(D_BY_PREFIX, emul_sse_c6),
	[0xc7] = ROWS(D_BY_MOD, group9),
	[0xc8 ... 0xcf] = INSN(bswap, Zv, 0, RW),
	[0xd1 ... 0xd5] = ROWS(D_BY_PREFIX, emul_sse_int),
	[0xd6] = ROWS(D_BY_PREFIX, emul_sse_d6),
	[0xd7] = ROWS(D_BY_PREFIX, emul_sse_d7),
	[0xd8 ... 0xe5] = ROWS(D_BY_PREFIX, emul_sse_int),
	[0xe6] = ROWS(D_BY_PREFIX, emul_sse_e6),
	[0xe7] = ROWS(D_BY_PREFIX, emul_sse_e7),
	[0xe8 ... 0xef] = ROWS(D_BY_PREFIX, emul_sse_int),
	[0xf0] = ROWS(D_BY_PREFIX, emul_sse_f0),
	[0xf1 ... 0xf6] = ROWS(D_BY_PREFIX, emul_sse_int),
	[0xf7] = ROWS(D_BY_PREFIX, emul_sse_f7),
	[0xf8 ... 0xfe] = ROWS(D_BY_PREFIX, emul_sse_int),
	[0xff] = UD,
};

static const struct gondola_insn_desc movbe_load[4] = {
	INSN(movbe, Gv, Mv, RM | WO), INSN(movbe, Gv, Mv, RM | WO), UD,
	INSN(crc32, Gy, Eb, RM | RW),
};

static const struct gondola_insn_desc movbe_store[4] = {
	INSN(movbe, Mv, Gv, RM | WO), INSN(movbe, Mv, Gv, RM | WO), UD,
	INSN(crc32, Gy, Ev, RM | RW),
};

static const struct gondola_insn_desc invpcid[4] = {
	UD, INSN(invpcid, Gn, Mb, RM | RO | D_NOREAD | D_PRIV), UD, UD,
};

const struct gondola_insn_desc emul_map3[256] = {
	[0x2a] = ROWS(D_BY_PREFIX, emul_sse_382a),
	[0x80 ... 0x81] = UD,		/* INVEPT, INVVPID */
	[0x82] = ROWS(D_BY_PREFIX, invpcid),
	[0xf0] = ROWS(D_BY_PREFIX, movbe_load),
	[0xf1] = ROWS(D_BY_PREFIX, movbe_store),
};

/* All of 0f 3a is SSSE3 and later, which no driver uses on a device. */
const struct gondola_insn_desc emul_map4[256] = {
};
