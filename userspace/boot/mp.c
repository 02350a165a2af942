// SPDX-License-Identifier: GPL-2.0-only
/*
 * Processors and interrupt lines by the MultiProcessor Specification 1.4, which kernels read that
 * have no ACPI, or are told to leave it alone (acpi=off).
 */
#include <string.h>

#include "boot.h"
#include "device/device.h"

#define PACKED		__attribute__((packed))
#define REVISION	4
#define ISA_BUS		0
#define NR_ISA		16
#define TIMER		0
#define CASCADE		2
#define ALL_APICS	0xff

/* The floating pointer structure, which a guest finds by its signature. */
struct mp_pointer {
	char signature[4];
	uint32_t table;
	uint8_t paragraphs, revision, checksum, features[5];
} PACKED;

struct mp_header {
	char signature[4];
	uint16_t length;
	uint8_t revision, checksum;
	char oem[8], product[12];
	uint32_t oem_table;
	uint16_t oem_bytes, entries;
	uint32_t local_apic;
	uint16_t extended_length;
	uint8_t extended_checksum, reserved;
} PACKED;

struct mp_cpu {
	uint8_t type, apic, apic_version, flags;
	uint32_t signature, features;
	uint32_t reserved[2];
} PACKED;

struct mp_bus {
	uint8_t type, bus;
	char name[6];
} PACKED;

struct mp_io_apic {
	uint8_t type, apic, version, flags;
	uint32_t address;
} PACKED;

/* Of the I/O APIC's pins and of the local APICs' alike. */
struct mp_interrupt {
	uint8_t type, kind;
	uint16_t flags;
	uint8_t bus, line, apic, pin;
} PACKED;

enum { MP_CPU, MP_BUS, MP_IO_APIC, MP_IO_INTERRUPT, MP_LOCAL_INTERRUPT };
enum { KIND_INT, KIND_NMI, KIND_SMI, KIND_EXTINT };
#define CPU_ENABLED	1
#define CPU_BOOT	2
#define CPU_FEATURES	0x201		/* an FPU and an APIC */
#define IO_APIC_VERSION	0x11
#define APIC_VERSION	0x14
#define IO_APIC_ENABLED	1
#define LEVEL_HIGH	0x0d		/* 0: as is usual on the bus */

#define NR_INTERRUPTS	(NR_ISA - 1 + 2)	/* the cascade is none */
#define MP_BYTES	(sizeof(struct mp_pointer) + sizeof(struct mp_header) +		\
			 GONDOLA_MAX_VCPUS * sizeof(struct mp_cpu) + sizeof(struct mp_bus) +	\
			 sizeof(struct mp_io_apic) + NR_INTERRUPTS * sizeof(struct mp_interrupt))
_Static_assert(sizeof(struct mp_pointer) == 16, "floating pointer of MP 1.4");
_Static_assert(sizeof(struct mp_header) == 44, "configuration header of MP 1.4");
_Static_assert(sizeof(struct mp_cpu) == 20, "processor entry of MP 1.4");
_Static_assert(sizeof(struct mp_interrupt) == 8, "interrupt entry of MP 1.4");
_Static_assert(MP_BYTES <= BOOT_MP_END - BOOT_MP, "room for every processor");

/* The pin of an ISA line: its own, but for the timer's and those of the router. */
static uint8_t pin_of(uint8_t line)
{
	static const uint8_t routed[] = GONDOLA_PIC_LINES;

	for (unsigned int i = 0; i < sizeof(routed); i++)
		if (routed[i] == line)
			return NR_ISA + i;
	return line == TIMER ? 2 : line;
}

static struct mp_interrupt line_entry(uint8_t line, uint8_t io_apic)
{
	return (struct mp_interrupt){
		.type = MP_IO_INTERRUPT, .kind = KIND_INT, .bus = ISA_BUS, .line = line,
		.flags = line == SCI_IRQ ? LEVEL_HIGH : 0, .apic = io_apic, .pin = pin_of(line),
	};
}

static struct mp_interrupt local_entry(uint8_t kind, uint8_t pin)
{
	return (struct mp_interrupt){
		.type = MP_LOCAL_INTERRUPT, .kind = kind, .apic = ALL_APICS, .pin = pin,
	};
}

/* By type, in the order that the specification asks for. Returns where the entries end. */
static uint8_t *fill_entries(uint8_t *to, unsigned int cpus)
{
	struct mp_cpu *cpu = (struct mp_cpu *)to;
	struct mp_interrupt *interrupt;
	struct mp_io_apic *io_apic;
	struct mp_bus *bus;

	for (unsigned int i = 0; i < cpus; i++)
		*cpu++ = (struct mp_cpu){
			.type = MP_CPU, .apic = i, .apic_version = APIC_VERSION,
			.flags = CPU_ENABLED | (i ? 0 : CPU_BOOT), .features = CPU_FEATURES,
		};
	bus = (struct mp_bus *)cpu;
	*bus = (struct mp_bus){ .type = MP_BUS, .bus = ISA_BUS };
	memcpy(bus->name, "ISA   ", sizeof(bus->name));
	io_apic = (struct mp_io_apic *)(bus + 1);
	/* A number that no local APIC has. */
	*io_apic = (struct mp_io_apic){
		.type = MP_IO_APIC, .apic = cpus, .version = IO_APIC_VERSION,
		.flags = IO_APIC_ENABLED, .address = BOOT_IO_APIC,
	};
	interrupt = (struct mp_interrupt *)(io_apic + 1);
	for (uint8_t line = 0; line < NR_ISA; line++)
		if (line != CASCADE)
			*interrupt++ = line_entry(line, cpus);
	*interrupt++ = local_entry(KIND_EXTINT, 0);
	*interrupt++ = local_entry(KIND_NMI, 1);
	return (uint8_t *)interrupt;
}

void mp_build(const struct guest_memory *memory, unsigned int cpus)
{
	struct mp_pointer *pointer = memory_at(memory, BOOT_MP, MP_BYTES);
	struct mp_header *header = (struct mp_header *)(pointer + 1);

	memset(pointer, 0, MP_BYTES);
	*header = (struct mp_header){
		.length = fill_entries((uint8_t *)(header + 1), cpus) - (uint8_t *)header,
		.revision = REVISION, .local_apic = BOOT_LOCAL_APIC,
		.entries = cpus + 2 + NR_INTERRUPTS,
	};
	memcpy(header->signature, "PCMP", sizeof(header->signature));
	memcpy(header->oem, "GONDLA  ", sizeof(header->oem));
	memcpy(header->product, "GONDOLA     ", sizeof(header->product));
	header->checksum = boot_checksum(header, header->length);
	*pointer = (struct mp_pointer){
		.table = BOOT_MP + sizeof(*pointer), .paragraphs = 1, .revision = REVISION,
	};
	memcpy(pointer->signature, "_MP_", sizeof(pointer->signature));
	pointer->checksum = boot_checksum(pointer, sizeof(*pointer));
}
