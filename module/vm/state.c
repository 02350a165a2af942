// SPDX-License-Identifier: GPL-2.0-only
/* Saved state: walks one table of record types.  Each row's room does the rest. */
#include <linux/align.h>
#include <linux/errno.h>
#include <linux/kernel.h>
#include <linux/string.h>
#include <uapi/linux/gondola.h>
#include "irq/irq.h"
#include "run/run.h"
#include "state.h"
#include "vcpu.h"
#include "vm.h"

#define RECORD_ALIGN	8

/* The owner of a record. */
struct owner {
	struct gondola_vm *vm;
	struct gondola_vcpu *vcpu;
};

/**
 * struct record_type - one kind of record
 * @type: enum gondola_record_type
 * @version: the one layout that is known
 * @of_vcpu: belongs to a vCPU, else to the VM
 * @bytes: length of the payload; 0: it varies
 * @size: length now, where it varies; 0: nothing to save
 * @get: write the payload, zeroed before
 * @set: check and apply it; *@bad is the offset of what is refused
 */
struct record_type {
	u32 type;
	u16 version;
	bool of_vcpu;
	u32 bytes;
	u32 (*size)(const struct owner *o);
	int (*get)(const struct owner *o, void *payload, u32 bytes);
	int (*set)(const struct owner *o, const void *payload, u32 bytes, u32 *bad);
};

static u32 cpuid_size(const struct owner *o)
{
	return gondola_cpuid_size(o->vcpu);
}

static int cpuid_get(const struct owner *o, void *payload, u32 bytes)
{
	return gondola_cpuid_get(o->vcpu, payload, bytes);
}

static int cpuid_set(const struct owner *o, const void *payload, u32 bytes, u32 *bad)
{
	return gondola_cpuid_compare(o->vcpu, payload, bytes, bad);
}

static int regs_get(const struct owner *o, void *payload, u32 bytes)
{
	return gondola_regs_get(o->vcpu, payload);
}

static int regs_set(const struct owner *o, const void *payload, u32 bytes, u32 *bad)
{
	return gondola_regs_set(o->vcpu, payload, bad);
}

static int sregs_get(const struct owner *o, void *payload, u32 bytes)
{
	return gondola_sregs_get(o->vcpu, payload);
}

static int sregs_set(const struct owner *o, const void *payload, u32 bytes, u32 *bad)
{
	return gondola_sregs_set(o->vcpu, payload, bad);
}

static u32 msrs_size(const struct owner *o)
{
	return gondola_msrs_size(o->vcpu);
}

static int msrs_get(const struct owner *o, void *payload, u32 bytes)
{
	return gondola_msrs_get(o->vcpu, payload, bytes);
}

static int msrs_set(const struct owner *o, const void *payload, u32 bytes, u32 *bad)
{
	return gondola_msrs_set(o->vcpu, payload, bytes, bad);
}

static u32 fpu_size(const struct owner *o)
{
	return gondola_fpu_size(o->vcpu);
}

static int fpu_get(const struct owner *o, void *payload, u32 bytes)
{
	return gondola_fpu_get(o->vcpu, payload, bytes);
}

static int fpu_set(const struct owner *o, const void *payload, u32 bytes, u32 *bad)
{
	return gondola_fpu_set(o->vcpu, payload, bytes, bad);
}

static int lapic_get(const struct owner *o, void *payload, u32 bytes)
{
	return gondola_lapic_get(o->vcpu, payload);
}

static int lapic_set(const struct owner *o, const void *payload, u32 bytes, u32 *bad)
{
	return gondola_lapic_set(o->vcpu, payload, bad);
}

static int debug_get(const struct owner *o, void *payload, u32 bytes)
{
	return gondola_debug_get(o->vcpu, payload);
}

static int debug_set(const struct owner *o, const void *payload, u32 bytes, u32 *bad)
{
	return gondola_debug_set(o->vcpu, payload, bad);
}

static int events_get(const struct owner *o, void *payload, u32 bytes)
{
	return gondola_events_get(o->vcpu, payload);
}

static int events_set(const struct owner *o, const void *payload, u32 bytes, u32 *bad)
{
	return gondola_events_set(o->vcpu, payload, bad);
}

static int clock_get(const struct owner *o, void *payload, u32 bytes)
{
	return gondola_clock_get(o->vm, payload);
}

static int clock_set(const struct owner *o, const void *payload, u32 bytes, u32 *bad)
{
	return gondola_clock_set(o->vm, payload, bad);
}

static int pic_get(const struct owner *o, void *payload, u32 bytes)
{
	return gondola_pic_get(o->vm, payload);
}

static int pic_set(const struct owner *o, const void *payload, u32 bytes, u32 *bad)
{
	return gondola_pic_set(o->vm, payload, bad);
}

static int ioapic_get(const struct owner *o, void *payload, u32 bytes)
{
	return gondola_ioapic_get(o->vm, payload);
}

static int ioapic_set(const struct owner *o, const void *payload, u32 bytes, u32 *bad)
{
	return gondola_ioapic_set(o->vm, payload, bad);
}

static int pit_get(const struct owner *o, void *payload, u32 bytes)
{
	return gondola_pit_get(o->vm, payload);
}

static int pit_set(const struct owner *o, const void *payload, u32 bytes, u32 *bad)
{
	return gondola_pit_set(o->vm, payload, bad);
}

/*
 * In the order in which they are applied: CPUID says what control registers may
 * hold, RFLAGS.VM how segments must look, the APIC's base in which form its ID
 * is, CR2 belongs to a #PF that is queued; the PIT drives the chips before it.
 */
static const struct record_type types[] = {
	{ GONDOLA_REC_CPUID, 1, true, 0, cpuid_size, cpuid_get, cpuid_set },
	{ GONDOLA_REC_REGS, 1, true, sizeof(struct gondola_rec_regs), NULL, regs_get, regs_set },
	{ GONDOLA_REC_SREGS, 1, true, sizeof(struct gondola_rec_sregs), NULL, sregs_get, sregs_set },
	{ GONDOLA_REC_MSRS, 1, true, 0, msrs_size, msrs_get, msrs_set },
	{ GONDOLA_REC_FPU, 1, true, 0, fpu_size, fpu_get, fpu_set },
	{ GONDOLA_REC_LAPIC, 1, true, sizeof(struct gondola_rec_lapic), NULL, lapic_get, lapic_set },
	{ GONDOLA_REC_DEBUG, 1, true, sizeof(struct gondola_rec_debug), NULL, debug_get, debug_set },
	{ GONDOLA_REC_EVENTS, 1, true, sizeof(struct gondola_rec_events), NULL, events_get, events_set },
	{ GONDOLA_REC_CLOCK, 1, false, sizeof(struct gondola_rec_clock), NULL, clock_get, clock_set },
	{ GONDOLA_REC_PIC, 1, false, sizeof(struct gondola_rec_pic), NULL, pic_get, pic_set },
	{ GONDOLA_REC_IOAPIC, 1, false, sizeof(struct gondola_rec_ioapic), NULL, ioapic_get, ioapic_set },
	{ GONDOLA_REC_PIT, 1, false, sizeof(struct gondola_rec_pit), NULL, pit_get, pit_set },
};

static_assert(sizeof(struct gondola_record) % RECORD_ALIGN == 0);

static u32 payload_size(const struct record_type *type, const struct owner *o)
{
	return type->size ? type->size(o) : type->bytes;
}

static size_t room_for(u32 payload)
{
	return sizeof(struct gondola_record) + ALIGN(payload, RECORD_ALIGN);
}

size_t gondola_state_size(struct gondola_vm *vm, struct gondola_vcpu *vcpu)
{
	const struct owner o = { vm, vcpu };
	size_t sum = 0;
	int i;

	for (i = 0; i < ARRAY_SIZE(types); i++) {
		u32 bytes = types[i].of_vcpu == !!vcpu ? payload_size(&types[i], &o) : 0;

		if (bytes)
			sum += room_for(bytes);
	}
	return sum;
}

int gondola_state_get(struct gondola_vm *vm, struct gondola_vcpu *vcpu, void *buffer, size_t bytes)
{
	const struct owner o = { vm, vcpu };
	size_t at = 0;
	int i, err;

	for (i = 0; i < ARRAY_SIZE(types); i++) {
		const struct record_type *type = &types[i];
		struct gondola_record *record = buffer + at;
		u32 payload = type->of_vcpu == !!vcpu ? payload_size(type, &o) : 0;

		if (!payload)
			continue;
		if (WARN_ON_ONCE(bytes - at < room_for(payload)))
			return -EIO;
		record->type = type->type;
		record->version = type->version;
		record->bytes = payload;
		err = type->get(&o, record + 1, payload);
		if (err)
			return err;
		at += room_for(payload);
	}
	return 0;
}

static int find_type(const struct gondola_record *record, bool of_vcpu)
{
	int i;

	for (i = 0; i < ARRAY_SIZE(types); i++)
		if (types[i].type == record->type && types[i].of_vcpu == of_vcpu)
			return i;
	return -1;
}

/* Offsets of fields of the header are given as if it came before the payload: negative. */
#define HEADER_FIELD(field)	\
	((u32)(offsetof(struct gondola_record, field) - sizeof(struct gondola_record)))

/* Where the record at the start of @bytes stands in the table, or -EINVAL. */
static int check_header(const struct gondola_record *record, size_t bytes, bool of_vcpu,
			u32 *bad_record, u32 *bad_field)
{
	int i;

	*bad_record = 0;
	if (bytes < sizeof(*record))
		return gondola_refuse(bad_field, HEADER_FIELD(bytes));
	*bad_record = record->type;
	i = find_type(record, of_vcpu);
	if (i < 0)
		return gondola_refuse(bad_field, HEADER_FIELD(type));
	if (record->version != types[i].version)
		return gondola_refuse(bad_field, HEADER_FIELD(version));
	if (record->flags)
		return gondola_refuse(bad_field, HEADER_FIELD(flags));
	if (record->pad)
		return gondola_refuse(bad_field, HEADER_FIELD(pad));
	if ((types[i].bytes && record->bytes != types[i].bytes) || !record->bytes ||
	    record->bytes > bytes - sizeof(*record))
		return gondola_refuse(bad_field, HEADER_FIELD(bytes));
	return i;
}

int gondola_state_set(struct gondola_vm *vm, struct gondola_vcpu *vcpu, const void *buffer,
		      size_t bytes, u32 *bad_record, u32 *bad_field)
{
	const struct gondola_record *found[ARRAY_SIZE(types)] = { NULL };
	const struct owner o = { vm, vcpu };
	size_t at = 0;
	int i, err;

	while (at < bytes) {
		const struct gondola_record *record = buffer + at;

		i = check_header(record, bytes - at, vcpu, bad_record, bad_field);
		if (i < 0)
			return i;
		if (found[i])
			return gondola_refuse(bad_field, HEADER_FIELD(type));
		found[i] = record;
		/* The last one's padding may be left out. */
		at += room_for(record->bytes);
	}
	for (i = 0; i < ARRAY_SIZE(types); i++) {
		if (!found[i])
			continue;
		*bad_record = found[i]->type;
		*bad_field = 0;
		err = types[i].set(&o, found[i] + 1, found[i]->bytes, bad_field);
		if (err)
			return err;
	}
	*bad_record = 0;
	*bad_field = 0;
	return 0;
}
