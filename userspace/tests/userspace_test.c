// SPDX-License-Identifier: GPL-2.0-only
/*
 * Tests of what the launcher does without the module: image loaders with good
 * and bad files, ACPI tables, buses, records of state.
 */
#include <elf.h>
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>
#include <asm/bootparam.h>

#include "images.h"
#include "memory_test.h"
#include "output_test.h"
#include "pause_test.h"
#include "pipe_test.h"
#include "tap.h"
#include "device/device.h"
#include "vm/bus.h"

#define MIB	(1ull << 20)
#define SMALL	(64 * MIB)

/* ---- bzImage ------------------------------------------------------------------- */

static void bzimage_64(void)
{
	struct boot *boot = fresh_boot();
	struct boot_params *zero;

	make_bzimage(1);
	boot->append = "console=ttyS0";
	require_equal(boot_made(SMALL), 0);
	expect_equal(boot->regs.rip, 0x100200);
	expect_equal(boot->sregs.efer, 0x500);
	expect_equal(boot->sregs.cr0 & 0x80000001, 0x80000001);
	expect_equal(boot->sregs.cr4, 0x20);
	expect_equal(boot->sregs.seg[GONDOLA_CS].selector, 0x10);
	expect(boot->sregs.seg[GONDOLA_CS].ar & GONDOLA_AR_L);
	expect(!strcmp(made_at(0x100000, 32), "the kernel itself"));
	zero = made_at(boot->regs.gpr[6], sizeof(*zero));
	expect_equal(zero->hdr.header, 0x53726448);
	expect_equal(zero->hdr.type_of_loader, 0xff);
	expect_equal(zero->acpi_rsdp_addr, boot->rsdp);
	expect(!strcmp(made_at(zero->hdr.cmd_line_ptr, 32), "console=ttyS0"));
	expect(zero->e820_entries >= 4);
}

/* The page tables map all of the first 4 GiB to itself. */
static void identity_map(void)
{
	const uint64_t *pml4, *pdpt, *pd;

	fresh_boot();
	make_bzimage(1);
	require_equal(boot_made(SMALL), 0);
	pml4 = made_at(boot_of()->sregs.cr3, 4096);
	expect_equal(pml4[0] & 3, 3);
	expect_equal(pml4[1], 0);
	pdpt = made_at(pml4[0] & ~0xfffull, 4096);
	for (uint64_t i = 0; i < 4; i++) {
		pd = made_at(pdpt[i] & ~0xfffull, 4096);
		for (uint64_t j = 0; j < 512; j++)
			require_equal(pd[j], i << 30 | j << 21 | 0x83);
	}
	expect_equal(pdpt[4], 0);
}

static void bzimage_32(void)
{
	fresh_boot();
	make_bzimage(0);
	require_equal(boot_made(SMALL), 0);
	expect_equal(boot_of()->regs.rip, 0x100000);
	expect_equal(boot_of()->sregs.efer, 0);
	expect_equal(boot_of()->sregs.cr0 & 0x80000001, 1);
	expect(boot_of()->sregs.seg[GONDOLA_CS].ar & GONDOLA_AR_DB);
}

static void bzimage_initrd(void)
{
	static char initrd[10000];
	const struct boot_params *zero;
	struct boot *boot = fresh_boot();

	memset(initrd, 'i', sizeof(initrd));
	make_bzimage(1);
	boot->initrd = file_of(initrd, sizeof(initrd));
	require_equal(boot_made(SMALL), 0);
	zero = made_at(boot->regs.gpr[6], sizeof(*zero));
	expect_equal(zero->hdr.ramdisk_size, sizeof(initrd));
	expect_equal(zero->hdr.ramdisk_image % 4096, 0);
	expect(zero->hdr.ramdisk_image >= 0x1200000);
	expect(zero->hdr.ramdisk_image + sizeof(initrd) <= SMALL);
	expect(!memcmp(made_at(zero->hdr.ramdisk_image, sizeof(initrd)), initrd, sizeof(initrd)));

	/* Just the room that the kernel leaves is not enough for it. */
	boot = fresh_boot();
	boot->initrd = file_of(initrd, sizeof(initrd));
	expect_refused(0x1200000 + 4096, "beside the kernel");
	boot = fresh_boot();
	boot->initrd = "/nowhere/initrd";
	expect_refused(SMALL, "No such file");
}

static void bzimage_bad(void)
{
	static char line[3000];
	struct setup_header *header = (struct setup_header *)(made.data + 0x1f1);

	fresh_boot();
	make_bzimage(1);
	expect_refused(8 * MIB, "this kernel needs 18M of memory to start, the guest has 8M");
	make_bzimage(1);
	header->version = 0x0201;
	expect_refused(SMALL, "too old");
	make_bzimage(1);
	header->init_size = ~0u;
	header->pref_address = ~0ull - 5;
	expect_refused(SMALL, "memory to start");
	make_bzimage(1);
	header->boot_flag = 0;
	expect_refused(SMALL, "not a kernel image");
	make_bzimage(1);
	header->syssize = 0;
	expect_refused(SMALL, "cut short");
	memset(line, 'x', sizeof(line) - 1);
	make_bzimage(1);
	fresh_boot()->append = line;
	expect_refused(SMALL, "takes a command line of 2047 characters, not 2999");
}

static void no_kernel(void)
{
	fresh_boot();
	memset(&made, 0, sizeof(made));
	expect_refused(SMALL, "empty");
	made.bytes = 100;
	expect_refused(SMALL, "not a kernel image");
	made.bytes = sizeof(made.data);
	expect_refused(SMALL, "not a kernel image");
	expect_equal(boot_path("/nowhere/vmlinuz", SMALL), -1);
	expect(strstr(boot_of()->error.words, "No such file"));
	expect_equal(boot_path("/", SMALL), -1);
	expect(strstr(boot_of()->error.words, "neither a regular file nor a pipe"));
}

/* ---- all formats: every length, and bytes changed at random -------------------------- */

static void (*const makers[])(void) = {
	make_multiboot, make_flat,
};

static void make(unsigned int kind)
{
	if (kind < 2)
		makers[kind]();
	else if (kind < 4)
		make_pvh(kind & 1);
	else
		make_bzimage(kind & 1);
}
#define KINDS	6

static void cut_short(void)
{
	for (unsigned int kind = 0; kind < KINDS; kind++) {
		size_t whole;

		make(kind);
		whole = made.bytes;
		fresh_boot();
		require_equal(boot_made(SMALL), 0);
		for (size_t bytes = 0; bytes < whole; bytes += bytes < 700 ? 1 : 37) {
			/* The rest of a bzImage then is a boot sector, with its signature. */
			if (kind >= 4 && bytes == 512)
				continue;
			/* The last paragraph need not be full. */
			if (kind >= 4 && whole - bytes < 16)
				continue;
			make(kind);
			made.bytes = bytes;
			fresh_boot();
			tap_check(boot_made(SMALL) == -1 && boot_of()->error.words[0], true,
				  "kind %u was loaded though cut to %zu of %zu bytes", kind, bytes,
				  whole);
		}
	}
	fresh_boot();
}

/* No file makes a loader read or write outside (the sanitizers watch). */
static void changed_bytes(void)
{
	unsigned int loaded = 0, refused = 0;
	const unsigned int rounds = 1500;

	srandom(20);
	for (unsigned int i = 0; i < rounds; i++) {
		unsigned int changes = 1 + random() % 4;

		make(i % KINDS);
		while (changes--) {
			/* Where the headers are, one byte of four is special. */
			static const uint8_t special[] = { 0, 1, 0x7f, 0x80, 0xff };
			size_t where = random() % (random() % 2 ? made.bytes : 0x2a0) % made.bytes;

			made.data[where] = random() % 4 ? random() : special[random() % 5];
		}
		fresh_boot();
		if (boot_made(32 * MIB))
			refused += boot_of()->error.words[0] != 0;
		else
			loaded++;
	}
	fresh_boot();
	expect_equal(loaded + refused, rounds);
	expect(loaded > rounds / 20);
	expect(refused > rounds / 20);
}

/* ---- PVH ----------------------------------------------------------------------------- */

static void pvh(void)
{
	struct boot *boot;
	const uint32_t *info;
	const uint64_t *wide;

	for (int is64 = 0; is64 < 2; is64++) {
		boot = fresh_boot();
		make_pvh(is64);
		boot->append = "quiet";
		boot->initrd = file_of("abc", 3);
		require_equal(boot_made(SMALL), 0);
		expect_equal(boot->regs.rip, 0x100020);
		expect_equal(boot->sregs.cr0 & 0x80000001, 1);
		expect(!strcmp(made_at(0x100000, 32), "the kernel itself"));
		info = made_at(boot->regs.gpr[3], 56);
		wide = (const uint64_t *)info;
		expect_equal(info[0], 0x336ec578);
		expect_equal(info[1], 1);
		expect_equal(info[3], 1);
		expect(!strcmp(made_at(wide[3], 8), "quiet"));
		expect_equal(wide[4], boot->rsdp);
		expect(info[12] >= 4);
		/* The list of modules has an address and a length. */
		expect_equal(((const uint64_t *)made_at(wide[2], 32))[1], 3);
		expect(!memcmp(made_at(((const uint64_t *)made_at(wide[2], 32))[0], 3), "abc", 3));
	}
}

/* As many segments as an ELF file can have, each of them all of the file. */
static void pvh_many(void)
{
	const size_t headers = 64, bytes = headers + PN_XNUM * sizeof(Elf64_Phdr);
	uint8_t *file = calloc(1, bytes);
	Elf64_Phdr *segment = (Elf64_Phdr *)(file + headers);

	require(file);
	make_pvh(1);
	memcpy(file, made.data, headers);
	((Elf64_Ehdr *)file)->e_phnum = PN_XNUM;
	for (unsigned int i = 0; i < PN_XNUM; i++)
		segment[i] = (Elf64_Phdr){
			.p_type = PT_NOTE, .p_filesz = bytes, .p_memsz = bytes,
			.p_paddr = 0x100000, .p_align = 4,
		};
	fresh_boot();
	expect_equal(boot_path(file_of(file, bytes), 32 * MIB), -1);
	expect(strstr(boot_of()->error.words, "notes lie over each other"));
	/* One of the segments has a note. */
	segment[0].p_filesz = sizeof(Elf64_Nhdr) + 8;
	segment[0].p_offset = bytes - segment[0].p_filesz;
	memcpy(file + segment[0].p_offset, made.data + 256, segment[0].p_filesz);
	for (unsigned int i = 1; i < PN_XNUM; i++)
		segment[i].p_type = PT_LOAD;
	fresh_boot();
	expect_equal(boot_path(file_of(file, bytes), 32 * MIB), -1);
	expect(strstr(boot_of()->error.words, "segments lie over each other"));
	free(file);
}

static void pvh_bad(void)
{
	Elf64_Ehdr *header = (Elf64_Ehdr *)made.data;
	Elf64_Phdr *segment = (Elf64_Phdr *)(made.data + 64);

	fresh_boot();
	make_pvh(1);
	made.data[EI_CLASS] = ELFCLASS32;
	expect_refused(SMALL, "not an executable");
	make_pvh(1);
	segment[0].p_offset = ~0ull - 100;
	expect_refused(SMALL, "cut short");
	make_pvh(1);
	segment[0].p_filesz = 5000;
	segment[0].p_memsz = 4096;
	expect_refused(SMALL, "cut short");
	make_pvh(1);
	segment[0].p_memsz = 5;
	expect_refused(SMALL, "larger in the file than in memory");
	make_pvh(1);
	segment[0].p_paddr = SMALL - 4095;
	expect_refused(SMALL, "where the guest has no memory");
	make_pvh(1);
	segment[0].p_paddr = 0x400;	/* the BIOS's */
	expect_refused(SMALL, "where the guest has no memory");
	make_pvh(1);
	segment[0].p_paddr = 0x9f000;
	expect_refused(SMALL, "where the guest has no memory");
	make_pvh(1);
	segment[0].p_paddr = ~0ull - 4;
	expect_refused(SMALL, "where the guest has no memory");
	make_pvh(1);
	segment[0].p_memsz = ~0ull;
	expect_refused(SMALL, "where the guest has no memory");
	make_pvh(1);
	segment[0].p_type = PT_NULL;
	expect_refused(SMALL, "nothing to load");
	make_pvh(1);
	header->e_machine = EM_ARM;
	expect_refused(SMALL, "another kind of processor");
	make_pvh(1);
	header->e_phnum = 0;
	expect_refused(SMALL, "not an executable");
	make_pvh(1);
	fresh_boot()->nr_modules = 1;
	expect_refused(SMALL, "--module is for multiboot");
}

/* ---- multiboot ------------------------------------------------------------------------- */

static void multiboot(void)
{
	struct boot *boot = fresh_boot();
	const uint32_t *info, *modules;

	make_multiboot();
	boot->append = "one two";
	boot->modules[0] = (struct boot_module){ file_of("first", 5), "with arguments" };
	boot->modules[1] = (struct boot_module){ file_of("2nd", 3), NULL };
	boot->nr_modules = 2;
	require_equal(boot_made(SMALL), 0);
	/* The entry point was virtual. */
	expect_equal(boot->regs.rip, 0x100010);
	expect_equal(boot->regs.gpr[0], 0x2badb002);
	info = made_at(boot->regs.gpr[3], 64);
	expect_equal(info[0] & 0x4d, 0x4d);
	expect_equal(info[2], (SMALL >> 10) - 1024);
	expect(strstr(made_at(info[4], 64), " one two"));
	require_equal(info[5], 2);
	modules = made_at(info[6], 32);
	expect_equal(modules[0] % 4096, 0);
	expect(modules[0] >= 0x101000);
	expect_equal(modules[1] - modules[0], 5);
	expect(!memcmp(made_at(modules[0], 5), "first", 5));
	expect(strstr(made_at(modules[2], 64), " with arguments"));
	expect_equal(modules[4] % 4096, 0);
	expect(modules[4] >= modules[1]);
	expect(!memcmp(made_at(modules[4], 3), "2nd", 3));
}

/* A mode that the header asks for is one that the information then lacks. */
static void multiboot_video(void)
{
	uint32_t *header = (uint32_t *)(made.data + 512);

	fresh_boot();
	make_multiboot();
	header[1] |= 4;
	header[2] -= 4;
	require_equal(boot_made(SMALL), 0);
	expect_equal(*(uint32_t *)made_at(boot_of()->regs.gpr[3], 4) & 0x1800, 0);
}

static void multiboot_flat(void)
{
	fresh_boot();
	make_flat();
	require_equal(boot_made(SMALL), 0);
	expect_equal(boot_of()->regs.rip, 0x100010);
	expect(!strcmp(made_at(0x100080, 32), "the kernel itself"));
}

static void multiboot_bad(void)
{
	uint32_t *header = (uint32_t *)(made.data + 512);
	uint32_t *flat = (uint32_t *)(made.data + 64);
	static char large[3 * MIB];
	struct boot *boot;

	fresh_boot();
	make_multiboot();
	header[1] |= 0x100;
	header[2] -= 0x100;
	expect_refused(SMALL, "does not know");
	make_multiboot();
	header[2]++;		/* a wrong checksum: no header */
	expect_refused(SMALL, "neither a PVH note nor a multiboot header");
	make_flat();
	flat[4] = 0x100041;	/* loaded above where the header is */
	expect_refused(SMALL, "contradict");
	make_flat();
	flat[4] = 0x1000;	/* starts before the file does */
	expect_refused(SMALL, "contradict");
	make_flat();
	flat[6] = 0x100001;	/* memory ends before the file does */
	expect_refused(SMALL, "contradict");
	make_flat();
	flat[6] = 0xfff00000;
	expect_refused(SMALL, "no memory for it");

	boot = fresh_boot();
	make_multiboot();
	boot->modules[0].path = file_of(large, sizeof(large));
	boot->nr_modules = 1;
	expect_refused(4 * MIB, "do not fit into 4M");
}

/* ---- ACPI ---------------------------------------------------------------------------------- */

static uint8_t sum(const uint8_t *data, size_t bytes)
{
	uint8_t total = 0;

	while (bytes--)
		total += *data++;
	return total;
}

static uint64_t get(const uint8_t *from, unsigned int bytes)
{
	uint64_t value = 0;

	memcpy(&value, from, bytes);
	return value;
}

/* A table with the right signature and checksum. */
static const uint8_t *table(uint64_t gpa, const char *signature)
{
	const uint8_t *header = made_at(gpa, 36);
	uint32_t bytes = get(header + 4, 4);

	require(!memcmp(header, signature, 4));
	require(gpa >= BOOT_ACPI && gpa + bytes <= GENERATION_GPA);
	expect_equal(sum(made_at(gpa, bytes), bytes), 0);
	return header;
}

static void check_madt(const uint8_t *madt, unsigned int cpus)
{
	uint32_t bytes = get(madt + 4, 4), found = 0;
	bool timer = false, sci = false, io_apic = false;

	for (uint32_t i = 44; i < bytes; i += madt[i + 1]) {
		require(madt[i + 1] >= 2 && i + madt[i + 1] <= bytes);
		if (madt[i] == 0) {
			expect_equal(madt[i + 3], found);
			found++;
		}
		io_apic |= madt[i] == 1 && get(madt + i + 4, 4) == 0xfec00000;
		timer |= madt[i] == 2 && madt[i + 3] == 0 && get(madt + i + 4, 4) == 2;
		sci |= madt[i] == 2 && madt[i + 3] == 9 && get(madt + i + 4, 4) == 9 &&
		       get(madt + i + 8, 2) == 0xd;
	}
	expect_equal(found, cpus);
	expect(timer && sci && io_apic);
	expect_equal(get(madt + 36, 4), 0xfee00000);
}

static void acpi(void)
{
	static const uint8_t s5[] = { 0x08, '_', 'S', '5', '_' };
	/* A package of GENERATION_GPA and 0, and the line that says that it has changed. */
	static const uint8_t id[] = { 'A', 'D', 'D', 'R', 0x12, 0x08, 0x02, 0x0c, 0x00, 0xf0, 0x0e, 0x00, 0x00 };
	static const uint8_t line[] = { 0x89, 0x06, 0x00, 0x03, 0x01, GENERATION_IRQ, 0, 0, 0 };

	for (unsigned int cpus = 1; cpus <= GONDOLA_MAX_VCPUS; cpus += 5) {
		const uint8_t *rsdp, *xsdt, *fadt, *dsdt;

		fresh_boot()->cpus = cpus;
		make_bzimage(1);
		require_equal(boot_made(SMALL), 0);
		rsdp = made_at(boot_of()->rsdp, 36);
		expect_equal(boot_of()->rsdp % 16, 0);
		require(!memcmp(rsdp, "RSD PTR ", 8));
		expect_equal(sum(rsdp, 20), 0);
		expect_equal(sum(rsdp, 36), 0);
		xsdt = table(get(rsdp + 24, 8), "XSDT");
		fadt = table(get(xsdt + 36, 8), "FACP");
		check_madt(table(get(xsdt + 44, 8), "APIC"), cpus);
		dsdt = table(get(fadt + 140, 8), "DSDT");
		expect_equal(get(fadt + 40, 4), get(fadt + 140, 8));
		expect(memmem(dsdt, get(dsdt + 4, 4), s5, sizeof(s5)));
		expect(memmem(dsdt, get(dsdt + 4, 4), id, sizeof(id)));
		expect(memmem(dsdt, get(dsdt + 4, 4), line, sizeof(line)));
		expect_equal(get(fadt + 46, 2), 9);
		expect(!(get(fadt + 112, 4) & 1 << 20));	/* not hardware-reduced */
		expect_equal(get(fadt + 36, 4) % 64, 0);
		expect(!memcmp(made_at(get(fadt + 36, 4), 64), "FACS", 4));
	}
	fresh_boot();
}

/* The tables of the MultiProcessor Specification: found, whole, in order, and all lines in them. */
static void mp_tables(void)
{
	for (unsigned int cpus = 1; cpus <= GONDOLA_MAX_VCPUS; cpus += 5) {
		unsigned int count[5] = { 0 }, last = 0, pins = 0;
		const uint8_t *pointer, *table, *at;

		fresh_boot()->cpus = cpus;
		make_bzimage(1);
		require_equal(boot_made(SMALL), 0);
		pointer = made_at(0xf0000, 16);
		require(!memcmp(pointer, "_MP_", 4));
		expect_equal(sum(pointer, 16), 0);
		table = made_at(get(pointer + 4, 4), 44);
		require(!memcmp(table, "PCMP", 4));
		require(made_at(get(pointer + 4, 4), get(table + 4, 2)));
		expect_equal(sum(table, get(table + 4, 2)), 0);
		at = table + 44;
		for (unsigned int i = 0; i < get(table + 34, 2); i++, at += last ? 8 : 20) {
			require(at[0] < 5 && at[0] >= last);
			last = at[0];
			count[last]++;
			if (last == 3)
				pins |= 1u << at[7];
		}
		expect_equal(at - table, get(table + 4, 2));
		expect_equal(count[0], cpus);
		expect(count[1] == 1 && count[2] == 1 && count[3] == 15 && count[4] == 2);
		/* The timer is at pin 2, and the router's eight lines are at 16 to 23. */
		expect_equal(pins, 0xff0000u | 1 << 1 | 1 << 2 | 1 << 4 | 1 << 8 | 1 << 9 |
				   1 << 12 | 1 << 13);
	}
	fresh_boot();
}

/* A guest finds traces of a BIOS without calling it: areas, vectors that name themselves, a reset. */
static void bios_traces(void)
{
	const uint8_t *area, *code, *vectors;

	make_bzimage(1);
	require_equal(boot_made(SMALL), 0);
	area = made_at(0x400, 0x100);
	expect_equal(get(area, 2), 0x3f8);
	expect_equal(get(area + 0x0e, 2), BOOT_EBDA >> 4);
	expect_equal(get(area + 0x13, 2), BOOT_EBDA >> 10);
	expect_equal(get(area + 0x49, 1), 3);
	/* The extended area ends where base memory does. */
	expect_equal(BOOT_EBDA + (get(made_at(BOOT_EBDA, 1), 1) << 10), 0xa0000);
	vectors = made_at(0, 256 * 4);
	for (unsigned int i = 0; i < 256; i++) {
		code = made_at((get(vectors + 4 * i + 2, 2) << 4) + get(vectors + 4 * i, 2), 3);
		expect_equal(code[0], 0x68);		/* pushes its number */
		expect_equal(get(code + 1, 2), i);
	}
	/* Processors start here, and reboot=b jumps here: the code resets by the keyboard controller. */
	code = made_at(0xffff0, 5);
	expect_equal(code[0], 0xea);
	code = made_at((get(code + 3, 2) << 4) + get(code + 1, 2), 4);
	expect(!memcmp(code, "\xb0\xfe\xe6\x64", 4));
}

/* ---- buses, records ------------------------------------------------------------------------- */

static uint64_t log_offset[16], log_value[16];
static unsigned int log_bytes[16], logged;

static uint64_t device_read(void *device, uint64_t offset, unsigned int bytes)
{
	(void)bytes;
	return *(uint8_t *)device + offset;
}

static void device_write(void *device, uint64_t offset, uint64_t value, unsigned int bytes)
{
	(void)device;
	log_offset[logged] = offset;
	log_value[logged] = value;
	log_bytes[logged++] = bytes;
}

static const struct bus_ops device_ops = { .read = device_read, .write = device_write };

static void bus_ranges(void)
{
	struct bus *bus = calloc(1, sizeof(*bus));
	uint8_t one = 0x10;

	require(bus);
	expect_equal(bus_add(bus, 0x100, 8, 1, &device_ops, &one), 0);
	expect_equal(bus_add(bus, 0x80, 1, 1, &device_ops, &one), 0);
	expect_equal(bus_add(bus, 0x108, 4, 4, &device_ops, &one), 0);
	expect_equal(bus_add(bus, 0x107, 1, 1, &device_ops, &one), -EEXIST);
	expect_equal(bus_add(bus, 0xff, 2, 1, &device_ops, &one), -EEXIST);
	expect_equal(bus_add(bus, 0x70, 0x1000, 1, &device_ops, &one), -EEXIST);
	expect_equal(bus_add(bus, 0x200, 0, 1, &device_ops, &one), -EINVAL);
	expect_equal(bus_add(bus, ~0ull, 2, 1, &device_ops, &one), -EINVAL);
	expect_equal(bus_add(bus, ~0ull, 1, 1, &device_ops, &one), 0);
	expect_equal(bus->count, 4);
	for (size_t i = 1; i < bus->count; i++)
		expect(bus->ranges[i].start > bus->ranges[i - 1].start);
	for (unsigned int i = bus->count; i < BUS_MAX_RANGES; i++)
		expect_equal(bus_add(bus, 0x1000 + i, 1, 1, &device_ops, &one), 0);
	expect_equal(bus_add(bus, 0x2000, 1, 1, &device_ops, &one), -ENOSPC);
	free(bus);
}

static void bus_accesses(void)
{
	struct bus *bus = calloc(1, sizeof(*bus));
	uint8_t base = 0x10, data[8] = { 0x11, 0x22, 0x33, 0x44 };

	require(bus);
	bus_add(bus, 0x100, 2, 1, &device_ops, &base);
	bus_add(bus, 0x200, 4, 4, &device_ops, &base);
	logged = 0;
	/* Two bytes reach the device one by one, and nobody takes the rest. */
	expect(bus_access(bus, 0x100, data, 4, true));
	expect_equal(logged, 2);
	expect_equal(log_offset[1], 1);
	expect_equal(log_value[1], 0x22);
	expect_equal(log_bytes[1], 1);
	expect(bus_access(bus, 0x200, data, 4, true));
	expect_equal(logged, 3);
	expect_equal(log_value[2], 0x44332211);
	expect(bus_access(bus, 0x100, data, 4, false));
	expect_equal(data[0], 0x10);
	expect_equal(data[1], 0x11);
	expect_equal(data[2], 0xff);
	expect_equal(data[3], 0xff);
	expect(!bus_access(bus, 0x300, data, 8, false));
	expect_equal(data[7], 0xff);
	expect(!bus_access(bus, 0x300, data, 8, true));
	free(bus);
}

static void records(void)
{
	_Alignas(8) char buffer[256];
	const uint64_t first = 0x1122334455667788, *found;
	size_t used = gondola_put_record(buffer, sizeof(buffer), 0, 7, "abc", 3);

	expect_equal(used % 8, 0);
	used = gondola_put_record(buffer, sizeof(buffer), used, 9, &first, sizeof(first));
	found = gondola_find_record(buffer, used, 9, sizeof(first));
	require(found);
	expect_equal(*found, first);
	expect(!memcmp(gondola_find_record(buffer, used, 7, 3), "abc", 3));
	expect(!gondola_find_record(buffer, used, 7, 4));
	expect(!gondola_find_record(buffer, used, 8, 1));
	expect(!gondola_find_record(buffer, used - 1, 9, sizeof(first)));
	expect(!gondola_find_record(buffer, 5, 7, 1));
}

static void names(void)
{
	char buffer[32];

	for (unsigned int i = 0; i < GONDOLA_REASON_COUNT; i++)
		expect(gondola_reason_name(i));
	expect(!gondola_reason_name(GONDOLA_REASON_COUNT));
	for (unsigned int i = 0; i < GONDOLA_COUNTER_COUNT; i++)
		expect(gondola_counter_name(i));
	expect_equal(gondola_engine_by_name("svm"), GONDOLA_ENGINE_SVM);
	expect_equal(gondola_engine_by_name("none"), -1);
	expect(!strcmp(gondola_sregs_field(offsetof(struct gondola_rec_sregs, cr4), buffer,
					   sizeof(buffer)), "cr4"));
	expect(!strcmp(gondola_sregs_field(offsetof(struct gondola_rec_sregs, seg[GONDOLA_SS].ar),
					   buffer, sizeof(buffer)), "ss.access rights"));
}

static const struct tap_test tests[] = {
	{ "a 64-bit bzImage starts in long mode", bzimage_64 },
	{ "its page tables map the first 4 GiB one to one", identity_map },
	{ "a 32-bit bzImage starts in protected mode", bzimage_32 },
	{ "an initrd is put above the kernel, or refused", bzimage_initrd },
	{ "bad bzImages are refused in words", bzimage_bad },
	{ "what is not a kernel is refused in words", no_kernel },
	{ "kernel and initrd come through pipes", images_from_pipes },
	{ "a kernel comes through standard input", image_from_standard_input },
	{ "a pipe without an end is refused", endless_pipe },
	{ "a PVH kernel finds its start information", pvh },
	{ "bad ELF files are refused in words", pvh_bad },
	{ "ELF files with too much in them are refused", pvh_many },
	{ "a multiboot image finds modules and command line", multiboot },
	{ "a graphics mode that a multiboot image asks for is not there", multiboot_video },
	{ "a flat multiboot image is loaded by its addresses", multiboot_flat },
	{ "bad multiboot images are refused in words", multiboot_bad },
	{ "images cut short at any length are refused", cut_short },
	{ "images with changed bytes do no harm", changed_bytes },
	{ "ACPI tables are linked, in place and sum to zero", acpi },
	{ "MP tables name each processor and each line", mp_tables },
	{ "a guest finds the traces of a BIOS", bios_traces },
	{ "memory lies below 3 GiB and above 4 GiB", memory_pieces },
	{ "more memory than the host has is refused", memory_too_much },
	{ "a write that the dirty log misses is remembered", memory_log_misses },
	{ "pages that are written again are not empty", memory_empty_pages },
	{ "shared memory is the same to who maps it", memory_shared },
	{ "memory that begins with a file is shared until it is written", memory_image },
	{ "bus ranges are sorted and never overlap", bus_ranges },
	{ "bus accesses are split and unclaimed ones answered", bus_accesses },
	{ "records of state are found again", records },
	{ "everything has its name", names },
	{ "output waits for a reader that pauses, and all of it arrives", output_pauses },
	{ "a reader that stands still holds nobody up", output_stands_still },
	{ "a pseudo-terminal that nobody has open is no reader", output_no_terminal },
	{ "a peer that goes is no reader", output_peer_goes },
	{ "kicks that take long let a vCPU come to rest", pause_slow_kicks },
};

TAP_MAIN(tests)
