// SPDX-License-Identifier: GPL-2.0-only
/* Control registers, CPUID and MSRs: refusals and side effects. */
#include <kunit/test.h>
#include <linux/slab.h>
#include <uapi/linux/gondola_pv.h>
#include "control.h"
#include "host/time.h"
#include "irq/irq.h"
#include "mmu/test_world.h"
#include "vcpu.h"

/* The engine's state, beside the world. */
static struct gondola_segment segments[GONDOLA_NR_SEGS];
static u64 engine_msrs[64];
static unsigned int updates;

static void get_segment(struct gondola_vcpu *vcpu, enum gondola_seg seg,
			struct gondola_segment *out)
{
	*out = segments[seg];
}

static void update_control(struct gondola_vcpu *vcpu)
{
	updates++;
}

static void set_dr7(struct gondola_vcpu *vcpu, u64 dr7)
{
}

static void set_tsc_offset(struct gondola_vcpu *vcpu)
{
}

/* An engine without TSC_AUX. */
static int get_msr(struct gondola_vcpu *vcpu, u32 index, u64 *value)
{
	if (index == MSRX_TSC_AUX)
		return -ENOENT;
	*value = engine_msrs[index % ARRAY_SIZE(engine_msrs)];
	return 0;
}

static int set_msr(struct gondola_vcpu *vcpu, u32 index, u64 value)
{
	if (index == MSRX_TSC_AUX)
		return -ENOENT;
	engine_msrs[index % ARRAY_SIZE(engine_msrs)] = value;
	return 0;
}

static struct gondola_cpuid_entry *supported(struct kunit *test, u32 *count)
{
	struct gondola_cpuid_entry *list;

	list = kunit_kcalloc(test, GONDOLA_MAX_CPUID, sizeof(*list), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, list);
	*count = GONDOLA_MAX_CPUID;
	KUNIT_ASSERT_EQ(test, gondola_supported_cpuid(NULL, list, count), 0);
	return list;
}

static struct gondola_cpuid_entry *leaf_of(struct gondola_cpuid_entry *list, u32 count,
					   u32 function)
{
	u32 i;

	for (i = 0; i < count; i++)
		if (list[i].function == function)
			return &list[i];
	return NULL;
}

static int control_init(struct kunit *test)
{
	struct gondola_cpuid_entry *list;
	struct world *w = world_create(64);
	u32 count;

	KUNIT_ASSERT_NOT_NULL(test, w);
	test->priv = w;
	w->engine.get_segment = get_segment;
	w->engine.update_control = update_control;
	w->engine.set_dr7 = set_dr7;
	w->engine.set_tsc_offset = set_tsc_offset;
	w->engine.get_msr = get_msr;
	w->engine.set_msr = set_msr;
	memset(segments, 0, sizeof(segments));
	memset(engine_msrs, 0, sizeof(engine_msrs));
	segments[GONDOLA_TR].ar = 0xb | GONDOLA_AR_P;
	KUNIT_ASSERT_EQ(test, world_map(w, 0, 0, 0, 256, 0), 0);
	KUNIT_ASSERT_EQ(test, gondola_irqchip_create(&w->vm), 0);
	KUNIT_ASSERT_EQ(test, gondola_lapic_create(&w->vcpu), 0);
	list = supported(test, &count);
	KUNIT_ASSERT_EQ(test, gondola_set_cpuid(&w->vcpu, list, count), 0);
	w->vcpu.cr0 = CR0_PE | CR0_ET;
	w->vcpu.xcr0 = 1;
	gondola_mmu_mode_changed(&w->vcpu);
	return 0;
}

static void control_exit(struct kunit *test)
{
	struct world *w = test->priv;

	if (!w)
		return;
	kfree(w->vcpu.cpuid);
	gondola_lapic_destroy(&w->vcpu);
	gondola_irqchip_destroy(&w->vm);
	world_destroy(w);
}

static struct gondola_vcpu *vcpu_of(struct kunit *test)
{
	return &((struct world *)test->priv)->vcpu;
}

static void enter_long_mode(struct kunit *test)
{
	struct gondola_vcpu *vcpu = vcpu_of(test);

	KUNIT_ASSERT_EQ(test, gondola_set_cr4(vcpu, CR4_PAE), 0);
	KUNIT_ASSERT_EQ(test, gondola_set_efer(vcpu, EFER_F_LME | EFER_F_NXE), 0);
	KUNIT_ASSERT_EQ(test, gondola_set_cr0(vcpu, CR0_PE | CR0_PG), 0);
}

static void cr0_is_checked(struct kunit *test)
{
	struct gondola_vcpu *vcpu = vcpu_of(test);
	u64 before = vcpu->cr0;

	KUNIT_EXPECT_EQ(test, gondola_set_cr0(vcpu, CR0_PG), -EINVAL);
	KUNIT_EXPECT_EQ(test, gondola_set_cr0(vcpu, CR0_PE | CR0_NW), -EINVAL);
	KUNIT_EXPECT_EQ(test, gondola_set_cr0(vcpu, CR0_PE | BIT_ULL(32)), -EINVAL);
	KUNIT_EXPECT_EQ(test, vcpu->cr0, before);
	/* Reserved bits of the low half are ignored, and ET is always set. */
	KUNIT_EXPECT_EQ(test, gondola_set_cr0(vcpu, CR0_PE | BIT_ULL(10) | BIT_ULL(28)), 0);
	KUNIT_EXPECT_EQ(test, vcpu->cr0, CR0_PE | CR0_ET);
}

static void long_mode_is_entered_by_paging(struct kunit *test)
{
	struct gondola_vcpu *vcpu = vcpu_of(test);

	KUNIT_ASSERT_EQ(test, gondola_set_efer(vcpu, EFER_F_LME), 0);
	KUNIT_EXPECT_FALSE(test, gondola_long_mode(vcpu));
	/* Long mode needs PAE, no 64-bit code segment, and a 32-bit TSS. */
	KUNIT_EXPECT_EQ(test, gondola_set_cr0(vcpu, CR0_PE | CR0_PG), -EINVAL);
	KUNIT_ASSERT_EQ(test, gondola_set_cr4(vcpu, CR4_PAE), 0);
	segments[GONDOLA_CS].ar = GONDOLA_AR_L;
	KUNIT_EXPECT_EQ(test, gondola_set_cr0(vcpu, CR0_PE | CR0_PG), -EINVAL);
	segments[GONDOLA_CS].ar = 0;
	segments[GONDOLA_TR].ar = 3 | GONDOLA_AR_P;
	KUNIT_EXPECT_EQ(test, gondola_set_cr0(vcpu, CR0_PE | CR0_PG), -EINVAL);
	segments[GONDOLA_TR].ar = 0xb | GONDOLA_AR_P;
	KUNIT_EXPECT_EQ(test, gondola_set_cr0(vcpu, CR0_PE | CR0_PG), 0);
	KUNIT_EXPECT_TRUE(test, gondola_long_mode(vcpu));

	KUNIT_EXPECT_EQ(test, gondola_set_cr4(vcpu, 0), -EINVAL);
	KUNIT_EXPECT_EQ(test, gondola_set_efer(vcpu, 0), -EINVAL);
	/* LMA cannot be written. */
	KUNIT_EXPECT_EQ(test, gondola_set_efer(vcpu, EFER_F_LME), 0);
	KUNIT_EXPECT_TRUE(test, gondola_long_mode(vcpu));
	segments[GONDOLA_CS].ar = GONDOLA_AR_L;
	KUNIT_EXPECT_EQ(test, gondola_set_cr0(vcpu, CR0_PE), -EINVAL);
	segments[GONDOLA_CS].ar = 0;
	KUNIT_EXPECT_EQ(test, gondola_set_cr0(vcpu, CR0_PE), 0);
	KUNIT_EXPECT_FALSE(test, gondola_long_mode(vcpu));
	KUNIT_EXPECT_EQ(test, vcpu->efer, EFER_F_LME);
}

static void pae_directory_pointers_are_checked(struct kunit *test)
{
	struct world *w = test->priv;
	struct gondola_vcpu *vcpu = &w->vcpu;

	KUNIT_ASSERT_EQ(test, gondola_set_cr4(vcpu, CR4_PAE), 0);
	KUNIT_ASSERT_EQ(test, gondola_set_cr3(vcpu, 0x1000), 0);
	*world_u64(w, 0x1008) = 0x2000 | PT_P | PT_W;	/* reserved in a directory pointer */
	KUNIT_EXPECT_EQ(test, gondola_set_cr0(vcpu, CR0_PE | CR0_PG), -EINVAL);
	KUNIT_EXPECT_FALSE(test, gondola_paging(vcpu));
	*world_u64(w, 0x1008) = 0x2000 | PT_P;
	KUNIT_EXPECT_EQ(test, gondola_set_cr0(vcpu, CR0_PE | CR0_PG), 0);
	KUNIT_EXPECT_EQ(test, vcpu->mmu.pdptes[1], 0x2000 | PT_P);
	/* A bad table leaves CR3 as it was. */
	*world_u64(w, 0x3000) = 0x2000 | PT_P | PT_U;
	KUNIT_EXPECT_EQ(test, gondola_set_cr3(vcpu, 0x3000), -EINVAL);
	KUNIT_EXPECT_EQ(test, vcpu->cr3, 0x1000ull);
	/* A change of PGE loads them again. */
	*world_u64(w, 0x1008) = 0x4000 | PT_P;
	KUNIT_EXPECT_EQ(test, gondola_set_cr4(vcpu, CR4_PAE | CR4_PGE), 0);
	KUNIT_EXPECT_EQ(test, vcpu->mmu.pdptes[1], 0x4000 | PT_P);
}

/* Post-copy: pointers in missing memory are not refused. */
static void pae_directory_pointers_are_missing(struct kunit *test)
{
	struct gondola_vcpu *vcpu = vcpu_of(test);
	struct world *w = test->priv;

	KUNIT_ASSERT_EQ(test, gondola_set_cr4(vcpu, CR4_PAE), 0);
	KUNIT_ASSERT_EQ(test, gondola_set_cr3(vcpu, 0x3000), 0);
	*world_u64(w, 0x3000) = 0x2000 | PT_P;
	*world_u64(w, 0x5000) = 0x4000 | PT_P;
	w->host_absent[3] = true;
	KUNIT_EXPECT_EQ(test, gondola_set_cr0(vcpu, CR0_PE | CR0_PG), -EAGAIN);
	KUNIT_EXPECT_EQ(test, vcpu->missing, 0x3000ull);
	KUNIT_EXPECT_FALSE(test, vcpu->missing_write);
	KUNIT_EXPECT_FALSE(test, gondola_paging(vcpu));
	w->host_absent[3] = false;
	KUNIT_EXPECT_EQ(test, gondola_set_cr0(vcpu, CR0_PE | CR0_PG), 0);

	w->host_absent[5] = true;
	KUNIT_EXPECT_EQ(test, gondola_set_cr3(vcpu, 0x5000), -EAGAIN);
	KUNIT_EXPECT_EQ(test, vcpu->missing, 0x5000ull);
	KUNIT_EXPECT_EQ(test, vcpu->cr3, 0x3000ull);
	w->host_absent[5] = false;
	KUNIT_EXPECT_EQ(test, gondola_set_cr3(vcpu, 0x5000), 0);

	world_host_takes(w, 5);
	w->host_absent[5] = true;
	KUNIT_EXPECT_EQ(test, gondola_set_cr4(vcpu, CR4_PAE | CR4_PGE), -EAGAIN);
	KUNIT_EXPECT_EQ(test, vcpu->cr4, CR4_PAE);
	w->host_absent[5] = false;
	KUNIT_EXPECT_EQ(test, gondola_set_cr4(vcpu, CR4_PAE | CR4_PGE), 0);
	KUNIT_EXPECT_EQ(test, vcpu->mmu.pdptes[0], 0x4000 | PT_P);
}

static void cr3_and_pcid(struct kunit *test)
{
	struct gondola_vcpu *vcpu = vcpu_of(test);

	KUNIT_EXPECT_EQ(test, gondola_set_cr4(vcpu, CR4_PAE | CR4_PCIDE), -EINVAL);
	enter_long_mode(test);
	KUNIT_EXPECT_EQ(test, gondola_set_cr3(vcpu, BIT_ULL(vcpu->maxphyaddr)), -EINVAL);
	KUNIT_EXPECT_EQ(test, gondola_set_cr3(vcpu, 0x1000 | CR3_NOFLUSH), -EINVAL);
	KUNIT_EXPECT_EQ(test, gondola_set_cr3(vcpu, 0x1005), 0);
	/* PCIDs start at zero. */
	KUNIT_EXPECT_EQ(test, gondola_set_cr4(vcpu, CR4_PAE | CR4_PCIDE), -EINVAL);
	KUNIT_EXPECT_EQ(test, gondola_set_cr3(vcpu, 0x1000), 0);
	KUNIT_EXPECT_EQ(test, gondola_set_cr4(vcpu, CR4_PAE | CR4_PCIDE), 0);
	KUNIT_EXPECT_EQ(test, gondola_set_cr3(vcpu, 0x1005 | CR3_NOFLUSH), 0);
	KUNIT_EXPECT_EQ(test, vcpu->cr3, 0x1005ull);
	KUNIT_EXPECT_EQ(test, gondola_set_cr0(vcpu, CR0_PE), -EINVAL);
}

static void cr4_follows_cpuid(struct kunit *test)
{
	struct gondola_vcpu *vcpu = vcpu_of(test);

	KUNIT_EXPECT_EQ(test, gondola_set_cr4(vcpu, CR4_VMXE), -EINVAL);
	KUNIT_EXPECT_EQ(test, gondola_set_cr4(vcpu, CR4_LA57), -EINVAL);
	KUNIT_EXPECT_EQ(test, gondola_set_cr4(vcpu, CR4_SMEP), -EINVAL);	/* the host has none */
	KUNIT_EXPECT_EQ(test, gondola_set_cr4(vcpu, BIT_ULL(40)), -EINVAL);
	KUNIT_EXPECT_EQ(test, vcpu->cr4, 0ull);
	updates = 0;
	KUNIT_EXPECT_EQ(test, gondola_set_cr4(vcpu, CR4_PGE | CR4_OSFXSR | CR4_MCE), 0);
	KUNIT_EXPECT_EQ(test, updates, 1u);
}

static void other_registers(struct kunit *test)
{
	struct gondola_vcpu *vcpu = vcpu_of(test);
	u64 value;

	KUNIT_EXPECT_EQ(test, gondola_set_cr8(vcpu, 16), -EINVAL);
	KUNIT_EXPECT_EQ(test, gondola_set_cr8(vcpu, 15), 0);
	KUNIT_EXPECT_EQ(test, gondola_lapic_cr8(vcpu), 15ull);
	KUNIT_EXPECT_EQ(test, gondola_get_cr(vcpu, 8, &value), 0);
	KUNIT_EXPECT_EQ(test, value, 15ull);
	KUNIT_EXPECT_EQ(test, gondola_get_cr(vcpu, 4, &value), 0);
	KUNIT_EXPECT_EQ(test, value, vcpu->cr4);
	KUNIT_EXPECT_EQ(test, gondola_get_cr(vcpu, 1, &value), -EINVAL);
	KUNIT_EXPECT_EQ(test, gondola_set_dr(vcpu, 7, BIT_ULL(32)), -EINVAL);
	KUNIT_EXPECT_EQ(test, gondola_set_dr(vcpu, 5, 0xffffffff), 0);
	KUNIT_EXPECT_EQ(test, gondola_get_dr(vcpu, 7, &value), 0);
	KUNIT_EXPECT_EQ(test, value, 0xffff27ffull);
	KUNIT_EXPECT_EQ(test, gondola_set_dr(vcpu, 6, 0), 0);
	KUNIT_EXPECT_EQ(test, vcpu->dr6, DR6_FIXED);
	KUNIT_EXPECT_EQ(test, gondola_set_xcr(vcpu, 0, 1), 0);
	KUNIT_EXPECT_EQ(test, gondola_set_xcr(vcpu, 0, 0), -EINVAL);
	KUNIT_EXPECT_EQ(test, gondola_set_xcr(vcpu, 0, 3), -EINVAL);	/* the host has no XSAVE */
	KUNIT_EXPECT_EQ(test, gondola_set_xcr(vcpu, 1, 1), -EINVAL);
}

static void cpuid_takes_subsets_only(struct kunit *test)
{
	struct gondola_vcpu *vcpu = vcpu_of(test);
	struct gondola_cpuid_entry *list, *leaf;
	u32 count, room = 3;

	list = supported(test, &count);
	KUNIT_EXPECT_EQ(test, gondola_supported_cpuid(NULL, list, &room), -E2BIG);
	KUNIT_EXPECT_EQ(test, room, count);
	KUNIT_EXPECT_EQ(test, gondola_set_cpuid(vcpu, list, 0), -EINVAL);

	leaf = leaf_of(list, count, 1);
	KUNIT_ASSERT_NOT_NULL(test, leaf);
	leaf->ecx |= BIT(5);					/* VMX */
	KUNIT_EXPECT_EQ(test, gondola_set_cpuid(vcpu, list, count), -EINVAL);
	leaf->ecx &= ~(BIT(5) | BIT(17));			/* no XSAVE and no PCID */
	leaf->eax = 0x12345;					/* a model is free */
	KUNIT_EXPECT_EQ(test, gondola_set_cpuid(vcpu, list, count), 0);
	KUNIT_EXPECT_FALSE(test, vcpu->cr4_allowed & CR4_PCIDE);

	leaf->pad = 1;
	KUNIT_EXPECT_EQ(test, gondola_set_cpuid(vcpu, list, count), -EINVAL);
	leaf->pad = 0;
	leaf = leaf_of(list, count, 0x80000008);
	KUNIT_ASSERT_NOT_NULL(test, leaf);
	leaf->eax += 1;						/* an address bit that the host lacks */
	KUNIT_EXPECT_EQ(test, gondola_set_cpuid(vcpu, list, count), -EINVAL);
	leaf->eax -= 5;
	KUNIT_EXPECT_EQ(test, gondola_set_cpuid(vcpu, list, count), 0);
	KUNIT_EXPECT_EQ(test, vcpu->maxphyaddr, 36);
	KUNIT_EXPECT_TRUE(test, vcpu->mmu.role.maxphyaddr == 36);
	list[count] = list[0];
	KUNIT_EXPECT_EQ(test, gondola_set_cpuid(vcpu, list, count + 1), -EINVAL);
	list[count] = (struct gondola_cpuid_entry){ .function = 0x99, .eax = 1 };
	KUNIT_EXPECT_EQ(test, gondola_set_cpuid(vcpu, list, count + 1), -EINVAL);
}

static void cpuid(struct gondola_vcpu *vcpu, u32 function, u32 index, u32 *r)
{
	r[0] = function;
	r[2] = index;
	gondola_cpuid(vcpu, &r[0], &r[1], &r[2], &r[3]);
}

static u32 off_by_khz(u32 khz)
{
	u32 host = gondola_host_tsc_khz();

	return khz > host ? khz - host : host - khz;
}

static void cpuid_answers(struct kunit *test)
{
	struct gondola_vcpu *vcpu = vcpu_of(test);
	u32 r[4];

	cpuid(vcpu, 1, 0, r);
	KUNIT_EXPECT_EQ(test, r[1] >> 24, vcpu->id);
	/* x2APIC, TSC deadline, hypervisor and PCID on every host; no VMX, no MONITOR. */
	KUNIT_EXPECT_EQ(test, r[2] & (BIT(21) | BIT(24) | BIT(31) | BIT(17)),
			BIT(21) | BIT(24) | BIT(31) | BIT(17));
	KUNIT_EXPECT_EQ(test, r[2] & (BIT(5) | BIT(3) | BIT(27)), 0u);
	KUNIT_EXPECT_TRUE(test, r[3] & BIT(9));
	/* The APIC's bit follows its base register. */
	KUNIT_ASSERT_EQ(test, gondola_set_msr(vcpu, MSRX_APIC_BASE, 0xfee00000), 0);
	cpuid(vcpu, 1, 0, r);
	KUNIT_EXPECT_FALSE(test, r[3] & BIT(9));

	cpuid(vcpu, GONDOLA_KVM_SIGNATURE, 0, r);
	KUNIT_EXPECT_EQ(test, r[0], GONDOLA_KVM_FEATURES);
	KUNIT_EXPECT_EQ(test, memcmp(&r[1], "KVMKVMKVM\0\0\0", 12), 0);
	cpuid(vcpu, GONDOLA_CPUID_BASE, 0, r);
	KUNIT_EXPECT_EQ(test, memcmp(&r[1], "gondola\0\0\0\0\0", 12), 0);

	/* TSC = crystal * EBX / EAX, in 32 bits, to within 100 ppm. */
	cpuid(vcpu, 0x15, 0, r);
	KUNIT_ASSERT_NE(test, r[0], 0u);
	KUNIT_EXPECT_LE(test, (u64)(r[2] / 1000) * r[1], (u64)U32_MAX);
	KUNIT_EXPECT_LE(test, off_by_khz(r[2] / 1000 * r[1] / r[0]),
			gondola_host_tsc_khz() / 10000);
	/* Topology: levels return their number; those beyond the last have no type. */
	cpuid(vcpu, 0xb, 5, r);
	KUNIT_EXPECT_EQ(test, r[2], 5u);
	KUNIT_EXPECT_EQ(test, r[3], vcpu->id);
	cpuid(vcpu, 0x12345678, 0, r);
	KUNIT_EXPECT_EQ(test, r[0] | r[1] | r[2] | r[3], 0u);
}

static void msrs_are_kept(struct kunit *test)
{
	static const struct {
		u32 index;
		u64 value;
		int err;
	} writes[] = {
		{ MSRX_PAT, 0x0007040600070406, 0 },
		{ MSRX_PAT, 0x0207040600070406, -EINVAL },
		{ MSRX_MTRR_DEF_TYPE, 0xc06, 0 },
		{ MSRX_MTRR_DEF_TYPE, 0xc02, -EINVAL },
		{ MSRX_MTRR_BASE, 0x80000000, 0 },
		{ MSRX_MTRR_BASE, BIT_ULL(50), -EINVAL },
		{ MSRX_MTRR_BASE + 1, 0xff80000800, 0 },
		{ MSRX_MTRR_FIX_4K + 7, 0x0505050505050505, 0 },
		{ MSRX_MTRR_FIX_64K, 0x0303030303030303, -EINVAL },
		{ MSRX_FS_BASE, 0xffff888000000000, 0 },
		{ MSRX_FS_BASE, 0x0000800000000000, -EINVAL },
		{ MSRX_TSC_AUX, 1, -EINVAL },		/* the engine cannot */
		{ MSRX_MTRRCAP, 0, -EINVAL },
		{ MSRX_DEBUGCTL, 0, 0 },
		{ MSRX_DEBUGCTL, DEBUGCTL_BTF, 0 },
		{ MSRX_DEBUGCTL, 4, -EINVAL },
		{ 0x12345678, 0, -EINVAL },
	};
	struct gondola_vcpu *vcpu = vcpu_of(test);
	u64 value;
	int i;

	for (i = 0; i < ARRAY_SIZE(writes); i++) {
		KUNIT_EXPECT_EQ_MSG(test, gondola_set_msr(vcpu, writes[i].index, writes[i].value),
				    writes[i].err, "MSR 0x%x", writes[i].index);
		if (writes[i].err)
			continue;
		KUNIT_EXPECT_EQ(test, gondola_get_msr(vcpu, writes[i].index, &value), 0);
		KUNIT_EXPECT_EQ_MSG(test, value, writes[i].value, "MSR 0x%x", writes[i].index);
	}
	KUNIT_EXPECT_EQ(test, gondola_get_msr(vcpu, 0x12345678, &value), -EINVAL);
	/* Fast strings are on after reset; Linux checks it. */
	KUNIT_EXPECT_EQ(test, gondola_get_msr(vcpu, MSRX_MISC_ENABLE, &value), 0);
	KUNIT_EXPECT_TRUE(test, value & 1);
}

/* Last branches are not recorded.  BTF is cleared by the #DB of a step. */
static void debugctl_follows_debug_exceptions(struct kunit *test)
{
	struct gondola_vcpu *vcpu = vcpu_of(test);
	u64 value;

	KUNIT_ASSERT_EQ(test, gondola_set_msr(vcpu, MSRX_DEBUGCTL, DEBUGCTL_LBR), 0);
	KUNIT_EXPECT_EQ(test, gondola_get_msr(vcpu, MSRX_DEBUGCTL, &value), 0);
	KUNIT_EXPECT_EQ(test, value, 0ull);
	KUNIT_ASSERT_EQ(test, gondola_set_msr(vcpu, MSRX_DEBUGCTL, DEBUGCTL_BTF), 0);
	gondola_debug_exception(vcpu, DR6_BS);
	KUNIT_EXPECT_EQ(test, gondola_get_msr(vcpu, MSRX_DEBUGCTL, &value), 0);
	KUNIT_EXPECT_EQ(test, value, 0ull);
}

static void general_detect(struct kunit *test)
{
	struct gondola_vcpu *vcpu = vcpu_of(test);

	KUNIT_ASSERT_EQ(test, gondola_set_dr(vcpu, 6, 0xf), 0);
	KUNIT_EXPECT_FALSE(test, gondola_general_detect(vcpu));
	KUNIT_ASSERT_EQ(test, gondola_set_dr(vcpu, 7, DR7_GD), 0);
	KUNIT_EXPECT_TRUE(test, gondola_general_detect(vcpu));
	KUNIT_EXPECT_EQ(test, vcpu->dr6, DR6_FIXED | DR6_BD);
	/* The handler can then read the debug registers. */
	KUNIT_EXPECT_EQ(test, vcpu->dr7, DR7_FIXED);
	KUNIT_EXPECT_FALSE(test, gondola_general_detect(vcpu));
}

/* Which vendors, by their first letters, have the four counters that stand still. */
static void counters_are_of_amd_processors(struct kunit *test)
{
	static const struct {
		u32 ebx;
		int err;
	} vendors[] = {
		{ 0x68747541, 0 },		/* AuthenticAMD */
		{ 0x6f677948, 0 },		/* HygonGenuine */
		{ 0x756e6547, -EINVAL },	/* GenuineIntel */
	};
	struct gondola_vcpu *vcpu = vcpu_of(test);
	struct gondola_cpuid_entry *list, *leaf;
	u32 count, index;
	u64 value;
	int i;

	list = supported(test, &count);
	leaf = leaf_of(list, count, 0);
	KUNIT_ASSERT_NOT_NULL(test, leaf);
	for (i = 0; i < ARRAY_SIZE(vendors); i++) {
		leaf->ebx = vendors[i].ebx;
		KUNIT_ASSERT_EQ(test, gondola_set_cpuid(vcpu, list, count), 0);
		for (index = 0xc0010000; index < 0xc0010008; index++) {
			value = 1;
			KUNIT_EXPECT_EQ(test, gondola_set_msr(vcpu, index, 5), vendors[i].err);
			KUNIT_EXPECT_EQ(test, gondola_get_msr(vcpu, index, &value), vendors[i].err);
			KUNIT_EXPECT_EQ(test, value, 0ull);
		}
		KUNIT_EXPECT_EQ(test, gondola_get_msr(vcpu, 0xc0010008, &value), -EINVAL);
	}
}

static void tsc_and_its_adjustment(struct kunit *test)
{
	struct gondola_vcpu *vcpu = vcpu_of(test);
	u64 value, before = gondola_guest_tsc(vcpu);

	KUNIT_ASSERT_EQ(test, gondola_set_msr(vcpu, MSRX_TSC, 1000), 0);
	KUNIT_EXPECT_EQ(test, gondola_guest_tsc(vcpu), 1000ull);
	KUNIT_ASSERT_EQ(test, gondola_get_msr(vcpu, MSRX_TSC_ADJUST, &value), 0);
	KUNIT_EXPECT_EQ(test, value, 1000 - before);
	KUNIT_ASSERT_EQ(test, gondola_set_msr(vcpu, MSRX_TSC_ADJUST, value + 500), 0);
	KUNIT_EXPECT_EQ(test, gondola_guest_tsc(vcpu), 1500ull);
	/* Restoring them in either order does not change the other. */
	KUNIT_ASSERT_EQ(test, gondola_restore_msr(vcpu, MSRX_TSC_ADJUST, 7), 0);
	KUNIT_ASSERT_EQ(test, gondola_restore_msr(vcpu, MSRX_TSC, 2000), 0);
	KUNIT_EXPECT_EQ(test, gondola_guest_tsc(vcpu), 2000ull);
	KUNIT_ASSERT_EQ(test, gondola_get_msr(vcpu, MSRX_TSC_ADJUST, &value), 0);
	KUNIT_EXPECT_EQ(test, value, 7ull);
}

static void saved_msrs_restore(struct kunit *test)
{
	struct gondola_vcpu *vcpu = vcpu_of(test);
	u32 *indices, n, i;
	u64 value;

	indices = kunit_kcalloc(test, GONDOLA_MAX_MSRS, sizeof(*indices), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, indices);
	n = gondola_msr_list(indices, GONDOLA_MAX_MSRS);
	KUNIT_ASSERT_GT(test, n, 20u);
	for (i = 0; i < n; i++) {
		if (gondola_get_msr(vcpu, indices[i], &value))
			continue;
		KUNIT_EXPECT_EQ_MSG(test, gondola_restore_msr(vcpu, indices[i], value), 0,
				    "MSR 0x%x", indices[i]);
	}
}

static void clock_is_published(struct kunit *test)
{
	struct world *w = test->priv;
	struct gondola_vcpu *vcpu = &w->vcpu;
	u64 ns, mul;
	s8 shift;

	KUNIT_EXPECT_EQ(test, gondola_set_msr(vcpu, GONDOLA_KVM_SYSTEM_TIME, 0x5003), -EINVAL);
	KUNIT_EXPECT_EQ(test, gondola_set_msr(vcpu, GONDOLA_KVM_SYSTEM_TIME, 0x7000000001), -EINVAL);
	KUNIT_ASSERT_EQ(test, gondola_set_msr(vcpu, GONDOLA_KVM_SYSTEM_TIME, 0x5001), 0);
	KUNIT_EXPECT_NE(test, *world_u32(w, 0x5000), 0u);
	KUNIT_EXPECT_EQ(test, *world_u32(w, 0x5000) & 1, 0u);
	mul = *world_u32(w, 0x5018);
	shift = w->memory[0x501c];
	KUNIT_EXPECT_EQ(test, w->memory[0x501d], 1);	/* stable */
	/* A second of the TSC, as guests compute it. */
	ns = (u64)gondola_host_tsc_khz() * 1000;
	ns = shift < 0 ? ns >> -shift : ns << shift;
	ns = ns * mul >> 32;
	KUNIT_EXPECT_GE(test, ns, 999999990ull);
	KUNIT_EXPECT_LE(test, ns, 1000000000ull);
	KUNIT_ASSERT_EQ(test, gondola_set_msr(vcpu, GONDOLA_KVM_WALL_CLOCK, 0x6000), 0);
	KUNIT_EXPECT_LT(test, *world_u32(w, 0x6008), 1000000000u);
}

static int control_suite_init(struct kunit_suite *suite)
{
	return gondola_mmu_module_init();
}

static void control_suite_exit(struct kunit_suite *suite)
{
	gondola_mmu_module_exit();
}

static struct kunit_case control_cases[] = {
	KUNIT_CASE(cr0_is_checked),
	KUNIT_CASE(long_mode_is_entered_by_paging),
	KUNIT_CASE(pae_directory_pointers_are_checked),
	KUNIT_CASE(pae_directory_pointers_are_missing),
	KUNIT_CASE(cr3_and_pcid),
	KUNIT_CASE(cr4_follows_cpuid),
	KUNIT_CASE(other_registers),
	KUNIT_CASE(cpuid_takes_subsets_only),
	KUNIT_CASE(cpuid_answers),
	KUNIT_CASE(msrs_are_kept),
	KUNIT_CASE(debugctl_follows_debug_exceptions),
	KUNIT_CASE(general_detect),
	KUNIT_CASE(counters_are_of_amd_processors),
	KUNIT_CASE(tsc_and_its_adjustment),
	KUNIT_CASE(saved_msrs_restore),
	KUNIT_CASE(clock_is_published),
	{}
};

static struct kunit_suite control_suite = {
	.name = "gondola_control",
	.suite_init = control_suite_init,
	.suite_exit = control_suite_exit,
	.init = control_init,
	.exit = control_exit,
	.test_cases = control_cases,
};
kunit_test_suite(control_suite);
