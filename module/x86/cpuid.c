// SPDX-License-Identifier: GPL-2.0-only
/*
 * The CPUID policy: the features that a guest may have (the host's, as far as gondola supports
 * them, and those that gondola adds), and a vCPU's answers.
 */
#include <linux/errno.h>
#include <linux/kernel.h>
#include <linux/math64.h>
#include <linux/slab.h>
#include <linux/sort.h>
#include <linux/string.h>
#include <uapi/linux/gondola_pv.h>
#include "internal.h"
#include "host/cpu.h"
#include "host/time.h"
#include "irq/irq.h"
#include "vcpu.h"

enum { EAX, EBX, ECX, EDX };

#define ALL	0xffffffffu

/* The MMU does PCID in software, since writes of CR3 and CR4 exit anyway: every host can offer it. */
#define SOFT_PCID	BIT(17)

/* Bits used by the table below and by the code that reads a vCPU's CPUID. */
#define L1C_XSAVE	BIT(26)
#define L1C_OSXSAVE	BIT(27)
#define L1C_X2APIC	BIT(21)
#define L1C_DEADLINE	BIT(24)
#define L1C_HYPERVISOR	BIT(31)
#define L1D_APIC	BIT(9)
#define L1D_MTRR	BIT(12)
#define L6A_ARAT	BIT(2)
#define L7B_TSC_ADJUST	BIT(1)
#define L7C_RDPID	BIT(22)
#define LD1A_XSAVEC	BIT(1)
#define LX1D_RDTSCP	BIT(27)
#define LX7D_INVARIANT	BIT(8)

/* XCR0 components whose state is switched: x87, SSE, AVX, AVX-512. */
#define XCR0_OFFERED	0xe7ull

/* Leaf 0x15's crystal is the clock of the APIC timer (irq/). */
#define CRYSTAL_KHZ	(GONDOLA_LAPIC_HZ / 1000)

/**
 * struct leaf - a row of the policy
 * @function: input EAX
 * @index: input ECX
 * @host: bits taken from the host
 * @soft: bits that gondola offers on every host
 * @any: bits that the launcher may choose, because nothing here depends on them
 * @indexed: the answer depends on ECX
 * @fix: changes beyond masks; false: the leaf is not offered
 */
struct leaf {
	u32 function;
	u32 index;
	u32 host[4];
	u32 soft[4];
	u32 any[4];
	bool indexed;
	bool (*fix)(struct gondola_cpuid_entry *e, const struct gondola_engine_ops *engine);
};

/* CPUID of the processor that executes: the host's, unless the engine has its own. */
static void processor_cpuid(const struct gondola_engine_ops *engine, u32 function, u32 index,
			    u32 *eax, u32 *ebx, u32 *ecx, u32 *edx)
{
	if (engine && engine->cpuid)
		engine->cpuid(function, index, eax, ebx, ecx, edx);
	else
		gondola_host_cpuid(function, index, eax, ebx, ecx, edx);
}

static u64 processor_xcr0(const struct gondola_engine_ops *engine)
{
	return engine && engine->cpuid ? 0 : gondola_host_xcr0();
}

static bool is_intel(const struct gondola_engine_ops *engine)
{
	u32 eax, ebx, ecx, edx;

	processor_cpuid(engine, 0, 0, &eax, &ebx, &ecx, &edx);
	return ebx == 0x756e6547 && edx == 0x49656e69 && ecx == 0x6c65746e;
}

/* For a missing leaf a processor answers with its last one, which is no answer. */
static bool processor_has(const struct gondola_engine_ops *engine, u32 function)
{
	u32 eax, ebx, ecx, edx;

	processor_cpuid(engine, function & 0x80000000, 0, &eax, &ebx, &ecx, &edx);
	return function <= eax;
}

static bool fix_max_basic(struct gondola_cpuid_entry *e, const struct gondola_engine_ops *engine)
{
	e->eax = is_intel(engine) ? 0x16 : 0xd;
	return true;
}

static bool fix_signature(struct gondola_cpuid_entry *e, const struct gondola_engine_ops *engine)
{
	/* Bytes: CLFLUSH line from the host, one logical processor, APIC id by vCPU. */
	e->ebx = (e->ebx & 0xff00) | 1 << 16;
	if (!processor_xcr0(engine))
		e->ecx &= ~(L1C_XSAVE | BIT(12) | BIT(28) | BIT(29));	/* FMA, AVX, F16C */
	return true;
}

static bool fix_intel(struct gondola_cpuid_entry *e, const struct gondola_engine_ops *engine)
{
	return is_intel(engine);
}

static bool fix_cache(struct gondola_cpuid_entry *e, const struct gondola_engine_ops *engine)
{
	/* Type 0 ends the list.  The launcher sets how caches are shared. */
	e->eax &= 0x3fff;
	return is_intel(engine) && (e->eax & 0x1f);
}

static bool fix_structured(struct gondola_cpuid_entry *e, const struct gondola_engine_ops *engine)
{
	u64 xcr0 = processor_xcr0(engine);

	if (!(xcr0 & BIT(2)))
		e->ebx &= ~BIT(5);			/* AVX2 */
	if ((xcr0 & 0xe0) != 0xe0) {			/* all of AVX-512 */
		e->ebx &= ~(BIT(16) | BIT(17) | BIT(21) | BIT(28) | BIT(30) | BIT(31));
		e->ecx &= ~(BIT(1) | BIT(6) | BIT(11) | BIT(12) | BIT(14));
	}
	if (!(xcr0 & BIT(2)))
		e->ecx &= ~(BIT(9) | BIT(10));		/* VAES, VPCLMULQDQ */
	return true;
}

static bool fix_xsave(struct gondola_cpuid_entry *e, const struct gondola_engine_ops *engine)
{
	e->eax = processor_xcr0(engine) & XCR0_OFFERED;
	return e->eax;
}

static bool fix_xsave_more(struct gondola_cpuid_entry *e, const struct gondola_engine_ops *engine)
{
	return processor_xcr0(engine);
}

static bool fix_xsave_component(struct gondola_cpuid_entry *e, const struct gondola_engine_ops *engine)
{
	return processor_xcr0(engine) & XCR0_OFFERED & BIT_ULL(e->index);
}

/*
 * TSC frequency = crystal * EBX / EAX.  Guests multiply in 32 bits, which bounds EAX.  Within this
 * bound choose the fraction with the least error.
 */
static bool fix_tsc_ratio(struct gondola_cpuid_entry *e, const struct gondola_engine_ops *engine)
{
	u64 khz = gondola_host_tsc_khz();
	u64 best = ~0ull, error;
	u32 den, num, max;

	max = clamp_t(u64, ~0u / khz, 1, 4096);
	for (den = 1; den <= max; den++) {
		num = (u32)((khz * den + CRYSTAL_KHZ / 2) / CRYSTAL_KHZ);
		if (!num || (u64)num * CRYSTAL_KHZ > ~0u)
			continue;
		/* |num / den - khz / crystal|, scaled alike for every den */
		error = (u64)num * CRYSTAL_KHZ > khz * den ? (u64)num * CRYSTAL_KHZ - khz * den :
							     khz * den - (u64)num * CRYSTAL_KHZ;
		error = error * 4096 / den;
		if (error < best) {
			best = error;
			e->eax = den;
			e->ebx = num;
		}
	}
	e->ecx = CRYSTAL_KHZ * 1000;
	return is_intel(engine) && gondola_host_tsc_invariant() && best != ~0ull;
}

static bool fix_frequency(struct gondola_cpuid_entry *e, const struct gondola_engine_ops *engine)
{
	e->eax = (gondola_host_tsc_khz() + 500) / 1000;
	e->ebx = e->eax;
	e->ecx = CRYSTAL_KHZ / 1000;
	return is_intel(engine) && gondola_host_tsc_invariant();
}

static bool fix_kvm_features(struct gondola_cpuid_entry *e, const struct gondola_engine_ops *engine)
{
	if (!gondola_host_tsc_steady())
		e->eax &= ~(GONDOLA_KVM_CLOCKSOURCE2 | GONDOLA_KVM_CLOCK_STABLE);
	return true;
}

static bool fix_max_extended(struct gondola_cpuid_entry *e, const struct gondola_engine_ops *engine)
{
	e->eax = 0x80000008;
	return true;
}

static bool fix_power(struct gondola_cpuid_entry *e, const struct gondola_engine_ops *engine)
{
	e->edx = gondola_host_tsc_invariant() ? LX7D_INVARIANT : 0;
	return true;
}

static bool fix_addresses(struct gondola_cpuid_entry *e, const struct gondola_engine_ops *engine)
{
	u32 phys = e->eax & 0xff;

	if (!processor_has(engine, 0x80000008))
		phys = 36;
	e->eax = 48 << 8 | min(phys, 52u);
	return true;
}

static const struct leaf policy[] = {
	{ .function = 0, .host = { 0, ALL, ALL, ALL }, .any = { 0, ALL, ALL, ALL },
	  .fix = fix_max_basic },
	{ .function = 1,
	  .host = {
		[EAX] = ALL,
		[EBX] = ALL,
		/* SSE3, PCLMULQDQ, SSSE3, FMA, CX16, SSE4.1, SSE4.2, MOVBE, POPCNT, AES */
		[ECX] = BIT(0) | BIT(1) | BIT(9) | BIT(12) | BIT(13) | BIT(19) | BIT(20) |
			BIT(22) | BIT(23) | BIT(25) |
			/* XSAVE, AVX, F16C, RDRAND */
			L1C_XSAVE | BIT(28) | BIT(29) | BIT(30),
		/* FPU, VME, DE, PSE, TSC, MSR, PAE, CX8, SEP, PGE, CMOV, PAT, PSE36 */
		[EDX] = BIT(0) | BIT(1) | BIT(2) | BIT(3) | BIT(4) | BIT(5) | BIT(6) | BIT(8) |
			BIT(11) | BIT(13) | BIT(15) | BIT(16) | BIT(17) |
			/* CLFLUSH, MMX, FXSR, SSE, SSE2, SS */
			BIT(19) | BIT(23) | BIT(24) | BIT(25) | BIT(26) | BIT(27),
	  },
	  .soft = {
		[ECX] = SOFT_PCID | L1C_X2APIC | L1C_DEADLINE | L1C_HYPERVISOR,
		/* MCE and MCA: with zero banks */
		[EDX] = BIT(7) | L1D_APIC | L1D_MTRR | BIT(14),
	  },
	  /* EDX bit 28, HTT: the count in EBX, from the launcher's topology, is valid. */
	  .any = { ALL, ALL, 0, BIT(28) },
	  .fix = fix_signature },
	{ .function = 2, .host = { ALL, ALL, ALL, ALL }, .any = { ALL, ALL, ALL, ALL },
	  .fix = fix_intel },
	{ .function = 4, .index = 0, .indexed = true, .host = { ALL, ALL, ALL, ALL },
	  .any = { ALL, ALL, ALL, ALL }, .fix = fix_cache },
	{ .function = 4, .index = 1, .indexed = true, .host = { ALL, ALL, ALL, ALL },
	  .any = { ALL, ALL, ALL, ALL }, .fix = fix_cache },
	{ .function = 4, .index = 2, .indexed = true, .host = { ALL, ALL, ALL, ALL },
	  .any = { ALL, ALL, ALL, ALL }, .fix = fix_cache },
	{ .function = 4, .index = 3, .indexed = true, .host = { ALL, ALL, ALL, ALL },
	  .any = { ALL, ALL, ALL, ALL }, .fix = fix_cache },
	/* The emulated APIC timer never stops. */
	{ .function = 6, .soft = { L6A_ARAT } },
	{ .function = 7, .indexed = true,
	  .host = {
		/* FSGSBASE, BMI1, AVX2, SMEP, BMI2, ERMS, RDSEED, ADX, SMAP */
		[EBX] = BIT(0) | BIT(3) | BIT(5) | BIT(7) | BIT(8) | BIT(9) | BIT(18) | BIT(19) |
			BIT(20) |
			/* CLFLUSHOPT, CLWB, SHA */
			BIT(23) | BIT(24) | BIT(29) |
			/* AVX512 F, DQ, IFMA, CD, BW, VL */
			BIT(16) | BIT(17) | BIT(21) | BIT(28) | BIT(30) | BIT(31),
		/* AVX512_VBMI, UMIP, VBMI2, GFNI, VAES, VPCLMULQDQ, VNNI, BITALG, VPOPCNTDQ */
		[ECX] = BIT(1) | BIT(2) | BIT(6) | BIT(8) | BIT(9) | BIT(10) | BIT(11) |
			BIT(12) | BIT(14) | L7C_RDPID,
		/* FSRM; MD_CLEAR, which the guest runs natively */
		[EDX] = BIT(4) | BIT(10),
	  },
	  .soft = { [EBX] = L7B_TSC_ADJUST },
	  .fix = fix_structured },
	/* Topology: one thread in a core; cores of a package are numbered with four bits. */
	{ .function = 0xb, .index = 0, .indexed = true, .soft = { 0, 1, 0x100, 0 },
	  .any = { ALL, ALL, ALL, ALL } },
	{ .function = 0xb, .index = 1, .indexed = true, .soft = { 4, 1, 0x201, 0 },
	  .any = { ALL, ALL, ALL, ALL } },
	{ .function = 0xd, .index = 0, .indexed = true, .host = { 0, ALL, ALL, 0 },
	  .any = { 0, ALL, ALL, 0 }, .fix = fix_xsave },
	/* XSAVEOPT, XSAVEC, XGETBV(1) */
	{ .function = 0xd, .index = 1, .indexed = true, .host = { BIT(0) | LD1A_XSAVEC | BIT(2) },
	  .fix = fix_xsave_more },
	{ .function = 0xd, .index = 2, .indexed = true, .host = { ALL, ALL, BIT(1), 0 },
	  .fix = fix_xsave_component },
	{ .function = 0xd, .index = 5, .indexed = true, .host = { ALL, ALL, BIT(1), 0 },
	  .fix = fix_xsave_component },
	{ .function = 0xd, .index = 6, .indexed = true, .host = { ALL, ALL, BIT(1), 0 },
	  .fix = fix_xsave_component },
	{ .function = 0xd, .index = 7, .indexed = true, .host = { ALL, ALL, BIT(1), 0 },
	  .fix = fix_xsave_component },
	{ .function = 0x15, .any = { ALL, ALL, ALL, 0 }, .fix = fix_tsc_ratio },
	{ .function = 0x16, .any = { ALL, ALL, ALL, 0 }, .fix = fix_frequency },

	{ .function = GONDOLA_KVM_SIGNATURE,
	  .soft = { GONDOLA_KVM_FEATURES, 0x4b4d564b, 0x564b4d56, 0x0000004d } },
	{ .function = GONDOLA_KVM_FEATURES,
	  .soft = { GONDOLA_KVM_NOP_IO_DELAY | GONDOLA_KVM_CLOCKSOURCE2 |
		    GONDOLA_KVM_CLOCK_STABLE | GONDOLA_KVM_PV_UNHALT |
		    GONDOLA_KVM_STEAL | GONDOLA_KVM_PV_EOI | GONDOLA_KVM_PV_TLB_FLUSH |
		    GONDOLA_KVM_PV_SEND_IPI | GONDOLA_KVM_PV_SCHED_YIELD },
	  .fix = fix_kvm_features },
	{ .function = GONDOLA_CPUID_BASE,
	  .soft = { GONDOLA_CPUID_VERSION, 0x646e6f67, 0x00616c6f, 0 } },
	{ .function = GONDOLA_CPUID_VERSION, .soft = { GONDOLA_API_VERSION } },

	{ .function = 0x80000000, .host = { 0, ALL, ALL, ALL }, .any = { 0, ALL, ALL, ALL },
	  .fix = fix_max_extended },
	{ .function = 0x80000001,
	  .host = {
		[EAX] = ALL,
		/* LAHF, ABM, SSE4A, MISALIGNSSE, 3DNOWPREFETCH */
		[ECX] = BIT(0) | BIT(5) | BIT(6) | BIT(7) | BIT(8),
		/* AMD repeats leaf 1's low bits; all but APIC and MTRR are above. */
		[EDX] = BIT(0) | BIT(1) | BIT(2) | BIT(3) | BIT(4) | BIT(5) | BIT(6) | BIT(8) |
			BIT(13) | BIT(15) | BIT(16) | BIT(17) | BIT(23) | BIT(24) |
			/* SYSCALL, NX, MMXEXT, FXSR_OPT, 1 GiB pages, RDTSCP, LM */
			BIT(11) | BIT(20) | BIT(22) | BIT(25) | BIT(26) | LX1D_RDTSCP | BIT(29),
	  },
	  /* ECX bit 1, CmpLegacy: the processors of leaf 1's count are cores. */
	  .any = { ALL, 0, BIT(1), 0 } },
	{ .function = 0x80000002, .host = { ALL, ALL, ALL, ALL }, .any = { ALL, ALL, ALL, ALL } },
	{ .function = 0x80000003, .host = { ALL, ALL, ALL, ALL }, .any = { ALL, ALL, ALL, ALL } },
	{ .function = 0x80000004, .host = { ALL, ALL, ALL, ALL }, .any = { ALL, ALL, ALL, ALL } },
	{ .function = 0x80000005, .host = { ALL, ALL, ALL, ALL }, .any = { ALL, ALL, ALL, ALL } },
	{ .function = 0x80000006, .host = { ALL, ALL, ALL, ALL }, .any = { ALL, ALL, ALL, ALL } },
	{ .function = 0x80000007, .fix = fix_power },
	{ .function = 0x80000008, .host = { 0xff, 0, 0, 0 }, .any = { 0, 0, ALL, 0 },
	  .fix = fix_addresses },
};
static_assert(ARRAY_SIZE(policy) <= GONDOLA_MAX_CPUID);

static bool offer(const struct leaf *leaf, struct gondola_cpuid_entry *e,
		  const struct gondola_engine_ops *engine)
{
	*e = (struct gondola_cpuid_entry){
		.function = leaf->function,
		.index = leaf->index,
		.flags = leaf->indexed ? GONDOLA_CPUID_INDEX : 0,
	};
	/* Do not pass on leaves of a hypervisor below us. */
	if ((leaf->function >> 16) != 0x4000 && processor_has(engine, leaf->function))
		processor_cpuid(engine, leaf->function, leaf->index, &e->eax, &e->ebx, &e->ecx,
				&e->edx);
	e->eax = (e->eax & leaf->host[EAX]) | leaf->soft[EAX];
	e->ebx = (e->ebx & leaf->host[EBX]) | leaf->soft[EBX];
	e->ecx = (e->ecx & leaf->host[ECX]) | leaf->soft[ECX];
	e->edx = (e->edx & leaf->host[EDX]) | leaf->soft[EDX];
	return !leaf->fix || leaf->fix(e, engine);
}

/**
 * gondola_supported_cpuid() - list all features that can be offered on this host
 * @engine: the guests' engine; NULL: one that uses the host's processor
 * @entries: out
 * @count: in: room; out: number of entries
 *
 * 0, or -E2BIG with the number needed in *@count.
 */
int gondola_supported_cpuid(const struct gondola_engine_ops *engine,
			    struct gondola_cpuid_entry *entries, u32 *count)
{
	struct gondola_cpuid_entry e;
	u32 room = *count;
	u32 n = 0;
	int i;

	for (i = 0; i < ARRAY_SIZE(policy); i++) {
		if (!offer(&policy[i], &e, engine))
			continue;
		if (n < room)
			entries[n] = e;
		n++;
	}
	*count = n;
	return n > room ? -E2BIG : 0;
}

static int by_leaf(const void *a, const void *b)
{
	const struct gondola_cpuid_entry *x = a, *y = b;

	if (x->function != y->function)
		return x->function < y->function ? -1 : 1;
	return x->index < y->index ? -1 : x->index > y->index;
}

static const struct gondola_cpuid_entry *find(const struct gondola_vcpu *vcpu, u32 function,
					      u32 index)
{
	u32 low = 0, high = vcpu->nr_cpuid;

	/* The list is sorted, see gondola_set_cpuid(). */
	while (low < high) {
		u32 mid = (low + high) / 2;
		const struct gondola_cpuid_entry *e = &vcpu->cpuid[mid];

		if (e->function == function &&
		    (e->index == index || !(e->flags & GONDOLA_CPUID_INDEX)))
			return e;
		if (e->function < function || (e->function == function && e->index < index))
			low = mid + 1;
		else
			high = mid;
	}
	return NULL;
}

static bool subset(u32 value, u32 offered, u32 any)
{
	return !(value & ~(offered | any));
}

static bool entry_allowed(const struct gondola_cpuid_entry *e,
			  const struct gondola_engine_ops *engine)
{
	struct gondola_cpuid_entry offered;
	int i;

	if (e->pad || e->flags & ~GONDOLA_CPUID_INDEX)
		return false;
	if (!e->eax && !e->ebx && !e->ecx && !e->edx)
		return true;	/* the answer for an absent leaf */
	for (i = 0; i < ARRAY_SIZE(policy); i++) {
		const struct leaf *leaf = &policy[i];

		if (leaf->function != e->function || leaf->index != e->index)
			continue;
		if (leaf->indexed != !!(e->flags & GONDOLA_CPUID_INDEX) ||
		    !offer(leaf, &offered, engine))
			return false;
		switch (e->function) {
		case 0:
		case 0x80000000:
			return e->eax <= offered.eax;
		case 0x80000008:
			return (e->eax & ~0xff) == (offered.eax & ~0xff) &&
			       (e->eax & 0xff) >= 32 && (e->eax & 0xff) <= (offered.eax & 0xff) &&
			       !e->ebx && !e->edx;
		case 0xd:
			/* Sizes and offsets of components come from the hardware. */
			if (e->index >= 2)
				return e->eax == offered.eax && e->ebx == offered.ebx &&
				       e->ecx == offered.ecx && !e->edx;
			break;
		}
		return subset(e->eax, offered.eax, leaf->any[EAX]) &&
		       subset(e->ebx, offered.ebx, leaf->any[EBX]) &&
		       subset(e->ecx, offered.ecx, leaf->any[ECX]) &&
		       subset(e->edx, offered.edx, leaf->any[EDX]);
	}
	return false;
}

/* The control bits that a feature of CPUID allows. */
static const struct {
	u32 function;
	u8 reg;
	u8 bit;
	u64 cr4;
	u64 efer;
} allows[] = {
	{ 1, EDX, 1, .cr4 = CR4_VME | CR4_PVI },
	{ 1, EDX, 2, .cr4 = CR4_DE },
	{ 1, EDX, 3, .cr4 = CR4_PSE },
	{ 1, EDX, 4, .cr4 = CR4_TSD },
	{ 1, EDX, 6, .cr4 = CR4_PAE },
	{ 1, EDX, 7, .cr4 = CR4_MCE },
	{ 1, EDX, 13, .cr4 = CR4_PGE },
	{ 1, EDX, 24, .cr4 = CR4_OSFXSR },
	{ 1, EDX, 25, .cr4 = CR4_OSXMMEXCPT },
	{ 1, ECX, 17, .cr4 = CR4_PCIDE },
	{ 1, ECX, 26, .cr4 = CR4_OSXSAVE },
	{ 7, EBX, 0, .cr4 = CR4_FSGSBASE },
	{ 7, EBX, 7, .cr4 = CR4_SMEP },
	{ 7, EBX, 20, .cr4 = CR4_SMAP },
	{ 7, ECX, 2, .cr4 = CR4_UMIP },
	{ 0x80000001, EDX, 11, .efer = EFER_F_SCE },
	{ 0x80000001, EDX, 20, .efer = EFER_F_NXE },
	{ 0x80000001, EDX, 29, .efer = EFER_F_LME | EFER_F_LMA },
};

static u32 reg_of(const struct gondola_cpuid_entry *e, int reg)
{
	if (!e)
		return 0;
	switch (reg) {
	case EAX:
		return e->eax;
	case EBX:
		return e->ebx;
	case ECX:
		return e->ecx;
	default:
		return e->edx;
	}
}

static bool has(const struct gondola_vcpu *vcpu, u32 function, int reg, u32 bit)
{
	return reg_of(find(vcpu, function, 0), reg) & bit;
}

static void apply(struct gondola_vcpu *vcpu)
{
	u32 phys = reg_of(find(vcpu, 0x80000008, 0), EAX) & 0xff;
	int i;

	vcpu->maxphyaddr = phys ?: 36;
	vcpu->mmu.gib_pages = has(vcpu, 0x80000001, EDX, BIT(26));
	/* Without counters RDPMC is undefined, but its enable bit still exists. */
	vcpu->cr4_allowed = CR4_PCE;
	vcpu->efer_allowed = 0;
	for (i = 0; i < ARRAY_SIZE(allows); i++) {
		if (!has(vcpu, allows[i].function, allows[i].reg, BIT(allows[i].bit)))
			continue;
		vcpu->cr4_allowed |= allows[i].cr4;
		vcpu->efer_allowed |= allows[i].efer;
	}
	vcpu->cr4_allowed &= GONDOLA_LISTED_CR4;
	vcpu->efer_allowed &= GONDOLA_LISTED_EFER;
	gondola_mmu_mode_changed(vcpu);
}

/**
 * gondola_set_cpuid() - set the vCPU's CPUID to @entries, a subset of the supported features
 * @vcpu: a vCPU that has not run
 * @entries: in any order
 * @count: number of @entries
 *
 * 0; -EINVAL: an unsupported feature, or a leaf twice; -ENOMEM.  The vCPU keeps a sorted copy from
 * kmalloc(), without features that its engine cannot switch (TSC_AUX).
 */
int gondola_set_cpuid(struct gondola_vcpu *vcpu, const struct gondola_cpuid_entry *entries,
		      u32 count)
{
	struct gondola_cpuid_entry *list;
	u64 aux;
	u32 i;

	if (!count || count > GONDOLA_MAX_CPUID)
		return -EINVAL;
	list = kmemdup(entries, count * sizeof(*list), GFP_KERNEL_ACCOUNT);
	if (!list)
		return -ENOMEM;
	sort(list, count, sizeof(*list), by_leaf, NULL);
	for (i = 0; i < count; i++) {
		if (!entry_allowed(&list[i], vcpu->engine) || (i && !by_leaf(&list[i - 1], &list[i]))) {
			kfree(list);
			return -EINVAL;
		}
		if (list[i].function == 0x80000001 &&
		    vcpu->engine->get_msr(vcpu, MSRX_TSC_AUX, &aux))
			list[i].edx &= ~LX1D_RDTSCP;
		if (list[i].function == 7 && vcpu->engine->get_msr(vcpu, MSRX_TSC_AUX, &aux))
			list[i].ecx &= ~L7C_RDPID;
	}

	kfree(vcpu->cpuid);
	vcpu->cpuid = list;
	vcpu->nr_cpuid = count;
	apply(vcpu);
	gondola_lapic_cpuid_changed(vcpu, has(vcpu, 1, ECX, L1C_X2APIC),
				    has(vcpu, 1, ECX, L1C_DEADLINE));
	return 0;
}

/** cpuid_xcr0() - get the XCR0 components that the vCPU's CPUID offers */
u64 cpuid_xcr0(const struct gondola_vcpu *vcpu)
{
	return reg_of(find(vcpu, 0xd, 0), EAX);
}

/** gondola_cpuid_has_pv() - are these paravirtual features (0: the interface at all) offered? */
bool gondola_cpuid_has_pv(const struct gondola_vcpu *vcpu, u32 feature)
{
	const struct gondola_cpuid_entry *e = find(vcpu, GONDOLA_KVM_FEATURES, 0);

	return e && (e->eax & feature) == feature;
}

bool cpuid_has_rdtscp(const struct gondola_vcpu *vcpu)
{
	return has(vcpu, 0x80000001, EDX, LX1D_RDTSCP) || has(vcpu, 7, ECX, L7C_RDPID);
}

bool cpuid_is_amd(const struct gondola_vcpu *vcpu)
{
	u32 ebx = reg_of(find(vcpu, 0, 0), EBX);

	return ebx == 0x68747541 || ebx == 0x6f677948;		/* "Auth", "Hygo" */
}

/* Size of the XSAVE area for the components in XCR0: standard form, or compacted. */
static u32 xsave_size(const struct gondola_vcpu *vcpu, bool compacted)
{
	u32 size = 512 + 64;
	u32 i;

	for (i = 2; i < 64; i++) {
		const struct gondola_cpuid_entry *e;

		if (!(vcpu->xcr0 >> i))
			break;
		if (!(vcpu->xcr0 >> i & 1))
			continue;
		e = find(vcpu, 0xd, i);
		if (!e)
			continue;
		if (compacted)
			size = (e->ecx & BIT(1) ? round_up(size, 64) : size) + e->eax;
		else
			size = max(size, e->ebx + e->eax);
	}
	return size;
}

static bool apic_enabled(struct gondola_vcpu *vcpu)
{
	u64 base;

	return !gondola_lapic_get_msr(vcpu, MSRX_APIC_BASE, &base) && base & APIC_BASE_ENABLE;
}

/** gondola_cpuid() - get the vCPU's answer; EAX and ECX in, all four out */
void gondola_cpuid(struct gondola_vcpu *vcpu, u32 *eax, u32 *ebx, u32 *ecx, u32 *edx)
{
	u32 function = *eax, index = *ecx;
	const struct gondola_cpuid_entry *e = find(vcpu, function, index);

	*eax = reg_of(e, EAX);
	*ebx = reg_of(e, EBX);
	*ecx = reg_of(e, ECX);
	*edx = reg_of(e, EDX);
	switch (function) {
	case 1:
		*ebx = (*ebx & 0x00ffffff) | vcpu->id << 24;
		if (vcpu->cr4 & CR4_OSXSAVE)
			*ecx |= L1C_OSXSAVE;
		if (!apic_enabled(vcpu))
			*edx &= ~L1D_APIC;
		break;
	case 0xb:
		if (!find(vcpu, 0xb, 0))
			break;
		*ecx = (*ecx & ~0xff) | (index & 0xff);
		*edx = vcpu->id;
		break;
	case 0xd:
		if (e && index == 0)
			*ebx = xsave_size(vcpu, false);
		else if (index == 1 && *eax & LD1A_XSAVEC)
			*ebx = xsave_size(vcpu, true);
		break;
	}
}
