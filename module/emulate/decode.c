// SPDX-License-Identifier: GPL-2.0-only
/*
 * Decoding in two steps: gondola_parse() takes what the bytes say, and so
 * could be cached; gondola_bind() finds the operands by the registers.
 */
#include "insn.h"

#define MAX_INSN	15u

static int undefined(struct gondola_emulator *e)
{
	return gondola_fault(e, VEC_UD);
}

static noinline int locate_code(struct gondola_emulator *e)
{
	struct gondola_segment cs;
	u64 limit;

	e->ops->get_segment(e, GONDOLA_CS, &cs);
	limit = e->mode == GONDOLA_EMUL_VM86 ? 0xffff : cs.limit;
	if (e->regs->rip > limit)
		return gondola_gp(e);
	e->fetch_la = (u32)(cs.base + e->regs->rip);
	if (limit - e->regs->rip + 1 < MAX_INSN)
		e->fetch_max = limit - e->regs->rip + 1;
	return GONDOLA_EMUL_OK;
}

/* Fetch behind what is there already. */
static int fetch(struct gondola_emulator *e)
{
	unsigned int got = 0;
	int r;

	r = e->ops->fetch(e, e->fetch_la + e->insn_bytes, e->insn + e->insn_bytes,
			  e->fetch_max - e->insn_bytes, &got);
	if (likely(!r)) {
		if (unlikely(!got))
			return GONDOLA_EMUL_ERROR;
		e->insn_bytes += got;
	}
	return r;
}

/* The code segment's linear address of RIP, and the first bytes there. */
static int first_fetch(struct gondola_emulator *e)
{
	e->insn_bytes = 0;
	e->fetch_max = MAX_INSN;
	e->fetch_la = e->regs->rip;
	if (unlikely(!gondola_long64(e))) {
		int r = locate_code(e);

		if (r)
			return r;
	}
	return fetch(e);
}

/*
 * From here to parse_bytes() the functions take the bytes at @p, the next one,
 * without asking whether they were fetched: parse_bytes() asks at the end, and
 * starts over when they were not.  No instruction leads them out of e->insn.
 */

static noinline void note_prefix(struct gondola_emulator *e, const struct gondola_insn_desc *row,
				 u8 byte, bool *addrsize)
{
	e->rex = 0;	/* counts only right before the opcode */
	switch (row->arg) {
	case P_LOCK:
		e->lock = true;
		break;
	case P_REP:
		e->rep = byte;
		break;
	case P_OPSIZE:
		e->opsize_prefix = true;
		break;
	case P_ADDRSIZE:
		*addrsize = true;
		break;
	default:
		/* ES, CS, SS and DS say nothing in 64-bit mode, not even "not FS". */
		if (!gondola_long64(e) || row->src >= GONDOLA_FS)
			e->seg_override = row->src;
		break;
	}
}

/* Prefixes, up to the first byte of the opcode: *row is that byte's. */
static inline const u8 *parse_prefixes(struct gondola_emulator *e, const u8 *p,
				       const struct gondola_insn_desc **row)
{
	const bool long64 = gondola_long64(e);
	const u8 *end = p + MAX_INSN;
	const struct gondola_insn_desc *d;
	bool addrsize = false;
	u8 byte;

	e->rex = 0;
	e->rep = 0;
	e->lock = false;
	e->opsize_prefix = false;
	e->seg_override = GONDOLA_NO_SEG;
	for (;;) {
		byte = *p++;
		d = &gondola_map1[byte];
		if (likely((byte & 0xf0) != 0x40 || !long64)) {
			if (likely(!(d->flags & D_PREFIX)))
				break;
			note_prefix(e, d, byte, &addrsize);
		} else {
			e->rex = byte;
		}
		if (unlikely(p == end)) {
			p++;		/* too long: parse_bytes() will see */
			break;
		}
	}
	e->opcode = byte;
	*row = d;
	if (likely(long64)) {
		e->addr_bytes = addrsize ? 4 : 8;
		e->op_bytes = e->rex & 8 ? 8 : e->opsize_prefix ? 2 : 4;
	} else {
		bool wide = e->mode == GONDOLA_EMUL_PROT32;

		e->addr_bytes = addrsize == wide ? 2 : 4;
		e->op_bytes = e->opsize_prefix == wide ? 2 : 4;
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
		n = e->rep == 0xf3 ? 2 : e->rep == 0xf2 ? 3 : e->opsize_prefix;
	else if (d->flags & D_BY_MOD)
		n = (modrm >> 3 & 7) + (modrm >= 0xc0 ? 8 : 0);
	else if (d->flags & D_BY_RM)
		n = modrm & 7;
	else
		n = e->rex >> 3 & 1;
	return &d->rows[n];
}

/*
 * The opcode's further bytes, and groups: *row becomes that of the instruction.
 * @modrm_used: that took a look at ModRM, the next byte.
 */
static inline const u8 *parse_opcode(struct gondola_emulator *e, const u8 *p,
				     const struct gondola_insn_desc **row, bool *modrm_used)
{
	const struct gondola_insn_desc *d = *row;

	e->opcode_map = 1;
	if (e->opcode == 0x0f) {
		u8 byte = *p++;

		e->opcode_map = 2;
		d = &gondola_map2[byte];
		if (unlikely(byte == 0x38 || byte == 0x3a)) {
			e->opcode_map = byte == 0x38 ? 3 : 4;
			d = byte == 0x38 ? gondola_map3 : gondola_map4;
			byte = *p++;
			d += byte;
		}
		e->opcode = byte;
	}
	*modrm_used = false;
	while (d->flags & D_BY) {
		*modrm_used |= !!(d->flags & (D_BY_REG | D_BY_MOD | D_BY_RM));
		d = choose_row(e, d, *p);
	}
	*row = d;
	return p;
}

/* @bytes: 1, 2, 4 or 8 */
static inline u64 take(const u8 *p, unsigned int bytes)
{
	u64 v8;
	u32 v4;
	u16 v2;

	switch (bytes) {
	case 1:
		return *p;
	case 2:
		memcpy(&v2, p, 2);
		return v2;
	case 4:
		memcpy(&v4, p, 4);
		return v4;
	default:
		memcpy(&v8, p, 8);
		return v8;
	}
}

static noinline const u8 *parse_address16(struct gondola_emulator *e, const u8 *p)
{
	static const u8 pair[8][2] = {
		{ R_RBX, R_RSI }, { R_RBX, R_RDI }, { R_RBP, R_RSI }, { R_RBP, R_RDI },
		{ GONDOLA_NO_REG, R_RSI }, { GONDOLA_NO_REG, R_RDI },
		{ R_RBP, GONDOLA_NO_REG }, { R_RBX, GONDOLA_NO_REG },
	};
	unsigned int mod = e->modrm >> 6, rm = e->modrm & 7;

	e->base = pair[rm][0];
	e->index = pair[rm][1];
	e->scale = 0;
	if (mod == 0 && rm == 6) {
		e->base = GONDOLA_NO_REG;
		mod = 2;
	}
	if (e->base == R_RBP)
		e->seg = GONDOLA_SS;
	if (mod)
		e->disp = gondola_sign_extend(take(p, mod), mod);
	return p + mod;
}

static inline const u8 *parse_address(struct gondola_emulator *e, const u8 *p)
{
	unsigned int mod = e->modrm >> 6, rm = e->modrm & 7;

	e->disp = 0;
	e->rip_relative = false;
	e->seg = GONDOLA_DS;
	e->index = GONDOLA_NO_REG;
	if (unlikely(e->addr_bytes == 2)) {
		p = parse_address16(e, p);
		goto out;
	}
	if (rm == 4) {
		u8 sib = *p++;

		e->scale = sib >> 6;
		e->index = (sib >> 3 & 7) | (e->rex & 2) << 2;
		if (e->index == R_RSP)
			e->index = GONDOLA_NO_REG;
		rm = sib & 7;
	} else if (rm == 5 && mod == 0) {
		e->rip_relative = gondola_long64(e);
	}
	if (rm == 5 && mod == 0) {
		e->base = GONDOLA_NO_REG;
		mod = 2;
	} else {
		e->base = rm | (e->rex & 1) << 3;
		if (e->base == R_RSP || e->base == R_RBP)
			e->seg = GONDOLA_SS;
	}
	if (mod == 1) {
		e->disp = (s8)*p++;
	} else if (mod == 2) {
		e->disp = take(p, 4);
		p += 4;
	}
out:
	if (unlikely(e->seg_override != GONDOLA_NO_SEG))
		e->seg = e->seg_override;
	return p;
}

static noinline unsigned int other_bytes(const struct gondola_emulator *e, u8 spec)
{
	static const u8 fixed[] = { 0, 1, 2, 4, 8, 16 };

	if (spec >= S_N)
		return gondola_long64(e) ? 8 : 4;
	if (spec >= S_Y)
		return e->rex & 8 ? 8 : 4;
	return fixed[spec >> 5];
}

static inline unsigned int operand_bytes(const struct gondola_emulator *e, u8 spec)
{
	if (likely(spec <= O_MASK))
		return e->op_bytes;
	return (spec & ~O_MASK) == S_B ? 1 : other_bytes(e, spec);
}

static inline const u8 *parse_immediate(struct gondola_emulator *e, const u8 *p, u8 spec,
					u64 *imm)
{
	unsigned int bytes = operand_bytes(e, spec), place = spec & O_MASK;

	if (unlikely(place == O_MOFFS)) {
		bytes = e->addr_bytes;
		e->seg = e->seg_override == GONDOLA_NO_SEG ? GONDOLA_DS : e->seg_override;
	} else if (bytes == 8 && place != O_IMM64) {
		bytes = 4;
	}
	*imm = take(p, bytes);
	if (place == O_IMM)
		*imm = gondola_sign_extend(*imm, bytes);
	p += bytes;
	if (unlikely(place == O_FAR)) {
		e->imm2 = take(p, 2);
		p += 2;
	}
	return p;
}

/* All of them, in the order of the operands. */
static inline const u8 *parse_immediates(struct gondola_emulator *e, const u8 *p,
					 const struct gondola_insn_desc *d)
{
	u64 *imm = &e->imm;

	if (unlikely((d->dst & O_MASK) >= O_IMM)) {
		p = parse_immediate(e, p, d->dst, imm);
		imm = &e->imm2;
	}
	if ((d->src & O_MASK) >= O_IMM)
		p = parse_immediate(e, p, d->src, imm);
	else if (unlikely((d->src2 & O_MASK) >= O_IMM))
		p = parse_immediate(e, p, d->src2, imm);
	return p;
}

/* Is the row defined in this mode, and do we have it?  Then: its operand size. */
static noinline int check_row(struct gondola_emulator *e, const struct gondola_insn_desc *d)
{
	if (d->flags & D_UD || (d->flags & D_NO64 && gondola_long64(e)) ||
	    (d->flags & D_ONLY64 && !gondola_long64(e)) ||
	    (d->flags & D_PROT && !gondola_protected(e)))
		return undefined(e);
	if (!d->run)
		return GONDOLA_EMUL_UNKNOWN;
	if (d->flags & (D_DEF64 | D_FORCE64) && gondola_long64(e) &&
	    (d->flags & D_FORCE64 || !e->opsize_prefix))
		e->op_bytes = 8;
	return GONDOLA_EMUL_OK;
}

/* Once over e->insn; insn_len is how far that went, whether the bytes were there or not. */
static inline int parse_bytes(struct gondola_emulator *e)
{
	const struct gondola_insn_desc *d;
	const u8 *p = e->insn;
	int r = GONDOLA_EMUL_OK;
	bool modrm_used;

	p = parse_prefixes(e, p, &d);
	p = parse_opcode(e, p, &d, &modrm_used);
	e->desc = d;
	if (unlikely(!d->run || d->flags & D_PARSE_RARE)) {
		r = check_row(e, d);
		if (r) {
			p += modrm_used;
			goto out;
		}
	}
	if (likely(d->flags & D_MODRM)) {
		e->modrm = *p++;
		e->rm_is_reg = e->modrm >= 0xc0 || unlikely(d->flags & D_RM_REG);
		if (!e->rm_is_reg)
			p = parse_address(e, p);
	}
	if (d->flags & D_IMM)
		p = parse_immediates(e, p, d);
out:
	e->insn_len = p - e->insn;
	return r;
}

static inline int parse(struct gondola_emulator *e)
{
	int r = first_fetch(e);

	while (likely(!r)) {
		r = parse_bytes(e);
		if (likely(e->insn_len <= e->insn_bytes))
			return r;
		/* Too long, or beyond the code segment. */
		if (e->insn_bytes >= e->fetch_max)
			return gondola_gp(e);
		r = fetch(e);
	}
	return r;
}

static inline u64 effective_address(struct gondola_emulator *e, unsigned int bytes)
{
	const struct gondola_insn_desc *d = e->desc;
	u64 ea = (s64)e->disp;

	if (e->base != GONDOLA_NO_REG)
		ea += e->regs->gpr[e->base];
	if (e->index != GONDOLA_NO_REG)
		ea += e->regs->gpr[e->index] << e->scale;
	if (e->rip_relative)
		ea += e->regs->rip + e->insn_len;
	if (unlikely(d->flags & (D_BIT | D_POP_EA))) {
		if (d->flags & D_BIT) {
			s64 bit = gondola_sign_extend(e->src.value, bytes);

			ea += (bit >> 3) & ~(s64)(bytes - 1);
		} else if (e->base == R_RSP) {
			ea += bytes;
		}
	}
	return ea & gondola_mask(e->addr_bytes);
}

static inline int bind_memory(struct gondola_emulator *e, struct gondola_operand *op, u64 ea)
{
	const struct gondola_insn_desc *d = e->desc;

	op->kind = GONDOLA_OPERAND_MEM;
	e->ea = ea;
	if (unlikely(d->flags & D_NOREAD))
		return GONDOLA_EMUL_OK;
	return gondola_linear(e, e->seg, ea, op->bytes, op == &e->dst && d->flags & D_WRITE,
			      &op->la);
}

static inline void bind_gpr(struct gondola_emulator *e, struct gondola_operand *op,
			    unsigned int reg)
{
	op->kind = GONDOLA_OPERAND_REG;
	op->high = false;
	if (unlikely(op->bytes == 1 && reg >= 4 && reg < 8 && !e->rex)) {
		op->high = true;
		op->reg = reg - 4;
		op->value = e->regs->gpr[op->reg] >> 8 & 0xff;
		return;
	}
	op->reg = reg;
	op->value = e->regs->gpr[reg] & gondola_mask(op->bytes);
}

static inline void bind_place(struct gondola_operand *op, enum gondola_operand_kind kind,
			      unsigned int reg)
{
	op->kind = kind;
	op->reg = reg;
}

/* None of these is AH … BH: rAX is 0, rCX 1, rDX 2. */
static inline void bind_fixed(struct gondola_emulator *e, struct gondola_operand *op,
			      unsigned int reg)
{
	op->kind = GONDOLA_OPERAND_REG;
	op->high = false;
	op->reg = reg;
	op->value = gondola_read_gpr(e, reg, op->bytes);
}

static noinline int bind_other(struct gondola_emulator *e, struct gondola_operand *op, u8 spec)
{
	unsigned int reg;

	switch (spec & O_MASK) {
	case O_G:
		bind_gpr(e, op, (e->modrm >> 3 & 7) | (e->rex & 4) << 1);
		return GONDOLA_EMUL_OK;
	case O_M:
		if (e->rm_is_reg)
			return undefined(e);
		fallthrough;
	case O_E:
	case O_W:
		if (!e->rm_is_reg)
			return bind_memory(e, op, effective_address(e, op->bytes));
		fallthrough;
	case O_R:
		if (!e->rm_is_reg)
			return undefined(e);
		reg = (e->modrm & 7) | (e->rex & 1) << 3;
		if ((spec & O_MASK) == O_W)
			bind_place(op, GONDOLA_OPERAND_XMM, reg);
		else
			bind_gpr(e, op, reg);
		return GONDOLA_EMUL_OK;
	case O_IMM:
	case O_IMMU:
	case O_IMM64:
		op->kind = GONDOLA_OPERAND_IMM;
		op->value = op == &e->src && (e->desc->dst & O_MASK) >= O_IMM ? e->imm2 : e->imm;
		return GONDOLA_EMUL_OK;
	case O_Z:
		bind_gpr(e, op, (e->opcode & 7) | (e->rex & 1) << 3);
		return GONDOLA_EMUL_OK;
	case O_A:
	case O_C:
	case O_D:
		bind_fixed(e, op, (spec & O_MASK) - O_A);
		return GONDOLA_EMUL_OK;
	case O_ONE:
		op->kind = GONDOLA_OPERAND_IMM;
		op->value = 1;
		return GONDOLA_EMUL_OK;
	case O_SEG:
		reg = e->modrm >> 3 & 7;
		if (reg > GONDOLA_GS || (reg == GONDOLA_CS && op == &e->dst))
			return undefined(e);
		bind_place(op, GONDOLA_OPERAND_SEG, reg);
		return GONDOLA_EMUL_OK;
	case O_CR:
		bind_place(op, GONDOLA_OPERAND_CR, (e->modrm >> 3 & 7) | (e->rex & 4) << 1);
		return GONDOLA_EMUL_OK;
	case O_DR:
		bind_place(op, GONDOLA_OPERAND_DR, (e->modrm >> 3 & 7) | (e->rex & 4) << 1);
		return GONDOLA_EMUL_OK;
	case O_V:
		bind_place(op, GONDOLA_OPERAND_XMM, (e->modrm >> 3 & 7) | (e->rex & 4) << 1);
		return GONDOLA_EMUL_OK;
	case O_MOFFS:
		return bind_memory(e, op, e->imm);
	case O_FAR:
		op->kind = GONDOLA_OPERAND_IMM;
		op->value = e->imm;
		op->value_hi = e->imm2;
		return GONDOLA_EMUL_OK;
	}
	op->kind = GONDOLA_OPERAND_NONE;
	return GONDOLA_EMUL_OK;
}

/* The usual two inline. */
static __always_inline int bind_operand(struct gondola_emulator *e, struct gondola_operand *op, u8 spec)
{
	op->bytes = operand_bytes(e, spec);
	if ((spec & O_MASK) == O_G) {
		bind_gpr(e, op, (e->modrm >> 3 & 7) | (e->rex & 4) << 1);
		return GONDOLA_EMUL_OK;
	}
	if ((spec & O_MASK) == O_E && !e->rm_is_reg)
		return bind_memory(e, op, effective_address(e, op->bytes));
	return bind_other(e, op, spec);
}

static inline int bind(struct gondola_emulator *e)
{
	const struct gondola_insn_desc *d = e->desc;
	int r;

	/* The source first: a bit string's address depends on it. */
	e->src.kind = GONDOLA_OPERAND_NONE;
	if (d->src) {
		r = bind_operand(e, &e->src, d->src);
		if (r)
			return r;
	}
	e->src2.kind = GONDOLA_OPERAND_NONE;
	if (unlikely(d->src2)) {
		e->src2.bytes = operand_bytes(e, d->src2);
		r = bind_other(e, &e->src2, d->src2);
		if (r)
			return r;
	}
	e->dst.kind = GONDOLA_OPERAND_NONE;
	return d->dst ? bind_operand(e, &e->dst, d->dst) : GONDOLA_EMUL_OK;
}

int gondola_parse(struct gondola_emulator *e)
{
	return parse(e);
}

int gondola_bind(struct gondola_emulator *e)
{
	return bind(e);
}

int gondola_decode(struct gondola_emulator *e)
{
	int r = parse(e);

	return likely(!r) ? bind(e) : r;
}
