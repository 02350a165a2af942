// SPDX-License-Identifier: GPL-2.0-only
#include <elf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <asm/bootparam.h>

#include "images.h"
#include "tap.h"

#define MAX_FILES	8
#define PAYLOAD		"the kernel itself"

static int files[MAX_FILES];
static unsigned int nr_files;
static char paths[MAX_FILES][32];
struct made made;
static struct boot boot;
static struct guest_memory memory;

void make_bzimage(int is64)
{
	struct setup_header *header = (struct setup_header *)(made.data + 0x1f1);

	memset(&made, 0, sizeof(made));
	header->setup_sects = 1;
	header->boot_flag = 0xaa55;
	header->header = 0x53726448;
	header->jump = (0x202 + 0x78 - 0x202) << 8 | 0xeb;
	header->version = 0x020f;
	header->loadflags = LOADED_HIGH;
	header->syssize = 2048 / 16;
	header->code32_start = 0x100000;
	header->initrd_addr_max = 0x7fffffff;
	header->cmdline_size = 2047;
	header->pref_address = 0x1000000;
	header->init_size = 0x200000;
	header->xloadflags = is64 ? XLF_KERNEL_64 : 0;
	strcpy((char *)made.data + 1024, PAYLOAD);
	made.bytes = 1024 + 2048;
}

static size_t put_note_of(uint8_t *at, uint32_t type, const void *data, uint32_t bytes)
{
	Elf64_Nhdr *note = (Elf64_Nhdr *)at;

	note->n_namesz = 4;
	note->n_descsz = bytes;
	note->n_type = type;
	memcpy(at + sizeof(*note), "Xen", 4);
	memcpy(at + sizeof(*note) + 4, data, bytes);
	return sizeof(*note) + 4 + (bytes + 3) / 4 * 4;
}

static size_t put_note(uint8_t *at, uint32_t entry)
{
	return put_note_of(at, 18, &entry, sizeof(entry));
}

static void make_pvh64(void)
{
	Elf64_Ehdr *header = (Elf64_Ehdr *)made.data;
	Elf64_Phdr *segment = (Elf64_Phdr *)(made.data + 64);

	memcpy(header->e_ident, ELFMAG, SELFMAG);
	header->e_ident[EI_CLASS] = ELFCLASS64;
	header->e_ident[EI_DATA] = ELFDATA2LSB;
	header->e_machine = EM_X86_64;
	header->e_phoff = 64;
	header->e_phentsize = sizeof(*segment);
	header->e_phnum = 2;
	segment[0] = (Elf64_Phdr){
		.p_type = PT_LOAD, .p_offset = 512, .p_filesz = 512, .p_memsz = 4096,
		.p_paddr = 0x100000, .p_vaddr = 0xffffffff80100000,
	};
	segment[1] = (Elf64_Phdr){
		.p_type = PT_NOTE, .p_offset = 256, .p_align = 4,
		.p_filesz = put_note(made.data + 256, 0x100020),
	};
}

static void make_elf32(unsigned int segments)
{
	Elf32_Ehdr *header = (Elf32_Ehdr *)made.data;
	Elf32_Phdr *segment = (Elf32_Phdr *)(made.data + 64);

	memcpy(header->e_ident, ELFMAG, SELFMAG);
	header->e_ident[EI_CLASS] = ELFCLASS32;
	header->e_ident[EI_DATA] = ELFDATA2LSB;
	header->e_machine = EM_386;
	header->e_phoff = 64;
	header->e_phentsize = sizeof(*segment);
	header->e_phnum = segments;
	segment[0] = (Elf32_Phdr){
		.p_type = PT_LOAD, .p_offset = 512, .p_filesz = 512, .p_memsz = 4096,
		.p_paddr = 0x100000, .p_vaddr = 0xc0100000,
	};
}

void make_pvh(int is64)
{
	Elf32_Phdr *segment = (Elf32_Phdr *)(made.data + 64);

	memset(&made, 0, sizeof(made));
	strcpy((char *)made.data + 512, PAYLOAD);
	made.bytes = 1024;
	if (is64) {
		make_pvh64();
		return;
	}
	make_elf32(2);
	segment[1] = (Elf32_Phdr){
		.p_type = PT_NOTE, .p_offset = 256, .p_align = 4,
		.p_filesz = put_note(made.data + 256, 0x100020),
	};
}

uint64_t made_xen_calls;

void make_xen_at(uint64_t entry, uint64_t base, uint64_t paddr_offset)
{
	Elf64_Phdr *notes = (Elf64_Phdr *)(made.data + 64) + 1;
	size_t bytes;

	make_pvh(1);
	bytes = put_note_of(made.data + 256, 1, &entry, sizeof(entry));
	bytes += put_note_of(made.data + 256 + bytes, 3, &base, sizeof(base));
	if (made_xen_calls)
		bytes += put_note_of(made.data + 256 + bytes, 2, &made_xen_calls, sizeof(made_xen_calls));
	if (paddr_offset)
		bytes += put_note_of(made.data + 256 + bytes, 4, &paddr_offset, sizeof(paddr_offset));
	bytes += put_note_of(made.data + 256 + bytes, 6, "linux", 6);
	bytes += put_note_of(made.data + 256 + bytes, 10, "!writable_page_tables", 22);
	notes->p_filesz = bytes;
}

void make_xen(void)
{
	make_xen_at(MADE_XEN_BASE + 0x100020, MADE_XEN_BASE, 0);
}

static void put_header(uint8_t *at, uint32_t flags)
{
	const uint32_t header[3] = { 0x1badb002, flags, 0u - 0x1badb002 - flags };

	memcpy(at, header, sizeof(header));
}

void make_multiboot(void)
{
	memset(&made, 0, sizeof(made));
	make_elf32(1);
	((Elf32_Ehdr *)made.data)->e_entry = 0xc0100010;
	strcpy((char *)made.data + 512 + 32, PAYLOAD);
	put_header(made.data + 512, 3);
	made.bytes = 1024;
}

void make_flat(void)
{
	const uint32_t addresses[5] = { 0x100040, 0x100000, 0x100200, 0x101000, 0x100010 };

	memset(&made, 0, sizeof(made));
	put_header(made.data + 64, 1 << 16);
	memcpy(made.data + 64 + 12, addresses, sizeof(addresses));
	strcpy((char *)made.data + 128, PAYLOAD);
	made.bytes = 512;
}

void make_multiboot2(const uint32_t *tags, size_t count)
{
	uint32_t head[4] = { 0xe85250d6, 0, sizeof(head) + count * 4 };

	make_multiboot();
	head[3] = 0u - head[0] - head[1] - head[2];
	memcpy(made.data + 512, head, sizeof(head));
	memcpy(made.data + 512 + sizeof(head), tags, count * 4);
}

const char *file_of(const void *data, size_t bytes)
{
	int fd = memfd_create("image", MFD_CLOEXEC);

	if (fd < 0 || nr_files == MAX_FILES || write(fd, data, bytes) != (ssize_t)bytes) {
		perror("cannot make a file for a test");
		exit(1);
	}
	files[nr_files] = fd;
	snprintf(paths[nr_files], sizeof(paths[0]), "/proc/self/fd/%d", fd);
	return paths[nr_files++];
}

void file_done(void)
{
	while (nr_files)
		close(files[--nr_files]);
}

struct boot *boot_of(void)
{
	return &boot;
}

struct boot *fresh_boot(void)
{
	if (memory.base)
		memory_destroy(&memory);
	file_done();
	memset(&boot, 0, sizeof(boot));
	boot.append = "";
	boot.cpus = 1;
	return &boot;
}

int boot_path(const char *path, uint64_t memory_bytes)
{
	if (memory.base)
		memory_destroy(&memory);
	if (memory_create_bare(&memory, memory_bytes, false)) {
		perror("cannot make guest memory for a test");
		exit(1);
	}
	boot.memory = &memory;
	boot.kernel = path;
	return boot_load(&boot);
}

int boot_made(uint64_t memory_bytes)
{
	return boot_path(file_of(made.data, made.bytes), memory_bytes);
}

void *made_at(uint64_t gpa, uint64_t bytes)
{
	void *p = memory_at(boot.memory, gpa, bytes);

	require(p);
	return p;
}

void expect_refused(uint64_t memory_bytes, const char *words)
{
	int ret = boot_made(memory_bytes);

	expect_equal(ret, -1);
	tap_check(strstr(boot.error.words, words), false, "the message \"%s\" has no \"%s\"",
		  boot.error.words, words);
	fresh_boot();
}
