/* SPDX-License-Identifier: GPL-2.0-only */
/* Inside the instruction emulator: the rows of the decode tables, and helpers of the handlers. */
#ifndef GONDOLA_EMULATE_INSN_H
#define GONDOLA_EMULATE_INSN_H

#include <linux/compiler.h>
#include <linux/string.h>
#include <linux/types.h>
#include "x86/regs.h"
#include "x86/x86.h"
#include "emulate.h"

/*
 * A handler computes e->dst.value, e->rflags, e->next_rip and so on.  It may be called again with a
 * new e->dst.value (LOCK).  A handler that writes memory or registers itself does so after all
 * steps that can fail.
 */
typedef int (*gondola_handler)(struct gondola_emulator *e);

/**
 * struct gondola_insn_desc - an instruction, or a further table
 * @run: its handler; NULL: not implemented, unless D_UD says that it is undefined
 * @rows: with D_BY_…: the further table
 * @flags: D_…
 * @dst, @src, @src2: an operand's place O_… and size S_…
 * @arg: class of a prefix; else for the handler
 */
struct gondola_insn_desc {
	union {
		gondola_handler run;
		const struct gondola_insn_desc *rows;
	};
	u32 flags;
	u8 dst;
	u8 src;
	u8 src2;
	u8 arg;
};

#define D_MODRM		BIT(0)
#define D_READ		BIT(1)		/* the destination's old value is used */
#define D_WRITE		BIT(2)		/* the destination is written */
#define D_WRITE_SRC	BIT(3)
#define D_WRITE_SRC2	BIT(4)
#define D_LOCK		BIT(5)		/* LOCK is allowed on memory */
#define D_LOCKED	BIT(6)		/* LOCK is implied on memory */
#define D_PRIV		BIT(7)		/* #GP(0) unless CPL is 0 */
#define D_DEF64		BIT(8)		/* operand size 8 in 64-bit mode, 2 with 66 */
#define D_FORCE64	BIT(9)		/* operand size 8 in 64-bit mode */
#define D_NO64		BIT(10)		/* undefined in 64-bit mode */
#define D_ONLY64	BIT(11)		/* undefined elsewhere */
#define D_PROT		BIT(12)		/* undefined in real and virtual-8086 mode */
#define D_UMIP		BIT(13)		/* #GP(0) if CR4.UMIP and CPL is not 0 */
#define D_SSE		BIT(14)		/* checks CR0.EM, CR0.TS and CR4.OSFXSR */
#define D_ALIGN		BIT(15)		/* #GP(0) if memory is not aligned to 16 */
#define D_RM_REG	BIT(16)		/* ModRM.mod does not matter: a register */
#define D_POP_EA	BIT(17)		/* an address with RSP is computed after the pop */
#define D_BIT		BIT(18)		/* the bit offset in src moves the memory operand */
#define D_NOREAD	BIT(19)		/* memory sources are addressed, not read */
#define D_UD		BIT(20)
#define D_PREFIX	BIT(21)
#define D_BY_PREFIX	BIT(22)		/* rows by none, 66, F3, F2 */
#define D_BY_REG	BIT(23)		/* rows by ModRM.reg */
#define D_BY_MOD	BIT(24)		/* rows by ModRM.reg, plus 8 if ModRM.mod is 3 */
#define D_BY_RM		BIT(25)		/* rows by ModRM.rm */
#define D_BY_W		BIT(26)		/* rows by REX.W */
#define D_IMM		BIT(27)		/* an operand takes bytes after ModRM; set by the tables' macros */
#define D_BY_64		BIT(28)		/* rows by 64-bit mode or not */
#define D_MMX		BIT(29)		/* checks CR0.EM and CR0.TS; begins to use MMX */
#define D_BY		(D_BY_PREFIX | D_BY_REG | D_BY_MOD | D_BY_RM | D_BY_W | D_BY_64)
/* Special needs of some instructions, in the decoder and in the executor. */
#define D_PARSE_RARE	(D_UD | D_NO64 | D_ONLY64 | D_PROT | D_DEF64 | D_FORCE64)
#define D_CHECKS	(D_PRIV | D_UMIP | D_SSE | D_MMX)

/* In e->writeback, beside D_WRITE…: e->sp becomes the stack pointer. */
#define W_SP		BIT(31)

/* The place of an operand.  Those from O_IMM on take bytes after ModRM. */
enum emul_operand_place {
	O_NONE,
	O_E,			/* ModRM.rm: register or memory */
	O_G,			/* ModRM.reg */
	O_M,			/* ModRM.rm, memory only */
	O_R,			/* ModRM.rm, register only */
	O_Z,			/* register in the opcode's low bits */
	O_A, O_C, O_D,		/* rAX, rCX, rDX */
	O_ONE,			/* the constant 1 */
	O_SEG,			/* segment register in ModRM.reg */
	O_CR, O_DR,		/* in ModRM.reg */
	O_V,			/* XMM register in ModRM.reg */
	O_W,			/* XMM register or memory in ModRM.rm */
	O_U,			/* XMM register in ModRM.rm */
	O_P,			/* MMX register in ModRM.reg */
	O_Q,			/* MMX register or memory in ModRM.rm */
	O_N,			/* MMX register in ModRM.rm */
	O_IMM,			/* 1, 2 or 4 bytes, sign-extended to the operand size */
	O_IMMU,			/* zero-extended */
	O_IMM64,		/* all bytes of the operand size */
	O_MOFFS,		/* memory at an address in the instruction */
	O_FAR,			/* offset and selector */
};
#define O_MASK	0x1fu

/* The size of an operand: the operand size, fixed, 4 or 8 by REX.W, 4 or 8 by mode. */
#define S_V	(0u << 5)
#define S_B	(1u << 5)
#define S_2	(2u << 5)
#define S_4	(3u << 5)
#define S_8	(4u << 5)
#define S_16	(5u << 5)
#define S_Y	(6u << 5)
#define S_N	(7u << 5)

enum emul_prefix_class {
	P_LOCK, P_REP, P_OPSIZE, P_ADDRSIZE, P_SEG,
};

extern const struct gondola_insn_desc emul_map1[256];
extern const struct gondola_insn_desc emul_map2[256];
extern const struct gondola_insn_desc emul_map3[256];
extern const struct gondola_insn_desc emul_map4[256];

static inline u64 emul_mask(unsigned int bytes)
{
	return ~0ull >> (64 - 8 * bytes);
}

static inline s64 emul_sign_extend(u64 value, unsigned int bytes)
{
	unsigned int shift = 64 - 8 * bytes;

	return (s64)(value << shift) >> shift;
}

static inline bool emul_long64(const struct gondola_emulator *e)
{
	return e->mode == GONDOLA_EMUL_LONG64;
}

static inline bool emul_protected(const struct gondola_emulator *e)
{
	return e->mode >= GONDOLA_EMUL_PROT16;
}

static inline bool emul_canonical(u64 la)
{
	return (u64)((s64)(la << 16) >> 16) == la;
}

static inline u64 emul_read_gpr(const struct gondola_emulator *e, unsigned int reg,
				unsigned int bytes)
{
	return e->regs->gpr[reg] & emul_mask(bytes);
}

/* A write of 4 bytes clears the upper half, one of fewer keeps the rest. */
static inline void emul_write_gpr(struct gondola_emulator *e, unsigned int reg,
				  unsigned int bytes, u64 value)
{
	u64 keep = bytes >= 4 ? 0 : ~emul_mask(bytes);

	e->regs->gpr[reg] = (e->regs->gpr[reg] & keep) | (value & emul_mask(bytes));
}

/* The address registers of string and LOOP instructions: by address size. */
static inline void emul_add_gpr(struct gondola_emulator *e, unsigned int reg, s64 add)
{
	emul_write_gpr(e, reg, e->insn->addr_bytes, e->regs->gpr[reg] + add);
}

static inline int emul_fault(struct gondola_emulator *e, u8 vector)
{
	e->exception = (struct gondola_event){
		.kind = GONDOLA_EVENT_EXCEPTION, .vector = vector,
	};
	return GONDOLA_EMUL_FAULT;
}

static inline int emul_fault_code(struct gondola_emulator *e, u8 vector, u32 error)
{
	emul_fault(e, vector);
	e->exception.has_error = true;
	e->exception.error = error;
	return GONDOLA_EMUL_FAULT;
}

static inline int emul_gp(struct gondola_emulator *e)
{
	return emul_fault_code(e, VEC_GP, 0);
}

/* Bytes of an operand. */
static inline unsigned int emul_operand_bytes(const struct gondola_insn *insn, u8 spec)
{
	switch (spec & ~O_MASK) {
	case S_V:
		return insn->op_bytes;
	case S_B:
		return 1;
	case S_2:
		return 2;
	case S_4:
		return 4;
	case S_8:
		return 8;
	case S_16:
		return 16;
	case S_Y:
		return insn->rex & 8 ? 8 : 4;
	default:
		return insn->mode == GONDOLA_EMUL_LONG64 ? 8 : 4;
	}
}

/*
 * Only string instructions continue after SPLIT.  Other instructions with a wide operand on a
 * device are UNKNOWN.
 */
static inline int emul_failed(int r)
{
	return r == GONDOLA_EMUL_SPLIT ? GONDOLA_EMUL_UNKNOWN : r;
}

/** emul_decode() - for tests: parse, and find the operands, without executing */
int emul_decode(struct gondola_emulator *e);
/* execute.c: bind and execute e->insn, in the general way. */
int emul_run_any(struct gondola_emulator *e);

/* LOCKed access.  *old: see the operation. */
static inline int emul_exchange(struct gondola_emulator *e, gva_t la, void *old,
				const void *new, unsigned int bytes)
{
	/* The parentheses avoid the kernel's macro of that name. */
	return (e->ops->cmpxchg)(e, la, old, new, bytes);
}

/*
 * 1, 2, 4 or 8 bytes in memory.  User Mode Linux is compiled without builtins, and memcpy() would
 * be a call there.
 */
static inline u64 emul_take(const u8 *p, unsigned int bytes)
{
	u64 v8;
	u32 v4;
	u16 v2;

	switch (bytes) {
	case 1:
		return *p;
	case 2:
		__builtin_memcpy(&v2, p, 2);
		return v2;
	case 4:
		__builtin_memcpy(&v4, p, 4);
		return v4;
	default:
		__builtin_memcpy(&v8, p, 8);
		return v8;
	}
}

/* A segment register: the live one if the caller has given @segments, else a copy. */
static inline const struct gondola_segment *emul_segment(struct gondola_emulator *e, u8 seg,
							     struct gondola_segment *copy)
{
	if (e->segments)
		return &e->segments[seg];
	e->ops->get_segment(e, seg, copy);
	return copy;
}

static inline u64 emul_selector(struct gondola_emulator *e, enum gondola_seg seg)
{
	struct gondola_segment copy;

	return emul_segment(e, seg, &copy)->selector;
}

/* segment.c: limits and rights; loading a selector.  The latter is an instruction's last step. */
int emul_linear_legacy(struct gondola_emulator *e, u8 seg, u64 ea, unsigned int bytes,
		       bool write, gva_t *la);
int emul_load_segment(struct gondola_emulator *e, enum gondola_seg seg, u16 selector);
/* Long mode has 16-byte descriptors of system segments, in compatibility mode too. */
int emul_long_mode_active(struct gondola_emulator *e, bool *is);
/* Protected mode: may @bytes at @ea of this stack segment be written? */
bool emul_stack_inside(const struct gondola_segment *ss, u64 ea, unsigned int bytes);
/* Protected mode: read @bytes of the descriptor that @selector names; *la is its address. */
int emul_read_descriptor(struct gondola_emulator *e, u16 selector, u64 raw[2], unsigned int bytes,
			 gva_t *la);
/*
 * The code segment to which a gate leads: of an event's handler, or of a call.  *cpl: its privilege
 * level; @ext is for error codes.
 */
int emul_handler_segment(struct gondola_emulator *e, u16 selector, u32 ext,
			 struct gondola_segment *s, unsigned int *cpl);
/* The code segment to which a far return or IRET goes.  Its selector has the new privilege level. */
int emul_return_segment(struct gondola_emulator *e, u16 selector, struct gondola_segment *s);
/* The stack segment for @cpl.  @vector is raised if @selector names none. */
int emul_stack_segment(struct gondola_emulator *e, u16 selector, unsigned int cpl, u8 vector,
		       u32 ext, struct gondola_segment *s);
/*
 * A task switch: find the TSS of @selector, which must be @busy or available, and its descriptor.
 * Then look up what the new task's selectors load, at its privilege level in @e->cpl.
 */
int emul_task(struct gondola_emulator *e, u16 selector, bool busy, u8 vector, u32 ext,
	      struct gondola_segment *s, gva_t *la);
int emul_task_ldt(struct gondola_emulator *e, u16 selector, u32 ext, struct gondola_segment *s);
int emul_task_segment(struct gondola_emulator *e, enum gondola_seg seg, u16 selector, u32 ext,
		      struct gondola_segment *s);
/* None of these can fail. */
void emul_null_stack(struct gondola_emulator *e, u16 selector, unsigned int cpl);
void emul_drop_inner_segments(struct gondola_emulator *e, unsigned int cpl);
void emul_load_null(struct gondola_emulator *e, enum gondola_seg seg);
void emul_load_real(struct gondola_emulator *e, enum gondola_seg seg, u16 selector, u32 ar);
/* Not found: there is no such descriptor, or the selector is null. */
int emul_look_up(struct gondola_emulator *e, u16 selector, struct gondola_segment *s,
		 bool *found);
/*
 * Protected mode: the code segment of a transfer that keeps the privilege level.  UNKNOWN: @s is a
 * system descriptor.
 */
int emul_code_segment(struct gondola_emulator *e, u16 selector, struct gondola_segment *s);

/* Translate an offset in a segment to a linear address, with all checks of segmentation. */
static inline int emul_linear(struct gondola_emulator *e, u8 seg, u64 ea, unsigned int bytes,
			      bool write, gva_t *la)
{
	const u64 half = BIT_ULL(47);

	if (unlikely(!emul_long64(e)))
		return emul_linear_legacy(e, seg, ea, bytes, write, la);
	if (unlikely(seg >= GONDOLA_FS)) {
		struct gondola_segment copy;

		ea += emul_segment(e, seg, &copy)->base;
	}
	*la = ea;
	/* Are both ends canonical, from -2^47 to 2^47 - 1? */
	if (unlikely(((ea + half) | (ea + half + bytes - 1)) >> 48))
		return emul_fault_code(e, seg == GONDOLA_SS ? VEC_SS : VEC_GP, 0);
	return GONDOLA_EMUL_OK;
}

/* The only entry that may translate @la. */
static inline const struct gondola_tlb_entry *emul_tlb(const struct gondola_emulator *e,
						       gva_t la)
{
	return &e->tlb[la >> GONDOLA_PAGE_SHIFT & (GONDOLA_TLB_ENTRIES - 1)];
}

static inline bool emul_in_page(gva_t la, unsigned int bytes)
{
	return (la & ~GONDOLA_PAGE_MASK) + bytes <= GONDOLA_PAGE_SIZE;
}

/* Other vCPUs may change an operand in memory: access it once. */
static __always_inline u64 emul_load(const u8 *at, unsigned int bytes)
{
	switch (bytes) {
	case 8:
		return READ_ONCE(*(const u64 *)at);
	case 4:
		return READ_ONCE(*(const u32 *)at);
	case 2:
		return READ_ONCE(*(const u16 *)at);
	default:
		return READ_ONCE(*at);
	}
}

static __always_inline void emul_store(u8 *at, u64 value, unsigned int bytes)
{
	switch (bytes) {
	case 8:
		WRITE_ONCE(*(u64 *)at, value);
		break;
	case 4:
		WRITE_ONCE(*(u32 *)at, value);
		break;
	case 2:
		WRITE_ONCE(*(u16 *)at, value);
		break;
	default:
		WRITE_ONCE(*at, value);
	}
}

/* An operand of 1, 2, 4 or 8 bytes; *value is zero-extended. */
static inline int emul_read(struct gondola_emulator *e, gva_t la, u64 *value,
			    unsigned int bytes)
{
	if (likely(e->tlb)) {
		const struct gondola_tlb_entry *t = emul_tlb(e, la);

		if (likely(t->read == (la & GONDOLA_PAGE_MASK) && emul_in_page(la, bytes))) {
			const u8 *at = t->host + (la & ~GONDOLA_PAGE_MASK);

			*value = emul_load(at, bytes);
			return GONDOLA_EMUL_OK;
		}
	}
	*value = 0;
	return e->ops->read(e, la, value, bytes, false);
}

/*
 * Read an operand that is written afterwards.  A fault is reported as one of a write; else a second
 * fault would follow once the page can be read.  Only engines of whole guests see the first access
 * to a page.
 */
static inline int emul_read_to_modify(struct gondola_emulator *e, gva_t la, u64 *value,
				      unsigned int bytes)
{
	if (likely(e->tlb) && unlikely(emul_tlb(e, la)->write != (la & GONDOLA_PAGE_MASK))) {
		int r = e->ops->write(e, la, value, 0, false);

		if (r)
			return r;
	}
	return emul_read(e, la, value, bytes);
}

static inline int emul_write(struct gondola_emulator *e, gva_t la, u64 value,
			     unsigned int bytes)
{
	if (likely(e->tlb)) {
		const struct gondola_tlb_entry *t = emul_tlb(e, la);

		if (likely(t->write == (la & GONDOLA_PAGE_MASK) && emul_in_page(la, bytes))) {
			u8 *at = t->host + (la & ~GONDOLA_PAGE_MASK);

			emul_store(at, value, bytes);
			return GONDOLA_EMUL_OK;
		}
	}
	return e->ops->write(e, la, &value, bytes, false);
}

/* The memory operand's offset in its segment.  The source is bound already. */
static inline u64 emul_effective_address(struct gondola_emulator *e, unsigned int bytes)
{
	const struct gondola_insn_desc *d = e->insn->desc;
	u64 ea = (s64)e->insn->disp;

	if (e->insn->base != GONDOLA_NO_REG)
		ea += e->regs->gpr[e->insn->base];
	if (e->insn->index != GONDOLA_NO_REG)
		ea += e->regs->gpr[e->insn->index] << e->insn->scale;
	if (e->insn->rip_relative)
		ea += e->regs->rip + e->insn->len;
	if (unlikely(d->flags & (D_BIT | D_POP_EA))) {
		if (d->flags & D_BIT) {
			s64 bit = emul_sign_extend(e->src.value, bytes);

			ea += (bit >> 3) & ~(s64)(bytes - 1);
		} else if (e->insn->base == R_RSP) {
			ea += bytes;
		}
	}
	return ea & emul_mask(e->insn->addr_bytes);
}

/*
 * shape.c: choose the quickest way to execute it.  @quick: segments are live, and the caller looks
 * at the shadow itself.
 */
void emul_choose_run(struct gondola_insn *insn, bool quick);
/* quick.c: a function for operands of these kinds; NULL: there is none. */
int (*emul_quick_run(struct gondola_insn *insn, unsigned int dst,
		     unsigned int src))(struct gondola_emulator *e);

/* Do the flags fulfil the condition in the low four bits of an opcode? */
static __always_inline bool emul_condition_met(u64 f, u8 opcode)
{
	bool yes;

	switch (opcode >> 1 & 7) {
	case 0:
		yes = f & RFL_OF;
		break;
	case 1:
		yes = f & RFL_CF;
		break;
	case 2:
		yes = f & RFL_ZF;
		break;
	case 3:
		yes = f & (RFL_CF | RFL_ZF);
		break;
	case 4:
		yes = f & RFL_SF;
		break;
	case 5:
		yes = f & RFL_PF;
		break;
	case 6:
		yes = !(f & RFL_SF) != !(f & RFL_OF);
		break;
	default:
		yes = f & RFL_ZF || !(f & RFL_SF) != !(f & RFL_OF);
		break;
	}
	return yes != (opcode & 1);
}

/* stack.c: size of the stack pointer, and accesses relative to it. */
unsigned int emul_stack_bytes(struct gondola_emulator *e);
int emul_stack_read(struct gondola_emulator *e, u64 sp, u64 *value, unsigned int bytes);
int emul_stack_write(struct gondola_emulator *e, u64 sp, u64 value, unsigned int bytes);
/* Sets next_rip; faults if it is beyond the code segment. */
int emul_branch(struct gondola_emulator *e, u64 target);

/* system.c: may this port be used at the present privilege? */
int emul_check_io(struct gondola_emulator *e, u16 port, unsigned int width);

/*
 * virtual_if.c: has this program VIF for IF?  Its flags as it sees them; set VIF by the IF in @flags,
 * with the faults of POPF; does its INT go to a handler of its own?
 */
/* The TSS, and where its bitmap of ports begins: 0, a fault if it has none, or as a read. */
int emul_io_bitmap(struct gondola_emulator *e, struct gondola_segment *tss, u16 *base);
bool emul_has_vif(struct gondola_emulator *e);
u64 emul_flags_with_vif(const struct gondola_emulator *e);
int emul_set_vif(struct gondola_emulator *e, u64 flags);
int emul_redirected(struct gondola_emulator *e, u8 vector, bool *redirected);

/*
 * fpu_state.c: may MMX be used, and is there an FPU?  Its registers; the effect of each MMX
 * instruction on x87 state.
 */
int emul_check_mmx(struct gondola_emulator *e);
u64 emul_read_mmx(const struct gondola_emulator *e, unsigned int reg);
void emul_begin_mmx(struct gondola_emulator *e);
/* After that. */
void emul_write_mmx(struct gondola_emulator *e, unsigned int reg, u64 value);

/* alu.c: set ZF, SF and PF for a result and keep the other flags. */
u64 emul_flags_result(u64 rflags, u64 result, unsigned int bytes);
u64 emul_flags_sub(u64 rflags, u64 a, u64 b, u64 result, unsigned int bytes);

/* task.c */
enum emul_task_way {
	EMUL_TASK_JUMP,		/* the old task is no longer busy */
	EMUL_TASK_NEST,		/* CALL and events: IRET returns to the old task */
	EMUL_TASK_RETURN,	/* IRET with RFLAGS.NT */
};

/**
 * emul_switch_task() - leave the present task for another one
 * @selector: of its TSS; not used by RETURN, which goes where the present TSS says
 * @rip: where the present task resumes
 * @rflags: flags with which it resumes
 * @event: its error code is pushed on the new task's stack; or NULL
 * @ext: EXT or 0, for error codes
 *
 * FAULT: nothing has changed; or, if gondola_emul_ops.new_task() was called, the new task begins
 * with @e->exception.  UNKNOWN: the caller switches no tasks.
 */
int emul_switch_task(struct gondola_emulator *e, u16 selector, enum emul_task_way way, u64 rip,
		     u64 rflags, const struct gondola_event *event, u32 ext);

/* Handlers of instructions, which the tables name, by file. */
#define OP(name) int emul_op_##name(struct gondola_emulator *e)

/* move.c */
OP(mov); OP(movsx); OP(movsxd); OP(lea); OP(xchg); OP(cmpxchg8b); OP(xchg_or_nop); OP(bswap);
OP(movbe); OP(crc32); OP(setcc); OP(cmov); OP(cbw); OP(cwd); OP(xlat); OP(lahf); OP(sahf);
OP(flag); OP(nop); OP(mov_from_seg); OP(mov_to_seg); OP(load_far);

/* alu.c */
OP(add); OP(or); OP(adc); OP(sbb); OP(and); OP(sub); OP(xor); OP(cmp); OP(test); OP(inc); OP(dec);
OP(not); OP(neg); OP(cmpxchg); OP(xadd);

/* shift.c: shifts, rotates and bits */
OP(rol); OP(ror); OP(rcl); OP(rcr); OP(shl); OP(shr); OP(sar); OP(shld); OP(shrd); OP(bt);
OP(bts); OP(btr); OP(btc); OP(bsf); OP(bsr); OP(tzcnt); OP(lzcnt); OP(popcnt);

/* multiply.c */
OP(mul); OP(imul); OP(imul2); OP(div); OP(idiv);

/* stack.c */
OP(push); OP(pop); OP(push_seg); OP(pop_seg); OP(pusha); OP(popa); OP(pushf); OP(popf); OP(enter);
OP(leave); OP(jmp); OP(jmp_abs); OP(jcc); OP(jcxz); OP(loop); OP(call); OP(call_abs); OP(ret);
bool emul_condition(const struct gondola_emulator *e);

/* deliver.c */
OP(int); OP(int3); OP(int1); OP(into);
/* Jump through the call gate of @selector, or call it.  The caller checked the gate's rights. */
int emul_call_gate(struct gondola_emulator *e, u16 selector, bool is_call);
/* far.c */
OP(jmp_far); OP(jmp_far_mem); OP(call_far); OP(call_far_mem); OP(ret_far); OP(iret);

/* fast_call.c */
OP(syscall); OP(sysret); OP(sysenter); OP(sysexit);

/* string.c */
OP(movs); OP(stos); OP(lods); OP(cmps); OP(scas); OP(ins); OP(outs);

/* system.c */
OP(in); OP(out); OP(cli); OP(sti); OP(hlt); OP(clts); OP(wbinvd); OP(cpuid); OP(rdmsr); OP(wrmsr);
OP(rdtsc); OP(rdtscp); OP(rdpid); OP(rdpmc); OP(invpcid); OP(base); OP(ac); OP(hypercall);
OP(look_up); OP(verify); OP(read_cr); OP(write_cr); OP(read_dr); OP(write_dr); OP(smsw); OP(lmsw);
OP(invlpg); OP(swapgs); OP(store_dtable); OP(load_dtable); OP(store_sysseg); OP(load_sysseg);

/* xmm.c */
OP(movx); OP(movx_low); OP(movq); OP(movx_half); OP(movx_store_high); OP(movx_cross); OP(pshufd);
OP(pshufw); OP(shufps); OP(shufpd); OP(shift_bytes); OP(pinsrw); OP(pextrw); OP(movmsk);
OP(maskmov);

/* sse.c */
OP(sse_int); OP(mmx_int); OP(sse_float); OP(sse_compare); OP(sse_from_int); OP(sse_to_int);
OP(sse_flags); OP(sse_mmx); OP(sse_shift);

/* x87.c */
OP(x87); OP(fwait);

/* fpu_state.c */
OP(fxsave); OP(fxrstor); OP(ldmxcsr); OP(stmxcsr); OP(emms); OP(xgetbv); OP(xsetbv);

/* legacy.c */
OP(daa); OP(aaa); OP(aam); OP(aad); OP(salc); OP(bound); OP(arpl);

#undef OP

#endif
