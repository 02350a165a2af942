// SPDX-License-Identifier: GPL-2.0-only
/*
 * Starts a kernel as a paravirtualized guest of Xen's interface: the layout that public/xen.h of Xen
 * describes as the start-of-day memory layout, and behind it the monitor's own pages.
 */
#include <elf.h>
#include <string.h>
#include <asm/bootparam.h>

#include "boot.h"

#define PAGE		4096ull
#define PTE_PRESENT	1ull
#define PTE_WRITE	2ull
#define PTE_USER	4ull
#define PTE_USED	0x60ull			/* accessed and dirty */
#define PTE_READ	(PTE_PRESENT | PTE_USER | PTE_USED)
#define PTE_ALL		(PTE_READ | PTE_WRITE)
#define ENTRIES		512u

/* Types of Xen's notes. */
#define NOTE_ENTRY	1
#define NOTE_HYPERCALL_PAGE 2
#define NOTE_VIRT_BASE	3
#define NOTE_PADDR_OFFSET 4
#define NOTE_GUEST_OS	6
#define NOTE_FEATURES	10

#define CALL_BYTES	32u			/* of the page of hypercalls, for each */
#define IRET		23u

#define CANONICAL_END	0x0000800000000000ull	/* of the lower half of the address space */
#define MONITOR_START	0xffff800000000000ull	/* its part of the upper half */
#define MONITOR_END	0xffff880000000000ull
#define MONITOR_ENTRY	256u			/* in the guest's roots */
#define WINDOWS		511u			/* entry of the table below: the vCPUs' GDTs */
#define WINDOW_PAGES	16u
#define FLAT_PAGE	14u			/* in a window, with these descriptors */
#define FLAT_CS32	0xe023u
#define FLAT_DS		0xe02bu
#define FLAT_CS64	0xe033u
#define NO_PAGE		(~0ull)			/* in the table from frames to pages */

#define BEHIND_MIN	(512ull << 10)		/* mapped and unused behind the layout */
#define END_ALIGN	(4ull << 20)
#define MAPPED_MAX	(1ull << 30)
#define CMDLINE_MAX	1024u
#define MAGIC		"xen-3.0-x86_64"
#define CONSOLE_PORT	1u
#define STORE_PORT	2u
#define GRANT_PAGES	32u		/* 16,384 grants: 40 disks and network cards use half */

#define CR0_STARTED	0x80050033ull		/* PG, AM, WP, NE, ET, MP, PE */
#define CR4_STARTED	0x620ull		/* OSXMMEXCPT, OSFXSR, PAE */
#define EFER_STARTED	0xd01ull		/* NXE, LMA, LME, SCE */
#define RFLAGS_STARTED	0x202ull

#define AR_CODE64	(GONDOLA_AR_G | GONDOLA_AR_L | 0xfbu)
#define AR_DATA		(GONDOLA_AR_G | GONDOLA_AR_DB | 0xf3u)

struct start_info {
	char magic[32];
	uint64_t nr_pages;
	uint64_t shared_info;
	uint32_t flags;
	uint64_t store_frame;
	uint32_t store_port;
	uint64_t console_frame;
	uint32_t console_port;
	uint64_t pt_base;
	uint64_t nr_pt_frames;
	uint64_t p2m;
	uint64_t mod_start;
	uint64_t mod_bytes;
	char cmdline[CMDLINE_MAX];
	uint64_t first_p2m_page;
	uint64_t nr_p2m_pages;
};
_Static_assert(offsetof(struct start_info, cmdline) == 128, "start information is ABI");

/* The kernel's notes say this.  Addresses may be 0, which is not the same as none. */
struct notes {
	bool has_entry;
	uint64_t entry;
	bool has_calls;
	uint64_t calls;
	uint64_t virt_base;
	uint64_t paddr_offset;
	const char *features;
	uint64_t features_bytes;
};

/**
 * struct layout - pages from 0 on: the kernel, then these, each from a page on; then the monitor's
 * @pages: of the guest; the monitor's follow
 * @all: of memory
 * @p2m, @start, @store, @console, @tables, @stack: first pages
 * @nr_tables: bootstrap page tables: root, third level, second level, first levels
 * @end: behind the last page that is mapped
 */
struct layout {
	uint64_t pages;
	uint64_t all;
	uint64_t initrd;
	uint64_t initrd_bytes;
	uint64_t p2m;
	uint64_t start;
	uint64_t store;
	uint64_t console;
	uint64_t tables;
	uint64_t nr_tables;
	uint64_t stack;
	uint64_t end;
	uint64_t virt_base;
};

/* ---- the kernel -------------------------------------------------------------------------- */

/* For an image that is not for Xen, but for what else? */
static const char *instead(const struct image *image)
{
	bool for_pc = bzimage_is(image) || multiboot_is(image) || multiboot2_is(image) ||
		      sector_is(image) || (elf_is(image) && pvh_is(image));

	return for_pc ? ": without --personality xen it starts as on a PC" : "";
}

bool xen_alone(const struct boot *boot, const struct image *image)
{
	struct elf_note note = { 0 };
	struct boot ignored = { 0 };
	bool starts = false, is_linux = false;
	struct elf elf;

	if (elf_open(&ignored, image, &elf))
		return false;
	while (elf_next_note(&ignored, &elf, "Xen", &note) > 0) {
		starts |= note.type == NOTE_ENTRY;
		is_linux |= note.type == NOTE_GUEST_OS && note.bytes >= 5 && !memcmp(note.data, "linux", 5);
	}
	return starts && !(is_linux && elf.is64 && elf_entry(&elf) < boot->memory->low);
}

/* The kernel proper out of a bzImage, in *@elf; a plain ELF file stays in @image. */
static int unpack_kernel(struct boot *boot, const struct image *image, struct image *kernel)
{
	const struct setup_header *header = image_at(image, 0x1f1, sizeof(*header));
	uint64_t at;
	const void *from;

	*kernel = *image;
	if (elf_is(image))
		return 0;
	if (!bzimage_is(image) || !header || header->version < 0x0208 || !header->payload_length)
		return boot_error(boot, "%s: --personality xen starts a Linux kernel of 64 bits (bzImage or vmlinux), which this is not%s",
				  image->path, instead(image));
	at = (header->setup_sects ? header->setup_sects : 4) * 512ull + 512 + header->payload_offset;
	from = image_at(image, at, header->payload_length);
	if (!from)
		return boot_error(boot, "%s: cut short before the end of its kernel", image->path);
	if (image_copy(boot, kernel, image->path, from, header->payload_length) ||
	    image_unpack(boot, kernel))
		return -1;
	if (elf_is(kernel))
		return 0;
	boot_error(boot, "%s: compressed in a way that is not known here (gzip, zstd and lz4 are)",
		   image->path);
	image_free(kernel);
	return -1;
}

static void take_note(struct notes *notes, const struct elf_note *note)
{
	switch (note->type) {
	case NOTE_ENTRY:
		notes->has_entry = true;
		notes->entry = note->number;
		break;
	case NOTE_HYPERCALL_PAGE:
		notes->has_calls = true;
		notes->calls = note->number;
		break;
	case NOTE_VIRT_BASE:
		notes->virt_base = note->number;
		break;
	case NOTE_PADDR_OFFSET:
		notes->paddr_offset = note->number;
		break;
	case NOTE_FEATURES:
		notes->features = note->data;
		notes->features_bytes = note->bytes;
		break;
	}
}

static bool demands(const struct notes *notes, const char *feature)
{
	const char *at = notes->features;
	size_t length = strlen(feature);

	for (uint64_t i = 0; at && i + length <= notes->features_bytes; i++)
		if (!memcmp(at + i, feature, length))
			return true;
	return false;
}

/* The monitor's part begins in the middle; below its end no address may lie. */
static int check_base(struct boot *boot, const struct elf *elf, const struct notes *notes)
{
	uint64_t base = notes->virt_base;

	if (base % MAPPED_MAX)
		return boot_error(boot, "%s: its notes for Xen place it at 0x%llx (VIRT_BASE), and only multiples of 1 GiB are supported",
				  elf->image->path, (unsigned long long)base);
	if (base >= CANONICAL_END && base < MONITOR_END)
		return boot_error(boot, "%s: its notes for Xen place it at 0x%llx (VIRT_BASE), where no kernel can be: from 0x%llx to 0x%llx are the monitor and what no address is",
				  elf->image->path, (unsigned long long)base,
				  (unsigned long long)CANONICAL_END, (unsigned long long)MONITOR_END);
	return 0;
}

static int read_notes(struct boot *boot, const struct elf *elf, struct notes *notes)
{
	struct elf_note note = { 0 };
	int found;

	*notes = (struct notes){ 0 };
	while ((found = elf_next_note(boot, elf, "Xen", &note)) > 0)
		take_note(notes, &note);
	if (found < 0)
		return -1;
	if (!elf->is64)
		return boot_error(boot, "%s: a kernel of 32 bits, and --personality xen starts those of 64%s",
				  elf->image->path, instead(elf->image));
	if (!notes->has_entry)
		return boot_error(boot, "%s: no kernel for Xen: it has no notes that say where it starts (CONFIG_XEN_PV)%s",
				  elf->image->path, instead(elf->image));
	if (demands(notes, "!supervisor_mode_kernel"))
		return boot_error(boot, "%s: this kernel demands to run in ring 0 (supervisor_mode_kernel), and here it runs in ring 3",
				  elf->image->path);
	return check_base(boot, elf, notes);
}

/* ---- memory ------------------------------------------------------------------------------- */

/* Memory has a hole below 4 GiB: pages are counted without it, frames with it. */
static uint64_t frame_of(const struct guest_memory *memory, uint64_t page)
{
	uint64_t low = memory->low / PAGE;

	return page < low ? page : page - low + MEMORY_HIGH / PAGE;
}

static void *page_at(const struct guest_memory *memory, uint64_t page)
{
	return memory->base + page * PAGE;
}

static uint64_t pages_for(uint64_t bytes)
{
	return (bytes + PAGE - 1) / PAGE;
}

/* Pages of the table from frames to pages, and first-level tables to map it. */
static uint64_t m2p_pages(const struct guest_memory *memory)
{
	uint64_t frames = frame_of(memory, memory->bytes / PAGE - 1) + 1;

	return pages_for(frames * sizeof(uint64_t));
}

/* The monitor's pages: shared page, tables, descriptors (flat ones, and none), grants, and the table from frames to pages. */
enum { SHARED, THIRD, SECOND, WINDOW_SECOND, WINDOW_FIRST, FLAT, EMPTY, GRANTS, FIRST = GRANTS + GRANT_PAGES };

static uint64_t monitor_pages(const struct guest_memory *memory)
{
	uint64_t m2p = m2p_pages(memory);

	return FIRST + (m2p + ENTRIES - 1) / ENTRIES + m2p;
}

static uint64_t descriptor(uint32_t ar)
{
	return 0xffffull | (uint64_t)(ar & 0xff) << 40 | 0xfull << 48 | (uint64_t)(ar >> 12 & 0xf) << 52;
}

static void fill_monitor(const struct guest_memory *memory, uint64_t first)
{
	uint64_t m2p = m2p_pages(memory), tables = (m2p + ENTRIES - 1) / ENTRIES;
	uint64_t *third = page_at(memory, first + THIRD), *second = page_at(memory, first + SECOND);
	uint64_t *windows = page_at(memory, first + WINDOW_FIRST), *flat = page_at(memory, first + FLAT);
	uint64_t *entries = page_at(memory, first + FIRST), *table = page_at(memory, first + FIRST + tables);

#define ENTRY(page, bits)	(frame_of(memory, page) * PAGE | (bits))
	third[0] = ENTRY(first + SECOND, PTE_ALL);
	third[WINDOWS] = ENTRY(first + WINDOW_SECOND, PTE_ALL);
	*(uint64_t *)page_at(memory, first + WINDOW_SECOND) = ENTRY(first + WINDOW_FIRST, PTE_ALL);
	for (uint64_t i = 0; i < tables; i++)
		second[i] = ENTRY(first + FIRST + i, PTE_ALL);
	for (uint64_t i = 0; i < m2p; i++)
		entries[i] = ENTRY(first + FIRST + tables + i, PTE_READ);
	for (unsigned int i = 0; i < GONDOLA_MAX_VCPUS * WINDOW_PAGES; i++)
		windows[i] = ENTRY(first + (i % WINDOW_PAGES == FLAT_PAGE ? FLAT : EMPTY), PTE_READ);
#undef ENTRY
	flat[FLAT_CS32 / 8 % ENTRIES] = descriptor(GONDOLA_AR_G | GONDOLA_AR_DB | 0xfb);
	flat[FLAT_DS / 8 % ENTRIES] = descriptor(AR_DATA);
	flat[FLAT_CS64 / 8 % ENTRIES] = descriptor(AR_CODE64);
	memset(table, 0xff, m2p * PAGE);
	for (uint64_t page = 0; page < memory->bytes / PAGE; page++)
		table[frame_of(memory, page)] = page;
}

/* Decide where all is; @end: of the kernel. */
static uint64_t aligned_end(uint64_t address)
{
	return (address + END_ALIGN - 1) & ~(END_ALIGN - 1);
}

/* What the monitor has for the kernel begins at page @first.  Up to where its tables map, in bytes. */
static uint64_t place_tables(struct layout *l, uint64_t first)
{
	uint64_t mapped, firsts;

	l->p2m = first;
	l->start = l->p2m + pages_for(l->pages * sizeof(uint64_t));
	l->store = l->start + 1;
	l->console = l->start + 2;
	l->tables = l->start + 3;
	/* The tables map themselves: their number is part of what they map. */
	for (firsts = 1; ; firsts++) {
		mapped = aligned_end((l->tables + 3 + firsts + 1) * PAGE + BEHIND_MIN);
		if (mapped <= firsts * ENTRIES * PAGE)
			break;
	}
	l->nr_tables = 3 + firsts;
	l->stack = l->tables + l->nr_tables;
	return mapped;
}

static int plan(struct boot *boot, uint64_t end, struct layout *l)
{
	const struct guest_memory *memory = boot->memory;
	uint64_t next = pages_for(end), mapped;

	l->all = memory->bytes / PAGE;
	if (m2p_pages(memory) > ENTRIES * ENTRIES)
		return boot_error(boot, "a guest of %lluG is too large for --personality xen (511G at most)",
				  (unsigned long long)memory->bytes >> 30);
	if (monitor_pages(memory) >= l->all / 2)
		return boot_error(boot, "a guest of %lluM is too small for --personality xen",
				  (unsigned long long)memory->bytes >> 20);
	l->pages = l->all - monitor_pages(memory);
	/* The grants' frames are one after the other, so the hole does not cut the monitor's pages. */
	if (l->pages < memory->low / PAGE && l->all > memory->low / PAGE)
		l->pages = memory->low / PAGE - monitor_pages(memory);
	l->initrd = next;
	if (boot->initrd) {
		uint64_t gpa = next * PAGE;

		if (image_load_at(boot, boot->initrd, &gpa, &l->initrd_bytes))
			return -1;
		next += pages_for(l->initrd_bytes);
	}
	/* Linux unmaps what is behind the tables, but only to where their own end is aligned to. */
	for (mapped = place_tables(l, next); mapped > aligned_end(l->stack * PAGE); mapped = place_tables(l, next))
		next += BEHIND_MIN / PAGE;
	l->end = mapped / PAGE;
	if (mapped > MAPPED_MAX || mapped > memory->low || l->end > l->pages)
		return boot_error(boot, "%s: this kernel needs %lluM of memory to start, the guest has %lluM",
				  boot->kernel, (unsigned long long)mapped >> 20,
				  (unsigned long long)memory->bytes >> 20);
	return 0;
}

static uint64_t virtual(const struct layout *l, uint64_t page)
{
	return l->virt_base + page * PAGE;
}

/* The kernel's tables are read-only to it from the first instruction on. */
static void fill_tables(const struct guest_memory *memory, const struct layout *l, uint64_t monitor)
{
	uint64_t base = l->virt_base;
	uint64_t *root = page_at(memory, l->tables), *third = root + ENTRIES, *second = third + ENTRIES;
	uint64_t *first = second + ENTRIES;

	root[base >> 39 & 511] = (l->tables + 1) * PAGE | PTE_ALL;
	root[MONITOR_ENTRY] = frame_of(memory, monitor + THIRD) * PAGE | PTE_ALL;
	third[base >> 30 & 511] = (l->tables + 2) * PAGE | PTE_ALL;
	for (uint64_t i = 0; i < l->nr_tables - 3; i++)
		second[i] = (l->tables + 3 + i) * PAGE | PTE_ALL;
	for (uint64_t page = 0; page < l->end; page++)
		first[page] = page * PAGE |
			      (page >= l->tables && page < l->stack ? PTE_READ : PTE_ALL);
}

static int fill_start(struct boot *boot, const struct layout *l, uint64_t monitor)
{
	const struct guest_memory *memory = boot->memory;
	struct start_info *start = page_at(memory, l->start);
	uint64_t *p2m = page_at(memory, l->p2m);

	if (strlen(boot->append) >= CMDLINE_MAX)
		return boot_error(boot, "a kernel of --personality xen takes a command line of %u characters, not %zu",
				  CMDLINE_MAX - 1, strlen(boot->append));
	for (uint64_t page = 0; page < l->pages; page++)
		p2m[page] = frame_of(memory, page);
	*start = (struct start_info){
		.magic = MAGIC,
		.nr_pages = l->pages,
		.shared_info = frame_of(memory, monitor + SHARED) * PAGE,
		.store_frame = l->store,
		.store_port = STORE_PORT,
		.console_frame = l->console,
		.console_port = CONSOLE_PORT,
		.pt_base = virtual(l, l->tables),
		.nr_pt_frames = l->nr_tables,
		.p2m = virtual(l, l->p2m),
		.mod_start = l->initrd_bytes ? virtual(l, l->initrd) : 0,
		.mod_bytes = l->initrd_bytes,
		.first_p2m_page = l->p2m,
		.nr_p2m_pages = l->start - l->p2m,
	};
	strcpy(start->cmdline, boot->append);
	return 0;
}

static void set_registers(struct boot *boot, const struct layout *l, uint64_t entry)
{
	struct gondola_rec_sregs *sregs = &boot->sregs;
	const struct gondola_segment data = { .selector = FLAT_DS, .limit = ~0u, .ar = AR_DATA };
	const struct gondola_segment empty = { .ar = GONDOLA_AR_UNUSABLE };

	memset(&boot->regs, 0, sizeof(boot->regs));
	memset(sregs, 0, sizeof(*sregs));
	boot->regs.rip = entry;
	boot->regs.rflags = RFLAGS_STARTED;
	boot->regs.gpr[4] = virtual(l, l->stack + 1);		/* RSP */
	boot->regs.gpr[6] = virtual(l, l->start);		/* RSI */
	/* Those that 64-bit code does not use are empty, as Linux leaves them. */
	for (int i = GONDOLA_ES; i <= GONDOLA_GS; i++)
		sregs->seg[i] = i == GONDOLA_SS ? data : empty;
	sregs->seg[GONDOLA_CS] = (struct gondola_segment){
		.selector = FLAT_CS64, .limit = ~0u, .ar = AR_CODE64,
	};
	/* Neither gates nor a map of ports: INT and port accesses of a program fault. */
	sregs->seg[GONDOLA_TR] = (struct gondola_segment){ .ar = GONDOLA_AR_P | 0xbu };
	sregs->seg[GONDOLA_LDTR] = (struct gondola_segment){ .ar = GONDOLA_AR_UNUSABLE };
	sregs->gdt.base = MONITOR_START + ((uint64_t)WINDOWS << 30);
	sregs->gdt.limit = WINDOW_PAGES * PAGE - 1;
	sregs->cr0 = CR0_STARTED;
	sregs->cr3 = l->tables * PAGE;
	sregs->cr4 = CR4_STARTED;
	sregs->efer = EFER_STARTED;
}

/*
 * Older kernels, and other systems, make hypercalls by a page that the monitor fills: 32 bytes for each.
 * IRET, whose frame is on the stack, does not return there.
 */
static int fill_calls(struct boot *boot, const struct image *kernel, const struct notes *notes, uint64_t end)
{
	static const uint8_t call[] = { 0x51, 0x41, 0x53, 0xb8, 0, 0, 0, 0, 0x0f, 0x05, 0x41, 0x5b, 0x59, 0xc3 };
	static const uint8_t iret[] = { 0x51, 0x41, 0x53, 0x50, 0xb8, IRET, 0, 0, 0, 0x0f, 0x05 };
	uint64_t at = notes->calls - notes->virt_base;
	uint8_t *page;

	if (!notes->has_calls)
		return 0;
	if (at % PAGE || at >= end || end - at < PAGE)
		return boot_error(boot, "%s: its notes for Xen say that its page of hypercalls is at 0x%llx, where it cannot be",
				  kernel->path, (unsigned long long)notes->calls);
	page = page_at(boot->memory, at / PAGE);
	for (unsigned int i = 0; i < PAGE / CALL_BYTES; i++) {
		memcpy(page + i * CALL_BYTES, call, sizeof(call));
		page[i * CALL_BYTES + 4] = i;
	}
	memcpy(page + IRET * CALL_BYTES, iret, sizeof(iret));
	return 0;
}

static int load_elf(struct boot *boot, const struct image *kernel)
{
	const struct guest_memory *memory = boot->memory;
	struct layout l = { 0 };
	uint64_t end = 0;
	struct notes notes;
	struct elf elf;

	if (elf_open(boot, kernel, &elf) || read_notes(boot, &elf, &notes))
		return -1;
	elf.paddr_offset = notes.paddr_offset;
	if (elf_load(boot, &elf, &end) || plan(boot, end, &l))
		return -1;
	l.virt_base = notes.virt_base;
	if (notes.entry < l.virt_base || notes.entry - l.virt_base >= end)
		return boot_error(boot, "%s: its notes for Xen say that it starts at 0x%llx, where it is not",
				  kernel->path, (unsigned long long)notes.entry);
	if (fill_calls(boot, kernel, &notes, end))
		return -1;
	fill_monitor(memory, l.pages);
	fill_tables(memory, &l, l.pages);
	if (fill_start(boot, &l, l.pages))
		return -1;
	set_registers(boot, &l, notes.entry);
	boot->xen = (struct gondola_xen_config){
		.size = sizeof(boot->xen),
		.pages = l.pages,
		.frames = frame_of(memory, l.all - 1) + 1,
		.first_frame = frame_of(memory, l.pages),
		.shared_info = frame_of(memory, l.pages + SHARED),
		.table = frame_of(memory, l.pages + THIRD),
		.windows = frame_of(memory, l.pages + WINDOW_FIRST),
		.empty = frame_of(memory, l.pages + EMPTY),
		.console_port = CONSOLE_PORT,
		.store_port = STORE_PORT,
		.grants = frame_of(memory, l.pages + GRANTS),
		.nr_grants = GRANT_PAGES,
	};
	boot->xen_console = l.console * PAGE;
	boot->xen_store = l.store * PAGE;
	return 0;
}

void xen_next_vcpu(struct gondola_rec_sregs *sregs)
{
	sregs->gdt.base += WINDOW_PAGES * PAGE;
}

int xen_load(struct boot *boot, const struct image *image)
{
	struct image kernel;
	int ret;

	if (unpack_kernel(boot, image, &kernel))
		return -1;
	ret = load_elf(boot, &kernel);
	if (kernel.data != image->data)
		image_free(&kernel);
	return ret;
}
