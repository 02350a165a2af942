// SPDX-License-Identifier: GPL-2.0-only
/*
 * The VM's time.  A reader sees all fields as of one moment: a thread that restores a vCPU, or a
 * timer's callback, may read while another thread starts the clocks.
 */
#include <linux/ktime.h>
#include "host/sleep.h"
#include "host/time.h"
#include "irq/irq.h"
#include "state.h"
#include "vcpu.h"
#include "vm.h"

void gondola_clock_init(struct gondola_vm *vm)
{
	seqlock_init(&vm->clock.lock);
	vm->clock.tsc_offset = -gondola_host_tsc();
}

bool gondola_clock_held(const struct gondola_vm *vm)
{
	return READ_ONCE(vm->clock.held);
}

/* Every vCPU has another TSC now, and takes it over before it enters. */
static void tell_vcpus(struct gondola_vm *vm)
{
	struct gondola_vcpu *vcpu;
	unsigned int i;

	gondola_for_each_vcpu(vcpu, vm, i) {
		gondola_request(vcpu, GONDOLA_REQ_TSC);
		gondola_vcpu_kick(vcpu);
	}
}

void gondola_clock_hold(struct gondola_vm *vm)
{
	struct gondola_clock *clock = &vm->clock;
	unsigned long flags;

	write_seqlock_irqsave(&clock->lock, flags);
	clock->held_tsc = gondola_host_tsc();
	clock->held_ns = gondola_host_ns();
	WRITE_ONCE(clock->held, true);
	write_sequnlock_irqrestore(&clock->lock, flags);
	gondola_pit_clock_changed(vm);
}

void gondola_clock_release(struct gondola_vm *vm)
{
	struct gondola_clock *clock = &vm->clock;
	unsigned long flags;

	write_seqlock_irqsave(&clock->lock, flags);
	clock->tsc_offset -= gondola_host_tsc() - clock->held_tsc;
	clock->lost_ns += gondola_host_ns() - clock->held_ns;
	WRITE_ONCE(clock->held, false);
	write_sequnlock_irqrestore(&clock->lock, flags);
	gondola_pit_clock_changed(vm);
	tell_vcpus(vm);
}

u64 gondola_vm_clock_ns(const struct gondola_vm *vm)
{
	const struct gondola_clock *clock = &vm->clock;
	unsigned int seq;
	u64 ns;

	do {
		seq = read_seqbegin(&clock->lock);
		ns = (clock->held ? clock->held_ns : gondola_host_ns()) - clock->lost_ns;
	} while (read_seqretry(&clock->lock, seq));
	return ns;
}

bool gondola_vm_clock_host_ns(const struct gondola_vm *vm, u64 ns, u64 *host_ns)
{
	const struct gondola_clock *clock = &vm->clock;
	unsigned int seq;
	bool held;

	do {
		seq = read_seqbegin(&clock->lock);
		held = clock->held;
		*host_ns = ns + clock->lost_ns;
	} while (read_seqretry(&clock->lock, seq));
	return !held;
}

/* ---- the TSC ------------------------------------------------------------------------ */

/* The guest's TSC at @host; @vcpu may be NULL.  In a reader's section, or under the lock. */
static u64 tsc_at(const struct gondola_vm *vm, const struct gondola_vcpu *vcpu, u64 host)
{
	const struct gondola_clock *clock = &vm->clock;

	return (clock->held ? clock->held_tsc : host) + clock->tsc_offset +
	       (vcpu ? READ_ONCE(vcpu->tsc_offset) : 0);
}

static u64 read_tsc(const struct gondola_vm *vm, const struct gondola_vcpu *vcpu)
{
	const struct gondola_clock *clock = &vm->clock;
	unsigned int seq;
	u64 tsc;

	do {
		seq = read_seqbegin(&clock->lock);
		tsc = tsc_at(vm, vcpu, gondola_host_tsc());
	} while (read_seqretry(&clock->lock, seq));
	return tsc;
}

u64 gondola_guest_tsc(const struct gondola_vcpu *vcpu)
{
	return read_tsc(vcpu->vm, vcpu);
}

u64 gondola_guest_tsc_offset(const struct gondola_vcpu *vcpu)
{
	const struct gondola_clock *clock = &vcpu->vm->clock;
	unsigned int seq;
	u64 offset;

	do {
		seq = read_seqbegin(&clock->lock);
		offset = clock->tsc_offset + vcpu->tsc_offset + sleep_tsc_gain();
	} while (read_seqretry(&clock->lock, seq));
	return offset;
}

u32 gondola_guest_tsc_khz(const struct gondola_vm *vm)
{
	return READ_ONCE(vm->clock.tsc_khz) ?: gondola_host_tsc_khz();
}

void gondola_tsc_after_sleep(struct gondola_vcpu *vcpu)
{
	u64 gain = sleep_tsc_gain();

	if (likely(vcpu->tsc_gain == gain))
		return;
	vcpu->tsc_gain = gain;
	gondola_request(vcpu, GONDOLA_REQ_TSC);
}

u64 gondola_set_guest_tsc(struct gondola_vcpu *vcpu, u64 tsc)
{
	struct gondola_clock *clock = &vcpu->vm->clock;
	u64 by, host = gondola_host_tsc();
	unsigned long flags;

	write_seqlock_irqsave(&clock->lock, flags);
	by = tsc - tsc_at(vcpu->vm, vcpu, host);
	WRITE_ONCE(vcpu->tsc_offset, vcpu->tsc_offset + by);
	write_sequnlock_irqrestore(&clock->lock, flags);
	return by;
}

void gondola_move_guest_tsc(struct gondola_vcpu *vcpu, u64 by)
{
	struct gondola_clock *clock = &vcpu->vm->clock;
	unsigned long flags;

	write_seqlock_irqsave(&clock->lock, flags);
	WRITE_ONCE(vcpu->tsc_offset, vcpu->tsc_offset + by);
	write_sequnlock_irqrestore(&clock->lock, flags);
}

/* ---- saved state ---------------------------------------------------------------------- */

/* Two calibrations of one crystal differ by less than this part, and NTP slews less. */
#define KHZ_TOLERANCE	2000

int clock_get(struct gondola_vm *vm, struct gondola_rec_clock *rec)
{
	rec->tsc = read_tsc(vm, gondola_vcpu_by_id(vm, 0));
	rec->tsc_khz = gondola_guest_tsc_khz(vm);
	rec->host_ns = ktime_get_real_ns();
	return 0;
}

/* vCPUs keep their distance from each other. */
int clock_set(struct gondola_vm *vm, const struct gondola_rec_clock *rec, u32 *bad)
{
	struct gondola_vcpu *vcpu = gondola_vcpu_by_id(vm, 0);
	u64 khz = gondola_host_tsc_khz(), host = gondola_host_tsc();
	struct gondola_clock *clock = &vm->clock;
	unsigned long flags;

	/* No engine scales the TSC.  The guest has calibrated it, and its time would run fast or slow. */
	if (rec->tsc_khz < khz - khz / KHZ_TOLERANCE || rec->tsc_khz > khz + khz / KHZ_TOLERANCE)
		return gondola_refuse(bad, offsetof(struct gondola_rec_clock, tsc_khz));
	write_seqlock_irqsave(&clock->lock, flags);
	clock->tsc_offset += rec->tsc - tsc_at(vm, vcpu, host);
	/* The guest keeps the rate that it measured, so later clocks are published with this rate too. */
	WRITE_ONCE(clock->tsc_khz, rec->tsc_khz);
	write_sequnlock_irqrestore(&clock->lock, flags);
	tell_vcpus(vm);
	return 0;
}

GONDOLA_VM_RECORD(clock, CLOCK);
