// SPDX-License-Identifier: GPL-2.0-only
/* Saved state: one table of record types.  The rooms handle their records. */
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
#include "xen/guest.h"

#define RECORD_ALIGN	8

/*
 * Records are applied in this order: control registers depend on CPUID, segments on RFLAGS.VM,
 * directory pointers belong to CR3, the form of an APIC's ID depends on its base, CR2 belongs to a
 * queued #PF, the PIT drives the chips before it, and ports and pins depend on the configuration.
 */
static const struct gondola_record_row *const types[] = {
	&gondola_cpuid_record,
	&gondola_regs_record,
	&gondola_pdptes_record,
	&gondola_sregs_record,
	&gondola_msrs_record,
	&gondola_fpu_record,
	&gondola_lapic_record,
	&gondola_debug_record,
	&gondola_events_record,
	&gondola_clock_record,
	&gondola_pic_record,
	&gondola_ioapic_record,
	&gondola_pit_record,
	&gondola_xen_record,
	&gondola_xen_ports_record,
	&gondola_xen_pins_record,
	&gondola_xen_vcpu_record,
	&gondola_xen_context_record,
};

static_assert(sizeof(struct gondola_record) % RECORD_ALIGN == 0);

/* 0: the record belongs to the other kind of object, or is empty. */
static u32 payload_size(const struct gondola_record_row *type, struct gondola_vm *vm,
			struct gondola_vcpu *vcpu)
{
	return type->of_vcpu == !!vcpu ? type->size(vm, vcpu) : 0;
}

static size_t room_for(u32 payload)
{
	return sizeof(struct gondola_record) + ALIGN(payload, RECORD_ALIGN);
}

size_t state_size(struct gondola_vm *vm, struct gondola_vcpu *vcpu)
{
	size_t sum = 0;
	int i;

	for (i = 0; i < ARRAY_SIZE(types); i++) {
		u32 bytes = payload_size(types[i], vm, vcpu);

		if (bytes)
			sum += room_for(bytes);
	}
	return sum;
}

int state_get(struct gondola_vm *vm, struct gondola_vcpu *vcpu, void *buffer, size_t bytes)
{
	size_t at = 0;
	int i, err;

	for (i = 0; i < ARRAY_SIZE(types); i++) {
		const struct gondola_record_row *type = types[i];
		struct gondola_record *record = buffer + at;
		u32 payload = payload_size(type, vm, vcpu);

		if (!payload)
			continue;
		if (WARN_ON_ONCE(bytes - at < room_for(payload)))
			return -EIO;
		record->type = type->type;
		record->version = type->version;
		record->bytes = payload;
		err = type->get(vm, vcpu, record + 1, payload);
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
		if (types[i]->type == record->type && types[i]->of_vcpu == of_vcpu)
			return i;
	return -1;
}

/* The header precedes the payload, so offsets of its fields are negative. */
#define HEADER_FIELD(field)	\
	((u32)(offsetof(struct gondola_record, field) - sizeof(struct gondola_record)))

/* The table's index for the record at the start of @bytes, or -EINVAL. */
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
	if (record->version != types[i]->version)
		return gondola_refuse(bad_field, HEADER_FIELD(version));
	if (record->flags)
		return gondola_refuse(bad_field, HEADER_FIELD(flags));
	if (record->pad)
		return gondola_refuse(bad_field, HEADER_FIELD(pad));
	if ((types[i]->bytes && record->bytes != types[i]->bytes) || !record->bytes ||
	    record->bytes > bytes - sizeof(*record))
		return gondola_refuse(bad_field, HEADER_FIELD(bytes));
	return i;
}

static int set_records(struct gondola_vm *vm, struct gondola_vcpu *vcpu, const void *buffer,
		       size_t bytes, u32 *bad_record, u32 *bad_field)
{
	const struct gondola_record *found[ARRAY_SIZE(types)] = { NULL };
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
		/* The last record may lack its padding. */
		at += room_for(record->bytes);
	}
	for (i = 0; i < ARRAY_SIZE(types); i++) {
		if (!found[i])
			continue;
		*bad_record = found[i]->type;
		*bad_field = 0;
		err = types[i]->set(vm, vcpu, found[i] + 1, found[i]->bytes, bad_field);
		if (err)
			return err;
	}
	*bad_record = 0;
	*bad_field = 0;
	return 0;
}

int state_set(struct gondola_vm *vm, struct gondola_vcpu *vcpu, const void *buffer,
	      size_t bytes, u32 *bad_record, u32 *bad_field)
{
	int err = set_records(vm, vcpu, buffer, bytes, bad_record, bad_field);

	/* It points into the buffer. */
	if (vcpu)
		vcpu->saved_pdptes = NULL;
	return err;
}
