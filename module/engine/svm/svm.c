// SPDX-License-Identifier: GPL-2.0-only
/*
 * The SVM engine: AMD's virtualization with shadow paging.  The guest runs on the shadow root;
 * nested paging is not used.  The processor can run with paging on and protection off ("paged real
 * mode"), so real mode needs no emulator.
 */
#include <linux/cc_platform.h>
#include <linux/gfp.h>
#include <linux/io.h>
#include <linux/mm.h>
#include <linux/percpu.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <asm/cpufeature.h>
#include <asm/debugreg.h>
#include <asm/msr.h>
#include <asm/nospec-branch.h>
#include "asid.h"
#include "host/compat.h"
#include "host/cpu.h"
#include "preflight.h"
#include "svm.h"
#include "engine.h"
#include "engine/entry.h"
#include "engine/host_ldt.h"
#include "engine/machine_check.h"
#include "vcpu.h"
#include "vm.h"

#define CPUID_SVM_FEATURES	0x8000000a
#define SVM_NEXT_RIP		BIT(3)		/* its EDX */
#define SVM_PAUSE_FILTER	BIT(10)
#define SVM_PAUSE_THRESHOLD	BIT(12)
/* SPIN_COUNT PAUSEs, each within SPIN_GAP cycles of the last, are a loop that waits for another vCPU. */
#define SPIN_COUNT		3000
#define SPIN_GAP		128

/**
 * struct svm_cpu - per-processor data
 * @hsave: VMRUN saves the host's state here; opaque
 * @host: VMSAVE saves the rest of it here, in the layout of a VMCB
 * @host_pa: physical address of @host
 * @asids: the processor's ASIDs
 * @vm_id: the VM of the vCPU that ran here last
 * @vcpu_id: the vCPU that ran here last
 * @on: root operation is ours
 */
struct svm_cpu {
	struct page *hsave;
	struct page *host;
	u64 host_pa;
	struct svm_asids asids;
	u32 vm_id;
	u32 vcpu_id;
	bool on;
};

static DEFINE_PER_CPU(struct svm_cpu, svm_cpu);

/* Permission maps, all bits set: intercept. */
#define IOPM_ORDER	2		/* 12 KiB, rounded up */
#define MSRPM_ORDER	1
static struct page *iopm;
static struct page *msrpm;

static inline void svm_vmsave(u64 pa)
{
	asm volatile("vmsave %0" : : "a" (pa) : "memory");
}

static inline void svm_invlpga(gva_t gva, u32 asid)
{
	asm volatile("invlpga %0, %1" : : "a" (gva), "c" (asid) : "memory");
}

/* ---- the machine --------------------------------------------------------------- */

static u32 svm_probe(char *detail)
{
	struct svm_facts facts = {
		.svm = cpuid_eax(0x80000000) >= CPUID_SVM_FEATURES &&
		       (cpuid_ecx(0x80000001) & BIT(2)),
		.virtual_amd = boot_cpu_has(X86_FEATURE_HYPERVISOR) &&
			       (boot_cpu_data.x86_vendor == X86_VENDOR_AMD ||
				boot_cpu_data.x86_vendor == X86_VENDOR_HYGON),
		.nx = boot_cpu_has(X86_FEATURE_NX),
		.encrypted = cc_platform_has(CC_ATTR_HOST_MEM_ENCRYPT),
	};
	u64 efer;

	if (facts.svm) {
		facts.asids = cpuid_ebx(CPUID_SVM_FEATURES);
		if (rdmsrq_safe(MSR_VM_CR, &facts.vm_cr))
			facts.vm_cr = 0;
		preempt_disable();
		rdmsrq(MSR_EFER, efer);
		facts.taken = (efer & EFER_F_SVME) && !this_cpu_read(svm_cpu.on);
		preempt_enable();
	}
	return svm_verdict(&facts, detail);
}

/* The map has two bits, read and write, for each MSR of three ranges of 8,192. */
static void svm_pass_msr(u8 *map, u32 index)
{
	unsigned int base = index >= 0xc0000000 ? 0x800 : 0;
	unsigned int bit = (index & 0x1fff) * 2;

	map[base + bit / 8] &= ~(3u << (bit % 8));
}

static void svm_fill_maps(void)
{
	static const u32 passed[] = {
		MSRX_FS_BASE, MSRX_GS_BASE, MSRX_KERNEL_GS_BASE,
		MSRX_STAR, MSRX_LSTAR, MSRX_CSTAR, MSRX_SFMASK,
		MSRX_SYSENTER_CS, MSRX_SYSENTER_ESP, MSRX_SYSENTER_EIP,
	};
	unsigned int i;

	memset(page_address(iopm), 0xff, PAGE_SIZE << IOPM_ORDER);
	memset(page_address(msrpm), 0xff, PAGE_SIZE << MSRPM_ORDER);
	for (i = 0; i < ARRAY_SIZE(passed); i++)
		svm_pass_msr(page_address(msrpm), passed[i]);
}

static void svm_teardown(void)
{
	struct svm_cpu *c;
	int cpu;

	for_each_possible_cpu(cpu) {
		c = per_cpu_ptr(&svm_cpu, cpu);
		WARN_ON_ONCE(c->on);
		if (c->hsave)
			__free_page(c->hsave);
		if (c->host)
			__free_page(c->host);
		c->hsave = NULL;
		c->host = NULL;
	}
	if (iopm)
		__free_pages(iopm, IOPM_ORDER);
	if (msrpm)
		__free_pages(msrpm, MSRPM_ORDER);
	iopm = NULL;
	msrpm = NULL;
}

static int svm_setup(void)
{
	struct svm_cpu *c;
	int cpu;

	iopm = alloc_pages(GFP_KERNEL, IOPM_ORDER);
	msrpm = alloc_pages(GFP_KERNEL, MSRPM_ORDER);
	if (!iopm || !msrpm)
		goto fail;
	svm_fill_maps();
	for_each_possible_cpu(cpu) {
		c = per_cpu_ptr(&svm_cpu, cpu);
		c->hsave = alloc_page(GFP_KERNEL | __GFP_ZERO);
		c->host = alloc_page(GFP_KERNEL | __GFP_ZERO);
		if (!c->hsave || !c->host)
			goto fail;
		c->host_pa = page_to_phys(c->host);
	}
	return 0;
fail:
	svm_teardown();
	return -ENOMEM;
}

static int svm_cpu_on(void)
{
	struct svm_cpu *c = this_cpu_ptr(&svm_cpu);
	u64 efer;

	rdmsrq(MSR_EFER, efer);
	if (efer & EFER_F_SVME)
		return -EBUSY;
	wrmsrq(MSR_EFER, efer | EFER_F_SVME);
	wrmsrq(MSR_VM_HSAVE_PA, page_to_phys(c->hsave));
	svm_asids_reset(&c->asids, cpuid_ebx(CPUID_SVM_FEATURES));
	c->on = true;
	return 0;
}

static void svm_cpu_off(void)
{
	struct svm_cpu *c = this_cpu_ptr(&svm_cpu);
	u64 efer;

	if (!c->on)
		return;
	c->on = false;
	wrmsrq(MSR_VM_HSAVE_PA, 0);
	rdmsrq(MSR_EFER, efer);
	wrmsrq(MSR_EFER, efer & ~EFER_F_SVME);
}

/* ---- the vCPU --------------------------------------------------------------------- */

#define INTERCEPT_CR	(SVM_READ_OF(3) | SVM_READ_OF(8) | SVM_WRITE_OF(0) | SVM_WRITE_OF(3) | \
			 SVM_WRITE_OF(4) | SVM_WRITE_OF(8))
#define INTERCEPT_MISC1	(SVM_INTERCEPT_INTR | SVM_INTERCEPT_NMI | SVM_INTERCEPT_SMI | \
			 SVM_INTERCEPT_INIT | SVM_INTERCEPT_RDPMC | SVM_INTERCEPT_CPUID | \
			 SVM_INTERCEPT_RSM | SVM_INTERCEPT_INVD | SVM_INTERCEPT_HLT | \
			 SVM_INTERCEPT_INVLPG | SVM_INTERCEPT_INVLPGA | SVM_INTERCEPT_IOIO | \
			 SVM_INTERCEPT_MSR | SVM_INTERCEPT_TASK_SWITCH | SVM_INTERCEPT_SHUTDOWN)
#define INTERCEPT_MISC2	(SVM_INTERCEPT_VMRUN | SVM_INTERCEPT_VMMCALL | SVM_INTERCEPT_VMLOAD | \
			 SVM_INTERCEPT_VMSAVE | SVM_INTERCEPT_STGI | SVM_INTERCEPT_CLGI | \
			 SVM_INTERCEPT_SKINIT | SVM_INTERCEPT_WBINVD | SVM_INTERCEPT_MONITOR | \
			 SVM_INTERCEPT_MWAIT | SVM_INTERCEPT_MWAIT_ARMED | SVM_INTERCEPT_XSETBV | \
			 SVM_INTERCEPT_RDPRU)
#define INTERCEPT_MISC3	(SVM_INTERCEPT_INVLPGB | SVM_INTERCEPT_INVPCID | SVM_INTERCEPT_MCOMMIT | \
			 SVM_INTERCEPT_TLBSYNC)
/*
 * #DB and #AC are intercepted because they can strike again during their own delivery, without end
 * and without a chance for interrupts.
 */
#define INTERCEPT_EXCEPTIONS	(BIT(VEC_PF) | BIT(VEC_MC) | BIT(VEC_DB) | BIT(VEC_AC))

static u32 exceptions(const struct gondola_vcpu *vcpu)
{
	return INTERCEPT_EXCEPTIONS | (vcpu->breakpoints ? BIT(VEC_BP) : 0);
}

static bool on_tcg(void)
{
	return boot_cpu_has(X86_FEATURE_HYPERVISOR) && cpuid_base_hypervisor("TCGTCGTCGTCG", 0);
}

static int svm_set_debug(struct gondola_vcpu *vcpu)
{
	struct svm_vcpu *svm = vcpu->engine_data;

	/* TCG arms no breakpoints in VMRUN. */
	if (vcpu->debug_dr7 & DR7_ENABLES && on_tcg())
		return -EOPNOTSUPP;
	svm->vmcb->intercept_exceptions = exceptions(vcpu);
	/* TCG treats INT3 as INT n, and does not check the intercept of #BP. */
	if (vcpu->breakpoints)
		svm->vmcb->intercept_misc1 |= SVM_INTERCEPT_INT;
	else
		svm->vmcb->intercept_misc1 &= ~SVM_INTERCEPT_INT;
	return 0;
}

static void svm_update_control(struct gondola_vcpu *vcpu)
{
	struct svm_vcpu *svm = vcpu->engine_data;
	struct vmcb *vmcb = svm->vmcb;
	u64 cr0 = vcpu->cr0, cr4 = vcpu->cr4;

	/* NE is set: without it FPU errors would be reported by the host's pins. */
	vmcb->cr0 = (cr0 & ~(CR0_CD | CR0_NW)) | CR0_PG | CR0_WP | CR0_NE | CR0_ET;

	/* MCE is set: without it a machine check in the guest would shut the host down. */
	vmcb->cr4 = (cr4 & ~(CR4_PCIDE | CR4_LA57 | CR4_VMXE | CR4_SMXE)) | CR4_PAE | CR4_MCE;
	if (!(cr0 & CR0_PG))	/* the identity shadow consists of user pages */
		vmcb->cr4 &= ~(CR4_SMEP | CR4_SMAP | CR4_PKE);

	/* LME takes effect with the guest's own paging, which LMA shows. */
	vmcb->efer = (vcpu->efer & EFER_F_SCE) | EFER_F_NXE | EFER_F_SVME;
	if (vcpu->efer & EFER_F_LMA)
		vmcb->efer |= EFER_F_LMA | EFER_F_LME;

	/* Intercept reads only if they would return a value that is not the guest's own. */
	svm->unchecked = true;
	vmcb->intercept_cr = INTERCEPT_CR;
	/* The emulator handles such an exit and reads the right register. */
	if (vmcb->cr0 != cr0 || svm->reads_are_of_cr0)
		vmcb->intercept_cr |= SVM_READ_OF(0);
	if (vmcb->cr4 != cr4)
		vmcb->intercept_cr |= SVM_READ_OF(4);
}

static void svm_reset_segments(struct vmcb *vmcb)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(vmcb->seg); i++)
		vmcb->seg[i] = (struct svm_segment){ .attrib = 0x93, .limit = 0xffff };
	vmcb->seg[GONDOLA_CS].attrib = 0x9b;
	vmcb->seg[GONDOLA_CS].selector = 0xf000;
	vmcb->seg[GONDOLA_CS].base = 0xffff0000;
	vmcb->gdtr.limit = 0xffff;
	vmcb->idtr.limit = 0xffff;
	vmcb->ldtr = (struct svm_segment){ .attrib = 0x82, .limit = 0xffff };
	vmcb->tr = (struct svm_segment){ .attrib = 0x89, .limit = 0xffff };
}

/* Without the filter every PAUSE would exit. */
static void svm_watch_spinning(struct vmcb *vmcb)
{
	u32 features = cpuid_edx(CPUID_SVM_FEATURES);

	if (!(features & SVM_PAUSE_FILTER))
		return;
	vmcb->intercept_misc1 |= SVM_INTERCEPT_PAUSE;
	vmcb->pause_count = SPIN_COUNT;
	if (features & SVM_PAUSE_THRESHOLD)
		vmcb->pause_threshold = SPIN_GAP;
}

static int svm_vcpu_create(struct gondola_vcpu *vcpu)
{
	struct svm_vcpu *svm = kzalloc(sizeof(*svm), GFP_KERNEL_ACCOUNT);
	struct vmcb *vmcb;

	if (!svm)
		return -ENOMEM;
	vmcb = (struct vmcb *)get_zeroed_page(GFP_KERNEL_ACCOUNT);
	if (!vmcb) {
		kfree(svm);
		return -ENOMEM;
	}
	svm->vmcb = vmcb;
	svm->vmcb_pa = __pa(vmcb);
	svm->asid_cpu = -1;
	svm->interrupt = -1;
	svm->pat = 0x0007040600070406ull;

	vmcb->intercept_dr = ~0u;
	vmcb->intercept_exceptions = INTERCEPT_EXCEPTIONS;
	vmcb->intercept_misc1 = INTERCEPT_MISC1;
	vmcb->intercept_misc2 = INTERCEPT_MISC2;
	vmcb->intercept_misc3 = INTERCEPT_MISC3;
	if (!boot_cpu_has(X86_FEATURE_RDTSCP))
		vmcb->intercept_misc2 |= SVM_INTERCEPT_RDTSCP;
	vmcb->iopm_pa = page_to_phys(iopm);
	vmcb->msrpm_pa = page_to_phys(msrpm);
	vmcb->int_control = SVM_V_INTR_MASKING;
	/* TCG checks the intercept of CR0 for all of them (10.0 does, 7.2 does not). */
	svm->reads_are_of_cr0 = gondola_host_tcg();
	svm->next_rip_saved = cpuid_edx(CPUID_SVM_FEATURES) & SVM_NEXT_RIP;
	svm_watch_spinning(vmcb);
	vmcb->dr7 = DR7_FIXED;
	svm_reset_segments(vmcb);

	vcpu->engine_data = svm;
	svm_update_control(vcpu);
	return 0;
}

static void svm_vcpu_destroy(struct gondola_vcpu *vcpu)
{
	struct svm_vcpu *svm = vcpu->engine_data;

	if (!svm)
		return;
	free_page((unsigned long)svm->vmcb);
	kfree(svm);
	vcpu->engine_data = NULL;
}

static void svm_vcpu_load(struct gondola_vcpu *vcpu, int cpu)
{
	struct svm_vcpu *svm = vcpu->engine_data;
	struct svm_cpu *c = this_cpu_ptr(&svm_cpu);

	/* FS, GS and TR are those of the current task: they hold until vcpu_put(). */
	svm_vmsave(c->host_pa);
	/* The LDT is cleared, since exits load none. */
	svm->host_ldt = engine_host_ldt();
	((struct vmcb *)page_address(c->host))->ldtr = (struct svm_segment){};

	/* An ASID of another processor, or of an earlier stay on this one, has stale translations. */
	if (svm->asid_cpu != cpu) {
		svm->asid_cpu = cpu;
		svm->asid_round = 0;
	}
	/* Even vCPUs of one VM may run different programs of the guest. */
	if (c->vm_id != vcpu->vm->id || c->vcpu_id != vcpu->id) {
		c->vm_id = vcpu->vm->id;
		c->vcpu_id = vcpu->id;
		gondola_host_ibpb();
	}
	if (boot_cpu_has(X86_FEATURE_RDTSCP))
		rdmsrq(MSR_TSC_AUX, svm->host_tsc_aux);
	svm_swap_tsc_aux(svm, true);
	svm->loaded = true;
}

static void svm_vcpu_put(struct gondola_vcpu *vcpu)
{
	struct svm_vcpu *svm = vcpu->engine_data;

	svm->loaded = false;
	engine_host_ldt_put(svm->host_ldt);
	svm_swap_tsc_aux(svm, false);
	/* The exit leaves the guest's DR6, and the host's #DB would take its bits for its own. */
	set_debugreg(DR6_RESERVED, 6);
}

/* ---- running ------------------------------------------------------------------------ */

static void svm_take_asid(struct svm_vcpu *svm, struct svm_cpu *c)
{
	svm->vmcb->asid = svm_asids_take(&c->asids);
	svm->asid_round = c->asids.round;
}

/*
 * The guest must not see our TF.  Delivered events push RFLAGS, and some instructions push or load
 * them: all of these exit, and are emulated with the guest's own flags.  SYSCALL has no intercept,
 * so it is undefined meanwhile.
 */
static void begin_step(struct gondola_vcpu *vcpu, struct svm_vcpu *svm)
{
	struct vmcb *vmcb = svm->vmcb;

	vmcb->rflags |= RFL_TF;
	vmcb->intercept_exceptions = (u32)~BIT(VEC_NMI);
	vmcb->intercept_misc1 |= SVM_INTERCEPT_PUSHF | SVM_INTERCEPT_POPF | SVM_INTERCEPT_INT;
	vmcb->intercept_misc2 |= SVM_INTERCEPT_INT1;
	if (!svm->iret_seen)
		vmcb->intercept_misc1 |= SVM_INTERCEPT_IRET;
	vmcb->efer &= ~EFER_F_SCE;
	svm->dr6_before = vcpu->dr6;
}

static void end_step(struct gondola_vcpu *vcpu, struct svm_vcpu *svm, u64 rflags_before)
{
	struct gondola_regs *regs = &vcpu->regs;
	struct vmcb *vmcb = svm->vmcb;

	vmcb->intercept_exceptions = exceptions(vcpu);
	/* There is no step while we wait for IRET. */
	vmcb->intercept_misc1 &= ~(SVM_INTERCEPT_PUSHF | SVM_INTERCEPT_POPF | SVM_INTERCEPT_INT |
				   SVM_INTERCEPT_IRET);
	if (vcpu->breakpoints)
		vmcb->intercept_misc1 |= SVM_INTERCEPT_INT;
	vmcb->intercept_misc2 &= ~SVM_INTERCEPT_INT1;
	vmcb->efer |= vcpu->efer & EFER_F_SCE;
	/* After the IRET that we waited for, TF is the one it popped. */
	if (!(rflags_before & RFL_TF) && !(svm->iret_seen && regs->rip != svm->iret_rip))
		regs->rflags &= ~RFL_TF;
}

static void svm_enter(struct gondola_vcpu *vcpu)
{
	struct svm_vcpu *svm = vcpu->engine_data;
	struct svm_cpu *c = this_cpu_ptr(&svm_cpu);
	struct gondola_regs *regs = &vcpu->regs;
	struct vmcb *vmcb = svm->vmcb;
	u64 rflags = regs->rflags;

	if (svm->asid_round != c->asids.round)
		svm_take_asid(svm, c);
	vmcb->tlb_control = c->asids.flush ? SVM_TLB_FLUSH_ALL : 0;

	/*
	 * A software event returns behind its instruction.  Processors that save the next RIP push
	 * that one, others push RIP as set here.
	 */
	vmcb->rip = regs->rip + svm->soft_len;
	vmcb->next_rip = vmcb->rip;
	vmcb->rflags = rflags;
	/*
	 * If NMIs are blocked, intercept the IRET that ends this.  Otherwise step over one
	 * instruction, but not with an event to deliver: its delivery would push our TF.
	 */
	svm->step = unlikely(svm->want_nmi) && !vmcb->event_inj && svm->interrupt < 0 &&
		    (!svm->nmi_blocked || svm->iret_seen);
	if (unlikely(svm->step))
		begin_step(vcpu, svm);
	vmcb->rax = regs->gpr[R_RAX];
	vmcb->rsp = regs->gpr[R_RSP];
	vmcb->cr2 = vcpu->cr2;
	vmcb->cr3 = vcpu->hw_root;
	vmcb->dr6 = vcpu->dr6;

	if (unlikely(svm->unchecked)) {
		svm->refused = svm_refused_field(vmcb);
		svm->unchecked = svm->refused;
		if (svm->refused) {
			vmcb->exit_code = SVM_EXIT_INVALID;
			return;
		}
	}

	engine_host_ldt_enter(&svm->host_ldt);
	svm_run(regs, svm->vmcb_pa, c->host_pa);

	/* STGI let the host take an NMI; a machine check must be passed on here. */
	if (unlikely(vmcb->exit_code == SVM_EXIT_EXCEPTION + VEC_MC))
		engine_host_machine_check();

	svm_asids_entered(&c->asids, (u32)vmcb->exit_code != SVM_EXIT_INVALID);
	vmcb->event_inj = 0;
	vcpu->dr6 = vmcb->dr6;
	vcpu->cr2 = vmcb->cr2;
	regs->gpr[R_RAX] = vmcb->rax;
	regs->gpr[R_RSP] = vmcb->rsp;
	regs->rip = vmcb->rip;
	regs->rflags = vmcb->rflags;
	if (unlikely(svm->step))
		end_step(vcpu, svm, rflags);
}

#define VIRTUAL_INTERRUPT	(SVM_V_IRQ | SVM_V_PRIO(15) | SVM_V_IGNORE_TPR)

/*
 * Use a virtual interrupt instead of event injection, if the guest takes it at once and no window
 * is open.  QEMU delivers an injected interrupt once more, whatever IF is by then, if it is itself
 * interrupted soon after.
 */
static bool inject_virtual(struct gondola_vcpu *vcpu, struct svm_vcpu *svm, u8 vector)
{
	struct vmcb *vmcb = svm->vmcb;

	if (!(vcpu->regs.rflags & RFL_IF) || vmcb->int_state & SVM_SHADOW ||
	    vmcb->intercept_misc1 & SVM_INTERCEPT_VINTR)
		return false;
	vmcb->int_control = SVM_V_INTR_MASKING | VIRTUAL_INTERRUPT | SVM_V_VECTOR(vector);
	svm->interrupt = vector;
	return true;
}

static void svm_inject(struct gondola_vcpu *vcpu, const struct gondola_event *event)
{
	static const u32 types[] = {
		[GONDOLA_EVENT_INTERRUPT] = SVM_EVENT_INTERRUPT,
		[GONDOLA_EVENT_NMI] = SVM_EVENT_NMI,
		[GONDOLA_EVENT_EXCEPTION] = SVM_EVENT_EXCEPTION,
		[GONDOLA_EVENT_SOFT_INTERRUPT] = SVM_EVENT_SOFT,
	};
	struct svm_vcpu *svm = vcpu->engine_data;
	struct vmcb *vmcb = svm->vmcb;

	if (WARN_ON_ONCE(event->kind == GONDOLA_EVENT_NONE || event->kind >= ARRAY_SIZE(types)))
		return;
	if (event->kind == GONDOLA_EVENT_INTERRUPT && inject_virtual(vcpu, svm, event->vector))
		return;
	vmcb->event_inj = SVM_EVENT_VALID | types[event->kind] | event->vector;
	vmcb->event_inj_error = 0;
	svm->soft_len = event->insn_len;
	if (event->kind == GONDOLA_EVENT_NMI) {
		vmcb->event_inj = SVM_EVENT_VALID | SVM_EVENT_NMI | VEC_NMI;
		vmcb->intercept_misc1 |= SVM_INTERCEPT_IRET;
		svm->nmi_blocked = true;
		svm->iret_seen = false;
	} else if (event->has_error) {
		vmcb->event_inj |= SVM_EVENT_HAS_ERROR;
		vmcb->event_inj_error = event->error;
	}
}

static void svm_cancel_injection(struct gondola_vcpu *vcpu)
{
	struct svm_vcpu *svm = vcpu->engine_data;

	if ((svm->vmcb->event_inj & SVM_EVENT_TYPE) == SVM_EVENT_NMI)
		svm->nmi_blocked = false;
	svm->vmcb->event_inj = 0;
	svm->soft_len = 0;
	svm_end_interrupt(svm);
}

static u32 svm_get_shadow(struct gondola_vcpu *vcpu)
{
	struct svm_vcpu *svm = vcpu->engine_data;

	/* The processor does not tell STI from MOV SS, which blocks more. */
	return (svm->vmcb->int_state & SVM_SHADOW ? BIT(1) : 0) | (svm->nmi_blocked ? BIT(2) : 0);
}

static void svm_set_shadow(struct gondola_vcpu *vcpu, u32 shadow)
{
	struct svm_vcpu *svm = vcpu->engine_data;

	svm->vmcb->int_state = shadow & (BIT(0) | BIT(1)) ? SVM_SHADOW : 0;
	if (svm->nmi_blocked == !!(shadow & BIT(2)))
		return;
	svm->nmi_blocked = shadow & BIT(2);
	svm->iret_seen = false;
	if (svm->nmi_blocked)
		svm->vmcb->intercept_misc1 |= SVM_INTERCEPT_IRET;
	else
		svm->vmcb->intercept_misc1 &= ~SVM_INTERCEPT_IRET;
}

static void svm_open_window(struct gondola_vcpu *vcpu, bool interrupt, bool nmi)
{
	struct svm_vcpu *svm = vcpu->engine_data;
	struct vmcb *vmcb = svm->vmcb;

	if (interrupt) {
		/* This virtual interrupt is never taken, since taking it is intercepted. */
		vmcb->int_control |= VIRTUAL_INTERRUPT;
		vmcb->intercept_misc1 |= SVM_INTERCEPT_VINTR;
	} else {
		vmcb->int_control &= ~(u64)SVM_V_IRQ;
		vmcb->intercept_misc1 &= ~SVM_INTERCEPT_VINTR;
	}
	svm->want_nmi = nmi;
}

/* ---- translations ---------------------------------------------------------------------- */

static void svm_flush_tlb(struct gondola_vcpu *vcpu)
{
	struct svm_vcpu *svm = vcpu->engine_data;

	svm->asid_round = 0;	/* a new ASID has no translations */
}

static void svm_flush_gva(struct gondola_vcpu *vcpu, gva_t gva)
{
	struct svm_vcpu *svm = vcpu->engine_data;

	preempt_disable();
	/* With a stale ASID nothing is to be done: the next entry takes a new one, which is empty. */
	if (svm->asid_round == this_cpu_read(svm_cpu.asids.round) && this_cpu_read(svm_cpu.on))
		svm_invlpga(gva, svm->vmcb->asid);
	preempt_enable();
}

const struct gondola_engine_ops gondola_svm_ops = {
	.id = GONDOLA_ENGINE_SVM,
	.name = "svm",
	.probe = svm_probe,
	.setup = svm_setup,
	.teardown = svm_teardown,
	.cpu_on = svm_cpu_on,
	.cpu_off = svm_cpu_off,
	.vcpu_create = svm_vcpu_create,
	.vcpu_destroy = svm_vcpu_destroy,
	.vcpu_load = svm_vcpu_load,
	.vcpu_put = svm_vcpu_put,
	.enter = svm_enter,
	.decode = svm_decode,
	.inject = svm_inject,
	.cancel_injection = svm_cancel_injection,
	.get_shadow = svm_get_shadow,
	.set_shadow = svm_set_shadow,
	.open_window = svm_open_window,
	.get_segment = svm_get_segment,
	.set_segment = svm_set_segment,
	.cpl = svm_cpl,
	.get_dtable = svm_get_dtable,
	.set_dtable = svm_set_dtable,
	.update_control = svm_update_control,
	.set_dr7 = svm_set_dr7,
	.set_debug = svm_set_debug,
	.set_tsc_offset = svm_set_tsc_offset,
	.get_msr = svm_get_msr,
	.set_msr = svm_set_msr,
	.flush_tlb = svm_flush_tlb,
	.flush_gva = svm_flush_gva,
};
