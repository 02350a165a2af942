// SPDX-License-Identifier: GPL-2.0-only
/*
 * A debugger's breakpoints and steps (GONDOLA_SET_DEBUG).
 *
 * The emulator does the step on every engine: the guest's RFLAGS do not show it, no interrupt
 * interferes, and instructions that exit need no special treatment.
 */
#include <linux/errno.h>
#include <linux/string.h>
#include "emulate/emulate.h"
#include "internal.h"
#include "vcpu.h"
#include "xen/guest.h"
#include "x86/control.h"
#include "x86/x86.h"

/* Is breakpoint @i one on a port, or of an undefined kind? */
#define RW(dr7, i)	((dr7) >> (16 + 4 * (i)) & 3)
#define RW_PORT		2

int run_leave_debug(struct gondola_vcpu *vcpu, u32 why)
{
	memset(&vcpu->run->debug, 0, sizeof(vcpu->run->debug));
	vcpu->run->debug.why = why;
	vcpu->run->exit = GONDOLA_EXIT_DEBUG;
	return RUN_LEAVE;
}

int run_leave_breakpoint(struct gondola_vcpu *vcpu, u64 dr6)
{
	/* The processor may have set these bits, though the guest has met no breakpoint. */
	vcpu->dr6 &= ~DR6_BREAKPOINTS;
	run_leave_debug(vcpu, GONDOLA_DEBUG_HARDWARE);
	vcpu->run->debug.dr6 = dr6 & DR6_BREAKPOINTS;
	/* The guest's own step ended with the same instruction. */
	if (dr6 & DR6_BS) {
		gondola_debug_exception(vcpu, DR6_BS);
		run_queue_exception(vcpu, VEC_DB, false, 0);
	}
	return RUN_LEAVE;
}

/* True: the launcher's answer is needed to complete the instruction. */
static bool step_waits(struct gondola_vcpu *vcpu, int next)
{
	u32 why = READ_ONCE(vcpu->run->exit);

	return next == RUN_LEAVE && (why == GONDOLA_EXIT_IO || why == GONDOLA_EXIT_MMIO ||
				     why == GONDOLA_EXIT_XEN);
}

int run_step(struct gondola_vcpu *vcpu)
{
	int next = RUN_REENTER;

	/* If the step was in progress, the answer has completed it. */
	if (!vcpu->stepping && vcpu->event.kind != GONDOLA_EVENT_NONE) {
		next = vcpu->xen ? gondola_xen_prepare(vcpu) : assist_deliver(vcpu);
	} else if (!vcpu->stepping) {
		vcpu->emulator->one_item = true;
		next = assist_step(vcpu);
	}
	vcpu->stepping = step_waits(vcpu, next);
	vcpu->emulator->one_item = vcpu->stepping;
	if (vcpu->stepping || next == -EAGAIN)
		gondola_request(vcpu, GONDOLA_REQ_STEP);
	return next == RUN_REENTER ? run_leave_debug(vcpu, GONDOLA_DEBUG_STEP) : next;
}

static bool dr7_ok(u64 dr7)
{
	unsigned int i;

	if (dr7 & ~(DR7_WRITABLE & ~DR7_GD & ~0xff00ull))
		return false;
	for (i = 0; i < 4; i++)
		if (RW(dr7, i) == RW_PORT)
			return false;
	return true;
}

static int check(const struct gondola_debug *args)
{
	if (args->flags & GONDOLA_DEBUG_HARDWARE)
		return dr7_ok(args->dr7) ? 0 : -EINVAL;
	return memchr_inv(args->dr, 0, sizeof(args->dr)) || args->dr7 ? -EINVAL : 0;
}

/* The vCPU is loaded. */
static int take(struct gondola_vcpu *vcpu, const struct gondola_debug *args)
{
	bool breakpoints = vcpu->breakpoints;
	u64 dr7 = vcpu->debug_dr7;
	int err;

	vcpu->breakpoints = args->flags & GONDOLA_DEBUG_BREAKPOINTS;
	vcpu->debug_dr7 = args->flags & GONDOLA_DEBUG_HARDWARE ? args->dr7 | DR7_FIXED : 0;
	err = vcpu->engine->set_debug(vcpu);
	if (err) {
		vcpu->breakpoints = breakpoints;
		vcpu->debug_dr7 = dr7;
		return err;
	}
	memcpy(vcpu->debug_dr, args->dr, sizeof(vcpu->debug_dr));
	gondola_update_dr7(vcpu);
	vcpu->emulator->int3_fails = vcpu->breakpoints;
	vcpu->emulator->one_item = false;
	return 0;
}

int gondola_vcpu_set_debug(struct gondola_vcpu *vcpu, const struct gondola_debug *args)
{
	int err = check(args);

	if (err)
		return err;
	err = gondola_vcpu_load(vcpu);
	if (err)
		return err;
	err = take(vcpu, args);
	gondola_vcpu_unload(vcpu);
	if (err)
		return err;
	vcpu->stepping = false;
	if (args->flags & GONDOLA_DEBUG_STEP)
		gondola_request(vcpu, GONDOLA_REQ_STEP);
	else
		clear_bit(GONDOLA_REQ_STEP, &vcpu->requests);
	return 0;
}
