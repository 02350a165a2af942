/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Saved state: records in, records out (state.c: one table), and the records
 * of the registers (state_regs.c, state_sregs.c) and the clock (clock.c).  Buffers here are the
 * kernel's; ioctls copy.
 */
#ifndef GONDOLA_STATE_H
#define GONDOLA_STATE_H

#include <linux/errno.h>
#include <linux/types.h>
#include "record.h"

struct gondola_vm;
struct gondola_vcpu;

/* @vcpu is NULL for the VM's own records.  Else it is loaded and no other thread runs it. */

/** state_size() - number of bytes that state_get() will write */
size_t state_size(struct gondola_vm *vm, struct gondola_vcpu *vcpu);
/** state_get() - write all records; @buffer is zeroed and @bytes long */
int state_get(struct gondola_vm *vm, struct gondola_vcpu *vcpu, void *buffer,
	      size_t bytes);
/**
 * state_set() - apply the records in @buffer
 * @bad_record, @bad_field: out, with -EINVAL: see struct gondola_state
 *
 * The form of all records is checked before the first is applied.  They are applied in the order of
 * their dependences, which need not be that in @buffer.  A refused record and those after it change
 * nothing. -ENOEXEC: a record needs the vCPU's CPUID, which is not set yet.
 */
int state_set(struct gondola_vm *vm, struct gondola_vcpu *vcpu, const void *buffer,
	      size_t bytes, u32 *bad_record, u32 *bad_field);

extern const struct gondola_record_row gondola_regs_record, gondola_pdptes_record,
	gondola_sregs_record, gondola_msrs_record, gondola_events_record, gondola_debug_record,
	gondola_cpuid_record, gondola_clock_record;

/* state_regs.c: 0, or -EINVAL with *@bad the offset of the field. */
u32 msrs_size(struct gondola_vcpu *vcpu);
int msrs_get(struct gondola_vcpu *vcpu, void *buf, u32 bytes);
int msrs_set(struct gondola_vcpu *vcpu, const void *buf, u32 bytes, u32 *bad);

/* clock.c; likewise */
int clock_get(struct gondola_vm *vm, struct gondola_rec_clock *rec);
int clock_set(struct gondola_vm *vm, const struct gondola_rec_clock *rec, u32 *bad);

#endif
