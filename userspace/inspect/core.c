// SPDX-License-Identifier: GPL-2.0-only
/*
 * The file has the layout that kdump's have: a note for each vCPU, one with what the guest's kernel
 * says about itself, and a segment for each piece of RAM by its physical address.  Further segments
 * lie over the same bytes: what a 64-bit kernel has mapped in its half of the address space, by its
 * virtual addresses, so that gdb finds them.
 *
 * The structures are <elf.h>'s: libelf keeps a file's data in memory, which here is all of a guest.
 */
#include <elf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/procfs.h>
#include <unistd.h>

#include "core.h"
#include "ranges.h"
#include "walk.h"
#include "vm/memory.h"

#define PAGE		4096u
#define PRESENT		(3ull << 62)	/* of an entry of pagemap: in memory, or in swap */
#define BATCH		512u		/* pages that are looked at, and written, at a time */
#define INFO_NAME	"VMCOREINFO"
#define INFO_BEGIN	"OSRELEASE="
#define NOTE(bytes)	(sizeof(Elf64_Nhdr) + 12 + ((bytes) + 3) / 4 * 4)	/* names have 5 to 12 bytes */

/* The number of segments in the file, and the places of its notes and memory. */
struct layout {
	unsigned int nr_segments;
	uint64_t notes_at;
	uint64_t notes_bytes;
	uint64_t memory_at;
};

struct writer {
	int fd;
	struct core *core;
	struct layout layout;
	struct ranges ranges;
	char info[CORE_INFO_MAX];
	size_t info_bytes;
};

static int write_at(int fd, const void *data, size_t bytes, uint64_t at)
{
	while (bytes) {
		ssize_t done = pwrite(fd, data, bytes, (off_t)at);

		if (done < 0 && errno == EINTR)
			continue;
		if (done <= 0)
			return done ? -errno : -EIO;
		data = (const char *)data + done;
		bytes -= (size_t)done;
		at += (uint64_t)done;
	}
	return 0;
}

/* ---- pages ------------------------------------------------------------------------------------ */

/* Bit by page: is there anything?  A page that is not need not be touched, and is not made by that. */
static void find_present(const struct guest_memory *memory, uint64_t first, unsigned int count,
			 bool present[BATCH])
{
	uint64_t entries[BATCH], at = (uintptr_t)memory->base / PAGE + first;
	ssize_t bytes = memory->pagemap ? pread(memory->pagemap, entries, count * sizeof(entries[0]),
						(off_t)(at * sizeof(entries[0]))) : 0;

	for (unsigned int i = 0; i < count; i++)
		present[i] = (ssize_t)((i + 1) * sizeof(entries[0])) > bytes || entries[i] & PRESENT;
}

/* Calls @fn for @count pages from number @first, until it fails. */
static int each_batch(struct writer *writer,
		      int (*fn)(struct writer *writer, uint64_t first, unsigned int count,
				const bool present[BATCH]))
{
	struct core *core = writer->core;
	uint64_t pages = core->memory->bytes / PAGE;
	bool present[BATCH];
	int ret = 0;

	for (uint64_t first = 0; first < pages && !ret; first += BATCH) {
		unsigned int count = pages - first < BATCH ? (unsigned int)(pages - first) : BATCH;

		if (core->goes_on && !core->goes_on(core->argument))
			return -ECANCELED;
		find_present(core->memory, first, count, present);
		ret = fn(writer, first, count, present);
	}
	return ret;
}

static bool is_zero(const uint8_t *page)
{
	return !page[0] && !memcmp(page, page + 1, PAGE - 1);
}

/* Runs of pages that hold something. */
static int write_pages(struct writer *writer, uint64_t first, unsigned int count,
		       const bool present[BATCH])
{
	const uint8_t *base = writer->core->memory->base + first * PAGE;
	int ret = 0;

	for (unsigned int i = 0, run; i < count && !ret; i += run ?: 1) {
		for (run = 0; i + run < count && present[i + run] && !is_zero(base + (i + run) * PAGE); run++)
			;
		writer->core->pages += run;
		writer->core->empty += !run;
		if (run)
			ret = write_at(writer->fd, base + i * PAGE, run * PAGE,
				       writer->layout.memory_at + (first + i) * PAGE);
	}
	return ret;
}

/* ---- what the guest's kernel says about itself -------------------------------------------------- */

/*
 * Linux keeps it as a note at the start of a page, ready for a kernel that is booted after a crash.
 * Only the guest knows which page: so the first one that looks like it is taken.
 */
static int find_info(struct writer *writer, uint64_t first, unsigned int count,
		     const bool present[BATCH])
{
	const uint8_t *page = writer->core->memory->base + first * PAGE;
	const size_t desc_at = sizeof(Elf64_Nhdr) + (sizeof(INFO_NAME) + 3) / 4 * 4;
	Elf64_Nhdr header;

	for (unsigned int i = 0; i < count && !writer->info_bytes; i++, page += PAGE) {
		if (!present[i])
			continue;
		memcpy(&header, page, sizeof(header));
		if (header.n_namesz != sizeof(INFO_NAME) || header.n_type ||
		    header.n_descsz < strlen(INFO_BEGIN) || header.n_descsz > PAGE - desc_at ||
		    memcmp(page + sizeof(header), INFO_NAME, sizeof(INFO_NAME)) ||
		    memcmp(page + desc_at, INFO_BEGIN, strlen(INFO_BEGIN)))
			continue;
		memcpy(writer->info, page + desc_at, header.n_descsz);
		writer->info_bytes = header.n_descsz;
	}
	return 0;
}

size_t core_find_info(const struct guest_memory *memory, char info[CORE_INFO_MAX])
{
	struct core core = { .memory = memory };
	struct writer *writer = calloc(1, sizeof(*writer));
	size_t bytes = 0;

	if (!writer)
		return 0;
	writer->core = &core;
	if (!each_batch(writer, find_info))
		bytes = writer->info_bytes;
	memcpy(info, writer->info, bytes);
	info[bytes] = 0;
	free(writer);
	return bytes;
}

/* ---- notes -------------------------------------------------------------------------------------- */

static char *put_note(char *to, const char *name, uint32_t type, const void *data, size_t bytes)
{
	Elf64_Nhdr header = {
		.n_namesz = (uint32_t)strlen(name) + 1, .n_descsz = (uint32_t)bytes, .n_type = type,
	};

	memcpy(to, &header, sizeof(header));
	to += sizeof(header);
	strcpy(to, name);
	to += (header.n_namesz + 3) / 4 * 4;
	memcpy(to, data, bytes);
	return to + (bytes + 3) / 4 * 4;
}

static void fill_status(struct elf_prstatus *status, const struct core_vcpu *vcpu, unsigned int number)
{
	const struct gondola_segment *seg = vcpu->sregs.seg;
	const __u64 *gpr = vcpu->regs.gpr;
	/* As <sys/user.h> has them. */
	const unsigned long long regs[ELF_NGREG] = {
		gpr[15], gpr[14], gpr[13], gpr[12], gpr[5], gpr[3], gpr[11], gpr[10], gpr[9], gpr[8],
		gpr[0], gpr[1], gpr[2], gpr[6], gpr[7], ~0ull, vcpu->regs.rip,
		seg[GONDOLA_CS].selector, vcpu->regs.rflags, gpr[4], seg[GONDOLA_SS].selector,
		seg[GONDOLA_FS].base, seg[GONDOLA_GS].base, seg[GONDOLA_DS].selector,
		seg[GONDOLA_ES].selector, seg[GONDOLA_FS].selector, seg[GONDOLA_GS].selector,
	};

	_Static_assert(sizeof(regs) == sizeof(status->pr_reg), "gdb's and the kernel's size");
	memset(status, 0, sizeof(*status));
	status->pr_pid = (int)number + 1;
	memcpy(&status->pr_reg, regs, sizeof(regs));
}

static size_t notes_room(const struct writer *writer)
{
	return writer->core->nr_vcpus * NOTE(sizeof(struct elf_prstatus)) + NOTE(writer->info_bytes);
}

static int write_notes(struct writer *writer)
{
	const struct core *core = writer->core;
	char *notes = calloc(1, notes_room(writer)), *end = notes;
	struct elf_prstatus status;
	int ret;

	if (!notes)
		return -ENOMEM;
	for (unsigned int i = 0; i < core->nr_vcpus; i++) {
		fill_status(&status, &core->vcpus[i], i);
		end = put_note(end, "CORE", NT_PRSTATUS, &status, sizeof(status));
	}
	if (writer->info_bytes)
		end = put_note(end, INFO_NAME, 0, writer->info, writer->info_bytes);
	writer->layout.notes_bytes = (uint64_t)(end - notes);
	ret = write_at(writer->fd, notes, (size_t)(end - notes), writer->layout.notes_at);
	free(notes);
	return ret;
}

/* ---- headers ------------------------------------------------------------------------------------ */

/* RAM is one piece of the file, in the order of physical addresses. */
static uint64_t file_at(const struct writer *writer, uint64_t gpa)
{
	const struct guest_memory *memory = writer->core->memory;

	return writer->layout.memory_at +
	       (gpa < memory->low ? gpa : gpa - MEMORY_HIGH + memory->low);
}

static Elf64_Phdr segment(const struct writer *writer, uint64_t gva, uint64_t gpa, uint64_t bytes,
			  uint32_t flags)
{
	return (Elf64_Phdr){
		.p_type = PT_LOAD, .p_flags = flags, .p_offset = file_at(writer, gpa),
		.p_vaddr = gva, .p_paddr = gpa, .p_filesz = bytes, .p_memsz = bytes,
	};
}

static uint32_t flags_of(const struct range *range)
{
	return PF_R | (range->writable ? PF_W : 0) | (range->executable ? PF_X : 0);
}

static int write_headers(struct writer *writer)
{
	const struct guest_memory *memory = writer->core->memory;
	const struct layout *layout = &writer->layout;
	Elf64_Phdr *headers = calloc(layout->nr_segments, sizeof(*headers)), *to = headers;
	Elf64_Ehdr elf = {
		.e_ident = { ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3, ELFCLASS64, ELFDATA2LSB, EV_CURRENT },
		.e_type = ET_CORE, .e_machine = EM_X86_64, .e_version = EV_CURRENT,
		.e_phoff = sizeof(elf), .e_ehsize = sizeof(elf), .e_phentsize = sizeof(*headers),
		.e_phnum = (uint16_t)layout->nr_segments,
	};
	int ret;

	if (!headers)
		return -ENOMEM;
	*to++ = (Elf64_Phdr){
		.p_type = PT_NOTE, .p_offset = layout->notes_at, .p_filesz = layout->notes_bytes,
		.p_memsz = layout->notes_bytes,
	};
	*to++ = segment(writer, 0, 0, memory->low, PF_R | PF_W | PF_X);
	if (memory->bytes > memory->low)
		*to++ = segment(writer, MEMORY_HIGH, MEMORY_HIGH, memory->bytes - memory->low,
				PF_R | PF_W | PF_X);
	for (unsigned int i = 0; i < writer->ranges.count; i++) {
		const struct range *range = &writer->ranges.range[i];

		*to++ = segment(writer, range->gva, range->gpa, range->bytes, flags_of(range));
	}
	ret = write_at(writer->fd, &elf, sizeof(elf), 0);
	if (!ret)
		ret = write_at(writer->fd, headers, layout->nr_segments * sizeof(*headers), sizeof(elf));
	free(headers);
	return ret;
}

static void lay_out(struct writer *writer)
{
	const struct guest_memory *memory = writer->core->memory;
	struct layout *layout = &writer->layout;

	layout->nr_segments = 2 + (memory->bytes > memory->low) + writer->ranges.count;
	layout->notes_at = sizeof(Elf64_Ehdr) + layout->nr_segments * sizeof(Elf64_Phdr);
	layout->memory_at = (layout->notes_at + notes_room(writer) + PAGE - 1) & ~(uint64_t)(PAGE - 1);
}

/* The last page ends the file, whatever it holds: what lies before may be a hole. */
static int write_all(struct writer *writer)
{
	const struct guest_memory *memory = writer->core->memory;
	uint64_t last = memory->bytes - PAGE;
	int ret = each_batch(writer, find_info);

	if (ret)
		return ret;
	lay_out(writer);
	ret = write_notes(writer);
	if (!ret)
		ret = write_headers(writer);
	if (!ret)
		ret = write_at(writer->fd, memory->base + last, PAGE, writer->layout.memory_at + last);
	return ret ?: each_batch(writer, write_pages);
}

int core_write(int fd, struct core *core)
{
	struct gondola_rec_sregs sregs = core->vcpus[0].sregs;
	struct writer *writer = calloc(1, sizeof(*writer));
	int ret;

	if (!writer)
		return -ENOMEM;
	writer->fd = fd;
	writer->core = core;
	core->pages = core->empty = 0;
	walk_kernel_tables(core->memory, &sregs);
	ret = ranges_find(&writer->ranges, core->memory, &sregs, CORE_MAX_RANGES);
	if (!ret)
		ret = write_all(writer);
	core->ranges = writer->ranges.count;
	core->has_info = writer->info_bytes;
	ranges_free(&writer->ranges);
	free(writer);
	return ret;
}
