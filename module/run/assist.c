// SPDX-License-Identifier: GPL-2.0-only
/*
 * The vCPU as a world for the instruction emulator: its memory, ports and registers;
 * and what has to wait for the launcher.
 *
 * When an instruction needs an answer from the launcher it is not finished
 * half-way: the vCPU leaves, and the instruction is emulated again with the
 * answer at hand.  Writes are posted: the instruction completes, then the vCPU
 * leaves once for each of them.
 */
#include <linux/errno.h>
#include <linux/kernel.h>
#include <linux/minmax.h>
#include <linux/slab.h>
#include <linux/string.h>
#include "emulate/emulate.h"
#include "host/thread.h"
#include "irq/eventfd.h"
#include "internal.h"
#include "assist.h"
#include "irq/irq.h"
#include "mmu/mmu.h"
#include "vcpu.h"

#define MMIO_BYTES	8	/* what the run page carries at once */
#define MMIO_MAX	8	/* fragments of one instruction */
#define IO_ROOM		(GONDOLA_RUN_SIZE - GONDOLA_RUN_IO_OFFSET)
/* Exits within which the same table write in vain is taken as no progress. */
#define NO_PROGRESS	16

/* The answers that a vCPU can wait for. */
enum pending {
	PENDING_NONE,
	PENDING_IN,		/* IN: RAX */
	PENDING_STRING_IN,	/* INS: data for the instruction */
	PENDING_MMIO_READ,
	PENDING_MMIO_WRITE,	/* to be told that the launcher took it; then the next */
	PENDING_LEAVE,		/* nothing to take up afterwards */
	PENDING_MEMORY,		/* likewise */
};

struct fragment {
	gpa_t gpa;
	u64 tag;
	u8 bytes;
	u8 data[MMIO_BYTES];
};

/**
 * struct assist - the instruction emulator and what it waits for
 * @emul: the instruction under way
 * @vcpu: whose
 * @pending: enum pending
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
		u8 data[IO_ROOM];
	} in;
	unsigned int nr_reads, next_read;
	unsigned int nr_writes, next_write;
	struct fragment reads[MMIO_MAX];
	struct fragment writes[MMIO_MAX];
	struct gondola_fxsave fpu;
	gpa_t zapped_gpa;
	u64 zapped_at;
};

static_assert(sizeof(struct gondola_fxsave) == GONDOLA_FX_BYTES);

static struct assist *to_assist(struct gondola_emulator *e)
{
	return container_of(e, struct assist, emul);
}

/* ---- leaving for the launcher --------------------------------------- */

static int ask(struct assist *in, enum pending what, u32 user_exit)
{
	in->pending = what;
	in->rip = in->vcpu->regs.rip;
	in->vcpu->run->exit = user_exit;
	return GONDOLA_EMUL_USER;
}

static void fill_mmio(struct gondola_run *run, const struct fragment *f, bool write)
{
	memset(&run->mmio, 0, sizeof(run->mmio));
	run->mmio.gpa = f->gpa;
	run->mmio.bytes = f->bytes;
	run->mmio.write = write;
	if (write)
		memcpy(run->mmio.data, f->data, f->bytes);
}

static void fill_io(struct gondola_run *run, u16 port, u8 width, bool in, u32 count)
{
	run->io.port = port;
	run->io.width = width;
	run->io.write = !in;
	run->io.count = count;
	run->io.offset = GONDOLA_RUN_IO_OFFSET;
	run->io.pad = 0;
}

static u8 *io_data(struct gondola_run *run)
{
	return (u8 *)run + GONDOLA_RUN_IO_OFFSET;
}

static int send_write(struct assist *in)
{
	fill_mmio(in->vcpu->run, &in->writes[in->next_write++], true);
	ask(in, PENDING_MMIO_WRITE, GONDOLA_EXIT_MMIO);
	return RUN_LEAVE;
}

/* ---- memory ------------------------------------------------------------- */

/* Rounds of a string instruction that are complete need their answers no more. */
static void forget_rounds(struct assist *in, u64 tag)
{
	unsigned int n = 0;

	while (n < in->nr_reads && in->reads[n].tag != tag)
		n++;
	in->nr_reads -= n;
	in->next_read -= min(in->next_read, n);
	memmove(in->reads, in->reads + n, in->nr_reads * sizeof(in->reads[0]));
}

static int read_fragment(struct assist *in, gpa_t gpa, void *buf, unsigned int bytes)
{
	struct gondola_vcpu *vcpu = in->vcpu;
	struct fragment *f;
	int err;

	forget_rounds(in, vcpu->regs.gpr[R_RCX]);
	f = &in->reads[in->next_read];
	if (in->next_read < in->nr_reads && f->gpa == gpa && f->bytes == bytes) {
		memcpy(buf, f->data, bytes);
		in->next_read++;
		return GONDOLA_EMUL_OK;
	}
	/* The rest answers something else. */
	in->nr_reads = in->next_read;
	if (in->nr_reads == MMIO_MAX)
		return GONDOLA_EMUL_UNKNOWN;
	f->gpa = gpa;
	f->bytes = bytes;
	f->tag = vcpu->regs.gpr[R_RCX];
	err = gondola_irq_mmio(vcpu, gpa, bytes, false, f->data);
	if (err == -EAGAIN)
		return assist_ask_memory(&in->emul);
	if (!err) {
		memcpy(buf, f->data, bytes);
		in->nr_reads = ++in->next_read;
		return GONDOLA_EMUL_OK;
	}
	/* The launcher sees accesses in their order: first what was written before. */
	if (in->nr_writes || in->pending)
		return GONDOLA_EMUL_USER;
	fill_mmio(vcpu->run, f, false);
	return ask(in, PENDING_MMIO_READ, GONDOLA_EXIT_MMIO);
}

static int mmio_read(struct assist *in, gpa_t gpa, void *buf, unsigned int bytes)
{
	if (unlikely(in->delivering))
		return GONDOLA_EMUL_UNKNOWN;
	gondola_count(in->vcpu, GONDOLA_COUNTER_MMIO);
	while (bytes) {
		unsigned int n = min_t(unsigned int, bytes, MMIO_BYTES);
		int r = read_fragment(in, gpa, buf, n);

		if (r)
			return r;
		gpa += n;
		buf += n;
		bytes -= n;
	}
	return GONDOLA_EMUL_OK;
}

static int mmio_write(struct assist *in, gpa_t gpa, const void *buf, unsigned int bytes)
{
	if (unlikely(in->delivering))
		return GONDOLA_EMUL_UNKNOWN;
	gondola_count(in->vcpu, GONDOLA_COUNTER_MMIO);
	if (in->pending || in->nr_writes + DIV_ROUND_UP(bytes, MMIO_BYTES) > MMIO_MAX)
		return GONDOLA_EMUL_USER;
	while (bytes) {
		unsigned int n = min_t(unsigned int, bytes, MMIO_BYTES);
		struct fragment *f = &in->writes[in->nr_writes];
		int err;

		memcpy(f->data, buf, n);
		err = gondola_irq_mmio(in->vcpu, gpa, n, true, f->data);
		if (err == -EAGAIN)
			return assist_ask_memory(&in->emul);
		if (err &&
		    !gondola_ioeventfd_write(in->vcpu->vm, false, gpa, n, f->data)) {
			f->gpa = gpa;
			f->bytes = n;
			in->nr_writes++;
		}
		gpa += n;
		buf += n;
		bytes -= n;
	}
	return GONDOLA_EMUL_OK;
}

int assist_ask_memory(struct gondola_emulator *e)
{
	struct assist *in = to_assist(e);

	/* Earlier writes go first. */
	if (!in->nr_writes && !in->pending) {
		in->pending = PENDING_MEMORY;
		in->rip = in->vcpu->regs.rip;
	}
	return GONDOLA_EMUL_USER;
}

/* An access that did not succeed and is not MMIO. */
static noinline int access_failed(struct assist *in, enum gondola_access_result result, gva_t la,
				  const struct gondola_access *out)
{
	switch (result) {
	case GONDOLA_ACCESS_FAULT:
		assist_raise(&in->emul, VEC_PF);
		in->emul.exception.error = out->error;
		in->emul.exception.cr2 = la;
		return GONDOLA_EMUL_FAULT;
	case GONDOLA_ACCESS_MEMORY:
		return assist_ask_memory(&in->emul);
	default:
		return GONDOLA_EMUL_ERROR;
	}
}

static u32 as_user(const struct gondola_emulator *e, bool system)
{
	return e->cpl == 3 && !system ? PFEC_U : 0;
}

static unsigned int to_page_end(gva_t la)
{
	return GONDOLA_PAGE_SIZE - (la & (GONDOLA_PAGE_SIZE - 1));
}

static int read_page(struct assist *in, gva_t la, void *buf, unsigned int bytes, u32 access)
{
	enum gondola_access_result result;
	struct gondola_access out;

	result = gondola_mmu_access(in->vcpu, la, buf, bytes, access, &out);
	if (likely(result == GONDOLA_ACCESS_OK))
		return GONDOLA_EMUL_OK;
	if (result == GONDOLA_ACCESS_MMIO)
		return bytes > 16 ? GONDOLA_EMUL_SPLIT : mmio_read(in, out.gpa, buf, bytes);
	return access_failed(in, result, la, &out);
}

static int op_read(struct gondola_emulator *e, gva_t la, void *buf, unsigned int bytes, bool system)
{
	u32 access = as_user(e, system);
	unsigned int here = to_page_end(la);
	int r;

	if (likely(bytes <= here))
		return read_page(to_assist(e), la, buf, bytes, access);
	r = read_page(to_assist(e), la, buf, here, access);
	return r ? r : read_page(to_assist(e), la + here, buf + here, bytes - here, access);
}

/* Would a write succeed? */
static int probe_write(struct assist *in, gva_t la, u32 access)
{
	enum gondola_access_result result;
	struct gondola_access out;

	result = gondola_mmu_translate(in->vcpu, la, access, &out);
	if (result == GONDOLA_ACCESS_OK || result == GONDOLA_ACCESS_MMIO)
		return GONDOLA_EMUL_OK;
	return access_failed(in, result, la, &out);
}

static int write_page(struct assist *in, gva_t la, const void *buf, unsigned int bytes, u32 access)
{
	enum gondola_access_result result;
	struct gondola_access out;

	result = gondola_mmu_access(in->vcpu, la, (void *)buf, bytes, access, &out);
	if (likely(result == GONDOLA_ACCESS_OK))
		return GONDOLA_EMUL_OK;
	if (result == GONDOLA_ACCESS_MMIO)
		return bytes > 16 ? GONDOLA_EMUL_SPLIT : mmio_write(in, out.gpa, buf, bytes);
	return access_failed(in, result, la, &out);
}

static int op_write(struct gondola_emulator *e, gva_t la, const void *buf, unsigned int bytes,
		    bool system)
{
	struct assist *in = to_assist(e);
	u32 access = as_user(e, system) | PFEC_W;
	unsigned int here = to_page_end(la);
	int r;

	if (unlikely(!bytes))
		return probe_write(in, la, access);
	if (likely(bytes <= here))
		return write_page(in, la, buf, bytes, access);
	/* Both or neither. */
	r = probe_write(in, la + here, access);
	if (!r)
		r = write_page(in, la, buf, here, access);
	return r ? r : write_page(in, la + here, buf + here, bytes - here, access);
}

static int op_cmpxchg(struct gondola_emulator *e, gva_t la, void *old, const void *new,
		      unsigned int bytes)
{
	struct assist *in = to_assist(e);
	u32 access = as_user(e, false) | PFEC_W;
	enum gondola_access_result result;
	struct gondola_access out;
	u8 now[16];
	int r;

	if (likely(!(la & (bytes - 1)))) {
		result = gondola_mmu_cmpxchg(in->vcpu, la, old, new, bytes, access, &out);
		if (likely(result == GONDOLA_ACCESS_OK))
			return GONDOLA_EMUL_OK;
		if (result != GONDOLA_ACCESS_MMIO)
			return access_failed(in, result, la, &out);
		/* The device gave *old in this very instruction: it must not be read twice. */
		if (in->next_read && in->reads[in->next_read - 1].gpa == out.gpa)
			return op_write(e, la, new, bytes, false);
	}
	/* Device registers, and locks across cache lines, are not exchanged atomically. */
	r = probe_write(in, la + bytes - 1, access);
	if (!r)
		r = op_read(e, la, now, bytes, false);
	if (r)
		return r;
	if (memcmp(now, old, bytes)) {
		memcpy(old, now, bytes);
		return GONDOLA_EMUL_OK;
	}
	return op_write(e, la, new, bytes, false);
}

static int op_fetch(struct gondola_emulator *e, gva_t la, void *buf, unsigned int bytes,
		    unsigned int *got)
{
	struct assist *in = to_assist(e);
	u32 access = as_user(e, false) | PFEC_I;
	enum gondola_access_result result;
	struct gondola_access out;
	unsigned int n = min(bytes, to_page_end(la));

	for (*got = 0; *got < bytes; *got += n, n = bytes - n) {
		result = gondola_mmu_access(in->vcpu, la + *got, buf + *got, n, access, &out);
		if (likely(result == GONDOLA_ACCESS_OK))
			continue;
		if (*got)
			break;	/* perhaps the instruction ends before */
		if (result == GONDOLA_ACCESS_MMIO)
			return GONDOLA_EMUL_UNKNOWN;
		return access_failed(in, result, la, &out);
	}
	return GONDOLA_EMUL_OK;
}

/* ---- ports ---------------------------------------------------------------- */

static bool chip_io(struct gondola_vcpu *vcpu, u16 port, unsigned int width, bool in, void *buf,
		    unsigned int count)
{
	unsigned int i;
	u32 value;

	for (i = 0; i < count; i++, buf += width) {
		value = 0;
		if (!in)
			memcpy(&value, buf, width);
		if (!gondola_irq_pio(vcpu, port, width, !in, &value))
			return false;	/* the first one said so, or none does */
		if (in)
			memcpy(buf, &value, width);
	}
	return true;
}

static int op_io(struct gondola_emulator *e, u16 port, unsigned int width, bool in, void *buf,
		 unsigned int count, unsigned int *done)
{
	struct assist *ip = to_assist(e);
	struct gondola_run *run = ip->vcpu->run;

	if (in && ip->in.answered && ip->in.port == port && ip->in.width == width) {
		*done = min(count, ip->in.count - ip->in.taken);
		memcpy(buf, ip->in.data + ip->in.taken * width, *done * width);
		ip->in.taken += *done;
		ip->in.answered = ip->in.taken < ip->in.count;
		return GONDOLA_EMUL_OK;
	}
	if (chip_io(ip->vcpu, port, width, in, buf, count)) {
		*done = count;
		return GONDOLA_EMUL_OK;
	}
	if (ip->nr_writes || ip->pending)
		return GONDOLA_EMUL_USER;
	count = min_t(unsigned int, count, IO_ROOM / width);
	fill_io(run, port, width, in, count);
	if (in) {
		ip->in.port = port;
		ip->in.width = width;
		ip->in.count = count;
		return ask(ip, PENDING_STRING_IN, GONDOLA_EXIT_IO);
	}
	memcpy(io_data(run), buf, count * width);
	*done = count;
	ask(ip, PENDING_LEAVE, GONDOLA_EXIT_IO);
	return GONDOLA_EMUL_OK;
}

int assist_user_pio(struct gondola_vcpu *vcpu, u16 port, unsigned int width, bool in,
		    unsigned int insn_len)
{
	struct assist *ip = to_assist(vcpu->emulator);
	u32 value = (u32)vcpu->regs.gpr[R_RAX];

	fill_io(vcpu->run, port, width, in, 1);
	if (in) {
		ip->in.width = width;
		ip->in.insn_len = insn_len;
		ask(ip, PENDING_IN, GONDOLA_EXIT_IO);
		return RUN_LEAVE;
	}
	memcpy(io_data(vcpu->run), &value, width);
	vcpu->run->exit = GONDOLA_EXIT_IO;
	run_skip(vcpu, insn_len);
	return RUN_LEAVE;
}

/* ---- its life ------------------------------------------------------------- */

static const struct gondola_emul_ops ops = {
	.fetch = op_fetch,
	.read = op_read,
	.write = op_write,
	.cmpxchg = op_cmpxchg,
	.io = op_io,
	.get_segment = assist_get_segment,
	.set_segment = assist_set_segment,
	.get_dtable = assist_get_dtable,
	.set_dtable = assist_set_dtable,
	.get_cr = assist_get_cr,
	.set_cr = assist_set_cr,
	.get_dr = assist_get_dr,
	.set_dr = assist_set_dr,
	.get_msr = assist_get_msr,
	.set_msr = assist_set_msr,
	.cpuid = assist_cpuid,
	.invlpg = assist_invlpg,
	.hlt = assist_hlt,
	.wbinvd = assist_wbinvd,
	.set_shadow = assist_set_shadow,
	.get_xmm = assist_get_xmm,
	.set_xmm = assist_set_xmm,
	.iret = assist_iret,
	.fpu_begin = assist_fpu_begin,
	.fpu_end = assist_fpu_end,
};

int gondola_emulator_create(struct gondola_vcpu *vcpu)
{
	struct assist *in = kvzalloc(sizeof(*in), GFP_KERNEL_ACCOUNT);

	if (!in)
		return -ENOMEM;
	in->vcpu = vcpu;
	in->emul.ops = &ops;
	in->emul.ctx = vcpu;
	in->emul.regs = &vcpu->regs;
	in->emul.fpu = vcpu->fpu;
	vcpu->emulator = &in->emul;
	return 0;
}

void gondola_emulator_destroy(struct gondola_vcpu *vcpu)
{
	if (vcpu->emulator)
		kvfree(to_assist(vcpu->emulator));
	vcpu->emulator = NULL;
}

/* ---- running it ----------------------------------------------------------- */

static u8 mode_of(struct gondola_vcpu *vcpu)
{
	struct gondola_segment cs;

	/* Compatibility mode has no RIP above 4 GiB: a kernel's addresses say it all. */
	if (gondola_long_mode(vcpu) && vcpu->regs.rip >> 32)
		return GONDOLA_EMUL_LONG64;
	if (!(vcpu->cr0 & CR0_PE))
		return GONDOLA_EMUL_REAL;
	if (vcpu->regs.rflags & RFL_VM)
		return GONDOLA_EMUL_VM86;
	vcpu->engine->get_segment(vcpu, GONDOLA_CS, &cs);
	if (gondola_long_mode(vcpu) && cs.ar & GONDOLA_AR_L)
		return GONDOLA_EMUL_LONG64;
	return cs.ar & GONDOLA_AR_DB ? GONDOLA_EMUL_PROT32 : GONDOLA_EMUL_PROT16;
}

static void prepare(struct assist *in)
{
	struct gondola_vcpu *vcpu = in->vcpu;

	in->emul.mode = mode_of(vcpu);
	in->emul.cpl = vcpu->engine->cpl(vcpu);
	in->delivering = false;
	in->rflags = vcpu->regs.rflags;
	in->pending = PENDING_NONE;
	in->next_read = 0;
	in->nr_writes = 0;
	in->next_write = 0;
	if (vcpu->regs.rip != in->rip) {
		in->nr_reads = 0;
		in->in.answered = false;
	}
}

static void single_step(struct gondola_vcpu *vcpu)
{
	gondola_debug_exception(vcpu, DR6_BS);
	run_queue_exception(vcpu, VEC_DB, false, 0);
}

static void queue_fault(struct assist *in)
{
	const struct gondola_event *exception = &in->emul.exception;

	if (exception->vector == VEC_PF)
		run_queue_page_fault(in->vcpu, exception->cr2, exception->error);
	else
		run_queue_exception(in->vcpu, exception->vector, exception->has_error,
				    exception->error);
}

static int leave_unknown(struct assist *in)
{
	struct gondola_run *run = in->vcpu->run;
	unsigned int bytes = min_t(unsigned int, in->emul.nr_bytes, sizeof(in->emul.bytes));

	memset(&run->emulation, 0, sizeof(run->emulation));
	run->emulation.bytes = bytes;
	memcpy(run->emulation.insn, in->emul.bytes, bytes);
	run->emulation.rip = in->vcpu->regs.rip;
	run->exit = GONDOLA_EXIT_EMULATION;
	return RUN_LEAVE;
}

/* The guest's FPU is in the processor: an instruction that computes there has a copy of it. */
static int emulate_with_fpu(struct assist *in)
{
	int r;

	gondola_thread_get_fx(in->vcpu, &in->fpu);
	in->emul.fpu = &in->fpu;
	in->next_read = 0;
	r = gondola_emulate(&in->emul);
	in->emul.fpu = NULL;
	if (r == GONDOLA_EMUL_OK)
		gondola_thread_set_fx(in->vcpu, &in->fpu);
	return r;
}

/* Emulate one instruction.  @result: enum gondola_emul_result, for callers that need to know more. */
static int emulate(struct assist *in, int *result)
{
	struct gondola_vcpu *vcpu = in->vcpu;
	u64 rip = vcpu->regs.rip;

	gondola_count(vcpu, GONDOLA_COUNTER_INTERPRETED);
	prepare(in);
	*result = gondola_emulate(&in->emul);
	if (unlikely(*result == GONDOLA_EMUL_UNKNOWN) && !vcpu->fpu && !in->nr_writes)
		*result = emulate_with_fpu(in);
	if (*result != GONDOLA_EMUL_USER)
		in->nr_reads = 0;
	switch (*result) {
	case GONDOLA_EMUL_OK:
		if (unlikely((in->rflags | vcpu->regs.rflags) & RFL_TF) &&
		    gondola_emulate_trap_due(&in->emul, in->rflags, rip, vcpu->msrs.debugctl))
			single_step(vcpu);
		break;
	case GONDOLA_EMUL_FAULT:
		if (unlikely(in->emul.exception.vector == VEC_BP))
			return run_leave_debug(vcpu, GONDOLA_DEBUG_BREAKPOINTS);
		queue_fault(in);
		break;
	case GONDOLA_EMUL_USER:
	case GONDOLA_EMUL_RETRY:
		break;
	case GONDOLA_EMUL_UNKNOWN:
		/* An event that was posted before must not be lost: the guest comes here again. */
		if (!in->nr_writes)
			return leave_unknown(in);
		break;
	default:
		return -EFAULT;
	}
	if (unlikely(in->nr_writes))
		return send_write(in);
	if (likely(!in->pending))
		return RUN_REENTER;
	return in->pending == PENDING_MEMORY ? -EAGAIN : RUN_LEAVE;
}

int assist_emulate(struct gondola_vcpu *vcpu)
{
	struct assist *in = to_assist(vcpu->emulator);
	int result, next = emulate(in, &result);

	if (likely(result != GONDOLA_EMUL_UNKNOWN) || in->nr_writes ||
	    vcpu->engine->cpl(vcpu) != 3)
		return next;
	/* A program must not end its guest: what no processor offers it is undefined. */
	run_queue_exception(vcpu, VEC_UD, false, 0);
	return RUN_REENTER;
}

int assist_emulate_known(struct gondola_vcpu *vcpu)
{
	int result, next = emulate(to_assist(vcpu->emulator), &result);

	return result == GONDOLA_EMUL_UNKNOWN ? RUN_REENTER : next;
}

int assist_step(struct gondola_vcpu *vcpu)
{
	int result;

	return emulate(to_assist(vcpu->emulator), &result);
}

int assist_deliver(struct gondola_vcpu *vcpu)
{
	struct assist *in = to_assist(vcpu->emulator);
	bool nmi = vcpu->event.kind == GONDOLA_EVENT_NMI;

	prepare(in);
	in->delivering = true;
	switch (gondola_emulate_deliver(&in->emul, &vcpu->event)) {
	case GONDOLA_EMUL_OK:
		run_event_given(vcpu);
		if (nmi)
			vcpu->engine->set_shadow(vcpu, GONDOLA_SHADOW_NMI);
		return RUN_REENTER;
	case GONDOLA_EMUL_FAULT:
		queue_fault(in);
		return RUN_REENTER;
	case GONDOLA_EMUL_USER:	/* no device was asked */
		return -EAGAIN;
	case GONDOLA_EMUL_UNKNOWN:
		return leave_unknown(in);
	default:
		return -EFAULT;
	}
}

int assist_emulate_table_write(struct gondola_vcpu *vcpu, gpa_t gpa)
{
	struct assist *in = to_assist(vcpu->emulator);
	u64 now = vcpu->exits[GONDOLA_REASON_PAGE_FAULT];
	int result, next;

	next = emulate(in, &result);
	if (likely(result != GONDOLA_EMUL_UNKNOWN) || next != RUN_LEAVE || in->pending)
		return next;
	/* A page that is a table no more, or the emulator's gap: let the guest write it. */
	gpa &= GONDOLA_PAGE_MASK;
	if (in->zapped_gpa == gpa && in->zapped_at && now - in->zapped_at < NO_PROGRESS)
		return next;
	in->zapped_gpa = gpa;
	in->zapped_at = now;
	gondola_mmu_zap_all(vcpu->vm);
	return RUN_REENTER;
}

int assist_measure(struct gondola_vcpu *vcpu, u16 opcode, u8 *len)
{
	struct assist *in = to_assist(vcpu->emulator);
	const struct gondola_insn *insn = &in->emul.own;

	*len = 0;
	prepare(in);
	switch (gondola_parse(&in->emul)) {
	case GONDOLA_EMUL_OK:
		if (opcode == RUN_OPCODE(insn->opcode_map, insn->opcode))
			*len = insn->len;
		return RUN_REENTER;
	case GONDOLA_EMUL_FAULT:
		queue_fault(in);
		return RUN_REENTER;
	case GONDOLA_EMUL_UNKNOWN:
		return RUN_REENTER;
	case GONDOLA_EMUL_USER:	/* a fetch asks for nothing but memory */
		return -EAGAIN;
	default:
		return -EFAULT;
	}
}

void run_skip(struct gondola_vcpu *vcpu, unsigned int insn_len)
{
	struct gondola_regs *regs = &vcpu->regs;

	regs->rip += insn_len;
	if (unlikely(!gondola_long_mode(vcpu)))
		regs->rip = (u32)regs->rip;
	regs->rflags &= ~RFL_RF;
	assist_shadow(vcpu, 0);
	/* None of those that leave is a branch. */
	if (unlikely(regs->rflags & RFL_TF) && !vcpu->msrs.debugctl)
		single_step(vcpu);
}

static int complete_in(struct assist *in)
{
	u32 value = 0;

	memcpy(&value, io_data(in->vcpu->run), in->in.width);
	run_set_rax(in->vcpu, in->in.width, value);
	run_skip(in->vcpu, in->in.insn_len);
	return RUN_REENTER;
}

int assist_complete_user_exit(struct gondola_vcpu *vcpu)
{
	struct assist *in = to_assist(vcpu->emulator);
	u8 pending = in->pending;
	struct fragment *f;

	in->pending = PENDING_NONE;
	if (likely(pending == PENDING_NONE || pending == PENDING_LEAVE ||
		   pending == PENDING_MEMORY))
		return RUN_REENTER;
	if (pending == PENDING_MMIO_WRITE) {
		if (in->next_write < in->nr_writes)
			return send_write(in);
		in->nr_writes = 0;
		return RUN_REENTER;
	}
	/* Another state was set meanwhile: nobody waits for the answer. */
	if (vcpu->regs.rip != in->rip) {
		in->nr_reads = 0;
		return RUN_REENTER;
	}
	switch (pending) {
	case PENDING_IN:
		return complete_in(in);
	case PENDING_STRING_IN:
		memcpy(in->in.data, io_data(vcpu->run), in->in.count * in->in.width);
		in->in.taken = 0;
		in->in.answered = true;
		break;
	case PENDING_MMIO_READ:
		/* Where and how much is what was asked, whatever the page says now. */
		f = &in->reads[in->nr_reads++];
		memcpy(f->data, vcpu->run->mmio.data, f->bytes);
		break;
	}
	return assist_emulate(vcpu);
}
