/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The interpreter: decode by tables, execute through operations.  Pure: it
 * knows no VM and no hardware, so it builds for UML, in userspace and in a
 * fuzzer.
 */
#ifndef GONDOLA_EMULATE_H
#define GONDOLA_EMULATE_H

#include <linux/types.h>
#include <uapi/linux/gondola_state.h>
#include "../x86/event.h"
#include "../x86/x86.h"

struct gondola_emulator;
struct gondola_regs;

enum gondola_emul_result {
	GONDOLA_EMUL_OK = 0,		/* the instruction is complete; registers are written */
	GONDOLA_EMUL_FAULT,		/* emulator->exception is to be delivered; nothing else changed */
	/* An operation asked for the launcher's help: leave, and run the same again afterwards. */
	GONDOLA_EMUL_USER,
	GONDOLA_EMUL_RETRY,		/* nothing done: let the guest run the instruction again */
	GONDOLA_EMUL_UNKNOWN,		/* not implemented; emulator->insn holds its bytes */
	GONDOLA_EMUL_ERROR,		/* the host failed */
	GONDOLA_EMUL_SPLIT,		/* only from read and write, see struct gondola_emul_ops */
};

enum gondola_emul_mode {
	GONDOLA_EMUL_REAL, GONDOLA_EMUL_VM86, GONDOLA_EMUL_PROT16, GONDOLA_EMUL_PROT32,
	GONDOLA_EMUL_LONG64,
};

/**
 * struct gondola_emul_ops - what the interpreter needs of the world
 *
 * Addresses are linear, after segmentation; @bytes may cross a page.  Each
 * returns enum gondola_emul_result and fills emulator->exception on FAULT.
 * An instruction does all its reads before its first write, so that USER can
 * be answered by running it again with the read's answer at hand.  A string
 * instruction commits its registers after each chunk.
 *
 * @read and @write get more than 16 bytes only for a chunk of a string
 * instruction, within one page.  If that is not plain memory they may answer
 * GONDOLA_EMUL_SPLIT with nothing done; the interpreter then goes item by
 * item, in the width of the instruction.  A @write of 0 bytes asks whether a
 * write at @la would succeed, and does nothing.
 */
struct gondola_emul_ops {
	/* Up to @bytes of code; *got >= 1 on OK (short at a page that is not there). */
	int (*fetch)(struct gondola_emulator *e, gva_t la, void *buf, unsigned int bytes,
		     unsigned int *got);
	/* @system: an implicit supervisor access (descriptor tables, TSS). */
	int (*read)(struct gondola_emulator *e, gva_t la, void *buf, unsigned int bytes, bool system);
	int (*write)(struct gondola_emulator *e, gva_t la, const void *buf, unsigned int bytes,
		     bool system);
	/* LOCKed read-modify-write: *old in and out; OK with *old unchanged means exchanged. */
	int (*cmpxchg)(struct gondola_emulator *e, gva_t la, void *old, const void *new,
		       unsigned int bytes);
	/* @count items; may do fewer: *done says how many. */
	int (*io)(struct gondola_emulator *e, u16 port, unsigned int width, bool in, void *buf,
		  unsigned int count, unsigned int *done);
	void (*get_segment)(struct gondola_emulator *e, enum gondola_seg seg,
			    struct gondola_segment *out);
	void (*set_segment)(struct gondola_emulator *e, enum gondola_seg seg,
			    const struct gondola_segment *in);
	void (*get_dtable)(struct gondola_emulator *e, bool idt, struct gondola_dtable *out);
	void (*set_dtable)(struct gondola_emulator *e, bool idt, const struct gondola_dtable *in);
	u64 (*get_cr)(struct gondola_emulator *e, unsigned int cr);
	int (*set_cr)(struct gondola_emulator *e, unsigned int cr, u64 value);
	int (*get_dr)(struct gondola_emulator *e, unsigned int dr, u64 *value);
	int (*set_dr)(struct gondola_emulator *e, unsigned int dr, u64 value);
	int (*get_msr)(struct gondola_emulator *e, u32 index, u64 *value);
	int (*set_msr)(struct gondola_emulator *e, u32 index, u64 value);
	void (*cpuid)(struct gondola_emulator *e, u32 *eax, u32 *ebx, u32 *ecx, u32 *edx);
	int (*invlpg)(struct gondola_emulator *e, gva_t la);
	int (*hlt)(struct gondola_emulator *e);
	int (*wbinvd)(struct gondola_emulator *e);
	/*
	 * The STI or MOV SS shadow: 1 or 2 for the next instruction, 0 to clear.  Called when an
	 * instruction completes; NULL if the caller keeps no shadow.
	 */
	void (*set_shadow)(struct gondola_emulator *e, u32 shadow);
	/* 16 bytes of an XMM register, live in the processor or in a saved area. */
	void (*get_xmm)(struct gondola_emulator *e, unsigned int n, void *buf);
	void (*set_xmm)(struct gondola_emulator *e, unsigned int n, const void *buf);
};

enum gondola_operand_kind {
	GONDOLA_OPERAND_NONE, GONDOLA_OPERAND_REG, GONDOLA_OPERAND_MEM, GONDOLA_OPERAND_IMM,
	GONDOLA_OPERAND_SEG, GONDOLA_OPERAND_CR, GONDOLA_OPERAND_DR, GONDOLA_OPERAND_XMM,
};

struct gondola_operand {
	u8 kind;
	u8 bytes;
	u8 reg;			/* number; with @high the AH … BH half of reg */
	bool high;
	gva_t la;		/* MEM: linear address, after the segment was applied */
	u64 value;		/* read, or immediate */
	u64 value_hi;		/* XMM and 16-byte operands */
};

struct gondola_insn_desc;	/* a row of the decode tables */

#define GONDOLA_NO_SEG	0xff
#define GONDOLA_NO_REG	0xff

/**
 * struct gondola_emulator - one instruction under way
 * @ops, @ctx: the caller's
 * @regs: live registers; written only when the instruction (or a string chunk) completes
 * @mode, @cpl: set by the caller before gondola_emulate()
 * @exception: with GONDOLA_EMUL_FAULT
 * @insn, @insn_bytes: what was fetched;  @insn_len: length once decoded
 * @desc: the row of the tables, once decoded
 *
 * The caller may keep one for all instructions, without clearing it between
 * them.  TF is the caller's: a trap is due after an instruction that completed
 * (RIP moved) and began with TF set.
 */
struct gondola_emulator {
	const struct gondola_emul_ops *ops;
	void *ctx;
	struct gondola_regs *regs;
	u8 mode;
	u8 cpl;
	struct gondola_event exception;

	/* What the bytes say, whatever the registers hold (gondola_parse()). */
	u8 insn[40];		/* insn_bytes of them; the decoder looks beyond before it knows better */
	u8 insn_bytes;
	u8 fetch_max;		/* bytes up to the code segment's limit, at most 15 */
	u8 insn_len;
	u8 opcode_map;		/* 1: one byte, 2: 0f, 3: 0f 38, 4: 0f 3a */
	u8 opcode;
	u8 modrm;
	u8 op_bytes;		/* operand size: 2, 4, 8 */
	u8 addr_bytes;		/* address size: 2, 4, 8 */
	u8 rex;
	u8 rep;			/* 0, 0xf2 or 0xf3 */
	bool lock;
	bool opsize_prefix;
	u8 seg_override;	/* enum gondola_seg, or GONDOLA_NO_SEG */
	bool rm_is_reg;
	bool rip_relative;
	u8 seg;			/* of the memory operand */
	u8 index;		/* register, or GONDOLA_NO_REG */
	u8 base;		/* register, or GONDOLA_NO_REG */
	u8 scale;		/* 0 … 3 */
	s32 disp;
	u64 imm;
	u64 imm2;		/* ENTER's level, the selector of a far pointer */
	gva_t fetch_la;		/* linear address of insn[0] */
	const struct gondola_insn_desc *desc;

	/* Its operands (gondola_bind()). */
	u64 ea;			/* offset of the memory operand in its segment */
	struct gondola_operand dst;
	struct gondola_operand src;
	struct gondola_operand src2;

	/* What becomes architectural state when it completes. */
	u32 writeback;
	u8 shadow;
	u8 sp_bytes;
	u64 sp;
	u64 next_rip;
	u64 rflags;

	u8 chunk[GONDOLA_PAGE_SIZE];	/* of a string instruction */
};

/** gondola_parse() - fetch and decode at regs->rip: all that the bytes and the mode determine */
int gondola_parse(struct gondola_emulator *e);
/** gondola_bind() - after gondola_parse(): find the operands by the registers' values */
int gondola_bind(struct gondola_emulator *e);
/** gondola_decode() - parse and bind, without executing */
int gondola_decode(struct gondola_emulator *e);
/** gondola_emulate() - decode and execute one instruction (of a REP: at least one chunk) */
int gondola_emulate(struct gondola_emulator *e);

#endif
