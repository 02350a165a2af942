/* SPDX-License-Identifier: GPL-2.0-only */
/* Enters the guest and comes back. */
#include <linux/linkage.h>
#include <asm/alternative.h>
#include <asm/ibt.h>
#include <asm/msr-index.h>
#include <asm/nospec-branch.h>
#include <asm/percpu.h>
#include <asm/segment.h>
#include "engine/entry.h"

/* Encoding of the field HOST_RSP; <asm/vmx.h> has it as a C enum (asserted in vmx.c). */
#define HOST_RSP 0x6c14

.text

/*
 * int vmx_run(u64 *gpr, u64 *host_rsp, bool launched)
 *
 * Interrupts off.  Loads all general registers of the guest but RSP, which is in the VMCS.
 */
SYM_FUNC_START(vmx_run)
	PUSH_HOST_REGISTERS
	push	%rdi

	/* The exit returns to this stack.  Most often HOST_RSP has it already. */
	cmp	%rsp, (%rsi)
	je	.Lhost_rsp_set
	mov	$HOST_RSP, %eax
	vmwrite	%rsp, %rax
	mov	%rsp, (%rsi)
.Lhost_rsp_set:
	/* CF = launched; neither the loads nor VERW change it. */
	bt	$0, %edx

	mov	GPR_RAX(%rdi), %rax
	LOAD_GUEST_REGISTERS

	CLEAR_BUFFERS_FOR_GUEST

	jc	.Lresume
	vmlaunch
	jmp	.Lfailed
.Lresume:
	vmresume
	/* Always taken: only a failed VMLAUNCH or VMRESUME gets here; an exit comes back below. */
	jbe	.Lfailed

SYM_INNER_LABEL(vmx_exit, SYM_L_GLOBAL)
	ENDBR
	push	%rdi
	mov	8(%rsp), %rdi
	mov	%rax, GPR_RAX(%rdi)
	SAVE_GUEST_REGISTERS %rdi
	pop	GPR_RDI(%rdi)
	FORGET_GUEST_REGISTERS

	/* ESI is the result, 0 so far. */
.Lleave:
	/* The guest has trained the return stack: fill it before it is used. */
	FILL_RETURN_BUFFER %rcx, RSB_CLEAR_LOOPS, X86_FEATURE_RSB_VMEXIT, \
			   X86_FEATURE_RSB_VMEXIT_LITE
	RESTRICT_SPECULATION
#ifndef COMPAT_RESERVED_BHB
	CLEAR_BRANCH_HISTORY_VMEXIT
#endif

	mov	%esi, %eax
	add	$8, %rsp
	POP_HOST_REGISTERS
	RET

.Lfailed:
	FORGET_GUEST_REGISTERS
	mov	$1, %esi
	jmp	.Lleave
SYM_FUNC_END(vmx_run)

VERW_SELECTOR
