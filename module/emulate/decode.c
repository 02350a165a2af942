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

/* Have @want bytes of the instruction in e->insn. */
static noinline int refill(struct gondola_emulator *e, unsigned int want)
{
	if (want > e->fetch_max)
		return gondola_gp(e);	/* too long, or beyond the code segment */
	while (e->insn_bytes < want) {
		unsigned int got = 0;
		int r = e->ops->fetch(e, e->fetch_la + e->insn_bytes, e->insn + e->insn_bytes,
				      e->fetch_max - e->insn_bytes, &got);

		if (r)
			return r;
		if (!got)
			return GONDOLA_EMUL_ERROR;
		e->insn_bytes += got;
	}
	return GONDOLA_EMUL_OK;
}

static inline int need(struct gondola_emulator *e, unsigned int want)
{
	return likely(want <= e->insn_bytes) ? GONDOLA_EMUL_OK : refill(e, want);
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

static int fetch(struct gondola_emulator *e)
{
	unsigned int got = 0;
	int r;

	e->insn_bytes = 0;
	e->fetch_max = MAX_INSN;
	e->fetch_la = e->regs->rip;
	if (unlikely(!gondola_long64(e))) {
		r = locate_code(e);
		if (r)
			return r;
	}
	r = e->ops->fetch(e, e->fetch_la, e->insn, e->fetch_max, &got);
	e->insn_bytes = got;
	return r;
}

/* Prefixes, up to the first byte of the opcode: *at is behind it, *row its row. */
static int parse_prefixes(struct gondola_emulator *e, unsigned int *at,
			  const struct gondola_insn_desc **row)
{
	const bool long64 = gondola_long64(e);
	const bool wide = e->mode >= GONDOLA_EMUL_PROT32;
	bool addrsize = false;
	int r;

	e->rex = 0;
	e->rep = 0;
	e->lock = false;
	e->opsize_prefix = false;
	e->seg_override = GONDOLA_NO_SEG;
	for (;;) {
		const struct gondola_insn_desc *d;
		u8 byte;

		r = need(e, *at + 1);
		if (r)
			return r;
		byte = e->insn[(*at)++];
		d = &gondola_map1[byte];
		if (long64 && (byte & 0xf0) == 0x40) {
			e->rex = byte;
			continue;
		}
		if (likely(!(d->flags & D_PREFIX))) {
			e->opcode = byte;
			*row = d;
			break;
		}
		e->rex = 0;	/* counts only right before the opcode */
		switch (d->arg) {
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
			addrsize = true;
			break;
		default:
			/* ES, CS, SS and DS say nothing in 64-bit mode, not even "not FS". */
			if (!long64 || d->src >= GONDOLA_FS)
				e->seg_override = d->src;
			break;
		}
	}
	if (long64)
		e->addr_bytes = addrsize ? 4 : 8;
	else
		e->addr_bytes = addrsize == wide ? 2 : 4;
	if (e->rex & 8)
		e->op_bytes = 8;
	else
		e->op_bytes = e->opsize_prefix == wide ? 2 : 4;
	return GONDOLA_EMUL_OK;
}

/* The opcode's further bytes, and groups: *row becomes that of the instruction. */
static int parse_opcode(struct gondola_emulator *e, unsigned int *at,
			const struct gondola_insn_desc **row)
{
	const struct gondola_insn_desc *d = *row;
	int r;

	e->opcode_map = 1;
	if (e->opcode == 0x0f) {
		r = need(e, *at + 1);
		if (r)
			return r;
		e->opcode = e->insn[(*at)++];
		e->opcode_map = 2;
		d = &gondola_map2[e->opcode];
		if (unlikely(e->opcode == 0x38 || e->opcode == 0x3a)) {
			e->opcode_map = e->opcode == 0x38 ? 3 : 4;
			r = need(e, *at + 1);
			if (r)
				return r;
			e->opcode = e->insn[(*at)++];
			d = e->opcode_map == 3 ? &gondola_map3[e->opcode] : &gondola_map4[e->opcode];
		}
	}
	while (d->flags & D_BY) {
		unsigned int n;

		if (d->flags & D_BY_PREFIX) {
			n = e->rep == 0xf3 ? 2 : e->rep == 0xf2 ? 3 : e->opsize_prefix;
		} else if (d->flags & D_BY_W) {
			n = e->rex >> 3 & 1;
		} else {
			u8 modrm;

			r = need(e, *at + 1);
			if (r)
				return r;
			modrm = e->insn[*at];
			n = d->flags & D_BY_RM ? modrm & 7 : modrm >> 3 & 7;
			if (d->flags & D_BY_MOD && modrm >= 0xc0)
				n += 8;
		}
		d = &d->rows[n];
	}
	*row = d;
	return GONDOLA_EMUL_OK;
}

static int parse_disp(struct gondola_emulator *e, unsigned int *at, unsigned int bytes)
{
	u32 raw = 0;
	int r = need(e, *at + bytes);

	if (r)
		return r;
	memcpy(&raw, e->insn + *at, bytes);
	*at += bytes;
	e->disp = gondola_sign_extend(raw, bytes);
	return GONDOLA_EMUL_OK;
}

static int parse_address16(struct gondola_emulator *e, unsigned int *at)
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
	return mod ? parse_disp(e, at, mod) : GONDOLA_EMUL_OK;
}

static int parse_address(struct gondola_emulator *e, unsigned int *at)
{
	unsigned int mod = e->modrm >> 6, rm = e->modrm & 7;
	int r;

	e->disp = 0;
	e->rip_relative = false;
	e->seg = GONDOLA_DS;
	if (unlikely(e->addr_bytes == 2)) {
		r = parse_address16(e, at);
		goto out;
	}
	e->index = GONDOLA_NO_REG;
	if (rm == 4) {
		u8 sib;

		r = need(e, *at + 1);
		if (r)
			return r;
		sib = e->insn[(*at)++];
		e->scale = sib >> 6;
		e->index = (sib >> 3 & 7) | (e->rex & 2) << 2;
		if (e->index == R_RSP)
			e->index = GONDOLA_NO_REG;
		rm = sib & 7;
		e->base = rm | (e->rex & 1) << 3;
		if (rm == 5 && mod == 0) {
			e->base = GONDOLA_NO_REG;
			mod = 2;
		}
	} else {
		e->base = rm | (e->rex & 1) << 3;
		if (rm == 5 && mod == 0) {
			e->base = GONDOLA_NO_REG;
			e->rip_relative = gondola_long64(e);
			mod = 2;
		}
	}
	if (e->base == R_RSP || e->base == R_RBP)
		e->seg = GONDOLA_SS;
	r = mod ? parse_disp(e, at, mod == 1 ? 1 : 4) : GONDOLA_EMUL_OK;
out:
	if (unlikely(e->seg_override != GONDOLA_NO_SEG))
		e->seg = e->seg_override;
	return r;
}

static inline unsigned int operand_bytes(const struct gondola_emulator *e, u8 spec)
{
	static const u8 fixed[] = { 0, 1, 2, 4, 8, 16 };

	switch (spec & ~O_MASK) {
	case S_V:
		return e->op_bytes;
	case S_Y:
		return e->rex & 8 ? 8 : 4;
	case S_N:
		return gondola_long64(e) ? 8 : 4;
	default:
		return fixed[spec >> 5];
	}
}

static int parse_immediate(struct gondola_emulator *e, unsigned int *at, u8 spec, bool second)
{
	unsigned int bytes = operand_bytes(e, spec), place = spec & O_MASK;
	u64 raw = 0;
	int r;

	if (place == O_MOFFS)
		bytes = e->addr_bytes;
	else if (bytes == 8 && place != O_IMM64)
		bytes = 4;
	r = need(e, *at + bytes);
	if (r)
		return r;
	memcpy(&raw, e->insn + *at, bytes);
	*at += bytes;
	if (place == O_IMM)
		raw = gondola_sign_extend(raw, bytes);
	if (second)
		e->imm2 = raw;
	else
		e->imm = raw;
	if (place == O_FAR) {
		r = need(e, *at + 2);
		if (r)
			return r;
		e->imm2 = e->insn[*at] | e->insn[*at + 1] << 8;
		*at += 2;
	}
	if (place == O_MOFFS)
		e->seg = e->seg_override == GONDOLA_NO_SEG ? GONDOLA_DS : e->seg_override;
	return GONDOLA_EMUL_OK;
}

/* Is the row defined in this mode, and do we have it? */
static int check_row(struct gondola_emulator *e, const struct gondola_insn_desc *d)
{
	if (d->flags & D_UD || (d->flags & D_NO64 && gondola_long64(e)) ||
	    (d->flags & D_ONLY64 && !gondola_long64(e)) ||
	    (d->flags & D_PROT && !gondola_protected(e)))
		return undefined(e);
	return d->run ? GONDOLA_EMUL_OK : GONDOLA_EMUL_UNKNOWN;
}

int gondola_parse(struct gondola_emulator *e)
{
	const struct gondola_insn_desc *d;
	unsigned int at = 0;
	int r;

	r = fetch(e);
	if (r)
		return r;
	r = parse_prefixes(e, &at, &d);
	if (r)
		return r;
	r = parse_opcode(e, &at, &d);
	if (r)
		return r;
	e->desc = d;
	if (unlikely(!d->run || d->flags & (D_UD | D_NO64 | D_ONLY64 | D_PROT))) {
		r = check_row(e, d);
		if (r)
			return r;
	}
	if (d->flags & (D_DEF64 | D_FORCE64) && gondola_long64(e) &&
	    (d->flags & D_FORCE64 || !e->opsize_prefix))
		e->op_bytes = 8;
	if (likely(d->flags & D_MODRM)) {
		r = need(e, at + 1);
		if (r)
			return r;
		e->modrm = e->insn[at++];
		e->rm_is_reg = e->modrm >= 0xc0 || d->flags & D_RM_REG;
		if (!e->rm_is_reg) {
			r = parse_address(e, &at);
			if (r)
				return r;
		}
	}
	if ((d->dst & O_MASK) >= O_IMM) {
		r = parse_immediate(e, &at, d->dst, false);
		if (r)
			return r;
	}
	if ((d->src & O_MASK) >= O_IMM) {
		r = parse_immediate(e, &at, d->src, (d->dst & O_MASK) >= O_IMM);
		if (r)
			return r;
	}
	if (unlikely((d->src2 & O_MASK) >= O_IMM)) {
		r = parse_immediate(e, &at, d->src2, false);
		if (r)
			return r;
	}
	e->insn_len = at;
	return GONDOLA_EMUL_OK;
}

static u64 effective_address(struct gondola_emulator *e, unsigned int bytes)
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

static int bind_memory(struct gondola_emulator *e, struct gondola_operand *op, u64 ea)
{
	const struct gondola_insn_desc *d = e->desc;

	op->kind = GONDOLA_OPERAND_MEM;
	e->ea = ea;
	if (unlikely(d->flags & D_NOREAD))
		return GONDOLA_EMUL_OK;
	return gondola_linear(e, e->seg, ea, op->bytes, op == &e->dst && d->flags & D_WRITE,
			      &op->la);
}

static void bind_gpr(struct gondola_emulator *e, struct gondola_operand *op, unsigned int reg)
{
	op->kind = GONDOLA_OPERAND_REG;
	op->high = op->bytes == 1 && reg >= 4 && reg < 8 && !e->rex;
	op->reg = op->high ? reg - 4 : reg;
	op->value = (e->regs->gpr[op->reg] >> (op->high ? 8 : 0)) & gondola_mask(op->bytes);
}

static inline void bind_place(struct gondola_operand *op, enum gondola_operand_kind kind,
			      unsigned int reg)
{
	op->kind = kind;
	op->reg = reg;
}

static int bind_operand(struct gondola_emulator *e, struct gondola_operand *op, u8 spec)
{
	unsigned int reg;

	op->bytes = operand_bytes(e, spec);
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
		/* None of these is AH … BH: rAX is 0, rCX 1, rDX 2. */
		bind_gpr(e, op, (spec & O_MASK) - O_A);
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

int gondola_bind(struct gondola_emulator *e)
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
	if (d->src2) {
		r = bind_operand(e, &e->src2, d->src2);
		if (r)
			return r;
	}
	e->dst.kind = GONDOLA_OPERAND_NONE;
	return d->dst ? bind_operand(e, &e->dst, d->dst) : GONDOLA_EMUL_OK;
}

int gondola_decode(struct gondola_emulator *e)
{
	int r = gondola_parse(e);

	return r ? r : gondola_bind(e);
}
