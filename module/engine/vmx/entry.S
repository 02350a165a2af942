/* SPDX-License-Identifier: GPL-2.0-only */
/* The way into the guest and out of it. */
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
 * Interrupts off.  The guest runs with all of its general registers but RSP,
 * which is in the VMCS.
 */
SYM_FUNC_START(vmx_run)
	PUSH_HOST_REGISTERS
	push	%rdi

	/* The exit finds the stack as it is here; it is most often as it was last time. */
	cmp	%rsp, (%rsi)
	je	.Lhost_rsp_set
	mov	$HOST_RSP, %eax
	vmwrite	%rsp, %rax
	mov	%rsp, (%rsi)
.Lhost_rsp_set:
	/* CF = launched: neither the loads nor VERW touch it. */
	bt	$0, %edx

	mov	GPR_RAX(%rdi), %rax
	LOAD_GUEST_REGISTERS

	CLEAR_BUFFERS_FOR_GUEST

	jc	.Lresume
	vmlaunch
	jmp	.Lfailed
.Lresume:
	vmresume
	/* Always taken, since the guest's exit comes back below, not here. */
	jbe	.Lfailed

SYM_INNER_LABEL(vmx_exit, SYM_L_GLOBAL)
	ENDBR
	push	%rdi
	mov	8(%rsp), %rdi
	mov	%rax, GPR_RAX(%rdi)
	SAVE_GUEST_REGISTERS %rdi
	pop	GPR_RDI(%rdi)
	FORGET_GUEST_REGISTERS

	/* ESI is the result, 0 as yet. */
.Lleave:
	/* Before anything is predicted from it: the guest has trained the return stack. */
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
