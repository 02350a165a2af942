/* SPDX-License-Identifier: GPL-2.0-only */
/* The interface of run/: to run a vCPU, load it for access to its state, and reset it. */
#ifndef GONDOLA_RUN_RUN_H
#define GONDOLA_RUN_RUN_H

#include "record.h"
#include "vcpu.h"

int gondola_emulator_create(struct gondola_vcpu *vcpu);
void gondola_emulator_destroy(struct gondola_vcpu *vcpu);
int gondola_vcpu_fpu_create(struct gondola_vcpu *vcpu);
void gondola_vcpu_fpu_destroy(struct gondola_vcpu *vcpu);

/**
 * gondola_vcpu_load() - load the vCPU on this processor, to run it or access its state
 *
 * The caller holds the mutex.  0 or -ESHUTDOWN.
 */
int gondola_vcpu_load(struct gondola_vcpu *vcpu);
void gondola_vcpu_unload(struct gondola_vcpu *vcpu);

/** gondola_vcpu_run() - do GONDOLA_RUN; mutex held; 0 or -errno */
int gondola_vcpu_run(struct gondola_vcpu *vcpu);

/** gondola_vcpu_set_debug() - do GONDOLA_SET_DEBUG; @args->flags are checked; mutex held */
int gondola_vcpu_set_debug(struct gondola_vcpu *vcpu, const struct gondola_debug *args);

/** gondola_vcpu_reset_registers() - general and control registers as after a reset */
void gondola_vcpu_reset_registers(struct gondola_vcpu *vcpu);

/* The record of the FPU (fpu.c); tests supply their own. */
extern const struct gondola_record_row gondola_fpu_record;

#endif
