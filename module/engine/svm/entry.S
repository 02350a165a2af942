/* SPDX-License-Identifier: GPL-2.0-only */
/* The world switch of the SVM engine. */
#include <linux/linkage.h>
#include <asm/alternative.h>
#include <asm/asm.h>
#include <asm/cpufeatures.h>
#include <asm/msr-index.h>
#include <asm/nospec-branch.h>
#include <asm/percpu.h>
#include <asm/segment.h>
#include "compat-features.h"
#include "engine/entry.h"

#ifndef COMPAT_VALIDATE_UNRET_END
#define VALIDATE_UNRET_END	ANNOTATE_UNRET_END
#endif

	.text

/*
 * void svm_run(void *regs, u64 vmcb_pa, u64 host_pa)
 *
 * VMRUN itself switches RAX and RSP.  From VMLOAD of the guest's state to VMLOAD of the host's, GS
 * base is not the kernel's: no code here touches per-CPU data, and GIF is clear, so nothing
 * interrupts.
 */
SYM_FUNC_START(svm_run)
	PUSH_HOST_REGISTERS
	push	%rdx
	push	%rdi

	/*
	 * With GIF clear RFLAGS.IF does not open interrupts here.  VMRUN saves it, and with
	 * V_INTR_MASKING it lets interrupts end the guest's run.
	 */
	clgi
	sti

	mov	%rsi, %rax
	vmload	%rax

	LOAD_GUEST_REGISTERS

	CLEAR_BUFFERS_FOR_GUEST
	vmrun	%rax
	vmsave	%rax

	mov	(%rsp), %rax
	SAVE_GUEST_REGISTERS %rax
	mov	%rdi, GPR_RDI(%rax)
	FORGET_GUEST_REGISTERS

	mov	8(%rsp), %rax
	vmload	%rax

	/* This comes before any RET: predictors trained by the guest must not steer the host. */
	FILL_RETURN_BUFFER %rax, RSB_CLEAR_LOOPS, X86_FEATURE_RETPOLINE
	VALIDATE_UNRET_END
	CALL_UNTRAIN_RET
	BARRIER_AFTER_GUEST
	RESTRICT_SPECULATION

	cli
	stgi

	add	$16, %rsp
	POP_HOST_REGISTERS
	RET
SYM_FUNC_END(svm_run)

VERW_SELECTOR
