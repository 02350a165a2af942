/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The world switch of the ring3 engine.  Documentation/ring3.rst has the order of steps, and what
 * must be true at each.
 */
#include <linux/linkage.h>
#include <asm/alternative.h>
#include <asm/asm.h>
#include <asm/cpufeatures.h>
#include <asm/msr-index.h>
#include <asm/nospec-branch.h>
#include <asm/percpu.h>
#include <asm/segment.h>
#include <asm/unwind_hints.h>
#include "compat-features.h"
#include "engine/entry.h"
#include "engine/ring3/area.h"

#ifndef COMPAT_VALIDATE_UNRET_END
#define VALIDATE_UNRET_END	ANNOTATE_UNRET_END
#endif

#define CTX(field)	(ring3_text + AREA_CONTEXT + CTX_##field)(%rip)
/* ENDBR64: with indirect branch tracking, interrupts and SYSCALL must find it. */
#define MARK_TARGET	.byte 0xf3, 0x0f, 0x1e, 0xfa

/*
 * The switcher.  It is data to the host, which maps these two pages once more in each area; so
 * nothing here may name a symbol outside, nor be patched.  It touches no GS, and while the guest's
 * tables are loaded, no address outside the area.  There is no CALL, RET or indirect branch.
 */
	.section .rodata
	.balign	4096
SYM_INNER_LABEL(ring3_text, SYM_L_GLOBAL)

/* From ring3_switch(), on the host's stack and tables; descriptors are the area's. */
SYM_INNER_LABEL(ring3_enter, SYM_L_GLOBAL)
	MARK_TARGET
	swapgs
.Lenter_swapped:
	mov	CTX(GUEST_CR3), %rax
	mov	%rax, %cr3
	lea	CTX(REGS), %rsp
	testl	$FLAG_VERW, CTX(FLAGS)
	jz	.Lload
	verw	.Lwritable(%rip)
.Lload:
	pop	%rax
	pop	%rcx
	pop	%rdx
	pop	%rbx
	lea	8(%rsp), %rsp
	pop	%rbp
	pop	%rsi
	pop	%rdi
	pop	%r8
	pop	%r9
	pop	%r10
	pop	%r11
	pop	%r12
	pop	%r13
	pop	%r14
	pop	%r15
	lea	16(%rsp), %rsp
.Lenter_iret:
	iretq
.Lenter_end:

.Lwritable:
	.word	RING3_SS

/* SYSCALL from ring 3: the stack is the guest's, so it is replaced before anything is pushed. */
	.balign	16
SYM_INNER_LABEL(ring3_syscall, SYM_L_GLOBAL)
	MARK_TARGET
	mov	%rsp, (ring3_text + AREA_CONTEXT + CTX_REGS_END - 16)(%rip)
	lea	(ring3_text + AREA_CONTEXT + CTX_REGS_END - 16)(%rip), %rsp
	push	%r11
	push	$3
	push	%rcx
	push	$0
	push	$RING3_SYSCALL
	jmp	.Lsave

	.balign	16
SYM_INNER_LABEL(ring3_syscall32, SYM_L_GLOBAL)
	MARK_TARGET
	mov	%rsp, (ring3_text + AREA_CONTEXT + CTX_REGS_END - 16)(%rip)
	lea	(ring3_text + AREA_CONTEXT + CTX_REGS_END - 16)(%rip), %rsp
	push	%r11
	push	$3
	push	%rcx
	push	$0
	push	$RING3_SYSCALL32
	jmp	.Lsave

/* All vectors but those below; vector and error code are on the stack. */
.Lcommon:
	testb	$3, 24(%rsp)
	jz	.Lring0
.Lsave:
	push	%r15
	push	%r14
	push	%r13
	push	%r12
	push	%r11
	push	%r10
	push	%r9
	push	%r8
	push	%rdi
	push	%rsi
	push	%rbp
	push	%rsp
	push	%rbx
	push	%rdx
	push	%rcx
	push	%rax
	mov	%rsp, CTX(EXIT_RSP)
.Lleave_swapped:
	swapgs
.Lleave:
	mov	CTX(HOST_CR3), %rax
	mov	%rax, %cr3
	mov	CTX(HOST_RSP), %rsp
	/* A far return is not predicted, and unlike IRET leaves NMIs blocked that were. */
	pushq	$RING3_CS
	pushq	CTX(RETURN)
	lretq

/* An NMI came before IRET: nothing of the guest's has run. */
.Lturn_back_swapped:
	movq	$0, CTX(EXIT_RSP)
	jmp	.Lleave_swapped
.Lturn_back:
	movq	$0, CTX(EXIT_RSP)
	jmp	.Lleave

/*
 * An exception in ring 0.  IRET may have one, when the guest's registers are no good; then all is
 * as at an exit.  Any other is a mistake here, which the host is told about if it can be.
 */
.Lring0:
	push	%rax
	push	%rcx
	lea	.Lenter_iret(%rip), %rcx
	mov	32(%rsp), %rax
	sub	%rcx, %rax
	pop	%rcx
	jz	.Lring0_iret
	push	%rcx
	lea	ring3_text(%rip), %rcx
	mov	32(%rsp), %rax
	sub	%rcx, %rax
	cmp	$(ring3_stubs - ring3_text), %rax
	pop	%rcx
	jae	.Lring0_outside
	/* The place that was interrupted tells which GS base is loaded. */
	sub	$(.Lenter_swapped - ring3_text), %rax
	cmp	$(.Lleave - .Lenter_swapped), %rax
	pop	%rax
	jb	.Lring0_swapped
	/* The host's GS base is loaded, and .Lsave swaps it: swap it once before. */
	swapgs
	orq	$RING3_FATAL, (%rsp)
	jmp	.Lsave
.Lring0_swapped:
	orq	$RING3_FATAL, (%rsp)
	jmp	.Lsave
.Lring0_iret:
	pop	%rax
	jmp	.Lsave
.Lring0_outside:
	/* Around the switcher, under the host's tables: let it happen again as the host's own. */
	pop	%rax
	lidt	CTX(HOST_IDTR)
	add	$16, %rsp
	iretq

/* NMI, on a stack of its own. */
.Lnmi:
	testb	$3, 24(%rsp)
	jnz	.Lsave
	add	$16, %rsp
.Lnmi_ring0:
	orl	$SEEN_NMI, CTX(SEEN)
	push	%rax
	push	%rcx
	lea	ring3_enter(%rip), %rcx
	mov	16(%rsp), %rax
	sub	%rcx, %rax
	cmp	$(.Lenter_end - ring3_enter), %rax
	jae	.Lnmi_done
	lea	.Lturn_back(%rip), %rcx
	cmp	$(.Lenter_swapped - ring3_enter), %rax
	jb	.Lnmi_turn
	lea	.Lturn_back_swapped(%rip), %rcx
.Lnmi_turn:
	mov	%rcx, 16(%rsp)
.Lnmi_done:
	pop	%rcx
	pop	%rax
	iretq

/* #DB in ring 0: of MOV SS and SYSCALL in a row, or the test's, which strikes like an NMI. */
.Ldb:
	testb	$3, 24(%rsp)
	jnz	.Lsave
	add	$16, %rsp
	testl	$FLAG_STRIKE, CTX(FLAGS)
	jnz	.Ldb_strike
	orl	$SEEN_DB, CTX(SEEN)
	btrl	$8, 16(%rsp)
	iretq
.Ldb_strike:
	push	%rax
	push	%rcx
	lea	ring3_enter(%rip), %rcx
	mov	16(%rsp), %rax
	sub	%rcx, %rax
	cmp	$(.Lenter_end - ring3_enter), %rax
	jae	.Ldb_again
	decq	CTX(STRIKE)
	jnz	.Ldb_again
	incq	CTX(STRUCK)
	pop	%rcx
	pop	%rax
	btrl	$8, 16(%rsp)
	jmp	.Lnmi_ring0
.Ldb_again:
	pop	%rcx
	pop	%rax
	iretq

.Lmc:
	testb	$3, 24(%rsp)
	jnz	.Lsave
	add	$16, %rsp
	orl	$SEEN_MC, CTX(SEEN)
	iretq

	.balign	4096
/* One for each vector, 16 bytes apart: pushes 0 where the processor pushes no error code. */
SYM_INNER_LABEL(ring3_stubs, SYM_L_GLOBAL)
	.set	vector, 0
	.rept	256
	.balign	16
	MARK_TARGET
	.if	vector != 8 && (vector < 10 || vector > 14) && vector != 17 && vector != 21 && \
		vector != 29 && vector != 30
	push	$0
	.endif
	push	$vector
	.if	vector == 2
	jmp	.Lnmi
	.elseif	vector == 1
	jmp	.Ldb
	.elseif	vector == 18
	jmp	.Lmc
	.else
	jmp	.Lcommon
	.endif
	.set	vector, vector + 1
	.endr
	.balign	4096
SYM_INNER_LABEL(ring3_text_end, SYM_L_GLOBAL)

	.text

/*
 * void ring3_switch(struct ring3_context *context)
 *
 * Interrupts off; @context by its address in the area.  From the first LIDT to the last, all
 * exceptions are the area's, since GDT, TR and CR3 change meanwhile.
 */
SYM_FUNC_START(ring3_switch)
	PUSH_HOST_REGISTERS
	push	%rdi
	lea	.Lreturn(%rip), %rax
	mov	%rax, CTX_RETURN(%rdi)
	mov	%rsp, CTX_HOST_RSP(%rdi)

	lidt	CTX_IDTR(%rdi)
	lgdt	CTX_GDTR(%rdi)
	mov	$RING3_TSS, %eax
	ltr	%ax
	mov	CTX_GUEST_CR4(%rdi), %rax
	cmp	CTX_HOST_CR4(%rdi), %rax
	je	.Lguest_cr4
	mov	%rax, %cr4
.Lguest_cr4:

	testl	$FLAG_STRIKE, CTX_FLAGS(%rdi)
	jz	.Lgo
	pushf
	orl	$0x100, (%rsp)
	popf
.Lgo:
	mov	CTX_ENTRY(%rdi), %rax
	CALL_NOSPEC rax
.Lreturn:
	ANNOTATE_NOENDBR
	mov	(%rsp), %rdi
	mov	%cr2, %rax
	mov	%rax, CTX_CR2(%rdi)
	mov	CTX_HOST_CR4(%rdi), %rax
	cmp	CTX_GUEST_CR4(%rdi), %rax
	je	.Lhost_cr4
	mov	%rax, %cr4
.Lhost_cr4:
	mov	$RING3_HOST_TSS, %eax
	ltr	%ax
	lgdt	CTX_HOST_GDTR(%rdi)
	lidt	CTX_HOST_IDTR(%rdi)

	/* Gates leave DF and AC as they were in ring 3, and SS empty. */
	pushq	$2
	popf
	mov	$__KERNEL_DS, %eax
	mov	%eax, %ss
	FORGET_GUEST_REGISTERS

	/* Predictors trained by the guest must not steer the host: before any RET. */
	FILL_RETURN_BUFFER %rax, RSB_CLEAR_LOOPS, X86_FEATURE_RETPOLINE
	VALIDATE_UNRET_END
	CALL_UNTRAIN_RET
	BARRIER_AFTER_GUEST
	RESTRICT_SPECULATION
#ifndef COMPAT_RESERVED_BHB
	CLEAR_BRANCH_HISTORY
#endif

	add	$8, %rsp
	POP_HOST_REGISTERS
	RET
SYM_FUNC_END(ring3_switch)

_ASM_NOKPROBE(ring3_switch)

/* void ring3_raise(unsigned int vector): as the processor does when it delivers it. */
SYM_FUNC_START(ring3_raise)
	mov	%edi, %eax
	shl	$4, %eax
	lea	.Lraise(%rip), %rdx
	add	%rdx, %rax
	JMP_NOSPEC rax
SYM_FUNC_END(ring3_raise)

	.balign	16
SYM_CODE_START_LOCAL(ring3_raise_stubs)
.Lraise:
	.set	vector, 0
	.rept	256
	.balign	16
	UNWIND_HINT_FUNC
	ENDBR
	.byte	0xcd, vector
	RET
	.set	vector, vector + 1
	.endr
SYM_CODE_END(ring3_raise_stubs)
