// SPDX-License-Identifier: GPL-2.0-only
/* The forms of 32 bits: EBX, ESI, EDI, EBP and ESP point into the test's memory. */
#include "forms.h"

/* Moves, addresses of 32 and 16 bits */
FORM32("mov %eax, (%edi)", 0, 0);
FORM32("mov 8(%ebx,%ecx,2), %al", 0, F_COUNT);
FORM32("movw %dx, -6(%esi)", 0, 0);
FORM32("mov $0x12345678, %ebp", 0, 0);
FORM32("mov %ah, %dl", 0, 0);
FORM32("mov %ebp, %esi", 0, 0);
FORM32("movzbl %ch, %eax", 0, 0);
FORM32("movswl (%edi), %edx", 0, 0);
FORM32("lea -8(%ebx,%ecx,4), %eax", 0, 0);
FORM32("lea 4(,%eax,8), %edx", 0, 0);
FORM32("lea 0x1234(%bx,%si), %ax", 0, 0);
FORM32("lea -5(%bp,%di), %cx", 0, 0);
FORM32("lea (%di), %edx", 0, 0);
FORM32("lea 0x7fff(%bp), %edx", 0, 0);
FORM32("lea 3(%bx), %si", 0, 0);
FORM32("xchg %eax, %ecx", 0, 0);
FORM32("xchg %dx, (%edi)", 0, 0);
FORM32("bswap %ecx", 0, 0);
FORM32("cmovb %ecx, %eax", 0, 0);
FORM32("setnle (%edi)", 0, 0);
FORM32("xlat", 0, 0);
FORM32("cwtl", 0, 0);
FORM32("cltd", 0, 0);
FORM32("cbtw", 0, 0);
FORM32("cwtd", 0, 0);
FORM32("lahf", 0, 0);
FORM32("sahf", 0, 0);
FORM32("movb $7, (%esp)", 0, 0);
FORM32("mov 4(%ebp), %eax", 0, 0);
FORM32("nop", 0, 0);
FORM32("movl %eax, 0x20000300", 0, 0);
FORM32("movb 0x20000310, %al", 0, 0);
FORM32("incl 0x20000320", 0, 0);

/* Arithmetic */
FORM32("add %eax, (%edi)", 0, 0);
FORM32("addb $0x81, %ch", 0, 0);
FORM32("addw 2(%esi), %dx", 0, 0);
FORM32("addl $-3, %ebp", 0, 0);
FORM32("add $0x12345678, %eax", 0, 0);
FORM32("adc %eax, (%edi)", 0, 0);
FORM32("adcb $0x81, %ch", 0, 0);
FORM32("adcw 2(%esi), %dx", 0, 0);
FORM32("adcl $-3, %ebp", 0, 0);
FORM32("adc $0x12345678, %eax", 0, 0);
FORM32("sub %eax, (%edi)", 0, 0);
FORM32("subb $0x81, %ch", 0, 0);
FORM32("subw 2(%esi), %dx", 0, 0);
FORM32("subl $-3, %ebp", 0, 0);
FORM32("sub $0x12345678, %eax", 0, 0);
FORM32("sbb %eax, (%edi)", 0, 0);
FORM32("sbbb $0x81, %ch", 0, 0);
FORM32("sbbw 2(%esi), %dx", 0, 0);
FORM32("sbbl $-3, %ebp", 0, 0);
FORM32("sbb $0x12345678, %eax", 0, 0);
FORM32("cmp %eax, (%edi)", 0, 0);
FORM32("cmpb $0x81, %ch", 0, 0);
FORM32("cmpw 2(%esi), %dx", 0, 0);
FORM32("cmpl $-3, %ebp", 0, 0);
FORM32("cmp $0x12345678, %eax", 0, 0);
FORM32("and %eax, (%edi)", AF, 0);
FORM32("andb $0x81, %ch", AF, 0);
FORM32("or %eax, (%edi)", AF, 0);
FORM32("orb $0x81, %ch", AF, 0);
FORM32("xor %eax, (%edi)", AF, 0);
FORM32("xorb $0x81, %ch", AF, 0);
FORM32("test %eax, (%edi)", AF, 0);
FORM32("testb $0x81, %ch", AF, 0);
FORM32("inc %eax", 0, 0);
FORM32("dec %eax", 0, 0);
FORM32("inc %ecx", 0, 0);
FORM32("dec %ecx", 0, 0);
FORM32("inc %edx", 0, 0);
FORM32("dec %edx", 0, 0);
FORM32("inc %ebx", 0, 0);
FORM32("dec %ebx", 0, 0);
FORM32("inc %ebp", 0, 0);
FORM32("dec %ebp", 0, 0);
FORM32("inc %esi", 0, 0);
FORM32("dec %esi", 0, 0);
FORM32("inc %edi", 0, 0);
FORM32("dec %edi", 0, 0);
FORM32("inc %ax", 0, 0);
FORM32("dec %si", 0, 0);
FORM32("inc %bh", 0, 0);
FORM32("negl (%edi)", 0, 0);
FORM32("notw %ax", 0, 0);
FORM32("lock addl $1, (%edi)", 0, 0);
FORM32("lock xadd %ecx, (%edi)", 0, 0);
FORM32("lock cmpxchg8b (%edi)", 0, 0);
FORM32("lock cmpxchg %ecx, (%edi)", 0, 0);
FORM32("mull %ecx", ZF | AF | PF | SF, 0);
FORM32("imull $7, %edx, %eax", ZF | AF | PF | SF, 0);
FORM32("imul (%edi), %ecx", ZF | AF | PF | SF, 0);
FORM32("divl %ecx", CF | PF | AF | ZF | SF | OF, F_DIVIDE | 4 << 8);
FORM32("idivl %ecx", CF | PF | AF | ZF | SF | OF, F_DIVIDE | 4 << 8);
FORM32("divw %cx", CF | PF | AF | ZF | SF | OF, F_DIVIDE | 2 << 8);
FORM32("idivb %cl", CF | PF | AF | ZF | SF | OF, F_DIVIDE | 1 << 8);

/* Shifts and bits */
FORM32("shll $1, %eax", AF, 0);
FORM32("sarl $5, (%edi)", AF | OF, 0);
FORM32("shrl %cl, %edx", AF | OF, F_SHIFT);
FORM32("rorl $3, %ebp", OF, 0);
FORM32("rcll $1, %eax", 0, 0);
FORM32("shldl $4, %edx, %eax", AF | OF, 0);
FORM32("btl $5, %eax", PF | AF | SF | OF, 0);
FORM32("btsl $37, (%edi)", PF | AF | SF | OF, 0);
FORM32("bsf %ecx, %eax", CF | PF | AF | SF | OF, 0);
FORM32("bsr (%edi), %eax", CF | PF | AF | SF | OF, 0);

/* Decimal */
FORM32("daa", OF, 0);
FORM32("das", OF, 0);
FORM32("aaa", OF | SF | ZF | PF, 0);
FORM32("aas", OF | SF | ZF | PF, 0);
FORM32("aam", OF | AF | CF, 0);
FORM32("aad", OF | AF | CF, 0);
FORM32(".byte 0xd4, 0x00", 0, 0);
FORM32(".byte 0xd4, 0x07", OF | AF | CF, 0);
FORM32(".byte 0xd5, 0x10", OF | AF | CF, 0);
FORM32(".byte 0xd6", 0, 0);

/* The stack */
FORM32("push %eax", 0, 0);
FORM32("push %ecx", 0, 0);
FORM32("push %esp", 0, 0);
FORM32("pop %edx", 0, 0);
FORM32("pop %esp", 0, 0);
FORM32("push $-5", 0, 0);
FORM32("push $0x12345678", 0, 0);
FORM32("pushw $0x1234", 0, 0);
FORM32("pushl (%edi)", 0, 0);
FORM32("popl (%edi)", 0, 0);
FORM32("popl 4(%esp)", 0, 0);
FORM32("pushw %bx", 0, 0);
FORM32("popw %bp", 0, 0);
FORM32("pusha", 0, 0);
FORM32("popa", 0, 0);
FORM32("pushaw", 0, 0);
FORM32("popaw", 0, 0);
FORM32("leave", 0, 0);
FORM32("enter $16, $0", 0, 0);
FORM32("enter $8, $3", 0, 0);

/* Branches */
FORM32("jo 77f", 0, 0);
FORM32("jb 77f", 0, 0);
FORM32("je 77f", 0, 0);
FORM32("jbe 77f", 0, 0);
FORM32("js 77f", 0, 0);
FORM32("jp 77f", 0, 0);
FORM32("jl 77f", 0, 0);
FORM32("jle 77f", 0, 0);
FORM32("jno 77f", 0, 0);
FORM32("jnb 77f", 0, 0);
FORM32("jne 77f", 0, 0);
FORM32("jnbe 77f", 0, 0);
FORM32("jns 77f", 0, 0);
FORM32("jnp 77f", 0, 0);
FORM32("jnl 77f", 0, 0);
FORM32("jnle 77f", 0, 0);
FORM32("jmp 77f", 0, 0);
FORM32("jecxz 77f", 0, 0);
FORM32("jcxz 77f", 0, 0);
FORM32("loop 77f", 0, F_COUNT);
FORM32("loope 77f", 0, F_COUNT);
FORM32("loopne 77f", 0, F_COUNT);

/* Strings */
FORM32("movsb", 0, 0);
FORM32("movsl", 0, 0);
FORM32("stosb", 0, 0);
FORM32("stosl", 0, 0);
FORM32("lodsb", 0, 0);
FORM32("lodsl", 0, 0);
FORM32("cmpsb", 0, 0);
FORM32("cmpsl", 0, 0);
FORM32("scasb", 0, 0);
FORM32("scasl", 0, 0);
FORM32("movsw", 0, 0);
FORM32("stosw", 0, 0);
FORM32("rep movsb", 0, F_COUNT);
FORM32("rep stosl", 0, F_COUNT);
FORM32("rep movsl", 0, F_COUNT);
FORM32("repe cmpsb", 0, F_COUNT);
FORM32("repne scasb", 0, F_COUNT);

/* Undefined, or bounds */
FORM32("bound %eax, (%edi)", 0, 0);
FORM32("bound %cx, (%edi)", 0, 0);
FORM32("ud2", 0, 0);
FORM32(".byte 0x82, 0xc1, 0x05", 0, 0);
FORM32(".byte 0x82, 0xf9, 0x80", 0, 0);
FORM32(".byte 0x8d, 0xc0", 0, 0);

/* Floating point: eight registers */
FORM32("addps %xmm1, %xmm2", 0, F_FPU);
FORM32("cvtsi2sdl (%edi), %xmm1", 0, F_FPU);
FORM32("cvttsd2si %xmm1, %eax", 0, F_FPU);
FORM32("ucomisd %xmm1, %xmm2", 0, F_FPU);
FORM32("fldl (%edi)", 0, F_FPU);
FORM32("faddl (%edi)", 0, F_FPU);
FORM32("fistpl (%edi)", 0, F_FPU);
FORM32("fcomip %st(1), %st", 0, F_FPU);
FORM32("movdqu (%edi), %xmm1", 0, F_XMM);
FORM32("movd %xmm1, %eax", 0, F_XMM);
FORM32("movd %ecx, %xmm2", 0, F_XMM);
FORM32("pshufd $0x1b, %xmm1, %xmm2", 0, F_XMM);
FORM32("movdqu %xmm3, (%esi)", 0, F_XMM);
