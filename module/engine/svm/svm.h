/* SPDX-License-Identifier: GPL-2.0-only */
/* Shared by the files of the SVM engine. */
#ifndef GONDOLA_SVM_H
#define GONDOLA_SVM_H

#include <linux/types.h>
#include "vcpu.h"
#include "vmcb.h"

struct gondola_exit;

/**
 * struct svm_vcpu - SVM's data of a vCPU
 * @vmcb, @vmcb_pa: the control block
 * @asid_round: the round of @vmcb's ASID; 0: take a new one
 * @asid_cpu: the processor of @vmcb's ASID
 * @tsc_aux, @pat: MSRs that the VMCB does not switch
 * @host_tsc_aux: the host's TSC_AUX, while @loaded
 * @host_ldt: the selector of the host's LDT, while @loaded
 * @loaded: between vcpu_load() and vcpu_put()
 * @next_rip_saved: the processor saves the next RIP at exits by instructions
 * @reads_are_of_cr0: the processor checks CR0's intercept for reads of all control registers
 * @unchecked: state was set that VMRUN might refuse
 * @refused: the field that VMRUN would refuse, or NULL
 * @soft_len: if the next entry delivers a software event, the length of its instruction; else 0
 * @interrupt: vector of the virtual interrupt at the next entry, or -1
 * @nmi_blocked: an NMI handler runs, until the guest's next IRET
 * @iret_seen: this IRET, at @iret_rip, was intercepted and may complete
 * @want_nmi: an NMI waits for its window
 * @step: this entry runs one instruction only, because of @want_nmi
 * @dr6_before: DR6 at the entry with @step, to tell our step from the guest's
 */
struct svm_vcpu {
	struct vmcb *vmcb;
	u64 vmcb_pa;
	u64 asid_round;
	int asid_cpu;
	u64 tsc_aux;
	u64 host_tsc_aux;
	u16 host_ldt;
	u64 pat;
	bool next_rip_saved;
	bool reads_are_of_cr0;
	bool unchecked;
	const char *refused;
	u8 soft_len;
	s16 interrupt;
	bool loaded;
	bool nmi_blocked;
	bool iret_seen;
	bool want_nmi;
	bool step;
	u64 iret_rip;
	u64 dr6_before;
};

/* entry.S: interrupts off; @regs are struct gondola_regs, addresses are physical. */
void svm_run(void *regs, u64 vmcb_pa, u64 host_pa);

/* Withdraw the virtual interrupt that inject() set.  Returns whether it was still pending. */
static inline bool svm_end_interrupt(struct svm_vcpu *svm)
{
	bool left = svm->interrupt >= 0 && svm->vmcb->int_control & SVM_V_IRQ;

	if (svm->interrupt >= 0)
		svm->vmcb->int_control &= ~(u64)SVM_V_IRQ;
	svm->interrupt = -1;
	return left;
}

/* exit.c */
void svm_decode(struct gondola_vcpu *vcpu, struct gondola_exit *exit);
/* Called before an entry, since QEMU's processor overwrites a state that it refuses. */
const char *svm_refused_field(const struct vmcb *vmcb);

/* state.c */
void svm_get_segment(struct gondola_vcpu *vcpu, enum gondola_seg seg, struct gondola_segment *out);
void svm_set_segment(struct gondola_vcpu *vcpu, enum gondola_seg seg,
		     const struct gondola_segment *in);
int svm_cpl(struct gondola_vcpu *vcpu);
void svm_get_dtable(struct gondola_vcpu *vcpu, bool idt, struct gondola_dtable *out);
void svm_set_dtable(struct gondola_vcpu *vcpu, bool idt, const struct gondola_dtable *in);
void svm_set_dr7(struct gondola_vcpu *vcpu, u64 dr7);
void svm_set_tsc_offset(struct gondola_vcpu *vcpu);
void svm_swap_tsc_aux(struct svm_vcpu *svm, bool guest);
int svm_get_msr(struct gondola_vcpu *vcpu, u32 index, u64 *value);
int svm_set_msr(struct gondola_vcpu *vcpu, u32 index, u64 value);

#endif
