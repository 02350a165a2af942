/* SPDX-License-Identifier: GPL-2.0-only */
/* The multiboot header, the first instructions, and the way into exception handlers. */

#define MAGIC	0x1badb002
#define FLAGS	3			/* page-aligned modules, memory information */

	.section .multiboot, "ax"
	.balign 4
	.long	MAGIC, FLAGS, -(MAGIC + FLAGS)

	.text
	.globl	start
start:
	mov	$stack_top, %esp
	push	%ebx			/* information */
	push	%eax			/* what the loader is */
	call	guest_start

/* Vectors 0 … 31: each pushes an error code if the processor has not, and its number. */
	.globl	guest_vectors
	.balign 16
guest_vectors:
	.set	vector, 0
	.rept	32
	.balign 16
	.if	!((0x60227d00 >> vector) & 1)
	push	$0
	.endif
	push	$vector
	jmp	common
	.set	vector, vector + 1
	.endr

common:
	pusha
	mov	%esp, %eax
	push	%eax
	call	guest_exception
	add	$4, %esp
	popa
	add	$8, %esp
	iret

	.bss
	.balign 16
	.skip	16384
stack_top:
