// SPDX-License-Identifier: GPL-2.0-only
/*
 * The state of a vCPU after a reset, INIT and start-up IPIs: "Processor State After Reset" in the
 * manual.
 */
#include <linux/string.h>
#include "irq/irq.h"
#include "vcpu.h"
#include "host/vcpu_host.h"
#include "internal.h"
#include "x86/control.h"

#define AR_DATA		0x93u
#define AR_CODE		0x9bu
#define AR_LDT		0x82u
#define AR_TSS		0x8bu
#define REAL_LIMIT	0xffffu

void gondola_vcpu_reset_registers(struct gondola_vcpu *vcpu)
{
	memset(&vcpu->regs, 0, sizeof(vcpu->regs));
	vcpu->regs.rip = 0xfff0;
	vcpu->regs.rflags = RFL_FIXED;
	vcpu->regs.gpr[R_RDX] = 0x600;
	vcpu->cr0 = CR0_CD | CR0_NW | CR0_ET;
	vcpu->xcr0 = 1;
	vcpu->dr6 = DR6_FIXED;
	vcpu->dr7 = DR7_FIXED;
	vcpu->maxphyaddr = 36;
}

static void reset_segments(struct gondola_vcpu *vcpu)
{
	const struct gondola_engine_ops *engine = vcpu->engine;
	struct gondola_segment s = { .limit = REAL_LIMIT, .ar = AR_DATA };
	const struct gondola_dtable table = { .limit = REAL_LIMIT };
	enum gondola_seg seg;

	for (seg = GONDOLA_ES; seg <= GONDOLA_GS; seg++)
		engine->set_segment(vcpu, seg, &s);
	s.ar = AR_LDT;
	engine->set_segment(vcpu, GONDOLA_LDTR, &s);
	s.ar = AR_TSS;
	engine->set_segment(vcpu, GONDOLA_TR, &s);
	s.ar = AR_CODE;
	s.selector = 0xf000;
	s.base = 0xffff0000;
	engine->set_segment(vcpu, GONDOLA_CS, &s);
	engine->set_dtable(vcpu, false, &table);
	engine->set_dtable(vcpu, true, &table);
}

/* INIT does not change MSRs, the TSC, XCR0, the FPU and CR0's cache bits. */
static void init(struct gondola_vcpu *vcpu)
{
	u64 caching = vcpu->cr0 & (CR0_CD | CR0_NW);

	memset(&vcpu->regs, 0, sizeof(vcpu->regs));
	vcpu->regs.rip = 0xfff0;
	vcpu->regs.rflags = RFL_FIXED;
	vcpu->regs.gpr[R_RDX] = 0x600;
	vcpu->cr0 = caching | CR0_ET;
	vcpu->cr2 = 0;
	vcpu->cr3 = 0;
	vcpu->cr4 = 0;
	vcpu->efer = 0;
	memset(vcpu->dr, 0, sizeof(vcpu->dr));
	vcpu->dr6 = DR6_FIXED;
	vcpu->dr7 = DR7_FIXED;
	vcpu->event.kind = GONDOLA_EVENT_NONE;
	vcpu->nmi_pending = 0;

	reset_segments(vcpu);
	vcpu->engine->set_shadow(vcpu, 0);
	gondola_update_dr7(vcpu);
	gondola_mmu_mode_changed(vcpu);
	gondola_mmu_flush_guest(vcpu);
	vcpu->engine->update_control(vcpu);
}

static void start_at(struct gondola_vcpu *vcpu, u8 vector)
{
	const struct gondola_segment cs = {
		.selector = vector << 8, .base = vector << 12, .limit = REAL_LIMIT, .ar = AR_CODE,
	};

	vcpu->engine->set_segment(vcpu, GONDOLA_CS, &cs);
	vcpu->regs.rip = 0;
	vcpu->halted = false;
}

void run_startup(struct gondola_vcpu *vcpu)
{
	u8 vector;

	for (;;) {
		switch (gondola_lapic_take_startup(vcpu, &vector)) {
		case GONDOLA_STARTUP_NONE:
			return;
		case GONDOLA_STARTUP_INIT:
			init(vcpu);
			vcpu->halted = gondola_lapic_waiting(vcpu);
			break;
		case GONDOLA_STARTUP_SIPI:
			start_at(vcpu, vector);
			break;
		}
	}
}
