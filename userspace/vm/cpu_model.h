/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The processor that a guest is shown, in words: "host" or "portable", and perhaps features that
 * it must have or must not have: "portable,+erms", "host,-avx".
 */
#ifndef VM_CPU_MODEL_H
#define VM_CPU_MODEL_H

#include <stdbool.h>
#include <stdint.h>
#include <linux/gondola.h>
#include "base/error.h"

/** cpu_model_check() - is @model such words?  False with @error */
bool cpu_model_check(const char *model, struct error *error);
/**
 * cpu_model_choose() - make @entries, which an engine offers, those of @model
 * @engine: its name, for @error
 *
 * False with @error if the engine does not offer a feature that the guest must have.
 */
bool cpu_model_choose(const char *model, const char *engine, struct gondola_cpuid_entry *entries,
		      uint32_t *count, struct error *error);

#endif
