// SPDX-License-Identifier: GPL-2.0-only
/* A guest that can run: memory, tables, and code that is random pieces in a row. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>

#include "fuzz.h"

#define CODE		0x10000u
#define TABLES		0x30000u
#define TABLE_PAGES	9u
#define IDT		(TABLES + 7 * PAGE)
#define GDT		(TABLES + 8 * PAGE)
#define CODE_BYTES	PAGE
#define TSS		(GDT + 0x400)
#define KERNEL_STACK	0x28000u
#define USER_CS		0x33u
#define USER_SS		0x3bu

/* USER: a program of a 64-bit guest. */
enum mode { REAL, UNPAGED, PAGED32, PAE, LONG, USER, MODES };

static bool is_long(enum mode mode)
{
	return mode == LONG || mode == USER;
}

/* Means the same, or something, in 16, 32 and 64 bits. */
#define PIECE(text)	{ sizeof(text) - 1, text }
static const struct {
	uint8_t bytes;
	char code[16];
} pieces[] = {
	PIECE("\x0f\xa2"),				/* cpuid */
	PIECE("\xe6\x80"),				/* out %al, $0x80 */
	PIECE("\xe7\x80"),
	PIECE("\xe4\x70"),				/* in $0x70, %al */
	PIECE("\xed"),					/* in %dx, %eax */
	PIECE("\xef"),
	PIECE("\xf3\x6c"),				/* rep insb */
	PIECE("\xf3\x6f"),				/* rep outsl */
	PIECE("\xf3\xaa"),				/* rep stosb */
	PIECE("\xf3\xa5"),				/* rep movsl */
	PIECE("\xf4"),					/* hlt */
	PIECE("\xfb"),					/* sti */
	PIECE("\xfa"),
	PIECE("\xf3\x90"),				/* pause */
	PIECE("\x0f\x20\xd8\x0f\x22\xd8"),		/* cr3 to itself */
	PIECE("\x0f\x20\xc0\x0f\xba\xf8\x10\x0f\x22\xc0"),	/* cr0.wp flips */
	PIECE("\x0f\x20\xe0\x0f\xba\xf8\x04\x0f\x22\xe0"),	/* cr4.pse */
	PIECE("\x0f\x20\xe0\x0f\xba\xf8\x07\x0f\x22\xe0"),	/* cr4.pge */
	PIECE("\x0f\x20\xe0\x0f\xba\xf8\x14\x0f\x22\xe0"),	/* cr4.smep */
	PIECE("\x0f\x01\x3f"),				/* invlpg (%edi) */
	PIECE("\x0f\x30"),				/* wrmsr */
	PIECE("\x0f\x32"),
	PIECE("\x0f\x01\xc1"),				/* vmcall */
	PIECE("\x0f\x01\xd9"),				/* vmmcall */
	PIECE("\x0f\xae\x0f"),				/* fxrstor (%edi) */
	PIECE("\x0f\xae\x07"),
	PIECE("\x9b\xdb\xe3"),				/* finit */
	PIECE("\xd9\x2f"),				/* fldcw (%edi) */
	PIECE("\xdc\x07"),
	PIECE("\x0f\x23\xf8"),				/* dr7 */
	PIECE("\x0f\x23\xc0"),
	PIECE("\x0f\x01\x1f"),				/* lidt (%edi) */
	PIECE("\x0f\x01\x17"),
	PIECE("\x0f\x00\xd0"),				/* lldt %ax */
	PIECE("\x8e\xd8"),				/* mov %ax, %ds */
	PIECE("\x9c\x58\x0f\xba\xf8\x08\x50\x9d"),	/* rflags.tf flips */
	PIECE("\xcc"), PIECE("\xcd\x20"), PIECE("\x0f\x0b"), PIECE("\xf1"),
	PIECE("\xcf"),					/* iret */
	PIECE("\x0f\x09"), PIECE("\x0f\x31"), PIECE("\x0f\x01\xd1"),
	PIECE("\x89\x07"),				/* mov %eax, (%edi) */
	PIECE("\x8b\x07"),
	PIECE("\xf0\x0f\xb1\x0f"),			/* lock cmpxchg */
	PIECE("\xff\x07"),
	PIECE("\x91"), PIECE("\x92"), PIECE("\x97"), PIECE("\x96"),
	PIECE("\x50"), PIECE("\x58"), PIECE("\x47"), PIECE("\x40"),
	PIECE("\xbf\x00\x00\x03\x00"),			/* mov $0x30000, %edi: the tables */
	PIECE("\xbf\x00\x00\x00\xd0"),			/* no memory */
	PIECE("\xbf\x00\x00\xe0\xfe"),			/* the local APIC */
	PIECE("\xb9\x80\x00\x00\xc0"),			/* mov $efer, %ecx */
	PIECE("\xb9\x01\x4d\x56\x4b"),			/* a paravirtual MSR */
	PIECE("\xb9\x10\x00\x00\x00"),
	PIECE("\xba\xf8\x03\x00\x00"),
};

static void make_code(struct random *r, uint8_t *code)
{
	uint32_t at = 0;

	while (at < CODE_BYTES - 32) {
		uint32_t i = below(r, sizeof(pieces) / sizeof(pieces[0]));

		if (one_in(r, 24)) {
			fill(r, code + at, 4);
			at += 4;
			continue;
		}
		memcpy(code + at, pieces[i].code, pieces[i].bytes);
		at += pieces[i].bytes;
	}
	memset(code + at, 0x90, CODE_BYTES - at);
	/* Round and round. */
	code[CODE_BYTES - 3] = 0xe9;
	code[CODE_BYTES - 2] = 0x00;
	code[CODE_BYTES - 1] = 0xf0;
}

/* The first GiB or more one to one, by large pages; an entry now and then is something else. */
static void make_tables(struct random *r, uint8_t *tables, enum mode mode)
{
	uint64_t *wide = (uint64_t *)tables;
	uint32_t *narrow = (uint32_t *)tables;

	if (mode == PAGED32) {
		for (uint32_t i = 0; i < 1024; i++)
			narrow[i] = i << 22 | 0x83;
		narrow[0] = (TABLES + PAGE) | 7;
		for (uint32_t i = 0; i < 1024; i++)
			narrow[1024 + i] = i << 12 | 7;
	} else if (mode == PAE || is_long(mode)) {
		uint32_t first = is_long(mode) ? 1024 : 512;

		if (is_long(mode))
			wide[0] = (TABLES + PAGE) | 7;
		for (uint32_t i = 0; i < 4; i++)
			wide[first - 512 + i] = (TABLES + (first / 512 + i) * PAGE) |
						(is_long(mode) ? 7 : 1);
		for (uint32_t i = 0; i < 4 * 512; i++)
			wide[first + i] = ((uint64_t)i << 21) | 0x87;
	}
	for (uint32_t i = below(r, 12); i; i--) {
		uint32_t at = below(r, 7 * 512);

		wide[at] = one_in(r, 3) ? odd_value(r) :
			   (TABLES + below(r, TABLE_PAGES) * PAGE) | below(r, 0x200);
	}
}

/* A fault goes on somewhere in the code: else it would be the end of nearly every guest. */
static void make_descriptors(struct random *r, uint8_t *tables, enum mode mode)
{
	uint32_t *gate = (uint32_t *)(tables + IDT - TABLES);
	uint64_t *gdt = (uint64_t *)(tables + GDT - TABLES);
	uint32_t step = is_long(mode) ? 4 : 2;

	for (uint32_t i = 0; i < 256; i++) {
		uint32_t handler = CODE + below(r, CODE_BYTES);

		if (mode == REAL) {
			gate[i] = (CODE >> 4) << 16 | (handler - CODE);
			continue;
		}
		gate[i * step] = 0x10 << 16 | (handler & 0xffff);
		gate[i * step + 1] = (handler & 0xffff0000) | 0x8e00 | below(r, 2) << 8;
	}
	gdt[2] = is_long(mode) ? 0x00af9b000000ffff : 0x00cf9b000000ffff;
	gdt[3] = 0x00cf93000000ffff;
	gdt[4] = 0x00008b0000000067 | (uint64_t)TSS << 16;
	if (mode != USER)
		return;
	gdt[USER_CS / 8] = 0x00affb000000ffff;
	gdt[USER_SS / 8] = 0x00cff3000000ffff;
	/* RSP0 */
	*(uint32_t *)(tables + TSS - TABLES + 4) = KERNEL_STACK;
}

static void set_registers(struct random *r, struct gondola_rec_regs *regs,
			  struct gondola_rec_sregs *sregs, enum mode mode)
{
	for (int i = 0; i < 16; i++)
		regs->gpr[i] = one_in(r, 2) ? below(r, 0x200000) : odd_value(r);
	regs->gpr[4] = 0x20000;
	regs->rip = mode == REAL ? 0 : CODE;
	regs->rflags = 2 | (one_in(r, 2) ? 0x200 : 0);
	for (int i = GONDOLA_ES; i <= GONDOLA_GS; i++)
		sregs->seg[i] = (struct gondola_segment){
			.selector = mode == REAL ? 0 : 0x18,
			.limit = mode == REAL ? 0xffff : ~0u,
			.ar = mode == REAL ? 0x93 : 0xc093,
		};
	sregs->seg[GONDOLA_CS].ar = mode == REAL ? 0x9b : is_long(mode) ? 0xa09b : 0xc09b;
	sregs->seg[GONDOLA_CS].selector = mode == REAL ? CODE >> 4 : 0x10;
	sregs->seg[GONDOLA_CS].base = mode == REAL ? CODE : 0;
	sregs->seg[GONDOLA_TR] = (struct gondola_segment){ .limit = 0x67, .ar = 0x8b,
							   .selector = 0x20 };
	sregs->seg[GONDOLA_LDTR] = (struct gondola_segment){ .ar = GONDOLA_AR_UNUSABLE };
	sregs->idt.base = one_in(r, 16) ? below(r, 0x200) * PAGE : IDT;
	sregs->idt.limit = 0xfff;
	sregs->gdt.base = one_in(r, 16) ? below(r, 0x200) * PAGE : GDT;
	sregs->gdt.limit = 0xff;
	sregs->cr0 = mode == REAL ? 0x10 : mode == UNPAGED ? 0x11 : 0x80010011;
	/* The same tables may be seen at another place, or will be. */
	sregs->cr3 = TABLES + (one_in(r, 4) ? any_place(r) : 0);
	sregs->cr4 = mode == PAGED32 ? 0x10 : mode == PAE || is_long(mode) ? 0x20 : 0;
	sregs->efer = is_long(mode) ? 0x500 : 0;
}

/* As a kernel has it that lets its programs compute: FPU and SYSCALL are there, interrupts come. */
static void make_user(struct gondola_rec_regs *regs, struct gondola_rec_sregs *sregs)
{
	for (int i = GONDOLA_ES; i <= GONDOLA_GS; i++)
		sregs->seg[i] = (struct gondola_segment){ .ar = GONDOLA_AR_UNUSABLE };
	sregs->seg[GONDOLA_CS].ar = 0xa0fb;
	sregs->seg[GONDOLA_CS].selector = USER_CS;
	sregs->seg[GONDOLA_SS] = (struct gondola_segment){
		.selector = USER_SS, .limit = ~0u, .ar = 0xc0f3,
	};
	sregs->cr0 |= 0x20;		/* NE */
	sregs->cr4 |= 0x600;		/* OSFXSR, OSXMMEXCPT */
	sregs->efer |= 1;		/* SCE */
	regs->rflags |= 0x200;
}

static void set_state(struct worker *w, int fd, enum mode mode)
{
	struct {
		struct gondola_record regs_head;
		struct gondola_rec_regs regs;
		struct gondola_record sregs_head;
		struct gondola_rec_sregs sregs;
	} *state = (void *)w->args;
	struct gondola_state arg = {
		.size = sizeof(arg), .bytes = sizeof(*state), .buffer = (uintptr_t)state,
	};
	struct gondola_record *records[MAX_RECORDS];
	size_t count;

	/*
	 * Its other parts, as the APIC's base, must stay. What is here is no state at all if the
	 * call's argument lay elsewhere.
	 */
	arg.bytes = STATE_BYTES;
	if (do_ioctl(w, fd, GONDOLA_GET_STATE, &arg, sizeof(arg), "GET_STATE") ||
	    arg.bytes > STATE_BYTES)
		return;
	count = find_records(w->args, arg.bytes, records);
	for (size_t i = 0; i < count; i++) {
		if (records[i]->type != GONDOLA_REC_SREGS)
			continue;
		memmove(&state->sregs, records[i] + 1, sizeof(state->sregs));
		break;
	}
	state->regs_head = (struct gondola_record){
		.type = GONDOLA_REC_REGS, .version = 1, .bytes = sizeof(state->regs),
	};
	state->sregs_head = (struct gondola_record){
		.type = GONDOLA_REC_SREGS, .version = 1, .bytes = sizeof(state->sregs),
	};
	set_registers(&w->random, &state->regs, &state->sregs, mode);
	if (mode == USER)
		make_user(&state->regs, &state->sregs);
	arg.bytes = sizeof(*state);
	do_ioctl(w, fd, GONDOLA_SET_STATE, &arg, sizeof(arg), "SET_STATE to run");
}

void call_boot(struct worker *w)
{
	struct gondola_cpuid list = { .size = sizeof(list), .count = GONDOLA_MAX_CPUID };
	struct gondola_memory_slot slot = {
		.size = sizeof(slot), .bytes = 2u << 20, .hva = memory_good(),
	};
	struct vcpu *vcpu = any_vcpu(&w->random);
	enum mode mode = below(&w->random, MODES);
	int vm = world.vms[vcpu->vm];

	if (one_in(&w->random, 4))
		slot.flags = below(&w->random, 8);
	list.entries = (uintptr_t)w->args;
	if (!do_ioctl(w, any_sys(&w->random), GONDOLA_GET_SUPPORTED_CPUID, &list, sizeof(list),
		      "GET_SUPPORTED_CPUID")) {
		list.engine = 0;
		do_ioctl(w, vcpu->fd, GONDOLA_SET_CPUID, &list, sizeof(list), "SET_CPUID");
	}
	do_set_memory(w, vm, &slot);
	make_code(&w->random, w->args);
	memory_put(memory_good() + CODE, w->args, CODE_BYTES);
	memset(w->args, 0, TABLE_PAGES * PAGE);
	make_tables(&w->random, w->args, mode);
	make_descriptors(&w->random, w->args, mode);
	memory_put(memory_good() + TABLES, w->args, TABLE_PAGES * PAGE);
	set_state(w, vcpu->fd, mode);
	call_run(w);
}

void call_run(struct worker *w)
{
	struct random *r = &w->random;
	struct vcpu *vcpu = any_vcpu(r);
	struct gondola_run *run = atomic_load(&vcpu->run);
	uint32_t times = 1 + below(r, 4);

	if (run && one_in(r, 4))
		run->immediate_exit = below(r, 2);
	while (times--) {
		if (do_ioctl(w, vcpu->fd, GONDOLA_RUN, w->args, 8, "RUN") < 0)
			return;
		/* Answer the guest's request with anything. */
		run = atomic_load(&vcpu->run);
		if (run)
			fill(r, (uint8_t *)run + GONDOLA_RUN_IO_OFFSET, 8);
	}
}
