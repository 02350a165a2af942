// SPDX-License-Identifier: GPL-2.0-only
/*
 * x87: the host's processor executes the instruction on the guest's registers, with a copy of the
 * memory operand.  A pending exception is raised before, so the host never meets one.
 */
#include "insn.h"

#define BEFORE_STORE	0x1fu		/* of these exceptions, an unmasked one prevents the store */
#define X87_BYTES	160u		/* the part of the image without MXCSR and XMM */
#define ENV_BYTES	28u		/* the environment in protected mode, 32 bits */
#define SAVE_BYTES	108u
#define ENV_WORDS	7u

#define STORES		0x80u		/* flag beside the size: memory is written */
#define UNDEFINED	0u

/* Size of the memory operand, by opcode - d8 and ModRM.reg. */
static const u8 memory_operand[8][8] = {
	{ 4, 4, 4, 4, 4, 4, 4, 4 },
	{ 4, UNDEFINED, STORES | 4, STORES | 4, ENV_BYTES, 2, STORES | ENV_BYTES, STORES | 2 },
	{ 4, 4, 4, 4, 4, 4, 4, 4 },
	{ 4, STORES | 4, STORES | 4, STORES | 4, UNDEFINED, 10, UNDEFINED, STORES | 10 },
	{ 8, 8, 8, 8, 8, 8, 8, 8 },
	{ 8, STORES | 8, STORES | 8, STORES | 8, SAVE_BYTES, UNDEFINED, STORES | SAVE_BYTES,
	  STORES | 2 },
	{ 2, 2, 2, 2, 2, 2, 2, 2 },
	{ 2, STORES | 2, STORES | 2, STORES | 2, 10, 8, STORES | 10, STORES | 8 },
};

/* Which register forms there are: bit ModRM & 3f, by opcode - d8. */
static const u64 register_forms[8] = {
	~0ull,
	0xffff7f330001ffffull,			/* FLD, FXCH, FNOP, FCHS … FCOS */
	0x00000200ffffffffull,			/* FCMOVcc, FUCOMPP */
	0x00ffff1fffffffffull,			/* FCMOVNcc, FNCLEX, FNINIT, FUCOMI, FCOMI */
	0xffffffff0000ffffull,
	0x0000ffffffff00ffull,			/* FFREE, FST, FSTP, FUCOM, FUCOMP */
	0xffffffff0200ffffull,
	0x00ffff01000000ffull,			/* FFREEP, FNSTSW AX, FUCOMIP, FCOMIP */
};

/* Control instructions neither raise pending exceptions nor record their address. */
static bool is_control(u8 opcode, u8 modrm)
{
	u8 reg = modrm >> 3 & 7;

	if (modrm >= 0xc0)
		return (opcode == 0xdb && modrm >= 0xe0 && modrm <= 0xe4) ||
		       (opcode == 0xdf && modrm == 0xe0);
	switch (opcode) {
	case 0xd9:
		return reg >= 4;
	case 0xdd:
		return reg == 4 || reg >= 6;
	default:
		return false;
	}
}

/* FLDENV, FLDCW and FRSTOR wait although they are control instructions. */
static bool waits(u8 opcode, u8 modrm)
{
	u8 reg = modrm >> 3 & 7;

	if (!is_control(opcode, modrm))
		return true;
	return modrm < 0xc0 &&
	       ((opcode == 0xd9 && (reg == 4 || reg == 5)) || (opcode == 0xdd && reg == 4));
}

static int check_pending(struct gondola_emulator *e)
{
	return gondola_x87_pending(e->fpu) ? emul_fault(e, VEC_MF) : GONDOLA_EMUL_OK;
}

#define ONE(op, rm)							\
	case (op) << 8 | (rm):						\
		asm volatile("sahf\n\t.byte %c2, %c3\n\tlahf"		\
			     : "+a" (flags) : "D" (memory), "i" (op), "i" (rm) : "memory", "cc"); \
		break;
#define FOUR(op, rm)	ONE(op, rm) ONE(op, (rm) + 1) ONE(op, (rm) + 2) ONE(op, (rm) + 3)
#define SIXTEEN(op, rm)	FOUR(op, rm) FOUR(op, (rm) + 4) FOUR(op, (rm) + 8) FOUR(op, (rm) + 12)
/* Memory forms have their operand at (RDI). */
#define MEMORY(op)							\
	ONE(op, 0x07) ONE(op, 0x0f) ONE(op, 0x17) ONE(op, 0x1f)		\
	ONE(op, 0x27) ONE(op, 0x2f) ONE(op, 0x37) ONE(op, 0x3f)
#define OPCODE(op)	MEMORY(op) SIXTEEN(op, 0xc0) SIXTEEN(op, 0xd0) SIXTEEN(op, 0xe0) \
	SIXTEEN(op, 0xf0)

/* @flags: EFLAGS in AH.  The caller knows that the form exists. */
static noinline u32 on_processor(unsigned int form, void *memory, u32 flags)
{
	switch (form) {
	OPCODE(0xd8)
	OPCODE(0xd9)
	OPCODE(0xda)
	OPCODE(0xdb)
	OPCODE(0xdc)
	OPCODE(0xdd)
	OPCODE(0xde)
	OPCODE(0xdf)
	}
	return flags;
}

/* Loads the guest's registers from @in, and stores them to @out afterwards. */
static u32 run_on_processor(struct gondola_emulator *e, unsigned int form, void *memory,
			    const struct gondola_fxsave *in, struct gondola_fxsave *out)
{
	u32 flags = (e->rflags & 0xff) << 8, mxcsr;
	u16 fcw;

	if (e->ops->fpu_begin)
		e->ops->fpu_begin(e);
	asm volatile("fnstcw %0\n\tstmxcsr %1" : "=m" (fcw), "=m" (mxcsr));
	asm volatile("fxrstor64 %0" : : "m" (*in));
	flags = on_processor(form, memory, flags);
	asm volatile("fxsave64 %0" : "=m" (*out));
	asm volatile("fninit\n\tfldcw %0\n\tldmxcsr %1" : : "m" (fcw), "m" (mxcsr));
	if (e->ops->fpu_end)
		e->ops->fpu_end(e);
	return flags >> 8 & 0xff;
}

/* The address of the last instruction must be the guest's, not ours. */
static void put_pointers(const struct gondola_fxsave *fpu, u8 *environment)
{
	const u32 words[4] = { fpu->fip, (u32)fpu->fop << 16, fpu->fdp, 0xffff0000 };

	memcpy(environment + 12, words, sizeof(words));
}

static void take_pointers(struct gondola_fxsave *fpu, const u8 *environment)
{
	u32 words[4];

	memcpy(words, environment + 12, sizeof(words));
	fpu->fip = words[0];
	fpu->fop = words[1] >> 16 & 0x7ff;
	fpu->fdp = words[2];
}

/*
 * With an operand size of 16 bits the environment's words have 16, and the opcode is left out.
 * Outside of protected mode it is kept, beside the upper bits of each pointer.
 */
static bool has_other_layout(const struct gondola_emulator *e)
{
	return e->insn->op_bytes == 2 || !emul_protected(e);
}

static unsigned int less_bytes(const struct gondola_emulator *e)
{
	return e->insn->op_bytes == 2 ? ENV_BYTES / 2 : 0;
}

static void to_other_layout(const struct gondola_emulator *e, u8 *memory)
{
	const bool real = !emul_protected(e);
	u32 words[ENV_WORDS];
	unsigned int i;
	u16 narrow;

	memcpy(words, memory, ENV_BYTES);
	if (real) {
		words[4] = words[4] >> 16 | words[3] >> 16 << 12;
		words[6] = words[5] >> 16 << 12;
		words[3] |= 0xffff0000;
		words[5] |= 0xffff0000;
	}
	if (e->insn->op_bytes != 2) {
		memcpy(memory, words, ENV_BYTES);
		return;
	}
	for (i = 0; i < ENV_WORDS; i++) {
		narrow = words[i];
		memcpy(memory + 2 * i, &narrow, 2);
	}
	memmove(memory + ENV_BYTES / 2, memory + ENV_BYTES, SAVE_BYTES - ENV_BYTES);
}

static void from_other_layout(const struct gondola_emulator *e, u8 *memory)
{
	const bool real = !emul_protected(e);
	u32 words[ENV_WORDS] = { 0 };
	unsigned int i;

	if (e->insn->op_bytes != 2) {
		memcpy(words, memory, ENV_BYTES);
	} else {
		for (i = 0; i < ENV_WORDS; i++)
			memcpy(&words[i], memory + 2 * i, 2);
		memmove(memory + ENV_BYTES, memory + ENV_BYTES / 2, SAVE_BYTES - ENV_BYTES);
	}
	if (real) {
		words[3] = (words[3] & 0xffff) | words[4] >> 12 << 16;
		words[5] = (words[5] & 0xffff) | words[6] >> 12 << 16;
		words[4] <<= 16;
	} else {
		words[4] = 0;
	}
	memcpy(memory, words, ENV_BYTES);
}

static void note_pointers(struct gondola_emulator *e, struct gondola_fxsave *fpu)
{
	const struct gondola_insn *insn = e->insn;

	fpu->fip = e->regs->rip;
	fpu->fop = (insn->opcode & 7) << 8 | insn->modrm;
	if (!insn->rm_is_reg)
		fpu->fdp = e->ea;
}

static bool sets_flags(u8 opcode, u8 modrm)
{
	return (opcode == 0xdb || opcode == 0xdf) && modrm >= 0xe8;
}

static bool was_stored(const struct gondola_fxsave *fpu, bool control)
{
	return control || !(fpu->fsw & ~fpu->fcw & BEFORE_STORE);
}

static int run(struct gondola_emulator *e, u8 *memory, unsigned int bytes, bool stores, gva_t la)
{
	const struct gondola_insn *insn = e->insn;
	/* Room in the chunk, aligned as FXSAVE wants it. */
	struct gondola_fxsave *out = (void *)(((uintptr_t)e->chunk + 63) & ~63ull);
	u8 rm = insn->rm_is_reg ? insn->modrm : (insn->modrm & 0x38) | 7;
	bool control = is_control(insn->opcode, insn->modrm);
	u32 flags;
	int r;

	flags = run_on_processor(e, insn->opcode << 8 | rm, memory, e->fpu, out);
	out->fip = e->fpu->fip;
	out->fdp = e->fpu->fdp;
	out->fop = e->fpu->fop;
	gondola_x87_settle(out);
	if (bytes >= ENV_BYTES && !stores)
		take_pointers(out, memory);
	else if (!control)
		note_pointers(e, out);
	if (stores) {
		unsigned int written = bytes;

		if (bytes >= ENV_BYTES) {
			put_pointers(e->fpu, memory);
			if (has_other_layout(e)) {
				to_other_layout(e, memory);
				written -= less_bytes(e);
			}
		}
		if (bytes == SAVE_BYTES || (insn->opcode == 0xdb && insn->modrm == 0xe3))
			out->fip = out->fdp = out->fop = 0;
		r = was_stored(out, control) ? e->ops->write(e, la, memory, written, false) : 0;
		if (r)
			return r;
	}
	if (insn->rm_is_reg && sets_flags(insn->opcode, insn->modrm)) {
		const u64 set = RFL_CF | RFL_PF | RFL_ZF;

		e->rflags &= ~(set | RFL_AF | RFL_SF | RFL_OF);
		e->rflags |= flags & set;
	}
	out->mxcsr = e->fpu->mxcsr;
	out->mxcsr_mask = e->fpu->mxcsr_mask;
	memcpy(e->fpu, out, X87_BYTES);
	return GONDOLA_EMUL_OK;
}

static int memory_form(struct gondola_emulator *e)
{
	const struct gondola_insn *insn = e->insn;
	u8 operand = memory_operand[insn->opcode - 0xd8][insn->modrm >> 3 & 7];
	unsigned int bytes = operand & ~STORES;
	bool stores = operand & STORES, other;
	u8 memory[SAVE_BYTES + 4];
	unsigned int there;
	gva_t la;
	int r;

	if (bytes == UNDEFINED)
		return emul_fault(e, VEC_UD);
	other = bytes >= ENV_BYTES && has_other_layout(e);
	there = other ? bytes - less_bytes(e) : bytes;
	r = emul_linear(e, insn->seg, e->ea, there, stores, &la);
	if (r)
		return r;
	memset(memory, 0, sizeof(memory));
	if (!stores) {
		r = e->ops->read(e, la, memory, there, false);
		if (r)
			return r;
		if (other)
			from_other_layout(e, memory);
	}
	return run(e, memory, bytes, stores, la);
}

int emul_op_x87(struct gondola_emulator *e)
{
	const struct gondola_insn *insn = e->insn;
	int r;

	if (e->ops->get_cr(e, 0) & (CR0_EM | CR0_TS))
		return emul_fault(e, VEC_NM);
	if (!e->fpu)
		return GONDOLA_EMUL_UNKNOWN;
	if (waits(insn->opcode, insn->modrm)) {
		r = check_pending(e);
		if (r)
			return r;
	}
	if (!insn->rm_is_reg)
		return memory_form(e);
	if (!(register_forms[insn->opcode - 0xd8] >> (insn->modrm & 0x3f) & 1))
		return GONDOLA_EMUL_UNKNOWN;
	/* FNENI, FNDISI and FNSETPM do nothing since the 80387. */
	if (insn->opcode == 0xdb && (insn->modrm <= 0xe1 || insn->modrm == 0xe4) &&
	    insn->modrm >= 0xe0)
		return GONDOLA_EMUL_OK;
	if (insn->opcode == 0xdf && insn->modrm == 0xe0) {
		emul_write_gpr(e, R_RAX, 2, e->fpu->fsw);
		return GONDOLA_EMUL_OK;
	}
	return run(e, NULL, 0, false, 0);
}

int emul_op_fwait(struct gondola_emulator *e)
{
	const u64 both = CR0_MP | CR0_TS;

	if ((e->ops->get_cr(e, 0) & both) == both)
		return emul_fault(e, VEC_NM);
	return e->fpu ? check_pending(e) : GONDOLA_EMUL_UNKNOWN;
}
