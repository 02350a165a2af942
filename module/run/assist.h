/* SPDX-License-Identifier: GPL-2.0-only */
/* Between assist.c and assist_regs.c: the operations on registers. */
#ifndef GONDOLA_RUN_ASSIST_H
#define GONDOLA_RUN_ASSIST_H

#include "emulate/emulate.h"
#include "vcpu.h"

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

/* STI (1), MOV SS (2), or 0: an instruction is complete. The bit that blocks NMIs is not theirs. */
static inline void assist_shadow(struct gondola_vcpu *vcpu, u32 shadow)
{
	u32 now = vcpu->engine->get_shadow(vcpu);

	if (unlikely((now & 3) != shadow))
		vcpu->engine->set_shadow(vcpu, (now & ~3u) | shadow);
}

#endif
