/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Code for guests in real mode, in the place of a BIOS.  It starts boot sectors, serves the simple
 * calls for text, keys and memory, and resets the machine at the reset vector.  Of any other call it
 * tells the launcher.  Assembled for BIOS_OFFSET in the segment BIOS_SEGMENT.
 */
#include "bios.h"

#define AT(label)	(BIOS_OFFSET + label - bios_code)

#define COM1		0x3f8
#define COM1_STATUS	0x3fd
#define HAS_DATA	0x01
#define CAN_SEND	0x20
#define PIC1		0x20
#define PIC2		0xa0
#define EOI		0x20
#define MODEL_AT	0xfc

/* In the BIOS data area. */
#define EQUIPMENT	0x410
#define BASE_KIB	0x413
#define KEY_HEAD	0x41a
#define KEY_TAIL	0x41c
#define KEY_BUFFER	0x41e
#define TICKS		0x46c

/* The frame of an interrupt, by BP. */
#define VECTOR		2(%bp)
#define FLAGS		8(%bp)
#define FLAG_CARRY	0x01
#define FLAG_ZERO	0x40

	.section .rodata
	.code16
	.global bios_code, bios_code_end, bios_post, bios_map
bios_code:
	/* One entry of BIOS_ENTRY_BYTES for each vector. */
	vector = 0
	.rept 256
	.byte 0x68			/* pushw */
	.word vector
	.byte 0xe9			/* jmp */
	.word service - . - 2
	vector = vector + 1
	.endr

service:
	pushw	%bp
	movw	%sp, %bp
	cmpb	$0x10, VECTOR
	je	video
	cmpb	$0x11, VECTOR
	je	equipment
	cmpb	$0x12, VECTOR
	je	base_memory
	cmpb	$0x13, VECTOR
	je	disk
	cmpb	$0x15, VECTOR
	je	system
	cmpb	$0x16, VECTOR
	je	keyboard
	cmpb	$0x1a, VECTOR
	je	clock
	cmpb	$0x02, VECTOR		/* NMI */
	je	done
	cmpb	$0x08, VECTOR
	je	tick
	cmpb	$0x08, VECTOR
	jb	unknown
	cmpb	$0x10, VECTOR
	jb	interrupt1
	cmpb	$0x70, VECTOR
	jb	unknown
	cmpb	$0x78, VECTOR
	jb	interrupt2
unknown:
	/* AH still is the function that was asked for. */
	movb	VECTOR, %al
	outw	%ax, $BIOS_PORT
1:	hlt
	jmp	1b

unsupported:
	movb	$0x86, %ah
fail:
	orb	$FLAG_CARRY, FLAGS
	jmp	done
succeed:
	andb	$~FLAG_CARRY, FLAGS
done:
	popw	%bp
	addw	$2, %sp
	iret

/* ---- interrupts of devices ---------------------------------------------------------------- */

tick:
	pushw	%ds
	pushw	$0
	popw	%ds
	incl	TICKS
	popw	%ds
	jmp	interrupt1
interrupt2:
	pushw	%ax
	movb	$EOI, %al
	outb	%al, $PIC2
	popw	%ax
interrupt1:
	pushw	%ax
	movb	$EOI, %al
	outb	%al, $PIC1
	popw	%ax
	jmp	done

/* ---- 10h: the serial port is the screen ------------------------------------------------------ */

video:
	cmpb	$0x0e, %ah
	je	1f
	cmpb	$0x09, %ah
	je	1f
	cmpb	$0x0a, %ah
	je	1f
	cmpb	$0x0f, %ah
	je	2f
	cmpb	$0x03, %ah
	je	3f
	cmpb	$0x13, %ah
	je	4f
	jmp	done			/* modes, cursor, scrolling: nothing to do */
1:	call	put
	jmp	done
2:	movw	$0x5003, %ax		/* 80 columns, mode 3 */
	xorb	%bh, %bh
	jmp	done
3:	xorw	%dx, %dx
	movw	$0x0607, %cx
	jmp	done
4:	pushw	%ax
	pushw	%cx
	pushw	%si
	movw	0(%bp), %si		/* the caller's BP: the string, in ES */
	jcxz	6f
5:	movb	%es:(%si), %al
	call	put
	incw	%si
	loop	5b
6:	popw	%si
	popw	%cx
	popw	%ax
	jmp	done

put:
	pushw	%ax
	pushw	%dx
	movb	%al, %ah
	movw	$COM1_STATUS, %dx
1:	inb	%dx, %al
	testb	$CAN_SEND, %al
	jz	1b
	movb	%ah, %al
	movw	$COM1, %dx
	outb	%al, %dx
	popw	%dx
	popw	%ax
	ret

/* ---- 11h, 12h, 15h: the machine --------------------------------------------------------------- */

equipment:
	pushw	%ds
	pushw	$0
	popw	%ds
	movw	EQUIPMENT, %ax
	popw	%ds
	jmp	done
base_memory:
	pushw	%ds
	pushw	$0
	popw	%ds
	movw	BASE_KIB, %ax
	popw	%ds
	jmp	done

system:
	cmpw	$0xe820, %ax
	je	memory_map
	cmpw	$0xe801, %ax
	je	1f
	cmpb	$0x88, %ah
	je	2f
	cmpw	$0x2402, %ax
	je	3f
	cmpb	$0x24, %ah
	jne	unsupported
	xorb	%ah, %ah		/* the A20 line is always open */
	movw	$3, %bx
	jmp	succeed
1:	movw	%cs:AT(bios_map) + BIOS_MAP_BELOW_16M, %ax
	movw	%cs:AT(bios_map) + BIOS_MAP_ABOVE_16M, %bx
	movw	%ax, %cx
	movw	%bx, %dx
	jmp	succeed
2:	movw	%cs:AT(bios_map) + BIOS_MAP_EXTENDED, %ax
	jmp	succeed
3:	movw	$1, %ax
	jmp	succeed

/* EBX: which entry; ES:DI: where to; ECX: room. */
memory_map:
	cmpl	$0x534d4150, %edx	/* "SMAP" */
	jne	unsupported
	cmpl	$BIOS_MAP_ENTRY, %ecx
	jb	unsupported
	cmpb	$0, %bh
	jne	unsupported
	cmpb	%cs:AT(bios_map) + BIOS_MAP_COUNT, %bl
	jae	unsupported
	pushw	%ds
	pushw	%si
	pushw	%di
	pushw	%cs
	popw	%ds
	movb	$BIOS_MAP_ENTRY, %al
	mulb	%bl
	addw	$AT(bios_map) + BIOS_MAP_ENTRIES, %ax
	movw	%ax, %si
	movw	$BIOS_MAP_ENTRY / 2, %cx
	cld
	rep movsw
	popw	%di
	popw	%si
	popw	%ds
	movl	$BIOS_MAP_ENTRY, %ecx
	movl	$0x534d4150, %eax
	incw	%bx
	cmpb	%cs:AT(bios_map) + BIOS_MAP_COUNT, %bl
	jb	succeed
	xorw	%bx, %bx		/* that was the last one */
	jmp	succeed

/* ---- 13h: there are no disks, as all learn that ask first ---------------------------------------- */

disk:
	cmpb	$0x02, %ah		/* Xen reads without asking */
	je	1f
	cmpb	$0x08, %ah
	je	1f
	cmpb	$0x15, %ah
	je	1f
	cmpb	$0x41, %ah
	je	1f
	cmpb	$0x48, %ah
	jne	unknown
1:	movb	$0x01, %ah
	jmp	fail

/* ---- 16h: keys come from the serial port -------------------------------------------------------- */

keyboard:
	andb	$~0x10, %ah		/* those for larger keyboards are the same */
	cmpb	$0x00, %ah
	je	1f
	cmpb	$0x01, %ah
	je	2f
	xorb	%al, %al		/* no key is held down */
	jmp	done
1:	call	look
	jz	1b
	pushw	%ds
	pushw	$0
	popw	%ds
	movw	$0x1e, KEY_TAIL
	popw	%ds
	jmp	done
2:	orb	$FLAG_ZERO, FLAGS
	call	look
	jz	done
	andb	$~FLAG_ZERO, FLAGS
	jmp	done

/* AX: the key that waits; ZF set if there is none. */
look:
	pushw	%ds
	pushw	%dx
	pushw	$0
	popw	%ds
	movw	KEY_HEAD, %dx
	cmpw	KEY_TAIL, %dx
	jne	2f
	movw	$COM1_STATUS, %dx
	inb	%dx, %al
	testb	$HAS_DATA, %al
	jz	3f
	movw	$COM1, %dx
	inb	%dx, %al
	xorb	%ah, %ah
	movw	%ax, KEY_BUFFER
	movw	$0x20, KEY_TAIL
2:	movw	KEY_BUFFER, %ax
	orb	$1, %dl			/* not zero */
3:	popw	%dx
	popw	%ds
	ret

/* ---- 1Ah: ticks since the start ------------------------------------------------------------------ */

clock:
	cmpb	$0, %ah
	jne	unsupported
	pushw	%ds
	pushw	$0
	popw	%ds
	movw	TICKS, %dx
	movw	TICKS + 2, %cx
	xorb	%al, %al		/* no midnight has passed */
	popw	%ds
	jmp	succeed

/* ---- starting and ending --------------------------------------------------------------------------- */

/* As a BIOS leaves interrupt controllers and timer to a boot sector. */
bios_post:
	cli
	xorw	%ax, %ax
	movw	%ax, %ds
	movw	%ax, %es
	movw	%ax, %ss
	movw	$0x7c00, %sp
	movb	$0x11, %al
	outb	%al, $PIC1
	outb	%al, $PIC2
	movb	$0x08, %al
	outb	%al, $PIC1 + 1
	movb	$0x70, %al
	outb	%al, $PIC2 + 1
	movb	$0x04, %al
	outb	%al, $PIC1 + 1
	movb	$0x02, %al
	outb	%al, $PIC2 + 1
	movb	$0x01, %al
	outb	%al, $PIC1 + 1
	outb	%al, $PIC2 + 1
	movb	$0xf8, %al		/* timer, keyboard and the second controller */
	outb	%al, $PIC1 + 1
	movb	$0xff, %al
	outb	%al, $PIC2 + 1
	movb	$0x36, %al
	outb	%al, $0x43
	xorb	%al, %al
	outb	%al, $0x40
	outb	%al, $0x40
	xorw	%ax, %ax
	movw	$0x80, %dx		/* "started from the first hard disk" */
	sti
	ljmp	$0, $0x7c00

bios_reset:
	movb	$0xfe, %al		/* by the keyboard controller */
	outb	%al, $0x64
1:	hlt
	jmp	1b

	/* Filled in by the launcher. */
	.balign	4
bios_map:
	.fill	BIOS_MAP_BYTES

	/* Code that came so far would not assemble. */
	.org	bios_code + BIOS_RESET - BIOS_OFFSET
	ljmp	$BIOS_SEGMENT, $AT(bios_reset)
	.ascii	"01/01/26"		/* the date of the BIOS */
	.byte	0, MODEL_AT, 0
bios_code_end:
	.code64
	.section .note.GNU-stack, "", @progbits
