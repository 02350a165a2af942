// SPDX-License-Identifier: GPL-2.0-only
/* Handles exits by a table of their reasons. */
#include <linux/errno.h>
#include <linux/kernel.h>
#include <linux/nospec.h>
#include <linux/sched.h>
#include <linux/string.h>
#include "emulate/emulate.h"
#include "irq/eventfd.h"
#include "internal.h"
#include "irq/irq.h"
#include "pv/pv.h"
#include "trace.h"
#include "vcpu.h"
#include "x86/control.h"
#include "xen/guest.h"

static int raise(struct gondola_vcpu *vcpu, u8 vector)
{
	run_queue_exception(vcpu, vector, gondola_vector_has_error(vector), 0);
	return RUN_REENTER;
}

/* The instruction is complete. */
static int done(struct gondola_vcpu *vcpu, const struct gondola_exit *exit)
{
	run_skip(vcpu, exit->insn_len);
	return RUN_REENTER;
}

/* The instruction is complete, or raises #GP(0), or is repeated once its memory is present. */
static int done_or_gp(struct gondola_vcpu *vcpu, const struct gondola_exit *exit, int err)
{
	if (unlikely(err == -EAGAIN))
		return err;
	return likely(!err) ? done(vcpu, exit) : raise(vcpu, VEC_GP);
}

static int leave_emulation(struct gondola_vcpu *vcpu)
{
	memset(&vcpu->run->emulation, 0, sizeof(vcpu->run->emulation));
	vcpu->run->emulation.rip = vcpu->regs.rip;
	vcpu->run->exit = GONDOLA_EXIT_EMULATION;
	return RUN_LEAVE;
}

/* The event's stack is a shadowed table, or no memory: the instruction at RIP did not cause this. */
static int fault_in_delivery(struct gondola_vcpu *vcpu, enum gondola_access_result result)
{
	if (result == GONDOLA_ACCESS_MMIO)
		return leave_emulation(vcpu);
	gondola_mmu_zap_all(vcpu->vm);
	return RUN_REENTER;
}

/*
 * A paravirtualized kernel also writes its leaf tables directly, though it has made them read-only, and
 * expects the monitor to complete it.
 */
static bool xen_write_table(struct gondola_vcpu *vcpu, const struct gondola_exit *exit,
			    const struct gondola_access *access, int *next)
{
	struct gondola_access there;

	if (!(exit->pf.error & PFEC_W) || (access->error & (PFEC_P | PFEC_RSVD)) != PFEC_P)
		return false;
	switch (gondola_mmu_translate(vcpu, exit->pf.gva, PFEC_U, &there)) {
	case GONDOLA_ACCESS_OK:
		break;
	case GONDOLA_ACCESS_MEMORY:
		*next = -EAGAIN;
		return true;
	default:
		return false;
	}
	if (!gondola_xen_writes_table(vcpu, there.gpa))
		return false;
	vcpu->mmu.table = there.gpa >> GONDOLA_PAGE_SHIFT;
	vcpu->mmu.table_open = true;
	*next = assist_emulate_table_write(vcpu, there.gpa);
	vcpu->mmu.table_open = false;
	return true;
}

static int handle_page_fault(struct gondola_vcpu *vcpu, struct gondola_exit *exit)
{
	struct gondola_access access;
	enum gondola_access_result result;
	int next;

	result = gondola_mmu_fault(vcpu, exit->pf.gva, exit->pf.error, &access);
	trace_gondola_page_fault(vcpu->vm->id, vcpu->id, exit->pf.gva, vcpu->regs.rip,
				 exit->pf.error, result);
	switch (result) {
	case GONDOLA_ACCESS_OK:
		return RUN_REENTER;
	case GONDOLA_ACCESS_FAULT:
		if (unlikely(vcpu->xen) && xen_write_table(vcpu, exit, &access, &next))
			return next;
		run_queue_page_fault(vcpu, exit->pf.gva, access.error);
		return RUN_REENTER;
	case GONDOLA_ACCESS_INTERPRET:
		if (unlikely(vcpu->event.kind != GONDOLA_EVENT_NONE))
			return fault_in_delivery(vcpu, result);
		return assist_emulate_table_write(vcpu, access.gpa);
	case GONDOLA_ACCESS_MMIO:
		if (unlikely(vcpu->event.kind != GONDOLA_EVENT_NONE))
			return fault_in_delivery(vcpu, result);
		return assist_emulate(vcpu);
	case GONDOLA_ACCESS_MEMORY:
		return -EAGAIN;
	case GONDOLA_ACCESS_ERROR:
		break;
	}
	return -EFAULT;
}

void run_set_rax(struct gondola_vcpu *vcpu, unsigned int width, u32 value)
{
	u64 *rax = &vcpu->regs.gpr[R_RAX];

	if (width == 4)
		*rax = value;	/* writing a 32-bit register clears the upper half */
	else if (width == 2)
		*rax = (*rax & ~0xffffull) | (u16)value;
	else
		*rax = (*rax & ~0xffull) | (u8)value;
}

static int handle_io(struct gondola_vcpu *vcpu, struct gondola_exit *exit)
{
	unsigned int width = exit->io.width;
	bool in = exit->io.in;
	u32 value;

	if (exit->io.string)
		return assist_emulate(vcpu);
	value = (u32)vcpu->regs.gpr[R_RAX] & (~0u >> (32 - 8 * width));
	if (!gondola_irq_pio(vcpu, exit->io.port, width, !in, &value) &&
	    (in || !gondola_ioeventfd_write(vcpu->vm, true, exit->io.port, width, &value)))
		return assist_user_pio(vcpu, exit->io.port, width, in, exit->insn_len);
	if (in)
		run_set_rax(vcpu, width, value);
	return done(vcpu, exit);
}

/* Outside of 64-bit mode the operand has 32 bits; ignore the register's upper half. */
static u64 operand(struct gondola_vcpu *vcpu, unsigned int gpr)
{
	u64 value = vcpu->regs.gpr[gpr];

	return gondola_long_mode(vcpu) ? value : (u32)value;
}

static int handle_cr0_write(struct gondola_vcpu *vcpu, struct gondola_exit *exit)
{
	u64 value;

	if (exit->cr.clts)
		value = vcpu->cr0 & ~CR0_TS;
	else if (exit->cr.lmsw)	/* LMSW has four bits, and can set PE but not clear it */
		value = (vcpu->cr0 & ~(CR0_MP | CR0_EM | CR0_TS)) | (exit->cr.value & 0xf);
	else if (exit->cr.decoded)
		value = operand(vcpu, exit->cr.gpr);
	else
		return assist_emulate(vcpu);
	return done_or_gp(vcpu, exit, gondola_set_cr0(vcpu, value));
}

static int handle_cr3_write(struct gondola_vcpu *vcpu, struct gondola_exit *exit)
{
	if (unlikely(!exit->cr.decoded))
		return assist_emulate(vcpu);
	return done_or_gp(vcpu, exit, gondola_set_cr3(vcpu, vcpu->regs.gpr[exit->cr.gpr]));
}

static int handle_cr4_write(struct gondola_vcpu *vcpu, struct gondola_exit *exit)
{
	if (!exit->cr.decoded)
		return assist_emulate(vcpu);
	return done_or_gp(vcpu, exit, gondola_set_cr4(vcpu, operand(vcpu, exit->cr.gpr)));
}

static int handle_cr8_write(struct gondola_vcpu *vcpu, struct gondola_exit *exit)
{
	if (!exit->cr.decoded)
		return assist_emulate(vcpu);
	return done_or_gp(vcpu, exit, gondola_set_cr8(vcpu, operand(vcpu, exit->cr.gpr)));
}

static int handle_cr_read(struct gondola_vcpu *vcpu, struct gondola_exit *exit)
{
	if (!exit->cr.decoded)
		return assist_emulate(vcpu);
	if (gondola_get_cr(vcpu, exit->cr.cr, &vcpu->regs.gpr[exit->cr.gpr]))
		return raise(vcpu, VEC_UD);
	return done(vcpu, exit);
}

static int handle_dr(struct gondola_vcpu *vcpu, struct gondola_exit *exit)
{
	unsigned int dr = exit->cr.cr;
	int err;

	if (!exit->cr.decoded)
		return assist_emulate(vcpu);
	if ((dr & ~1u) == 4 && vcpu->cr4 & CR4_DE)
		return raise(vcpu, VEC_UD);
	/* The exit comes before the processor checks CPL and DR7.GD. */
	if (unlikely(vcpu->engine->cpl(vcpu)))
		return raise(vcpu, VEC_GP);
	if (unlikely(gondola_general_detect(vcpu)))
		return raise(vcpu, VEC_DB);
	if (exit->cr.write)
		err = gondola_set_dr(vcpu, dr, operand(vcpu, exit->cr.gpr));
	else
		err = gondola_get_dr(vcpu, dr, &vcpu->regs.gpr[exit->cr.gpr]);
	return done_or_gp(vcpu, exit, err);
}

static int handle_rdmsr(struct gondola_vcpu *vcpu, struct gondola_exit *exit)
{
	u32 index = (u32)vcpu->regs.gpr[R_RCX];
	u64 value = 0;
	int err = gondola_get_msr(vcpu, index, &value);

	trace_gondola_msr(vcpu->vm->id, vcpu->id, false, index, value, err);
	if (unlikely(err))
		return done_or_gp(vcpu, exit, err);
	vcpu->regs.gpr[R_RAX] = (u32)value;
	vcpu->regs.gpr[R_RDX] = value >> 32;
	return done(vcpu, exit);
}

static u64 edx_eax(const struct gondola_vcpu *vcpu)
{
	return (u64)(u32)vcpu->regs.gpr[R_RDX] << 32 | (u32)vcpu->regs.gpr[R_RAX];
}

static int handle_wrmsr(struct gondola_vcpu *vcpu, struct gondola_exit *exit)
{
	u32 index = (u32)vcpu->regs.gpr[R_RCX];
	u64 value = edx_eax(vcpu);
	int err = gondola_set_msr(vcpu, index, value);

	trace_gondola_msr(vcpu->vm->id, vcpu->id, true, index, value, err);
	return done_or_gp(vcpu, exit, err);
}

static int handle_xsetbv(struct gondola_vcpu *vcpu, struct gondola_exit *exit)
{
	if (!(vcpu->cr4 & CR4_OSXSAVE))
		return raise(vcpu, VEC_UD);
	if (vcpu->engine->cpl(vcpu))
		return raise(vcpu, VEC_GP);
	return done_or_gp(vcpu, exit, gondola_set_xcr(vcpu, (u32)vcpu->regs.gpr[R_RCX],
						      edx_eax(vcpu)));
}

static int handle_cpuid(struct gondola_vcpu *vcpu, struct gondola_exit *exit)
{
	u32 eax = (u32)vcpu->regs.gpr[R_RAX], ecx = (u32)vcpu->regs.gpr[R_RCX];
	u32 ebx, edx;

	if (likely(!vcpu->xen) || !gondola_xen_cpuid(vcpu, &eax, &ebx, &ecx, &edx))
		gondola_cpuid(vcpu, &eax, &ebx, &ecx, &edx);
	vcpu->regs.gpr[R_RAX] = eax;
	vcpu->regs.gpr[R_RBX] = ebx;
	vcpu->regs.gpr[R_RCX] = ecx;
	vcpu->regs.gpr[R_RDX] = edx;
	return done(vcpu, exit);
}

static int handle_hlt(struct gondola_vcpu *vcpu, struct gondola_exit *exit)
{
	vcpu->halted = true;
	return done(vcpu, exit);
}

static int handle_pause(struct gondola_vcpu *vcpu, struct gondola_exit *exit)
{
	gondola_vcpu_spins(vcpu);
	return done(vcpu, exit);
}

static int handle_invlpg(struct gondola_vcpu *vcpu, struct gondola_exit *exit)
{
	if (!exit->invlpg.decoded)
		return assist_emulate(vcpu);
	gondola_mmu_invlpg(vcpu, exit->invlpg.gva);
	return done(vcpu, exit);
}

static int handle_hypercall(struct gondola_vcpu *vcpu, struct gondola_exit *exit)
{
	if (gondola_hypercall(vcpu))
		return raise(vcpu, VEC_UD);
	return done(vcpu, exit);
}

/* WBINVD and INVD do nothing: no device bypasses the caches. */
static int handle_cache(struct gondola_vcpu *vcpu, struct gondola_exit *exit)
{
	return exit->insn_len ? done(vcpu, exit) : assist_emulate(vcpu);
}

static int handle_undefined(struct gondola_vcpu *vcpu, struct gondola_exit *exit)
{
	return raise(vcpu, VEC_UD);
}

/* SYSCALL exits only as an undefined instruction. */
static int handle_undefined_syscall(struct gondola_vcpu *vcpu)
{
	u8 len;
	int next = assist_measure(vcpu, RUN_OPCODE(2, 0x05), &len);

	if (next != RUN_REENTER || vcpu->event.kind != GONDOLA_EVENT_NONE)
		return next;
	return len ? assist_emulate(vcpu) : raise(vcpu, VEC_UD);
}

/* INT is complete, with an exception of its vector. */
static int complete_int(struct gondola_vcpu *vcpu, u8 vector)
{
	static const u16 by_int[] = { RUN_OPCODE(1, 0xcd), RUN_OPCODE(1, 0xcc), RUN_OPCODE(1, 0xce) };
	int i, next;
	u8 len;

	for (i = 0; i < ARRAY_SIZE(by_int); i++) {
		next = assist_measure(vcpu, by_int[i], &len);
		if (next != RUN_REENTER || vcpu->event.kind != GONDOLA_EVENT_NONE)
			return next;
		if (!len)
			continue;
		vcpu->regs.rip += len;
		run_queue_exception(vcpu, vector, false, 0);
		return RUN_REENTER;
	}
	return raise(vcpu, VEC_GP);
}

/*
 * What a paravirtualized kernel cannot do in ring 3, and has no hypercall for, is done for it: some
 * privileged instructions, CPUID by its prefix, and INT by its table of traps.
 */
bool run_xen_exception(struct gondola_vcpu *vcpu, struct gondola_exit *exit, int *next)
{
	u8 vector = exit->exception.vector;
	int trap;

	switch (vector) {
	case VEC_UD:
		*next = gondola_xen_cpuid_prefix(vcpu);
		if (*next > 0) {
			exit->insn_len = GONDOLA_XEN_CPUID_LEN;
			*next = handle_cpuid(vcpu, exit);
			return true;
		}
		return *next < 0;
	case VEC_GP:
		trap = gondola_xen_trap_by_int(vcpu, vector, exit->exception.error);
		if (trap >= 0) {
			*next = complete_int(vcpu, trap);
			return true;
		}
		if (exit->exception.error || !gondola_xen_in_kernel(vcpu))
			return false;
		*next = assist_emulate_privileged(vcpu);
		return true;
	}
	return false;
}

/* Give the guest the exception that was intercepted. */
static int handle_exception(struct gondola_vcpu *vcpu, struct gondola_exit *exit)
{
	struct gondola_event event = {
		.kind = GONDOLA_EVENT_EXCEPTION,
		.vector = exit->exception.vector,
		.has_error = exit->exception.has_error,
		.error = exit->exception.error,
	};

	int next;

	if (unlikely(vcpu->xen) && run_xen_exception(vcpu, exit, &next))
		return next;
	switch (event.vector) {
	case VEC_UD:
		if (unlikely(exit->exception.syscall) && vcpu->event.kind == GONDOLA_EVENT_NONE)
			return handle_undefined_syscall(vcpu);
		break;
	case VEC_DB:
		if (unlikely(vcpu->debug_dr7 && exit->exception.dr6 & DR6_BREAKPOINTS))
			return run_leave_breakpoint(vcpu, exit->exception.dr6);
		gondola_debug_exception(vcpu, exit->exception.dr6);
		break;
	case VEC_BP:
		if (unlikely(vcpu->breakpoints))
			return run_leave_debug(vcpu, GONDOLA_DEBUG_BREAKPOINTS);
		fallthrough;
	case VEC_OF:
		event.insn_len = exit->insn_len;
		break;
	}
	run_queue_event(vcpu, &event);
	return RUN_REENTER;
}

/* The run loop does pending work before it enters again. */
static int handle_nothing(struct gondola_vcpu *vcpu, struct gondola_exit *exit)
{
	return RUN_REENTER;
}

static int handle_triple_fault(struct gondola_vcpu *vcpu, struct gondola_exit *exit)
{
	vcpu->run->exit = GONDOLA_EXIT_SHUTDOWN;
	return RUN_LEAVE;
}

/* An event through a task gate, or the instruction at RIP, switches tasks. */
static int handle_task_switch(struct gondola_vcpu *vcpu, struct gondola_exit *exit)
{
	if (vcpu->event.kind != GONDOLA_EVENT_NONE)
		return assist_deliver(vcpu);
	return assist_emulate(vcpu);
}

static int leave_failed(struct gondola_vcpu *vcpu, const struct gondola_exit *exit, u32 why)
{
	struct gondola_run *run = vcpu->run;

	memset(&run->fail, 0, sizeof(run->fail));
	run->fail.hw_reason = exit->hw_reason;
	run->fail.hw_error = exit->fail.error;
	run->fail.qualification = exit->fail.qualification;
	if (exit->fail.field)
		strscpy(run->fail.field, exit->fail.field, sizeof(run->fail.field));
	run->exit = why;
	return RUN_LEAVE;
}

static int handle_entry_failed(struct gondola_vcpu *vcpu, struct gondola_exit *exit)
{
	return leave_failed(vcpu, exit, GONDOLA_EXIT_ENTRY_FAILED);
}

static int handle_unknown(struct gondola_vcpu *vcpu, struct gondola_exit *exit)
{
	return leave_failed(vcpu, exit, GONDOLA_EXIT_UNKNOWN);
}

static int handle_interpret(struct gondola_vcpu *vcpu, struct gondola_exit *exit)
{
	/* A processor can run what the emulator does not know; an engine in software cannot. */
	if (gondola_engine_is_hardware(vcpu->engine))
		return assist_emulate_known(vcpu);
	return assist_emulate(vcpu);
}

static int handle_guest_syscall(struct gondola_vcpu *vcpu, struct gondola_exit *exit)
{
	return gondola_xen_syscall(vcpu, exit->insn_len);
}

static int (*const handlers[])(struct gondola_vcpu *vcpu, struct gondola_exit *exit) = {
	[GONDOLA_REASON_UNKNOWN] = handle_unknown,
	[GONDOLA_REASON_HOST_INTERRUPT] = handle_nothing,
	[GONDOLA_REASON_HOST_NMI] = handle_nothing,
	[GONDOLA_REASON_PAGE_FAULT] = handle_page_fault,
	[GONDOLA_REASON_EXCEPTION] = handle_exception,
	[GONDOLA_REASON_INTERRUPT_WINDOW] = handle_nothing,
	[GONDOLA_REASON_NMI_WINDOW] = handle_nothing,
	[GONDOLA_REASON_CPUID] = handle_cpuid,
	[GONDOLA_REASON_HLT] = handle_hlt,
	[GONDOLA_REASON_PAUSE] = handle_pause,
	[GONDOLA_REASON_INVLPG] = handle_invlpg,
	[GONDOLA_REASON_CR0_WRITE] = handle_cr0_write,
	[GONDOLA_REASON_CR3_WRITE] = handle_cr3_write,
	[GONDOLA_REASON_CR4_WRITE] = handle_cr4_write,
	[GONDOLA_REASON_CR8_WRITE] = handle_cr8_write,
	[GONDOLA_REASON_CR_READ] = handle_cr_read,
	[GONDOLA_REASON_DR_ACCESS] = handle_dr,
	[GONDOLA_REASON_MSR_READ] = handle_rdmsr,
	[GONDOLA_REASON_MSR_WRITE] = handle_wrmsr,
	[GONDOLA_REASON_IO] = handle_io,
	[GONDOLA_REASON_HYPERCALL] = handle_hypercall,
	[GONDOLA_REASON_XSETBV] = handle_xsetbv,
	[GONDOLA_REASON_TASK_SWITCH] = handle_task_switch,
	[GONDOLA_REASON_TRIPLE_FAULT] = handle_triple_fault,
	/* The host goes down.  The event stays pending, so the next entry would end at once, too. */
	[GONDOLA_REASON_INIT_SIGNAL] = handle_unknown,
	[GONDOLA_REASON_UNDEFINED] = handle_undefined,
	[GONDOLA_REASON_CACHE] = handle_cache,
	[GONDOLA_REASON_ENTRY_FAILED] = handle_entry_failed,
	[GONDOLA_REASON_INTERPRET] = handle_interpret,
	[GONDOLA_REASON_SYSCALL] = handle_guest_syscall,
};
static_assert(ARRAY_SIZE(handlers) == GONDOLA_REASON_COUNT);

/* Instructions that the exit's handler completes.  Not every engine tells their length. */
static const u16 opcodes[GONDOLA_REASON_COUNT] = {
	[GONDOLA_REASON_CPUID] = RUN_OPCODE(2, 0xa2),
	[GONDOLA_REASON_HLT] = RUN_OPCODE(1, 0xf4),
	[GONDOLA_REASON_PAUSE] = RUN_OPCODE(1, 0x90),
	[GONDOLA_REASON_MSR_READ] = RUN_OPCODE(2, 0x32),
	[GONDOLA_REASON_MSR_WRITE] = RUN_OPCODE(2, 0x30),
	[GONDOLA_REASON_XSETBV] = RUN_OPCODE(2, 0x01),
};

/* Find the length of the instruction, if its exit needs it. */
static noinline int find_length(struct gondola_vcpu *vcpu, struct gondola_exit *exit)
{
	u16 opcode = opcodes[exit->reason];
	int next;

	if (!opcode)
		return RUN_REENTER;
	next = assist_measure(vcpu, opcode, &exit->insn_len);
	exit->handled = !exit->insn_len;
	return next;
}

static int handle_reason(struct gondola_vcpu *vcpu, struct gondola_exit *exit)
{
	int next;

	if (exit->reason >= GONDOLA_REASON_COUNT)
		return handle_unknown(vcpu, exit);
	exit->reason = array_index_nospec(exit->reason, GONDOLA_REASON_COUNT);
	if (!handlers[exit->reason])
		return handle_unknown(vcpu, exit);
	if (unlikely(!exit->insn_len)) {
		next = find_length(vcpu, exit);
		if (next != RUN_REENTER || exit->handled)
			return next;
	}
	return handlers[exit->reason](vcpu, exit);
}

int run_handle_exit(struct gondola_vcpu *vcpu, struct gondola_exit *exit)
{
	if (exit->handled)
		return RUN_REENTER;
	/* By far the most frequent exit: call directly, without a retpoline. */
	if (likely(exit->reason == GONDOLA_REASON_PAGE_FAULT))
		return handle_page_fault(vcpu, exit);
	return handle_reason(vcpu, exit);
}
