// SPDX-License-Identifier: GPL-2.0-only
/* Records of state: put together, taken apart, and their fields by name. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#include "libgondola.h"

#define STATE_ROOM	(64u << 10)	/* more than most objects need */
#define STATE_TRIES	8
#define ALIGN8(x)	(((x) + 7) & ~(size_t)7)

int __gondola_get_state(int fd, void *buffer, uint64_t *bytes)
{
	struct gondola_state args = {
		.size = sizeof(args), .bytes = *bytes, .buffer = (uintptr_t)buffer,
	};
	int ret = ioctl(fd, GONDOLA_GET_STATE, &args) < 0 ? -errno : 0;

	*bytes = args.bytes;
	return ret;
}

int __gondola_read_state(int fd, void **buffer, uint64_t *bytes)
{
	uint64_t room = STATE_ROOM;
	int ret = -E2BIG;

	/* That of a VM that runs may grow meanwhile. */
	for (int i = 0; ret == -E2BIG && i < STATE_TRIES; i++) {
		*buffer = malloc(room);
		if (!*buffer)
			return -ENOMEM;
		*bytes = room;
		ret = __gondola_get_state(fd, *buffer, bytes);
		if (!ret)
			return 0;
		free(*buffer);
		room = 2 * *bytes;
	}
	*buffer = NULL;
	return ret;
}

int __gondola_set_state(int fd, const void *buffer, uint64_t bytes, struct gondola_fault *fault)
{
	struct gondola_state args = {
		.size = sizeof(args), .bytes = bytes, .buffer = (uintptr_t)buffer,
	};
	int ret = ioctl(fd, GONDOLA_SET_STATE, &args) < 0 ? -errno : 0;

	if (fault)
		*fault = (struct gondola_fault){ args.bad_record, args.bad_field };
	return ret;
}

size_t gondola_put_record(void *buffer, size_t room, size_t used, uint32_t type,
			  const void *payload, uint32_t bytes)
{
	struct gondola_record header = {
		.type = type, .version = GONDOLA_RECORD_VERSION, .bytes = bytes,
	};
	size_t end = ALIGN8(used + sizeof(header) + bytes);
	char *at = (char *)buffer + used;

	if (end > room)
		gondola_die(0, "no room for a state record of type %u", type);
	memset(at, 0, end - used);
	memcpy(at, &header, sizeof(header));
	memcpy(at + sizeof(header), payload, bytes);
	return end;
}

const void *gondola_find_record(const void *buffer, size_t used, uint32_t type, uint32_t bytes)
{
	size_t at = 0;

	while (used - at >= sizeof(struct gondola_record)) {
		struct gondola_record header;
		size_t payload = at + sizeof(header);

		memcpy(&header, (const char *)buffer + at, sizeof(header));
		if (header.bytes > used - payload)
			return NULL;
		if (header.type == type)
			return header.bytes >= bytes ? (const char *)buffer + payload : NULL;
		at = ALIGN8(payload + header.bytes);
		if (at > used)
			return NULL;
	}
	return NULL;
}

int __gondola_set_registers(int vcpu, const struct gondola_rec_regs *regs,
			    const struct gondola_rec_sregs *sregs, struct gondola_fault *fault)
{
	_Alignas(8) char buffer[1024];
	size_t used = 0;

	if (sregs)
		used = gondola_put_record(buffer, sizeof(buffer), used, GONDOLA_REC_SREGS, sregs,
					  sizeof(*sregs));
	if (regs)
		used = gondola_put_record(buffer, sizeof(buffer), used, GONDOLA_REC_REGS, regs,
					  sizeof(*regs));
	return __gondola_set_state(vcpu, buffer, used, fault);
}

void gondola_set_registers(int vcpu, const struct gondola_rec_regs *regs,
			   const struct gondola_rec_sregs *sregs)
{
	struct gondola_fault fault;
	char name[32];
	int ret = __gondola_set_registers(vcpu, regs, sregs, &fault);

	if (ret == -EINVAL && fault.record == GONDOLA_REC_SREGS)
		gondola_die(-ret, "the initial state of a vCPU was refused for its %s",
			    gondola_sregs_field(fault.field, name, sizeof(name)));
	if (ret < 0)
		gondola_die(-ret, "cannot set the initial state of a vCPU");
}

int __gondola_get_registers(int vcpu, struct gondola_rec_regs *regs,
			    struct gondola_rec_sregs *sregs)
{
	static _Thread_local _Alignas(8) char buffer[65536];
	uint64_t used = sizeof(buffer);
	const void *record;
	int ret = __gondola_get_state(vcpu, buffer, &used);

	if (ret < 0)
		return ret;
	record = gondola_find_record(buffer, used, GONDOLA_REC_REGS, sizeof(*regs));
	if (!record)
		return -EPROTO;
	memcpy(regs, record, sizeof(*regs));
	record = gondola_find_record(buffer, used, GONDOLA_REC_SREGS, sizeof(*sregs));
	if (!record)
		return -EPROTO;
	memcpy(sregs, record, sizeof(*sregs));
	return 0;
}

const char *gondola_sregs_field(uint32_t offset, char *buffer, size_t room)
{
	static const char *const segments[] = {
		"es", "cs", "ss", "ds", "fs", "gs", "ldtr", "tr"
	};
	static const struct {
		uint32_t offset;
		const char *name;
	} fields[] = {
#define FIELD(name) { offsetof(struct gondola_rec_sregs, name), #name }
		FIELD(gdt.base), FIELD(gdt.limit), FIELD(idt.base), FIELD(idt.limit),
		FIELD(cr0), FIELD(cr2), FIELD(cr3), FIELD(cr4), FIELD(cr8), FIELD(efer),
		FIELD(apic_base), FIELD(xcr0),
#undef FIELD
	};
	const uint32_t one = sizeof(struct gondola_segment);

	if (offset < 8 * one) {
		uint32_t part = offset % one;

		snprintf(buffer, room, "%s.%s", segments[offset / one],
			 part < offsetof(struct gondola_segment, limit) ? "base" :
			 part < offsetof(struct gondola_segment, ar) ? "limit" :
			 part < offsetof(struct gondola_segment, selector) ? "access rights" :
			 part < offsetof(struct gondola_segment, pad) ? "selector" : "padding");
		return buffer;
	}
	for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++)
		if (fields[i].offset == offset)
			return fields[i].name;
	snprintf(buffer, room, "byte %u", offset);
	return buffer;
}

const char *gondola_record_name(uint32_t type)
{
	static const char *const names[] = {
		[GONDOLA_REC_REGS] = "regs", [GONDOLA_REC_SREGS] = "sregs",
		[GONDOLA_REC_MSRS] = "msrs", [GONDOLA_REC_FPU] = "fpu",
		[GONDOLA_REC_EVENTS] = "events", [GONDOLA_REC_DEBUG] = "debug",
		[GONDOLA_REC_LAPIC] = "lapic", [GONDOLA_REC_CPUID] = "cpuid",
		[GONDOLA_REC_PDPTES] = "pdptes", [GONDOLA_REC_XEN_VCPU] = "xen-vcpu",
		[GONDOLA_REC_XEN_CONTEXT] = "xen-context",
		[GONDOLA_REC_PIC] = "pic", [GONDOLA_REC_IOAPIC] = "ioapic",
		[GONDOLA_REC_PIT] = "pit", [GONDOLA_REC_CLOCK] = "clock",
		[GONDOLA_REC_XEN] = "xen", [GONDOLA_REC_XEN_PORTS] = "xen-ports",
		[GONDOLA_REC_XEN_PINS] = "xen-pins",
	};

	return type < sizeof(names) / sizeof(names[0]) && names[type] ? names[type] : "unknown";
}

const char *gondola_record_field(uint32_t type, uint32_t offset, char *buffer, size_t room)
{
	if ((int32_t)offset < 0)
		snprintf(buffer, room, "its header");
	else if (type == GONDOLA_REC_SREGS)
		return gondola_sregs_field(offset, buffer, room);
	else
		snprintf(buffer, room, "byte %u", offset);
	return buffer;
}
