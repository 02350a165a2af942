// SPDX-License-Identifier: GPL-2.0-only
/*
 * The hostile guest at privilege level 3.  With 64 bits that is a few pieces of code in a
 * row, at random, among them most of what a program may not do: the engine ring3 runs such programs
 * on the processor itself, where they must get no further than in a machine of their own.
 */
#include "guest.h"
#include "machine.h"

#ifdef __x86_64__
/* Each processor writes its programs to a page of its own. */
#define PROGRAMS	(HOSTILE_DATA + 0x90000ul)
#define STACK		(HOSTILE_DATA + 0x80000ul)
#define PIECES_IN_ROW	6u

#define MSR_STAR	0xc0000081u
#define MSR_LSTAR	0xc0000082u
#define MSR_CSTAR	0xc0000083u
#define MSR_SFMASK	0xc0000084u

#define FLAGS_IF	0x202u
#define FLAGS_TF	0x100u
#define FLAGS_IOPL	0x3000u
/* DF, NT, RF, AC, ID and the results of arithmetic. */
#define FLAGS_ANY	0x2544d5u

/*
 * RAX, RSI and RDI are addresses, RBX is an odd one, RDX a selector, RBP either, and RCX an entry of a
 * table.  Each piece comes with its length before it; they end with a length of 0.
 */
#define PIECE(text)	".byte 2f - 1f\n1: " text "\n2:\n"
asm(".pushsection .rodata\npieces:\n"
	/* memory */
	PIECE("mov (%rax), %rcx") PIECE("mov %rcx, (%rax)") PIECE("mov (%rbx), %rcx")
	PIECE("mov %rcx, (%rbx)") PIECE("lock incl (%rax)") PIECE("lock cmpxchg16b (%rsi)")
	PIECE("lock cmpxchg8b (%rbx)") PIECE("push %rbx") PIECE("pop (%rbx)") PIECE("rep movsb")
	PIECE("rep stosq") PIECE("bts %rcx, (%rax)") PIECE("prefetcht0 (%rbx)") PIECE("clflush (%rax)")
	/* stacks and jumps */
	PIECE("mov %rbx, %rsp") PIECE("mov %rax, %rsp") PIECE("xchg %rsp, %rbp") PIECE("ret")
	PIECE("call *%rbx") PIECE("jmp *%rbx") PIECE("call *%rax") PIECE("enter $16, $3") PIECE("leave")
	PIECE("mov %rbx, %rsp\nsyscall") PIECE("mov %rbx, %rsp\nint3") PIECE("mov %rbx, %rsp\nint $0x80")
	PIECE("mov %rbx, %rsp\nud2") PIECE("mov %rbx, %rsp\npush %rax")
	/* calls and traps */
	PIECE("syscall") PIECE("syscall") PIECE("sysenter") PIECE("int $0x80") PIECE("int3")
	PIECE("int $1") PIECE("int $2") PIECE("int $8") PIECE("int $14") PIECE("int $18")
	PIECE("int $0x40") PIECE("int $0xec") PIECE("int $0xfb") PIECE(".byte 0xf1") PIECE("ud2")
	/* what is privileged */
	PIECE("hlt") PIECE("cli") PIECE("sti") PIECE("inb $0x20, %al") PIECE("outl %eax, %dx")
	PIECE("rep insb") PIECE("mov %cr3, %rax") PIECE("mov %rax, %cr3") PIECE("mov %cr8, %rax")
	PIECE("mov %rax, %dr0") PIECE("mov %dr7, %rax") PIECE("rdmsr") PIECE("wrmsr")
	PIECE("invlpg (%rbx)") PIECE("swapgs") PIECE("sysretq") PIECE("sysexitl") PIECE("clts")
	PIECE("wbinvd") PIECE("xsetbv") PIECE("lgdt (%rax)") PIECE("lidt (%rbx)") PIECE("ltr %dx")
	PIECE("lldt %dx") PIECE("vmcall") PIECE("vmmcall") PIECE("vmrun") PIECE("vmxoff")
	PIECE("monitor") PIECE("mwait")
	/* flags; MOV SS holds a trap back until the next instruction is over */
	PIECE("pushf\norl $0x100, (%rsp)\npopf") PIECE("pushf\norl $0x100, (%rsp)\npopf\nsyscall")
	PIECE("pushf\norl $0x100, (%rsp)\npopf\nint $0x80") PIECE("push %rdi\npopf")
	PIECE("pushf\nxorl $0x40000, (%rsp)\npopf") PIECE("pushf\norl $0x4000, (%rsp)\npopf") PIECE("std")
	PIECE("mov %ss, %eax\nmov %eax, %ss\nsyscall") PIECE("mov %ss, %eax\nmov %eax, %ss\nint3")
	PIECE("mov %ss, %r8d\npushf\norl $0x100, (%rsp)\npopf\nmov %r8d, %ss\nsyscall")
	PIECE("mov %ss, %r8d\npushf\norl $0x100, (%rsp)\npopf\nmov %r8d, %ss\nud2")
	PIECE("mov %ss, %r8d\npushf\norl $0x100, (%rsp)\npopf\nmov %r8d, %ss\nmov (%rbx), %eax")
	/* segments */
	PIECE("mov %edx, %ss") PIECE("mov %edx, %ds") PIECE("mov %edx, %es") PIECE("mov %edx, %fs")
	PIECE("mov %edx, %gs") PIECE("mov $0x8b, %eax\nmov %eax, %ds\nmov %eax, %gs")
	PIECE("lar %edx, %ecx") PIECE("lsl %edx, %ecx") PIECE("verr %dx") PIECE("verw %dx")
	PIECE("sgdt (%rax)") PIECE("sidt (%rax)") PIECE("sldt %ecx") PIECE("str %ecx")
	PIECE("smsw %ecx") PIECE("mov %fs:8, %rcx") PIECE("mov %rcx, %gs:(%rax)")
	PIECE("rdfsbase %rcx") PIECE("wrfsbase %rbx") PIECE("wrgsbase %rbx") PIECE("wrgsbase %rax")
	/* frames */
	PIECE("mov %rsp, %r8\npush $0x8b\npush %r8\npush %rdi\npush $0x83\npush %rbx\niretq")
	PIECE("push $0x8b\npush %rbx\npushf\npush $0x83\npush %rax\niretq")
	PIECE("push %rdx\npush %rbp\npush %rdi\npush %rdx\npush %rbx\niretq")
	PIECE("push %rdx\npush %rbx\nlretq") PIECE("iretq") PIECE("lretq")
	PIECE("push $0x10\npush %rax\nlretq")
	/* what there is, and time */
	PIECE("cpuid") PIECE("rdtsc") PIECE("rdtscp") PIECE("rdpmc") PIECE("xor %ecx, %ecx\nxgetbv")
	PIECE("rdpkru") PIECE("xor %ecx, %ecx\nxor %edx, %edx\nwrpkru") PIECE("rdrand %rcx") PIECE("pause")
	/* floating point */
	PIECE("fninit\nfld1\nfldz\nfdivrp\nfwait") PIECE("fldcw (%rax)\nfld1\nfwait") PIECE("ldmxcsr (%rax)")
	PIECE("fxrstor (%rsi)") PIECE("fxsave (%rsi)") PIECE("divps %xmm0, %xmm1")
	PIECE("movups %xmm0, (%rax)") PIECE("movaps (%rbp), %xmm2") PIECE("emms")
	PIECE("xsave (%rsi)") PIECE("xrstor (%rsi)") PIECE("vzeroupper") PIECE("vaddps %ymm0, %ymm1, %ymm2")
	/* arithmetic, and long enough for an interrupt */
	PIECE("div %rsi") PIECE("idivl (%rax)") PIECE("mul %rcx")
	PIECE("mov $3000, %r8d\n3: dec %r8d\njnz 3b") PIECE("mov $200000, %r8d\n3: dec %r8d\njnz 3b")
	".byte 0\n.popsection");
extern const uint8_t pieces[];

/* The frame that IRET takes, behind the registers that are popped before it. */
struct user_frame {
	uint64_t gpr[15];
	uint64_t rip, cs, rflags, rsp, ss;
};

/* SYSCALL ends a step as INT 0x80 does, on the stack of the processor that it came to. */
asm(".pushsection .text\n.balign 16\nfrom_syscall:\n"
	"mov $1, %eax\ncpuid\nshr $24, %ebx\nand $3, %ebx\ninc %ebx\nshl $14, %ebx\n"
	"lea stacks - 8192(%rbx), %rsp\n"
	"push $0x10\npush $0\npush $2\npush $8\npush $0\n"	/* a frame that nobody returns by */
	"push $0\npush $0x80 - 128\njmp common\n.popsection");
extern const uint8_t from_syscall[];

void prepare_calls(void)
{
	wrmsr(MSR_STAR, (USER_CODE - 16ull) << 48 | (uint64_t)CODE_SELECTOR << 32);
	wrmsr(MSR_LSTAR, (uintptr_t)from_syscall);
	wrmsr(MSR_CSTAR, (uintptr_t)from_syscall);
	wrmsr(MSR_SFMASK, 0x47700);
}

/* In the upper half, near the switcher's, that is none at all, or as any. */
static uint64_t odd_pointer(struct random *r)
{
	switch (below(r, 8)) {
	case 0:
		return 0xffff878000000000ull + below(r, 0x20000);
	case 1:
		return 0xffff878000000000ull + below(r, 32) * 0x1000 + below(r, 32) * 8 + 0xe00;
	case 2:
		return 0xffff800000000000ull | next(r) >> (17 + below(r, 40));
	case 3:
		return 0x7fffffffffffull - below(r, 32) + below(r, 32);
	case 4:
		return next(r);
	case 5:
		return ~0ull - below(r, 4096);
	default:
		return any_address(r);
	}
}

static uint64_t any_selector(struct random *r)
{
	static const uint8_t some[] = { 0, 3, 8, 0x10, 0x13, 0x18, USER_CODE, USER_DATA, 0x28, 0x33, 0x3b,
					0x40, 0x43, 0x50, 0x53, 0xf8 };

	return one_in(r, 4) ? next(r) & 0xffff : some[below(r, sizeof(some))];
}

static const uint8_t *any_piece(struct random *r)
{
	static uint32_t count;
	const uint8_t *at;
	uint32_t i;

	if (!count)
		for (at = pieces; *at; at += 1 + *at)
			count++;
	for (at = pieces, i = below(r, count); i; i--)
		at += 1 + *at;
	return at;
}

static uint64_t write_program(struct random *r)
{
	volatile uint8_t *start = (uint8_t *)(PROGRAMS + this_cpu()->id * PAGE_BYTES + below(r, 3000));
	volatile uint8_t *to = start;
	uint32_t i, n;

	for (n = 1 + below(r, PIECES_IN_ROW); n; n--) {
		const uint8_t *piece = any_piece(r);

		for (i = 0; i < *piece; i++)
			*to++ = one_in(r, 2000) ? next(r) : piece[1 + i];
	}
	*to++ = 0xcd;	/* int $0x80 */
	*to = VECTOR_BACK;
	return (uintptr_t)start;
}

void run_program(struct random *r)
{
	struct user_frame frame;
	uint32_t i;

	frame.rip = write_program(r);
	for (i = 0; i < 15; i++)
		frame.gpr[i] = next(r) >> below(r, 64);
	/* As they are popped: RAX, RCX, RDX, RBX, RBP, RSI, RDI. */
	frame.gpr[0] = any_address(r);
	frame.gpr[1] = any_entry(r);
	frame.gpr[2] = any_selector(r);
	frame.gpr[3] = odd_pointer(r);
	frame.gpr[4] = odd_pointer(r);
	frame.gpr[5] = any_address(r) & ~15ul;
	frame.gpr[6] = any_address(r);
	if (one_in(r, 32))
		frame.rip = odd_pointer(r);
	frame.cs = USER_CODE;
	frame.ss = USER_DATA;
	frame.rsp = one_in(r, 8) ? odd_pointer(r) : STACK;
	frame.rflags = FLAGS_IF;
	if (one_in(r, 4))
		frame.rflags |= next(r) & FLAGS_ANY;
	if (one_in(r, 8))
		frame.rflags |= FLAGS_TF;
	if (one_in(r, 32))
		frame.rflags ^= one_in(r, 2) ? FLAGS_IOPL : 0x200;
	asm volatile("mov %0, %%rsp\n"
		     "pop %%rax; pop %%rcx; pop %%rdx; pop %%rbx; pop %%rbp; pop %%rsi; pop %%rdi\n"
		     "pop %%r8; pop %%r9; pop %%r10; pop %%r11; pop %%r12; pop %%r13; pop %%r14; pop %%r15\n"
		     "iretq" : : "r"(&frame), "m"(frame) : "memory");
	__builtin_unreachable();
}
#else
/* One access: INT 0x80 or a fault comes back. */
void run_program(struct random *r)
{
	const uint8_t *code = one_in(r, 2) ? user_read : user_write;
	uintptr_t at = any_address(r), stack = HOSTILE_DATA + 0x80000;
	uintptr_t flags = one_in(r, 8) ? 0x40202 : 0x202;

	if (one_in(r, 16))
		code = (void *)any_address(r);
	asm volatile("push %0; push %1; push %2; push %3; push %4; iret"
		     : : "i"(USER_DATA), "r"(stack), "r"(flags), "i"(USER_CODE), "r"(code),
		     "a"(at), "c"((uint32_t)any_entry(r)) : "memory");
}
#endif
