// SPDX-License-Identifier: GPL-2.0-only
/* State that real hardware would refuse is refused, with the field's name; the rest comes back. */
#include <errno.h>
#include <stddef.h>
#include <stdlib.h>

#include "machine.h"

#define CR4_PAE		0x20u
#define CR4_VMXE	0x2000u
#define CR0_PG		0x80000000u
#define CR0_NW		0x20000000u
#define NOT_CANONICAL	0x0001000000000000ull

static struct machine machine;

/* One change of a good state is refused for @field; RIP is as it was before. */
static void expect_field(const struct gondola_rec_sregs *sregs, uint32_t field, const char *what)
{
	struct gondola_fault fault = { 0, 0 };
	char name[32];
	int ret = __gondola_set_registers(machine.vcpu, NULL, sregs, &fault);

	tap_check(ret == -EINVAL, false, "%s: %s", what, strerror(-ret));
	if (ret != -EINVAL)
		return;
	tap_check(fault.record == GONDOLA_REC_SREGS, false, "%s: record %u", what, fault.record);
	tap_check(fault.field == field, false, "%s: refused for %s", what,
		  gondola_sregs_field(fault.field, name, sizeof(name)));
}

#define REFUSED(change, field) do {						\
	struct gondola_rec_sregs s = machine.sregs;				\
										\
	change;									\
	expect_field(&s, offsetof(struct gondola_rec_sregs, field), #change);	\
} while (0)

static void control_registers(void)
{
	machine_create(&machine, MODE_LONG);
	REFUSED(s.cr0 |= 1ull << 40, cr0);
	REFUSED(s.cr0 |= CR0_NW, cr0);		/* without CD */
	REFUSED(s.cr0 &= ~1ull, cr0);		/* paging without protection */
	REFUSED(s.cr3 |= 1ull << 60, cr3);
	REFUSED(s.cr4 |= 1ull << 40, cr4);
	REFUSED(s.cr4 |= CR4_VMXE, cr4);
	REFUSED(s.cr4 &= ~(uint64_t)CR4_PAE, cr4);	/* long mode without PAE */
	REFUSED(s.efer |= 1ull << 5, efer);
	REFUSED(s.cr8 = 16, cr8);
	REFUSED(s.xcr0 = 0, xcr0);
	machine_destroy(&machine);
}

static void segments(void)
{
	machine_create(&machine, MODE_LONG);
	REFUSED(s.seg[GONDOLA_CS].ar = 0xe09b, seg[GONDOLA_CS].ar);	/* L and D */
	REFUSED(s.seg[GONDOLA_CS].ar = 0xc093, seg[GONDOLA_CS].ar);	/* data */
	REFUSED(s.seg[GONDOLA_CS].ar &= ~GONDOLA_AR_P, seg[GONDOLA_CS].ar);
	REFUSED(s.seg[GONDOLA_SS].ar = 0xc09b, seg[GONDOLA_SS].ar);	/* code */
	REFUSED(s.seg[GONDOLA_TR].ar = 0x89, seg[GONDOLA_TR].ar);	/* not busy */
	REFUSED(s.seg[GONDOLA_TR].ar |= GONDOLA_AR_UNUSABLE, seg[GONDOLA_TR].ar);
	REFUSED(s.seg[GONDOLA_DS].pad[1] = 1, seg[GONDOLA_DS].pad);
	REFUSED(s.seg[GONDOLA_FS].base = NOT_CANONICAL, seg[GONDOLA_FS].base);
	REFUSED(s.gdt.base = NOT_CANONICAL, gdt);
	REFUSED(s.idt.base = NOT_CANONICAL, idt);
	machine_destroy(&machine);
}

/* Bits above bit 20 of access rights are no part of any descriptor. */
static void access_rights(void)
{
	machine_create(&machine, MODE_LONG);
	REFUSED(s.seg[GONDOLA_DS].ar |= 1u << 20, seg[GONDOLA_DS].ar);
	REFUSED(s.seg[GONDOLA_ES].ar |= 0x0f00, seg[GONDOLA_ES].ar);
	machine_destroy(&machine);
}

GUEST_CODE(report, 64, "mov %ebx, %eax; out %eax, $0x80; jmp .");

/* A refused state changes nothing. */
static void unchanged(void)
{
	struct gondola_rec_sregs before, after;
	struct gondola_rec_regs regs;
	struct gondola_rec_sregs bad;

	machine_create(&machine, MODE_LONG);
	GUEST_LOAD(&machine, report);
	machine.regs.gpr[3] = 77;
	machine_set(&machine);
	require_equal(__gondola_get_registers(machine.vcpu, &regs, &before), 0);
	bad = machine.sregs;
	bad.cr3 = 0x1000;
	bad.seg[GONDOLA_TR].ar = 0;
	expect_equal(__gondola_set_registers(machine.vcpu, NULL, &bad, NULL), -EINVAL);
	require_equal(__gondola_get_registers(machine.vcpu, &regs, &after), 0);
	expect(!memcmp(&before, &after, sizeof(before)));
	expect_equal(machine_result(&machine), 77);
	machine_destroy(&machine);
}

static void registers(void)
{
	struct gondola_fault fault;
	struct gondola_rec_regs regs, back;
	struct gondola_rec_sregs sregs;

	machine_create(&machine, MODE_LONG);
	regs = machine.regs;
	for (int i = 0; i < 16; i++)
		regs.gpr[i] = 0x0101010101010101ull * (i + 1);
	require_equal(__gondola_set_registers(machine.vcpu, &regs, NULL, &fault), 0);
	require_equal(__gondola_get_registers(machine.vcpu, &back, &sregs), 0);
	expect(!memcmp(&regs, &back, sizeof(regs)));
	expect_equal(sregs.cr0, machine.sregs.cr0);
	expect_equal(sregs.cr3, machine.sregs.cr3);
	expect_equal(sregs.efer, machine.sregs.efer);
	/* RFLAGS' fixed bits. */
	regs.rflags = 0x2 | 1 << 15;
	expect_equal(__gondola_set_registers(machine.vcpu, &regs, NULL, &fault), -EINVAL);
	expect_equal(fault.record, GONDOLA_REC_REGS);
	expect_equal(fault.field, offsetof(struct gondola_rec_regs, rflags));
	machine_destroy(&machine);
}

static int set_one(uint32_t type, uint16_t version, uint16_t flags, uint32_t bytes, uint32_t total)
{
	_Alignas(8) struct {
		struct gondola_record header;
		char payload[256];
	} one = { .header = { .type = type, .version = version, .flags = flags, .bytes = bytes } };

	return __gondola_set_state(machine.vcpu, &one, total, NULL);
}

static void records(void)
{
	const uint32_t head = sizeof(struct gondola_record);
	uint64_t bytes = 0;

	machine_create(&machine, MODE_LONG);
	expect_equal(set_one(9999, 1, 0, 8, head + 8), -EINVAL);
	expect_equal(set_one(GONDOLA_REC_PIT, 1, 0, 8, head + 8), -EINVAL);	/* the VM's */
	expect_equal(set_one(GONDOLA_REC_DEBUG, 2, 0, sizeof(struct gondola_rec_debug), 256), -EINVAL);
	expect_equal(set_one(GONDOLA_REC_DEBUG, 1, 1, sizeof(struct gondola_rec_debug), 256), -EINVAL);
	expect_equal(set_one(GONDOLA_REC_DEBUG, 1, 0, 8, head + 8), -EINVAL);
	expect_equal(set_one(GONDOLA_REC_DEBUG, 1, 0, ~0u, 256), -EINVAL);
	/* Cut inside the payload, inside the header, before anything. */
	expect_equal(set_one(GONDOLA_REC_DEBUG, 1, 0, sizeof(struct gondola_rec_debug), head + 8),
		     -EINVAL);
	expect_equal(set_one(GONDOLA_REC_DEBUG, 1, 0, 8, 5), -EINVAL);
	expect_equal(set_one(GONDOLA_REC_DEBUG, 1, 0, 8, 0), -EINVAL);
	expect_equal(__gondola_set_state(machine.vcpu, (void *)8, 256, NULL), -EFAULT);
	/* Too little room says how much is needed. */
	expect_equal(__gondola_get_state(machine.vcpu, NULL, &bytes), -E2BIG);
	expect(bytes > sizeof(struct gondola_rec_sregs));
	machine_destroy(&machine);
}

/* All of a vCPU's and a VM's state can be read and set again, and the guest does not notice. */
static void round_trip(void)
{
	static _Alignas(8) char buffer[65536], again[65536];
	uint64_t bytes = sizeof(buffer), bytes_again = sizeof(again);
	struct gondola_fault fault = { 0, 0 };
	int ret;

	machine_create(&machine, MODE_LONG);
	GUEST_LOAD(&machine, report);
	machine.regs.gpr[3] = 5;
	machine_set(&machine);
	require_equal(__gondola_get_state(machine.vcpu, buffer, &bytes), 0);
	ret = __gondola_set_state(machine.vcpu, buffer, bytes, &fault);
	tap_check(!ret, false, "record %u, byte %u: %s", fault.record, fault.field, strerror(-ret));
	bytes = sizeof(buffer);
	require_equal(__gondola_get_state(machine.vm, buffer, &bytes), 0);
	ret = __gondola_set_state(machine.vm, buffer, bytes, &fault);
	tap_check(!ret, false, "record %u, byte %u: %s", fault.record, fault.field, strerror(-ret));
	require_equal(__gondola_get_state(machine.vm, again, &bytes_again), 0);
	expect_equal(bytes, bytes_again);
	expect_equal(machine_result(&machine), 5);
	machine_destroy(&machine);
}

#define FCW_BUT_INVALID	0x37e		/* all exceptions masked but this one */
#define FSW_INVALID	0x0001
#define FSW_SUMMARY	0x8080

GUEST_CODE(load_one, 64, "fld1; out %eax, $0x80; jmp .");

/*
 * An exception of the x87 that is noted and not masked, in an image that denies it: it is the
 * guest's to take.  The guest has no handlers, so it shuts down.  The host goes on.
 */
static void x87_exception(void)
{
	struct {
		struct gondola_record header;
		union {
			uint16_t word[288];	/* FCW, FSW, … MXCSR from 12 on */
			uint64_t xstate_bv[72];
		};
	} state = { .header = { .type = GONDOLA_REC_FPU, .version = 1, .bytes = 576 } };
	static _Alignas(8) char all[65536];
	uint64_t bytes = sizeof(all);
	const struct gondola_record *record;
	size_t at = 0;

	machine_create(&machine, MODE_LONG);
	if (machine.engine != GONDOLA_ENGINE_INTERP && machine.engine != GONDOLA_ENGINE_RING3) {
		machine_destroy(&machine);
		tap_skip("the processor keeps the state: it is the kernel's to check");
	}
	GUEST_LOAD(&machine, load_one);
	machine.sregs.cr0 |= 0x20;	/* NE */
	machine.sregs.idt.limit = 0;
	machine_set(&machine);
	state.word[0] = FCW_BUT_INVALID;
	state.word[1] = FSW_INVALID;
	state.word[12] = 0x1f80;
	state.xstate_bv[64] = 3;
	require_equal(__gondola_set_state(machine.vcpu, &state, sizeof(state), NULL), 0);
	require_equal(__gondola_get_state(machine.vcpu, all, &bytes), 0);
	do {
		record = (const void *)(all + at);
		at += sizeof(*record) + ((record->bytes + 7u) & ~7u);
	} while (record->type != GONDOLA_REC_FPU && at < bytes);
	require_equal(record->type, GONDOLA_REC_FPU);
	expect_equal(((const uint16_t *)(record + 1))[1], FSW_SUMMARY | FSW_INVALID);
	machine_run(&machine);
	expect_equal(machine.run->exit, GONDOLA_EXIT_SHUTDOWN);
	machine_destroy(&machine);
}

static const struct tap_test tests[] = {
	{ "impossible control registers are refused by name", control_registers },
	{ "impossible segments are refused by name", segments },
	{ "impossible access rights are refused by name", access_rights },
	{ "a refused state changes nothing", unchanged },
	{ "registers come back as they were set", registers },
	{ "records that are unknown, cut or of a wrong size are refused", records },
	{ "all state goes out and in again", round_trip },
	{ "an x87 exception that an image denies is the guest's", x87_exception },
};

TAP_MAIN(tests)
