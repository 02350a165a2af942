// SPDX-License-Identifier: GPL-2.0-only
/* Features of CPUID by the names of Linux; what a guest was shown and another processor lacks. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "features.h"

static const char *const leaf1_ecx[32] = {
	"sse3", "pclmulqdq", "dtes64", "monitor", "ds_cpl", "vmx", "smx", "est", "tm2",
	"ssse3", "cid", "sdbg", "fma", "cx16", "xtpr", "pdcm", NULL, "pcid", "dca", "sse4_1",
	"sse4_2", "x2apic", "movbe", "popcnt", "tsc_deadline_timer", "aes", "xsave", "osxsave",
	"avx", "f16c", "rdrand", "hypervisor",
};

static const char *const leaf1_edx[32] = {
	"fpu", "vme", "de", "pse", "tsc", "msr", "pae", "mce", "cx8", "apic", NULL, "sep",
	"mtrr", "pge", "mca", "cmov", "pat", "pse36", "pn", "clflush", NULL, "dts", "acpi",
	"mmx", "fxsr", "sse", "sse2", "ss", "ht", "tm", "ia64", "pbe",
};

static const char *const leaf7_ebx[32] = {
	"fsgsbase", "tsc_adjust", "sgx", "bmi1", "hle", "avx2", "fdp_excptn_only", "smep",
	"bmi2", "erms", "invpcid", "rtm", "cqm", "zero_fcs_fds", "mpx", "rdt_a", "avx512f",
	"avx512dq", "rdseed", "adx", "smap", "avx512ifma", NULL, "clflushopt", "clwb",
	"intel_pt", "avx512pf", "avx512er", "avx512cd", "sha_ni", "avx512bw", "avx512vl",
};

static const char *const leaf7_ecx[32] = {
	"prefetchwt1", "avx512vbmi", "umip", "pku", "ospke", "waitpkg", "avx512_vbmi2",
	"shstk", "gfni", "vaes", "vpclmulqdq", "avx512_vnni", "avx512_bitalg", "tme",
	"avx512_vpopcntdq", NULL, "la57", NULL, NULL, NULL, NULL, NULL, "rdpid", NULL,
	"bus_lock_detect", "cldemote", NULL, "movdiri", "movdir64b", "enqcmd", "sgx_lc", "pks",
};

static const char *const leaf7_edx[32] = {
	NULL, "sgx_keys", "avx512_4vnniw", "avx512_4fmaps", "fsrm", "uintr", NULL, NULL,
	"avx512_vp2intersect", "srbds_ctrl", "md_clear", "rtm_always_abort", NULL,
	"tsx_force_abort", "serialize", "hybrid", "tsxldtrk", NULL, "pconfig", "arch_lbr",
	"ibt", NULL, "amx_bf16", "avx512_fp16", "amx_tile", "amx_int8", "spec_ctrl",
	"intel_stibp", "flush_l1d", "arch_capabilities", "core_capabilities", "spec_ctrl_ssbd",
};

static const char *const leafd_eax[32] = {
	"xsaveopt", "xsavec", "xgetbv1", "xsaves", "xfd",
};

static const char *const extended1_ecx[32] = {
	"lahf_lm", "cmp_legacy", "svm", "extapic", "cr8_legacy", "abm", "sse4a", "misalignsse",
	"3dnowprefetch", "osvw", "ibs", "xop", "skinit", "wdt", NULL, "lwp", "fma4", "tce",
	NULL, "nodeid_msr", NULL, "tbm", "topoext", "perfctr_core", "perfctr_nb", NULL,
	"bpext", "ptsc", "perfctr_llc", "mwaitx", NULL, NULL,
};

static const char *const extended1_edx[32] = {
	"fpu", "vme", "de", "pse", "tsc", "msr", "pae", "mce", "cx8", "apic", NULL, "syscall",
	"mtrr", "pge", "mca", "cmov", "pat", "pse36", NULL, "mp", "nx", NULL, "mmxext", "mmx",
	"fxsr", "fxsr_opt", "pdpe1gb", "rdtscp", NULL, "lm", "3dnowext", "3dnow",
};

static const char *const extended7_edx[32] = {
	NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, "nonstop_tsc",
};

static const char *const extended8_ebx[32] = {
	"clzero", "irperf", "xsaveerptr", NULL, "rdpru", NULL, NULL, NULL, NULL, "wbnoinvd",
	NULL, NULL, "amd_ibpb", NULL, "amd_ibrs", "amd_stibp", NULL, NULL, NULL, NULL, NULL,
	NULL, NULL, NULL, "amd_ssbd", "virt_ssbd", "amd_ssb_no", NULL, NULL, NULL, NULL, NULL,
};

static const char *const kvm_eax[32] = {
	"kvm_clock_old", "kvm_nop_io_delay", "kvm_mmu_op", "kvm_clock", "kvm_async_pf",
	"kvm_steal_time", "kvm_pv_eoi", "kvm_pv_unhalt", NULL, "kvm_pv_tlb_flush", NULL,
	"kvm_pv_send_ipi", NULL, "kvm_pv_sched_yield", NULL, NULL, NULL, NULL, NULL, NULL,
	NULL, NULL, NULL, NULL, "kvm_clock_stable",
};

enum reg { EAX, EBX, ECX, EDX };

/*
 * Words of feature bits.  @never: bits that depend on the vCPU's state or the launcher (OSXSAVE,
 * OSPKE, the number of processors).
 */
static const struct {
	uint32_t function;
	uint32_t index;
	enum reg reg;
	uint32_t never;
	const char *const *names;
} words_of_features[] = {
	{ 1, 0, ECX, 1u << 27, leaf1_ecx },
	{ 1, 0, EDX, 1u << 28, leaf1_edx },
	{ 7, 0, EBX, 0, leaf7_ebx },
	{ 7, 0, ECX, 1u << 4, leaf7_ecx },
	{ 7, 0, EDX, 0, leaf7_edx },
	{ 0xd, 1, EAX, 0, leafd_eax },
	{ 0x80000001, 0, ECX, 1u << 1, extended1_ecx },
	{ 0x80000001, 0, EDX, 0, extended1_edx },
	{ 0x80000007, 0, EDX, 0, extended7_edx },
	{ 0x80000008, 0, EBX, 0, extended8_ebx },
	{ 0x40000001, 0, EAX, 0, kvm_eax },
};

_Static_assert(sizeof(words_of_features) / sizeof(words_of_features[0]) == FEATURE_WORDS,
	       "a set has a word for each row");

/* A leaf that is not in the list answers 0. */
static const struct gondola_cpuid_entry *find(const struct gondola_cpuid_entry *entries,
					      uint32_t count, uint32_t function, uint32_t index)
{
	static const struct gondola_cpuid_entry none;

	for (uint32_t i = 0; i < count; i++)
		if (entries[i].function == function &&
		    (!(entries[i].flags & GONDOLA_CPUID_INDEX) || entries[i].index == index))
			return &entries[i];
	return &none;
}

static uint32_t get(const struct gondola_cpuid_entry *e, enum reg reg)
{
	const uint32_t regs[] = { e->eax, e->ebx, e->ecx, e->edx };

	return regs[reg];
}

/* The first of that name: AMD's leaf 0x80000001 repeats some of leaf 1. */
static bool find_name(const char *name, size_t length, size_t *word, unsigned int *bit)
{
	for (*word = 0; *word < FEATURE_WORDS; ++*word)
		for (*bit = 0; *bit < 32; ++*bit) {
			const char *here = words_of_features[*word].names[*bit];

			if (here && strlen(here) == length && !memcmp(here, name, length))
				return true;
		}
	return false;
}

bool features_put(struct feature_set *set, const char *name, size_t length, bool on)
{
	unsigned int bit;
	size_t word;

	if (!find_name(name, length, &word, &bit))
		return false;
	if (on)
		set->words[word] |= 1u << bit;
	else
		set->words[word] &= ~(1u << bit);
	return true;
}

bool features_have(const struct feature_set *set, const char *name, size_t length)
{
	unsigned int bit;
	size_t word;

	return find_name(name, length, &word, &bit) && set->words[word] & 1u << bit;
}

void features_of(struct feature_set *set, const struct gondola_cpuid_entry *entries, uint32_t count)
{
	for (size_t i = 0; i < FEATURE_WORDS; i++)
		set->words[i] = get(find(entries, count, words_of_features[i].function,
					 words_of_features[i].index), words_of_features[i].reg);
}

static void keep(struct gondola_cpuid_entry *e, enum reg reg, uint32_t bits)
{
	uint32_t *const regs[] = { &e->eax, &e->ebx, &e->ecx, &e->edx };

	*regs[reg] &= bits;
}

void features_keep(const struct feature_set *set, struct gondola_cpuid_entry *entries,
		   uint32_t count)
{
	for (uint32_t i = 0; i < count; i++)
		for (size_t word = 0; word < FEATURE_WORDS; word++)
			if (entries[i].function == words_of_features[word].function &&
			    entries[i].index == words_of_features[word].index)
				keep(&entries[i], words_of_features[word].reg,
				     set->words[word] | words_of_features[word].never);
}

__attribute__((format(printf, 3, 4)))
static void append(char *words, size_t room, const char *format, ...)
{
	size_t used = strlen(words);
	va_list args;

	if (used)
		used += snprintf(words + used, room - used, ", ");
	if (used >= room)
		return;
	va_start(args, format);
	vsnprintf(words + used, room - used, format, args);
	va_end(args);
}

static void vendor(const struct gondola_cpuid_entry *e, char *name)
{
	uint32_t regs[] = { get(e, EBX), get(e, EDX), get(e, ECX) };

	memcpy(name, regs, 12);
	name[12] = 0;
	for (int i = 0; i < 12; i++)
		if (name[i] < ' ' || name[i] > '~')
			name[i] = '?';
}

/* How many bits of physical addresses there are. */
static uint32_t address_bits(const struct gondola_cpuid_entry *entries, uint32_t count)
{
	return get(find(entries, count, 0x80000008, 0), EAX) & 0xff;
}

static void compare_features(const struct feature_set *guest, const struct feature_set *host,
			     char *words, size_t room)
{
	for (size_t i = 0; i < FEATURE_WORDS; i++) {
		uint32_t missing = guest->words[i] & ~host->words[i] & ~words_of_features[i].never;

		for (unsigned int bit = 0; bit < 32; bit++) {
			if (!(missing & 1u << bit))
				continue;
			if (words_of_features[i].names[bit])
				append(words, room, "%s", words_of_features[i].names[bit]);
			else
				append(words, room, "bit %u of CPUID leaf 0x%x", bit,
				       words_of_features[i].function);
		}
	}
}

int features_missing(const struct gondola_cpuid_entry *guest, uint32_t nr_guest,
		     const struct gondola_cpuid_entry *host, uint32_t nr_host, bool any_vendor,
		     char *words, size_t room)
{
	struct feature_set has, offers;
	char theirs[13], ours[13];

	words[0] = 0;
	vendor(find(guest, nr_guest, 0, 0), theirs);
	vendor(find(host, nr_host, 0, 0), ours);
	/* A guest chose its instructions by it: VMCALL or VMMCALL, errata, mitigations. */
	if (!any_vendor && strcmp(theirs, ours))
		append(words, room, "a processor of %s (this is %s)", theirs, ours);
	features_of(&has, guest, nr_guest);
	features_of(&offers, host, nr_host);
	compare_features(&has, &offers, words, room);
	if (address_bits(guest, nr_guest) > address_bits(host, nr_host))
		append(words, room, "%u bits of physical addresses (this has %u)",
		       address_bits(guest, nr_guest), address_bits(host, nr_host));
	return words[0] ? -1 : 0;
}
