// SPDX-License-Identifier: GPL-2.0-only
/* Walks of tables in every format, and state as JSON. */
#include <stdlib.h>

#include "core_test.h"
#include "map_test.h"
#include "tap.h"
#include "inspect/shadow.h"
#include "inspect/shadows.h"
#include "inspect/show.h"
#include "inspect/walk.h"
#include "vm/memory.h"

#define PG		(1ull << 31)
#define PSE		(1ull << 4)
#define PAE		(1ull << 5)
#define LMA		(1ull << 10)
#define NXE		(1ull << 11)
#define NX		(1ull << 63)
#define PWU		7ull
#define LARGE		0x80ull

#define ROOT		0x1000
#define MIDDLE		0x2000
#define DIRECTORY	0x3000
#define TABLE		0x4000

static struct guest_memory memory;
static struct gondola_rec_sregs sregs;
static struct walk_cpu cpu = { .physical_bits = 46, .gib_pages = true };
static struct walk walk;

static void begin(uint64_t cr0, uint64_t cr4, uint64_t efer)
{
	if (!memory.base)
		require_equal(memory_create_bare(&memory, 2 << 20, false), 0);
	memset(memory.base, 0, 2 << 20);
	sregs = (struct gondola_rec_sregs){ .cr0 = cr0, .cr4 = cr4, .efer = efer, .cr3 = ROOT };
	cpu.gib_pages = true;
}

static void put(uint64_t table, unsigned int index, uint64_t entry)
{
	memcpy(memory.base + table + index * 8, &entry, 8);
}

static void put32(uint64_t table, unsigned int index, uint32_t entry)
{
	memcpy(memory.base + table + index * 4, &entry, 4);
}

static enum walk_result look(uint64_t address)
{
	walk_tables(&memory, &sregs, &cpu, address, &walk);
	return walk.result;
}

static void paging_off(void)
{
	begin(0, 0, 0);
	expect_equal(look(0x12345), WALK_MAPPED);
	expect_equal(walk.gpa, 0x12345);
	expect_equal(walk.nr_levels, 0);
	expect_equal(look(1ull << 32), WALK_NOT_CANONICAL);
}

static void two_levels(void)
{
	begin(PG, 0, 0);
	put32(ROOT, 1, TABLE | 3);
	put32(TABLE, 2, 0x5000 | PWU);
	expect_equal(look(0x402abc), WALK_MAPPED);
	expect_equal(walk.gpa, 0x5abc);
	expect_equal(walk.page_bytes, 4096);
	expect(walk.writable && !walk.user && walk.executable);
	expect_equal(walk.nr_levels, 2);
	expect_equal(walk.level[0].level, 2);
	expect_equal(walk.level[0].at, ROOT + 4);
	expect_equal(walk.level[1].entry, 0x5000 | PWU);
	expect_equal(look(0x403000), WALK_NOT_PRESENT);
	expect_equal(look(1ull << 32), WALK_NOT_CANONICAL);
}

static void four_mib_pages(void)
{
	begin(PG, PSE, 0);
	/* Bits 13 and 14 are bits 32 and 33 of the address. */
	put32(ROOT, 3, 0x00c06000 | LARGE | PWU);
	expect_equal(look(0xc12345), WALK_MAPPED);
	expect_equal(walk.gpa, 0x300c12345);
	expect_equal(walk.page_bytes, 4 << 20);
	put32(ROOT, 3, 0x00e00000 | LARGE | PWU);
	expect_equal(look(0xc12345), WALK_RESERVED);
	/* Without PSE the bit means nothing: the entry leads to a table. */
	sregs.cr4 = 0;
	put32(ROOT, 3, TABLE | LARGE | PWU);
	put32(TABLE, 0x12, 0x7000 | 1);
	expect_equal(look(0xc12345), WALK_MAPPED);
	expect_equal(walk.gpa, 0x7345);
	expect(!walk.writable && !walk.user);
}

static void pae(void)
{
	begin(PG, PAE, NXE);
	sregs.cr3 = ROOT + 0x20;
	put(ROOT + 0x20, 3, DIRECTORY | 1);
	put(DIRECTORY, 1, TABLE | PWU);
	put(TABLE, 5, 0x6000 | PWU | NX);
	expect_equal(look(0xc0205123), WALK_MAPPED);
	expect_equal(walk.gpa, 0x6123);
	expect_equal(walk.nr_levels, 3);
	/* A directory pointer has no rights, so it takes none away. */
	expect(walk.writable && walk.user && !walk.executable);
	put(DIRECTORY, 2, 0x200000 | LARGE | PWU);
	expect_equal(look(0xc0412345), WALK_MAPPED);
	expect_equal(walk.gpa, 0x212345);
	expect_equal(walk.page_bytes, 2 << 20);
	put(ROOT + 0x20, 3, DIRECTORY | 3);
	expect_equal(look(0xc0205123), WALK_RESERVED);
	put(ROOT + 0x20, 3, DIRECTORY | 1);
	sregs.efer = 0;
	expect_equal(look(0xc0205123), WALK_RESERVED);
}

static void four_levels(void)
{
	const uint64_t address = 0xffff888000000000ull | 5ull << 30 | 6ull << 21 | 7ull << 12;

	begin(PG, PAE, LMA | NXE);
	put(ROOT, 0x111, MIDDLE | PWU);
	put(MIDDLE, 5, DIRECTORY | 3);
	put(DIRECTORY, 6, TABLE | 5);
	put(TABLE, 7, 0x8000 | PWU);
	expect_equal(look(address + 0xff), WALK_MAPPED);
	expect_equal(walk.gpa, 0x80ff);
	expect_equal(walk.nr_levels, 4);
	expect(!walk.writable && !walk.user && walk.executable);
	expect_equal(look(0x0000900000000000ull), WALK_NOT_CANONICAL);
	expect_equal(look(0x1000), WALK_NOT_PRESENT);
	expect_equal(walk.nr_levels, 1);
	put(TABLE, 7, 1ull << 46 | PWU);
	expect_equal(look(address), WALK_RESERVED);
	put(DIRECTORY, 6, 0x1200000 | LARGE | PWU);
	expect_equal(look(address), WALK_MAPPED);
	expect_equal(walk.gpa, 0x1207000);
	put(DIRECTORY, 6, 0x1202000 | LARGE | PWU);
	expect_equal(look(address), WALK_RESERVED);
}

static void gib_pages(void)
{
	begin(PG, PAE, LMA);
	put(ROOT, 0, MIDDLE | PWU);
	put(MIDDLE, 1, 0x80000000 | LARGE | PWU);
	expect_equal(look(0x40012345), WALK_MAPPED);
	expect_equal(walk.gpa, 0x80012345);
	expect_equal(walk.page_bytes, 1 << 30);
	cpu.gib_pages = false;
	expect_equal(look(0x40012345), WALK_RESERVED);
	put(ROOT, 0, MIDDLE | LARGE | PWU);
	expect_equal(look(0x40012345), WALK_RESERVED);
	expect_equal(walk.nr_levels, 1);
}

/* A guest may point anywhere: each walk ends. */
static void hostile_tables(void)
{
	begin(PG, PAE, LMA);
	put(ROOT, 0, ROOT | PWU);
	expect_equal(look(0x123), WALK_MAPPED);
	expect_equal(walk.gpa, ROOT + 0x123);
	put(ROOT, 0, 0x3ffffffff000 | PWU);
	expect_equal(look(0x123), WALK_NO_MEMORY);
	sregs.cr3 = 1ull << 45;
	expect_equal(look(0x123), WALK_NO_MEMORY);
	expect_equal(walk.nr_levels, 0);
	/* Behind the end of memory by a part of a table. */
	begin(PG, 0, 0);
	sregs.cr3 = (2 << 20) - 4096;
	expect_equal(look(0xffffffff), WALK_NOT_PRESENT);
	sregs.cr3 = 2 << 20;
	expect_equal(look(0), WALK_NO_MEMORY);
}

static const char *text(struct json_object *object, const char *name)
{
	struct json_object *member = NULL;

	require(json_object_object_get_ex(object, name, &member));
	return json_object_get_string(member);
}

static void walk_as_json(void)
{
	struct json_object *to = json_object_new_object();

	begin(PG, PAE, LMA | NXE);
	put(ROOT, 511, MIDDLE | PWU);
	put(MIDDLE, 511, 0xc0000000 | LARGE | 0x163 | NX);
	look(0xfffffffffffff123ull);
	show_walk(to, &walk);
	expect(!strcmp(text(to, "paging"), "4-level"));
	expect(!strcmp(text(to, "result"), "mapped"));
	expect(!strcmp(text(to, "gpa"), "0xfffff123"));
	expect(strstr(text(to, "levels"), "\"level\": 3, \"at\": \"0x2ff8\", \"entry\": "
		      "\"0x80000000c00001e3\""));
	expect(strstr(text(to, "levels"), "[ \"present\", \"writable\", \"accessed\", \"dirty\", "
		      "\"global\", \"no-execute\" ]"));
	expect(!strcmp(text(to, "user"), "false"));
	json_object_put(to);
}

#define A		0x20ull
#define D		0x40ull
#define USABLE		(GONDOLA_PAGE_MEMORY | GONDOLA_PAGE_PRESENT | GONDOLA_PAGE_WRITABLE)

/* A guest of four levels whose page 0 … 4095 is 0x8000, all in use, and a shadow like it. */
static struct gondola_shadow begin_shadow(void)
{
	struct gondola_shadow shadow = { .nr_levels = 4, .page = USABLE, .nr_mappings = 1 };

	begin(PG, PAE, LMA | NXE);
	put(ROOT, 0, MIDDLE | PWU | A);
	put(MIDDLE, 0, DIRECTORY | PWU | A);
	put(DIRECTORY, 0, TABLE | PWU | A);
	put(TABLE, 0, 0x8000 | PWU | A | D);
	for (unsigned int i = 0; i < 4; i++)
		shadow.level[i] = (struct gondola_shadow_level){ .level = 4 - i, .entry = PWU };
	look(0);
	for (unsigned int i = 0; i < 4; i++)
		shadow.level[i].guest = walk.level[i].entry;
	return shadow;
}

/* Walks the tables anew, and looks for @words in what is said about entry @i. */
static bool why_is(const struct gondola_shadow *shadow, unsigned int i, const char *words)
{
	const char *why;

	look(0);
	why = shadow_why(&walk, shadow, i);
	if (why && words && strstr(why, words))
		return true;
	if (!why && !words)
		return true;
	printf("# \"%s\", not \"%s\"\n", why ?: "nothing", words ?: "nothing");
	return false;
}

static void empty_entries_are_explained(void)
{
	struct gondola_shadow shadow = begin_shadow();

	for (unsigned int i = 0; i < 4; i++)
		expect(why_is(&shadow, i, NULL));
	shadow.level[3] = (struct gondola_shadow_level){ .level = 1 };
	expect(why_is(&shadow, 3, "not used"));
	shadow.page = GONDOLA_PAGE_MEMORY;
	expect(why_is(&shadow, 3, "the host has not given"));
	shadow.page = 0;
	expect(why_is(&shadow, 3, "each access exits"));
	put(TABLE, 0, 0x8000 | PWU);
	expect(why_is(&shadow, 3, "accessed bit"));
	put(TABLE, 0, 0x8000 | 1ull << 50 | PWU | A);
	expect(why_is(&shadow, 3, "not valid"));
	put(TABLE, 0, 0x8000);
	expect(why_is(&shadow, 3, "the guest has nothing there"));
	shadow.nr_levels = 2;
	shadow.level[1] = (struct gondola_shadow_level){ .level = 3 };
	expect(why_is(&shadow, 1, "not used"));
}

static void read_only_entries_are_explained(void)
{
	struct gondola_shadow shadow = begin_shadow();

	shadow.level[3].entry &= ~2ull;
	expect(why_is(&shadow, 3, "not written since"));
	shadow.page &= ~GONDOLA_PAGE_WRITABLE;
	expect(why_is(&shadow, 3, "the host shares the page"));
	shadow.page |= GONDOLA_PAGE_CLEAN;
	expect(why_is(&shadow, 3, "dirty logging"));
	shadow.nr_tables = 2;
	shadow.nr_unsync = 2;
	expect(why_is(&shadow, 3, "dirty logging"));
	shadow.nr_unsync = 1;
	expect(why_is(&shadow, 3, "a page table of the guest"));
	shadow.page |= GONDOLA_PAGE_READONLY;
	expect(why_is(&shadow, 3, "its slot is"));
	put(TABLE, 0, 0x8000 | PWU | A);
	expect(why_is(&shadow, 3, "dirty bit is clear"));
	/* A page that the guest may not write needs no reason. Its kernel may write it once CR0.WP is clear. */
	put(TABLE, 0, 0x8000 | 5 | A | D);
	shadow.level[3].guest = 0x8000 | 5 | A | D;
	expect(why_is(&shadow, 3, NULL));
	shadow.level[3].entry |= 2;
	expect(why_is(&shadow, 3, "CR0.WP"));
}

static void stale_entries_are_explained(void)
{
	struct gondola_shadow shadow = begin_shadow();

	/* Bits that the processor sets are no change. */
	shadow.level[3].guest &= ~(A | D);
	expect(why_is(&shadow, 3, NULL));
	put(TABLE, 0, 0x9000 | PWU | A | D);
	expect(why_is(&shadow, 3, "counts from its next flush"));
	put(DIRECTORY, 0, 0);
	expect(why_is(&shadow, 2, "counts from its next flush"));
	expect(why_is(&shadow, 3, "end above"));
}

/* Tables of the shadow that the guest has none for. */
static void pieces_are_explained(void)
{
	struct gondola_shadow shadow = begin_shadow();

	put(DIRECTORY, 0, LARGE | PWU | A);
	shadow.level[2].guest = LARGE | PWU | A;
	shadow.level[2].entry &= ~2ull;
	shadow.level[3] = (struct gondola_shadow_level){
		.level = 1, .flags = GONDOLA_SHADOW_DIRECT, .entry = PWU,
	};
	expect(why_is(&shadow, 2, "dirty bit is clear"));
	expect(why_is(&shadow, 3, NULL));
	put(DIRECTORY, 0, LARGE | PWU | A | D);
	shadow.level[3].entry &= ~2ull;
	shadow.page &= ~GONDOLA_PAGE_WRITABLE;
	expect(why_is(&shadow, 3, "the host shares the page"));
	/* Paging is off: all is direct, from four pointers down. */
	shadow = (struct gondola_shadow){ .nr_levels = 3, .page = USABLE | GONDOLA_PAGE_CLEAN };
	begin(0, 0, 0);
	for (unsigned int i = 0; i < 3; i++)
		shadow.level[i] = (struct gondola_shadow_level){
			.level = 3 - i, .flags = GONDOLA_SHADOW_DIRECT, .entry = i ? PWU : 1,
		};
	expect(why_is(&shadow, 0, NULL));
	expect(why_is(&shadow, 1, NULL));
	expect(why_is(&shadow, 2, NULL));
	shadow.level[2].entry = 1;
	expect(why_is(&shadow, 2, "dirty logging"));
	/* A directory pointer of a PAE guest has no rights to compare. */
	begin(PG, PAE, NXE);
	put(ROOT, 0, DIRECTORY | 1);
	put(DIRECTORY, 0, TABLE | PWU | A);
	put(TABLE, 0, 0x6000 | PWU | A | D);
	shadow.level[0] = (struct gondola_shadow_level){ .level = 3, .entry = 1, .guest = DIRECTORY | 1 };
	expect(why_is(&shadow, 0, NULL));
}

static void shadow_as_json(void)
{
	struct json_object *to = json_object_new_object(), *side, *levels;
	struct gondola_shadow shadow = begin_shadow();

	shadow.level[3].entry = 5 | 1ull << 63;
	shadow.level[3].flags = GONDOLA_SHADOW_UNSYNC;
	shadow.level[3].gfn = 4;
	shadow.nr_tables = shadow.nr_unsync = 1;
	show_shadow(to, &walk, &shadow);
	side = json_object_object_get(to, "shadow");
	expect(!strcmp(text(side, "stale"), "false"));
	expect(!strcmp(text(side, "page"), "{ \"present\": true, \"writable\": true, \"clean\": false, "
		       "\"mappings\": 1, \"tables\": 1, \"unsync_tables\": 1 }"));
	levels = json_object_object_get(side, "levels");
	require_equal(json_object_array_length(levels), 4);
	expect(!strcmp(json_object_get_string(json_object_array_get_idx(levels, 3)),
		       "{ \"level\": 1, \"table\": \"0x4000\", \"direct\": false, \"unsync\": true, \"bits\": "
		       "[ \"present\", \"user\", \"no-execute\" ], \"why\": \"read-only: not written since it "
		       "was mapped\" }"));
	json_object_put(to);
	/* The module's numbers are taken for what they are: no more levels than there is room for. */
	to = json_object_new_object();
	shadow.nr_levels = 1000;
	shadow.page = 0;
	show_shadow(to, &walk, &shadow);
	side = json_object_object_get(to, "shadow");
	expect_equal(json_object_array_length(json_object_object_get(side, "levels")), 4);
	expect(!json_object_object_get_ex(side, "page", NULL));
	json_object_put(to);
}

static void registers_as_json(void)
{
	struct json_object *to = json_object_new_object();
	struct gondola_rec_regs regs = { .rip = 0xffffffff81000000ull, .rflags = 0x202 };
	struct gondola_rec_events events = { .halted = 1 };
	struct gondola_rec_debug debug = { .dr7 = 0x400 };

	begin(PG | 1, PAE, LMA);
	regs.gpr[15] = UINT64_MAX;
	sregs.seg[GONDOLA_CS].ar = 1 << 13;
	sregs.seg[GONDOLA_SS].ar = 3 << 5;
	show_registers(to, &regs, &sregs, &debug, &events);
	expect(!strcmp(text(to, "mode"), "long mode"));
	expect(!strcmp(text(to, "privilege"), "3"));
	expect(!strcmp(text(to, "halted"), "true"));
	expect(!strcmp(text(to, "rip"), "0xffffffff81000000"));
	expect(!strcmp(text(to, "r15"), "0xffffffffffffffff"));
	expect(!strcmp(text(to, "flags"), "[ \"IF\" ]"));
	json_object_put(to);
}

static void interrupts_as_json(void)
{
	static struct gondola_rec_lapic lapic;
	struct gondola_rec_ioapic ioapic = { .level = 1 << 9 };
	struct gondola_rec_pic pic = { .chip = { { .vector_base = 0x30 } } };
	struct gondola_rec_pit pit = { .channel = { { .mode = 2, .count = 0x10000 } } };
	struct json_object *to;

	lapic.regs[0x200 / 16] = 1u << 31;
	lapic.regs[0x170 / 16] = 1u << 31;
	to = show_lapic(&lapic);
	expect(!strcmp(text(to, "requested"), "[ 31 ]"));
	expect(!strcmp(text(to, "in_service"), "[ 255 ]"));
	json_object_put(to);
	for (int i = 0; i < 24; i++)
		ioapic.redirect[i] = 1 << 16;
	ioapic.redirect[4] = 0x0200000000008034ull;
	pit.channel[1].elapsed_ns = UINT64_MAX;
	pit.channel[2].pending = 1;
	pit.channel[2].next = 1193;
	to = json_object_new_object();
	show_chips(to, &ioapic, &pic, &pit);
	/* Pin 4 is open, and the line of pin 9 is high; the others are not told. */
	expect_equal(json_object_array_length(json_object_object_get(to, "ioapic")), 2);
	expect(strstr(text(to, "ioapic"), "\"pin\": 4, \"vector\": 52, \"delivery\": 0, "
		      "\"destination\": 2, \"logical\": false, \"level_triggered\": true"));
	expect(strstr(text(to, "pic"), "\"vector_base\": 48"));
	expect(strstr(text(to, "pit"), "\"count\": 65536, \"counting\": true }"));
	expect(strstr(text(to, "pit"), "\"counting\": true, \"next_count\": 1193 }"));
	json_object_put(to);
}

static void history_as_json(void)
{
	const struct gondola_history_entry entries[] = {
		{ .tsc = 1ull << 60, .rip = ~0ull, .reason = GONDOLA_REASON_CPUID, .hw_reason = 0x72 },
		{ .tsc = (1ull << 60) + 500, .reason = GONDOLA_REASON_IO, .user_exit = GONDOLA_EXIT_IO },
		{ .tsc = (1ull << 60) + 700, .reason = 63, .user_exit = 99, .error = 5 },
	};
	struct json_object *to = json_object_new_object(), *exits;

	show_history(to, entries, 3, 1000);
	expect(!strcmp(text(to, "total"), "1000"));
	exits = json_object_object_get(to, "exits");
	require_equal(json_object_array_length(exits), 3);
	expect(!strcmp(json_object_to_json_string_ext(json_object_array_get_idx(exits, 0), 0),
		       "{\"exit\":998,\"tsc\":\"0x1000000000000000\",\"rip\":\"0xffffffffffffffff\","
		       "\"reason\":\"cpuid\",\"hw_reason\":\"0x72\",\"done_by\":\"module\"}"));
	expect(!strcmp(json_object_to_json_string_ext(json_object_array_get_idx(exits, 1), 0),
		       "{\"exit\":999,\"tsc\":\"0x10000000000001f4\",\"rip\":\"0x0\",\"reason\":\"io\","
		       "\"hw_reason\":\"0x0\",\"done_by\":\"launcher\",\"user_exit\":\"io\",\"ticks\":500}"));
	/* A newer module may say these. */
	expect(!strcmp(json_object_to_json_string_ext(json_object_array_get_idx(exits, 2), 0),
		       "{\"exit\":1000,\"tsc\":\"0x10000000000002bc\",\"rip\":\"0x0\",\"reason\":\"?\","
		       "\"hw_reason\":\"0x0\",\"done_by\":\"launcher\",\"user_exit\":\"?\",\"error\":5,\"ticks\":200}"));
	json_object_put(to);
}

static uint64_t number_in(struct json_object *object, const char *name)
{
	struct json_object *member;

	require(json_object_object_get_ex(object, name, &member));
	return json_object_get_uint64(member);
}

static void shadows_as_json(void)
{
	struct gondola_shadows shadows = { .max_tables = 64, .table_bytes = 1ull << 40, .rmap_bytes = 128 };
	struct json_object *to = json_object_new_object(), *kinds, *one;

	shadows.kind[0][GONDOLA_SHADOW_PAE] = (struct gondola_shadow_kind){
		.tables = 3, .unsync = 2, .entries = 700,
	};
	shadows.kind[3][GONDOLA_SHADOW_LONG_MODE] = (struct gondola_shadow_kind){ .tables = 1, .roots = 1 };
	shadows.mapped[3] = 5;
	show_shadows(to, &shadows);
	expect_equal(number_in(to, "tables"), 4);
	expect_equal(number_in(to, "max_tables"), 64);
	expect_equal(number_in(to, "table_bytes"), 1ull << 40);
	/* The highest level comes first, and what there is none of is left out. */
	kinds = json_object_object_get(to, "kinds");
	require_equal(json_object_array_length(kinds), 2);
	expect_equal(number_in(json_object_array_get_idx(kinds, 0), "level"), 4);
	one = json_object_array_get_idx(kinds, 1);
	expect(!strcmp(json_object_get_string(json_object_object_get(one, "format")), "PAE"));
	expect_equal(number_in(one, "unsync"), 2);
	expect_equal(number_in(one, "entries"), 700);
	one = json_object_array_get_idx(json_object_object_get(to, "mapped"), 3);
	expect_equal(number_in(one, "entries"), 4);
	expect_equal(number_in(one, "pages"), 5);
	json_object_put(to);
}

static const struct tap_test tests[] = {
	{ "paging off", paging_off },
	{ "32-bit tables", two_levels },
	{ "pages of 4 MiB", four_mib_pages },
	{ "PAE", pae },
	{ "four levels", four_levels },
	{ "pages of 1 GiB", gib_pages },
	{ "hostile tables", hostile_tables },
	{ "a walk as JSON", walk_as_json },
	{ "empty shadow entries are explained", empty_entries_are_explained },
	{ "read-only shadow entries are explained", read_only_entries_are_explained },
	{ "shadow entries that are out of date are explained", stale_entries_are_explained },
	{ "shadow tables that the guest has none for are explained", pieces_are_explained },
	{ "shadow tables as JSON", shadow_as_json },
	{ "registers as JSON", registers_as_json },
	{ "interrupt controllers as JSON", interrupts_as_json },
	{ "a history as JSON", history_as_json },
	{ "a core has the memory", core_has_memory },
	{ "a core has the registers", core_has_registers },
	{ "a core has what the kernel says about itself", core_has_the_kernels_words },
	{ "a core has what the kernel has mapped", core_has_the_kernels_mappings },
	{ "a core of an isolated kernel, while a program runs", core_of_an_isolated_kernel },
	{ "a core of a hostile guest", core_of_a_hostile_guest },
	{ "a core is given up", core_is_given_up },
	{ "shadow tables, counted, as JSON", shadows_as_json },
	{ "a map counts pages", map_counts_pages },
	{ "a map has cells", map_has_cells },
	{ "a map finds huge pages", map_finds_huge_pages },
	{ "a map as JSON", map_as_json },
};

TAP_MAIN(tests)
