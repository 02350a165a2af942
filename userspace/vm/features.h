/* SPDX-License-Identifier: GPL-2.0-only */
/* The features that CPUID promises a guest, by the names that Linux has for them. */
#ifndef VM_FEATURES_H
#define VM_FEATURES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <linux/gondola.h>

#define FEATURE_WORDS	11

/** struct feature_set - a bit for each feature, in the order of features.c */
struct feature_set {
	uint32_t words[FEATURE_WORDS];
};

/** features_put() - into @set, or out of it; false: no feature has this name of @length letters */
bool features_put(struct feature_set *set, const char *name, size_t length, bool on);
/** features_have() - is it in @set? */
bool features_have(const struct feature_set *set, const char *name, size_t length);
/** features_of() - those that CPUID @entries promise */
void features_of(struct feature_set *set, const struct gondola_cpuid_entry *entries,
		 uint32_t count);
/** features_keep() - take from CPUID @entries what is not in @set */
void features_keep(const struct feature_set *set, struct gondola_cpuid_entry *entries,
		   uint32_t count);
/**
 * features_missing() - what the guest's CPUID has and the host's does not offer
 * @any_vendor: the host's engine executes what the processors of all vendors do
 *
 * Names of the features, at most as many as fit @words; 0 if nothing is missing, -1 if something is.
 */
int features_missing(const struct gondola_cpuid_entry *guest, uint32_t nr_guest,
		     const struct gondola_cpuid_entry *host, uint32_t nr_host, bool any_vendor,
		     char *words, size_t room);

#endif
