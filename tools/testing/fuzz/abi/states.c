// SPDX-License-Identifier: GPL-2.0-only
/* Saved states near the border of what is valid: read, changed in a few places, set somewhere. */
#include <stdio.h>
#include <string.h>

#include "fuzz.h"

/* The last state that somebody read, for others to set. */
static uint8_t kept[STATE_BYTES];
static uint64_t kept_bytes;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

size_t find_records(uint8_t *state, uint64_t bytes, struct gondola_record *out[MAX_RECORDS])
{
	size_t count = 0;
	uint64_t at = 0;

	while (at + sizeof(struct gondola_record) <= bytes && count < MAX_RECORDS) {
		struct gondola_record *record = (void *)(state + at);

		out[count++] = record;
		at += sizeof(*record) + ((record->bytes + 7ull) & ~7ull);
	}
	return count;
}

/* A length that brought the walk back to where it was would keep a thread there for good. */
bool records_end(void)
{
	static const uint32_t lengths[] = {
		0xffffffe0, 0xffffffe8, 0xffffffe9, 0xfffffff0, 0xfffffff8, 0xffffffff,
	};
	uint32_t state[PAGE / 4];
	struct gondola_record *records[MAX_RECORDS];

	for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
		for (size_t at = 0; at < PAGE / 4; at++)
			state[at] = lengths[i];
		if (find_records((uint8_t *)state, sizeof(state), records) != 1)
			return false;
	}
	return true;
}

/* One field of 1 to 8 bytes becomes another value, mostly near the one that it had. */
static void change_field(struct random *r, uint8_t *payload, uint32_t bytes)
{
	uint32_t width = 1u << below(r, 4), at;
	uint64_t value = 0;

	if (bytes < width)
		return;
	at = below(r, bytes / width) * width;
	memcpy(&value, payload + at, width);
	switch (below(r, 5)) {
	case 0:
		value ^= 1ull << below(r, 8 * width);
		break;
	case 1:
		value += one_in(r, 2) ? 1 : -1;
		break;
	case 2:
		value = ~value;
		break;
	case 3:
		value = next(r);
		break;
	default:
		value = odd_value(r);
	}
	memcpy(payload + at, &value, width);
}

/* Exceptions that are unmasked, pending, or said to be. */
static void change_fpu(struct random *r, uint8_t *area)
{
	uint16_t control = 0x340 | below(r, 0x40), status = below(r, 0x10000);
	uint32_t mxcsr = below(r, 0x10000);

	memcpy(area, &control, sizeof(control));
	memcpy(area + 2, &status, sizeof(status));
	if (one_in(r, 2))
		memcpy(area + 24, &mxcsr, sizeof(mxcsr));
	for (uint32_t i = below(r, 4); i; i--)
		area[32 + below(r, 512 - 32)] = next(r);
}

/* Records that change what the guest does next more than others do. */
static void change_control(struct random *r, struct gondola_record *record)
{
	struct gondola_rec_sregs *sregs = (void *)(record + 1);
	static const uint64_t cr0[] = { 0x10, 0x11, 0x80000011, 0x80010011, 0x80000031, 0x60000010 };
	static const uint64_t cr4[] = { 0, 0x10, 0x20, 0x30, 0x90, 0x620, 0x100020, 0x1000 };
	static const uint64_t efer[] = { 0, 0x100, 0x500, 0x501, 0xd00, 0xd01, 0x800 };

	if (record->type == GONDOLA_REC_FPU && record->bytes >= 512)
		change_fpu(r, (uint8_t *)(record + 1));
	if (record->type != GONDOLA_REC_SREGS || record->bytes != sizeof(*sregs))
		return;
	if (one_in(r, 2))
		sregs->cr0 = cr0[below(r, 6)];
	if (one_in(r, 2))
		sregs->cr4 = cr4[below(r, 8)];
	if (one_in(r, 2))
		sregs->efer = efer[below(r, 7)];
	if (one_in(r, 2))
		sregs->cr3 = one_in(r, 3) ? odd_value(r) : any_place(r);
}

static void change(struct random *r, uint8_t *state, __u64 *bytes)
{
	struct gondola_record *records[MAX_RECORDS], *record;
	size_t count = find_records(state, *bytes, records);

	if (!count)
		return;
	for (uint32_t i = below(r, 4); i; i--) {
		record = records[below(r, count)];
		if ((uint8_t *)(record + 1) + record->bytes > state + *bytes)
			break;
		if (one_in(r, 24))
			change_field(r, (uint8_t *)record, sizeof(*record));
		else if (one_in(r, 4))
			change_control(r, record);
		else
			change_field(r, (uint8_t *)(record + 1), record->bytes);
	}
	if (one_in(r, 32))
		*bytes -= below(r, *bytes);
	/* A single record alone, as those who set one do. */
	if (one_in(r, 2)) {
		uint64_t one;

		record = records[below(r, count)];
		one = sizeof(*record) + ((record->bytes + 7ull) & ~7ull);
		if ((uint8_t *)record + one <= state + *bytes) {
			memmove(state, record, one);
			*bytes = one;
		}
	}
}

/* Of a VM or a vCPU, or of none. */
static int any_owner(struct random *r)
{
	return one_in(r, 3) ? any_vm(r) : any_vcpu(r)->fd;
}

void call_state(struct worker *w)
{
	struct random *r = &w->random;
	struct gondola_state arg = { .size = sizeof(arg), .bytes = STATE_BYTES };
	int owner = any_owner(r);

	arg.buffer = one_in(r, 12) ? memory_any(r) : (uintptr_t)w->args;
	if (one_in(r, 16))
		arg.bytes = odd_value(r);
	if (!one_in(r, 4)) {
		uint8_t *args = w->args + STATE_BYTES;

		memcpy(args, &arg, sizeof(arg));
		if (do_ioctl(w, owner, GONDOLA_GET_STATE, args, sizeof(arg), "GET_STATE"))
			return;
		memcpy(&arg, args, sizeof(arg));
		if (arg.bytes > STATE_BYTES || arg.buffer != (uintptr_t)w->args)
			return;
		if (one_in(r, 8)) {
			pthread_mutex_lock(&lock);
			memcpy(kept, w->args, arg.bytes);
			kept_bytes = arg.bytes;
			pthread_mutex_unlock(&lock);
		}
	} else {
		pthread_mutex_lock(&lock);
		memcpy(w->args, kept, kept_bytes);
		arg.bytes = kept_bytes;
		pthread_mutex_unlock(&lock);
	}
	change(r, w->args, &arg.bytes);
	if (one_in(r, 4))
		owner = any_owner(r);
	do_ioctl(w, owner, GONDOLA_SET_STATE, &arg, sizeof(arg), "SET_STATE");
}
