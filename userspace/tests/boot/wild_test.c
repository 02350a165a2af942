// SPDX-License-Identifier: GPL-2.0-only
/* Images as they are in the wild: what loaders must bear, and what they must name. */
#include <elf.h>
#include <lz4.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>
#include <zstd.h>
#include <asm/bootparam.h>

#include "tests/images.h"
#include "tap.h"

#define MIB	(1ull << 20)
#define SMALL	(64 * MIB)

/* Up to 15 bytes less than the header's count of paragraphs: memtest86+ and iPXE are so. */
static void unfilled_paragraph(void)
{
	fresh_boot();
	for (unsigned int less = 0; less < 16; less++) {
		make_bzimage(1);
		made.bytes -= less;
		require_equal(boot_made(SMALL), 0);
		fresh_boot();
	}
	make_bzimage(1);
	made.bytes -= 16;
	expect_refused(SMALL, "cut short");
}

/* A header that says 0 sectors of set-up means 4. */
static void four_sectors(void)
{
	struct setup_header *header = (struct setup_header *)(made.data + 0x1f1);
	uint8_t kernel[32];
	uint64_t bytes;

	fresh_boot();
	make_bzimage(1);
	memcpy(kernel, made.data + 2 * 512, sizeof(kernel));
	bytes = made.bytes;
	memmove(made.data + 5 * 512, made.data + 2 * 512, made.bytes - 2 * 512);
	memset(made.data + 2 * 512, 0, 3 * 512);
	header->setup_sects = 0;
	made.bytes += 3 * 512;
	require_equal(boot_made(SMALL), 0);
	expect(!memcmp(made_at(boot_of()->regs.rip & ~0xfffull, sizeof(kernel)), kernel, sizeof(kernel)));
	made.bytes = bytes;
	expect_refused(SMALL, "cut short");
}

/* iPXE (2.07) and MEMDISK (2.03) are nothing without their 16-bit part. */
static void setup_16bit(void)
{
	static const uint16_t versions[] = { 0x0202, 0x0203, 0x0207, 0x0208 };
	const struct setup_header *told;

	for (unsigned int i = 0; i < 4; i++) {
		struct setup_header *header = (struct setup_header *)(made.data + 0x1f1);
		struct boot *boot = fresh_boot();

		boot->append = "words";
		make_bzimage(0);
		header->version = versions[i];
		strcpy((char *)made.data + 0x2a0, "sixteen");
		require_equal(boot_made(SMALL), 0);
		expect_equal(boot->sregs.cr0 & 1, versions[i] >= 0x0208);
		if (versions[i] >= 0x0208)
			continue;
		expect(!strcmp(boot->protocol, "bzImage, 16-bit entry"));
		expect(!strcmp(made_at(0x102a0, 8), "sixteen"));
		told = made_at(0x101f1, sizeof(*told));
		expect_equal(told->type_of_loader, 0xff);
		expect(told->loadflags & CAN_USE_HEAP);
		expect(!strcmp(made_at(told->cmd_line_ptr, 6), "words"));
		/* The boot sector's place has a jump behind the first sector. */
		expect(!memcmp(made_at(0x7c00 + 17, 5), "\xea\x00\x00\x20\x10", 5));
	}
	fresh_boot();
}

/* GNU Mach of 64 bits is entered in 32, as by GRUB. */
static void multiboot_64(void)
{
	uint32_t *header = (uint32_t *)(made.data + 512);

	fresh_boot();
	make_pvh(1);
	header[0] = 0x1badb002;
	header[1] = 0;
	header[2] = 0u - 0x1badb002;
	require_equal(boot_made(SMALL), 0);
	expect(!strcmp(boot_of()->protocol, "multiboot"));
	expect_equal(boot_of()->regs.gpr[0], 0x2badb002);
	fresh_boot();
}

/* xen.efi has a multiboot 2 header for those who load it otherwise. */
/* MZ, and where the header of a program for EFI is. */
static void make_pe(void)
{
	const uint32_t header = 0x180;

	memcpy(made.data, "MZ", 2);
	memcpy(made.data + 0x3c, &header, 4);
	memcpy(made.data + header, "PE\0\0", 4);
}

static void efi_with_other_headers(void)
{
	static const uint32_t tags[] = { 0, 8 };

	fresh_boot();
	make_multiboot2(tags, 2);
	make_pe();
	expect_refused(SMALL, "EFI firmware");
}

static void empty_initrd(void)
{
	struct boot *boot = fresh_boot();
	const struct boot_params *zero;

	make_bzimage(1);
	boot->initrd = file_of("", 0);
	require_equal(boot_made(SMALL), 0);
	zero = made_at(boot->regs.gpr[6], sizeof(*zero));
	expect_equal(zero->hdr.ramdisk_image, 0);
	expect_equal(zero->hdr.ramdisk_size, 0);
	boot = fresh_boot();
	make_pvh(1);
	boot->initrd = file_of("", 0);
	expect_equal(boot_made(SMALL), 0);
}

/* Whether [@a, @a + @bytes) and a segment at @segment of one page have something in common. */
static bool overlaps(uint64_t a, uint64_t bytes, uint64_t segment)
{
	return a < segment + 4096 && segment < a + bytes;
}

/* An image may lie in base memory: the loader's tables make room for it, wherever it is. */
static void below_one_mib(void)
{
	for (uint32_t place = 0x1000; place < 0x30000; place += 0x800) {
		Elf32_Phdr *segment = (Elf32_Phdr *)(made.data + 64);
		const uint32_t *info;

		fresh_boot()->append = "quiet";
		make_multiboot();
		segment[0].p_paddr = place;
		require_equal(boot_made(SMALL), 0);
		require_equal(boot_of()->regs.rip, place + 0x10);
		require(!strcmp(made_at(place + 32, 32), "the kernel itself"));
		info = made_at(boot_of()->regs.gpr[3], 64);
		require(!overlaps(boot_of()->regs.gpr[3], 512, place));
		require(!overlaps(boot_of()->sregs.gdt.base, 48, place));
		require(!overlaps(info[4], 16, place));
		require(strstr(made_at(info[4], 64), " quiet"));
	}
	fresh_boot();
	make_multiboot();
	((Elf32_Phdr *)(made.data + 64))[0].p_paddr = 0x1000;
	((Elf32_Phdr *)(made.data + 64))[0].p_memsz = BOOT_EBDA - 0x1000;
	expect_refused(SMALL, "leaves no room");
}

/* More segments in base memory than ranges are kept: the tables still avoid all of them. */
static void many_segments(void)
{
	const unsigned int count = 60, headers = 1024;
	Elf64_Phdr *segment = (Elf64_Phdr *)(made.data + headers);
	struct boot *boot = fresh_boot();

	make_pvh(1);
	made.bytes = sizeof(made.data);
	((Elf64_Ehdr *)made.data)->e_phoff = headers;
	((Elf64_Ehdr *)made.data)->e_phnum = count;
	((Elf64_Ehdr *)made.data)->e_entry = 0x1000;
	for (unsigned int i = 0; i < count; i++)
		segment[i] = (Elf64_Phdr){
			.p_type = PT_LOAD, .p_offset = 0, .p_filesz = 64, .p_memsz = 4096,
			.p_paddr = 0x1000 + 0x2000 * i, .p_vaddr = 0x1000 + 0x2000 * i,
		};
	require_equal(boot_made(SMALL), 0);
	for (unsigned int i = 0; i < count; i++) {
		require(!overlaps(boot->regs.gpr[6], 4096, 0x1000 + 0x2000 * i));
		require(!overlaps(boot->sregs.cr3, 6 * 4096, 0x1000 + 0x2000 * i));
		require(!memcmp(made_at(0x1000 + 0x2000 * i, 4), ELFMAG, SELFMAG));
	}
}

/* Linkers leave headers of nothing, which may say anything of where that is. */
static void empty_segments(void)
{
	Elf64_Phdr *segment = (Elf64_Phdr *)(made.data + 64);

	fresh_boot();
	make_pvh(1);
	((Elf64_Ehdr *)made.data)->e_phnum = 3;
	segment[2] = (Elf64_Phdr){ .p_type = PT_LOAD, .p_offset = 1 << 20 };
	require_equal(boot_made(SMALL), 0);
	fresh_boot();
	segment[2].p_paddr = segment[2].p_vaddr = ~0ull;
	require_equal(boot_made(SMALL), 0);
	/* In the middle of another one, and at the entry. */
	fresh_boot();
	segment[2].p_paddr = segment[2].p_vaddr = 0x100020;
	require_equal(boot_made(SMALL), 0);
	expect_equal(boot_of()->regs.rip, 0x100020);
	fresh_boot();
	segment[2].p_paddr = 0x200000;
	segment[2].p_memsz = 4096;
	require_equal(boot_made(SMALL), 0);
	/* Of the file it has nothing, but of memory more than there is. */
	fresh_boot();
	segment[2].p_memsz = ~0ull - 0x400000;
	expect_refused(SMALL, "where the guest has no memory for it");
	segment[2].p_paddr = 0x1000;
	segment[2].p_memsz = ~0ull - 0xfff;
	expect_refused(SMALL, "where the guest has no memory for it");
}

/* The later one of two that lie over each other stays, as when Linux loads a program. */
static void segments_over_each_other(void)
{
	Elf64_Phdr *segment = (Elf64_Phdr *)(made.data + 64);

	fresh_boot();
	make_pvh(1);
	((Elf64_Ehdr *)made.data)->e_phnum = 3;
	memset(made.data + 400, 0x5a, 16);
	segment[2] = segment[0];
	segment[2].p_offset = 400;
	segment[2].p_filesz = segment[2].p_memsz = 16;
	segment[2].p_paddr += 0x100;
	require_equal(boot_made(SMALL), 0);
	expect_equal(*(uint32_t *)made_at(0x1000fc, 4), 0);
	expect_equal(*(uint32_t *)made_at(0x100100, 4), 0x5a5a5a5a);
	expect_equal(*(uint32_t *)made_at(0x100110, 4), 0);
	fresh_boot();
}

/* A vmlinux without a note. */
static void plain_elf(void)
{
	const struct boot_params *zero;
	struct boot *boot = fresh_boot();

	make_pvh(1);
	((Elf64_Phdr *)(made.data + 64))[1].p_type = PT_NULL;
	((Elf64_Ehdr *)made.data)->e_entry = 0xffffffff80100040;
	boot->append = "quiet";
	boot->initrd = file_of("abc", 3);
	require_equal(boot_made(SMALL), 0);
	expect_equal(boot->regs.rip, 0x100040);
	expect_equal(boot->sregs.efer, 0x500);
	zero = made_at(boot->regs.gpr[6], sizeof(*zero));
	expect_equal(zero->hdr.header, 0x53726448);
	expect(!strcmp(made_at(zero->hdr.cmd_line_ptr, 8), "quiet"));
	expect(!memcmp(made_at(zero->hdr.ramdisk_image, 3), "abc", 3));
	expect(zero->e820_entries >= 4);

	fresh_boot();
	make_pvh(1);
	((Elf64_Phdr *)(made.data + 64))[1].p_type = PT_NULL;
	((Elf64_Ehdr *)made.data)->e_entry = 0x100000000;
	expect_refused(SMALL, "outside of the guest's memory");
	fresh_boot();
	make_pvh(0);
	((Elf32_Phdr *)(made.data + 64))[1].p_type = PT_NULL;
	expect_refused(SMALL, "neither a PVH note nor a multiboot header");
}

/* As lz4 -l writes it: blocks of @block bytes; @total: as Linux has it, with the length of all behind. */
static size_t pack_lz4(uint8_t *packed, size_t room, size_t block, bool total)
{
	uint32_t magic = 0x184c2102, bytes = made.bytes;
	size_t used = sizeof(magic);

	memcpy(packed, &magic, sizeof(magic));
	for (size_t at = 0; at < made.bytes; at += block) {
		size_t part = made.bytes - at < block ? made.bytes - at : block;
		uint32_t got = LZ4_compress_default((const char *)made.data + at,
						    (char *)packed + used + sizeof(got), part,
						    room - used - sizeof(got));

		require(got);
		memcpy(packed + used, &got, sizeof(got));
		used += sizeof(got) + got;
	}
	if (total) {
		memcpy(packed + used, &bytes, sizeof(bytes));
		used += sizeof(bytes);
	}
	return used;
}

static void compressed_by_lz4(void)
{
	static uint8_t packed[2 * IMAGE_ROOM];
	size_t bytes;

	fresh_boot();
	make_pvh(1);
	/* The last block has two bytes, which are not compressible. */
	for (unsigned int way = 0; way < 4; way++) {
		bytes = pack_lz4(packed, sizeof(packed), way & 1 ? made.bytes - 2 : made.bytes, way & 2);
		expect_equal(boot_path(file_of(packed, bytes), SMALL), 0);
		expect(!strcmp(made_at(0x100000, 32), "the kernel itself"));
		fresh_boot();
	}
	bytes = pack_lz4(packed, sizeof(packed), made.bytes, false);
	for (size_t cut = 4; cut < bytes; cut += 7) {
		require_equal(boot_path(file_of(packed, cut), SMALL), -1);
		fresh_boot();
	}
}

/* ---- as Xen starts a kernel ---- */

/* Follow the guest's own tables; ~0: nothing is mapped there, or it is not writable and should be. */
static uint64_t walk(uint64_t address, bool write)
{
	uint64_t table = boot_of()->sregs.cr3;

	for (unsigned int level = 4; level; level--) {
		uint64_t entry = *(uint64_t *)made_at(table + (address >> (3 + 9 * level) & 511) * 8, 8);

		if (!(entry & 1) || (write && !(entry & 2)))
			return ~0ull;
		table = entry & 0xffffffffff000ull;
	}
	return table | (address & 4095);
}

static void as_xen(void)
{
	struct boot *boot = fresh_boot();
	uint64_t info;

	make_xen();
	boot->as_xen = true;
	boot->append = "console=hvc0";
	expect_equal(boot_made(SMALL), 0);
	boot = boot_of();
	expect_equal(boot->regs.rip, MADE_XEN_BASE + 0x100020);
	expect_equal(walk(boot->regs.rip, false), 0x100020);
	info = walk(boot->regs.gpr[6], true);
	require(info != ~0ull);
	expect(!strcmp(made_at(info, 32), "xen-3.0-x86_64"));
	expect_equal(*(uint64_t *)made_at(info + 32, 8), boot->xen.pages);
	expect(!strcmp(made_at(info + 128, 32), "console=hvc0"));
	/* The stack is there; the tables are there to be read, and no more. */
	expect(walk(boot->regs.gpr[4] - 8, true) != ~0ull);
	expect_equal(walk(*(uint64_t *)made_at(info + 88, 8), false), boot->sregs.cr3);
	expect_equal(walk(*(uint64_t *)made_at(info + 88, 8), true), ~0ull);
	/* From frames to pages: its own, and no further. */
	expect_equal(*(uint64_t *)made_at(walk(0xffff800000000000 + 0x123 * 8, false), 8), 0x123);
	expect_equal(walk(0xffff800000000000, true), ~0ull);
	expect(boot->xen.pages < boot->xen.first_frame + 1 && boot->xen.frames == SMALL / 4096);
}

/* An image that starts only there is told so, unless it is a vmlinux, which has an entry for PCs. */
static void for_xen_alone(void)
{
	make_xen();
	fresh_boot();
	require_equal(boot_made(SMALL), 0);
	expect(!strcmp(boot_of()->protocol, "ELF, 64-bit Linux entry"));
	/* One that lies where its addresses are virtual. */
	((Elf64_Phdr *)(made.data + 64))->p_paddr = MADE_XEN_BASE + 0x100000;
	((Elf64_Ehdr *)made.data)->e_entry = MADE_XEN_BASE + 0x100020;
	expect_refused(SMALL, "needs --personality xen");
	fresh_boot()->as_xen = true;
	expect_refused(SMALL, "the guest has no memory for it");
	make_xen();
	memcpy(memmem(made.data, made.bytes, "linux", 5), "mini.", 5);
	fresh_boot();
	expect_refused(SMALL, "needs --personality xen");
	fresh_boot()->as_xen = true;
	expect_equal(boot_made(SMALL), 0);
	fresh_boot();
}

/* Where the kernel lies, by VIRT_BASE and PADDR_OFFSET; 0 is a value like others. */
static void xen_places(void)
{
	Elf64_Phdr *segment = (Elf64_Phdr *)(made.data + 64);
	struct boot *boot;

	/* Such is Debian's grub-x86_64-xen.bin. */
	make_xen_at(0, 0, 0);
	segment->p_paddr = segment->p_vaddr = 0;
	fresh_boot()->as_xen = true;
	expect_equal(boot_made(SMALL), 0);
	boot = boot_of();
	expect_equal(boot->regs.rip, 0);
	expect_equal(walk(0, true), 0);
	expect(!strcmp(made_at(0, 32), "the kernel itself"));
	expect(!strcmp(made_at(walk(boot->regs.gpr[6], true), 32), "xen-3.0-x86_64"));
	/* Physical addresses that count from the virtual base, as old kernels have them. */
	make_xen_at(MADE_XEN_BASE + 0x100020, MADE_XEN_BASE, MADE_XEN_BASE);
	segment->p_paddr = MADE_XEN_BASE + 0x100000;
	fresh_boot()->as_xen = true;
	expect_equal(boot_made(SMALL), 0);
	expect(!strcmp(made_at(0x100000, 32), "the kernel itself"));
	expect_equal(walk(boot_of()->regs.rip, false), 0x100020);
	/* In the upper half behind the monitor, and in the lower one. */
	make_xen_at(0xffff880000100020, 0xffff880000000000, 0);
	fresh_boot()->as_xen = true;
	expect_equal(boot_made(SMALL), 0);
	expect_equal(walk(0xffff880000100020, true), 0x100020);
	make_xen_at(0x7fffc0100020, 0x7fffc0000000, 0);
	fresh_boot()->as_xen = true;
	expect_equal(boot_made(SMALL), 0);
	expect_equal(walk(0x7fffc0100020, true), 0x100020);
}

static void refused_xen_places(void)
{
	static const uint64_t wrong[] = { 0x800000000000, 0xffff7fffc0000000, 0xffff800000000000, 0xffff87ffc0000000 };

	for (unsigned int i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		make_xen_at(wrong[i] + 0x100020, wrong[i], 0);
		fresh_boot()->as_xen = true;
		expect_refused(SMALL, "where no kernel can be");
	}
	make_xen_at(0xffffffff80300020, 0xffffffff80200000, 0);
	fresh_boot()->as_xen = true;
	expect_refused(SMALL, "only multiples of 1 GiB are supported");
	make_xen_at(MADE_XEN_BASE + 0x8000000, MADE_XEN_BASE, 0);
	fresh_boot()->as_xen = true;
	expect_refused(SMALL, "where it is not");
	make_xen_at(0, MADE_XEN_BASE, 0);
	fresh_boot()->as_xen = true;
	expect_refused(SMALL, "where it is not");
	make_xen_at(MADE_XEN_BASE + 0x100020, MADE_XEN_BASE, 0x200000);
	fresh_boot()->as_xen = true;
	expect_refused(SMALL, "at 0xfffffffffff00000, where the guest has no memory for it (0 to 0x");
}

/* Older kernels call into a page that they leave to the monitor. */
static void xen_calls(void)
{
	static const uint64_t wrong[] = { MADE_XEN_BASE + 0x100010, MADE_XEN_BASE + 0x101000, MADE_XEN_BASE - 4096, ~0xfffull };
	static const uint8_t call[] = { 0x51, 0x41, 0x53, 0xb8, 17, 0, 0, 0, 0x0f, 0x05, 0x41, 0x5b, 0x59, 0xc3 };

	made_xen_calls = MADE_XEN_BASE + 0x100000;
	make_xen();
	fresh_boot()->as_xen = true;
	expect_equal(boot_made(SMALL), 0);
	expect(!memcmp(made_at(0x100000 + 17 * 32, 32), call, sizeof(call)));
	/* IRET, number 23, does not come back, and has another register on the stack. */
	expect_equal(((uint8_t *)made_at(0x100000 + 23 * 32, 32))[3], 0x50);
	for (unsigned int i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		made_xen_calls = wrong[i];
		make_xen();
		fresh_boot()->as_xen = true;
		expect_refused(SMALL, "its page of hypercalls is at 0x");
	}
	made_xen_calls = 0;
}

static void refused_as_xen(void)
{
	make_pvh(1);
	fresh_boot()->as_xen = true;
	expect_refused(SMALL, "no kernel for Xen: it has no notes that say where it starts (CONFIG_XEN_PV): without --personality xen");
	make_pvh(0);
	fresh_boot()->as_xen = true;
	expect_refused(SMALL, "a kernel of 32 bits, and --personality xen starts those of 64: without --personality xen");
	make_bzimage(1);
	fresh_boot()->as_xen = true;
	expect_refused(SMALL, "which this is not: without --personality xen");
	make_flat();
	fresh_boot()->as_xen = true;
	expect_refused(SMALL, "which this is not: without --personality xen");
	/* Nor would this start otherwise. */
	memset(made.data, 'a', made.bytes);
	fresh_boot()->as_xen = true;
	require_equal(boot_made(SMALL), -1);
	expect(strstr(boot_of()->error.words, "which this is not"));
	expect(!strstr(boot_of()->error.words, "without"));
	make_xen();
	fresh_boot()->as_xen = true;
	expect_refused(2 * MIB, "needs 4M of memory");
	make_xen();
	memcpy(memmem(made.data, made.bytes, "!writable_page_tables", 21), "!supervisor_mode_kernel", 23);
	((Elf64_Phdr *)(made.data + 64))[1].p_filesz += 4;
	((Elf64_Nhdr *)(memmem(made.data, made.bytes, "Xen\0!superv", 11) - sizeof(Elf64_Nhdr)))->n_descsz += 2;
	fresh_boot()->as_xen = true;
	expect_refused(SMALL, "supervisor_mode_kernel");
}

static void compressed(void)
{
	static uint8_t packed[2 * IMAGE_ROOM];
	z_stream stream = { 0 };
	size_t bytes;

	fresh_boot();
	make_bzimage(1);
	require_equal(deflateInit2(&stream, 6, Z_DEFLATED, MAX_WBITS + 16, 8, 0), Z_OK);
	stream.next_in = made.data;
	stream.avail_in = made.bytes;
	stream.next_out = packed;
	stream.avail_out = sizeof(packed);
	require_equal(deflate(&stream, Z_FINISH), Z_STREAM_END);
	deflateEnd(&stream);
	expect_equal(boot_path(file_of(packed, stream.total_out), SMALL), 0);
	expect(!strcmp(made_at(0x100000, 32), "the kernel itself"));
	for (size_t cut = 2; cut < stream.total_out; cut += 7) {
		fresh_boot();
		require_equal(boot_path(file_of(packed, cut), SMALL), -1);
		require(strstr(boot_of()->error.words, "damaged, cut short"));
	}

	fresh_boot();
	bytes = ZSTD_compress(packed, sizeof(packed), made.data, made.bytes, 3);
	require(!ZSTD_isError(bytes));
	expect_equal(boot_path(file_of(packed, bytes), SMALL), 0);
	expect(!strcmp(made_at(0x100000, 32), "the kernel itself"));
	for (size_t cut = 4; cut < bytes; cut += 7) {
		fresh_boot();
		require_equal(boot_path(file_of(packed, cut), SMALL), -1);
	}
	fresh_boot();
}

/* The message names the kind of file, and what would help. */
static void not_kernels(void)
{
	static const struct {
		const char *start;
		const char *words;
	} files[] = {
		{ "QFI\xfb", "a disk image (qcow2)" }, { "\3757zXZ", "unxz" },
		{ "BZh9", "bunzip2" }, { "MZ\x90", "for DOS" }, { "070701", "--initrd" },
		{ "!<arch>\n", "dpkg -x" }, { "#!/bin/sh", "not a kernel image" },
	};

	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		memset(&made, 0, sizeof(made));
		strcpy((char *)made.data, files[i].start);
		made.bytes = 1024;
		expect_refused(SMALL, files[i].words);
	}
	/* Made for EFI as well. */
	memset(&made, 0, sizeof(made));
	memcpy(made.data, "MZ\x90", 3);
	memcpy(made.data + 0x38, "ARM\x64", 4);
	made.bytes = 1024;
	expect_refused(SMALL, "a kernel for arm64");
	memcpy(made.data + 0x38, "RSC\x05", 4);
	expect_refused(SMALL, "a kernel for RISC-V");
	memset(&made, 0, sizeof(made));
	made.bytes = 1024;
	make_pe();
	expect_refused(SMALL, "EFI firmware");
}

#define DISK_BYTES	(1u << 20)

/* Of a hard disk or a stick, and of a CD that is one too: a boot sector alone is not all of it. */
static void images_of_disks(void)
{
	struct boot *boot = fresh_boot();
	uint8_t *disk = calloc(1, DISK_BYTES);

	require(disk);
	memcpy(disk + 510, "\x55\xaa", 2);
	expect_equal(boot_path(file_of(disk, DISK_BYTES), SMALL), -1);
	expect(strstr(boot->error.words, "an image of a whole disk"));
	fresh_boot();
	memcpy(disk + 0x8001, "CD001", 5);
	expect_equal(boot_path(file_of(disk, DISK_BYTES), SMALL), -1);
	expect(strstr(boot->error.words, "an image of a CD"));
	free(disk);
}

/* ---- multiboot 2 ----------------------------------------------------------------------- */

#define TAG(type, bytes)	(type), (bytes)

/* The tag of @type in the information, NULL if there is none. */
static const uint32_t *told(uint32_t type)
{
	uint32_t gpa = boot_of()->regs.gpr[3], end = gpa + *(uint32_t *)made_at(gpa, 4);

	for (gpa += 8; gpa < end; gpa += (*(uint32_t *)made_at(gpa + 4, 4) + 7) & ~7u) {
		const uint32_t *tag = made_at(gpa, 8);

		require(tag[1] >= 8);
		if (tag[0] == type)
			return tag;
		/* The end is behind all others. */
		require(tag[0] || gpa + 8 == end);
	}
	return NULL;
}

static void multiboot2(void)
{
	/* Ask for information, an optional tag that nobody knows, an entry point, the end. */
	static const uint32_t tags[] = {
		TAG(1, 16), 4, 6, TAG(77 | 1 << 16, 12), 0, 0, TAG(3, 12), 0x100020, 0, TAG(0, 8),
	};
	struct boot *boot = fresh_boot();
	const uint32_t *tag;

	make_multiboot2(tags, sizeof(tags) / 4);
	boot->append = "one two";
	boot->modules[0] = (struct boot_module){ file_of("first", 5), "with arguments" };
	boot->modules[1] = (struct boot_module){ file_of("2nd", 3), NULL };
	boot->nr_modules = 2;
	require_equal(boot_made(SMALL), 0);
	expect_equal(boot->regs.rip, 0x100020);
	expect_equal(boot->regs.gpr[0], 0x36d76289);
	expect_equal(boot->regs.gpr[3] % 8, 0);
	tag = told(1);
	require(tag && strstr((const char *)(tag + 2), " one two"));
	tag = told(3);
	require(tag);
	expect(!memcmp(made_at(tag[2], 5), "first", 5));
	expect_equal(tag[3] - tag[2], 5);
	expect(strstr((const char *)(tag + 4), " with arguments"));
	tag = told(4);
	require(tag);
	expect_equal(tag[3], (SMALL >> 10) - 1024);
	tag = told(6);
	require(tag);
	expect_equal(tag[2], 24);
	expect((tag[1] - 16) / 24 >= 4);
	tag = told(15);
	require(tag && !memcmp(tag + 2, "RSD PTR ", 8));
	require(!told(8));
}

static void multiboot2_bad(void)
{
	static const uint32_t unknown[] = { TAG(77, 8), TAG(0, 8) };
	static const uint32_t endless[] = { TAG(1, 0), TAG(0, 8) };
	static const uint32_t long_tag[] = { TAG(1, 0xfffffff8), TAG(0, 8) };
	static const uint32_t no_end[] = { TAG(1, 8) };
	static const uint32_t no_entry[] = { TAG(2, 24), 0x100000, 0x100000, 0, 0, TAG(0, 8) };
	static const uint32_t short_tag[] = { TAG(2, 8), TAG(0, 8) };
	static char line[0x10001];

	fresh_boot();
	make_multiboot2(unknown, 4);
	expect_refused(SMALL, "does not know (tag 77)");
	make_multiboot2(endless, 4);
	expect_refused(SMALL, "have no end");
	make_multiboot2(long_tag, 4);
	expect_refused(SMALL, "have no end");
	make_multiboot2(no_end, 2);
	expect_refused(SMALL, "have no end");
	make_multiboot2(no_entry, 8);
	expect_refused(SMALL, "without an entry point");
	make_multiboot2(short_tag, 4);
	expect_refused(SMALL, "too short");
	/* A header that says that it is longer than the file. */
	make_multiboot2(no_end, 2);
	((uint32_t *)(made.data + 512))[2] = 0x10000;
	((uint32_t *)(made.data + 512))[3] = 0u - 0xe85250d6 - 0x10000;
	expect_refused(SMALL, "cut short inside the multiboot 2 header");
	memset(line, 'x', sizeof(line) - 2);
	fresh_boot()->append = line;
	make_multiboot2((const uint32_t[]){ TAG(0, 8) }, 2);
	expect_refused(SMALL, "too long together");
}

static const struct tap_test tests[] = {
	{ "a bzImage whose last paragraph is not full is loaded", unfilled_paragraph },
	{ "a bzImage that says no set-up has four sectors", four_sectors },
	{ "an old bzImage is entered at its 16-bit part", setup_16bit },
	{ "a multiboot image of 64 bits is entered in 32", multiboot_64 },
	{ "a program for EFI is named, whatever else it is", efi_with_other_headers },
	{ "an empty initrd is none", empty_initrd },
	{ "an image in base memory keeps its place", below_one_mib },
	{ "so does one in many pieces", many_segments },
	{ "an ELF header of nothing is nothing", empty_segments },
	{ "an ELF file's segments may lie over each other", segments_over_each_other },
	{ "a plain 64-bit ELF kernel starts by Linux's protocol", plain_elf },
	{ "images compressed by gzip and zstd are unpacked", compressed },
	{ "images compressed by lz4 are unpacked", compressed_by_lz4 },
	{ "a kernel starts as Xen starts it", as_xen },
	{ "a kernel for Xen lies where its notes say", xen_places },
	{ "the page by which older kernels for Xen make hypercalls", xen_calls },
	{ "a kernel whose notes place it where none can be is refused", refused_xen_places },
	{ "a kernel that Xen could not start is refused", refused_as_xen },
	{ "a kernel for Xen alone is told what it needs", for_xen_alone },
	{ "files that are no kernels are named", not_kernels },
	{ "so are images of disks and CDs that a BIOS would start", images_of_disks },
	{ "a multiboot 2 image finds its information", multiboot2 },
	{ "bad multiboot 2 images are refused in words", multiboot2_bad },
};

TAP_MAIN(tests)
