// SPDX-License-Identifier: GPL-2.0-only
/*
 * Hypercalls: a table, and the calls that only ask or tell something.  A call that finds memory
 * missing, or has to tell the launcher something, stays at its SYSCALL, and a cursor says how far it
 * came: nothing is done twice.
 */
#include <linux/minmax.h>
#include <linux/nospec.h>
#include <linux/sched/signal.h>
#include <linux/string.h>
#include "internal.h"
#include "trace.h"
#include "x86/control.h"

/* XEN_VERSION tells these, beside the number. */
#define EXTRA		".gondola"
#define CAPABILITIES	"xen-3.0-x86_64"

s64 xen_between_entries(void)
{
	cond_resched();
	return signal_pending(current) ? XEN_SIGNAL : 0;
}

s64 xen_result(int err)
{
	if (likely(!err))
		return 0;
	return err == -EAGAIN ? XEN_AGAIN : -XEN_EINVAL;
}

s64 xen_access_result(enum gondola_access_result result)
{
	switch (result) {
	case GONDOLA_ACCESS_OK:
		return 0;
	case GONDOLA_ACCESS_MEMORY:
		return XEN_AGAIN;
	default:
		return -XEN_EFAULT;
	}
}

static s64 copy(struct gondola_vcpu *vcpu, u64 gva, void *buf, unsigned int bytes, u32 access)
{
	struct gondola_access out;
	s64 r = 0;

	while (bytes && !r) {
		unsigned int n = min_t(unsigned int, bytes, GONDOLA_PAGE_SIZE - (gva & ~GONDOLA_PAGE_MASK));

		r = xen_access_result(gondola_mmu_access(vcpu, gva, buf, n, access, &out));
		gva += n;
		buf += n;
		bytes -= n;
	}
	return r;
}

s64 xen_copy_in(struct gondola_vcpu *vcpu, void *to, u64 from, unsigned int bytes)
{
	return copy(vcpu, from, to, bytes, 0);
}

s64 xen_copy_out(struct gondola_vcpu *vcpu, u64 to, const void *from, unsigned int bytes)
{
	return copy(vcpu, to, (void *)from, bytes, PFEC_W);
}

/* ---- calls that ask or tell something --------------------------------------------------------- */

static s64 features(struct gondola_vcpu *vcpu, u64 at)
{
	struct xen_features args;
	s64 r = xen_copy_in(vcpu, &args, at, sizeof(args));

	if (r)
		return r;
	args.bits = args.word ? 0 : XEN_FEATURE_TABLES_ABOVE_4G | XEN_FEATURE_KEEP_AD |
				    XEN_FEATURE_GRANT_AVAIL_BITS;
	return xen_copy_out(vcpu, at, &args, sizeof(args));
}

/* arg: what, buffer */
static s64 version(struct gondola_vcpu *vcpu, const u64 *arg)
{
	static const char extra[16] = EXTRA, changeset[64] = "", capabilities[1024] = CAPABILITIES;
	static const u64 start = XEN_M2P_START;

	switch (arg[0]) {
	case XEN_VERSION_NUMBER:
		return XEN_ABI_VERSION;
	case XEN_VERSION_EXTRA:
		return xen_copy_out(vcpu, arg[1], extra, sizeof(extra));
	case XEN_VERSION_CAPABILITIES:
		return xen_copy_out(vcpu, arg[1], capabilities, sizeof(capabilities));
	case XEN_VERSION_CHANGESET:
		return xen_copy_out(vcpu, arg[1], changeset, sizeof(changeset));
	case XEN_VERSION_PLATFORM:
		return xen_copy_out(vcpu, arg[1], &start, sizeof(start));
	case XEN_VERSION_FEATURES:
		return features(vcpu, arg[1]);
	case XEN_VERSION_PAGE_SIZE:
		return GONDOLA_PAGE_SIZE;
	}
	return -XEN_ENOSYS;
}

/* arg: what, bytes, buffer.  The launcher has the console. */
static s64 console_io(struct gondola_vcpu *vcpu, const u64 *arg)
{
	struct gondola_run *run = vcpu->run;
	u32 bytes = min_t(u64, arg[1], GONDOLA_RUN_SIZE - GONDOLA_RUN_IO_OFFSET);
	s64 r;

	if (arg[0] != XEN_CONSOLE_WRITE)
		return -XEN_ENOSYS;
	if (vcpu->xen->leave)
		return XEN_LEAVE;
	if (!bytes)
		return 0;
	r = xen_copy_in(vcpu, (void *)run + GONDOLA_RUN_IO_OFFSET, arg[2], bytes);
	if (r)
		return r;
	xen_tell(vcpu, GONDOLA_XEN_CONSOLE, bytes);
	return bytes;
}

/* The guest asks for something that is so, or does not matter here. */
static s64 nothing(struct gondola_vcpu *vcpu, const u64 *arg)
{
	return 0;
}

/* ---- the table ------------------------------------------------------------------------------- */

static s64 multicall(struct gondola_vcpu *vcpu, const u64 *arg);

static s64 (*const calls[XEN_CALLS])(struct gondola_vcpu *vcpu, const u64 *arg) = {
	[XEN_SET_TRAP_TABLE] = xen_set_trap_table,
	[XEN_MMU_UPDATE] = xen_mmu_update,
	[XEN_SET_GDT] = xen_set_gdt,
	[XEN_STACK_SWITCH] = xen_stack_switch,
	[XEN_FPU_TASKSWITCH] = xen_fpu_taskswitch,
	[XEN_SET_DEBUGREG] = xen_set_debugreg,
	[XEN_GET_DEBUGREG] = xen_get_debugreg,
	[XEN_UPDATE_DESCRIPTOR] = xen_update_descriptor,
	[XEN_MEMORY_OP] = xen_memory_op,
	[XEN_MULTICALL] = multicall,
	[XEN_UPDATE_VA_MAPPING] = xen_update_va_mapping,
	[XEN_VERSION] = version,
	[XEN_CONSOLE_IO] = console_io,
	[XEN_GRANT_TABLE_OP] = xen_grant_table_op,
	[XEN_VM_ASSIST] = nothing,
	[XEN_VCPU_OP] = xen_vcpu_op,
	[XEN_SET_SEGMENT_BASE] = xen_set_segment_base,
	[XEN_MMUEXT_OP] = xen_mmuext_op,
	[XEN_SCHED_OP] = xen_sched_op,
	[XEN_CALLBACK_OP] = xen_callback_op,
	[XEN_EVENT_CHANNEL_OP] = xen_event_channel_op,
	[XEN_PHYSDEV_OP] = nothing,
};

static s64 call(struct gondola_vcpu *vcpu, u64 number, const u64 *arg)
{
	s64 result = -XEN_ENOSYS;

	if (number < XEN_CALLS) {
		number = array_index_nospec(number, XEN_CALLS);
		if (calls[number])
			result = calls[number](vcpu, arg);
		if (result == -XEN_ENOSYS)
			atomic_inc(&vcpu->vm->xen->unknown[number]);
	}
	if (!xen_stays(result))
		trace_gondola_xen_call(vcpu->vm->id, vcpu->id, number, arg[0], arg[1], result);
	return result;
}

/* Make the call of @one, unless it is made; then its result goes into the list, at @at. */
static s64 one_of_many(struct gondola_vcpu *vcpu, u64 at)
{
	struct gondola_xen_vcpu *xen = vcpu->xen;
	struct xen_multicall one;
	s64 r;

	if (!xen->result_due) {
		r = xen_copy_in(vcpu, &one, at, sizeof(one));
		if (r)
			return r;
		r = one.call == XEN_MULTICALL || one.call == XEN_IRET ? -XEN_EINVAL :
		    call(vcpu, one.call, one.arg);
		if (xen_stays(r))
			return r;
		xen->nested = 0;
		xen->result = r;
		xen->result_due = true;
	}
	r = xen_copy_out(vcpu, at + offsetof(struct xen_multicall, result), &xen->result,
			 sizeof(xen->result));
	/* Memory that is missing is waited for, but the call is not made again. */
	xen->result_due = r == XEN_AGAIN;
	return r;
}

/* arg: list, count.  The results are written into the list. */
static s64 multicall(struct gondola_vcpu *vcpu, const u64 *arg)
{
	u32 *cursor = &vcpu->xen->cursor;
	s64 r;

	if (arg[1] > XEN_MAX_LIST)
		return -XEN_EINVAL;
	for (; *cursor < arg[1]; ++*cursor) {
		r = xen_between_entries() ?:
		    one_of_many(vcpu, arg[0] + *cursor * sizeof(struct xen_multicall));
		if (r)
			return r;
	}
	return 0;
}

bool xen_tell(struct gondola_vcpu *vcpu, u32 op, u32 value)
{
	struct gondola_xen_vcpu *xen = vcpu->xen;

	if (xen->leave)
		return false;
	xen->leave = true;
	xen->leave_op = op;
	xen->leave_value = value;
	return true;
}

/* Another exit may have come in between: the run page is filled in now. */
static int leave(struct gondola_vcpu *vcpu)
{
	vcpu->xen->leave = false;
	vcpu->run->xen.op = vcpu->xen->leave_op;
	vcpu->run->xen.value = vcpu->xen->leave_value;
	vcpu->run->exit = GONDOLA_EXIT_XEN;
	return 0;
}

static void forget_progress(struct gondola_xen_vcpu *xen)
{
	xen->cursor = 0;
	xen->nested = 0;
	xen->result_due = false;
}

/* The hypercall at RIP is complete. */
static int done(struct gondola_vcpu *vcpu, unsigned int insn_len)
{
	struct gondola_xen_vcpu *xen = vcpu->xen;
	struct gondola_regs *regs = &vcpu->regs;

	forget_progress(xen);
	regs->rip += insn_len;
	return xen->leave ? leave(vcpu) : 1;
}

static int hypercall(struct gondola_vcpu *vcpu, unsigned int insn_len)
{
	static const u8 registers[] = { R_RDI, R_RSI, R_RDX, R_R10, R_R8, R_R9 };
	struct gondola_regs *regs = &vcpu->regs;
	u64 arg[ARRAY_SIZE(registers)], number = (u32)regs->gpr[R_RAX];
	s64 result;
	int i;

	if (!xen_under_way(vcpu)) {
		forget_progress(vcpu->xen);
		vcpu->xen->call_rip = regs->rip;
	}
	for (i = 0; i < ARRAY_SIZE(registers); i++)
		arg[i] = regs->gpr[registers[i]];
	if (number == XEN_IRET) {
		result = xen_iret(vcpu);
		if (result == XEN_AGAIN)
			return -EAGAIN;
		/* Without a frame to return to there is nowhere to go. */
		if (result)
			vcpu->run->exit = GONDOLA_EXIT_SHUTDOWN;
		return !result;
	}
	result = call(vcpu, number, arg);
	if (result == XEN_AGAIN)
		return -EAGAIN;
	if (result == XEN_SIGNAL)
		return -EINTR;
	if (result == XEN_LEAVE)
		return leave(vcpu);
	regs->gpr[R_RAX] = result;
	return done(vcpu, insn_len);
}

int gondola_xen_syscall(struct gondola_vcpu *vcpu, unsigned int insn_len)
{
	if (!vcpu->xen->in_kernel)
		return xen_bounce_syscall(vcpu, vcpu->regs.rip + insn_len);
	return hypercall(vcpu, insn_len);
}
