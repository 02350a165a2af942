// SPDX-License-Identifier: GPL-2.0-only
#include <cpuid.h>
#include <string.h>

#include "cpu_model.h"
#include "features.h"

/*
 * Every engine offers these on every processor that gondola runs on: features that the first 64-bit
 * processors had, and those that the module makes by itself.  MMX is not among them, since the
 * interpreter has only its moves.
 */
static const char portable[] =
	"fpu,de,pse,tsc,msr,pae,mce,cx8,apic,sep,mtrr,pge,mca,cmov,pat,pse36,clflush,fxsr,sse,sse2,"
	"cx16,pcid,x2apic,tsc_deadline_timer,hypervisor,tsc_adjust,lahf_lm,syscall,nx,lm,"
	"kvm_nop_io_delay,kvm_clock,kvm_steal_time,kvm_pv_eoi,kvm_pv_unhalt,kvm_pv_tlb_flush,"
	"kvm_pv_send_ipi,kvm_pv_sched_yield,kvm_clock_stable";
/* Leaves that describe one processor: caches and frequencies. */
static const uint32_t leaves_of_hosts[] = { 2, 4, 0x15, 0x16, 0x80000005, 0x80000006 };

#define PORTABLE_LEAVES		0xdu	/* as processors of either vendor have */
#define PORTABLE_ADDRESS_BITS	39u
#define PORTABLE_BRAND		"gondola portable processor"

/* Puts the features of a list, "a,b,c", into @set. */
static void put_list(struct feature_set *set, const char *list)
{
	while (*list) {
		size_t length = strcspn(list, ",");

		features_put(set, list, length, true);
		list += length + (list[length] == ',');
	}
}

/* The next of the words after the model's name, or NULL. */
static const char *next_item(const char *at, size_t *length)
{
	at += strcspn(at, ",");
	if (!*at)
		return NULL;
	*length = strcspn(++at, ",");
	return at;
}

static bool is_model(const char *model, const char *name)
{
	size_t length = strlen(name);

	return !strncmp(model, name, length) && (!model[length] || model[length] == ',');
}

bool cpu_model_check(const char *model, struct error *error)
{
	struct feature_set none = { { 0 } };
	size_t length;

	if (!is_model(model, "host") && !is_model(model, "portable"))
		return error_set(error, EXIT_CODE_USAGE, "\"%.*s\" is neither host nor portable",
				 (int)strcspn(model, ","), model);
	for (const char *item = model; (item = next_item(item, &length));) {
		if (*item != '+' && *item != '-')
			return error_set(error, EXIT_CODE_USAGE,
					 "\"%.*s\": a feature has + or - before its name",
					 (int)length, item);
		if (!features_put(&none, item + 1, length - 1, true))
			return error_set(error, EXIT_CODE_USAGE,
					 "\"%.*s\" is no feature of a processor", (int)length - 1,
					 item + 1);
	}
	return true;
}

static struct gondola_cpuid_entry *find(struct gondola_cpuid_entry *entries, uint32_t count,
					uint32_t function)
{
	for (uint32_t i = 0; i < count; i++)
		if (entries[i].function == function)
			return &entries[i];
	return NULL;
}

static uint32_t drop(struct gondola_cpuid_entry *entries, uint32_t count, uint32_t function)
{
	uint32_t kept = 0;

	for (uint32_t i = 0; i < count; i++)
		if (entries[i].function != function)
			entries[kept++] = entries[i];
	return kept;
}

/* An engine that brings a processor of its own shows the vendor and the model of the host's. */
static void show_host(struct gondola_cpuid_entry *entries, uint32_t count)
{
	static const uint32_t signatures[] = { 1, 0x80000001 };
	struct gondola_cpuid_entry *e = find(entries, count, 0);
	uint32_t eax, ebx, ecx, edx;

	if (e)
		__cpuid(0, eax, e->ebx, e->ecx, e->edx);
	for (unsigned int i = 0; i < sizeof(signatures) / sizeof(signatures[0]); i++) {
		e = find(entries, count, signatures[i]);
		if (e && __get_cpuid(signatures[i], &eax, &ebx, &ecx, &edx))
			e->eax = eax;
	}
}

static void show_brand(struct gondola_cpuid_entry *entries, uint32_t count)
{
	uint32_t words[12] = { 0 };

	memcpy(words, PORTABLE_BRAND, sizeof(PORTABLE_BRAND));
	for (uint32_t i = 0; i < 3; i++) {
		struct gondola_cpuid_entry *e = find(entries, count, 0x80000002 + i);

		if (!e)
			continue;
		e->eax = words[4 * i];
		e->ebx = words[4 * i + 1];
		e->ecx = words[4 * i + 2];
		e->edx = words[4 * i + 3];
	}
}

static void make_portable(struct gondola_cpuid_entry *entries, uint32_t *count)
{
	struct gondola_cpuid_entry *e;

	for (unsigned int i = 0; i < sizeof(leaves_of_hosts) / sizeof(leaves_of_hosts[0]); i++)
		*count = drop(entries, *count, leaves_of_hosts[i]);
	e = find(entries, *count, 0);
	if (e && e->eax > PORTABLE_LEAVES)
		e->eax = PORTABLE_LEAVES;
	e = find(entries, *count, 0x80000008);
	if (e && (e->eax & 0xff) > PORTABLE_ADDRESS_BITS)
		e->eax = (e->eax & ~0xffu) | PORTABLE_ADDRESS_BITS;
	show_host(entries, *count);
	show_brand(entries, *count);
}

bool cpu_model_choose(const char *model, const char *engine, struct gondola_cpuid_entry *entries,
		      uint32_t *count, struct error *error)
{
	struct feature_set offered, chosen;
	size_t length;

	features_of(&offered, entries, *count);
	chosen = offered;
	if (is_model(model, "portable")) {
		memset(&chosen, 0, sizeof(chosen));
		put_list(&chosen, portable);
		make_portable(entries, count);
	}
	for (const char *item = model; (item = next_item(item, &length));) {
		if (*item == '+' && !features_have(&offered, item + 1, length - 1))
			return error_set(error, EXIT_CODE_NO_ENGINE,
					 "the engine \"%s\" of this host does not offer %.*s", engine,
					 (int)length - 1, item + 1);
		features_put(&chosen, item + 1, length - 1, *item == '+');
	}
	features_keep(&chosen, entries, *count);
	/* The leaf that describes its components is for processors that have it. */
	if (!features_have(&chosen, "xsave", 5))
		*count = drop(entries, *count, 0xd);
	return true;
}
