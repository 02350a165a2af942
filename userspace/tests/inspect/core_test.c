// SPDX-License-Identifier: GPL-2.0-only
/* Cores as libelf reads them. */
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <gelf.h>
#include <libelf.h>
#include <sys/mman.h>
#include <sys/procfs.h>
#include <sys/stat.h>
#include <sys/user.h>
#include <unistd.h>

#include "core_test.h"
#include "tap.h"
#include "inspect/core.h"
#include "vm/memory.h"

#define MIB	(1ull << 20)
#define PWU	7ull
#define LARGE	0x80ull
#define LMA	(1ull << 10)
#define ROOT	0x10000

static struct guest_memory memory;
static struct core_vcpu vcpus[2];

static void begin(uint64_t bytes)
{
	require_equal(memory_create_bare(&memory, bytes, false), 0);
	memory.pagemap = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	require(memory.pagemap > 0);
	memset(vcpus, 0, sizeof(vcpus));
}

static void put(uint64_t gpa, const void *data, size_t bytes)
{
	void *to = memory_at(&memory, gpa, bytes);

	require(to);
	memcpy(to, data, bytes);
}

static void put_entry(uint64_t table, unsigned int index, uint64_t entry)
{
	put(table + index * 8, &entry, sizeof(entry));
}

static int make(struct core *core)
{
	int fd = memfd_create("core", MFD_CLOEXEC);

	require(fd >= 0);
	core->memory = &memory;
	core->vcpus = vcpus;
	core->nr_vcpus = 2;
	require_equal(core_write(fd, core), 0);
	return fd;
}

static void end(int fd)
{
	close(fd);
	memory_destroy(&memory);
}

static Elf *open_core(int fd)
{
	GElf_Ehdr header;
	Elf *elf;

	require(elf_version(EV_CURRENT) != EV_NONE);
	elf = elf_begin(fd, ELF_C_READ, NULL);
	require(elf && elf_kind(elf) == ELF_K_ELF && gelf_getehdr(elf, &header));
	expect_equal(header.e_type, ET_CORE);
	expect_equal(header.e_machine, EM_X86_64);
	return elf;
}

/* The segment that has @address, which is physical or @virtual; what lies there in the file. */
static bool find_segment(int fd, uint64_t address, bool virtual, GElf_Phdr *segment, uint64_t *word)
{
	Elf *elf = open_core(fd);
	bool found = false;
	size_t count;

	require(!elf_getphdrnum(elf, &count));
	for (size_t i = 0; i < count && !found; i++) {
		uint64_t start;

		require(gelf_getphdr(elf, (int)i, segment));
		start = virtual ? segment->p_vaddr : segment->p_paddr;
		found = segment->p_type == PT_LOAD && address - start < segment->p_memsz;
		if (found)
			expect_equal(pread(fd, word, sizeof(*word),
					   (off_t)(segment->p_offset + address - start)),
				     sizeof(*word));
	}
	elf_end(elf);
	return found;
}

/* Note number @n; its name must be @name. */
static bool find_note(int fd, unsigned int n, const char *name, GElf_Nhdr *note, char *desc, size_t room)
{
	size_t name_at, desc_at, offset = 0;
	Elf *elf = open_core(fd);
	GElf_Phdr segment;
	Elf_Data *data;
	bool found = false;

	require(gelf_getphdr(elf, 0, &segment) && segment.p_type == PT_NOTE);
	data = elf_getdata_rawchunk(elf, (int64_t)segment.p_offset, segment.p_filesz, ELF_T_NHDR);
	require(data);
	while ((offset = gelf_getnote(data, offset, note, &name_at, &desc_at)) && n--)
		;
	if (offset && !strcmp((char *)data->d_buf + name_at, name) && note->n_descsz <= room) {
		memcpy(desc, (char *)data->d_buf + desc_at, note->n_descsz);
		found = true;
	}
	elf_end(elf);
	return found;
}

/* Low memory, the hole, and what lies above 4 GiB; pages that nobody touched are not there. */
void core_has_memory(void)
{
	const uint64_t low = 0x1122334455667788ull, high = 0x99aabbccddeeff00ull, zero = 0;
	struct core core = { .goes_on = NULL };
	GElf_Phdr segment;
	uint64_t word = 1;
	struct stat st;
	int fd;

	begin(MEMORY_LOW_MAX + 8 * MIB);
	put(0x5008, &low, sizeof(low));
	put(MEMORY_HIGH + 0x3000, &high, sizeof(high));
	put(0x9000, &zero, sizeof(zero));
	fd = make(&core);
	expect(find_segment(fd, 0x5008, false, &segment, &word));
	expect_equal(word, low);
	expect_equal(segment.p_vaddr, 0);
	expect_equal(segment.p_filesz, MEMORY_LOW_MAX);
	expect(find_segment(fd, MEMORY_HIGH + 0x3000, false, &segment, &word));
	expect_equal(word, high);
	expect_equal(segment.p_filesz, 8 * MIB);
	expect(find_segment(fd, MEMORY_HIGH + 8 * MIB - 8, false, &segment, &word));
	expect_equal(word, 0);
	expect(find_segment(fd, 0x9000, false, &segment, &word));
	expect_equal(word, 0);
	expect(!find_segment(fd, MEMORY_LOW_MAX, false, &segment, &word));
	expect(!find_segment(fd, MEMORY_HIGH + 8 * MIB, false, &segment, &word));
	expect_equal(core.pages, 2);
	expect_equal(core.empty, (MEMORY_LOW_MAX + 8 * MIB) / 4096 - 2);
	require(!fstat(fd, &st));
	expect((uint64_t)st.st_size > MEMORY_LOW_MAX + 8 * MIB);
	expect(st.st_blocks * 512 < (off_t)MIB);
	end(fd);
	/* A kernel that does not tell which pages are there: all are looked at. */
	begin(4 * MIB);
	close(memory.pagemap);
	memory.pagemap = 0;
	put(0x5008, &low, sizeof(low));
	core = (struct core){ .goes_on = NULL };
	fd = make(&core);
	expect(find_segment(fd, 0x5008, false, &segment, &word));
	expect_equal(word, low);
	expect_equal(core.pages, 1);
	end(fd);
}

void core_has_registers(void)
{
	struct core core = { .goes_on = NULL };
	struct elf_prstatus status;
	struct user_regs_struct regs;
	GElf_Nhdr note;
	int fd;

	begin(4 * MIB);
	for (unsigned int i = 0; i < 16; i++)
		vcpus[1].regs.gpr[i] = 0x1000 + i;
	vcpus[1].regs.rip = 0xffffffff81000000ull;
	vcpus[1].regs.rflags = 0x202;
	vcpus[1].sregs.seg[GONDOLA_CS].selector = 0x10;
	vcpus[1].sregs.seg[GONDOLA_GS].base = 0xffff888000000000ull;
	fd = make(&core);
	require(find_note(fd, 1, "CORE", &note, (char *)&status, sizeof(status)));
	expect_equal(note.n_type, NT_PRSTATUS);
	expect_equal(note.n_descsz, sizeof(status));
	expect_equal(status.pr_pid, 2);
	memcpy(&regs, &status.pr_reg, sizeof(regs));
	expect_equal(regs.rip, 0xffffffff81000000ull);
	expect_equal(regs.eflags, 0x202);
	expect_equal(regs.rax, 0x1000);
	expect_equal(regs.rcx, 0x1001);
	expect_equal(regs.rdx, 0x1002);
	expect_equal(regs.rbx, 0x1003);
	expect_equal(regs.rsp, 0x1004);
	expect_equal(regs.rbp, 0x1005);
	expect_equal(regs.rsi, 0x1006);
	expect_equal(regs.rdi, 0x1007);
	expect_equal(regs.r8, 0x1008);
	expect_equal(regs.r15, 0x100f);
	expect_equal(regs.cs, 0x10);
	expect_equal(regs.gs_base, 0xffff888000000000ull);
	require(find_note(fd, 0, "CORE", &note, (char *)&status, sizeof(status)));
	expect_equal(status.pr_pid, 1);
	expect(!find_note(fd, 2, "CORE", &note, (char *)&status, sizeof(status)));
	expect(!core.has_info);
	end(fd);
}

/* A note as Linux has it, at the start of a page. */
static void put_info(uint64_t gpa, const char *name, uint32_t type, uint32_t bytes, const char *words)
{
	const Elf64_Nhdr header = { .n_namesz = (uint32_t)strlen(name) + 1, .n_descsz = bytes, .n_type = type };

	put(gpa, &header, sizeof(header));
	put(gpa + sizeof(header), name, strlen(name) + 1);
	put(gpa + sizeof(header) + 12, words, strlen(words));
}

void core_has_the_kernels_words(void)
{
	static const char words[] = "OSRELEASE=6.1.0\nKERNELOFFSET=1000000\n";
	struct core core = { .goes_on = NULL };
	char desc[4096] = "";
	GElf_Nhdr note;
	int fd;

	begin(4 * MIB);
	/* None of these is one: a wrong name, type or length, other words, not at the start of a page. */
	put_info(0x1000, "VMCOREINFA", 0, sizeof(words) - 1, words);
	put_info(0x2000, "VMCOREINFO", 1, sizeof(words) - 1, words);
	put_info(0x3000, "VMCOREINFO", 0, 4096, words);
	put_info(0x4000, "VMCOREINFO", 0, ~0u, words);
	put_info(0x5000, "VMCOREINFO", 0, 5, words);
	put_info(0x6000, "VMCOREINFO", 0, sizeof(words) - 1, "osrelease=6.1.0\n");
	put_info(0x7008, "VMCOREINFO", 0, sizeof(words) - 1, words);
	fd = make(&core);
	expect(!core.has_info);
	close(fd);
	put_info(4 * MIB - 4096, "VMCOREINFO", 0, sizeof(words) - 1, words);
	fd = make(&core);
	expect(core.has_info);
	require(find_note(fd, 2, "VMCOREINFO", &note, desc, sizeof(desc)));
	expect_equal(note.n_type, 0);
	expect(!strcmp(desc, words));
	expect_equal(core_find_info(core.memory, desc), sizeof(words) - 1);
	expect(!strcmp(desc, words));
	end(fd);
}

/* While a program runs, CR3 has tables without the kernel; those with it are in the page before. */
void core_of_an_isolated_kernel(void)
{
	struct core core = { .goes_on = NULL };

	begin(4 * MIB);
	vcpus[0].sregs.cr0 = 1ull << 31 | 1;
	vcpus[0].sregs.cr4 = 1 << 5;
	vcpus[0].sregs.efer = LMA;
	vcpus[0].sregs.cr3 = ROOT + 0x1000;
	put_entry(ROOT, 0, 1ull << 63 | 0x13000 | PWU);
	put_entry(ROOT + 0x1000, 0, 0x13000 | PWU);
	put_entry(ROOT, 511, 0x12000 | PWU);
	put_entry(0x12000, 510, 0x14000 | PWU);
	put_entry(0x14000, 8, 2 * MIB | LARGE | 1);
	close(make(&core));
	expect_equal(core.ranges, 1);
	/* Roots whose lower halves differ, or have nothing, are no pair. */
	put_entry(ROOT, 1, 0x13000 | PWU);
	close(make(&core));
	expect_equal(core.ranges, 0);
	put_entry(ROOT, 0, 0);
	put_entry(ROOT, 1, 0);
	put_entry(ROOT + 0x1000, 0, 0);
	end(make(&core));
	expect_equal(core.ranges, 0);
}

void core_has_the_kernels_mappings(void)
{
	const uint64_t text = 0xc3c3c3c3c3c3c3c3ull, data = 0x0123456789abcdefull;
	struct core core = { .goes_on = NULL };
	GElf_Phdr segment;
	uint64_t word;
	int fd;

	begin(8 * MIB);
	vcpus[0].sregs.cr0 = 1ull << 31 | 1;
	vcpus[0].sregs.cr4 = 1 << 5;
	vcpus[0].sregs.efer = LMA;
	vcpus[0].sregs.cr3 = ROOT;
	/* Text at 2 GiB below the end, read-only; the rest of memory at the start of the kernel's half. */
	put_entry(ROOT, 511, 0x11000 | PWU);
	put_entry(0x11000, 510, 0x12000 | PWU);
	put_entry(0x12000, 8, 2 * MIB | LARGE | 1);
	put_entry(0x12000, 9, 4 * MIB | LARGE | 1);
	put_entry(ROOT, 256, 0x13000 | PWU);
	put_entry(0x13000, 0, 0x14000 | PWU);
	for (unsigned int i = 0; i < 4; i++)
		put_entry(0x14000, i, i * 2 * MIB | LARGE | PWU);
	/* A device's page is no memory, and a user's is not the kernel's. */
	put_entry(0x14000, 5, 0xfee00000 | LARGE | PWU);
	put_entry(ROOT, 0, 0x13000 | PWU);
	put(2 * MIB, &text, sizeof(text));
	put(6 * MIB, &data, sizeof(data));
	fd = make(&core);
	expect_equal(core.ranges, 2);
	require(find_segment(fd, 0xffffffff81000000ull, true, &segment, &word));
	expect_equal(word, text);
	expect_equal(segment.p_paddr, 2 * MIB);
	expect_equal(segment.p_filesz, 4 * MIB);
	expect_equal(segment.p_flags, PF_R | PF_X);
	require(find_segment(fd, 0xffff800000000000ull + 6 * MIB, true, &segment, &word));
	expect_equal(word, data);
	expect_equal(segment.p_filesz, 8 * MIB);
	expect(!find_segment(fd, 0xffff800000000000ull + 10 * MIB, true, &segment, &word));
	end(fd);
}

/* Tables that lead to themselves, or to as many ranges as there are pages: the file has an end. */
void core_of_a_hostile_guest(void)
{
	struct core core = { .goes_on = NULL };
	int fd;

	begin(32 * MIB);
	vcpus[0].sregs.cr0 = 1ull << 31 | 1;
	vcpus[0].sregs.cr4 = 1 << 5;
	vcpus[0].sregs.efer = LMA;
	vcpus[0].sregs.cr3 = ROOT;
	for (unsigned int i = 0; i < 512; i++)
		put_entry(ROOT, i, ROOT | PWU);
	fd = make(&core);
	expect(core.ranges <= CORE_MAX_RANGES);
	close(fd);
	/* 16 tables of pages in falling order. */
	put_entry(ROOT, 511, 0x11000 | PWU);
	put_entry(0x11000, 510, 0x12000 | PWU);
	for (unsigned int table = 0; table < 16; table++) {
		put_entry(0x12000, table, (0x20000 + table * 4096) | PWU);
		for (unsigned int i = 0; i < 512; i++)
			put_entry(0x20000 + table * 4096, i, (8191ull - table * 512 - i) << 12 | PWU);
	}
	fd = make(&core);
	expect_equal(core.ranges, CORE_MAX_RANGES);
	close(fd);
	/* A root that is nowhere. */
	vcpus[0].sregs.cr3 = 1ull << 40;
	fd = make(&core);
	expect_equal(core.ranges, 0);
	end(fd);
}

static bool twice(void *argument)
{
	return (*(unsigned int *)argument)++ < 2;
}

void core_is_given_up(void)
{
	unsigned int asked = 0;
	struct core core = {
		.memory = &memory, .vcpus = vcpus, .nr_vcpus = 2, .goes_on = twice, .argument = &asked,
	};
	int fd = memfd_create("core", MFD_CLOEXEC), full = open("/dev/full", O_WRONLY | O_CLOEXEC);

	require(fd >= 0 && full >= 0);
	begin(64 * MIB);
	expect_equal(core_write(fd, &core), -ECANCELED);
	expect_equal(asked, 3);
	core.goes_on = NULL;
	expect_equal(core_write(full, &core), -ENOSPC);
	close(full);
	close(fd);
	fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	expect_equal(core_write(fd, &core), -EBADF);
	end(fd);
}
