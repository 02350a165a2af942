// SPDX-License-Identifier: GPL-2.0-only
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "packet.h"
#include "registers.h"

#define FX_TAGS		4
#define RFLAGS_FIXED	2u
#define SIZE(array)	(sizeof(array) / sizeof((array)[0]))
#define REG(field)	offsetof(struct registers, field)
#define GPR(n)		REG(regs.gpr[n])
#define FX(offset)	(REG(fx) + (offset))

/* The place and size of a register; @narrow is its size for i386. */
struct row {
	const char *name;
	const char *name32;		/* NULL: not on i386 */
	const char *type;
	uint16_t at;
	uint8_t bits;
	uint8_t bits32;
	uint8_t held;			/* bytes at @at; higher ones read as 0 */
};

#define WIDE(name, name32, type, at)	{ name, name32, type, at, 64, 32, 8 }
#define SELECTOR(name, n)	{ name, name, "int32", REG(sregs.seg[n].selector), 32, 32, 2 }
#define X87(n)	{ "st" #n, "st" #n, "i387_ext", FX(32 + 16 * (n)), 80, 80, 10 }
#define X87_WORD(name, offset, bytes)	{ name, name, "int", FX(offset), 32, 32, bytes }
#define YMM(n)	{ "ymm" #n "h", (n) < 8 ? "ymm" #n "h" : NULL, "uint128", REG(ymm) + 16 * (n), 128, 128, 16 }
#define XMM(n)	{ "xmm" #n, (n) < 8 ? "xmm" #n : NULL, "vec128", FX(160 + 16 * (n)), 128, 128, 16 }

static const struct row core[] = {
	WIDE("rax", "eax", "int", GPR(0)), WIDE("rbx", NULL, "int", GPR(3)),
	WIDE("rcx", "ecx", "int", GPR(1)), WIDE("rdx", "edx", "int", GPR(2)),
	WIDE(NULL, "ebx", "int", GPR(3)), WIDE(NULL, "esp", "data_ptr", GPR(4)),
	WIDE(NULL, "ebp", "data_ptr", GPR(5)),
	WIDE("rsi", "esi", "int", GPR(6)), WIDE("rdi", "edi", "int", GPR(7)),
	WIDE("rbp", NULL, "data_ptr", GPR(5)), WIDE("rsp", NULL, "data_ptr", GPR(4)),
	WIDE("r8", NULL, "int", GPR(8)), WIDE("r9", NULL, "int", GPR(9)),
	WIDE("r10", NULL, "int", GPR(10)), WIDE("r11", NULL, "int", GPR(11)),
	WIDE("r12", NULL, "int", GPR(12)), WIDE("r13", NULL, "int", GPR(13)),
	WIDE("r14", NULL, "int", GPR(14)), WIDE("r15", NULL, "int", GPR(15)),
	WIDE("rip", "eip", "code_ptr", REG(regs.rip)),
	{ "eflags", "eflags", "flags", REG(regs.rflags), 32, 32, 4 },
	SELECTOR("cs", GONDOLA_CS), SELECTOR("ss", GONDOLA_SS), SELECTOR("ds", GONDOLA_DS),
	SELECTOR("es", GONDOLA_ES), SELECTOR("fs", GONDOLA_FS), SELECTOR("gs", GONDOLA_GS),
	X87(0), X87(1), X87(2), X87(3), X87(4), X87(5), X87(6), X87(7),
	X87_WORD("fctrl", 0, 2), X87_WORD("fstat", 2, 2), X87_WORD("ftag", FX_TAGS, 1),
	X87_WORD("fiseg", 12, 2), X87_WORD("fioff", 8, 4), X87_WORD("foseg", 20, 2),
	X87_WORD("fooff", 16, 4), X87_WORD("fop", 6, 2),
};
static const struct row sse[] = {
	XMM(0), XMM(1), XMM(2), XMM(3), XMM(4), XMM(5), XMM(6), XMM(7), XMM(8), XMM(9), XMM(10),
	XMM(11), XMM(12), XMM(13), XMM(14), XMM(15),
	{ "mxcsr", "mxcsr", "int32", FX(24), 32, 32, 4 },
};
static const struct row segments[] = {
	WIDE("fs_base", NULL, "int", REG(sregs.seg[GONDOLA_FS].base)),
	WIDE("gs_base", NULL, "int", REG(sregs.seg[GONDOLA_GS].base)),
};
static const struct row control[] = {
	WIDE("cr0", "cr0", "int", REG(sregs.cr0)), WIDE("cr2", "cr2", "int", REG(sregs.cr2)),
	WIDE("cr3", "cr3", "int", REG(sregs.cr3)), WIDE("cr4", "cr4", "int", REG(sregs.cr4)),
	WIDE("cr8", NULL, "int", REG(sregs.cr8)), WIDE("efer", "efer", "int", REG(sregs.efer)),
};

static const struct row avx[] = {
	YMM(0), YMM(1), YMM(2), YMM(3), YMM(4), YMM(5), YMM(6), YMM(7), YMM(8), YMM(9), YMM(10),
	YMM(11), YMM(12), YMM(13), YMM(14), YMM(15),
};

/* GDB shows such a register as the names of the bits that are set. */
static const char flags[] =
	"<flags id=\"flags\" size=\"4\">"
	"<field name=\"CF\" start=\"0\" end=\"0\"/><field name=\"PF\" start=\"2\" end=\"2\"/>"
	"<field name=\"AF\" start=\"4\" end=\"4\"/><field name=\"ZF\" start=\"6\" end=\"6\"/>"
	"<field name=\"SF\" start=\"7\" end=\"7\"/><field name=\"TF\" start=\"8\" end=\"8\"/>"
	"<field name=\"IF\" start=\"9\" end=\"9\"/><field name=\"DF\" start=\"10\" end=\"10\"/>"
	"<field name=\"OF\" start=\"11\" end=\"11\"/><field name=\"NT\" start=\"14\" end=\"14\"/>"
	"<field name=\"RF\" start=\"16\" end=\"16\"/><field name=\"VM\" start=\"17\" end=\"17\"/>"
	"<field name=\"AC\" start=\"18\" end=\"18\"/><field name=\"ID\" start=\"21\" end=\"21\"/>"
	"</flags>";

/* The members of an XMM register in GDB's own description. */
static const char vectors[] =
	"<vector id=\"v4f\" type=\"ieee_single\" count=\"4\"/>"
	"<vector id=\"v2d\" type=\"ieee_double\" count=\"2\"/>"
	"<vector id=\"v16i8\" type=\"int8\" count=\"16\"/>"
	"<vector id=\"v8i16\" type=\"int16\" count=\"8\"/>"
	"<vector id=\"v4i32\" type=\"int32\" count=\"4\"/>"
	"<vector id=\"v2i64\" type=\"int64\" count=\"2\"/>"
	"<union id=\"vec128\"><field name=\"v4_float\" type=\"v4f\"/>"
	"<field name=\"v2_double\" type=\"v2d\"/><field name=\"v16_int8\" type=\"v16i8\"/>"
	"<field name=\"v8_int16\" type=\"v8i16\"/><field name=\"v4_int32\" type=\"v4i32\"/>"
	"<field name=\"v2_int64\" type=\"v2i64\"/><field name=\"uint128\" type=\"uint128\"/>"
	"</union>";

static const struct {
	const char *name;
	const char *types;
	const struct row *rows;
	size_t count;
} features[] = {
	{ "org.gnu.gdb.i386.core", flags, core, SIZE(core) },
	{ "org.gnu.gdb.i386.sse", vectors, sse, SIZE(sse) },
	{ "org.gnu.gdb.i386.segments", "", segments, SIZE(segments) },
	{ "org.gondola.control", "", control, SIZE(control) },
	{ "org.gnu.gdb.i386.avx", "", avx, SIZE(avx) },
};

static bool has_feature(size_t i, struct register_shape shape)
{
	/* i386 has none of these registers. */
	if (features[i].rows == segments)
		return shape.long_mode;
	return features[i].rows != avx || shape.avx;
}

static const char *name_of(const struct row *row, bool long_mode)
{
	return long_mode ? row->name : row->name32;
}

static const struct row *find(struct register_shape shape, unsigned int number)
{
	for (size_t i = 0; i < SIZE(features); i++)
		for (size_t j = 0; has_feature(i, shape) && j < features[i].count; j++)
			if (name_of(&features[i].rows[j], shape.long_mode) && !number--)
				return &features[i].rows[j];
	return NULL;
}

unsigned int registers_count(struct register_shape shape)
{
	unsigned int count = 0;

	while (find(shape, count))
		count++;
	return count;
}

/* Once it is full nothing is added, and *@used stays at @room or above. */
static void append(char *to, size_t room, size_t *used, const char *format, ...)
	__attribute__((format(printf, 4, 5)));

static void append(char *to, size_t room, size_t *used, const char *format, ...)
{
	va_list args;
	int bytes;

	if (*used >= room)
		return;
	va_start(args, format);
	bytes = vsnprintf(to + *used, room - *used, format, args);
	va_end(args);
	*used = bytes < 0 ? room : *used + (size_t)bytes;
}

size_t registers_xml(struct register_shape shape, char *to, size_t room)
{
	size_t used = 0;

	append(to, room, &used, "<?xml version=\"1.0\"?><!DOCTYPE target SYSTEM \"gdb-target.dtd\">"
	       "<target><architecture>%s</architecture>", shape.long_mode ? "i386:x86-64" : "i386");
	for (size_t i = 0; i < SIZE(features); i++) {
		if (!has_feature(i, shape))
			continue;
		append(to, room, &used, "<feature name=\"%s\">%s", features[i].name,
		       features[i].types);
		for (size_t j = 0; j < features[i].count; j++) {
			const struct row *row = &features[i].rows[j];

			if (name_of(row, shape.long_mode))
				append(to, room, &used, "<reg name=\"%s\" bitsize=\"%u\" type=\"%s\"/>",
				       name_of(row, shape.long_mode),
				       shape.long_mode ? row->bits : row->bits32, row->type);
		}
		append(to, room, &used, "</feature>");
	}
	append(to, room, &used, "</target>");
	return used < room ? used : 0;
}

/*
 * FXSAVE has one bit for a register, set if it is not empty; a client expects two bits, 3 for an
 * empty one.
 */
static void long_tags(uint8_t value[2])
{
	unsigned int tags = 0;

	for (unsigned int i = 0; i < 8; i++)
		if (!(value[0] & 1u << i))
			tags |= 3u << 2 * i;
	value[0] = (uint8_t)tags;
	value[1] = (uint8_t)(tags >> 8);
}

static uint8_t short_tags(const uint8_t value[2])
{
	unsigned int tags = value[0] | (unsigned int)value[1] << 8, full = 0;

	for (unsigned int i = 0; i < 8; i++)
		if ((tags >> 2 * i & 3) != 3)
			full |= 1u << i;
	return (uint8_t)full;
}

bool registers_put(const struct registers *from, unsigned int number, struct packet *packet)
{
	const struct row *row = find(from->shape, number);
	uint8_t value[16] = { 0 };
	size_t bytes;

	if (!row)
		return false;
	bytes = (from->shape.long_mode ? row->bits : row->bits32) / 8;
	memcpy(value, (const char *)from + row->at, row->held < bytes ? row->held : bytes);
	if (row->at == FX(FX_TAGS))
		long_tags(value);
	packet_hex(packet, value, bytes);
	return true;
}

bool registers_take(struct registers *to, unsigned int number, const char **at)
{
	const struct row *row = find(to->shape, number);
	uint8_t value[16] = { 0 };

	if (!row || !packet_bytes(at, value, (to->shape.long_mode ? row->bits : row->bits32) / 8))
		return false;
	if (row->at == FX(FX_TAGS))
		*value = short_tags(value);
	if (row->at >= REG(ymm))
		/* All are written together, also by a guest that has not switched them on. */
		to->ymm_taken |= memcmp((char *)to + row->at, value, row->held) != 0;
	else
		to->fx_taken |= row->at >= REG(fx);
	memcpy((char *)to + row->at, value, row->held);
	/* This bit is always set, and the module takes no state without it. */
	to->regs.rflags |= RFLAGS_FIXED;
	return true;
}
