// SPDX-License-Identifier: GPL-2.0-only
#include <elf.h>
#include <string.h>

#include "boot.h"

#define ALIGN(x, to)		(((x) + (to) - 1) & ~((uint64_t)(to) - 1))

bool elf_is(const struct image *image)
{
	const void *magic = image_at(image, 0, SELFMAG);

	return magic && !memcmp(magic, ELFMAG, SELFMAG);
}

static void take64(struct elf *elf, const Elf64_Ehdr *header)
{
	elf->is64 = true;
	elf->entry = header->e_entry;
	elf->headers = header->e_phoff;
	elf->header_bytes = header->e_phentsize;
	elf->count = header->e_phnum;
}

static void take32(struct elf *elf, const Elf32_Ehdr *header)
{
	elf->entry = header->e_entry;
	elf->headers = header->e_phoff;
	elf->header_bytes = header->e_phentsize;
	elf->count = header->e_phnum;
}

int elf_open(struct boot *boot, const struct image *image, struct elf *elf)
{
	const Elf32_Ehdr *header32 = image_at(image, 0, sizeof(*header32));
	const Elf64_Ehdr *header64 = image_at(image, 0, sizeof(*header64));
	uint16_t machine;

	*elf = (struct elf){ .image = image };
	if (!header32)
		return boot_error(boot, "%s: cut short inside the ELF header", image->path);
	/* Both classes have the machine at the same place. */
	machine = header32->e_machine;
	if (header32->e_ident[EI_DATA] != ELFDATA2LSB ||
	    (machine != EM_386 && machine != EM_X86_64))
		return boot_error(boot, "%s: an ELF file for another kind of processor", image->path);
	if (header32->e_ident[EI_CLASS] == ELFCLASS64 && !header64)
		return boot_error(boot, "%s: cut short inside the ELF header", image->path);
	if (header32->e_ident[EI_CLASS] == ELFCLASS64)
		take64(elf, header64);
	else if (header32->e_ident[EI_CLASS] == ELFCLASS32)
		take32(elf, header32);
	else
		return boot_error(boot, "%s: an ELF file of an unknown class", image->path);
	if (!elf->count || elf->header_bytes < (elf->is64 ? sizeof(Elf64_Phdr) : sizeof(Elf32_Phdr)))
		return boot_error(boot, "%s: an ELF file without program headers: not an executable",
				  image->path);
	if (!image_at(image, elf->headers, (uint64_t)elf->count * elf->header_bytes))
		return boot_error(boot, "%s: cut short before its program headers", image->path);
	return 0;
}

int elf_segment(struct boot *boot, const struct elf *elf, uint32_t index,
		struct elf_segment *segment)
{
	const void *at = image_at(elf->image, elf->headers + (uint64_t)index * elf->header_bytes,
				  elf->header_bytes);
	Elf64_Phdr wide;
	Elf32_Phdr narrow;

	/* Headers may lie at any offset: copy them to where they are aligned. */
	if (elf->is64) {
		memcpy(&wide, at, sizeof(wide));
		*segment = (struct elf_segment){
			wide.p_type, wide.p_offset, wide.p_vaddr, wide.p_paddr - elf->paddr_offset,
			wide.p_filesz, wide.p_memsz, wide.p_align,
		};
	} else {
		memcpy(&narrow, at, sizeof(narrow));
		*segment = (struct elf_segment){
			narrow.p_type, narrow.p_offset, narrow.p_vaddr, narrow.p_paddr - elf->paddr_offset,
			narrow.p_filesz, narrow.p_memsz, narrow.p_align,
		};
	}
	/* One of nothing lies anywhere. */
	if ((segment->type == PT_LOAD || segment->type == PT_NOTE) && segment->file_bytes &&
	    !image_at(elf->image, segment->offset, segment->file_bytes))
		return boot_error(boot, "%s: cut short: its segment %u ends behind the end of the file",
				  elf->image->path, index);
	return 0;
}

uint64_t elf_entry(const struct elf *elf)
{
	struct boot ignored = { 0 };

	for (uint32_t i = 0; i < elf->count; i++) {
		struct elf_segment segment;

		if (elf_segment(&ignored, elf, i, &segment) || segment.type != PT_LOAD)
			continue;
		if (elf->entry >= segment.vaddr &&
		    elf->entry - segment.vaddr < segment.memory_bytes)
			return elf->entry - segment.vaddr + segment.paddr;
	}
	return elf->entry;
}

/* The note at note->offset of @segment.  False: there is no further one. */
static bool take_note(const struct image *image, const struct elf_segment *segment, const char *owner,
		      struct elf_note *note, bool *is_owner)
{
	/* Notes are aligned to 4 bytes unless the segment says 8. */
	const uint64_t align = segment->align == 8 ? 8 : 4;
	const uint8_t *notes = image_at(image, segment->offset, segment->file_bytes);
	uint64_t name = note->offset + sizeof(Elf64_Nhdr), payload;
	Elf64_Nhdr header;

	if (note->offset > segment->file_bytes || segment->file_bytes - note->offset < sizeof(header))
		return false;
	memcpy(&header, notes + note->offset, sizeof(header));
	payload = ALIGN(name + header.n_namesz, align);
	if (payload + header.n_descsz > segment->file_bytes)
		return false;
	note->type = header.n_type;
	note->data = notes + payload;
	note->bytes = header.n_descsz;
	note->offset = ALIGN(payload + header.n_descsz, align);
	note->number = 0;
	if (header.n_descsz == 4 || header.n_descsz == 8)
		memcpy(&note->number, note->data, header.n_descsz);
	*is_owner = header.n_namesz == strlen(owner) + 1 && !memcmp(notes + name, owner, header.n_namesz);
	return true;
}

int elf_next_note(struct boot *boot, const struct elf *elf, const char *owner, struct elf_note *note)
{
	for (; note->segment < elf->count; note->segment++, note->offset = 0) {
		struct elf_segment segment;
		bool is_owner;

		if (elf_segment(boot, elf, note->segment, &segment))
			return -1;
		if (segment.type != PT_NOTE)
			continue;
		if (!note->offset)
			note->searched += segment.file_bytes;
		/* Else all of the file could be searched 65,535 times. */
		if (note->searched > elf->image->bytes)
			return boot_error(boot, "%s: its notes lie over each other: they are more than the file",
					  elf->image->path);
		while (take_note(elf->image, &segment, owner, note, &is_owner))
			if (is_owner)
				return 1;
	}
	return 0;
}

static int no_place(struct boot *boot, const char *path, uint32_t index,
		    const struct elf_segment *segment)
{
	unsigned long long bytes = segment->memory_bytes, at = segment->paddr, end = boot->memory->low;

	if (boot->as_xen)
		return boot_error(boot, "%s: its segment %u wants 0x%llx bytes at 0x%llx, where the guest has no memory for it (0 to 0x%llx)",
				  path, index, bytes, at, end);
	return boot_error(boot, "%s: its segment %u wants 0x%llx bytes at 0x%llx, where the guest has no memory for it (0x1000 to 0x%x, 0x%x to 0x%llx)",
			  path, index, bytes, at, BOOT_EBDA, BOOT_KERNEL, end);
}

int elf_load(struct boot *boot, const struct elf *elf, uint64_t *end)
{
	const char *path = elf->image->path;
	unsigned int loaded = 0;
	uint64_t copied = 0;

	*end = BOOT_KERNEL;
	for (uint32_t i = 0; i < elf->count; i++) {
		struct elf_segment segment;
		void *to;

		if (elf_segment(boot, elf, i, &segment))
			return -1;
		if (segment.type != PT_LOAD || !segment.memory_bytes)
			continue;
		if (segment.file_bytes > segment.memory_bytes)
			return boot_error(boot, "%s: its segment %u is larger in the file than in memory",
					  path, i);
		to = boot_place(boot, segment.paddr, segment.memory_bytes);
		if (!to)
			return no_place(boot, path, i, &segment);
		copied += segment.file_bytes;
		/* Else a file could have all of it copied 65,535 times. */
		if (copied > boot->memory->low)
			return boot_error(boot, "%s: its segments lie over each other: they are more than fits",
					  path);
		/* The rest is zero already, as all memory of a new guest. */
		if (segment.file_bytes)
			memcpy(to, image_at(elf->image, segment.offset, segment.file_bytes),
			       segment.file_bytes);
		if (segment.paddr + segment.memory_bytes > *end)
			*end = segment.paddr + segment.memory_bytes;
		loaded++;
	}
	return loaded ? 0 : boot_error(boot, "%s: an ELF file with nothing to load", path);
}
