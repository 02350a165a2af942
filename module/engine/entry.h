/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The guest's general registers, for all world switches.  RAX and RSP are left to the engine.  Only
 * FORGET_GUEST_REGISTERS changes flags.
 */
#ifndef GONDOLA_ENGINE_ENTRY_H
#define GONDOLA_ENGINE_ENTRY_H

#ifdef __ASSEMBLY__

/* struct gondola_regs: general registers by number. */
#define GPR(number, base)	((number) * 8)(base)
#define GPR_RAX(base)		GPR(0, base)
#define GPR_RDI(base)		GPR(7, base)

/* Save the registers that a callee must preserve; POP restores them. */
.macro PUSH_HOST_REGISTERS
	push	%rbp
	push	%rbx
	push	%r12
	push	%r13
	push	%r14
	push	%r15
.endm

.macro POP_HOST_REGISTERS
	pop	%r15
	pop	%r14
	pop	%r13
	pop	%r12
	pop	%rbx
	pop	%rbp
.endm

/* Load the registers from the struct at %rdi; RDI is loaded last. */
.macro LOAD_GUEST_REGISTERS
	mov	GPR(1, %rdi), %rcx
	mov	GPR(2, %rdi), %rdx
	mov	GPR(3, %rdi), %rbx
	mov	GPR(5, %rdi), %rbp
	mov	GPR(6, %rdi), %rsi
	mov	GPR(8, %rdi), %r8
	mov	GPR(9, %rdi), %r9
	mov	GPR(10, %rdi), %r10
	mov	GPR(11, %rdi), %r11
	mov	GPR(12, %rdi), %r12
	mov	GPR(13, %rdi), %r13
	mov	GPR(14, %rdi), %r14
	mov	GPR(15, %rdi), %r15
	mov	GPR_RDI(%rdi), %rdi
.endm

/* Save the registers to the struct at @base.  RDI, which may be @base, is left to the engine. */
.macro SAVE_GUEST_REGISTERS base:req
	mov	%rcx, GPR(1, \base)
	mov	%rdx, GPR(2, \base)
	mov	%rbx, GPR(3, \base)
	mov	%rbp, GPR(5, \base)
	mov	%rsi, GPR(6, \base)
	mov	%r8, GPR(8, \base)
	mov	%r9, GPR(9, \base)
	mov	%r10, GPR(10, \base)
	mov	%r11, GPR(11, \base)
	mov	%r12, GPR(12, \base)
	mov	%r13, GPR(13, \base)
	mov	%r14, GPR(14, \base)
	mov	%r15, GPR(15, \base)
.endm

/*
 * Clear the registers right after saving them, so that the host does not speculate with the guest's
 * values.  The engine overwrites RAX.
 */
.macro FORGET_GUEST_REGISTERS
	xor	%ecx, %ecx
	xor	%edx, %edx
	xor	%ebx, %ebx
	xor	%ebp, %ebp
	xor	%esi, %esi
	xor	%edi, %edi
	xor	%r8d, %r8d
	xor	%r9d, %r9d
	xor	%r10d, %r10d
	xor	%r11d, %r11d
	xor	%r12d, %r12d
	xor	%r13d, %r13d
	xor	%r14d, %r14d
	xor	%r15d, %r15d
.endm

/* Right before the entry: clear the processor's buffers of the host's data. */
.macro CLEAR_BUFFERS_FOR_GUEST
	ALTERNATIVE "jmp .Lno_verw_\@", "", X86_FEATURE_CLEAR_CPU_BUF_VM
	verw	.Lverw_selector(%rip)
.Lno_verw_\@:
.endm

/* VERW clears them only if its operand is a writable data segment. */
.macro VERW_SELECTOR
	.pushsection .rodata
	.balign	2
.Lverw_selector:
	.word	__KERNEL_DS
	.popsection
.endm

/* The barrier for all predictions.  On some processors it leaves out the return stack. */
.macro BARRIER_AFTER_GUEST
	ALTERNATIVE "jmp .Lno_barrier_\@", "", X86_FEATURE_IBPB_ON_VMEXIT
	mov	$MSR_IA32_PRED_CMD, %ecx
	mov	$PRED_CMD_IBPB, %eax
	xor	%edx, %edx
	wrmsr
	FILL_RETURN_BUFFER %rax, RSB_CLEAR_LOOPS, X86_BUG_IBPB_NO_RET
.Lno_barrier_\@:
.endm

/* If the kernel runs with IBRS, set it again: the write isolates predictions.  Changes RAX, RCX, RDX. */
.macro RESTRICT_SPECULATION
	ALTERNATIVE "jmp .Lno_ibrs_\@", "", X86_FEATURE_KERNEL_IBRS
	mov	PER_CPU_VAR(x86_spec_ctrl_current), %rax
	mov	%rax, %rdx
	shr	$32, %rdx
	mov	$MSR_IA32_SPEC_CTRL, %ecx
	wrmsr
.Lno_ibrs_\@:
.endm

#else

#include <linux/build_bug.h>
#include <linux/stddef.h>
#include "vcpu.h"

static_assert(offsetof(struct gondola_vcpu, regs) == 0 && offsetof(struct gondola_regs, gpr) == 0);
static_assert(R_RAX == 0 && R_RCX == 1 && R_RDX == 2 && R_RBX == 3 && R_RBP == 5 && R_RSI == 6 &&
	      R_RDI == 7 && R_R8 == 8 && R_R15 == 15);

#endif
#endif
