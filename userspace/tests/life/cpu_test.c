// SPDX-License-Identifier: GPL-2.0-only
/* The processor that a guest is shown: names of features, and the models of --cpu. */
#include <string.h>

#include "life_test.h"
#include "vm/cpu_model.h"
#include "vm/features.h"

#define INTEL		.ebx = 0x756e6547, .edx = 0x49656e69, .ecx = 0x6c65746e
#define ENTRIES(list)	(sizeof(list) / sizeof((list)[0]))

void features_are_named(void)
{
	struct gondola_cpuid_entry guest[] = {
		{ .function = 0, INTEL },
		{ .function = 1, .ecx = 1u << 30 | 1u << 27 | 1, .edx = 1u << 25 },
		{ .function = 7, .flags = GONDOLA_CPUID_INDEX, .ebx = 1u << 5 | 1u << 22 },
	}, host[3];
	char words[256];

	memcpy(host, guest, sizeof(host));
	expect_equal(features_missing(guest, 3, host, 3, false, words, sizeof(words)), 0);
	/* Bits that depend on the guest's control registers are not a promise. */
	host[1].ecx &= ~(1u << 27);
	expect_equal(features_missing(guest, 3, host, 3, false, words, sizeof(words)), 0);
	host[1].ecx &= ~(1u << 30);
	host[2].ebx = 1u << 22;
	expect_equal(features_missing(guest, 3, host, 3, false, words, sizeof(words)), -1);
	expect(!strcmp(words, "rdrand, avx2"));
	expect_equal(features_missing(guest, 3, host, 1, false, words, sizeof(words)), -1);
	expect(strstr(words, "bit 22 of CPUID leaf 0x7"));
	host[0].ebx++;
	expect_equal(features_missing(guest, 3, host, 3, false, words, 20), -1);
	expect(strlen(words) < 20 && strstr(words, "a processor of"));
	expect_equal(features_missing(guest, 3, host, 3, true, words, sizeof(words)), -1);
	expect(!strcmp(words, "rdrand, avx2"));
}

void cpu_models_are_checked(void)
{
	static const char *const good[] = {
		"host", "portable", "host,-avx", "portable,+erms,+smep", "host,+rdrand,-kvm_clock",
	}, *const bad[] = {
		"", "hosts", "host,", "host,avx", "host,+", "host,+avx9", "host,-avx,,", "portable+avx",
		"host,+AVX", ",host", "host,+av", "host,+avx -sse",
	};
	struct error error;

	for (size_t i = 0; i < ENTRIES(good); i++)
		expect(cpu_model_check(good[i], &error));
	for (size_t i = 0; i < ENTRIES(bad); i++)
		tap_check(!cpu_model_check(bad[i], &error) && error.status == EXIT_CODE_USAGE, false,
			  "\"%s\" is taken", bad[i]);
}

/* An engine with XSAVE and AVX, and caches to tell of. */
static const struct gondola_cpuid_entry rich[] = {
	{ .function = 0, .eax = 0x16, INTEL },
	{ .function = 1, .ebx = 8 << 8, .ecx = 1u << 26 | 1u << 28 | 1u << 13 | 1u << 31,
	  .edx = 1u << 25 | 1u << 26 | 1u << 23 },
	{ .function = 4, .flags = GONDOLA_CPUID_INDEX, .eax = 0x21 },
	{ .function = 7, .flags = GONDOLA_CPUID_INDEX, .ebx = 1u << 9 | 1u << 1 },
	{ .function = 0xd, .flags = GONDOLA_CPUID_INDEX, .eax = 7 },
	{ .function = 0x15, .eax = 1, .ebx = 1, .ecx = 1 },
	{ .function = 0x80000001, .edx = 1u << 29 | 1u << 26 },
	{ .function = 0x80000008, .eax = 48 << 8 | 46 },
};

static const struct gondola_cpuid_entry *leaf(const struct gondola_cpuid_entry *entries,
					      uint32_t count, uint32_t function)
{
	for (uint32_t i = 0; i < count; i++)
		if (entries[i].function == function)
			return &entries[i];
	return NULL;
}

static bool choose(const char *model, struct gondola_cpuid_entry *out, uint32_t *count,
		   struct error *error)
{
	memcpy(out, rich, sizeof(rich));
	*count = ENTRIES(rich);
	return cpu_model_choose(model, "test", out, count, error);
}

void cpu_models_are_chosen(void)
{
	struct gondola_cpuid_entry cpu[ENTRIES(rich)];
	struct error error;
	uint32_t count;

	expect(choose("host", cpu, &count, &error));
	expect_equal(count, ENTRIES(rich));
	expect(!memcmp(cpu, rich, sizeof(rich)));
	expect(choose("host,-avx,+erms", cpu, &count, &error));
	expect_equal(count, ENTRIES(rich));
	expect_equal(leaf(cpu, count, 1)->ecx, rich[1].ecx & ~(1u << 28));
	expect_equal(leaf(cpu, count, 7)->ebx, rich[3].ebx);
	/* Without XSAVE there is no leaf that describes it. */
	expect(choose("host,-xsave", cpu, &count, &error));
	expect(!leaf(cpu, count, 0xd));
	expect(!choose("host,+smep", cpu, &count, &error));
	expect_equal(error.status, EXIT_CODE_NO_ENGINE);
	expect(!strcmp(error.words, "the engine \"test\" of this host does not offer smep"));
}

void cpu_portable(void)
{
	struct gondola_cpuid_entry cpu[ENTRIES(rich)];
	struct error error;
	uint32_t count;

	expect(choose("portable", cpu, &count, &error));
	expect_equal(leaf(cpu, count, 0)->eax, 0xd);
	expect_equal(leaf(cpu, count, 1)->ecx, 1u << 13 | 1u << 31);
	expect_equal(leaf(cpu, count, 1)->edx, 1u << 25 | 1u << 26);
	expect_equal(leaf(cpu, count, 7)->ebx, 1u << 1);
	expect_equal(leaf(cpu, count, 0x80000001)->edx, 1u << 29);
	expect_equal(leaf(cpu, count, 0x80000008)->eax, 48 << 8 | 39);
	expect(!leaf(cpu, count, 4) && !leaf(cpu, count, 0xd) && !leaf(cpu, count, 0x15));
	/* An added feature stays as the processor offers it. */
	expect(choose("portable,+xsave,+avx,+erms", cpu, &count, &error));
	expect_equal(leaf(cpu, count, 1)->ecx, rich[1].ecx);
	expect_equal(leaf(cpu, count, 7)->ebx, rich[3].ebx);
	expect_equal(leaf(cpu, count, 0xd)->eax, 7);
	/* It is the same on an engine that offers more, so what another offers more is not missed. */
	expect(choose("portable,-cx16", cpu, &count, &error));
	expect_equal(leaf(cpu, count, 1)->ecx, 1u << 31);
}
