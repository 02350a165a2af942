// SPDX-License-Identifier: GPL-2.0-only
/*
 * The instruction emulator's access to a vCPU's memory, ports and registers, and the accesses that
 * wait for the launcher.
 *
 * If an instruction needs an answer from the launcher, the vCPU exits, and the instruction is
 * emulated again from its start with the answer.  Writes are posted: the instruction completes,
 * then the vCPU exits once for each of them.
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
#include "xen/guest.h"

/* A second write to the same table within so many page faults counts as no progress. */
#define NO_PROGRESS	16

static_assert(sizeof(struct gondola_fxsave) == GONDOLA_FX_BYTES);

/* ---- leaving for the launcher --------------------------------------- */

int assist_ask(struct assist *in, enum assist_pending what, u32 user_exit)
{
	in->pending = what;
	in->rip = in->vcpu->regs.rip;
	in->vcpu->run->exit = user_exit;
	return GONDOLA_EMUL_USER;
}

static void fill_mmio(struct gondola_run *run, const struct assist_fragment *f, bool write)
{
	memset(&run->mmio, 0, sizeof(run->mmio));
	run->mmio.gpa = f->gpa;
	run->mmio.bytes = f->bytes;
	run->mmio.write = write;
	if (write)
		memcpy(run->mmio.data, f->data, f->bytes);
}

static int send_write(struct assist *in)
{
	fill_mmio(in->vcpu->run, &in->writes[in->next_write++], true);
	assist_ask(in, ASSIST_PENDING_MMIO_WRITE, GONDOLA_EXIT_MMIO);
	return RUN_LEAVE;
}

/* ---- memory ------------------------------------------------------------- */

/* Drop the answers of completed rounds of a string instruction. */
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
	struct assist_fragment *f;
	int err;

	forget_rounds(in, vcpu->regs.gpr[R_RCX]);
	f = &in->reads[in->next_read];
	if (in->next_read < in->nr_reads && f->gpa == gpa && f->bytes == bytes) {
		memcpy(buf, f->data, bytes);
		in->next_read++;
		return GONDOLA_EMUL_OK;
	}
	/* The other answers belong to another access. */
	in->nr_reads = in->next_read;
	if (in->nr_reads == ASSIST_MMIO_MAX)
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
	/* The launcher must see accesses in order: earlier writes first. */
	if (in->nr_writes || in->pending)
		return GONDOLA_EMUL_USER;
	fill_mmio(vcpu->run, f, false);
	return assist_ask(in, ASSIST_PENDING_MMIO_READ, GONDOLA_EXIT_MMIO);
}

static int mmio_read(struct assist *in, gpa_t gpa, void *buf, unsigned int bytes)
{
	if (unlikely(in->delivering))
		return GONDOLA_EMUL_UNKNOWN;
	gondola_count(in->vcpu, GONDOLA_COUNTER_MMIO);
	while (bytes) {
		unsigned int n = min_t(unsigned int, bytes, ASSIST_MMIO_BYTES);
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
	if (in->pending || in->nr_writes + DIV_ROUND_UP(bytes, ASSIST_MMIO_BYTES) > ASSIST_MMIO_MAX)
		return GONDOLA_EMUL_USER;
	while (bytes) {
		unsigned int n = min_t(unsigned int, bytes, ASSIST_MMIO_BYTES);
		struct assist_fragment *f = &in->writes[in->nr_writes];
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
		in->pending = ASSIST_PENDING_MEMORY;
		in->rip = in->vcpu->regs.rip;
	}
	return GONDOLA_EMUL_USER;
}

/* Handle an access that failed and is not MMIO. */
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

int assist_read(struct gondola_emulator *e, gva_t la, void *buf, unsigned int bytes, bool system)
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

/* A paravirtualized kernel writes a leaf table, which its entries forbid: the interface must allow what it writes. */
static noinline int check_table_write(struct assist *in, gva_t la, const void *buf, unsigned int bytes,
				      u32 access)
{
	enum gondola_access_result result;
	struct gondola_access out;
	int may;

	result = gondola_mmu_translate(in->vcpu, la, access, &out);
	if (result == GONDOLA_ACCESS_MMIO ||
	    (result == GONDOLA_ACCESS_OK && out.gpa >> GONDOLA_PAGE_SHIFT != in->vcpu->mmu.table))
		return GONDOLA_EMUL_OK;
	if (result != GONDOLA_ACCESS_OK)
		return access_failed(in, result, la, &out);
	may = gondola_xen_may_write(in->vcpu, out.gpa, buf, bytes);
	if (may > 0)
		return GONDOLA_EMUL_OK;
	if (may < 0)
		return assist_ask_memory(&in->emul);
	out.error = access | PFEC_P;
	return access_failed(in, GONDOLA_ACCESS_FAULT, la, &out);
}

static int write_page(struct assist *in, gva_t la, const void *buf, unsigned int bytes, u32 access)
{
	enum gondola_access_result result;
	struct gondola_access out;
	int r;

	if (unlikely(in->vcpu->mmu.table_open)) {
		r = check_table_write(in, la, buf, bytes, access);
		if (r)
			return r;
	}
	result = gondola_mmu_access(in->vcpu, la, (void *)buf, bytes, access, &out);
	if (likely(result == GONDOLA_ACCESS_OK))
		return GONDOLA_EMUL_OK;
	if (result == GONDOLA_ACCESS_MMIO)
		return bytes > 16 ? GONDOLA_EMUL_SPLIT : mmio_write(in, out.gpa, buf, bytes);
	return access_failed(in, result, la, &out);
}

int assist_write(struct gondola_emulator *e, gva_t la, const void *buf, unsigned int bytes,
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

int assist_cmpxchg(struct gondola_emulator *e, gva_t la, void *old, const void *new,
		      unsigned int bytes)
{
	struct assist *in = to_assist(e);
	u32 access = as_user(e, false) | PFEC_W;
	enum gondola_access_result result;
	struct gondola_access out;
	u8 now[16];
	int r;

	if (unlikely(in->vcpu->mmu.table_open)) {
		r = check_table_write(in, la, new, bytes, access);
		if (r)
			return r;
	}
	if (likely(!(la & (bytes - 1)))) {
		result = gondola_mmu_cmpxchg(in->vcpu, la, old, new, bytes, access, &out);
		if (likely(result == GONDOLA_ACCESS_OK))
			return GONDOLA_EMUL_OK;
		if (result != GONDOLA_ACCESS_MMIO)
			return access_failed(in, result, la, &out);
		/* The device gave *old in this instruction: do not read it twice. */
		if (in->next_read && in->reads[in->next_read - 1].gpa == out.gpa)
			return assist_write(e, la, new, bytes, false);
	}
	/* Device registers, and locks across cache lines, are not exchanged atomically. */
	r = probe_write(in, la + bytes - 1, access);
	if (!r)
		r = assist_read(e, la, now, bytes, false);
	if (r)
		return r;
	if (memcmp(now, old, bytes)) {
		memcpy(old, now, bytes);
		return GONDOLA_EMUL_OK;
	}
	return assist_write(e, la, new, bytes, false);
}

int assist_fetch(struct gondola_emulator *e, gva_t la, void *buf, unsigned int bytes,
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
			break;	/* the instruction may end before that */
		if (result == GONDOLA_ACCESS_MMIO)
			return GONDOLA_EMUL_UNKNOWN;
		return access_failed(in, result, la, &out);
	}
	return GONDOLA_EMUL_OK;
}

/* ---- its life ------------------------------------------------------------- */

int gondola_emulator_create(struct gondola_vcpu *vcpu)
{
	struct assist *in = kvzalloc(sizeof(*in), GFP_KERNEL_ACCOUNT);

	if (!in)
		return -ENOMEM;
	in->vcpu = vcpu;
	in->emul.ops = &assist_ops;
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

	/* In compatibility mode there is no RIP above 4 GiB. */
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
	in->emul.cpl = in->privileged ? 0 : vcpu->engine->cpl(vcpu);
	in->delivering = false;
	in->switched = false;
	in->task_traps = false;
	in->rflags = vcpu->regs.rflags;
	in->pending = ASSIST_PENDING_NONE;
	in->next_read = 0;
	in->nr_writes = 0;
	in->next_write = 0;
	if (vcpu->regs.rip != in->rip) {
		in->nr_reads = 0;
		in->in.answered = false;
	}
}

static void debug_trap(struct gondola_vcpu *vcpu, u64 dr6)
{
	gondola_debug_exception(vcpu, dr6);
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

/* The processor holds the guest's FPU.  Instructions that compute with it use a copy. */
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

/* The instruction's exception: a paravirtualized guest's monitor may have another answer. */
static int end_in_fault(struct assist *in, bool privileged)
{
	const struct gondola_event *exception = &in->emul.exception;
	struct gondola_exit exit = {
		.reason = GONDOLA_REASON_EXCEPTION,
		.exception = {
			.vector = exception->vector, .has_error = exception->has_error,
			.error = exception->error,
		},
	};
	int next;

	if (unlikely(in->vcpu->xen) && !privileged && run_xen_exception(in->vcpu, &exit, &next))
		return next;
	queue_fault(in);
	return RUN_REENTER;
}

/* Emulate one instruction.  @result: enum gondola_emul_result. */
static int emulate(struct assist *in, int *result)
{
	struct gondola_vcpu *vcpu = in->vcpu;
	bool privileged = in->privileged;
	u64 rip = vcpu->regs.rip;
	int next;

	gondola_count(vcpu, GONDOLA_COUNTER_INTERPRETED);
	prepare(in);
	*result = gondola_emulate(&in->emul);
	if (unlikely(*result == GONDOLA_EMUL_UNKNOWN) && !vcpu->fpu && !in->nr_writes)
		*result = emulate_with_fpu(in);
	if (*result != GONDOLA_EMUL_USER) {
		in->nr_reads = 0;
		in->privileged = false;
	}
	switch (*result) {
	case GONDOLA_EMUL_OK:
		if (unlikely((in->rflags | vcpu->regs.rflags) & RFL_TF) &&
		    gondola_emulate_trap_due(&in->emul, in->rflags, rip, vcpu->msrs.debugctl))
			debug_trap(vcpu, DR6_BS);
		if (unlikely(in->task_traps))
			debug_trap(vcpu, DR6_BT);
		break;
	case GONDOLA_EMUL_FAULT:
		if (unlikely(in->emul.exception.vector == VEC_BP))
			return run_leave_debug(vcpu, GONDOLA_DEBUG_BREAKPOINTS);
		next = end_in_fault(in, privileged);
		if (next != RUN_REENTER)
			return next;
		break;
	case GONDOLA_EMUL_USER:
	case GONDOLA_EMUL_RETRY:
		break;
	case GONDOLA_EMUL_UNKNOWN:
		/* Do not lose an event that is queued: the guest comes here again. */
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
	return in->pending == ASSIST_PENDING_MEMORY ? -EAGAIN : RUN_LEAVE;
}

int assist_emulate(struct gondola_vcpu *vcpu)
{
	struct assist *in = to_assist(vcpu->emulator);
	int result, next = emulate(in, &result);

	if (likely(result != GONDOLA_EMUL_UNKNOWN) || in->nr_writes ||
	    vcpu->engine->cpl(vcpu) != 3)
		return next;
	/* A program must not end its guest: an unknown instruction is undefined there. */
	run_queue_exception(vcpu, VEC_UD, false, 0);
	return RUN_REENTER;
}

/* Reads of control registers all, writes of those that change nothing but the guest's own view. */
static bool is_privileged_for_ring3(const struct gondola_vcpu *vcpu, const struct gondola_insn *insn)
{
	unsigned int reg = (insn->modrm >> 3 & 7) | (insn->rex & 4) << 1;

	switch (RUN_OPCODE(insn->opcode_map, insn->opcode)) {
	case RUN_OPCODE(1, 0xfa): case RUN_OPCODE(1, 0xfb):	/* CLI, STI */
	case RUN_OPCODE(2, 0x06):				/* CLTS */
	case RUN_OPCODE(2, 0x08): case RUN_OPCODE(2, 0x09):	/* INVD, WBINVD */
	case RUN_OPCODE(2, 0x20):				/* MOV from CR */
	case RUN_OPCODE(2, 0x32):				/* RDMSR */
	case RUN_OPCODE(1, 0x6c) ... RUN_OPCODE(1, 0x6f):	/* INS, OUTS */
	case RUN_OPCODE(1, 0xe4) ... RUN_OPCODE(1, 0xe7):	/* IN, OUT */
	case RUN_OPCODE(1, 0xec) ... RUN_OPCODE(1, 0xef):
		return true;
	case RUN_OPCODE(2, 0x22):
		return reg == 2 || reg == 4;
	case RUN_OPCODE(2, 0x30):				/* WRMSR of segments, of RDTSCP, and before a revision is read */
		switch ((u32)vcpu->regs.gpr[R_RCX]) {
		case MSRX_FS_BASE:
		case MSRX_GS_BASE:
		case MSRX_KERNEL_GS_BASE:
		case MSRX_TSC_AUX:
		case MSRX_BIOS_SIGN:
			return true;
		}
		return false;
	}
	return false;
}

int assist_emulate_privileged(struct gondola_vcpu *vcpu)
{
	struct assist *in = to_assist(vcpu->emulator);
	int result;

	prepare(in);
	result = gondola_parse(&in->emul);
	if (result == GONDOLA_EMUL_USER)
		return -EAGAIN;
	if (result || !is_privileged_for_ring3(vcpu, &in->emul.own)) {
		run_queue_exception(vcpu, VEC_GP, true, 0);
		return RUN_REENTER;
	}
	/* IF is the kernel's mask of events, which it sets itself. */
	if (in->emul.own.opcode_map == 1 && (in->emul.own.opcode & ~1) == 0xfa) {
		run_skip(vcpu, in->emul.own.len);
		return RUN_REENTER;
	}
	in->privileged = true;
	return emulate(in, &result);
}

int assist_emulate_known(struct gondola_vcpu *vcpu)
{
	int result, next = emulate(to_assist(vcpu->emulator), &result);

	return result == GONDOLA_EMUL_UNKNOWN ? RUN_REENTER : next;
}

int assist_step(struct gondola_vcpu *vcpu)
{
	struct assist *in = to_assist(vcpu->emulator);
	int result, next;

	in->syscall_len = 0;
	next = emulate(in, &result);
	if (unlikely(in->syscall_len))
		return gondola_xen_syscall(vcpu, in->syscall_len);
	return next;
}

static void given(struct gondola_vcpu *vcpu)
{
	bool nmi = vcpu->event.kind == GONDOLA_EVENT_NMI;

	run_event_given(vcpu);
	if (nmi)
		vcpu->engine->set_shadow(vcpu, GONDOLA_SHADOW_NMI);
}

int assist_deliver(struct gondola_vcpu *vcpu)
{
	struct assist *in = to_assist(vcpu->emulator);

	prepare(in);
	in->delivering = true;
	switch (gondola_emulate_deliver(&in->emul, &vcpu->event)) {
	case GONDOLA_EMUL_OK:
		given(vcpu);
		if (unlikely(in->task_traps))
			debug_trap(vcpu, DR6_BT);
		return RUN_REENTER;
	case GONDOLA_EMUL_FAULT:
		/* The exception is the new task's; but two exceptions still make a double fault. */
		if (in->switched && vcpu->event.kind != GONDOLA_EVENT_EXCEPTION)
			given(vcpu);
		queue_fault(in);
		return RUN_REENTER;
	case GONDOLA_EMUL_USER:	/* no device was accessed */
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
	/* The page is no table any more, or the emulator lacks the instruction: let the guest write. */
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
	case GONDOLA_EMUL_USER:	/* a fetch only needs memory */
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
	/* No instruction that exits is a branch. */
	if (unlikely(regs->rflags & RFL_TF) && !vcpu->msrs.debugctl)
		debug_trap(vcpu, DR6_BS);
}

int assist_complete_user_exit(struct gondola_vcpu *vcpu)
{
	struct assist *in = to_assist(vcpu->emulator);
	u8 pending = in->pending;
	struct assist_fragment *f;

	in->pending = ASSIST_PENDING_NONE;
	if (likely(pending == ASSIST_PENDING_NONE || pending == ASSIST_PENDING_LEAVE ||
		   pending == ASSIST_PENDING_MEMORY))
		return RUN_REENTER;
	if (pending == ASSIST_PENDING_MMIO_WRITE) {
		if (in->next_write < in->nr_writes)
			return send_write(in);
		in->nr_writes = 0;
		return RUN_REENTER;
	}
	/* Another state was set meanwhile, so nothing waits for the answer. */
	if (vcpu->regs.rip != in->rip) {
		in->nr_reads = 0;
		in->privileged = false;
		return RUN_REENTER;
	}
	switch (pending) {
	case ASSIST_PENDING_IN:
		return assist_complete_in(in);
	case ASSIST_PENDING_STRING_IN:
		assist_take_items(in);
		break;
	case ASSIST_PENDING_MMIO_READ:
		/* Place and size are those of the request; the page may have been changed since. */
		f = &in->reads[in->nr_reads++];
		memcpy(f->data, vcpu->run->mmio.data, f->bytes);
		break;
	}
	return assist_emulate(vcpu);
}
