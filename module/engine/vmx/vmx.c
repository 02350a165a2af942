// SPDX-License-Identifier: GPL-2.0-only
/* The VMX engine: vCPUs, entering the guest, and the table of operations. */
#include <linux/idr.h>
#include <linux/slab.h>
#include <asm/cpu_entry_area.h>
#include <asm/desc.h>
#include <asm/msr.h>
#include <asm/segment.h>
#include <asm/special_insns.h>
#include "host/compat.h"
#include "vmcs.h"
#include "vmx.h"
#include "engine/entry.h"
#include "engine/host_ldt.h"
#include "engine/machine_check.h"

/* Assumptions of entry.S. */
static_assert(HOST_RSP == 0x6c14);

/* VPIDs are per machine; 0 is the host's own. */
static DEFINE_IDA(vpids);

/* ---- translations ---------------------------------------------------------------- */

/*
 * Without VPIDs every entry and exit drops all translations, so the next entry does it.  With VPIDs
 * a vCPU is flushed when it moves to a processor, so translations on others do not matter.
 */
static noinline void vmx_flush_tlb(struct gondola_vcpu *vcpu)
{
	u16 vpid = to_vmx(vcpu)->vpid;

	if (vpid)
		vmx_invvpid(VMX_VPID_EXTENT_SINGLE_CONTEXT, vpid, 0);
}

static void vmx_flush_gva(struct gondola_vcpu *vcpu, gva_t gva)
{
	u16 vpid = to_vmx(vcpu)->vpid;

	if (!vpid)
		return;
	if (!vmx_caps.vpid_gva)
		vmx_flush_tlb(vcpu);
	else if (__is_canonical_address(gva, 48))
		vmx_invvpid(VMX_VPID_EXTENT_INDIVIDUAL_ADDR, vpid, gva);
}

/* ---- a vCPU comes to a processor and goes --------------------------------------------- */

/* Write the host fields that point to this processor's own structures. */
static void write_host_cpu_state(int cpu)
{
	u64 value;

	vmx_write(HOST_TR_BASE, (u64)&get_cpu_entry_area(cpu)->tss.x86_tss);
	vmx_write(HOST_GDTR_BASE, (u64)get_cpu_gdt_ro(cpu));
	rdmsrq(MSR_GS_BASE, value);
	vmx_write(HOST_GS_BASE, value);
	rdmsrq(MSR_IA32_SYSENTER_ESP, value);
	vmx_write(HOST_IA32_SYSENTER_ESP, value);
}

/*
 * User mode's segments.  The host fields cannot have user selectors, so an exit loads null
 * selectors and the bases; vmx_vcpu_put() loads the selectors again.
 */
static void save_host_segments(struct vmx_vcpu *vmx)
{
	u64 base;

	savesegment(fs, vmx->host.fs);
	savesegment(gs, vmx->host.gs);
	savesegment(ds, vmx->host.ds);
	savesegment(es, vmx->host.es);
	vmx->host.ldt = engine_host_ldt();

	rdmsrq(MSR_FS_BASE, base);
	if (base != vmx->host_fs_base) {
		vmx->host_fs_base = base;
		vmx_write(HOST_FS_BASE, base);
	}
}

static void restore_host_segments(struct vmx_vcpu *vmx)
{
	/* Load the LDT first, since the others may name descriptors in it. */
	engine_host_ldt_put(vmx->host.ldt);
	if (unlikely(vmx->host.gs))
		load_gs_index(vmx->host.gs);
	if (unlikely(vmx->host.fs)) {
		loadsegment(fs, vmx->host.fs);
		wrmsrq(MSR_FS_BASE, vmx->host_fs_base);
	}
	if (unlikely(vmx->host.ds | vmx->host.es)) {
		loadsegment(ds, vmx->host.ds);
		loadsegment(es, vmx->host.es);
	}
}

static void vmx_vcpu_load(struct gondola_vcpu *vcpu, int cpu)
{
	struct vmx_vcpu *vmx = to_vmx(vcpu);
	const u64 *host = vmx_host_msrs();
	bool moved;
	int i;

	vmx_make_current(vmx, cpu, &moved);
	if (moved) {
		write_host_cpu_state(cpu);
		vmx_flush_tlb(vcpu);
	}
	save_host_segments(vmx);

	rdmsrq(MSR_KERNEL_GS_BASE, vmx->host.kernel_gs_base);
	for (i = 0; i < VMX_NR_SWITCHED; i++)
		if (i == VMX_MSR_KERNEL_GS_BASE || vmx->msr[i] != host[i])
			wrmsrq(vmx_switched_msrs[i], vmx->msr[i]);
	vmx->live = true;
	vmx->entered = false;
}

static void vmx_vcpu_put(struct gondola_vcpu *vcpu)
{
	struct vmx_vcpu *vmx = to_vmx(vcpu);
	const u64 *host = vmx_host_msrs();
	int i;

	rdmsrq(MSR_KERNEL_GS_BASE, vmx->msr[VMX_MSR_KERNEL_GS_BASE]);
	vmx->live = false;
	if (vmx->entered) {
		restore_host_segments(vmx);
		/* Exits set fixed limits for GDT and TSS: restore the kernel's. */
		load_fixmap_gdt(smp_processor_id());
		invalidate_tss_limit();
	}
	/* This comes after the GS selector, whose loading writes it too. */
	wrmsrq(MSR_KERNEL_GS_BASE, vmx->host.kernel_gs_base);
	for (i = 0; i < VMX_NR_SWITCHED; i++)
		if (i != VMX_MSR_KERNEL_GS_BASE && vmx->msr[i] != host[i])
			wrmsrq(vmx_switched_msrs[i], host[i]);
}

/* ---- entry ----------------------------------------------------------------------------- */

/* The host's page tables and CR4 may have changed since the last entry. */
static __always_inline void update_host_control(struct vmx_vcpu *vmx)
{
	u64 cr3 = __native_read_cr3(), cr4 = native_read_cr4();

	if (unlikely(cr3 != vmx->host_cr3)) {
		vmx->host_cr3 = cr3;
		vmx_write(HOST_CR3, cr3);
	}
	if (unlikely(cr4 != vmx->host_cr4)) {
		vmx->host_cr4 = cr4;
		vmx_write(HOST_CR4, cr4);
	}
}

/* Counters follow EFER in the lists, since only the processor can switch them at the very moment. */
static __always_inline void switch_counters(struct vmx_vcpu *vmx)
{
	int listed = vmx->efer_listed;

	if (cpu_feature_enabled(X86_FEATURE_ARCH_PERFMON))
		listed += vmx_root_counters(vmx->guest_list + listed, vmx->host_list + listed,
					    VMX_NR_LISTED - listed);
	if (likely(listed == vmx->nr_listed))
		return;
	vmx->nr_listed = listed;
	vmx_write(VM_ENTRY_MSR_LOAD_COUNT, listed);
	vmx_write(VM_EXIT_MSR_LOAD_COUNT, listed);
}

static __always_inline void write_guest_regs(struct gondola_vcpu *vcpu, struct vmx_vcpu *vmx)
{
	const struct gondola_regs *regs = &vcpu->regs;

	if (regs->rip != vmx->rip)
		vmx_write(GUEST_RIP, regs->rip);
	if (unlikely(regs->gpr[R_RSP] != vmx->rsp))
		vmx_write(GUEST_RSP, regs->gpr[R_RSP]);
	if (unlikely(regs->rflags != vmx->rflags || vmx->shadow_written)) {
		vmx_write(GUEST_RFLAGS, regs->rflags);
		vmx_fix_pending_debug(vcpu);
		vmx->shadow_written = false;
	}
	if (unlikely(vcpu->hw_root != vmx->root)) {
		vmx->root = vcpu->hw_root;
		vmx_write(GUEST_CR3, vmx->root);
		/* Entries do not flush translations of a VPID, and the vCPU has one VPID for all roots. */
		vmx_flush_tlb(vcpu);
	}
}

/*
 * Pass the NMI or machine check that caused the exit to the host, before interrupts open.  The exit
 * blocked NMIs; the handler's IRET ends that.
 */
static void hand_to_host(struct vmx_vcpu *vmx)
{
	if (unlikely(vmx->exit_reason & VMX_EXIT_REASONS_FAILED_VMENTRY)) {
		if ((u16)vmx->exit_reason == EXIT_REASON_MCE_DURING_VMENTRY)
			engine_host_machine_check();
		return;
	}
	switch (vmx->intr_info & (INTR_INFO_INTR_TYPE_MASK | INTR_INFO_VECTOR_MASK)) {
	case INTR_TYPE_NMI_INTR | VEC_NMI:
		asm volatile("int $2");
		break;
	case INTR_TYPE_HARD_EXCEPTION | VEC_MC:
		engine_host_machine_check();
		break;
	}
}

/* Every exit needs these fields; the others are read when the exit is decoded. */
static __always_inline void read_exit(struct gondola_vcpu *vcpu, struct vmx_vcpu *vmx)
{
	struct gondola_regs *regs = &vcpu->regs;

	vmx->exit_reason = vmx_read(VM_EXIT_REASON);
	if (vmx->exit_reason == EXIT_REASON_EXCEPTION_NMI)
		vmx->intr_info = vmx_read(VM_EXIT_INTR_INFO);
	else if (unlikely(vmx->exit_reason & VMX_EXIT_REASONS_FAILED_VMENTRY))
		return;
	vmx->launched = true;
	regs->rip = vmx->rip = vmx_read(GUEST_RIP);
	regs->gpr[R_RSP] = vmx->rsp = vmx_read(GUEST_RSP);
	regs->rflags = vmx->rflags = vmx_read(GUEST_RFLAGS);
}

void vmx_enter(struct gondola_vcpu *vcpu)
{
	struct vmx_vcpu *vmx = to_vmx(vcpu);
	struct gondola_regs *regs = &vcpu->regs;
	unsigned long flags = vmx_root_begin();

	write_guest_regs(vcpu, vmx);
	update_host_control(vmx);
	engine_host_ldt_enter(&vmx->host.ldt);
	switch_counters(vmx);
	/* Reading CR2 is cheap, writing it is not. */
	if (vcpu->cr2 != native_read_cr2())
		native_write_cr2(vcpu->cr2);

	vmx->vmfail = !vmx_in_root() || vmx_run(regs->gpr, &vmx->host_rsp, vmx->launched);
	vmx->entered = true;
	if (likely(!vmx->vmfail)) {
		vcpu->cr2 = native_read_cr2();
		read_exit(vcpu, vmx);
	}
	/* Do this first: the host may not come back from the event, since it may start another kernel. */
	vmx_root_end(flags);
	if (likely(!vmx->vmfail) && (vmx->exit_reason == EXIT_REASON_EXCEPTION_NMI ||
				     vmx->exit_reason & VMX_EXIT_REASONS_FAILED_VMENTRY))
		hand_to_host(vmx);
}

/* ---- birth and death ------------------------------------------------------------------- */

static void write_host_constants(void)
{
	struct desc_ptr idt;
	u64 value;

	/* Clear TS: the FPU is loaded at each entry. */
	vmx_write(HOST_CR0, read_cr0() & ~X86_CR0_TS);
	vmx_write(HOST_CS_SELECTOR, __KERNEL_CS);
	vmx_write(HOST_SS_SELECTOR, __KERNEL_DS);
	vmx_write(HOST_DS_SELECTOR, 0);
	vmx_write(HOST_ES_SELECTOR, 0);
	vmx_write(HOST_FS_SELECTOR, 0);
	vmx_write(HOST_GS_SELECTOR, 0);
	vmx_write(HOST_TR_SELECTOR, GDT_ENTRY_TSS * 8);
	store_idt(&idt);
	vmx_write(HOST_IDTR_BASE, idt.address);
	rdmsrq(MSR_IA32_SYSENTER_CS, value);
	vmx_write(HOST_IA32_SYSENTER_CS, (u32)value);
	rdmsrq(MSR_IA32_SYSENTER_EIP, value);
	vmx_write(HOST_IA32_SYSENTER_EIP, value);
	vmx_write(HOST_RIP, (u64)vmx_exit);
	if (vmx_caps.exit & VM_EXIT_LOAD_IA32_EFER)
		vmx_write(HOST_IA32_EFER, vmx_caps.host_efer);
}

/* The cycles between two PAUSEs of one loop, and the time that a loop may spin. */
#define SPIN_GAP	128
#define SPIN_WINDOW	4096

/*
 * #DB exits so that DR6 need not be switched: the exit has the conditions.  #DB and #AC can also
 * strike again during their own delivery, without end and without a chance for interrupts.
 */
static int vmx_set_debug(struct gondola_vcpu *vcpu)
{
	vmx_write(EXCEPTION_BITMAP, BIT(VEC_PF) | BIT(VEC_DB) | BIT(VEC_AC) | BIT(VEC_MC) |
		  (vcpu->breakpoints ? BIT(VEC_BP) : 0));
	return 0;
}

static void write_controls(struct gondola_vcpu *vcpu, struct vmx_vcpu *vmx)
{
	u32 proc2 = vmx_caps.proc2;

	vmx_write(PIN_BASED_VM_EXEC_CONTROL, vmx_caps.pin);
	vmx->proc = vmx_caps.proc;
	vmx_write(CPU_BASED_VM_EXEC_CONTROL, vmx->proc);
	if (vmx->proc & CPU_BASED_ACTIVATE_SECONDARY_CONTROLS) {
		if (!vmx->vpid)
			proc2 &= ~SECONDARY_EXEC_ENABLE_VPID;
		else
			vmx_write(VIRTUAL_PROCESSOR_ID, vmx->vpid);
		vmx_write(SECONDARY_VM_EXEC_CONTROL, proc2);
		if (proc2 & SECONDARY_EXEC_PAUSE_LOOP_EXITING) {
			vmx_write(PLE_GAP, SPIN_GAP);
			vmx_write(PLE_WINDOW, SPIN_WINDOW);
		}
	}
	vmx_write(VM_EXIT_CONTROLS, vmx_caps.exit);
	vmx->entry = vmx_caps.entry;
	vmx_write(VM_ENTRY_CONTROLS, vmx->entry);

	vmx_set_debug(vcpu);
	/* Page faults exit if (error & mask) == match: here all of them. */
	vmx_write(PAGE_FAULT_ERROR_CODE_MASK, 0);
	vmx_write(PAGE_FAULT_ERROR_CODE_MATCH, 0);
	vmx_write(MSR_BITMAP, __pa(vmx_msr_bitmap));
	vmx_write(CR3_TARGET_COUNT, 0);
	/* The guest owns no bit of CR0 and CR4.  It reads the shadows, without an exit. */
	vmx_write(CR0_GUEST_HOST_MASK, ~0ull);
	vmx_write(CR4_GUEST_HOST_MASK, ~0ull);

	vmx_write(VM_EXIT_MSR_STORE_COUNT, 0);
	vmx_write(VM_EXIT_MSR_LOAD_COUNT, 0);
	vmx_write(VM_ENTRY_MSR_LOAD_COUNT, 0);
	vmx_write(VM_EXIT_MSR_LOAD_ADDR, __pa(vmx->host_list));
	vmx_write(VM_ENTRY_MSR_LOAD_ADDR, __pa(vmx->guest_list));
	vmx_write(VM_ENTRY_INTR_INFO_FIELD, 0);
	vmx_write(VMCS_LINK_POINTER, ~0ull);
}

/* Set the state that the manual's table has for after a reset, as far as the VMCS holds it. */
static void write_reset_state(struct gondola_vcpu *vcpu)
{
	static const u32 data = 0x93, ldt = 0x82, tss = 0x8b, code = 0x9b;
	const struct gondola_dtable table = { .limit = 0xffff };
	struct gondola_segment s = { .limit = 0xffff, .ar = data };
	enum gondola_seg seg;

	for (seg = 0; seg < GONDOLA_NR_SEGS; seg++)
		vmx_set_segment(vcpu, seg, &s);
	s.ar = ldt;
	vmx_set_segment(vcpu, GONDOLA_LDTR, &s);
	s.ar = tss;
	vmx_set_segment(vcpu, GONDOLA_TR, &s);
	s.ar = code;
	s.selector = 0xf000;
	s.base = 0xffff0000;
	vmx_set_segment(vcpu, GONDOLA_CS, &s);
	vmx_set_dtable(vcpu, false, &table);
	vmx_set_dtable(vcpu, true, &table);

	vmx_write(GUEST_IA32_DEBUGCTL, 0);
	vmx_write(GUEST_SYSENTER_CS, 0);
	vmx_write(GUEST_SYSENTER_ESP, 0);
	vmx_write(GUEST_SYSENTER_EIP, 0);
	vmx_write(GUEST_ACTIVITY_STATE, GUEST_ACTIVITY_ACTIVE);
	vmx_write(GUEST_INTERRUPTIBILITY_INFO, 0);
	vmx_write(GUEST_PENDING_DBG_EXCEPTIONS, 0);
	vmx_set_dr7(vcpu, DR7_FIXED);
	vmx_set_tsc_offset(vcpu);
	vmx_update_control(vcpu);
}

#define PAT_RESET	0x0007040600070406ull

static int vmx_vcpu_create(struct gondola_vcpu *vcpu)
{
	struct vmx_vcpu *vmx = kzalloc(sizeof(*vmx), GFP_KERNEL_ACCOUNT);
	unsigned long flags;
	int vpid, cpu;

	if (!vmx)
		return -ENOMEM;
	vmx->vmcs = vmx_alloc_region(raw_smp_processor_id(), GFP_KERNEL_ACCOUNT);
	if (!vmx->vmcs) {
		kfree(vmx);
		return -ENOMEM;
	}
	vmx->vmcs_pa = __pa(vmx->vmcs);
	vmx->cpu = -1;
	vmx->pat = PAT_RESET;
	/* If VPIDs run out, the vCPU has none. */
	vpid = vmx_caps.vpid ? ida_alloc_range(&vpids, 1, VMX_NR_VPIDS - 1, GFP_KERNEL) : 0;
	vmx->vpid = max(vpid, 0);
	vcpu->engine_data = vmx;

	/* These values never match, so the first load and entry write the fields. */
	vmx->host_fs_base = ~0ull;
	vmx->host_rsp = vmx->host_cr3 = vmx->host_cr4 = ~0ull;
	vmx->rip = vmx->rsp = vmx->rflags = vmx->root = ~0ull;

	cpu = get_cpu();
	flags = vmx_root_begin();
	vmx_vmclear(vmx->vmcs_pa);
	vmx_root_end(flags);
	vmx_vcpu_load(vcpu, cpu);
	flags = vmx_root_begin();
	write_controls(vcpu, vmx);
	write_host_constants();
	write_reset_state(vcpu);
	vmx_root_end(flags);
	vmx_vcpu_put(vcpu);
	put_cpu();
	return 0;
}

static void vmx_vcpu_destroy(struct gondola_vcpu *vcpu)
{
	struct vmx_vcpu *vmx = to_vmx(vcpu);

	if (!vmx)
		return;
	vmx_evict(vmx);
	if (vmx->vpid)
		ida_free(&vpids, vmx->vpid);
	free_page((unsigned long)vmx->vmcs);
	kfree(vmx);
	vcpu->engine_data = NULL;
}

const struct gondola_engine_ops gondola_vmx_ops = {
	.id = GONDOLA_ENGINE_VMX,
	.name = "vmx",
	/* Without VPIDs entries flush by themselves, and flush_tlb() has nothing to do. */
	.probe = vmx_probe,
	.setup = vmx_setup,
	.teardown = vmx_teardown,
	.cpu_on = vmx_cpu_on,
	.cpu_off = vmx_cpu_off,
	.vcpu_create = vmx_vcpu_create,
	.vcpu_destroy = vmx_vcpu_destroy,
	.vcpu_load = vmx_vcpu_load,
	.vcpu_put = vmx_vcpu_put,
	.can_enter = vmx_can_enter,
	.enter = vmx_enter,
	.decode = vmx_decode,
	.inject = vmx_inject,
	.cancel_injection = vmx_cancel_injection,
	.get_shadow = vmx_get_shadow,
	.set_shadow = vmx_set_shadow,
	.open_window = vmx_open_window,
	.get_segment = vmx_get_segment,
	.set_segment = vmx_set_segment,
	.cpl = vmx_cpl,
	.get_dtable = vmx_get_dtable,
	.set_dtable = vmx_set_dtable,
	.update_control = vmx_update_control,
	.set_dr7 = vmx_set_dr7,
	.set_debug = vmx_set_debug,
	.set_tsc_offset = vmx_set_tsc_offset,
	.get_msr = vmx_get_msr,
	.set_msr = vmx_set_msr,
	.flush_tlb = vmx_flush_tlb,
	.flush_gva = vmx_flush_gva,
};
