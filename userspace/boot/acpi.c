// SPDX-License-Identifier: GPL-2.0-only
/*
 * ACPI tables: RSDP, XSDT, FADT, FACS, MADT, DSDT, and an SSDT with the virtio
 * devices of this machine.  Not hardware-reduced:
 * such a guest would leave out the legacy interrupt controller and timer.
 */
#include <stdlib.h>
#include <string.h>

#include "boot.h"
#include "device/device.h"
#include "dsdt.hex"

#define PACKED		__attribute__((packed))
#define ALIGN(x, to)	(((x) + (to) - 1) & ~((to) - 1u))


struct table_header {
	char signature[4];
	uint32_t length;
	uint8_t revision;
	uint8_t checksum;
	char oem[6];
	char oem_table[8];
	uint32_t oem_revision;
	char creator[4];
	uint32_t creator_revision;
} PACKED;

struct rsdp {
	char signature[8];
	uint8_t checksum;		/* of the first 20 bytes */
	char oem[6];
	uint8_t revision;
	uint32_t rsdt;
	uint32_t length;
	uint64_t xsdt;
	uint8_t extended_checksum;
	uint8_t reserved[3];
} PACKED;

struct generic_address {
	uint8_t space;
	uint8_t bit_width;
	uint8_t bit_offset;
	uint8_t access;
	uint64_t address;
} PACKED;
#define SPACE_IO	1

struct fadt {
	struct table_header header;
	uint32_t facs;
	uint32_t dsdt;
	uint8_t reserved0;
	uint8_t profile;
	uint16_t sci_irq;
	uint32_t smi_command;
	uint8_t acpi_enable, acpi_disable, s4bios_request, pstate_control;
	uint32_t pm1a_event, pm1b_event, pm1a_control, pm1b_control;
	uint32_t pm2_control, pm_timer, gpe0, gpe1;
	uint8_t pm1_event_bytes, pm1_control_bytes, pm2_control_bytes, pm_timer_bytes;
	uint8_t gpe0_bytes, gpe1_bytes, gpe1_base, cst_control;
	uint16_t c2_latency, c3_latency, flush_size, flush_stride;
	uint8_t duty_offset, duty_width, day_alarm, month_alarm, century;
	uint16_t boot_flags;
	uint8_t reserved1;
	uint32_t flags;
	struct generic_address reset;
	uint8_t reset_value;
	uint8_t reserved2[3];
	uint64_t x_facs;
	uint64_t x_dsdt;
	struct generic_address x_pm1a_event, x_pm1b_event, x_pm1a_control, x_pm1b_control;
	struct generic_address x_pm2_control, x_pm_timer, x_gpe0, x_gpe1;
} PACKED;
_Static_assert(sizeof(struct fadt) == 244, "FADT of ACPI 4.0");

#define FADT_WBINVD		(1u << 0)
#define FADT_C1			(1u << 2)
#define FADT_NO_SLEEP_BUTTON	(1u << 5)
#define FADT_RTC_NO_WAKE	(1u << 6)
#define FADT_TIMER_32		(1u << 8)
#define FADT_RESET		(1u << 10)
#define BOOT_LEGACY_DEVICES	(1u << 0)
#define BOOT_NO_VGA		(1u << 2)
#define PROFILE_SERVER		4
#define CENTURY_REGISTER	0x32
#define NO_C2			101	/* larger than the largest valid latency */
#define NO_C3			1001

struct facs {
	char signature[4];
	uint32_t length;
	uint32_t hardware_signature;
	uint32_t waking_vector;
	uint32_t global_lock;
	uint32_t flags;
	uint64_t x_waking_vector;
	uint8_t version;
	uint8_t reserved[31];
} PACKED;
_Static_assert(sizeof(struct facs) == 64, "FACS is ABI");

struct madt_header {
	struct table_header header;
	uint32_t local_apic;
	uint32_t flags;
} PACKED;
#define MADT_PIC_TOO	1

struct madt_cpu {
	uint8_t type, length, processor, apic;
	uint32_t flags;
} PACKED;

struct madt_io_apic {
	uint8_t type, length, id, reserved;
	uint32_t address;
	uint32_t first_gsi;
} PACKED;

struct madt_override {
	uint8_t type, length, bus, irq;
	uint32_t gsi;
	uint16_t flags;
} PACKED;

struct madt_nmi {
	uint8_t type, length, processor;
	uint16_t flags;
	uint8_t pin;
} PACKED;
enum { MADT_CPU = 0, MADT_IO_APIC = 1, MADT_OVERRIDE = 2, MADT_NMI = 4 };
#define MADT_ENABLED		1
#define MADT_LEVEL_HIGH		0x0d
#define MADT_ALL_CPUS		0xff

/* Start the next table. */
struct builder {
	const struct guest_memory *memory;
	uint32_t next;
};

/* All tables have a known size; running out of room is our mistake. */
static void *place(struct builder *builder, uint32_t bytes, uint32_t align, uint32_t *gpa)
{
	void *at;

	builder->next = ALIGN(builder->next, align);
	*gpa = builder->next;
	builder->next += bytes;
	at = memory_at(builder->memory, *gpa, bytes);
	if (!at || builder->next > GENERATION_GPA)
		abort();
	memset(at, 0, bytes);
	return at;
}

static void finish(struct table_header *header, const char *signature, uint8_t revision,
		   uint32_t bytes)
{
	memcpy(header->signature, signature, 4);
	header->length = bytes;
	header->revision = revision;
	memcpy(header->oem, "GONDLA", 6);
	memcpy(header->oem_table, "GONDOLA ", 8);
	header->oem_revision = 1;
	memcpy(header->creator, "GNDL", 4);
	header->creator_revision = 1;
	header->checksum = 0;
	header->checksum = boot_checksum(header, bytes);
}

static struct generic_address io_address(uint16_t port, uint8_t bytes)
{
	return (struct generic_address){
		.space = SPACE_IO,
		.bit_width = bytes * 8,
		.access = bytes == 1 ? 1 : bytes == 2 ? 2 : 3,
		.address = port,
	};
}

static uint32_t build_facs(struct builder *builder)
{
	uint32_t gpa;
	struct facs *facs = place(builder, sizeof(*facs), 64, &gpa);

	memcpy(facs->signature, "FACS", 4);
	facs->length = sizeof(*facs);
	facs->version = 2;
	return gpa;
}

static uint32_t build_dsdt(struct builder *builder)
{
	uint32_t gpa;

	memcpy(place(builder, sizeof(dsdt_aml_code), 16, &gpa), dsdt_aml_code,
	       sizeof(dsdt_aml_code));
	return gpa;
}

static uint32_t build_fadt(struct builder *builder)
{
	uint32_t facs = build_facs(builder), dsdt = build_dsdt(builder), gpa;
	struct fadt *fadt = place(builder, sizeof(*fadt), 16, &gpa);

	fadt->facs = facs;
	fadt->dsdt = dsdt;
	fadt->x_dsdt = dsdt;	/* the FACS may be named once only */
	fadt->profile = PROFILE_SERVER;
	fadt->sci_irq = SCI_IRQ;
	fadt->pm1a_event = PM1_EVENT_PORT;
	fadt->pm1_event_bytes = 4;
	fadt->x_pm1a_event = io_address(PM1_EVENT_PORT, 4);
	fadt->x_pm1a_event.access = 2;
	fadt->pm1a_control = PM1_CONTROL_PORT;
	fadt->pm1_control_bytes = 2;
	fadt->x_pm1a_control = io_address(PM1_CONTROL_PORT, 2);
	fadt->pm_timer = PM_TIMER_PORT;
	fadt->pm_timer_bytes = 4;
	fadt->x_pm_timer = io_address(PM_TIMER_PORT, 4);
	fadt->c2_latency = NO_C2;
	fadt->c3_latency = NO_C3;
	fadt->century = CENTURY_REGISTER;
	/* The keyboard's flag is clear, so that guests do not wait for a keyboard. */
	fadt->boot_flags = BOOT_LEGACY_DEVICES | BOOT_NO_VGA;
	fadt->flags = FADT_WBINVD | FADT_C1 | FADT_NO_SLEEP_BUTTON |
		      FADT_RTC_NO_WAKE | FADT_TIMER_32 | FADT_RESET;
	fadt->reset = io_address(RESET_PORT, 1);
	fadt->reset_value = RESET_VALUE;
	finish(&fadt->header, "FACP", 4, sizeof(*fadt));
	return gpa;
}

struct madt {
	struct madt_header header;
	struct madt_io_apic io_apic;
	struct madt_override timer;
	struct madt_override sci;
	struct madt_nmi nmi;
	struct madt_cpu cpus[GONDOLA_MAX_VCPUS];
} PACKED;

static uint32_t build_madt(struct builder *builder, unsigned int cpus)
{
	uint32_t bytes = offsetof(struct madt, cpus) + cpus * sizeof(struct madt_cpu), gpa;
	struct madt *madt = place(builder, bytes, 16, &gpa);

	madt->header.local_apic = BOOT_LOCAL_APIC;
	madt->header.flags = MADT_PIC_TOO;
	madt->io_apic = (struct madt_io_apic){
		.type = MADT_IO_APIC, .length = sizeof(madt->io_apic), .address = BOOT_IO_APIC,
	};
	madt->timer = (struct madt_override){
		.type = MADT_OVERRIDE, .length = sizeof(madt->timer), .irq = 0, .gsi = 2,
	};
	madt->sci = (struct madt_override){
		.type = MADT_OVERRIDE, .length = sizeof(madt->sci),
		.irq = SCI_IRQ, .gsi = SCI_IRQ, .flags = MADT_LEVEL_HIGH,
	};
	madt->nmi = (struct madt_nmi){
		.type = MADT_NMI, .length = sizeof(madt->nmi),
		.processor = MADT_ALL_CPUS, .pin = 1,
	};
	for (unsigned int i = 0; i < cpus; i++)
		madt->cpus[i] = (struct madt_cpu){
			.type = MADT_CPU, .length = sizeof(madt->cpus[i]),
			.processor = i, .apic = i, .flags = MADT_ENABLED,
		};
	finish(&madt->header.header, "APIC", 3, bytes);
	return gpa;
}

/*
 * A virtio device in AML, with the same length for all:
 *
 *	Device (VIxx) {
 *		Name (_HID, "LNRO0005")
 *		Name (_UID, xx)
 *		Method (_CRS) { Return (VIRT (address, gsi, line)) }
 *	}
 */
struct aml_virtio {
	uint8_t device[2];
	uint8_t device_length[2];
	char name[4];
	uint8_t hid_op;
	char hid[4];
	uint8_t hid_string_op;
	char hid_string[9];
	uint8_t uid_op;
	char uid[4];
	uint8_t uid_byte_op;
	uint8_t uid_byte;
	uint8_t crs_op;
	uint8_t crs_length;
	char crs[4];
	uint8_t crs_flags;
	uint8_t return_op;
	char virt[4];
	uint8_t address_op;
	uint32_t address;
	uint8_t gsi_op;
	uint8_t gsi;
	uint8_t line_op;
	uint8_t line;
} PACKED;

enum {
	AML_NAME = 0x08, AML_BYTE = 0x0a, AML_DWORD = 0x0c, AML_STRING = 0x0d, AML_SCOPE = 0x10,
	AML_METHOD = 0x14, AML_RETURN = 0xa4,
};

/* The bytes from @from to the end of the device, @from included. */
#define AML_REST(from)	(sizeof(struct aml_virtio) - offsetof(struct aml_virtio, from))

/* A length in two bytes: 4 low bits with the count of further bytes, then 8 bits. */
static void aml_length(uint8_t *to, uint32_t length)
{
	to[0] = 0x40 | (length & 0xf);
	to[1] = length >> 4;
}

static struct aml_virtio aml_virtio(unsigned int slot)
{
	static const char hex[] = "0123456789ABCDEF";
	static const uint8_t lines[] = GONDOLA_PIC_LINES;
	struct aml_virtio aml = {
		.device = { 0x5b, 0x82 },
		.name = { 'V', 'I', hex[slot >> 4], hex[slot & 0xf] },
		.hid_op = AML_NAME, .hid = "_HID",
		.hid_string_op = AML_STRING, .hid_string = "LNRO0005",
		.uid_op = AML_NAME, .uid = "_UID", .uid_byte_op = AML_BYTE, .uid_byte = slot,
		.crs_op = AML_METHOD, .crs_length = AML_REST(crs_length), .crs = "_CRS",
		.return_op = AML_RETURN, .virt = "VIRT",
		.address_op = AML_DWORD, .address = VIRTIO_MMIO_BASE + slot * VIRTIO_MMIO_STRIDE,
		.gsi_op = AML_BYTE, .gsi = VIRTIO_GSI(slot),
		.line_op = AML_BYTE, .line = lines[VIRTIO_GSI(slot) - 16],
	};
	_Static_assert(AML_REST(crs_length) < 0x40, "a length in one byte");
	_Static_assert(VIRTIO_MMIO_STRIDE == 0x1000, "as dsdt.asl has it");

	aml_length(aml.device_length, AML_REST(device_length));
	return aml;
}

struct ssdt {
	struct table_header header;
	uint8_t scope;
	uint8_t scope_length[2];
	char scope_name[5];
	struct aml_virtio devices[VIRTIO_MAX_DEVICES];
} PACKED;
_Static_assert(sizeof(struct ssdt) < 0x1000, "a length in two bytes");

static uint32_t build_ssdt(struct builder *builder, unsigned int nr_virtio)
{
	uint32_t bytes = offsetof(struct ssdt, devices) + nr_virtio * sizeof(struct aml_virtio);
	uint32_t gpa;
	struct ssdt *ssdt = place(builder, bytes, 16, &gpa);

	ssdt->scope = AML_SCOPE;
	aml_length(ssdt->scope_length, bytes - offsetof(struct ssdt, scope_length));
	memcpy(ssdt->scope_name, "\\_SB_", sizeof(ssdt->scope_name));
	for (unsigned int slot = 0; slot < nr_virtio; slot++)
		ssdt->devices[slot] = aml_virtio(slot);
	finish(&ssdt->header, "SSDT", 2, bytes);
	return gpa;
}

struct xsdt {
	struct table_header header;
	uint64_t tables[3];
} PACKED;

uint64_t acpi_build(const struct guest_memory *memory, unsigned int cpus, unsigned int nr_virtio)
{
	uint32_t bytes = sizeof(struct xsdt);
	struct builder builder = { .memory = memory, .next = BOOT_ACPI };
	uint32_t rsdp_gpa, xsdt_gpa;
	struct rsdp *rsdp = place(&builder, sizeof(*rsdp), 16, &rsdp_gpa);
	struct xsdt *xsdt = place(&builder, sizeof(*xsdt), 16, &xsdt_gpa);

	xsdt->tables[0] = build_fadt(&builder);
	xsdt->tables[1] = build_madt(&builder, cpus);
	if (nr_virtio)
		xsdt->tables[2] = build_ssdt(&builder, nr_virtio);
	else
		bytes -= sizeof(xsdt->tables[2]);
	finish(&xsdt->header, "XSDT", 1, bytes);
	memcpy(rsdp->signature, "RSD PTR ", 8);
	memcpy(rsdp->oem, "GONDLA", 6);
	rsdp->revision = 2;
	rsdp->length = sizeof(*rsdp);
	rsdp->xsdt = xsdt_gpa;
	rsdp->checksum = boot_checksum(rsdp, 20);
	rsdp->extended_checksum = boot_checksum(rsdp, sizeof(*rsdp));
	return rsdp_gpa;
}
