/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Runs one instruction with all registers as in native_in, and leaves what
 * they are after it in native_out.  Between, only MOVs: they touch no flags.
 */
#define GPR(n)		(8 * (n))
#define RFLAGS		136
#define FX		192

/* Linux' selectors. */
#define USER32_CS	0x23
#define USER_DS		0x2b

	.bss
	.balign 16
host_rsp:
	.quad 0

	.text
	.globl native_enter, native_exit_fall, native_exit_taken, native_abort

/* void native_enter(void *insn, bool code32) */
native_enter:
	push %rbx
	push %rbp
	push %r12
	push %r13
	push %r14
	push %r15
	mov %rsp, host_rsp(%rip)
	mov %rdi, target(%rip)
	test %sil, %sil
	jz 1f
	/* Data segments are null in 64-bit mode, and used in the other. */
	mov %edi, target32(%rip)
	lea enter32(%rip), %rax
	mov %rax, target(%rip)
	mov $USER_DS, %eax
	mov %eax, %ds
	mov %eax, %es
1:
	movb $0, native_taken(%rip)
	fxrstor64 native_in + FX(%rip)
	pushq native_in + RFLAGS(%rip)
	popfq
	mov native_in + GPR(0)(%rip), %rax
	mov native_in + GPR(1)(%rip), %rcx
	mov native_in + GPR(2)(%rip), %rdx
	mov native_in + GPR(3)(%rip), %rbx
	mov native_in + GPR(4)(%rip), %rsp
	mov native_in + GPR(5)(%rip), %rbp
	mov native_in + GPR(6)(%rip), %rsi
	mov native_in + GPR(7)(%rip), %rdi
	mov native_in + GPR(8)(%rip), %r8
	mov native_in + GPR(9)(%rip), %r9
	mov native_in + GPR(10)(%rip), %r10
	mov native_in + GPR(11)(%rip), %r11
	mov native_in + GPR(12)(%rip), %r12
	mov native_in + GPR(13)(%rip), %r13
	mov native_in + GPR(14)(%rip), %r14
	mov native_in + GPR(15)(%rip), %r15
	jmp *target(%rip)

enter32:
	ljmpl *target32(%rip)

native_exit_taken:
	movb $1, native_taken(%rip)
native_exit_fall:
	mov %rax, native_out + GPR(0)(%rip)
	mov %rcx, native_out + GPR(1)(%rip)
	mov %rdx, native_out + GPR(2)(%rip)
	mov %rbx, native_out + GPR(3)(%rip)
	mov %rsp, native_out + GPR(4)(%rip)
	mov %rbp, native_out + GPR(5)(%rip)
	mov %rsi, native_out + GPR(6)(%rip)
	mov %rdi, native_out + GPR(7)(%rip)
	mov %r8, native_out + GPR(8)(%rip)
	mov %r9, native_out + GPR(9)(%rip)
	mov %r10, native_out + GPR(10)(%rip)
	mov %r11, native_out + GPR(11)(%rip)
	mov %r12, native_out + GPR(12)(%rip)
	mov %r13, native_out + GPR(13)(%rip)
	mov %r14, native_out + GPR(14)(%rip)
	mov %r15, native_out + GPR(15)(%rip)
	mov host_rsp(%rip), %rsp
	pushfq
	popq native_out + RFLAGS(%rip)
	fxsave64 native_out + FX(%rip)
	jmp out

/* Where the signal handler goes on after a fault. */
native_abort:
	mov host_rsp(%rip), %rsp
out:
	cld
	xor %eax, %eax
	mov %eax, %ds
	mov %eax, %es
	fninit
	ldmxcsr usual_mxcsr(%rip)
	pop %r15
	pop %r14
	pop %r13
	pop %r12
	pop %rbp
	pop %rbx
	ret

	.section .rodata
	.balign 4
usual_mxcsr:
	.long 0x1f80

	.bss
	.balign 16
target:
	.quad 0
	.data
target32:
	.long 0
	.word USER32_CS
	.section .note.GNU-stack, "", @progbits
