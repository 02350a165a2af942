// SPDX-License-Identifier: GPL-2.0-only
/* Records of general registers, MSRs, debug registers, events and CPUID. */
#include <linux/errno.h>
#include <linux/limits.h>
#include <linux/minmax.h>
#include <linux/string.h>
#include <uapi/linux/gondola_pv.h>
#include "irq/irq.h"
#include "state.h"
#include "vcpu.h"
#include "vm.h"
#include "x86/control.h"

/* ---- general registers ----------------------------------------------------------- */

#define RFLAGS_DEFINED	(RFL_CF | RFL_FIXED | RFL_PF | RFL_AF | RFL_ZF | RFL_SF | RFL_TF | RFL_IF | \
			 RFL_DF | RFL_OF | RFL_IOPL | RFL_NT | RFL_RF | RFL_VM | RFL_AC | \
			 RFL_VIF | RFL_VIP | RFL_ID)

static_assert(sizeof(struct gondola_rec_regs) == sizeof(struct gondola_regs));

static int regs_get(struct gondola_vcpu *vcpu, struct gondola_rec_regs *rec)
{
	memcpy(rec, &vcpu->regs, sizeof(*rec));
	return 0;
}

static int regs_set(struct gondola_vcpu *vcpu, const struct gondola_rec_regs *rec, u32 *bad)
{
	if ((rec->rflags & ~RFLAGS_DEFINED) || !(rec->rflags & RFL_FIXED))
		return gondola_refuse(bad, offsetof(struct gondola_rec_regs, rflags));
	if ((u64)((s64)(rec->rip << 16) >> 16) != rec->rip)
		return gondola_refuse(bad, offsetof(struct gondola_rec_regs, rip));
	memcpy(&vcpu->regs, rec, sizeof(*rec));
	return 0;
}

GONDOLA_VCPU_RECORD(regs, REGS);

/* ---- MSRs ---------------------------------------------------------------------------- */

/* A GET calls this twice; without @out it only counts. */
static u32 collect_msrs(struct gondola_vcpu *vcpu, struct gondola_msr_entry *out, u32 room)
{
	u32 indices[GONDOLA_MAX_MSRS / 2];
	u32 listed = gondola_msr_list(indices, ARRAY_SIZE(indices));
	u32 i, count = 0;
	u64 value;

	for (i = 0; i < listed; i++) {
		/* This vCPU's CPUID does not offer it. */
		if (gondola_get_msr(vcpu, indices[i], &value))
			continue;
		if (out) {
			if (WARN_ON_ONCE(count == room))
				break;
			out[count].index = indices[i];
			out[count].value = value;
		}
		count++;
	}
	return count;
}

u32 msrs_size(struct gondola_vcpu *vcpu)
{
	return collect_msrs(vcpu, NULL, 0) * sizeof(struct gondola_msr_entry);
}

int msrs_get(struct gondola_vcpu *vcpu, void *buf, u32 bytes)
{
	collect_msrs(vcpu, buf, bytes / sizeof(struct gondola_msr_entry));
	return 0;
}

int msrs_set(struct gondola_vcpu *vcpu, const void *buf, u32 bytes, u32 *bad)
{
	const struct gondola_msr_entry *entries = buf;
	u32 i, count = bytes / sizeof(*entries);
	int err;

	if (bytes % sizeof(*entries) || count > GONDOLA_MAX_MSRS)
		return gondola_refuse(bad, bytes);
	for (i = 0; i < count; i++) {
		err = entries[i].pad ? -EINVAL :
		      gondola_restore_msr(vcpu, entries[i].index, entries[i].value);
		if (err)
			return gondola_refuse_for(err, bad, i * sizeof(*entries));
	}
	return 0;
}

GONDOLA_VARYING_RECORD(msrs, MSRS);

/* ---- events ------------------------------------------------------------------------- */

#define EVENT_FIELD(field)	offsetof(struct gondola_rec_events, field)

static int events_get(struct gondola_vcpu *vcpu, struct gondola_rec_events *rec)
{
	const struct gondola_event *event = &vcpu->event;
	u32 shadow = vcpu->engine->get_shadow(vcpu);

	rec->kind = event->kind;
	if (event->kind != GONDOLA_EVENT_NONE) {
		rec->vector = event->vector;
		rec->has_error = event->has_error;
		rec->error = event->has_error ? event->error : 0;
		rec->insn_len = event->insn_len;
	}
	rec->nmi_pending = vcpu->nmi_pending;
	rec->nmi_blocked = !!(shadow & GONDOLA_SHADOW_NMI);
	if (test_bit(GONDOLA_REQ_NMI, &vcpu->requests))
		rec->nmi_pending = gondola_nmi_latch(rec->nmi_pending, rec->nmi_blocked ||
						     event->kind == GONDOLA_EVENT_NMI);
	rec->shadow = shadow & 3;
	rec->halted = vcpu->halted;
	return 0;
}

static int check_event(const struct gondola_rec_events *rec, u32 *bad)
{
	if (rec->kind > GONDOLA_EVENT_SOFT_INTERRUPT)
		return gondola_refuse(bad, EVENT_FIELD(kind));
	/* Vector 2 is no exception, and SVM refuses it. */
	if ((rec->kind == GONDOLA_EVENT_EXCEPTION && (rec->vector > 31 || rec->vector == VEC_NMI)) ||
	    (rec->kind == GONDOLA_EVENT_NMI && rec->vector != VEC_NMI))
		return gondola_refuse(bad, EVENT_FIELD(vector));
	if (rec->has_error > 1 || (rec->has_error && rec->kind != GONDOLA_EVENT_EXCEPTION))
		return gondola_refuse(bad, EVENT_FIELD(has_error));
	if (rec->nmi_pending > 2)
		return gondola_refuse(bad, EVENT_FIELD(nmi_pending));
	if (rec->nmi_blocked > 1)
		return gondola_refuse(bad, EVENT_FIELD(nmi_blocked));
	if (rec->shadow > 3)
		return gondola_refuse(bad, EVENT_FIELD(shadow));
	if (rec->halted > 1)
		return gondola_refuse(bad, EVENT_FIELD(halted));
	if (rec->pad)
		return gondola_refuse(bad, EVENT_FIELD(pad));
	/* The processor takes 16 bits at most. */
	if (rec->error >> 16)
		return gondola_refuse(bad, EVENT_FIELD(error));
	/* INT n has at least two bytes, no instruction more than fifteen. */
	if (rec->insn_len > 15 || (rec->kind == GONDOLA_EVENT_SOFT_INTERRUPT && !rec->insn_len))
		return gondola_refuse(bad, EVENT_FIELD(insn_len));
	return 0;
}

static int events_set(struct gondola_vcpu *vcpu, const struct gondola_rec_events *rec, u32 *bad)
{
	int err = check_event(rec, bad);

	if (err)
		return err;
	vcpu->event = (struct gondola_event) {
		.kind = rec->kind,
		.vector = rec->vector,
		.has_error = rec->has_error,
		.error = rec->error,
		.insn_len = rec->insn_len,
		/* The address of a queued #PF was saved as CR2 in SREGS. */
		.cr2 = vcpu->cr2,
	};
	gondola_irq_forget_ack(vcpu);
	clear_bit(GONDOLA_REQ_NMI, &vcpu->requests);
	vcpu->nmi_pending = rec->nmi_pending;
	vcpu->halted = rec->halted;
	/* A kick before the state was saved may be meant for the next HLT. */
	vcpu->unhalted = gondola_cpuid_has_pv(vcpu, GONDOLA_KVM_PV_UNHALT);
	vcpu->engine->set_shadow(vcpu, rec->shadow | (rec->nmi_blocked ? GONDOLA_SHADOW_NMI : 0));
	return 0;
}

GONDOLA_VCPU_RECORD(events, EVENTS);

/* ---- debug registers ---------------------------------------------------------------- */

static int debug_get(struct gondola_vcpu *vcpu, struct gondola_rec_debug *rec)
{
	memcpy(rec->dr, vcpu->dr, sizeof(rec->dr));
	rec->dr6 = vcpu->dr6;
	rec->dr7 = vcpu->dr7;
	return 0;
}

static int debug_set(struct gondola_vcpu *vcpu, const struct gondola_rec_debug *rec, u32 *bad)
{
	/* A write that sets bits of the high half faults, so no guest has them set. */
	if (rec->dr6 >> 32)
		return gondola_refuse(bad, offsetof(struct gondola_rec_debug, dr6));
	if (rec->dr7 >> 32)
		return gondola_refuse(bad, offsetof(struct gondola_rec_debug, dr7));
	memcpy(vcpu->dr, rec->dr, sizeof(vcpu->dr));
	vcpu->dr6 = rec->dr6 | DR6_FIXED;
	vcpu->dr7 = rec->dr7 | DR7_FIXED;
	gondola_update_dr7(vcpu);
	return 0;
}

GONDOLA_VCPU_RECORD(debug, DEBUG);

/* ---- CPUID --------------------------------------------------------------------------- */

static u32 cpuid_size(struct gondola_vcpu *vcpu)
{
	return vcpu->nr_cpuid * sizeof(*vcpu->cpuid);
}

static int cpuid_get(struct gondola_vcpu *vcpu, void *buf, u32 bytes)
{
	memcpy(buf, vcpu->cpuid, bytes);
	return 0;
}

/* Only GONDOLA_SET_CPUID sets it.  A saved state may contain it if it is the same. */
static int cpuid_set(struct gondola_vcpu *vcpu, const void *buf, u32 bytes, u32 *bad)
{
	const struct gondola_cpuid_entry *entries = buf;
	u32 i;

	if (!vcpu->cpuid)
		return -ENOEXEC;
	if (bytes != cpuid_size(vcpu))
		return gondola_refuse(bad, min(bytes, cpuid_size(vcpu)));
	for (i = 0; i < vcpu->nr_cpuid; i++)
		if (memcmp(&entries[i], &vcpu->cpuid[i], sizeof(*entries)))
			return gondola_refuse(bad, i * sizeof(*entries));
	return 0;
}

GONDOLA_VARYING_RECORD(cpuid, CPUID);
