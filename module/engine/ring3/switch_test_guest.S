/* SPDX-License-Identifier: GPL-2.0-only */
/* The code that the tests of the switch run in ring 3, each from its label. */
#include <linux/linkage.h>

	.section .rodata
	.balign	4096
SYM_INNER_LABEL(ring3_guest, SYM_L_GLOBAL)

#define PROGRAM(name)	SYM_INNER_LABEL(ring3_guest_##name, SYM_L_GLOBAL)

PROGRAM(ud)
	lea	(%rax,%rbx), %rcx
	mov	%rcx, 8(%rsp)
	mov	8(%rsp), %r15
	add	%r14, %r15
	ud2
PROGRAM(syscall)
	mov	$0x1234, %eax
	syscall
PROGRAM(read)
	mov	(%rax), %rbx
PROGRAM(write)
	mov	%rbx, (%rax)
PROGRAM(int3)
	int3
PROGRAM(int80)
	int	$0x80
PROGRAM(hlt)
	hlt
PROGRAM(cli)
	cli
PROGRAM(in)
	in	$0x70, %al
PROGRAM(sysenter)
	sysenter
PROGRAM(spin)
	inc	%rax
	jmp	ring3_guest_spin
PROGRAM(step)
	nop
	nop
PROGRAM(mov_ss)
	mov	%ss, %eax
	pushf
	orl	$0x100, (%rsp)
	popf
	mov	%eax, %ss
	syscall
PROGRAM(bases)
	mov	%fs:0, %rax
	mov	%gs:0, %rbx
	ud2
PROGRAM(flags)
	std
	pushf
	orl	$0x44000, (%rsp)
	popf
	ud2
PROGRAM(load_ds)
	mov	%ss, %eax
	mov	%eax, %ds
	mov	%eax, %gs
	ud2
PROGRAM(kernel_ds)
	mov	$0x18, %eax
	mov	%eax, %ds
PROGRAM(far_jump)
	ljmpl	*.Lnowhere(%rip)
PROGRAM(far_return)
	push	$0x23
	lea	ring3_guest_ud(%rip), %rax
	push	%rax
PROGRAM(far_return_itself)
	lretq
.Lnowhere:
	.long	0
	.word	0x23
	.balign	4096
