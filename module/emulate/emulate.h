/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The instruction emulator.  It decodes by tables, and reaches the world through operations alone.
 * It knows no VM and no hardware, so it also builds for UML, in userspace and in a fuzzer.
 */
#ifndef GONDOLA_EMULATE_H
#define GONDOLA_EMULATE_H

#include <linux/compiler.h>
#include <linux/types.h>
#include <uapi/linux/gondola_state.h>
#include "x86/event.h"
#include "x86/regs.h"
#include "x86/x86.h"

struct gondola_emulator;

enum gondola_emul_result {
	GONDOLA_EMUL_OK = 0,		/* the instruction is complete; registers are written */
	GONDOLA_EMUL_FAULT,		/* emulator->exception is to be delivered; nothing else changed */
	/* An operation needs the launcher: exit to it, and run the same instruction again afterwards. */
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
 * struct gondola_emul_ops - the emulator's access to memory, registers and devices
 *
 * Addresses are linear, after segmentation; @bytes may cross a page.  Each
 * returns enum gondola_emul_result and fills emulator->exception on FAULT.
 * An instruction does all its reads before its first write.  After USER it is run again from its
 * start, and finds the answer to its read.  A string instruction commits its registers after each
 * chunk.
 *
 * @read and @write get more than 16 bytes only for a chunk of a string
 * instruction, within one page.  Where that is not plain memory they may do nothing and answer
 * GONDOLA_EMUL_SPLIT.  The emulator then accesses item by item, in the width of the instruction.  A
 * @write of 0 bytes asks whether a write at @la would succeed, and does nothing.
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
	/* @count items; it may do fewer, and returns the number in *done. */
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
	int (*cpuid)(struct gondola_emulator *e, u32 *eax, u32 *ebx, u32 *ecx, u32 *edx);
	int (*invlpg)(struct gondola_emulator *e, gva_t la);
	int (*hlt)(struct gondola_emulator *e);
	int (*wbinvd)(struct gondola_emulator *e);
	/*
	 * Set the interrupt shadow for the next instruction: 1 after STI, 2 after MOV SS, 0 for
	 * none.  Called when an instruction completes.  NULL if the caller keeps no shadow, or
	 * looks at emulator->shadow.
	 */
	void (*set_shadow)(struct gondola_emulator *e, u32 shadow);
	/* The 16 bytes of an XMM register, in the processor or in a saved area. */
	void (*get_xmm)(struct gondola_emulator *e, unsigned int n, void *buf);
	void (*set_xmm)(struct gondola_emulator *e, unsigned int n, const void *buf);

	/* The operations below may be NULL: only an engine that interprets whole guests needs them. */

	/* An IRET completes: NMIs are no longer blocked. */
	void (*iret)(struct gondola_emulator *e);
	/*
	 * A task switch.  @enter_space loads CR3 with @cr3.  @swap_space exchanges the new and the
	 * old CR3 and reads no tables.  @new_task is called when the registers are the new task's:
	 * it sets CR0.TS and drops the breakpoints that DR7 enables for one task.  If the task
	 * @traps, #DB follows with DR6.BT.  NULL: no tasks are switched.
	 */
	int (*enter_space)(struct gondola_emulator *e, u64 cr3);
	void (*swap_space)(struct gondola_emulator *e);
	void (*new_task)(struct gondola_emulator *e, bool traps);
	/* VMCALL or VMMCALL.  NULL: #UD. */
	int (*hypercall)(struct gondola_emulator *e);
	/*
	 * SYSCALL: OK: it is the guest's own; else it is not executed, with this result.  NULL: it is
	 * the guest's.
	 */
	int (*syscall)(struct gondola_emulator *e);
	/* INVPCID of @type with its descriptor; NULL: #UD. */
	int (*invpcid)(struct gondola_emulator *e, u64 type, u64 pcid, gva_t la);
	/* XCR0, for XGETBV and XSETBV; NULL: #UD. */
	int (*get_xcr)(struct gondola_emulator *e, u32 index, u64 *value);
	int (*set_xcr)(struct gondola_emulator *e, u32 index, u64 value);
	/* Around the use of the processor's own FPU: kernel_fpu_begin() and its end. */
	void (*fpu_begin)(struct gondola_emulator *e);
	void (*fpu_end)(struct gondola_emulator *e);
};

/**
 * struct gondola_fxsave - x87, MXCSR and XMM registers, as FXSAVE with REX.W writes them
 *
 * @tag has one bit for each physical register, set if it is not empty; @st are
 * relative to the top of the stack.
 */
struct gondola_fxsave {
	u16 fcw;
	u16 fsw;
	u8 tag;
	u8 pad;
	u16 fop;
	u64 fip;
	u64 fdp;
	u32 mxcsr;
	u32 mxcsr_mask;
	u8 st[8][16];
	u64 xmm[16][2];
	u8 rest[96];
} __aligned(64);

#define GONDOLA_FSW_EXCEPTIONS	0x3fu	/* in @fsw as in @fcw */
#define GONDOLA_FSW_ES		0x80u	/* an exception is noted and not masked */
#define GONDOLA_FSW_B		0x8000u	/* the same as ES */

/** gondola_x87_pending() - must the next x87 instruction that waits raise #MF? */
static inline bool gondola_x87_pending(const struct gondola_fxsave *fpu)
{
	return fpu->fsw & ~fpu->fcw & GONDOLA_FSW_EXCEPTIONS;
}

/**
 * gondola_x87_settle() - derive ES and B from the flags and their masks
 *
 * A processor does so when it loads an image.  Every image from outside passes through here.
 */
static inline void gondola_x87_settle(struct gondola_fxsave *fpu)
{
	fpu->fsw &= ~(GONDOLA_FSW_ES | GONDOLA_FSW_B);
	if (gondola_x87_pending(fpu))
		fpu->fsw |= GONDOLA_FSW_ES | GONDOLA_FSW_B;
}

#define GONDOLA_TLB_ENTRIES	512u	/* a power of two */

/**
 * struct gondola_tlb_entry - a translation for reads and writes that need not call @ops
 * @read, @write: linear address of the page if it may be read (written), else GONDOLA_TLB_NONE
 * @host: where its bytes are
 *
 * An entry is at index (address / page size) % GONDOLA_TLB_ENTRIES.  The caller fills it from an
 * operation, and drops it.  A page with cached instructions or a page table has no @write, since
 * writes to it must be noticed.
 */
struct gondola_tlb_entry {
	gva_t read;
	gva_t write;
	u8 *host;
};
#define GONDOLA_TLB_NONE	1ull

enum gondola_operand_kind {
	GONDOLA_OPERAND_NONE, GONDOLA_OPERAND_REG, GONDOLA_OPERAND_MEM, GONDOLA_OPERAND_IMM,
	GONDOLA_OPERAND_SEG, GONDOLA_OPERAND_CR, GONDOLA_OPERAND_DR, GONDOLA_OPERAND_XMM,
	GONDOLA_OPERAND_MMX,
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
 * struct gondola_insn - a decoded instruction, as far as its bytes and the mode determine it
 * @desc: the row of the tables
 * @run: how it is executed
 * @imm: first immediate, or address in the instruction
 * @imm2: second one: ENTER's level, the selector of a far pointer
 * @disp: displacement
 * @len: its bytes
 * @mode: the mode it was decoded for; in another the bytes mean something else
 * @opcode_map: 1: one byte, 2: 0f, 3: 0f 38, 4: 0f 3a
 * @op_bytes: operand size: 2, 4, 8
 * @addr_bytes: address size: 2, 4, 8
 * @rep: 0, 0xf2 or 0xf3
 * @seg_override: enum gondola_seg, or GONDOLA_NO_SEG
 * @seg: of the memory operand
 * @index, @base: register, or GONDOLA_NO_REG
 * @scale: 0 … 3
 * @dst_reg, @dst_bytes, @src_reg, @src_bytes: for @run
 *
 * It does not depend on its address: it may be kept, and executed wherever the same bytes are
 * found.
 */
struct gondola_insn {
	const struct gondola_insn_desc *desc;
	int (*run)(struct gondola_emulator *e);
	u64 imm;
	u64 imm2;
	s32 disp;
	u8 len;
	u8 mode;
	u8 opcode_map;
	u8 opcode;
	u8 modrm;
	u8 op_bytes;
	u8 addr_bytes;
	u8 rex;
	u8 rep;
	u8 seg_override;
	u8 seg;
	u8 index;
	u8 base;
	u8 scale;
	u8 dst_reg;
	u8 dst_bytes;
	u8 src_reg;
	u8 src_bytes;
	bool lock;
	bool opsize_prefix;
	bool rm_is_reg;
	bool rip_relative;
};

/**
 * struct gondola_emulator - the execution of one instruction
 * @ops, @ctx: the caller's
 * @regs: live registers; written only when the instruction (or a string chunk) completes
 * @segments: all segment registers, live; NULL: ask @ops->get_segment
 * @tlb: GONDOLA_TLB_ENTRIES translations for the present privilege; NULL: ask @ops for all memory
 * @fpu: the FPU's registers; NULL: XMM registers go through @ops, and no other FPU state exists
 * @mode, @cpl: set by the caller before each call, whenever something changed them
 * @exception: with GONDOLA_EMUL_FAULT
 * @insn: the instruction
 * @own: the result of gondola_parse()
 * @bytes, @nr_bytes: the bytes fetched for it
 *
 * The caller may keep one for all instructions, without clearing it between
 * them.  TF is the caller's: after OK gondola_emulate_trap_due() says whether it
 * traps.
 */
struct gondola_emulator {
	const struct gondola_emul_ops *ops;
	void *ctx;
	struct gondola_regs *regs;
	const struct gondola_segment *segments;
	const struct gondola_tlb_entry *tlb;
	struct gondola_fxsave *fpu;
	const struct gondola_insn *insn;
	u8 mode;
	u8 cpl;
	bool int3_fails;	/* a debugger wants INT3: it ends as a fault does */
	bool one_item;		/* a debugger steps: of a REP, too */
	struct gondola_event exception;

	struct gondola_insn own;
	u8 bytes[40];		/* the decoder may read beyond nr_bytes, and then starts over */
	u8 nr_bytes;
	u8 fetch_max;		/* bytes up to the code segment's limit, at most 15 */
	gva_t fetch_la;		/* linear address of bytes[0] */

	/* Its operands, by the registers' values. */
	u64 ea;			/* offset of the memory operand in its segment */
	struct gondola_operand dst;
	struct gondola_operand src;
	struct gondola_operand src2;

	/* Committed when the instruction completes. */
	u32 writeback;
	u8 shadow;
	u8 sp_bytes;
	u64 sp;
	u64 next_rip;
	u64 rflags;

	u8 chunk[GONDOLA_PAGE_SIZE];	/* of a string instruction */
};

/**
 * gondola_parse() - fetch and decode at regs->rip, as far as the bytes and the mode determine
 *
 * The result is in @e->own.  An engine that keeps decoded instructions copies it.
 */
int gondola_parse(struct gondola_emulator *e);
/* The rest of gondola_execute(), for the few instructions that need it. */
int gondola_execute_rare(struct gondola_emulator *e);
/**
 * gondola_execute() - execute a decoded instruction at regs->rip
 * @insn: as gondola_parse() made it in the same mode; unchanged until this returns
 *
 * An instruction with REP executes at least one chunk.
 */
static inline int gondola_execute(struct gondola_emulator *e, const struct gondola_insn *insn)
{
	e->insn = insn;
	e->shadow = 0;
	if (unlikely(e->mode != GONDOLA_EMUL_LONG64 || e->regs->rflags & RFL_RF))
		return gondola_execute_rare(e);
	return insn->run(e);
}

/** gondola_emulate() - decode and execute one instruction */
int gondola_emulate(struct gondola_emulator *e);
/**
 * gondola_emulate_trap_due() - does a single step end here, after OK?
 * @rflags: before the instruction
 * @rip: likewise
 * @branches: DEBUGCTL.BTF is set: only branches trap
 *
 * TF counts as it was before the instruction.  For SYSCALL and SYSRET the TF after it counts, so
 * that nobody steps through code of another privilege.  An instruction that enters a handler does
 * not trap, and MOV SS delays the trap by one instruction.  With REP each item traps: the emulator
 * does one at a time while TF is set.
 */
bool gondola_emulate_trap_due(const struct gondola_emulator *e, u64 rflags, u64 rip,
			      bool branches);
/**
 * gondola_emulate_deliver() - enter the handler of an interrupt or exception
 *
 * Uses the vector table of real mode, or the IDT with gates of 16, 32 and 64 bits; takes another
 * stack from the TSS or its IST; pushes the error code; sets CR2 for a page fault.  RIP is the
 * return address, and insn_len is added to it for software events.  OK: CS, SS and the registers
 * are the handler's, so the caller must set mode and cpl anew.  FAULT: nothing changed;
 * @e->exception arose, with EXT in its error code, and merges with @event (gondola_event_merge()).
 * Through a task gate the new task may have begun all the same: then @e->ops->new_task() was
 * called. UNKNOWN: a task gate, and that operation is NULL.
 */
int gondola_emulate_deliver(struct gondola_emulator *e, const struct gondola_event *event);

#endif
