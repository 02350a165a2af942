/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A boot sector that stays in real mode: software interrupts, exceptions, the
 * timer through the PIC, strings, far calls and segments.
 */
#include "sector.inc"

#define TICKS	5

/* INT 0x60: adds one to BX, and leaves the caller's flags as they were. */
service:
	pushfw
	popw	%cx
	testw	$0x200, %cx		/* IF is clear in a handler */
	jnz	bad
	incw	%bx
	iretw

/* #DE: the instruction is 2 bytes long. */
divided:
	pushw	%bp
	movw	%sp, %bp
	addw	$2, 2(%bp)
	popw	%bp
	incw	divisions
	iretw

/* #UD, likewise. */
undefined:
	pushw	%bp
	movw	%sp, %bp
	addw	$2, 2(%bp)
	popw	%bp
	incw	undefineds
	iretw

tick:
	pushw	%ax
	incw	ticks
	movb	$0x20, %al
	outb	%al, $0x20
	popw	%ax
	iretw

far_callee:
	movw	%sp, %bp
	movw	2(%bp), %dx		/* the caller's CS */
	lretw

main:
	movw	$service, VECTOR_TABLE + 0x60 * 4
	movw	$0, VECTOR_TABLE + 0x60 * 4 + 2
	movw	$divided, VECTOR_TABLE
	movw	$0, VECTOR_TABLE + 2
	movw	$undefined, VECTOR_TABLE + 6 * 4
	movw	$0, VECTOR_TABLE + 6 * 4 + 2
	movw	$tick, VECTOR_TABLE + 8 * 4
	movw	$0, VECTOR_TABLE + 8 * 4 + 2

	/* Software interrupts. */
	movw	$0, %bx
	movw	$1000, %di
1:	int	$0x60
	decw	%di
	jnz	1b
	cmpw	$1000, %bx
	jne	bad

	/* Exceptions. */
	xorw	%cx, %cx
	movw	$7, %ax
	divb	%cl
	ud2
	cmpw	$1, divisions
	jne	bad
	cmpw	$1, undefineds
	jne	bad

	/* A segment of its own, strings both ways, and a far call back. */
	movw	$0x2000, %ax
	movw	%ax, %es
	movw	$0xffc0, %di
	movw	$start, %si
	movw	$32, %cx
	rep	movsw
	movw	$start, %si
	movw	$0xffc0, %di
	movw	$32, %cx
	repe	cmpsw
	jne	bad
	cmpw	$0, %di			/* it wraps at 64 KiB */
	jne	bad
	xorw	%ax, %ax
	movw	%ax, %es
	lcall	$0, $far_callee
	testw	%dx, %dx
	jnz	bad

	/* The timer: the PIC gives line 0 vector 8, the PIT ticks a thousand times a second. */
	movb	$0x11, %al
	outb	%al, $0x20
	movb	$8, %al
	outb	%al, $0x21
	movb	$4, %al
	outb	%al, $0x21
	movb	$1, %al
	outb	%al, $0x21
	movb	$0xfe, %al
	outb	%al, $0x21
	movb	$0x34, %al
	outb	%al, $0x43
	movb	$1193 & 255, %al
	outb	%al, $0x40
	movb	$1193 >> 8, %al
	outb	%al, $0x40
2:	sti
	hlt
	cli
	cmpw	$TICKS, ticks
	jb	2b
	movw	$told, %si
	call	puts
	jmp	good

told:	.asciz	"real mode: interrupts, exceptions, timer "
	.balign	2
divisions:	.word 0
undefineds:	.word 0
ticks:	.word 0
	.balign	512, 0
