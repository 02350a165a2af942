/* SPDX-License-Identifier: GPL-2.0-only */
/* Shared by the files of the VMX engine. */
#ifndef GONDOLA_VMX_H
#define GONDOLA_VMX_H

#include <linux/list.h>
#include <linux/percpu.h>
#include <linux/types.h>
#include <asm/vmx.h>
#include "vcpu.h"

/**
 * struct vmx_caps - capabilities of this machine's processors, found by the probe
 * @basic: IA32_VMX_BASIC
 * @misc: IA32_VMX_MISC
 * @ept_vpid: IA32_VMX_EPT_VPID_CAP, or 0
 * @cr0_fixed0, @cr0_fixed1, @cr4_fixed0, @cr4_fixed1: bits that must be 1, and may be 1
 * @pin, @proc, @proc2, @exit, @entry: the controls that gondola runs with
 * @host_efer: the host's EFER, the same on all processors
 * @vpid: VPIDs are used, and can be flushed one at a time
 * @vpid_gva: single addresses of a VPID can be flushed
 */
struct vmx_caps {
	u64 basic;
	u64 misc;
	u64 ept_vpid;
	u64 cr0_fixed0;
	u64 cr0_fixed1;
	u64 cr4_fixed0;
	u64 cr4_fixed1;
	u32 pin;
	u32 proc;
	u32 proc2;
	u32 exit;
	u32 entry;
	u64 host_efer;
	bool vpid;
	bool vpid_gva;
};
extern struct vmx_caps vmx_caps;

u32 vmx_probe(char *detail);

/*
 * MSRs that hold the guest's values while its vCPU is loaded.  The host's kernel does not use them:
 * SYSCALL comes from user mode, SWAPGS is used with it, and user mode's getcpu() reads TSC_AUX.  A
 * thread does not return to user mode without vcpu_put().
 */
enum vmx_switched_msr {
	VMX_MSR_STAR, VMX_MSR_LSTAR, VMX_MSR_CSTAR, VMX_MSR_SFMASK, VMX_MSR_KERNEL_GS_BASE,
	VMX_MSR_TSC_AUX, VMX_NR_SWITCHED
};

#define VMX_NR_LISTED	10	/* EFER, and the counters of processors without a global control */

/**
 * struct vmx_vcpu - VMX's data of a vCPU
 * @vmcs, @vmcs_pa: the VMCS
 * @cpu: the processor that may hold the VMCS in its caches, or -1
 * @link: in that processor's list
 * @launched: enter by VMRESUME
 * @live: between vcpu_load() and vcpu_put(): the processor holds the switched MSRs' guest values
 * @entered: the guest ran since vcpu_load()
 * @vmfail: VMLAUNCH or VMRESUME itself failed: no exit reason
 * @efer_listed: EFER is the first of the MSR lists
 * @nr_listed: length of the MSR lists
 * @shadow_written: the interrupt shadow was set by software since the last entry
 * @segments_written: software set a segment, and vmx_can_enter() has not passed its selector yet
 * @vpid: 0 if there is none
 * @exit_reason: VMCS field, read after each exit
 * @intr_info: likewise, for exceptions and NMIs
 * @host_rsp, @host_cr3, @host_cr4, @host_fs_base: contents of these host fields
 * @root, @rip, @rsp, @rflags: contents of these guest fields
 * @proc: the processor-based controls
 * @entry: the VM-entry controls
 * @pat: the guest's PAT, which the hardware never uses: guest memory is host memory, and all its
 *	mappings have the host's memory types
 * @msr: the guest's values of the switched MSRs
 * @host: the host's state that exits do not restore, taken at vcpu_load()
 * @guest_list, @host_list: MSRs that the processor switches: EFER where there are no controls for
 *	it, and performance counters
 */
struct vmx_vcpu {
	void *vmcs;
	u64 vmcs_pa;
	int cpu;
	struct list_head link;
	bool launched;
	bool live;
	bool entered;
	bool vmfail;
	bool shadow_written;
	bool segments_written;
	bool efer_listed;
	u8 nr_listed;
	u16 vpid;
	u32 exit_reason;
	u32 intr_info;

	u64 host_rsp;
	u64 host_cr3;
	u64 host_cr4;
	u64 host_fs_base;
	u64 root;
	u64 rip;
	u64 rsp;
	u64 rflags;
	u32 proc;
	u32 entry;

	u64 pat;
	u64 msr[VMX_NR_SWITCHED];
	struct {
		u16 fs, gs, ds, es, ldt;
		u64 kernel_gs_base;
	} host;

	struct vmx_msr_entry guest_list[VMX_NR_LISTED];
	struct vmx_msr_entry host_list[VMX_NR_LISTED];
};

static inline struct vmx_vcpu *to_vmx(const struct gondola_vcpu *vcpu)
{
	return vcpu->engine_data;
}

/* hw_reason if VMLAUNCH or VMRESUME failed, so that there was no exit. */
#define VMX_REASON_VMFAIL	0xffffu
#define VMX_REASON_ENTRY_FAILED	BIT(31)

/**
 * struct vmx_cpu - per-processor data
 * @region: for VMXON
 * @holds: the VMCSs that may be in its caches
 * @current_vmcs: the vCPU that is loaded, or was loaded last
 * @on: vCPUs may be loaded here
 * @nested: number of vmx_root_begin() without their end
 * @in_root: the outermost of them entered root operation
 * @host_msr: the kernel's values of the switched MSRs, except KERNEL_GS_BASE
 */
struct vmx_cpu {
	void *region;
	struct list_head holds;
	struct vmx_vcpu *current_vmcs;
	bool on;
	bool in_root;
	unsigned int nested;
	u64 host_msr[VMX_NR_SWITCHED];
};
DECLARE_PER_CPU(struct vmx_cpu, vmx_cpus);

/* root.c, or root_brief.c where the kernel keeps CR4.VMXE to itself: root operation */
bool vmx_root_on(struct vmx_cpu *c);
void vmx_root_off(void);
/* Can the processor be taken?  NULL, or the obstacle in words. */
const char *vmx_root_obstacle(u64 misc);
/* Make @c->current_vmcs current; false: the processor refuses it. */
bool vmx_root_load(struct vmx_cpu *c);
/* List the counters that must not run or write records in the guest; returns their number. */
int vmx_root_counters(struct vmx_msr_entry *guest, struct vmx_msr_entry *host, int room);

/* cpu.c: processors, and the VMCSs that they hold */
int vmx_setup(void);
void vmx_teardown(void);
int vmx_cpu_on(void);
void vmx_cpu_off(void);
/* Is this processor in root operation for this module? */
bool vmx_cpu_is_on(void);
/* Make the VMCS current on this processor.  @moved: another one held it.  Preemption off. */
void vmx_make_current(struct vmx_vcpu *vmx, int cpu, bool *moved);
/* Remove the VMCS from the processor that holds it. */
void vmx_evict(struct vmx_vcpu *vmx);
void *vmx_alloc_region(int cpu, gfp_t gfp);
/* The host's values of the switched MSRs on this processor. */
const u64 *vmx_host_msrs(void);
extern const u32 vmx_switched_msrs[VMX_NR_SWITCHED];

/* vmx.c */
void vmx_enter(struct gondola_vcpu *vcpu);

/* state.c: segments, control registers, MSRs */
extern unsigned long *vmx_msr_bitmap;
void vmx_fill_msr_bitmap(unsigned long *bitmap);
void vmx_get_segment(struct gondola_vcpu *vcpu, enum gondola_seg seg, struct gondola_segment *out);
void vmx_set_segment(struct gondola_vcpu *vcpu, enum gondola_seg seg,
		     const struct gondola_segment *in);
int vmx_cpl(struct gondola_vcpu *vcpu);
void vmx_get_dtable(struct gondola_vcpu *vcpu, bool idt, struct gondola_dtable *out);
void vmx_set_dtable(struct gondola_vcpu *vcpu, bool idt, const struct gondola_dtable *in);
void vmx_update_control(struct gondola_vcpu *vcpu);
void vmx_set_dr7(struct gondola_vcpu *vcpu, u64 dr7);
void vmx_set_tsc_offset(struct gondola_vcpu *vcpu);
int vmx_get_msr(struct gondola_vcpu *vcpu, u32 index, u64 *value);
int vmx_set_msr(struct gondola_vcpu *vcpu, u32 index, u64 value);

/* exit.c */
void vmx_decode(struct gondola_vcpu *vcpu, struct gondola_exit *exit);

/* event.c: injection, windows, interrupt shadow */
void vmx_inject(struct gondola_vcpu *vcpu, const struct gondola_event *event);
void vmx_cancel_injection(struct gondola_vcpu *vcpu);
u32 vmx_get_shadow(struct gondola_vcpu *vcpu);
void vmx_set_shadow(struct gondola_vcpu *vcpu, u32 shadow);
void vmx_open_window(struct gondola_vcpu *vcpu, bool interrupt, bool nmi);
/* Put an event back into vcpu->event, after an exit interrupted its delivery. */
void vmx_requeue(struct gondola_vcpu *vcpu, u32 vectoring);
/* Satisfy the entry checks for RFLAGS.TF with an interrupt shadow that software set. */
void vmx_fix_pending_debug(struct gondola_vcpu *vcpu);

/* check.c: the processor's checks on guest state */
bool vmx_can_enter(struct gondola_vcpu *vcpu);
/* The field to which the processor objects; NULL: unknown */
const char *vmx_check_guest_state(struct gondola_vcpu *vcpu);

/* entry.S: 0 after an exit, 1 if VMLAUNCH or VMRESUME failed; @host_rsp caches HOST_RSP */
int vmx_run(u64 *gpr, u64 *host_rsp, bool launched);
extern const char vmx_exit[];

#endif
