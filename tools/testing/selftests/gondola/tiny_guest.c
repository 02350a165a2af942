// SPDX-License-Identifier: GPL-2.0-only
/* A few instructions in each mode: they compute, use memory and the stack, and report. */
#include <string.h>

#include "machine.h"

/* Sums 1 … 100 through memory; the result is also left at DATA. */
#define SUM(bits, cx, di)								\
	"mov $100, %ecx; movl $0, 0x40000\n"						\
	"1: add %ecx, 0x40000; dec %ecx; jnz 1b\n"					\
	"mov 0x40000, %eax; push %" #cx "; pop %" #di "; out %eax, $0x80; jmp ."
GUEST_CODE(sum32, 32, SUM(32, ecx, edi));
GUEST_CODE(sum64, 64, SUM(64, rcx, rdi));

static void load_for(struct machine *machine, enum mode mode)
{
	if (mode == MODE_LONG)
		GUEST_LOAD(machine, sum64);
	else
		GUEST_LOAD(machine, sum32);
}

static void compute(enum mode mode)
{
	struct gondola_rec_sregs sregs;
	struct gondola_rec_regs regs;
	struct machine machine;

	machine_create(&machine, mode);
	load_for(&machine, mode);
	expect_equal(machine_result(&machine), 5050);
	expect_equal(*(uint32_t *)(machine.memory + DATA), 5050);
	require_equal(__gondola_get_registers(machine.vcpu, &regs, &sregs), 0);
	expect_equal(regs.gpr[0], 5050);
	expect_equal(regs.gpr[1], 0);
	expect_equal(regs.gpr[4], STACK);
	expect_equal(sregs.cr3, machine.sregs.cr3);
	machine_destroy(&machine);
}

static void unpaged(void)
{
	compute(MODE_UNPAGED);
}

static void paged32(void)
{
	compute(MODE_PAGED32);
}

static void pae(void)
{
	compute(MODE_PAE);
}

static void long_mode(void)
{
	compute(MODE_LONG);
}

/* Accessed and dirty bits appear in the guest's own tables, no sooner than they should. */
GUEST_CODE(read_then_write, 64,
	   "mov 0x50000, %eax; out %eax, $0x80; movl $1, 0x50000; out %eax, $0x80; jmp .");

static void accessed_dirty(void)
{
	struct machine machine;
	volatile uint64_t *pte;

	machine_create(&machine, MODE_LONG);
	GUEST_LOAD(&machine, read_then_write);
	pte = (uint64_t *)(machine.memory + TABLES + 0x6000) + 0x50;
	expect_equal(*pte & 0x60, 0);
	machine_result(&machine);
	expect_equal(*pte & 0x60, 0x20);
	machine_result(&machine);
	expect_equal(*pte & 0x60, 0x60);
	machine_destroy(&machine);
}

/*
 * One address, two pages in turn, the page table changed by the guest itself:
 * the table is at TABLES + 0x6000, 0x60000's entry at 0x36300.
 */
GUEST_CODE(remap, 64,
	   "movl $0x11, 0x70000; movl $0x22, 0x71000\n"
	   "mov $0x70003, %eax; mov $0x71003, %ebx; xor %esi, %esi; mov $20, %ecx\n"
	   "1: mov %rax, 0x36300; invlpg 0x60000; add 0x60000, %esi; xchg %rax, %rbx\n"
	   "loop 1b; mov %esi, %eax; out %eax, $0x80; jmp .");

static void page_tables_change(void)
{
	struct machine machine;

	machine_create(&machine, MODE_LONG);
	GUEST_LOAD(&machine, remap);
	expect_equal(machine_result(&machine), 10 * (0x11 + 0x22));
	machine_destroy(&machine);
}

/* The same without INVLPG, by reloading CR3. */
GUEST_CODE(reload, 64,
	   "movl $0x11, 0x70000; movl $0x22, 0x71000\n"
	   "mov $0x70003, %eax; mov $0x71003, %ebx; xor %esi, %esi; mov $20, %ecx\n"
	   "1: mov %rax, 0x36300; mov %cr3, %rdx; mov %rdx, %cr3; add 0x60000, %esi\n"
	   "xchg %rax, %rbx; loop 1b; mov %esi, %eax; out %eax, $0x80; jmp .");

static void cr3_reload(void)
{
	struct machine machine;

	machine_create(&machine, MODE_LONG);
	GUEST_LOAD(&machine, reload);
	expect_equal(machine_result(&machine), 10 * (0x11 + 0x22));
	machine_destroy(&machine);
}

/* With CR0 as the engine would have it, so that not every read leaves the guest. */
GUEST_CODE(control, 64,
	   "mov %cr0, %rax; or $0x10030, %eax; mov %rax, %cr0\n"
	   "mov %cr0, %rax; mov %rax, 0x40000; mov %cr3, %rax; mov %rax, 0x40008\n"
	   "mov %cr4, %rax; mov %rax, 0x40010; mov $5, %eax; mov %rax, %cr8\n"
	   "xor %eax, %eax; mov %cr8, %rax; mov %rax, 0x40018; out %eax, $0x80; jmp .");

static void control_registers(void)
{
	struct machine machine;
	uint64_t *data;

	machine_create(&machine, MODE_LONG);
	GUEST_LOAD(&machine, control);
	data = (uint64_t *)(machine.memory + DATA);
	expect_equal(machine_result(&machine), 5);
	expect_equal(data[0], machine.sregs.cr0 | 0x10030);
	expect_equal(data[1], machine.sregs.cr3);
	expect_equal(data[2], machine.sregs.cr4);
	expect_equal(data[3], 5);
	machine_destroy(&machine);
}

/* Pages of 1 GiB where CPUID offers them; elsewhere their bit is reserved. */
static void gib_pages(void)
{
	struct gondola_cpuid_entry cpuid[GONDOLA_MAX_CPUID];
	uint32_t leaves = GONDOLA_MAX_CPUID;
	struct machine machine;
	bool offered = false;

	machine_create(&machine, MODE_LONG);
	GUEST_LOAD(&machine, sum64);
	require_equal(__gondola_supported_cpuid(machine.sys, cpuid, &leaves), 0);
	for (uint32_t i = 0; i < leaves; i++)
		offered |= cpuid[i].function == 0x80000001 && cpuid[i].edx & 1u << 26;
	*(uint64_t *)(machine.memory + TABLES + 0x1000) = 0x83;
	machine_run(&machine);
	expect_equal(machine.run->exit, offered ? GONDOLA_EXIT_IO : GONDOLA_EXIT_SHUTDOWN);
	if (offered)
		expect_equal(*(uint32_t *)(machine.memory + DATA), 5050);
	machine_destroy(&machine);
}

/* From unpaged to 32-bit paging and back, by the guest's own MOV to CR0. */
GUEST_CODE(toggle, 32,
	   "mov $0x30000, %eax; mov %eax, %cr3; mov %cr4, %eax; or $0x10, %eax; mov %eax, %cr4\n"
	   "xor %esi, %esi; mov $10, %ecx\n"
	   "1: mov %cr0, %eax; xor $0x80000000, %eax; mov %eax, %cr0; jmp 2f; 2: add 0x60000, %esi\n"
	   "loop 1b; mov %esi, %eax; out %eax, $0x80; jmp .");

static void paging_toggled(void)
{
	struct machine machine;
	uint32_t *table;

	machine_create(&machine, MODE_PAGED32);
	machine.sregs.cr0 &= ~0x80010000ull;
	machine_set(&machine);
	GUEST_LOAD(&machine, toggle);
	/* 0x60000 leads to 0x70000 with paging, to itself without. */
	table = (uint32_t *)(machine.memory + TABLES + 0x1000);
	table[0x60] = 0x70003;
	*(uint32_t *)(machine.memory + 0x60000) = 1;
	*(uint32_t *)(machine.memory + 0x70000) = 100;
	expect_equal(machine_result(&machine), 5 * 101);
	machine_destroy(&machine);
}

/* A page fault of the guest's own reaches its handler with error code and CR2. */
GUEST_CODE(own_fault, 64,
	   "lidt idtr(%rip); movq $0, 0x36300; invlpg 0x60000\n"
	   "movl $1, 0x60000; out %eax, $0x80; jmp .\n"
	   "handler: mov (%rsp), %eax; shl $24, %eax; mov %cr2, %rbx; or %ebx, %eax\n"
	   "out %eax, $0x80; movq $0x60003, 0x36300; add $8, %rsp; iretq\n"
	   ".balign 8\nidtr: .word 0xfff; .quad 0x41000");

static void guest_fault(void)
{
	struct machine machine;
	const char *handler;
	uint64_t at;

	machine_create(&machine, MODE_LONG);
	GUEST_LOAD(&machine, own_fault);
	/* The handler starts with MOV (%rsp), %eax. */
	handler = memmem(own_fault, own_fault_end - own_fault, "\x8b\x04\x24", 3);
	require(handler);
	at = CODE + (handler - own_fault);
	((uint64_t *)(machine.memory + 0x41000))[2 * 14] =
		(at & 0xffff) | 0x10 << 16 | 0x8e00ull << 32 | (at >> 16) << 48;
	/* IRETQ loads CS and SS from the descriptor table. */
	((uint64_t *)(machine.memory + 0x42000))[2] = 0x00af9b000000ffff;
	((uint64_t *)(machine.memory + 0x42000))[3] = 0x00cf93000000ffff;
	machine.sregs.gdt.base = 0x42000;
	machine.sregs.gdt.limit = 0x2f;
	machine_set(&machine);
	expect_equal(machine_result(&machine), 2 << 24 | 0x60000);
	expect_equal(machine_result(&machine) & 0xff000000, 2 << 24);
	expect_equal(*(uint32_t *)(machine.memory + 0x60000), 1);
	machine_destroy(&machine);
}

/* Without a handler it is a triple fault, and the launcher learns of it. */
GUEST_CODE(no_handler, 64, "ud2");

static void triple_fault(void)
{
	struct machine machine;

	for (enum mode mode = 0; mode < MODES; mode++) {
		machine_create(&machine, mode);
		GUEST_LOAD(&machine, no_handler);
		machine_run(&machine);
		tap_check(machine.run->exit == GONDOLA_EXIT_SHUTDOWN, false, "%s: left with %u",
			  mode_name(mode), machine.run->exit);
		machine_destroy(&machine);
	}
}

/* Another start: in real mode. */
GUEST_CODE(real, 32, ".byte 0xb0, 0x2a, 0xe6, 0x80, 0xeb, 0xfe");

static void real_mode(void)
{
	struct machine machine;

	machine_create(&machine, MODE_UNPAGED);
	GUEST_LOAD(&machine, real);
	machine_real_mode(&machine);
	machine_set(&machine);
	machine_run(&machine);
	expect_equal(machine.run->exit, GONDOLA_EXIT_IO);
	expect_equal(machine.run->io.width, 1);
	expect_equal(*((uint8_t *)machine.run + machine.run->io.offset), 0x2a);
	machine_destroy(&machine);
}

/* Selectors that are privileges 2 and 3 as soon as CR0.PE is set, in segments of privilege 0. */
GUEST_CODE(protect, 16,
	   "mov $0x2002, %ax; mov %ax, %ss; mov $0x100, %sp\n"
	   "mov $0x4003, %ax; mov %ax, %ds; mov %ax, %gs\n"
	   "lgdtl %cs:3f - protect\n"
	   "mov %cr0, %eax; or $1, %al; mov %eax, %cr0\n"
	   "push %ax; mov (0), %bx; pop %cx; out %eax, $0x80\n"
	   "ljmpl $0x8, $0x10000 + 1f - protect\n"
	   ".code32\n"
	   "1: mov $0x10, %eax; mov %eax, %ds; mov %eax, %gs; mov %eax, %ss\n"
	   "movzwl %bx, %eax; out %eax, $0x80; jmp .\n"
	   ".balign 8\n"
	   "2: .quad 0, 0x00cf9b000000ffff, 0x00cf93000000ffff\n"
	   "3: .word 23; .long 0x10000 + 2b - protect\n");

static void protected_with_odd_selectors(void)
{
	struct machine machine;

	machine_create(&machine, MODE_UNPAGED);
	GUEST_LOAD(&machine, protect);
	*(uint16_t *)(machine.memory + DATA + 0x30) = 0x1234;
	machine_real_mode(&machine);
	machine_set(&machine);
	expect_equal(machine_result(&machine) & 1, 1);
	/* It can be saved just then, and resumed. */
	require_equal(__gondola_get_registers(machine.vcpu, &machine.regs, &machine.sregs), 0);
	expect_equal(machine.sregs.seg[GONDOLA_SS].selector, 0x2002);
	machine_set(&machine);
	expect_equal(machine_result(&machine), 0x1234);
	machine_destroy(&machine);
}

/* A program of 32 bits, by a state as another host saves it: an interrupt takes it to its kernel. */
#define GDT		0x50000u
#define IDT		0x51000u
#define TSS		0x52000u
#define HANDLER		0x53000u
GUEST_CODE(ask_kernel, 32, "int $0x30");
GUEST_CODE(kernel, 32, "mov %esp, %eax; out %eax, $0x80; jmp .");

static void interrupted_program(void)
{
	struct machine machine;
	uint64_t *gdt;

	machine_create(&machine, MODE_UNPAGED);
	GUEST_LOAD(&machine, ask_kernel);
	memcpy(machine.memory + HANDLER, kernel, kernel_end - kernel);
	gdt = (uint64_t *)(machine.memory + GDT);
	gdt[2] = 0x00cf9b000000ffffull;
	gdt[3] = 0x00cf93000000ffffull;
	gdt[4] = 0x00008b0000000067ull | (uint64_t)TSS << 16;
	*(uint64_t *)(machine.memory + IDT + 8 * 0x30) =
		(HANDLER & 0xffff) | 0x10 << 16 | 0xee00ull << 32 | (uint64_t)(HANDLER >> 16) << 48;
	*(uint32_t *)(machine.memory + TSS + 4) = STACK;
	*(uint32_t *)(machine.memory + TSS + 8) = 0x18;
	machine.sregs.gdt = (struct gondola_dtable){ .base = GDT, .limit = 0x27 };
	machine.sregs.idt = (struct gondola_dtable){ .base = IDT, .limit = 8 * 0x31 - 1 };
	machine.sregs.seg[GONDOLA_TR].base = TSS;
	for (int i = GONDOLA_ES; i <= GONDOLA_GS; i++) {
		machine.sregs.seg[i].selector |= 3;
		machine.sregs.seg[i].ar |= 0x60;
	}
	machine_set(&machine);
	/* Five words lie on the kernel's stack: where the program was, and its own stack. */
	expect_equal(machine_result(&machine), STACK - 5 * 4);
	expect_equal(*(uint32_t *)(machine.memory + STACK - 20), CODE + 2);
	machine_destroy(&machine);
}

static const struct tap_test tests[] = {
	{ "unpaged protected mode computes", unpaged },
	{ "32-bit paging computes", paged32 },
	{ "PAE paging computes", pae },
	{ "long mode computes", long_mode },
	{ "accessed and dirty bits are set in time", accessed_dirty },
	{ "a changed page table holds after INVLPG", page_tables_change },
	{ "a changed page table holds after CR3", cr3_reload },
	{ "control registers are read as they were written", control_registers },
	{ "pages of 1 GiB are as CPUID says", gib_pages },
	{ "paging can be switched on and off", paging_toggled },
	{ "a guest's page fault is its own", guest_fault },
	{ "UD2 without a handler ends in shutdown, in every mode", triple_fault },
	{ "real mode runs or is refused", real_mode },
	{ "protected mode begins with any selectors", protected_with_odd_selectors },
	{ "a program of 32 bits is interrupted", interrupted_program },
};

TAP_MAIN(tests)
