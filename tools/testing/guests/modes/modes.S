/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A boot sector that goes to protected mode, to long mode and back to real
 * mode, again and again, and takes an interrupt in each.
 */
#include "sector.inc"

#define ROUNDS		20
#define TABLES		0x10000		/* three pages: one 2 MiB page, one to one */
#define IDT		0x14000
#define VECTOR		0x21

#define CODE32		0x08
#define DATA32		0x10
#define CODE64		0x18
#define CODE16		0x20
#define DATA16		0x28

#define EFER		0xc0000080
#define EFER_LME	0x100
#define CR0_PE		1
#define CR0_PG		0x80000000
#define CR4_PAE		0x20

	.balign	8
gdt:
	.quad	0
	.quad	0x00cf9b000000ffff	/* CODE32 */
	.quad	0x00cf93000000ffff	/* DATA32 */
	.quad	0x00af9b000000ffff	/* CODE64 */
	.quad	0x00009b000000ffff	/* CODE16 */
	.quad	0x000093000000ffff	/* DATA16 */
gdt_register:
	.word	. - gdt - 1
	.long	gdt
idt_register:
	.word	(VECTOR + 1) * 16 - 1
	.quad	IDT
real_idt_register:
	.word	0x3ff
	.long	VECTOR_TABLE
back_pointer:
	.long	compatible
	.word	CODE32
	.balign	4
count16:	.long 0
count32:	.long 0
count64:	.long 0
rounds:	.word	0

handler16:
	incl	count16
	iretw

	.code32
handler32:
	incl	count32
	iret

	.code64
handler64:
	incl	count64(%rip)
	iretq

	.code16
main:
	movw	$handler16, VECTOR_TABLE + VECTOR * 4
	movw	$0, VECTOR_TABLE + VECTOR * 4 + 2
	/* Page tables: 0x10000 -> 0x11000 -> 0x12000 -> 0. */
	movw	$TABLES >> 4, %ax
	movw	%ax, %es
	xorw	%di, %di
	xorw	%ax, %ax
	movw	$0x3000 / 2, %cx
	rep	stosw
	movl	$(TABLES + 0x1003), %es:0
	movl	$(TABLES + 0x2003), %es:0x1000
	movl	$0x83, %es:0x2000

round:
	xorw	%ax, %ax
	movw	%ax, %es
	int	$VECTOR
	lgdtl	gdt_register
	movl	%cr0, %eax
	orb	$CR0_PE, %al
	movl	%eax, %cr0
	ljmpl	$CODE32, $protected

	.code32
protected:
	movw	$DATA32, %ax
	movw	%ax, %ds
	movw	%ax, %es
	movw	%ax, %ss
	movl	$start, %esp
	/* A 32-bit gate. */
	movl	$handler32, %eax
	andl	$0xffff, %eax
	orl	$(CODE32 << 16), %eax
	movl	%eax, IDT + VECTOR * 8
	movl	$0x8e00, IDT + VECTOR * 8 + 4
	lidt	idt_register
	int	$VECTOR
	/* A 64-bit one. */
	movl	$handler64, %eax
	andl	$0xffff, %eax
	orl	$(CODE64 << 16), %eax
	movl	%eax, IDT + VECTOR * 16
	movl	$0x8e00, IDT + VECTOR * 16 + 4
	movl	$0, IDT + VECTOR * 16 + 8
	movl	$0, IDT + VECTOR * 16 + 12

	movl	%cr4, %eax
	orl	$CR4_PAE, %eax
	movl	%eax, %cr4
	movl	$TABLES, %eax
	movl	%eax, %cr3
	movl	$EFER, %ecx
	rdmsr
	orl	$EFER_LME, %eax
	wrmsr
	movl	%cr0, %eax
	orl	$CR0_PG, %eax
	movl	%eax, %cr0
	ljmp	$CODE64, $long_mode

	.code64
long_mode:
	movabsq	$0x123456789abcdef0, %rax
	movq	%rax, %r15
	pushq	%r15
	bswapq	%r15
	popq	%rbx
	bswapq	%r15
	cmpq	%rbx, %r15
	jne	1f
	lidt	idt_register(%rip)
	int	$VECTOR
	jmp	2f
1:	movl	$0, count64(%rip)
2:	ljmpl	*back_pointer(%rip)

	.code32
compatible:
	movl	%cr0, %eax
	andl	$~CR0_PG, %eax
	movl	%eax, %cr0
	movl	$EFER, %ecx
	rdmsr
	andl	$~EFER_LME, %eax
	wrmsr
	movl	%cr4, %eax
	andl	$~CR4_PAE, %eax
	movl	%eax, %cr4
	ljmp	$CODE16, $narrow

	.code16
narrow:
	movw	$DATA16, %ax
	movw	%ax, %ds
	movw	%ax, %es
	movw	%ax, %ss
	movl	%cr0, %eax
	andb	$~CR0_PE, %al
	movl	%eax, %cr0
	ljmp	$0, $real
real:
	xorw	%ax, %ax
	movw	%ax, %ds
	movw	%ax, %es
	movw	%ax, %ss
	movw	$start, %sp
	lidtl	real_idt_register
	int	$VECTOR
	incw	rounds
	cmpw	$ROUNDS, rounds
	jb	round

	cmpl	$2 * ROUNDS, count16
	jne	bad
	cmpl	$ROUNDS, count32
	jne	bad
	cmpl	$ROUNDS, count64
	jne	bad
	movw	$told, %si
	call	puts
	jmp	good

told:	.asciz	"real, protected and long mode and back "
	.balign	512, 0
