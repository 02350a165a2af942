/* SPDX-License-Identifier: GPL-2.0-only */
/* The world switch of the SVM engine. */
#include <linux/linkage.h>
#include <asm/alternative.h>
#include <asm/asm.h>
#include <asm/cpufeatures.h>
#include <asm/nospec-branch.h>

/* struct gondola_regs: general registers by number; svm.c asserts it. */
#define RCX	0x08
#define RDX	0x10
#define RBX	0x18
#define RBP	0x28
#define RSI	0x30
#define RDI	0x38
#define R8	0x40
#define R9	0x48
#define R10	0x50
#define R11	0x58
#define R12	0x60
#define R13	0x68
#define R14	0x70
#define R15	0x78

	.text

/*
 * void gondola_svm_run(void *regs, u64 vmcb_pa, u64 host_pa)
 *
 * RAX and RSP are switched by VMRUN itself.  From VMLOAD of the guest's state
 * to VMLOAD of the host's, GS base is not the kernel's: nothing here touches
 * per-CPU data, and GIF is clear, so nothing interrupts.
 */
SYM_FUNC_START(gondola_svm_run)
	push	%rbp
	push	%rbx
	push	%r12
	push	%r13
	push	%r14
	push	%r15
	push	%rdx
	push	%rdi

	/*
	 * With GIF clear, RFLAGS.IF no longer opens interrupts here, but VMRUN
	 * remembers it: with V_INTR_MASKING it lets them end the guest's run.
	 */
	clgi
	sti

	mov	%rsi, %rax
	vmload	%rax

	mov	RCX(%rdi), %rcx
	mov	RDX(%rdi), %rdx
	mov	RBX(%rdi), %rbx
	mov	RBP(%rdi), %rbp
	mov	RSI(%rdi), %rsi
	mov	R8(%rdi), %r8
	mov	R9(%rdi), %r9
	mov	R10(%rdi), %r10
	mov	R11(%rdi), %r11
	mov	R12(%rdi), %r12
	mov	R13(%rdi), %r13
	mov	R14(%rdi), %r14
	mov	R15(%rdi), %r15
	mov	RDI(%rdi), %rdi

	VM_CLEAR_CPU_BUFFERS
	vmrun	%rax
	vmsave	%rax

	mov	(%rsp), %rax
	mov	%rcx, RCX(%rax)
	mov	%rdx, RDX(%rax)
	mov	%rbx, RBX(%rax)
	mov	%rbp, RBP(%rax)
	mov	%rsi, RSI(%rax)
	mov	%rdi, RDI(%rax)
	mov	%r8, R8(%rax)
	mov	%r9, R9(%rax)
	mov	%r10, R10(%rax)
	mov	%r11, R11(%rax)
	mov	%r12, R12(%rax)
	mov	%r13, R13(%rax)
	mov	%r14, R14(%rax)
	mov	%r15, R15(%rax)

	mov	8(%rsp), %rax
	vmload	%rax

	/* Predictors trained by the guest must not steer the host: before any RET. */
	FILL_RETURN_BUFFER %rax, RSB_CLEAR_LOOPS, X86_FEATURE_RETPOLINE
	ANNOTATE_UNRET_END
	CALL_UNTRAIN_RET
	ALTERNATIVE "", "call entry_ibpb", X86_FEATURE_IBPB_ON_VMEXIT

	/* Nor may its values linger in registers that nothing overwrites soon. */
	xor	%ecx, %ecx
	xor	%edx, %edx
	xor	%esi, %esi
	xor	%edi, %edi
	xor	%r8d, %r8d
	xor	%r9d, %r9d
	xor	%r10d, %r10d
	xor	%r11d, %r11d

	cli
	stgi

	add	$16, %rsp
	pop	%r15
	pop	%r14
	pop	%r13
	pop	%r12
	pop	%rbx
	pop	%rbp
	RET
SYM_FUNC_END(gondola_svm_run)
