/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Between assist.c, assist_port.c (ports) and assist_regs.c (registers): what the emulator has under
 * way, and its operations.
 */
#ifndef GONDOLA_RUN_ASSIST_H
#define GONDOLA_RUN_ASSIST_H

#include <linux/container_of.h>
#include "emulate/emulate.h"
#include "vcpu.h"

#define ASSIST_MMIO_BYTES	8	/* what the run page carries at once */
#define ASSIST_MMIO_MAX	8	/* fragments of one instruction */
#define ASSIST_IO_ROOM		(GONDOLA_RUN_SIZE - GONDOLA_RUN_IO_OFFSET)

/* The answers that a vCPU can wait for. */
enum assist_pending {
	ASSIST_PENDING_NONE,
	ASSIST_PENDING_IN,		/* IN: RAX */
	ASSIST_PENDING_STRING_IN,	/* INS: data for the instruction */
	ASSIST_PENDING_MMIO_READ,
	ASSIST_PENDING_MMIO_WRITE,	/* to be told that the launcher took it; then the next */
	ASSIST_PENDING_LEAVE,		/* nothing to take up afterwards */
	ASSIST_PENDING_MEMORY,		/* likewise */
};

struct assist_fragment {
	gpa_t gpa;
	u64 tag;
	u8 bytes;
	u8 data[ASSIST_MMIO_BYTES];
};

/**
 * struct assist - the instruction emulator and what it waits for
 * @emul: the instruction under way
 * @vcpu: whose
 * @pending: enum assist_pending
 * @rip: the instruction that waits; if somebody moved RIP meanwhile, the answer is dropped
 * @rflags: before the instruction
 * @delivering: an event is delivered, not an instruction executed: no device has its tables or stack
 * @in: port input
 * @in.answered: @in.data holds @in.count items, of which @in.taken are used up
 * @nr_reads: how many of @reads are answered
 * @next_read: the one that answers next
 * @nr_writes: how many of @writes there are
 * @next_write: the one that the launcher sees next
 * @reads: MMIO reads of this instruction so far, in order.  They answer when it is emulated
 *         again; the tag (RCX) tells apart the rounds of a string instruction
 * @writes: MMIO writes that the launcher is still to see
 * @fpu: the guest's FPU, while an instruction is emulated that needs more than XMM registers
 * @space: the address space that a task switch comes from, or the one that it goes to
 * @switched: another task has begun
 * @zapped_gpa: last table that was dropped because its writer was unknown
 * @zapped_at: count of page faults at that time
 */
struct assist {
	struct gondola_emulator emul;
	struct gondola_vcpu *vcpu;
	u8 pending;
	bool delivering;
	u64 rip;
	u64 rflags;
	struct {
		u16 port;
		u8 width;
		u8 insn_len;
		bool answered;
		u32 count;
		u32 taken;
		u8 data[ASSIST_IO_ROOM];
	} in;
	unsigned int nr_reads, next_read;
	unsigned int nr_writes, next_write;
	struct assist_fragment reads[ASSIST_MMIO_MAX];
	struct assist_fragment writes[ASSIST_MMIO_MAX];
	struct gondola_fxsave fpu;
	struct {
		u64 cr3;
		u64 pdptes[4];
	} space;
	bool switched;
	gpa_t zapped_gpa;
	u64 zapped_at;
};

static inline struct assist *to_assist(struct gondola_emulator *e)
{
	return container_of(e, struct assist, emul);
}

/* Leave for the launcher; RIP says which instruction it was.  GONDOLA_EMUL_USER. */
int assist_ask(struct assist *in, enum assist_pending what, u32 user_exit);
/* The instruction ends in this exception: GONDOLA_EMUL_FAULT. */
int assist_raise(struct gondola_emulator *e, u8 vector);
/* Memory is missing (-EAGAIN): the instruction is run again once it is there.  GONDOLA_EMUL_USER. */
int assist_ask_memory(struct gondola_emulator *e);
void assist_get_segment(struct gondola_emulator *e, enum gondola_seg seg,
			struct gondola_segment *out);
void assist_set_segment(struct gondola_emulator *e, enum gondola_seg seg,
			const struct gondola_segment *in);
void assist_get_dtable(struct gondola_emulator *e, bool idt, struct gondola_dtable *out);
void assist_set_dtable(struct gondola_emulator *e, bool idt, const struct gondola_dtable *in);
u64 assist_get_cr(struct gondola_emulator *e, unsigned int cr);
int assist_set_cr(struct gondola_emulator *e, unsigned int cr, u64 value);
int assist_get_dr(struct gondola_emulator *e, unsigned int dr, u64 *value);
int assist_set_dr(struct gondola_emulator *e, unsigned int dr, u64 value);
int assist_get_msr(struct gondola_emulator *e, u32 index, u64 *value);
int assist_set_msr(struct gondola_emulator *e, u32 index, u64 value);
int assist_cpuid(struct gondola_emulator *e, u32 *eax, u32 *ebx, u32 *ecx, u32 *edx);
int assist_invlpg(struct gondola_emulator *e, gva_t la);
int assist_hlt(struct gondola_emulator *e);
int assist_wbinvd(struct gondola_emulator *e);
void assist_set_shadow(struct gondola_emulator *e, u32 shadow);
void assist_iret(struct gondola_emulator *e);
void assist_get_xmm(struct gondola_emulator *e, unsigned int n, void *buf);
void assist_set_xmm(struct gondola_emulator *e, unsigned int n, const void *buf);
void assist_fpu_begin(struct gondola_emulator *e);
void assist_fpu_end(struct gondola_emulator *e);
int assist_enter_space(struct gondola_emulator *e, u64 cr3);
void assist_swap_space(struct gondola_emulator *e);
void assist_new_task(struct gondola_emulator *e);

int assist_io(struct gondola_emulator *e, u16 port, unsigned int width, bool in, void *buf,
	      unsigned int count, unsigned int *done);
/* The launcher's answer: to IN, which is complete then; to INS, which is run again. */
int assist_complete_in(struct assist *in);
void assist_take_items(struct assist *in);

/* STI (1), MOV SS (2), or 0: an instruction is complete. The bit that blocks NMIs is not theirs. */
static inline void assist_shadow(struct gondola_vcpu *vcpu, u32 shadow)
{
	u32 now = vcpu->engine->get_shadow(vcpu);

	if (unlikely((now & 3) != shadow))
		vcpu->engine->set_shadow(vcpu, (now & ~3u) | shadow);
}

#endif
