// SPDX-License-Identifier: GPL-2.0-only
#include <string.h>

#include "user_machine.h"

#define PTE_P		1u
#define PTE_W		2u
#define PTE_U		4u
#define PTE_NX		(1ull << 63)
#define SMALL_PAGES	(TABLES + 0x6000)
#define STUB_BYTES	16u
#define VECTORS		256u
#define TSS_LIMIT	0x67u
#define CR0		0x80050033u	/* PG, AM, WP, NE, ET, MP, PE */
#define CR4		0x620u		/* OSXMMEXCPT, OSFXSR, PAE */
#define EFER		0xd01u		/* NXE, LMA, LME, SCE */
#define AR_USER_CODE	0xa0fbu
#define AR_USER_DATA	0xc0f3u

/* SYSCALL: to CALLED with the kernel's CS, and TF, IF, DF, NT, AC clear. */
GUEST_CODE(set_msrs, 64,
	   "mov $0xc0000081, %ecx; xor %eax, %eax; mov $0x10, %edx; wrmsr\n"
	   "mov $0xc0000082, %ecx; mov $0x57000, %eax; xor %edx, %edx; wrmsr\n"
	   "mov $0xc0000084, %ecx; mov $0x44700, %eax; wrmsr\n"
	   "out %eax, $0x80; hlt");
GUEST_CODE(say, 64, "out %al, $0x80; hlt");

static void set_gdt(struct machine *machine)
{
	uint64_t *gdt = (uint64_t *)(machine->memory + GDT);

	gdt[2] = 0x00af9b000000ffffull;
	gdt[3] = 0x00cf93000000ffffull;
	gdt[4] = 0x00cffb000000ffffull;
	gdt[USER_DS / 8] = 0x00cff3000000ffffull;
	gdt[USER_CS / 8] = 0x00affb000000ffffull;
	gdt[8] = 0x00008b0000000000ull | (uint64_t)TSS << 16 | TSS_LIMIT;
	gdt[CALL_GATE / 8] = 0x0000ec0000100000ull | (CALLED & 0xffff) | (uint64_t)(CALLED >> 16) << 48;
	gdt[NOT_PRESENT / 8] = 0x00cf73000000ffffull;
	gdt[LIMITED / 8] = 0x0040f10000000123ull;
	gdt[NOT_ACCESSED / 8] = 0x00cff2000000ffffull;
	machine->sregs.gdt.base = GDT;
	machine->sregs.gdt.limit = (NOT_ACCESSED / 8 + 1) * 8 - 1;
	*(uint64_t *)(machine->memory + TSS + 4) = KERNEL_STACK;
	/* No port is open. */
	*(uint16_t *)(machine->memory + TSS + 0x66) = TSS_LIMIT + 1;
	machine->sregs.seg[GONDOLA_TR] = (struct gondola_segment){
		.selector = 0x40, .base = TSS, .limit = TSS_LIMIT, .ar = 0x8b,
	};
}

static bool has_error(unsigned int vector)
{
	return vector == 8 || (vector >= 10 && vector <= 14) || vector == 17;
}

/* Each stub leaves an error code and its vector on the stack, and says so. */
static void set_idt(struct machine *machine)
{
	for (unsigned int i = 0; i < VECTORS; i++) {
		uint32_t *gate = (uint32_t *)(machine->memory + IDT + 16 * i);
		uint8_t *stub = machine->memory + STUBS + STUB_BYTES * i;
		uint32_t at = STUBS + STUB_BYTES * i;

		gate[0] = 0x10 << 16 | (at & 0xffff);
		gate[1] = (at & 0xffff0000) | (i == VEC_BP || i == OPEN_VECTOR ? 0xee00 : 0x8e00);
		if (!has_error(i)) {
			*stub++ = 0x6a;			/* push $0 */
			*stub++ = 0;
		}
		*stub++ = 0x68;				/* push $i */
		memcpy(stub, &i, 4);
		memcpy(stub + 4, say, say_end - say);
	}
	machine->sregs.idt.base = IDT;
	machine->sregs.idt.limit = 16 * VECTORS - 1;
}

static void set_pages(struct machine *machine)
{
	uint64_t *table = (uint64_t *)(machine->memory + SMALL_PAGES);

	for (unsigned int level = 0; level < 3; level++)
		*(uint64_t *)(machine->memory + TABLES + 0x1000 * level) |= PTE_U;
	for (unsigned int i = CODE >> 12; i < USER_STACK >> 12; i++)
		table[i] |= PTE_U;
	for (unsigned int i = USER_DATA >> 12; i < GDT >> 12; i++)
		table[i] |= PTE_U;
	table[READ_ONLY >> 12] &= ~(uint64_t)PTE_W;
	table[ABSENT >> 12] &= ~(uint64_t)PTE_P;
	table[NO_EXECUTE >> 12] |= PTE_NX;
}

void user_create(struct machine *machine)
{
	struct gondola_segment *seg = machine->sregs.seg;

	machine_create(machine, MODE_LONG);
	GUEST_LOAD(machine, set_msrs);
	machine_result(machine);
	memcpy(machine->memory + CALLED, say, say_end - say);
	set_gdt(machine);
	set_idt(machine);
	set_pages(machine);
	for (int i = GONDOLA_ES; i <= GONDOLA_GS; i++)
		seg[i] = (struct gondola_segment){ .ar = GONDOLA_AR_UNUSABLE };
	seg[GONDOLA_CS] = (struct gondola_segment){
		.selector = USER_CS, .limit = ~0u, .ar = AR_USER_CODE,
	};
	seg[GONDOLA_SS] = (struct gondola_segment){
		.selector = USER_DS, .limit = ~0u, .ar = AR_USER_DATA,
	};
	machine->sregs.cr0 = CR0;
	machine->sregs.cr4 = CR4;
	machine->sregs.efer = EFER;
	memset(&machine->regs, 0, sizeof(machine->regs));
	machine->regs.rip = CODE;
	machine->regs.rflags = 2 | RFLAGS_IF;
	machine->regs.gpr[0] = USER_DATA;
	machine->regs.gpr[2] = RESULT_PORT;
	machine->regs.gpr[4] = USER_STACK - 8;
	machine->regs.gpr[7] = USER_DATA;
}

void user_load(struct machine *machine, const char *code, const char *end)
{
	memset(machine->memory + CODE, 0xcc, 0x1000);
	machine_load(machine, code, end - code);
}

/* The kernel has said something: where it is then. */
static void look(struct machine *machine, struct user_end *end)
{
	struct gondola_rec_sregs sregs;

	memset(end, 0, sizeof(*end));
	require_equal(__gondola_get_registers(machine->vcpu, &end->regs, &sregs), 0);
	end->cr2 = sregs.cr2;
	end->cs = sregs.seg[GONDOLA_CS].selector;
	end->ss = sregs.seg[GONDOLA_SS].selector;
}

void user_end(struct machine *machine, struct user_end *end)
{
	look(machine, end);
	require(end->regs.rip >= STUBS && end->regs.rip < STUBS + STUB_BYTES * VECTORS);
	require(end->regs.gpr[4] >= KERNEL_STACK - 0x100 && end->regs.gpr[4] < KERNEL_STACK);
	memcpy(end, machine->memory + end->regs.gpr[4], offsetof(struct user_end, cr2));
}

void user_run(struct machine *machine, struct user_end *end)
{
	machine_set(machine);
	machine_result(machine);
	user_end(machine, end);
}

void user_run_called(struct machine *machine, struct user_end *end)
{
	const uint64_t *stack;

	machine_set(machine);
	machine_result(machine);
	look(machine, end);
	stack = (const uint64_t *)(machine->memory + end->regs.gpr[4] % MEMORY_BYTES);
	tap_check(end->regs.rip >= CALLED && end->regs.rip <= CALLED + (size_t)(say_end - say),
		  true, "it came to 0x%llx with 0x%llx, 0x%llx, 0x%llx on the stack",
		  (unsigned long long)end->regs.rip, (unsigned long long)stack[0],
		  (unsigned long long)stack[1], (unsigned long long)stack[2]);
}
