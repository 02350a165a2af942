/* SPDX-License-Identifier: GPL-2.0-only */
/* The way into the guest and out of it. */
#include <linux/linkage.h>
#include <asm/alternative.h>
#include <asm/msr-index.h>
#include <asm/nospec-branch.h>
#include <asm/percpu.h>

/* struct gondola_regs starts with the registers by number (asserted in vmx.c). */
#define GPR_RAX	(0 * 8)(%rdi)
#define GPR_RCX	(1 * 8)(%rdi)
#define GPR_RDX	(2 * 8)(%rdi)
#define GPR_RBX	(3 * 8)(%rdi)
#define GPR_RBP	(5 * 8)(%rdi)
#define GPR_RSI	(6 * 8)(%rdi)
#define GPR_RDI	(7 * 8)(%rdi)
#define GPR_R8	(8 * 8)(%rdi)
#define GPR_R9	(9 * 8)(%rdi)
#define GPR_R10	(10 * 8)(%rdi)
#define GPR_R11	(11 * 8)(%rdi)
#define GPR_R12	(12 * 8)(%rdi)
#define GPR_R13	(13 * 8)(%rdi)
#define GPR_R14	(14 * 8)(%rdi)
#define GPR_R15	(15 * 8)(%rdi)

/* Encoding of the field HOST_RSP; <asm/vmx.h> has it as a C enum (asserted in vmx.c). */
#define HOST_RSP 0x6c14

.text

/*
 * int gondola_vmx_run(u64 *gpr, u64 *host_rsp, bool launched)
 *
 * Interrupts off.  The guest runs with all of its general registers but RSP,
 * which is in the VMCS.
 */
SYM_FUNC_START(gondola_vmx_run)
	push	%rbp
	push	%rbx
	push	%r12
	push	%r13
	push	%r14
	push	%r15
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

	mov	GPR_RAX, %rax
	mov	GPR_RCX, %rcx
	mov	GPR_RDX, %rdx
	mov	GPR_RBX, %rbx
	mov	GPR_RBP, %rbp
	mov	GPR_RSI, %rsi
	mov	GPR_R8, %r8
	mov	GPR_R9, %r9
	mov	GPR_R10, %r10
	mov	GPR_R11, %r11
	mov	GPR_R12, %r12
	mov	GPR_R13, %r13
	mov	GPR_R14, %r14
	mov	GPR_R15, %r15
	mov	GPR_RDI, %rdi

	VM_CLEAR_CPU_BUFFERS

	jc	.Lresume
	vmlaunch
	jmp	.Lfailed
.Lresume:
	vmresume
	/* Always taken, since the guest's exit comes back below, not here. */
	jbe	.Lfailed

SYM_INNER_LABEL(gondola_vmx_exit, SYM_L_GLOBAL)
	push	%rdi
	mov	8(%rsp), %rdi
	mov	%rax, GPR_RAX
	mov	%rcx, GPR_RCX
	mov	%rdx, GPR_RDX
	mov	%rbx, GPR_RBX
	mov	%rbp, GPR_RBP
	mov	%rsi, GPR_RSI
	mov	%r8, GPR_R8
	mov	%r9, GPR_R9
	mov	%r10, GPR_R10
	mov	%r11, GPR_R11
	mov	%r12, GPR_R12
	mov	%r13, GPR_R13
	mov	%r14, GPR_R14
	mov	%r15, GPR_R15
	pop	GPR_RDI
	xor	%esi, %esi

.Lleave:
	/*
	 * Before anything is predicted from it: the guest has trained the
	 * return stack.  Then IBRS again, where the kernel runs with it: the
	 * write itself is what shuts the guest's predictions out.
	 */
	FILL_RETURN_BUFFER %rcx, RSB_CLEAR_LOOPS, X86_FEATURE_RSB_VMEXIT, \
			   X86_FEATURE_RSB_VMEXIT_LITE
	ALTERNATIVE "jmp .Lno_ibrs", "", X86_FEATURE_KERNEL_IBRS
	mov	PER_CPU_VAR(x86_spec_ctrl_current), %rax
	mov	%rax, %rdx
	shr	$32, %rdx
	mov	$MSR_IA32_SPEC_CTRL, %ecx
	wrmsr
.Lno_ibrs:
	CLEAR_BRANCH_HISTORY_VMEXIT

	/* Leave no guest value where speculation could use it; the others are popped. */
	mov	%esi, %eax
	xor	%ecx, %ecx
	xor	%edx, %edx
	xor	%esi, %esi
	xor	%r8d, %r8d
	xor	%r9d, %r9d
	xor	%r10d, %r10d
	xor	%r11d, %r11d
	pop	%rdi
	pop	%r15
	pop	%r14
	pop	%r13
	pop	%r12
	pop	%rbx
	pop	%rbp
	RET

.Lfailed:
	mov	$1, %esi
	jmp	.Lleave
SYM_FUNC_END(gondola_vmx_run)
