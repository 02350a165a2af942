/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Shared by assist.c, assist_port.c (ports) and assist_regs.c (registers): the state of the
 * emulator, and its operations.
 */
#ifndef GONDOLA_RUN_ASSIST_H
#define GONDOLA_RUN_ASSIST_H

#include <linux/container_of.h>
#include "emulate/emulate.h"
#include "vcpu.h"

#define ASSIST_MMIO_BYTES	8	/* the most that the run page carries */
#define ASSIST_MMIO_MAX	8	/* of one instruction */
#define ASSIST_IO_ROOM		(GONDOLA_RUN_SIZE - GONDOLA_RUN_IO_OFFSET)

/* The answer for which a vCPU waits. */
enum assist_pending {
	ASSIST_PENDING_NONE,
	ASSIST_PENDING_IN,		/* IN: RAX */
	ASSIST_PENDING_STRING_IN,	/* INS: data for the instruction */
	ASSIST_PENDING_MMIO_READ,
	ASSIST_PENDING_MMIO_WRITE,	/* the launcher takes a write; then comes the next */
	ASSIST_PENDING_LEAVE,		/* nothing is to be done afterwards */
	ASSIST_PENDING_MEMORY,		/* likewise */
};

struct assist_fragment {
	gpa_t gpa;
	u64 tag;
	u8 bytes;
	u8 data[ASSIST_MMIO_BYTES];
};

/**
 * struct assist - the instruction emulator, and the answers for which it waits
 * @emul: the emulator
 * @vcpu: its vCPU
 * @pending: enum assist_pending
 * @rip: of the instruction that waits; the answer is dropped if RIP is another by then
 * @rflags: before the instruction
 * @privileged: the instruction is executed as in ring 0
 * @syscall_len: the length of the SYSCALL that a paravirtualized guest came to, or 0
 * @delivering: it delivers an event, whose tables and stack must not lie on a device
 * @in: port input
 * @in.answered: @in.data has @in.count items, of which @in.taken are used
 * @nr_reads: number of answered @reads
 * @next_read: the next one of @reads to use
 * @nr_writes: number of @writes
 * @next_write: the next one of @writes for the launcher
 * @reads: the instruction's MMIO reads so far, in order, for when it is emulated again; the tag
 *	(RCX) tells the rounds of a string instruction apart
 * @writes: MMIO writes for the launcher
 * @fpu: copy of the guest's FPU, for an instruction that needs more than XMM registers
 * @space: the other address space of a task switch
 * @switched: another task has begun
 * @task_traps: … with #DB
 * @zapped_gpa: the last table that was zapped because an unknown instruction wrote it
 * @zapped_at: number of page faults at that time
 */
struct assist {
	struct gondola_emulator emul;
	struct gondola_vcpu *vcpu;
	u8 pending;
	bool privileged;
	u8 syscall_len;
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
	bool task_traps;
	gpa_t zapped_gpa;
	u64 zapped_at;
};

static inline struct assist *to_assist(struct gondola_emulator *e)
{
	return container_of(e, struct assist, emul);
}

/* Wait for the launcher, with the instruction at RIP.  Returns GONDOLA_EMUL_USER. */
int assist_ask(struct assist *in, enum assist_pending what, u32 user_exit);
/* End the instruction with this exception.  Returns GONDOLA_EMUL_FAULT. */
int assist_raise(struct gondola_emulator *e, u8 vector);
/* Memory is missing (-EAGAIN): run the instruction again later.  Returns GONDOLA_EMUL_USER. */
int assist_ask_memory(struct gondola_emulator *e);

/* Operations that are not in assist_regs.c with their table. */
int assist_fetch(struct gondola_emulator *e, gva_t la, void *buf, unsigned int bytes,
		 unsigned int *got);
int assist_read(struct gondola_emulator *e, gva_t la, void *buf, unsigned int bytes, bool system);
int assist_write(struct gondola_emulator *e, gva_t la, const void *buf, unsigned int bytes,
		 bool system);
int assist_cmpxchg(struct gondola_emulator *e, gva_t la, void *old, const void *new,
		   unsigned int bytes);
int assist_io(struct gondola_emulator *e, u16 port, unsigned int width, bool in, void *buf,
	      unsigned int count, unsigned int *done);
extern const struct gondola_emul_ops assist_ops;

/* Take the launcher's answer: to IN, which is then complete, or to INS, which is run again. */
int assist_complete_in(struct assist *in);
void assist_take_items(struct assist *in);

/* Set the shadow of a complete instruction: STI (1), MOV SS (2) or 0.  The bit that blocks NMIs stays. */
static inline void assist_shadow(struct gondola_vcpu *vcpu, u32 shadow)
{
	u32 now = vcpu->engine->get_shadow(vcpu);

	if (unlikely((now & 3) != shadow))
		vcpu->engine->set_shadow(vcpu, (now & ~3u) | shadow);
}

#endif
