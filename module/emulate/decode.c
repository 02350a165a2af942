// SPDX-License-Identifier: GPL-2.0-only
/* Decoding: it depends on the bytes and the mode alone, not on what the registers hold. */
#include "insn.h"

#define MAX_INSN	15u

static int undefined(struct gondola_emulator *e)
{
	return emul_fault(e, VEC_UD);
}

static noinline int locate_code(struct gondola_emulator *e)
{
	struct gondola_segment copy;
	const struct gondola_segment *cs = emul_segment(e, GONDOLA_CS, &copy);
	u64 limit = e->mode == GONDOLA_EMUL_VM86 ? 0xffff : cs->limit;

	if (e->regs->rip > limit)
		return emul_gp(e);
	e->fetch_la = (u32)(cs->base + e->regs->rip);
	if (limit - e->regs->rip + 1 < MAX_INSN)
		e->fetch_max = limit - e->regs->rip + 1;
	return GONDOLA_EMUL_OK;
}

/* Fetch more bytes behind those that were fetched. */
static int fetch(struct gondola_emulator *e)
{
	unsigned int got = 0;
	int r;

	r = e->ops->fetch(e, e->fetch_la + e->nr_bytes, e->bytes + e->nr_bytes,
			  e->fetch_max - e->nr_bytes, &got);
	if (likely(!r)) {
		if (unlikely(!got))
			return GONDOLA_EMUL_ERROR;
		e->nr_bytes += got;
	}
	return r;
}

/* Find the linear address of RIP, and fetch the first bytes there. */
static int first_fetch(struct gondola_emulator *e)
{
	e->nr_bytes = 0;
	e->fetch_max = MAX_INSN;
	e->fetch_la = e->regs->rip;
	if (unlikely(!emul_long64(e))) {
		int r = locate_code(e);

		if (r)
			return r;
	}
	return fetch(e);
}

/*
 * From here to parse_bytes() the functions read on at @p and do not ask whether the bytes were
 * fetched. parse() asks at the end, and starts over if they were not.  No instruction is longer
 * than e->bytes.
 */

static noinline void note_prefix(struct gondola_emulator *e, const struct gondola_insn_desc *row,
				 u8 byte, bool *addrsize)
{
	e->own.rex = 0;	/* counts only right before the opcode */
	switch (row->arg) {
	case P_LOCK:
		e->own.lock = true;
		break;
	case P_REP:
		e->own.rep = byte;
		break;
	case P_OPSIZE:
		e->own.opsize_prefix = true;
		break;
	case P_ADDRSIZE:
		*addrsize = true;
		break;
	default:
		/*
		 * In 64-bit mode ES, CS, SS and DS are ignored; they do not even cancel an FS
		 * before them.
		 */
		if (!emul_long64(e) || row->src >= GONDOLA_FS)
			e->own.seg_override = row->src;
		break;
	}
}

/* Take prefixes, and the first byte of the opcode; *row is the row of that byte. */
static inline const u8 *parse_prefixes(struct gondola_emulator *e, const u8 *p,
				       const struct gondola_insn_desc **row)
{
	const bool long64 = emul_long64(e);
	const u8 *end = p + MAX_INSN;
	const struct gondola_insn_desc *d;
	bool addrsize = false;
	u8 byte;

	e->own.mode = e->mode;
	e->own.rex = 0;
	e->own.rep = 0;
	e->own.lock = false;
	e->own.opsize_prefix = false;
	e->own.seg_override = GONDOLA_NO_SEG;
	for (;;) {
		byte = *p++;
		d = &emul_map1[byte];
		if (likely((byte & 0xf0) != 0x40 || !long64)) {
			if (likely(!(d->flags & D_PREFIX)))
				break;
			note_prefix(e, d, byte, &addrsize);
		} else {
			e->own.rex = byte;
		}
		if (unlikely(p == end)) {
			p++;		/* too long: parse() finds out */
			break;
		}
	}
	e->own.opcode = byte;
	*row = d;
	if (likely(long64)) {
		e->own.addr_bytes = addrsize ? 4 : 8;
		e->own.op_bytes = e->own.rex & 8 ? 8 : e->own.opsize_prefix ? 2 : 4;
	} else {
		bool wide = e->mode == GONDOLA_EMUL_PROT32;

		e->own.addr_bytes = addrsize == wide ? 2 : 4;
		e->own.op_bytes = e->own.opsize_prefix == wide ? 2 : 4;
	}
	return p;
}

static const struct gondola_insn_desc *choose_row(const struct gondola_emulator *e,
						  const struct gondola_insn_desc *d, u8 modrm)
{
	unsigned int n;

	if (d->flags & D_BY_REG)
		n = modrm >> 3 & 7;
	else if (d->flags & D_BY_PREFIX)
		n = e->own.rep == 0xf3 ? 2 : e->own.rep == 0xf2 ? 3 : e->own.opsize_prefix;
	else if (d->flags & D_BY_MOD)
		n = (modrm >> 3 & 7) + (modrm >= 0xc0 ? 8 : 0);
	else if (d->flags & D_BY_RM)
		n = modrm & 7;
	else if (d->flags & D_BY_64)
		n = emul_long64(e);
	else
		n = e->own.rex >> 3 & 1;
	return &d->rows[n];
}

/*
 * Take the other bytes of the opcode and resolve groups; *row becomes the row of the instruction.
 * @modrm_used: ModRM, the next byte, was needed to find it.
 */
static inline const u8 *parse_opcode(struct gondola_emulator *e, const u8 *p,
				     const struct gondola_insn_desc **row, bool *modrm_used)
{
	const struct gondola_insn_desc *d = *row;

	e->own.opcode_map = 1;
	if (e->own.opcode == 0x0f) {
		u8 byte = *p++;

		e->own.opcode_map = 2;
		d = &emul_map2[byte];
		if (unlikely(byte == 0x38 || byte == 0x3a)) {
			e->own.opcode_map = byte == 0x38 ? 3 : 4;
			d = byte == 0x38 ? emul_map3 : emul_map4;
			byte = *p++;
			d += byte;
		}
		e->own.opcode = byte;
	}
	*modrm_used = false;
	while (d->flags & D_BY) {
		*modrm_used |= !!(d->flags & (D_BY_REG | D_BY_MOD | D_BY_RM));
		d = choose_row(e, d, *p);
	}
	*row = d;
	return p;
}

static noinline const u8 *parse_address16(struct gondola_emulator *e, const u8 *p)
{
	static const u8 pair[8][2] = {
		{ R_RBX, R_RSI }, { R_RBX, R_RDI }, { R_RBP, R_RSI }, { R_RBP, R_RDI },
		{ GONDOLA_NO_REG, R_RSI }, { GONDOLA_NO_REG, R_RDI },
		{ R_RBP, GONDOLA_NO_REG }, { R_RBX, GONDOLA_NO_REG },
	};
	unsigned int mod = e->own.modrm >> 6, rm = e->own.modrm & 7;

	e->own.base = pair[rm][0];
	e->own.index = pair[rm][1];
	e->own.scale = 0;
	if (mod == 0 && rm == 6) {
		e->own.base = GONDOLA_NO_REG;
		mod = 2;
	}
	if (e->own.base == R_RBP)
		e->own.seg = GONDOLA_SS;
	if (mod)
		e->own.disp = emul_sign_extend(emul_take(p, mod), mod);
	return p + mod;
}

static inline const u8 *parse_address(struct gondola_emulator *e, const u8 *p)
{
	unsigned int mod = e->own.modrm >> 6, rm = e->own.modrm & 7;

	e->own.disp = 0;
	e->own.rip_relative = false;
	e->own.seg = GONDOLA_DS;
	e->own.index = GONDOLA_NO_REG;
	if (unlikely(e->own.addr_bytes == 2)) {
		p = parse_address16(e, p);
		goto out;
	}
	if (rm == 4) {
		u8 sib = *p++;

		e->own.scale = sib >> 6;
		e->own.index = (sib >> 3 & 7) | (e->own.rex & 2) << 2;
		if (e->own.index == R_RSP)
			e->own.index = GONDOLA_NO_REG;
		rm = sib & 7;
	} else if (rm == 5 && mod == 0) {
		e->own.rip_relative = emul_long64(e);
	}
	if (rm == 5 && mod == 0) {
		e->own.base = GONDOLA_NO_REG;
		mod = 2;
	} else {
		e->own.base = rm | (e->own.rex & 1) << 3;
		if (e->own.base == R_RSP || e->own.base == R_RBP)
			e->own.seg = GONDOLA_SS;
	}
	if (mod == 1) {
		e->own.disp = (s8)*p++;
	} else if (mod == 2) {
		e->own.disp = emul_take(p, 4);
		p += 4;
	}
out:
	if (unlikely(e->own.seg_override != GONDOLA_NO_SEG))
		e->own.seg = e->own.seg_override;
	return p;
}

static inline const u8 *parse_immediate(struct gondola_emulator *e, const u8 *p, u8 spec,
					u64 *imm)
{
	unsigned int bytes = emul_operand_bytes(&e->own, spec), place = spec & O_MASK;

	if (unlikely(place == O_MOFFS)) {
		bytes = e->own.addr_bytes;
		e->own.seg = e->own.seg_override == GONDOLA_NO_SEG ? GONDOLA_DS : e->own.seg_override;
	} else if (bytes == 8 && place != O_IMM64) {
		bytes = 4;
	}
	*imm = emul_take(p, bytes);
	if (place == O_IMM)
		*imm = emul_sign_extend(*imm, bytes);
	p += bytes;
	if (unlikely(place == O_FAR)) {
		e->own.imm2 = emul_take(p, 2);
		p += 2;
	}
	return p;
}

/* Take all immediates, in the order of the operands. */
static inline const u8 *parse_immediates(struct gondola_emulator *e, const u8 *p,
					 const struct gondola_insn_desc *d)
{
	u64 *imm = &e->own.imm;

	if (unlikely((d->dst & O_MASK) >= O_IMM)) {
		p = parse_immediate(e, p, d->dst, imm);
		imm = &e->own.imm2;
	}
	if ((d->src & O_MASK) >= O_IMM)
		p = parse_immediate(e, p, d->src, imm);
	else if (unlikely((d->src2 & O_MASK) >= O_IMM))
		p = parse_immediate(e, p, d->src2, imm);
	return p;
}

/* Is the row defined in this mode, and implemented?  If so, adjust the operand size. */
static noinline int check_row(struct gondola_emulator *e, const struct gondola_insn_desc *d)
{
	if (d->flags & D_UD || (d->flags & D_NO64 && emul_long64(e)) ||
	    (d->flags & D_ONLY64 && !emul_long64(e)) ||
	    (d->flags & D_PROT && !emul_protected(e)))
		return undefined(e);
	if (!d->run)
		return GONDOLA_EMUL_UNKNOWN;
	if (d->flags & (D_DEF64 | D_FORCE64) && emul_long64(e) &&
	    (d->flags & D_FORCE64 || !e->own.opsize_prefix))
		e->own.op_bytes = 8;
	return GONDOLA_EMUL_OK;
}

/* Parse e->bytes once.  The length counts bytes that have not been fetched yet, too. */
static inline int parse_bytes(struct gondola_emulator *e)
{
	const struct gondola_insn_desc *d;
	const u8 *p = e->bytes;
	int r = GONDOLA_EMUL_OK;
	bool modrm_used;

	p = parse_prefixes(e, p, &d);
	p = parse_opcode(e, p, &d, &modrm_used);
	e->own.desc = d;
	if (unlikely(!d->run || d->flags & D_PARSE_RARE)) {
		r = check_row(e, d);
		if (r) {
			p += modrm_used;
			goto out;
		}
	}
	if (likely(d->flags & D_MODRM)) {
		e->own.modrm = *p++;
		e->own.rm_is_reg = e->own.modrm >= 0xc0 || unlikely(d->flags & D_RM_REG);
		if (!e->own.rm_is_reg)
			p = parse_address(e, p);
	}
	if (d->flags & D_IMM)
		p = parse_immediates(e, p, d);
out:
	e->own.len = p - e->bytes;
	return r;
}

static inline int parse(struct gondola_emulator *e)
{
	int r = first_fetch(e);

	while (likely(!r)) {
		r = parse_bytes(e);
		if (likely(e->own.len <= e->nr_bytes))
			return r;
		/* Too long, or beyond the code segment. */
		if (e->nr_bytes >= e->fetch_max)
			return emul_gp(e);
		r = fetch(e);
	}
	return r;
}

int gondola_parse(struct gondola_emulator *e)
{
	int r = parse(e);

	e->insn = &e->own;
	if (likely(!r))
		emul_choose_run(&e->own, e->segments && !e->ops->set_shadow);
	return r;
}
