// SPDX-License-Identifier: GPL-2.0-only
/* Accesses to where no memory is: what instruction, what address, which bytes. */
#include "machine.h"

/* The expected fields of one MMIO exit. */
struct access {
	uint64_t gpa;
	uint32_t bytes;
	bool write;
	uint64_t value;		/* written by the guest, or given to it */
};

static void expect_accesses(struct machine *machine, const struct access *accesses,
			    unsigned int count)
{
	for (unsigned int i = 0; i < count; i++) {
		struct gondola_run *run = machine->run;
		uint64_t value = 0;

		machine_run(machine);
		tap_check(run->exit == GONDOLA_EXIT_MMIO, true, "access %u: left with %u", i,
			  run->exit);
		expect_equal(run->mmio.gpa, accesses[i].gpa);
		expect_equal(run->mmio.bytes, accesses[i].bytes);
		expect_equal(run->mmio.write, accesses[i].write);
		if (accesses[i].write) {
			memcpy(&value, run->mmio.data, run->mmio.bytes);
			tap_check(value == accesses[i].value, false,
				  "access %u wrote 0x%llx, not 0x%llx", i,
				  (unsigned long long)value, (unsigned long long)accesses[i].value);
		} else {
			memcpy(run->mmio.data, &accesses[i].value, run->mmio.bytes);
		}
	}
}

#define EXPECT(machine, ...) do {						\
	const struct access list[] = { __VA_ARGS__ };				\
	expect_accesses(machine, list, sizeof(list) / sizeof(list[0]));		\
} while (0)

GUEST_CODE(widths, 64,
	   "mov $0xd0000000, %ebx; movabs $0x1122334455667788, %rax\n"
	   "mov %al, 1(%rbx); mov %ax, 2(%rbx); mov %eax, 4(%rbx); mov %rax, 8(%rbx)\n"
	   "movb $0x5a, (%rbx); movl $-2, (%rbx); movq $-2, (%rbx)\n"
	   "xor %eax, %eax; mov (%rbx), %al; out %eax, $0x80\n"
	   "mov (%rbx), %eax; out %eax, $0x80\n"
	   "movzwl (%rbx), %eax; out %eax, $0x80; movsbl (%rbx), %eax; out %eax, $0x80\n"
	   "mov (%rbx), %rax; shr $32, %rax; out %eax, $0x80; jmp .");

static void moves(void)
{
	struct machine machine;

	machine_create(&machine, MODE_LONG);
	GUEST_LOAD(&machine, widths);
	EXPECT(&machine, { NO_MEMORY + 1, 1, true, 0x88 }, { NO_MEMORY + 2, 2, true, 0x7788 },
	       { NO_MEMORY + 4, 4, true, 0x55667788 },
	       { NO_MEMORY + 8, 8, true, 0x1122334455667788 },
	       { NO_MEMORY, 1, true, 0x5a }, { NO_MEMORY, 4, true, 0xfffffffe },
	       { NO_MEMORY, 8, true, 0xfffffffffffffffe }, { NO_MEMORY, 1, false, 0xab });
	expect_equal(machine_result(&machine), 0xab);
	EXPECT(&machine, { NO_MEMORY, 4, false, 0xdeadbeef });
	expect_equal(machine_result(&machine), 0xdeadbeef);
	EXPECT(&machine, { NO_MEMORY, 2, false, 0xfedc });
	expect_equal(machine_result(&machine), 0xfedc);
	EXPECT(&machine, { NO_MEMORY, 1, false, 0x80 });
	expect_equal(machine_result(&machine), 0xffffff80);
	EXPECT(&machine, { NO_MEMORY, 8, false, 0x123456789abcdef0 });
	expect_equal(machine_result(&machine), 0x12345678);
	machine_destroy(&machine);
}

GUEST_CODE(modify, 64,
	   "mov $0xd0000000, %ebx; mov $5, %eax\n"
	   "add %eax, (%rbx); orl $0x100, (%rbx); incl (%rbx); notl (%rbx); xchg %eax, (%rbx)\n"
	   "out %eax, $0x80; cmp (%rbx), %eax; sete %al; out %eax, $0x80\n"
	   "testl $4, (%rbx); setne %al; out %eax, $0x80; jmp .");

static void read_modify_write(void)
{
	struct machine machine;

	machine_create(&machine, MODE_LONG);
	GUEST_LOAD(&machine, modify);
	EXPECT(&machine, { NO_MEMORY, 4, false, 10 }, { NO_MEMORY, 4, true, 15 },
	       { NO_MEMORY, 4, false, 1 }, { NO_MEMORY, 4, true, 0x101 },
	       { NO_MEMORY, 4, false, 0xffffffff }, { NO_MEMORY, 4, true, 0 },
	       { NO_MEMORY, 4, false, 0x0f0f0f0f }, { NO_MEMORY, 4, true, 0xf0f0f0f0 },
	       { NO_MEMORY, 4, false, 77 }, { NO_MEMORY, 4, true, 5 });
	expect_equal(machine_result(&machine), 77);
	EXPECT(&machine, { NO_MEMORY, 4, false, 77 });
	expect_equal(machine_result(&machine) & 0xff, 1);
	EXPECT(&machine, { NO_MEMORY, 4, false, 8 });
	expect_equal(machine_result(&machine) & 0xff, 0);
	machine_destroy(&machine);
}

GUEST_CODE(strings, 64,
	   "mov $0xd0000000, %edi; mov $0xa5, %eax; mov $3, %ecx; rep stosb\n"
	   "mov $0xd0000100, %esi; mov $0x100000, %edi; mov $2, %ecx; rep movsl\n"
	   "mov 0x100004, %eax; out %eax, $0x80; jmp .");

static void string_instructions(void)
{
	struct machine machine;

	machine_create(&machine, MODE_LONG);
	GUEST_LOAD(&machine, strings);
	EXPECT(&machine, { NO_MEMORY, 1, true, 0xa5 }, { NO_MEMORY + 1, 1, true, 0xa5 },
	       { NO_MEMORY + 2, 1, true, 0xa5 }, { NO_MEMORY + 0x100, 4, false, 111 },
	       { NO_MEMORY + 0x104, 4, false, 222 });
	expect_equal(machine_result(&machine), 222);
	expect_equal(*(uint32_t *)(machine.memory + 0x100000), 111);
	machine_destroy(&machine);
}

GUEST_CODE(plain32, 32,
	   "mov $0xd0000000, %ebx; mov $0x77, %eax; mov %eax, 0x10(%ebx); mov (%ebx), %eax\n"
	   "out %eax, $0x80; jmp .");
GUEST_CODE(plain64, 64,
	   "mov $0xd0000000, %ebx; mov $0x77, %eax; mov %eax, 0x10(%rbx); mov (%rbx), %eax\n"
	   "out %eax, $0x80; jmp .");

static void every_mode(void)
{
	for (enum mode mode = 0; mode < MODES; mode++) {
		struct machine machine;

		machine_create(&machine, mode);
		if (mode == MODE_LONG)
			GUEST_LOAD(&machine, plain64);
		else
			GUEST_LOAD(&machine, plain32);
		EXPECT(&machine, { NO_MEMORY + 0x10, 4, true, 0x77 },
		       { NO_MEMORY, 4, false, 1000 + mode });
		expect_equal(machine_result(&machine), 1000 + mode);
		machine_destroy(&machine);
	}
}

/* The last bytes of memory, and the first after it, by one instruction. */
GUEST_CODE(across, 64,
	   "mov $0x7ffffc, %ebx; movabs $0x1122334455667788, %rax; mov %rax, (%rbx)\n"
	   "mov (%rbx), %rax; shr $32, %rax; out %eax, $0x80; jmp .");

static void across_the_end(void)
{
	struct machine machine;

	machine_create(&machine, MODE_LONG);
	GUEST_LOAD(&machine, across);
	EXPECT(&machine, { MEMORY_BYTES, 4, true, 0x11223344 }, { MEMORY_BYTES, 4, false, 99 });
	expect_equal(machine_result(&machine), 99);
	expect_equal(*(uint32_t *)(machine.memory + MEMORY_BYTES - 4), 0x55667788);
	machine_destroy(&machine);
}

/* As graphics drivers copy, and memory tests write. */
GUEST_CODE(wide, 64,
	   "mov $0xd0000000, %ebx; movq (%rbx), %mm1; movq %mm1, 8(%rbx); movd %mm1, 16(%rbx)\n"
	   "movntq %mm1, 24(%rbx); movd 32(%rbx), %mm2; movd %mm2, %eax; out %eax, $0x80\n"
	   "lea 40(%rbx), %rdi; movabs $0x0080ff8080007f80, %rax; movq %rax, %mm3\n"
	   "maskmovq %mm3, %mm1; emms\n"
	   "movdqu 48(%rbx), %xmm3; movntdq %xmm3, 64(%rbx); movlps %xmm3, 80(%rbx)\n"
	   "movss %xmm3, 88(%rbx); movd %xmm3, %eax; out %eax, $0x80; jmp .");

static void wide_moves(void)
{
	struct machine machine;

	machine_create(&machine, MODE_LONG);
	machine.sregs.cr4 |= 1u << 9;		/* OSFXSR */
	machine_set(&machine);
	GUEST_LOAD(&machine, wide);
	EXPECT(&machine, { NO_MEMORY, 8, false, 0x8877665544332211 },
	       { NO_MEMORY + 8, 8, true, 0x8877665544332211 },
	       { NO_MEMORY + 16, 4, true, 0x44332211 },
	       { NO_MEMORY + 24, 8, true, 0x8877665544332211 },
	       { NO_MEMORY + 32, 4, false, 0x12345678 });
	expect_equal(machine_result(&machine), 0x12345678);
	/* The bytes whose mask has its top bit set. */
	EXPECT(&machine, { NO_MEMORY + 40, 1, true, 0x11 }, { NO_MEMORY + 43, 4, true, 0x77665544 },
	       { NO_MEMORY + 48, 8, false, 0x1122334455667788 },
	       { NO_MEMORY + 56, 8, false, 0x99aabbccddeeff00 },
	       { NO_MEMORY + 64, 8, true, 0x1122334455667788 },
	       { NO_MEMORY + 72, 8, true, 0x99aabbccddeeff00 },
	       { NO_MEMORY + 80, 8, true, 0x1122334455667788 },
	       { NO_MEMORY + 88, 4, true, 0x55667788 });
	expect_equal(machine_result(&machine), 0x55667788);
	machine_destroy(&machine);
}

/* Public reports say that other monitors did not decode these. */
GUEST_CODE(rare, 64,
	   "mov $0xd0000000, %ebx; mov $0x40200, %edi; mov $0x11223344, %eax\n"
	   "movabs %eax, 0xd0000000; movabs 0xd0000008, %eax; clflush 16(%rbx)\n"
	   "testl $4, (%rbx); testb $1, 1(%rbx); test %ecx, 4(%rbx); push 8(%rbx); pop %rax\n"
	   "mov %ebx, %edi; mov $2, %ecx; .byte 0xf2, 0x66, 0xab\n"
	   "mov %ebx, %esi; mov $0x40200, %edi; movsw; mov %ds, (%rbx)\n"
	   "out %eax, $0x80; jmp .");

static void rare_forms(void)
{
	struct machine machine;

	machine_create(&machine, MODE_LONG);
	GUEST_LOAD(&machine, rare);
	EXPECT(&machine, { NO_MEMORY, 4, true, 0x11223344 }, { NO_MEMORY + 8, 4, false, 5 },
	       { NO_MEMORY, 4, false, 0 }, { NO_MEMORY + 1, 1, false, 0 },
	       { NO_MEMORY + 4, 4, false, 0 }, { NO_MEMORY + 8, 8, false, 0x12345678 },
	       { NO_MEMORY, 2, true, 0x5678 }, { NO_MEMORY + 2, 2, true, 0x5678 },
	       { NO_MEMORY, 2, false, 0xabcd }, { NO_MEMORY, 2, true, 0x18 });
	expect_equal(machine_result(&machine), 0x12345678);
	expect_equal(*(uint16_t *)(machine.memory + 0x40200), 0xabcd);
	machine_destroy(&machine);
}

static const struct tap_test tests[] = {
	{ "moves of all widths", moves },
	{ "read-modify-write instructions", read_modify_write },
	{ "string instructions", string_instructions },
	{ "every paging mode", every_mode },
	{ "an access across the end of memory", across_the_end },
	{ "moves of MMX and XMM registers", wide_moves },
	{ "forms that others did not know", rare_forms },
};

TAP_MAIN(tests)
