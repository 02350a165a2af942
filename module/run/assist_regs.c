// SPDX-License-Identifier: GPL-2.0-only
/* The registers of a vCPU, for the instruction emulator. */
#include <linux/minmax.h>
#include <linux/string.h>
#include "internal.h"
#include "assist.h"
#include "host/fpu.h"
#include "irq/irq.h"
#include "mmu/mmu.h"
#include "vcpu.h"
#include "x86/control.h"

static struct gondola_vcpu *to_vcpu(struct gondola_emulator *e)
{
	return e->ctx;
}

int assist_raise(struct gondola_emulator *e, u8 vector)
{
	e->exception = (struct gondola_event){
		.kind = GONDOLA_EVENT_EXCEPTION,
		.vector = vector,
		.has_error = gondola_vector_has_error(vector),
	};
	return GONDOLA_EMUL_FAULT;
}

static int ok_or_gp(struct gondola_emulator *e, int err)
{
	if (unlikely(err == -EAGAIN))
		return assist_ask_memory(e);
	return err ? assist_raise(e, VEC_GP) : GONDOLA_EMUL_OK;
}

static void op_get_segment(struct gondola_emulator *e, enum gondola_seg seg,
			struct gondola_segment *out)
{
	to_vcpu(e)->engine->get_segment(to_vcpu(e), seg, out);
}

static void op_set_segment(struct gondola_emulator *e, enum gondola_seg seg,
			const struct gondola_segment *in)
{
	to_vcpu(e)->engine->set_segment(to_vcpu(e), seg, in);
}

static void op_get_dtable(struct gondola_emulator *e, bool idt, struct gondola_dtable *out)
{
	to_vcpu(e)->engine->get_dtable(to_vcpu(e), idt, out);
}

static void op_set_dtable(struct gondola_emulator *e, bool idt, const struct gondola_dtable *in)
{
	to_vcpu(e)->engine->set_dtable(to_vcpu(e), idt, in);
}

static u64 op_get_cr(struct gondola_emulator *e, unsigned int cr)
{
	u64 value = 0;

	gondola_get_cr(to_vcpu(e), cr, &value);
	return value;
}

static int op_set_cr(struct gondola_emulator *e, unsigned int cr, u64 value)
{
	struct gondola_vcpu *vcpu = to_vcpu(e);

	switch (cr) {
	case 0:
		return ok_or_gp(e, gondola_set_cr0(vcpu, value));
	case 2:
		vcpu->cr2 = value;
		return GONDOLA_EMUL_OK;
	case 3:
		return ok_or_gp(e, gondola_set_cr3(vcpu, value));
	case 4:
		return ok_or_gp(e, gondola_set_cr4(vcpu, value));
	case 8:
		return ok_or_gp(e, gondola_set_cr8(vcpu, value));
	default:
		return assist_raise(e, VEC_UD);
	}
}

/* Checks before an access to a debug register: aliases, and general detect. */
static int check_dr(struct gondola_emulator *e, unsigned int dr)
{
	struct gondola_vcpu *vcpu = to_vcpu(e);

	if ((dr & ~1u) == 4 && vcpu->cr4 & CR4_DE)
		return assist_raise(e, VEC_UD);
	return gondola_general_detect(vcpu) ? assist_raise(e, VEC_DB) : GONDOLA_EMUL_OK;
}

static int op_get_dr(struct gondola_emulator *e, unsigned int dr, u64 *value)
{
	int r = check_dr(e, dr);

	return r ? r : ok_or_gp(e, gondola_get_dr(to_vcpu(e), dr, value));
}

static int op_set_dr(struct gondola_emulator *e, unsigned int dr, u64 value)
{
	int r = check_dr(e, dr);

	return r ? r : ok_or_gp(e, gondola_set_dr(to_vcpu(e), dr, value));
}

static int op_get_msr(struct gondola_emulator *e, u32 index, u64 *value)
{
	return ok_or_gp(e, gondola_get_msr(to_vcpu(e), index, value));
}

static int op_set_msr(struct gondola_emulator *e, u32 index, u64 value)
{
	return ok_or_gp(e, gondola_set_msr(to_vcpu(e), index, value));
}

static int op_cpuid(struct gondola_emulator *e, u32 *eax, u32 *ebx, u32 *ecx, u32 *edx)
{
	gondola_cpuid(to_vcpu(e), eax, ebx, ecx, edx);
	return GONDOLA_EMUL_OK;
}

static int op_invlpg(struct gondola_emulator *e, gva_t la)
{
	gondola_mmu_invlpg(to_vcpu(e), la);
	return GONDOLA_EMUL_OK;
}

static int op_hlt(struct gondola_emulator *e)
{
	to_vcpu(e)->halted = true;
	return GONDOLA_EMUL_OK;
}

static int op_wbinvd(struct gondola_emulator *e)
{
	return GONDOLA_EMUL_OK;
}

static void op_set_shadow(struct gondola_emulator *e, u32 shadow)
{
	assist_shadow(to_vcpu(e), shadow);
}

/* The handler's IRET ends the blocking of NMIs, also if it is emulated. */
static void op_iret(struct gondola_emulator *e)
{
	const struct gondola_engine_ops *engine = to_vcpu(e)->engine;
	u32 now = engine->get_shadow(to_vcpu(e));

	if (now & GONDOLA_SHADOW_NMI)
		engine->set_shadow(to_vcpu(e), now & ~GONDOLA_SHADOW_NMI);
}

static void op_get_xmm(struct gondola_emulator *e, unsigned int n, void *buf)
{
	run_get_xmm(to_vcpu(e), n, buf);
}

static void op_set_xmm(struct gondola_emulator *e, unsigned int n, const void *buf)
{
	run_set_xmm(to_vcpu(e), n, buf);
}

static void op_fpu_begin(struct gondola_emulator *e)
{
	gondola_host_fpu_begin();
}

static void op_fpu_end(struct gondola_emulator *e)
{
	gondola_host_fpu_end();
}

/* ---- task switches -------------------------------------------------------- */

static int op_enter_space(struct gondola_emulator *e, u64 cr3)
{
	struct gondola_vcpu *vcpu = to_vcpu(e);
	struct assist *in = to_assist(e);

	in->space.cr3 = vcpu->cr3;
	memcpy(in->space.pdptes, vcpu->mmu.pdptes, sizeof(in->space.pdptes));
	return ok_or_gp(e, gondola_set_cr3(vcpu, cr3));
}

static void op_swap_space(struct gondola_emulator *e)
{
	struct gondola_vcpu *vcpu = to_vcpu(e);
	struct assist *in = to_assist(e);
	u64 pdptes[4];

	memcpy(pdptes, vcpu->mmu.pdptes, sizeof(pdptes));
	/* Both were loaded once, so they are valid. */
	gondola_mmu_set_pdptes(vcpu, in->space.pdptes);
	memcpy(in->space.pdptes, pdptes, sizeof(pdptes));
	swap(vcpu->cr3, in->space.cr3);
	gondola_mmu_cr3_written(vcpu, true);
}

/* DR7: L0 to L3 and LE. */
#define DR7_OF_TASK	0x155ull

static void op_new_task(struct gondola_emulator *e, bool traps)
{
	struct gondola_vcpu *vcpu = to_vcpu(e);

	to_assist(e)->switched = true;
	to_assist(e)->task_traps = traps;
	gondola_set_cr0(vcpu, vcpu->cr0 | CR0_TS);
	if (unlikely(vcpu->dr7 & DR7_OF_TASK)) {
		vcpu->dr7 &= ~DR7_OF_TASK;
		gondola_update_dr7(vcpu);
	}
}

/* A paravirtualized guest has no SYSCALL of its own: assist_step() goes on. */
static int op_syscall(struct gondola_emulator *e)
{
	if (!to_vcpu(e)->xen)
		return GONDOLA_EMUL_OK;
	to_assist(e)->syscall_len = e->insn->len;
	return GONDOLA_EMUL_RETRY;
}

const struct gondola_emul_ops assist_ops = {
	.syscall = op_syscall,
	.fetch = assist_fetch,
	.read = assist_read,
	.write = assist_write,
	.cmpxchg = assist_cmpxchg,
	.io = assist_io,
	.get_segment = op_get_segment,
	.set_segment = op_set_segment,
	.get_dtable = op_get_dtable,
	.set_dtable = op_set_dtable,
	.get_cr = op_get_cr,
	.set_cr = op_set_cr,
	.get_dr = op_get_dr,
	.set_dr = op_set_dr,
	.get_msr = op_get_msr,
	.set_msr = op_set_msr,
	.cpuid = op_cpuid,
	.invlpg = op_invlpg,
	.hlt = op_hlt,
	.wbinvd = op_wbinvd,
	.set_shadow = op_set_shadow,
	.get_xmm = op_get_xmm,
	.set_xmm = op_set_xmm,
	.iret = op_iret,
	.fpu_begin = op_fpu_begin,
	.fpu_end = op_fpu_end,
	.enter_space = op_enter_space,
	.swap_space = op_swap_space,
	.new_task = op_new_task,
};
