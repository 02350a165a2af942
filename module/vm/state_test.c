// SPDX-License-Identifier: GPL-2.0-only
/* Saved state: the framing of records, and values that a processor would refuse. */
#include <kunit/test.h>
#include <linux/slab.h>
#include <linux/string.h>
#include "irq/irq.h"
#include "mmu/test_world.h"
#include "run/run.h"
#include "state.h"
#include "vcpu.h"
#include "x86/control.h"

/* ---- the world beside the MMU's: an engine that keeps what it is given ----------- */

#define FPU_BYTES	576

static struct gondola_segment segments[GONDOLA_NR_SEGS];
static struct gondola_dtable tables[2];
static u8 fpu[FPU_BYTES];
static u32 shadow;
static u64 hardware_dr7;

static u32 fpu_size(struct gondola_vcpu *vcpu)
{
	return FPU_BYTES;
}

static int fpu_get(struct gondola_vcpu *vcpu, void *buf, u32 bytes)
{
	memcpy(buf, fpu, bytes);
	return 0;
}

static int fpu_set(struct gondola_vcpu *vcpu, const void *buf, u32 bytes, u32 *bad)
{
	if (bytes != FPU_BYTES)
		return gondola_refuse(bad, 0);
	memcpy(fpu, buf, bytes);
	return 0;
}

GONDOLA_VARYING_RECORD(fpu, FPU);

static void get_segment(struct gondola_vcpu *vcpu, enum gondola_seg seg,
			struct gondola_segment *out)
{
	*out = segments[seg];
}

static void set_segment(struct gondola_vcpu *vcpu, enum gondola_seg seg,
			const struct gondola_segment *in)
{
	segments[seg] = *in;
}

static void get_dtable(struct gondola_vcpu *vcpu, bool idt, struct gondola_dtable *out)
{
	*out = tables[idt];
}

static void set_dtable(struct gondola_vcpu *vcpu, bool idt, const struct gondola_dtable *in)
{
	tables[idt] = *in;
}

static u32 get_shadow(struct gondola_vcpu *vcpu)
{
	return shadow;
}

static void set_shadow(struct gondola_vcpu *vcpu, u32 value)
{
	shadow = value;
}

static void update_control(struct gondola_vcpu *vcpu)
{
}

static void set_dr7(struct gondola_vcpu *vcpu, u64 dr7)
{
	hardware_dr7 = dr7;
}

static void set_tsc_offset(struct gondola_vcpu *vcpu)
{
}

static u64 sysenter_eip;

static int get_msr(struct gondola_vcpu *vcpu, u32 index, u64 *value)
{
	*value = index == MSRX_SYSENTER_EIP ? sysenter_eip : 0;
	return 0;
}

static int set_msr(struct gondola_vcpu *vcpu, u32 index, u64 value)
{
	if (index == MSRX_SYSENTER_EIP)
		sysenter_eip = value;
	return 0;
}

static int state_init(struct kunit *test)
{
	struct world *w = world_create(64);
	struct gondola_cpuid_entry *list;
	u32 count = GONDOLA_MAX_CPUID;

	KUNIT_ASSERT_NOT_NULL(test, w);
	test->priv = w;
	w->engine.get_segment = get_segment;
	w->engine.set_segment = set_segment;
	w->engine.get_dtable = get_dtable;
	w->engine.set_dtable = set_dtable;
	w->engine.get_shadow = get_shadow;
	w->engine.set_shadow = set_shadow;
	w->engine.update_control = update_control;
	w->engine.set_dr7 = set_dr7;
	w->engine.set_tsc_offset = set_tsc_offset;
	w->engine.get_msr = get_msr;
	w->engine.set_msr = set_msr;
	memset(segments, 0, sizeof(segments));
	memset(tables, 0, sizeof(tables));
	shadow = 0;
	sysenter_eip = 0;
	KUNIT_ASSERT_EQ(test, world_map(w, 0, 0, 0, 256, 0), 0);
	KUNIT_ASSERT_EQ(test, gondola_irqchip_create(&w->vm), 0);
	KUNIT_ASSERT_EQ(test, gondola_lapic_create(&w->vcpu), 0);
	list = kunit_kcalloc(test, GONDOLA_MAX_CPUID, sizeof(*list), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, list);
	KUNIT_ASSERT_EQ(test, gondola_supported_cpuid(NULL, list, &count), 0);
	KUNIT_ASSERT_EQ(test, gondola_set_cpuid(&w->vcpu, list, count), 0);
	w->vcpu.regs.rflags = RFL_FIXED;
	w->vcpu.cr0 = CR0_PE | CR0_ET;
	w->vcpu.xcr0 = 1;
	w->vcpu.dr6 = DR6_FIXED;
	w->vcpu.dr7 = DR7_FIXED;
	gondola_mmu_mode_changed(&w->vcpu);
	return 0;
}

static void state_exit(struct kunit *test)
{
	struct world *w = test->priv;

	if (!w)
		return;
	kfree(w->vcpu.cpuid);
	gondola_lapic_destroy(&w->vcpu);
	gondola_irqchip_destroy(&w->vm);
	world_destroy(w);
}

static int state_suite_init(struct kunit_suite *suite)
{
	return gondola_mmu_module_init();
}

static void state_suite_exit(struct kunit_suite *suite)
{
	gondola_mmu_module_exit();
}

/* ---- records that processors would take ---------------------------------------------- */

struct regs_record {
	struct gondola_record head;
	struct gondola_rec_regs regs;
};

struct sregs_record {
	struct gondola_record head;
	struct gondola_rec_sregs sregs;
};

static struct regs_record good_regs(void)
{
	return (struct regs_record){
		.head = { .type = GONDOLA_REC_REGS, .version = 1,
			  .bytes = sizeof(struct gondola_rec_regs) },
		.regs = { .rip = 0x1000, .rflags = RFL_FIXED },
	};
}

/* 64-bit mode at CPL 0. */
static struct sregs_record good_sregs(void)
{
	struct sregs_record r = {
		.head = { .type = GONDOLA_REC_SREGS, .version = 1,
			  .bytes = sizeof(struct gondola_rec_sregs) },
		.sregs = {
			.cr0 = CR0_PE | CR0_PG | CR0_ET,
			.cr3 = 0x2000,
			.cr4 = CR4_PAE,
			.efer = EFER_F_LME | EFER_F_LMA,
			.apic_base = 0xfee00000 | APIC_BASE_ENABLE | APIC_BASE_BSP,
			.xcr0 = 1,
		},
	};
	struct gondola_segment *seg = r.sregs.seg;
	int i;

	for (i = 0; i < GONDOLA_LDTR; i++)
		seg[i] = (struct gondola_segment){
			.limit = 0xffffffff, .ar = 0xc093, .selector = 0x10,
		};
	seg[GONDOLA_CS].ar = 0xa09b;
	seg[GONDOLA_CS].selector = 8;
	seg[GONDOLA_LDTR].ar = GONDOLA_AR_UNUSABLE;
	seg[GONDOLA_TR] = (struct gondola_segment){
		.limit = 0x67, .ar = 0x8b, .selector = 0x18,
	};
	return r;
}

static int set(struct kunit *test, const void *buffer, size_t bytes, u32 *record, u32 *field)
{
	struct world *w = test->priv;

	*record = 0xdead;
	*field = 0xdead;
	return state_set(&w->vm, &w->vcpu, buffer, bytes, record, field);
}

static void expect_refused(struct kunit *test, const void *buffer, size_t bytes, u32 record,
			   u32 field)
{
	u32 bad_record, bad_field;

	KUNIT_EXPECT_EQ(test, set(test, buffer, bytes, &bad_record, &bad_field), -EINVAL);
	KUNIT_EXPECT_EQ(test, bad_record, record);
	KUNIT_EXPECT_EQ(test, bad_field, field);
}

/* ---- framing -------------------------------------------------------------------------- */

#define HEADER(field)	((u32)offsetof(struct gondola_record, field) - (u32)sizeof(struct gondola_record))

static void headers(struct kunit *test)
{
	struct regs_record two[2] = { good_regs(), good_regs() };
	struct regs_record r = good_regs();

	expect_refused(test, &r, sizeof(r.head) - 1, 0, HEADER(bytes));
	expect_refused(test, &r, sizeof(r) - 8, GONDOLA_REC_REGS, HEADER(bytes));
	expect_refused(test, two, sizeof(two), GONDOLA_REC_REGS, HEADER(type));
	r.head.bytes = 0;
	expect_refused(test, &r, sizeof(r), GONDOLA_REC_REGS, HEADER(bytes));
	r.head.bytes = ~0u;
	expect_refused(test, &r, sizeof(r), GONDOLA_REC_REGS, HEADER(bytes));
	r = good_regs();
	r.head.version = 2;
	expect_refused(test, &r, sizeof(r), GONDOLA_REC_REGS, HEADER(version));
	r = good_regs();
	r.head.flags = 1;
	expect_refused(test, &r, sizeof(r), GONDOLA_REC_REGS, HEADER(flags));
	r = good_regs();
	r.head.pad = 1;
	expect_refused(test, &r, sizeof(r), GONDOLA_REC_REGS, HEADER(pad));
	r = good_regs();
	r.head.type = 999;
	expect_refused(test, &r, sizeof(r), 999, HEADER(type));
	/* A VM's record is refused for a vCPU. */
	r.head.type = GONDOLA_REC_CLOCK;
	expect_refused(test, &r, sizeof(r), GONDOLA_REC_CLOCK, HEADER(type));
}

/* Nothing is applied unless all records are well-formed. */
static void malformed_changes_nothing(struct kunit *test)
{
	struct world *w = test->priv;
	struct {
		struct regs_record regs;
		struct gondola_record broken;
	} both = { good_regs(), { .type = 999, .version = 1, .bytes = 8 } };
	u32 record, field;

	w->vcpu.regs.rip = 0x42;
	KUNIT_EXPECT_EQ(test, set(test, &both, sizeof(both), &record, &field), -EINVAL);
	KUNIT_EXPECT_EQ(test, w->vcpu.regs.rip, 0x42ull);
}

/* A saved state can be set again, and is saved the same. */
static void round_trip(struct kunit *test)
{
	struct world *w = test->priv;
	struct sregs_record sregs = good_sregs();
	void *first, *second;
	u32 record, field;
	size_t bytes;

	KUNIT_ASSERT_EQ(test, set(test, &sregs, sizeof(sregs), &record, &field), 0);
	w->vcpu.halted = true;
	w->vcpu.nmi_pending = 1;
	w->vcpu.dr[2] = 0x1234;
	shadow = 4;
	bytes = state_size(&w->vm, &w->vcpu);
	first = kunit_kzalloc(test, bytes, GFP_KERNEL);
	second = kunit_kzalloc(test, bytes, GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, first);
	KUNIT_ASSERT_NOT_NULL(test, second);
	KUNIT_ASSERT_EQ(test, state_get(&w->vm, &w->vcpu, first, bytes), 0);

	memset(segments, 0, sizeof(segments));
	memset(&w->vcpu.regs, 0, sizeof(w->vcpu.regs));
	w->vcpu.halted = false;
	w->vcpu.nmi_pending = 0;
	w->vcpu.dr[2] = 0;
	w->vcpu.cr3 = 0;
	shadow = 0;
	sysenter_eip = 0;
	KUNIT_ASSERT_EQ(test, set(test, first, bytes, &record, &field), 0);
	KUNIT_EXPECT_EQ(test, record, 0u);
	KUNIT_ASSERT_EQ(test, state_size(&w->vm, &w->vcpu), bytes);
	KUNIT_ASSERT_EQ(test, state_get(&w->vm, &w->vcpu, second, bytes), 0);
	KUNIT_EXPECT_EQ(test, memcmp(first, second, bytes), 0);
	KUNIT_EXPECT_EQ(test, hardware_dr7, w->vcpu.dr7);
}

static void vm_round_trip(struct kunit *test)
{
	struct world *w = test->priv;
	size_t bytes = state_size(&w->vm, NULL);
	void *buffer = kunit_kzalloc(test, bytes, GFP_KERNEL);
	u32 record, field;

	KUNIT_ASSERT_NOT_NULL(test, buffer);
	KUNIT_ASSERT_EQ(test, state_get(&w->vm, NULL, buffer, bytes), 0);
	KUNIT_EXPECT_EQ(test, state_set(&w->vm, NULL, buffer, bytes, &record, &field), 0);
}

/* ---- registers -------------------------------------------------------------------------- */

static void bad_regs(struct kunit *test)
{
	struct regs_record r = good_regs();

	r.regs.rflags = 0;
	expect_refused(test, &r, sizeof(r), GONDOLA_REC_REGS,
		       offsetof(struct gondola_rec_regs, rflags));
	r.regs.rflags = RFL_FIXED | BIT(3);
	expect_refused(test, &r, sizeof(r), GONDOLA_REC_REGS,
		       offsetof(struct gondola_rec_regs, rflags));
	r = good_regs();
	r.regs.rip = BIT_ULL(47);
	expect_refused(test, &r, sizeof(r), GONDOLA_REC_REGS,
		       offsetof(struct gondola_rec_regs, rip));
}

#define SREGS(field)	offsetof(struct gondola_rec_sregs, field)
#define SEG(n, field)	(SREGS(seg) + (n) * sizeof(struct gondola_segment) + \
			 offsetof(struct gondola_segment, field))

/* A good record with one field replaced by this value, of this width, is refused. */
static const struct bad_sregs {
	const char *what;
	u32 offset;
	u8 bytes;
	u64 value;
} bad_sregs[] = {
	{ "PG without PE", SREGS(cr0), 8, CR0_PG | CR0_ET },
	{ "NW without CD", SREGS(cr0), 8, CR0_PE | CR0_PG | CR0_NW },
	{ "CR0 above 32 bits", SREGS(cr0), 8, CR0_PE | CR0_PG | BIT_ULL(32) },
	{ "CR4 reserved", SREGS(cr4), 8, CR4_PAE | BIT_ULL(40) },
	{ "CR4.VMXE", SREGS(cr4), 8, CR4_PAE | CR4_VMXE },
	{ "long mode without PAE", SREGS(cr4), 8, 0 },
	{ "CR3 beyond MAXPHYADDR", SREGS(cr3), 8, BIT_ULL(51) },
	{ "LMA without LME", SREGS(efer), 8, EFER_F_LMA },
	{ "LME and PG without LMA", SREGS(efer), 8, EFER_F_LME },
	{ "EFER.SVME", SREGS(efer), 8, EFER_F_LME | EFER_F_LMA | EFER_F_SVME },
	{ "CR8 above 15", SREGS(cr8), 8, 16 },
	{ "XCR0 without x87", SREGS(xcr0), 8, 0 },
	{ "APIC base reserved", SREGS(apic_base), 8, 0xfee00001 },
	{ "CS unusable", SEG(GONDOLA_CS, ar), 4, GONDOLA_AR_UNUSABLE },
	{ "CS data", SEG(GONDOLA_CS, ar), 4, 0xa093 },
	{ "CS with L and D", SEG(GONDOLA_CS, ar), 4, 0xe09b },
	{ "CS not present", SEG(GONDOLA_CS, ar), 4, 0xa01b },
	{ "CS of another DPL", SEG(GONDOLA_CS, ar), 4, 0xa0fb },
	{ "CS base above 32 bits", SEG(GONDOLA_CS, base), 8, BIT_ULL(32) },
	{ "SS read-only", SEG(GONDOLA_SS, ar), 4, 0xc091 },
	{ "DS reserved", SEG(GONDOLA_DS, ar), 4, 0xc193 },
	{ "DS not accessed", SEG(GONDOLA_DS, ar), 4, 0xc092 },
	{ "ES limit", SEG(GONDOLA_ES, limit), 4, 0xfffff000 },
	{ "FS base not canonical", SEG(GONDOLA_FS, base), 8, BIT_ULL(47) },
	{ "GS padding", SEG(GONDOLA_GS, pad), 2, 1 },
	{ "TR available", SEG(GONDOLA_TR, ar), 4, 0x89 },
	{ "TR 16-bit in long mode", SEG(GONDOLA_TR, ar), 4, 0x83 },
	{ "TR in the LDT", SEG(GONDOLA_TR, selector), 2, 0x1c },
	{ "LDTR of a wrong type", SEG(GONDOLA_LDTR, ar), 4, 0x83 },
	{ "GDT not canonical", SREGS(gdt), 8, BIT_ULL(47) },
	{ "IDT not canonical", SREGS(idt), 8, BIT_ULL(47) },
};

static void bad_sregs_named(struct kunit *test)
{
	struct world *w = test->priv;
	struct sregs_record r = good_sregs();
	u32 record, field;
	int i, err;

	KUNIT_ASSERT_EQ(test, set(test, &r, sizeof(r), &record, &field), 0);
	for (i = 0; i < ARRAY_SIZE(bad_sregs); i++) {
		const struct bad_sregs *bad = &bad_sregs[i];

		r = good_sregs();
		r.sregs.cr2 = 0x1234;
		memcpy((u8 *)&r.sregs + bad->offset, &bad->value, bad->bytes);
		err = set(test, &r, sizeof(r), &record, &field);
		KUNIT_EXPECT_EQ_MSG(test, err, -EINVAL, "%s", bad->what);
		KUNIT_EXPECT_EQ_MSG(test, record, (u32)GONDOLA_REC_SREGS, "%s", bad->what);
		KUNIT_EXPECT_EQ_MSG(test, field, bad->offset, "%s", bad->what);
		/* A field that is checked last is refused with nothing applied, too. */
		KUNIT_EXPECT_EQ_MSG(test, w->vcpu.cr2, 0ull, "%s", bad->what);
	}
}

/* A kernel may still have real mode's selectors.  A program's selectors have its privilege. */
static void selectors_of_real_mode(struct kunit *test)
{
	struct sregs_record r = good_sregs();
	struct gondola_segment *seg = r.sregs.seg;
	u32 record, field;

	seg[GONDOLA_CS].selector = 0xf001;
	seg[GONDOLA_SS].selector = 0x2002;
	seg[GONDOLA_DS].selector = 0x4003;
	KUNIT_EXPECT_EQ(test, set(test, &r, sizeof(r), &record, &field), 0);

	seg[GONDOLA_CS].ar |= GONDOLA_AR_DPL;
	seg[GONDOLA_SS].ar |= GONDOLA_AR_DPL;
	KUNIT_EXPECT_EQ(test, set(test, &r, sizeof(r), &record, &field), -EINVAL);
	KUNIT_EXPECT_EQ(test, field, SEG(GONDOLA_SS, selector));
	seg[GONDOLA_SS].selector = 0x13;
	KUNIT_EXPECT_EQ(test, set(test, &r, sizeof(r), &record, &field), -EINVAL);
	KUNIT_EXPECT_EQ(test, field, SEG(GONDOLA_DS, ar));
	seg[GONDOLA_DS].ar |= GONDOLA_AR_DPL;
	KUNIT_EXPECT_EQ(test, set(test, &r, sizeof(r), &record, &field), 0);
}

/* A guest that leaves long mode keeps all of CR3, also in saved state. */
static void cr3_outlives_long_mode(struct kunit *test)
{
	struct world *w = test->priv;
	struct sregs_record r = good_sregs();
	u32 record, field;

	r.sregs.cr0 = CR0_PE | CR0_ET;
	r.sregs.efer = EFER_F_LME;
	r.sregs.cr3 = BIT_ULL(33) | 0x2000;
	r.sregs.seg[GONDOLA_CS].ar = 0xc09b;
	KUNIT_EXPECT_EQ(test, set(test, &r, sizeof(r), &record, &field), 0);
	KUNIT_EXPECT_EQ(test, w->vcpu.cr3, BIT_ULL(33) | 0x2000);
	r.sregs.cr3 = BIT_ULL(51);
	expect_refused(test, &r, sizeof(r), GONDOLA_REC_SREGS, SREGS(cr3));
}

/* 32-bit protected mode at CPL 0, PAE. */
static struct sregs_record pae_sregs(void)
{
	struct sregs_record r = good_sregs();

	r.sregs.efer = 0;
	r.sregs.seg[GONDOLA_CS].ar = 0xc09b;
	return r;
}

/* The loaded pointers are saved, even if the guest rewrote the page at CR3. */
static void directory_pointers_as_loaded(struct kunit *test)
{
	static const u64 loaded[4] = { 0x3001, 0, 0x5001, 0 };
	struct world *w = test->priv;
	struct sregs_record r = pae_sregs();
	u32 record, field;
	size_t bytes;
	void *state;

	memcpy(world_u64(w, 0x2000), loaded, sizeof(loaded));
	KUNIT_ASSERT_EQ(test, set(test, &r, sizeof(r), &record, &field), 0);
	KUNIT_EXPECT_EQ(test, memcmp(w->vcpu.mmu.pdptes, loaded, sizeof(loaded)), 0);
	bytes = state_size(&w->vm, &w->vcpu);
	state = kunit_kzalloc(test, bytes, GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, state);
	KUNIT_ASSERT_EQ(test, state_get(&w->vm, &w->vcpu, state, bytes), 0);
	/* This pointer has a reserved bit, so it cannot be loaded again. */
	*world_u64(w, 0x2000) = 0x6003;
	memset(w->vcpu.mmu.pdptes, 0, sizeof(loaded));
	KUNIT_EXPECT_EQ(test, set(test, state, bytes, &record, &field), 0);
	KUNIT_EXPECT_EQ(test, memcmp(w->vcpu.mmu.pdptes, loaded, sizeof(loaded)), 0);
	/* Without that record the pointers come from memory.  If these are refused, the old ones stay. */
	expect_refused(test, &r, sizeof(r), GONDOLA_REC_SREGS, SREGS(cr3));
	KUNIT_EXPECT_EQ(test, memcmp(w->vcpu.mmu.pdptes, loaded, sizeof(loaded)), 0);
	*world_u64(w, 0x2000) = 0x6001;
	KUNIT_EXPECT_EQ(test, set(test, &r, sizeof(r), &record, &field), 0);
	KUNIT_EXPECT_EQ(test, w->vcpu.mmu.pdptes[0], 0x6001ull);
	/* They also stay if memory has valid ones and a later field is wrong. */
	*world_u64(w, 0x2000) = 0x7001;
	r.sregs.xcr0 = 3 | BIT_ULL(62);
	expect_refused(test, &r, sizeof(r), GONDOLA_REC_SREGS, SREGS(xcr0));
	KUNIT_EXPECT_EQ(test, w->vcpu.mmu.pdptes[0], 0x6001ull);
}

/* If memory is missing the record is not refused: it can be set once the memory is there. */
static void directory_pointers_are_missing(struct kunit *test)
{
	struct world *w = test->priv;
	struct sregs_record r = pae_sregs();
	u64 cr0 = w->vcpu.cr0;
	u32 record, field;

	*world_u64(w, 0x2000) = 0x3001;
	world_host_takes(w, 2);
	w->host_absent[2] = true;
	KUNIT_EXPECT_EQ(test, set(test, &r, sizeof(r), &record, &field), -EAGAIN);
	KUNIT_EXPECT_EQ(test, w->vcpu.missing, 0x2000ull);
	KUNIT_EXPECT_EQ(test, w->vcpu.cr0, cr0);
	KUNIT_EXPECT_EQ(test, gondola_mmu_wait(&w->vcpu), 0);
	KUNIT_EXPECT_EQ(test, set(test, &r, sizeof(r), &record, &field), 0);
	KUNIT_EXPECT_EQ(test, w->vcpu.mmu.pdptes[0], 0x3001ull);
}

static void bad_directory_pointers(struct kunit *test)
{
	struct {
		struct gondola_record head;
		struct gondola_rec_pdptes pdptes;
		struct sregs_record sregs;
	} r = {
		.head = { .type = GONDOLA_REC_PDPTES, .version = 1,
			  .bytes = sizeof(struct gondola_rec_pdptes) },
		.pdptes = { .pdpte = { 0x3001, 0, 0, 0x3003 } },
		.sregs = pae_sregs(),
	};
	struct world *w = test->priv;

	expect_refused(test, &r, sizeof(r), GONDOLA_REC_SREGS, SREGS(cr3));
	KUNIT_EXPECT_EQ(test, w->vcpu.mmu.pdptes[0], 0ull);
	KUNIT_EXPECT_PTR_EQ(test, w->vcpu.saved_pdptes, (const u64 *)NULL);
}

/* AMD's processors use the low half alone, and let a guest write any value. */
static void sysenter_of_any_value(struct kunit *test)
{
	struct world *w = test->priv;
	u32 bytes = msrs_size(&w->vcpu), bad;
	void *msrs = kunit_kzalloc(test, bytes, GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, msrs);
	sysenter_eip = 0x123400008000c000;
	KUNIT_ASSERT_EQ(test, msrs_get(&w->vcpu, msrs, bytes), 0);
	sysenter_eip = 0;
	KUNIT_EXPECT_EQ(test, msrs_set(&w->vcpu, msrs, bytes, &bad), 0);
	KUNIT_EXPECT_EQ(test, (u32)sysenter_eip, 0x8000c000u);
}

/* A guest can go from xAPIC to x2APIC and not back; a state can set any mode in any mode. */
static void apic_base_of_any_mode(struct kunit *test)
{
	struct sregs_record r = good_sregs();
	struct world *w = test->priv;
	u32 record, field;
	u64 base;

	gondola_lapic_cpuid_changed(&w->vcpu, true, false);
	r.sregs.apic_base |= APIC_BASE_X2APIC;
	KUNIT_EXPECT_EQ(test, set(test, &r, sizeof(r), &record, &field), 0);
	r.sregs.apic_base &= ~APIC_BASE_X2APIC;
	KUNIT_EXPECT_EQ(test, set(test, &r, sizeof(r), &record, &field), 0);
	KUNIT_EXPECT_EQ(test, gondola_lapic_get_msr(&w->vcpu, MSRX_APIC_BASE, &base), 0);
	KUNIT_EXPECT_EQ(test, base, r.sregs.apic_base);
	gondola_lapic_cpuid_changed(&w->vcpu, false, false);
}

static void sregs_need_cpuid(struct kunit *test)
{
	struct world *w = test->priv;
	struct sregs_record r = good_sregs();
	struct gondola_cpuid_entry *kept = w->vcpu.cpuid;
	u32 record, field;

	w->vcpu.cpuid = NULL;
	KUNIT_EXPECT_EQ(test, set(test, &r, sizeof(r), &record, &field), -ENOEXEC);
	w->vcpu.cpuid = kept;
}

/* Virtual-8086 mode, set by the registers in the same buffer. */
static void vm86_segments(struct kunit *test)
{
	struct {
		struct sregs_record sregs;
		struct regs_record regs;
	} both = { good_sregs(), good_regs() };
	struct gondola_segment *seg = both.sregs.sregs.seg;
	u32 record, field;
	int i;

	both.sregs.sregs.cr0 = CR0_PE | CR0_ET;
	both.sregs.sregs.cr4 = 0;
	both.sregs.sregs.efer = 0;
	both.regs.regs.rflags |= RFL_VM;
	for (i = 0; i < GONDOLA_LDTR; i++)
		seg[i] = (struct gondola_segment){
			.selector = 0x1000, .base = 0x10000, .limit = 0xffff, .ar = 0xf3,
		};
	KUNIT_EXPECT_EQ(test, set(test, &both, sizeof(both), &record, &field), 0);
	seg[GONDOLA_DS].base++;
	expect_refused(test, &both, sizeof(both), GONDOLA_REC_SREGS, SEG(GONDOLA_DS, base));
}

static void bad_events(struct kunit *test)
{
	struct {
		struct gondola_record head;
		struct gondola_rec_events events;
	} r = { .head = { .type = GONDOLA_REC_EVENTS, .version = 1,
			  .bytes = sizeof(struct gondola_rec_events) } };
	u32 record, field;

	r.events.kind = GONDOLA_EVENT_TRIPLE_FAULT;
	expect_refused(test, &r, sizeof(r), GONDOLA_REC_EVENTS,
		       offsetof(struct gondola_rec_events, kind));
	r.events.kind = GONDOLA_EVENT_EXCEPTION;
	r.events.vector = 32;
	expect_refused(test, &r, sizeof(r), GONDOLA_REC_EVENTS,
		       offsetof(struct gondola_rec_events, vector));
	r.events.vector = VEC_NMI;
	expect_refused(test, &r, sizeof(r), GONDOLA_REC_EVENTS,
		       offsetof(struct gondola_rec_events, vector));
	r.events.vector = VEC_PF;
	r.events.has_error = 1;
	r.events.error = BIT(16);
	expect_refused(test, &r, sizeof(r), GONDOLA_REC_EVENTS,
		       offsetof(struct gondola_rec_events, error));
	r.events.error = 2;
	KUNIT_EXPECT_EQ(test, set(test, &r, sizeof(r), &record, &field), 0);
	r.events.nmi_pending = 3;
	expect_refused(test, &r, sizeof(r), GONDOLA_REC_EVENTS,
		       offsetof(struct gondola_rec_events, nmi_pending));
}

/* The guest's TSC continues from the saved value, and the vCPU is told. */
static void clock(struct kunit *test)
{
	struct world *w = test->priv;
	struct {
		struct gondola_record head;
		struct gondola_rec_clock clock;
	} r = { .head = { .type = GONDOLA_REC_CLOCK, .version = 1,
			  .bytes = sizeof(struct gondola_rec_clock) } };
	struct gondola_rec_clock now = { };
	u32 record, field;

	KUNIT_ASSERT_EQ(test, clock_get(&w->vm, &now), 0);
	r.clock = now;
	r.clock.tsc += 1000000;
	clear_bit(GONDOLA_REQ_TSC, &w->vcpu.requests);
	KUNIT_ASSERT_EQ(test, state_set(&w->vm, NULL, &r, sizeof(r), &record, &field), 0);
	KUNIT_ASSERT_EQ(test, clock_get(&w->vm, &now), 0);
	KUNIT_EXPECT_EQ(test, now.tsc, r.clock.tsc);
	KUNIT_EXPECT_TRUE(test, test_bit(GONDOLA_REQ_TSC, &w->vcpu.requests));

	/* A host with another TSC rate. */
	r.clock.tsc_khz += r.clock.tsc_khz / 100;
	KUNIT_EXPECT_EQ(test, state_set(&w->vm, NULL, &r, sizeof(r), &record, &field),
			-EINVAL);
	KUNIT_EXPECT_EQ(test, field, (u32)offsetof(struct gondola_rec_clock, tsc_khz));
}

static struct kunit_case state_cases[] = {
	KUNIT_CASE(headers),
	KUNIT_CASE(malformed_changes_nothing),
	KUNIT_CASE(round_trip),
	KUNIT_CASE(vm_round_trip),
	KUNIT_CASE(bad_regs),
	KUNIT_CASE(bad_sregs_named),
	KUNIT_CASE(selectors_of_real_mode),
	KUNIT_CASE(cr3_outlives_long_mode),
	KUNIT_CASE(sysenter_of_any_value),
	KUNIT_CASE(directory_pointers_as_loaded),
	KUNIT_CASE(directory_pointers_are_missing),
	KUNIT_CASE(bad_directory_pointers),
	KUNIT_CASE(apic_base_of_any_mode),
	KUNIT_CASE(sregs_need_cpuid),
	KUNIT_CASE(vm86_segments),
	KUNIT_CASE(bad_events),
	KUNIT_CASE(clock),
	{}
};

static struct kunit_suite state_suite = {
	.name = "gondola_state",
	.suite_init = state_suite_init,
	.suite_exit = state_suite_exit,
	.init = state_init,
	.exit = state_exit,
	.test_cases = state_cases,
};
kunit_test_suite(state_suite);
