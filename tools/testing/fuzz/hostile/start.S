/* SPDX-License-Identifier: GPL-2.0-only */
/* The first instructions of each processor, and the way into the handlers, for 32 and 64 bits. */

#define EFER		0xc0000080

	.section .start, "ax"
	.code32
	.globl	start
/* Flat 32-bit protected mode without paging: so the driver starts processor 0, and it the others. */
start:
	cld
	mov	$1, %eax
	cpuid
	shr	$24, %ebx
	and	$3, %ebx		/* the APIC's number is the processor's */
	mov	%ebx, %edi
	mov	%ebx, %eax
	inc	%eax
	shl	$14, %eax		/* 16 KiB, STACK_BYTES of guest.c */
	lea	stacks(%eax), %esp
#ifdef __x86_64__
	mov	$0x20, %eax		/* PAE */
	mov	%eax, %cr4
	mov	$boot_pml4, %eax
	mov	%eax, %cr3
	mov	$EFER, %ecx
	mov	$0x901, %eax		/* SCE, LME, NXE */
	xor	%edx, %edx
	wrmsr
	mov	$0x80010011, %eax
	mov	%eax, %cr0
	lgdtl	boot_gdtr
	ljmp	$0x08, $start64
	.code64
start64:
	mov	$0x10, %eax
	mov	%eax, %ds
	mov	%eax, %es
	mov	%eax, %ss
	mov	%esp, %esp
#else
	push	%edi
	push	%edi
#endif
	call	guest_main
	hlt

/* At 0x8000 after processor 0 has copied it there: what a start-up IPI of vector 8 begins with. */
	.globl	trampoline, trampoline_end
	.code16
trampoline:
	cli
	xor	%ax, %ax
	mov	%ax, %ds
	lgdtl	0x8000 + ap_gdtr - trampoline
	mov	$0x11, %eax
	mov	%eax, %cr0
	ljmpl	$0x08, $0x8000 + ap_flat - trampoline
	.code32
ap_flat:
	mov	$0x10, %eax
	mov	%eax, %ds
	mov	%eax, %es
	mov	%eax, %ss
	mov	$start, %eax
	jmp	*%eax
	.balign 8
ap_gdt:
	.quad	0, 0x00cf9b000000ffff, 0x00cf93000000ffff
ap_gdtr:
	.word	23
	.long	0x8000 + ap_gdt - trampoline
trampoline_end:

#ifdef __x86_64__
	.balign 8
boot_gdt:
	.quad	0, 0x00af9b000000ffff, 0x00cf93000000ffff
boot_gdtr:
	.word	23
	.long	boot_gdt
	.balign 4096
boot_pml4:
	.quad	boot_pdpt + 3
	.fill	511, 8, 0
boot_pdpt:
	.quad	boot_pd + 3
	.fill	511, 8, 0
boot_pd:
	.quad	0x83, 0x200083
	.fill	510, 8, 0
	.code64
#endif

/* 256 of them: each pushes an error code if the processor has not, and its number. */
	.text
	.globl	vectors
	.balign 16
vectors:
	.set	vector, 0
	.rept	256
	.balign 16
	.if	vector > 31 || !((0x60227d00 >> (vector & 31)) & 1)
	push	$0
	.endif
	push	$vector - 128		/* the short form: the handler adds it again */
	jmp	common
	.set	vector, vector + 1
	.endr

common:
#ifdef __x86_64__
	.irp	reg, rax, rcx, rdx, rbx, rbp, rsi, rdi, r8, r9, r10, r11, r12, r13, r14, r15
	push	%\reg
	.endr
	cld
	mov	15 * 8(%rsp), %rdi
	mov	%rsp, %rbx
	and	$-16, %rsp
	call	guest_trap		/* comes back from interrupts alone */
	mov	%rbx, %rsp
	.irp	reg, r15, r14, r13, r12, r11, r10, r9, r8, rdi, rsi, rbp, rbx, rdx, rcx, rax
	pop	%\reg
	.endr
	add	$16, %rsp
	iretq
#else
	pusha
	cld
	mov	$0x10, %eax
	mov	%eax, %ds
	mov	%eax, %es
	push	32(%esp)
	call	guest_trap
	add	$4, %esp
	popa
	add	$8, %esp
	iret
#endif

/* Code for privilege level 3: one access, then back. EAX has the address. With 64 bits it is written (user.c). */
	.section .user, "ax"
	.globl	user_read, user_write
user_read:
#ifndef __x86_64__
	mov	(%eax), %ecx
	int	$0x80
#endif
user_write:
#ifndef __x86_64__
	mov	%ecx, (%eax)
	int	$0x80
#endif
